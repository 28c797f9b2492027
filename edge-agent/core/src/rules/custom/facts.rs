//! What a condition may ask: the one table from which the checker takes types
//! and units, the evaluator its values, and the documentation its text.

use std::fmt::Write as _;

use protocol::event::FrameTime;
use protocol::{ObjectClass, SignalState};

use super::zone_look::ZoneLook;
use crate::health::Health;
use crate::observation::{FrameView, Observation};
use crate::rules::params::ROAD_USERS;
use crate::schedule::{self, DAYS};

/// A value of a fact at a frame.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Known {
    /// Nobody can say: not calibrated, too young, no reading.
    Unknown,
    /// In the fact's unit.
    Number(f64),
    /// Yes or no.
    Truth(bool),
    /// One of the fact's words.
    Word(&'static str),
}

/// What a fact may be.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Sort {
    /// A number with its unit (empty for a count or a share) and its range.
    Number {
        /// As people read it.
        unit: &'static str,
        /// The least there can be.
        min: f64,
        /// The most there can be.
        max: f64,
        /// Whether there is nothing between one whole number and the next.
        is_whole: bool,
    },
    /// Yes or no.
    Truth,
    /// One of these words.
    Word(&'static [&'static str]),
}

/// Of what something is a fact.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Subject {
    /// One road user.
    Track,
    /// The zone and all who are in it.
    Zone,
}

impl Subject {
    /// The word in configuration.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Track => "track",
            Self::Zone => "zone",
        }
    }
}

/// Something that a condition may ask for by name.
#[derive(Debug)]
pub struct Fact {
    /// The name, with its unit.
    pub key: &'static str,
    /// What it may be.
    pub sort: Sort,
    /// What it is called in explanations, in Vietnamese and English.
    pub label: (&'static str, &'static str),
    /// What it means and when it is unknown.
    pub meaning: &'static str,
    /// Whether it is unknown wherever the camera is not calibrated.
    pub needs_ground: bool,
    read: Read,
}

#[derive(Clone, Copy, Debug)]
enum Read {
    Track(fn(&TrackLook<'_>) -> Known),
    Zone(fn(&ZoneLook) -> Known),
    Moment(fn(&MomentLook) -> Known),
}

/// What is known of one road user at a frame.
#[derive(Clone, Copy, Debug)]
pub(super) struct TrackLook<'a> {
    pub(super) user: &'a Observation,
    pub(super) frame: &'a FrameView<'a>,
    pub(super) is_inside: bool,
    pub(super) dwell_s: f64,
}

/// What is known of the moment.
#[derive(Clone, Copy, Debug)]
pub(super) struct MomentLook {
    day: i64,
    minute: i64,
    health: Health,
}

impl MomentLook {
    pub(super) fn new(at: FrameTime, utc_offset_min: i64, health: Health) -> Self {
        let (day, minute) = schedule::local(at.time, utc_offset_min);
        Self {
            day,
            minute,
            health,
        }
    }
}

/// Of whom a condition is asked.
#[derive(Clone, Copy, Debug)]
pub(super) enum Look<'a> {
    Track(&'a TrackLook<'a>),
    Zone(&'a ZoneLook),
}

impl Fact {
    /// Whether a condition about this subject may ask for it.
    pub fn is_of(&self, subject: Subject) -> bool {
        match self.read {
            Read::Track(_) => subject == Subject::Track,
            Read::Zone(_) => subject == Subject::Zone,
            // A camera that was turned accuses nobody, whatever its condition says.
            Read::Moment(_) => self.key != HEALTH || subject == Subject::Zone,
        }
    }

