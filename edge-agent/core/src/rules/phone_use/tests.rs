use expect_test::expect;

use crate::rules::testing::check;

const RULE: &str = r#"kind = "phone_use"
min_height_pct = 1.0"#;

#[test]
fn a_rider_at_the_phone() {
    check(
        RULE,
        "
        0.0 motorcycle#1 at 20.0,30.0
        0.0 person#2 at 20.0,29.6
        0.0 person#2 shows phone
        4.0 motorcycle#1 at 50.0,30.0
        4.0 person#2 at 50.0,29.6
        ",
        &expect![[r#"
            phone_use starts (revision 1): motorcycle#1 since 0.4 until 1.2, decided at 1.2
                looks_against: 5.0 >= 5.0 [0.4 to 1.2]
                height: 2.8 >= 1.0 % [0.4 to 1.2]
                drives: 27.0 >= 5.0 km/h [0.4 to 1.2]
                riders: 1.0 <= 1.0 [0.4 to 1.2]
                class: "motorcycle" = "motorcycle, car, bus, truck" [0.0 to 1.2]
                class_share: 1.0 >= 0.5 [0.0 to 1.2]
                pictures of 0.4, 1.2
        "#]],
    );
}

#[test]
fn a_driver_at_the_phone_behind_the_windscreen() {
    check(
        RULE,
        "
        0.0 car#1 at 50.0,10.0
        0.0 car#1 shows phone
        4.0 car#1 at 50.0,40.0
        ",
        &expect![[r#"
            phone_use starts (revision 1): car#1 since 0.4 until 1.2, decided at 1.2
                looks_against: 5.0 >= 5.0 [0.4 to 1.2]
                height: 4.0 >= 1.0 % [0.4 to 1.2]
                drives: 27.0 >= 5.0 km/h [0.4 to 1.2]
                class: "car" = "motorcycle, car, bus, truck" [0.0 to 1.2]
                class_share: 1.0 >= 0.5 [0.0 to 1.2]
                pictures of 0.4, 1.2
        "#]],
    );
}

#[test]
fn silent_stories() {
    for story in [
        // The car drives away: whose phone it is nobody knows.
        "0.0 car#1 at 50.0,40.0
         0.0 car#1 shows phone
         4.0 car#1 at 50.0,10.0",
        // Waiting.
        "0.0 car#1 at 50.0,30.0
         0.0 car#1 shows phone
         9.0 car#1 at 50.0,30.0",
        // A passenger may.
        "0.0 motorcycle#1 at 20.0,30.0
         0.0 person#2 at 20.0,29.6
         0.0 person#3 at 20.6,29.7
         0.0 person#3 shows phone
         4.0 motorcycle#1 at 50.0,30.0
         4.0 person#2 at 50.0,29.6
         4.0 person#3 at 50.6,29.7",
        // On foot.
        "0.0 person#2 at 20.0,29.6
         0.0 person#2 shows phone
         9.0 person#2 at 40.0,29.6",
        // For half a second.
        "0.0 car#1 at 50.0,10.0
         1.0 car#1 shows phone
         1.5 car#1 lacks phone
         4.0 car#1 at 50.0,40.0",
    ] {
        check(RULE, story, &expect![[""]]);
    }
}
