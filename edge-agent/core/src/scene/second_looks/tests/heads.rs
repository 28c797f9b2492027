//! Bare heads: whose they are, and how many looks of both models must show them.

use std::fmt::Write as _;

use expect_test::expect;
use protocol::ObjectClass;

use super::{HELMET, PASSENGER, RIDE, cascading, check, looks};
use crate::input::Output;
use crate::rules::testing::{events, play, told};

#[test]
fn bare_heads_that_only_second_looks_show_are_counted_in_their_frames() {
    let story = format!("{RIDE}{}", looks("person#2", "no_helmet", (1.0, 0.5, 6)));
    check(
        &mut cascading(HELMET, &[]),
        &story,
        &expect![[r#"
        no_helmet starts (revision 1): motorcycle#1 and person#2 since 1.0 until 3.0 plate `` (no picture of it was good enough for a look at its plate, or the answer came too late), decided at 3.0
            looks_against: 5.0 >= 5.0 [1.0 to 3.0]
            head_height: 0.567 >= 0.5 % [1.0 to 3.0]
            drives: 27.0 >= 5.0 km/h [1.0 to 3.0]
            class: "motorcycle" = "motorcycle" [0.0 to 3.0]
            class_share: 1.0 >= 0.5 [0.0 to 3.0]
            pictures of 1.0, 3.0
        no_helmet goes on (revision 2): motorcycle#1 and person#2 since 1.0 until 3.0 plate `` (no picture of it was good enough for a look at its plate, or the answer came too late, finally), 
    "#]],
    );
}

#[test]
fn what_a_classifier_is_shown_is_larger_than_the_head_in_it() {
    let raised = |least: &str, who: &str| {
        let rule = format!("kind = \"no_helmet\"\nmin_head_pct = {least}");
        let bare = looks(who, "no_helmet", (1.0, 0.5, 6));
        let ride: Vec<&str> = RIDE.lines().filter(|line| line.contains(who)).collect();
        let ride = if who == "person#2" {
            RIDE.to_owned()
        } else {
            ride.join("\n")
        };
        let out = play(&mut cascading(&rule, &[]), &format!("{ride}\n{bare}"));
        events(&out).filter(|event| event.revision == 1).count()
    };
    // A rider of 1.7 m in a picture 50 m high: 3.4 %, of which a sixth; upper half 1.7 %.
    assert_eq!(
        ["0.5", "0.6", "1.5"].map(|least| raised(least, "person#2")),
        [1, 0, 0]
    );
    // No rider was seen: of a machine of 1.4 m, 2.8 %, a fifth.
    assert_eq!(
        ["0.5", "0.6", "1.2"].map(|least| raised(least, "motorcycle#1")),
        [1, 0, 0]
    );
}

#[test]
fn second_looks_that_do_not_accuse() {
    let both = [ObjectClass::Helmet, ObjectClass::NoHelmet];
    for (name, detector, more) in [
        (
            "with a helmet",
            &[][..],
            looks("person#2", "helmet", (1.0, 0.5, 6)),
        ),
        (
            "doubtful",
            &[],
            looks("person#2", "no_helmet 0.3", (1.0, 0.5, 6)),
        ),
        (
            "too few",
            &[],
            looks("person#2", "no_helmet", (1.0, 0.5, 4)),
        ),
        (
            "of the legs",
            &[],
            looks("person#2", "lower:no_helmet", (1.0, 0.5, 6)),
        ),
        (
            "of the wheels",
            &[],
            looks("motorcycle#1", "lower:no_helmet", (1.0, 0.5, 6)),
        ),
        (
            "too close to each other",
            &[],
            looks("person#2", "no_helmet", (1.0, 0.1, 8)),
        ),
        (
            "of the same head the detector is contradicted",
            &both,
            format!(
                "0.0 person#2 shows no_helmet\n0.5 person#2 lacks no_helmet\n{}",
                looks("person#2", "helmet", (0.0, 0.1, 6))
            ),
        ),
    ] {
        let out = play(&mut cascading(HELMET, detector), &format!("{RIDE}{more}"));
        assert_eq!(told(&out), "", "{name}");
    }
}

#[test]
fn looks_of_the_detector_and_second_looks_are_counted_together() {
    let both = [ObjectClass::Helmet, ObjectClass::NoHelmet];
    // Three looks of the detector, the last of which a cascade confirms, and two more.
    let story = format!(
        "{RIDE}0.0 person#2 shows no_helmet\n0.5 person#2 lacks no_helmet\n{}",
        looks("person#2", "no_helmet", (0.4, 0.5, 3))
    );
    check(
        &mut cascading(HELMET, &both),
        &story,
        &expect![[r#"
        no_helmet starts (revision 1): motorcycle#1 and person#2 since 0.0 until 1.4 plate `` (no picture of it was good enough for a look at its plate, or the answer came too late), decided at 1.4
            looks_against: 5.0 >= 5.0 [0.0 to 1.4]
            head_height: 0.6 >= 0.5 % [0.0 to 1.4]
            drives: 27.0 >= 5.0 km/h [0.0 to 1.4]
            class: "motorcycle" = "motorcycle" [0.0 to 1.4]
            class_share: 1.0 >= 0.5 [0.0 to 1.4]
            pictures of 0.0, 0.4, 1.4
        no_helmet goes on (revision 2): motorcycle#1 and person#2 since 0.0 until 1.4 plate `` (no picture of it was good enough for a look at its plate, or the answer came too late, finally), 
    "#]],
    );
}

#[test]
fn the_riders_of_one_machine_are_one_look_whoever_is_answered_for_first() {
    let bare = looks("person#2", "no_helmet", (1.0, 0.5, 6));
    let covered = looks("person#3", "helmet", (1.0, 0.5, 6));
    let one = play(
        &mut cascading(HELMET, &[]),
        &format!("{RIDE}{PASSENGER}{bare}{covered}"),
    );
    let other = play(
        &mut cascading(HELMET, &[]),
        &format!("{RIDE}{PASSENGER}{covered}{bare}"),
    );
    assert_eq!(one, other);
    let raised = events(&one).filter(|event| event.revision == 1);
    assert_eq!(raised.count(), 1, "{}", told(&one));
}

/// What looks at somebody say, one each half second from 1.0 on: `b`are, `h`elmet.
fn heads(who: &str, looks: &str) -> String {
    (looks.chars().enumerate()).fold(String::new(), |mut story, (index, look)| {
        let t = 1.0 + 0.5 * index as f64;
        let what = if look == 'b' { "no_helmet" } else { "helmet" };
        writeln!(story, "{t:.1} {who} looked {what}").unwrap();
        story
    })
}

/// A ride of two with these looks at each.
fn play_heads(driver: &str, rider: &str) -> Vec<Output> {
    let looks = [heads("person#2", driver), heads("person#3", rider)].concat();
    let story = format!("{RIDE}{PASSENGER}{looks}");
    play(&mut cascading(HELMET, &[]), &story)
}

/// One look in three errs with each rider, so that more than every second one shows some
/// bare head: together they accused, though nobody was bare in most looks.
#[test]
fn bare_heads_of_driver_and_passenger_by_turns_are_not_one_bare_head() {
    let mut said = String::new();
    for (driver, rider) in [
        ("bhhbhhb", "hbhhbhh"),
        ("bhhhbhb", "hbbhhbh"),
        ("hhhhhhh", "bbhbhbb"),
        ("bbbbbhh", "bbbbbhh"),
    ] {
        let out = play_heads(driver, rider);
        let raised = events(&out).filter(|event| event.revision == 1);
        let raised: Vec<String> = raised
            .map(|event| format!("{:?}", event.facts["bare_heads"]))
            .collect();
        writeln!(said, "{driver} {rider}: {}", raised.join(", ")).unwrap();
    }
    expect![[r"
        bhhbhhb hbhhbhh: 
        bhhhbhb hbbhhbh: 
        hhhhhhh bbhbhbb: Number(1.0)
        bbbbbhh bbbbbhh: Number(1.0)
    "]]
    .assert_eq(&said);
}

/// The looks at two riders of one frame are answered one after the other: the first that
/// decides knows of one bare head only.
#[test]
fn an_event_tells_how_many_were_bare_together_as_soon_as_it_is_known() {
    let mut said = String::new();
    for (driver, rider) in [
        ("bbbbbhh", "bbbbbhh"),
        // Each bare often enough, but not together.
        ("bbbbbhh", "hhbbbbb"),
        ("bbbbbbb", "hhhhhbb"),
    ] {
        let out = play_heads(driver, rider);
        let told: Vec<String> = events(&out)
            .map(|event| format!("{} {:?}", event.revision, event.facts["bare_heads"]))
            .collect();
        writeln!(said, "{driver} {rider}: {}", told.join(", ")).unwrap();
    }
    expect![[r"
        bbbbbhh bbbbbhh: 1 Number(1.0), 2 Number(2.0), 3 Number(2.0)
        bbbbbhh hhbbbbb: 1 Number(1.0), 2 Number(1.0)
        bbbbbbb hhhhhbb: 1 Number(1.0), 2 Number(1.0)
    "]]
    .assert_eq(&said);
}
