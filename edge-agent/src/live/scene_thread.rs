//! One thread per camera that owns its scene: everything the scene may see
//! comes in here, in order, and everything it says goes out.

mod notices;
mod outage;
mod panic;
mod segments;
mod standing;
#[cfg(test)]
mod tests;

use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use crossbeam_channel::{Receiver, never, select, tick};
use edge_core::{EvidenceRequest, Health, Input, Output, Scene, SceneState};
use edge_video::{Frame, Notice};
use protocol::event::FrameTime;
use protocol::status::CameraHealth;
use protocol::units::Seconds;
use protocol::{Event, EventTime, Phase, SignalReading};

use super::camera_state::Arrived;
use super::diary::Diary;
use super::evidence::{Desk, Proof, SharedTrail, no_evidence, trail};
use super::kept::{KeptFile, View};
use super::load::{Load, Passed};
use super::publisher::Publisher;
use super::second_looks::SecondLooks;
use super::{CameraState, Work, now};
use crate::config::{BoxIdentity, CameraConfig};
use crate::picture_watch::PictureWatch;
use crate::recording::rolling::Recorder;
use crate::scene_setup::{self, DetectorIdentity, SceneSetupError};

use outage::{Epoch, Interruption};
pub(super) use panic::{OnPanic, Whose};
use segments::Misfit;
use standing::{Link, Standing};

/// How often a camera's status is sent when nothing changes.
pub(super) const STATUS_EVERY: Duration = Duration::from_secs(10);
/// A tick is this far behind the true time. s.
pub(crate) const TICK_BEHIND_S: f64 = 5.0;

/// All that the thread needs.
pub(super) struct SceneThread {
    pub(super) config: CameraConfig,
    pub(super) box_identity: BoxIdentity,
    pub(super) detector: Option<DetectorIdentity>,
    pub(super) notices: Option<Receiver<Notice>>,
    /// Where the camera has pictures and cascades.
    pub(super) second_looks: Option<SecondLooks>,
    pub(super) work: Receiver<Work>,
    pub(super) readings: Receiver<SignalReading>,
    pub(super) state: Arc<CameraState>,
    pub(super) publisher: Publisher,
    /// Where everybody was in the last frames.
    pub(super) trail: SharedTrail,
    /// Makes clips and further stills, where the stream is kept.
    pub(super) desk: Option<Desk>,
    /// Records what the scene sees, where that is asked for.
    pub(super) recorder: Option<Recorder>,
    /// Where go near misses and coverage, where they are asked for.
    pub(super) diary: Diary,
    /// Who was parked before the agent was started anew.
    pub(super) parked: KeptFile<SceneState>,
    /// Where the camera looked before the agent was started anew.
    pub(super) view: KeptFile<View>,
    /// Ends the program when the thread panics.
    pub(super) on_panic: Option<OnPanic>,
}

impl SceneThread {
    /// Whether a scene can be made at all; its faults belong before the start.
    pub(super) fn check(&self) -> Result<(), SceneSetupError> {
        self.scene(self.first_aspect()).map(drop)
    }

    /// Makes the scene and starts the thread.
    pub(super) fn start(mut self) -> anyhow::Result<JoinHandle<()>> {
        let on_panic = self.on_panic.take();
        let name = format!("scene-{}", self.config.id);
        let room = self.room(Now::read())?;
        Ok(std::thread::Builder::new().name(name).spawn(move || {
            let _held = on_panic;
            room.live();
        })?)
    }

    /// Makes the scene and all around it, without a thread: a test shows it what it
    /// likes, when it likes.
    fn room(mut self, now: Now) -> Result<Room, SceneSetupError> {
        let aspect = self.first_aspect();
        let scene = self.scene(aspect)?;
        Ok(Room {
            now,
            scene,
            aspect,
            last: None,
            arrived: self.state.arrived(),
            interruption: None,
            standing: Standing::default(),
            connected: now.steady,
            epoch: None,
            lost: None,
            watch: self.watch(),
            picture: Health::default(),
            misfit: None,
            stream: None,
            outputs: Vec::new(),
            load: Load::new(&self.state.status(), self.config.analysed_fps),
            setup: self,
        })
    }

    fn scene(&self, aspect: f64) -> Result<Scene, SceneSetupError> {
        let mut scene = scene_setup::scene(
            &self.box_identity,
            &self.config,
            self.detector.as_ref(),
            aspect,
        )?;
        if self.diary.wants_near_misses() {
            scene.tell_near_misses();
        }
        Ok(scene)
    }

