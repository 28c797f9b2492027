//! Where the pictures and clips are.
//!
//! Files are stored under their SHA-256 and never change, so storing is safe to
//! repeat and a name is a proof. [`object_store`] holds them: a local folder
//! now, a bucket where there is one. A file is visible only once it is whole
//! and its hash is right. An upload that no longer moves is ended.
//!
//! What comes over a box's line comes as slowly as that line is, so it is only put
//! down (`parts`); one of the few places ([`UploadLimits::at_once`]) is taken when
//! all of a file is here, for as long as it takes to check and store it. Otherwise the
//! slow lines of a city's boxes would hold every place.

mod parts;

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use futures_util::{Stream, StreamExt};
use object_store::local::LocalFileSystem;
use object_store::path::Path as Location;
use object_store::{ObjectStore, ObjectStoreExt, WriteMultipart};
use protocol::Digest;
use sha2::{Digest as _, Sha256};
use tokio::sync::{OwnedRwLockReadGuard, RwLock, RwLockWriteGuard, Semaphore, SemaphorePermit};
use tokio::time::{Instant, timeout, timeout_at};

use parts::Parts;
pub use parts::Piece;

/// Bytes handed to the object store at a time.
const PART: usize = 1024 * 1024;

/// Bytes that must come within each idle time, or a drop now and then would
/// hold a place as long as silence does. Even GPRS brings twenty times it.
const PACE: u64 = 4 * 1024;

/// Media types that may be stored. No HTML and no SVG: the file is served from
/// the same origin as the operator's screen.
pub const MEDIA_TYPES: [&str; 9] = [
    "image/jpeg",
    "image/png",
    "image/webp",
    "image/avif",
    "video/mp4",
    "video/x-matroska",
    "video/webm",
    case_bundle::manifest::CASE_MEDIA_TYPE,
    "application/octet-stream",
];

/// Why a file was not stored.
#[derive(Debug, thiserror::Error)]
pub enum EvidenceError {
    /// It is longer than allowed.
    #[error(
        "the file is longer than {0} bytes; raise `http.max_evidence_mb` or send a shorter clip"
    )]
    TooLarge(u64),
    /// The bytes are not those of the name.
    #[error(
        "the bytes have the SHA-256 {found}, the address says {expected}; the file changed on the way or at its source, send it again"
    )]
    WrongHash {
        /// By the address.
        expected: Digest,
        /// By the bytes.
        found: Digest,
    },
    /// The sender stopped in the middle.
    #[error("the upload broke off: {0}; send it again")]
    BrokenOff(String),
    /// The sender is there and sends nothing, or next to nothing.
    #[error(
        "less than {PACE} bytes came in {within} s; look at the line of the box, and send the file again",
        within = .0.as_secs_f64()
    )]
    Stalled(Duration),
    /// The piece begins behind the end of the part that is here.
    #[error("{here} bytes of the file are here; go on from there")]
    Misplaced {
        /// How much is here.
        here: u64,
    },
    /// As many files are being stored as may be at a time.
    #[error(
        "as many files are being stored as the centre stores at a time (`http.max_uploads`); send the file again later"
    )]
    Busy,
    /// The store refused.
    #[error("evidence store: {0}; look at free disk space and at the rights on the data folder")]
    Store(#[from] object_store::Error),
}

/// The evidence store; clones share it.
#[derive(Clone)]
pub struct Evidence {
    objects: Arc<dyn ObjectStore>,
    parts: Parts,
    turns: Arc<Semaphore>,
    /// Held for reading from when a file is whole until the database knows of it,
    /// for writing while files are erased.
    storing: Arc<RwLock<()>>,
    limits: UploadLimits,
}

/// A file that is whole. While it is held nothing is erased, so hold it until
/// the database knows of the file.
pub struct Stored {
    /// Bytes.
    pub length: u64,
    _storing: OwnedRwLockReadGuard<()>,
}

/// What one upload may take.
#[derive(Clone, Copy, Debug)]
pub struct UploadLimits {
    /// Most bytes of a file.
    pub largest: u64,
    /// Files that are checked and stored at a time; each takes a few megabytes of memory.
    pub at_once: usize,
    /// How long what came of a file waits for the rest.
    pub kept: Duration,
    /// How long nothing may come before the upload is ended.
    pub idle: Duration,
}

