//! What is known of a camera, kept on disk so that a restart of the agent forgets
//! no parked car and does not take a camera that was turned meanwhile for a sound one.
//!
//! Written now and then, because a killed agent says no goodbye, and when the
//! agent stops; by a thread of all cameras ([`Scribe`]), because a disk may take seconds
//! and a scene has a tenth of one. A file that is damaged, of another version or of another camera
//! is said once and left aside: the camera then begins as a new one does.

use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use crossbeam_channel::{Receiver, Sender, TrySendError, bounded};
use picture_health::Memory;
use protocol::event::Words;
use protocol::{CameraId, Digest};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use super::scene_thread::OnPanic;
use crate::draft::Draft;

/// The form that this program writes and reads.
const VERSION: u32 = 1;
/// What is kept is some hundred kilobytes at most; more is not our file.
const MOST_BYTES: u64 = 4 * 1024 * 1024;

/// A kind of thing that is kept.
#[derive(Debug)]
pub(super) struct Matter {
    /// Folder within the box's store.
    folder: &'static str,
    /// How often it is written while the agent runs.
    every: Duration,
    /// What people are told when it cannot be read …
    unknown: &'static str,
    /// … and when it cannot be written.
    lost: &'static str,
}

/// Who stands parked; an [`edge_core::SceneState`].
pub(super) const PARKED: Matter = Matter {
    folder: "parked",
    every: Duration::from_mins(1),
    unknown: "who was parked before is not known; the file is written anew",
    lost: "who is parked cannot be kept for a restart; free room or let the agent write there",
};

/// How the picture usually is; a [`View`]. It changes over half an hour.
pub(super) const VIEW: Matter = Matter {
    folder: "view",
    every: Duration::from_mins(10),
    unknown: "where the camera looked before is not known: if it was turned since, nobody will \
              be told; look at its picture. The file is written anew",
    lost: "where the camera looks cannot be kept for a restart; free room or let the agent write \
           there",
};

/// How a camera's picture usually is, and the zones that were drawn on it.
#[derive(Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct View {
    /// See `CameraConfig::geometry`: new zones are drawn on a new view.
    pub(super) geometry: Digest,
    pub(super) memory: Memory,
}

#[derive(Serialize, Deserialize)]
struct Saved<T> {
    version: u32,
    camera: CameraId,
    state: T,
}

/// Pages that wait for the disk, two of each of many cameras.
const PAGES: usize = 64;

/// What is to be in a file.
#[derive(Debug)]
pub(super) struct Page {
    path: PathBuf,
    text: Vec<u8>,
    camera: CameraId,
    lost: &'static str,
    /// Whether the last attempt to write failed, so that it is said once.
    failed: Arc<AtomicBool>,
}

impl Page {
    fn write(&self) {
        let written = self.try_write();
        let had_failed = self.failed.swap(written.is_err(), Ordering::Relaxed);
        if let (Err(error), false) = (&written, had_failed) {
            tracing::warn!(
                camera = %self.camera, file = %self.path.display(), %error, "{}", self.lost
            );
        }
    }

    fn try_write(&self) -> std::io::Result<()> {
        if let Some(folder) = self.path.parent() {
            std::fs::create_dir_all(folder)?;
        }
        let (draft, mut file) = Draft::create(&self.path)?;
        file.write_all(&self.text)?;
        file.sync_data()?;
        draft.keep()
    }
}

/// Who writes what is kept of all cameras.
#[derive(Clone, Debug)]
pub(super) struct Scribe(Sender<Page>);

impl Scribe {
    /// Starts the thread, which ends when nobody has anything to keep any more.
    pub(super) fn start(on_panic: OnPanic) -> std::io::Result<(Self, JoinHandle<()>)> {
        Self::start_to(Page::write, on_panic)
    }

    fn start_to(write: fn(&Page), on_panic: OnPanic) -> std::io::Result<(Self, JoinHandle<()>)> {
        let (scribe, pages) = Self::by_hand();
        let thread = std::thread::Builder::new().name("kept".to_owned());
        let thread = thread.spawn(move || {
            let _held = on_panic;
            pages.iter().for_each(|page| write(&page));
        })?;
        Ok((scribe, thread))
    }

    /// Without a thread.
    fn by_hand() -> (Self, Receiver<Page>) {
        let (to, pages) = bounded(PAGES);
        (Self(to), pages)
    }
}

/// A camera's file.
#[derive(Debug)]
pub(super) struct KeptFile<T> {
    matter: Matter,
    path: PathBuf,
    camera: CameraId,
    /// What was there at the start, until it is taken up.
    found: Option<T>,
    due: Instant,
    failed: Arc<AtomicBool>,
    /// Who writes it; without one it is written by whoever says so.
    scribe: Option<Scribe>,
    /// The scribe has ended while the program goes on.
    is_orphaned: bool,
}

