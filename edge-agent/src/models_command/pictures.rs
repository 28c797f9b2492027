//! Pictures to look at: a folder of files, or the frames of a clip.

use std::path::{Path, PathBuf};

use anyhow::{Context as _, bail};
use indicatif::{ProgressBar, ProgressStyle};

/// The JPEG and PNG files of a folder, by name.
pub(super) fn in_folder(folder: &Path) -> anyhow::Result<Vec<PathBuf>> {
    let entries = std::fs::read_dir(folder).with_context(|| format!("{}", folder.display()))?;
    let mut files: Vec<PathBuf> = entries
        .filter_map(|entry| Some(entry.ok()?.path()))
        .filter(|path| {
            let ending = path
                .extension()
                .and_then(|e| e.to_str())
                .unwrap_or_default();
            ["jpg", "jpeg", "png"].contains(&ending.to_ascii_lowercase().as_str())
        })
        .collect();
    files.sort();
    if files.is_empty() {
        bail!("{}: there is no JPEG or PNG in it", folder.display());
    }
    Ok(files)
}

/// How far somebody is who goes through `count` pictures.
pub(super) fn progress(count: u64) -> anyhow::Result<ProgressBar> {
    let style = ProgressStyle::with_template("{bar:40} {pos}/{len} pictures, {eta} to go")?;
    Ok(ProgressBar::new(count).with_style(style))
}
