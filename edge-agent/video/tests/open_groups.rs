//! Streams of open groups of pictures, as relays and some encoders send them: a group begins with
//! a picture that is whole and forgets nothing, and pictures that are sent behind it may refer to
//! the group before. Each still of these is the picture that was encoded, to the bit.

#![allow(clippy::unwrap_used)] // a test may panic; its steps live in plain functions

use std::collections::BTreeSet;
use std::path::Path;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use edge_video::encoded::unit::nal_units;
use edge_video::encoded::{
    AccessUnit, Codec, Follower, Ring, RingLimits, Sought, Stills, Undecodable, decode_at,
};
use edge_video::{ClipPicture, ClipReader, Frame, OwnTime};
use gstreamer as gst;
use gstreamer::prelude::*;
use protocol::units::Seconds;
use protocol::{EventTime, TimeQuality};

const PICTURES: usize = 110;
/// From one picture to the next, µs.
const PICTURE: i64 = 40_000;
/// When the first one is shown, µs.
const BEGIN: i64 = 1_795_000_000_000_000;

/// A key picture a second, of which only the first is one that all may begin with.
const OPEN: &[(Codec, &str)] = &[
    (
        Codec::H264,
        "key-int-max=28 bframes=3 b-adapt=false b-pyramid=true ref=4 option-string=open-gop=1:scenecut=0",
    ),
    (
        Codec::H264,
        "key-int-max=28 bframes=3 b-adapt=false b-pyramid=false ref=1 cabac=false \
         option-string=open-gop=1:scenecut=0",
    ),
    (
        Codec::H264,
        "key-int-max=29 bframes=2 b-adapt=false ref=8 weightb=true \
         option-string=open-gop=1:scenecut=0:weightp=2",
    ),
    (
        Codec::H264,
        "key-int-max=28 bframes=1 b-adapt=false ref=3 option-string=open-gop=1:scenecut=0:slices=4",
    ),
    (
        Codec::H264,
        "key-int-max=27 bframes=3 b-adapt=false ref=5 interlaced=true option-string=open-gop=1:scenecut=0",
    ),
    (
        Codec::H265,
        "key-int-max=27 option-string=open-gop=1:bframes=3:b-adapt=0:scenecut=0:repeat-headers=1",
    ),
];

/// Shows another part of everything in each picture: what refers to a wrong one is wrong.
const SOURCE: &str = "videotestsrc num-buffers=110 pattern=smpte horizontal-speed=3 ! \
                      video/x-raw,format=I420,width=160,height=128,framerate=25/1";

/// A picture as it was sent, and its place in the order of showing.
struct Sent {
    bytes: Vec<u8>,
    shown: usize,
}

/// A stream, and the luma of each picture in the order of showing, decoded as a whole.
struct Stream {
    codec: Codec,
    sent: Vec<Sent>,
    truth: Vec<Vec<u8>>,
}

/// When a picture is shown, µs, and its bytes, as they are sent.
type Line = Vec<(u64, Vec<u8>)>;

impl Stream {
    fn encode(codec: Codec, encoder: &str, folder: &Path) -> Self {
        edge_video::init().unwrap();
        let path = folder.join("clip.mkv");
        let (element, caps, parser) = match codec {
            Codec::H265 => ("x265enc speed-preset=fast", "video/x-h265", "h265parse"),
            _ => (
                "x264enc threads=1 pass=quant quantizer=24 speed-preset=fast",
                "video/x-h264",
                "h264parse",
            ),
        };
        let line = format!(
            "{SOURCE} ! {element} {encoder} ! \
             {caps},stream-format=byte-stream,alignment=au ! identity name=line ! {parser} ! \
             matroskamux ! filesink name=file"
        );
        let pipeline = gst::parse::launch(&line).unwrap();
        let pipeline = pipeline.downcast::<gst::Pipeline>().unwrap();
        let file = pipeline.by_name("file").unwrap();
        file.set_property("location", &path);
        let sent: Arc<Mutex<Line>> = Arc::default();
        let pad = pipeline.by_name("line").unwrap().static_pad("src").unwrap();
        let seen = Arc::clone(&sent);
        pad.add_probe(gst::PadProbeType::BUFFER, move |_, info| {
            let buffer = info.buffer().unwrap();
            let bytes = buffer.map_readable().unwrap().to_vec();
            let shown = buffer.pts().unwrap().useconds();
            seen.lock().unwrap().push((shown, bytes));
            gst::PadProbeReturn::Ok
        });
        pipeline.set_state(gst::State::Playing).unwrap();
        let ends = [gst::MessageType::Eos, gst::MessageType::Error];
        let bus = pipeline.bus().unwrap();
        let message = bus.timed_pop_filtered(gst::ClockTime::from_seconds(60), &ends);
        pipeline.set_state(gst::State::Null).unwrap();
        assert_eq!(message.unwrap().type_(), gst::MessageType::Eos, "{line}");
        let sent = std::mem::take(&mut *sent.lock().unwrap());
        let rank = |shown: u64| sent.iter().filter(|(other, _)| *other < shown).count();
        Self {
            codec,
            truth: truth(&path),
            sent: sent
                .iter()
                .map(|(shown, bytes)| Sent {
                    bytes: bytes.clone(),
                    shown: rank(*shown),
                })
                .collect(),
        }
    }

