//! What networks said of a real picture, and what their authors' code, or a
//! permissively licensed one where theirs is not, reads from it.
//!
//! `real_*.json` is of real networks through the catalogue's manifests
//! (`fixtures/make_authors.py`), `seeded_*.json` of networks with weights out of a
//! seed (`fixtures/make_seeded.py`). docs/heads.md says which code is whose.

use models::heads;
use models::{Letterbox, Manifest};
use protocol::{Detection, NormBox};
use serde::Deserialize;

use crate::support::{Sparse, Tensor, views};

/// Class number, score, left, top, right, bottom in fractions of the picture.
type Row = [f64; 6];

#[derive(Deserialize)]
struct Fixture {
    /// Of the catalogue …
    model: Option<String>,
    /// … or a manifest of its own.
    manifest: Option<String>,
    picture: (u32, u32),
    /// The reference's thresholds, where they are not those of a manifest of its own.
    low: Option<f64>,
    nms: Option<f64>,
    tensors: Vec<Sparse>,
    expected: Vec<Row>,
    /// The same with a row's other classes, where the reference answers with
    /// every class and we with the best: one box is one thing.
    every: Option<Vec<Row>>,
    /// Whether the reference moves edges into the picture.
    #[serde(default)]
    clipped: bool,
}

struct Case {
    manifest: Manifest,
    letterbox: Letterbox,
    tensors: Vec<Tensor>,
    fixture: Fixture,
}

fn case(text: &str) -> Case {
    let fixture: Fixture = serde_json::from_str(text).expect("a good fixture");
    let mut manifest = match &fixture.manifest {
        Some(text) => Manifest::parse(text).expect("a good manifest"),
        None => models::catalogue()
            .into_iter()
            .flatten()
            .find(|manifest| Some(manifest.id.as_str()) == fixture.model.as_deref())
            .expect("it is in the catalogue"),
    };
    manifest.thresholds.low = fixture.low.unwrap_or(manifest.thresholds.low);
    manifest.thresholds.nms = fixture.nms.unwrap_or(manifest.thresholds.nms);
    let (width, height) = fixture.picture;
    Case {
        letterbox: Letterbox::new(width, height, &manifest.input).expect("a good size"),
        tensors: fixture.tensors.iter().map(Sparse::tensor).collect(),
        manifest,
        fixture,
    }
}

#[track_caller]
fn seen(case: &Case) -> Vec<Detection> {
    let answers = heads::detections(&case.manifest, &case.letterbox, &views(&case.tensors))
        .unwrap_or_else(|error| panic!("{error}"));
    assert_eq!(answers.broken, 0);
    answers.found
}

/// How far a score, or an edge in fractions of the picture, may lie from the reference's.
const TOLERANCE: f64 = 2e-3;

fn edges(detection: &Detection, clipped: bool) -> [f64; 4] {
    let bounds = detection.bounds;
    let edges = [bounds.x, bounds.y, bounds.right(), bounds.bottom()];
    if clipped {
        edges.map(|edge| edge.clamp(0.0, 1.0))
    } else {
        edges
    }
}

/// Whether `row` is this answer.
fn is_same(case: &Case, detection: &Detection, row: &Row) -> bool {
    let [number, score, bounds @ ..] = row;
    let found = edges(detection, case.fixture.clipped);
    case.manifest.classes.word(*number as usize) == Some(detection.class)
        && (detection.score - score).abs() < TOLERANCE
        && found
            .iter()
            .zip(bounds)
            .all(|(found, edge)| (found - edge).abs() < TOLERANCE)
}

/// Everything that the reference answers, and nothing else. Their order is by
/// score alone, so equals may stand in another one.
#[track_caller]
fn check(case: &Case) -> Vec<Detection> {
    let seen = seen(case);
    let has_word = |row: &&Row| case.manifest.classes.word(row[0] as usize).is_some();
    let mut missing: Vec<&Row> = case.fixture.expected.iter().filter(has_word).collect();
    assert!(
        missing.len() > 2,
        "a fixture with nothing in it proves nothing"
    );
    let mut extra = Vec::new();
    for detection in &seen {
        match missing.iter().position(|row| is_same(case, detection, row)) {
            Some(place) => drop(missing.remove(place)),
            None => extra.push(detection),
        }
    }
    assert!(
        missing.is_empty() && extra.is_empty(),
        "the reference has {missing:#?}, we have {extra:#?}"
    );
    assert!(seen.is_sorted_by(|a, b| a.score >= b.score));
    seen
}

