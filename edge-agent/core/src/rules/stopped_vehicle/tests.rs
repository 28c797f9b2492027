use std::fmt::Write;

use expect_test::expect;

use crate::rules::testing::{check, check_uncalibrated, events, play, scene};

const RULE: &str = r#"
    kind = "stopped_vehicle"
    zone = "road"
    min_dwell_s = 10.0
    keep_s = 30.0
    update_every_s = 15.0
"#;

#[test]
fn a_car_that_stops_is_an_event_and_its_leaving_ends_it() {
    check(
        RULE,
        "
        0.0 car#1 at 12.0,30.0
        3.0 car#1 at 40.0,30.0
        20.0 car#1 at 40.0,30.0
        23.0 car#1 at 70.0,30.0
        ",
        &expect![[r#"
            stopped_vehicle starts (revision 1): car#1 since 2.8, decided at 12.8
                dwell: 10.0 >= 10.0 s [2.8 to 12.8]
                displacement: 1.4 <= 2.0 m [2.8 to 12.8]
                in_zone: 1.0 >= 0.9 [2.8 to 12.8]
                in_zone_at_decision: true = true [12.8 to 12.8]
                class: "car" = "motorcycle, car, bus, truck" [0.0 to 12.8]
                class_share: 1.0 >= 0.5 [0.0 to 12.8]
                in_queue: false = false [12.8 to 12.8]
                pictures of 2.8, 12.8
            stopped_vehicle is over (revision 2): car#1 since 2.8 until 20.1, dwell_s 17.3, end_reason "left", hidden_s 0.0
        "#]],
    );
}

#[test]
fn a_long_stop_is_brought_up_to_date() {
    check(
        RULE,
        "
        0.0 truck#1 at 40.0,30.0
        45.0 truck#1 at 40.0,30.0
        ",
        &expect![[r#"
            stopped_vehicle starts (revision 1): truck#1 since 0.0, decided at 10.0
                dwell: 10.0 >= 10.0 s [0.0 to 10.0]
                displacement: 0.0 <= 2.0 m [0.0 to 10.0]
                in_zone: 1.0 >= 0.9 [0.0 to 10.0]
                in_zone_at_decision: true = true [10.0 to 10.0]
                class: "truck" = "motorcycle, car, bus, truck" [0.0 to 10.0]
                class_share: 1.0 >= 0.5 [0.0 to 10.0]
                in_queue: false = false [10.0 to 10.0]
                pictures of 0.0, 10.0
            stopped_vehicle goes on (revision 2): truck#1 since 0.0, dwell_s 25.0, hidden_s 0.0
            stopped_vehicle goes on (revision 3): truck#1 since 0.0, dwell_s 40.0, hidden_s 0.0
            stopped_vehicle is over (revision 4): truck#1 since 0.0 until 45.0, dwell_s 45.0, end_reason "stream_ended", hidden_s 0.0
        "#]],
    );
}

#[test]
fn without_calibration_the_radius_is_in_box_heights() {
    check_uncalibrated(
        RULE,
        "
        0.0 car#1 at 40.0,30.0
        12.0 car#1 at 40.3,30.0
        ",
        &expect![[r#"
            stopped_vehicle starts (revision 1): car#1 since 0.0, decided at 10.0
                dwell: 10.0 >= 10.0 s [0.0 to 10.0]
                displacement: 0.118 <= 0.35 box heights [0.0 to 10.0]
                in_zone: 1.0 >= 0.9 [0.0 to 10.0]
                in_zone_at_decision: true = true [10.0 to 10.0]
                class: "car" = "motorcycle, car, bus, truck" [0.0 to 10.0]
                class_share: 1.0 >= 0.5 [0.0 to 10.0]
                in_queue: false = false [10.0 to 10.0]
                pictures of 0.0, 10.0
            stopped_vehicle is over (revision 2): car#1 since 0.0 until 12.0, dwell_s 12.0, end_reason "stream_ended", hidden_s 0.0
        "#]],
    );
}

#[test]
fn a_gap_in_the_stream_pauses_the_dwell() {
    check(
        RULE,
        "
        0.0 car#1 at 40.0,30.0
        6.0 gap 16.0
        19.0 car#1 at 40.0,30.0
        ",
        &expect![[""]],
    );
    check(
        RULE,
        "
        0.0 car#1 at 40.0,30.0
        6.0 gap 16.0
        22.0 car#1 at 40.0,30.0
        ",
        &expect![[r#"
            stopped_vehicle starts (revision 1): car#1 since 0.0, decided at 20.0
                dwell: 10.0 >= 10.0 s [0.0 to 20.0]
                displacement: 0.0 <= 2.0 m [0.0 to 20.0]
                in_zone: 1.0 >= 0.9 [0.0 to 20.0]
                in_zone_at_decision: true = true [20.0 to 20.0]
                class: "car" = "motorcycle, car, bus, truck" [0.0 to 20.0]
                class_share: 1.0 >= 0.5 [0.0 to 20.0]
                in_queue: false = false [20.0 to 20.0]
                pictures of 0.0, 16.0, 20.0
            stopped_vehicle is over (revision 2): car#1 since 0.0 until 22.0, dwell_s 12.0, end_reason "stream_ended", hidden_s 0.0
        "#]],
    );
}

#[test]
fn time_hidden_behind_a_bus_is_not_dwell_but_does_not_start_it_anew() {
    check(
        RULE,
        "
        0.0 car#1 at 40.0,30.0
        6.0 car#1 hides
        14.0 car#1 at 40.0,30.0
        14.0 car#1 is #2
        19.5 car#1 at 40.0,30.0
        ",
        &expect![[r#"
            stopped_vehicle starts (revision 1): car#2 since 0.0, decided at 18.1
                dwell: 10.0 >= 10.0 s [0.0 to 18.1]
                displacement: 0.0 <= 2.0 m [0.0 to 18.1]
                in_zone: 1.0 >= 0.9 [0.0 to 18.1]
                in_zone_at_decision: true = true [18.1 to 18.1]
                class: "car" = "motorcycle, car, bus, truck" [14.0 to 18.1]
                class_share: 1.0 >= 0.5 [14.0 to 18.1]
                in_queue: false = false [18.1 to 18.1]
                pictures of 0.0, 14.4, 18.1
            stopped_vehicle is over (revision 2): car#2 since 0.0 until 19.5, dwell_s 11.4, end_reason "stream_ended", hidden_s 8.1
        "#]],
    );
}

#[test]
fn an_id_that_jumps_to_a_passing_car_leaves_the_dwell_at_its_place() {
    // At 8.0 the standing car's id goes on with a passing one, and the
    // standing car gets the passing one's.
    check(
        RULE,
        "
        0.0 car#1 at 40.0,30.0
        7.0 car#2 at 30.0,33.0
        8.0 car#2 at 40.0,33.0
        8.0 car#1 is #2
        8.0 car#2 is #1
        10.0 car#2 at 60.0,33.0
        13.0 car#1 at 40.0,30.0
        ",
        &expect![[r#"
            stopped_vehicle starts (revision 1): car#2 since 0.0, decided at 10.0
                dwell: 10.0 >= 10.0 s [0.0 to 10.0]
                displacement: 0.0 <= 2.0 m [0.0 to 10.0]
                in_zone: 1.0 >= 0.9 [0.0 to 10.0]
                in_zone_at_decision: true = true [10.0 to 10.0]
                class: "car" = "motorcycle, car, bus, truck" [7.0 to 10.0]
                class_share: 1.0 >= 0.5 [7.0 to 10.0]
                in_queue: false = false [10.0 to 10.0]
                pictures of 0.0, 10.0
            stopped_vehicle is over (revision 2): car#2 since 0.0 until 13.0, dwell_s 13.0, end_reason "stream_ended", hidden_s 0.0
        "#]],
    );
}

#[test]
fn a_parked_car_whose_id_changes_all_night_is_one_event() {
    check(
        RULE,
        "
        0.0 car#1 at 40.0,30.0
        12.0 car#1 is #2
        20.0 car#1 hides
        24.0 car#1 at 40.0,30.0
        24.0 car#1 is #3
        30.0 car#1 is #4
        31.0 car#1 at 40.0,30.0
        ",
        &expect![[r#"
            stopped_vehicle starts (revision 1): car#1 since 0.0, decided at 10.0
                dwell: 10.0 >= 10.0 s [0.0 to 10.0]
                displacement: 0.0 <= 2.0 m [0.0 to 10.0]
                in_zone: 1.0 >= 0.9 [0.0 to 10.0]
                in_zone_at_decision: true = true [10.0 to 10.0]
                class: "car" = "motorcycle, car, bus, truck" [0.0 to 10.0]
                class_share: 1.0 >= 0.5 [0.0 to 10.0]
                in_queue: false = false [10.0 to 10.0]
                pictures of 0.0, 10.0
            stopped_vehicle goes on (revision 2): car#1 since 0.0, dwell_s 25.0, hidden_s 4.1
            stopped_vehicle is over (revision 3): car#1 since 0.0 until 31.0, dwell_s 26.9, end_reason "stream_ended", hidden_s 4.1
        "#]],
    );
}

#[test]
fn slow_traffic_people_and_cars_beside_the_zone_are_nothing() {
    check(
        RULE,
        "
        0.0 car#1 at 20.0,30.0
        0.0 person#2 at 40.0,30.0
        0.0 car#3 at 40.0,45.0
        30.0 car#1 at 45.0,30.0
        30.0 person#2 at 40.0,30.0
        30.0 car#3 at 40.0,45.0
        ",
        &expect![[""]],
    );
}

#[test]
fn a_second_stop_of_the_same_track_is_not_a_second_event() {
    check(
        RULE,
        "
        0.0 car#1 at 30.0,30.0
        12.0 car#1 at 30.0,30.0
        15.0 car#1 at 60.0,30.0
        40.0 car#1 at 60.0,30.0
        ",
        &expect![[r#"
            stopped_vehicle starts (revision 1): car#1 since 0.0, decided at 10.0
                dwell: 10.0 >= 10.0 s [0.0 to 10.0]
                displacement: 0.0 <= 2.0 m [0.0 to 10.0]
                in_zone: 1.0 >= 0.9 [0.0 to 10.0]
                in_zone_at_decision: true = true [10.0 to 10.0]
                class: "car" = "motorcycle, car, bus, truck" [0.0 to 10.0]
                class_share: 1.0 >= 0.5 [0.0 to 10.0]
                in_queue: false = false [10.0 to 10.0]
                pictures of 0.0, 10.0
            stopped_vehicle is over (revision 2): car#1 since 0.0 until 12.2, dwell_s 12.2, end_reason "left", hidden_s 0.0
        "#]],
    );
}

/// It was in the zone for half a second as it pulled up; then it stood 0.4 m
/// beside the zone, well within the radius, and was accused. (Of a car that
/// never moved, the middle is taken to be 1.55 m beyond its lower edge.)
#[test]
fn a_car_that_rolls_out_of_the_zone_and_stands_beside_it_is_nothing() {
    check(
        RULE,
        "
        0.0 car#1 at 40.0,41.35
        0.5 car#1 at 40.0,41.35
        0.6 car#1 at 40.0,41.95
        30.0 car#1 at 40.0,41.95
        ",
        &expect![[""]],
    );
}

#[test]
fn who_rolls_out_of_the_zone_after_a_long_stop_has_left() {
    check(
        RULE,
        "
        0.0 car#1 at 40.0,39.0
        12.0 car#1 at 40.0,39.0
        12.7 car#1 at 40.0,43.0
        40.0 car#1 at 40.0,43.0
        ",
        &expect![[r#"
            stopped_vehicle starts (revision 1): car#1 since 0.0, decided at 10.0
                dwell: 10.0 >= 10.0 s [0.0 to 10.0]
                displacement: 0.0 <= 2.0 m [0.0 to 10.0]
                in_zone: 1.0 >= 0.9 [0.0 to 10.0]
                in_zone_at_decision: true = true [10.0 to 10.0]
                class: "car" = "motorcycle, car, bus, truck" [0.0 to 10.0]
                class_share: 1.0 >= 0.5 [0.0 to 10.0]
                in_queue: false = false [10.0 to 10.0]
                pictures of 0.0, 10.0
            stopped_vehicle is over (revision 2): car#1 since 0.0 until 12.3, dwell_s 12.3, end_reason "left", hidden_s 0.0
        "#]],
    );
}

#[test]
fn a_box_that_jitters_on_the_edge_of_the_zone_stands_in_it_only_if_it_mostly_does() {
    for (outside_of_10, accused) in [(1, true), (5, false)] {
        let mut story = String::new();
        for tick in 0..150_u32 {
            let y = if tick % 10 < outside_of_10 {
                41.75
            } else {
                41.35
            };
            writeln!(story, "{:.1} car#1 at 40.0,{y}", f64::from(tick) / 10.0).unwrap();
        }
        let out = play(&mut scene(RULE, true), &story);
        assert_eq!(events(&out).count() > 0, accused, "{outside_of_10} of 10");
    }
}

/// Motorbikes that each stand for 7 s at the head of a queue and drive off, while
/// the next one moves up at once: together they stood for 70 s, and the third
/// was accused of 20.
#[test]
fn in_a_queue_that_moves_up_each_vehicle_has_its_own_dwell() {
    for (gap, calibrated) in [(0.8, false), (1.4, false), (2.2, true), (3.0, true)] {
        let mut story = String::new();
        for bike in 0..10_u32 {
            // It stands at each place of the queue in turn.
            for step in 0..=bike.min(3) {
                let place = f64::from(bike.min(3) - step);
                let from = 8.0 * f64::from(bike.saturating_sub(3) + step);
                let x = 60.0 - gap * place;
                writeln!(story, "{from:.1} motorcycle#{bike} at {x},30.0").unwrap();
                writeln!(story, "{:.1} motorcycle#{bike} at {x},30.0", from + 7.0).unwrap();
            }
            let off = 8.0 * f64::from(bike + 1);
            writeln!(story, "{off:.1} motorcycle#{bike} at {},30.0", 60.0 + gap).unwrap();
            writeln!(story, "{:.1} motorcycle#{bike} at 88.0,30.0", off + 4.0).unwrap();
        }
        let out = play(&mut scene(RULE, calibrated), &story);
        assert_eq!(events(&out).count(), 0, "{gap} m apart");
    }
}

/// The head of the queue leaves behind a bus, and the next one has moved up when
/// the bus is gone.
#[test]
fn who_was_seen_to_drive_up_does_not_go_on_with_the_dwell_of_who_left_unseen() {
    check(
        RULE,
        "
        0.0 car#1 at 60.0,30.0
        8.0 car#1 hides
        6.0 car#2 at 52.0,30.0
        10.0 car#2 at 60.0,30.0
        17.0 car#2 at 60.0,30.0
        ",
        &expect![[""]],
    );
}

/// A camera sends one picture again and again, which is noticed after 3.5 s. For
/// that time the car "stood"; nobody knows whether it did.
#[test]
fn the_time_of_a_frozen_picture_is_taken_back() {
    check(
        RULE,
        "
        0.0 car#1 at 40.0,30.0
        6.0 frozen 9.5
        15.0 car#1 at 40.0,30.0
        ",
        &expect![[r#"
            stopped_vehicle starts (revision 1): car#1 since 0.0, decided at 13.5
                dwell: 10.0 >= 10.0 s [0.0 to 13.5]
                displacement: 0.0 <= 2.0 m [0.0 to 13.5]
                in_zone: 1.0 >= 0.9 [0.0 to 13.5]
                in_zone_at_decision: true = true [13.5 to 13.5]
                class: "car" = "motorcycle, car, bus, truck" [0.0 to 13.5]
                class_share: 1.0 >= 0.5 [0.0 to 13.5]
                in_queue: false = false [13.5 to 13.5]
                pictures of 0.0, 10.0, 13.5
            stopped_vehicle is over (revision 2): car#1 since 0.0 until 15.0, dwell_s 11.5, end_reason "stream_ended", hidden_s 0.0
        "#]],
    );
}

/// What is not known yet cannot be taken back: an event that a frozen picture's
/// time completed stands, with a dwell that is put right afterwards.
#[test]
fn an_event_raised_before_the_freeze_was_noticed_stands_and_its_dwell_is_put_right() {
    check(
        RULE,
        "
        0.0 car#1 at 40.0,30.0
        6.0 frozen 11.0
        15.0 car#1 at 40.0,30.0
        ",
        &expect![[r#"
            stopped_vehicle starts (revision 1): car#1 since 0.0, decided at 10.0
                dwell: 10.0 >= 10.0 s [0.0 to 10.0]
                displacement: 0.0 <= 2.0 m [0.0 to 10.0]
                in_zone: 1.0 >= 0.9 [0.0 to 10.0]
                in_zone_at_decision: true = true [10.0 to 10.0]
                class: "car" = "motorcycle, car, bus, truck" [0.0 to 10.0]
                class_share: 1.0 >= 0.5 [0.0 to 10.0]
                in_queue: false = false [10.0 to 10.0]
                pictures of 0.0, 10.0
            stopped_vehicle is over (revision 2): car#1 since 0.0 until 15.0, dwell_s 10.0, end_reason "stream_ended", hidden_s 0.0
        "#]],
    );
}
