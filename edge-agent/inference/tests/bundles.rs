//! Bundles: what is taken in, and what of all that people may send is not.

#![allow(clippy::unwrap_used)] // also in what the tests share

use std::fs;
use std::io::{Cursor, Write as _};
use std::path::{Path, PathBuf};

use edge_inference::{
    Action, BundleTerms, InstalledVersion, ModelStore, PublicKey, SecretKey, Vouched, bundle,
};
use models::ModelId;
use sha2::Digest as _;

/// A model file of our own; its content does not matter to a store.
fn network(version: u64) -> Vec<u8> {
    format!("not really a network, version {version}").into_bytes()
}

fn digest(content: &[u8]) -> String {
    protocol::Digest(sha2::Sha256::digest(content).into()).to_string()
}

fn manifest(name: &str, network: &[u8]) -> String {
    include_str!("../../../models/catalog/yolox-nano/model.toml")
        .lines()
        .map(|line| match line.split(" = ").next() {
            Some("id") => format!("id = \"{name}\"\n"),
            Some("file") => "file = \"net.onnx\"\n".to_owned(),
            Some("sha256") => format!("sha256 = \"{}\"\n", digest(network)),
            Some("size_bytes") => format!("size_bytes = {}\n", network.len()),
            _ => format!("{line}\n"),
        })
        .collect()
}

fn ours() -> ModelId {
    ModelId::new("ours").unwrap()
}

fn files(version: u64) -> Vec<(String, Vec<u8>)> {
    let network = network(version);
    vec![
        (
            "model.toml".to_owned(),
            manifest("ours", &network).into_bytes(),
        ),
        ("net.onnx".to_owned(), network),
    ]
}

/// A box with an empty store, and a maker whom it trusts.
struct Bench {
    folder: tempfile::TempDir,
    maker: SecretKey,
}

impl Bench {
    fn new() -> Self {
        Self {
            folder: tempfile::tempdir().unwrap(),
            maker: SecretKey::generate().unwrap(),
        }
    }

    fn models(&self) -> PathBuf {
        self.folder.path().join("models")
    }

    fn store(&self) -> ModelStore {
        ModelStore::open(vec![self.models()]).unwrap()
    }

    fn terms(&self) -> BundleTerms {
        BundleTerms {
            trusted: vec![self.maker.public()],
            ..BundleTerms::default()
        }
    }

    fn bundle(&self, version: u64) -> Vec<u8> {
        self.signed(version, &files(version))
    }

    fn signed(&self, version: u64, files: &[(String, Vec<u8>)]) -> Vec<u8> {
        let mut bytes = Vec::new();
        bundle::pack(&ours(), version, files, Some(&self.maker), &mut bytes).unwrap();
        bytes
    }

    fn install(&self, bytes: &[u8], terms: &BundleTerms) -> Result<InstalledVersion, String> {
        let file = self.folder.path().join("bundle.tar");
        fs::write(&file, bytes).unwrap();
        let store = self.store();
        store
            .install_bundle(file.to_str().unwrap(), terms, &mut |_, _| ())
            .map_err(|error| error.to_string())
    }

    /// Every file below the models' folder but the lock.
    fn contents(&self) -> Vec<String> {
        fn walk(folder: &Path, root: &Path, found: &mut Vec<String>) {
            let Ok(entries) = fs::read_dir(folder) else {
                return;
            };
            for entry in entries {
                let path = entry.unwrap().path();
                if path.is_dir() {
                    walk(&path, root, found);
                } else if !path.ends_with(".lock") {
                    found.push(path.strip_prefix(root).unwrap().display().to_string());
                }
            }
        }
        let mut found = Vec::new();
        walk(&self.models(), &self.models(), &mut found);
        found.sort();
        found
    }

    #[track_caller]
    fn refuses(&self, bytes: &[u8], words: &str) {
        let before = self.contents();
        let message = self.install(bytes, &self.terms()).unwrap_err();
        assert!(message.contains(words), "{message}\nshould say: {words}");
        assert_eq!(self.contents(), before, "something stays behind");
    }
}

/// A tar of `entries`, without any check.
fn raw_tar(entries: &[(tar::EntryType, &str, &[u8])]) -> Vec<u8> {
    let mut archive = tar::Builder::new(Vec::new());
    for (kind, name, content) in entries {
        let mut header = tar::Header::new_ustar();
        // As bytes, because the library refuses the names that are tried here.
        header.as_mut_bytes()[..name.len()].copy_from_slice(name.as_bytes());
        header.set_entry_type(*kind);
        header.set_size(content.len() as u64);
        header.set_mode(0o644);
        if *kind == tar::EntryType::Symlink {
            header.set_link_name("/etc/passwd").unwrap();
        }
        header.set_cksum();
        archive.append(&header, Cursor::new(content)).unwrap();
    }
    archive.into_inner().unwrap()
}

