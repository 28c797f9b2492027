//! Which rules see nothing, because no model gives the classes that they need.

use std::collections::{BTreeMap, BTreeSet};

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
        let chosen = match models_command::store(detector) {
            Ok(store) => models_command::in_use(detector, &store),
            Err(_) => detector.model.clone(),
        };
        chosen.map_or(Self::Nobody, Self::Model)
    }

    /// The detector whose classes are known.
    fn known<'m>(&'m self, models: &[ModelState]) -> Option<&'m ModelId> {
        match self {
            Self::Model(id) => (models.iter())
                .any(|model| model.manifest.id == *id)
                .then_some(id),
            Self::Recorded(id, _) => Some(id),
            Self::Nobody | Self::Unnamed => None,
        }
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
/// give it. `second`: what cascades give beside the detector. And one for rules that
/// are about road users whom the detector does not give.
pub(super) fn unfed(
    scene: &SceneConfig,
    eyes: &Eyes,
    models: &[ModelState],
    second: &[ObjectClass],
) -> Vec<String> {
    let mut given = eyes.given(models);
    given.extend(second);
    let missing = |classes: &[ObjectClass]| -> Vec<ObjectClass> {
        let classes = classes.iter().copied();
        classes.filter(|class| !given.contains(class)).collect()
    };
    let mut lines: Vec<String> = scene
        .rules
        .iter()
        .map(|rule| (rule, missing(rule.needs)))
        .filter(|(_, missing)| !missing.is_empty())
        .map(|(rule, missing)| advice(rule, &missing, eyes, models))
        .collect();
    if let Some(model) = eyes.known(models) {
        // One line for all rules that lack the same.
        let mut lacking: BTreeMap<Vec<ObjectClass>, Vec<&RuleConfig>> = BTreeMap::new();
        for rule in &scene.rules {
            let unseen = missing(&rule.about);
            if !unseen.is_empty() && missing(rule.needs).is_empty() {
                lacking.entry(unseen).or_default().push(rule);
            }
        }
        lines.extend(
            lacking
                .iter()
                .map(|(unseen, rules)| unseen_by(model, unseen, rules)),
        );
    }
    lines
}

/// Which road users rules will not see, though they are about them.
fn unseen_by(model: &ModelId, unseen: &[ObjectClass], rules: &[&RuleConfig]) -> String {
    let listed = |words: Vec<String>| words.join(", ");
    let classes = listed(unseen.iter().map(|class| format!("`{class}`")).collect());
    let named =
        |rules: &[&RuleConfig]| listed(rules.iter().map(|r| format!("`{}`", r.id)).collect());
    let is_blind = |rule: &&&RuleConfig| rule.about.iter().all(|class| unseen.contains(class));
    let blind: Vec<&RuleConfig> = rules.iter().filter(is_blind).copied().collect();
    let blind = match &blind[..] {
        [] => String::new(),
        blind => format!(
            " {} will find nothing at all (coverage says `no_model`).",
            named(blind)
        ),
    };
    format!(
        "{model} does not give {classes}, and these rules are about them: {}.{blind} Choose a model that gives them \
         (`edge-agent models list`), train one with pictures in which they are labelled (docs/finetune.md), or take \
         them out of the rules' `classes`",
        named(rules)
    )
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
        let road = model("road", "count = 2\nperson = [0]\nmotorcycle = [1]", here());
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
        let classes = "count = 3\nhelmet = [0]\nno_helmet = [1]\nmotorcycle = [2]";
        let all = model("all", classes, Installed::Missing);
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
        let classes = vec![ObjectClass::Motorcycle, ObjectClass::NoHelmet];
        let fed = Eyes::Recorded(ModelId::new("heads").unwrap(), classes);
        assert_eq!(unfed(&rules, &fed, &[], &[]), Vec::<String>::new());
        // A cascade feeds it as well.
        let helmets = [ObjectClass::NoHelmet];
        assert_eq!(
            unfed(&rules, &Eyes::Nobody, &[], &helmets),
            Vec::<String>::new()
        );
    }

    /// It was judged by the detector with the best rank, whichever had been chosen.
    #[test]
    fn rules_are_judged_by_the_model_that_was_chosen_on_this_box() {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("use.toml"), "model = \"hanoi\"").unwrap();
        let mut detector = DetectorConfig {
            models_dirs: vec![folder.path().to_owned()],
            ..DetectorConfig::default()
        };
        let eyes = Eyes::of_network_cameras(&detector);
        assert_eq!(eyes, Eyes::Model(ModelId::new("hanoi").unwrap()));
        // The configuration comes first.
        detector.model = Some(ModelId::new("named").unwrap());
        let eyes = Eyes::of_network_cameras(&detector);
        assert_eq!(eyes, Eyes::Model(ModelId::new("named").unwrap()));
    }

    /// Trained on with pictures in which nobody looked for motorcycles, it was put on the box, and all was
    /// said to be well.
    #[test]
    fn rules_about_road_users_whom_the_detector_does_not_give_are_told() {
        let here = Installed::Installed(PathBuf::from("model.onnx"));
        let hanoi = model("hanoi", "count = 80\nperson = [0]\ncar = [2]", here);
        let zone = "zone = [{ id = 'z', points = [[0, 0], [1, 0], [1, 1]] }]";
        let rules = [
            "{ id = 'lane', kind = 'wrong_lane', zone = 'z' }",
            "{ id = 'stop', kind = 'stopped_vehicle', zone = 'z', classes = ['motorcycle'] }",
            "{ id = 'mixed', kind = 'stopped_vehicle', zone = 'z', classes = ['motorcycle', 'car'] }",
            "{ id = 'people', kind = 'pedestrian_on_carriageway', zone = 'z' }",
            "{ id = 'picture', kind = 'camera_blocked' }",
        ];
        let rules = scene(&format!("{zone}\nrule = [{}]", rules.join(", ")));
        let eyes = Eyes::Model(ModelId::new("hanoi").unwrap());
        let [line] = unfed(&rules, &eyes, &[hanoi], &[]).try_into().unwrap();
        let (told, advised) = line.split_once(" Choose").unwrap();
        assert_eq!(
            told,
            "hanoi does not give `motorcycle`, and these rules are about them: `lane`, `stop`, `mixed`. `lane`, `stop` \
             will find nothing at all (coverage says `no_model`)."
        );
        assert!(advised.contains("docs/finetune.md"), "{advised}");
        // One of which nobody knows what it gives is told of elsewhere.
        assert_eq!(unfed(&rules, &eyes, &[], &[]), Vec::<String>::new());
        let recorded = Eyes::Recorded(ModelId::new("old").unwrap(), vec![ObjectClass::Motorcycle]);
        let [line, other] = unfed(&rules, &recorded, &[], &[]).try_into().unwrap();
        assert!(
            line.contains("`person`") && line.contains("`people` will find nothing"),
            "{line}"
        );
        assert!(
            other.contains("`car`") && other.contains("about them: `mixed`. Choose"),
            "{other}"
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
