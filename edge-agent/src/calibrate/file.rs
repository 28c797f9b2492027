//! The calibration file.

use std::path::Path;

use anyhow::Context as _;
use edge_core::Calibration;
use edge_core::calibration::Fitted;
use serde::{Deserialize, Serialize};

use super::Survey;
use crate::draft::Draft;

/// One file with everything that is known of a camera's view of the road.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct CalibrationFile {
    /// Width and height of the picture that it was made for, in pixels.
    pub picture: [u32; 2],
    /// What rules measure by.
    pub calibration: Calibration,
    /// What every measurement says against it.
    #[serde(default)]
    pub residual: Vec<Residual>,
    /// What it is good for at the camera's zones and gates.
    #[serde(default)]
    pub expected: Vec<Expected>,
}

/// How far a measurement is from what the calibration says.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Residual {
    /// Of the point or distance.
    pub name: String,
    /// Distance, m.
    pub metres: f64,
    /// The same in standard deviations that were to be expected.
    pub sigmas: f64,
}

/// What a place of the camera is known to.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Expected {
    /// Zone or rule.
    pub place: String,
    /// Standard deviation of a position there, m.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub position_m: Option<f64>,
    /// 95 % of speeds are within this part of the truth, jitter of boxes aside.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub speed_part: Option<f64>,
    /// The same for people.
    pub words: String,
}

impl CalibrationFile {
    /// From a fit.
    pub fn new(survey: &Survey, fitted: &Fitted) -> Self {
        let residual = survey
            .names()
            .into_iter()
            .zip(fitted.per_point_m.iter().zip(&fitted.per_point_sigmas))
            .map(|(name, (metres, sigmas))| Residual {
                name,
                metres: *metres,
                sigmas: *sigmas,
            })
            .collect();
        Self {
            picture: survey.picture,
            calibration: fitted.calibration,
            residual,
            expected: Vec::new(),
        }
    }

    /// Reads one.
    pub fn load(path: &Path) -> anyhow::Result<Self> {
        let text = std::fs::read_to_string(path)
            .with_context(|| format!("{} cannot be read", path.display()))?;
        let is_survey = toml::from_str::<toml::Table>(&text).is_ok_and(|table| {
            let has = |key: &str| table.contains_key(key);
            has("point") || has("distance")
        });
        if is_survey {
            anyhow::bail!(
                "{0} is a survey; run `edge-agent calibrate {0}` and name the file that it writes",
                path.display()
            );
        }
        toml::from_str(&text).with_context(|| {
            format!(
                "{} is no calibration; make one with `edge-agent calibrate`",
                path.display()
            )
        })
    }

    /// Writes it whole or not at all.
    pub fn write(&self, path: &Path) -> anyhow::Result<()> {
        use std::io::Write as _;
        let text = toml::to_string(self).context("a calibration has no text")?;
        let failed = || format!("cannot write {}", path.display());
        let (draft, mut file) = Draft::create(path).with_context(failed)?;
        file.write_all(b"# Made by `edge-agent calibrate`. Make it anew instead of changing it.\n")
            .and_then(|()| file.write_all(text.as_bytes()))
            .and_then(|()| file.flush())
            .with_context(failed)?;
        draft.keep().with_context(failed)
    }

    /// Width over height of the picture that it was made for.
    pub fn aspect(&self) -> f64 {
        f64::from(self.picture[0]) / f64::from(self.picture[1].max(1))
    }
}
