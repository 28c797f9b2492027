use std::fmt::Write as _;

use expect_test::expect;

use crate::rules::testing::check;

const RULE: &str = r#"kind = "plate_obscured"
min_height_pct = 1.0
min_neighbours = 3"#;

/// Cars that come one after the other, 4 s each; which show a plate.
fn column(kind: &str, (from, to): (f64, f64), plates: &[bool]) -> String {
    let mut story = String::new();
    for (index, has_plate) in plates.iter().enumerate() {
        let (id, start) = (index + 1, 5.0 * index as f64);
        writeln!(story, "{start} {kind}#{id} at 50.0,{from}").unwrap();
        if *has_plate {
            writeln!(story, "{start} {kind}#{id} shows plate").unwrap();
        }
        writeln!(story, "{} {kind}#{id} at 50.0,{to}", start + 4.0).unwrap();
        writeln!(story, "{} {kind}#{id} hides", start + 4.1).unwrap();
    }
    story
}

#[test]
fn one_without_a_plate_among_neighbours_with() {
    let story = column("car", (10.0, 40.0), &[true, true, true, false]);
    check(
        RULE,
        &story,
        &expect![[r#"
        plate_obscured starts (revision 1): car#4 since 15.4 until 17.5, decided at 17.5
            plate_looks: 0.0 <= 0.0 [15.4 to 17.5]
            visible_for: 2.1 >= 2.0 s [15.4 to 17.5]
            height: 4.0 >= 1.0 % [15.4 to 17.5]
            neighbours: 3.0 >= 3.0 [15.4 to 17.5]
            neighbours_share: 100.0 >= 90.0 % [15.4 to 17.5]
            class: "car" = "motorcycle, car, bus, truck" [15.0 to 17.5]
            class_share: 1.0 >= 0.5 [15.0 to 17.5]
            pictures of 15.4, 17.5
    "#]],
    );
}

#[test]
fn silent_stories() {
    for story in [
        // Too few neighbours; and at night nobody shows one.
        column("car", (10.0, 40.0), &[true, true, false]),
        column("car", (10.0, 40.0), &[false, false, false, false, false]),
        // A motorcycle has none at its front.
        format!(
            "{}{}",
            column("motorcycle", (40.0, 10.0), &[true, true, true]),
            "20.0 motorcycle#9 at 50.0,10.0
             24.0 motorcycle#9 at 50.0,40.0"
        ),
        // Who goes the other way is lit otherwise.
        format!(
            "{}{}",
            column("car", (10.0, 40.0), &[true, true, true]),
            "20.0 car#9 at 50.0,40.0
             24.0 car#9 at 50.0,10.0"
        ),
        // A doubtful plate is one.
        format!(
            "{}{}",
            column("car", (10.0, 40.0), &[true, true, true]),
            "20.0 car#9 at 50.0,10.0
             20.0 car#9 shows plate 0.1
             24.0 car#9 at 50.0,40.0"
        ),
        // Somebody rides close behind it all the way.
        format!(
            "{}{}",
            column("car", (10.0, 40.0), &[true, true, true]),
            "20.0 car#9 at 50.0,10.0
             20.0 motorcycle#8 at 50.0,10.5
             24.0 car#9 at 50.0,40.0
             24.0 motorcycle#8 at 50.0,40.5"
        ),
        // It stands.
        format!(
            "{}{}",
            column("car", (10.0, 40.0), &[true, true, true]),
            "20.0 car#9 at 50.0,30.0
             30.0 car#9 at 50.0,30.0"
        ),
    ] {
        check(RULE, &story, &expect![[""]]);
    }
}
