//! What is on the wire, kept as files for ever.
//!
//! `v1/*.json` are messages as they are sent, laid out for reading. Today's
//! code writes exactly these (`UPDATE_EXPECT=1 cargo test -p protocol` after a
//! deliberate change, then read the diff); it reads these and every older one
//! in the folder; and each satisfies its schema in `protocol/schema/`. A
//! message that is no longer written stays in the folder: boxes in the field
//! may still send it.

#![allow(clippy::unwrap_used)] // this is how a test fails
#![allow(clippy::disallowed_methods)] // the fixtures are files; the ban is for the crate

mod messages;

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use expect_test::expect_file;
use protocol::envelope::{
    BOX_STATUS_TYPE, CAMERA_STATUS_TYPE, EVENT_TYPE, EVIDENCE_TYPE, MAX_ENVELOPE_BYTES,
};
use protocol::status::{BoxStatus, CameraStatus};
use protocol::{Envelope, Event, EvidenceLocks, EvidenceManifest, Receipt, SignalReading};
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

fn folder(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(name)
}

fn json_files(folder: &Path) -> BTreeMap<String, Value> {
    fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.extension().is_some_and(|e| e == "json"))
        .map(|path| {
            let name = path.file_stem().unwrap().to_string_lossy().into_owned();
            let value = serde_json::from_str(&fs::read_to_string(&path).unwrap())
                .unwrap_or_else(|e| panic!("{name}: {e}"));
            (name, value)
        })
        .collect()
}

fn fixtures() -> BTreeMap<String, Value> {
    json_files(&folder("tests/wire/v1"))
}

/// What a message is, by what it says of itself.
#[derive(Clone, Copy)]
enum Sort {
    Event,
    Evidence,
    CameraStatus,
    BoxStatus,
    Receipt,
    Locks,
    Signal,
}

fn sort_of(message: &Value) -> Sort {
    match message["type"].as_str() {
        Some(EVENT_TYPE) => Sort::Event,
        Some(EVIDENCE_TYPE) => Sort::Evidence,
        Some(CAMERA_STATUS_TYPE) => Sort::CameraStatus,
        Some(BOX_STATUS_TYPE) => Sort::BoxStatus,
        None if message.get("through").is_some() => Sort::Receipt,
        None if message.get("locked").is_some() => Sort::Locks,
        None if message.get("group").is_some() => Sort::Signal,
        other => panic!("a message of no known type: {other:?}"),
    }
}

/// Reads a message as what it is and writes it again.
fn there_and_back(message: &Value, sort: Sort) -> Result<Value, serde_json::Error> {
    fn pass<T: Serialize + DeserializeOwned>(message: &Value) -> Result<Value, serde_json::Error> {
        // By way of text, as on the wire.
        let read: T = serde_json::from_str(&message.to_string())?;
        serde_json::to_value(read)
    }
    match sort {
        Sort::Event => pass::<Envelope<Event>>(message),
        Sort::Evidence => pass::<Envelope<EvidenceManifest>>(message),
        Sort::CameraStatus => pass::<Envelope<CameraStatus>>(message),
        Sort::BoxStatus => pass::<Envelope<BoxStatus>>(message),
        Sort::Receipt => pass::<Receipt>(message),
        Sort::Locks => pass::<EvidenceLocks>(message),
        Sort::Signal => pass::<SignalReading>(message),
    }
}

#[test]
fn todays_code_writes_exactly_these_messages() {
    for (name, message) in messages::all() {
        let mut text = message.pretty().unwrap();
        text.push('\n');
        expect_file![folder("tests/wire/v1").join(format!("{name}.json"))].assert_eq(&text);
    }
}

#[test]
fn every_message_ever_sent_reads_back_as_it_was() {
    let fixtures = fixtures();
    assert!(
        fixtures.len() >= messages::all().len(),
        "fixtures are never deleted"
    );
    for (name, message) in fixtures {
        let again =
            there_and_back(&message, sort_of(&message)).unwrap_or_else(|e| panic!("{name}: {e}"));
        assert_eq!(again, message, "{name}");
        assert!(message.to_string().len() < MAX_ENVELOPE_BYTES, "{name}");
    }
}

/// A field of the future in every object, except where any key is content.
fn with_unknown_fields(value: &Value) -> Value {
    match value {
        Value::Object(fields) => {
            let mut fields: serde_json::Map<_, _> = fields
                .iter()
                .map(|(key, value)| {
                    let value = if key == "facts" || key == "unwatched_s" {
                        value.clone()
                    } else {
                        with_unknown_fields(value)
                    };
                    (key.clone(), value)
                })
                .collect();
            fields.insert("fromthefuture".to_owned(), json!({"a": [1, null]}));
            Value::Object(fields)
        }
        Value::Array(items) => items.iter().map(with_unknown_fields).collect(),
        other => other.clone(),
    }
}

#[test]
fn fields_of_the_future_are_ignored() {
    for (name, message) in fixtures() {
        let again = there_and_back(&with_unknown_fields(&message), sort_of(&message))
            .unwrap_or_else(|e| panic!("{name}: {e}"));
        assert_eq!(again, message, "{name}");
    }
}

struct Schemas(BTreeMap<String, jsonschema::Validator>);

impl Schemas {
    fn load() -> Self {
        let schemas = json_files(&folder("schema"))
            .into_iter()
            .map(|(file, schema)| {
                let urn = schema["$id"]
                    .as_str()
                    .unwrap_or_else(|| panic!("{file} has no $id"));
                let (name, version) = file.split_once(".v").expect("NAME.vVERSION.json");
                assert_eq!(urn, format!("urn:ngatu:schema:{name}:{version}"), "{file}");
                jsonschema::meta::validate(&schema).unwrap_or_else(|e| panic!("{file}: {e}"));
                let validator = jsonschema::options()
                    .should_validate_formats(true)
                    .build(&schema)
                    .unwrap_or_else(|e| panic!("{file}: {e}"));
                (urn.to_owned(), validator)
            });
        Self(schemas.collect())
    }

