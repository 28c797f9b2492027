//! `run --record DIR`: everything that a camera's scene sees, kept as long as
//! there is room.
//!
//! Recording never hinders watching: what cannot be written is not written, is
//! said, and is tried again at the next instant at which a segment may begin. What
//! takes long is done by the [`Keeper`](super::keeper::Keeper).
//! What was written is readable after kill -9: an input is written before the
//! scene sees it, and handed to the system before an event of it is published.
//! A power cut may cost what the system had not yet put on the disk.

mod open_segment;
mod store;
mod trouble;

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::{Duration, Instant};

use edge_core::{Input, Output, Scene};
use protocol::Phase;
use protocol::event::Words;
use protocol::id::{CameraId, EventId};

use super::keeper::Chore;
use super::segment::{Cut, SegmentHead};
use open_segment::OpenSegment;
pub use store::{Limits, RecordStore};

/// How long after a fault until recording is tried again.
const RETRY_AFTER: Duration = Duration::from_mins(1);
/// After this long a fault, recording begins again also where somebody is in sight.
const RESUME_AT_LEAST: Duration = Duration::from_mins(10);

/// How a camera's recording goes, for metrics.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct RecorderCounters {
    /// Whether inputs are being recorded now.
    pub is_recording: bool,
    /// Bytes written.
    pub bytes: u64,
    /// Segments begun.
    pub segments: u64,
    /// Cuts that ended something that went on.
    pub forced: u64,
    /// Times that recording stopped because it could not be written.
    pub failures: u64,
}

/// Records one camera.
pub struct Recorder {
    store: Arc<RecordStore>,
    camera: CameraId,
    segment: Option<OpenSegment>,
    /// Since when it cannot be written, and when to try again.
    fault: Option<(Instant, Instant)>,
    /// Why it cannot be written.
    trouble: Option<Words>,
    /// Of its newest segment, where that is known.
    number: Option<u64>,
    /// Events that go on.
    open: BTreeSet<EventId>,
    counters: RecorderCounters,
    /// Bytes of the segments before.
    earlier_bytes: u64,
}

impl Recorder {
    /// Records nothing until [`begin`](Self::begin).
    pub fn new(store: Arc<RecordStore>, camera: CameraId) -> Self {
        Self {
            store,
            camera,
            segment: None,
            number: None,
            fault: None,
            trouble: None,
            open: BTreeSet::new(),
            counters: RecorderCounters::default(),
            earlier_bytes: 0,
        }
    }

    /// How it goes.
    pub fn counters(&self) -> RecorderCounters {
        RecorderCounters {
            is_recording: self.segment.is_some(),
            bytes: self.earlier_bytes + self.segment.as_ref().map_or(0, OpenSegment::bytes),
            ..self.counters
        }
    }

    /// Why inputs are not recorded, and what to do; `None` when nothing is wrong.
    pub fn trouble(&self) -> Option<&Words> {
        self.trouble.as_ref()
    }

    /// Whether nothing was recorded yet.
    pub fn is_new(&self) -> bool {
        self.segment.is_none() && self.fault.is_none()
    }

    /// Whether the segment should end here, and how.
    pub fn due(&self, scene: &Scene) -> Option<Cut> {
        let Some(segment) = &self.segment else {
            let now = Instant::now();
            let (since, again) = self.fault.unwrap_or((now, now));
            // A busy road is never quiescent; then a moment without events has to do.
            let is_long = now - since >= RESUME_AT_LEAST && self.open.is_empty();
            let may = now >= again && (scene.is_quiescent() || is_long);
            let cut = if self.fault.is_some() {
                Cut::Resumed
            } else {
                Cut::Start
            };
            return may.then_some(cut);
        };
        let (limits, share) = (&self.store.limits, self.store.share());
        let (age, bytes) = (segment.begun.elapsed(), segment.bytes());
        if age >= limits.longest || bytes >= share / 2 {
            return Some(Cut::Forced);
        }
        let is_long = age >= limits.longest / 2 || bytes >= share / 4;
        if is_long && self.open.is_empty() {
            return Some(Cut::Calm);
        }
        let is_usual = age >= limits.usual || bytes >= share / 16;
        (is_usual && scene.is_quiescent()).then_some(Cut::Quiescent)
    }

