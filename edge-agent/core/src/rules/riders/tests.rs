use std::fmt::Write as _;

use expect_test::expect;

use crate::rules::testing::check;

const THREE: &str = r#"kind = "riders_three_plus"
min_height_pct = 1.0"#;
const TWO: &str = r#"kind = "riders_two"
min_height_pct = 1.0"#;

/// A motorcycle with persons at these places relative to it.
fn ride(from: f64, to: f64, riders: &[f64]) -> String {
    let mut story = String::new();
    for (t, x) in [(0.0, from), (5.0, to)] {
        writeln!(story, "{t} motorcycle#1 at {x},30.0").unwrap();
        for (index, offset) in riders.iter().enumerate() {
            writeln!(story, "{t} person#{} at {},29.6", index + 2, x + offset).unwrap();
        }
    }
    story
}

#[test]
fn three_on_a_motorcycle() {
    check(
        THREE,
        &ride(20.0, 50.0, &[-0.5, 0.0, 0.5]),
        &expect![[r#"
            riders_three_plus starts (revision 1): motorcycle#1 and person#2 and person#3 and person#4 since 0.0 until 1.4, decided at 1.4
                looks_against: 8.0 >= 8.0 [0.0 to 1.4]
                riders: 3.0 >= 3.0 [0.0 to 1.4]
                height: 2.8 >= 1.0 % [0.0 to 1.4]
                drives: 21.6 >= 5.0 km/h [0.0 to 1.4]
                class: "motorcycle" = "motorcycle" [0.0 to 1.4]
                class_share: 1.0 >= 0.5 [0.0 to 1.4]
                pictures of 0.0, 1.4
        "#]],
    );
}

#[test]
fn two_on_a_motorcycle() {
    check(
        TWO,
        &ride(20.0, 50.0, &[-0.4, 0.3]),
        &expect![[r#"
            riders_two starts (revision 1): motorcycle#1 and person#2 and person#3 since 0.0 until 1.4, decided at 1.4
                looks_against: 8.0 >= 8.0 [0.0 to 1.4]
                riders: 2.0 = 2.0 [0.0 to 1.4]
                height: 2.8 >= 1.0 % [0.0 to 1.4]
                drives: 21.6 >= 5.0 km/h [0.0 to 1.4]
                class: "motorcycle" = "motorcycle" [0.0 to 1.4]
                class_share: 1.0 >= 0.5 [0.0 to 1.4]
                pictures of 0.0, 1.4
        "#]],
    );
}

#[test]
fn silent_stories() {
    for (rule, story) in [
        (THREE, ride(20.0, 50.0, &[-0.4, 0.3])),
        (TWO, ride(20.0, 50.0, &[0.0])),
        (TWO, ride(20.0, 50.0, &[-0.5, 0.0, 0.5])),
        // A parked machine as a bench.
        (THREE, ride(20.0, 20.2, &[-0.5, 0.0, 0.5])),
    ] {
        check(rule, &story, &expect![[""]]);
    }
}

#[test]
fn a_passer_by_for_a_second_is_no_rider() {
    let story = format!(
        "{}
        1.0 person#9 at 26.3,29.7
        2.0 person#9 at 32.3,29.7
        2.1 person#9 hides",
        ride(20.0, 50.0, &[-0.4, 0.3])
    );
    check(THREE, &story, &expect![[""]]);
}
