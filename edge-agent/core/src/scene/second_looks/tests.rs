use std::fmt::Write as _;

use expect_test::{Expect, expect};
use protocol::ObjectClass;
use protocol::event::{Actor, Look, MOST_LOOKS, SecondModel};
use protocol::units::Seconds;

use super::*;
use crate::coverage::Unwatched;
use crate::input::Input;
use crate::rules::testing::{cascades, events, model_of, play, scene, told};

/// Detectors of road users know nothing of heads, phones, belts, plates and fire.
const ROAD_USERS: [ObjectClass; 3] = [
    ObjectClass::Person,
    ObjectClass::Motorcycle,
    ObjectClass::Car,
];

/// A camera whose detector gives road users and `more`, and which has all cascades.
fn cascading(rule: &str, more: &[ObjectClass]) -> Scene {
    let mut scene = scene(rule, true);
    scene.expect_classes(ROAD_USERS.iter().chain(more).copied());
    scene.expect_second_looks(cascades());
    scene
}

/// `what` looked at in so many frames, so far apart, from `from` on.
fn looks(who: &str, what: &str, (from, every, times): (f64, f64, u32)) -> String {
    (0..times).fold(String::new(), |mut story, index| {
        let t = from + every * f64::from(index);
        writeln!(story, "{t:.1} {who} looked {what}").unwrap();
        story
    })
}

fn check(scene: &mut Scene, story: &str, expected: &Expect) {
    expected.assert_eq(&told(&play(scene, story)));
}

const HELMET: &str = r#"kind = "no_helmet"
min_head_pct = 0.5"#;
const RIDE: &str = "
    0.0 motorcycle#1 at 20.0,30.0
    0.0 person#2 at 20.0,29.6
    6.0 motorcycle#1 at 65.0,30.0
    6.0 person#2 at 65.0,29.6
";
const PASSENGER: &str = "0.0 person#3 at 20.1,29.4\n6.0 person#3 at 65.1,29.4\n";

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

/// The models that the revisions of a story's events name.
fn named(out: &[Output]) -> Vec<Vec<SecondModel>> {
    let second = events(out).map(|event| event.provenance.second.clone());
    second.collect()
}

#[test]
fn an_event_names_the_models_of_the_looks_that_counted_and_no_other() {
    let both = [ObjectClass::Helmet, ObjectClass::NoHelmet];
    let by_detector = format!("{RIDE}0.0 person#2 shows no_helmet\n");
    let by_cascade = looks("person#2", "no_helmet", (1.0, 0.5, 6));
    let plate = looks("motorcycle#1", "plate:29B112345", (3.1, 0.4, 3));
    let (marks, plates) = (model_of("marks"), model_of("plates"));

    let out = play(&mut cascading(HELMET, &both), &by_detector);
    let none: Vec<SecondModel> = Vec::new();
    assert_eq!(named(&out), [none.clone(), none]);

    // Of the last seven looks, one is confirmed by a cascade.
    let confirmed = format!(
        "{by_detector}{}",
        looks("person#2", "no_helmet", (0.4, 0.5, 1))
    );
    let out = play(&mut cascading(HELMET, &both), &confirmed);
    assert_eq!(named(&out)[0], std::slice::from_ref(&marks));

    let out = play(
        &mut cascading(HELMET, &[]),
        &format!("{RIDE}{by_cascade}{plate}"),
    );
    let named = named(&out);
    assert_eq!(
        named[0],
        std::slice::from_ref(&marks),
        "no plate was looked at yet"
    );
    assert_eq!(named.last().unwrap(), &[marks, plates]);
}

/// The looks that the first revision of a story's event names.
fn shown(out: &[Output]) -> (Vec<Look>, Vec<Actor>) {
    let event = events(out).next().unwrap();
    (event.looks.clone(), event.actors.clone())
}

fn second(look: &Look) -> f64 {
    look.at.time.since(EventTime::EPOCH).0
}

