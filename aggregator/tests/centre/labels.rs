//! From decisions to labelled pictures: a real centre's folder, the real program.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::io::Cursor;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use expect_test::{Expect, expect};
use image::{ImageFormat, Rgb, RgbImage};
use protocol::event::Actor;
use protocol::evidence::{EvidenceItem, EvidenceRole};
use protocol::id::TrackId;
use protocol::units::Seconds;
use protocol::{Event, EventTime, ObjectClass};
use serde_json::{Value, json};

use crate::announced::{digest, file, manifest_of};
use crate::support::{Line, Running, Speaker, a_box};

/// A picture of one grey, with a corner that makes it unlike the others.
fn jpeg(ground: [u8; 3], corner: u8) -> Vec<u8> {
    let picture = RgbImage::from_fn(64, 48, |x, y| {
        let is_corner = x < 8 && y < 8;
        Rgb(if is_corner { [corner; 3] } else { ground })
    });
    let mut bytes = Cursor::new(Vec::new());
    picture.write_to(&mut bytes, ImageFormat::Jpeg).unwrap();
    bytes.into_inner()
}

fn actor(track: i64, class: ObjectClass, bounds: [f64; 4]) -> Actor {
    Actor {
        track: TrackId {
            born: EventTime::from_micros(track),
            rank: 0,
        },
        class,
        score: 0.5,
        bounds: bounds.into(),
        path: Vec::new(),
        plate: None,
    }
}

/// A centre whose people have decided.
struct Decided {
    centre: Running,
    line: Line,
    speaker: Speaker,
    sequence: u64,
}

impl Decided {
    fn new() -> Self {
        let centre = Running::start();
        let line = Line::connected(centre.mqtt, "box", None);
        Self {
            centre,
            line,
            speaker: a_box("b1", 1),
            sequence: 0,
        }
    }

    fn say(&mut self, letter: impl FnOnce(&Speaker, u64) -> Vec<u8>) {
        self.sequence += 1;
        let letter = letter(&self.speaker, self.sequence);
        self.line.publish(&self.speaker.event_topic(), 1, letter);
        self.line.acknowledged(1);
    }

    /// Sends an event with its still, which is taken `late` seconds after it.
    fn event(&mut self, event: &Event, still: &[u8], late: f64) {
        self.say(|speaker, sequence| speaker.letter_of(event, sequence));
        let item = EvidenceItem {
            captured: event.decided.time + Seconds(late),
            ..file(EvidenceRole::StillClean, still)
        };
        let path = format!("/api/v1/evidence/{}", item.sha256);
        let manifest = manifest_of(event.id, [item]);
        self.say(|speaker, sequence| speaker.manifest(&manifest, sequence));
        let put = (self.centre.api()).put(&path, &[("content-type", "image/jpeg")], still);
        assert!(put.status < 300);
    }

    fn decide(&self, event: &Event, reason: &str, actor: &str) {
        let path = format!("/api/v1/alerts/{}", event.id);
        for (action, body) in [
            ("acknowledge", json!({"actor": actor})),
            (
                "resolve",
                json!({"actor": actor, "reason": reason, "note": "seen by Lan"}),
            ),
        ] {
            let answer = (self.centre.api()).post(&format!("{path}/{action}"), &body);
            assert_eq!(answer.status, 200, "{}", answer.json());
        }
    }

    fn data(&self) -> &Path {
        self.centre.folder.path()
    }

    fn labels(&self, out: &Path, more: &[&str]) -> Output {
        labels(self.data(), out, more)
    }

    /// Where a still is on disk.
    fn stored(&self, still: &[u8]) -> PathBuf {
        let name = digest(still).to_string();
        (self.data().join("evidence"))
            .join(&name[..2])
            .join(&name[2..])
    }
}

fn labels(data: &Path, out: &Path, more: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_aggregator"))
        .arg("labels")
        .arg("--data")
        .arg(data)
        .arg("--out")
        .arg(out)
        .args(more)
        .output()
        .unwrap()
}

fn said(ended: &Output) -> String {
    let (out, err) = (&ended.stdout, &ended.stderr);
    String::from_utf8_lossy(&[out.as_slice(), err].concat()).into_owned()
}

/// The report without the folder's name.
fn reported(ended: &Output, expected: &Expect) {
    assert_eq!(ended.status.code(), Some(0), "{}", said(ended));
    let text = said(ended);
    expected.assert_eq(text.split_once(": ").map_or(&text, |(_, report)| report));
}

/// Every file of the folder and its bytes.
fn files(folder: &Path) -> BTreeMap<PathBuf, Vec<u8>> {
    std::fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .flat_map(|path| {
            if path.is_dir() {
                files(&path)
            } else {
                [(path.clone(), std::fs::read(&path).unwrap())].into()
            }
        })
        .collect()
}

