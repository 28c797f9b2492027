//! What is wrong with a configuration file: every fault, each with its key and line.

use std::fmt;
use std::path::{Path, PathBuf};

/// One thing to mend.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConfigFault {
    /// Line in the file, from 1, where the key (or what should hold it) stands.
    pub line: Option<usize>,
    /// Dotted key, for example `camera[1].rule[0].min_dwell_s`.
    pub path: String,
    /// What is wrong and what to write instead.
    pub message: String,
}

/// All that is wrong with one file.
#[derive(Debug, thiserror::Error)]
pub struct ConfigFaults {
    /// Which file.
    pub file: PathBuf,
    /// In the order of their lines.
    pub faults: Vec<ConfigFault>,
}

impl ConfigFaults {
    /// One fault that has no place in the file, for example that it cannot be read.
    pub fn whole_file(file: &Path, message: impl Into<String>) -> Self {
        let fault = ConfigFault {
            line: None,
            path: String::new(),
            message: message.into(),
        };
        Self {
            file: file.to_owned(),
            faults: vec![fault],
        }
    }
}

impl fmt::Display for ConfigFaults {
    /// `FILE:LINE: KEY: MESSAGE`, a line each, so that an editor can jump there.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, fault) in self.faults.iter().enumerate() {
            if index > 0 {
                writeln!(f)?;
            }
            write!(f, "{}", self.file.display())?;
            if let Some(line) = fault.line {
                write!(f, ":{line}")?;
            }
            if !fault.path.is_empty() {
                write!(f, ": {}", fault.path)?;
            }
            write!(f, ": {}", fault.message)?;
        }
        Ok(())
    }
}
