//! Which road users are worth a second look, in which frames, and which part of
//! the picture that is.
//!
//! 1. [`crop`]: the part of a road user's box that a model is shown;
//! 2. [`sharpness`]: how clear that part is, from its brightness;
//! 3. [`chooser`]: few looks at each road user, the large and clear ones, none
//!    that repeats another.
//!
//! Pure: it is told of every frame and asks for pixels only through the caller.
//! What it chooses is recorded with its answers, so a replay never asks it.

pub mod crop;

pub mod sharpness;

pub mod chooser;

pub use chooser::{Candidate, Choice, Chooser, Facing, Looks, Passed};
pub use crop::{Crop, is_covered_by};
