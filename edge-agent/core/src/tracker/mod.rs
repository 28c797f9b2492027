//! Detections become tracks: which box now is which road user from before.
//!
//! Two-stage association after ByteTrack: confident detections find their
//! tracks first, then tracks that found none may take a doubtful detection
//! (half hidden, blurred), which can never start a track. Which are confident
//! the detector says with every picture ([`TrackerConfig`]). Motion is a Kalman
//! filter in the isotropic picture with true time intervals, so 2 and 30 frames
//! a second and holes in the stream need no other parameters. What overlapped
//! nothing is then looked for by distance: small fast things at low rates.
//!
//! Detections come in canonical order, so their order in the input changes
//! nothing. Ids are birth time and rank. Memory is bounded by [`MOST_TRACKS`].

mod assignment;
mod association;
mod config;
mod kalman;
mod riders;
mod stature;
mod track;

use protocol::event::FrameTime;
use protocol::{Detection, TrackId};

pub use association::Group;
pub use config::TrackerConfig;
pub(crate) use riders::Riding;
pub use track::{Spot, Track};

use crate::geometry::IsoBox;
use assignment::Assignment;
use association::{Sighting, by_distance, by_overlap};
use config::Scores;

/// More road users than any camera shows at once; further ones wait.
pub const MOST_TRACKS: usize = 512;

/// When a step of the tracker happens.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Moment {
    /// The frame.
    pub at: FrameTime,
    /// How long the scene was watched until now, in seconds: like the time, but
    /// standing still through gaps.
    pub watched: f64,
    /// Width over height of the picture.
    pub aspect: f64,
}

/// Least overlap of a confident detection with where its track should be.
const LEAST_IOU: f64 = 0.15;
/// The same for a doubtful detection, which must be where it is expected.
const LEAST_IOU_DOUBTFUL: f64 = 0.4;
/// A doubtful detection keeps alive only what was seen this recently, s.
const DOUBTFUL_WITHIN_S: f64 = 0.7;
/// Two detections of one group with this overlap are one thing seen twice.
const SAME_THING: f64 = 0.8;
/// From this number of hits on a velocity is worth something.
const VELOCITY_HITS: u32 = 3;
/// A confirmed track needs this long a life where few frames make few hits.
const SLOW_CONFIRM_S: f64 = 1.0;
/// A parked track must have been followed this long to be kept long.
const PARKED_LIFE_S: f64 = 3.0;

/// The same through a hole in the stream: after this long somebody else may stand there, s.
const PARKED_UNSEEN_S: f64 = 120.0;
/// Pictures farther apart than this are no longer the next picture, s.
const LONGEST_STEP_S: f64 = 2.0;

/// All tracks of a camera.
#[derive(Clone, Debug, Default)]
pub struct Tracker {
    config: TrackerConfig,
    /// In order of id.
    tracks: Vec<Track>,
    aspect: f64,
    previous: Option<FrameTime>,
    /// First rank for tracks born now; rises when the clock is set back, so
    /// that no id is ever given twice.
    first_rank: u16,
    highest_rank: u16,
    sightings: Vec<Sighting>,
    rows: Vec<usize>,
    columns: Vec<usize>,
    pairs: Vec<(usize, usize)>,
    assignment: Assignment,
    lost: Vec<TrackId>,
}

impl Tracker {
    /// With nothing in sight.
    pub fn new(config: TrackerConfig) -> Self {
        Self {
            config,
            aspect: 1.0,
            ..Self::default()
        }
    }

    /// All tracks, confirmed or not, in order of id.
    pub fn tracks(&self) -> &[Track] {
        &self.tracks
    }

    pub(crate) fn tracks_mut(&mut self) -> &mut [Track] {
        &mut self.tracks
    }

