//! Zones, lines and the camera's local time from their tables.

use protocol::ZoneId;

use super::{Line, Number, Section, Zone};
use crate::geometry::{crossing_edges, polygon_area};

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
