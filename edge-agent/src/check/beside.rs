//! The models beside the detector, each loaded once and shown its self-test, as `run`
//! does: what does not start then leaves its rules blind, and the box watches on without.

use super::{Finding, Outcome};
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
    let tried = models_command::try_shadow(&config.detector, &shadow.model);
    Some(Finding {
        part: "shadow model".to_owned(),
        outcome: match tried {
            Ok(provider) => Outcome::Good(format!("{} on {provider}", shadow.model)),
            Err(error) => Outcome::Failed(format!(
                "it does not start, so nothing would be compared: {}",
                said::whole(error.chain())
            )),
        },
    })
}
