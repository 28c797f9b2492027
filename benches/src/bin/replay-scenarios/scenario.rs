//! The files of a scenario, without its truth.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{BufRead as _, BufReader};
use std::path::Path;

use anyhow::Context as _;
use edge_core::Input;
use flate2::read::MultiGzDecoder;
use protocol::id::SignalGroupId;
use protocol::signal::SignalSource;
use protocol::units::Seconds;
use protocol::{
    Detection, Detections, EventTime, NormBox, ObjectClass, SignalReading, SignalState, TimeQuality,
};
use serde::Deserialize;
use serde_json::{Map, Value};

use crate::polygon::P;
use crate::words;

/// `scene.json`. Everything may be missing but the size of the picture and the homography.
#[derive(Debug, Deserialize)]
pub(crate) struct SceneFile {
    pub(crate) image: [f64; 2],
    pub(crate) homography_image_to_world: [[f64; 3]; 3],
    /// The detector's numbers for classes.
    #[serde(default)]
    classes: BTreeMap<String, String>,
    #[serde(default)]
    pub(crate) lanes: Vec<Lane>,
    #[serde(default)]
    pub(crate) approaches: BTreeMap<String, Approach>,
    #[serde(default)]
    pub(crate) watch_approaches: Vec<String>,
    #[serde(default)]
    pub(crate) no_uturn: Vec<String>,
    #[serde(default)]
    pub(crate) junction: Vec<P>,
    #[serde(default)]
    pub(crate) crossings: Vec<Vec<P>>,
    #[serde(default)]
    pub(crate) zones: Vec<Zone>,
    /// Thresholds by kind.
    #[serde(default)]
    pub(crate) rules: BTreeMap<String, Map<String, Value>>,
}

#[derive(Debug, Deserialize)]
pub(crate) struct Lane {
    #[serde(default)]
    pub(crate) leg: String,
    /// `in`, `out`, `side`.
    #[serde(default)]
    pub(crate) dir: String,
    #[serde(default)]
    pub(crate) poly: Vec<P>,
}

#[derive(Debug, Deserialize)]
pub(crate) struct Approach {
    pub(crate) stop_line: [P; 2],
    /// Radians, counter-clockwise from x.
    pub(crate) heading: f64,
    pub(crate) signal: String,
}

#[derive(Debug, Deserialize)]
pub(crate) struct Zone {
    pub(crate) id: String,
    #[serde(rename = "type")]
    pub(crate) kind: String,
    #[serde(default)]
    pub(crate) poly: Vec<P>,
    /// Of a one-way carriageway.
    pub(crate) heading: Option<f64>,
    /// Of lanes: classes that may not use it.
    #[serde(default)]
    pub(crate) forbid: Vec<String>,
    /// Of a place where some may stop: who.
    #[serde(default)]
    pub(crate) cls: Vec<String>,
    /// Of a speed gate: where it begins and ends.
    pub(crate) lines: Option<[[P; 2]; 2]>,
    pub(crate) length_m: Option<f64>,
    pub(crate) limit_kmh: Option<f64>,
}

impl SceneFile {
    pub(crate) fn read(folder: &Path) -> anyhow::Result<Self> {
        let path = folder.join("scene.json");
        let text =
            std::fs::read(&path).with_context(|| format!("cannot read {}", path.display()))?;
        let scene: Self = serde_json::from_slice(&text)
            .with_context(|| format!("{} is not a scene", path.display()))?;
        anyhow::ensure!(
            scene.image.iter().all(|v| v.is_finite() && *v > 0.0),
            "{}: the picture has no size",
            path.display()
        );
        Ok(scene)
    }

    /// A threshold of a kind of rule.
    pub(crate) fn threshold(&self, kind: &str, key: &str) -> Option<f64> {
        self.rules.get(kind)?.get(key)?.as_f64()
    }

    fn class(&self, number: i64) -> ObjectClass {
        let own = self.classes.get(&number.to_string());
        own.map_or_else(|| words::coco_class(number), |name| words::class(name))
    }
}

/// What a scenario's clock says, as an instant.
pub(crate) fn instant(t: f64) -> EventTime {
    EventTime::EPOCH + Seconds(t)
}

/// A recorded signal holds until it says something else; the product wants it
/// repeated, as a controller does.
const REPEAT_S: f64 = 0.2;

