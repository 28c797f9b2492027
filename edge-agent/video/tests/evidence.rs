//! What a camera sent, kept, cut, muxed and read again, over a real RTSP server.

#![allow(clippy::unwrap_used)] // a test may panic; its steps live in plain functions

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::process::Command;
use std::sync::Arc;
use std::time::{Duration, Instant};

use edge_video::encoded::{
    AccessUnit, AlbumLimits, Ring, RingClock, RingLimits, cut, decode_at, mp4, unit,
};
use edge_video::{CameraStream, ClipReader, Frame, Notice, RtspSettings};
use protocol::EventTime;
use protocol::units::Seconds;
use rtsp_camera::{Camera, CameraSettings, Clip, ClipCodec, Mount, TestPattern};

const PATIENCE: Duration = Duration::from_mins(1);

fn clip(pattern: TestPattern) -> Clip {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("clip.mkv");
    pattern.write(&path).unwrap();
    Clip::load(&path).unwrap()
}

struct Watched {
    camera: Camera,
    stream: CameraStream,
    _woken: crossbeam_channel::Receiver<()>,
}

impl Watched {
    fn new(clips: Vec<Clip>, is_watched: bool) -> Self {
        let limits = RingLimits {
            seconds: 60.0,
            bytes: 64 << 20,
            album: None,
        };
        Self::limited(clips, is_watched, limits)
    }

    fn limited(clips: Vec<Clip>, is_watched: bool, limits: RingLimits) -> Self {
        edge_video::init().unwrap();
        let mount = Mount {
            playlist: clips,
            ..Mount::new("gate", clip(TestPattern::default()))
        };
        let camera = Camera::start(CameraSettings::loopback(vec![mount])).unwrap();
        let settings = RtspSettings {
            keep: Some(limits),
            is_watched,
            retry_first: Duration::from_millis(50),
            retry_most: Duration::from_millis(200),
            ..RtspSettings::new(&camera.url("gate"))
        };
        let (wake, woken) = crossbeam_channel::bounded(1);
        Self {
            stream: CameraStream::start("gate", settings, wake),
            camera,
            _woken: woken,
        }
    }

    fn ring(&self) -> &Arc<Ring> {
        self.stream.ring().unwrap()
    }

