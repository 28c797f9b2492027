//! Whether a second model sees what the detector sees: which pictures it is shown, and what of
//! the answers of both counts. The same for a box at work and for a replay.

use std::hash::{DefaultHasher, Hash as _, Hasher as _};

use edge_inference::Agreement;
use protocol::{CameraId, Detection};

/// What is said where the model in the shadow is the detector, as it is once it was put into use.
pub(crate) const ITSELF: &str = "the detector is compared with itself, so the two can only agree; name another model \
                                 under [detector.shadow], or take that out";

/// What a model saw in a picture, or in a part of it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Sight<'a> {
    pub(crate) seen: &'a [Detection],
    /// It believes in what gets a score of so much.
    pub(crate) believed_from: f64,
}

impl<'a> Sight<'a> {
    fn believed(self) -> Vec<&'a Detection> {
        let from = self.believed_from;
        let believed = self.seen.iter().filter(|seen| seen.score >= from);
        believed.collect()
    }
}

/// Takes in what both saw in the same part of the same picture.
pub(crate) fn compare(agreement: &mut Agreement, detector: Sight<'_>, other: Sight<'_>) {
    agreement.add(&detector.believed(), &other.believed());
}

/// How far they agree, by class, for people.
pub(crate) fn by_class(agreement: &Agreement) -> String {
    let classes = agreement.classes.iter().map(|(class, agreement)| {
        let share = 100.0 * agreement.share();
        format!("{class} {share:.0} % of {}", agreement.things())
    });
    classes.collect::<Vec<_>>().join(", ")
}

/// Whether the shadow is shown this picture: one of `every` of each camera.
///
/// As if by lot. Cameras are looked at by turns: of every tenth look the camera would be
/// the same one for hours, and two models would be compared by one view and one light.
pub(crate) fn is_chosen(camera: &CameraId, number: u64, every: u64) -> bool {
    let mut lot = DefaultHasher::new();
    (camera.as_str(), number).hash(&mut lot);
    lot.finish().is_multiple_of(every.max(1))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)] // a test that cannot go on says where it stands

    use super::*;

    #[test]
    fn the_shadow_is_shown_every_camera_however_their_looks_take_turns() {
        for (cameras, every) in [(1, 10), (2, 10), (5, 10), (10, 10), (3, 1), (4, 2)] {
            // Each third picture is looked at, the others are dropped.
            for step in [1, 3, 10] {
                for camera in 0..cameras {
                    let camera: CameraId = format!("cam-{camera}").parse().unwrap();
                    let looks = (0..5_000).filter(|look| is_chosen(&camera, look * step, every));
                    let share = looks.count() as f64 / 5_000.0 * every as f64;
                    assert!(
                        (0.85..=1.15).contains(&share),
                        "{camera} {every} {step}: {share}"
                    );
                }
            }
        }
    }
}
