//! Second looks on the real program: real clip, real RTSP, real detector; the
//! second models are tiny and answer by brightness.

#![allow(clippy::unwrap_used)] // a test that cannot go on says where it stands

mod support;

#[path = "../inference/tests/support/onnx.rs"]
#[allow(dead_code)] // other tests use the rest
mod onnx;

use std::io::Read as _;
use std::path::{Path, PathBuf};
use std::process::Command;

use onnx::{Attribute, Element, Network};
use protocol::EventTime;
use rtsp_camera::{CameraSettings, Clip, Mount};
use serde_json::Value;
use sha2::{Digest as _, Sha256};
use support::{
    Camera, agent, assert_same, eventually, free_port, installed, published, replay, start_agent,
};

/// Writes a classifier of what is bright and what is not into the models of `dir`.
fn write_classifier(dir: &Path, id: &str, classes: &str) {
    let mut network = Network::default();
    network.input("x", Element::F32, &[1, 3, 16, 16]);
    network.output("scores", Element::F32, &[1, 2]);
    let axes = Attribute::Integers("axes", vec![1, 2, 3]);
    let flat = Attribute::Integer("keepdims", 0);
    network.node("ReduceMean", &["x"], "mean", &[axes, flat]);
    network.integers("last", &[1], &[1]);
    network.node("Unsqueeze", &["mean", "last"], "column", &[]);
    // Certain above 40 of 255, and its opposite below.
    network.floats("threshold", &[1], &[40.0]);
    network.node("Sub", &["column", "threshold"], "over", &[]);
    network.floats("signs", &[1, 2], &[1.0, -1.0]);
    network.node("Mul", &["over", "signs"], "scores", &[]);
    let file = network.file();
    let folder = dir.join("models").join(id);
    std::fs::create_dir_all(&folder).unwrap();
    std::fs::write(folder.join("light.onnx"), &file).unwrap();
    let sha256 = protocol::Digest(Sha256::digest(&file).into());
    let manifest = format!(
        "id = '{id}'\ntitle = 'Light'\ntask = 'classification'\nrank = 900\nfile = 'light.onnx'\n\
         sha256 = '{sha256}'\nlicence = 'MIT'\norigin = 'a test'\nobtain = 'a test'\n\
         [input]\ntensor = 'x'\nwidth = 16\nheight = 16\nlayout = 'nchw'\ncolour = 'rgb'\n\
         mean = [0.0, 0.0, 0.0]\nstd = [1.0, 1.0, 1.0]\nfit = 'stretch'\npad = [0.0, 0.0, 0.0]\n\
         [head]\nkind = 'classifier'\ntensor = 'scores'\nactivation = 'softmax'\n\
         [classes]\ncount = 2\n{classes}\n\
         [thresholds]\nlow = 0.3\nhigh = 0.6\nnms = 1.0\n"
    );
    std::fs::write(folder.join("model.toml"), manifest).unwrap();
}

/// A camera with a cascade for the whole picture and one for each person.
fn write_config(dir: &Path, source: &str, fps: f64) -> PathBuf {
    write_classifier(dir, "light-fire", "fire = [0]");
    write_classifier(dir, "light-heads", "no_helmet = [0]\nhelmet = [1]");
    let config = dir.join("box.toml");
    let text = format!(
        r#"
[box]
site = "test"
id = "box-1"
[store]
dir = "store"
[record]
dir = "record"
[detector]
model = "centernet-mb3-512"
models_dirs = ["{}", "models"]
[[camera]]
id = "campus"
source = {{ rtsp = "{source}" }}
analysed_fps = {fps:.1}
[[camera.rule]]
id = "burning"
kind = "fire"
min_duration_s = 3.0
[[camera.cascade]]
id = "flames"
model = "light-fire"
gives = "fire"
every_s = 0.5
[[camera.cascade]]
id = "heads"
model = "light-heads"
gives = ["helmet", "no_helmet"]
on = "person"
crop = "upper"
min_height_px = 16
"#,
        installed("models").display()
    );
    std::fs::write(&config, text).unwrap();
    config
}

