//! Streams of open groups of pictures, as relays and some encoders send them: a group begins with
//! a picture that is whole and forgets nothing, and pictures that are sent behind it may refer to
//! the group before. Each still of these is the picture that was encoded, to the bit, and so is each
//! picture that is judged by, of a camera and of a recording: from the first key picture on.

#![allow(clippy::unwrap_used)] // a test may panic; its steps live in plain functions

mod pictures;
mod support;

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use edge_video::encoded::unit::nal_units;
use edge_video::encoded::{
    AccessUnit, Codec, Follower, Ring, RingLimits, Sought, Stills, Undecodable, decode_at,
};
use edge_video::{Frame, OwnTime};
use pictures::{Encoding, luma, read};
use protocol::units::Seconds;
use protocol::{EventTime, TimeQuality};
use rtsp_camera::{Clip, Mount, Script};
use support::{PATIENCE, Reader, serve, settings};

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
        Codec::H264,
        "key-int-max=28 bframes=3 b-adapt=false b-pyramid=true ref=4 interlaced=true \
         option-string=open-gop=1:scenecut=0:bff=1",
    ),
    (
        Codec::H265,
        "key-int-max=27 option-string=open-gop=1:bframes=3:b-adapt=0:scenecut=0:repeat-headers=1",
    ),
];

/// Shows another part of everything in each picture: what refers to a wrong one is wrong.
const SOURCE: &str = "num-buffers=110 pattern=smpte horizontal-speed=3";

/// A picture as it was sent, and its place in the order of showing.
struct Sent {
    bytes: Vec<u8>,
    shown: usize,
}

/// A stream, and the luma of each picture in the order of showing, decoded as a whole.
struct Stream {
    encoding: Encoding<'static>,
    sent: Vec<Sent>,
    truth: Vec<Vec<u8>>,
}

impl Stream {
    fn encode(codec: Codec, encoder: &'static str, folder: &Path) -> Self {
        let path = folder.join("clip.mkv");
        let encoding = Encoding {
            codec,
            source: SOURCE,
            encoder,
        };
        let sent = encoding.write("matroskamux", &path, |_, _| true);
        let rank = |shown: u64| sent.iter().filter(|other| other.shown < shown).count();
        let [sound, damaged] = read(&path);
        assert_eq!((sound.len(), damaged.len()), (PICTURES, 0), "{encoder}");
        Self {
            encoding,
            truth: sound.into_values().collect(),
            sent: sent
                .iter()
                .map(|it| Sent {
                    bytes: it.bytes.clone(),
                    shown: rank(it.shown),
                })
                .collect(),
        }
    }

    /// The same of an encoder that does not say what follows its key pictures.
    fn without_promises(mut self) -> Self {
        for sent in &mut self.sent {
            let units = nal_units(&sent.bytes).filter(|unit| unit[0] & 31 != 6);
            let units = units.flat_map(|unit| [&[0, 0, 0, 1], unit].concat());
            sent.bytes = units.collect();
        }
        self
    }

    /// A clip of those pictures that are kept, by their place in the order of sending.
    fn write(
        &self,
        muxer: &str,
        path: &Path,
        is_kept: impl Fn(usize) -> bool + Send + Sync + 'static,
    ) {
        self.encoding.write(muxer, path, move |at, _| is_kept(at));
    }

    /// Which picture this is, in the order of showing; none where it is made up.
    fn place(&self, luma: &[u8]) -> Option<usize> {
        self.truth.iter().position(|truth| truth == luma)
    }