/// A signed listing of anything.
fn listing(bench: &Bench, text: &str) -> (Vec<u8>, Vec<u8>) {
    let signature = bench.maker.sign(text.as_bytes(), "test");
    (text.as_bytes().to_vec(), signature.into_bytes())
}

/// A tar of a signed listing, and of `entries` whatever it lists.
fn signed_tar(bench: &Bench, text: &str, entries: &[(tar::EntryType, &str, &[u8])]) -> Vec<u8> {
    let (text, signature) = listing(bench, text);
    let first = [
        (Regular, "bundle.toml", &text[..]),
        (Regular, "bundle.toml.minisig", &signature[..]),
    ];
    raw_tar(&[&first[..], entries].concat())
}

fn listed(path: &str, content: &[u8]) -> String {
    format!(
        "[[file]]\npath = \"{path}\"\nbytes = {}\nsha256 = \"{}\"\n",
        content.len(),
        digest(content)
    )
}

const HEAD: &str = "format = 1\nmodel = \"ours\"\nversion = 1\n";
use tar::EntryType::{Directory, GNULongName, Link, Regular, Symlink, XHeader};

#[test]
fn a_signed_bundle_is_taken_in_and_becomes_current_when_it_is_told() {
    let bench = Bench::new();
    let installed = bench.install(&bench.bundle(3), &bench.terms()).unwrap();
    assert_eq!(installed.vouched, Vouched::Signed(bench.maker.public().id));
    assert_eq!((installed.version, installed.is_current), (3, false));
    assert_eq!(
        bench.contents(),
        [
            "journal.jsonl",
            "ours/highest",
            "ours/versions/3/bundle.toml",
            "ours/versions/3/bundle.toml.minisig",
            "ours/versions/3/model.toml",
            "ours/versions/3/net.onnx",
        ]
    );
    assert!(bench.store().find(&ours()).is_err(), "not current yet");
    bench.store().use_version(&ours(), 3, Action::Used).unwrap();
    let (manifest, file) = bench.store().find(&ours()).unwrap();
    assert_eq!(fs::read(file).unwrap(), network(3));
    assert_eq!(manifest.sha256, installed.sha256);
    assert_eq!(bench.store().version_of(&ours()), Some(3));

    // Compressed, and again: the same version is there already.
    let mut packed = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    packed.write_all(&bench.bundle(3)).unwrap();
    let again = bench
        .install(&packed.finish().unwrap(), &bench.terms())
        .unwrap();
    assert!(again.is_current);
    let actions: Vec<Action> = bench.store().journal().iter().map(|e| e.action).collect();
    assert_eq!(actions, [Action::Installed, Action::Used]);
}

#[test]
fn only_a_trusted_signature_opens_the_door_unless_it_is_told_otherwise() {
    let bench = Bench::new();
    let mut unsigned = Vec::new();
    bundle::pack(&ours(), 1, &files(1), None, &mut unsigned).unwrap();
    bench.refuses(&unsigned, "it is not signed");

    let stranger = Bench::new();
    bench.refuses(&stranger.bundle(1), "which is not trusted here");

    // A friend's signature over another listing: never, whatever is allowed.
    let (text, _) = listing(&bench, HEAD);
    let (_, signature) = listing(&bench, "something else");
    let forged = raw_tar(&[
        (Regular, "bundle.toml", &text),
        (Regular, "bundle.toml.minisig", &signature),
    ]);
    bench.refuses(&forged, "was changed after it was signed");
    let anything = BundleTerms {
        allow_unsigned: true,
        ..bench.terms()
    };
    let message = bench.install(&forged, &anything).unwrap_err();
    assert!(message.contains("was changed after"), "{message}");

    for bytes in [unsigned, stranger.bundle(2)] {
        let taken = bench.install(&bytes, &anything).unwrap();
        assert!(matches!(taken.vouched, Vouched::Unsigned(_)));
    }
    let journal = bench.store().journal();
    assert!(journal[0].detail.contains("taken unsigned"), "{journal:?}");
}

