//! A model that fails on some pictures, or whose answers are no numbers: said, counted,
//! a gap to the rules, and never an event; in a replay and live alike.

#![allow(clippy::unwrap_used)] // a test that cannot go on says where it stands

#[allow(dead_code)] // other tests use more of it
#[path = "../inference/tests/support/onnx.rs"]
mod onnx;
#[allow(dead_code)] // other tests use more of it
#[path = "../inference/tests/support/small.rs"]
mod small;
mod support;

use std::path::{Path, PathBuf};
use std::process::Command;

use models::Manifest;
use protocol::EventTime;
use serde_json::Value;
use small::Small;
use support::{
    Camera, Centre, agent, assert_same, eventually, free_port, pictures, published, recorded,
    start_agent,
};

/// Ten pictures a second, three seconds of each grey.
fn clip(dir: &Path, name: &str, greys: &[&str]) -> PathBuf {
    let file = dir.join(name);
    let mut command = Command::new("ffmpeg");
    command.args(["-v", "error", "-nostdin", "-y"]);
    for grey in greys {
        let source = format!("color=c={grey}:s=320x240:r=10:d=3,noise=alls=6:allf=t");
        command.args(["-f", "lavfi", "-i", &source]);
    }
    let join = format!("concat=n={}:v=1", greys.len());
    let encoder = "-pix_fmt yuv420p -c:v libx264 -bf 0 -g 10 -preset ultrafast \
                   -x264-params sliced-threads=0:scenecut=0";
    command.args(["-filter_complex", &join]);
    command.args(encoder.split_whitespace()).arg(&file);
    let status = command.status();
    let status = status.expect("ffmpeg is not installed; run `make setup` first");
    assert!(status.success());
    file
}

/// A dark clip in which nothing is believed, that is nearly white in the middle: then
/// a sound network sees a person and a car.
fn mixed(dir: &Path) -> PathBuf {
    clip(dir, "mixed.mp4", &["0x202020", "white", "0x202020"])
}

/// Who is there for two seconds is said.
const RULES: &str = "
[[camera.zone]]
id = 'road'
points = [[0.0, 0.0], [1.0, 0.0], [1.0, 1.0], [0.0, 1.0]]
[[camera.rule]]
id = 'people'
kind = 'loitering'
zone = 'road'
min_dwell_s = 2.0
[[camera.rule]]
id = 'cars'
kind = 'stopped_vehicle'
zone = 'road'
min_dwell_s = 2.0
";

/// Puts a network into the models of `dir`, under a name.
fn install(dir: &Path, name: &str, small: Small, mut manifest: Manifest) {
    let folder = dir.join("models").join(name);
    std::fs::create_dir_all(&folder).unwrap();
    let bytes = small.file();
    small::write(&folder, &bytes);
    manifest.id = name.parse().unwrap();
    let manifest = toml::to_string(&small::of_file(manifest, &bytes)).unwrap();
    std::fs::write(folder.join("model.toml"), manifest).unwrap();
}

/// A box whose detector is this one.
fn config(dir: &Path, small: Small, source: &str, more: &str) -> PathBuf {
    install(dir, "small", small, small.manifest());
    let file = dir.join("box.toml");
    let text = format!(
        "[box]\nsite = 's'\nid = 'b'\n[store]\ndir = 'store'\n[detector]\nmodel = 'small'\nmodels_dirs = ['models']\n{more}\n\
         [[camera]]\nid = 'c'\nsource = {{ rtsp = '{source}' }}\nhealth = {{ watch = false }}\n\
         detect = {{ gate = false }}\n{RULES}"
    );
    std::fs::write(&file, text).unwrap();
    file
}

/// What is wrong with a network, what is said of it, and who is seen all the same.
struct Fault {
    small: Small,
    /// Why it fails on a picture; none where it does not fail.
    reason: Option<&'static str>,
    /// Rules that have events.
    seen: &'static [&'static str],
}

