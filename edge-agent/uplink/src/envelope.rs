//! Puts content into its envelope, the same way every time: an envelope's id
//! is a function of its content, so a resend or a replay has the same.

use protocol::envelope::{
    BOX_STATUS_SCHEMA, BOX_STATUS_TYPE, CAMERA_STATUS_SCHEMA, CAMERA_STATUS_TYPE, Delivery,
    EVENT_SCHEMA, EVENT_TYPE, EVIDENCE_SCHEMA, EVIDENCE_TYPE, SPEC_VERSION,
};
use protocol::status::{BoxStatus, CameraStatus};
use protocol::{
    BoxId, CameraId, Digest, Envelope, Event, EventTime, EvidenceManifest, SiteId, TimeQuality,
};
use serde_json::value::RawValue;
use sha2::{Digest as _, Sha256};

/// An event in its envelope; `<event id>.<revision>`.
pub fn of_event(event: &Event, observed: EventTime) -> Envelope<&Event> {
    Envelope {
        specversion: SPEC_VERSION.to_owned(),
        id: format!("{}.{}", event.id, event.revision),
        source: format!("/{}/{}/{}", event.site, event.box_id, event.camera),
        kind: EVENT_TYPE.to_owned(),
        subject: Some(event.kind.0.clone()),
        time: event.decided.time,
        datacontenttype: "application/json".to_owned(),
        dataschema: EVENT_SCHEMA.to_owned(),
        observedtime: observed,
        clockquality: event.time_quality,
        delivery: None,
        data: event,
    }
}

/// A manifest in its envelope; `<event id>.evidence.<12 hex digits of its files' hashes>`.
///
/// Without items it says that the event has no evidence and will get none.
///
/// Its time is the earliest picture's, or `observed` when it lists none. The
/// clock of that time stands on the event, not on the manifest.
pub fn of_evidence<'a>(
    (site, box_id, camera): (&SiteId, &BoxId, &CameraId),
    manifest: &'a EvidenceManifest,
    observed: EventTime,
) -> Envelope<&'a EvidenceManifest> {
    let mut files = Sha256::new();
    for item in &manifest.items {
        files.update(item.sha256.0);
    }
    let files = Digest(files.finalize().into()).to_string();
    Envelope {
        specversion: SPEC_VERSION.to_owned(),
        id: format!("{}.evidence.{}", manifest.event, &files[..12]),
        source: format!("/{site}/{box_id}/{camera}"),
        kind: EVIDENCE_TYPE.to_owned(),
        subject: Some(manifest.event.to_string()),
        time: manifest
            .items
            .iter()
            .map(|item| item.captured)
            .min()
            .unwrap_or(observed),
        datacontenttype: "application/json".to_owned(),
        dataschema: EVIDENCE_SCHEMA.to_owned(),
        observedtime: observed,
        clockquality: TimeQuality::Unknown,
        delivery: None,
        data: manifest,
    }
}

/// A manifest that says which files of an event will not come;
/// `<event id>.evidence-gone.<12 hex digits of their hashes>`.
pub(crate) fn of_gone<'a, 'f>(
    whose: (&SiteId, &BoxId, &CameraId),
    manifest: &'a EvidenceManifest,
    files: impl Iterator<Item = &'f Digest>,
    observed: EventTime,
) -> Envelope<&'a EvidenceManifest> {
    let mut hash = Sha256::new();
    for file in files {
        hash.update(file.0);
    }
    let files = Digest(hash.finalize().into()).to_string();
    Envelope {
        id: format!("{}.evidence-gone.{}", manifest.event, &files[..12]),
        ..of_evidence(whose, manifest, observed)
    }
}

/// A camera's status in its envelope. Statuses are retained, not counted.
pub fn of_camera_status(status: &CameraStatus, observed: EventTime) -> Envelope<&CameraStatus> {
    Envelope {
        specversion: SPEC_VERSION.to_owned(),
        id: format!("camera-status.{}", status.at.as_micros()),
        source: format!("/{}/{}/{}", status.site, status.box_id, status.camera),
        kind: CAMERA_STATUS_TYPE.to_owned(),
        subject: None,
        time: status.at,
        datacontenttype: "application/json".to_owned(),
        dataschema: CAMERA_STATUS_SCHEMA.to_owned(),
        observedtime: observed,
        clockquality: TimeQuality::Arrival,
        delivery: None,
        data: status,
    }
}

