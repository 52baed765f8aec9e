//! What parent, engine and monitor daemon share at their start and end: configuration, identity, keys, alerts, giving up.

use std::fs::OpenOptions;
use std::io::Write;
use std::process::ExitCode;
use std::time::Duration;

use clp_alerts::Alert;
use clp_config::{Configuration, Document, Problem, Resource, ResourceKind};
use clp_core::ids::{ServerId, ServerSet};
use clp_core::plan::AfterStop;
use clp_drivers::resources::{Context, driver};
use clp_sys::paths::Root;

/// How long one resource may take to be given up in an emergency.
const EMERGENCY_LIMIT: Duration = Duration::from_secs(10);
/// Bytes after which the log is set aside; one older generation is kept.
const LOG_MAX: u64 = 4 * 1024 * 1024;

/// A configuration as it is in force.
#[derive(Debug)]
pub struct Loaded {
    /// Where the product lives.
    pub root: Root,
    /// What was configured.
    pub configuration: Configuration,
    /// Digest of the file: servers with different files see it in each other's frames.
    pub generation: u64,
}

/// Is this process root?
pub fn is_root() -> bool {
    rustix::process::geteuid().is_root()
}

/// Read and check `etc/clp.conf`; the error lists every problem.
pub fn load(root: &Root) -> Result<Loaded, String> {
    let path = root.conf();
    let bytes = std::fs::read(&path)
        .map_err(|cause| format!("cannot read {}: {cause}; distribute a configuration with clpcfctrl --push", path.display()))?;
    let document = Document::read(&bytes).map_err(|cause| format!("{}: {cause}", path.display()))?;
    let configuration = Configuration::from_document(&document).map_err(|problems| {
        let lines: Vec<String> = problems.iter().map(Problem::to_string).collect();
        format!("{} cannot be used:\n  {}", path.display(), lines.join("\n  "))
    })?;
    let generation = digest(&bytes);
    Ok(Loaded { root: root.clone(), configuration, generation })
}

/// FNV-1a, 64 bit: tells apart, proves nothing.
fn digest(bytes: &[u8]) -> u64 {
    bytes.iter().fold(0xcbf2_9ce4_8422_2325, |hash, byte| (hash ^ u64::from(*byte)).wrapping_mul(0x0000_0100_0000_01b3))
}

/// Digest of the kernel's boot id.
pub fn boot_digest() -> u64 {
    digest(clp_sys::identity::boot_id().as_bytes())
}

/// Position of this server, found by its short host name.
pub fn own_position(configuration: &Configuration) -> Result<ServerId, String> {
    let host = clp_sys::identity::hostname();
    let short = host.split('.').next().unwrap_or_default();
    let found = configuration.servers.iter().position(|server| server.name == short);
    found.map(ServerId::at).ok_or_else(|| {
        let names: Vec<&str> = configuration.servers.iter().map(|server| server.name.as_str()).collect();
        format!("this server's host name {short} is not among the configured servers ({})", names.join(", "))
    })
}

/// The cluster's key for heartbeats.
pub fn cluster_key(root: &Root) -> Result<[u8; 32], String> {
    let path = root.trust().join("cluster.key");
    let text = std::fs::read(&path)
        .map_err(|cause| format!("cannot read {}: {cause}; the trust is made by clusterpro_trn --make-trust", path.display()))?;
    clp_services::trust::read_cluster_key(&text).map_err(|cause| format!("{}: {cause}", path.display()))
}

/// Raise the number of this server's life; it is on the disk before it is used.
pub fn next_incarnation(root: &Root) -> Result<u64, String> {
    let path = root.work().join("incarnation");
    let last = std::fs::read_to_string(&path).ok().and_then(|text| text.trim().parse::<u64>().ok()).unwrap_or(0);
    // A lost file must not bring an old number back: the wall clock is a floor, never a measure.
    let next = (last + 1).max(clp_sys::clock::wall().as_secs());
    keep(root, "incarnation", &next.to_string())?;
    Ok(next)
}

/// The time-out ratio that others may rely upon after a crash of this server; 1: none. What cannot be read was none: a file is
/// there whole or as before.
pub fn kept_ratio(root: &Root) -> u32 {
    let text = std::fs::read_to_string(root.work().join("timeout-ratio")).ok();
    text.and_then(|text| text.trim().parse().ok()).unwrap_or(1)
}

/// Keep it for the next start; it is on the disk when this returns.
pub fn keep_ratio(root: &Root, ratio: u32) -> Result<(), String> {
    keep(root, "timeout-ratio", &ratio.to_string())
}

/// Was the cluster suspended when this server last knew?
pub fn was_suspended(root: &Root) -> bool {
    root.work().join("suspended").exists()
}

