//! One model's chance to become the detector: on what is new to it, and then on whatever else
//! may compute.

use std::path::Path;
use std::sync::atomic::AtomicBool;

use models::Manifest;

use super::{give_up, leave, take_back_ground};
use crate::store::StoreError;
use crate::store::ground::{self, FailedGround, GivenUp, Ground};
use crate::store::ledger::{self, Candidate, TrialLedger, means};
use crate::store::stopped;
use crate::store::walk::{NotThis, StartFault};

/// A model, and what it may compute on.
pub(super) struct Chance<'a> {
    pub(super) candidate: &'a Candidate,
    pub(super) manifest: &'a Manifest,
    pub(super) file: &'a Path,
    /// First wish first.
    pub(super) grounds: &'a [Ground],
    /// Who was on trial before this start of it was counted, and how many starts that had.
    pub(super) before: (Option<Candidate>, u32),
    /// Set, somebody has asked the program to end.
    pub(super) stop: &'a AtomicBool,
}

/// A model that was started.
pub(super) struct Loaded<T> {
    pub(super) started: T,
    /// What computes, where that is known.
    pub(super) on: Option<Ground>,
    /// Whether this start still counts: not where the program was asked to end meanwhile.
    pub(super) is_counted: bool,
}

impl<'a> Chance<'a> {
    fn given_up<'b>(&self, ground: &'b Ground, reason: &'b str, for_all: bool) -> GivenUp<'b>
    where
        'a: 'b,
    {
        GivenUp {
            ground,
            model: self.candidate,
            reason,
            for_all,
        }
    }

    /// This start of it was no attempt. Whoever was on trial before is so again, with all starts that
    /// were counted: he may be the next in the queue, and end the program as before.
    fn uncount(&self, ledger: &mut TrialLedger) {
        if means(ledger.trial.as_ref(), self.candidate) {
            (ledger.trial, ledger.attempts) = self.before.clone();
        }
        take_back_ground(ledger, self.candidate);
    }

    /// Starts it; what is found out of grounds and of the model is in the ledger.
    pub(super) fn start<T>(
        &self,
        home: Option<&Path>,
        ledger: &mut TrialLedger,
        start: &mut impl FnMut(
            &Candidate,
            Manifest,
            &Path,
            &[FailedGround],
        ) -> Result<(T, Option<Ground>), StartFault>,
    ) -> Result<Loaded<T>, NotThis> {
        let candidate = self.candidate;
        let is_proven = means(ledger.proven.as_ref(), candidate);
        let (mut left_here, mut passed) = (Vec::new(), Vec::new());
        loop {
            let (allowed, left) = ledger.on.split(self.grounds, candidate, &passed);
            let new = is_proven
                .then(|| ground::new_one(&ledger.on.proven, &allowed))
                .flatten();
            let has_next = allowed.len() > 1;
            if let Some(ground) = &new {
                let is_told = ledger::update(home, ledger, |ledger| {
                    let admitted = ledger.on.admit(ground, has_next);
                    admitted.map_err(|reason| {
                        leave(home, ledger, &self.given_up(ground, &reason, true));
                    })
                });
                if is_told.is_err() {
                    continue;
                }
            }
            let uncount = || ledger::change(home, |_, ledger| self.uncount(ledger));
            let load = || start(candidate, self.manifest.clone(), self.file, &left);
            let fault = match stopped::noting(self.stop, uncount, load) {
                (Ok((started, on)), is_uncounted) => {
                    return Ok(Loaded {
                        started,
                        on,
                        is_counted: !is_uncounted,
                    });
                }
                (Err(fault), _) => fault,
            };
            let fault = match fault {
                // It has seen as it must before: first the others are asked.
                StartFault::SelfTest { on, reason }
                    if is_proven && ground::has_other(&allowed, &on) =>
                {
                    ledger::update(home, ledger, |ledger| {
                        let was_right = ledger.on.proven.contains(&on);
                        leave(home, ledger, &self.given_up(&on, &reason, was_right));
                    });
                    left_here.push(on);
                    continue;
                }
                // Whether it is its own fault nobody knows yet.
                StartFault::SelfTest { on, reason }
                    if !on.is_processor() && ground::has_other(&allowed, &on) =>
                {
                    passed.push(FailedGround::for_now(&on, candidate, &reason));
                    continue;
                }
                // The processor, which would tell, may not compute.
                StartFault::SelfTest { on, reason } if !on.is_processor() => {
                    StartFault::Passing(ground::nobody_tells(&on, &reason))
                }
                StartFault::SelfTest { reason, .. } => StartFault::Model(reason),
                other => other,
            };
            match (fault, new) {
                (StartFault::Model(reason), None) => {
                    ledger::update(home, ledger, |ledger| {
                        give_up(home, ledger, candidate, &reason);
                        ledger.on.take_again(&left_here, candidate);
                    });
                    return Err(NotThis::Next(reason));
                }
                (StartFault::Model(reason), Some(ground)) if has_next => {
                    ledger::update(home, ledger, |ledger| {
                        leave(home, ledger, &self.given_up(&ground, &reason, false));
                    });
                }
                (fault, _) => {
                    ledger::update(home, ledger, |ledger| self.uncount(ledger));
                    // A box whose device is gone takes none that nobody knows here: it ends, and is begun
                    // anew, when the device may be there again.
                    let has_good = ledger.proven.is_some() && !is_proven;
                    return Err(match fault {
                        StartFault::Refused(reason) if !has_good => {
                            NotThis::End(StoreError::DoesNotStart {
                                model: candidate.model.clone(),
                                reason,
                            })
                        }
                        StartFault::Model(reason)
                        | StartFault::SelfTest { reason, .. }
                        | StartFault::Refused(reason)
                        | StartFault::Passing(reason) => NotThis::Next(reason),
                        StartFault::Other(error) => NotThis::End(error),
                    });
                }
            }
        }
    }
}