fn faults() -> [Fault; 5] {
    let sound = Small::default();
    let fault = |small, reason, seen| Fault {
        small,
        reason,
        seen,
    };
    let nan = |nan_when_bright| Small {
        nan_when_bright,
        ..sound
    };
    let empty = Small {
        empty_when_bright: true,
        ..sound
    };
    let fails = Small {
        fails_when_bright: true,
        ..sound
    };
    let no_numbers = "all 3 answers of the rtdetr_exported head hold NaN";
    [
        fault(sound, None, &["cars", "people"]),
        // The person's score is the first.
        fault(nan(1), None, &["cars"]),
        fault(nan(3), Some(no_numbers), &[]),
        fault(empty, Some("to be [1, 3], the model gives [1, 0]"), &[]),
        fault(fails, Some("inference failed"), &[]),
    ]
}

/// The rules of events, each once, in order.
fn rules<'a>(events: impl Iterator<Item = &'a str>) -> Vec<String> {
    let rule = |line: &str| {
        let event: Value = serde_json::from_str(line).unwrap();
        let event = event.get("data").unwrap_or(&event);
        event["rule"].as_str().unwrap().to_owned()
    };
    let mut rules: Vec<String> = events.map(rule).collect();
    rules.sort();
    rules.dedup();
    rules
}

struct Replayed {
    code: Option<i32>,
    events: String,
    said: String,
    inputs: String,
    coverage: String,
}

fn replay(dir: &Path, clip: &Path, config: &Path) -> Replayed {
    let file = |name: &str| dir.join(name).to_str().unwrap().to_owned();
    let (inputs, coverage) = (file("inputs.jsonl"), file("coverage.jsonl"));
    let (code, events, said) = agent(&[
        "replay",
        clip.to_str().unwrap(),
        "--config",
        config.to_str().unwrap(),
        "--record-inputs",
        &inputs,
        "--coverage",
        &coverage,
    ]);
    let read = |name| std::fs::read_to_string(name).unwrap_or_default();
    Replayed {
        code,
        events,
        said,
        inputs: read(inputs),
        coverage: read(coverage),
    }
}

#[test]
fn in_a_replay_what_was_not_seen_is_a_gap_and_a_warning_with_the_reason() {
    let dir = tempfile::tempdir().unwrap();
    let mixed = mixed(dir.path());
    let white = clip(dir.path(), "white.mp4", &["white"]);
    for fault in faults() {
        let config = config(dir.path(), fault.small, "rtsp://h/x", "");
        let told = replay(dir.path(), &mixed, &config);
        let (small, said) = (fault.small, &told.said);
        assert_eq!(told.code, Some(0), "{small:?}: {said}");
        assert_eq!(rules(told.events.lines()), fault.seen, "{small:?}: {said}");
        let count = |word| told.inputs.matches(word).count();
        let missed = if fault.reason.is_some() { 30 } else { 0 };
        assert_eq!(count("{\"detections\""), 90 - missed, "{small:?}");
        // Where one answer of three is no number, the others count.
        let is_broken = said.contains("answers of the model were no numbers");
        assert_eq!(is_broken, small.nan_when_bright == 1, "{said}");
        let Some(reason) = fault.reason else {
            assert_eq!(count("detector_failed"), 0, "{small:?}");
            continue;
        };
        let words = "the detector failed on 30 of 90 pictures, first on frame 30";
        assert!(
            said.contains(words) && said.contains(reason),
            "{small:?}: {said}"
        );
        // From the last picture that was seen to the next one.
        for hour in told.coverage.lines() {
            let hour: Value = serde_json::from_str(hour).unwrap();
            assert_eq!(hour["unwatched_s"]["detector_failed"], 3.1, "{hour}");
            assert_eq!(hour["watched_s"], 5.8, "{hour}");
        }
        assert_eq!(told.coverage.lines().count(), 2, "{small:?}");

        let told = replay(dir.path(), &white, &config);
        let words = "the detector failed on every picture";
        assert_eq!(told.code, Some(1), "{small:?}: {}", told.said);
        assert!(
            told.said.contains(words) && told.said.contains(reason),
            "{}",
            told.said
        );
    }
}

