//! ONNX Runtime: one shared library, found and loaded once per process.
//!
//! Loaded at run time and not linked, so that the agent builds without it,
//! one binary serves every version from 1.24 on, and a box with an accelerator
//! gets another library and not another agent.

pub(crate) mod log;

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use ort::LoadDynamicError;
use ort::environment::Environment;

use crate::places;
use crate::provider::Provider;

/// Names the library, or the folder that holds it.
const VARIABLE: &str = "NGATU_ONNXRUNTIME";
/// What other programs that use ONNX Runtime read; honoured after our own.
const COMMON_VARIABLE: &str = "ORT_DYLIB_PATH";
/// Where packages put it.
const SYSTEM_FOLDERS: [&str; 3] = [
    "/usr/lib/ngatu",
    "/usr/lib/ngatu/onnxruntime",
    "/opt/ngatu/onnxruntime",
];
const LIBRARY: &str = "libonnxruntime.so";

/// A library that cannot be used, and what to do.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RuntimeError {
    /// Nobody named one, and none lies where one is expected.
    #[error(
        "ONNX Runtime was not found (looked in {}); run `make setup`, or set {VARIABLE} to the path of {LIBRARY}",
        places::listed(searched)
    )]
    NotFound {
        /// The folders that were looked into.
        searched: Vec<PathBuf>,
    },
    /// One was named, but it is not there.
    #[error("{named_by} names {}, where there is no {LIBRARY}; correct it, or run `make setup` and leave it unset", path.display())]
    NotThere {
        /// The variable or option that named it.
        named_by: &'static str,
        /// What it names.
        path: PathBuf,
    },
    /// Older than the program needs.
    #[error(
        "ONNX Runtime at {} is version {version}; {minimum} or later is needed: run `make setup`, or name a newer one with {VARIABLE}",
        path.display()
    )]
    TooOld {
        /// The library.
        path: PathBuf,
        /// What it says of itself.
        version: String,
        /// The oldest that will do.
        minimum: String,
    },
    /// Not a library, not for this machine, or not ONNX Runtime.
    #[error("{} cannot be loaded as ONNX Runtime: {message}; run `make setup` again, or name another with {VARIABLE}", path.display())]
    Broken {
        /// The library.
        path: PathBuf,
        /// What the loader says.
        message: String,
    },
    /// A process can have one only.
    #[error("ONNX Runtime is already loaded from {}; restart the program to use {}", loaded.display(), asked.display())]
    AnotherLoaded {
        /// The one at work.
        loaded: PathBuf,
        /// The one asked for.
        asked: PathBuf,
    },
}

/// The loaded library. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Runtime {
    loaded: Arc<Loaded>,
}

#[derive(Debug)]
struct Loaded {
    environment: Environment,
    path: PathBuf,
}

/// `ort` allows one environment in the life of a process, even after the first is dropped.
static LOADED: Mutex<Option<Runtime>> = Mutex::new(None);

/// With this variable, set to 1 before the library is loaded, ONNX Runtime tells nobody of its start.
///
/// From 1.29 on the library that its makers publish for Linux sends them the program's path, the
/// processor, the system and an id of the machine that it keeps on the disk. That is done while its
/// environment is being made, and the call that forbids it wants one that is made.
pub const TELLS_NOBODY: &str = "ORT_DISABLE_TELEMETRY";

impl Runtime {
    /// Finds and loads the library.
    ///
    /// In order: `path`, the variable `NGATU_ONNXRUNTIME`, the variable
    /// `ORT_DYLIB_PATH`, `.local/onnxruntime` above the current folder and above
    /// the program, the system's folders. What is named (a file, or a folder
    /// that holds one) must be there. A second call returns the first's library.
    pub fn load(path: Option<&Path>) -> Result<Self, RuntimeError> {
        let from_environment = [VARIABLE, COMMON_VARIABLE].into_iter().find_map(|name| {
            let value = std::env::var_os(name).filter(|value| !value.is_empty())?;
            Some((name, PathBuf::from(value)))
        });
        let named = path
            .map(|path| ("the configuration", path.to_owned()))
            .or(from_environment);
        let mut searched = places::local("onnxruntime");
        searched.extend(SYSTEM_FOLDERS.map(PathBuf::from));
        Self::load_from(&locate(named, searched)?)
    }

    fn load_from(library: &Path) -> Result<Self, RuntimeError> {
        let mut slot = LOADED.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(runtime) = &*slot {
            if runtime.path() == library {
                return Ok(runtime.clone());
            }
            return Err(RuntimeError::AnotherLoaded {
                loaded: runtime.path().to_owned(),
                asked: library.to_owned(),
            });
        }
        let broken = |message: String| RuntimeError::Broken {
            path: library.to_owned(),
            message,
        };
        if std::env::var_os(TELLS_NOBODY).is_none_or(|value| value.is_empty() || value == "0") {
            tracing::warn!(
                "ONNX Runtime may tell its makers of this start: set {TELLS_NOBODY}=1 in the environment"
            );
        }
        let environment = ort::init_from(library)
            .map_err(|error| match error {
                LoadDynamicError::BadVersion { version_str, .. } => RuntimeError::TooOld {
                    path: library.to_owned(),
                    version: version_str,
                    minimum: format!("1.{}", ort::MINOR_VERSION),
                },
                LoadDynamicError::Dlopen { error, .. } => broken(error.to_string()),
                LoadDynamicError::MissingApi { .. } => {
                    broken("it is some other library".to_owned())
                }
                LoadDynamicError::InvalidVersionString => {
                    broken("it does not say its version".to_owned())
                }
            })?
            .with_name("ngatu")
            // Nobody outside needs to know what a camera sees and when. By then it has told of its
            // start, where it was not forbidden before.
            .with_telemetry(false)
            .with_logger(Arc::new(log::hear))
            .build()
            .map_err(|error| broken(error.message().to_owned()))?;
        let runtime = Self {
            loaded: Arc::new(Loaded {
                environment,
                path: library.to_owned(),
            }),
        };
        *slot = Some(runtime.clone());
        Ok(runtime)
    }

