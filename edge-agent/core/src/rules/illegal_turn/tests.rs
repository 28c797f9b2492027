use expect_test::expect;

use crate::rules::testing::{events, play_with, told};

const PLACES: &str = r#"
    [[line]]
    id = "out"
    from = [0.55, 0.3]
    to = [0.85, 0.3]
    towards = [0.7, 0.2]
"#;

const RULE: &str = r#"
    kind = "illegal_turn"
    entry_line = "stop"
    exit_line = "out"
"#;

const INNOCENT: &[(&str, &str)] = &[
    (
        "drives straight on",
        "0.0 car#1 at 30.0,30.0
         6.0 car#1 at 90.0,30.0",
    ),
    (
        "leaves that way but came from elsewhere",
        "0.0 car#1 at 70.0,45.0
         5.0 car#1 at 70.0,5.0",
    ),
    (
        "comes in and backs out again before somebody leaves under its id",
        "0.0 car#1 at 40.0,30.0
         2.0 car#1 at 56.0,30.0
         4.0 car#1 at 40.0,30.0
         8.0 car#1 at 40.0,5.0",
    ),
    (
        "is on foot",
        "0.0 person#1 at 40.0,30.0
         6.0 person#1 at 70.0,30.0
         12.0 person#1 at 70.0,5.0",
    ),
];

#[test]
fn the_innocent_are_not_accused() {
    for (who, story) in INNOCENT {
        let out = play_with(PLACES, RULE, story);
        assert_eq!(events(&out).count(), 0, "accused although it {who}");
    }
}

#[test]
fn in_by_one_arm_and_out_by_a_forbidden_one() {
    let out = play_with(
        PLACES,
        RULE,
        "
        0.0 car#1 at 30.0,30.0
        4.0 car#1 at 66.0,30.0
        4.5 car#1 at 69.0,28.0
        5.0 car#1 at 70.0,24.0
        7.0 car#1 at 70.0,5.0
        ",
    );
    expect![[r#"
        illegal_turn starts (revision 1): car#1 since 2.0 until 5.5, decided at 5.5
            came_in: 0.325 > 0.1 box heights [1.9 to 2.0]
            left: 0.325 > 0.1 box heights [5.4 to 5.5]
            turn_took: 3.496 <= 30.0 s [1.9 to 5.5]
            class: "car" = "motorcycle, car, bus, truck" [0.0 to 5.5]
            class_share: 1.0 >= 0.5 [0.0 to 5.5]
            pictures of 1.9, 2.0, 5.4, 5.5
    "#]]
    .assert_eq(&told(&out));
}
