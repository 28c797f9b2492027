//! Near misses and coverage of a camera as JSON lines, a file for each day.
//!
//! For people who set thresholds and for whoever asks why there was no event;
//! nothing depends on it. What cannot be written is said once and left out.

use std::fs::File;
use std::io::Write as _;
use std::path::{Path, PathBuf};

use edge_core::{CoverageHour, NearMiss};
use protocol::{CameraId, EventTime};
use serde::Serialize;

use crate::config::RecordConfig;

/// Days that are kept.
const KEPT_DAYS: usize = 31;

/// Where a camera's near misses and coverage go.
pub(super) struct Diary {
    near_misses: Option<Book>,
    coverage: Option<Book>,
}

impl Diary {
    pub(super) fn new(config: &RecordConfig, camera: &CameraId) -> Self {
        let book =
            |dir: &Option<PathBuf>, what| dir.as_deref().map(|dir| Book::new(dir, camera, what));
        Self {
            near_misses: book(&config.near_misses_dir, "near-misses"),
            coverage: book(&config.coverage_dir, "coverage"),
        }
    }

    /// Whether the scene is to say what nearly was an event.
    pub(super) fn wants_near_misses(&self) -> bool {
        self.near_misses.is_some()
    }

    pub(super) fn near_miss(&mut self, miss: &NearMiss) {
        if let Some(book) = &mut self.near_misses {
            book.write(miss.nearest.time, miss);
        }
    }

    pub(super) fn coverage(&mut self, hour: &CoverageHour) {
        if let Some(book) = &mut self.coverage {
            book.write(hour.hour, hour);
        }
    }
}

/// Files of one sort, `CAMERA/2026-11-26.near-misses.jsonl`.
struct Book {
    folder: PathBuf,
    what: &'static str,
    page: Option<(String, File)>,
    has_failed: bool,
}

impl Book {
    fn new(dir: &Path, camera: &CameraId, what: &'static str) -> Self {
        let mut book = Self {
            folder: dir.join(camera.as_str()),
            what,
            page: None,
            has_failed: false,
        };
        // At once: who asked for it sees that it is there, or reads why not.
        if let Err(error) = std::fs::create_dir_all(&book.folder) {
            book.fail(&error);
        }
        book
    }

    fn write(&mut self, at: EventTime, line: &impl Serialize) {
        match self.try_write(at, line) {
            Ok(()) => self.has_failed = false,
            Err(error) => {
                self.page = None;
                self.fail(&error);
            }
        }
    }

    fn fail(&mut self, error: &std::io::Error) {
        if !std::mem::replace(&mut self.has_failed, true) {
            tracing::error!(
                dir = %self.folder.display(), %error,
                "{} are not kept; give the disk room or correct [record]", self.what
            );
        }
    }

    fn try_write(&mut self, at: EventTime, line: &impl Serialize) -> std::io::Result<()> {
        let mut text = serde_json::to_vec(line)?;
        text.push(b'\n');
        let day: String = at.to_string().chars().take(10).collect();
        if self.page.as_ref().is_none_or(|(open, _)| *open != day) {
            std::fs::create_dir_all(&self.folder)?;
            let path = self.folder.join(format!("{day}.{}.jsonl", self.what));
            let file = File::options().create(true).append(true).open(path)?;
            self.page = Some((day, file));
            self.forget_old()?;
        }
        match &mut self.page {
            Some((_, file)) => file.write_all(&text),
            None => Ok(()),
        }
    }

    /// Deletes all but the newest days.
    fn forget_old(&self) -> std::io::Result<()> {
        let suffix = format!(".{}.jsonl", self.what);
        let mut pages = Vec::new();
        for entry in std::fs::read_dir(&self.folder)? {
            let path = entry?.path();
            if path.to_string_lossy().ends_with(&suffix) {
                pages.push(path);
            }
        }
        pages.sort();
        for path in pages.iter().rev().skip(KEPT_DAYS) {
            std::fs::remove_file(path)?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn there_is_a_file_for_each_day_and_only_the_newest_stay() {
        let dir = tempfile::tempdir().unwrap();
        let camera = CameraId::new("gate").unwrap();
        let mut book = Book::new(dir.path(), &camera, "coverage");
        assert!(dir.path().join("gate").is_dir(), "not there from the start");
        for hour in 0..24 * 40_i64 {
            let at = EventTime::from_micros(hour * 3_600_000_000);
            book.write(at, &hour);
        }
        let mut pages: Vec<String> = std::fs::read_dir(dir.path().join("gate"))
            .unwrap()
            .map(|entry| entry.unwrap().file_name().to_string_lossy().into_owned())
            .collect();
        pages.sort();
        assert_eq!(pages.len(), KEPT_DAYS);
        assert_eq!(pages.last().unwrap(), "1970-02-09.coverage.jsonl");
        let last = dir.path().join("gate").join(pages.last().unwrap());
        assert_eq!(std::fs::read_to_string(last).unwrap().lines().count(), 24);
    }
}
