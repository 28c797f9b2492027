//! Retention and the lock that beats it, in simulated time: no test waits for a
//! day, and no clock is asked.

use std::collections::BTreeMap;
use std::path::Path;
use std::time::Duration;

use aggregator::alert::{Action, Resolution};
use aggregator::case;
use aggregator::evidence::{Evidence, UploadLimits};
use aggregator::retention::{Kept, Retention};
use aggregator::store::{Decision, EvidenceFile, StoreSettings, Sweep};
use bytes::Bytes;
use case_bundle::files::BundleShelf;
use case_bundle::manifest::{
    AgentVersion, CASE_MEDIA_TYPE, CASE_SCHEMA, CaseManifest, ChainLink, Clock,
};
use case_bundle::{BoxKey, CaseMedia, Fault, Sealed, Trust};
use expect_test::expect;
use protocol::event::Words;
use protocol::evidence::{EvidenceItem, EvidenceManifest, EvidenceRole, Missing, Span};
use protocol::units::Seconds;
use protocol::{Event, EventId, EventTime, EvidenceLocks};
use rumqttc::v5::mqttbytes::v5::Packet;
use serde_json::{Value, json};

use crate::announced::{digest, file, manifest_of};
use crate::store::Bench;
use crate::support::{Heard, Line, Running, Speaker, a_box, noon};

const DAY: Duration = Duration::from_hours(24);

/// A store with its evidence, and a box that fills them.
struct Archive {
    bench: Bench,
    evidence: Evidence,
    speaker: Speaker,
    sent: u64,
    retention: Retention,
    /// Where the host's clock is.
    now: EventTime,
}

impl Archive {
    fn open(folder: &Path) -> Self {
        let limits = UploadLimits {
            largest: 1 << 20,
            at_once: 32,
            kept: Duration::from_hours(24),
            idle: Duration::from_secs(20),
        };
        Self {
            bench: Bench::new(folder, StoreSettings::default()),
            evidence: Evidence::in_folder(&folder.join("evidence"), limits).unwrap(),
            speaker: a_box("b1", 1),
            sent: 0,
            retention: Retention {
                clip_days: 10.0,
                still_days: 20.0,
                plate_crop_days: 15.0,
                other_days: 5.0,
                dismissed_days: 3.0,
                unclaimed_days: 2.0,
                case_days: 40.0,
            },
            now: noon(),
        }
    }

    fn put(&self, bytes: &[u8]) {
        let sha256 = digest(bytes);
        let body = futures_util::stream::iter([Ok::<_, String>(Bytes::copy_from_slice(bytes))]);
        let file = EvidenceFile {
            sha256,
            length: bytes.len() as u64,
            media_type: "image/jpeg".to_owned(),
            stored_at: self.now,
        };
        self.bench.runtime.block_on(async {
            let stored = self.evidence.put(sha256, body).await.unwrap();
            self.bench.store.file_stored(file).await.unwrap();
            drop(stored);
        });
    }

    fn item(&self, role: EvidenceRole, bytes: &[u8]) -> EvidenceItem {
        self.put(bytes);
        file(role, bytes)
    }

    fn send(&mut self, letter: impl FnOnce(&Speaker, u64) -> Vec<u8>) {
        self.sent += 1;
        let letter = letter(&self.speaker, self.sent);
        self.bench.take(&self.speaker.clone(), &letter);
    }

    /// Event number `n` with one file of each role, `<n>-<role>`.
    fn event(&mut self, n: u64) -> Event {
        use EvidenceRole::{CaseManifest, Clip, Other, PlateCrop, StillClean};
        let event = self.speaker.event(n);
        self.send(|speaker, sequence| speaker.letter_of(&event, sequence));
        let roles = [
            (Clip, "clip"),
            (StillClean, "still"),
            (PlateCrop, "plate"),
            (CaseManifest, "case"),
            (Other, "other"),
        ];
        let items = roles.map(|(role, word)| self.item(role, format!("{n}-{word}").as_bytes()));
        let manifest = manifest_of(event.id, items);
        self.send(|speaker, sequence| speaker.manifest(&manifest, sequence));
        event
    }

    fn decide(&self, alert: EventId, action: Action) {
        let decision = Decision {
            alert,
            action,
            actor: "An".to_owned(),
            note: Some("tòa án yêu cầu".to_owned()),
            seen: None,
        };
        self.bench
            .runtime
            .block_on(self.bench.store.decide(decision))
            .unwrap();
    }

