//! Files that are half here: an upload that broke off goes on where it ended.
//!
//! A part is a plain file beside the store, named by the hash that the whole
//! is to have. Nobody is shown it, and nothing is believed of it: when it is
//! complete it goes through the same door as any upload, which checks the hash.

use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, SystemTime};

use bytes::Bytes;
use futures_util::{Stream, StreamExt};
use protocol::Digest;
use tokio::io::AsyncWriteExt as _;
use tokio::sync::{Notify, watch};
use tokio::time::{Instant, timeout_at};

use super::{EvidenceError, PACE, UploadLimits};

/// What the parts may take of the disk, in largest files: what strangers can make
/// us store in vain. Beyond that the oldest go. By bytes and not by number: in a
/// bad night of a city's network a thousand boxes have a megabyte here each.
const MOST: u64 = 64;
/// Parts at most, so that small ones do not use up the names of a file system.
const MOST_FILES: u64 = 16 * 1024;
/// How often the folder is looked through. In between what is there is counted: a
/// folder of a city's parts has thousands of files, and thousands of pieces come in a second.
const SWEEP: Duration = Duration::from_mins(1);

/// A piece of a file, from a `Content-Range`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Piece {
    /// Where it begins.
    pub from: u64,
    /// Where it ends; as much as [`whole`](Self::whole) when it ends the file.
    pub end: u64,
    /// Length of the whole file.
    pub whole: u64,
}

/// The folder of parts; clones share it.
#[derive(Clone, Debug)]
pub(super) struct Parts {
    folder: PathBuf,
    /// Bytes of all together, at most.
    most: u64,
    kept: Duration,
    /// Those that somebody is writing to.
    busy: Arc<Mutex<BTreeMap<Digest, Writer>>>,
    count: Arc<Mutex<Count>>,
}

/// What the folder holds: rather too much than too little.
#[derive(Debug)]
struct Count {
    bytes: u64,
    files: u64,
    swept: Instant,
    is_sweeping: bool,
}

/// Somebody who is writing to a part.
#[derive(Clone, Debug)]
struct Writer {
    /// Asks for the part.
    give_way: Arc<Notify>,
    /// Closed once it is let go.
    over: watch::Receiver<()>,
}

/// The right to write to a part, until dropped.
pub(super) struct Held {
    count: Arc<Mutex<Count>>,
    busy: Arc<Mutex<BTreeMap<Digest, Writer>>>,
    sha256: Digest,
    pub(super) path: PathBuf,
    /// Somebody else asks for it.
    give_way: Arc<Notify>,
    /// Closes with the rest.
    _over: watch::Sender<()>,
}

impl Held {
    /// The part is of no use any more.
    pub(super) async fn remove(&self) {
        let length = length(&self.path);
        match tokio::fs::remove_file(&self.path).await {
            Ok(()) => {
                let mut count = locked(&self.count);
                count.bytes = count.bytes.saturating_sub(length);
                count.files = count.files.saturating_sub(1);
            }
            Err(error) => {
                tracing::warn!(file = %self.path.display(), %error, "half an upload cannot be removed");
            }
        }
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        locked(&self.busy).remove(&self.sha256);
    }
}

fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Parts {
    pub(super) fn in_folder(folder: PathBuf, limits: UploadLimits) -> io::Result<Self> {
        std::fs::create_dir_all(&folder)?;
        let parts = Self {
            folder,
            most: limits.largest.saturating_mul(MOST),
            kept: limits.kept,
            busy: Arc::default(),
            count: Arc::new(Mutex::new(Count {
                bytes: 0,
                files: 0,
                swept: Instant::now(),
                is_sweeping: false,
            })),
        };
        parts.sweep();
        Ok(parts)
    }

    /// How much of a file is here.
    pub(super) fn offset(&self, sha256: Digest) -> u64 {
        length(&self.path(sha256))
    }

    fn path(&self, sha256: Digest) -> PathBuf {
        self.folder.join(sha256.to_string())
    }

    /// The file is stored: what is here of it goes, unless somebody writes to it.
    pub(super) fn forget(&self, sha256: Digest) {
        let busy = locked(&self.busy);
        if !busy.contains_key(&sha256) {
            remove(&self.path(sha256));
        }
    }

    /// Takes the right to go on with a part, if `piece` does not begin behind its
    /// end. A part that is complete has an end, too: a kill before it was stored
    /// leaves one, and its sender sends the last byte again. Whoever
    /// has it is asked to let go: a box that comes anew has given its last upload
    /// up, and of that the end may not have come here yet, or never will.
    pub(super) async fn hold(
        &self,
        sha256: Digest,
        piece: Piece,
        within: Duration,
    ) -> Result<Held, EvidenceError> {
        let until = Instant::now() + within;
        let held = loop {
            let mut other = match self.try_hold(sha256) {
                Ok(held) => break held,
                Err(other) => other,
            };
            other.give_way.notify_one();
            // An error says that it was let go.
            let is_over = timeout_at(until, other.over.changed()).await;
            is_over.map(drop).map_err(|_| EvidenceError::Busy)?;
        };
        let here = length(&held.path);
        if here < piece.from {
            return Err(EvidenceError::Misplaced { here });
        }
        self.sweep_in_time();
        Ok(held)
    }

    /// The right to write to a part, or who has it.
    fn try_hold(&self, sha256: Digest) -> Result<Held, Writer> {
        let mut busy = locked(&self.busy);
        if let Some(other) = busy.get(&sha256) {
            return Err(other.clone());
        }
        let give_way = Arc::new(Notify::new());
        let (sender, over) = watch::channel(());
        let writer = Writer {
            give_way: Arc::clone(&give_way),
            over,
        };
        busy.insert(sha256, writer);
        Ok(Held {
            count: Arc::clone(&self.count),
            busy: Arc::clone(&self.busy),
            sha256,
            path: self.path(sha256),
            give_way,
            _over: sender,
        })
    }

    /// Looks through the folder where nobody waits for it, when its time has come or
    /// the folder may be too full.
    fn sweep_in_time(&self) {
        let mut count = locked(&self.count);
        let is_due =
            count.swept.elapsed() > SWEEP || count.bytes > self.most || count.files > MOST_FILES;
        if is_due && !std::mem::replace(&mut count.is_sweeping, true) {
            let parts = self.clone();
            tokio::task::spawn_blocking(move || parts.sweep());
        }
    }

    /// Removes parts that nobody goes on with, and counts what is left.
    fn sweep(&self) {
        // What comes while the folder is read is counted twice at worst.
        {
            let mut count = locked(&self.count);
            (count.bytes, count.files) = (0, 0);
        }
        let mut taken = 0_u64;
        let mut parts: Vec<(SystemTime, u64, PathBuf)> = Vec::new();
        let mut files = 0_u64;
        let entries = std::fs::read_dir(&self.folder).into_iter().flatten();
        for entry in entries.filter_map(Result::ok) {
            let Ok(part) = entry.metadata() else { continue };
            taken = taken.saturating_add(part.len());
            files += 1;
            if let Ok(changed) = part.modified() {
                parts.push((changed, part.len(), entry.path()));
            }
        }
        parts.sort();
        for (changed, length, path) in parts {
            let is_old = changed.elapsed().is_ok_and(|age| age > self.kept);
            let is_over = taken > self.most || files > MOST_FILES;
            if (is_old || is_over) && self.remove_idle(&path) {
                taken = taken.saturating_sub(length);
                files -= 1;
            }
        }
        let mut count = locked(&self.count);
        count.bytes = count.bytes.saturating_add(taken);
        count.files += files;
        (count.swept, count.is_sweeping) = (Instant::now(), false);
    }

    /// Removes a part unless somebody writes to it; whether it did.
    fn remove_idle(&self, path: &Path) -> bool {
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        // Held on to, so that nobody begins meanwhile.
        let busy = locked(&self.busy);
        let is_busy = name
            .parse()
            .is_ok_and(|name: Digest| busy.contains_key(&name));
        if !is_busy {
            remove(path);
        }
        !is_busy
    }
}

fn remove(part: &Path) {
    match std::fs::remove_file(part) {
        Ok(()) => {}
        Err(error) if error.kind() == io::ErrorKind::NotFound => {}
        Err(error) => {
            tracing::warn!(file = %part.display(), %error, "half an upload cannot be removed");
        }
    }
}

fn length(file: &Path) -> u64 {
    std::fs::metadata(file).map_or(0, |file| file.len())
}

/// Adds what comes to a part, from where the piece begins; how much of the file is here then. What has come
/// before a fault stays.
pub(super) async fn append<E: std::fmt::Display>(
    held: &Held,
    piece: Piece,
    body: &mut (impl Stream<Item = Result<Bytes, E>> + Unpin),
    limits: UploadLimits,
) -> Result<u64, EvidenceError> {
    let failed = |source| {
        EvidenceError::Store(object_store::Error::Generic {
            store: "parts",
            source: Box::new(source),
        })
    };
    let UploadLimits { largest, idle, .. } = limits;
    if piece.whole > largest {
        return Err(EvidenceError::TooLarge(largest));
    }
    let file = tokio::fs::File::options()
        .create(true)
        .append(true)
        .open(&held.path)
        .await
        .map_err(failed)?;
    locked(&held.count).files += u64::from(piece.from == 0);
    file.set_len(piece.from).await.map_err(failed)?;
    let mut file = tokio::io::BufWriter::new(file);
    let mut here = piece.from;
    let (mut until, mut enough) = (Instant::now() + idle, here + PACE);
    let outcome = loop {
        let next = tokio::select! {
            next = timeout_at(until, body.next()) => next,
            () = held.give_way.notified() => {
                break Err(EvidenceError::BrokenOff("it is sent anew".to_owned()));
            }
        };
        match next {
            Err(_) => break Err(EvidenceError::Stalled(idle)),
            Ok(None) => break Ok(()),
            Ok(Some(Err(error))) => break Err(EvidenceError::BrokenOff(error.to_string())),
            Ok(Some(Ok(bytes))) => {
                if here + bytes.len() as u64 > piece.end {
                    break Err(EvidenceError::TooLarge(piece.end));
                }
                file.write_all(&bytes).await.map_err(failed)?;
                here += bytes.len() as u64;
                if here >= enough {
                    (until, enough) = (Instant::now() + idle, here + PACE);
                }
            }
        }
    };
    let flushed = file.flush().await.map_err(failed);
    let mut count = locked(&held.count);
    count.bytes = count.bytes.saturating_add(here - piece.from);
    drop(count);
    flushed?;
    outcome.map(|()| here)
}

