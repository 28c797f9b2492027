use super::*;

const GOOD: &str = include_str!("../../catalog/yolox-nano/model.toml");

#[track_caller]
fn refusal(text: &str) -> String {
    Manifest::parse(text)
        .expect_err("the manifest was taken")
        .to_string()
}

/// The good manifest with `from` replaced.
#[track_caller]
fn with(from: &str, to: &str) -> String {
    assert!(GOOD.contains(from), "the manifest does not have {from:?}");
    GOOD.replacen(from, to, 1)
}

#[test]
fn the_good_manifest_reads() {
    let manifest = Manifest::parse(GOOD).unwrap();
    assert_eq!(manifest.id.as_str(), "yolox-nano");
    assert_eq!(manifest.input.shape(), [1, 3, 416, 416]);
    assert_eq!(manifest.input.len(), 3 * 416 * 416);
    assert_eq!(manifest.head.kind(), "yolox");
    assert_eq!(manifest.classes.count(), 80);
    assert_eq!(manifest.classes.word(0), Some(ObjectClass::Person));
    assert_eq!(manifest.classes.word(16), Some(ObjectClass::Animal));
    assert_eq!(manifest.classes.word(56), None, "a chair is nothing to us");
    assert_eq!(manifest.classes.word(80), None);
}

#[test]
fn no_licence_or_one_that_binds_is_refused_and_says_what_to_do() {
    for (licence, words) in [
        ("", "no licence is named"),
        ("licence = \"\"", "no licence is named"),
        ("licence = \"AGPL-3.0-only\"", "would bind everybody"),
        ("licence = \"GPL-2.0\"", "would bind everybody"),
        ("licence = \"CC-BY-NC-4.0\"", "`licence_accepted_by`"),
        (
            "licence = \"unknown\"",
            "not among the known permissive ones",
        ),
        // Nobody can take copyleft on himself for those who get the box later.
        (
            "licence = \"AGPL-3.0-only\"\nlicence_accepted_by = \"me\"",
            "would bind",
        ),
        (
            "licence = \"unknown\"\nlicence_accepted_by = \" \"",
            "`licence_accepted_by`",
        ),
    ] {
        let message = refusal(&with("licence = \"Apache-2.0\"", licence));
        assert!(message.contains(words), "{licence}: {message}");
    }
}

#[test]
fn an_unlisted_licence_passes_when_somebody_answers_for_it() {
    let text = with(
        "licence = \"Apache-2.0\"",
        "licence = \"LicenseRef-own-training\"\nlicence_accepted_by = \"Thu, 2026-11-22: trained by us\"",
    );
    let manifest = Manifest::parse(&text).unwrap();
    assert_eq!(manifest.licence, "LicenseRef-own-training");
}

#[test]
fn what_cannot_be_right_is_named_with_its_place() {
    for (from, to, words) in [
        ("rank = 10", "rank = 10\nrnak = 11", "unknown field `rnak`"),
        ("rank = 10", "rank = 10\nrnak = 11", "line 5:"),
        (
            "rank = 10",
            "rank = \"first\"",
            "line 4: invalid type: string",
        ),
        ("rank = 10", "rank = ", "line 4:"),
        (
            "id = \"yolox-nano\"",
            "id = \"YOLOX nano\"",
            "`YOLOX nano` cannot be an id",
        ),
        ("sha256 = \"695e", "sha256 = \"xx5e", "is not a SHA-256"),
        (
            "file = \"yolox_nano.onnx\"",
            "file = \"../yolox_nano.onnx\"",
            "without a folder",
        ),
        (
            "file = \"yolox_nano.onnx\"",
            "file = \".hidden\"",
            "without a folder",
        ),
        (
            "size_bytes = 3660092",
            "size_bytes = 0",
            "a model is not empty",
        ),
        ("width = 416", "width = 0", "`input.width`: it is 0"),
        (
            "height = 416",
            "height = 100000",
            "`input.height`: it is 100000",
        ),
        (
            "width = 416",
            "width = 416\nwidht = 416",
            "unknown field `widht`",
        ),
        (
            "std = [1.0, 1.0, 1.0]",
            "std = [1.0, 0.0, 1.0]",
            "every value must be above 0",
        ),
        (
            "mean = [0.0, 0.0, 0.0]",
            "mean = [nan, 0.0, 0.0]",
            "must be numbers",
        ),
        (
            "layout = \"nchw\"",
            "layout = \"nhcw\"",
            "unknown variant `nhcw`",
        ),
        (
            "kind = \"yolox\"",
            "kind = \"yolo99\"",
            "unknown variant `yolo99`",
        ),
        (
            "strides = [8, 16, 32]",
            "strides = [8, 16, 32]\nbins = 8",
            "unknown field `bins`",
        ),
        ("strides = [8, 16, 32]", "strides = [0]", "powers of two"),
        ("strides = [8, 16, 32]", "strides = []", "powers of two"),
        ("low = 0.1", "low = 0.5", "low ≤ high"),
        ("low = 0.1", "low = nan", "low ≤ high"),
        ("nms = 0.45", "nms = 1.5", "`thresholds.nms`: it is 1.5"),
        ("count = 80", "count = 0", "`count` is 0"),
        ("count = 80", "count = 4000000000", "`count` is 4000000000"),
        (
            "count = 80",
            "count = 20",
            "but the numbers go from 0 to 19",
        ),
        ("car = [2]", "car = [0]", "number 0 is named twice, as"),
        (
            "car = [2]",
            "automobile = [2]",
            "`automobile` is not an object class of this program; its words are person, bicycle, motorcycle, car, bus,",
        ),
    ] {
        let message = refusal(&with(from, to));
        assert!(message.contains(words), "{to}: {message}");
    }
}

#[test]
fn a_name_that_differs_from_its_folder_is_refused() {
    let manifest = Manifest::parse(GOOD).unwrap();
    assert_eq!(
        manifest.expect_folder("yolox").unwrap_err().to_string(),
        "`id`: it is yolox-nano but the folder is called yolox; make them equal"
    );
}

#[test]
fn a_manifest_written_out_reads_back() {
    let manifest = Manifest::parse(GOOD).unwrap();
    let text = toml::to_string(&manifest).unwrap();
    assert_eq!(Manifest::parse(&text).unwrap(), manifest);
}
