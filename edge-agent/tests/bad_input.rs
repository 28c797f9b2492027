//! What strangers, vandals and tired people hand to the agent. Each ends in a
//! message that names the thing and the next step; nothing ends in a panic.

#![allow(clippy::unwrap_used)] // a test that cannot go on says where it stands
#![allow(clippy::needless_raw_string_hashes)] // expect-test writes them

mod support;

use std::path::{Path, PathBuf};
use std::process::Command;

use support::{
    BOX, Camera, agent, eventually, free_port, installed, recording, start_agent, write,
};

/// A configuration that has a camera for a replay.
fn for_replay(dir: &Path) -> PathBuf {
    let camera = "[[camera]]\nid = \"c\"\nsource = { rtsp = \"rtsp://127.0.0.1/x\" }\n";
    write(dir, "box.toml", &format!("{BOX}{camera}"))
}

#[test]
fn a_replay_writes_over_nothing_that_it_reads() {
    let dir = tempfile::tempdir().unwrap();
    let at = |name: &str| dir.path().join(name).to_str().unwrap().to_owned();
    let config = for_replay(dir.path());
    let config = config.to_str().unwrap();
    let clip = write(dir.path(), "clip.jsonl", &recording(3));
    let clip = clip.to_str().unwrap();
    write(dir.path(), "clip.jsonl.part", "");
    std::os::unix::fs::symlink(clip, at("link.jsonl")).unwrap();
    std::fs::create_dir(at("sub")).unwrap();
    let around = at("sub/../clip.jsonl");
    let (link, events) = (at("link.jsonl"), at("events.jsonl"));
    let before = (std::fs::read(clip).unwrap(), std::fs::read(config).unwrap());
    for (clip, options) in [
        (clip, vec!["--record-inputs", clip]),
        (clip, vec!["--record-inputs", &around]),
        (clip, vec!["--record-inputs", &link]),
        (&link, vec!["--record-inputs", clip]),
        (clip, vec!["--events", clip]),
        (clip, vec!["--events", config]),
        (clip, vec!["--events", &events, "--record-inputs", &events]),
        // Its draft would lie on the clip.
        (&at("clip.jsonl.part"), vec!["--record-inputs", clip]),
    ] {
        let mut arguments = vec!["replay", clip, "--config", config];
        arguments.extend(&options);
        let (code, _, stderr) = agent(&arguments);
        assert_eq!(code, Some(2), "{options:?}: {stderr}");
        assert!(
            stderr.contains("would overwrite") && stderr.contains("give another name"),
            "{options:?}: {stderr}"
        );
        let after = (
            std::fs::read(dir.path().join("clip.jsonl")).unwrap(),
            std::fs::read(config).unwrap(),
        );
        assert_eq!(after, before, "{options:?}");
        assert!(!Path::new(&events).exists());
    }
}

#[test]
fn what_was_recorded_before_a_fault_is_kept_aside_and_readable() {
    let dir = tempfile::tempdir().unwrap();
    let at = |name: &str| dir.path().join(name).to_str().unwrap().to_owned();
    let config = for_replay(dir.path());
    let config = config.to_str().unwrap();
    let clip = write(
        dir.path(),
        "clip.jsonl",
        &format!("{}nonsense\n", recording(3)),
    );
    let (inputs, events) = (at("inputs.jsonl.gz"), at("events.jsonl"));
    std::fs::write(&events, "from an earlier replay").unwrap();
    let (code, _, stderr) = agent(&[
        "replay",
        clip.to_str().unwrap(),
        "--config",
        config,
        "--record-inputs",
        &inputs,
        "--events",
        &events,
    ]);
    assert_eq!(code, Some(1), "{stderr}");
    assert!(
        stderr.contains("line 4") && stderr.contains("inputs.jsonl.gz.part"),
        "{stderr}"
    );
    assert!(!Path::new(&inputs).exists() && Path::new(&at("events.jsonl.part")).exists());
    assert_eq!(
        std::fs::read_to_string(&events).unwrap(),
        "from an earlier replay"
    );
    let (code, _, stderr) = agent(&["replay", &at("inputs.jsonl.gz.part"), "--config", config]);
    assert_eq!(code, Some(0), "{stderr}");
    assert!(stderr.contains("in 3 frames"), "{stderr}");
}

