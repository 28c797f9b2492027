//! One camera's scene: inputs in, events out, nothing else.
//!
//! Sans-IO: [`Scene::handle`] is the only way in and the only way out, in
//! production, replay and test. Whatever the inputs are, in whatever order,
//! it answers; time that runs backwards or stands still is dealt with here so
//! that no rule has to.

mod second_looks;
mod unseen;
mod view;

use std::collections::BTreeSet;

use protocol::event::{FrameTime, Place, Provenance};
use protocol::{
    BoxId, CameraId, Detections, EventTime, ObjectClass, SignalReading, SiteId, TimeQuality,
    TrackId,
};

use crate::calibration::{Calibration, Ground};
use crate::config::{Fault, SceneConfig};
use crate::coverage::{Account, Unwatched};
use crate::health::Health;
use crate::input::{Gap, GapReason, Input, Output};
use crate::marks::MarkBoard;
use crate::near_miss::NearMisses;
use crate::observation::{FrameView, Observation, Sight};
use crate::plate_board::PlateBoard;
use crate::queue::Queues;
use crate::rules::{EndReason, Reporter, Rule};
use crate::signals::SignalBoard;
use crate::state::{SceneState, Shift};
use crate::tracker::{Moment, Track, Tracker};

use second_looks::SecondLooks;
pub use view::TrackView;

/// Whose scene it is and by what its events are made.
#[derive(Clone, Debug, PartialEq)]
pub struct Identity {
    /// Installation.
    pub site: SiteId,
    /// Box.
    pub box_id: BoxId,
    /// Camera.
    pub camera: CameraId,
    /// Where the camera stands.
    pub place: Option<Place>,
    /// Whether it is a simulation.
    pub simulated: bool,
    /// Versions and hashes.
    pub provenance: Provenance,
}

/// What was refused, for metrics.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Refused {
    /// Frames that were not later than the one before.
    pub frames_out_of_order: u64,
    /// Detections with numbers that no picture has.
    pub detections_out_of_range: u64,
    /// Signal readings from too far ahead of the pictures.
    pub signals_from_the_future: u64,
    /// Answers of cascades that this camera does not have.
    pub second_looks_unasked: u64,
    /// Answers about frames that are no longer remembered, or never came.
    pub second_looks_late: u64,
    /// Answers about road users that are gone, or that their frame did not show.
    pub second_looks_of_nobody: u64,
    /// Answers that were given before.
    pub second_looks_twice: u64,
}

/// What a scene waits for: how soon it needs the next picture.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub enum Attention {
    /// Nobody is there.
    #[default]
    Nobody,
    /// Whoever is there stands; a look each second or two shows that they still do.
    Settled,
    /// Somebody is followed who would be lost without the next picture.
    Unsettled,
}

/// Frames farther apart than this were not watched in between, announced or not, s.
const HOLE_S: f64 = 2.0;
/// A frame this much earlier than the one before is out of order; more, and
/// the clock was set back, s.
const OUT_OF_ORDER_S: f64 = 1.0;
/// A signal reading this far ahead of the pictures has a wrong clock, s.
const FUTURE_S: f64 = 10.0;

/// The scene of one camera.
#[derive(Clone, Debug)]
pub struct Scene {
    identity: Identity,
    config: SceneConfig,
    ground: Option<Ground>,
    tracker: Tracker,
    signals: SignalBoard,
    queues: Queues,
    rules: Vec<Box<dyn Rule>>,
    observations: Vec<Observation>,
    marks: MarkBoard,
    /// Which classes the detector can give; `None` where nobody knows.
    classes: Option<Vec<ObjectClass>>,
    /// Classes that it has given: what there is to go by where nobody knows.
    given: BTreeSet<ObjectClass>,
    /// The latest instant heard of.
    clock: Option<EventTime>,
    /// The last frame.
    frame: Option<FrameTime>,
    aspect: f64,
    time_quality: TimeQuality,
    watched_us: i64,
    /// Announced gaps since the last frame.
    unwatched_us: i64,
    /// Until when watched time was taken back, because the picture had frozen.
    taken_back: Option<EventTime>,
    health: Health,
    second_looks: SecondLooks,
    plates: PlateBoard,
    /// Of each rule, in their order.
    shifts: Vec<Shift>,
    account: Account,
    /// Where near misses are asked for.
    near: Option<NearMisses>,
    refused: Refused,
}

