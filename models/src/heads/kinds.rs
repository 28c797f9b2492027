//! The table of heads.

use serde::{Deserialize, Serialize};

use super::answers::{Found, Reading};
use super::error::{Answer, Shape};
use super::scores::Activation;
use super::{
    centernet, classifier, ctc, fastestdet, grid, nanodet_plus, picodet, rtdetr, ssd, text_regions,
    yolo_end_to_end, yolov5, yolov8, yolox, yunet,
};
use crate::manifest::{ClassMap, Input};

/// Which formula turns outputs into answers, with its parameters.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum Head {
    /// YOLOX (Ge et al. 2021).
    Yolox(yolox::Yolox),
    /// NanoDet-Plus (RangiLyu 2021), generalised focal loss.
    NanodetPlus(nanodet_plus::NanodetPlus),
    /// PicoDet (Yu et al. 2021), generalised focal loss.
    Picodet(picodet::Picodet),
    /// CenterNet (Zhou et al. 2019) with distances to the four edges.
    Centernet(centernet::Centernet),
    /// FastestDet (Ma 2022).
    Fastestdet(fastestdet::Fastestdet),
    /// SSD (Liu et al. 2016) and its kin.
    Ssd(ssd::Ssd),
    /// The form of YOLOv5, v6 and v7.
    Yolov5(yolov5::Yolov5),
    /// The form of YOLOv8, v9 and v11.
    Yolov8(yolov8::Yolov8),
    /// The form of YOLOv10 and of exports that suppress doubles themselves.
    YoloEndToEnd(yolo_end_to_end::YoloEndToEnd),
    /// RT-DETR (Zhao et al. 2023), D-FINE and their kin.
    Rtdetr(rtdetr::Rtdetr),
    /// The same with its authors' post-processing inside.
    RtdetrExported(rtdetr::RtdetrExported),
    /// YuNet (Wu et al. 2023): faces.
    Yunet(yunet::Yunet),
    /// One number per class of the whole input.
    Classifier(classifier::Classifier),
    /// Differentiable binarisation (Liao et al. 2020): places of text.
    TextRegions(text_regions::TextRegions),
    /// Connectionist temporal classification (Graves et al. 2006): text.
    Ctc(ctc::Ctc),
}

