//! `edge-agent run`: all cameras of a box, live, until told to stop.
//!
//! Threads: per camera GStreamer's own and one for its scene; one for the
//! detector, which all cameras share; the uplink's. A camera that fails is a
//! status with a reason, never the end of the program.
//!
//! ```text
//! stream ─newest frame─► gate, inference ─work─► scene ─events─► outbox ─► uplink
//!    └────────────────notices──────────────►│ ▲
//!                              controllers ─┘ └─ player (recordings)
//! ```

mod camera_state;
mod diary;
pub(crate) mod evidence;
mod fallen;
mod forlorn;
mod idle;
mod inference;
mod kept;
mod load;
mod main_looks;
mod metrics;
mod model_state;
mod player;
mod publisher;
mod recovery;
mod run;
mod scene_thread;
mod second_looks;
mod shadow;
mod signal_routes;
mod supervision;
mod trial;
mod without_scene;

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use anyhow::{Context as _, bail};
use case_bundle::files::said;
use crossbeam_channel::{Receiver, Sender, bounded};
use edge_core::Input;
use edge_inference::{Detector, OnTrial};
use edge_uplink::{Outbox, Uplink};
use edge_video::{CameraStream, Frame};
use protocol::event::Words;
use protocol::{CameraId, EventTime, SignalReading};

use crate::cascades::{LookerIndex, Lookers, Pledge};
use crate::case::Signer;
use crate::config::{AgentConfig, CameraConfig, SourceConfig};
use crate::recording::rolling::{RecordStore, Recorder};
use crate::scene_setup::DetectorIdentity;
pub(crate) use camera_state::CameraState;
pub(crate) use evidence::{is_same_shape, other_shape};
use fallen::Fallen;
use forlorn::Forlorn;
pub(crate) use load::LEAST_FPS;
pub(crate) use model_state::{Job, ModelState};
pub(crate) use publisher::Publisher;
use run::LeftOut;
pub use run::run;
pub(crate) use scene_thread::TICK_BEHIND_S;
use scene_thread::{OnPanic, Whose};
use second_looks::SecondLooks;
pub(crate) use signal_routes::topics as signal_topics;
use supervision::Supervisor;

/// Work for a scene that is not yet done; more means that the scene thread is
/// slower than the cameras, and newer frames are dropped and counted.
const SCENE_QUEUE: usize = 4;
/// Controllers' messages for a scene that is busy.
const READINGS_QUEUE: usize = 256;
/// Closer looks that scenes ask for and that were not yet taken on.
const SECOND_LOOKS_QUEUE: usize = 64;

/// What a scene is to look at next.
pub(crate) struct Work {
    /// In the order in which they happened.
    pub(crate) inputs: Vec<Input>,
    /// The picture they were read from; none for a recording.
    pub(crate) frame: Option<Frame>,
    /// Of an answer to a second look: to be kept when the scene has heard it.
    pub(crate) pledge: Option<Pledge>,
}

impl Work {
    /// Of no answer.
    pub(crate) const fn new(inputs: Vec<Input>, frame: Option<Frame>) -> Self {
        Self {
            inputs,
            frame,
            pledge: None,
        }
    }
}

/// Set once, by a signal or by a test; everything looks at it.
#[derive(Clone, Default)]
pub struct StopFlag {
    is_set: Arc<AtomicBool>,
    /// The fault for which the program ends, where it is one.
    fault: Arc<OnceLock<Ending>>,
}

/// Why the program ends by itself.
#[derive(Clone, Debug, thiserror::Error)]
pub enum Ending {
    /// A thread has ended by a fault of ours.
    #[error("{0}")]
    Fault(String),
    /// What computes was lost, and this process cannot have it again.
    #[error(
        "{0}. Nothing else may compute, so the program ends, to be started anew: another process may have the device \
         again. Check its driver and power (`dmesg`), and add \"cpu\" to `provider` under [detector] to watch on meanwhile"
    )]
    Forlorn(String),
}

impl StopFlag {
    /// Asks everything to stop.
    pub fn set(&self) {
        self.is_set.store(true, Ordering::Relaxed);
    }

    /// Whether it is time to stop.
    pub fn is_set(&self) -> bool {
        self.is_set.load(Ordering::Relaxed)
    }

    /// For who only asks whether.
    pub(crate) fn shared(&self) -> Arc<AtomicBool> {
        Arc::clone(&self.is_set)
    }

    /// Asks everything to stop because of a fault; the first counts.
    fn fail(&self, fault: &str) {
        self.fault.get_or_init(|| Ending::Fault(fault.to_owned()));
        self.set();
    }

