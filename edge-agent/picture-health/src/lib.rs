//! What a camera's picture is good for.
//!
//! A dead or turned camera has a good frame rate. This crate looks at a small
//! luma picture ([`Thumbnail`]) twice a second and says when the picture is
//! *dark*, *blocked*, *defocused* or *moved* ([`Watch`]); frozen and lost pictures
//! are the stream's business. Pure: no clock, no files, the same pictures and
//! times give the same words.
//!
//! It refuses to hurry. A condition is said only when most looks of 20 s agree,
//! on features averaged over some seconds: headlights, a bus that stops in front
//! of the camera, a gust of rain and the change to infrared light are over by
//! then or change nothing. And it refuses to guess: what it has no reference for
//! yet (the first minute, a kind of light never seen before) is not judged by one.
//!
//! Reading order: [`Thumbnail`] → `features` → `shift` → `reference` → [`Watch`].

// Luma is 0 to 255 and pictures have fewer than 2³¹ points: no cast loses anything.
#![allow(
    clippy::cast_possible_truncation,
    clippy::cast_possible_wrap,
    clippy::cast_sign_loss
)]

mod features;
mod memory;
mod reference;
mod shift;
mod thumbnail;
mod watch;

pub use memory::Memory;
pub use thumbnail::Thumbnail;
pub use watch::{Settings, Watch};

#[cfg(test)]
mod tests;
