//! The state machine: offers in, choices out.

use std::cmp::Ordering;
use std::collections::{BTreeMap, VecDeque};

use protocol::EventTime;

use crate::job::{Job, Kind};
use crate::pace::Pace;

/// Limits that hold for all cameras.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Settings {
    /// An awake camera that was not looked at for so long comes first, µs.
    /// Half a second: below two pictures a second a tracker does not know one
    /// motorbike from the next.
    pub floor_us: i64,
    /// A batch of pictures is not made larger when its oldest would then be older than
    /// this, and one of second looks when it would take longer, µs.
    pub latency_us: i64,
    /// A second look that had to wait so long is of no use any more, µs.
    pub second_look_us: i64,
}

impl Settings {
    /// Looks at an awake camera that are farther apart are too few to judge by, µs.
    pub fn longest_hole_us(&self) -> i64 {
        FLOORS_UNWATCHED * self.floor_us
    }
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            floor_us: 500_000,
            latency_us: 200_000,
            second_look_us: 2_000_000,
        }
    }
}

/// What a camera wants.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Plan {
    /// µs between looks while it is awake.
    pub interval_us: i64,
    /// A sleeping one that was not looked at for so long comes first, µs. A little
    /// above its gate's heartbeat, and below the two seconds that rules take for a hole.
    pub heartbeat_us: i64,
}

/// A job that is to be done now.
#[derive(Clone, Debug, PartialEq)]
pub struct Chosen<P> {
    /// It.
    pub job: Job<P>,
    /// How long it waited, µs.
    pub waited_us: i64,
    /// Before this picture, of this stretch too little was seen to judge by,
    /// because the device was busy.
    pub unwatched: Option<(EventTime, EventTime)>,
}

/// What became of a camera's jobs.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Counters {
    /// Done, by kind.
    pub chosen: BTreeMap<Kind, u64>,
    /// Not done, by kind: a newer picture came, they were too old, or too many. Heartbeats only where
    /// a hole came of it: until then any newer picture is one.
    pub dropped: BTreeMap<Kind, u64>,
    /// Stretches that were said to be unwatched.
    pub unwatched: u64,
}

/// Tiles that wait, and second looks that wait, for each camera: one kind never takes
/// the place of the other, or sixteen tiles a picture would push every second look out.
const MOST_WAITING: usize = 16;
/// Too little was seen when the looks at an awake camera were so many floors apart.
const FLOORS_UNWATCHED: i64 = 2;
/// And at a sleeping one when they were farther apart than rules can bear, µs.
pub const HOLE_US: i64 = 2_000_000;

/// A look of a second model at a whole picture that has waited so long is as urgent as
/// an awake camera at its floor, µs: fire is told by a look in every two seconds or so.
const PICTURE_LOOK_DUE_US: i64 = 1_000_000;
/// And of no use any more after so long: a scene remembers five seconds of frames, µs.
const PICTURE_LOOK_OLD_US: i64 = 4_000_000;

/// Of the device's time, tiles that wait get at least one part in so many, and second
/// looks another, those at whole pictures a third: overload takes neither for ever. A box that reads no plate at all,
/// because its pictures come faster than it looks, sees offences of nobody.
const SHARE: f64 = 20.0;

/// Chooses among the cameras of one device.
#[derive(Clone, Debug)]
pub struct Scheduler<P> {
    settings: Settings,
    cameras: Vec<Camera<P>>,
    models: Vec<Pace>,
    /// Since when jobs of a kind wait and none was done, µs.
    starving: BTreeMap<Kind, i64>,
    /// Of kinds that have a share of the time: when the last batch ended, and what it took, µs.
    served: BTreeMap<Kind, (i64, i64)>,
    /// Those of the batch that is being done.
    under_way: Vec<Kind>,
    /// Choices so far: who was chosen longest ago comes first among equals.
    turn: u64,
}

#[derive(Clone, Debug)]
struct Waiting<P> {
    job: Job<P>,
    /// Since when it waits, or an older one whose place it took.
    since_us: i64,
    offered_us: i64,
}

