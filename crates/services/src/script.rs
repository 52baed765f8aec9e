//! Scripts that a server of the cluster may ask another one to run (`clptrnreq`, `clprexec`).
//!
//! What may be run is what an administrator put there: an ordinary file in one fixed directory of the server that runs it, of
//! root and writable by root alone. It is run by its name, without a shell, without an argument from outside, and ended
//! at its time limit with all that it started.

use std::fs::Metadata;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use clp_alerts::Alert;
use clp_sys::cgroup::Cgroup;
use clp_sys::paths::Root;
use clp_sys::process::{self, Output, Program};

use crate::alertlog;
use crate::request::Shelf;

/// Scripts that run at the same time: they are an administrator's few, and the other requests must find their place.
pub const AT_ONCE_MAX: u64 = 8;
/// Longest run that may be asked for: what the commands take as `-w`.
pub const LIMIT_MAX: Duration = Duration::from_secs(9999);
/// Size from which the log of their output is set aside.
const LOG_MAX: u64 = 1024 * 1024;
/// How long the kernel may take to let go of an ended process: it is a matter of milliseconds.
const LET_GO: Duration = Duration::from_secs(1);
/// Longest file name on Linux (`NAME_MAX`).
const NAME_MAX: usize = 255;

/// Those that run.
#[derive(Debug, Default)]
pub struct Scripts {
    running: AtomicU64,
    /// Of all so far.
    count: AtomicU64,
}

/// One of those that may run at once; given back when dropped.
struct Turn<'a>(&'a Scripts);

impl Scripts {
    fn turn(&self) -> Option<Turn<'_>> {
        let turn = Turn(self);
        (self.running.fetch_add(1, Ordering::SeqCst) < AT_ONCE_MAX).then_some(turn)
    }
}

impl Drop for Turn<'_> {
    fn drop(&mut self) {
        self.0.running.fetch_sub(1, Ordering::SeqCst);
    }
}

/// A script that is asked for.
#[derive(Debug, Clone, Copy)]
pub struct Asked<'a> {
    /// Who asks, for the record.
    pub from: &'a str,
    /// Where it is kept.
    pub shelf: Shelf,
    /// Its file name there.
    pub name: &'a str,
    /// Longest run.
    pub limit: Duration,
}

/// Run a script to its end, or to its limit; told in alerts on this server.
///
/// # Errors
/// It may not be run here, did not end with code 0, or not in time.
pub fn run(root: &Root, scripts: &Scripts, asked: Asked<'_>) -> Result<(), String> {
    let Asked { from, shelf, name, limit } = asked;
    let own = clp_sys::identity::hostname();
    // A record that cannot be written keeps nobody from the work.
    let tell = |alert: Alert| drop(alertlog::write(root, &alert, alertlog::records_kept(root)));
    let may = check(root, shelf, name).and_then(|path| match scripts.turn() {
        Some(turn) => Ok((path, turn)),
        None => Err(format!("{AT_ONCE_MAX} scripts run already; try again when one has ended")),
    });
    let (path, _turn) = match may {
        Ok(may) => may,
        Err(reason) => {
            tell(Alert::notice_refused(from, &reason));
            return Err(format!("{own}: {reason}"));
        }
    };
    let action = format!("{}/{name}", shelf.word());
    tell(Alert::notice_accepted(&action, from));
    // Two runs of the same script at the same time must not be ended with each other.
    let number = scripts.count.fetch_add(1, Ordering::Relaxed);
    let cgroup = Cgroup::make("request.s", &format!("{name}.{}.{number}", std::process::id()));
    let program = Program {
        argv: vec![path],
        env: environment(root),
        limit: limit.min(LIMIT_MAX),
        output: Output::Log(root.log().join("script.log"), LOG_MAX),
        cgroup,
    };
    let outcome = process::run(&program);
    program.cgroup.iter().for_each(take_away);
    if outcome.is_success() {
        tell(Alert::notice_done(&action));
        return Ok(());
    }
    let words = outcome.words();
    tell(Alert::notice_failed(&action, &words));
    Err(format!("{action} on {own}: {words}"))
}

/// What a script leaves running on purpose keeps its control group; else it goes, once the kernel has let go of what ended.
fn take_away(cgroup: &Cgroup) {
    let until = Instant::now() + LET_GO;
    while !cgroup.remove() && cgroup.members().is_empty() && Instant::now() < until {
        std::thread::sleep(Duration::from_millis(5));
    }
}

/// The path of a script that may be run.
fn check(root: &Root, shelf: Shelf, name: &str) -> Result<String, String> {
    let directory = root.work().join(shelf.word());
    let plain = !name.is_empty() && name.len() <= NAME_MAX && !name.starts_with('.') && !name.contains('/');
    if !plain || name.chars().any(char::is_control) {
        return Err(format!("{:?} is no name of a script in {}", name, directory.display()));
    }
    trusted(&directory, Metadata::is_dir, "directory")?;
    let path = directory.join(name);
    let metadata = trusted(&path, Metadata::is_file, "ordinary file")?;
    if metadata.permissions().mode() & 0o100 == 0 {
        return Err(format!("{} is not executable (chmod 700)", path.display()));
    }
    Ok(path.to_string_lossy().into_owned())
}

/// It exists, is what it should be and no link, and nobody but root could have put it there.
fn trusted(path: &Path, is_kind: impl Fn(&Metadata) -> bool, kind: &str) -> Result<Metadata, String> {
    let shown = path.display();
    let metadata = std::fs::symlink_metadata(path).map_err(|cause| format!("{shown} cannot be used: {cause}"))?;
    if !is_kind(&metadata) {
        return Err(format!("{shown} is no {kind}"));
    }
    if metadata.uid() != 0 || metadata.permissions().mode() & 0o022 != 0 {
        return Err(format!("{shown} must belong to root and be writable by root alone (chown root, chmod go-w)"));
    }
    Ok(metadata)
}

fn environment(root: &Root) -> Vec<(String, String)> {
    let root = root.path().to_string_lossy().into_owned();
    [
        ("CLP_PATH", root.clone()),
        ("CLP_ROOT", root.clone()),
        ("PATH", format!("/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin:{root}/bin")),
        ("HOME", "/root".to_string()),
        ("LANG", "C".to_string()),
    ]
    .map(|(name, value)| (name.to_string(), value))
    .into()
}
