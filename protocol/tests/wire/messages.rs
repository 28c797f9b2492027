//! The messages that today's code writes, as values.

mod events;
mod statuses;

use protocol::envelope::{
    BOX_STATUS_SCHEMA, BOX_STATUS_TYPE, CAMERA_STATUS_SCHEMA, CAMERA_STATUS_TYPE, Delivery,
    EVENT_SCHEMA, EVENT_TYPE, EVIDENCE_SCHEMA, EVIDENCE_TYPE, SPEC_VERSION,
};
use protocol::event::{FrameTime, Place, Words};
use protocol::evidence::{EvidenceRole, Missing, Span};
use protocol::id::SignalGroupId;
use protocol::signal::SignalSource;
use protocol::status::{BoxStatus, CameraStatus, OutboxPosition};
use protocol::units::Seconds;
use protocol::{
    BoxId, CameraId, Digest, Envelope, Event, EventId, EventTime, EvidenceItem, EvidenceLocks,
    EvidenceManifest, LockPart, Receipt, SignalReading, SignalState, SiteId, TimeQuality,
};
use serde::Serialize;
use uuid::Uuid;

use events::{
    by_second_models, lasting, loitering, no_helmet, over, pedestrian, red_light, stopped_vehicle,
    with_plate, wrong_way,
};
use statuses::{
    covered, decoded, lost, on_another_provider, online, unproven, watching, with_second_models,
};

const OUTBOX: Uuid = Uuid::from_u128(0x5f0c_3a52_8f0e_4b1d_9c55_0b7a_1d2e_3f40);

/// Every message by the name of its file.
pub(crate) fn all() -> Vec<(&'static str, Box<dyn erased::Message>)> {
    let stopped = stopped_vehicle();
    let wrong_way = wrong_way();
    let mut all = vec![
        ("event-stopped-vehicle-1-start", event(1, stopped.clone())),
        (
            "event-stopped-vehicle-2-update",
            event(2, lasting(stopped.clone(), 2, 90.0)),
        ),
        (
            "event-stopped-vehicle-3-end",
            event(3, over(lasting(stopped, 3, 151.2))),
        ),
        ("event-wrong-way", event(4, wrong_way.clone())),
        ("event-pedestrian-on-carriageway", event(5, pedestrian())),
        ("event-loitering", event(6, loitering())),
        ("event-red-light-simulated", event(7, red_light())),
        (
            "event-wrong-way-plate",
            event(9, with_plate(wrong_way.clone())),
        ),
        (
            "event-wrong-way-plate-models",
            event(11, by_second_models(with_plate(wrong_way.clone()))),
        ),
        ("event-no-helmet-looks", event(12, no_helmet())),
        ("evidence-manifest", evidence(8, &wrong_way)),
        ("evidence-manifest-case", case(9, &wrong_way)),
        ("evidence-manifest-crops", crops(13, &no_helmet())),
        ("camera-status-watching", camera_status(watching())),
        ("camera-status-lost", camera_status(lost())),
        ("camera-status-coverage", camera_status(covered())),
        ("camera-status-decoder", camera_status(decoded())),
        (
            "camera-status-provider-lost",
            camera_status(on_another_provider()),
        ),
        (
            "camera-status-second-models",
            camera_status(with_second_models()),
        ),
        ("camera-status-unproven", camera_status(unproven())),
        ("box-status-online", box_status(online())),
        (
            "box-status-last-will",
            box_status(BoxStatus {
                online: false,
                trouble: None,
                ..online()
            }),
        ),
        (
            "box-status-position",
            box_status(BoxStatus {
                outbox: Some(OutboxPosition {
                    id: OUTBOX,
                    run: Uuid::from_u128(7),
                    floor: 2,
                    receipted: 5,
                }),
                ..online()
            }),
        ),
    ];
    all.extend(of_the_centre());
    all
}

