//! Engines that were compiled for one network, and where they are kept.
//!
//! TensorRT knows an engine again by the names in the graph, the versions of its libraries and
//! the device, and by no weight: of two trainings of one network it would take the first's for
//! the second's. So each network has a folder of its own below `engine_cache`, by the SHA-256
//! of its file.
//!
//! An engine is written in place, and a power failure leaves half of one, on which each later
//! start fails. Who fails with engines there is therefore tried once without them; only if that
//! goes well were they at fault.

use std::fs;
use std::path::{Path, PathBuf};

use crate::digest;
use crate::provider::{Provider, ProviderOptions};

/// So many digits of the SHA-256 are the folder's name.
const DIGITS: usize = 16;

/// The folder of one network.
#[derive(Debug)]
pub(crate) struct Engines(PathBuf);

/// Its engines, out of the way.
#[derive(Debug)]
pub(crate) struct SetAside {
    folder: PathBuf,
    aside: PathBuf,
}

impl Engines {
    /// Where `provider` keeps those of a network, if it does.
    pub(crate) fn of(
        options: &ProviderOptions,
        provider: Provider,
        network: &[u8],
    ) -> Option<Self> {
        let cache = options.engine_cache.as_ref();
        let cache = cache.filter(|_| provider.keeps_engines())?;
        let digest = digest::of_bytes(network).to_string();
        let name: String = digest.chars().take(DIGITS).collect();
        Some(Self(cache.join(name)))
    }

    pub(crate) fn path(&self) -> &Path {
        &self.0
    }

    /// Makes the folder; the message says what to do.
    pub(crate) fn make(&self) -> Result<(), String> {
        fs::create_dir_all(&self.0).map_err(|error| {
            format!(
                "engine cache {}: {error}; correct `engine_cache` or its permissions",
                self.0.display()
            )
        })
    }

    /// Moves what is there out of the way; none where nothing is, or it cannot be moved.
    pub(crate) fn set_aside(&self) -> Option<SetAside> {
        let is_empty = fs::read_dir(&self.0).ok()?.next().is_none();
        if is_empty {
            return None;
        }
        let aside = self.0.with_extension("aside");
        // Of a start that ended meanwhile.
        remove(&aside);
        let moved = fs::rename(&self.0, &aside);
        if let Err(error) = &moved {
            tracing::warn!(folder = %self.0.display(), %error, "engines cannot be set aside");
        }
        moved.ok()?;
        Some(SetAside {
            folder: self.0.clone(),
            aside,
        })
    }
}

impl SetAside {
    /// They were at fault.
    pub(crate) fn forget(self) {
        remove(&self.aside);
    }

    /// They were not: without them it failed as well.
    pub(crate) fn put_back(self) {
        remove(&self.folder);
        if let Err(error) = fs::rename(&self.aside, &self.folder) {
            tracing::warn!(folder = %self.aside.display(), %error, "engines cannot be put back");
        }
    }
}

fn remove(folder: &Path) {
    if let Err(error) = fs::remove_dir_all(folder)
        && error.kind() != std::io::ErrorKind::NotFound
    {
        tracing::warn!(folder = %folder.display(), %error, "not removed");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(cache: &Path, provider: Provider, network: &[u8]) -> Option<Engines> {
        let options = ProviderOptions {
            engine_cache: Some(cache.to_owned()),
            ..ProviderOptions::default()
        };
        Engines::of(&options, provider, network)
    }

    /// A box ran with the weights of the old training under the name of the new one.
    #[test]
    fn engines_of_two_networks_never_lie_in_one_folder() {
        let cache = tempfile::tempdir().unwrap();
        let path = |network: &[u8]| {
            let engines = of(cache.path(), Provider::TensorRt, network).unwrap();
            engines.path().to_owned()
        };
        assert_eq!(path(b"hanoi 1"), path(b"hanoi 1"));
        assert_ne!(path(b"hanoi 1"), path(b"hanoi 2"));
        assert_eq!(path(b"hanoi 1").parent(), Some(cache.path()));
        assert!(of(cache.path(), Provider::Cuda, b"hanoi 1").is_none());
        let nowhere = ProviderOptions::default();
        assert!(Engines::of(&nowhere, Provider::TensorRt, b"hanoi 1").is_none());
    }

    #[test]
    fn what_is_set_aside_comes_back_whole_or_is_gone() {
        let cache = tempfile::tempdir().unwrap();
        let engines = of(cache.path(), Provider::TensorRt, b"hanoi 1").unwrap();
        engines.make().unwrap();
        assert!(engines.set_aside().is_none(), "nothing is there");
        let engine = engines.path().join("one.engine");
        let other = |text: &str| {
            engines.make().unwrap();
            fs::write(&engine, text).unwrap();
        };
        other("old");
        let aside = engines.set_aside().unwrap();
        assert!(!engine.exists());
        other("half");
        aside.put_back();
        assert_eq!(fs::read_to_string(&engine).unwrap(), "old");
        let aside = engines.set_aside().unwrap();
        other("new");
        aside.forget();
        assert_eq!(fs::read_to_string(&engine).unwrap(), "new");
        // Of a start that ended in between nothing is in the way.
        drop(engines.set_aside().unwrap());
        other("newer");
        engines.set_aside().unwrap().put_back();
        assert_eq!(fs::read_to_string(&engine).unwrap(), "newer");
        assert_eq!(fs::read_dir(cache.path()).unwrap().count(), 1);
    }
}
