//! Heads against the authors' formulas, and against tensors that no network would give.

#![allow(clippy::cast_possible_truncation)] // small tensors

use models::heads::Shape;
use models::{HeadError, Letterbox, Manifest, TensorView, decode};
use proptest::prelude::*;
use protocol::{Detection, ObjectClass};
use serde::Deserialize;

const YOLOX: &str = r#"kind = "yolox"
tensor = "output"
strides = [8, 16, 32]"#;
const NANODET: &str = r#"kind = "nanodet_plus"
tensor = "output"
strides = [8, 16, 32, 64]
bins = 8"#;
const CENTERNET: &str = r#"kind = "centernet"
heatmap = "heatmap"
ltrb = "ltrb"
stride = 4"#;

/// A network of three classes for pictures of 64 × 64.
fn manifest(head: &str, classes: &str) -> Manifest {
    let text = format!(
        r#"
id = "tiny"
title = "tiny"
task = "detection"
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
[classes]
count = 3
{classes}
[thresholds]
low = 0.25
high = 0.5
nms = 0.45
"#,
        zeros = "0".repeat(64),
    );
    Manifest::parse(&text).expect("a good manifest")
}

const THREE_CLASSES: &str = "person = [0]\ncar = [1]\nbus = [2]";
const WORDS: [ObjectClass; 3] = [ObjectClass::Person, ObjectClass::Car, ObjectClass::Bus];

#[derive(Deserialize)]
struct Fixture {
    tensors: Vec<Tensor>,
    /// Class number, score, left, top, right, bottom in input pixels.
    expected: Vec<(usize, f64, f64, f64, f64, f64)>,
}

#[derive(Clone, Debug, Deserialize)]
struct Tensor {
    name: String,
    shape: Vec<i64>,
    data: Vec<f32>,
}

fn read(manifest: &Manifest, tensors: &[Tensor]) -> Result<Vec<Detection>, HeadError> {
    let letterbox = Letterbox::new(64, 64, &manifest.input).expect("a good size");
    let views: Vec<_> = tensors
        .iter()
        .map(|t| TensorView {
            name: &t.name,
            shape: &t.shape,
            data: &t.data,
        })
        .collect();
    decode(manifest, &letterbox, &views)
}

fn fixture(text: &str) -> Fixture {
    serde_json::from_str(text).expect("a good fixture")
}

#[track_caller]
fn check(head: &str, text: &str) {
    let fixture = fixture(text);
    let seen = read(&manifest(head, THREE_CLASSES), &fixture.tensors).expect("shapes fit");
    assert!(
        fixture.expected.len() > 5,
        "a fixture with nothing in it proves nothing"
    );
    assert_eq!(seen.len(), fixture.expected.len());
    for (seen, (class, score, left, top, right, bottom)) in seen.iter().zip(&fixture.expected) {
        let b = seen.bounds;
        assert_eq!(seen.class, WORDS[*class]);
        for (found, expected) in [
            (seen.score, *score),
            (b.x * 64.0, *left),
            (b.y * 64.0, *top),
            (b.right() * 64.0, *right),
            (b.bottom() * 64.0, *bottom),
        ] {
            assert!(
                (found - expected).abs() < 2e-3,
                "{found} for {expected} in {seen:?}"
            );
        }
    }
}

#[test]
fn yolox_reads_as_its_authors_do() {
    check(YOLOX, include_str!("fixtures/yolox.json"));
}

#[test]
fn nanodet_plus_reads_as_its_authors_do() {
    check(NANODET, include_str!("fixtures/nanodet_plus.json"));
}

#[test]
fn centernet_reads_as_its_authors_do() {
    check(CENTERNET, include_str!("fixtures/centernet.json"));
}

#[test]
fn a_class_without_a_word_is_dropped_and_does_not_become_another() {
    for (head, text) in [
        (YOLOX, include_str!("fixtures/yolox.json")),
        (NANODET, include_str!("fixtures/nanodet_plus.json")),
        (CENTERNET, include_str!("fixtures/centernet.json")),
    ] {
        let fixture = fixture(text);
        let of_class = |class: usize| fixture.expected.iter().filter(|e| e.0 == class).count();
        assert!(of_class(0) > 0);
        let seen = read(&manifest(head, "car = [1]\nbus = [2]"), &fixture.tensors).unwrap();
        assert_eq!(seen.len(), of_class(1) + of_class(2));
        assert!(seen.iter().all(|d| d.class != ObjectClass::Person));
    }
}

