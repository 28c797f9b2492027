//! What the store gives out: plain values, one type per question.

use protocol::event::{Place, Words};
use protocol::evidence::Span;
use protocol::status::{BoxStatus, CameraStatus};
use protocol::{Digest, EventId, EventTime};

use super::Removed;
use crate::alert::{MachineState, State};

/// An alert as it stands in a list.
#[derive(Clone, Debug)]
#[allow(missing_docs)] // see `api::alerts::AlertSummary`, which says the same to strangers
pub struct AlertRow {
    pub id: EventId,
    pub kind: String,
    pub severity: String,
    pub title: Words,
    pub site: String,
    pub box_id: String,
    pub camera: String,
    pub camera_name: Option<String>,
    pub place: Option<Place>,
    pub zone: Option<String>,
    pub occurred_at: EventTime,
    pub decided_at: EventTime,
    pub ended_at: Option<EventTime>,
    pub received_at: EventTime,
    pub state: State,
    pub machine: MachineState,
    pub revision: u32,
    pub simulated: bool,
    pub change: i64,
    /// Hash of the annotated still, once its file is stored.
    pub still: Option<Digest>,
    /// Hash of the clean still, once its file is stored.
    pub still_clean: Option<Digest>,
    /// Who locked its evidence.
    pub lock: Option<LockRow>,
}

/// A lock on an alert's evidence.
#[derive(Clone, Debug)]
pub struct LockRow {
    /// Since when, by the centre's clock.
    pub at: EventTime,
    /// Who set it.
    pub actor: String,
    /// Why.
    pub reason: String,
}

/// What an alert's evidence lacks and will never have.
#[derive(Clone, Debug)]
#[allow(missing_docs)] // as in `protocol::evidence::Missing`
pub struct MissingRow {
    pub role: String,
    pub at: Option<EventTime>,
    pub reason: Words,
}

/// An alert with everything that belongs to it.
#[derive(Clone, Debug)]
pub struct AlertDetail {
    /// As in the list.
    pub row: AlertRow,
    /// The newest envelope, exactly as received.
    pub body: Vec<u8>,
    /// Its files, stored or awaited.
    pub evidence: Vec<EvidenceRow>,
    /// What is not among them and will not come.
    pub missing: Vec<MissingRow>,
    /// What was done, oldest first.
    pub history: Vec<HistoryRow>,
}

/// A file that belongs to an alert.
#[derive(Clone, Debug)]
#[allow(missing_docs)] // as in `protocol::EvidenceItem`
pub struct EvidenceRow {
    pub role: String,
    pub sha256: Digest,
    pub length: u64,
    pub media_type: String,
    pub captured: EventTime,
    pub until: Option<EventTime>,
    pub asked: Option<Span>,
    pub note: Option<Words>,
    /// Whether the file itself has arrived.
    pub is_stored: bool,
    /// When retention removed it.
    pub removed: Option<Removed>,
}

/// One line of an alert's history.
#[derive(Clone, Debug)]
pub struct HistoryRow {
    /// When, by the centre's clock.
    pub at: EventTime,
    /// Who: a person, or `<site>/<box>` for a machine.
    pub actor: String,
    /// What: `acknowledge`, `resolve`, `lock`, `unlock`, or the machine's `raised`, `updated`, `cleared`.
    pub action: String,
    /// The state before, of the person's or the machine's cycle.
    pub from: Option<String>,
    /// The state after.
    pub to: String,
    /// The reason code of a resolution.
    pub reason: Option<String>,
    /// In their words.
    pub note: Option<String>,
}

/// A camera and whether its box is there.
#[derive(Clone, Debug)]
pub struct CameraRow {
    /// What it last said of itself.
    pub status: CameraStatus,
    /// Whether its box is connected.
    pub box_online: bool,
    /// When it said so, by the centre's clock.
    pub received_at: EventTime,
    /// Number of its last change.
    pub change: i64,
}

/// A box.
#[derive(Clone, Debug)]
pub struct BoxRow {
    /// What it, or its last will, said.
    pub status: BoxStatus,
    /// When, by the centre's clock.
    pub received_at: EventTime,
    /// Number of its last change.
    pub change: i64,
}

/// How many alerts of a kind are in a state.
#[derive(Clone, Debug)]
pub struct KindCount {
    /// Which kind.
    pub kind: String,
    /// Which state.
    pub state: State,
    /// How many.
    pub count: u64,
}

/// A message that could not be taken in.
#[derive(Clone, Debug)]
#[allow(missing_docs)] // as in `inbox::DeadLetter`
pub struct DeadLetterRow {
    pub received_at: EventTime,
    pub topic: String,
    pub site: Option<String>,
    pub box_id: Option<String>,
    pub reason: String,
    pub detail: String,
    pub length: u64,
    pub head: Vec<u8>,
}

/// A file in the evidence store.
#[derive(Clone, Debug)]
pub struct EvidenceFile {
    /// Its name and its proof.
    pub sha256: Digest,
    /// Bytes.
    pub length: u64,
    /// IANA media type as uploaded.
    pub media_type: String,
    /// When it was stored.
    pub stored_at: EventTime,
}
