//! A server's BMC over IPMI, by the distribution's `ipmitool`: power off, then the power state read back *off* twice.
//!
//! Nothing but that state is a proof: a command that was accepted is none, and a cycle or reset is not asked for. The password reaches
//! ipmitool by its environment, which root alone can read, and stands in no message.

use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::sync::Mutex;
use std::sync::PoisonError;
use std::time::{Duration, Instant};

use clp_config::{Bmc, Password};
use clp_sys::paths::Root;
use clp_sys::process::{Outcome, Output, Program, run};

use super::{StopCause, StopFailed, Stopper};

const PROGRAM: &str = "ipmitool";
/// Seconds until ipmitool repeats a datagram, and how often it does: a BMC answers in milliseconds, a busy one in a second or two.
const REPEAT: [&str; 4] = ["-N", "1", "-R", "3"];
/// One command, session included.
const COMMAND_MAX: Duration = Duration::from_secs(10);
/// Between the two readings that prove it, and between two looks at a power that is still on.
const AGAIN: Duration = Duration::from_millis(500);
/// Between two commands to switch off while the power stays on: it may take a moment.
const PRESS_AGAIN: Duration = Duration::from_secs(3);
/// Readings in a row that must say off: one alone may be a BMC's slip.
const READINGS: u32 = 2;
/// The cipher suites that are tried when none is configured, the better one first.
const SUITES: [u8; 2] = [17, 3];

/// A server's BMC.
#[derive(Debug)]
pub struct Ipmi {
    server: String,
    bmc: Bmc,
    env: Vec<(String, String)>,
    /// The cipher suite that it took.
    suite: Mutex<Option<u8>>,
}

impl Ipmi {
    /// Of this server.
    pub fn new(root: &Root, server: &str, bmc: &Bmc) -> Ipmi {
        let env = crate::environment::general(root);
        Ipmi { server: server.into(), bmc: bmc.clone(), env, suite: Mutex::new(bmc.cipher) }
    }

    /// Is the power on?
    ///
    /// # Errors
    /// It cannot be read.
    pub fn is_on(&self, until: Instant) -> Result<bool, StopFailed> {
        let said = self.command("status", until)?;
        said.lines().find_map(power_of).ok_or_else(|| {
            self.failed(StopCause::Failed(format!("it says nothing of its power: {:?}", last_line(&said))), "see its own console")
        })
    }

    /// Two readings in a row that say off, `AGAIN` apart; between them a power that is on is switched off by `press`, if given.
    pub(super) fn read_back(&self, until: Instant, press: bool) -> Result<String, StopFailed> {
        let begun = Instant::now();
        let mut pressed: Option<Instant> = None;
        let mut press_failed: Option<StopFailed> = None;
        let mut off = 0;
        loop {
            if press && off == 0 && pressed.is_none_or(|at| at.elapsed() >= PRESS_AGAIN) {
                pressed = Some(Instant::now());
                // Some refuse to switch off what is off already: only what is read counts.
                press_failed = self.command("off", until).err();
            }
            let trouble = match self.is_on(until) {
                Ok(false) => {
                    off += 1;
                    let cause = StopCause::Failed("the time ran out between two readings".into());
                    self.failed(cause, "raise mainstay/forcestop/timeout")
                }
                Ok(true) => {
                    off = 0;
                    let said = match &press_failed {
                        Some(failed) if failed.cause == StopCause::Unprivileged => return Err(failed.clone()),
                        Some(failed) => failed.cause.to_string(),
                        None if press => "it was told to switch off".into(),
                        None => "nothing has switched it off".into(),
                    };
                    self.failed(StopCause::StillOn(said), "switch the server off by hand")
                }
                // Again and again a wrong password makes some BMCs lock the user out.
                Err(failed) if failed.cause == StopCause::Refused => return Err(failed),
                Err(failed) => {
                    off = 0;
                    failed
                }
            };
            if off >= READINGS {
                let took = begun.elapsed().as_millis();
                return Ok(format!("its {} reads power off, {READINGS} times, after {took} ms", self.place()));
            }
            if until.saturating_duration_since(Instant::now()) <= AGAIN {
                return Err(trouble);
            }
            std::thread::sleep(AGAIN);
        }
    }

    fn place(&self) -> String {
        format!("BMC {}", self.bmc.address)
    }

    fn failed(&self, cause: StopCause, remedy: &'static str) -> StopFailed {
        StopFailed { at: format!("{} of {}", self.place(), self.server), cause, remedy }
    }

    /// `chassis power WORD`, with the best cipher suite that both have; what ipmitool said.
    fn command(&self, word: &str, until: Instant) -> Result<String, StopFailed> {
        let remember = |suite| *self.suite.lock().unwrap_or_else(PoisonError::into_inner) = suite;
        let known = *self.suite.lock().unwrap_or_else(PoisonError::into_inner);
        if self.bmc.interface == "lan" || self.bmc.cipher.is_some() {
            return self.run(word, known, until);
        }
        // What it took before may be another BMC's by now.
        let suites = known.into_iter().chain(SUITES.into_iter().filter(|suite| Some(*suite) != known));
        let mut last = None;
        for suite in suites {
            let said = self.run(word, Some(suite), until);
            match said.as_ref().map_err(|failed| &failed.cause) {
                Err(StopCause::Cipher) => last = Some(said),
                // Whoever refuses the user has taken the suite.
                Ok(_) | Err(StopCause::Refused | StopCause::Unprivileged) => {
                    remember(Some(suite));
                    return said;
                }
                Err(_) => return said,
            }
        }
        last.expect("there are suites to try")
    }