/// The second looks among recorded inputs.
fn second_looks(recording: &Path) -> Vec<Value> {
    let mut text = String::new();
    let file = std::fs::File::open(recording).unwrap();
    // A recording that is being written has no end yet.
    let _cut = flate2::read::MultiGzDecoder::new(file).read_to_string(&mut text);
    text.lines()
        .filter_map(|line| serde_json::from_str::<Value>(line).ok())
        .filter_map(|mut line| line.get_mut("second_look").map(Value::take))
        .collect()
}

/// A model in `dir` as recordings and events name it.
fn named(dir: &Path, id: &str) -> Value {
    let folder = dir.join("models").join(id);
    let digest = |file: &str| {
        let bytes = std::fs::read(folder.join(file)).unwrap();
        protocol::Digest(Sha256::digest(bytes).into()).to_string()
    };
    serde_json::json!({
        "model": id,
        "model_digest": digest("light.onnx"),
        "manifest_digest": digest("model.toml"),
    })
}

/// Of these lines of events, that a fire is named after the model that saw it.
fn assert_named(lines: &str, by: &Value) {
    let events = lines.lines().map(|line| {
        let event: Value = serde_json::from_str(line).unwrap();
        event.get("data").cloned().unwrap_or(event)
    });
    let fires: Vec<Value> = events.filter(|event| event["kind"] == "fire").collect();
    assert!(!fires.is_empty(), "{lines}");
    for event in fires {
        assert_eq!(
            event["provenance"]["second"],
            serde_json::json!([by]),
            "{event}"
        );
    }
}

fn assert_sound(dir: &Path, looks: &[Value]) {
    let of = |cascade: &str| {
        looks
            .iter()
            .filter(|look| look["cascade"] == cascade)
            .count()
    };
    assert!(of("flames") > 5 && of("heads") > 1, "{looks:#?}");
    for look in looks {
        let is_whole = look["cascade"] == "flames";
        assert_eq!(look["track"].is_null(), is_whole, "{look}");
        let id = if is_whole {
            "light-fire"
        } else {
            "light-heads"
        };
        assert_eq!(look["by"], serde_json::json!([named(dir, id)]), "{look}");
        let label = &look["labels"]["labels"][0];
        let words = if is_whole {
            &["fire"][..]
        } else {
            &["helmet", "no_helmet"]
        };
        assert!(words.contains(&label["class"].as_str().unwrap()), "{look}");
    }
}