/// A file as a body.
pub(super) async fn read(path: &Path) -> io::Result<impl Stream<Item = io::Result<Bytes>> + Unpin> {
    use tokio::io::AsyncReadExt as _;
    let file = tokio::fs::File::open(path).await?;
    Ok(Box::pin(futures_util::stream::unfold(
        file,
        |mut file| async move {
            let mut buffer = bytes::BytesMut::with_capacity(256 * 1024);
            match file.read_buf(&mut buffer).await {
                Ok(0) => None,
                Ok(_) => Some((Ok(buffer.freeze()), file)),
                Err(error) => Some((Err(error), file)),
            }
        },
    )))
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIMITS: UploadLimits = UploadLimits {
        largest: 1 << 20,
        at_once: 1,
        kept: Duration::from_hours(24),
        idle: Duration::from_mins(1),
    };

    fn parts_in(folder: &Path) -> Parts {
        Parts::in_folder(folder.join("parts"), LIMITS).unwrap()
    }

    fn put(parts: &Parts, n: u8, bytes: &[u8], minutes: u64) {
        let path = parts.path(Digest([n; 32]));
        std::fs::write(&path, bytes).unwrap();
        let file = std::fs::File::options().write(true).open(path).unwrap();
        let age = Duration::from_mins(minutes);
        file.set_modified(SystemTime::now() - age).unwrap();
    }

    fn there(parts: &Parts) -> usize {
        (0..=255)
            .filter(|n| parts.offset(Digest([*n; 32])) > 0)
            .count()
    }

    /// Three parts of ten bytes with room for twenty: the oldest goes, unless somebody
    /// writes to it; a hundred small ones stay.
    #[test]
    fn parts_are_kept_by_their_bytes_and_not_by_their_number() {
        let folder = tempfile::tempdir().unwrap();
        let mut parts = parts_in(folder.path());
        parts.most = 20;
        for n in 0..20 {
            put(&parts, n, b"1", 1);
        }
        parts.sweep();
        assert_eq!(there(&parts), 20);
        for (n, minutes) in [(20, 5), (21, 4), (22, 3)] {
            put(&parts, n, b"0123456789", minutes);
        }
        let held = parts.try_hold(Digest([20; 32])).ok().unwrap();
        parts.sweep();
        assert!(parts.offset(held.sha256) > 0, "somebody writes to it");
        assert_eq!(parts.offset(Digest([21; 32])), 0);
        assert_eq!(parts.offset(Digest([22; 32])), 0);
        put(&parts, 30, b"1", 25 * 60);
        parts.sweep();
        assert_eq!(parts.offset(Digest([30; 32])), 0, "its day is over");
    }

    /// Each piece once had the whole folder looked through before it was taken in. Now
    /// it is counted, and looked through when the count says that it is too full.
    #[tokio::test]
    async fn a_folder_is_looked_through_when_it_may_be_too_full_and_not_for_each_piece() {
        let folder = tempfile::tempdir().unwrap();
        let mut parts = parts_in(folder.path());
        parts.most = 100;
        // No minute is over during this.
        locked(&parts.count).swept = Instant::now() + Duration::from_hours(24);
        // Nobody sees this one but who looks through the folder.
        put(&parts, 99, b"old", 25 * 60);
        let mut pieces = 0;
        while there(&parts) > pieces {
            let name = Digest([u8::try_from(pieces).unwrap(); 32]);
            let piece = Piece {
                from: 0,
                end: 10,
                whole: 20,
            };
            let held = parts.hold(name, piece, LIMITS.idle).await.ok().unwrap();
            let body = Ok::<_, io::Error>(Bytes::from_static(b"0123456789"));
            let mut body = futures_util::stream::iter([body]);
            let here = append(&held, piece, &mut body, LIMITS).await.ok().unwrap();
            assert_eq!(here, 10);
            drop(held);
            pieces += 1;
            // It is done beside.
            while locked(&parts.count).is_sweeping {
                tokio::time::sleep(Duration::from_millis(1)).await;
            }
        }
        assert_eq!(
            pieces, 12,
            "at the first piece after a hundred bytes were there"
        );
        let count = locked(&parts.count);
        assert!((100..=120).contains(&count.bytes), "{count:?}");
    }
}
