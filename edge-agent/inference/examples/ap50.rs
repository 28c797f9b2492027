//! How well an installed detector finds people: average precision on a labelled clip.
//!
//! ```text
//! ffmpeg -v error -i vtest.avi -pix_fmt yuv420p -f yuv4mpegpipe - \
//!   | cargo run --release -p edge-inference --example ap50 -- yolox-nano PETS09-S2L1_gt.txt
//! ```
//!
//! The first argument is a model (`best` for the one the agent would choose),
//! the second labels in MOT text format, the third, if there, looks at every
//! n-th picture only.

#[path = "../tests/support/mod.rs"]
mod support;

use std::error::Error;
use std::time::Instant;

use edge_inference::{Detector, DetectorSettings, ModelStore, Runtime};
use support::{average_precision, detect_all};

fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<_> = std::env::args().skip(1).collect();
    let (Some(model), Some(labels)) = (arguments.first(), arguments.get(1)) else {
        return Err("usage: ap50 MODEL|best LABELS [STEP] < clip.y4m".into());
    };
    let step: u64 = arguments.get(2).map_or(Ok(1), |text| text.parse())?;

    let store = ModelStore::open(ModelStore::default_dirs())?;
    let (manifest, file) = match model.as_str() {
        "best" => store.best_detector()?,
        name => store.find(&name.parse()?)?,
    };
    let runtime = Runtime::load(None)?;
    let high = manifest.thresholds.high;
    println!(
        "{} ({}) on ONNX Runtime {}",
        manifest.id,
        manifest.title,
        runtime.version()
    );
    let mut detector = Detector::load(&runtime, manifest, &file, &DetectorSettings::default())?;

    let started = Instant::now();
    let seen = detect_all(&mut detector, std::io::stdin(), step)?;
    let pictures = seen.frames.len();
    let per_picture = started.elapsed().as_secs_f64() * 1000.0 / pictures.max(1) as f64;
    let labels =
        average_precision::read_labels(&std::fs::read_to_string(labels)?, seen.width, seen.height);
    let people = average_precision::score(&seen.frames, &labels, high);
    println!(
        "{pictures} pictures, {per_picture:.1} ms each (wall, reading included)\nperson AP50 {:.3}; at score {high}: precision {:.3}, recall {:.3}",
        people.ap50, people.precision, people.recall
    );
    Ok(())
}
