//! Whether anything moves in a camera's picture, so that the detector may rest.
//!
//! Inference is the dear part of a box. At night most pictures of most cameras
//! show an empty road; this crate says which of them need not be looked at. It
//! sees a small luma picture ([`SmallPicture`]), keeps a model of the background
//! for each of its cells, and answers [`Verdict`]: look, and why, or rest.
//! Pure: no clock, no files; the same pictures and times give the same verdicts.
//!
//! What it knows about light and cameras:
//!
//! - A *global* change of exposure, and a camera that sways by less than a cell,
//!   are one fit over the whole picture (`light`): gain, offset and shift are
//!   taken out before anything is compared. Headlights that sweep over the road
//!   are a *local* change, and so motion.
//! - Each cell has its own noise, learnt from what it shows (rain, leaves, the
//!   gain of the night), up to a bound: a cell may become dull, never blind.
//! - A picture that changed as a whole (infrared filter, a turned camera, a bus
//!   in front of the lens) is learnt anew, and looked at meanwhile.
//!
//! It errs towards looking. While it rests there is a heartbeat, at least one look each
//! [`Settings::heartbeat_s`], so that what is too slow, too small or too faint for it is found all the
//! same, and what stands is seen to stand. That nobody is there it says ([`Verdict::Empty`]) only of a road
//! that the last looks have found empty and in which nothing has moved since, and not for longer than
//! [`Settings::empty_heartbeat_s`] without a look. And the scene can hold it awake
//! ([`Attention`](edge_core::Attention)) as long as somebody is followed whom a heartbeat would lose.
//!
//! Reading order: [`SmallPicture`] → `background` → `light` → `blobs` → [`Gate`].

// Luma is 0 to 255 and a small picture has fewer than 2¹⁴ cells: no cast loses anything.
#![allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)]

mod background;
mod blobs;
mod gate;
mod light;
mod small;

pub use gate::{Found, Gate, Reason, Settings, Verdict};
pub use small::SmallPicture;

#[cfg(test)]
mod tests;
