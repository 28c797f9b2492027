//! Which rules see nothing, because no model gives the classes that they need.

use std::collections::BTreeSet;

use edge_core::{RuleConfig, SceneConfig};
use edge_inference::{Installed, ModelState};
use models::heads::Answer;
use protocol::ObjectClass;
use protocol::id::ModelId;

use crate::config::{CameraConfig, DetectorConfig, SourceConfig};
use crate::models_command;
use crate::recording::RecordingReader;

/// Whose detections a camera's rules are given.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Eyes {
    /// Of the model that `run` would take.
    Model(ModelId),
    /// Of none: no model is installed.
    Nobody,
    /// Of the detector that a recording names, with what it can give.
    Recorded(ModelId, Vec<ObjectClass>),
    /// Of a recording that does not say.
    Unnamed,
}

impl Eyes {
    /// Of a camera; `None` where its recording cannot be read, which is told elsewhere.
    pub(super) fn of(camera: &CameraConfig, detector: &DetectorConfig) -> Option<Self> {
        match &camera.source {
            SourceConfig::Rtsp(_) => Some(Self::of_network_cameras(detector)),
            SourceConfig::Recording(recording) => {
                let recorded = RecordingReader::seen_by(&recording.recording).ok()?;
                let named = recorded
                    .detector
                    .and_then(|seen| Some((seen.model, seen.classes?)));
                Some(named.map_or(Self::Unnamed, |(model, classes)| {
                    Self::Recorded(model, classes)
                }))
            }
        }
    }

    fn of_network_cameras(detector: &DetectorConfig) -> Self {
        let best = || {
            let store = models_command::store(detector).ok()?;
            Some(store.best_detector().ok()?.0.id)
        };
        let chosen = detector.model.clone().or_else(best);
        chosen.map_or(Self::Nobody, Self::Model)
    }

    fn given(&self, models: &[ModelState]) -> BTreeSet<ObjectClass> {
        match self {
            Self::Model(id) => models
                .iter()
                .find(|model| model.manifest.id == *id)
                .map(classes)
                .unwrap_or_default(),
            Self::Recorded(_, classes) => classes.iter().copied().collect(),
            Self::Nobody | Self::Unnamed => BTreeSet::new(),
        }
    }
}

/// One line for each rule that is not fed: what it needs, and which model would
/// give it. `second`: what cascades give beside the detector.
pub(super) fn unfed(
    scene: &SceneConfig,
    eyes: &Eyes,
    models: &[ModelState],
    second: &[ObjectClass],
) -> Vec<String> {
    let mut given = eyes.given(models);
    given.extend(second);
    let missing = |rule: &RuleConfig| -> Vec<ObjectClass> {
        let needs = rule.needs.iter().copied();
        needs.filter(|class| !given.contains(class)).collect()
    };
    scene
        .rules
        .iter()
        .map(|rule| (rule, missing(rule)))
        .filter(|(_, missing)| !missing.is_empty())
        .map(|(rule, missing)| advice(rule, &missing, eyes, models))
        .collect()
}

fn classes(model: &ModelState) -> BTreeSet<ObjectClass> {
    let named = model.manifest.classes.named();
    named.map(|(_, class)| class).collect()
}

