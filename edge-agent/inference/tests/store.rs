//! The store of models: what counts as installed, and what may come in.

#![allow(clippy::unwrap_used)] // also in what the tests share

use std::fs;
use std::io::{Read as _, Write as _};
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::thread::JoinHandle;

use edge_inference::{Action, Installed, JournalEntry, ModelStore};
use models::ModelId;
use sha2::Digest as _;

/// A model file of our own; its content does not matter to a store.
const CONTENT: &[u8] = b"not really a network, but a file with a hash";

fn id(name: &str) -> ModelId {
    ModelId::new(name).unwrap()
}

/// A manifest of a model called `name` whose file is `content`.
fn manifest(name: &str, rank: u32, content: &[u8]) -> String {
    let sha256 = protocol::Digest(sha2::Sha256::digest(content).into());
    include_str!("../../../models/catalog/yolox-nano/model.toml")
        .lines()
        .map(|line| match line.split(" = ").next() {
            Some("id") => format!("id = \"{name}\"\n"),
            Some("rank") => format!("rank = {rank}\n"),
            Some("file") => "file = \"net.onnx\"\n".to_owned(),
            Some("sha256") => format!("sha256 = \"{sha256}\"\n"),
            Some("size_bytes") => format!("size_bytes = {}\n", content.len()),
            _ => format!("{line}\n"),
        })
        .collect()
}

/// A folder of models with one manifest of our own in it, called `ours`.
struct Place {
    folder: tempfile::TempDir,
}

impl Place {
    fn new() -> Self {
        let place = Self {
            folder: tempfile::tempdir().unwrap(),
        };
        place.describe("ours", &manifest("ours", 1, CONTENT));
        place
    }

    fn describe(&self, name: &str, manifest: &str) {
        fs::create_dir_all(self.path().join(name)).unwrap();
        fs::write(self.path().join(name).join("model.toml"), manifest).unwrap();
    }

    fn path(&self) -> &Path {
        self.folder.path()
    }

    fn file(&self, name: &str) -> PathBuf {
        self.path().join(name).join("net.onnx")
    }

    fn store(&self) -> ModelStore {
        ModelStore::open(vec![self.path().to_owned()]).unwrap()
    }

    /// Names in the folder of `ours`.
    fn contents(&self) -> Vec<String> {
        let mut names: Vec<_> = fs::read_dir(self.path().join("ours"))
            .unwrap()
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .collect();
        names.sort();
        names
    }
}

/// Installs from a file with `content`; the error's text.
#[track_caller]
fn refusal(place: &Place, content: &[u8]) -> String {
    let source = place.path().join("download");
    fs::write(&source, content).unwrap();
    let error = place
        .store()
        .install(&id("ours"), source.to_str().unwrap(), &mut |_, _| ())
        .expect_err("the file was taken");
    assert_eq!(place.contents(), ["model.toml"], "something stays behind");
    error.to_string()
}

#[test]
fn a_good_file_is_installed_whole_and_found() {
    let place = Place::new();
    let source = place.path().join("download");
    fs::write(&source, CONTENT).unwrap();
    let store = place.store();
    assert!(
        store
            .find(&id("ours"))
            .unwrap_err()
            .to_string()
            .contains("model ours is not installed (looked in ")
    );

    let mut told = Vec::new();
    let installed = store
        .install(&id("ours"), source.to_str().unwrap(), &mut |done, total| {
            told.push((done, total));
        })
        .unwrap();
    let length = CONTENT.len() as u64;
    assert_eq!(told, [(0, Some(length)), (length, Some(length))]);
    assert_eq!(installed, place.file("ours"));
    assert_eq!(fs::read(&installed).unwrap(), CONTENT);
    assert_eq!(place.contents(), ["model.toml", "net.onnx"]);

    let (manifest, path) = store.find(&id("ours")).unwrap();
    assert_eq!((manifest.id, path.clone()), (id("ours"), installed.clone()));
    assert_eq!(store.best_detector().unwrap().1, installed);
    // Again over the old one is no fault.
    store
        .install(&id("ours"), source.to_str().unwrap(), &mut |_, _| ())
        .unwrap();
    assert_eq!(place.contents(), ["model.toml", "net.onnx"]);
    // Years later it must be known whose word counted on a day.
    let journal = store.journal();
    let told = |entry: &JournalEntry| (entry.action, entry.version, entry.detail.clone());
    let expected = (
        Action::Installed,
        None,
        format!("from {}", source.display()),
    );
    assert_eq!(
        journal.iter().map(told).collect::<Vec<_>>(),
        [expected.clone(), expected]
    );
    assert_eq!(journal[0].sha256, Some(manifest.sha256));
}

