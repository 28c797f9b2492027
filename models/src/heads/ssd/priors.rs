//! Prior boxes of an SSD: read from an output, or laid out as its authors do.

use serde::{Deserialize, Serialize};

use crate::heads::answers::around;
use crate::manifest::Input;

/// Where the priors come from.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum Priors {
    /// The network hands them over.
    Output {
        /// Name of the output.
        tensor: String,
        /// What is in it.
        form: PriorForm,
        /// How many.
        count: u32,
    },
    /// They are laid out by rule, layer by layer.
    Layers(Vec<PriorLayer>),
}

/// What an output with priors holds; all in fractions of the input.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum PriorForm {
    /// `[1, 2, 4 · priors]` of Caffe's PriorBox: edges, then variances (which
    /// are not read; the manifest's count).
    Caffe,
    /// `[1, priors, 4]`: left, top, right, bottom.
    Edges,
    /// `[1, priors, 4]`: middle x, middle y, width, height.
    Middles,
}

/// The priors of one feature map, as Caffe's PriorBox lays them: rows of y, then
/// x, then a square of `min_size`, a square of √(min_size · max_size), and for
/// each ratio r a box of min_size·√r by min_size/√r and one the other way round.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PriorLayer {
    /// Columns of the feature map.
    pub columns: u32,
    /// Rows of the feature map.
    pub rows: u32,
    /// Pixels of the input from one middle to the next; the first lies at half of it.
    pub step: f32,
    /// Pixels.
    pub min_size: f32,
    /// Pixels; none, no second square.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_size: Option<f32>,
    /// Width over height, each above 1.
    #[serde(default)]
    pub ratios: Vec<f32>,
    /// What becomes of a prior that is larger than the input, or leaves it.
    #[serde(default, skip_serializing_if = "Clip::is_none")]
    pub clip: Clip,
}

/// What becomes of priors that do not lie within the input.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Clip {
    /// They stay as they are: Caffe's default.
    #[default]
    None,
    /// Width and height are the input's at most, as torchvision does unless it is
    /// told otherwise. Of its last layers most boxes are cut.
    Sizes,
    /// Edges are moved to the input's, as Caffe's `clip: true` does.
    Edges,
}

impl Clip {
    #[allow(clippy::trivially_copy_pass_by_ref)] // as serde wants it
    fn is_none(&self) -> bool {
        *self == Self::None
    }

    /// Of middle x, middle y, width, height in fractions of the input.
    fn apply(self, [x, y, width, height]: [f32; 4]) -> [f32; 4] {
        match self {
            Self::None => [x, y, width, height],
            Self::Sizes => [x, y, width.min(1.0), height.min(1.0)],
            Self::Edges => {
                let edges = around(x, y, width, height).map(|edge| edge.clamp(0.0, 1.0));
                middle(&edges)
            }
        }
    }
}

/// More priors than any network has: SSD512 has 24 564.
const MAX_PRIORS: usize = 1_000_000;

impl Priors {
    pub(super) fn count(&self) -> usize {
        match self {
            Self::Output { count, .. } => *count as usize,
            Self::Layers(layers) => layers.iter().map(PriorLayer::count).sum(),
        }
    }

    pub(super) fn check(&self) -> Result<(), String> {
        let layers = match self {
            Self::Output { count, .. } => return crate::heads::check_count("count", *count),
            Self::Layers(layers) => layers,
        };
        let is_length = |length: f32| length.is_finite() && length > 0.0;
        let are_sound = layers.iter().all(|layer| {
            (1..=4096).contains(&layer.columns)
                && (1..=4096).contains(&layer.rows)
                && is_length(layer.step)
                && is_length(layer.min_size)
                && layer.max_size.is_none_or(is_length)
                && layer.ratios.len() <= 16
                && layer.ratios.iter().all(|ratio| is_length(*ratio))
        });
        if !are_sound || layers.len() > 64 || !(1..=MAX_PRIORS).contains(&self.count()) {
            return Err(format!(
                "the layers must hold 1 to {MAX_PRIORS} priors, with sizes, steps and ratios above 0"
            ));
        }
        Ok(())
    }
}

impl PriorLayer {
    fn count(&self) -> usize {
        let per_cell = 1 + usize::from(self.max_size.is_some()) + 2 * self.ratios.len();
        self.columns as usize * self.rows as usize * per_cell
    }
}

/// Priors of an output as middle x, middle y, width, height.
pub(super) fn read(form: PriorForm, output: &[f32]) -> Vec<[f32; 4]> {
    let output = match form {
        // The second half holds variances.
        PriorForm::Caffe => &output[..output.len() / 2],
        PriorForm::Edges | PriorForm::Middles => output,
    };
    let rows = output.as_chunks::<4>().0.iter();
    match form {
        PriorForm::Middles => rows.copied().collect(),
        PriorForm::Caffe | PriorForm::Edges => rows.map(middle).collect(),
    }
}

/// From left, top, right, bottom to middle and size.
fn middle([left, top, right, bottom]: &[f32; 4]) -> [f32; 4] {
    let (width, height) = (right - left, bottom - top);
    [left + width / 2.0, top + height / 2.0, width, height]
}

/// Priors by rule as middle x, middle y, width, height in fractions of the input.
pub(super) fn lay(layers: &[PriorLayer], input: &Input) -> Vec<[f32; 4]> {
    let (width, height) = (input.width as f32, input.height as f32);
    let mut priors = Vec::new();
    for layer in layers {
        let mut sizes = vec![(layer.min_size, layer.min_size)];
        if let Some(max_size) = layer.max_size {
            let side = libm::sqrtf(layer.min_size * max_size);
            sizes.push((side, side));
        }
        for ratio in &layer.ratios {
            let root = libm::sqrtf(*ratio);
            sizes.push((layer.min_size * root, layer.min_size / root));
            sizes.push((layer.min_size / root, layer.min_size * root));
        }
        for row in 0..layer.rows {
            for column in 0..layer.columns {
                let x = (column as f32 + 0.5) * layer.step / width;
                let y = (row as f32 + 0.5) * layer.step / height;
                let laid = sizes.iter().map(|(w, h)| [x, y, w / width, h / height]);
                priors.extend(laid.map(|prior| layer.clip.apply(prior)));
            }
        }
    }
    priors
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn priors_from_edges_and_from_middles_are_the_same() {
        let middles = [[0.5, 0.25, 0.5, 0.25], [0.125, 0.5, 0.25, 1.0]];
        let edges: Vec<f32> = middles
            .iter()
            .flat_map(|[x, y, w, h]| around(*x, *y, *w, *h))
            .collect();
        let mut caffe = edges.clone();
        caffe.extend([0.1_f32, 0.1, 0.2, 0.2].repeat(2));
        assert_eq!(read(PriorForm::Edges, &edges), middles);
        assert_eq!(read(PriorForm::Caffe, &caffe), middles);
        assert_eq!(read(PriorForm::Middles, middles.as_flattened()), middles);
    }

    #[test]
    fn a_prior_that_is_too_large_is_cut_as_the_networks_authors_cut_it() {
        // Its left edge lies at -0.25, its size is 1.25 by 0.5.
        let prior = [0.375, 0.5, 1.25, 0.5];
        assert_eq!(Clip::None.apply(prior), prior);
        assert_eq!(Clip::Sizes.apply(prior), [0.375, 0.5, 1.0, 0.5]);
        assert_eq!(Clip::Edges.apply(prior), [0.5, 0.5, 1.0, 0.5]);
    }
}