fn advice(
    rule: &RuleConfig,
    missing: &[ObjectClass],
    eyes: &Eyes,
    models: &[ModelState],
) -> String {
    let words: Vec<String> = missing.iter().map(|class| format!("`{class}`")).collect();
    let words = words.join(" and ");
    let (id, kind) = (&rule.id, rule.kind);
    let gives_all = |model: &&ModelState| {
        let given = classes(model);
        rule.needs.iter().all(|class| given.contains(class))
    };
    let mut candidates = models.iter().filter(gives_all);
    let is_here = |model: &&ModelState| matches!(model.state, Installed::Installed(_));
    let here = candidates.clone().find(is_here);
    let what_to_do = match (eyes, here) {
        // Whoever reads plates says as well that a vehicle has one.
        _ if missing == [ObjectClass::Plate] => {
            "have plates read: a [[camera.cascade]] with `gives = \"plate_text\"` on the vehicles of the rule, see \
             docs/cascades.md"
                .to_owned()
        }
        (Eyes::Recorded(..) | Eyes::Unnamed, Some(here)) => format!(
            "{}, which is installed, does: record the clip again with it",
            here.manifest.id
        ),
        // A classifier of crops finds nobody.
        (_, Some(here)) if here.manifest.head.answer() == Answer::Labels => format!(
            "{}, which is installed, does: let it take second looks with a [[camera.cascade]], see \
             docs/cascades.md",
            here.manifest.id
        ),
        (_, Some(here)) => format!(
            "{}, which is installed, does; set `model = \"{}\"` under [detector]",
            here.manifest.id, here.manifest.id
        ),
        (_, None) => match candidates.next() {
            Some(known) => format!(
                "no installed model gives it; {} of the catalogue does. {}",
                known.manifest.id,
                known.manifest.obtain.trim()
            ),
            None => format!(
                "no installed model gives {words} and none of the catalogue does; install one whose manifest lists it"
            ),
        },
    };
    let (will, why) = match eyes {
        Eyes::Model(model) => ("will", format!("which {model} does not give")),
        Eyes::Nobody => ("will", "and no model is installed".to_owned()),
        Eyes::Recorded(model, _) => (
            "will",
            format!("which {model}, by which the recording was made, does not give"),
        ),
        Eyes::Unnamed => (
            "may",
            "and the recording does not say what its detector could give (coverage says \
             `model_unknown` until one is seen)"
                .to_owned(),
        ),
    };
    format!("rule `{id}` ({kind}) {will} find nothing: it needs {words}, {why}; {what_to_do}")
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::path::PathBuf;

    fn model(id: &str, classes: &str, state: Installed) -> ModelState {
        let mut manifest = models::catalogue()
            .into_iter()
            .find_map(Result::ok)
            .unwrap();
        manifest.id = ModelId::new(id).unwrap();
        manifest.classes = toml::from_str(classes).unwrap();
        manifest.obtain = "Ask for it.".to_owned();
        ModelState { manifest, state }
    }

    fn scene(rules: &str) -> SceneConfig {
        let table: toml::Table = rules.parse().unwrap();
        let (scene, faults) = SceneConfig::from_table(&table);
        assert_eq!(faults, []);
        scene
    }

    #[test]
    fn a_rule_without_its_class_is_told_with_the_model_that_gives_it() {
        let here = || Installed::Installed(PathBuf::from("model.onnx"));
        let road = model("road", "count = 1\nperson = [0]", here());
        let heads = "count = 2\nhelmet = [0]\nno_helmet = [1]";
        let rules =
            scene("rule = [{ id = 'h', kind = 'no_helmet' }, { id = 'r', kind = 'riders_two' }]");
        let in_use = Eyes::Model(ModelId::new("road").unwrap());
        let told = |others: &[ModelState]| {
            let mut models = vec![road.clone()];
            models.extend_from_slice(others);
            unfed(&rules, &in_use, &models, &[])
        };
        let [line] = told(&[]).try_into().unwrap();
        assert!(
            line.starts_with("rule `h` (no_helmet) will find nothing"),
            "{line}"
        );
        assert!(
            line.contains("no installed model gives `no_helmet`"),
            "{line}"
        );
        assert!(
            line.contains("install one whose manifest lists it"),
            "{line}"
        );
        let [line] = told(&[model("heads", heads, here())]).try_into().unwrap();
        assert!(line.contains("set `model = \"heads\"`"), "{line}");
        let [line] = told(&[model("heads", heads, Installed::Missing)])
            .try_into()
            .unwrap();
        assert!(
            line.contains("heads of the catalogue does. Ask for it."),
            "{line}"
        );
    }

    #[test]
    fn a_rule_that_is_fed_is_not_told() {
        let heads = "count = 2\nhelmet = [0]\nno_helmet = [1]";
        let all = model("all", heads, Installed::Missing);
        let rules = scene("rule = [{ id = 'h', kind = 'no_helmet' }]");
        let in_use = Eyes::Model(ModelId::new("all").unwrap());
        assert_eq!(unfed(&rules, &in_use, &[all], &[]), Vec::<String>::new());
    }

    #[test]
    fn without_a_model_and_of_a_recording_it_is_told_as_well() {
        let rules = scene("rule = [{ id = 'h', kind = 'no_helmet' }]");
        let only = ModelId::new("road").unwrap();
        for (eyes, part) in [
            (
                Eyes::Nobody,
                "will find nothing: it needs `no_helmet`, and no model is installed",
            ),
            (
                Eyes::Recorded(only, vec![ObjectClass::Person]),
                "which road, by which the recording was made, does not give",
            ),
            (Eyes::Unnamed, "may find nothing"),
        ] {
            let [line] = unfed(&rules, &eyes, &[], &[]).try_into().unwrap();
            assert!(line.contains(part), "{line}");
        }
        let fed = Eyes::Recorded(ModelId::new("heads").unwrap(), vec![ObjectClass::NoHelmet]);
        assert_eq!(unfed(&rules, &fed, &[], &[]), Vec::<String>::new());
        // A cascade feeds it as well.
        let helmets = [ObjectClass::NoHelmet];
        assert_eq!(
            unfed(&rules, &Eyes::Nobody, &[], &helmets),
            Vec::<String>::new()
        );
    }

    #[test]
    fn who_wants_plates_is_told_how_they_are_read() {
        let road = model("road", "count = 1\ncar = [0]", Installed::Missing);
        let rules = scene("rule = [{ id = 'p', kind = 'plate_obscured' }]");
        let in_use = Eyes::Model(ModelId::new("road").unwrap());
        let [line] = unfed(&rules, &in_use, &[road], &[]).try_into().unwrap();
        assert!(line.contains("`gives = \"plate_text\"`"), "{line}");
        assert!(!line.contains("none of the catalogue"), "{line}");
    }
}