    fn resolve(&self, alert: EventId, reason: Resolution) {
        self.decide(alert, Action::Acknowledge);
        self.decide(alert, Action::Resolve(reason));
    }

    /// A sweep when the host's clock has gone on by `leap` beside what has passed.
    fn sweep(&mut self, passed: Option<Duration>, leap: Seconds) {
        let by_clock = passed.map_or(0.0, |passed| passed.as_secs_f64()) + leap.0;
        self.now = self.now + Seconds(by_clock);
        let kept = Kept {
            store: self.bench.store.clone(),
            evidence: self.evidence.clone(),
            retention: self.retention,
        };
        let swept = kept.sweep(self.now, passed);
        self.bench.runtime.block_on(swept).unwrap();
    }

    fn is_here(&self, text: &str) -> bool {
        let sha256 = digest(text.as_bytes());
        let runtime = &self.bench.runtime;
        let on_disk = runtime.block_on(self.evidence.length(sha256)).unwrap();
        let known = runtime.block_on(self.bench.store.file(sha256)).unwrap();
        let removed = runtime.block_on(self.bench.store.removed(sha256)).unwrap();
        assert_eq!(on_disk.is_some(), known.is_some(), "{text}");
        assert_eq!(known.is_none(), removed.is_some(), "{text}: and it is said");
        known.is_some()
    }

    /// The day on which each file goes, looking once a day for `days` days.
    fn days_of(&mut self, files: &[&str], days: u64) -> BTreeMap<String, u64> {
        let mut gone = BTreeMap::new();
        for day in 1..=days {
            self.sweep(Some(DAY), Seconds(0.0));
            for file in files {
                if !self.is_here(file) {
                    gone.entry((*file).to_owned()).or_insert(day);
                }
            }
        }
        gone
    }
}

