//! The outbox by itself. What it does under `kill -9` and with a broker stands
//! in `tests/delivery/`.

use std::collections::BTreeSet;
use std::fs;

use protocol::envelope::MAX_ENVELOPE_BYTES;
use protocol::{Envelope, Receipt};

use super::*;

#[path = "../../tests/delivery/samples.rs"]
pub(crate) mod samples;
use samples::{at, box_id, camera, envelope_id, event, site};

pub(super) const BUDGET: DiskBudget = DiskBudget::new(1 << 30);

pub(super) fn receipt(outbox: &Outbox, through: u64) -> Receipt {
    Receipt {
        outbox: outbox.id(),
        through,
        at: at(0),
        refused_for: None,
        opening: None,
    }
}

/// What would be sent: sequence, floor and envelope id of each message.
pub(crate) fn held(outbox: &Outbox) -> Vec<(u64, u64, String)> {
    outbox
        .batch(1, 100_000)
        .unwrap()
        .into_messages()
        .map(|message| {
            let message = message.map_err(|(_, e)| e).unwrap();
            let envelope: Envelope<serde_json::Value> =
                serde_json::from_slice(&message.payload).unwrap();
            let delivery = envelope.delivery.unwrap();
            assert_eq!(delivery.sequence, message.sequence);
            assert_eq!(delivery.outbox, outbox.id());
            (message.sequence, delivery.sequencefloor, envelope.id)
        })
        .collect()
}

pub(crate) fn append(outbox: &Outbox, numbers: std::ops::RangeInclusive<u64>) {
    for number in numbers {
        outbox.append_event(&event(number), at(number)).unwrap();
    }
}

#[test]
fn sequences_start_at_one_have_no_gaps_and_survive_reopening() {
    let dir = tempfile::tempdir().unwrap();
    let outbox = Outbox::open(dir.path(), BUDGET).unwrap();
    let id = outbox.id();
    for number in 1..=3 {
        assert_eq!(
            outbox.append_event(&event(number), at(number)).unwrap(),
            number
        );
    }
    drop(outbox);
    let outbox = Outbox::open(dir.path(), BUDGET).unwrap();
    assert_eq!(outbox.id(), id);
    assert_eq!(outbox.append_event(&event(4), at(4)).unwrap(), 4);
    let expected: Vec<_> = (1..=4).map(|n| (n, 1, envelope_id(n))).collect();
    assert_eq!(held(&outbox), expected);
}

#[test]
fn only_a_receipt_for_this_outbox_and_for_what_was_sent_counts() {
    let dir = tempfile::tempdir().unwrap();
    let outbox = Outbox::open(dir.path(), BUDGET).unwrap();
    append(&outbox, 1..=10);
    outbox.mark_sent(6);

    let stranger = Receipt {
        outbox: Uuid::nil(),
        ..receipt(&outbox, 5)
    };
    assert_eq!(
        outbox.take_receipt(&stranger).unwrap(),
        ReceiptOutcome::Stranger
    );
    assert_eq!(
        outbox.take_receipt(&receipt(&outbox, 7)).unwrap(),
        ReceiptOutcome::NotSent
    );
    assert_eq!(outbox.waiting(), 10);

    let taken = |receipted| ReceiptOutcome::Taken {
        through: 5,
        receipted,
    };
    assert_eq!(outbox.take_receipt(&receipt(&outbox, 5)).unwrap(), taken(5));
    assert_eq!(
        outbox.take_receipt(&receipt(&outbox, 5)).unwrap(),
        taken(0),
        "a duplicate"
    );
    // What was receipted is held for a while, and is not sent.
    assert_eq!(held(&outbox).first().unwrap(), &(6, 1, envelope_id(6)));

    let status = outbox.status();
    assert_eq!(
        (status.waiting, status.receipted, status.receipts_refused),
        (5, 5, 1)
    );
}

