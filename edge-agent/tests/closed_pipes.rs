//! Whoever reads what a command prints may go before its end (`| head -1`, `2>&1 | head -1`):
//! no command takes that for a fault, or even dies of it.

#![allow(clippy::unwrap_used)] // a test that cannot go on says where it stands

mod support;

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use case_bundle::manifest::{AgentVersion, CASE_SCHEMA, CaseManifest};
use case_bundle::{BoxKey, ChainLink, Clock, Sealed};
use protocol::{Envelope, Event};
use support::{agent, binary, installed, repository, write};

/// Somebody walks on the road for as long as there are pictures.
const CONFIG: &str = r#"
[box]
site = "test"
id = "box-1"
[store]
dir = "store"
[[camera]]
id = "c"
source = { recording = "walker.jsonl" }
simulated = true
[[camera.zone]]
id = "road"
points = [[0.0, 0.0], [1.0, 0.0], [1.0, 1.0], [0.0, 1.0]]
[[camera.rule]]
id = "people"
kind = "pedestrian_on_carriageway"
zone = "road"
min_duration_s = 1.0
"#;

/// Everything that the commands below are about, in one folder.
struct Desk(tempfile::TempDir);

impl Desk {
    fn new() -> Self {
        let desk = Self(tempfile::tempdir().unwrap());
        let walker: Vec<String> = (0..60_u32)
            .map(|frame| {
                let (time, x) = (f64::from(frame) / 10.0, 0.1 + 0.01 * f64::from(frame));
                format!(
                    "{{\"detections\":{{\"frame\":{frame},\"time\":\"2026-01-01T00:00:{time:04.1}Z\",\
                     \"time_quality\":\"media\",\"aspect\":1.5,\"items\":[{{\"class\":\"person\",\
                     \"score\":0.9,\"box\":[{x:.2},0.4,0.05,0.2]}}]}}}}\n"
                )
            })
            .collect();
        desk.add("walker.jsonl", &walker.concat());
        desk.add("box.toml", CONFIG);
        desk.add("faulty.toml", "[box]\nid = \"box-1\"\n");
        desk.add("runs.csv", RUNS);
        desk.add("labels.json", LABELS);
        fs::copy(repository().join("docs/screen.jpg"), desk.path("1.jpg")).unwrap();
        desk.add_case();
        desk.add_models();
        desk
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    fn at(&self, name: &str) -> String {
        self.path(name).to_str().unwrap().to_owned()
    }

    fn add(&self, name: &str, text: &str) {
        write(self.0.path(), name, text);
    }

    /// A case without files, and its key.
    fn add_case(&self) {
        let text = include_str!("../../protocol/tests/wire/v1/event-loitering.json");
        let event = serde_json::from_str::<Envelope<Event>>(text).unwrap().data;
        let key = BoxKey::from_seed(&[7; 32]);
        let case = CaseManifest {
            schema: CASE_SCHEMA.to_owned(),
            clock: Clock {
                quality: event.time_quality,
                uncertainty_s: None,
            },
            sealed: event.decided.time,
            event,
            agent: AgentVersion::default(),
            media: Vec::new(),
            chain: ChainLink::genesis(uuid::Uuid::from_u128(1)),
            missing: Vec::new(),
            key: key.public().id(),
            fingerprints: BTreeMap::new(),
        };
        fs::create_dir(self.path("case")).unwrap();
        fs::write(
            self.path("case/case.json"),
            Sealed::seal(&case, &key).unwrap(),
        )
        .unwrap();
        self.add("box.pem", &key.public().to_pem());
    }

    /// The detector of set-up as one's own, which takes people for people and for faces.
    fn add_models(&self) {
        let network = installed("models/centernet-mb3-512/centernet_mb3_512.onnx");
        let catalogue = repository().join("models/catalog/centernet-mb3-512/model.toml");
        let manifest = fs::read_to_string(catalogue).unwrap();
        for (name, classes) in [("mine", "[classes]\n"), ("faces", FACES)] {
            let folder = self.path("models").join(name);
            fs::create_dir_all(&folder).unwrap();
            fs::copy(&network, folder.join("centernet_mb3_512.onnx")).unwrap();
            let manifest = manifest.replacen("centernet-mb3-512", name, 1);
            let (head, rest) = manifest.split_once("[classes]\n").unwrap();
            let rest = match name {
                "mine" => rest,
                _ => &rest[rest.find("[thresholds]").unwrap()..],
            };
            fs::write(folder.join("model.toml"), format!("{head}{classes}{rest}")).unwrap();
        }
    }

    /// The id of the event that the recording has.
    fn event(&self) -> String {
        let [config, walker] = [self.at("box.toml"), self.at("walker.jsonl")];
        let (code, events, said) =
            agent(&["replay", "--inputs", &walker, "--config", &config, "-q"]);
        assert_eq!(code, Some(0), "{said}");
        let first: serde_json::Value =
            serde_json::from_str(events.lines().next().unwrap()).unwrap();
        first["id"].as_str().unwrap().to_owned()
    }
}

const FACES: &str = "[classes]\ncount = 80\nface = [0]\n\n";

const RUNS: &str =
    "true_kmh,measured_kmh,low_kmh,high_kmh\n50,50.5,49,52\n60,60.5,59,62\n70,70.2,69,72\n";

const LABELS: &str = r#"{"images":[{"id":1,"file_name":"1.jpg","width":64,"height":64}],
"categories":[{"id":2,"name":"person"}],
"annotations":[{"image_id":1,"category_id":2,"bbox":[1,1,9,9]}]}"#;

/// Which end nobody reads.
#[derive(Clone, Copy, Debug)]
enum Gone {
    Neither,
    Output,
    Errors,
}