    /// Takes the detections of a frame, in canonical order, of a detector whose
    /// word is believed from the score `believed_from` on. Returns the confirmed
    /// tracks that were given up, in order of id.
    pub fn step(
        &mut self,
        moment: &Moment,
        believed_from: f64,
        detections: &[Detection],
    ) -> &[TrackId] {
        self.lost.clear();
        let Scores { high, birth } = self.config.scores(believed_from);
        // Whoever was last seen before a hole must not lend its name to what
        // stands there after it.
        self.bury(moment, LONGEST_STEP_S);
        let dt = self.begin(moment);
        self.collect(detections, moment.aspect);
        let was_seen = |track: &Track| moment.at.time.since(track.seen.time).0 <= DOUBTFUL_WITHIN_S;
        self.associate(
            moment,
            |track| track.is_confirmed,
            |sighting| sighting.score >= high,
            |track, sighting| {
                let predicted = by_overlap(&track.filter.bounds(), &sighting.iso, LEAST_IOU);
                if track.misses == 0 {
                    return predicted;
                }
                // Observation-centric recovery: who comes out from behind
                // something may not have moved as the filter believed.
                predicted.max(by_overlap(&track.last_seen_box, &sighting.iso, LEAST_IOU))
            },
        );
        self.associate(
            moment,
            |track| track.is_confirmed && was_seen(track),
            |sighting| sighting.score < high,
            |track, sighting| by_overlap(&track.filter.bounds(), &sighting.iso, LEAST_IOU_DOUBTFUL),
        );
        self.associate(
            moment,
            |track| !track.is_confirmed,
            |sighting| sighting.score >= high,
            |track, sighting| by_overlap(&track.filter.bounds(), &sighting.iso, LEAST_IOU),
        );
        self.associate(
            moment,
            |_| true,
            |sighting| sighting.score >= high,
            |track, sighting| {
                let since_seen = moment.at.time.since(track.seen.time).0.max(dt);
                by_distance(
                    &track.filter,
                    &sighting.iso,
                    Group::of(sighting.class),
                    track.hits >= VELOCITY_HITS,
                    since_seen,
                )
            },
        );
        self.give_birth(moment, birth);
        riders::note(&mut self.tracks, moment.aspect);
        self.bury(moment, 0.0);
        &self.lost
    }

    /// Drops what would not be believed after so long, without a picture.
    pub fn pass_time(&mut self, moment: &Moment) -> &[TrackId] {
        self.lost.clear();
        self.bury(moment, LONGEST_STEP_S);
        &self.lost
    }

    /// Forgets everything, because the clock was set back.
    pub fn restart(&mut self) {
        self.tracks.clear();
        self.previous = None;
        self.first_rank = self.highest_rank.saturating_add(1);
        self.highest_rank = self.first_rank;
    }

    /// The first rank that may be given now, and the highest one given so far.
    pub(crate) fn ranks(&self) -> (u16, u16) {
        (self.first_rank, self.highest_rank)
    }

    /// Goes on counting where another tracker of this camera had come to.
    pub(crate) fn resume(&mut self, (first, highest): (u16, u16)) {
        (self.first_rank, self.highest_rank) = (first, highest.max(first));
    }

    /// Brings every track to this frame and counts it as unseen for now.
    fn begin(&mut self, moment: &Moment) -> f64 {
        let stretch = moment.aspect / self.aspect;
        let reshaped = (stretch - 1.0).abs() > 1e-9;
        let dt = self.previous.map_or(0.0, |previous| {
            moment.at.time.since(previous.time).0.max(0.0)
        });
        for track in &mut self.tracks {
            if reshaped {
                track.filter.stretch(stretch);
                track.stature.stretch(stretch);
                track.last_seen_box = IsoBox {
                    centre: crate::geometry::Vector::new(
                        track.last_seen_box.centre.x * stretch,
                        track.last_seen_box.centre.y,
                    ),
                    width: track.last_seen_box.width * stretch,
                    ..track.last_seen_box
                };
            }
            track.filter.predict(dt, track.misses > 0);
            track.misses = track.misses.saturating_add(1);
        }
        self.aspect = moment.aspect;
        self.previous = Some(moment.at);
        dt
    }

    /// Keeps the detections worth looking at, one for each thing.
    fn collect(&mut self, detections: &[Detection], aspect: f64) {
        self.sightings.clear();
        for detection in detections {
            if detection.score < self.config.low_score || self.sightings.len() >= 2 * MOST_TRACKS {
                continue;
            }
            let iso = IsoBox::new(&detection.bounds, aspect);
            let group = Group::of(detection.class);
            // Detectors suppress per class, so one van may come as car and as truck.
            // The canonical order puts the better one first.
            let is_double = self
                .sightings
                .iter()
                .any(|s| Group::of(s.class) == group && s.iso.iou(&iso) >= SAME_THING);
            if !is_double {
                self.sightings.push(Sighting {
                    class: detection.class,
                    score: detection.score,
                    bounds: detection.bounds,
                    iso,
                    taken: false,
                });
            }
        }
    }

