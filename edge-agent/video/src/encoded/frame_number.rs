//! Whether pictures are missing from an H.264 stream, by the numbers that it gives to those
//! that others refer to (`frame_num`, ITU-T H.264 § 7.4.3).
//!
//! A picture that was lost whole leaves no other trace: libav takes the one before it for
//! the reference, draws what follows onto that, and says nothing.
//!
//! Nothing is said where the numbers say nothing: pictures made of fields, streams that may
//! leave numbers out, and whatever is not understood.

use std::collections::BTreeMap;

use super::bits::Bits;
use super::parameters::{cropped, depth};

/// A sequence parameter set, as far as somebody here asks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Sequence {
    id: u32,
    pub(super) width: u32,
    pub(super) height: u32,
    pub(super) chroma: u32,
    pub(super) luma_bits: u32,
    pub(super) chroma_bits: u32,
    separate_planes: bool,
    /// Of a frame number.
    number_bits: u32,
    /// Numbers may be left out, as where a server takes layers out.
    allows_gaps: bool,
    frames_only: bool,
}

impl Sequence {
    /// ITU-T H.264 § 7.3.2.1.1.
    pub(super) fn read(sps: &[u8]) -> Option<Self> {
        let mut bits = Bits::of_nal(sps, 1);
        let profile = bits.bits(8)?;
        bits.skip(16)?;
        let id = bits.ue()?;
        let (mut chroma, mut luma_bits, mut chroma_bits) = (1, 8, 8);
        let mut separate_planes = false;
        if [100, 110, 122, 244, 44, 83, 86, 118, 128, 138, 139, 134, 135].contains(&profile) {
            chroma = bits.ue()?;
            if chroma == 3 {
                separate_planes = bits.bit()?;
            }
            luma_bits = depth(&mut bits)?;
            chroma_bits = depth(&mut bits)?;
            bits.bit()?;
            if bits.bit()? {
                for list in 0..if chroma == 3 { 12 } else { 8 } {
                    if bits.bit()? {
                        skip_scaling_list(&mut bits, if list < 6 { 16 } else { 64 })?;
                    }
                }
            }
        }
        let number_bits = bits.ue()?.checked_add(4)?;
        match bits.ue()? {
            0 => {
                bits.ue()?;
            }
            1 => {
                bits.bit()?;
                bits.se()?;
                bits.se()?;
                for _ in 0..bits.ue()?.min(255) {
                    bits.se()?;
                }
            }
            _ => {}
        }
        bits.ue()?;
        let allows_gaps = bits.bit()?;
        let across = bits.ue()?.checked_add(1)?.checked_mul(16)?;
        let units = bits.ue()?.checked_add(1)?;
        let frames_only = bits.bit()?;
        let fields = if frames_only { 1 } else { 2 };
        if !frames_only {
            bits.bit()?;
        }
        let down = units.checked_mul(16 * fields)?;
        bits.bit()?;
        let (step_x, step_y) = match (chroma, separate_planes) {
            (1, _) => (2, 2 * fields),
            (2, _) => (2, fields),
            _ => (1, fields),
        };
        let crop = if bits.bit()? {
            [bits.ue()?, bits.ue()?, bits.ue()?, bits.ue()?]
        } else {
            [0; 4]
        };
        Some(Self {
            id,
            width: cropped(across, crop[0], crop[1], step_x)?,
            height: cropped(down, crop[2], crop[3], step_y)?,
            chroma,
            luma_bits,
            chroma_bits,
            separate_planes,
            number_bits,
            allows_gaps,
            frames_only,
        })
    }
}

fn skip_scaling_list(bits: &mut Bits, size: u32) -> Option<()> {
    let (mut last, mut next) = (8_i64, 8_i64);
    for _ in 0..size {
        if next != 0 {
            next = (last + bits.se()?).rem_euclid(256);
        }
        if next != 0 {
            last = next;
        }
    }
    Some(())
}

/// Where decoding can begin though the picture is no IDR (ITU-T H.264 § D.1.8).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Recovery {
    /// After so many reference pictures all is as it should be.
    pub(super) after: u32,
    /// To the bit.
    pub(super) is_exact: bool,
}

