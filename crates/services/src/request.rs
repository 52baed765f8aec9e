//! What is asked of `clusterpro_trn`, locally on its socket and between servers over TLS.

use serde::{Deserialize, Serialize};

/// A question or order.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(tag = "ask", rename_all = "snake_case")]
pub enum Request {
    /// Are you there, and of which version?
    Version,
    /// Start the cluster service of this server.
    StartDaemon,
    /// Hand a control request to this server's engine.
    Relay {
        /// One request of the control API.
        request: serde_json::Value,
    },
    /// Run a script that is kept on this server for that purpose.
    Script {
        /// Where it is kept.
        shelf: Shelf,
        /// Its file name there.
        name: String,
        /// Seconds after which it is ended.
        limit_s: u64,
    },
    /// Show the configuration file in force.
    Configuration,
    /// Keep a configuration ready, without using it.
    Stage {
        /// Its number.
        generation: u64,
        /// Their checksum, see `stage::checksum`.
        checksum: String,
        /// clp.conf and scripts.
        files: Vec<StagedFile>,
    },
    /// Keep the cluster service from starting until the switch to this generation is over; refused while it runs and
    /// would have to read something new. Ends by itself after a minute.
    Hold {
        /// Its number.
        generation: u64,
    },
    /// End that.
    Release {
        /// Its number.
        generation: u64,
    },
    /// Hold all these servers, switch them to what was kept ready there, let go; only on the local socket. Done here and
    /// not in the command: a command that is killed must not leave some servers switched.
    Switch {
        /// Its number.
        generation: u64,
        /// Its checksum.
        checksum: String,
        /// All servers of the push.
        servers: Vec<Target>,
        /// Who pushes, for the alert record.
        #[serde(default)]
        by: String,
    },
    /// Use the configuration that was kept ready.
    Commit {
        /// Its number.
        generation: u64,
        /// Its checksum: what is switched to is what was meant.
        checksum: String,
        /// Who pushes, for the alert record.
        #[serde(default)]
        by: String,
    },
    /// Forget it.
    Abort {
        /// Its number.
        generation: u64,
    },
    /// Ask another server; only on the local socket.
    Forward {
        /// Its name.
        server: String,
        /// Its addresses, best first; empty: as in the configuration in force.
        addresses: Vec<String>,
        /// What is asked there.
        inner: Box<Request>,
    },
}

/// A directory below `work` with scripts that other servers may ask for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Shelf {
    /// Those of `clptrnreq`.
    Trnreq,
    /// Those of `clprexec`.
    Rexec,
}

impl Shelf {
    /// Name of the directory.
    pub fn word(self) -> &'static str {
        match self {
            Shelf::Trnreq => "trnreq",
            Shelf::Rexec => "rexec",
        }
    }
}

/// A server of a push.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Target {
    /// Its name.
    pub name: String,
    /// Its addresses, best first; empty: as in the configuration in force.
    pub addresses: Vec<String>,
}

/// A file of a configuration.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct StagedFile {
    /// Below the root, such as `scripts/failover1/exec1/start.sh`.
    pub path: String,
    /// Is it executable?
    pub executable: bool,
    /// Its bytes, in base 16: small files, readable by every tool.
    pub hex: String,
}

/// The answer.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "answer", rename_all = "snake_case")]
pub enum Reply {
    /// It is so.
    Done,
    /// The version.
    Version {
        /// Of the product.
        version: String,
        /// Is the engine answering?
        engine: bool,
    },
    /// The engine's reply.
    Relayed {
        /// One reply of the control API.
        reply: serde_json::Value,
    },
    /// The configuration file.
    Configuration {
        /// Its bytes, in base 16.
        hex: String,
    },
    /// The engine of that server does not run.
    NotRunning {
        /// Which server.
        server: String,
    },
    /// It was not done.
    Failed {
        /// What and why.
        reason: String,
    },
}
