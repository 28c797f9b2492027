//! A second model that looks at some of the same pictures: for comparison, never for alerts.
//!
//! It has a thread and a detector of its own and sees one of so many pictures
//! that the first has looked at, of each camera. When it is behind, pictures pass it by and are
//! counted; the first never waits. What it sees ends here, in numbers.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use case_bundle::files::said;
use crossbeam_channel::{Receiver, RecvTimeoutError, Sender, bounded};
use edge_inference::{Agreement, AtWork, AtWorkMark, Detector, Look, SecondTrial};
use edge_video::Frame;
use models::Crop;
use models::heads::Answers;
use protocol::event::Words;
use protocol::{CameraId, Detection};

use super::forlorn::Forlorn;
use super::scene_thread::OnPanic;
use super::{Job, ModelState, StopFlag};
use crate::comparison;
use crate::config::DetectorConfig;
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

/// A shadow model that is to look, or why there is none.
#[derive(Debug)]
pub(super) struct Begun {
    model: String,
    every: u32,
    loaded: Result<Loaded, Words>,
}

#[derive(Debug)]
struct Loaded {
    detector: Detector,
    trial: SecondTrial,
    at_work: AtWork,
}

/// What is known of a shadow model once it is started, or was left out.
pub(super) struct Started {
    pub(super) state: Arc<ModelState>,
    /// None where it was left out.
    pub(super) at_work: Option<Looking>,
}

/// A shadow model at work.
pub(super) struct Looking {
    pub(super) shadow: Arc<Shadow>,
    pub(super) thread: JoinHandle<()>,
    pub(super) trial: SecondTrial,
    pub(super) noted: AtWork,
}

/// Loads it, if it is configured. One that does not load, or was given up, is said, and is
/// no reason not to watch. Before the detector is begun: a program that ends here is no
/// failed start of that.
pub(super) fn begin(config: &DetectorConfig, stop: &StopFlag) -> Option<Begun> {
    let shadow = config.shadow.as_ref()?;
    let load = || {
        let store = models_command::store(config)?.until(stop.shared());
        let at_work = store.watch_over();
        let (detector, trial) = models_command::begin_shadow(config, &shadow.model, &at_work)?;
        anyhow::Ok(Loaded {
            detector,
            trial,
            at_work,
        })
    };
    let loaded = load().map_err(|error| {
        let (model, error) = (&shadow.model, said::whole(error.chain()));
        tracing::error!(
            model,
            "the shadow model does not start, nothing is compared: {error}"
        );
        Words::new(
            format!(
                "Không so sánh được với mô hình {model}; chạy edge-agent check, rồi xem: {error}"
            ),
            format!("nothing is compared with model {model}: {error}"),
        )
    });
    Some(Begun {
        model: shadow.model.clone(),
        every: shadow.every,
        loaded,
    })
}

/// Lets it look, beside the `first` detector.
pub(super) fn start(
    begun: Begun,
    first: &Detector,
    (stop, on_panic): (&StopFlag, OnPanic),
) -> std::io::Result<Started> {
    let Begun {
        model,
        every,
        loaded,
    } = begun;
    let Loaded {
        detector,
        trial,
        at_work,
    } = match loaded {
        Ok(loaded) => loaded,
        Err(why) => {
            return Ok(Started {
                state: Arc::new(ModelState::left_out(model, Job::Shadow, why)),
                at_work: None,
            });
        }
    };
    tracing::info!(model, every, "shadow model");
    if detector.manifest() == first.manifest() {
        tracing::warn!(model, "{}", comparison::ITSELF);
    }
    let (to, from) = bounded(1);
    let state = ModelState::of_network(model.clone(), Job::Shadow, detector.network());
    let shadow = Arc::new(Shadow {
        state: Arc::new(state),
        believed_from: first.manifest().thresholds.high,
        model,
        every: u64::from(every.max(1)),
        to,
        counters: Mutex::default(),
    });
    let (its, stop) = (Arc::clone(&shadow), stop.clone());
    let (mark, noted) = (AtWorkMark::beside(&trial.candidate), at_work.clone());
    let thread = thread::Builder::new()
        .name("shadow".to_owned())
        .spawn(move || {
            let _held = on_panic;
            its.run(detector, (&noted, &mark), &from, &stop);
        })?;
    Ok(Started {
        state: Arc::clone(&shadow.state),
        at_work: Some(Looking {
            shadow,
            thread,
            trial,
            noted: at_work,
        }),
    })
}

impl Shadow {
    /// A part of a picture of `camera` that the first detector has looked at, and what it saw.
    pub(crate) fn show(&self, camera: &CameraId, frame: &Frame, part: Crop, seen: &[Detection]) {
        if !comparison::is_chosen(camera, frame.number, self.every) {
            return;
        }
        let sight = Sight {
            frame: frame.clone(),
            part,
            seen: seen.to_vec(),
        };
        // It is behind, or has ended.
        if self.to.try_send(sight).is_err() {
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

    fn run(
        &self,
        mut detector: Detector,
        noted: (&AtWork, &AtWorkMark),
        from: &Receiver<Sight>,
        stop: &StopFlag,
    ) {
        let mut reported = Instant::now();
        let mut forlorn = Forlorn::default();
        while !stop.is_set() {
            match from.recv_timeout(PATIENCE) {
                Ok(sight) => {
                    self.look(&mut detector, noted, &sight);
                    if let Some(why) = forlorn.newly(detector.network().forlorn()) {
                        // It is there to be compared: no camera misses a second for it.
                        tracing::error!(
                            model = self.model,
                            "nothing is compared any more: {why}; the box watches on, and a restart may have the device again"
                        );
                    }
                }
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

    fn look(
        &self,
        detector: &mut Detector,
        (at_work, mark): (&AtWork, &AtWorkMark),
        sight: &Sight,
    ) {
        let high = detector.manifest().thresholds.high;
        let look = Look::crop(sight.frame.view(), sight.part);
        let answer = at_work.while_at_work(mark, || detector.detect_batch(&[look]).pop());
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
                let ours = comparison::Sight {
                    seen: &sight.seen,
                    believed_from: self.believed_from,
                };
                let its = comparison::Sight {
                    seen: &seen,
                    believed_from: high,
                };
                comparison::compare(&mut self.lock().agreement, ours, its);
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
        if counters.agreement.pictures == 0 {
            // Who saw nothing does not agree in everything.
            tracing::warn!(
                model = self.model,
                skipped = counters.skipped,
                failed = counters.failed,
                every = self.every,
                "nothing was compared so far"
            );
            return;
        }
        let total = counters.agreement.total();
        tracing::info!(
            model = self.model,
            pictures = counters.agreement.pictures,
            skipped = counters.skipped,
            failed = counters.failed,
            agreement = protocol::units::rounded(total.share(), 3),
            class_differs = total.class_differs,
            only_current = total.only_current,
            only_shadow = total.only_other,
            classes = comparison::by_class(&counters.agreement),
            "shadow model compared"
        );
    }
}