    /// Asks everything to stop because nothing computes any more in this process.
    fn give_way(&self, why: String) {
        self.fault.get_or_init(|| Ending::Forlorn(why));
        self.set();
    }

    /// For which fault everything stops.
    fn fault(&self) -> Option<&Ending> {
        self.fault.get()
    }
}

/// Asks everything else to stop when the thread that holds it panics.
struct StopsOnPanic<'a>(&'a StopFlag);

impl Drop for StopsOnPanic<'_> {
    fn drop(&mut self) {
        if thread::panicking() {
            self.0.set();
        }
    }
}

/// This box's clock.
#[allow(clippy::cast_possible_truncation)] // µs since 1970 fit for 290,000 years
pub(crate) fn now() -> EventTime {
    match std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH) {
        Ok(since) => EventTime::from_micros(since.as_micros() as i64),
        Err(before) => EventTime::from_micros(-(before.duration().as_micros() as i64)),
    }
}

/// A camera's scene thread, and how to reach it.
struct Running {
    work: Sender<Work>,
    readings: Sender<SignalReading>,
    thread: JoinHandle<()>,
}

/// Where everything goes that cameras find.
#[derive(Clone, Copy)]
struct Outlet<'a> {
    outbox: &'a Outbox,
    signer: &'a Arc<Signer>,
    uplink: Option<&'a Arc<Uplink>>,
}

impl Outlet<'_> {
    /// Of one camera.
    fn of(&self, camera: &CameraConfig, state: &Arc<CameraState>) -> Publisher {
        Publisher {
            scene: camera.scene.clone(),
            outbox: self.outbox.clone(),
            uplink: self.uplink.cloned(),
            state: Arc::clone(state),
            signer: Arc::clone(self.signer),
            origin: None,
        }
    }
}

/// What all cameras are started with.
struct Surroundings<'a> {
    config: &'a AgentConfig,
    detector: Option<DetectorIdentity>,
    outlet: Outlet<'a>,
    record: Option<Arc<RecordStore>>,
    scribe: kept::Scribe,
    wake: Sender<()>,
    /// Where a scene asks for a closer look.
    second_looks: Sender<inference::SecondLook>,
    /// Who takes them.
    lookers: LookerIndex,
    stop: &'a StopFlag,
}

impl Surroundings<'_> {
    /// Records `camera`, where that is asked for.
    fn recorder(&self, camera: &CameraConfig) -> Option<Recorder> {
        let store = self.record.as_ref()?;
        Some(Recorder::new(Arc::clone(store), camera.id.clone()))
    }

    /// For a thread of `camera`.
    fn on_panic(&self, camera: &CameraConfig, whose: Whose) -> OnPanic {
        OnPanic::new(whose, Some(&camera.id), &self.config.store.dir, self.stop)
    }
}

/// Everything that runs and must be stopped.
#[derive(Default)]
struct Cameras {
    running: BTreeMap<CameraId, Running>,
    feeds: Vec<inference::Feed>,
    players: Vec<JoinHandle<()>>,
    /// Streams that are only kept.
    kept: Vec<(CameraConfig, CameraStream)>,
}

/// What is known of each camera, in the order of the configuration.
fn camera_states(
    config: &AgentConfig,
    identity: Option<&DetectorIdentity>,
) -> Vec<Arc<CameraState>> {
    let state = |camera| Arc::new(CameraState::new(config, camera, identity));
    config.cameras.iter().map(state).collect()
}

/// The models that look at all cameras.
struct Looking<'a> {
    /// None where nothing needs one.
    detector: Option<(Detector, Option<&'a mut OnTrial>)>,
    /// Those of cascades.
    lookers: Lookers,
    /// The one that is to be compared with the detector.
    compared: Option<shadow::Begun>,
    /// Of which cameras some cascade could not begin, and why.
    without: &'a BTreeMap<CameraId, Words>,
    /// Which models of cascades that are.
    left_out: &'a [LeftOut],
}