    /// The watch over the picture, with what it knew when the agent stopped.
    fn watch(&mut self) -> PictureWatch {
        let config = &self.config;
        let (camera, file) = (&config.id, self.view.path().to_owned());
        let Some(view) = self.view.take() else {
            return PictureWatch::new(&config.health);
        };
        if view.geometry != config.geometry {
            tracing::info!(%camera, "its zones were drawn anew; where it looks is learnt anew");
            return PictureWatch::new(&config.health);
        }
        PictureWatch::remembering(&config.health, &view.memory).unwrap_or_else(|reason| {
            tracing::warn!(
                %camera, file = %file.display(), reason,
                "where the camera looked before is not known; look at its picture"
            );
            PictureWatch::new(&config.health)
        })
    }

    fn first_aspect(&self) -> f64 {
        self.config.expected_aspect()
    }
}

/// What the box's clocks say. They are read once for each message, when it comes.
#[derive(Clone, Copy, Debug)]
struct Now {
    /// By the clock that nobody sets.
    steady: Instant,
    time: EventTime,
}

impl Now {
    fn read() -> Self {
        Self {
            steady: Instant::now(),
            time: now(),
        }
    }

    fn since(&self, then: Instant) -> Duration {
        self.steady.saturating_duration_since(then)
    }
}

/// The scene and what surrounds it.
struct Room {
    setup: SceneThread,
    now: Now,
    scene: Scene,
    aspect: f64,
    /// The newest frame that the scene has seen, and when it saw it.
    last: Option<(EventTime, Instant)>,
    /// What had come of the stream by then, or when it was lost after that.
    arrived: Arrived,
    /// Since when the scene is not being shown the road.
    interruption: Option<Interruption>,
    /// All that is wrong with the camera.
    standing: Standing,
    /// When the stream that there is began.
    connected: Instant,
    /// On which side of a stream's changes the newest frame was.
    epoch: Option<Epoch>,
    /// The connection of the newest frame when one was lost: what still comes of it says
    /// nothing of the stream that there is.
    lost: Option<u64>,
    watch: PictureWatch,
    /// What the watch over the picture said last.
    picture: Health,
    /// The calibration is of pictures of another shape: no look at them makes that well,
    /// only pictures of that shape.
    misfit: Option<Misfit>,
    /// What the scene was told of the stream, and when: lost or frozen.
    stream: Option<(Health, Instant)>,
    outputs: Vec<Output>,
    load: Load,
}

/// A scene that has ended does not hang; that it has is told where its work goes.
struct EndsWithItsThread(Arc<CameraState>);

impl Drop for EndsWithItsThread {
    fn drop(&mut self) {
        self.0.pulse().end();
    }
}

impl Room {
    fn live(mut self) {
        let notices = self.setup.notices.clone().unwrap_or_else(never);
        let work = self.setup.work.clone();
        let readings = self.setup.readings.clone();
        let second = tick(Duration::from_secs(1));
        let mut sent = self.now;
        self.send_status();
        let _beats = EndsWithItsThread(Arc::clone(&self.setup.state));
        loop {
            self.setup.state.pulse().beat();
            let changed = select! {
                recv(work) -> message => match message {
                    Ok(work) => {
                        self.now = Now::read();
                        self.catch_up(&notices) | self.take(work)
                    }
                    Err(_) => break,
                },
                recv(notices) -> notice => match notice {
                    Ok(notice) => {
                        self.now = Now::read();
                        self.heed(notice)
                    }
                    Err(_) => break,
                },
                recv(readings) -> reading => match reading {
                    Ok(reading) => {
                        self.now = Now::read();
                        self.handle(Input::Signal(reading), None);
                        false
                    }
                    Err(_) => break,
                },
                recv(second) -> _ => {
                    self.now = Now::read();
                    self.pass_time() | (self.now.since(sent.steady) >= STATUS_EVERY)
                }
            };
            if changed {
                self.send_status();
                sent = self.now;
            }
        }
        // A sender is gone: the box stops. What was already seen comes first.
        for work in work.try_iter() {
            self.now = Now::read();
            self.take(work);
        }
        self.end();
    }

