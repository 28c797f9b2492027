//! Files that are half here: an upload that broke off goes on where it ended.
//!
//! A part is a plain file beside the store, named by the hash that the whole
//! is to have. Nobody is shown it, and nothing is believed of it: when it is
//! complete it goes through the same door as any upload, which checks the hash.

use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, SystemTime};

use bytes::Bytes;
use futures_util::{Stream, StreamExt};
use protocol::Digest;
use tokio::io::AsyncWriteExt as _;
use tokio::sync::{Notify, watch};
use tokio::time::{Instant, timeout_at};

use super::{EvidenceError, PACE, UploadLimits};

/// How long a part waits for the rest of its file.
const KEPT: Duration = Duration::from_hours(24);
/// What the parts may take of the disk, in largest files: what strangers can make
/// us store in vain. Beyond that the oldest go. By bytes and not by number: in a
/// bad night of a city's network a thousand boxes have a megabyte here each.
const MOST: u64 = 64;
/// Parts at most, so that small ones do not use up the names of a file system.
const MOST_FILES: usize = 16 * 1024;

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
    /// Those that somebody is writing to.
    busy: Arc<Mutex<BTreeMap<Digest, Writer>>>,
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
    busy: Arc<Mutex<BTreeMap<Digest, Writer>>>,
    sha256: Digest,
    pub(super) path: PathBuf,
    /// Somebody else asks for it.
    give_way: Arc<Notify>,
    /// Closes with the rest.
    _over: watch::Sender<()>,
}

impl Drop for Held {
    fn drop(&mut self) {
        let mut busy = self.busy.lock().unwrap_or_else(PoisonError::into_inner);
        busy.remove(&self.sha256);
    }
}

impl Parts {
    pub(super) fn in_folder(folder: PathBuf, largest: u64) -> io::Result<Self> {
        std::fs::create_dir_all(&folder)?;
        let parts = Self {
            folder,
            most: largest.saturating_mul(MOST),
            busy: Arc::default(),
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
        let busy = self.busy.lock().unwrap_or_else(PoisonError::into_inner);
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
        self.sweep();
        Ok(held)
    }

    /// The right to write to a part, or who has it.
    fn try_hold(&self, sha256: Digest) -> Result<Held, Writer> {
        let mut busy = self.busy.lock().unwrap_or_else(PoisonError::into_inner);
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
            busy: Arc::clone(&self.busy),
            sha256,
            path: self.path(sha256),
            give_way,
            _over: sender,
        })
    }

    /// Removes parts that nobody goes on with.
    fn sweep(&self) {
        let busy = self.busy.lock().unwrap_or_else(PoisonError::into_inner);
        let mut taken = 0_u64;
        let mut parts: Vec<(SystemTime, u64, PathBuf)> = Vec::new();
        let entries = std::fs::read_dir(&self.folder).into_iter().flatten();
        for entry in entries.filter_map(Result::ok) {
            let Ok(part) = entry.metadata() else { continue };
            taken = taken.saturating_add(part.len());
            let name = entry.file_name().to_string_lossy().parse().ok();
            let is_busy = name.is_some_and(|name: Digest| busy.contains_key(&name));
            if let (false, Ok(changed)) = (is_busy, part.modified()) {
                parts.push((changed, part.len(), entry.path()));
            }
        }
        drop(busy);
        parts.sort();
        let mut count = parts.len();
        for (changed, length, path) in parts {
            let is_old = changed.elapsed().is_ok_and(|age| age > KEPT);
            if is_old || taken > self.most || count > MOST_FILES {
                remove(&path);
                taken = taken.saturating_sub(length);
                count -= 1;
            }
        }
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
    let UploadLimits { largest, idle } = limits;
    if piece.whole > largest {
        return Err(EvidenceError::TooLarge(largest));
    }
    let file = tokio::fs::File::options()
        .create(true)
        .append(true)
        .open(&held.path)
        .await
        .map_err(failed)?;
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
    file.flush().await.map_err(failed)?;
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

    /// Three parts of ten bytes with room for twenty: the oldest goes, unless somebody
    /// writes to it; a hundred small ones stay.
    #[test]
    fn parts_are_kept_by_their_bytes_and_not_by_their_number() {
        let folder = tempfile::tempdir().unwrap();
        let mut parts = Parts::in_folder(folder.path().join("parts"), 1 << 20).unwrap();
        parts.most = 20;
        let put = |n: u8, bytes: &[u8], minutes: u64| {
            let path = parts.path(Digest([n; 32]));
            std::fs::write(&path, bytes).unwrap();
            let file = std::fs::File::options().write(true).open(path).unwrap();
            let age = Duration::from_mins(minutes);
            file.set_modified(SystemTime::now() - age).unwrap();
        };
        let there = || {
            (0..=255)
                .filter(|n| parts.offset(Digest([*n; 32])) > 0)
                .count()
        };
        for n in 0..20 {
            put(n, b"1", 1);
        }
        parts.sweep();
        assert_eq!(there(), 20);
        for (n, minutes) in [(20, 5), (21, 4), (22, 3)] {
            put(n, b"0123456789", minutes);
        }
        let piece = Piece {
            from: 10,
            end: 12,
            whole: 12,
        };
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_time()
            .build()
            .unwrap();
        let held = runtime.block_on(parts.hold(Digest([20; 32]), piece, KEPT));
        let held = held.ok().unwrap();
        assert!(parts.offset(held.sha256) > 0, "somebody writes to it");
        assert_eq!(parts.offset(Digest([21; 32])), 0);
        assert_eq!(parts.offset(Digest([22; 32])), 0);
        put(30, b"1", 25 * 60);
        parts.sweep();
        assert_eq!(parts.offset(Digest([30; 32])), 0, "its day is over");
    }
}
