//! clpcfctrl --push: check a configuration and distribute it to all its servers.

use std::path::PathBuf;

use clp_services::client::{self, ReachError};

use super::{parse, root};
use crate::options::{Command, Failure, Opt, Parsed, usage};
use crate::screen;

/// Its declaration.
pub const COMMAND: Command = Command {
    name: "clpcfctrl",
    summary: "distribute configuration data to the servers named in it",
    usage: &["--push [-l|-w] [-x DIRECTORY] [-h HOST]"],
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
    ],
    run,
};

fn run(parsed: &Parsed) -> Result<(), Failure> {
    let root = root();
    if !parsed.has("--push") || !parsed.words.is_empty() {
        return Err(Failure::new(format!("clpcfctrl: give --push\n{}", usage(&COMMAND))));
    }
    let directory = match parsed.value("-x") {
        Some(directory) => PathBuf::from(directory),
        None if root.etc().join("current").exists() => root.etc().join("current"),
        None => return Err(Failure::new("nothing was distributed to this server yet; name the directory with -x")),
    };
    let path = directory.join("clp.conf");
    let bytes = std::fs::read(&path).map_err(|cause| Failure::new(format!("{} cannot be read: {cause}", path.display())))?;
    let configuration = parse(&bytes, &path.display().to_string())?;
    let mut servers: Vec<(String, Vec<String>)> = configuration
        .servers
        .iter()
        .map(|server| (server.name.clone(), server.lan_addresses().iter().map(ToString::to_string).collect()))
        .collect();
    if let Some(host) = parsed.value("-h") {
        servers.retain(|(name, addresses)| name == host || addresses.iter().any(|address| address == host));
        if servers.is_empty() {
            let names: Vec<&str> = configuration.servers.iter().map(|server| server.name.as_str()).collect();
            return Err(Failure::new(format!("there is no server {host}; servers are {}", names.join(", "))));
        }
    }
    refuse_while_running(&root, &servers)?;
    client::push(&root, &directory, &servers, screen::progress).map_err(|cause| Failure::new(format!("{cause}(cfmgr:1)")))?;
    screen::line("The upload is completed successfully.(cfmgr:0)");
    screen::line("Command succeeded.(code:0)");
    Ok(())
}

/// This version applies a configuration at the start of the service only.
fn refuse_while_running(root: &clp_sys::paths::Root, servers: &[(String, Vec<String>)]) -> Result<(), Failure> {
    for (server, addresses) in servers {
        match client::is_running(root, server, addresses) {
            Ok(false) => {}
            Ok(true) => {
                return Err(Failure::new(format!(
                    "the upload is cancelled: the cluster service of {server} is running; stop the cluster first (clpcl -t -a)(cfmgr:2)"
                )));
            }
            Err(ReachError::NoTransfer) => return Err(Failure::new(ReachError::NoTransfer.to_string())),
            Err(cause) => return Err(Failure::new(format!("{cause}; nothing was changed on any server(cfmgr:1)"))),
        }
    }
    Ok(())
}