impl Scene {
    /// A scene that has seen nothing yet.
    pub fn new(
        identity: Identity,
        config: SceneConfig,
        calibration: Option<Calibration>,
    ) -> Result<Self, Vec<Fault>> {
        let ground = calibration
            .map(|calibration| Ground::new(&calibration))
            .transpose()
            .map_err(|fault| vec![fault])?;
        Ok(Self {
            identity,
            tracker: Tracker::new(config.tracker).on_ground(ground),
            ground,
            signals: SignalBoard::new(&config.signals),
            queues: Queues::new(config.stop_lines.clone()),
            rules: config.rules.iter().map(|rule| rule.rule.clone()).collect(),
            observations: Vec::new(),
            marks: MarkBoard::default(),
            classes: None,
            given: BTreeSet::new(),
            clock: None,
            frame: None,
            aspect: 16.0 / 9.0,
            time_quality: TimeQuality::Unknown,
            watched_us: 0,
            unwatched_us: 0,
            taken_back: None,
            health: Health::default(),
            second_looks: SecondLooks::default(),
            plates: PlateBoard::default(),
            shifts: vec![Shift::default(); config.rules.len()],
            account: Account::new(config.rules.len()),
            near: None,
            refused: Refused::default(),
            config,
        })
    }

    /// From now on also says what nearly was an event.
    pub fn tell_near_misses(&mut self) {
        self.near.get_or_insert_default();
    }

    /// Says which classes the detector can give. Rules that need another one
    /// are then accounted for as not watching ([`Unwatched::NoModel`]). Until it
    /// is said they are so while nothing of that class was seen
    /// ([`Unwatched::ModelUnknown`]).
    pub fn expect_classes(&mut self, classes: impl IntoIterator<Item = ObjectClass>) {
        self.classes = Some(classes.into_iter().collect());
        self.note_only_second();
    }

    /// Takes one input and appends what there is to say.
    pub fn handle(&mut self, input: Input, out: &mut Vec<Output>) {
        let said = out.len();
        match input {
            Input::Detections(detections) => self.look(detections, out),
            Input::SecondLook(look) => self.hear_second_look(look, out),
            Input::Unanswered(stretch) => self.hear_unanswered(&stretch),
            Input::Unseen(stretch) => self.hear_unseen(&stretch),
            Input::Signal(reading) => self.read_signal(&reading),
            Input::Gap(gap) => {
                self.plates.note_gap();
                self.pause(gap, out);
            }
            Input::Health(health) => self.hear(health, out),
            Input::Tick(at) => self.pass_time(at, out),
            Input::End(_) => self.finish(out),
        }
        let followed = self.tracker.tracks();
        self.plates
            .attend((followed, self.frame), self.clock, said, out);
    }

    /// Whether nobody is followed and no rule remembers anything, so that a new
    /// scene that takes over the [`state`](Self::state) goes on exactly the same.
    pub fn is_quiescent(&self) -> bool {
        self.remembered() == 0
    }

    /// What a new scene can take over at a cut.
    pub fn state(&self) -> SceneState {
        SceneState {
            clock: self.clock,
            frame: self.frame,
            aspect: self.aspect,
            time_quality: self.time_quality,
            watched_us: self.watched_us,
            unwatched_us: self.unwatched_us,
            taken_back: self.taken_back,
            health: self.health,
            shifts: self.shifts.clone(),
            account: self.account.clone(),
            signals: self.signals.state(),
            queues_looked: self.queues.looked(),
            ranks: self.tracker.ranks(),
            given: self.given.clone(),
            tracker: self.tracker.save(),
        }
    }

