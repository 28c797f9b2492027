//! Streams that are wrong in themselves: damaged units, times that lie, numbers
//! that wrap around, and another codec than before. From a real RTSP server.

#![allow(clippy::unwrap_used)] // a test may panic; its steps live in plain functions

mod support;

use std::time::{Duration, Instant};

use edge_video::encoded::RingLimits;
use edge_video::{Frame, LossReason, Notice, RtspSettings, Transport, probe};
use gstreamer as gst;
use gstreamer::prelude::*;
use protocol::TimeQuality;
use rtsp_camera::{
    Camera, CameraSettings, Clip, ClipCodec, Damage, Mount, Script, TestPattern, WrongTimes,
};
use support::{PATIENCE, Reader, clip, gate, serve, settings};

/// Frames one after the other, none before the one before.
fn frames_in_order(reader: &Reader, count: usize) -> Vec<Frame> {
    let mut frames: Vec<Frame> = Vec::new();
    while frames.len() < count {
        let frame = reader.frame();
        if let Some(last) = frames.last() {
            assert!(frame.time > last.time, "{frame:?} after {last:?}");
            assert!(frame.number > last.number, "{frame:?} after {last:?}");
        }
        frames.push(frame);
    }
    frames
}

/// Means of twelve bands of each plane. The test pattern moves sideways and comes in again
/// on the other side, so that they are the same in each of its pictures.
fn bands(frame: &Frame) -> Vec<f64> {
    let (width, height) = (frame.width as usize, frame.height as usize);
    let [u, v] = frame.chroma();
    let luma = |x, y| frame.y()[y * frame.y_stride() + x];
    let mean = |plane: usize, band: usize| {
        let (across, down) = match plane {
            0 => (width, height / 12),
            _ => (width / 2, height / 24),
        };
        let rows = band * down..(band + 1) * down;
        let levels = rows.flat_map(|y| {
            (0..across).map(move |x| match plane {
                0 => luma(x, y),
                1 => u.at(x, y),
                _ => v.at(x, y),
            })
        });
        levels.map(f64::from).sum::<f64>() / (across * down) as f64
    };
    (0..36).map(|n| mean(n / 12, n % 12)).collect()
}

/// How much of two pictures is not the same, in levels.
fn difference(one: &Frame, other: &Frame) -> f64 {
    if (one.width, one.height) != (other.width, other.height) {
        return f64::INFINITY;
    }
    let (one, other) = (bands(one), bands(other));
    let apart = one.into_iter().zip(other).map(|(a, b)| (a - b).abs());
    apart.fold(0.0, f64::max)
}

/// A picture of nothing: green, or grey.
fn is_flat(frame: &Frame) -> bool {
    let [u, _] = frame.chroma();
    let (across, down) = (frame.width as usize / 2, frame.height as usize / 2);
    let first = u.at(0, 0);
    (0..down).all(|y| (0..across).all(|x| u.at(x, y) == first))
}

