//! Which networks exist and how to read their outputs.
//!
//! A network is a file and a [`Manifest`] that says everything about it: what
//! it is called and hashes to, under which licence, which pixels it wants and
//! what its numbers mean. Whoever runs the file (ONNX Runtime, in
//! `edge-inference`) fills its input with a [`Letterbox`], and hands its output
//! to [`heads`], which answer in the program's own words and in fractions of
//! the picture.
//!
//! Pure: no runtime, no files, no clock. So a head is tested on a saved tensor,
//! without the network it belongs to.
//!
//! Reading order: [`manifest`] and [`licence`] → [`catalogue`](mod@catalogue) → [`picture`] →
//! [`letterbox`] → [`heads`] → [`nms`] → [`tiles`].
//!
//! A new model for a known head is a new folder under `models/catalog/`; a new
//! head is a new file under `models/src/heads/`. Nothing else changes.

pub mod manifest;

pub mod licence;

pub mod catalogue;

pub mod picture;

pub mod letterbox;

pub mod heads;

pub mod nms;

pub mod tiles;

pub use catalogue::catalogue;
pub use heads::{Head, HeadError, TensorView, decode};
pub use letterbox::{Letterbox, Padding};
pub use manifest::{
    ClassMap, Colour, ElementType, Fit, Input, Layout, Manifest, ManifestError, Shrink, Task,
    Thresholds,
};
pub use picture::{
    ColourMatrix, ColourRange, Crop, I420View, Nv12View, PictureError, PictureView, PlaneView,
};
pub use protocol::id::ModelId;
