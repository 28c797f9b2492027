//! Networks of other types of numbers, and networks that answer what cannot be
//! true: said with what was expected and what was found, and never a panic.
//!
//! Needs the runtime that set-up fetches; without it these tests say so and pass.
#![allow(clippy::unwrap_used)] // what is around the tests is test code, too

#[allow(dead_code)] // other tests use more of it
#[path = "support/onnx.rs"]
mod onnx;
#[allow(dead_code)] // other tests use more of it
#[path = "support/small.rs"]
mod small;

use edge_inference::{
    Answered, Detector, DetectorError, DetectorSettings, FreeNetwork, Look, Network, Provider,
    ProviderChoice, Refusal, Runtime,
};
use models::Manifest;
use models::heads::Answers;
use protocol::{Detection, ObjectClass};

use onnx::Element;
use small::{Small, grey};

fn detector(runtime: &Runtime, small: Small) -> Result<Detector, DetectorError> {
    described(runtime, small, small.manifest())
}

fn described(
    runtime: &Runtime,
    small: Small,
    manifest: Manifest,
) -> Result<Detector, DetectorError> {
    let settings = DetectorSettings::default();
    small::load(runtime, manifest, &small.file(), &settings, Detector::load)
}

/// What it sees in a picture that is all of one grey.
fn look(detector: &mut Detector, level: u8) -> Result<Answers<Detection>, String> {
    let plane = vec![level; 64 * 64];
    let picture = grey(64, 64, &plane);
    let answer = detector.detect_batch(&[Look::whole(&picture)]).remove(0);
    answer.map_err(|error| error.to_string())
}

#[test]
fn bytes_go_in_and_whole_numbers_come_out() {
    let runtime = small::runtime();
    let expected = look(&mut detector(&runtime, Small::default()).unwrap(), 128).unwrap();
    let classes: Vec<_> = expected.found.iter().map(|thing| thing.class).collect();
    for class in [ObjectClass::Person, ObjectClass::Car, ObjectClass::Bus] {
        assert!(classes.contains(&class), "{classes:?}");
    }
    assert!(expected.found.iter().all(|thing| thing.score == 0.5));
    for input in [Element::F32, Element::U8] {
        for labels in [Element::I64, Element::I32, Element::U8, Element::F32] {
            let small = Small {
                input,
                labels,
                ..Small::default()
            };
            let seen = look(&mut detector(&runtime, small).unwrap(), 128).unwrap();
            assert_eq!(seen, expected, "{input:?} {labels:?}");
        }
    }
}

/// Level by level, because half precision has eleven bits, and scores have more.
#[test]
fn a_network_of_half_precision_sees_what_its_twin_sees() {
    let runtime = small::runtime();
    let of = |input, found| {
        let small = Small {
            input,
            found,
            ..Small::default()
        };
        detector(&runtime, small).unwrap()
    };
    let mut twin = of(Element::F32, Element::F32);
    for (input, found) in [
        (Element::F16, Element::F16),
        (Element::F16, Element::F32),
        (Element::F32, Element::F16),
    ] {
        let mut half = of(input, found);
        for level in (30..=255).step_by(5) {
            let (seen, expected) = (look(&mut half, level), look(&mut twin, level));
            let (seen, expected) = (seen.unwrap(), expected.unwrap());
            assert_eq!(seen.found.len(), expected.found.len(), "{level}");
            for (ours, other) in seen.found.iter().zip(&expected.found) {
                assert_eq!((ours.class, ours.bounds), (other.class, other.bounds));
                let apart = (ours.score - other.score).abs();
                assert!(apart <= 0.0005, "{level}: {apart}");
            }
        }
    }
}

