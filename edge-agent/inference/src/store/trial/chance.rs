//! One model's chance to become the detector: on what is new to it, and then on whatever else
//! may compute.

use std::path::Path;

use models::Manifest;

use super::{give_up, leave, take_back};
use crate::store::ground::{self, FailedGround, GivenUp, Ground};
use crate::store::ledger::{self, Candidate, TrialLedger, means};
use crate::store::walk::{NotThis, StartFault};

/// A model, and what it may compute on.
pub(super) struct Chance<'a> {
    pub(super) candidate: &'a Candidate,
    pub(super) manifest: &'a Manifest,
    pub(super) file: &'a Path,
    /// First wish first.
    pub(super) grounds: &'a [Ground],
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
    ) -> Result<(T, Option<Ground>), NotThis> {
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
            let fault = match start(candidate, self.manifest.clone(), self.file, &left) {
                Ok(started) => return Ok(started),
                Err(fault) => fault,
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
                    ledger::update(home, ledger, |ledger| take_back(ledger, candidate));
                    return Err(match fault {
                        StartFault::Model(reason)
                        | StartFault::SelfTest { reason, .. }
                        | StartFault::Passing(reason) => NotThis::Next(reason),
                        StartFault::Other(error) => NotThis::End(error),
                    });
                }
            }
        }
    }
}
