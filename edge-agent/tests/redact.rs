//! Copies of cases for people outside: bystanders are covered, the accused is
//! not, the case stays as it was, and what is not sound is not copied.

#![allow(clippy::unwrap_used)] // a test that cannot go on says where it stands
#![cfg(feature = "cv")]

mod support;

use std::fs;
use std::path::{Path, PathBuf};

use case_bundle::manifest::{ActorPlaces, CASE_SCHEMA, CaseManifest, CaseMedia};
use case_bundle::{BoxKey, ChainLink, Clock, Sealed};
use edge_stills::{Picture, YuvPlanes};
use edge_video::{ClipReader, ClipWriter, Frame};
use protocol::event::{Actor, Look};
use protocol::evidence::EvidenceRole;
use protocol::units::Seconds;
use protocol::{Digest, Envelope, Event, EventTime, EvidenceItem, NormBox, ObjectClass};
use serde_json::Value;
use sha2::Digest as _;
use support::{agent, installed, repository};

/// Pictures of the clip in the case.
const CLIP_FRAMES: usize = 16;
/// Rows of the legend below the annotated still come from so many lines.
const LEGEND: [&str; 3] = ["Loitering", "60 s", "Ngã Tư Sở"];
/// One walker of the picture, alone; taken from the detector's own answer on it.
const ACCUSED: NormBox = NormBox {
    x: 0.0,
    y: 0.0,
    width: 0.5,
    height: 1.0,
};

/// A case of a real picture, its keys, and models that take walkers for faces
/// and cars for plates: the same network by another manifest, since what counts
/// here is not which model looks but what is made of its answer.
struct Desk {
    dir: tempfile::TempDir,
    case: CaseManifest,
}

impl Desk {
    /// With stills of the moment of the decision, and a clip.
    fn new() -> Self {
        Self::of(Seconds(0.0), false)
    }

    /// With stills that were taken `after` the decision, as those of a main stream
    /// are, and where the case `is_placed`, it says where the accused is in them,
    /// and has a plate that was cut out.
    fn of(after: Seconds, is_placed: bool) -> Self {
        let dir = tempfile::tempdir().unwrap();
        edge_video::init().unwrap();
        let mut reader = ClipReader::open(&installed("clips/vtest.mp4"), EventTime::EPOCH).unwrap();
        let frames: Vec<Frame> = std::iter::from_fn(|| reader.next_frame().unwrap())
            .take(CLIP_FRAMES)
            .collect();
        let folder = dir.path().join("case");
        fs::create_dir(&folder).unwrap();
        let mut picture = picture(&frames[0]);
        fs::write(folder.join("1.jpg"), picture.jpeg(90).unwrap()).unwrap();
        picture.add_legend(&LEGEND.map(str::to_owned)).unwrap();
        fs::write(folder.join("2.jpg"), picture.jpeg(90).unwrap()).unwrap();
        write_clip(&folder.join("3.mp4"), &frames);
        fs::write(
            folder.join("4.jpg"),
            self::picture(&frames[1]).jpeg(90).unwrap(),
        )
        .unwrap();
        let (event, key) = (event(), BoxKey::from_seed(&[7; 32]));
        let decided = event.decided.time;
        let item = |file: &str, role, media_type: &str| {
            let bytes = fs::read(folder.join(file)).unwrap();
            EvidenceItem {
                role,
                sha256: Digest(sha2::Sha256::digest(&bytes).into()),
                length: bytes.len() as u64,
                media_type: media_type.to_owned(),
                captured: decided + after,
                until: None,
                asked: None,
                note: None,
            }
        };
        let mut items = vec![
            item("1.jpg", EvidenceRole::StillClean, "image/jpeg"),
            item("2.jpg", EvidenceRole::StillAnnotated, "image/jpeg"),
            item("3.mp4", EvidenceRole::Clip, "video/mp4"),
        ];
        let mut places = ActorPlaces::new();
        if is_placed {
            for still in &items[..2] {
                places.insert(still.sha256, vec![ACCUSED]);
            }
            items.push(item("4.jpg", EvidenceRole::PlateCrop, "image/jpeg"));
        } else {
            fs::remove_file(folder.join("4.jpg")).unwrap();
        }
        let media = CaseMedia::placed(&items, &places);
        for (file, media) in ["1.jpg", "2.jpg", "3.mp4", "4.jpg"].iter().zip(&media) {
            fs::rename(folder.join(file), folder.join(&media.name)).unwrap();
        }
        let case = CaseManifest {
            schema: CASE_SCHEMA.to_owned(),
            clock: Clock {
                quality: event.time_quality,
                uncertainty_s: None,
            },
            event,
            agent: case_bundle::manifest::AgentVersion::default(),
            media,
            chain: ChainLink::genesis(uuid::Uuid::from_u128(1)),
            sealed: decided,
            missing: Vec::new(),
            key: key.public().id(),
            fingerprints: std::collections::BTreeMap::new(),
        };
        fs::write(folder.join("case.json"), Sealed::seal(&case, &key).unwrap()).unwrap();
        fs::write(dir.path().join("box.pem"), key.public().to_pem()).unwrap();
        let desk = Self { dir, case };
        desk.add_model("walkers-as-faces", "face = [0]");
        desk
    }

