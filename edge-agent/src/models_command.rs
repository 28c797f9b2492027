//! `edge-agent models list|install|verify`, and the choice of the detector.

use std::path::PathBuf;

use anyhow::{Context as _, bail};
use comfy_table::presets::UTF8_FULL_CONDENSED;
use comfy_table::{ContentArrangement, Table};
use edge_inference::{Detector, DetectorSettings, Installed, ModelStore, Runtime, StoreError};
use indicatif::{ProgressBar, ProgressStyle};
use protocol::id::ModelId;

use crate::config::{DetectorConfig, redacted};

/// Columns of a table that goes to a file or a pipe.
const WIDTH_WITHOUT_TERMINAL: u16 = 120;

/// The store in the configured folders, else the usual ones.
pub fn store(config: &DetectorConfig) -> Result<ModelStore, StoreError> {
    if config.models_dirs.is_empty() {
        ModelStore::open(ModelStore::default_dirs())
    } else {
        ModelStore::open(config.models_dirs.clone())
    }
}

/// Loads the configured detector, else the best one installed, and says which.
pub fn load_detector(config: &DetectorConfig) -> anyhow::Result<Detector> {
    let runtime = Runtime::load(config.onnxruntime.as_deref())?;
    let store = store(config)?;
    let (manifest, file) = match &config.model {
        Some(model) => store.find(model)?,
        None => store.best_detector()?,
    };
    let threads = config.threads.unwrap_or(1);
    let (id, licence) = (manifest.id.clone(), manifest.licence.clone());
    let detector = Detector::load(&runtime, manifest, &file, DetectorSettings { threads })
        .with_context(|| format!("model {id}"))?;
    tracing::info!(
        model = %id, %licence, file = %file.display(), provider = detector.provider(),
        onnxruntime = %runtime.version(), threads,
        chosen = if config.model.is_some() { "by configuration" } else { "best installed" },
        "detector"
    );
    Ok(detector)
}

/// `models list`
pub fn list(store: &ModelStore) {
    let best = store.best_detector().ok().map(|(manifest, _)| manifest.id);
    let mut table = Table::new();
    table
        .load_style(UTF8_FULL_CONDENSED)
        .set_content_arrangement(ContentArrangement::Dynamic)
        .set_header(vec!["model", "what it is", "licence", "input", "state"]);
    for model in store.list() {
        let manifest = &model.manifest;
        let state = match &model.state {
            Installed::Installed(path) if best.as_ref() == Some(&manifest.id) => {
                format!("installed, the agent's choice: {}", path.display())
            }
            Installed::Installed(path) => format!("installed: {}", path.display()),
            Installed::Missing => format!("not installed. {}", manifest.obtain.trim()),
            Installed::Refused(reason) => format!("refused: {reason}"),
        };
        table.add_row(vec![
            manifest.id.to_string(),
            manifest.title.clone(),
            manifest.licence.clone(),
            format!("{}×{}", manifest.input.width, manifest.input.height),
            state,
        ]);
    }
    if table.width().is_none() {
        table.set_width(WIDTH_WITHOUT_TERMINAL);
    }
    println!("{table}");
    for fault in store.faults() {
        eprintln!("warning: {fault}");
    }
}

/// `models install MODEL --from FILE|URL`
pub fn install(store: &ModelStore, model: &ModelId, from: &str) -> anyhow::Result<PathBuf> {
    let bar = ProgressBar::no_length();
    let style =
        ProgressStyle::with_template("{msg} {bar:40} {bytes}/{total_bytes} {bytes_per_sec}")
            .context("progress template")?;
    bar.set_style(style);
    // A download address may carry a token.
    bar.set_message(format!("{model} from {}", redacted(from)));
    let path = store.install(model, from, &mut |done, total| {
        if let Some(total) = total {
            bar.set_length(total);
        }
        bar.set_position(done);
    })?;
    bar.finish_and_clear();
    Ok(path)
}

/// `models verify [MODEL]`
pub fn verify(store: &ModelStore, model: Option<&ModelId>) -> anyhow::Result<()> {
    let results = store.verify(model);
    if results.is_empty() {
        bail!("no model is installed; see `edge-agent models list` for how to obtain one");
    }
    let mut bad = 0;
    for verification in results {
        match &verification.result {
            Ok(path) => println!("ok      {}  {}", verification.model, path.display()),
            Err(error) => {
                bad += 1;
                println!("FAILED  {}  {error}", verification.model);
            }
        }
    }
    if bad > 0 {
        bail!("{bad} model(s) failed; install them again or take them away");
    }
    Ok(())
}
