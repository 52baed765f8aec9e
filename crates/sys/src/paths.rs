//! Where the product lives: every path derives from one root.

use std::path::{Path, PathBuf};

/// The root directory when `CLP_ROOT` is not set.
pub const DEFAULT_ROOT: &str = "/opt/mainstay";

/// The product's root directory.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Root(PathBuf);

impl Default for Root {
    fn default() -> Self {
        Root(PathBuf::from(DEFAULT_ROOT))
    }
}

impl Root {
    /// From `CLP_ROOT`, else the default.
    pub fn from_env() -> Root {
        std::env::var_os("CLP_ROOT").filter(|root| !root.is_empty()).map_or_else(Root::default, |root| Root(root.into()))
    }

    /// At a directory.
    pub fn at(path: impl Into<PathBuf>) -> Root {
        Root(path.into())
    }

    /// The directory itself.
    pub fn path(&self) -> &Path {
        &self.0
    }

    /// Programs.
    pub fn bin(&self) -> PathBuf {
        self.0.join("bin")
    }

    /// Configuration.
    pub fn etc(&self) -> PathBuf {
        self.0.join("etc")
    }

    /// The configuration file in force.
    pub fn conf(&self) -> PathBuf {
        self.0.join("etc/clp.conf")
    }

    /// Keys and certificates.
    pub fn trust(&self) -> PathBuf {
        self.0.join("etc/trust")
    }

    /// Scripts of resources and monitors.
    pub fn scripts(&self) -> PathBuf {
        self.0.join("scripts")
    }

    /// Logs.
    pub fn log(&self) -> PathBuf {
        self.0.join("log")
    }

    /// Sockets and locks.
    pub fn run(&self) -> PathBuf {
        self.0.join("run")
    }

    /// Small state that survives a reboot.
    pub fn work(&self) -> PathBuf {
        self.0.join("work")
    }

    /// Which record of a witness or an etcd a partition resolution of this server trusts.
    pub fn witnessed(&self, resolution: &str) -> PathBuf {
        self.work().join("witness").join(resolution)
    }
}
