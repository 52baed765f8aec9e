//! One conversation with the kernel about its network: many requests sent in one piece, each with its answers.

use std::io;

use netlink_packet_core::{NLM_F_REQUEST, NetlinkMessage, NetlinkPayload};
use netlink_packet_route::RouteNetlinkMessage;
use netlink_sys::{Socket, SocketAddr, protocols::NETLINK_ROUTE};

/// A conversation with the kernel: sends `requests` in one piece and hands each answer with the request's position to `hear`,
/// until every request was answered to its end.
pub(crate) fn converse(
    requests: Vec<(RouteNetlinkMessage, u16)>,
    mut hear: impl FnMut(usize, Result<RouteNetlinkMessage, Option<io::Error>>),
) -> io::Result<()> {
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
        let mut rest = received.as_slice();
        while !rest.is_empty() {
            let answer =
                NetlinkMessage::<RouteNetlinkMessage>::deserialize(rest).map_err(|cause| io::Error::other(cause.to_string()))?;
            let length = (answer.header.length as usize).next_multiple_of(4).min(rest.len());
            rest = &rest[length.max(1)..];
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
    Ok(())
}
