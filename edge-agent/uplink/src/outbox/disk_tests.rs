//! The outbox on disks that are full, small, or fail: events first, and a box that starts.

use std::process::Command;
use std::{fs, io};

use super::lock_tests::{clip, locked};
use super::tests::samples::{at, envelope_id, event};
use super::tests::{BUDGET, append, held};
use super::*;

/// A file system of its own, so that "full" is real.
pub(super) struct SmallDisk(pub(super) tempfile::TempDir);

impl SmallDisk {
    /// `None` without the right to mount one.
    pub(super) fn mount(size: &str) -> Option<Self> {
        let dir = tempfile::tempdir().unwrap();
        let mounted = Command::new("mount")
            .args(["-t", "tmpfs", "-o", &format!("size={size}"), "ngatu-test"])
            .arg(dir.path())
            .status()
            .is_ok_and(|status| status.success());
        mounted.then_some(Self(dir))
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        let status = Command::new("umount").arg("-l").arg(self.0.path()).status();
        assert!(status.is_ok_and(|s| s.success()) || std::thread::panicking());
    }
}

/// Spoils the last page of an outbox's file.
pub(super) fn damage(dir: &Path) {
    let file = dir.join("outbox.db");
    let mut bytes = fs::read(&file).unwrap();
    let last = bytes.len() - 4096;
    bytes[last..].fill(0xa5);
    fs::write(&file, bytes).unwrap();
}

#[test]
fn on_a_disk_that_is_really_full_evidence_makes_room_for_events() {
    let Some(disk) = SmallDisk::mount("4m") else {
        eprintln!("not run: this user may not mount a tmpfs");
        return;
    };
    // The budget is far above the disk: only the disk itself says no.
    let outbox = Outbox::open(disk.0.path(), BUDGET).unwrap();
    for n in 0..40_u8 {
        outbox
            .put_evidence(
                &vec![n; 100_000],
                EvidenceRole::StillClean,
                "image/jpeg",
                at(1),
            )
            .unwrap();
    }
    assert!(
        outbox.status().evidence_sacrificed > 0,
        "40 stills do not fit"
    );
    // Somebody else fills the rest.
    fs::write(disk.0.path().join("core"), vec![0; 4 << 20]).unwrap_err();

    // Without a receipt: 300 events of some 3 KB are a quarter of the disk.
    append(&outbox, 1..=300);
    assert_eq!(outbox.waiting(), 300);
    assert_eq!(outbox.status().in_memory, 0);
    assert!(outbox.trouble().unwrap().en.contains("given up"));

    // Until not even that helps; then they wait, and nothing is lost.
    let mut number = 300;
    while outbox.append_event(&event(number + 1), at(number)).is_ok() {
        number += 1;
        assert!(number < 10_000, "a 4 MB disk cannot hold that");
    }
    outbox
        .append_event(&event(number + 2), at(number))
        .unwrap_err();
    assert_eq!(outbox.status().in_memory, 2);
    assert_eq!(
        outbox.status().evidence_bytes,
        0,
        "all evidence is given up"
    );
    fs::remove_file(disk.0.path().join("core")).unwrap();
    assert!(outbox.retry_in_memory());
    let ids: Vec<_> = held(&outbox).into_iter().map(|(_, _, id)| id).collect();
    assert_eq!(ids, (1..=number + 2).map(envelope_id).collect::<Vec<_>>());
}

/// Found by the fault bench: the new file had no room, and the box did not start.
#[test]
fn a_damaged_file_is_replaced_on_a_full_disk_too() {
    let Some(disk) = SmallDisk::mount("4m") else {
        eprintln!("not run: this user may not mount a tmpfs");
        return;
    };
    let dir = disk.0.path();
    let outbox = Outbox::open(dir, BUDGET).unwrap();
    append(&outbox, 1..=100);
    for n in 0..20_u8 {
        let still = vec![n; 100_000];
        let put = outbox.put_evidence(&still, EvidenceRole::StillClean, "image/jpeg", at(1));
        outbox.mark_uploaded(&put.unwrap().sha256, false).unwrap();
    }
    drop(outbox);
    damage(dir);
    fs::write(dir.join("outbox.db.damaged-1"), vec![0; 4 << 20]).unwrap_err();
    fs::write(dir.join("core"), vec![0; 4 << 20]).unwrap_err();

    let outbox = Outbox::open(dir, BUDGET).unwrap();
    assert!(outbox.trouble().unwrap().en.contains("damaged"));
    assert!(outbox.waiting() > 90, "{} saved", outbox.waiting());
    assert!(!dir.join("outbox.db.damaged-1").exists());
}

