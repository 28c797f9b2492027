//! An empty road: the gate vouches for it between rare looks, and its rules have watched all the while.

#![allow(clippy::unwrap_used)] // a test that cannot go on says where it stands

mod support;

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::{Mutex, PoisonError};
use std::time::Instant;

use protocol::EventTime;
use serde_json::Value;
use support::{
    Camera, agent, assert_same, eventually, free_port, installed, pictures, published, recorded,
    replay, start_agent,
};

/// Where somebody is in the first picture of the square: x, y, width, height.
const WALKER: [u32; 4] = [636, 218, 72, 112];
/// For so long nothing moves before somebody comes, s.
const EMPTY_S: f64 = 24.0;
/// Looks have found nobody for long enough, s.
const SETTLED: f64 = 9.0;
/// So many pictures at ten a second that were replaced before anybody took them: the gate vouches for
/// nothing that lies so far apart, and begins anew to find the road empty.
const STALL: f64 = 4.0;
/// A machine that stands still in each of these is not one to be judged by.
const RUNS: usize = 4;

/// Replays take all of the processor, and who watches live must keep up: one of the two at a time.
static MACHINE: Mutex<()> = Mutex::new(());

/// Grey noise for a while; then somebody walks through it, as he was filmed and cut out.
fn clip(dir: &Path) -> PathBuf {
    let file = dir.join("empty.mp4");
    let mut command = Command::new("ffmpeg");
    command.args(["-v", "error", "-nostdin", "-y", "-f", "lavfi", "-i"]);
    command.arg(format!(
        "color=c=0x808080:s=768x576:r=10:d={},noise=alls=6:allf=t",
        EMPTY_S + 10.0
    ));
    command.arg("-i").arg(installed("clips/vtest.mp4"));
    let [x, y, width, height] = WALKER;
    command.arg("-filter_complex").arg(format!(
        "[1:v]trim=end_frame=1,crop={width}:{height}:{x}:{y},loop=-1:1,fps=10[walker];\
         [0:v][walker]overlay=x='-{width}+120*(t-{EMPTY_S})':y=200:shortest=1:enable='gte(t,{EMPTY_S})',\
         format=yuv420p"
    ));
    command.args("-c:v libx264 -preset ultrafast -bf 0 -g 10".split(' '));
    let status = command.arg(&file).status();
    let status = status.expect("ffmpeg is not installed; run `make setup` first");
    assert!(status.success());
    file
}

fn config(dir: &Path, name: &str, source: &str, detect: &str, port: u16) -> PathBuf {
    let file = dir.join(format!("{name}.toml"));
    let text = format!(
        "[box]\nsite = 's'\nid = 'b'\n[store]\ndir = 'store'\n[record]\ndir = 'record'\n\
         [metrics]\nlisten = '127.0.0.1:{port}'\n[detector]\nmodel = 'centernet-mb3-512'\n\
         [[camera]]\nid = 'c'\nsource = {{ rtsp = '{source}' }}\n\
         detect = {{ {detect} }}\nhealth = {{ watch = false }}\n\
         [[camera.zone]]\nid = 'square'\npoints = [[0.0, 0.0], [1.0, 0.0], [1.0, 1.0], [0.0, 1.0]]\n\
         [[camera.rule]]\nid = 'people'\nkind = 'pedestrian_on_carriageway'\nzone = 'square'\n"
    );
    std::fs::write(&file, text).unwrap();
    file
}

/// When events began.
fn onsets(events: &str) -> Vec<EventTime> {
    let of_line = |line: &str| {
        let event: Value = serde_json::from_str(line).unwrap();
        let onset = (event["revision"] == 1).then(|| event["onset"].clone());
        onset.map(|onset| serde_json::from_value(onset).unwrap())
    };
    events.lines().filter_map(of_line).collect()
}

/// The longest time between two of `times`, s.
fn longest(times: impl Iterator<Item = f64>) -> f64 {
    let times: Vec<f64> = times.collect();
    let apart = times.windows(2).map(|two| two[1] - two[0]);
    apart.fold(0.0, f64::max)
}

