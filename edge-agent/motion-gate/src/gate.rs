//! Awake or asleep: from motion, and from what the scene waits for.

use edge_core::Attention;
use protocol::{EventTime, NormBox};

use crate::background::Background;
use crate::blobs::Blobs;
use crate::light::{Light, LightMeter};
use crate::small::SmallPicture;

/// When the gate rests.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Settings {
    /// While it rests, a look comes at least this often, or the gate's word that the road is still
    /// empty ([`Verdict::Empty`]), s. Below two seconds: rules take pictures farther apart for a hole
    /// in the watch.
    pub heartbeat_s: f64,
    /// A look comes at least this often while the gate gives its word, s. Not above `heartbeat_s`: it
    /// never does.
    pub empty_heartbeat_s: f64,
    /// It stays awake for so long after the last motion, s.
    pub hold_s: f64,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            heartbeat_s: 1.5,
            empty_heartbeat_s: 5.0,
            hold_s: 2.0,
        }
    }
}

/// Whether to look at a picture.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// It is to be looked at.
    Look(Reason),
    /// It need not be.
    Rest,
    /// It need not be; and the scene may be told that nobody is in it: the last looks found nobody,
    /// and nothing has moved since.
    Empty,
}

impl Verdict {
    /// Whether to look.
    pub fn is_look(self) -> bool {
        matches!(self, Self::Look(_))
    }

    /// The word in metrics: why to look, or why not.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Look(reason) => reason.as_str(),
            Self::Rest => "rest",
            Self::Empty => "empty",
        }
    }
}

/// What a look has found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Found {
    /// Nothing that might be somebody.
    Nobody,
    /// Something.
    Somebody,
    /// It failed, or the scene has not heard of it.
    Unknown,
}

/// Why a picture is to be looked at.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Reason {
    /// The background is not known yet, or not any more.
    Learning,
    /// Something moves.
    Motion,
    /// Something moved a moment ago.
    Hold,
    /// The scene follows somebody.
    Wanted,
    /// Nothing moves; a look all the same, because it is time.
    Heartbeat,
}

impl Reason {
    /// All of them.
    pub const ALL: [Self; 5] = [
        Self::Learning,
        Self::Motion,
        Self::Hold,
        Self::Wanted,
        Self::Heartbeat,
    ];

    /// The word in metrics.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Learning => "learning",
            Self::Motion => "motion",
            Self::Hold => "hold",
            Self::Wanted => "wanted",
            Self::Heartbeat => "heartbeat",
        }
    }
}

/// The background is learnt over this long, s …
const LEARN_S: f64 = 3.0;
/// … and from at least so many pictures.
const LEARN_PICTURES: u32 = 8;
/// A picture that differs in more than this part of it is another picture.
const UPHEAVAL: f64 = 0.5;
/// A fit of the light is tried from this part of differing cells on: fewer are things.
const WORTH_A_FIT: f64 = 0.002;
/// Exposure changes that make cells brighter or darker by more than this on average
/// are learnt at once, luma.
const RELIGHT: f32 = 0.5;
/// While it is awake anyway, a picture that comes sooner than this after the one judged
/// last tells nothing new, s. Pictures of ten a second are all judged.
const OFTEN_ENOUGH_S: f64 = 0.09;
/// Pictures farther apart are not one story, s.
const HOLE_S: f64 = 5.0;
/// A road is empty when for so long every look has found nobody, s: three heartbeats, since
/// whoever is so faint that one look in two shows him is there.
const EMPTY_AFTER_S: f64 = 4.0;
/// What may have happened between pictures farther apart nobody can vouch for, s.
const UNBROKEN_S: f64 = 0.5;

/// Watches one camera's small pictures.
#[derive(Clone, Debug)]
pub struct Gate {
    settings: Settings,
    background: Background,
    light: LightMeter,
    blobs: Blobs,
    marks: Vec<bool>,
    /// The picture before.
    last: Option<EventTime>,
    /// Since when the background is being learnt; `None`: it is known.
    learning: Option<EventTime>,
    /// When something moved last.
    moved: Option<EventTime>,
    /// When somebody looked last.
    looked: Option<EventTime>,
    /// When the scene heard last what is there: by a look that did not fail, or by this gate's word.
    told: Option<EventTime>,
    /// Since when every look has found nobody, the scene awaits nobody, and pictures come.
    empty: Option<EventTime>,
    relearnt: u64,
}

impl Gate {
    /// Knows nothing of its camera yet, and so is awake.
    pub fn new(settings: Settings) -> Self {
        Self {
            settings,
            background: Background::default(),
            light: LightMeter::default(),
            blobs: Blobs::default(),
            marks: Vec::new(),
            last: None,
            learning: None,
            moved: None,
            looked: None,
            told: None,
            empty: None,
            relearnt: 0,
        }
    }

    /// Why the picture of this time is to be looked at whatever it shows, if that is so and
    /// the one judged last is so fresh that this one need not be judged: making a picture small
    /// and comparing it costs a quarter of a millisecond at 1080p, which is a thirtieth of a look.
    pub fn foregone(&self, time: EventTime, attention: Attention) -> Option<Reason> {
        let is_fresh = within(self.last, time, OFTEN_ENOUGH_S);
        if !is_fresh || self.learning.is_some() {
            return None;
        }
        self.kept_awake(time, attention)
    }