/// Neither the damage nor the want of room for another file costs what a person locked.
#[test]
fn a_damaged_file_does_not_forget_what_is_locked() {
    let Some(disk) = SmallDisk::mount("8m") else {
        eprintln!("not run: this user may not mount a tmpfs");
        return;
    };
    let dir = disk.0.path();
    let outbox = Outbox::open(dir, BUDGET).unwrap();
    append(&outbox, 1..=100);
    // Room enough for a new file, of the one that is not locked.
    let files = [(1, 500_000), (2, 2_000_000)]
        .map(|(number, length)| clip(&outbox, &event(number), &vec![1; length]));
    outbox.take_locks(&locked(10, &[&event(1)])).unwrap();
    drop(outbox);
    damage(dir);
    fs::write(dir.join("core"), vec![0; 8 << 20]).unwrap_err();

    let outbox = Outbox::open(dir, BUDGET).unwrap();
    assert!(outbox.trouble().unwrap().en.contains("damaged"));
    outbox.sacrifice(&mut outbox.lock(), 10_000_000, room::Class::Case);
    let here = files.map(|file| outbox.file_path(&file).exists());
    assert_eq!(here, [true, false]);
    let status = outbox.status();
    assert_eq!((status.locked_events, status.locked_files), (1, 1));
    assert!(!outbox.take_locks(&locked(9, &[])).unwrap(), "a late word");
}

/// Found by the fault bench: rows that could not be read kept all others from being
/// sent, while new ones were still written.
#[test]
fn a_damage_that_only_reading_finds_does_not_stop_the_delivery() {
    let dir = tempfile::tempdir().unwrap();
    let outbox = Outbox::open(dir.path(), BUDGET).unwrap();
    // More than SQLite remembers.
    append(&outbox, 1..=2500);
    let before = outbox.id();
    let mut options = fs::OpenOptions::new();
    let file = options
        .write(true)
        .open(dir.path().join("outbox.db"))
        .unwrap();
    let pages = file.metadata().unwrap().len() / 4096;
    for page in pages / 4..pages / 2 {
        std::os::unix::fs::FileExt::write_all_at(&file, &[0xa5; 4096], page * 4096).unwrap();
    }
    let mut from = 1;
    while from <= 2500 && outbox.id() == before {
        from += outbox.batch(from, 64).unwrap().into_messages().count() as u64;
    }
    assert_ne!(outbox.id(), before, "the file is another one");
    append(&outbox, 2501..=2501);
    let waiting = outbox.waiting();
    // A quarter of the pages is gone, and what they alone lead to.
    assert!(waiting > 500, "{waiting} of 2501 saved");
    let (_, floor) = outbox.floor().unwrap();
    assert!(outbox.batch(floor, 64).unwrap().into_messages().count() > 0);
}

/// However much room is left: what does not fit beside the damaged file must not
/// be missing in the new one, nor keep the box from starting.
#[test]
fn a_damaged_file_is_replaced_whatever_room_is_left() {
    let Some(disk) = SmallDisk::mount("6m") else {
        eprintln!("not run: this user may not mount a tmpfs");
        return;
    };
    let made = tempfile::tempdir().unwrap();
    let outbox = Outbox::open(made.path(), BUDGET).unwrap();
    append(&outbox, 1..=100);
    drop(outbox);
    damage(made.path());
    let bytes = fs::read(made.path().join("outbox.db")).unwrap();

    for room in (0..=1_000_000).step_by(20_000) {
        let dir = disk.0.path().join(room.to_string());
        fs::create_dir(&dir).unwrap();
        fs::write(dir.join("outbox.db"), &bytes).unwrap();
        // Few large files, and many small ones whose rows want room as well.
        let stills = (0..10_u16).map(|n| (n, 100_000));
        for (n, length) in stills.chain((10..510).map(|n| (n, 100))) {
            let mut name = [0; 32];
            name[..2].copy_from_slice(&n.to_le_bytes());
            let (still, digest) = (vec![0; length], Digest(name));
            let path = Outbox::evidence_path(&dir, &digest);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, still).unwrap();
        }
        fs::write(dir.join("room"), vec![0; room]).unwrap();
        fs::write(dir.join("core"), vec![0; 6 << 20]).unwrap_err();
        fs::remove_file(dir.join("room")).unwrap();

        let outbox = Outbox::open(&dir, BUDGET);
        let outbox = outbox.unwrap_or_else(|error| panic!("with {room} bytes: {error}"));
        assert!(
            outbox.waiting() > 90,
            "with {room} bytes: {} saved",
            outbox.waiting()
        );
        drop(outbox);
        fs::remove_dir_all(dir).unwrap();
    }
}