    /// Version, where the library's name tells it (`libonnxruntime.so.1.31.1`),
    /// else how it was built.
    pub fn version(&self) -> String {
        version_in_name(self.path()).map_or_else(
            || format!("1.{} or later ({})", ort::MINOR_VERSION, ort::info()),
            |version| version.map(|part| part.to_string()).join("."),
        )
    }

    /// The library's file.
    pub fn path(&self) -> &Path {
        &self.loaded.path
    }

    /// The providers that it was built with, in order of preference.
    pub fn providers(&self) -> Vec<Provider> {
        let all = Provider::ALL.into_iter();
        all.filter(|provider| provider.is_in_library()).collect()
    }

    pub(crate) fn environment(&self) -> &Environment {
        &self.loaded.environment
    }
}

/// The library's file, absolute and without symbolic links, so that its name tells its version.
fn locate(
    named: Option<(&'static str, PathBuf)>,
    searched: Vec<PathBuf>,
) -> Result<PathBuf, RuntimeError> {
    let found = match named {
        Some((named_by, path)) => {
            let file = if path.is_dir() {
                newest_in(&path)
            } else {
                path.is_file().then(|| path.clone())
            };
            file.ok_or(RuntimeError::NotThere { named_by, path })?
        }
        None => searched
            .iter()
            .find_map(|folder| newest_in(folder))
            .ok_or(RuntimeError::NotFound { searched })?,
    };
    Ok(found.canonicalize().unwrap_or(found))
}

/// The library of the highest version in a folder.
fn newest_in(folder: &Path) -> Option<PathBuf> {
    std::fs::read_dir(folder)
        .ok()?
        .filter_map(|entry| Some(entry.ok()?.path()))
        .filter(|path| {
            let name = path
                .file_name()
                .and_then(|name| name.to_str())
                .unwrap_or_default();
            let suffix = name.strip_prefix(LIBRARY);
            // Not libonnxruntime.so.1.31.1.part, which set-up left when it was killed.
            suffix.is_some_and(|s| s.chars().all(|c| c == '.' || c.is_ascii_digit()))
                && path.is_file()
        })
        .max_by_key(|path| (version_in_name(path), path.clone()))
}

fn version_in_name(path: &Path) -> Option<[u32; 3]> {
    let suffix = path
        .file_name()?
        .to_str()?
        .strip_prefix(LIBRARY)?
        .strip_prefix('.')?;
    let mut parts = suffix.split('.').map(str::parse);
    let version = [
        parts.next()?.ok()?,
        parts.next()?.ok()?,
        parts.next()?.ok()?,
    ];
    parts.next().is_none().then_some(version)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;

    #[test]
    fn the_newest_library_of_a_folder_is_taken_and_leftovers_are_not() {
        let folder = tempfile::tempdir().unwrap();
        let folder = folder.path().canonicalize().unwrap();
        assert_eq!(newest_in(&folder), None);
        for name in [
            "libonnxruntime.so",
            "libonnxruntime.so.1.9.0",
            "libonnxruntime.so.1.31.1",
            "libonnxruntime.so.1.99.0.part",
            "libonnxruntime_providers_shared.so",
            "LICENSE",
        ] {
            fs::write(folder.join(name), "").unwrap();
        }
        let newest = newest_in(&folder).unwrap();
        assert_eq!(newest, folder.join("libonnxruntime.so.1.31.1"));
        assert_eq!(version_in_name(&newest), Some([1, 31, 1]));
        assert_eq!(version_in_name(&folder.join("libonnxruntime.so")), None);
    }

    #[test]
    fn what_is_named_must_be_there_even_when_another_could_be_found() {
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join("libonnxruntime.so.1.31.1"), "").unwrap();
        let searched = vec![folder.path().to_owned()];
        assert!(locate(None, searched.clone()).is_ok());
        let error = locate(Some((VARIABLE, "/nowhere/lib.so".into())), searched).unwrap_err();
        assert_eq!(
            error.to_string(),
            "NGATU_ONNXRUNTIME names /nowhere/lib.so, where there is no libonnxruntime.so; \
             correct it, or run `make setup` and leave it unset"
        );
    }

    #[test]
    fn a_missing_library_says_where_it_was_looked_for_and_how_to_get_it() {
        let error = locate(None, vec!["/nowhere".into()]).unwrap_err();
        assert_eq!(
            error.to_string(),
            "ONNX Runtime was not found (looked in /nowhere); run `make setup`, \
             or set NGATU_ONNXRUNTIME to the path of libonnxruntime.so"
        );
    }
}
