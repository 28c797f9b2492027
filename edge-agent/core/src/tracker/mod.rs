//! Detections become tracks: which box now is which road user from before.
//!
//! Two-stage association after ByteTrack: confident detections find their
//! tracks first, then tracks that found none may take a doubtful detection
//! (half hidden, blurred), which can never start a track. Which are confident
//! the detector says with every picture ([`TrackerConfig`]). Motion is a Kalman
//! filter in the isotropic picture with true time intervals, so 2 and 30 frames
//! a second and holes in the stream need no other parameters; where calibrated,
//! who is out of sight is followed on the ground as well. What overlapped
//! nothing is then looked for by distance: small fast things at low rates.
//! What was tried and what it brought: `docs/design/tracking.md`.
//!
//! Detections come in canonical order, so their order in the input changes
//! nothing. Ids are birth time and rank. Memory is bounded by [`MOST_TRACKS`].

mod assignment;
mod association;
mod config;
pub(crate) mod footing;
mod kalman;
mod riders;
mod road;
mod saved;
mod stature;
mod track;

use protocol::event::FrameTime;
use protocol::{CameraMotion, Detection, TrackId};

pub use association::Group;
pub use config::TrackerConfig;
pub use riders::RiderCount;
pub(crate) use riders::Riding;
pub use saved::{SavedTrack, TrackerState};
pub use track::{Spot, Track};

use crate::calibration::Ground;
use crate::geometry::IsoBox;
use assignment::Assignment;
use association::{Sighting, by_distance, by_overlap, doubted};
use config::Scores;
use road::Place;

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
    /// Whether nobody looked, and those of the last look were followed into this picture.
    pub is_followed: bool,
}

/// Least overlap of a confident detection with where its track should be.
const LEAST_IOU: f64 = 0.15;
/// The same for a doubtful detection, which must be where it is expected.
const LEAST_IOU_DOUBTFUL: f64 = 0.4;
/// The same with where a track was last seen: it may have stopped behind what hid it.
const LEAST_IOU_RECOVERED: f64 = 0.3;
/// It stopped there this recently, s: later somebody else may stand there.
const RECOVERED_WITHIN_S: f64 = 1.0;
/// A doubtful detection keeps alive only what was seen this recently, s.
const DOUBTFUL_WITHIN_S: f64 = 0.7;
/// Who was out of sight is the poorer candidate beside who was seen a picture ago.
const OUT_OF_SIGHT: f64 = 0.5;
/// What a difference in score costs, in overlap: a body half hidden in one
/// picture is half hidden in the next, and its neighbour in front is not.
const SCORE_JUMP: f64 = 0.6;
/// The same for a doubtful detection, whose score has just fallen.
const SCORE_JUMP_DOUBTFUL: f64 = 0.3;
/// Without overlap only who was seen this recently, s, beside the last picture, is looked for.
const NEARBY_WITHIN_S: f64 = 0.5;
/// Two detections of one group with this overlap are one thing seen twice.
const SAME_THING: f64 = 0.8;
/// From this number of hits on a velocity is worth something.
const VELOCITY_HITS: u32 = 3;
/// A confirmed track needs this long a life where few frames make few hits.
const SLOW_CONFIRM_S: f64 = 1.0;
/// Detections of this mean score show a road user clearly.
const CLEAR: f64 = 0.7;
/// Through a hole in the stream a parked track is kept so long: nobody watched, s.
const PARKED_UNSEEN_S: f64 = 300.0;
/// Somebody else who stands and covers so much of a hidden parked track's place has taken it.
const PLACE_TAKEN: f64 = 0.3;
/// Pictures farther apart than this are no longer the next picture, s.
const LONGEST_STEP_S: f64 = 2.0;

/// All tracks of a camera.
#[derive(Clone, Debug, Default)]
pub struct Tracker {
    config: TrackerConfig,
    ground: Option<Ground>,
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
    /// Places of those who stand in sight.
    places: Vec<(Group, IsoBox)>,
    /// Who may be in whose way.
    in_sight: Vec<footing::InSight>,
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

