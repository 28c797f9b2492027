//! Cameras, networks and hosts of all kinds, and the times that come of them.

use super::*;
use proptest::prelude::*;

/// 2026-11-18T11:06:40Z, and a monotonic clock of another origin.
const UTC: i64 = 1_795_000_000_000_000;
const MONOTONIC: i64 = 77_000_000;
const PICTURE: i64 = 40_000;
/// Pictures from the first report until the camera is believed.
const BELIEF: usize = 75;

fn timeline() -> Timeline {
    Timeline::new(Duration::from_secs(1))
}

/// A camera of 25 pictures per second: each arrives `delay` µs after it was taken.
struct Camera {
    clock_error: i64,
    reports_from: i64,
    host_error: i64,
    delay: fn(i64) -> i64,
}

const GOOD: Camera = Camera {
    clock_error: 0,
    reports_from: 50,
    host_error: 0,
    delay: |_| 30_000,
};

impl Camera {
    fn picture(&self, timeline: &mut Timeline, n: i64) -> Stamp {
        let media = n * PICTURE;
        let taken = UTC + media;
        let arrived = media + (self.delay)(n);
        let now = Now {
            monotonic: MONOTONIC + arrived,
            wall: UTC + arrived + self.host_error,
        };
        let reported = (n >= self.reports_from).then_some(taken + self.clock_error);
        timeline.packet(media, reported, now);
        timeline.stamp(media, now)
    }

    /// Times after the true one (µs), with quality, of all pictures.
    fn errors(&self, timeline: &mut Timeline, pictures: i64) -> Vec<(i64, TimeQuality)> {
        (0..pictures)
            .map(|n| {
                let stamp = self.picture(timeline, n);
                (stamp.time.as_micros() - UTC - n * PICTURE, stamp.quality)
            })
            .collect()
    }
}

#[test]
fn sender_reports_replace_arrival_without_a_jump() {
    let errors = GOOD.errors(&mut timeline(), 250);
    let believed = 50 + BELIEF;
    assert_eq!(errors[0], (30_000, TimeQuality::Arrival));
    assert_eq!(errors[believed - 1], (30_000, TimeQuality::Arrival));
    assert_eq!(errors[believed], (29_200, TimeQuality::Rtcp));
    assert_eq!(errors[249], (0, TimeQuality::Rtcp));
    assert!(
        errors
            .windows(2)
            .all(|w| (w[1].0 - w[0].0).abs() <= PICTURE / 50)
    );
}

#[test]
fn jitter_of_the_network_does_not_reach_the_times() {
    let camera = Camera {
        reports_from: i64::MAX,
        delay: |n| 30_000 + n % 7 * 9_000,
        ..GOOD
    };
    let errors = camera.errors(&mut timeline(), 300);
    assert!(
        errors.iter().all(|e| *e == (30_000, TimeQuality::Arrival)),
        "{errors:?}"
    );
}

#[test]
fn a_camera_that_lies_is_not_believed() {
    for clock_error in [-UTC, -7 * 3_600_000_000, 1_500_000, 750_000, 60_000_000] {
        let camera = Camera {
            clock_error,
            ..GOOD
        };
        let errors = camera.errors(&mut timeline(), 250);
        assert_eq!(errors[249], (30_000, TimeQuality::Arrival), "{clock_error}");
    }
}

#[test]
fn a_camera_at_the_limit_is_not_believed_by_turns() {
    let mut timeline = timeline();
    let near = Camera {
        clock_error: -600_000,
        reports_from: 0,
        ..GOOD
    };
    near.errors(&mut timeline, 100);
    let over = Camera {
        clock_error: -960_000,
        reports_from: 0,
        ..GOOD
    };
    let qualities: Vec<_> = (100..300)
        .map(|n| over.picture(&mut timeline, n).quality)
        .collect();
    assert!(
        qualities.iter().skip(20).all(|q| *q == TimeQuality::Rtcp),
        "{qualities:?}"
    );
    // Over it, with nothing but arrivals to go by.
    let wrong = Camera {
        clock_error: -1_100_000,
        ..over
    };
    let qualities: Vec<_> = (300..600)
        .map(|n| wrong.picture(&mut timeline, n).quality)
        .collect();
    assert_eq!(qualities[299], TimeQuality::Arrival);
}

