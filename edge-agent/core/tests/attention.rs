//! How soon a scene needs the next picture, and that a heartbeat is enough for who stands.

#![allow(clippy::disallowed_methods, clippy::unwrap_used)] // any fault is the test's failure

mod support;

use edge_core::{Attention, Input, Output, Scene};
use protocol::{Detection, Detections, EventTime, NormBox, ObjectClass, Phase, TimeQuality};

fn scene() -> Scene {
    let table = "
        [[zone]]
        id = 'road'
        points = [[0.0, 0.0], [1.0, 0.0], [1.0, 1.0], [0.0, 1.0]]
        [[rule]]
        id = 'standing'
        kind = 'stopped_vehicle'
        zone = 'road'
        min_dwell_s = 20.0
    ";
    support::scene(table)
}

/// A car that drives in, and stops after 3 s in the middle; from 60 s on it drives away.
fn picture(number: u64) -> Detections {
    let t = number as f64 / 10.0;
    let x = match t {
        t if t < 3.0 => 0.1 + 0.1 * t,
        t if t < 60.0 => 0.4,
        t => 0.4 + 0.15 * (t - 60.0),
    };
    let is_there = (1.0..64.0).contains(&t);
    let car = Detection {
        class: ObjectClass::Car,
        score: 0.9,
        bounds: NormBox {
            x,
            y: 0.5,
            width: 0.12,
            height: 0.12,
        },
    };
    Detections {
        frame: number,
        #[allow(clippy::cast_possible_truncation)] // a minute
        time: EventTime::from_micros((t * 1e6) as i64),
        time_quality: TimeQuality::Unknown,
        aspect: 16.0 / 9.0,
        believed_from: 0.4,
        camera_motion: None,
        is_followed: false,
        items: is_there.then_some(car).into_iter().collect(),
    }
}

/// Shows the pictures that the scene asks for, and one each 1.5 s. Returns when an
/// event began, what the scene asked for each second, and how many pictures it saw.
fn run(rests: bool) -> (Vec<f64>, Vec<Attention>, usize) {
    let mut scene = scene();
    let (mut out, mut events, mut asked) = (Vec::new(), Vec::new(), Vec::new());
    let (mut looks, mut looked) = (0, None);
    for number in 0..700 {
        let attention = scene.attention();
        if number % 10 == 0 {
            asked.push(attention);
        }
        let is_due = looked.is_none_or(|looked| number - looked >= 15);
        // A gate sees it come and go; it is blind while it stands.
        let moves = matches!(number, 10..40 | 600..640);
        if rests && !moves && attention != Attention::Unsettled && !is_due {
            continue;
        }
        (looks, looked) = (looks + 1, Some(number));
        scene.handle(Input::Detections(picture(number)), &mut out);
        for output in out.drain(..) {
            if let Output::Event(event) = output
                && event.phase == Phase::Start
            {
                events.push(event.onset.as_micros() as f64 / 1e6);
            }
        }
    }
    (events, asked, looks)
}

#[test]
fn a_vehicle_that_stops_is_found_by_heartbeat_as_by_every_picture() {
    let (full, _, all) = run(false);
    let (rested, _, looks) = run(true);
    assert_eq!((full.len(), rested.len(), all), (1, 1, 700));
    assert!((full[0] - rested[0]).abs() <= 1.5, "{full:?} {rested:?}");
    assert!(looks < all / 3, "{looks}");
}

#[test]
fn who_moves_is_asked_for_and_who_stands_is_not() {
    let (_, asked, _) = run(true);
    assert_eq!(asked[0], Attention::Nobody);
    for second in [2, 3, 4, 61, 62, 63] {
        assert_eq!(asked[second], Attention::Unsettled, "{second}");
    }
    for (second, asked) in asked.iter().enumerate().take(59).skip(12) {
        assert_eq!(*asked, Attention::Settled, "{second}");
    }
    assert_eq!(asked[69], Attention::Nobody, "{asked:?}");
}
