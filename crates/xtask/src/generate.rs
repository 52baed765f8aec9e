//! Generated parts of the manual, and the manual pages: from the declarations, never by hand.

use std::fs;

use anyhow::{Context, Result, bail};
use clp_alerts::Alert;
use clp_cli::{commands::COMMANDS, declaration::Command, manual};

/// Those of the servers, and the witness's.
fn commands() -> Vec<&'static Command> {
    COMMANDS.iter().copied().chain([&clp_witness::COMMAND]).collect()
}

fn files() -> Vec<(String, String)> {
    let commands = commands();
    let mut files = vec![
        ("docs/manual/alerts.md".into(), alerts()),
        ("docs/manual/parameters.md".into(), parameters()),
        ("docs/manual/commands.md".into(), format!("{MADE_BY}{}", manual::chapter(&commands))),
    ];
    files.extend(commands.iter().map(|command| (page(command.name), manual::page(command, &commands))));
    files
}

/// Where manual pages lie; nothing else does.
const PAGES: &str = "docs/man";

fn page(name: &str) -> String {
    format!("{PAGES}/{name}.8")
}

const MADE_BY: &str = "<!-- made by `cargo xtask generate`; do not edit -->\n";

fn alerts() -> String {
    let mut text = format!(
        "{MADE_BY}# Alerts\n\n| module | id | level | text | goes to | meaning | what to do |\n|---|---|---|---|---|---|---|\n"
    );
    let mut examples = Alert::examples();
    examples.sort_by_key(|alert| (alert.entry().module, alert.entry().id));
    for alert in examples {
        let entry = alert.entry();
        text.push_str(&format!(
            "| {} | {} | {} | {} | {} | {} | {} |\n",
            entry.module,
            entry.id,
            entry.level.word(),
            entry.template(),
            entry.destinations.words(),
            entry.meaning,
            entry.remedy
        ));
    }
    text
}

fn parameters() -> String {
    let mut text = format!("{MADE_BY}# Parameters of clp.conf\n");
    for (section, params) in clp_config::schema::SECTIONS {
        let head = if section.is_empty() { "root" } else { section };
        text.push_str(&format!(
            "\n## {head}\n\n| path | meaning | default | range | unit | to change it |\n|---|---|---|---|---|---|\n"
        ));
        for param in *params {
            text.push_str(&format!(
                "| {} | {} | {} | {}-{} | {} | {} |\n",
                param.path,
                param.help,
                if param.default.is_empty() { "(empty)" } else { param.default },
                param.min,
                param.max,
                param.unit,
                param.apply.words()
            ));
        }
    }
    text
}

/// Write them.
pub fn write() -> Result<()> {
    for (path, text) in files() {
        let path = super::top().join(path);
        if let Some(parent) = path.parent() {
            fs::create_dir_all(parent)?;
        }
        fs::write(&path, text).with_context(|| format!("writing {}", path.display()))?;
    }
    Ok(())
}

/// Are they as the declarations would make them?
pub fn check() -> Result<()> {
    for (path, text) in files() {
        let found = fs::read_to_string(super::top().join(&path)).unwrap_or_default();
        if found != text {
            bail!("{path} is not up to date; run cargo xtask generate");
        }
    }
    // The page of a command that went away, or was renamed.
    let known: Vec<String> = commands().iter().map(|command| page(command.name)).collect();
    for entry in fs::read_dir(super::top().join(PAGES))? {
        let path = format!("{PAGES}/{}", entry?.file_name().to_string_lossy());
        if !known.contains(&path) {
            bail!("{path} is the page of no command; remove it");
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    #[test]
    fn the_committed_files_are_as_the_declarations_make_them() {
        super::check().unwrap();
    }
}
