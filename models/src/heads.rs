//! Heads: from a network's numbers to what is in the picture.
//!
//! Each head is a file here: which tensors it reads, which shapes they must
//! have, and the formula of its authors. What all have in common is around
//! them: class words, thresholds, the way back to the picture, suppression of
//! doubles.
//!
//! A head trusts no number. A tensor of the wrong shape is an error that names
//! both shapes; an answer with a number that is not finite is passed over and
//! counted, because one broken number in a picture is no reason to go blind; and
//! when there is no other answer left, that is an error, because a camera that
//! is blind must say so. No answer of a head depends on chance: all are sorted,
//! equals by place.
//!
//! Five kinds of answers: [`detections`] (boxes; [`decode`] without the count),
//! [`faces`], [`labels`], [`text_regions()`] and [`text`].

pub mod yolox;

pub mod nanodet_plus;

pub mod picodet;

pub mod centernet;

pub mod fastestdet;

pub mod ssd;

pub mod yolov5;

pub mod yolov8;

pub mod yolo_end_to_end;

pub mod rtdetr;

pub mod yunet;

pub mod classifier;

pub mod text_regions;

pub mod ctc;

mod answers;

mod distances;

mod error;

mod grid;

mod kinds;

mod scores;

use protocol::{Detection, NormBox};

use crate::letterbox::Letterbox;
use crate::manifest::Manifest;
use crate::nms;

pub use answers::{Answers, Face, Label, Symbol, TextLine, TextRegion};
pub use ctc::{Alphabet, AlphabetError};
pub use error::{Answer, HeadError, Shape};
pub use kinds::Head;
pub use scores::Activation;

use answers::{Candidate, Fault, Found, Reading};
use kinds::check_count;
use yolov8::BoxForm;

/// An output of a network.
#[derive(Clone, Copy, Debug)]
pub struct TensorView<'a> {
    /// Its name in the file.
    pub name: &'a str,
    /// Its dimensions.
    pub shape: &'a [i64],
    /// Its numbers, the last dimension running fastest.
    pub data: &'a [f32],
}

