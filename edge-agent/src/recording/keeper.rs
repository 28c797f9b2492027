//! Looks after the recordings of all cameras: deletes what was kept for long enough and
//! what there is no room for, and sees to it that what has ended is on the disk.
//!
//! On a thread of its own. Some ten thousand files are looked at for it, and the disk of
//! such a box takes as long as it likes: no scene waits for any of that, neither with a
//! look nor for a lock.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::File;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant, SystemTime};

use crossbeam_channel::{Receiver, RecvTimeoutError, Sender, bounded};
use protocol::id::CameraId;

use super::ages::Ages;
use super::is_recording;
use super::rolling::Limits;

/// How often what was kept for long enough is looked for, and the ages are written: they
/// are megabytes, of days.
const EXPIRY: Duration = Duration::from_mins(10);
/// Chores that wait. One that finds no room is not missed: room is looked after with the
/// next, and the system puts files on the disk by itself as well.
const CHORES: usize = 64;

/// Segments that are being written, by camera. Held for as long as a look into it takes.
#[derive(Clone, Debug, Default)]
pub(super) struct Active(Arc<Mutex<BTreeMap<CameraId, PathBuf>>>);

impl Active {
    pub(super) fn lock(&self) -> MutexGuard<'_, BTreeMap<CameraId, PathBuf>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn paths(&self) -> BTreeSet<PathBuf> {
        self.lock().values().cloned().collect()
    }

    fn has(&self, path: &Path) -> bool {
        self.lock().values().any(|written| written == path)
    }
}

/// What recorders ask for.
#[derive(Debug)]
pub(super) enum Chore {
    /// More was written: the oldest may have to go.
    MakeRoom,
    /// A segment has ended.
    Ended(PathBuf, File),
}

/// The folder of all cameras' segments, as it is looked after.
#[derive(Debug)]
pub struct Keeper {
    dir: PathBuf,
    limits: Limits,
    active: Active,
    chores: Receiver<Chore>,
    ages: Option<Ages>,
    looked: Option<Instant>,
    has_fallen: Fallen,
}

/// Set when the thread that looks after recordings has panicked: whoever records would
/// fill the disk from then on.
#[derive(Clone, Debug, Default)]
pub(super) struct Fallen(Arc<AtomicBool>);

impl Fallen {
    pub(super) fn is_set(&self) -> bool {
        self.0.load(Ordering::Relaxed)
    }
}

impl Drop for Keeper {
    fn drop(&mut self) {
        if std::thread::panicking() {
            self.has_fallen.0.store(true, Ordering::Relaxed);
        }
    }
}

impl Keeper {
    pub(super) fn new(
        dir: &Path,
        limits: Limits,
        active: &Active,
    ) -> (Sender<Chore>, Fallen, Self) {
        let has_fallen = Fallen::default();
        let (asked, chores) = bounded(CHORES);
        let keeper = Self {
            dir: dir.to_owned(),
            limits,
            active: active.clone(),
            chores,
            ages: None,
            looked: None,
            has_fallen: has_fallen.clone(),
        };
        (asked, has_fallen, keeper)
    }

    /// Starts its thread, which ends when nobody records any more, and holds `held` for as
    /// long.
    pub fn start(self, held: impl Send + 'static) -> std::io::Result<JoinHandle<()>> {
        self.start_to(Self::work, held)
    }

    pub(super) fn start_to(
        mut self,
        work: fn(&mut Self, Option<Chore>),
        held: impl Send + 'static,
    ) -> std::io::Result<JoinHandle<()>> {
        let thread = std::thread::Builder::new().name("recordings".to_owned());
        thread.spawn(move || {
            let _held = held;
            loop {
                let first = match self.chores.recv_timeout(EXPIRY) {
                    Ok(chore) => Some(chore),
                    Err(RecvTimeoutError::Timeout) => None,
                    Err(RecvTimeoutError::Disconnected) => return,
                };
                work(&mut self, first);
            }
        })
    }

    /// Without a thread: does what there is to do.
    pub fn step(&mut self) {
        self.work(None);
    }

    fn work(&mut self, first: Option<Chore>) {
        let chores: Vec<Chore> = first.into_iter().chain(self.chores.try_iter()).collect();
        for chore in &chores {
            if let Chore::Ended(path, file) = chore
                && let Err(error) = file.sync_data()
            {
                tracing::warn!(path = %path.display(), %error, "the end of a recording is not on disk");
            }
        }
        self.expire();
        if !chores.is_empty() {
            self.make_room();
        }
    }

    /// Deletes segments that ended long enough ago.
    fn expire(&mut self) {
        let Some(keep) = self.limits.keep else {
            return;
        };
        let elapsed = self.looked.map(|at| at.elapsed());
        if elapsed.is_some_and(|elapsed| elapsed < EXPIRY) {
            return;
        }
        self.looked = Some(Instant::now());
        let files = self.files();
        // Asked after the files: whatever is there and not being written has ended.
        let active = self.active.paths();
        let ended = files.into_iter().map(|(_, path, _)| path);
        let ended: Vec<PathBuf> = ended
            .filter(|path| !active.contains(path))
            .filter_map(|path| path.strip_prefix(&self.dir).ok().map(Path::to_owned))
            .collect();
        let ages = self.ages.get_or_insert_with(|| Ages::read(&self.dir));
        let old = ages.look(&ended, keep, crate::live::now(), elapsed);
        for path in old.iter().map(|path| self.dir.join(path)) {
            match std::fs::remove_file(&path) {
                Ok(()) => {
                    tracing::info!(path = %path.display(), "recording deleted, it was kept as long as [record] keep_days says");
                }
                Err(error) => {
                    tracing::warn!(path = %path.display(), %error, "recording cannot be deleted");
                }
            }
        }
        if let Err(error) = ages.write(&self.dir) {
            tracing::warn!(dir = %self.dir.display(), %error, "the age of recordings cannot be written; they may be kept too long");
        }
    }

    /// All segments, with when they were last written and how long they are.
    fn files(&self) -> Vec<(SystemTime, PathBuf, u64)> {
        let mut files = Vec::new();
        let folders = std::fs::read_dir(&self.dir).into_iter().flatten().flatten();
        for folder in folders {
            let entries = std::fs::read_dir(folder.path()).into_iter().flatten();
            for entry in entries.flatten() {
                let path = entry.path();
                let Ok(metadata) = entry.metadata() else {
                    continue;
                };
                if metadata.is_file() && is_recording(&path) {
                    let written = metadata.modified().unwrap_or(SystemTime::UNIX_EPOCH);
                    files.push((written, path, metadata.len()));
                }
            }
        }
        files
    }

    /// Deletes the oldest segments that nobody writes, until the rest fits.
    fn make_room(&self) {
        let mut files = self.files();
        files.sort();
        let mut total: u64 = files.iter().map(|(.., bytes)| bytes).sum();
        for (_, path, bytes) in files {
            if total <= self.limits.budget {
                return;
            }
            if self.active.has(&path) {
                continue;
            }
            match std::fs::remove_file(&path) {
                Ok(()) => {
                    tracing::info!(path = %path.display(), bytes, "oldest recording deleted for room");
                    total -= bytes;
                }
                Err(error) => {
                    tracing::warn!(path = %path.display(), %error, "recording cannot be deleted");
                }
            }
        }
    }
}
