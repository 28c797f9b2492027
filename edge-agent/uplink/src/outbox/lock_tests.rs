//! A lock that the centre has told of beats the age of copies and the want of
//! room; and no clock makes anything old.

use protocol::LockPart;
use protocol::units::Seconds;

use super::disk_tests::SmallDisk;
use super::samples::{at, box_id, camera, event, site};
use super::tests::{BUDGET, pass};
use super::*;

pub(super) fn locked(second: u64, events: &[&Event]) -> EvidenceLocks {
    EvidenceLocks {
        at: at(second),
        locked: events.iter().map(|event| event.id).collect(),
        part: LockPart::WHOLE,
    }
}

/// Stores a clip of an event, so that the outbox knows whose it is.
pub(super) fn clip(outbox: &Outbox, event: &Event, bytes: &[u8]) -> Digest {
    let item = outbox
        .put_evidence(bytes, EvidenceRole::Clip, "video/mp4", at(1))
        .unwrap();
    let manifest = EvidenceManifest {
        event: event.id,
        items: vec![item.clone()],
        missing: Vec::new(),
    };
    outbox
        .announce_evidence((&site(), &box_id(), &camera()), &manifest, at(1))
        .unwrap();
    item.sha256
}

#[test]
fn locked_files_are_not_given_up_however_full_the_disk_is() {
    let dir = tempfile::tempdir().unwrap();
    let outbox = Outbox::open(dir.path(), BUDGET).unwrap();
    let events = [1, 2, 3].map(event);
    let files: Vec<Digest> = (1..)
        .zip(&events)
        .map(|(n, event)| clip(&outbox, event, &[n; 1000]))
        .collect();
    // The centre has the third one, and its copy is still locked.
    outbox.mark_uploaded(&files[2], false).unwrap();
    assert!(
        outbox
            .take_locks(&locked(10, &[&events[0], &events[2]]))
            .unwrap()
    );
    let status = outbox.status();
    assert_eq!((status.locked_events, status.locked_files), (2, 2));
    outbox.sacrifice(&mut outbox.lock(), 1_000_000, room::Class::Case);
    let here = |outbox: &Outbox| {
        files
            .iter()
            .map(|file| outbox.file_path(file).exists())
            .collect::<Vec<_>>()
    };
    assert_eq!(here(&outbox), [true, false, true]);

    // Also after a restart, and a late word of earlier locks changes nothing.
    drop(outbox);
    let outbox = Outbox::open(dir.path(), BUDGET).unwrap();
    assert!(!outbox.take_locks(&locked(9, &[])).unwrap());
    outbox.sacrifice(&mut outbox.lock(), 1_000_000, room::Class::Case);
    assert_eq!(here(&outbox), [true, false, true]);

    assert!(outbox.take_locks(&locked(11, &[])).unwrap());
    outbox.sacrifice(&mut outbox.lock(), 1_000_000, room::Class::Case);
    assert_eq!(here(&outbox), [false, false, false]);
}

/// Evidence is given up when the disk is full, and that is when it took no word of
/// locks: what a person had just locked went. The word came again at the next
/// connection, weeks later.
#[test]
fn a_word_of_locks_counts_at_once_on_a_full_disk_and_is_written_when_there_is_room() {
    let Some(disk) = SmallDisk::mount("8m") else {
        eprintln!("not run: this user may not mount a tmpfs");
        return;
    };
    let outbox = Outbox::open(disk.0.path(), BUDGET).unwrap();
    let events = [1, 2].map(event);
    let [locked_one, other] = [0, 1].map(|n: u8| {
        let clip = clip(&outbox, &events[usize::from(n)], &vec![n; 300_000]);
        outbox.file_path(&clip)
    });
    let core = disk.0.path().join("core");
    std::fs::write(&core, vec![0; 16 << 20]).unwrap_err();
    // More than the room of the other clip, and than the log has from before.
    let many = (0..30_000).map(|n| protocol::EventId(Uuid::from_u128(n)));
    let mut word = locked(10, &[&events[0]]);
    word.locked.extend(many);

    outbox.take_locks(&word).unwrap_err();
    assert!(!other.exists(), "given up for it");
    outbox.sacrifice(&mut outbox.lock(), 10_000_000, room::Class::Case);
    assert!(locked_one.exists());
    assert!(!outbox.take_locks(&locked(9, &[])).unwrap(), "late");
    assert!(!outbox.retry_in_memory());
    std::fs::remove_file(core).unwrap();
    assert!(outbox.retry_in_memory());
    drop(outbox);
    let outbox = Outbox::open(disk.0.path(), BUDGET).unwrap();
    let status = outbox.status();
    assert_eq!((status.locked_events, status.locked_files), (30_001, 1));
    outbox.sacrifice(&mut outbox.lock(), 10_000_000, room::Class::Case);
    assert!(locked_one.exists());
}

