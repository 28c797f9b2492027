//! What proves an event besides its numbers: stills of the frames that its rule
//! names, a plate, a clip. Made on a thread of its own, after the event has
//! gone out, when the pictures after it have come.
//!
//! An event is told at once, with the stills of the frame that decided it; the
//! case is signed when the rest is there, or when it is clear that it will not
//! come. What is missing then stands in the case.

mod ahead;
pub(crate) mod held;
pub(crate) mod owed;
mod pending;
mod picture;
mod proof;
mod set;
pub(crate) mod trail;

use std::collections::{BTreeMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use case_bundle::Clock;
use crossbeam_channel::{Receiver, RecvTimeoutError, Sender, TrySendError, bounded};
use edge_video::encoded::Ring;
use edge_video::{CameraStream, Notice};
use protocol::event::{FrameTime, Words};
use protocol::status::CameraHealth;
use protocol::{Event, EventId, EvidenceItem};

use super::publisher::Publisher;
use super::scene_thread::OnPanic;
use crate::config::ClipConfig;
use ahead::Ahead;
use pending::Pending;
pub(crate) use proof::Proof;
pub(crate) use set::{is_same_shape, other_shape};
use trail::Trail;

/// What the evidence of an event is made for.
pub(crate) struct Wish {
    /// As it was raised, or told last.
    pub(crate) event: Event,
    /// The frames that its rule named, oldest first; the last decided.
    pub(crate) at: Vec<FrameTime>,
    /// Stored and announced already.
    pub(crate) early: Vec<EvidenceItem>,
    /// How good the event's clock is.
    pub(crate) clock: Clock,
}

/// A camera's trail: its scene thread adds to it, its evidence thread reads it.
#[derive(Clone)]
pub(crate) struct SharedTrail(Arc<Mutex<Trail>>);

impl SharedTrail {
    /// As long as evidence can be asked for.
    pub(crate) fn new(clip: &ClipConfig) -> Self {
        let keep_s = clip.ring_s.max(clip.longest_s) + clip.pre_s + clip.post_s;
        let old_s = keep_s.max(clip.album_s);
        Self(Arc::new(Mutex::new(Trail::new(keep_s, old_s))))
    }

    pub(crate) fn lock(&self) -> MutexGuard<'_, Trail> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What was told last of the events whose cases are still to be made. Not by the
/// channel: a message for which it has no room would leave its case with the revision
/// before, and nobody would know.
#[derive(Clone, Default)]
struct Told(Arc<Mutex<BTreeMap<EventId, Option<Box<Event>>>>>);

impl Told {
    fn lock(&self) -> MutexGuard<'_, BTreeMap<EventId, Option<Box<Event>>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Where a camera's pictures are.
#[derive(Clone)]
pub(crate) struct Rings {
    /// Of the stream that evidence is made of.
    pub(crate) main: Arc<Ring>,
    /// Of the stream that is looked at, where that is another one.
    pub(crate) detect: Option<Arc<Ring>>,
    /// What happened to the stream that is only kept.
    notices: Option<Receiver<Notice>>,
}

impl Rings {
    /// Of a source with one stream.
    pub(crate) fn one(main: &Arc<Ring>) -> Self {
        Self {
            main: Arc::clone(main),
            detect: None,
            notices: None,
        }
    }

    /// Of the stream that is looked at, and of the one that is only kept.
    pub(crate) fn of(detect: &Arc<Ring>, main: Option<&CameraStream>) -> Self {
        let kept = main.and_then(|main| Some((main.ring()?, main.notices())));
        match kept {
            Some((ring, notices)) => Self {
                main: Arc::clone(ring),
                detect: Some(Arc::clone(detect)),
                notices: Some(notices.clone()),
            },
            None => Self::one(detect),
        }
    }
}

/// Where a camera's evidence is made, as whoever has its scene knows it.
pub(crate) struct Desk {
    errands: Sender<Box<Wish>>,
    told: Told,
    /// Where it has one.
    thread: Option<JoinHandle<()>>,
}

/// Wishes that wait while a clip is made; each is small.
const ERRANDS: usize = 256;
/// Events whose evidence is being waited for; one more, and the oldest is made
/// with what is there.
const MOST_PENDING: usize = 64;
/// How often pending clips take in what has come.
const TICK: Duration = Duration::from_millis(500);

impl Desk {
    /// Starts a thread for what was made by hand.
    pub(crate) fn start(
        (mut desk, bench): (Self, Bench),
        on_panic: Option<OnPanic>,
    ) -> std::io::Result<Self> {
        let name = format!("evidence-{}", bench.maker.publisher.state.camera());
        let thread = std::thread::Builder::new().name(name);
        desk.thread = Some(thread.spawn(move || {
            let _held = on_panic;
            bench.live();
        })?);
        Ok(desk)
    }

    /// Without a thread: what is asked for is made when the [`Bench`] is told to go on.
    pub(crate) fn by_hand(
        clip: ClipConfig,
        rings: Rings,
        publisher: Publisher,
        trail: &SharedTrail,
    ) -> (Self, Bench) {
        let (errands, inbox) = bounded(ERRANDS);
        let maker = Maker {
            clip,
            rings,
            publisher,
            trail: trail.clone(),
        };
        let told = Told::default();
        let bench = Bench {
            maker,
            inbox,
            told: told.clone(),
            pending: VecDeque::new(),
            ahead: Ahead::default(),
            is_live: false,
            #[cfg(test)]
            on_make: Box::new(|_| {}),
        };
        let desk = Self {
            errands,
            told,
            thread: None,
        };
        (desk, bench)
    }

    /// Asks for evidence. Never waits; `Err` gives the wish back, and says why.
    pub(crate) fn wish(&self, wish: Box<Wish>) -> Result<(), (Box<Wish>, Words)> {
        let event = wish.event.id;
        self.told.lock().insert(event, None);
        self.errands.try_send(wish).map_err(|refused| {
            self.told.lock().remove(&event);
            match refused {
                TrySendError::Full(wish) => (wish, too_many()),
                TrySendError::Disconnected(wish) => (wish, no_evidence()),
            }
        })
    }

    /// Whether the thread has ended, which only a fault of ours can do.
    pub(super) fn has_ended(&self) -> bool {
        self.thread.as_ref().is_some_and(JoinHandle::is_finished)
    }

    /// An event was told anew: its case tells what was told last, and its clip
    /// ends after its end.
    pub(crate) fn told(&self, event: &Event) {
        if let Some(last) = self.told.lock().get_mut(&event.id) {
            *last = Some(Box::new(event.clone()));
        }
    }

    /// Makes what is still owed of what is there, and ends the thread.
    pub(crate) fn finish(self) {
        drop(self.errands);
        if self.thread.is_some_and(|thread| thread.join().is_err()) {
            tracing::error!("evidence thread ended by a panic; please report this with the log");
        }
    }
}

/// The other side of a [`Desk`]: the events whose evidence is being made.
pub(crate) struct Bench {
    maker: Maker,
    inbox: Receiver<Box<Wish>>,
    told: Told,
    pending: VecDeque<Pending>,
    /// What was decoded for them with others' pictures.
    ahead: Ahead,
    /// Pictures come as they are taken: what does not come in time never will.
    is_live: bool,
    /// What else happens before one is made.
    #[cfg(test)]
    on_make: Box<dyn FnMut(&Event) + Send>,
}

/// Makes the evidence of one event.
struct Maker {
    clip: ClipConfig,
    rings: Rings,
    publisher: Publisher,
    trail: SharedTrail,
}

impl Maker {
    fn trail(&self) -> MutexGuard<'_, Trail> {
        self.trail.lock()
    }
}

impl Bench {
    /// The thread's own life.
    fn live(mut self) {
        self.is_live = true;
        loop {
            match self.inbox.recv_timeout(TICK) {
                Ok(wish) => self.take(wish),
                Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => break,
            }
            self.go_on();
        }
        self.finish(&stopped());
    }

    /// By hand: takes what was asked for, and makes what can be made. Pictures are
    /// waited for until they come, or the end.
    pub(crate) fn step(&mut self) {
        self.go_on();
    }

    /// Makes all of what is there, and says why no more will come.
    pub(crate) fn finish(mut self, why: &Words) {
        self.take_in();
        while let Some(one) = self.pending.pop_front() {
            self.make(one, Some(why.clone()));
        }
    }

    fn take(&mut self, wish: Box<Wish>) {
        let since = self.is_live.then(Instant::now);
        self.pending.push_back(Pending::new(*wish, since));
    }

    /// Takes what was asked for, and the pictures that have come for all that waits: they
    /// are shared with the ring, which forgets them while something else is made.
    fn take_in(&mut self) {
        while let Ok(wish) = self.inbox.try_recv() {
            self.take(wish);
        }
        self.heed_told();
        for one in &mut self.pending {
            one.take_in(&self.maker.rings, &self.maker.clip);
        }
    }

    /// Makes the case of what was told last.
    fn make(&mut self, mut one: Pending, hurry: Option<Words>) {
        #[cfg(test)]
        (self.on_make)(&one.wish.event);
        if let Some(told) = self.told.lock().remove(&one.wish.event.id).flatten() {
            one.heed(*told);
        }
        let waiting = self.pending.iter().take(ahead::MOST_EVENTS);
        let wanted = waiting.flat_map(|it| self.maker.pictures(it));
        self.ahead.expect(wanted.collect());
        self.maker.make(&one, hurry, &mut self.ahead);
        self.ahead.let_go();
    }

    fn heed_told(&mut self) {
        let mut told = self.told.lock();
        for one in &mut self.pending {
            let last = told.get_mut(&one.wish.event.id);
            if let Some(event) = last.and_then(Option::take) {
                one.heed(*event);
            }
        }
    }

    fn go_on(&mut self) {
        self.maker.heed_main();
        loop {
            // Each time: to make one takes seconds, of large pictures.
            self.take_in();
            let (rings, clip) = (&self.maker.rings, &self.maker.clip);
            // Any of them may be ready first: a short event after a long one.
            let is_ready = |one: &Pending| one.is_ready(rings, clip);
            let (next, hurry) = match self.pending.iter().position(is_ready) {
                Some(ready) => (ready, None),
                None if self.pending.len() > MOST_PENDING => (0, Some(too_many())),
                None => return,
            };
            if let Some(next) = self.pending.remove(next) {
                self.make(next, hurry);
            }
        }
    }
}

impl Maker {
    /// Says how the stream is that is only kept. That one is lost costs pictures
    /// in full size, not events.
    fn heed_main(&self) {
        let Some(notices) = &self.rings.notices else {
            return;
        };
        let state = &self.publisher.state;
        for notice in notices.try_iter() {
            match notice {
                Notice::Connecting { attempt: 1 } => {
                    state.set_evidence_stream(CameraHealth::Connecting, None);
                }
                Notice::Connected { .. } => {
                    state.set_evidence_stream(CameraHealth::Watching, None);
                }
                Notice::Lost { message, .. } => {
                    let vi = format!(
                        "Mất luồng chính; bằng chứng lấy từ luồng phụ. {}",
                        "Kiểm tra luồng chính trên máy ảnh"
                    );
                    let en = format!("{message}; evidence is made of the sub-stream");
                    let reason = Some(Words::new(vi, en));
                    state.set_evidence_stream(CameraHealth::Lost, reason);
                }
                _ => {}
            }
        }
        let detect = self.rings.detect.as_ref().and_then(|ring| ring.size());
        if let (Some(main), Some(detect)) = (self.rings.main.size(), detect)
            && !set::is_same_shape(main, detect)
            && state.evidence_health() == Some(CameraHealth::Watching)
        {
            let reason = set::other_shape(main, detect);
            tracing::warn!(camera = %state.camera(), "{}", reason.en);
            state.set_evidence_stream(CameraHealth::Degraded, Some(reason));
        }
    }
}

fn too_many() -> Words {
    Words::new(
        "quá nhiều sự kiện cùng lúc",
        "too many events at the same time",
    )
}

/// The thread has ended by a panic.
pub(super) fn no_evidence() -> Words {
    Words::new(
        "Bộ phận tạo bằng chứng của camera đã dừng vì lỗi phần mềm; khởi động lại hộp và gửi nhật ký",
        "what makes this camera's clips and stills has ended by a fault of this program; restart the \
         agent and report its log",
    )
}

fn stopped() -> Words {
    Words::new(
        "phần mềm trên thiết bị dừng trước khi đủ hình",
        "the agent was stopped before the pictures after it had come",
    )
}

/// A replay has come to the end of its clip.
pub(crate) fn clip_ended() -> Words {
    Words::new(
        "đoạn ghi hình hết trước đó",
        "the recorded clip ends before that",
    )
}

#[cfg(test)]
mod tests;