impl Evidence {
    /// Opens (or makes) a folder.
    pub fn in_folder(folder: &Path, limits: UploadLimits) -> Result<Self, EvidenceError> {
        let io = |source: std::io::Error| object_store::Error::Generic {
            store: "folder",
            source: Box::new(source),
        };
        std::fs::create_dir_all(folder).map_err(io)?;
        sweep(folder);
        let objects = LocalFileSystem::new_with_prefix(folder)?.with_fsync(true);
        Ok(Self {
            objects: Arc::new(objects),
            parts: Parts::in_folder(folder.with_extension("parts"), limits).map_err(io)?,
            turns: Arc::new(Semaphore::new(limits.at_once)),
            storing: Arc::default(),
            limits,
        })
    }

    /// Stores a file of unknown length while it comes in, if its hash is right.
    pub async fn put<E: std::fmt::Display>(
        &self,
        sha256: Digest,
        body: impl Stream<Item = Result<Bytes, E>> + Unpin,
    ) -> Result<Stored, EvidenceError> {
        let _turn = self.turn().await?;
        let stored = self.store(sha256, body).await?;
        // What came of an earlier try is of no use any more.
        self.parts.forget(sha256);
        Ok(stored)
    }

    /// A place among the uploads.
    async fn turn(&self) -> Result<SemaphorePermit<'_>, EvidenceError> {
        let turn = timeout(self.limits.idle, self.turns.acquire()).await;
        turn.ok().and_then(Result::ok).ok_or(EvidenceError::Busy)
    }

    async fn store<E: std::fmt::Display>(
        &self,
        sha256: Digest,
        mut body: impl Stream<Item = Result<Bytes, E>> + Unpin,
    ) -> Result<Stored, EvidenceError> {
        let location = location(sha256);
        let upload = self.objects.put_multipart(&location).await?;
        let mut upload = WriteMultipart::new_with_chunk_size(upload, PART);
        let received = receive(&mut upload, &mut body, self.limits).await;
        let verdict = received.and_then(|(length, found)| {
            if found == sha256 {
                Ok(length)
            } else {
                Err(EvidenceError::WrongHash {
                    expected: sha256,
                    found,
                })
            }
        });
        match verdict {
            Ok(length) => {
                let storing = Arc::clone(&self.storing).read_owned().await;
                upload.finish().await?;
                Ok(Stored {
                    length,
                    _storing: storing,
                })
            }
            Err(error) => {
                if let Err(error) = upload.abort().await {
                    tracing::warn!(%error, "half an upload is left in the evidence store");
                }
                Err(error)
            }
        }
    }

    /// How much of a file is here that is not whole.
    pub fn offset(&self, sha256: Digest) -> u64 {
        self.parts.offset(sha256)
    }

    /// Takes the rest of a file, from where the part that is here ends or before
    /// that: what is here beyond is replaced. The whole is stored once it is here,
    /// if its hash is right.
    pub async fn put_piece<E: std::fmt::Display>(
        &self,
        sha256: Digest,
        piece: Piece,
        mut body: impl Stream<Item = Result<Bytes, E>> + Unpin,
    ) -> Result<Option<Stored>, EvidenceError> {
        let held = self.parts.hold(sha256, piece, self.limits.idle).await?;
        let here = parts::append(&held, piece, &mut body, self.limits).await?;
        if here < piece.whole {
            return Ok(None);
        }
        // Who gets none is told to come again, and has only its last byte to send.
        let _turn = self.turn().await?;
        let failed = |source: std::io::Error| object_store::Error::Generic {
            store: "parts",
            source: Box::new(source),
        };
        let whole = parts::read(&held.path).await.map_err(failed)?;
        let stored = self.store(sha256, whole).await;
        // Also after a wrong hash: with these bytes it never becomes right.
        if !matches!(stored, Err(EvidenceError::Store(_))) {
            held.remove().await;
        }
        stored.map(Some)
    }

    /// A stored file, piece by piece; `None` when it is not there. `range` is
    /// in bytes, its end exclusive.
    pub async fn get(
        &self,
        sha256: Digest,
        range: Option<std::ops::Range<u64>>,
    ) -> Result<Option<impl Stream<Item = object_store::Result<Bytes>> + use<>>, EvidenceError>
    {
        let options = object_store::GetOptions {
            range: range.map(object_store::GetRange::Bounded),
            ..Default::default()
        };
        match self.objects.get_opts(&location(sha256), options).await {
            Ok(found) => Ok(Some(found.into_stream())),
            Err(object_store::Error::NotFound { .. }) => Ok(None),
            Err(error) => Err(error.into()),
        }
    }

    /// Holds up every file that is about to be stored, until it is dropped.
    pub(crate) async fn alone(&self) -> RwLockWriteGuard<'_, ()> {
        self.storing.write().await
    }

    /// Removes a file; one that is not there is removed already.
    pub(crate) async fn remove(&self, sha256: Digest) -> Result<(), EvidenceError> {
        match self.objects.delete(&location(sha256)).await {
            Ok(()) | Err(object_store::Error::NotFound { .. }) => Ok(()),
            Err(error) => Err(error.into()),
        }
    }

    /// Length of a stored file; `None` when it is not there.
    pub async fn length(&self, sha256: Digest) -> Result<Option<u64>, EvidenceError> {
        match self.objects.head(&location(sha256)).await {
            Ok(found) => Ok(Some(found.size)),
            Err(object_store::Error::NotFound { .. }) => Ok(None),
            Err(error) => Err(error.into()),
        }
    }
}