/// What the centre says to boxes, and controllers to all.
fn of_the_centre() -> Vec<(&'static str, Box<dyn erased::Message>)> {
    vec![
        (
            "receipt-refused",
            Box::new(Receipt {
                outbox: OUTBOX,
                through: 0,
                at: at(2.5),
                refused_for: Some(Uuid::from_u128(9)),
                opening: None,
            }),
        ),
        (
            "receipt",
            Box::new(Receipt {
                outbox: OUTBOX,
                through: 8,
                at: at(70.25),
                refused_for: None,
                opening: None,
            }),
        ),
        (
            "receipt-opening",
            Box::new(Receipt {
                outbox: OUTBOX,
                through: 8,
                at: at(90.5),
                refused_for: None,
                opening: Some(Uuid::from_u128(0x0b)),
            }),
        ),
        (
            "locks",
            Box::new(EvidenceLocks {
                at: at(80.0),
                locked: vec![EventId(Uuid::from_u128(0x51))],
                part: LockPart::WHOLE,
            }),
        ),
        (
            "locks-part",
            Box::new(EvidenceLocks {
                at: at(80.0),
                locked: vec![EventId(Uuid::from_u128(0x51))],
                part: LockPart { number: 2, of: 3 },
            }),
        ),
        ("signal-reading", Box::new(signal())),
    ]
}

/// `serde_json::to_string_pretty` of different types in one list.
pub(crate) mod erased {
    use serde::Serialize;

    /// Something that can be laid out as JSON.
    pub(crate) trait Message {
        fn pretty(&self) -> Result<String, serde_json::Error>;
    }

    impl<T: Serialize> Message for T {
        fn pretty(&self) -> Result<String, serde_json::Error> {
            serde_json::to_string_pretty(self)
        }
    }
}

fn site() -> SiteId {
    SiteId::new("hanoi").unwrap()
}

fn box_id() -> BoxId {
    BoxId::new("nga-tu-so-1").unwrap()
}

fn camera() -> CameraId {
    CameraId::new("east").unwrap()
}

fn at(seconds: f64) -> EventTime {
    EventTime::from_micros(1_795_309_200_000_000) + Seconds(seconds)
}

fn place() -> Place {
    Place {
        name: "Ngã Tư Sở, hướng đông".to_owned(),
        latitude: Some(21.00372),
        longitude: Some(105.82031),
    }
}

#[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)]
fn frame(seconds: f64) -> FrameTime {
    FrameTime {
        frame: (seconds * 5.0) as u64,
        time: at(seconds),
    }
}

fn envelope<T: Serialize + 'static>(
    (id, source): (String, String),
    (kind, schema): (&str, &str),
    subject: Option<String>,
    sequence: Option<u64>,
    (time, clockquality, data): (EventTime, TimeQuality, T),
) -> Box<dyn erased::Message> {
    Box::new(Envelope {
        specversion: SPEC_VERSION.to_owned(),
        id,
        source,
        kind: kind.to_owned(),
        subject,
        time,
        datacontenttype: "application/json".to_owned(),
        dataschema: schema.to_owned(),
        observedtime: time + Seconds(0.184),
        clockquality,
        delivery: sequence.map(|sequence| Delivery {
            outbox: OUTBOX,
            sequence,
            sequencefloor: 1,
        }),
        data,
    })
}

fn event(sequence: u64, event: Event) -> Box<dyn erased::Message> {
    envelope(
        (
            format!("{}.{}", event.id, event.revision),
            format!("/{}/{}/{}", event.site, event.box_id, event.camera),
        ),
        (EVENT_TYPE, EVENT_SCHEMA),
        Some(event.kind.0.clone()),
        Some(sequence),
        (event.decided.time, event.time_quality, event),
    )
}

fn evidence(sequence: u64, event: &Event) -> Box<dyn erased::Message> {
    let item = |role, byte, length| EvidenceItem {
        role,
        sha256: Digest([byte; 32]),
        length,
        media_type: "image/jpeg".to_owned(),
        captured: event.decided.time,
        until: None,
        asked: None,
        note: None,
    };
    let manifest = EvidenceManifest {
        event: event.id,
        items: vec![
            item(EvidenceRole::StillAnnotated, 0xa1, 214_312),
            item(EvidenceRole::StillClean, 0xc1, 198_077),
        ],
        missing: Vec::new(),
    };
    envelope(
        (
            format!("{}.evidence.343562e04b02", event.id),
            format!("/{}/{}/{}", site(), box_id(), camera()),
        ),
        (EVIDENCE_TYPE, EVIDENCE_SCHEMA),
        Some(event.id.to_string()),
        Some(sequence),
        (event.decided.time, TimeQuality::Unknown, manifest),
    )
}

