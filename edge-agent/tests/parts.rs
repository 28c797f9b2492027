//! A region and tiles: what is found in a picture live is what a replay of the clip
//! finds in it, to the bit, and the recording of a live camera replays to the same.

#![allow(clippy::unwrap_used)] // a test that cannot go on says where it stands

#[allow(dead_code)] // other tests use more of it
#[path = "../inference/tests/support/onnx.rs"]
mod onnx;
#[allow(dead_code)] // other tests use more of it
#[path = "../inference/tests/support/small.rs"]
mod small;
mod support;

use std::collections::BTreeSet;
use std::io::Read as _;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::Value;
use small::Small;
use support::{Camera, agent, assert_same, eventually, free_port, published, start_agent};

/// Ten seconds that grow brighter from picture to picture and from left to right: each
/// part of each picture has a brightness of its own, and so its own scores.
fn clip(dir: &Path) -> PathBuf {
    let file = dir.join("brighter.mp4");
    let source = "nullsrc=s=320x240:r=4:d=10,geq=lum='40+3*N+X/4':cb=128:cr=128";
    let encoder = "-pix_fmt yuv420p -c:v libx264 -bf 0 -g 8 -preset ultrafast \
                   -x264-params sliced-threads=0:scenecut=0";
    let mut command = Command::new("ffmpeg");
    command.args(["-v", "error", "-nostdin", "-y", "-f", "lavfi", "-i", source]);
    command.args(encoder.split_whitespace()).arg(&file);
    let status = command.status();
    let status = status.expect("ffmpeg is not installed; run `make setup` first");
    assert!(status.success());
    file
}

fn config(dir: &Path, source: &str, port: u16) -> PathBuf {
    let folder = dir.join("models").join("small");
    std::fs::create_dir_all(&folder).unwrap();
    let small = Small::default();
    let bytes = small.file();
    small::write(&folder, &bytes);
    let manifest = toml::to_string(&small::of_file(small.manifest(), &bytes)).unwrap();
    std::fs::write(folder.join("model.toml"), manifest).unwrap();
    let file = dir.join("box.toml");
    let text = format!(
        "[box]\nsite = 's'\nid = 'b'\n[store]\ndir = 'store'\n[record]\ndir = 'record'\n\
         [metrics]\nlisten = '127.0.0.1:{port}'\n[detector]\nmodel = 'small'\nmodels_dirs = ['models']\n\
         [[camera]]\nid = 'c'\nsource = {{ rtsp = '{source}' }}\nhealth = {{ watch = false }}\n\
         [camera.detect]\ngate = false\nroi = [[0.1, 0.2], [0.9, 1.0]]\n\
         tiles = {{ size = [0.5, 0.5], largest = [0.1, 0.1] }}\n\
         [[camera.zone]]\nid = 'road'\npoints = [[0.0, 0.0], [1.0, 0.0], [1.0, 1.0], [0.0, 1.0]]\n\
         [[camera.rule]]\nid = 'people'\nkind = 'loitering'\nzone = 'road'\nmin_dwell_s = 2.0\n"
    );
    std::fs::write(&file, text).unwrap();
    file
}

/// What was found in each picture of a recording, as it is written down.
fn found(recording: &str) -> Vec<String> {
    let lines = recording.lines();
    lines
        .filter_map(|line| serde_json::from_str::<Value>(line).ok())
        .filter_map(|line| Some(line.get("detections")?["items"].to_string()))
        .collect()
}

fn segment(dir: &Path) -> Option<PathBuf> {
    let mut entries = std::fs::read_dir(dir.join("record/c")).ok()?;
    Some(entries.next()?.unwrap().path())
}

fn read(recording: &Path) -> String {
    let bytes = std::fs::read(recording).unwrap();
    let mut text = String::new();
    // One that is being written has no end yet.
    let _cut = flate2::read::MultiGzDecoder::new(&bytes[..]).read_to_string(&mut text);
    text
}

