//! A little language for what happens in front of a camera, for rules' tests.
//!
//! The camera looks straight down on 100 m × 50 m: `at x,y` is in metres from
//! the top left corner, (x/100, y/50) in the picture. Road users go straight
//! and evenly from one line to their next, seen ten times a second.
//!
//! ```text
//! 0.0 car#1 at 2.0,40.0      first sighting, or on the way to here
//! 3.0 car#1 hides            not seen from here on, until its next `at`
//! 4.0 car#1 is #7            the same body, from now on under another id
//! 1.0 signal red             the group `main` says so five times a second,
//! 9.0 signal silent          until it says nothing any more
//! 5.0 gap 8.0                nobody watches from 5.0 to 8.0
//! 5.0 steps 8.0              the clock of the pictures leaps from 5.0 to 8.0
//! 5.0 frozen 8.0             from 5.0 on the picture of 5.0 comes again and again,
//!                            which is noticed at 8.0
//! 1.0 car#1 shows plate      from here on it shows this mark (plate, helmet, phone …),
//! 1.0 car#1 shows plate 0.2  with so little confidence
//! 5.0 car#1 lacks plate      from here on it does not
//! 2.0 car#1 looked phone     a cascade looks at this frame and answers 0.3 s later: a
//!                            class with or without a score, or `nothing`
//! 2.0 car#1 looked driver:phone      the same where it was shown the driver's half
//! 2.0 person#2 looked hips:phone    the same of a rider from the hips up
//! 2.0 person#2 looked lower:no_helmet    the same of what is below the chest
//! 2.0 car#1 shows no_seat_belt 0.9 passenger    the same at the left of the windscreen
//! 2.0 car#1 looked plate:30A12345    the same of a plate, `plate:` for none
//! 2.0 fire#9 looked fire     the same of the whole picture: what it shows there
//! 0.0 fire#9 unseen          the detector does not know such things
//! 0.0 answers 1.5            cascades answer so much later
//! 0.0 main 0.013             they look at the main stream's pictures, which are so much later
//! 2.0 fire#9 size 4.0,3.0    how large it is at this time; evenly in between
//! 5.0 health moved           what the watch over the picture says
//! 5.0 lost 60.0              the stream is lost, the scene is told so and sees time pass
//! 0.0 clock rtcp             of what quality the pictures' times are (else `media`)
//! 0.0 source lamp            who reads the signals (else `mqtt`)
//! ```

mod body;
mod play;
mod story;
mod told;

use expect_test::Expect;
use protocol::event::{Provenance, SecondModel};
use protocol::id::CascadeId;
use protocol::units::Metres;
use protocol::{BoxId, CameraId, ObjectClass, SiteId};

use crate::calibration::Calibration;
use crate::config::SceneConfig;
use crate::input::Output;
use crate::scene::{Identity, Scene};
use crate::second_look::CascadeUse;

pub(crate) use play::play;
pub(crate) use told::{events, near_misses, told};

/// Zone `road` is x from 10 to 90 and y from 10 to 40; line `stop` runs along
/// x = 50 and forwards is to the right; lanes lead to the right.
pub(crate) const PLACES: &str = r#"
    [[zone]]
    id = "road"
    points = [[0.1, 0.2], [0.9, 0.2], [0.9, 0.8], [0.1, 0.8]]
    [[zone]]
    id = "zebra"
    points = [[0.3, 0.2], [0.4, 0.2], [0.4, 0.8], [0.3, 0.8]]
    [[line]]
    id = "stop"
    from = [0.5, 0.2]
    to = [0.5, 0.8]
    towards = [0.6, 0.5]
    [[signal]]
    group = "main"
    mqtt = { topic = "junction/main" }
"#;

pub(crate) fn identity() -> Identity {
    Identity {
        site: SiteId::new("test").unwrap(),
        box_id: BoxId::new("box").unwrap(),
        camera: CameraId::new("camera").unwrap(),
        place: None,
        simulated: false,
        provenance: Provenance::default(),
    }
}

/// The calibration of the camera that looks straight down.
pub(crate) fn overhead() -> Calibration {
    Calibration {
        image_to_ground: [[100.0, 0.0, 0.0], [0.0, 50.0, 0.0], [0.0, 0.0, 1.0]],
        residual_m: Metres(0.1),
        points: 4,
        ..Calibration::default()
    }
}

pub(crate) fn scene(rule: &str, calibrated: bool) -> Scene {
    let table: toml::Table = format!("{PLACES}\n[[rule]]\nid = \"r\"\n{rule}")
        .parse()
        .unwrap();
    let (config, faults) = SceneConfig::from_table(&table);
    assert_eq!(faults, []);
    let calibration = calibrated.then(overhead);
    Scene::new(identity(), config, calibration).unwrap()
}

/// Plays a story on a calibrated camera that has further places.
pub(crate) fn play_with(places: &str, rule: &str, story: &str) -> Vec<Output> {
    play(&mut scene(&format!("{rule}\n{places}"), true), story)
}

/// Runs a story on a calibrated camera and compares what is said.
pub(crate) fn check(rule: &str, story: &str, expected: &Expect) {
    expected.assert_eq(&told(&play(&mut scene(rule, true), story)));
}

/// The same without a calibration.
pub(crate) fn check_uncalibrated(rule: &str, story: &str, expected: &Expect) {
    expected.assert_eq(&told(&play(&mut scene(rule, false), story)));
}

/// The model of a story's cascade has its name.
pub(crate) fn model_of(cascade: &str) -> SecondModel {
    SecondModel {
        model: cascade.parse().unwrap(),
        version: Some(3),
        model_digest: protocol::Digest([0x5e; 32]),
        manifest_digest: None,
    }
}

/// Cascades of stories.
pub(crate) fn cascades() -> Vec<CascadeUse> {
    use ObjectClass as C;
    let cascade = |id: &str, on: &[C], gives: &[C]| CascadeUse {
        id: CascadeId::new(id).unwrap(),
        on: on.to_vec(),
        gives: gives.to_vec(),
        reads_plates: id == "plates",
    };
    let marks = [C::Helmet, C::NoHelmet, C::Phone, C::SeatBelt, C::NoSeatBelt];
    vec![
        cascade("marks", &[C::Motorcycle, C::Person, C::Car], &marks),
        cascade("plates", &[C::Motorcycle, C::Car], &[C::Plate]),
        cascade("flames", &[], &[C::Fire, C::Smoke]),
    ]
}
