//! What the API says, in JSON: the types of its contract.

use std::collections::BTreeMap;

use protocol::event::{Place, Words};
use protocol::status::{BoxStatus, CameraStatus};
use protocol::{Digest, EventTime};
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use utoipa::ToSchema;

use super::schema::{BoxStatusSchema, CameraStatusSchema};
use crate::alert::{MachineState, Resolution, State};
use crate::case;
use crate::store::{AlertDetail, AlertRow, BoxRow, CameraRow, EvidenceRow, HistoryRow, MissingRow};

/// Words for people.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct WordsView {
    /// Vietnamese.
    pub vi: String,
    /// English.
    pub en: String,
}

impl From<Words> for WordsView {
    fn from(words: Words) -> Self {
        Self {
            vi: words.vi,
            en: words.en,
        }
    }
}

/// Where a camera stands.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct PlaceView {
    /// As people call it.
    pub name: String,
    /// WGS 84 latitude, degrees.
    pub latitude: Option<f64>,
    /// WGS 84 longitude, degrees.
    pub longitude: Option<f64>,
}

impl From<Place> for PlaceView {
    fn from(place: Place) -> Self {
        Self {
            name: place.name,
            latitude: place.latitude,
            longitude: place.longitude,
        }
    }
}

/// An alert as it stands in a list and on the stream.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct AlertSummary {
    /// The event's id: the same in every revision, resend and replay.
    #[schema(format = Uuid)]
    pub id: String,
    /// What sort of happening; an open list.
    #[schema(example = "red_light")]
    pub kind: String,
    /// `info`, `minor`, `major` or `critical`.
    #[schema(example = "major")]
    pub severity: String,
    /// What happened, in words.
    pub title: WordsView,
    /// Installation.
    pub site: String,
    /// Box.
    #[serde(rename = "box")]
    pub box_id: String,
    /// Camera.
    pub camera: String,
    /// The camera as people call it; its id until it has said.
    pub camera_name: String,
    /// Where the camera stands.
    pub place: Option<PlaceView>,
    /// When it began.
    #[schema(value_type = String, format = DateTime)]
    pub occurred_at: EventTime,
    /// The frame at which the last predicate became true.
    #[schema(value_type = String, format = DateTime)]
    pub decided_at: EventTime,
    /// When the centre first heard of it.
    #[schema(value_type = String, format = DateTime)]
    pub received_at: EventTime,
    /// When it was over.
    #[schema(value_type = Option<String>, format = DateTime)]
    pub ended_at: Option<EventTime>,
    /// What people decided.
    pub state: State,
    /// What the machine says.
    pub machine: MachineState,
    /// Of the event.
    pub revision: u32,
    /// Whether the camera is a simulation and nobody must act on this.
    pub simulated: bool,
    /// The zone or line concerned.
    pub zone: Option<String>,
    /// The annotated still, once it is here.
    #[schema(example = "/api/v1/evidence/9f86…")]
    pub still_url: Option<String>,
    /// The still as the camera gave it, once it is here.
    pub still_clean_url: Option<String>,
    /// Who locked its evidence; null while nobody has.
    pub lock: Option<LockView>,
    /// Number of the change that made it what it is; a higher one is newer.
    pub change: i64,
}

/// A lock on an alert's evidence: the centre removes none of it.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct LockView {
    /// Since when, by the centre's clock.
    #[schema(value_type = String, format = DateTime)]
    pub at: EventTime,
    /// Who set it.
    pub actor: String,
    /// Why.
    pub reason: String,
}

/// Where a file of evidence is served.
fn evidence_url(sha256: Digest) -> String {
    format!("/api/v1/evidence/{sha256}")
}

impl From<AlertRow> for AlertSummary {
    fn from(row: AlertRow) -> Self {
        Self {
            id: row.id.to_string(),
            kind: row.kind,
            severity: row.severity,
            title: row.title.into(),
            site: row.site,
            box_id: row.box_id,
            camera_name: row.camera_name.unwrap_or_else(|| row.camera.clone()),
            camera: row.camera,
            place: row.place.map(Into::into),
            occurred_at: row.occurred_at,
            decided_at: row.decided_at,
            received_at: row.received_at,
            ended_at: row.ended_at,
            state: row.state,
            machine: row.machine,
            revision: row.revision,
            simulated: row.simulated,
            zone: row.zone,
            still_url: row.still.map(evidence_url),
            still_clean_url: row.still_clean.map(evidence_url),
            lock: row.lock.map(|lock| LockView {
                at: lock.at,
                actor: lock.actor,
                reason: lock.reason,
            }),
            change: row.change,
        }
    }
}

/// Some alerts, newest first.
#[derive(Debug, Serialize, ToSchema)]
pub struct AlertPage {
    /// The alerts.
    pub items: Vec<AlertSummary>,
    /// `cursor` of the next page; null on the last.
    pub next: Option<String>,
}