/// Of a clip that cannot be opened nothing comes, so nothing is left.
#[test]
fn a_replay_that_fails_before_its_first_frame_leaves_no_empty_files() {
    let dir = tempfile::tempdir().unwrap();
    let at = |name: &str| dir.path().join(name).to_str().unwrap().to_owned();
    let config = for_replay(dir.path());
    let zero = write(dir.path(), "zero.mp4", "");
    let (events, inputs) = (at("events.jsonl"), at("inputs.jsonl.gz"));
    std::fs::write(&events, "from an earlier replay").unwrap();
    let (code, _, stderr) = agent(&[
        "replay",
        zero.to_str().unwrap(),
        "--config",
        config.to_str().unwrap(),
        "--events",
        &events,
        "--record-inputs",
        &inputs,
    ]);
    assert_eq!(code, Some(1), "{stderr}");
    let told = format!(
        "failed; nothing came so far; as an earlier replay or another command left it is {events}: "
    );
    assert!(stderr.contains(&told), "{stderr}");
    let mut left: Vec<_> = std::fs::read_dir(dir.path())
        .unwrap()
        .map(|e| e.unwrap().file_name())
        .collect();
    left.sort();
    assert_eq!(left, ["box.toml", "events.jsonl", "zero.mp4"]);
}

#[test]
fn what_was_recorded_before_ctrl_c_is_kept_aside_and_readable() {
    use std::io::Write as _;
    let dir = tempfile::tempdir().unwrap();
    let at = |name: &str| dir.path().join(name).to_str().unwrap().to_owned();
    let config = for_replay(dir.path());
    let config = config.to_str().unwrap();
    // A recording that comes for as long as the test writes.
    let clip = at("clip.jsonl");
    assert!(
        Command::new("mkfifo")
            .arg(&clip)
            .status()
            .unwrap()
            .success()
    );
    let (inputs, events) = (at("inputs.jsonl.gz"), at("events.jsonl"));
    std::fs::write(&events, "from an earlier replay").unwrap();
    let mut command = Command::new(support::binary("edge-agent"));
    command.args([
        "replay",
        &clip,
        "--config",
        config,
        "--record-inputs",
        &inputs,
        "--events",
        &events,
    ]);
    let mut replay = support::Process::start(command, dir.path().join("replay.log"));
    // Opens when the other side does; by then it listens for signals.
    let mut lines = std::fs::File::options().write(true).open(&clip).unwrap();
    // More than a pipe holds: when all is written, some has been replayed.
    let begun = recording(60).repeat(40);
    assert!(begun.len() > 128 * 1024);
    lines.write_all(begun.as_bytes()).unwrap();
    let more = std::thread::spawn(move || {
        // Until nobody reads any more.
        let deadline = std::time::Instant::now() + support::PATIENCE;
        while std::time::Instant::now() < deadline
            && lines.write_all(recording(1).as_bytes()).is_ok()
        {
            std::thread::sleep(std::time::Duration::from_millis(5));
        }
    });
    assert!(replay.is_running());
    let log = dir.path().join("replay.log");
    // `replay … && score …` must not score what stood there before.
    assert_eq!(replay.terminate(), Some(130));
    more.join().unwrap();
    let log = std::fs::read_to_string(log).unwrap();
    assert!(
        log.contains("stopped before the end; what came so far is in")
            && log.contains("inputs.jsonl.gz.part")
            && log.contains(&format!("another command left it is {events}\n")),
        "{log}"
    );
    assert_eq!(
        std::fs::read_to_string(&events).unwrap(),
        "from an earlier replay"
    );
    assert!(!Path::new(&inputs).exists());
    let (code, _, stderr) = agent(&["replay", &at("inputs.jsonl.gz.part"), "--config", config]);
    assert_eq!(code, Some(0), "{stderr}");
    assert!(!stderr.contains(" 0 frames"), "{stderr}");
}

