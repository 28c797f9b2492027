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
use ort::session::builder::{GraphOptimizationLevel, SessionBuilder};
use ort::value::{TensorElementType, TensorRef, ValueType};
use protocol::{Detection, Digest};

use crate::digest;
use crate::runtime::Runtime;

/// How a model is run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DetectorSettings {
    /// Threads that work on one picture; 0 counts as 1.
    pub threads: usize,
}

impl Default for DetectorSettings {
    fn default() -> Self {
        Self { threads: 1 }
    }
}

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
}

impl Detector {
    /// Loads a model and looks once at an empty picture, so that a file that
    /// does not fit its manifest is found out now and not at the first car.
    pub fn load(
        runtime: &Runtime,
        manifest: Manifest,
        file: &Path,
        settings: DetectorSettings,
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
        let session = builder(runtime, settings)
            .and_then(|mut builder| builder.commit_from_memory(&bytes))
            .map_err(|error| DetectorError::NotLoaded {
                model: manifest.id.clone(),
                file: file.to_owned(),
                message: one_line(error.message()),
            })?;
        check_input(&manifest, &session)?;
        let expected = manifest.head.expected(&manifest.input, &manifest.classes);
        let outputs = expected
            .into_iter()
            .map(|(name, _)| name.to_owned())
            .collect();
        let mut detector = Self {
            input: Array4::zeros(manifest.input.shape()),
            manifest,
            session,
            letterbox: None,
            outputs,
        };
        let empty = Letterbox::new(
            detector.manifest.input.width,
            detector.manifest.input.height,
            &detector.manifest.input,
        )?;
        detector.run(&empty)?;
        Ok(detector)
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
    #[allow(clippy::unused_self)] // accelerators will differ per detector
    pub fn provider(&self) -> &'static str {
        "CPUExecutionProvider"
    }

    fn run(&mut self, letterbox: &Letterbox) -> Result<Vec<Detection>, DetectorError> {
        let Self {
            manifest,
            session,
            input,
            outputs,
            ..
        } = self;
        let failed = |error: ort::Error| DetectorError::Inference {
            model: manifest.id.clone(),
            message: one_line(error.message()),
        };
        let tensor = TensorRef::from_array_view(input.view()).map_err(failed)?;
        let values = session
            .run(ort::inputs![manifest.input.tensor.as_str() => tensor])
            .map_err(failed)?;
        let mut tensors = Vec::with_capacity(outputs.len());
        for name in outputs.iter() {
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
}

fn builder(runtime: &Runtime, settings: DetectorSettings) -> ort::Result<SessionBuilder> {
    let builder = Session::builder(runtime.environment())?
        .with_optimization_level(GraphOptimizationLevel::All)?
        .with_intra_threads(settings.threads.max(1))?
        .with_inter_threads(1)?
        // A waiting thread that spins takes the core from the next camera's decoder.
        .with_intra_op_spinning(false)?;
    Ok(builder)
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

/// The runtime's messages run over several lines, with its own source files' names.
fn one_line(message: &str) -> String {
    message.split_whitespace().collect::<Vec<_>>().join(" ")
}
