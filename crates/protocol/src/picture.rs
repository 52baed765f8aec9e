//! The picture of the present ([`clp_core::present`]) on its way from the engine to a command: CBOR as hexadecimal text.
//!
//! Not for people and no status: what a core is made of, for commands of the same version that drive cores themselves.

use clp_core::present::Present;

/// As text.
///
/// # Panics
/// Never: memory takes whatever is written to it.
pub fn text(present: &Present) -> String {
    let bytes = minicbor::to_vec(present).expect("a vector takes all bytes");
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// Read it; None: it is none of this version.
pub fn read(text: &str) -> Option<Present> {
    let digit = |at: usize| text.get(at..at + 2).and_then(|pair| u8::from_str_radix(pair, 16).ok());
    let bytes: Option<Vec<u8>> = (0..text.len()).step_by(2).map(digit).collect();
    let bytes = bytes?;
    let mut decoder = minicbor::Decoder::new(&bytes);
    let present = decoder.decode().ok()?;
    (decoder.position() == bytes.len()).then_some(present)
}

#[cfg(test)]
mod tests {
    use super::*;
    use clp_core::ids::ServerId;
    use clp_core::message::{Document, Epoch, Member, Report};
    use clp_core::present::Seen;

    #[test]
    fn a_picture_is_read_as_it_was_taken_and_nothing_else_is() {
        let present = Present {
            me: ServerId(1),
            servers: vec![Seen::default(), Seen { incarnation: 7, alive: true, paths: vec![true, false], ..Seen::default() }],
            epoch: Epoch { counter: 3, server: ServerId(1) },
            members: vec![Member { server: ServerId(1), incarnation: 7 }],
            document: Document { started: true, ..Document::default() },
            reports: vec![Report::default(); 2],
            ratio: 1,
            paths: 2,
            generation: 4,
        };
        let text = text(&present);
        assert_eq!(read(&text), Some(present));
        for broken in ["", "0", "zz", "\u{e4}\u{e4}", &text[2..], &text[..text.len() - 2], &format!("{text}00")] {
            assert_eq!(read(broken), None, "{broken}");
        }
    }
}
