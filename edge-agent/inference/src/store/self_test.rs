//! Does a model see what it was seen to see? Bundled pictures with expected boxes,
//! words or text, by what the model answers with.
//!
//! Made when a bundle is made, by the model itself on its maker's machine; run
//! before the model becomes current, on the machine and the provider that it is
//! to work on. So a wrong manifest (colours swapped, another head's formula), a
//! damaged conversion and a provider that computes wrong are found out before a
//! camera is watched with it.

use std::fs::File;
use std::io::Read as _;
use std::path::Path;

use models::{I420View, Manifest};
use protocol::{NormBox, ObjectClass};
use serde::{Deserialize, Serialize};

use crate::error::DetectorError;
use crate::network::Answered;
use crate::still::Still;

use super::bundle::is_plain;
use super::ground::Ground;
use super::walk::StartFault;

/// Its name in a bundle.
pub const SELF_TEST: &str = "selftest.toml";
/// Longest file of it, bytes.
const MAX_BYTES: u64 = 1024 * 1024;

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
    /// Every box that the model believes in.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub expect: Vec<Expected>,
    /// What a classifier says of the whole picture.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub label: Option<ExpectedLabel>,
    /// What a reader of lines reads in it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub text: Option<ExpectedText>,
}

/// A box that must be seen.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Expected {
    /// As what; none for a place where something is written.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub class: Option<ObjectClass>,
    /// Left, top, width, height in fractions of the picture.
    pub bounds: [f64; 4],
    /// How surely it was seen.
    pub score: f64,
}

/// The word that a classifier must be surest of.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ExpectedLabel {
    /// The network's number for it, which not every manifest has a word for.
    pub number: usize,
    /// How surely it was said.
    pub score: f64,
}

/// The line that must be read.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ExpectedText {
    /// To the letter.
    pub reads: String,
    /// Mean confidence with which it was read.
    pub score: f64,
}

/// Why a self-test was not passed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SelfTestFault {
    /// The model saw otherwise.
    #[error("{0}")]
    Failed(String),
    /// Nothing is known of the model: the test itself cannot be read.
    #[error(
        "it could not be tested: {0}. That says nothing of the model: look at the disk, or have its maker make the bundle again"
    )]
    Untested(String),
}

impl SelfTestFault {
    /// Why a model that computes on that does not start.
    pub fn on(self, ground: &Ground) -> StartFault {
        match self {
            Self::Failed(reason) => StartFault::SelfTest {
                on: ground.clone(),
                reason,
            },
            Self::Untested(_) => StartFault::Passing(self.to_string()),
        }
    }
}

/// A model that can be shown a picture, whatever it answers with.
pub trait Examinee {
    /// What the model is.
    fn manifest(&self) -> &Manifest;

    /// What computes: the name of ONNX Runtime's execution provider.
    fn provider(&self) -> &'static str;

    /// What it says of all of a picture.
    fn answer(&mut self, picture: &I420View<'_>) -> Result<Answered, DetectorError>;
}

impl SelfTest {
    /// What `model` sees in `pictures` (place in the bundle, content) now, as what it must see.
    pub fn of(
        model: &mut (impl Examinee + ?Sized),
        pictures: &[(String, Vec<u8>)],
    ) -> Result<Self, String> {
        let high = model.manifest().thresholds.high;
        let mut test = Self::default();
        for (file, content) in pictures {
            let still = Still::read(content, file).map_err(|error| error.to_string())?;
            let answer = model.answer(&still.view()).map_err(|e| e.to_string())?;
            test.picture
                .push(Seen::of(answer).as_expected(file.clone(), high));
        }
        let says_nothing = |picture: &TestPicture| {
            picture.expect.is_empty() && picture.label.is_none() && picture.text.is_none()
        };
        if test.picture.iter().all(says_nothing) {
            return Err(format!(
                "the model believes nothing (score {high} and above) in any of the {} picture(s); a self-test needs pictures with something to see",
                pictures.len()
            ));
        }
        Ok(test)
    }

