//! Plates that we draw ourselves, through both networks: the whole way from pixels
//! to a plate without anybody's picture.
//!
//! Needs ONNX Runtime (`NGATU_ONNXRUNTIME`) and the models `ppocr-v4-det` and
//! `ppocr-v4-rec` (`deploy/setup plates`). Without them it says so and passes.

#![allow(
    clippy::unwrap_used,
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss
)]

#[path = "drawn/plate.rs"]
mod plate;

use edge_inference::{DetectorSettings, ModelStore, Runtime, StoreError};
use plate_reader::{PlateLook, PlateReader, ReaderError, ReaderSettings, Region};
use plates::{Circumstances, PlateColour, Refusal};
use protocol::NormBox;

use plate::{BLUE, Drawing, WHITE, YELLOW, draw};

/// None where something is not installed.
fn reader() -> Option<PlateReader> {
    if std::env::var_os("NGATU_ONNXRUNTIME").is_none() {
        println!("skipped: NGATU_ONNXRUNTIME does not say where ONNX Runtime is");
        return None;
    }
    let runtime = Runtime::load(None).unwrap();
    let store = ModelStore::open(ModelStore::default_dirs()).unwrap();
    let networks = DetectorSettings::default();
    match PlateReader::load(&runtime, &store, &networks, ReaderSettings::default()) {
        Err(ReaderError::Store(StoreError::Missing { model, .. })) => {
            println!("skipped: {model} is not installed");
            None
        }
        loaded => Some(loaded.unwrap()),
    }
}

const WHOLE: [f64; 4] = [0.0, 0.0, 1.0, 1.0];

fn looks(reader: &mut PlateReader, drawing: &Drawing) -> Vec<PlateLook> {
    let picture = draw(drawing);
    let region = Region::Vehicle(NormBox::from(WHOLE));
    let known = Circumstances::default();
    reader.read(&picture.view(), region, known).unwrap()
}

fn stated(looks: &[PlateLook]) -> Vec<&str> {
    let stated = looks.iter().filter_map(|look| Some(&*look.stated()?.text));
    stated.collect()
}

#[test]
fn drawn_plates_are_read_in_one_and_two_rows_turned_aslant_small_and_blurred() {
    let Some(mut reader) = reader() else {
        return;
    };
    let two = Drawing::of(&["29-K1", "357.92"]);
    let one = Drawing::of(&["30E-463.57"]);
    for (name, drawing, text) in [
        ("two rows", two, "29K135792"),
        ("one row", one, "30E46357"),
        (
            "turned",
            Drawing {
                turned: 12.0,
                ..two
            },
            "29K135792",
        ),
        (
            "turned back",
            Drawing {
                turned: -9.0,
                ..one
            },
            "30E46357",
        ),
        ("from the side", Drawing { aslant: 0.3, ..two }, "29K135792"),
        (
            "small",
            Drawing {
                row_px: 16.0,
                ..two
            },
            "29K135792",
        ),
        ("blurred", Drawing { blur: 2, ..two }, "29K135792"),
    ] {
        let seen = looks(&mut reader, &drawing);
        assert_eq!(stated(&seen), [text], "{name}: {seen:?}");
        let look = &seen[0];
        assert_eq!(look.rows.len(), drawing.rows.len(), "{name}");
        let middle = look.bounds.centre();
        assert!(
            (middle.x - 0.5).abs() < 0.05 && (middle.y - 0.55).abs() < 0.05,
            "{name}"
        );
        // Regions are a little higher than the letters in them.
        let height = look.row_height_px / f64::from(drawing.row_px);
        assert!((0.6..1.4).contains(&height), "{name}: {height}");
    }
}

#[test]
fn the_ground_has_its_colour() {
    let Some(mut reader) = reader() else {
        return;
    };
    for (ground, expected) in [
        (WHITE, PlateColour::White),
        (YELLOW, PlateColour::Yellow),
        (BLUE, PlateColour::Blue),
    ] {
        let drawing = Drawing {
            ground,
            ..Drawing::of(&["29A-463.57"])
        };
        let seen = looks(&mut reader, &drawing);
        assert_eq!(
            seen.first().and_then(|look| look.colour),
            Some(expected),
            "{seen:?}"
        );
    }
}

#[test]
fn a_blurred_plate_is_less_sharp() {
    let Some(mut reader) = reader() else {
        return;
    };
    let sharpness = [0, 2, 4].map(|blur| {
        let drawing = Drawing {
            blur,
            ..Drawing::of(&["30E-463.57"])
        };
        looks(&mut reader, &drawing)
            .first()
            .map_or(0.0, |look| look.sharpness)
    });
    assert!(
        sharpness[0] > sharpness[1] && sharpness[1] > sharpness[2],
        "{sharpness:?}"
    );
}

#[test]
fn a_plate_that_the_edge_cuts_is_refused_and_a_scene_without_one_shows_none() {
    let Some(mut reader) = reader() else {
        return;
    };
    let cut = Drawing {
        middle: [0.07, 0.5],
        ..Drawing::of(&["29-K1", "357.92"])
    };
    let seen = looks(&mut reader, &cut);
    assert_eq!(stated(&seen), [""; 0], "{seen:?}");
    assert!(
        seen.iter().all(|look| look.reading == Err(Refusal::Cut)),
        "{seen:?}"
    );
    let nothing = Drawing::of(&["", ""]);
    assert_eq!(looks(&mut reader, &nothing), []);
    let writing = Drawing::of(&["XE KHACH", "TAXI"]);
    assert_eq!(looks(&mut reader, &writing), []);
}
