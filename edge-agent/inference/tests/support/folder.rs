//! Folders of models that are none: what a store and its trials see of them is their
//! manifests and hashes.

use std::fs;
use std::path::Path;

use edge_inference::{Action, BundleTerms, ModelStore, bundle};
use models::ModelId;
use sha2::Digest as _;

pub(crate) fn id(name: &str) -> ModelId {
    ModelId::new(name).unwrap()
}

/// A store with models of these names, the first preferred.
pub(crate) fn place(names: &[&str]) -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    for (rank, name) in names.iter().enumerate() {
        add(folder.path(), name, rank + 1);
    }
    folder
}

pub(crate) fn add(folder: &Path, name: &str, rank: usize) {
    let content = format!("network {name}");
    let sha256 = protocol::Digest(sha2::Sha256::digest(content.as_bytes()).into());
    let manifest: String = include_str!("../../../../models/catalog/yolox-nano/model.toml")
        .lines()
        .map(|line| match line.split(" = ").next() {
            Some("id") => format!("id = \"{name}\"\n"),
            Some("rank") => format!("rank = {rank}\n"),
            Some("file") => "file = \"net.onnx\"\n".to_owned(),
            Some("sha256") => format!("sha256 = \"{sha256}\"\n"),
            Some("size_bytes") => String::new(),
            _ => format!("{line}\n"),
        })
        .collect();
    fs::create_dir_all(folder.join(name)).unwrap();
    fs::write(folder.join(name).join("model.toml"), manifest).unwrap();
    fs::write(folder.join(name).join("net.onnx"), content).unwrap();
}

/// The model `from` once more as `to`, its manifest's lines changed.
pub(crate) fn copy(folder: &Path, from: &str, to: &str, rank: usize) {
    fs::create_dir_all(folder.join(to)).unwrap();
    fs::copy(
        folder.join(from).join("net.onnx"),
        folder.join(to).join("net.onnx"),
    )
    .unwrap();
    let text = fs::read_to_string(folder.join(from).join("model.toml")).unwrap();
    let lines = text.lines().map(|line| match line.split(" = ").next() {
        Some("id") => format!("id = \"{to}\"\n"),
        Some("rank") => format!("rank = {rank}\n"),
        _ => format!("{line}\n"),
    });
    fs::write(
        folder.join(to).join("model.toml"),
        lines.collect::<String>(),
    )
    .unwrap();
}

/// Changes the manifest of a loose model.
pub(crate) fn edit(folder: &Path, model: &str, from: &str, to: &str) {
    let file = folder.join(model).join("model.toml");
    let text = fs::read_to_string(&file).unwrap();
    assert!(text.contains(from), "{text}");
    fs::write(file, text.replacen(from, to, 1)).unwrap();
}

/// Version `number` of `model`, its network another than that of any before; it becomes current.
pub(crate) fn version(folder: &Path, model: &str, number: u64) {
    let network = format!("network {model} {number}").into_bytes();
    let maker = place(&[model]);
    let text = fs::read_to_string(maker.path().join(model).join("model.toml")).unwrap();
    let loose = store(maker.path()).find(&id(model)).unwrap().0.sha256;
    let of_version = sha2::Sha256::digest(&network).into();
    let text = text.replace(
        &loose.to_string(),
        &protocol::Digest(of_version).to_string(),
    );
    let files = [
        ("model.toml".to_owned(), text.into_bytes()),
        ("net.onnx".to_owned(), network),
    ];
    let tar = maker.path().join("bundle.tar");
    let out = fs::File::create(&tar).unwrap();
    bundle::pack(&id(model), number, &files, None, out).unwrap();
    let terms = BundleTerms {
        allow_unsigned: true,
        ..BundleTerms::default()
    };
    let store = store(folder);
    store
        .install_bundle(tar.to_str().unwrap(), &terms, &mut |_, _| ())
        .unwrap();
    store.use_version(&id(model), number, Action::Used).unwrap();
}

pub(crate) fn store(folder: &Path) -> ModelStore {
    ModelStore::open(vec![folder.to_owned()]).unwrap()
}

pub(crate) fn actions(folder: &Path) -> Vec<(Action, String)> {
    let journal = store(folder).journal().into_iter();
    journal.map(|e| (e.action, e.model.to_string())).collect()
}
