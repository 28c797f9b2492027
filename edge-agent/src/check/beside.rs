//! The models beside the detector, each loaded once and shown its self-test, as `run`
//! does: what does not start then leaves its rules blind, and the box watches on without.

use super::{Finding, Outcome, given_up};
use crate::comparison::ITSELF;
use crate::config::{AgentConfig, DetectorConfig, Looker};
use crate::models_command;
use case_bundle::files::said;

/// Those that were tried, and why each of them does not start.
pub(super) struct Tried<'c> {
    config: &'c DetectorConfig,
    lookers: Vec<(Looker, Option<String>)>,
}

impl<'c> Tried<'c> {
    pub(super) fn new(config: &'c DetectorConfig) -> Self {
        Self {
            config,
            lookers: Vec::new(),
        }
    }

    /// Why this one does not start; it is loaded for the first cascade that names it.
    pub(super) fn fault(&mut self, looker: &Looker) -> Option<String> {
        if let Some((_, fault)) = self.lookers.iter().find(|(known, _)| known == looker) {
            return fault.clone();
        }
        let tried = match looker {
            Looker::Model(name) => models_command::try_network(self.config, name),
            Looker::Plates => models_command::try_plates(self.config),
        };
        let fault = tried.err().map(|error| said::whole(error.chain()));
        self.lookers.push((looker.clone(), fault.clone()));
        fault
    }
}

/// The model in the shadow, if one is named.
pub(super) fn shadow(config: &AgentConfig) -> Option<Finding> {
    let shadow = config.detector.shadow.as_ref()?;
    let model = &shadow.model;
    let store = models_command::store(&config.detector).ok();
    let left = store.as_ref().and_then(|store| given_up::of(store, model));
    let is_the_detector = || {
        let detector = &config.detector;
        store
            .as_ref()
            .is_some_and(|store| given_up::is_the_detector(detector, store, model))
    };
    let outcome = match left {
        Some(left) => Outcome::Failed(format!(
            "nothing is compared: {model} {}",
            given_up::in_words(&left)
        )),
        None => match models_command::try_shadow(&config.detector, model) {
            Ok(_) if is_the_detector() => Outcome::Noted(format!("{model}: {ITSELF}")),
            Ok(provider) => Outcome::Good(format!("{model} on {provider}")),
            Err(error) => Outcome::Failed(format!(
                "it does not start, so nothing would be compared: {}",
                said::whole(error.chain())
            )),
        },
    };
    Some(Finding {
        part: "shadow model".to_owned(),
        outcome,
    })
}