/// Of the seconds while the road is empty, how far apart looks are, and how far apart anything is that
/// the scene is told.
fn apart(shown: &[(f64, bool)], from: f64, to: f64) -> (f64, f64) {
    let rests = || shown.iter().filter(|(time, _)| (from..to).contains(time));
    let looks = rests().filter(|(_, is_followed)| !is_followed);
    (
        longest(looks.map(|(time, _)| *time)),
        longest(rests().map(|(time, _)| *time)),
    )
}

/// For how long the rule has watched, s, and how many pictures were replaced before anybody took them.
fn metrics(port: u16) -> Option<[f64; 2]> {
    let page = ureq::get(format!("http://127.0.0.1:{port}/metrics")).call();
    let text = page.ok()?.body_mut().read_to_string().ok()?;
    let value = |name: &str| {
        let line = text.lines().find(|line| line.starts_with(name))?;
        line.rsplit(' ').next()?.parse().ok()
    };
    Some([
        value("edge_rule_watched_seconds_total{camera=\"c\",rule=\"people\"}")?,
        value("edge_frames_dropped_total{camera=\"c\",reason=\"overwritten\"}")?,
    ])
}

/// What became of a camera that was watched until somebody came.
struct Visit {
    /// For how long the rule had watched, s.
    watched_s: f64,
    /// While the road was empty the box stood still for a moment: nobody could have vouched for that.
    stood_still: bool,
    recording: PathBuf,
    /// What is in it.
    text: String,
    config: PathBuf,
}