/// Where a unit is an SEI with a recovery point: after so many reference pictures all is as
/// it should be, though nothing was intra as a whole (ITU-T H.264 § 7.3.2.3.1, D.1.8).
pub(super) fn recovery_point(unit: &[u8]) -> Option<Recovery> {
    const RECOVERY_POINT: u32 = 6;
    if unit.first().is_none_or(|header| header & 31 != SEI) {
        return None;
    }
    let mut bits = Bits::of_nal(unit, 1);
    // Both numbers of a message count on after each 255.
    let number = |bits: &mut Bits| {
        let mut sum = 0_u32;
        loop {
            let byte = bits.bits(8)?;
            sum = sum.checked_add(byte)?;
            if byte != 255 {
                return Some(sum);
            }
        }
    };
    while let (Some(kind), Some(length)) = (number(&mut bits), number(&mut bits)) {
        if kind == RECOVERY_POINT {
            return Some(Recovery {
                after: bits.ue().unwrap_or(0),
                is_exact: bits.bit().unwrap_or(false),
            });
        }
        bits.skip((length as usize).saturating_mul(8))?;
    }
    None
}

const SEI: u8 = 6;
/// Longest set that is read, and most of a slice that its header needs, in bytes.
const LONGEST_SET: usize = 2_048;
pub(super) const SLICE_HEADER: usize = 40;
/// Sets of either kind (§ 7.4.2.1, 7.4.2.2).
const SEQUENCES: u32 = 32;
const PICTURES: u32 = 256;
/// An encoder may begin to count anew without a key picture (memory management control
/// operation 5). The number after that is 1; so a number 1 that is further ahead than pictures
/// are lost at once is taken for that.
const LOST_AT_ONCE: u32 = 8;

/// What the picture that is sent now tells of those before it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[allow(clippy::struct_excessive_bools)] // what a slice says, each by itself
pub(crate) struct Told {
    /// Its number, whatever is known of those before it.
    pub(crate) number: Option<u32>,
    /// So many that others refer to were sent before it, and are not there. A picture with which
    /// decoding can begin does not miss them.
    pub(crate) left_out: u32,
    /// One that others refer to was sent before it, and is not there.
    pub(crate) misses_one: bool,
    /// Others refer to it.
    pub(crate) is_reference: bool,
    /// Decoding can begin here, and after so many references all is right.
    pub(crate) recovers_after: Option<u32>,
    /// Numbers begin anew with it, or have just before it.
    pub(crate) begins_anew: bool,
    /// It is one before which everything is forgotten, or its encoder says that all that is shown
    /// from it on is right to the bit for who begins with it.
    pub(crate) is_sure_beginning: bool,
}

/// Follows the numbers of one stream's pictures, in the order of sending.
#[derive(Debug, Default)]
pub(crate) struct FrameNumbers {
    sequences: BTreeMap<u32, Sequence>,
    /// Which sequence parameter set each picture parameter set goes by.
    pictures: BTreeMap<u32, u32>,
    /// Of the last picture that others refer to.
    last: Option<u32>,
}

/// The number in a slice, and where it stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Numbered {
    pub(super) number: u32,
    /// So many bits.
    pub(super) bits: u32,
    /// Bits before it, behind the unit's header and without emulation prevention.
    pub(super) at: usize,
}

/// The beginning of a slice's header (§ 7.3.3).
struct Slice {
    number: u32,
    number_at: usize,
    is_key: bool,
    is_reference: bool,
    is_field: bool,
    sequence: Sequence,
}

