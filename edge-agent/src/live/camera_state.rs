//! What is known of one camera at any moment, shared between its threads.

mod coverage;
mod drops;
mod latency;
mod looks;
mod status;

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, AtomicU8, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError, Weak};
use std::time::{Duration, Instant};

use edge_cascade::Passed;
use edge_core::{Attention, CoverageHour, Refused};
use edge_scheduler::Counters;
use edge_video::encoded::{Ring, RingState};
use edge_video::{CameraStream, DecoderInUse, Frame, StreamCounters};
use models::Crop;
use motion_gate::{Reason, Verdict};
use protocol::event::Words;
use protocol::id::CascadeId;
use protocol::status::{CameraHealth, CameraStatus, StreamStatus};
use protocol::{CameraId, Detection, Event, EventTime, TimeQuality};

use coverage::CoverageAccount;
pub(crate) use drops::{Arrived, Drops};
use latency::EventLatency;
use looks::LookRate;
pub(crate) use looks::{Looks, SecondLookCounts};

use super::main_looks::SharedCounts;
use super::model_state::{Job, ModelState};
use super::shadow::Shadow;
use super::supervision::Pulse;
use crate::config::{AgentConfig, CameraConfig, SourceConfig};
use crate::recording::rolling::RecorderCounters;
use crate::scene_setup::DetectorIdentity;

/// See [`CameraState::clock_uncertainty_s`].
const ARRIVAL_UNCERTAINTY_S: f64 = 1.0;

/// So many failures of the detector in a row are no chance.
const BLIND_AFTER: u64 = 3;

/// A camera's health and counters.
pub(crate) struct CameraState {
    fixed: CameraStatus,
    inner: Mutex<Inner>,
    /// [`Attention`] as a number.
    attention: AtomicU8,
    /// A second model that is shown some of the pictures.
    shadow: OnceLock<Arc<Shadow>>,
    /// What looks at the pictures.
    detector: OnceLock<Arc<ModelState>>,
    /// What looks at them besides.
    second: OnceLock<Vec<Arc<ModelState>>>,
    /// Cascades that could not begin, and why.
    without: OnceLock<Words>,
    /// Second looks at the main stream, where another is looked at.
    main_looks: SharedCounts,
    /// Whether its scene goes on.
    pulse: Pulse,
    /// Whether the box goes on without a scene of it.
    is_given_up: AtomicBool,
    /// Whether its pictures are taken now; what is played was captured long ago.
    is_live: bool,
}

#[derive(Default)]
struct Inner {
    stream: Weak<CameraStream>,
    /// Pictures of the stream that is only kept.
    evidence_ring: Weak<Ring>,
    /// Counters of the stream when it was last seen, so that they survive it.
    counters: StreamCounters,
    /// What decodes it, or did last.
    decoder: Option<DecoderInUse>,
    health: Option<(CameraHealth, Option<Words>, EventTime)>,
    /// Of the stream that is only kept.
    evidence_stream: Option<StreamStatus>,
    analysed: u64,
    looked: LookRate,
    dropped_busy: u64,
    dropped_failed: u64,
    failed_in_a_row: u64,
    /// Frames that the detector has looked at and that reached the rules.
    well_looked_at: u64,
    dropped_frozen: u64,
    without_stills: u64,
    /// Clips by what became of them.
    clips: BTreeMap<&'static str, u64>,
    time_quality: Option<TimeQuality>,
    events: BTreeMap<String, u64>,
    latency: EventLatency,
    recorder: Option<RecorderCounters>,
    /// Why inputs are not recorded.
    recorder_trouble: Option<Words>,
    looks: Looks,
    second_looks: SecondLookCounts,
    coverage: CoverageAccount,
}