#[derive(Clone, Debug)]
struct Camera<P> {
    plan: Plan,
    whole: Option<Waiting<P>>,
    parts: VecDeque<Waiting<P>>,
    /// The last look at a whole picture: on the clock of the calls, and its own time.
    looked: Option<(i64, EventTime)>,
    /// Since when it waits for its first look.
    first_offer_us: Option<i64>,
    /// The first picture of an awake camera since the last look that was not looked at,
    /// or the one before it.
    missed: Option<EventTime>,
    /// Whether a heartbeat was not looked at since then.
    has_missed_heartbeat: bool,
    /// Whether pictures of which one may have been a heartbeat never came here.
    is_passed_over_at_rest: bool,
    turn: u64,
    /// The same of its tiles and second looks, by kind.
    turns: BTreeMap<Kind, u64>,
    counters: Counters,
}

/// Where a job is.
#[derive(Clone, Copy, Debug)]
struct Place {
    camera: usize,
    /// `None`: the whole picture.
    part: Option<usize>,
}

/// How urgent a job is; the least comes first.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Rank {
    is_in_time: bool,
    kind: Kind,
    /// Of tiles and second looks: when its camera had its last turn with them. By age
    /// alone, a camera with three cascades would keep all others waiting.
    part_turn: u64,
    /// Waiting time in limits or targets.
    lateness: f64,
    turn: u64,
    camera: usize,
}

impl Rank {
    fn order(&self, other: &Self) -> Ordering {
        let kind = if self.is_in_time || other.is_in_time {
            self.kind.cmp(&other.kind)
        } else {
            // All who are past their limit are alike.
            Ordering::Equal
        };
        self.is_in_time
            .cmp(&other.is_in_time)
            .then(kind)
            .then(self.part_turn.cmp(&other.part_turn))
            .then(other.lateness.total_cmp(&self.lateness))
            .then(self.turn.cmp(&other.turn))
            .then(self.camera.cmp(&other.camera))
    }
}

impl<P> Scheduler<P> {
    /// For these cameras, and for models that take batches of at most so many pictures.
    pub fn new(settings: Settings, plans: &[Plan], largest_batches: &[usize]) -> Self {
        let camera = |plan: &Plan| Camera {
            plan: *plan,
            whole: None,
            parts: VecDeque::new(),
            looked: None,
            first_offer_us: None,
            missed: None,
            has_missed_heartbeat: false,
            is_passed_over_at_rest: false,
            turn: 0,
            turns: BTreeMap::new(),
            counters: Counters::default(),
        };
        Self {
            settings,
            cameras: plans.iter().map(camera).collect(),
            models: largest_batches
                .iter()
                .map(|most| Pace::new(*most))
                .collect(),
            starving: BTreeMap::new(),
            served: BTreeMap::new(),
            under_way: Vec::new(),
            turn: 0,
        }
    }

    /// Takes a job in. A whole picture takes the place of an older one of its
    /// camera. Jobs of cameras or models that do not exist are not taken.
    pub fn offer(&mut self, job: Job<P>, now_us: i64) {
        if job.model >= self.models.len() {
            return;
        }
        let Some(camera) = self.cameras.get_mut(job.camera) else {
            return;
        };
        let mut waiting = Waiting {
            job,
            since_us: now_us,
            offered_us: now_us,
        };
        if !waiting.job.kind.is_whole() {
            let kind = waiting.job.kind;
            if let Some(since_us) = camera.drop_older_look(&waiting.job) {
                waiting.since_us = since_us;
            }
            self.starving.entry(kind).or_insert(now_us);
            camera.parts.push_back(waiting);
            camera.drop_oldest_beyond(MOST_WAITING, kind);
            return;
        }
        camera.first_offer_us.get_or_insert(now_us);
        // Tiles are of one picture; those of an older one would tell of the past.
        camera.drop_tiles();
        if let Some(older) = camera.whole.replace(waiting) {
            camera.miss(&older.job);
        }
    }

    /// Pictures of an awake camera were taken over by newer ones before they could be
    /// offered, all after the one of `from`: while a look is being done, nobody offers.
    pub fn passed_over(&mut self, camera: usize, from: EventTime) {
        if let Some(camera) = self.cameras.get_mut(camera) {
            camera.missed.get_or_insert(from);
        }
    }

    /// The same of a camera that rests: of what was taken over a heartbeat may have been due.
    pub fn passed_over_at_rest(&mut self, camera: usize) {
        if let Some(camera) = self.cameras.get_mut(camera) {
            camera.is_passed_over_at_rest = true;
        }
    }

