//! Text layouts of clpstat: fixed columns that administrators' scripts parse.
//!
//! Status texts are padded even before an empty comment, names are cut to their column, no control characters.

use clp_protocol::control::{ClusterStatus, PathStatus};

/// Widths of the two name columns.
#[derive(Debug, Clone, Copy)]
pub struct Widths {
    /// Servers, groups and monitors, from column 4.
    outer: usize,
    /// Heartbeats and resources, from column 6.
    inner: usize,
}

/// The default listing: the colon is at column 21.
pub const SHORT: Widths = Widths { outer: 17, inner: 15 };
/// The wide listing: the colon is at column 38.
pub const LONG: Widths = Widths { outer: 34, inner: 32 };

const STATUS: usize = 17;

fn cut(name: &str, length: usize) -> String {
    plain(name).chars().take(length).collect()
}

/// Scripts read lines and people read terminals: a comment must not break either.
pub fn plain(text: &str) -> String {
    text.chars().map(|letter| if letter.is_control() { ' ' } else { letter }).collect()
}

/// Name, a blank, dots up to the column.
fn dotted(name: &str, width: usize) -> String {
    let name = cut(name, width - 1);
    let dots = width - 1 - name.chars().count();
    format!("{name} {}", ".".repeat(dots))
}

fn padded(name: &str, width: usize) -> String {
    format!("{:<width$}", cut(name, width - 1))
}

/// A frame's upper line.
pub fn title(words: &str, left: usize, right: usize) -> String {
    format!(" {}  {words}  {}\n", "=".repeat(left), "=".repeat(right))
}

/// A frame's lower line.
pub fn bottom() -> String {
    format!(" {}\n", "=".repeat(69))
}

/// The fixed title of a heartbeat or partition resolution type.
pub fn kind_title(kind: &str) -> &str {
    match kind {
        "lanhb" => "LAN Heartbeat",
        "lankhb" => "Kernel Mode LAN Heartbeat",
        "diskhb" => "DISK Heartbeat",
        "comhb" => "COM Heartbeat",
        "pingnp" => "ping resolution",
        "majonp" => "majority resolution",
        "httpnp" => "http resolution",
        "etcdnp" => "etcd resolution",
        "ipmi" => "forced stop by IPMI",
        "script" => "forced stop by script",
        other => other,
    }
}

/// The default listing.
pub fn listing(status: &ClusterStatus, widths: Widths, local: bool) -> String {
    let mut text = title("CLUSTER STATUS", 24, 27);
    let row =
        |indent: &str, name: &str, value: &str, comment: &str| format!("{indent}{name}: {value:<STATUS$}{}\n", plain(comment));
    text.push_str(&format!("  Cluster : {}\n  <server>\n", status.cluster));
    for server in &status.servers {
        let indent = if server.name == status.local { "   *" } else { "    " };
        text.push_str(&row(indent, &dotted(&server.name, widths.outer), &server.status, &server.comment));
        for path in &server.paths {
            text.push_str(&row("      ", &padded(&path.name, widths.inner), &path.status, kind_title(&path.kind)));
        }
        // What is as it should be is no line: scripts know the others.
        if server.gate.starts_with("ungated") {
            text.push_str(&row("      ", &padded("address gate", widths.inner), "ungated", "floating addresses outlast a hang"));
        }
    }
    text.push_str("  <group>\n");
    for group in &status.groups {
        text.push_str(&row("    ", &dotted(&group.name, widths.outer), &group.status, &group.comment));
        let current = group.current.as_deref().unwrap_or("None");
        text.push_str(&format!("      {}: {current}\n", padded("current", widths.inner)));
        let mut resources: Vec<_> = group.resources.iter().collect();
        resources.sort_by(|left, right| left.name.cmp(&right.name));
        for resource in resources {
            text.push_str(&row("      ", &padded(&resource.name, widths.inner), &resource.status, &resource.comment));
        }
    }
    text.push_str("  <monitor>\n");
    let own = status.servers.iter().position(|server| server.name == status.local);
    let mut monitors: Vec<_> = status.monitors.iter().collect();
    monitors.sort_by(|left, right| left.name.cmp(&right.name));
    for monitor in monitors {
        let here = own.and_then(|own| monitor.servers.get(own)).filter(|_| local);
        text.push_str(&row("    ", &padded(&monitor.name, widths.outer), here.unwrap_or(&monitor.status), &monitor.comment));
    }
    text + &bottom()
}

fn index(status: &ClusterStatus) -> String {
    status
        .servers
        .iter()
        .enumerate()
        .map(|(rank, server)| {
            let mark = if server.name == status.local { '*' } else { ' ' };
            format!("   {mark}server{rank} : {}\n", server.name)
        })
        .collect()
}

