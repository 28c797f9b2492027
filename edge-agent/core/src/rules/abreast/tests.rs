use std::fmt::Write as _;

use expect_test::expect;

use crate::rules::testing::check;

const RULE: &str = r#"kind = "abreast"
zone = "road"
direction = [[0.1, 0.5], [0.9, 0.5]]"#;

/// Motorcycles that ride from x = 15 on; each by its y and how far ahead it is.
fn ride(riders: &[(f64, f64)], metres: f64) -> String {
    let mut story = String::new();
    for (index, (y, ahead)) in riders.iter().enumerate() {
        for (t, x) in [(0.0, 15.0), (9.0, 15.0 + metres)] {
            writeln!(story, "{t} motorcycle#{} at {},{y}", index + 1, x + ahead).unwrap();
        }
    }
    story
}

#[test]
fn three_side_by_side() {
    let story = ride(&[(20.0, 0.0), (21.5, 0.5), (23.0, -0.3)], 60.0);
    check(
        RULE,
        &story,
        &expect![[r#"
            abreast starts (revision 1): motorcycle#1 and motorcycle#2 and motorcycle#3 since 0.4 until 5.4, decided at 5.4
                row: 3.0 >= 3.0 [5.4 to 5.4]
                lasts: 5.0 >= 5.0 s [0.4 to 5.4]
                others: 0.0 <= 2.0 [5.4 to 5.4]
                drives: 24.0 >= 8.0 km/h [5.4 to 5.4]
                class: "motorcycle" = "motorcycle, bicycle" [0.0 to 5.4]
                class_share: 1.0 >= 0.5 [0.0 to 5.4]
                pictures of 0.4, 5.4
        "#]],
    );
}

#[test]
fn silent_stories() {
    for story in [
        ride(&[(20.0, 0.0), (21.5, 0.5)], 60.0),
        // One behind the other; far apart; waiting.
        ride(&[(20.0, 0.0), (20.2, 4.0), (20.4, 8.0)], 60.0),
        ride(&[(20.0, 0.0), (25.0, 0.0), (30.0, 0.0)], 60.0),
        ride(&[(20.0, 0.0), (21.5, 0.5), (23.0, -0.3)], 0.5),
        // In the crowd.
        ride(
            &[
                (20.0, 0.0),
                (21.5, 0.5),
                (23.0, -0.3),
                (28.0, 5.0),
                (33.0, 9.0),
                (38.0, 2.0),
            ],
            60.0,
        ),
    ] {
        check(RULE, &story, &expect![[""]]);
    }
}
