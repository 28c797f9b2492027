//! A classifier: one tensor `[1, classes]`, one number per class of the whole
//! input, which is a crop of one thing or a whole picture.
//!
//! Either the classes exclude each other (softmax; the best one is the answer)
//! or each stands for itself (sigmoid, `several = true`; all that count are).

use serde::{Deserialize, Serialize};

use super::answers::{Answers, Fault, Label, Reading, accepted, improper, no_sum};
use super::scores::{peak, place_of};
use super::{Activation, Shape};
use crate::manifest::{ClassMap, Input};

/// Parameters.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Classifier {
    /// The output's name.
    pub tensor: String,
    /// What is still to be done to the numbers.
    #[serde(default)]
    pub activation: Activation,
    /// Whether several classes may be true at once.
    #[serde(default)]
    pub several: bool,
}

impl Classifier {
    pub(super) fn check(&self) -> Result<(), String> {
        if self.several && self.activation == Activation::Softmax {
            return Err(
                "under a softmax only one class can be true; set several = false or activation = \"sigmoid\""
                    .to_owned(),
            );
        }
        Ok(())
    }

    pub(super) fn expected(&self, _: &Input, classes: &ClassMap) -> Vec<(&str, Shape)> {
        vec![(self.tensor.as_str(), Shape::of(&[1, classes.count()]))]
    }

    /// What counts, best first, equals by number.
    pub(super) fn read(
        &self,
        reading: &Reading<'_>,
        tensors: &[&[f32]],
    ) -> Result<Answers<Label>, Fault> {
        if self.activation == Activation::None {
            tensors[0]
                .iter()
                .find_map(|score| improper(*score))
                .map_or(Ok(()), Err)?;
            // Of one class alone the rest is that it is not there.
            let is_of_one = self.several || tensors[0].len() < 2;
            (!is_of_one)
                .then(|| no_sum(tensors[0]))
                .flatten()
                .map_or(Ok(()), Err)?;
        }
        let mut scores = tensors[0].to_vec();
        let broken = scores.iter().filter(|score| !score.is_finite()).count();
        let mut found = Vec::new();
        let mut answer = |number: usize, score: f32| {
            if let Some(score) = accepted(score, reading.low) {
                found.push(Label {
                    number,
                    class: reading.classes.word(number),
                    score: f64::from(score),
                });
            }
        };
        if self.several {
            self.activation.apply(&mut scores);
            for (number, score) in scores.iter().enumerate() {
                // Made of this number alone, so only its own soundness counts.
                if tensors[0][number].is_finite() {
                    answer(number, *score);
                }
            }
        } else if broken == 0 {
            // A class whose number is none might have been the best, so all must be sound.
            self.activation.apply(&mut scores);
            let highest = peak(&scores).highest;
            if let Some(number) = place_of(&scores, highest) {
                answer(number, highest);
            }
        }
        found.sort_by(|a, b| b.score.total_cmp(&a.score));
        Ok(Answers { found, broken })
    }
}