/// A change of a signal, as recorded.
#[derive(Debug, Deserialize)]
struct SignalLine {
    t: f64,
    group: String,
    state: String,
}

/// The signals' readings in order of time, repeated until `end`.
pub(crate) fn signals(folder: &Path, end: f64) -> anyhow::Result<Vec<(f64, Input)>> {
    let path = folder.join("signals.jsonl");
    if !path.exists() {
        return Ok(Vec::new());
    }
    let mut groups: BTreeMap<SignalGroupId, Vec<(f64, SignalState)>> = BTreeMap::new();
    let file = File::open(&path).with_context(|| format!("cannot read {}", path.display()))?;
    for (number, line) in BufReader::new(file).lines().enumerate() {
        let place = || format!("{} line {}", path.display(), number + 1);
        let line = line.with_context(place)?;
        if line.trim().is_empty() {
            continue;
        }
        let change: SignalLine = serde_json::from_str(&line).with_context(place)?;
        let group = words::id(&change.group);
        let group = SignalGroupId::new(&*group).with_context(place)?;
        groups
            .entry(group)
            .or_default()
            .push((change.t, words::signal(&change.state)));
    }
    let mut readings = Vec::new();
    for (group, mut changes) in groups {
        changes.sort_by(|a, b| a.0.total_cmp(&b.0));
        for (index, &(from, state)) in changes.iter().enumerate() {
            let until = changes.get(index + 1).map_or(end, |next| next.0);
            let mut t = from;
            while t < until {
                let reading = SignalReading {
                    group: group.clone(),
                    state,
                    time: instant(t),
                    confidence: 1.0,
                    source: SignalSource::Recording,
                };
                readings.push((t, Input::Signal(reading)));
                t += REPEAT_S;
            }
        }
    }
    readings.sort_by(|a, b| a.0.total_cmp(&b.0));
    Ok(readings)
}

/// A frame, as the detector saw it: number, time, and for each thing left, top,
/// width, height in pixels, score, class.
#[derive(Debug, Deserialize)]
struct FrameLine {
    f: u64,
    t: f64,
    d: Vec<[f64; 6]>,
}

/// The frames in the order in which they came.
pub(crate) fn frames(
    folder: &Path,
    scene: &SceneFile,
    believed_from: f64,
) -> anyhow::Result<Vec<(f64, Input)>> {
    let path = folder.join("dets.jsonl.gz");
    let file = File::open(&path).with_context(|| format!("cannot read {}", path.display()))?;
    let [width, height] = scene.image;
    let mut frames = Vec::new();
    for (number, line) in BufReader::new(MultiGzDecoder::new(file))
        .lines()
        .enumerate()
    {
        let place = || format!("{} line {}", path.display(), number + 1);
        let line = line.with_context(place)?;
        if line.trim().is_empty() {
            continue;
        }
        let frame: FrameLine = serde_json::from_str(&line).with_context(place)?;
        #[allow(clippy::cast_possible_truncation)] // a class's number
        let items = frame.d.iter().map(|&[x, y, w, h, score, class]| Detection {
            class: scene.class(class as i64),
            score,
            bounds: NormBox {
                x: x / width,
                y: y / height,
                width: w / width,
                height: h / height,
            },
        });
        let detections = Detections {
            frame: frame.f,
            time: instant(frame.t),
            time_quality: TimeQuality::Media,
            aspect: width / height,
            believed_from,
            camera_motion: None,
            is_followed: false,
            items: items.collect(),
        };
        frames.push((frame.t, Input::Detections(detections.canonical())));
    }
    Ok(frames)
}

/// Signals and frames as one stream: what was read at an instant comes before its picture.
pub(crate) fn merged(signals: Vec<(f64, Input)>, frames: Vec<(f64, Input)>) -> Vec<Input> {
    let end = frames.last().map_or(0.0, |(t, _)| *t);
    let mut inputs = Vec::with_capacity(signals.len() + frames.len() + 1);
    let mut signals = signals.into_iter().peekable();
    for (t, frame) in frames {
        while let Some((_, reading)) = signals.next_if(|(when, _)| *when <= t) {
            inputs.push(reading);
        }
        inputs.push(frame);
    }
    inputs.push(Input::End(instant(end)));
    inputs
}