    fn wait(&self, what: &str, is_so: impl Fn(&[AccessUnit]) -> bool) -> Vec<AccessUnit> {
        let deadline = Instant::now() + PATIENCE;
        loop {
            let ring = self.ring();
            let now = ring.clock_of(EventTime::from_micros(i64::MAX));
            let units = ring.since(None, EventTime::EPOCH, now);
            if is_so(&units) {
                return units;
            }
            assert!(
                Instant::now() < deadline,
                "never {what}: {:?}",
                self.ring().state()
            );
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    fn connected(&self) -> (String, u32, u32) {
        let deadline = Instant::now() + PATIENCE;
        loop {
            if let Notice::Connected {
                codec,
                width,
                height,
                ..
            } = self.stream.notices().recv_deadline(deadline).unwrap()
            {
                return (codec, width, height);
            }
        }
    }
}

/// NAL units, or the whole of a JPEG.
fn parts(codec: ClipCodec, bytes: &[u8]) -> Vec<Vec<u8>> {
    match codec {
        ClipCodec::Mjpeg => vec![bytes.to_vec()],
        _ => unit::nal_units(bytes).map(<[u8]>::to_vec).collect(),
    }
}

/// The NAL units of all samples of one of our clips.
fn parts_of_mp4(codec: ClipCodec, file: &[u8]) -> Vec<Vec<u8>> {
    let word = |at: usize| u32::from_be_bytes(*file[at..].first_chunk().unwrap()) as usize;
    let (mut at, mut found) = (0, Vec::new());
    while at < file.len() {
        let length = word(at);
        if &file[at + 4..at + 8] == b"mdat" {
            let mut from = at + 8;
            while codec != ClipCodec::Mjpeg && from < at + length {
                let size = word(from);
                found.push(file[from + 4..from + 4 + size].to_vec());
                from += 4 + size;
            }
            if codec == ClipCodec::Mjpeg {
                found.push(file[from..at + length].to_vec());
            }
        }
        at += length;
    }
    found
}

/// Times of showing and flags, by a program that knows nothing of us.
fn probed(path: &Path) -> Option<(Vec<f64>, Vec<f64>, String)> {
    let output = Command::new("ffprobe")
        .args([
            "-v",
            "error",
            "-show_entries",
            "packet=pts_time,dts_time,flags",
            "-of",
            "csv=p=0",
        ])
        .arg(path)
        .output()
        .ok()?;
    let errors = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(output.status.success(), "{errors}");
    let text = String::from_utf8(output.stdout).unwrap();
    let (mut shown, mut decoded, mut flags) = (Vec::new(), Vec::new(), String::new());
    for line in text.lines() {
        let mut fields = line.split(',');
        shown.push(fields.next()?.parse().unwrap());
        decoded.push(fields.next()?.parse().unwrap());
        flags.push(fields.next()?.chars().next().unwrap());
    }
    Some((shown, decoded, flags))
}

/// A clip of what a camera sent is what it sent, and others can read it.
fn check(pattern: TestPattern, is_watched: bool) {
    let sent = clip(pattern);
    let fps = f64::from(pattern.fps);
    let watched = Watched::new(vec![sent.clone()], is_watched);
    let (_, width, height) = watched.connected();
    assert_eq!((width, height), (pattern.width, pattern.height));
    // Two rounds of the clip, so that a seam is among them.
    let enough = 2 * sent.pictures();
    let units = watched.wait("two rounds", |units| units.len() > enough);
    let (first, last) = (units[0].time, units[enough].time);
    let cut = cut::cut(
        &units,
        first + Seconds(1.3),
        last - Seconds(0.5),
        last - Seconds(1.0),
    );
    assert_eq!(cut.shortfalls, [], "{pattern:?}");
    let span = cut.span().unwrap();
    assert!(
        span.0 <= first + Seconds(1.3) && span.1 >= last - Seconds(0.5),
        "{span:?}"
    );

    let file = mp4::write(&cut.units).unwrap();
    let received = parts_of_mp4(pattern.codec, &file);
    let all: Vec<Vec<u8>> = sent
        .sent()
        .iter()
        .flat_map(|unit| parts(pattern.codec, unit))
        .collect();
    if pattern.codec == ClipCodec::Mjpeg {
        // RTP carries no JPEG headers; the receiver writes its own (RFC 2435).
        assert!(received.iter().all(|jpeg| jpeg.starts_with(&[0xff, 0xd8])));
    } else {
        // Wherever in the round the clip begins: from there on all, in order.
        let is_so = (0..all.len()).any(|skip| {
            let rounds = all.iter().cycle().skip(skip);
            received.iter().eq(rounds.take(received.len()))
        });
        assert!(is_so, "{pattern:?}: NAL units differ from those sent");
        let is_sei = |part: &&Vec<u8>| match pattern.codec {
            ClipCodec::H264 => part[0] & 31 == 6,
            _ => [39, 40].contains(&(part[0] >> 1 & 63)),
        };
        assert!(
            received.iter().filter(is_sei).count() > 0,
            "no SEI came through"
        );
    }

    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("clip.mp4");
    std::fs::write(&path, &file).unwrap();
    let mut reader = ClipReader::open(&path, EventTime::EPOCH).unwrap();
    let mut times = Vec::new();
    while let Some(frame) = reader.next_frame().unwrap() {
        assert_eq!((frame.width, frame.height), (pattern.width, pattern.height));
        times.push(frame.time);
    }
    assert_eq!(times.len(), cut.units.len(), "{pattern:?}");
    let steady = |pair: &[f64]| (pair[1] - pair[0] - 1.0 / fps).abs() < 2e-4;
    let times: Vec<f64> = times.iter().map(|t| t.since(EventTime::EPOCH).0).collect();
    assert!(times.windows(2).all(steady), "{pattern:?}: {times:?}");
    if let Some((mut shown, decoded, flags)) = probed(&path) {
        assert_eq!(shown.len(), cut.units.len());
        assert!(flags.starts_with('K'), "{flags}");
        assert!(
            decoded.windows(2).all(|pair| pair[0] < pair[1]),
            "{decoded:?}"
        );
        shown.sort_by(f64::total_cmp);
        assert!(shown.windows(2).all(steady), "{shown:?}");
    } else {
        println!("ffprobe is not here; only our own reader has looked");
    }

    // Stills from the middle of a group are the pictures of those times.
    let wanted: BTreeSet<u64> = [7, 30].map(|n| cut.units[n].number).into();
    let stills = decode_at(&cut.units, &wanted, Seconds(0.0)).unwrap().found;
    let found: BTreeSet<u64> = stills.keys().copied().collect();
    assert_eq!(found, wanted, "{pattern:?}");
    for (number, frame) in &stills {
        let unit = cut
            .units
            .iter()
            .find(|unit| unit.number == *number)
            .unwrap();
        assert_eq!(frame.time, unit.time);
    }
}

#[test]
fn a_clip_holds_every_nal_unit_that_the_camera_sent() {
    for codec in [ClipCodec::H264, ClipCodec::H265, ClipCodec::Mjpeg] {
        check(
            TestPattern {
                codec,
                ..TestPattern::default()
            },
            true,
        );
    }
}

#[test]
fn pictures_sent_in_another_order_than_shown_have_both_orders() {
    for codec in [ClipCodec::H264, ClipCodec::H265] {
        let b_pictures = 2;
        check(
            TestPattern {
                codec,
                b_pictures,
                ..TestPattern::default()
            },
            false,
        );
    }
}

#[test]
fn a_stream_that_is_only_kept_costs_no_decoder_and_comes_back_after_a_loss() {
    let watched = Watched::new(vec![clip(TestPattern::default())], false);
    watched.wait("a second", |units| units.len() > 25);
    watched.camera.disconnect_all();
    let units = watched.wait("another run", |units| {
        units.last().is_some_and(|last| last.run > units[0].run) && units.len() > 60
    });
    assert!(watched.stream.take_newest().is_none());
    assert_eq!(watched.stream.counters().analysed, 0);
    let first = &units[0];
    let before = units
        .iter()
        .take_while(|unit| unit.run == first.run)
        .count();
    let cut = cut::cut(
        &units,
        first.time,
        units[units.len() - 1].time,
        units[before - 1].time,
    );
    assert_eq!(cut.units.len(), before);
    assert_eq!(cut.shortfalls, [cut::Shortfall::BrokeOff]);
    assert!(mp4::write(&cut.units).is_ok());
    assert_eq!(mp4::write(&units), Err(mp4::Mp4Error::Broken));
}

#[test]
fn a_stream_that_changes_its_size_gives_clips_of_one_size() {
    let small = clip(TestPattern {
        width: 176,
        height: 144,
        ..TestPattern::default()
    });
    let watched = Watched::new(vec![clip(TestPattern::default()), small], true);
    let units = watched.wait("both sizes", |units| {
        units
            .windows(2)
            .any(|pair| pair[0].format.width == 320 && pair[1].format.width == 176)
            && units.len() > 60
    });
    let change = units
        .windows(2)
        .position(|pair| pair[0].run != pair[1].run)
        .unwrap();
    let (last, next) = (&units[change], &units[change + 1]);
    assert!(next.is_key);
    let cut = cut::cut(
        &units,
        last.time - Seconds(1.0),
        last.time + Seconds(3.0),
        last.time,
    );
    assert!(cut.units.iter().all(|unit| unit.format == last.format));
    assert_eq!(cut.shortfalls, [cut::Shortfall::BrokeOff]);
}

/// Older than the ring, and still a picture: with a real camera, a ring of two seconds,
/// and an album that has to let pictures go.
#[test]
fn what_a_short_ring_has_let_go_can_be_shown_from_the_album() {
    let pattern = TestPattern {
        fps: 10,
        pictures: 100,
        key_distance: Some(5),
        ..TestPattern::default()
    };
    let album = AlbumLimits {
        every: 0.8,
        seconds: 5.0,
        bytes: 1 << 20,
    };
    let limits = RingLimits {
        seconds: 2.0,
        bytes: 8 << 20,
        album: Some(album),
    };
    let watched = Watched::limited(vec![clip(pattern)], false, limits);
    let deadline = Instant::now() + 2 * PATIENCE;
    while watched.ring().state().album.seconds < 4.0 {
        assert!(Instant::now() < deadline, "{:?}", watched.ring().state());
        std::thread::sleep(Duration::from_millis(50));
    }
    let now = watched.ring().clock_of(EventTime::from_micros(i64::MAX));
    let oldest = watched.ring().since(None, EventTime::EPOCH, now)[0].time;
    let state = watched.ring().state();
    assert!(
        state.album.seconds <= 5.0 && state.album.bytes <= 1 << 20,
        "{state:?}"
    );
    let keys = watched
        .ring()
        .key_pictures(EventTime::EPOCH, oldest, RingClock::default());
    assert!(keys.len() >= 3, "{state:?}");
    assert!(keys.iter().all(|unit| unit.is_key));
    let wanted: BTreeSet<u64> = keys.iter().map(|unit| unit.number).collect();
    let shown = decode_at(&keys, &wanted, Seconds(0.0)).unwrap().found;
    let numbers: BTreeSet<u64> = shown.keys().copied().collect();
    assert_eq!(numbers, wanted);
    assert!(
        shown
            .values()
            .all(|frame| (frame.width, frame.height) == (320, 240))
    );
}

/// How a picture of a clean stream is hurt.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Hurt {
    /// All from the slice header on is noise.
    Scrambled,
    /// It never came, and nobody says so.
    Lost,
    /// Its second half never came; its packets were counted.
    Torn,
    /// It breaks off, and nobody says so.
    BrokenOff,
}

fn hurt(units: &mut [AccessUnit], at: usize, how: Hurt) {
    let unit = &mut units[at];
    match how {
        Hurt::Scrambled => {
            // Behind the last start code and the two bytes that name the unit.
            let mut bytes = unit.bytes.to_vec();
            let head = &bytes[..bytes.len().min(64)];
            let slice = head.windows(3).rposition(|it| it == [0, 0, 1]).unwrap();
            bytes[slice + 5..].iter_mut().for_each(|byte| *byte ^= 0x5a);
            unit.bytes = bytes.into();
        }
        Hurt::Torn => {
            unit.bytes = unit.bytes[..unit.bytes.len() / 2].into();
            unit.is_torn = true;
        }
        Hurt::BrokenOff => unit.bytes = unit.bytes[..unit.bytes.len() / 2].into(),
        // As the depayloader gives what has no picture in it any more.
        Hurt::Lost => unit.bytes = unit.bytes[..6].into(),
    }
}

/// 40 ms apart, whatever a busy machine made of them.
fn evenly_timed(units: &[AccessUnit]) -> Vec<AccessUnit> {
    let mut shown: Vec<i64> = units.iter().map(|unit| unit.media).collect();
    shown.sort_unstable();
    let even = |unit: &AccessUnit| {
        let at = shown.iter().position(|media| *media == unit.media).unwrap();
        let media = 40_000 * i64::try_from(at).unwrap();
        let time = EventTime::from_micros(media);
        AccessUnit {
            media,
            time,
            ..unit.clone()
        }
    };
    units.iter().map(even).collect()
}

/// Each still is a picture that the camera took, or it is not there: decoders make up
/// what they lack and say nothing.
#[test]
fn no_still_is_made_of_a_damaged_picture_or_of_what_refers_to_it() {
    for (codec, b_pictures) in [
        (ClipCodec::H264, 0),
        (ClipCodec::H265, 0),
        (ClipCodec::H264, 2),
        (ClipCodec::H265, 2),
    ] {
        // A key picture each second.
        let pattern = TestPattern {
            codec,
            b_pictures,
            pictures: 75,
            ..TestPattern::default()
        };
        let watched = Watched::new(vec![clip(pattern)], false);
        let units = watched.wait("three groups", |units| {
            units.iter().filter(|unit| unit.is_key).count() > 3
        });
        let keys: Vec<usize> = (0..units.len()).filter(|at| units[*at].is_key).collect();
        let (second, third) = (keys[1], keys[2]);
        let units = &evenly_timed(&units[..keys[3]]);
        let all: BTreeSet<u64> = units.iter().map(|unit| unit.number).collect();
        let true_ones = decode_at(units, &all, Seconds(0.0)).unwrap().found;
        assert_eq!(true_ones.len(), units.len(), "{codec:?}: {b_pictures}");
        for how in [Hurt::Scrambled, Hurt::Lost, Hurt::Torn, Hurt::BrokenOff] {
            let told = format!("{codec:?}, {b_pictures} B pictures, {how:?}");
            let mut units = units.clone();
            // Early, so that the next second is too far from the middle of this one.
            let at = second + 4;
            hurt(&mut units, at, how);
            let number = |at: usize| units[at].number;
            let stills = decode_at(&units, &all, Seconds(0.3)).unwrap();
            for (wanted, frame) in &stills.found {
                let truth = &true_ones[&frame.number];
                assert!(
                    frame.y() == truth.y(),
                    "{told}: {} is made up",
                    frame.number
                );
                let off = frame.time.since(true_ones[wanted].time).0.abs();
                assert!(off <= 0.3, "{told}: {off} s off");
            }
            // Other groups are whole.
            for whole in (0..second).chain(third..units.len()) {
                assert_eq!(stills.found[&number(whole)].number, number(whole), "{told}");
            }
            let stand_in = stills.found[&number(at)].number;
            assert!(stand_in < number(at), "{told}: {stand_in}");
            // The middle of the second is too far from everything sound.
            assert!(stills.damaged.contains(&number(second + 13)), "{told}");
            let mut answered: BTreeSet<u64> = stills.found.keys().copied().collect();
            answered.extend(&stills.damaged);
            assert_eq!(answered, all, "{told}");
        }
    }
}

/// Packets that were lost mark the picture that comes next, and no other.
#[test]
fn the_picture_after_lost_packets_is_torn() {
    let watched = Watched::new(vec![clip(TestPattern::default())], false);
    let units = watched.wait("a second", |units| units.len() > 25);
    let ring = Ring::new(RingLimits {
        seconds: 60.0,
        bytes: 64 << 20,
        album: None,
    });
    for (n, unit) in units.iter().take(20).enumerate() {
        if n == 7 {
            ring.tear();
        }
        let stamp = (unit.time, unit.time_quality);
        ring.push(unit::Codec::H264, &unit.bytes, Some(unit.media), stamp);
    }
    ring.end();
    let clock = ring.clock_of(units[0].time);
    let kept = ring.since(None, EventTime::EPOCH, clock);
    let torn: Vec<u64> = kept
        .iter()
        .filter(|it| it.is_torn)
        .map(|it| it.number)
        .collect();
    assert_eq!((kept.len(), torn), (20, vec![7]));
}

/// From the network to the still: a packet that the camera sent and that never came.
#[test]
fn a_packet_that_is_lost_on_the_way_spoils_no_still() {
    for (codec, is_watched) in [
        (ClipCodec::H264, true),
        (ClipCodec::H264, false),
        (ClipCodec::H265, false),
    ] {
        let told = format!("{codec:?}, watched: {is_watched}");
        let clip = clip(TestPattern {
            codec,
            pictures: 50,
            ..TestPattern::default()
        });
        // Delimiters and the like may come with the picture before.
        let slices = |bytes: &[u8]| {
            let mut parts = parts(codec, bytes);
            parts.retain(|part| match codec {
                ClipCodec::H264 => (1..=5).contains(&(part[0] & 31)),
                _ => part[0] >> 1 & 63 < 32,
            });
            parts
        };
        let sent: BTreeMap<Vec<Vec<u8>>, usize> = (0..)
            .zip(clip.sent())
            .map(|(at, bytes)| (slices(&bytes), at))
            .collect();
        let place = |unit: &AccessUnit| sent.get(&slices(&unit.bytes)).copied();
        let watched = Watched::new(vec![clip.clone()], is_watched);
        let whole = watched.wait("a round", |units| units.len() > 50);
        assert!(whole.iter().all(|unit| !unit.is_torn), "{told}");
        watched.camera.behaviour("gate").unwrap().lose_packets(1);
        // The group that was hit, and the key picture of the next.
        let units = watched.wait("a tear and what comes after", |units| {
            let torn = units.iter().position(|unit| unit.is_torn);
            torn.is_some_and(|torn| units[torn + 1..].iter().any(|unit| unit.is_key))
        });
        let all: BTreeSet<u64> = units.iter().map(|unit| unit.number).collect();
        let stills = decode_at(&units, &all, Seconds(0.0)).unwrap();
        let by_number = |number: u64| units.iter().find(|it| it.number == number).unwrap();
        let mut true_ones: BTreeMap<usize, &Frame> = BTreeMap::new();
        for (wanted, frame) in &stills.found {
            assert_eq!(*wanted, frame.number, "{told}: nothing stands in");
            let unit = by_number(*wanted);
            let at = place(unit).unwrap_or_else(|| panic!("{told}: {wanted} is not as sent"));
            // Of each picture of the clip all are alike, before and after.
            let first = true_ones.entry(at).or_insert(frame);
            assert!(first.y() == frame.y(), "{told}: {wanted} is made up");
        }
        assert_eq!(
            true_ones.len(),
            50,
            "{told}: all of the clip was seen whole"
        );
        let torn = units.iter().filter(|it| it.is_torn);
        for number in torn.map(|it| it.number) {
            assert!(stills.damaged.contains(&number), "{told}: {number}");
        }
        assert!(watched.stream.counters().packet_gaps >= 1, "{told}");
    }
}
