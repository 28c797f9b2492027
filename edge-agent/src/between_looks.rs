//! Who was seen in one picture, followed through the next ones without the detector.
//!
//! Where traffic never stops no gate can rest, and most of a box's time goes into finding
//! again what was found a tenth of a second ago. With `look_every` the detector looks at every n-th
//! picture, and in between the boxes of its last look move with their pixels
//! ([`optical_flow`]): a tenth of the cost, docs/design/following.md.

use edge_core::marks::may_be_somebody;
use edge_video::Frame;
use optical_flow::Pyramid;
use protocol::units::Seconds;
use protocol::{Detection, EventTime, NormBox};

use crate::config::DetectConfig;
use crate::picture_gate::View;

/// The detector looks at once when so many of those it was sure of are lost to view.
const MOST_LOST: f64 = 0.5;

/// Looks are not farther apart, where pictures come as often: rules are judged on two a second or
/// more. s.
pub(crate) const LONGEST: Seconds = Seconds(0.45);

/// One camera's last picture in which it is known who is where.
#[derive(Debug)]
pub struct BetweenLooks {
    look_every: u32,
    /// Pictures since the last look.
    followed: u32,
    /// When the detector saw the camera last.
    looked: Option<EventTime>,
    /// How many of those it was sure of then.
    sure: usize,
    /// When `picture` was taken, and of what.
    time: EventTime,
    view: View,
    /// Who is where in `picture`.
    found: Vec<Detection>,
    picture: Pyramid,
    /// The newest one's, while the two are compared; else of no picture.
    newer: Pyramid,
}

impl BetweenLooks {
    /// As configured, before any look.
    pub fn new(config: &DetectConfig) -> Self {
        Self {
            look_every: config.look_every,
            followed: 0,
            looked: None,
            sure: 0,
            time: EventTime::EPOCH,
            view: View::default(),
            found: Vec::new(),
            picture: Pyramid::default(),
            newer: Pyramid::default(),
        }
    }

    /// The detector saw this in `frame`. `believed_from` is the score from which it is believed.
    pub fn looked(&mut self, frame: &Frame, believed_from: f64, found: &[Detection]) {
        if self.look_every <= 1 {
            return;
        }
        self.looked = read(&mut self.picture, frame).then_some(frame.time);
        (self.time, self.view) = (frame.time, View::of(frame));
        self.followed = 0;
        self.found.clear();
        self.found.extend_from_slice(found);
        self.sure = self.sure_of(believed_from);
    }

    /// The detector failed: whom it saw before is not followed through that.
    pub fn forget(&mut self) {
        self.looked = None;
    }

    /// Who of the last look is where in `frame`; those who are lost to view are left out. `None`:
    /// the detector is to look at it.
    pub fn follow(&mut self, frame: &Frame, believed_from: f64) -> Option<&[Detection]> {
        let (age, step) = (frame.time.since(self.looked?), frame.time.since(self.time));
        // With the next picture it would be too late.
        let is_due = self.followed + 1 >= self.look_every || age.0 + step.0 > LONGEST.0;
        let is_next = step.0 > 0.0 && self.view == View::of(frame);
        if is_due || !is_next || !read(&mut self.newer, frame) {
            self.looked = None;
            return None;
        }
        let boxes: Vec<NormBox> = self.found.iter().map(|seen| seen.bounds).collect();
        let mut moved = optical_flow::moved(&self.picture, &self.newer, &boxes).into_iter();
        self.found.retain_mut(|seen| match moved.next().flatten() {
            Some(bounds) => {
                seen.bounds = bounds;
                true
            }
            None => false,
        });
        std::mem::swap(&mut self.picture, &mut self.newer);
        self.time = frame.time;
        let lost = self.sure.saturating_sub(self.sure_of(believed_from));
        if lost as f64 > MOST_LOST * self.sure as f64 {
            self.looked = None;
            return None;
        }
        self.followed += 1;
        Some(&self.found)
    }

    /// How many there are for certain. A signal's lamps stay in sight whoever is lost.
    fn sure_of(&self, believed_from: f64) -> usize {
        let is_sure =
            |seen: &&Detection| may_be_somebody(seen.class) && seen.score >= believed_from;
        self.found.iter().filter(is_sure).count()
    }
}

fn read(pyramid: &mut Pyramid, frame: &Frame) -> bool {
    let (width, height) = (frame.width as usize, frame.height as usize);
    pyramid.read(frame.y(), frame.y_stride(), width, height)
}
