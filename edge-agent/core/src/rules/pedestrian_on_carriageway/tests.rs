use expect_test::expect;

use crate::rules::testing::{check, check_uncalibrated};

const RULE: &str = r#"
    kind = "pedestrian_on_carriageway"
    zone = "road"
    except_zones = ["zebra"]
"#;

#[test]
fn somebody_on_foot_for_two_seconds() {
    check(
        RULE,
        "
        0.0 person#1 at 50.0,45.0
        8.0 person#1 at 50.0,33.0
        15.0 person#1 at 50.0,45.0
        ",
        &expect![[r#"
            pedestrian_on_carriageway starts (revision 1): person#1 since 3.4, decided at 5.4
                on_carriageway_for: 2.0 >= 2.0 s [3.4 to 5.4]
                is_rider: false = false [3.4 to 5.4]
                pace: 5.4 <= 12.0 km/h [5.4 to 5.4]
                pictures of 3.4, 5.4
            pedestrian_on_carriageway is over (revision 2): person#1 since 3.4 until 12.0, dwell_s 8.6, end_reason "left"
        "#]],
    );
}

#[test]
fn without_calibration_the_pace_is_in_box_heights() {
    check_uncalibrated(
        RULE,
        "
        0.0 person#1 at 50.0,38.0
        3.0 person#1 at 50.0,35.0
        ",
        &expect![[r#"
            pedestrian_on_carriageway starts (revision 1): person#1 since 0.0, decided at 2.0
                on_carriageway_for: 2.0 >= 2.0 s [0.0 to 2.0]
                is_rider: false = false [0.0 to 2.0]
                pace: 0.588 <= 2.0 box heights per s [2.0 to 2.0]
                pictures of 0.0, 2.0
            pedestrian_on_carriageway is over (revision 2): person#1 since 0.0 until 3.0, dwell_s 3.0, end_reason "stream_ended"
        "#]],
    );
}

#[test]
fn whose_legs_a_passing_car_covers_is_not_accused_again() {
    // Head and shoulders of #1 go on as #2, in a box that ends above the legs.
    check(
        RULE,
        "
        0.0 person#1 at 50.0,30.0
        0.0 person#1 size 0.6,1.7
        4.0 person#1 at 52.0,30.0
        4.1 person#2 at 52.0,29.1
        4.1 person#2 size 0.6,0.8
        6.0 person#2 size 0.6,0.8
        6.2 person#2 at 53.0,29.1
        6.3 person#2 size 0.6,1.7
        6.4 person#2 at 53.1,30.0
        9.0 person#2 at 54.0,30.0
        ",
        &expect![[r#"
            pedestrian_on_carriageway starts (revision 1): person#1 since 0.0, decided at 2.0
                on_carriageway_for: 2.0 >= 2.0 s [0.0 to 2.0]
                is_rider: false = false [0.0 to 2.0]
                pace: 1.8 <= 12.0 km/h [2.0 to 2.0]
                pictures of 0.0, 2.0
            pedestrian_on_carriageway is over (revision 2): person#1 since 0.0 until 9.0, dwell_s 9.0, end_reason "stream_ended"
        "#]],
    );
}

#[test]
fn a_rider_is_no_pedestrian_however_long_it_waits() {
    check(
        RULE,
        "
        0.0 motorcycle#1 at 50.0,30.0
        0.0 person#2 at 50.0,29.8
        10.0 motorcycle#1 at 50.0,30.0
        10.0 person#2 at 50.0,29.8
        ",
        &expect![[""]],
    );
}

#[test]
fn a_waiting_rider_is_not_accused_under_the_name_of_who_walked_past() {
    // #3 walks behind the queue and disappears, and the tracker goes on with the
    // rider of #1 under that name (`03` is a second body with the same id). For
    // seconds the looks at the walker outvote those at the rider; the stay knows better.
    check(
        RULE,
        "
        0.0 motorcycle#1 at 50.0,30.0
        0.0 person#3 at 60.0,6.0
        10.0 person#3 at 50.2,8.0
        10.0 person#3 hides
        11.5 person#03 at 50.0,29.8
        12.0 person#03 hides
        12.6 person#03 at 50.0,29.8
        13.0 person#03 hides
        13.5 person#03 at 50.0,29.8
        18.0 motorcycle#1 at 50.0,30.0
        18.0 person#03 at 50.0,29.8
        ",
        &expect![[""]],
    );
}

#[test]
fn a_rider_whose_machine_was_missed_is_too_fast_for_a_pedestrian() {
    check(
        RULE,
        "
        0.0 person#1 at 15.0,30.0
        8.0 person#1 at 80.0,30.0
        ",
        &expect![[""]],
    );
}

#[test]
fn the_zebra_the_kerb_and_one_step_are_allowed() {
    check(
        RULE,
        "
        0.0 person#1 at 35.0,42.0
        0.0 person#2 at 60.0,42.0
        0.0 person#3 at 70.0,41.0
        1.0 person#3 at 70.0,39.5
        2.0 person#3 at 70.0,41.0
        20.0 person#1 at 35.0,12.0
        20.0 person#2 at 60.0,42.0
        20.0 person#3 at 70.0,42.0
        ",
        &expect![[""]],
    );
}
