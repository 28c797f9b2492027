//! Cases at the centre: `aggregator bundle`, and what it shares with the API.
//!
//! The centre only keeps and hands over what boxes have signed. It signs
//! nothing, and a case that it hands over is verified without it.

use std::fs::File;
use std::io::Read as _;
use std::path::{Path, PathBuf};

use case_bundle::files::{WriteError, write_rest};
use case_bundle::manifest::{CaseManifest, MAX_CASE_BYTES, MAX_MEDIA, is_plain_name};
use case_bundle::{Removal, Sealed};
use protocol::{Digest, EventId};

use crate::evidence;
use crate::store::{self, EvidenceRow, StoreError};

/// `role` of a sealed manifest among an alert's evidence.
const ROLE: &str = "case_manifest";

/// Why a case cannot be handed over.
#[derive(Debug, thiserror::Error)]
pub enum CaseError {
    /// No such alert.
    #[error("no alert {0}; it may never have reached this centre")]
    NoAlert(EventId),
    /// Its box signs no cases, or the case is not here yet.
    #[error(
        "alert {0} has no signed case here; its box may still be uploading it, or be older than signed cases"
    )]
    NoCase(EventId),
    /// What the box sent is not this alert's case.
    #[error(
        "the signed case of alert {0} is of another event or cannot be read; tell whoever looks after the box"
    )]
    NotTheCase(EventId),
    /// A file of it is not here.
    #[error("file {0} of the case is not here; its box may still be uploading it")]
    NoFile(Digest),
    /// All of it is gone.
    #[error("{}", evidence::removal(*.0, .1))]
    Removed(Digest, store::Removed),
    /// The database failed.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The bundle could not be written.
    #[error(transparent)]
    Write(#[from] WriteError),
}

/// The files of an alert that should be its sealed manifest, whole ones only.
pub(crate) fn candidates(evidence: &[EvidenceRow]) -> impl Iterator<Item = Digest> + '_ {
    evidence
        .iter()
        .filter(|row| row.role == ROLE && row.is_stored && row.length <= MAX_CASE_BYTES as u64)
        .map(|row| row.sha256)
}

/// Whether a signed case was announced, here or not.
pub(crate) fn has_case(evidence: &[EvidenceRow]) -> bool {
    evidence.iter().any(|row| row.role == ROLE)
}

/// Reads a sealed manifest far enough to hand it over; the signature is the
/// verifier's business. `None` when it is not the case of `alert`, or names
/// files as no honest box would.
fn read(file: &[u8], alert: EventId) -> Option<CaseManifest> {
    let sealed = Sealed::open(file).ok()?;
    let manifest: CaseManifest = serde_json::from_slice(sealed.manifest).ok()?;
    let is_plain = manifest.media.iter().all(|item| is_plain_name(&item.name));
    (manifest.event.id == alert && is_plain && manifest.media.len() <= MAX_MEDIA)
        .then_some(manifest)
}

/// Which of the files that may be an alert's case is its case.
pub(crate) struct Newest<F> {
    alert: EventId,
    found: Option<(CaseManifest, F)>,
    is_wrong: bool,
}

impl<F: AsRef<[u8]>> Newest<F> {
    pub(crate) fn of(alert: EventId) -> Self {
        Self {
            alert,
            found: None,
            is_wrong: false,
        }
    }

    pub(crate) fn add(&mut self, file: F) {
        match read(file.as_ref(), self.alert) {
            // The last word of a box that had to make the case twice.
            Some(case)
                if (self.found.as_ref()).is_none_or(|(best, _)| best.sealed < case.sealed) =>
            {
                self.found = Some((case, file));
            }
            Some(_) => {}
            None => self.is_wrong = true,
        }
    }

    /// The case and its file, or why there is none.
    pub(crate) fn found(self, evidence: &[EvidenceRow]) -> Result<(CaseManifest, F), CaseError> {
        self.found.ok_or_else(|| {
            if self.is_wrong {
                CaseError::NotTheCase(self.alert)
            } else {
                no_case(self.alert, evidence)
            }
        })
    }
}

/// Writes the case of an alert to `out`, from the data folder of a centre,
/// which may run meanwhile.
pub fn export(data: &Path, alert: EventId, out: &Path) -> Result<CaseManifest, CaseError> {
    let detail = store::read_alert(data, alert)?.ok_or(CaseError::NoAlert(alert))?;
    let folder = data.join("evidence");
    let mut newest = Newest::of(alert);
    for digest in candidates(&detail.evidence) {
        if let Some(bytes) = read_file(&evidence::path_in(&folder, digest)) {
            newest.add(bytes);
        }
    }
    let (manifest, case) = newest.found(&detail.evidence)?;
    let mut removed = removals(&manifest, &detail.evidence);
    // The centre may run meanwhile, and a box may have sent a file again.
    removed.retain(|gone| !evidence::path_in(&folder, gone.sha256).exists());
    let mut media: Vec<(String, PathBuf)> = Vec::new();
    for item in &manifest.media {
        let path = evidence::path_in(&folder, item.sha256);
        if removed.iter().any(|gone| gone.sha256 == item.sha256) {
            continue;
        }
        if path.exists() {
            media.push((item.name.clone(), path));
        } else {
            return Err(CaseError::NoFile(item.sha256));
        }
    }
    write_rest(out, &case, &media, &removed)?;
    Ok(manifest)
}

/// What is to be said of a case's files that retention has removed.
pub(crate) fn removals(case: &CaseManifest, evidence: &[EvidenceRow]) -> Vec<Removal> {
    let mut removed: Vec<Removal> = Vec::new();
    for row in evidence {
        if let Some(gone) = &row.removed
            && case.media.iter().any(|item| item.sha256 == row.sha256)
            && removed.iter().all(|known| known.sha256 != row.sha256)
        {
            removed.push(Removal {
                sha256: row.sha256,
                at: gone.at,
                class: gone.class.clone(),
                days: gone.days,
            });
        }
    }
    removed
}

/// The refusal when an alert's case itself was removed.
fn no_case(alert: EventId, evidence: &[EvidenceRow]) -> CaseError {
    evidence
        .iter()
        .filter(|row| row.role == ROLE)
        .find_map(|row| Some(CaseError::Removed(row.sha256, row.removed.clone()?)))
        .unwrap_or(CaseError::NoCase(alert))
}

fn read_file(path: &Path) -> Option<Vec<u8>> {
    let mut bytes = Vec::new();
    let file = File::open(path).ok()?;
    file.take(MAX_CASE_BYTES as u64 + 1)
        .read_to_end(&mut bytes)
        .ok()?;
    Some(bytes)
}
