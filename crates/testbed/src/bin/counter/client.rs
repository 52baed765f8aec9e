//! The client: writes rising numbers for a while, then asks for all of them and counts what was acknowledged and is not there.

use std::io::{Read, Write};
use std::net::{TcpStream, ToSocketAddrs};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};

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

/// One question; the answer counts only as a whole, within `limit` a step.
fn ask(server: &str, target: &str, limit: Duration) -> Result<String> {
    let address = server.to_socket_addrs()?.next().context("no address")?;
    let mut stream = TcpStream::connect_timeout(&address, limit)?;
    stream.set_read_timeout(Some(limit))?;
    stream.set_write_timeout(Some(limit))?;
    write!(stream, "GET {target} HTTP/1.1\r\nHost: counter\r\nConnection: close\r\n\r\n")?;
    let mut text = String::new();
    stream.read_to_string(&mut text)?;
    let (head, body) = text.split_once("\r\n\r\n").context("an answer without an end of its head")?;
    let length = head.lines().find_map(|line| line.strip_prefix("Content-Length: ")?.parse::<usize>().ok());
    match length {
        Some(length) if length == body.len() && head.starts_with("HTTP/1.1 200 ") => Ok(body.to_string()),
        Some(length) if length == body.len() => bail!("{}: {}", head.lines().next().unwrap_or_default(), body.trim()),
        _ => bail!("an answer that was cut off"),
    }
}