    /// Where the camera is calibrated: who is out of sight is followed on the
    /// ground, and nobody leaps across it.
    #[must_use]
    pub fn on_ground(mut self, ground: Option<Ground>) -> Self {
        self.ground = ground;
        self
    }

    /// Follows the camera's own motion since the last step, before the next.
    pub fn follow_camera(&mut self, motion: &CameraMotion) {
        for track in &mut self.tracks {
            track.follow_camera(motion, self.aspect);
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
        let unseen = |track: &Track| moment.at.time.since(track.seen.time).0;
        let was_seen = |track: &Track| unseen(track) <= DOUBTFUL_WITHIN_S;
        self.associate(
            moment,
            |track| track.is_confirmed,
            |sighting| sighting.score >= high,
            |track, sighting| {
                let gain = doubted(
                    by_expectation(track, sighting, LEAST_IOU),
                    SCORE_JUMP * (sighting.score - track.last_score).abs(),
                );
                // Count as one miss: this picture's own.
                let is_lost = track.misses > 1;
                if is_lost { OUT_OF_SIGHT * gain } else { gain }
            },
        );
        self.associate(
            moment,
            |track| track.is_confirmed && was_seen(track),
            |sighting| sighting.score < high,
            |track, sighting| {
                doubted(
                    by_expectation(track, sighting, LEAST_IOU_DOUBTFUL),
                    SCORE_JUMP_DOUBTFUL * (sighting.score - track.last_score).abs(),
                )
            },
        );
        self.associate(
            moment,
            |track| !track.is_confirmed,
            |sighting| sighting.score >= high,
            |track, sighting| by_overlap(&track.expected, &sighting.iso, LEAST_IOU),
        );
        // Observation-centric recovery: who comes out from behind something may
        // not have moved as the filter believed. After everybody else, so that a
        // place left long ago does not draw in a stranger.
        self.associate(
            moment,
            |track| track.is_confirmed && track.misses > 1 && unseen(track) <= RECOVERED_WITHIN_S,
            |sighting| sighting.score >= high,
            |track, sighting| by_overlap(&track.last_seen_box, &sighting.iso, LEAST_IOU_RECOVERED),
        );
        self.associate(
            moment,
            |track| unseen(track) <= dt + NEARBY_WITHIN_S,
            |sighting| sighting.score >= high,
            |track, sighting| {
                by_distance(
                    &track.filter,
                    &sighting.iso,
                    Group::of(sighting.class),
                    track.hits >= VELOCITY_HITS,
                    unseen(track).max(dt),
                )
            },
        );
        self.give_birth(moment, birth);
        if moment.is_followed {
            // Whom following loses the next look may show: he is not missing.
            let is_lost = |track: &&mut Track| !track.is_confirmed && track.misses > 0;
            for track in self.tracks.iter_mut().filter(is_lost) {
                track.misses -= 1;
            }
        }
        riders::note(&mut self.tracks, moment);
        footing::settle(
            &mut self.tracks,
            moment.at,
            self.ground.as_ref(),
            &mut self.in_sight,
        );
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
    pub(crate) fn resume_ranks(&mut self, (first, highest): (u16, u16)) {
        (self.first_rank, self.highest_rank) = (first, highest.max(first));
    }

    /// Brings every track to this frame and counts it as unseen for now.
    fn begin(&mut self, moment: &Moment) -> f64 {
        let stretch = moment.aspect / self.aspect;
        let reshaped = (stretch - 1.0).abs() > 1e-9;
        let dt = self.previous.map_or(0.0, |previous| {
            moment.at.time.since(previous.time).0.max(0.0)
        });
        if self.previous.is_none() {
            // Taken up after a restart, by a clock that has been set back since.
            self.tracks.retain(|track| track.seen.time < moment.at.time);
            for track in &mut self.tracks {
                track.seen_watched = moment.watched;
            }
        }
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
            track.predict(dt, self.ground.as_ref(), moment.aspect);
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
                    place: self
                        .ground
                        .as_ref()
                        .and_then(|ground| Place::of(&iso, ground, aspect)),
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
            let since_seen = moment.at.time.since(track.seen.time).0;
            let long_gone = since_seen > self.config.keep_lost_s.max(LONGEST_STEP_S);
            for (column, &s) in self.columns.iter().enumerate() {
                let sighting = &self.sightings[s];
                if Group::of(sighting.class) != group {
                    continue;
                }
                let gain = gain(track, sighting);
                let may_be = gain > 0.0
                    && (!long_gone || track.looks_like(sighting))
                    && match (&track.road, sighting.place) {
                        (Some(road), Some(place)) => road.can_reach(&place, group, since_seen),
                        _ => true,
                    };
                if may_be {
                    self.assignment.allow(row, column, gain);
                }
            }
        }
        self.pairs.clear();
        self.pairs.extend_from_slice(self.assignment.solve());
        for &(row, column) in &self.pairs {
            let sighting = &mut self.sightings[self.columns[column]];
            sighting.taken = true;
            let track = &mut self.tracks[self.rows[row]];
            track.take(sighting, moment, self.ground.as_ref());
            let age = moment.at.time.since(track.first.time).0;
            let slow = track.hits >= 2 && age >= SLOW_CONFIRM_S && self.config.confirm_hits > 1;
            let clear = track.hits >= 2
                && track.hits.saturating_add(1) >= self.config.confirm_hits
                && track.evidence >= CLEAR * f64::from(track.hits);
            // One look and what was followed of it may be one mistake of the detector.
            track.is_confirmed |=
                !moment.is_followed && (track.hits >= self.config.confirm_hits || slow || clear);
        }
    }

    fn give_birth(&mut self, moment: &Moment, from_score: f64) {
        if moment.is_followed {
            // Whom no look has shown: a track that was given up meanwhile.
            return;
        }
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
            track.stand_on(self.ground.as_ref(), moment.aspect);
            // Later than every other track, so the order by id is kept.
            self.tracks.push(track);
            self.highest_rank = self.highest_rank.max(rank);
            rank = rank.saturating_add(1);
        }
    }

