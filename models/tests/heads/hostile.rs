//! Numbers and shapes that no network would give.

use models::heads::{self, Answers, Head};
use models::{HeadError, Manifest, decode};
use proptest::prelude::*;
use protocol::NormBox;

use crate::support::{
    A_FACE, BACKGROUND_AND_THREE, CENTERNET, CLASSIFIER, CTC, FASTESTDET, NANODET, PICODET, RTDETR,
    RTDETR_EXPORTED, SSD, SSD_LAYERS, TEXT_REGIONS, THREE_CLASSES, Tensor, YOLO_END_TO_END, YOLOV5,
    YOLOV8, YOLOX, YUNET, fixture, letterbox, manifest, views,
};

const BOXES: [(&str, &str); 13] = [
    (YOLOX, THREE_CLASSES),
    (NANODET, THREE_CLASSES),
    (PICODET, THREE_CLASSES),
    (CENTERNET, THREE_CLASSES),
    (FASTESTDET, THREE_CLASSES),
    (YOLOV5, THREE_CLASSES),
    (YOLOV8, THREE_CLASSES),
    (YOLO_END_TO_END, THREE_CLASSES),
    (RTDETR, THREE_CLASSES),
    (RTDETR_EXPORTED, THREE_CLASSES),
    (SSD, BACKGROUND_AND_THREE),
    (SSD_LAYERS, BACKGROUND_AND_THREE),
    (YUNET, A_FACE),
];

const OTHERS: [(&str, &str); 3] = [(CLASSIFIER, THREE_CLASSES), (TEXT_REGIONS, ""), (CTC, "")];

#[test]
fn a_broken_answer_is_passed_over_and_counted_and_the_rest_is_read() {
    let mut fixture = fixture(include_str!("../fixtures/yolox.json"));
    let manifest = manifest(YOLOX, THREE_CLASSES);
    let read = |tensors: &[Tensor]| {
        heads::detections(&manifest, &letterbox(&manifest), &views(tensors)).unwrap()
    };
    let all = read(&fixture.tensors).found.len();
    // Anchor 0: every number broken in another way.
    let hostile = [
        f32::NAN,
        f32::INFINITY,
        f32::NEG_INFINITY,
        f32::MAX,
        f32::INFINITY,
        f32::NAN,
        f32::INFINITY,
        1.0,
    ];
    fixture.tensors[0].data[..8].copy_from_slice(&hostile);
    let Answers { found, broken } = read(&fixture.tensors);
    assert!(found.len() + 1 >= all, "{} of {all}", found.len());
    assert!(found.iter().all(|d| d.score.is_finite() && d.score <= 1.0));
    assert_eq!(broken, 1);
}

#[test]
fn a_class_number_that_the_manifest_does_not_have_is_broken() {
    let manifest = manifest(YOLO_END_TO_END, THREE_CLASSES);
    let mut output = Tensor::filled("output", &[1, 30, 6], 0.0);
    for (row, class) in
        output
            .data
            .chunks_exact_mut(6)
            .zip([0.0, 1.5, -1.0, 3.0, f32::NAN, 1e30, 2.0])
    {
        row.copy_from_slice(&[1.0, 1.0, 20.0, 20.0, 0.9, class]);
    }
    let answers = heads::detections(&manifest, &letterbox(&manifest), &views(&[output])).unwrap();
    assert_eq!((answers.found.len(), answers.broken), (2, 5));
}

/// Every kind of number, the likely ones more often.
fn number() -> impl Strategy<Value = f32> {
    prop_oneof![
        4 => 0.0_f32..1.0,
        2 => -8.0_f32..8.0,
        1 => prop::num::f32::ANY,
        1 => prop::sample::select(vec![f32::NAN, f32::INFINITY, f32::NEG_INFINITY, f32::MAX, f32::MIN, -0.0, 1.0]),
    ]
}

/// What every head takes for a probability, or for none.
fn probability() -> impl Strategy<Value = f32> {
    prop_oneof![
        20 => 0.0_f32..1.0,
        1 => prop::sample::select(vec![f32::NAN, f32::INFINITY, -0.0, 1.0, 1.003, -0.003]),
    ]
}

/// One of the heads and tensors of its shape, filled with anything.
fn hostile(
    heads: &'static [(&'static str, &'static str)],
) -> impl Strategy<Value = (Manifest, Vec<Tensor>)> {
    let case = prop::sample::select(heads);
    let numbers = prop_oneof![
        prop::collection::vec(number(), 64..512),
        prop::collection::vec(probability(), 64..512),
    ];
    (case, numbers).prop_map(|((head, classes), numbers)| {
        let manifest = manifest(head, classes);
        let mut endless = numbers.into_iter().cycle();
        let tensors = manifest
            .head
            .expected(&manifest.input, &manifest.classes)
            .into_iter()
            .map(|(name, shape)| {
                let mut tensor = Tensor::filled(name, &shape.0, 0.0);
                tensor.data.fill_with(|| endless.next().expect("endless"));
                tensor
            })
            .collect();
        (manifest, tensors)
    })
}