/// [`detections`] without the count of what was broken.
pub fn decode(
    manifest: &Manifest,
    letterbox: &Letterbox,
    outputs: &[TensorView<'_>],
) -> Result<Vec<Detection>, HeadError> {
    detections(manifest, letterbox, outputs).map(|answers| answers.found)
}

/// Boxes: everything at or above `thresholds.low`, in fractions of the picture
/// that `letterbox` was planned for, best first, at most [`nms::MAX_CANDIDATES`].
pub fn detections(
    manifest: &Manifest,
    letterbox: &Letterbox,
    outputs: &[TensorView<'_>],
) -> Result<Answers<Detection>, HeadError> {
    expect(manifest, &[Answer::Detections, Answer::Faces])?;
    let tensors = select(manifest, outputs)?;
    let found = manifest.head.candidates(&reading(manifest), &tensors);
    Ok(placed(manifest, letterbox, found)?.map(|(detection, _)| detection))
}

/// Faces with their five points, as [`detections`].
pub fn faces(
    manifest: &Manifest,
    letterbox: &Letterbox,
    outputs: &[TensorView<'_>],
) -> Result<Answers<Face>, HeadError> {
    let Head::Yunet(head) = &manifest.head else {
        return Err(expect(manifest, &[Answer::Faces]).expect_err("only one head reads faces"));
    };
    let tensors = select(manifest, outputs)?;
    let found = head.candidates(&reading(manifest), &tensors);
    let Answers { found, mut broken } = placed(manifest, letterbox, found)?;
    let found = found
        .into_iter()
        .filter_map(|(detection, row)| {
            let landmarks = head.landmarks((&manifest.input, letterbox), &tensors, row);
            broken += usize::from(landmarks.is_none());
            Some(Face {
                class: detection.class,
                score: detection.score,
                bounds: detection.bounds,
                landmarks: landmarks?,
            })
        })
        .collect();
    Ok(Answers { found, broken })
}

/// Classes of the whole input at or above `thresholds.low`, best first.
pub fn labels(
    manifest: &Manifest,
    outputs: &[TensorView<'_>],
) -> Result<Answers<Label>, HeadError> {
    let Head::Classifier(head) = &manifest.head else {
        return Err(expect(manifest, &[Answer::Labels]).expect_err("only one head reads labels"));
    };
    let tensors = select(manifest, outputs)?;
    let answers = head
        .read(&reading(manifest), &tensors)
        .map_err(|fault| misread(manifest, fault))?;
    all_broken(manifest, answers.broken, manifest.classes.count())?;
    Ok(answers)
}

/// Places of text with a score at or above `thresholds.low`, best first.
pub fn text_regions(
    manifest: &Manifest,
    letterbox: &Letterbox,
    outputs: &[TensorView<'_>],
) -> Result<Answers<TextRegion>, HeadError> {
    let Head::TextRegions(head) = &manifest.head else {
        return Err(
            expect(manifest, &[Answer::TextRegions]).expect_err("only one head reads these")
        );
    };
    let tensors = select(manifest, outputs)?;
    let answers = head
        .read(&reading(manifest), letterbox, &tensors)
        .map_err(|fault| misread(manifest, fault))?;
    all_broken(manifest, answers.broken, tensors[0].len())?;
    Ok(answers)
}

/// The line of text in the input; no symbols when its mean confidence is below
/// `thresholds.low` or a column of it is broken.
pub fn text(
    manifest: &Manifest,
    alphabet: &Alphabet,
    outputs: &[TensorView<'_>],
) -> Result<TextLine, HeadError> {
    let Head::Ctc(head) = &manifest.head else {
        return Err(expect(manifest, &[Answer::Text]).expect_err("only one head reads text"));
    };
    let tensors = select(manifest, outputs)?;
    let (line, columns) = head
        .read(&reading(manifest), alphabet, &tensors)
        .map_err(|fault| misread(manifest, fault))?;
    all_broken(manifest, line.broken, columns)?;
    Ok(line)
}

fn reading(manifest: &Manifest) -> Reading<'_> {
    #[allow(clippy::cast_possible_truncation)] // scores are f32
    let low = manifest.thresholds.low as f32;
    Reading {
        input: &manifest.input,
        classes: &manifest.classes,
        low,
    }
}

/// Candidates in the picture, doubles suppressed, each with its row in the tensors.
fn placed(
    manifest: &Manifest,
    letterbox: &Letterbox,
    found: Found,
) -> Result<Answers<(Detection, usize)>, HeadError> {
    if let Some(fault) = found.fault {
        return Err(misread(manifest, fault));
    }
    all_broken(manifest, found.broken, found.total)?;
    let placed = found
        .candidates
        .into_iter()
        .filter_map(
            |Candidate {
                 class,
                 score,
                 edges,
                 row,
             }| {
                let detection = Detection {
                    class,
                    score: f64::from(score),
                    bounds: letterbox.to_picture(edges)?,
                };
                Some((detection, row))
            },
        )
        .collect();
    let part = |bounds: &NormBox| {
        if manifest.head.compares_what_is_seen() {
            letterbox.seen_part(bounds)
        } else {
            *bounds
        }
    };
    let most = manifest.thresholds.nms;
    Ok(Answers {
        found: nms::suppress_by(placed, most, |(detection, _)| detection, part),
        broken: found.broken,
    })
}

/// What is said of a network that has taken itself the softmax or sigmoid that
/// its manifest asks for once more ([`Head::logits`]).
pub fn probabilities_already(manifest: &Manifest) -> HeadError {
    misread(manifest, Fault::Already)
}

/// Numbers of another kind would become certainties, and those accusations.
fn misread(manifest: &Manifest, fault: Fault) -> HeadError {
    let head = manifest.head.kind();
    let (found, remedy) = match fault {
        Fault::Score(score) => (
            format!("{score}, which is none"),
            manifest.head.remedy_for_logits(),
        ),
        Fault::Sum(sum) => (
            format!("classes that exclude each other and together make {sum}, not 1"),
            "write `activation = \"softmax\"` under `[head]` if it ends without one; of classes that each have \
             a sigmoid, `several = true`",
        ),
        Fault::Already => (
            "probabilities where logits are to be read: all of them would count".to_owned(),
            manifest.head.remedy_for_probabilities(),
        ),
        Fault::Boxes(form) => {
            let (found, remedy) = match form {
                BoxForm::Edges => ("left, top, right, bottom", "write `boxes = \"edges\"`"),
                BoxForm::Middle => ("middle, width, height", "leave `boxes` out"),
            };
            return HeadError::Boxes {
                head,
                found,
                remedy,
            };
        }
    };
    HeadError::NoProbabilities {
        head,
        found,
        remedy,
    }
}

/// A network whose every answer is broken is blind.
fn all_broken(manifest: &Manifest, broken: usize, total: usize) -> Result<(), HeadError> {
    if total > 0 && broken >= total {
        return Err(HeadError::NoNumbers {
            head: manifest.head.kind(),
            count: total,
        });
    }
    Ok(())
}

/// Refuses a question that the head cannot answer.
fn expect(manifest: &Manifest, asked: &[Answer]) -> Result<(), HeadError> {
    let reads = manifest.head.answer();
    if asked.contains(&reads) {
        return Ok(());
    }
    Err(HeadError::Kind {
        head: manifest.head.kind(),
        reads,
        asked: asked[0],
    })
}

/// The data of each tensor that the head expects, in its order, shapes checked.
fn select<'a>(
    manifest: &Manifest,
    outputs: &[TensorView<'a>],
) -> Result<Vec<&'a [f32]>, HeadError> {
    let head = manifest.head.kind();
    manifest
        .head
        .expected(&manifest.input, &manifest.classes)
        .into_iter()
        .map(|(name, expected)| {
            let tensor =
                outputs
                    .iter()
                    .find(|t| t.name == name)
                    .ok_or_else(|| HeadError::Missing {
                        head,
                        wanted: name.to_owned(),
                        found: names(outputs.iter().map(|t| t.name)),
                    })?;
            let found = Shape(tensor.shape.to_vec());
            if found != expected {
                return Err(HeadError::Shape {
                    head,
                    tensor: name.to_owned(),
                    expected,
                    found,
                });
            }
            // Every dimension equals an expected one, which is small and positive.
            let length: i64 = tensor.shape.iter().product();
            if usize::try_from(length) != Ok(tensor.data.len()) {
                return Err(HeadError::Length {
                    tensor: name.to_owned(),
                    shape: found,
                    found: tensor.data.len(),
                });
            }
            Ok(tensor.data)
        })
        .collect()
}

/// `a`, `b` for an error message.
pub fn names<'a>(names: impl Iterator<Item = &'a str>) -> String {
    let quoted: Vec<_> = names.map(|name| format!("`{name}`")).collect();
    if quoted.is_empty() {
        "none".to_owned()
    } else {
        quoted.join(", ")
    }
}