/// Whoever judges a case sees what was judged: of the look that spoke for the rider nothing.
#[test]
fn an_event_names_the_looks_that_voted_for_it() {
    let by_cascade = looks("person#2", "no_helmet", (1.0, 0.5, 6));
    let story = format!("{RIDE}0.5 person#2 looked helmet\n{by_cascade}");
    let (looks, actors) = shown(&play(&mut cascading(HELMET, &[]), &story));
    assert_eq!(
        looks.iter().map(second).collect::<Vec<_>>(),
        [2.0, 2.5, 3.0]
    );
    for look in &looks {
        assert_eq!((look.class, look.score), (ObjectClass::NoHelmet, 0.9));
        // A classifier does not say where in what it was shown.
        assert!(look.is_second && look.bounds.is_none(), "{look:?}");
    }
    let rider = actors.iter().find(|it| it.class == ObjectClass::Person);
    let (part, rider) = (looks[2].part, rider.unwrap().bounds);
    assert!(
        (part.centre().x - rider.centre().x).abs() < 1e-4,
        "{part:?}"
    );
    assert!(part.height < 0.6 * rider.height, "{part:?} of {rider:?}");

    // The detector says where, and the head is shown with a little around it.
    let both = [ObjectClass::Helmet, ObjectClass::NoHelmet];
    let story = format!("{RIDE}0.0 person#2 shows no_helmet\n");
    let (looks, _) = shown(&play(&mut cascading(HELMET, &both), &story));
    assert_eq!(looks.len(), MOST_LOOKS);
    for look in &looks {
        let head = look.bounds.unwrap();
        assert!(!look.is_second && look.main.is_none(), "{look:?}");
        assert!(
            (look.part.width - 1.5 * head.width).abs() < 1e-4,
            "{look:?}"
        );
        assert!(
            (look.part.centre().y - head.centre().y).abs() < 1e-4,
            "{look:?}"
        );
    }
}

const PHONE: &str = r#"kind = "phone_use"
min_height_pct = 2.0"#;
const BELT: &str = r#"kind = "seat_belt"
min_torso_pct = 0.5"#;
/// Across the picture, and towards the camera.
const RIDES: &str = "
    0.0 motorcycle#1 at 30.0,20.0
    0.0 person#2 at 30.0,19.6
    6.0 motorcycle#1 at 75.0,20.0
    6.0 person#2 at 75.0,19.6
";
const COMES: &str = "0.0 car#1 at 30.0,5.0\n6.0 car#1 at 30.0,45.0\n";

/// Left, top, right and bottom of who was judged, at this second of [`RIDES`] and [`COMES`].
fn judged(who: &str, t: f64) -> [f64; 4] {
    let (x, y, width, height) = if who == "person#2" {
        (30.0 + 7.5 * t, 19.6, 0.6, 1.7)
    } else {
        (30.0, 5.0 + 40.0 / 6.0 * t, 4.0, 2.0)
    };
    let left = (x - width / 2.0) / 100.0;
    [left, (y - height) / 50.0, left + width / 100.0, y / 50.0]
}

fn assert_within(look: &Look, [left, top, right, bottom]: [f64; 4]) {
    // Boxes are rounded.
    let hair = 1e-4;
    let part = &look.part;
    let is_within = part.x >= left - hair
        && part.y >= top - hair
        && part.right() <= right + hair
        && part.bottom() <= bottom + hair;
    assert!(
        is_within,
        "{look:?} is not in {:?}",
        [left, top, right, bottom]
    );
}

/// Whoever judges a phone or a belt sees the hand or the seat that was judged, as the model saw
/// it, and no look that spoke for the driver.
#[test]
fn events_of_phones_and_belts_name_what_cascades_were_shown_of_the_driver() {
    for (rule, drive, who, what, spared, class) in [
        (
            PHONE,
            RIDES,
            "person#2",
            "phone",
            "nothing",
            ObjectClass::Phone,
        ),
        (
            PHONE,
            COMES,
            "car#1",
            "driver:phone",
            "driver:nothing",
            ObjectClass::Phone,
        ),
        (
            BELT,
            COMES,
            "car#1",
            "driver:no_seat_belt",
            "driver:seat_belt",
            ObjectClass::NoSeatBelt,
        ),
    ] {
        let against = looks(who, what, (1.0, 0.4, 4));
        let last = looks(who, what, (3.0, 0.4, 1));
        // The newest but one shows nothing against him.
        let story = format!("{drive}{against}2.6 {who} looked {spared}\n{last}");
        let (looks, actors) = shown(&play(&mut cascading(rule, &[]), &story));
        let at: Vec<f64> = looks.iter().map(second).collect();
        assert_eq!(at, [1.8, 2.2, 3.0], "{what}");
        for look in &looks {
            assert_eq!((look.class, look.score), (class, 0.9), "{what}");
            assert!(look.is_second && look.bounds.is_none(), "{look:?}");
            let [left, top, right, bottom] = judged(who, second(look));
            // In a car that comes, who drives sits at the right of its box; a rider's hands are
            // above the hips.
            let seat = if who == "car#1" {
                [f64::midpoint(left, right), top, right, bottom]
            } else {
                [left, top, right, f64::midpoint(top, bottom)]
            };
            assert_within(look, seat);
        }
        let vehicle = actors.iter().any(|actor| actor.track.rank == 1);
        assert!(vehicle, "{what}: {actors:?}");
    }
}