    /// Whether a picture of the camera as a whole waits for its turn.
    pub fn has_waiting_picture(&self, camera: usize) -> bool {
        (self.cameras.get(camera)).is_some_and(|camera| camera.whole.is_some())
    }

    /// Whoever was seen in the camera's last look was followed into the picture of this time: until
    /// then its scene knows what happened.
    pub fn followed(&mut self, camera: usize, time: EventTime) {
        if let Some(camera) = self.cameras.get_mut(camera) {
            if let Some((_, looked)) = &mut camera.looked {
                *looked = time;
            }
            camera.forget_missed();
        }
    }

    /// Whether no picture of the camera that was worth a look waits or was missed since the last one.
    pub fn has_seen_all(&self, camera: usize) -> bool {
        (self.cameras.get(camera)).is_some_and(|camera| {
            let has_missed = camera.missed.is_some() || camera.has_missed_heartbeat;
            camera.looked.is_some() && camera.whole.is_none() && !has_missed
        })
    }

    /// The camera rests, and its scene knows that nobody is in the picture of this time: as good as a
    /// heartbeat.
    pub fn rested(&mut self, camera: usize, time: EventTime, now_us: i64) {
        if let Some(camera) = self.cameras.get_mut(camera) {
            camera.looked = Some((now_us, time));
        }
    }

    /// Drops the tiles of a camera that wait, because their picture is over.
    pub fn drop_tiles(&mut self, camera: usize) {
        if let Some(camera) = self.cameras.get_mut(camera) {
            camera.drop_tiles();
        }
    }

    /// How many tiles of a camera wait.
    pub fn waiting_tiles(&self, camera: usize) -> usize {
        self.cameras.get(camera).map_or(0, |camera| {
            let parts = camera.parts.iter();
            parts.filter(|part| part.job.kind == Kind::Tile).count()
        })
    }

    /// What to do now, in one batch; empty when nothing waits. Never waits for a
    /// batch to fill.
    pub fn pick(&mut self, now_us: i64) -> Vec<Chosen<P>> {
        self.expire(now_us);
        let mut chosen = Vec::new();
        let Some((first, _)) = self.starved(now_us).or_else(|| self.next(now_us, |_| true)) else {
            return chosen;
        };
        let Some(first) = self.take(first, now_us) else {
            return chosen;
        };
        let (model, mut oldest_us) = (first.job.model, first.waited_us);
        chosen.push(first);
        while chosen.len() < self.models[model].most() {
            let Some((place, waited_us)) = self.next(now_us, |job| job.model == model) else {
                break;
            };
            let oldest = oldest_us.max(waited_us);
            // A second look is of use for seconds, and has waited for long where there is
            // too much to do: just then eight in a batch are worth much. So it is the
            // batch that is bounded there, for the pictures that wait behind it.
            let is_look = |kind| matches!(kind, Kind::SecondLook | Kind::PictureLook);
            let is_of_pictures = self.job(place).is_some_and(|job| !is_look(job.kind));
            let waited = if is_of_pictures { oldest } else { 0 };
            let done = waited as f64 + self.models[model].expected(chosen.len() + 1);
            if done > self.settings.latency_us as f64 {
                break;
            }
            let Some(next) = self.take(place, now_us) else {
                break;
            };
            oldest_us = oldest;
            chosen.push(next);
        }
        self.under_way = chosen.iter().map(|chosen| chosen.job.kind).collect();
        self.under_way.retain(|kind| !kind.is_whole());
        chosen
    }

    /// A batch of `size` took so long, and has ended now, µs.
    pub fn finished(&mut self, model: usize, size: usize, took_us: i64, now_us: i64) {
        if let Some(pace) = self.models.get_mut(model) {
            pace.measured(size, took_us);
        }
        for kind in self.under_way.drain(..) {
            self.served.insert(kind, (now_us, took_us));
        }
    }

    /// What became of a camera's jobs.
    pub fn counters(&self, camera: usize) -> Option<&Counters> {
        self.cameras.get(camera).map(|camera| &camera.counters)
    }