/// Keep for the next start whether the cluster is suspended; it is on the disk when this returns.
pub fn remember_suspended(root: &Root, suspended: bool) -> Result<(), String> {
    if suspended {
        return keep(root, "suspended", "the cluster is suspended; clpcl --resume ends that\n");
    }
    let path = root.work().join("suspended");
    let gone = std::fs::remove_file(&path).and_then(|()| std::fs::File::open(root.work())?.sync_all());
    match gone {
        Err(cause) if cause.kind() != std::io::ErrorKind::NotFound => Err(format!("cannot remove {}: {cause}", path.display())),
        _ => Ok(()),
    }
}

/// Servers that ran when this one said farewell in its last life. Names that are not configured any more are left out.
pub fn ran_before(root: &Root, configuration: &Configuration) -> ServerSet {
    let text = std::fs::read_to_string(root.work().join("ran-at-farewell")).unwrap_or_default();
    let position = |name: &str| configuration.servers.iter().position(|server| server.name == name).map(ServerId::at);
    text.split_whitespace().filter_map(position).collect()
}

/// Keep them for the next start; they are on the disk when this returns.
pub fn remember_ran(root: &Root, configuration: &Configuration, servers: ServerSet) -> Result<(), String> {
    let names: Vec<&str> = servers.iter().map(|server| configuration.servers[server.index()].name.as_str()).collect();
    keep(root, "ran-at-farewell", &format!("{}\n", names.join(" ")))
}

/// Write a small file of the work directory so that it is there whole, or as before, after a power failure.
///
/// # Errors
/// It cannot be written, and is as before.
pub fn keep(root: &Root, name: &str, text: &str) -> Result<(), String> {
    let directory = root.work();
    let path = directory.join(name);
    let fresh = directory.join(format!("{name}.new"));
    let write = || {
        std::fs::create_dir_all(&directory)?;
        let mut file = std::fs::File::create(&fresh)?;
        file.write_all(text.as_bytes())?;
        file.sync_all()?;
        std::fs::rename(&fresh, &path)?;
        std::fs::File::open(&directory)?.sync_all()
    };
    write().or_else(|cause| in_place(&path, text, cause)).map_err(|cause| format!("cannot write {}: {cause}", path.display()))
}

/// On a full disk text of the same length still has the room of its predecessor; so few bytes are written whole or not at all.
fn in_place(path: &std::path::Path, text: &str, full: std::io::Error) -> std::io::Result<()> {
    let is_full = matches!(full.kind(), std::io::ErrorKind::StorageFull | std::io::ErrorKind::QuotaExceeded);
    if !is_full || std::fs::metadata(path)?.len() != text.len() as u64 {
        return Err(full);
    }
    let mut file = OpenOptions::new().write(true).open(path)?;
    file.write_all(text.as_bytes())?;
    file.sync_all()
}

/// What follows when a process of the service dies (`pm/exec*/recover`, clp-conf.md 13.1).
pub fn process_failure_action(configuration: &Configuration) -> AfterStop {
    match configuration.cluster.pm_action {
        0 | 1 => AfterStop::Nothing,
        3 => AfterStop::Reboot,
        5 => AfterStop::SysrqPanic,
        6 => AfterStop::KeepaliveReset,
        7 => AfterStop::KeepalivePanic,
        _ => AfterStop::Shutdown,
    }
}

/// Operators are told what the death of a process of the service leads to.
pub fn process_failure_alert(then: AfterStop) -> Alert {
    match then {
        AfterStop::Nothing => Alert::process_stops(),
        AfterStop::Shutdown => Alert::process_halts(),
        AfterStop::Reboot => Alert::process_reboots(),
        AfterStop::SysrqPanic => Alert::process_sysrq_panic(),
        AfterStop::KeepaliveReset => Alert::process_keepalive_reset(),
        AfterStop::KeepalivePanic => Alert::process_keepalive_panic(),
    }
}

/// Let the operating system go down or start anew; nothing when nothing is to follow. Does not return when it happens at once.
///
/// # Errors
/// It is refused or the kernel does not do it ([`clp_sys::power::PowerError`]).
pub fn end_server(root: &Root, then: AfterStop) -> Result<(), clp_sys::power::PowerError> {
    use clp_sys::power;
    match then {
        AfterStop::Nothing => Ok(()),
        AfterStop::Shutdown => power::shutdown(root.path()),
        AfterStop::Reboot => power::reboot(root.path()),
        // The vendor's driver is not there: the kernel does the same, and the watchdog, which is not disarmed, stands behind it.
        AfterStop::KeepaliveReset => power::reset(root.path()),
        AfterStop::SysrqPanic | AfterStop::KeepalivePanic => power::panic(root.path()),
    }
}

/// How many final actions have ended this server, as its disk remembers.
pub fn reboots(root: &Root) -> u32 {
    std::fs::read_to_string(root.work().join("reboots")).ok().and_then(|text| text.trim().parse().ok()).unwrap_or(0)
}

/// Keep that number for the next start; it is on the disk when this returns.
pub fn remember_reboots(root: &Root, count: u32) -> Result<(), String> {
    keep(root, "reboots", &format!("{count}\n"))
}

