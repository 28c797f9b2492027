//! A rule's own keys: described once, in a table that is the documentation,
//! the reader and the source of defaults.

use protocol::event::{Severity, Words};
use protocol::id::SignalGroupId;
use protocol::{ObjectClass, Point};

use crate::config::{Line, Number, Section, SignalGroup, Zone, listed, nearest};

/// One key of a rule.
#[derive(Clone, Copy, Debug)]
pub struct Param {
    /// As written in configuration, with its unit.
    pub key: &'static str,
    /// What may stand there.
    pub form: Form,
    /// What it means.
    pub meaning: &'static str,
}

/// What may stand at a key.
#[derive(Clone, Copy, Debug)]
pub enum Form {
    /// A number with unit, default and range.
    Number(Number),
    /// The id of a zone; must be given.
    Zone,
    /// Ids of zones; none by default.
    Zones,
    /// The id of a line; must be given.
    Line,
    /// Ids of lines; at least one.
    Lines,
    /// A signal group; must be given.
    Signal,
    /// A signal group, if there is one.
    OptionalSignal,
    /// A direction of travel, `[[x, y], [x, y]]` from → to; must be given.
    Direction,
    /// True or false; false by default.
    Flag,
    /// Classes of road users, with the default.
    Classes(&'static [ObjectClass]),
    /// One of these words; the first by default.
    Word(&'static [&'static str]),
    /// A condition, see [`facts`](super::facts); must be given.
    Condition,
}

impl Form {
    /// What may be written there, and what holds when nothing is: for lists of keys.
    pub fn in_words(&self) -> String {
        match self {
            Self::Number(number) => format!(
                "{}{}{}; {} to {}",
                number.default,
                if number.unit.is_empty() { "" } else { " " },
                number.unit,
                number.min,
                number.max
            ),
            Self::Zone => "id of a zone; needed".to_owned(),
            Self::Zones => "ids of zones; none".to_owned(),
            Self::Line => "id of a line; needed".to_owned(),
            Self::Lines => "ids of lines; needed".to_owned(),
            Self::Signal => "signal group; needed".to_owned(),
            Self::OptionalSignal => "signal group; none".to_owned(),
            Self::Direction => "[[x, y], [x, y]] from, to; needed".to_owned(),
            Self::Flag => "true or false; false".to_owned(),
            Self::Classes(classes) => {
                let names: Vec<&str> = classes.iter().map(|class| class.as_str()).collect();
                names.join(", ")
            }
            Self::Word(words) => words.join(", or "),
            Self::Condition => "a condition; needed".to_owned(),
        }
    }
}

impl Param {
    /// A number.
    pub const fn number(
        key: &'static str,
        (default, unit): (f64, &'static str),
        (min, max): (f64, f64),
        meaning: &'static str,
    ) -> Self {
        let form = Form::Number(Number {
            unit,
            default,
            min,
            max,
        });
        Self { key, form, meaning }
    }

    /// Anything else.
    pub const fn new(key: &'static str, form: Form, meaning: &'static str) -> Self {
        Self { key, form, meaning }
    }
}

/// Road users with an engine.
pub(crate) const MOTOR_VEHICLES: &[ObjectClass] = &[
    ObjectClass::Motorcycle,
    ObjectClass::Car,
    ObjectClass::Bus,
    ObjectClass::Truck,
];

/// Everything that drives, with an engine or without.
pub(crate) const WHEELS: &[ObjectClass] = &[
    ObjectClass::Bicycle,
    ObjectClass::Motorcycle,
    ObjectClass::Car,
    ObjectClass::Bus,
    ObjectClass::Truck,
];

/// What a rule may name: the camera's places that were read without fault,
/// and the names of all that were written.
#[derive(Clone, Copy, Debug)]
pub struct Places<'p> {
    /// The camera's table.
    pub table: &'p toml::Table,
    /// Areas.
    pub zones: &'p [Zone],
    /// Directed lines.
    pub lines: &'p [Line],
    /// Signal groups.
    pub signals: &'p [SignalGroup],
    /// Local time minus UTC, minutes.
    pub utc_offset_min: i64,
}

impl Places<'_> {
    /// Whether an entry of this name was written, right or wrong. A rule that
    /// names a faulty zone is not at fault itself.
    fn is_written(&self, list: &str, key: &str, name: &str) -> bool {
        self.table
            .get(list)
            .and_then(toml::Value::as_array)
            .into_iter()
            .flatten()
            .any(|entry| entry.get(key).and_then(toml::Value::as_str) == Some(name))
    }
}

/// A `[[rule]]` while its own keys are being read.
#[derive(Debug)]
pub struct Params<'s, 't> {
    section: &'s mut Section<'t>,
    table: &'static [Param],
    places: &'s Places<'s>,
}

