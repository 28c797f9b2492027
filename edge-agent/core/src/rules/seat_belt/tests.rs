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
        // Driver and passenger by turns, each in three looks.
        "0.0 car#1 at 50.0,10.0
         0.0 car#1 shows no_seat_belt
         0.6 car#1 shows no_seat_belt 0.9 passenger
         1.2 car#1 lacks no_seat_belt
         4.0 car#1 at 50.0,40.0",
        // It drives away: through the rear window the back seats are seen.
        "0.0 car#1 at 50.0,40.0
         0.0 car#1 shows no_seat_belt
         4.0 car#1 at 50.0,10.0",
        // It comes askew, so that half of its box is its side.
        "0.0 car#1 at 30.0,10.0
         0.0 car#1 shows no_seat_belt
         4.0 car#1 at 50.0,40.0",
        // It stands where it came to by another way.
        "0.0 car#1 at 50.0,40.0
         4.0 car#1 at 50.0,20.0
         5.5 car#1 shows no_seat_belt
         9.0 car#1 at 50.0,20.0",
        // Parked.
        "0.0 car#1 at 50.0,30.0
         0.0 car#1 shows no_seat_belt
         9.0 car#1 at 50.0,30.0",
    ] {
        check(RULE, story, &expect![[""]]);
    }
}

/// One who waits before the light came towards us before, and a passenger is one by itself.
#[test]
fn a_passenger_without_a_belt_beside_a_driver_with_one() {
    let story = "
        0.0 car#1 at 50.0,10.0
        3.0 car#1 at 50.0,40.0
        4.5 car#1 shows seat_belt
        4.5 car#1 shows no_seat_belt 0.9 passenger
        9.0 car#1 at 50.0,40.0
    ";
    let mut scene = crate::rules::testing::scene(RULE, true);
    let out = crate::rules::testing::play(&mut scene, story);
    let told: Vec<String> = crate::rules::testing::events(&out)
        .map(|event| {
            format!(
                "{:?} {:?}",
                event.facts["seat"], event.facts["without_belt"]
            )
        })
        .collect();
    assert_eq!(told, [r#"Text("passenger") Number(1.0)"#]);
}
