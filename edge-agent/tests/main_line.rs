//! The main job, end to end, on real input: a clip over real RTSP, a real
//! detector, real MQTT, the real centre, its API, and the operator's screen in
//! a real browser.

#![allow(clippy::unwrap_used)] // a test that cannot go on says where it stands

mod support;

use std::fmt::Write as _;
use std::path::Path;
use std::process::Command;

use case_bundle::manifest::CaseManifest;
use protocol::evidence::EvidenceRole;
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};
use support::{
    Camera, Centre, Mosquitto, PEOPLE_ON_ROAD, ROAD, box_with_centre, eventually, installed,
    repository, start_agent, stored_events, write,
};

/// A box that watches `camera_url` for people on the road of `vtest`.
fn write_config(dir: &Path, camera_url: &str, mqtt: &str, http: &str) -> std::path::PathBuf {
    let text = format!(
        r#"{uplink}
[[camera]]
id = "campus"
name = "Campus"
place = {{ name = "Đường nội bộ", latitude = 21.0, longitude = 105.8 }}
source = {{ rtsp = "{camera_url}" }}
analysed_fps = 5.0
{ROAD}{PEOPLE_ON_ROAD}"#,
        uplink = box_with_centre(mqtt, http)
    );
    write(dir, "box.toml", &text)
}

fn alert_with_still(centre: &Centre) -> Value {
    eventually("an alert with its stills at the centre", || {
        let page = centre.get("/api/v1/alerts?kind=pedestrian_on_carriageway");
        page["items"]
            .as_array()?
            .iter()
            .find(|alert| alert["still_url"].is_string())
            .cloned()
    })
}

/// The stills are JPEGs, the clip can be played, the case is signed, and each
/// is what its hash says.
fn assert_evidence(centre: &Centre, alert: &Value) {
    let id = alert["id"].as_str().unwrap();
    let detail = eventually("stills of two moments, clip and case of the alert", || {
        let detail = centre.get(&format!("/api/v1/alerts/{id}"));
        let of = |role: &str| {
            let items = detail["evidence"].as_array().into_iter().flatten();
            let is_here = |item: &&Value| item["role"] == role && item["available"] == true;
            items.filter(is_here).count()
        };
        let is_whole = of("still_clean") >= 2
            && of("still_annotated") >= 2
            && of("clip") == 1
            && of("case_manifest") == 1;
        is_whole.then_some(detail)
    });
    let mut case = None;
    for item in detail["evidence"].as_array().unwrap() {
        let bytes = centre.get_bytes(item["url"].as_str().unwrap());
        match item["role"].as_str() {
            Some("case_manifest") => {
                let sealed = case_bundle::Sealed::open(&bytes).unwrap();
                case = serde_json::from_slice::<CaseManifest>(sealed.manifest).ok();
            }
            Some("clip") => assert_eq!(&bytes[4..8], b"ftyp", "not an MP4"),
            _ => assert_eq!(&bytes[..2], [0xff, 0xd8], "not a JPEG"),
        }
        let hash = protocol::Digest(Sha256::digest(&bytes).into()).to_string();
        assert_eq!(item["sha256"], Value::String(hash));
        assert_eq!(item["length"], json!(bytes.len()));
    }
    let case = case.unwrap();
    assert_eq!(case.missing, [], "{case:?}");
    assert!(case.clock.uncertainty_s.is_some(), "{:?}", case.clock);
    let clip = case
        .media
        .iter()
        .find(|media| media.role == EvidenceRole::Clip);
    let clip = clip.unwrap();
    let (from, to) = (clip.captured, clip.until.unwrap());
    assert!(
        from < case.event.onset && to > case.event.decided.time,
        "{clip:?}"
    );
    let explanation = detail["event"]["explanation"].as_array().unwrap();
    assert!(!explanation.is_empty());
    for predicate in explanation {
        assert_eq!(predicate["holds"], true, "{predicate}");
        assert!(predicate["first"]["frame"].is_u64() && predicate["last"]["time"].is_string());
    }
    assert_eq!(
        detail["event"]["provenance"]["model_digest"]
            .as_str()
            .unwrap()
            .len(),
        64
    );
}

