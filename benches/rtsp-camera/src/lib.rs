//! A loopback RTSP camera: it loops clips like a camera, and misbehaves on demand.
//!
//! Tests, the demo and the benches need real RTSP with real faults, and no
//! camera at hand does all of them. A clip is parsed once into access units
//! ([`Clip`]) and never decoded or encoded again, so that dozens of mounts cost
//! next to nothing; the loop is seamless and its timestamps never go back.
//! Every client gets the clip from its first picture, as from a camera that
//! sends a key frame on connection.
//!
//! It refuses what cameras do not send (only H.264, H.265 and MJPEG), has no
//! sound, and binds to loopback unless told otherwise.
//!
//! Reading order: [`clip`] → [`behaviour`] → `feeder` → [`server`] →
//! [`pattern`] (test clips made on the spot).

pub mod behaviour;
pub mod clip;
mod feeder;
pub mod pattern;
mod reports;
pub mod server;

pub use behaviour::{Behaviour, Damage, Script, WrongTimes};
pub use clip::{Clip, ClipCodec};
pub use pattern::{Groups, TestPattern};
pub use server::{Camera, CameraSettings, Mount};
