//! The hand-written chapters of the manual as tests: every line behind a prompt is run, in order, and must succeed.
//!
//! `server1# …` and `both# …` are run there; in comments stand what the reader does with his hands (`lab: power-off server1`)
//! and what only a lab needs. `build$ …` is not run: building is what this test was built by.
#![allow(clippy::unwrap_used, reason = "a case fails by panicking")]

mod cluster;

use cluster::{Cluster, Conf};
use std::{fs, path::Path};

/// Where the lab has the product, and the programs of a fresh installation beside it.
const PLACE: &str = "/opt/mainstay";
const FRESH: &str = "/opt/fresh";

/// A chapter with the lab that it is run in.
struct Chapter<'a> {
    cluster: &'a Cluster,
    /// The product's directory in place of [`PLACE`].
    place: &'a str,
    lines: usize,
}

impl Chapter<'_> {
    fn run(&mut self, name: &str) {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/manual").join(name);
        for line in fs::read_to_string(path).unwrap().lines() {
            let line = line.trim();
            let line = line.strip_prefix("<!-- ").and_then(|line| line.strip_suffix(" -->")).unwrap_or(line);
            if let Some(action) = line.strip_prefix("lab: ") {
                println!("{line}");
                self.act(action);
            } else if let Some((prompt, command)) = line.split_once("# ") {
                match prompt {
                    "server1" | "server2" => self.type_in(prompt, command),
                    "both" => ["server1", "server2"].into_iter().for_each(|server| self.type_in(server, command)),
                    _ => {}
                }
            }
        }
        assert!(self.lines > 10, "{name} has only {} lines", self.lines);
    }

    fn type_in(&mut self, server: &str, command: &str) {
        println!("{server}# {command}");
        self.lines += 1;
        let command = command.replace(PLACE, self.place).replace("target/release/", &format!("{PLACE}/bin/"));
        if let Some(files) = command.strip_prefix("scp ") {
            return self.copy(server, files);
        }
        let line = format!("export CLP_ROOT={0} PATH={0}/bin:$PATH; {command}", self.place);
        let output = self.cluster.exec(server, &["bash", "-c", &line]).unwrap();
        assert!(output.is_ok(), "{server}# {command}\n{output:?}");
    }

    /// Between servers without sshd: through the machine.
    fn copy(&self, server: &str, files: &str) {
        let (from, to) = files.split_once(' ').unwrap();
        let (other, to) = to.split_once(':').unwrap();
        let lab = self.cluster.directory();
        fs::copy(lab.join(server).join(from.trim_start_matches('/')), lab.join(other).join(to.trim_start_matches('/'))).unwrap();
    }

    fn act(&self, action: &str) {
        let cluster = self.cluster;
        let words: Vec<&str> = action.split(' ').collect();
        match words.as_slice() {
            ["power-on", server] => cluster.power_on(server).unwrap(),
            ["power-off", server] => drop(cluster.power_off(server).unwrap()),
            ["off", server] => cluster.until(&format!("{server} is down"), || cluster.is_off(server)),
            ["active", server] => cluster.until(&format!("the group is active on {server}"), || cluster.is_active_on(server)),
            ["active-anywhere"] => {
                cluster.until("the group is active", || cluster.is_active_on("server1") || cluster.is_active_on("server2"));
            }
            ["runs", server] => cluster.until("its service answers", || cluster.server(server, server) == "Online"),
            ["online"] => cluster.until("both servers are online and the group too", || self.is_online()),
            ["sample", place] => {
                let sample = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../samples/two-node-disk");
                let place = cluster.directory().join("server1").join(place.trim_start_matches('/'));
                assert!(std::process::Command::new("cp").arg("-r").arg(sample).arg(place).status().unwrap().success());
            }
            // A new server: nothing of the old one but its name, its programs and its trust.
            ["anew", server] => {
                cluster.power_off(server).unwrap();
                let root = cluster.directory().join(server).join("opt/mainstay");
                for part in ["work", "log", "alert", "scripts"] {
                    let _ = fs::remove_dir_all(root.join(part));
                    let _ = fs::remove_file(root.join(part));
                }
                for entry in fs::read_dir(root.join("etc")).unwrap().flatten().filter(|entry| entry.file_name() != "trust") {
                    let _ = fs::remove_file(entry.path());
                    let _ = fs::remove_dir_all(entry.path());
                }
                cluster.power_on(server).unwrap();
                assert!(!cluster.is_true(server, "test -e /opt/mainstay/etc/clp.conf"));
            }
            _ => panic!("the lab cannot {action}"),
        }
    }

    fn is_online(&self) -> bool {
        let line = format!("CLP_ROOT={0} {0}/bin/clpstat --json", self.place);
        ["server1", "server2"].into_iter().all(|server| {
            let said = self.cluster.exec(server, &["bash", "-c", &line]);
            let status: serde_json::Value =
                said.ok().and_then(|output| serde_json::from_str(&output.stdout).ok()).unwrap_or_default();
            let all = |list: &str| {
                let list = status[list].as_array().filter(|list| !list.is_empty());
                list.is_some_and(|list| list.iter().all(|one| one["status"] == "Online"))
            };
            all("servers") && all("groups")
        })
    }
}

#[test]
fn the_product_is_installed_as_the_manual_says() {
    let Some(cluster) = Cluster::up(Conf::sample()) else { return };
    cluster.run("server1", &["clpcl", "-t", "-a"]);
    for server in ["server1", "server2"] {
        cluster.run(server, &["pkill", "-x", "clusterpro_trn"]);
        cluster.until("nothing of the product runs", || !cluster.is_true(server, "pgrep clusterpro"));
    }
    Chapter { cluster: &cluster, place: FRESH, lines: 0 }.run("install.md");
    // What was installed is what runs.
    for server in ["server1", "server2"] {
        assert!(cluster.is_true(server, &format!("readlink /proc/$(pgrep -o -x clusterpro)/exe | grep -q ^{FRESH}/")));
    }
    assert!(cluster.has_mount("server1") && cluster.has_address("server1"));
}

#[test]
fn the_procedures_of_the_manual_work_as_they_stand() {
    // Who starts alone waits that long for the other one.
    let Some(cluster) = Cluster::up(Conf::sample().with("<bootwait>30000<", "<bootwait>8000<")) else { return };
    Chapter { cluster: &cluster, place: PLACE, lines: 0 }.run("procedures.md");
}

#[test]
fn the_commands_for_trouble_work_as_they_stand() {
    let Some(cluster) = Cluster::up(Conf::sample()) else { return };
    // A record to look at.
    cluster.run("server1", &["clpcl", "-r", "-a"]);
    cluster.settle();
    Chapter { cluster: &cluster, place: PLACE, lines: 0 }.run("troubleshooting.md");
}