    /// Where they are in the order of showing: those that are sent at these places.
    fn shown(&self, sent: impl Iterator<Item = usize>) -> BTreeSet<usize> {
        sent.map(|at| self.sent[at].shown).collect()
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
            ring.push(self.encoding.codec, &sent.bytes, Some(media), stamp);
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

/// Whether B pictures refer to B pictures, which x264 has them do where it may.
fn has_pyramids(encoder: &str) -> bool {
    encoder.contains("bframes=3") && !encoder.contains("b-pyramid=false")
}

fn time(shown: usize) -> EventTime {
    EventTime::from_micros(BEGIN + PICTURE * i64::try_from(shown).unwrap())
}

fn place(time: EventTime) -> usize {
    usize::try_from((time.as_micros() - BEGIN) / PICTURE).unwrap()
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

/// All behind the first B picture that others refer to was said to be damaged on its way.
#[test]
fn what_nobody_promises_is_decoded_from_where_it_is_sure() {
    let of_h264 = OPEN.iter().filter(|(codec, _)| *codec == Codec::H264);
    for (codec, encoder) in of_h264.filter(|(_, it)| has_pyramids(it)) {
        let folder = tempfile::tempdir().unwrap();
        let stream = Stream::encode(*codec, encoder, folder.path()).without_promises();
        let units = stream.units_from(0);
        let keys = keys(&units);
        assert!(keys.len() >= 4, "{encoder}: {keys:?}");
        let all = numbers(&units);
        let stills = decode_at(&units, &all, Seconds(0.0)).unwrap();
        stream.expect(&stills, &all, encoder);
        let last = BTreeSet::from([units[units.len() - 1].number]);
        let stills = decode_at(&units, &last, Seconds(0.0)).unwrap();
        stream.expect(&stills, &last, encoder);
        // Where that is not there key pictures are, and of the others it is said what is not.
        let mut units = stream.units_from(keys[1]);
        let whole: BTreeSet<u64> = units
            .iter()
            .filter(|it| it.is_key)
            .map(|it| it.number)
            .collect();
        let others = &numbers(&units) - &whole;
        let stills = decode_at(&units, &numbers(&units), Seconds(0.0)).unwrap();
        stream.expect(&stills, &whole, encoder);
        assert_eq!(stills.damaged, BTreeSet::new(), "{encoder}");
        let undecodable: BTreeSet<u64> = stills.undecodable.keys().copied().collect();
        assert_eq!(undecodable, others, "{encoder}");
        let is_before = |why: &Undecodable| *why == Undecodable::GroupBefore;
        assert!(stills.undecodable.values().all(is_before), "{encoder}");
        // What was hurt on its way is called so.
        let hurt = keys[2] - keys[1] - 2;
        units[hurt].is_torn = true;
        let stills = decode_at(&units, &numbers(&units), Seconds(0.0)).unwrap();
        stream.expect(&stills, &whole, encoder);
        assert!(stills.damaged.contains(&units[hurt].number), "{encoder}");
        assert!(
            stills.damaged.contains(&units[hurt + 1].number),
            "{encoder}"
        );
        assert!(
            !stills.damaged.contains(&units[hurt - 1].number),
            "{encoder}"
        );
    }
}

/// libav gives out nothing of a group that does not begin with an IDR, where nobody says that its
/// key picture is whole.
#[test]
fn of_a_group_of_which_nobody_says_anything_all_is_a_still_that_refers_to_nothing_before_it() {
    let of_h264 = OPEN.iter().filter(|(codec, _)| *codec == Codec::H264);
    for (codec, encoder) in of_h264.filter(|(_, it)| !has_pyramids(it)) {
        let folder = tempfile::tempdir().unwrap();
        let stream = Stream::encode(*codec, encoder, folder.path()).without_promises();
        let second = keys(&stream.units_from(0))[1];
        let units = stream.units_from(second);
        let (all, leading) = (numbers(&units), leading(&units, 0));
        let stills = decode_at(&units, &all, Seconds(0.0)).unwrap();
        stream.expect(&stills, &(&all - &leading), encoder);
        let undecodable: BTreeSet<u64> = stills.undecodable.keys().copied().collect();
        assert_eq!(undecodable, leading, "{encoder}");
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

/// The sound pictures of a clip by their place in the order of showing, and how many others
/// there are.
#[track_caller]
fn read_places(stream: &Stream, path: &Path, what: &str) -> (Vec<usize>, usize) {
    let [sound, damaged] = read(path);
    let places = sound.values().map(|luma| {
        let place = stream.place(luma);
        place.unwrap_or_else(|| panic!("{what}: a picture is made up"))
    });
    (places.collect(), damaged.len())
}

/// Pieces of a recorder's, and recordings of relays, begin so.
#[test]
fn of_a_recording_that_begins_with_an_open_group_all_is_judged_by_from_its_key_picture_on() {
    for (codec, encoder) in OPEN {
        let folder = tempfile::tempdir().unwrap();
        let stream = Stream::encode(*codec, encoder, folder.path());
        let second = keys(&stream.units_from(0))[1];
        let expected: Vec<usize> = (stream.sent[second].shown..PICTURES).collect();
        for muxer in ["matroskamux", "mp4mux", "mpegtsmux"] {
            let what = format!("{encoder} {muxer}");
            let path = folder.path().join(muxer);
            stream.write(muxer, &path, move |at| at >= second);
            // Those before it were never to be seen, and are no damage.
            let read = read_places(&stream, &path, &what);
            assert_eq!(read, (expected.clone(), 0), "{what}");
        }
    }
}

/// More is missing than a decoder remembers: of such a gap libav lost the key picture behind it,
/// and drew its group onto the one before. Of H.265 it made up what is shown before that one.
#[test]
fn behind_a_hole_before_an_open_key_picture_all_is_judged_by_from_there_on() {
    for (codec, encoder) in OPEN {
        let folder = tempfile::tempdir().unwrap();
        let stream = Stream::encode(*codec, encoder, folder.path());
        let units = stream.units_from(0);
        let keys = keys(&units);
        let key = keys[2];
        let led = leading(&units, key).len();
        for hole in [key - 1..key, key - 5..key, keys[1] + 9..key] {
            for muxer in ["matroskamux", "mp4mux"] {
                let what = format!("{encoder} {muxer} without {hole:?}");
                let path = folder.path().join("holey");
                let missing = hole.clone();
                stream.write(muxer, &path, move |at| !missing.contains(&at));
                let (sound, damaged) = read_places(&stream, &path, &what);
                let sound: BTreeSet<usize> = sound.into_iter().collect();
                let after = stream.shown(key + led + 1..units.len());
                let expected = &stream.shown(0..hole.start) | &after;
                let expected = &expected | &stream.shown(key..=key);
                // A hole of what nobody refers to spoils nothing.
                let may_be = &expected | &stream.shown(key + 1..=key + led);
                assert!(sound.is_superset(&expected), "{what}: {sound:?}");
                assert!(sound.is_subset(&may_be), "{what}: {sound:?}");
                assert!(damaged <= led, "{what}: {damaged} of {led}");
            }
        }
    }
}

/// It had to wait for the second group: with a key picture in ten seconds, for ten seconds.
#[test]
fn each_connection_to_a_camera_of_open_groups_sees_from_its_first_key_picture_on() {
    std::thread::scope(|scope| {
        for (codec, encoder) in OPEN {
            scope.spawn(move || watch(*codec, encoder));
        }
    });
}

fn watch(codec: Codec, encoder: &'static str) {
    let folder = tempfile::tempdir().unwrap();
    let stream = Stream::encode(codec, encoder, folder.path());
    let keys = keys(&stream.units_from(0));
    let (first, second) = (keys[1], stream.sent[keys[2]].shown);
    let path = folder.path().join("begins-open.mkv");
    stream.write("matroskamux", &path, move |at| at >= first);
    let mut mount = Mount::new("gate", Clip::load(&path).unwrap());
    // Before the clip has been played to its end.
    mount.script = Script {
        end_after: Some(Duration::from_secs(2)),
        ..Script::default()
    };
    let camera = serve(vec![mount]);
    let reader = Reader::start(settings(&camera.url("gate")));
    let deadline = Instant::now() + PATIENCE;
    // The first picture of each connection.
    let mut began: BTreeMap<u64, usize> = BTreeMap::new();
    while began.len() < 4 {
        let frame = reader.frame();
        let place = stream.place(&luma(&frame));
        let place = place.unwrap_or_else(|| panic!("{encoder}: {frame:?} is made up"));
        assert!(place >= stream.sent[first].shown, "{encoder}: {frame:?}");
        began.entry(frame.connection).or_insert(place);
        let counters = reader.stream.counters();
        assert!(Instant::now() < deadline, "{encoder}: {counters:?}");
        // A group of each connection would be more.
        assert!(counters.dropped_corrupt < 20, "{encoder}: {counters:?}");
        assert_eq!(frame.lack.damaged_us, 0, "{encoder}: {counters:?}");
    }
    assert!(
        began.values().any(|place| *place < second),
        "{encoder}: {began:?}"
    );
}