fn read(file: &Path) -> Value {
    serde_json::from_slice(&std::fs::read(file).unwrap()).unwrap()
}

/// A confirmed event of two road users, a false alarm in the same picture and one at night.
fn three_decisions() -> (Decided, Vec<Vec<u8>>) {
    let mut decided = Decided::new();
    let stills = vec![jpeg([120, 120, 120], 10), jpeg([30, 30, 20], 20)];
    let rider = actor(7, ObjectClass::Motorcycle, [0.25, 0.25, 0.25, 0.5]);
    let car = actor(8, ObjectClass::Car, [0.5, 0.5, 0.25, 0.25]);
    let mut confirmed = decided.speaker.event(1);
    confirmed.actors = vec![rider.clone(), car.clone()];
    let mut refused = decided.speaker.event(2);
    refused.decided = confirmed.decided;
    refused.actors = vec![car, actor(9, ObjectClass::Person, [0.0, 0.0, 0.5, 0.5])];
    let mut night = decided.speaker.event(3);
    night.actors = vec![rider];
    for (event, still) in [(&confirmed, 0), (&refused, 0), (&night, 1)] {
        decided.event(event, &stills[still], 0.0);
    }
    decided.decide(&confirmed, "confirmed", "Nguyen Van A");
    decided.decide(&refused, "false_alarm", "Tran Thi B");
    decided.decide(&night, "unverifiable", "Nguyen Van A");
    (decided, stills)
}

/// Each element on a line of its own.
fn lines(of: &Value) -> String {
    let mut text = String::new();
    for element in of.as_array().unwrap() {
        writeln!(text, "{element}").unwrap();
    }
    text
}

