//! The picture of a moment out of a stream that is only kept, as its pictures come.

#![allow(clippy::unwrap_used)] // a test may panic; its steps live in plain functions

mod support;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::{Duration, Instant};

use edge_video::encoded::{
    AccessUnit, Follower, FollowerCounters, Ring, RingLimits, Sought, Taken, decode_at,
};
use edge_video::{CameraStream, Frame, OwnTime, RtspSettings};
use protocol::units::Seconds;
use protocol::{EventTime, TimeQuality};
use rtsp_camera::{ClipCodec, TestPattern};
use support::{PATIENCE, clip, serve};

/// From one picture to the next (µs).
const PICTURE: i64 = 40_000;
/// Pictures of a group.
const GROUP: usize = 25;
const WITHIN: Seconds = Seconds(0.05);
const LIMITS: RingLimits = RingLimits {
    seconds: 60.0,
    bytes: 64 << 20,
    album: None,
};

/// What a camera sent: three groups, 40 ms apart, whatever a busy machine made of them.
fn sent(codec: ClipCodec, b_pictures: u32) -> Vec<AccessUnit> {
    let pattern = TestPattern {
        codec,
        b_pictures,
        pictures: 75,
        ..TestPattern::default()
    };
    let camera = serve(vec![rtsp_camera::Mount::new("gate", clip(pattern))]);
    let settings = RtspSettings {
        keep: Some(LIMITS),
        is_watched: false,
        ..RtspSettings::new(&camera.url("gate"))
    };
    let (wake, _woken) = crossbeam_channel::bounded(1);
    let stream = CameraStream::start("gate", settings, wake);
    let ring = stream.ring().unwrap();
    let deadline = Instant::now() + PATIENCE;
    let units = loop {
        let clock = ring.clock_of(EventTime::from_micros(i64::MAX));
        let units = ring.since(None, EventTime::EPOCH, clock);
        let first = units.iter().position(|unit| unit.is_key).unwrap_or(0);
        if let Some(three) = units.get(first..first + 3 * GROUP + 1) {
            break three[..3 * GROUP].to_vec();
        }
        assert!(Instant::now() < deadline, "{:?}", ring.state());
        ring.wait_beyond(units.last().map(|unit| unit.number), PATIENCE);
    };
    let mut shown: Vec<i64> = units.iter().map(|unit| unit.media).collect();
    shown.sort_unstable();
    let even = |unit: &AccessUnit| {
        let at = shown.iter().position(|media| *media == unit.media).unwrap();
        let media = PICTURE * i64::try_from(at).unwrap();
        AccessUnit {
            media,
            time: time(at),
            ..unit.clone()
        }
    };
    units.iter().map(even).collect()
}

/// When the picture is shown that is shown at this place.
fn time(shown: usize) -> EventTime {
    EventTime::from_micros(1_795_000_000_000_000 + PICTURE * i64::try_from(shown).unwrap())
}

/// A moment that is told by the camera's own clock.
fn by_camera(time: EventTime) -> (EventTime, Option<OwnTime>) {
    (time, Some(OwnTime { time, ahead_us: 0 }))
}

/// The pictures that are shown in each place, as decoders give them that see all.
fn truth(units: &[AccessUnit]) -> BTreeMap<EventTime, Frame> {
    let all: BTreeSet<u64> = units.iter().map(|unit| unit.number).collect();
    let found = decode_at(units, &all, Seconds(0.0)).unwrap().found;
    assert_eq!(found.len(), units.len());
    found
        .into_values()
        .map(|frame| (frame.time, frame))
        .collect()
}

/// A ring to which a test sends, and who follows it.
struct Desk {
    ring: Arc<Ring>,
    follower: Follower,
}

impl Desk {
    fn new() -> Self {
        edge_video::init().unwrap();
        let ring = Arc::new(Ring::new(LIMITS));
        let follower = Follower::new(Arc::clone(&ring), WITHIN);
        Self { ring, follower }
    }

    fn with(units: &[AccessUnit]) -> Self {
        let desk = Self::new();
        desk.send(units);
        desk
    }

    fn send(&self, units: &[AccessUnit]) {
        for unit in units {
            if unit.is_torn {
                self.ring.tear();
            }
            let stamp = (unit.time, TimeQuality::Rtcp);
            let codec = unit.format.codec;
            self.ring.push(codec, &unit.bytes, Some(unit.media), stamp);
        }
    }

