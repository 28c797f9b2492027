//! A provider that is lost at work: a driver that was reset, a device that is gone.
//!
//! A look on which the runtime fails, or of whose answer nothing is a number, may be the
//! picture's fault; several in a row are the provider's. Then the network is loaded anew, on the next provider
//! of the list; where there is none, on the same one, since a device that was
//! reset may come back, and each time after twice as many failures as before.
//! The provider that was lost is not tried again until the program starts anew: a
//! box that changes back and forth is worse than a slow one.

use std::path::{Path, PathBuf};

use models::{Manifest, ModelId};

use crate::digest;
use crate::error::DetectorError;
use crate::provider::Provider;
use crate::runtime::Runtime;
use crate::session::{DetectorSettings, Refusal};

/// So many failures in a row are a loss.
const LOST_AFTER: u32 = 3;
/// Where there is no other provider, at most so many failures between two attempts.
const MOST_FAILURES: u32 = 1024;

/// Where a network comes from, to load it anew.
#[derive(Clone, Debug)]
pub(crate) struct Origin {
    pub(crate) runtime: Runtime,
    pub(crate) file: PathBuf,
    pub(crate) settings: DetectorSettings,
    /// The provider at work, by its place in the list.
    pub(crate) place: usize,
}

impl Origin {
    pub(crate) fn new(runtime: &Runtime, file: &Path, settings: &DetectorSettings) -> Self {
        Self {
            runtime: runtime.clone(),
            file: file.to_owned(),
            settings: settings.clone(),
            place: 0,
        }
    }

    /// The file's bytes. Read once, so that what was checked is what runs.
    pub(crate) fn read(&self, manifest: &Manifest) -> Result<Vec<u8>, DetectorError> {
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

/// Where a network comes from, and how its providers have done.
#[derive(Debug)]
pub(crate) struct Standing {
    pub(crate) origin: Origin,
    /// Providers that come before the one at work and do not work.
    pub(crate) refusals: Vec<Refusal>,
    /// Runs in a row on which the provider failed.
    failures: u32,
    losses: u64,
}

/// A provider was lost: from where on the network is to be loaded anew.
#[derive(Debug)]
pub(crate) struct Lost {
    pub(crate) origin: Origin,
    pub(crate) refusals: Vec<Refusal>,
    pub(crate) reason: String,
}

impl Standing {
    pub(crate) fn new(origin: Origin, refusals: Vec<Refusal>) -> Self {
        Self {
            origin,
            refusals,
            failures: 0,
            losses: 0,
        }
    }

    /// How often a provider was lost at work.
    pub(crate) const fn losses(&self) -> u64 {
        self.losses
    }

    /// Notes how `provider` did on what no other picture can be blamed for.
    pub(crate) fn note(
        &mut self,
        outcome: Result<(), &DetectorError>,
        provider: Provider,
    ) -> Option<Lost> {
        let message = match outcome {
            Ok(()) => {
                self.failures = 0;
                return None;
            }
            Err(DetectorError::Inference { message, .. }) => message.clone(),
            // Loaded anew on the same provider it would compute the same.
            Err(error) if error.is_no_numbers() && self.has_next() => error.to_string(),
            Err(_) => return None,
        };
        self.failures += 1;
        if self.failures < self.patience() {
            return None;
        }
        let reason = format!(
            "it failed at work, {} times in a row: {message}; check its driver and power, \
             then restart the agent to use it again",
            self.failures
        );
        self.losses += 1;
        self.failures = 0;
        let mut refusals = self.refusals.clone();
        let mut origin = self.origin.clone();
        if self.has_next() {
            origin.place += 1;
            refusals.push(Refusal {
                provider,
                reason: reason.clone(),
            });
        }
        Some(Lost {
            origin,
            refusals,
            reason,
        })
    }

    /// The same losses, of the network that was loaded anew.
    pub(crate) fn with_losses_of(self, before: &Self) -> Self {
        Self {
            losses: before.losses,
            ..self
        }
    }

    fn has_next(&self) -> bool {
        let Origin {
            settings, place, ..
        } = &self.origin;
        settings.next_after(*place).is_some()
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
}

/// Says what came of loading a network anew.
pub(crate) fn tell(
    model: &ModelId,
    lost: Provider,
    anew: Result<Provider, &DetectorError>,
    reason: &str,
) {
    match anew {
        Ok(now) => {
            tracing::error!(%model, %lost, %now, "provider lost, the model was loaded anew: {reason}");
        }
        // It stays what it is, and is tried again later.
        Err(error) => {
            tracing::error!(%model, %lost, %error, "provider lost, and nothing takes its place: {reason}");
        }
    }
}
