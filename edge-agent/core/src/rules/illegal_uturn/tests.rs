use expect_test::expect;

use crate::rules::testing::{check, check_uncalibrated, events, play, scene, told};

const RULE: &str = r#"
    kind = "illegal_uturn"
    zone = "road"
    from = [[0.1, 0.5], [0.9, 0.5]]
"#;

const INNOCENT: &[(&str, &str)] = &[
    (
        "drives straight on",
        "0.0 car#1 at 15.0,30.0
         6.0 car#1 at 75.0,30.0",
    ),
    (
        "turns off to the side",
        "0.0 car#1 at 15.0,34.0
         3.0 car#1 at 45.0,34.0
         3.5 car#1 at 49.0,31.0
         4.0 car#1 at 50.0,27.0
         5.5 car#1 at 50.0,13.0",
    ),
    (
        "comes from the other side, which may",
        "0.0 car#1 at 75.0,20.0
         3.0 car#1 at 45.0,20.0
         3.5 car#1 at 41.0,23.0
         4.0 car#1 at 40.0,27.0
         4.5 car#1 at 41.0,31.0
         5.0 car#1 at 45.0,34.0
         8.0 car#1 at 75.0,34.0",
    ),
    (
        "is two cars whose id changed bodies",
        "0.0 car#1 at 15.0,34.0
         3.0 car#1 at 45.0,34.0
         3.1 car#1 at 46.0,20.0
         6.0 car#1 at 15.0,20.0",
    ),
    (
        "goes round on foot",
        "0.0 person#1 at 15.0,34.0
         3.0 person#1 at 45.0,34.0
         4.0 person#1 at 50.0,27.0
         5.0 person#1 at 45.0,20.0
         8.0 person#1 at 15.0,20.0",
    ),
];

#[test]
fn the_innocent_are_not_accused() {
    for (who, story) in INNOCENT {
        for calibrated in [true, false] {
            let out = play(&mut scene(RULE, calibrated), story);
            assert_eq!(
                events(&out).count(),
                0,
                "accused although it {who} (calibrated: {calibrated})"
            );
        }
    }
}

/// Far away a box that jitters moves like somebody who drives, and such a motion
/// against the way that a vehicle faced was the way in of its "turn".
#[test]
fn who_waits_while_its_box_is_pushed_about_and_drives_off_as_it_faces_has_not_turned_back() {
    let story = "
        0.0 car#1 at 75.0,20.0
        3.0 car#1 at 55.0,20.0
        9.0 car#1 at 55.0,20.0
        9.8 car#1 at 56.4,20.0
        10.4 car#1 at 56.9,19.0
        11.0 car#1 at 56.0,18.0
        14.0 car#1 at 30.0,18.0
        ";
    let out = play(&mut scene(RULE, true), story);
    assert_eq!(told(&out), "");
}

const TURNS: &str = "
    0.0 car#1 at 15.0,34.0
    3.0 car#1 at 45.0,34.0
    3.5 car#1 at 49.0,31.0
    4.0 car#1 at 50.0,27.0
    4.5 car#1 at 49.0,23.0
    5.0 car#1 at 45.0,20.0
    8.0 car#1 at 15.0,20.0
    ";

#[test]
fn who_turns_back_is_accused_once() {
    check(
        RULE,
        TURNS,
        &expect![[r#"
            illegal_uturn starts (revision 1): car#1 since 3.7 until 6.0, decided at 6.0
                turned: 176.241 >= 150.0 ° [3.7 to 6.0]
                turn_took: 2.3 <= 30.0 s [3.7 to 6.0]
                drove_back: 14.0 >= 3.0 m [4.5 to 6.0]
                faced_off_course: 41.583 <= 60.0 ° [3.7 to 3.7]
                sideways_acceleration: 11.888 <= 12.0 m/s² [3.7 to 6.0]
                width: 9.4 <= 25.0 m [3.7 to 6.0]
                came_off_direction: 0.0 <= 60.0 ° [0.4 to 0.4]
                class: "car" = "motorcycle, car, bus, truck" [0.0 to 6.0]
                class_share: 1.0 >= 0.5 [0.0 to 6.0]
                pictures of 3.7, 4.5, 6.0
        "#]],
    );
    check_uncalibrated(
        RULE,
        TURNS,
        &expect![[r#"
            illegal_uturn starts (revision 1): car#1 since 3.6 until 5.5, decided at 5.5
                turned: 158.686 >= 150.0 ° [3.6 to 5.5]
                turn_took: 1.9 <= 30.0 s [3.6 to 5.5]
                drove_back: 4.5 >= 0.7 box heights [4.5 to 5.5]
                came_off_direction: 0.0 <= 60.0 ° [0.4 to 0.4]
                class: "car" = "motorcycle, car, bus, truck" [0.0 to 5.5]
                class_share: 1.0 >= 0.5 [0.0 to 5.5]
                pictures of 3.6, 4.5, 5.5
        "#]],
    );
}

#[test]
fn who_waits_half_way_for_oncoming_traffic_has_turned_back_all_the_same() {
    let story = "
        0.0 car#1 at 15.0,34.0
        3.0 car#1 at 45.0,34.0
        3.5 car#1 at 49.0,31.0
        4.0 car#1 at 50.0,27.0
        9.0 car#1 at 50.0,27.0
        9.5 car#1 at 49.0,23.0
        10.0 car#1 at 45.0,20.0
        13.0 car#1 at 15.0,20.0
        ";
    let out = play(&mut scene(RULE, true), story);
    assert_eq!(events(&out).count(), 1);
}

#[test]
fn who_comes_round_wider_than_any_vehicle_turns_has_not_turned_back() {
    // Round a square; or a far vehicle that set off by jitter and turned off to the side.
    let story = "
        0.0 car#1 at 15.0,39.5
        4.0 car#1 at 55.0,39.5
        4.5 car#1 at 58.0,37.0
        7.5 car#1 at 58.0,13.0
        8.0 car#1 at 55.0,10.5
        12.0 car#1 at 15.0,10.5
        ";
    let accused = |story: &str| events(&play(&mut scene(RULE, true), story)).count();
    assert_eq!(accused(story), 0);
    let narrower = story.replace(",10.5", ",20.5").replace(",13.0", ",23.0");
    assert_eq!(accused(&narrower), 1);
}
