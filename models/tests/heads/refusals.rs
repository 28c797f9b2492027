//! Tensors, manifests and questions that do not fit.

use models::heads::{self, Shape};
use models::{HeadError, Manifest, decode};

use crate::support::{
    A_FACE, BACKGROUND_AND_THREE, CENTERNET, CLASSIFIER, CTC, FASTESTDET, NANODET, PICODET, RTDETR,
    RTDETR_EXPORTED, SSD, SSD_LAYERS, TEXT_REGIONS, THREE_CLASSES, Tensor, YOLO_END_TO_END, YOLOV5,
    YOLOV8, YOLOX, YUNET, letterbox, manifest, manifest_text, views,
};

fn refusal(manifest: &Manifest, tensors: &[Tensor]) -> HeadError {
    decode(manifest, &letterbox(manifest), &views(tensors)).expect_err("it was read")
}

#[test]
fn a_tensor_that_does_not_fit_is_named_with_both_shapes() {
    let manifest = manifest(YOLOX, THREE_CLASSES);
    assert_eq!(
        refusal(&manifest, &[Tensor::filled("output", &[1, 85, 8], 0.0)]).to_string(),
        "the yolox head expects output `output` to be [1, 84, 8], the model gives [1, 85, 8]; \
         input size, strides, class count or the file itself differ from the manifest"
    );
    assert_eq!(
        refusal(
            &manifest,
            &[
                Tensor::filled("out", &[1, 84, 8], 0.0),
                Tensor::filled("aux", &[1], 0.0)
            ]
        )
        .to_string(),
        "the yolox head reads output `output`, the model has `out`, `aux`; \
         correct `head` in its manifest or install the right file"
    );
    let mut short = Tensor::filled("output", &[1, 84, 8], 0.0);
    short.data.truncate(600);
    assert_eq!(
        refusal(&manifest, &[short]),
        HeadError::Length {
            tensor: "output".to_owned(),
            shape: Shape(vec![1, 84, 8]),
            found: 600
        }
    );
}

/// Every head and what it expects, so that a change of it is seen.
#[test]
fn every_head_expects_the_shapes_of_its_documentation() {
    let single = |shape: &str| format!("output {shape}");
    for (head, classes, expected) in [
        (YOLOX, THREE_CLASSES, single("[1, 84, 8]")),
        (NANODET, THREE_CLASSES, single("[1, 85, 35]")),
        (
            PICODET,
            THREE_CLASSES,
            "scores_0 [1, 64, 3], scores_1 [1, 16, 3], scores_2 [1, 4, 3], scores_3 [1, 1, 3], \
             edges_0 [1, 64, 32], edges_1 [1, 16, 32], edges_2 [1, 4, 32], edges_3 [1, 1, 32]"
                .to_owned(),
        ),
        (
            CENTERNET,
            THREE_CLASSES,
            "heatmap [1, 3, 16, 16], ltrb [1, 4, 16, 16]".to_owned(),
        ),
        (FASTESTDET, THREE_CLASSES, single("[1, 8, 8, 8]")),
        (YOLOV5, THREE_CLASSES, single("[1, 252, 8]")),
        (YOLOV8, THREE_CLASSES, single("[1, 7, 84]")),
        (YOLO_END_TO_END, THREE_CLASSES, single("[1, 30, 6]")),
        (
            RTDETR,
            THREE_CLASSES,
            "pred_logits [1, 40, 3], pred_boxes [1, 40, 4]".to_owned(),
        ),
        (
            RTDETR_EXPORTED,
            THREE_CLASSES,
            "labels [1, 30], boxes [1, 30, 4], scores [1, 30]".to_owned(),
        ),
        (
            SSD,
            BACKGROUND_AND_THREE,
            "boxes [1, 320, 4], scores [1, 320, 4], priorbox [1, 2, 1280]".to_owned(),
        ),
        (
            SSD_LAYERS,
            BACKGROUND_AND_THREE,
            "boxes [1, 320, 4], scores [1, 320, 4]".to_owned(),
        ),
        (
            YUNET,
            A_FACE,
            "cls_8 [1, 64, 1], cls_16 [1, 16, 1], cls_32 [1, 4, 1], \
             obj_8 [1, 64, 1], obj_16 [1, 16, 1], obj_32 [1, 4, 1], \
             bbox_8 [1, 64, 4], bbox_16 [1, 16, 4], bbox_32 [1, 4, 4], \
             kps_8 [1, 64, 10], kps_16 [1, 16, 10], kps_32 [1, 4, 10]"
                .to_owned(),
        ),
        (CLASSIFIER, THREE_CLASSES, single("[1, 3]")),
        (TEXT_REGIONS, "", single("[1, 1, 64, 64]")),
        (CTC, "", single("[1, 8, 11]")),
    ] {
        let manifest = manifest(head, classes);
        let shapes = manifest.head.expected(&manifest.input, &manifest.classes);
        let written: Vec<_> = shapes
            .iter()
            .map(|(name, shape)| format!("{name} {shape}"))
            .collect();
        assert_eq!(written.join(", "), expected, "{}", manifest.head.kind());
    }
}

