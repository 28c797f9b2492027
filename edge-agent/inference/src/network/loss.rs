//! A provider that is lost at work: a driver that was reset, a device that is gone.
//!
//! A look on which the runtime fails, or of whose answer nothing is a number, may be the
//! picture's fault; several in a row are the provider's. Then the network is loaded anew, on the next provider
//! of the list; where there is none, on the same one, since a device that was
//! reset may come back, and each time after twice as many failures as before.
//! The provider that was lost is not tried again until the program starts anew: a
//! box that changes back and forth is worse than a slow one.
//!
//! Some devices never come back to a process that has lost them: after an error in its memory a
//! CUDA context fails in everything, and only a new process has a new one. So where nothing takes
//! the place of what was lost, and that goes on ([`FORLORN_AFTER`]), the network says so, and the
//! program may end and be started anew.

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

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

/// So many attempts to load anew must have failed, one after the other …
const FORLORN_ATTEMPTS: u32 = 3;
/// … and for so long, until there is no hope in this process: a driver that is reset is away for
/// some seconds.
const FORLORN_AFTER: Duration = Duration::from_secs(30);

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
    /// Since nothing takes the place of what was lost.
    vacancy: Option<Vacancy>,
}

/// Attempts to load anew that have failed, with no look that went well in between.
#[derive(Debug)]
struct Vacancy {
    since: Instant,
    attempts: u32,
    reason: String,
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
            vacancy: None,
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
                self.vacancy = None;
                return None;
            }
            Err(DetectorError::Inference { message, .. }) => message.clone(),
            // Loaded anew the processor would compute the same. Of anything else it is found out then
            // whether it still computes as the processor does.
            Err(error) if error.is_nonsense() && (self.has_next() || provider != Provider::Cpu) => {
                error.to_string()
            }
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

    /// It could not be loaded anew. A file that cannot be read, or is another, is no provider's fault,
    /// and would be met by the next process as well.
    pub(crate) fn not_loaded_anew(&mut self, error: &DetectorError, now: Instant) {
        if !matches!(
            error,
            DetectorError::NoProvider { .. } | DetectorError::Inference { .. }
        ) {
            return;
        }
        let vacancy = self.vacancy.get_or_insert_with(|| Vacancy {
            since: now,
            attempts: 0,
            reason: String::new(),
        });
        vacancy.attempts += 1;
        vacancy.reason = error.to_string();
    }

    /// Why nothing computes any more in this process, if that has gone on for long enough.
    pub(crate) fn forlorn(&self, now: Instant) -> Option<String> {
        let vacancy = self.vacancy.as_ref()?;
        let lasted = now.saturating_duration_since(vacancy.since);
        let is_forlorn = vacancy.attempts >= FORLORN_ATTEMPTS && lasted >= FORLORN_AFTER;
        is_forlorn.then(|| {
            format!(
                "what computes was lost, and {} attempts within {} s to load the model anew have failed: {}",
                vacancy.attempts,
                lasted.as_secs(),
                vacancy.reason
            )
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

#[cfg(test)]
mod tests {
    use super::*;

    fn nothing_computes() -> DetectorError {
        DetectorError::NoProvider {
            model: "small".parse().unwrap(),
            refusals: vec![Refusal {
                provider: Provider::Cuda,
                reason: "an illegal memory access was encountered".to_owned(),
            }],
        }
    }

    fn standing() -> Standing {
        let runtime = Runtime::load(None);
        let runtime = runtime.unwrap_or_else(|error| panic!("{error}; run `deploy/setup test`"));
        let origin = Origin::new(
            &runtime,
            Path::new("small.onnx"),
            &DetectorSettings::default(),
        );
        Standing::new(origin, Vec::new())
    }

    /// A box whose graphics processor had thrown an error looked at nothing for 22 hours: its
    /// program went on, and a new process would have had the device again.
    #[test]
    fn where_nothing_takes_the_place_of_what_was_lost_for_a_good_while_there_is_no_hope() {
        let mut standing = standing();
        let begun = Instant::now();
        let at = |seconds| begun + Duration::from_secs(seconds);
        assert_eq!(standing.forlorn(at(3600)), None);
        for second in [0, 5, 15] {
            standing.not_loaded_anew(&nothing_computes(), at(second));
            assert_eq!(standing.forlorn(at(second)), None, "a driver that is reset");
        }
        assert_eq!(standing.forlorn(at(29)), None);
        let reason = standing.forlorn(at(30)).unwrap();
        assert!(
            reason.contains("3 attempts within 30 s") && reason.contains("illegal memory"),
            "{reason}"
        );
        // It came back.
        assert!(standing.note(Ok(()), Provider::Cuda).is_none());
        assert_eq!(standing.forlorn(at(60)), None);
        standing.not_loaded_anew(&nothing_computes(), at(60));
        standing.not_loaded_anew(&nothing_computes(), at(100));
        assert_eq!(
            standing.forlorn(at(100)),
            None,
            "two attempts may be bad luck"
        );
    }

    #[test]
    fn a_file_that_is_another_is_no_provider_that_is_lost() {
        let mut standing = standing();
        let begun = Instant::now();
        for second in 0..100 {
            let error = DetectorError::Differs {
                model: "small".parse().unwrap(),
                file: PathBuf::from("small.onnx"),
                expected: protocol::Digest([0; 32]),
                found: protocol::Digest([1; 32]),
            };
            let now = begun + Duration::from_secs(second);
            standing.not_loaded_anew(&error, now);
            assert_eq!(standing.forlorn(now), None);
        }
    }
}
