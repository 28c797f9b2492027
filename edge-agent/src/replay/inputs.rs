//! Plays recorded inputs: of a file, or of all the segments of a camera in order.
//!
//! A segment begins with a new scene that goes on with the state in its head,
//! as it did live. A recording without a head (`replay --record-inputs`) is
//! one scene from its first line to its last.

use std::collections::VecDeque;
use std::path::{Path, PathBuf};

use edge_core::{Input, Scene};
use protocol::id::CascadeId;
use protocol::{CameraId, EventTime};

use crate::config::{AgentConfig, CameraConfig};
use crate::recording::{
    Entry, RecordingError, RecordingHead, RecordingReader, SegmentHead, series,
};
use crate::scene_setup::{self, DetectorIdentity};

/// The camera that is asked for, or the only one.
pub(crate) fn choose_camera<'a>(
    config: &'a AgentConfig,
    wanted: Option<&CameraId>,
) -> Result<&'a CameraConfig, WhichCamera> {
    let names = || {
        config
            .cameras
            .iter()
            .map(|c| c.id.as_str())
            .collect::<Vec<_>>()
            .join(", ")
    };
    let told = match (wanted, config.cameras.as_slice()) {
        (_, []) => format!("{} has no [[camera]]", config.file.display()),
        (None, [only]) => return Ok(only),
        (None, _) => format!(
            "which camera's zones and rules? add --camera, one of: {}",
            names()
        ),
        (Some(id), cameras) => match cameras.iter().find(|camera| camera.id == *id) {
            Some(camera) => return Ok(camera),
            None => format!("there is no camera `{id}`; there are: {}", names()),
        },
    };
    Err(WhichCamera(told))
}

/// The command line does not say which camera is meant.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub(crate) struct WhichCamera(String);

/// Plays a recording, scene by scene.
pub(crate) struct Player<'a> {
    config: &'a AgentConfig,
    camera: &'a CameraConfig,
    files: VecDeque<PathBuf>,
    path: PathBuf,
    reader: Option<RecordingReader>,
    /// Read ahead: where the next scene begins.
    head: Option<Box<SegmentHead>>,
    /// Inputs that came before the scene could be made.
    waiting: VecDeque<Input>,
    scene: Option<Scene>,
    /// Which saw what is recorded, where the recording says so.
    detector: Option<DetectorIdentity>,
    /// Which cascades were at work then, where the recording says so.
    cascades: Option<Vec<CascadeId>>,
    frames: u64,
    warnings: Vec<String>,
    /// Whether there are several files, of which one that is damaged does not
    /// keep the others from being played.
    is_series: bool,
    damage: Vec<String>,
    /// Frames that were not later than the one before.
    out_of_order: u64,
    /// The latest frame, and how often one was earlier by a clock that was set back.
    latest: Option<EventTime>,
    set_back: u64,
}

/// What was played.
pub(crate) struct Played {
    /// Frames.
    pub(crate) frames: u64,
    /// What should be known about it.
    pub(crate) warnings: Vec<String>,
    /// Files that could not be read, or not to their end, and why.
    pub(crate) damage: Vec<String>,
}

impl<'a> Player<'a> {
    /// Opens a recording, or a folder of them.
    pub(crate) fn open(
        path: &Path,
        config: &'a AgentConfig,
        camera: Option<&CameraId>,
    ) -> anyhow::Result<Self> {
        let mut files = VecDeque::from(series(path, camera)?);
        let is_series = files.len() > 1;
        let mut damage = Vec::new();
        let (path, reader, first) = loop {
            let path = files.pop_front().unwrap_or_else(|| path.to_owned());
            let opened = RecordingReader::open(&path)
                .and_then(|mut reader| Ok((reader.next_entry()?, reader)));
            match opened {
                Ok((first, reader)) => break (path, reader, first),
                Err(error) if files.is_empty() => return Err(error.into()),
                Err(error) => damage.push(format!("left out: {error}")),
            }
        };
        let recorded = match &first {
            Some(Entry::Segment(head)) => Some(head.camera.clone()),
            _ => None,
        };
        // A segment says itself whose it is.
        let recorded = recorded.filter(|id| config.cameras.iter().any(|c| c.id == *id));
        let camera = choose_camera(config, camera.or(recorded.as_ref()))?;
        let mut player = Self {
            config,
            camera,
            files,
            path,
            reader: Some(reader),
            head: None,
            waiting: VecDeque::new(),
            scene: None,
            detector: None,
            cascades: None,
            frames: 0,
            damage,
            warnings: Vec::new(),
            is_series,
            out_of_order: 0,
            latest: None,
            set_back: 0,
        };
        match first {
            Some(Entry::Segment(head)) => player.head = Some(head),
            Some(Entry::Head(head)) => player.hear(head),
            Some(Entry::Input(input)) => player.waiting.push_back(input),
            None => player.reader = None,
        }
        Ok(player)
    }

