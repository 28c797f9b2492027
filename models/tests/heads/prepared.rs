//! What goes into a network: the tensor that we make of a camera's picture beside
//! the one that its authors' code makes (`fixtures/make_authors.py`,
//! `fixtures/make_seeded.py`), by the same manifests that read the answers.

#![allow(clippy::unwrap_used)] // this is how a test fails

use models::{ColourMatrix, ColourRange, I420View, Letterbox, Manifest};
use serde::Deserialize;

#[derive(Deserialize)]
struct Prepared {
    picture: (u32, u32),
    /// The planes, hexadecimal.
    i420: String,
    cases: Vec<Case>,
}

#[derive(Deserialize)]
struct Case {
    #[serde(rename = "case")]
    name: String,
    model: Option<String>,
    manifest: Option<String>,
    /// Places in the tensor, and what the authors have there.
    at: Vec<usize>,
    values: Vec<f32>,
    most: Option<f32>,
    mean: Option<f32>,
}

fn manifest(case: &Case) -> Manifest {
    match &case.manifest {
        Some(text) => Manifest::parse(text).expect("a good manifest"),
        None => models::catalogue()
            .into_iter()
            .flatten()
            .find(|manifest| Some(manifest.id.as_str()) == case.model.as_deref())
            .expect("it is in the catalogue"),
    }
}

/// How far a number may lie from the authors', in levels of 255, where the case
/// does not say. We enlarge planes and then make colours of them, they the other
/// way round, and round to whole levels in between.
const MOST: f32 = 8.0;
/// And the mean of all.
const MEAN: f32 = 1.0;

#[track_caller]
fn check(text: &str) {
    let prepared: Prepared = serde_json::from_str(text).expect("a good fixture");
    let bytes: Vec<u8> = prepared
        .i420
        .as_bytes()
        .as_chunks::<2>()
        .0
        .iter()
        .map(|pair| u8::from_str_radix(std::str::from_utf8(pair).unwrap(), 16).unwrap())
        .collect();
    let (width, height) = prepared.picture;
    let (y, chroma) = bytes.split_at((width * height) as usize);
    let (u, v) = chroma.split_at(chroma.len() / 2);
    let picture = I420View {
        width,
        height,
        y,
        y_stride: width as usize,
        u,
        u_stride: width as usize / 2,
        v,
        v_stride: width as usize / 2,
        matrix: ColourMatrix::Bt601,
        range: ColourRange::Limited,
    };
    for case in &prepared.cases {
        let input = manifest(case).input;
        let mut letterbox = Letterbox::new(width, height, &input).expect("a good size");
        let mut tensor = vec![0.0_f32; input.len()];
        letterbox.fill(&picture, &mut tensor).expect("it fits");
        let plane = (input.width * input.height) as usize;
        let (mut total, most) = (0.0, case.most.unwrap_or(MOST));
        for (at, value) in case.at.iter().zip(&case.values) {
            let levels = (tensor[*at] - value).abs() * input.std[at / plane];
            assert!(levels < most, "{}: {levels} levels at {at}", case.name);
            total += levels;
        }
        let mean = total / case.at.len() as f32;
        assert!(
            mean < case.mean.unwrap_or(MEAN),
            "{}: {mean} levels in the mean",
            case.name
        );
    }
}

#[test]
fn a_picture_becomes_the_tensor_that_yolox_nanodet_and_centernet_make_of_it() {
    check(include_str!("../fixtures/prepared_authors.json"));
}

#[test]
fn a_picture_becomes_the_tensor_that_torchvision_transformers_and_libreyolo_make_of_it() {
    check(include_str!("../fixtures/prepared_seeded.json"));
}