#[test]
fn a_sequence_is_never_given_twice_even_when_everything_was_receipted() {
    let dir = tempfile::tempdir().unwrap();
    let outbox = Outbox::open(dir.path(), BUDGET).unwrap();
    append(&outbox, 1..=3);
    outbox.mark_sent(3);
    outbox.take_receipt(&receipt(&outbox, 3)).unwrap();
    drop(outbox);
    let outbox = Outbox::open(dir.path(), BUDGET).unwrap();
    assert_eq!(outbox.waiting(), 0);
    assert_eq!(outbox.append_event(&event(4), at(4)).unwrap(), 4);
    assert_eq!(held(&outbox), [(4, 1, envelope_id(4))]);
}

/// A technician copies an old card back: the box would give sequences that the
/// centre has already, for other events.
#[test]
fn an_outbox_restored_from_an_old_copy_becomes_a_new_one() {
    let dir = tempfile::tempdir().unwrap();
    let outbox = Outbox::open(dir.path(), BUDGET).unwrap();
    let old = outbox.id();
    append(&outbox, 1..=6);
    outbox.mark_sent(6);
    outbox.take_receipt(&receipt(&outbox, 2)).unwrap();

    assert_eq!(
        outbox.take_receipt(&receipt(&outbox, 90)).unwrap(),
        ReceiptOutcome::Renumbered
    );
    assert_ne!(outbox.id(), old);
    let expected: Vec<_> = (3..=6).map(|n| (n - 2, 1, envelope_id(n))).collect();
    assert_eq!(held(&outbox), expected);
    assert_eq!(outbox.append_event(&event(7), at(7)).unwrap(), 5);
    // A centre that is simply wrong cannot make it start over for ever.
    assert_eq!(
        outbox.take_receipt(&receipt(&outbox, 90)).unwrap(),
        ReceiptOutcome::NotSent
    );
    assert_eq!(outbox.waiting(), 5);
}

#[test]
fn a_second_agent_on_the_same_outbox_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    assert!(!Outbox::is_in(dir.path()));
    let _first = Outbox::open(dir.path(), BUDGET).unwrap();
    assert!(Outbox::is_in(dir.path()));
    let error = Outbox::open(dir.path(), BUDGET).err().unwrap();
    assert!(matches!(error, OutboxError::InUse { .. }), "{error}");
}

#[test]
fn a_file_of_a_newer_version_is_left_alone() {
    let dir = tempfile::tempdir().unwrap();
    drop(Outbox::open(dir.path(), BUDGET).unwrap());
    let file = dir.path().join("outbox.db");
    let connection = rusqlite::Connection::open(&file).unwrap();
    connection.pragma_update(None, "user_version", 99).unwrap();
    drop(connection);
    let error = Outbox::open(dir.path(), BUDGET).err().unwrap();
    assert!(matches!(error, OutboxError::Newer { .. }), "{error}");
    assert!(file.exists());
}

#[test]
fn what_the_centre_could_not_take_is_refused_at_once() {
    let dir = tempfile::tempdir().unwrap();
    let outbox = Outbox::open(dir.path(), BUDGET).unwrap();
    let mut huge = event(1);
    huge.title.en = "x".repeat(MAX_ENVELOPE_BYTES);
    let error = outbox.append_event(&huge, at(1)).unwrap_err();
    assert!(matches!(error, OutboxError::TooLarge { .. }), "{error}");

    let mut broken = event(1);
    broken.actors[0].score = f64::NAN;
    let error = outbox.append_event(&broken, at(1)).unwrap_err();
    assert!(matches!(error, OutboxError::Unreadable { .. }), "{error}");
    assert_eq!(outbox.append_event(&event(1), at(1)).unwrap(), 1);
    let status = outbox.status();
    assert_eq!(status.messages_refused, 2);
    assert_eq!((status.open_events, status.evidence_due), (1, 1));
}

