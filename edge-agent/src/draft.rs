//! A file that has its name only once it is whole.
//!
//! A replay that fails in the middle must not leave half a recording under a
//! name that the next command takes for a whole one, nor destroy the one that
//! stood there. So everything is written to `NAME.part` and renamed at the end.

use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};

/// What the name ends in until the file is whole.
const PART: &str = "part";

/// Where `name` is written until it is whole.
pub(crate) fn part_of(name: &Path) -> PathBuf {
    let mut part = name.as_os_str().to_owned();
    part.push(".");
    part.push(PART);
    PathBuf::from(part)
}

/// `name` as it will be once it is whole.
pub(crate) fn without_part(name: &Path) -> PathBuf {
    if name.extension().is_some_and(|extension| extension == PART) {
        name.with_extension("")
    } else {
        name.to_owned()
    }
}

/// Whether `path` is a pipe, a terminal or a device: written as it is, because
/// there is nothing to replace.
pub(crate) fn is_stream(path: &Path) -> bool {
    std::fs::metadata(path).is_ok_and(|found| !found.is_file() && !found.is_dir())
}

/// A file that is being written.
#[derive(Debug)]
pub(crate) struct Draft {
    name: PathBuf,
    /// `None` for a stream.
    part: Option<PathBuf>,
}

impl Draft {
    /// Makes `NAME.part`, emptied when an earlier attempt has left one.
    pub(crate) fn create(name: &Path) -> io::Result<(Self, File)> {
        if is_stream(name) {
            let file = File::options().write(true).open(name)?;
            let name = name.to_owned();
            return Ok((Self { name, part: None }, file));
        }
        if name.is_dir() {
            return Err(io::ErrorKind::IsADirectory.into());
        }
        // A link stays a link; what it points to is replaced.
        let name = std::fs::canonicalize(name).unwrap_or_else(|_| name.to_owned());
        let part = part_of(&name);
        let file = File::create(&part)?;
        let part = Some(part);
        Ok((Self { name, part }, file))
    }

    /// It is whole: gives it its name.
    pub(crate) fn keep(self) -> io::Result<()> {
        match self.part {
            Some(part) => std::fs::rename(part, self.name),
            None => Ok(()),
        }
    }

    /// It stays unfinished; where it is.
    pub(crate) fn leave(self) -> PathBuf {
        self.part.unwrap_or(self.name)
    }

    /// Nothing came of it, and nothing is left.
    pub(crate) fn discard(self) -> io::Result<()> {
        self.part.map_or(Ok(()), std::fs::remove_file)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write as _;

    #[test]
    fn what_stood_there_stays_until_the_new_file_is_whole() {
        let dir = tempfile::tempdir().unwrap();
        let name = dir.path().join("events.jsonl");
        std::fs::write(&name, "old").unwrap();
        let link = dir.path().join("link.jsonl");
        std::os::unix::fs::symlink(&name, &link).unwrap();

        let (draft, mut file) = Draft::create(&link).unwrap();
        file.write_all(b"half").unwrap();
        assert_eq!(
            draft.leave(),
            part_of(&std::fs::canonicalize(&name).unwrap())
        );
        assert_eq!(std::fs::read_to_string(&name).unwrap(), "old");

        let (draft, mut file) = Draft::create(&link).unwrap();
        file.write_all(b"whole").unwrap();
        draft.keep().unwrap();
        assert_eq!(std::fs::read_to_string(&name).unwrap(), "whole");
        assert!(link.is_symlink() && !part_of(&name).exists());
    }

    #[test]
    fn devices_are_written_as_they_are_and_folders_are_not_files() {
        let (draft, mut file) = Draft::create(Path::new("/dev/null")).unwrap();
        file.write_all(b"gone").unwrap();
        draft.keep().unwrap();
        let dir = tempfile::tempdir().unwrap();
        let error = Draft::create(dir.path()).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::IsADirectory);
    }
}
