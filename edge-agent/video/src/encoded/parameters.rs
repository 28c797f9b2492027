//! What is needed to decode a run of pictures, read from the pictures themselves.

use super::bits::Bits;
use super::frame_number::{Sequence, recovery_point};
use super::unit::{Codec, NalKind, nal_kind, nal_units};

/// Parameters of a run of pictures.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Format {
    /// How they are encoded.
    pub codec: Codec,
    /// Pixels across.
    pub width: u32,
    /// Pixels down.
    pub height: u32,
    /// Samples of chroma, as H.264 and H.265 number them: 1 is 4:2:0.
    pub chroma: u32,
    /// Bits of a luma sample.
    pub luma_bits: u32,
    /// Bits of a chroma sample.
    pub chroma_bits: u32,
    /// H.265 video parameter sets, as sent.
    pub vps: Vec<Vec<u8>>,
    /// Sequence parameter sets, as sent.
    pub sps: Vec<Vec<u8>>,
    /// Picture parameter sets, as sent.
    pub pps: Vec<Vec<u8>>,
}

/// A side longer than this is a misreading (H.264 level 6.2 ends before).
const LONGEST_SIDE: u32 = 16_384;
/// Parameter sets of a kind; cameras have one.
const MOST_SETS: usize = 16;

/// Whether decoding can begin with a picture, by what it says of itself.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Beginning {
    /// It refers to pictures before it.
    #[default]
    No,
    /// Parameter sets stand before it, and no more: cameras that refresh slowly send
    /// them where somebody who just came can begin, others before every picture.
    Parameters,
    /// Parameter sets, and every slice so far is intra.
    Intra,
    /// IDR and its like, or a recovery point.
    Sure,
}

/// What one buffer of a stream holds.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Content {
    /// Whether decoding can begin here.
    pub(super) beginning: Beginning,
    /// Whether a part of a picture is in it.
    pub(super) has_slice: bool,
    /// Whether its parts of a picture are all intra (H.264).
    pub(super) is_intra: bool,
    pub(super) vps: Vec<Vec<u8>>,
    pub(super) sps: Vec<Vec<u8>>,
    pub(super) pps: Vec<Vec<u8>>,
}

impl Content {
    pub(super) fn of(codec: Codec, bytes: &[u8]) -> Self {
        if codec == Codec::Mjpeg {
            let is_picture = bytes.starts_with(&[0xff, 0xd8]);
            return Self {
                beginning: if is_picture {
                    Beginning::Sure
                } else {
                    Beginning::No
                },
                has_slice: is_picture,
                ..Self::default()
            };
        }
        let mut content = Self {
            is_intra: true,
            ..Self::default()
        };
        for unit in nal_units(bytes) {
            let sets = match nal_kind(codec, unit) {
                NalKind::Slice { is_key } => {
                    content.has_slice = true;
                    content.is_intra &= is_key || (codec == Codec::H264 && is_intra(unit));
                    if is_key {
                        content.beginning = Beginning::Sure;
                    }
                    continue;
                }
                NalKind::Vps => &mut content.vps,
                NalKind::Sps => &mut content.sps,
                NalKind::Pps => &mut content.pps,
                NalKind::Other => continue,
            };
            // The same one again, before each slice, is one.
            if sets.len() < MOST_SETS && !sets.iter().any(|set| set == unit) {
                sets.push(unit.to_vec());
            }
        }
        if codec == Codec::H264
            && content.has_slice
            && !content.sps.is_empty()
            && content.beginning == Beginning::No
        {
            content.beginning = if nal_units(bytes).any(|unit| recovery_point(unit).is_some()) {
                Beginning::Sure
            } else if content.is_intra {
                Beginning::Intra
            } else {
                Beginning::Parameters
            };
        }
        content
    }
}

