//! A segment: a part of a rolling recording that can be replayed alone.
//!
//! Its first line is its [`SegmentHead`]. A segment begins with a *new* scene
//! that takes over what the head carries, live as in every replay: so whatever was
//! before, the same inputs give the same events.

use std::path::{Path, PathBuf};

use edge_core::SceneState;
use protocol::event::Provenance;
use protocol::id::{BoxId, CameraId, CascadeId, SiteId};
use protocol::{EventTime, ObjectClass};
use serde::{Deserialize, Serialize};

use super::{RecordingError, is_recording};
use crate::scene_setup::DetectorIdentity;

/// How the first line of a segment begins.
pub(super) const MARK: &str = r#"{"segment":"#;

/// Why a segment begins where it does.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Cut {
    /// The camera was started.
    Start,
    /// Recording goes on after a fault, and what was between is not recorded;
    /// or the first frame has told the picture's true proportions.
    Resumed,
    /// Nobody was there and nothing was remembered: the cut changed nothing.
    Quiescent,
    /// No event went on; dwells that had begun began anew.
    Calm,
    /// The segment before had become too long: what went on was ended.
    Forced,
    /// A word that this version does not know.
    #[serde(other)]
    Unknown,
}

/// By whom and in what circumstances a segment was recorded.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct SegmentHead {
    /// Installation.
    pub site: SiteId,
    /// Box.
    #[serde(rename = "box")]
    pub box_id: BoxId,
    /// Camera.
    pub camera: CameraId,
    /// When it was begun, by the box's clock.
    pub begun: EventTime,
    /// Why here.
    pub cut: Cut,
    /// Width over height for which the calibration was computed.
    pub aspect: f64,
    /// Versions and hashes that its events carry.
    pub provenance: Provenance,
    /// Every class that the detector can give; left out where that is not known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub classes: Option<Vec<ObjectClass>>,
    /// The cascades at work: those of the configuration that could begin. Left out by
    /// agents that did not say it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cascades: Option<Vec<CascadeId>>,
    /// What the new scene takes over.
    pub state: SceneState,
}

impl SegmentHead {
    /// Whether its scene goes on with what the one before had counted.
    pub(crate) fn is_continued(&self) -> bool {
        !matches!(self.cut, Cut::Start | Cut::Unknown)
    }

    /// The detector that saw what is recorded, where there was one.
    pub(crate) fn detector(&self) -> Option<DetectorIdentity> {
        let recorded = &self.provenance;
        Some(DetectorIdentity {
            model: recorded.model.clone()?,
            digest: recorded.model_digest?,
            classes: self.classes.clone(),
        })
    }

    /// The line, with its end.
    pub(super) fn line(&self) -> serde_json::Result<Vec<u8>> {
        #[derive(Serialize)]
        struct Line<'a> {
            segment: &'a SegmentHead,
        }
        let mut line = serde_json::to_vec(&Line { segment: self })?;
        line.push(b'\n');
        Ok(line)
    }

    pub(super) fn parse(line: &str) -> serde_json::Result<Self> {
        #[derive(Deserialize)]
        struct Line {
            segment: SegmentHead,
        }
        serde_json::from_str::<Line>(line).map(|line| line.segment)
    }
}

/// The recordings that `path` stands for, in order: a file itself; of a folder
/// its recordings by name; of a folder of cameras those of `camera`, or of the
/// only one.
pub fn series(path: &Path, camera: Option<&CameraId>) -> Result<Vec<PathBuf>, RecordingError> {
    let listed = |folder: &Path| -> Result<Vec<PathBuf>, RecordingError> {
        let failed = |error| RecordingError::File {
            path: folder.to_owned(),
            error,
        };
        let mut paths = Vec::new();
        for entry in std::fs::read_dir(folder).map_err(failed)? {
            paths.push(entry.map_err(failed)?.path());
        }
        paths.sort();
        Ok(paths)
    };
    if !path.is_dir() {
        return Ok(vec![path.to_owned()]);
    }
    let entries = listed(path)?;
    let recordings = |entries: &[PathBuf]| -> Vec<PathBuf> {
        let files = entries.iter().filter(|p| is_recording(p) && p.is_file());
        files.cloned().collect()
    };
    let own = recordings(&entries);
    if !own.is_empty() {
        return Ok(own);
    }
    let mut cameras = Vec::new();
    for folder in entries.iter().filter(|entry| entry.is_dir()) {
        let files = recordings(&listed(folder)?);
        if !files.is_empty() {
            let name = folder.file_name().unwrap_or_default();
            cameras.push((name.to_string_lossy().into_owned(), files));
        }
    }
    let names: Vec<String> = cameras.iter().map(|(name, _)| name.clone()).collect();
    let chosen = match camera {
        Some(camera) => cameras
            .into_iter()
            .find(|(name, _)| name == camera.as_str()),
        None if cameras.len() == 1 => cameras.pop(),
        None => None,
    };
    chosen
        .map(|(_, files)| files)
        .ok_or_else(|| RecordingError::Which {
            path: path.to_owned(),
            names,
        })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_folder_stands_for_its_segments_in_order_and_a_folder_of_cameras_for_one_of_them() {
        let dir = tempfile::tempdir().unwrap();
        for name in [
            "gate/000002-b.inputs.jsonl.gz",
            "gate/000001-z.inputs.jsonl.gz",
            "gate/notes.txt",
        ] {
            let path = dir.path().join(name);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, "").unwrap();
        }
        let names = |path: &Path, camera: Option<&str>| -> Result<Vec<String>, String> {
            let camera = camera.map(|id| CameraId::new(id).unwrap());
            let name = |path: &PathBuf| path.file_name().unwrap().to_string_lossy().into_owned();
            series(path, camera.as_ref())
                .map(|paths| paths.iter().map(name).collect())
                .map_err(|error| error.to_string())
        };
        let both = vec![
            "000001-z.inputs.jsonl.gz".to_owned(),
            "000002-b.inputs.jsonl.gz".to_owned(),
        ];
        assert_eq!(names(&dir.path().join("gate"), None), Ok(both.clone()));
        assert_eq!(names(dir.path(), None), Ok(both.clone()));
        std::fs::create_dir(dir.path().join("yard")).unwrap();
        std::fs::write(dir.path().join("yard/a.jsonl"), "").unwrap();
        assert_eq!(names(dir.path(), Some("gate")), Ok(both));
        let refused = names(dir.path(), None).unwrap_err();
        assert!(
            refused.contains("gate, yard") && refused.contains("--camera"),
            "{refused}"
        );
    }
}
