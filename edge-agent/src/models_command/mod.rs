//! `edge-agent models …`, and the choice of the detector.

mod bench;
mod bundles;
mod command;
mod crop_folder;
mod crops;
mod evaluate;
mod listing;
mod parts;
mod pictures;
mod recommend;
mod second;
mod show;
mod unfinished;

use std::path::{Path, PathBuf};

use edge_inference::{
    Candidate, Detector, DetectorError, DetectorSettings, Examinee, FailedGround, Ground,
    ModelStore, OnTrial, Provider, PublicKey, Runtime, SelfTest, SelfTestFault, StandIn,
    StartFault, Started, StoreError,
};
use models::Manifest;
use protocol::id::ModelId;

use crate::config::{DetectorConfig, named_version};
use crate::live::StopFlag;

pub use bench::BenchArgs;
pub(crate) use bench::HELP as BENCH_HELP;
pub use command::{ModelsCommand, run};
pub(crate) use listing::in_use;
pub(crate) use second::{
    Begun, begin_network, begin_plates, begin_shadow, load_shadow, try_network, try_plates,
    try_shadow,
};

/// The store in the configured folders, else the usual ones.
pub fn store(config: &DetectorConfig) -> Result<ModelStore, StoreError> {
    let folders = if config.models_dirs.is_empty() {
        ModelStore::default_dirs()
    } else {
        config.models_dirs.clone()
    };
    // A box watches on when the keys cannot be read: then hashes are looked at all the
    // same, and only not who signed them.
    let trusted = PublicKey::trusted(&config.trusted_places()).unwrap_or_else(|error| {
        tracing::warn!(
            "whether installed versions are still as they were signed is not looked at: {error}"
        );
        Vec::new()
    });
    let store = ModelStore::open_trusting(folders, trusted)?;
    Ok(store.only_signed(config.only_signed))
}

/// Loads the configured detector, else the one that was chosen, else the best
/// one installed, and says which. For commands that end; see [`begin_detector`].
pub fn load_detector(config: &DetectorConfig) -> anyhow::Result<Detector> {
    let runtime = Runtime::load(config.onnxruntime.as_deref())?;
    let store = store(config)?;
    let (manifest, file) = found_detector(config, &store)?;
    let version = store.version_of(&manifest.id);
    let detector = Detector::load(&runtime, manifest, &file, &config.settings())?;
    tell(&detector, version, &runtime, config);
    Ok(detector)
}

fn found_detector(
    config: &DetectorConfig,
    store: &ModelStore,
) -> Result<(Manifest, PathBuf), StoreError> {
    match config.model.clone().or_else(|| store.used()) {
        Some(model) => store.find(&model),
        None => store.best_detector(),
    }
}

/// The same, shown its self-test, as `run` does before it watches.
pub fn try_detector(config: &DetectorConfig) -> anyhow::Result<Detector> {
    let runtime = Runtime::load(config.onnxruntime.as_deref())?;
    let store = store(config)?;
    let model = found_detector(config, &store)?.0.id;
    let (candidate, manifest, file) = store.candidate_at(&model, None)?;
    let (detector, _) = load_tested(&config.settings(), (&candidate, &file), |settings| {
        Ok(Detector::load(&runtime, manifest.clone(), &file, settings)?)
    })?;
    tell(&detector, candidate.version, &runtime, config);
    Ok(detector)
}

/// The configuration names a detector that this box has never had: a fault of the configuration.
#[derive(Debug, thiserror::Error)]
#[error(
    "detector.model: nothing here shows that this box ever had `{model}`, and no other model takes its place unasked; \
     correct the name, or install it"
)]
pub(crate) struct NeverHad {
    model: ModelId,
    source: Box<StoreError>,
}

/// Refuses a model that is not here and never was. One that was here and is lost is another matter:
/// a box at the roadside watches on with what it has, and says so.
fn refuse_never_had(store: &ModelStore, wanted: Option<&ModelId>) -> Result<(), NeverHad> {
    let Some(model) = wanted.filter(|model| !store.has_had(model)) else {
        return Ok(());
    };
    match store.find(model) {
        Err(source @ (StoreError::Unknown { .. } | StoreError::Missing { .. })) => Err(NeverHad {
            model: model.clone(),
            source: Box::new(source),
        }),
        _ => Ok(()),
    }
}

/// Who a box that starts now begins with in place of the detector that it was told to, and why.
pub(crate) fn stand_in(config: &DetectorConfig, store: &ModelStore) -> Option<StandIn> {
    let wanted = config.model.as_ref();
    refuse_never_had(store, wanted).ok()?;
    store.stand_in(wanted)
}