impl Format {
    /// Of the run that begins with a picture; `None` where it does not say.
    pub(super) fn of(codec: Codec, bytes: &[u8], content: &Content) -> Option<Self> {
        let mut format = Self {
            codec,
            width: 0,
            height: 0,
            chroma: 1,
            luma_bits: 8,
            chroma_bits: 8,
            vps: content.vps.clone(),
            sps: content.sps.clone(),
            pps: content.pps.clone(),
        };
        match codec {
            Codec::H264 => h264_size(content.sps.first()?, &mut format)?,
            Codec::H265 => h265_size(content.sps.first()?, &mut format)?,
            Codec::Mjpeg => jpeg_size(bytes, &mut format)?,
        }
        let is_sane = |side: u32| (1..=LONGEST_SIDE).contains(&side);
        let has_pictures = codec == Codec::Mjpeg || !content.pps.is_empty();
        (is_sane(format.width) && is_sane(format.height) && has_pictures).then_some(format)
    }

    /// The parameter sets as a byte stream, for a decoder that begins in the middle.
    pub(super) fn in_band(&self) -> Vec<u8> {
        let sets = self.vps.iter().chain(&self.sps).chain(&self.pps);
        sets.flat_map(|set| [&[0, 0, 0, 1], &set[..]].concat())
            .collect()
    }

    /// Whether a later key picture of the stream still goes by these parameters.
    pub(super) fn covers(&self, bytes: &[u8], content: &Content) -> bool {
        if self.codec == Codec::Mjpeg {
            let mut other = self.clone();
            return jpeg_size(bytes, &mut other).is_none() || other == *self;
        }
        let is_known = |sets: &[Vec<u8>], known: &[Vec<u8>]| sets.iter().all(|s| known.contains(s));
        is_known(&content.vps, &self.vps)
            && is_known(&content.sps, &self.sps)
            && is_known(&content.pps, &self.pps)
    }
}

/// Whether a picture that decoding begins with shows all of the scene by itself. One of a
/// stream that is refreshed slowly does not.
pub(super) fn is_whole(codec: Codec, bytes: &[u8]) -> bool {
    codec != Codec::H264 || are_of_whole(nal_units(bytes))
}

/// The same of the units of a picture of H.264.
///
/// Its second field may refer to its first: behind an IDR to nothing else, and where the encoder
/// says that all is right at once, to nothing before it.
pub(crate) fn are_of_whole<'a>(units: impl Iterator<Item = &'a [u8]>) -> bool {
    let (mut is_whole, mut is_promised) = (true, false);
    for unit in units {
        match nal_kind(Codec::H264, unit) {
            NalKind::Slice { is_key: true } => return true,
            NalKind::Slice { is_key: false } => is_whole &= is_promised || is_intra(unit),
            _ => {
                if let Some(recovery) = recovery_point(unit) {
                    is_whole &= recovery.after == 0;
                    is_promised |= recovery.after == 0 && recovery.is_exact;
                }
            }
        }
    }
    is_whole
}

/// Whether a slice refers to no other picture (ITU-T H.264 § 7.3.3, table 7-6).
fn is_intra(slice: &[u8]) -> bool {
    // Partitions B and C do not say, and go with an A that does.
    if slice
        .first()
        .is_some_and(|header| matches!(header & 31, 3 | 4))
    {
        return true;
    }
    // Two numbers: where it begins, and its type.
    let mut bits = Bits::of_nal(&slice[..slice.len().min(16)], 1);
    let kind = bits.ue().and_then(|_first| bits.ue());
    kind.is_some_and(|kind| matches!(kind % 5, 2 | 4))
}

fn h264_size(sps: &[u8], format: &mut Format) -> Option<()> {
    let sequence = Sequence::read(sps)?;
    format.width = sequence.width;
    format.height = sequence.height;
    format.chroma = sequence.chroma;
    format.luma_bits = sequence.luma_bits;
    format.chroma_bits = sequence.chroma_bits;
    Some(())
}

fn h265_size(sps: &[u8], format: &mut Format) -> Option<()> {
    let (_, head) = h265_head(sps)?;
    format.width = head.width;
    format.height = head.height;
    format.chroma = head.chroma;
    format.luma_bits = head.luma_bits;
    format.chroma_bits = head.chroma_bits;
    Some(())
}

