//! With the real recogniser: `deploy/setup test` brings it and ONNX Runtime.

#![allow(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss // of what draws
)]

#[allow(dead_code)] // the tests of the whole reader use more of it
#[path = "../../tests/drawn/plate.rs"]
mod plate;

use std::cell::{Cell, RefCell};

use edge_inference::{DetectorSettings, ModelStore, Runtime};
use models::PictureView;
use proptest::prelude::*;

use super::*;
use crate::settings::{Half, ReaderSettings};
use plate::{Drawing, HEIGHT, WIDTH, draw};

/// An upright piece: left, top, width, height in pixels.
fn upright([x, y, width, height]: [f64; 4]) -> Quad {
    Quad([
        [x, y],
        [x + width, y],
        [x + width, y + height],
        [x, y + height],
    ])
}

/// The plate as a whole, parts of it, and what makes a long line: all at once would be
/// padded to the longest.
fn piece() -> impl Strategy<Value = [f64; 4]> {
    let near = (100.0..140.0, 170.0..190.0, 100.0..280.0, 30.0..60.0);
    let wide = (0.0..40.0, 150.0..200.0, 300.0..430.0, 22.0..40.0);
    prop_oneof![near, wide].prop_map(|(x, y, width, height): (f64, f64, f64, f64)| {
        let (most_wide, most_high) = (WIDTH as f64 - x, HEIGHT as f64 - y);
        [x, y, width.min(most_wide), height.min(most_high)]
    })
}

#[test]
fn a_row_is_read_the_same_whoever_else_is_read() {
    let needs = "run `deploy/setup test`, and set NGATU_ONNXRUNTIME and NGATU_MODELS";
    let runtime = Runtime::load(None).unwrap_or_else(|error| panic!("{error}; {needs}"));
    let store = ModelStore::open(ModelStore::default_dirs()).unwrap();
    let settings = ReaderSettings::default();
    let (manifest, file) = store.find(&settings.lines).unwrap();
    let networks = DetectorSettings::default();
    let network = (Half::Lines.load(&runtime, manifest, &file, &networks)).unwrap();
    let reader = RefCell::new(LineReader::new(network, &settings.lines).unwrap());
    let picture = draw(&Drawing::of(&["30E-463.57"]));
    let view = picture.view();
    let source = Source::new(&PictureView::from(&view));
    let config = ProptestConfig {
        cases: 12,
        failure_persistence: None,
        ..ProptestConfig::default()
    };
    let symbols = Cell::new(0);
    proptest!(config, |(pieces in prop::collection::vec(piece(), 2..5))| {
        let pieces: Vec<Quad> = pieces.into_iter().map(upright).collect();
        let mut reader = reader.borrow_mut();
        let together = reader.read(&source, &pieces).unwrap();
        for (quad, line) in pieces.iter().zip(&together) {
            let alone = reader.read(&source, &[*quad]).unwrap();
            prop_assert_eq!(&alone, std::slice::from_ref(line));
            symbols.set(symbols.get() + line.symbols.len());
        }
    });
    assert!(
        symbols.get() > 50,
        "nothing was read, so nothing was compared"
    );
}