    /// Nothing more will come.
    fn end(&mut self) {
        self.now = Now::read();
        // An outage that lasts to the end is accounted for as well.
        self.tell_outage(Duration::ZERO);
        if let Some((last, _)) = self.last {
            let parked = self.scene.state().across_restart();
            self.setup.parked.write(Some(parked));
            let geometry = self.setup.config.geometry;
            let view = self.watch.memory().map(|memory| View { geometry, memory });
            self.setup.view.write(view);
            self.handle(Input::End(last), None);
        } else if self.stream.is_some() {
            // Of a camera that was never reached, too.
            self.handle(Input::End(self.now.time), None);
        }
        if let Some(recorder) = &mut self.setup.recorder {
            recorder.finish();
        }
        if let Some(desk) = self.setup.desk.take() {
            desk.finish();
        }
        self.setup.state.set_coverage(self.scene.coverage_now());
        self.tell_recorder();
        self.setup.state.set_health(CameraHealth::Stopped, None);
        self.send_status();
    }

    /// Notices that were given before the work at hand. A frame in it may be older than
    /// they are: it was under way when they were given.
    fn catch_up(&mut self, notices: &Receiver<Notice>) -> bool {
        notices
            .try_iter()
            .fold(false, |changed, notice| changed | self.heed(notice))
    }

    fn send_status(&self) {
        self.setup.publisher.status(self.setup.state.status());
    }

    /// Once a second. True when the camera's status changed.
    fn pass_time(&mut self) -> bool {
        if let Some((last, seen)) = self.last {
            // Cases go on or end while nothing is seen, too. Behind the true
            // time, so that a late frame is never before its tick.
            let unseen = self.now.since(seen).as_secs_f64() - TICK_BEHIND_S;
            if unseen > 0.0 {
                self.handle(Input::Tick(last + Seconds(unseen)), None);
            }
            let (scene, watch, geometry) = (&self.scene, &self.watch, self.setup.config.geometry);
            self.setup
                .parked
                .keep(|| Some(scene.state().across_restart()));
            self.setup.view.keep(|| {
                let memory = watch.memory()?;
                Some(View { geometry, memory })
            });
        } else if let Some((told, since)) = self.stream {
            // A camera that never came is lost, too.
            let passed = Seconds(self.now.since(since).as_secs_f64());
            self.handle(Input::Tick(told.time + passed), None);
        }
        self.notice_silence();
        self.tell_outage(outage::TOLD_EVERY);
        self.setup.state.set_coverage(self.scene.coverage_now());
        if let Some(second) = &self.setup.second_looks {
            second.tell(&self.scene, &self.setup.state);
        }
        let is_recorder_news = self.tell_recorder();
        let state = &self.setup.state;
        let drops = state.drops().0;
        let passed = Passed {
            rested: state.looks().rested,
            followed: state.looks().followed,
            skipped: drops.backlog,
            damaged: drops.corrupt,
            garbage: drops.garbage.total(),
        };
        let load = self.load.judge(&state.status(), passed);
        // Its numbers change with every second; that it is too little is the news.
        let told = self.standing.load.take();
        self.standing.load = load.map(|load| told.unwrap_or(load));
        self.standing.blind = state.blindness();
        self.standing.partial = state.partial_blindness();
        self.standing.instead = state.instead();
        let desk = self.setup.desk.as_ref();
        self.standing.evidence = desk.filter(|desk| desk.has_ended()).map(|_| no_evidence());
        let (parked, view) = (&self.setup.parked, &self.setup.view);
        self.standing.kept = parked.trouble().or_else(|| view.trouble());
        let is_changed = self.tell_health();
        is_changed || is_recorder_news
    }

    /// Tells how the camera is; true when that changed.
    fn tell_health(&self) -> bool {
        let (health, reason) = self.standing.health();
        let is_new = self.setup.state.set_health(health, reason.clone());
        if let (true, CameraHealth::Degraded, Some(reason)) = (is_new, health, reason) {
            tracing::warn!(camera = %self.setup.config.id, "{}", reason.en);
        }
        is_new
    }

    /// True when recording has begun or ended since it was told last.
    fn tell_recorder(&self) -> bool {
        let Some(recorder) = &self.setup.recorder else {
            return false;
        };
        let state = &self.setup.state;
        state.set_recorder(recorder.counters(), recorder.trouble())
    }

