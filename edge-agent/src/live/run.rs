//! From the outbox to the cameras and back: what starts before what, and what goes on
//! when something of it does not start.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use anyhow::Context as _;
use case_bundle::files::said;
use edge_uplink::{Outbox, Uplink};
use protocol::CameraId;
use protocol::event::Words;

use super::supervision::Supervisor;
use super::{Job, Looking, ModelState, Outlet, StopFlag, recovery, shadow, watch};
use crate::cascades::{Lookers, name_of};
use crate::case::Signer;
use crate::config::{AgentConfig, CameraConfig, CascadeConfig, Looker, SourceConfig, UplinkConfig};
use crate::{models_command, uplink_settings};

/// How long the uplink may still send when the box stops.
const DRAIN: Duration = Duration::from_secs(3);
/// How long a box that cannot watch goes on delivering before it ends.
const LAST_DELIVERY: Duration = Duration::from_mins(10);

/// Runs until `stop` is set.
pub fn run(config: &AgentConfig, stop: &StopFlag) -> anyhow::Result<()> {
    let outbox = Outbox::open(&config.store.dir, config.store.disk_budget()).context(
        "the outbox could not be opened; nothing would survive a restart, so nothing is started",
    )?;
    // Only now: whoever holds the outbox holds the keys beside it.
    let signer = Arc::new(Signer::open(config)?);
    recovery::settle(&outbox, &signer);
    // First of all: whatever else fails, what was found before it is delivered.
    let uplink = uplink_settings::settings(config)?
        .map(|settings| Uplink::start(settings, outbox.clone()).map(Arc::new))
        .transpose()?;
    let in_the_clear = config.uplink.iter().flat_map(UplinkConfig::in_the_clear);
    for told in in_the_clear {
        tracing::warn!("{told}");
    }
    if uplink.is_none() {
        tracing::warn!(
            "no [uplink] in the configuration; events stay in the outbox until there is one"
        );
    }
    let outlet = Outlet {
        outbox: &outbox,
        signer: &signer,
        uplink: uplink.as_ref(),
    };
    let supervisor = Supervisor::of_environment();
    supervisor.status("loading models and starting cameras");
    let result = perceive(config, outlet, &supervisor, stop);
    if let Err(error) = &result {
        let why = said::whole(error.chain());
        supervisor.status(&format!("nothing is watched: {why}"));
    }
    if let (Err(error), Some(uplink)) = (&result, &uplink) {
        deliver_what_waits(error, uplink, stop);
    }
    if let Some(uplink) = uplink.and_then(Arc::into_inner) {
        uplink.stop(DRAIN);
    }
    tracing::info!(waiting = outbox.waiting(), "stopped");
    match stop.fault() {
        // Not as if somebody had asked for it: the program is to be started anew.
        Some(fault) => result.and(Err(fault.clone().into())),
        None => result,
    }
}

/// A model of cascades that could not begin.
pub(super) struct LeftOut {
    looker: Looker,
    /// Who goes without it.
    pub(super) cameras: Vec<CameraId>,
    pub(super) state: Arc<ModelState>,
}

impl LeftOut {
    /// Each is known once, whoever wants it.
    fn note(all: &mut Vec<Self>, (looker, camera): (&Looker, &CameraId), why: &Words) {
        if let Some(known) = all.iter_mut().find(|known| known.looker == *looker) {
            known.cameras.push(camera.clone());
            return;
        }
        let name = name_of(looker).to_owned();
        all.push(Self {
            looker: looker.clone(),
            cameras: vec![camera.clone()],
            state: Arc::new(ModelState::left_out(name, Job::Cascade, why.clone())),
        });
    }
}

/// Loads the models and watches until `stop` is set.
fn perceive(
    config: &AgentConfig,
    outlet: Outlet<'_>,
    supervisor: &Supervisor,
    stop: &StopFlag,
) -> anyhow::Result<()> {
    let has_pictures = |camera: &CameraConfig| matches!(camera.source, SourceConfig::Rtsp(_));
    let needs_detector = config.cameras.iter().any(has_pictures);
    if needs_detector {
        edge_video::init()?;
    }
    let mut config = config.clone();
    let mut lookers = Lookers::default();
    if needs_detector {
        // Before any model is loaded: whoever ended the program the last time is charged.
        let store = models_command::store(&config.detector)?.until(stop.shared());
        lookers = Lookers::on_trial(store.watch_over());
    }
    let mut without = BTreeMap::new();
    let mut left_out = Vec::new();
    for camera in config
        .cameras
        .iter_mut()
        .filter(|camera| has_pictures(camera))
    {
        let id = camera.id.clone();
        let mut begin = |cascade: &CascadeConfig| {
            let Err(error) = lookers.take_on(&config.detector, cascade) else {
                return true;
            };
            let error = said::whole(error.chain());
            tracing::error!(camera = %id, "rules that rest on it see nothing: {error}");
            let why = Words::new(
                format!(
                    "Tầng `{}` không chạy được, các luật dựa vào nó không thấy gì; chạy edge-agent check",
                    cascade.id
                ),
                format!("{error}; rules that rest on it see nothing: run `edge-agent check`"),
            );
            LeftOut::note(&mut left_out, (&cascade.looker, &id), &why);
            without.entry(id.clone()).or_insert(why);
            false
        };
        camera.cascades.retain(&mut begin);
    }
    // It may look for others: then it is not the model that is at fault.
    left_out.retain(|it| !lookers.has(&it.looker));
    let compared = needs_detector
        .then(|| shadow::begin(&config.detector, stop))
        .flatten();
    // Last, and nothing that can fail between it and the cameras but themselves: a
    // start that ends for another reason says nothing of a model on trial.
    let begun = needs_detector
        .then(|| models_command::begin_detector(&config.detector, stop))
        .transpose()?;
    let (detector, mut trial) = begun.unzip();
    let looking = Looking {
        detector: detector.map(|detector| (detector, trial.as_mut())),
        lookers,
        compared,
        without: &without,
        left_out: &left_out,
    };
    let result = watch(&config, looking, outlet, supervisor, stop);
    // A model that failed would not have come so far, and one that ended the
    // process not to here.
    if let Some(trial) = trial {
        trial.stop();
    }
    result
}

/// A box that cannot watch still holds what it found before: that goes to the centre,
/// with the reason why nothing more comes, before the program ends.
fn deliver_what_waits(error: &anyhow::Error, uplink: &Uplink, stop: &StopFlag) {
    let waits = || {
        let status = uplink.status();
        status.waiting + status.uploads_waiting
    };
    if stop.is_set() {
        return;
    }
    let error = said::whole(error.chain());
    // Also where nothing waits any more: it may have been delivered while models were being loaded.
    let waiting = waits();
    let first = if waiting > 0 {
        "; what waits is delivered first, for ten minutes at most (Ctrl-C ends it)"
    } else {
        ""
    };
    tracing::error!(waiting, "nothing is watched: {error}{first}");
    uplink.report(Words::new(
        format!("Hộp không theo dõi được gì: {error}"),
        format!("the box watches nothing: {error}"),
    ));
    let begun = Instant::now();
    while waits() > 0 && !stop.is_set() && begun.elapsed() < LAST_DELIVERY {
        thread::sleep(Duration::from_millis(100));
    }
}
