//! Streams from which pictures are missing whole: what may refer to them is left out, and
//! nothing else is, whatever encoder made them.

#![allow(clippy::unwrap_used)] // a test may panic; its steps live in plain functions

mod pictures;
mod support;

use std::collections::BTreeSet;
use std::path::Path;
use std::time::Instant;

use edge_video::encoded::Codec;
use edge_video::encoded::unit::nal_units;
use edge_video::{ClipPicture, ClipReader};
use pictures::{Encoding, luma, read};
use protocol::EventTime;
use rtsp_camera::{Clip, ClipCodec, Groups, Mount, TestPattern};
use support::{PATIENCE, Reader, serve, settings};

const PICTURES: usize = 120;
const SOURCE: &str = "num-buffers=120 pattern=ball";

/// x264 as cameras and relays are set: all of these streams are sound.
const ENCODERS: &[&str] = &[
    "bframes=0 key-int-max=40",
    "bframes=1 b-adapt=false key-int-max=40",
    "bframes=2 b-adapt=false key-int-max=40",
    "bframes=3 b-adapt=false b-pyramid=true key-int-max=40",
    "bframes=3 key-int-max=40 ref=4 weightb=true",
    "bframes=3 b-adapt=false b-pyramid=true key-int-max=40 option-string=open-gop=1",
    "bframes=0 key-int-max=40 option-string=slices=4",
    "bframes=0 key-int-max=40 ref=1 option-string=weightp=2",
    "bframes=0 key-int-max=30 intra-refresh=true",
    "bframes=0 key-int-max=1000",
    "bframes=0 key-int-max=40 interlaced=true",
];

/// Writes a clip of those pictures that are kept, by their place in the order of sending and
/// whether others refer to them.
fn encode(encoder: &str, muxer: &str, path: &Path, is_kept: fn(usize, bool) -> bool) {
    let encoding = Encoding {
        codec: Codec::H264,
        source: SOURCE,
        encoder,
    };
    let sent = encoding.write(muxer, path, move |at, bytes| {
        let slice = nal_units(bytes).find(|unit| matches!(unit[0] & 31, 1 | 5));
        let is_reference = slice.unwrap()[0] >> 5 != 0;
        is_kept(at, is_reference)
    });
    assert_eq!(sent.len(), PICTURES);
}

#[test]
fn of_a_sound_clip_no_picture_is_left_out_and_none_is_missed_that_nobody_refers_to() {
    edge_video::init().unwrap();
    let folder = tempfile::tempdir().unwrap();
    for (n, encoder) in ENCODERS.iter().enumerate() {
        for muxer in ["matroskamux", "mp4mux", "mpegtsmux"] {
            let path = folder.path().join(format!("{n}-{muxer}"));
            encode(encoder, muxer, &path, |_, _| true);
            let [sound, damaged] = read(&path);
            assert_eq!(
                (sound.len(), damaged.len()),
                (PICTURES, 0),
                "{encoder} {muxer}"
            );
        }
        let path = folder.path().join(format!("{n}-thin"));
        encode(encoder, "matroskamux", &path, |_, is_reference| {
            is_reference
        });
        let [_, damaged] = read(&path);
        assert_eq!(damaged.len(), 0, "only references: {encoder}");
        // Cut in the middle, as a recording of a stream is. (What begins with a slow refresh libav
        // itself calls corrupt up to its end.)
        if !encoder.contains("key-int-max=40") {
            continue;
        }
        encode(encoder, "matroskamux", &path, |at, _| at >= 50);
        let [_, damaged] = read(&path);
        assert_eq!(damaged.len(), 0, "cut at the beginning: {encoder}");
    }
}

/// Somebody came in the middle: its first key picture refers to pictures that never came.
#[test]
fn of_what_begins_with_a_slow_refresh_true_pictures_alone_are_judged_by_and_soon() {
    let folder = tempfile::tempdir().unwrap();
    for references in [1, 4] {
        let encoder = format!("bframes=0 key-int-max=30 intra-refresh=true ref={references}");
        let [whole, cut] = ["whole", "cut"].map(|name| folder.path().join(name));
        encode(&encoder, "matroskamux", &whole, |_, _| true);
        encode(&encoder, "matroskamux", &cut, |at, _| at >= 40);
        let [truth, _] = read(&whole);
        let truth: BTreeSet<Vec<u8>> = truth.into_values().collect();
        let [sound, _] = read(&cut);
        let made_up = sound.values().filter(|luma| !truth.contains(*luma));
        assert_eq!(made_up.count(), 0, "{encoder}");
        // It comes round within 30 pictures from the next beginning of a refresh.
        assert!(sound.len() >= 20, "{encoder}: {}", sound.len());
    }
}

