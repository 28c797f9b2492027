use expect_test::expect;

use crate::rules::testing::check;

const RULE: &str = r#"kind = "animal"
zone = "road""#;

#[test]
fn a_buffalo_on_the_carriageway() {
    check(
        RULE,
        "
        1.0 animal#1 at 50.0,5.0
        4.0 animal#1 at 50.0,15.0
        9.0 animal#1 at 60.0,15.0
        ",
        &expect![[r#"
            animal starts (revision 1): animal#1 since 2.5, decided at 4.5
                on_carriageway_for: 2.0 >= 2.0 s [2.5 to 4.5]
                height: 4.0 >= 2.0 % [4.5 to 4.5]
                class: "animal" = "animal" [1.0 to 4.5]
                class_share: 1.0 >= 0.5 [1.0 to 4.5]
                pictures of 2.5, 4.5
            animal is over (revision 2): animal#1 since 2.5 until 9.0, dwell_s 6.5, end_reason "stream_ended"
        "#]],
    );
}

#[test]
fn silent_stories() {
    for story in [
        // Beside the road, small, or only for a moment.
        "1.0 animal#1 at 50.0,5.0
         9.0 animal#1 at 60.0,5.0",
        "1.0 animal#1 at 50.0,15.0
         1.0 animal#1 size 0.3,0.3
         9.0 animal#1 at 60.0,15.0",
        "1.0 animal#1 at 50.0,15.0
         2.5 animal#1 at 51.0,15.0",
        "1.0 person#1 at 50.0,15.0
         9.0 person#1 at 60.0,15.0",
    ] {
        check(RULE, story, &expect![[""]]);
    }
}