/// An alert with everything that belongs to it.
#[derive(Debug, Serialize, ToSchema)]
pub struct AlertView {
    /// As in the list.
    #[serde(flatten)]
    pub summary: AlertSummary,
    /// The event as the box sent it, newest revision (`protocol::Event`).
    #[schema(value_type = Object)]
    pub event: Box<RawValue>,
    /// Its files, here or awaited.
    pub evidence: Vec<EvidenceView>,
    /// What should be among them and will not come.
    pub missing: Vec<MissingView>,
    /// Whether its box has said all: no file will be announced any more.
    pub evidence_complete: bool,
    /// The clock of its times; null until the signed case is here.
    pub clock: Option<ClockView>,
    /// What was done, oldest first.
    pub history: Vec<HistoryView>,
}

impl TryFrom<AlertDetail> for AlertView {
    type Error = serde_json::Error;
    fn try_from(detail: AlertDetail) -> Result<Self, serde_json::Error> {
        #[derive(Deserialize)]
        struct OnlyData {
            data: Box<RawValue>,
        }
        let event: OnlyData = serde_json::from_slice(&detail.body)?;
        // Signed cases are the last word; what is missing is only said with it.
        let evidence_complete = !detail.missing.is_empty() || case::has_case(&detail.evidence);
        Ok(Self {
            summary: detail.row.into(),
            event: event.data,
            evidence: detail.evidence.into_iter().map(Into::into).collect(),
            missing: detail.missing.into_iter().map(Into::into).collect(),
            evidence_complete,
            clock: None,
            history: detail.history.into_iter().map(Into::into).collect(),
        })
    }
}

/// A file that belongs to an alert.
#[derive(Debug, Serialize, ToSchema)]
pub struct EvidenceView {
    /// `still_annotated`, `still_clean`, `clip` …
    pub role: String,
    /// Its name and its proof: 64 hex digits.
    pub sha256: String,
    /// Bytes.
    pub length: u64,
    /// IANA media type.
    pub media_type: String,
    /// When the picture was taken, or the clip begins.
    #[schema(value_type = String, format = DateTime)]
    pub captured: EventTime,
    /// When a clip ends; null for pictures.
    #[schema(value_type = Option<String>, format = DateTime)]
    pub until: Option<EventTime>,
    /// What was asked for, where the clip is shorter.
    pub asked: Option<SpanView>,
    /// What else must be known of it: why a clip is shorter, from which stream a
    /// picture is.
    pub note: Option<WordsView>,
    /// Whether the file itself is here.
    pub available: bool,
    /// When and why it is here no more.
    pub removed: Option<RemovedView>,
    /// Where it is or will be.
    pub url: String,
}

impl From<EvidenceRow> for EvidenceView {
    fn from(row: EvidenceRow) -> Self {
        Self {
            role: row.role,
            sha256: row.sha256.to_string(),
            length: row.length,
            media_type: row.media_type,
            captured: row.captured,
            until: row.until,
            asked: row.asked.map(|asked| SpanView {
                from: asked.from,
                to: asked.to,
            }),
            note: row.note.map(Into::into),
            available: row.is_stored,
            removed: row
                .removed
                .filter(|_| !row.is_stored)
                .map(|gone| RemovedView {
                    at: gone.at,
                    class: gone.class,
                    days: gone.days,
                }),
            url: evidence_url(row.sha256),
        }
    }
}

/// From one instant to another.
#[derive(Debug, Serialize, ToSchema)]
pub struct SpanView {
    /// The first.
    #[schema(value_type = String, format = DateTime)]
    pub from: EventTime,
    /// The last.
    #[schema(value_type = String, format = DateTime)]
    pub to: EventTime,
}

/// A file whose time was over.
#[derive(Debug, Serialize, ToSchema)]
pub struct RemovedView {
    /// When, by the centre's clock.
    #[schema(value_type = String, format = DateTime)]
    pub at: EventTime,
    /// As what it had been kept: `clip`, `still`, `plate_crop`, `other`,
    /// `dismissed`, `unclaimed` or `case`.
    pub class: String,
    /// For how many days such files are kept.
    pub days: f64,
}

/// What an alert's evidence lacks and will never have.
#[derive(Debug, Serialize, ToSchema)]
pub struct MissingView {
    /// What it would have been: `clip`, `still_clean` …
    pub role: String,
    /// Of which instant, for pictures.
    #[schema(value_type = Option<String>, format = DateTime)]
    pub at: Option<EventTime>,
    /// Why it is not there.
    pub reason: WordsView,
}

impl From<MissingRow> for MissingView {
    fn from(row: MissingRow) -> Self {
        Self {
            role: row.role,
            at: row.at,
            reason: row.reason.into(),
        }
    }
}

/// The clock of an alert's times, as its signed case says.
#[derive(Debug, Serialize, ToSchema)]
pub struct ClockView {
    /// `rtcp`, `arrival`, `media` or `unknown`.
    #[schema(value_type = String)]
    pub quality: protocol::TimeQuality,
    /// How far it may be off, in seconds, where that was measured.
    pub uncertainty_s: Option<f64>,
}