    pub(super) fn read(&self, look: Look<'_>, moment: &MomentLook) -> Known {
        match (self.read, look) {
            (Read::Track(read), Look::Track(look)) => read(look),
            (Read::Zone(read), Look::Zone(look)) => read(look),
            (Read::Moment(read), _) => read(moment),
            // The checker lets no such condition through.
            _ => Known::Unknown,
        }
    }
}

fn number(value: Option<f64>) -> Known {
    value
        .filter(|value| value.is_finite())
        .map_or(Known::Unknown, Known::Number)
}

const fn range(unit: &'static str, min: f64, max: f64) -> Sort {
    Sort::Number {
        unit,
        min,
        max,
        is_whole: false,
    }
}

const fn whole(unit: &'static str, min: f64, max: f64) -> Sort {
    Sort::Number {
        unit,
        min,
        max,
        is_whole: true,
    }
}

const CLASSES: [&str; ROAD_USERS.len()] = {
    let mut words = [""; ROAD_USERS.len()];
    let mut index = 0;
    while index < words.len() {
        words[index] = ROAD_USERS[index].as_str();
        index += 1;
    }
    words
};

/// What a signal group may show; `unknown` is no word, but unknown.
pub(super) const SIGNAL_WORDS: [&str; 6] = [
    SignalState::Red.as_str(),
    SignalState::RedAmber.as_str(),
    SignalState::Amber.as_str(),
    SignalState::Green.as_str(),
    SignalState::FlashingAmber.as_str(),
    SignalState::Dark.as_str(),
];

const CONDITIONS: [&str; 8] = [
    "well",
    "blocked",
    "defocused",
    "moved",
    "frozen",
    "dark",
    "lost",
    "corrupt",
];

pub(super) const HEALTH: &str = "health";
pub(super) const IN_ZONE: &str = "in_zone";
pub(super) const IS_RIDER: &str = "is_rider";
pub(super) const CLASS: &str = "class";
pub(super) const RIDERS: &str = "riders";
pub(super) const OCCUPANCY: &str = "occupancy";

/// A day, the longest that a duration may be asked for, s.
const DAY_S: f64 = 86_400.0;
/// Slower is no direction, box heights per second.
const MOVING: f64 = 0.3;

/// Shorthand for the table below.
macro_rules! fact {
    ($key:expr, $sort:expr, $vi:literal / $en:literal, $meaning:literal, $read:expr) => {
        Fact {
            key: $key,
            sort: $sort,
            label: ($vi, $en),
            meaning: $meaning,
            needs_ground: false,
            read: $read,
        }
    };
}

/// Everything that a condition may ask for by name, besides `signal`.
static FACTS: &[Fact] = &[
    fact!(
        CLASS,
        Sort::Word(&CLASSES),
        "Loại phương tiện" / "Class",
        "what it is, by vote",
        Read::Track(|l| Known::Word(l.user.class.as_str()))
    ),
    fact!(
        "score",
        range("", 0.0, 1.0),
        "Độ tin cậy" / "Score",
        "mean score of the votes for its class",
        Read::Track(|l| number(Some(l.user.score)))
    ),
    Fact {
        needs_ground: true,
        ..fact!(
            "speed_kmh",
            range("km/h", 0.0, 250.0),
            "Tốc độ" / "Speed",
            "over the last second; unknown without calibration and in a track's first moments. No measured speed in the sense of the law: use `speeding` for that",
            Read::Track(|l| number(l.user.motion.and_then(|m| m.ground_speed()).map(|v| v.0)))
        )
    },
    fact!(
        "heading_deg",
        range("°", 0.0, 360.0),
        "Hướng đi" / "Heading",
        "direction of travel in the picture, clockwise: 0 up, 90 right, 180 down, 270 left; unknown for who stands and in a track's first moments",
        Read::Track(heading)
    ),
    fact!(
        "dwell_s",
        range("s", 0.0, DAY_S),
        "Thời gian trong vùng" / "Time in the zone",
        "watched time in the zone since it came in; 0 outside",
        Read::Track(|l| number(Some(l.dwell_s)))
    ),
    fact!(
        IN_ZONE,
        Sort::Truth,
        "Nằm trong vùng" / "In the zone",
        "whether its contact point is in the zone. A condition that does not ask is about road users in the zone",
        Read::Track(|l| Known::Truth(l.is_inside))
    ),
    fact!(
        "x",
        range("", 0.0, 1.0),
        "Vị trí ngang" / "Place across the picture",
        "contact point, as a fraction of the picture's width",
        Read::Track(|l| number(Some(l.user.spot.foot.x)))
    ),
    fact!(
        "y",
        range("", 0.0, 1.0),
        "Vị trí dọc" / "Place down the picture",
        "contact point, as a fraction of the picture's height",
        Read::Track(|l| number(Some(l.user.spot.foot.y)))
    ),
    Fact {
        needs_ground: true,
        ..fact!(
            "ground_x_m",
            range("m", -10_000.0, 10_000.0),
            "Tọa độ x trên mặt đường" / "Place on the ground, first axis",
            "contact point on the calibration's first axis; unknown without calibration",
            Read::Track(|l| number(l.user.spot.ground.map(|g| g.x)))
        )
    },
    Fact {
        needs_ground: true,
        ..fact!(
            "ground_y_m",
            range("m", -10_000.0, 10_000.0),
            "Tọa độ y trên mặt đường" / "Place on the ground, second axis",
            "contact point on the calibration's second axis; unknown without calibration",
            Read::Track(|l| number(l.user.spot.ground.map(|g| g.y)))
        )
    },
    fact!(
        "age_s",
        range("s", 0.0, DAY_S),
        "Thời gian theo dõi" / "Time since first seen",
        "time since the track was first seen, anywhere",
        Read::Track(|l| number(Some(
            l.frame.at.time.since(l.frame.first_seen(l.user).time).0
        )))
    ),
    fact!(
        "stationary",
        Sort::Truth,
        "Đứng yên" / "Stands still",
        "whether it kept its place over the last 1.5 s",
        Read::Track(|l| Known::Truth(is_stationary(l.frame, l.user)))
    ),
    fact!(
        IS_RIDER,
        Sort::Truth,
        "Đang đi xe hai bánh" / "Rides a two-wheeler",
        "whether it is a person on a two-wheeler. A condition that does not ask is never about riders: their vehicle is the road user",
        Read::Track(|l| Known::Truth(l.user.is_rider))
    ),
    fact!(
        RIDERS,
        whole("", 0.0, 7.0),
        "Số người trên xe" / "Riders",
        "persons on this two-wheeler, by vote; 0 for everything else",
        Read::Track(|l| number(Some(l.user.riders.count.into())))
    ),
    fact!(
        "count",
        whole("", 0.0, 1000.0),
        "Số đối tượng trong vùng" / "Road users in the zone",
        "road users of the rule's classes in the zone; riders count as their vehicle",
        Read::Zone(|z| number(Some(z.count())))
    ),
    fact!(
        "count_person",
        whole("", 0.0, 1000.0),
        "Số người đi bộ trong vùng" / "Persons in the zone",
        "persons on foot in the zone",
        Read::Zone(|z| number(Some(z.count_of(ObjectClass::Person))))
    ),
    fact!(
        "count_bicycle",
        whole("", 0.0, 1000.0),
        "Số xe đạp trong vùng" / "Bicycles in the zone",
        "bicycles in the zone",
        Read::Zone(|z| number(Some(z.count_of(ObjectClass::Bicycle))))
    ),
    fact!(
        "count_motorcycle",
        whole("", 0.0, 1000.0),
        "Số xe máy trong vùng" / "Motorcycles in the zone",
        "motorcycles in the zone",
        Read::Zone(|z| number(Some(z.count_of(ObjectClass::Motorcycle))))
    ),
    fact!(
        "count_car",
        whole("", 0.0, 1000.0),
        "Số ô tô con trong vùng" / "Cars in the zone",
        "cars in the zone",
        Read::Zone(|z| number(Some(z.count_of(ObjectClass::Car))))
    ),
    fact!(
        "count_bus",
        whole("", 0.0, 1000.0),
        "Số xe buýt trong vùng" / "Buses in the zone",
        "buses in the zone",
        Read::Zone(|z| number(Some(z.count_of(ObjectClass::Bus))))
    ),
    fact!(
        "count_truck",
        whole("", 0.0, 1000.0),
        "Số xe tải trong vùng" / "Trucks in the zone",
        "trucks in the zone",
        Read::Zone(|z| number(Some(z.count_of(ObjectClass::Truck))))
    ),
    fact!(
        "count_stationary",
        whole("", 0.0, 1000.0),
        "Số đối tượng đứng yên trong vùng" / "Road users in the zone that stand still",
        "road users in the zone that kept their place over the last 1.5 s",
        Read::Zone(|z| number(Some(z.stationary())))
    ),
    Fact {
        needs_ground: true,
        ..fact!(
            "mean_speed_kmh",
            range("km/h", 0.0, 250.0),
            "Tốc độ trung bình trong vùng" / "Mean speed in the zone",
            "mean over the road users in the zone whose speed is known; unknown without any and without calibration",
            Read::Zone(|z| number(z.mean_speed_kmh()))
        )
    },
    fact!(
        OCCUPANCY,
        range("", 0.0, 1.0),
        "Tỷ lệ chiếm chỗ trong vùng" / "Occupancy of the zone",
        "the part of the zone's area in the picture that boxes of its road users cover, 0 to 1",
        Read::Zone(|z| number(Some(z.occupancy)))
    ),
    fact!(
        "longest_dwell_s",
        range("s", 0.0, DAY_S),
        "Thời gian ở trong vùng lâu nhất" / "Longest time in the zone",
        "the longest watched time in the zone of those that are in it; 0 for nobody",
        Read::Zone(|z| number(Some(z.longest_dwell_s)))
    ),
    fact!(
        HEALTH,
        Sort::Word(&CONDITIONS),
        "Tình trạng hình ảnh" / "Condition of the picture",
        "what the picture is good for. A condition that asks is asked whatever the picture is like; others are suspended unless it is `well`",
        Read::Moment(|m| {
            let word = m.health.condition.as_str();
            if CONDITIONS.contains(&word) {
                Known::Word(word)
            } else {
                Known::Unknown
            }
        })
    ),
    fact!(
        "hour",
        whole("h", 0.0, 23.0),
        "Giờ địa phương" / "Local hour",
        "hour of the local day, whole",
        Read::Moment(|m| number(Some((m.minute / 60) as f64)))
    ),
    fact!(
        "minute",
        whole("min", 0.0, 59.0),
        "Phút" / "Minute",
        "minute of the hour, whole",
        Read::Moment(|m| number(Some((m.minute % 60) as f64)))
    ),
    fact!(
        "weekday",
        Sort::Word(&DAYS),
        "Ngày trong tuần" / "Day of the week",
        "local day of the week",
        Read::Moment(|m| Known::Word(DAYS[schedule::weekday(m.day)]))
    ),
];

/// Everything that a condition may ask for by name, besides `signal`.
pub fn facts() -> &'static [Fact] {
    FACTS
}

