//! clpcfctrl --push: check a configuration, compare it with the one in force and distribute it to all its servers.
//!
//! What a change needs is computed by `clp_config::diff`; what is printed about it stands in `difference.rs`.

use std::path::PathBuf;

use clp_services::client::{self, ReachError};
use clp_sys::paths::Root;

use super::difference::Difference;
use super::{parse, root};
use crate::options::{Command, Failure, Opt, Parsed, usage};
use crate::screen;

/// Its declaration.
pub const COMMAND: Command = Command {
    name: "clpcfctrl",
    summary: "distribute configuration data to the servers named in it",
    usage: &["--push [-l|-w] [-x DIRECTORY] [-h HOST] [--json]"],
    options: &[
        Opt { name: "--push", value: None, help: "distribute" },
        Opt { name: "-l", value: None, help: "the data were saved on Linux" },
        Opt { name: "-w", value: None, help: "the data were saved for or on Windows" },
        Opt {
            name: "-x",
            value: Some("DIRECTORY"),
            help: "directory with clp.conf and scripts; default: the configuration in force",
        },
        Opt { name: "-h", value: Some("HOST"), help: "only to this server" },
        Opt { name: "--json", value: None, help: "the difference to the configuration in force, and what became of it, as JSON" },
    ],
    run,
};

fn run(parsed: &Parsed) -> Result<(), Failure> {
    if !parsed.has("--push") || !parsed.words.is_empty() {
        return Err(Failure::new(format!("clpcfctrl: give --push\n{}", usage(&COMMAND))));
    }
    push(parsed).map_err(|Failure(words)| Failure::new(format!("{words}\nCommand failed.(code:1)")))
}

fn push(parsed: &Parsed) -> Result<(), Failure> {
    let root = root();
    let directory = match parsed.value("-x") {
        Some(directory) => PathBuf::from(directory),
        None if root.etc().join("current").exists() => root.etc().join("current"),
        None => return Err(Failure::new("nothing was distributed to this server yet; name the directory with -x")),
    };
    let path = directory.join("clp.conf");
    let bytes = std::fs::read(&path).map_err(|cause| Failure::new(format!("{} cannot be read: {cause}", path.display())))?;
    let configuration = parse(&bytes, &path.display().to_string())?;
    let mut servers: Vec<Addressed> = configuration.servers.iter().map(addressed).collect();
    if let Some(host) = parsed.value("-h") {
        servers.retain(|(name, addresses)| name == host || addresses.iter().any(|address| address == host));
        if servers.is_empty() {
            let names: Vec<&str> = configuration.servers.iter().map(|server| server.name.as_str()).collect();
            return Err(Failure::new(format!("there is no server {host}; servers are {}", names.join(", "))));
        }
    }
    let difference = Difference::to_what_is_in_force(&root, &directory, &bytes, &configuration)?;
    // A server that is taken out is asked too: it must not go on with what it has.
    let removed = if parsed.has("-h") { Vec::new() } else { difference.removed_servers() };
    let running = running(&root, &servers, &removed)?;
    let refused = (!running.is_empty() && !difference.is_without_effect()).then(|| difference.needed(&running));
    let result = match refused {
        Some(words) => Err(words),
        None => client::push(&root, &directory, &servers, screen::progress, || {}).map_err(|cause| format!("{cause}(cfmgr:1)")),
    };
    if result.is_ok() {
        let by = format!("clpcfctrl on {}", clp_sys::identity::hostname());
        // The upload is done whether it can be recorded or not.
        if let Err(cause) = clp_services::alertlog::write(&root, &clp_alerts::Alert::configuration_uploaded(&by)) {
            screen::error(&format!("the alert cfmgr 1 could not be recorded: {cause}"));
        }
    }
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
