//! Second looks of a camera with two streams: its detector sees the small one, and what
//! is looked at more closely is found in the large one, which is kept encoded.
//!
//! One thread per camera, between the choice of looks and the models. It waits until the
//! main stream's picture of the moment is there and decodes it ([`Follower`]): forward
//! from the last one, and nothing while nobody is looked at. What it cannot serve in time
//! it gives up. The scene hears the answer under the number and time of the frame that it
//! knows; the picture looked at is at most [`WITHIN`] from it.
//!
//! Where decoding the large one takes longer than there is, nothing of it would be seen at all: after
//! some looks in a row the small one is looked at for a while, and the camera says so.
//!
//! Where the streams are not both timed by the camera's own clock nobody knows which picture is of the
//! moment: then the small one is looked at, where that is large enough.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use crossbeam_channel::{Receiver, RecvTimeoutError, Sender, TrySendError, bounded};
use edge_video::Frame;
use edge_video::encoded::{Follower, Ring, Sought};
use protocol::CameraId;
use protocol::event::Words;
use protocol::units::Seconds;

use super::inference::SecondLook;
use super::scene_thread::OnPanic;
use super::second_looks::second_look;
use super::{StopFlag, is_same_shape};
use crate::cascades::{GivenUp, Wish};

/// At 40 km/h that is two thirds of a metre, so that a plate is nearly where its vehicle
/// was seen; and of ten pictures a second one is always so near.
const WITHIN: Seconds = Seconds(0.06);
/// Frames whose looks wait for the main stream; the chooser lets no more be under way.
const ERRANDS: usize = 16;
/// A look for which there is no picture by then is given up.
const PATIENCE: Duration = Duration::from_secs(2);
/// How long it waits at most before it looks whether it is to stop.
const BREATH: Duration = Duration::from_millis(100);
/// When nobody was looked at for so long the decoder goes, and its memory.
const REST_AFTER: Duration = Duration::from_secs(5);
/// So many frames in a row whose picture was there and not decoded in time are no chance: one
/// may be, the first in a long group of pictures.
const MOST_BEHIND: u32 = 5;
/// How long the small picture is looked at then, before the large one is tried again.
const SMALL_FOR: Duration = Duration::from_mins(1);

/// What became of looks at the main stream, and what they cost.
#[derive(Clone, Debug, Default)]
pub(crate) struct MainLookCounts {
    /// By outcome.
    pub(crate) looks: BTreeMap<&'static str, u64>,
    /// Pictures of the main stream that were decoded.
    pub(crate) decoded: u64,
    /// And the time that took.
    pub(crate) decoding: Duration,
    /// Whether that keeps up.
    pace: Pace,
}

/// Whether decoding the main stream keeps up with what is to be looked at.
#[derive(Clone, Debug, Default)]
struct Pace {
    /// Frames in a row for which it did not.
    behind: u32,
    /// The small picture is looked at until then.
    small_until: Option<Instant>,
}

impl Pace {
    /// What was found for a frame; true when the small picture is to be looked at from now on.
    fn note(&mut self, sought: &Sought, now: Instant) -> bool {
        match sought {
            Sought::Shown(_) => *self = Self::default(),
            Sought::Behind => self.behind += 1,
            _ => return false,
        }
        let is_too_slow = self.behind >= MOST_BEHIND;
        if is_too_slow {
            self.small_until = Some(now + SMALL_FOR);
            // If the next one is not in time either, it need not be tried as often again.
            self.behind = MOST_BEHIND - 1;
        }
        is_too_slow
    }

    /// Whether the small picture is looked at.
    fn is_resting(&self, now: Instant) -> bool {
        self.small_until.is_some_and(|until| now < until)
    }

    /// Whether that, or the try after it, is to be said: not all night because nobody came since.
    fn is_told(&self, now: Instant) -> bool {
        (self.small_until).is_some_and(|until| now < until + SMALL_FOR)
    }
}

/// [`MainLookCounts`], shared with who tells them.
#[derive(Clone, Default)]
pub(crate) struct SharedCounts(Arc<Mutex<MainLookCounts>>);

impl SharedCounts {
    pub(crate) fn lock(&self) -> MutexGuard<'_, MainLookCounts> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Why second looks see less than they should.
    pub(crate) fn trouble(&self, now: Instant) -> Option<Words> {
        self.lock().pace.is_told(now).then(|| {
            Words::new(
                "Không giải mã kịp luồng chính: biển số, mũ bảo hiểm… được xem trên hình nhỏ, có thể quá nhỏ; giảm số \
                 camera, giảm độ phân giải luồng chính hoặc đặt khoảng cách hình khóa ngắn hơn",
                "the main stream cannot be decoded in time: plates and heads are looked at in the small picture, where \
                 they may be too small; use fewer cameras on this box, a smaller main stream or key pictures that are nearer \
                 to each other",
            )
        })
    }

