//! One encoded picture, and the NAL units in it.

use std::sync::Arc;

use protocol::{EventTime, TimeQuality};

use super::parameters::Format;
use crate::frame::OwnTime;

/// How pictures are encoded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Codec {
    /// ITU-T H.264, as a byte stream (Annex B).
    H264,
    /// ITU-T H.265, as a byte stream (Annex B).
    H265,
    /// One JPEG per picture.
    Mjpeg,
}

impl Codec {
    /// As people call it.
    pub const fn name(self) -> &'static str {
        match self {
            Self::H264 => "H.264",
            Self::H265 => "H.265",
            Self::Mjpeg => "MJPEG",
        }
    }
}

/// One picture as the camera sent it; a clone shares the bytes.
#[derive(Clone, Debug)]
pub struct AccessUnit {
    /// Exactly what was received, with everything that belongs to the picture.
    pub bytes: Arc<[u8]>,
    /// Counts all pictures of a ring, from 0.
    pub number: u64,
    /// Which unbroken run: a new connection, or new parameters, begins one.
    pub run: u64,
    /// When it is to be shown, on the camera's clock within one connection (µs).
    pub media: i64,
    /// When it was taken.
    pub time: EventTime,
    /// Which clock said so.
    pub time_quality: TimeQuality,
    /// The same by the camera's own clock, where that is known.
    pub own_time: Option<OwnTime>,
    /// Whether decoding can begin here.
    pub is_key: bool,
    /// Whether packets were lost in it, or just before it: it may lack a part, or
    /// the picture that it refers to. Where only the one before was hit it is whole.
    pub is_torn: bool,
    /// What it needs to be decoded.
    pub format: Arc<Format>,
}

impl AccessUnit {
    /// Whether nothing is missing between it and another.
    pub(super) fn is_followed_by(&self, next: &Self) -> bool {
        next.number == self.number + 1 && next.run == self.run
    }

    /// Whether it is shown before the key picture that it was sent behind: it may refer to the
    /// group before.
    pub(super) fn leads(&self, key: &Self) -> bool {
        self.media < key.media
    }
}

/// When a picture was taken, as far as that is known.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Taken {
    /// When.
    pub time: EventTime,
    /// Which clock said so.
    pub quality: TimeQuality,
    /// The same by the camera's own clock, where that is known.
    pub own: Option<OwnTime>,
    /// It only stands in for the time that is still to be found ([`Ring::date`]).
    ///
    /// [`Ring::date`]: super::Ring::date
    pub is_provisional: bool,
}

/// By the camera's clock, as it is told of, or by another.
impl From<(EventTime, TimeQuality)> for Taken {
    fn from((time, quality): (EventTime, TimeQuality)) -> Self {
        Self {
            time,
            quality,
            own: (quality == TimeQuality::Rtcp).then_some(OwnTime { time, ahead_us: 0 }),
            is_provisional: false,
        }
    }
}

/// The NAL units of a byte stream (ITU-T H.264 Annex B), without start codes.
///
/// No unit ends with a zero byte, so zeros before a start code belong to nobody.
pub fn nal_units(bytes: &[u8]) -> impl Iterator<Item = &[u8]> {
    let mut rest = start(bytes).map(|(_, from)| &bytes[from..]);
    std::iter::from_fn(move || {
        let here = rest?;
        let (unit, next) = match start(here) {
            Some((end, from)) => (&here[..end], Some(&here[from..])),
            None => (here, None),
        };
        rest = next;
        let length = unit
            .iter()
            .rposition(|b| *b != 0)
            .map_or(0, |last| last + 1);
        Some(&unit[..length])
    })
    .filter(|unit| !unit.is_empty())
}

/// What follows each start code, up to the end of the stream: for who wants the
/// headers only, and stops at the first slice.
pub(crate) fn nal_beginnings(bytes: &[u8]) -> impl Iterator<Item = &[u8]> {
    let mut rest = bytes;
    std::iter::from_fn(move || {
        let (_, from) = start(rest)?;
        rest = &rest[from..];
        Some(rest)
    })
}

