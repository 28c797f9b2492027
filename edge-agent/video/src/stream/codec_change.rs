//! Whether the packets of a stream are still of the codec that the session was told of.
//!
//! An operator who changes a camera's codec changes it in sessions that are open, and many
//! cameras then send the new one as if nothing were: same session, same payload type. The
//! depayloader of the old codec makes units of it that mean something else, so nobody
//! downstream can say what happened. The first bytes of the packets can: most headers of
//! H.264 mean nothing in H.265, and the other way round.

use crate::encoded::Codec;

/// So many packets can only be of the other codec, and none since only of the announced
/// one. One may be a unit that only its maker knows.
const ENOUGH: u32 = 3;

/// Watches the packets of one session.
#[derive(Debug)]
pub(super) struct CodecWatch {
    announced: Option<Codec>,
    strange: u32,
}

impl CodecWatch {
    /// For a session that was told of this encoding, as RTP calls it.
    pub(super) fn new(encoding: &str) -> Self {
        let announced = match encoding {
            "H264" => Some(Codec::H264),
            "H265" => Some(Codec::H265),
            // Nothing else is taken for it: JPEG has a payload type of its own.
            _ => None,
        };
        Self {
            announced,
            strange: 0,
        }
    }

    /// Takes a packet in; the other codec when the stream has become that.
    pub(super) fn look(&mut self, packet: &[u8]) -> Option<Codec> {
        let &[first, second] = payload(packet)?.first_chunk()?;
        let (h264, h265) = (is_h264(first), is_h265(first, second));
        let (is_own, is_other, other) = match self.announced? {
            Codec::H264 => (h264, h265, Codec::H265),
            Codec::H265 => (h265, h264, Codec::H264),
            Codec::Mjpeg => return None,
        };
        match (is_own, is_other) {
            (false, true) => self.strange += 1,
            (true, false) => self.strange = 0,
            // Either, or neither: it tells nothing.
            _ => {}
        }
        (self.strange >= ENOUGH).then_some(other)
    }
}

/// Behind the header of an RTP packet (RFC 3550 section 5.1).
pub(super) fn payload(packet: &[u8]) -> Option<&[u8]> {
    let flags = *packet.first()?;
    let sources = 4 * usize::from(flags & 15);
    let rest = packet.get(12 + sources..)?;
    if flags & 0x10 == 0 {
        return Some(rest);
    }
    let words = u16::from_be_bytes([*rest.get(2)?, *rest.get(3)?]);
    rest.get(4 + 4 * usize::from(words)..)
}

/// Whether a packet of H.264 may begin so (RFC 6184 table 1). Partitions of slices (2 to 4)
/// are for a profile that no camera has.
const fn is_h264(first: u8) -> bool {
    first & 0x80 == 0 && matches!(first & 31, 1 | 5..=29)
}

/// Whether a packet of H.265 may begin so: a picture's part, a parameter set, SEI, or several
/// in one packet or one in several (RFC 7798 section 4.4), of the base layer.
const fn is_h265(first: u8, second: u8) -> bool {
    let layer = (first & 1) << 5 | second >> 3;
    let has_temporal_id = second & 7 != 0;
    first & 0x80 == 0
        && matches!(first >> 1, 0..=9 | 16..=21 | 32..=40 | 48 | 49)
        && layer == 0
        && has_temporal_id
}

#[cfg(test)]
mod tests {
    use gstreamer as gst;
    use gstreamer::prelude::*;
    use gstreamer_app as gst_app;
    use proptest::prelude::*;
    use rtsp_camera::{ClipCodec, TestPattern};

    use super::*;