impl CameraState {
    pub(crate) fn new(
        config: &AgentConfig,
        camera: &CameraConfig,
        detector: Option<&DetectorIdentity>,
    ) -> Self {
        let at = super::now();
        let fixed = CameraStatus {
            site: config.identity.site.clone(),
            box_id: config.identity.id.clone(),
            camera: camera.id.clone(),
            name: camera.name.clone(),
            place: camera.place.clone(),
            simulated: camera.simulated,
            health: CameraHealth::Connecting,
            reason: None,
            since: at,
            at,
            retries: 0,
            frames_received: 0,
            frames_analysed: 0,
            frames_dropped: 0,
            analysed_fps: 0.0,
            time_quality: None,
            // What a recording holds was seen by another detector.
            model: detector
                .filter(|_| matches!(camera.source, SourceConfig::Rtsp(_)))
                .map(|d| d.model.clone()),
            coverage: Vec::new(),
            coverage_left_out: 0,
            evidence_stream: None,
            recording: None,
            decoder: None,
            detector: None,
            second_models: Vec::new(),
        };
        Self {
            fixed,
            inner: Mutex::default(),
            attention: AtomicU8::new(Attention::Nobody as u8),
            shadow: OnceLock::new(),
            detector: OnceLock::new(),
            second: OnceLock::new(),
            without: OnceLock::new(),
            main_looks: SharedCounts::default(),
            pulse: Pulse::default(),
            is_given_up: AtomicBool::new(false),
            is_live: matches!(camera.source, SourceConfig::Rtsp(_)),
        }
    }

    /// Whether its scene goes on.
    pub(super) fn pulse(&self) -> &Pulse {
        &self.pulse
    }

    /// The box goes on without a scene of it.
    pub(super) fn give_up(&self, why: Words) {
        self.set_health(CameraHealth::Lost, Some(why));
        self.is_given_up.store(true, Ordering::Release);
    }

    /// Whether the box goes on without a scene of it.
    pub(super) fn is_given_up(&self) -> bool {
        self.is_given_up.load(Ordering::Acquire)
    }

