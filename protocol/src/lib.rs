//! The words that the roadside box and the centre both speak.
//!
//! Pure values with `serde` forms: no clock, no files, no sockets, so that the
//! same bytes mean the same thing on a box, at the centre, in a replay and in
//! ten years' time. Unknown fields are ignored here (an older centre must read
//! a newer box); configuration, which is not here, refuses them.
//!
//! Reading order: [`time`] and [`units`] → [`id`] → [`geometry`] →
//! [`detections`], [`signal`] and [`spat`] → [`plate`] and [`event`] → [`evidence`] → [`status`] →
//! [`envelope`] → [`receipt`] and [`locks`] → [`topic`]; [`seen_time`] apart.

pub mod detections;
pub mod envelope;
pub mod event;
pub mod evidence;
pub mod geometry;
pub mod id;
pub mod locks;
pub mod plate;
pub mod receipt;
pub mod seen_time;
pub mod signal;
pub mod spat;
pub mod status;
pub mod time;
pub mod topic;
pub mod units;

pub use detections::{CameraMotion, Detection, Detections, ObjectClass};
pub use envelope::Envelope;
pub use event::{Event, EventKind, Phase, Predicate, Severity};
pub use evidence::{Digest, EvidenceItem, EvidenceManifest};
pub use geometry::{NormBox, Point};
pub use id::{BoxId, CameraId, CascadeId, EventId, RuleId, SiteId, TrackId, ZoneId};
pub use locks::{EvidenceLocks, LockPart};
pub use plate::NumberPlate;
pub use receipt::Receipt;
pub use seen_time::SeenTime;
pub use signal::{SignalReading, SignalState};
pub use time::{EventTime, TimeQuality};
