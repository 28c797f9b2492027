//! Whether the box can keep what happens, found without leaving a trace.
//!
//! An outbox is never made here: `check` is run by a technician, perhaps as
//! root, and the agent that comes after could not write what root has made. One
//! that is there is opened as the agent would, and let go again.

use std::fs::File;
use std::path::Path;

use edge_uplink::{Outbox, OutboxError};

use super::{Finding, Outcome};
use crate::config::StoreConfig;

const MIB: u64 = 1024 * 1024;
/// With less than this the database alone will soon be in trouble.
const LEAST_FREE: u64 = 64 * MIB;

/// Looks at the folder of outbox and evidence.
pub(super) fn look(config: &StoreConfig) -> Finding {
    Finding {
        part: format!("store {}", config.dir.display()),
        outcome: outcome(config),
    }
}

fn outcome(config: &StoreConfig) -> Outcome {
    let dir = &config.dir;
    let (words, used) = if Outbox::is_in(dir) {
        match Outbox::open(dir, config.disk_budget()) {
            Ok(outbox) => {
                let status = outbox.status();
                (
                    format!("{} message(s) waiting for the centre", outbox.waiting()),
                    status.used_bytes,
                )
            }
            Err(OutboxError::InUse { .. }) => {
                ("in use by the edge-agent that runs here".to_owned(), 0)
            }
            Err(error) => return Outcome::Failed(error.to_string()),
        }
    } else {
        // `run` makes the folder; so whoever is above it must let us.
        let Some(there) = folder_above(dir) else {
            return Outcome::Failed("no folder above it exists; correct `store.dir`".to_owned());
        };
        if let Err(error) = try_writing(there) {
            return Outcome::Failed(format!(
                "{} cannot be written: {error}; give it to the agent's user, or choose another \
                 `store.dir`",
                there.display()
            ));
        }
        ("empty, can be written".to_owned(), 0)
    };
    with_free_space(&words, dir, config.budget_mib.saturating_sub(used / MIB))
}

/// The first that is there. Above a name alone is the folder of who asks.
fn folder_above(dir: &Path) -> Option<&Path> {
    dir.ancestors()
        .map(|above| {
            if above == Path::new("") {
                Path::new(".")
            } else {
                above
            }
        })
        .find(|above| above.is_dir())
}

/// Makes a file of its own, and takes it away.
fn try_writing(folder: &Path) -> std::io::Result<()> {
    let path = folder.join(format!(".edge-agent-check-{}", std::process::id()));
    let written = File::options()
        .write(true)
        .create_new(true)
        .open(&path)
        .map(drop);
    match written {
        Ok(()) => std::fs::remove_file(&path),
        Err(error) => Err(error),
    }
}

fn with_free_space(words: &str, dir: &Path, wanted_mib: u64) -> Outcome {
    let there = folder_above(dir);
    let disk = there.map(nix::sys::statvfs::statvfs);
    let Some(Ok(disk)) = disk else {
        return Outcome::Noted(format!(
            "{words}; how much space is free cannot be found out"
        ));
    };
    // The types differ between platforms.
    #[allow(clippy::useless_conversion, clippy::unnecessary_cast)]
    let free = (disk.blocks_available() as u64).saturating_mul(disk.fragment_size() as u64);
    judge_free_space(words, free, wanted_mib)
}

fn judge_free_space(words: &str, free: u64, wanted_mib: u64) -> Outcome {
    let free_mib = free / MIB;
    if free < LEAST_FREE {
        Outcome::Failed(format!(
            "{words}, but only {free_mib} MiB are free; make room, or choose a `store.dir` on \
             another disk"
        ))
    } else if free_mib < wanted_mib {
        Outcome::Noted(format!(
            "{words}; {free_mib} MiB are free, and evidence may take {wanted_mib} MiB more: when \
             the disk is full the oldest is given up, so lower `budget_mib` or make room"
        ))
    } else {
        Outcome::Good(format!("{words}, {free_mib} MiB free"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn config(dir: &Path) -> StoreConfig {
        StoreConfig {
            dir: dir.to_owned(),
            budget_mib: 1,
            ..StoreConfig::default()
        }
    }

    fn names(dir: &Path) -> Vec<std::ffi::OsString> {
        std::fs::read_dir(dir)
            .unwrap()
            .map(|entry| entry.unwrap().file_name())
            .collect()
    }

    #[test]
    fn looking_leaves_nothing_behind() {
        let dir = tempfile::tempdir().unwrap();
        let store = dir.path().join("a/b");
        for store in [store.as_path(), dir.path()] {
            let outcome = outcome(&config(store));
            assert!(!matches!(outcome, Outcome::Failed(_)), "{outcome:?}");
            assert!(names(dir.path()).is_empty());
        }
    }

    /// `edge-agent check box.toml`, in the folder of that file, called a sound store a failure.
    #[test]
    fn a_store_beside_a_configuration_that_is_named_without_a_folder_is_found() {
        let there = |dir: &'static str| folder_above(Path::new(dir));
        assert_eq!(there("no-such-store"), Some(Path::new(".")));
        assert_eq!(there("no-such-store/below"), Some(Path::new(".")));
        assert_eq!(there("/proc/none/such"), Some(Path::new("/proc")));
    }

    #[test]
    fn an_outbox_that_is_there_tells_how_it_is() {
        let dir = tempfile::tempdir().unwrap();
        let config = config(dir.path());
        let told = || match outcome(&config) {
            Outcome::Good(words) | Outcome::Noted(words) => words,
            Outcome::Failed(reason) => panic!("{reason}"),
        };
        let running = Outbox::open(dir.path(), config.disk_budget()).unwrap();
        assert!(told().starts_with("in use by the edge-agent"), "{}", told());
        drop(running);
        assert!(told().starts_with("0 message(s) waiting"), "{}", told());
    }

    #[test]
    fn a_store_that_cannot_be_is_a_failure() {
        // Not even root can make a file there.
        let outcome = outcome(&config(Path::new("/proc/none/such")));
        let Outcome::Failed(reason) = outcome else {
            panic!("{outcome:?}");
        };
        assert!(reason.contains("/proc cannot be written"), "{reason}");
    }

    #[test]
    fn free_space_is_weighed_against_what_evidence_may_take() {
        for (free_mib, expected) in [
            (10, "w, but only 10 MiB are free"),
            (
                100,
                "w; 100 MiB are free, and evidence may take 200 MiB more",
            ),
            (300, "w, 300 MiB free"),
        ] {
            let outcome = judge_free_space("w", free_mib * MIB, 200);
            let (Outcome::Good(words) | Outcome::Noted(words) | Outcome::Failed(words)) = &outcome;
            assert!(words.starts_with(expected), "{outcome:?}");
            assert_eq!(matches!(outcome, Outcome::Failed(_)), free_mib == 10);
        }
    }
}