    /// Why it would be awake though nothing moves.
    fn kept_awake(&self, time: EventTime, attention: Attention) -> Option<Reason> {
        if within(self.moved, time, self.settings.hold_s) {
            Some(Reason::Hold)
        } else {
            (attention == Attention::Unsettled).then_some(Reason::Wanted)
        }
    }

    /// Takes a picture in and says whether to look at it.
    pub fn judge(
        &mut self,
        picture: &SmallPicture,
        time: EventTime,
        attention: Attention,
    ) -> Verdict {
        let passed = self.last.map(|last| time.since(last).0);
        self.last = Some(time);
        let passed = passed.filter(|passed| (0.0..=HOLE_S).contains(passed));
        let (Some(passed), true) = (passed, self.background.fits(picture)) else {
            self.begin(picture, time);
            return Verdict::Look(Reason::Learning);
        };
        if passed > UNBROKEN_S || attention != Attention::Nobody {
            self.empty = None;
        }
        if let Some(since) = self.learning {
            self.background.learn(picture);
            let is_known =
                time.since(since).0 >= LEARN_S && self.background.learnt() >= LEARN_PICTURES;
            if is_known {
                self.learning = None;
                // What moved while it was being learnt is seen from now on.
                self.moved = Some(time);
            }
            return Verdict::Look(Reason::Learning);
        }
        match self.compare(picture, passed as f32) {
            Change::None => {}
            Change::Motion => self.moved = Some(time),
            Change::Upheaval => {
                self.relearnt += 1;
                self.begin(picture, time);
                return Verdict::Look(Reason::Learning);
            }
        }
        let reason = if self.moved == Some(time) {
            Reason::Motion
        } else if let Some(reason) = self.kept_awake(time, attention) {
            reason
        } else {
            return self.at_rest(time, passed);
        };
        Verdict::Look(reason)
    }

    /// What to do with a picture in which nothing moves, the next one coming as long after it as it
    /// came after the one before, s.
    fn at_rest(&self, time: EventTime, passed: f64) -> Verdict {
        // By the next picture it would be too late.
        let is_within = |since, limit: f64| within(since, time, limit - passed);
        let Settings {
            heartbeat_s,
            empty_heartbeat_s,
            ..
        } = self.settings;
        let is_long = |since| time.since(since).0 >= EMPTY_AFTER_S;
        // Where what moved was not looked at nobody knows who it was.
        let is_empty = self.empty.is_some_and(is_long) && self.looked >= self.moved;
        if is_within(self.looked, heartbeat_s) {
            Verdict::Rest
        } else if !is_empty || !is_within(self.looked, empty_heartbeat_s) {
            Verdict::Look(Reason::Heartbeat)
        } else if is_within(self.told, heartbeat_s) {
            Verdict::Rest
        } else {
            Verdict::Empty
        }
    }

    /// Somebody has looked at the picture of this time, for whatever reason, and has found this.
    pub fn looked(&mut self, time: EventTime, found: Found) {
        self.looked = Some(time);
        self.told = self.looked.filter(|_| found != Found::Unknown);
        self.empty = match found {
            Found::Nobody => self.empty.or(self.looked),
            Found::Somebody | Found::Unknown => None,
        };
    }

    /// What comes now is another view, or was on its way when nobody could see it.
    pub fn doubt(&mut self) {
        self.empty = None;
    }

    /// The scene was told of the picture of this time that nobody is in it.
    pub fn told(&mut self, time: EventTime) {
        self.told = Some(time);
    }

    /// Where something moves, in the picture judged last, as fractions of it; at
    /// most 16 regions. Empty while the background is being learnt.
    pub fn regions(&self) -> &[NormBox] {
        self.blobs.regions()
    }

    /// How often the picture changed as a whole and was learnt anew.
    pub fn relearnt(&self) -> u64 {
        self.relearnt
    }

    fn begin(&mut self, picture: &SmallPicture, time: EventTime) {
        self.background.begin(picture);
        self.blobs.begin(picture.size());
        self.marks.clear();
        self.marks.resize(picture.luma.len(), false);
        self.learning = Some(time);
        self.moved = None;
        self.empty = None;
    }

    fn compare(&mut self, picture: &SmallPicture, passed_s: f32) -> Change {
        let cells = self.marks.len() as f64;
        let background = &mut self.background;
        let mut count = background.compare(picture, &Light::SAME, &mut self.marks);
        if count as f64 > WORTH_A_FIT * cells
            && let Some(light) = self.light.between(background, picture)
        {
            count = background.compare(picture, &light, &mut self.marks);
            let is_exposure = background.brightened(&light) > RELIGHT;
            if is_exposure && count as f64 <= UPHEAVAL * cells {
                background.relight(&light, picture, &self.marks);
            }
        }
        if count as f64 > UPHEAVAL * cells {
            return Change::Upheaval;
        }
        let moves = if count == 0 {
            self.blobs.clear();
            false
        } else {
            let same_s = |cell| background.same_s(cell);
            self.blobs.find(&mut self.marks, same_s, passed_s)
        };
        self.background.follow(picture, &self.marks, passed_s);
        if moves { Change::Motion } else { Change::None }
    }
}

/// Whether `since` is at most `limit` seconds before `time`.
fn within(since: Option<EventTime>, time: EventTime, limit: f64) -> bool {
    since.is_some_and(|since| (0.0..=limit).contains(&time.since(since).0))
}

/// What a picture is against the background.
enum Change {
    None,
    Motion,
    Upheaval,
}
