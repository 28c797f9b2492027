//! The models that `[detector]` names, without loading any.

use edge_inference::{Installed, ModelState, ModelStore, StoreError};
use models::manifest::Task;
use protocol::id::ModelId;

use super::{Finding, Outcome, given_up};
use crate::config::{AgentConfig, named_version};
use crate::models_command;

/// A finding for each model that is named and cannot be used so; none where all can.
pub(super) fn look(config: &AgentConfig) -> Vec<Finding> {
    let Ok(store) = models_command::store(&config.detector) else {
        return Vec::new();
    };
    let models = store.list();
    let detector = &config.detector;
    let shadow = detector
        .shadow
        .as_ref()
        .and_then(|shadow| named_version(&shadow.model).ok());
    let (shadow, version) = shadow.unzip();
    // Only of the shadow a version may be named.
    let of_version = |key: &str| {
        let named = shadow.as_ref().filter(|_| key == "detector.shadow.model");
        let asked = store.candidate_at(named?, Some(version.flatten()?));
        Some(Outcome::Failed(asked.err()?.to_string()))
    };
    let plates = &detector.plates;
    // What was chosen on this very machine must be here, and whole.
    let failed = |part: String, error: StoreError| Finding {
        part,
        outcome: Outcome::Failed(error.to_string()),
    };
    let chosen = match store.chosen() {
        _ if detector.model.is_some() => None,
        Ok(chosen) => chosen.and_then(|model| {
            let error = store.find(&model).err()?;
            Some(failed(format!("model {model}, which is in use"), error))
        }),
        Err(error) => Some(failed("the chosen model".to_owned(), error)),
    };
    let of_detector = match &detector.model {
        Some(model) => judge(model, Task::Detection, &store, &models).map(|outcome| Finding {
            part: "detector.model".to_owned(),
            outcome,
        }),
        None => chosen,
    };
    // It may be here and whole, and not be taken all the same.
    let of_detector = of_detector.or_else(|| {
        let by = models_command::stand_in(detector, &store)?;
        Some(Finding {
            part: "model".to_owned(),
            outcome: given_up::replaced(&by),
        })
    });
    let of_shadow = |key: &str| {
        let name = (detector.shadow.as_ref()).filter(|_| key == "detector.shadow.model")?;
        let left = given_up::of(&store, &name.model)?;
        Some(Outcome::Failed(format!(
            "nothing is compared: {} {}",
            name.model,
            given_up::in_words(&left)
        )))
    };
    let named = [
        ("detector.shadow.model", shadow.as_ref(), Task::Detection),
        (
            "detector.plates.find",
            plates.find.as_ref(),
            Task::TextDetection,
        ),
        (
            "detector.plates.read",
            plates.read.as_ref(),
            Task::TextRecognition,
        ),
    ]
    .into_iter()
    .filter_map(|(key, model, task)| {
        Some(Finding {
            part: key.to_owned(),
            outcome: judge(model?, task, &store, &models)
                .or_else(|| of_version(key))
                .or_else(|| of_shadow(key))?,
        })
    });
    of_detector.into_iter().chain(named).collect()
}

fn judge(
    model: &ModelId,
    task: Task,
    store: &ModelStore,
    models: &[ModelState],
) -> Option<Outcome> {
    if let Err(damage @ (StoreError::Manifest(_) | StoreError::Damaged { .. })) = store.find(model)
    {
        return Some(Outcome::Failed(damage.to_string()));
    }
    let Some(known) = models.iter().find(|known| known.manifest.id == *model) else {
        return Some(Outcome::Failed(format!(
            "there is no model {model} here; `edge-agent models list` names those that there are"
        )));
    };
    if known.manifest.task != task {
        return Some(Outcome::Failed(format!(
            "{model} is for {}, and {} is wanted here; `edge-agent models list` says what each is for",
            known.manifest.task.words(),
            task.words()
        )));
    }
    match &known.state {
        Installed::Installed(_) => None,
        Installed::Missing => Some(Outcome::Noted(format!(
            "{model} is not installed on this machine; `edge-agent models list` says how it is, on the box"
        ))),
        Installed::Refused(why) => Some(Outcome::Failed(why.clone())),
    }
}