    /// The RTP packets of a second of pictures, in the ways in which cameras cut them.
    fn packets(codec: ClipCodec, payloader: &str) -> Vec<Vec<u8>> {
        crate::init().unwrap();
        let folder = tempfile::tempdir().unwrap();
        let (extension, parser) = match codec {
            ClipCodec::H264 => ("h264", "h264parse"),
            _ => ("h265", "h265parse"),
        };
        let path = folder.path().join("clip").with_extension(extension);
        let pattern = TestPattern {
            codec,
            pictures: 30,
            ..TestPattern::default()
        };
        pattern.write(&path).unwrap();
        let line = format!("filesrc name=file ! {parser} ! {payloader} ! appsink name=sink");
        let pipeline = gst::parse::launch(&line).unwrap();
        let pipeline = pipeline.downcast::<gst::Pipeline>().unwrap();
        pipeline
            .by_name("file")
            .unwrap()
            .set_property("location", &path);
        let sink = pipeline.by_name("sink").unwrap();
        let sink = sink.downcast::<gst_app::AppSink>().unwrap();
        sink.set_sync(false);
        pipeline.set_state(gst::State::Playing).unwrap();
        let mut packets = Vec::new();
        while let Ok(sample) = sink.pull_sample() {
            let lists = sample
                .buffer_list()
                .into_iter()
                .flat_map(|list| list.iter());
            for buffer in lists.chain(sample.buffer()) {
                packets.push(buffer.map_readable().unwrap().to_vec());
            }
        }
        pipeline.set_state(gst::State::Null).unwrap();
        assert!(packets.len() >= 30, "{line}: {} packets", packets.len());
        packets
    }

    /// After how many packets a change is told.
    fn told<'p>(encoding: &str, packets: impl IntoIterator<Item = &'p Vec<u8>>) -> Option<usize> {
        let mut watch = CodecWatch::new(encoding);
        let mut packets = packets.into_iter();
        packets.position(|packet| watch.look(packet).is_some())
    }

    #[test]
    fn however_a_camera_cuts_its_pictures_each_codec_is_told_from_the_other() {
        for (codec, own, other, payloader) in [
            (ClipCodec::H264, "H264", "H265", "rtph264pay"),
            (ClipCodec::H265, "H265", "H264", "rtph265pay"),
        ] {
            for how in [
                "mtu=1400 config-interval=-1 aggregate-mode=none",
                "mtu=200 config-interval=-1 aggregate-mode=none",
                "mtu=1400 config-interval=-1 aggregate-mode=zero-latency",
                "mtu=60000 config-interval=0 aggregate-mode=max",
            ] {
                let how = match codec {
                    ClipCodec::H264 => how.replace("=max", "=max-stap"),
                    _ => how.to_owned(),
                };
                let packets = packets(codec, &format!("{payloader} {how}"));
                assert_eq!(told(own, &packets), None, "{own} {how}");
                assert_eq!(told("JPEG", &packets), None, "{own} {how}");
                let at = told(other, &packets);
                assert!(at.is_some_and(|at| at < 10), "{own} {how}: {at:?}");
                // A change comes where it will, not at a key picture.
                let at = told(other, &packets[packets.len() / 2..]);
                assert!(at.is_some_and(|at| at < 10), "{own} {how}: {at:?}");
            }
        }
    }

    /// With a contributing source and an extension of one word, as ONVIF has.
    fn packet(payload: [u8; 2]) -> Vec<u8> {
        let mut packet = vec![0; 12 + 4 + 8];
        (packet[0], packet[19]) = (0x91, 1);
        packet.extend(payload);
        packet
    }

    /// Some firmware puts a delimiter, which might be of either, before each picture.
    #[test]
    fn pictures_of_one_packet_behind_a_delimiter_are_told() {
        let packets = |pair: [[u8; 2]; 2]| vec![pair.map(packet); 4].concat();
        assert_eq!(told("H264", &packets([[0x46, 1], [0x02, 1]])), Some(5));
        assert_eq!(told("H265", &packets([[0x06, 5], [0x41, 0x9A]])), Some(5));
    }

    /// Makers put units of their own between pictures.
    #[test]
    fn units_that_nobody_knows_are_no_change() {
        for (encoding, own, stranger) in [
            ("H264", [0x41, 0x9A], [0x40, 0x01]),
            ("H265", [0x02, 0x01], [0x7C, 0x85]),
        ] {
            let group = [own, stranger, stranger].map(packet);
            assert_eq!(
                told(encoding, &vec![group; 20].concat()),
                None,
                "{encoding}"
            );
        }
    }

    proptest! {
        /// What strangers send is no panic.
        #[test]
        fn any_bytes_are_looked_at(bytes in prop::collection::vec(any::<u8>(), 0..40)) {
            for encoding in ["H264", "H265", "JPEG", ""] {
                CodecWatch::new(encoding).look(&bytes);
            }
        }
    }
}