#[test]
fn damaged_units_are_counted_and_the_stream_recovers() {
    for codec in [ClipCodec::H264, ClipCodec::H265] {
        for damage in [
            Damage::FlippedBits,
            Damage::Truncated,
            Damage::OddUnits,
            Damage::HugePicture,
        ] {
            // Its parameters are of H.264: to the other they are just one more odd unit.
            if (codec, damage) == (ClipCodec::H265, Damage::HugePicture) {
                continue;
            }
            let camera = gate(TestPattern {
                codec,
                ..TestPattern::default()
            });
            let reader = Reader::start(settings(&camera.url("gate")));
            reader.connected();
            let whole = reader.frame();
            let behaviour = camera.behaviour("gate").unwrap();
            let so_far = reader.stream.counters();
            behaviour.damage_every(3, Some(damage));
            // Of H.265 that breaks off libav says nothing, and goes on with what it has.
            let is_silent = (codec, damage) == (ClipCodec::H265, Damage::Truncated);
            // Each third picture of a camera: the key picture of one second in three.
            let (begun, deadline) = (Instant::now(), Instant::now() + PATIENCE);
            let mut told = 0;
            while begun.elapsed() < Duration::from_secs(4) || (told == 0 && !is_silent) {
                let hurt = reader.stream.counters();
                told = (hurt.decode_errors - so_far.decode_errors)
                    + (hurt.reconnects - so_far.reconnects)
                    + (hurt.dropped_corrupt - so_far.dropped_corrupt);
                assert!(
                    Instant::now() < deadline,
                    "{codec:?} {damage:?}: nothing was counted: {hurt:?}"
                );
                reader.woken.recv_timeout(Duration::from_millis(50)).ok();
                if let Some(frame) = reader.stream.take_newest() {
                    assert!((16..=65_536).contains(&frame.width), "{frame:?}");
                    assert!(!is_flat(&frame), "{codec:?} {damage:?}: {frame:?}");
                }
            }
            behaviour.damage_every(0, None);
            let deadline = Instant::now() + PATIENCE;
            let mut recovered = 0;
            while recovered < 30 {
                let frame = reader.frame();
                let difference = difference(&frame, &whole);
                assert!(
                    Instant::now() < deadline,
                    "{codec:?} {damage:?}: {difference} levels, {:?}",
                    reader.stream.counters()
                );
                recovered = if difference < 4.0 { recovered + 1 } else { 0 };
            }
        }
    }
}

/// Who looked was told to check power, network and address.
#[test]
fn a_first_look_at_a_stream_of_garbage_says_what_it_gives() {
    edge_video::init().unwrap();
    let folder = tempfile::tempdir().unwrap();
    let [raw, path] = ["raw", "green.mkv"].map(|name| folder.path().join(name));
    std::fs::write(&raw, vec![0; 320 * 240 * 3 / 2 * 50]).unwrap();
    let line = "filesrc name=raw ! rawvideoparse format=i420 width=320 height=240 framerate=10/1 \
                ! x264enc key-int-max=10 bframes=0 ! h264parse ! matroskamux ! filesink name=file";
    let pipeline = gst::parse::launch(line).unwrap();
    let pipeline = pipeline.downcast::<gst::Pipeline>().unwrap();
    for (name, path) in [("raw", &raw), ("file", &path)] {
        let element = pipeline.by_name(name).unwrap();
        element.set_property("location", path);
    }
    pipeline.set_state(gst::State::Playing).unwrap();
    let ends = [gst::MessageType::Eos, gst::MessageType::Error];
    let bus = pipeline.bus().unwrap();
    let message = bus.timed_pop_filtered(gst::ClockTime::from_seconds(60), &ends);
    pipeline.set_state(gst::State::Null).unwrap();
    assert_eq!(message.unwrap().type_(), gst::MessageType::Eos);
    let camera = serve(vec![Mount::new("gate", Clip::load(&path).unwrap())]);
    let settings = settings(&camera.url("gate"));
    // It is blamed after some seconds of it.
    let (why, message) = probe("gate", &settings, Duration::from_secs(12)).unwrap_err();
    assert_eq!(why, LossReason::Garbage, "{message}");
    assert!(
        message.contains("gives green pictures; check the camera's encoder"),
        "{message}"
    );
}

/// How many intervals are shorter than the pictures were apart. (A slow machine only
/// makes the camera wait.)
fn shortened(frames: &[Frame]) -> u64 {
    let is_short = |pair: &&[Frame]| {
        let meant = (pair[1].number - pair[0].number) as f64 * 0.04;
        pair[1].time.since(pair[0].time).0 < meant - 0.01
    };
    frames.windows(2).filter(is_short).count() as u64
}

