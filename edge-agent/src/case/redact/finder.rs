//! The models that find what is to be covered.

use std::path::PathBuf;

use anyhow::bail;
use edge_inference::{Detector, Installed, ModelStore, Runtime};
use models::manifest::Task;
use models::{Manifest, PictureView};
use plate_reader::{PlateReader, ReaderSettings, Region};
use plates::Circumstances;
use protocol::id::ModelId;
use protocol::{Detection, Digest, NormBox, ObjectClass};
use serde::Serialize;

use super::What;
use crate::config::DetectorConfig;
use crate::models_command;

/// A model that was used, in `redaction.json`.
#[derive(Clone, Debug, Serialize)]
pub(super) struct ModelUsed {
    model: ModelId,
    sha256: Digest,
    /// Scores below are not covered.
    from_score: f64,
}

/// Finds faces and plates in a whole picture.
pub(super) struct Finders {
    each: Vec<Finder>,
    runtime: Runtime,
    config: DetectorConfig,
}

enum Finder {
    /// A detector that knows the class.
    Class(Box<ClassFinder>),
    /// What is written like a plate, by the models that read plates.
    Writing {
        reader: Box<PlateReader>,
        used: Vec<ModelUsed>,
    },
}

struct ClassFinder {
    class: ObjectClass,
    file: PathBuf,
    manifest: Manifest,
    detector: Detector,
}

/// Side of the parts in which writing is looked for, pixels: what the reader
/// of plates sees without making it smaller.
const PART: u32 = 640;
/// By how much neighbouring parts overlap, pixels: the widest plate that a
/// street camera shows.
const OVERLAP: u32 = 120;
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
            let settings = config.settings();
            if let Some((manifest, file)) = installed(&store, class) {
                let detector = Detector::load(&runtime, manifest.clone(), &file, &settings)?;
                finders.push(Finder::Class(Box::new(ClassFinder {
                    class,
                    file,
                    manifest,
                    detector,
                })));
                continue;
            }
            let models = config.plates.settings();
            let names = [&models.places, &models.lines];
            let here: Vec<_> = names.iter().filter_map(|id| store.find(id).ok()).collect();
            if *what != What::Plates || here.len() < names.len() {
                bail!("{}", missing(&store, *what));
            }
            let used = here.iter().map(|(manifest, _)| used(manifest)).collect();
            let reader = PlateReader::load(&runtime, &store, &settings, models)?;
            finders.push(Finder::Writing {
                reader: Box::new(reader),
                used,
            });
        }
        Ok(Self {
            each: finders,
            runtime,
            config: config.clone(),
        })
    }

    /// Fits the models to pictures of this size, where they can be.
    pub(super) fn fit(&mut self, width: u32, height: u32) -> anyhow::Result<()> {
        for finder in &mut self.each {
            let Finder::Class(finder) = finder else {
                continue;
            };
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
    pub(super) fn find<'p>(
        &mut self,
        picture: impl Into<PictureView<'p>>,
    ) -> anyhow::Result<Vec<Detection>> {
        let picture = &picture.into();
        let mut found = Vec::new();
        for finder in &mut self.each {
            match finder {
                Finder::Class(finder) => {
                    let seen = finder.detector.detect(picture)?;
                    found.extend(seen.into_iter().filter(|item| item.class == finder.class));
                }
                Finder::Writing { reader, .. } => {
                    for part in parts(picture.width(), picture.height()) {
                        let region = Region::Vehicle(part);
                        let looks = reader.read(picture, region, Circumstances::default())?;
                        // Who does not know what a row says would leave it to be read.
                        anyhow::ensure!(
                            looks.broken == 0,
                            "{} numbers of the networks that read plates are NaN, infinite or no probabilities, so \
                             not all writing was found; run `edge-agent models verify`",
                            looks.broken
                        );
                        // Also what could not be read: a person may read it.
                        found.extend(looks.found.into_iter().map(|look| Detection {
                            class: ObjectClass::Plate,
                            score: 1.0,
                            bounds: look.bounds,
                        }));
                    }
                }
            }
        }
        Ok(found)
    }

    /// For the record.
    pub(super) fn models(&self) -> Vec<ModelUsed> {
        let of = |finder: &Finder| match finder {
            Finder::Class(finder) => vec![used(&finder.manifest)],
            Finder::Writing { used, .. } => used.clone(),
        };
        self.each.iter().flat_map(of).collect()
    }
}

fn used(manifest: &Manifest) -> ModelUsed {
    ModelUsed {
        model: manifest.id.clone(),
        sha256: manifest.sha256,
        from_score: manifest.thresholds.low,
    }
}

/// Overlapping parts of a picture of this size that together are all of it.
fn parts(width: u32, height: u32) -> Vec<NormBox> {
    let starts = |size: u32| -> Vec<u32> {
        let last = size.saturating_sub(PART);
        let step = (PART - OVERLAP) as usize;
        (0..last)
            .step_by(step)
            .chain(std::iter::once(last))
            .collect()
    };
    let mut parts = Vec::new();
    for top in starts(height) {
        for left in starts(width) {
            parts.push(NormBox {
                x: f64::from(left) / f64::from(width),
                y: f64::from(top) / f64::from(height),
                width: f64::from(PART.min(width)) / f64::from(width),
                height: f64::from(PART.min(height)) / f64::from(height),
            });
        }
    }
    parts
}

/// The best installed model that knows the class, one made for it before one that knows it among others.
fn installed(store: &ModelStore, class: ObjectClass) -> Option<(Manifest, PathBuf)> {
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
    let mut described: Vec<String> = store
        .list()
        .iter()
        .filter(|model| knows(&model.manifest, class))
        .map(|model| format!("`edge-agent models install {}`", model.manifest.id))
        .collect();
    if what == What::Plates {
        let ReaderSettings { places, lines, .. } = ReaderSettings::default();
        described.push(format!(
            "`edge-agent models install {places}` and `… {lines}`"
        ));
    }
    let how = described.join(" or ");
    format!(
        "no model that finds {thing} is installed: {how}; or cover only {other} with --cover {other}"
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_overlap_and_leave_nothing_out() {
        for (width, height) in [
            (1920, 1080),
            (640, 640),
            (352, 288),
            (641, 640),
            (3840, 2160),
        ] {
            let parts = parts(width, height);
            for (x, y) in [
                (0.0, 0.0),
                (0.999, 0.0),
                (0.5, 0.5),
                (0.0, 0.999),
                (0.999, 0.999),
            ] {
                let is_in =
                    |p: &NormBox| (p.x..p.right()).contains(&x) && (p.y..p.bottom()).contains(&y);
                assert!(parts.iter().any(is_in), "{x}, {y} of {width}x{height}");
            }
            let inside =
                |p: &NormBox| p.x >= 0.0 && p.right() <= 1.0 + 1e-9 && p.bottom() <= 1.0 + 1e-9;
            assert!(parts.iter().all(inside), "{width}x{height}: {parts:?}");
            for pair in parts.windows(2).filter(|pair| pair[0].y == pair[1].y) {
                let shared = (pair[0].right() - pair[1].x) * f64::from(width);
                assert!(
                    shared >= f64::from(OVERLAP) - 1e-6,
                    "{shared} px of {width}x{height}"
                );
            }
        }
        assert_eq!(parts(640, 640).len(), 1);
    }
}
