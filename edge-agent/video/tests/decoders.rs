//! Hardware decoders that fail as real ones do, and what becomes of the stream.
//!
//! There is no graphics card here. So decoders are registered in this process that
//! decode with libav and then do what drivers do: green pictures, pictures that
//! repeat, damaged marks, errors, nothing, and threads that never come back. GStreamer takes them for hardware, and
//! everything between camera and frame is real.

#![allow(clippy::unwrap_used)] // a test may panic; its steps live in plain functions

#[macro_use]
mod drivers;

use std::sync::atomic::Ordering;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use drivers::{
    Fault, PATIENCE, Reader, Registered, Stuck, camera, impatient, is_colourful, is_software,
    losses, settings,
};
use edge_video::{Family, Frame, LossReason, Notice, RtspSettings, probe};
use gstreamer::prelude::*;

faulty_decoder!(good, "NgatuGoodDecoder", Fault::None);
faulty_decoder!(green, "NgatuGreenDecoder", Fault::Green(0));
faulty_decoder!(green_later, "NgatuGreenLaterDecoder", Fault::Green(40));
faulty_decoder!(torn_later, "NgatuTornLaterDecoder", Fault::Torn(40));
faulty_decoder!(
    flagged_later,
    "NgatuFlaggedLaterDecoder",
    Fault::Flagged(40)
);
faulty_decoder!(error_later, "NgatuErrorLaterDecoder", Fault::Error(40));
faulty_decoder!(nv12, "NgatuNv12Decoder", Fault::Nv12);
faulty_decoder!(silent, "NgatuSilentDecoder", Fault::Silent);
faulty_decoder!(slow, "NgatuSlowDecoder", Fault::Slow(80));
faulty_decoder!(
    hangs_at_once,
    "NgatuHangsAtOnceDecoder",
    Fault::Hangs(gst::StateChange::NullToReady, 0)
);
faulty_decoder!(
    hangs_later,
    "NgatuHangsLaterDecoder",
    Fault::Hangs(gst::StateChange::NullToReady, 1)
);
faulty_decoder!(
    hangs_in_place,
    "NgatuHangsInPlaceDecoder",
    Fault::Hangs(gst::StateChange::ReadyToPaused, 1)
);

#[test]
fn hardware_that_decodes_the_sample_comes_before_software() {
    let registered = Registered::new("nvtestgooddec", good::Decoder::static_type());
    let camera = camera();
    let mut reader = Reader::start(settings(&camera));
    reader.connected_by(&registered);
    let in_use = reader.stream.decoder().unwrap();
    assert_eq!(
        (in_use.family, in_use.refused.len()),
        (Family::Nvdec, 0),
        "{in_use:?}"
    );
    let shown = probe("gate", &settings(&camera), PATIENCE).unwrap();
    assert_eq!(shown.decoder, in_use);
    // Unless the operator says otherwise.
    let forced = RtspSettings {
        decoder: "software".parse().unwrap(),
        ..settings(&camera)
    };
    Reader::start(forced).connected_with(is_software);
}

#[test]
fn pictures_whose_chroma_lies_by_turns_come_through_as_they_are() {
    let registered = Registered::new("vatestnv12dec", nv12::Decoder::static_type());
    let camera = camera();
    let mut reader = Reader::start(settings(&camera));
    reader.connected_by(&registered);
    // Each is looked at for its colours on the way.
    reader.read_until("pictures", |_, counters| counters.received >= 10);
    let shown = probe("gate", &settings(&camera), PATIENCE).unwrap();
    let frame = shown.frame;
    assert!(
        matches!(frame.view(), models::PictureView::Nv12(_)),
        "{frame:?}"
    );
    assert!(is_colourful(&frame));
}

#[test]
fn hardware_that_fails_on_the_sample_is_never_tried_on_a_camera() {
    for (name, type_, reason) in [
        (
            "vatestgreendec",
            green::Decoder::static_type(),
            "not as encoded",
        ),
        (
            "v4l2testsilentdec",
            silent::Decoder::static_type(),
            "gives 0 of 4 pictures",
        ),
    ] {
        let registered = Registered::new(name, type_);
        let camera = camera();
        let mut reader = Reader::start(settings(&camera));
        reader.connected_with(is_software);
        let refused = reader.why_refused(&registered);
        assert!(refused.contains(reason), "{refused}");
        assert_eq!(reader.stream.counters().reconnects, 0);
        // Forced, there is nothing else, and that is said.
        let forced = RtspSettings {
            decoder: name.parse().unwrap(),
            ..settings(&camera)
        };
        let (why, message) = probe("gate", &forced, PATIENCE).unwrap_err();
        assert_eq!(why, LossReason::Unsupported, "{message}");
        assert!(
            message.contains(reason) && message.contains("take `decoder` out"),
            "{message}"
        );
    }
}

#[test]
fn hardware_that_turns_to_garbage_is_replaced_and_no_garbage_comes_through() {
    for (name, type_, reason) in [
        (
            "nvtestgreendec",
            green_later::Decoder::static_type(),
            "makes green pictures",
        ),
        (
            "nvtesttorndec",
            torn_later::Decoder::static_type(),
            "makes pictures torn",
        ),
        (
            "nvtestflagdec",
            flagged_later::Decoder::static_type(),
            "makes damaged pictures",
        ),
    ] {
        let registered = Registered::new(name, type_);
        let camera = camera();
        let mut reader = Reader::start(settings(&camera));
        reader.connected_by(&registered);
        reader.connected_with(is_software);
        let said = reader.why_rejected(&registered);
        assert!(said.contains(reason), "{said}");
        let counters = reader.stream.counters();
        assert!(counters.dropped_corrupt >= 12, "{counters:?}");
        assert_eq!(counters.decoders_rejected, 1);
        let refused = reader.stream.decoder().unwrap().refused;
        assert_eq!(refused.len(), 1, "{refused:?}");
        // And it stays so.
        let before = counters.reconnects;
        reader.read_until("100 more", |_, now| now.received >= counters.received + 100);
        assert_eq!(reader.stream.counters().reconnects, before);
    }
}

