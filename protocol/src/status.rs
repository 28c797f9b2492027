//! What boxes and cameras say of themselves, retained on the broker.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::event::{Place, Words};
use crate::id::{BoxId, CameraId, ModelId, RuleId, SiteId};
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
    /// How long each rule was watching since the box started, in the order of
    /// their names; at most [`MOST_RULES_COVERED`].
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub coverage: Vec<RuleCoverage>,
    /// Rules beyond those of `coverage`.
    #[serde(default, skip_serializing_if = "is_none")]
    pub coverage_left_out: u64,
    /// How the stream is that evidence is made of, where that is not the one
    /// which is looked at.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub evidence_stream: Option<StreamStatus>,
    /// How the recording of inputs goes; left out where none is asked for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub recording: Option<RecordingStatus>,
    /// What makes pictures of the stream; left out where there is none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub decoder: Option<DecoderStatus>,
    /// What the detector computes on and how it fares; left out where nothing
    /// looks at pictures.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub detector: Option<DetectorStatus>,
    /// The same of each model that looks at the camera's pictures besides.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub second_models: Vec<SecondModelStatus>,
}

/// Most rules whose coverage a status carries: with names as long as may be and
/// every reason, these are some 45 kB.
pub const MOST_RULES_COVERED: usize = 64;

#[allow(clippy::trivially_copy_pass_by_ref)] // as serde asks
fn is_none(count: &u64) -> bool {
    *count == 0
}

/// How long a rule was watching since the box started. What nobody watched is
/// not counted as watched, so a silent rule and a blind one can be told apart.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct RuleCoverage {
    /// Which rule.
    pub rule: RuleId,
    /// Seconds in which it was watching.
    pub watched_s: f64,
    /// Seconds in which it was not, by reason, for example `no_model`,
    /// `signal_unknown`, `stream_lost`, `corrupt`. Newer agents have more words: a centre
    /// takes any.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub unwatched_s: BTreeMap<String, f64>,
}

/// What makes pictures of a camera's stream.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct DecoderStatus {
    /// Its name in GStreamer, for example `vah264dec`.
    pub name: String,
    /// What it runs on: `va`, `nvdec`, `mpp`, `v4l2`, … or `software`.
    pub family: String,
    /// Those that are not used although they would come first, each with what is
    /// wrong with it; at most [`MOST_DECODERS_REFUSED`].
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub refused: Vec<String>,
}

/// Most refused decoders that a status names: no machine has more.
pub const MOST_DECODERS_REFUSED: usize = 8;

/// One of a camera's streams, now.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct StreamStatus {
    /// Whether its pictures come.
    pub health: CameraHealth,
    /// Why not, and what to do.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<Words>,
    /// Since when `health` is what it is.
    pub since: EventTime,
}

/// How the recording of a camera's inputs goes.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RecordingStatus {
    /// Whether inputs are being recorded now.
    pub is_recording: bool,
    /// Times that they could not be, since the box started.
    #[serde(default)]
    pub failures: u64,
    /// Why not, and what to do.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<Words>,
}

/// What the detector computes on and how it fares, since the box started.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct DetectorStatus {
    /// What computes, in the words of the box's configuration, for example `cpu`, `openvino`,
    /// `cuda`; `none` where the model is not at work.
    pub provider: String,
    /// Whether it was looked at that it does: `proved`, by the runtime's own record of
    /// who computed what, or `unproven`, where the configuration allows that. Empty from
    /// older agents.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub placement: String,
    /// Why another model than the wanted one is at work, or none, and what to do.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub instead: Option<Words>,
    /// Those that come before it by configuration and do not compute, also one
    /// that was lost at work.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub refused: Vec<RefusedProvider>,
    /// Times that a provider was lost at work, and the model loaded anew.
    #[serde(default, skip_serializing_if = "is_none")]
    pub losses: u64,
    /// Looks of all cameras on which the model failed.
    #[serde(default, skip_serializing_if = "is_none")]
    pub failures: u64,
    /// Answers of the model that were no numbers, and were passed over.
    #[serde(default, skip_serializing_if = "is_none")]
    pub broken: u64,
}

/// A model that looks beside the detector.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SecondModelStatus {
    /// Its name, `plates` for the reader of number plates.
    pub model: String,
    /// What for: `cascade`, where rules rest on it, or `shadow`.
    pub job: String,
    /// Looks that it took, of all cameras.
    #[serde(default)]
    pub looks: u64,
    /// What it computes on and how it fares.
    #[serde(flatten)]
    pub fares: DetectorStatus,
}

/// A provider that was asked for and does not compute.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RefusedProvider {
    /// Which.
    pub provider: String,
    /// Why, and what to do.
    pub reason: Words,
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
    /// Where its outbox stands; the centre answers with a receipt of what it has of it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub outbox: Option<OutboxPosition>,
}

/// Which agent speaks for a box, and what it has and was receipted.
///
/// A centre that was restored from a backup knows less than it once receipted.
/// It need not know that: it answers every position with what it has, and the
/// box sees that this is less and sends again what it still holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct OutboxPosition {
    /// Which outbox.
    pub id: Uuid,
    /// Which start of the agent: two that come in turns are two agents.
    pub run: Uuid,
    /// Lowest sequence that the box still holds, receipted or not.
    pub floor: u64,
    /// Everything up to here was receipted; 0 for nothing.
    pub receipted: u64,
}
