//! Reads a recorded case and plays it.
#![allow(dead_code, clippy::unwrap_used)] // each test uses its part, and any fault is its failure

use std::path::Path;

use edge_core::{Calibration, Identity, Input, Output, Scene, SceneConfig, SceneState};
use protocol::event::Provenance;
use protocol::{BoxId, CameraId, SiteId};

/// Whose scene every recorded case is.
pub(crate) fn identity() -> Identity {
    Identity {
        site: SiteId::new("test").unwrap(),
        box_id: BoxId::new("box").unwrap(),
        camera: CameraId::new("camera").unwrap(),
        place: None,
        simulated: false,
        provenance: Provenance::default(),
    }
}

/// A scene from TOML in which `[calibration]` may stand beside the scene's keys.
pub(crate) fn scene(text: &str) -> Scene {
    let mut table: toml::Table = text.parse().unwrap();
    let calibration: Option<Calibration> = table
        .remove("calibration")
        .map(|value| value.try_into().unwrap());
    let (config, faults) = SceneConfig::from_table(&table);
    assert_eq!(faults, []);
    Scene::new(identity(), config, calibration).unwrap()
}

/// `testdata/<name>`.
pub(crate) fn case(name: &str) -> (Scene, Vec<Input>) {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("testdata")
        .join(name);
    let toml = std::fs::read_to_string(folder.join("scene.toml")).unwrap();
    let inputs = std::fs::read_to_string(folder.join("inputs.jsonl")).unwrap();
    let inputs = inputs
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    (scene(&toml), inputs)
}

/// Everything that a scene says to its inputs.
pub(crate) fn play(mut scene: Scene, inputs: &[Input]) -> Vec<Output> {
    let mut out = Vec::new();
    for input in inputs {
        scene.handle(input.clone(), &mut out);
    }
    out
}

/// A new scene that goes on where `old` is cut, as a recording's next segment does.
pub(crate) fn successor(old: &Scene, new: &Scene) -> Scene {
    let text = serde_json::to_string(&old.state()).unwrap();
    let state: SceneState = serde_json::from_str(&text).unwrap();
    assert_eq!(serde_json::to_string(&state).unwrap(), text);
    let mut scene = new.clone();
    scene.resume(state);
    scene
}

/// One line of JSON for each output.
pub(crate) fn lines(out: &[Output]) -> String {
    let mut text = String::new();
    for output in out {
        text += &serde_json::to_string(output).unwrap();
        text.push('\n');
    }
    text
}