/// The metrics of a running box.
fn metrics(port: u16) -> Option<String> {
    let url = format!("http://127.0.0.1:{port}/metrics");
    ureq::get(&url)
        .call()
        .ok()?
        .body_mut()
        .read_to_string()
        .ok()
}

/// What those that begin so are together.
fn total(metrics: &str, name: &str) -> f64 {
    let lines = metrics.lines().filter(|line| line.starts_with(name));
    let numbers = lines.filter_map(|line| line.rsplit(' ').next()?.parse::<f64>().ok());
    numbers.sum()
}

/// A number in the metrics of a running box.
fn metric(port: u16, name: &str) -> Option<f64> {
    let text = metrics(port)?;
    let line = text.lines().find(|line| line.starts_with(name))?;
    line.rsplit(' ').next()?.parse().ok()
}

#[test]
fn live_what_was_not_seen_is_a_gap_and_no_event_and_replays_the_same() {
    for fault in faults() {
        let dir = tempfile::tempdir().unwrap();
        let camera = Camera::start(dir.path(), &mixed(dir.path()), "127.0.0.1:0");
        let (port, small) = (free_port(), fault.small);
        let more = format!("[metrics]\nlisten = '127.0.0.1:{port}'\n[record]\ndir = 'record'\n");
        let config = config(dir.path(), small, &camera.url, &more);
        let running = start_agent(dir.path(), &config);
        let reach = |name: &str, least: f64| {
            eventually(name, || metric(port, name).filter(|count| *count >= least));
        };
        if small.nan_when_bright == 1 {
            reach("edge_detector_broken_answers_total", 25.0);
        }
        if fault.reason.is_some() {
            reach("edge_detector_failures_total", 25.0);
            eventually("the camera's status to say so", || {
                let log = running.log_text();
                log.contains("the model fails on every picture")
                    .then_some(())
            });
            let unwatched = "edge_rule_unwatched_seconds_total{camera=\"c\",rule=\"people\",reason=\"detector_failed\"}";
            reach(unwatched, 1.0);
        }
        for rule in fault.seen {
            let kind = if *rule == "cars" {
                "stopped_vehicle"
            } else {
                "loitering"
            };
            reach(
                &format!("edge_events_total{{camera=\"c\",kind=\"{kind}\"}}"),
                1.0,
            );
        }
        reach("edge_frames_analysed_total", 60.0);
        if !fault.seen.is_empty() {
            eventually("each event to be timed", || {
                let told = metrics(port)?;
                let timed = total(&told, "edge_event_latency_seconds_count");
                let untimed = total(&told, "edge_event_latency_unknown_total");
                let is_told = timed >= 1.0 && total(&told, "edge_events_total") == timed + untimed;
                is_told.then_some(())
            });
        }
        let log = running.log_text();
        assert_eq!(running.terminate(), Some(0));
        assert!(!log.contains("panicked"), "{log}");
        if let Some(reason) = fault.reason {
            assert!(
                log.contains("detector failed on a frame") && log.contains(reason),
                "{log}"
            );
        }
        assert_eq!(
            log.contains("answers that are no numbers"),
            small.nan_when_bright == 1,
            "{log}"
        );

        let published = published(dir.path());
        assert_eq!(
            rules(published.iter().map(String::as_str)),
            fault.seen,
            "{small:?}"
        );
        let (replayed, _) = support::replay(&dir.path().join("record"), &config, &[]);
        assert_eq!(assert_same(&published, &replayed), Vec::<String>::new());
    }
}

