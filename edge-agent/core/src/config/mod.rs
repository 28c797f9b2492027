//! A camera's scene as its technician wrote it: zones, lines, signals, tracker and rules.
//!
//! Reading never stops at the first mistake: every fault is found at once,
//! each with its path in the camera's table and what to write instead. Unknown
//! keys are refused, because a misspelt `min_dwel_s` that silently means the
//! default is a rule that does something else than its author believes.

mod places;
mod reader;
mod signal_groups;

use std::fmt;

use protocol::event::{Severity, Words};
use protocol::id::SignalGroupId;
use protocol::units::Seconds;
use protocol::{NormBox, ObjectClass, Point, RuleId, ZoneId};

pub use reader::{Number, Section};
pub(crate) use reader::{listed, nearest};

use crate::calibration::{Calibration, Ground};
use crate::observation::Sight;
use crate::rules::{self, Outlook, Places, Rule};
use crate::schedule::Schedule;
use crate::tracker::TrackerConfig;

/// Something wrong in a configuration.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fault {
    /// Where, relative to the camera's table: `rule[2].min_dwell_s`.
    pub path: String,
    /// What is wrong and what to write instead.
    pub message: String,
}

impl Fault {
    /// A fault at a place.
    pub fn new(path: impl Into<String>, message: impl Into<String>) -> Self {
        Self {
            path: path.into(),
            message: message.into(),
        }
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.path, self.message)
    }
}

impl std::error::Error for Fault {}

/// An area of the picture.
#[derive(Clone, Debug, PartialEq)]
pub struct Zone {
    /// Its name in rules and on events.
    pub id: ZoneId,
    /// As people call it.
    pub name: Option<String>,
    /// Its corners in order; the last is joined to the first.
    pub points: Vec<Point>,
}

/// A directed line across the picture, for example a stop line.
#[derive(Clone, Debug, PartialEq)]
pub struct Line {
    /// Its name in rules and on events.
    pub id: ZoneId,
    /// As people call it.
    pub name: Option<String>,
    /// One end.
    pub from: Point,
    /// The other end.
    pub to: Point,
    /// A point on the side where forward crossings end up.
    pub towards: Point,
}

/// How the lamps of a signal head are arranged.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LampLayout {
    /// The first lamp on top.
    Vertical,
    /// The first lamp on the left.
    Horizontal,
}

/// The light of a lamp, whatever its shape: disc, arrow, person.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LampColour {
    /// Stop.
    Red,
    /// Clear the junction.
    Amber,
    /// Go.
    Green,
}

impl LampColour {
    /// The word as written in configurations.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Red => "red",
            Self::Amber => "amber",
            Self::Green => "green",
        }
    }
}

/// A signal head in the picture.
#[derive(Clone, Debug, PartialEq)]
pub struct Lamp {
    /// Where its lamps are, all of them and nothing else.
    pub region: NormBox,
    /// How they are arranged.
    pub layout: LampLayout,
    /// The lamps in that order, one to three. A green arrow of its own is one lamp.
    pub lamps: Vec<LampColour>,
}

/// A controller that publishes the state of a group.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MqttSignal {
    /// The topic, without wildcards.
    pub topic: String,
    /// The group's number with the controller (`signalGroup` of SPaT); without
    /// one, messages name the group as the configuration does.
    pub signal_group: Option<u8>,
    /// The junction's number with the controller, where a topic carries several.
    pub intersection: Option<u16>,
}

/// How old a word may be before it counts for nothing.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct StaleAfter {
    /// For looks at lamps.
    pub lamp: Seconds,
    /// For controllers and for recordings of unknown origin.
    pub controller: Seconds,
}

/// Lamps that always show the same phase, and who says what they show.
///
/// An arrow is a group of its own, per movement. Readings may also come with
/// recorded inputs, so a group with neither lamp nor topic is allowed when it
/// says `recorded = true`.
#[derive(Clone, Debug, PartialEq)]
pub struct SignalGroup {
    /// Its name in rules.
    pub group: SignalGroupId,
    /// Read from the picture.
    pub lamp: Option<Lamp>,
    /// Read from a controller.
    pub mqtt: Option<MqttSignal>,
    /// Readings come with recorded inputs only.
    pub recorded: bool,
    /// A reading older than this counts for nothing.
    pub stale_after: StaleAfter,
    /// Readings below this confidence count as "cannot tell", 0 to 1.
    pub min_confidence: f64,
    /// Over how long the majority of lamp readings is taken.
    pub majority_window_s: Seconds,
}

/// That a rule judges by a signal group, for whoever explains what it needs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SignalUse {
    /// The rule's id, as written.
    pub rule: String,
    /// The group's name, as written.
    pub group: String,
    /// Whether its technician says how far the clocks of controller and camera
    /// may differ.
    pub has_clock_margin: bool,
}

/// A stop line, and the signal that vehicles before it wait for.
#[derive(Clone, Debug, PartialEq)]
pub struct StopLine {
    /// Where.
    pub line: Line,
    /// For what.
    pub signal: SignalGroupId,
}

/// One kind of rule at one place with its parameters.
#[derive(Clone, Debug)]
pub struct RuleConfig {
    /// Its name on events.
    pub id: RuleId,
    /// Which kind, as in [`rules::catalogue`].
    pub kind: &'static str,
    /// What its events are called.
    pub title: Words,
    /// How much its events matter.
    pub severity: Severity,
    /// The zone or line that it watches.
    pub place: Option<ZoneId>,
    /// Classes that it cannot do without, see [`rules::RuleEntry::needs`].
    pub needs: &'static [ObjectClass],
    /// Road users of whom it can find something: its `classes`. Empty where it does not say.
    pub about: Vec<ObjectClass>,
    /// From an onset to its decision at least, s; 0 where it is decided at once.
    pub decided_after_s: f64,
    /// When it is on.
    pub schedule: Schedule,
    /// The rule itself, before it has seen anything.
    pub(crate) rule: Box<dyn Rule>,
}

