use expect_test::expect;

use crate::rules::testing::{check, check_uncalibrated, events, play, scene};

/// The zone `zebra`, x from 30 to 40 and y from 10 to 40, is the sidewalk; it
/// runs up and down.
const RULE: &str = r#"
    kind = "sidewalk_driving"
    zone = "zebra"
    along = [[0.35, 0.2], [0.35, 0.8]]
"#;

#[test]
fn riding_along_the_sidewalk_is_told_either_way_and_ends_with_leaving_it() {
    let story = "
        0.0 motorcycle#1 at 35.0,5.0
        8.0 motorcycle#1 at 35.0,29.0
        12.0 motorcycle#1 at 60.0,29.0
        0.0 motorcycle#2 at 33.0,39.0
        4.0 motorcycle#2 at 33.0,20.0
        ";
    check(
        RULE,
        story,
        &expect![[r#"
        sidewalk_driving starts (revision 1): motorcycle#2 since 0.4, decided at 2.4
            on_sidewalk_for: 2.0 >= 2.0 s [0.4 to 2.4]
            along_sidewalk: 9.5 >= 5.0 m [0.4 to 2.4]
            mean_speed: 17.1 >= 6.0 km/h [0.4 to 2.4]
            in_zone: 1.0 >= 0.8 [0.4 to 2.4]
            class: "motorcycle" = "motorcycle, car, bus, truck" [0.0 to 2.4]
            class_share: 1.0 >= 0.5 [0.0 to 2.4]
            pictures of 0.4, 2.4
        sidewalk_driving starts (revision 1): motorcycle#1 since 1.7, decided at 3.7
            on_sidewalk_for: 2.0 >= 2.0 s [1.7 to 3.7]
            along_sidewalk: 6.0 >= 5.0 m [1.7 to 3.7]
            mean_speed: 10.8 >= 6.0 km/h [1.7 to 3.7]
            in_zone: 1.0 >= 0.8 [1.7 to 3.7]
            class: "motorcycle" = "motorcycle, car, bus, truck" [0.0 to 3.7]
            class_share: 1.0 >= 0.5 [0.0 to 3.7]
            pictures of 1.7, 3.7
        sidewalk_driving is over (revision 2): motorcycle#2 since 0.4 until 4.0, end_reason "lost_from_view", hidden_s 0.0
        sidewalk_driving is over (revision 2): motorcycle#1 since 1.7 until 8.7, end_reason "left", hidden_s 0.0
    "#]],
    );
    check_uncalibrated(
        RULE,
        story,
        &expect![[r#"
        sidewalk_driving starts (revision 1): motorcycle#2 since 0.4, decided at 2.4
            on_sidewalk_for: 2.0 >= 2.0 s [0.4 to 2.4]
            along_sidewalk: 6.786 >= 3.0 box heights [0.4 to 2.4]
            mean_speed: 3.393 >= 1.0 box heights per s [0.4 to 2.4]
            in_zone: 1.0 >= 0.8 [0.4 to 2.4]
            class: "motorcycle" = "motorcycle, car, bus, truck" [0.0 to 2.4]
            class_share: 1.0 >= 0.5 [0.0 to 2.4]
            pictures of 0.4, 2.4
        sidewalk_driving starts (revision 1): motorcycle#1 since 1.7, decided at 3.7
            on_sidewalk_for: 2.0 >= 2.0 s [1.7 to 3.7]
            along_sidewalk: 4.286 >= 3.0 box heights [1.7 to 3.7]
            mean_speed: 2.143 >= 1.0 box heights per s [1.7 to 3.7]
            in_zone: 1.0 >= 0.8 [1.7 to 3.7]
            class: "motorcycle" = "motorcycle, car, bus, truck" [0.0 to 3.7]
            class_share: 1.0 >= 0.5 [0.0 to 3.7]
            pictures of 1.7, 3.7
        sidewalk_driving is over (revision 2): motorcycle#2 since 0.4 until 4.0, end_reason "lost_from_view", hidden_s 0.0
        sidewalk_driving is over (revision 2): motorcycle#1 since 1.7 until 8.7, end_reason "left", hidden_s 0.0
    "#]],
    );
}

/// Stories in which nobody may be accused: who …
#[test]
fn who_does_not_drive_along_the_sidewalk_is_silent() {
    for (who, story) in [
        (
            "crosses it into a gate",
            "0.0 motorcycle#1 at 50.0,25.0
             10.0 motorcycle#1 at 20.0,25.0",
        ),
        (
            "crosses it at a slant",
            "0.0 car#1 at 45.0,25.0
             8.0 car#1 at 25.0,30.0",
        ),
        (
            "is parked on it and pushed a little",
            "0.0 motorcycle#1 at 35.0,25.0
             30.0 motorcycle#1 at 35.0,25.0
             31.0 motorcycle#1 at 35.0,26.0
             60.0 motorcycle#1 at 35.0,26.0",
        ),
        (
            "is pushed along it at a walk",
            "0.0 motorcycle#1 at 35.0,11.0
             20.0 motorcycle#1 at 35.0,36.0",
        ),
        (
            "walks",
            "0.0 person#1 at 35.0,11.0
             10.0 person#1 at 35.0,39.0",
        ),
        (
            "drives beside it, with a part of the box over it",
            "0.0 car#1 at 41.0,11.0
             4.0 car#1 at 41.0,39.0",
        ),
        (
            "was hidden for most of it",
            "0.0 motorcycle#1 at 35.0,11.0
             1.0 motorcycle#1 at 35.0,14.0
             1.0 motorcycle#1 hides
             4.0 motorcycle#1 at 35.0,36.0
             4.5 motorcycle#1 at 35.0,38.0",
        ),
        (
            "was not watched",
            "0.0 motorcycle#1 at 35.0,11.0
             1.2 gap 4.0
             5.0 motorcycle#1 at 35.0,39.0",
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
