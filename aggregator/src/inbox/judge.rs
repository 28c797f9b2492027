//! Reads one message and decides whether it can be taken.
//!
//! Pure: the clock's reading comes in as `received`. It runs on the task of the
//! connection, so that parsing uses every core and the one writer only writes.

use bytes::Bytes;
use protocol::envelope::{
    BOX_STATUS_TYPE, CAMERA_STATUS_TYPE, Delivery, EVENT_TYPE, EVIDENCE_TYPE, Envelope,
    MAX_ENVELOPE_BYTES, SPEC_VERSION,
};
use protocol::topic::{PREFIX, Upward};
use protocol::units::Seconds;
use protocol::{BoxId, CameraId, EventTime, SiteId};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::value::RawValue;

use super::letter::{Content, DeadLetter, Judged, Letter, Reason};

/// What [`judge`] holds a message against.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// How far ahead of the centre's clock a capture time may be.
    pub future_tolerance: Seconds,
}

impl Default for Limits {
    fn default() -> Self {
        // A box whose clock is an hour wrong is a box with a wrong time zone:
        // its times are evidence of nothing.
        Self {
            future_tolerance: Seconds(3600.0),
        }
    }
}

/// Highest sequence that is taken. No outbox gets there by counting, and below
/// it nothing that is done with sequences can overflow.
pub const HIGHEST_SEQUENCE: u64 = (1 << 62) - 1;

/// The box whose branch of topics `topic` is in, whatever it is about.
pub fn box_named_by(topic: &str) -> Option<(SiteId, BoxId)> {
    let rest = topic.strip_prefix(PREFIX)?.strip_prefix('/')?;
    let mut levels = rest.split('/');
    let (site, box_id, _) = (levels.next()?, levels.next()?, levels.next()?);
    Some((SiteId::new(site).ok()?, BoxId::new(box_id).ok()?))
}

/// Why a message is dead: the reason and what exactly.
struct Fault {
    reason: Reason,
    detail: String,
    /// From when on it is not from the future any more.
    due: Option<EventTime>,
}

impl Fault {
    fn new(reason: Reason, detail: String) -> Self {
        Self {
            reason,
            detail,
            due: None,
        }
    }
}

/// Decides what a message published on `topic` is.
pub fn judge(topic: &str, payload: &Bytes, received: EventTime, limits: Limits) -> Judged {
    let upward = Upward::parse(topic);
    if payload.is_empty() && !matches!(upward, Some(Upward::Event(..)) | None) {
        return Judged::Nothing;
    }
    let letter = upward
        .ok_or_else(|| {
            Fault::new(
                Reason::UnknownTopic,
                "this version knows no such topic; is the centre older than the box?".to_owned(),
            )
        })
        .and_then(|upward| read(&upward, payload, received, limits));
    match letter {
        Ok(letter) => Judged::Letter(Box::new(letter)),
        Err(Fault {
            reason,
            detail,
            due,
        }) => Judged::Dead(Box::new(DeadLetter {
            topic: topic.chars().take(256).collect(),
            owner: box_named_by(topic),
            reason,
            detail,
            body: payload.clone(),
            due,
            delivery: salvage(payload),
            received,
        })),
    }
}

fn owner(upward: &Upward) -> (&SiteId, &BoxId, Option<&CameraId>) {
    match upward {
        Upward::Event(site, box_id, camera) | Upward::CameraState(site, box_id, camera) => {
            (site, box_id, Some(camera))
        }
        Upward::BoxState(site, box_id) => (site, box_id, None),
    }
}

