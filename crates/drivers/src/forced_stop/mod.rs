//! Switches a lost server off and proves that it is: by its BMC (`ipmi.rs`) or by a script (`script.rs`). When that is done, and what
//! a proof allows, is decided in the core (`clp_core::forcing`).

mod ipmi;
mod script;

use std::time::Instant;

use clp_config::{Configuration, ForcedStopMethod, Server};
use clp_sys::paths::Root;

pub use ipmi::Ipmi;
pub use script::Script;

/// What switches one server off.
pub trait Stopper: Send + Sync {
    /// Switch it off and read back that it is; blocks until about `until`. How it was read back off, in words.
    ///
    /// # Errors
    /// It is not certain that it is off: the server, where it was asked, why, and what helps.
    fn stop(&self, until: Instant) -> Result<String, StopFailed>;

    /// Would that work? Changes nothing; blocks until about `until`. What was seen, in words.
    ///
    /// # Errors
    /// It would not, as far as can be seen without trying.
    fn look(&self, until: Instant) -> Result<String, StopFailed>;
}

/// A server is not proven off, or could not be now.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{at}: {cause}; {remedy}")]
pub struct StopFailed {
    /// What was asked, such as "BMC 10.0.0.201 of server1".
    pub at: String,
    /// Why it did not do.
    pub cause: StopCause,
    /// What helps.
    pub remedy: &'static str,
}

/// Why a server is not proven off.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum StopCause {
    /// Nothing answers there.
    #[error("it does not answer")]
    Silent,
    /// User or password are wrong.
    #[error("it refuses user or password")]
    Refused,
    /// The user may not do this.
    #[error("its user lacks the privilege")]
    Unprivileged,
    /// It has no cipher suite that was asked for.
    #[error("it has none of the cipher suites asked for")]
    Cipher,
    /// It answers, and the power is on all the same.
    #[error("its power is still on: {0}")]
    StillOn(String),
    /// The password cannot be had.
    #[error("the password cannot be read: {0}")]
    Password(String),
    /// Something is missing here.
    #[error("{0}")]
    Missing(String),
    /// A program failed, in its words.
    #[error("{0}")]
    Failed(String),
}

/// What switches `server` off, asked from `local`; None when nothing is configured.
pub fn stopper(configuration: &Configuration, root: &Root, local: &Server, server: &Server) -> Option<Box<dyn Stopper>> {
    let forced_stop = configuration.forced_stop.as_ref()?;
    let bmc = || server.bmc.as_ref().map(|bmc| Ipmi::new(root, &server.name, bmc));
    match &forced_stop.method {
        ForcedStopMethod::Ipmi => Some(Box::new(bmc()?)),
        ForcedStopMethod::Script { path, proves } => {
            let read_back = if *proves { None } else { Some(bmc()?) };
            Some(Box::new(Script::new(root, path, &local.name, &server.name, read_back)))
        }
    }
}
