//! A cluster in a lab (the guide's two-server sample, or any made by `ClusterConf`), as the end-to-end cases see it: commands, status,
//! waiting.
//!
//! Knows the product only from outside: its commands and what a client on the net can see. Not a case itself.
#![allow(dead_code, reason = "each file of cases uses a part of it")]
#![allow(clippy::unwrap_used, reason = "a case fails by panicking")]

use clp_testbed::{FileSystem, Lab, Options, Output, Phase, conf::ClusterConf, places::need_root};
use serde_json::Value;
use std::{
    fs,
    ops::Deref,
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
    process::Command,
    sync::{
        Condvar, Mutex, PoisonError,
        atomic::{AtomicU32, Ordering},
    },
    time::Duration,
};

/// Longest wait for something that a healthy cluster does in a second or two.
pub const SOON: Duration = Duration::from_secs(40);
/// The floating address of the group, and the port of its application.
pub const FLOATING: &str = "10.0.0.12";
/// Clusters at once: more than the processors of a small machine only disturb each other's heartbeats.
const AT_ONCE: u32 = 2;

/// A sample's configuration with changes, or one that was made, in a directory of its own.
pub struct Conf {
    directory: PathBuf,
    servers: u32,
    data_partitions: u32,
}

impl Conf {
    /// The two-server sample as it is.
    pub fn sample() -> Conf {
        Conf::sample_of("two-node-disk", 2)
    }

    /// A sample as it is, with the number of its servers.
    pub fn sample_of(name: &str, servers: u32) -> Conf {
        let directory = own_directory();
        let sample = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../samples").join(name);
        let status = Command::new("cp").arg("-r").arg("-T").arg(sample).arg(&directory).status().unwrap();
        assert!(status.success());
        Conf { directory, servers, data_partitions: 1 }
    }

    /// One that was made.
    pub fn made(conf: &ClusterConf) -> Conf {
        let directory = own_directory();
        conf.write(&directory).unwrap();
        let servers = conf.text().matches("<server name=").count() as u32;
        Conf { directory, servers, data_partitions: 1 }
    }

    /// So many file systems on the shared disk.
    pub fn data_partitions(mut self, count: u32) -> Conf {
        self.data_partitions = count;
        self
    }

    /// Replaces text that occurs in `clp.conf`.
    pub fn with(self, old: &str, new: &str) -> Conf {
        let file = self.directory.join("clp.conf");
        let text = fs::read_to_string(&file).unwrap();
        assert!(text.contains(old), "the sample has no {old}");
        fs::write(&file, text.replace(old, new)).unwrap();
        self
    }

    /// Removes the element that begins with `head` and `name`, up to `tail`.
    pub fn without(self, head: &str, name: &str, tail: &str) -> Conf {
        let file = self.directory.join("clp.conf");
        let text = fs::read_to_string(&file).unwrap();
        let (before, rest) = text.split_once(&format!("{head}{name}")).unwrap();
        let (_, after) = rest.split_once(tail).unwrap();
        fs::write(&file, format!("{before}{after}")).unwrap();
        self
    }

    /// Adds a monitor.
    pub fn with_monitor(self, element: &str) -> Conf {
        self.with("</monitor>", &format!("{element}\n\t</monitor>"))
    }

    /// Writes the script of a monitor.
    pub fn with_monitor_script(self, monitor: &str, name: &str, text: &str) -> Conf {
        let folder = self.directory.join("scripts/monitor.s").join(monitor);
        fs::create_dir_all(&folder).unwrap();
        let file = folder.join(name);
        fs::write(&file, text).unwrap();
        fs::set_permissions(&file, fs::Permissions::from_mode(0o755)).unwrap();
        self
    }

    /// Writes a script of an exec resource of failover1.
    pub fn with_script(self, resource: &str, name: &str, text: &str) -> Conf {
        let folder = self.directory.join("scripts/failover1").join(resource);
        fs::create_dir_all(&folder).unwrap();
        let file = folder.join(name);
        fs::write(&file, text).unwrap();
        fs::set_permissions(&file, fs::Permissions::from_mode(0o755)).unwrap();
        self
    }

    /// Writes another start script.
    pub fn with_start_script(self, text: &str) -> Conf {
        fs::write(self.directory.join("scripts/failover1/exec1/start.sh"), text).unwrap();
        self
    }

    /// Writes another stop script.
    pub fn with_stop_script(self, text: &str) -> Conf {
        fs::write(self.directory.join("scripts/failover1/exec1/stop.sh"), text).unwrap();
        self
    }
}

fn own_directory() -> PathBuf {
    static COUNT: AtomicU32 = AtomicU32::new(0);
    let number = COUNT.fetch_add(1, Ordering::Relaxed);
    std::env::temp_dir().join(format!("mainstay-case-{}-{number}", std::process::id()))
}