    fn count(&self, outcome: &'static str) {
        *self.lock().looks.entry(outcome).or_default() += 1;
    }
}

/// The looks wished for in one frame.
struct Errand {
    frame: Frame,
    wishes: Vec<Wish>,
    until: Instant,
}

/// Where a scene thread asks for looks at the main stream.
pub(super) struct MainLooks {
    camera: CameraId,
    ring: Arc<Ring>,
    counts: SharedCounts,
    /// Both until the end.
    errands: Option<Sender<Errand>>,
    thread: Option<JoinHandle<()>>,
    is_misfit_told: bool,
}

impl MainLooks {
    /// Starts the thread. What it has found it sends to the models by `ask`.
    pub(super) fn start(
        camera: &CameraId,
        ring: &Arc<Ring>,
        ask: Sender<SecondLook>,
        counts: SharedCounts,
        on_panic: OnPanic,
    ) -> std::io::Result<Self> {
        let (errands, inbox) = bounded(ERRANDS);
        let finder = Finder {
            camera: camera.clone(),
            follower: Follower::new(Arc::clone(ring), WITHIN),
            inbox,
            ask,
            counts: counts.clone(),
            stop: on_panic.stop_flag().clone(),
            is_fault_told: false,
        };
        let thread = std::thread::Builder::new().name(format!("looks-{camera}"));
        Ok(Self {
            camera: camera.clone(),
            ring: Arc::clone(ring),
            counts,
            errands: Some(errands),
            thread: Some(thread.spawn(move || {
                let _held = on_panic;
                finder.live();
            })?),
            is_misfit_told: false,
        })
    }

    /// Pixels of the main stream's pictures, where looks at a frame of the other are taken
    /// at them. `None`: nothing comes, decoding it does not keep up, it has another shape, or it
    /// is no larger.
    pub(super) fn size_for(&mut self, frame: &Frame) -> Option<(u32, u32)> {
        if self.counts.lock().pace.is_resting(Instant::now()) {
            return None;
        }
        let main = self.ring.size()?;
        let small = (frame.width, frame.height);
        if !is_same_shape(main, small) {
            if !std::mem::replace(&mut self.is_misfit_told, true) {
                tracing::warn!(
                    camera = %self.camera,
                    "second looks are taken at the sub-stream ({}x{}), because the main stream ({}x{}) has another \
                     shape; give both the same shape at the camera",
                    small.0, small.1, main.0, main.1
                );
            }
            return None;
        }
        (main.1 > small.1).then_some(main)
    }

    /// Asks for looks at the moment of `frame`. Never waits; `Err` gives them back.
    pub(super) fn ask(&self, frame: &Frame, wishes: Vec<Wish>) -> Result<(), Vec<Wish>> {
        let errand = Errand {
            frame: frame.clone(),
            wishes,
            until: Instant::now() + PATIENCE,
        };
        let Some(errands) = &self.errands else {
            return Err(errand.wishes);
        };
        errands.try_send(errand).map_err(|refused| {
            let (TrySendError::Full(errand) | TrySendError::Disconnected(errand)) = refused;
            for _ in &errand.wishes {
                self.counts.count("busy");
            }
            errand.wishes
        })
    }
}

impl Drop for MainLooks {
    fn drop(&mut self) {
        self.errands = None;
        if self.thread.take().is_some_and(|it| it.join().is_err()) {
            tracing::error!(
                camera = %self.camera,
                "the thread that finds pictures for second looks ended by a panic; please report this with the log"
            );
        }
    }
}

/// The thread's own.
struct Finder {
    camera: CameraId,
    follower: Follower,
    inbox: Receiver<Errand>,
    ask: Sender<SecondLook>,
    counts: SharedCounts,
    stop: StopFlag,
    is_fault_told: bool,
}

impl Finder {
    fn live(mut self) {
        loop {
            match self.inbox.recv_timeout(REST_AFTER) {
                Ok(errand) => self.serve(errand),
                Err(RecvTimeoutError::Timeout) => self.follower.rest(),
                Err(RecvTimeoutError::Disconnected) => return,
            }
        }
    }

    fn serve(&mut self, errand: Errand) {
        let Errand {
            frame,
            wishes,
            until,
        } = errand;
        let is_resting = self.counts.lock().pace.is_resting(Instant::now());
        let sought = if is_resting {
            // Chosen before that was known.
            Sought::OtherClock
        } else {
            self.find(&frame, until)
        };
        if self.counts.lock().pace.note(&sought, Instant::now()) {
            tracing::warn!(
                camera = %self.camera,
                "the main stream cannot be decoded in time; second looks are taken at the small picture for a minute"
            );
        }
        for wish in wishes {
            let (outcome, given_up) = match &sought {
                Sought::Shown(main) => self.send(&frame, Some(main), wish),
                Sought::OtherClock => self.send(&frame, None, wish),
                missing => {
                    let (outcome, why) = missed(missing);
                    (outcome, Some((wish, why)))
                }
            };
            self.counts.count(outcome);
            if let Some((wish, why)) = given_up {
                wish.question.give_up(why);
            }
        }
    }