fn heading(look: &TrackLook<'_>) -> Known {
    let Some(way) = look.user.motion.map(|motion| motion.picture) else {
        return Known::Unknown;
    };
    if way.length() < MOVING {
        return Known::Unknown;
    }
    let degrees = libm::atan2(way.x, -way.y).to_degrees();
    number(Some(if degrees < 0.0 {
        degrees + 360.0
    } else {
        degrees
    }))
}

pub(super) fn is_stationary(frame: &FrameView<'_>, user: &Observation) -> bool {
    frame
        .tracks
        .binary_search_by(|track| track.id.cmp(&user.track))
        .is_ok_and(|index| frame.tracks[index].is_stationary())
}

/// The table of facts, for people.
pub fn facts_table() -> String {
    let mut text = String::from("| fact | of | is | meaning |\n|---|---|---|---|\n");
    for fact in FACTS {
        let of = match (fact.is_of(Subject::Track), fact.is_of(Subject::Zone)) {
            (true, true) => "track, zone",
            (true, false) => "track",
            _ => "zone",
        };
        let sort = match fact.sort {
            Sort::Number {
                unit,
                min,
                max,
                is_whole,
            } => {
                let whole = if is_whole { "whole, " } else { "" };
                let range = format!("{whole}{min} to {max} {unit}");
                range.trim_end().to_owned()
            }
            Sort::Truth => "true, false".to_owned(),
            Sort::Word(words) => quoted(words),
        };
        let Fact { key, meaning, .. } = fact;
        writeln!(text, "| `{key}` | {of} | {sort} | {meaning} |").expect("text takes text");
    }
    let words = quoted(&SIGNAL_WORDS);
    writeln!(
        text,
        "| `signal.GROUP` | track, zone | {words} | what the signal group GROUP shows; \
         `signal['GROUP']` where its name has a hyphen; unknown when stale, contradictory or unread |"
    )
    .expect("text takes text");
    text
}

fn quoted(words: &[&str]) -> String {
    let words: Vec<String> = words.iter().map(|word| format!("'{word}'")).collect();
    words.join(", ")
}