    fn run(&self, word: &str, suite: Option<u8>, until: Instant) -> Result<String, StopFailed> {
        let limit = until.saturating_duration_since(Instant::now()).min(COMMAND_MAX);
        if limit.is_zero() {
            return Err(self.failed(StopCause::Silent, REMEDY_SILENT));
        }
        let bmc = &self.bmc;
        let (address, port) = (bmc.address.to_string(), bmc.port.to_string());
        let privilege = bmc.privilege.to_uppercase();
        // With -v it says why a session fails; keys appear from -vv on only.
        let mut argv = vec![PROGRAM, "-v", "-I", &bmc.interface, "-H", &address, "-p", &port, "-L", &privilege, "-E"];
        argv.extend(REPEAT);
        if !bmc.user.is_empty() {
            argv.extend(["-U", &bmc.user]);
        }
        let suite = suite.filter(|_| bmc.interface == "lanplus").map(|suite| suite.to_string());
        if let Some(suite) = &suite {
            argv.extend(["-C", suite]);
        }
        argv.extend(["chassis", "power", word]);
        let mut env = self.env.clone();
        env.push(("IPMI_PASSWORD".into(), self.password()?));
        let program =
            Program { argv: argv.into_iter().map(String::from).collect(), env, limit, output: Output::Keep, cgroup: None };
        match run(&program) {
            Outcome::Exited { code: 0, output } => Ok(output),
            Outcome::Exited { output, .. } => Err(self.explained(&output)),
            Outcome::TimedOut { .. } => Err(self.failed(StopCause::Silent, REMEDY_SILENT)),
            Outcome::NotStarted { reason } => {
                let cause = StopCause::Missing(format!("{PROGRAM} cannot be run here: {reason}"));
                Err(self.failed(cause, "install the package ipmitool on every server"))
            }
            outcome @ Outcome::Signaled { .. } => {
                Err(self.failed(StopCause::Failed(format!("{PROGRAM}: {}", outcome.words())), "try it by hand"))
            }
        }
    }

    fn explained(&self, output: &str) -> StopFailed {
        let says = |words: &[&str]| words.iter().any(|words| output.contains(words));
        if says(&["Insufficient privilege", "insufficient privilege", "unauthorized role", "invalid role"]) {
            return self.failed(StopCause::Unprivileged, "give the user the privilege operator on LAN");
        }
        if says(&["HMAC is invalid", "unauthorized name", "Activate Session command failed", "invalid user", "Invalid user"]) {
            return self.failed(StopCause::Refused, "correct mainstay/bmc/user and its password, here or on the BMC");
        }
        if says(&[
            "invalid authentication algorithm",
            "invalid integrity algorithm",
            "invalid confidentiality algorithm",
            "no cipher suite match",
        ]) {
            return self.failed(StopCause::Cipher, "set mainstay/bmc/cipher to one that it has");
        }
        if says(&["Get Auth Capabilities", "Could not open socket", "Get Channel Authentication Capabilities"]) {
            return self.failed(StopCause::Silent, REMEDY_SILENT);
        }
        let words = format!("{PROGRAM} failed: {}", last_line(output));
        self.failed(StopCause::Failed(words), "try it by hand with ipmitool")
    }

    /// Read for each command: it may be changed while the service runs.
    fn password(&self) -> Result<String, StopFailed> {
        match &self.bmc.password {
            Password::Plain(password) => Ok(password.clone()),
            Password::File(path) => read_password(Path::new(path)).map_err(|cause| {
                self.failed(StopCause::Password(cause), "write it into that file, root's and with mode 0600, on every server")
            }),
        }
    }
}

const REMEDY_SILENT: &str = "check its address, its LAN and that IPMI over LAN is switched on";

impl Stopper for Ipmi {
    fn stop(&self, until: Instant) -> Result<String, StopFailed> {
        self.read_back(until, true)
    }

    fn look(&self, until: Instant) -> Result<String, StopFailed> {
        let word = if self.is_on(until)? { "on" } else { "off" };
        Ok(format!("its {} reads power {word}", self.place()))
    }
}

/// Whether a line of ipmitool tells the power.
fn power_of(line: &str) -> Option<bool> {
    match line.trim() {
        "Chassis Power is on" => Some(true),
        "Chassis Power is off" => Some(false),
        _ => None,
    }
}

fn last_line(output: &str) -> &str {
    output.trim().lines().last().unwrap_or_default().trim()
}

/// The first line of a file that nobody else can read or change.
fn read_password(path: &Path) -> Result<String, String> {
    let at = |cause: &dyn std::fmt::Display| format!("{}: {cause}", path.display());
    let metadata = fs::metadata(path).map_err(|cause| at(&cause))?;
    if !metadata.is_file() {
        return Err(at(&"it is no file"));
    }
    if metadata.uid() != 0 || metadata.mode() & 0o077 != 0 {
        return Err(at(&format!("others may read it (owner {}, mode {:04o})", metadata.uid(), metadata.mode() & 0o7777)));
    }
    let text = fs::read_to_string(path).map_err(|cause| at(&cause))?;
    let password = text.lines().next().unwrap_or_default();
    if password.is_empty() || password.contains('\0') { Err(at(&"its first line is no password")) } else { Ok(password.into()) }
}

#[cfg(test)]
mod tests;
