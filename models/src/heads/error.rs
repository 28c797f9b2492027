//! Outputs that do not fit their head, said with what was expected and what was found.

/// Outputs that are not what the manifest says.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum HeadError {
    /// A tensor is not there.
    #[error(
        "the {head} head reads output `{wanted}`, the model has {found}; correct `head` in its manifest or install the right file"
    )]
    Missing {
        /// The head's kind.
        head: &'static str,
        /// The name in the manifest.
        wanted: String,
        /// The names that are there.
        found: String,
    },
    /// A tensor has other dimensions.
    #[error(
        "the {head} head expects output `{tensor}` to be {expected}, the model gives {found}; input size, strides, class count or the file itself differ from the manifest"
    )]
    Shape {
        /// The head's kind.
        head: &'static str,
        /// The tensor's name.
        tensor: String,
        /// Dimensions by the manifest.
        expected: Shape,
        /// Dimensions found.
        found: Shape,
    },
    /// A tensor's dimensions and its numbers do not agree.
    #[error(
        "output `{tensor}` claims the shape {shape} but holds {found} numbers; the runtime gave a broken tensor"
    )]
    Length {
        /// The tensor's name.
        tensor: String,
        /// What it claims.
        shape: Shape,
        /// How many numbers there are.
        found: usize,
    },
    /// Nothing that was to be read is a number.
    #[error(
        "all {count} answers of the {head} head hold NaN or infinity; the file is damaged or its numbers do not fit the precision that it runs in"
    )]
    NoNumbers {
        /// The head's kind.
        head: &'static str,
        /// Answers looked at.
        count: usize,
    },
    /// Numbers that should be probabilities are none.
    #[error(
        "the {head} head makes certainties of probabilities, but the model gives {found}: {remedy} (docs/heads.md, \"Probabilities\")"
    )]
    NoProbabilities {
        /// The head's kind.
        head: &'static str,
        /// What it gives instead.
        found: String,
        /// What to do.
        remedy: &'static str,
    },
    /// Boxes are written in another form.
    #[error(
        "the {head} head reads boxes of another form: the model gives {found} at every place; {remedy} under `[head]` in its manifest"
    )]
    Boxes {
        /// The head's kind.
        head: &'static str,
        /// What the four numbers of a box are.
        found: &'static str,
        /// What to do.
        remedy: &'static str,
    },
    /// The head reads something else than what is asked of it.
    #[error(
        "the {head} head reads {reads}; it was asked for {asked}: correct `task` or `head` in the manifest"
    )]
    Kind {
        /// The head's kind.
        head: &'static str,
        /// What it reads.
        reads: Answer,
        /// What was asked for.
        asked: Answer,
    },
}

/// What a head makes of its numbers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Answer {
    /// Boxes with a class.
    Detections,
    /// Boxes with a class and five points of a face.
    Faces,
    /// Classes of the whole input.
    Labels,
    /// Places where something is written.
    TextRegions,
    /// A line of writing.
    Text,
}

impl core::fmt::Display for Answer {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.write_str(match self {
            Self::Detections => "boxes",
            Self::Faces => "faces",
            Self::Labels => "classes of a picture",
            Self::TextRegions => "places of text",
            Self::Text => "text",
        })
    }
}

/// Dimensions of a tensor, printed as `[1, 3, 416, 416]`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Shape(pub Vec<i64>);

impl Shape {
    pub(super) fn of(sizes: &[usize]) -> Self {
        // A manifest's sizes are far below; saturating keeps this total.
        Self(
            sizes
                .iter()
                .map(|size| i64::try_from(*size).unwrap_or(i64::MAX))
                .collect(),
        )
    }
}

impl core::fmt::Display for Shape {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        write!(f, "{:?}", self.0)
    }
}
