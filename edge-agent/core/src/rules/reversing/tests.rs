use expect_test::expect;

use crate::rules::testing::{check, check_uncalibrated};

const RULE: &str = r#"kind = "reversing"
zone = "road"
direction = [[0.1, 0.5], [0.9, 0.5]]"#;

const BACK: &str = "
    0.0 car#1 at 40.0,30.0
    3.0 car#1 at 60.0,30.0
    5.0 car#1 at 60.0,30.0
    9.0 car#1 at 52.0,30.3
";

#[test]
fn a_car_comes_stops_and_goes_back() {
    check(
        RULE,
        BACK,
        &expect![[r#"
        reversing starts (revision 1): car#1 since 5.0 until 7.1, decided at 7.1
            came_forwards: 20.0 >= 2.0 m [0.0 to 5.0]
            backwards: 4.2 >= 4.0 m [5.0 to 7.1]
            sideways: 0.157 <= 3.0 m [5.0 to 7.1]
            speed: 7.2 <= 20.0 km/h [5.0 to 7.1]
            lasts: 2.1 >= 1.5 s [5.0 to 7.1]
            in_zone: true = true [7.1 to 7.1]
            class: "car" = "car, bus, truck" [0.0 to 7.1]
            class_share: 1.0 >= 0.5 [0.0 to 7.1]
            pictures of 5.0, 7.1
    "#]],
    );
    check_uncalibrated(
        RULE,
        BACK,
        &expect![[r#"
        reversing starts (revision 1): car#1 since 5.0 until 6.6, decided at 6.6
            came_forwards: 10.0 >= 0.7 box heights [0.0 to 5.0]
            backwards: 1.6 >= 1.5 box heights [5.0 to 6.6]
            sideways: 0.06 <= 1.0 box heights [5.0 to 6.6]
            speed: 1.0 <= 2.5 box heights per s [5.0 to 6.6]
            lasts: 1.6 >= 1.5 s [5.0 to 6.6]
            in_zone: true = true [6.6 to 6.6]
            class: "car" = "car, bus, truck" [0.0 to 6.6]
            class_share: 1.0 >= 0.5 [0.0 to 6.6]
            pictures of 5.0, 6.6
    "#]],
    );
}

#[test]
fn silent_stories() {
    for story in [
        // Never seen to come forwards: it may drive against the lane.
        "0.0 car#1 at 80.0,30.0
         9.0 car#1 at 40.0,30.0",
        // Turns around.
        "0.0 car#1 at 40.0,30.0
         3.0 car#1 at 60.0,30.0
         5.0 car#1 at 62.0,24.0
         9.0 car#1 at 50.0,22.0",
        // Rolls back a little, and jitters where it stands.
        "0.0 car#1 at 40.0,30.0
         3.0 car#1 at 60.0,30.0
         5.0 car#1 at 58.5,30.0
         9.0 car#1 at 58.6,30.0",
        // Nobody saw how it got there.
        "0.0 car#1 at 40.0,30.0
         3.0 car#1 at 60.0,30.0
         3.0 gap 9.0
         9.0 car#1 at 52.0,30.0
         12.0 car#1 at 52.0,30.0",
        // On foot anybody may.
        "0.0 person#1 at 40.0,30.0
         8.0 person#1 at 60.0,30.0
         16.0 person#1 at 50.0,30.0",
    ] {
        check(RULE, story, &expect![[""]]);
    }
}