fn read(
    upward: &Upward,
    payload: &Bytes,
    received: EventTime,
    limits: Limits,
) -> Result<Letter, Fault> {
    if payload.len() > MAX_ENVELOPE_BYTES {
        let detail = format!(
            "{} bytes; an envelope has at most {MAX_ENVELOPE_BYTES}",
            payload.len()
        );
        return Err(Fault::new(Reason::TooLarge, detail));
    }
    let envelope: Envelope<&RawValue> = serde_json::from_slice(payload).map_err(|error| {
        let reason = match serde_json::from_slice::<serde::de::IgnoredAny>(payload) {
            Ok(_) => Reason::NotAnEnvelope,
            Err(_) => Reason::NotJson,
        };
        Fault::new(reason, error.to_string())
    })?;
    if envelope.specversion != SPEC_VERSION {
        let detail = format!("specversion is {:.20}, not 1.0", envelope.specversion);
        return Err(Fault::new(Reason::NotAnEnvelope, detail));
    }
    let (site, box_id, camera) = owner(upward);
    let source = camera.map_or_else(
        || format!("/{site}/{box_id}"),
        |camera| format!("/{site}/{box_id}/{camera}"),
    );
    if envelope.source != source {
        let detail = format!(
            "source is {:.200}; on this topic it is {source}",
            envelope.source
        );
        return Err(Fault::new(Reason::WrongSource, detail));
    }
    if let Some(delivery) = envelope.delivery
        && !is_possible(&delivery)
    {
        let detail = format!(
            "sequence {} with sequencefloor {}; a sequence is from 1 to {HIGHEST_SEQUENCE} and \
             not below its floor. It is not receipted",
            delivery.sequence, delivery.sequencefloor
        );
        return Err(Fault::new(Reason::NotAnEnvelope, detail));
    }
    let content = content(upward, &envelope)?;
    if let Some(latest) = latest_capture(&content, envelope.time)
        && latest > received + limits.future_tolerance
    {
        let detail = format!(
            "captured at {latest}, {:.0} s after it arrived; set the clock of the box or camera",
            latest.since(received).0
        );
        return Err(Fault {
            due: Some(latest + Seconds(-limits.future_tolerance.0)),
            ..Fault::new(Reason::FromTheFuture, detail)
        });
    }
    Ok(Letter {
        site: site.clone(),
        box_id: box_id.clone(),
        source,
        id: envelope.id,
        delivery: envelope.delivery,
        content,
        body: payload.clone(),
        received,
    })
}

fn content(upward: &Upward, envelope: &Envelope<&RawValue>) -> Result<Content, Fault> {
    let content = match (upward, envelope.kind.as_str()) {
        (Upward::Event(..), EVENT_TYPE) => Content::Event(data(envelope)?),
        (Upward::Event(_, _, camera), EVIDENCE_TYPE) => {
            Content::Evidence(camera.clone(), data(envelope)?)
        }
        (Upward::CameraState(..), CAMERA_STATUS_TYPE) => Content::Camera(data(envelope)?),
        (Upward::BoxState(..), BOX_STATUS_TYPE) => Content::Box(data(envelope)?),
        (_, kind) => {
            let detail =
                format!("type {kind:.100} is not known here; is the centre older than the box?");
            return Err(Fault::new(Reason::UnknownType, detail));
        }
    };
    let (site, box_id, camera) = owner(upward);
    let agrees = match &content {
        Content::Event(event) => {
            (&event.site, &event.box_id, Some(&event.camera)) == (site, box_id, camera)
        }
        Content::Camera(status) => {
            (&status.site, &status.box_id, Some(&status.camera)) == (site, box_id, camera)
        }
        Content::Box(status) => (&status.site, &status.box_id) == (site, box_id),
        Content::Evidence(..) => true,
    };
    if agrees {
        Ok(content)
    } else {
        let detail = "the content names another site, box or camera than the topic".to_owned();
        Err(Fault::new(Reason::WrongSource, detail))
    }
}

fn data<T: DeserializeOwned>(envelope: &Envelope<&RawValue>) -> Result<T, Fault> {
    serde_json::from_str(envelope.data.get())
        .map_err(|error| Fault::new(Reason::WrongContent, format!("data: {error}")))
}

/// The latest instant that a thing claims to have been seen at; `None` for a
/// status, which is worth showing whatever the box's clock says.
fn latest_capture(content: &Content, time: EventTime) -> Option<EventTime> {
    match content {
        Content::Event(event) => Some(
            time.max(event.onset)
                .max(event.decided.time)
                .max(event.ended.unwrap_or(event.onset)),
        ),
        Content::Evidence(..) => Some(time),
        Content::Camera(_) | Content::Box(_) => None,
    }
}

/// The delivery of a message that is otherwise unreadable, so that its box can go on.
fn salvage(payload: &[u8]) -> Option<Delivery> {
    #[derive(Deserialize)]
    struct OnlyDelivery {
        #[serde(flatten)]
        delivery: Delivery,
    }
    serde_json::from_slice::<OnlyDelivery>(payload)
        .ok()
        .map(|only| only.delivery)
        .filter(is_possible)
}