/// An empty road, which the sun makes nearly white so slowly that nothing seems to move.
fn sunrise(dir: &Path) -> PathBuf {
    let file = dir.join("sunrise.mp4");
    let mut command = Command::new("ffmpeg");
    command.args(["-v", "error", "-nostdin", "-y", "-f", "lavfi", "-i"]);
    command.arg(
        "color=c=0xd8d8d8:s=320x240:r=10:d=60,fade=t=out:st=10:d=12:color=white,noise=alls=4:allf=t",
    );
    command.args("-pix_fmt yuv420p -c:v libx264 -bf 0 -g 10 -preset ultrafast".split(' '));
    let status = command.arg(&file).status();
    let status = status.expect("ffmpeg is not installed; run `make setup` first");
    assert!(status.success());
    file
}

/// That an empty road was vouched for until looks failed, and looked at with each heartbeat since.
#[track_caller]
fn assert_not_vouched_for_since_looks_fail(inputs: &str) {
    let first = inputs.find("detector_failed");
    let first = first.expect("the model never failed");
    let (before, after) = inputs.split_at(inputs[..first].rfind('\n').unwrap_or(0));
    let vouched = |told: &str| {
        let shown = pictures(told).into_iter();
        shown.filter(|(_, is_followed)| *is_followed).count()
    };
    assert!(vouched(before) > 0, "it was empty before: {before}");
    assert_eq!(vouched(after), 0, "{after}");
    let failed: Vec<f64> = (after.lines())
        .filter_map(|line| {
            let line: Value = serde_json::from_str(line).ok()?;
            let to: EventTime = serde_json::from_value(line["gap"]["to"].clone()).ok()?;
            Some(to.since(EventTime::EPOCH).0)
        })
        .collect();
    assert!(failed.len() >= 7, "{after}");
    // Each 1.5 s, and not each five; a machine that is busy takes some of them late.
    let apart = (failed[failed.len() - 1] - failed[0]) / (failed.len() - 1) as f64;
    assert!(apart < 3.0, "{failed:?}");
}

/// If a look that fails were one that finds nobody, a detector that has died was asked each five seconds,
/// and rules watched all the while by the word of a gate that sees nothing faint.
#[test]
fn an_empty_road_is_not_vouched_for_while_looks_fail() {
    let dir = tempfile::tempdir().unwrap();
    let clip = sunrise(dir.path());
    let camera = Camera::start(dir.path(), &clip, "127.0.0.1:0");
    let port = free_port();
    let more = format!("[metrics]\nlisten = '127.0.0.1:{port}'\n[record]\ndir = 'record'\n");
    let small = Small {
        finds_nobody: true,
        fails_when_bright: true,
        ..Small::default()
    };
    let config = config(dir.path(), small, &camera.url, &more);
    let text = std::fs::read_to_string(&config).unwrap();
    let with_gate = text.replace("gate = false", "gate = true");
    assert_ne!(text, with_gate);
    std::fs::write(&config, with_gate).unwrap();

    let told = replay(dir.path(), &clip, &config);
    assert_eq!(told.code, Some(0), "{}", told.said);
    assert_not_vouched_for_since_looks_fail(&told.inputs);

    let running = start_agent(dir.path(), &config);
    let reach = |name: &str, least: f64| {
        eventually(name, || metric(port, name).filter(|count| *count >= least))
    };
    reach("edge_detector_failures_total", 1.0);
    // By pictures of the camera, not by this machine's time: twelve seconds.
    let rest = "edge_gate_pictures_total{camera=\"c\",verdict=\"rest\"}";
    let rested = metric(port, rest).unwrap_or(0.0);
    reach(rest, rested + 112.0);
    assert_eq!(running.terminate(), Some(0));
    let (_, text) = recorded(dir.path(), "c");
    assert_not_vouched_for_since_looks_fail(&text);
}

