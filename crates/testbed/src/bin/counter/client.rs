//! The client: writes rising numbers for a while, then asks for all of them and counts what was acknowledged and is not there.

use std::time::{Duration, Instant};

use anyhow::{Result, bail};
use clp_testbed::http::ask;

use crate::is_name;

/// How long one write may take, and the pause between two looks at the end.
const TRY: Duration = Duration::from_millis(200);
/// How long an answer at the end may take.
const LOOK: Duration = Duration::from_secs(2);
/// How long the final look is repeated: a failover may still be going on.
const PATIENCE: Duration = Duration::from_secs(60);

/// Writes, checks and prints one line; says whether something was acknowledged and nothing of it lost.
///
/// # Errors
/// A name that is none, or a server that does not answer in the end.
pub fn run(server: &str, client: &str, seconds: u64) -> Result<bool> {
    if !is_name(client) {
        bail!("{client:?} is no name for a client; use letters, digits, - and _");
    }
    let until = Instant::now() + Duration::from_secs(seconds);
    let mut acknowledged = Vec::new();
    let mut last = Instant::now();
    let mut gap = Duration::ZERO;
    let mut n = 0i64;
    while Instant::now() < until {
        n += 1;
        if ask(server, &format!("/write?client={client}&n={n}"), TRY).is_ok_and(|body| body.trim() == n.to_string()) {
            gap = gap.max(last.elapsed());
            last = Instant::now();
            acknowledged.push(n);
        }
        std::thread::sleep(Duration::from_millis(5));
    }
    gap = gap.max(last.elapsed());
    let patience = Instant::now() + PATIENCE;
    let list = loop {
        match ask(server, &format!("/list?client={client}"), LOOK) {
            Ok(list) => break list,
            Err(error) if Instant::now() > patience => {
                return Err(error.context(format!("{server} does not say what it kept")));
            }
            Err(_) => std::thread::sleep(TRY),
        }
    };
    let kept: std::collections::BTreeSet<i64> = list.lines().filter_map(|line| line.parse().ok()).collect();
    let lost = acknowledged.iter().filter(|n| !kept.contains(n)).count();
    let by = ask(server, "/", LOOK).unwrap_or_default();
    let by = by.split(' ').next().unwrap_or_default().to_string();
    println!("acknowledged={} lost={lost} longest_gap_ms={} answered_by={by}", acknowledged.len(), gap.as_millis());
    Ok(lost == 0 && !acknowledged.is_empty())
}