#[test]
fn hardware_that_fails_twice_is_replaced() {
    let registered = Registered::new("vatesterrordec", error_later::Decoder::static_type());
    let camera = camera();
    let mut reader = Reader::start(settings(&camera));
    reader.connected_with(is_software);
    let said = reader.why_rejected(&registered);
    assert!(said.contains("failed 2 times on this stream"), "{said}");
    assert_eq!(reader.stream.counters().reconnects, 2);
}

#[test]
fn garbage_of_a_forced_decoder_is_dropped_and_told_of_the_stream() {
    let registered = Registered::new("nvtestlatedec", green_later::Decoder::static_type());
    let camera = camera();
    let mut reader = Reader::start(RtspSettings {
        decoder: registered.name.parse().unwrap(),
        ..settings(&camera)
    });
    reader.read_until("blamed", |heard, _| {
        heard.contains(&Notice::Garbage {
            what: "green pictures",
        })
    });
    reader.read_until("100 dropped", |_, now| now.garbage.green >= 100);
    let blamed = |notice: &&Notice| matches!(notice, Notice::Garbage { .. });
    assert_eq!(reader.heard.iter().filter(blamed).count(), 1);
    assert_eq!(reader.stream.counters().reconnects, 0);
}

/// Once the camera was said not to answer, and was hung up: at its sample, because its
/// time ran while the proof of it and of other cameras' was waited for; and at a later
/// start each time anew, with another thread that was left behind.
#[test]
fn hardware_that_hangs_when_it_is_started_is_no_camera_that_does_not_answer() {
    for (name, type_, made, when) in [
        (
            "vatesthangdec",
            hangs_at_once::Decoder::static_type(),
            &hangs_at_once::MADE,
            "hangs on a sample",
        ),
        (
            "nvtesthangdec",
            hangs_later::Decoder::static_type(),
            &hangs_later::MADE,
            "hangs while it is started",
        ),
    ] {
        let registered = Registered::new(name, type_);
        let _stuck = Stuck::new();
        let camera = camera();
        let mut readers = [(); 2].map(|()| Reader::start(impatient(&camera)));
        for reader in &mut readers {
            reader.connected_with(is_software);
            assert!(losses(reader).is_empty(), "{:?}", reader.heard);
            let refused = reader.why_refused(&registered);
            assert!(refused.starts_with(when), "{refused}");
        }
        // And nobody tries it again.
        let before = made.load(Ordering::Relaxed);
        Reader::start(impatient(&camera)).connected_with(is_software);
        assert_eq!(made.load(Ordering::Relaxed), before);
    }
}

/// Once that was a camera that does not answer as well, for ever.
#[test]
fn hardware_that_hangs_when_it_is_built_in_is_given_up() {
    let registered = Registered::new("v4l2testhangdec", hangs_in_place::Decoder::static_type());
    let _stuck = Stuck::new();
    let camera = camera();
    let mut reader = Reader::start(impatient(&camera));
    reader.connected_with(is_software);
    let message = reader.lost_its_decoder();
    assert!(message.contains("does not get ready"), "{message}");
    let said = reader.why_rejected(&registered);
    assert!(said.contains("hangs while it is started"), "{said}");
    // Its sample, and the one that hangs.
    assert_eq!(hangs_in_place::MADE.load(Ordering::Relaxed), 2);
}

/// Half as fast as the camera. Fifty pictures once waited before any was skipped, and
/// what came through was four seconds old.
#[test]
fn what_a_slow_decoder_makes_is_not_old_and_what_it_cannot_do_is_counted() {
    let registered = Registered::new("vatestslowdec", slow::Decoder::static_type());
    let camera = camera();
    let mut reader = Reader::start(settings(&camera));
    reader.connected_by(&registered);
    let now = || {
        let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
        i64::try_from(since.as_micros()).unwrap()
    };
    let deadline = Instant::now() + PATIENCE;
    let (mut waited, mut last) = (Vec::new(), None::<Frame>);
    while reader.stream.counters().dropped_backlog < 100 {
        let counters = reader.stream.counters();
        assert!(Instant::now() < deadline, "{counters:?}");
        reader.woken.recv_timeout(Duration::from_millis(50)).ok();
        if let Some(frame) = reader.stream.take_newest() {
            waited.push(now() - frame.time.as_micros());
            // Each tells what was skipped before it, and is numbered as if nothing were.
            if let Some(last) = last.filter(|last| last.skipped < frame.skipped) {
                let skipped = frame.skipped - last.skipped;
                assert!(frame.number > last.number + skipped, "{frame:?}, {last:?}");
            }
            last = Some(frame);
        }
    }
    assert!(last.is_some_and(|last| last.skipped > 0));
    // What is skipped is not missing.
    assert_eq!(reader.stream.counters().holes, 0);
    // Half of them: the machine may stand still for a while.
    waited.sort_unstable();
    let age_s = waited[waited.len() / 2] as f64 / 1e6;
    assert!(age_s < 2.5, "{age_s} s; {:?}", reader.stream.counters());
    assert_eq!(reader.stream.counters().reconnects, 0);
}