#[test]
fn a_locked_copy_stays_and_its_time_begins_when_the_lock_is_released() {
    let dir = tempfile::tempdir().unwrap();
    let outbox = Outbox::open(dir.path(), BUDGET).unwrap();
    let event = event(1);
    let file = clip(&outbox, &event, b"clip");
    outbox.mark_uploaded(&file, false).unwrap();
    pass(&outbox, 40);
    outbox.take_locks(&locked(10, &[&event])).unwrap();
    assert_eq!(pass(&outbox, 1000), 0);
    outbox.take_locks(&locked(11, &[])).unwrap();
    assert_eq!(pass(&outbox, 0), 0, "it begins");
    assert_eq!(pass(&outbox, 47), 0);
    assert_eq!(pass(&outbox, 2), 1);
    assert!(!outbox.file_path(&file).exists());
}

/// The still of a frame in which two events were decided is one file.
#[test]
fn a_file_of_two_events_is_held_by_a_lock_on_either() {
    let events = [1, 2].map(event);
    for locked_one in 0..2 {
        let dir = tempfile::tempdir().unwrap();
        let outbox = Outbox::open(dir.path(), BUDGET).unwrap();
        let files = events
            .each_ref()
            .map(|event| clip(&outbox, event, b"the same"));
        assert_eq!(files[0], files[1]);
        let said = locked(10, &[&events[locked_one]]);
        outbox.take_locks(&said).unwrap();
        assert_eq!(outbox.status().locked_files, 1);
        outbox.sacrifice(&mut outbox.lock(), 1_000_000, room::Class::Case);
        outbox.mark_uploaded(&files[0], false).unwrap();
        assert_eq!(pass(&outbox, 1000), 0);
        assert!(outbox.file_path(&files[0]).exists());
        outbox.take_locks(&locked(11, &[])).unwrap();
        outbox.sacrifice(&mut outbox.lock(), 1_000_000, room::Class::Case);
        assert!(!outbox.file_path(&files[0]).exists());
        let rows: i64 = outbox
            .lock()
            .database
            .connection
            .query_row("SELECT count(*) FROM evidence_of", [], |row| row.get(0))
            .unwrap();
        assert_eq!(rows, 0, "nothing is left of it");
    }
}

/// As an agent of before wrote it: one event by file.
#[test]
fn whose_a_file_is_outlives_the_change_of_the_outbox_file() {
    let dir = tempfile::tempdir().unwrap();
    let outbox = Outbox::open(dir.path(), BUDGET).unwrap();
    let event = event(1);
    clip(&outbox, &event, b"clip");
    drop(outbox);
    let file = rusqlite::Connection::open(dir.path().join("outbox.db")).unwrap();
    file.execute_batch(
        "DROP TABLE evidence_of; DROP TABLE centre; DROP TABLE evidence_gone; DROP INDEX evidence_to_ask;
         ALTER TABLE evidence DROP COLUMN ask_us;
         ALTER TABLE evidence ADD COLUMN event TEXT; ALTER TABLE evidence ADD COLUMN camera TEXT",
    )
    .unwrap();
    file.execute("UPDATE evidence SET event = ?1", [event.id.to_string()])
        .unwrap();
    file.pragma_update(None, "user_version", 5).unwrap();
    drop(file);
    let outbox = Outbox::open(dir.path(), BUDGET).unwrap();
    outbox.take_locks(&locked(10, &[&event])).unwrap();
    assert_eq!(outbox.status().locked_files, 1);
}

/// A centre that once spoke from 2036 is heard again; one that is minutes ahead
/// keeps its order.
#[test]
fn a_word_from_far_ahead_does_not_silence_later_ones() {
    let dir = tempfile::tempdir().unwrap();
    let outbox = Outbox::open(dir.path(), BUDGET).unwrap();
    let event = event(1);
    let take = |said: EvidenceLocks, now| outbox.take_locks_at(&said, at(now)).unwrap();
    assert!(take(locked(10_000, &[]), 100));
    assert!(take(locked(110, &[&event]), 110), "it was hours ahead");
    assert_eq!(outbox.status().locked_events, 1);
    assert!(!take(locked(109, &[]), 111), "late");
    assert!(!take(locked(110, &[]), 111), "the same again");
    assert!(take(locked(3_000, &[]), 120));
    assert!(
        !take(locked(200, &[&event]), 200),
        "less than an hour ahead"
    );
}

#[test]
fn no_clock_makes_a_copy_old() {
    let year = Seconds(365.0 * 86_400.0);
    let dir = tempfile::tempdir().unwrap();
    let outbox = Outbox::open(dir.path(), BUDGET).unwrap();
    let file = clip(&outbox, &event(1), b"clip");
    outbox.mark_uploaded(&file, false).unwrap();
    let minute = Some(Duration::from_mins(1));
    // A year ahead and back while it runs, then a year ahead at a restart.
    for (now, elapsed) in [
        (at(1), None),
        (at(2) + year, minute),
        (at(3), minute),
        (at(4) + year, None),
        (at(5) + year, minute),
    ] {
        assert_eq!(outbox.expire(now, elapsed).unwrap(), 0, "{now}");
    }
    assert!(outbox.file_path(&file).exists());
    assert_eq!(pass(&outbox, 48), 1, "time that passes does");
}
