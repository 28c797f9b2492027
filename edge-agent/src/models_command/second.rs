//! Loading models that take second looks: the current version of each, or its last
//! good one.

use edge_inference::{
    AtWork, Candidate, Detector, DetectorSettings, FreeNetwork, Ground, ModelStore, Network,
    Runtime, SecondTrial, StartFault,
};
use plate_reader::{Half, PlateReader, ReaderError};
use protocol::id::ModelId;

use super::{detectors, find_named, load_tested, self_test, start_fault, store};
use crate::config::{DetectorConfig, named_version};

/// A model that was loaded, with the networks of which it is made.
pub(crate) struct Begun<T> {
    pub(crate) model: T,
    /// Which files and manifests they are.
    pub(crate) made_of: Vec<Candidate>,
    /// Their trials, on a box that watches.
    pub(crate) trials: Vec<SecondTrial>,
}

impl<T> Begun<T> {
    /// The same, taken for something else.
    pub(crate) fn map<U>(self, change: impl FnOnce(T) -> U) -> Begun<U> {
        Begun {
            model: change(self.model),
            made_of: self.made_of,
            trials: self.trials,
        }
    }

    fn on_trial(model: T, trials: Vec<SecondTrial>) -> Self {
        let made_of = trials.iter().map(|trial| trial.candidate.clone());
        Self {
            model,
            made_of: made_of.collect(),
            trials,
        }
    }
}

/// Loads `MODEL` or `MODEL@VERSION`, whatever its head, to look at parts of pictures.
///
/// With `at_work`, for a box that watches: a version that is new here is on trial, must
/// pass its self-test first, and the last good one takes its place when it fails.
/// Without, for commands that end: the current version as it is.
pub(crate) fn begin_network(
    config: &DetectorConfig,
    name: &str,
    at_work: Option<&AtWork>,
) -> anyhow::Result<Begun<Network>> {
    let settings = config.settings();
    let Some(at_work) = at_work else {
        let (runtime, candidate, manifest, file) = find_named(config, name)?;
        return Ok(Begun {
            model: Network::load(&runtime, manifest, &file, &settings)?,
            made_of: vec![candidate],
            trials: Vec::new(),
        });
    };
    let (model, version) = named_version(name).map_err(anyhow::Error::msg)?;
    let runtime = Runtime::load(config.onnxruntime.as_deref())?;
    let grounds = Ground::all(&runtime, &settings);
    let begun = store(config)?.begin_second(
        (&model, version),
        (at_work, &grounds),
        |candidate, manifest, file, left| {
            let settings = settings.leaving(left);
            let mut network =
                Network::load(&runtime, manifest, file, &settings).map_err(start_fault)?;
            let on = Ground::of(&runtime, &settings, network.computes_on());
            self_test(&mut network, file, candidate).map_err(|fault| fault.on(&on))?;
            Ok((network, Some(on)))
        },
    )?;
    let (network, trial) = begun;
    tell(&trial, config);
    Ok(Begun::on_trial(network, vec![trial]))
}

/// Loads the detector `MODEL` or `MODEL@VERSION` to look in the shadow of the box's own. A
/// new one is on trial; one that failed is left out, and nothing takes its place.
pub(crate) fn begin_shadow(
    config: &DetectorConfig,
    name: &str,
    at_work: &AtWork,
) -> anyhow::Result<(Detector, SecondTrial)> {
    let (model, version) = named_version(name).map_err(anyhow::Error::msg)?;
    let runtime = Runtime::load(config.onnxruntime.as_deref())?;
    let settings = of_shadow(config);
    let grounds = Ground::all(&runtime, &settings);
    let begun = store(config)?.begin_shadow(
        (&model, version),
        (at_work, &grounds),
        detectors(&runtime, &settings),
    )?;
    if begun.1.is_on_trial {
        tracing::info!(
            model = %begun.1.candidate, minutes = config.trial().as_secs_f64() / 60.0,
            "this shadow model is new here and on trial; if the program ends three times while it looks, it is left out"
        );
    }
    Ok(begun)
}

