//! Why a model does not load, or does not look at a picture.

use std::path::PathBuf;

use models::heads::AlphabetError;
use models::{HeadError, ModelId, PictureError};
use protocol::Digest;

use crate::outside::{self, NotWhole};
use crate::session::Refusal;

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
    /// A network, and whole, but with something in it that the runtime does not know.
    #[error(
        "model {model}: ONNX Runtime {runtime} does not take {}: {message}; export it again for an older operator set (`opset`) and with \
         ONNX's own operators, or name a newer ONNX Runtime with `onnxruntime` under [detector]",
        file.display()
    )]
    NotTaken {
        /// Which.
        model: ModelId,
        /// Its file.
        file: PathBuf,
        /// The runtime's version.
        runtime: String,
        /// What the runtime says.
        message: String,
    },
    /// A part of it lies in another file.
    #[error("model {model}: {} {fault}; {}", file.display(), outside::NEXT)]
    Outside {
        /// Which.
        model: ModelId,
        /// Its file.
        file: PathBuf,
        /// In which.
        fault: NotWhole,
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
    /// What its answers are written with is not in the file.
    #[error("model {model}: {source}")]
    Alphabet {
        /// Which.
        model: ModelId,
        /// What is missing.
        source: AlphabetError,
    },
    /// The picture cannot be read.
    #[error(transparent)]
    Picture(#[from] PictureError),
}

impl DetectorError {
    /// Whether nothing that the network answered was a number, or none was what it must be: a
    /// precision that is too small for it, or a driver that computes wrongly.
    pub(crate) const fn is_nonsense(&self) -> bool {
        matches!(
            self,
            Self::Output {
                source: HeadError::NoNumbers { .. } | HeadError::NoProbabilities { .. },
                ..
            }
        )
    }
}