/// Sequences start at 1 and end where no outbox gets, and the floor is at most
/// the sequence. What is not so must not move a receipt.
fn is_possible(delivery: &Delivery) -> bool {
    (1..=HIGHEST_SEQUENCE).contains(&delivery.sequence)
        && delivery.sequencefloor <= delivery.sequence
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const TOPIC: &str = "ngatu/v1/hanoi/b1/-/state";
    const STATUS: &str = r#"{"specversion":"1.0","id":"1","source":"/hanoi/b1",
        "type":"vn.ngatu.box-status.v1","time":"2999-01-01T00:00:00Z",
        "datacontenttype":"application/json","dataschema":"urn:x",
        "observedtime":"2026-01-01T00:00:00Z","clockquality":"arrival","extra":1,
        "data":{"site":"hanoi","box":"b1","online":true,"version":"9","at":"2026-01-01T00:00:00Z"}}"#;

    fn word(topic: &str, payload: &[u8]) -> String {
        let payload = Bytes::copy_from_slice(payload);
        match judge(topic, &payload, EventTime::EPOCH, Limits::default()) {
            Judged::Letter(letter) => letter.content.name().to_owned(),
            Judged::Dead(dead) => dead.reason.as_str().to_owned(),
            Judged::Nothing => "nothing".to_owned(),
        }
    }

    #[test]
    fn each_message_is_what_its_topic_and_type_say() {
        for (topic, payload, expected) in [
            // A box whose clock is wrong is worth showing; unknown fields are ignored.
            (TOPIC, STATUS, "box_status"),
            ("ngatu/v1/hanoi/b1/c1/state", STATUS, "wrong_source"),
            ("ngatu/v1/hanoi/b2/-/state", STATUS, "wrong_source"),
            (TOPIC, "", "nothing"),
            ("ngatu/v1/hanoi/b1/c1/event", "", "not_json"),
            (TOPIC, "{}", "not_an_envelope"),
            (TOPIC, "[", "not_json"),
            ("weather", "{}", "unknown_topic"),
        ] {
            assert_eq!(
                word(topic, payload.as_bytes()),
                expected,
                "{topic} {payload}"
            );
        }
        let other = STATUS.replace("\"hanoi\",\"box\":\"b1\"", "\"hanoi\",\"box\":\"b2\"");
        assert_eq!(word(TOPIC, other.as_bytes()), "wrong_source");
        let later = STATUS.replace("\"1.0\"", "\"2.0\"");
        assert_eq!(word(TOPIC, later.as_bytes()), "not_an_envelope");
    }

    #[test]
    fn impossible_deliveries_are_not_receipted() {
        for (sequence, floor) in [
            ("0", "0"),
            ("1", "2"),
            ("4611686018427387904", "1"),
            ("9223372036854775807", "9223372036854775807"),
            ("18446744073709551615", "1"),
        ] {
            let payload = format!(
                "{{\"outbox\":\"00000000-0000-0000-0000-000000000001\",\
                 \"sequence\":\"{sequence}\",\"sequencefloor\":\"{floor}\"}}"
            );
            assert_eq!(salvage(payload.as_bytes()), None, "{payload}");
            let delivery = &payload[1..payload.len() - 1];
            let status = STATUS.replacen('{', &format!("{{{delivery},"), 1);
            assert_eq!(
                word(TOPIC, status.as_bytes()),
                "not_an_envelope",
                "{status}"
            );
        }
    }

    proptest! {
        #[test]
        fn arbitrary_bytes_never_panic(
            topic in ".{0,60}", bytes in proptest::collection::vec(any::<u8>(), 0..300),
        ) {
            word(&topic, &bytes);
            word(TOPIC, &bytes);
        }

        #[test]
        fn a_message_with_wrong_bytes_in_it_never_panics(at in 0..STATUS.len(), wrong: u8, cut in 0..STATUS.len()) {
            let mut bytes = STATUS.as_bytes().to_vec();
            bytes[at] = wrong;
            word(TOPIC, &bytes);
            bytes.truncate(cut);
            word(TOPIC, &bytes);
        }
    }
}
