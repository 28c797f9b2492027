//! Small made-up tensors, read as `fixtures/make.py` reads them: formulas that we
//! wrote down a second time. What the authors' own code reads is in `authors` and `real`.

use models::heads::{self, Face};
use protocol::{Detection, ObjectClass};

use crate::support::{
    A_FACE, BACKGROUND_AND_THREE, CENTERNET, FASTESTDET, Fixture, NANODET, PICODET, RTDETR,
    RTDETR_EXPORTED, SSD, SSD_LAYERS, THREE_CLASSES, YOLO_END_TO_END, YOLOV5, YOLOV8, YOLOX, YUNET,
    fixture, letterbox, manifest, views,
};

const WORDS: [ObjectClass; 3] = [ObjectClass::Person, ObjectClass::Car, ObjectClass::Bus];

/// In pixels of 64.
const TOLERANCE: f64 = 2e-3;

#[track_caller]
fn check_box(seen: &Detection, expected: &[f64]) {
    let b = seen.bounds;
    let found = [
        seen.score,
        b.x * 64.0,
        b.y * 64.0,
        b.right() * 64.0,
        b.bottom() * 64.0,
    ];
    for (found, expected) in found.iter().zip(&expected[1..]) {
        assert!(
            (found - expected).abs() < TOLERANCE,
            "{found} for {expected} in {seen:?}"
        );
    }
}

#[track_caller]
fn seen(head: &str, classes: &str, fixture: &Fixture) -> Vec<Detection> {
    let manifest = manifest(head, classes);
    let answers = heads::detections(&manifest, &letterbox(&manifest), &views(&fixture.tensors))
        .expect("shapes fit");
    assert_eq!(answers.broken, 0);
    answers.found
}

#[track_caller]
fn check(head: &str, classes: &str, text: &str) {
    let fixture = fixture(text);
    let seen = seen(head, classes, &fixture);
    assert!(
        fixture.expected.len() > 5,
        "a fixture with nothing in it proves nothing"
    );
    assert_eq!(seen.len(), fixture.expected.len());
    for (seen, expected) in seen.iter().zip(&fixture.expected) {
        assert_eq!(seen.class, WORDS[expected[0] as usize]);
        check_box(seen, expected);
    }
}

#[test]
fn yolox_follows_its_formula() {
    check(YOLOX, THREE_CLASSES, include_str!("../fixtures/yolox.json"));
}

#[test]
fn nanodet_plus_follows_its_formula() {
    check(
        NANODET,
        THREE_CLASSES,
        include_str!("../fixtures/nanodet_plus.json"),
    );
}

#[test]
fn picodet_follows_its_formula() {
    check(
        PICODET,
        THREE_CLASSES,
        include_str!("../fixtures/picodet.json"),
    );
}

#[test]
fn centernet_follows_its_formula() {
    check(
        CENTERNET,
        THREE_CLASSES,
        include_str!("../fixtures/centernet.json"),
    );
}

#[test]
fn fastestdet_follows_its_formula() {
    check(
        FASTESTDET,
        THREE_CLASSES,
        include_str!("../fixtures/fastestdet.json"),
    );
}

#[test]
fn yolov5_follows_its_formula() {
    check(
        YOLOV5,
        THREE_CLASSES,
        include_str!("../fixtures/yolov5.json"),
    );
}

#[test]
fn yolov8_follows_its_formula() {
    check(
        YOLOV8,
        THREE_CLASSES,
        include_str!("../fixtures/yolov8.json"),
    );
}

#[test]
fn a_network_that_chooses_itself_is_taken_at_its_word() {
    check(
        YOLO_END_TO_END,
        THREE_CLASSES,
        include_str!("../fixtures/yolo_end_to_end.json"),
    );
}

#[test]
fn rtdetr_follows_its_formula_in_both_forms() {
    check(
        RTDETR,
        THREE_CLASSES,
        include_str!("../fixtures/rtdetr.json"),
    );
    check(
        RTDETR_EXPORTED,
        THREE_CLASSES,
        include_str!("../fixtures/rtdetr_exported.json"),
    );
}