/// What a detector sees is shown with enough around it that one sees whose it is.
#[test]
fn events_of_phones_and_belts_name_what_the_detector_saw_and_what_is_around_it() {
    let passenger = "0.0 car#1 shows seat_belt\n0.0 car#1 shows no_seat_belt 0.9 passenger\n";
    for (rule, drive, who, shows, class, width, side) in [
        (
            PHONE,
            RIDES,
            "person#2",
            "0.0 person#2 shows phone\n",
            ObjectClass::Phone,
            0.6,
            0.0,
        ),
        (
            PHONE,
            COMES,
            "car#1",
            "0.0 car#1 shows phone\n",
            ObjectClass::Phone,
            0.75,
            1.0,
        ),
        (
            BELT,
            COMES,
            "car#1",
            "0.0 car#1 shows no_seat_belt\n",
            ObjectClass::NoSeatBelt,
            0.75,
            1.0,
        ),
        (
            BELT,
            COMES,
            "car#1",
            passenger,
            ObjectClass::NoSeatBelt,
            0.75,
            -1.0,
        ),
    ] {
        let (looks, _) = shown(&play(&mut scene(rule, true), &format!("{drive}{shows}")));
        assert_eq!(looks.len(), MOST_LOOKS, "{shows}");
        for look in &looks {
            assert_eq!(look.class, class, "{shows}");
            assert!(!look.is_second && look.main.is_none(), "{look:?}");
            let [left, top, right, bottom] = judged(who, second(look));
            let middle = f64::midpoint(left, right) + side / 100.0;
            let (part, seen) = (look.part, look.bounds.unwrap());
            assert!((part.width - width / 100.0).abs() < 1e-4, "{look:?}");
            assert!((part.centre().x - middle).abs() < 1e-4, "{look:?}");
            assert_within(
                &Look {
                    part: seen,
                    ..*look
                },
                [left, top, right, bottom],
            );
            assert_within(
                &Look {
                    part: seen,
                    ..*look
                },
                [part.x, part.y, part.right(), part.bottom()],
            );
        }
    }
}

/// Of two riders the one is shown whose head was seen bare, whatever was seen of the other.
#[test]
fn the_looks_of_an_event_are_never_at_the_other_rider() {
    let third = "0.0 person#3 at 20.7,29.7\n6.0 person#3 at 65.7,29.7\n";
    for (bare, other) in [(2, 3), (3, 2)] {
        let accused = looks(&format!("person#{bare}"), "no_helmet", (1.0, 0.5, 6));
        // Twice bare, too: not enough of its own.
        let doubt = looks(&format!("person#{other}"), "no_helmet", (1.0, 1.0, 2));
        let story = format!("{RIDE}{third}{accused}{doubt}");
        let (looks, actors) = shown(&play(&mut cascading(HELMET, &[]), &story));
        let rider = actors.iter().find(|actor| actor.track.rank == bare);
        let (last, rider) = (looks.last().unwrap(), rider.unwrap().bounds);
        assert_eq!(looks.len(), MOST_LOOKS);
        assert!(
            (last.part.centre().x - rider.centre().x).abs() < 1e-3,
            "{bare}"
        );
        // They ride side by side at one speed: a look at the other would not be in line.
        let at: Vec<f64> = looks.iter().map(|look| look.part.centre().x).collect();
        assert!((at[0] + at[2] - 2.0 * at[1]).abs() < 1e-3, "{bare}: {at:?}");
    }
}

