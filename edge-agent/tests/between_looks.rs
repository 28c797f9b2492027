//! `look_every`: the detector looks at every n-th picture, and whoever it saw is followed
//! through those between.

#![allow(clippy::unwrap_used)] // a test that cannot go on says where it stands

mod support;

use std::path::{Path, PathBuf};
use std::process::Command;

use edge_agent::between_looks::BetweenLooks;
use edge_agent::config::DetectConfig;
use edge_video::{ClipReader, Frame};
use protocol::{Detection, EventTime, NormBox, ObjectClass};
use serde_json::Value;
use support::{
    Camera, agent, assert_same, eventually, free_port, installed, pictures, published, recorded,
    replay, start_agent,
};

/// Twelve seconds of a square that people cross.
fn clip(dir: &Path) -> PathBuf {
    let file = dir.join("square.mp4");
    let mut command = Command::new("ffmpeg");
    command.args(["-v", "error", "-nostdin", "-y", "-i"]);
    command.arg(installed("clips/vtest.mp4"));
    command.args("-t 12 -c copy".split_whitespace()).arg(&file);
    let status = command.status();
    let status = status.expect("ffmpeg is not installed; run `make setup` first");
    assert!(status.success());
    file
}

fn config(dir: &Path, source: &str, look_every: u32, port: u16) -> PathBuf {
    let file = dir.join(format!("every-{look_every}.toml"));
    let text = format!(
        "[box]\nsite = 's'\nid = 'b'\n[store]\ndir = 'store'\n[record]\ndir = 'record'\n\
         [metrics]\nlisten = '127.0.0.1:{port}'\n[detector]\nmodel = 'centernet-mb3-512'\n\
         [[camera]]\nid = 'c'\nanalysed_fps = 10.0\nsource = {{ rtsp = '{source}' }}\n\
         detect = {{ gate = false, look_every = {look_every} }}\n\
         [[camera.zone]]\nid = 'square'\npoints = [[0.0, 0.0], [1.0, 0.0], [1.0, 1.0], [0.0, 1.0]]\n\
         [[camera.rule]]\nid = 'people'\nkind = 'pedestrian_on_carriageway'\nzone = 'square'\n\
         [[camera.rule]]\nid = 'waiting'\nkind = 'loitering'\nzone = 'square'\nmin_dwell_s = 5.0\n"
    );
    std::fs::write(&file, text).unwrap();
    file
}

/// No more pictures than asked for are followed in a row, and nobody for longer than is allowed.
#[track_caller]
fn assert_looked_at_often_enough(pictures: &[(f64, bool)], look_every: usize) {
    let (mut looked, mut followed) = (f64::NEG_INFINITY, 0);
    for &(time, is_followed) in pictures {
        if is_followed {
            followed += 1;
            assert!(followed < look_every, "{followed} in a row at {time}");
            assert!(time - looked < 0.45, "{time} s is followed from {looked} s");
        } else {
            (looked, followed) = (time, 0);
        }
    }
}

/// As rules need it: two looks a second or more.
#[track_caller]
fn assert_no_hole(pictures: &[(f64, bool)]) {
    let looks: Vec<f64> = (pictures.iter())
        .filter(|(_, is_followed)| !is_followed)
        .map(|(time, _)| *time)
        .collect();
    let longest = looks
        .windows(2)
        .map(|two| two[1] - two[0])
        .fold(0.0, f64::max);
    assert!(longest < 0.5, "{longest} s between two looks");
}

/// Kind and place of each event that began, with its onset in s.
fn begun(events: &str) -> Vec<(String, f64, [f64; 2])> {
    let of_line = |line: &str| {
        let event: Value = serde_json::from_str(line).unwrap();
        (event["revision"] == 1).then(|| {
            let onset: EventTime = serde_json::from_value(event["onset"].clone()).unwrap();
            let bounds: NormBox =
                serde_json::from_value(event["actors"][0]["box"].clone()).unwrap();
            let foot = [bounds.x + bounds.width / 2.0, bounds.y + bounds.height];
            let onset = onset.since(EventTime::EPOCH).0;
            (event["kind"].as_str().unwrap().to_owned(), onset, foot)
        })
    };
    events.lines().filter_map(of_line).collect()
}

/// A picture of the square, as if it was taken so many ms after the start.
fn taken(frame: &Frame, ms: i64) -> Frame {
    let mut frame = frame.clone();
    frame.time = EventTime::from_micros(ms * 1000);
    frame
}

