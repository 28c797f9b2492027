//! OpenCV where it earns its place: homographies from surveyed points, and annotated stills.
//!
//! Two things need it, neither of them in the frame path: a technician's survey
//! becomes a [`Homography`] once per camera ([`estimate_homography`]), and an
//! event becomes two JPEG pictures ([`Picture`], [`Overlay`]). Everything that
//! runs per frame (decoding, letterbox, tracking, rules) lives elsewhere and
//! builds without OpenCV; `docs/design/opencv.md` has the reasons.
//!
//! It refuses to guess: a survey from which no trustworthy ground plane follows
//! is an error that names the points, never a matrix with a warning. And it
//! decides nothing: what is drawn in a still was decided by a rule, and the
//! event lists the numbers.
//!
//! Reading order: `survey` → `homography`; `planes` → `picture` → `overlay` →
//! `draw` → `canvas`, `labels`, `legend`, `text`, `clip`.

mod canvas;
mod clip;
mod draw;
mod error;
mod homography;
mod labels;
mod legend;
mod mosaic;
mod overlay;
mod picture;
mod planes;
mod survey;
mod text;

pub use error::StillError;
pub use homography::{Homography, estimate_homography};
pub use overlay::{Emphasis, Overlay, OverlayBox};
pub use picture::{BACKDROP, MAX_PIXELS, MAX_SIDE, Picture};
pub use planes::YuvPlanes;
pub use survey::{CalibrationError, Side, Survey};

/// Keeps OpenCV on the thread that called it.
///
/// Its pool would otherwise start a thread per core for every still and take
/// the processor away from decoding and inference, which are the real work.
fn single_threaded() -> opencv::Result<()> {
    use std::sync::OnceLock;
    static DONE: OnceLock<()> = OnceLock::new();
    if DONE.get().is_none() {
        opencv::core::set_num_threads(1)?;
        DONE.get_or_init(|| ());
    }
    Ok(())
}
