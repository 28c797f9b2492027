//! The messages that today's code writes, as values.

use std::collections::BTreeMap;

use protocol::envelope::{
    BOX_STATUS_SCHEMA, BOX_STATUS_TYPE, CAMERA_STATUS_SCHEMA, CAMERA_STATUS_TYPE, Delivery,
    EVENT_SCHEMA, EVENT_TYPE, EVIDENCE_SCHEMA, EVIDENCE_TYPE, SPEC_VERSION,
};
use protocol::event::{Actor, Comparison, FrameTime, Place, Provenance, Value, Words};
use protocol::evidence::{EvidenceRole, Missing, Span};
use protocol::id::{ModelId, SignalGroupId};
use protocol::plate::{NumberPlate, PlateCharacter, PlateCorrection, PlateView};
use protocol::signal::SignalSource;
use protocol::status::{
    BoxStatus, CameraHealth, CameraStatus, DecoderStatus, DetectorStatus, OutboxPosition,
    RecordingStatus, RefusedProvider, RuleCoverage, SecondModelStatus, StreamStatus,
};
use protocol::units::Seconds;
use protocol::{
    BoxId, CameraId, Digest, Envelope, Event, EventId, EventKind, EventTime, EvidenceItem,
    EvidenceLocks, EvidenceManifest, ObjectClass, Phase, Predicate, Receipt, RuleId, Severity,
    SignalReading, SignalState, SiteId, TimeQuality, TrackId, ZoneId,
};
use serde::Serialize;
use uuid::Uuid;

const OUTBOX: Uuid = Uuid::from_u128(0x5f0c_3a52_8f0e_4b1d_9c55_0b7a_1d2e_3f40);

