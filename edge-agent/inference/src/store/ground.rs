//! What a model computes on, and what becomes of that: a model that has proven itself on
//! one provider of one library has not on another.
//!
//! A new provider, device or ONNX Runtime is on trial with the model. If the program ends,
//! or the self-test fails, while a model computes on it that had proven itself elsewhere,
//! it is at fault and not the model: the next provider of the list takes its place.
//!
//! A new driver is not known from the one before it. So a proven model that fails its self-test
//! where it had proven itself is shown to the next of the list first, and given up only if none
//! is left.

use std::fmt;

use protocol::EventTime;
use serde::{Deserialize, Serialize};

use super::journal;
use super::ledger::Candidate;
use super::trial::ATTEMPTS;
use crate::provider::Provider;
use crate::runtime::Runtime;
use crate::session::{DetectorSettings, Refusal};

/// Grounds of one kind that are remembered.
const REMEMBERED: usize = 8;

/// What a model computes on.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Ground {
    /// By its word in configurations.
    pub provider: String,
    /// Which device, where it was named.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub device: Option<String>,
    /// The library's version.
    pub onnxruntime: String,
}

impl Ground {
    /// `provider` of the loaded library.
    pub fn of(runtime: &Runtime, settings: &DetectorSettings, provider: Provider) -> Self {
        let device = settings.options.device.clone();
        Self {
            provider: provider.word().to_owned(),
            device: device.filter(|_| provider != Provider::Cpu),
            onnxruntime: runtime.version(),
        }
    }

    /// Whether it is the processor, which computes right if anything does.
    pub fn is_processor(&self) -> bool {
        self.provider == Provider::Cpu.word()
    }

    /// What it computes on after this was lost; none where it is the same.
    pub(super) fn moved_to(&self, provider: Provider) -> Option<Self> {
        (self.provider != provider.word()).then(|| Self {
            provider: provider.word().to_owned(),
            device: self.device.clone().filter(|_| provider != Provider::Cpu),
            onnxruntime: self.onnxruntime.clone(),
        })
    }

    /// Everything that may compute, in the order in which it is tried. What the library was
    /// built without, or is left out, is no ground: it ends no program.
    pub fn all(runtime: &Runtime, settings: &DetectorSettings) -> Vec<Self> {
        let candidates = settings.providers.candidates().into_iter();
        candidates
            .filter(|provider| provider.is_in_library())
            .filter(|provider| settings.left.iter().all(|left| left.provider != *provider))
            .map(|provider| Self::of(runtime, settings, provider))
            .collect()
    }
}

impl fmt::Display for Ground {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let device = self.device.as_deref().map(|device| format!(" {device}"));
        write!(
            f,
            "{}{} of ONNX Runtime {}",
            self.provider,
            device.unwrap_or_default(),
            self.onnxruntime
        )
    }
}

/// A ground that is left, with a model that had proven itself on another.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct FailedGround {
    /// Which.
    #[serde(flatten)]
    pub ground: Ground,
    /// Why.
    pub reason: String,
    /// When.
    pub at: EventTime,
}

impl FailedGround {
    /// As a network tells it of what it does not compute on.
    pub fn refusal(&self) -> Option<Refusal> {
        Some(Refusal {
            provider: self.ground.provider.parse().ok()?,
            reason: format!("it was left on {}: {}", self.at, self.reason),
        })
    }
}

/// Starts on a ground that is new.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct TriedGround {
    /// Which.
    #[serde(flatten)]
    pub ground: Ground,
    /// How often the program has ended on it so far.
    pub attempts: u32,
}

/// What stands on the disk of grounds.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct GroundLedger {
    /// Those on which the last good detector has proven itself. None where an agent wrote
    /// the ledger that did not note it.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub proven: Vec<Ground>,
    /// The one that is on trial with the detector.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub trial: Option<Ground>,
    /// Those on trial.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub tried: Vec<TriedGround>,
    /// Those that are left.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub failed: Vec<FailedGround>,
}

impl GroundLedger {
    pub(super) fn is_empty(&self) -> bool {
        *self == Self::default()
    }

    /// Those of `all` that are to be tried, and those that are left. A box that has left
    /// everything goes on trying.
    pub(super) fn split(&self, all: &[Ground]) -> (Vec<Ground>, Vec<FailedGround>) {
        let is_left = |ground: &Ground| self.failed.iter().any(|left| left.ground == *ground);
        if all.iter().all(is_left) {
            return (all.to_vec(), Vec::new());
        }
        let allowed = all.iter().filter(|ground| !is_left(ground)).cloned();
        let left = self.failed.iter().filter(|left| all.contains(&left.ground));
        (allowed.collect(), left.cloned().collect())
    }