/// Two models beside a sound detector: one for flames in the whole picture, which fails
/// on bright ones, and one in the detector's shadow, of whose answers one is no number.
#[test]
fn a_second_model_that_fails_is_counted_by_name_and_said_and_gives_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let sound = Small::default();
    let (fails, nan) = (
        Small {
            fails_when_bright: true,
            ..sound
        },
        Small {
            nan_when_bright: 1,
            ..sound
        },
    );
    let classifier = toml::to_string(&Small::classifier()).unwrap();
    let flames = Manifest::parse(&classifier.replace("person", "fire")).unwrap();
    install(dir.path(), "flames", fails, flames);
    install(dir.path(), "shade", nan, nan.manifest());
    let clip = mixed(dir.path());
    let camera = Camera::start(dir.path(), &clip, "127.0.0.1:0");
    let port = free_port();
    let more = format!(
        "provider = ['cuda', 'cpu']\nshadow = {{ model = 'shade', every = 1 }}\n\
         [metrics]\nlisten = '127.0.0.1:{port}'\n[record]\ndir = 'record'\n"
    );
    let config = config(dir.path(), sound, &camera.url, &more);
    let cascade =
        "[[camera.cascade]]\nid = 'flames'\nmodel = 'flames'\ngives = 'fire'\nevery_s = 0.5\n";
    let text = std::fs::read_to_string(&config).unwrap() + cascade;
    std::fs::write(&config, text).unwrap();

    let told = replay(dir.path(), &clip, &config);
    let said = &told.said;
    assert_eq!(told.code, Some(0), "{said}");
    assert!(
        said.contains("flames failed on ") && said.contains("inference failed"),
        "{said}"
    );
    let taken = told.inputs.matches("{\"second_look\"").count();
    // White for three seconds at ten pictures a second; a look that fails is asked for anew.
    let counts = format!("flames failed on 30 of {} second looks", taken + 30);
    assert!(said.contains(&counts), "{taken}: {said}");

    let running = start_agent(dir.path(), &config);
    let reach = |name: &str, least: f64| {
        eventually(name, || metric(port, name).filter(|count| *count >= least))
    };
    let of = |what: &str, model: &str| format!("edge_second_model_{what}{{model=\"{model}\"");
    reach(&of("failures_total", "flames"), 3.0);
    reach(&of("looks_total", "flames"), 6.0);
    reach(&of("broken_answers_total", "shade"), 1.0);
    for model in ["flames", "shade"] {
        assert_eq!(reach(&of("providers_refused", model), 1.0), 1.0);
    }
    assert_eq!(metric(port, &of("failures_total", "shade")), Some(0.0));
    for words in [
        "model flames fails on every second look, so rules that rest on it see nothing",
        "the shadow model gives answers that are no numbers",
        "a second look failed",
    ] {
        eventually(words, || running.log_text().contains(words).then_some(()));
    }
    assert_eq!(running.terminate(), Some(0));
    let events = published(dir.path());
    let (replayed, _) = support::replay(&dir.path().join("record"), &config, &[]);
    assert_eq!(assert_same(&events, &replayed), Vec::<String>::new());
}

/// A replay says of a clip what the box would: it took the looks, and told the scene nothing of
/// those on which the model failed, so that the rule had watched.
#[test]
fn a_replay_whose_second_model_fails_did_not_watch_for_what_it_gives() {
    let dir = tempfile::tempdir().unwrap();
    let sound = Small::default();
    let fails = Small {
        fails_when_bright: true,
        ..sound
    };
    let classifier = toml::to_string(&Small::classifier()).unwrap();
    let flames = Manifest::parse(&classifier.replace("person", "fire")).unwrap();
    install(dir.path(), "flames", fails, flames);
    let cascade = "[[camera.rule]]\nid = 'burning'\nkind = 'fire'\n\
                   [[camera.cascade]]\nid = 'flames'\nmodel = 'flames'\ngives = 'fire'\nevery_s = 0.5\n";
    let config = config(dir.path(), sound, "rtsp://h/x", "");
    let text = std::fs::read_to_string(&config).unwrap() + cascade;
    std::fs::write(&config, text).unwrap();
    let unwatched = |name: &str, greys: &[&str]| {
        let clip = clip(dir.path(), name, greys);
        let told = replay(dir.path(), &clip, &config);
        assert_eq!(told.code, Some(0), "{}", told.said);
        let hours = told.coverage.lines();
        let hours = hours.map(|hour| serde_json::from_str::<Value>(hour).unwrap());
        let of_rule: Vec<Value> = hours.filter(|hour| hour["rule"] == "burning").collect();
        assert_eq!(of_rule.len(), 1, "{}", told.coverage);
        let is_recorded = told.inputs.contains("{\"unanswered\"");
        let unwatched = of_rule[0]["unwatched_s"]["detector_failed"].as_f64();
        assert_eq!(is_recorded, unwatched.is_some(), "{}", told.inputs);
        unwatched.unwrap_or(0.0)
    };
    let failing = unwatched("white.mp4", &["white", "white"]);
    assert!((3.0..=6.0).contains(&failing), "{failing}");
    // One that answers in between does not fail for all of the time.
    let sound = ["0x202020", "0x202020"];
    assert!(unwatched("dark.mp4", &sound).abs() < 1e-9);
}