    /// Nothing but the crop of a look that voted for the event, in which `seen` is what a
    /// detector saw, with so many people accused; cut out of a picture that was `taken` at
    /// another moment than the look where it says so.
    fn of_a_look(seen: Option<NormBox>, people: usize, taken: Seconds) -> Self {
        let mut desk = Self::of(Seconds(0.0), true);
        let plate = desk.case.media.pop().unwrap();
        for media in std::mem::take(&mut desk.case.media) {
            fs::remove_file(desk.path("case").join(media.name)).unwrap();
        }
        let plate = desk.path("case").join(plate.name);
        let png = Picture::from_encoded(&fs::read(&plate).unwrap()).unwrap();
        let png = png.png().unwrap();
        fs::remove_file(plate).unwrap();
        let event = &mut desk.case.event;
        let person = Actor {
            class: ObjectClass::Person,
            ..event.actors[0].clone()
        };
        event.actors = vec![person; people];
        event.looks = vec![Look {
            at: event.decided,
            class: ObjectClass::NoHelmet,
            score: 0.9,
            part: NormBox::from([0.2, 0.4, 0.4, 0.2]),
            bounds: seen,
            is_second: true,
            main: None,
        }];
        let item = EvidenceItem {
            role: EvidenceRole::FindingCrop,
            sha256: Digest(sha2::Sha256::digest(&png).into()),
            length: png.len() as u64,
            media_type: "image/png".to_owned(),
            captured: event.decided.time + taken,
            until: None,
            asked: None,
            note: None,
        };
        desk.case.media = CaseMedia::placed(&[item], &ActorPlaces::new());
        fs::write(desk.original(0), png).unwrap();
        let sealed = Sealed::seal(&desk.case, &BoxKey::from_seed(&[7; 32])).unwrap();
        fs::write(desk.path("case/case.json"), sealed).unwrap();
        desk
    }

    fn path(&self, part: &str) -> PathBuf {
        self.dir.path().join(part)
    }

    fn add_model(&self, name: &str, classes: &str) {
        let from = installed("models/centernet-mb3-512/centernet_mb3_512.onnx");
        let catalogue = repository().join("models/catalog/centernet-mb3-512/model.toml");
        let text = fs::read_to_string(catalogue).unwrap();
        let (head, rest) = text.split_once("[classes]").unwrap();
        let (_, thresholds) = rest.split_once("[thresholds]").unwrap();
        let head = head.replace("id = \"centernet-mb3-512\"", &format!("id = \"{name}\""));
        let folder = self.path("models").join(name);
        fs::create_dir_all(&folder).unwrap();
        let text = format!("{head}[classes]\ncount = 80\n{classes}\n\n[thresholds]{thresholds}");
        fs::write(folder.join("model.toml"), text).unwrap();
        fs::copy(from, folder.join("centernet_mb3_512.onnx")).unwrap();
    }

    /// Runs the program on the case; its copy is `out`.
    fn redact(&self, out: &str, more: &[&str]) -> (Option<i32>, String, String) {
        let paths = ["case", out, "models", "box.pem"].map(|part| self.path(part));
        let [case, out, models, key] = paths.each_ref().map(|path| path.to_str().unwrap());
        let mut arguments = vec!["redact", case, "--out", out, "--models-dir", models];
        if !more.contains(&"--unverified") {
            arguments.extend(["--key", key]);
        }
        arguments.extend(more);
        agent(&arguments)
    }

    fn original(&self, index: usize) -> PathBuf {
        self.path("case").join(&self.case.media[index].name)
    }

    fn copied(&self, out: &str, index: usize) -> PathBuf {
        self.path(out).join(&self.case.media[index].name)
    }
}

