//! Where things lie on a machine.
//!
//! A developer's clone keeps what set-up fetched in `.local/` at its root,
//! found from any folder below it; an installed box keeps it in the system's
//! folders.

use std::path::{Path, PathBuf};

/// Every existing `.local/<what>` above the current folder and above the
/// program, nearest first, each once.
pub(crate) fn local(what: &str) -> Vec<PathBuf> {
    let program = std::env::current_exe().ok();
    let starts = [
        std::env::current_dir().ok(),
        program
            .as_deref()
            .and_then(Path::parent)
            .map(Path::to_owned),
    ];
    let mut found: Vec<PathBuf> = Vec::new();
    for start in starts.iter().flatten() {
        for folder in above(start, what) {
            if !found.contains(&folder) {
                found.push(folder);
            }
        }
    }
    found
}

fn above(start: &Path, what: &str) -> Vec<PathBuf> {
    start
        .ancestors()
        .map(|folder| folder.join(".local").join(what))
        .filter(|folder| folder.is_dir())
        .collect()
}

/// Paths for an error message.
pub(crate) fn listed(paths: &[PathBuf]) -> String {
    let shown: Vec<_> = paths
        .iter()
        .map(|path| path.display().to_string())
        .collect();
    if shown.is_empty() {
        "nowhere".to_owned()
    } else {
        shown.join(", ")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_clones_local_folder_is_found_from_below_and_nearest_first() {
        let root = tempfile::tempdir().unwrap();
        let inner = root.path().join("a/b");
        std::fs::create_dir_all(inner.join("c")).unwrap();
        std::fs::create_dir_all(inner.join(".local/models")).unwrap();
        std::fs::create_dir_all(root.path().join(".local/models")).unwrap();
        let found: Vec<_> = above(&inner.join("c"), "models")
            .into_iter()
            .filter(|path| path.starts_with(root.path()))
            .collect();
        assert_eq!(
            found,
            [
                inner.join(".local/models"),
                root.path().join(".local/models")
            ]
        );
    }
}