    /// Drops second looks that are of no use any more.
    fn expire(&mut self, now_us: i64) {
        let limit_us = |kind| match kind {
            Kind::SecondLook => self.settings.second_look_us,
            Kind::PictureLook => PICTURE_LOOK_OLD_US,
            Kind::Awake | Kind::Tile | Kind::Heartbeat => i64::MAX,
        };
        for camera in &mut self.cameras {
            camera.drop_parts(|part| now_us - part.offered_us > limit_us(part.job.kind));
        }
    }

    /// A part of a kind that has had less than its share, unless a sleeping camera's
    /// heartbeat is due: rules can bear no later one.
    fn starved(&self, now_us: i64) -> Option<(Place, i64)> {
        let due = self.starving.iter().find_map(|(kind, since_us)| {
            let next = self.next(now_us, |job| job.kind == *kind)?;
            let (since_us, cost) = match self.served.get(kind) {
                // What the last batch took, whatever its size, is what is paid back.
                Some((ended_us, took_us)) => (*ended_us.max(since_us), *took_us as f64),
                None => (*since_us, self.models[self.job(next.0)?.model].expected(1)),
            };
            ((now_us - since_us) as f64 >= (SHARE - 1.0) * cost).then_some(next)
        })?;
        let is_late = self.cameras.iter().enumerate().any(|(index, camera)| {
            let mut whole = camera.whole.iter();
            whole.any(|waiting| {
                waiting.job.kind == Kind::Heartbeat && !self.rank(index, waiting, now_us).is_in_time
            })
        });
        (!is_late).then_some(due)
    }

    fn job(&self, place: Place) -> Option<&Job<P>> {
        let camera = self.cameras.get(place.camera)?;
        let waiting = match place.part {
            None => camera.whole.as_ref(),
            Some(part) => camera.parts.get(part),
        };
        waiting.map(|waiting| &waiting.job)
    }

    /// The most urgent job of those that are `fit`, and how long it waits, µs.
    fn next(&self, now_us: i64, fit: impl Fn(&Job<P>) -> bool) -> Option<(Place, i64)> {
        let is_fit = |waiting: &Waiting<P>| fit(&waiting.job);
        let mut best: Option<(Rank, Place, i64)> = None;
        for (index, camera) in self.cameras.iter().enumerate() {
            let whole = camera.whole.iter().map(|waiting| (None, waiting));
            let parts = camera.parts.iter().enumerate();
            let parts = parts.map(|(part, waiting)| (Some(part), waiting));
            for (part, waiting) in whole.chain(parts).filter(|(_, waiting)| is_fit(waiting)) {
                let rank = self.rank(index, waiting, now_us);
                if best
                    .as_ref()
                    .is_none_or(|(least, ..)| rank.order(least) == Ordering::Less)
                {
                    let place = Place {
                        camera: index,
                        part,
                    };
                    best = Some((rank, place, now_us - waiting.since_us));
                }
            }
        }
        best.map(|(_, place, waited_us)| (place, waited_us))
    }

    fn rank(&self, index: usize, waiting: &Waiting<P>, now_us: i64) -> Rank {
        let camera = &self.cameras[index];
        let kind = waiting.job.kind;
        let unseen_us = match (kind.is_whole(), camera.looked) {
            (true, Some((at, _))) => now_us - at,
            // Never looked at: it is due for as long as it has been there, and first of all.
            (true, None) => {
                camera.plan.heartbeat_us + now_us - camera.first_offer_us.unwrap_or(now_us)
            }
            (false, _) => now_us - waiting.since_us,
        };
        let limit = match kind {
            Kind::Awake => Some(self.settings.floor_us),
            Kind::Heartbeat => Some(camera.plan.heartbeat_us),
            Kind::PictureLook => Some(PICTURE_LOOK_DUE_US),
            Kind::Tile | Kind::SecondLook => None,
        };
        let past = limit.filter(|limit| unseen_us >= *limit);
        let target = past.unwrap_or(if kind.is_whole() {
            camera.plan.interval_us
        } else {
            1
        });
        let is_by_turn = matches!(kind, Kind::Tile | Kind::SecondLook);
        let part_turn = camera.turns.get(&kind).filter(|_| is_by_turn);
        Rank {
            is_in_time: past.is_none(),
            kind,
            part_turn: part_turn.copied().unwrap_or(0),
            lateness: unseen_us as f64 / target.max(1) as f64,
            turn: camera.turn,
            camera: index,
        }
    }

