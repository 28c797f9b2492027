//! A picture that nobody looked at says where everybody is, and nothing new of what they bear.

#![allow(clippy::disallowed_methods, clippy::unwrap_used)] // any fault is the test's failure

mod support;

use edge_core::{Input, Output};
use protocol::{Detection, Detections, Event, EventTime, NormBox, ObjectClass, Phase, TimeQuality};

const PLACES: &str =
    "[[zone]]\nid = \"all\"\npoints = [[0.0, 0.0], [1.0, 0.0], [1.0, 1.0], [0.0, 1.0]]\n";

fn seen(class: ObjectClass, bounds: [f64; 4]) -> Detection {
    Detection {
        class,
        score: 0.9,
        bounds: NormBox::from(bounds),
    }
}

/// Events that began in twelve seconds at ten pictures a second, which show `items`.
/// `is_followed` says at which pictures nobody looked.
fn begun(
    rule: &str,
    items: impl Fn(u64) -> Vec<Detection>,
    is_followed: impl Fn(u64) -> bool,
) -> Vec<Event> {
    let table = format!("{PLACES}[[rule]]\nid = \"rule\"\n{rule}");
    let (mut scene, mut out) = (support::scene(&table), Vec::new());
    for number in 0..120 {
        let detections = Detections {
            frame: number,
            time: EventTime::from_micros(i64::try_from(number).unwrap() * 100_000),
            time_quality: TimeQuality::Unknown,
            aspect: 16.0 / 9.0,
            believed_from: 0.4,
            camera_motion: None,
            is_followed: is_followed(number),
            items: items(number),
        };
        scene.handle(Input::Detections(detections), &mut out);
    }
    let begun = out.into_iter().filter_map(|output| match output {
        Output::Event(event) if event.phase == Phase::Start => Some(event),
        _ => None,
    });
    begun.collect()
}

#[test]
fn a_fire_that_was_seen_once_is_not_believed_because_it_is_followed() {
    let rule = "kind = \"fire\"\nmin_growth_pct = 0\n";
    let flames = |_| vec![seen(ObjectClass::Fire, [0.4, 0.4, 0.1, 0.1])];
    let told = |is_followed: &dyn Fn(u64) -> bool| begun(rule, flames, is_followed).len();
    assert_eq!(told(&|_| false), 1, "seen in each picture");
    assert_eq!(told(&|number| number % 4 != 0), 1, "seen in every fourth");
    assert_eq!(told(&|number| number > 0), 0, "seen once and followed");
}

/// Eight looks were said where the detector had looked four times.
#[test]
fn riders_who_are_followed_are_not_seen_once_more_in_each_picture() {
    let rule = "kind = \"riders_three_plus\"\nmin_height_pct = 1.0\n";
    let ride = |number: u64| {
        let x = 0.1 + 0.006 * number as f64;
        let rider = |behind: f64| seen(ObjectClass::Person, [x + behind, 0.45, 0.03, 0.14]);
        vec![
            seen(ObjectClass::Motorcycle, [x, 0.5, 0.08, 0.12]),
            rider(0.005),
            rider(0.025),
            rider(0.045),
        ]
    };
    for look_every in [1, 2, 4] {
        let events = begun(rule, ride, |number| number % look_every != 0);
        let [event] = &events[..] else {
            panic!("each {look_every}: {events:?}");
        };
        let decided = event.decided.frame;
        assert_eq!(decided % look_every, 0, "it was decided by a look");
        let looks_against = event.explanation.iter().find(|p| p.name == "looks_against");
        let said = serde_json::to_value(&looks_against.unwrap().value).unwrap();
        let taken = decided / look_every + 1;
        let said = said.as_f64().unwrap();
        assert!(
            (8.0..=taken as f64).contains(&said),
            "{said} looks of {taken}, each {look_every}"
        );
    }
}

/// A vehicle that became large enough in a picture into which it was followed was taken for one whose
/// plate only a cascade can find, and the rule waited for its looks for ever.
#[test]
fn a_plate_that_the_detector_finds_is_missed_in_whichever_picture_its_vehicle_came() {
    let rule = "kind = \"plate_obscured\"\nmin_height_pct = 14.0\nmin_neighbours = 1\nmin_duration_s = 1.0\n";
    // One after the other, the first with a plate; large enough from the tenth picture on.
    let cars = |number: u64| {
        let (car, at) = (number / 50, number % 50);
        if car > 1 || at > 40 {
            return Vec::new();
        }
        let (top, height) = (0.1 + 0.0125 * at as f64, 0.1 + 0.004 * at as f64);
        let mut items = vec![seen(ObjectClass::Car, [0.45, top, 0.1, height])];
        if car == 0 {
            let plate = [0.49, top + 0.75 * height, 0.02, 0.1 * height];
            items.push(seen(ObjectClass::Plate, plate));
        }
        items
    };
    assert_eq!(begun(rule, cars, |_| false).len(), 1);
    for first in 0..4 {
        let told = begun(rule, cars, |number| number % 4 != first);
        assert_eq!(told.len(), 1, "looks at each fourth from {first} on");
    }
}

/// "Not a single plate" was said of a vehicle at which the detector had looked once.
#[test]
fn a_plate_is_not_missed_by_pictures_at_which_nobody_looked() {
    let rule = "kind = \"plate_obscured\"\nmin_height_pct = 14.0\nmin_neighbours = 1\nmin_duration_s = 0.4\n";
    // The first with a plate, the second without and gone after `stays` pictures.
    let cars = |stays: u64| {
        move |number: u64| {
            let (car, at) = (number / 50, number % 50);
            let last = if car == 0 { 40 } else { stays };
            if car > 1 || at > last {
                return Vec::new();
            }
            let top = 0.1 + 0.0125 * at as f64;
            let mut items = vec![seen(ObjectClass::Car, [0.45, top, 0.1, 0.2])];
            if car == 0 {
                items.push(seen(ObjectClass::Plate, [0.49, top + 0.15, 0.02, 0.02]));
            }
            items
        }
    };
    for first in 0..4 {
        let is_look = |number: u64| number % 4 == first;
        assert_eq!(begun(rule, cars(11), |number| !is_look(number)).len(), 0);
        let events = begun(rule, cars(40), |number| !is_look(number));
        let [event] = &events[..] else {
            panic!("{events:?}");
        };
        let onset = u64::try_from(event.onset.as_micros() / 100_000).unwrap();
        let looks = (onset..=event.decided.frame).filter(|number| is_look(*number));
        let looks = looks.count();
        assert!(
            looks >= 3,
            "{looks} from {onset} to {}",
            event.decided.frame
        );
        let said = event
            .explanation
            .iter()
            .find(|p| p.name == "detector_looks");
        let said = serde_json::to_value(&said.unwrap().value).unwrap();
        assert_eq!(said.as_f64(), Some(looks as f64));
    }
}
