//! What is watched by cascades, and answers that nobody asked for.

use protocol::event::FrameTime;
use protocol::{EventTime, ObjectClass};

use super::{HELMET, RIDE, ROAD_USERS, cascading};
use crate::coverage::Unwatched;
use crate::input::{Input, Output};
use crate::rules::testing::{cascades, play, scene};
use crate::scene::Scene;
use crate::second_look::{CascadeUse, Found, SecondLook};

#[test]
fn a_rule_that_only_a_cascade_feeds_is_fed() {
    let blind = |cascades: Vec<CascadeUse>| {
        let mut scene = scene(HELMET, true);
        scene.expect_classes(ROAD_USERS);
        scene.expect_second_looks(cascades);
        play(&mut scene, RIDE).iter().any(|said| match said {
            Output::Coverage(hour) => hour.unwatched_s.contains_key(&Unwatched::NoModel),
            _ => false,
        })
    };
    assert!(blind(Vec::new()));
    assert!(!blind(cascades()));
}

/// A helmet model that failed on each look left its rule "watched", hour by hour.
#[test]
fn time_in_which_a_cascade_did_not_answer_is_not_watched_by_who_rests_on_it() {
    use crate::input::{GapReason, Unanswered};
    let unwatched = |rule: &str, detector: &[ObjectClass]| {
        let mut scene = cascading(rule, detector);
        watch_an_empty_road(&mut scene);
        let stretch = Unanswered {
            cascade: protocol::id::CascadeId::new("marks").unwrap(),
            from: EventTime::EPOCH + protocol::units::Seconds(1.0),
            to: EventTime::EPOCH + protocol::units::Seconds(4.5),
            reason: GapReason::DetectorFailed,
        };
        scene.handle(Input::Unanswered(stretch), &mut Vec::new());
        let hours: Vec<_> = scene.coverage_now().collect();
        hours[0]
            .unwatched_s
            .get(&Unwatched::DetectorFailed)
            .copied()
    };
    assert_eq!(unwatched(HELMET, &[]), Some(3.5));
    // Where the detector sees heads itself the cascade only helps.
    assert_eq!(
        unwatched(HELMET, &[ObjectClass::Helmet, ObjectClass::NoHelmet]),
        None
    );
    // Nobody sees an empty hand: the rule waits for looks, whatever the detector lists.
    let phone = "kind = 'phone_use'";
    assert_eq!(unwatched(phone, &[ObjectClass::Phone]), Some(3.5));
}

/// Six seconds of an empty road, and the stream goes on.
fn watch_an_empty_road(scene: &mut Scene) {
    for tenth in 0..60_u32 {
        let detections = protocol::Detections {
            frame: u64::from(tenth),
            time: EventTime::EPOCH + protocol::units::Seconds(f64::from(tenth) / 10.0),
            time_quality: protocol::TimeQuality::Media,
            aspect: 2.0,
            believed_from: 0.45,
            camera_motion: None,
            is_followed: false,
            items: Vec::new(),
        };
        scene.handle(Input::Detections(detections), &mut Vec::new());
    }
}

#[test]
fn answers_that_count_for_nothing_are_counted() {
    let mut scene = cascading(HELMET, &[]);
    play(&mut scene, "0.0 car#1 at 20.0,30.0\n9.0 car#1 at 50.0,30.0");
    let before = scene.refused();
    let mut out = Vec::new();
    let answer = |frame, cascade: &str| SecondLook {
        at: FrameTime {
            frame,
            time: EventTime::EPOCH,
        },
        track: None,
        cascade: protocol::id::CascadeId::new(cascade).unwrap(),
        by: Vec::new(),
        main: None,
        bounds: [0.0, 0.0, 1.0, 1.0].into(),
        found: Found::Plates(Vec::new()),
    };
    scene.handle(Input::SecondLook(answer(0, "flames")), &mut out);
    scene.handle(Input::SecondLook(answer(0, "unknown")), &mut out);
    let after = scene.refused();
    assert_eq!(after.second_looks_late, before.second_looks_late + 1);
    assert_eq!(after.second_looks_unasked, before.second_looks_unasked + 1);
    assert_eq!(out, []);
}