    /// Ends the segment at hand and begins the next with `head`.
    pub fn begin(&mut self, head: &SegmentHead) {
        self.finish();
        let (store, camera) = (&self.store, &self.camera);
        // Once: there may be thousands.
        let last = self.number.map_or_else(|| store.newest(camera), Ok);
        let made = last
            .and_then(|last| {
                self.number = Some(last + 1);
                store.begin(camera, last + 1, head.begun)
            })
            .and_then(|(path, file)| OpenSegment::begin(path, file, head));
        match made {
            Ok(segment) => {
                tracing::debug!(camera = %self.camera, path = %segment.path.display(), cut = ?head.cut, "recording");
                self.trouble = None;
                if self.fault.take().is_some() {
                    tracing::info!(camera = %self.camera, "inputs are recorded again");
                }
                self.counters.segments += 1;
                self.counters.forced += u64::from(head.cut == Cut::Forced);
                self.segment = Some(segment);
            }
            Err(error) => self.fail(&error),
        }
    }

    /// Takes an input, before the scene sees it.
    pub fn note(&mut self, input: &Input) {
        let Some(segment) = &mut self.segment else {
            return;
        };
        if let Err(error) = segment.note(input) {
            return self.fail(&error);
        }
        if segment.wants_room() {
            self.store.ask(Chore::MakeRoom);
            if let Err(error) = self.store.must_be_kept() {
                self.fail(&error);
            }
        }
    }

    /// Takes what the scene said to it, before anything of it is published.
    pub fn heard(&mut self, outputs: &[Output]) {
        let mut is_event = false;
        for output in outputs {
            if let Output::Event(event) = output {
                is_event = true;
                match event.phase {
                    Phase::Start if event.ended.is_none() => {
                        self.open.insert(event.id);
                    }
                    Phase::End => {
                        self.open.remove(&event.id);
                    }
                    Phase::Start | Phase::Update => {}
                }
            }
        }
        if is_event
            && let Some(segment) = &mut self.segment
            && let Err(error) = segment.flush()
        {
            self.fail(&error);
        }
    }

    /// Ends the segment at hand.
    pub fn finish(&mut self) {
        if let Some(segment) = self.segment.take() {
            self.earlier_bytes += segment.bytes();
            let path = segment.path.clone();
            match segment.end() {
                Ok(ended) => self.store.ask(ended),
                Err(error) => {
                    tracing::warn!(path = %path.display(), %error, "the end of a recording is not on disk");
                    self.counters.failures += 1;
                }
            }
        }
        self.store.leave(&self.camera);
    }

    /// Nothing more is recorded until a segment can begin again; watching goes on.
    fn fail(&mut self, error: &std::io::Error) {
        if self.fault.is_none() {
            tracing::error!(
                camera = %self.camera, dir = %self.store.dir.display(), %error,
                "inputs are not recorded: give the disk room or correct [record] dir; watching \
                 goes on, and recording is tried again every minute"
            );
        }
        self.trouble = Some(if self.store.has_lost_its_keeper() {
            trouble::no_keeper()
        } else {
            trouble::of(error)
        });
        self.counters.failures += 1;
        let now = Instant::now();
        let since = self.fault.map_or(now, |(since, _)| since);
        self.fault = Some((since, now + RETRY_AFTER));
        if let Some(segment) = self.segment.take() {
            self.earlier_bytes += segment.bytes();
            // Its end would be written as well; dropping it tries and gives up silently.
            drop(segment);
        }
        self.number = None;
        self.store.leave(&self.camera);
    }
}

impl Drop for Recorder {
    fn drop(&mut self) {
        self.finish();
    }
}

#[cfg(test)]
mod tests;