#[allow(clippy::too_many_lines)] // what is started, in order, and ended in the other
fn watch(
    config: &AgentConfig,
    looking: Looking<'_>,
    outlet: Outlet<'_>,
    supervisor: &Supervisor,
    stop: &StopFlag,
) -> anyhow::Result<()> {
    let Outlet { outbox, uplink, .. } = outlet;
    let Looking {
        detector,
        lookers,
        compared,
        without,
        left_out,
    } = looking;
    let (detector, trial) = detector.unzip();
    let trial = trial.flatten();
    let identity = detector
        .as_ref()
        .map(|detector| DetectorIdentity::of(detector.manifest()));
    let states = camera_states(config, identity.as_ref());
    let info = detector
        .as_ref()
        .map(|detector| Arc::new(ModelState::of_detector(detector, trial.as_deref())));
    // For threads of the box.
    let on_panic = |whose| OnPanic::new(whose, None, &config.store.dir, stop);
    let compared = (compared.zip(detector.as_ref()))
        .map(|(begun, detector)| shadow::start(begun, detector, (stop, on_panic(Whose::Shadow))))
        .transpose()?;
    let (compared, shadow) = compared.map(|it| (it.state, it.at_work)).unzip();
    let shadow = shadow.flatten();
    let shown = shadow.as_ref().map(|looking| &looking.shadow);
    let (second, index, marks) = (lookers.states(), lookers.index(), lookers.marks());
    let at_work = lookers.at_work().cloned().unwrap_or_default();
    for (camera, state) in config.cameras.iter().zip(&states) {
        let of_cascades = index.used_by(&camera.cascades).into_iter();
        let of_cascades = of_cascades.filter_map(|number| second.get(number));
        let absent = left_out.iter().filter(|it| it.cameras.contains(&camera.id));
        let beside = of_cascades.chain(absent.map(|it| &it.state));
        state.set_models(info.as_ref(), beside.chain(&compared), shown);
        if let Some(why) = without.get(&camera.id) {
            state.set_without_cascades(why.clone());
        }
    }
    let sources = metrics::Sources {
        cameras: states.clone(),
        outbox: outbox.clone(),
        uplink: uplink.cloned(),
        detector: info.clone(),
        second: second.clone(),
        left_out: left_out.iter().map(|it| Arc::clone(&it.state)).collect(),
        compared,
        shadow: shown.cloned(),
    };
    let listen = config.metrics.as_ref().map(|metrics| metrics.listen);
    let metrics = listen
        .map(|listen| metrics::serve(listen, sources))
        .transpose()?;
    let (wake, woken) = bounded(1);
    let (second_looks, asked) = bounded(SECOND_LOOKS_QUEUE);
    let (record, keeper) = config.record.store(config.cameras.len()).unzip();
    let keeper = keeper
        .map(|keeper| keeper.start(on_panic(Whose::Recordings)))
        .transpose()
        .context("no thread for what is recorded")?;
    let (scribe, kept) =
        kept::Scribe::start(on_panic(Whose::Kept)).context("no thread for what is kept")?;
    let surroundings = Surroundings {
        config,
        detector: identity,
        outlet,
        record,
        scribe,
        wake,
        second_looks,
        lookers: index,
        stop,
    };
    let cameras = Cameras::start_all(&states, &surroundings);
    if cameras.running.is_empty() {
        bail!("no camera could be started; `edge-agent check` says what to mend");
    }
    let routes = uplink
        .map(|uplink| {
            let scenes = cameras
                .running
                .iter()
                .map(|(id, camera)| (id.clone(), camera.readings.clone()))
                .collect();
            let on_panic = on_panic(Whose::Signals);
            signal_routes::start(&config.cameras, &scenes, uplink.signals(), on_panic)
        })
        .transpose()?;
    tracing::info!(cameras = cameras.running.len(), "watching");
    let with = info.as_ref().map(|info| {
        let fares = info.fares();
        format!(" with {} on {}", info.model, fares.status.provider)
    });
    supervisor.ready(&format!(
        "watching {} of {} camera(s){}",
        cameras.running.len(),
        config.cameras.len(),
        with.unwrap_or_default()
    ));
    let mut fallen = Fallen::default();
    if let Some(uplink) = uplink {
        fallen.watch(on_panic(Whose::Uplink), move || uplink.has_lost_a_thread());
    }
    for (camera, stream) in cameras.streams() {
        let on_panic = surroundings.on_panic(camera, Whose::Stream);
        fallen.watch(on_panic, move || stream.has_ended());
    }
    let goes_on = || {
        fallen.look();
        without_scene::give_up_fallen(&cameras, &states, stop);
        supervisor.goes_on(&states);
    };
    let (shadow_thread, looking) = shadow
        .map(|it| {
            (
                it.thread,
                (Arc::clone(&it.shadow.state), it.trial, it.noted),
            )
        })
        .unzip();
    thread::scope(|scope| {
        // The others wait for `stop`; a panic must end the process, not half of it.
        let _others = StopsOnPanic(stop);
        scope.spawn(|| {
            let _others = StopsOnPanic(stop);
            let say = |status| {
                if let Some(uplink) = uplink {
                    uplink.publish_camera_status(status);
                }
            };
            let cameras: Vec<_> = config.cameras.iter().zip(&states).collect();
            without_scene::keep_saying(&cameras, &config.record, &say, stop);
        });
        let mut trials = trial::Trials {
            detector: trial,
            state: info.clone(),
            second: lookers.trials.into_iter().zip(second.clone()).collect(),
            at_work: vec![at_work.clone()],
        };
        if let Some((looking, trial, noted)) = looking {
            trials.second.push((vec![trial], looking));
            trials.at_work.push(noted);
        }
        scope.spawn(|| {
            let _others = StopsOnPanic(stop);
            trials.watch(config.detector.trial(), &states, stop);
        });
        match detector {
            Some(detector) => {
                let models = inference::Models {
                    state: info
                        .unwrap_or_else(|| Arc::new(ModelState::of_detector(&detector, None))),
                    detector,
                    second: lookers
                        .takers
                        .into_iter()
                        .zip(second)
                        .zip(marks)
                        .map(|((taker, state), mark)| inference::Second {
                            taker,
                            state,
                            mark,
                            forlorn: Forlorn::default(),
                        })
                        .collect(),
                    at_work,
                };
                let calls = inference::Calls {
                    woken: &woken,
                    asked: &asked,
                    goes_on: &goes_on,
                    is_forlorn: &|why| on_panic(Whose::SecondModel).give_way(why),
                    lost: inference::Lost::default(),
                };
                inference::run(models, &cameras.feeds, &config.inference, &calls, stop);
            }
            None => wait(&woken, &goes_on, stop),
        }
    });
    supervisor.stopping();
    drop(fallen);
    cameras.shut_down();
    drop(surroundings);
    join(kept, "what is kept");
    if let Some(keeper) = keeper {
        join(keeper, "recordings");
    }
    if let Some(routes) = routes {
        join(routes, "signal routes");
    }
    if let Some(thread) = shadow_thread {
        join(thread, "shadow model");
    }
    if let Some(metrics) = metrics {
        metrics.stop();
    }
    Ok(())
}