/// Reads all of `body` into `upload`; its length and hash.
async fn receive<E: std::fmt::Display>(
    upload: &mut WriteMultipart,
    body: &mut (impl Stream<Item = Result<Bytes, E>> + Unpin),
    limits: UploadLimits,
) -> Result<(u64, Digest), EvidenceError> {
    let UploadLimits { largest, idle, .. } = limits;
    let (mut hash, mut length) = (Sha256::new(), 0_u64);
    let (mut until, mut enough) = (Instant::now() + idle, PACE);
    while let Some(piece) = timeout_at(until, body.next())
        .await
        .map_err(|_| EvidenceError::Stalled(idle))?
    {
        let piece = piece.map_err(|error| EvidenceError::BrokenOff(error.to_string()))?;
        length += piece.len() as u64;
        if length > largest {
            return Err(EvidenceError::TooLarge(largest));
        }
        hash.update(&piece);
        upload.wait_for_capacity(2).await?;
        upload.write(&piece);
        if length >= enough {
            // Only now: a slow disk of ours is not the sender's fault.
            (until, enough) = (Instant::now() + idle, length + PACE);
        }
    }
    Ok((length, Digest(hash.finalize().into())))
}

/// When and why a file was removed.
pub(crate) fn removal(sha256: Digest, removed: &crate::store::Removed) -> String {
    format!(
        "file {sha256} was removed by retention on {} (`{}`, kept {} days)",
        removed.at, removed.class, removed.days
    )
}

/// Two levels, so that no folder gets millions of entries.
fn location(sha256: Digest) -> Location {
    let name = sha256.to_string();
    Location::from_iter([&name[..2], &name[2..]])
}

/// Where the folder's file of this hash is.
pub(crate) fn path_in(folder: &Path, sha256: Digest) -> std::path::PathBuf {
    let name = sha256.to_string();
    folder.join(&name[..2]).join(&name[2..])
}

/// Removes what uploads left behind when the program was killed. The local
/// store writes to `<name>#<number>` and renames when whole.
fn sweep(folder: &Path) {
    let files = |folder: &Path| {
        std::fs::read_dir(folder)
            .into_iter()
            .flatten()
            .filter_map(Result::ok)
    };
    for file in files(folder).flat_map(|entry| files(&entry.path())) {
        if file.file_name().to_string_lossy().contains('#')
            && let Err(error) = std::fs::remove_file(file.path())
        {
            tracing::warn!(file = %file.path().display(), %error, "half an upload cannot be removed");
        }
    }
}
