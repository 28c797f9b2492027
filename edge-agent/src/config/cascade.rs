//! `[[camera.cascade]]`: models that take a second look at some road users, or
//! at the whole picture, and what they are to look for.
//!
//! What a cascade gives is written down and not taken from its model, so that a
//! replay knows it on a machine without the model. That the model can give it is
//! checked before the box starts.

use edge_cascade::{Crop, Facing, Looks};
use edge_core::marks::is_mark;
use edge_core::rules::Form;
use edge_core::{CascadeUse, RuleConfig};
use protocol::ObjectClass;
use protocol::id::CascadeId;
use serde::Deserialize;
use toml::{Table, Value};

use super::faults::ConfigFault;
use super::section;

/// One `[[camera.cascade]]`.
#[derive(Clone, Debug, PartialEq)]
pub struct CascadeConfig {
    /// Its name.
    pub id: CascadeId,
    /// Its key in the file, for example `camera[0].cascade[1]`.
    pub path: String,
    /// What looks.
    pub looker: Looker,
    /// Whom it looks at, which part of them, and how often.
    pub looks: Looks,
    /// Which marks it gives.
    pub gives: Vec<ObjectClass>,
}

/// What takes a cascade's looks.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Looker {
    /// A detector or a classifier, `MODEL` or `MODEL@VERSION`.
    Model(String),
    /// The reader of number plates.
    Plates,
}

impl CascadeConfig {
    /// Which marks of its model are heard: what it gives, and what speaks for a road user against
    /// that, if the model knows it. `gives = "no_helmet"` says what accuses; helmets that the model
    /// saw must not be lost as if it had seen nothing.
    pub fn heard(&self) -> Vec<ObjectClass> {
        let mut heard = self.gives.clone();
        for (accuses, clears) in [
            (ObjectClass::NoHelmet, ObjectClass::Helmet),
            (ObjectClass::NoSeatBelt, ObjectClass::SeatBelt),
        ] {
            if heard.contains(&accuses) && !heard.contains(&clears) {
                heard.push(clears);
            }
        }
        heard
    }

    /// What the scene is to know of it.
    pub fn used(&self) -> CascadeUse {
        CascadeUse {
            id: self.id.clone(),
            on: self.looks.on.clone(),
            gives: self.gives.clone(),
            reads_plates: self.looker == Looker::Plates,
        }
    }

    /// Why a rule that rests on what it gives would never fire: more looks must
    /// speak against somebody than it takes.
    pub(super) fn doubt(&self, rule: &RuleConfig, table: Option<&Table>) -> Option<String> {
        let is_fed = rule.needs.iter().any(|class| self.gives.contains(class));
        let kind = edge_core::rule_catalogue()
            .iter()
            .find(|k| k.kind == rule.kind)?;
        let usual = kind.params.iter().find(|param| param.key == "min_looks")?;
        let written = table.and_then(|table| table.get("min_looks"));
        let least = match written {
            Some(Value::Integer(looks)) => *looks as f64,
            Some(Value::Float(looks)) => *looks,
            _ => match usual.form {
                Form::Number(number) => number.default,
                _ => return None,
            },
        };
        (is_fed && !self.looks.on.is_empty() && least > self.looks.most as f64).then(|| {
            format!(
                "rule `{}` wants {least} looks against somebody and cascade `{}` takes at most {}: \
                 it can never fire; raise `most_looks` of the cascade or lower `min_looks` of the rule",
                rule.id, self.id, self.looks.most
            )
        })
    }
}

/// As written.
#[derive(Debug, Deserialize)]
struct CascadeKeys {
    id: CascadeId,
    model: Option<String>,
    gives: Words,
    on: Option<Words>,
    crop: Option<String>,
    margin: Option<f64>,
    looks: Option<u32>,
    most_looks: Option<u32>,
    apart_s: Option<f64>,
    every_s: Option<f64>,
    min_height_px: Option<f64>,
    min_sharpness: Option<f64>,
    facing: Option<String>,
    most_per_s: Option<f64>,
}

