//! A camera with two streams: the small one is looked at, the large one is kept for
//! evidence. Both are real, from one RTSP server, and each has its own clock.

#![allow(clippy::unwrap_used)] // a test that cannot go on says where it stands

mod support;

use std::path::{Path, PathBuf};
use std::process::Command;

use case_bundle::manifest::CaseManifest;
use protocol::TimeQuality;
use protocol::evidence::EvidenceRole;
use rtsp_camera::{Camera, CameraSettings, Clip, Mount};
use support::{
    Centre, PEOPLE_ON_ROAD, ROAD, box_with_centre, eventually, installed, start_agent, write,
};

/// The same street in a quarter of the pixels.
fn small(of: &Path, dir: &Path) -> PathBuf {
    let path = dir.join("small.mp4");
    let output = Command::new("ffmpeg")
        .args(["-v", "error", "-nostdin", "-y", "-i"])
        .arg(of)
        .args(["-vf", "scale=384:288", "-c:v", "libx264", "-g", "10"])
        .args(["-preset", "veryfast", "-bf", "0"])
        .arg(&path)
        .output()
        .expect("ffmpeg is not installed; run `make setup` first");
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{said}");
    path
}

/// A camera with both streams.
fn camera(dir: &Path) -> Camera {
    let large = installed("clips/vtest.mp4");
    let small = small(&large, dir);
    let mount = |name, clip: &Path| Mount::new(name, Clip::load(clip).unwrap());
    let mounts = vec![mount("main", &large), mount("sub", &small)];
    Camera::start(CameraSettings::loopback(mounts)).unwrap()
}

fn write_config(dir: &Path, camera: &Camera, centre: &Centre) -> PathBuf {
    let text = format!(
        r#"{uplink}
[[camera]]
id = "campus"
source = {{ rtsp = "{main}", detect_rtsp = "{sub}" }}
analysed_fps = 5.0
clip = {{ pre_s = 1.0, post_s = 1.0 }}
{ROAD}{PEOPLE_ON_ROAD}"#,
        uplink = box_with_centre(centre.mqtt.as_deref().unwrap(), &centre.http),
        main = camera.url("main"),
        sub = camera.url("sub"),
    );
    write(dir, "box.toml", &text)
}

/// The signed cases at the centre, with their files that are there.
fn cases(centre: &Centre) -> Vec<(CaseManifest, Vec<serde_json::Value>)> {
    let case_of = |alert: &serde_json::Value| {
        let id = alert["id"].as_str()?;
        let alert = centre.try_get(&format!("/api/v1/alerts/{id}")).ok()?;
        let items = alert["evidence"].as_array()?.clone();
        if items.iter().any(|item| item["available"] != true) {
            return None;
        }
        let case = items.iter().find(|item| item["role"] == "case_manifest")?;
        let bytes = centre.get_bytes(case["url"].as_str()?);
        let sealed = case_bundle::Sealed::open(&bytes).ok()?;
        let case = serde_json::from_slice(sealed.manifest).ok()?;
        Some((case, items))
    };
    centre.alerts().iter().filter_map(case_of).collect()
}

/// Pixels across and down of a JPEG, by its frame header (ITU-T T.81 § B.2.2).
fn size_of_jpeg(bytes: &[u8]) -> (u16, u16) {
    let word = |at: usize| u16::from_be_bytes([bytes[at], bytes[at + 1]]);
    let mut at = 2;
    while !matches!(bytes[at + 1], 0xc0..=0xc2) {
        at += 2 + usize::from(word(at + 2));
    }
    (word(at + 7), word(at + 5))
}

/// What a case shows, once somebody has been seen by the camera's own clock.
struct Shown {
    case: CaseManifest,
    /// The sizes of its clean stills that were made afterwards.
    stills: Vec<(u16, u16)>,
    clip_note: String,
}

fn shown(centre: &Centre, is_wanted: impl Fn(&Shown) -> bool) -> Shown {
    eventually("a case that is timed by the camera's clock", || {
        let of_case = |(case, items): (CaseManifest, Vec<serde_json::Value>)| {
            let is_whole = case.event.time_quality == TimeQuality::Rtcp && case.missing.is_empty();
            let clip = case.media.iter().find(|it| it.role == EvidenceRole::Clip)?;
            let note = clip.note.as_ref().map_or("", |note| &note.en).to_owned();
            let stills = items
                .iter()
                .filter(|item| item["role"] == "still_clean")
                .map(|item| size_of_jpeg(&centre.get_bytes(item["url"].as_str().unwrap())))
                .collect();
            is_whole.then_some(Shown {
                clip_note: note,
                case,
                stills,
            })
        };
        cases(centre)
            .into_iter()
            .filter_map(of_case)
            .find(&is_wanted)
    })
}

const LARGE: (u16, u16) = (768, 576);
const SMALL: (u16, u16) = (384, 288);

/// Evidence is of the large stream, at the moment that was seen in the small one.
#[test]
fn of_two_streams_by_one_clock_the_large_one_is_the_evidence() {
    let dir = tempfile::tempdir().unwrap();
    let centre = Centre::start(dir.path(), None);
    let camera = camera(dir.path());
    let config = write_config(dir.path(), &camera, &centre);
    let running = start_agent(dir.path(), &config);
    // Once both clocks are believed, which takes each of them three seconds.
    let shown = shown(&centre, |shown| {
        let notes = shown.case.media.iter().filter_map(|it| it.note.as_ref());
        notes.filter(|note| note.en.contains("sub-stream")).count() == 0
    });
    assert!(shown.stills.contains(&LARGE), "{:?}", shown.stills);
    assert_eq!(shown.clip_note, "");
    assert_eq!(running.terminate(), Some(0));
}

/// The large stream's sender reports lie, so that it is timed by arrival, and the small
/// one's are true. Where in the large picture somebody was, nobody knows.
#[test]
fn of_two_streams_by_two_clocks_the_one_that_was_looked_at_is_the_evidence() {
    let dir = tempfile::tempdir().unwrap();
    let centre = Centre::start(dir.path(), None);
    let camera = camera(dir.path());
    camera.behaviour("main").unwrap().clock_error_ms(20_000);
    let config = write_config(dir.path(), &camera, &centre);
    let running = start_agent(dir.path(), &config);
    let shown = shown(&centre, |_| true);
    assert!(
        shown.clip_note.contains("another clock"),
        "{}",
        shown.clip_note
    );
    assert!(
        !shown.stills.is_empty() && shown.stills.iter().all(|size| *size == SMALL),
        "{:?}",
        shown.stills
    );
    assert_eq!(running.terminate(), Some(0));
}
