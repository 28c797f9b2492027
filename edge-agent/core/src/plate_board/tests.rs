use expect_test::{Expect, expect};
use protocol::{Event, ObjectClass};

use crate::input::Output;
use crate::rules::testing::{cascades, events, play, scene, told};

const STOP: &str = r#"kind = "stopped_vehicle"
    zone = "road"
    min_dwell_s = 3.0"#;

fn played(story: &str) -> Vec<Output> {
    let mut scene = scene(STOP, true);
    scene.expect_classes([ObjectClass::Car, ObjectClass::Motorcycle]);
    scene.expect_second_looks(cascades());
    play(&mut scene, story)
}

fn check(story: &str, expected: &Expect) {
    let out = played(story);
    // Revisions follow each other whoever makes them.
    let revisions: Vec<u32> = events(&out).map(|event| event.revision).collect();
    let expect: Vec<u32> = (1..).take(revisions.len()).collect();
    assert_eq!(revisions, expect);
    expected.assert_eq(&told(&out));
}

const STANDS: &str = "
    0.0 car#1 at 12.0,30.0
    2.0 car#1 at 40.0,30.0
    30.0 car#1 at 40.0,30.0
    32.0 car#1 at 89.0,30.0
";

#[test]
fn a_plate_that_was_read_before_is_on_the_event() {
    let looks = "
        1.0 car#1 looked plate:30A12345
        1.4 car#1 looked plate:30A12345
        1.8 car#1 looked plate:30A12345
    ";
    check(
        &format!("{STANDS}{looks}"),
        &expect![[r#"
        stopped_vehicle starts (revision 1): car#1 since 2.0 plate `30A-123.45` (stated), decided at 5.0
            dwell: 3.0 >= 3.0 s [2.0 to 5.0]
            displacement: 0.0 <= 2.0 m [2.0 to 5.0]
            in_zone: 1.0 >= 0.9 [2.0 to 5.0]
            in_zone_at_decision: true = true [5.0 to 5.0]
            class: "car" = "motorcycle, car, bus, truck" [0.0 to 5.0]
            class_share: 1.0 >= 0.5 [0.0 to 5.0]
            in_queue: false = false [5.0 to 5.0]
            pictures of 2.0, 5.0
        stopped_vehicle is over (revision 2): car#1 since 2.0 until 30.0 plate `30A-123.45` (stated, finally), dwell_s 28.0, end_reason "left", hidden_s 0.0
    "#]],
    );
}

#[test]
fn a_plate_that_is_read_later_is_told_then() {
    let looks = "
        1.0 car#1 looked plate:30A12345
        7.0 car#1 looked plate:30A12345
        8.0 car#1 looked plate:30A12345
    ";
    check(
        &format!("{STANDS}{looks}"),
        &expect![[r#"
        stopped_vehicle starts (revision 1): car#1 since 2.0 plate `???-???.??` (1 looks showed a plate, 3 are needed), decided at 5.0
            dwell: 3.0 >= 3.0 s [2.0 to 5.0]
            displacement: 0.0 <= 2.0 m [2.0 to 5.0]
            in_zone: 1.0 >= 0.9 [2.0 to 5.0]
            in_zone_at_decision: true = true [5.0 to 5.0]
            class: "car" = "motorcycle, car, bus, truck" [0.0 to 5.0]
            class_share: 1.0 >= 0.5 [0.0 to 5.0]
            in_queue: false = false [5.0 to 5.0]
            pictures of 2.0, 5.0
        stopped_vehicle goes on (revision 2): car#1 since 2.0 plate `30A-123.45` (stated), dwell_s 3.0, hidden_s 0.0
        stopped_vehicle is over (revision 3): car#1 since 2.0 until 30.0 plate `30A-123.45` (stated, finally), dwell_s 28.0, end_reason "left", hidden_s 0.0
    "#]],
    );
}

#[test]
fn a_plate_that_is_never_read_is_said_once_with_its_reason() {
    let looks = "
        1.0 car#1 looked plate:
        1.4 car#1 looked plate:XX
    ";
    check(
        &format!("{STANDS}{looks}"),
        &expect![[r#"
        stopped_vehicle starts (revision 1): car#1 since 2.0 plate `` (2 looks read no plate: 1 showed one that fits no plate, 0 one that may be another vehicle's), decided at 5.0
            dwell: 3.0 >= 3.0 s [2.0 to 5.0]
            displacement: 0.0 <= 2.0 m [2.0 to 5.0]
            in_zone: 1.0 >= 0.9 [2.0 to 5.0]
            in_zone_at_decision: true = true [5.0 to 5.0]
            class: "car" = "motorcycle, car, bus, truck" [0.0 to 5.0]
            class_share: 1.0 >= 0.5 [0.0 to 5.0]
            in_queue: false = false [5.0 to 5.0]
            pictures of 2.0, 5.0
        stopped_vehicle goes on (revision 2): car#1 since 2.0 plate `` (2 looks read no plate: 1 showed one that fits no plate, 0 one that may be another vehicle's, finally), dwell_s 3.0, hidden_s 0.0
        stopped_vehicle is over (revision 3): car#1 since 2.0 until 30.0 plate `` (2 looks read no plate: 1 showed one that fits no plate, 0 one that may be another vehicle's, finally), dwell_s 28.0, end_reason "left", hidden_s 0.0
    "#]],
    );
    check(
        STANDS,
        &expect![[r#"
        stopped_vehicle starts (revision 1): car#1 since 2.0 plate `` (no picture of it was good enough for a look at its plate, or the answer came too late), decided at 5.0
            dwell: 3.0 >= 3.0 s [2.0 to 5.0]
            displacement: 0.0 <= 2.0 m [2.0 to 5.0]
            in_zone: 1.0 >= 0.9 [2.0 to 5.0]
            in_zone_at_decision: true = true [5.0 to 5.0]
            class: "car" = "motorcycle, car, bus, truck" [0.0 to 5.0]
            class_share: 1.0 >= 0.5 [0.0 to 5.0]
            in_queue: false = false [5.0 to 5.0]
            pictures of 2.0, 5.0
        stopped_vehicle goes on (revision 2): car#1 since 2.0 plate `` (no picture of it was good enough for a look at its plate, or the answer came too late, finally), dwell_s 3.0, hidden_s 0.0
        stopped_vehicle is over (revision 3): car#1 since 2.0 until 30.0 plate `` (no picture of it was good enough for a look at its plate, or the answer came too late, finally), dwell_s 28.0, end_reason "left", hidden_s 0.0
    "#]],
    );
}

#[test]
fn what_looks_do_not_agree_on_is_not_stated_and_may_be_taken_back() {
    let looks = "
        1.0 car#1 looked plate:30A12345
        1.4 car#1 looked plate:30A12345
        1.8 car#1 looked plate:30A12345
        7.0 car#1 looked plate:30A12845
        8.0 car#1 looked plate:30A12845
    ";
    check(
        &format!("{STANDS}{looks}"),
        &expect![[r#"
        stopped_vehicle starts (revision 1): car#1 since 2.0 plate `30A-123.45` (stated), decided at 5.0
            dwell: 3.0 >= 3.0 s [2.0 to 5.0]
            displacement: 0.0 <= 2.0 m [2.0 to 5.0]
            in_zone: 1.0 >= 0.9 [2.0 to 5.0]
            in_zone_at_decision: true = true [5.0 to 5.0]
            class: "car" = "motorcycle, car, bus, truck" [0.0 to 5.0]
            class_share: 1.0 >= 0.5 [0.0 to 5.0]
            in_queue: false = false [5.0 to 5.0]
            pictures of 2.0, 5.0
        stopped_vehicle goes on (revision 2): car#1 since 2.0 plate `30A-12?.45` (looks disagree on 1 of its characters or are unsure of them), dwell_s 3.0, hidden_s 0.0
        stopped_vehicle goes on (revision 3): car#1 since 2.0 plate `30A-12?.45` (looks disagree on 1 of its characters or are unsure of them, finally), dwell_s 3.0, hidden_s 0.0
        stopped_vehicle is over (revision 4): car#1 since 2.0 until 30.0 plate `30A-12?.45` (looks disagree on 1 of its characters or are unsure of them, finally), dwell_s 28.0, end_reason "left", hidden_s 0.0
    "#]],
    );
}

#[test]
fn corrections_and_the_best_look_are_on_the_event() {
    let looks = "
        1.0 car#1 looked plate:3OA12345 0.7
        1.4 car#1 looked plate:30A12345 0.9
        1.8 car#1 looked plate:30A12345 0.8
    ";
    let out = played(&format!("{STANDS}{looks}"));
    let event: &Event = events(&out).next().unwrap();
    let plate = serde_json::to_string_pretty(&event.actors[0].plate).unwrap();
    expect![[r#"
        {
          "text": "30A12345",
          "display": "30A-123.45",
          "is_stated": true,
          "is_final": false,
          "characters": [
            {
              "symbol": "3",
              "leading": "3",
              "confidence": 0.8,
              "share": 1.0,
              "looks": 3
            },
            {
              "symbol": "0",
              "leading": "0",
              "confidence": 0.653,
              "share": 1.0,
              "looks": 3
            },
            {
              "symbol": "A",
              "leading": "A",
              "confidence": 0.8,
              "share": 1.0,
              "looks": 3
            },
            {
              "symbol": "1",
              "leading": "1",
              "confidence": 0.8,
              "share": 1.0,
              "looks": 3
            },
            {
              "symbol": "2",
              "leading": "2",
              "confidence": 0.8,
              "share": 1.0,
              "looks": 3
            },
            {
              "symbol": "3",
              "leading": "3",
              "confidence": 0.8,
              "share": 1.0,
              "looks": 3
            },
            {
              "symbol": "4",
              "leading": "4",
              "confidence": 0.8,
              "share": 1.0,
              "looks": 3
            },
            {
              "symbol": "5",
              "leading": "5",
              "confidence": 0.8,
              "share": 1.0,
              "looks": 3
            }
          ],
          "looks": 3,
          "of": 3,
          "corrections": [
            {
              "position": 1,
              "read": "O",
              "taken": "0",
              "cause": "confusable",
              "looks": 1
            }
          ],
          "best": {
            "at": {
              "frame": 14,
              "time": "1970-01-01T00:00:01.400000Z"
            },
            "box": [
              0.312,
              0.59,
              0.008,
              0.004
            ]
          }
        }"#]]
    .assert_eq(&plate);
    assert_eq!(event.facts["plate"], "30A-123.45".into());
    assert_eq!(event.facts["plate_reading"], "stated".into());
}

#[test]
fn the_same_answer_twice_is_one_vote() {
    let looks = "
        1.0 car#1 looked plate:30A12345
        1.0 car#1 looked plate:30A12345
        1.1 car#1 looked plate:30A12345
    ";
    let out = played(&format!("{STANDS}{looks}"));
    let plate = events(&out).next().unwrap().actors[0]
        .plate
        .clone()
        .unwrap();
    assert_eq!((plate.looks, plate.of, plate.is_stated), (1, 1, false));
}

/// Stands until 6.0, is out of the picture a second later, and another is there for longer.
const LEAVES: &str = "
    0.0 car#1 at 12.0,30.0
    2.0 car#1 at 40.0,30.0
    6.0 car#1 at 40.0,30.0
    7.0 car#1 at 80.0,30.0
    7.1 car#1 hides
    0.0 car#2 at 12.0,60.0
    25.0 car#2 at 89.0,60.0
    1.0 car#1 looked plate:30A12345
    6.0 car#1 looked plate:30A12345
    6.8 car#1 looked plate:30A12345
";

/// Whoever fled was gone when the answers came, and nobody read the plate.
#[test]
fn answers_that_come_when_the_vehicle_is_gone_vote_until_five_seconds_after_it_was_seen() {
    let told = |answers: &str| {
        let out = played(&format!("{LEAVES}{answers}"));
        let revisions: Vec<u32> = events(&out).map(|event| event.revision).collect();
        let expect: Vec<u32> = (1..).take(revisions.len()).collect();
        assert_eq!(revisions, expect);
        let plates = events(&out).filter_map(|event| event.actors[0].plate.clone());
        plates.last().unwrap()
    };
    let plate = told("0.0 answers 4.5");
    assert_eq!(plate.stated(), Some("30A12345"), "{plate:?}");
    assert_eq!((plate.looks, plate.of), (3, 3));
    // What comes later is of a frame that is forgotten; the last word was said.
    let plate = told("0.0 answers 5.5");
    assert_eq!((plate.stated(), plate.of), (None, 0), "{plate:?}");
    assert!(plate.is_final, "{plate:?}");
}

#[test]
fn a_cut_may_be_made_when_everybody_is_gone() {
    let mut scene = scene(STOP, true);
    scene.expect_second_looks(cascades());
    let looks = "1.0 car#1 looked plate:30A12345";
    play(&mut scene, &format!("{STANDS}{looks}"));
    assert!(scene.is_quiescent());
}

/// The plates of the first actor, revision by revision.
fn plates(story: &str) -> Vec<protocol::plate::NumberPlate> {
    let out = played(story);
    let plates = events(&out).filter_map(|event| event.actors[0].plate.clone());
    plates.collect()
}

#[test]
fn what_is_read_after_a_break_is_another_ballot_and_what_was_told_stands() {
    let looks = "
        1.0 car#1 looked plate:30A12345
        1.4 car#1 looked plate:30A12345
        1.8 car#1 looked plate:30A12345
        15.0 car#1 looked plate:30A99999
        16.0 car#1 looked plate:30A99999
        17.0 car#1 looked plate:30A99999
        18.0 car#1 looked plate:30A99999
    ";
    let hidden = |from: f64, until: f64| {
        let then = format!("{from} car#1 hides\n{until} car#1 at 40.0,30.0\n30.0 car#1");
        STANDS.replace("30.0 car#1", &then)
    };
    let together = plates(&format!("{STANDS}{looks}"));
    assert!(!together.last().unwrap().is_stated, "{together:?}");
    let apart = plates(&format!("{}{looks}", hidden(10.0, 13.0)));
    for plate in &apart {
        assert_eq!(plate.stated(), Some("30A12345"), "{apart:?}");
    }
    // And looks of before the break count for no event of after it.
    let two = "
        1.0 car#1 looked plate:30A12345
        1.4 car#1 looked plate:30A12345
        4.4 car#1 looked plate:30A12345
    ";
    let plate = &plates(&format!("{}{two}", hidden(2.4, 3.8)))[0];
    assert_eq!((plate.looks, plate.is_stated), (1, false), "{plate:?}");
}

#[test]
fn a_gap_in_the_stream_is_a_break_and_frames_that_are_far_apart_are_none() {
    let looks = "
        1.0 car#1 looked plate:30A12345
        1.4 car#1 looked plate:30A12345
        4.4 car#1 looked plate:30A12345
        4.7 car#1 looked plate:30A12345
    ";
    let whole = plates(&format!("{STANDS}{looks}"));
    assert_eq!(whole[0].looks, 4, "{whole:?}");
    let parted = plates(&format!("{STANDS}{looks}\n2.2 gap 3.8"));
    assert!(parted.iter().all(|plate| plate.looks == 2), "{parted:?}");
}

#[test]
fn a_machine_that_was_missed_in_this_frame_may_carry_the_plate() {
    let look = "4.0 car#1 looked plate:30A12345";
    let before = |until: &str| {
        let machine = format!(
            "2.0 motorcycle#2 at 40.0,30.2
            {until} motorcycle#2 hides"
        );
        let plates = plates(&format!("{STANDS}{look}\n{machine}"));
        (plates[0].looks, plates[0].of)
    };
    assert_eq!(before("3.9"), (0, 1), "missed now");
    assert_eq!(before("2.5"), (1, 1), "gone for longer than a second");
}

#[test]
fn the_look_that_is_shown_is_one_of_the_text_that_is_stated() {
    let looks = "
        0.6 car#1 looked plate:30A12345 0.8
        0.9 car#1 looked plate:30A12345 0.8
        1.2 car#1 looked plate:30A12845 0.95
        1.5 car#1 looked plate:30A12345 0.8
        1.8 car#1 looked plate:30A12345 0.8
        2.1 car#1 looked plate:30A12345 0.81
    ";
    let plates = plates(&format!("{STANDS}{looks}"));
    assert_eq!(plates[0].stated(), Some("30A12345"));
    let shown = plates[0].best.unwrap().at.time;
    assert_eq!(shown, protocol::EventTime::from_micros(2_100_000));
}

#[test]
fn the_plate_in_the_facts_is_the_first_actors_or_none() {
    let looks = "
        1.0 car#1 looked plate:30A1234
        1.4 car#1 looked plate:30A1234
        1.8 car#1 looked plate:30A1234
    ";
    let out = played(&format!("{STANDS}{looks}"));
    let mut event = events(&out).next().unwrap().clone();
    let reading = "stated; a character may be missing, count them";
    assert_eq!(event.facts["plate"], "30A-1234".into());
    assert_eq!(event.facts["plate_reading"], reading.into());
    let mut other = event.actors[0].clone();
    other.plate = None;
    event.actors.insert(0, other);
    super::tell_in_facts(&mut event);
    assert!(!event.facts.contains_key("plate") && !event.facts.contains_key("plate_reading"));
}