#[test]
fn a_clip_is_looked_at_twice_and_its_recording_gives_the_same_events() {
    let dir = tempfile::tempdir().unwrap();
    let config = write_config(dir.path(), "rtsp://127.0.0.1/none", 2.0);
    let inputs = dir.path().join("inputs.jsonl.gz");
    let clip = installed("clips/vtest.mp4");
    let (code, from_clip, stderr) = agent(&[
        "replay",
        clip.to_str().unwrap(),
        "--config",
        config.to_str().unwrap(),
        "--record-inputs",
        inputs.to_str().unwrap(),
    ]);
    assert_eq!(code, Some(0), "{stderr}");
    assert!(from_clip.contains(r#""kind":"fire""#), "{from_clip}");
    assert_sound(dir.path(), &second_looks(&inputs));
    assert_named(&from_clip, &named(dir.path(), "light-fire"));
    // The recording needs none of the models.
    std::fs::remove_dir_all(dir.path().join("models")).unwrap();
    let (from_inputs, _) = replay(&inputs, &config, &[]);
    assert_eq!(from_inputs.join("\n"), from_clip.trim_end());
}

#[test]
fn a_box_takes_second_looks_and_its_recording_gives_what_it_published() {
    let dir = tempfile::tempdir().unwrap();
    let camera = Camera::start(dir.path(), &installed("clips/vtest.mp4"), "127.0.0.1:0");
    // Slow enough for a busy machine: second looks are the first to be dropped.
    let config = write_config(dir.path(), &camera.url, 1.0);
    let agent = start_agent(dir.path(), &config);
    eventually("an event that only second looks show", || {
        agent.log_text().contains("burning").then_some(())
    });
    assert_eq!(agent.terminate(), Some(0));
    let published = published(dir.path());
    assert_named(&published.join("\n"), &named(dir.path(), "light-fire"));
    let recorded = dir.path().join("record");
    let (replayed, _) = replay(&recorded, &config, &[]);
    assert_eq!(assert_same(&published, &replayed), Vec::<String>::new());
    let files = std::fs::read_dir(recorded.join("campus")).unwrap();
    let looks = files.flat_map(|file| second_looks(&file.unwrap().path()));
    let looks: Vec<Value> = looks.collect();
    assert!(
        looks.iter().any(|look| look["cascade"] == "flames"),
        "{looks:#?}"
    );
}

/// Makes a clip by ffmpeg.
fn make_clip(input: &[&str], more: &[&str], path: &Path) {
    let mut command = Command::new("ffmpeg");
    command.args(["-v", "error", "-nostdin", "-y"]).args(input);
    command.args(more).args(["-c:v", "libx264", "-preset"]);
    let output = command.args(["veryfast", "-bf", "0"]).arg(path).output();
    let output = output.expect("ffmpeg is not installed; run `make setup` first");
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{said}");
}

/// The metrics of a running box that begin with this.
fn metrics(port: u16, name: &str) -> Vec<(String, f64)> {
    let page = ureq::get(format!("http://127.0.0.1:{port}/metrics")).call();
    let text = page
        .ok()
        .and_then(|mut it| it.body_mut().read_to_string().ok());
    let text = text.unwrap_or_default();
    let lines = text.lines().filter(|line| line.starts_with(name));
    let sample = |line: &str| {
        let (labels, value) = line.rsplit_once(' ')?;
        Some((labels.to_owned(), value.parse().ok()?))
    };
    lines.filter_map(sample).collect()
}

/// A large stream that shows nothing.
const BLACK: &str = "color=black:s=768x576:r=10:d=20";
/// One of which each picture is black or white, by when it is shown: see [`is_white`].
const BY_TIME: &str = "color=black:s=768x576:r=10:d=20,drawbox=c=white:t=fill:enable='\
                       lt(mod(3*floor(n/4)*floor(n/4)+floor(n/4),53),26)'";

/// Whether [`BY_TIME`] shows white at this tenth of a second of its twenty: each colour for
/// 0.4 s at least, in an order that is like itself at no other time.
fn is_white(tenth: i64) -> bool {
    let step = tenth.rem_euclid(200) / 4;
    (3 * step * step + step) % 53 < 26
}

/// A camera whose small stream shows people and whose large one is `large`, by the clock, with
/// `rule` and a cascade of heads that gives these classes for bright and dark parts; and the port
/// of its metrics.
fn two_streams(
    dir: &Path,
    pictures: &str,
    classes: &str,
    rule: &str,
) -> (PathBuf, rtsp_camera::Camera, u16) {
    let (large, small) = (dir.join("large.mp4"), dir.join("small.mp4"));
    make_clip(&["-f", "lavfi", "-i", pictures], &["-g", "20"], &large);
    let people = installed("clips/vtest.mp4");
    let scaled = ["-vf", "scale=384:288", "-g", "10"];
    make_clip(&["-i", people.to_str().unwrap()], &scaled, &small);
    let mount = |name, clip: &Path| Mount::new(name, Clip::load(clip).unwrap());
    let mut main = mount("main", &large);
    main.script.by_the_clock = true;
    let mounts = vec![main, mount("sub", &small)];
    let camera = rtsp_camera::Camera::start(CameraSettings::loopback(mounts)).unwrap();
    write_classifier(dir, "light-heads", classes);
    let config = dir.join("box.toml");
    let port = free_port();
    let text = format!(
        r#"
[box]
site = "test"
id = "box-1"
[store]
dir = "store"
[record]
dir = "record"
[metrics]
listen = "127.0.0.1:{port}"
[detector]
model = "centernet-mb3-512"
models_dirs = ["{}", "models"]
[[camera]]
id = "campus"
source = {{ rtsp = "{}", detect_rtsp = "{}" }}
analysed_fps = 2.0
{rule}
[[camera.cascade]]
id = "heads"
model = "light-heads"
gives = ["helmet", "no_helmet"]
on = "person"
crop = "upper"
min_height_px = 44
"#,
        installed("models").display(),
        camera.url("main"),
        camera.url("sub"),
    );
    std::fs::write(&config, text).unwrap();
    (config, camera, port)
}

/// Of a camera with two streams the small one shows people, and the large one is black or white by
/// the time of day. Who is in the small one is looked at in the large one, as it was at that
/// very time: in the small one nobody is large enough, and at another time half of it is another colour.
#[test]
fn of_two_streams_the_large_one_is_looked_at_more_closely() {
    let dir = tempfile::tempdir().unwrap();
    let rule = r#"
[[camera.zone]]
id = "road"
points = [[0.02, 0.02], [0.98, 0.02], [0.98, 0.98], [0.02, 0.98]]
[[camera.rule]]
id = "people-on-road"
kind = "pedestrian_on_carriageway"
zone = "road"
"#;
    let classes = "no_helmet = [0]\nhelmet = [1]";
    let (config, _camera, port) = two_streams(dir.path(), BY_TIME, classes, rule);
    let agent = start_agent(dir.path(), &config);
    let looks = |outcome: &str| {
        let counts = metrics(port, "edge_main_looks_total");
        let of = counts.iter().filter(|(labels, _)| labels.contains(outcome));
        of.map(|(_, count)| count).sum::<f64>()
    };
    let sent = eventually("looks at the main stream", || {
        Some(looks("\"main\"")).filter(|count| *count >= 24.0)
    });
    let told = metrics(port, "edge_main_");
    println!("{told:?}");
    // Those of the first seconds, when the clocks are not believed yet, found nobody large
    // enough in the small picture.
    assert_eq!(looks("\"detect\""), 0.0, "{told:?}");
    // A loaded machine may be late; nothing was lost on the way and no picture is broken.
    assert_eq!(looks("\"damaged\""), 0.0, "{told:?}");
    assert_eq!(agent.terminate(), Some(0));
    let recorded = dir.path().join("record");
    let files = std::fs::read_dir(recorded.join("campus")).unwrap();
    let answers = files.flat_map(|file| second_looks(&file.unwrap().path()));
    let answers: Vec<Value> = answers.collect();
    println!("{} answers to {sent} looks", answers.len());
    assert!(answers.len() >= 12, "{} of {sent}", answers.len());
    let mut seen = [0; 2];
    for answer in &answers {
        let time: EventTime = serde_json::from_value(answer["at"]["time"].clone()).unwrap();
        let tenth = (time.as_micros() + 50_000).div_euclid(100_000);
        let white = is_white(tenth);
        // Next to a change the picture may be the one beside it.
        if is_white(tenth - 1) == white && is_white(tenth + 1) == white {
            let class = &answer["labels"]["labels"][0]["class"];
            let expected = if white { "no_helmet" } else { "helmet" };
            assert_eq!(class, expected, "a picture of another moment: {answer}");
            seen[usize::from(white)] += 1;
        }
    }
    println!("{seen:?} black and white");
    assert!(seen[0] > 1 && seen[1] > 1, "{seen:?}");
    // The scene heard them under the frames that it knows.
    let (replayed, _) = replay(&recorded, &config, &[]);
    let unpublished = assert_same(&published(dir.path()), &replayed);
    assert_eq!(unpublished, Vec::<String>::new());
}

/// The rule of a street whose pedestrians wear helmets: there is no clip of riders here.
const BARE_HEADS: &str = r#"
[[camera.rule]]
id = "bare-heads"
kind = "no_helmet"
classes = ["person"]
min_looks = 2
min_head_pct = 0.1
min_speed_heights_per_s = 0.0
"#;

/// A crop in a case: name, pixels, bytes.
type Crop = (String, (u32, u32), Vec<u8>);

/// The manifest of a case in a folder, and the crops in it.
fn crops_of(case: &Path) -> (Value, Vec<Crop>) {
    let text = std::fs::read_to_string(case.join("case.json")).unwrap();
    let manifest = serde_json::from_str::<Value>(&text).unwrap()["manifest"].clone();
    let media = manifest["media"].as_array().unwrap().iter();
    let crops = media.filter(|media| media["role"] == "finding_crop");
    let crop = |media: &Value| {
        let name = media["name"].as_str().unwrap().to_owned();
        assert_eq!(media["media_type"], "image/png", "{name}");
        let bytes = std::fs::read(case.join(&name)).unwrap();
        // IHDR is the first chunk (RFC 2083 § 4.1.1).
        let word = |at: usize| u32::from_be_bytes(bytes[at..at + 4].try_into().unwrap());
        (name, (word(16), word(20)), bytes)
    };
    let crops = crops.map(crop).collect();
    (manifest, crops)
}

/// Each look of the event has its crop, of the size of what the model was shown in a picture of
/// so many pixels. How many there are.
fn assert_shown((manifest, crops): &(Value, Vec<Crop>), of: (f64, f64)) -> usize {
    let looks = manifest["event"]["looks"].as_array().unwrap();
    assert!((1..=3).contains(&looks.len()), "{manifest:#}");
    assert_eq!(crops.len(), looks.len(), "{manifest:#}");
    for (look, (name, (width, height), _)) in looks.iter().zip(crops) {
        assert_eq!(
            (&look["class"], &look["is_second"]),
            (&"no_helmet".into(), &true.into())
        );
        let side = |edge: usize, of: f64| look["part"][edge].as_f64().unwrap() * of;
        let off = [
            f64::from(*width) - side(2, of.0),
            f64::from(*height) - side(3, of.1),
        ];
        assert!(
            off.iter().all(|off| off.abs() <= 1.0),
            "{name}: {off:?} of {look}"
        );
        assert!(name.ends_with("-finding_crop.png"), "{name}");
    }
    looks.len()
}

/// What a second model judged is in the signed case, also of a recorded clip.
#[test]
fn a_case_shows_the_heads_that_a_cascade_judged() {
    let dir = tempfile::tempdir().unwrap();
    let config = write_config(dir.path(), "rtsp://127.0.0.1/none", 2.0);
    let text = std::fs::read_to_string(&config).unwrap();
    std::fs::write(&config, text + BARE_HEADS).unwrap();
    let (clip, out) = (installed("clips/vtest.mp4"), dir.path().join("cases"));
    let replay = [
        "replay",
        clip.to_str().unwrap(),
        "--config",
        config.to_str().unwrap(),
    ];
    let evidence = ["--evidence", out.to_str().unwrap()];
    let (code, events, stderr) = agent(&[&replay[..], &evidence].concat());
    assert_eq!(code, Some(0), "{stderr}");
    let mut shown = 0;
    let mut cases: Vec<PathBuf> = Vec::new();
    for entry in std::fs::read_dir(&out).unwrap() {
        let case = entry.unwrap().path();
        if !case.join("case.json").exists() {
            continue;
        }
        let crops = crops_of(&case);
        if crops.0["event"]["kind"] == "no_helmet" {
            shown += assert_shown(&crops, (768.0, 576.0));
            let id = crops.0["event"]["id"].as_str().unwrap();
            let told = events.lines().find(|line| line.contains(id)).unwrap();
            let told: Value = serde_json::from_str(told).unwrap();
            let looks = |event: &Value| -> Vec<protocol::event::Look> {
                serde_json::from_value(event["looks"].clone()).unwrap()
            };
            assert_eq!(looks(&told), looks(&crops.0["event"]));
            cases.push(case);
        } else {
            assert_eq!(crops.1.len(), 0, "{:#}", crops.0);
        }
    }
    println!("{shown} crops in {} cases", cases.len());
    assert!(cases.len() > 1, "{stderr}");
    let keys = out.join("keys");
    let verify = |case: &Path| {
        let keys = [
            "verify",
            "--allow-recordings",
            "--keys",
            keys.to_str().unwrap(),
        ];
        let (code, stdout, stderr) = agent(&[&keys[..], &[case.to_str().unwrap()]].concat());
        (code, stdout + &stderr)
    };
    let case = &cases[0];
    assert_eq!(verify(case).0, Some(0), "{}", verify(case).1);
    // And a pixel that was changed is found.
    let (name, _, mut bytes) = crops_of(case).1.remove(0);
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    std::fs::write(case.join(&name), bytes).unwrap();
    let (code, said) = verify(case);
    assert!(code == Some(1) && said.contains(&name), "{said}");
}

/// Of two streams the large one was looked at, which is black: so are the crops, as large as
/// they are in it, whatever the small one shows.
#[test]
fn of_two_streams_a_case_shows_what_was_looked_at_in_the_large_one() {
    let dir = tempfile::tempdir().unwrap();
    let (config, camera, port) = two_streams(
        dir.path(),
        BLACK,
        "helmet = [0]\nno_helmet = [1]",
        BARE_HEADS,
    );
    let agent_running = start_agent(dir.path(), &config);
    let bare = eventually("bare heads that only the black picture shows", || {
        let alerts = metrics(port, "edge_events_total");
        let bare = alerts
            .iter()
            .filter(|(labels, _)| labels.contains("no_helmet"));
        Some(bare.map(|(_, count)| count).sum::<f64>()).filter(|count| *count >= 1.0)
    });
    println!("{bare} events");
    assert_eq!(agent_running.terminate(), Some(0));
    drop(camera);
    let events = published(dir.path());
    let events = events
        .iter()
        .map(|line| serde_json::from_str::<Value>(line).unwrap());
    let mut shown = 0;
    for event in events.filter(|event| event["data"]["kind"] == "no_helmet") {
        let (id, out) = (
            event["data"]["id"].as_str().unwrap(),
            dir.path().join("case"),
        );
        let (code, _, stderr) = agent(&[
            "bundle",
            id,
            "--config",
            config.to_str().unwrap(),
            "--out",
            out.to_str().unwrap(),
        ]);
        assert_eq!(code, Some(0), "{stderr}");
        let crops = crops_of(&out);
        for (look, (name, ..)) in event["data"]["looks"]
            .as_array()
            .unwrap()
            .iter()
            .zip(&crops.1)
        {
            assert!(look["main"].is_string(), "{look}");
            let media = crops.0["media"].as_array().unwrap().iter();
            let media = media
                .clone()
                .find(|media| media["name"] == name.as_str())
                .unwrap();
            assert_eq!(media["captured"], look["main"]);
            let note = media["note"]["en"].as_str().unwrap();
            assert!(
                note.contains("of a picture of 768×576, main stream"),
                "{note}"
            );
        }
        shown += assert_shown(&crops, (768.0, 576.0));
        std::fs::remove_dir_all(out).unwrap();
    }
    assert!(shown > 0);
}

#[test]
fn check_says_what_cascades_do_and_what_they_lack() {
    let dir = tempfile::tempdir().unwrap();
    let config = write_config(dir.path(), "rtsp://127.0.0.1/none", 2.0);
    let check = || agent(&["check", "--offline", config.to_str().unwrap()]).1;
    let told = check();
    for part in [
        "cascade flames",
        "light-fire looks at the whole picture every 0.5 s for fire",
        "light-heads looks at each person (upper) up to 10 times for helmet, no_helmet",
        "it works in vain",
    ] {
        assert!(told.contains(part), "no `{part}` in\n{told}");
    }
    // Only what accuses is asked for: what speaks for riders is heard all the same, and that is said.
    let text = std::fs::read_to_string(&config).unwrap();
    let heads = r#"gives = ["helmet", "no_helmet"]"#;
    assert!(text.contains(heads));
    let text = text.replace(heads, r#"gives = "no_helmet""#);
    let rule = "[[camera.rule]]\nid = 'heads'\nkind = 'no_helmet'\n";
    std::fs::write(&config, text + rule).unwrap();
    let told = check();
    let words = "what it says of helmet is heard as well, because it speaks for the road user";
    assert!(told.contains(words), "{told}");
    // Each word once, however many of the model's numbers it stands for.
    write_classifier(dir.path(), "light-fire", "smoke = [0, 1]");
    let told = check();
    assert!(
        told.contains("light-fire does not give fire; its manifest lists smoke: correct"),
        "{told}"
    );
    std::fs::remove_dir_all(dir.path().join("models/light-heads")).unwrap();
    let told = check();
    assert!(told.contains("there is no model light-heads"), "{told}");
}
