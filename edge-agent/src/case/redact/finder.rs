//! The models that find what is to be covered.

use anyhow::bail;
use edge_inference::{Detector, Installed, ModelStore, Runtime};
use models::manifest::Task;
use models::{I420View, Manifest};
use protocol::id::ModelId;
use protocol::{Detection, Digest, ObjectClass};
use serde::Serialize;

use super::What;
use crate::config::DetectorConfig;
use crate::models_command;

/// A model that was used, in `redaction.json`.
#[derive(Debug, Serialize)]
pub(super) struct ModelUsed {
    model: ModelId,
    sha256: Digest,
    /// Scores below are not covered.
    from_score: f64,
}

/// Finds faces and plates in a whole picture.
pub(super) struct Finders {
    finders: Vec<Finder>,
    runtime: Runtime,
    config: DetectorConfig,
}

struct Finder {
    class: ObjectClass,
    file: std::path::PathBuf,
    manifest: Manifest,
    detector: Detector,
}

/// Longest side of a picture as a face finder sees it, pixels: faces of fewer
/// than about ten are not found, and a street's are small.
const LONGEST: u32 = 1920;
/// Sides that networks with open sizes take are multiples of this.
const STEP: u32 = 32;

impl Finders {
    /// One model for each of `cover`; a missing one ends it, because a copy in
    /// which nobody looked for plates is not what was asked for.
    pub(super) fn load(config: &DetectorConfig, cover: &[What]) -> anyhow::Result<Self> {
        let runtime = Runtime::load(config.onnxruntime.as_deref())?;
        let store = models_command::store(config)?;
        let mut finders = Vec::new();
        for what in cover {
            let class = what.class();
            let Some((manifest, file)) = installed(&store, class) else {
                bail!("{}", missing(&store, *what));
            };
            let detector = Detector::load(&runtime, manifest.clone(), &file, &config.settings())?;
            finders.push(Finder {
                class,
                file,
                manifest,
                detector,
            });
        }
        Ok(Self {
            finders,
            runtime,
            config: config.clone(),
        })
    }

    /// Fits the models to pictures of this size, where they can be.
    pub(super) fn fit(&mut self, width: u32, height: u32) -> anyhow::Result<()> {
        for finder in &mut self.finders {
            if !finder.manifest.input.dynamic {
                continue;
            }
            let scale = f64::from(LONGEST) / f64::from(width.max(height).max(1));
            let side = |pixels: u32| {
                #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)]
                // at most LONGEST
                let shrunk = (f64::from(pixels) * scale.min(1.0)).ceil() as u32;
                shrunk.max(1).next_multiple_of(STEP)
            };
            let (across, down) = (side(width), side(height));
            let input = &finder.detector.manifest().input;
            if (input.width, input.height) == (across, down) {
                continue;
            }
            let mut manifest = finder.manifest.clone();
            (manifest.input.width, manifest.input.height) = (across, down);
            finder.detector = Detector::load(
                &self.runtime,
                manifest,
                &finder.file,
                &self.config.settings(),
            )?;
        }
        Ok(())
    }

    /// Everything that is to be covered, whosever it is.
    pub(super) fn find(&mut self, picture: &I420View<'_>) -> anyhow::Result<Vec<Detection>> {
        let mut found = Vec::new();
        for finder in &mut self.finders {
            let seen = finder.detector.detect(picture)?;
            found.extend(seen.into_iter().filter(|item| item.class == finder.class));
        }
        Ok(found)
    }

    /// For the record.
    pub(super) fn models(&self) -> Vec<ModelUsed> {
        let used = |finder: &Finder| ModelUsed {
            model: finder.manifest.id.clone(),
            sha256: finder.manifest.sha256,
            from_score: finder.manifest.thresholds.low,
        };
        self.finders.iter().map(used).collect()
    }
}

/// The best installed model that knows the class, one made for it before one that knows it among others.
fn installed(store: &ModelStore, class: ObjectClass) -> Option<(Manifest, std::path::PathBuf)> {
    let mut fitting: Vec<_> = store
        .list()
        .into_iter()
        .filter_map(|model| match model.state {
            Installed::Installed(file) if knows(&model.manifest, class) => {
                Some((model.manifest, file))
            }
            _ => None,
        })
        .collect();
    fitting.sort_by_key(|(manifest, _)| (manifest.classes.count(), manifest.rank));
    fitting.into_iter().next()
}

fn knows(manifest: &Manifest, class: ObjectClass) -> bool {
    matches!(manifest.task, Task::Detection | Task::Faces)
        && (0..manifest.classes.count()).any(|n| manifest.classes.word(n) == Some(class))
}

fn missing(store: &ModelStore, what: What) -> String {
    let (thing, other) = match what {
        What::Faces => ("faces", "plates"),
        What::Plates => ("plates", "faces"),
    };
    let class = what.class();
    let described: Vec<String> = store
        .list()
        .iter()
        .filter(|model| knows(&model.manifest, class))
        .map(|model| format!("`edge-agent models install {}`", model.manifest.id))
        .collect();
    let how = if described.is_empty() {
        format!("install a detector with the class `{class}`, see `edge-agent models --help`")
    } else {
        described.join(" or ")
    };
    format!(
        "no model that finds {thing} is installed: {how}; or cover only {other} with --cover {other}"
    )
}
