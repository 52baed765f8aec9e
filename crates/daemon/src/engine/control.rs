//! The control socket `run/clusterpro.sock`: root only, one JSON request a line, one JSON reply a line.

use std::io::{BufRead, BufReader, Read, Write};
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::{UnixListener, UnixStream};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::{Sender, channel};
use std::time::{Duration, Instant};

use clp_protocol::control::{BY_MAX, CONTROL_LINE_MAX, Reply, Request};

use super::Input;

/// Connections served at once: commands are short, and a script that loops must not exhaust threads.
const CONNECTIONS_MAX: usize = 128;

/// Pause after the kernel refused a connection (no file is left): the cause does not go away at once.
const REFUSED_PAUSE: Duration = Duration::from_millis(50);
/// How long a client may take to read why it is not served.
const REFUSAL_LIMIT: Duration = Duration::from_millis(100);

static OPEN: AtomicUsize = AtomicUsize::new(0);
static REPLYING: AtomicUsize = AtomicUsize::new(0);

/// Begin to listen.
pub fn listen(root: &clp_sys::paths::Root, inputs: Sender<Input>) -> Result<(), String> {
    let listener = bind(&path(root))?;
    std::thread::spawn(move || {
        for stream in connections(listener) {
            if OPEN.fetch_add(1, Ordering::SeqCst) >= CONNECTIONS_MAX {
                refuse(stream);
                OPEN.fetch_sub(1, Ordering::SeqCst);
                continue;
            }
            let inputs = inputs.clone();
            // Without a thread the connection is closed, and its place given back.
            let started = std::thread::Builder::new().spawn(move || {
                serve(stream, &inputs);
                OPEN.fetch_sub(1, Ordering::SeqCst);
            });
            if started.is_err() {
                OPEN.fetch_sub(1, Ordering::SeqCst);
            }
        }
    });
    Ok(())
}

/// Nobody else finds this engine; connections that are open go on.
pub fn close(root: &clp_sys::paths::Root) {
    let _ = std::fs::remove_file(path(root));
}

fn path(root: &clp_sys::paths::Root) -> std::path::PathBuf {
    root.run().join("clusterpro.sock")
}

/// Connections as they come. One that the kernel does not hand over now waits until it does.
pub fn connections(listener: UnixListener) -> impl Iterator<Item = UnixStream> {
    std::iter::repeat_with(move || listener.accept()).filter_map(|accepted| match accepted {
        Ok((stream, _)) => Some(stream),
        Err(_) => {
            std::thread::sleep(REFUSED_PAUSE);
            None
        }
    })
}

fn refuse(mut stream: UnixStream) {
    let reply = Reply::Refused {
        reason: format!("the cluster service serves {CONNECTIONS_MAX} connections already"),
        remedy: "end commands and scripts that hold theirs open, then try again".into(),
    };
    let _ = stream.set_write_timeout(Some(REFUSAL_LIMIT));
    if let Ok(text) = serde_json::to_string(&reply) {
        let _ = stream.write_all((text + "\n").as_bytes());
    }
}

/// A fresh unix socket at this path, for root alone.
pub fn bind(path: &std::path::Path) -> Result<UnixListener, String> {
    let failed = |cause: std::io::Error| format!("cannot listen on {}: {cause}", path.display());
    let _ = std::fs::remove_file(path);
    let listener = UnixListener::bind(path).map_err(failed)?;
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o600)).map_err(failed)?;
    Ok(listener)
}

/// Is the process at the other end root?
pub fn is_root_peer(stream: &UnixStream) -> bool {
    rustix::net::sockopt::socket_peercred(stream).is_ok_and(|credentials| credentials.uid.is_root())
}

fn serve(stream: UnixStream, inputs: &Sender<Input>) {
    if !is_root_peer(&stream) {
        return;
    }
    let Ok(mut writer) = stream.try_clone() else { return };
    let mut reader = BufReader::new(stream);
    loop {
        let mut line = Vec::new();
        let limit = u64::try_from(CONTROL_LINE_MAX).unwrap_or(u64::MAX);
        match reader.by_ref().take(limit).read_until(b'\n', &mut line) {
            Ok(0) | Err(_) => return,
            Ok(_) => {}
        }
        // Where a line that is too long ends and the next begins nobody can tell: it is answered and the connection ends.
        let is_whole = line.len() < CONTROL_LINE_MAX || line.ends_with(b"\n");
        let reply = match read(&line) {
            Ok((request, by)) => ask(request, by, inputs),
            Err(cause) => {
                let cause = if is_whole { cause.to_string() } else { format!("it is longer than {CONTROL_LINE_MAX} bytes") };
                Some(Reply::Refused {
                    reason: format!("the request cannot be read: {cause}"),
                    remedy: "use commands of the same version as the cluster service".into(),
                })
            }
        };
        let Some(reply) = reply else { return };
        REPLYING.fetch_add(1, Ordering::SeqCst);
        let written = serde_json::to_string(&reply).map(|text| writer.write_all((text + "\n").as_bytes()));
        REPLYING.fetch_sub(1, Ordering::SeqCst);
        if !matches!(written, Ok(Ok(()))) || !is_whole {
            return;
        }
    }
}

/// Who asks (`clp_protocol::control::BY`).
#[derive(Default, serde::Deserialize)]
struct Who {
    by: Option<String>,
}

/// A request and who asks, as it says.
fn read(line: &[u8]) -> serde_json::Result<(Request, String)> {
    // Straight from the line: a value in between would take the last of two fields of one name, where both are refused.
    let request = serde_json::from_slice(line)?;
    let who: Who = serde_json::from_slice(line).unwrap_or_default();
    let mut by = who.by.unwrap_or_else(|| "a program of this server".into());
    by.truncate((0..=BY_MAX.min(by.len())).rev().find(|end| by.is_char_boundary(*end)).unwrap_or_default());
    Ok((request, by))
}

fn ask(request: Request, by: String, inputs: &Sender<Input>) -> Option<Reply> {
    let (sender, answer) = channel();
    inputs.send(Input::Control(request, by, sender)).ok()?;
    let reply = answer.recv().ok();
    if reply.is_some() {
        // Counted until it is written, so that the engine's end does not cut an answer short.
        REPLYING.fetch_add(1, Ordering::SeqCst);
        REPLYING.fetch_sub(1, Ordering::SeqCst);
    }
    reply
}

/// Let answers that were given reach their sockets before the process ends.
pub fn flush(limit: Duration) {
    let until = Instant::now() + limit;
    // An answer leaves the loop before its thread has counted it: one short pause covers that hand-over.
    std::thread::sleep(Duration::from_millis(20));
    while REPLYING.load(Ordering::SeqCst) > 0 && Instant::now() < until {
        std::thread::sleep(Duration::from_millis(5));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use clp_protocol::control::BY;

    #[test]
    fn who_asks_stands_beside_the_request_and_a_field_given_twice_is_refused() {
        let (request, by) =
            read(format!("{{\"request\":\"status\",\"{BY}\":\"clpstat on server2\"}}").as_bytes()).expect("a request");
        assert_eq!((request, by.as_str()), (Request::Status, "clpstat on server2"));
        let (_, by) = read(b"{\"request\":\"status\"}").expect("a request");
        assert_eq!(by, "a program of this server");
        assert!(read(b"{\"request\":\"group_stop\",\"group\":\"a\",\"server\":\"x\",\"group\":\"b\",\"server\":null}").is_err());
    }
}
