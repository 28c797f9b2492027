//! Which looks and which models an event names.

use protocol::event::{Actor, Look, MOST_LOOKS, SecondModel};
use protocol::units::Seconds;
use protocol::{EventTime, ObjectClass};

use super::{BELT, COMES, HELMET, PHONE, RIDE, RIDES, cascading, looks};
use crate::input::Output;
use crate::rules::testing::{events, model_of, play, scene};

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
