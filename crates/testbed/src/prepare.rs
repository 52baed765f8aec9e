//! The files that a server keeps from boot to boot: its `/etc`, `/opt/mainstay` with configuration, scripts and trust, `/var`.
//!
//! Written once when the lab is made. The programs themselves are bound in at each boot (see `tree`).

use anyhow::{Context, Result, bail};
use std::{
    fs,
    os::unix::fs::{PermissionsExt, symlink},
    path::{Path, PathBuf},
    process::Command,
};

use crate::{
    places::Places,
    tools::{run, run_with_input},
    tree::{ETC, KEPT, PROGRAMS},
    wires::CLIENT_ADDRESS,
};

/// What runs when a server boots, unless a test writes another `/etc/rc.boot`.
const RC_BOOT: &str = "#!/bin/sh
# Runs at every boot of this server, as its init system would. An empty /etc/mainstay-disabled leaves the cluster stopped.
if [ -x /opt/mainstay/bin/clusterpro_trn ] && [ -f /opt/mainstay/bin/clusterpro ]; then
    setsid clusterpro_trn </dev/null &
fi
if [ -x /opt/mainstay/bin/clusterpro ] && [ -f /opt/mainstay/etc/clp.conf ] && [ ! -e /etc/mainstay-disabled ]; then
    setsid clusterpro </dev/null &
fi
exit 0
";

/// Directories of a fresh `/var`.
const VAR: [&str; 6] = ["lib", "log", "tmp", "cache", "spool", "lib/misc"];

/// Writes the files of all servers.
///
/// # Errors
/// A file cannot be written, or `conf` holds no `clp.conf`.
pub fn servers(places: &Places, names: &[String], conf: Option<&Path>, programs: &Path) -> Result<()> {
    let trust = make_trust(places, names, programs)?;
    for (index, name) in names.iter().enumerate() {
        let directory = places.server(name);
        for kept in KEPT.into_iter().chain(ETC).chain(["tree"]) {
            fs::create_dir_all(directory.join(kept))?;
        }
        fs::write(directory.join("console.log"), "")?;
        for place in VAR {
            fs::create_dir_all(directory.join("var").join(place))?;
        }
        fs::set_permissions(directory.join("var/tmp"), fs::Permissions::from_mode(0o1777))?;
        symlink("/run", directory.join("var/run"))?;
        symlink("/run/lock", directory.join("var/lock"))?;
        etc(&directory.join("etc"), name, names)?;
        product(&directory.join("opt"), name, index, conf, programs, trust.as_deref())
            .with_context(|| format!("cannot put the product's files into {name}"))?;
    }
    Ok(())
}

fn etc(etc: &Path, name: &str, names: &[String]) -> Result<()> {
    let mut hosts = String::from("127.0.0.1 localhost\n");
    for (index, name) in names.iter().enumerate() {
        let number = index + 1;
        hosts += &format!("192.168.0.{number} {name} {name}-interconnect\n10.0.0.{number} {name}-public\n");
    }
    hosts += &format!("{CLIENT_ADDRESS} client\n10.0.0.254 gateway\n192.168.0.254 gateway-interconnect\n");
    fs::write(etc.join("hosts"), hosts)?;
    fs::write(etc.join("hostname"), format!("{name}\n"))?;
    fs::write(etc.join("rc.boot"), RC_BOOT)?;
    fs::set_permissions(etc.join("rc.boot"), fs::Permissions::from_mode(0o755))?;
    Ok(())
}

/// Commands that are names of the program `clp`, as it says itself; none where it is not built.
fn commands(programs: &Path) -> Result<Vec<String>> {
    let program = programs.join("clp");
    if !program.exists() {
        return Ok(Vec::new());
    }
    let output = Command::new(&program).arg("--list").output().with_context(|| format!("cannot run {}", program.display()))?;
    Ok(String::from_utf8_lossy(&output.stdout).lines().map(String::from).collect())
}

fn product(opt: &Path, name: &str, index: usize, conf: Option<&Path>, programs: &Path, trust: Option<&Path>) -> Result<()> {
    let root = opt.join("mainstay");
    for place in ["bin", "etc/trust", "scripts", "log", "run", "work"] {
        fs::create_dir_all(root.join(place))?;
    }
    fs::create_dir_all(opt.join("nec"))?;
    symlink("/opt/mainstay", opt.join("nec/clusterpro"))?;
    for program in PROGRAMS.into_iter().filter(|program| programs.join(program).exists()) {
        fs::write(root.join("bin").join(program), "")?;
        fs::set_permissions(root.join("bin").join(program), fs::Permissions::from_mode(0o755))?;
    }
    symlink("clusterpro", root.join("bin/clusterpro_trn"))?;
    for command in commands(programs)? {
        symlink("clp", root.join("bin").join(command))?;
    }
    if let Some(conf) = conf {
        let file = conf.join("clp.conf");
        fs::copy(&file, root.join("etc/clp.conf")).with_context(|| format!("cannot copy {}", file.display()))?;
        if conf.join("scripts").is_dir() {
            let (from, to) = (conf.join("scripts"), root.join("scripts"));
            run(&["cp", "--recursive", "--no-target-directory", &from.to_string_lossy(), &to.to_string_lossy()])?;
            run(&["chmod", "--recursive", "u=rwX,go=", &to.to_string_lossy()])?;
            run(&["find", &to.to_string_lossy(), "-type", "f", "-exec", "chmod", "0700", "{}", "+"])?;
        }
    }
    if let Some(trust) = trust {
        let sources = ["ca.pem".to_string(), format!("{name}.pem"), format!("{name}.key"), "cluster.key".to_string()];
        for (source, target) in sources.iter().zip(["ca.pem", "server.pem", "server.key", "cluster.key"]) {
            let target = root.join("etc/trust").join(target);
            fs::copy(trust.join(source), &target).with_context(|| format!("no {source} for server {}", index + 1))?;
            fs::set_permissions(&target, fs::Permissions::from_mode(0o600))?;
        }
    }
    Ok(())
}

/// Lets the product make keys and certificates for the lab; `None` when the product is not built.
fn make_trust(places: &Places, names: &[String], programs: &Path) -> Result<Option<PathBuf>> {
    let program = programs.join("clusterpro");
    if !program.exists() {
        return Ok(None);
    }
    let out = places.directory.join("trust");
    fs::create_dir_all(&out)?;
    fs::set_permissions(&out, fs::Permissions::from_mode(0o700))?;
    let (program, out_name) = (program.to_string_lossy(), out.to_string_lossy());
    let mut command = vec![&*program, "clusterpro_trn", "--make-trust", &*out_name];
    command.extend(names.iter().map(String::as_str));
    run_with_input(&command, "").context("cannot make keys and certificates for the lab")?;
    if !out.join("ca.pem").exists() {
        bail!("{program} made no certificate authority");
    }
    Ok(Some(out))
}
