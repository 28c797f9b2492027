//! Phones and belts: what a part that was looked at tells of the driver.

use std::fmt::Write as _;

use expect_test::expect;
use protocol::ObjectClass;

use super::{BELT, COMES, HELMET, PASSENGER, PHONE, RIDE, RIDES, cascading, check, looks};
use crate::rules::testing::{events, play, told};

#[test]
fn a_phone_in_the_drivers_hand() {
    // Frames that nobody looked at twice say nothing, whatever the detector showed.
    let phone = looks("car#1", "phone", (1.0, 0.4, 6));
    let out = play(&mut cascading(PHONE, &[]), &format!("{COMES}{phone}"));
    // The box of a classifier's answer is all of the glass: nobody knows whose hand it is.
    assert_eq!(told(&out), "");
    let phone = looks("person#2", "phone", (1.0, 0.4, 6));
    check(
        &mut cascading(PHONE, &[]),
        &format!("{RIDES}{phone}"),
        &expect![[r#"
            phone_use starts (revision 1): motorcycle#1 since 1.0 until 2.6 plate `` (no picture of it was good enough for a look at its plate, or the answer came too late), decided at 2.6
                looks_against: 5.0 >= 5.0 [1.0 to 2.6]
                height: 2.8 >= 2.0 % [1.0 to 2.6]
                drives: 27.0 >= 5.0 km/h [1.0 to 2.6]
                riders: 1.0 <= 1.0 [1.0 to 2.6]
                class: "motorcycle" = "motorcycle, car, bus, truck" [0.0 to 2.6]
                class_share: 1.0 >= 0.5 [0.0 to 2.6]
                pictures of 1.0, 2.6
            phone_use goes on (revision 2): motorcycle#1 since 1.0 until 2.6 plate `` (no picture of it was good enough for a look at its plate, or the answer came too late, finally), 
        "#]],
    );
}

/// The middle of what it was shown is above the hands, always; the phone may be in its holder at
/// the handlebar, which is in the picture as well.
#[test]
fn a_classifiers_phone_counts_only_where_all_that_it_was_shown_is_above_the_handlebar() {
    let raised = |story: &str| {
        let out = play(&mut cascading(PHONE, &[]), story);
        events(&out).filter(|event| event.revision == 1).count()
    };
    let hips = looks("person#2", "hips:phone", (1.0, 0.4, 10));
    assert_eq!(raised(&format!("{RIDES}{hips}")), 0);
    let chest = looks("person#2", "phone", (1.0, 0.4, 10));
    assert_eq!(raised(&format!("{RIDES}{chest}")), 1);
    // What cannot be told speaks for nobody either: five of ten looks between ten others.
    let between = looks("person#2", "hips:phone", (1.2, 0.4, 10));
    let five = looks("person#2", "phone", (1.0, 0.8, 5));
    assert_eq!(raised(&format!("{RIDES}{five}{between}")), 1);
    let of_driver = looks("car#1", "driver:phone", (1.0, 0.4, 6));
    assert_eq!(raised(&format!("{COMES}{of_driver}")), 1);
}

/// A detector of everything lists phones as well and shows none. Each of its frames was a look in
/// vain, so that the cascade that saw the phone in every look never had its five of ten.
#[test]
fn a_phone_that_the_detector_could_know_as_well_waits_for_the_cascade_all_the_same() {
    let raised = |story: &str| {
        let out = play(&mut cascading(PHONE, &[ObjectClass::Phone]), story);
        events(&out).filter(|event| event.revision == 1).count()
    };
    let seen = looks("person#2", "phone", (1.0, 0.4, 6));
    assert_eq!(raised(&format!("{RIDES}{seen}")), 1);
    // What the detector shows counts in frames that were looked at, and nowhere else.
    let shown = format!("{RIDES}0.0 person#2 shows phone\n");
    assert_eq!(raised(&shown), 0);
    let searched = looks("person#2", "nothing", (1.0, 0.4, 6));
    assert_eq!(raised(&format!("{shown}{searched}")), 1);
    assert_eq!(raised(&format!("{RIDES}{searched}")), 0);
}

#[test]
fn no_belt_by_a_classifier() {
    let story = |what| format!("{COMES}{}", looks("car#1", what, (1.0, 0.4, 8)));
    let raised = |least: &str, what| {
        let rule = format!("kind = \"seat_belt\"\nmin_torso_pct = {least}");
        let out = play(&mut cascading(&rule, &[]), &story(what));
        events(&out).filter(|event| event.revision == 1).count()
    };
    assert_eq!(
        [
            "driver:no_seat_belt",
            "driver:seat_belt",
            "driver:nothing",
            // Of the whole windscreen: nobody knows whose belt.
            "no_seat_belt",
        ]
        .map(|what| raised("0.5", what)),
        [1, 0, 0, 0]
    );
    // It was shown 2 % of the picture's height, half of which is the torso.
    assert_eq!(
        ["0.9", "1.5"].map(|least| raised(least, "driver:no_seat_belt")),
        [1, 0]
    );
}

/// The detector cannot say whose of two riders its helmet is; it is in the part that the
/// classifier was shown, and much smaller than that.
#[test]
fn a_helmet_or_belt_of_the_detector_within_a_classifiers_part_contradicts_it() {
    let bare = looks("person#2", "no_helmet", (1.0, 0.5, 8));
    let count = |rule, given: [ObjectClass; 2], story: &str| {
        let out = play(&mut cascading(rule, &given), story);
        events(&out).filter(|event| event.revision == 1).count()
    };
    let helmets = [ObjectClass::Helmet, ObjectClass::NoHelmet];
    let two = format!("{RIDE}{PASSENGER}{bare}");
    assert_eq!(count(HELMET, helmets, &two), 1);
    // That of the other rider lies above the part, for the most.
    for (whose, events) in [("person#2", 0), ("person#3", 1)] {
        let story = format!("{two}0.0 {whose} shows helmet\n");
        assert_eq!(count(HELMET, helmets, &story), events, "{whose}");
    }
    let belts = [ObjectClass::SeatBelt, ObjectClass::NoSeatBelt];
    let without = looks("car#1", "driver:no_seat_belt", (1.0, 0.4, 8));
    let story = format!("{COMES}{without}");
    assert_eq!(count(BELT, belts, &story), 1);
    // Between the looks it is a look for the driver of itself.
    let seen = (0..8).fold(story, |mut story, look| {
        let t = 1.0 + 0.4 * f64::from(look);
        writeln!(story, "{t:.1} car#1 shows seat_belt").unwrap();
        writeln!(story, "{:.1} car#1 lacks seat_belt", t + 0.1).unwrap();
        story
    });
    assert_eq!(count(BELT, belts, &seen), 0);
}
