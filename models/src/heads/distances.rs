//! Edges as distributions of their distance (Li et al., "Generalized Focal
//! Loss", arXiv:2006.04388): for each of left, top, right, bottom the logits of
//! the distances 0, 1, … bins − 1 in strides; the mean is the distance.

use super::scores::peak;

/// Left, top, right, bottom in pixels, around a centre in pixels.
pub(super) fn edges((x, y): (f32, f32), logits: &[f32], bins: usize, stride: f32) -> [f32; 4] {
    let distance = |edge: usize| mean(&logits[edge * bins..][..bins]) * stride;
    [
        x - distance(0),
        y - distance(1),
        x + distance(2),
        y + distance(3),
    ]
}

/// The mean of 0, 1, 2 … under the softmax of `logits`; NaN when that has none.
fn mean(logits: &[f32]) -> f32 {
    let peak = peak(logits);
    if !peak.is_sound {
        return f32::NAN;
    }
    // Softmax does not change when all logits move together; at most 0 none overflows.
    let (mut total, mut weighted) = (0.0, 0.0);
    for (bin, logit) in logits.iter().enumerate() {
        let weight = libm::expf(logit - peak.highest);
        total += weight;
        weighted += weight * bin as f32;
    }
    weighted / total
}

pub(super) fn check_bins(bins: u32) -> Result<(), String> {
    if !(2..=64).contains(&bins) {
        return Err(format!("bins is {bins}; it must be 2 to 64"));
    }
    Ok(())
}