/// What the reference answers besides is a further class of a box that is
/// better known as another one, or that has a better double which is.
#[track_caller]
fn check_other_classes(case: &Case, seen: &[Detection]) {
    let every = case
        .fixture
        .every
        .as_ref()
        .expect("a reference that answers with every class");
    let others: Vec<&Row> = every
        .iter()
        .filter(|row| !case.fixture.expected.contains(row))
        .collect();
    assert!(
        !others.is_empty(),
        "a fixture in which it makes no difference"
    );
    let overlap = case.manifest.thresholds.nms.min(0.99) - 0.01;
    for row in others {
        let is_better = |better: &&Row| {
            better[0] != row[0] && better[1] >= row[1] && bounds(better).iou(&bounds(row)) > overlap
        };
        let mut known = case.fixture.expected.iter();
        assert!(known.any(|better| is_better(&better)), "{row:?}");
        assert!(
            !seen.iter().any(|detection| is_same(case, detection, row)),
            "{row:?}"
        );
    }
}

fn bounds([_, _, left, top, right, bottom]: &Row) -> NormBox {
    NormBox::from([*left, *top, right - left, bottom - top])
}

#[test]
fn yolox_nano_finds_what_the_package_yolox_finds() {
    let case = case(include_str!("../fixtures/real_yolox-nano.json"));
    check(&case);
}

#[test]
fn nanodet_plus_finds_what_its_repositorys_head_finds() {
    let case = case(include_str!("../fixtures/real_nanodet-plus-m-416.json"));
    let seen = check(&case);
    check_other_classes(&case, &seen);
}

#[test]
fn centernet_finds_what_its_own_graph_finds() {
    let case = case(include_str!("../fixtures/real_centernet-mb3-512.json"));
    check(&case);
}

#[test]
fn ssd_finds_what_torchvision_finds() {
    let large = case(include_str!("../fixtures/seeded_ssd300.json"));
    let seen = check(&large);
    check_other_classes(&large, &seen);
    check(&case(include_str!("../fixtures/seeded_ssdlite320.json")));
}

/// torchvision cuts priors that are larger than the picture; a manifest that does
/// not say so puts boxes of its last layers elsewhere.
#[test]
fn priors_that_torchvision_cuts_make_a_difference() {
    let mut case = case(include_str!("../fixtures/seeded_ssdlite320.json"));
    let text = case.fixture.manifest.clone().expect("its own manifest");
    let cut = seen(&case);
    case.manifest =
        Manifest::parse(&text.replace("clip = \"sizes\"\n", "")).expect("a good manifest");
    assert!(seen(&case) != cut);
}

#[test]
fn rtdetr_finds_what_transformers_finds_before_and_after_its_post_processing() {
    let raw = case(include_str!("../fixtures/seeded_rtdetr.json"));
    let seen = check(&raw);
    check_other_classes(&raw, &seen);
    check(&case(include_str!(
        "../fixtures/seeded_rtdetr_exported.json"
    )));
}

#[test]
fn dfine_finds_what_transformers_finds() {
    let case = case(include_str!("../fixtures/seeded_dfine.json"));
    let seen = check(&case);
    check_other_classes(&case, &seen);
}

#[test]
fn the_form_of_yolov5_is_read_as_libreyolo_reads_its_yolov7() {
    check(&case(include_str!("../fixtures/seeded_yolov7.json")));
}

#[test]
fn the_form_of_yolov8_is_read_as_libreyolo_reads_its_yolov9_in_edges_and_in_middles() {
    let mut case = case(include_str!("../fixtures/seeded_yolov9.json"));
    let seen = check(&case);
    check_other_classes(&case, &seen);
    to_middles(&mut case.tensors[0]);
    case.manifest = with_boxes(&case, "middle");
    check(&case);
}

#[test]
fn suppression_inside_the_network_is_read_as_libreyolo_exports_it() {
    check(&case(include_str!(
        "../fixtures/seeded_yolo_end_to_end.json"
    )));
}

/// Left, top, right, bottom in four planes become middles and sizes.
fn to_middles(tensor: &mut Tensor) {
    let anchors = tensor.shape[2] as usize;
    for anchor in 0..anchors {
        let at = [0, 1, 2, 3].map(|plane| plane * anchors + anchor);
        let [left, top, right, bottom] = at.map(|place| tensor.data[place]);
        let middles = [
            f32::midpoint(left, right),
            f32::midpoint(top, bottom),
            right - left,
            bottom - top,
        ];
        for (place, value) in at.into_iter().zip(middles) {
            tensor.data[place] = value;
        }
    }
}