/// The beginning of a sequence parameter set of H.265.
pub(super) struct H265Head {
    pub(super) id: u32,
    /// Sub-layers above the first.
    pub(super) layers: u32,
    pub(super) separate_planes: bool,
    width: u32,
    height: u32,
    chroma: u32,
    luma_bits: u32,
    chroma_bits: u32,
}

/// ITU-T H.265 § 7.3.2.2.1, and what stands behind it.
pub(super) fn h265_head(sps: &[u8]) -> Option<(Bits, H265Head)> {
    let mut bits = Bits::of_nal(sps, 2);
    bits.skip(4)?;
    let layers = bits.bits(3)?;
    bits.skip(1)?;
    // Profile, tier and level, and then those of the sub-layers.
    bits.skip(96)?;
    let mut present = Vec::new();
    for _ in 0..layers {
        present.push((bits.bit()?, bits.bit()?));
    }
    if layers > 0 {
        bits.skip(2 * (8 - layers as usize))?;
    }
    for (profile, level) in present {
        bits.skip(if profile { 88 } else { 0 })?;
        bits.skip(if level { 8 } else { 0 })?;
    }
    let id = bits.ue()?;
    let chroma = bits.ue()?;
    let separate_planes = chroma == 3 && bits.bit()?;
    let (across, down) = (bits.ue()?, bits.ue()?);
    let (step_x, step_y) = match (chroma, separate_planes) {
        (1, _) => (2, 2),
        (2, _) => (2, 1),
        _ => (1, 1),
    };
    let crop = if bits.bit()? {
        [bits.ue()?, bits.ue()?, bits.ue()?, bits.ue()?]
    } else {
        [0; 4]
    };
    let head = H265Head {
        id,
        layers,
        separate_planes,
        width: cropped(across, crop[0], crop[1], step_x)?,
        height: cropped(down, crop[2], crop[3], step_y)?,
        chroma,
        luma_bits: depth(&mut bits)?,
        chroma_bits: depth(&mut bits)?,
    };
    Some((bits, head))
}

/// Bits of a sample: at most 14 of H.264, 16 of H.265; what says more is damaged.
pub(super) fn depth(bits: &mut Bits) -> Option<u32> {
    let beyond = bits.ue()?;
    (beyond <= 8).then_some(8 + beyond)
}

pub(super) fn cropped(side: u32, before: u32, after: u32, step: u32) -> Option<u32> {
    side.checked_sub(before.checked_add(after)?.checked_mul(step)?)
}

