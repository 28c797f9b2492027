//! An empty road: the gate vouches for it between rare looks, and its rules have watched all the while.

#![allow(clippy::unwrap_used)] // a test that cannot go on says where it stands

mod support;

use std::path::{Path, PathBuf};
use std::process::Command;

use support::{
    Camera, agent, assert_same, eventually, free_port, installed, pictures, published, recorded,
    replay, start_agent,
};

/// For so long nothing moves before people are there, s.
const EMPTY_S: f64 = 24.0;
/// The gate has learnt its camera, s.
const SETTLED: f64 = 7.0;

/// Grey noise for a while, and then a square that people cross.
fn clip(dir: &Path) -> PathBuf {
    let file = dir.join("empty.mp4");
    let mut command = Command::new("ffmpeg");
    command.args(["-v", "error", "-nostdin", "-y", "-f", "lavfi", "-i"]);
    command.arg(format!(
        "color=c=0x707070:s=768x576:r=10:d={EMPTY_S},noise=alls=6:allf=t"
    ));
    command
        .args(["-t", "8", "-i"])
        .arg(installed("clips/vtest.mp4"));
    command.args([
        "-filter_complex",
        "[1:v]fps=10,format=yuv420p[people];[0:v]format=yuv420p[road];[road][people]concat=n=2",
        "-c:v",
        "libx264",
        "-preset",
        "ultrafast",
        "-bf",
        "0",
        "-g",
        "10",
    ]);
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

#[test]
fn rare_looks_at_an_empty_road_lose_no_watch_and_no_event() {
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
        let begun = events
            .lines()
            .filter(|line| line.contains("\"revision\":1"));
        (begun.count(), looks, apart(&since, SETTLED, EMPTY_S))
    };
    let (events, looks, (look_s, told_s)) = told("rare", "");
    assert!(events > 0);
    assert!((4.0..=5.01).contains(&look_s), "{look_s} s between looks");
    assert!((1.0..=1.51).contains(&told_s), "{told_s} s between words");
    let (same, more, (look_s, _)) = told("often", "empty_heartbeat_s = 1.5");
    assert!((1.0..=1.51).contains(&look_s), "{look_s} s between looks");
    assert_eq!(events, same);
    assert!(looks < more, "{looks} of {more}");
}

#[test]
fn a_live_camera_of_an_empty_road_is_vouched_for_and_its_recording_replays_to_the_same_events() {
    let dir = tempfile::tempdir().unwrap();
    let camera = Camera::start(dir.path(), &clip(dir.path()), "127.0.0.1:0");
    let config = config(dir.path(), "live", &camera.url, "", free_port());
    let running = start_agent(dir.path(), &config);
    eventually("people come", || {
        let log = running.log_text();
        log.contains(r#""message":"event""#).then_some(())
    });
    assert_eq!(running.terminate(), Some(0));
    let (recording, text) = recorded(dir.path(), "c");
    let shown = pictures(&text);
    let vouched = shown.iter().filter(|(_, is_followed)| *is_followed).count();
    assert!(vouched > 0, "{shown:?}");
    assert!(
        longest(shown.iter().map(|(time, _)| *time)) <= 2.0,
        "{shown:?}"
    );
    let (replayed, _) = replay(&recording, &config, &[]);
    let published = published(dir.path());
    assert!(!published.is_empty());
    assert_eq!(assert_same(&published, &replayed), Vec::<String>::new());
}
