//! The budget: it holds as far as something may be given up for it; beyond that new
//! evidence is refused and told, and events never are.

use std::fs;

use case_bundle::manifest::CASE_MEDIA_TYPE;
use proptest::prelude::*;
use protocol::LockPart;
use protocol::event::Words;
use protocol::evidence::Missing;

use super::disk_tests::damage;
use super::samples::{at, box_id, camera, event, site};
use super::tests::{append, pass, receipt};
use super::*;

const MIB: u64 = 1 << 20;
/// Room for some files of a hundred kilobytes beside the database and its log.
const SMALL: u64 = 2 * MIB;

fn opened(bytes: u64) -> (tempfile::TempDir, Outbox) {
    let dir = tempfile::tempdir().unwrap();
    let outbox = Outbox::open(dir.path(), DiskBudget::new(bytes)).unwrap();
    (dir, outbox)
}

/// Stores content that no other file has.
fn put(
    outbox: &Outbox,
    number: u64,
    media_type: &str,
    length: usize,
) -> Result<EvidenceItem, OutboxError> {
    let mut bytes = vec![0; length];
    bytes[..8].copy_from_slice(&number.to_le_bytes());
    outbox.put_evidence(&bytes, EvidenceRole::StillClean, media_type, at(1))
}

/// Appends so many messages of some four kilobytes after which nothing is owed.
fn append_large(outbox: &Outbox, count: u64) {
    for number in 0..count {
        let long = "x".repeat(2000);
        let manifest = EvidenceManifest {
            event: event(number).id,
            items: Vec::new(),
            missing: vec![Missing {
                role: EvidenceRole::Clip,
                at: None,
                reason: Words::new(long.clone(), long),
            }],
        };
        let whose = (&site(), &box_id(), &camera());
        outbox.append_evidence(whose, &manifest, at(1)).unwrap();
    }
}

/// Says of a file that it is evidence of event `number`.
fn announce(outbox: &Outbox, number: u64, item: EvidenceItem) {
    let manifest = EvidenceManifest {
        event: event(number).id,
        items: vec![item],
        missing: Vec::new(),
    };
    let whose = (&site(), &box_id(), &camera());
    outbox.announce_evidence(whose, &manifest, at(1)).unwrap();
}

fn lock(outbox: &Outbox, second: u64, numbers: impl IntoIterator<Item = u64>) {
    let locks = EvidenceLocks {
        at: at(second),
        locked: numbers.into_iter().map(|number| event(number).id).collect(),
        part: LockPart::WHOLE,
    };
    assert!(outbox.take_locks_at(&locks, at(second)).unwrap());
}

/// What a new file is refused for, and what the refusals are told as.
struct Full {
    words: &'static str,
    fill: fn(&Outbox),
    relieve: fn(&Outbox),
}