    /// From now on a damaged file is played as far as it goes, also where it is
    /// the only one.
    pub(crate) fn endure_damage(&mut self) {
        self.is_series = true;
    }

    /// Whose zones and rules are used.
    pub(crate) fn camera(&self) -> &'a CameraConfig {
        self.camera
    }

    /// The scene that is playing.
    pub(crate) fn scene(&self) -> Option<&Scene> {
        self.scene.as_ref()
    }

    /// Which detector saw what the scene at hand is shown, where the recording says so.
    pub(crate) fn detector(&self) -> Option<&DetectorIdentity> {
        self.detector.as_ref()
    }

    /// Which cascades were at work then, where the recording says so.
    pub(crate) fn cascades(&self) -> Option<&[CascadeId]> {
        self.cascades.as_deref()
    }

    /// Whether the next scene goes on with the accounts of the one at hand.
    pub(crate) fn is_continued(&self) -> bool {
        self.head.as_ref().is_some_and(|head| head.is_continued())
    }

    /// Begins the next scene; `None` at the end.
    pub(crate) fn next_scene(&mut self) -> anyhow::Result<Option<&mut Scene>> {
        self.account();
        if self.head.is_none() && self.waiting.is_empty() {
            match self.read()? {
                None => return Ok(None),
                Some(Entry::Segment(head)) => self.head = Some(head),
                Some(Entry::Input(input)) => self.waiting.push_back(input),
                Some(Entry::Head(_)) => {}
            }
        }
        let made = match self.head.take() {
            Some(head) => self.resumed(*head)?,
            None => self.unheaded()?,
        };
        Ok(Some(self.scene.insert(made)))
    }

    /// The next input of the scene at hand; `None` when it is over.
    pub(crate) fn next_input(&mut self) -> anyhow::Result<Option<(&mut Scene, Input)>> {
        let input = match self.waiting.pop_front() {
            Some(input) => input,
            None if self.head.is_some() => return Ok(None),
            None => match self.read()? {
                None => return Ok(None),
                Some(Entry::Segment(head)) => {
                    self.head = Some(head);
                    return Ok(None);
                }
                Some(Entry::Input(input)) => input,
                Some(Entry::Head(_)) => return self.next_input(),
            },
        };
        if let Input::Detections(frame) = &input {
            self.frames += 1;
            let was = self.latest.replace(frame.time);
            self.set_back += u64::from(was.is_some_and(|was| frame.time < was));
        }
        Ok(self.scene.as_mut().map(|scene| (scene, input)))
    }

    /// What was played; whether that is all.
    pub(crate) fn finish(mut self, is_whole: bool) -> Played {
        self.account();
        if self.frames == 0 && is_whole {
            let path = self.path.clone();
            self.warn(RecordingError::Empty { path }.to_string());
        }
        if self.out_of_order > 0 {
            self.warn(format!(
                "{} frame(s) were not later than the frame before and were left out, as the box \
                 does; sort the recording by time if that was not meant",
                self.out_of_order
            ));
        }
        if self.set_back > 0 {
            self.warn(format!(
                "time went backwards {} time(s) in the recording: its lines are out of order, or \
                 the clock was set back",
                self.set_back
            ));
        }
        Played {
            frames: self.frames,
            warnings: self.warnings,
            damage: self.damage,
        }
    }

    /// No more is coming of the scene at hand.
    fn account(&mut self) {
        if let Some(scene) = self.scene.take() {
            self.out_of_order += scene.refused().frames_out_of_order;
        }
    }

    fn warn(&mut self, warning: String) {
        if !self.warnings.contains(&warning) {
            self.warnings.push(warning);
        }
    }

    /// The next line, of whichever file.
    fn read(&mut self) -> Result<Option<Entry>, RecordingError> {
        loop {
            let Some(reader) = &mut self.reader else {
                let Some(next) = self.files.pop_front() else {
                    return Ok(None);
                };
                // A folder is written to while it is read; its oldest may be gone.
                self.reader = match RecordingReader::open(&next) {
                    Ok(reader) => Some(reader),
                    Err(error) => {
                        let is_gone = matches!(
                            &error,
                            RecordingError::File { error, .. }
                                if error.kind() == std::io::ErrorKind::NotFound
                        );
                        let told = format!("left out: {error}");
                        if is_gone {
                            self.warn(told);
                        } else {
                            self.damage.push(told);
                        }
                        None
                    }
                };
                self.path = next;
                continue;
            };
            match reader.next_entry() {
                Ok(Some(Entry::Head(head))) => {
                    self.hear(head);
                    continue;
                }
                Ok(Some(entry)) => return Ok(Some(entry)),
                Ok(None) => {}
                // The head of the next one has all that its scene needs.
                Err(error) if self.is_series => {
                    self.damage.push(format!("left out from there on: {error}"));
                    self.reader = None;
                    continue;
                }
                Err(error) => return Err(error),
            }
            if reader.is_cut() {
                let path = self.path.display().to_string();
                self.warn(format!(
                    "{path} has no proper end: it is being written, was cut in copying, or the \
                     agent was killed while it wrote; it is replayed as far as it goes"
                ));
            }
            self.reader = None;
        }
    }

    /// A recording that is no segment says who saw it.
    fn hear(&mut self, head: RecordingHead) {
        self.detector = Some(head.detector());
        self.cascades = head.cascades;
    }

    /// The camera with the cascades that were at work when the recording was made, and no
    /// others: rules judge differently by a cascade that says nothing than without it.
    fn as_recorded(&mut self) -> CameraConfig {
        let configured = self.camera.cascade_ids();
        let Some(recorded) = self.cascades.clone() else {
            if !configured.is_empty() {
                self.warn(format!(
                    "the recording does not say which cascades were at work, as an older agent made                      it: all of the configuration are taken to have been ({}). Where one could not                      begin then, events may differ from those that were published; take it out of                      the configuration for the same",
                    names(&configured)
                ));
            }
            return self.camera.clone();
        };
        let beside = |these: &[CascadeId], others: &[CascadeId]| -> Vec<CascadeId> {
            let beside = these.iter().filter(|id| !others.contains(id));
            beside.cloned().collect()
        };
        let (idle, unknown) = (
            beside(&configured, &recorded),
            beside(&recorded, &configured),
        );
        if !idle.is_empty() {
            self.warn(format!(
                "recorded without the cascades {}, which were not at work then: they are left out,                  and rules see what they saw then",
                names(&idle)
            ));
        }
        if !unknown.is_empty() {
            self.warn(format!(
                "recorded with the cascades {}, which are not in the configuration: what they said                  counts for nothing, and events may differ from those that were published then;                  replay with the configuration of that time for the same",
                names(&unknown)
            ));
        }
        self.camera.with_only(&recorded)
    }

    /// The scene that a segment begins with.
    fn resumed(&mut self, head: SegmentHead) -> anyhow::Result<Scene> {
        self.detector = head.detector();
        self.cascades = head.cascades;
        let recorded = head.provenance;
        let camera = self.as_recorded();
        let mut scene = scene_setup::scene(
            &self.config.identity,
            &camera,
            self.detector.as_ref(),
            head.aspect,
        )?;
        let now = &scene.identity().provenance;
        let mut differs = Vec::new();
        if now.configuration != recorded.configuration {
            differs.push("another configuration of the camera");
        }
        if now.calibration != recorded.calibration {
            differs.push("another calibration");
        }
        if now.agent != recorded.agent {
            differs.push("another version of the agent");
        }
        let identity = scene.identity();
        if (&identity.site, &identity.box_id, &identity.camera)
            != (&head.site, &head.box_id, &head.camera)
        {
            differs.push("another site, box or camera (so events have other ids)");
        }
        if !differs.is_empty() {
            self.warn(format!(
                "recorded with {}: events may differ from those that were published then; replay \
                 with the configuration of that time for the same",
                differs.join(", ")
            ));
        }
        scene.resume(head.state);
        Ok(scene)
    }

    /// The scene of a recording without a head: the first frame tells the
    /// proportions that a calibration needs.
    fn unheaded(&mut self) -> anyhow::Result<Scene> {
        let aspect = loop {
            if let Some(Input::Detections(frame)) = self.waiting.back() {
                break frame.aspect;
            }
            match self.read()? {
                Some(Entry::Input(input)) => self.waiting.push_back(input),
                Some(Entry::Segment(head)) => {
                    self.head = Some(head);
                    break 16.0 / 9.0;
                }
                Some(Entry::Head(_)) => {}
                None => break 16.0 / 9.0,
            }
        };
        let camera = self.as_recorded();
        Ok(scene_setup::scene(
            &self.config.identity,
            &camera,
            self.detector.as_ref(),
            aspect,
        )?)
    }
}

fn names(cascades: &[CascadeId]) -> String {
    let names: Vec<&str> = cascades.iter().map(CascadeId::as_str).collect();
    names.join(", ")
}