    /// The ring of who was connected from the picture on that was sent at this place.
    fn ring_from(&self, first: usize) -> Arc<Ring> {
        let ring = Ring::new(RingLimits {
            seconds: 600.0,
            bytes: 64 << 20,
            album: None,
        });
        for sent in &self.sent[first..] {
            let media = PICTURE * i64::try_from(sent.shown).unwrap();
            let stamp = (time(sent.shown), TimeQuality::Rtcp);
            // A camera's first picture is not its first moment.
            let media = media + 3_600_000_000;
            ring.push(self.codec, &sent.bytes, Some(media), stamp);
        }
        ring.end();
        Arc::new(ring)
    }

    fn units_from(&self, first: usize) -> Vec<AccessUnit> {
        let ring = self.ring_from(first);
        let units = ring.since(None, EventTime::EPOCH, ring.clock_of(time(0)));
        assert_eq!(units.len(), self.sent.len() - first);
        units
    }

    /// Whether a picture is the one that was encoded.
    fn is_true(&self, frame: &Frame) -> bool {
        luma(frame) == self.truth[place(frame.time)]
    }

    #[track_caller]
    fn expect(&self, stills: &Stills, expected: &BTreeSet<u64>, what: &str) {
        let found: BTreeSet<u64> = stills.found.keys().copied().collect();
        assert_eq!(&found, expected, "{what}");
        for (wanted, frame) in &stills.found {
            assert_eq!(*wanted, frame.number, "{what}");
            assert!(self.is_true(frame), "{what}: {wanted} is made up");
        }
    }
}

fn time(shown: usize) -> EventTime {
    EventTime::from_micros(BEGIN + PICTURE * i64::try_from(shown).unwrap())
}

fn place(time: EventTime) -> usize {
    usize::try_from((time.as_micros() - BEGIN) / PICTURE).unwrap()
}

fn truth(path: &Path) -> Vec<Vec<u8>> {
    let mut reader = ClipReader::open(path, EventTime::EPOCH).unwrap();
    let mut truth = Vec::new();
    while let Some(picture) = reader.next_picture().unwrap() {
        assert!(matches!(picture, ClipPicture::Sound(_)), "{picture:?}");
        truth.push(luma(&picture.into_frame()));
    }
    assert_eq!(truth.len(), PICTURES);
    truth
}

fn luma(frame: &Frame) -> Vec<u8> {
    let rows = frame.y().chunks(frame.y_stride());
    let width = frame.width as usize;
    rows.take(frame.height as usize)
        .flat_map(|row| row[..width].to_vec())
        .collect()
}

fn keys(units: &[AccessUnit]) -> Vec<usize> {
    (0..units.len()).filter(|at| units[*at].is_key).collect()
}

fn numbers(units: &[AccessUnit]) -> BTreeSet<u64> {
    units.iter().map(|unit| unit.number).collect()
}

/// Those that are sent behind a key picture and shown before it.
fn leading(units: &[AccessUnit], key: usize) -> BTreeSet<u64> {
    let group = units[key..].iter().enumerate();
    let group = group.take_while(|(at, unit)| *at == 0 || !unit.is_key);
    let leading = group.filter(|(_, unit)| unit.media < units[key].media);
    leading.map(|(_, unit)| unit.number).collect()
}

/// Nothing is in it from which every decoder may begin.
fn is_open(codec: Codec, unit: &AccessUnit) -> bool {
    // IDR of H.264; of H.265 what is no CRA.
    nal_units(&unit.bytes).all(|part| match codec {
        Codec::H264 => part[0] & 31 != 5,
        _ => !(16..21).contains(&(part[0] >> 1 & 63)),
    })
}

#[test]
fn each_picture_of_open_groups_is_a_still_to_the_bit() {
    for (codec, encoder) in OPEN {
        let folder = tempfile::tempdir().unwrap();
        let stream = Stream::encode(*codec, encoder, folder.path());
        let units = stream.units_from(0);
        let keys = keys(&units);
        assert!(keys.len() >= 4, "{encoder}: {keys:?}");
        for key in &keys[1..] {
            assert!(is_open(*codec, &units[*key]), "{encoder}: {key}");
            assert!(!leading(&units, *key).is_empty(), "{encoder}: {key}");
        }
        let all = numbers(&units);
        let stills = decode_at(&units, &all, Seconds(0.0)).unwrap();
        stream.expect(&stills, &all, encoder);
        // Each by itself: what nobody refers to is not decoded on the way.
        for unit in units.iter().step_by(3) {
            let one = BTreeSet::from([unit.number]);
            let stills = decode_at(&units, &one, Seconds(0.0)).unwrap();
            stream.expect(&stills, &one, encoder);
        }
    }
}

