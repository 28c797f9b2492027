//! A second model that looks at some of the same pictures: for comparison, never for alerts.
//!
//! It has a thread and a detector of its own and sees every so many'th picture
//! that the first has looked at. When it is behind, pictures pass it by and are
//! counted; the first never waits. What it sees ends here, in numbers.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use anyhow::Context as _;
use crossbeam_channel::{Receiver, RecvTimeoutError, Sender, TrySendError, bounded};
use edge_inference::{Agreement, Detector, Look};
use edge_video::Frame;
use models::Crop;
use models::heads::Answers;
use protocol::Detection;

use super::{Job, ModelState, StopFlag};
use crate::config::{DetectorConfig, ShadowConfig};
use crate::models_command;

/// How often the log says how it goes.
const REPORT_EVERY: Duration = Duration::from_mins(10);
const PATIENCE: Duration = Duration::from_millis(200);

/// Where the first detector's pictures pass by.
#[derive(Debug)]
pub(crate) struct Shadow {
    /// Its model.
    pub(crate) model: String,
    every: u64,
    passed: AtomicU64,
    to: Sender<Sight>,
    /// The first detector believes in what it gives a score of so much.
    believed_from: f64,
    counters: Mutex<ShadowCounters>,
    /// How it fares.
    pub(crate) state: Arc<ModelState>,
}

/// How it goes.
#[derive(Clone, Debug, Default)]
pub(crate) struct ShadowCounters {
    /// What both saw.
    pub(crate) agreement: Agreement,
    /// Pictures that it had no time for.
    pub(crate) skipped: u64,
    /// Pictures that it failed on.
    pub(crate) failed: u64,
}

/// A part of a picture, and what the first detector saw in it.
#[derive(Debug)]
struct Sight {
    frame: Frame,
    part: Crop,
    seen: Vec<Detection>,
}

/// Starts it, if it is configured; beside the `first` detector. One that does not start is said, and is no
/// reason not to watch.
pub(super) fn start(
    config: &DetectorConfig,
    first: &Detector,
    stop: &StopFlag,
) -> Option<(Arc<Shadow>, JoinHandle<()>)> {
    let shadow = config.shadow.as_ref()?;
    let believed_from = first.manifest().thresholds.high;
    match try_start(config, shadow, believed_from, stop) {
        Ok(started) => {
            tracing::info!(model = shadow.model, every = shadow.every, "shadow model");
            Some(started)
        }
        Err(error) => {
            tracing::error!(
                model = shadow.model,
                "the shadow model does not start, nothing is compared: {error:#}"
            );
            None
        }
    }
}

fn try_start(
    config: &DetectorConfig,
    ShadowConfig { model, every }: &ShadowConfig,
    believed_from: f64,
    stop: &StopFlag,
) -> anyhow::Result<(Arc<Shadow>, JoinHandle<()>)> {
    let detector = models_command::load_named(config, model)?;
    let (to, from) = bounded(1);
    let state = ModelState::of_network(model.clone(), Job::Shadow, detector.network());
    let shadow = Arc::new(Shadow {
        state: Arc::new(state),
        believed_from,
        model: model.clone(),
        every: u64::from((*every).max(1)),
        passed: AtomicU64::new(0),
        to,
        counters: Mutex::default(),
    });
    let (its, stop) = (Arc::clone(&shadow), stop.clone());
    let thread = thread::Builder::new()
        .name("shadow".to_owned())
        .spawn(move || its.run(detector, &from, &stop))
        .context("shadow thread")?;
    Ok((shadow, thread))
}

impl Shadow {
    /// A part of a picture that the first detector has looked at, and what it saw.
    pub(crate) fn show(&self, frame: &Frame, part: Crop, seen: &[Detection]) {
        let number = self.passed.fetch_add(1, Ordering::Relaxed);
        if !number.is_multiple_of(self.every) {
            return;
        }
        let sight = Sight {
            frame: frame.clone(),
            part,
            seen: seen.to_vec(),
        };
        if let Err(TrySendError::Full(_)) = self.to.try_send(sight) {
            self.lock().skipped += 1;
        }
    }

    /// How it goes.
    pub(crate) fn counters(&self) -> ShadowCounters {
        self.lock().clone()
    }

    fn lock(&self) -> MutexGuard<'_, ShadowCounters> {
        // Counters stay true after another thread's panic.
        self.counters.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn run(&self, mut detector: Detector, from: &Receiver<Sight>, stop: &StopFlag) {
        let mut reported = Instant::now();
        while !stop.is_set() {
            match from.recv_timeout(PATIENCE) {
                Ok(sight) => self.look(&mut detector, &sight),
                Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => break,
            }
            if reported.elapsed() >= REPORT_EVERY {
                reported = Instant::now();
                self.report();
            }
        }
        self.report();
    }

    fn look(&self, detector: &mut Detector, sight: &Sight) {
        let high = detector.manifest().thresholds.high;
        let look = Look::crop(sight.frame.view(), sight.part);
        let answer = detector.detect_batch(&[look]).pop();
        match answer.expect("one answer for one look") {
            Ok(Answers {
                found: seen,
                broken,
            }) => {
                self.state.count_look();
                if self.state.count_broken(broken) {
                    tracing::warn!(
                        model = self.model,
                        broken,
                        "the shadow model gives answers that are no numbers; they are passed over and counted"
                    );
                }
                let believed = |from: f64, list: &[Detection]| {
                    let list = list.iter().filter(|detection| detection.score >= from);
                    list.copied().collect::<Vec<_>>()
                };
                let (ours, its) = (
                    believed(self.believed_from, &sight.seen),
                    believed(high, &seen),
                );
                let (ours, its): (Vec<_>, Vec<_>) = (ours.iter().collect(), its.iter().collect());
                self.lock().agreement.add(&ours, &its);
            }
            Err(error) => {
                self.state.count_failure();
                let mut counters = self.lock();
                counters.failed += 1;
                if counters.failed == 1 {
                    tracing::warn!(model = self.model, %error, "the shadow model failed on a frame");
                }
            }
        }
        self.state.note(detector.network());
    }

    /// One line that says how far the two agree.
    fn report(&self) {
        let counters = self.counters();
        let total = counters.agreement.total();
        let classes: Vec<String> = counters
            .agreement
            .classes
            .iter()
            .map(|(class, agreement)| {
                format!(
                    "{class} {:.0} % of {}",
                    100.0 * agreement.share(),
                    agreement.matched
                        + agreement.class_differs
                        + agreement.only_current
                        + agreement.only_other
                )
            })
            .collect();
        tracing::info!(
            model = self.model,
            pictures = counters.agreement.pictures,
            skipped = counters.skipped,
            failed = counters.failed,
            agreement = protocol::units::rounded(total.share(), 3),
            class_differs = total.class_differs,
            only_current = total.only_current,
            only_shadow = total.only_other,
            classes = classes.join(", "),
            "shadow model compared"
        );
    }
}