fn with_boxes(case: &Case, form: &str) -> Manifest {
    let text = case.fixture.manifest.as_deref().expect("its own manifest");
    let changed = text.replace("boxes = \"edges\"", &format!("boxes = \"{form}\""));
    assert!(changed.contains(&format!("boxes = \"{form}\"")));
    Manifest::parse(&changed).expect("a good manifest")
}

/// Both forms have the same shape, so a manifest for the other one would put
/// every box at a wrong place without a word.
#[test]
fn boxes_of_the_other_form_are_refused_and_what_is_to_be_written_is_said() {
    let mut case = case(include_str!("../fixtures/seeded_yolov9.json"));
    let refusal = |case: &Case| {
        heads::detections(&case.manifest, &case.letterbox, &views(&case.tensors))
            .expect_err("boxes of the other form")
            .to_string()
    };
    case.manifest = with_boxes(&case, "middle");
    let message = refusal(&case);
    assert!(
        message.contains("gives left, top, right, bottom"),
        "{message}"
    );
    assert!(message.contains("write `boxes = \"edges\"`"), "{message}");
    to_middles(&mut case.tensors[0]);
    case.manifest = with_boxes(&case, "edges");
    let message = refusal(&case);
    assert!(message.contains("gives middle, width, height"), "{message}");
    assert!(message.contains("leave `boxes` out"), "{message}");
}

/// An SSD whose softmax is in the network, with a manifest that has it taken again.
#[test]
fn an_ssd_that_gives_probabilities_already_is_refused_where_logits_are_read() {
    let mut case = case(include_str!("../fixtures/seeded_ssdlite320.json"));
    let scores = case
        .tensors
        .iter_mut()
        .find(|tensor| tensor.name == "scores");
    for row in scores.expect("an output").data.chunks_exact_mut(4) {
        let weights: Vec<f32> = row.iter().map(|logit| libm::expf(*logit)).collect();
        let total: f32 = weights.iter().sum();
        for (score, weight) in row.iter_mut().zip(weights) {
            *score = weight / total;
        }
    }
    let read = |manifest: &Manifest| {
        heads::detections(manifest, &case.letterbox, &views(&case.tensors))
            .map(|answers| answers.found.len())
    };
    let message = read(&case.manifest).expect_err("softmax twice").to_string();
    assert!(
        message.contains("probabilities where logits are to be read"),
        "{message}"
    );
    assert!(
        message.contains("leave `activation` under `[head]` out"),
        "{message}"
    );
    let text = case.fixture.manifest.as_deref().expect("its own manifest");
    let sound =
        Manifest::parse(&text.replace("activation = \"softmax\"\n", "")).expect("a good manifest");
    assert_eq!(read(&sound), Ok(case.fixture.expected.len()));
}

/// Crops of a picture, and what torchvision's softmax and sigmoid make of its classifier's numbers.
#[test]
fn a_classifier_says_what_torchvision_says() {
    #[derive(Deserialize)]
    struct Crops {
        manifest: String,
        tensors: Vec<Sparse>,
        /// The probability of each class, crop by crop.
        expected: Vec<Vec<f64>>,
    }
    for (text, several) in [
        (
            include_str!("../fixtures/seeded_classifier_softmax.json"),
            false,
        ),
        (
            include_str!("../fixtures/seeded_classifier_sigmoid.json"),
            true,
        ),
    ] {
        let fixture: Crops = serde_json::from_str(text).expect("a good fixture");
        let manifest = Manifest::parse(&fixture.manifest).expect("a good manifest");
        let all = fixture.tensors[0].tensor();
        let crops = all.data.chunks_exact(4).zip(&fixture.expected);
        let mut best = Vec::new();
        for (logits, expected) in crops {
            let tensor = Tensor {
                name: all.name.clone(),
                shape: vec![1, 4],
                data: logits.to_vec(),
            };
            let found = heads::labels(&manifest, &views(&[tensor])).unwrap().found;
            let mut ranked: Vec<(usize, f64)> = expected.iter().copied().enumerate().collect();
            ranked.retain(|(_, chance)| *chance >= manifest.thresholds.low);
            ranked.sort_by(|a, b| b.1.total_cmp(&a.1));
            ranked.truncate(if several { 4 } else { 1 });
            assert_eq!(found.len(), ranked.len(), "{found:?} for {ranked:?}");
            for (label, (number, chance)) in found.iter().zip(&ranked) {
                assert_eq!(label.number, *number);
                assert!(
                    (label.score - chance).abs() < 1e-4,
                    "{label:?} for {chance}"
                );
            }
            best.push(ranked[0].0);
        }
        best.dedup();
        assert!(
            best.len() > 1,
            "a network that says the same of everything proves nothing"
        );
    }
}
