//! One conversation with the kernel about its network: many requests sent in one piece, each with its answers.

use std::io;

use netlink_packet_core::{NLM_F_DUMP, NLM_F_DUMP_INTR, NLM_F_REQUEST, NetlinkMessage, NetlinkPayload};
use netlink_packet_route::RouteNetlinkMessage;
use netlink_sys::{Socket, SocketAddr, protocols::NETLINK_ROUTE};

/// A conversation with the kernel: sends `requests` in one piece and hands each answer with the request's position to `hear`,
/// until every request was answered to its end.
pub(crate) fn converse(
    requests: Vec<(RouteNetlinkMessage, u16)>,
    mut hear: impl FnMut(usize, Result<RouteNetlinkMessage, Option<io::Error>>),
) -> io::Result<Heard> {
    let mut heard = Heard { is_consistent: true, pieces: 0 };
    let mut socket = Socket::new(NETLINK_ROUTE)?;
    socket.bind_auto()?;
    socket.connect(&SocketAddr::new(0, 0))?;
    let mut open = requests.len();
    let mut bytes = Vec::new();
    for (position, (message, flags)) in requests.into_iter().enumerate() {
        let mut request = NetlinkMessage::from(message);
        request.header.flags = NLM_F_REQUEST | flags;
        request.header.sequence_number = u32::try_from(position).unwrap_or(u32::MAX);
        request.finalize();
        let at = bytes.len();
        bytes.resize(at + request.buffer_len().next_multiple_of(4), 0);
        request.serialize(&mut bytes[at..]);
    }
    socket.send(&bytes, 0)?;
    while open > 0 {
        let (received, _) = socket.recv_from_full()?;
        heard.pieces += 1;
        let mut rest = received.as_slice();
        while !rest.is_empty() {
            let answer =
                NetlinkMessage::<RouteNetlinkMessage>::deserialize(rest).map_err(|cause| io::Error::other(cause.to_string()))?;
            let length = (answer.header.length as usize).next_multiple_of(4).min(rest.len());
            rest = &rest[length.max(1)..];
            heard.is_consistent &= answer.header.flags & NLM_F_DUMP_INTR == 0;
            let position = answer.header.sequence_number as usize;
            match answer.payload {
                NetlinkPayload::Done(_) => open -= 1,
                NetlinkPayload::Error(error) => {
                    open -= 1;
                    hear(position, Err(error.code.map(|_| error.to_io())));
                }
                NetlinkPayload::InnerMessage(message) => hear(position, Ok(message)),
                _ => {}
            }
        }
    }
    Ok(heard)
}

/// How a conversation went.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Heard {
    /// False: a list changed while the kernel wrote it, so that it may lack what was there all the time (`NLM_F_DUMP_INTR`).
    is_consistent: bool,
    /// In how many pieces the answers came.
    pieces: u32,
}

/// A list and its end are one piece each. Between two pieces the kernel remembers a place by counting, and since it writes lists without a
/// lock (6.9) a change right before it goes on is told by nothing.
const PIECES_SURE: u32 = 2;
/// How often a list is read anew because it changed meanwhile; each change of an entry costs one try at most.
const LIST_TRIES: usize = 256;

/// A list of the kernel: every entry that was there all the while. One that went or came meanwhile may be among them; of one that
/// changed the newer state comes first.
pub(crate) fn list_whole(request: &RouteNetlinkMessage) -> io::Result<Vec<RouteNetlinkMessage>> {
    let (mut list, pieces) = list_once(request)?;
    if pieces > PIECES_SURE {
        // What one reading has missed another one finds.
        let earlier = std::mem::replace(&mut list, list_once(request)?.0);
        let missing: Vec<_> = earlier.into_iter().filter(|entry| !list.contains(entry)).collect();
        list.extend(missing);
    }
    Ok(list)
}

/// The list, and in how many pieces it came.
fn list_once(request: &RouteNetlinkMessage) -> io::Result<(Vec<RouteNetlinkMessage>, u32)> {
    for _ in 0..LIST_TRIES {
        let mut answers = Vec::new();
        let mut refused = None;
        let heard = converse(vec![(request.clone(), NLM_F_DUMP)], |_, answer| match answer {
            Ok(message) => answers.push(message),
            Err(cause) => refused = refused.take().or(cause),
        })?;
        if let Some(cause) = refused {
            return Err(cause);
        }
        if heard.is_consistent {
            return Ok((answers, heard.pieces));
        }
    }
    Err(io::Error::other(format!("a list of the kernel changed while it was read, {LIST_TRIES} times in a row")))
}
