//! What real networks said of real pictures, read as their authors' own code
//! reads it (`fixtures/make_real.py`, `fixtures/make_authors.py`), through the
//! manifests of the catalogue.

use models::heads::{self, Answers};
use models::{Letterbox, Manifest};
use protocol::Detection;
use serde::Deserialize;
use serde_json::Value;

use crate::support::{Sparse, Tensor, views};

#[derive(Deserialize)]
struct Real {
    model: String,
    picture: (u32, u32),
    tensors: Vec<Sparse>,
    expected: Vec<Value>,
    #[serde(default)]
    alphabet: std::collections::BTreeMap<usize, String>,
}

struct Case {
    manifest: Manifest,
    letterbox: Letterbox,
    tensors: Vec<Tensor>,
    expected: Vec<Value>,
    alphabet: std::collections::BTreeMap<usize, String>,
}

/// `low`: the least score of what was written down.
fn case(text: &str, low: f64) -> Case {
    let real: Real = serde_json::from_str(text).expect("a good fixture");
    let mut manifest = models::catalogue()
        .into_iter()
        .flatten()
        .find(|manifest| manifest.id.as_str() == real.model)
        .expect("it is in the catalogue");
    manifest.thresholds.low = low;
    let [input_width, input_height] = match real.tensors[0].shape[..] {
        // A map of the input's size, and the lines and squares that were looked at.
        [1, 1, height, width] => [width as u32, height as u32],
        _ if manifest.input.dynamic => [real.picture.0, real.picture.1],
        _ => [manifest.input.width, manifest.input.height],
    };
    (manifest.input.width, manifest.input.height) = (input_width, input_height);
    let letterbox =
        Letterbox::new(real.picture.0, real.picture.1, &manifest.input).expect("a good size");
    Case {
        letterbox,
        tensors: real.tensors.iter().map(Sparse::tensor).collect(),
        expected: real.expected,
        alphabet: real.alphabet,
        manifest,
    }
}

fn numbers(row: &Value) -> Vec<f64> {
    serde_json::from_value(row.clone()).expect("numbers")
}

/// Compares with rows of class number, score, left, top, right, bottom.
#[track_caller]
fn check_boxes(case: &Case, found: &[Detection]) {
    let expected: Vec<_> = case
        .expected
        .iter()
        .map(numbers)
        .filter_map(|row| Some((case.manifest.classes.word(row[0] as usize)?, row)))
        .collect();
    assert!(!expected.is_empty());
    assert_eq!(found.len(), expected.len(), "{found:#?}");
    for (seen, (class, row)) in found.iter().zip(&expected) {
        let b = seen.bounds;
        assert_eq!(seen.class, *class);
        let edges = [seen.score, b.x, b.y, b.right(), b.bottom()];
        for (edge, expected) in edges.iter().zip(&row[1..]) {
            assert!(
                (edge - expected).abs() < 2e-3,
                "{edge} for {expected} in {seen:?}"
            );
        }
    }
}

#[track_caller]
fn boxes(case: &Case) -> Vec<Detection> {
    let Answers { found, broken } =
        heads::detections(&case.manifest, &case.letterbox, &views(&case.tensors))
            .expect("shapes fit");
    assert_eq!(broken, 0);
    found
}

#[test]
fn picodet_finds_the_astronaut() {
    let case = case(include_str!("../fixtures/real_picodet-s-416.json"), 0.2);
    check_boxes(&case, &boxes(&case));
}

#[test]
fn fastestdet_finds_the_astronaut() {
    let case = case(include_str!("../fixtures/real_fastestdet.json"), 0.2);
    check_boxes(&case, &boxes(&case));
}

#[test]
fn yunet_finds_two_faces_and_their_points() {
    let case = case(include_str!("../fixtures/real_yunet.json"), 0.6);
    let faces = heads::faces(&case.manifest, &case.letterbox, &views(&case.tensors)).unwrap();
    check_boxes(&case, &boxes(&case));
    assert_eq!(faces.found.len(), case.expected.len());
    for (face, row) in faces.found.iter().zip(case.expected.iter().map(numbers)) {
        for (point, expected) in face.landmarks.iter().zip(row[6..].as_chunks::<2>().0) {
            assert!((point.x - expected[0]).abs() < 2e-3, "{face:?}");
            assert!((point.y - expected[1]).abs() < 2e-3, "{face:?}");
        }
        // The right eye is on the left of a face that looks at the camera.
        let [right_eye, left_eye, nose, ..] = face.landmarks;
        assert!(right_eye.x < nose.x && nose.x < left_eye.x);
    }
}

#[test]
fn a_plate_is_read_letter_by_letter() {
    let case = case(include_str!("../fixtures/real_ppocr-v4-rec.json"), 0.5);
    let heads::Head::Ctc(head) = &case.manifest.head else {
        panic!("{:?}", case.manifest.head)
    };
    // Only the symbols that come near; the space is appended by the manifest.
    let mut symbols = vec!["?"; 6623];
    for (number, symbol) in case.alphabet.iter().filter(|(number, _)| **number < 6624) {
        symbols[number - 1] = symbol.as_str();
    }
    let alphabet = head.alphabet(Some(&symbols.join("\n"))).unwrap();
    let line = heads::text(&case.manifest, &alphabet, &views(&case.tensors)).unwrap();
    assert_eq!(line.text(), case.expected[0].as_str().unwrap());
    let confidence = case.expected[1].as_f64().unwrap();
    assert!(
        (line.confidence() - confidence).abs() < 1e-3,
        "{}",
        line.confidence()
    );
    assert!(line.symbols.is_sorted_by(|a, b| a.position < b.position));
    for symbol in &line.symbols {
        let (_, next) = symbol.runner_up.clone().unwrap();
        assert!(next < symbol.confidence && (0.0..=1.0).contains(&symbol.position));
    }
}

#[test]
fn the_symbols_of_another_file_are_refused() {
    let case = case(include_str!("../fixtures/real_ppocr-v4-rec.json"), 0.5);
    let heads::Head::Ctc(head) = &case.manifest.head else {
        panic!("{:?}", case.manifest.head)
    };
    assert_eq!(head.metadata_key(), Some("character"));
    for (text, words) in [
        (None, "no metadata `character`"),
        (Some("a\nb"), "give 3 symbols, its manifest says 6624"),
    ] {
        let message = head.alphabet(text).unwrap_err().to_string();
        assert!(message.contains(words), "{message}");
    }
}

#[test]
fn two_tilted_lines_of_a_plate_are_two_regions() {
    let case = case(include_str!("../fixtures/real_ppocr-v4-det.json"), 0.5);
    let answers =
        heads::text_regions(&case.manifest, &case.letterbox, &views(&case.tensors)).unwrap();
    assert_eq!(answers.found.len(), case.expected.len());
    for (region, row) in answers.found.iter().zip(case.expected.iter().map(numbers)) {
        // The authors fill a polygon of whole pixels; we count the pixels in a rectangle.
        assert!(
            (region.score - row[0]).abs() < 0.03,
            "{} for {}",
            region.score,
            row[0]
        );
        for (corner, expected) in region.corners.iter().zip(row[1..].as_chunks::<2>().0) {
            // They also round the grown corners: two pixels of 320.
            let (x, y) = (corner.x - expected[0], corner.y - expected[1]);
            assert!(
                x.abs() < 2.0 / 320.0 && y.abs() < 2.0 / 320.0,
                "{region:?} for {row:?}"
            );
        }
    }
}
