//! Bodies of sealed datagrams: heartbeat frames and messages as CBOR with numbered fields.

use clp_core::message::{Frame, Letter};

/// Kind byte of a heartbeat frame.
pub const KIND_FRAME: u8 = 1;
/// Kind byte of a message.
pub const KIND_MESSAGE: u8 = 2;
/// Longest datagram in bytes that one UDP packet carries with its seal.
pub const DATAGRAM_MAX: usize = 60_000;

/// An opened body.
#[derive(Debug, Clone, PartialEq)]
pub enum Datagram {
    /// A heartbeat.
    Frame(Frame),
    /// A message and between whom it goes.
    Message(Letter),
}

/// The body is not what its kind byte says.
#[derive(Debug, thiserror::Error)]
#[error("a datagram of kind {kind} cannot be read: {cause}")]
pub struct UnreadableDatagram {
    /// Kind byte.
    pub kind: u8,
    /// What the decoder found.
    pub cause: String,
}

/// Body of a heartbeat.
pub fn frame_body(frame: &Frame) -> Vec<u8> {
    minicbor::to_vec(frame).expect("encoding into memory cannot fail")
}

/// Body of a message.
pub fn message_body(letter: &Letter) -> Vec<u8> {
    minicbor::to_vec(letter).expect("encoding into memory cannot fail")
}

/// Read an opened body.
///
/// # Errors
/// [`UnreadableDatagram`] when it is malformed, goes on behind its end or is of an unknown kind; a newer version's extra fields are
/// skipped.
pub fn read_body(kind: u8, body: &[u8]) -> Result<Datagram, UnreadableDatagram> {
    match kind {
        KIND_FRAME => whole(kind, body).map(Datagram::Frame),
        KIND_MESSAGE => whole(kind, body).map(Datagram::Message),
        _ => Err(UnreadableDatagram { kind, cause: "unknown kind".into() }),
    }
}

fn whole<'b, T: minicbor::Decode<'b, ()>>(kind: u8, body: &'b [u8]) -> Result<T, UnreadableDatagram> {
    let mut decoder = minicbor::Decoder::new(body);
    let read = decoder.decode().map_err(|cause| UnreadableDatagram { kind, cause: cause.to_string() })?;
    match body.len() - decoder.position() {
        0 => Ok(read),
        behind => Err(UnreadableDatagram { kind, cause: format!("{behind} bytes behind its end") }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use clp_core::ids::ServerId;
    use clp_core::message::{Ack, Epoch, Member, Message, Mode};

    #[test]
    fn a_frame_comes_back_as_it_was() {
        let frame = Frame {
            incarnation: 7,
            boot: 99,
            seq: 12,
            mode: Mode::Leaving,
            promised: Epoch { counter: 3, server: ServerId(1) },
            ages: vec![0, u64::MAX],
            acks: vec![Ack { server: ServerId(1), incarnation: 4, seq: 8, report: 2 }],
            ..Frame::default()
        };
        let read = read_body(KIND_FRAME, &frame_body(&frame)).expect("own encoding");
        assert_eq!(read, Datagram::Frame(frame));
    }

    #[test]
    fn truncated_bodies_are_refused_not_believed() {
        let message = Message::TooOld { promised: Epoch { counter: 3, server: ServerId(1) } };
        let to = Member { server: ServerId(0), incarnation: 7 };
        let body = message_body(&Letter { incarnation: 8, to, message });
        for length in 0..body.len() {
            assert!(read_body(KIND_MESSAGE, &body[..length]).is_err(), "length {length}");
        }
        assert!(read_body(9, &body).is_err());
        assert!(read_body(KIND_MESSAGE, &[&body[..], &[0]].concat()).is_err(), "something follows");
    }
}
