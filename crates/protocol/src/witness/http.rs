//! HTTP/1.1 around requests to an arbiter (a witness, etcd) and their answers: heads are read by `httparse`, bodies have a length. Knows
//! nothing of sockets.
//!
//! A subset on purpose: no chunks, no ranges, no pipelining by clients. What is not understood is refused with a status.

/// Where records are asked for.
pub const TARGET: &str = "/v1/record";
/// Longest head of a request or an answer in bytes.
pub const HEAD_MAX: usize = 2048;
/// Headers that are read at the most.
const HEADERS_MAX: usize = 24;

/// A head that was read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Head<T> {
    /// What the first line says.
    pub first: T,
    /// Bytes of the head.
    pub length: usize,
    /// Bytes of the body behind it.
    pub body: usize,
    /// Does the sender end the connection behind it?
    pub closes: bool,
}

/// Of a request: method and target.
pub type RequestHead = Head<(String, String)>;
/// Of an answer: the status.
pub type AnswerHead = Head<u16>;

/// Why a message is not understood; for an answer's status.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum HeadError {
    /// It is no HTTP, or ambiguous.
    #[error("it is no HTTP/1.1")]
    Malformed,
    /// The head is longer than [`HEAD_MAX`].
    #[error("its head is too long")]
    TooLong,
    /// A body without its length, or in chunks.
    #[error("the length of its body is not given")]
    NoLength,
}

impl HeadError {
    /// The status that says so.
    pub fn status(self) -> u16 {
        match self {
            HeadError::Malformed => 400,
            HeadError::TooLong => 431,
            HeadError::NoLength => 411,
        }
    }
}

/// A request with a sealed body.
pub fn request(host: &str, body: &[u8]) -> Vec<u8> {
    post(TARGET, host, "application/octet-stream", body)
}

/// A request with a body of some kind.
pub fn post(target: &str, host: &str, kind: &str, body: &[u8]) -> Vec<u8> {
    let head =
        format!("POST {target} HTTP/1.1\r\nHost: {host}\r\nContent-Type: {kind}\r\nContent-Length: {}\r\n\r\n", body.len());
    [head.as_bytes(), body].concat()
}

/// An answer; `kept`: the connection stays open behind it.
pub fn answer(status: u16, kind: &str, body: &[u8], kept: bool) -> Vec<u8> {
    let reason = match status {
        200 => "OK",
        400 => "Bad Request",
        403 => "Forbidden",
        404 => "Not Found",
        405 => "Method Not Allowed",
        411 => "Length Required",
        413 => "Content Too Large",
        431 => "Request Header Fields Too Large",
        503 => "Service Unavailable",
        _ => "Error",
    };
    let connection = if kept { "keep-alive" } else { "close" };
    let head = format!(
        "HTTP/1.1 {status} {reason}\r\nContent-Type: {kind}\r\nContent-Length: {}\r\nConnection: {connection}\r\n\r\n",
        body.len()
    );
    [head.as_bytes(), body].concat()
}

/// The head of a request as far as it has come; None: more is to come.
///
/// # Errors
/// [`HeadError`].
pub fn read_request(bytes: &[u8]) -> Result<Option<RequestHead>, HeadError> {
    let mut headers = [httparse::EMPTY_HEADER; HEADERS_MAX];
    let mut request = httparse::Request::new(&mut headers);
    let status = request.parse(bytes);
    let Some(length) = whole(status, bytes)? else { return Ok(None) };
    let method = request.method.unwrap_or_default().to_string();
    let target = request.path.unwrap_or_default().to_string();
    let body = match body_length(request.headers)? {
        Some(body) => body,
        None if method == "GET" || method == "HEAD" => 0,
        None => return Err(HeadError::NoLength),
    };
    let closes = request.version != Some(1) || closes(request.headers);
    Ok(Some(Head { first: (method, target), length, body, closes }))
}

/// The head of an answer as far as it has come; None: more is to come.
///
/// # Errors
/// [`HeadError`].
pub fn read_answer(bytes: &[u8]) -> Result<Option<AnswerHead>, HeadError> {
    let mut headers = [httparse::EMPTY_HEADER; HEADERS_MAX];
    let mut answer = httparse::Response::new(&mut headers);
    let status = answer.parse(bytes);
    let Some(length) = whole(status, bytes)? else { return Ok(None) };
    let body = body_length(answer.headers)?.ok_or(HeadError::NoLength)?;
    let closes = answer.version != Some(1) || closes(answer.headers);
    Ok(Some(Head { first: answer.code.unwrap_or_default(), length, body, closes }))
}

