//! A provider that is lost at work: a driver that was reset, a device that is gone.
//!
//! A look on which the runtime fails may be the picture's fault; several in a row
//! are the provider's. Then the network is loaded anew, on the next provider
//! of the list; where there is none, on the same one, since a device that was
//! reset may come back, and each time after twice as many failures as before.
//! The provider that was lost is not tried again until the program starts anew: a
//! box that changes back and forth is worse than a slow one.

use std::path::{Path, PathBuf};

use models::Manifest;

use super::Network;
use crate::digest;
use crate::error::DetectorError;
use crate::runtime::Runtime;
use crate::session::{DetectorSettings, Refusal};

/// So many failures in a row are a loss.
const LOST_AFTER: u32 = 3;
/// Where there is no other provider, at most so many failures between two attempts.
const MOST_FAILURES: u32 = 1024;

/// Where a network comes from, to load it anew.
#[derive(Clone, Debug)]
pub(super) struct Origin {
    pub(super) runtime: Runtime,
    pub(super) file: PathBuf,
    pub(super) settings: DetectorSettings,
    /// The provider at work, by its place in the list.
    pub(super) place: usize,
}

impl Origin {
    pub(super) fn new(runtime: &Runtime, file: &Path, settings: &DetectorSettings) -> Self {
        Self {
            runtime: runtime.clone(),
            file: file.to_owned(),
            settings: settings.clone(),
            place: 0,
        }
    }

    /// The file's bytes. Read once, so that what was checked is what runs.
    pub(super) fn read(&self, manifest: &Manifest) -> Result<Vec<u8>, DetectorError> {
        let bytes = std::fs::read(&self.file).map_err(|source| DetectorError::Unreadable {
            model: manifest.id.clone(),
            file: self.file.clone(),
            source,
        })?;
        let found = digest::of_bytes(&bytes);
        if found != manifest.sha256 {
            return Err(DetectorError::Differs {
                model: manifest.id.clone(),
                file: self.file.clone(),
                expected: manifest.sha256,
                found,
            });
        }
        Ok(bytes)
    }
}

impl Network {
    /// Notes how a run of `size` pictures went. One of several that fails is tried
    /// again alone before anybody is blamed.
    pub(super) fn note<T>(&mut self, outcome: &Result<T, DetectorError>, size: usize) {
        match outcome {
            Ok(_) => self.failures = 0,
            Err(DetectorError::Inference { message, .. }) if size == 1 => {
                self.failures += 1;
                if self.failures >= self.patience() {
                    let reason = format!(
                        "it failed at work, {} times in a row: {message}; check its driver and power, \
                         then restart the agent to use it again",
                        self.failures
                    );
                    self.go_on(&reason);
                }
            }
            Err(_) => {}
        }
    }

    fn has_next(&self) -> bool {
        let candidates = self.origin.settings.providers.candidates();
        self.origin.place + 1 < candidates.len()
    }

    /// How many failures in a row are borne.
    fn patience(&self) -> u32 {
        if self.has_next() {
            return LOST_AFTER;
        }
        let losses = u32::try_from(self.losses).unwrap_or(u32::MAX);
        LOST_AFTER
            .saturating_mul(2_u32.saturating_pow(losses))
            .min(MOST_FAILURES)
    }

    /// Loads the network anew. When that fails, it stays what it is, and is tried again later.
    fn go_on(&mut self, reason: &str) {
        self.losses += 1;
        self.failures = 0;
        let lost = self.provider;
        let mut refusals = self.refusals.clone();
        let mut origin = self.origin.clone();
        if self.has_next() {
            origin.place += 1;
            refusals.push(Refusal {
                provider: lost,
                reason: reason.to_owned(),
            });
        }
        let model = self.manifest().id.clone();
        match Self::open(&self.reader.manifest, origin, refusals) {
            Ok(anew) => {
                let losses = self.losses;
                *self = Self { losses, ..anew };
                tracing::error!(
                    %model, %lost, now = %self.provider,
                    "provider lost, the model was loaded anew: {reason}"
                );
            }
            Err(error) => {
                tracing::error!(%model, %lost, %error, "provider lost, and nothing takes its place: {reason}");
            }
        }
    }
}
