//! The description of a model: its manifest, as it stands in a folder or the catalogue.

use std::path::Path;

use models::{Manifest, ManifestError, ModelId};
use protocol::Digest;

use super::bundle::{self, BundleError};
use super::error::Fault;
use super::ledger::Candidate;
use super::signature::PublicKey;
use crate::digest;

/// A manifest as it stands in a folder or the catalogue.
#[derive(Debug)]
pub(super) struct Described {
    pub(super) manifest: Manifest,
    /// SHA-256 of its text.
    text: Digest,
}

impl Described {
    pub(super) fn parse(text: &str, folder: &str) -> Result<Self, ManifestError> {
        Ok(Self {
            manifest: Manifest::parse(text)?.expect_folder(folder)?,
            text: digest::of_bytes(text.as_bytes()),
        })
    }

    /// A loose manifest.
    pub(super) fn open(file: &Path, folder: &str) -> Result<Self, Fault> {
        let text = std::fs::read_to_string(file).map_err(|error| ManifestError::Toml {
            line: 1,
            message: error.to_string(),
        })?;
        Ok(Self::parse(&text, folder)?)
    }

    /// A version's, which must be the one that is listed beside it. Whether that listing is
    /// the one that was signed and taken in is asked where the version is to be used.
    pub(super) fn of_version(
        folder: &Path,
        id: &str,
        trusted: &[PublicKey],
    ) -> Result<Self, Fault> {
        let found = bundle::look(folder, trusted).map_err(|error| match error {
            BundleError::Manifest(error) => error.into(),
            error => Fault::Damaged(error.damage()),
        })?;
        Ok(Self {
            manifest: found.manifest.expect_folder(id)?,
            text: found.text,
        })
    }

    /// The catalogue's of this name; a test keeps the catalogue sound, so there is
    /// nobody to tell of a bad one.
    pub(super) fn in_catalogue(id: &ModelId) -> Option<Self> {
        let mut texts = models::catalogue::catalogue_texts().iter();
        let (name, text) = texts.find(|(name, _)| *name == id.as_str())?;
        Self::parse(text, name).ok()
    }

    pub(super) fn candidate(&self, version: Option<u64>) -> Candidate {
        Candidate {
            model: self.manifest.id.clone(),
            version,
            sha256: self.manifest.sha256,
            manifest: Some(self.text),
        }
    }
}