#[test]
fn a_type_that_is_not_the_manifests_or_that_nobody_reads_says_what_to_change() {
    let runtime = small::runtime();
    let plain = Small::default();
    let of = |input| Small { input, ..plain };
    let refusal = |small, manifest| {
        described(&runtime, small, manifest)
            .unwrap_err()
            .to_string()
    };
    for (message, parts) in [
        (
            refusal(of(Element::U8), plain.manifest()),
            ["[1, 3, 32, 32] of float32", "set `element = \"u8\"`"],
        ),
        (
            refusal(plain, of(Element::U8).manifest()),
            ["[1, 3, 32, 32] of uint8", "set `element = \"f32\"`"],
        ),
        (
            refusal(of(Element::F16), plain.manifest()),
            ["of float32", "set `element = \"f16\"`"],
        ),
        (
            refusal(of(Element::Bf16), plain.manifest()),
            [
                "of float32",
                "export it with float32, float16 or uint8 input",
            ],
        ),
        (
            {
                let small = Small {
                    labels: Element::Bf16,
                    ..plain
                };
                refusal(small, small.manifest())
            },
            [
                "output `labels` holds",
                "export the network with one of these",
            ],
        ),
    ] {
        for part in parts {
            assert!(message.contains(part), "{part}: {message}");
        }
    }
}

/// Of 0.9 nothing is left in a whole number: such a model loaded, and never saw anything.
#[test]
fn probabilities_in_whole_numbers_are_refused_at_load() {
    let runtime = small::runtime();
    for found in [Element::I64, Element::I32, Element::U8] {
        let small = Small {
            found,
            ..Small::default()
        };
        for manifest in [small.manifest(), Small::classifier()] {
            let kind = manifest.head.kind();
            let settings = DetectorSettings::default();
            let load = |runtime: &Runtime, manifest, file: &_, settings: &_| {
                Network::load(runtime, manifest, file, settings)
            };
            let refused = small::load(&runtime, manifest, &small.file(), &settings, load);
            let message = refused.unwrap_err().to_string();
            assert!(
                message.contains("output `scores` holds") && message.contains("gives floats"),
                "{found:?} {kind}: {message}"
            );
        }
    }
}

#[test]
fn a_head_that_does_not_fit_is_refused_with_both_shapes() {
    let runtime = small::runtime();
    let small = Small {
        queries: 300,
        ..Small::default()
    };
    let message = detector(&runtime, small).unwrap_err().to_string();
    assert!(
        message.contains("`labels` to be [1, 300], the model gives [1, 3]"),
        "{message}"
    );
    let classifier = Small::classifier();
    let message = described(&runtime, Small::default(), classifier);
    let message = message.unwrap_err().to_string();
    assert!(message.contains("correct `task` or `head`"), "{message}");
}

/// A softmax of a softmax makes all classes nearly alike, and no single answer shows it.
#[test]
fn a_network_that_ends_in_the_softmax_of_its_manifest_is_refused_at_load() {
    let runtime = small::runtime();
    let file = |operator: &str| {
        let mut network = onnx::Network::default();
        network.input("x", Element::F32, &[1, 3, 32, 32]);
        network.output("scores", Element::F32, &[1, 3]);
        let axes = onnx::Attribute::Integers("axes", vec![2, 3]);
        let flat = onnx::Attribute::Integer("keepdims", 0);
        network.node("ReduceMean", &["x"], "means", &[axes, flat]);
        network.node(operator, &["means"], "said", &[]);
        network.integers("shape", &[2], &[1, 3]);
        network.node("Reshape", &["said", "shape"], "scores", &[]);
        network.file()
    };
    let mut manifest = Small::classifier();
    let load = |manifest: &Manifest, operator: &str| {
        let settings = DetectorSettings::default();
        let (manifest, file) = (manifest.clone(), file(operator));
        small::load(&runtime, manifest, &file, &settings, Network::load)
            .map(drop)
            .map_err(|error| error.to_string())
    };
    assert_eq!(load(&manifest, "Softmax"), Ok(()));
    let models::Head::Classifier(head) = &mut manifest.head else {
        panic!("{:?}", manifest.head)
    };
    (head.several, head.activation) = (false, models::heads::Activation::Softmax);
    assert_eq!(load(&manifest, "Neg"), Ok(()));
    for operator in ["Softmax", "Sigmoid"] {
        let error =
            load(&manifest, operator).expect_err("its probabilities would be taken for logits");
        assert!(
            error.contains("probabilities where logits are to be read"),
            "{error}"
        );
        assert!(
            error.contains("leave `activation` under `[head]` out"),
            "{error}"
        );
    }
}

