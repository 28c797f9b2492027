//! How the detector fares, for metrics and the statuses of the cameras that it looks at.

use std::sync::{Mutex, MutexGuard, PoisonError};

use edge_inference::{Detector, Network, OnTrial, Refusal};
use protocol::event::Words;
use protocol::status::{DetectorStatus, RefusedProvider};

/// The one detector of a box.
#[derive(Debug)]
pub(crate) struct DetectorState {
    /// What looks at the pictures.
    pub(crate) model: String,
    pub(crate) sha256: String,
    /// Whether it is another model than was wanted.
    pub(crate) is_instead: bool,
    fares: Mutex<Fares>,
}

/// What changes.
#[derive(Clone, Debug, Default)]
pub(crate) struct Fares {
    /// ONNX Runtime's name of what computes.
    pub(crate) provider: &'static str,
    pub(crate) status: DetectorStatus,
}

impl DetectorState {
    pub(crate) fn new(detector: &Detector, trial: Option<&OnTrial>) -> Self {
        let state = Self {
            model: match trial {
                Some(trial) => trial.candidate.to_string(),
                None => detector.manifest().id.to_string(),
            },
            sha256: detector.manifest().sha256.to_string(),
            is_instead: trial.is_some_and(|trial| trial.instead.is_some()),
            fares: Mutex::default(),
        };
        state.note(detector.network());
        state
    }

    fn lock(&self) -> MutexGuard<'_, Fares> {
        // Counters stay true after another thread's panic.
        self.fares.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// How it fares now.
    pub(crate) fn fares(&self) -> Fares {
        self.lock().clone()
    }

    /// On what the network computes now.
    pub(crate) fn note(&self, network: &Network) {
        let mut fares = self.lock();
        if !fares.provider.is_empty() && network.losses() == fares.status.losses {
            return;
        }
        fares.provider = network.provider();
        fares.status.provider = network.computes_on().to_string();
        fares.status.refused = network.refusals().iter().map(refused).collect();
        fares.status.losses = network.losses();
    }

    /// It failed on a look.
    pub(crate) fn count_failure(&self) {
        self.lock().status.failures += 1;
    }

    /// It answered with what are no numbers; true for the first time.
    pub(crate) fn count_broken(&self, broken: usize) -> bool {
        let mut fares = self.lock();
        let is_first = fares.status.broken == 0;
        fares.status.broken += broken as u64;
        is_first && broken > 0
    }
}

fn refused(refusal: &Refusal) -> RefusedProvider {
    let provider = refusal.provider.to_string();
    RefusedProvider {
        reason: Words::new(
            format!(
                "Không tính được trên {provider}; kiểm tra trình điều khiển, chạy edge-agent check, \
                 rồi khởi động lại hộp"
            ),
            refusal.reason.clone(),
        ),
        provider,
    }
}
