//! Bundles as nobody would make them: bent at random, and listings that lie, signed by a
//! key that is trusted. Whatever comes, nothing is written outside of the store, what is
//! refused leaves nothing behind, and what is taken is whole.

#![allow(clippy::unwrap_used)] // also in what the tests share

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};

use edge_inference::{BundleTerms, ModelStore, SecretKey, bundle};
use models::ModelId;
use sha2::Digest as _;

fn ours() -> ModelId {
    ModelId::new("ours").unwrap()
}

fn digest(content: &[u8]) -> String {
    protocol::Digest(sha2::Sha256::digest(content).into()).to_string()
}

fn files() -> Vec<(String, Vec<u8>)> {
    let network = b"not really a network".to_vec();
    let manifest: String = include_str!("../../../models/catalog/yolox-nano/model.toml")
        .lines()
        .map(|line| match line.split(" = ").next() {
            Some("id") => "id = \"ours\"\n".to_owned(),
            Some("file") => "file = \"net.onnx\"\n".to_owned(),
            Some("sha256") => format!("sha256 = \"{}\"\n", digest(&network)),
            Some("size_bytes") => format!("size_bytes = {}\n", network.len()),
            _ => format!("{line}\n"),
        })
        .collect();
    vec![
        ("model.toml".to_owned(), manifest.into_bytes()),
        ("net.onnx".to_owned(), network),
        ("selftest/001.jpg".to_owned(), vec![7; 700]),
    ]
}

/// xorshift64 (Marsaglia 2003): the same bundles at every run.
struct Chance(u64);

impl Chance {
    fn below(&mut self, end: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        usize::try_from(self.0 % end as u64).unwrap()
    }

    fn of<'a, T>(&mut self, all: &'a [T]) -> &'a T {
        &all[self.below(all.len())]
    }
}

/// Every file and link below a folder, with its content.
fn contents(folder: &Path) -> BTreeMap<PathBuf, Vec<u8>> {
    let mut found = BTreeMap::new();
    let mut folders = vec![folder.to_owned()];
    while let Some(folder) = folders.pop() {
        let Ok(entries) = fs::read_dir(&folder) else {
            continue;
        };
        for entry in entries.map(Result::unwrap) {
            let (path, kind) = (entry.path(), entry.file_type().unwrap());
            if kind.is_dir() {
                folders.push(path);
            } else if entry.file_name() != ".lock" {
                let content = fs::read(&path).unwrap_or_default();
                found.insert(path, content);
            }
        }
    }
    found
}

struct Roadside {
    folder: tempfile::TempDir,
    maker: SecretKey,
}

impl Roadside {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        fs::create_dir(folder.path().join("outside")).unwrap();
        fs::write(folder.path().join("outside/secret"), "as it was").unwrap();
        Self {
            folder,
            maker: SecretKey::generate().unwrap(),
        }
    }

    /// True if it was taken.
    #[track_caller]
    fn install(&self, bytes: &[u8], what: &str) -> bool {
        let tar = self.folder.path().join("bundle.tar");
        fs::write(&tar, bytes).unwrap();
        let before = contents(self.folder.path());
        let models = self.folder.path().join("models");
        let open = || ModelStore::open(vec![models.clone()]).unwrap();
        let terms = BundleTerms {
            trusted: vec![self.maker.public()],
            ..BundleTerms::default()
        };
        let from = tar.to_str().unwrap();
        let taken = open().install_bundle(from, &terms, &mut |_, _| ());
        let after = contents(self.folder.path());
        let is_ours = |path: &&PathBuf| path.starts_with(&models);
        for path in after.keys().chain(before.keys()) {
            let is_same = before.get(path) == after.get(path);
            assert!(
                is_same || is_ours(&path),
                "{what}: {} was touched",
                path.display()
            );
        }
        // Whoever looks at the store afterwards survives it.
        open().list();
        let Ok(version) = taken else {
            assert_eq!(before, after, "{what}: something stays behind");
            return false;
        };
        open().verify_version(&version).unwrap();
        fs::remove_dir_all(&models).unwrap();
        true
    }
}

