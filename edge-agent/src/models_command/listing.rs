//! `models list` and `models journal`.

use std::path::PathBuf;

use case_bundle::files::said;
use case_bundle::{aside, say};
use comfy_table::presets::UTF8_FULL_CONDENSED;
use comfy_table::{ContentArrangement, Table};
use edge_inference::{
    Candidate, Installed, ManifestFault, ModelState, ModelStore, PublicKey, TrialLedger, Vouched,
};
use models::Manifest;
use protocol::id::ModelId;
use serde::Serialize;

use super::{stand_in, store, trusted};
use crate::config::DetectorConfig;

/// A table as all of these commands print it.
pub(super) fn table(header: Vec<&str>) -> Table {
    let mut table = Table::new();
    // In a file or a pipe as wide as it is: a name that is broken in two is not found again.
    let arrangement = match table.width() {
        Some(_) => ContentArrangement::Dynamic,
        None => ContentArrangement::Disabled,
    };
    table
        .load_style(UTF8_FULL_CONDENSED)
        .set_content_arrangement(arrangement)
        .set_header(header);
    table
}

/// A model and how it is here.
#[derive(Serialize)]
pub(super) struct Listed {
    model: ModelId,
    /// What it is; of one whose description is damaged nothing is known.
    #[serde(flatten)]
    known: Option<Known>,
    /// `in_use`, `installed`, `failed`, `missing`, `refused`, `damaged`; of a version that is not
    /// the current one `kept`.
    state: &'static str,
    /// Whether a starting agent would take it, if it could.
    is_wanted: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) file: Option<PathBuf>,
    #[serde(skip_serializing_if = "Option::is_none")]
    detail: Option<String>,
    /// Who detects in its place, where it is wanted and would not be taken.
    #[serde(skip_serializing_if = "Option::is_none")]
    instead: Option<String>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    versions: Vec<ListedVersion>,
}

#[derive(Serialize)]
struct Known {
    title: String,
    licence: String,
    input: [u32; 2],
    sha256: protocol::Digest,
}

impl Known {
    fn of(manifest: &Manifest) -> Self {
        Self {
            title: manifest.title.clone(),
            licence: manifest.licence.clone(),
            input: [manifest.input.width, manifest.input.height],
            sha256: manifest.sha256,
        }
    }
}

#[derive(Serialize)]
struct ListedVersion {
    version: u64,
    is_current: bool,
    /// Key that signed it; none if nobody trusted did.
    signed_by: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    note: Option<String>,
}

/// The model that a starting agent would take.
pub(crate) fn in_use(config: &DetectorConfig, store: &ModelStore) -> Option<ModelId> {
    config
        .model
        .clone()
        .or_else(|| store.used())
        .or_else(|| store.best_detector().ok().map(|(manifest, _)| manifest.id))
}

/// What there is to be told of each model by.
pub(super) struct Lister<'a> {
    store: &'a ModelStore,
    /// Whose signatures are named.
    keys: Vec<PublicKey>,
    config: &'a DetectorConfig,
    in_use: Option<ModelId>,
    trials: TrialLedger,
}

impl<'a> Lister<'a> {
    pub(super) fn new(
        config: &'a DetectorConfig,
        store: &'a ModelStore,
        keys: Vec<PublicKey>,
    ) -> Self {
        Self {
            store,
            keys,
            config,
            in_use: in_use(config, store),
            trials: store.trials(),
        }
    }