#[test]
fn a_network_that_says_nothing_but_nan_is_an_error() {
    for (head, classes) in [
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
        (YUNET, A_FACE),
    ] {
        let manifest = manifest(head, classes);
        let tensors: Vec<_> = manifest
            .head
            .expected(&manifest.input, &manifest.classes)
            .into_iter()
            .map(|(name, shape)| Tensor::filled(name, &shape.0, f32::NAN))
            .collect();
        let error = refusal(&manifest, &tensors);
        assert!(matches!(error, HeadError::NoNumbers { .. }), "{error}");
        // And a network that sees nothing is none.
        let nothing: Vec<_> = tensors
            .iter()
            .map(|t| {
                Tensor::filled(
                    &t.name,
                    &t.shape,
                    if t.name == "pred_logits" { -9.0 } else { 0.0 },
                )
            })
            .collect();
        if head != SSD {
            let seen = decode(&manifest, &letterbox(&manifest), &views(&nothing)).unwrap();
            assert_eq!(seen, [], "{}", manifest.head.kind());
        }
    }
    let text = manifest(CTC, "");
    let heads::Head::Ctc(head) = &text.head else {
        panic!()
    };
    let blind = [Tensor::filled("output", &[1, 8, 11], f32::INFINITY)];
    let error = heads::text(&text, &head.alphabet(None).unwrap(), &views(&blind)).unwrap_err();
    assert_eq!(
        error.to_string(),
        "all 8 answers of the ctc head hold NaN or infinity; the file is damaged or its numbers \
         do not fit the precision that it runs in"
    );
}

#[test]
fn a_head_that_is_asked_for_something_else_says_what_it_reads() {
    let text = manifest(CTC, "");
    let tensors = [Tensor::filled("output", &[1, 8, 11], 0.0)];
    assert_eq!(
        refusal(&text, &tensors).to_string(),
        "the ctc head reads text; it was asked for boxes: correct `task` or `head` in the manifest"
    );
    let boxes = manifest(YOLOX, THREE_CLASSES);
    let error = heads::faces(&boxes, &letterbox(&boxes), &[])
        .unwrap_err()
        .to_string();
    assert!(
        error.contains("reads boxes; it was asked for faces"),
        "{error}"
    );
    assert!(heads::labels(&boxes, &[]).is_err());
    assert!(heads::text_regions(&boxes, &letterbox(&boxes), &[]).is_err());
}

#[test]
fn a_manifest_whose_head_cannot_be_right_is_refused() {
    let refusal = |head: &str, classes: &str| {
        Manifest::parse(&manifest_text(head, classes))
            .expect_err("it was taken")
            .to_string()
    };
    for (head, classes, words) in [
        (
            PICODET.replace("\"scores_3\"", ""),
            THREE_CLASSES,
            "scores names 3 outputs for 4 strides",
        ),
        (
            PICODET.replace("bins = 8", "bins = 1"),
            THREE_CLASSES,
            "bins is 1",
        ),
        (FASTESTDET.replace('8', "0"), THREE_CLASSES, "powers of two"),
        (
            YOLOV5.replace("cell = 3", "cell = 0"),
            THREE_CLASSES,
            "anchors_per_cell is 0",
        ),
        (
            YOLO_END_TO_END.replace("30", "0"),
            THREE_CLASSES,
            "answers is 0",
        ),
        (
            RTDETR.replace("40", "4000000"),
            THREE_CLASSES,
            "queries is 4000000",
        ),
        (
            RTDETR_EXPORTED.replace("128", "0"),
            THREE_CLASSES,
            "box_size must be above 0",
        ),
        (
            SSD.replace("background = 0", "background = 1"),
            BACKGROUND_AND_THREE,
            "without a word",
        ),
        (
            SSD.replace("background = 0", "background = 4"),
            BACKGROUND_AND_THREE,
            "one of the 4 classes",
        ),
        (
            SSD.replace("0.2, 0.2]", "0.2, 0]"),
            BACKGROUND_AND_THREE,
            "variances must be above 0",
        ),
        (
            SSD_LAYERS.replace("step = 8.0", "step = nan"),
            BACKGROUND_AND_THREE,
            "above 0",
        ),
        (YUNET.to_owned(), THREE_CLASSES, "count = 1"),
        (YOLOX.to_owned(), "", "`count`"),
        (
            CLASSIFIER.to_owned() + "\nseveral = true",
            THREE_CLASSES,
            "only one class can be true",
        ),
        (CTC.replace("0123456789", ""), "", "symbols are needed"),
        (CTC.to_owned() + "\nblank = 11", "", "blank is 11"),
        (TEXT_REGIONS.replace("0.3", "1.0"), "", "between 0 and 1"),
    ] {
        let message = refusal(&head, classes);
        assert!(message.contains(words), "{head}: {message}");
    }
    let other_task = manifest_text(CTC, "").replace("text_recognition", "detection");
    assert_eq!(
        Manifest::parse(&other_task).unwrap_err().to_string(),
        "`task`: it asks for boxes, but head `ctc` reads text; one of them is wrong"
    );
}

