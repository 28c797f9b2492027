//! Events that look like real ones, numbered.

use std::collections::BTreeMap;

use protocol::event::{Actor, Comparison, FrameTime, Provenance, Value, Words};
use protocol::units::Seconds;
use protocol::{
    BoxId, CameraId, Event, EventId, EventKind, EventTime, ObjectClass, Phase, Predicate, RuleId,
    Severity, SiteId, TimeQuality, TrackId,
};

pub(crate) fn site() -> SiteId {
    SiteId::new("hanoi").unwrap()
}

pub(crate) fn box_id() -> BoxId {
    BoxId::new("box-1").unwrap()
}

pub(crate) fn camera() -> CameraId {
    CameraId::new("cam-1").unwrap()
}

/// 2026-11-22T01:00:00Z, and `number` seconds.
#[allow(clippy::cast_precision_loss)]
pub(crate) fn at(number: u64) -> EventTime {
    EventTime::from_micros(1_795_309_200_000_000) + Seconds(number as f64)
}

/// The `number`th event: another number is another event with another id.
pub(crate) fn event(number: u64) -> Event {
    let rule = RuleId::new("no-stopping").unwrap();
    let (born, decided) = (at(number), at(number + 30));
    let track = TrackId { born, rank: 0 };
    let frame = |frame, time| FrameTime { frame, time };
    Event {
        id: EventId::derive((&site(), &box_id(), &camera()), &rule, &track, born),
        revision: 1,
        phase: Phase::Start,
        kind: EventKind("stopped_vehicle".to_owned()),
        rule,
        site: site(),
        box_id: box_id(),
        camera: camera(),
        place: None,
        simulated: false,
        severity: Severity::Minor,
        title: Words::new("Xe dừng đỗ", "Stopped vehicle"),
        onset: born,
        decided: frame(number * 10 + 300, decided),
        ended: None,
        time_quality: TimeQuality::Rtcp,
        zone: None,
        actors: vec![Actor {
            track,
            class: ObjectClass::Car,
            score: 0.87,
            bounds: [0.41, 0.52, 0.12, 0.1].into(),
            path: (0..32)
                .map(|i| [0.4 + f64::from(i) * 1e-3, 0.6].into())
                .collect(),
            plate: None,
        }],
        facts: BTreeMap::from([("dwell_s".to_owned(), Value::from(30.0))]),
        explanation: vec![Predicate {
            name: "dwell".to_owned(),
            label: Words::new("Thời gian dừng", "Dwell"),
            value: Value::from(30.0),
            comparison: Comparison::AtLeast,
            threshold: Value::from(25.0),
            margin: Some(5.0),
            unit: "s".to_owned(),
            holds: true,
            first: frame(number * 10, born),
            last: frame(number * 10 + 300, decided),
        }],
        looks: Vec::new(),
        provenance: Provenance::default(),
    }
}

/// The envelope id of [`event`].
pub(crate) fn envelope_id(number: u64) -> String {
    format!("{}.1", event(number).id)
}
