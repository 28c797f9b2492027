//! Whether a picture of H.265 begins right where packets are missing no more.
//!
//! A key picture behind lost packets is believed only where none of these were its own: libav does
//! not say what a picture of H.265 lacks. The first packet behind the gap tells (RFC 7798 section
//! 4.4): with a parameter set, or the first part of a picture, nothing of the pictures before it goes
//! on. Parameters may be among what is lost; cameras send them anew and the same with each key
//! picture.

use super::codec_change::payload;

const VPS: u8 = 32;
const DELIMITER: u8 = 35;
const SEI_BEFORE: u8 = 39;
const SEVERAL: u8 = 48;
const FRAGMENT: u8 = 49;

/// Whether this RTP packet is the first of a picture, as far as that has parts.
pub(super) fn begins_picture(packet: &[u8]) -> bool {
    payload(packet).is_some_and(|payload| is_beginning(payload).unwrap_or(false))
}

fn is_beginning(payload: &[u8]) -> Option<bool> {
    let kind = |first: u8| first >> 1 & 63;
    // The first bit behind its header.
    let is_first = |byte: u8| byte & 0x80 != 0;
    Some(match kind(*payload.first()?) {
        FRAGMENT => {
            let (header, first) = (*payload.get(2)?, *payload.get(3)?);
            let begins = header & 0x80 != 0;
            begins && unit_begins(header & 63, is_first(first))
        }
        // The first one stands behind its length.
        SEVERAL => unit_begins(kind(*payload.get(4)?), is_first(*payload.get(6)?)),
        other => unit_begins(other, is_first(*payload.get(2)?)),
    })
}

const fn unit_begins(kind: u8, is_first_part: bool) -> bool {
    match kind {
        0..=31 => is_first_part,
        VPS..=DELIMITER | SEI_BEFORE => true,
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const CRA: u8 = 0x15;

    fn packet(payload: &[u8]) -> Vec<u8> {
        [&[0x80, 96, 0, 1, 0, 0, 0, 9, 1, 2, 3, 4], payload].concat()
    }

    #[test]
    fn the_first_packet_of_a_picture_is_known() {
        for (payload, expected) in [
            // CRA and a trailing picture, in one packet: the first part, and a later one.
            (&[CRA << 1, 1, 0x80][..], true),
            (&[CRA << 1, 1, 0x40], false),
            (&[1 << 1, 1, 0x80], true),
            (&[1 << 1, 1, 0x7f], false),
            // Cut: the beginning of the first part, of a later one, and what follows.
            (&[49 << 1, 1, 0x80 | CRA, 0x80], true),
            (&[49 << 1, 1, 0x80 | CRA, 0], false),
            (&[49 << 1, 1, CRA, 0x80], false),
            (&[49 << 1, 1, 0x40 | CRA, 0x80], false),
            // Parameters, a delimiter, and what is said before a picture; alone and with others.
            (&[32 << 1, 1, 0], true),
            (&[35 << 1, 1, 0], true),
            (&[39 << 1, 1, 0], true),
            (&[48 << 1, 1, 0, 3, 32 << 1, 1, 0, 0, 9], true),
            (&[48 << 1, 1, 0, 3, 1 << 1, 1, 0x80], true),
            (&[48 << 1, 1, 0, 3, 1 << 1, 1, 0], false),
            // What is said behind it, its end, and what nobody knows.
            (&[40 << 1, 1, 0], false),
            (&[36 << 1, 1, 0], false),
            (&[50 << 1, 1, 0, 0], false),
            (&[CRA << 1, 1], false),
            (&[], false),
        ] {
            assert_eq!(begins_picture(&packet(payload)), expected, "{payload:?}");
        }
    }

    proptest! {
        #[test]
        fn no_packet_is_too_wild(bytes in proptest::collection::vec(any::<u8>(), 0..40)) {
            begins_picture(&bytes);
            begins_picture(&packet(&bytes));
        }
    }
}