#[test]
fn an_older_version_is_refused_even_when_the_newer_one_is_gone() {
    let bench = Bench::new();
    bench.install(&bench.bundle(5), &bench.terms()).unwrap();
    let words = "it is version 4, this box has had version 5";
    bench.refuses(&bench.bundle(4), words);
    fs::remove_dir_all(bench.models().join("ours/versions/5")).unwrap();
    bench.refuses(&bench.bundle(4), words);
    // Whoever takes a model away takes the mark along.
    fs::remove_dir_all(bench.models().join("ours")).unwrap();
    assert_eq!(bench.store().highest(&ours()), 5);
    bench.refuses(&bench.bundle(4), words);

    let told = BundleTerms {
        allow_downgrade: true,
        ..bench.terms()
    };
    bench.install(&bench.bundle(4), &told).unwrap();
    let last = bench.store().journal().pop().unwrap();
    assert_eq!((last.action, last.version), (Action::Downgraded, Some(4)));
    // The mark stays where it was.
    assert_eq!(bench.store().highest(&ours()), 5);
    bench.refuses(&bench.bundle(3), "this box has had version 5");
}

/// Also where its files lay here all the while, and where nothing is installed at all.
#[test]
fn each_way_back_to_an_older_version_stands_in_the_journal() {
    let bench = Bench::new();
    for version in [8, 9] {
        bench
            .install(&bench.bundle(version), &bench.terms())
            .unwrap();
    }
    let use_it = |version| {
        let store = bench.store();
        store.use_version(&ours(), version, Action::Used).unwrap();
    };
    use_it(9);
    let told = BundleTerms {
        allow_downgrade: true,
        ..bench.terms()
    };
    bench.install(&bench.bundle(8), &told).unwrap();
    let last = bench.store().journal().pop().unwrap();
    assert_eq!((last.action, last.version), (Action::Downgraded, Some(8)));
    use_it(8);
    let last = bench.store().journal().pop().unwrap();
    assert_eq!(
        (last.action, last.version, &*last.detail),
        (Action::Used, Some(8), "back from version 9")
    );
    use_it(9);
    let last = bench.store().journal().pop().unwrap();
    assert_eq!((last.version, &*last.detail), (Some(9), ""));
}

/// After the highest of all numbers no other could have come.
#[test]
fn a_version_that_would_be_the_last_is_neither_made_nor_taken() {
    let bench = Bench::new();
    let beyond = bundle::MAX_VERSION + 1;
    let made = bundle::pack(&ours(), beyond, &files(1), Some(&bench.maker), Vec::new());
    let words = "version 4294967296 is beyond 4294967295";
    assert!(made.unwrap_err().to_string().contains(words));
    let text = HEAD.replace("version = 1", &format!("version = {beyond}"));
    let files = files(1);
    let text = format!(
        "{text}{}{}",
        listed("model.toml", &files[0].1),
        listed("net.onnx", &files[1].1)
    );
    let bytes = signed_tar(
        &bench,
        &text,
        &[
            (Regular, "model.toml", &files[0].1),
            (Regular, "net.onnx", &files[1].1),
        ],
    );
    bench.refuses(&bytes, words);
    let last = bench.bundle(bundle::MAX_VERSION);
    bench.install(&last, &bench.terms()).unwrap();
}

#[test]
fn a_version_never_changes_its_content() {
    let bench = Bench::new();
    bench.install(&bench.bundle(1), &bench.terms()).unwrap();
    bench.refuses(
        &bench.signed(1, &files(2)),
        "version 1 is installed already",
    );
}

#[test]
fn names_that_lead_elsewhere_are_refused() {
    for name in [
        "../evil",
        "/etc/cron.d/evil",
        "a/../../evil",
        "..",
        "a//b",
        ".hidden",
        "a/./b",
        "a\\b",
        "a\u{0}b",
        "bundle.toml",
        "a/b/c/d",
        "",
    ] {
        let bench = Bench::new();
        let manifest = &files(1)[0].1;
        let text = format!(
            "{HEAD}{}{}",
            listed("model.toml", manifest),
            listed(
                &name.replace('\\', "\\\\").replace('\0', "\\u0000"),
                b"evil"
            )
        );
        let bytes = signed_tar(
            &bench,
            &text,
            &[(Regular, "model.toml", manifest), (Regular, name, b"evil")],
        );
        bench.refuses(&bytes, "is not a place within it");
    }
}

