use expect_test::expect;

use crate::rules::testing::{check, check_uncalibrated, events, play, scene};

const RULE: &str = r#"
    kind = "wrong_lane"
    zone = "road"
    classes = ["motorcycle"]
"#;

const INNOCENT: &[(&str, &str)] = &[
    (
        "may use the lane",
        "0.0 car#1 at 15.0,30.0
         6.0 car#1 at 75.0,30.0",
    ),
    (
        "passes a corner of the lane",
        "0.0 motorcycle#1 at 80.0,1.0
         1.0 motorcycle#1 at 80.0,9.0
         3.0 motorcycle#1 at 88.0,18.0
         4.0 motorcycle#1 at 99.0,19.0",
    ),
    (
        "drives beside the lane",
        "0.0 motorcycle#1 at 15.0,44.0
         6.0 motorcycle#1 at 75.0,44.0",
    ),
    (
        "is in the lane but hardly moves",
        "0.0 motorcycle#1 at 15.0,30.0
         9.0 motorcycle#1 at 20.0,30.0",
    ),
    (
        "is hidden while in the lane",
        "0.0 motorcycle#1 at 12.0,30.0
         0.5 motorcycle#1 hides
         3.0 motorcycle#1 at 50.0,30.0
         3.5 motorcycle#1 at 52.0,30.0",
    ),
];

#[test]
fn the_innocent_are_not_accused() {
    for (who, story) in INNOCENT {
        let out = play(&mut scene(RULE, true), story);
        assert_eq!(events(&out).count(), 0, "accused although it {who}");
    }
}

#[test]
fn for_long_and_far_enough_in_a_lane_of_others() {
    let story = "
        0.0 motorcycle#1 at 2.0,30.0
        6.0 motorcycle#1 at 62.0,30.0
        8.0 motorcycle#1 at 62.0,48.0
        ";
    check(
        RULE,
        story,
        &expect![[r#"
        wrong_lane starts (revision 1): motorcycle#1 since 0.8, decided at 2.4
            in_lane_for: 1.6 >= 1.5 s [0.8 to 2.4]
            travel_in_lane: 16.0 >= 15.0 m [0.8 to 2.4]
            in_zone: 1.0 >= 0.8 [0.8 to 2.4]
            class: "motorcycle" = "motorcycle" [0.0 to 2.4]
            class_share: 1.0 >= 0.5 [0.0 to 2.4]
            pictures of 0.8, 2.4
        wrong_lane is over (revision 2): motorcycle#1 since 0.8 until 7.2, end_reason "left"
    "#]],
    );
    check_uncalibrated(
        RULE,
        story,
        &expect![[r#"
        wrong_lane starts (revision 1): motorcycle#1 since 0.8, decided at 2.4
            in_lane_for: 1.6 >= 1.5 s [0.8 to 2.4]
            travel_in_lane: 11.429 >= 4.0 box heights [0.8 to 2.4]
            in_zone: 1.0 >= 0.8 [0.8 to 2.4]
            class: "motorcycle" = "motorcycle" [0.0 to 2.4]
            class_share: 1.0 >= 0.5 [0.0 to 2.4]
            pictures of 0.8, 2.4
        wrong_lane is over (revision 2): motorcycle#1 since 0.8 until 7.1, end_reason "left"
    "#]],
    );
}

/// A detector that was trained on with pictures of cars alone gives no motorcycles, and the lane looked watched.
#[test]
fn a_detector_that_gives_none_of_its_classes_is_no_watch() {
    use crate::coverage::Unwatched;
    use crate::input::Output;
    use protocol::ObjectClass as C;

    let two = RULE.replace("[\"motorcycle\"]", "[\"motorcycle\", \"truck\"]");
    for (rule, given, reasons) in [
        (RULE, vec![C::Person, C::Car], vec![Unwatched::NoModel]),
        (RULE, vec![C::Person, C::Motorcycle], vec![]),
        // It sees some of those whom it is about.
        (&two, vec![C::Truck], vec![]),
        (
            "kind = 'pedestrian_on_carriageway'\nzone = 'road'",
            vec![C::Car],
            vec![Unwatched::NoModel],
        ),
        (
            "kind = 'pedestrian_on_carriageway'\nzone = 'road'",
            vec![C::Person],
            vec![],
        ),
        // It is about whatever the kind is about.
        (
            "kind = 'stopped_vehicle'\nzone = 'road'",
            vec![C::Person],
            vec![Unwatched::NoModel],
        ),
        (
            "kind = 'stopped_vehicle'\nzone = 'road'",
            vec![C::Bus],
            vec![],
        ),
        ("kind = 'camera_blocked'", vec![C::Person], vec![]),
    ] {
        let mut scene = scene(rule, true);
        scene.expect_classes(given);
        let out = play(&mut scene, "0.0 car#1 at 20.0,30.0\n4.0 car#1 at 50.0,30.0");
        let hours = out.iter().filter_map(|output| match output {
            Output::Coverage(hour) => Some(hour),
            _ => None,
        });
        let told: Vec<Unwatched> = hours.flat_map(|h| h.unwatched_s.keys().copied()).collect();
        assert_eq!(told, reasons, "{rule}");
    }
}