#[test]
fn a_person_on_the_road_is_an_alert_with_a_still_on_the_screen_and_can_be_acknowledged() {
    let dir = tempfile::tempdir().unwrap();
    let centre = Centre::start(dir.path(), None);
    let camera = Camera::start(dir.path(), &installed("clips/vtest.mp4"), "127.0.0.1:0");
    let mqtt = centre.mqtt.clone().unwrap();
    let config = write_config(dir.path(), &camera.url, &mqtt, &centre.http);
    let agent = start_agent(dir.path(), &config);

    let alert = alert_with_still(&centre);
    assert_evidence(&centre, &alert);
    let cameras = centre.get("/api/v1/cameras");
    assert_eq!(cameras["items"][0]["health"], "watching", "{cameras}");

    let shots = dir.path().join("screens");
    std::fs::create_dir(&shots).unwrap();
    let web = repository().join("aggregator/web");
    let browser = Command::new("node")
        .arg("tests/browser/operator.mjs")
        .current_dir(&web)
        .env("NGATU_URL", &centre.http)
        .env("NGATU_SCREENSHOTS", &shots)
        .env("NGATU_EXPECT_CLIP", "1")
        .output()
        .expect("node is not installed; run `make setup` first");
    assert!(
        browser.status.success(),
        "the browser test failed:\n{}{}",
        String::from_utf8_lossy(&browser.stdout),
        String::from_utf8_lossy(&browser.stderr)
    );
    let acknowledged = centre
        .alerts()
        .into_iter()
        .filter(|alert| alert["state"] != "new")
        .count();
    assert!(acknowledged >= 1, "the browser has acknowledged nothing");

    assert_eq!(agent.terminate(), Some(0));
    let boxes = eventually("the box to be shown offline", || {
        let cameras = centre.get("/api/v1/cameras");
        (cameras["items"][0]["box_online"] == false).then_some(cameras)
    });
    assert_eq!(boxes["items"][0]["health"], "stopped");
    assert_eq!(centre.process.terminate(), Some(0));
}

#[test]
fn the_same_goes_through_a_broker() {
    let dir = tempfile::tempdir().unwrap();
    let broker = Mosquitto::start(dir.path());
    let centre = Centre::start(dir.path(), Some(&broker.url));
    let camera = Camera::start(dir.path(), &installed("clips/vtest.mp4"), "127.0.0.1:0");
    let config = write_config(dir.path(), &camera.url, &broker.url, &centre.http);
    let _agent = start_agent(dir.path(), &config);
    let alert = alert_with_still(&centre);
    assert_evidence(&centre, &alert);
}

#[test]
fn a_camera_that_dies_and_returns_is_seen_as_lost_and_watched_again() {
    let dir = tempfile::tempdir().unwrap();
    let centre = Centre::start(dir.path(), None);
    let clip = installed("clips/vtest.mp4");
    let mut camera = Camera::start(dir.path(), &clip, "127.0.0.1:0");
    let address = camera
        .url
        .trim_start_matches("rtsp://")
        .split('/')
        .next()
        .unwrap()
        .to_owned();
    let mqtt = centre.mqtt.clone().unwrap();
    let config = write_config(dir.path(), &camera.url, &mqtt, &centre.http);
    let _agent = start_agent(dir.path(), &config);
    health(&centre, "campus", "watching");
    camera.process.kill();
    let lost = health(&centre, "campus", "lost");
    assert!(
        lost["reason"]["en"]
            .as_str()
            .is_some_and(|reason| !reason.is_empty()),
        "{lost}"
    );
    drop(camera);
    let _again = Camera::start(dir.path(), &clip, &address);
    let back = health(&centre, "campus", "watching");
    assert!(back["retries"].as_u64().unwrap() >= 1, "{back}");
}

/// A box whose cameras are `cameras`, and nothing else of note.
fn write_cameras(dir: &Path, centre: &Centre, cameras: &str) -> std::path::PathBuf {
    let text = box_with_centre(centre.mqtt.as_deref().unwrap(), &centre.http) + cameras;
    write(dir, "box.toml", &text)
}

/// Waits until `camera` is `wanted`, and gives its status.
fn health(centre: &Centre, camera: &str, wanted: &str) -> Value {
    eventually(&format!("camera {camera} to be {wanted}"), || {
        let cameras = centre.get("/api/v1/cameras");
        let cameras = cameras["items"].as_array()?;
        cameras
            .iter()
            .find(|item| item["camera"] == camera && item["health"] == wanted)
            .cloned()
    })
}