/// As after a reconnection, or where the ring has let the group before go.
#[test]
fn of_the_first_group_that_was_kept_only_what_refers_to_the_one_before_is_no_still() {
    for (codec, encoder) in OPEN {
        let folder = tempfile::tempdir().unwrap();
        let stream = Stream::encode(*codec, encoder, folder.path());
        let second = keys(&stream.units_from(0))[1];
        let units = stream.units_from(second);
        let all = numbers(&units);
        let leading = leading(&units, 0);
        let stills = decode_at(&units, &all, Seconds(0.0)).unwrap();
        stream.expect(&stills, &(&all - &leading), encoder);
        let undecodable: BTreeSet<u64> = stills.undecodable.keys().copied().collect();
        assert_eq!(undecodable, leading, "{encoder}");
        let is_before = |why: &Undecodable| *why == Undecodable::GroupBefore;
        assert!(stills.undecodable.values().all(is_before), "{encoder}");
        assert_eq!(stills.damaged, BTreeSet::new(), "{encoder}");
        // What is sound stands in for them.
        let stills = decode_at(&units, &leading, Seconds(0.5)).unwrap();
        assert_eq!(stills.found.len(), leading.len(), "{encoder}");
        assert!(stills.found.values().all(|it| stream.is_true(it)));
        // The album keeps key pictures alone.
        for key in keys(&units) {
            let alone = &units[key..=key];
            let stills = decode_at(alone, &numbers(alone), Seconds(0.0)).unwrap();
            stream.expect(&stills, &numbers(alone), encoder);
        }
    }
}

/// A reference that was lost whole spoils its group, and what refers to that of the next.
#[test]
fn no_still_of_open_groups_is_made_up_where_a_picture_is_missing() {
    for (codec, encoder) in OPEN {
        let folder = tempfile::tempdir().unwrap();
        let stream = Stream::encode(*codec, encoder, folder.path());
        let whole = stream.units_from(0);
        let keys = keys(&whole);
        let at = keys[1] + 9;
        let lost = (at..keys[2]).find(|at| {
            let mut slices = nal_units(&whole[*at].bytes);
            slices.any(|part| match codec {
                Codec::H264 => part[0] & 31 == 1 && part[0] >> 5 != 0,
                _ => matches!(part[0] >> 1 & 63, 1 | 9),
            })
        });
        let lost = lost.unwrap();
        let mut units = whole.clone();
        // As the depayloader gives what has no picture in it any more.
        units[lost].bytes = units[lost].bytes[..6].into();
        let all = numbers(&units);
        let stills = decode_at(&units, &all, Seconds(0.0)).unwrap();
        for frame in stills.found.values() {
            assert!(
                stream.is_true(frame),
                "{encoder}: {} is made up",
                frame.number
            );
        }
        let is_found = |unit: &AccessUnit| stills.found.contains_key(&unit.number);
        assert!(whole[..keys[1]].iter().all(is_found), "{encoder}: before");
        assert!(!is_found(&whole[lost]), "{encoder}");
        let after = leading(&whole, keys[2]);
        let own = whole[keys[2]..].iter();
        let mut own = own.filter(|unit| !after.contains(&unit.number));
        assert!(own.all(is_found), "{encoder}: after");
    }
}

/// Whoever asks for one picture after the other gets those that refer to two groups as well.
#[test]
fn who_follows_a_stream_of_open_groups_is_shown_each_of_its_pictures() {
    for (codec, encoder) in OPEN {
        let folder = tempfile::tempdir().unwrap();
        let stream = Stream::encode(*codec, encoder, folder.path());
        let mut follower = Follower::new(stream.ring_from(0), Seconds(0.02));
        for shown in 0..PICTURES - 25 {
            let moment = time(shown);
            let own = OwnTime {
                time: moment,
                ahead_us: 0,
            };
            let until = Instant::now() + Duration::from_mins(1);
            match follower.seek((moment, Some(own)), until).unwrap() {
                Sought::Shown(frame) => {
                    assert_eq!(place(frame.time), shown, "{encoder}");
                    assert!(stream.is_true(&frame), "{encoder}: {shown} is made up");
                }
                other => panic!("{encoder}, {shown}: {other:?}"),
            }
        }
    }
}

#[test]
fn of_a_camera_that_refreshes_slowly_it_is_said_that_it_sends_no_whole_picture() {
    let folder = tempfile::tempdir().unwrap();
    let encoder = "key-int-max=25 bframes=0 intra-refresh=true";
    let stream = Stream::encode(Codec::H264, encoder, folder.path());
    let units = stream.units_from(0);
    let keys = keys(&units);
    assert!(keys.len() >= 3, "{keys:?}");
    let all = numbers(&units);
    let stills = decode_at(&units, &all, Seconds(0.0)).unwrap();
    stream.expect(&stills, &numbers(&units[..keys[1]]), encoder);
    let undecodable: BTreeSet<u64> = stills.undecodable.keys().copied().collect();
    assert_eq!(undecodable, numbers(&units[keys[1]..]));
    let is_whole = |why: &Undecodable| *why == Undecodable::WholePicture;
    assert!(stills.undecodable.values().all(is_whole));
}