fn replay(clip: &Path) -> (Option<i32>, String, String) {
    let dir = tempfile::tempdir().unwrap();
    let config = for_replay(dir.path());
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
    // Its last picture is cut, which is judged by nobody and told by the exit code.
    assert_eq!(code, Some(1), "{stderr}");
    assert!(stderr.contains("1 of 13 pictures are damaged"), "{stderr}");
    assert!(stderr.contains("in 12 frames"), "{stderr}");

    // What says itself that there is more of it was read to its end, with a warning and as if all
    // had been seen. The index of an MP4 for the web is in front.
    for (name, encoder) in [
        (
            "web.mp4",
            "-c:v libx264 -bf 0 -preset ultrafast -movflags +faststart",
        ),
        ("dashcam.avi", "-c:v mjpeg -q:v 3"),
    ] {
        let whole = dir.path().join(name);
        let mut arguments = vec!["-i", clip.to_str().unwrap(), "-t", "3", "-an"];
        arguments.extend(encoder.split(' '));
        arguments.push(whole.to_str().unwrap());
        ffmpeg(&arguments);
        let (code, _, stderr) = replay(&whole);
        assert_eq!(code, Some(0), "{name}: {stderr}");
        let bytes = std::fs::read(&whole).unwrap();
        std::fs::write(&whole, &bytes[..bytes.len() * 2 / 3]).unwrap();
        let (code, _, stderr) = replay(&whole);
        assert_eq!(code, Some(1), "{name}: {stderr}");
        let told = format!("warning: {}: the file is cut off, ", whole.display());
        assert!(stderr.contains(&told), "{name}: {stderr}");
        assert!(stderr.contains(" event(s) in "), "{name}: {stderr}");
    }

    // An MP4 whose index was never written cannot be read at all.
    let bytes = std::fs::read(&clip).unwrap();
    let broken = dir.path().join("broken.mp4");
    std::fs::write(&broken, &bytes[bytes.len() / 2..]).unwrap();
    let (code, _, stderr) = replay(&broken);
    assert_eq!(code, Some(1), "{stderr}");
    assert!(stderr.contains("broken.mp4"), "{stderr}");
}

/// A box drops what its decoder made up, and judges nobody by it; a replay of the same says
/// what it did not judge.
#[test]
fn damaged_pictures_of_a_clip_are_judged_by_nobody_and_said() {
    let dir = tempfile::tempdir().unwrap();
    let clip = dir.path().join("torn.mkv");
    ffmpeg(&[
        "-f",
        "lavfi",
        "-i",
        "testsrc2=size=320x240:rate=10:duration=6",
        "-c:v",
        "libx264",
        "-g",
        "10",
        "-bf",
        "0",
        clip.to_str().unwrap(),
    ]);
    let mut bytes = std::fs::read(&clip).unwrap();
    let middle = bytes.len() / 2;
    for byte in &mut bytes[middle..middle + 3000] {
        *byte ^= 0x5a;
    }
    std::fs::write(&clip, bytes).unwrap();
    let config = for_replay(dir.path());
    let inputs = dir.path().join("inputs.jsonl");
    let (code, _, stderr) = agent(&[
        "replay",
        clip.to_str().unwrap(),
        "--config",
        config.to_str().unwrap(),
        "--record-inputs",
        inputs.to_str().unwrap(),
        "--no-gate",
    ]);
    assert_eq!(code, Some(1), "{stderr}");
    let told = stderr
        .lines()
        .find(|line| line.contains("torn.mkv: ") && line.contains("are damaged and were left out"));
    let told = told.unwrap_or_else(|| panic!("{stderr}"));
    let number = |word: usize| told.split(' ').nth(word).unwrap().parse::<usize>().unwrap();
    let (damaged, of) = (number(2), number(4));
    let recorded = std::fs::read_to_string(&inputs).unwrap();
    let looks = recorded.matches("{\"detections\"").count();
    assert!((1..30).contains(&damaged), "{told}");
    assert_eq!(looks + damaged, of, "{told}");
}

