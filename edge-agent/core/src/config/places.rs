//! Zones, lines and signal groups from their tables.

use protocol::id::SignalGroupId;
use protocol::units::Seconds;
use protocol::{NormBox, ZoneId};

use super::{Lamp, LampLayout, Line, MqttSignal, Number, Section, SignalGroup, Zone};
use crate::geometry::{crossing_edges, polygon_area};

/// A signal head of three lamps cannot be read below about 4 × 12 pixels of 1080p.
const SMALLEST_LAMP: f64 = 0.002;
/// A zone that is smaller holds no road user's contact point for two frames.
const SMALLEST_ZONE: f64 = 1e-5;
/// Shorter lines have no usable direction.
const SHORTEST_LINE: f64 = 0.005;
/// More corners than anybody draws; bounds the cost per frame.
const MOST_CORNERS: usize = 200;

pub(super) fn zone(section: &mut Section<'_>) -> Option<Zone> {
    let id: Option<ZoneId> = section.name("id", "carriageway");
    let name = section.text("name").map(str::to_owned);
    let points = section.points("points")?;
    if points.len() < 3 {
        section.fault(
            "points",
            format!(
                "has {}; a zone needs at least 3 points (for a line use [[line]])",
                points.len()
            ),
        );
        return None;
    }
    if points.len() > MOST_CORNERS {
        section.fault(
            "points",
            format!("has {}; use at most {MOST_CORNERS}", points.len()),
        );
        return None;
    }
    if let Some((first, second)) = crossing_edges(&points) {
        section.fault(
            "points",
            format!(
                "the edge after point {first} crosses the edge after point {second} (counted \
                 from 0); list the corners in order around the zone"
            ),
        );
        return None;
    }
    if polygon_area(&points) < SMALLEST_ZONE {
        section.fault("points", "enclose no area; move the corners apart");
        return None;
    }
    Some(Zone {
        id: id?,
        name,
        points,
    })
}

pub(super) fn line(section: &mut Section<'_>) -> Option<Line> {
    let id: Option<ZoneId> = section.name("id", "stop-line");
    let name = section.text("name").map(str::to_owned);
    let (from, to, towards) = (
        section.point("from"),
        section.point("to"),
        section.point("towards"),
    );
    let (id, from, to, towards) = (id?, from?, to?, towards?);
    let (dx, dy) = (to.x - from.x, to.y - from.y);
    let length = (dx * dx + dy * dy).sqrt();
    if length < SHORTEST_LINE {
        section.fault("to", "is where `from` is; move the ends of the line apart");
        return None;
    }
    let away = (dx * (towards.y - from.y) - dy * (towards.x - from.x)).abs() / length;
    if away < SHORTEST_LINE {
        section.fault(
            "towards",
            "is on the line; give a point beyond it, on the side where a forward crossing ends up",
        );
        return None;
    }
    Some(Line {
        id,
        name,
        from,
        to,
        towards,
    })
}

pub(super) fn signal(section: &mut Section<'_>) -> Option<SignalGroup> {
    let before = section.fault_count();
    let group: Option<SignalGroupId> = section.name("group", "north");
    let lamp = section.table("lamp").and_then(|mut lamp| {
        let read = read_lamp(&mut lamp);
        lamp.finish();
        read
    });
    let mqtt = section.table("mqtt").and_then(|mut mqtt| {
        let read = read_mqtt(&mut mqtt);
        mqtt.finish();
        read
    });
    let recorded = section.flag("recorded");
    let sourced = section.has("lamp") || section.has("mqtt") || recorded;
    if !sourced {
        section.fault_here(
            "has no source; give `lamp = { region = [x, y, width, height], layout = \"vertical\" }` \
             or `mqtt = { topic = \"...\" }`, or `recorded = true` when its readings come with \
             recorded inputs",
        );
    }
    let stale_after = section.number(
        "stale_after_s",
        Number {
            unit: "s",
            // A lamp is read with the pictures, which may come twice a second
            // and drop out once; a controller repeats itself by contract.
            default: if mqtt.is_none() && lamp.is_some() {
                1.5
            } else {
                1.0
            },
            min: 0.1,
            max: 600.0,
        },
    );
    let min_confidence = section.number(
        "min_confidence",
        Number {
            unit: "",
            default: 0.6,
            min: 0.0,
            max: 1.0,
        },
    );
    let majority_window = section.number(
        "majority_window_s",
        Number {
            unit: "s",
            default: 1.0,
            min: 0.0,
            max: 10.0,
        },
    );
    if section.fault_count() > before {
        return None;
    }
    Some(SignalGroup {
        group: group?,
        lamp,
        mqtt,
        recorded,
        stale_after_s: Seconds(stale_after),
        min_confidence,
        majority_window_s: Seconds(majority_window),
    })
}

fn read_lamp(section: &mut Section<'_>) -> Option<Lamp> {
    let layout = match section.text("layout") {
        None | Some("vertical") => Some(LampLayout::Vertical),
        Some("horizontal") => Some(LampLayout::Horizontal),
        Some(other) => {
            section.fault(
                "layout",
                format!("`{other}` is not known; write \"vertical\" or \"horizontal\""),
            );
            None
        }
    };
    let region = read_region(section);
    Some(Lamp {
        region: region?,
        layout: layout?,
    })
}

fn read_region(section: &mut Section<'_>) -> Option<NormBox> {
    let wanted = "[left, top, width, height] as fractions of the picture, for example \
                  [0.62, 0.10, 0.02, 0.08]";
    if !section.require("region", "[0.62, 0.10, 0.02, 0.08]") {
        return None;
    }
    let value = section.value("region")?;
    let region: NormBox = section.coordinates::<4>("region", value, wanted)?.into();
    let inside = region.x >= 0.0
        && region.y >= 0.0
        && region.right() <= 1.0 + 1e-9
        && region.bottom() <= 1.0 + 1e-9;
    if !inside || region.width < SMALLEST_LAMP || region.height < SMALLEST_LAMP {
        section.fault(
            "region",
            format!("is empty or reaches outside the picture; write {wanted}"),
        );
        return None;
    }
    Some(region)
}

fn read_mqtt(section: &mut Section<'_>) -> Option<MqttSignal> {
    let topic = section.required_text("topic", "junction/12/signal/north")?;
    if topic.is_empty() || topic.contains(['+', '#', '\0']) || topic.len() > 1024 {
        section.fault(
            "topic",
            "must be one topic without wildcards, for example junction/12/signal/north",
        );
        return None;
    }
    Some(MqttSignal {
        topic: topic.to_owned(),
    })
}

/// `utc_offset_min`: local time minus UTC; 420 where it is absent, which is Vietnam all the year.
pub(super) fn utc_offset(camera: &mut Section<'_>) -> i64 {
    let minutes = camera.number(
        "utc_offset_min",
        Number {
            unit: "min",
            default: 420.0,
            min: -720.0,
            max: 840.0,
        },
    );
    if minutes.fract() != 0.0 {
        camera.fault("utc_offset_min", "must be a whole number of minutes");
    }
    #[allow(clippy::cast_possible_truncation)] // within a day
    let minutes = minutes as i64;
    minutes
}
