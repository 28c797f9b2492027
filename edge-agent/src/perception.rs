//! From a picture to what edge-core may see of it: detections and lamp readings.
//!
//! The last place where pixels exist; everything after this is recorded,
//! replayed and reasoned about.

mod blindness;
mod lack;
mod parts;

use edge_core::{Input, SceneConfig};
use edge_inference::{Detector, DetectorError, Look};
use edge_video::Frame;
use models::{Crop, PictureView};
use protocol::signal::{SignalReading, SignalSource};
use protocol::{Detection, Detections, NormBox};

pub use blindness::Blindness;
pub use lack::lacked;
pub use parts::{Parts, Seen};

/// What the detector made of a picture.
#[derive(Debug)]
pub struct Shown<T> {
    /// What it found, or what a scene is to learn of that.
    pub found: Vec<T>,
    /// What it found without the tiles, and in which part.
    pub whole: Seen,
    /// How many of its answers were no numbers.
    pub broken: usize,
    /// Tiles on which it failed. The picture is not lost with them.
    pub failed_tiles: Vec<DetectorError>,
}

/// Everything a scene is to learn from `frame`, in the order in which it must
/// learn it: lamps first, so that a crossing is judged by the lamp of its own frame.
pub fn look(
    detector: &mut Detector,
    frame: &Frame,
    scene: &SceneConfig,
    parts: &mut Parts,
) -> Result<Shown<Input>, DetectorError> {
    let shown = find(detector, &frame.view(), parts)?;
    let believed_from = detector.manifest().thresholds.high;
    let mut inputs = glance(frame, scene);
    inputs.push(detections(frame, believed_from, shown.found));
    Ok(Shown {
        found: inputs,
        whole: shown.whole,
        broken: shown.broken,
        failed_tiles: shown.failed_tiles,
    })
}

/// What the detector finds in a picture and in the tiles of it whose turn it is.
pub fn find(
    detector: &mut Detector,
    picture: &PictureView<'_>,
    parts: &mut Parts,
) -> Result<Shown<Detection>, DetectorError> {
    let size = (picture.width(), picture.height());
    let (whole, tiles) = (parts.region(size), parts.tiles(size));
    let crops = || std::iter::once(whole).chain(tiles.iter().copied());
    let looks: Vec<_> = crops().map(|crop| Look::crop(picture, crop)).collect();
    let mut answers = crops().zip(detector.detect_batch(&looks));
    let (mut broken, mut failed_tiles) = (0, Vec::new());
    let mut seen = Vec::with_capacity(looks.len());
    let mut in_whole = Vec::new();
    if let Some((crop, answer)) = answers.next() {
        let answer = answer?;
        broken += answer.broken;
        in_whole.clone_from(&answer.found);
        seen.push((crop, answer.found));
    }
    for (crop, answer) in answers {
        parts.looked(crop);
        match answer {
            Ok(answer) => {
                broken += answer.broken;
                seen.push((crop, answer.found));
            }
            Err(error) => failed_tiles.push(error),
        }
    }
    Ok(Shown {
        found: parts.together(size, seen, &detector.manifest().thresholds),
        whole: (whole, in_whole),
        broken,
        failed_tiles,
    })
}

/// What a detector found in a picture, as a scene is told of it.
pub fn detections(frame: &Frame, believed_from: f64, found: Vec<Detection>) -> Input {
    told(frame, believed_from, found, false)
}

/// Where those of the last look are in a picture that nobody looked at, as a scene is told of it.
pub fn followed(frame: &Frame, believed_from: f64, found: &[Detection]) -> Input {
    told(frame, believed_from, found.to_vec(), true)
}

fn told(frame: &Frame, believed_from: f64, items: Vec<Detection>, is_followed: bool) -> Input {
    let detections = Detections {
        frame: frame.number,
        time: frame.time,
        time_quality: frame.time_quality,
        aspect: frame.aspect,
        believed_from,
        camera_motion: None,
        is_followed,
        items,
    };
    Input::Detections(detections.canonical())
}

/// A crop of a picture of this size, in fractions of it.
pub fn fractions(crop: Crop, (width, height): (u32, u32)) -> NormBox {
    let (width, height) = (f64::from(width), f64::from(height));
    NormBox {
        x: f64::from(crop.x) / width,
        y: f64::from(crop.y) / height,
        width: f64::from(crop.width) / width,
        height: f64::from(crop.height) / height,
    }
}

/// What is read of a picture without the detector. A lamp does not
/// wait for somebody to move: when it turned red must be known to the picture.
pub fn glance(frame: &Frame, scene: &SceneConfig) -> Vec<Input> {
    lamps(frame.view(), frame, scene).collect()
}

fn lamps<'a>(
    picture: PictureView<'a>,
    frame: &'a Frame,
    scene: &'a SceneConfig,
) -> impl Iterator<Item = Input> + 'a {
    scene.signals.iter().filter_map(move |signal| {
        let lamp = signal.lamp.as_ref()?;
        let reading = edge_lamp::read(picture, lamp);
        Some(Input::Signal(SignalReading {
            group: signal.group.clone(),
            state: reading.state,
            time: frame.time,
            confidence: protocol::units::rounded(reading.confidence, 3),
            source: SignalSource::Lamp,
        }))
    })
}
