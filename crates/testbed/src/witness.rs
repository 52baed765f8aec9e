//! A witness for the clusters of a lab: the real `clpwitness` on the client, which is a machine of its own on the public network.
//!
//! Belongs to the lab: it dies with it, its states lie in the lab's directory.

use std::fs;
use std::path::PathBuf;
use std::process::{Child, Stdio};
use std::time::Duration;

use anyhow::{Context, Result, bail};

use crate::lab::Lab;
use crate::tools::wait_until;
pub use crate::wires::CLIENT_ADDRESS as ADDRESS;

/// Its usual port.
pub const PORT: u16 = 29_020;
/// The program listens within milliseconds.
const START_LIMIT: Duration = Duration::from_secs(20);

/// A witness that runs, or did.
pub struct Witness<'a> {
    lab: &'a Lab,
    directory: PathBuf,
    child: Option<Child>,
}

impl<'a> Witness<'a> {
    /// Starts it, with the cluster of `server` added by the line that is printed there.
    ///
    /// # Errors
    /// The lab is down, or the program is not built or does not start.
    pub fn start(lab: &'a Lab, server: &str) -> Result<Witness<'a>> {
        let directory = lab.directory().join("witness");
        fs::create_dir_all(&directory).context("cannot make the witness's directory")?;
        let mut witness = Witness { lab, directory, child: None };
        witness.add(server)?;
        witness.run()?;
        Ok(witness)
    }

    fn program() -> Result<String> {
        let program = crate::making::programs_directory()?.join("clpwitness");
        if !program.exists() {
            bail!("{} is not built: cargo build --workspace", program.display());
        }
        Ok(program.display().to_string())
    }

    fn state(&self) -> String {
        self.directory.join("state").display().to_string()
    }

    /// Adds the cluster of that server.
    ///
    /// # Errors
    /// The server or the program refuses.
    pub fn add(&self, server: &str) -> Result<()> {
        let printed = self.lab.exec(server, &["clpwitness", "--key"])?;
        if !printed.is_ok() {
            bail!("clpwitness --key on {server}: {}", printed.stderr.trim());
        }
        let line = self.directory.join("line");
        fs::write(&line, printed.stdout)?;
        self.say(&["--add", &line.display().to_string()]).map(drop)
    }

    /// Runs one of its commands with its state; what it printed.
    ///
    /// # Errors
    /// It ends with another code than 0.
    pub fn say(&self, arguments: &[&str]) -> Result<String> {
        let (program, state) = (Self::program()?, self.state());
        let output = self.lab.client(&[&[program.as_str()], arguments, &["--state", state.as_str()]].concat())?;
        if !output.is_ok() {
            bail!("clpwitness {}: {}", arguments.join(" "), output.stderr.trim());
        }
        Ok(output.stdout)
    }

    /// Runs the program until it is killed.
    ///
    /// # Errors
    /// It does not listen.
    pub fn run(&mut self) -> Result<()> {
        let (program, state) = (Self::program()?, self.state());
        let log = self.directory.join("log");
        let listen = format!("{ADDRESS}:{PORT}");
        let mut command = self.lab.client_command(&[&program, "--listen", &listen, "--state", &state])?;
        let child = command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(fs::File::create(&log)?).spawn()?;
        self.child = Some(child);
        wait_until("the witness listens", START_LIMIT, || fs::read_to_string(&log).is_ok_and(|said| said.contains("listening")))
            .with_context(|| fs::read_to_string(&log).unwrap_or_default())?;
        Ok(())
    }

    /// Kills it, as a power failure would.
    ///
    /// # Errors
    /// It does not run.
    pub fn kill(&mut self) -> Result<()> {
        let mut child = self.child.take().context("the witness does not run")?;
        child.kill()?;
        child.wait()?;
        Ok(())
    }

    /// Stops it, or lets it go on: connections stay and nothing is answered.
    ///
    /// # Errors
    /// It does not run.
    pub fn freeze(&self, is_frozen: bool) -> Result<()> {
        let child = self.child.as_ref().context("the witness does not run")?;
        let pid = rustix::process::Pid::from_child(child);
        let signal = if is_frozen { rustix::process::Signal::STOP } else { rustix::process::Signal::CONT };
        rustix::process::kill_process(pid, signal).context("cannot stop the witness")
    }

    /// Loses its state directory, as a machine that was replaced.
    ///
    /// # Errors
    /// It cannot be removed.
    pub fn forget(&self) -> Result<()> {
        fs::remove_dir_all(self.state()).context("cannot remove the witness's state")
    }
}

impl Drop for Witness<'_> {
    fn drop(&mut self) {
        if let Some(mut child) = self.child.take() {
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}
