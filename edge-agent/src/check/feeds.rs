//! Which rules see nothing, because no model gives the classes that they need.

use std::collections::BTreeSet;

use edge_core::{RuleConfig, SceneConfig};
use edge_inference::{Installed, ModelState};
use protocol::ObjectClass;
use protocol::id::ModelId;

/// One line for each rule that the model in use does not feed: what it needs,
/// and which model would give it.
pub(super) fn unfed(scene: &SceneConfig, in_use: &ModelId, models: &[ModelState]) -> Vec<String> {
    let given = models
        .iter()
        .find(|model| model.manifest.id == *in_use)
        .map(classes)
        .unwrap_or_default();
    let missing = |rule: &RuleConfig| -> Vec<ObjectClass> {
        let needs = rule.needs.iter().copied();
        needs.filter(|class| !given.contains(class)).collect()
    };
    scene
        .rules
        .iter()
        .map(|rule| (rule, missing(rule)))
        .filter(|(_, missing)| !missing.is_empty())
        .map(|(rule, missing)| advice(rule, &missing, in_use, models))
        .collect()
}

fn classes(model: &ModelState) -> BTreeSet<ObjectClass> {
    let named = model.manifest.classes.named();
    named.map(|(_, class)| class).collect()
}

fn advice(
    rule: &RuleConfig,
    missing: &[ObjectClass],
    in_use: &ModelId,
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
    let what_to_do = if let Some(here) = candidates.clone().find(is_here) {
        format!(
            "{}, which is installed, does; set `model = \"{}\"` under [detector]",
            here.manifest.id, here.manifest.id
        )
    } else if let Some(known) = candidates.next() {
        format!(
            "no installed model gives it; {} of the catalogue does. {}",
            known.manifest.id,
            known.manifest.obtain.trim()
        )
    } else {
        format!(
            "no installed model gives {words} and none of the catalogue does; install one whose manifest lists it"
        )
    };
    format!(
        "rule `{id}` ({kind}) will find nothing: it needs {words}, which {in_use} does not give; {what_to_do}"
    )
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
        let in_use = ModelId::new("road").unwrap();
        let told = |others: &[ModelState]| {
            let mut models = vec![road.clone()];
            models.extend_from_slice(others);
            unfed(&rules, &in_use, &models)
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
        let in_use = ModelId::new("all").unwrap();
        assert_eq!(unfed(&rules, &in_use, &[all]), Vec::<String>::new());
    }
}
