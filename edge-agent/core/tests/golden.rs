//! Recorded inputs give, byte for byte, the recorded events.
//!
//! `testdata/<case>/{scene.toml, inputs.jsonl}` in, `events.jsonl` out. After a
//! wanted change run with `UPDATE_EXPECT=1` and read the difference.
#![allow(clippy::disallowed_methods, clippy::unwrap_used)] // a test reads its data from files

mod support;

use std::path::Path;

use expect_test::expect_file;
use protocol::Event;
use support::{case, lines, play};

fn check(name: &str, kinds: &[&str]) {
    let (scene, inputs) = case(name);
    let out = lines(&play(scene, &inputs));
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("testdata/{name}/events.jsonl"));
    expect_file![path].assert_eq(&out);
    // Whatever was recorded, this must be in it: an update cannot bless silence.
    for kind in kinds {
        let word = format!("\"kind\":\"{kind}\"");
        assert!(out.contains(&word), "{name}: no {kind}");
    }
    for line in out.lines() {
        let value: serde_json::Value = serde_json::from_str(line).unwrap();
        if let Some(event) = value.get("event") {
            let event: Event = serde_json::from_value(event.clone()).unwrap();
            assert!(event.explanation.iter().all(|p| p.holds), "{line}");
            assert!(event.onset <= event.decided.time, "{line}");
            assert!(
                event.ended.is_none_or(|ended| ended >= event.onset),
                "{line}"
            );
        }
    }
}

#[test]
fn a_junction_with_all_five_kinds() {
    check(
        "junction",
        &[
            "red_light",
            "wrong_way",
            "stopped_vehicle",
            "pedestrian_on_carriageway",
            "loitering",
        ],
    );
}

#[test]
fn a_camera_that_drops_out_repeats_itself_and_sets_its_clock_back() {
    check("restless_camera", &["stopped_vehicle", "red_light"]);
}