    fn seek(&mut self, shown: usize) -> Sought {
        let until = Instant::now() + PATIENCE;
        self.follower.seek(by_camera(time(shown)), until).unwrap()
    }

    #[track_caller]
    fn shown(&mut self, shown: usize) -> Frame {
        match self.seek(shown) {
            Sought::Shown(frame) => frame,
            other => panic!("{shown}: {other:?}"),
        }
    }

    fn done(&self) -> (u64, u64) {
        let FollowerCounters { decoded, begun } = self.follower.counters();
        (decoded, begun)
    }
}

#[test]
fn going_forward_each_picture_is_decoded_once_and_going_back_costs_the_group_again() {
    for codec in [ClipCodec::H264, ClipCodec::H265, ClipCodec::Mjpeg] {
        let units = sent(codec, 0);
        let truth = truth(&units);
        let mut desk = Desk::with(&units);
        assert_eq!(desk.done(), (0, 0), "nobody has asked");
        for at in [30, 31, 40, 40] {
            let frame = desk.shown(at);
            assert_eq!(frame.time, time(at), "{codec:?}");
            assert!(frame.y() == truth[&time(at)].y(), "{codec:?}: {at}");
        }
        if codec == ClipCodec::Mjpeg {
            // Each of them is a key picture.
            assert_eq!(desk.done(), (3, 3));
            continue;
        }
        // From the key picture of the second group on.
        assert_eq!(desk.done(), (16, 1), "{codec:?}");
        // The third group, past what is left of the second.
        desk.shown(52);
        assert_eq!(desk.done(), (16 + 3, 2), "{codec:?}");
        let frame = desk.shown(35);
        assert!(frame.y() == truth[&time(35)].y(), "{codec:?}");
        assert_eq!(desk.done(), (16 + 3 + 11, 3), "{codec:?}");
    }
}

/// Of pictures sent in another order than shown, all are shown as they are, also those
/// that wait for others, and none is decoded twice for that.
#[test]
fn pictures_that_refer_to_later_ones_are_shown_once_those_have_come() {
    for codec in [ClipCodec::H264, ClipCodec::H265] {
        let units = sent(codec, 2);
        assert!(units.windows(2).any(|pair| pair[0].media > pair[1].media));
        let truth = truth(&units);
        let mut desk = Desk::new();
        let (mut sought, mut shown) = (0, Vec::new());
        for unit in &units {
            desk.send(std::slice::from_ref(unit));
            // In the order in which somebody would ask, each as soon as it is there.
            while sought < units.len()
                && let Sought::Shown(frame) = desk.seek(sought)
            {
                assert!(frame.y() == truth[&time(sought)].y(), "{codec:?}: {sought}");
                shown.push(frame.time);
                sought += 1;
            }
        }
        desk.ring.end();
        // What the end of the stream holds back is never known to be sound.
        assert!(shown.len() >= units.len() - 5, "{codec:?}: {}", shown.len());
        assert!(shown.windows(2).all(|pair| pair[0] < pair[1]));
        let (decoded, begun) = desk.done();
        assert!(decoded <= units.len() as u64, "{codec:?}: {decoded}");
        assert_eq!(begun, 3, "{codec:?}");
    }
}

/// How a picture is hurt.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Hurt {
    /// Packets were lost, and somebody says so.
    Torn,
    /// It breaks off, and nobody says so.
    BrokenOff,
    /// All from the slice header on is noise.
    Scrambled,
}

fn hurt(unit: &mut AccessUnit, how: Hurt) {
    let mut bytes = unit.bytes.to_vec();
    match how {
        Hurt::Torn => {
            bytes.truncate(bytes.len() / 2);
            unit.is_torn = true;
        }
        Hurt::BrokenOff => bytes.truncate(bytes.len() / 2),
        Hurt::Scrambled => {
            // Behind the last start code and the two bytes that name the unit.
            let head = &bytes[..bytes.len().min(64)];
            let slice = head.windows(3).rposition(|it| it == [0, 0, 1]).unwrap();
            bytes[slice + 5..].iter_mut().for_each(|byte| *byte ^= 0x5a);
        }
    }
    unit.bytes = bytes.into();
}

