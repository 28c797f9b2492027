use std::fmt::Write;

use expect_test::expect;

use crate::rules::testing::{check, events, play, scene};

const RULE: &str = r#"
    kind = "queue"
    zone = "road"
    min_duration_s = 10.0
    clear_after_s = 5.0
"#;

/// Cars that drive up one behind the other and stand until the end.
fn row(cars: u32, apart: u32, until: u32) -> String {
    let mut story = String::new();
    for car in 0..cars {
        let x = 80 - apart * car;
        writeln!(story, "0.0 car#{car} at {}.0,30.0", x.saturating_sub(30)).unwrap();
        writeln!(story, "5.0 car#{car} at {x}.0,30.0").unwrap();
        writeln!(story, "{until}.0 car#{car} at {x}.0,30.0").unwrap();
    }
    story
}

#[test]
fn five_cars_that_stand_one_behind_the_other_are_a_queue() {
    check(
        RULE,
        &row(5, 7, 25),
        &expect![[r#"
        queue starts (revision 1): nobody in particular since 6.0, decided at 16.0
            duration: 10.0 >= 10.0 s [6.0 to 16.0]
            queued_vehicles: 5.0 >= 5.0 [16.0 to 16.0]
            length: 28.0 >= 0.0 m [16.0 to 16.0]
            pictures of 6.0, 16.0
        queue is over (revision 2): nobody in particular since 6.0 until 25.5, end_reason "stream_ended"
    "#]],
    );
}

#[test]
fn few_cars_and_cars_that_stand_far_apart_are_no_queue() {
    for (cars, apart) in [(4, 7), (5, 13)] {
        let out = play(&mut scene(RULE, true), &row(cars, apart, 25));
        assert_eq!(events(&out).count(), 0, "{cars} cars {apart} m apart");
    }
}