/// Tiles that a busy machine had no time for: at most so many pictures lack some.
fn tiles_dropped(port: u16) -> Option<f64> {
    let url = format!("http://127.0.0.1:{port}/metrics");
    let text = ureq::get(&url)
        .call()
        .ok()?
        .body_mut()
        .read_to_string()
        .ok()?;
    let lines = text.lines().filter(|line| {
        line.starts_with("edge_inference_jobs_dropped_total") && line.contains("\"tile\"")
    });
    lines
        .map(|line| line.rsplit(' ').next()?.parse::<f64>().ok())
        .sum()
}

#[test]
fn parts_of_pictures_show_live_what_they_show_in_a_replay() {
    let dir = tempfile::tempdir().unwrap();
    let clip = clip(dir.path());
    let camera = Camera::start(dir.path(), &clip, "127.0.0.1:0");
    let port = free_port();
    let config = config(dir.path(), &camera.url, port);
    let (inputs, again) = (
        dir.path().join("clip.jsonl"),
        dir.path().join("again.jsonl"),
    );
    let path = |path: &Path| path.to_str().unwrap().to_owned();
    let replay = |what: &Path, to: &Path| {
        let (what, to) = (path(what), path(to));
        let (code, events, said) = agent(&[
            "replay",
            &what,
            "--config",
            &path(&config),
            "--record-inputs",
            &to,
        ]);
        assert_eq!(code, Some(0), "{said}");
        events
    };
    let of_clip = replay(&clip, &inputs);
    assert!(of_clip.contains("\"people\""), "{of_clip}");
    let offline = found(&std::fs::read_to_string(&inputs).unwrap());
    // Three things in the region, and in each of its tiles; each picture is another.
    assert_eq!(offline.len(), 40);
    assert!(
        offline
            .iter()
            .all(|items| items.matches("\"box\"").count() > 3),
        "{}",
        offline[0]
    );
    let offline: BTreeSet<String> = offline.into_iter().collect();
    assert_eq!(offline.len(), 40);

    let running = start_agent(dir.path(), &config);
    let enough = || {
        let seen = found(&read(&segment(dir.path())?));
        let is_event = running.log_text().contains(r#""message":"event""#);
        // However many tiles a busy machine has no time for: so many pictures were looked at whole,
        // and different ones.
        let whole: BTreeSet<&String> = seen.iter().filter(|it| offline.contains(*it)).collect();
        (seen.len() >= 60 && whole.len() >= 30 && is_event).then_some(seen.len())
    };
    let seen = eventually("most pictures of the clip, and an event", enough);
    // Only of pictures that are done with: of these every drop is counted by now.
    let dropped = eventually("the metrics", || tiles_dropped(port));
    assert_eq!(running.terminate(), Some(0));
    let recording = segment(dir.path()).unwrap();
    let live = found(&read(&recording));
    let is_strange = |items: &&String| !offline.contains(*items);
    let strange = live.iter().take(seen).filter(is_strange).count();
    // A picture whose tiles a busy machine had no time for shows less.
    assert!(
        strange as f64 <= dropped,
        "{strange} of {seen}, {dropped} tiles dropped"
    );

    let events = replay(&recording, &again);
    let events: Vec<String> = events.lines().map(str::to_owned).collect();
    let published = published(dir.path());
    assert!(!published.is_empty());
    assert_eq!(assert_same(&published, &events), Vec::<String>::new());
    // What is recorded of the replay of a recording is the recording.
    let inputs_of = |text: &str| -> Vec<String> {
        let is_input = |line: &&str| INPUTS.iter().any(|kind| line.starts_with(kind));
        text.lines().filter(is_input).map(str::to_owned).collect()
    };
    let again = std::fs::read_to_string(&again).unwrap();
    assert_eq!(inputs_of(&read(&recording)), inputs_of(&again));
}

/// How the lines of a recording begin that are not about the recording itself.
const INPUTS: [&str; 5] = [
    "{\"detections\"",
    "{\"gap\"",
    "{\"tick\"",
    "{\"end\"",
    "{\"unseen\"",
];