/// The exit code, and what was said where somebody read it.
fn run(program: &Path, words: &[&str], gone: Gone) -> (Option<i32>, String) {
    let mut child = Command::new(program)
        .args(words)
        .current_dir(repository())
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    match gone {
        Gone::Neither => {}
        Gone::Output => drop(child.stdout.take()),
        Gone::Errors => drop(child.stderr.take()),
    }
    let ended = child.wait_with_output().unwrap();
    let said = [ended.stdout, ended.stderr].concat();
    (
        ended.status.code(),
        String::from_utf8_lossy(&said).into_owned(),
    )
}

#[test]
fn no_command_dies_of_a_reader_that_has_gone() {
    let desk = Desk::new();
    let event = desk.event();
    let [config, faulty, walker, runs] =
        ["box.toml", "faulty.toml", "walker.jsonl", "runs.csv"].map(|name| desk.at(name));
    let [case, key, copy, labels] =
        ["case", "box.pem", "copy", "labels.json"].map(|name| desk.at(name));
    let [models, picture, folder, keys] = ["models", "1.jpg", "", "keys"].map(|name| desk.at(name));
    let models = ["models", "--models-dir", &models];
    let evaluate = [
        "evaluate",
        "mine",
        "--alone",
        "--labels",
        &labels,
        "--pictures",
        &folder,
    ];
    let bench = [
        "bench",
        "--model",
        "mine",
        "--provider",
        "cpu",
        "--threads",
        "1",
        "--seconds",
        "0.1",
    ];
    let redact = ["redact", &case, "--out", &copy];
    let explain = ["explain", &event, "--inputs", &walker, "--config", &config];
    let [agent, centre] = ["edge-agent", "aggregator"].map(binary);
    let json = ["--json"];
    // Each with the exit code that it has where all is read.
    let of_agent: Vec<(Vec<&str>, i32)> = vec![
        (vec!["rules"], 0),
        (vec!["rules", "custom"], 0),
        (vec!["rules", "costum"], 2),
        (vec!["check", "--offline", &config], 0),
        (vec!["check", "--offline", &faulty], 2),
        (vec!["run", &faulty], 2),
        (vec!["calibrate", "--check", &runs], 0),
        (vec!["calibrate", &faulty], 2),
        (explain.to_vec(), 0),
        (vec!["keys", "export", &config], 0),
        (vec!["keys", "export", &config, "--out", &keys], 0),
        (vec!["keys", "show", &config], 0),
        (vec!["bundle", "0", "--config", &config, "--out", &copy], 1),
        (vec!["verify", &case, "--key", &key], 4),
        (vec!["verify", &case, "--key", &key, "--chain", "--json"], 4),
        (redact.to_vec(), 2),
        (
            [
                &redact[..],
                &["--key", &key, "--cover", "faces", models[1], models[2]],
            ]
            .concat(),
            0,
        ),
        (vec!["plates", "read", &picture], 0),
        (vec!["plates", "read", &picture, "--json"], 0),
        (
            vec!["plates", "score", "--pictures", &folder, "--truth", &faulty],
            1,
        ),
        ([&models[..], &["list"]].concat(), 0),
        ([&models[..], &["list", "--json"]].concat(), 0),
        ([&models[..], &["list", "nobody"]].concat(), 1),
        ([&models[..], &["show", "mine"]].concat(), 0),
        ([&models[..], &["show", "mine", "--json"]].concat(), 0),
        ([&models[..], &["show", "mine", "--manifest"]].concat(), 0),
        ([&models[..], &["journal"]].concat(), 0),
        ([&models[..], &["verify"]].concat(), 0),
        ([&models[..], &bench].concat(), 0),
        ([&models[..], &bench, &json].concat(), 0),
        ([&models[..], &evaluate].concat(), 0),
        ([&models[..], &evaluate, &json].concat(), 0),
    ];
    let of_centre = vec![
        (vec!["check", "--data-dir", &folder], 0),
        (vec!["check", "--config", &faulty], 2),
        (vec!["openapi"], 0),
        (vec!["verify", &case, "--key", &key], 4),
        (vec!["bundle", &event, "--data", &folder, "--out", &copy], 1),
        (vec!["labels", "--data", &folder, "--out", &copy], 1),
    ];
    let of_agent = of_agent
        .into_iter()
        .map(|(words, code)| (&agent, words, code));
    let of_centre = of_centre
        .into_iter()
        .map(|(words, code)| (&centre, words, code));
    for (program, words, expected) in of_agent.chain(of_centre) {
        for gone in [Gone::Neither, Gone::Output, Gone::Errors] {
            if words[0] == "redact" && Path::new(&copy).exists() {
                fs::remove_dir_all(&copy).unwrap();
            }
            let (code, said) = run(program, &words, gone);
            assert_eq!(code, Some(expected), "{gone:?} {words:?}: {said}");
            assert!(!said.contains("panicked"), "{gone:?} {words:?}: {said}");
        }
    }
}

/// Whom nobody reads need not go on to the end of a clip; it says so and does not die of it.
#[test]
fn a_replay_whose_events_nobody_reads_ends() {
    let desk = Desk::new();
    let [config, walker] = [desk.at("box.toml"), desk.at("walker.jsonl")];
    let words = ["replay", "--inputs", &walker, "--config", &config];
    let (code, said) = run(&binary("edge-agent"), &words, Gone::Output);
    assert_eq!(code, Some(1), "{said}");
    assert!(
        said.contains("cannot write the events: Broken pipe"),
        "{said}"
    );
    let (code, said) = run(&binary("edge-agent"), &words, Gone::Errors);
    assert_eq!(code, Some(0), "{said}");
}