#[test]
fn many_threads_append_without_gaps() {
    let dir = tempfile::tempdir().unwrap();
    let outbox = Outbox::open(dir.path(), BUDGET).unwrap();
    let given: BTreeSet<u64> = std::thread::scope(|scope| {
        let threads: Vec<_> = (0..4)
            .map(|thread| {
                let outbox = outbox.clone();
                scope.spawn(move || {
                    (0..25)
                        .map(|n| {
                            outbox
                                .append_event(&event(thread * 100 + n), at(n))
                                .unwrap()
                        })
                        .collect::<Vec<_>>()
                })
            })
            .collect();
        threads
            .into_iter()
            .flat_map(|t| t.join().unwrap())
            .collect()
    });
    assert_eq!(given, (1..=100).collect());
}

#[test]
fn a_manifest_gets_an_id_that_only_its_files_decide() {
    let dir = tempfile::tempdir().unwrap();
    let outbox = Outbox::open(dir.path(), BUDGET).unwrap();
    let still = |bytes: &[u8]| {
        outbox
            .put_evidence(bytes, EvidenceRole::StillClean, "image/jpeg", at(1))
            .unwrap()
    };
    let manifest = |items| EvidenceManifest {
        event: event(1).id,
        items,
        missing: Vec::new(),
    };
    let (site, box_id, camera) = (site(), box_id(), camera());
    for items in [
        vec![still(b"a")],
        vec![still(b"a")],
        vec![still(b"a"), still(b"b")],
    ] {
        outbox
            .append_evidence((&site, &box_id, &camera), &manifest(items), at(2))
            .unwrap();
    }
    let ids: Vec<String> = held(&outbox).into_iter().map(|(_, _, id)| id).collect();
    assert_eq!(ids[0], ids[1]);
    assert_ne!(ids[0], ids[2]);
    assert!(
        ids[0].starts_with(&format!("{}.evidence.", event(1).id)),
        "{}",
        ids[0]
    );
    assert_eq!(
        outbox.status().evidence_waiting,
        2,
        "the same content is queued once"
    );
}

#[test]
fn garbage_in_the_file_costs_only_what_it_hit() {
    let dir = tempfile::tempdir().unwrap();
    let outbox = Outbox::open(dir.path(), BUDGET).unwrap();
    let old = outbox.id();
    outbox
        .put_evidence(
            b"\xff\xd8\xff still of event 1",
            EvidenceRole::StillClean,
            "image/jpeg",
            at(1),
        )
        .unwrap();
    append(&outbox, 1..=200);
    drop(outbox);
    let file = dir.path().join("outbox.db");
    let mut bytes = fs::read(&file).unwrap();
    let middle = bytes.len() / 2 / 4096 * 4096;
    bytes[middle..middle + 4096].fill(0xa5);
    fs::write(&file, bytes).unwrap();

    let outbox = Outbox::open(dir.path(), BUDGET).unwrap();
    assert_ne!(
        outbox.id(),
        old,
        "sequences start again, so it is another outbox"
    );
    let ids: Vec<String> = held(&outbox).into_iter().map(|(_, _, id)| id).collect();
    let all: Vec<String> = (1..=200).map(envelope_id).collect();
    assert!(ids.len() >= 190, "only {} of 200 saved", ids.len());
    let mut rest = all.iter();
    assert!(
        ids.iter().all(|id| rest.any(|one| one == id)),
        "in their old order"
    );
    assert_eq!(
        outbox.status().evidence_waiting,
        1,
        "evidence is found by its file"
    );
    let trouble = outbox.trouble().unwrap();
    assert!(trouble.en.contains("damaged"), "{}", trouble.en);
    let aside = fs::read_dir(dir.path())
        .unwrap()
        .any(|e| e.unwrap().file_name().to_string_lossy().contains("damaged"));
    assert!(aside, "the damaged file is kept");
    assert_eq!(
        outbox.append_event(&event(900), at(1)).unwrap(),
        ids.len() as u64 + 1
    );
}

#[test]
fn a_file_that_is_no_database_is_set_aside() {
    let dir = tempfile::tempdir().unwrap();
    fs::write(
        dir.path().join("outbox.db"),
        b"this is not a database, it is a note".repeat(100),
    )
    .unwrap();
    let outbox = Outbox::open(dir.path(), BUDGET).unwrap();
    assert_eq!(outbox.append_event(&event(1), at(1)).unwrap(), 1);
    assert!(outbox.trouble().is_some());
}