#[test]
fn what_is_made_up_or_may_refer_to_that_is_never_shown() {
    for (codec, b_pictures) in [
        (ClipCodec::H264, 0),
        (ClipCodec::H265, 0),
        (ClipCodec::H264, 2),
        (ClipCodec::H265, 2),
    ] {
        let whole = sent(codec, b_pictures);
        let truth = truth(&whole);
        for how in [Hurt::Torn, Hurt::BrokenOff, Hurt::Scrambled] {
            let told = format!("{codec:?}, {b_pictures} B pictures, {how:?}");
            let mut units = whole.clone();
            let hit = GROUP + 4;
            hurt(&mut units[hit], how);
            let mut desk = Desk::new();
            let (mut shown, mut damaged) = (BTreeSet::new(), BTreeSet::new());
            let mut sought = 0;
            let mut ask = |desk: &mut Desk| {
                while sought < units.len() {
                    match desk.seek(sought) {
                        Sought::Shown(frame) => {
                            assert_eq!(frame.time, time(sought), "{told}");
                            let is_true = frame.y() == truth[&frame.time].y();
                            assert!(is_true, "{told}: {sought} is made up");
                            shown.insert(sought);
                        }
                        Sought::Damaged => drop(damaged.insert(sought)),
                        Sought::NotYet => break,
                        other => panic!("{told}: {sought} is {other:?}"),
                    }
                    sought += 1;
                }
            };
            for unit in &units {
                desk.send(std::slice::from_ref(unit));
                ask(&mut desk);
            }
            desk.ring.end();
            ask(&mut desk);
            // The groups before and after it are whole.
            for at in (0..GROUP).chain(2 * GROUP..3 * GROUP - 5) {
                assert!(shown.contains(&at), "{told}: {at}, {damaged:?}");
            }
            // And what was shown before it; what comes long after it is not.
            assert!(shown.contains(&(GROUP + 1)), "{told}: {damaged:?}");
            for at in hit + 4..2 * GROUP {
                assert!(damaged.contains(&at), "{told}: {at}");
            }
            if how == Hurt::Torn {
                // Of what is known to be broken nothing is decoded.
                let before = desk.done();
                assert!(matches!(desk.seek(hit + 9), Sought::Damaged), "{told}");
                assert_eq!(desk.done(), before, "{told}");
            }
        }
    }
}

#[test]
fn a_picture_is_of_a_moment_only_when_it_is_near() {
    let units = sent(ClipCodec::H264, 0);
    let until = Instant::now() + PATIENCE;
    let mut desk = Desk::with(&units[..30]);
    let at = |desk: &mut Desk, shown: usize, later_us: i64| {
        let moment = EventTime::from_micros(time(shown).as_micros() + later_us);
        desk.follower.seek(by_camera(moment), until).unwrap()
    };
    // Between two pictures the nearer one.
    let Sought::Shown(frame) = at(&mut desk, 10, 15_000) else {
        panic!("between two pictures");
    };
    assert_eq!(frame.time, time(10));
    // Of the newest more may come; of what comes after it nothing is there.
    assert!(matches!(at(&mut desk, 29, 0), Sought::NotYet));
    assert!(matches!(at(&mut desk, 40, 0), Sought::NotYet));
    // By another clock, which may be seconds off.
    let other = desk.follower.seek((time(10), None), until).unwrap();
    assert!(matches!(other, Sought::OtherClock), "{other:?}");
    // Long before the first.
    let before = at(&mut desk, 0, -900_000);
    assert!(matches!(before, Sought::Absent), "{before:?}");
    // A hole in the stream: pictures 31 to 59 never came, as their packets tell.
    desk.ring.tear();
    desk.send(&units[60..]);
    let hole = at(&mut desk, 45, 0);
    assert!(matches!(hole, Sought::Absent), "{hole:?}");
    // What comes behind it refers to what is not there.
    let behind = at(&mut desk, 62, 0);
    assert!(matches!(behind, Sought::Damaged), "{behind:?}");
}

