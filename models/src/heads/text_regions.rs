//! Places of text: differentiable binarisation (Liao et al., "Real-time Scene
//! Text Detection with Differentiable Binarization", arXiv:1911.08947), as the
//! detectors of PP-OCR give it.
//!
//! One tensor `[1, 1, height, width]` of the input's size: the probability that
//! a pixel belongs to the shrunken middle of a text. Pixels above a threshold
//! that touch are one text; the smallest rectangle around them is grown again by
//! area · `unclip` / perimeter on every side. The score is the mean probability
//! in the rectangle before it is grown.
//!
//! After `DBPostProcess` of PaddleOCR ("fast" score), with two differences: holes
//! in a text are not texts of their own, and of too many the largest are kept
//! instead of the first.

mod rectangle;

mod regions;

use protocol::NormBox;
use serde::{Deserialize, Serialize};

use super::Shape;
use super::answers::{Answers, Fault, Reading, TextRegion, accepted, improper};
use super::scores::peak;
use crate::letterbox::Letterbox;
use crate::manifest::Input;
use rectangle::Rectangle;

/// Parameters. The least score of an answer is `thresholds.low`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TextRegions {
    /// The output's name.
    pub tensor: String,
    /// A pixel above this probability belongs to a text; the authors: 0.3.
    pub pixel_threshold: f32,
    /// Whether a pixel spreads to its right and lower neighbours first, which
    /// joins broken strokes.
    #[serde(default)]
    pub dilate: bool,
    /// By how much a text is grown; the authors: 1.5 to 2.
    pub unclip: f32,
    /// Texts whose shorter side is less than this, in pixels of the input, are noise; the authors: 3.
    pub min_side: f32,
}

/// Most texts that are looked at, the largest first.
const MAX_REGIONS: usize = 1000;

impl TextRegions {
    pub(super) fn check(&self) -> Result<(), String> {
        if !(self.pixel_threshold > 0.0 && self.pixel_threshold < 1.0) {
            return Err("pixel_threshold must lie between 0 and 1".to_owned());
        }
        if !(0.0..=10.0).contains(&self.unclip) || !(0.0..=1000.0).contains(&self.min_side) {
            return Err("unclip must be 0 to 10, min_side 0 to 1000 pixels".to_owned());
        }
        Ok(())
    }

    pub(super) fn expected(&self, input: &Input) -> Vec<(&str, Shape)> {
        let shape = Shape::of(&[1, 1, input.height as usize, input.width as usize]);
        vec![(self.tensor.as_str(), shape)]
    }

    /// Texts, best first, equals from the top and from the left.
    pub(super) fn read(
        &self,
        reading: &Reading<'_>,
        letterbox: &Letterbox,
        tensors: &[&[f32]],
    ) -> Result<Answers<TextRegion>, Fault> {
        // The highest will do: where nothing is written, a logit is far below 0.
        let highest = peak(tensors[0]).highest;
        improper(highest).map_or(Ok(()), Err)?;
        let map = regions::Map {
            width: reading.input.width as usize,
            probabilities: tensors[0],
        };
        let broken = tensors[0].iter().filter(|p| !p.is_finite()).count();
        let mut regions = regions::touching(&map, self.pixel_threshold, self.dilate);
        // Stable, so that equals stay in the order of their first pixel.
        regions.sort_by_key(|region| core::cmp::Reverse(region.pixels));
        regions.truncate(MAX_REGIONS);
        let mut found: Vec<_> = regions
            .iter()
            .filter_map(|region| self.region(reading, letterbox, &map, &region.outline))
            .collect();
        found.sort_by(|a, b| {
            b.score
                .total_cmp(&a.score)
                .then_with(|| a.bounds.y.total_cmp(&b.bounds.y))
                .then_with(|| a.bounds.x.total_cmp(&b.bounds.x))
        });
        Ok(Answers { found, broken })
    }

    fn region(
        &self,
        reading: &Reading<'_>,
        letterbox: &Letterbox,
        map: &regions::Map<'_>,
        outline: &[[f64; 2]],
    ) -> Option<TextRegion> {
        let tight = Rectangle::around(outline)?;
        if tight.shorter_side() < f64::from(self.min_side) {
            return None;
        }
        let score = accepted(map.mean(&tight), reading.low)?;
        let grown = tight.grown(f64::from(self.unclip));
        // Two more for the growth, as the authors have it.
        if grown.shorter_side() < f64::from(self.min_side) + 2.0 {
            return None;
        }
        #[allow(clippy::cast_possible_truncation)] // pixels of the input
        let corners = grown
            .corners()
            .map(|[x, y]| letterbox.point_to_picture([x as f32, y as f32]))
            .map(|mut corner| {
                (corner.x, corner.y) = (corner.x.clamp(0.0, 1.0), corner.y.clamp(0.0, 1.0));
                corner
            });
        let least = |of: fn(&protocol::Point) -> f64| corners.iter().map(of).fold(1.0, f64::min);
        let most = |of: fn(&protocol::Point) -> f64| corners.iter().map(of).fold(0.0, f64::max);
        let (left, top) = (least(|p| p.x), least(|p| p.y));
        let (width, height) = (most(|p| p.x) - left, most(|p| p.y) - top);
        (width > 0.0 && height > 0.0).then(|| TextRegion {
            score: f64::from(score),
            corners,
            bounds: NormBox::from([left, top, width, height]),
        })
    }
}