impl<T: Serialize + DeserializeOwned> KeptFile<T> {
    /// Reads what an earlier run has left in the box's store.
    pub(super) fn open(matter: Matter, store: &Path, camera: &CameraId) -> Self {
        let path = store.join(matter.folder).join(format!("{camera}.json"));
        let found = match read(&path, camera) {
            Ok(found) => found,
            Err(reason) => {
                tracing::warn!(%camera, file = %path.display(), reason, "{}", matter.unknown);
                None
            }
        };
        Self {
            path,
            camera: camera.clone(),
            found,
            due: Instant::now() + matter.every,
            failed: Arc::default(),
            scribe: None,
            is_orphaned: false,
            matter,
        }
    }

    /// The same, written by `scribe`.
    pub(super) fn written_by(self, scribe: &Scribe) -> Self {
        let scribe = Some(scribe.clone());
        Self { scribe, ..self }
    }

    /// What was there at the start; once.
    pub(super) fn take(&mut self) -> Option<T> {
        self.found.take()
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// Writes, if that is due. Never waits for a disk that is busy: it is due again then.
    pub(super) fn keep(&mut self, state: impl FnOnce() -> Option<T>) {
        // Until it is taken up, what is on disk is better than what is known.
        if self.found.is_some() || Instant::now() < self.due {
            return;
        }
        let page = state().and_then(|state| self.page(state));
        let is_on_its_way = match (&self.scribe, page) {
            (Some(scribe), Some(page)) => {
                let sent = scribe.0.try_send(page);
                self.is_orphaned = matches!(sent, Err(TrySendError::Disconnected(_)));
                sent.is_ok() || self.is_orphaned
            }
            (None, Some(page)) => {
                page.write();
                true
            }
            (_, None) => true,
        };
        if is_on_its_way {
            self.due = Instant::now() + self.matter.every;
        }
    }

    /// Why what is known is not kept while the agent runs.
    pub(super) fn trouble(&self) -> Option<Words> {
        self.is_orphaned.then(|| {
            Words::new(
                "Phần lưu xe đang đỗ đã dừng do lỗi chương trình; gửi nhật ký và khởi động lại hộp",
                "what keeps parked vehicles for a restart has ended by a fault of this program; restart the \
                 agent and report its log",
            )
        })
    }

    /// Writes for the last time, after all that was written before, unless there is nothing
    /// or what was there was not taken up.
    pub(super) fn write(&mut self, state: Option<T>) {
        let state = state.filter(|_| self.found.is_none());
        let Some(page) = state.and_then(|state| self.page(state)) else {
            return;
        };
        match &self.scribe {
            Some(scribe) => {
                // Its thread has ended by a fault of ours, which is told by whoever joins it.
                if let Err(back) = scribe.0.send(page) {
                    back.into_inner().write();
                }
            }
            None => page.write(),
        }
    }

    fn page(&self, state: T) -> Option<Page> {
        let saved = Saved {
            version: VERSION,
            camera: self.camera.clone(),
            state,
        };
        let text = serde_json::to_vec(&saved);
        if let Err(error) = &text {
            tracing::warn!(camera = %self.camera, %error, "{}", self.matter.lost);
        }
        Some(Page {
            path: self.path.clone(),
            text: text.ok()?,
            camera: self.camera.clone(),
            lost: self.matter.lost,
            failed: Arc::clone(&self.failed),
        })
    }
}

/// What the file holds; `None` where there is none.
fn read<T: DeserializeOwned>(path: &Path, camera: &CameraId) -> Result<Option<T>, String> {
    match std::fs::metadata(path) {
        Ok(about) if about.len() > MOST_BYTES => return Err("it is too large".to_owned()),
        Ok(_) => {}
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(error.to_string()),
    }
    let text = std::fs::read(path).map_err(|error| error.to_string())?;
    let saved: Saved<T> = serde_json::from_slice(&text).map_err(|error| error.to_string())?;
    if saved.version != VERSION {
        return Err(format!(
            "it has version {}, this agent reads {VERSION}",
            saved.version
        ));
    }
    if saved.camera != *camera {
        return Err(format!("it is of camera {}", saved.camera));
    }
    Ok(Some(saved.state))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::live::StopFlag;
    use crate::live::scene_thread::Whose;
    use edge_core::SceneState;

    fn state() -> SceneState {
        serde_json::from_str(
            r#"{"clock":null,"frame":null,"aspect":1.5,"time_quality":"unknown","watched_us":0,
                "unwatched_us":0,"taken_back":null,"tracker":{"next_rank":1,"aspect":1.5,"parked":[
                {"id":"t8000000000000000.0","box":[0.1,0.1,0.2,0.2],
                 "first":{"frame":1,"time":"1970-01-01T00:00:00Z"},
                 "seen":{"frame":9,"time":"1970-01-01T00:00:09Z"},
                 "still_s":8.0,"hits":9,"score":0.9,"votes":[["car",8.1,9.0]]}]}}"#,
        )
        .unwrap()
    }

