//! One model at work.
//!
//! One session per detector and one detector per worker thread, because a
//! session's `run` is exclusive. One thread inside by default, without spinning:
//! a box has more cameras than cores, and a second thread made a picture of
//! 320 × 320 cost 38 ms of processor time instead of 34 (with spinning: 70).

use std::path::{Path, PathBuf};

use models::heads::{Shape, names};
use models::{HeadError, I420View, Letterbox, Manifest, ModelId, PictureError, TensorView};
use ndarray::Array4;
use ort::session::Session;
use ort::value::{TensorElementType, TensorRef, ValueType};
use protocol::{Detection, Digest};

use crate::digest;
use crate::provider::{Placement, Provider, ProviderChoice};
use crate::runtime::Runtime;
use crate::session::{self, DetectorSettings, Profiled, Refusal, one_line};

/// A model that does not load, or a picture that it could not look at.
#[derive(Debug, thiserror::Error)]
pub enum DetectorError {
    /// The file cannot be read.
    #[error("model {model}: cannot read {}: {source}; run `edge-agent models verify {model}`", file.display())]
    Unreadable {
        /// Which.
        model: ModelId,
        /// Its file.
        file: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// Not the file that the manifest describes.
    #[error(
        "model {model}: {} has sha256 {found}, its manifest says {expected}; install the right file with `edge-agent models install {model} --from FILE|URL`, or correct `sha256`",
        file.display()
    )]
    Differs {
        /// Which.
        model: ModelId,
        /// Its file.
        file: PathBuf,
        /// By the manifest.
        expected: Digest,
        /// What it is.
        found: Digest,
    },
    /// The runtime does not take it.
    #[error("model {model}: ONNX Runtime cannot load {}: {message}; the file is cut or not an ONNX model: get it again, see `edge-agent models list`", file.display())]
    NotLoaded {
        /// Which.
        model: ModelId,
        /// Its file.
        file: PathBuf,
        /// What the runtime says.
        message: String,
    },
    /// No provider that may compute it does.
    #[error(
        "model {model}: nothing computes it. {}; correct `provider` under [detector], `edge-agent models bench` tries them all",
        refusals.iter().map(Refusal::to_string).collect::<Vec<_>>().join(". ")
    )]
    NoProvider {
        /// Which.
        model: ModelId,
        /// Those that were tried, in order.
        refusals: Vec<Refusal>,
    },
    /// Its input is not what the manifest says.
    #[error(
        "model {model}: the manifest gives input `{tensor}` as {expected}, the file has {found}; correct `input` in its manifest"
    )]
    Input {
        /// Which.
        model: ModelId,
        /// The input's name by the manifest.
        tensor: String,
        /// Dimensions by the manifest.
        expected: String,
        /// What the file has.
        found: String,
    },
    /// Its output is not what the manifest says.
    #[error("model {model}: {source}")]
    Output {
        /// Which.
        model: ModelId,
        /// How it differs.
        source: HeadError,
    },
    /// The runtime failed on a picture.
    #[error(
        "model {model}: inference failed: {message}; if it goes on, check memory and run `edge-agent models verify {model}`"
    )]
    Inference {
        /// Which.
        model: ModelId,
        /// What the runtime says.
        message: String,
    },
    /// The picture cannot be read.
    #[error(transparent)]
    Picture(#[from] PictureError),
}

/// A model ready to look at pictures.
#[derive(Debug)]
pub struct Detector {
    manifest: Manifest,
    session: Session,
    /// The input tensor, written anew for each picture.
    input: Array4<f32>,
    /// The plan for pictures of the last size.
    letterbox: Option<Letterbox>,
    /// The outputs that the head reads.
    outputs: Vec<String>,
    provider: Provider,
    placement: Option<Placement>,
    refusals: Vec<Refusal>,
}

