//! The demo's application: a small HTTP server that keeps numbers in SQLite on the shared disk, and the client that checks
//! that no acknowledged number is lost.
//!
//! `counter serve` answers a write only after the database committed it to the disk. `--lie-every N` acknowledges every
//! N-th write without doing it: the checker itself is checked with it.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream, ToSocketAddrs};
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use clap::{Parser, Subcommand};
use rusqlite::Connection;

#[derive(Parser)]
#[command(about = "A counter behind HTTP with its data in SQLite, and its checking client")]
struct Arguments {
    #[command(subcommand)]
    role: Role,
}

#[derive(Subcommand)]
enum Role {
    /// Serve
    Serve {
        /// Address and port
        #[arg(long)]
        listen: String,
        /// Database file
        #[arg(long)]
        data: PathBuf,
        /// Acknowledge every N-th write without doing it
        #[arg(long)]
        lie_every: Option<u64>,
    },
    /// Write rising numbers, then check that all acknowledged ones are there
    Client {
        /// Address and port of the server
        #[arg(long)]
        server: String,
        /// A name of this run's own
        #[arg(long)]
        client: String,
        /// How long to write
        #[arg(long, default_value_t = 10)]
        seconds: u64,
    },
}

fn main() -> ExitCode {
    let done = match Arguments::parse().role {
        Role::Serve { listen, data, lie_every } => serve(&listen, &data, lie_every).map(|()| true),
        Role::Client { server, client, seconds } => run_client(&server, &client, seconds),
    };
    match done {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(reason) => {
            eprintln!("counter: {reason:#}");
            ExitCode::FAILURE
        }
    }
}

fn serve(listen: &str, data: &PathBuf, lie_every: Option<u64>) -> Result<()> {
    let database = Connection::open(data).with_context(|| format!("opening {}", data.display()))?;
    // FULL is not enough: the unlink of the journal, which is the commit, must be on the disk too, or the journal comes
    // back after a power failure and undoes what was acknowledged.
    database.pragma_update(None, "synchronous", "EXTRA")?;
    database.execute("CREATE TABLE IF NOT EXISTS numbers (client TEXT, n INTEGER, PRIMARY KEY (client, n))", [])?;
    let database = Arc::new(Mutex::new((database, 0u64)));
    let listener = TcpListener::bind(listen).with_context(|| format!("listening on {listen}"))?;
    for stream in listener.incoming().flatten() {
        let database = database.clone();
        std::thread::spawn(move || {
            let _ = stream.set_read_timeout(Some(Duration::from_secs(10)));
            let _ = answer(stream, &database, lie_every);
        });
    }
    Ok(())
}

fn answer(stream: TcpStream, database: &Mutex<(Connection, u64)>, lie_every: Option<u64>) -> Result<()> {
    let mut writer = stream.try_clone()?;
    let mut line = String::new();
    BufReader::new(stream).take(8192).read_line(&mut line)?;
    let target = line.split(' ').nth(1).unwrap_or("/").to_string();
    let parameter = |name: &str| {
        let query = target.split_once('?').map_or("", |(_, query)| query);
        query.split('&').find_map(|pair| pair.strip_prefix(name)?.strip_prefix('=')).unwrap_or_default().to_string()
    };
    let mut guard = database.lock().unwrap_or_else(PoisonError::into_inner);
    let (status, body) = if target.starts_with("/write") {
        guard.1 += 1;
        let lies = lie_every.is_some_and(|every| guard.1.is_multiple_of(every));
        let n: i64 = parameter("n").parse().unwrap_or(-1);
        let written =
            if lies { Ok(1) } else { guard.0.execute("INSERT OR IGNORE INTO numbers VALUES (?1, ?2)", (parameter("client"), n)) };
        match written {
            Ok(_) => ("200 OK", format!("{n}\n")),
            Err(cause) => ("500 Internal Server Error", format!("{cause}\n")),
        }
    } else if target.starts_with("/list") {
        let mut query = guard.0.prepare("SELECT n FROM numbers WHERE client = ?1 ORDER BY n")?;
        let rows = query.query_map([parameter("client")], |row| row.get::<_, i64>(0))?;
        ("200 OK", rows.flatten().map(|n| format!("{n}\n")).collect())
    } else {
        let host = rustix::system::uname().nodename().to_string_lossy().into_owned();
        let count: i64 = guard.0.query_row("SELECT count(*) FROM numbers", [], |row| row.get(0))?;
        ("200 OK", format!("{host} {count}\n"))
    };
    drop(guard);
    write!(writer, "HTTP/1.1 {status}\r\nContent-Length: {}\r\nConnection: close\r\n\r\n{body}", body.len())?;
    Ok(())
}

/// One request; None when the server does not answer properly within `limit`.
fn ask(server: &str, target: &str, limit: Duration) -> Option<String> {
    let address = server.to_socket_addrs().ok()?.next()?;
    let mut stream = TcpStream::connect_timeout(&address, limit).ok()?;
    stream.set_read_timeout(Some(limit)).ok()?;
    stream.set_write_timeout(Some(limit)).ok()?;
    write!(stream, "GET {target} HTTP/1.1\r\nHost: counter\r\nConnection: close\r\n\r\n").ok()?;
    let mut text = String::new();
    stream.read_to_string(&mut text).ok()?;
    let (head, body) = text.split_once("\r\n\r\n")?;
    let length: usize = head.lines().find_map(|line| line.strip_prefix("Content-Length: ")?.parse().ok())?;
    (head.starts_with("HTTP/1.1 200") && body.len() == length).then(|| body.to_string())
}

fn run_client(server: &str, client: &str, seconds: u64) -> Result<bool> {
    const TRY: Duration = Duration::from_millis(200);
    let until = Instant::now() + Duration::from_secs(seconds);
    let mut acknowledged = Vec::new();
    let mut last = Instant::now();
    let mut gap = Duration::ZERO;
    let mut n = 0i64;
    while Instant::now() < until {
        n += 1;
        if ask(server, &format!("/write?client={client}&n={n}"), TRY).is_some_and(|body| body.trim() == n.to_string()) {
            gap = gap.max(last.elapsed());
            last = Instant::now();
            acknowledged.push(n);
        }
        std::thread::sleep(Duration::from_millis(5));
    }
    gap = gap.max(last.elapsed());
    // The final look has time: a failover may still be going on.
    let patience = Instant::now() + Duration::from_secs(60);
    let list = loop {
        if let Some(list) = ask(server, &format!("/list?client={client}"), Duration::from_secs(2)) {
            break list;
        }
        if Instant::now() > patience {
            bail!("the server does not answer any more");
        }
        std::thread::sleep(TRY);
    };
    let kept: std::collections::BTreeSet<i64> = list.lines().filter_map(|line| line.parse().ok()).collect();
    let lost = acknowledged.iter().filter(|n| !kept.contains(n)).count();
    let by = ask(server, "/", Duration::from_secs(2)).unwrap_or_default();
    let by = by.split(' ').next().unwrap_or_default().to_string();
    println!("acknowledged={} lost={lost} longest_gap_ms={} answered_by={by}", acknowledged.len(), gap.as_millis());
    Ok(lost == 0 && !acknowledged.is_empty())
}