fn event() -> Event {
    let text = include_str!("../../protocol/tests/wire/v1/event-loitering.json");
    let envelope: Envelope<Event> = serde_json::from_str(text).unwrap();
    let mut event = envelope.data;
    event.actors[0].bounds = ACCUSED;
    event
}

fn picture(frame: &Frame) -> Picture {
    let [u, v] = frame.chroma();
    Picture::from_yuv(&YuvPlanes {
        width: frame.width,
        height: frame.height,
        y: frame.y(),
        y_stride: frame.y_stride(),
        u: u.bytes,
        u_stride: u.stride,
        v: v.bytes,
        v_stride: v.stride,
        chroma_step: u.step,
        bt709: frame.is_bt709(),
        full_range: frame.is_full_range(),
    })
    .unwrap()
}

fn write_clip(path: &Path, frames: &[Frame]) {
    let (width, height) = (frames[0].width, frames[0].height);
    let mut writer = ClipWriter::create(path, width, height, 10.0).unwrap();
    for frame in frames {
        writer.push_bgr(picture(frame).bgr(), frame.time).unwrap();
    }
    writer.finish().unwrap();
}

/// How many pixels differ by more than a second JPEG makes them, left and right of the middle.
fn changed(one: &Path, other: &Path) -> [usize; 2] {
    let [one, other] =
        [one, other].map(|path| Picture::from_encoded(&fs::read(path).unwrap()).unwrap());
    assert_eq!((one.width(), one.height()), (other.width(), other.height()));
    let mut changed = [0, 0];
    let pixels = one.bgr().chunks_exact(3).zip(other.bgr().chunks_exact(3));
    for (at, (a, b)) in pixels.enumerate() {
        let is_right = at % one.width() as usize >= one.width() as usize / 2;
        let differs = a.iter().zip(b).any(|(a, b)| a.abs_diff(*b) > 48);
        changed[usize::from(is_right)] += usize::from(differs);
    }
    changed
}

fn json(path: &Path) -> Value {
    serde_json::from_slice(&fs::read(path).unwrap()).unwrap()
}

#[test]
fn bystanders_are_covered_in_every_file_and_the_accused_in_none_of_the_stills() {
    let desk = Desk::new();
    let before = fs::read(desk.original(0)).unwrap();
    let (code, said, errors) = desk.redact("copy", &["--cover", "faces"]);
    assert_eq!(code, Some(0), "{errors}");
    assert!(said.contains("look at every file before"), "{said}");
    for still in [0, 1] {
        let [accused, others] = changed(&desk.original(still), &desk.copied("copy", still));
        assert!(others > 500, "still {still}: {others} pixels of bystanders");
        assert!(
            accused * 20 < others,
            "still {still}: {accused} pixels of the accused"
        );
    }
    assert_eq!(
        fs::read(desk.original(0)).unwrap(),
        before,
        "the case is only read"
    );

    let redaction = json(&desk.path("copy/redaction.json"));
    assert_eq!(redaction["verified"], true);
    assert_eq!(redaction["models"][0]["model"], "walkers-as-faces");
    for (media, file) in desk
        .case
        .media
        .iter()
        .zip(redaction["files"].as_array().unwrap())
    {
        assert_eq!(file["original_sha256"], media.sha256.to_string());
        assert!(file["covered"].as_u64().unwrap() > 0, "{file}");
    }
    assert_eq!(redaction["files"][2]["pictures"], CLIP_FRAMES as u64);

    let copied = fs::read_dir(desk.path("copy")).unwrap().count();
    assert_eq!(copied, desk.case.media.len() + 2, "and nothing else");
    let mut clip = ClipReader::open(&desk.copied("copy", 2), EventTime::EPOCH).unwrap();
    let played = std::iter::from_fn(|| clip.next_frame().unwrap()).count();
    assert_eq!(played, CLIP_FRAMES);
}

