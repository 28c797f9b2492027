//! One camera's scene: inputs in, events out, nothing else.
//!
//! Sans-IO: [`Scene::handle`] is the only way in and the only way out, in
//! production, replay and test. Whatever the inputs are, in whatever order,
//! it answers; time that runs backwards or stands still is dealt with in `time`,
//! so that no rule has to.

mod accounts;
mod judging;
mod perspective;
mod reporting;
mod second_looks;
mod time;
mod unseen;
mod view;

use std::collections::BTreeSet;

use protocol::event::{FrameTime, Place, Provenance};
use protocol::{BoxId, CameraId, EventTime, ObjectClass, SiteId};

use crate::calibration::{Calibration, Ground};
use crate::config::{Fault, SceneConfig};
use crate::coverage::Account;
use crate::health::Health;
use crate::input::{Input, Output};
use crate::marks::MarkBoard;
use crate::observation::Observation;
use crate::plate_board::{PlateBoard, Present};
use crate::queue::Queues;
use crate::signals::SignalBoard;
use crate::state::{SceneState, Shift};
use crate::tracker::Tracker;

use perspective::{Perspective, USUAL_ASPECT};
use reporting::Rules;
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

/// The scene of one camera.
#[derive(Clone, Debug)]
pub struct Scene {
    config: SceneConfig,
    perspective: Perspective,
    tracker: Tracker,
    signals: SignalBoard,
    queues: Queues,
    rules: Rules,
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
            tracker: Tracker::new(config.tracker).on_ground(ground),
            perspective: Perspective {
                aspect: USUAL_ASPECT,
                ground,
            },
            signals: SignalBoard::new(&config.signals),
            queues: Queues::new(config.stop_lines.clone()),
            rules: Rules::new(identity, &config.rules),
            observations: Vec::new(),
            marks: MarkBoard::default(),
            classes: None,
            given: BTreeSet::new(),
            clock: None,
            frame: None,
            watched_us: 0,
            unwatched_us: 0,
            taken_back: None,
            health: Health::default(),
            second_looks: SecondLooks::default(),
            plates: PlateBoard::default(),
            shifts: vec![Shift::default(); config.rules.len()],
            account: Account::new(config.rules.len()),
            refused: Refused::default(),
            config,
        })
    }

    /// From now on also says what nearly was an event.
    pub fn tell_near_misses(&mut self) {
        self.rules.near.get_or_insert_default();
    }

    /// Says which classes the detector can give. Rules that need another one
    /// are then accounted for as not watching ([`NoModel`](crate::Unwatched::NoModel)). Until it
    /// is said they are so while nothing of that class was seen
    /// ([`ModelUnknown`](crate::Unwatched::ModelUnknown)).
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
        self.attend_to_plates(said, out);
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
            aspect: self.perspective.aspect,
            time_quality: self.rules.time_quality,
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
        self.perspective.shape(state.aspect);
        self.rules.time_quality = state.time_quality;
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

    /// Puts plates on what was said from `said` on, and revises what was said before.
    fn attend_to_plates(&mut self, said: usize, out: &mut Vec<Output>) {
        let present = Present {
            followed: self.tracker.tracks(),
            seen: self.frame,
            clock: self.clock,
        };
        self.plates.attend(present, said, out);
    }
}