#[test]
fn a_crash_between_rebuilding_and_using_the_new_file_is_finished() {
    let dir = tempfile::tempdir().unwrap();
    let outbox = Outbox::open(dir.path(), BUDGET).unwrap();
    append(&outbox, 1..=5);
    let id = outbox.id();
    drop(outbox);
    fs::rename(
        dir.path().join("outbox.db"),
        dir.path().join("outbox.db.rebuilt"),
    )
    .unwrap();
    fs::write(dir.path().join("outbox.db"), b"the damaged one").unwrap();
    let outbox = Outbox::open(dir.path(), BUDGET).unwrap();
    assert_eq!(outbox.id(), id);
    assert_eq!(outbox.waiting(), 5);
}

#[test]
fn a_row_that_cannot_be_read_goes_aside_when_it_is_the_lowest() {
    let dir = tempfile::tempdir().unwrap();
    let outbox = Outbox::open(dir.path(), BUDGET).unwrap();
    append(&outbox, 1..=3);
    outbox
        .lock()
        .database
        .connection
        .execute(
            "UPDATE outbox SET envelope = '{\"half' WHERE sequence = 2",
            [],
        )
        .unwrap();
    assert!(!outbox.set_aside(2).unwrap(), "1 is still there");
    outbox.mark_sent(3);
    outbox.take_receipt(&receipt(&outbox, 1)).unwrap();
    assert!(outbox.set_aside(2).unwrap());
    assert_eq!(held(&outbox), [(3, 3, envelope_id(3))]);
    let kept = dir
        .path()
        .join("unsendable")
        .join(format!("{}-2", outbox.id()));
    assert_eq!(fs::read_to_string(kept).unwrap(), "{\"half");
}

pub(super) fn limit_pages(outbox: &Outbox, pages: i64) {
    outbox
        .lock()
        .database
        .connection
        .pragma_update(None, "max_page_count", pages)
        .unwrap();
}

#[test]
fn on_a_full_disk_events_wait_in_memory_and_are_written_in_order_when_there_is_room() {
    let dir = tempfile::tempdir().unwrap();
    let outbox = Outbox::open(dir.path(), BUDGET).unwrap();
    append(&outbox, 1..=20);
    limit_pages(&outbox, 1);
    // SQLite never limits below what there is, so what fits in its last pages still goes in.
    let mut number = 20;
    let error = loop {
        number += 1;
        if let Err(error) = outbox.append_event(&event(number), at(number)) {
            break error;
        }
    };
    assert!(
        matches!(error, OutboxError::DiskFull { kept: true, .. }),
        "{error}"
    );
    for more in number + 1..=number + 5 {
        outbox.append_event(&event(more), at(more)).unwrap_err();
    }
    let last = number + 5;
    assert_eq!(outbox.status().in_memory, 6);
    assert_eq!(outbox.waiting(), last);
    assert!(
        outbox
            .trouble()
            .unwrap()
            .en
            .contains("6 events are only in memory")
    );
    assert!(!outbox.retry_in_memory());

    // A receipt frees pages, and what waits is written without being asked.
    outbox.mark_sent(20);
    outbox.take_receipt(&receipt(&outbox, 20)).unwrap();
    assert_eq!(outbox.status().in_memory, 0);
    assert_eq!(outbox.trouble(), None);
    let expected: Vec<_> = (21..=last).map(|n| (n, 21, envelope_id(n))).collect();
    assert_eq!(held(&outbox), expected);
}

