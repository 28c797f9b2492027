//! Rules of certain classes at certain hours: silent outside, and coverage says so.
#![allow(clippy::disallowed_methods, clippy::unwrap_used)] // any fault is the test's failure

mod support;

use edge_core::{CoverageHour, Gap, GapReason, Input, Output, Unwatched};
use protocol::units::Seconds;
use protocol::{Detection, Detections, EventTime, NormBox, ObjectClass, TimeQuality};
use support::scene;

/// A bus lane from 6:30 to 9:00 of Hanoi, on working days: the same lane is
/// anybody's at other hours.
const BUS_LANE: &str = r#"
    [[zone]]
    id = "bus-lane"
    points = [[0.2, 0.1], [0.8, 0.1], [0.8, 0.9], [0.2, 0.9]]
    [[rule]]
    id = "only-buses"
    kind = "no_entry"
    zone = "bus-lane"
    classes = ["car", "truck"]
    hours = ["06:30-09:00"]
    days = ["mon", "tue", "wed", "thu", "fri"]
    [[rule]]
    id = "no-motorcycles"
    kind = "custom"
    zone = "bus-lane"
    when = "class == 'motorcycle' && (hour >= 7 || hour == 6 && minute >= 30) && hour < 9 && !(weekday in ['sat', 'sun'])"
    for_s = 2.0
"#;

/// Somebody drives through the lane once a minute from one instant to another.
fn traffic(from: EventTime, minutes: u32, class: ObjectClass) -> Vec<Input> {
    let mut inputs = Vec::new();
    for tick in 0..minutes * 300 {
        let t = f64::from(tick) / 5.0;
        let way = (t % 60.0) / 12.0;
        let items = (way < 1.0).then_some(Detection {
            class,
            score: 0.9,
            bounds: NormBox {
                x: 0.05 + 0.8 * way,
                y: 0.4,
                width: 0.1,
                height: 0.1,
            },
        });
        inputs.push(Input::Detections(Detections {
            frame: tick.into(),
            time: from + Seconds(t),
            time_quality: TimeQuality::Media,
            aspect: 16.0 / 9.0,
            believed_from: 0.45,
            camera_motion: None,
            is_followed: false,
            items: items.into_iter().collect(),
        }));
    }
    inputs
}

/// How many events each rule made, and its hours.
fn watch(inputs: Vec<Input>) -> ([usize; 2], Vec<CoverageHour>) {
    let mut scene = scene(BUS_LANE);
    let mut out = Vec::new();
    for input in inputs {
        scene.handle(input, &mut out);
    }
    scene.handle(Input::End(EventTime::EPOCH), &mut out);
    let (mut events, mut hours) = ([0, 0], Vec::new());
    for output in out {
        match output {
            Output::Event(event) if event.revision == 1 => {
                events[usize::from(event.rule.as_str() == "no-motorcycles")] += 1;
            }
            Output::Coverage(hour) if hour.rule.as_str() == "only-buses" => hours.push(hour),
            _ => {}
        }
    }
    (events, hours)
}

#[test]
fn a_bus_lane_is_silent_outside_its_hours_and_coverage_says_so() {
    // 2026-11-26 is a Thursday; 6:20 in Hanoi is 23:20 UTC of the day before.
    let begin: EventTime = "2026-11-25T23:20:00Z".parse().unwrap();
    let (events, hours) = watch(traffic(begin, 20, ObjectClass::Car));
    // Of twenty, those from 6:30 on.
    assert_eq!(events, [10, 0]);
    let [hour] = hours.as_slice() else {
        panic!("{hours:?}")
    };
    let off = hour.unwatched_s[&Unwatched::OffSchedule];
    assert!((off - 600.0).abs() < 1.0, "{hour:?}");
    assert!((hour.watched_s - 600.0).abs() < 1.0, "{hour:?}");
}

#[test]
fn the_end_of_its_hours_ends_it() {
    let begin: EventTime = "2026-11-26T01:55:00Z".parse().unwrap();
    let (events, hours) = watch(traffic(begin, 10, ObjectClass::Truck));
    assert_eq!(events, [5, 0]);
    let off: f64 = hours
        .iter()
        .map(|hour| {
            hour.unwatched_s
                .get(&Unwatched::OffSchedule)
                .unwrap_or(&0.0)
        })
        .sum();
    assert!((off - 300.0).abs() < 1.0, "{hours:?}");
}

#[test]
fn other_classes_and_other_days_are_free() {
    let thursday: EventTime = "2026-11-26T00:00:00Z".parse().unwrap();
    let saturday: EventTime = "2026-11-28T00:00:00Z".parse().unwrap();
    for (begin, class, expected) in [
        (thursday, ObjectClass::Bus, [0, 0]),
        (thursday, ObjectClass::Car, [3, 0]),
        (thursday, ObjectClass::Motorcycle, [0, 3]),
        (saturday, ObjectClass::Car, [0, 0]),
        (saturday, ObjectClass::Motorcycle, [0, 0]),
    ] {
        let (events, _) = watch(traffic(begin, 3, class));
        assert_eq!(events, expected, "{class} on {begin}");
    }
}

#[test]
fn what_was_not_seen_before_the_first_picture_is_in_the_account_with_its_reason() {
    let begin: EventTime = "2026-11-26T00:00:00Z".parse().unwrap();
    let blind = |from: f64, to: f64| {
        Input::Gap(Gap {
            from: begin + Seconds(from),
            to: begin + Seconds(to),
            reason: GapReason::DetectorFailed,
        })
    };
    // A model that fails on every picture, until it is mended after a minute.
    let inputs = [blind(0.0, 20.0), blind(20.0, 40.0), blind(40.0, 60.0)];
    let seen = traffic(begin + Seconds(60.0), 1, ObjectClass::Car);
    let (events, hours) = watch(inputs.into_iter().chain(seen).collect());
    assert_eq!(events, [1, 0]);
    let [hour] = hours.as_slice() else {
        panic!("{hours:?}")
    };
    assert_eq!(hour.unwatched_s, [(Unwatched::DetectorFailed, 60.0)].into());
    assert!((hour.watched_s - 60.0).abs() < 1.0, "{hour:?}");
}
