//! What the commands say to a lab's supervisor, one question and one answer per connection, as JSON lines.
//!
//! Running a program in a server needs no supervisor (see `lab`); changing the lab does.

use anyhow::{Context, Result, anyhow, bail};
use serde::{Deserialize, Serialize};
use std::{
    io::{self, BufRead, BufReader, Write},
    os::unix::net::UnixStream,
    path::Path,
    time::Duration,
};

use crate::options::{Cut, DiskState, Weather};

/// A question to the supervisor.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub enum Question {
    /// How are the servers?
    Status,
    /// Takes the power from a server.
    PowerOff(String),
    /// Gives it back; answers when the server has booted.
    PowerOn(String),
    /// Freezes everything in a server.
    Pause(String),
    /// Lets it go on.
    Resume(String),
    /// Cuts.
    Cut(Cut),
    /// Undoes cuts of this server and net (and peer, if one is named).
    Heal(Cut),
    /// Changes what the bench's own switches do to frames.
    Weather(Weather),
    /// Changes a server's path to the shared disk, for this time at most if one is said.
    Disk(String, DiskState, Option<Duration>),
    /// Takes the lab down.
    Down,
}

impl Question {
    /// How long the answer may take: more than what the supervisor itself allows for it.
    pub fn limit(&self) -> Duration {
        Duration::from_secs(match self {
            Question::Status => 5,
            Question::Cut(_)
            | Question::Heal(_)
            | Question::Weather(_)
            | Question::Disk(..)
            | Question::Pause(_)
            | Question::Resume(_) => 15,
            Question::PowerOff(_) => 20,
            Question::PowerOn(_) | Question::Down => 40,
        })
    }
}

/// How a server is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ServerStatus {
    /// Its name.
    pub name: String,
    /// off, booting, up or paused.
    pub phase: Phase,
    /// How often it has booted.
    pub boots: u32,
    /// Why it last went down, if it ever did.
    pub last_end: Option<String>,
    /// The state of its path to the shared disk.
    pub disk: DiskState,
    /// When something of this boot last reached each partition for data, in microseconds of the machine's clock since boot; 0: never.
    #[serde(default)]
    pub writes: Vec<u64>,
    /// What of its links is cut, as it was ordered.
    #[serde(default)]
    pub cuts: Vec<Cut>,
    /// Its loop device, for those who look from outside.
    pub loop_device: Option<String>,
}

/// The life of a server.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Phase {
    /// No power.
    Off,
    /// On the way up.
    Booting,
    /// Its `/etc/rc.boot` runs or has run.
    Up,
    /// Up, with everything in it frozen.
    Paused,
}

/// When a server lost its power, on the machine's clock since boot: the instant from which outages are measured.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct PowerCut {
    /// Just before the first step of the cut, in microseconds.
    pub at_us: u64,
    /// From there until disk path, links and processes had been told, in microseconds.
    pub took_us: u64,
}

/// The answer.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub enum Answer {
    /// Done.
    Done,
    /// How the servers are.
    Servers(Vec<ServerStatus>),
    /// A server's power is off.
    Off(PowerCut),
    /// Not done, and why.
    Refused(String),
}

/// Asks the supervisor that listens on `socket`.
///
/// # Errors
/// The lab is not up, or the supervisor does not answer in time. A refusal is an answer.
pub fn ask(socket: &Path, question: &Question) -> Result<Answer> {
    let mut stream = UnixStream::connect(socket).context("the lab's supervisor cannot be reached")?;
    stream.set_read_timeout(Some(question.limit()))?;
    stream.set_write_timeout(Some(question.limit()))?;
    send(&mut stream, question)?;
    receive(&mut BufReader::new(stream)).map_err(|error| match error.downcast_ref::<io::Error>() {
        Some(cause) if cause.kind() == io::ErrorKind::WouldBlock => anyhow!("no answer within {:?}", question.limit()),
        _ => error,
    })
}

/// Writes one message.
///
/// # Errors
/// The other side has gone.
pub fn send(stream: &mut UnixStream, message: &impl Serialize) -> Result<()> {
    let mut line = serde_json::to_vec(message)?;
    line.push(b'\n');
    stream.write_all(&line).context("the lab's supervisor has gone")
}

/// Reads one message.
///
/// # Errors
/// The other side has gone or talks nonsense.
pub fn receive<T: for<'a> Deserialize<'a>>(stream: &mut impl BufRead) -> Result<T> {
    let mut line = String::new();
    stream.read_line(&mut line)?;
    if line.is_empty() {
        bail!("the other side ended before it said anything");
    }
    serde_json::from_str(&line).context("what the other side said is no message")
}