/// Units that each stand behind their length, of so many bytes (ISO/IEC 14496-15).
pub(crate) fn nal_behind_length(picture: &[u8], size: usize) -> impl Iterator<Item = &[u8]> {
    let mut rest = picture;
    std::iter::from_fn(move || {
        let (length, after) = rest.split_at_checked(size)?;
        let length = length
            .iter()
            .fold(0_usize, |length, byte| length << 8 | usize::from(*byte));
        let unit = after.get(..length)?;
        rest = &after[length..];
        Some(unit)
    })
}

/// Where the next start code begins, and where what it starts does.
fn start(bytes: &[u8]) -> Option<(usize, usize)> {
    let mut at = 0;
    while let Some(window) = bytes.get(at..at + 3) {
        at += match window {
            [0, 0, 1] => return Some((at, at + 3)),
            [_, _, 2..=255] => 3,
            [_, 1..=255, _] => 2,
            _ => 1,
        };
    }
    None
}

/// What a NAL unit is to somebody who keeps pictures.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum NalKind {
    /// A part of a picture; whether decoding can begin with it.
    Slice { is_key: bool },
    /// H.265 video parameter set.
    Vps,
    /// Sequence parameter set.
    Sps,
    /// Picture parameter set.
    Pps,
    /// SEI, delimiters, and what nobody knows.
    Other,
}

/// Tells by the header (H.264 table 7-1, H.265 table 7-1).
pub(super) fn nal_kind(codec: Codec, unit: &[u8]) -> NalKind {
    let Some(first) = unit.first() else {
        return NalKind::Other;
    };
    match codec {
        Codec::H264 => match first & 31 {
            5 => NalKind::Slice { is_key: true },
            1..=4 => NalKind::Slice { is_key: false },
            7 => NalKind::Sps,
            8 => NalKind::Pps,
            _ => NalKind::Other,
        },
        Codec::H265 => match first >> 1 & 63 {
            kind @ 0..=31 => NalKind::Slice {
                is_key: (16..=23).contains(&kind),
            },
            32 => NalKind::Vps,
            33 => NalKind::Sps,
            34 => NalKind::Pps,
            _ => NalKind::Other,
        },
        Codec::Mjpeg => NalKind::Other,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn units_are_told_apart_whatever_their_start_codes() {
        let stream = [
            0, 0, 0, 1, 0x67, 1, 2, 0, 0, 1, 0x68, 3, 0, 0, 0, 1, 0x65, 0, 0, 3, 1, 9, 0, 0,
        ];
        let units: Vec<&[u8]> = nal_units(&stream).collect();
        assert_eq!(
            units,
            [&[0x67, 1, 2][..], &[0x68, 3], &[0x65, 0, 0, 3, 1, 9]]
        );
        assert_eq!(nal_units(&[1, 2, 3]).count(), 0);
        assert_eq!(nal_units(&[0, 0, 1]).count(), 0);
    }

    proptest! {
        #[test]
        fn what_was_put_together_is_taken_apart(
            units in proptest::collection::vec(proptest::collection::vec(2..=255_u8, 1..20), 0..9),
            long in proptest::collection::vec(any::<bool>(), 9),
        ) {
            let mut stream = Vec::new();
            for (unit, long) in units.iter().zip(&long) {
                stream.extend_from_slice(if *long { &[0, 0, 0, 1] } else { &[0, 0, 1] });
                stream.extend_from_slice(unit);
            }
            let found: Vec<&[u8]> = nal_units(&stream).collect();
            prop_assert_eq!(found, units);
        }

        #[test]
        fn the_quick_search_finds_what_a_slow_one_does(
            bytes in proptest::collection::vec(0..4_u8, 0..200),
        ) {
            let slow = bytes.windows(3).position(|w| w == [0, 0, 1]);
            prop_assert_eq!(start(&bytes).map(|(at, _)| at), slow);
        }
    }
}
