//! What strangers, vandals and tired people hand to the agent. Each ends in a
//! message that names the thing and the next step; nothing ends in a panic.

#![allow(clippy::unwrap_used)] // a test that cannot go on says where it stands

mod support;

use std::path::{Path, PathBuf};
use std::process::Command;

use expect_test::{Expect, expect};
use support::{agent, installed};

const BOX: &str = "[box]\nsite = \"test\"\nid = \"box-1\"\n";

fn write(dir: &Path, name: &str, text: &str) -> PathBuf {
    let path = dir.join(name);
    std::fs::write(&path, text).unwrap();
    path
}

/// `check --offline` of `text` must fail with exactly these lines.
fn faults(text: &str, expected: &Expect) {
    let dir = tempfile::tempdir().unwrap();
    let file = write(dir.path(), "box.toml", text);
    let (code, stdout, stderr) = agent(&["check", "--offline", file.to_str().unwrap()]);
    assert_eq!(code, Some(2), "{stdout}{stderr}");
    expected.assert_eq(&stderr.replace(&format!("{}/", dir.path().display()), ""));
}

#[test]
fn all_faults_of_a_configuration_come_at_once_with_key_and_line() {
    faults(
        &format!(
            r#"{BOX}
[uplink]
url = "http://wrong"
evidence_url = "ftp://wrong"
colour = "blue"

[[camera]]
id = "gate"
source = {{ rtsp = "http://camera" }}
analysed_fps = -1.0

[[camera.zone]]
id = "road"
points = [[0.0, 0.0], [1.0, 1.0]]

[[camera.rule]]
id = "r1"
kind = "loitering"
zone = "rode"
min_dwel_s = 3.0

[[camera]]
id = "gate"
source = {{ rtsp = "rtsp://127.0.0.1/x" }}
"#
        ),
        &expect![[r#"
            box.toml:6: uplink.url: `http://wrong` is not mqtt://HOST:PORT or mqtts://HOST:PORT
            box.toml:7: uplink.evidence_url: `ftp://wrong` is not http://HOST:PORT or https://HOST:PORT
            box.toml:8: uplink.colour: no such key here; correct its name or take it out
            box.toml:12: camera[0].source.rtsp: `http://camera` is not rtsp://HOST[:PORT]/PATH
            box.toml:13: camera[0].analysed_fps: frames per second are more than 0 and at most 120
            box.toml:17: camera[0].zone[0].points: has 2; a zone needs at least 3 points (for a line use [[line]])
            box.toml:22: camera[0].rule[0].zone: there is no zone `rode`, and no other; add one
            box.toml:23: camera[0].rule[0].min_dwel_s: is not a key here; did you mean `min_dwell_s`?
            box.toml:26: camera[1].id: camera[0] is called `gate` as well; ids are unique
        "#]],
    );
}

#[test]
fn a_file_that_is_not_toml_says_where() {
    faults(
        "[box]\nsite = \n",
        &expect![[r#"
        box.toml:2: not TOML: string values must be quoted, expected literal string
    "#]],
    );
}

#[test]
fn missing_sections_are_asked_for() {
    faults(
        "[store]\ndir = 7\n",
        &expect![[r#"
        box.toml: box: the section [box] with `site` and `id` is missing
        box.toml:2: store.dir: invalid type: integer `7`, expected path string
    "#]],
    );
}

fn replay(clip: &Path) -> (Option<i32>, String, String) {
    let dir = tempfile::tempdir().unwrap();
    let camera = "[[camera]]\nid = \"c\"\nsource = { rtsp = \"rtsp://127.0.0.1/x\" }\n";
    let config = write(dir.path(), "box.toml", &format!("{BOX}{camera}"));
    agent(&[
        "replay",
        clip.to_str().unwrap(),
        "--config",
        config.to_str().unwrap(),
    ])
}

fn ffmpeg(arguments: &[&str]) {
    let output = Command::new("ffmpeg")
        .args(["-v", "error", "-nostdin", "-y"])
        .args(arguments)
        .output()
        .expect("ffmpeg is not installed; run `make setup` first");
    assert!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
}

#[test]
fn clips_that_are_no_clips_are_named_and_refused() {
    let dir = tempfile::tempdir().unwrap();
    let sound = dir.path().join("sound.wav");
    ffmpeg(&["-f", "lavfi", "-i", "sine=d=1", sound.to_str().unwrap()]);
    let text = write(dir.path(), "notes.mp4", "these are not pictures\n");
    let empty = write(dir.path(), "empty.mp4", "");
    for clip in [
        sound,
        text,
        empty,
        dir.path().join("nowhere.mp4"),
        dir.path().to_owned(),
    ] {
        let (code, stdout, stderr) = replay(&clip);
        assert_eq!(code, Some(1), "{}: {stderr}", clip.display());
        assert!(stdout.is_empty(), "{stdout}");
        let name = clip.file_name().unwrap().to_str().unwrap();
        assert!(
            stderr.contains("error: ") && stderr.contains(name),
            "{name}: {stderr}"
        );
        assert!(!stderr.contains("panicked"), "{stderr}");
    }
}

#[test]
fn a_truncated_clip_gives_what_is_there_and_says_so() {
    let dir = tempfile::tempdir().unwrap();
    let whole = dir.path().join("whole.ts");
    let clip = installed("clips/vtest.mp4");
    ffmpeg(&[
        "-i",
        clip.to_str().unwrap(),
        "-t",
        "3",
        "-c",
        "copy",
        whole.to_str().unwrap(),
    ]);
    let bytes = std::fs::read(&whole).unwrap();
    let half = dir.path().join("half.ts");
    std::fs::write(&half, &bytes[..bytes.len() / 2]).unwrap();
    let (code, _, stderr) = replay(&half);
    assert_eq!(code, Some(0), "{stderr}");
    assert!(stderr.contains("frames"), "{stderr}");

    // An MP4 whose index was never written cannot be read at all.
    let bytes = std::fs::read(&clip).unwrap();
    let broken = dir.path().join("broken.mp4");
    std::fs::write(&broken, &bytes[bytes.len() / 2..]).unwrap();
    let (code, _, stderr) = replay(&broken);
    assert_eq!(code, Some(1), "{stderr}");
    assert!(stderr.contains("broken.mp4"), "{stderr}");
}

#[test]
fn a_clip_of_one_frame_is_a_clip() {
    let dir = tempfile::tempdir().unwrap();
    let one = dir.path().join("one.mp4");
    let clip = installed("clips/vtest.mp4");
    ffmpeg(&[
        "-i",
        clip.to_str().unwrap(),
        "-frames:v",
        "1",
        one.to_str().unwrap(),
    ]);
    let (code, _, stderr) = replay(&one);
    assert_eq!(code, Some(0), "{stderr}");
    assert!(stderr.contains("0 event(s) in 1 frames"), "{stderr}");
}

#[test]
fn a_clip_whose_resolution_changes_in_the_middle_is_read_to_the_end() {
    let dir = tempfile::tempdir().unwrap();
    let parts: Vec<PathBuf> = [("a.ts", "320x240"), ("b.ts", "640x480")]
        .iter()
        .map(|(name, size)| {
            let part = dir.path().join(name);
            let source = format!("testsrc=size={size}:rate=10:duration=1");
            ffmpeg(&[
                "-f",
                "lavfi",
                "-i",
                &source,
                "-c:v",
                "libx264",
                part.to_str().unwrap(),
            ]);
            part
        })
        .collect();
    let both = dir.path().join("both.ts");
    let bytes: Vec<u8> = parts
        .iter()
        .flat_map(|part| std::fs::read(part).unwrap())
        .collect();
    std::fs::write(&both, bytes).unwrap();
    let (code, _, stderr) = replay(&both);
    assert_eq!(code, Some(0), "{stderr}");
    let frames: u64 = stderr
        .lines()
        .last()
        .unwrap()
        .split(' ')
        .nth(3)
        .unwrap()
        .parse()
        .unwrap();
    assert!(frames >= 18, "{stderr}");
}

#[test]
fn a_model_cut_in_half_is_refused_by_name() {
    let dir = tempfile::tempdir().unwrap();
    let folder = dir.path().join("models/centernet-mb3-512");
    std::fs::create_dir_all(&folder).unwrap();
    let name = "centernet-mb3-512";
    let whole = std::fs::read_dir(installed(&format!("models/{name}")))
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .find(|path| {
            path.extension()
                .is_some_and(|extension| extension == "onnx")
        })
        .unwrap();
    let bytes = std::fs::read(&whole).unwrap();
    std::fs::write(
        folder.join(whole.file_name().unwrap()),
        &bytes[..bytes.len() / 2],
    )
    .unwrap();
    let models = dir.path().join("models");
    let models = models.to_str().unwrap();
    let (code, stdout, stderr) = agent(&["models", "--models-dir", models, "verify"]);
    assert_eq!(code, Some(1), "{stdout}{stderr}");
    assert!(
        stdout.contains("FAILED") && stdout.contains(name),
        "{stdout}"
    );
    let (code, _, stderr) = agent(&[
        "models",
        "--models-dir",
        models,
        "install",
        name,
        "--from",
        folder.join(whole.file_name().unwrap()).to_str().unwrap(),
    ]);
    assert_eq!(code, Some(1), "{stderr}");
    assert!(stderr.contains("it is cut or another file"), "{stderr}");
}

#[test]
fn check_says_of_each_part_what_to_do() {
    let dir = tempfile::tempdir().unwrap();
    let port = support::free_port();
    let config = write(
        dir.path(),
        "box.toml",
        &format!(
            r#"{BOX}
[store]
dir = "store"
[uplink]
url = "mqtt://127.0.0.1:{port}"
evidence_url = "http://127.0.0.1:{port}"
[[camera]]
id = "refuses"
source = {{ rtsp = "rtsp://127.0.0.1:{port}/x" }}
[[camera]]
id = "no-file"
source = {{ recording = "nowhere.jsonl" }}
"#
        ),
    );
    let (code, stdout, stderr) = agent(&["check", "--timeout", "5", config.to_str().unwrap()]);
    assert_eq!(code, Some(1), "{stdout}{stderr}");
    for part in ["camera refuses", "camera no-file", "uplink"] {
        let line = stdout
            .lines()
            .find(|line| line.contains(part))
            .unwrap_or_default();
        assert!(line.starts_with("FAILED"), "{part}: {stdout}");
    }
    assert!(stdout.contains("ok      model"), "{stdout}");
    assert!(stdout.contains("4 of 7 parts need attention"), "{stdout}");
}

#[test]
fn a_camera_that_hangs_is_reported_within_the_time_limit() {
    let dir = tempfile::tempdir().unwrap();
    // Accepts, and never says a word.
    let deaf = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let config = write(
        dir.path(),
        "box.toml",
        &format!(
            "{BOX}[store]\ndir = \"store\"\n[[camera]]\nid = \"deaf\"\nsource = {{ rtsp = \"rtsp://{}/x\" }}\n",
            deaf.local_addr().unwrap()
        ),
    );
    let started = std::time::Instant::now();
    let (code, stdout, _) = agent(&["check", "--timeout", "3", config.to_str().unwrap()]);
    assert_eq!(code, Some(1));
    assert!(stdout.contains("FAILED  camera deaf"), "{stdout}");
    assert!(
        started.elapsed() < std::time::Duration::from_secs(30),
        "{:?}",
        started.elapsed()
    );
}
