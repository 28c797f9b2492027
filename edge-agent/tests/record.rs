//! Promise 1 on the real program: what `run --record` kept gives, byte for
//! byte, the events that were published, whatever happened to the agent.

#![allow(clippy::unwrap_used)] // a test that cannot go on says where it stands

mod support;

use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::Value;
use support::walkers::{self, Walkers};
use support::{BOX, Process, agent, assert_same, binary, eventually, published, replay, write};

/// Walkers and motorcycles that come onto the road every 0.4 s, as long as `is_busy` says so.
fn write_recording(dir: &Path, seconds: u32, is_busy: fn(f64) -> bool) {
    let walkers = Walkers {
        aspect: 1.5,
        class: |walker| {
            if walker % 3 == 0 {
                "motorcycle"
            } else {
                "person"
            }
        },
        is_busy,
        ..Walkers::all_the_time(seconds, 0.4)
    };
    walkers.write(dir);
}

fn write_config(dir: &Path, record: &str) -> PathBuf {
    let text = format!(
        r#"{BOX}
[store]
dir = "store"
[record]
{record}
{camera}
[[camera.rule]]
id = "waiting"
kind = "loitering"
zone = "road"
min_dwell_s = 4.0
# Nobody drives for so long: near misses.
[[camera.rule]]
id = "against"
kind = "wrong_way"
zone = "road"
direction = [[0.5, 0.9], [0.5, 0.1]]
min_duration_s = 10.0
min_distance_heights = 1.0
"#,
        camera = walkers::CAMERA
    );
    write(dir, "box.toml", &text)
}

fn start(dir: &Path, config: &Path, more: &[&str]) -> Process {
    let mut command = Command::new(binary("edge-agent"));
    command.args(["--log-format", "json", "run"]).arg(config);
    command.args(more);
    Process::start(command, dir.join("agent.log"))
}

fn segments(dir: &Path) -> Vec<PathBuf> {
    let folder = std::fs::read_dir(dir.join("record/walkers"));
    let mut paths: Vec<PathBuf> = folder
        .into_iter()
        .flatten()
        .map(|entry| entry.unwrap().path())
        .collect();
    paths.sort();
    paths
}

#[test]
fn every_segment_and_all_of_them_give_what_was_published() {
    let dir = tempfile::tempdir().unwrap();
    // Three seconds of walkers, then an empty road.
    write_recording(dir.path(), 24, |start| start % 12.0 < 3.0);
    let config = write_config(dir.path(), "dir = \"record\"\nsegment_min = 0.05");
    let near = dir.path().join("near");
    let coverage = dir.path().join("coverage");
    let more = [
        "--near-misses",
        near.to_str().unwrap(),
        "--coverage",
        coverage.to_str().unwrap(),
    ];
    let running = start(dir.path(), &config, &more);
    eventually("four segments", || {
        (segments(dir.path()).len() >= 4).then_some(())
    });
    assert_eq!(running.terminate(), Some(0));

    let published = published(dir.path());
    assert!(published.len() > 10, "only {} events", published.len());
    let near_misses = dir.path().join("near.jsonl");
    let hours = dir.path().join("hours.jsonl");
    let (all, stderr) = replay(
        &dir.path().join("record"),
        &config,
        &[
            "--near-misses",
            near_misses.to_str().unwrap(),
            "--coverage",
            hours.to_str().unwrap(),
        ],
    );
    assert_eq!(assert_same(&published, &all), Vec::<String>::new());
    assert!(!stderr.contains("warning"), "{stderr}");
    assert!(stderr.contains("not watched, by reason"), "{stderr}");
    // Segment for segment the same, in any company.
    let apart: Vec<String> = segments(dir.path())
        .iter()
        .flat_map(|segment| replay(segment, &config, &["--quiet"]).0)
        .collect();
    assert_eq!(apart, all);
    // Near misses and coverage, too.
    let diary = |folder: &Path| -> String {
        let pages = std::fs::read_dir(folder.join("walkers")).unwrap();
        let mut pages: Vec<PathBuf> = pages.map(|page| page.unwrap().path()).collect();
        pages.sort();
        pages
            .iter()
            .map(|page| std::fs::read_to_string(page).unwrap())
            .collect()
    };
    let replayed = std::fs::read_to_string(&near_misses).unwrap();
    assert!(
        !replayed.is_empty() && replayed == diary(&near),
        "{replayed}"
    );
    assert_eq!(std::fs::read_to_string(&hours).unwrap(), diary(&coverage));

    // With another configuration the difference is said.
    let text = std::fs::read_to_string(&config).unwrap();
    let other = dir.path().join("other.toml");
    std::fs::write(
        &other,
        text.replace("min_duration_s = 1.0", "min_duration_s = 1.5"),
    )
    .unwrap();
    let (_, stderr) = replay(&dir.path().join("record"), &other, &[]);
    assert!(stderr.contains("another configuration"), "{stderr}");

    explains(dir.path(), &config, &all);
    damaged(dir.path(), &config);
}