#[test]
fn each_class_has_its_own_time_and_a_lock_beats_them_all() {
    let folder = tempfile::tempdir().unwrap();
    let mut archive = Archive::open(folder.path());
    let [confirmed, dismissed, locked, _open] = [1, 2, 3, 4].map(|n| archive.event(n));
    archive.put(b"of nobody");
    archive.resolve(confirmed.id, Resolution::Confirmed);
    archive.resolve(dismissed.id, Resolution::FalseAlarm);
    archive.resolve(locked.id, Resolution::Duplicate);
    archive.decide(locked.id, Action::Lock);
    archive.sweep(None, Seconds(0.0));
    let words = ["clip", "still", "plate", "case", "other"];
    let files: Vec<String> = (1..=4)
        .flat_map(|n| words.map(|word| format!("{n}-{word}")))
        .chain(["of nobody".to_owned()])
        .collect();
    let files: Vec<&str> = files.iter().map(String::as_str).collect();
    let days = archive.days_of(&files, 60);
    expect![[r#"
        {
            "1-case": 40,
            "1-clip": 10,
            "1-other": 5,
            "1-plate": 15,
            "1-still": 20,
            "2-case": 40,
            "2-clip": 3,
            "2-other": 3,
            "2-plate": 3,
            "2-still": 3,
            "4-case": 40,
            "4-clip": 10,
            "4-other": 5,
            "4-plate": 15,
            "4-still": 20,
            "of nobody": 2,
        }
    "#]]
    .assert_debug_eq(&days);
    // A released lock begins the time anew: nobody who slips loses evidence.
    archive.decide(locked.id, Action::Unlock);
    archive.sweep(Some(DAY), Seconds(0.0));
    let days = archive.days_of(&["3-clip", "3-case"], 60);
    assert_eq!((days["3-clip"], days["3-case"]), (3, 40));
    archive.bench.close();
}

/// A file may show two alerts: the one that keeps it longer counts, and a lock on
/// either.
#[test]
fn a_file_of_two_alerts_stays_as_long_as_either_needs_it() {
    let folder = tempfile::tempdir().unwrap();
    let mut archive = Archive::open(folder.path());
    let events = [1, 2].map(|n| archive.speaker.event(n));
    for event in &events {
        archive.send(|speaker, sequence| speaker.letter_of(event, sequence));
        let manifest = manifest_of(event.id, [archive.item(EvidenceRole::Clip, b"shared")]);
        archive.send(|speaker, sequence| speaker.manifest(&manifest, sequence));
    }
    archive.resolve(events[0].id, Resolution::FalseAlarm);
    archive.decide(events[1].id, Action::Lock);
    archive.sweep(None, Seconds(0.0));
    assert!(archive.days_of(&["shared"], 30).is_empty(), "locked");
    archive.decide(events[1].id, Action::Unlock);
    archive.sweep(Some(DAY), Seconds(0.0));
    assert_eq!(archive.days_of(&["shared"], 30)["shared"], 10);
    archive.bench.close();
}

/// What happens on the first day: whether the program is restarted, and by how much
/// the clock leaps.
type Step = (bool, Seconds);

#[test]
fn a_clock_that_jumps_removes_nothing_early() {
    let year = Seconds(365.0 * 86_400.0);
    let back = Seconds(-year.0);
    let still = Seconds(0.0);
    let cases: [(&str, &[Step]); 5] = [
        ("a year ahead while it runs", &[(false, year)]),
        ("and back", &[(false, year), (false, back)]),
        (
            "a year ahead at a restart, and right at the next",
            &[(true, year), (true, back)],
        ),
        (
            "1970 at a restart, set right while it runs",
            &[(true, back), (false, year)],
        ),
        ("no jump", &[(false, still)]),
    ];
    for (what, steps) in cases {
        let folder = tempfile::tempdir().unwrap();
        let mut archive = Archive::open(folder.path());
        archive.event(1);
        archive.sweep(None, still);
        for (is_restarted, leap) in steps {
            archive.sweep((!is_restarted).then_some(Duration::ZERO), *leap);
        }
        let leaps = steps
            .iter()
            .filter(|(restarted, leap)| *restarted && leap.0 > 0.0);
        // Between two runs a day may be counted, and no more.
        let most = 10 - leaps.count() as u64;
        let day = archive.days_of(&["1-clip"], 30)["1-clip"];
        assert!((most..=10).contains(&day), "{what}: on day {day}");
        archive.bench.close();
    }
}

/// Killed between the record and the erasure, the next run erases; a file that
/// came again meanwhile is not erased.
#[test]
fn what_was_recorded_is_erased_by_the_next_run() {
    let folder = tempfile::tempdir().unwrap();
    let mut archive = Archive::open(folder.path());
    archive.event(1);
    archive.sweep(None, Seconds(0.0));
    let later = Sweep {
        time: Some((archive.now, Some(30 * DAY))),
        now: archive.now,
        retention: archive.retention,
    };
    let step = archive
        .bench
        .runtime
        .block_on(archive.bench.store.sweep(later));
    assert!(step.unwrap().removed.len() > 2, "recorded, and no more");
    archive.bench.close();

    let mut archive = Archive::open(folder.path());
    let path = |text: &str| {
        let name = digest(text.as_bytes()).to_string();
        folder
            .path()
            .join("evidence")
            .join(&name[..2])
            .join(&name[2..])
    };
    assert!(path("1-clip").exists() && path("1-still").exists());
    archive.put(b"1-still");
    archive.sweep(None, Seconds(0.0));
    assert!(!path("1-clip").exists(), "finished what was begun");
    assert!(!archive.is_here("1-clip"));
    assert!(archive.is_here("1-still"), "it came again");
    assert_eq!(archive.days_of(&["1-still"], 30)["1-still"], 20);
    archive.bench.close();
}

/// A case of which retention has removed the clip.
fn case_without_its_clip(folder: &Path) -> (EventId, BoxKey) {
    let mut archive = Archive::open(folder);
    let event = archive.speaker.event(1);
    archive.send(|speaker, sequence| speaker.letter_of(&event, sequence));
    let mut clip = archive.item(EvidenceRole::Clip, b"moving pictures");
    clip.until = Some(noon() + Seconds(9.0));
    clip.asked = Some(Span {
        from: noon(),
        to: noon() + Seconds(12.0),
    });
    clip.note = Some(Words::new("mất luồng", "the stream was lost"));
    let missing = Missing {
        role: EvidenceRole::StillClean,
        at: Some(noon()),
        reason: Words::new("không còn ảnh", "the picture was gone"),
    };
    let items = vec![clip, archive.item(EvidenceRole::StillClean, b"still")];
    let key = BoxKey::from_seed(&[7; 32]);
    let manifest = CaseManifest {
        schema: CASE_SCHEMA.to_owned(),
        event: event.clone(),
        clock: Clock {
            quality: event.time_quality,
            uncertainty_s: Some(0.12),
        },
        agent: AgentVersion {
            version: "1".to_owned(),
            sha256: None,
        },
        media: CaseMedia::of(&items),
        missing: vec![missing.clone()],
        chain: ChainLink::genesis(archive.speaker.outbox),
        sealed: noon(),
        key: key.public().id(),
        fingerprints: BTreeMap::new(),
    };
    let case = Sealed::seal(&manifest, &key).unwrap();
    let mut items = items;
    items.push(EvidenceItem {
        media_type: CASE_MEDIA_TYPE.to_owned(),
        ..archive.item(EvidenceRole::CaseManifest, &case)
    });
    let manifest = EvidenceManifest {
        event: event.id,
        items,
        missing: vec![missing],
    };
    archive.send(|speaker, sequence| speaker.manifest(&manifest, sequence));
    archive.sweep(None, Seconds(0.0));
    archive.sweep(Some(12 * DAY), Seconds(0.0));
    assert!(!archive.is_here("moving pictures") && archive.is_here("still"));
    archive.bench.close();
    (event.id, key)
}

#[test]
fn a_case_says_what_retention_removed_to_people_and_to_verify() {
    let folder = tempfile::tempdir().unwrap();
    let (alert, key) = case_without_its_clip(folder.path());
    let centre = Running::with(|config| config.data_dir = folder.path().to_owned());
    let api = centre.api();

    let seen = api.get(&format!("/api/v1/alerts/{alert}")).json();
    let clip = seen["evidence"]
        .as_array()
        .unwrap()
        .iter()
        .find(|item| item["role"] == "clip")
        .unwrap();
    assert_eq!(clip["available"], false);
    assert_eq!(clip["removed"]["class"], "clip");
    assert_eq!(clip["removed"]["days"], 10.0);
    assert_eq!(clip["until"], "2026-01-02T05:00:09.000000Z");
    assert_eq!(clip["asked"]["to"], "2026-01-02T05:00:12.000000Z");
    assert_eq!(clip["note"]["en"], "the stream was lost");
    assert_eq!(seen["missing"][0]["role"], "still_clean");
    assert_eq!(seen["missing"][0]["reason"]["en"], "the picture was gone");
    assert_eq!(seen["evidence_complete"], true);
    assert_eq!(
        seen["clock"],
        json!({"quality": "rtcp", "uncertainty_s": 0.12})
    );
    let gone = api.get(clip["url"].as_str().unwrap());
    assert_eq!(gone.status, 410);
    let detail = gone.json()["detail"].as_str().unwrap().to_owned();
    assert!(
        detail.contains("was removed by retention on 2026-01-14"),
        "{detail}"
    );
    // Whoever wants to send it again may.
    assert_eq!(api.head(clip["url"].as_str().unwrap()).status, 404);

    // The same bundle from the API and from the command line.
    let tar = folder.path().join("api.tar");
    let answer = api.get(&format!("/api/v1/alerts/{alert}/bundle"));
    assert_eq!(
        answer.status,
        200,
        "{}",
        String::from_utf8_lossy(&answer.body)
    );
    std::fs::write(&tar, answer.body).unwrap();
    let zip = folder.path().join("command.zip");
    case::export(folder.path(), alert, &zip).unwrap();
    let mut trust = Trust::default();
    trust.add_key(key.public());
    for bundle in [tar, zip] {
        let mut shelf = BundleShelf::open(&bundle).unwrap();
        let sealed = shelf.case().unwrap().unwrap();
        let report = case_bundle::verify(&sealed, &trust, &mut shelf);
        let [fault @ Fault::Removed { file, class, .. }] = &report.faults[..] else {
            panic!("{:?}", report.faults);
        };
        assert_eq!((file.as_str(), class.as_str()), ("01-clip.jpg", "clip"));
        assert!(fault.words().en.contains("was removed by retention on"));
    }
}

/// The lock over the API, and how the box hears of it.
#[test]
fn a_lock_is_set_with_a_reason_written_down_and_told_to_the_box() {
    let centre = Running::start();
    let (api, speaker) = (centre.api(), a_box("b1", 1));
    let mut line = Line::connected(centre.mqtt, "box", None);
    line.subscribe("ngatu/v1/hanoi/b1/down/#");
    line.publish(&speaker.state_topic(), 1, speaker.status(true));
    assert_eq!(
        locks(&mut line),
        Vec::<EventId>::new(),
        "told at the greeting"
    );
    for n in [1, 2] {
        line.publish(&speaker.event_topic(), 1, speaker.letter(n, n));
        line.acknowledged(1);
    }
    let alert = speaker.event(1).id;
    let decide = |what: &str, body: Value| {
        let answer = api.post(&format!("/api/v1/alerts/{alert}/{what}"), &body);
        (answer.status, answer.json())
    };
    let why = json!({"actor": "An", "reason": "tòa án yêu cầu"});
    assert_eq!(decide("unlock", why.clone()).0, 409, "there is none");
    assert_eq!(decide("lock", json!({"actor": "An", "reason": " "})).0, 400);
    assert_eq!(decide("lock", json!({"actor": "An"})).0, 400);
    let (status, seen) = decide("lock", why.clone());
    assert_eq!(status, 200);
    assert_eq!(seen["lock"]["actor"], "An");
    assert_eq!(seen["lock"]["reason"], "tòa án yêu cầu");
    assert_eq!(
        seen["state"], "new",
        "a lock is not a decision about the alert"
    );
    assert_eq!(locks(&mut line), [alert]);
    assert!((api.metric("aggregator_evidence_locks ") - 1.0).abs() < 0.1);
    assert_eq!(decide("lock", why.clone()).0, 409, "it is locked already");

    // Who comes later is told as well, and another box is not.
    let other = a_box("b2", 2);
    for (whose, name, expected) in [(&speaker, "again", vec![alert]), (&other, "other", vec![])] {
        let mut line = Line::connected(centre.mqtt, name, None);
        line.subscribe(&format!("ngatu/v1/hanoi/{}/down/#", whose.box_id));
        line.publish(&whose.state_topic(), 1, whose.status(true));
        assert_eq!(locks(&mut line), expected, "{name}");
    }

    let (status, seen) = decide("unlock", json!({"actor": "Bình", "reason": "đã xử xong"}));
    assert_eq!((status, &seen["lock"]), (200, &Value::Null));
    assert_eq!(locks(&mut line), Vec::<EventId>::new());
    let audit: Vec<String> = seen["history"]
        .as_array()
        .unwrap()
        .iter()
        .map(|entry| {
            let text = |key: &str| entry[key].as_str().unwrap_or("-").to_owned();
            format!("{} {} {}", text("actor"), text("action"), text("note"))
        })
        .collect();
    assert_eq!(
        audit,
        [
            "hanoi/b1 raised -",
            "An lock tòa án yêu cầu",
            "Bình unlock đã xử xong"
        ]
    );
}

/// However many they are: the box hears of the oldest as well.
#[test]
fn more_locks_than_a_message_holds_come_in_parts() {
    const LOCKED: u64 = 2_001;
    let centre = Running::start();
    let speaker = a_box("b1", 1);
    let mut line = Line::connected(centre.mqtt, "box", None);
    for n in 1..=LOCKED {
        // Some at once, so that they share a commit.
        let pkid = u16::try_from((n - 1) % 16 + 1).unwrap();
        line.publish(&speaker.event_topic(), pkid, speaker.letter(n, n));
        if pkid == 16 || n == LOCKED {
            line.acknowledged(pkid);
        }
    }
    // As two thousand people would.
    let file = centre.folder.path().join("centre.db");
    let database = rusqlite::Connection::open(file).unwrap();
    database
        .pragma_update(None, "busy_timeout", 60_000)
        .unwrap();
    let locked = database.execute(
        "INSERT INTO evidence_locks SELECT id, 1, 'An', 'tòa án' FROM alerts",
        [],
    );
    assert_eq!(locked.unwrap() as u64, LOCKED);
    drop(database);

    line.subscribe("ngatu/v1/hanoi/b1/down/#");
    line.publish(&speaker.state_topic(), 1, speaker.status(true));
    let parts: Vec<EvidenceLocks> = (0..3).map(|_| word_of_locks(&mut line)).collect();
    let told: Vec<_> = (parts.iter())
        .map(|part| (part.part.number, part.part.of, part.locked.len(), part.at))
        .collect();
    let at = parts[0].at;
    assert_eq!(told, [(1, 3, 1000, at), (2, 3, 1000, at), (3, 3, 1, at)]);
    let events: std::collections::BTreeSet<_> =
        parts.into_iter().flat_map(|part| part.locked).collect();
    assert_eq!(events.len() as u64, LOCKED);
}

/// The events in the next word of locked evidence.
fn locks(line: &mut Line) -> Vec<EventId> {
    word_of_locks(line).locked
}

/// The next word of locked evidence.
fn word_of_locks(line: &mut Line) -> EvidenceLocks {
    loop {
        match line.hear() {
            Heard::Packet(Packet::Publish(publish)) if publish.topic.ends_with(b"/down/locks") => {
                return serde_json::from_slice(&publish.payload).unwrap();
            }
            Heard::Packet(_) => {}
            Heard::Closed => panic!("closed before a word of locks"),
        }
    }
}