/// What comes with damage, here a disk that takes no new file, must not leave the
/// outbox without one until the next start.
#[test]
fn a_damaged_file_that_cannot_be_replaced_at_once_is_replaced_later() {
    let dir = tempfile::tempdir().unwrap();
    let outbox = Outbox::open(dir.path(), BUDGET).unwrap();
    append(&outbox, 1..=3);
    let still = outbox
        .put_evidence(b"still", EvidenceRole::StillClean, "image/jpeg", at(1))
        .unwrap();
    // A folder in the place of the new file: it cannot be made.
    let obstacle = dir.path().join("outbox.db.rebuilding");
    fs::create_dir(&obstacle).unwrap();
    {
        let mut state = outbox.lock();
        let damaged = rusqlite::Connection::open_in_memory().unwrap();
        state.database.connection = damaged;
    }
    let file = dir.path().join("outbox.db");
    for suffix in ["-wal", "-shm"] {
        drop(fs::remove_file(
            dir.path().join(format!("outbox.db{suffix}")),
        ));
    }
    fs::write(
        &file,
        b"no longer a database, but something else of some length",
    )
    .unwrap();
    // As the first write to find the damage does.
    let found = outbox.replace_damaged(&mut outbox.lock());
    assert!(
        matches!(found, Err(OutboxError::Waiting { .. })),
        "{found:?}"
    );
    for number in 4..=5 {
        let kept = outbox.append_event(&event(number), at(number));
        assert!(matches!(kept, Err(OutboxError::Waiting { .. })), "{kept:?}");
    }
    assert!(!outbox.retry_in_memory());
    assert_eq!(outbox.status().in_memory, 2);

    fs::remove_dir(&obstacle).unwrap();
    assert!(outbox.retry_in_memory());
    let ids: Vec<_> = held(&outbox).into_iter().map(|(_, _, id)| id).collect();
    assert_eq!(ids, [4, 5].map(envelope_id), "and none is lost");
    assert!(outbox.trouble().unwrap().en.contains("damaged"));
    assert_eq!(
        outbox.uploads()[0].digest,
        still.sha256,
        "its evidence is queued again"
    );
}

/// SQLite has no word for a quota. A disk that fails for another reason gives
/// nothing up.
#[test]
fn a_failed_write_is_want_of_room_only_where_there_is_none() {
    use rusqlite::ffi;
    let failure = |code| rusqlite::Error::SqliteFailure(ffi::Error::new(code), None);
    let dir = tempfile::tempdir().unwrap();
    let outbox = Outbox::open(dir.path(), BUDGET).unwrap();
    assert!(outbox.says_full(&failure(ffi::SQLITE_FULL)));
    assert!(
        !outbox.says_full(&failure(ffi::SQLITE_IOERR_WRITE)),
        "there is room"
    );
    for kind in [io::ErrorKind::QuotaExceeded, io::ErrorKind::StorageFull] {
        assert!(files::lacks_room(&Err(kind.into())));
    }
    assert!(!files::lacks_room(&Err(
        io::ErrorKind::PermissionDenied.into()
    )));
    let Some(disk) = SmallDisk::mount("1m") else {
        eprintln!("not run: this user may not mount a tmpfs");
        return;
    };
    let outbox = Outbox::open(disk.0.path(), BUDGET).unwrap();
    fs::write(disk.0.path().join("core"), vec![0; 4 << 20]).unwrap_err();
    assert!(outbox.says_full(&failure(ffi::SQLITE_IOERR_WRITE)));
    assert!(!outbox.says_full(&failure(ffi::SQLITE_IOERR_READ)));
}
