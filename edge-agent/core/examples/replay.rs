//! Recorded inputs in, outputs out, with nothing but the core: what `tests/machines.rs`
//! and `.ci/machines` run on other processors.
//!
//! `replay FOLDER...`: for each folder of the form of `testdata/<case>` prints every
//! output of its `scene.toml` and `inputs.jsonl`, one JSON per line.
#![allow(clippy::disallowed_methods, clippy::disallowed_types)] // the files are read for the core, not by it

use std::error::Error;
use std::io::{BufRead as _, BufReader, BufWriter, Write as _};
use std::path::Path;

use edge_core::{Calibration, Identity, Scene, SceneConfig};
use protocol::event::Provenance;
use protocol::{BoxId, CameraId, SiteId};

fn main() -> Result<(), Box<dyn Error>> {
    let mut out = BufWriter::new(std::io::stdout().lock());
    for folder in std::env::args_os().skip(1) {
        replay(Path::new(&folder), &mut out)?;
    }
    Ok(out.flush()?)
}

fn replay(folder: &Path, out: &mut impl std::io::Write) -> Result<(), Box<dyn Error>> {
    let text = std::fs::read_to_string(folder.join("scene.toml"))?;
    let mut table: toml::Table = text.parse()?;
    let calibration: Option<Calibration> = table
        .remove("calibration")
        .map(toml::Value::try_into)
        .transpose()?;
    let (config, faults) = SceneConfig::from_table(&table);
    if let Some(fault) = faults.first() {
        return Err(format!("{}: {fault}", folder.display()).into());
    }
    let identity = Identity {
        site: SiteId::new("test")?,
        box_id: BoxId::new("box")?,
        camera: CameraId::new("camera")?,
        place: None,
        simulated: false,
        provenance: Provenance::default(),
    };
    let mut scene = Scene::new(identity, config, calibration)
        .map_err(|faults| format!("{}: {faults:?}", folder.display()))?;
    let inputs = std::fs::File::open(folder.join("inputs.jsonl"))?;
    let mut outputs = Vec::new();
    for line in BufReader::new(inputs).lines() {
        scene.handle(serde_json::from_str(&line?)?, &mut outputs);
        for output in outputs.drain(..) {
            serde_json::to_writer(&mut *out, &output)?;
            out.write_all(b"\n")?;
        }
    }
    Ok(())
}