fn filled(manifest: &Manifest, number: f32) -> Vec<Tensor> {
    let expected = manifest.head.expected(&manifest.input, &manifest.classes);
    let tensors = expected.into_iter();
    tensors
        .map(|(name, shape)| Tensor::filled(name, &shape.0, number))
        .collect()
}

/// What a head says of tensors in which every number is this one.
fn said(manifest: &Manifest, number: f32) -> Result<(), HeadError> {
    let tensors = filled(manifest, number);
    let views = views(&tensors);
    match &manifest.head {
        heads::Head::Classifier(_) => heads::labels(manifest, &views).map(drop),
        heads::Head::TextRegions(_) => {
            heads::text_regions(manifest, &letterbox(manifest), &views).map(drop)
        }
        heads::Head::Ctc(head) => {
            let alphabet = head.alphabet(None).expect("it is written");
            heads::text(manifest, &alphabet, &views).map(drop)
        }
        _ => decode(manifest, &letterbox(manifest), &views).map(drop),
    }
}

/// Of logits every second is above 0, and would be a certainty.
#[test]
fn numbers_that_are_no_probabilities_are_refused_and_what_is_to_be_done_is_said() {
    let classifier = CLASSIFIER.replace("softmax", "none");
    let ssd = SSD_LAYERS
        .replace("softmax", "none")
        .replace("sigmoid", "none");
    let (activation, sigmoid) = ("`activation = \"softmax\"`", "last sigmoid");
    for (head, classes, next) in [
        (YOLOX, THREE_CLASSES, sigmoid),
        (NANODET, THREE_CLASSES, sigmoid),
        (PICODET, THREE_CLASSES, sigmoid),
        (CENTERNET, THREE_CLASSES, sigmoid),
        (FASTESTDET, THREE_CLASSES, sigmoid),
        (YOLOV5, THREE_CLASSES, sigmoid),
        (YOLOV8, THREE_CLASSES, sigmoid),
        (YOLO_END_TO_END, THREE_CLASSES, sigmoid),
        (RTDETR_EXPORTED, THREE_CLASSES, sigmoid),
        (YUNET, A_FACE, sigmoid),
        (TEXT_REGIONS, "", sigmoid),
        (&*ssd, BACKGROUND_AND_THREE, activation),
        (&*classifier, THREE_CLASSES, activation),
        (CTC, "", activation),
    ] {
        let manifest = manifest(head, classes);
        for number in [1.5, 2.1, -3.0, 1e30] {
            let error = said(&manifest, number).expect_err(head);
            assert!(
                matches!(error, HeadError::NoProbabilities { .. }),
                "{error}"
            );
            let text = error.to_string();
            assert!(
                text.contains(&format!("gives {number}, which is none")),
                "{text}"
            );
            assert!(text.contains(next), "{text}");
        }
        // One step of eight bits is rounding.
        for number in [1.003, 1.0, 0.0, -0.003] {
            let is_exclusive = matches!(
                manifest.head,
                heads::Head::Classifier(_) | heads::Head::Ctc(_)
            );
            let is_refused = matches!(
                said(&manifest, number),
                Err(HeadError::NoProbabilities { .. })
            );
            assert!(is_exclusive || !is_refused, "{head} {number}");
        }
    }
}

#[test]
fn classes_that_exclude_each_other_make_one_together() {
    for (head, classes) in [
        (CLASSIFIER.replace("softmax", "none"), THREE_CLASSES),
        (CTC.to_owned(), ""),
    ] {
        let manifest = manifest(&head, classes);
        let error = said(&manifest, 0.9)
            .expect_err("logits within 0 and 1")
            .to_string();
        assert!(error.contains("together make"), "{error}");
        assert!(error.contains("activation = \"softmax\""), "{error}");
    }
    let several = CLASSIFIER.replace("softmax", "none") + "\nseveral = true";
    assert_eq!(said(&manifest(&several, THREE_CLASSES), 0.9), Ok(()));
}

#[test]
fn a_sigmoid_is_not_taken_twice() {
    let fifty = RTDETR.replace("queries = 40", "queries = 50");
    assert!(fifty != RTDETR);
    let manifest = manifest(&fifty, THREE_CLASSES);
    let error = said(&manifest, 0.3)
        .expect_err("all would count")
        .to_string();
    assert!(
        error.contains("export it without its last sigmoid"),
        "{error}"
    );
    assert_eq!(said(&manifest, -4.0), Ok(()));
}
