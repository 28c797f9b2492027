use expect_test::expect;

use crate::rules::testing::check;

const RULE: &str = r#"kind = "overtaking"
zone = "road"
direction = [[0.1, 0.5], [0.9, 0.5]]"#;

#[test]
fn a_car_passes_a_lorry() {
    check(
        RULE,
        "
        0.0 truck#1 at 25.0,30.0
        0.0 car#2 at 12.0,30.0
        3.0 car#2 at 42.0,27.0
        7.0 truck#1 at 60.0,30.0
        7.0 car#2 at 85.0,29.0
        ",
        &expect![[r#"
            overtaking starts (revision 1): car#2 and truck#1 since 1.7 until 3.4, decided at 3.4
                was_behind: 4.5 >= 4.0 m [1.7 to 1.7]
                is_ahead: 4.3 >= 4.0 m [3.4 to 3.4]
                beside: 2.8 <= 4.5 m [3.4 to 3.4]
                took: 1.7 <= 20.0 s [1.7 to 3.4]
                drives: 18.0 >= 10.0 km/h [3.4 to 3.4]
                in_zone: true = true [3.4 to 3.4]
                class: "car" = "car, bus, truck" [0.0 to 3.4]
                class_share: 1.0 >= 0.5 [0.0 to 3.4]
                pictures of 1.7, 3.4
        "#]],
    );
}

#[test]
fn silent_stories() {
    for story in [
        // Passes one that stands, and one two lanes off.
        "0.0 truck#1 at 40.0,30.0
         7.0 truck#1 at 40.0,30.0
         0.0 car#2 at 12.0,30.0
         7.0 car#2 at 85.0,27.0",
        "0.0 truck#1 at 25.0,35.0
         0.0 car#2 at 12.0,15.0
         7.0 truck#1 at 60.0,35.0
         7.0 car#2 at 85.0,15.0",
        // Stays behind.
        "0.0 truck#1 at 25.0,30.0
         0.0 car#2 at 12.0,30.0
         7.0 truck#1 at 60.0,30.0
         7.0 car#2 at 50.0,30.0",
        // Comes the other way.
        "0.0 truck#1 at 25.0,30.0
         0.0 car#2 at 80.0,27.0
         7.0 truck#1 at 60.0,30.0
         7.0 car#2 at 12.0,27.0",
        // Nobody saw it.
        "0.0 truck#1 at 25.0,30.0
         0.0 car#2 at 15.0,30.0
         1.0 gap 6.0
         7.0 truck#1 at 60.0,30.0
         7.0 car#2 at 85.0,28.0",
    ] {
        check(RULE, story, &expect![[""]]);
    }
}
