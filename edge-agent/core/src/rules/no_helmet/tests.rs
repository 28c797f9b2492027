use expect_test::expect;

use crate::rules::testing::check;

const RULE: &str = r#"kind = "no_helmet"
min_head_pct = 0.5"#;

#[test]
fn a_bare_head_on_a_moving_motorcycle() {
    check(
        RULE,
        "
        0.0 motorcycle#1 at 20.0,30.0
        0.0 person#2 at 20.0,29.6
        0.0 person#2 shows no_helmet
        4.0 motorcycle#1 at 50.0,30.0
        4.0 person#2 at 50.0,29.6
        ",
        &expect![[r#"
            no_helmet starts (revision 1): motorcycle#1 and person#2 since 0.0 until 0.8, decided at 0.8
                looks_against: 5.0 >= 5.0 [0.0 to 0.8]
                head_height: 0.6 >= 0.5 % [0.0 to 0.8]
                drives: 27.0 >= 5.0 km/h [0.0 to 0.8]
                class: "motorcycle" = "motorcycle" [0.0 to 0.8]
                class_share: 1.0 >= 0.5 [0.0 to 0.8]
                pictures of 0.0, 0.8
        "#]],
    );
}

#[test]
fn silent_stories() {
    for story in [
        // With a helmet.
        "0.0 motorcycle#1 at 20.0,30.0
         0.0 person#2 at 20.0,29.6
         0.0 person#2 shows helmet
         4.0 motorcycle#1 at 50.0,30.0
         4.0 person#2 at 50.0,29.6",
        // A bare head and a doubtful helmet on it.
        "0.0 motorcycle#1 at 20.0,30.0
         0.0 person#2 at 20.0,29.6
         0.0 person#2 shows no_helmet
         0.0 person#2 shows helmet 0.2
         4.0 motorcycle#1 at 50.0,30.0
         4.0 person#2 at 50.0,29.6",
        // A doubtful bare head.
        "0.0 motorcycle#1 at 20.0,30.0
         0.0 person#2 at 20.0,29.6
         0.0 person#2 shows no_helmet 0.3
         4.0 motorcycle#1 at 50.0,30.0
         4.0 person#2 at 50.0,29.6",
        // For too few looks, and with a helmet before and after.
        "0.0 motorcycle#1 at 20.0,30.0
         0.0 person#2 at 20.0,29.6
         0.0 person#2 shows helmet
         1.0 person#2 shows no_helmet
         1.0 person#2 lacks helmet
         1.6 person#2 shows helmet
         1.6 person#2 lacks no_helmet
         4.0 motorcycle#1 at 50.0,30.0
         4.0 person#2 at 50.0,29.6",
        // On a parked motorcycle.
        "0.0 motorcycle#1 at 20.0,30.0
         0.0 person#2 at 20.0,29.6
         0.0 person#2 shows no_helmet
         9.0 motorcycle#1 at 20.0,30.0
         9.0 person#2 at 20.0,29.6",
        // On foot, and on a bicycle.
        "0.0 person#2 at 20.0,29.6
         0.0 person#2 shows no_helmet
         9.0 person#2 at 40.0,29.6",
        "0.0 bicycle#1 at 20.0,30.0
         0.0 bicycle#1 size 1.8,1.4
         0.0 person#2 at 20.0,29.6
         0.0 person#2 shows no_helmet
         4.0 bicycle#1 at 50.0,30.0
         4.0 person#2 at 50.0,29.6",
    ] {
        check(RULE, story, &expect![[""]]);
    }
}

#[test]
fn a_passer_bys_bare_head_is_not_the_riders() {
    // Somebody walks level with a motorcycle in slow traffic, before it.
    check(
        RULE,
        "
        0.0 motorcycle#1 at 20.0,30.0
        0.0 person#2 at 20.0,29.6
        0.0 person#3 at 20.2,30.3
        0.0 person#3 shows no_helmet
        6.0 motorcycle#1 at 30.0,30.0
        6.0 person#2 at 30.0,29.6
        6.0 person#3 at 30.2,30.3
        ",
        &expect![[""]],
    );
}

#[test]
fn a_child_between_two_helmets_is_for_review() {
    let story = "
        0.0 motorcycle#1 at 20.0,30.0
        0.0 person#2 at 20.0,29.6
        0.0 person#2 shows helmet
        0.0 person#3 at 20.5,29.7
        0.0 person#3 shows no_helmet
        4.0 motorcycle#1 at 50.0,30.0
        4.0 person#2 at 50.0,29.6
        4.0 person#3 at 50.5,29.7
    ";
    let mut scene = crate::rules::testing::scene(RULE, true);
    let out = crate::rules::testing::play(&mut scene, story);
    let event = crate::rules::testing::events(&out).next().unwrap();
    let fact = |key: &str| serde_json::to_string(&event.facts[key]).unwrap();
    assert_eq!(fact("heads"), "2.0");
    assert!(fact("review").contains("under 6"), "{event:?}");
}

#[test]
fn a_frozen_picture_is_one_look() {
    check(
        RULE,
        "
        0.0 motorcycle#1 at 20.0,30.0
        0.0 person#2 at 20.0,29.6
        0.8 person#2 shows no_helmet
        1.0 motorcycle#1 at 30.0,30.0
        1.0 person#2 at 30.0,29.6
        1.0 frozen 1.5
        1.6 person#2 lacks no_helmet
        4.0 motorcycle#1 at 50.0,30.0
        4.0 person#2 at 50.0,29.6
        ",
        &expect![[""]],
    );
}

/// Also of one of two: whose ballot nobody asked while the passenger's head was not seen.
#[test]
fn a_frozen_picture_is_one_look_of_a_passenger_too() {
    check(
        RULE,
        "
        0.0 motorcycle#1 at 20.0,30.0
        0.0 person#2 at 20.0,29.6
        0.0 person#3 at 20.2,29.5
        0.0 person#2 shows helmet
        0.8 person#3 shows no_helmet
        1.0 frozen 1.5
        1.6 person#3 lacks no_helmet
        3.0 person#3 shows no_helmet
        3.1 person#3 lacks no_helmet
        4.0 motorcycle#1 at 50.0,30.0
        4.0 person#2 at 50.0,29.6
        4.0 person#3 at 50.2,29.5
        ",
        &expect![[""]],
    );
}

/// A ride of two, the passenger well behind the driver, with more of the story.
fn ride_of_two(more: &str) -> String {
    let story = format!(
        "
        0.0 motorcycle#1 at 20.0,30.0
        0.0 person#2 at 20.0,29.6
        0.0 person#3 at 20.6,29.4
        {more}
        4.0 motorcycle#1 at 50.0,30.0
        4.0 person#2 at 50.0,29.6
        4.0 person#3 at 50.6,29.4
        "
    );
    let mut scene = crate::rules::testing::scene(RULE, true);
    let out = crate::rules::testing::play(&mut scene, &story);
    let events = crate::rules::testing::events(&out);
    let told = events.map(|event| format!("{:?}", event.facts["bare_heads"]));
    told.collect::<Vec<_>>().join(", ")
}

/// The track of a rider breaks more easily than the machine's. The looks before counted for
/// nobody, and those after it from nothing.
#[test]
fn a_rider_who_is_found_again_under_another_name_goes_on_with_its_looks() {
    let found_again = "
        0.0 person#3 shows helmet
        0.0 person#2 shows no_helmet
        0.7 person#2 is #7
        1.3 person#2 lacks no_helmet";
    assert_eq!(ride_of_two(found_again), "Number(1.0)");
    // Of both, when both are lost for a moment.
    let both = "
        0.0 person#3 shows helmet
        0.0 person#2 shows no_helmet
        0.7 person#2 is #7
        0.7 person#3 is #8
        1.3 person#2 lacks no_helmet";
    assert_eq!(ride_of_two(both), "Number(1.0)");
}

#[test]
fn names_that_change_places_neither_part_a_riders_looks_nor_join_two_riders() {
    let exchange = "
        1.0 person#2 is #3
        1.0 person#3 is #2";
    let same_head = format!(
        "0.4 person#2 shows no_helmet
        0.0 person#3 shows helmet
        1.6 person#2 lacks no_helmet
        {exchange}"
    );
    assert_eq!(ride_of_two(&same_head), "Number(1.0)");
    // Three looks at the driver, and as many at the passenger, under one name.
    let two_heads = format!(
        "0.4 person#2 shows no_helmet
        1.0 person#2 lacks no_helmet
        1.0 person#3 shows no_helmet
        1.6 person#3 lacks no_helmet
        {exchange}"
    );
    assert_eq!(ride_of_two(&two_heads), "");
}

/// One was seen bare three times, the other was, and each was the only rider when it was seen.
#[test]
fn the_bare_heads_of_two_who_are_seen_one_after_the_other_are_not_one() {
    let story = |passenger: f64| {
        let (from, to) = (31.25 + passenger, 50.0 + passenger);
        format!(
            "
            0.0 motorcycle#1 at 20.0,30.0
            0.0 person#2 at 20.0,29.6
            0.0 person#2 shows no_helmet
            0.6 person#2 at 24.5,29.6
            0.6 person#2 hides
            1.5 person#3 at {from},29.5
            1.5 person#3 shows no_helmet
            2.3 person#3 lacks no_helmet
            4.0 motorcycle#1 at 50.0,30.0
            4.0 person#3 at {to},29.5
            "
        )
    };
    let raised = |story: &str| {
        let mut scene = crate::rules::testing::scene(RULE, true);
        let out = crate::rules::testing::play(&mut scene, story);
        crate::rules::testing::events(&out).count()
    };
    assert_eq!(raised(&story(0.6)), 0);
    // Where the one was lost, it is the same.
    assert_eq!(raised(&story(0.0)), 1);
}

#[test]
fn a_detector_without_its_class_is_no_watch() {
    use crate::coverage::Unwatched;
    use crate::input::Output;
    use protocol::ObjectClass as C;

    let story = "
        0.0 motorcycle#1 at 20.0,30.0
        4.0 motorcycle#1 at 50.0,30.0
    ";
    for (given, reasons) in [
        (vec![C::Person, C::Motorcycle], vec![Unwatched::NoModel]),
        (vec![C::Person, C::Motorcycle, C::NoHelmet], vec![]),
    ] {
        let mut scene = crate::rules::testing::scene(RULE, true);
        scene.expect_classes(given);
        let out = crate::rules::testing::play(&mut scene, story);
        let hours = out.iter().filter_map(|output| match output {
            Output::Coverage(hour) => Some(hour),
            _ => None,
        });
        let told: Vec<Unwatched> = hours.flat_map(|h| h.unwatched_s.keys().copied()).collect();
        assert_eq!(told, reasons);
    }
}