    fn take(&mut self, place: Place, now_us: i64) -> Option<Chosen<P>> {
        let camera = self.cameras.get_mut(place.camera)?;
        let waiting = match place.part {
            None => camera.whole.take(),
            Some(part) => camera.parts.remove(part),
        }?;
        self.turn += 1;
        camera.turn = self.turn;
        let kind = waiting.job.kind;
        *camera.counters.chosen.entry(kind).or_default() += 1;
        if !kind.is_whole() {
            camera.turns.insert(kind, self.turn);
            self.starving.remove(&kind);
            if self.cameras.iter().any(|camera| camera.has_waiting(kind)) {
                self.starving.insert(kind, now_us);
            }
        }
        let camera = self.cameras.get_mut(place.camera)?;
        let mut unwatched = None;
        if kind.is_whole() {
            unwatched = camera.unwatched(waiting.job.time, &self.settings);
            camera.counters.unwatched += u64::from(unwatched.is_some());
            camera.looked = Some((now_us, waiting.job.time));
            camera.forget_missed();
        }
        Some(Chosen {
            waited_us: now_us - waiting.since_us,
            job: waiting.job,
            unwatched,
        })
    }
}

impl<P> Camera<P> {
    fn drop_job(&mut self, kind: Kind) {
        *self.counters.dropped.entry(kind).or_default() += 1;
    }

    fn has_waiting(&self, kind: Kind) -> bool {
        self.parts.iter().any(|part| part.job.kind == kind)
    }

    /// Of so many of one kind the oldest go.
    fn drop_oldest_beyond(&mut self, most: usize, kind: Kind) {
        let waiting = self.parts.iter().filter(|part| part.job.kind == kind);
        let mut excess = waiting.count().saturating_sub(most);
        self.drop_parts(|part| {
            let is_over = excess > 0 && part.job.kind == kind;
            excess -= usize::from(is_over);
            is_over
        });
    }

    fn drop_tiles(&mut self) {
        self.drop_parts(|part| part.job.kind == Kind::Tile);
    }

    /// A newer look at the whole picture takes the place of the one of its model and series
    /// that waits. Returns since when that has waited.
    fn drop_older_look(&mut self, newer: &Job<P>) -> Option<i64> {
        let is_older = |part: &Waiting<P>| {
            let is_look = newer.kind == Kind::PictureLook && part.job.kind == Kind::PictureLook;
            is_look && (part.job.model, part.job.series) == (newer.model, newer.series)
        };
        let since_us = self.parts.iter().find(|part| is_older(part))?.since_us;
        self.drop_parts(is_older);
        Some(since_us)
    }

    fn drop_parts(&mut self, mut is_over: impl FnMut(&Waiting<P>) -> bool) {
        let counters = &mut self.counters;
        self.parts.retain(|part| {
            let is_over = is_over(part);
            if is_over {
                *counters.dropped.entry(part.job.kind).or_default() += 1;
            }
            !is_over
        });
    }

    /// A picture was not looked at.
    fn miss(&mut self, job: &Job<P>) {
        if job.kind == Kind::Awake {
            self.drop_job(job.kind);
            // Also where the camera rests since then: it moved, and nobody looked.
            self.missed.get_or_insert(job.time);
        } else {
            // A newer picture does as well, unless it comes too late.
            self.has_missed_heartbeat = true;
        }
    }

    fn forget_missed(&mut self) {
        self.missed = None;
        self.has_missed_heartbeat = false;
        self.is_passed_over_at_rest = false;
    }

    /// Of which time before `now` too little was seen.
    fn unwatched(&mut self, now: EventTime, settings: &Settings) -> Option<(EventTime, EventTime)> {
        let (_, last) = self.looked?;
        let passed = |from: EventTime| now.as_micros().saturating_sub(from.as_micros());
        let is_hole = passed(last) > HOLE_US;
        if self.has_missed_heartbeat && is_hole {
            self.drop_job(Kind::Heartbeat);
            return Some((last, now));
        }
        if self.is_passed_over_at_rest && is_hole {
            return Some((last, now));
        }
        // Until it woke, the heartbeat was enough. A little after that is too much together with a
        // rest before it, and rules would take all of it for pictures that were missing.
        let from = last.max(self.missed?);
        (is_hole || passed(from) > settings.longest_hole_us()).then_some((from, now))
    }
}
