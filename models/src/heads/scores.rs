//! Scores: what a network is sure of, and what is no number at all.

use serde::{Deserialize, Serialize};

/// What is still to be done to numbers before they are probabilities.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Activation {
    /// Nothing: the network has done it.
    #[default]
    None,
    /// Together they make 1.
    Softmax,
    /// Each for itself.
    Sigmoid,
}

impl Activation {
    pub(super) fn apply(self, numbers: &mut [f32]) {
        match self {
            Self::None => {}
            Self::Softmax => softmax(numbers),
            Self::Sigmoid => {
                for number in numbers {
                    *number = sigmoid(*number);
                }
            }
        }
    }
}

/// The largest of some scores.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Peak {
    /// `-inf` for none; NaN is passed over.
    pub(super) highest: f32,
    /// Whether every one of them is a number.
    pub(super) is_sound: bool,
}

/// Looks through `scores` once.
///
/// Eight running maxima, because one would make every comparison wait for the
/// last and keep the compiler from using vector instructions. The sums of
/// `score · 0` are 0 unless a score is NaN or infinite.
pub(super) fn peak(scores: &[f32]) -> Peak {
    let larger = |a: f32, b: f32| if b > a { b } else { a };
    let (chunks, rest) = scores.as_chunks::<8>();
    let (mut maxima, mut zeros) = ([f32::NEG_INFINITY; 8], [0.0; 8]);
    for chunk in chunks {
        for ((maximum, zero), score) in maxima.iter_mut().zip(&mut zeros).zip(chunk) {
            *maximum = larger(*maximum, *score);
            *zero += *score * 0.0;
        }
    }
    Peak {
        highest: maxima
            .into_iter()
            .chain(rest.iter().copied())
            .fold(f32::NEG_INFINITY, larger),
        is_sound: zeros.iter().sum::<f32>() == 0.0 && rest.iter().all(|score| score.is_finite()),
    }
}

/// The place of the first that equals `highest`.
pub(super) fn place_of(scores: &[f32], highest: f32) -> Option<usize> {
    scores.iter().position(|score| *score == highest)
}

/// 1 / (1 + e⁻ˣ).
pub(super) fn sigmoid(x: f32) -> f32 {
    1.0 / (1.0 + libm::expf(-x))
}

/// Softmax, in place. Unchanged when all move together; at most 0 none overflows.
fn softmax(logits: &mut [f32]) {
    let highest = peak(logits).highest;
    let mut total = 0.0;
    for logit in logits.iter_mut() {
        *logit = libm::expf(*logit - highest);
        total += *logit;
    }
    for weight in logits {
        *weight /= total;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_number_that_is_none_is_noticed_wherever_it_stands() {
        for length in 1..40 {
            let sound: Vec<f32> = (0..length).map(|i| i as f32 / 64.0).collect();
            let of_sound = peak(&sound);
            assert!(of_sound.is_sound);
            assert_eq!(of_sound.highest, (length - 1) as f32 / 64.0);
            for place in 0..length {
                for bad in [f32::NAN, f32::INFINITY, f32::NEG_INFINITY] {
                    let mut scores = sound.clone();
                    scores[place] = bad;
                    assert!(!peak(&scores).is_sound, "{bad} at {place} of {length}");
                }
            }
        }
        assert!(!peak(&[f32::MAX, f32::NAN]).is_sound);
        assert!(peak(&[f32::MAX; 9]).is_sound);
    }

    #[test]
    fn softmax_makes_one_of_any_logits() {
        for logits in [
            [0.0, 1.0, 2.0],
            [1e30, -1e30, 0.0],
            [-3e38, -3e38, -3e38],
            [88.0, 89.0, 90.0],
        ] {
            let mut weights = logits;
            Activation::Softmax.apply(&mut weights);
            assert!(
                (weights.iter().sum::<f32>() - 1.0).abs() < 1e-6,
                "{logits:?}"
            );
        }
    }
}
