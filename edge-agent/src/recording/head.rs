//! What a recording that is no segment begins with: the detector that saw what
//! is recorded, and the cascades that took second looks.
//!
//! Without it nobody could say whether a rule that finds nothing was fed at
//! all. Recordings of before version 1 have no such line; what their detector
//! could give stays unknown.

use protocol::id::{CascadeId, ModelId};
use protocol::{Digest, ObjectClass};
use serde::{Deserialize, Serialize};

use crate::scene_setup::DetectorIdentity;

/// How the line begins.
pub(super) const MARK: &str = r#"{"recording":"#;
/// The version that is written, and the newest that is read.
const VERSION: u32 = 1;

/// The first line of a recording. Fields that are not known are ignored.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct RecordingHead {
    /// Of this line and of the lines that follow.
    pub version: u32,
    /// The detector's name in the catalogue.
    pub model: ModelId,
    /// SHA-256 of its file.
    pub model_digest: Digest,
    /// Every class that it can give; left out where that is not known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub classes: Option<Vec<ObjectClass>>,
    /// The cascades at work; left out by agents that did not say it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cascades: Option<Vec<CascadeId>>,
}

impl RecordingHead {
    /// Of what this detector sees, and these cascades.
    pub fn of(detector: &DetectorIdentity, cascades: Option<&[CascadeId]>) -> Self {
        Self {
            version: VERSION,
            model: detector.model.clone(),
            model_digest: detector.digest,
            classes: detector.classes.clone(),
            cascades: cascades.map(<[_]>::to_vec),
        }
    }

    /// The detector.
    pub fn detector(&self) -> DetectorIdentity {
        DetectorIdentity {
            model: self.model.clone(),
            digest: self.model_digest,
            classes: self.classes.clone(),
        }
    }

    pub(super) fn line(&self) -> serde_json::Result<Vec<u8>> {
        #[derive(Serialize)]
        struct Line<'a> {
            recording: &'a RecordingHead,
        }
        serde_json::to_vec(&Line { recording: self })
    }

    /// Reads the line; a newer version is refused, because its inputs might be
    /// misunderstood.
    pub(super) fn parse(line: &str) -> Result<Self, String> {
        #[derive(Deserialize)]
        struct Version {
            recording: Versioned,
        }
        #[derive(Deserialize)]
        struct Versioned {
            version: u32,
        }
        #[derive(Deserialize)]
        struct Line {
            recording: RecordingHead,
        }
        let version = serde_json::from_str::<Version>(line)
            .map_err(|error| error.to_string())?
            .recording
            .version;
        if version > VERSION {
            return Err(format!(
                "it is of version {version}, and this edge-agent reads up to {VERSION}: update it"
            ));
        }
        serde_json::from_str::<Line>(line)
            .map(|line| line.recording)
            .map_err(|error| error.to_string())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const KEPT: &str = r#"{"recording":{"version":1,"model":"road","model_digest":"0000000000000000000000000000000000000000000000000000000000000000","classes":["person","car"],"later":1}}"#;

    #[test]
    fn a_head_is_read_with_fields_of_later_and_refused_with_a_later_version() {
        let head = RecordingHead::parse(KEPT).unwrap();
        assert_eq!(
            head.classes,
            Some(vec![ObjectClass::Person, ObjectClass::Car])
        );
        let line = String::from_utf8(head.line().unwrap()).unwrap();
        assert!(line.starts_with(MARK), "{line}");
        assert_eq!(RecordingHead::parse(&line).unwrap(), head);
        // An older one says nothing of cascades, and that is not that there were none.
        assert_eq!(RecordingHead::of(&head.detector(), None), head);
        let none = RecordingHead::of(&head.detector(), Some(&[]));
        let line = String::from_utf8(none.line().unwrap()).unwrap();
        assert_eq!(RecordingHead::parse(&line).unwrap(), none);
        assert_ne!(none, head);
        let newer = KEPT.replace("\"version\":1", "\"version\":2");
        let refused = RecordingHead::parse(&newer).unwrap_err();
        assert!(refused.contains("update"), "{refused}");
    }
}