/// Watches `clip` from its beginning, in a folder that has seen nothing.
fn watch(dir: &Path, clip: &Path) -> Visit {
    let camera = Camera::start(dir, clip, "127.0.0.1:0");
    let port = free_port();
    let config = config(dir, "live", &camera.url, "", port);
    let running = start_agent(dir, &config);
    let mut seen: Vec<(Instant, f64)> = Vec::new();
    let watched = eventually("people come", || {
        let [watched, overwritten] = metrics(port)?;
        seen.push((Instant::now(), overwritten));
        let log = running.log_text();
        log.contains(r#""message":"event""#).then_some(watched)
    });
    assert_eq!(running.terminate(), Some(0));
    let began = seen[0].0;
    seen.retain(|(at, _)| (SETTLED..EMPTY_S).contains(&at.duration_since(began).as_secs_f64()));
    let stood_still = seen.windows(2).any(|two| two[1].1 - two[0].1 >= STALL);
    let (recording, text) = recorded(dir, "c");
    Visit {
        watched_s: watched,
        stood_still,
        recording,
        text,
        config,
    }
}

/// From when to when the rules were told that nobody watched, s.
fn gaps(recording: &str) -> impl Iterator<Item = [f64; 2]> {
    let of_line = |line: &str| {
        let line: Value = serde_json::from_str(line).unwrap();
        let gap = line.get("gap")?;
        Some(["from", "to"].map(|key| {
            let time: EventTime = serde_json::from_value(gap[key].clone()).unwrap();
            time.since(EventTime::EPOCH).0
        }))
    };
    recording.lines().filter_map(of_line)
}

#[test]
fn rare_looks_at_an_empty_road_lose_no_watch_and_no_event() {
    let _alone = MACHINE.lock().unwrap_or_else(PoisonError::into_inner);
    let dir = tempfile::tempdir().unwrap();
    let clip = clip(dir.path());
    let told = |name: &str, detect: &str| {
        let config = config(dir.path(), name, "rtsp://127.0.0.1/none", detect, 1);
        let inputs = dir.path().join(format!("{name}.jsonl"));
        let [clip, config, to] = [&clip, &config, &inputs].map(|path| path.to_str().unwrap());
        let (code, events, said) =
            agent(&["replay", clip, "--config", config, "--record-inputs", to]);
        assert_eq!(code, Some(0), "{said}");
        assert!(said.contains("100.0 %"), "{said}");
        let shown = pictures(&std::fs::read_to_string(&inputs).unwrap());
        let start = shown[0].0;
        let since: Vec<_> = shown.iter().map(|(t, is)| (t - start, *is)).collect();
        let looks = since.iter().filter(|(_, is_followed)| !is_followed).count();
        (onsets(&events), looks, apart(&since, SETTLED, EMPTY_S))
    };
    let (events, looks, (seen_s, told_s)) = told("rare", "");
    assert!(!events.is_empty());
    assert!((4.0..=5.01).contains(&seen_s), "{seen_s} s between looks");
    assert!((1.0..=1.51).contains(&told_s), "{told_s} s between words");
    let (same, more, (seen_s, _)) = told("often", "empty_heartbeat_s = 1.5");
    assert!((1.0..=1.51).contains(&seen_s), "{seen_s} s between looks");
    assert_eq!(events.len(), same.len(), "{events:?} {same:?}");
    for (rare, often) in events.iter().zip(&same) {
        assert!(rare.since(*often).0.abs() <= 0.2, "{events:?} {same:?}");
    }
    assert!(looks < more, "{looks} of {more}");
}

#[test]
fn a_live_camera_of_an_empty_road_is_vouched_for_and_its_recording_replays_to_the_same_events() {
    let _alone = MACHINE.lock().unwrap_or_else(PoisonError::into_inner);
    let clips = tempfile::tempdir().unwrap();
    let clip = clip(clips.path());
    let mut runs = 0;
    // The last one is judged however the machine did.
    let (dir, seen) = loop {
        runs += 1;
        let dir = tempfile::tempdir().unwrap();
        let seen = watch(dir.path(), &clip);
        if !seen.stood_still || runs == RUNS {
            break (dir, seen);
        }
    };
    let Visit {
        watched_s: watched,
        recording,
        text,
        config,
        ..
    } = seen;
    let shown = pictures(&text);
    let is_vouched = |(_, is_followed): &(f64, bool)| *is_followed;
    let first = shown.iter().position(is_vouched);
    let last = shown.iter().rposition(is_vouched);
    let (Some(first), Some(last)) = (first, last) else {
        panic!("the gate vouched for nothing: {shown:?}")
    };
    let resting = &shown[first..=last];
    let times = resting.iter().map(|(time, _)| *time);
    assert!(longest(times) < 2.0, "{shown:?}");
    let (from, to) = (resting[0].0, resting[resting.len() - 1].0);
    // A look each 5 s, where each 1.5 s is usual; and a word each 1.5 s between, not of every picture.
    let looks = resting.iter().filter(|shown| !is_vouched(shown)).count();
    let words = resting.len() - looks;
    let rest_s = to - from;
    assert!(rest_s > 9.0, "it rested for {rest_s} s: {shown:?}");
    assert!(
        looks as f64 <= 2.0 + rest_s / 4.0,
        "{looks} looks: {shown:?}"
    );
    assert!(words as f64 <= 1.0 + rest_s, "{words} words: {shown:?}");
    // And its rules watched all the while.
    let missed: Vec<_> = gaps(&text)
        .filter(|gap| gap[1] > from && gap[0] < to)
        .collect();
    assert!(missed.is_empty(), "{missed:?}: {shown:?}");
    // Less what a box that is just beginning had no time for.
    let before = gaps(&text).filter(|gap| gap[1] <= from);
    let unwatched: f64 = before.map(|[from, to]| to - from).sum();
    let since_s = to - shown[0].0 - unwatched;
    assert!(
        watched >= since_s - 2.0,
        "watched for {watched} s of {since_s}"
    );
    let (replayed, _) = replay(&recording, &config, &[]);
    let published = published(dir.path());
    assert!(!published.is_empty());
    assert_eq!(assert_same(&published, &replayed), Vec::<String>::new());
}