impl Drop for Conf {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.directory);
    }
}

static RUNNING: Mutex<u32> = Mutex::new(0);
static ENDED: Condvar = Condvar::new();

struct Turn;

impl Turn {
    fn wait() -> Turn {
        let mut running = RUNNING.lock().unwrap_or_else(PoisonError::into_inner);
        while *running >= AT_ONCE {
            running = ENDED.wait(running).unwrap_or_else(PoisonError::into_inner);
        }
        *running += 1;
        Turn
    }
}

impl Drop for Turn {
    fn drop(&mut self) {
        *RUNNING.lock().unwrap_or_else(PoisonError::into_inner) -= 1;
        ENDED.notify_one();
    }
}

/// Servers with the product on them.
pub struct Cluster {
    lab: Lab,
    _conf: Conf,
    _turn: Turn,
}

impl Drop for Cluster {
    fn drop(&mut self) {
        if std::thread::panicking() {
            self.tell();
        }
    }
}

impl Deref for Cluster {
    type Target = Lab;
    fn deref(&self) -> &Lab {
        &self.lab
    }
}

impl Cluster {
    /// The cluster of `conf`, booted, with nothing waited for; `None` without root, and then it has said so.
    pub fn boot(conf: Conf, watchdog: bool) -> Option<Cluster> {
        Cluster::boot_in(conf, Options { watchdog, ..Options::default() })
    }

    /// The cluster of `conf` with all servers off; `None` without root, and then it has said so.
    pub fn off(conf: Conf) -> Option<Cluster> {
        Cluster::boot_in(conf, Options { boot: false, ..Options::default() })
    }

    /// The same in a lab of other kind; configuration, servers and file systems are `conf`'s.
    pub fn boot_in(conf: Conf, options: Options) -> Option<Cluster> {
        if need_root().is_err() {
            println!("skipped: needs root");
            return None;
        }
        let turn = Turn::wait();
        let options = Options {
            conf: Some(conf.directory.clone()),
            file_system: FileSystem::Ext3,
            servers: conf.servers,
            data_partitions: conf.data_partitions,
            ..options
        };
        let lab = Lab::up(options).unwrap();
        let missing = !lab.directory().join("server1/opt/mainstay/bin/clusterpro").exists();
        assert!(!missing, "the product is not built: cargo build --workspace");
        Some(Cluster { lab, _conf: conf, _turn: turn })
    }

    /// The cluster of `conf` with both servers online and the group active on server1.
    pub fn up(conf: Conf) -> Option<Cluster> {
        let cluster = Cluster::boot(conf, true)?;
        cluster.settle();
        Some(cluster)
    }

    /// Waits until both servers are online and the group is active on server1.
    pub fn settle(&self) {
        self.until("both servers are online, the group on server1", || {
            self.server("server1", "server2") == "Online"
                && self.server("server2", "server1") == "Online"
                && self.is_active_on("server1")
        });
    }

    /// Waits for a condition; fails when it does not come true.
    pub fn until(&self, what: &str, condition: impl FnMut() -> bool) {
        if let Err(error) = self.lab.wait_for(what, SOON, condition) {
            panic!("{error:#}");
        }
    }

    /// What a person would look at after a failure: status, record and log of each server.
    fn tell(&self) {
        for server in self.lab.servers() {
            let status = self.lab.exec(&server, &["timeout", "5", "clpstat"]).map(|output| output.stdout);
            println!("{server}: {}", status.unwrap_or_else(|error| format!("{error:#}")));
            for file in ["alert/log/alertlog.alt", "log/clusterpro.log.cur", "log/transfer.log"] {
                let text = fs::read(self.lab.directory().join(&server).join("opt/mainstay").join(file)).unwrap_or_default();
                let text = String::from_utf8_lossy(&text);
                let from = text.lines().count().saturating_sub(30);
                text.lines().skip(from).for_each(|line| println!("{server} {file}: {line}"));
            }
        }
    }

    /// Runs a command on a server; it must succeed. Returns what it printed.
    pub fn run(&self, server: &str, command: &[&str]) -> String {
        let output = self.lab.exec(server, command).unwrap();
        assert!(output.is_ok(), "{server}: {command:?}: {output:?}");
        output.stdout
    }

    /// Runs a shell line on a server and says whether it succeeded.
    pub fn is_true(&self, server: &str, line: &str) -> bool {
        self.lab.exec(server, &["sh", "-c", line]).is_ok_and(|output| output.is_ok())
    }

    /// What `clpstat --json` says on a server; null while it says nothing.
    pub fn status(&self, server: &str) -> Value {
        let output = self.lab.exec(server, &["clpstat", "--json"]);
        output.ok().and_then(|output: Output| serde_json::from_str(&output.stdout).ok()).unwrap_or(Value::Null)
    }

