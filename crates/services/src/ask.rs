//! Asking a program of this server over its unix socket, with the patience that an order may need and no more.
//!
//! An order may take hours (scripts), a healthy program answers a question in milliseconds: whoever waits for an order asks
//! a question from time to time, and gives up when that is not answered.

use std::io::{BufRead, BufReader, Write};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::time::{Duration, Instant};

use clp_protocol::control;
use clp_sys::paths::Root;
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::net::sockopt::{Timeout, set_socket_timeout};
use rustix::net::{AddressFamily, SocketAddrUnix, SocketFlags, SocketType, connect, socket_with};

/// A question that is not answered within this long means that the program is stuck: it turns many times a second, and
/// ten seconds are far beyond what a busy machine takes.
pub const ANSWER_LIMIT: Duration = Duration::from_secs(10);
/// For an order: scripts may take their time.
pub const COMMAND_LIMIT: Duration = Duration::from_secs(4 * 3600);

/// For the end of a cluster service that has answered that it stops: it gives back its watchdog and writes its record.
const END_LIMIT: Duration = Duration::from_secs(15);

/// Connect; fails within [`ANSWER_LIMIT`] also when the other side takes no connections off its queue.
///
/// # Errors
/// Nobody listens there, or the queue stays full.
pub fn connect_to(path: &Path) -> std::io::Result<UnixStream> {
    let socket = socket_with(AddressFamily::UNIX, SocketType::STREAM, SocketFlags::CLOEXEC, None)?;
    set_socket_timeout(&socket, Timeout::Send, Some(ANSWER_LIMIT))?;
    connect(&socket, &SocketAddrUnix::new(path)?)?;
    Ok(UnixStream::from(socket))
}

/// Wait until something can be read: no longer than `limit`, and only as long as `is_alive` says so.
///
/// # Errors
/// In words: it does not answer.
pub fn wait_for_answer(stream: &UnixStream, limit: Duration, is_alive: impl Fn() -> bool) -> Result<(), String> {
    let until = Instant::now() + limit;
    loop {
        if readable_within(stream, ANSWER_LIMIT.min(limit)) {
            return Ok(());
        }
        if Instant::now() >= until || !is_alive() {
            return Err(format!(
                "does not answer, for {} s at least: it is stopped (SIGSTOP), stuck or starved of processor time",
                ANSWER_LIMIT.min(limit).as_secs()
            ));
        }
    }
}

fn readable_within(stream: &UnixStream, limit: Duration) -> bool {
    let timeout = Timespec { tv_sec: limit.as_secs().try_into().unwrap_or(i64::MAX), tv_nsec: limit.subsec_nanos().into() };
    let mut wanted = [PollFd::new(stream, PollFlags::IN)];
    // A signal that ends the wait early only makes the question come early.
    matches!(poll(&mut wanted, Some(&timeout)), Ok(ready) if ready > 0)
}

/// Is it a question, which is answered at once, and no order?
pub fn is_question(request: &serde_json::Value) -> bool {
    matches!(
        serde_json::from_value::<control::Request>(request.clone()),
        Ok(control::Request::Status | control::Request::Why { .. } | control::Request::Picture)
    )
}

/// Is it the order to stop the cluster service, after which the server goes on?
fn is_stop(request: &serde_json::Value) -> bool {
    matches!(
        serde_json::from_value::<control::Request>(request.clone()),
        Ok(control::Request::StopService { then: control::AfterStop::Nothing | control::AfterStop::Restart, .. })
    )
}

/// Ask this server's engine; None when it does not run. A stop is answered when the engine has ended: who is told that it
/// stopped may start it again.
///
/// # Errors
/// It does not answer, ended during the question, or answered nonsense.
pub fn engine(root: &Root, request: &serde_json::Value) -> Result<Option<serde_json::Value>, String> {
    let failed = |words: &str| format!("the cluster service of {} {words}", clp_sys::identity::hostname());
    let mut stream = match connect_to(&root.run().join("clusterpro.sock")) {
        Ok(stream) => stream,
        Err(cause) if cause.kind() == std::io::ErrorKind::WouldBlock => {
            return Err(failed("takes no more requests: it is stopped (SIGSTOP), stuck or starved of processor time"));
        }
        Err(_) => return Ok(None),
    };
    let broken = |cause: &dyn std::fmt::Display| failed(&format!("broke off: {cause}"));
    // Who serves too many says so and closes, perhaps before it was asked: its words are read first.
    let sent = stream.write_all(format!("{request}\n").as_bytes());
    let status = || serde_json::json!({ "request": "status" });
    let waited = if is_question(request) {
        wait_for_answer(&stream, ANSWER_LIMIT, || false).map_err(|words| failed(&words))
    } else {
        wait_for_answer(&stream, COMMAND_LIMIT, || engine(root, &status()).is_ok())
            .map_err(|words| failed(&format!("{words}; what was ordered may still be done, see clpstat on another server")))
    };
    waited?;
    let mut line = String::new();
    stream.set_read_timeout(Some(ANSWER_LIMIT)).map_err(|cause| broken(&cause))?;
    let mut reader = BufReader::new(stream);
    let read = reader.read_line(&mut line);
    if line.is_empty() {
        sent.map_err(|cause| broken(&cause))?;
    }
    read.map_err(|cause| broken(&cause))?;
    if line.is_empty() {
        return Err(failed("ended before it answered"));
    }
    if is_stop(request) && line.contains("\"done\"") {
        // The connection ends with the engine; one that does not end in time has stopped all the same.
        let _ = reader.get_ref().set_read_timeout(Some(END_LIMIT));
        let _ = reader.read_line(&mut String::new());
    }
    serde_json::from_str(&line).map(Some).map_err(|cause| broken(&cause))
}
