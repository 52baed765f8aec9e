//! clpcfctrl --push: check a configuration, compare it with the one in force and distribute it to all its servers.
//!
//! What a change needs is computed by `clp_config::diff`; what is printed about it stands in `difference.rs`.

use std::path::{Path, PathBuf};

use clp_services::client::{self, ReachError};
use clp_services::stage;
use clp_sys::paths::Root;

use super::difference::Difference;
use super::{parse, root};
use crate::declaration::{Absent, Command, DIRECTORY, Example, Failure, Form, HOST, Opt, Part};
use crate::parse::Parsed;
use crate::{screen, waiting};

/// Its declaration.
pub const COMMAND: Command = Command {
    name: "clpcfctrl",
    summary: "distribute configuration data to the servers named in it",
    forms: &[Form {
        mode: "--push",
        parts: &[Part::One(&["-l", "-w"]), Part::Any(&["-x", "-h", "--json"])],
        help: "check clp.conf and scripts, show what differs from the configuration in force, and switch all servers to them or none",
    }],
    options: &[
        Opt { name: "--push", also: &[], value: None, help: "distribute" },
        Opt { name: "-l", also: &[], value: None, help: "the data were saved on Linux; both are understood either way" },
        Opt { name: "-w", also: &[], value: None, help: "the data were saved for or on Windows" },
        Opt {
            name: "-x",
            also: &[],
            value: Some(DIRECTORY),
            help: "directory with clp.conf and scripts; without it the configuration in force is sent again",
        },
        Opt { name: "-h", also: &[], value: Some(HOST), help: "only to this server, for one that was installed anew" },
        Opt { name: "--json", also: &[], value: None, help: "the difference, and what became of it, as JSON" },
    ],
    absent: &[
        Absent { names: &["-d", "-m"], why: "there are no floppy disks in this version; name the directory with -x" },
        Absent {
            names: &["--pull"],
            why: "not in this version; the data in force lie in etc/current below the product's directory",
        },
        Absent {
            names: &["--force"],
            why: "not in this version: what is in force is only replaced where no cluster service would go on with the old",
        },
        Absent {
            names: &["--compcheck", "--compinfo"],
            why: "not in this version; --push checks the data before it sends anything",
        },
        Absent { names: &["-p"], why: "the port is the one of the configuration" },
    ],
    notes: &[
        "Every server is held first: while the servers are switched no cluster service starts. One server that cannot be reached, or whose cluster service runs and would have to read something new, and nothing is changed anywhere; the operation that is needed is named. Scripts and what no server reads are distributed while the cluster runs.",
        "What is allowed and unwise (one LAN heartbeat only, no second way beside the LANs, no network partition resolution) is told as a warning on standard error.",
        "The last line holds the exit code: Command succeeded.(code:0) or Command failed.(code:1). In (cfmgr:N) 0 stands for done, 1 for a server that could not be reached or did not take the data, 2 for a cluster service that has to be stopped first.",
        "Ctrl-C before the switch changes nothing; during the switch it only ends the wait.",
    ],
    examples: &[
        Example { line: "clpcfctrl --push -x /root/conf", what: "distribute the data in /root/conf" },
        Example { line: "clpcfctrl --push -h server2", what: "send the data in force to server2, which was installed anew" },
    ],
    run,
};

fn run(parsed: &Parsed) -> Result<(), Failure> {
    push(parsed).map_err(|Failure(words)| Failure::new(format!("{words}\nCommand failed.(code:1)")))
}