/// One word or several.
#[derive(Debug, Deserialize)]
#[serde(untagged, expecting = "a word in quotes, or a list of words")]
enum Words {
    One(String),
    Several(Vec<String>),
}

impl Words {
    fn list(&self) -> &[String] {
        match self {
            Self::One(word) => std::slice::from_ref(word),
            Self::Several(words) => words,
        }
    }
}

/// Whom a cascade may look at.
const ROAD_USERS: [ObjectClass; 8] = [
    ObjectClass::Person,
    ObjectClass::Bicycle,
    ObjectClass::Motorcycle,
    ObjectClass::Car,
    ObjectClass::Bus,
    ObjectClass::Truck,
    ObjectClass::Train,
    ObjectClass::Animal,
];
const TWO_WHEELERS: [ObjectClass; 2] = [ObjectClass::Bicycle, ObjectClass::Motorcycle];
const CARS: [ObjectClass; 3] = [ObjectClass::Car, ObjectClass::Bus, ObjectClass::Truck];

/// Keys that say how somebody is looked at; the whole picture has only `every_s`.
const OF_SOMEBODY: &[&str] = &[
    "crop",
    "margin",
    "looks",
    "most_looks",
    "apart_s",
    "min_height_px",
    "min_sharpness",
    "facing",
    "most_per_s",
];

/// All cascades of a camera that can be read.
pub(super) fn read_cascades(
    value: Option<&Value>,
    camera: &str,
    faults: &mut Vec<ConfigFault>,
) -> Vec<CascadeConfig> {
    let mut push = |path: String, message: String| {
        faults.push(ConfigFault {
            line: None,
            path,
            message,
        });
    };
    let list = match value {
        None => return Vec::new(),
        Some(Value::Array(list)) => list,
        Some(_) => {
            let message = "cascades are a list; write [[camera.cascade]] with two brackets";
            push(section::join(camera, "cascade"), message.to_owned());
            return Vec::new();
        }
    };
    let mut cascades: Vec<CascadeConfig> = Vec::new();
    for (index, value) in list.iter().enumerate() {
        let at = section::join(camera, &format!("cascade[{index}]"));
        let Some(table) = value.as_table() else {
            let message = "a cascade is a table; write [[camera.cascade]]".to_owned();
            faults.push(ConfigFault {
                line: None,
                path: at,
                message,
            });
            continue;
        };
        let Some(keys) = section::read::<CascadeKeys>(table, &at, faults) else {
            continue;
        };
        let mut refused = Vec::new();
        let read = keys.read(&at, table, &mut refused);
        faults.extend(refused.into_iter().map(|(key, message)| ConfigFault {
            line: None,
            path: section::join(&at, key),
            message,
        }));
        let Some(cascade) = read else { continue };
        let mut clash = |key: &str, message: String| {
            faults.push(ConfigFault {
                line: None,
                path: section::join(&at, key),
                message,
            });
        };
        for other in &cascades {
            if other.id == cascade.id {
                let message = format!("`{}` is taken by {}; choose another", other.id, other.path);
                clash("id", message);
            }
            let shared = |class: &&ObjectClass| other.looks.on.contains(class);
            let both_read = other.looker == Looker::Plates && cascade.looker == Looker::Plates;
            if let Some(class) = cascade.looks.on.iter().find(shared).filter(|_| both_read) {
                let message = format!(
                    "cascade `{}` reads the plates of `{class}` already; one picture would vote twice",
                    other.id
                );
                clash("on", message);
            }
        }
        cascades.push(cascade);
    }
    cascades
}