#[test]
fn ssd_follows_its_formula_wherever_its_priors_come_from() {
    let text = include_str!("../fixtures/ssd.json");
    check(SSD, BACKGROUND_AND_THREE, text);
    check(SSD_LAYERS, BACKGROUND_AND_THREE, text);
}

#[test]
fn ssd_that_decodes_itself_gives_the_same_as_one_that_does_not() {
    let mut fixture = fixture(include_str!("../fixtures/ssd.json"));
    let coded = seen(SSD, BACKGROUND_AND_THREE, &fixture);
    // Offsets of 0 are the priors themselves.
    let priors = fixture.tensors[2].data[..4 * 320].to_vec();
    fixture.tensors[0].data.fill(0.0);
    let zero = seen(SSD, BACKGROUND_AND_THREE, &fixture);
    fixture.tensors[0].data = priors;
    let edges = r#"kind = "ssd"
boxes = "boxes"
scores = "scores"
activation = "softmax"
background = 0
coding = { edges = { count = 320 } }"#;
    let plain = seen(edges, BACKGROUND_AND_THREE, &fixture);
    assert!(!coded.is_empty() && zero.len() == plain.len());
    for (a, b) in zero.iter().zip(&plain) {
        assert!(
            a.class == b.class && a.bounds.iou(&b.bounds) > 0.999,
            "{a:?} {b:?}"
        );
    }
}

#[test]
fn yunet_follows_its_formula_for_faces_and_their_points() {
    let fixture = fixture(include_str!("../fixtures/yunet.json"));
    let manifest = manifest(YUNET, A_FACE);
    let answers = heads::faces(&manifest, &letterbox(&manifest), &views(&fixture.tensors)).unwrap();
    assert_eq!(
        (answers.found.len(), answers.broken),
        (fixture.expected.len(), 0)
    );
    for (face, expected) in answers.found.iter().zip(&fixture.expected) {
        let Face {
            class,
            score,
            bounds,
            landmarks,
        } = *face;
        check_box(
            &Detection {
                class,
                score,
                bounds,
            },
            expected,
        );
        for (point, expected) in landmarks.iter().zip(expected[6..].as_chunks::<2>().0) {
            assert!((point.x * 64.0 - expected[0]).abs() < TOLERANCE, "{face:?}");
            assert!((point.y * 64.0 - expected[1]).abs() < TOLERANCE, "{face:?}");
        }
    }
    // Asked for boxes, it gives the same ones.
    let boxes = seen(YUNET, A_FACE, &fixture);
    assert!(
        boxes
            .iter()
            .zip(&answers.found)
            .all(|(a, b)| a.bounds == b.bounds)
    );
}

#[test]
fn a_class_without_a_word_is_dropped_and_does_not_become_another() {
    for (head, text) in [
        (YOLOX, include_str!("../fixtures/yolox.json")),
        (NANODET, include_str!("../fixtures/nanodet_plus.json")),
        (PICODET, include_str!("../fixtures/picodet.json")),
        (CENTERNET, include_str!("../fixtures/centernet.json")),
        (FASTESTDET, include_str!("../fixtures/fastestdet.json")),
        (YOLOV5, include_str!("../fixtures/yolov5.json")),
        (YOLOV8, include_str!("../fixtures/yolov8.json")),
        (
            YOLO_END_TO_END,
            include_str!("../fixtures/yolo_end_to_end.json"),
        ),
        (RTDETR, include_str!("../fixtures/rtdetr.json")),
        (
            RTDETR_EXPORTED,
            include_str!("../fixtures/rtdetr_exported.json"),
        ),
    ] {
        let fixture = fixture(text);
        let of_class = |class: f64| fixture.expected.iter().filter(|e| e[0] == class).count();
        assert!(of_class(0.0) > 0);
        let seen = seen(head, "count = 3\ncar = [1]\nbus = [2]", &fixture);
        assert_eq!(seen.len(), of_class(1.0) + of_class(2.0));
        assert!(seen.iter().all(|d| d.class != ObjectClass::Person));
    }
}