fn a_picture(dir: &Path) -> Frame {
    edge_video::init().unwrap();
    let mut reader = ClipReader::open(&clip(dir), EventTime::EPOCH).unwrap();
    reader.next_frame().unwrap().unwrap()
}

const BELIEVED_FROM: f64 = 0.5;

/// Of the grey wall at the left, or of nothing: out of the picture.
fn seen(is_there: bool) -> Detection {
    let x = if is_there { 0.3 } else { 1.5 };
    Detection {
        class: ObjectClass::Person,
        score: 0.9,
        bounds: NormBox::from([x, 0.3, 0.4, 0.5]),
    }
}

fn every(look_every: u32) -> BetweenLooks {
    BetweenLooks::new(&DetectConfig::parse(&format!("look_every = {look_every}")).unwrap())
}

#[test]
fn looks_come_by_number_and_never_later_than_rules_can_bear() {
    let dir = tempfile::tempdir().unwrap();
    let picture = a_picture(dir.path());
    for (look_every, step_ms, looks) in [
        (1, 100, vec![0, 100, 200, 300, 400, 500, 600, 700, 800, 900]),
        (2, 100, vec![0, 200, 400, 600, 800]),
        (4, 100, vec![0, 400, 800]),
        (4, 40, vec![0, 160, 320]),
        (10, 40, vec![0, 400]),
        (10, 100, vec![0, 400, 800]),
        (10, 200, vec![0, 400, 800, 1200, 1600]),
        // The second picture after a look would come too late.
        (
            10,
            333,
            vec![0, 333, 666, 999, 1332, 1665, 1998, 2331, 2664, 2997],
        ),
    ] {
        let mut between = every(look_every);
        let mut looked = Vec::new();
        for number in 0..10 {
            let picture = taken(&picture, number * step_ms);
            if between.follow(&picture, BELIEVED_FROM).is_none() {
                between.looked(&picture, BELIEVED_FROM, &[seen(true)]);
                looked.push(number * step_ms);
            }
        }
        let looks: Vec<i64> = looks.into_iter().filter(|at| *at < 10 * step_ms).collect();
        assert_eq!(looked, looks, "every {look_every}th, {step_ms} ms apart");
    }
}

#[test]
fn nobody_is_followed_into_a_picture_of_another_view() {
    let dir = tempfile::tempdir().unwrap();
    let picture = a_picture(dir.path());
    let next = taken(&picture, 100);
    let (mut reconnected, mut leapt) = (next.clone(), next.clone());
    reconnected.connection += 1;
    leapt.clock_steps += 1;
    let others = [
        ("the next", next.clone(), true),
        ("a clock set back", taken(&picture, -100), false),
        ("the same", taken(&picture, 0), false),
        ("another connection", reconnected, false),
        ("a leap of the clock", leapt, false),
    ];
    for (what, other, is_followed) in others {
        let mut between = every(4);
        assert!(
            between.follow(&next, BELIEVED_FROM).is_none(),
            "before any look"
        );
        between.looked(&taken(&picture, 0), BELIEVED_FROM, &[seen(true)]);
        assert_eq!(
            between.follow(&other, BELIEVED_FROM).is_some(),
            is_followed,
            "{what}"
        );
    }
    let mut between = every(4);
    between.looked(&taken(&picture, 0), BELIEVED_FROM, &[seen(true)]);
    between.forget();
    assert!(
        between.follow(&next, BELIEVED_FROM).is_none(),
        "the detector has failed since"
    );
}

#[test]
fn the_detector_looks_when_more_than_half_of_the_last_look_is_lost() {
    let dir = tempfile::tempdir().unwrap();
    let picture = a_picture(dir.path());
    for (there, gone, left) in [
        (2, 0, Some(2)),
        (2, 2, Some(2)),
        (2, 3, None),
        (0, 0, Some(0)),
    ] {
        let mut between = every(4);
        let found: Vec<_> = (0..there)
            .map(|_| seen(true))
            .chain((0..gone).map(|_| seen(false)))
            .collect();
        between.looked(&taken(&picture, 0), BELIEVED_FROM, &found);
        let followed = between.follow(&taken(&picture, 100), BELIEVED_FROM);
        assert_eq!(followed.map(<[_]>::len), left, "{there} there, {gone} gone");
    }
}

