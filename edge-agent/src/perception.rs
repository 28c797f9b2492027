//! From a picture to what edge-core may see of it: detections and lamp readings.
//!
//! The last place where pixels exist; everything after this is recorded,
//! replayed and reasoned about.

use edge_core::{Input, SceneConfig};
use edge_inference::{Detector, DetectorError};
use edge_video::Frame;
use models::{ColourMatrix, ColourRange, I420View};
use protocol::signal::{SignalReading, SignalSource};
use protocol::{Detection, Detections};

/// The planes of a frame, as the models crate reads them.
pub fn view(frame: &Frame) -> I420View<'_> {
    I420View {
        width: frame.width,
        height: frame.height,
        y: frame.y(),
        y_stride: frame.y_stride(),
        u: frame.u(),
        u_stride: frame.u_stride(),
        v: frame.v(),
        v_stride: frame.v_stride(),
        matrix: if frame.is_bt709() {
            ColourMatrix::Bt709
        } else {
            ColourMatrix::Bt601
        },
        range: if frame.is_full_range() {
            ColourRange::Full
        } else {
            ColourRange::Limited
        },
    }
}

/// Everything a scene is to learn from `frame`, in the order in which it must
/// learn it: lamps first, so that a crossing is judged by the lamp of its own frame.
pub fn look(
    detector: &mut Detector,
    frame: &Frame,
    scene: &SceneConfig,
) -> Result<Vec<Input>, DetectorError> {
    let mut inputs = glance(frame, scene);
    let found = detector.detect(&view(frame))?;
    let believed_from = detector.manifest().thresholds.high;
    inputs.push(detections(frame, believed_from, found));
    Ok(inputs)
}

/// What a detector found in a picture, as a scene is told of it.
pub fn detections(frame: &Frame, believed_from: f64, found: Vec<Detection>) -> Input {
    let detections = Detections {
        frame: frame.number,
        time: frame.time,
        time_quality: frame.time_quality,
        aspect: frame.aspect,
        believed_from,
        camera_motion: None,
        items: found,
    };
    Input::Detections(detections.canonical())
}

/// What is read of a picture without the detector. A lamp does not
/// wait for somebody to move: when it turned red must be known to the picture.
pub fn glance(frame: &Frame, scene: &SceneConfig) -> Vec<Input> {
    lamps(&view(frame), frame, scene).collect()
}

fn lamps<'a>(
    picture: &'a I420View<'a>,
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
