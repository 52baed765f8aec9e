//! One question to an HTTP server and its whole answer; for clients of the counter. Nothing of HTTP beyond that.

use anyhow::{Context, Result, bail};
use std::{
    io::{Read, Write},
    net::{TcpStream, ToSocketAddrs},
    time::Duration,
};

/// Asks with GET; the answer counts only as a whole, within `limit` a step.
///
/// # Errors
/// Nobody answers in time, the answer was cut off, or it is none of success.
pub fn ask(server: &str, target: &str, limit: Duration) -> Result<String> {
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