#[test]
fn broken_numbers_are_counted_and_a_picture_of_nothing_else_is_an_error() {
    let runtime = small::runtime();
    let with = |nan_when_bright| Small {
        nan_when_bright,
        ..Small::default()
    };
    let mut some = detector(&runtime, with(2)).unwrap();
    for (level, broken, found) in [(100, 0, 3), (200, 2, 1), (100, 0, 3)] {
        let seen = look(&mut some, level).unwrap();
        assert_eq!((seen.broken, seen.found.len()), (broken, found), "{level}");
    }
    let mut all = detector(&runtime, with(3)).unwrap();
    let message = look(&mut all, 200).unwrap_err();
    assert!(message.contains("all 3 answers"), "{message}");
    assert_eq!(look(&mut all, 100).unwrap().found.len(), 3);
}

#[test]
fn an_empty_answer_is_an_error_and_the_next_picture_is_looked_at() {
    let runtime = small::runtime();
    let small = Small {
        empty_when_bright: true,
        ..Small::default()
    };
    let mut detector = detector(&runtime, small).unwrap();
    let message = look(&mut detector, 255).unwrap_err();
    assert!(
        message.contains("`scores` to be [1, 3], the model gives [1, 0]"),
        "{message}"
    );
    assert_eq!(look(&mut detector, 128).unwrap().found.len(), 3);
}

#[test]
fn any_head_answers_through_the_same_network_for_parts_of_pictures() {
    let runtime = small::runtime();
    let small = Small {
        batch: -1,
        ..Small::default()
    };
    let settings = DetectorSettings {
        batch: 3,
        ..DetectorSettings::default()
    };
    let manifest = Small::classifier();
    let mut network =
        small::load(&runtime, manifest, &small.file(), &settings, Network::load).unwrap();
    assert_eq!(network.batch(), 3);
    // Dark above, bright below.
    let mut plane = vec![64; 64 * 64];
    plane[32 * 64..].fill(192);
    let picture = grey(64, 64, &plane);
    let part =
        |y: f64, height: f64| Look::part(&picture, &protocol::NormBox::from([0.0, y, 1.0, height]));
    let answers = network.answer_batch(&[
        part(0.0, 0.5),
        part(0.5, 0.5),
        part(2.0, 0.5),
        part(0.0, 1.0),
    ]);
    let scores: Vec<Option<f64>> = answers
        .iter()
        .map(|answer| match answer {
            Ok(Answered::Labels(labels)) => Some(labels.found[0].score),
            Ok(other) => panic!("{other:?}"),
            Err(error) => {
                assert!(
                    error.to_string().contains("does not lie in a picture"),
                    "{error}"
                );
                None
            }
        })
        .collect();
    assert_eq!(scores, [Some(0.25), Some(0.75), None, Some(0.5)]);
}

/// A network that fails on bright pictures, and two providers for it: the processor
/// twice, since this machine has no other, and the second session is as new as
/// another provider's would be.
fn fails_on_one_of_two() -> (Small, DetectorSettings) {
    let small = Small {
        fails_when_bright: true,
        ..Small::default()
    };
    let settings = DetectorSettings {
        providers: ProviderChoice::Listed(vec![Provider::Cpu, Provider::Cpu]),
        ..DetectorSettings::default()
    };
    (small, settings)
}

#[test]
fn a_provider_that_fails_at_work_again_and_again_is_left_for_the_next_of_the_list() {
    let runtime = small::runtime();
    let (small, settings) = fails_on_one_of_two();
    let folder = tempfile::tempdir().unwrap();
    let file = small::write(folder.path(), &small.file());
    let manifest = small::of_file(small.manifest(), &small.file());
    let mut detector = Detector::load(&runtime, manifest, &file, &settings).unwrap();
    let losses = |detector: &Detector| detector.network().losses();
    // Two in a row may be the pictures' fault.
    for level in [255, 255, 100, 255, 255, 128] {
        assert_eq!(look(&mut detector, level).is_ok(), level < 200);
        assert_eq!(losses(&detector), 0);
    }
    for _ in 0..3 {
        look(&mut detector, 255).unwrap_err();
    }
    assert_eq!(losses(&detector), 1);
    let [refusal] = detector.refusals() else {
        panic!("{:?}", detector.refusals())
    };
    assert!(
        refusal
            .to_string()
            .contains("cpu: it failed at work, 3 times in a row"),
        "{refusal}"
    );
    assert_eq!(look(&mut detector, 128).unwrap().found.len(), 3);
    // Now there is no other: the same one is loaded anew, after twice as many.
    for failures in 0..6 {
        assert_eq!(losses(&detector), 1, "{failures}");
        look(&mut detector, 255).unwrap_err();
    }
    assert_eq!((losses(&detector), detector.refusals().len()), (2, 1));
    assert_eq!(look(&mut detector, 128).unwrap().found.len(), 3);
    // A file that is not what it was is not loaded; what is there goes on.
    std::fs::write(&file, b"another").unwrap();
    for _ in 0..12 {
        look(&mut detector, 255).unwrap_err();
    }
    assert_eq!(losses(&detector), 3);
    assert_eq!(look(&mut detector, 128).unwrap().found.len(), 3);
}