/// The frame header of a JPEG (ITU-T T.81 § B.2.2).
fn jpeg_size(bytes: &[u8], format: &mut Format) -> Option<()> {
    let mut at = 2;
    loop {
        let [0xff, marker] = *bytes.get(at..at + 2)? else {
            return None;
        };
        if marker == 0xff {
            at += 1;
            continue;
        }
        let length = usize::from(u16::from_be_bytes(
            *bytes.get(at + 2..at + 4)?.first_chunk()?,
        ));
        match marker {
            0xc0..=0xc3 | 0xc5..=0xc7 | 0xc9..=0xcb | 0xcd..=0xcf => {
                let [high_y, low_y, high_x, low_x] = *bytes.get(at + 5..at + 9)?.first_chunk()?;
                format.height = u32::from(u16::from_be_bytes([high_y, low_y]));
                format.width = u32::from(u16::from_be_bytes([high_x, low_x]));
                return Some(());
            }
            0xd8 | 0x01 | 0xd0..=0xd7 => at += 2,
            _ => at += 2 + length.max(2),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn bytes(hex: &str) -> Vec<u8> {
        let digits: Vec<u8> = hex.bytes().filter(u8::is_ascii_hexdigit).collect();
        digits
            .chunks(2)
            .map(|pair| u8::from_str_radix(std::str::from_utf8(pair).unwrap(), 16).unwrap())
            .collect()
    }

    #[test]
    fn sizes_are_read_from_parameter_sets_of_real_encoders() {
        // x264 high, 320×240 and 1920×1080 (cropped from 1088); x265 main, 1920×1080.
        for (codec, stream, size) in SETS {
            let stream = bytes(stream);
            let content = Content::of(*codec, &stream);
            let format = Format::of(*codec, &stream, &content).unwrap();
            assert_eq!((format.width, format.height), *size, "{codec:?}");
            assert_eq!((format.chroma, format.luma_bits), (1, 8), "{codec:?}");
            assert!(format.covers(&stream, &content));
        }
    }

    const SETS: &[(Codec, &str, (u32, u32))] = &[
        (
            Codec::H264,
            "0000016764000dacd94141fb011000000300100000030320f142996000000168ebe3cb22c0",
            (320, 240),
        ),
        (
            Codec::H264,
            "00000167640028acd940780227e5c044000003000400000300c83c60c65800000168ebe3cb22c0",
            (1920, 1080),
        ),
        (
            Codec::H265,
            "00000140010c01ffff01600000030090000003000003003c95980900000142010101600000030090000003000003003ca00a080f165959a4932bc05a0200000300020000030032100000014401c172b46240",
            (320, 240),
        ),
        (
            Codec::H265,
            "00000140010c01ffff016000000300900000030000030078959809000001420101016000000300900000030000030078a003c08010e596566924caf0168080000003008000000c840000014401c172b46240",
            (1920, 1080),
        ),
        (
            Codec::Mjpeg,
            "ffd8ffc000110800ee015003012200021100031100",
            (336, 238),
        ),
    ];

    /// Of a camera that codes field by field it was said that it sends no whole picture.
    #[test]
    fn a_picture_is_whole_though_its_second_field_refers_to_its_first() {
        // Slices: of an IDR, intra, of what refers to others; recovery at once to the bit, at once
        // and nearly, and after three more.
        let [idr, intra, refers] = [
            &[0x65, 0b1011_0000][..],
            &[0x61, 0b1011_0000],
            &[0x41, 0b1110_0000],
        ];
        let [exact, near, slow] =
            [0b1100_0100_u8, 0b1000_0100, 0b0010_0100].map(|point| [6, 6, 1, point, 0x80]);
        for (units, expected) in [
            (vec![idr, refers], true),
            (vec![&slow[..], idr], true),
            (vec![intra, intra], true),
            (vec![&exact[..], intra, refers], true),
            (vec![&near[..], intra, intra], true),
            (vec![&near[..], intra, refers], false),
            (vec![intra, refers], false),
            (vec![refers], false),
            (vec![&slow[..], intra], false),
        ] {
            assert_eq!(are_of_whole(units.iter().copied()), expected, "{units:?}");
        }
    }

    #[test]
    fn a_parameter_set_that_promises_impossible_samples_is_damaged() {
        // High profile, sequence 0, chroma 4:2:0, then 31 zeros and ones: 2^32 - 2 more bits.
        let stream = bytes("00000167 64000a ac 00000003 0003ffffffff 00000168ebe3cb22c0");
        let content = Content::of(Codec::H264, &stream);
        assert_eq!(Format::of(Codec::H264, &stream, &content), None);
    }

    proptest! {
        #[test]
        fn no_bytes_are_too_wild(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
            let mut stream = vec![0, 0, 1, 0x67];
            stream.extend_from_slice(&bytes);
            stream.extend_from_slice(&[0, 0, 1, 0x68, 1]);
            for codec in [Codec::H264, Codec::H265, Codec::Mjpeg] {
                for wild in [&stream, &bytes] {
                    let content = Content::of(codec, wild);
                    if let Some(format) = Format::of(codec, wild, &content) {
                        prop_assert!(format.width <= LONGEST_SIDE && format.height <= LONGEST_SIDE);
                    }
                }
            }
        }
    }
}
