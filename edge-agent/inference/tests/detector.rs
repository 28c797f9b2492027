//! A detector on the real runtime with a real network, and with files and
//! manifests that do not fit.
//!
//! Needs what set-up fetches (`deploy/setup test`).

#[path = "support/onnx.rs"]
#[allow(dead_code)] // other tests use the rest
mod onnx;

use std::fs;
use std::path::{Path, PathBuf};

use edge_inference::{Detector, DetectorError, DetectorSettings, ModelStore, Runtime};
use models::{ColourMatrix, ColourRange, I420View, Manifest};
use sha2::Digest as _;

struct Bench {
    runtime: Runtime,
    manifest: Manifest,
    file: PathBuf,
}

/// The best detector that is installed here.
fn bench() -> Bench {
    let needs = "run `deploy/setup test` first";
    let runtime = Runtime::load(None).unwrap_or_else(|error| panic!("{error}; {needs}"));
    let store = ModelStore::open(ModelStore::default_dirs()).expect("the folders can be read");
    let best = store.best_detector();
    let (manifest, file) = best.unwrap_or_else(|error| panic!("{error}; {needs}"));
    Bench {
        runtime,
        manifest,
        file,
    }
}

impl Bench {
    fn load(&self, manifest: Manifest, file: &Path) -> Result<Detector, DetectorError> {
        Detector::load(&self.runtime, manifest, file, &DetectorSettings::default())
    }

    #[track_caller]
    fn refusal(&self, manifest: Manifest, file: &Path) -> String {
        self.load(manifest, file)
            .expect_err("it was loaded")
            .to_string()
    }
}

/// A grey picture.
fn grey(width: u32, height: u32, plane: &[u8]) -> I420View<'_> {
    let half = width.div_ceil(2) as usize;
    I420View {
        width,
        height,
        y: plane,
        y_stride: width as usize,
        u: plane,
        u_stride: half,
        v: plane,
        v_stride: half,
        matrix: ColourMatrix::Bt601,
        range: ColourRange::Limited,
    }
}

#[test]
fn a_broken_picture_is_an_error_and_the_next_of_another_size_is_looked_at() {
    let bench = bench();
    let mut detector = bench.load(bench.manifest.clone(), &bench.file).unwrap();
    let plane = vec![128; 640 * 480];
    assert_eq!(detector.detect(&grey(640, 480, &plane)).unwrap(), []);
    let error = detector
        .detect(&grey(640, 480, &plane[1..]))
        .unwrap_err()
        .to_string();
    assert!(
        error.contains("plane y of a 640×480 picture has 307199 bytes"),
        "{error}"
    );
    assert!(detector.detect(&grey(0, 0, &plane)).is_err());
    assert_eq!(detector.detect(&grey(320, 240, &plane)).unwrap(), []);
    assert_eq!(detector.provider(), "CPUExecutionProvider");
    assert_eq!(detector.manifest().id, bench.manifest.id);
}

#[test]
fn the_runtime_is_loaded_once_and_says_what_it_is() {
    let bench = bench();
    let again = Runtime::load(None).unwrap();
    assert_eq!(again.path(), bench.runtime.path());
    assert!(again.version().starts_with("1."), "{}", again.version());

    let folder = tempfile::tempdir().unwrap();
    let other = folder.path().join("libonnxruntime.so.1.99.0");
    fs::write(&other, "").unwrap();
    let message = Runtime::load(Some(folder.path())).unwrap_err().to_string();
    assert!(
        message.contains("is already loaded from") && message.contains("restart"),
        "{message}"
    );
}

#[test]
fn a_file_that_is_not_its_manifests_is_refused() {
    let bench = bench();
    let folder = tempfile::tempdir().unwrap();
    let bytes = fs::read(&bench.file).unwrap();
    let half = folder.path().join("half.onnx");
    fs::write(&half, &bytes[..bytes.len() / 2]).unwrap();

    let message = bench.refusal(bench.manifest.clone(), &half);
    assert!(
        message.contains("its manifest says") && message.contains("models install"),
        "{message}"
    );
    let message = bench.refusal(bench.manifest.clone(), &folder.path().join("none.onnx"));
    assert!(
        message.contains("cannot read") && message.contains("models verify"),
        "{message}"
    );

    // Even a manifest that was made for the broken file does not make it a model.
    for (name, content) in [
        ("half", &bytes[..bytes.len() / 2]),
        ("text", &b"hello"[..]),
        ("empty", &[]),
    ] {
        let file = folder.path().join(name);
        fs::write(&file, content).unwrap();
        let mut manifest = bench.manifest.clone();
        manifest.sha256 = protocol::Digest(sha2::Sha256::digest(content).into());
        let message = bench.refusal(manifest, &file);
        assert!(
            message.contains("the file is cut or not an ONNX model"),
            "{name}: {message}"
        );
        assert!(!message.contains('\n'), "{message}");
    }
}

/// A whole network, exported for a newer runtime, was called cut or no ONNX model, and its owner was
/// told to get it again.
#[test]
fn a_network_that_the_runtime_does_not_know_is_not_called_cut() {
    let bench = bench();
    let folder = tempfile::tempdir().unwrap();
    let mut network = onnx::Network::default();
    network.input("images", onnx::Element::F32, &[1, 3, 16, 16]);
    network.output("output", onnx::Element::F32, &[1, 3, 16, 16]);
    network.node("OfTheFuture", &["images"], "output", &[]);
    let content = network.file();
    let file = folder.path().join("future.onnx");
    fs::write(&file, &content).unwrap();
    let mut manifest = bench.manifest.clone();
    manifest.sha256 = protocol::Digest(sha2::Sha256::digest(&content).into());
    let message = bench.refusal(manifest, &file);
    assert!(message.contains("does not take"), "{message}");
    assert!(message.contains("OfTheFuture"), "{message}");
    assert!(message.contains("older operator set"), "{message}");
    assert!(!message.contains("is cut"), "{message}");
}

#[test]
fn a_manifest_that_does_not_fit_its_file_says_where() {
    let bench = bench();
    let input = &bench.manifest.input;
    let changed = |change: &dyn Fn(&mut Manifest)| {
        let mut manifest = bench.manifest.clone();
        change(&mut manifest);
        bench.refusal(manifest, &bench.file)
    };
    let message = changed(&|m| m.input.tensor = "pixels".to_owned());
    assert!(
        message.contains("gives input `pixels`") && message.contains(&input.tensor),
        "{message}"
    );
    let message = changed(&|m| m.input.width += 32);
    let found = format!("[1, 3, {}, {}]", input.height, input.width);
    assert!(
        message.contains(&found) && message.contains("correct `input`"),
        "{message}"
    );

    let text = toml::to_string(&bench.manifest).unwrap();
    let (kind, name) = match bench.manifest.head.kind() {
        "centernet" => ("heatmap = \"heatmap\"", "heatmap"),
        _ => ("tensor = \"output\"", "output"),
    };
    let renamed = text.replace(kind, &kind.replace(&format!("\"{name}\""), "\"nothing\""));
    let message = bench.refusal(Manifest::parse(&renamed).unwrap(), &bench.file);
    assert!(
        message.contains("reads output `nothing`") && message.contains(&format!("`{name}`")),
        "{message}"
    );

    let fewer = text.replace("count = 80", "count = 79");
    let message = bench.refusal(Manifest::parse(&fewer).unwrap(), &bench.file);
    assert!(
        message.contains("expects output") && message.contains("class count"),
        "{message}"
    );
}
