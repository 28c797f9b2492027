//! `models show`: all that is known of one model, for whoever asks what judges here.

use std::path::{Path, PathBuf};

use case_bundle::files::said;
use case_bundle::say;
use clap::Args;
use edge_inference::{ModelStore, SelfTest};
use models::Manifest;
use serde::Serialize;

use super::bundles::named_keys;
use super::listing::{Listed, Lister, in_full};
use super::{store, trusted};
use crate::config::{DetectorConfig, named_version};

/// `models show`
#[derive(Debug, Args)]
pub struct ShowArgs {
    /// `MODEL`, or `MODEL@VERSION`; installed or only known.
    model: String,
    /// As JSON, for programs.
    #[arg(long, conflicts_with = "manifest")]
    json: bool,
    /// Only the manifest, as a `model.toml`: to begin that of one of your own with.
    #[arg(long)]
    manifest: bool,
    /// Trusted keys, files or folders of `.pub`, besides the configured ones.
    #[arg(long = "key", value_name = "PUB")]
    keys: Vec<PathBuf>,
}

#[derive(Serialize)]
struct Shown {
    #[serde(flatten)]
    listed: Listed,
    /// Which version the manifest is of, where the model has versions.
    #[serde(skip_serializing_if = "Option::is_none")]
    version: Option<u64>,
    /// Where the manifest stands; left out for the one in this program's catalogue.
    #[serde(skip_serializing_if = "Option::is_none")]
    manifest_file: Option<PathBuf>,
    /// What its self-test expects; left out where it brings none.
    #[serde(skip_serializing_if = "Option::is_none")]
    self_test: Option<String>,
    manifest: Manifest,
}

/// `models show`
pub(super) fn show(config: &DetectorConfig, args: &ShowArgs) -> anyhow::Result<()> {
    let store = store(config)?;
    let mut keys = trusted(config)?;
    keys.extend(named_keys(&args.keys)?);
    let shown = shown(&store, &Lister::new(config, &store, keys), &args.model)?;
    if args.manifest {
        say!("{}", toml::to_string(&shown.manifest)?.trim_end());
    } else if args.json {
        said::json(&serde_json::to_string_pretty(&shown)?);
    } else {
        say!("{}", in_words(&shown));
    }
    Ok(())
}

fn shown(store: &ModelStore, states: &Lister<'_>, name: &str) -> anyhow::Result<Shown> {
    let (model, version) = named_version(name).map_err(anyhow::Error::msg)?;
    let current = store.version_of(&model);
    // A version that is not the current one is looked up by its number; the current one also where
    // it may not be used, to say so.
    let other = version.filter(|version| Some(*version) != current);
    let (manifest, listed, manifest_file) = if let Some(version) = other {
        let (candidate, manifest, file) = store.candidate_at(&model, Some(version))?;
        let beside = file.with_file_name(edge_inference::bundle::MANIFEST);
        let listed = states.kept(&manifest, &candidate, file);
        (manifest, listed, Some(beside))
    } else {
        let state = store.state_of(&model)?;
        let manifest = state.manifest.clone();
        (manifest, states.listed(state), store.manifest_file(&model))
    };
    let file = listed.file.as_deref();
    Ok(Shown {
        version: other.or(current),
        self_test: file.and_then(self_test),
        listed,
        manifest_file,
        manifest,
    })
}

/// What the self-test that lies beside a model's file expects.
fn self_test(file: &Path) -> Option<String> {
    match SelfTest::open(file.parent()?) {
        Ok(test) => test.map(|test| test.summary()),
        Err(fault) => Some(fault.to_string()),
    }
}

fn in_words(shown: &Shown) -> String {
    let manifest = &shown.manifest;
    let mut text = in_full(&shown.listed);
    let mut say = |what: &str, value: &str| {
        for (number, line) in value.trim().lines().enumerate() {
            let what = if number == 0 { what } else { "" };
            text = format!("{text}\n  {what:<11} {line}");
        }
    };
    say("is", &manifest.title);
    say("for", manifest.task.words());
    say("licence", &licence(manifest));
    say("origin", &manifest.origin);
    say("head", manifest.head.kind());
    say("input", &input(manifest));
    say("classes", &classes(manifest));
    let thresholds = &manifest.thresholds;
    say(
        "thresholds",
        &format!(
            "believed from {}, looked at from {}, doubles from an overlap of {}",
            thresholds.high, thresholds.low, thresholds.nms
        ),
    );
    say("network", &network(manifest));
    let catalogue = || "in the catalogue of this program".to_owned();
    let place = shown.manifest_file.as_ref();
    say(
        "manifest",
        &place.map_or_else(catalogue, |file| file.display().to_string()),
    );
    let is_here = shown.listed.file.is_some();
    let none = if is_here {
        "none: what it sees is not checked"
    } else {
        "none is here"
    };
    say("self-test", shown.self_test.as_deref().unwrap_or(none));
    text
}

fn licence(manifest: &Manifest) -> String {
    let licence = &manifest.licence;
    match &manifest.licence_accepted_by {
        Some(who) => format!("{licence}, accepted by {who}"),
        None => licence.clone(),
    }
}

fn input(manifest: &Manifest) -> String {
    let input = &manifest.input;
    let any = if input.dynamic { ", or another" } else { "" };
    format!(
        "{}×{} pixels{any}, {}",
        input.width, input.height, input.element
    )
}

fn classes(manifest: &Manifest) -> String {
    let classes = &manifest.classes;
    if classes.is_empty() {
        return "none".to_owned();
    }
    let mut words: Vec<&str> = Vec::new();
    for (_, class) in classes.named() {
        if !words.contains(&class.as_str()) {
            words.push(class.as_str());
        }
    }
    let named = classes.named().count();
    let dropped = match classes.count() - named {
        0 => String::new(),
        dropped => format!(
            " ({dropped} of its {} numbers have no word here and are dropped)",
            classes.count()
        ),
    };
    format!("{}{dropped}", words.join(", "))
}

fn network(manifest: &Manifest) -> String {
    let size = manifest
        .size_bytes
        .map_or_else(String::new, |bytes| format!(", {bytes} bytes"));
    format!("{}{size}, SHA-256 {}", manifest.file, manifest.sha256)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_manifest_is_told_in_words_that_people_use() {
        let text = include_str!("../../../models/catalog/yolox-nano/model.toml");
        let manifest = Manifest::parse(text).unwrap();
        assert_eq!(
            classes(&manifest),
            "person, bicycle, car, motorcycle, bus, train, truck, traffic_light, animal \
             (62 of its 80 numbers have no word here and are dropped)"
        );
        assert_eq!(input(&manifest), "416×416 pixels, float32");
        assert_eq!(licence(&manifest), "Apache-2.0");
    }
}
