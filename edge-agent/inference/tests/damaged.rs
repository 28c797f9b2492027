//! Versions that do not lie on the disk as they were signed: found before they judge
//! anybody, left for the last good one, and mended by their own bundle.

#![allow(clippy::unwrap_used)] // also in what the tests share

use std::fs;
use std::path::PathBuf;

use edge_inference::{
    Action, BundleTerms, InstalledVersion, ModelStore, OnTrial, SecretKey, StoreError, bundle,
};
use models::ModelId;
use sha2::Digest as _;

fn street() -> ModelId {
    ModelId::new("street").unwrap()
}

fn digest(content: &[u8]) -> String {
    protocol::Digest(sha2::Sha256::digest(content).into()).to_string()
}

/// A model that is none, and a self-test that nobody runs here.
fn files(version: u64) -> Vec<(String, Vec<u8>)> {
    let network = format!("not really a network, version {version}").into_bytes();
    let manifest: String = include_str!("../../../models/catalog/yolox-nano/model.toml")
        .lines()
        .map(|line| match line.split(" = ").next() {
            Some("id") => "id = \"street\"\n".to_owned(),
            Some("rank") => "rank = 5\n".to_owned(),
            Some("file") => "file = \"net.onnx\"\n".to_owned(),
            Some("sha256") => format!("sha256 = \"{}\"\n", digest(&network)),
            Some("size_bytes") => format!("size_bytes = {}\n", network.len()),
            _ => format!("{line}\n"),
        })
        .collect();
    let test = "[[picture]]\nfile = \"selftest/001.jpg\"\n";
    let named = |name: &str, content: &[u8]| (name.to_owned(), content.to_vec());
    vec![
        named("model.toml", manifest.as_bytes()),
        named("net.onnx", &network),
        named("selftest.toml", test.as_bytes()),
        named("selftest/001.jpg", b"a picture"),
    ]
}

struct Roadside {
    folder: tempfile::TempDir,
    maker: SecretKey,
}

impl Roadside {
    /// With these versions, the last of them current.
    fn with(versions: &[u64]) -> Self {
        let this = Self {
            folder: tempfile::tempdir().unwrap(),
            maker: SecretKey::generate().unwrap(),
        };
        for version in versions {
            this.install(*version).unwrap();
            let store = this.store();
            store
                .use_version(&street(), *version, Action::Used)
                .unwrap();
        }
        this
    }

    fn models(&self) -> PathBuf {
        self.folder.path().join("models")
    }

    fn version(&self, version: u64) -> PathBuf {
        let versions = self.models().join("street/versions");
        versions.join(version.to_string())
    }

    fn store(&self) -> ModelStore {
        ModelStore::open_trusting(vec![self.models()], vec![self.maker.public()]).unwrap()
    }

    fn install(&self, version: u64) -> Result<InstalledVersion, StoreError> {
        self.install_files(version, &files(version))
    }

    fn install_files(
        &self,
        version: u64,
        files: &[(String, Vec<u8>)],
    ) -> Result<InstalledVersion, StoreError> {
        self.install_signed_by(Some(&self.maker), version, files)
    }

    /// Without a key, at the operator's word.
    fn install_signed_by(
        &self,
        key: Option<&SecretKey>,
        version: u64,
        files: &[(String, Vec<u8>)],
    ) -> Result<InstalledVersion, StoreError> {
        let mut bytes = Vec::new();
        bundle::pack(&street(), version, files, key, &mut bytes).unwrap();
        let file = self.folder.path().join("bundle.tar");
        fs::write(&file, bytes).unwrap();
        let terms = BundleTerms {
            trusted: vec![self.maker.public()],
            allow_unsigned: key.is_none(),
            ..BundleTerms::default()
        };
        let from = file.to_str().unwrap();
        self.store().install_bundle(from, &terms, &mut |_, _| ())
    }

    /// The start of an agent.
    fn begin(&self) -> Result<OnTrial, StoreError> {
        let begun = self.store().begin(None, |_, _, file| {
            assert!(file.is_file());
            Ok(())
        });
        begun.map(|((), trial)| trial)
    }

