//! Number plates in a picture.
//!
//! A region (a vehicle's box, or a plate's where one is known) goes through a
//! detector of text; each tilted rectangle that it finds is straightened, parted
//! into rows where it holds two, and recognised; what lies beside and below each
//! other is joined and read by the grammar of the crate `plates`. The result is
//! a list of looks, each a plate with its corrections or a refusal with its
//! reason.
//!
//! One look is not a plate that may be stated: looks vote, see `plates::votes`.
//! Which looks are worth their time is the caller's business; size and
//! sharpness are told for that.

mod quad;

mod rectify;

mod profile;

mod ground;

mod assemble;

mod look;

mod settings;

mod finder;

mod line_reader;

mod appearance;

mod reader;

pub mod truth;

pub mod score;

pub use look::{Piece, PlateLook, SURE};
pub use reader::{PlateReader, Region};
pub use settings::{Half, ReaderError, ReaderSettings};