#[test]
fn bundles_that_were_bent_at_random_are_refused_or_whole() {
    let here = Roadside::new();
    let mut good = Vec::new();
    bundle::pack(&ours(), 3, &files(), Some(&here.maker), &mut good).unwrap();
    assert!(here.install(&good, "the good one"));
    let mut chance = Chance(0x9e37_79b9_7f4a_7c15);
    for round in 0..600 {
        let mut bytes = good.clone();
        for _ in 0..=chance.below(3) {
            let (at, other) = (chance.below(bytes.len()), chance.below(bytes.len()));
            let block = at / 512 * 512;
            let end = (block + 512).min(bytes.len());
            match chance.below(6) {
                0 => bytes[at] ^= 1 << chance.below(8),
                // In a header, where names, kinds and lengths stand.
                1 => {
                    let place = block + chance.below(160.min(end - block));
                    bytes[place] = *chance.of(b"\0/.027LxgK\xff");
                }
                2 => bytes.truncate(at.max(1)),
                3 => {
                    let twice = bytes[block..end].to_vec();
                    let place = other / 512 * 512;
                    bytes.splice(place..place, twice);
                }
                4 => drop(bytes.drain(block..end)),
                _ => drop(bytes.drain(at.min(other)..at.max(other))),
            }
            if bytes.is_empty() {
                bytes.push(0);
            }
            mend_checksums(&mut bytes);
        }
        here.install(&bytes, &format!("round {round}"));
    }
}

/// Bent headers get past the first look of whoever reads them.
fn mend_checksums(bytes: &mut [u8]) {
    for header in bytes.chunks_exact_mut(512) {
        if &header[257..262] == b"ustar" {
            header[148..156].fill(b' ');
            let sum: u32 = header.iter().map(|byte| u32::from(*byte)).sum();
            header[148..156].copy_from_slice(format!("{sum:06o}\0 ").as_bytes());
        }
    }
}

/// A key that is trusted, in the hands of somebody who is not.
#[test]
#[allow(clippy::too_many_lines)] // most of them are names
fn listings_that_lie_under_a_good_signature_write_nothing_outside() {
    let here = Roadside::new();
    let mut chance = Chance(0x2545_f491_4f6c_dd1d);
    let names = [
        "../outside/secret",
        "/etc/ngatu-evil",
        "a/../../outside/secret",
        "..",
        ".",
        "a//b",
        "",
        "models/../../outside/secret",
        "model.toml",
        "net.onnx",
        "net.onnx/x",
        "selftest/001.jpg",
        "selftest",
        "bundle.toml",
        "bundle.toml.minisig",
        "a\u{0}b",
        "a\\..\\b",
        "🚦",
        "current",
        "CON",
        "x/y/z",
        "x/y/z/w",
        "-rf",
        "~",
        "$HOME",
        "a b",
        "a\nb",
        ".lock",
    ]
    .map(str::to_owned);
    let long = [
        "n".repeat(99),
        "n".repeat(100),
        "n/".repeat(60),
        "n".repeat(70_000),
    ];
    let names: Vec<String> = names.into_iter().chain(long).collect();
    let numbers = [
        "0",
        "1",
        "-1",
        "9223372036854775807",
        "18446744073709551616",
        "nan",
        "inf",
        "1.5",
        "\"1\"",
    ];
    let mut taken = 0;
    for round in 0..600 {
        let mut entries = files();
        for _ in 0..chance.below(3) {
            let name = chance.of(&names).clone();
            entries.push((name, b"evil".to_vec()));
        }
        if chance.below(4) == 0 {
            entries.swap(0, 1);
        }
        let version = if chance.below(3) == 0 {
            *chance.of(&numbers)
        } else {
            "1"
        };
        let mut text = format!("format = 1\nmodel = \"ours\"\nversion = {version}\n");
        for (name, content) in &entries {
            let bytes = match chance.below(12) {
                0 => (*chance.of(&numbers)).to_owned(),
                _ => content.len().to_string(),
            };
            let name = toml::Value::from(name.as_str());
            writeln!(
                text,
                "[[file]]\npath = {name}\nbytes = {bytes}\nsha256 = \"{}\"",
                digest(content)
            )
            .unwrap();
        }
        let signature = here.maker.sign(text.as_bytes(), "test");
        let first = [
            ("bundle.toml".to_owned(), text.into_bytes()),
            ("bundle.toml.minisig".to_owned(), signature.into_bytes()),
        ];
        let mut archive = tar::Builder::new(Vec::new());
        for (number, (name, content)) in first.iter().chain(&entries).enumerate() {
            let mut header = tar::Header::new_ustar();
            // As bytes: the library refuses most of these names.
            let name = &name.as_bytes()[..name.len().min(100)];
            header.as_mut_bytes()[..name.len()].copy_from_slice(name);
            header.set_size(content.len() as u64);
            header.set_mode(0o4777);
            if number > 1 && chance.below(8) == 0 {
                use tar::EntryType::{Block, Char, Directory, Fifo, Link, Symlink};
                header.set_entry_type(*chance.of(&[Symlink, Link, Directory, Fifo, Char, Block]));
                header.set_link_name("../../../outside/secret").unwrap();
            }
            header.set_cksum();
            archive.append(&header, &content[..]).unwrap();
        }
        let bytes = archive.into_inner().unwrap();
        taken += usize::from(here.install(&bytes, &format!("round {round}: {entries:?}")));
    }
    // Or nothing was tried.
    assert!((20..500).contains(&taken), "{taken}");
}
