//! The difference between a configuration and the one in force, in words and as JSON, with what it needs before an upload.

use std::collections::BTreeMap;
use std::path::Path;

use clp_config::difference::{Object, What};
use clp_config::value::Apply;
use clp_config::{Changes, Configuration, Document, diff};
use clp_services::stage;
use clp_sys::paths::Root;
use serde_json::{Value, json};

use super::clpcfctrl::{Addressed, addressed};
use crate::declaration::Failure;

/// What a push would change.
pub struct Difference {
    changes: Changes,
    /// Scripts that were added, removed or changed; they are read when they are run.
    scripts: Vec<(String, &'static str)>,
    /// What is in force, if it can be used.
    before: Option<Configuration>,
    is_without_effect: bool,
}

impl Difference {
    /// Compare data with what is in force on this server.
    pub fn to_what_is_in_force(
        root: &Root,
        new_scripts: &Path,
        bytes: &[u8],
        new: &Configuration,
    ) -> Result<Difference, Failure> {
        let broken = |cause: &dyn std::fmt::Display| Failure::new(cause.to_string());
        let document = Document::read(bytes).map_err(|cause| broken(&cause))?;
        let old = std::fs::read(root.conf()).ok().and_then(|bytes| Document::read(&bytes).ok());
        let before = old.as_ref().and_then(|old| Configuration::from_document(old).ok());
        let changes = old.as_ref().map(|old| diff(old, &document)).unwrap_or_default();
        let scripts = scripts(&root.scripts(), new_scripts);
        // The engines hold their configuration in memory: only what they would read as the same needs nothing of them.
        let is_without_effect = before.as_ref() == Some(new);
        Ok(Difference { changes, scripts, before, is_without_effect })
    }

    /// Do running engines hold all of it already?
    pub fn is_without_effect(&self) -> bool {
        self.is_without_effect
    }

    /// Would a server that gets these data differ from one that keeps what is in force here?
    pub fn is_between_servers(&self) -> bool {
        self.before.is_some() && !(self.changes.list.is_empty() && self.scripts.is_empty())
    }

    /// Is something in it that only the WebManager reads, at its start?
    pub fn needs_manager_restart(&self) -> bool {
        self.changes.list.iter().any(|change| change.apply == Apply::RestartManager)
    }

    /// Servers that are in force and would not be any more.
    pub fn removed_servers(&self) -> Vec<Addressed> {
        let is_removed = |name: &str| {
            self.changes.list.iter().any(|change| change.what == What::Removed && change.object == Object::Server(name.into()))
        };
        self.before.iter().flat_map(|before| &before.servers).filter(|server| is_removed(&server.name)).map(addressed).collect()
    }

    /// One line a difference; nothing when there is none.
    pub fn text(&self) -> String {
        let changes = self.changes.list.iter().map(ToString::to_string);
        let scripts = self.scripts.iter().map(|(path, what)| format!("{path}: {what} ({})", Apply::UploadOnly.class()));
        let lines: Vec<String> = changes.chain(scripts).map(|line| format!("  {line}\n")).collect();
        if lines.is_empty() { String::new() } else { format!("Difference to the configuration in force:\n{}", lines.concat()) }
    }

    /// Why running servers stand in the way, and what to do.
    pub fn needed(&self, running: &[String]) -> String {
        let mut words = format!("the upload is cancelled: the cluster service of {} is running", running.join(", "));
        for need in self.needs() {
            words.push_str(&format!("\n  needed: {need}"));
        }
        words.push_str(
            "\nthis version reads its configuration only when the cluster service starts, so that every change to what is in force needs it stopped; stop the cluster first (clpcl -t -a)(cfmgr:2)",
        );
        words
    }

    /// Operations by the classes of the changes, strongest first, each with the places that need it.
    fn needs(&self) -> Vec<String> {
        let classes = [
            Apply::StopCluster,
            Apply::StopGroup,
            Apply::SuspendCluster,
            Apply::SuspendMonitor,
            Apply::RestartManager,
            Apply::UploadOnly,
        ];
        let mut needs = Vec::new();
        for class in classes {
            let places: Vec<&str> =
                self.changes.list.iter().filter(|change| change.apply == class).map(|change| change.path.as_str()).collect();
            if places.is_empty() {
                continue;
            }
            let names: Vec<&str> = self.changes.names(class).into_iter().collect();
            let named = if names.is_empty() { String::new() } else { format!(" [{}]", names.join(", ")) };
            needs.push(format!("{}{named}: {}", class.words(), places.join(", ")));
        }
        needs
    }

    /// Everything for programs.
    pub fn json(&self, running: &[String], reason: Option<&str>) -> Value {
        let changes: Vec<Value> = self
            .changes
            .list
            .iter()
            .map(|change| {
                let (word, old, new) = match &change.what {
                    What::Added => ("added", None, None),
                    What::Removed => ("removed", None, None),
                    What::Value { old, new } => ("value", old.as_ref(), new.as_ref()),
                };
                json!({
                    "path": change.path, "kind": change.object.kind(), "name": change.object.name(), "change": word,
                    "old": old, "new": new, "apply": change.apply.class(), "group": change.group,
                })
            })
            .collect();
        let scripts: Vec<Value> = self.scripts.iter().map(|(path, what)| json!({ "path": path, "change": what })).collect();
        json!({
            "changes": changes,
            "scripts": scripts,
            "strongest": self.changes.strongest().map(Apply::class),
            "without_effect": self.is_without_effect,
            "running": running,
            "applied": reason.is_none(),
            "reason": reason,
            "code": u8::from(reason.is_some()),
        })
    }
}

/// Scripts of two places that are not the same. What cannot be read is said by the push itself.
fn scripts(in_force: &Path, new: &Path) -> Vec<(String, &'static str)> {
    let of = |directory: &Path| -> BTreeMap<String, (bool, String)> {
        let files = stage::scripts(directory).unwrap_or_default();
        files.into_iter().map(|file| (file.path, (file.executable, file.hex))).collect()
    };
    let (before, after) = (of(in_force), of(new));
    let changed = after.iter().filter_map(|(path, file)| match before.get(path) {
        None => Some((path.clone(), "added")),
        Some(other) if other != file => Some((path.clone(), "changed")),
        Some(_) => None,
    });
    let removed = before.keys().filter(|path| !after.contains_key(*path)).map(|path| (path.clone(), "removed"));
    changed.chain(removed).collect()
}