/// Pictures of wrong times are shown in order, and no interval is wrong in silence:
/// wrong ones are counted, and where they are many nobody believes the times.
#[test]
fn wrong_times_give_frames_in_order_and_lose_none_in_silence() {
    for (b_pictures, wrong) in [
        (0, WrongTimes::Repeated),
        (0, WrongTimes::Swapped),
        (2, WrongTimes::Swapped),
        (2, WrongTimes::WhenSent),
    ] {
        for codec in [ClipCodec::H264, ClipCodec::H265] {
            let camera = gate(TestPattern {
                codec,
                b_pictures,
                ..TestPattern::default()
            });
            camera.behaviour("gate").unwrap().wrong_times(Some(wrong));
            let begun = Instant::now();
            let reader = Reader::start(settings(&camera.url("gate")));
            let frames = frames_in_order(&reader, 60);
            let counters = reader.stream.counters();
            // What was decoded was delivered, is waiting, or is counted.
            let missing = counters.received
                - counters.analysed
                - counters.dropped_overwritten
                - counters.dropped_undated
                - counters.dropped_corrupt;
            assert!(missing <= 2, "{codec:?} {wrong:?}: {counters:?}");
            assert_eq!(counters.reconnects, 0, "{codec:?} {wrong:?}");
            let told = format!("{codec:?}, {b_pictures} B pictures, {wrong:?}");
            let steps = steps(&reader);
            assert!(
                shortened(&frames) <= counters.times_wrong + steps,
                "{told}: {counters:?}"
            );
            // Parser and decoder mend the others, if there are any.
            if wrong == WrongTimes::Swapped {
                let last = &frames[frames.len() - 1];
                assert_eq!(
                    last.time_quality,
                    TimeQuality::Unknown,
                    "{told}: {counters:?}"
                );
            }
            // And time goes on as it does for the camera, which a busy machine may hold up.
            let (first, last) = (&frames[0], &frames[frames.len() - 1]);
            let took = last.time.since(first.time).0;
            let meant = (last.number - first.number) as f64 * 0.04;
            let most = begun.elapsed().as_secs_f64() + 2.0;
            assert!(
                took < most && (took > meant - 0.3 || steps > 0),
                "{told}: {took} s for {meant} s"
            );
        }
    }
}

/// So far.
fn steps(reader: &Reader) -> u64 {
    let is_step = |notice: &Notice| matches!(notice, Notice::ClockStep { .. });
    reader.stream.notices().try_iter().filter(is_step).count() as u64
}

#[test]
fn a_camera_clock_that_is_set_back_a_little_is_told() {
    for codec in [ClipCodec::H264, ClipCodec::H265] {
        for by_ms in [200, 1_000] {
            let camera = gate(TestPattern {
                codec,
                ..TestPattern::default()
            });
            let behaviour = camera.behaviour("gate").unwrap();
            behaviour.wrong_times(Some(WrongTimes::SetBack(by_ms)));
            let reader = Reader::start(settings(&camera.url("gate")));
            // Two seconds before, and as many after.
            let mut frames = vec![reader.frame()];
            while frames[frames.len() - 1].number < 100 {
                frames.push(reader.frame());
            }
            let counters = reader.stream.counters();
            let told = format!("{codec:?}, {by_ms} ms: {counters:?}");
            assert_eq!(
                (counters.times_wrong, counters.reconnects),
                (1, 0),
                "{told}"
            );
            let steps = steps(&reader);
            assert!(steps >= 1, "{told}");
            assert!(shortened(&frames) <= steps, "{told}");
        }
    }
}

/// What encodes anew decides from scene to scene how many B pictures there are: none in
/// the first seconds says nothing of later.
#[test]
fn an_encoder_that_begins_with_b_pictures_later_is_no_clock_that_was_set() {
    for codec in [ClipCodec::H264, ClipCodec::H265] {
        let pattern = |b_pictures| TestPattern {
            codec,
            b_pictures,
            fps: 12,
            pictures: 60,
            ..TestPattern::default()
        };
        let (without, with) = (clip(pattern(0)), clip(pattern(2)));
        let camera = serve(vec![Mount {
            playlist: vec![without.clone(), with],
            ..Mount::new("gate", without)
        }]);
        let reader = Reader::start(settings(&camera.url("gate")));
        let frames = frames_in_order(&reader, 100);
        let counters = reader.stream.counters();
        let told = format!("{codec:?}: {counters:?}");
        assert_eq!(
            (counters.times_wrong, counters.reconnects),
            (0, 0),
            "{told}"
        );
        assert_eq!(steps(&reader), 0, "{told}");
        for pair in frames.windows(2) {
            let interval = pair[1].time.since(pair[0].time).0;
            let meant = (pair[1].number - pair[0].number) as f64 / 12.0;
            assert!(
                (interval - meant).abs() < 0.01,
                "{interval} s for {meant} s, {told}"
            );
        }
    }
}