#[test]
fn a_wrong_file_is_refused_with_what_it_is_and_what_to_do() {
    let place = Place::new();
    let mut altered = CONTENT.to_vec();
    altered[0] ^= 1;
    for (content, words) in [
        (&altered[..], "its manifest says"),
        (
            &CONTENT[..20],
            "has 20 of 44 bytes, so it is cut or another file",
        ),
        (&[0; 100], "has more than 44 bytes, so it is another file"),
        (b"", "has 0 of 44 bytes"),
        (b"<!DOCTYPE html><html>404", "it is a web page"),
        (
            b"version https://git-lfs.github.com/",
            "it is a Git LFS pointer",
        ),
    ] {
        let message = refusal(&place, content);
        assert!(message.contains(words), "{message}");
        assert!(
            message.contains("nothing was installed. Download"),
            "{message}"
        );
    }
}

#[test]
fn a_source_that_is_not_there_is_named() {
    let place = Place::new();
    for (from, words) in [
        (
            "/nowhere/net.onnx",
            "cannot get /nowhere/net.onnx: No such file",
        ),
        (
            place.path().to_str().unwrap(),
            "it is a folder; name the file in it",
        ),
        (
            "ftp://example.org/net.onnx",
            "check the path; a download is given as http:// or https://",
        ),
    ] {
        let message = place
            .store()
            .install(&id("ours"), from, &mut |_, _| ())
            .unwrap_err()
            .to_string();
        assert!(message.contains(words), "{message}");
    }
    let message = place
        .store()
        .install(&id("nobody"), "x", &mut |_, _| ())
        .unwrap_err()
        .to_string();
    assert!(
        message.contains("there is no model called nobody; known are centernet-mb3-512, "),
        "{message}"
    );
}

/// Answers one request on a port of its own with `answer`, then hangs up.
fn serve_once(answer: Vec<u8>) -> (String, JoinHandle<()>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = format!("http://{}/net.onnx", listener.local_addr().unwrap());
    let server = std::thread::spawn(move || {
        let (mut stream, _) = listener.accept().unwrap();
        let mut request = Vec::new();
        let mut byte = [0];
        while !request.ends_with(b"\r\n\r\n") && stream.read(&mut byte).unwrap() == 1 {
            request.push(byte[0]);
        }
        assert!(request.starts_with(b"GET /net.onnx HTTP/1.1\r\n"));
        stream.write_all(&answer).unwrap();
    });
    (address, server)
}

fn answer(status: &str, length: usize, body: &[u8]) -> Vec<u8> {
    let head =
        format!("HTTP/1.1 {status}\r\nContent-Length: {length}\r\nConnection: close\r\n\r\n");
    [head.as_bytes(), body].concat()
}

#[test]
fn a_file_comes_in_over_http() {
    let place = Place::new();
    let (address, server) = serve_once(answer("200 OK", CONTENT.len(), CONTENT));
    let mut last = (0, None);
    let installed = place
        .store()
        .install(&id("ours"), &address, &mut |done, total| {
            last = (done, total);
        })
        .unwrap();
    server.join().unwrap();
    assert_eq!(fs::read(installed).unwrap(), CONTENT);
    assert_eq!(last, (44, Some(44)));
}

#[test]
fn a_download_that_fails_leaves_nothing_and_says_why() {
    for (answer, words) in [
        (answer("404 Not Found", 0, b""), "404"),
        // The connection ends in the middle.
        (
            answer("200 OK", CONTENT.len(), &CONTENT[..10]),
            "nothing was installed; try again",
        ),
        // An endless answer is cut off at the manifest's length.
        (
            answer("200 OK", 1 << 20, &vec![7; 1 << 20]),
            "has more than 44 bytes",
        ),
    ] {
        let place = Place::new();
        let (address, server) = serve_once(answer);
        let error = place
            .store()
            .install(&id("ours"), &address, &mut |_, _| ())
            .unwrap_err();
        // The server may not get rid of a megabyte that nobody takes; that is its affair.
        drop(server.join());
        assert!(error.to_string().contains(words), "{error}");
        assert_eq!(place.contents(), ["model.toml"]);
    }
    let nobody = TcpListener::bind("127.0.0.1:0")
        .unwrap()
        .local_addr()
        .unwrap();
    let place = Place::new();
    let error = place
        .store()
        .install(
            &id("ours"),
            &format!("http://{nobody}/net.onnx"),
            &mut |_, _| (),
        )
        .unwrap_err();
    assert!(
        error
            .to_string()
            .contains("check the address and the network"),
        "{error}"
    );
}

