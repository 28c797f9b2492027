use expect_test::expect;

use crate::rules::testing::check;

const RULE: &str = r#"
    kind = "loitering"
    zone = "road"
    min_dwell_s = 20.0
    max_exit_s = 5.0
"#;

#[test]
fn walking_up_and_down_is_loitering_and_ends_with_leaving() {
    check(
        RULE,
        "
        0.0 person#1 at 5.0,30.0
        10.0 person#1 at 20.0,30.0
        20.0 person#1 at 30.0,30.0
        30.0 person#1 at 20.0,30.0
        40.0 person#1 at 5.0,30.0
        50.0 person#1 at 5.0,30.0
        ",
        &expect![[r#"
            loitering starts (revision 1): person#1 since 3.4, decided at 23.4
                dwell: 20.0 >= 20.0 s [3.4 to 23.4]
                in_zone: true = true [23.4 to 23.4]
                pictures of 3.4, 23.4
            loitering is over (revision 2): person#1 since 3.4 until 36.6, dwell_s 33.2, end_reason "left"
        "#]],
    );
}

#[test]
fn a_short_exit_pauses_the_dwell_and_a_long_one_ends_it() {
    check(
        RULE,
        "
        0.0 person#1 at 11.0,30.0
        12.0 person#1 at 11.0,30.0
        13.0 person#1 at 9.0,30.0
        15.0 person#1 at 9.0,30.0
        16.0 person#1 at 11.0,30.0
        27.0 person#1 at 11.0,30.0
        ",
        &expect![[r#"
            loitering starts (revision 1): person#1 since 0.0, decided at 23.2
                dwell: 20.0 >= 20.0 s [0.0 to 23.2]
                in_zone: true = true [23.2 to 23.2]
                pictures of 0.0, 23.2
            loitering is over (revision 2): person#1 since 0.0 until 27.0, dwell_s 23.8, end_reason "stream_ended"
        "#]],
    );
    check(
        RULE,
        "
        0.0 person#1 at 11.0,30.0
        12.0 person#1 at 11.0,30.0
        13.0 person#1 at 9.0,30.0
        19.0 person#1 at 9.0,30.0
        20.0 person#1 at 11.0,30.0
        35.0 person#1 at 11.0,30.0
        ",
        &expect![[""]],
    );
}

#[test]
fn a_new_id_goes_on_with_the_dwell_of_the_same_body() {
    check(
        RULE,
        "
        0.0 person#1 at 30.0,30.0
        12.0 person#1 hides
        13.0 person#1 at 30.5,30.0
        13.0 person#1 is #2
        26.0 person#1 at 31.0,30.0
        ",
        &expect![[r#"
            loitering starts (revision 1): person#2 since 0.0, decided at 20.0
                dwell: 20.0 >= 20.0 s [0.0 to 20.0]
                in_zone: true = true [20.0 to 20.0]
                pictures of 0.0, 20.0
            loitering is over (revision 2): person#2 since 0.0 until 26.0, dwell_s 26.0, end_reason "stream_ended"
        "#]],
    );
}

#[test]
fn somebody_new_at_the_other_end_starts_anew() {
    check(
        RULE,
        "
        0.0 person#1 at 30.0,30.0
        12.0 person#1 at 30.0,30.0
        12.5 person#2 at 70.0,30.0
        28.0 person#2 at 70.0,30.0
        ",
        &expect![[""]],
    );
}

#[test]
fn time_that_nobody_watched_is_not_dwell() {
    check(
        RULE,
        "
        0.0 person#1 at 30.0,30.0
        5.0 gap 65.0
        70.0 person#1 at 30.0,30.0
        ",
        &expect![[""]],
    );
}