#[test]
#[allow(clippy::too_many_lines)] // a story, and all that was written of it
fn a_persons_word_covers_the_boxes_of_the_event_and_nothing_else() {
    let (decided, _) = three_decisions();
    let out = decided.data().join("labels");
    reported(
        &decided.labels(&out, &["--hold-out", "0"]),
        &expect![[r"
            2 pictures of 1 cameras on 1 days of cameras
              train  2 pictures (1 by night), 2 boxes confirmed, 2 to be ignored
              val    0 pictures (0 by night), 0 boxes confirmed, 0 to be ignored
              files: 0 already there, 0 removed that belong no more
        "]],
    );
    let mut train = read(&out.join("train.json"));
    for (index, image) in train["images"]
        .as_array_mut()
        .unwrap()
        .iter_mut()
        .enumerate()
    {
        let name = image["file_name"].as_str().unwrap();
        assert!(out.join("pictures").join(name).is_file());
        assert_eq!(
            format!("{:012x}", image["id"].as_u64().unwrap()),
            name[..12],
            "a picture's number is stable"
        );
        // The encoder's and the day's own.
        image["file_name"] = format!("picture {index}").into();
        image["id"] = index.into();
        for event in image["events"].as_array_mut().unwrap() {
            event["decided_on"] = "a day".into();
        }
    }
    let text = train.to_string();
    for word in ["Nguyen", "Tran", "Lan"] {
        assert!(!text.contains(word), "no name leaves the store: {text}");
    }
    for annotation in train["annotations"].as_array_mut().unwrap() {
        let annotation = annotation.as_object_mut().unwrap();
        annotation.remove("event");
        annotation.remove("image_id");
    }
    expect![[r#"
        [
          {
            "camera": "hanoi/b1/c1",
            "captured": "2026-01-02T05:00:03.000000Z",
            "complete": false,
            "day": "2026-01-02",
            "events": [
              {
                "decided_on": "a day",
                "disposition": "unverifiable",
                "id": "a6ad53c9-2188-5694-9db9-7912f3724fb4",
                "kind": "red_light",
                "reviewer": 1
              }
            ],
            "file_name": "picture 0",
            "height": 48,
            "id": 0,
            "luma": 28.9,
            "night": true,
            "width": 64
          },
          {
            "camera": "hanoi/b1/c1",
            "captured": "2026-01-02T05:00:01.000000Z",
            "complete": false,
            "day": "2026-01-02",
            "events": [
              {
                "decided_on": "a day",
                "disposition": "confirmed",
                "id": "2b32fe1e-91cd-50e6-93f3-268fa0f9a95d",
                "kind": "red_light",
                "reviewer": 1
              },
              {
                "decided_on": "a day",
                "disposition": "false_alarm",
                "id": "ad06a922-6945-5735-a88e-c95e3825f38f",
                "kind": "red_light",
                "reviewer": 2
              }
            ],
            "file_name": "picture 1",
            "height": 48,
            "id": 1,
            "luma": 117.7,
            "night": false,
            "width": 64
          }
        ]"#]]
    .assert_eq(&serde_json::to_string_pretty(&train["images"]).unwrap());
    expect![[r#"
        {"area":384.0,"bbox":[16.0,12.0,16.0,24.0],"category_id":4,"id":1,"iscrowd":1,"score":0.5,"segmentation":[],"status":"disputed"}
        {"area":384.0,"bbox":[16.0,12.0,16.0,24.0],"category_id":4,"id":2,"iscrowd":0,"score":0.5,"segmentation":[],"status":"confirmed"}
        {"area":192.0,"bbox":[32.0,24.0,16.0,12.0],"category_id":3,"id":3,"iscrowd":0,"score":0.5,"segmentation":[],"status":"confirmed"}
        {"area":768.0,"bbox":[0.0,0.0,32.0,24.0],"category_id":1,"id":4,"iscrowd":1,"score":0.5,"segmentation":[],"status":"disputed"}
    "#]].assert_eq(
        &lines(&train["annotations"]),
    );
}

/// What makes a case one that teaches nothing.
type Change = fn(&mut Event);

#[test]
fn what_cannot_be_learnt_from_is_left_out_and_counted() {
    let mut decided = Decided::new();
    let still = |n: u8| jpeg([100, 100, 100 + n], n);
    let rider = || vec![actor(7, ObjectClass::Motorcycle, [0.25, 0.25, 0.25, 0.5])];
    let event = |decided: &Decided, n: u8| {
        let mut event = decided.speaker.event(u64::from(n));
        event.actors = rider();
        event
    };
    // (reason, change, seconds from the event to the still, the still)
    let drawing = jpeg([36, 40, 46], 200);
    let cases: [(&str, Change, f64, Vec<u8>); 7] = [
        ("confirmed", |_| {}, 0.0, still(1)),
        ("duplicate", |_| {}, 0.0, still(2)),
        ("test", |_| {}, 0.0, still(3)),
        ("confirmed", |event| event.simulated = true, 0.0, still(4)),
        ("confirmed", |event| event.actors.clear(), 0.0, still(5)),
        ("confirmed", |_| {}, 1.5, still(6)),
        ("confirmed", |_| {}, 0.0, drawing),
    ];
    for (n, (reason, change, late, still)) in (1..).zip(&cases) {
        let mut event = event(&decided, n);
        change(&mut event);
        decided.event(&event, still, *late);
        decided.decide(&event, reason, "a");
    }
    // Nobody has decided, no still has come, of another kind.
    let undecided = event(&decided, 20);
    decided.event(&undecided, &still(20), 0.0);
    let bare = event(&decided, 21);
    decided.say(|speaker, sequence| speaker.letter_of(&bare, sequence));
    decided.decide(&bare, "confirmed", "a");
    let out = decided.data().join("labels");
    reported(
        &decided.labels(&out, &["--hold-out", "0"]),
        &expect![[r"
            1 pictures of 1 cameras on 1 days of cameras
              train  1 pictures (0 by night), 1 boxes confirmed, 0 to be ignored
              val    0 pictures (0 by night), 0 boxes confirmed, 0 to be ignored
              left out: 1 alerts of simulated cameras
              left out: 1 alerts that name no road user
              left out: 1 alerts that nobody has resolved
              left out: 1 alerts that were duplicates
              left out: 1 alerts that were tests
              left out: 1 alerts whose stills are of another moment than their boxes
              left out: 1 alerts without a clean still
              left out: 1 stills that are drawings, not pictures
              files: 0 already there, 0 removed that belong no more
        "]],
    );
    let other = decided.data().join("other");
    reported(
        &decided.labels(&other, &["--hold-out", "0", "--kind", "wrong_way"]),
        &expect![[r"
            0 pictures of 0 cameras on 0 days of cameras
              train  0 pictures (0 by night), 0 boxes confirmed, 0 to be ignored
              val    0 pictures (0 by night), 0 boxes confirmed, 0 to be ignored
              left out: 5 alerts of other kinds or cameras than asked for
              left out: 1 alerts of simulated cameras
              left out: 1 alerts that nobody has resolved
              left out: 1 alerts that were duplicates
              left out: 1 alerts that were tests
              files: 0 already there, 0 removed that belong no more
        "]],
    );
}

#[test]
fn a_run_is_repeatable_finishes_a_broken_one_and_lets_go_of_what_was_deleted() {
    let (decided, stills) = three_decisions();
    let out = decided.data().join("labels");
    let run = || {
        let ended = decided.labels(&out, &["--hold-out", "0"]);
        assert_eq!(ended.status.code(), Some(0), "{}", said(&ended));
        said(&ended)
    };
    run();
    let first = files(&out);
    assert!(run().contains("2 already there, 0 removed"));
    assert_eq!(files(&out), first);
    // Cut short: a picture is missing, another is half written, the lists are old.
    let pictures: Vec<PathBuf> = (files(&out.join("pictures")).into_keys()).collect();
    std::fs::remove_file(&pictures[0]).unwrap();
    let half = pictures[0].with_extension("jpg.part");
    std::fs::write(&half, "half").unwrap();
    std::fs::write(out.join("train.json"), "").unwrap();
    std::fs::write(out.join("pictures/mine.txt"), "a stranger's").unwrap();
    assert!(run().contains("1 already there, 0 removed"));
    assert!(!half.exists());
    std::fs::remove_file(out.join("pictures/mine.txt")).unwrap();
    assert_eq!(files(&out), first);
    // The centre deletes a still, so that it goes from here as well.
    std::fs::remove_file(decided.stored(&stills[1])).unwrap();
    let report = run();
    assert!(report.contains("1 removed that belong no more"), "{report}");
    assert!(
        report.contains("1 stills that have not arrived or were deleted"),
        "{report}"
    );
    assert_eq!(files(&out.join("pictures")).len(), 1);
}

#[test]
fn a_damaged_still_is_named_and_the_rest_is_written() {
    let (decided, stills) = three_decisions();
    std::fs::write(decided.stored(&stills[1]), "no picture").unwrap();
    let out = decided.data().join("labels");
    let ended = decided.labels(&out, &["--hold-out", "1"]);
    let said = said(&ended);
    assert_eq!(ended.status.code(), Some(1), "{said}");
    let name = digest(&stills[1]).to_string();
    assert!(said.contains(&format!("still {name} of alert")), "{said}");
    assert!(said.contains("another SHA-256 than its name"), "{said}");
    assert_eq!(
        read(&out.join("val.json"))["images"]
            .as_array()
            .unwrap()
            .len(),
        1
    );
}

#[test]
fn a_side_that_stays_empty_is_told_with_the_way_out() {
    let (decided, _) = three_decisions();
    for (hold_out, told) in [
        ("0.000001", Some("no day of a camera is kept apart")),
        ("0.999999", Some("none is left to train with")),
        // Asked for so.
        ("0", None),
        ("1", None),
    ] {
        let out = decided.data().join(format!("labels-{hold_out}"));
        let ended = decided.labels(&out, &["--hold-out", hold_out]);
        assert_eq!(ended.status.code(), Some(0), "{}", said(&ended));
        let aside = String::from_utf8_lossy(&ended.stderr);
        match told {
            Some(told) => assert!(aside.contains(told), "{hold_out}: {aside}"),
            None => assert_eq!(aside, "", "{hold_out}"),
        }
    }
}

/// A shell's mask of 022 would show everybody on the machine whom the cameras saw.
#[test]
fn pictures_of_people_are_written_for_ones_own_account_and_group() {
    let (decided, _) = three_decisions();
    let mode = |path: &Path| std::fs::metadata(path).unwrap().permissions().mode() & 0o7777;
    let out = decided.data().join("new/labels");
    assert_eq!(decided.labels(&out, &[]).status.code(), Some(0));
    assert_eq!(mode(&out) & 0o007, 0);
    // Somebody has made the folder as he wants it.
    let out = decided.data().join("his");
    std::fs::create_dir(&out).unwrap();
    std::fs::set_permissions(&out, std::fs::Permissions::from_mode(0o755)).unwrap();
    assert_eq!(decided.labels(&out, &[]).status.code(), Some(0));
    assert_eq!(mode(&out), 0o755);
}

#[test]
fn other_peoples_folders_are_left_alone_and_wrong_words_refused() {
    let folder = tempfile::tempdir().unwrap();
    let (data, out) = (folder.path().join("data"), folder.path().join("out"));
    std::fs::create_dir(&out).unwrap();
    let ended = labels(&data, &out, &[]);
    assert_eq!(ended.status.code(), Some(1));
    assert!(
        said(&ended).contains("has no centre.db"),
        "{}",
        said(&ended)
    );
    let (decided, _) = three_decisions();
    std::fs::write(out.join("thesis.txt"), "mine").unwrap();
    let ended = decided.labels(&out, &[]);
    assert_eq!(ended.status.code(), Some(1));
    assert!(
        said(&ended).contains("name a new folder"),
        "{}",
        said(&ended)
    );
    assert_eq!(files(&out).len(), 1);
    for more in [["--hold-out", "2"], ["--utc-offset-min", "9999"]] {
        assert_eq!(decided.labels(&out, &more).status.code(), Some(2));
    }
}
