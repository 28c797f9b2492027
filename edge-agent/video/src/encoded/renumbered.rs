//! Pictures of H.264 counted in another way: a group from zero, for a decoder that begins with
//! it, and what follows a gap as if there were none.
//!
//! An open group begins with a picture that is whole, and yet no IDR: its number (`frame_num`)
//! goes on from the group before. A decoder that has not seen that group takes it for a gap, and
//! libav makes up pictures to fill it. GStreamer's element has no memory for these
//! (`get_buffer() failed`, seen with 1.22): the key picture itself is not decoded, and what
//! refers to it is wrong.
//!
//! H.264 goes by the differences of these numbers, modulo how many there are (§ 7.4.3, 8.2.1,
//! 8.2.4.1, 8.2.5), and by nothing else of them. So all of the group's are told less the key
//! picture's. What the pictures show stays the same to the bit, and a reference from before the
//! group is one that libav says is missing, instead of one that it made up.
//!
//! Only what goes into a decoder: clips keep every byte of the camera.

use super::bits::{push_with_prevention, without_prevention};
use super::frame_number::{FrameNumbers, Numbered, SLICE_HEADER};
use super::parameters::is_whole;
use super::unit::{Codec, nal_behind_length, nal_units};

/// How pictures are counted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Renumbering {
    /// So much less.
    pub(crate) by: u32,
}

const IDR: u8 = 5;

/// The same key picture with the word that it is whole: without that libav gives out nothing that
/// begins with one that is no IDR.
pub(super) fn said_to_be_whole(key: &[u8]) -> Vec<u8> {
    // SEI with a recovery point: at once, and no promise that all behind it is right to the bit.
    const WORD: &[u8] = &[0, 0, 0, 1, 6, 6, 1, 0b1000_0100, 0x80];
    let mut said = Vec::with_capacity(key.len() + 64);
    let mut is_said = false;
    for unit in nal_units(key) {
        if matches!(unit[0] & 31, 1..=5) && !std::mem::replace(&mut is_said, true) {
            said.extend(WORD);
        }
        said.extend([0, 0, 0, 1]);
        said.extend(unit);
    }
    said
}

impl Renumbering {
    /// Of the group that begins with this picture, of which `numbers` has heard.
    ///
    /// Where that one is not whole what it refers to never came, whatever the numbers are.
    pub(super) fn of(numbers: &FrameNumbers, key: &[u8]) -> Self {
        let first = nal_units(key).find_map(|unit| Some((unit, numbers.numbered(unit)?)));
        let is_open = |unit: &[u8]| unit[0] & 31 != IDR && is_whole(Codec::H264, key);
        first
            .filter(|(unit, _)| is_open(unit))
            .map_or_else(Self::default, |(_, it)| Self { by: it.number })
    }

    /// The same picture counted so; none where that is as it came.
    pub(super) fn of_picture(self, numbers: &FrameNumbers, picture: &[u8]) -> Option<Vec<u8>> {
        if self.by == 0 {
            return None;
        }
        let mut counted = Vec::with_capacity(picture.len() + 16);
        for unit in nal_units(picture) {
            counted.extend([0, 0, 0, 1]);
            self.write_unit(numbers, unit, &mut counted);
        }
        Some(counted)
    }

    /// The same, of a picture whose units each stand behind their length, of so many bytes.
    pub(crate) fn of_picture_in(
        self,
        numbers: &FrameNumbers,
        picture: &[u8],
        length_size: Option<usize>,
    ) -> Option<Vec<u8>> {
        let Some(size) = length_size else {
            return self.of_picture(numbers, picture);
        };
        if self.by == 0 {
            return None;
        }
        let mut counted = Vec::with_capacity(picture.len() + 16);
        for unit in nal_behind_length(picture, size) {
            let length_at = counted.len();
            counted.resize(length_at + size, 0);
            self.write_unit(numbers, unit, &mut counted);
            let length = (counted.len() - length_at - size).to_be_bytes();
            let (unsaid, said) = length.split_at(length.len().checked_sub(size)?);
            if unsaid.iter().any(|byte| *byte != 0) {
                return None;
            }
            counted[length_at..length_at + size].copy_from_slice(said);
        }
        Some(counted)
    }

    fn write_unit(self, numbers: &FrameNumbers, unit: &[u8], into: &mut Vec<u8>) {
        match numbers.numbered(unit) {
            Some(numbered) => self.write(unit, numbered, into),
            None => into.extend(unit),
        }
    }

    /// The number stands well before the end of what is taken for the header, so whatever stands
    /// at the seam stays as it was. The seam does not part what would look like a start code
    /// from what prevents that.
    fn write(self, unit: &[u8], numbered: Numbered, into: &mut Vec<u8>) {
        let mut seam = unit.len().min(SLICE_HEADER);
        while seam < unit.len() && unit[..seam].ends_with(&[0, 0, 3]) {
            seam += 1;
        }
        let (head, rest) = unit.split_at(seam);
        let count = 1_u32 << numbered.bits;
        let number = (numbered.number + count - self.by % count) % count;
        let mut bytes = without_prevention(&head[1..]);
        for bit in 0..numbered.bits {
            let at = numbered.at + bit as usize;
            let mask = 0x80 >> (at % 8);
            if number >> (numbered.bits - 1 - bit) & 1 == 1 {
                bytes[at / 8] |= mask;
            } else {
                bytes[at / 8] &= !mask;
            }
        }
        into.push(head[0]);
        push_with_prevention(into, &bytes);
        into.extend(rest);
    }
}
