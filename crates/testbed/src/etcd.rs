//! An etcd of three members for the clusters of a lab: on the client, which is a machine of its own on the public network.
//!
//! Belongs to the lab: it dies with it, its data lie in the lab's directory.

use std::fs;
use std::path::PathBuf;
use std::process::{Child, Stdio};
use std::time::Duration;

use anyhow::{Context, Result};
use rustix::process::{Pid, Signal, WaitOptions, kill_process, waitpid};

use crate::lab::Lab;
use crate::tools::wait_until;
use crate::wires::CLIENT_ADDRESS;

/// Members.
pub const MEMBERS: usize = 3;
/// Of the first member; its peers' port follows, then the next one's.
const PORT: u16 = 2379;
/// An election takes a second or two.
const START_LIMIT: Duration = Duration::from_secs(60);

/// Longest wait for a member's own word that it is well.
const ASK_LIMIT: Duration = Duration::from_secs(2);

/// An etcd that runs, or did.
pub struct Etcd<'a> {
    lab: &'a Lab,
    directory: PathBuf,
    members: Vec<Option<Child>>,
}

fn client(member: usize) -> String {
    format!("{CLIENT_ADDRESS}:{}", usize::from(PORT) + 2 * member)
}

fn peer(member: usize) -> String {
    format!("http://{CLIENT_ADDRESS}:{}", usize::from(PORT) + 2 * member + 1)
}

/// Where its members listen, as a configuration names them.
pub fn endpoints() -> String {
    (0..MEMBERS).map(client).collect::<Vec<_>>().join(",")
}

impl<'a> Etcd<'a> {
    /// Starts it.
    ///
    /// # Errors
    /// The lab is down, or etcd is not installed or does not start.
    pub fn start(lab: &'a Lab) -> Result<Etcd<'a>> {
        let directory = lab.directory().join("etcd");
        fs::create_dir_all(&directory).context("cannot make the directory of etcd")?;
        let mut etcd = Etcd { lab, directory, members: (0..MEMBERS).map(|_| None).collect() };
        etcd.run_all()?;
        Ok(etcd)
    }

    /// Runs all members, which must not run, until they answer.
    ///
    /// # Errors
    /// They do not.
    pub fn run_all(&mut self) -> Result<()> {
        (0..MEMBERS).try_for_each(|member| self.run(member))?;
        wait_until("etcd answers", START_LIMIT, || (0..MEMBERS).all(|member| self.is_healthy(member)))
            .with_context(|| fs::read_to_string(self.log(0)).unwrap_or_default())?;
        Ok(())
    }

    /// Runs a member, which must not run.
    ///
    /// # Errors
    /// It cannot be started.
    pub fn run(&mut self, member: usize) -> Result<()> {
        let all: Vec<String> = (0..MEMBERS).map(|member| format!("m{member}={}", peer(member))).collect();
        let (url, peer, all) = (format!("http://{}", client(member)), peer(member), all.join(","));
        let (name, data) = (format!("m{member}"), self.data(member).display().to_string());
        let mut command = self.lab.client_command(&[
            "etcd",
            "--name",
            &name,
            "--data-dir",
            &data,
            "--initial-cluster",
            &all,
            "--listen-client-urls",
            &url,
            "--advertise-client-urls",
            &url,
            "--listen-peer-urls",
            &peer,
            "--initial-advertise-peer-urls",
            &peer,
        ])?;
        let log = fs::File::create(self.log(member))?;
        let child = command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(log).spawn();
        self.members[member] = Some(child.context("cannot run etcd; tools/deps installs it")?);
        Ok(())
    }

    fn data(&self, member: usize) -> PathBuf {
        self.directory.join(format!("m{member}"))
    }

    fn log(&self, member: usize) -> PathBuf {
        self.directory.join(format!("m{member}.log"))
    }

    fn is_healthy(&self, member: usize) -> bool {
        // A thread of its own becomes the client; it would not come back.
        let asked = std::thread::scope(|scope| {
            let ask = || {
                self.lab.enter_client()?;
                crate::http::ask(&client(member), "/health", ASK_LIMIT)
            };
            scope.spawn(ask).join()
        });
        asked.is_ok_and(|said| said.is_ok_and(|said| said.contains("true")))
    }

    /// Kills a member, as a power failure would.
    ///
    /// # Errors
    /// It does not run.
    pub fn kill(&mut self, member: usize) -> Result<()> {
        let mut child = self.members[member].take().context("this member of etcd does not run")?;
        child.kill()?;
        child.wait()?;
        Ok(())
    }

    /// Kills those that run.
    ///
    /// # Errors
    /// As of [`Etcd::kill`].
    pub fn kill_all(&mut self) -> Result<()> {
        let running: Vec<usize> = (0..MEMBERS).filter(|member| self.members[*member].is_some()).collect();
        running.into_iter().try_for_each(|member| self.kill(member))
    }

    /// Stops a member, or lets it go on: connections stay and nothing is answered.
    ///
    /// # Errors
    /// It does not run.
    pub fn freeze(&self, member: usize, is_frozen: bool) -> Result<()> {
        let pid = Pid::from_child(self.members[member].as_ref().context("this member of etcd does not run")?);
        kill_process(pid, if is_frozen { Signal::STOP } else { Signal::CONT }).context("cannot stop etcd")?;
        if is_frozen {
            // Its last thread stands still a little later.
            waitpid(Some(pid), WaitOptions::UNTRACED).context("etcd does not stand still")?;
        }
        Ok(())
    }

    /// Loses the data of all members, which must not run.
    ///
    /// # Errors
    /// They cannot be removed.
    pub fn forget(&self) -> Result<()> {
        (0..MEMBERS).try_for_each(|member| fs::remove_dir_all(self.data(member))).context("cannot remove the data of etcd")
    }
}

impl Drop for Etcd<'_> {
    fn drop(&mut self) {
        for mut child in self.members.drain(..).flatten() {
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}