#[test]
fn a_camera_that_begins_its_timestamps_anew_is_connected_to_again() {
    const HOUR: u32 = 3_600 * 90_000;
    // On by an hour, and back again.
    for (before, after) in [(0, HOUR), (HOUR, 0)] {
        let camera = gate(TestPattern::default());
        let behaviour = camera.behaviour("gate").unwrap();
        behaviour.shift_rtp_times(before);
        let reader = Reader::start(settings(&camera.url("gate")));
        let last = frames_in_order(&reader, 30).pop().unwrap();
        behaviour.shift_rtp_times(after);
        let deadline = Instant::now() + PATIENCE;
        while reader.stream.counters().reconnects == 0 {
            assert!(Instant::now() < deadline, "nothing was noticed");
            assert!(reader.frame().time.since(last.time).0 < 600.0);
        }
        // On the clock of before, as far as a new connection can know it.
        let begun = Instant::now();
        let frames = frames_in_order(&reader, 30);
        let (first, end) = (&frames[0], &frames[29]);
        assert!((0.0..600.0).contains(&first.time.since(last.time).0));
        let took = end.time.since(first.time).0;
        let most = begun.elapsed().as_secs_f64() + 2.0;
        assert!((1.0..most).contains(&took), "30 pictures took {took} s");
    }
}

#[test]
fn timestamps_and_sequence_numbers_wrap_around_without_notice() {
    for transport in [Transport::Tcp, Transport::Udp] {
        let camera = serve(vec![Mount {
            script: Script {
                // Both wrap within the first seconds, each at another time.
                rtp_begins: Some((u32::MAX - 150_000, u16::MAX - 60)),
                ..Script::default()
            },
            ..Mount::new("gate", clip(TestPattern::default()))
        }]);
        let reader = Reader::start(RtspSettings {
            transport,
            ..settings(&camera.url("gate"))
        });
        let frames = frames_in_order(&reader, 125);
        for pair in frames.windows(2) {
            let interval = pair[1].time.since(pair[0].time).0;
            let meant = (pair[1].number - pair[0].number) as f64 * 0.04;
            assert!(
                (interval - meant).abs() < 0.01,
                "{interval} s for {meant} s"
            );
        }
        let counters = reader.stream.counters();
        assert_eq!(
            (counters.reconnects, counters.packet_gaps),
            (0, 0),
            "{counters:?}"
        );
        assert_eq!(steps(&reader), 0);
    }
}

#[test]
fn another_codec_after_a_reconnect_is_read_as_what_it_is() {
    let camera = gate(TestPattern::default());
    let (address, url) = (camera.address(), camera.url("gate"));
    let reader = Reader::start(settings(&url));
    assert_eq!(reader.connected().0, "H.264");
    camera.stop();
    for (codec, name) in [
        (ClipCodec::H265, "H.265"),
        (ClipCodec::Mjpeg, "MJPEG"),
        (ClipCodec::H264, "H.264"),
    ] {
        let pattern = TestPattern {
            codec,
            width: 640,
            height: 360,
            ..TestPattern::default()
        };
        let camera = Camera::start(CameraSettings {
            listen: address,
            ..CameraSettings::loopback(vec![Mount::new("gate", clip(pattern))])
        })
        .unwrap();
        assert_eq!(reader.connected(), (name.to_owned(), (640, 360)));
        frames_in_order(&reader, 10);
        camera.stop();
    }
}