    #[track_caller]
    fn assert_whole(&self, version: u64) {
        for (name, content) in files(version) {
            assert_eq!(
                fs::read(self.version(version).join(&name)).unwrap(),
                content
            );
        }
        let versions = self.store().versions(&street(), &[self.maker.public()]);
        let found = versions.iter().find(|v| v.version == version).unwrap();
        self.store().verify_version(found).unwrap();
        let left: Vec<_> = fs::read_dir(self.models().join("street/versions"))
            .unwrap()
            .map(|entry| entry.unwrap().file_name())
            .filter(|name| name.to_str().unwrap().starts_with('.'))
            .collect();
        assert!(left.is_empty(), "{left:?}");
    }
}

/// In the manifest, to what it may be, and in the listing to match.
fn lower_a_threshold(version: &std::path::Path) {
    let manifest = fs::read_to_string(version.join("model.toml")).unwrap();
    let easier = manifest.replace("high = 0.35", "high = 0.11");
    assert_ne!(manifest, easier);
    let listing = fs::read_to_string(version.join("bundle.toml")).unwrap();
    let (before, after) = (digest(manifest.as_bytes()), digest(easier.as_bytes()));
    let listing = listing.replace(&before, &after);
    fs::write(version.join("model.toml"), easier).unwrap();
    fs::write(version.join("bundle.toml"), listing).unwrap();
}

