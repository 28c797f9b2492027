use std::fmt::Write;

use expect_test::expect;

use crate::rules::testing::{check, events, play, scene};

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
                hand_overs: 0.0 <= 1.0 [3.4 to 23.4]
                class: "person" = "person" [0.0 to 23.4]
                class_share: 1.0 >= 0.5 [0.0 to 23.4]
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
                hand_overs: 0.0 <= 1.0 [0.0 to 23.2]
                class: "person" = "person" [0.0 to 23.2]
                class_share: 1.0 >= 0.5 [0.0 to 23.2]
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
                hand_overs: 1.0 <= 1.0 [11.9 to 13.0]
                class: "person" = "person" [13.0 to 20.0]
                class_share: 1.0 >= 0.5 [13.0 to 20.0]
                pictures of 0.0, 11.9, 13.0, 20.0
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

/// Each walks through in 8 s, and the next appears 3 s later where the one
/// before left: together they were in the zone for long, and the fourth was
/// accused of 20 s.
#[test]
fn passers_by_are_not_charged_with_each_others_time() {
    for patience in [5, 30, 600] {
        let rule = RULE.replace("max_exit_s = 5.0", &format!("max_exit_s = {patience}.0"));
        let mut story = String::new();
        for walker in 0..9_u32 {
            let from = 11.0 * f64::from(walker);
            let (x, y) = if walker % 2 == 0 { (40, 52) } else { (52, 40) };
            writeln!(story, "{from:.1} person#{walker} at {x}.0,30.0").unwrap();
            writeln!(story, "{:.1} person#{walker} at {y}.0,30.0", from + 8.0).unwrap();
            writeln!(story, "{:.1} person#{walker} hides", from + 8.0).unwrap();
        }
        let out = play(&mut scene(&rule, true), &story);
        assert_eq!(events(&out).count(), 0, "max_exit_s = {patience}");
    }
}

/// Stories of one who is gone and one who comes, of whom nobody may be accused: who comes …
#[test]
fn who_is_not_surely_the_same_starts_anew() {
    for (who, story) in [
        (
            "was there before",
            "0.0 person#1 at 30.0,30.0
             11.0 person#2 at 32.0,30.0
             12.0 person#1 hides
             12.5 person#2 at 30.5,30.0
             28.0 person#2 at 30.5,30.0",
        ),
        (
            "comes too late",
            "0.0 person#1 at 30.0,30.0
             12.0 person#1 hides
             13.5 person#2 at 30.0,30.0
             28.0 person#2 at 30.0,30.0",
        ),
        (
            "comes from too far away",
            "0.0 person#1 at 30.0,30.0
             12.0 person#1 hides
             12.3 person#2 at 31.5,30.0
             28.0 person#2 at 31.5,30.0",
        ),
        (
            "comes when the other has walked out",
            "0.0 person#1 at 11.0,30.0
             12.0 person#1 at 11.0,30.0
             13.0 person#1 at 9.8,30.0
             13.0 person#1 hides
             13.5 person#2 at 10.2,30.0
             29.0 person#2 at 10.2,30.0",
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

#[test]
fn the_same_track_may_leave_and_come_back_within_the_tolerance() {
    let rule = RULE.replace("max_exit_s = 5.0", "max_exit_s = 30.0");
    check(
        &rule,
        "
        0.0 person#1 at 12.0,30.0
        12.0 person#1 at 12.0,30.0
        14.0 person#1 at 8.0,30.0
        22.0 person#1 at 8.0,30.0
        24.0 person#1 at 12.0,30.0
        34.0 person#1 at 12.0,30.0
        ",
        &expect![[r#"
            loitering starts (revision 1): person#1 since 0.0, decided at 30.2
                dwell: 20.0 >= 20.0 s [0.0 to 30.2]
                in_zone: true = true [30.2 to 30.2]
                hand_overs: 0.0 <= 1.0 [0.0 to 30.2]
                class: "person" = "person" [0.0 to 30.2]
                class_share: 1.0 >= 0.5 [0.0 to 30.2]
                pictures of 0.0, 30.2
            loitering is over (revision 2): person#1 since 0.0 until 34.0, dwell_s 23.8, end_reason "stream_ended"
        "#]],
    );
}

#[test]
fn a_name_that_changes_all_the_time_is_nobodys_dwell() {
    let mut story = "0.0 person#1 at 30.0,30.0\n".to_owned();
    for id in 2..12_u32 {
        writeln!(story, "{:.1} person#1 is #{id}", 3.0 * f64::from(id - 1)).unwrap();
    }
    story += "33.0 person#1 at 30.0,30.0";
    check(RULE, &story, &expect![[""]]);
}

#[test]
fn the_time_of_a_frozen_picture_is_taken_back() {
    check(
        RULE,
        "
        0.0 person#1 at 30.0,30.0
        10.0 frozen 19.0
        26.0 person#1 at 30.0,30.0
        ",
        &expect![[""]],
    );
}
