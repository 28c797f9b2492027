//! The models that `[detector]` names, without loading any.

use edge_inference::{Installed, ModelState, ModelStore};
use models::manifest::Task;
use protocol::id::ModelId;

use super::{Finding, Outcome};
use crate::config::{AgentConfig, named_version};
use crate::models_command;

/// A finding for each model that is named and cannot be used so; none where all can.
pub(super) fn look(config: &AgentConfig) -> Vec<Finding> {
    let store = models_command::store(&config.detector).ok();
    let models = store.as_ref().map(ModelStore::list).unwrap_or_default();
    let detector = &config.detector;
    let shadow = detector
        .shadow
        .as_ref()
        .and_then(|shadow| named_version(&shadow.model).ok());
    let (shadow, version) = shadow.unzip();
    // Only of the shadow a version may be named.
    let of_version = |key: &str| {
        let named = shadow.as_ref().filter(|_| key == "detector.shadow.model");
        let asked = store
            .as_ref()?
            .candidate_at(named?, Some(version.flatten()?));
        Some(Outcome::Failed(asked.err()?.to_string()))
    };
    let plates = &detector.plates;
    [
        ("detector.model", detector.model.as_ref(), Task::Detection),
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
            outcome: judge(model?, task, &models).or_else(|| of_version(key))?,
        })
    })
    .collect()
}

fn judge(model: &ModelId, task: Task, models: &[ModelState]) -> Option<Outcome> {
    let Some(known) = models.iter().find(|known| known.manifest.id == *model) else {
        return Some(Outcome::Failed(format!(
            "there is no model {model} here; `edge-agent models list` names those that there are"
        )));
    };
    if known.manifest.task != task {
        return Some(Outcome::Failed(format!(
            "{model} is for {}, and {} is wanted here; `edge-agent models list` says what each is for",
            work(known.manifest.task),
            work(task)
        )));
    }
    (!matches!(known.state, Installed::Installed(_))).then(|| {
        Outcome::Noted(format!(
            "{model} is not installed on this machine; `edge-agent models list` says how it is, on the box"
        ))
    })
}

const fn work(task: Task) -> &'static str {
    match task {
        Task::Detection => "detecting road users",
        Task::Faces => "finding faces",
        Task::Classification => "telling kinds apart",
        Task::TextDetection => "finding writing",
        Task::TextRecognition => "reading lines",
    }
}