#[test]
fn when_memory_is_full_too_the_loss_is_told_and_counted() {
    let dir = tempfile::tempdir().unwrap();
    let budget = DiskBudget {
        max_in_memory: 3,
        ..BUDGET
    };
    let outbox = Outbox::open(dir.path(), budget).unwrap();
    append(&outbox, 1..=20);
    limit_pages(&outbox, 1);
    let errors: Vec<_> = (21..=60)
        .filter_map(|n| outbox.append_event(&event(n), at(n)).err())
        .collect();
    assert!(
        matches!(errors.last(), Some(OutboxError::Lost { held: 3, .. })),
        "{errors:?}"
    );
    let status = outbox.status();
    assert_eq!(status.in_memory, 3);
    assert_eq!(status.events_lost, errors.len() as u64 - 3);
    assert!(outbox.trouble().unwrap().en.contains("lost"));

    // With room again the loss is history: a counter, and no more a trouble.
    limit_pages(&outbox, 1_000_000);
    assert!(outbox.retry_in_memory());
    assert_eq!(outbox.trouble(), None);
    assert_eq!(outbox.status().events_lost, errors.len() as u64 - 3);
}

#[test]
fn evidence_given_up_is_a_trouble_until_there_is_room_or_nothing_left_to_lose() {
    // `count` more stills of 200 kB, each with content of its own.
    let store = |outbox: &Outbox, from: u8, count: u8| -> Vec<Digest> {
        (from..from + count)
            .map(|n| {
                outbox
                    .put_evidence(
                        &vec![n; 200_000],
                        EvidenceRole::StillClean,
                        "image/jpeg",
                        at(1),
                    )
                    .unwrap()
                    .sha256
            })
            .collect()
    };
    let is_short = |outbox: &Outbox| {
        let trouble = outbox.trouble();
        trouble.is_some_and(|trouble| trouble.en.contains("given up"))
    };

    let dir = tempfile::tempdir().unwrap();
    let outbox = Outbox::open(dir.path(), DiskBudget::new(1 << 20)).unwrap();
    let stored = store(&outbox, 0, 8);
    assert!(is_short(&outbox));
    let (last, rest) = stored.split_last().unwrap();
    for digest in rest {
        outbox.mark_uploaded(digest, false).unwrap();
    }
    assert!(is_short(&outbox), "one could still be lost");
    outbox.mark_uploaded(last, false).unwrap();
    assert!(!is_short(&outbox), "the centre has all that is left");
    assert!(outbox.status().evidence_sacrificed > 0);

    // At the limit without a network it is a trouble for as long as that lasts.
    for n in 0..40 {
        store(&outbox, 10 + n, 1);
        assert!(n < 6 || is_short(&outbox), "still {n}");
    }
    drop(outbox);

    // Short for a moment only: somebody else freed the disk.
    let dir = tempfile::tempdir().unwrap();
    let outbox = Outbox::open(dir.path(), BUDGET).unwrap();
    store(&outbox, 0, 2);
    assert!(outbox.sacrifice(&mut outbox.lock(), 1, room::Class::Case) > 0);
    assert!(is_short(&outbox));
    store(&outbox, 2, 20);
    assert!(is_short(&outbox), "4 MB are not yet room");
    store(&outbox, 22, 1);
    assert!(!is_short(&outbox));
}

#[test]
fn over_budget_the_oldest_evidence_goes_first_and_copies_before_the_rest() {
    let dir = tempfile::tempdir().unwrap();
    // Five of the files and the database with its log, and not six.
    let outbox = Outbox::open(dir.path(), DiskBudget::new(1_330_000)).unwrap();
    let still = |n: u8| {
        outbox
            .put_evidence(
                &vec![n; 200_000],
                EvidenceRole::StillClean,
                "image/jpeg",
                at(u64::from(n)),
            )
            .unwrap()
            .sha256
    };
    let first: Vec<Digest> = (0..4).map(still).collect();
    outbox.mark_uploaded(&first[2], false).unwrap();
    let is_there = |digest: &Digest| outbox.file_path(digest).exists();

    still(4);
    assert_eq!(
        [0, 1, 2, 3].map(|i| is_there(&first[i])),
        [true, true, true, true]
    );
    still(5);
    assert_eq!(
        [0, 1, 2, 3].map(|i| is_there(&first[i])),
        [true, true, false, true]
    );
    assert_eq!(
        outbox.status().evidence_sacrificed,
        0,
        "the centre has that one"
    );
    still(6);
    assert_eq!([0, 1, 3].map(|i| is_there(&first[i])), [false, true, true]);
    assert_eq!(outbox.status().evidence_sacrificed, 1);
    assert!(
        outbox
            .trouble()
            .unwrap()
            .en
            .contains("1 files of evidence were given up")
    );
    assert!(outbox.status().used_bytes <= 1_330_000);

    let error = outbox
        .put_evidence(&vec![0; 2 << 20], EvidenceRole::Clip, "video/mp4", at(1))
        .unwrap_err();
    assert!(matches!(error, OutboxError::OverBudget { .. }), "{error}");
}

