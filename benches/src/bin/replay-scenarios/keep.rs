//! A scenario as the product's own files.

use std::fs::File;
use std::io::{BufWriter, Write as _};
use std::path::Path;

use anyhow::Context as _;
use edge_core::Input;
use flate2::Compression;
use flate2::write::GzEncoder;
use toml::{Table, Value};

use crate::setup::Setup;
use crate::world::World;

/// Writes `scene.toml`, the scene's part of a camera's table with its
/// calibration, and `inputs.jsonl.gz`, the recording that belongs to it.
pub(crate) fn keep(
    folder: &Path,
    setup: &Setup,
    world: &World,
    inputs: &[Input],
) -> anyhow::Result<()> {
    std::fs::create_dir_all(folder).with_context(|| format!("cannot make {}", folder.display()))?;
    let mut table = setup.table.clone();
    let rows = world.image_to_ground.iter().map(|row| {
        let row = row.iter().map(|v| Value::Float(*v));
        Value::Array(row.collect())
    });
    let calibration = Table::from_iter([
        ("image_to_ground".to_owned(), Value::Array(rows.collect())),
        ("residual_m".to_owned(), Value::Float(0.0)),
    ]);
    table.insert("calibration".to_owned(), Value::Table(calibration));
    let path = folder.join("scene.toml");
    std::fs::write(&path, toml::to_string(&table)?)
        .with_context(|| format!("cannot write {}", path.display()))?;
    let path = folder.join("inputs.jsonl.gz");
    let file = File::create(&path).with_context(|| format!("cannot write {}", path.display()))?;
    let mut out = BufWriter::new(GzEncoder::new(file, Compression::fast()));
    for input in inputs {
        serde_json::to_writer(&mut out, input)?;
        out.write_all(b"\n")?;
    }
    out.into_inner()
        .map_err(std::io::IntoInnerError::into_error)?
        .finish()?;
    Ok(())
}
