//! Models that lie on a box and cannot work there: `check` says so before `run` watches
//! without them.

#![allow(clippy::unwrap_used)] // a test that cannot go on says where it stands

mod support;

#[path = "../inference/tests/support/onnx.rs"]
#[allow(dead_code)] // other tests use the rest
mod onnx;

use std::fs;
use std::path::{Path, PathBuf};

use onnx::{Attribute, Element, Network};
use sha2::{Digest as _, Sha256};
use support::{agent, free_port, installed};

fn digest(content: &[u8]) -> String {
    protocol::Digest(Sha256::digest(content).into()).to_string()
}

/// A network whose two scores are this far apart.
fn scores(by: f32) -> Vec<u8> {
    let mut network = Network::default();
    network.input("x", Element::F32, &[1, 3, 16, 16]);
    network.output("scores", Element::F32, &[1, 2]);
    let axes = Attribute::Integers("axes", vec![2, 3]);
    let flat = Attribute::Integer("keepdims", 0);
    network.node("ReduceMean", &["x"], "means", &[axes, flat]);
    network.floats("none", &[3, 2], &[0.0; 6]);
    network.node("MatMul", &["means", "none"], "zeros", &[]);
    network.floats("apart", &[1, 2], &[by, 1.0 - by]);
    network.node("Add", &["zeros", "apart"], "scores", &[]);
    network.file()
}

/// A classifier of helmets in the models of `dir`, which says that it gives probabilities.
fn add_classifier(dir: &Path, id: &str, network: &[u8]) -> PathBuf {
    let folder = dir.join("models").join(id);
    fs::create_dir_all(&folder).unwrap();
    fs::write(folder.join("net.onnx"), network).unwrap();
    let manifest = format!(
        "id = '{id}'\ntitle = 'Heads'\ntask = 'classification'\nrank = 900\nfile = 'net.onnx'\n\
         sha256 = '{}'\nlicence = 'MIT'\norigin = 'a test'\nobtain = 'Ask for it.'\n\
         [input]\ntensor = 'x'\nwidth = 16\nheight = 16\nlayout = 'nchw'\ncolour = 'rgb'\n\
         mean = [0.0, 0.0, 0.0]\nstd = [1.0, 1.0, 1.0]\nfit = 'stretch'\npad = [0.0, 0.0, 0.0]\n\
         [head]\nkind = 'classifier'\ntensor = 'scores'\n\
         [classes]\ncount = 2\nno_helmet = [0]\nhelmet = [1]\n\
         [thresholds]\nlow = 0.3\nhigh = 0.6\nnms = 1.0\n",
        digest(network)
    );
    fs::write(folder.join("model.toml"), manifest).unwrap();
    folder
}

/// The real detector under another name.
fn add_detector(dir: &Path, id: &str) -> PathBuf {
    let folder = dir.join("models").join(id);
    fs::create_dir_all(&folder).unwrap();
    let network = fs::read(installed("models/centernet-mb3-512/centernet_mb3_512.onnx")).unwrap();
    fs::write(folder.join("centernet_mb3_512.onnx"), network).unwrap();
    let catalogue = support::repository().join("models/catalog/centernet-mb3-512/model.toml");
    let manifest = fs::read_to_string(catalogue).unwrap();
    let manifest = manifest.replacen("centernet-mb3-512", id, 1);
    fs::write(folder.join("model.toml"), manifest).unwrap();
    folder
}

/// A camera that does not answer, its riders looked at by `heads`.
fn config(dir: &Path, heads: &str, detector: &str) -> PathBuf {
    let text = format!(
        "[box]\nsite = 'test'\nid = 'box-1'\n[store]\ndir = 'store'\n\
         [detector]\nmodels_dirs = ['models']\n{detector}\n\
         [[camera]]\nid = 'c'\nsource = {{ rtsp = 'rtsp://127.0.0.1:{}/x' }}\n\
         [[camera.cascade]]\nid = 'h'\nmodel = '{heads}'\ngives = ['helmet', 'no_helmet']\n\
         on = 'motorcycle'\ncrop = 'upper'\n\
         [[camera.rule]]\nid = 'q'\nkind = 'no_helmet'\n",
        free_port()
    );
    support::write(dir, "box.toml", &text)
}

fn check(config: &Path, more: &[&str]) -> (Option<i32>, String) {
    let arguments = [&["check"], more, &[config.to_str().unwrap()]].concat();
    let (code, stdout, stderr) = agent(&arguments);
    (code, format!("{stdout}{stderr}"))
}

fn line<'t>(said: &'t str, part: &str) -> &'t str {
    let found = said.lines().find(|line| line.contains(part));
    found.unwrap_or_else(|| panic!("nothing of {part}:\n{said}"))
}