/// Loads the detector of a box that is to watch: a model that is new here is on
/// trial, must pass its self-test first, and the last good one takes its place
/// when it fails. Whoever is being loaded when `stop` is set is not charged.
pub fn begin_detector(
    config: &DetectorConfig,
    stop: &StopFlag,
) -> anyhow::Result<(Detector, OnTrial)> {
    let runtime = Runtime::load(config.onnxruntime.as_deref())?;
    let store = store(config)?.until(stop.shared());
    refuse_never_had(&store, config.model.as_ref())?;
    let settings = config.settings();
    let grounds = Ground::all(&runtime, &settings);
    let wanted = config.model.as_ref();
    let (detector, trial) = store.begin_on(wanted, &grounds, detectors(&runtime, &settings))?;
    tell(&detector, trial.candidate.version, &runtime, config);
    if trial.is_on_trial {
        tracing::info!(
            model = %trial.candidate, minutes = config.trial().as_secs_f64() / 60.0,
            on = trial.on.as_ref().map(tracing::field::display),
            "this model, or what it computes on, is new here and on trial; if it ends the program, the box goes back to the last good one"
        );
    }
    Ok((detector, trial))
}

fn find_named(
    config: &DetectorConfig,
    name: &str,
) -> anyhow::Result<(Runtime, Candidate, Manifest, PathBuf)> {
    let (model, version) = named_version(name).map_err(anyhow::Error::msg)?;
    let runtime = Runtime::load(config.onnxruntime.as_deref())?;
    let (candidate, manifest, file) = store(config)?.candidate_at(&model, version)?;
    Ok((runtime, candidate, manifest, file))
}

/// Loads a detector that may be new here: not on what it was left on before, and with its
/// self-test. Says on what it computes.
fn detectors(
    runtime: &Runtime,
    settings: &DetectorSettings,
) -> impl Fn(&Candidate, Manifest, &Path, &[FailedGround]) -> Started<Detector> {
    move |candidate, manifest, file, left| {
        let settings = settings.leaving(left);
        let mut detector =
            Detector::load(runtime, manifest, file, &settings).map_err(start_fault)?;
        let on = Ground::of(runtime, &settings, detector.network().computes_on());
        self_test(&mut detector, file, candidate).map_err(|fault| fault.on(&on))?;
        Ok((detector, Some(on)))
    }
}

/// Whose fault it is that a model does not start.
#[allow(clippy::needless_pass_by_value)] // as `map_err` gives it
fn start_fault(error: DetectorError) -> StartFault {
    let reason = error.to_string();
    match error {
        DetectorError::NoProvider { .. } => StartFault::Refused(reason),
        // It was whole when it was looked at, a moment before: damage judges nobody.
        DetectorError::Unreadable { .. } | DetectorError::Differs { .. } => {
            StartFault::Passing(reason)
        }
        _ => StartFault::Model(reason),
    }
}

/// Runs the self-test that lies beside the model's file, if there is one; whether there is.
fn self_test(
    model: &mut impl Examinee,
    file: &Path,
    candidate: &Candidate,
) -> Result<bool, SelfTestFault> {
    let folder = file.parent().unwrap_or(Path::new("."));
    let Some(test) = SelfTest::open(folder)? else {
        return Ok(false);
    };
    let pictures = test.run(model, folder).map_err(|fault| match fault {
        SelfTestFault::Failed(reason) => SelfTestFault::Failed(format!(
            "its self-test fails on {}: {reason}",
            model.provider()
        )),
        untested @ SelfTestFault::Untested(_) => untested,
    })?;
    tracing::info!(model = %candidate, pictures, "self-test passed");
    Ok(true)
}

/// Loads a model and shows it its self-test, for commands that end; whether it has one. Where it sees
/// otherwise than it must on an accelerator, the rest of the list is asked, as `run` does.
fn load_tested<M: Examinee>(
    settings: &DetectorSettings,
    (candidate, file): (&Candidate, &Path),
    load: impl Fn(&DetectorSettings) -> anyhow::Result<M>,
) -> anyhow::Result<(M, bool)> {
    let mut settings = settings.clone();
    loop {
        let mut model = load(&settings)?;
        let fault = match self_test(&mut model, file, candidate) {
            Ok(has_test) => return Ok((model, has_test)),
            Err(fault) => fault,
        };
        let on = (Provider::ALL.into_iter()).find(|provider| provider.name() == model.provider());
        let next = match (&fault, on) {
            (SelfTestFault::Failed(reason), Some(on)) => settings.passing_over(on, reason),
            _ => None,
        };
        let Some(next) = next else {
            return Err(fault.into());
        };
        tracing::warn!(model = %candidate, "{fault}; the next provider is asked");
        settings = next;
    }
}

/// Says what looks: of which version is known to who loaded it, since the last good one may
/// stand in for the current one.
fn tell(detector: &Detector, version: Option<u64>, runtime: &Runtime, config: &DetectorConfig) {
    let manifest = detector.manifest();
    let chosen = match &config.model {
        Some(model) if *model == manifest.id => "by configuration",
        Some(_) => "in place of the configured one",
        None => "of this box",
    };
    tracing::info!(
        model = %manifest.id, version, licence = %manifest.licence,
        sha256 = %manifest.sha256, provider = detector.provider(),
        placement = detector.placement().map(tracing::field::display),
        onnxruntime = %runtime.version(), threads = config.settings().threads,
        chosen,
        "detector"
    );
}

/// The keys of those whose bundles are taken.
fn trusted(config: &DetectorConfig) -> anyhow::Result<Vec<PublicKey>> {
    Ok(PublicKey::trusted(&config.trusted_places())?)
}

#[cfg(test)]
mod tests;