impl<'s, 't> Params<'s, 't> {
    pub(super) fn new(
        section: &'s mut Section<'t>,
        table: &'static [Param],
        places: &'s Places<'s>,
    ) -> Self {
        for param in table {
            section.expect(param.key);
        }
        Self {
            section,
            table,
            places,
        }
    }

    fn form(&self, key: &str) -> Form {
        self.table
            .iter()
            .find(|param| param.key == key)
            .map(|param| param.form)
            .expect("a rule reads the keys of its own table only")
    }

    /// A number, within its range or the default.
    pub fn number(&mut self, key: &'static str) -> f64 {
        match self.form(key) {
            Form::Number(number) => self.section.number(key, number),
            _ => 0.0,
        }
    }

    /// Whether a key says true.
    pub fn flag(&mut self, key: &'static str) -> bool {
        self.section.flag(key)
    }

    /// Whether a key was written, for a default that depends on what is seen.
    pub fn is_written(&self, key: &'static str) -> bool {
        self.section.has(key)
    }

    /// The zone named at a key.
    pub fn zone(&mut self, key: &'static str) -> Option<Zone> {
        let name = self.section.required_text(key, "carriageway")?;
        self.find_zone(key, name)
    }

    /// The zones named at a key.
    pub fn zones(&mut self, key: &'static str) -> Option<Vec<Zone>> {
        let names = self.section.texts(key)?;
        names
            .into_iter()
            .map(|name| self.find_zone(key, name))
            .collect()
    }

    fn find_zone(&mut self, key: &'static str, name: &str) -> Option<Zone> {
        let found = self.places.zones.iter().find(|z| z.id.as_str() == name);
        if found.is_none() && !self.places.is_written("zone", "id", name) {
            let known: Vec<&str> = self.places.zones.iter().map(|z| z.id.as_str()).collect();
            self.section.fault(key, unknown("zone", name, &known));
        }
        found.cloned()
    }

    /// The line named at a key.
    pub fn line(&mut self, key: &'static str) -> Option<Line> {
        let name = self.section.required_text(key, "stop-line")?;
        self.find_line(key, name)
    }

    /// The lines named at a key, at least one.
    pub fn lines(&mut self, key: &'static str) -> Option<Vec<Line>> {
        if !self.section.require(key, "[\"centre-line\"]") {
            return None;
        }
        let names = self.section.texts(key)?;
        if names.is_empty() {
            self.section.fault(key, "is empty; name at least one line");
            return None;
        }
        names
            .into_iter()
            .map(|name| self.find_line(key, name))
            .collect()
    }

    fn find_line(&mut self, key: &'static str, name: &str) -> Option<Line> {
        let found = self.places.lines.iter().find(|l| l.id.as_str() == name);
        if found.is_none() && !self.places.is_written("line", "id", name) {
            let known: Vec<&str> = self.places.lines.iter().map(|l| l.id.as_str()).collect();
            self.section.fault(key, unknown("line", name, &known));
        }
        found.cloned()
    }

    /// The signal group named at a key.
    pub fn signal(&mut self, key: &'static str) -> Option<SignalGroupId> {
        let name = self.section.required_text(key, "north")?;
        let mut signals = self.places.signals.iter();
        let found = signals.find(|s| s.group.as_str() == name);
        if found.is_none() && !self.places.is_written("signal", "group", name) {
            let known: Vec<&str> = self
                .places
                .signals
                .iter()
                .map(|s| s.group.as_str())
                .collect();
            self.section
                .fault(key, unknown("signal group", name, &known));
        }
        found.map(|signal| signal.group.clone())
    }

    /// The signal group named at a key, if the key is there. `None`: it is
    /// there and wrong.
    #[allow(clippy::option_option)] // absent and wrong are two things
    pub fn optional_signal(&mut self, key: &'static str) -> Option<Option<SignalGroupId>> {
        if self.is_written(key) {
            self.signal(key).map(Some)
        } else {
            Some(None)
        }
    }