    /// True when the camera's status changed.
    fn take(&mut self, work: Work) -> bool {
        let mut changed = false;
        let mut is_seen = false;
        let look = work.inputs.iter().find_map(|input| match input {
            Input::Detections(detections) => Some((detections.time, detections.aspect)),
            _ => None,
        });
        let is_frozen = self.standing.frozen.is_some();
        if let Some((time, aspect)) = look.filter(|_| !is_frozen) {
            self.fit(aspect, time);
            self.end_outage(time, work.frame.as_ref());
        }
        if let Some(pledge) = work.pledge {
            pledge.keep();
        }
        for input in work.inputs {
            if let Input::Detections(detections) = &input {
                if is_frozen {
                    self.setup.state.count_dropped_frozen();
                    continue;
                }
                let (time, quality) = (detections.time, detections.time_quality);
                if let Some(frame) = &work.frame
                    && let Some(health) = self.watch.look(frame)
                {
                    changed |= self.heed_picture(health, frame);
                }
                // Nobody was seen anew in a picture that was not looked at.
                is_seen = !detections.is_followed;
                self.last = Some((time, self.now.steady));
                self.arrived = self.setup.state.arrived();
                self.setup.state.count_analysed(quality, is_seen);
                changed |= self.tell_health();
            }
            if is_frozen && matches!(input, Input::Gap(_) | Input::Unseen(_)) {
                // What was missed of a picture that stands still is no loss.
                continue;
            }
            let answer = match &input {
                Input::SecondLook(look) => Some((look.cascade.clone(), look.track, look.at.time)),
                _ => None,
            };
            let late = self.scene.refused().second_looks_late;
            self.handle(input, work.frame.as_ref());
            if let (Some((cascade, whom, at)), Some(second)) =
                (answer, &mut self.setup.second_looks)
            {
                if self.scene.refused().second_looks_late > late {
                    second.came_too_late(&cascade, whom, at);
                } else {
                    second.answered(&cascade);
                }
            }
        }
        if let (Some(second), Some(frame), true) =
            (&mut self.setup.second_looks, &work.frame, is_seen)
        {
            for stretch in second.ask(frame, &self.scene) {
                self.handle(Input::Unanswered(stretch), None);
            }
        }
        self.setup.state.set_attention(self.scene.attention());
        changed
    }

    fn handle(&mut self, input: Input, frame: Option<&Frame>) {
        // The first segment begins with the first input, the others with a frame.
        let may_cut = matches!(input, Input::Detections(_))
            || self.setup.recorder.as_ref().is_some_and(Recorder::is_new);
        if may_cut {
            self.cut_if_due();
        }
        self.show(input, frame);
    }

    /// Records an input, shows it to the scene, and sends on what that says.
    fn show(&mut self, input: Input, frame: Option<&Frame>) {
        if let Some(recorder) = &mut self.setup.recorder {
            recorder.note(&input);
        }
        let looked = match &input {
            Input::Detections(seen) => {
                let (frame, time) = (seen.frame, seen.time);
                Some((FrameTime { frame, time }, trail::plates(seen)))
            }
            _ => None,
        };
        self.scene.handle(input, &mut self.outputs);
        if let Some((at, plates)) = looked {
            self.setup.trail.lock().note(at, plates, &self.scene);
        }
        if let Some(recorder) = &mut self.setup.recorder {
            recorder.heard(&self.outputs);
        }
        // All events first: no alert waits while stills of another are drawn.
        let mut told: Vec<Event> = Vec::new();
        let mut requests: Vec<EvidenceRequest> = Vec::new();
        for output in std::mem::take(&mut self.outputs) {
            match output {
                Output::Event(event) => {
                    if event.phase == Phase::Start {
                        self.setup.state.count_event(&event.kind.0);
                    }
                    self.setup.publisher.event(&event);
                    if let Some(desk) = &self.setup.desk {
                        desk.told(&event);
                    }
                    told.push(event);
                }
                Output::Speed(measured) => tracing::debug!(
                    rule = %measured.rule,
                    class = measured.class.as_str(),
                    kmh = measured.speed_kmh,
                    low_kmh = measured.low_kmh,
                    high_kmh = measured.high_kmh,
                    "speed measured"
                ),
                Output::Evidence(request) => requests.push(request),
                Output::NearMiss(miss) => self.setup.diary.near_miss(&miss),
                Output::Coverage(hour) => {
                    self.setup.state.count_coverage(&hour);
                    self.setup.diary.coverage(&hour);
                }
            }
        }
        for request in requests {
            let id = request.event;
            let mut revisions = told.iter().filter(|event| event.id == id);
            let Some(event) = revisions.next() else {
                tracing::error!(%id, "evidence asked for an event that was not published");
                continue;
            };
            self.proof().of(event, request, frame);
            // What was told of it before the desk knew it.
            if let Some(desk) = &self.setup.desk {
                revisions.for_each(|event| desk.told(event));
            }
        }
    }

    fn proof(&self) -> Proof<'_> {
        Proof {
            publisher: &self.setup.publisher,
            trail: &self.setup.trail,
            desk: self.setup.desk.as_ref(),
            scene: &self.scene,
            aspect: self.aspect,
        }
    }
}