#[test]
fn a_stepped_host_clock_is_told_once_and_times_go_on_from_there() {
    for host_error in [10_000_000, -10_000_000] {
        let mut timeline = timeline();
        let camera = Camera {
            reports_from: i64::MAX,
            ..GOOD
        };
        camera.errors(&mut timeline, 100);
        let stepped = Camera {
            host_error,
            ..camera
        };
        let stamps: Vec<_> = (100..200)
            .map(|n| stepped.picture(&mut timeline, n))
            .collect();
        let before = UTC + 99 * PICTURE + 30_000;
        assert_eq!(stamps[0].step_from, Some(EventTime::from_micros(before)));
        assert_eq!(stamps[0].time.as_micros(), before + PICTURE + host_error);
        assert!(stamps[1..].iter().all(|s| s.step_from.is_none()));
    }
}

#[test]
fn a_reconnect_is_no_step_and_never_goes_back() {
    let mut timeline = timeline();
    let first = Camera {
        clock_error: 200_000,
        reports_from: 0,
        ..GOOD
    };
    let last = (0..150)
        .map(|n| first.picture(&mut timeline, n))
        .last()
        .unwrap();
    timeline.reconnect();
    // At once, and now without reports: by arrival it would be earlier.
    let now = |n: i64| Now {
        monotonic: MONOTONIC + (150 + n) * PICTURE,
        wall: UTC + (150 + n) * PICTURE,
    };
    let mut before = last.time;
    for n in 0..10 {
        timeline.packet(n * PICTURE, None, now(n));
        let stamp = timeline.stamp(n * PICTURE, now(n));
        assert_eq!(stamp.step_from, None);
        assert!(stamp.time > before, "{stamp:?} after {before}");
        if n > 0 {
            // Intervals stay true within the slew.
            let interval = stamp.time.as_micros() - before.as_micros();
            assert!((interval - PICTURE).abs() <= PICTURE / 50, "{interval}");
        }
        before = stamp.time;
    }
}

/// Sent I P B B P B B …, shown I B B P …: each P comes before the two B pictures it
/// follows in time, with up to 90 ms of jitter, and is decoded later.
#[test]
fn reordered_pictures_and_jitter_keep_to_one_clock() {
    let shown = |sent: i64| match sent {
        0 => 0,
        n if n % 3 == 1 => n + 2,
        n => n - 1,
    };
    for reports_from in [0, 50] {
        let mut timeline = timeline();
        let mut stamps: Vec<Stamp> = Vec::new();
        for sent in 0..1_000 {
            let media = shown(sent) * PICTURE;
            // Sent when encoded, which is after the last picture it needs.
            let arrived = sent * PICTURE + 2 * PICTURE + sent * 7 % 10 * 9_000;
            let now = Now {
                monotonic: MONOTONIC + arrived,
                wall: UTC + arrived,
            };
            let reported = (sent >= reports_from).then_some(UTC + media);
            timeline.packet(media, reported, now);
            if sent >= 3 {
                stamps.push(timeline.stamp((sent - 3) * PICTURE, now));
            }
        }
        let changes = stamps
            .windows(2)
            .filter(|w| w[0].quality != w[1].quality)
            .count();
        assert_eq!(changes, 1, "reports from {reports_from}");
        assert_eq!(stamps[200].quality, TimeQuality::Rtcp);
        assert!(stamps.iter().all(|stamp| stamp.step_from.is_none()));
        for pair in stamps.windows(2) {
            let interval = pair[1].time.as_micros() - pair[0].time.as_micros();
            // The first seconds may still find a lesser delay.
            assert!((interval - PICTURE).abs() <= PICTURE / 50, "{interval}");
        }
        let last = stamps[996].time.as_micros();
        assert_eq!(last, UTC + 996 * PICTURE);
    }
}

#[test]
fn media_time_that_begins_anew_is_no_standstill() {
    let mut timeline = timeline();
    let last = (0..200).map(|n| GOOD.picture(&mut timeline, n)).last();
    assert!(last.is_some());
    for n in 0..200 {
        let arrived = (200 + n) * PICTURE;
        let now = Now {
            monotonic: MONOTONIC + arrived,
            wall: UTC + arrived,
        };
        timeline.packet(n * PICTURE, Some(UTC + arrived), now);
        let stamp = timeline.stamp(n * PICTURE, now);
        let error = stamp.time.as_micros() - UTC - arrived;
        assert!(error.abs() <= 1_000, "{error} µs at {n}");
    }
}

