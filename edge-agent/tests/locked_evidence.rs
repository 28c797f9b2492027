//! An officer locks an alert's evidence at the centre: the box that holds the files
//! knows it, remembers it over a restart, and knows of the release.

#![allow(clippy::unwrap_used)] // a test that cannot go on says where it stands

mod support;

use std::path::{Path, PathBuf};

use serde_json::json;
use support::{
    Camera, Centre, PEOPLE_ON_ROAD, ROAD, box_with_centre, eventually, free_port, installed,
    start_agent, write,
};

fn write_config(dir: &Path, camera: &Camera, centre: &Centre, metrics: u16) -> PathBuf {
    let text = format!(
        r#"{uplink}
[metrics]
listen = "127.0.0.1:{metrics}"
[[camera]]
id = "campus"
source = {{ rtsp = "{rtsp}" }}
analysed_fps = 5.0
{ROAD}{PEOPLE_ON_ROAD}"#,
        uplink = box_with_centre(centre.mqtt.as_deref().unwrap(), &centre.http),
        rtsp = camera.url,
    );
    write(dir, "box.toml", &text)
}

/// A number in the metrics of a running box.
fn metric(port: u16, name: &str) -> Option<f64> {
    let mut answer = ureq::get(format!("http://127.0.0.1:{port}/metrics"))
        .call()
        .ok()?;
    let text = answer.body_mut().read_to_string().ok()?;
    let line = text.lines().find(|line| line.starts_with(name))?;
    line.rsplit(' ').next()?.parse().ok()
}

/// Waits until the box says that so many events are locked.
fn until_locked(port: u16, events: u32) {
    eventually(&format!("{events} locked events on the box"), || {
        let told = metric(port, "edge_evidence_locked_events")?;
        ((told - f64::from(events)).abs() < 0.5).then_some(())
    });
}

#[test]
fn a_lock_at_the_centre_holds_on_the_box_until_it_is_released() {
    let dir = tempfile::tempdir().unwrap();
    let centre = Centre::start(dir.path(), None);
    let camera = Camera::start(dir.path(), &installed("clips/vtest.mp4"), "127.0.0.1:0");
    let port = free_port();
    let config = write_config(dir.path(), &camera, &centre, port);
    let mut running = start_agent(dir.path(), &config);
    let id = eventually("an alert with evidence", || {
        let ids = centre.alerts().into_iter().filter_map(|alert| {
            let id = alert["id"].as_str()?;
            Some(id.to_owned())
        });
        ids.into_iter().find(|id| {
            let alert = centre.get(&format!("/api/v1/alerts/{id}"));
            let items = alert["evidence"].as_array();
            items.is_some_and(|items| items.iter().any(|item| item["available"] == true))
        })
    });
    let change = |what: &str| {
        let who = json!({ "actor": "Nguyễn Thị Lan", "reason": "appeal 17/2026" });
        centre.post(&format!("/api/v1/alerts/{id}/{what}"), &who)
    };
    until_locked(port, 0);
    change("lock");
    until_locked(port, 1);
    eventually("files that are held", || {
        (metric(port, "edge_evidence_locked_files")? > 0.0).then_some(())
    });

    running.kill();
    let running = start_agent(dir.path(), &config);
    until_locked(port, 1);
    change("unlock");
    until_locked(port, 0);
    assert_eq!(running.terminate(), Some(0));
}