    /// Counts an end of the program on a ground, or a start that may be one; how many.
    pub(super) fn count(&mut self, ground: &Ground) -> u32 {
        if let Some(tried) = self.tried.iter_mut().find(|t| t.ground == *ground) {
            tried.attempts += 1;
            return tried.attempts;
        }
        self.tried.push(TriedGround {
            ground: ground.clone(),
            attempts: 1,
        });
        keep_newest(&mut self.tried);
        1
    }

    fn attempts(&self, ground: &Ground) -> u32 {
        let tried = self.tried.iter().find(|tried| tried.ground == *ground);
        tried.map_or(0, |tried| tried.attempts)
    }

    /// Counts a start on a new ground; `Err` when it has had enough and there is another.
    pub(super) fn admit(&mut self, ground: &Ground, has_other: bool) -> Result<(), String> {
        let attempts = self.attempts(ground);
        if attempts >= ATTEMPTS && has_other {
            return Err(format!(
                "the program ended {attempts} times on it, with a model that had proven itself on another"
            ));
        }
        self.trial = Some(ground.clone());
        self.count(ground);
        Ok(())
    }

    /// A start that ended by no doing of what it was on.
    pub(super) fn take_back(&mut self) {
        if let Some(ground) = &self.trial
            && let Some(tried) = self.tried.iter_mut().find(|t| t.ground == *ground)
        {
            tried.attempts = tried.attempts.saturating_sub(1);
        }
    }

    /// The detector's start was counted on the first of the list, and this is what computes.
    pub(super) fn settle(&mut self, ground: &Ground, is_new: bool) {
        if is_new && self.trial.as_ref() == Some(ground) {
            return;
        }
        self.take_back();
        self.trial = None;
        if is_new {
            self.trial = Some(ground.clone());
            self.count(ground);
        }
    }

    /// It has done its work for long enough.
    pub(super) fn forget(&mut self, ground: &Ground) {
        self.tried.retain(|tried| tried.ground != *ground);
        self.failed.retain(|failed| failed.ground != *ground);
        if self.trial.as_ref() == Some(ground) {
            self.trial = None;
        }
    }

    /// These were left for a model that turned out to be bad on the others as well.
    pub(super) fn take_again(&mut self, left: &[Ground]) {
        self.failed.retain(|failed| !left.contains(&failed.ground));
    }

    /// The operator wants them tried again.
    pub(super) fn forgive(&mut self) {
        self.tried.clear();
        self.failed.clear();
    }

    pub(super) fn give_up(&mut self, given_up: &GivenUp<'_>) {
        let GivenUp {
            ground,
            model,
            reason,
        } = *given_up;
        tracing::error!(
            on = %ground, %model,
            "left, and the model is not: {reason}; the next provider takes its place, \
             `edge-agent models forgive {model}` has it tried again"
        );
        self.forget(ground);
        self.failed.push(FailedGround {
            ground: ground.clone(),
            reason: reason.to_owned(),
            at: journal::now(),
        });
        keep_newest(&mut self.failed);
    }
}

/// What is not computed on any more, with which model it failed, and how.
pub(super) struct GivenUp<'a> {
    pub(super) ground: &'a Ground,
    pub(super) model: &'a Candidate,
    pub(super) reason: &'a str,
}

/// Notes that a model has proven itself on `ground` as well.
pub(super) fn add(proven: &mut Vec<Ground>, ground: &Ground) {
    proven.retain(|known| known != ground);
    proven.push(ground.clone());
    keep_newest(proven);
}

fn keep_newest<T>(list: &mut Vec<T>) {
    let surplus = list.len().saturating_sub(REMEMBERED);
    list.drain(..surplus);
}

/// Whether something else than `on` may compute.
pub(super) fn has_other(allowed: &[Ground], on: &Ground) -> bool {
    allowed.len() > 1 && allowed.contains(on)
}

/// The first of `allowed`, if a model that has proven itself on `proven` has not on it.
pub(super) fn new_one(proven: &[Ground], allowed: &[Ground]) -> Option<Ground> {
    let first = allowed.first()?;
    (!proven.is_empty() && !proven.contains(first)).then(|| first.clone())
}