/// What a driver is told about a resource on this server; scripts' circumstances are filled in by the caller.
pub fn context(loaded: &Loaded, me: usize, resource: &Resource) -> Context {
    Context {
        group: resource.group.clone(),
        resource: resource.name.clone(),
        server: loaded.configuration.servers[me].name.clone(),
        root: loaded.root.clone(),
        ..Context::default()
    }
}

/// Give up everything that may act here: addresses first and at once, then processes, then file systems.
///
/// # Errors
/// What may still act, and why.
pub fn give_up(loaded: &Loaded) -> Result<(), String> {
    let me = own_position(&loaded.configuration)?;
    let server = loaded.configuration.servers[me.index()].name.clone();
    let rank = |kind: &ResourceKind| match kind {
        ResourceKind::Fip(_) => 0,
        ResourceKind::Exec(_) => 1,
        _ => 2,
    };
    let failed = std::sync::Mutex::new(Vec::new());
    for wave in 0..=2 {
        std::thread::scope(|scope| {
            for resource in loaded.configuration.resources.iter().filter(|resource| rank(&resource.kind) == wave) {
                let (server, failed) = (&server, &failed);
                scope.spawn(move || {
                    let mut context = context(loaded, me.index(), resource);
                    context.deadline = EMERGENCY_LIMIT;
                    if let Err(reason) = driver(resource, server).emergency(&context) {
                        let words = format!("{}: {reason}", resource.name);
                        write_note(&loaded.root, &words);
                        failed.lock().unwrap_or_else(std::sync::PoisonError::into_inner).push(words);
                    }
                });
            }
        });
    }
    let failed = failed.into_inner().unwrap_or_else(std::sync::PoisonError::into_inner);
    if failed.is_empty() { Ok(()) } else { Err(failed.join("; ")) }
}

/// Wall-clock time of an instant that lies `ago` back, local, `YYYY/MM/DD hh:mm:ss.mmm`.
pub fn wall_time(ago: Duration) -> String {
    stamp(clp_sys::clock::wall().saturating_sub(ago))
}

/// The same of an instant that lies ahead.
pub fn wall_time_ahead(span: Duration) -> String {
    stamp(clp_sys::clock::wall().saturating_add(span))
}

fn stamp(then: Duration) -> String {
    let stamp = jiff::Timestamp::from_millisecond(i64::try_from(then.as_millis()).unwrap_or(i64::MAX)).unwrap_or_default();
    stamp.to_zoned(jiff::tz::TimeZone::system()).strftime("%Y/%m/%d %H:%M:%S.%3f").to_string()
}

/// Put an alert into the local record, the log and syslog; at most `records_max` records are kept.
pub fn write_alert(root: &Root, records_max: u64, alert: &Alert) {
    if let Err(cause) = clp_services::alertlog::write(root, alert, records_max) {
        complain(&format!("cannot write {}: {cause}", clp_services::alertlog::path(root).display()));
    }
    write_note(root, &alert.to_string());
}

/// Say something on standard error, which may be a file on a full disk or a terminal that is gone: then nobody hears it.
pub fn complain(words: &str) {
    complain_plainly(&format!("clusterpro: {words}"));
}

/// The same without the program's name.
pub fn complain_plainly(words: &str) {
    let _ = writeln!(std::io::stderr(), "{words}");
}

/// Raise the limit on open files if somebody lowered it: what it was then and is now, in words.
pub fn files_lifted() -> Option<String> {
    clp_sys::shortage::keep_files().map(|(was, now)| format!("its limit was {was} and is {now} again"))
}

/// Put a line for engineers into the log.
pub fn write_note(root: &Root, text: &str) {
    let _ = std::fs::create_dir_all(root.log());
    let path = root.log().join("clusterpro.log.cur");
    if std::fs::metadata(&path).is_ok_and(|file| file.len() > LOG_MAX) {
        let _ = std::fs::rename(&path, root.log().join("clusterpro.log.pre"));
    }
    append(&path, &format!("{} {}", wall_time(Duration::ZERO), text.trim_end()));
}

fn append(path: &std::path::Path, line: &str) {
    let written = OpenOptions::new().create(true).append(true).open(path).and_then(|mut file| writeln!(file, "{line}"));
    if let Err(cause) = written {
        complain(&format!("cannot write {}: {cause}", path.display()));
    }
}

/// `clusterpro diskhb-init DEVICE`: label a partition for the disk heartbeat.
pub fn initialise_disk_heartbeat(arguments: &[String]) -> ExitCode {
    if !is_root() {
        complain_plainly("Log in as root.");
        return ExitCode::FAILURE;
    }
    let [device] = arguments else {
        complain_plainly("usage: clusterpro diskhb-init DEVICE");
        return ExitCode::FAILURE;
    };
    match clp_drivers::heartbeats::diskhb::init(std::path::Path::new(device), false) {
        Ok(()) => {
            println!("Command succeeded.");
            ExitCode::SUCCESS
        }
        Err(reason) => {
            complain(&reason.to_string());
            ExitCode::FAILURE
        }
    }
}
