//! A network that finds road users.

use std::path::Path;

use models::heads::{self, Answers};
use models::{I420View, Manifest, PictureView};
use protocol::Detection;

use crate::error::DetectorError;
use crate::network::{Answered, Look, Network};
use crate::provider::Placement;
use crate::runtime::Runtime;
use crate::session::{DetectorSettings, Refusal};
use crate::store::Examinee;

/// A detector ready to look at pictures.
#[derive(Debug)]
pub struct Detector {
    network: Network,
}

impl Detector {
    /// Loads a model and looks once at an empty picture, so that a file that
    /// does not fit its manifest is found out now and not at the first car.
    pub fn load(
        runtime: &Runtime,
        manifest: Manifest,
        file: &Path,
        settings: &DetectorSettings,
    ) -> Result<Self, DetectorError> {
        let network = Network::load(runtime, manifest, file, settings)?;
        // It answers with boxes, or every picture would be an error.
        network.expect_boxes()?;
        Ok(Self { network })
    }

    /// Everything at or above the manifest's `thresholds.low`, best first.
    ///
    /// Scores between `low` and `high` are for the tracker's second stage: they
    /// may keep a track alive, never begin one.
    pub fn detect<'p>(
        &mut self,
        picture: impl Into<PictureView<'p>>,
    ) -> Result<Vec<Detection>, DetectorError> {
        let mut answers = self.detect_batch(&[Look::whole(picture)]);
        let answers = answers.pop().expect("one answer for each look")?;
        Ok(answers.found)
    }

    /// The same for several pictures or parts of pictures, each by itself: one
    /// answer per look, in their order, boxes in fractions of the whole picture.
    ///
    /// What is seen in one is the same to the bit however many others are looked
    /// at with it; see [`Network::batch`].
    pub fn detect_batch(
        &mut self,
        looks: &[Look<'_>],
    ) -> Vec<Result<Answers<Detection>, DetectorError>> {
        self.network.look(looks, |manifest, letterbox, outputs| {
            heads::detections(manifest, letterbox, outputs)
        })
    }

    /// What the model is.
    pub fn manifest(&self) -> &Manifest {
        self.network.manifest()
    }

    /// What computes: the name of ONNX Runtime's execution provider.
    pub fn provider(&self) -> &'static str {
        self.network.provider()
    }

    /// Who computed the first picture; none where the runtime did not say.
    pub fn placement(&self) -> Option<&Placement> {
        self.network.placement()
    }

    /// Providers that come before this one by configuration and do not work, with the reason.
    pub fn refusals(&self) -> &[Refusal] {
        self.network.refusals()
    }

    /// The network itself.
    pub fn network(&self) -> &Network {
        &self.network
    }
}

impl Examinee for Detector {
    fn manifest(&self) -> &Manifest {
        self.network.manifest()
    }

    fn provider(&self) -> &'static str {
        self.provider()
    }

    fn answer(&mut self, picture: &I420View<'_>) -> Result<Answered, DetectorError> {
        self.network.answer(picture)
    }
}