#[test]
fn what_may_not_be_given_up_leaves_no_room_for_evidence_and_events_go_on() {
    let by_locks = Full {
        words: "are locked evidence",
        fill: |outbox| {
            for number in 1..=8 {
                let clip = put(outbox, number, "video/mp4", 200_000).unwrap();
                announce(outbox, number, clip);
                lock(outbox, number, 1..=number);
            }
        },
        relieve: |outbox| lock(outbox, 1000, []),
    };
    let by_messages = Full {
        words: " 0 are locked evidence",
        fill: |outbox| append_large(outbox, 500),
        // The centre takes them all, and copies of messages are given up.
        relieve: |outbox| {
            let last = outbox.status().last_sequence;
            outbox.mark_sent(last);
            outbox.take_receipt(&receipt(outbox, last)).unwrap();
        },
    };
    let by_what_cannot_be_sent = Full {
        words: "messages",
        fill: |outbox| {
            append(outbox, 1..=1);
            let aside = outbox.dir().join("unsendable");
            fs::create_dir(&aside).unwrap();
            fs::write(aside.join("huge"), vec![0; 2 << 20]).unwrap();
            assert!(outbox.set_aside(1).unwrap());
        },
        relieve: |outbox| {
            fs::remove_file(outbox.dir().join("unsendable/huge")).unwrap();
            append(outbox, 2..=2);
            assert!(outbox.set_aside(2).unwrap());
        },
    };
    for full in [by_locks, by_messages, by_what_cannot_be_sent] {
        let (_dir, outbox) = opened(SMALL);
        (full.fill)(&outbox);
        let before = outbox.status();
        let whose = (&site(), &box_id(), &camera());
        for (number, media_type) in (100..).zip(["video/mp4", "image/jpeg", "text/plain"]) {
            let error = put(&outbox, number, media_type, 500_000).unwrap_err();
            assert!(matches!(error, OutboxError::NoRoom { .. }), "{error}");
            assert!(error.is_want_of_room());
            assert!(error.to_string().contains(full.words), "{error}");
            outbox.evidence_not_stored(whose);
        }
        let status = outbox.status();
        assert_eq!(status.evidence_bytes, before.evidence_bytes);
        assert_eq!(status.evidence_sacrificed, 0, "nothing goes in vain");
        let classes = ["clip", "other", "still"].map(|class| (class, 1));
        assert_eq!(outbox.not_stored(), BTreeMap::from(classes));
        let trouble = outbox.trouble().unwrap().en;
        assert!(trouble.contains("3 files were not stored"), "{trouble}");
        let said = outbox.evidence_given_up(whose).unwrap().en;
        assert!(said.contains("3 files of this camera were not"), "{said}");
        // That the centre has all that is left makes no room.
        for upload in outbox.uploads() {
            outbox.mark_uploaded(&upload.digest, false).unwrap();
        }
        append(&outbox, 2001..=2020);
        pass(&outbox, 0);
        assert!(outbox.trouble().is_some());

        (full.relieve)(&outbox);
        pass(&outbox, 0);
        assert_eq!(outbox.trouble(), None, "there is room again");
        assert_eq!(outbox.evidence_given_up(whose), None);
        put(&outbox, 103, "video/mp4", 500_000).unwrap();
        assert!(outbox.status().used_bytes <= SMALL);
    }
}

/// Clips are given up before stills, so a clip is not stored in the place of stills.
#[test]
fn a_new_file_stands_in_the_order_of_sacrifice_itself() {
    for (first, later, is_stored) in [
        ("image/jpeg", "video/mp4", false),
        ("video/mp4", "video/mp4", true),
        ("video/mp4", "image/jpeg", true),
        ("image/jpeg", "image/jpeg", true),
        (CASE_MEDIA_TYPE, "image/jpeg", false),
    ] {
        let (_dir, outbox) = opened(SMALL);
        for number in 0..8 {
            put(&outbox, number, first, 200_000).unwrap();
        }
        let stored = put(&outbox, 8, later, 400_000);
        assert_eq!(stored.is_ok(), is_stored, "{later} for {first}");
        let given_up = outbox.status().evidence_sacrificed;
        assert_eq!(given_up > 0, is_stored, "{later} for {first}");
        // The same content again wants no room.
        put(&outbox, 7, first, 200_000).unwrap();
        assert_eq!(outbox.status().evidence_sacrificed, given_up);
    }
}

/// Of a disk that goes bad again and again one damaged file is kept, and it goes
/// before what the centre does not have.
#[test]
fn one_damaged_file_is_kept_it_counts_and_goes_before_unsent_evidence() {
    let (dir, outbox) = opened(SMALL);
    append(&outbox, 1..=50);
    drop(outbox);
    let damaged = || {
        let entries = fs::read_dir(dir.path()).unwrap().map(|entry| {
            let entry = entry.unwrap();
            (entry.file_name(), entry.metadata().unwrap().len())
        });
        let found = entries.filter(|(name, _)| name.to_string_lossy().contains("damaged-"));
        found.collect::<Vec<_>>()
    };
    for round in 0..3 {
        damage(dir.path());
        fs::write(dir.path().join("outbox.db.damaged-1-wal"), [round]).unwrap();
        let outbox = Outbox::open(dir.path(), DiskBudget::new(SMALL)).unwrap();
        let found = damaged();
        assert_eq!(found.len(), 1, "{found:?}");
        assert!(outbox.trouble().unwrap().en.contains("damaged"));
        let status = outbox.status();
        assert_eq!(status.used_bytes, status.database_bytes + found[0].1);
    }
    let outbox = Outbox::open(dir.path(), DiskBudget::new(SMALL)).unwrap();
    for number in 0.. {
        let stored = put(&outbox, number, "image/jpeg", 100_000);
        stored.unwrap();
        assert!(outbox.status().used_bytes <= SMALL);
        if damaged().is_empty() {
            break;
        }
    }
    assert_eq!(outbox.status().evidence_sacrificed, 0);
}