impl Cameras {
    fn start_all(states: &[Arc<CameraState>], around: &Surroundings<'_>) -> Self {
        let mut cameras = Self::default();
        for (camera, state) in around.config.cameras.iter().zip(states) {
            if let Err(error) = cameras.start(camera, state, around) {
                // The others can still watch; this one says why it does not.
                let error = said::whole(error.chain());
                tracing::error!(camera = %camera.id, "not started: {error}");
                let reason = Words::new(
                    "Không khởi động được camera; xem nhật ký và chạy edge-agent check",
                    format!("not started: {error}; mend it and restart the agent"),
                );
                state.give_up(reason);
            }
        }
        cameras
    }

    fn start(
        &mut self,
        camera: &CameraConfig,
        state: &Arc<CameraState>,
        around: &Surroundings<'_>,
    ) -> anyhow::Result<()> {
        let (work_in, work_out) = bounded(SCENE_QUEUE);
        let (readings_in, readings_out) = bounded(READINGS_QUEUE);
        // What can fail without leaving anything behind comes first.
        let settings = match &camera.source {
            SourceConfig::Rtsp(rtsp) => {
                Some(rtsp.stream_settings(camera.analysed_fps, camera.clip.limits())?)
            }
            SourceConfig::Recording(_) => None,
        };
        let main = match &camera.source {
            SourceConfig::Rtsp(rtsp) => rtsp.evidence_settings(camera.clip.limits())?,
            SourceConfig::Recording(_) => None,
        };
        let recorded = match &camera.source {
            SourceConfig::Recording(recording) => Some(player::load(recording)?),
            SourceConfig::Rtsp(_) => None,
        };
        let store = &around.config.store.dir;
        let by = recorded.as_ref().map(|recorded| &recorded.by);
        let mut scene = scene_thread::SceneThread {
            // A cascade that was not at work then says nothing of what is played.
            config: by
                .and_then(|by| by.cascades.as_ref())
                .map_or_else(|| camera.clone(), |cascades| camera.with_only(cascades)),
            box_identity: around.config.identity.clone(),
            // What a recording holds was seen by the detector that it names.
            detector: by.map_or(&around.detector, |by| &by.detector).clone(),
            notices: None,
            second_looks: None,
            work: work_out,
            readings: readings_out,
            state: Arc::clone(state),
            publisher: around.outlet.of(camera, state),
            trail: evidence::SharedTrail::new(&camera.clip),
            desk: None,
            recorder: around.recorder(camera),
            diary: diary::Diary::new(&around.config.record, &camera.id),
            parked: kept::KeptFile::open(kept::PARKED, store, &camera.id)
                .written_by(&around.scribe),
            view: kept::KeptFile::open(kept::VIEW, store, &camera.id).written_by(&around.scribe),
            on_panic: Some(around.on_panic(camera, Whose::Scene)),
        };
        scene.check()?;
        if let Some(settings) = settings {
            let stream = Arc::new(CameraStream::start(
                camera.id.as_str(),
                settings,
                around.wake.clone(),
            ));
            scene.notices = Some(stream.notices().clone());
            state.attach(&stream);
            scene.second_looks =
                SecondLooks::new(camera, &around.lookers, around.second_looks.clone());
            if let Some(detect) = stream.ring() {
                let name = format!("{}.main", camera.id);
                let main =
                    main.map(|settings| CameraStream::start(&name, settings, around.wake.clone()));
                let rings = evidence::Rings::of(detect, main.as_ref());
                if rings.detect.is_some() {
                    state.attach_evidence(&rings.main);
                    if let Some(second) = &mut scene.second_looks {
                        let looks = main_looks::MainLooks::start(
                            &camera.id,
                            &rings.main,
                            around.second_looks.clone(),
                            state.main_looks().clone(),
                            around.on_panic(camera, Whose::Looks),
                        );
                        second.look_at(looks.context("no thread for its second looks")?);
                    }
                }
                self.kept.extend(main.map(|main| (camera.clone(), main)));
                let made = evidence::Desk::by_hand(
                    camera.clip,
                    rings,
                    scene.publisher.clone(),
                    &scene.trail,
                );
                let on_panic = around.on_panic(camera, Whose::Evidence);
                let desk = evidence::Desk::start(made, Some(on_panic));
                scene.desk = Some(desk.context("no thread for its evidence")?);
            }
            self.feeds
                .push((camera.clone(), stream, work_in.clone(), Arc::clone(state)));
        }
        let thread = scene.start()?;
        if let Some(recorded) = recorded {
            let to = player::Stage {
                work: work_in.clone(),
                state: Arc::clone(state),
                stop: around.stop.clone(),
                on_panic: around.on_panic(camera, Whose::Player),
            };
            self.players.push(player::start(&camera.id, recorded, to)?);
        }
        let running = Running {
            work: work_in,
            readings: readings_in,
            thread,
        };
        self.running.insert(camera.id.clone(), running);
        Ok(())
    }