    /// Status of the server `of` as `server` sees it.
    pub fn server(&self, server: &str, of: &str) -> String {
        text(named(&self.status(server)["servers"], of), "status")
    }

    /// Status of a heartbeat path or resolution of the server `of` as `server` sees it.
    pub fn path(&self, server: &str, of: &str, path: &str) -> String {
        text(named(&named(&self.status(server)["servers"], of)["paths"], path), "status")
    }

    /// Status of a monitor as `server` sees it.
    pub fn monitor(&self, server: &str, monitor: &str) -> String {
        text(named(&self.status(server)["monitors"], monitor), "status")
    }

    /// Status and server of the group failover1 as `server` sees it.
    pub fn group(&self, server: &str) -> (String, String) {
        let status = self.status(server);
        let group = named(&status["groups"], "failover1");
        (text(group, "status"), text(group, "current"))
    }

    /// Where a group is online, as `server` sees it; empty when it is not.
    pub fn place(&self, server: &str, group: &str) -> String {
        let status = self.status(server);
        let group = named(&status["groups"], group);
        if text(group, "status") == "Online" { text(group, "current") } else { String::new() }
    }

    /// Waits until every server says that the group is online on `wanted`.
    pub fn placed(&self, group: &str, wanted: &str) {
        self.until(&format!("{group} is online on {wanted}"), || {
            let up = self.servers().into_iter().filter(|server| !self.is_off(server));
            up.into_iter().all(|server| self.place(&server, group) == wanted)
        });
    }

    /// Who answers the question for its name at an address and port of the public network; empty when nobody does.
    pub fn responder(&self, target: &str) -> String {
        let (address, port) = target.split_once(':').unwrap();
        let line = format!("exec 3<>/dev/tcp/{address}/{port} && head -n1 <&3");
        self.lab.client(&["timeout", "1", "bash", "-c", &line]).unwrap().stdout.trim().to_string()
    }

    /// Status of one resource of failover1 as `server` sees it.
    pub fn resource(&self, server: &str, resource: &str) -> String {
        let status = self.status(server);
        text(named(&named(&status["groups"], "failover1")["resources"], resource), "status")
    }

    /// Says whether the group is really active on a server: its own status, the mount, the address, the application.
    pub fn is_active_on(&self, server: &str) -> bool {
        self.group(server) == ("Online".to_string(), server.to_string())
            && self.has_mount(server)
            && self.has_address(server)
            && self.answerer() == server
    }

    /// Says whether the shared file system is mounted on a server.
    pub fn has_mount(&self, server: &str) -> bool {
        self.is_true(server, "mountpoint -q /mnt/sdb2")
    }

    /// Says whether a server has the floating address.
    pub fn has_address(&self, server: &str) -> bool {
        self.is_true(server, "ip -4 addr show dev eth0 | grep -q 'inet 10.0.0.12/'")
    }

    /// Who answers at the floating address; empty when nobody does.
    pub fn answerer(&self) -> String {
        let request = "exec 3<>/dev/tcp/10.0.0.12/8080 && printf 'GET / HTTP/1.0\\r\\n\\r\\n' >&3 && cat <&3";
        let output = self.lab.client(&["timeout", "1", "bash", "-c", request]).unwrap();
        let body = output.stdout.split("\r\n\r\n").nth(1).unwrap_or_default().to_string();
        body.split_whitespace().next().unwrap_or_default().to_string()
    }

    /// Waits until the group is active on `server` and nothing of it is left on `other`.
    pub fn moved_to(&self, server: &str, other: &str) {
        self.until(&format!("the group is active on {server}"), || self.is_active_on(server));
        assert!(!self.has_mount(other) && !self.has_address(other), "{other} still has a part of the group");
    }

    /// Says whether a server is down.
    pub fn is_off(&self, server: &str) -> bool {
        self.lab.server_status(server).is_ok_and(|status| status.phase == Phase::Off)
    }

    /// How often a server has booted.
    pub fn boots(&self, server: &str) -> u32 {
        self.lab.server_status(server).map_or(0, |status| status.boots)
    }

    /// Says whether the alert or log record of a server holds a text.
    pub fn has_logged(&self, server: &str, text: &str) -> bool {
        let log = self.lab.directory().join(server).join("opt/mainstay/log");
        let files = fs::read_dir(log).into_iter().flatten().flatten();
        files.filter_map(|file| fs::read_to_string(file.path()).ok()).any(|content| content.contains(text))
    }
}

fn named<'a>(list: &'a Value, name: &str) -> &'a Value {
    static NOTHING: Value = Value::Null;
    list.as_array().and_then(|list| list.iter().find(|entry| entry["name"] == name)).unwrap_or(&NOTHING)
}

fn text(value: &Value, key: &str) -> String {
    value[key].as_str().unwrap_or_default().to_string()
}
