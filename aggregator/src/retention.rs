//! How long which evidence is kept, and who sees to it.
//!
//! Every file is kept as one of a few classes. Its time begins when it became
//! one: when it came, when its alert was dismissed, when a lock was released.
//! Age is counted ([`protocol::SeenTime`]), so no clock that jumps removes
//! anything early. A lock beats every period.
//!
//! What is removed is recorded first and erased then: a program killed in
//! between finishes at its next start, and nobody finds a file gone of which it
//! is not said when and why.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use serde::Deserialize;
use tokio::time::timeout;

use crate::clock;
use crate::evidence::Evidence;
use crate::metrics::Metrics;
use crate::stopping::Stopping;
use crate::store::{Store, StoreError, Sweep};

/// How often it is looked.
const EVERY: Duration = Duration::from_mins(10);

/// `[retention]`: days; 0 keeps for ever.
#[derive(Clone, Copy, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Retention {
    /// Moving pictures.
    pub clip_days: f64,
    /// Stills, clean and annotated.
    pub still_days: f64,
    /// Number plates that were cut out, and what looks saw that voted for a finding: both
    /// tell who somebody is.
    pub plate_crop_days: f64,
    /// Whatever else belongs to an alert.
    pub other_days: f64,
    /// All but the signed case of an alert that somebody dismissed: false alarm,
    /// duplicate, test.
    pub dismissed_days: f64,
    /// Files that no box has said to belong to an alert.
    pub unclaimed_days: f64,
    /// Signed cases: what the machine said and why, and the chain that shows
    /// that none was left out.
    pub case_days: f64,
}

impl Default for Retention {
    /// Evidence of a case for twelve months at least, candidates that were
    /// rejected 30 days, what an audit needs 24 months.
    fn default() -> Self {
        Self {
            clip_days: 366.0,
            still_days: 366.0,
            plate_crop_days: 366.0,
            other_days: 366.0,
            dismissed_days: 30.0,
            unclaimed_days: 30.0,
            case_days: 732.0,
        }
    }
}

/// As what a file is kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[allow(missing_docs)] // as in [`Retention`]
pub enum Class {
    Clip,
    Still,
    PlateCrop,
    Other,
    Dismissed,
    Unclaimed,
    Case,
    /// Of an alert that is locked: kept, whatever its age.
    Locked,
}

impl Class {
    /// Every class.
    pub const ALL: [Self; 8] = [
        Self::Clip,
        Self::Still,
        Self::PlateCrop,
        Self::Other,
        Self::Dismissed,
        Self::Unclaimed,
        Self::Case,
        Self::Locked,
    ];

    /// The word in the database, in the API and on metrics.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Clip => "clip",
            Self::Still => "still",
            Self::PlateCrop => "plate_crop",
            Self::Other => "other",
            Self::Dismissed => "dismissed",
            Self::Unclaimed => "unclaimed",
            Self::Case => "case",
            Self::Locked => "locked",
        }
    }

    /// That of a file by its role, while nobody has dismissed or locked its alert.
    pub(crate) fn of_role(role: &str) -> Self {
        match role {
            "clip" => Self::Clip,
            "still_clean" | "still_annotated" => Self::Still,
            // Somebody's face, as much a person's as a plate.
            "plate_crop" | "finding_crop" => Self::PlateCrop,
            "case_manifest" => Self::Case,
            _ => Self::Other,
        }
    }
}

impl Retention {
    /// The key of each period, and the period, in days.
    pub(crate) fn periods(&self) -> [(Class, &'static str, f64); 7] {
        [
            (Class::Clip, "clip_days", self.clip_days),
            (Class::Still, "still_days", self.still_days),
            (Class::PlateCrop, "plate_crop_days", self.plate_crop_days),
            (Class::Other, "other_days", self.other_days),
            (Class::Dismissed, "dismissed_days", self.dismissed_days),
            (Class::Unclaimed, "unclaimed_days", self.unclaimed_days),
            (Class::Case, "case_days", self.case_days),
        ]
    }

    /// How many days a class is kept; `None` for ever.
    pub(crate) fn days(&self, class: Class) -> Option<f64> {
        self.periods()
            .iter()
            .find(|(of, _, days)| *of == class && *days > 0.0)
            .map(|(_, _, days)| *days)
    }
}

/// What a sweep has done.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Swept {
    /// Files removed, and their bytes, by class.
    pub removed: BTreeMap<Class, (u64, u64)>,
}