/// A box's status in its envelope, also as the last will.
pub fn of_box_status(status: &BoxStatus, observed: EventTime) -> Envelope<&BoxStatus> {
    let word = if status.online { "online" } else { "offline" };
    Envelope {
        specversion: SPEC_VERSION.to_owned(),
        id: format!("box-status.{}.{word}", observed.as_micros()),
        source: format!("/{}/{}", status.site, status.box_id),
        kind: BOX_STATUS_TYPE.to_owned(),
        subject: None,
        time: status.at,
        datacontenttype: "application/json".to_owned(),
        dataschema: BOX_STATUS_SCHEMA.to_owned(),
        observedtime: observed,
        clockquality: TimeQuality::Arrival,
        delivery: None,
        data: status,
    }
}

/// Writes what is known only at sending into a stored envelope.
///
/// The content goes through as the bytes that were stored, not parsed and
/// written again: what was appended is what the centre gets.
pub(crate) fn seal(stored: &str, delivery: Delivery) -> Result<Vec<u8>, serde_json::Error> {
    let mut envelope: Envelope<Box<RawValue>> = serde_json::from_str(stored)?;
    envelope.delivery = Some(delivery);
    serde_json::to_vec(&envelope)
}

#[cfg(test)]
mod tests {
    use super::*;
    use uuid::Uuid;

    fn fixture<T: serde::de::DeserializeOwned>(name: &str) -> Envelope<T> {
        let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/../../protocol/tests/wire/v1/");
        let text = std::fs::read_to_string(format!("{folder}{name}.json")).unwrap();
        serde_json::from_str(&text).unwrap()
    }

    /// The fixtures are what the centre is tested with; this is what a box sends.
    #[test]
    fn content_is_put_into_the_envelopes_of_the_wire_fixtures() {
        fn check<T: serde::Serialize>(made: &Envelope<&T>, fixture: &Envelope<T>) {
            let mut fixture = serde_json::to_value(fixture).unwrap();
            for name in ["outbox", "sequence", "sequencefloor"] {
                fixture.as_object_mut().unwrap().remove(name);
            }
            assert_eq!(serde_json::to_value(made).unwrap(), fixture);
        }
        for name in [
            "event-stopped-vehicle-2-update",
            "event-red-light-simulated",
        ] {
            let sent: Envelope<Event> = fixture(name);
            check(&of_event(&sent.data, sent.observedtime), &sent);
        }
        let sent: Envelope<EvidenceManifest> = fixture("evidence-manifest");
        let camera: Envelope<Event> = fixture("event-wrong-way");
        let camera = (&camera.data.site, &camera.data.box_id, &camera.data.camera);
        check(&of_evidence(camera, &sent.data, sent.observedtime), &sent);
        let sent: Envelope<CameraStatus> = fixture("camera-status-lost");
        check(&of_camera_status(&sent.data, sent.observedtime), &sent);
        for name in ["box-status-online", "box-status-last-will"] {
            let sent: Envelope<BoxStatus> = fixture(name);
            check(&of_box_status(&sent.data, sent.observedtime), &sent);
        }
    }

    #[test]
    fn sealing_adds_the_delivery_and_leaves_the_content_byte_for_byte() {
        let stored = r#"{"specversion":"1.0","id":"a.1","source":"/s/b/c","type":"vn.ngatu.event.v1","time":"2026-11-22T01:02:03.040000Z","datacontenttype":"application/json","dataschema":"urn:ngatu:schema:event:1","observedtime":"2026-11-22T01:02:03.100000Z","clockquality":"rtcp","data":{"z":1.10,"a":[ 1e3 ]}}"#;
        let delivery = Delivery {
            outbox: Uuid::nil(),
            sequence: 7,
            sequencefloor: 3,
        };
        let sent = String::from_utf8(seal(stored, delivery).unwrap()).unwrap();
        assert!(
            sent.ends_with(r#""data":{"z":1.10,"a":[ 1e3 ]}}"#),
            "{sent}"
        );
        let read: Envelope<serde_json::Value> = serde_json::from_str(&sent).unwrap();
        assert_eq!(read.delivery, Some(delivery));
    }
}
