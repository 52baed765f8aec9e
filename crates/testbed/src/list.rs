//! What `testbed list` shows: the labs of this machine, their servers, and what is wrong with either, as text or JSON.
//!
//! A lab is always shown, whether its supervisor answers or not: who cannot see it cannot take it down.

use anyhow::Result;
use clp_testbed::{
    Cut, DiskState, Lab, LabState, Net, Phase, ServerStatus,
    places::{living, sweep_dead},
};
use serde_json::json;

/// The list.
///
/// # Errors
/// The directory of labs cannot be read.
pub fn list(as_json: bool) -> Result<String> {
    for left in sweep_dead()? {
        eprintln!("testbed: {left:#}");
    }
    let mut labs = Vec::new();
    for record in living()? {
        let state = Lab::of(&record)?.state();
        labs.push((record, state));
    }
    if as_json {
        let labs: Vec<_> = labs
            .iter()
            .map(|(record, state)| {
                let (word, servers, problem) = match state {
                    LabState::Making => ("being made", &[][..], None),
                    LabState::Up(servers) => ("up", &servers[..], None),
                    LabState::Silent(error) => ("silent", &[][..], Some(format!("{error:#}"))),
                };
                json!({ "name": record.name, "checkout": record.checkout, "state": word, "servers": servers, "problem": problem })
            })
            .collect();
        return Ok(serde_json::to_string_pretty(&labs)? + "\n");
    }
    if labs.is_empty() {
        return Ok("no lab is up\n".to_string());
    }
    let mut text = String::new();
    for (record, state) in &labs {
        text += &format!("{}  ({})\n", record.name, record.checkout.display());
        match state {
            LabState::Making => text += "  is being made\n",
            LabState::Silent(error) => text += &format!("  {error:#}\n"),
            LabState::Up(servers) => text.extend(servers.iter().map(line)),
        }
    }
    Ok(text)
}

fn line(server: &ServerStatus) -> String {
    let phase = match server.phase {
        Phase::Off => "off",
        Phase::Booting => "booting",
        Phase::Up => "up",
        Phase::Paused => "paused",
    };
    let disk = match server.disk {
        DiskState::Healthy => String::new(),
        DiskState::Failing => ", disk fails".to_string(),
        DiskState::Hanging => ", disk hangs".to_string(),
        DiskState::Slow { delay_ms } => format!(", disk slow by {delay_ms} ms"),
    };
    let cuts: String = server.cuts.iter().map(|cut| format!(", cut from {}", words(cut))).collect();
    let last = server.last_end.as_ref().map_or(String::new(), |last| format!(", last down by: {last}"));
    format!("  {:10} {phase:8} boots {}{disk}{cuts}{last}\n", server.name, server.boots)
}

fn words(cut: &Cut) -> String {
    let net = match cut.net {
        Net::Public => "public",
        Net::Interconnect => "interconnect",
        Net::All => "all",
        Net::Com => "com",
    };
    let peer = cut.from.as_ref().map_or(String::new(), |peer| format!(" (only {peer})"));
    format!("{net}{peer}{}{}", if cut.one_way { " one way" } else { "" }, if cut.keep_carrier { " with carrier" } else { "" })
}