/// Evidence, and how long it is kept.
pub struct Kept {
    /// Knows every file, and what it belongs to.
    pub store: Store,
    /// Has the files.
    pub evidence: Evidence,
    /// The periods.
    pub retention: Retention,
}

impl Kept {
    /// One whole sweep: sorts what is new, removes what is old enough, and erases
    /// it. `elapsed` is what the monotonic clock has counted since the last sweep of
    /// this run, `None` for the first.
    pub async fn sweep(
        &self,
        now: protocol::EventTime,
        elapsed: Option<Duration>,
    ) -> Result<Swept, StoreError> {
        let mut swept = Swept::default();
        let mut time = Some((now, elapsed));
        loop {
            let step = self
                .store
                .sweep(Sweep {
                    time,
                    now,
                    retention: self.retention,
                })
                .await?;
            time = None;
            for (class, (files, bytes)) in step.removed {
                let of_class = swept.removed.entry(class).or_default();
                of_class.0 += files;
                of_class.1 += bytes;
            }
            if !step.goes_on {
                break;
            }
        }
        // Also what a sweep recorded that was killed before it had erased.
        while self.erase().await? {}
        Ok(swept)
    }

    /// Erases some of the files whose removal is recorded; whether there may be more.
    async fn erase(&self) -> Result<bool, StoreError> {
        // No upload is being stored meanwhile, so a file that came again is either
        // known to be here or not here yet.
        let _alone = self.evidence.alone().await;
        let doomed = self.store.erased(Vec::new()).await?;
        let mut erased = Vec::new();
        for sha256 in &doomed {
            match self.evidence.remove(*sha256).await {
                Ok(()) => erased.push(*sha256),
                Err(error) => {
                    tracing::warn!(%sha256, %error, "a file that retention removes cannot be erased; tried again at the next sweep");
                }
            }
        }
        let is_stuck = erased.is_empty();
        let _rest = self.store.erased(erased).await?;
        Ok(!doomed.is_empty() && !is_stuck)
    }

    /// Sweeps now and then, until the centre stops.
    pub(crate) async fn look_after(self, metrics: std::sync::Arc<Metrics>, mut stopping: Stopping) {
        let mut last: Option<Instant> = None;
        while !stopping.is_said() {
            let looked = Instant::now();
            let elapsed = last.map(|last| looked.duration_since(last));
            match self.sweep(clock::now(), elapsed).await {
                Ok(swept) => {
                    last = Some(looked);
                    for (class, (files, bytes)) in swept.removed {
                        tracing::info!(
                            class = class.as_str(),
                            files,
                            bytes,
                            "retention removed evidence"
                        );
                        metrics.removed(class.as_str(), files, bytes);
                    }
                }
                // The next run finishes what this one began.
                Err(_) if stopping.is_said() => {}
                Err(error) => {
                    tracing::warn!(%error, "retention could not sweep; tried again later");
                }
            }
            let _stop = timeout(EVERY, stopping.said()).await.is_ok();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A head that was judged is somebody's face: it goes when plates go, also where `other` is
    /// kept for ever.
    #[test]
    fn what_a_look_saw_is_kept_as_long_as_a_plate() {
        for (role, class) in [
            ("finding_crop", Class::PlateCrop),
            ("plate_crop", Class::PlateCrop),
            ("something_new", Class::Other),
        ] {
            assert_eq!(Class::of_role(role), class, "{role}");
        }
    }
}
