//! Trying a provider for real: a tiny network, its answer compared with the processor's.

use std::time::{Duration, Instant};

use ndarray::Array4;
use ort::value::TensorRef;

use super::{Placement, Provider, ProviderChoice, onnx};
use crate::runtime::Runtime;
use crate::session::{self, DetectorSettings};

/// Largest difference from the processor's answer, relative to the largest
/// number in it: half precision has 11 bits, and 27 products are added up.
const TOLERANCE: f64 = 0.01;

/// What came of trying one provider.
#[derive(Clone, Debug, PartialEq)]
pub struct Probe {
    /// Which.
    pub provider: Provider,
    /// Whether the library was built with it.
    pub is_in_library: bool,
    /// How it computed, or why it cannot be used and what to do.
    pub outcome: Result<Proof, String>,
}

/// A provider that computes, and computes right.
#[derive(Clone, Debug, PartialEq)]
pub struct Proof {
    /// Who computed what; none where the runtime did not say.
    pub placement: Option<Placement>,
    /// Largest difference from the processor's answer, relative.
    pub difference: f64,
    /// How long the start took; engines are made then.
    pub start: Duration,
}

/// Tries one provider. Of `settings` count what it is told, and how far its numbers may be off.
pub fn probe(runtime: &Runtime, provider: Provider, settings: &DetectorSettings) -> Probe {
    Probe {
        provider,
        is_in_library: provider.is_in_library(),
        outcome: prove(runtime, provider, settings),
    }
}

/// How far a convolution may be off where networks may be by so much: as much more.
fn borne(tolerance: f64) -> f64 {
    TOLERANCE * (tolerance / session::TOLERANCE).max(1.0)
}

fn prove(
    runtime: &Runtime,
    provider: Provider,
    settings: &DetectorSettings,
) -> Result<Proof, String> {
    let expected = run(runtime, Provider::Cpu, &DetectorSettings::default())?.0;
    let began = Instant::now();
    let (found, placement) = run(runtime, provider, settings)?;
    let start = began.elapsed();
    if let Some(reason) = session::fallback(provider, placement.as_ref(), false) {
        return Err(reason);
    }
    let difference = relative_difference(&expected, &found);
    if difference.is_nan() || f64::from(difference) > borne(settings.tolerance) {
        return Err(format!(
            "it computes wrong: a convolution differs from the processor's by {:.1} % of its largest value; \
             update its driver and libraries, and do not use it until `edge-agent models bench` shows it sound",
            100.0 * difference
        ));
    }
    Ok(Proof {
        placement,
        difference: f64::from(difference),
        start,
    })
}

/// The answer of the tiny network.
fn run(
    runtime: &Runtime,
    provider: Provider,
    settings: &DetectorSettings,
) -> Result<(Vec<f32>, Option<Placement>), String> {
    let settings = DetectorSettings {
        providers: ProviderChoice::Listed(vec![provider]),
        options: settings.options.clone(),
        ..DetectorSettings::default()
    };
    let mut opened = session::open(runtime, &onnx::convolution(), provider, &settings)?;
    let failed = |error: ort::Error| {
        format!(
            "it starts but cannot compute: {}; check its driver and memory",
            session::one_line(error.message())
        )
    };
    let shape = (1, onnx::CHANNELS, onnx::SIDE, onnx::SIDE);
    let picture = Array4::from_shape_fn(shape, |(_, channel, row, column)| {
        ((channel * 31 + row * 7 + column * 3) % 13) as f32 / 8.0 - 0.75
    });
    let mut look = || -> Result<Vec<f32>, String> {
        let tensor = TensorRef::from_array_view(picture.view()).map_err(failed)?;
        let answers = opened
            .session
            .run(ort::inputs![onnx::INPUT => tensor])
            .map_err(failed)?;
        let answer = answers.get(onnx::OUTPUT).ok_or("it gave no answer")?;
        let (_, numbers) = answer.try_extract_tensor::<f32>().map_err(failed)?;
        Ok(numbers.to_vec())
    };
    // Who computes is told by the second time.
    let answer = look().and_then(|_| look());
    // Whatever came of it: a profile that nobody ends stays behind as a file.
    let (_, placement) = opened.end();
    Ok((answer?, placement))
}

fn relative_difference(expected: &[f32], found: &[f32]) -> f32 {
    if expected.len() != found.len() {
        return f32::NAN;
    }
    let largest = expected
        .iter()
        .fold(f32::MIN_POSITIVE, |m, v| m.max(v.abs()));
    expected
        .iter()
        .zip(found)
        .map(|(e, f)| (e - f).abs())
        // `max` would pass over NaN.
        .fold(
            0.0,
            |worst: f32, d| if d > worst || d.is_nan() { d } else { worst },
        )
        / largest
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_wrong_answer_is_far_from_the_right_one() {
        let right = [0.0, 1.0, -2.0];
        for (found, is_near) in [
            (&[0.0, 1.0, -2.0][..], true),
            (&[0.001, 1.001, -2.001], true),
            (&[0.0, 1.0, 2.0], false),
            (&[0.0, f32::NAN, -2.0], false),
            (&[f32::NAN, 1.0, -2.0], false),
            (&[0.0, 1.0], false),
        ] {
            let difference = relative_difference(&right, found);
            let is_borne = f64::from(difference) <= borne(session::TOLERANCE);
            assert_eq!(is_borne, is_near, "{found:?} {difference}");
        }
    }

    #[test]
    fn who_bears_more_of_networks_bears_more_of_a_convolution_and_never_less() {
        let borne = [0.01, 0.25, 0.5].map(borne);
        assert_eq!(borne, [TOLERANCE, TOLERANCE, 2.0 * TOLERANCE]);
    }
}
