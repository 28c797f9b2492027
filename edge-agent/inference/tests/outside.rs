//! Networks of which a part lies in another file, that nobody vouches for: the runtime
//! would take it from the folder in which the program was started.
//!
//! Needs the runtime that set-up fetches.
#![allow(clippy::unwrap_used)] // what is around the tests is test code, too

#[allow(dead_code)] // other tests use more of it
#[path = "support/onnx.rs"]
mod onnx;
#[allow(dead_code)] // other tests use more of it
#[path = "support/small.rs"]
mod small;

use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};

use edge_inference::{
    BundleTerms, Detector, DetectorError, DetectorSettings, FreeNetwork, Installed, ModelStore,
    Network, Runtime, SecretKey, bundle,
};
use models::{Manifest, ModelId};
use sha2::Digest as _;

use small::Small;

/// A network that works, and has numbers in `w2.bin` besides.
fn network() -> Vec<u8> {
    let mut more = onnx::Network::default();
    more.floats_elsewhere("w", &[1, 3], "w2.bin");
    more.node("Add", &["means", "w"], "of both", &[]);
    let small = Small {
        labels: onnx::Element::F32,
        ..Small::default()
    };
    more.added_to(&small.file())
}

fn manifest(network: &[u8]) -> Manifest {
    small::of_file(Small::default().manifest(), network)
}

fn id() -> ModelId {
    ModelId::new("small").unwrap()
}

fn files() -> Vec<(String, Vec<u8>)> {
    let network = network();
    let text = toml::to_string(&manifest(&network)).unwrap();
    vec![
        ("model.toml".to_owned(), text.into_bytes()),
        ("small.onnx".to_owned(), network),
    ]
}

#[track_caller]
fn assert_told(message: &str) {
    for words in [
        "has weights in another file (`w2.bin`)",
        "vouches for",
        "external_data=False",
    ] {
        assert!(message.contains(words), "{message}\nshould say: {words}");
    }
    assert!(!message.contains('\n'), "{message}");
}

/// The listing of a bundle, and its signature, as a maker with another program makes them.
fn listing(maker: &SecretKey) -> [(String, Vec<u8>); 2] {
    let mut text = "format = 1\nmodel = \"small\"\nversion = 1\n".to_owned();
    for (name, content) in files() {
        let digest = protocol::Digest(sha2::Sha256::digest(&content).into());
        writeln!(
            text,
            "[[file]]\npath = \"{name}\"\nbytes = {}\nsha256 = \"{digest}\"",
            content.len()
        )
        .unwrap();
    }
    let signature = maker.sign(text.as_bytes(), "test");
    [
        ("bundle.toml".to_owned(), text.into_bytes()),
        ("bundle.toml.minisig".to_owned(), signature.into_bytes()),
    ]
}

fn names_below(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).into_iter().flatten() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            found.extend(names_below(&path));
        } else if !path.ends_with(".lock") {
            found.push(path);
        }
    }
    found
}

type Load = fn(&Runtime, Manifest, &Path, &DetectorSettings) -> Result<(), DetectorError>;

#[test]
fn no_way_to_load_a_network_takes_numbers_from_another_file() {
    let runtime = small::runtime();
    let settings = DetectorSettings::default();
    let bytes = network();
    let ways: [(Manifest, Load); 3] = [
        (
            Small::default().manifest(),
            |runtime, manifest, file, settings| {
                Detector::load(runtime, manifest, file, settings).map(drop)
            },
        ),
        (Small::classifier(), |runtime, manifest, file, settings| {
            Network::load(runtime, manifest, file, settings).map(drop)
        }),
        (Small::classifier(), |runtime, manifest, file, settings| {
            FreeNetwork::load(runtime, manifest, file, settings).map(drop)
        }),
    ];
    for (manifest, load) in ways {
        let refusal = small::load(&runtime, manifest, &bytes, &settings, load).unwrap_err();
        assert!(
            matches!(refusal, DetectorError::Outside { .. }),
            "{refusal:?}"
        );
        assert_told(&refusal.to_string());
    }
}