/// Twelve seconds in which all moves, whole and with 1.2 s of every five left out, just before
/// the key picture.
fn whole_and_holey(dir: &Path) -> [PathBuf; 2] {
    let [whole, holey] = ["whole.mkv", "holey.mkv"].map(|name| dir.join(name));
    let encoder = ["-c:v", "libx264", "-g", "50", "-sc_threshold", "0"];
    let source = [
        "-f",
        "lavfi",
        "-i",
        "testsrc2=size=320x240:rate=10:duration=12",
    ];
    let to = ["-bf", "0", whole.to_str().unwrap()];
    ffmpeg(&[&source[..], &encoder, &to].concat());
    let lost = [
        "-c",
        "copy",
        "-bsf:v",
        "noise=drop='between(mod(n,50),38,49)'",
    ];
    let (from, to) = (["-i", whole.to_str().unwrap()], [holey.to_str().unwrap()]);
    ffmpeg(&[&from[..], &lost, &to].concat());
    [whole, holey]
}

/// A box whose one rule watches a zone of a camera.
fn watching(url: &str) -> String {
    format!(
        "{BOX}[[camera]]\nid = 'c'\nsource = {{ rtsp = '{url}' }}\n\
         [[camera.zone]]\nid = 'road'\npoints = [[0.1, 0.1], [0.9, 0.1], [0.9, 0.9]]\n\
         [[camera.rule]]\nid = 'people'\nkind = 'intrusion'\nzone = 'road'\n"
    )
}

/// Of a lossy line a replay was "100 % watched".
#[test]
fn time_of_which_pictures_are_missing_is_not_watched() {
    let dir = tempfile::tempdir().unwrap();
    let [whole, holey] = whole_and_holey(dir.path());
    let config = write(dir.path(), "box.toml", &watching("rtsp://127.0.0.1/x"));
    for (clip, expected) in [(&whole, 0.0), (&holey, 2.6)] {
        let hours = dir.path().join("hours.jsonl");
        let words = ["replay", clip.to_str().unwrap(), "--no-gate", "--coverage"];
        let files = [
            hours.to_str().unwrap(),
            "--config",
            config.to_str().unwrap(),
        ];
        let (code, _, stderr) = agent(&[&words[..], &files].concat());
        assert_eq!(code, Some(0), "{stderr}");
        let text = std::fs::read_to_string(&hours).unwrap();
        let hour: serde_json::Value = serde_json::from_str(text.lines().next().unwrap()).unwrap();
        let missing = hour["unwatched_s"]["no_picture"].as_f64().unwrap_or(0.0);
        assert!((missing - expected).abs() < 0.01, "{hour}");
        let watched = hour["watched_s"].as_f64().unwrap();
        assert!((watched + missing - 11.9).abs() < 0.01, "{hour}");
    }
}

