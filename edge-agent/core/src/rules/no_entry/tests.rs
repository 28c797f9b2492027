use expect_test::expect;

use crate::rules::testing::{check, check_uncalibrated, events, play, scene};

const RULE: &str = r#"
    kind = "no_entry"
    zone = "zebra"
    classes = ["truck"]
"#;

#[test]
fn a_truck_that_drives_in_is_told_once_and_ends_with_leaving() {
    let story = "
        0.0 truck#1 at 20.0,25.0
        6.0 truck#1 at 38.0,25.0
        8.0 truck#1 at 50.0,25.0
        10.0 truck#1 at 38.0,25.0
        12.0 truck#1 at 38.0,25.0
        ";
    check(
        RULE,
        story,
        &expect![[r#"
        no_entry starts (revision 1): truck#1 since 3.4, decided at 4.6
            outside_before: 0.2 > 0.1 box heights [3.2 to 3.2]
            inside_now: 1.9 > 0.1 box heights [4.6 to 4.6]
            inside_for: 1.2 >= 1.0 s [3.4 to 4.6]
            way_in: 4.2 >= 4.0 m [3.2 to 4.6]
            class: "truck" = "truck" [0.0 to 4.6]
            class_share: 1.0 >= 0.5 [0.0 to 4.6]
            pictures of 3.2, 3.4, 4.6
        no_entry is over (revision 2): truck#1 since 3.4 until 6.3, end_reason "left"
    "#]],
    );
    check_uncalibrated(
        RULE,
        story,
        &expect![[r#"
        no_entry starts (revision 1): truck#1 since 3.4, decided at 4.4
            outside_before: 0.2 > 0.1 box heights [3.2 to 3.2]
            inside_now: 1.6 > 0.1 box heights [4.4 to 4.4]
            inside_for: 1.0 >= 1.0 s [3.4 to 4.4]
            way_in: 1.8 >= 1.5 box heights [3.2 to 4.4]
            class: "truck" = "truck" [0.0 to 4.4]
            class_share: 1.0 >= 0.5 [0.0 to 4.4]
            pictures of 3.2, 3.4, 4.4
        no_entry is over (revision 2): truck#1 since 3.4 until 6.3, end_reason "left"
    "#]],
    );
}

/// Stories in which nobody may be accused: who …
#[test]
fn who_did_not_enter_over_the_boundary_is_silent() {
    for (who, story) in [
        (
            "is of another class",
            "0.0 car#1 at 20.0,25.0
             6.0 car#1 at 38.0,25.0",
        ),
        (
            "was born inside",
            "0.0 truck#1 at 32.0,25.0
             6.0 truck#1 at 38.0,25.0",
        ),
        (
            "only touches the boundary",
            "0.0 truck#1 at 20.0,25.0
             3.0 truck#1 at 30.1,25.0
             9.0 truck#1 at 29.9,25.0
             12.0 truck#1 at 30.1,25.0",
        ),
        (
            "turns round at once",
            "0.0 truck#1 at 20.0,25.0
             3.0 truck#1 at 31.0,25.0
             3.6 truck#1 at 29.0,25.0
             9.0 truck#1 at 20.0,25.0",
        ),
        (
            "was hidden at the boundary",
            "0.0 truck#1 at 20.0,25.0
             2.0 truck#1 at 28.0,25.0
             2.0 truck#1 hides
             4.0 truck#1 at 34.0,25.0
             7.0 truck#1 at 39.0,25.0",
        ),
        (
            "was not watched at the boundary",
            "0.0 truck#1 at 20.0,25.0
             2.0 gap 5.0
             5.5 truck#1 at 34.0,25.0
             8.0 truck#1 at 38.0,25.0",
        ),
        (
            "took over another's id",
            "0.0 truck#1 at 20.0,25.0
             3.0 truck#1 at 26.0,25.0
             3.1 truck#1 at 35.0,25.0
             9.0 truck#1 at 36.0,25.0",
        ),
    ] {
        for calibrated in [true, false] {
            let out = play(&mut scene(RULE, calibrated), story);
            assert_eq!(
                events(&out).count(),
                0,
                "who {who} (calibrated: {calibrated})"
            );
        }
    }
}

/// Stories are played from 7:00 of Hanoi's morning on.
#[test]
fn who_is_inside_when_the_hours_begin_has_not_entered() {
    let rule = |hours: &str| format!("{RULE}\nhours = [\"{hours}\"]");
    let late = "
        55.0 truck#1 at 20.0,25.0
        59.0 truck#1 at 36.0,25.0
        70.0 truck#1 at 38.0,25.0
        ";
    for (hours, expected) in [("07:01-09:00", 0), ("07:00-09:00", 2), ("06:00-07:00", 0)] {
        let out = play(&mut scene(&rule(hours), true), late);
        assert_eq!(events(&out).count(), expected, "{hours}");
    }
}
