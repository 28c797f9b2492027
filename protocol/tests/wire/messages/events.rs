//! Events, of the kinds and phases that there are.

use protocol::event::{Actor, Comparison, Look, Provenance, SecondModel, Value, Words};
use protocol::id::ModelId;
use protocol::plate::{NumberPlate, PlateCharacter, PlateCorrection, PlateView};
use protocol::{
    Digest, Event, EventId, EventKind, ObjectClass, Phase, Predicate, RuleId, Severity,
    TimeQuality, TrackId, ZoneId,
};
use std::collections::BTreeMap;

use super::{at, box_id, camera, frame, place, site};

/// An event of one road user, seen from `begun` to `decided`.
pub(super) fn of(
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
        looks: Vec::new(),
        provenance: Provenance {
            agent: "0.1.0".to_owned(),
            configuration: Some(Digest([0x0c; 32])),
            calibration: Some(Digest([0xca; 32])),
            model: Some(ModelId::new("yolox-nano").unwrap()),
            model_digest: Some(Digest([0x0d; 32])),
            second: Vec::new(),
        },
    }
}

/// The same, which says by whose second looks.
pub(super) fn by_second_models(mut event: Event) -> Event {
    let model = |name: &str, number: u8| SecondModel {
        model: ModelId::new(name).unwrap(),
        version: None,
        model_digest: Digest([number; 32]),
        manifest_digest: Some(Digest([number + 1; 32])),
    };
    let versioned = SecondModel {
        version: Some(3),
        ..model("ppocr-v4-rec", 0x2c)
    };
    event
        .provenance
        .add_second([&versioned, &model("ppocr-v4-det", 0x1c), &versioned]);
    event
}

/// What a vote over looks found, with those that show it best: a look of the detector,
/// and one at the main stream's picture by a classifier.
pub(super) fn no_helmet() -> Event {
    let mut event = by_second_models(of(
        "no_helmet",
        (
            Severity::Minor,
            Words::new("Không đội mũ bảo hiểm", "No helmet"),
        ),
        (ObjectClass::Motorcycle, "lane-2"),
        (70.0, 71.2),
        vec![measured(
            (
                "looks_against",
                Words::new(
                    "Số lần nhìn thấy đầu trần (trong 7 lần gần nhất)",
                    "Looks that showed a bare head (of the last 7)",
                ),
            ),
            5.0,
            (Comparison::AtLeast, 5.0),
            "",
            (70.0, 71.2),
        )],
    ));
    event.zone = None;
    event.ended = Some(event.decided.time);
    event.looks = vec![
        Look {
            at: frame(70.4),
            class: ObjectClass::NoHelmet,
            score: 0.81,
            part: [0.43, 0.5, 0.03, 0.045].into(),
            bounds: Some([0.435, 0.5075, 0.02, 0.03].into()),
            is_second: false,
            main: None,
        },
        Look {
            at: frame(71.2),
            class: ObjectClass::NoHelmet,
            score: 0.93,
            part: [0.44, 0.52, 0.05, 0.06].into(),
            bounds: None,
            is_second: true,
            main: Some(at(71.213)),
        },
    ];
    event
}

/// The revision that tells a plate of which one character is in doubt.
pub(super) fn with_plate(mut event: Event) -> Event {
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

pub(super) fn measured(
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

pub(super) fn said((name, label): (&str, Words), word: &str, at: f64) -> Predicate {
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

pub(super) fn stopped_vehicle() -> Event {
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

pub(super) fn lasting(mut event: Event, revision: u32, dwell: f64) -> Event {
    event.revision = revision;
    event.phase = Phase::Update;
    event.facts.insert("dwell_s".to_owned(), dwell.into());
    event
}

pub(super) fn over(mut event: Event) -> Event {
    event.phase = Phase::End;
    event.ended = Some(at(161.2));
    event
}

pub(super) fn wrong_way() -> Event {
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

pub(super) fn pedestrian() -> Event {
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

pub(super) fn loitering() -> Event {
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

pub(super) fn red_light() -> Event {
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