/// One damaged segment keeps none of the others from being replayed.
fn damaged(dir: &Path, config: &Path) {
    let segments = segments(dir);
    let others: Vec<String> = [&segments[0], &segments[2]]
        .iter()
        .flat_map(|segment| replay(segment, config, &["--quiet"]).0)
        .collect();
    std::fs::write(&segments[1], "no longer what it was").unwrap();
    let record = dir.join("record");
    let (code, stdout, stderr) = agent(&[
        "replay",
        "--inputs",
        record.to_str().unwrap(),
        "--config",
        config.to_str().unwrap(),
    ]);
    assert_eq!(code, Some(1), "{stderr}");
    let name = segments[1].file_name().unwrap().to_str().unwrap();
    assert!(
        stderr.contains(name) && stderr.contains("left out"),
        "{stderr}"
    );
    assert!(!stderr.contains("--record-inputs"), "{stderr}");
    assert!(
        others
            .iter()
            .all(|event| stdout.lines().any(|line| line == event)),
        "{stderr}"
    );
    // What is left is explained, and that it is not all is said.
    let event: Value = serde_json::from_str(&others[0]).unwrap();
    let id = event["id"].as_str().unwrap();
    let (code, text, stderr) = agent(&[
        "explain",
        id,
        "--inputs",
        record.to_str().unwrap(),
        "--config",
        config.to_str().unwrap(),
    ]);
    assert_eq!(code, Some(1), "{stderr}");
    assert!(text.contains(id), "{text}");
    assert!(
        stderr.contains(name) && stderr.contains("line 1:") && stderr.contains("is damaged"),
        "{stderr}"
    );
    several_cameras(dir, config);
}

/// Which of several cameras is meant is a question of the command line.
fn several_cameras(dir: &Path, config: &Path) {
    let record = dir.join("record");
    let camera = std::fs::read_dir(&record).unwrap().next().unwrap().unwrap();
    let other = record.join("yard");
    std::fs::create_dir(&other).unwrap();
    std::fs::copy(&segments(dir)[0], other.join("00000001-x.inputs.jsonl.gz")).unwrap();
    let name = camera.file_name().into_string().unwrap();
    for command in [vec!["replay"], vec!["explain", "0"]] {
        let mut arguments = command;
        arguments.extend(["--inputs", record.to_str().unwrap()]);
        arguments.extend(["--config", config.to_str().unwrap()]);
        let (code, stdout, stderr) = agent(&arguments);
        assert_eq!((code, stdout.as_str()), (Some(2), ""), "{stderr}");
        assert!(
            stderr.contains("add --camera") && stderr.contains(&format!("{name}, yard")),
            "{stderr}"
        );
    }
    std::fs::remove_dir_all(&other).unwrap();
}

/// `explain` of one of these events, in both languages, with a still.
fn explains(dir: &Path, config: &Path, events: &[String]) {
    let event: Value = serde_json::from_str(&events[0]).unwrap();
    let id = event["id"].as_str().unwrap();
    let record = dir.join("record");
    let still = dir.join("why.jpg");
    let explain = |which: &str, more: &[&str]| {
        let mut arguments = vec!["explain", which, "--inputs", record.to_str().unwrap()];
        arguments.extend(["--config", config.to_str().unwrap()]);
        arguments.extend(more);
        agent(&arguments)
    };
    let (code, english, stderr) = explain(&id[..13], &["--still", still.to_str().unwrap()]);
    assert_eq!(code, Some(0), "{stderr}");
    assert!(
        english.contains(id) && english.contains("to spare"),
        "{english}"
    );
    assert!(
        english.contains("not over") || english.contains("over "),
        "{english}"
    );
    assert_eq!(&std::fs::read(&still).unwrap()[..2], [0xff, 0xd8]);
    let (code, vietnamese, _) = explain(id, &["--lang", "vi", "--near-misses"]);
    assert_eq!(code, Some(0));
    assert!(
        vietnamese.contains("Vì sao") && vietnamese.contains("người"),
        "{vietnamese}"
    );
    let (code, _, stderr) = explain("ffffffff-ffff", &[]);
    assert_eq!(code, Some(1));
    assert!(
        stderr.contains("there are") && stderr.contains(id),
        "{stderr}"
    );
}

#[test]
fn a_road_that_is_never_empty_is_cut_by_force_and_replays_all_the_same() {
    let dir = tempfile::tempdir().unwrap();
    write_recording(dir.path(), 40, |_| true);
    let config = write_config(
        dir.path(),
        "dir = \"record\"\nsegment_min = 60.0\nlongest_h = 0.0015",
    );
    let running = start(dir.path(), &config, &[]);
    eventually("four segments", || {
        (segments(dir.path()).len() >= 4).then_some(())
    });
    assert_eq!(running.terminate(), Some(0));
    let published = published(dir.path());
    let (all, _) = replay(&dir.path().join("record"), &config, &[]);
    assert_eq!(assert_same(&published, &all), Vec::<String>::new());
    let ended = all.iter().filter(|line| line.contains("stream_ended"));
    assert!(ended.count() >= 3, "nothing was ended by the cuts");
}

#[test]
fn after_kill_9_everything_that_was_published_can_be_replayed() {
    let dir = tempfile::tempdir().unwrap();
    write_recording(dir.path(), 24, |start| start % 12.0 < 5.0);
    let config = write_config(dir.path(), "dir = \"record\"\nsegment_min = 0.05");
    for round in 0..3_usize {
        let before = round * 2;
        let mut running = start(dir.path(), &config, &[]);
        eventually("two more events", || {
            let stored = support::stored_events(dir.path()).len();
            (stored > before + 2).then_some(())
        });
        running.kill();
    }
    // All four runs write into one log.
    let before = support::stored_events(dir.path()).len();
    let running = start(dir.path(), &config, &[]);
    eventually("events of the last run", || {
        (support::stored_events(dir.path()).len() > before + 2).then_some(())
    });
    assert_eq!(running.terminate(), Some(0));
    let published = published(dir.path());
    let (all, stderr) = replay(&dir.path().join("record"), &config, &[]);
    let unpublished = assert_same(&published, &all);
    // What a killed agent had recorded and not yet published: of one input at
    // most, for each of its three deaths.
    assert!(unpublished.len() <= 3 * 3, "{unpublished:?}");
    assert!(stderr.contains("has no proper end"), "{stderr}");
}
