use std::fmt::Write;

use expect_test::expect;

use super::facts::{Sort, facts};
use crate::input::Output;
use crate::rules::testing::{check, check_uncalibrated, events, play, scene};

mod checking;

fn rule(rest: &str) -> String {
    format!("kind = \"custom\"\nzone = \"road\"\n{rest}")
}

#[test]
fn a_fast_truck_in_the_zone_is_told_with_its_numbers() {
    check(
        &rule("when = \"class == 'truck' && speed_kmh > 30.0 && hour < 22\"\nfor_s = 2.0"),
        "
        0.0 truck#1 at 0.0,30.0
        10.0 truck#1 at 100.0,30.0
        0.0 truck#2 at 0.0,20.0
        10.0 truck#2 at 50.0,20.0
        0.0 car#3 at 0.0,25.0
        10.0 car#3 at 100.0,25.0
        ",
        &expect![[r#"
            custom starts (revision 1): truck#1 since 1.0, decided at 3.0
                held_for: 2.0 >= 2.0 s [1.0 to 3.0]
                in_zone: true = true [3.0 to 3.0]
                class: "truck" = "truck" [0.0 to 3.0]
                class_share: 1.0 >= 0.5 [0.0 to 3.0]
                class#2: "truck" = "truck" [3.0 to 3.0]
                speed_kmh: 36.0 > 30.0 km/h [3.0 to 3.0]
                hour: 7.0 < 22.0 h [3.0 to 3.0]
                pictures of 1.0, 3.0
            custom is over (revision 2): truck#1 since 1.0 until 8.9, end_reason "left"
        "#]],
    );
}

#[test]
fn who_is_not_in_the_zone_is_not_concerned_unless_the_condition_asks() {
    let story = "
        0.0 car#1 at 20.0,45.0
        3.0 car#1 at 50.0,45.0
        ";
    check(&rule("when = \"speed_kmh > 20.0\""), story, &expect![[""]]);
    check(
        &rule("when = \"!in_zone && speed_kmh > 20.0\""),
        story,
        &expect![[r#"
            custom starts (revision 1): car#1 since 0.4, decided at 1.5
                held_for: 1.1 >= 1.0 s [0.4 to 1.5]
                in_zone: false = false [1.5 to 1.5]
                speed_kmh: 36.0 > 20.0 km/h [1.5 to 1.5]
                pictures of 0.4, 1.5
            custom is over (revision 2): car#1 since 0.4 until 3.0, end_reason "stream_ended"
        "#]],
    );
}

#[test]
fn short_releases_pause_and_long_ones_end() {
    // Moving, standing for a moment, moving: 2 s of movement in all.
    let when = rule("when = \"speed_kmh > 5.0\"\nfor_s = 2.5\nrelease_s = 2.0");
    check(
        &when,
        "
        0.0 car#1 at 20.0,30.0
        2.0 car#1 at 30.0,30.0
        3.5 car#1 at 30.0,30.0
        5.5 car#1 at 40.0,30.0
        12.0 car#1 at 40.0,30.0
        13.0 car#1 at 50.0,30.0
        16.0 car#1 at 70.0,30.0
        ",
        &expect![[r#"
            custom starts (revision 1): car#1 since 0.4, decided at 4.0
                held_for: 2.5 >= 2.5 s [0.4 to 4.0]
                in_zone: true = true [4.0 to 4.0]
                speed_kmh: 7.071 > 5.0 km/h [4.0 to 4.0]
                pictures of 0.4, 4.0
            custom is over (revision 2): car#1 since 0.4 until 6.2, end_reason "left"
        "#]],
    );
    check(
        &when.replace("release_s = 2.0", "release_s = 0.2"),
        "
        0.0 car#1 at 20.0,30.0
        2.0 car#1 at 30.0,30.0
        3.5 car#1 at 30.0,30.0
        5.5 car#1 at 40.0,30.0
        ",
        &expect![[""]],
    );
}

#[test]
fn nobody_is_accused_on_what_is_unknown() {
    let story = "
        0.0 truck#1 at 10.0,30.0
        5.0 truck#1 at 80.0,30.0
        ";
    for when in [
        "speed_kmh > 1.0",
        "!(speed_kmh < 1.0)",
        "speed_kmh != 1.0",
        "!(speed_kmh < 1.0 && class == 'truck')",
        "signal.main == 'red'",
        "signal.main != 'red'",
        "!(signal['main'] in ['red', 'amber'])",
    ] {
        let out = play(
            &mut scene(&rule(&format!("when = \"{when}\"")), false),
            story,
        );
        assert_eq!(events(&out).count(), 0, "{when}");
    }
    check_uncalibrated(
        &rule("when = \"speed_kmh == null && (class == 'truck' || speed_kmh > 1.0)\""),
        story,
        &expect![[r#"
            custom starts (revision 1): truck#1 since 0.0, decided at 1.0
                held_for: 1.0 >= 1.0 s [0.0 to 1.0]
                in_zone: true = true [1.0 to 1.0]
                class: "truck" = "truck" [0.0 to 1.0]
                class_share: 1.0 >= 0.5 [0.0 to 1.0]
                condition: true = true [1.0 to 1.0]
                condition#2: true = true [1.0 to 1.0]
                pictures of 0.0, 1.0
            custom is over (revision 2): truck#1 since 0.0 until 5.0, end_reason "stream_ended"
        "#]],
    );
}

#[test]
fn a_signal_group_can_be_asked() {
    check(
        &rule("when = \"signal.main == 'red' && y < 0.7\""),
        "
        0.0 signal green
        4.0 signal red
        8.0 signal silent
        0.0 car#1 at 20.0,30.0
        12.0 car#1 at 30.0,30.0
        ",
        &expect![[r#"
            custom starts (revision 1): car#1 since 4.0, decided at 5.0
                held_for: 1.0 >= 1.0 s [4.0 to 5.0]
                in_zone: true = true [5.0 to 5.0]
                signal.main: "red" = "red" [5.0 to 5.0]
                y: 0.6 < 0.7 [5.0 to 5.0]
                pictures of 4.0, 5.0
            custom is over (revision 2): car#1 since 4.0 until 8.8, end_reason "left"
        "#]],
    );
}

#[test]
fn a_zone_has_one_event_at_a_time_and_no_actor() {
    check(
        &rule(
            "subject = \"zone\"\nwhen = \"count_car >= 2 && longest_dwell_s > 3.0 && occupancy > 0.0\"\nfor_s = 2.0",
        ),
        "
        0.0 car#1 at 20.0,30.0
        8.0 car#1 at 20.0,30.0
        1.0 car#2 at 40.0,30.0
        8.0 car#2 at 40.0,30.0
        8.0 car#2 hides
        11.0 car#1 at 20.0,30.0
        12.0 car#2 at 40.0,30.0
        20.0 car#1 at 20.0,30.0
        20.0 car#2 at 40.0,30.0
        ",
        &expect![[r#"
            custom starts (revision 1): nobody in particular since 3.1, decided at 5.2
                held_for: 2.1 >= 2.0 s [3.1 to 5.2]
                count_car: 2.0 >= 2.0 [5.2 to 5.2]
                longest_dwell_s: 5.2 > 3.0 s [5.2 to 5.2]
                occupancy: 0.014 > 0.0 [5.2 to 5.2]
                pictures of 3.1, 5.2
            custom is over (revision 2): nobody in particular since 3.1 until 7.9, end_reason "left"
            custom starts (revision 1): nobody in particular since 12.0, decided at 14.0
                held_for: 2.0 >= 2.0 s [12.0 to 14.0]
                count_car: 2.0 >= 2.0 [14.0 to 14.0]
                longest_dwell_s: 14.0 > 3.0 s [14.0 to 14.0]
                occupancy: 0.014 > 0.0 [14.0 to 14.0]
                pictures of 12.0, 14.0
            custom is over (revision 2): nobody in particular since 12.0 until 20.0, end_reason "stream_ended"
        "#]],
    );
}

#[test]
fn mean_speed_and_riders_of_a_zone() {
    check(
        &rule(
            "subject = \"zone\"\nwhen = \"mean_speed_kmh < 15.0 && count > 1\"\nclasses = [\"car\", \"motorcycle\"]",
        ),
        "
        0.0 car#1 at 20.0,30.0
        5.0 car#1 at 25.0,30.0
        0.0 motorcycle#2 at 40.0,30.0
        5.0 motorcycle#2 at 45.0,30.0
        0.0 person#3 at 60.0,30.0
        5.0 person#3 at 60.0,30.0
        ",
        &expect![[r#"
            custom starts (revision 1): nobody in particular since 0.4, decided at 1.5
                held_for: 1.1 >= 1.0 s [0.4 to 1.5]
                mean_speed_kmh: 3.6 < 15.0 km/h [1.5 to 1.5]
                count: 2.0 > 1.0 [1.5 to 1.5]
                pictures of 0.4, 1.5
            custom is over (revision 2): nobody in particular since 0.4 until 5.0, end_reason "stream_ended"
        "#]],
    );
}

#[test]
fn time_that_nobody_watched_holds_nothing() {
    for disturbance in ["2.0 gap 9.0", "2.0 frozen 9.0"] {
        let story = format!(
            "0.0 car#1 at 20.0,30.0
             {disturbance}
             14.0 car#1 at 20.0,30.0"
        );
        let out = play(
            &mut scene(&rule("when = \"class == 'car'\"\nfor_s = 10.0"), true),
            &story,
        );
        assert_eq!(events(&out).count(), 0, "{disturbance}");
    }
}

#[test]
fn a_near_miss_says_which_part_failed_by_how_much() {
    let mut scene = scene(&rule("when = \"speed_kmh > 40.0 && class == 'car'\""), true);
    scene.tell_near_misses();
    let out = play(
        &mut scene,
        "
        0.0 car#1 at 10.0,30.0
        7.0 car#1 at 80.0,30.0
        ",
    );
    let mut text = String::new();
    for output in &out {
        if let Output::NearMiss(miss) = output {
            for p in miss.explanation.iter().filter(|p| !p.holds) {
                writeln!(text, "{}: {:?} {}", p.name, p.margin, p.unit).unwrap();
            }
        }
    }
    expect![["
        speed_kmh: Some(-4.0) km/h
    "]]
    .assert_eq(&text);
}

#[test]
fn every_fact_has_a_name_with_its_unit_and_words_in_both_languages() {
    for fact in facts() {
        assert!(!fact.label.0.is_empty() && !fact.label.1.is_empty());
        if let Sort::Number { unit, min, max, .. } = fact.sort {
            assert!(min < max);
            let suffix = match unit {
                "" => "",
                "km/h" => "_kmh",
                "°" => "_deg",
                "h" => "hour",
                "min" => "minute",
                "s" => "_s",
                "m" => "_m",
                other => panic!("{other} has no suffix"),
            };
            assert!(fact.key.ends_with(suffix), "{} is in {unit}", fact.key);
        }
    }
}