fn push(parsed: &Parsed) -> Result<(), Failure> {
    let root = root();
    waiting::goes_on("nothing was changed on any server");
    let (path, scripts) = match parsed.value("-x").map(PathBuf::from) {
        Some(directory) if is_same(&directory, &root.etc()) => {
            return Err(Failure::new(format!(
                "{} holds clp.conf without its scripts: leave out -x to send what is in force again",
                directory.display()
            )));
        }
        Some(directory) => (directory.join("clp.conf"), directory.join("scripts")),
        None => (root.conf(), root.scripts()),
    };
    let bytes = std::fs::read(&path).map_err(|cause| Failure::new(format!("{} cannot be read: {cause}", path.display())))?;
    let (_, configuration) = parse(&bytes, &path.display().to_string())?;
    for advice in clp_config::advise(&configuration) {
        screen::error(&format!("warning: {advice}"));
    }
    let files = match parsed.value("-x") {
        Some(directory) => stage::collect(Path::new(directory)),
        None => stage::in_use(&root),
    }
    .map_err(Failure::new)?;
    let mut servers: Vec<Addressed> = configuration.servers.iter().map(addressed).collect();
    if let Some(host) = parsed.value("-h") {
        servers.retain(|(name, addresses)| name == host || addresses.iter().any(|address| address == host));
        if servers.is_empty() {
            let names: Vec<&str> = configuration.servers.iter().map(|server| server.name.as_str()).collect();
            return Err(Failure::new(format!("there is no server {host}; servers are {}", names.join(", "))));
        }
    }
    let difference = Difference::to_what_is_in_force(&root, &scripts, &bytes, &configuration)?;
    if parsed.has("-h") && difference.is_between_servers() {
        return Err(Failure::new(
            "the data differ from what is in force here, and one server must not have another configuration than the rest: leave out -h, or leave out -x to send what is in force",
        ));
    }
    // A server that is taken out is asked too: it must not go on with what it has.
    let removed = if parsed.has("-h") { Vec::new() } else { difference.removed_servers() };
    let running = running(&root, &servers, &removed)?;
    let refused = (!running.is_empty() && !difference.is_without_effect()).then(|| difference.needed(&running));
    let result = match refused {
        Some(words) => Err(words),
        None => client::push(&root, &files, &servers, screen::progress, || {
            waiting::goes_on("the servers are being switched to the new data; see log/transfer.log");
        })
        .map_err(|cause| format!("{cause}(cfmgr:1)")),
    };
    if parsed.has("--json") {
        screen::line(&difference.json(&running, result.as_ref().err().map(String::as_str)).to_string());
        return result.map_err(Failure::new);
    }
    screen::text(&difference.text());
    result.map_err(Failure::new)?;
    screen::line("The upload is completed successfully.(cfmgr:0)");
    if difference.needs_manager_restart() {
        screen::line("To apply the changes you made, restart the WebManager.");
    }
    screen::line("Command succeeded.(code:0)");
    Ok(())
}

fn is_same(one: &Path, other: &Path) -> bool {
    one.canonicalize().is_ok_and(|one| other.canonicalize().is_ok_and(|other| one == other))
}

/// A server's name and addresses.
pub(super) type Addressed = (String, Vec<String>);

/// How a server is reached.
pub(super) fn addressed(server: &clp_config::Server) -> Addressed {
    (server.name.clone(), server.lan_addresses().iter().map(ToString::to_string).collect())
}

/// Names of servers whose cluster service runs. A removed server that does not answer is taken as off, and said so.
fn running(root: &Root, servers: &[Addressed], removed: &[Addressed]) -> Result<Vec<String>, Failure> {
    let mut running = Vec::new();
    for (index, (server, addresses)) in servers.iter().chain(removed).enumerate() {
        match client::is_running(root, server, addresses) {
            Ok(false) => {}
            Ok(true) => running.push(server.clone()),
            Err(ReachError::NoTransfer) => return Err(Failure::new(ReachError::NoTransfer.to_string())),
            Err(cause) if index >= servers.len() => {
                screen::error(&format!(
                    "{cause}; {server} is no longer in the configuration: make sure that its cluster service is stopped"
                ));
            }
            Err(cause) => return Err(Failure::new(format!("{cause}; nothing was changed on any server(cfmgr:1)"))),
        }
    }
    Ok(running)
}
