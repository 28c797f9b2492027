//! What could make two machines disagree does not occur in the core's source.
//!
//! `clippy.toml` bans calls; this audits what clippy cannot see or what an
//! `#[allow]` would let pass. docs/design/determinism.md says why each is one.
#![allow(clippy::disallowed_methods, clippy::unwrap_used)] // a test reads the source files

use std::path::{Path, PathBuf};

/// A word that must not occur, and why.
const HAZARDS: [(&str, &str); 12] = [
    (
        "allow(clippy::disallowed",
        "the bans hold without exception",
    ),
    ("HashMap", "its order changes from run to run"),
    ("HashSet", "its order changes from run to run"),
    ("RandomState", "it is seeded anew in every run"),
    ("std::arch", "other instructions on other machines"),
    ("core::arch", "other instructions on other machines"),
    ("target_arch", "other code on other machines"),
    ("target_feature", "other code on other machines"),
    ("target_pointer_width", "other code on other machines"),
    ("to_ne_bytes", "another order on other machines"),
    ("_fast(", "fast-math may reorder"),
    ("_algebraic", "algebraic operations may be reordered"),
];

fn sources(folder: &Path, found: &mut Vec<PathBuf>) {
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            sources(&path, found);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            found.push(path);
        }
    }
}

#[test]
fn the_core_has_nothing_in_it_that_differs_between_machines() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut files = Vec::new();
    for crate_root in [root.join("src"), root.join("../../protocol/src")] {
        sources(&crate_root, &mut files);
    }
    assert!(files.len() > 30, "looked in the wrong place");
    let mut found = Vec::new();
    for file in files {
        let is_test = file.ends_with("tests.rs") || file.ends_with("testing.rs");
        let text = std::fs::read_to_string(&file).unwrap();
        // A module's own tests come last.
        let code = text.split("#[cfg(test)]\nmod ").next().unwrap_or(&text);
        for (number, line) in code.lines().enumerate().filter(|_| !is_test) {
            let line = line.split("//").next().unwrap_or(line);
            for (hazard, why) in HAZARDS {
                if line.contains(hazard) {
                    found.push(format!(
                        "{}:{}: {hazard}: {why}",
                        file.display(),
                        number + 1
                    ));
                }
            }
        }
    }
    assert!(found.is_empty(), "{}", found.join("\n"));
}
