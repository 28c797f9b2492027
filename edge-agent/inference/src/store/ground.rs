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
//!
//! Who is left for whom: what ended the program, or makes a model see otherwise that saw as it must
//! on it before, is left for all models. Where a model never saw as it must, its own numbers may be
//! what the provider's precision is too small for: that is left for this model alone.

use std::fmt;

use protocol::EventTime;
use serde::{Deserialize, Serialize};

use super::journal;
use super::ledger::Candidate;
use super::trial::ATTEMPTS;
use crate::provider::Provider;
use crate::runtime::Runtime;
use crate::session::{DetectorSettings, Refusal};

/// Grounds of one kind that are remembered: several models may have left several.
const REMEMBERED: usize = 32;

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
        let device = settings.options.devices.of(provider);
        Self {
            provider: provider.word().to_owned(),
            device: device.map(str::to_owned),
            onnxruntime: runtime.version(),
        }
    }

    /// Whether it is the processor, which computes right if anything does.
    pub fn is_processor(&self) -> bool {
        self.provider == Provider::Cpu.word()
    }

    /// What it computes on after this was lost, of `all` that may; none where it is the same.
    pub(super) fn moved_to(&self, provider: Provider, all: &[Self]) -> Option<Self> {
        if self.provider == provider.word() {
            return None;
        }
        let known = all.iter().find(|ground| ground.provider == provider.word());
        Some(known.cloned().unwrap_or_else(|| Self {
            provider: provider.word().to_owned(),
            device: None,
            onnxruntime: self.onnxruntime.clone(),
        }))
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
    /// For which model alone; none where it is left for all.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub model: Option<Candidate>,
}

impl FailedGround {
    /// Not tried again in this start, by a model that is new and sees otherwise on it.
    pub(super) fn for_now(ground: &Ground, model: &Candidate, reason: &str) -> Self {
        tracing::warn!(
            on = %ground, %model,
            "{reason}; it is new here, so the next provider of the list is asked whether that is its own fault"
        );
        Self {
            ground: ground.clone(),
            reason: reason.to_owned(),
            at: journal::now(),
            model: Some(model.clone()),
        }
    }

    fn is_for(&self, model: &Candidate) -> bool {
        self.model.as_ref().is_none_or(|only| only.is(model))
    }

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

    /// Those of `all` that are to be tried by `model`, and those that are left, with them those of
    /// `passed`. A box that has left everything goes on trying.
    pub(super) fn split(
        &self,
        all: &[Ground],
        model: &Candidate,
        passed: &[FailedGround],
    ) -> (Vec<Ground>, Vec<FailedGround>) {
        let left = self.failed.iter().filter(|left| left.is_for(model));
        let left: Vec<FailedGround> = left
            .filter(|left| all.contains(&left.ground))
            .cloned()
            .collect();
        let is_in =
            |list: &[FailedGround], ground: &Ground| list.iter().any(|left| left.ground == *ground);
        let left = if all.iter().all(|ground| is_in(&left, ground)) {
            Vec::new()
        } else {
            left
        };
        let left = [&left[..], passed].concat();
        let allowed = all.iter().filter(|ground| !is_in(&left, ground)).cloned();
        (allowed.collect(), left)
    }

    /// Counts an end of the program on a ground, or a start that may be one; how many.
    pub(super) fn count(&mut self, ground: &Ground) -> u32 {
        if let Some(tried) = self.tried.iter_mut().find(|t| t.ground == *ground) {
            tried.attempts = tried.attempts.saturating_add(1);
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

    /// It has done its work for long enough, with this model.
    pub(super) fn forget(&mut self, ground: &Ground, model: &Candidate) {
        self.failed
            .retain(|failed| failed.ground != *ground || !failed.is_for(model));
        self.is_over(ground);
    }

    /// No start on it is counted any more.
    fn is_over(&mut self, ground: &Ground) {
        self.tried.retain(|tried| tried.ground != *ground);
        if self.trial.as_ref() == Some(ground) {
            self.trial = None;
        }
    }

    /// These were left for a model that turned out to be bad on the others as well.
    pub(super) fn take_again(&mut self, left: &[Ground], model: &Candidate) {
        self.failed
            .retain(|failed| !left.contains(&failed.ground) || !failed.is_for(model));
    }

    /// The operator wants a model tried again: also on what was left for it alone.
    pub(super) fn try_again(&mut self, model: &Candidate) {
        self.failed.retain(|failed| {
            let only = failed.model.as_ref();
            only.is_none_or(|only| !only.is(model))
        });
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
            for_all,
        } = *given_up;
        tracing::error!(
            on = %ground, %model, for_all,
            "left, and the model is not: {reason}; the next provider takes its place, \
             `edge-agent models forgive {model}` has it tried again"
        );
        self.is_over(ground);
        // What one model alone had left it for counts on beside that of another.
        self.failed
            .retain(|failed| failed.ground != *ground || !(for_all || failed.is_for(model)));
        self.failed.push(FailedGround {
            ground: ground.clone(),
            reason: reason.to_owned(),
            at: journal::now(),
            model: (!for_all).then(|| model.clone()),
        });
        keep_newest(&mut self.failed);
    }
}

/// What is not computed on any more, with which model it failed, and how.
pub(super) struct GivenUp<'a> {
    pub(super) ground: &'a Ground,
    pub(super) model: &'a Candidate,
    pub(super) reason: &'a str,
    /// Whether no other model is to compute on it either.
    pub(super) for_all: bool,
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

/// What is said of a model that sees otherwise on `on`, where nothing behind it may compute.
pub(super) fn nobody_tells(on: &Ground, reason: &str) -> String {
    let provider = &on.provider;
    format!(
        "{reason}; whether that is its own fault or {provider}'s nobody knows, because the processor may not compute: \
         it is not called bad, and to find out put \"cpu\" at the end of `provider` under [detector]"
    )
}

/// The first of `allowed`, if a model that has proven itself on `proven` has not on it.
pub(super) fn new_one(proven: &[Ground], allowed: &[Ground]) -> Option<Ground> {
    let first = allowed.first()?;
    (!proven.is_empty() && !proven.contains(first)).then(|| first.clone())
}
