//! Decoders as the makers of boards bring them: they do not call themselves hardware, or
//! give their pictures where the processor does not read.
//!
//! No such board is here: these are bins around libav that say of themselves what the
//! makers' own listings say. Whether a real one is well, only such a box can tell.

#![allow(clippy::unwrap_used)] // a test may panic; its steps live in plain functions

#[macro_use]
mod drivers;

use std::sync::atomic::Ordering;

use drivers::{
    Fault, Reader, Registered, Stuck, camera, impatient, is_software, losses, out_of_nvmm, settings,
};
use edge_video::{ClipReader, Family, Notice};
use gstreamer::prelude::*;
use protocol::EventTime;
use rtsp_camera::TestPattern;

faulty_decoder!(
    plain,
    "NgatuPlainDecoder",
    Fault::None,
    "Codec/Decoder/Video"
);
faulty_decoder!(
    plain_green,
    "NgatuPlainGreenDecoder",
    Fault::Green(0),
    "Decoder/Video"
);
faulty_decoder!(
    plain_green_later,
    "NgatuPlainGreenLaterDecoder",
    Fault::Green(40),
    "Codec/Decoder/Video"
);
faulty_decoder!(
    plain_hangs,
    "NgatuPlainHangsDecoder",
    Fault::Hangs(gst::StateChange::ReadyToPaused, 1),
    "Codec/Decoder/Video"
);
faulty_decoder!(
    elsewhere,
    "NgatuElsewhereDecoder",
    Fault::Elsewhere,
    "Codec/Decoder/Video"
);
faulty_decoder!(
    fetched,
    "NgatuFetchedDecoder",
    Fault::Elsewhere,
    "Codec/Decoder/Video"
);
faulty_decoder!(disagrees, "NgatuDisagreesDecoder", Fault::Disagrees(1));

/// Once such a one was software: taken without a sample, and its garbage was the stream's.
#[test]
fn a_driver_that_does_not_call_itself_hardware_is_proved_and_given_up_like_any() {
    {
        let registered = Registered::new("mpptestgreendec", plain_green::Decoder::static_type());
        let camera = camera();
        let mut reader = Reader::start(settings(&camera));
        reader.connected_with(is_software);
        let refused = reader.why_refused(&registered);
        assert!(refused.contains("not as encoded"), "{refused}");
    }
    let registered = Registered::new("mpptestlaterdec", plain_green_later::Decoder::static_type());
    let camera = camera();
    let mut reader = Reader::start(settings(&camera));
    reader
        .connected_with(|decoder| decoder.name == registered.name && decoder.family == Family::Mpp);
    reader.connected_with(is_software);
    let said = reader.why_rejected(&registered);
    assert!(said.contains("makes green pictures"), "{said}");
    let blamed = |notice: &Notice| matches!(notice, Notice::Garbage { .. });
    assert!(!reader.heard.iter().any(blamed), "{:?}", reader.heard);
}

/// Once the camera was connecting for ever.
#[test]
fn a_driver_that_does_not_call_itself_hardware_and_hangs_is_given_up() {
    let registered = Registered::new("mpptesthangdec", plain_hangs::Decoder::static_type());
    let _stuck = Stuck::new();
    let camera = camera();
    let mut reader = Reader::start(impatient(&camera));
    reader.connected_with(is_software);
    let said = reader.why_rejected(&registered);
    assert!(said.contains("hangs while it is started"), "{said}");
}

/// A case's stills and a replay are to be the same on each machine.
#[test]
fn recordings_are_not_given_to_a_driver_whatever_it_calls_itself() {
    let registered = Registered::new("mpptestclipdec", plain::Decoder::static_type());
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("clip.mkv");
    TestPattern::default().write(&path).unwrap();
    let mut clip = ClipReader::open(&path, EventTime::from_micros(0)).unwrap();
    for _ in 0..5 {
        clip.next_frame().unwrap().unwrap();
    }
    assert_eq!(plain::MADE.load(Ordering::Relaxed), 0);
    // A camera's pictures are: it is well.
    let camera = camera();
    let mut reader = Reader::start(settings(&camera));
    reader.connected_by(&registered);
}

/// Once it was built in, agreed with nothing behind it, and no camera was ever watched.
#[test]
fn pictures_that_lie_in_a_devices_memory_are_fetched_or_the_decoder_is_passed_over() {
    {
        let registered = Registered::new("nvv4l2testdec", elsewhere::Decoder::static_type());
        let camera = camera();
        let mut reader = Reader::start(settings(&camera));
        reader.connected_with(is_software);
        let refused = reader.why_refused(&registered);
        let words = ["memory:NVMM only", "install", "nvvidconv"];
        let has_all = words.iter().all(|word| refused.contains(word));
        assert!(has_all, "{refused}");
        assert!(losses(&reader).is_empty(), "{:?}", reader.heard);
    }
    let registered = Registered::new("nvv4l2testfetcheddec", fetched::Decoder::static_type())
        .beside("nvvidconv", out_of_nvmm::Changer::static_type());
    let camera = camera();
    let mut reader = Reader::start(settings(&camera));
    reader.connected_with(|decoder| {
        decoder.name == registered.name && decoder.family == Family::Nvv4l2
    });
    // Each is looked at for its colours on the way.
    reader.read_until("pictures", |_, counters| counters.received >= 10);
    assert!(losses(&reader).is_empty(), "{:?}", reader.heard);
}

/// Once the camera was said to answer what cannot be read, for ever.
#[test]
fn a_decoder_that_agrees_with_nothing_behind_it_is_given_up() {
    let registered = Registered::new("vatestdisagreesdec", disagrees::Decoder::static_type());
    let camera = camera();
    let mut reader = Reader::start(settings(&camera));
    reader.connected_with(is_software);
    let said = reader.why_rejected(&registered);
    assert!(said.contains("nothing takes its pictures"), "{said}");
    let message = reader.lost_its_decoder();
    assert!(
        message.contains("another one is tried at once"),
        "{message}"
    );
}
