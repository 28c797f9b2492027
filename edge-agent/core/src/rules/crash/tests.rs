use std::fmt::Write;

use expect_test::expect;

use crate::rules::testing::{check, events, play, scene};

const RULE: &str = r#"
    kind = "crash"
    zone = "road"
"#;

#[test]
fn two_that_come_to_rest_against_each_other_faster_than_brakes_can_are_a_crash() {
    check(
        RULE,
        "
        0.0 car#1 at 20.0,30.0
        6.0 car#1 at 60.0,30.0
        20.0 car#1 at 60.0,30.0
        2.0 car#2 at 12.0,30.0
        6.0 car#2 at 55.7,30.0
        20.0 car#2 at 55.7,30.0
        ",
        &expect![[r#"
            crash starts (revision 1): car#1 and car#2 since 6.6, decided at 8.6
                score: 0.85 >= 0.6 [6.6 to 8.6]
                both_stand_for: 1.5 >= 1.5 s [6.6 to 8.6]
                contact: 1.0 > 0.0 [8.6 to 8.6]
                in_zone: true = true [8.6 to 8.6]
                pictures of 6.6, 6.9, 7.1, 8.6
            crash is over (revision 2): car#1 and car#2 since 6.6 until 20.5, end_reason "stream_ended"
        "#]],
    );
}

/// The second brakes at 4 m/s² from 36 km/h and stops 2.5 m behind the first.
#[test]
fn who_brakes_and_stops_behind_another_has_not_crashed() {
    let mut story = String::from("0.0 car#1 at 60.0,30.0\n20.0 car#1 at 60.0,30.0\n");
    let stops_at = 60.0 - 4.0 - 2.5;
    for tenth in 0..=25_u32 {
        let t = f64::from(tenth) / 10.0;
        let x = stops_at - 12.5 + 10.0 * t - 2.0 * t * t;
        writeln!(story, "{:.1} car#2 at {x:.2},30.0", 2.0 + t).unwrap();
    }
    writeln!(story, "20.0 car#2 at {stops_at},30.0").unwrap();
    writeln!(story, "0.0 car#2 at {},30.0", stops_at - 32.5).unwrap();
    // In order of time.
    let mut lines: Vec<&str> = story.lines().collect();
    let time = |line: &str| line.split(' ').next().unwrap().parse::<f64>().unwrap();
    lines.sort_by(|a, b| time(a).total_cmp(&time(b)));
    assert_eq!(
        events(&play(&mut scene(RULE, true), &lines.join("\n"))).count(),
        0
    );
}

#[test]
fn a_sudden_stop_alone_is_no_crash() {
    let out = play(
        &mut scene(RULE, true),
        "
        0.0 car#2 at 15.0,30.0
        4.0 car#2 at 60.0,30.0
        20.0 car#2 at 60.0,30.0
        0.0 car#1 at 75.0,30.0
        20.0 car#1 at 75.0,30.0
        ",
    );
    assert_eq!(events(&out).count(), 0);
}