#[test]
fn decoding_stops_when_time_is_over_and_goes_on_where_it_stood() {
    let units = sent(ClipCodec::H264, 0);
    let mut desk = Desk::with(&units);
    let over = Instant::now();
    let sought = desk.follower.seek(by_camera(time(20)), over).unwrap();
    // It is there: not the stream is late.
    assert!(matches!(sought, Sought::Behind), "{sought:?}");
    assert_eq!(desk.done(), (0, 1));
    desk.shown(20);
    assert_eq!(desk.done(), (21, 1));
    desk.follower.rest();
    desk.shown(21);
    assert_eq!(desk.done(), (21 + 22, 2), "its decoder had gone");
}

/// It went round without a pause, and held the ring off from what it waited for.
#[test]
fn who_waits_while_a_key_picture_is_still_coming_rests() {
    let units = sent(ClipCodec::H264, 0);
    let key = (1..units.len()).find(|at| units[*at].is_key).unwrap();
    let mut desk = Desk::with(&units[..=key]);
    assert!(matches!(desk.seek(key), Sought::NotYet));
    assert!(!desk.follower.wait(Duration::from_millis(1)));
}

#[test]
fn who_waits_for_pictures_is_woken_by_the_next() {
    let units = sent(ClipCodec::H264, 0);
    let mut desk = Desk::with(&units[..10]);
    // The last is not known to be whole.
    assert!(matches!(desk.seek(9), Sought::NotYet));
    assert!(!desk.follower.wait(Duration::from_millis(1)));
    let ring = Arc::clone(&desk.ring);
    let next = units[10].clone();
    let sender = std::thread::spawn(move || {
        let stamp = (next.time, TimeQuality::Rtcp);
        ring.push(next.format.codec, &next.bytes, Some(next.media), stamp);
    });
    assert!(desk.follower.wait(PATIENCE));
    sender.join().unwrap();
    desk.shown(9);
}

/// What pictures are told as may be slewed in one of two streams by some tenths of a second,
/// or go by the arrival of each. The vehicle behind was looked at.
#[test]
fn of_two_streams_only_the_cameras_own_clock_tells_which_pictures_are_of_one_moment() {
    let units = sent(ClipCodec::H264, 0);
    let until = Instant::now() + PATIENCE;
    let later = |time: EventTime, ms: i64| EventTime::from_micros(time.as_micros() + ms * 1_000);
    let own = |shown: usize, ahead_ms: i64| OwnTime {
        time: later(time(shown), -7 * 3_600_000),
        ahead_us: ahead_ms * 1_000,
    };
    // Its times are slewed yet, 0.3 s late; its own clock is in a wrong zone.
    let follow = |own_of: &dyn Fn(usize) -> Option<OwnTime>| {
        let desk = Desk::new();
        for (at, unit) in units.iter().enumerate() {
            let taken = Taken {
                time: later(unit.time, 300),
                quality: TimeQuality::Arrival,
                own: own_of(at),
                is_provisional: false,
            };
            let codec = unit.format.codec;
            desk.ring.push(codec, &unit.bytes, Some(unit.media), taken);
        }
        desk.follower
    };
    let truth = truth(&units);
    let mut follower = follow(&|at| Some(own(at, 0)));
    for at in [3, 30, 31, 60] {
        let moment = (time(at), Some(own(at, 200)));
        let Sought::Shown(frame) = follower.seek(moment, until).unwrap() else {
            panic!("{at}");
        };
        assert!(frame.y() == truth[&time(at)].y(), "{at}");
    }
    // No reports; reports of each stream's own clock; and a clock that was set just now.
    let other = |follower: &mut Follower, own| {
        let sought = follower.seek((time(60), own), until).unwrap();
        assert!(matches!(sought, Sought::OtherClock), "{sought:?}");
    };
    other(&mut follower, None);
    other(&mut follower, Some(own(60, 700)));
    other(&mut follow(&|_| None), Some(own(60, 0)));
    let only_before = |at| (at < 50).then(|| own(at, 0));
    other(&mut follow(&only_before), Some(own(60, 0)));
    // So long after the moment that its picture is among those of which nobody knows.
    let only_after = |at| (at > 24).then(|| own(at, 0));
    let sought = follow(&only_after).seek((time(20), Some(own(20, 0))), until);
    let sought = sought.unwrap();
    assert!(matches!(sought, Sought::OtherClock), "{sought:?}");
}
