//! Pictures from cameras and clips, through GStreamer.
//!
//! Two sources give the same [`Frame`]: a [`CameraStream`] (live RTSP; keeps
//! the newest frame, counts what it drops, comes back by itself) and a
//! [`ClipReader`] (recorded; every frame in order, none dropped, as fast as the
//! machine allows). A frame is I420 or NV12, the decoders' own formats, mapped
//! where it is (copied only when so many are held that a hardware decoder would
//! run short); other formats are converted on the way, only when they occur. The
//! decoder is chosen at run time: hardware that proves to work, else software.
//!
//! Time is set here and nowhere else: see [`stream::clock`].
//!
//! Refused here: drawing, resizing and colour conversion to RGB (the letterbox
//! of `models` does that in one pass), sound, and any text from configuration
//! inside a GStreamer launch line.
//!
//! Reading order: [`frame`] → [`elements`] → `decoder` → [`encoded`] →
//! [`stream`] → [`clip`].

pub mod clip;
mod decoder;
pub mod elements;
pub mod encoded;
pub mod frame;
pub mod stream;

pub use clip::{
    ClipDamage, ClipError, ClipInfo, ClipPicture, ClipReader, ClipWriter, EncodedClip,
    EncodedPicture,
};
pub use decoder::{DecoderChoice, DecoderInUse, Family, RefusedDecoder};
pub use elements::{VideoError, init};
pub use frame::{Frame, OwnTime};
pub use stream::diet::Diet;
pub use stream::lack::Lack;
pub use stream::{
    CameraStream, GarbageCounters, LossReason, Notice, Probe, RtspSettings, StreamCounters,
    Transport, probe,
};