/// A provider that was left on this box is none to change to. It was asked for after each three failures,
/// and the one at work, whose device may have been reset, was never loaded anew.
#[test]
fn where_the_next_of_the_list_was_left_on_this_box_the_same_provider_is_loaded_anew() {
    let runtime = small::runtime();
    let (small, settings) = fails_on_one_of_two();
    let settings = DetectorSettings {
        providers: ProviderChoice::Listed(vec![Provider::Cpu, Provider::OpenVino]),
        left: vec![Refusal {
            provider: Provider::OpenVino,
            reason: "it was left: it ended the program".to_owned(),
        }],
        ..settings
    };
    let folder = tempfile::tempdir().unwrap();
    let file = small::write(folder.path(), &small.file());
    let manifest = small::of_file(small.manifest(), &small.file());
    let mut detector = Detector::load(&runtime, manifest, &file, &settings).unwrap();
    for failures in 0..3 {
        assert_eq!(detector.network().losses(), 0, "{failures}");
        look(&mut detector, 255).unwrap_err();
    }
    // After twice as many, as of the last of a list.
    for failures in 0..6 {
        assert_eq!(detector.network().losses(), 1, "{failures}");
        look(&mut detector, 255).unwrap_err();
    }
    assert_eq!(detector.network().losses(), 2);
    assert!(detector.refusals().is_empty(), "{:?}", detector.refusals());
    assert_eq!(look(&mut detector, 128).unwrap().found.len(), 3);
}

#[test]
fn a_provider_whose_answers_are_no_numbers_is_left_for_the_next_of_the_list() {
    let runtime = small::runtime();
    let (_, settings) = fails_on_one_of_two();
    let small = Small {
        nan_when_bright: 3,
        ..Small::default()
    };
    let folder = tempfile::tempdir().unwrap();
    let file = small::write(folder.path(), &small.file());
    let manifest = small::of_file(small.manifest(), &small.file());
    let mut detector = Detector::load(&runtime, manifest, &file, &settings).unwrap();
    for failures in 0..3 {
        assert_eq!(detector.network().losses(), 0, "{failures}");
        let error = look(&mut detector, 255).unwrap_err();
        assert!(error.contains("hold NaN"), "{error}");
    }
    let [refusal] = detector.refusals() else {
        panic!("{:?}", detector.refusals())
    };
    let refusal = refusal.to_string();
    assert!(refusal.contains("hold NaN"), "{refusal}");
    assert_eq!(look(&mut detector, 100).unwrap().found.len(), 3);
    // Now there is no other, and loaded anew this one would compute the same.
    for _ in 0..12 {
        look(&mut detector, 255).unwrap_err();
    }
    assert_eq!(detector.network().losses(), 1);
}

#[test]
fn a_provider_whose_first_answer_is_no_number_is_passed_over_and_the_last_one_says_so() {
    let runtime = small::runtime();
    let (_, settings) = fails_on_one_of_two();
    // Of a picture that is black, too.
    let small = Small {
        nan_always: true,
        ..Small::default()
    };
    let error = small::load(
        &runtime,
        small.manifest(),
        &small.file(),
        &settings,
        Detector::load,
    );
    let error = error.map(drop).unwrap_err().to_string();
    assert!(error.contains("hold NaN"), "{error}");
}

