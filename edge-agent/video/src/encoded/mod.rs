//! Encoded pictures as the camera sent them: kept for a while, cut, muxed, and
//! a few of them decoded.
//!
//! Evidence is made of these and of nothing else. They are taken between the
//! depayloader and the parser, because GStreamer's parsers add delimiters or
//! take parameter sets out; here every NAL unit of the camera stays, SEI
//! included, so that video that the camera signed can still be verified. The
//! same holds for the muxer: [`mp4`] is our own, because `mp4mux` needs such a
//! parser before it.
//!
//! Refused here: encoding, sound, and a clip over a break of the stream.
//!
//! Reading order: [`mod@unit`] → [`parameters`] → `frame_number` → [`ring`] → [`cut`] → [`album`] → [`mp4`] → `renumbered` → `picture_order` → `group` → `origin` → [`stills`] → [`follower`].

pub mod album;
mod bits;
pub mod cut;
pub mod follower;
pub(crate) mod frame_number;
mod group;
pub mod mp4;
mod origin;
pub mod parameters;
pub(crate) mod picture_order;
pub(crate) mod renumbered;
pub mod ring;
pub mod stills;
pub mod unit;

pub use album::AlbumLimits;
pub use cut::{Cut, Shortfall};
pub use follower::{Follower, FollowerCounters, Sought};
pub use group::DecodeError;
pub use mp4::Mp4Error;
pub use parameters::Format;
pub use ring::{AlbumState, Ring, RingClock, RingLimits, RingState};
pub use stills::{Stills, Undecodable, Wanted, decode_at, decode_wanted};
pub use unit::{AccessUnit, Codec, Taken};