/// Loads the reader of number plates; see [`begin_network`].
pub(crate) fn begin_plates(
    config: &DetectorConfig,
    at_work: Option<&AtWork>,
) -> anyhow::Result<Begun<PlateReader>> {
    let runtime = Runtime::load(config.onnxruntime.as_deref())?;
    let store = store(config)?;
    let settings = config.plates.settings();
    let Some(at_work) = at_work else {
        let halves = [&settings.places, &settings.lines];
        let made_of = halves
            .into_iter()
            .filter_map(|half| store.candidate_of(half));
        return Ok(Begun {
            made_of: made_of.collect(),
            model: PlateReader::load(&runtime, &store, &config.settings(), settings)?,
            trials: Vec::new(),
        });
    };
    let begin =
        |half, model: &ModelId| begin_half(config, (&runtime, &store), at_work, (half, model));
    let (places, of_places) = begin(Half::Places, &settings.places)?;
    let (lines, of_lines) = begin(Half::Lines, &settings.lines)?;
    let reader = PlateReader::of(places, lines, settings)?;
    Ok(Begun::on_trial(reader, vec![of_places, of_lines]))
}

fn begin_half(
    config: &DetectorConfig,
    (runtime, store): (&Runtime, &ModelStore),
    at_work: &AtWork,
    (half, model): (Half, &ModelId),
) -> anyhow::Result<(FreeNetwork, SecondTrial)> {
    // A plate is of any size, and so is a vehicle.
    let settings = config.settings().for_many_sizes();
    let grounds = Ground::all(runtime, &settings);
    let begun = store.begin_second(
        (model, None),
        (at_work, &grounds),
        |candidate, manifest, file, left| {
            let settings = settings.leaving(left);
            let loaded = half.load(runtime, manifest, file, &settings);
            let mut network = loaded.map_err(|error| match error {
                ReaderError::Network(error) => start_fault(error),
                ReaderError::Store(error) => StartFault::Other(error),
                error => StartFault::Model(error.to_string()),
            })?;
            let on = Ground::of(runtime, &settings, network.computes_on());
            self_test(&mut network, file, candidate).map_err(|fault| fault.on(&on))?;
            Ok((network, Some(on)))
        },
    )?;
    tell(&begun.1, config);
    Ok(begun)
}

/// Loads `MODEL` or `MODEL@VERSION` and shows it its self-test. What is on trial stays as it is.
pub(crate) fn try_network(config: &DetectorConfig, name: &str) -> anyhow::Result<()> {
    let (runtime, candidate, manifest, file) = find_named(config, name)?;
    load_tested(&config.settings(), (&candidate, &file), |settings| {
        Ok(Network::load(&runtime, manifest.clone(), &file, settings)?)
    })?;
    Ok(())
}

/// The same of both networks of the reader of plates.
pub(crate) fn try_plates(config: &DetectorConfig) -> anyhow::Result<()> {
    let settings = config.plates.settings();
    let load = |half: Half, model: &ModelId| {
        let (runtime, candidate, manifest, file) = find_named(config, model.as_str())?;
        let (network, _) = load_tested(&config.settings(), (&candidate, &file), |settings| {
            Ok(half.load(&runtime, manifest.clone(), &file, settings)?)
        })?;
        anyhow::Ok(network)
    };
    let places = load(Half::Places, &settings.places)?;
    let lines = load(Half::Lines, &settings.lines)?;
    PlateReader::of(places, lines, settings)?;
    Ok(())
}

/// Loads the detector `MODEL` or `MODEL@VERSION` to look in the shadow, for commands that end.
pub(crate) fn load_shadow(config: &DetectorConfig, name: &str) -> anyhow::Result<Detector> {
    let (runtime, _, manifest, file) = find_named(config, name)?;
    Ok(Detector::load(
        &runtime,
        manifest,
        &file,
        &of_shadow(config),
    )?)
}

/// Its pictures come one by one.
fn of_shadow(config: &DetectorConfig) -> DetectorSettings {
    DetectorSettings {
        batch: 1,
        ..config.settings()
    }
}

/// The same of the detector in the shadow; what computes it.
pub(crate) fn try_shadow(config: &DetectorConfig, name: &str) -> anyhow::Result<&'static str> {
    let (runtime, candidate, manifest, file) = find_named(config, name)?;
    let (detector, _) = load_tested(&of_shadow(config), (&candidate, &file), |settings| {
        Ok(Detector::load(&runtime, manifest.clone(), &file, settings)?)
    })?;
    Ok(detector.provider())
}

fn tell(trial: &SecondTrial, config: &DetectorConfig) {
    if trial.is_on_trial {
        tracing::info!(
            model = %trial.candidate, minutes = config.trial().as_secs_f64() / 60.0,
            "this model for second looks is new here and on trial; if it ends the program three times, its last \
             good version takes its place, or nobody does"
        );
    }
}