/// One line of an alert's history.
#[derive(Debug, Serialize, ToSchema)]
pub struct HistoryView {
    /// When, by the centre's clock.
    #[schema(value_type = String, format = DateTime)]
    pub at: EventTime,
    /// Who: a person, or `<site>/<box>` for a machine.
    pub actor: String,
    /// `acknowledge`, `resolve`, `lock`, `unlock`, or the machine's `raised`, `updated`, `cleared`.
    pub action: String,
    /// The state before.
    pub from: Option<String>,
    /// The state after.
    pub to: String,
    /// The reason code of a resolution.
    pub reason: Option<String>,
    /// In their words.
    pub note: Option<String>,
}

impl From<HistoryRow> for HistoryView {
    fn from(row: HistoryRow) -> Self {
        Self {
            at: row.at,
            actor: row.actor,
            action: row.action,
            from: row.from,
            to: row.to,
            reason: row.reason,
            note: row.note,
        }
    }
}

/// To take an alert on.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Acknowledge {
    /// Who does it; 1 to 100 characters.
    #[schema(min_length = 1, max_length = 100)]
    pub actor: String,
    /// In their words; at most 2,000 characters.
    #[serde(default)]
    #[schema(max_length = 2000)]
    pub note: Option<String>,
}

/// To lock an alert's evidence, or to release the lock.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Lock {
    /// Who does it; 1 to 100 characters.
    #[schema(min_length = 1, max_length = 100)]
    pub actor: String,
    /// Why, for whoever audits it; 1 to 2,000 characters.
    #[schema(min_length = 1, max_length = 2000)]
    pub reason: String,
}

/// To be done with an alert.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Resolve {
    /// Who does it; 1 to 100 characters.
    #[schema(min_length = 1, max_length = 100)]
    pub actor: String,
    /// Why.
    pub reason: Resolution,
    /// In their words; at most 2,000 characters.
    #[serde(default)]
    #[schema(max_length = 2000)]
    pub note: Option<String>,
}

/// A camera, now, as it says itself (`protocol::status::CameraStatus`), and whether its box is there.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct CameraView {
    /// As the camera's box says.
    #[serde(flatten)]
    #[schema(value_type = CameraStatusSchema)]
    pub status: CameraStatus,
    /// Whether its box is connected; without it the rest is history.
    pub box_online: bool,
    /// When the centre heard it.
    #[schema(value_type = String, format = DateTime)]
    pub received_at: EventTime,
    /// Number of its last change.
    pub change: i64,
}

impl From<CameraRow> for CameraView {
    fn from(row: CameraRow) -> Self {
        Self {
            status: row.status,
            box_online: row.box_online,
            received_at: row.received_at,
            change: row.change,
        }
    }
}

/// A box, now, as it or its last will says (`protocol::status::BoxStatus`).
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct BoxView {
    /// As the box says.
    #[serde(flatten)]
    #[schema(value_type = BoxStatusSchema)]
    pub status: BoxStatus,
    /// When the centre heard it.
    #[schema(value_type = String, format = DateTime)]
    pub received_at: EventTime,
    /// Number of its last change.
    pub change: i64,
}

impl From<BoxRow> for BoxView {
    fn from(row: BoxRow) -> Self {
        Self {
            status: row.status,
            received_at: row.received_at,
            change: row.change,
        }
    }
}

/// Every camera and box that ever spoke.
#[derive(Debug, Serialize, ToSchema)]
pub struct Cameras {
    /// Cameras, by site, box and id.
    pub items: Vec<CameraView>,
    /// Boxes, by site and id.
    pub boxes: Vec<BoxView>,
}

/// How many alerts of a kind there are.
#[derive(Debug, Serialize, ToSchema)]
pub struct KindView {
    /// Which kind.
    pub kind: String,
    /// All of them.
    pub count: u64,
    /// By what people decided.
    pub states: BTreeMap<String, u64>,
}

/// Every kind that ever came.
#[derive(Debug, Serialize, ToSchema)]
pub struct Kinds {
    /// By name.
    pub items: Vec<KindView>,
}

/// A message that could not be taken in.
#[derive(Debug, Serialize, ToSchema)]
pub struct DeadLetterView {
    /// When it came.
    #[schema(value_type = String, format = DateTime)]
    pub received_at: EventTime,
    /// Where it was published.
    pub topic: String,
    /// Why it was not taken.
    pub reason: String,
    /// What exactly is wrong.
    pub detail: String,
    /// Its whole length in bytes.
    pub length: u64,
    /// Its beginning, as far as it is text.
    pub head: String,
}

/// The newest messages that could not be taken in.
#[derive(Debug, Serialize, ToSchema)]
pub struct DeadLetters {
    /// Newest first.
    pub items: Vec<DeadLetterView>,
}