#[test]
fn a_box_says_the_same_of_a_camera_whose_pictures_are_missing() {
    let dir = tempfile::tempdir().unwrap();
    let [_, holey] = whole_and_holey(dir.path());
    let camera = Camera::start(dir.path(), &holey, "127.0.0.1:0");
    let port = free_port();
    let text = watching(&camera.url);
    let text = format!(
        "{text}[store]\ndir = '{}'\n[metrics]\nlisten = '127.0.0.1:{port}'\n",
        dir.path().join("store").display()
    );
    let config = write(dir.path(), "box.toml", &text);
    let agent = start_agent(dir.path(), &config);
    let metrics = || {
        let answer = ureq::get(format!("http://127.0.0.1:{port}/metrics")).call();
        answer.ok()?.body_mut().read_to_string().ok()
    };
    let of = |text: &str, line: &str| -> Option<f64> {
        let line = text.lines().find(|it| it.starts_with(line))?;
        line.rsplit(' ').next()?.parse().ok()
    };
    let missing =
        "edge_rule_unwatched_seconds_total{camera=\"c\",rule=\"people\",reason=\"no_picture\"}";
    let counted = "edge_stream_holes_total{camera=\"c\"}";
    let text = eventually("two holes to be counted", || {
        let text = metrics()?;
        (of(&text, missing)? > 2.0 && of(&text, counted)? >= 2.0).then_some(text)
    });
    let corrupt = "edge_frames_dropped_total{camera=\"c\",reason=\"corrupt\"}";
    assert_eq!(of(&text, corrupt).unwrap_or(0.0), 0.0, "{text}");
    assert_eq!(agent.terminate(), Some(0));
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
    let config = for_replay(dir.path());
    let annotated = dir.path().join("seen.mp4");
    let (code, _, stderr) = agent(&[
        "replay",
        both.to_str().unwrap(),
        "--config",
        config.to_str().unwrap(),
        "--annotate",
        annotated.to_str().unwrap(),
    ]);
    assert_eq!(code, Some(0), "{stderr}");
    assert!(
        stderr.contains("on they are 640×480 instead of 320×240"),
        "{stderr}"
    );
    assert!(annotated.exists());
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
fn no_command_ever_prints_a_password() {
    let dir = tempfile::tempdir().unwrap();
    let clip = write(dir.path(), "clip.jsonl", &recording(3));
    let port = support::free_port();
    write(dir.path(), "secret", "hunter2-file\n");
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
user = "me"
password = "hunter2"
evidence_token_file = "secret"
[[camera]]
id = "in-the-address"
source = {{ rtsp = "rtsp://root:hunter2@127.0.0.1:{port}/x?password=hunter2" }}
[[camera]]
id = "beside-it"
source = {{ rtsp = "rtsp://127.0.0.1:{port}/x", user = "root", password = "hunter2" }}
[[camera]]
id = "in-a-file"
source = {{ rtsp = "rtsp://127.0.0.1:{port}/x", user = "root", password_file = "secret" }}
"#
        ),
    );
    let config = config.to_str().unwrap();
    let (code, stdout, stderr) = agent(&["--log", "trace", "check", "--timeout", "3", config]);
    assert_eq!(code, Some(1), "{stdout}{stderr}");
    assert!(stdout.contains("FAILED  camera in-the-address"), "{stdout}");
    let mut said = stdout + &stderr;

    let clip = clip.to_str().unwrap();
    let replay = ["replay", clip, "--config", config, "--camera", "beside-it"];
    let (code, stdout, stderr) = agent(&[&["--log", "trace"], &replay[..]].concat());
    assert_eq!(code, Some(0), "{stdout}{stderr}");
    said += &(stdout + &stderr);

    let mut command = Command::new(support::binary("edge-agent"));
    command.args(["--log", "trace", "run", config]);
    command.current_dir(support::repository());
    let running = support::Process::start(command, dir.path().join("agent.log"));
    for camera in ["in-the-address", "beside-it", "in-a-file"] {
        support::eventually("each camera to be refused", || {
            let refused = format!("camera {camera}: 127.0.0.1:{port} refuses");
            running.log_text().contains(&refused).then_some(())
        });
    }
    assert_eq!(running.terminate(), Some(0));
    said += &std::fs::read_to_string(dir.path().join("agent.log")).unwrap();
    let leak = said.lines().find(|line| line.contains("hunter2"));
    assert_eq!(leak, None);
}

#[test]
fn a_pace_of_no_looks_is_refused_instead_of_looking_at_everything() {
    for pace in ["0", "-3", "nan", "inf", "soon"] {
        let (code, _, stderr) = agent(&[
            "replay",
            "clip.mp4",
            "--config",
            "box.toml",
            "--analysed-fps",
            pace,
        ]);
        assert_eq!(code, Some(2), "{pace}: {stderr}");
        assert!(
            stderr.contains("frames per second are more than 0 and at most 120"),
            "{pace}: {stderr}"
        );
    }
}

#[test]
fn the_program_names_its_build() {
    let (code, stdout, _) = agent(&["--version"]);
    assert_eq!(code, Some(0));
    let version = stdout.trim().strip_prefix("edge-agent ").unwrap();
    assert_eq!(version, edge_agent::VERSION);
    // What nobody released says so.
    assert!(
        version.starts_with(concat!(env!("CARGO_PKG_VERSION"), "+")),
        "{version}"
    );
}
