use std::fmt::Write;

use expect_test::expect;
use proptest::prelude::*;

use crate::rules::testing::{check, check_uncalibrated, events, play, scene, told};

const RULE: &str = r#"
    kind = "red_light"
    line = "stop"
    signal = "main"
"#;

#[test]
fn over_the_line_on_red_and_on_into_the_junction() {
    check(
        RULE,
        "
        0.0 signal green
        0.0 car#1 at 12.0,30.0
        2.0 signal red
        5.0 car#1 at 62.0,30.0
        ",
        &expect![[r#"
            red_light starts (revision 1): car#1 since 3.6 until 4.1, decided at 4.1
                signal_at_crossing: "red" = "red" [3.5 to 3.6]
                red_for_at_crossing: 1.575 >= 0.5 s [3.5 to 3.6]
                clock_margin: 0.525 >= 0.0 s [3.5 to 4.1]
                behind_line_on_red: 0.75 > 0.2 m [3.5 to 3.5]
                moved_as_a_whole: 1.0 >= 0.2 [3.5 to 4.1]
                beyond_its_motion: 0.0 <= 2.5 m [3.5 to 4.1]
                travel_beyond_line: 5.25 >= 5.0 m [3.6 to 4.1]
                signal_during_travel: "red" = "red" [3.6 to 4.1]
                class: "car" = "motorcycle, car, bus, truck" [0.0 to 4.1]
                class_share: 1.0 >= 0.5 [0.0 to 4.1]
                pictures of 3.5, 3.6, 4.1
        "#]],
    );
}

/// A motorcycle waited before the line while the stream had a hole of a second,
/// and its name went to one of the cross traffic; the boxes of others that waited
/// lost and won their lower halves, and went over the line by leaps.
#[test]
fn who_waits_is_not_accused_of_where_its_name_leapt() {
    for (who, story) in [
        (
            "in a hole, to a car of the cross traffic",
            "0.0 signal red
             0.0 car#1 at 47.0,30.0
             4.0 car#1 at 47.0,30.0
             4.0 car#1 hides
             5.3 car#2 at 56.0,24.0
             5.3 car#2 is #1
             6.5 car#2 at 62.0,40.0",
        ),
        (
            "in a moment, to a place beyond",
            "0.0 signal red
             0.0 car#1 at 47.5,30.0
             4.0 car#1 at 47.5,30.0
             4.4 car#1 at 56.0,30.0
             9.0 car#1 at 56.0,30.0",
        ),
    ] {
        let out = play(&mut scene(RULE, true), story);
        assert_eq!(events(&out).count(), 0, "accused of a leap {who}");
    }
}

#[test]
fn without_calibration_the_travel_is_in_box_heights() {
    check_uncalibrated(
        RULE,
        "
        0.0 signal red
        0.0 car#1 at 42.0,30.0
        4.0 car#1 at 62.0,30.0
        ",
        &expect![[r#"
            red_light starts (revision 1): car#1 since 1.6 until 2.2, decided at 2.2
                signal_at_crossing: "red" = "red" [1.5 to 1.7]
                red_for_at_crossing: 1.6 >= 0.5 s [1.5 to 1.7]
                clock_margin: 0.6 >= 0.0 s [1.5 to 2.2]
                behind_line_on_red: 0.25 > 0.1 box heights [1.5 to 1.5]
                moved_as_a_whole: 1.0 >= 0.2 [1.5 to 2.2]
                travel_beyond_line: 1.5 >= 1.5 box heights [1.7 to 2.2]
                signal_during_travel: "red" = "red" [1.7 to 2.2]
                class: "car" = "motorcycle, car, bus, truck" [0.0 to 2.2]
                class_share: 1.0 >= 0.5 [0.0 to 2.2]
                pictures of 1.5, 1.7, 2.2
        "#]],
    );
}

/// Stories that must stay without an accusation, each with its reason: who …
const INNOCENT: &[(&str, &str)] = &[
    (
        "crosses on green",
        "0.0 signal green
         0.0 car#1 at 42.0,30.0
         4.0 car#1 at 62.0,30.0",
    ),
    (
        "crosses on amber",
        "0.0 signal amber
         0.0 car#1 at 42.0,30.0
         4.0 car#1 at 62.0,30.0",
    ),
    (
        "crosses within the grace after red began",
        "0.0 signal amber
         0.0 car#1 at 42.0,30.0
         1.8 signal red
         4.0 car#1 at 62.0,30.0",
    ),
    (
        "crosses while the signal is silent",
        "0.0 signal red
         0.0 signal silent
         0.0 car#1 at 42.0,30.0
         4.0 car#1 at 62.0,30.0",
    ),
    (
        "crosses when the last word of red is stale",
        "0.0 signal red
         0.5 signal silent
         0.0 car#1 at 42.0,30.0
         4.0 car#1 at 62.0,30.0",
    ),
    (
        "stood on the line when red began, and goes on",
        "0.0 signal green
         0.0 car#1 at 42.0,30.0
         2.0 car#1 at 50.1,30.0
         3.0 signal red
         6.0 car#1 at 50.1,30.0
         8.0 car#1 at 62.0,30.0",
    ),
    (
        "was beyond the line from the first sighting on",
        "0.0 signal red
         2.0 car#1 at 51.0,30.0
         4.0 car#1 at 62.0,30.0",
    ),
    (
        "was born on the line",
        "0.0 signal red
         2.0 car#1 at 50.1,30.0
         4.0 car#1 at 62.0,30.0",
    ),
    (
        "stops just beyond the line",
        "0.0 signal red
         0.0 car#1 at 42.0,30.0
         2.0 car#1 at 52.0,30.0
         20.0 car#1 at 52.0,30.0",
    ),
    (
        "stops beyond the line and goes on when it is green",
        "0.0 signal red
         0.0 car#1 at 42.0,30.0
         2.0 car#1 at 52.0,30.0
         6.0 car#1 at 52.0,30.0
         6.0 signal green
         8.0 car#1 at 70.0,30.0",
    ),
    (
        "creeps over the line and back again",
        "0.0 signal red
         0.0 car#1 at 42.0,30.0
         2.0 car#1 at 52.0,30.0
         4.0 car#1 at 45.0,30.0
         9.0 car#1 at 45.0,30.0",
    ),
    (
        "comes out of the junction over the line",
        "0.0 signal red
         0.0 car#1 at 70.0,30.0
         4.0 car#1 at 30.0,30.0",
    ),
    (
        "passes beside the end of the line",
        "0.0 signal red
         0.0 car#1 at 42.0,45.0
         4.0 car#1 at 62.0,45.0",
    ),
    (
        "waits while its id jumps to a car of the cross traffic",
        "0.0 signal red
         0.0 car#1 at 48.0,30.0
         2.0 car#2 at 58.0,12.0
         3.0 car#2 at 58.0,24.0
         3.0 car#1 is #2
         3.0 car#2 is #1
         4.5 car#2 at 58.0,40.0
         4.5 car#1 at 48.0,30.0",
    ),
    (
        "creeps over the line and turns along it",
        "0.0 signal red
         0.0 car#1 at 44.0,12.0
         2.0 car#1 at 51.5,12.0
         6.0 car#1 at 52.5,38.0",
    ),
    (
        "crosses on green while the camera shows an old picture of it waiting on red",
        "0.0 signal red
         3.0 frozen 8.0
         3.1 signal green
         7.0 signal red
         0.0 car#1 at 48.0,30.0
         3.0 car#1 at 48.0,30.0
         8.0 car#1 at 51.0,30.0
         9.0 car#1 at 62.0,30.0",
    ),
    (
        "crosses just after a frozen picture, whose lamps said red all the time",
        "0.0 source lamp
         0.0 signal green
         2.0 signal amber
         4.0 signal red
         7.0 frozen 12.0
         0.0 car#1 at 48.0,30.0
         12.0 car#1 at 48.0,30.0
         12.5 car#1 at 52.0,30.0
         13.5 car#1 at 66.0,30.0",
    ),
    (
        "crosses in the first moments of red, which a leap of the clock made longer",
        "0.0 source lamp
         0.0 signal green
         3.0 signal amber
         5.0 signal red
         5.2 steps 6.0
         4.0 car#1 at 27.0,30.0
         8.0 car#1 at 67.0,30.0",
    ),
    (
        "was seen by a camera whose clock nobody knows",
        "0.0 clock arrival
         0.0 signal red
         0.0 car#1 at 42.0,30.0
         4.0 car#1 at 62.0,30.0",
    ),
    (
        "was seen by a camera whose clock was not known at the crossing",
        "0.0 clock unknown
         1.8 clock rtcp
         0.0 signal red
         0.0 car#1 at 42.0,30.0
         4.0 car#1 at 62.0,30.0",
    ),
    (
        "crosses so soon after red that the clocks' difference may be why",
        "0.0 clock rtcp
         0.0 signal green
         0.4 signal red
         0.0 car#1 at 42.0,30.0
         4.0 car#1 at 62.0,30.0",
    ),
    (
        "crosses so soon before green that the clocks' difference may be why",
        "0.0 clock rtcp
         0.0 signal red
         2.4 signal green
         0.0 car#1 at 30.0,30.0
         3.0 car#1 at 70.0,30.0",
    ),
    (
        "is on foot",
        "0.0 signal red
         0.0 person#1 at 42.0,30.0
         4.0 person#1 at 62.0,30.0",
    ),
];

#[test]
fn the_innocent_are_not_accused() {
    for (who, story) in INNOCENT {
        for calibrated in [true, false] {
            let out = play(&mut scene(RULE, calibrated), story);
            assert_eq!(
                events(&out).count(),
                0,
                "accused although it {who} (calibrated: {calibrated})"
            );
        }
    }
}

#[test]
fn who_waits_at_red_and_then_drives_on_red_is_accused() {
    check(
        RULE,
        "
        0.0 signal red
        0.0 motorcycle#1 at 40.0,30.0
        2.0 motorcycle#1 at 49.0,30.0
        6.0 motorcycle#1 at 49.0,30.0
        8.0 motorcycle#1 at 62.0,30.0
        ",
        &expect![[r#"
            red_light starts (revision 1): motorcycle#1 since 6.0 until 6.8, decided at 6.8
                signal_at_crossing: "red" = "red" [1.9 to 6.1]
                red_for_at_crossing: 6.004 >= 0.5 s [1.9 to 6.1]
                clock_margin: 0.796 >= 0.0 s [1.9 to 6.8]
                behind_line_on_red: 0.475 > 0.14 m [1.9 to 1.9]
                moved_as_a_whole: 1.0 >= 0.2 [1.9 to 6.8]
                beyond_its_motion: 0.0 <= 2.5 m [1.9 to 6.8]
                travel_beyond_line: 5.175 >= 5.0 m [6.1 to 6.8]
                signal_during_travel: "red" = "red" [6.1 to 6.8]
                class: "motorcycle" = "motorcycle, car, bus, truck" [0.0 to 6.8]
                class_share: 1.0 >= 0.5 [0.0 to 6.8]
                pictures of 1.9, 6.1, 6.8
        "#]],
    );
}

#[test]
fn one_lost_word_of_the_controller_is_no_new_red() {
    // 0.8 s of silence is not stale; red has gone on since 0.0.
    check(
        RULE,
        "
        0.0 signal red
        2.2 signal silent
        3.0 signal red
        0.0 car#1 at 30.0,30.0
        4.0 car#1 at 62.0,30.0
        ",
        &expect![[r#"
            red_light starts (revision 1): car#1 since 2.2 until 2.9, decided at 2.9
                signal_at_crossing: "red" = "red" [2.2 to 2.3]
                red_for_at_crossing: 2.219 >= 0.5 s [2.2 to 2.3]
                clock_margin: 0.681 >= 0.0 s [2.2 to 2.9]
                behind_line_on_red: 0.15 > 0.06 m [2.2 to 2.2]
                moved_as_a_whole: 1.0 >= 0.2 [2.2 to 2.9]
                beyond_its_motion: 0.0 <= 2.5 m [2.2 to 2.9]
                travel_beyond_line: 5.45 >= 5.0 m [2.3 to 2.9]
                signal_during_travel: "red" = "red" [2.3 to 2.9]
                class: "car" = "motorcycle, car, bus, truck" [0.0 to 2.9]
                class_share: 1.0 >= 0.5 [0.0 to 2.9]
                pictures of 2.2, 2.3, 2.9
        "#]],
    );
}

const MARGIN: &str = r#"
    kind = "red_light"
    line = "stop"
    signal = "main"
    clock_margin_s = 1.5
"#;

#[test]
fn between_two_clocks_it_must_have_been_red_for_longer_before_and_after() {
    check(
        RULE,
        "
        0.0 clock rtcp
        0.0 signal red
        0.0 car#1 at 30.0,30.0
        4.0 car#1 at 70.0,30.0
        ",
        &expect![[r#"
            red_light starts (revision 1): car#1 since 1.8 until 2.8, decided at 2.8
                signal_at_crossing: "red" = "red" [1.7 to 1.8]
                red_for_at_crossing: 1.775 >= 0.5 s [1.7 to 1.8]
                clock_margin: 1.025 >= 1.0 s [1.7 to 2.8]
                behind_line_on_red: 0.75 > 0.2 m [1.7 to 1.7]
                moved_as_a_whole: 1.0 >= 0.2 [1.7 to 2.8]
                beyond_its_motion: 0.0 <= 2.5 m [1.7 to 2.8]
                travel_beyond_line: 10.25 >= 5.0 m [1.8 to 2.8]
                signal_during_travel: "red" = "red" [1.8 to 2.8]
                class: "car" = "motorcycle, car, bus, truck" [0.0 to 2.8]
                class_share: 1.0 >= 0.5 [0.0 to 2.8]
                pictures of 1.7, 1.8, 2.8
        "#]],
    );
    // A technician measured how far the clocks may differ.
    check(
        MARGIN,
        "
        0.0 clock arrival
        0.0 signal red
        0.0 car#1 at 30.0,30.0
        4.0 car#1 at 70.0,30.0
        ",
        &expect![""],
    );
}

#[test]
fn lamps_are_seen_by_the_cameras_own_clock_whatever_that_is() {
    check(
        RULE,
        "
        0.0 clock arrival
        0.0 source lamp
        0.0 signal green
        3.0 signal amber
        5.0 signal red
        6.0 car#1 at 30.0,30.0
        10.0 car#1 at 70.0,30.0
        ",
        &expect![[r#"
            red_light starts (revision 1): car#1 since 7.8 until 8.3, decided at 8.3
                signal_at_crossing: "red" = "red" [7.7 to 7.8]
                red_for_at_crossing: 2.175 >= 0.5 s [7.7 to 7.8]
                clock_margin: 0.525 >= 0.0 s [7.7 to 8.3]
                behind_line_on_red: 0.75 > 0.2 m [7.7 to 7.7]
                moved_as_a_whole: 1.0 >= 0.2 [7.7 to 8.3]
                beyond_its_motion: 0.0 <= 2.5 m [7.7 to 8.3]
                travel_beyond_line: 5.25 >= 5.0 m [7.8 to 8.3]
                signal_during_travel: "red" = "red" [7.8 to 8.3]
                class: "car" = "motorcycle, car, bus, truck" [6.0 to 8.3]
                class_share: 1.0 >= 0.5 [6.0 to 8.3]
                pictures of 7.7, 7.8, 8.3
        "#]],
    );
}

/// All facts of the only event, a line each.
fn facts(rule: &str, calibrated: bool, story: &str) -> String {
    let out = play(&mut scene(rule, calibrated), story);
    let told: Vec<_> = events(&out).collect();
    assert_eq!(told.len(), 1);
    let mut text = String::new();
    for (key, value) in &told[0].facts {
        let value = serde_json::to_string(value).unwrap();
        writeln!(text, "{key}: {value}").unwrap();
    }
    text
}

#[test]
fn facts_tell_what_the_lamps_showed_at_each_still_and_where_the_line_was_crossed() {
    expect![[r#"
        basis: "ground"
        class: "car"
        crossing_x: 0.5
        crossing_y: 0.582
        line: "stop"
        red_for_s: 2.175
        signal_at_crossing: "red"
        signal_before_line: "red"
        signal_confidence: 1.0
        signal_for_before_line_s: 2.1
        signal_for_further_on_s: 2.7
        signal_for_past_line_s: 2.2
        signal_further_on: "red"
        signal_group: "main"
        signal_past_line: "red"
        signal_source: "lamp"
        speed_kmh: 36.0
    "#]]
    .assert_eq(&facts(
        RULE,
        true,
        "
        0.0 source lamp
        0.0 signal green
        3.0 signal amber
        5.0 signal red
        6.0 car#1 at 30.0,30.0
        10.0 car#1 at 70.0,30.0
        ",
    ));
}

/// One event, one basis: metres where the line and the way over it are on the
/// ground, box heights where they are not, never both.
#[test]
fn distances_of_one_event_are_in_one_basis() {
    let story = "
        0.0 signal red
        0.0 car#1 at 30.0,30.0
        4.0 car#1 at 70.0,30.0
        ";
    for (calibrated, expected) in [(true, "m"), (false, "box heights")] {
        let out = play(&mut scene(RULE, calibrated), story);
        let event = events(&out).next().unwrap();
        let units: Vec<&str> = event
            .explanation
            .iter()
            .filter(|p| ["behind_line_on_red", "travel_beyond_line"].contains(&p.name.as_str()))
            .map(|p| p.unit.as_str())
            .collect();
        assert_eq!(units, [expected; 2]);
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(128))]

    /// A car that stands at the line, wherever its box jitters, is nothing.
    #[test]
    fn standing_at_the_line_is_never_an_accusation(
        place in 47.0..52.0_f64,
        jitter in prop::collection::vec(-0.18..0.18_f64, 40..120),
    ) {
        let mut story = "0.0 signal red\n".to_owned();
        for (tick, offset) in jitter.iter().enumerate() {
            let t = tick as f64 / 10.0;
            writeln!(story, "{t:.1} car#1 at {:.3},30.0", place + offset).unwrap();
        }
        let out = play(&mut scene(RULE, true), &story);
        prop_assert_eq!(events(&out).count(), 0);
    }

    /// One look that shows it somewhere else is no accusation.
    #[test]
    fn one_flickered_look_is_never_an_accusation(
        place in 44.0..49.0_f64,
        flicker in 30.0..70.0_f64,
        when in 5_u32..60,
    ) {
        let mut story = "0.0 signal red\n".to_owned();
        for tick in 0..80 {
            let x = if tick == when { flicker } else { place };
            writeln!(story, "{:.1} car#1 at {x:.3},30.0", f64::from(tick) / 10.0).unwrap();
        }
        let out = play(&mut scene(RULE, true), &story);
        prop_assert_eq!(events(&out).count(), 0);
    }

    /// A car waits, another crosses its way inside the junction, and their ids
    /// are exchanged at any instants, there and back.
    #[test]
    fn ids_that_swap_with_the_cross_traffic_accuse_nobody(
        place in 44.0..49.0_f64,
        lane in 54.0..62.0_f64,
        speed in 4.0..14.0_f64,
        swaps in prop::collection::btree_set(5_u32..60, 1..8),
    ) {
        let mut story = format!(
            "0.0 signal red\n0.0 car#1 at {place:.3},30.0\n0.0 car#2 at {lane:.3},2.0\n"
        );
        for (nth, tick) in swaps.iter().enumerate() {
            let t = f64::from(*tick) / 10.0;
            let (one, other) = if nth % 2 == 0 { (2, 1) } else { (1, 2) };
            writeln!(story, "{t:.1} car#1 is #{one}\n{t:.1} car#2 is #{other}").unwrap();
        }
        writeln!(
            story,
            "7.0 car#1 at {place:.3},30.0\n7.0 car#2 at {lane:.3},{:.3}",
            2.0 + 7.0 * speed.min(6.5)
        )
        .unwrap();
        let out = play(&mut scene(RULE, true), &story);
        prop_assert_eq!(events(&out).count(), 0, "{}", told(&out));
    }

    /// At some looks nobody knows whose box it is (id −1). Who drives through is
    /// accused once at most, and who turns back before 5 m never.
    #[test]
    fn looks_without_an_id_accuse_nobody_twice(
        speed in 5.0..20.0_f64,
        turns in any::<bool>(),
        lost in prop::collection::vec((1_u32..60, 1_u32..12), 0..6),
    ) {
        let mut story = "0.0 signal red\n".to_owned();
        let mut was_seen = false;
        for tick in 0..60_u32 {
            let t = f64::from(tick) / 10.0;
            let way = speed * t;
            // Farthest 2 m beyond the line, which is 20 m off; its front is 2 m ahead.
            let x = 30.0 + if turns { 22.0 - (22.0 - way).abs() } else { way };
            let is_seen = !lost.iter().any(|(from, looks)| (*from..from + looks).contains(&tick));
            if is_seen && (5.0..95.0).contains(&x) {
                writeln!(story, "{t:.1} car#1 at {x:.3},30.0").unwrap();
            } else if was_seen && !is_seen {
                writeln!(story, "{t:.1} car#1 hides").unwrap();
            }
            was_seen = is_seen;
        }
        let out = play(&mut scene(RULE, true), &story);
        let accused = events(&out).count();
        prop_assert!(accused <= 1);
        prop_assert!(!turns || accused == 0, "{}", told(&out));
    }

    /// A track that is born on the line or beyond was not seen behind it.
    #[test]
    fn who_is_born_late_is_not_accused(
        place in 50.1..58.0_f64,
        speed in 0.5..15.0_f64,
        jitter in prop::collection::vec(0.0..0.1_f64, 50),
    ) {
        let mut story = "0.0 signal red\n".to_owned();
        for (tick, offset) in jitter.iter().enumerate() {
            let t = tick as f64 / 10.0;
            let x = (place + speed * t + offset).min(97.0);
            writeln!(story, "{t:.1} car#1 at {x:.3},30.0").unwrap();
        }
        let out = play(&mut scene(RULE, true), &story);
        prop_assert_eq!(events(&out).count(), 0);
    }

    /// However it jitters on its way, who drives through is accused exactly once.
    #[test]
    fn driving_through_is_accused_once(
        speed in 5.0..20.0_f64,
        jitter in prop::collection::vec(-0.1..0.1_f64, 60),
    ) {
        let mut story = "0.0 signal red\n".to_owned();
        for (tick, offset) in jitter.iter().enumerate() {
            let t = tick as f64 / 10.0;
            let x = 30.0 + speed * t + offset;
            writeln!(story, "{t:.1} car#1 at {x:.3},30.0").unwrap();
        }
        let out = play(&mut scene(RULE, true), &story);
        prop_assert_eq!(events(&out).count(), 1);
    }
}
