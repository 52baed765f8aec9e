//! A power controller (BMC) for a server of a lab: the real simulator of OpenIPMI (`ipmi_sim`) at the gateway, whose chassis is the lab's
//! server. What it is told happens (`testbed power-off`), and what it says is so (`testbed list`).
//!
//! Belongs to the lab: it dies with it, its files lie in the lab's directory.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, Result, bail};

use crate::lab::{Lab, Output};
use crate::tools::wait_until;

/// The one who may switch the server off.
pub const USER: &str = "cluster";
/// That user's password.
pub const PASSWORD: &str = "in-the-lab";
/// The port of IPMI over LAN.
pub const PORT: u16 = 623;

const CONTROLLER: &str = "mc_setbmc 0x20\nmc_add 0x20 0 no-device-sdrs 0x23 9 8 0x9f 0x1291 0xf02 persist_sdr\nmc_enable 0x20\n";
/// The simulator is there within milliseconds.
const START_LIMIT: Duration = Duration::from_secs(20);

/// A BMC that runs.
pub struct Bmc<'a> {
    lab: &'a Lab,
    address: String,
    directory: PathBuf,
    pid: String,
}

impl<'a> Bmc<'a> {
    /// Can there be one on this machine? The reason otherwise.
    ///
    /// # Errors
    /// A program is missing.
    pub fn is_possible() -> Result<(), String> {
        let path = std::env::var_os("PATH").unwrap_or_default();
        let is_there = |program: &&str| std::env::split_paths(&path).any(|folder| folder.join(program).is_file());
        match ["ipmi_sim", "ipmitool"].iter().find(|program| !is_there(program)) {
            Some(missing) => Err(format!("{missing} is not installed (tools/deps)")),
            None => Ok(()),
        }
    }