fn whole(status: httparse::Result<usize>, bytes: &[u8]) -> Result<Option<usize>, HeadError> {
    match status {
        Ok(httparse::Status::Complete(length)) if length <= HEAD_MAX => Ok(Some(length)),
        Ok(httparse::Status::Partial) if bytes.len() < HEAD_MAX => Ok(None),
        Ok(_) | Err(httparse::Error::TooManyHeaders) => Err(HeadError::TooLong),
        Err(_) => Err(HeadError::Malformed),
    }
}

/// What the header says; two that differ are a way to smuggle.
fn body_length(headers: &[httparse::Header<'_>]) -> Result<Option<usize>, HeadError> {
    if headers.iter().any(|header| header.name.eq_ignore_ascii_case("transfer-encoding")) {
        return Err(HeadError::NoLength);
    }
    let mut lengths = headers.iter().filter(|header| header.name.eq_ignore_ascii_case("content-length"));
    let Some(first) = lengths.next() else { return Ok(None) };
    let digits = std::str::from_utf8(first.value).ok().filter(|text| text.bytes().all(|byte| byte.is_ascii_digit()));
    match (digits.and_then(|text| text.parse().ok()), lengths.next()) {
        (Some(length), None) => Ok(Some(length)),
        _ => Err(HeadError::Malformed),
    }
}

fn closes(headers: &[httparse::Header<'_>]) -> bool {
    let mut connection = headers.iter().filter(|header| header.name.eq_ignore_ascii_case("connection"));
    connection.any(|header| header.value.to_ascii_lowercase().windows(5).any(|word| word == b"close"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn requests_and_answers_come_back_whole_and_in_no_part() {
        let bytes = request("w:1", b"body");
        for end in 0..bytes.len() - 4 {
            assert_eq!(read_request(&bytes[..end]), Ok(None), "{end}");
        }
        let head = read_request(&bytes).expect("own").expect("whole");
        assert_eq!((head.first.0.as_str(), head.first.1.as_str(), head.body, head.closes), ("POST", TARGET, 4, false));
        assert_eq!(&bytes[head.length..], b"body");
        let bytes = answer(503, "text/plain", b"no", false);
        let head = read_answer(&bytes).expect("own").expect("whole");
        assert_eq!((head.first, head.body, head.closes, &bytes[head.length..]), (503, 2, true, b"no".as_slice()));
    }

    #[test]
    fn what_is_ambiguous_or_too_long_is_refused() {
        let post = |headers: &str| format!("POST / HTTP/1.1\r\n{headers}\r\n").into_bytes();
        let table: [(&str, HeadError); 8] = [
            ("", HeadError::NoLength),
            ("Transfer-Encoding: chunked\r\nContent-Length: 1\r\n", HeadError::NoLength),
            ("Content-Length: 1\r\nContent-Length: 2\r\n", HeadError::Malformed),
            ("Content-Length: 1\r\ncontent-length: 1\r\n", HeadError::Malformed),
            ("Content-Length: +1\r\n", HeadError::Malformed),
            ("Content-Length: -1\r\n", HeadError::Malformed),
            ("Content-Length: 99999999999999999999999\r\n", HeadError::Malformed),
            ("no colon\r\n", HeadError::Malformed),
        ];
        for (headers, error) in table {
            assert_eq!(read_request(&post(headers)), Err(error), "{headers:?}");
        }
        assert_eq!(read_request(&post(&"A: b\r\n".repeat(HEADERS_MAX + 1))), Err(HeadError::TooLong));
        assert_eq!(read_request(&[b'a'; HEAD_MAX]), Err(HeadError::TooLong));
        assert_eq!(read_request(b"\x00\x01\x02\r\n\r\n"), Err(HeadError::Malformed));
        let get = read_request(b"GET / HTTP/1.0\r\n\r\n").expect("HTTP").expect("whole");
        assert!(get.closes && get.body == 0, "an old client ends its connection");
    }
}
