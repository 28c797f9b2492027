use expect_test::expect;

use crate::rules::testing::{check, events, play, scene};

const RULE: &str = r#"
    kind = "stop_line"
    line = "stop"
    signal = "main"
"#;

const INNOCENT: &[(&str, &str)] = &[
    (
        "stops before the line",
        "0.0 signal red
         0.0 car#1 at 20.0,30.0
         3.0 car#1 at 45.0,30.0
         9.0 car#1 at 45.0,30.0",
    ),
    (
        "crosses on green and is caught by red",
        "0.0 signal green
         0.0 car#1 at 30.0,30.0
         3.0 car#1 at 51.0,30.0
         5.0 signal red
         12.0 car#1 at 51.0,30.0",
    ),
    (
        "stands beyond the line when red begins",
        "0.0 signal green
         0.0 car#1 at 51.5,30.0
         4.0 signal red
         12.0 car#1 at 51.5,30.0",
    ),
    (
        "drives on into the junction",
        "0.0 signal red
         0.0 car#1 at 30.0,30.0
         6.0 car#1 at 80.0,30.0",
    ),
    (
        "rolls slowly without standing",
        "0.0 signal red
         0.0 car#1 at 40.0,30.0
         4.0 car#1 at 49.0,30.0
         9.0 car#1 at 53.0,30.0",
    ),
    (
        "is released by green before it has stood for long",
        "0.0 signal red
         0.0 car#1 at 30.0,30.0
         4.0 car#1 at 50.0,30.0
         5.0 signal green
         12.0 car#1 at 50.0,30.0",
    ),
    (
        "is not seen to stand",
        "0.0 signal red
         0.0 car#1 at 30.0,30.0
         4.0 car#1 at 50.0,30.0
         4.6 car#1 hides
         9.0 car#1 at 50.0,30.0
         9.2 car#1 at 50.0,30.0",
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
fn over_the_line_on_red_and_standing_there() {
    check(
        RULE,
        "
        0.0 signal red
        0.0 motorcycle#1 at 30.0,30.0
        4.0 motorcycle#1 at 51.0,30.0
        8.0 motorcycle#1 at 51.0,30.0
        ",
        &expect![[r#"
            stop_line starts (revision 1): motorcycle#1 since 3.6 until 6.0, decided at 6.0
                signal_at_crossing: "red" = "red" [3.6 to 3.7]
                red_for_at_crossing: 3.624 >= 0.5 s [3.6 to 3.7]
                clock_margin: 2.376 >= 0.0 s [3.6 to 6.0]
                behind_line_on_red: 0.125 > 0.042 m [3.6 to 3.6]
                moved_as_a_whole: 1.0 >= 0.2 [3.6 to 6.0]
                beyond_its_motion: 0.0 <= 2.5 m [3.6 to 6.0]
                stands_beyond_line_for: 2.0 >= 2.0 s [4.0 to 6.0]
                beyond_line: 1.975 <= 5.0 m [4.0 to 6.0]
                surely_beyond_line: 1.975 >= 0.7 m [4.0 to 6.0]
                signal_during_travel: "red" = "red" [3.7 to 6.0]
                class: "motorcycle" = "motorcycle, car, bus, truck" [0.0 to 6.0]
                class_share: 1.0 >= 0.5 [0.0 to 6.0]
                pictures of 3.6, 3.7, 4.0, 6.0
        "#]],
    );
}

#[test]
fn one_that_waits_before_the_line_and_then_creeps_over_it() {
    check(
        RULE,
        "
        0.0 signal red
        0.0 car#1 at 30.0,30.0
        3.0 car#1 at 46.5,30.0
        6.0 car#1 at 46.5,30.0
        8.0 car#1 at 49.5,30.0
        12.0 car#1 at 49.5,30.0
        ",
        &expect![[r#"
            stop_line starts (revision 1): car#1 since 6.8 until 9.4, decided at 9.4
                signal_at_crossing: "red" = "red" [6.7 to 7.0]
                red_for_at_crossing: 6.833 >= 0.5 s [6.7 to 7.0]
                clock_margin: 2.567 >= 0.0 s [6.7 to 9.4]
                behind_line_on_red: 0.2 > 0.2 m [6.7 to 6.7]
                moved_as_a_whole: 1.0 >= 0.2 [6.7 to 9.4]
                beyond_its_motion: 0.0 <= 2.5 m [6.7 to 9.4]
                stands_beyond_line_for: 2.0 >= 2.0 s [7.4 to 9.4]
                beyond_line: 1.75 <= 5.0 m [7.4 to 9.4]
                surely_beyond_line: 1.75 >= 0.7 m [7.4 to 9.4]
                signal_during_travel: "red" = "red" [7.0 to 9.4]
                class: "car" = "motorcycle, car, bus, truck" [0.0 to 9.4]
                class_share: 1.0 >= 0.5 [0.0 to 9.4]
                pictures of 6.7, 7.0, 7.4, 9.4
        "#]],
    );
}