impl FrameNumbers {
    /// The units of a picture, or of what is said beside the pictures; each may go on with
    /// those behind it. `is_key`: whoever starts to decode may start here.
    pub(crate) fn heed<'a>(&mut self, units: impl Iterator<Item = &'a [u8]>, is_key: bool) -> Told {
        let mut recovery: Option<Recovery> = None;
        for unit in units {
            let Some(header) = unit.first() else { continue };
            let set = &unit[..unit.len().min(LONGEST_SET)];
            match header & 31 {
                SEI => recovery = recovery.or_else(|| recovery_point(set)),
                7 => self.heed_sequence(set),
                8 => self.heed_picture(set),
                // All slices of a picture say the same; partition A begins as they do.
                1 | 2 | 5 => {
                    let told = self.heed_slice(&unit[..unit.len().min(SLICE_HEADER)], is_key);
                    let is_exact_at_once = |it: Recovery| it.after == 0 && it.is_exact;
                    return Told {
                        recovers_after: recovery.map(|it| it.after),
                        is_sure_beginning: told.is_sure_beginning
                            || recovery.is_some_and(is_exact_at_once),
                        ..told
                    };
                }
                _ => {}
            }
        }
        Told::default()
    }

    /// What number a unit has, where it is a slice that has one.
    pub(super) fn numbered(&self, unit: &[u8]) -> Option<Numbered> {
        let has_number = matches!(unit.first()? & 31, 1 | 2 | 5);
        let slice = self.slice(&unit[..unit.len().min(SLICE_HEADER)]);
        slice.filter(|_| has_number).map(|slice| Numbered {
            number: slice.number,
            bits: slice.sequence.number_bits,
            at: slice.number_at,
        })
    }

    fn heed_sequence(&mut self, set: &[u8]) {
        if let Some(sequence) = Sequence::read(set)
            && sequence.id < SEQUENCES
            && sequence.number_bits <= 16
        {
            self.sequences.insert(sequence.id, sequence);
        }
    }

    fn heed_picture(&mut self, set: &[u8]) {
        let mut bits = Bits::of_nal(set, 1);
        if let (Some(id), Some(of)) = (bits.ue(), bits.ue())
            && id < PICTURES
        {
            self.pictures.insert(id, of);
        }
    }

    fn slice(&self, unit: &[u8]) -> Option<Slice> {
        let header = *unit.first()?;
        let mut bits = Bits::of_nal(unit, 1);
        let (_first, _kind, set) = (bits.ue()?, bits.ue()?, bits.ue()?);
        let sequence = *self.sequences.get(self.pictures.get(&set)?)?;
        if sequence.separate_planes {
            bits.skip(2)?;
        }
        let number_at = bits.at();
        let number = bits.bits(sequence.number_bits)?;
        Some(Slice {
            number,
            number_at,
            is_key: header & 31 == 5,
            is_reference: header >> 5 & 3 != 0,
            is_field: !sequence.frames_only && bits.bit()?,
            sequence,
        })
    }

    fn heed_slice(&mut self, unit: &[u8], is_key: bool) -> Told {
        let slice = self.slice(unit);
        let is_idr = slice.as_ref().is_some_and(|slice| slice.is_key);
        let number = slice.as_ref().map(|slice| slice.number);
        let Some(slice) = slice.filter(|slice| !slice.is_field) else {
            self.last = None;
            return Told {
                number,
                begins_anew: is_idr,
                is_sure_beginning: is_idr,
                ..Told::default()
            };
        };
        let count = 1_u32 << slice.sequence.number_bits;
        // Of other parameters the last one may be beyond what there is of these.
        let before = |ahead: u32| (slice.number + count - ahead % count) % count;
        let ahead = self.last.map_or(1, before);
        let goes_on = !slice.is_key && !slice.sequence.allows_gaps;
        let begins_anew = goes_on && !is_key && slice.number == 1 && ahead > LOST_AT_ONCE;
        let left_out = if goes_on && !begins_anew {
            ahead.saturating_sub(1)
        } else {
            0
        };
        let misses_one = !is_key && left_out > 0;
        if slice.is_reference {
            self.last = Some(slice.number);
        } else if misses_one {
            self.last = Some(before(1));
        }
        Told {
            number,
            left_out,
            misses_one,
            is_reference: slice.is_reference,
            recovers_after: None,
            begins_anew: is_idr || begins_anew,
            is_sure_beginning: is_idr,
        }
    }
}

#[cfg(test)]
mod tests;