/// Once its pictures were 1 µs apart for as long as the clock had been set back,
/// and nobody was told.
#[test]
fn a_camera_clock_that_is_set_back_is_a_step_and_no_standstill() {
    for (reports_from, ahead) in [(0, 0), (0, 450_000), (i64::MAX, 0)] {
        let mut timeline = timeline();
        let camera = Camera {
            clock_error: ahead,
            reports_from,
            ..GOOD
        };
        let mut stamps: Vec<Stamp> = (0..200).map(|n| camera.picture(&mut timeline, n)).collect();
        timeline.set_back(200 * PICTURE);
        // One that was still in the decoder, and those after it.
        stamps.extend((200..400).map(|n| GOOD.picture(&mut timeline, n)));
        let told = format!("reports from {reports_from}, {ahead} µs ahead");
        for (n, stamp) in stamps.iter().enumerate() {
            assert_eq!(stamp.step_from.is_some(), n == 200, "{told}: {n}");
            assert_eq!(stamp.is_wrong, n == 200, "{told}: {n}");
            assert_ne!(stamp.quality, TimeQuality::Unknown, "{told}: {n}");
        }
        for (n, pair) in stamps.windows(2).enumerate().filter(|(n, _)| *n != 199) {
            let interval = pair[1].time.as_micros() - pair[0].time.as_micros();
            let off = (interval - PICTURE).abs();
            assert!(off <= PICTURE / 50, "{told}: {interval} at {n}");
        }
    }
}

#[test]
fn times_that_are_wrong_again_and_again_are_of_no_quality() {
    let mut timeline = timeline();
    let wrong = [100, 130, 160];
    let stamps: Vec<Stamp> = (0..400)
        .map(|n| {
            let same = i64::from(wrong.contains(&n));
            let now = Now {
                monotonic: MONOTONIC + n * PICTURE,
                wall: UTC + n * PICTURE,
            };
            let media = (n - same) * PICTURE;
            timeline.packet(media, Some(UTC + media), now);
            timeline.stamp(media, now)
        })
        .collect();
    assert_eq!(stamps.iter().filter(|stamp| stamp.is_wrong).count(), 3);
    let unknown = |stamp: &Stamp| stamp.quality == TimeQuality::Unknown;
    // From the second on, until the last but one is a hundred pictures ago.
    let ends = (
        stamps.iter().position(unknown),
        stamps.iter().rposition(unknown),
    );
    assert_eq!(ends, (Some(130), Some(229)));
    let estimate = timeline.estimate(
        400 * PICTURE,
        Now {
            monotonic: 0,
            wall: 0,
        },
    );
    assert_eq!(estimate.quality, TimeQuality::Rtcp);
}

/// A case said "± 0.03 s" while its times were still 0.4 s ahead.
#[test]
fn what_is_still_to_be_slewed_is_part_of_the_uncertainty() {
    let mut timeline = timeline();
    let ahead = Camera {
        clock_error: 400_000,
        reports_from: 0,
        ..GOOD
    };
    ahead.errors(&mut timeline, 600);
    // It sets its clock right.
    let right = Camera {
        clock_error: 0,
        ..ahead
    };
    for n in 600..1_400 {
        let stamp = right.picture(&mut timeline, n);
        let error = (stamp.time.as_micros() - UTC - n * PICTURE).abs();
        let told = timeline.disagreement().unwrap();
        assert_eq!(stamp.quality, TimeQuality::Rtcp);
        // Arrival, which it is held against, is late by the network's least delay.
        assert!(error <= told + 30_000, "{n}: {error} µs off, ± {told} told");
    }
    // The network's delay is all that is left.
    assert_eq!(timeline.disagreement(), Some(30_000));
}

#[test]
fn a_picture_without_any_packet_takes_the_hosts_time() {
    let now = Now {
        monotonic: MONOTONIC,
        wall: UTC,
    };
    let stamp = timeline().stamp(5, now);
    assert_eq!(stamp.time.as_micros(), UTC);
    assert_eq!(stamp.quality, TimeQuality::Arrival);
}

proptest! {
    /// Whatever a camera and a network do: time goes back only with a word about it.
    #[test]
    fn times_increase_between_steps(
        pictures in proptest::collection::vec(
            (-5_000_000..5_000_000_i64, 0..2_000_000_i64,
             proptest::option::of(any::<i64>()), 0..40_u8),
            1..200,
        ),
    ) {
        let mut timeline = timeline();
        let mut last: Option<EventTime> = None;
        let mut media = 0_i64;
        let mut mono = MONOTONIC;
        for (step, wait, reported, action) in pictures {
            if action == 0 {
                timeline.reconnect();
                media = 0;
            }
            media += step;
            mono += wait;
            let now = Now { monotonic: mono, wall: UTC + mono };
            if action % 3 != 1 {
                timeline.packet(media, reported, now);
            }
            let stamp = timeline.stamp(media, now);
            if let Some(last) = last {
                match stamp.step_from {
                    Some(from) => prop_assert_eq!(from, last),
                    None => prop_assert!(stamp.time > last),
                }
            }
            last = Some(stamp.time);
        }
    }
}