impl Head {
    /// The kind, as written in manifests.
    pub const fn kind(&self) -> &'static str {
        match self {
            Self::Yolox(_) => "yolox",
            Self::NanodetPlus(_) => "nanodet_plus",
            Self::Picodet(_) => "picodet",
            Self::Centernet(_) => "centernet",
            Self::Fastestdet(_) => "fastestdet",
            Self::Ssd(_) => "ssd",
            Self::Yolov5(_) => "yolov5",
            Self::Yolov8(_) => "yolov8",
            Self::YoloEndToEnd(_) => "yolo_end_to_end",
            Self::Rtdetr(_) => "rtdetr",
            Self::RtdetrExported(_) => "rtdetr_exported",
            Self::Yunet(_) => "yunet",
            Self::Classifier(_) => "classifier",
            Self::TextRegions(_) => "text_regions",
            Self::Ctc(_) => "ctc",
        }
    }

    /// What it makes of its numbers.
    pub const fn answer(&self) -> Answer {
        match self {
            Self::Yolox(_)
            | Self::NanodetPlus(_)
            | Self::Picodet(_)
            | Self::Centernet(_)
            | Self::Fastestdet(_)
            | Self::Ssd(_)
            | Self::Yolov5(_)
            | Self::Yolov8(_)
            | Self::YoloEndToEnd(_)
            | Self::Rtdetr(_)
            | Self::RtdetrExported(_) => Answer::Detections,
            Self::Yunet(_) => Answer::Faces,
            Self::Classifier(_) => Answer::Labels,
            Self::TextRegions(_) => Answer::TextRegions,
            Self::Ctc(_) => Answer::Text,
        }
    }

    /// The output of which it takes a softmax or a sigmoid itself, so that the network must not have.
    pub fn logits(&self) -> Option<&str> {
        let output = match self {
            Self::Classifier(head) => (&head.tensor, head.activation),
            Self::Ssd(head) => (&head.scores, head.activation),
            Self::Ctc(head) => (&head.tensor, head.activation),
            Self::Rtdetr(head) => (&head.logits, Activation::Sigmoid),
            _ => return None,
        };
        (output.1 != Activation::None).then_some(output.0.as_str())
    }

    /// Whether an output may hold whole numbers: numbers of classes, pixels. Of a
    /// probability nothing is left in them.
    pub fn may_be_whole(&self, output: &str) -> bool {
        match self {
            Self::RtdetrExported(head) => output != head.scores,
            _ => false,
        }
    }

    /// Whether the network itself chooses what it answers with, so that a hair's difference
    /// puts nearly equal answers in another order.
    pub const fn chooses(&self) -> bool {
        matches!(
            self,
            Self::YoloEndToEnd(_) | Self::Rtdetr(_) | Self::RtdetrExported(_)
        )
    }

    /// Whether its boxes are compared by what lies within the picture.
    ///
    /// Where a thing leaves the picture its far edge is a guess, and two guesses
    /// of one thing may differ by much. These heads' references move all edges into
    /// the picture before they suppress doubles; the others compare whole boxes.
    pub(super) const fn compares_what_is_seen(&self) -> bool {
        matches!(
            self,
            Self::Ssd(_) | Self::NanodetPlus(_) | Self::Yolov5(_) | Self::Yolov8(_)
        )
    }

    /// What to do about a network that ends before its probabilities.
    pub(super) const fn remedy_for_logits(&self) -> &'static str {
        match self {
            Self::Classifier(_) | Self::Ssd(_) => {
                "write under `[head]` what is still to be done to its numbers, `activation = \"softmax\"` or `\"sigmoid\"`"
            }
            Self::Ctc(_) => {
                "write under `[head]` what is still to be done to its numbers, `activation = \"softmax\"`"
            }
            _ => "export it with its last sigmoid, as this head's authors do",
        }
    }

    /// What to do about a network that has made its probabilities where logits are read.
    pub(super) const fn remedy_for_probabilities(&self) -> &'static str {
        match self {
            Self::Classifier(_) | Self::Ssd(_) | Self::Ctc(_) => {
                "leave `activation` under `[head]` out: it ends with one"
            }
            _ => "export it without its last sigmoid",
        }
    }

    /// The outputs that it reads, each with the dimensions that it must have.
    pub fn expected(&self, input: &Input, classes: &ClassMap) -> Vec<(&str, Shape)> {
        match self {
            Self::Yolox(head) => head.expected(input, classes),
            Self::NanodetPlus(head) => head.expected(input, classes),
            Self::Picodet(head) => head.expected(input, classes),
            Self::Centernet(head) => head.expected(input, classes),
            Self::Fastestdet(head) => head.expected(input, classes),
            Self::Ssd(head) => head.expected(input, classes),
            Self::Yolov5(head) => head.expected(input, classes),
            Self::Yolov8(head) => head.expected(input, classes),
            Self::YoloEndToEnd(head) => head.expected(input, classes),
            Self::Rtdetr(head) => head.expected(input, classes),
            Self::RtdetrExported(head) => head.expected(input, classes),
            Self::Yunet(head) => head.expected(input, classes),
            Self::Classifier(head) => head.expected(input, classes),
            Self::TextRegions(head) => head.expected(input),
            Self::Ctc(head) => head.expected(input),
        }
    }

    /// Checks the parameters; the text says what is wrong.
    pub(crate) fn check(&self, classes: &ClassMap) -> Result<(), String> {
        let needs_classes = !matches!(self.answer(), Answer::Text | Answer::TextRegions);
        if needs_classes != (classes.count() > 0) {
            return Err(if needs_classes {
                "it needs `[classes]` with their `count`".to_owned()
            } else {
                "it knows no classes; leave `[classes]` out".to_owned()
            });
        }
        match self {
            Self::Yolox(head) => grid::check_strides(&head.strides),
            Self::NanodetPlus(head) => head.check(),
            Self::Picodet(head) => head.check(),
            Self::Centernet(head) => grid::check_strides(&[head.stride]),
            Self::Fastestdet(head) => grid::check_strides(&[head.stride]),
            Self::Ssd(head) => head.check(classes),
            Self::Yolov5(head) => head.check(),
            Self::Yolov8(head) => grid::check_strides(&head.strides),
            Self::YoloEndToEnd(head) => head.check(),
            Self::Rtdetr(head) => head.check(),
            Self::RtdetrExported(head) => head.check(),
            Self::Yunet(head) => head.check(classes),
            Self::Classifier(head) => head.check(),
            Self::TextRegions(head) => head.check(),
            Self::Ctc(head) => head.check(),
        }
    }

    /// Boxes in the input's pixels; none for a head that has no boxes.
    pub(super) fn candidates(&self, reading: &Reading<'_>, tensors: &[&[f32]]) -> Found {
        match self {
            Self::Yolox(head) => head.candidates(reading, tensors),
            Self::NanodetPlus(head) => head.candidates(reading, tensors),
            Self::Picodet(head) => head.candidates(reading, tensors),
            Self::Centernet(head) => head.candidates(reading, tensors),
            Self::Fastestdet(head) => head.candidates(reading, tensors),
            Self::Ssd(head) => head.candidates(reading, tensors),
            Self::Yolov5(head) => head.candidates(reading, tensors),
            Self::Yolov8(head) => head.candidates(reading, tensors),
            Self::YoloEndToEnd(head) => head.candidates(reading, tensors),
            Self::Rtdetr(head) => head.candidates(reading, tensors),
            Self::RtdetrExported(head) => head.candidates(reading, tensors),
            Self::Yunet(head) => head.candidates(reading, tensors),
            Self::Classifier(_) | Self::TextRegions(_) | Self::Ctc(_) => Found::default(),
        }
    }
}

/// Most answers, queries or priors; more is a typing error.
const MAX_COUNT: u32 = 1_000_000;

/// Refuses a number of answers that no network has.
pub(super) fn check_count(key: &str, count: u32) -> Result<(), String> {
    if !(1..=MAX_COUNT).contains(&count) {
        return Err(format!("{key} is {count}; it must be 1 to {MAX_COUNT}"));
    }
    Ok(())
}