    /// The self-test in a version's folder; `Ok(None)` where there is none.
    pub fn open(folder: &Path) -> Result<Option<Self>, SelfTestFault> {
        let file = folder.join(SELF_TEST);
        if !file.is_file() {
            return Ok(None);
        }
        let failed = |why: &dyn std::fmt::Display| {
            SelfTestFault::Untested(format!("{}: {why}", file.display()))
        };
        let mut text = String::new();
        File::open(&file)
            .and_then(|file| file.take(MAX_BYTES + 1).read_to_string(&mut text))
            .map_err(|error| failed(&error))?;
        if text.len() as u64 > MAX_BYTES {
            return Err(failed(&format!("more than {MAX_BYTES} bytes")));
        }
        let read: Self = toml::from_str(&text).map_err(|error| failed(&error.message()))?;
        match read.fault() {
            Some(why) => Err(failed(&why)),
            None => Ok(Some(read)),
        }
    }

    /// What is wrong with it, if anything. No number is a NaN: nothing is less than that,
    /// so whatever is seen would do.
    fn fault(&self) -> Option<String> {
        if self.picture.is_empty() {
            return Some("it has no picture".to_owned());
        }
        for picture in &self.picture {
            if !is_plain(&picture.file) {
                let name = picture.file.escape_debug();
                return Some(format!("`{name}` is not a place within the bundle"));
            }
            let boxes = picture.expect.iter().map(|thing| thing.score);
            let words = picture.label.iter().map(|label| label.score);
            let lines = picture.text.iter().map(|text| text.score);
            let mut scores = boxes.chain(words).chain(lines);
            let mut numbers = picture.expect.iter().flat_map(|thing| thing.bounds);
            if !scores.all(|score| (0.0..=1.0).contains(&score)) || !numbers.all(f64::is_finite) {
                let file = &picture.file;
                return Some(format!(
                    "{file}: scores are from 0 to 1, bounds are numbers"
                ));
            }
        }
        None
    }

    /// Runs it; `Err` says what was seen otherwise, or why nothing could be.
    pub fn run(
        &self,
        model: &mut (impl Examinee + ?Sized),
        folder: &Path,
    ) -> Result<usize, SelfTestFault> {
        let high = model.manifest().thresholds.high;
        for picture in &self.picture {
            let still = Still::open(&folder.join(&picture.file))
                .map_err(|error| SelfTestFault::Untested(error.to_string()))?;
            let failed = |error: &dyn std::fmt::Display| SelfTestFault::Failed(error.to_string());
            let answer = model
                .answer(&still.view())
                .map_err(|error| failed(&error))?;
            compare(picture, &Seen::of(answer), high).map_err(|why| failed(&why))?;
        }
        Ok(self.picture.len())
    }

    /// What it expects, in numbers, for people.
    pub fn summary(&self) -> String {
        let boxes: usize = self.picture.iter().map(|p| p.expect.len()).sum();
        let labels = self.picture.iter().filter(|p| p.label.is_some()).count();
        let texts = self.picture.iter().filter(|p| p.text.is_some()).count();
        let parts = [(boxes, "box(es)"), (labels, "word(s)"), (texts, "line(s)")];
        let parts: Vec<String> = parts
            .iter()
            .filter(|(count, _)| *count > 0)
            .map(|(count, what)| format!("{count} {what}"))
            .collect();
        format!("{} in {} picture(s)", parts.join(", "), self.picture.len())
    }
}

/// What a model said of a picture.
#[derive(Clone, Debug, PartialEq)]
enum Seen {
    Boxes(Vec<Expected>),
    /// What it is surest of.
    Label(Option<ExpectedLabel>),
    Text(ExpectedText),
}

impl Seen {
    fn of(answer: Answered) -> Self {
        let thing = |class, bounds: NormBox, score| Expected {
            class,
            bounds: [bounds.x, bounds.y, bounds.width, bounds.height],
            score,
        };
        match answer {
            Answered::Detections(seen) => {
                let found = seen.found.iter();
                Self::Boxes(
                    found
                        .map(|d| thing(Some(d.class), d.bounds, d.score))
                        .collect(),
                )
            }
            Answered::Faces(seen) => {
                let found = seen.found.iter();
                Self::Boxes(
                    found
                        .map(|f| thing(Some(f.class), f.bounds, f.score))
                        .collect(),
                )
            }
            Answered::TextRegions(seen) => {
                let found = seen.found.iter();
                Self::Boxes(found.map(|r| thing(None, r.bounds, r.score)).collect())
            }
            Answered::Labels(seen) => {
                let surest = seen.found.iter().max_by(|a, b| a.score.total_cmp(&b.score));
                Self::Label(surest.map(|label| ExpectedLabel {
                    number: label.number,
                    score: label.score,
                }))
            }
            Answered::Text(line) => Self::Text(ExpectedText {
                reads: line.text(),
                score: line.confidence(),
            }),
        }
    }

