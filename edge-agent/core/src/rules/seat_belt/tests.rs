use expect_test::expect;

use crate::rules::testing::check;

const RULE: &str = r#"kind = "seat_belt"
min_torso_pct = 0.5"#;

#[test]
fn no_belt_in_most_looks() {
    check(
        RULE,
        "
        0.0 car#1 at 50.0,10.0
        0.0 car#1 shows no_seat_belt
        4.0 car#1 at 50.0,40.0
        ",
        &expect![[r#"
            seat_belt starts (revision 1): car#1 since 0.0 until 0.8, decided at 0.8
                looks_against: 5.0 >= 5.0 [0.0 to 0.8]
                torso_height: 1.0 >= 0.5 % [0.0 to 0.8]
                drives: 27.0 >= 5.0 km/h [0.0 to 0.8]
                class: "car" = "car, bus, truck" [0.0 to 0.8]
                class_share: 1.0 >= 0.5 [0.0 to 0.8]
                pictures of 0.0, 0.8
        "#]],
    );
}

#[test]
fn silent_stories() {
    for story in [
        "0.0 car#1 at 50.0,10.0
         0.0 car#1 shows seat_belt
         4.0 car#1 at 50.0,40.0",
        // The same torso both ways.
        "0.0 car#1 at 50.0,10.0
         0.0 car#1 shows no_seat_belt
         0.0 car#1 shows seat_belt 0.2
         4.0 car#1 at 50.0,40.0",
        // Now so, now so.
        "0.0 car#1 at 50.0,10.0
         0.0 car#1 shows no_seat_belt
         0.8 car#1 lacks no_seat_belt
         0.8 car#1 shows seat_belt
         1.6 car#1 lacks seat_belt
         1.6 car#1 shows no_seat_belt
         2.4 car#1 lacks no_seat_belt
         2.4 car#1 shows seat_belt
         4.0 car#1 at 50.0,40.0",
        // Parked.
        "0.0 car#1 at 50.0,30.0
         0.0 car#1 shows no_seat_belt
         9.0 car#1 at 50.0,30.0",
    ] {
        check(RULE, story, &expect![[""]]);
    }
}
