//! Whose the files are that an installation makes.

#![allow(clippy::unwrap_used)] // a test may panic; its steps live in plain functions

use std::fs;
use std::os::unix::fs::{MetadataExt as _, chown, symlink};
use std::path::{Path, PathBuf};

use edge_inference::{Action, BundleTerms, ModelStore, bundle};
use models::ModelId;
use sha2::Digest as _;

const AGENT: u32 = 4321;

fn digest(content: &[u8]) -> String {
    protocol::Digest(sha2::Sha256::digest(content).into()).to_string()
}

fn street() -> ModelId {
    ModelId::new("street").unwrap()
}

/// A bundle of a model that is none.
fn pack(to: &Path) {
    let network = b"not really a network";
    let manifest: String = include_str!("../../../models/catalog/yolox-nano/model.toml")
        .lines()
        .map(|line| match line.split(" = ").next() {
            Some("id") => "id = \"street\"\n".to_owned(),
            Some("file") => "file = \"net.onnx\"\n".to_owned(),
            Some("sha256") => format!("sha256 = \"{}\"\n", digest(network)),
            Some("size_bytes") => format!("size_bytes = {}\n", network.len()),
            _ => format!("{line}\n"),
        })
        .collect();
    let files = [
        ("model.toml".to_owned(), manifest.into_bytes()),
        ("net.onnx".to_owned(), network.to_vec()),
        ("selftest/001.jpg".to_owned(), b"a picture".to_vec()),
    ];
    let file = fs::File::create(to).unwrap();
    bundle::pack(&street(), 1, &files, None, file).unwrap();
}

/// All that lies in a folder, and it.
fn all(folder: &Path) -> Vec<PathBuf> {
    let mut found = vec![folder.to_owned()];
    for entry in fs::read_dir(folder).unwrap() {
        let entry = entry.unwrap();
        if entry.file_type().unwrap().is_dir() {
            found.extend(all(&entry.path()));
        } else {
            found.push(entry.path());
        }
    }
    found
}

fn owner(path: &Path) -> u32 {
    fs::symlink_metadata(path).unwrap().uid()
}

/// Once the journal was root's from the first installation on, and nothing that the agent
/// did with its models was in it. Only root can show that: for others there is nothing to see.
#[test]
fn what_root_installs_in_the_agents_folder_is_the_agents() {
    let folder = tempfile::tempdir().unwrap();
    let home = folder.path().join("ngatu");
    fs::create_dir(&home).unwrap();
    if owner(&home) != 0 || chown(&home, Some(AGENT), Some(AGENT)).is_err() {
        eprintln!("not shown: this is not run by root");
        return;
    }
    let models = home.join("models");
    let file = folder.path().join("street.tar");
    pack(&file);
    let store = ModelStore::open(vec![models.clone()]).unwrap();
    let terms = BundleTerms {
        allow_unsigned: true,
        ..BundleTerms::default()
    };
    let from = file.to_str().unwrap();
    store.install_bundle(from, &terms, &mut |_, _| ()).unwrap();
    store.use_version(&street(), 1, Action::Used).unwrap();
    let made = all(&home);
    assert!(made.contains(&models.join("journal.jsonl")), "{made:?}");
    assert!(made.contains(&models.join("street/versions/1/selftest/001.jpg")));
    for path in made {
        assert_eq!(owner(&path), AGENT, "{}", path.display());
    }

    // What lies elsewhere is nobody's to give away.
    let elsewhere = folder.path().join("roots-own");
    fs::write(&elsewhere, "").unwrap();
    fs::remove_file(models.join("journal.jsonl")).unwrap();
    symlink(&elsewhere, models.join("journal.jsonl")).unwrap();
    let store = ModelStore::open(vec![models]).unwrap();
    store.use_version(&street(), 1, Action::Used).unwrap();
    assert_eq!(owner(&elsewhere), 0);
}