    /// The main stream's picture of the moment of a frame, as soon as it is there.
    fn find(&mut self, frame: &Frame, until: Instant) -> Sought {
        loop {
            let missing;
            let begun = Instant::now();
            let sought = (self.follower).seek((frame.time, frame.own_time), until);
            {
                let mut counts = self.counts.lock();
                counts.decoding += begun.elapsed();
                counts.decoded = self.follower.counters().decoded;
            }
            match sought {
                Ok(sought @ (Sought::NotYet | Sought::Behind)) => missing = sought,
                Ok(sought) => return sought,
                Err(error) => {
                    if !std::mem::replace(&mut self.is_fault_told, true) {
                        tracing::error!(
                            camera = %self.camera, %error,
                            "second looks at the main stream are not taken, but at the stream of `detect_rtsp` where a part is large enough there"
                        );
                    }
                    // As where nobody knows the picture: the small one, where that is enough.
                    return Sought::OtherClock;
                }
            }
            let left = until.saturating_duration_since(Instant::now());
            if left.is_zero() || self.stop.is_set() {
                return missing;
            }
            self.follower.wait(left.min(BREATH));
        }
    }

    /// On to the models, where the part is fit for them.
    fn send(
        &self,
        frame: &Frame,
        main: Option<&Frame>,
        wish: Wish,
    ) -> (&'static str, Option<(Wish, GivenUp)>) {
        if !wish.is_fit_for(main.unwrap_or(frame)) {
            return ("unfit", Some((wish, GivenUp::Unfit)));
        }
        let look = second_look(&self.camera, frame, main, wish);
        // Dropped with its question, which says so to the chooser.
        if self.ask.try_send(look).is_err() {
            return ("busy", None);
        }
        (if main.is_some() { "main" } else { "detect" }, None)
    }
}

/// What a look is counted as for which there was no picture, and why it is given up: whether the
/// stream is to blame or the box.
fn missed(sought: &Sought) -> (&'static str, GivenUp) {
    match sought {
        Sought::Behind => ("behind", GivenUp::NoTime),
        Sought::Damaged => ("damaged", GivenUp::NoPicture),
        Sought::Absent => ("absent", GivenUp::NoPicture),
        Sought::NotYet | Sought::Shown(_) | Sought::OtherClock => ("late", GivenUp::NoPicture),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)] // a test that cannot go on says where it stands

    use super::*;

    /// On a box that cannot decode two streams of 4K everybody's hours without a helmet rule
    /// were a stream that was lost, and the technician went to the camera.
    #[test]
    fn a_picture_that_is_not_decoded_in_time_is_the_box_s_fault_and_one_that_never_came_is_not() {
        let told = [
            Sought::Behind,
            Sought::NotYet,
            Sought::Damaged,
            Sought::Absent,
        ]
        .map(|sought| missed(&sought));
        let lost = |outcome| (outcome, GivenUp::NoPicture);
        let expected = [
            ("behind", GivenUp::NoTime),
            lost("late"),
            lost("damaged"),
            lost("absent"),
        ];
        assert_eq!(told, expected);
    }

    #[test]
    fn after_five_pictures_that_were_not_decoded_in_time_the_small_one_is_looked_at_for_a_minute() {
        let begun = Instant::now();
        let at = |second| begun + Duration::from_secs(second);
        let counts = SharedCounts::default();
        let note = |sought: &Sought, second| counts.lock().pace.note(sought, at(second));
        let is_told = |second| counts.trouble(at(second)).is_some();
        let is_resting = |second| counts.lock().pace.is_resting(at(second));
        for second in 0..4 {
            assert!(!note(&Sought::Behind, second));
            // What is no matter of decoding neither counts nor forgives.
            assert!(!note(&Sought::NotYet, second));
        }
        assert!(!is_told(4) && !is_resting(4));
        assert!(note(&Sought::Behind, 4));
        assert!(is_told(5) && is_resting(5) && is_resting(63));
        // Then it is tried again, and said for as long as that may take.
        assert!(!is_resting(65) && is_told(65) && !is_told(125));
        assert!(note(&Sought::Behind, 66));
        assert!(is_resting(67) && !is_resting(127));
        edge_video::init().unwrap();
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("clip.mkv");
        rtsp_camera::TestPattern::default().write(&path).unwrap();
        let clip = edge_video::ClipReader::open(&path, protocol::EventTime::EPOCH);
        let frame = clip.unwrap().next_frame().unwrap().unwrap();
        assert!(!note(&Sought::Shown(frame), 128));
        assert!(!is_told(129) && !is_resting(129));
        assert!(!note(&Sought::Behind, 130), "it counts from the beginning");
    }
}