/// The main stream's picture that was looked at stands on the event.
#[test]
fn a_look_at_the_main_stream_names_its_picture() {
    let bare = looks("person#2", "no_helmet", (1.0, 0.5, 6));
    let story = format!("{RIDE}0.0 main 0.013\n{bare}");
    let (looks, _) = shown(&play(&mut cascading(HELMET, &[]), &story));
    assert_eq!(looks.len(), MOST_LOOKS);
    for look in looks {
        assert_eq!(look.taken(), look.at.time + Seconds(0.013));
    }
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

/// The detector cannot say whose of two riders its helmet is; it is in the part that the
/// classifier was shown, and much smaller than that.
#[test]
fn a_helmet_or_belt_of_the_detector_within_a_classifiers_part_contradicts_it() {
    let bare = looks("person#2", "no_helmet", (1.0, 0.5, 8));
    let count = |rule, given: [ObjectClass; 2], story: &str| {
        let out = play(&mut cascading(rule, &given), story);
        events(&out).filter(|event| event.revision == 1).count()
    };
    let helmets = [ObjectClass::Helmet, ObjectClass::NoHelmet];
    let two = format!("{RIDE}{PASSENGER}{bare}");
    assert_eq!(count(HELMET, helmets, &two), 1);
    // That of the other rider lies above the part, for the most.
    for (whose, events) in [("person#2", 0), ("person#3", 1)] {
        let story = format!("{two}0.0 {whose} shows helmet\n");
        assert_eq!(count(HELMET, helmets, &story), events, "{whose}");
    }
    let belts = [ObjectClass::SeatBelt, ObjectClass::NoSeatBelt];
    let without = looks("car#1", "driver:no_seat_belt", (1.0, 0.4, 8));
    let story = format!("{COMES}{without}");
    assert_eq!(count(BELT, belts, &story), 1);
    // Between the looks it is a look for the driver of itself.
    let seen = (0..8).fold(story, |mut story, look| {
        let t = 1.0 + 0.4 * f64::from(look);
        writeln!(story, "{t:.1} car#1 shows seat_belt").unwrap();
        writeln!(story, "{:.1} car#1 lacks seat_belt", t + 0.1).unwrap();
        story
    });
    assert_eq!(count(BELT, belts, &seen), 0);
}

#[test]
fn a_phone_in_the_drivers_hand() {
    // Frames that nobody looked at twice say nothing, whatever the detector showed.
    let phone = looks("car#1", "phone", (1.0, 0.4, 6));
    let out = play(&mut cascading(PHONE, &[]), &format!("{COMES}{phone}"));
    // The box of a classifier's answer is all of the glass: nobody knows whose hand it is.
    assert_eq!(told(&out), "");
    let phone = looks("person#2", "phone", (1.0, 0.4, 6));
    check(
        &mut cascading(PHONE, &[]),
        &format!("{RIDES}{phone}"),
        &expect![[r#"
            phone_use starts (revision 1): motorcycle#1 since 1.0 until 2.6 plate `` (no picture of it was good enough for a look at its plate, or the answer came too late), decided at 2.6
                looks_against: 5.0 >= 5.0 [1.0 to 2.6]
                height: 2.8 >= 2.0 % [1.0 to 2.6]
                drives: 27.0 >= 5.0 km/h [1.0 to 2.6]
                riders: 1.0 <= 1.0 [1.0 to 2.6]
                class: "motorcycle" = "motorcycle, car, bus, truck" [0.0 to 2.6]
                class_share: 1.0 >= 0.5 [0.0 to 2.6]
                pictures of 1.0, 2.6
            phone_use goes on (revision 2): motorcycle#1 since 1.0 until 2.6 plate `` (no picture of it was good enough for a look at its plate, or the answer came too late, finally), 
        "#]],
    );
}

/// The middle of what it was shown is above the hands, always; the phone may be in its holder at
/// the handlebar, which is in the picture as well.
#[test]
fn a_classifiers_phone_counts_only_where_all_that_it_was_shown_is_above_the_handlebar() {
    let raised = |story: &str| {
        let out = play(&mut cascading(PHONE, &[]), story);
        events(&out).filter(|event| event.revision == 1).count()
    };
    let hips = looks("person#2", "hips:phone", (1.0, 0.4, 10));
    assert_eq!(raised(&format!("{RIDES}{hips}")), 0);
    let chest = looks("person#2", "phone", (1.0, 0.4, 10));
    assert_eq!(raised(&format!("{RIDES}{chest}")), 1);
    // What cannot be told speaks for nobody either: five of ten looks between ten others.
    let between = looks("person#2", "hips:phone", (1.2, 0.4, 10));
    let five = looks("person#2", "phone", (1.0, 0.8, 5));
    assert_eq!(raised(&format!("{RIDES}{five}{between}")), 1);
    let of_driver = looks("car#1", "driver:phone", (1.0, 0.4, 6));
    assert_eq!(raised(&format!("{COMES}{of_driver}")), 1);
}

/// A detector of everything lists phones as well and shows none. Each of its frames was a look in
/// vain, so that the cascade that saw the phone in every look never had its five of ten.
#[test]
fn a_phone_that_the_detector_could_know_as_well_waits_for_the_cascade_all_the_same() {
    let raised = |story: &str| {
        let out = play(&mut cascading(PHONE, &[ObjectClass::Phone]), story);
        events(&out).filter(|event| event.revision == 1).count()
    };
    let seen = looks("person#2", "phone", (1.0, 0.4, 6));
    assert_eq!(raised(&format!("{RIDES}{seen}")), 1);
    // What the detector shows counts in frames that were looked at, and nowhere else.
    let shown = format!("{RIDES}0.0 person#2 shows phone\n");
    assert_eq!(raised(&shown), 0);
    let searched = looks("person#2", "nothing", (1.0, 0.4, 6));
    assert_eq!(raised(&format!("{shown}{searched}")), 1);
    assert_eq!(raised(&format!("{RIDES}{searched}")), 0);
}

#[test]
fn fire_that_a_second_model_sees_once_a_second() {
    let rule = r#"kind = "fire"
        min_duration_s = 3.0
        min_size_pct = 0.01"#;
    let fire = |what| {
        format!(
            "0.0 fire#9 at 40.0,30.0\n0.0 fire#9 size 2.0,2.0\n8.0 fire#9 size 6.0,6.0\n\
             8.0 fire#9 at 40.0,30.0\n{}",
            looks("fire#9", what, (0.0, 1.0, 8))
        )
    };
    // What stories call fire#9 is what the whole picture shows; the detector knows no fire.
    let seen = play_unseen(&mut cascading(rule, &[]), &fire("fire"));
    expect![[r#"
        fire starts (revision 1): fire#0 since 0.0, decided at 3.0
            lasts: 3.0 >= 3.0 s [0.0 to 3.0]
            seen_share: 1.0 >= 0.6 [0.0 to 3.0]
            looks: 4.0 >= 3.0 [0.0 to 3.0]
            growth: 107.317 >= 20.0 % [0.0 to 3.0]
            size: 0.213 >= 0.01 % [0.0 to 3.0]
            pictures of 0.0, 3.0
        fire is over (revision 2): fire#0 since 0.0 until 7.0, end_reason "stream_ended"
    "#]]
    .assert_eq(&told(&seen));
    // A detector that lists fire and sees none does not outvote the model that looks for it.
    let knows_fire = play_unseen(&mut cascading(rule, &[ObjectClass::Fire]), &fire("fire"));
    assert_eq!(told(&knows_fire), told(&seen));
    let unseen = play_unseen(&mut cascading(rule, &[]), &fire("nothing"));
    assert_eq!(told(&unseen), "");
}

/// A fire is where it is whether or not a look finds it. The tests before this one
/// had a look each second, each with fire and answered at once, so a rule that
/// gave a fire up for one flicker, or because the box was busy, passed them.
#[test]
fn a_fire_is_told_although_a_look_misses_it_and_answers_are_late() {
    let rule = r#"kind = "fire"
        min_size_pct = 0.01"#;
    // Each letter is a look: fire or nothing.
    let story = |looks: &str, every: f64, late: f64| {
        let mut story = format!(
            "0.0 fire#9 at 40.0,30.0\n0.0 fire#9 size 2.0,2.0\n30.0 fire#9 size 9.0,9.0\n\
             30.0 fire#9 at 40.0,30.0\n0.0 fire#9 unseen\n0.0 answers {late}\n"
        );
        for (index, look) in looks.chars().enumerate() {
            let t = every * index as f64;
            let what = if look == 'f' { "fire" } else { "nothing" };
            writeln!(story, "{t:.1} fire#9 looked {what}").unwrap();
        }
        story
    };
    let mut said = String::new();
    for (looks, every, late) in [
        ("ffffffff", 1.0, 1.8),
        ("fnffffffff", 1.0, 0.3),
        ("ffnfnfffnf", 1.0, 1.8),
        ("ffnnffffffffff", 1.0, 0.3),
        ("ffnfffff", 1.5, 1.9),
        // A busy box answers one look in three seconds.
        ("fffffff", 3.0, 1.9),
        // What is seen now and then is no fire, and two looks are no proof.
        ("fnnfnnfnnfnnfnnfnn", 1.0, 0.3),
        ("fnnnfnnnffnnnfnnn", 1.0, 0.3),
        ("ff", 6.0, 0.3),
    ] {
        let out = play(&mut cascading(rule, &[]), &story(looks, every, late));
        let raised = events(&out).find(|event| event.revision == 1);
        let decided = raised.map(|event| event.decided.time.since(EventTime::EPOCH).0);
        writeln!(
            said,
            "{looks} each {every} s, answered {late} s later: {decided:?}"
        )
        .unwrap();
    }
    expect![[r"
        ffffffff each 1 s, answered 1.8 s later: Some(5.0)
        fnffffffff each 1 s, answered 0.3 s later: Some(5.0)
        ffnfnfffnf each 1 s, answered 1.8 s later: Some(5.0)
        ffnnffffffffff each 1 s, answered 0.3 s later: Some(5.0)
        ffnfffff each 1.5 s, answered 1.9 s later: Some(6.0)
        fffffff each 3 s, answered 1.9 s later: Some(6.0)
        fnnfnnfnnfnnfnnfnn each 1 s, answered 0.3 s later: None
        fnnnfnnnffnnnfnnn each 1 s, answered 0.3 s later: None
        ff each 6 s, answered 0.3 s later: None
    "]]
    .assert_eq(&said);
}

/// That nobody could look is no end of a fire, and no answer for long is no fire for ever.
#[test]
fn a_fire_ends_by_looks_that_searched_for_it_and_not_for_want_of_them() {
    let rule = r#"kind = "fire"
        min_duration_s = 3.0
        clear_after_s = 4.0
        min_size_pct = 0.01"#;
    let burning = format!(
        "0.0 fire#9 at 40.0,30.0\n0.0 fire#9 size 2.0,2.0\n60.0 fire#9 size 9.0,9.0\n\
         60.0 fire#9 at 40.0,30.0\n0.0 fire#9 unseen\n{}",
        looks("fire#9", "fire", (0.0, 1.0, 8))
    );
    let mut said = String::new();
    for (name, more) in [
        (
            "nobody looks for 12 s",
            looks("fire#9", "fire", (19.0, 1.0, 5)),
        ),
        (
            "searched in vain",
            looks("fire#9", "nothing", (8.0, 1.0, 12)),
        ),
        ("never answered again", String::new()),
    ] {
        let out = play(&mut cascading(rule, &[]), &format!("{burning}{more}"));
        let told: Vec<String> = events(&out)
            .map(|event| format!("{:?}", event.facts.get("end_reason")))
            .collect();
        let ends = events(&out).filter_map(|event| event.ended);
        let ends: Vec<f64> = ends.map(|end| end.since(EventTime::EPOCH).0).collect();
        writeln!(said, "{name}: {} events, until {ends:?}", told.len()).unwrap();
    }
    expect![[r"
        nobody looks for 12 s: 2 events, until [23.0]
        searched in vain: 2 events, until [7.0]
        never answered again: 2 events, until [7.0]
    "]]
    .assert_eq(&said);
}

/// A story in which only cascades see fire.
fn play_unseen(scene: &mut Scene, story: &str) -> Vec<Output> {
    play(scene, &format!("{story}\n0.0 fire#9 unseen"))
}

#[test]
fn no_belt_by_a_classifier() {
    let story = |what| format!("{COMES}{}", looks("car#1", what, (1.0, 0.4, 8)));
    let raised = |least: &str, what| {
        let rule = format!("kind = \"seat_belt\"\nmin_torso_pct = {least}");
        let out = play(&mut cascading(&rule, &[]), &story(what));
        events(&out).filter(|event| event.revision == 1).count()
    };
    assert_eq!(
        [
            "driver:no_seat_belt",
            "driver:seat_belt",
            "driver:nothing",
            // Of the whole windscreen: nobody knows whose belt.
            "no_seat_belt",
        ]
        .map(|what| raised("0.5", what)),
        [1, 0, 0, 0]
    );
    // It was shown 2 % of the picture's height, half of which is the torso.
    assert_eq!(
        ["0.9", "1.5"].map(|least| raised(least, "driver:no_seat_belt")),
        [1, 0]
    );
}

#[test]
fn a_plate_that_only_second_looks_search_for() {
    let rule = r#"kind = "plate_obscured"
        min_height_pct = 2.0
        min_neighbours = 2"#;
    let drive = |id: u16, from: f64, looks: String| {
        let (first, last) = (from, from + 5.0);
        format!("{first:.1} car#{id} at 30.0,5.0\n{last:.1} car#{id} at 30.0,45.0\n{looks}")
    };
    let searched = |id: u16, from: f64, what: &str| {
        drive(
            id,
            from,
            looks(&format!("car#{id}"), what, (from + 1.0, 0.5, 6)),
        )
    };
    let neighbours = [1, 2].map(|id| searched(id, 6.0 * f64::from(id), "plate:30A12345"));
    let raised = |last: String| {
        let out = play(
            &mut cascading(rule, &[]),
            &format!("{}{last}", neighbours.concat()),
        );
        events(&out).filter(|event| event.revision == 1).count()
    };
    assert_eq!(raised(searched(3, 18.0, "plate:")), 1, "searched in vain");
    assert_eq!(raised(searched(3, 18.0, "plate:30A99999")), 0, "found");
    assert_eq!(raised(drive(3, 18.0, String::new())), 0, "not searched");
}

/// They alone were neighbours, so that all of them had plates, however poor the view.
#[test]
fn vehicles_whose_plates_the_detector_saw_and_nobody_searched_are_no_neighbours() {
    let rule = r#"kind = "plate_obscured"
        min_height_pct = 2.0
        min_neighbours = 2"#;
    let drive = |id: u16, more: &str| {
        let (first, last) = (6.0 * f64::from(id), 6.0 * f64::from(id) + 5.0);
        format!("{first:.1} car#{id} at 30.0,5.0\n{last:.1} car#{id} at 30.0,45.0\n{more}")
    };
    let seen = [1, 2].map(|id| {
        let from = 6.0 * f64::from(id) + 1.0;
        drive(id, &format!("{from:.1} car#{id} shows plate\n"))
    });
    let searched = drive(3, &looks("car#3", "plate:", (19.0, 0.5, 6)));
    let out = play(
        &mut cascading(rule, &[ObjectClass::Plate]),
        &format!("{}{searched}", seen.concat()),
    );
    assert_eq!(events(&out).count(), 0, "{}", told(&out));
}

/// Its wheels were hidden by who stopped before it, and rules judge nobody whose place nobody sees.
/// But the plate that was read in that time is its plate.
#[test]
fn a_plate_is_heard_of_a_vehicle_whose_wheels_are_hidden() {
    let rule = r#"kind = "stopped_vehicle"
        zone = "road"
        min_dwell_s = 2.0"#;
    let story = format!(
        "0.0 car#1 at 50.0,30.0\n5.9 car#1 at 50.0,30.0\n6.0 car#1 at 50.0,29.3\n\
         12.0 car#1 at 50.0,29.3\n0.0 car#1 size 4.0,2.0\n5.9 car#1 size 4.0,2.0\n\
         6.0 car#1 size 4.0,1.3\n{}",
        looks("car#1", "plate:30A12345", (7.0, 0.5, 5))
    );
    let mut scene = cascading(rule, &[]);
    let out = play(&mut scene, &story);
    let is_stated = |event: &protocol::Event| {
        let plate = event.actors[0].plate.as_ref();
        plate.is_some_and(|plate| plate.is_stated && plate.text == "30A12345")
    };
    assert!(events(&out).any(is_stated), "{}", told(&out));
    assert_eq!(scene.refused().second_looks_of_nobody, 0);
}

#[test]
fn a_rule_that_only_a_cascade_feeds_is_fed() {
    let blind = |cascades: Vec<CascadeUse>| {
        let mut scene = scene(HELMET, true);
        scene.expect_classes(ROAD_USERS);
        scene.expect_second_looks(cascades);
        play(&mut scene, RIDE).iter().any(|said| match said {
            Output::Coverage(hour) => hour.unwatched_s.contains_key(&Unwatched::NoModel),
            _ => false,
        })
    };
    assert!(blind(Vec::new()));
    assert!(!blind(cascades()));
}

/// A helmet model that failed on each look left its rule "watched", hour by hour.
#[test]
fn time_in_which_a_cascade_did_not_answer_is_not_watched_by_who_rests_on_it() {
    use crate::input::{GapReason, Unanswered};
    let unwatched = |rule: &str, detector: &[ObjectClass]| {
        let mut scene = cascading(rule, detector);
        watch_an_empty_road(&mut scene);
        let stretch = Unanswered {
            cascade: protocol::id::CascadeId::new("marks").unwrap(),
            from: EventTime::EPOCH + protocol::units::Seconds(1.0),
            to: EventTime::EPOCH + protocol::units::Seconds(4.5),
            reason: GapReason::DetectorFailed,
        };
        scene.handle(Input::Unanswered(stretch), &mut Vec::new());
        let hours: Vec<_> = scene.coverage_now().collect();
        hours[0]
            .unwatched_s
            .get(&Unwatched::DetectorFailed)
            .copied()
    };
    assert_eq!(unwatched(HELMET, &[]), Some(3.5));
    // Where the detector sees heads itself the cascade only helps.
    assert_eq!(
        unwatched(HELMET, &[ObjectClass::Helmet, ObjectClass::NoHelmet]),
        None
    );
    // Nobody sees an empty hand: the rule waits for looks, whatever the detector lists.
    let phone = "kind = 'phone_use'";
    assert_eq!(unwatched(phone, &[ObjectClass::Phone]), Some(3.5));
}

/// Six seconds of an empty road, and the stream goes on.
fn watch_an_empty_road(scene: &mut Scene) {
    for tenth in 0..60_u32 {
        let detections = protocol::Detections {
            frame: u64::from(tenth),
            time: EventTime::EPOCH + protocol::units::Seconds(f64::from(tenth) / 10.0),
            time_quality: protocol::TimeQuality::Media,
            aspect: 2.0,
            believed_from: 0.45,
            camera_motion: None,
            is_followed: false,
            items: Vec::new(),
        };
        scene.handle(Input::Detections(detections), &mut Vec::new());
    }
}

#[test]
fn answers_that_count_for_nothing_are_counted() {
    let mut scene = cascading(HELMET, &[]);
    play(&mut scene, "0.0 car#1 at 20.0,30.0\n9.0 car#1 at 50.0,30.0");
    let before = scene.refused();
    let mut out = Vec::new();
    let answer = |frame, cascade: &str| SecondLook {
        at: FrameTime {
            frame,
            time: EventTime::EPOCH,
        },
        track: None,
        cascade: protocol::id::CascadeId::new(cascade).unwrap(),
        by: Vec::new(),
        main: None,
        bounds: [0.0, 0.0, 1.0, 1.0].into(),
        found: Found::Plates(Vec::new()),
    };
    scene.handle(Input::SecondLook(answer(0, "flames")), &mut out);
    scene.handle(Input::SecondLook(answer(0, "unknown")), &mut out);
    let after = scene.refused();
    assert_eq!(after.second_looks_late, before.second_looks_late + 1);
    assert_eq!(after.second_looks_unasked, before.second_looks_unasked + 1);
    assert_eq!(out, []);
}