/// libav takes the picture before for the one that is missing, and says nothing.
#[test]
fn what_refers_to_a_missing_picture_is_left_out() {
    edge_video::init().unwrap();
    let folder = tempfile::tempdir().unwrap();
    for (n, encoder) in ENCODERS.iter().enumerate() {
        let path = folder.path().join(format!("{n}-whole"));
        encode(encoder, "matroskamux", &path, |_, _| true);
        let [whole, _] = read(&path);
        let path = folder.path().join(format!("{n}-hurt"));
        encode(encoder, "matroskamux", &path, |at, is_reference| {
            !(50..58).contains(&at) || !is_reference
        });
        let [sound, damaged] = read(&path);
        assert!(!damaged.is_empty(), "{encoder}");
        assert!(sound.len() > PICTURES / 3, "{encoder}: {}", sound.len());
        let wrong: Vec<i64> = sound
            .iter()
            .filter(|(shown, luma)| whole.get(shown) != Some(luma))
            .map(|(shown, _)| *shown)
            .collect();
        assert_eq!(wrong, [0; 0], "{encoder}, ms of pictures judged by");
    }
}

/// One packet of these is a whole picture: of H.264 nothing but the gap tells that it is
/// missing, whether others refer to it or not.
#[test]
fn of_a_camera_whose_packets_get_lost_only_true_pictures_are_judged_by() {
    edge_video::init().unwrap();
    let kinds = [
        (ClipCodec::H264, Groups::Closed),
        (ClipCodec::H264, Groups::Open),
        (ClipCodec::H265, Groups::Closed),
        (ClipCodec::H265, Groups::Open),
    ];
    for (codec, groups) in kinds {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("clip.mkv");
        let pattern = TestPattern {
            codec,
            groups,
            b_pictures: if groups == Groups::Open { 3 } else { 0 },
            ..TestPattern::default()
        };
        pattern.write(&path).unwrap();
        let [truth, _] = read(&path);
        let truth: BTreeSet<Vec<u8>> = truth.into_values().collect();
        let camera = serve(vec![Mount::new("gate", Clip::load(&path).unwrap())]);
        let behaviour = camera.behaviour("gate").unwrap();
        let reader = Reader::start(settings(&camera.url("gate")));
        reader.connected();
        let told = format!("{codec:?} {groups:?}");
        let (mut looked_at, mut after_loss) = (0, 0);
        let deadline = Instant::now() + PATIENCE;
        // A loss just before a key picture spoils nothing.
        while after_loss < 6 || reader.stream.counters().dropped_corrupt < 20 {
            let frame = reader.frame();
            let luma = luma(&frame);
            assert!(truth.contains(&luma), "{told}: {frame:?} is made up");
            looked_at += 1;
            if looked_at % 13 == 0 {
                behaviour.lose_packets(1);
                after_loss += 1;
            }
            let counters = reader.stream.counters();
            assert!(Instant::now() < deadline, "{told}: {counters:?}");
        }
        assert!(reader.stream.counters().packet_gaps >= 3, "{told}");
    }
}

/// What is lost just before a key picture spoils nothing, and nobody knew of it.
#[test]
fn where_pictures_are_missing_is_known_also_where_nothing_is_spoilt() {
    edge_video::init().unwrap();
    let folder = tempfile::tempdir().unwrap();
    let encoder = "bframes=0 key-int-max=40 option-string=scenecut=0";
    let [whole, holey] = ["whole.mkv", "holey.mkv"].map(|name| folder.path().join(name));
    encode(encoder, "matroskamux", &whole, |_, _| true);
    encode(encoder, "matroskamux", &holey, |at, _| at % 40 < 28);
    for (path, expected) in [(&whole, vec![]), (&holey, vec![1_600, 3_200])] {
        let mut clip = ClipReader::open(path, EventTime::EPOCH).unwrap();
        let (mut known, mut told) = (0, Vec::new());
        while let Some(picture) = clip.next_picture().unwrap() {
            assert!(matches!(picture, ClipPicture::Sound(_)), "{picture:?}");
            let frame = picture.into_frame();
            let missing = frame.lack.missing_us;
            if std::mem::replace(&mut known, missing) < missing {
                told.push(frame.time.as_micros() / 1_000);
            }
        }
        assert_eq!(told, expected, "{}", path.display());
    }
    let camera = serve(vec![Mount::new("gate", Clip::load(&holey).unwrap())]);
    let reader = Reader::start(settings(&camera.url("gate")));
    reader.connected();
    let deadline = Instant::now() + PATIENCE;
    let (mut before, mut told) = (reader.frame(), 0);
    while told < 3 {
        let frame = reader.frame();
        assert!(Instant::now() < deadline, "{:?}", reader.stream.counters());
        let passed = frame.time.since(before.time).0;
        if frame.lack.missing_us > before.lack.missing_us {
            assert!(passed > 0.3, "{before:?} {frame:?}");
            told += 1;
        }
        before = frame;
    }
    assert_eq!(reader.stream.counters().dropped_corrupt, 0);
}
