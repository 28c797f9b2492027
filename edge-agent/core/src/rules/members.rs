//! Who is in a zone now, or was a moment ago: a detector misses somebody in
//! every few frames, and most where it is crowded.

use std::collections::BTreeMap;

use protocol::{NormBox, Point, TrackId};

use crate::geometry::polygon_contains;
use crate::observation::{Basis, FrameView, Observation};

/// Somebody in a zone, as last seen.
#[derive(Clone, Copy, Debug)]
pub(super) struct Member {
    pub(super) bounds: NormBox,
    /// Km/h on the ground where calibrated, else box heights per second;
    /// unknown for the first moments.
    pub(super) speed: Option<(Basis, f64)>,
    seen_watched: f64,
}

/// Everybody in a zone.
#[derive(Clone, Debug)]
pub(super) struct Members {
    keep_s: f64,
    list: BTreeMap<TrackId, Member>,
}

impl Members {
    /// Who is not seen for longer than this is not there any more.
    pub(super) fn new(keep_s: f64) -> Self {
        Self {
            keep_s,
            list: BTreeMap::new(),
        }
    }

    pub(super) fn update(
        &mut self,
        frame: &FrameView<'_>,
        zone: &[Point],
        is_concerned: impl Fn(&Observation) -> bool,
    ) {
        for user in frame.users {
            if !is_concerned(user) || !polygon_contains(zone, frame.stand(user)) {
                self.list.remove(&user.track);
                continue;
            }
            let speed = user.motion.map(|motion| match motion.ground_speed() {
                Some(speed) => (Basis::Ground, speed.0),
                None => (Basis::Picture, motion.picture.length()),
            });
            let member = Member {
                bounds: user.bounds,
                speed,
                seen_watched: frame.watched,
            };
            self.list.insert(user.track, member);
        }
        let keep_s = self.keep_s;
        self.list.retain(|_, member| {
            // A frozen picture's time was taken back.
            member.seen_watched = member.seen_watched.min(frame.watched);
            frame.watched - member.seen_watched <= keep_s
        });
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = &Member> + Clone {
        self.list.values()
    }

    pub(super) fn count(&self) -> usize {
        self.list.len()
    }

    pub(super) fn forget(&mut self, track: TrackId) {
        self.list.remove(&track);
    }

    pub(super) fn clear(&mut self) {
        self.list.clear();
    }
}

/// A count as a number of facts and predicates.
#[allow(clippy::cast_precision_loss)] // a few hundred at most
pub(super) fn count(n: usize) -> f64 {
    n as f64
}
