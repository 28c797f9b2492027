//! Answers of cascades, and what rules make of them.

mod accounts;
mod drivers;
mod fire;
mod heads;
mod plates;
mod shown;

use std::fmt::Write as _;

use expect_test::Expect;
use protocol::ObjectClass;

use crate::rules::testing::{cascades, play, scene, told};
use crate::scene::Scene;

/// Detectors of road users know nothing of heads, phones, belts, plates and fire.
const ROAD_USERS: [ObjectClass; 3] = [
    ObjectClass::Person,
    ObjectClass::Motorcycle,
    ObjectClass::Car,
];

const HELMET: &str = r#"kind = "no_helmet"
min_head_pct = 0.5"#;

const PHONE: &str = r#"kind = "phone_use"
min_height_pct = 2.0"#;

const BELT: &str = r#"kind = "seat_belt"
min_torso_pct = 0.5"#;

const RIDE: &str = "
    0.0 motorcycle#1 at 20.0,30.0
    0.0 person#2 at 20.0,29.6
    6.0 motorcycle#1 at 65.0,30.0
    6.0 person#2 at 65.0,29.6
";

const PASSENGER: &str = "0.0 person#3 at 20.1,29.4\n6.0 person#3 at 65.1,29.4\n";

/// Across the picture, and towards the camera.
const RIDES: &str = "
    0.0 motorcycle#1 at 30.0,20.0
    0.0 person#2 at 30.0,19.6
    6.0 motorcycle#1 at 75.0,20.0
    6.0 person#2 at 75.0,19.6
";

const COMES: &str = "0.0 car#1 at 30.0,5.0\n6.0 car#1 at 30.0,45.0\n";

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