    /// A model, its current version where it has several.
    pub(super) fn listed(&self, model: ModelState) -> Listed {
        let manifest = model.manifest;
        let is_in_use = self.in_use.as_ref() == Some(&manifest.id);
        let candidate = self.store.candidate_of(&manifest.id);
        // What an agent that starts does not take: it goes back to the last good one.
        let is_given_up = candidate
            .as_ref()
            .is_some_and(|of| self.trials.failure_of(of).is_some());
        let (state, file, detail) = match model.state {
            Installed::Installed(file) if is_given_up => ("failed", Some(file), None),
            Installed::Installed(file) if is_in_use => ("in_use", Some(file), None),
            Installed::Installed(file) => ("installed", Some(file), None),
            Installed::Missing => ("missing", None, Some(manifest.obtain.trim().to_owned())),
            Installed::Refused(reason) => ("refused", None, Some(reason)),
        };
        let of_trial = candidate.and_then(|of| note(&self.trials, &of));
        Listed {
            known: Some(Known::of(&manifest)),
            state,
            is_wanted: is_in_use,
            file,
            detail: detail.or(of_trial),
            instead: self.instead(is_in_use && state != "in_use"),
            versions: self.versions(&manifest.id),
            model: manifest.id,
        }
    }

    /// A version of a model that is not the current one.
    pub(super) fn kept(&self, manifest: &Manifest, of: &Candidate, file: PathBuf) -> Listed {
        Listed {
            known: Some(Known::of(manifest)),
            state: "kept",
            is_wanted: false,
            file: Some(file),
            detail: note(&self.trials, of),
            instead: None,
            versions: self.versions(&manifest.id),
            model: manifest.id.clone(),
        }
    }

    fn damaged(&self, model: &ModelId, fault: &ManifestFault) -> Listed {
        let is_wanted = self.in_use.as_ref() == Some(model);
        Listed {
            model: model.clone(),
            known: None,
            state: "damaged",
            is_wanted,
            file: None,
            detail: Some(fault.to_string()),
            instead: self.instead(is_wanted),
            versions: self.versions(model),
        }
    }

    /// Who takes the place of a model that is wanted and cannot be had.
    fn instead(&self, is_not_had: bool) -> Option<String> {
        let stand_in = is_not_had.then(|| stand_in(self.config, self.store));
        Some(stand_in.flatten()?.candidate.to_string())
    }

    fn versions(&self, model: &ModelId) -> Vec<ListedVersion> {
        let versions = self.store.versions(model, &self.keys).into_iter();
        let listed = versions.map(|version| ListedVersion {
            version: version.version,
            is_current: version.is_current,
            note: note(&self.trials, &version.candidate()),
            signed_by: match version.vouched {
                Vouched::Signed(key) => Some(key.to_string()),
                Vouched::Unsigned(_) => None,
            },
        });
        listed.collect()
    }
}

/// `models list`
pub(super) fn list(
    config: &DetectorConfig,
    only: Option<&ModelId>,
    json: bool,
) -> anyhow::Result<()> {
    let store = store(config)?;
    let states = Lister::new(config, &store, trusted(config)?);
    let models = store.list().into_iter();
    let mut listed: Vec<Listed> = models.map(|model| states.listed(model)).collect();
    let damaged = store.undescribed();
    listed.extend(damaged.map(|(model, fault)| states.damaged(model, fault)));
    if let Some(only) = only {
        listed.retain(|model| model.model == *only);
        if listed.is_empty() {
            // Says which there are.
            store.find(only)?;
        }
    }
    if json {
        said::json(&serde_json::to_string_pretty(&listed)?);
    } else {
        say!("{}", as_table(&listed));
        for model in &listed {
            say!("\n{}", in_full(model));
        }
    }
    for fault in store.faults() {
        let is_listed = |model: &Listed| model.detail.as_deref() == Some(&fault.to_string());
        if !listed.iter().any(is_listed) && only.is_none() {
            aside!("warning: {fault}");
        }
    }
    Ok(())
}

