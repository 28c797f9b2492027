use expect_test::expect;

use crate::rules::testing::{check, events, play, scene};

const RULE: &str = r#"
    kind = "blocking_junction"
    zone = "road"
    signal = "main"
"#;

#[test]
fn who_stands_in_the_box_during_the_cross_traffics_green_blocks_it() {
    check(
        RULE,
        "
        0.0 signal red
        0.0 car#1 at 2.0,30.0
        3.0 car#1 at 60.0,30.0
        10.0 signal green
        20.0 car#1 at 60.0,30.0
        ",
        &expect![[r#"
            blocking_junction starts (revision 1): car#1 since 2.9, decided at 14.9
                dwell: 5.0 >= 5.0 s [2.9 to 14.9]
                displacement: 1.933 <= 2.0 m [2.9 to 14.9]
                in_zone: 1.0 >= 0.9 [2.9 to 14.9]
                in_zone_at_decision: true = true [14.9 to 14.9]
                class: "car" = "motorcycle, car, bus, truck" [0.0 to 14.9]
                class_share: 1.0 >= 0.5 [0.0 to 14.9]
                cross_signal: "green" = "green" [14.9 to 14.9]
                pictures of 2.9, 12.9, 14.9
            blocking_junction is over (revision 2): car#1 since 2.9 until 20.0, dwell_s 10.1, end_reason "stream_ended", hidden_s 0.0
        "#]],
    );
}

#[test]
fn waiting_while_cross_traffic_has_red_or_nobody_knows_blocks_nobody() {
    for signal in ["0.0 signal red", "0.0 signal amber", ""] {
        let story = format!("{signal}\n0.0 car#1 at 60.0,30.0\n30.0 car#1 at 60.0,30.0");
        assert_eq!(
            events(&play(&mut scene(RULE, true), &story)).count(),
            0,
            "{signal}"
        );
    }
}

/// Beyond the edge (x = 90) only who has been in the box is in the way.
#[test]
fn a_tail_that_sticks_out_of_the_box_blocks_and_who_waits_before_it_does_not() {
    let came_out = "
        0.0 signal green
        0.0 car#1 at 60.0,30.0
        3.0 car#1 at 93.0,30.0
        15.0 car#1 at 93.0,30.0
    ";
    assert_eq!(events(&play(&mut scene(RULE, true), came_out)).count(), 2);
    let waits = "
        0.0 signal green
        0.0 car#1 at 2.0,30.0
        2.0 car#1 at 7.0,30.0
        15.0 car#1 at 7.0,30.0
    ";
    assert_eq!(events(&play(&mut scene(RULE, true), waits)).count(), 0);
}
