//! The keys that somebody verifies with.

use std::fs;
use std::io::Read as _;
use std::path::{Path, PathBuf};

use crate::key::{KeyError, PublicKey};
use crate::ring::{KeyRing, MAX_RING_BYTES, RingError, Trust};

/// Why a key file cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum KeyFileError {
    /// It cannot be read.
    #[error("{0}: {1}")]
    File(PathBuf, std::io::Error),
    /// It is a private key.
    #[error(
        "{0} is a private key, which never leaves its box; use what `edge-agent keys export` writes"
    )]
    Private(PathBuf),
    /// It is no public key.
    #[error("{0}: {1}")]
    Key(PathBuf, KeyError),
    /// It is no key list.
    #[error("{0}: {1}")]
    Ring(PathBuf, RingError),
    /// A folder without keys.
    #[error("{0} holds no public key (*.pem) and no key list (*.json)")]
    Empty(PathBuf),
    /// Nothing was given.
    #[error("which box shall have signed it? give --key PUBLIC.pem, a key list, or --keys FOLDER")]
    None,
}

/// Reads public keys (PEM) and key lists (JSON): each of `files`, and whatever
/// of the two lies in each of `folders`. Private keys in a folder are passed over.
pub fn read_keys(files: &[PathBuf], folders: &[PathBuf]) -> Result<Trust, KeyFileError> {
    let mut trust = Trust::default();
    for file in files {
        read(file, &mut trust)?;
    }
    for folder in folders {
        let failed = |error| KeyFileError::File(folder.clone(), error);
        let mut paths = Vec::new();
        for entry in fs::read_dir(folder).map_err(failed)? {
            paths.push(entry.map_err(failed)?.path());
        }
        paths.sort_unstable();
        paths.retain(|path| {
            let suffix = path.extension().and_then(|suffix| suffix.to_str());
            matches!(suffix, Some("pem" | "json"))
        });
        let before = trust.ids().len();
        for path in &paths {
            match read(path, &mut trust) {
                Ok(()) | Err(KeyFileError::Private(_)) => {}
                Err(error) => return Err(error),
            }
        }
        if trust.ids().len() == before && paths.is_empty() {
            return Err(KeyFileError::Empty(folder.clone()));
        }
    }
    if trust.ids().is_empty() {
        return Err(KeyFileError::None);
    }
    Ok(trust)
}

fn read(path: &Path, trust: &mut Trust) -> Result<(), KeyFileError> {
    let mut text = Vec::new();
    fs::File::open(path)
        .and_then(|file| file.take(MAX_RING_BYTES as u64 + 1).read_to_end(&mut text))
        .map_err(|error| KeyFileError::File(path.to_owned(), error))?;
    if text.first() == Some(&b'{') {
        let ring =
            KeyRing::parse(&text).map_err(|error| KeyFileError::Ring(path.to_owned(), error))?;
        trust.add_ring(&ring);
        return Ok(());
    }
    let text = String::from_utf8_lossy(&text);
    if text.contains("PRIVATE KEY") {
        return Err(KeyFileError::Private(path.to_owned()));
    }
    let key =
        PublicKey::from_pem(&text).map_err(|error| KeyFileError::Key(path.to_owned(), error))?;
    trust.add_key(key);
    Ok(())
}