/// What looks saw that voted; of one of them the picture is gone.
fn crops(sequence: u64, event: &Event) -> Box<dyn erased::Message> {
    let crop = EvidenceItem {
        role: EvidenceRole::FindingCrop,
        sha256: Digest([0xb1; 32]),
        length: 7_311,
        media_type: "image/jpeg".to_owned(),
        captured: event.looks[1].taken(),
        until: None,
        asked: None,
        note: Some(Words::new(
            "phần 96×65 điểm ảnh của hình 1920×1080, luồng chính",
            "96×65 pixels of a picture of 1920×1080, main stream",
        )),
    };
    let manifest = EvidenceManifest {
        event: event.id,
        items: vec![crop],
        missing: vec![Missing {
            role: EvidenceRole::FindingCrop,
            at: Some(event.looks[0].taken()),
            reason: Words::new(
                "không còn hình của lúc đó",
                "the picture of then was not kept, or could not be decoded",
            ),
        }],
    };
    envelope(
        (
            format!("{}.evidence.9d2b07c1e4aa", event.id),
            format!("/{}/{}/{}", site(), box_id(), camera()),
        ),
        (EVIDENCE_TYPE, EVIDENCE_SCHEMA),
        Some(event.id.to_string()),
        Some(sequence),
        (event.decided.time, TimeQuality::Unknown, manifest),
    )
}

/// Everything that a case can have: a clip that is shorter than it was asked
/// for, a plate, the signed manifest, and a still that is not there.
fn case(sequence: u64, event: &Event) -> Box<dyn erased::Message> {
    let decided = event.decided.time;
    let item = |role, byte, length, media_type: &str| EvidenceItem {
        role,
        sha256: Digest([byte; 32]),
        length,
        media_type: media_type.to_owned(),
        captured: decided,
        until: None,
        asked: None,
        note: None,
    };
    let manifest = EvidenceManifest {
        event: event.id,
        items: vec![
            item(EvidenceRole::StillAnnotated, 0xa1, 214_312, "image/jpeg"),
            item(EvidenceRole::StillClean, 0xc1, 198_077, "image/jpeg"),
            EvidenceItem {
                captured: event.onset - Seconds(2.0),
                until: Some(decided + Seconds(6.0)),
                asked: Some(Span {
                    from: event.onset - Seconds(6.0),
                    to: decided + Seconds(6.0),
                }),
                note: Some(Words::new(
                    "bắt đầu muộn: hình trước đó không còn trong bộ nhớ",
                    "begins late: what came before was not kept any more",
                )),
                ..item(EvidenceRole::Clip, 0xd1, 4_730_112, "video/mp4")
            },
            item(EvidenceRole::PlateCrop, 0xe1, 9_204, "image/jpeg"),
            item(
                EvidenceRole::CaseManifest,
                0xf1,
                6_113,
                "application/vnd.ngatu.case+json",
            ),
        ],
        missing: vec![Missing {
            role: EvidenceRole::StillAnnotated,
            at: Some(event.onset),
            reason: Words::new(
                "không còn hình của lúc đó",
                "the picture of then was not kept, or could not be decoded",
            ),
        }],
    };
    envelope(
        (
            format!("{}.evidence.5f6dbf2a1c30", event.id),
            format!("/{}/{}/{}", site(), box_id(), camera()),
        ),
        (EVIDENCE_TYPE, EVIDENCE_SCHEMA),
        Some(event.id.to_string()),
        Some(sequence),
        (decided, TimeQuality::Unknown, manifest),
    )
}

fn camera_status(status: CameraStatus) -> Box<dyn erased::Message> {
    envelope(
        (
            format!("camera-status.{}", status.at.as_micros()),
            format!("/{}/{}/{}", status.site, status.box_id, status.camera),
        ),
        (CAMERA_STATUS_TYPE, CAMERA_STATUS_SCHEMA),
        None,
        None,
        (status.at, TimeQuality::Arrival, status),
    )
}

fn box_status(status: BoxStatus) -> Box<dyn erased::Message> {
    let word = if status.online { "online" } else { "offline" };
    envelope(
        (
            format!(
                "box-status.{}.{word}",
                (status.at + Seconds(0.184)).as_micros()
            ),
            format!("/{}/{}", status.site, status.box_id),
        ),
        (BOX_STATUS_TYPE, BOX_STATUS_SCHEMA),
        None,
        None,
        (status.at, TimeQuality::Arrival, status),
    )
}

fn signal() -> SignalReading {
    SignalReading {
        group: SignalGroupId::new("east-straight").unwrap(),
        state: SignalState::FlashingAmber,
        time: at(64.2),
        confidence: 1.0,
        source: SignalSource::Mqtt,
    }
}
