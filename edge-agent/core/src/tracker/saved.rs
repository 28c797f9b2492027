//! What a restart of the program must not forget: who stands where.
//!
//! A car that was parked before is the same car after, with its name and since
//! when it stands there. Who was moving is somewhere else by then: it gets a
//! new name rather than a stranger's.

use serde::{Deserialize, Serialize};

use protocol::event::FrameTime;
use protocol::units::Seconds;
use protocol::{NormBox, ObjectClass, TrackId};

use super::track::Votes;
use super::{MOST_TRACKS, Track, Tracker};
use crate::geometry::{IsoBox, Vector};
use crate::observation::Sight;

/// What a tracker remembers over a restart.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct TrackerState {
    /// Ranks below this may have been given before.
    pub next_rank: u16,
    /// Width over height of the picture.
    pub aspect: f64,
    /// Who stood still, in order of id.
    pub parked: Vec<SavedTrack>,
}

/// A road user that stood still.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct SavedTrack {
    /// Its name.
    pub id: TrackId,
    /// Where it was last seen.
    #[serde(rename = "box")]
    pub bounds: NormBox,
    /// The first frame that showed it.
    pub first: FrameTime,
    /// The last frame that showed it.
    pub seen: FrameTime,
    /// For how long it had kept its place by then, as far as its trail reaches back, s.
    pub still_s: f64,
    /// As [`Track::hits`].
    pub hits: u32,
    /// Score of its last detection.
    pub score: f64,
    /// Class, sum of scores and number of its votes.
    pub votes: Vec<(ObjectClass, f64, f64)>,
}

impl SavedTrack {
    fn of(track: &Track) -> Option<Self> {
        let still_s = track.still_for()?;
        Some(Self {
            id: track.id,
            bounds: track.bounds,
            first: track.first,
            seen: track.seen,
            still_s,
            hits: track.hits,
            score: track.last_score,
            votes: track.votes.ballots.clone(),
        })
    }

    /// Whether these are numbers that a tracker writes: the file may be damaged.
    fn is_credible(&self) -> bool {
        let edges: [f64; 4] = self.bounds.into();
        let life = self.seen.time.since(self.first.time).0;
        edges.iter().all(|edge| edge.abs() <= 4.0)
            && self.bounds.width > 0.0
            && self.bounds.height > 0.0
            && (0.0..=1.0).contains(&self.score)
            && (0.0..=1e9).contains(&life)
            && (0.0..=1e9).contains(&self.still_s)
            && self.hits > 0
            && (1..=64).contains(&self.votes.len())
            && self
                .votes
                .iter()
                .all(|&(_, sum, count)| (0.0..=1e6).contains(&sum) && (0.0..=1e6).contains(&count))
    }
}

impl Tracker {
    /// What must outlive a restart.
    pub fn save(&self) -> TrackerState {
        TrackerState {
            next_rank: self.highest_rank.saturating_add(1),
            aspect: self.aspect,
            parked: self
                .tracks
                .iter()
                .filter(|track| track.may_be_kept())
                .filter_map(SavedTrack::of)
                .collect(),
        }
    }

    /// Takes up what was saved, in place of everything known so far. What is no
    /// credible track is left out. Returns how many were taken up.
    pub fn resume(&mut self, state: &TrackerState) -> usize {
        self.restart();
        self.first_rank = self.first_rank.max(state.next_rank);
        self.highest_rank = self.highest_rank.max(self.first_rank);
        if !(0.1..=10.0).contains(&state.aspect) {
            return 0;
        }
        self.aspect = state.aspect;
        let sight = Sight {
            aspect: state.aspect,
            ground: self.ground.as_ref(),
        };
        let credible = state.parked.iter().filter(|saved| saved.is_credible());
        for saved in credible.take(MOST_TRACKS) {
            let iso = IsoBox::new(&saved.bounds, state.aspect);
            let mut track = Track::still(saved, iso);
            let now = sight.spot(saved.bounds.foot(), saved.bounds.height, saved.seen);
            let mut then = now;
            then.at.time = saved.seen.time + Seconds(-saved.still_s);
            track.note(then);
            track.note(now);
            self.tracks.push(track);
        }
        self.tracks.sort_by_key(|track| track.id);
        self.tracks.dedup_by_key(|track| track.id);
        self.tracks.len()
    }
}

impl Track {
    /// As it was saved.
    fn still(saved: &SavedTrack, iso: IsoBox) -> Self {
        let sighting = super::Sighting {
            class: saved.votes[0].0,
            score: saved.score,
            bounds: saved.bounds,
            iso,
            place: None,
            taken: true,
        };
        let mut track = Self::new(saved.id, &sighting, saved.seen, 0.0);
        track.first = saved.first;
        track.hits = saved.hits;
        track.is_confirmed = true;
        track.votes = Votes::from(saved.votes.clone());
        track
    }

    /// For how long it has kept its place, as far as its trail reaches back, s.
    fn still_for(&self) -> Option<f64> {
        if !self.is_stationary() {
            return None;
        }
        let newest = self.trail().back()?;
        let near = |iso: Vector, height: f64| (newest.iso - iso).length() <= height;
        let oldest = self
            .trail()
            .iter()
            .rev()
            .take_while(|spot| near(spot.iso, super::track::STILL_HEIGHTS * newest.height))
            .last()?;
        Some(newest.at.time.since(oldest.at.time).0)
    }
}
