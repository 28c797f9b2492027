//! What is left out before the decoder, and that nothing is missed by it.

#![allow(clippy::unwrap_used)] // a test may panic; its steps live in plain functions

mod support;

use std::time::{Duration, Instant};

use edge_video::{Diet, Frame, RtspSettings};
use gstreamer as gst;
use gstreamer::prelude::*;
use rtsp_camera::{Clip, ClipCodec, Mount, TestPattern};
use support::{PATIENCE, Reader, gate, serve, settings};

/// Takes frames until `is_enough`.
fn read_until(reader: &Reader, what: &str, mut is_enough: impl FnMut(Option<&Frame>) -> bool) {
    let deadline = Instant::now() + PATIENCE;
    loop {
        let frame = reader.stream.take_newest();
        if is_enough(frame.as_ref()) {
            return;
        }
        assert!(
            Instant::now() < deadline,
            "never {what}: {:?}",
            reader.stream.counters()
        );
        if frame.is_none() {
            reader.woken.recv_timeout(Duration::from_millis(20)).ok();
        }
    }
}

#[test]
fn an_idle_stream_is_decoded_by_the_second_and_wakes_at_once() {
    for codec in [ClipCodec::H264, ClipCodec::H265] {
        let camera = gate(TestPattern {
            codec,
            is_moving: false,
            ..TestPattern::default()
        });
        let reader = Reader::start(settings(&camera.url("gate")));
        reader.connected();
        reader.stream.set_diet(Diet::KeyFrames);
        read_until(&reader, "asleep", |_| reader.stream.is_asleep());
        let (before, began) = (reader.stream.counters(), Instant::now());
        let mut last: Option<Frame> = None;
        read_until(&reader, "100 left out", |frame| {
            if let (Some(frame), Some(last)) = (frame, &last) {
                // One key picture a second, numbered as if all had been decoded.
                let seconds = frame.time.since(last.time).0;
                assert!((0.9..1.1).contains(&seconds), "{codec:?} {seconds} s");
                assert_eq!(frame.number, last.number + 25, "{codec:?}");
            }
            last = frame.cloned().or(last.take());
            reader.stream.counters().left_out_idle >= before.left_out_idle + 100
        });
        let decoded = reader.stream.counters().received - before.received;
        assert!(
            decoded <= 7,
            "{codec:?}: {decoded} in {:?}",
            began.elapsed()
        );

        // In the middle of a second: what was kept since the key picture comes now.
        let key = reader.frame();
        std::thread::sleep(Duration::from_millis(500));
        let received = reader.stream.counters().received;
        reader.stream.set_diet(Diet::All);
        let woken = Instant::now();
        let mut newest = key.clone();
        read_until(&reader, "awake", |frame| {
            newest = frame.cloned().unwrap_or_else(|| newest.clone());
            reader.stream.counters().received >= received + 10
        });
        assert!(
            woken.elapsed() < Duration::from_millis(400) || newest.number < key.number + 25,
            "{codec:?}: after {:?}, {newest:?}",
            woken.elapsed()
        );
        // All of them, in their order.
        read_until(&reader, "whole", |_| {
            reader.stream.counters().received >= received + 60
        });
        assert_eq!(reader.stream.counters().decode_errors, 0, "{codec:?}");
        assert_eq!(reader.stream.counters().dropped_corrupt, 0, "{codec:?}");
    }
}

/// A chess board that stands or moves, without noise, as an encoder of constant
/// quality sends it.
fn board(speed: i32) -> Clip {
    edge_video::init().unwrap();
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("clip.mkv");
    let pipeline = gst::parse::launch(&format!(
        "videotestsrc num-buffers=100 pattern=checkers-8 horizontal-speed={speed} ! \
         video/x-raw,format=I420,width=320,height=240,framerate=25/1 ! \
         x264enc pass=quant quantizer=24 speed-preset=ultrafast bframes=0 key-int-max=25 \
         sliced-threads=false ! h264parse ! matroskamux ! filesink name=file"
    ))
    .unwrap()
    .downcast::<gst::Pipeline>()
    .unwrap();
    let file = pipeline.by_name("file").unwrap();
    file.set_property("location", &path);
    pipeline.set_state(gst::State::Playing).unwrap();
    let end = pipeline.bus().unwrap().timed_pop_filtered(
        gst::ClockTime::from_seconds(30),
        &[gst::MessageType::Eos, gst::MessageType::Error],
    );
    pipeline.set_state(gst::State::Null).unwrap();
    assert_eq!(end.unwrap().type_(), gst::MessageType::Eos);
    Clip::load(&path).unwrap()
}

#[test]
fn what_moves_wakes_by_the_size_of_its_pictures() {
    let camera = serve(vec![Mount {
        playlist: vec![board(0), board(3)],
        ..Mount::new("gate", board(0))
    }]);
    let reader = Reader::start(settings(&camera.url("gate")));
    reader.connected();
    // Nobody takes it back.
    reader.stream.set_diet(Diet::KeyFrames);
    for _ in 0..2 {
        read_until(&reader, "asleep", |_| reader.stream.is_asleep());
        read_until(&reader, "awake", |_| !reader.stream.is_asleep());
    }
    let counters = reader.stream.counters();
    assert!(counters.left_out_idle > 0, "{counters:?}");
    assert_eq!(counters.decode_errors, 0, "{counters:?}");
}

#[test]
fn streams_whose_key_pictures_are_no_heartbeat_are_decoded_whole() {
    for pattern in [
        TestPattern {
            b_pictures: 2,
            ..TestPattern::default()
        },
        // A key picture each 2.5 s.
        TestPattern {
            fps: 10,
            pictures: 50,
            key_distance: Some(25),
            ..TestPattern::default()
        },
    ] {
        let camera = gate(pattern);
        let reader = Reader::start(settings(&camera.url("gate")));
        reader.connected();
        reader.stream.set_diet(Diet::KeyFrames);
        let received = reader.stream.counters().received;
        read_until(&reader, "60 more", |_| {
            reader.stream.counters().received >= received + 60
        });
        let counters = reader.stream.counters();
        assert_eq!(counters.left_out_idle, 0, "{pattern:?}");
        assert!(!reader.stream.is_asleep());
    }
}

#[test]
fn pictures_that_nobody_refers_to_are_left_out_where_fewer_are_wanted() {
    for codec in [ClipCodec::H264, ClipCodec::H265] {
        let camera = gate(TestPattern {
            codec,
            b_pictures: 2,
            ..TestPattern::default()
        });
        let reader = Reader::start(RtspSettings {
            analysed_fps: Some(4.0),
            ..settings(&camera.url("gate"))
        });
        reader.connected();
        let counters = reader.counts("left out", |c| c.left_out_unreferenced >= 40);
        // The rate that was asked for is kept, and no picture is spoilt.
        let so_far = counters;
        let counters = reader.counts("10 s more", |c| {
            c.received + c.left_out_unreferenced
                >= so_far.received + so_far.left_out_unreferenced + 250
        });
        let kept =
            (counters.received - counters.dropped_rate) - (so_far.received - so_far.dropped_rate);
        assert!(
            (38..=42).contains(&kept),
            "{codec:?}: {kept} in 10 s, {counters:?}"
        );
        assert_eq!(counters.decode_errors, 0, "{codec:?}");
    }
}
