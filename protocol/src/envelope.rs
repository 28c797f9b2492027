//! How anything travels: CloudEvents 1.0, JSON, structured mode.
//!
//! Structured, because it survives MQTT 3.1.1, bridges and tools that know
//! nothing of MQTT 5 properties. Extension attributes are lower-case letters,
//! as the specification asks (CloudEvents 1.0.2 § 3.1).

use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::time::{EventTime, TimeQuality};

/// `specversion` of every envelope.
pub const SPEC_VERSION: &str = "1.0";
/// `type` of an [`crate::Event`].
pub const EVENT_TYPE: &str = "vn.ngatu.event.v1";
/// `type` of an [`crate::EvidenceManifest`].
pub const EVIDENCE_TYPE: &str = "vn.ngatu.evidence.v1";
/// `type` of a [`crate::status::CameraStatus`].
pub const CAMERA_STATUS_TYPE: &str = "vn.ngatu.camera-status.v1";
/// `type` of a [`crate::status::BoxStatus`].
pub const BOX_STATUS_TYPE: &str = "vn.ngatu.box-status.v1";
/// `dataschema` of an [`crate::Event`]; the schema is `protocol/schema/event.v1.json`.
pub const EVENT_SCHEMA: &str = "urn:ngatu:schema:event:1";
/// `dataschema` of an [`crate::EvidenceManifest`].
pub const EVIDENCE_SCHEMA: &str = "urn:ngatu:schema:evidence-manifest:1";
/// `dataschema` of a [`crate::status::CameraStatus`].
pub const CAMERA_STATUS_SCHEMA: &str = "urn:ngatu:schema:camera-status:1";
/// `dataschema` of a [`crate::status::BoxStatus`].
pub const BOX_STATUS_SCHEMA: &str = "urn:ngatu:schema:box-status:1";
/// Largest envelope that the centre takes, in bytes.
pub const MAX_ENVELOPE_BYTES: usize = 256 * 1024;

/// A message from a box to the centre around its content.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Envelope<T> {
    /// Always [`SPEC_VERSION`].
    pub specversion: String,
    /// Unique within `source`; a resend has the same.
    pub id: String,
    /// `/<site>/<box>/<camera>`, or `/<site>/<box>` for the box itself.
    pub source: String,
    /// One of the `*_TYPE` constants.
    #[serde(rename = "type")]
    pub kind: String,
    /// What it is about, for filters: the event's kind.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub subject: Option<String>,
    /// Capture time.
    pub time: EventTime,
    /// Always `application/json`.
    pub datacontenttype: String,
    /// URN of the JSON Schema of `data`, see `protocol/schema/`.
    pub dataschema: String,
    /// When the box had made the content.
    pub observedtime: EventTime,
    /// Clock of `time`.
    pub clockquality: TimeQuality,
    /// Delivery bookkeeping; absent on status messages, which are retained and not counted.
    #[serde(flatten, default, skip_serializing_if = "Option::is_none")]
    pub delivery: Option<Delivery>,
    /// The content.
    pub data: T,
}

/// Where a message stands in its box's outbox.
///
/// Sequences start at 1 and have no gaps, so the centre can tell the box up to
/// where it has everything. They are text, as the CloudEvents *sequence*
/// extension says.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Delivery {
    /// Which outbox: a new one (new disk, deleted file) counts from 1 again.
    pub outbox: Uuid,
    /// Place in the outbox.
    #[serde(with = "decimal_text")]
    pub sequence: u64,
    /// Lowest sequence that the box still holds; everything below was
    /// receipted once, and a centre that lost it cannot get it again.
    #[serde(with = "decimal_text")]
    pub sequencefloor: u64,
}

mod decimal_text {
    use serde::Deserialize;

    #[allow(clippy::trivially_copy_pass_by_ref)] // the signature is serde's
    pub(super) fn serialize<S: serde::Serializer>(value: &u64, s: S) -> Result<S::Ok, S::Error> {
        s.collect_str(value)
    }

    pub(super) fn deserialize<'de, D: serde::Deserializer<'de>>(d: D) -> Result<u64, D::Error> {
        let text = <std::borrow::Cow<'de, str>>::deserialize(d)?;
        text.parse()
            .map_err(|_| serde::de::Error::custom("a sequence is a whole number, written as text"))
    }
}
