//! Replays traffic scenarios with exact truth through the product's own core.
//!
//! `replay-scenarios SCENARIOS_DIR OUT_DIR` takes every folder of `SCENARIOS_DIR` that
//! holds a `scene.json`, writes its places and thresholds as a camera's
//! configuration, feeds detections and signals to a scene, and leaves
//! `OUT_DIR/<scenario>.jsonl` (events) and `<scenario>.speeds.jsonl` (every
//! speed measured) for the scorer. The scenario's truth is never read.

mod findings;
mod keep;
mod polygon;
mod scenario;
mod setup;
mod words;
mod world;

use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::time::Instant;

use anyhow::{Context as _, bail};
use clap::Parser;
use edge_core::{Calibration, Identity, Input, Scene, SceneConfig};
use protocol::event::Provenance;
use protocol::{BoxId, CameraId, SiteId};

use findings::Findings;
use scenario::SceneFile;
use world::World;

/// Replays traffic scenarios through the product's core and writes what it found.
#[derive(Debug, Parser)]
struct Cli {
    /// A folder of scenarios, each with scene.json, signals.jsonl and dets.jsonl.gz.
    scenarios: PathBuf,
    /// Where the findings go.
    out: PathBuf,
    /// Only scenarios whose name contains this.
    #[arg(long)]
    only: Option<String>,
    /// Keep each scenario's configuration and recorded inputs, for `edge-agent replay`.
    #[arg(long)]
    keep: bool,
    /// Also write what nearly was an event, to `OUT/<scenario>.near.jsonl`.
    #[arg(long)]
    near_misses: bool,
    /// From this score on the detector's word alone is believed.
    #[arg(long, default_value_t = 0.45)]
    believed_from: f64,
}

fn main() -> anyhow::Result<()> {
    let cli = Cli::parse();
    let mut folders: Vec<PathBuf> = std::fs::read_dir(&cli.scenarios)
        .with_context(|| format!("cannot list {}", cli.scenarios.display()))?
        .filter_map(|entry| Some(entry.ok()?.path()))
        .filter(|path| path.join("scene.json").is_file())
        .collect();
    folders.sort();
    if folders.is_empty() {
        bail!(
            "{} holds no folder with a scene.json; name the folder that holds the scenarios",
            cli.scenarios.display()
        );
    }
    std::fs::create_dir_all(&cli.out)
        .with_context(|| format!("cannot make {}", cli.out.display()))?;
    let mut failed = Vec::new();
    for folder in folders {
        let name = folder
            .file_name()
            .unwrap_or_default()
            .to_string_lossy()
            .into_owned();
        if cli
            .only
            .as_ref()
            .is_some_and(|only| !name.contains(only.as_str()))
        {
            continue;
        }
        match replay(&folder, &name, &cli) {
            Ok(summary) => println!("{summary}"),
            Err(error) => {
                eprintln!("{name}: {error:#}");
                failed.push(name);
            }
        }
    }
    if !failed.is_empty() {
        bail!(
            "{} could not be replayed: {}",
            failed.len(),
            failed.join(", ")
        );
    }
    Ok(())
}

/// One scenario, from its files to the scorer's.
fn replay(folder: &Path, name: &str, cli: &Cli) -> anyhow::Result<String> {
    let file = SceneFile::read(folder)?;
    let world = World::new(&file.homography_image_to_world, file.image)?;
    let setup = setup::setup(&file, &world);
    let (config, faults) = SceneConfig::from_table(&setup.table);
    if !faults.is_empty() {
        let faults: Vec<String> = faults.iter().map(ToString::to_string).collect();
        bail!("its scene is refused:\n  {}", faults.join("\n  "));
    }
    let calibration: Calibration = serde_json::from_value(serde_json::json!({
        "image_to_ground": world.image_to_ground,
        "residual_m": 0.0,
        "points": 4,
    }))?;
    let mut scene = Scene::new(identity(name)?, config, Some(calibration)).map_err(|faults| {
        let faults: Vec<String> = faults.iter().map(ToString::to_string).collect();
        anyhow::anyhow!("its calibration is refused: {}", faults.join("; "))
    })?;
    if cli.near_misses {
        scene.tell_near_misses();
    }
    let frames = scenario::frames(folder, &file, cli.believed_from)?;
    let looks = frames.len();
    let end = frames.last().map_or(0.0, |(t, _)| *t);
    let inputs = scenario::merged(scenario::signals(folder, end)?, frames);
    if cli.keep {
        keep::keep(&cli.out.join(name), &setup, &world, &inputs)?;
    }
    let began = Instant::now();
    let findings = play(&mut scene, inputs, &setup, file.image);
    let took = began.elapsed();
    leave(&cli.out.join(format!("{name}.jsonl")), &findings.events)?;
    leave(
        &cli.out.join(format!("{name}.speeds.jsonl")),
        &findings.speeds,
    )?;
    if cli.near_misses {
        leave(
            &cli.out.join(format!("{name}.near.jsonl")),
            &findings.near_misses,
        )?;
    }
    let mut summary = format!(
        "{name}: {looks} frames in {:.2} s ({:.0} µs each)",
        took.as_secs_f64(),
        took.as_secs_f64() * 1e6 / f64::from(u32::try_from(looks.max(1))?)
    );
    for (kind, count) in &findings.counts {
        write!(summary, ", {kind} {count}")?;
    }
    write!(summary, ", speeds {}", findings.speeds.len())?;
    for note in &setup.notes {
        write!(summary, "\n    {note}")?;
    }
    Ok(summary)
}

fn play(scene: &mut Scene, inputs: Vec<Input>, setup: &setup::Setup, image: [f64; 2]) -> Findings {
    let (mut findings, mut out) = (Findings::default(), Vec::new());
    for input in inputs {
        scene.handle(input, &mut out);
        for output in out.drain(..) {
            findings.take(&output, setup, image);
        }
    }
    findings
}

fn identity(name: &str) -> anyhow::Result<Identity> {
    Ok(Identity {
        site: SiteId::new("scenarios")?,
        box_id: BoxId::new("bench")?,
        camera: CameraId::new(words::id(name))?,
        place: None,
        simulated: true,
        provenance: Provenance::default(),
    })
}

/// Writes JSON lines.
fn leave(path: &Path, lines: &[serde_json::Value]) -> anyhow::Result<()> {
    let mut text = String::new();
    for line in lines {
        text += &line.to_string();
        text.push('\n');
    }
    std::fs::write(path, text).with_context(|| format!("cannot write {}", path.display()))
}