#[test]
fn a_crash_beside_the_upload_queue_is_mended_at_the_next_start() {
    let dir = tempfile::tempdir().unwrap();
    let outbox = Outbox::open(dir.path(), BUDGET).unwrap();
    let put = |bytes: &[u8]| {
        outbox
            .put_evidence(bytes, EvidenceRole::StillClean, "image/jpeg", at(1))
            .unwrap()
            .sha256
    };
    let (gone, kept) = (put(b"gone"), put(b"kept"));
    fs::remove_file(outbox.file_path(&gone)).unwrap();
    let orphan = evidence::digest_of(b"\0\0\0\x20ftypisom a clip");
    evidence::write(dir.path(), &orphan, b"\0\0\0\x20ftypisom a clip").unwrap();
    drop(outbox);

    let outbox = Outbox::open(dir.path(), BUDGET).unwrap();
    let queue: Vec<_> = outbox
        .uploads()
        .into_iter()
        .map(|u| (u.digest, u.media_type))
        .collect();
    assert_eq!(
        queue,
        [
            (kept, "image/jpeg".to_owned()),
            (orphan, "video/mp4".to_owned())
        ]
    );
    assert_eq!(outbox.status().evidence_bytes, 4 + 19);
}

#[test]
fn copies_at_the_centre_are_kept_for_a_while_and_then_deleted() {
    let dir = tempfile::tempdir().unwrap();
    let outbox = Outbox::open(dir.path(), BUDGET).unwrap();
    let digest = outbox
        .put_evidence(b"still", EvidenceRole::StillClean, "image/jpeg", at(1))
        .unwrap()
        .sha256;
    assert_eq!(pass(&outbox, 48), 0, "not uploaded yet");
    outbox.mark_uploaded(&digest, false).unwrap();
    assert_eq!(pass(&outbox, 0), 0, "its time begins");
    assert_eq!(pass(&outbox, 47), 0);
    assert!(outbox.file_path(&digest).exists());
    assert_eq!(pass(&outbox, 2), 1);
    assert!(!outbox.file_path(&digest).exists());
    assert_eq!(outbox.status().evidence_bytes, 0);
}

/// So many hours pass, whatever the clock says; files that expired.
pub(super) fn pass(outbox: &Outbox, hours: u64) -> u64 {
    let elapsed = Duration::from_hours(hours);
    outbox.expire(at(1), Some(elapsed)).unwrap()
}

#[test]
fn a_message_that_is_set_aside_is_whole_even_where_a_power_cut_left_half_of_it() {
    let dir = tempfile::tempdir().unwrap();
    let outbox = Outbox::open(dir.path(), BUDGET).unwrap();
    append(&outbox, 1..=1);
    let whole = outbox.batch(1, 1).unwrap().into_messages().count();
    assert_eq!(whole, 1);
    let file = dir
        .path()
        .join("unsendable")
        .join(format!("{}-1", outbox.id()));
    fs::create_dir(file.parent().unwrap()).unwrap();
    fs::write(&file, b"{\"ha").unwrap();
    assert!(outbox.set_aside(1).unwrap());
    let envelope: serde_json::Value = serde_json::from_slice(&fs::read(&file).unwrap()).unwrap();
    assert_eq!(envelope["id"], envelope_id(1));
    assert_eq!(fs::read_dir(file.parent().unwrap()).unwrap().count(), 1);
}