#[test]
fn entries_that_are_no_listed_plain_files_are_refused() {
    for (entry, words) in [
        (
            (Regular, "extra", &b"x"[..]),
            "is not listed, or is there twice",
        ),
        ((Regular, "../model.toml", b"x"), "is not listed"),
        (
            (Regular, "model.toml", b"x"),
            "is not listed, or is there twice",
        ),
        ((Symlink, "net.onnx", b""), "is no plain file"),
        ((Link, "net.onnx", b""), "is no plain file"),
        ((Directory, "net.onnx", b""), "is no plain file"),
        (
            (GNULongName, "././@LongLink", b"net.onnx\0"),
            "is no plain file",
        ),
        (
            (XHeader, "PaxHeaders/net.onnx", b"16 path=net.onnx\n"),
            "is no plain file",
        ),
    ] {
        let bench = Bench::new();
        let files = files(1);
        let text = format!(
            "{HEAD}{}{}",
            listed("model.toml", &files[0].1),
            listed("net.onnx", &files[1].1)
        );
        let bytes = signed_tar(
            &bench,
            &text,
            &[(Regular, "model.toml", &files[0].1), entry],
        );
        bench.refuses(&bytes, words);
    }
}

#[test]
fn other_lengths_and_contents_than_listed_are_refused() {
    let bench = Bench::new();
    let files = files(1);
    let (manifest, network) = (&files[0].1, &files[1].1);
    let text = format!(
        "{HEAD}{}{}",
        listed("model.toml", manifest),
        listed("net.onnx", network)
    );
    let (text, signature) = listing(&bench, &text);
    let mut altered = network.clone();
    altered[0] ^= 1;
    let longer = [&network[..], b"!"].concat();
    for (content, words) in [
        (&altered[..], "has another SHA-256 than listed"),
        (&network[1..], "bytes, listed are"),
        (&longer, "bytes, listed are"),
    ] {
        let bytes = raw_tar(&[
            (Regular, "bundle.toml", &text),
            (Regular, "bundle.toml.minisig", &signature),
            (Regular, "model.toml", manifest),
            (Regular, "net.onnx", content),
        ]);
        bench.refuses(&bytes, words);
    }
    let cut = raw_tar(&[
        (Regular, "bundle.toml", &text),
        (Regular, "bundle.toml.minisig", &signature),
        (Regular, "model.toml", manifest),
    ]);
    bench.refuses(&cut, "`net.onnx` is listed but not in it");
    // A download that broke off is no other content.
    let whole = raw_tar(&[
        (Regular, "bundle.toml", &text),
        (Regular, "bundle.toml.minisig", &signature),
        (Regular, "model.toml", manifest),
        (Regular, "net.onnx", network),
    ]);
    let starts = |at: &usize| whole[*at..].starts_with(network);
    let begin = (0..whole.len()).find(starts).expect("the network in it");
    let words = format!("`net.onnx` is cut after 3 of {} bytes", network.len());
    bench.refuses(&whole[..begin + 3], &words);
}

#[test]
fn huge_claims_are_refused_before_anything_is_written() {
    let bench = Bench::new();
    let (text, signature) = listing(
        &bench,
        &format!(
            "{HEAD}[[file]]\npath = \"model.toml\"\nbytes = 9000000000\nsha256 = \"{}\"\n",
            digest(b"")
        ),
    );
    let bytes = raw_tar(&[
        (Regular, "bundle.toml", &text),
        (Regular, "bundle.toml.minisig", &signature),
    ]);
    bench.refuses(&bytes, "are the most");

    let long = vec![b'#'; 1 << 20];
    bench.refuses(
        &raw_tar(&[(Regular, "bundle.toml", &long)]),
        "1048576 bytes long",
    );
    // A header that claims more than the archive has.
    let mut lying = raw_tar(&[(Regular, "bundle.toml", b"x")]);
    lying[124..136].copy_from_slice(b"77777777777\0");
    let sum: u32 = lying[..512]
        .iter()
        .enumerate()
        .map(|(at, byte)| {
            u32::from(if (148..156).contains(&at) {
                b' '
            } else {
                *byte
            })
        })
        .sum();
    lying[148..156].copy_from_slice(format!("{sum:06o}\0 ").as_bytes());
    bench.refuses(&lying, "bytes long");
    // Zeros without end, compressed to little.
    let mut bomb = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::best());
    bomb.write_all(&raw_tar(&[(
        GNULongName,
        "././@LongLink",
        &vec![b'a'; 64 << 20],
    )]))
    .unwrap();
    bench.refuses(&bomb.finish().unwrap(), "does not come first");
}

