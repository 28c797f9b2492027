//! What arrives from boxes, by whatever transport, and what becomes of it.
//!
//! A transport hands over bytes and a topic; [`judge`] makes of them a
//! [`Letter`] that the store can take or a [`DeadLetter`] that it keeps for the
//! engineer, with the reason. Both are committed and both are receipted: a box
//! must never be stuck behind one message that the centre cannot read.

mod complaints;
mod judge;
mod letter;

pub use complaints::Complaints;
pub use judge::{HIGHEST_SEQUENCE, Limits, box_named_by, judge};
pub use letter::{Content, DeadLetter, Judged, Letter, Reason};
