//! Does a model see what it was seen to see? Bundled pictures with expected boxes.
//!
//! Made when a bundle is made, by the model itself on its maker's machine; run
//! before the model becomes current, on the machine and the provider that it is
//! to work on. So a wrong manifest (colours swapped, another head's formula), a
//! damaged conversion and a provider that computes wrong are found out before a
//! camera is watched with it.

use std::path::Path;

use models::I420View;
use protocol::{Detection, NormBox, ObjectClass};
use serde::{Deserialize, Serialize};

use crate::detector::Detector;
use crate::still::Still;

/// Its name in a bundle.
pub const SELF_TEST: &str = "selftest.toml";

/// Least overlap (IoU) with an expected box. Half precision moves edges by
/// fractions of a pixel; swapped colours or a wrong stride move them away.
const OVERLAP: f64 = 0.7;
/// How much lower a score may be than it was, and how much above the threshold
/// something unexpected must be to count: providers differ by hundredths.
const SCORE_TOLERANCE: f64 = 0.1;

/// What a model must see: `selftest.toml`.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SelfTest {
    /// The pictures.
    pub picture: Vec<TestPicture>,
}

/// A picture and what must be seen in it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TestPicture {
    /// Its place in the bundle.
    pub file: String,
    /// Everything that the model believes there.
    #[serde(default)]
    pub expect: Vec<Expected>,
}

/// A box that must be seen.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Expected {
    /// As what.
    pub class: ObjectClass,
    /// Left, top, width, height in fractions of the picture.
    pub bounds: [f64; 4],
    /// How surely it was seen.
    pub score: f64,
}

impl SelfTest {
    /// What `detector` sees in `pictures` (place in the bundle, content) now, as what it must see.
    pub fn of(detector: &mut Detector, pictures: &[(String, Vec<u8>)]) -> Result<Self, String> {
        let high = detector.manifest().thresholds.high;
        let mut test = Self::default();
        for (file, content) in pictures {
            let still = Still::read(content, file).map_err(|error| error.to_string())?;
            let seen = detector.detect(&still.view()).map_err(|e| e.to_string())?;
            let expect = seen
                .iter()
                .filter(|detection| detection.score >= high)
                .map(|detection| Expected {
                    class: detection.class,
                    bounds: [
                        detection.bounds.x,
                        detection.bounds.y,
                        detection.bounds.width,
                        detection.bounds.height,
                    ]
                    .map(|value| (value * 1e5).round() / 1e5),
                    score: (detection.score * 1e3).round() / 1e3,
                })
                .collect();
            test.picture.push(TestPicture {
                file: file.clone(),
                expect,
            });
        }
        if test.picture.iter().all(|picture| picture.expect.is_empty()) {
            return Err(format!(
                "the model believes nothing (score {high} and above) in any of the {} picture(s); a self-test needs pictures with something to see",
                pictures.len()
            ));
        }
        Ok(test)
    }

    /// The self-test in a version's folder; `Ok(None)` where there is none.
    pub fn open(folder: &Path) -> Result<Option<Self>, String> {
        let file = folder.join(SELF_TEST);
        if !file.is_file() {
            return Ok(None);
        }
        let failed = |why: &dyn std::fmt::Display| format!("{}: {why}", file.display());
        let text = std::fs::read_to_string(&file).map_err(|error| failed(&error))?;
        let read: Self = toml::from_str(&text).map_err(|error| failed(&error.message()))?;
        if read.picture.is_empty() {
            return Err(failed(&"it has no picture"));
        }
        Ok(Some(read))
    }

    /// Runs it; `Err` says what was seen otherwise.
    pub fn run(&self, detector: &mut Detector, folder: &Path) -> Result<usize, String> {
        let high = detector.manifest().thresholds.high;
        for picture in &self.picture {
            let still = Still::open(&folder.join(&picture.file)).map_err(|e| e.to_string())?;
            let view: I420View<'_> = still.view();
            let seen = detector.detect(&view).map_err(|error| error.to_string())?;
            compare(picture, &seen, high)?;
        }
        Ok(self.picture.len())
    }
}

/// Whether what was seen is what was expected.
fn compare(picture: &TestPicture, seen: &[Detection], high: f64) -> Result<(), String> {
    let is_of = |detection: &Detection, expected: &Expected| {
        detection.class == expected.class
            && detection.bounds.iou(&NormBox::from(expected.bounds)) >= OVERLAP
    };
    let mut is_explained = vec![false; seen.len()];
    for expected in &picture.expect {
        let found = (0..seen.len())
            .filter(|at| !is_explained[*at] && is_of(&seen[*at], expected))
            .max_by(|a, b| seen[*a].score.total_cmp(&seen[*b].score));
        let [x, y, width, height] = expected.bounds;
        let what = format!(
            "{} at {x:.3},{y:.3} size {width:.3}×{height:.3}",
            expected.class
        );
        match found {
            None => return Err(format!("{}: {what} is not seen", picture.file)),
            Some(at) if seen[at].score < expected.score - SCORE_TOLERANCE => {
                return Err(format!(
                    "{}: {what} is seen with score {:.2} instead of {:.2}",
                    picture.file, seen[at].score, expected.score
                ));
            }
            Some(at) => is_explained[at] = true,
        }
    }
    let ghost = seen
        .iter()
        .zip(&is_explained)
        .find(|(detection, is_explained)| {
            !**is_explained && detection.score >= high + SCORE_TOLERANCE
        });
    match ghost {
        Some((detection, _)) => Err(format!(
            "{}: {} with score {:.2} is seen where nothing is",
            picture.file, detection.class, detection.score
        )),
        None => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn seen(class: ObjectClass, x: f64, score: f64) -> Detection {
        Detection {
            class,
            score,
            bounds: NormBox::from([x, 0.1, 0.2, 0.4]),
        }
    }

    #[test]
    fn a_model_that_sees_otherwise_fails() {
        use ObjectClass::{Car, Person};
        let picture = TestPicture {
            file: "a.jpg".to_owned(),
            expect: vec![Expected {
                class: Person,
                bounds: [0.1, 0.1, 0.2, 0.4],
                score: 0.8,
            }],
        };
        for (seen, words) in [
            (vec![seen(Person, 0.1, 0.8)], None),
            (vec![seen(Person, 0.11, 0.72), seen(Car, 0.6, 0.36)], None),
            (vec![], Some("is not seen")),
            (vec![seen(Car, 0.1, 0.8)], Some("person at 0.100,0.100")),
            (vec![seen(Person, 0.2, 0.8)], Some("is not seen")),
            (
                vec![seen(Person, 0.1, 0.6)],
                Some("score 0.60 instead of 0.80"),
            ),
            (
                vec![seen(Person, 0.1, 0.8), seen(Car, 0.6, 0.9)],
                Some("car with score 0.90 is seen where nothing is"),
            ),
        ] {
            match (compare(&picture, &seen, 0.35), words) {
                (Ok(()), None) => {}
                (Err(message), Some(words)) => assert!(message.contains(words), "{message}"),
                (found, expected) => panic!("{found:?}, expected {expected:?}"),
            }
        }
    }
}
