use expect_test::expect;

use crate::rules::testing::{check, check_uncalibrated, events, play, scene};

const RULE: &str = r#"
    kind = "emergency_lane"
    zone = "road"
"#;

#[test]
fn driving_on_the_shoulder_is_told() {
    let story = "
        0.0 car#1 at 5.0,30.0
        8.0 car#1 at 85.0,30.0
        ";
    check(
        RULE,
        story,
        &expect![[r#"
        emergency_lane starts (revision 1): car#1 since 0.6, decided at 3.6
            on_shoulder_for: 3.0 >= 3.0 s [0.6 to 3.6]
            mean_speed: 36.0 > 20.0 km/h [0.6 to 3.6]
            speed_kept: 1.0 >= 0.8 [3.6 to 3.6]
            in_zone: 1.0 >= 0.8 [0.6 to 3.6]
            class: "car" = "motorcycle, car, bus, truck" [0.0 to 3.6]
            class_share: 1.0 >= 0.5 [0.0 to 3.6]
            pictures of 0.6, 3.6
        emergency_lane is over (revision 2): car#1 since 0.6 until 8.0, end_reason "stream_ended", hidden_s 0.0
    "#]],
    );
    check_uncalibrated(
        RULE,
        story,
        &expect![[r#"
        emergency_lane starts (revision 1): car#1 since 0.6, decided at 3.6
            on_shoulder_for: 3.0 >= 3.0 s [0.6 to 3.6]
            mean_speed: 5.0 > 2.5 box heights per s [0.6 to 3.6]
            speed_kept: 1.0 >= 0.8 [3.6 to 3.6]
            in_zone: 1.0 >= 0.8 [0.6 to 3.6]
            class: "car" = "motorcycle, car, bus, truck" [0.0 to 3.6]
            class_share: 1.0 >= 0.5 [0.0 to 3.6]
            pictures of 0.6, 3.6
        emergency_lane is over (revision 2): car#1 since 0.6 until 8.0, end_reason "stream_ended", hidden_s 0.0
    "#]],
    );
}

#[test]
fn somebody_who_braked_and_then_drives_on_is_told_later() {
    check(
        RULE,
        "
        0.0 car#1 at 5.0,30.0
        1.0 car#1 at 20.0,30.0
        2.0 car#1 at 30.0,30.0
        8.0 car#1 at 80.0,30.0
        ",
        &expect![[r#"
            emergency_lane starts (revision 1): car#1 since 0.4, decided at 4.0
                on_shoulder_for: 3.6 >= 3.0 s [0.4 to 4.0]
                mean_speed: 35.667 > 20.0 km/h [0.4 to 4.0]
                speed_kept: 0.833 >= 0.8 [4.0 to 4.0]
                in_zone: 1.0 >= 0.8 [0.4 to 4.0]
                class: "car" = "motorcycle, car, bus, truck" [0.0 to 4.0]
                class_share: 1.0 >= 0.5 [0.0 to 4.0]
                pictures of 0.4, 4.0
            emergency_lane is over (revision 2): car#1 since 0.4 until 8.0, end_reason "stream_ended", hidden_s 0.0
        "#]],
    );
}

/// Stories in which nobody may be accused: who …
#[test]
fn who_does_not_drive_there_for_long_is_silent() {
    for (who, story) in [
        (
            "brakes to an emergency stop",
            "0.0 car#1 at 10.0,30.0
             1.0 car#1 at 25.0,30.0
             2.0 car#1 at 37.5,30.0
             3.0 car#1 at 47.5,30.0
             4.0 car#1 at 55.0,30.0
             5.0 car#1 at 60.0,30.0
             6.0 car#1 at 62.5,30.0
             30.0 car#1 at 62.5,30.0",
        ),
        (
            "creeps along",
            "0.0 car#1 at 10.0,30.0
             12.0 car#1 at 60.0,30.0",
        ),
        (
            "is there for two seconds",
            "0.0 car#1 at 30.0,45.0
             1.0 car#1 at 40.0,39.0
             3.0 car#1 at 60.0,39.0
             5.0 car#1 at 80.0,45.0",
        ),
        (
            "is hidden for most of it",
            "0.0 car#1 at 10.0,30.0
             1.0 car#1 at 20.0,30.0
             1.0 car#1 hides
             4.0 car#1 at 50.0,30.0
             5.0 car#1 at 60.0,30.0",
        ),
        (
            "walks",
            "0.0 person#1 at 10.0,30.0
             9.0 person#1 at 80.0,30.0",
        ),
    ] {
        let out = play(&mut scene(RULE, true), story);
        assert_eq!(events(&out).count(), 0, "who {who}");
    }
}