    /// Goes on where another scene of the same configuration was cut. Only for
    /// a scene that has seen nothing yet. Returns how many parked road users go
    /// on under their names.
    pub fn resume(&mut self, state: SceneState) -> usize {
        self.clock = state.clock;
        self.frame = state.frame;
        if (0.1..=10.0).contains(&state.aspect) {
            self.aspect = state.aspect;
        }
        self.time_quality = state.time_quality;
        self.watched_us = state.watched_us.max(0);
        self.unwatched_us = state.unwatched_us.max(0);
        self.taken_back = state.taken_back;
        self.health = state.health;
        // A state of another configuration accounts for other rules.
        if state.shifts.len() == self.shifts.len() {
            self.shifts = state.shifts;
        }
        self.account.resume(state.account);
        self.signals.resume(state.signals);
        self.given = state.given;
        self.queues.go_on(state.queues_looked);
        let parked = self.tracker.resume(&state.tracker);
        self.tracker.resume_ranks(state.ranks);
        parked
    }

    fn sight(&self) -> Sight<'_> {
        Sight {
            aspect: self.aspect,
            ground: self.ground.as_ref(),
        }
    }

    fn look(&mut self, detections: Detections, out: &mut Vec<Output>) {
        let sent = detections.items.len();
        let mut detections = detections.canonical();
        // A box far outside its picture is a fault of the detector's decoding.
        detections.items.retain(|item| {
            let edges: [f64; 4] = item.bounds.into();
            edges.iter().all(|edge| edge.abs() <= 4.0) && (0.0..=1.0).contains(&item.score)
        });
        self.refused.detections_out_of_range += (sent - detections.items.len()) as u64;
        self.note_given(&detections);
        if !self.begin_frame(&detections, out) {
            return;
        }
        let moment = Moment {
            is_followed: detections.is_followed,
            ..self.moment(FrameTime {
                frame: detections.frame,
                time: detections.time,
            })
        };
        if let Some(motion) = &detections.camera_motion {
            self.tracker.follow_camera(motion);
        }
        if detections.is_followed {
            // One look is one vote, however far it is followed.
            detections
                .items
                .retain(|item| !crate::marks::is_mark(item.class));
        }
        self.marks
            .take(&mut detections.items, detections.believed_from);
        let given_up = self
            .tracker
            .step(&moment, detections.believed_from, &detections.items)
            .to_vec();
        self.judge(&moment, &given_up, out);
    }

    /// Sets the clocks to a frame. `false`: the frame is out of order.
    fn begin_frame(&mut self, detections: &Detections, out: &mut Vec<Output>) -> bool {
        let now = detections.time;
        if let Some(last) = self.frame {
            let passed = now.since(last.time).0;
            if (-OUT_OF_ORDER_S..=0.0).contains(&passed) {
                self.refused.frames_out_of_order += 1;
                return false;
            }
            if passed < 0.0 {
                self.restart(now, out);
            }
        }
        if self.clock.is_none() {
            self.signals
                .forget_after(now + protocol::units::Seconds(FUTURE_S));
        }
        if let Some(last) = self.frame {
            let passed = now.as_micros() - last.time.as_micros();
            let watched = passed - self.unwatched_us.clamp(0, passed);
            let is_hole = (watched as f64) > HOLE_S * 1e6;
            if !is_hole {
                self.watched_us += watched;
                for shift in &mut self.shifts {
                    if shift.off.is_some() {
                        shift.off_us += watched;
                    }
                }
            }
            self.account_for(now, is_hole.then_some(Unwatched::NoPicture), out);
        } else {
            self.account_for(now, Some(Unwatched::NoPicture), out);
        }
        self.unwatched_us = 0;
        self.clock = self.clock.max(Some(now));
        self.frame = Some(FrameTime {
            frame: detections.frame,
            time: now,
        });
        self.time_quality = detections.time_quality;
        if (0.1..=10.0).contains(&detections.aspect) {
            self.aspect = detections.aspect;
        }
        true
    }

    fn moment(&self, at: FrameTime) -> Moment {
        Moment {
            at,
            watched: self.watched_us as f64 / 1e6,
            aspect: self.aspect,
            is_followed: false,
        }
    }

    /// Lets the rules see what the tracker made of a frame.
    fn judge(&mut self, moment: &Moment, given_up: &[TrackId], out: &mut Vec<Output>) {
        let sight = Sight {
            aspect: self.aspect,
            ground: self.ground.as_ref(),
        };
        for track in self.tracker.tracks_mut() {
            if track.seen == moment.at && track.is_grounded() {
                let spot = sight.spot(track.foot(), track.bounds.height, moment.at);
                track.note(spot);
            }
        }
        let tracks: &[Track] = self.tracker.tracks();
        Observation::collect(tracks, moment.at, &sight, &mut self.observations);
        self.queues
            .update(moment, (&self.observations, tracks), &self.signals, &sight);
        self.marks.assign(tracks, moment.at, self.aspect);
        let frame = FrameView {
            at: moment.at,
            watched: moment.watched,
            users: &self.observations,
            marks: self.marks.marks(),
            signals: &self.signals,
            sight,
            queue: &self.queues,
            health: self.health,
            is_followed: moment.is_followed,
            second: self.second_looks.waits(),
            tracks,
        };
        for (index, (rule, config)) in self.rules.iter_mut().zip(&self.config.rules).enumerate() {
            let mut report = Reporter {
                identity: &self.identity,
                rule: config,
                time_quality: self.time_quality,
                out,
                index,
                near: self.near.as_mut(),
                lookers: &self.second_looks.lookers,
            };
            for track in given_up {
                rule.forget(*track, &mut report);
            }
            let shift = &mut self.shifts[index];
            let off = if !config.schedule.is_on(moment.at.time) {
                Some(Unwatched::OffSchedule)
            } else if rule.is_suspended_by(self.health.condition) {
                Some(self.health.condition.into())
            } else {
                None
            };
            match (off, shift.off) {
                (Some(Unwatched::OffSchedule), None) => {
                    rule.end(EndReason::OffSchedule, &mut report);
                }
                (None, Some((from, _))) => rule.interrupt(&Gap {
                    from,
                    to: moment.at.time,
                    reason: GapReason::Unfit,
                }),
                _ => {}
            }
            shift.off = off.map(|why| (shift.off.map_or(moment.at.time, |(from, _)| from), why));
            if off.is_some() {
                continue;
            }
            let watched_us = (self.watched_us - shift.off_us).max(0);
            let frame = FrameView {
                watched: watched_us as f64 / 1e6,
                ..frame
            };
            rule.frame(&frame, &mut report);
            let mut needs = config.needs.iter();
            let unfed = if let Some(can) = &self.classes {
                let is_fed =
                    |class: &ObjectClass| can.contains(class) || self.second_looks.gives(*class);
                (!needs.all(is_fed)).then_some(Unwatched::NoModel)
            } else {
                let is_given = needs
                    .all(|class| self.given.contains(class) || self.second_looks.gives(*class));
                (!is_given).then_some(Unwatched::ModelUnknown)
            };
            shift.blind = unfed.or_else(|| rule.blind(&frame));
        }
        self.second_looks.keep(
            (moment.at, self.watched_us),
            &self.observations,
            self.marks.marks(),
            (self.tracker.tracks(), self.aspect),
        );
        self.tell_nearest(given_up, out);
    }

    /// Where nobody knows what the detector can give, what it gave is known.
    fn note_given(&mut self, detections: &Detections) {
        if self.classes.is_none() {
            let given = detections.items.iter().map(|item| item.class);
            self.given.extend(given);
        }
    }

    /// Accounts for the time until `now`: for `why` where nobody watched, else
    /// for what each rule said of itself.
    fn account_for(&mut self, now: EventTime, why: Option<Unwatched>, out: &mut Vec<Output>) {
        let (shifts, rules) = (&self.shifts, &self.config.rules);
        self.account.pass(
            now,
            |rule| why.or_else(|| shifts[rule].verdict()),
            |rule, tally| out.push(Output::Coverage(tally.of(&rules[rule]))),
        );
    }

    fn account_for_gap(&mut self, gap: &Gap, out: &mut Vec<Output>) {
        let rules = &self.config.rules;
        self.account
            .pass_gap(gap.to, gap.reason.into(), |rule, tally| {
                out.push(Output::Coverage(tally.of(&rules[rule])));
            });
    }

    /// Says what was nearly an event of road users that are gone.
    fn tell_nearest(&mut self, gone: &[TrackId], out: &mut Vec<Output>) {
        if let Some(near) = &mut self.near {
            for track in gone {
                let misses = near.take(*track, self.rules.len());
                out.extend(misses.into_iter().map(Output::NearMiss));
            }
            // Somebody may have been judged under a name that was given up
            // before: of an empty road everything is told.
            if self.tracker.tracks().is_empty() {
                out.extend(near.take_all().into_iter().map(Output::NearMiss));
            }
        }
    }

    /// Ends the accounts: nothing will follow on what was seen so far.
    fn settle(&mut self, out: &mut Vec<Output>) {
        if let Some(near) = &mut self.near {
            out.extend(near.take_all().into_iter().map(Output::NearMiss));
        }
        let rules = &self.config.rules;
        self.account
            .finish(|rule, tally| out.push(Output::Coverage(tally.of(&rules[rule]))));
    }

    fn read_signal(&mut self, reading: &SignalReading) {
        if let Some(clock) = self.clock
            && reading.time.since(clock).0 > FUTURE_S
        {
            self.refused.signals_from_the_future += 1;
            return;
        }
        self.signals.read(reading);
    }

    fn pause(&mut self, gap: Gap, out: &mut Vec<Output>) {
        let Some(last) = self.frame else {
            // Nothing was seen at all so far, and now it is known why.
            self.account_for(gap.from, Some(Unwatched::NoPicture), out);
            self.account_for_gap(&gap, out);
            return;
        };
        if gap.reason == GapReason::Frozen && gap.from <= gap.to {
            self.take_back(&gap, last.time);
        } else if gap.to < last.time {
            self.restart(gap.to, out);
            return;
        }
        for rule in &mut self.rules {
            rule.interrupt(&gap);
        }
        if gap.to > last.time {
            self.account_for(gap.from.max(last.time), None, out);
            self.account_for_gap(&gap, out);
        }
        if gap.reason == GapReason::ClockStep {
            // How long a lamp has shown what it shows is not known any more.
            self.signals.forget_lamps();
        }
        // Only what lies after the last frame is not yet accounted for.
        let from = gap.from.max(last.time);
        let length = gap.to.as_micros() - from.as_micros();
        self.unwatched_us = self.unwatched_us.saturating_add(length.max(0));
    }

    /// That a picture has frozen is found out late. Until then its copies were
    /// handled as looks: their time was not watched after all, and what their
    /// lamps said was said once.
    fn take_back(&mut self, gap: &Gap, last: EventTime) {
        let from = self
            .taken_back
            .map_or(gap.from, |until| gap.from.max(until));
        let to = gap.to.min(last);
        let credited = to.as_micros().saturating_sub(from.as_micros()).max(0);
        // At most, because there may have been gaps within; never too little.
        self.watched_us = self.watched_us.saturating_sub(credited).max(0);
        self.account.take_back(credited, Unwatched::Frozen);
        self.taken_back = self.taken_back.max(Some(to));
        self.second_looks.forget_after(gap.from);
        self.signals.forget_lamps();
    }

    /// The condition of the picture was told.
    fn hear(&mut self, health: Health, out: &mut Vec<Output>) {
        self.health = Health {
            since: health.since.min(health.time),
            ..health
        };
        self.tell_health(out);
    }

    /// Rules about the camera itself hear of its health also when no frame comes.
    fn tell_health(&mut self, out: &mut Vec<Output>) {
        let health = self.health;
        let now = FrameTime {
            frame: self.frame.map_or(0, |last| last.frame),
            time: self.clock.unwrap_or(health.time).max(health.time),
        };
        self.each_rule(out, |rule, report| {
            if report.rule.schedule.is_on(now.time) {
                rule.health(&health, now, report);
            }
        });
    }

    fn pass_time(&mut self, at: EventTime, out: &mut Vec<Output>) {
        // A tick says that time passes, not that anybody watched.
        if self.clock.is_some_and(|clock| at <= clock) {
            return;
        }
        self.clock = Some(at);
        self.tell_health(out);
        let Some(last) = self.frame else {
            return;
        };
        let moment = self.moment(FrameTime {
            frame: last.frame,
            time: at,
        });
        let given_up = self.tracker.pass_time(&moment).to_vec();
        self.each_rule(out, |rule, report| {
            for track in &given_up {
                rule.forget(*track, report);
            }
        });
        self.tell_nearest(&given_up, out);
    }

    /// The clock was set back to `now`: what was seen before cannot be followed up.
    fn restart(&mut self, now: EventTime, out: &mut Vec<Output>) {
        self.each_rule(out, |rule, report| {
            rule.end(EndReason::ClockStep, report);
        });
        self.settle(out);
        self.tracker.restart();
        self.signals.forget();
        self.queues.forget();
        self.second_looks.forget();
        self.frame = None;
        self.clock = Some(now);
        self.unwatched_us = 0;
        self.taken_back = None;
    }

    fn finish(&mut self, out: &mut Vec<Output>) {
        self.each_rule(out, |rule, report| {
            rule.end(EndReason::StreamEnded, report);
        });
        self.settle(out);
        // Pictures may follow, of the next clip or the next connection, and
        // their clock may start anew.
        self.tracker.restart();
        self.signals.forget();
        self.queues.forget();
        self.second_looks.forget();
        self.frame = None;
        self.clock = None;
        self.unwatched_us = 0;
        self.taken_back = None;
    }

    fn each_rule(
        &mut self,
        out: &mut Vec<Output>,
        mut act: impl FnMut(&mut Box<dyn Rule>, &mut Reporter<'_>),
    ) {
        for (index, (rule, config)) in self.rules.iter_mut().zip(&self.config.rules).enumerate() {
            let mut report = Reporter {
                identity: &self.identity,
                rule: config,
                time_quality: self.time_quality,
                out,
                index,
                near: self.near.as_mut(),
                lookers: &self.second_looks.lookers,
            };
            act(rule, &mut report);
        }
    }
}

#[cfg(test)]
use crate::marks::is_mark;

#[cfg(test)]
impl Scene {
    /// Looks at a frame in which every detection says whose it is, so that a
    /// rule's test does not depend on the tracker.
    pub(crate) fn look_given(
        &mut self,
        detections: &Detections,
        whose: &[u16],
        out: &mut Vec<Output>,
    ) {
        self.note_given(detections);
        let (mut items, mut of) = (detections.items.clone(), whose.to_vec());
        let mut kept = detections.items.iter().map(|i| !is_mark(i.class));
        of.retain(|_| kept.next().unwrap_or(true));
        self.marks.take(&mut items, detections.believed_from);
        if !self.begin_frame(detections, out) {
            return;
        }
        let moment = self.moment(FrameTime {
            frame: detections.frame,
            time: detections.time,
        });
        let given_up = self.tracker.step_given(&moment, &items, &of).to_vec();
        let said = out.len();
        self.judge(&moment, &given_up, out);
        let followed = self.tracker.tracks();
        self.plates
            .attend((followed, self.frame), self.clock, said, out);
    }
}
