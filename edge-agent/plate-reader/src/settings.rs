//! Which networks read plates, how large what they see is, and why there may be no reader.

use std::path::Path;

use edge_inference::{DetectorError, DetectorSettings, FreeNetwork, Runtime, StoreError};
use models::heads::{AlphabetError, Head};
use models::{ElementType, Layout, Manifest, ModelId, PictureError};

/// Networks and sizes.
#[derive(Clone, Debug, PartialEq)]
pub struct ReaderSettings {
    /// Finds writing.
    pub places: ModelId,
    /// Reads a line of it.
    pub lines: ModelId,
    /// Longer side of the picture that the detector of text sees, in pixels; a
    /// multiple of 32.
    pub long_side: u32,
    /// A region is made at most so many times larger to reach it.
    pub most_enlarged: f64,
    /// Regions of text that are read in one look, the surest first.
    pub most_regions: usize,
    /// A row of text lower than this in the picture, in pixels, is not read.
    pub least_row_px: f64,
}

impl Default for ReaderSettings {
    /// PP-OCRv4.
    fn default() -> Self {
        Self {
            places: "ppocr-v4-det".parse().expect("a name of the catalogue"),
            lines: "ppocr-v4-rec".parse().expect("a name of the catalogue"),
            long_side: 640,
            most_enlarged: 3.0,
            most_regions: 12,
            least_row_px: 7.0,
        }
    }
}

/// Why there is no reader, or no look.
#[derive(Debug, thiserror::Error)]
pub enum ReaderError {
    /// A network is not here.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// A network does not load or does not run.
    #[error(transparent)]
    Network(#[from] DetectorError),
    /// A network that does something else.
    #[error(
        "model {model} {does}; plates need one that {needed}: correct its name under [detector.plates]"
    )]
    Kind {
        /// Which.
        model: ModelId,
        /// What it does.
        does: String,
        /// What is needed.
        needed: &'static str,
    },
    /// Its symbols are not what the manifest says.
    #[error("model {model}: {source}")]
    Alphabet {
        /// Which.
        model: ModelId,
        /// What is wrong.
        source: AlphabetError,
    },
    /// The picture cannot be read.
    #[error(transparent)]
    Picture(#[from] PictureError),
}

/// One of the two networks of the reader.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Half {
    /// Finds writing.
    Places,
    /// Reads a line of it.
    Lines,
}

impl Half {
    const fn needed(self) -> &'static str {
        match self {
            Self::Places => "finds text in pictures of any size",
            Self::Lines => "reads lines of text of any width",
        }
    }

    const fn is_right(self, head: &Head) -> bool {
        match self {
            Self::Places => matches!(head, Head::TextRegions(_)),
            Self::Lines => matches!(head, Head::Ctc(_)),
        }
    }

    /// Why a model cannot be this half of a reader, if so.
    pub fn misfit(self, manifest: &Manifest) -> Option<ReaderError> {
        let input = &manifest.input;
        let is_right = self.is_right(&manifest.head)
            && input.dynamic
            && input.layout == Layout::Nchw
            && input.element == ElementType::F32;
        let size = if input.dynamic {
            ""
        } else {
            " and of one size"
        };
        (!is_right).then(|| ReaderError::Kind {
            model: manifest.id.clone(),
            does: format!("is of kind `{}`{size}", manifest.head.kind()),
            needed: self.needed(),
        })
    }

    /// Loads it, if it is what is needed.
    pub fn load(
        self,
        runtime: &Runtime,
        manifest: Manifest,
        file: &Path,
        networks: &DetectorSettings,
    ) -> Result<FreeNetwork, ReaderError> {
        match self.misfit(&manifest) {
            Some(misfit) => Err(misfit),
            None => Ok(FreeNetwork::load(runtime, manifest, file, networks)?),
        }
    }
}
