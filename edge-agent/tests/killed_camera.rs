//! `kill -9` of the agent while a camera runs and its ring is full: what went
//! with the memory is said in the case, and the chain of cases holds.

#![allow(clippy::unwrap_used)] // a test that cannot go on says where it stands

mod support;

use std::path::{Path, PathBuf};
use std::process::Command;

use case_bundle::manifest::CaseManifest;
use protocol::evidence::EvidenceRole;
use support::{
    Camera, Centre, PEOPLE_ON_ROAD, ROAD, agent, binary, box_with_centre, eventually, installed,
    start_agent, stored_events, write,
};

/// A box whose clips go on for a minute after the event: whatever the machine's
/// load, the kill comes before a case is made.
fn write_config(dir: &Path, camera: &Camera, centre: &Centre, rules: &str) -> PathBuf {
    let text = format!(
        r#"{uplink}
[[camera]]
id = "campus"
source = {{ rtsp = "{rtsp}" }}
analysed_fps = 5.0
clip = {{ post_s = 60.0, longest_s = 120.0 }}
{ROAD}{rules}"#,
        uplink = box_with_centre(centre.mqtt.as_deref().unwrap(), &centre.http),
        rtsp = camera.url,
    );
    write(dir, "box.toml", &text)
}

/// The signed case of an alert, once it and all its files are at the centre.
fn case_of(centre: &Centre, id: &str) -> Option<CaseManifest> {
    let alert = centre.try_get(&format!("/api/v1/alerts/{id}")).ok()?;
    let items = alert["evidence"].as_array()?;
    let is_here = |item: &&serde_json::Value| item["available"] == true;
    if items.iter().filter(is_here).count() != items.len() {
        return None;
    }
    let case = items.iter().find(|item| item["role"] == "case_manifest")?;
    let bytes = centre.get_bytes(case["url"].as_str()?);
    serde_json::from_slice(case_bundle::Sealed::open(&bytes).ok()?.manifest).ok()
}

fn text(path: &Path) -> &str {
    path.to_str().unwrap()
}

#[test]
fn a_case_says_what_went_with_the_ring_when_the_agent_was_killed() {
    let dir = tempfile::tempdir().unwrap();
    let centre = Centre::start(dir.path(), None);
    let camera = Camera::start(dir.path(), &installed("clips/vtest.mp4"), "127.0.0.1:0");
    let config = write_config(dir.path(), &camera, &centre, PEOPLE_ON_ROAD);
    let mut running = start_agent(dir.path(), &config);
    eventually("an event", || stored_events(dir.path()).pop());
    running.kill();
    let killed = stored_events(dir.path());

    let running = start_agent(dir.path(), &config);
    for id in &killed {
        let case = eventually("the case of an event before the kill", || {
            case_of(&centre, id)
        });
        let clip = case
            .missing
            .iter()
            .find(|missing| missing.role == EvidenceRole::Clip);
        let reason = &clip.unwrap_or_else(|| panic!("{case:?}")).reason;
        assert!(reason.en.contains("the agent was killed"), "{reason:?}");
        assert!(
            case.media
                .iter()
                .all(|media| media.role != EvidenceRole::Clip)
        );
        // The same is what the screen is told.
        let alert = centre.get(&format!("/api/v1/alerts/{id}"));
        let told = alert["missing"].as_array().unwrap();
        assert!(told.iter().any(|gap| gap["role"] == "clip"), "{told:?}");
    }
    // It watches again, and what is asked to stop makes its cases of what is there.
    eventually("an event after the kill", || {
        (stored_events(dir.path()).len() > killed.len()).then_some(())
    });
    assert_eq!(running.terminate(), Some(0));
    // A start that accuses nobody sends what is left.
    let ids = stored_events(dir.path());
    let config = write_config(dir.path(), &camera, &centre, "");
    let running = start_agent(dir.path(), &config);
    let bundles = eventually("the whole chain at the centre", || {
        let mut cases = Vec::new();
        for alert in centre.alerts() {
            let id = alert["id"].as_str()?.to_owned();
            cases.push((case_of(&centre, &id)?.chain.number, id));
        }
        cases.sort();
        let is_whole = cases
            .iter()
            .map(|(number, _)| *number)
            .eq(1..=cases.len() as u64);
        let has = |id: &String| cases.iter().any(|(_, known)| known == id);
        (is_whole && ids.iter().all(has)).then_some(cases)
    });
    let bundles: Vec<PathBuf> = bundles
        .iter()
        .map(|(_, id)| {
            let path = dir.path().join(format!("{id}.tar"));
            let bundle = centre.get_bytes(&format!("/api/v1/alerts/{id}/bundle"));
            std::fs::write(&path, bundle).unwrap();
            path
        })
        .collect();
    drop(running);
    let keys = dir.path().join("public");
    let (code, ..) = agent(&["keys", "export", text(&config), "--out", text(&keys)]);
    assert_eq!(code, Some(0));
    let mut verify = Command::new(binary("edge-agent"));
    verify.args(["verify", "--chain", "--keys", text(&keys)]);
    verify.args(&bundles);
    let told = verify.output().unwrap();
    let said = String::from_utf8_lossy(&told.stdout);
    assert_eq!(told.status.code(), Some(0), "{said}");
}