/// After a long outage the file is full of free pages: they are the disk's again
/// before evidence is given up for them.
#[test]
fn free_pages_are_given_back_before_evidence_is_given_up() {
    let (_dir, outbox) = opened(8 * MIB);
    append_large(&outbox, 1200);
    let large = outbox.status().database_bytes;
    outbox.mark_sent(1200);
    outbox.take_receipt(&receipt(&outbox, 1200)).unwrap();
    pass(&outbox, 0);
    pass(&outbox, 49);
    let status = outbox.status();
    assert_eq!(status.kept, 0);
    assert!(status.database_bytes >= large, "they are free, and there");
    for number in 0..30 {
        put(&outbox, number, "image/jpeg", 150_000).unwrap();
        assert!(outbox.status().used_bytes <= 8 * MIB);
    }
    assert_eq!(outbox.status().evidence_sacrificed, 0);
    assert!(outbox.status().database_bytes < large / 2);
}

#[derive(Clone, Debug)]
enum Step {
    Put(usize, usize),
    Event,
    Uploaded(usize),
    Lock(Vec<u64>),
    Receipt,
    Hours(u64),
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        6 => (0..4_usize, 10_usize..400_000).prop_map(|(class, length)| Step::Put(class, length)),
        2 => Just(Step::Event),
        2 => (0..32_usize).prop_map(Step::Uploaded),
        1 => proptest::collection::vec(1_u64..60, 0..20).prop_map(Step::Lock),
        1 => Just(Step::Receipt),
        1 => (0_u64..60).prop_map(Step::Hours),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 16, ..ProptestConfig::default() })]

    /// After whatever was stored the folder is within the budget, or nothing is left
    /// in it that may be given up; what it is said to hold is what is on the disk; and
    /// an event is stored every time.
    #[test]
    fn the_budget_holds_and_no_event_is_refused(
        steps in proptest::collection::vec(step(), 1..60),
        budget in 1_u64..4,
    ) {
        let (dir, outbox) = opened(budget * MIB);
        let media = ["video/mp4", "application/octet-stream", "image/jpeg", CASE_MEDIA_TYPE];
        let mut is_told = false;
        for (number, step) in (1_u64..).zip(&steps) {
            match step {
                Step::Put(class, length) => match put(&outbox, number, media[*class], *length) {
                    Ok(item) => announce(&outbox, number, item),
                    Err(error) => {
                        prop_assert!(error.is_want_of_room(), "{}", error);
                        is_told = true;
                    }
                },
                Step::Event => {
                    outbox.append_event(&event(number), at(number)).unwrap();
                }
                Step::Uploaded(place) => {
                    if let Some(upload) = outbox.uploads().get(*place) {
                        outbox.mark_uploaded(&upload.digest, false).unwrap();
                    }
                }
                Step::Lock(numbers) => lock(&outbox, number, numbers.iter().copied()),
                Step::Receipt => {
                    let last = outbox.status().last_sequence;
                    outbox.mark_sent(last);
                    outbox.take_receipt(&receipt(&outbox, last)).unwrap();
                }
                Step::Hours(hours) => drop(pass(&outbox, *hours)),
            }
            let status = outbox.status();
            prop_assert_eq!(status.in_memory, 0);
            prop_assert_eq!(status.events_lost, 0);
            let found = evidence::scan(dir.path()).unwrap();
            prop_assert_eq!(status.evidence_bytes, found.iter().map(|(_, length)| length).sum::<u64>());
            if matches!(step, Step::Put(..) | Step::Event | Step::Hours(_)) {
                let unlocked = room::may_go(&outbox.lock(), room::Class::Case);
                let used = status.used_bytes;
                prop_assert!(used <= budget * MIB || unlocked == 0, "{} used, {} unlocked", used, unlocked);
            }
        }
        prop_assert_eq!(is_told, !outbox.not_stored().is_empty());
    }
}
