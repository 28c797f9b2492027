use std::fmt::Write;

use expect_test::expect;

use crate::rules::testing::{check, check_uncalibrated, events, play_with};

/// The lane leads to the right.
const RULE: &str = r#"
    kind = "wrong_way"
    zone = "road"
    direction = [[0.2, 0.5], [0.8, 0.5]]
"#;

#[test]
fn against_the_lane_for_long_and_far_enough() {
    check(
        RULE,
        "
        0.0 motorcycle#1 at 80.0,30.0
        5.0 motorcycle#1 at 40.0,30.0
        ",
        &expect![[r#"
            wrong_way starts (revision 1): motorcycle#1 since 0.0, decided at 2.0
                heading_off_lane: 180.0 > 120.0 ° [0.0 to 2.0]
                against_lane_for: 2.0 >= 2.0 s [0.0 to 2.0]
                against_lane_distance: 16.0 >= 10.0 m [0.0 to 2.0]
                mean_speed: 28.8 >= 5.0 km/h [0.0 to 2.0]
                in_zone: 1.0 >= 0.8 [0.0 to 2.0]
                class: "motorcycle" = "bicycle, motorcycle, car, bus, truck" [0.0 to 2.0]
                class_share: 1.0 >= 0.5 [0.0 to 2.0]
                pictures of 0.0, 2.0
            wrong_way is over (revision 2): motorcycle#1 since 0.0 until 5.0, end_reason "stream_ended", hidden_s 0.0
        "#]],
    );
}

#[test]
fn without_calibration_the_way_is_in_box_heights() {
    check_uncalibrated(
        RULE,
        "
        0.0 motorcycle#1 at 80.0,30.0
        5.0 motorcycle#1 at 40.0,30.0
        ",
        &expect![[r#"
            wrong_way starts (revision 1): motorcycle#1 since 0.0, decided at 2.0
                heading_off_lane: 180.0 > 120.0 ° [0.0 to 2.0]
                against_lane_for: 2.0 >= 2.0 s [0.0 to 2.0]
                against_lane_distance: 11.429 >= 3.0 box heights [0.0 to 2.0]
                mean_speed: 5.714 >= 0.4 box heights per s [0.0 to 2.0]
                in_zone: 1.0 >= 0.8 [0.0 to 2.0]
                class: "motorcycle" = "bicycle, motorcycle, car, bus, truck" [0.0 to 2.0]
                class_share: 1.0 >= 0.5 [0.0 to 2.0]
                pictures of 0.0, 2.0
            wrong_way is over (revision 2): motorcycle#1 since 0.0 until 5.0, end_reason "stream_ended", hidden_s 0.0
        "#]],
    );
}

/// A bus of the opposite lane that left the picture: its box was cut narrower
/// and narrower, and what was left of its lower edge lay in this lane.
#[test]
fn whose_box_the_edge_of_the_picture_cuts_is_nowhere() {
    let whole = "
        0.0 car#1 at 38.0,30.0
        3.0 car#1 at 12.0,30.0
        ";
    let rule = RULE.replace("\"road\"", "\"lane\"");
    let lane = "
        [[zone]]
        id = \"lane\"
        points = [[0.0, 0.2], [0.9, 0.2], [0.9, 0.8], [0.0, 0.8]]
        ";
    let accused = |story: &str| events(&play_with(lane, &rule, story)).count();
    assert_eq!(accused(whole), 2, "begun and ended");
    // At least as far, most of it with the edge in its box.
    let cut = format!("{whole}\n0.0 car#1 size 80.0,2.0");
    assert_eq!(accused(&cut), 0);
}

#[test]
fn turning_back_before_the_distance_is_reached_is_not_wrong_way() {
    check(
        RULE,
        "
        0.0 car#1 at 50.0,30.0
        2.0 car#1 at 41.5,30.0
        6.0 car#1 at 70.0,30.0
        ",
        &expect![[""]],
    );
}

#[test]
fn a_u_turn_out_of_the_carriageway_is_not_wrong_way() {
    // In along the lane, round an arc, and away on the opposite carriageway.
    check(
        RULE,
        "
        0.0 car#1 at 30.0,30.0
        3.0 car#1 at 60.0,30.0
        3.8 car#1 at 66.0,26.0
        4.6 car#1 at 66.0,18.0
        5.4 car#1 at 60.0,9.0
        9.0 car#1 at 20.0,9.0
        ",
        &expect![[""]],
    );
}

#[test]
fn reversing_into_a_parking_place_is_not_wrong_way() {
    check(
        RULE,
        "
        0.0 car#1 at 60.0,30.0
        14.0 car#1 at 45.0,30.0
        ",
        &expect![[""]],
    );
}

#[test]
fn a_standing_car_whose_box_jitters_is_not_wrong_way() {
    let mut story = String::new();
    for tick in 0..100_u32 {
        let x = 40.0 + [0.0, -0.4, 0.3, -0.2, 0.4, 0.1][tick as usize % 6];
        writeln!(story, "{:.1} car#1 at {x},30.0", f64::from(tick) / 10.0).unwrap();
    }
    check(RULE, &story, &expect![[""]]);
}

#[test]
fn one_flickered_second_does_not_break_the_stretch_and_gives_no_second_event() {
    check(
        RULE,
        "
        0.0 car#1 at 85.0,30.0
        4.0 car#1 at 60.0,30.0
        4.3 car#1 at 60.5,30.0
        9.0 car#1 at 30.0,30.0
        9.5 car#1 at 33.0,30.0
        13.0 car#1 at 60.0,30.0
        17.0 car#1 at 30.0,30.0
        ",
        &expect![[r#"
            wrong_way starts (revision 1): car#1 since 0.0, decided at 2.0
                heading_off_lane: 180.0 > 120.0 ° [0.0 to 2.0]
                against_lane_for: 2.0 >= 2.0 s [0.0 to 2.0]
                against_lane_distance: 12.5 >= 10.0 m [0.0 to 2.0]
                mean_speed: 22.5 >= 5.0 km/h [0.0 to 2.0]
                in_zone: 1.0 >= 0.8 [0.0 to 2.0]
                class: "car" = "bicycle, motorcycle, car, bus, truck" [0.0 to 2.0]
                class_share: 1.0 >= 0.5 [0.0 to 2.0]
                pictures of 0.0, 2.0
            wrong_way is over (revision 2): car#1 since 0.0 until 9.3, end_reason "left", hidden_s 0.0
        "#]],
    );
}

#[test]
fn with_the_lane_across_it_and_outside_the_zone_is_nothing() {
    check(
        RULE,
        "
        0.0 car#1 at 12.0,30.0
        0.0 car#2 at 50.0,39.0
        0.0 car#3 at 90.0,45.0
        0.0 person#4 at 80.0,20.0
        6.0 car#1 at 80.0,30.0
        6.0 car#2 at 45.0,12.0
        6.0 car#3 at 20.0,45.0
        6.0 person#4 at 60.0,20.0
        ",
        &expect![[""]],
    );
}

/// It drove against the lane for 1.2 s, was hidden behind a bus for 1.5 s, and
/// was seen for another 0.4 s: that was counted as 3 s against the lane.
#[test]
fn time_that_nobody_saw_is_not_driven_against_the_lane() {
    check(
        RULE,
        "
        0.0 car#1 at 80.0,30.0
        1.2 car#1 at 72.0,30.0
        1.2 car#1 hides
        2.7 car#1 at 62.0,30.0
        3.1 car#1 at 59.0,30.0
        ",
        &expect![[""]],
    );
    check(
        RULE,
        "
        0.0 car#1 at 80.0,30.0
        1.2 car#1 at 72.0,30.0
        1.2 car#1 hides
        2.7 car#1 at 62.0,30.0
        5.0 car#1 at 46.0,30.0
        ",
        &expect![[r#"
            wrong_way starts (revision 1): car#1 since 0.0, decided at 4.0
                heading_off_lane: 180.0 > 120.0 ° [0.0 to 4.0]
                against_lane_for: 2.0 >= 2.0 s [0.0 to 4.0]
                against_lane_distance: 27.043 >= 10.0 m [0.0 to 4.0]
                mean_speed: 24.339 >= 5.0 km/h [0.0 to 4.0]
                in_zone: 1.0 >= 0.8 [0.0 to 4.0]
                class: "car" = "bicycle, motorcycle, car, bus, truck" [0.0 to 4.0]
                class_share: 1.0 >= 0.5 [0.0 to 4.0]
                pictures of 0.0, 4.0
            wrong_way is over (revision 2): car#1 since 0.0 until 5.0, end_reason "stream_ended", hidden_s 2.0
        "#]],
    );
}

/// A car of the neighbouring lane whose way only brushes the zone.
#[test]
fn who_is_mostly_beside_the_zone_is_not_in_it() {
    let mut story = String::new();
    for tick in 0..60_u32 {
        let y = if tick % 3 == 0 { 40.7 } else { 41.2 };
        let x = 85.0 - 0.8 * f64::from(tick);
        writeln!(story, "{:.1} car#1 at {x},{y}", f64::from(tick) / 10.0).unwrap();
    }
    check(RULE, &story, &expect![[""]]);
}