    /// Whose streams there are.
    fn streams(&self) -> impl Iterator<Item = (&CameraConfig, &CameraStream)> {
        let feeds = self.feeds.iter();
        let feeds = feeds.map(|(camera, stream, ..)| (camera, &**stream));
        let kept = self.kept.iter().map(|(camera, stream)| (camera, stream));
        feeds.chain(kept)
    }

    /// Senders are dropped, receivers drain.
    fn shut_down(self) {
        tracing::info!("stopping");
        // All at once: where a decoder's driver hangs, each takes as long as it may.
        for (_, stream) in self.streams() {
            stream.ask_to_stop();
        }
        let until = Instant::now() + CameraStream::STOP_LIMIT;
        for (camera, stream, work, state) in self.feeds {
            drop(work);
            state.detach();
            if let Some(stream) = Arc::into_inner(stream) {
                stream.stop_until(until);
            } else {
                tracing::warn!(camera = %camera.id, "stream is still in use; not closed");
            }
        }
        for (_, stream) in self.kept {
            stream.stop_until(until);
        }
        for player in self.players {
            join(player, "player");
        }
        // These too: each makes the evidence that it owes.
        let told = |(camera, running): (CameraId, Running)| {
            drop((running.work, running.readings));
            (camera, running.thread)
        };
        let scenes: Vec<_> = self.running.into_iter().map(told).collect();
        for (camera, thread) in scenes {
            join(thread, camera.as_str());
        }
    }
}

fn join(thread: JoinHandle<()>, what: &str) {
    if thread.join().is_err() {
        tracing::error!(
            what,
            "thread ended by a panic; please report this with the log"
        );
    }
}

fn wait(woken: &Receiver<()>, goes_on: &dyn Fn(), stop: &StopFlag) {
    while !stop.is_set() {
        goes_on();
        // Nobody wakes us without streams; this only bounds the wait.
        let _nothing = woken.recv_timeout(Duration::from_millis(100));
    }
}