/// Signal heads in the picture made up for everybody who was lost.
#[test]
fn a_lamp_that_stays_in_sight_does_not_make_up_for_somebody_who_is_lost() {
    let dir = tempfile::tempdir().unwrap();
    let picture = a_picture(dir.path());
    let lamp = Detection {
        class: ObjectClass::TrafficLight,
        ..seen(true)
    };
    for (who, is_followed) in [(seen(true), true), (seen(false), false)] {
        let mut between = every(4);
        let found = [lamp, lamp, who];
        between.looked(&taken(&picture, 0), BELIEVED_FROM, &found);
        let followed = between.follow(&taken(&picture, 100), BELIEVED_FROM);
        assert_eq!(followed.is_some(), is_followed, "{who:?}");
    }
}

#[test]
fn a_quarter_of_the_looks_tells_what_all_of_them_tell() {
    let dir = tempfile::tempdir().unwrap();
    let clip = clip(dir.path());
    let told = |look_every| {
        let config = config(dir.path(), "rtsp://127.0.0.1/none", look_every, 1);
        let inputs = dir.path().join("inputs.jsonl");
        let [clip, config, to] = [&clip, &config, &inputs].map(|path| path.to_str().unwrap());
        let (code, events, said) =
            agent(&["replay", clip, "--config", config, "--record-inputs", to]);
        assert_eq!(code, Some(0), "{said}");
        (
            begun(&events),
            pictures(&std::fs::read_to_string(&inputs).unwrap()),
        )
    };
    let (all, every_picture) = told(1);
    let (few, followed) = told(4);
    assert!(all.len() >= 8, "{all:?}");
    assert!(every_picture.iter().all(|(_, is_followed)| !is_followed));
    assert_eq!(followed.len(), every_picture.len());
    let looks = followed
        .iter()
        .filter(|(_, is_followed)| !is_followed)
        .count();
    assert!(
        looks * 10 <= followed.len() * 3,
        "{looks} looks at {} pictures",
        followed.len()
    );
    assert_looked_at_often_enough(&followed, 4);
    assert_no_hole(&followed);
    let is_same = |a: &(String, f64, [f64; 2]), b: &(String, f64, [f64; 2])| {
        let apart = (a.2[0] - b.2[0]).hypot(a.2[1] - b.2[1]);
        a.0 == b.0 && (a.1 - b.1).abs() <= 1.0 && apart <= 0.15
    };
    let without = |these: &[(String, f64, [f64; 2])], those: &[(String, f64, [f64; 2])]| {
        let is_alone = |event: &&_| !those.iter().any(|other| is_same(event, other));
        these.iter().filter(is_alone).cloned().collect::<Vec<_>>()
    };
    let (lost, other) = (without(&all, &few), without(&few, &all));
    // People at the picture's rim, whom the detector itself sees in some pictures only.
    assert!(
        lost.len() * 5 <= all.len() && other.len() * 5 <= all.len(),
        "lost {lost:?}, other {other:?}, of {all:?}"
    );
}

#[test]
fn a_live_camera_is_followed_between_looks_and_its_recording_replays_to_the_same_events() {
    let dir = tempfile::tempdir().unwrap();
    let camera = Camera::start(dir.path(), &clip(dir.path()), "127.0.0.1:0");
    let port = free_port();
    let config = config(dir.path(), &camera.url, 4, port);
    let running = start_agent(dir.path(), &config);
    let counted = || {
        let url = format!("http://127.0.0.1:{port}/metrics");
        let text = ureq::get(&url)
            .call()
            .ok()?
            .body_mut()
            .read_to_string()
            .ok()?;
        let line = text
            .lines()
            .find(|line| line.starts_with("edge_pictures_followed_total{"))?;
        line.rsplit(' ').next()?.parse::<f64>().ok()
    };
    let followed = eventually("people followed, and an event", || {
        let is_event = running.log_text().contains(r#""message":"event""#);
        counted().filter(|followed| *followed >= 30.0 && is_event)
    });
    assert_eq!(running.terminate(), Some(0));
    let (recording, text) = recorded(dir.path(), "c");
    let shown = pictures(&text);
    let told = shown.iter().filter(|(_, is_followed)| *is_followed).count();
    assert!(
        told as f64 >= followed,
        "{told} of {followed} are in the recording"
    );
    assert_looked_at_often_enough(&shown, 4);
    let (replayed, _) = replay(&recording, &config, &[]);
    let published = published(dir.path());
    assert!(!published.is_empty());
    assert_eq!(assert_same(&published, &replayed), Vec::<String>::new());
}