impl Detector {
    /// Loads a model and looks once at an empty picture, so that a file that
    /// does not fit its manifest is found out now and not at the first car.
    #[allow(clippy::needless_pass_by_value)] // who loads a model has done with its manifest
    pub fn load(
        runtime: &Runtime,
        manifest: Manifest,
        file: &Path,
        settings: &DetectorSettings,
    ) -> Result<Self, DetectorError> {
        // Read once, so that what was checked is what runs.
        let bytes = std::fs::read(file).map_err(|source| DetectorError::Unreadable {
            model: manifest.id.clone(),
            file: file.to_owned(),
            source,
        })?;
        let found = digest::of_bytes(&bytes);
        if found != manifest.sha256 {
            return Err(DetectorError::Differs {
                model: manifest.id.clone(),
                file: file.to_owned(),
                expected: manifest.sha256,
                found,
            });
        }
        let mut refusals = Vec::new();
        for provider in settings.providers.candidates() {
            let opened = match session::open(runtime, &bytes, provider, settings) {
                Ok(opened) => opened,
                // The plainest of all cannot read it: then it is the file.
                Err(message) if provider == Provider::Cpu => {
                    return Err(DetectorError::NotLoaded {
                        model: manifest.id.clone(),
                        file: file.to_owned(),
                        message,
                    });
                }
                Err(reason) => {
                    refuse(&mut refusals, &settings.providers, provider, reason);
                    continue;
                }
            };
            check_input(&manifest, &opened.session)?;
            match Self::prove(&manifest, opened, provider) {
                Ok(mut detector) => {
                    detector.refusals = refusals;
                    return Ok(detector);
                }
                Err(DetectorError::Inference { message, .. }) if provider != Provider::Cpu => {
                    refuse(&mut refusals, &settings.providers, provider, message);
                }
                Err(error) => return Err(error),
            }
        }
        Err(DetectorError::NoProvider {
            model: manifest.id.clone(),
            refusals,
        })
    }

    /// Looks once at an empty picture, and at who computed the answer.
    fn prove(
        manifest: &Manifest,
        opened: Profiled,
        provider: Provider,
    ) -> Result<Self, DetectorError> {
        let expected = manifest.head.expected(&manifest.input, &manifest.classes);
        let outputs: Vec<String> = expected
            .into_iter()
            .map(|(name, _)| name.to_owned())
            .collect();
        let mut input = Array4::zeros(manifest.input.shape());
        let empty = Letterbox::new(manifest.input.width, manifest.input.height, &manifest.input)?;
        let mut opened = opened;
        infer(manifest, &mut opened.session, &mut input, &outputs, &empty)?;
        let (session, placement) = opened.end();
        if let Some(message) = session::fallback(provider, placement.as_ref()) {
            return Err(DetectorError::Inference {
                model: manifest.id.clone(),
                message,
            });
        }
        Ok(Self {
            manifest: manifest.clone(),
            session,
            input,
            letterbox: None,
            outputs,
            provider,
            placement,
            refusals: Vec::new(),
        })
    }

    /// Everything at or above the manifest's `thresholds.low`, best first.
    ///
    /// Scores between `low` and `high` are for the tracker's second stage: they
    /// may keep a track alive, never begin one.
    pub fn detect(&mut self, picture: &I420View<'_>) -> Result<Vec<Detection>, DetectorError> {
        let mut letterbox = match self.letterbox.take().filter(|plan| plan.fits(picture)) {
            Some(plan) => plan,
            None => Letterbox::new(picture.width, picture.height, &self.manifest.input)?,
        };
        let tensor = self
            .input
            .as_slice_mut()
            .expect("an array that `zeros` made is contiguous");
        let filled = letterbox.fill(picture, tensor);
        let result = filled
            .map_err(DetectorError::from)
            .and_then(|()| self.run(&letterbox));
        self.letterbox = Some(letterbox);
        result
    }

    /// What the model is.
    pub fn manifest(&self) -> &Manifest {
        &self.manifest
    }