    /// Gives up what has not been seen for too long, and for at least `least_s`.
    fn bury(&mut self, moment: &Moment, least_s: f64) {
        let keep_lost = self.config.keep_lost_s.max(least_s);
        let keep_parked = self.config.keep_parked_s;
        let lost = &mut self.lost;
        let places = &mut self.places;
        let unseen = |track: &Track| moment.at.time.since(track.seen.time).0;
        places.clear();
        if self.tracks.iter().any(|track| unseen(track) > keep_lost) {
            let standing = self
                .tracks
                .iter()
                .filter(|track| track.seen == moment.at && track.may_be_kept());
            places.extend(standing.map(|track| (track.group(), track.last_seen_box)));
        }
        self.tracks.retain(|track| {
            let unseen = unseen(track);
            let recent = unseen <= keep_lost;
            let keep = if track.is_confirmed {
                let watched = moment.watched - track.seen_watched;
                recent
                    || (watched <= keep_parked
                        && unseen - watched <= PARKED_UNSEEN_S
                        && track.may_be_kept()
                        && !places.iter().any(|(group, place)| {
                            *group == track.group()
                                && place.iou(&track.last_seen_box) >= PLACE_TAKEN
                        }))
            } else {
                // One missed look is forgiven: small things flicker.
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

/// How well a sighting fits where a confirmed track should be.
fn by_expectation(track: &Track, sighting: &Sighting, least: f64) -> f64 {
    let in_picture = by_overlap(&track.expected, &sighting.iso, least);
    match &track.expected_on_road {
        Some(expected) => in_picture.max(by_overlap(expected, &sighting.iso, least)),
        None => in_picture,
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
                place: None,
                taken: true,
            };
            if let Some(track) = self.tracks.iter_mut().find(|track| track.id.rank == rank) {
                // Where the test says, not where a filter would have it.
                track.filter = kalman::BoxFilter::new(&sighting.iso);
                track.take(&sighting, moment, self.ground.as_ref());
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
        riders::note(&mut self.tracks, moment);
        footing::settle(
            &mut self.tracks,
            moment.at,
            self.ground.as_ref(),
            &mut self.in_sight,
        );
        self.bury(moment, 0.0);
        &self.lost
    }
}

#[cfg(test)]
mod tests;