/// Stills of a main stream are of some milliseconds before or after the picture
/// that was looked at: the accused was covered in all of them, and in the plate
/// that was cut out, so that nothing was left to hand over.
#[test]
fn the_accused_is_left_in_stills_of_another_instant_and_in_his_plate() {
    let desk = Desk::of(Seconds(0.04), true);
    let covered = |out: &str, more: &[&str]| {
        let (code, _, errors) = desk.redact(out, &[&["--cover", "faces"], more].concat());
        assert_eq!(code, Some(0), "{errors}");
        [0, 1, 3].map(|file| changed(&desk.original(file), &desk.copied(out, file)))
    };
    let [clean, annotated, crop] = covered("copy", &[]);
    for [accused, others] in [clean, annotated] {
        assert!(others > 500, "{others} pixels of bystanders");
        assert!(accused * 20 < others, "{accused} pixels of the accused");
    }
    assert!(
        crop.iter().all(|pixels| *pixels < 25),
        "the accused's own plate: {crop:?}"
    );
    for [accused, others] in covered("nobody", &["--whom", "everyone"]) {
        assert!(
            accused > 500 && others > 500,
            "{accused} and {others} pixels"
        );
    }
    // Where an older case does not say it, everybody is covered.
    let older = Desk::of(Seconds(0.04), false);
    let (code, _, errors) = older.redact("copy", &["--cover", "faces"]);
    assert_eq!(code, Some(0), "{errors}");
    let [left, right] = changed(&older.original(0), &older.copied("copy", 0));
    assert!(left > 500 && right > 500, "{left} and {right} pixels");
}

/// A crop of a head shows the accused, and now and then somebody else beside.
#[test]
fn of_a_crop_that_a_model_was_shown_only_the_accused_is_left() {
    // The left half of the crop, in fractions of the picture.
    let left = Some(NormBox::from([0.2, 0.4, 0.2, 0.2]));
    let [now, later] = [0.0, 0.2].map(Seconds);
    for (what, desk, whom, covered) in [
        (
            "what the detector saw",
            Desk::of_a_look(left, 1, now),
            "bystanders",
            [false, true],
        ),
        (
            "all that a classifier was shown",
            Desk::of_a_look(None, 1, now),
            "bystanders",
            [false, false],
        ),
        (
            "whose it is cannot be told",
            Desk::of_a_look(None, 2, now),
            "bystanders",
            [true, true],
        ),
        (
            "of no look of the event",
            Desk::of_a_look(left, 1, later),
            "bystanders",
            [true, true],
        ),
        (
            "for everyone",
            Desk::of_a_look(left, 1, now),
            "everyone",
            [true, true],
        ),
    ] {
        let (code, _, errors) = desk.redact("copy", &["--cover", "faces", "--whom", whom]);
        assert_eq!(code, Some(0), "{what}: {errors}");
        // A JPEG now; what was in the case is nowhere in the copy.
        let copied = desk.copied("copy", 0).with_extension("jpg");
        let names = fs::read_dir(desk.path("copy")).unwrap();
        let mut endings: Vec<_> = names
            .map(|entry| entry.unwrap().path().extension().unwrap().to_owned())
            .collect();
        endings.sort();
        assert_eq!(endings, ["jpg", "json", "json"], "{what}");
        let pixels = changed(&desk.original(0), &copied);
        let is_covered = pixels.map(|pixels| pixels > 500);
        let is_left = pixels.map(|pixels| pixels < 100);
        assert_eq!(is_covered, covered, "{what}: {pixels:?}");
        assert_eq!(is_left, covered.map(|it| !it), "{what}: {pixels:?}");
    }
}

#[test]
fn everyone_means_the_accused_as_well() {
    let desk = Desk::new();
    let (code, _, errors) = desk.redact("copy", &["--cover", "faces", "--whom", "everyone"]);
    assert_eq!(code, Some(0), "{errors}");
    let [left, right] = changed(&desk.original(0), &desk.copied("copy", 0));
    assert!(left > 500 && right > 500, "{left} and {right} pixels");
}

#[test]
fn what_cannot_be_done_is_said_and_leaves_nothing_behind() {
    let desk = Desk::new();
    let (code, _, errors) = desk.redact("copy", &[]);
    assert_eq!(code, Some(1));
    assert!(
        errors.contains("no model that finds plates is installed"),
        "{errors}"
    );
    assert!(errors.contains("--cover faces"), "{errors}");

    let mut bytes = fs::read(desk.original(0)).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    fs::write(desk.original(0), bytes).unwrap();
    for more in [
        &["--cover", "faces"][..],
        &["--cover", "faces", "--unverified"],
    ] {
        let (code, _, errors) = desk.redact("copy", more);
        assert_eq!(code, Some(1), "{more:?}");
        let name = &desk.case.media[0].name;
        assert!(
            errors.contains("is not sound") && errors.contains(name.as_str()),
            "{errors}"
        );
    }
    assert!(!desk.path("copy").exists() && !desk.path("copy.part").exists());
}