/// Somebody changes the encoder's settings, and the camera sends on in the session that
/// there is.
#[test]
fn another_codec_in_the_same_session_is_said_and_read_at_once_and_another_size_just_read() {
    for is_watched in [true, false] {
        let camera = gate(TestPattern::default());
        let reader = Reader::start(RtspSettings {
            is_watched,
            keep: Some(RingLimits {
                seconds: 10.0,
                bytes: 16 << 20,
                album: None,
            }),
            // No slow machine is a silent camera here.
            connect_within: PATIENCE,
            silent_after: PATIENCE,
            ..settings(&camera.url("gate"))
        });
        assert_eq!(reader.connected().0, "H.264");
        for (codec, name) in [(ClipCodec::H265, "H.265"), (ClipCodec::H264, "H.264")] {
            let pattern = |width, height| TestPattern {
                codec,
                width,
                height,
                ..TestPattern::default()
            };
            let reconnects = reader.stream.counters().reconnects;
            camera.retune("gate", clip(pattern(640, 360)));
            let (reason, message, retry_in) = reader.lost();
            assert_eq!(reason, LossReason::CodecChanged, "{message}");
            assert!(message.contains(&format!("now {name}")), "{message}");
            // Twice in a few seconds is a camera that says one thing and does another.
            let most = if reconnects == 0 { 0 } else { 250 };
            assert!(retry_in <= Duration::from_millis(most), "{retry_in:?}");
            assert_eq!(reader.connected(), (name.to_owned(), (640, 360)));
            if is_watched {
                frames_in_order(&reader, 10);
                camera.retune("gate", clip(pattern(320, 180)));
                let smaller = Notice::PictureChanged {
                    width: 320,
                    height: 180,
                };
                reader.wait_for("another size", |notice| (*notice == smaller).then_some(()));
                frames_in_order(&reader, 10);
            }
            assert_eq!(reader.stream.counters().reconnects, reconnects + 1);
        }
    }
}

/// Encoders behind analogue cameras send two fields in one picture. It is taken as it
/// is, and said: half of the rows would be made up otherwise.
#[test]
fn interlaced_pictures_are_read_whole_and_known_as_such() {
    edge_video::init().unwrap();
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("clip.mkv");
    let line = "videotestsrc num-buffers=100 pattern=smpte horizontal-speed=4 \
        ! video/x-raw,format=I420,width=720,height=576,framerate=50/1 \
        ! interlace field-pattern=1:1 ! x264enc interlaced=true speed-preset=ultrafast \
        key-int-max=25 sliced-threads=false ! h264parse ! matroskamux ! filesink name=file";
    let pipeline = gst::parse::launch(line).unwrap();
    let pipeline = pipeline.downcast::<gst::Pipeline>().unwrap();
    let file = pipeline.by_name("file").unwrap();
    file.set_property("location", &path);
    pipeline.set_state(gst::State::Playing).unwrap();
    let over = [gst::MessageType::Eos, gst::MessageType::Error];
    let within = gst::ClockTime::try_from(PATIENCE).unwrap();
    let end = pipeline.bus().unwrap().timed_pop_filtered(within, &over);
    assert_eq!(end.unwrap().type_(), gst::MessageType::Eos);
    pipeline.set_state(gst::State::Null).unwrap();

    let camera = serve(vec![Mount::new("gate", Clip::load(&path).unwrap())]);
    let reader = Reader::start(RtspSettings {
        connect_within: PATIENCE,
        silent_after: PATIENCE,
        ..settings(&camera.url("gate"))
    });
    assert_eq!(reader.connected().1, (720, 576));
    for frame in frames_in_order(&reader, 30) {
        assert_eq!((frame.width, frame.height), (720, 576));
        assert!(frame.is_interlaced(), "{frame:?}");
    }
    let counters = reader.stream.counters();
    assert_eq!(
        (counters.decode_errors, counters.dropped_corrupt),
        (0, 0),
        "{counters:?}"
    );
}
