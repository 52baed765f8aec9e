//! The server: three questions, each answered with what the database holds or with why not.
//!
//! ```text
//! GET /write?client=NAME&n=NUMBER   200 and the number, once it is committed
//! GET /list?client=NAME             200 and every number of the client, one a line, in order
//! GET /                             200 and this host's name with the count of all numbers
//! ```
//!
//! 400 for what is no such question, 404 for another path, 503 when the database fails: never an acknowledgement, never a part.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use anyhow::{Context, Result};
use rusqlite::Connection;

use crate::is_name;

/// Longest first line of a question.
const LINE_MAX: u64 = 8192;
/// How much may follow it; nobody reads it.
const REST_MAX: u64 = 1 << 16;
/// How long a question may take to arrive.
const PATIENCE: Duration = Duration::from_secs(10);
/// How long a lock of another program on the database is waited for; all questions wait meanwhile.
const BUSY: Duration = Duration::from_millis(500);

/// The database and the number of writes so far.
struct Store {
    database: Connection,
    writes: u64,
    lie_every: Option<u64>,
}

/// Why a question has no answer.
enum Refusal {
    Bad(&'static str),
    NoSuchPlace,
    Failed(rusqlite::Error),
}

impl From<rusqlite::Error> for Refusal {
    fn from(error: rusqlite::Error) -> Refusal {
        Refusal::Failed(error)
    }
}

/// Serves until killed; says first where it listens, for a port of 0 is the kernel's choice.
///
/// # Errors
/// The database cannot be opened, or the address not be listened on.
pub fn serve(listen: &str, data: &Path, lie_every: Option<u64>) -> Result<()> {
    let database = open(data).with_context(|| format!("opening {}", data.display()))?;
    let store = Arc::new(Mutex::new(Store { database, writes: 0, lie_every }));
    let listener = TcpListener::bind(listen).with_context(|| format!("listening on {listen}"))?;
    let _ = writeln!(std::io::stdout(), "listening on {}", listener.local_addr()?);
    for stream in listener.incoming().flatten() {
        let store = store.clone();
        std::thread::spawn(move || {
            let _ = stream.set_read_timeout(Some(PATIENCE));
            // One caller's trouble is not the next one's.
            let _ = answer(stream, &store);
        });
    }
    Ok(())
}

fn open(data: &Path) -> rusqlite::Result<Connection> {
    let database = Connection::open(data)?;
    database.busy_timeout(BUSY)?;
    // FULL is not enough: the unlink of the journal, which is the commit, must be on the disk too, or the journal comes
    // back after a power failure and undoes what was acknowledged.
    database.pragma_update(None, "synchronous", "EXTRA")?;
    database.execute("CREATE TABLE IF NOT EXISTS numbers (client TEXT, n INTEGER, PRIMARY KEY (client, n))", [])?;
    Ok(database)
}

fn answer(stream: TcpStream, store: &Mutex<Store>) -> std::io::Result<()> {
    let mut writer = stream.try_clone()?;
    let mut reader = BufReader::new(stream);
    let mut line = Vec::new();
    reader.by_ref().take(LINE_MAX).read_until(b'\n', &mut line)?;
    let line = String::from_utf8_lossy(&line);
    let (status, body) = match reply(&line, &mut store.lock().unwrap_or_else(PoisonError::into_inner)) {
        Ok(body) => ("200 OK", body),
        Err(Refusal::Bad(why)) => ("400 Bad Request", format!("{why}\n")),
        Err(Refusal::NoSuchPlace) => ("404 Not Found", "there are /, /write and /list\n".to_string()),
        Err(Refusal::Failed(cause)) => ("503 Service Unavailable", format!("the database failed: {cause}\n")),
    };
    write!(writer, "HTTP/1.1 {status}\r\nContent-Length: {}\r\nConnection: close\r\n\r\n{body}", body.len())?;
    // What is left unread at a close resets the connection, and the answer may be lost with it.
    writer.shutdown(Shutdown::Write)?;
    std::io::copy(&mut reader.take(REST_MAX), &mut std::io::sink()).map(|_| ())
}

/// The answer to the first line of a question.
fn reply(line: &str, store: &mut Store) -> Result<String, Refusal> {
    // Without its end the line was cut off, and a number in it, too.
    let words: Vec<&str> = line.strip_suffix('\n').unwrap_or_default().split_whitespace().collect();
    let ["GET", target, _version] = words[..] else { return Err(Refusal::Bad("ask with GET and a whole line")) };
    let (place, query) = target.split_once('?').unwrap_or((target, ""));
    let parameter = |name: &str| query.split('&').find_map(|pair| pair.strip_prefix(name)?.strip_prefix('='));
    let client = || parameter("client").filter(|name| is_name(name)).ok_or(Refusal::Bad("client= needs a name"));
    match place {
        "/write" => {
            let client = client()?;
            let n = parameter("n").and_then(|n| n.parse().ok()).ok_or(Refusal::Bad("n= needs a number"))?;
            store.write(client, n)?;
            Ok(format!("{n}\n"))
        }
        "/list" => Ok(store.list(client()?)?.iter().map(|n| format!("{n}\n")).collect()),
        "/" => {
            let host = rustix::system::uname().nodename().to_string_lossy().into_owned();
            let count: i64 = store.database.query_row("SELECT count(*) FROM numbers", [], |row| row.get(0))?;
            Ok(format!("{host} {count}\n"))
        }
        _ => Err(Refusal::NoSuchPlace),
    }
}

impl Store {
    /// Returns when the number is on the disk; a number that is there already is a success.
    fn write(&mut self, client: &str, n: i64) -> rusqlite::Result<()> {
        self.writes += 1;
        if self.lie_every.is_some_and(|every| self.writes.is_multiple_of(every)) {
            return Ok(());
        }
        self.database.execute("INSERT OR IGNORE INTO numbers VALUES (?1, ?2)", (client, n)).map(|_| ())
    }

    /// All numbers of a client, or the error that hid one.
    fn list(&self, client: &str) -> rusqlite::Result<Vec<i64>> {
        let mut query = self.database.prepare("SELECT n FROM numbers WHERE client = ?1 ORDER BY n")?;
        let rows = query.query_map([client], |row| row.get(0))?;
        rows.collect()
    }
}
