//! Whether other pictures refer to an encoded one, read from its NAL headers.
//!
//! A picture that nobody refers to need not be decoded for the sake of the others.
//! H.264 says so in each slice (`nal_ref_idc`, § 7.4.1). H.265 says it of its
//! sub-layer (types `…_N`, table 7-1), so that only the highest sub-layer's can be
//! left out; how many there are is in the sequence parameter set. Whatever is not
//! understood is taken for a reference.

use gstreamer as gst;

use crate::encoded;
use crate::encoded::unit::{nal_beginnings, nal_behind_length};

/// Reads the units of one stream.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ReferenceReader {
    codec: Option<Codec>,
    /// Bytes of each unit's length; none in a byte stream.
    length_size: Option<usize>,
    /// H.265: number of the highest sub-layer, once it is known.
    highest: Option<u8>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Codec {
    H264,
    H265,
}

/// What a NAL unit says of its picture.
enum Unit {
    Slice {
        is_reference: bool,
    },
    /// Parameters, which later pictures need.
    Parameters,
    Other,
}

impl ReferenceReader {
    /// For a format, as GStreamer describes it.
    pub fn of_caps(caps: &gst::CapsRef) -> Self {
        let Some(structure) = caps.structure(0) else {
            return Self::default();
        };
        let codec = match structure.name().as_str() {
            "video/x-h264" => Codec::H264,
            "video/x-h265" => Codec::H265,
            _ => return Self::default(),
        };
        let data = structure.get::<gst::Buffer>("codec_data").ok();
        let data = data.as_ref().and_then(|data| data.map_readable().ok());
        let byte = |at: usize| data.as_ref().and_then(|data| data.get(at).copied());
        // avcC and hvcC, ISO/IEC 14496-15.
        let (length, layers) = match codec {
            Codec::H264 => (byte(4), None),
            Codec::H265 => (byte(21), byte(21).map(|byte| byte >> 3 & 7)),
        };
        Self {
            codec: Some(codec),
            length_size: length.map(|byte| usize::from(byte & 3) + 1),
            highest: layers.and_then(|layers| layers.checked_sub(1)),
        }
    }

    /// For a byte stream.
    pub(crate) fn of_byte_stream(codec: encoded::Codec) -> Self {
        let codec = match codec {
            encoded::Codec::H264 => Some(Codec::H264),
            encoded::Codec::H265 => Some(Codec::H265),
            encoded::Codec::Mjpeg => None,
        };
        Self {
            codec,
            ..Self::default()
        }
    }

    /// Whether later pictures need this one, or something that comes with it.
    pub fn is_needed(&mut self, picture: &[u8]) -> bool {
        match self.length_size {
            None => self.judge(nal_beginnings(picture)),
            Some(size) => self.judge(nal_behind_length(picture, size)),
        }
    }