/// Every message by the name of its file.
pub(crate) fn all() -> Vec<(&'static str, Box<dyn erased::Message>)> {
    let stopped = stopped_vehicle();
    let wrong_way = wrong_way();
    vec![
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
        ("evidence-manifest", evidence(8, &wrong_way)),
        ("evidence-manifest-case", case(9, &wrong_way)),
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
        (
            "receipt-refused",
            Box::new(Receipt {
                outbox: OUTBOX,
                through: 0,
                at: at(2.5),
                refused_for: Some(Uuid::from_u128(9)),
            }),
        ),
        (
            "receipt",
            Box::new(Receipt {
                outbox: OUTBOX,
                through: 8,
                at: at(70.25),
                refused_for: None,
            }),
        ),
        (
            "locks",
            Box::new(EvidenceLocks {
                at: at(80.0),
                locked: vec![EventId(Uuid::from_u128(0x51))],
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

/// An event of one road user, seen from `begun` to `decided`.
fn of(
    kind: &str,
    (severity, title): (Severity, Words),
    (class, zone): (ObjectClass, &str),
    (begun, decided): (f64, f64),
    explanation: Vec<Predicate>,
) -> Event {
    let rule = RuleId::new(kind.replace('_', "-")).unwrap();
    let track = TrackId {
        born: at(begun - 1.2),
        rank: 1,
    };
    Event {
        id: EventId::derive((&site(), &box_id(), &camera()), &rule, &track, at(begun)),
        revision: 1,
        phase: Phase::Start,
        kind: EventKind(kind.to_owned()),
        rule,
        site: site(),
        box_id: box_id(),
        camera: camera(),
        place: Some(place()),
        simulated: false,
        severity,
        title,
        onset: at(begun),
        decided: frame(decided),
        ended: None,
        time_quality: TimeQuality::Rtcp,
        zone: Some(ZoneId::new(zone).unwrap()),
        actors: vec![Actor {
            track,
            class,
            score: 0.871,
            bounds: [0.41235, 0.52, 0.12, 0.1].into(),
            path: vec![[0.40123, 0.61].into(), [0.47235, 0.62].into()],
            plate: None,
        }],
        facts: BTreeMap::new(),
        explanation,
        provenance: Provenance {
            agent: "0.1.0".to_owned(),
            configuration: Some(Digest([0x0c; 32])),
            calibration: Some(Digest([0xca; 32])),
            model: Some(ModelId::new("yolox-nano").unwrap()),
            model_digest: Some(Digest([0x0d; 32])),
        },
    }
}

/// The revision that tells a plate of which one character is in doubt.
fn with_plate(mut event: Event) -> Event {
    let of = |leading: char, (confidence, share): (f64, f64), looks| PlateCharacter {
        symbol: if share < 0.8 { '?' } else { leading },
        leading,
        confidence,
        share,
        looks,
    };
    let mut characters: Vec<PlateCharacter> =
        "29B112345".chars().map(|c| of(c, (0.97, 1.0), 4)).collect();
    characters[1] = of('9', (0.91, 0.93), 4);
    characters[5] = of('2', (0.71, 0.62), 3);
    let decided = event.decided;
    event.revision = 2;
    event.phase = Phase::Update;
    event.actors[0].plate = Some(NumberPlate {
        text: "29B11?345".to_owned(),
        display: "29-B1 1?3.45".to_owned(),
        is_stated: false,
        is_final: true,
        characters,
        looks: 4,
        of: 5,
        corrections: vec![PlateCorrection {
            position: 2,
            read: '8',
            taken: 'B',
            cause: "confusable".to_owned(),
            looks: 1,
        }],
        may_be_cut: false,
        reason: Some(Words::new(
            "các lần nhìn không thống nhất hoặc không chắc về 1 ký tự",
            "looks disagree on 1 of its characters or are unsure of them",
        )),
        best: Some(PlateView {
            at: decided,
            bounds: [0.46, 0.58, 0.02, 0.018].into(),
        }),
    });
    event
}

fn measured(
    (name, label): (&str, Words),
    value: f64,
    (comparison, threshold): (Comparison, f64),
    unit: &str,
    (first, last): (f64, f64),
) -> Predicate {
    let sign = match comparison {
        Comparison::AtMost | Comparison::LessThan => -1.0,
        _ => 1.0,
    };
    Predicate {
        name: name.to_owned(),
        label,
        value: value.into(),
        comparison,
        threshold: threshold.into(),
        margin: Some(protocol::units::rounded(sign * (value - threshold), 3)),
        unit: unit.to_owned(),
        holds: true,
        first: frame(first),
        last: frame(last),
    }
}

fn said((name, label): (&str, Words), word: &str, at: f64) -> Predicate {
    Predicate {
        name: name.to_owned(),
        label,
        value: word.into(),
        comparison: Comparison::Is,
        threshold: word.into(),
        margin: None,
        unit: String::new(),
        holds: true,
        first: frame(at),
        last: frame(at),
    }
}

fn stopped_vehicle() -> Event {
    let mut event = of(
        "stopped_vehicle",
        (Severity::Minor, Words::new("Xe dừng đỗ", "Stopped vehicle")),
        (ObjectClass::Car, "no-stopping"),
        (10.0, 40.2),
        vec![
            measured(
                ("dwell", Words::new("Thời gian dừng", "Dwell")),
                30.2,
                (Comparison::AtLeast, 30.0),
                "s",
                (10.0, 40.2),
            ),
            measured(
                ("displacement", Words::new("Dịch chuyển", "Displacement")),
                0.41,
                (Comparison::AtMost, 1.5),
                "m",
                (10.0, 40.2),
            ),
        ],
    );
    event.facts = BTreeMap::from([("dwell_s".to_owned(), 30.2.into())]);
    event
}

fn lasting(mut event: Event, revision: u32, dwell: f64) -> Event {
    event.revision = revision;
    event.phase = Phase::Update;
    event.facts.insert("dwell_s".to_owned(), dwell.into());
    event
}

fn over(mut event: Event) -> Event {
    event.phase = Phase::End;
    event.ended = Some(at(161.2));
    event
}

fn wrong_way() -> Event {
    let mut event = of(
        "wrong_way",
        (
            Severity::Critical,
            Words::new("Xe đi ngược chiều", "Wrong-way driving"),
        ),
        (ObjectClass::Motorcycle, "lane-2"),
        (50.0, 52.4),
        vec![
            measured(
                (
                    "heading_against",
                    Words::new("Lệch hướng làn", "Heading against the lane"),
                ),
                171.5,
                (Comparison::AtLeast, 135.0),
                "°",
                (50.0, 52.4),
            ),
            measured(
                (
                    "distance_against",
                    Words::new("Quãng đường ngược chiều", "Distance against"),
                ),
                12.8,
                (Comparison::MoreThan, 10.0),
                "m",
                (50.0, 52.4),
            ),
        ],
    );
    event.facts = BTreeMap::from([
        ("distance_m".to_owned(), Value::from(12.8)),
        ("crossed_line".to_owned(), Value::from(true)),
        ("lane".to_owned(), Value::from("2")),
    ]);
    event
}

fn pedestrian() -> Event {
    let mut event = of(
        "pedestrian_on_carriageway",
        (
            Severity::Major,
            Words::new(
                "Người đi bộ trên lòng đường",
                "Pedestrian on the carriageway",
            ),
        ),
        (ObjectClass::Person, "carriageway"),
        (55.0, 57.0),
        vec![measured(
            (
                "dwell",
                Words::new("Thời gian trong vùng", "Time in the zone"),
            ),
            2.0,
            (Comparison::AtLeast, 2.0),
            "s",
            (55.0, 57.0),
        )],
    );
    // As little as an event may carry.
    event.place = None;
    event.actors[0].path.clear();
    event.provenance = Provenance::default();
    event.time_quality = TimeQuality::Arrival;
    event
}

fn loitering() -> Event {
    let mut event = of(
        "loitering",
        (Severity::Info, Words::new("Lảng vảng", "Loitering")),
        (ObjectClass::Person, "kerb"),
        (1.0, 61.0),
        vec![measured(
            (
                "dwell",
                Words::new("Thời gian trong vùng", "Time in the zone"),
            ),
            60.0,
            (Comparison::AtLeast, 60.0),
            "s",
            (1.0, 61.0),
        )],
    );
    event.time_quality = TimeQuality::Media;
    event
}

fn red_light() -> Event {
    let mut event = of(
        "red_light",
        (Severity::Major, Words::new("Vượt đèn đỏ", "Red light")),
        (ObjectClass::Motorcycle, "stop-line"),
        (65.0, 65.4),
        vec![
            said(
                (
                    "signal_at_crossing",
                    Words::new("Đèn lúc qua vạch", "Signal at the crossing"),
                ),
                "red",
                65.0,
            ),
            measured(
                ("red_for", Words::new("Đèn đỏ đã bật", "Red for")),
                4.6,
                (Comparison::AtLeast, 0.5),
                "s",
                (60.4, 65.0),
            ),
        ],
    );
    event.simulated = true;
    // Begun and ended at once.
    event.ended = Some(at(65.4));
    event
}

fn watching() -> CameraStatus {
    CameraStatus {
        site: site(),
        box_id: box_id(),
        camera: camera(),
        name: "Ngã Tư Sở, hướng đông".to_owned(),
        place: Some(place()),
        simulated: false,
        health: CameraHealth::Watching,
        reason: None,
        since: at(2.0),
        at: at(60.0),
        retries: 1,
        frames_received: 1500,
        frames_analysed: 300,
        frames_dropped: 1200,
        analysed_fps: 5.0,
        time_quality: Some(TimeQuality::Rtcp),
        model: Some(ModelId::new("yolox-nano").unwrap()),
        coverage: Vec::new(),
        coverage_left_out: 0,
        evidence_stream: None,
        recording: None,
        decoder: None,
        detector: None,
        second_models: Vec::new(),
    }
}

/// One whose box has lost its graphics processor.
fn on_another_provider() -> CameraStatus {
    CameraStatus {
        detector: Some(DetectorStatus {
            provider: "cpu".to_owned(),
            refused: vec![RefusedProvider {
                provider: "cuda".to_owned(),
                reason: Words::new(
                    "Không tính được trên cuda; hãy kiểm tra trình điều khiển rồi khởi động lại hộp",
                    "it failed at work, 3 times in a row: device lost; check its driver and power, then restart the agent to use it again",
                ),
            }],
            losses: 1,
            failures: 3,
            broken: 12,
        }),
        ..watching()
    }
}

/// One whose second model fails on every look.
fn with_second_models() -> CameraStatus {
    let second = |model: &str, job: &str, failures, broken| SecondModelStatus {
        model: model.to_owned(),
        job: job.to_owned(),
        looks: 40,
        fares: DetectorStatus {
            provider: "cpu".to_owned(),
            failures,
            broken,
            ..DetectorStatus::default()
        },
    };
    CameraStatus {
        health: CameraHealth::Degraded,
        reason: Some(Words::new(
            "Mô hình helmets không xử lý được lần xem nào; xem nhật ký và chạy edge-agent models verify",
            "model helmets fails on every second look, so rules that rest on it see nothing; read the log and run `edge-agent models verify`",
        )),
        second_models: vec![
            second("helmets", "cascade", 40, 0),
            second("plates", "cascade", 0, 0),
            second("next", "shadow", 0, 3),
        ],
        ..watching()
    }
}

/// One that tells what its rules watched, and that its disk is full.
fn covered() -> CameraStatus {
    let rule = |id: &str, watched_s: f64, unwatched: &[(&str, f64)]| RuleCoverage {
        rule: RuleId::new(id).unwrap(),
        watched_s,
        unwatched_s: unwatched
            .iter()
            .map(|(reason, seconds)| ((*reason).to_owned(), *seconds))
            .collect(),
    };
    CameraStatus {
        coverage: vec![
            rule("helmet", 0.0, &[("no_model", 58.0)]),
            rule(
                "red",
                46.2,
                &[("signal_unknown", 9.8), ("stream_lost", 2.0)],
            ),
            rule("stopped", 56.0, &[("stream_lost", 2.0)]),
        ],
        coverage_left_out: 2,
        evidence_stream: Some(StreamStatus {
            health: CameraHealth::Lost,
            reason: Some(Words::new(
                "Mất luồng chính; bằng chứng lấy từ luồng phụ",
                "the main stream is lost; evidence is made of the sub-stream",
            )),
            since: at(40.0),
        }),
        recording: Some(RecordingStatus {
            is_recording: false,
            failures: 3,
            reason: Some(Words::new(
                "Đĩa đầy nên không ghi được dữ liệu đầu vào; hãy giải phóng đĩa",
                "inputs are not recorded, because the disk is full; free disk space",
            )),
        }),
        ..watching()
    }
}

/// One whose graphics card lets it down.
fn decoded() -> CameraStatus {
    CameraStatus {
        decoder: Some(DecoderStatus {
            name: "avdec_h264".to_owned(),
            family: "software".to_owned(),
            refused: vec!["vah264dec makes green pictures of this stream".to_owned()],
        }),
        ..watching()
    }
}

fn lost() -> CameraStatus {
    CameraStatus {
        place: None,
        simulated: true,
        health: CameraHealth::Lost,
        reason: Some(Words::new(
            "Không có hình 12 giây; hãy kiểm tra nguồn điện và mạng",
            "no frames for 12 s; check power and network",
        )),
        time_quality: None,
        model: None,
        analysed_fps: 0.0,
        ..watching()
    }
}

fn online() -> BoxStatus {
    BoxStatus {
        site: site(),
        box_id: box_id(),
        online: true,
        version: "0.1.0".to_owned(),
        at: at(0.5),
        outbox_waiting: 3,
        trouble: Some(Words::new(
            "Đĩa đầy: 2 sự kiện chỉ còn trong bộ nhớ; hãy giải phóng đĩa",
            "the disk is full: 2 events are only in memory; free disk space",
        )),
        outbox: None,
    }
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
