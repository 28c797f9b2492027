//! Where there is writing.

use std::collections::BTreeMap;

use edge_inference::FreeNetwork;
use models::heads::{self, Answers, TextRegion};
use models::{Crop, Letterbox, Manifest, PictureView};

use crate::settings::{ReaderError, ReaderSettings};

/// The detector of text.
#[derive(Debug)]
pub(crate) struct TextFinder {
    network: FreeNetwork,
    long_side: u32,
    most_enlarged: f64,
    /// The manifest and letterbox at each size that was needed.
    sizes: BTreeMap<(u32, u32), (Manifest, Letterbox)>,
    tensor: Vec<f32>,
}

impl TextFinder {
    /// What computes.
    pub(crate) const fn network(&self) -> &FreeNetwork {
        &self.network
    }

    pub(crate) fn new(network: FreeNetwork, settings: &ReaderSettings) -> Self {
        Self {
            network,
            long_side: settings.long_side,
            most_enlarged: settings.most_enlarged,
            sizes: BTreeMap::new(),
            tensor: Vec::new(),
        }
    }

    /// Writing in a crop, the surest first.
    pub(crate) fn find(
        &mut self,
        picture: &PictureView<'_>,
        crop: Crop,
    ) -> Result<Answers<TextRegion>, ReaderError> {
        let size = self.input_size(crop);
        let whole = (picture.width(), picture.height());
        let (manifest, letterbox) = match self.sizes.entry(size) {
            std::collections::btree_map::Entry::Occupied(entry) => entry.into_mut(),
            std::collections::btree_map::Entry::Vacant(entry) => {
                let mut manifest = self.network.manifest().clone();
                (manifest.input.width, manifest.input.height) = size;
                let letterbox = Letterbox::of_crop(whole, crop, &manifest.input)?;
                entry.insert((manifest, letterbox))
            }
        };
        letterbox.aim(whole, crop)?;
        let tensor = &mut self.tensor;
        tensor.clear();
        tensor.resize(manifest.input.len(), 0.0);
        letterbox.fill(*picture, &mut tensor[..])?;
        Ok(self
            .network
            .run(manifest.input.shape(), tensor, |outputs| {
                heads::text_regions(manifest, letterbox, outputs)
            })?)
    }

    /// What the detector's input must be for a crop: its longer side as set, unless
    /// that would blow the crop up; the shorter one as needed.
    #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)] // sizes of pictures
    fn input_size(&self, crop: Crop) -> (u32, u32) {
        let longer = f64::from(crop.width.max(crop.height));
        let scale = (f64::from(self.long_side) / longer).min(self.most_enlarged);
        let side = |pixels: u32| {
            let wanted = (f64::from(pixels) * scale / 32.0).ceil() as u32 * 32;
            wanted.clamp(64, self.long_side.max(64).next_multiple_of(32))
        };
        (side(crop.width), side(crop.height))
    }
}