    /// What looks at the pictures of this camera: for all rules, for some, and to be
    /// compared; once. A recording was seen by another detector.
    pub(crate) fn set_models<'a>(
        &self,
        detector: Option<&Arc<ModelState>>,
        second: impl Iterator<Item = &'a Arc<ModelState>>,
        shadow: Option<&'a Arc<Shadow>>,
    ) {
        if let Some(shadow) = shadow {
            self.shadow.get_or_init(|| Arc::clone(shadow));
        }
        if self.fixed.model.is_none() {
            return;
        }
        if let Some(detector) = detector {
            self.detector.get_or_init(|| Arc::clone(detector));
        }
        self.second.get_or_init(|| second.cloned().collect());
    }

    fn second_models(&self) -> &[Arc<ModelState>] {
        self.second.get().map_or(&[], Vec::as_slice)
    }

    /// Some of the camera's cascades could not begin; once.
    pub(crate) fn set_without_cascades(&self, why: Words) {
        self.without.get_or_init(|| why);
    }

    /// Why some rules do not see though pictures are looked at, when a model that they
    /// rest on did not load or fails on each, or is shown too small a picture.
    pub(crate) fn partial_blindness(&self) -> Option<Words> {
        let failing = || (self.second_models().iter()).find_map(|model| model.blindness());
        let small = || self.main_looks.trouble(Instant::now());
        (self.without.get().cloned())
            .or_else(failing)
            .or_else(small)
    }

    /// Why a model judges here that is not the wanted one, if so. What is only compared judges nobody,
    /// and neither does what was left out: that is told with the rules that it leaves blind.
    pub(crate) fn instead(&self) -> Option<Words> {
        let second = self.second_models().iter();
        let second = second.filter(|model| model.job == Job::Cascade && !model.is_left_out());
        let mut judging = self.detector.get().into_iter().chain(second);
        judging.find_map(|model| model.instead())
    }

    /// What the detector saw in a part of a picture, for the model in its shadow.
    pub(crate) fn show_shadow(&self, frame: &Frame, part: Crop, seen: &[Detection]) {
        if let Some(shadow) = self.shadow.get() {
            shadow.show(self.camera(), frame, part, seen);
        }
    }

    /// Whose state it is.
    pub(crate) fn camera(&self) -> &CameraId {
        &self.fixed.camera
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        // Counters stay true after another thread's panic.
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The stream whose counters count.
    pub(crate) fn attach(&self, stream: &Arc<CameraStream>) {
        self.lock().stream = Arc::downgrade(stream);
    }

    /// Keeps the last counters of a stream that is about to end.
    pub(crate) fn detach(&self) {
        let mut inner = self.lock();
        inner.refresh();
        inner.stream = Weak::new();
    }

    /// Sets the health; true when it changed.
    pub(crate) fn set_health(&self, health: CameraHealth, reason: Option<Words>) -> bool {
        let mut inner = self.lock();
        let is_new = inner
            .health
            .as_ref()
            .is_none_or(|(old, old_reason, _)| *old != health || *old_reason != reason);
        if is_new {
            inner.health = Some((health, reason, super::now()));
        }
        is_new
    }

    /// Says how the stream is that is only kept.
    pub(crate) fn set_evidence_stream(&self, health: CameraHealth, reason: Option<Words>) {
        let mut inner = self.lock();
        let is_same = inner
            .evidence_stream
            .as_ref()
            .is_some_and(|old| old.health == health && old.reason == reason);
        if !is_same {
            inner.evidence_stream = Some(StreamStatus {
                health,
                reason,
                since: super::now(),
            });
        }
    }

    /// How the stream is that is only kept.
    pub(crate) fn evidence_health(&self) -> Option<CameraHealth> {
        let inner = self.lock();
        inner.evidence_stream.as_ref().map(|stream| stream.health)
    }

    /// Counts a clip by what became of it.
    pub(crate) fn count_clip(&self, outcome: &'static str) {
        *self.lock().clips.entry(outcome).or_default() += 1;
    }

    /// Clips by what became of them.
    pub(crate) fn clips(&self) -> BTreeMap<&'static str, u64> {
        self.lock().clips.clone()
    }

    /// The ring of the stream that is only kept.
    pub(crate) fn attach_evidence(&self, ring: &Arc<Ring>) {
        self.lock().evidence_ring = Arc::downgrade(ring);
    }

    /// How full the rings of encoded pictures are, by stream: `detect` is the one
    /// that is looked at, `evidence` the one that is only kept.
    pub(crate) fn rings(&self) -> Vec<(&'static str, RingState)> {
        let (stream, kept) = {
            let inner = self.lock();
            (inner.stream.upgrade(), inner.evidence_ring.upgrade())
        };
        let looked_at = stream.and_then(|stream| Some(stream.ring()?.state()));
        [
            ("detect", looked_at),
            ("evidence", kept.map(|ring| ring.state())),
        ]
        .into_iter()
        .filter_map(|(name, state)| Some((name, state?)))
        .collect()
    }

    /// How wrong a time by this clock may be, s.
    ///
    /// By the camera's own: as far as it is from this box's, measured. By
    /// arrival nothing can be measured, since nobody tells when a picture was
    /// taken; a second is what encoder and network may take before a camera is
    /// called broken.
    pub(crate) fn clock_uncertainty_s(&self, quality: TimeQuality) -> Option<f64> {
        match quality {
            TimeQuality::Rtcp => {
                let stream = self.lock().stream.upgrade()?;
                let off = stream.clock_disagreement()?.as_secs_f64();
                Some(protocol::units::rounded(off, 3).max(0.001))
            }
            TimeQuality::Arrival => Some(ARRIVAL_UNCERTAINTY_S),
            TimeQuality::Media | TimeQuality::Unknown => None,
        }
    }

    /// A frame reached the rules; `is_seen`: the detector has looked at it.
    pub(crate) fn count_analysed(&self, quality: TimeQuality, is_seen: bool) {
        let now = super::now();
        let mut inner = self.lock();
        inner.analysed += 1;
        if is_seen {
            inner.well_looked_at += 1;
            inner.failed_in_a_row = 0;
        }
        inner.time_quality = Some(quality);
        inner.looked.note(now);
    }

    /// How soon the scene needs the next picture.
    pub(crate) fn attention(&self) -> Attention {
        match self.attention.load(Ordering::Relaxed) {
            0 => Attention::Nobody,
            1 => Attention::Settled,
            _ => Attention::Unsettled,
        }
    }

    /// The scene says how soon it needs the next picture.
    pub(crate) fn set_attention(&self, attention: Attention) {
        self.attention.store(attention as u8, Ordering::Relaxed);
    }

    /// What the gate said of a picture; `None`: there is no gate.
    pub(crate) fn count_verdict(&self, verdict: Option<Verdict>) {
        let looks = &mut self.lock().looks;
        looks.is_awake = !matches!(
            verdict,
            Some(Verdict::Rest | Verdict::Empty | Verdict::Look(Reason::Heartbeat))
        );
        if let Some(verdict) = verdict {
            *looks.verdicts.entry(verdict.as_str()).or_default() += 1;
            // Of an empty one the scene hears: it is analysed.
            looks.rested += u64::from(verdict == Verdict::Rest);
        }
    }

    /// It was tried to follow those of the last look into a picture, for so long.
    pub(crate) fn count_followed(&self, is_known: bool, took: Duration) {
        let looks = &mut self.lock().looks;
        looks.followed += u64::from(is_known);
        looks.followed_s += took.as_secs_f64();
    }

    /// The detector looked at a picture, for so long.
    pub(crate) fn count_look(&self, took: Duration) {
        let looks = &mut self.lock().looks;
        looks.inferences += 1;
        looks.inference_s += took.as_secs_f64();
    }

    /// A part of a picture was looked at as well, for so long.
    pub(crate) fn count_part(&self, took: Duration) {
        self.lock().looks.inference_s += took.as_secs_f64();
    }

    /// What has become of the camera's jobs so far.
    pub(crate) fn set_jobs(&self, jobs: &Counters) {
        self.lock().looks.jobs.clone_from(jobs);
    }

    /// What became of second looks so far.
    pub(crate) fn set_second_looks(
        &self,
        passed: BTreeMap<CascadeId, Passed>,
        held_up: u64,
        refused: Refused,
    ) {
        self.lock().second_looks = SecondLookCounts {
            passed,
            held_up,
            refused,
        };
    }

    /// What became of second looks.
    pub(crate) fn second_looks(&self) -> SecondLookCounts {
        self.lock().second_looks.clone()
    }

    /// What became of second looks at the main stream.
    pub(crate) const fn main_looks(&self) -> &SharedCounts {
        &self.main_looks
    }

    /// How the detector's time was spent on the camera.
    pub(crate) fn looks(&self) -> Looks {
        self.lock().looks.clone()
    }

    /// A frame was looked at in vain, because the scene is behind.
    pub(crate) fn count_dropped_busy(&self) {
        self.lock().dropped_busy += 1;
    }

    /// The detector failed on a frame; how many in a row it has failed on.
    pub(crate) fn count_dropped_failed(&self) -> u64 {
        let mut inner = self.lock();
        inner.dropped_failed += 1;
        inner.failed_in_a_row += 1;
        inner.failed_in_a_row
    }

    /// Why nothing is seen though pictures come, when the detector fails on each.
    pub(crate) fn blindness(&self) -> Option<Words> {
        (self.lock().failed_in_a_row >= BLIND_AFTER).then(|| {
            Words::new(
                "Mô hình không xử lý được hình nào; xem nhật ký và chạy edge-agent models verify",
                "the model fails on every picture; read the log and run `edge-agent models verify`",
            )
        })
    }

    /// How many frames the detector has looked at; none when it failed on the last.
    pub(crate) fn well_looked_at(&self) -> u64 {
        let inner = self.lock();
        if inner.failed_in_a_row == 0 {
            inner.well_looked_at
        } else {
            0
        }
    }

    /// A frame of a frozen picture was not shown to the rules.
    pub(crate) fn count_dropped_frozen(&self) {
        self.lock().dropped_frozen += 1;
    }

    /// An event for which no still could be made or stored.
    pub(crate) fn count_without_stills(&self) {
        self.lock().without_stills += 1;
    }

    /// Events without stills so far.
    pub(crate) fn without_stills(&self) -> u64 {
        self.lock().without_stills
    }

    /// A new event of `kind`.
    pub(crate) fn count_event(&self, kind: &str) {
        *self.lock().events.entry(kind.to_owned()).or_default() += 1;
    }

    /// An event is on disk since `stored`; none: the disk takes none. What is told of it later
    /// raises no alert and is not counted.
    pub(crate) fn count_latency(&self, event: &Event, stored: Option<EventTime>) {
        if self.is_live && event.revision == 1 {
            let (captured, clock) = (event.decided.time, event.time_quality);
            self.lock().latency.count(captured, clock, stored);
        }
    }

    /// How long events took from the street to the disk.
    pub(crate) fn latency(&self) -> EventLatency {
        self.lock().latency.clone()
    }

    /// Events so far, by kind.
    pub(crate) fn events(&self) -> BTreeMap<String, u64> {
        self.lock().events.clone()
    }

    /// How the recording of inputs goes; `None` where it is not asked for.
    pub(crate) fn recorder(&self) -> Option<RecorderCounters> {
        self.lock().recorder
    }

    /// How the recording of inputs goes, and why it does not; true when that is news.
    pub(crate) fn set_recorder(&self, counters: RecorderCounters, trouble: Option<&Words>) -> bool {
        let mut inner = self.lock();
        let was = inner.recorder.replace(counters);
        let is_new = was.is_none_or(|was| was.is_recording != counters.is_recording)
            || inner.recorder_trouble.as_ref() != trouble;
        if inner.recorder_trouble.as_ref() != trouble {
            inner.recorder_trouble = trouble.cloned();
        }
        is_new
    }

    /// A rule's hour is over.
    pub(crate) fn count_coverage(&self, hour: &CoverageHour) {
        self.lock().coverage.add(hour);
    }

    /// What every rule did in the hour that runs.
    pub(crate) fn set_coverage(&self, now: impl Iterator<Item = CoverageHour>) {
        self.lock().coverage.run(now);
    }

    /// What every rule did in the hour that runs, as it was last told.
    pub(super) fn running_coverage(&self) -> Vec<CoverageHour> {
        self.lock().coverage.running().cloned().collect()
    }

    /// Seconds by rule and reason; no reason where the rule was watching.
    pub(crate) fn coverage(&self) -> BTreeMap<(String, Option<&'static str>), f64> {
        self.lock().coverage.seconds()
    }

    /// Drops so far, by reason, and decoder errors.
    pub(crate) fn drops(&self) -> (Drops, u64) {
        let mut inner = self.lock();
        inner.refresh();
        (inner.drops(), inner.counters.decode_errors)
    }

    /// Places where packets were lost on the way.
    pub(crate) fn packet_gaps(&self) -> u64 {
        let mut inner = self.lock();
        inner.refresh();
        inner.counters.packet_gaps
    }

    /// Times that several pictures in a row were missing.
    pub(crate) fn holes(&self) -> u64 {
        let mut inner = self.lock();
        inner.refresh();
        inner.counters.holes
    }

    /// Pictures that the camera gave a time that cannot be.
    pub(crate) fn times_wrong(&self) -> u64 {
        let mut inner = self.lock();
        inner.refresh();
        inner.counters.times_wrong
    }

    /// Encoded pictures that were not decoded: unreferenced, idle.
    pub(crate) fn left_out(&self) -> (u64, u64) {
        let mut inner = self.lock();
        inner.refresh();
        let counters = inner.counters;
        (counters.left_out_unreferenced, counters.left_out_idle)
    }

    /// What decodes the stream, and how many decoders have been given up on it.
    pub(crate) fn decoder(&self) -> (Option<DecoderInUse>, u64) {
        let mut inner = self.lock();
        inner.refresh();
        (inner.decoder.clone(), inner.counters.decoders_rejected)
    }
}

