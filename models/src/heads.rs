//! Heads: from a network's numbers to detections.
//!
//! Each head is a file here: which tensors it reads, which shapes they must
//! have, and the formula of its authors. What all have in common is around
//! them: class words, thresholds, the way back to the picture, suppression of
//! doubles.
//!
//! A head trusts no number. A tensor of the wrong shape is an error that names
//! both shapes; a score or an edge that is not finite is passed over, because
//! one broken number in a picture is no reason to go blind.

pub mod yolox;

pub mod nanodet_plus;

pub mod centernet;

mod grid;

use protocol::{Detection, ObjectClass};
use serde::{Deserialize, Serialize};

use crate::letterbox::Letterbox;
use crate::manifest::{ClassMap, Input, Manifest};
use crate::nms;

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

/// Outputs that are not what the manifest says.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum HeadError {
    /// A tensor is not there.
    #[error(
        "the {head} head reads output `{wanted}`, the model has {found}; correct `head` in its manifest or install the right file"
    )]
    Missing {
        /// The head's kind.
        head: &'static str,
        /// The name in the manifest.
        wanted: String,
        /// The names that are there.
        found: String,
    },
    /// A tensor has other dimensions.
    #[error(
        "the {head} head expects output `{tensor}` to be {expected}, the model gives {found}; input size, strides, class count or the file itself differ from the manifest"
    )]
    Shape {
        /// The head's kind.
        head: &'static str,
        /// The tensor's name.
        tensor: String,
        /// Dimensions by the manifest.
        expected: Shape,
        /// Dimensions found.
        found: Shape,
    },
    /// A tensor's dimensions and its numbers do not agree.
    #[error(
        "output `{tensor}` claims the shape {shape} but holds {found} numbers; the runtime gave a broken tensor"
    )]
    Length {
        /// The tensor's name.
        tensor: String,
        /// What it claims.
        shape: Shape,
        /// How many numbers there are.
        found: usize,
    },
}

/// Dimensions of a tensor, printed as `[1, 3, 416, 416]`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Shape(pub Vec<i64>);

impl Shape {
    fn of(sizes: &[usize]) -> Self {
        // A manifest's sizes are far below; saturating keeps this total.
        Self(
            sizes
                .iter()
                .map(|size| i64::try_from(*size).unwrap_or(i64::MAX))
                .collect(),
        )
    }
}

impl core::fmt::Display for Shape {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        write!(f, "{:?}", self.0)
    }
}

/// Which formula turns outputs into boxes, with its parameters.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum Head {
    /// YOLOX (Ge et al. 2021).
    Yolox(yolox::Yolox),
    /// NanoDet-Plus (RangiLyu 2021), generalised focal loss.
    NanodetPlus(nanodet_plus::NanodetPlus),
    /// CenterNet (Zhou et al. 2019) with distances to the four edges.
    Centernet(centernet::Centernet),
}

impl Head {
    /// The kind, as written in manifests.
    pub const fn kind(&self) -> &'static str {
        match self {
            Self::Yolox(_) => "yolox",
            Self::NanodetPlus(_) => "nanodet_plus",
            Self::Centernet(_) => "centernet",
        }
    }

    /// The outputs that it reads, each with the dimensions that it must have.
    pub fn expected(&self, input: &Input, classes: &ClassMap) -> Vec<(&str, Shape)> {
        match self {
            Self::Yolox(head) => head.expected(input, classes),
            Self::NanodetPlus(head) => head.expected(input, classes),
            Self::Centernet(head) => head.expected(input, classes),
        }
    }

    /// Checks the parameters; the text says what is wrong.
    pub(crate) fn check(&self) -> Result<(), String> {
        match self {
            Self::Yolox(head) => grid::check_strides(&head.strides),
            Self::NanodetPlus(head) => head.check(),
            Self::Centernet(head) => grid::check_strides(&[head.stride]),
        }
    }
}

/// What a head needs to know besides its tensors.
struct Reading<'a> {
    input: &'a Input,
    classes: &'a ClassMap,
    /// Answers below this are not made.
    low: f32,
}

/// An answer in the input's pixels, before anything is known of the picture.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Candidate {
    class: ObjectClass,
    score: f32,
    /// Left, top, right, bottom.
    edges: [f32; 4],
}

/// Reads a network's outputs: everything at or above `thresholds.low`, in
/// fractions of the picture that `letterbox` was planned for, best first.
pub fn decode(
    manifest: &Manifest,
    letterbox: &Letterbox,
    outputs: &[TensorView<'_>],
) -> Result<Vec<Detection>, HeadError> {
    let tensors = select(manifest, outputs)?;
    #[allow(clippy::cast_possible_truncation)] // scores are f32
    let low = manifest.thresholds.low as f32;
    let reading = Reading {
        input: &manifest.input,
        classes: &manifest.classes,
        low,
    };
    let candidates = match (&manifest.head, tensors.as_slice()) {
        (Head::Yolox(head), [output]) => head.candidates(&reading, output),
        (Head::NanodetPlus(head), [output]) => head.candidates(&reading, output),
        (Head::Centernet(head), [heatmap, ltrb]) => head.candidates(&reading, heatmap, ltrb),
        _ => unreachable!("`select` returns as many tensors as the head expects"),
    };
    let seen = candidates
        .into_iter()
        .filter_map(|candidate| {
            Some(Detection {
                class: candidate.class,
                score: f64::from(candidate.score),
                bounds: letterbox.to_picture(candidate.edges)?,
            })
        })
        .collect();
    Ok(nms::suppress(seen, manifest.thresholds.nms))
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

/// The largest of `scores`, passing over NaN; `-inf` for none.
///
/// Eight running maxima, because one would make every comparison wait for the
/// last and keep the compiler from using vector instructions.
fn peak(scores: &[f32]) -> f32 {
    let larger = |a: f32, b: f32| if b > a { b } else { a };
    let (chunks, rest) = scores.as_chunks::<8>();
    let mut maxima = [f32::NEG_INFINITY; 8];
    for chunk in chunks {
        for (maximum, score) in maxima.iter_mut().zip(chunk) {
            *maximum = larger(*maximum, *score);
        }
    }
    maxima
        .into_iter()
        .chain(rest.iter().copied())
        .fold(f32::NEG_INFINITY, larger)
}

/// The best class and its score: the first of equals, NaN passed over.
fn best_class(scores: &[f32]) -> Option<(usize, f32)> {
    let highest = peak(scores);
    let number = scores.iter().position(|score| *score == highest)?;
    Some((number, highest))
}

/// A score that may be published: finite, at least `low`, at most 1.
fn accepted(score: f32, low: f32) -> Option<f32> {
    // Written so that NaN fails. Rounding in the network may exceed 1 by a hair.
    (score.is_finite() && score >= low).then(|| score.min(1.0))
}