#[test]
fn broken_numbers_are_passed_over_and_the_rest_is_read() {
    let mut fixture = fixture(include_str!("fixtures/yolox.json"));
    let manifest = manifest(YOLOX, THREE_CLASSES);
    let all = read(&manifest, &fixture.tensors).unwrap().len();
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
    let seen = read(&manifest, &fixture.tensors).unwrap();
    assert!(seen.len() + 1 >= all, "{} of {all}", seen.len());
    assert!(seen.iter().all(|d| d.score.is_finite() && d.score <= 1.0));
}

#[test]
fn a_tensor_that_does_not_fit_is_named_with_both_shapes() {
    let manifest = manifest(YOLOX, THREE_CLASSES);
    let tensor = |name: &str, shape: &[i64], length: usize| Tensor {
        name: name.to_owned(),
        shape: shape.to_vec(),
        data: vec![0.0; length],
    };
    assert_eq!(
        read(&manifest, &[tensor("output", &[1, 85, 8], 680)])
            .unwrap_err()
            .to_string(),
        "the yolox head expects output `output` to be [1, 84, 8], the model gives [1, 85, 8]; \
         input size, strides, class count or the file itself differ from the manifest"
    );
    assert_eq!(
        read(
            &manifest,
            &[tensor("out", &[1, 84, 8], 672), tensor("aux", &[1], 1)]
        )
        .unwrap_err()
        .to_string(),
        "the yolox head reads output `output`, the model has `out`, `aux`; \
         correct `head` in its manifest or install the right file"
    );
    assert_eq!(
        read(&manifest, &[tensor("output", &[1, 84, 8], 600)]).unwrap_err(),
        HeadError::Length {
            tensor: "output".to_owned(),
            shape: Shape(vec![1, 84, 8]),
            found: 600
        }
    );
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

/// A head of the three and tensors of its shape, filled with anything.
fn hostile() -> impl Strategy<Value = (&'static str, Vec<Tensor>)> {
    let case = prop::sample::select(vec![
        (YOLOX, vec![("output", vec![1, 84, 8])]),
        (NANODET, vec![("output", vec![1, 85, 35])]),
        (
            CENTERNET,
            vec![
                ("heatmap", vec![1, 3, 16, 16]),
                ("ltrb", vec![1, 4, 16, 16]),
            ],
        ),
    ]);
    (case, prop::collection::vec(number(), 64..512)).prop_map(|((head, shapes), numbers)| {
        let mut endless = numbers.into_iter().cycle();
        let tensors = shapes
            .into_iter()
            .map(|(name, shape): (&str, Vec<i64>)| Tensor {
                name: name.to_owned(),
                data: endless
                    .by_ref()
                    .take(shape.iter().product::<i64>().unsigned_abs() as usize)
                    .collect(),
                shape,
            })
            .collect();
        (head, tensors)
    })
}

proptest! {
    #[test]
    fn no_numbers_make_a_head_panic_or_talk_nonsense((head, tensors) in hostile()) {
        let seen = read(&manifest(head, THREE_CLASSES), &tensors).unwrap();
        for (i, one) in seen.iter().enumerate() {
            let edges: [f64; 4] = one.bounds.into();
            prop_assert!(edges.iter().all(|v| v.is_finite()));
            prop_assert!(one.bounds.width > 0.0 && one.bounds.height > 0.0);
            prop_assert!((0.25..=1.0).contains(&one.score));
            for other in &seen[i + 1..] {
                prop_assert!(other.score <= one.score);
                prop_assert!(other.class != one.class || other.bounds.iou(&one.bounds) <= 0.45);
            }
        }
    }

    #[test]
    fn no_shape_makes_a_head_panic(
        (head, mut tensors) in hostile(),
        shape in prop::collection::vec(prop_oneof![-2_i64..200, Just(i64::MAX), Just(i64::MIN)], 0..6),
        length in 0_usize..2000,
    ) {
        tensors[0].shape = shape;
        tensors[0].data.truncate(length);
        // The right shape by chance is possible; a panic is not.
        if let Ok(seen) = read(&manifest(head, THREE_CLASSES), &tensors) {
            prop_assert!(seen.iter().all(|d| d.score.is_finite()));
        }
    }
}
