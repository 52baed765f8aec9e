//! A connection to an arbiter over HTTP, which is kept between questions. Every step of it ends at the moment that is given.
//!
//! One on which an answer did not come in time is given up: what arrives on it later is an answer to nothing.

use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::sync::Arc;
use std::time::{Duration, Instant};

use clp_protocol::witness::http::{self, HEAD_MAX};
use rustls::{ClientConfig, ClientConnection, StreamOwned};

/// Of what an arbiter says in plain words so much is shown.
const WORDS_MAX: usize = 120;

/// A connection.
pub(super) struct Line(Stream);

enum Stream {
    Plain(Timed),
    Tls(Box<StreamOwned<ClientConnection, Timed>>),
}

/// What came back.
pub(super) struct Talked {
    pub status: u16,
    pub body: Vec<u8>,
    /// The connection, if it goes on.
    pub line: Option<Line>,
}

/// A socket of which no call ends later than a moment.
struct Timed {
    socket: TcpStream,
    until: Instant,
}

impl Timed {
    fn connect(address: SocketAddr, until: Instant) -> io::Result<Timed> {
        let socket = TcpStream::connect_timeout(&address, left(until)?)?;
        socket.set_nodelay(true)?;
        Ok(Timed { socket, until })
    }
}

impl Read for Timed {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.socket.set_read_timeout(Some(left(self.until)?))?;
        self.socket.read(buffer)
    }
}

impl Write for Timed {
    fn write(&mut self, buffer: &[u8]) -> io::Result<usize> {
        self.socket.set_write_timeout(Some(left(self.until)?))?;
        self.socket.write(buffer)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Read for Stream {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        match self {
            Stream::Plain(timed) => timed.read(buffer),
            Stream::Tls(tls) => tls.read(buffer),
        }
    }
}

impl Write for Stream {
    fn write(&mut self, buffer: &[u8]) -> io::Result<usize> {
        match self {
            Stream::Plain(timed) => timed.write(buffer),
            Stream::Tls(tls) => tls.write(buffer),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        match self {
            Stream::Plain(timed) => timed.flush(),
            Stream::Tls(tls) => tls.flush(),
        }
    }
}

impl Line {
    /// A new one.
    pub fn connect(address: SocketAddr, until: Instant) -> io::Result<Line> {
        Timed::connect(address, until).map(|timed| Line(Stream::Plain(timed)))
    }

    /// A new one with TLS, on which both know each other already.
    pub fn connect_tls(address: SocketAddr, config: Arc<ClientConfig>, until: Instant) -> io::Result<Line> {
        let mut timed = Timed::connect(address, until)?;
        let mut tls = ClientConnection::new(config, address.ip().into()).map_err(io::Error::other)?;
        while tls.is_handshaking() {
            tls.complete_io(&mut timed)?;
        }
        Ok(Line(Stream::Tls(Box::new(StreamOwned::new(tls, timed)))))
    }

    /// Say it and wait for the answer, whose body is not longer than `most`.
    pub fn talk(mut self, request: &[u8], most: usize, until: Instant) -> io::Result<Talked> {
        match &mut self.0 {
            Stream::Plain(timed) => timed.until = until,
            Stream::Tls(tls) => tls.sock.until = until,
        }
        self.0.write_all(request)?;
        self.0.flush()?;
        let mut bytes = Vec::new();
        loop {
            let malformed = |cause: &dyn std::fmt::Display| io::Error::new(io::ErrorKind::InvalidData, cause.to_string());
            if let Some(head) = http::read_answer(&bytes).map_err(|cause| malformed(&cause))? {
                if head.body > most {
                    return Err(malformed(&"its answer is too long"));
                }
                if bytes.len() >= head.length + head.body {
                    let body = bytes[head.length..head.length + head.body].to_vec();
                    let is_over = head.closes || bytes.len() > head.length + head.body;
                    return Ok(Talked { status: head.first, body, line: (!is_over).then_some(self) });
                }
            }
            let mut more = [0u8; HEAD_MAX];
            match self.0.read(&mut more)? {
                0 => return Err(io::Error::new(io::ErrorKind::UnexpectedEof, "it ended the connection")),
                count => bytes.extend_from_slice(&more[..count]),
            }
        }
    }
}

fn left(until: Instant) -> io::Result<Duration> {
    let left = until.saturating_duration_since(Instant::now());
    if left.is_zero() { Err(io::ErrorKind::TimedOut.into()) } else { Ok(left) }
}

/// Did it take too long?
pub(super) fn is_late(cause: &io::Error) -> bool {
    matches!(cause.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut)
}

/// For operators.
pub(super) fn words(cause: &io::Error) -> String {
    if is_late(cause) { "no answer in time".into() } else { cause.to_string() }
}

/// As much of what a stranger may have said as is fit to be shown.
pub(super) fn plain(body: &[u8]) -> String {
    let text = String::from_utf8_lossy(body);
    text.trim().chars().take(WORDS_MAX).map(|letter| if letter.is_control() { ' ' } else { letter }).collect()
}
