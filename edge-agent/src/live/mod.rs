//! `edge-agent run`: all cameras of a box, live, until told to stop.
//!
//! Threads: per camera GStreamer's own and one for its scene; one for the
//! detector, which all cameras share; the uplink's. A camera that fails is a
//! status with a reason, never the end of the program.
//!
//! ```text
//! stream ─newest frame─► inference ─work─► scene ─events─► outbox ─► uplink
//!    └────────────────notices──────────────►│ ▲
//!                              controllers ─┘ └─ player (recordings)
//! ```

mod camera_state;
mod inference;
mod metrics;
mod player;
mod publisher;
mod scene_thread;
mod signal_routes;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

use anyhow::Context as _;
use crossbeam_channel::{Receiver, Sender, bounded};
use edge_core::Input;
use edge_inference::Detector;
use edge_uplink::{Outbox, Uplink};
use edge_video::{CameraStream, Frame};
use protocol::{CameraId, EventTime, SignalReading};

use crate::config::{AgentConfig, SourceConfig};
use crate::scene_setup::DetectorIdentity;
use crate::{models_command, uplink_settings};
pub(crate) use camera_state::CameraState;
pub(crate) use player::probe as probe_recording;
pub(crate) use signal_routes::topics as signal_topics;

/// Work for a scene that is not yet done; more means that the scene thread is
/// slower than the cameras, and newer frames are dropped and counted.
const SCENE_QUEUE: usize = 4;
/// Controllers' messages for a scene that is busy.
const READINGS_QUEUE: usize = 256;
/// How long the uplink may still send when the box stops.
const DRAIN: Duration = Duration::from_secs(3);

/// What a scene is to look at next.
pub(crate) struct Work {
    /// In the order in which they happened.
    pub(crate) inputs: Vec<Input>,
    /// The picture they were read from; none for a recording.
    pub(crate) frame: Option<Frame>,
}

/// Set once, by a signal or by a test; everything looks at it.
#[derive(Clone, Default)]
pub struct StopFlag(Arc<AtomicBool>);

impl StopFlag {
    /// Asks everything to stop.
    pub fn set(&self) {
        self.0.store(true, Ordering::Relaxed);
    }