#[test]
fn a_network_that_is_given_tensors_does_not_load_where_its_outputs_do_not_fit_its_head() {
    let runtime = small::runtime();
    let settings = DetectorSettings::default();
    let small = Small::default();
    let load = |manifest: models::Manifest| {
        small::load(
            &runtime,
            manifest,
            &small.file(),
            &settings,
            FreeNetwork::load,
        )
        .map(drop)
    };
    assert!(load(Small::classifier()).is_ok());
    // Of other outputs, and of another number of classes.
    let other_head = load(Small::of_another_output()).unwrap_err().to_string();
    assert!(other_head.contains("`text`"), "{other_head}");
    let of_four = Small::classifier_of(4);
    let other_count = load(of_four).unwrap_err().to_string();
    assert!(
        other_count.contains('4') && other_count.contains('3'),
        "{other_count}"
    );
}

/// The plate reader's networks go this way, and were refused.
#[test]
fn a_network_that_is_given_tensors_may_answer_in_half_precision() {
    let runtime = small::runtime();
    let settings = DetectorSettings::default();
    let scores = |found| {
        let small = Small {
            found,
            ..Small::default()
        };
        let manifest = Small::classifier();
        let (shape, length) = (manifest.input.shape(), manifest.input.len());
        let load = FreeNetwork::load;
        let mut network = small::load(&runtime, manifest, &small.file(), &settings, load).unwrap();
        let outcome = network.run(shape, &vec![100.0; length], |outputs| {
            Ok((
                outputs[0].name.to_owned(),
                outputs[0].shape.to_vec(),
                outputs[0].data.to_vec(),
            ))
        });
        outcome.unwrap()
    };
    let (name, shape, twin) = scores(Element::F32);
    assert_eq!((name.as_str(), &shape[..]), ("scores", &[1, 3][..]));
    let (half_name, half_shape, half) = scores(Element::F16);
    assert_eq!((half_name, half_shape), (name, shape));
    for (half, twin) in half.iter().zip(&twin) {
        assert!((half - twin).abs() < 0.0005, "{half} {twin}");
    }
    assert!(twin[0] > 0.3, "{twin:?}");
}

/// It would make an engine for each size of plate, and no camera be watched meanwhile.
#[test]
fn a_network_of_many_sizes_is_not_tried_on_tensorrt() {
    let runtime = small::runtime();
    let settings = DetectorSettings {
        providers: ProviderChoice::Listed(vec![Provider::TensorRt, Provider::Cpu]),
        ..DetectorSettings::default()
    };
    for (dynamic, words) in [(true, "each new size"), (false, "was built without it")] {
        let mut manifest = Small::classifier();
        manifest.input.dynamic = dynamic;
        let file = Small::default().file();
        let network = small::load(&runtime, manifest, &file, &settings, FreeNetwork::load);
        let network = network.unwrap();
        assert_eq!(network.computes_on(), Provider::Cpu);
        let refusals: Vec<_> = network.refusals().iter().map(|r| &r.reason).collect();
        assert_eq!(refusals.len(), 1, "{refusals:?}");
        assert!(refusals[0].contains(words), "{refusals:?}");
    }
}

#[test]
fn a_network_that_is_given_tensors_leaves_a_lost_provider_as_well() {
    let runtime = small::runtime();
    let (small, settings) = fails_on_one_of_two();
    let folder = tempfile::tempdir().unwrap();
    let file = small::write(folder.path(), &small.file());
    let manifest = small::of_file(Small::classifier(), &small.file());
    let (shape, length) = (manifest.input.shape(), manifest.input.len());
    let mut network = FreeNetwork::load(&runtime, manifest, &file, &settings).unwrap();
    let mut run = |value: f32| {
        let outcome = network.run(shape, &vec![value; length], |_| Ok(()));
        (outcome.is_ok(), network.losses(), network.refusals().len())
    };
    let dark = run(0.0);
    assert_eq!(dark, (true, 0, 0));
    for lost in [(false, 0, 0), (false, 0, 0), (false, 1, 1)] {
        assert_eq!(run(255.0), lost);
    }
    assert_eq!(run(0.0), (true, 1, 1));
}