type Refused = Vec<(&'static str, String)>;

impl CascadeKeys {
    fn read(&self, at: &str, table: &Table, refused: &mut Refused) -> Option<CascadeConfig> {
        let reads_plates = matches!(&self.gives, Words::One(word) if word == "plate_text");
        let gives = if reads_plates {
            vec![ObjectClass::Plate]
        } else {
            classes("gives", self.gives.list(), is_mark, refused)
        };
        let looker = match (&self.model, reads_plates) {
            (None, true) => Looker::Plates,
            (Some(_), true) => {
                let message = "plates are read by what `find` and `read` under [detector.plates] name, PP-OCR if they are left out; take `model` out";
                refused.push(("model", message.to_owned()));
                Looker::Plates
            }
            (Some(model), false) => Looker::Model(model.clone()),
            (None, false) => {
                let message = "is missing: a detector or classifier of `edge-agent models list` that gives what `gives` says";
                refused.push(("model", message.to_owned()));
                Looker::Model(String::new())
            }
        };
        let looks = match &self.on {
            Some(on) => {
                let is_road_user = |class| ROAD_USERS.contains(&class);
                let on = classes("on", on.list(), is_road_user, refused);
                self.of_somebody(on, reads_plates, refused)
            }
            None => self.of_the_picture(table, reads_plates, refused),
        };
        let burning = [ObjectClass::Fire, ObjectClass::Smoke];
        if self.on.is_some() && gives.iter().any(|class| burning.contains(class)) {
            let message = "fire and smoke are nobody's; take `on` out, so that the whole picture is looked at";
            refused.push(("on", message.to_owned()));
        }
        refused.is_empty().then(|| CascadeConfig {
            id: self.id.clone(),
            path: at.to_owned(),
            looker,
            looks,
            gives,
        })
    }

    fn of_somebody(
        &self,
        on: Vec<ObjectClass>,
        reads_plates: bool,
        refused: &mut Refused,
    ) -> Looks {
        let crop = word(
            "crop",
            self.crop.as_deref(),
            Crop::of_word,
            &Crop::ALL,
            refused,
        );
        let crop = crop.unwrap_or(Crop::Whole);
        let is_glass = matches!(crop, Crop::Windscreen | Crop::Driver);
        let facing = word(
            "facing",
            self.facing.as_deref(),
            Facing::of_word,
            &Facing::ALL,
            refused,
        );
        let usual = if is_glass {
            Facing::Towards
        } else {
            Facing::Any
        };
        let facing = facing.unwrap_or(usual);
        let mut fit = |key, allowed: &[ObjectClass], what: &str| {
            if let Some(class) = on.iter().find(|class| !allowed.contains(class)) {
                refused.push((key, format!("`{class}` has no {what}")));
            }
        };
        match crop {
            Crop::Riders => fit(
                "crop",
                &TWO_WHEELERS,
                "riders; write `upper` for a person's head",
            ),
            Crop::Windscreen | Crop::Driver => fit("crop", &CARS, "windscreen"),
            Crop::Whole | Crop::Upper | Crop::Lower => {}
        }
        if reads_plates {
            let vehicles = [&TWO_WHEELERS[..], &CARS].concat();
            fit("on", &vehicles, "plate");
        }
        if is_glass && facing != Facing::Towards {
            let message =
                "a windscreen is seen of vehicles that come towards the camera; take `facing` out";
            refused.push(("facing", message.to_owned()));
        }
        if self.every_s.is_some() {
            let message = "is for cascades that look at the whole picture; here `apart_s` says how far apart looks are";
            refused.push(("every_s", message.to_owned()));
        }
        let wanted = number(
            "looks",
            self.looks.map(f64::from),
            5.0,
            (1.0, 30.0),
            refused,
        );
        let twice = (2.0 * wanted).min(60.0);
        let most = number(
            "most_looks",
            self.most_looks.map(f64::from),
            twice,
            (1.0, 60.0),
            refused,
        );
        if most < wanted {
            refused.push(("most_looks", format!("is at least `looks`, {wanted}")));
        }
        // A plate needs about 12 pixels for a row of characters, and is a tenth of a vehicle.
        let height = if reads_plates { 120.0 } else { 48.0 };
        // The reader looks around the vehicle by itself.
        let around = if reads_plates { 0.0 } else { 0.05 };
        #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)] // held within a range
        let whole = |value: f64| value as usize;
        Looks {
            on,
            crop,
            margin: number("margin", self.margin, around, (0.0, 1.0), refused),
            wanted: whole(wanted),
            most: whole(most),
            // Looks closer to each other are one vote in every ballot.
            apart_s: number("apart_s", self.apart_s, 0.3, (0.2, 10.0), refused),
            min_height_px: number(
                "min_height_px",
                self.min_height_px,
                height,
                (8.0, 2160.0),
                refused,
            ),
            min_sharpness: number(
                "min_sharpness",
                self.min_sharpness,
                0.0,
                (0.0, 10.0),
                refused,
            ),
            facing,
            needs_ground: !reads_plates,
            most_per_s: number("most_per_s", self.most_per_s, 5.0, (0.1, 100.0), refused),
        }
    }

    fn of_the_picture(&self, table: &Table, reads_plates: bool, refused: &mut Refused) -> Looks {
        if reads_plates {
            let message =
                "is missing: whose plates are read, for example [\"car\", \"motorcycle\"]";
            refused.push(("on", message.to_owned()));
        }
        for key in OF_SOMEBODY.iter().filter(|key| table.contains_key(**key)) {
            let message = "is for cascades that look at somebody; say at whom with `on`";
            refused.push((key, message.to_owned()));
        }
        Looks {
            on: Vec::new(),
            crop: Crop::Whole,
            margin: 0.0,
            wanted: 0,
            most: 0,
            // Fire that was not seen for two seconds is another fire.
            apart_s: number("every_s", self.every_s, 1.0, (0.2, 1.5), refused),
            min_height_px: 0.0,
            min_sharpness: 0.0,
            facing: Facing::Any,
            needs_ground: false,
            most_per_s: 100.0,
        }
    }
}

fn number(
    key: &'static str,
    value: Option<f64>,
    usual: f64,
    (least, most): (f64, f64),
    refused: &mut Refused,
) -> f64 {
    match value {
        None => usual,
        Some(value) if (least..=most).contains(&value) => value,
        Some(_) => {
            refused.push((
                key,
                format!("is between {least} and {most}; {usual} is usual"),
            ));
            usual
        }
    }
}

fn word<T: Copy>(
    key: &'static str,
    written: Option<&str>,
    of_word: impl Fn(&str) -> Option<T>,
    all: &[(&'static str, T)],
    refused: &mut Refused,
) -> Option<T> {
    let written = written?;
    let found = of_word(written);
    if found.is_none() {
        let words: Vec<&str> = all.iter().map(|(word, _)| *word).collect();
        let message = format!("`{written}` is none of {}", words.join(", "));
        refused.push((key, message));
    }
    found
}

/// Classes by their words, each once.
fn classes(
    key: &'static str,
    words: &[String],
    is_allowed: impl Fn(ObjectClass) -> bool,
    refused: &mut Refused,
) -> Vec<ObjectClass> {
    let mut classes = Vec::new();
    for word in words {
        let class = serde_json::from_value(word.clone().into()).unwrap_or(ObjectClass::Other);
        // What has no word becomes `other`, which nothing here means.
        if class == ObjectClass::Other || !is_allowed(class) {
            let what = if key == "gives" {
                "no mark; write \"plate_text\" to read plates, or some of helmet, no_helmet, plate, \
                 face, phone, seat_belt, no_seat_belt, fire, smoke"
            } else {
                "no road user; write some of person, bicycle, motorcycle, car, bus, truck, train, animal"
            };
            refused.push((key, format!("`{word}` is {what}")));
        } else if !classes.contains(&class) {
            classes.push(class);
        }
    }
    if words.is_empty() {
        refused.push((key, "is empty".to_owned()));
    }
    classes
}
#[cfg(test)]
mod tests;