    fn parked(store: &Path, camera: &CameraId) -> KeptFile<SceneState> {
        KeptFile::open(PARKED, store, camera)
    }

    fn camera(name: &str) -> CameraId {
        CameraId::new(name).unwrap()
    }

    #[test]
    fn what_is_written_is_found_by_the_same_camera_only() {
        let dir = tempfile::tempdir().unwrap();
        let mut file = parked(dir.path(), &camera("north"));
        assert_eq!(file.take(), None);
        file.write(Some(state()));
        let mut again = parked(dir.path(), &camera("north"));
        // Not overwritten before it was taken up.
        again.write(Some(state()));
        assert_eq!(again.take(), Some(state()));
        std::fs::rename(
            dir.path().join("parked/north.json"),
            dir.path().join("parked/south.json"),
        )
        .unwrap();
        assert_eq!(parked(dir.path(), &camera("south")).take(), None);
    }

    #[test]
    fn a_damaged_file_is_no_reason_not_to_start() {
        let dir = tempfile::tempdir().unwrap();
        std::fs::create_dir(dir.path().join("parked")).unwrap();
        let path = dir.path().join("parked/north.json");
        for damage in [
            "",
            "{",
            "[]",
            r#"{"version":9,"camera":"north","state":{}}"#,
        ] {
            std::fs::write(&path, damage).unwrap();
            let mut file = parked(dir.path(), &camera("north"));
            assert_eq!(file.take(), None, "{damage}");
            file.write(Some(state()));
            assert_eq!(parked(dir.path(), &camera("north")).take(), Some(state()));
        }
    }

    /// All cameras of a box were started together, and put their files on the disk in the
    /// same second: each scene stood still for its own.
    #[test]
    fn who_keeps_something_does_not_wait_for_the_disk() {
        let dir = tempfile::tempdir().unwrap();
        let (scribe, pages) = Scribe::by_hand();
        let north = camera("north");
        let mut file = parked(dir.path(), &north).written_by(&scribe);
        let there = || parked(dir.path(), &north).take();
        for _ in 0..2 * PAGES {
            file.due = Instant::now();
            file.keep(|| Some(state()));
        }
        assert_eq!(there(), None);
        // Of more than there is room for the rest is due again.
        assert!(file.due <= Instant::now());
        let page = pages.recv().unwrap();
        page.write();
        assert_eq!(there(), Some(state()));
        file.keep(|| Some(state()));
        assert!(file.due > Instant::now());
        assert_eq!(pages.len(), PAGES);
    }

    #[test]
    fn what_is_written_last_is_on_disk_when_the_scribe_has_gone() {
        let dir = tempfile::tempdir().unwrap();
        let stop = StopFlag::default();
        let on_panic = OnPanic::new(Whose::Kept, None, dir.path(), &stop);
        let (scribe, thread) = Scribe::start(on_panic).unwrap();
        let mut file = parked(dir.path(), &camera("north")).written_by(&scribe);
        file.write(Some(state()));
        drop((file, scribe));
        thread.join().unwrap();
        assert_eq!(parked(dir.path(), &camera("north")).take(), Some(state()));
    }

    /// A scribe that had panicked kept nothing any more, and nobody heard of it.
    #[test]
    fn a_scribe_that_panics_ends_the_program_or_is_told_of() {
        let dir = tempfile::tempdir().unwrap();
        let stop = StopFlag::default();
        let on_panic = OnPanic::new(Whose::Kept, None, dir.path(), &stop);
        let fault: fn(&Page) = |page| panic!("a fault with {}", page.path.display());
        let (scribe, thread) = Scribe::start_to(fault, on_panic).unwrap();
        let mut file = parked(dir.path(), &camera("north")).written_by(&scribe);
        file.due = Instant::now();
        file.keep(|| Some(state()));
        assert_eq!(file.trouble(), None);
        assert!(thread.join().is_err());
        let fault = stop.fault().unwrap().to_string();
        assert!(fault.contains("parked vehicles"), "{fault}");
        // Had that happened too often within the hour, the camera would say so.
        file.due = Instant::now();
        file.keep(|| Some(state()));
        let told = file.trouble().unwrap().en;
        assert!(told.contains("restart the agent"), "{told}");
        // At the end it is written all the same.
        file.write(Some(state()));
        assert_eq!(parked(dir.path(), &camera("north")).take(), Some(state()));
    }
}