#[test]
fn such_a_network_is_not_put_into_a_bundle() {
    let maker = SecretKey::generate().unwrap();
    let mut bytes = Vec::new();
    let refusal = bundle::pack(&id(), 1, &files(), Some(&maker), &mut bytes).unwrap_err();
    assert_told(&refusal.to_string());
    assert!(bytes.is_empty());
}

#[test]
fn such_a_network_is_not_installed_whoever_signed_it_and_nothing_stays_behind() {
    let folder = tempfile::tempdir().unwrap();
    let maker = SecretKey::generate().unwrap();
    let mut archive = tar::Builder::new(Vec::new());
    for (name, content) in listing(&maker).iter().chain(&files()) {
        let mut header = tar::Header::new_ustar();
        header.set_path(name).unwrap();
        header.set_size(content.len() as u64);
        header.set_mode(0o644);
        header.set_cksum();
        archive.append(&header, &content[..]).unwrap();
    }
    let tar = folder.path().join("small-1.tar");
    fs::write(&tar, archive.into_inner().unwrap()).unwrap();
    let models = folder.path().join("models");
    let store = ModelStore::open(vec![models.clone()]).unwrap();
    let terms = BundleTerms {
        trusted: vec![maker.public()],
        ..BundleTerms::default()
    };
    let refusal = store
        .install_bundle(tar.to_str().unwrap(), &terms, &mut |_, _| ())
        .unwrap_err();
    assert_told(&refusal.to_string());
    assert_eq!(names_below(&models), Vec::<PathBuf>::new());

    // A file alone, which its manifest describes well.
    let home = models.join("small");
    fs::create_dir_all(&home).unwrap();
    let [(name, text), (_, network)] = &files()[..] else {
        panic!("two files");
    };
    fs::write(home.join(name), text).unwrap();
    let file = folder.path().join("exported.onnx");
    fs::write(&file, network).unwrap();
    let store = ModelStore::open(vec![models.clone()]).unwrap();
    let refusal = store
        .install(&id(), file.to_str().unwrap(), &mut |_, _| ())
        .unwrap_err();
    assert_told(&refusal.to_string());
    assert_eq!(names_below(&models), [home.join(name)]);
}

#[test]
fn such_a_network_that_lies_here_already_is_found_out_without_loading_it() {
    let folder = tempfile::tempdir().unwrap();
    let write = |place: &Path, files: &[(String, Vec<u8>)]| {
        fs::create_dir_all(place).unwrap();
        for (name, content) in files {
            fs::write(place.join(name), content).unwrap();
        }
    };
    let home = folder.path().join("small");
    write(&home, &files());
    let maker = SecretKey::generate().unwrap();
    let open =
        || ModelStore::open_trusting(vec![folder.path().to_owned()], vec![maker.public()]).unwrap();
    let loose = open();
    assert_told(&loose.find(&id()).unwrap_err().to_string());
    assert_told(
        &loose
            .verify(Some(&id()))
            .remove(0)
            .result
            .unwrap_err()
            .to_string(),
    );
    let listed = loose.list().into_iter();
    let state = listed
        .filter(|model| model.manifest.id == id())
        .map(|m| m.state);
    let states: Vec<Installed> = state.collect();
    let [Installed::Refused(why)] = &states[..] else {
        panic!("{states:?}");
    };
    assert_told(why);

    let version = home.join("versions/1");
    write(&version, &files());
    write(&version, &listing(&maker));
    fs::write(home.join("current"), "1").unwrap();
    let versions = open();
    assert_told(&versions.find(&id()).unwrap_err().to_string());
    let found = versions.versions(&id(), &[maker.public()]).remove(0);
    assert_told(&versions.verify_version(&found).unwrap_err().to_string());
}