#[test]
fn what_is_no_bundle_is_called_so() {
    let bench = Bench::new();
    let good = bench.bundle(1);
    for bytes in [
        &b""[..],
        b"hello",
        b"<!doctype html>",
        &[0; 2048],
        &[0x1f, 0x8b, 0, 0],
        &raw_tar(&[(Regular, "net.onnx", b"x")]),
    ] {
        bench.refuses(bytes, "");
    }
    // Cut anywhere: refused, or whole because only padding is missing.
    for end in (0..good.len()).step_by(257) {
        let store = Bench {
            folder: tempfile::tempdir().unwrap(),
            maker: copy_of(&bench),
        };
        if let Ok(installed) = store.install(&good[..end], &store.terms()) {
            store.store().verify_version(&installed).unwrap();
        }
    }
}

#[test]
fn a_manifest_that_is_not_the_bundles_or_not_allowed_is_refused() {
    let bench = Bench::new();
    let network = network(1);
    let with = |text: String| {
        bench.signed(
            1,
            &[
                ("model.toml".to_owned(), text.into_bytes()),
                ("net.onnx".to_owned(), network.clone()),
            ],
        )
    };
    let good = manifest("ours", &network);
    for (text, words) in [
        (
            manifest("theirs", &network),
            "it is theirs but the folder is called ours",
        ),
        (
            good.replace("Apache-2.0", "AGPL-3.0-only"),
            "AGPL-3.0-only would bind",
        ),
        (
            good.replace("net.onnx", "other.onnx"),
            "its `file` is not listed",
        ),
        (manifest("ours", b"other"), "is not that of the listed file"),
        ("rubbish".to_owned(), "model.toml"),
    ] {
        bench.refuses(&with(text), words);
    }
}

#[test]
fn the_same_files_and_key_give_the_same_bytes() {
    let bench = Bench::new();
    assert_eq!(bench.bundle(1), bench.bundle(1));
}

#[test]
fn damage_to_an_installed_version_is_found() {
    let bench = Bench::new();
    let installed = bench.install(&bench.bundle(1), &bench.terms()).unwrap();
    bench.store().use_version(&ours(), 1, Action::Used).unwrap();
    bench.store().verify_version(&installed).unwrap();
    fs::write(installed.folder.join("net.onnx"), b"worm").unwrap();
    assert!(bench.store().find(&ours()).is_err());
    assert!(bench.store().verify_version(&installed).is_err());
    // A changed manifest no longer fits the signed listing.
    let text = fs::read_to_string(installed.folder.join("model.toml")).unwrap();
    fs::write(
        installed.folder.join("model.toml"),
        text.replace("0.35", "0.01"),
    )
    .unwrap();
    let faults = bench
        .store()
        .damaged_versions(&ours(), &bench.terms().trusted);
    assert!(
        faults[0].1.contains("another SHA-256 than listed"),
        "{faults:?}"
    );
    // A pointer to a version that is gone is a fault with a name, not a crash.
    fs::remove_dir_all(&installed.folder).unwrap();
    let store = bench.store();
    assert_eq!(store.faults().len(), 1);
    assert!(store.find(&ours()).is_err());
}

#[test]
fn keys_are_read_from_files_and_folders() {
    let folder = tempfile::tempdir().unwrap();
    let (a, b) = (
        SecretKey::generate().unwrap(),
        SecretKey::generate().unwrap(),
    );
    fs::write(folder.path().join("a.pub"), a.public().text()).unwrap();
    fs::write(folder.path().join("README"), "no key").unwrap();
    let single = folder.path().join("b.key.pub");
    fs::write(&single, b.public().text()).unwrap();
    let keys = PublicKey::trusted(&[folder.path().to_owned()]).unwrap();
    assert_eq!(keys, [a.public(), b.public()]);
    assert_eq!(PublicKey::trusted(&[single]).unwrap(), [b.public()]);
    assert_eq!(PublicKey::trusted(&["/nowhere".into()]).unwrap(), []);
    fs::write(folder.path().join("c.pub"), "rubbish").unwrap();
    let message = PublicKey::trusted(&[folder.path().to_owned()])
        .unwrap_err()
        .to_string();
    assert!(message.contains("c.pub"), "{message}");
}

/// The same maker again, through the key's file.
fn copy_of(bench: &Bench) -> SecretKey {
    let file = bench.folder.path().join("maker.key");
    fs::write(&file, bench.maker.text()).unwrap();
    SecretKey::open(&file).unwrap()
}
