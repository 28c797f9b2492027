//! Cameras and relays that begin each connection with the pictures of before, at once.

#![allow(clippy::unwrap_used)] // a test may panic; its steps live in plain functions

mod support;

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use edge_video::encoded::{AccessUnit, RingLimits};
use edge_video::{Frame, Notice, RtspSettings, Transport};
use protocol::{EventTime, TimeQuality};
use rtsp_camera::{Camera, Mount, Script, TestPattern};
use support::{Reader, clip, serve, settings};

/// From one picture to the next, s.
const PICTURE_S: f64 = 0.04;
/// What a busy machine may do to a packet, s.
const SLACK_S: f64 = 0.06;
const BURST: Duration = Duration::from_millis(1_200);
const LIMITS: RingLimits = RingLimits {
    seconds: 60.0,
    bytes: 64 << 20,
    album: None,
};

/// Its reports are an hour off, so that times are those of arrival throughout.
fn relay() -> Camera {
    let pattern = TestPattern {
        pictures: 100,
        ..TestPattern::default()
    };
    let mount = Mount {
        script: Script {
            begins_with: Some(BURST),
            ..Script::default()
        },
        ..Mount::new("gate", clip(pattern))
    };
    let camera = serve(vec![mount]);
    let behaviour = camera.behaviour("gate").unwrap();
    behaviour.clock_error_ms(3_600_000);
    camera
}

fn host_now() -> EventTime {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
    EventTime::from_micros(i64::try_from(since.as_micros()).unwrap())
}

/// When picture 0 would have been taken, by each of the next so many frames (s).
fn origins(reader: &Reader, frames: usize) -> Vec<f64> {
    let origin = |frame: Frame| {
        let age = host_now().since(frame.time).0;
        assert!((-0.05..1.0).contains(&age), "{frame:?} is {age} s old");
        assert_eq!(frame.time_quality, TimeQuality::Arrival);
        frame.time.as_micros() as f64 / 1e6 - frame.number as f64 * PICTURE_S
    };
    (0..frames).map(|_| origin(reader.frame())).collect()
}

fn spread(values: impl Iterator<Item = f64> + Clone) -> f64 {
    let most = values.clone().fold(f64::MIN, f64::max);
    most - values.fold(f64::MAX, f64::min)
}

/// All that is kept, by the clock of its newest picture.
fn kept(reader: &Reader) -> Vec<AccessUnit> {
    let ring = reader.stream.ring().unwrap();
    let clock = ring.clock_of(EventTime::from_micros(i64::MAX));
    ring.since(None, EventTime::EPOCH, clock)
}

/// Each connection "set the clock back", up to seven times; the scene was begun anew.
#[test]
fn a_connection_that_begins_with_a_burst_is_no_clock_that_was_set() {
    for transport in [Transport::Tcp, Transport::Udp] {
        let camera = relay();
        let reader = Reader::start(RtspSettings {
            transport,
            keep: Some(LIMITS),
            ..settings(&camera.url("gate"))
        });
        let mut last: Option<Frame> = None;
        for connection in 0..2 {
            let told = format!("{transport:?}, connection {connection}");
            if let Some(last) = last.take() {
                camera.disconnect_all();
                while reader.frame().connection == last.connection {}
            }
            let origins = origins(&reader, 125);
            assert!(
                spread(origins.iter().copied()) < SLACK_S,
                "{told}: {origins:?}"
            );
            last = Some(reader.frame());
        }
        for notice in reader.stream.notices().try_iter() {
            assert!(!matches!(notice, Notice::ClockStep { .. }), "{notice:?}");
        }
        let counters = reader.stream.counters();
        // All of both bursts but the last picture, or a few where a busy machine broke it.
        assert!(counters.dropped_undated >= 50, "{counters:?}");
        assert!(reader.frame().clock_steps == 0);

        // What was kept of the burst has the times at which it was taken.
        let units = kept(&reader);
        let run = units.last().unwrap().run;
        let of_run = units.iter().filter(|unit| unit.run == run);
        assert!(of_run.clone().count() > 125);
        let offset = |unit: &AccessUnit| (unit.time.as_micros() - unit.media) as f64 / 1e6;
        let spread = spread(of_run.map(offset));
        assert!(spread < SLACK_S, "{transport:?}: {spread} s");
    }
}

#[test]
fn what_is_only_kept_has_its_times_too_and_is_handed_out_once_they_are_known() {
    let camera = relay();
    let reader = Reader::start(RtspSettings {
        is_watched: false,
        keep: Some(LIMITS),
        ..settings(&camera.url("gate"))
    });
    let offset = |unit: &AccessUnit| (unit.time.as_micros() - unit.media) as f64 / 1e6;
    let ring = reader.stream.ring().unwrap();
    let mut seen: Option<u64> = None;
    let mut offsets = Vec::new();
    while offsets.len() < 60 {
        ring.wait_beyond(seen, support::PATIENCE);
        let units = kept(&reader);
        // As they were when they were handed out first.
        let new = units.iter().filter(|unit| Some(unit.number) > seen);
        offsets.extend(new.map(offset));
        seen = units.last().map(|unit| unit.number);
    }
    let spread = spread(offsets.iter().copied());
    assert!(spread < SLACK_S, "{offsets:?}");
    assert_eq!(kept(&reader)[0].number, 0, "the burst is kept");
}