/// What the trials say of a model.
fn note(trials: &TrialLedger, of: &Candidate) -> Option<String> {
    let is_it = |entry: &Option<Candidate>| entry.as_ref().is_some_and(|entry| entry.is(of));
    if let Some(failed) = trials.failure_of(of) {
        let next = failed.next_step();
        return Some(format!(
            "failed here on {}: {}; {next}",
            failed.at, failed.reason
        ));
    }
    if is_it(&trials.trial) {
        return Some(format!("on trial, {} start(s) so far", trials.attempts));
    }
    let mut second = trials.second.values();
    let on_trial = second.find(|record| is_it(&record.trial));
    if let Some(record) = on_trial {
        return Some(format!(
            "on trial, at work in {} end(s) of the program so far",
            record.attempts
        ));
    }
    let mut second = trials.second.values();
    let proven = match (
        is_it(&trials.proven),
        second.any(|record| is_it(&record.proven)),
    ) {
        (true, false) => "proven, the last good detector",
        // Who detects is another matter: as a detector it is new.
        (false, true) => "proven in a cascade or in the shadow, the last good version there",
        (true, true) => "proven, the last good detector, and in a cascade or in the shadow",
        (false, false) => return None,
    };
    Some(proven.to_owned())
}

fn as_table(listed: &[Listed]) -> Table {
    let mut table = table(vec!["model", "what it is", "licence", "input", "state"]);
    for model in listed {
        let known = model.known.as_ref();
        table.add_row(vec![
            model.model.to_string(),
            known.map_or("-", |known| &known.title).to_owned(),
            known.map_or("-", |known| &known.licence).to_owned(),
            known.map_or("-".to_owned(), |known| {
                format!("{}×{}", known.input[0], known.input[1])
            }),
            in_a_word(model),
        ]);
    }
    table
}

fn in_a_word(model: &Listed) -> String {
    let state = match model.state {
        "in_use" => "in use",
        "missing" => "not installed",
        "damaged" => "DAMAGED",
        "refused" => "REFUSED",
        "failed" if model.is_wanted => "FAILED here",
        "failed" => "installed, FAILED here",
        "kept" => "kept, not the current version",
        state => state,
    };
    if model.is_wanted && model.state != "in_use" {
        return format!("chosen, but {state}");
    }
    state.to_owned()
}

/// Where it lies, what is wrong with it or how to obtain it, and its versions: lines that
/// no frame breaks, since people copy paths and commands from them.
pub(super) fn in_full(model: &Listed) -> String {
    let mut text = format!("{}: {}", model.model, in_a_word(model));
    if let Some(file) = &model.file {
        text = format!("{text}, {}", file.display());
    }
    if let Some(instead) = &model.instead {
        text = format!("{text}\n  {instead} takes its place, and cameras are degraded meanwhile");
    }
    for line in model.detail.iter().flat_map(|detail| detail.lines()) {
        text = format!("{text}\n  {line}");
    }
    for version in &model.versions {
        let current = if version.is_current {
            "current"
        } else {
            "kept"
        };
        let signed = version.signed_by.as_ref().map_or_else(
            || "not signed by a trusted key".to_owned(),
            |key| format!("signed with {key}"),
        );
        let note = version
            .note
            .as_ref()
            .map_or_else(String::new, |note| format!("; {note}"));
        text = format!(
            "{text}\n  version {}: {current}, {signed}{note}",
            version.version
        );
    }
    text
}

/// `models journal`
pub(super) fn journal(config: &DetectorConfig, json: bool) -> anyhow::Result<()> {
    let entries = store(config)?.journal();
    if json {
        for entry in entries {
            said::json(&serde_json::to_string(&entry)?);
        }
        return Ok(());
    }
    if entries.is_empty() {
        say!("nothing was done to models here so far");
        return Ok(());
    }
    let mut table = table(vec!["when", "what", "model", "by", "detail"]);
    for entry in entries {
        let action = serde_json::to_value(entry.action)?;
        let version = entry.version.map_or_else(String::new, |v| format!("@{v}"));
        table.add_row(vec![
            entry.at.to_string(),
            action.as_str().unwrap_or_default().replace('_', " "),
            format!("{}{version}", entry.model),
            entry.by,
            entry.detail,
        ]);
    }
    say!("{table}");
    Ok(())
}
