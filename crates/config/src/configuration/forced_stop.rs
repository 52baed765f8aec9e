//! Forced stop and the servers' BMCs, in force.

use std::fmt;
use std::net::IpAddr;
use std::time::Duration;

use crate::document::{Document, Element};
use crate::problem::Problem;
use crate::schema::forced_stop::{Bmc as BmcSection, ForcedStop as ForcedStopSection};

/// Cipher suites that authenticate and keep what is said secret; suite 0 lets everybody in.
const CIPHERS: &[u8] = &[3, 8, 12, 17];

/// How lost servers are switched off.
#[derive(Debug, Clone, PartialEq)]
pub struct ForcedStop {
    /// By what.
    pub method: ForcedStopMethod,
    /// One attempt.
    pub timeout: Duration,
    /// Between two looks.
    pub interval: Duration,
}

/// What switches a server off.
#[derive(Debug, Clone, PartialEq)]
pub enum ForcedStopMethod {
    /// Its BMC.
    Ipmi,
    /// A script.
    Script {
        /// Absolute, or a name below `scripts`.
        path: String,
        /// Its exit code 0 is a proof; else the power is read back from the server's BMC.
        proves: bool,
    },
}

impl ForcedStopMethod {
    /// As in the file.
    pub fn word(&self) -> &'static str {
        match self {
            ForcedStopMethod::Ipmi => "ipmi",
            ForcedStopMethod::Script { .. } => "script",
        }
    }

    /// Is a server's power read from its BMC?
    pub fn needs_bmc(&self) -> bool {
        !matches!(self, ForcedStopMethod::Script { proves: true, .. })
    }
}

/// The controller of a server's power.
#[derive(Debug, Clone, PartialEq)]
pub struct Bmc {
    /// Its address.
    pub address: IpAddr,
    /// Its UDP port.
    pub port: u16,
    /// Its user.
    pub user: String,
    /// How that user is known.
    pub password: Password,
    /// Privilege that is asked for.
    pub privilege: String,
    /// `lanplus` or `lan`.
    pub interface: String,
    /// Cipher suite; None: the best that it has.
    pub cipher: Option<u8>,
}

/// A password, or where it stands. It is never shown.
#[derive(Clone, PartialEq)]
pub enum Password {
    /// Itself.
    Plain(String),
    /// In the first line of a file.
    File(String),
}

impl fmt::Debug for Password {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Password::Plain(_) => f.write_str("Plain(***)"),
            Password::File(path) => write!(f, "File({path:?})"),
        }
    }
}

/// Does a password stand in the file itself? Then nobody but root may read it.
pub fn holds_password(document: &Document) -> bool {
    let written = |server: &Element| server.text_at("mainstay/bmc/password").is_some_and(|text| !text.is_empty());
    document.root().all("server").any(written)
}

/// From the root element; None when it is not used.
pub(super) fn read_forced_stop(root: &Element, problems: &mut Vec<Problem>) -> Option<ForcedStop> {
    let section = ForcedStopSection::read(root, "/root", &[], problems);
    if !section.used {
        return None;
    }
    let method = match section.method.as_str() {
        "ipmi" => ForcedStopMethod::Ipmi,
        "script" => ForcedStopMethod::Script { path: section.script, proves: section.script_proves },
        other => {
            let what = format!("forced stop by {other:?}");
            problems.push(Problem::new("/root/mainstay/forcestop/type", what, "this version knows ipmi and script"));
            return None;
        }
    };
    Some(ForcedStop { method, timeout: section.timeout, interval: section.interval })
}

/// Of a server; None when it has no address.
pub(super) fn read_bmc(server: &Element, at: &str, problems: &mut Vec<Problem>) -> Option<Bmc> {
    let section = BmcSection::read(server, at, &[], problems);
    if section.address.is_empty() {
        return None;
    }
    let mut add = |path: &str, what: String, remedy: &str| {
        problems.push(Problem::new(format!("{at}/mainstay/bmc/{path}"), what, remedy));
    };
    if !["operator", "administrator"].contains(&section.privilege.as_str()) {
        add(
            "privilege",
            format!("privilege {:?}", section.privilege),
            "choose operator or administrator: others may not switch off",
        );
    }
    if !["lanplus", "lan"].contains(&section.interface.as_str()) {
        add(
            "interface",
            format!("interface {:?}", section.interface),
            "choose lanplus, or lan for a BMC that knows IPMI 1.5 only",
        );
    }
    let cipher = match section.cipher.as_str() {
        "" => None,
        text => text.parse().ok().filter(|number| CIPHERS.contains(number)).or_else(|| {
            add("cipher", format!("cipher suite {text:?}"), "choose 17, 12, 8 or 3, or leave it empty: others do not protect");
            None
        }),
    };
    let password = match (section.password, section.password_file) {
        (password, file) if file.is_empty() => {
            if password.is_empty() {
                add(
                    "passwordfile",
                    "there is no password".into(),
                    "name the file that holds it (root's, mode 0600, on every server)",
                );
            }
            Password::Plain(password)
        }
        (password, file) => {
            if !password.is_empty() {
                add("password", "there is a password file besides".into(), "remove one of them");
            }
            if !file.starts_with('/') {
                add("passwordfile", format!("{file:?} is not an absolute path"), "give its whole path");
            }
            Password::File(file)
        }
    };
    let address = section.address.parse().map_err(|_| {
        let what = format!("{:?} is not an address", section.address);
        add("address", what, "give its IPv4 or IPv6 address: a name server can be lost with the server");
    });
    Some(Bmc {
        address: address.ok()?,
        port: section.port,
        user: section.user,
        password,
        privilege: section.privilege,
        interface: section.interface,
        cipher,
    })
}