fn is_sound(bounds: &NormBox) -> bool {
    let edges: [f64; 4] = (*bounds).into();
    edges.iter().all(|v| v.is_finite()) && bounds.width > 0.0 && bounds.height > 0.0
}

/// The part of a box that lies within the picture.
fn within(bounds: &NormBox) -> NormBox {
    let [x, y] = [bounds.x, bounds.y].map(|edge| edge.clamp(0.0, 1.0));
    let [right, bottom] = [bounds.right(), bounds.bottom()].map(|edge| edge.clamp(0.0, 1.0));
    NormBox::from([x, y, right - x, bottom - y])
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(512))]

    #[test]
    fn no_numbers_make_a_head_panic_or_talk_nonsense((manifest, tensors) in hostile(&BOXES)) {
        let letterbox = letterbox(&manifest);
        let seen = match decode(&manifest, &letterbox, &views(&tensors)) {
            Ok(seen) => seen,
            Err(error) => {
                let is_said = matches!(
                    error,
                    HeadError::NoNumbers { .. }
                        | HeadError::NoProbabilities { .. }
                        | HeadError::Boxes { .. }
                );
                prop_assert!(is_said, "{}", error);
                return Ok(());
            }
        };
        // Some heads compare what lies within the picture.
        let is_by_part = matches!(
            manifest.head,
            Head::Ssd(_) | Head::NanodetPlus(_) | Head::Yolov5(_) | Head::Yolov8(_)
        );
        let part = |bounds: &NormBox| if is_by_part { within(bounds) } else { *bounds };
        for (i, one) in seen.iter().enumerate() {
            prop_assert!(is_sound(&one.bounds));
            prop_assert!((0.25..=1.0).contains(&one.score));
            for other in &seen[i + 1..] {
                prop_assert!(other.score <= one.score);
                let most = manifest.thresholds.nms;
                let overlap = part(&other.bounds).iou(&part(&one.bounds));
                prop_assert!(other.class != one.class || overlap <= most);
            }
        }
        if let Head::Yunet(_) = manifest.head {
            let faces = models::heads::faces(&manifest, &letterbox, &views(&tensors)).unwrap();
            prop_assert!(faces.found.len() <= seen.len());
            for face in &faces.found {
                prop_assert!(face.landmarks.iter().all(|p| p.x.is_finite() && p.y.is_finite()));
            }
        }
        // And the same again: nothing is left to chance.
        prop_assert_eq!(decode(&manifest, &letterbox, &views(&tensors)).unwrap(), seen);
    }

    #[test]
    fn no_numbers_make_other_heads_panic_or_talk_nonsense((manifest, tensors) in hostile(&OTHERS)) {
        let (letterbox, views) = (letterbox(&manifest), views(&tensors));
        match &manifest.head {
            Head::Classifier(_) => {
                if let Ok(answers) = heads::labels(&manifest, &views) {
                    prop_assert!(answers.found.iter().all(|l| (0.25..=1.0).contains(&l.score)));
                }
            }
            Head::TextRegions(_) => {
                if let Ok(answers) = heads::text_regions(&manifest, &letterbox, &views) {
                    for region in &answers.found {
                        prop_assert!(is_sound(&region.bounds) && (0.25..=1.0).contains(&region.score));
                        prop_assert!(region.bounds.x >= 0.0 && region.bounds.bottom() <= 1.0 + 1e-9);
                    }
                }
            }
            Head::Ctc(head) => {
                let alphabet = head.alphabet(None).unwrap();
                if let Ok(line) = heads::text(&manifest, &alphabet, &views) {
                    prop_assert!(line.symbols.is_empty() || line.broken == 0);
                    prop_assert!(line.symbols.iter().all(|s| (0.0..=1.0).contains(&s.confidence)));
                }
            }
            other => prop_assert!(false, "{:?}", other),
        }
    }

    #[test]
    fn no_shape_makes_a_head_panic(
        (manifest, mut tensors) in prop_oneof![hostile(&BOXES), hostile(&OTHERS)],
        which: prop::sample::Index,
        shape in prop::collection::vec(prop_oneof![-2_i64..200, Just(i64::MAX), Just(i64::MIN)], 0..6),
        length in 0_usize..2000,
    ) {
        let which = which.index(tensors.len());
        tensors[which].shape = shape;
        tensors[which].data.truncate(length);
        let (letterbox, views) = (letterbox(&manifest), views(&tensors));
        // The right shape by chance is possible; a panic is not.
        if let Ok(seen) = decode(&manifest, &letterbox, &views) {
            prop_assert!(seen.iter().all(|d| d.score.is_finite()));
        }
        prop_assert!(heads::labels(&manifest, &views).is_err() || matches!(manifest.head, Head::Classifier(_)));
        prop_assert!(heads::text_regions(&manifest, &letterbox, &views).is_err() || matches!(manifest.head, Head::TextRegions(_)));
    }
}
