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
    check(RULE, story, &expect![[""]]);
    check_uncalibrated(RULE, story, &expect![[""]]);
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
        &expect![[""]],
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