    /// Whether it is time to stop.
    pub fn is_set(&self) -> bool {
        self.0.load(Ordering::Relaxed)
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

/// Runs until `stop` is set.
pub fn run(config: &AgentConfig, stop: &StopFlag) -> anyhow::Result<()> {
    let outbox = Outbox::open(&config.store.dir, config.store.disk_budget()).context(
        "the outbox could not be opened; nothing would survive a restart, so nothing is started",
    )?;
    let needs_detector = config
        .cameras
        .iter()
        .any(|camera| matches!(camera.source, SourceConfig::Rtsp(_)));
    let detector = needs_detector
        .then(|| models_command::load_detector(&config.detector))
        .transpose()?;
    if needs_detector {
        edge_video::init()?;
    }
    let uplink = uplink_settings::settings(config)?
        .map(|settings| Uplink::start(settings, outbox.clone()).map(Arc::new))
        .transpose()?;
    if uplink.is_none() {
        tracing::warn!(
            "no [uplink] in the configuration; events stay in the outbox until there is one"
        );
    }
    let result = watch(config, detector, &outbox, uplink.as_ref(), stop);
    if let Some(uplink) = uplink.and_then(Arc::into_inner) {
        uplink.stop(DRAIN);
    }
    tracing::info!(waiting = outbox.waiting(), "stopped");
    result
}

/// A camera's scene thread, and how to reach it.
struct Running {
    work: Sender<Work>,
    readings: Sender<SignalReading>,
    state: Arc<CameraState>,
    thread: JoinHandle<()>,
}

fn watch(
    config: &AgentConfig,
    detector: Option<Detector>,
    outbox: &Outbox,
    uplink: Option<&Arc<Uplink>>,
    stop: &StopFlag,
) -> anyhow::Result<()> {
    let detector_identity = detector.as_ref().map(|detector| DetectorIdentity {
        model: detector.manifest().id.clone(),
        digest: detector.manifest().sha256,
    });
    let (wake, woken) = bounded(1);
    let mut running: BTreeMap<CameraId, Running> = BTreeMap::new();
    let mut streams = Vec::new();
    let mut players = Vec::new();
    for camera in &config.cameras {
        let state = Arc::new(CameraState::new(config, camera, detector_identity.as_ref()));
        let (work_in, work_out) = bounded(SCENE_QUEUE);
        let (readings_in, readings_out) = bounded(READINGS_QUEUE);
        let stream = match &camera.source {
            SourceConfig::Rtsp(rtsp) => {
                let settings = rtsp.stream_settings(camera.analysed_fps)?;
                let stream = CameraStream::start(camera.id.as_str(), settings, wake.clone());
                Some(Arc::new(stream))
            }
            SourceConfig::Recording(recording) => {
                players.push(player::start(
                    &camera.id,
                    recording,
                    work_in.clone(),
                    Arc::clone(&state),
                    stop.clone(),
                )?);
                None
            }
        };
        let scene = scene_thread::SceneThread {
            config: camera.clone(),
            box_identity: config.identity.clone(),
            detector: detector_identity.clone(),
            notices: stream.as_ref().map(|stream| stream.notices().clone()),
            work: work_out,
            readings: readings_out,
            state: Arc::clone(&state),
            publisher: publisher::Publisher::new(camera, outbox.clone(), uplink.cloned()),
        };
        let thread = scene.start()?;
        if let Some(stream) = stream {
            state.attach(&stream);
            streams.push((camera.clone(), stream, work_in.clone(), Arc::clone(&state)));
        }
        let running_camera = Running {
            work: work_in,
            readings: readings_in,
            state,
            thread,
        };
        running.insert(camera.id.clone(), running_camera);
    }
    let states: Vec<Arc<CameraState>> = running
        .values()
        .map(|camera| Arc::clone(&camera.state))
        .collect();
    let metrics = config
        .metrics
        .as_ref()
        .map(|metrics| metrics::serve(metrics.listen, states, outbox.clone(), uplink.cloned()))
        .transpose()?;
    let routes = uplink.map(|uplink| {
        let scenes = running
            .iter()
            .map(|(id, camera)| (id.clone(), camera.readings.clone()))
            .collect();
        signal_routes::start(&config.cameras, &scenes, uplink.signals(), stop.clone())
    });
    tracing::info!(cameras = config.cameras.len(), "watching");
    match detector {
        Some(detector) => inference::run(detector, &streams, &woken, stop),
        None => wait(&woken, stop),
    }
    shut_down(streams, players, running, routes.transpose()?, metrics);
    Ok(())
}

/// Senders are dropped, receivers drain.
fn shut_down(
    streams: Vec<inference::Feed>,
    players: Vec<JoinHandle<()>>,
    running: BTreeMap<CameraId, Running>,
    routes: Option<JoinHandle<()>>,
    metrics: Option<metrics::Server>,
) {
    tracing::info!("stopping");
    for (camera, stream, work, state) in streams {
        drop(work);
        state.detach();
        if let Some(stream) = Arc::into_inner(stream) {
            stream.stop();
        } else {
            tracing::warn!(camera = %camera.id, "stream is still in use; not closed");
        }
    }
    let join = |thread: JoinHandle<()>, what: &str| {
        if thread.join().is_err() {
            tracing::error!(
                what,
                "thread ended by a panic; please report this with the log"
            );
        }
    };
    for player in players {
        join(player, "player");
    }
    if let Some(routes) = routes {
        join(routes, "signal routes");
    }
    for (
        camera,
        Running {
            work,
            readings,
            thread,
            ..
        },
    ) in running
    {
        drop((work, readings));
        join(thread, camera.as_str());
    }
    if let Some(metrics) = metrics {
        metrics.stop();
    }
}

fn wait(woken: &Receiver<()>, stop: &StopFlag) {
    while !stop.is_set() {
        // Nobody wakes us without streams; this only bounds the wait.
        let _nothing = woken.recv_timeout(Duration::from_millis(100));
    }
}
