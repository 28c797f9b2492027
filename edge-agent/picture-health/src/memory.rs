//! What a watch has learnt, kept while the program is not running.
//!
//! A camera is turned while a box has no power, and a watch that begins with
//! nothing would learn the wrong view as the right one: its zones lie beside the
//! road from then on and nobody is told.

use protocol::EventTime;
use serde::{Deserialize, Serialize};

use crate::features::{CELLS, Features};
use crate::reference::{LIGHTS, Reference};
use crate::thumbnail::{HEIGHT, WIDTH};

/// Trees grow and shops are built: an older memory is not judged by, s.
pub(crate) const GOOD_FOR_S: f64 = 30.0 * 86_400.0;

/// How a camera's picture usually is, in each light in which it was seen.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Memory {
    /// When the picture was last looked at.
    pub(crate) until: EventTime,
    /// The light in which it was last well and known, of [`LIGHTS`].
    pub(crate) known_light: Option<usize>,
    lights: Vec<Light>,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct Light {
    /// Which quarter of the brightness scale.
    quarter: usize,
    agreement: f32,
    learnt_s: f32,
    mean: f32,
    bright: f32,
    contrast: f32,
    detail: f32,
    cells: Vec<f32>,
    cell_luma: Vec<f32>,
    edges: Vec<f32>,
}

impl Memory {
    pub(crate) fn of(
        references: &[Option<Reference>; LIGHTS],
        known_light: Option<usize>,
        until: EventTime,
    ) -> Self {
        let kept = |(light, reference): (usize, &Option<Reference>)| {
            let reference = reference.as_ref()?;
            let features = &reference.features;
            Some(Light {
                quarter: light,
                agreement: reference.agreement,
                learnt_s: reference.learnt_s,
                mean: features.mean,
                bright: features.bright,
                contrast: features.contrast,
                detail: features.detail,
                cells: tenths(&features.cells),
                cell_luma: tenths(&features.cell_luma),
                edges: tenths(&features.edges),
            })
        };
        Self {
            until,
            known_light,
            lights: references.iter().enumerate().filter_map(kept).collect(),
        }
    }

    /// Whether some light is known well enough to judge by.
    pub fn is_of_use(&self) -> bool {
        self.known_light.is_some()
    }

    /// The references, or what is wrong with them: a file may have been damaged.
    pub(crate) fn references(&self) -> Result<[Option<Reference>; LIGHTS], String> {
        let mut references = [const { None }; LIGHTS];
        for light in &self.lights {
            let place = references
                .get_mut(light.quarter)
                .ok_or_else(|| format!("there is no light {}", light.quarter))?;
            *place = Some(light.reference()?);
        }
        match self.known_light {
            Some(known) if !references.get(known).is_some_and(Option::is_some) => Err(format!(
                "light {known} is said to be known and is not there"
            )),
            _ => Ok(references),
        }
    }
}

impl Light {
    fn reference(&self) -> Result<Reference, String> {
        let numbers = [
            self.agreement,
            self.learnt_s,
            self.mean,
            self.bright,
            self.contrast,
            self.detail,
        ];
        let all = numbers
            .iter()
            .chain(&self.cells)
            .chain(&self.cell_luma)
            .chain(&self.edges);
        if !all.copied().all(f32::is_finite) {
            return Err(format!("light {} has a number that is none", self.quarter));
        }
        let misfit = || format!("light {} is of a picture of another size", self.quarter);
        let cells = <[f32; CELLS]>::try_from(&*self.cells).map_err(|_| misfit())?;
        let cell_luma = <[f32; CELLS]>::try_from(&*self.cell_luma).map_err(|_| misfit())?;
        if self.edges.len() != WIDTH * HEIGHT {
            return Err(misfit());
        }
        Ok(Reference {
            features: Features {
                mean: self.mean,
                bright: self.bright,
                contrast: self.contrast,
                detail: self.detail,
                cells,
                cell_luma,
                edges: self.edges.clone(),
            },
            agreement: self.agreement,
            learnt_s: self.learnt_s,
        })
    }
}

/// In tenths: finer than noise, and half as long when written.
fn tenths(values: &[f32]) -> Vec<f32> {
    values.iter().map(|v| (v * 10.0).round() / 10.0).collect()
}