fn mark(words: &str) -> char {
    match words {
        "Online" | "Normal" | "Caution" => 'o',
        "Offline" => 'x',
        word if word.ends_with("Pending") => 'p',
        word if word.ends_with("Failure") || word == "Error" => 'e',
        _ => '-',
    }
}

/// A path's mark: it either carries heartbeats, or it does not, or nobody knows.
fn path_mark(word: &str) -> char {
    match word {
        "Normal" | "Online" | "Caution" => 'o',
        "Error" | "Offline" => 'x',
        _ => '-',
    }
}

fn rule() -> String {
    format!("  {}\n", "-".repeat(68))
}

/// Which group is active on which server.
pub fn group_map(status: &ClusterStatus) -> String {
    let mut text = title("GROUPMAP INFORMATION", 22, 23);
    text.push_str(&format!("  Cluster : {}\n{}\n{}", status.cluster, index(status), rule()));
    for (rank, server) in status.servers.iter().enumerate() {
        text.push_str(&format!("    server{rank} [{}] : ", mark(&server.status)));
        for group in status.groups.iter().filter(|group| group.current.as_ref() == Some(&server.name)) {
            text.push_str(&format!("{}[{}] ", group.name, mark(&group.status)));
        }
        text.push('\n');
    }
    text + &bottom()
}

/// Heartbeats between the servers, one block a server.
pub fn heartbeats(status: &ClusterStatus) -> String {
    let title = title("HEARTBEAT RESOURCE STATUS", 19, 21);
    paths(status, &title, "HB", |path| path.kind.ends_with("hb"), |path, peer, _| path.peers.get(peer).cloned())
}

/// Network partition resolution, one block a server: each server measures for itself and tells the others.
pub fn partitions(status: &ClusterStatus) -> String {
    let title = title("NETWORK PARTITION RESOLUTION RESOURCE STATUS", 9, 12);
    paths(
        status,
        &title,
        "NP",
        |path| path.kind.ends_with("np"),
        |path, peer, own| {
            if peer == own {
                return Some(path.status.clone());
            }
            let other = status.servers.get(peer)?;
            other.paths.iter().find(|one| one.name == path.name).map(|one| one.status.clone())
        },
    )
}

/// A block a server, a row for each server in it, a mark for each path; `word` is the status of a path towards a server.
fn paths(
    status: &ClusterStatus,
    title: &str,
    short: &str,
    is_meant: impl Fn(&PathStatus) -> bool,
    word: impl Fn(&PathStatus, usize, usize) -> Option<String>,
) -> String {
    let mut text = format!("{title}  Cluster : {}\n{}", status.cluster, index(status));
    let names: Vec<&str> = status
        .servers
        .first()
        .map(|server| server.paths.iter().filter(|path| is_meant(path)).map(|path| path.name.as_str()).collect())
        .unwrap_or_default();
    for (number, name) in names.iter().enumerate() {
        text.push_str(&format!("     {short}{number} : {}\n", plain(name)));
    }
    for (rank, server) in status.servers.iter().enumerate() {
        text.push_str(&format!("\n  [on server{rank} : {}]\n         {short}  ", server.status));
        for number in 0..names.len() {
            text.push_str(&format!("{number:>2} "));
        }
        text.push('\n');
        text.push_str(&rule());
        for peer in 0..status.servers.len() {
            text.push_str(&format!("     server{peer} :"));
            for path in server.paths.iter().filter(|path| is_meant(path)) {
                let known = word(path, peer, rank).filter(|_| server.status != "Offline");
                text.push_str(&format!(" {} ", path_mark(known.as_deref().unwrap_or("Unknown"))));
            }
            text.push('\n');
        }
    }
    text + &bottom()
}

/// Monitors on each server.
pub fn monitors(status: &ClusterStatus) -> String {
    let mut text = title("MONITOR RESOURCE STATUS", 20, 22);
    text.push_str(&format!("  Cluster : {}\n{}", status.cluster, index(status)));
    let mut monitors: Vec<_> = status.monitors.iter().collect();
    monitors.sort_by(|left, right| left.name.cmp(&right.name));
    for (number, monitor) in monitors.into_iter().enumerate() {
        text.push_str(&format!("\n  Monitor{number} [{} : {}]\n{}", monitor.name, monitor.status, rule()));
        for (rank, (server, word)) in status.servers.iter().zip(&monitor.servers).enumerate() {
            text.push_str(&format!("    server{rank} [{}] : {word}\n", mark(&server.status)));
        }
    }
    text + &bottom()
}

#[cfg(test)]
mod tests;
