//! Who stands parked, kept on disk so that a restart of the agent forgets no parked car.
//!
//! Written once a minute, because a killed agent says no goodbye, and when the
//! agent stops. A file that is damaged, of another version or of another camera
//! is said once and left aside: the camera then begins with an empty road.

use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use edge_core::SceneState;
use protocol::CameraId;
use serde::{Deserialize, Serialize};

use crate::draft::Draft;

/// Folder within the box's store.
const FOLDER: &str = "parked";
/// How often the file is written while the agent runs.
const EVERY: Duration = Duration::from_mins(1);
/// The form that this program writes and reads.
const VERSION: u32 = 1;
/// A camera's parked cars are some kilobytes; more is not our file.
const MOST_BYTES: u64 = 4 * 1024 * 1024;

#[derive(Serialize, Deserialize)]
struct Saved {
    version: u32,
    camera: CameraId,
    state: SceneState,
}

/// A camera's file.
#[derive(Debug)]
pub(super) struct ParkedFile {
    path: PathBuf,
    camera: CameraId,
    /// What was there at the start, until it is taken up.
    found: Option<SceneState>,
    due: Instant,
    /// Whether the last attempt to write failed, so that it is said once.
    failed: bool,
}

impl ParkedFile {
    /// Reads what an earlier run has left in the box's store.
    pub(super) fn open(store: &Path, camera: &CameraId) -> Self {
        let path = store.join(FOLDER).join(format!("{camera}.json"));
        let found = match read(&path, camera) {
            Ok(found) => found,
            Err(reason) => {
                tracing::warn!(
                    %camera, file = %path.display(), reason,
                    "who was parked before is not known; the file is written anew"
                );
                None
            }
        };
        Self {
            path,
            camera: camera.clone(),
            found,
            due: Instant::now() + EVERY,
            failed: false,
        }
    }

    /// What was there at the start; once.
    pub(super) fn take(&mut self) -> Option<SceneState> {
        self.found.take().filter(SceneState::has_parked)
    }

    /// Writes, if that is due.
    pub(super) fn keep(&mut self, state: impl FnOnce() -> SceneState) {
        // Until it is taken up, what is on disk is better than what is known.
        if self.found.is_none() && Instant::now() >= self.due {
            self.write(state());
            self.due = Instant::now() + EVERY;
        }
    }

    /// Writes now, unless nothing was seen since the start.
    pub(super) fn write(&mut self, state: SceneState) {
        if self.found.is_some() {
            return;
        }
        let saved = Saved {
            version: VERSION,
            camera: self.camera.clone(),
            state: state.across_restart(),
        };
        let written = write(&self.path, &saved);
        if let (Err(error), false) = (&written, self.failed) {
            tracing::warn!(
                camera = %self.camera, file = %self.path.display(), %error,
                "who is parked cannot be kept for a restart; free room or let the agent write there"
            );
        }
        self.failed = written.is_err();
    }
}

fn write(path: &Path, saved: &Saved) -> std::io::Result<()> {
    if let Some(folder) = path.parent() {
        std::fs::create_dir_all(folder)?;
    }
    let (draft, mut file) = Draft::create(path)?;
    file.write_all(&serde_json::to_vec(saved)?)?;
    file.sync_data()?;
    draft.keep()
}

/// What the file holds; `None` where there is none.
fn read(path: &Path, camera: &CameraId) -> Result<Option<SceneState>, String> {
    match std::fs::metadata(path) {
        Ok(about) if about.len() > MOST_BYTES => return Err("it is too large".to_owned()),
        Ok(_) => {}
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(error.to_string()),
    }
    let text = std::fs::read(path).map_err(|error| error.to_string())?;
    let saved: Saved = serde_json::from_slice(&text).map_err(|error| error.to_string())?;
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

    fn camera(name: &str) -> CameraId {
        CameraId::new(name).unwrap()
    }

    #[test]
    fn what_is_written_is_found_by_the_same_camera_only() {
        let dir = tempfile::tempdir().unwrap();
        let mut file = ParkedFile::open(dir.path(), &camera("north"));
        assert_eq!(file.take(), None);
        file.write(state());
        let mut again = ParkedFile::open(dir.path(), &camera("north"));
        // Not overwritten before it was taken up.
        again.write(state());
        assert_eq!(again.take(), Some(state()));
        std::fs::rename(
            dir.path().join("parked/north.json"),
            dir.path().join("parked/south.json"),
        )
        .unwrap();
        assert_eq!(ParkedFile::open(dir.path(), &camera("south")).take(), None);
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
            let mut file = ParkedFile::open(dir.path(), &camera("north"));
            assert_eq!(file.take(), None, "{damage}");
            file.write(state());
            assert_eq!(
                ParkedFile::open(dir.path(), &camera("north")).take(),
                Some(state())
            );
        }
    }
}
