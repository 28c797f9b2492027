//! Small networks and saved tensors.

use models::{Letterbox, Manifest, TensorView};
use serde::Deserialize;

pub(crate) const YOLOX: &str = r#"kind = "yolox"
tensor = "output"
strides = [8, 16, 32]"#;
pub(crate) const NANODET: &str = r#"kind = "nanodet_plus"
tensor = "output"
strides = [8, 16, 32, 64]
bins = 8"#;
pub(crate) const PICODET: &str = r#"kind = "picodet"
scores = ["scores_0", "scores_1", "scores_2", "scores_3"]
edges = ["edges_0", "edges_1", "edges_2", "edges_3"]
strides = [8, 16, 32, 64]
bins = 8"#;
pub(crate) const CENTERNET: &str = r#"kind = "centernet"
heatmap = "heatmap"
ltrb = "ltrb"
stride = 4"#;
pub(crate) const FASTESTDET: &str = r#"kind = "fastestdet"
tensor = "output"
stride = 8"#;
pub(crate) const YOLOV5: &str = r#"kind = "yolov5"
tensor = "output"
strides = [8, 16, 32]
anchors_per_cell = 3"#;
pub(crate) const YOLOV8: &str = r#"kind = "yolov8"
tensor = "output"
strides = [8, 16, 32]"#;
pub(crate) const YOLO_END_TO_END: &str = r#"kind = "yolo_end_to_end"
tensor = "output"
answers = 30"#;
pub(crate) const RTDETR: &str = r#"kind = "rtdetr"
logits = "pred_logits"
boxes = "pred_boxes"
queries = 40"#;
pub(crate) const RTDETR_EXPORTED: &str = r#"kind = "rtdetr_exported"
labels = "labels"
boxes = "boxes"
scores = "scores"
queries = 30
box_size = [128, 256]"#;
pub(crate) const SSD: &str = r#"kind = "ssd"
boxes = "boxes"
scores = "scores"
activation = "softmax"
background = 0
[head.coding.offsets]
variances = [0.1, 0.1, 0.2, 0.2]
priors = { output = { tensor = "priorbox", form = "caffe", count = 320 } }"#;
/// The same without the output: its priors by rule.
pub(crate) const SSD_LAYERS: &str = r#"kind = "ssd"
boxes = "boxes"
scores = "scores"
activation = "softmax"
background = 0
[head.coding.offsets]
variances = [0.1, 0.1, 0.2, 0.2]
[[head.coding.offsets.priors.layers]]
columns = 8
rows = 8
step = 8.0
min_size = 10.0
max_size = 20.0
ratios = [2.0]
[[head.coding.offsets.priors.layers]]
columns = 4
rows = 4
step = 16.0
min_size = 24.0
max_size = 40.0
ratios = [2.0]"#;
pub(crate) const YUNET: &str = r#"kind = "yunet"
cls = ["cls_8", "cls_16", "cls_32"]
obj = ["obj_8", "obj_16", "obj_32"]
bbox = ["bbox_8", "bbox_16", "bbox_32"]
kps = ["kps_8", "kps_16", "kps_32"]
strides = [8, 16, 32]"#;
pub(crate) const CLASSIFIER: &str = r#"kind = "classifier"
tensor = "output"
activation = "softmax""#;
pub(crate) const TEXT_REGIONS: &str = r#"kind = "text_regions"
tensor = "output"
pixel_threshold = 0.3
unclip = 1.5
min_side = 3.0"#;
pub(crate) const CTC: &str = r#"kind = "ctc"
tensor = "output"
stride = 8
symbols = { written = "0123456789" }"#;

pub(crate) const THREE_CLASSES: &str = "count = 3\nperson = [0]\ncar = [1]\nbus = [2]";
pub(crate) const BACKGROUND_AND_THREE: &str = "count = 4\nperson = [1]\ncar = [2]\nbus = [3]";
pub(crate) const A_FACE: &str = "count = 1\nface = [0]";

/// The text of a manifest of a network for pictures of 64 × 64.
pub(crate) fn manifest_text(head: &str, classes: &str) -> String {
    let is = |kinds: &[&str]| {
        kinds
            .iter()
            .any(|kind| head.contains(&format!("\"{kind}\"")))
    };
    let task = if is(&["yunet"]) {
        "faces"
    } else if is(&["classifier"]) {
        "classification"
    } else if is(&["text_regions"]) {
        "text_detection"
    } else if is(&["ctc"]) {
        "text_recognition"
    } else {
        "detection"
    };
    let nms = if is(&["yolo_end_to_end", "rtdetr", "rtdetr_exported"]) {
        "1.0"
    } else {
        "0.45"
    };
    let classes = if is(&["text_regions", "ctc"]) {
        String::new()
    } else {
        format!("[classes]\n{classes}")
    };
    format!(
        r#"
id = "tiny"
title = "tiny"
task = "{task}"
rank = 1
file = "tiny.onnx"
sha256 = "{zeros}"
licence = "MIT"
origin = "here"
obtain = "not at all"
[input]
tensor = "in"
width = 64
height = 64
layout = "nchw"
colour = "rgb"
mean = [0, 0, 0]
std = [1, 1, 1]
fit = "stretch"
pad = [0, 0, 0]
[head]
{head}
{classes}
[thresholds]
low = 0.25
high = 0.5
nms = {nms}
"#,
        zeros = "0".repeat(64),
    )
}

pub(crate) fn manifest(head: &str, classes: &str) -> Manifest {
    Manifest::parse(&manifest_text(head, classes)).expect("a good manifest")
}

#[derive(Deserialize)]
pub(crate) struct Fixture {
    pub(crate) tensors: Vec<Tensor>,
    /// Class number, score, left, top, right, bottom in input pixels; for faces
    /// five points as well.
    pub(crate) expected: Vec<Vec<f64>>,
}

#[derive(Clone, Debug, Deserialize)]
pub(crate) struct Tensor {
    pub(crate) name: String,
    pub(crate) shape: Vec<i64>,
    pub(crate) data: Vec<f32>,
}

impl Tensor {
    pub(crate) fn filled(name: &str, shape: &[i64], value: f32) -> Self {
        Self {
            name: name.to_owned(),
            shape: shape.to_vec(),
            data: vec![value; shape.iter().product::<i64>().unsigned_abs() as usize],
        }
    }
}

/// A tensor that is zero where it does not matter.
#[derive(Deserialize)]
pub(crate) struct Sparse {
    pub(crate) name: String,
    pub(crate) shape: Vec<i64>,
    /// From one number that is written to the next.
    steps: Vec<usize>,
    values: Vec<f32>,
}

impl Sparse {
    pub(crate) fn tensor(&self) -> Tensor {
        let mut tensor = Tensor::filled(&self.name, &self.shape, 0.0);
        let mut at = 0;
        for (step, value) in self.steps.iter().zip(&self.values) {
            at += step;
            tensor.data[at] = *value;
        }
        tensor
    }
}

pub(crate) fn fixture(text: &str) -> Fixture {
    serde_json::from_str(text).expect("a good fixture")
}

pub(crate) fn views(tensors: &[Tensor]) -> Vec<TensorView<'_>> {
    tensors
        .iter()
        .map(|t| TensorView {
            name: &t.name,
            shape: &t.shape,
            data: &t.data,
        })
        .collect()
}

pub(crate) fn letterbox(manifest: &Manifest) -> Letterbox {
    Letterbox::new(64, 64, &manifest.input).expect("a good size")
}
