//! One thing for a model to look at.

use protocol::{EventTime, NormBox};

/// One thing for a model to look at: a camera's picture, or a part of it.
#[derive(Clone, Debug, PartialEq)]
pub struct Job<P> {
    /// Whose picture, by the order of [`Scheduler::new`](crate::Scheduler::new).
    pub camera: usize,
    /// Which model, by the same.
    pub model: usize,
    /// What for.
    pub kind: Kind,
    /// Which part of the picture.
    pub region: Region,
    /// Whose look it is, of those that one model takes at whole pictures of a camera for several
    /// askers: a newer one of the same series takes the place of the one that waits.
    pub series: usize,
    /// When the picture was taken.
    pub time: EventTime,
    /// The picture, or how to get at it; only passed through.
    pub picture: P,
}

/// Which part of a picture.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Region {
    /// All of it.
    Whole,
    /// This part, fractions of the picture.
    Part(NormBox),
}

/// What a job is for; in the order in which they are served, so that the last
/// is dropped first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Kind {
    /// The picture of a camera that shows something.
    Awake,
    /// A second model on all of it, for what is nobody's and cannot wait: fire, smoke.
    /// A camera has one of each model and series, the newest.
    PictureLook,
    /// A part of such a picture at a larger scale, for what is far away.
    Tile,
    /// A second model on something that was found: a plate, a helmet.
    SecondLook,
    /// The picture of a camera where nothing moves.
    Heartbeat,
}

impl Kind {
    /// All of them.
    pub const ALL: [Self; 5] = [
        Self::Awake,
        Self::PictureLook,
        Self::Tile,
        Self::SecondLook,
        Self::Heartbeat,
    ];

    /// Whether it is the one look at a camera's picture that rules live on.
    pub const fn is_whole(self) -> bool {
        matches!(self, Self::Awake | Self::Heartbeat)
    }

    /// The word in metrics.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Awake => "awake",
            Self::PictureLook => "picture_look",
            Self::Tile => "tile",
            Self::SecondLook => "second_look",
            Self::Heartbeat => "heartbeat",
        }
    }
}
