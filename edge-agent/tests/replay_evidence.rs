//! `replay --evidence`: signed cases of a recorded clip, verified by the real program.

#![allow(clippy::unwrap_used)] // a test that cannot go on says where it stands

mod support;

use std::fs;
use std::path::{Path, PathBuf};

use protocol::EventTime;
use serde_json::Value;
use support::{agent, installed};

/// A camera that watches people on the crossing of the demo's clip, and who is parked
/// there for longer than its ring reaches.
const CAMERA: &str = r#"
[box]
site = "test"
id = "box-1"
[store]
dir = "store"
[detector]
model = "centernet-mb3-512"
[[camera]]
id = "c"
source = { rtsp = "rtsp://127.0.0.1/none" }
analysed_fps = 5.0
clip = { ring_s = 10 }
[[camera.zone]]
id = "crossing"
points = [[0.25, 0.3], [0.75, 0.3], [0.75, 0.8], [0.25, 0.8]]
[[camera.rule]]
id = "people"
kind = "pedestrian_on_carriageway"
zone = "crossing"
[[camera.zone]]
id = "kerb"
points = [[0.78, 0.02], [1.0, 0.02], [1.0, 0.25], [0.78, 0.25]]
[[camera.rule]]
id = "parked"
kind = "illegal_parking"
zone = "kerb"
min_dwell_s = 45
"#;

fn words(path: &Path) -> &str {
    path.to_str().unwrap()
}

fn cases(folder: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(folder).unwrap();
    let mut found: Vec<PathBuf> = entries.map(|entry| entry.unwrap().path()).collect();
    found.retain(|path| path.join("case.json").exists());
    found.sort();
    found
}

fn manifest(case: &Path) -> Value {
    let text = fs::read_to_string(case.join("case.json")).unwrap();
    serde_json::from_str::<Value>(&text).unwrap()["manifest"].clone()
}

/// Stills of a dwell reach back to its beginning, ten seconds apart, past the ring.
fn check_dwell(manifest: &Value) {
    let at = |time: &Value| time.as_str().unwrap().parse::<EventTime>().unwrap();
    let media = manifest["media"].as_array().unwrap().iter();
    let clean = media.filter(|media| media["role"] == "still_clean");
    let mut times: Vec<EventTime> = clean.map(|media| at(&media["captured"])).collect();
    times.sort();
    let event = &manifest["event"];
    let decided = times.pop().unwrap();
    assert_eq!(decided, at(&event["decided"]["time"]));
    let begun = times[0].since(at(&event["onset"])).0;
    assert!((0.0..26.0).contains(&begun), "{begun} s after the onset");
    let apart = times.windows(2).map(|pair| pair[1].since(pair[0]).0);
    assert!(apart.clone().all(|s| s >= 10.0), "{times:?}");
    assert!(
        times.len() >= 2 && decided.since(times[0]).0 > 20.0,
        "{times:?}"
    );
    // A moment whose picture stands for the next one has none, and that is said.
    for missing in manifest["missing"].as_array().into_iter().flatten() {
        let reason = missing["reason"]["en"].as_str().unwrap();
        assert!(reason.contains("shows the moment after it"), "{manifest:#}");
    }
}

fn verify(out: &Path, cases: &[PathBuf], more: &[&str]) -> (Option<i32>, String) {
    let keys = out.join("keys");
    let mut arguments = vec!["verify", "--chain", "--keys", words(&keys)];
    arguments.extend(more);
    arguments.extend(cases.iter().map(|case| words(case)));
    let (code, stdout, stderr) = agent(&arguments);
    (code, stdout + &stderr)
}

#[test]
fn each_event_of_a_clip_becomes_a_case_that_verifies_and_one_flipped_byte_is_named() {
    let dir = tempfile::tempdir().unwrap();
    let config = dir.path().join("box.toml");
    fs::write(&config, CAMERA).unwrap();
    let (clip, out) = (installed("clips/vtest.mp4"), dir.path().join("cases"));
    let replay = [
        "replay",
        words(&clip),
        "--config",
        words(&config),
        "--evidence",
        words(&out),
        "--start",
        "2026-03-02T08:00:00+07:00",
    ];
    let (code, stdout, stderr) = agent(&replay);
    assert_eq!(code, Some(0), "{stderr}");
    let events: Vec<Value> = stdout
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    let begun: Vec<&str> = events
        .iter()
        .filter(|event| event["phase"] == "start")
        .map(|event| event["id"].as_str().unwrap())
        .collect();

    // One case for each, in one chain.
    let cases = cases(&out);
    let mut of: Vec<String> = Vec::new();
    let mut dwells = 0;
    for (number, case) in (1_u64..).zip(&cases) {
        let manifest = manifest(case);
        assert_eq!(manifest["chain"]["number"], number);
        of.push(manifest["event"]["id"].as_str().unwrap().to_owned());
        // It says that it is of a file.
        assert_eq!(manifest["clock"]["quality"], "media");
        for media in manifest["media"].as_array().unwrap() {
            let note = media["note"]["en"].as_str().unwrap();
            assert!(
                note.contains("of the recorded clip vtest.mp4 (SHA-256 "),
                "{note}"
            );
        }
        if manifest["event"]["kind"] == "illegal_parking" {
            check_dwell(&manifest);
            dwells += 1;
        }
        let roles = |role: &str| {
            let media = manifest["media"].as_array().unwrap().iter();
            media.filter(|media| media["role"] == role).count()
        };
        assert_eq!(roles("clip"), 1, "{manifest:#}");
        assert!(roles("still_clean") >= 1 && roles("still_clean") == roles("still_annotated"));
    }
    let mut expected: Vec<String> = begun.iter().map(ToString::to_string).collect();
    expected.sort();
    of.sort();
    assert_eq!(of, expected);
    assert!(cases.len() > 1 && dwells > 0, "{stderr}");

    // Unchanged is not the same as seen by a camera.
    for (more, expected) in [(&[][..], 4), (&["--allow-recordings"], 0)] {
        let (code, said) = verify(&out, &cases, more);
        assert_eq!(code, Some(expected), "{said}");
        assert!(said.contains("of a recording"), "{said}");
    }

    let clip = fs::read_dir(&cases[0])
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .find(|path| path.extension().is_some_and(|it| it == "mp4"))
        .unwrap();
    let mut bytes = fs::read(&clip).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    fs::write(&clip, bytes).unwrap();
    let (code, said) = verify(&out, &cases, &["--allow-recordings"]);
    let name = clip.file_name().unwrap().to_str().unwrap();
    assert_eq!(code, Some(1), "{said}");
    assert!(said.contains(name), "{said}");

    // Never over what is there, and not of a recording without pictures.
    let (code, _, stderr) = agent(&replay);
    assert_eq!(code, Some(1));
    assert!(stderr.contains("is there already"), "{stderr}");
    let inputs = ["replay", "--inputs", "none.jsonl"];
    let (code, _, stderr) = agent(&[&inputs[..], &replay[2..6]].concat());
    assert_eq!(code, Some(2));
    assert!(
        stderr.contains("--evidence needs the clip itself"),
        "{stderr}"
    );
}
