//! The folder of all cameras' recordings: room for them, and the names of their segments.
//!
//! It deletes nothing and waits for nothing: both are the [`Keeper`]'s.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use crossbeam_channel::Sender;
use protocol::EventTime;
use protocol::id::CameraId;

use crate::recording::keeper::{Active, Chore, Fallen, Keeper};

/// How long segments are, and how much room all of them have.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Limits {
    /// Room for all cameras together, bytes.
    pub budget: u64,
    /// How long a segment is kept after its end; `None`: as long as there is room.
    pub keep: Option<Duration>,
    /// A segment is ended at a quiescent instant from this age on.
    pub usual: Duration,
    /// A segment is ended at any cost at this age.
    pub longest: Duration,
}

/// The folder of all cameras' segments, and its budget.
#[derive(Debug)]
pub struct RecordStore {
    pub(super) dir: PathBuf,
    pub(super) limits: Limits,
    cameras: u64,
    active: Active,
    /// What takes as long as the disk does.
    chores: Sender<Chore>,
    keeper_has_fallen: Fallen,
}

impl RecordStore {
    /// For so many cameras, and who looks after what they write.
    pub fn new(dir: &Path, limits: Limits, cameras: usize) -> (Arc<Self>, Keeper) {
        let active = Active::default();
        let (chores, keeper_has_fallen, keeper) = Keeper::new(dir, limits, &active);
        let store = Self {
            dir: dir.to_owned(),
            limits,
            cameras: cameras.max(1) as u64,
            active,
            chores,
            keeper_has_fallen,
        };
        (Arc::new(store), keeper)
    }

    /// A camera's share of the room, bytes.
    pub(super) fn share(&self) -> u64 {
        self.limits.budget / self.cameras
    }

    /// The number of the newest segment of `camera`, 0 where there is none.
    pub(super) fn newest(&self, camera: &CameraId) -> std::io::Result<u64> {
        let folder = self.dir.join(camera.as_str());
        std::fs::create_dir_all(&folder)?;
        let mut last = 0_u64;
        for entry in std::fs::read_dir(&folder)? {
            let name = entry?.file_name();
            let number = name.to_string_lossy();
            let number = number.split('-').next().and_then(|n| n.parse().ok());
            last = last.max(number.unwrap_or(0));
        }
        Ok(last)
    }

    /// Opens the next segment of `camera`.
    pub(super) fn begin(
        &self,
        camera: &CameraId,
        number: u64,
        begun: EventTime,
    ) -> std::io::Result<(PathBuf, File)> {
        self.must_be_kept()?;
        // By number, because a box's clock may be set back between two segments.
        let stamp: String = begun.to_string();
        let stamp: String = stamp.chars().filter(|c| !matches!(c, '-' | ':')).collect();
        let stamp = stamp.split('.').next().unwrap_or(&stamp);
        let folder = self.dir.join(camera.as_str());
        let path = folder.join(format!("{number:08}-{stamp}Z.inputs.jsonl.gz"));
        // First, so that a file is never there of which nobody knows that it is written.
        self.active.lock().insert(camera.clone(), path.clone());
        let file = File::options().write(true).create_new(true).open(&path)?;
        self.ask(Chore::MakeRoom);
        Ok((path, file))
    }

    /// Nothing is written for `camera` any more.
    pub(super) fn leave(&self, camera: &CameraId) {
        self.active.lock().remove(camera);
    }

    /// Whether nobody deletes the oldest recordings any more.
    pub(super) fn has_lost_its_keeper(&self) -> bool {
        self.keeper_has_fallen.is_set()
    }

    /// Nobody may fill the disk that outbox and evidence need as well.
    pub(super) fn must_be_kept(&self) -> std::io::Result<()> {
        if self.has_lost_its_keeper() {
            return Err(std::io::Error::other(
                "what deletes the oldest recordings has ended by a fault of the agent; restart the agent \
                 and report its log",
            ));
        }
        Ok(())
    }

    /// Never waits; a chore for which there is no room is not missed.
    pub(super) fn ask(&self, chore: Chore) {
        self.chores.try_send(chore).ok();
    }
}