/// A camera's scene.
#[derive(Clone, Debug, Default)]
pub struct SceneConfig {
    /// Areas.
    pub zones: Vec<Zone>,
    /// Directed lines.
    pub lines: Vec<Line>,
    /// Signal groups.
    pub signals: Vec<SignalGroup>,
    /// Where vehicles wait for a signal: every `[[approach]]`, and every line
    /// that a rule names together with a signal.
    pub stop_lines: Vec<StopLine>,
    /// How road users are followed.
    pub tracker: TrackerConfig,
    /// What is watched for.
    pub rules: Vec<RuleConfig>,
    /// Local time minus UTC, minutes; rules' hours are local.
    pub utc_offset_min: i64,
    /// Which rules judge by which signal groups.
    pub signal_uses: Vec<SignalUse>,
}

impl SceneConfig {
    /// The keys of a camera's table that belong to the scene; the others are the shell's.
    pub const KEYS: &'static [&'static str] = &[
        "zone",
        "line",
        "signal",
        "approach",
        "tracker",
        "rule",
        "utc_offset_min",
    ];

    /// Reads the scene's part of a camera's table.
    ///
    /// Returns what could be understood together with every fault. Only a
    /// configuration without faults is meant to be run.
    pub fn from_table(table: &toml::Table) -> (Self, Vec<Fault>) {
        let mut faults = Vec::new();
        let mut config = Self::default();
        let mut camera = Section::new(table, "", &mut faults);
        camera.each_table("zone", |section| {
            let zone = places::zone(section);
            config.zones.extend(zone);
        });
        camera.each_table("line", |section| {
            let line = places::line(section);
            config.lines.extend(line);
        });
        camera.each_table("signal", |section| {
            let signal = signal_groups::signal(section);
            config.signals.extend(signal);
        });
        if let Some(mut section) = camera.table("tracker") {
            config.tracker = TrackerConfig::read(&mut section);
            section.finish();
        }
        config.utc_offset_min = places::utc_offset(&mut camera);
        let utc_offset_min = config.utc_offset_min;
        camera.each_table("approach", |section| {
            let places = Places {
                utc_offset_min,
                table,
                zones: &config.zones,
                lines: &config.lines,
                signals: &config.signals,
            };
            config.stop_lines.extend(rules::approach(section, &places));
        });
        camera.each_table("rule", |section| {
            let places = Places {
                utc_offset_min,
                table,
                zones: &config.zones,
                lines: &config.lines,
                signals: &config.signals,
            };
            config.rules.extend(rules::read(section, &places));
            let stop_line = rules::stop_line(section, &places);
            config
                .stop_lines
                .extend(stop_line.filter(|line| !config.stop_lines.contains(line)));
        });
        config.signal_uses = signal_uses(table);
        unique(table, "zone", "id", &mut faults);
        unique(table, "line", "id", &mut faults);
        unique(table, "signal", "group", &mut faults);
        unique(table, "rule", "id", &mut faults);
        // Events name zones and lines in one field, so they share their names.
        let zones = names(table, "zone", "id");
        for (index, line) in names(table, "line", "id") {
            if zones.iter().any(|(_, zone)| *zone == line) {
                faults.push(Fault::new(
                    format!("line[{index}].id"),
                    format!("`{line}` is a zone already; zones and lines share their names, choose another"),
                ));
            }
        }
        (config, faults)
    }
}

fn signal_uses(table: &toml::Table) -> Vec<SignalUse> {
    let rules = table.get("rule").and_then(toml::Value::as_array);
    let use_of = |rule: &toml::Value| {
        Some(SignalUse {
            rule: rule.get("id")?.as_str()?.to_owned(),
            group: rule.get("signal")?.as_str()?.to_owned(),
            has_clock_margin: rule.get("clock_margin_s").is_some(),
        })
    };
    rules.into_iter().flatten().filter_map(use_of).collect()
}

impl SceneConfig {
    /// What the rules that measure will be good for with a calibration, or why
    /// they cannot measure and what to do about it; `aspect` is the picture's
    /// width over its height.
    pub fn outlooks(
        &self,
        calibration: Option<&Calibration>,
        aspect: f64,
    ) -> Result<Vec<(RuleId, Outlook)>, Fault> {
        let ground = calibration.map(Ground::new).transpose()?;
        let sight = Sight {
            aspect,
            ground: ground.as_ref(),
        };
        let of = |rule: &RuleConfig| Some((rule.id.clone(), rule.rule.outlook(&sight)?));
        Ok(self.rules.iter().filter_map(of).collect())
    }
}

/// The names in a list of tables, with their places, of faulty entries too.
fn names<'t>(table: &'t toml::Table, list: &str, key: &str) -> Vec<(usize, &'t str)> {
    let entries = table.get(list).and_then(toml::Value::as_array);
    entries
        .into_iter()
        .flatten()
        .enumerate()
        .filter_map(|(index, entry)| Some((index, entry.get(key)?.as_str()?)))
        .collect()
}

/// Complains of every name that was given before.
fn unique(table: &toml::Table, list: &str, key: &str, faults: &mut Vec<Fault>) {
    let names = names(table, list, key);
    for (position, (index, name)) in names.iter().enumerate() {
        if let Some((first, _)) = names[..position].iter().find(|(_, other)| other == name) {
            faults.push(Fault::new(
                format!("{list}[{index}].{key}"),
                format!("`{name}` is taken by {list}[{first}]; choose another"),
            ));
        }
    }
}

#[cfg(test)]
mod tests;
