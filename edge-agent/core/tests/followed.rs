//! A picture that nobody looked at says where everybody is, and nothing new of what they bear.

#![allow(clippy::disallowed_methods, clippy::unwrap_used)] // any fault is the test's failure

mod support;

use edge_core::{Input, Output, Scene};
use protocol::{Detection, Detections, EventTime, NormBox, ObjectClass, Phase, TimeQuality};

fn scene() -> Scene {
    let table = "[[zone]]\nid = \"all\"\npoints = [[0.0, 0.0], [1.0, 0.0], [1.0, 1.0], [0.0, 1.0]]\n\
                 [[rule]]\nid = \"flames\"\nkind = \"fire\"\nmin_growth_pct = 0\n";
    support::scene(table)
}

/// Fires that were told of, in twelve seconds at ten pictures a second with a fire in each.
/// `is_followed` says of which pictures nobody looked at.
fn told(is_followed: impl Fn(u64) -> bool) -> usize {
    let (mut scene, mut out) = (scene(), Vec::new());
    for number in 0..120 {
        let flames = Detection {
            class: ObjectClass::Fire,
            score: 0.9,
            bounds: NormBox::from([0.4, 0.4, 0.1, 0.1]),
        };
        let detections = Detections {
            frame: number,
            time: EventTime::from_micros(i64::try_from(number).unwrap() * 100_000),
            time_quality: TimeQuality::Unknown,
            aspect: 16.0 / 9.0,
            believed_from: 0.4,
            camera_motion: None,
            is_followed: is_followed(number),
            items: vec![flames],
        };
        scene.handle(Input::Detections(detections), &mut out);
    }
    let is_start =
        |output: &&Output| matches!(output, Output::Event(event) if event.phase == Phase::Start);
    out.iter().filter(is_start).count()
}

#[test]
fn a_fire_that_was_seen_once_is_not_believed_because_it_is_followed() {
    assert_eq!(told(|_| false), 1, "seen in each picture");
    assert_eq!(told(|number| number % 4 != 0), 1, "seen in every fourth");
    assert_eq!(told(|number| number > 0), 0, "seen once and followed");
}