impl Inner {
    fn refresh(&mut self) {
        if let Some(stream) = self.stream.upgrade() {
            self.counters = stream.counters();
            self.decoder = stream.decoder();
        }
    }

    fn drops(&self) -> Drops {
        Drops {
            // Before the scheduler took them, and after.
            overwritten: self.counters.dropped_overwritten + self.looks.superseded(),
            rate: self.counters.dropped_rate,
            scene_busy: self.dropped_busy,
            inference: self.dropped_failed,
            frozen: self.dropped_frozen,
            corrupt: (self.counters.dropped_corrupt).saturating_sub(self.counters.garbage.total()),
            garbage: self.counters.garbage,
            backlog: self.counters.dropped_backlog,
            undated: self.counters.dropped_undated,
        }
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;

    fn state() -> CameraState {
        let text =
            "[box]\nsite = 's'\nid = 'b'\n[[camera]]\nid = 'c'\nsource = { rtsp = 'rtsp://h/x' }\n";
        let config = AgentConfig::parse(text, Path::new("box.toml")).unwrap();
        CameraState::new(&config, &config.cameras[0], None)
    }

    #[test]
    fn a_recorder_that_fails_is_news_once_with_its_reason() {
        let state = state();
        let counters = |is_recording| RecorderCounters {
            is_recording,
            ..RecorderCounters::default()
        };
        let full = Words::new("đĩa đầy", "the disk is full");
        assert!(state.set_recorder(counters(true), None));
        assert!(!state.set_recorder(counters(true), None));
        assert!(state.set_recorder(counters(false), Some(&full)));
        assert!(!state.set_recorder(counters(false), Some(&full)));
        assert_eq!(state.status().recording.unwrap().reason, Some(full));
        assert!(state.set_recorder(counters(true), None));
        assert_eq!(state.status().recording.unwrap().reason, None);
    }
}