    /// One of the words of the key's form, or the first of them.
    pub fn word(&mut self, key: &'static str) -> Option<&'static str> {
        let Form::Word(words) = self.form(key) else {
            return None;
        };
        let default = words.first().copied();
        if !self.section.has(key) {
            return default;
        }
        let text = self.section.text(key)?;
        let found = words.iter().find(|word| **word == text).copied();
        if found.is_none() {
            self.section.fault(key, unknown("choice", text, words));
        }
        found
    }

    /// Text that must be there.
    pub fn text(&mut self, key: &'static str, example: &str) -> Option<&'t str> {
        self.section.required_text(key, example)
    }

    /// Notes a fault at a key, for what only the rule can know.
    pub fn fault(&mut self, key: &'static str, message: impl Into<String>) {
        self.section.fault(key, message);
    }

    /// The camera's places.
    pub fn places(&self) -> &'s Places<'s> {
        self.places
    }

    /// Two points: from → to.
    pub fn direction(&mut self, key: &'static str) -> Option<(Point, Point)> {
        if !self.section.require(key, "[[0.5, 0.9], [0.5, 0.4]]") {
            return None;
        }
        let points = self.section.points(key)?;
        let &[from, to] = points.as_slice() else {
            self.section.fault(
                key,
                format!("has {} points; write two, from → to", points.len()),
            );
            return None;
        };
        if (from.x - to.x).abs() + (from.y - to.y).abs() < 0.01 {
            self.section
                .fault(key, "leads nowhere; move its two points apart");
            return None;
        }
        Some((from, to))
    }

    /// Classes of road users, or the default.
    pub fn classes(&mut self, key: &'static str) -> Option<Vec<ObjectClass>> {
        let Form::Classes(default) = self.form(key) else {
            return None;
        };
        if !self.section.has(key) {
            return Some(default.to_vec());
        }
        let names = self.section.texts(key)?;
        if names.is_empty() {
            self.section
                .fault(key, "is empty; leave it out for the default");
            return None;
        }
        let known = ROAD_USERS.map(ObjectClass::as_str);
        let mut classes = Vec::new();
        for name in names {
            let Some(class) = ROAD_USERS.iter().find(|class| class.as_str() == name) else {
                self.section
                    .fault(key, unknown("class of road user", name, &known));
                return None;
            };
            classes.push(*class);
        }
        Some(classes)
    }
}

/// What may be named as a road user.
pub(crate) const ROAD_USERS: [ObjectClass; 8] = [
    ObjectClass::Person,
    ObjectClass::Bicycle,
    ObjectClass::Motorcycle,
    ObjectClass::Car,
    ObjectClass::Bus,
    ObjectClass::Truck,
    ObjectClass::Train,
    ObjectClass::Animal,
];

/// `there is no zone X` with the nearest, or with all there are.
pub(super) fn unknown(what: &str, name: &str, known: &[&str]) -> String {
    let name: String = name.chars().take(80).collect();
    match nearest(&name, known) {
        Some(near) => format!(
            "there is no {what} `{name}`; did you mean `{near}`? known are {}",
            listed(known)
        ),
        None if known.is_empty() => format!("there is no {what} `{name}`, and no other; add one"),
        None => format!("there is no {what} `{name}`; known are {}", listed(known)),
    }
}

/// The keys by which a rule waits before it decides, in seconds.
const WAITS: [&str; 3] = ["min_dwell_s", "min_duration_s", "for_s"];

/// From an onset to its decision at least, s: what the rule's key of [`WAITS`] says.
pub(super) fn decided_after_s(section: &Section<'_>, params: &[Param]) -> f64 {
    let waits = params.iter().filter(|param| WAITS.contains(&param.key));
    let seconds = waits.filter_map(|param| match param.form {
        Form::Number(number) => Some(section.peek_number(param.key).unwrap_or(number.default)),
        _ => None,
    });
    seconds.fold(0.0, f64::max)
}

/// The road users that a rule with these keys is about: its `classes`, if it has them.
pub(super) fn about(section: &Section<'_>, params: &[Param]) -> Vec<ObjectClass> {
    let default = params.iter().find_map(|param| match param.form {
        Form::Classes(default) if param.key == "classes" => Some(default),
        _ => None,
    });
    let Some(default) = default else {
        return Vec::new();
    };
    match section.peek_texts("classes") {
        Some(names) => (ROAD_USERS.into_iter())
            .filter(|class| names.contains(&class.as_str()))
            .collect(),
        None => default.to_vec(),
    }
}

/// `title = "..."` for both languages, or `title = { vi = "...", en = "..." }`.
pub(super) fn title(section: &mut Section<'_>, default: (&str, &str)) -> Words {
    let default = super::words(default);
    match section.value("title") {
        None => default,
        Some(toml::Value::Table(_)) => section.table("title").map_or(default, |mut both| {
            let vi = both.required_text("vi", "Xe dừng trên làn đường");
            let en = both.required_text("en", "Stopped vehicle");
            let title = Words::new(vi.unwrap_or_default(), en.unwrap_or_default());
            both.finish();
            title
        }),
        Some(_) => section
            .text("title")
            .map_or(default, |text| Words::new(text, text)),
    }
}

/// `severity = "info" | "minor" | "major" | "critical"`.
pub(super) fn severity(section: &mut Section<'_>, default: Severity) -> Severity {
    match section.text("severity") {
        None => default,
        Some("info") => Severity::Info,
        Some("minor") => Severity::Minor,
        Some("major") => Severity::Major,
        Some("critical") => Severity::Critical,
        Some(other) => {
            let known = ["info", "minor", "major", "critical"];
            section.fault("severity", unknown("severity", other, &known));
            default
        }
    }
}
