//! Watching over models that are new here until they may be trusted.

use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use edge_inference::{AtWork, OnTrial, SecondTrial};

use super::{CameraState, ModelState, StopFlag};

const LOOK_EVERY: Duration = Duration::from_millis(200);

/// Everything that may be on trial.
pub(super) struct Trials<'t> {
    /// Of the detector.
    pub(super) detector: Option<&'t mut OnTrial>,
    /// How it fares.
    pub(super) state: Option<Arc<ModelState>>,
    /// Of those who take second looks: a reader of plates has two networks.
    pub(super) second: Vec<(Vec<SecondTrial>, Arc<ModelState>)>,
    /// Where is noted who is at work, as long as there is somebody on trial: one place for
    /// each thread that looks.
    pub(super) at_work: Vec<AtWork>,
}

impl Trials<'_> {
    fn is_over(&self) -> bool {
        let mut second = self.second.iter().flat_map(|(trials, _)| trials);
        self.detector
            .as_ref()
            .is_none_or(|trial| !trial.is_on_trial)
            && !second.any(|trial| trial.is_on_trial)
    }

    /// Proves each model once it has lived for `healthy_after` and has looked again after
    /// that. One that nobody showed anything has proved nothing, however long it has been
    /// running, and one that hangs has not either.
    pub(super) fn watch(
        mut self,
        healthy_after: Duration,
        cameras: &[Arc<CameraState>],
        stop: &StopFlag,
    ) {
        let began = Instant::now();
        let mut of_detector = Progress::default();
        let mut of_second: Vec<Progress> =
            self.second.iter().map(|_| Progress::default()).collect();
        while !self.is_over() {
            if stop.is_set() {
                return;
            }
            if began.elapsed() >= healthy_after {
                let looks = cameras.iter().map(|camera| camera.well_looked_at()).sum();
                if of_detector.goes_on(looks)
                    && let Some(trial) = &mut self.detector
                {
                    // Not on what was lost meanwhile.
                    let now = self.state.iter().flat_map(|state| state.computes_on());
                    now.for_each(|provider| trial.computes_on(provider));
                    trial.prove();
                }
                for ((trials, state), progress) in self.second.iter_mut().zip(&mut of_second) {
                    if progress.goes_on(state.well_looked()) {
                        for (trial, provider) in trials.iter_mut().zip(state.computes_on()) {
                            trial.computes_on(provider);
                        }
                        trials.iter_mut().for_each(SecondTrial::prove);
                    }
                }
            }
            thread::sleep(LOOK_EVERY);
        }
        self.at_work.iter().for_each(AtWork::end);
    }
}

/// Whether a count has grown since it was first asked.
#[derive(Default)]
struct Progress(Option<u64>);

impl Progress {
    fn goes_on(&mut self, count: u64) -> bool {
        count > *self.0.get_or_insert(count)
    }
}