#[test]
fn a_file_changed_after_installation_is_refused_and_the_next_best_is_taken() {
    let place = Place::new();
    place.describe("second", &manifest("second", 2, CONTENT));
    fs::write(place.file("ours"), CONTENT).unwrap();
    fs::write(place.file("second"), CONTENT).unwrap();
    let store = place.store();
    assert_eq!(store.best_detector().unwrap().0.id, id("ours"));

    fs::write(place.file("ours"), &CONTENT[..22]).unwrap();
    assert_eq!(store.best_detector().unwrap().0.id, id("second"));
    let states = store.list();
    assert_eq!(
        (&states[0].manifest.id, &states[1].manifest.id),
        (&id("ours"), &id("second"))
    );
    let Installed::Refused(reason) = &states[0].state else {
        panic!("{:?}", states[0].state)
    };
    assert!(reason.contains("has 22 of 44 bytes"), "{reason}");
    assert_eq!(states[1].state, Installed::Installed(place.file("second")));
    assert_eq!(states[2].state, Installed::Missing);

    let verified = store.verify(None);
    assert_eq!(verified.len(), 2, "what is not here is not verified");
    assert!(
        verified[0]
            .result
            .as_ref()
            .unwrap_err()
            .to_string()
            .contains("models install ours")
    );
    assert_eq!(verified[1].result.as_ref().unwrap(), &place.file("second"));

    fs::write(place.file("second"), b"").unwrap();
    let message = store.best_detector().unwrap_err().to_string();
    for words in [
        "no detector is installed",
        "model ours:",
        "model second:",
        "make setup",
    ] {
        assert!(message.contains(words), "{message}");
    }
}

#[test]
fn an_earlier_folder_and_a_folders_own_manifest_come_first() {
    let (first, second) = (Place::new(), Place::new());
    fs::write(second.file("ours"), CONTENT).unwrap();
    let changed = manifest("ours", 1, CONTENT).replace("high = 0.35", "high = 0.6");
    first.describe("ours", &changed);
    // The catalogue's name with another file of our own.
    second.describe("yolox-nano", &manifest("yolox-nano", 10, CONTENT));
    fs::write(second.file("yolox-nano"), CONTENT).unwrap();

    let store = ModelStore::open(vec![
        first.path().to_owned(),
        "/nowhere".into(),
        second.path().to_owned(),
    ])
    .unwrap();
    let (manifest, path) = store.find(&id("ours")).unwrap();
    assert_eq!(manifest.thresholds.high, 0.6);
    assert_eq!(path, second.file("ours"));
    assert_eq!(
        store.find(&id("yolox-nano")).unwrap().1,
        second.file("yolox-nano")
    );
}

#[test]
fn a_manifest_that_may_not_be_used_is_refused_even_under_a_name_of_the_catalogue() {
    let place = Place::new();
    let good = manifest("yolox-nano", 10, CONTENT);
    place.describe(
        "yolox-nano",
        &good.replace("licence = \"Apache-2.0\"\n", ""),
    );
    place.describe(
        "stolen",
        &manifest("stolen", 3, CONTENT).replace("Apache-2.0", "AGPL-3.0-only"),
    );
    place.describe("misnamed", &manifest("another", 3, CONTENT));
    for name in ["yolox-nano", "stolen", "misnamed"] {
        fs::write(place.file(name), CONTENT).unwrap();
    }
    let store = place.store();
    for (name, words) in [
        ("yolox-nano", "no licence is named"),
        ("stolen", "AGPL-3.0-only would bind"),
        (
            "misnamed",
            "it is another but the folder is called misnamed",
        ),
    ] {
        let message = store.find(&id(name)).unwrap_err().to_string();
        assert!(
            message.contains(words) && message.contains("model.toml"),
            "{message}"
        );
        assert!(store.install(&id(name), "x", &mut |_, _| ()).is_err());
    }
    assert_eq!(store.faults().len(), 3);
    assert!(
        store
            .list()
            .iter()
            .all(|state| state.manifest.id != id("yolox-nano"))
    );
    let message = store.best_detector().unwrap_err().to_string();
    assert!(message.contains("no licence is named"), "{message}");
}