    fn judge<'a>(&mut self, units: impl Iterator<Item = &'a [u8]>) -> bool {
        let Some(codec) = self.codec else {
            return true;
        };
        let mut has_parameters = false;
        for unit in units {
            match self.unit(codec, unit) {
                // All slices of a picture say the same.
                Unit::Slice { is_reference } => return is_reference || has_parameters,
                Unit::Parameters => has_parameters = true,
                Unit::Other => {}
            }
        }
        true
    }

    fn unit(&mut self, codec: Codec, unit: &[u8]) -> Unit {
        let Some(first) = unit.first() else {
            return Unit::Other;
        };
        match codec {
            Codec::H264 => match first & 31 {
                1..=5 => Unit::Slice {
                    is_reference: first >> 5 & 3 != 0,
                },
                7 | 8 | 13 | 15 => Unit::Parameters,
                _ => Unit::Other,
            },
            Codec::H265 => match first >> 1 & 63 {
                kind @ 0..=31 => {
                    let layer = unit.get(1).and_then(|second| (second & 7).checked_sub(1));
                    let is_highest = layer.is_some() && layer == self.highest;
                    Unit::Slice {
                        is_reference: !(kind < 16 && kind % 2 == 0 && is_highest),
                    }
                }
                33 => {
                    // sps_max_sub_layers_minus1, behind the header and four bits.
                    self.highest = unit.get(2).map(|byte| byte >> 1 & 7).or(self.highest);
                    Unit::Parameters
                }
                32 | 34 => Unit::Parameters,
                _ => Unit::Other,
            },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn reader(caps: &str) -> ReferenceReader {
        crate::init().unwrap();
        ReferenceReader::of_caps(&caps.parse::<gst::Caps>().unwrap())
    }

    /// Units as a byte stream.
    fn stream(units: &[&[u8]]) -> Vec<u8> {
        units
            .iter()
            .flat_map(|unit| [&[0, 0, 0, 1], *unit].concat())
            .collect()
    }

    const H264: &str = "video/x-h264,stream-format=byte-stream";
    const H265: &str = "video/x-h265,stream-format=byte-stream";
    /// An H.265 SPS with one sub-layer, and with two.
    const SPS_1: &[u8] = &[0x42, 1, 0b0000_0001];
    const SPS_2: &[u8] = &[0x42, 1, 0b0000_0011];

    #[test]
    fn pictures_that_nobody_refers_to_are_told_from_the_others() {
        for (caps, units, is_needed) in [
            (H264, vec![&[0x65_u8, 9][..]], true),
            (H264, vec![&[0x41, 9]], true),
            (H264, vec![&[0x01, 9]], false),
            (H264, vec![&[0x09, 0x10], &[0x06, 5], &[0x01, 9]], false),
            // Parameters come with it.
            (H264, vec![&[0x67, 1], &[0x68, 1], &[0x01, 9]], true),
            (H264, vec![&[0x06, 5]], true),
            // TRAIL_N, before anybody knows how many sub-layers there are.
            (H265, vec![&[0x00, 1, 9]], true),
            (H264, vec![], true),
            ("image/jpeg", vec![&[0xff, 0xd8]], true),
        ] {
            let found = reader(caps).is_needed(&stream(&units));
            assert_eq!(found, is_needed, "{caps} {units:?}");
        }
    }

    #[test]
    fn of_h265_only_the_highest_sub_layer_can_be_left_out() {
        for (sps, unit, is_needed) in [
            (SPS_1, [0x00, 1, 9], false),
            (SPS_1, [0x02, 1, 9], true),
            (SPS_1, [0x26, 1, 9], true),
            (SPS_2, [0x00, 1, 9], true),
            (SPS_2, [0x00, 2, 9], false),
            (SPS_2, [0x02, 2, 9], true),
        ] {
            let mut reader = reader(H265);
            assert!(reader.is_needed(&stream(&[sps, &[0x26, 1, 9]])));
            assert_eq!(reader.is_needed(&stream(&[&unit])), is_needed, "{unit:?}");
        }
    }

    #[test]
    fn units_behind_their_length_are_read_alike() {
        let avc = "video/x-h264,stream-format=avc,codec_data=(buffer)01640028ff";
        let mut reader = reader(avc);
        assert!(!reader.is_needed(&[0, 0, 0, 2, 0x06, 5, 0, 0, 0, 2, 0x01, 9]));
        assert!(reader.is_needed(&[0, 0, 0, 2, 0x41, 9]));
    }

    proptest! {
        #[test]
        fn whatever_a_camera_sends_is_read_without_harm(
            bytes in proptest::collection::vec(any::<u8>(), 0..200),
            length_size in 0..5_usize,
            is_h264 in any::<bool>(),
        ) {
            let mut reader = ReferenceReader {
                codec: Some(if is_h264 { Codec::H264 } else { Codec::H265 }),
                length_size: (1..5).contains(&length_size).then_some(length_size),
                highest: None,
            };
            reader.is_needed(&bytes);
        }
    }
}
