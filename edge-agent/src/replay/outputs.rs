//! The files that a replay writes: none of them over what it reads, each under
//! its name only when the replay came to its end.

use std::io::{BufWriter, Write};
use std::path::{Path, PathBuf};

use anyhow::{Context as _, bail};

use super::{CannotBeMeant, ReplayRequest};
use crate::draft::{self, Draft};
use crate::recording::RecordingWriter;

/// Everything that a replay writes.
pub(super) struct Files {
    pub(super) events: EventLines,
    pub(super) speeds: Option<EventLines>,
    pub(super) near_misses: Option<EventLines>,
    pub(super) coverage: Option<EventLines>,
    pub(super) shadow: Option<EventLines>,
    pub(super) recorder: Option<RecordingWriter>,
}

impl Files {
    pub(super) fn create(request: &ReplayRequest) -> anyhow::Result<Self> {
        let lines = |path: &Option<PathBuf>| -> anyhow::Result<Option<EventLines>> {
            let path = path.as_deref();
            path.map(|path| EventLines::create(Some(path))).transpose()
        };
        Ok(Self {
            events: EventLines::create(request.events.as_deref())?,
            speeds: lines(&request.speeds)?,
            near_misses: lines(&request.near_misses)?,
            coverage: lines(&request.coverage)?,
            shadow: lines(&request.shadow)?,
            recorder: request
                .record_inputs
                .as_deref()
                .map(RecordingWriter::create)
                .transpose()?,
        })
    }

    pub(super) fn finish(self) -> anyhow::Result<()> {
        self.events.finish()?;
        let lines = [self.speeds, self.near_misses, self.coverage, self.shadow];
        for lines in lines.into_iter().flatten() {
            lines.finish()?;
        }
        self.recorder.map(RecordingWriter::finish).transpose()?;
        Ok(())
    }

    /// Closes unfinished files; where they are, in words. Where nothing came at all none is left.
    pub(super) fn leave(self) -> anyhow::Result<String> {
        let lines = [self.speeds, self.near_misses, self.coverage, self.shadow];
        let lines: Vec<EventLines> = [Some(self.events)]
            .into_iter()
            .chain(lines)
            .flatten()
            .collect();
        let is_empty = lines.iter().all(|lines| lines.is_empty)
            && self.recorder.as_ref().is_none_or(RecordingWriter::is_empty);
        let mut left = Vec::new();
        for lines in lines {
            left.extend(lines.leave_unfinished(is_empty)?);
        }
        if let Some(recorder) = self.recorder {
            let name = recorder.path().to_owned();
            left.push(if is_empty {
                recorder.discard()?;
                name
            } else {
                recorder.leave_unfinished()?
            });
        }
        let listed = |paths: Vec<String>| paths.join(" and ");
        let shown = |path: &PathBuf| path.display().to_string();
        if left.is_empty() {
            return Ok(String::new());
        }
        let so_far = if is_empty {
            "nothing came so far".to_owned()
        } else {
            let parts = listed(left.iter().map(shown).collect());
            format!("what came so far is in {parts}")
        };
        // Who reads them by their names must not take them for this replay's.
        let names = left.iter().map(|part| draft::without_part(part));
        let earlier: Vec<String> = names
            .filter(|name| name.exists() && !draft::is_stream(name))
            .map(|name| shown(&name))
            .collect();
        let earlier = if earlier.is_empty() {
            String::new()
        } else {
            format!(
                "; as an earlier replay or another command left it is {}",
                listed(earlier)
            )
        };
        Ok(format!("; {so_far}{earlier}"))
    }
}

/// Events and the like as JSON lines, on standard output or in a file of their own.
pub(super) struct EventLines {
    lines: Box<dyn Write>,
    file: Option<(Draft, PathBuf)>,
    is_empty: bool,
}

impl EventLines {
    pub(super) fn create(path: Option<&Path>) -> anyhow::Result<Self> {
        let Some(path) = path else {
            let lines = Box::new(BufWriter::new(std::io::stdout()));
            return Ok(Self {
                lines,
                file: None,
                is_empty: true,
            });
        };
        let (draft, file) =
            Draft::create(path).with_context(|| format!("cannot write {}", path.display()))?;
        Ok(Self {
            lines: Box::new(BufWriter::new(file)),
            file: Some((draft, path.to_owned())),
            is_empty: true,
        })
    }

    pub(super) fn write(&mut self, line: &impl serde::Serialize) -> anyhow::Result<()> {
        self.is_empty = false;
        serde_json::to_writer(&mut *self.lines, line)
            .map_err(std::io::Error::from)
            .and_then(|()| self.lines.write_all(b"\n"))
            .context("cannot write the events")
    }

    fn finish(mut self) -> anyhow::Result<()> {
        self.lines.flush().context("cannot write the events")?;
        match self.file {
            Some((draft, path)) => draft
                .keep()
                .with_context(|| format!("cannot write {}", path.display())),
            None => Ok(()),
        }
    }

    /// Where the file is, or where it would have been; `None` for standard output.
    fn leave_unfinished(mut self, is_discarded: bool) -> anyhow::Result<Option<PathBuf>> {
        self.lines.flush().context("cannot write the events")?;
        let Some((draft, path)) = self.file else {
            return Ok(None);
        };
        if !is_discarded {
            return Ok(Some(draft.leave()));
        }
        draft
            .discard()
            .with_context(|| format!("cannot remove what is begun of {}", path.display()))?;
        Ok(Some(path))
    }
}

/// Refuses to write over what is read, and two things into one file.
pub(super) fn refuse_collisions(request: &ReplayRequest) -> anyhow::Result<()> {
    let mut taken = vec![
        ("what is replayed", place_of(request.source.path())),
        ("--config", place_of(&request.config)),
    ];
    let outputs = [
        ("--events", &request.events),
        ("--speeds", &request.speeds),
        ("--annotate", &request.annotate),
        ("--record-inputs", &request.record_inputs),
        ("--near-misses", &request.near_misses),
        ("--coverage", &request.coverage),
        ("--shadow", &request.shadow),
        ("--evidence", &request.evidence),
    ];
    for (option, path) in outputs {
        let Some(path) = path.as_deref().filter(|path| !draft::is_stream(path)) else {
            continue;
        };
        // The draft beside it is written as well.
        let place = place_of(path);
        for place in [draft::part_of(&place), place] {
            if let Some((other, _)) = taken.iter().find(|(_, used)| *used == place) {
                bail!(CannotBeMeant(format!(
                    "{option} {} would overwrite {other}; give another name",
                    path.display()
                )));
            }
            taken.push((option, place));
        }
    }
    Ok(())
}

/// Where `path` truly is, whether or not it is there yet.
fn place_of(path: &Path) -> PathBuf {
    let in_folder = || {
        let folder = match path.parent() {
            Some(folder) if folder != Path::new("") => folder,
            _ => Path::new("."),
        };
        Some(std::fs::canonicalize(folder).ok()?.join(path.file_name()?))
    };
    std::fs::canonicalize(path)
        .ok()
        .or_else(in_folder)
        .unwrap_or_else(|| path.to_owned())
}