    /// Starts the BMC of `server` at an address of the public network. `testbed` is the program of that name.
    ///
    /// # Errors
    /// The lab is down, the address is taken, or the simulator does not start.
    pub fn start(lab: &'a Lab, testbed: &Path, server: &str, address: &str) -> Result<Bmc<'a>> {
        let directory = lab.directory().join(format!("bmc-{server}"));
        fs::create_dir_all(directory.join("state")).context("cannot make the BMC's directory")?;
        let control = directory.join("control");
        fs::write(&control, chassis(testbed, lab.name(), server, &directory))?;
        fs::set_permissions(&control, fs::Permissions::from_mode(0o755))?;
        fs::write(directory.join("emu"), CONTROLLER)?;
        fs::write(directory.join("lan.conf"), settings(server, address, &control))?;
        let device = "ip -o -4 addr show to 10.0.0.254 | awk '{print $2; exit}'";
        done(lab, &format!("ip addr add {address}/24 dev $({device})"))?;
        let mut bmc = Bmc { lab, address: address.into(), directory, pid: String::new() };
        bmc.run()?;
        Ok(bmc)
    }

    fn run(&mut self) -> Result<()> {
        let at = self.directory.display();
        // Without a terminal, and as a process of its own that the lab ends.
        let line = format!("setsid ipmi_sim -n -c {at}/lan.conf -f {at}/emu -s {at}/state </dev/null >{at}/out 2>&1 & echo $!");
        self.pid = done(self.lab, &line)?.trim().to_string();
        let mut last = String::new();
        wait_until(&format!("the BMC at {} answers", self.address), START_LIMIT, || match self.ask("status") {
            Ok(output) => {
                last = output.stdout.clone() + &output.stderr;
                output.is_ok()
            }
            Err(error) => {
                last = format!("{error:#}");
                false
            }
        })
        .with_context(|| last.clone())?;
        Ok(())
    }

    /// What `ipmitool chassis power WORD` of the gateway says to it.
    ///
    /// # Errors
    /// The lab is down.
    pub fn ask(&self, word: &str) -> Result<Output> {
        let (port, environment) = (PORT.to_string(), format!("IPMI_PASSWORD={PASSWORD}"));
        let fixed = ["env", &environment, "ipmitool", "-I", "lanplus", "-C", "3", "-N", "1", "-R", "1", "-L", "OPERATOR", "-E"];
        let own = ["-U", USER, "-H", &self.address, "-p", &port, "chassis", "power", word];
        self.lab.gateway(&[&fixed[..], &own[..]].concat())
    }

    /// Takes its power: it answers nothing any more.
    ///
    /// # Errors
    /// The lab is down.
    pub fn end(&self) -> Result<()> {
        done(self.lab, &format!("kill -KILL {} && while kill -0 {} 2>/dev/null; do sleep 0.02; done", self.pid, self.pid))
            .map(drop)
    }

    /// Gives it its power back.
    ///
    /// # Errors
    /// It does not start.
    pub fn restart(&mut self) -> Result<()> {
        self.run()
    }

    /// What its chassis was asked, oldest first, such as `get power` and `set power 0`.
    pub fn asked(&self) -> Vec<String> {
        let text = fs::read_to_string(self.directory.join("asked")).unwrap_or_default();
        text.lines().map(String::from).collect()
    }
}

/// Runs a shell line at the gateway; what it printed.
fn done(lab: &Lab, line: &str) -> Result<String> {
    let output = lab.gateway(&["sh", "-c", line])?;
    if !output.is_ok() {
        bail!("{line}: {}", output.stderr.trim());
    }
    Ok(output.stdout)
}

fn settings(server: &str, address: &str, control: &Path) -> String {
    format!(
        "name \"{server}\"\nset_working_mc 0x20\nstartlan 1\n  addr {address} {PORT}\n  priv_limit admin\n  \
         allowed_auths_admin none md2 md5 straight\n  allowed_auths_operator none md2 md5 straight\n  \
         allowed_auths_user none md2 md5 straight\n  allowed_auths_callback none md2 md5 straight\n  \
         guid a123456789abcdefa123456789abcdef\nendlan\nchassis_control \"{}\"\nstartnow false\n\
         user 2 true \"{USER}\" \"{PASSWORD}\" operator 10 none md2 md5 straight\n",
        control.display()
    )
}

/// The chassis: `get power` is the lab's own word, `set power 0` kills everything in the server, and ends when that is so.
fn chassis(testbed: &Path, lab: &str, server: &str, directory: &Path) -> String {
    let (testbed, directory) = (testbed.display(), directory.display());
    format!(
        "#!/bin/sh\n\
         echo \"$*\" >>'{directory}/asked'\n\
         PATH=$PATH:/usr/sbin:/sbin\n\
         does=$1\nshift\n\
         case $does in\n\
         get)\n\
         \tfor what; do\n\
         \t\tcase $what in\n\
         \t\tpower)\n\
         \t\t\tphase=$('{testbed}' list | awk -v lab='{lab}' -v server='{server}' '!/^ / {{ own = ($1 == lab) }} own && $1 == server {{ print $2 }}')\n\
         \t\t\tcase $phase in\n\
         \t\t\toff) echo power:0 ;;\n\
         \t\t\t'') exit 1 ;;\n\
         \t\t\t*) echo power:1 ;;\n\
         \t\t\tesac ;;\n\
         \t\t*) echo $what:0 ;;\n\
         \t\tesac\n\
         \tdone ;;\n\
         set)\n\
         \twhile [ $# -gt 1 ]; do\n\
         \t\tcase $1=$2 in\n\
         \t\tpower=0) '{testbed}' power-off --name '{lab}' '{server}' >>'{directory}/out' 2>&1 || exit 1 ;;\n\
         \t\tpower=1) setsid '{testbed}' power-on --name '{lab}' '{server}' </dev/null >>'{directory}/out' 2>&1 & ;;\n\
         \t\tesac\n\
         \t\tshift 2\n\
         \tdone ;;\n\
         esac\n\
         exit 0\n"
    )
}