    /// Every fault of a message against the schema of its envelope and that of its content.
    fn faults(&self, message: &Value, sort: Sort) -> Vec<String> {
        let urn = |name: &str| format!("urn:ngatu:schema:{name}:1");
        match sort {
            Sort::Receipt => self.faults_of(&urn("receipt"), message),
            Sort::Locks => self.faults_of(&urn("locks"), message),
            Sort::Signal => self.faults_of(&urn("signal-reading"), message),
            _ => {
                let mut faults = self.faults_of(&urn("envelope"), message);
                let content = message["dataschema"].as_str().unwrap_or_default();
                faults.extend(self.faults_of(content, &message["data"]));
                faults
            }
        }
    }

    fn faults_of(&self, urn: &str, value: &Value) -> Vec<String> {
        let validator = self.0.get(urn).unwrap_or_else(|| panic!("no schema {urn}"));
        validator
            .iter_errors(value)
            .map(|e| format!("{urn} at {}: {e}", e.instance_path()))
            .collect()
    }
}

#[test]
fn every_message_satisfies_its_schema_and_so_does_a_future_one() {
    let schemas = Schemas::load();
    for (name, message) in fixtures() {
        for message in [with_unknown_fields(&message), message] {
            let faults = schemas.faults(&message, sort_of(&message));
            assert_eq!(faults, Vec::<String>::new(), "{name}");
        }
    }
}

#[test]
fn the_schemas_refuse_what_is_wrong() {
    let schemas = Schemas::load();
    let fixtures = fixtures();
    for (fixture, pointer, wrong) in [
        (
            "event-stopped-vehicle-1-start",
            "/specversion",
            json!("0.3"),
        ),
        ("event-stopped-vehicle-1-start", "/sequence", json!(7)),
        ("event-stopped-vehicle-1-start", "/sequence", json!("0")),
        ("event-stopped-vehicle-1-start", "/outbox", json!("mine")),
        ("event-stopped-vehicle-1-start", "/time", json!("yesterday")),
        ("event-stopped-vehicle-1-start", "/source", json!("/a/../c")),
        ("event-stopped-vehicle-1-start", "/data/id", json!("1")),
        ("event-stopped-vehicle-1-start", "/data/revision", json!(0)),
        (
            "event-stopped-vehicle-1-start",
            "/data/phase",
            json!("middle"),
        ),
        (
            "event-stopped-vehicle-1-start",
            "/data/onset",
            json!("2026-11-22T01:00:00Z"),
        ),
        (
            "event-stopped-vehicle-1-start",
            "/data/actors/0/score",
            json!(1.5),
        ),
        (
            "event-stopped-vehicle-1-start",
            "/data/actors/0/box",
            json!([0, 0, 1]),
        ),
        (
            "event-stopped-vehicle-1-start",
            "/data/facts/dwell_s",
            json!(null),
        ),
        (
            "event-stopped-vehicle-1-start",
            "/data/explanation",
            json!([]),
        ),
        (
            "event-stopped-vehicle-1-start",
            "/data/explanation/0/comparison",
            json!("≥"),
        ),
        ("evidence-manifest", "/data/items/0/sha256", json!("ab")),
        ("evidence-manifest", "/data/items/0/length", json!(-1)),
        ("camera-status-lost", "/data/health", json!("fine")),
        ("camera-status-lost", "/data/analysed_fps", json!(null)),
        ("box-status-online", "/data/online", json!("yes")),
        ("receipt", "/through", json!("12")),
        ("signal-reading", "/state", json!("blue")),
    ] {
        let mut message = fixtures[fixture].clone();
        let sort = sort_of(&message);
        *message
            .pointer_mut(pointer)
            .unwrap_or_else(|| panic!("{fixture} has no {pointer}")) = wrong.clone();
        assert!(
            !schemas.faults(&message, sort).is_empty(),
            "{fixture}: {pointer} = {wrong} was taken"
        );
    }
}

/// What the schema calls required, the code cannot read a message without,
/// unless it has a default for it.
#[test]
fn a_missing_field_is_refused_by_schema_and_code_alike() {
    let schemas = Schemas::load();
    let defaulted = [
        "/data/outbox_waiting",
        "/data/actors",
        "/data/facts",
        "/data/provenance",
    ];
    for (name, message) in fixtures() {
        let mut places: Vec<String> = keys(&message, "");
        if message.get("data").is_some() {
            places.extend(keys(&message["data"], "/data"));
        }
        for place in places {
            let mut without = message.clone();
            let (parent, key) = place.rsplit_once('/').unwrap();
            without
                .pointer_mut(parent)
                .unwrap()
                .as_object_mut()
                .unwrap()
                .remove(key);
            if key == "type" {
                continue; // Nothing is left that says what it is.
            }
            let is_refused = there_and_back(&without, sort_of(&message)).is_err();
            let has_faults =
                key == "dataschema" || !schemas.faults(&without, sort_of(&message)).is_empty();
            let is_delivery = ["outbox", "sequence", "sequencefloor"].contains(&key);
            if !defaulted.contains(&place.as_str()) && !is_delivery {
                assert_eq!(is_refused, has_faults, "{name} without {place}");
            }
        }
    }
}

fn keys(value: &Value, under: &str) -> Vec<String> {
    let fields = value.as_object().unwrap();
    fields.keys().map(|key| format!("{under}/{key}")).collect()
}
