//! What boxes and cameras say of themselves, retained on the broker.

use serde::{Deserialize, Serialize};

use crate::event::{Place, Words};
use crate::id::{BoxId, CameraId, ModelId, SiteId};
use crate::time::{EventTime, TimeQuality};

/// Whether a camera is watching.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum CameraHealth {
    /// Trying for the first time, or again.
    Connecting,
    /// Frames come and are looked at.
    Watching,
    /// Frames come, but something is wrong with them; `reason` says what.
    Degraded,
    /// No frames; `reason` says why.
    Lost,
    /// Not running, on purpose.
    Stopped,
    /// A word that this version does not know.
    #[serde(other)]
    Unknown,
}

/// One camera, now.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct CameraStatus {
    /// Installation.
    pub site: SiteId,
    /// Box.
    #[serde(rename = "box")]
    pub box_id: BoxId,
    /// Camera.
    pub camera: CameraId,
    /// As people call it.
    pub name: String,
    /// Where it stands.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub place: Option<Place>,
    /// Whether it is a simulation.
    #[serde(default, skip_serializing_if = "core::ops::Not::not")]
    pub simulated: bool,
    /// Whether it is watching.
    pub health: CameraHealth,
    /// Why not, and what to do.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<Words>,
    /// Since when `health` is what it is.
    pub since: EventTime,
    /// When this was written.
    pub at: EventTime,
    /// Reconnections since the box started.
    pub retries: u64,
    /// Frames received since the box started.
    pub frames_received: u64,
    /// Frames given to the rules since the box started.
    pub frames_analysed: u64,
    /// Frames not looked at, all reasons together.
    pub frames_dropped: u64,
    /// Frames analysed per second, over the last ten seconds.
    pub analysed_fps: f64,
    /// Clock of the last frame.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub time_quality: Option<TimeQuality>,
    /// The detector at work.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub model: Option<ModelId>,
}

/// One box, now. The last will is this with `online: false`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct BoxStatus {
    /// Installation.
    pub site: SiteId,
    /// Box.
    #[serde(rename = "box")]
    pub box_id: BoxId,
    /// Whether it is connected.
    pub online: bool,
    /// Version of the agent.
    pub version: String,
    /// When this connection was made.
    pub at: EventTime,
    /// Messages not yet receipted by the centre.
    #[serde(default)]
    pub outbox_waiting: u64,
    /// Something the operator of the box must mend, for example a full disk.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub trouble: Option<Words>,
}