/// One model of many is not there: the detector's rules go on, and it is said whose do not.
#[test]
fn a_cascade_whose_model_is_not_there_blinds_only_the_rules_that_rest_on_it() {
    let dir = tempfile::tempdir().unwrap();
    let camera = Camera::start(dir.path(), &mixed(dir.path()), "127.0.0.1:0");
    let port = free_port();
    let more = format!("[metrics]\nlisten = '127.0.0.1:{port}'\n");
    let config = config(dir.path(), Small::default(), &camera.url, &more);
    let cascade = "[[camera.rule]]\nid = 'flames'\nkind = 'fire'\n\
                   [[camera.cascade]]\nid = 'flames'\nmodel = 'gone'\ngives = 'fire'\nevery_s = 0.5\n";
    let text = std::fs::read_to_string(&config).unwrap() + cascade;
    std::fs::write(&config, text).unwrap();

    let running = start_agent(dir.path(), &config);
    let reach = |name: &str| {
        eventually(name, || metric(port, name).filter(|count| *count >= 1.0));
    };
    reach("edge_events_total{camera=\"c\",kind=\"loitering\"}");
    reach("edge_rule_unwatched_seconds_total{camera=\"c\",rule=\"flames\",reason=\"no_model\"}");
    let said = "rules that rest on it see nothing: run `edge-agent check`";
    eventually(said, || running.log_text().contains(said).then_some(()));
    assert_eq!(running.terminate(), Some(0));
}

/// A box that found something and then lost its model holds it, and gives it away.
#[test]
fn a_box_that_can_no_longer_watch_delivers_what_it_found_before_it_ends() {
    let dir = tempfile::tempdir().unwrap();
    let camera = Camera::start(dir.path(), &mixed(dir.path()), "127.0.0.1:0");
    let alone = config(dir.path(), Small::default(), &camera.url, "");
    let running = start_agent(dir.path(), &alone);
    eventually("an event", || {
        (!support::stored_events(dir.path()).is_empty()).then_some(())
    });
    assert_eq!(running.terminate(), Some(0));
    let found = support::stored_events(dir.path());

    let centre = Centre::start(dir.path(), None);
    let mqtt = centre.mqtt.clone().unwrap();
    let uplink = format!(
        "[uplink]\nurl = '{mqtt}'\nevidence_url = '{}'\n",
        centre.http
    );
    let config = config(dir.path(), Small::default(), &camera.url, &uplink);
    std::fs::remove_dir_all(dir.path().join("models")).unwrap();
    // What showed that it ever had one is gone with the folder.
    assert_eq!(start_agent(dir.path(), &config).end(), Some(2));
    let log = std::fs::read_to_string(dir.path().join("agent.log")).unwrap();
    assert!(
        log.contains("nothing is watched: detector.model: "),
        "{log}"
    );
    let mut at_centre: Vec<String> = (centre.alerts().iter())
        .map(|alert| alert["id"].as_str().unwrap().to_owned())
        .collect();
    at_centre.sort();
    let mut found = found;
    found.sort();
    assert_eq!(at_centre, found);
}