    /// What computes: the name of ONNX Runtime's execution provider.
    pub fn provider(&self) -> &'static str {
        self.provider.name()
    }

    /// Who computed the first picture; none where the runtime did not say.
    pub fn placement(&self) -> Option<&Placement> {
        self.placement.as_ref()
    }

    /// Providers that come before this one by configuration and do not work, with the reason.
    pub fn refusals(&self) -> &[Refusal] {
        &self.refusals
    }

    fn run(&mut self, letterbox: &Letterbox) -> Result<Vec<Detection>, DetectorError> {
        infer(
            &self.manifest,
            &mut self.session,
            &mut self.input,
            &self.outputs,
            letterbox,
        )
    }
}

fn infer(
    manifest: &Manifest,
    session: &mut Session,
    input: &mut Array4<f32>,
    outputs: &[String],
    letterbox: &Letterbox,
) -> Result<Vec<Detection>, DetectorError> {
    let failed = |error: ort::Error| DetectorError::Inference {
        model: manifest.id.clone(),
        message: one_line(error.message()),
    };
    let tensor = TensorRef::from_array_view(input.view()).map_err(failed)?;
    let values = session
        .run(ort::inputs![manifest.input.tensor.as_str() => tensor])
        .map_err(failed)?;
    let mut tensors = Vec::with_capacity(outputs.len());
    for name in outputs {
        // A missing one is named by the head, which knows what to say.
        if let Some(value) = values.get(name) {
            let (shape, data) = value.try_extract_tensor::<f32>().map_err(failed)?;
            tensors.push(TensorView { name, shape, data });
        }
    }
    models::decode(manifest, letterbox, &tensors).map_err(|source| DetectorError::Output {
        model: manifest.id.clone(),
        // With the names that the file has, and not only those that were asked for.
        source: match source {
            HeadError::Missing { head, wanted, .. } => HeadError::Missing {
                head,
                wanted,
                found: names(values.keys()),
            },
            other => other,
        },
    })
}

/// Notes a provider that does not work. It is worth a warning only where it was
/// asked for by name, or the library was made for it.
fn refuse(
    refusals: &mut Vec<Refusal>,
    choice: &ProviderChoice,
    provider: Provider,
    reason: String,
) {
    let refusal = Refusal { provider, reason };
    match choice {
        ProviderChoice::Listed(_) => tracing::warn!("{refusal}; the next provider is tried"),
        ProviderChoice::Auto => tracing::info!("{refusal}; the next provider is tried"),
    }
    refusals.push(refusal);
}

/// The file must have the one input that the manifest describes.
fn check_input(manifest: &Manifest, session: &Session) -> Result<(), DetectorError> {
    let input = &manifest.input;
    let expected = Shape(
        input
            .shape()
            .iter()
            .map(|size| i64::try_from(*size).unwrap_or(i64::MAX))
            .collect(),
    );
    let refuse = |found: String| DetectorError::Input {
        model: manifest.id.clone(),
        tensor: input.tensor.clone(),
        expected: format!("{expected} of float32"),
        found,
    };
    let [outlet] = session.inputs() else {
        return Err(refuse(format!(
            "inputs {}",
            names(session.inputs().iter().map(ort::value::Outlet::name))
        )));
    };
    if outlet.name() != input.tensor {
        return Err(refuse(format!("input `{}`", outlet.name())));
    }
    let ValueType::Tensor {
        ty: TensorElementType::Float32,
        shape,
        ..
    } = outlet.dtype()
    else {
        return Err(refuse(format!("{:?}", outlet.dtype())));
    };
    // -1 is an open dimension. The batch may always be open; width and height
    // only where the manifest says that they are ours to choose.
    let fits = shape.len() == expected.0.len()
        && shape
            .iter()
            .zip(&expected.0)
            .enumerate()
            .all(|(axis, (found, wanted))| {
                found == wanted || (*found < 0 && (axis == 0 || input.dynamic))
            });
    if fits {
        return Ok(());
    }
    let open = if shape.iter().skip(1).any(|size| *size < 0) {
        " (-1 is open: set `dynamic = true`)"
    } else {
        ""
    };
    Err(refuse(format!("{:?}{open}", &shape[..])))
}
