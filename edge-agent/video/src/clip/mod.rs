//! Recorded clips: read frame by frame, and written with drawings on top.
//!
//! Reading order: [`reader`] → `waiting` → [`media_time`] → [`pictures`] (a folder of
//! stills) → [`writer`].

mod cut;
pub mod encoded;
mod error;
pub mod media_time;
pub mod pictures;
pub mod reader;
mod streams;
mod upright;
mod waiting;
pub mod writer;

pub use encoded::{EncodedClip, EncodedPicture};
pub use error::ClipError;
pub use reader::{ClipDamage, ClipInfo, ClipPicture, ClipReader};
pub use writer::ClipWriter;
