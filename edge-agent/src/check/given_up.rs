//! Models that this box is to use and has given up: a start takes another, or none, though the file
//! loads and sees what it must when it is tried here.

use edge_inference::{Candidate, FailedModel, ModelStore, StandIn};
use protocol::id::ModelId;

use super::Outcome;
use crate::config::{DetectorConfig, Looker, PlatesConfig, named_version};
use crate::models_command;

/// What is held here against `MODEL` or `MODEL@VERSION`, if it was given up.
pub(super) fn of(store: &ModelStore, name: &str) -> Option<FailedModel> {
    let candidate = candidate(store, name)?;
    store.trials().failure_of(&candidate).cloned()
}

/// It as trials know it; its file is looked at only where a version is named.
fn candidate(store: &ModelStore, name: &str) -> Option<Candidate> {
    let (model, version) = named_version(name).ok()?;
    match version {
        None => store.candidate_of(&model),
        Some(_) => Some(store.candidate_at(&model, version).ok()?.0),
    }
}

/// When, why, and what to do.
pub(super) fn in_words(failed: &FailedModel) -> String {
    let (at, reason, next) = (&failed.at, &failed.reason, failed.next_step());
    format!("was given up on {at}: {reason}; {next}")
}

/// Another detects than the one that is wanted.
pub(super) fn replaced(by: &StandIn) -> Outcome {
    Outcome::Failed(format!(
        "{}; {} takes its place, and cameras are degraded meanwhile",
        by.why, by.candidate
    ))
}

/// Why who looks for a cascade is another than the named one, or nobody.
pub(super) fn of_looker(
    store: &ModelStore,
    looker: &Looker,
    plates: &PlatesConfig,
) -> Option<String> {
    let names = match looker {
        Looker::Model(name) => vec![name.clone()],
        Looker::Plates => {
            let reader = plates.settings();
            [reader.places, reader.lines].map(String::from).into()
        }
    };
    names.iter().find_map(|name| {
        let failed = of(store, name)?;
        let told = in_words(&failed);
        let record = store.trials().second.remove(&failed.candidate.model);
        let last_good = record.and_then(|record| record.proven);
        Some(match last_good {
            Some(last_good) => format!("{name} {told}; {last_good} looks meanwhile"),
            None => format!("{name} {told}; nobody looks meanwhile"),
        })
    })
}

/// Whether the shadow is told to compare the detector with itself.
pub(super) fn is_the_detector(config: &DetectorConfig, store: &ModelStore, shadow: &str) -> bool {
    let detects: Option<ModelId> = models_command::in_use(config, store);
    let detects = detects.and_then(|model| store.candidate_of(&model));
    let both = detects.zip(candidate(store, shadow));
    both.is_some_and(|(detects, shadow)| detects.is(&shadow))
}
