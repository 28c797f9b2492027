//! What is known of a camera, kept on disk so that a restart of the agent forgets
//! no parked car and does not take a camera that was turned meanwhile for a sound one.
//!
//! Written now and then, because a killed agent says no goodbye, and when the
//! agent stops. A file that is damaged, of another version or of another camera
//! is said once and left aside: the camera then begins as a new one does.

use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use picture_health::Memory;
use protocol::{CameraId, Digest};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

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

/// A camera's file.
#[derive(Debug)]
pub(super) struct KeptFile<T> {
    matter: Matter,
    path: PathBuf,
    camera: CameraId,
    /// What was there at the start, until it is taken up.
    found: Option<T>,
    due: Instant,
    /// Whether the last attempt to write failed, so that it is said once.
    failed: bool,
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
            failed: false,
            matter,
        }
    }

    /// What was there at the start; once.
    pub(super) fn take(&mut self) -> Option<T> {
        self.found.take()
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// Writes, if that is due.
    pub(super) fn keep(&mut self, state: impl FnOnce() -> Option<T>) {
        // Until it is taken up, what is on disk is better than what is known.
        if self.found.is_none() && Instant::now() >= self.due {
            self.write(state());
            self.due = Instant::now() + self.matter.every;
        }
    }

    /// Writes now, unless there is nothing or what was there was not taken up.
    pub(super) fn write(&mut self, state: Option<T>) {
        let Some(state) = state.filter(|_| self.found.is_none()) else {
            return;
        };
        let saved = Saved {
            version: VERSION,
            camera: self.camera.clone(),
            state,
        };
        let written = write(&self.path, &saved);
        if let (Err(error), false) = (&written, self.failed) {
            tracing::warn!(
                camera = %self.camera, file = %self.path.display(), %error, "{}", self.matter.lost
            );
        }
        self.failed = written.is_err();
    }
}

fn write<T: Serialize>(path: &Path, saved: &Saved<T>) -> std::io::Result<()> {
    if let Some(folder) = path.parent() {
        std::fs::create_dir_all(folder)?;
    }
    let (draft, mut file) = Draft::create(path)?;
    file.write_all(&serde_json::to_vec(saved)?)?;
    file.sync_data()?;
    draft.keep()
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
}