    /// One round: the tracks and sightings that are eligible and still free.
    fn associate(
        &mut self,
        moment: &Moment,
        track_may: impl Fn(&Track) -> bool,
        sighting_may: impl Fn(&Sighting) -> bool,
        gain: impl Fn(&Track, &Sighting) -> f64,
    ) {
        self.rows.clear();
        self.rows.extend(
            self.tracks
                .iter()
                .enumerate()
                .filter(|(_, t)| t.seen.time < moment.at.time && track_may(t))
                .map(|(index, _)| index),
        );
        self.columns.clear();
        self.columns.extend(
            self.sightings
                .iter()
                .enumerate()
                .filter(|(_, s)| !s.taken && sighting_may(s))
                .map(|(index, _)| index),
        );
        if self.rows.is_empty() || self.columns.is_empty() {
            return;
        }
        self.assignment.reset(self.rows.len(), self.columns.len());
        for (row, &t) in self.rows.iter().enumerate() {
            let track = &self.tracks[t];
            let group = track.group();
            for (column, &s) in self.columns.iter().enumerate() {
                let sighting = &self.sightings[s];
                if Group::of(sighting.class) == group {
                    self.assignment.allow(row, column, gain(track, sighting));
                }
            }
        }
        self.pairs.clear();
        self.pairs.extend_from_slice(self.assignment.solve());
        for &(row, column) in &self.pairs {
            let sighting = &mut self.sightings[self.columns[column]];
            sighting.taken = true;
            let track = &mut self.tracks[self.rows[row]];
            track.take(sighting, moment.at, moment.watched, moment.aspect);
            let age = moment.at.time.since(track.first.time).0;
            let slow = track.hits >= 2 && age >= SLOW_CONFIRM_S && self.config.confirm_hits > 1;
            track.is_confirmed |= track.hits >= self.config.confirm_hits || slow;
        }
    }

    fn give_birth(&mut self, moment: &Moment, from_score: f64) {
        let mut rank = self.first_rank;
        for sighting in &self.sightings {
            let is_new = !sighting.taken && sighting.score >= from_score;
            if !is_new || self.tracks.len() >= MOST_TRACKS {
                continue;
            }
            let id = TrackId {
                born: moment.at.time,
                rank,
            };
            let mut track = Track::new(id, sighting, moment.at, moment.watched);
            track.is_confirmed = self.config.confirm_hits <= 1;
            // Later than every other track, so the order by id is kept.
            self.tracks.push(track);
            self.highest_rank = self.highest_rank.max(rank);
            rank = rank.saturating_add(1);
        }
    }

    /// Gives up what has not been seen for too long, and for at least `least_s`.
    fn bury(&mut self, moment: &Moment, least_s: f64) {
        let config = &self.config;
        let lost = &mut self.lost;
        self.tracks.retain(|track| {
            let unseen = moment.at.time.since(track.seen.time).0;
            let recent = unseen <= config.keep_lost_s.max(least_s);
            let keep = if track.is_confirmed {
                let life = track.seen.time.since(track.first.time).0;
                let may_stay = moment.watched - track.seen_watched <= config.keep_parked_s;
                recent
                    || (unseen <= PARKED_UNSEEN_S
                        && may_stay
                        && life >= PARKED_LIFE_S
                        && track.is_stationary())
            } else {
                // One missed frame is forgiven: small things flicker.
                track.misses <= 1 && recent
            };
            let keep = keep || track.seen == moment.at;
            if !keep && track.is_confirmed {
                lost.push(track.id);
            }
            keep
        });
    }
}

#[cfg(test)]
impl Tracker {
    /// A step in which `whose[i]` says to which rank the i-th detection belongs,
    /// so that a rule's test chooses which ids swap and when. Believed at once.
    pub(crate) fn step_given(
        &mut self,
        moment: &Moment,
        detections: &[Detection],
        whose: &[u16],
    ) -> &[TrackId] {
        self.lost.clear();
        self.bury(moment, LONGEST_STEP_S);
        let _dt = self.begin(moment);
        self.collect(detections, moment.aspect);
        for (index, &rank) in whose.iter().enumerate() {
            let sighting = Sighting {
                class: detections[index].class,
                score: detections[index].score,
                bounds: detections[index].bounds,
                iso: IsoBox::new(&detections[index].bounds, moment.aspect),
                taken: true,
            };
            if let Some(track) = self.tracks.iter_mut().find(|track| track.id.rank == rank) {
                // Where the test says, not where a filter would have it.
                track.filter = kalman::BoxFilter::new(&sighting.iso);
                track.take(&sighting, moment.at, moment.watched, moment.aspect);
            } else {
                let id = TrackId {
                    born: moment.at.time,
                    rank,
                };
                let mut track = Track::new(id, &sighting, moment.at, moment.watched);
                track.is_confirmed = true;
                self.tracks.push(track);
                self.tracks.sort_by_key(|track| track.id);
            }
        }
        riders::note(&mut self.tracks, moment.aspect);
        self.bury(moment, 0.0);
        &self.lost
    }
}

#[cfg(test)]
mod tests;
