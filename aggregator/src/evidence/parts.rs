//! Files that are half here: an upload that broke off goes on where it ended.
//!
//! A part is a plain file beside the store, named by the hash that the whole
//! is to have. Nobody is shown it, and nothing is believed of it: when it is
//! complete it goes through the same door as any upload, which checks the hash.

use std::collections::BTreeSet;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, SystemTime};

use bytes::Bytes;
use futures_util::{Stream, StreamExt};
use protocol::Digest;
use tokio::io::AsyncWriteExt as _;
use tokio::time::{Instant, timeout_at};

use super::{EvidenceError, PACE, UploadLimits};

/// How long a part waits for the rest of its file.
const KEPT: Duration = Duration::from_hours(24);
/// Parts kept at most; beyond that the oldest go. Times the largest file, what
/// strangers can make us store in vain.
const MOST: usize = 64;

/// A piece of a file, from a `Content-Range`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Piece {
    /// Where it begins.
    pub from: u64,
    /// Length of the whole file.
    pub whole: u64,
}

/// The folder of parts; clones share it.
#[derive(Clone, Debug)]
pub(super) struct Parts {
    folder: PathBuf,
    /// Those that somebody is writing to.
    busy: Arc<Mutex<BTreeSet<Digest>>>,
}

/// The right to write to a part, until dropped.
pub(super) struct Held {
    busy: Arc<Mutex<BTreeSet<Digest>>>,
    sha256: Digest,
    pub(super) path: PathBuf,
}

impl Drop for Held {
    fn drop(&mut self) {
        let mut busy = self.busy.lock().unwrap_or_else(PoisonError::into_inner);
        busy.remove(&self.sha256);
    }
}

impl Parts {
    pub(super) fn in_folder(folder: PathBuf) -> io::Result<Self> {
        std::fs::create_dir_all(&folder)?;
        let parts = Self {
            folder,
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

    /// Takes the right to go on with a part, if `piece` begins where it ends.
    pub(super) fn hold(&self, sha256: Digest, piece: Piece) -> Result<Held, EvidenceError> {
        let path = self.path(sha256);
        let mut busy = self.busy.lock().unwrap_or_else(PoisonError::into_inner);
        if !busy.insert(sha256) {
            return Err(EvidenceError::Busy);
        }
        drop(busy);
        let held = Held {
            busy: Arc::clone(&self.busy),
            sha256,
            path,
        };
        let here = length(&held.path);
        if here != piece.from {
            return Err(EvidenceError::Misplaced { here });
        }
        self.sweep();
        Ok(held)
    }

    /// Removes parts that nobody goes on with.
    fn sweep(&self) {
        let busy = self.busy.lock().unwrap_or_else(PoisonError::into_inner);
        let mut parts: Vec<(SystemTime, PathBuf)> = std::fs::read_dir(&self.folder)
            .into_iter()
            .flatten()
            .filter_map(|entry| {
                let entry = entry.ok()?;
                let name = entry.file_name().to_string_lossy().parse().ok();
                let is_busy = name.is_some_and(|name: Digest| busy.contains(&name));
                let changed = entry.metadata().and_then(|part| part.modified()).ok()?;
                (!is_busy).then(|| (changed, entry.path()))
            })
            .collect();
        drop(busy);
        parts.sort();
        let surplus = parts.len().saturating_sub(MOST);
        for (index, (changed, path)) in parts.into_iter().enumerate() {
            let is_old = changed.elapsed().is_ok_and(|age| age > KEPT);
            if (is_old || index < surplus)
                && let Err(error) = std::fs::remove_file(&path)
            {
                tracing::warn!(file = %path.display(), %error, "half an upload cannot be removed");
            }
        }
    }
}

fn length(file: &Path) -> u64 {
    std::fs::metadata(file).map_or(0, |file| file.len())
}

/// Adds what comes to a part; how much of the file is here then. What has come
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
    let mut file = tokio::io::BufWriter::new(file);
    let mut here = piece.from;
    let (mut until, mut enough) = (Instant::now() + idle, here + PACE);
    let outcome = loop {
        match timeout_at(until, body.next()).await {
            Err(_) => break Err(EvidenceError::Stalled(idle)),
            Ok(None) => break Ok(()),
            Ok(Some(Err(error))) => break Err(EvidenceError::BrokenOff(error.to_string())),
            Ok(Some(Ok(bytes))) => {
                if here + bytes.len() as u64 > piece.whole {
                    break Err(EvidenceError::TooLarge(piece.whole));
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