#[test]
fn who_looks_beside_the_detector_is_loaded_before_it_is_called_good() {
    let dir = tempfile::tempdir().unwrap();
    add_detector(dir.path(), "mine");
    add_detector(dir.path(), "beside");
    add_classifier(dir.path(), "good", &scores(0.5));
    add_classifier(dir.path(), "logits", &scores(7.5));
    let timeout = ["--timeout", "1"];

    let shadow = "model = 'mine'\n[detector.shadow]\nmodel = 'beside'";
    let (_, said) = check(&config(dir.path(), "good", shadow), &timeout);
    assert!(line(&said, "cascade h").starts_with("ok"), "{said}");
    assert!(
        line(&said, "shadow model").starts_with("ok      shadow model: beside on CPU"),
        "{said}"
    );

    let (_, said) = check(&config(dir.path(), "logits", "model = 'mine'"), &timeout);
    let told = line(&said, "cascade h");
    assert!(
        told.starts_with("FAILED") && told.contains("but it does not start: model logits: "),
        "{said}"
    );
    assert_eq!(told.matches("docs/heads.md").count(), 1, "{said}");

    let manifest = dir.path().join("models/beside/model.toml");
    let text = fs::read_to_string(&manifest).unwrap();
    fs::write(manifest, text.replacen("count = 80", "count = 79", 1)).unwrap();
    let (_, said) = check(&config(dir.path(), "good", shadow), &timeout);
    let told = line(&said, "shadow model");
    assert!(
        told.starts_with("FAILED") && told.contains("nothing would be compared: model beside: "),
        "{said}"
    );
}

#[test]
fn a_model_that_lies_damaged_is_not_said_to_be_missing() {
    let dir = tempfile::tempdir().unwrap();
    add_detector(dir.path(), "mine");
    let heads = add_classifier(dir.path(), "heads", &scores(0.5));
    let config = config(dir.path(), "heads", "model = 'mine'");
    let (code, said) = check(&config, &["--offline"]);
    assert_eq!(code, Some(0), "{said}");
    fs::write(heads.join("net.onnx"), "another").unwrap();
    let (code, said) = check(&config, &["--offline"]);
    assert_eq!(code, Some(1), "{said}");
    let told = line(&said, "cascade h");
    assert!(
        told.contains("its manifest says") && !told.contains("Ask for it."),
        "{said}"
    );
}

#[test]
fn the_model_in_use_that_lies_damaged_fails_the_check_also_offline() {
    let dir = tempfile::tempdir().unwrap();
    let mine = add_detector(dir.path(), "mine");
    add_classifier(dir.path(), "good", &scores(0.5));
    let chosen = config(dir.path(), "good", "");
    fs::write(dir.path().join("models/use.toml"), "model = 'mine'\n").unwrap();
    let (code, said) = check(&chosen, &["--offline"]);
    assert_eq!(code, Some(0), "{said}");
    fs::write(mine.join("model.toml"), "x").unwrap();
    let named = "model = 'mine'";
    for (detector, part) in [
        ("", "model mine, which is in use"),
        (named, "detector.model"),
    ] {
        let config = config(dir.path(), "good", detector);
        let (code, said) = check(&config, &["--offline"]);
        assert_eq!(code, Some(1), "{said}");
        let told = line(&said, part);
        assert!(
            told.starts_with("FAILED") && told.contains("mine/model.toml"),
            "{said}"
        );
    }
}

/// "There is no model" sends who made it to look for a folder that is there.
#[test]
fn a_cascades_model_whose_manifest_has_a_fault_is_told_with_the_fault() {
    let dir = tempfile::tempdir().unwrap();
    add_detector(dir.path(), "mine");
    add_classifier(dir.path(), "good", &scores(0.5));
    let config = config(dir.path(), "good", "model = 'mine'");
    let manifest = dir.path().join("models/good/model.toml");
    let text = fs::read_to_string(&manifest).unwrap();
    fs::write(&manifest, format!("{text}\nsurplus = 1\n")).unwrap();
    let (code, said) = check(&config, &["--offline"]);
    assert_eq!(code, Some(1), "{said}");
    let told = line(&said, "cascade h");
    assert!(
        told.contains("good/model.toml") && !told.contains("there is no model"),
        "{said}"
    );
}

#[test]
fn who_wants_plates_is_told_how_they_are_read() {
    let dir = tempfile::tempdir().unwrap();
    add_detector(dir.path(), "mine");
    add_classifier(dir.path(), "good", &scores(0.5));
    let config = config(dir.path(), "good", "model = 'mine'");
    let text = fs::read_to_string(&config).unwrap();
    let rule = "[[camera.rule]]\nid = 'p'\nkind = 'plate_obscured'\n";
    fs::write(&config, text + rule).unwrap();
    let (_, said) = check(&config, &["--offline"]);
    let told = line(&said, "rule `p`");
    assert!(told.contains("`gives = \"plate_text\"`"), "{said}");
    assert!(!told.contains("none of the catalogue"), "{said}");
}