    /// What the model believes of it, rounded, as what it must see.
    fn as_expected(&self, file: String, high: f64) -> TestPicture {
        let score = |score: f64| (score * 1e3).round() / 1e3;
        let mut picture = TestPicture {
            file,
            expect: Vec::new(),
            label: None,
            text: None,
        };
        match self {
            Self::Boxes(seen) => {
                let believed = seen.iter().filter(|thing| thing.score >= high);
                picture.expect = believed
                    .map(|thing| Expected {
                        class: thing.class,
                        bounds: thing.bounds.map(|value| (value * 1e5).round() / 1e5),
                        score: score(thing.score),
                    })
                    .collect();
            }
            Self::Label(label) => {
                let believed = label.filter(|label| label.score >= high);
                picture.label = believed.map(|label| ExpectedLabel {
                    score: score(label.score),
                    ..label
                });
            }
            Self::Text(text) => {
                let is_believed = text.score >= high && !text.reads.is_empty();
                picture.text = is_believed.then(|| ExpectedText {
                    reads: text.reads.clone(),
                    score: score(text.score),
                });
            }
        }
        picture
    }
}

/// Whether what was seen is what was expected.
fn compare(picture: &TestPicture, seen: &Seen, high: f64) -> Result<(), String> {
    let file = &picture.file;
    let expected = (
        !picture.expect.is_empty(),
        picture.label.is_some(),
        picture.text.is_some(),
    );
    match (seen, expected) {
        (Seen::Boxes(seen), (_, false, false)) => compare_boxes(picture, seen, high),
        (Seen::Label(seen), (false, _, false)) => {
            compare_labels(picture.label, *seen, high).map_err(|why| format!("{file}: {why}"))
        }
        (Seen::Text(seen), (false, false, _)) => {
            compare_texts(picture.text.as_ref(), seen, high).map_err(|why| format!("{file}: {why}"))
        }
        _ => Err(format!(
            "{file}: the self-test is of another kind of model; make the bundle again with --pictures"
        )),
    }
}

fn compare_boxes(picture: &TestPicture, seen: &[Expected], high: f64) -> Result<(), String> {
    let is_of = |thing: &Expected, expected: &Expected| {
        thing.class == expected.class
            && NormBox::from(thing.bounds).iou(&NormBox::from(expected.bounds)) >= OVERLAP
    };
    let name = |class: Option<ObjectClass>| class.map_or("text", ObjectClass::as_str);
    let mut is_explained = vec![false; seen.len()];
    for expected in &picture.expect {
        let found = (0..seen.len())
            .filter(|at| !is_explained[*at] && is_of(&seen[*at], expected))
            .max_by(|a, b| seen[*a].score.total_cmp(&seen[*b].score));
        let [x, y, width, height] = expected.bounds;
        let what = format!(
            "{} at {x:.3},{y:.3} size {width:.3}×{height:.3}",
            name(expected.class)
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
        .find(|(thing, is_explained)| !**is_explained && thing.score >= high + SCORE_TOLERANCE);
    match ghost {
        Some((thing, _)) => Err(format!(
            "{}: {} with score {:.2} is seen where nothing is",
            picture.file,
            name(thing.class),
            thing.score
        )),
        None => Ok(()),
    }
}

fn compare_labels(
    expected: Option<ExpectedLabel>,
    seen: Option<ExpectedLabel>,
    high: f64,
) -> Result<(), String> {
    match (expected, seen) {
        (None, Some(seen)) if seen.score >= high + SCORE_TOLERANCE => Err(format!(
            "class {} is said with score {:.2} where the model was sure of nothing",
            seen.number, seen.score
        )),
        (None, _) => Ok(()),
        (Some(expected), seen) => {
            let said = seen.filter(|seen| seen.number == expected.number);
            match (said, seen) {
                (Some(said), _) if said.score >= expected.score - SCORE_TOLERANCE => Ok(()),
                (Some(said), _) => Err(format!(
                    "class {} is said with score {:.2} instead of {:.2}",
                    expected.number, said.score, expected.score
                )),
                (None, Some(other)) => Err(format!(
                    "class {} is said instead of class {}",
                    other.number, expected.number
                )),
                (None, None) => Err(format!(
                    "nothing is said instead of class {}",
                    expected.number
                )),
            }
        }
    }
}

fn compare_texts(
    expected: Option<&ExpectedText>,
    seen: &ExpectedText,
    high: f64,
) -> Result<(), String> {
    match expected {
        None if !seen.reads.is_empty() && seen.score >= high + SCORE_TOLERANCE => Err(format!(
            "`{}` is read with score {:.2} where the model was sure of nothing",
            seen.reads, seen.score
        )),
        Some(expected) if seen.reads != expected.reads => Err(format!(
            "`{}` is read instead of `{}`",
            seen.reads, expected.reads
        )),
        Some(expected) if seen.score < expected.score - SCORE_TOLERANCE => Err(format!(
            "`{}` is read with score {:.2} instead of {:.2}",
            expected.reads, seen.score, expected.score
        )),
        None | Some(_) => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn thing(class: Option<ObjectClass>, x: f64, score: f64) -> Expected {
        Expected {
            class,
            score,
            bounds: [x, 0.1, 0.2, 0.4],
        }
    }

    fn label(number: usize, score: f64) -> Seen {
        Seen::Label(Some(ExpectedLabel { number, score }))
    }

    fn text(reads: &str, score: f64) -> Seen {
        let reads = reads.to_owned();
        Seen::Text(ExpectedText { reads, score })
    }

    #[test]
    fn a_model_that_sees_otherwise_fails() {
        use ObjectClass::{Car, Person};
        let boxes = Seen::Boxes;
        let one = |class, x, score| Seen::Boxes(vec![thing(class, x, score)]);
        let person = one(Some(Person), 0.1, 0.8);
        let written = one(None, 0.1, 0.8);
        for (made_of, seen, words) in [
            (&person, person.clone(), None),
            (
                &person,
                boxes(vec![
                    thing(Some(Person), 0.11, 0.72),
                    thing(Some(Car), 0.6, 0.36),
                ]),
                None,
            ),
            (&person, boxes(vec![]), Some("is not seen")),
            (
                &person,
                one(Some(Car), 0.1, 0.8),
                Some("person at 0.100,0.100"),
            ),
            (&person, one(Some(Person), 0.2, 0.8), Some("is not seen")),
            (
                &person,
                one(Some(Person), 0.1, 0.6),
                Some("score 0.60 instead of 0.80"),
            ),
            (
                &person,
                boxes(vec![
                    thing(Some(Person), 0.1, 0.8),
                    thing(Some(Car), 0.6, 0.9),
                ]),
                Some("car with score 0.90 is seen where nothing is"),
            ),
            (&person, label(0, 0.9), Some("another kind of model")),
            (&written, written.clone(), None),
            (&written, person.clone(), Some("text at 0.100,0.100")),
            (&label(1, 0.9), label(1, 0.81), None),
            (&label(1, 0.9), label(1, 0.7), Some("0.70 instead of 0.90")),
            (
                &label(1, 0.9),
                label(0, 0.9),
                Some("class 0 is said instead of class 1"),
            ),
            (&label(1, 0.9), Seen::Label(None), Some("nothing is said")),
            (&label(1, 0.3), label(0, 0.4), None),
            (
                &label(1, 0.3),
                label(0, 0.5),
                Some("the model was sure of nothing"),
            ),
            (&label(1, 0.9), text("51F", 0.9), Some("another kind")),
            (&text("51F", 0.9), text("51F", 0.85), None),
            (
                &text("51F", 0.9),
                text("51E", 0.9),
                Some("`51E` is read instead of `51F`"),
            ),
            (
                &text("51F", 0.9),
                text("51F", 0.7),
                Some("score 0.70 instead of 0.90"),
            ),
            (&text("51F", 0.2), text("", 0.0), None),
            (&text("51F", 0.2), text("51F", 0.9), Some("sure of nothing")),
        ] {
            let picture = made_of.as_expected("a.jpg".to_owned(), 0.35);
            // What is written into a bundle is what is read out of it.
            let written = toml::to_string(&picture).unwrap();
            assert_eq!(toml::from_str::<TestPicture>(&written).unwrap(), picture);
            match (compare(&picture, &seen, 0.35), words) {
                (Ok(()), None) => {}
                (Err(message), Some(words)) => assert!(message.contains(words), "{message}"),
                (found, expected) => panic!("{found:?}, expected {expected:?}"),
            }
        }
    }
}