#[test]
fn a_frozen_picture_is_said_and_accuses_nobody() {
    let dir = tempfile::tempdir().unwrap();
    let centre = Centre::start(dir.path(), None);
    let clip = installed("clips/vtest.mp4");
    // Two people and two parked vehicles are in the very first pictures.
    let camera = Camera::start_with(
        dir.path(),
        &clip,
        "127.0.0.1:0",
        &["--freeze-after-s", "1.5"],
    );
    let config = write_cameras(
        dir.path(),
        &centre,
        &format!(
            r#"
[[camera]]
id = "campus"
source = {{ rtsp = "{}", frozen_after_s = 3.0 }}
analysed_fps = 5.0
[[camera.zone]]
id = "all"
points = [[0.0, 0.0], [1.0, 0.0], [1.0, 1.0], [0.0, 1.0]]
[[camera.rule]]
id = "waiting"
kind = "loitering"
zone = "all"
min_dwell_s = 7.0
[[camera.rule]]
id = "standing"
kind = "stopped_vehicle"
zone = "all"
min_dwell_s = 7.0
"#,
            camera.url
        ),
    );
    let _agent = start_agent(dir.path(), &config);
    let frozen = health(&centre, "campus", "degraded");
    assert!(
        frozen["reason"]["en"]
            .as_str()
            .unwrap()
            .contains("does not change"),
        "{frozen}"
    );
    // Long enough for every dwell above, had it been believed.
    let since = std::time::Instant::now();
    eventually("eight seconds of the frozen picture", || {
        (since.elapsed().as_secs() >= 8).then_some(())
    });
    assert_eq!(health(&centre, "campus", "degraded")["health"], "degraded");
    assert!(centre.alerts().is_empty(), "{:?}", centre.alerts());
}

#[test]
fn a_camera_that_cannot_be_started_says_why_and_the_others_watch() {
    let dir = tempfile::tempdir().unwrap();
    let centre = Centre::start(dir.path(), None);
    let junction = repository().join("deploy/demo/junction.inputs.jsonl.gz");
    let config = write_cameras(
        dir.path(),
        &centre,
        &format!(
            r#"
[[camera]]
id = "good"
source = {{ recording = "{}" }}
[[camera]]
id = "bad"
source = {{ recording = "nowhere.jsonl" }}
"#,
            junction.display()
        ),
    );
    let agent = start_agent(dir.path(), &config);
    let bad = health(&centre, "bad", "lost");
    assert!(
        bad["reason"]["en"]
            .as_str()
            .unwrap()
            .contains("nowhere.jsonl"),
        "{bad}"
    );
    health(&centre, "good", "watching");
    assert_eq!(agent.terminate(), Some(0));
}

#[test]
fn all_events_of_a_picture_are_stored_before_a_still_of_any_is_drawn() {
    let dir = tempfile::tempdir().unwrap();
    let mut frames = String::new();
    for frame in 0..40_u32 {
        let time = f64::from(frame) / 10.0;
        writeln!(
            frames,
            "{{\"detections\":{{\"frame\":{frame},\"time\":\"1970-01-01T00:00:{time:09.6}Z\",\
             \"time_quality\":\"media\",\"aspect\":1.7778,\"items\":[\
             {{\"class\":\"person\",\"score\":0.9,\"box\":[0.4,{:.3},0.02,0.08]}}]}}}}",
            0.2 + time * 0.1
        )
        .unwrap();
    }
    std::fs::write(dir.path().join("walker.inputs.jsonl"), frames).unwrap();
    let config = dir.path().join("box.toml");
    let mut text = "[box]\nsite = \"test\"\nid = \"box-1\"\n[store]\ndir = \"store\"\n\
         [uplink]\nurl = \"mqtt://127.0.0.1:1\"\nevidence_url = \"http://127.0.0.1:1\"\n\
         [[camera]]\nid = \"walker\"\nsource = { recording = \"walker.inputs.jsonl\" }\n\
         [[camera.zone]]\nid = \"road\"\npoints = [[0.0, 0.0], [1.0, 0.0], [1.0, 1.0], [0.0, 1.0]]\n"
        .to_owned();
    for rule in ["first", "second", "third"] {
        writeln!(
            text,
            "[[camera.rule]]\nid = \"{rule}\"\nkind = \"pedestrian_on_carriageway\"\nzone = \"road\"\n\
             min_duration_s = 1.0"
        )
        .unwrap();
    }
    std::fs::write(&config, text).unwrap();
    let agent = start_agent(dir.path(), &config);
    eventually("three alerts", || {
        (stored_events(dir.path()).len() == 3).then_some(())
    });
    assert_eq!(agent.terminate(), Some(0));
    let stored = outbox(dir.path());
    assert!(stored.iter().any(|is_event| !is_event), "{stored:?}");
    assert_eq!(stored[..3], [true; 3], "{stored:?}");
}

/// Of the messages about alerts in the outbox, in their order, whether each is an event
/// or tells of evidence.
fn outbox(dir: &Path) -> Vec<bool> {
    let database = rusqlite::Connection::open(dir.join("store/outbox.db")).unwrap();
    let mut rows = database
        .prepare("SELECT envelope FROM outbox ORDER BY sequence")
        .unwrap();
    let envelopes = rows.query_map([], |row| row.get::<_, String>(0)).unwrap();
    let messages = envelopes.filter_map(|text| {
        let envelope: Value = serde_json::from_str(&text.unwrap()).unwrap();
        let data = &envelope["data"];
        let is_event = data["rule"].is_string();
        (is_event || data["event"].is_string()).then_some(is_event)
    });
    messages.collect()
}