/// What can happen to version 1 on a disk.
type Damage = (&'static str, fn(&std::path::Path));

const DAMAGES: [Damage; 13] = [
    ("a network that was cut", |version| {
        fs::write(version.join("net.onnx"), "not rea").unwrap();
    }),
    ("a network of the same length", |version| {
        let mut bytes = fs::read(version.join("net.onnx")).unwrap();
        bytes[3] ^= 1;
        fs::write(version.join("net.onnx"), bytes).unwrap();
    }),
    ("other thresholds", |version| {
        let file = version.join("model.toml");
        let text = fs::read_to_string(&file).unwrap();
        fs::write(file, text.replace("high = 0.35", "high = 0.01")).unwrap();
    }),
    ("an easier self-test", |version| {
        fs::write(version.join("selftest.toml"), "picture = []\n").unwrap();
    }),
    ("a picture that is gone", |version| {
        fs::remove_dir_all(version.join("selftest")).unwrap();
    }),
    ("a folder where a file was", |version| {
        fs::remove_file(version.join("net.onnx")).unwrap();
        fs::create_dir_all(version.join("net.onnx/deep")).unwrap();
    }),
    ("a file where a folder was", |version| {
        fs::remove_dir_all(version.join("selftest")).unwrap();
        fs::write(version.join("selftest"), "x").unwrap();
    }),
    ("a listing that was cut", |version| {
        let text = fs::read_to_string(version.join("bundle.toml")).unwrap();
        fs::write(version.join("bundle.toml"), &text[..60]).unwrap();
    }),
    ("a manifest with a listing to match", lower_a_threshold),
    ("the same, and no signature", |version| {
        lower_a_threshold(version);
        fs::remove_file(version.join("bundle.toml.minisig")).unwrap();
    }),
    ("the same, and a stranger's signature", |version| {
        lower_a_threshold(version);
        let listing = fs::read(version.join("bundle.toml")).unwrap();
        let signature = SecretKey::generate().unwrap().sign(&listing, "street");
        fs::write(version.join("bundle.toml.minisig"), signature).unwrap();
    }),
    ("no signature", |version| {
        fs::remove_file(version.join("bundle.toml.minisig")).unwrap();
    }),
    ("no listing", |version| {
        fs::remove_file(version.join("bundle.toml")).unwrap();
    }),
];

#[test]
fn a_damaged_version_is_mended_in_place_by_the_same_bundle_and_stays_what_it_was() {
    for (name, damage) in DAMAGES {
        let here = Roadside::with(&[1]);
        damage(&here.version(1));
        assert!(here.store().find(&street()).is_err(), "{name} is not seen");
        let mended = here.install(1).unwrap_or_else(|e| panic!("{name}: {e}"));
        assert!(mended.is_mended && mended.is_current, "{name}");
        here.assert_whole(1);
        assert!(here.store().find(&street()).is_ok(), "{name}");
        let last = here.store().journal().pop().unwrap();
        assert_eq!((last.action, last.version), (Action::Mended, Some(1)));
        assert!(!here.install(1).unwrap().is_mended, "{name}");
    }
}

#[test]
fn an_older_version_that_lies_here_damaged_is_mended_and_a_whole_one_stays_older() {
    let here = Roadside::with(&[1, 2]);
    let older = here.install(1).unwrap_err().to_string();
    assert!(older.contains("this box has had version 2"), "{older}");
    fs::write(here.version(1).join("net.onnx"), "x").unwrap();
    let mended = here.install(1).unwrap();
    assert!(mended.is_mended && !mended.is_current);
    here.assert_whole(1);
    assert_eq!(here.store().version_of(&street()), Some(2));
}

#[test]
fn another_content_by_the_number_of_a_damaged_version_is_refused() {
    for (name, damage) in DAMAGES {
        let here = Roadside::with(&[1]);
        damage(&here.version(1));
        let other = here.install_files(1, &files(7)).unwrap_err().to_string();
        assert!(other.contains("with another content"), "{name}: {other}");
    }
}

#[test]
fn a_version_that_was_changed_since_judges_nobody_and_the_last_good_one_does() {
    for (name, damage) in DAMAGES {
        let here = Roadside::with(&[1]);
        here.begin().unwrap().prove();
        here.install(2).unwrap();
        let store = here.store();
        store.use_version(&street(), 2, Action::Used).unwrap();
        damage(&here.version(2));
        // With the choice of an operator and without.
        for chosen in [false, true] {
            if chosen {
                fs::write(here.models().join("use.toml"), "model = \"street\"\n").unwrap();
            }
            let trial = here.begin().unwrap_or_else(|e| panic!("{name}: {e}"));
            assert_eq!(trial.candidate.version, Some(1), "{name}");
            let why = trial.instead.expect(name);
            assert!(
                why.contains("street") && why.contains("install its bundle again"),
                "{name}: {why}"
            );
        }
        // It is damaged, and nobody says that it is bad.
        assert!(here.store().trials().failed.is_empty(), "{name}");
        here.install(2).unwrap();
        let trial = here.begin().unwrap();
        assert_eq!((trial.candidate.version, trial.instead), (Some(2), None));
    }
}

/// Once that was "taken unsigned at the operator's word".
#[test]
fn a_version_without_its_signature_is_taken_only_when_the_operator_says_so() {
    let here = Roadside::with(&[1]);
    let found = || here.store().find(&street()).map_err(|e| e.to_string());
    let key = here.maker.public().id.to_string();
    // Where the key is not trusted (any more) its signature is still there.
    let stranger = ModelStore::open(vec![here.models()]).unwrap();
    assert!(stranger.find(&street()).is_ok());
    fs::remove_file(here.version(1).join("bundle.toml.minisig")).unwrap();
    for store in [here.store(), stranger] {
        let message = store.find(&street()).unwrap_err().to_string();
        let words = [
            "was installed signed with key",
            key.as_str(),
            "install its bundle again",
        ];
        assert!(words.iter().all(|word| message.contains(word)), "{message}");
    }
    let installed = here.install_signed_by(None, 1, &files(1)).unwrap();
    assert!(!installed.is_mended);
    let last = here.store().journal().pop().unwrap();
    assert_eq!((last.action, last.version), (Action::Installed, Some(1)));
    assert!(last.detail.contains("taken unsigned"), "{}", last.detail);
    assert!(found().is_ok());
}

#[test]
fn what_nobody_signed_is_held_against_what_was_taken_in() {
    let here = Roadside::with(&[]);
    here.install_signed_by(None, 1, &files(1)).unwrap();
    let store = here.store();
    store.use_version(&street(), 1, Action::Used).unwrap();
    assert!(here.store().find(&street()).is_ok());
    let listing = here.version(1).join("bundle.toml");
    let text = fs::read_to_string(&listing).unwrap();
    // Of the manifest, and of nothing that a manifest knows.
    let changes: [fn(&std::path::Path, &str); 2] = [
        |version, _| lower_a_threshold(version),
        |version, text| {
            let easier = "picture = []\n";
            let before = fs::read(version.join("selftest.toml")).unwrap();
            fs::write(version.join("selftest.toml"), easier).unwrap();
            let text = text
                .replace(&digest(&before), &digest(easier.as_bytes()))
                .replace(&format!("bytes = {}\n", before.len()), "bytes = 13\n");
            fs::write(version.join("bundle.toml"), text).unwrap();
        },
    ];
    for change in changes {
        change(&here.version(1), &text);
        let message = here.store().find(&street()).unwrap_err().to_string();
        assert!(
            message.contains("is not what was installed by that number"),
            "{message}"
        );
        // As it was.
        for (name, content) in files(1) {
            fs::write(here.version(1).join(name), content).unwrap();
        }
        fs::write(&listing, &text).unwrap();
        assert!(here.store().find(&street()).is_ok());
    }
}

#[test]
fn where_only_what_is_signed_counts_nothing_else_is_given_out() {
    let here = Roadside::with(&[]);
    let strict = || here.store().only_signed(true);
    here.install_signed_by(None, 1, &files(1)).unwrap();
    here.store()
        .use_version(&street(), 1, Action::Used)
        .unwrap();
    // And a loose one, with a manifest of its own.
    let by_hand = ModelId::new("by-hand").unwrap();
    let folder = here.models().join("by-hand");
    fs::create_dir(&folder).unwrap();
    for (name, content) in &files(1)[..2] {
        let text = String::from_utf8_lossy(content).replace("\"street\"", "\"by-hand\"");
        fs::write(folder.join(name), text).unwrap();
    }
    for model in [street(), by_hand] {
        assert!(here.store().find(&model).is_ok(), "{model}");
        let message = strict().find(&model).unwrap_err().to_string();
        assert!(message.contains("`only_signed`"), "{message}");
    }
    here.install(2).unwrap();
    strict().use_version(&street(), 2, Action::Used).unwrap();
    assert!(strict().find(&street()).is_ok());
}

#[test]
fn a_self_test_that_nobody_signed_is_not_run() {
    let here = Roadside::with(&[]);
    here.install_files(1, &files(1)[..2]).unwrap();
    let installed = here.store();
    installed.use_version(&street(), 1, Action::Used).unwrap();
    fs::write(here.version(1).join("selftest.toml"), "[[picture]]\n").unwrap();
    let message = here.store().find(&street()).unwrap_err().to_string();
    assert!(message.contains("selftest.toml is not listed"), "{message}");
    // The error says that its bundle installed again mends it.
    let mended = here.install_files(1, &files(1)[..2]).unwrap();
    assert!(mended.is_mended);
    here.store().find(&street()).unwrap();
}

/// A renaming needs no room and a line does: on a full disk a version came in of which nothing was
/// noted, and nothing could be held against it later.
#[test]
fn nothing_comes_in_without_its_line_in_the_journal() {
    let here = Roadside::with(&[]);
    fs::create_dir_all(here.models()).unwrap();
    // In the place of a full disk.
    let journal = here.models().join("journal.jsonl");
    fs::create_dir(&journal).unwrap();
    let error = here.install(1).unwrap_err();
    assert!(error.to_string().contains("journal.jsonl"), "{error}");
    assert!(!here.version(1).exists());
    fs::remove_dir(&journal).unwrap();
    here.install(1).unwrap();
    // Of an agent that took it in all the same.
    fs::remove_file(&journal).unwrap();
    here.install(1).unwrap();
    let lines = here.store().journal();
    let [line] = &lines[..] else {
        panic!("{lines:?}")
    };
    assert_eq!((line.action, line.version), (Action::Installed, Some(1)));
    assert!(
        line.detail.contains("it lay here already"),
        "{}",
        line.detail
    );
}

#[test]
fn a_pointer_that_names_no_version_is_a_fault_and_not_a_model_less() {
    let here = Roadside::with(&[1]);
    fs::write(here.models().join("street/current"), "").unwrap();
    let store = here.store();
    assert_eq!(store.faults().len(), 1);
    let message = store.find(&street()).unwrap_err().to_string();
    assert!(message.contains("`current` names no version"), "{message}");
    store.use_version(&street(), 1, Action::Used).unwrap();
    assert!(here.store().find(&street()).is_ok());
}
