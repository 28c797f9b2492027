//! The way to a scene that may be busy: a look may be lost there, and is counted; what a
//! second look answered waits for room, the newest of it (the looks of others count as not taken:
//! their pledge is dropped with them), and when nothing was seen is never lost, of the whole picture
//! or of a part of it.

use std::collections::{BTreeMap, VecDeque};

use crossbeam_channel::{Sender, TrySendError};
use edge_core::{Gap, GapReason, Input, Unseen};
use protocol::EventTime;
use protocol::units::Seconds;

use crate::live::Work;

/// Work that waits for a scene to have room; each may hold a buffer of the decoder.
const MOST_LATE: usize = 8;
/// Stretches of parts of the picture that nobody looked at, which wait as well: those of all tiles
/// that there may be, of a camera that changes its size meanwhile.
const MOST_UNSEEN: usize = 64;
/// Where looks were lost and none came for longer, the time between was not watched: as the
/// scheduler judges looks that were not taken.
const UNWATCHED: Seconds = Seconds(1.0);

/// What became of work.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Sent {
    /// The scene has it, or will have it.
    Well,
    /// The scene is behind: a look was lost, or more answers than may wait.
    Lost,
    /// There is no scene any more.
    Gone,
}

/// What one scene had no room for and must still hear.
#[derive(Default)]
pub(super) struct ToScene {
    /// Gaps, which go first. While one waits the scene is shown nothing, so a further one
    /// of its kind makes it longer.
    gaps: BTreeMap<GapReason, Gap>,
    /// What nobody looked at closely, told with looks that were lost: whoever counts it tells each
    /// stretch once.
    unseen: Vec<Unseen>,
    /// Answers, oldest first.
    late: VecDeque<Work>,
    /// Of the last look that the scene has.
    heard: Option<EventTime>,
    /// Whether a look was lost since.
    has_lost: bool,
}

impl ToScene {
    /// Sends what waits as far as there is room, then `work`.
    pub(super) fn send(&mut self, to: &Sender<Work>, mut work: Work) -> Sent {
        let look = work.inputs.iter().find_map(|input| match input {
            Input::Detections(detections) => Some(detections.time),
            _ => None,
        });
        if let (Some(time), Some(heard)) = (look, self.heard)
            && time.since(heard).0 < 0.0
        {
            // The clock was set back: the scene is told so, and knows nothing of later times.
            (self.has_lost, self.heard) = (false, None);
            self.forget_owed();
        }
        // Of a picture on which the detector failed there is a gap and no look.
        let gap = work.inputs.iter().find_map(|input| match input {
            Input::Gap(gap) => Some(gap.from),
            _ => None,
        });
        if let (Some(time), Some(heard), true) = (look.or(gap), self.heard, self.has_lost)
            && time.since(heard).0 > UNWATCHED.0
        {
            self.owe(Gap {
                from: heard,
                to: time,
                reason: GapReason::Overload,
            });
        }
        if !self.late.is_empty() && self.flush(to) == Sent::Gone {
            return Sent::Gone;
        }
        if !self.late.is_empty() {
            return self.keep(work);
        }
        // In one piece with what comes after them: where there is room for the gaps alone, the
        // look at their end would be lost in its turn.
        let until = self.until();
        let owed = self.owed();
        self.forget_owed();
        work.inputs.splice(..0, owed);
        match to.try_send(work) {
            Ok(()) => {
                self.told(until);
                if look.is_some() {
                    self.heard = look;
                    self.has_lost = false;
                }
                Sent::Well
            }
            Err(TrySendError::Disconnected(_)) => Sent::Gone,
            Err(TrySendError::Full(work)) => self.keep(work),
        }
    }

    /// The gaps that wait, as the scene is to hear of them: whoever is told of a gap takes all
    /// between that and what he heard before for watched. And what was unseen in parts, as far as it
    /// is in no gap.
    fn owed(&self) -> Vec<Input> {
        let mut gaps: Vec<Gap> = self.gaps.values().copied().collect();
        gaps.sort_by_key(|gap| gap.from);
        let unseen = self.unseen.iter().filter_map(|unseen| {
            let covers = |gap: &&Gap| gap.from <= unseen.to && unseen.to <= gap.to;
            let to = gaps.iter().find(covers).map_or(unseen.to, |gap| gap.from);
            (unseen.from < to).then_some(Input::Unseen(Unseen { to, ..*unseen }))
        });
        let unseen: Vec<Input> = unseen.collect();
        gaps.into_iter().map(Input::Gap).chain(unseen).collect()
    }

    fn forget_owed(&mut self) {
        self.gaps.clear();
        self.unseen.clear();
    }

    /// A part that nobody looked at closely, of which the scene must hear.
    fn owe_unseen(&mut self, unseen: Unseen) {
        let is_before = |known: &&mut Unseen| {
            (known.part, known.reason, known.to) == (unseen.part, unseen.reason, unseen.from)
        };
        if let Some(known) = self.unseen.iter_mut().find(is_before) {
            known.to = unseen.to;
            return;
        }
        if self.unseen.len() == MOST_UNSEEN {
            self.unseen.remove(0);
        }
        self.unseen.push(unseen);
    }

    /// The end of the last gap that waits.
    fn until(&self) -> Option<EventTime> {
        self.gaps.values().map(|gap| gap.to).max()
    }

    /// The scene was told of gaps: up to their end nothing is owed any more.
    fn told(&mut self, until: Option<EventTime>) {
        self.heard = (self.heard).map(|heard| until.map_or(heard, |until| heard.max(until)));
    }

    /// A gap that the scene must hear of.
    fn owe(&mut self, gap: Gap) {
        let waits = self.gaps.entry(gap.reason).or_insert(gap);
        waits.from = waits.from.min(gap.from);
        waits.to = waits.to.max(gap.to);
    }

    /// Sends what waits as far as there is room.
    pub(super) fn flush(&mut self, to: &Sender<Work>) -> Sent {
        if !self.gaps.is_empty() || !self.unseen.is_empty() {
            let until = self.until();
            match to.try_send(Work::new(self.owed(), None)) {
                Ok(()) => {
                    self.told(until);
                    self.forget_owed();
                }
                Err(TrySendError::Disconnected(_)) => return Sent::Gone,
                Err(TrySendError::Full(_)) => return Sent::Well,
            }
        }
        while let Some(work) = self.late.pop_front() {
            match to.try_send(work) {
                Ok(()) => {}
                Err(TrySendError::Disconnected(_)) => return Sent::Gone,
                Err(TrySendError::Full(work)) => {
                    self.late.push_front(work);
                    break;
                }
            }
        }
        Sent::Well
    }

    /// Whether something waits for the scene to have room.
    pub(super) fn owes(&self) -> bool {
        !self.gaps.is_empty() || !self.unseen.is_empty() || !self.late.is_empty()
    }

    /// Keeps of work what must not be lost.
    fn keep(&mut self, mut work: Work) -> Sent {
        let is_look = |input: &Input| matches!(input, Input::Detections(_));
        let mut sent = Sent::Well;
        if work.inputs.iter().any(is_look) {
            sent = Sent::Lost;
            self.has_lost = true;
        }
        for input in &work.inputs {
            match input {
                Input::Gap(gap) => self.owe(*gap),
                Input::Unseen(unseen) => self.owe_unseen(*unseen),
                _ => {}
            }
        }
        // Lamps of a picture that nobody looked at: those of the next are as good.
        (work.inputs).retain(|input| matches!(input, Input::SecondLook(_)));
        if !work.inputs.is_empty() {
            self.late.push_back(work);
        }
        if self.late.len() > MOST_LATE {
            self.late.pop_front();
            sent = Sent::Lost;
        }
        sent
    }
}

#[cfg(test)]
mod tests {
    use crossbeam_channel::bounded;
    use edge_core::{Found, SecondLook};
    use protocol::event::FrameTime;
    use protocol::id::CascadeId;
    use protocol::units::Seconds;
    use protocol::{Detections, EventTime, NormBox, TimeQuality};

    use super::*;

    fn at(second: u32) -> EventTime {
        EventTime::EPOCH + Seconds(f64::from(second))
    }

    fn work(inputs: Vec<Input>) -> Work {
        Work::new(inputs, None)
    }

    fn look(second: u32) -> Input {
        Input::Detections(Detections {
            frame: u64::from(second),
            time: at(second),
            time_quality: TimeQuality::Arrival,
            aspect: 1.0,
            believed_from: 0.5,
            camera_motion: None,
            is_followed: false,
            items: Vec::new(),
        })
    }

    fn gap(second: u32) -> Input {
        Input::Gap(Gap {
            from: at(second),
            to: at(second),
            reason: GapReason::Overload,
        })
    }

    fn gap_of(reason: GapReason, from: u32, to: u32) -> Input {
        let (from, to) = (at(from), at(to));
        Input::Gap(Gap { from, to, reason })
    }

    fn answer(second: u32) -> Input {
        Input::SecondLook(SecondLook {
            cascade: CascadeId::new("plates").unwrap(),
            by: Vec::new(),
            main: None,
            track: None,
            bounds: NormBox {
                x: 0.0,
                y: 0.0,
                width: 1.0,
                height: 1.0,
            },
            at: FrameTime {
                frame: u64::from(second),
                time: at(second),
            },
            found: Found::Plates(Vec::new()),
        })
    }

    #[test]
    fn answers_and_gaps_reach_a_scene_that_was_busy_and_only_looks_are_lost() {
        let (to, scene) = bounded(1);
        let mut way = ToScene::default();
        assert_eq!(way.send(&to, work(vec![look(0)])), Sent::Well);
        assert_eq!(way.send(&to, work(vec![gap(1), look(1)])), Sent::Lost);
        assert_eq!(way.send(&to, work(vec![answer(2)])), Sent::Well);
        assert_eq!(way.send(&to, work(vec![look(3)])), Sent::Lost);
        let mut heard = Vec::new();
        while let Ok(work) = scene.try_recv() {
            heard.extend(work.inputs);
            assert_eq!(way.flush(&to), Sent::Well);
        }
        let until_the_last = Input::Gap(Gap {
            from: at(0),
            to: at(3),
            reason: GapReason::Overload,
        });
        assert_eq!(heard, [look(0), until_the_last, answer(2)]);
        // What it was told once it is not told again.
        assert_eq!(way.send(&to, work(vec![look(4)])), Sent::Well);
        assert_eq!(scene.try_recv().unwrap().inputs, [look(4)]);
    }

    #[test]
    fn what_is_owed_by_a_clock_that_was_set_back_is_not_told() {
        let (to, scene) = bounded(1);
        let mut way = ToScene::default();
        assert_eq!(way.send(&to, work(vec![look(100)])), Sent::Well);
        assert_eq!(way.send(&to, work(vec![gap(103), look(103)])), Sent::Lost);
        assert_eq!(scene.try_recv().unwrap().inputs, [look(100)]);
        assert_eq!(way.send(&to, work(vec![look(5)])), Sent::Well);
        assert_eq!(scene.try_recv().unwrap().inputs, [look(5)]);
    }

    /// What no rule saw is not watched; the scheduler, which looked, cannot know.
    #[test]
    fn looks_that_were_lost_for_longer_than_a_second_leave_a_gap() {
        let (to, scene) = bounded(1);
        let mut way = ToScene::default();
        assert_eq!(way.send(&to, work(vec![look(0)])), Sent::Well);
        assert_eq!(way.send(&to, work(vec![look(1)])), Sent::Lost);
        assert_eq!(way.send(&to, work(vec![look(2)])), Sent::Lost);
        assert_eq!(scene.try_recv().unwrap().inputs, [look(0)]);
        assert_eq!(way.send(&to, work(vec![look(3)])), Sent::Well);
        let unwatched = Input::Gap(Gap {
            from: at(0),
            to: at(3),
            reason: GapReason::Overload,
        });
        assert_eq!(scene.try_recv().unwrap().inputs, [unwatched, look(3)]);
        assert_eq!(way.send(&to, work(vec![look(5)])), Sent::Well);
        assert_eq!(scene.try_recv().unwrap().inputs, [look(5)]);
    }

    /// They came in the order of their reasons, and a scene that is told of the later one first takes
    /// the time before it for watched.
    #[test]
    fn gaps_of_several_reasons_are_told_in_the_order_in_which_they_began() {
        let [missing, overload] = [GapReason::NoPicture, GapReason::Overload];
        let told = [gap_of(overload, 10, 15), gap_of(missing, 12, 14), look(15)];
        let (to, scene) = bounded(1);
        let mut way = ToScene::default();
        assert_eq!(way.send(&to, work(vec![look(10)])), Sent::Well);
        let lost = work(vec![gap_of(missing, 12, 14), look(14)]);
        assert_eq!(way.send(&to, lost), Sent::Lost);
        assert_eq!(scene.try_recv().unwrap().inputs, [look(10)]);
        assert_eq!(way.send(&to, work(vec![look(15)])), Sent::Well);
        assert_eq!(scene.try_recv().unwrap().inputs, told);
        // The same where there is room for them before the next look.
        let (to, scene) = bounded(1);
        let mut way = ToScene::default();
        assert_eq!(way.send(&to, work(vec![look(10)])), Sent::Well);
        let lost = work(vec![gap_of(missing, 12, 14), look(14)]);
        assert_eq!(way.send(&to, lost), Sent::Lost);
        assert_eq!(way.send(&to, work(vec![look(15)])), Sent::Lost);
        assert_eq!(scene.try_recv().unwrap().inputs, [look(10)]);
        assert_eq!(way.flush(&to), Sent::Well);
        assert_eq!(scene.try_recv().unwrap().inputs, told[..2]);
    }

    /// The detector failed on what came next, and of what it had seen before the scene had not heard.
    #[test]
    fn looks_that_were_lost_before_a_gap_are_unwatched_as_well() {
        let (to, scene) = bounded(1);
        let mut way = ToScene::default();
        assert_eq!(way.send(&to, work(vec![look(10)])), Sent::Well);
        assert_eq!(way.send(&to, work(vec![look(11)])), Sent::Lost);
        assert_eq!(way.send(&to, work(vec![look(12)])), Sent::Lost);
        assert_eq!(scene.try_recv().unwrap().inputs, [look(10)]);
        let before = gap_of(GapReason::Overload, 10, 12);
        let failed = gap_of(GapReason::DetectorFailed, 12, 14);
        assert_eq!(way.send(&to, work(vec![failed.clone()])), Sent::Well);
        assert_eq!(scene.try_recv().unwrap().inputs, [before, failed]);
    }

    /// It is told once, with the picture at its end: lost with that, the rules had watched.
    #[test]
    fn what_nobody_looked_at_closely_is_told_also_where_its_look_is_lost() {
        let part = |x: f64| NormBox::from([x, 0.0, 0.5, 1.0]);
        let unseen = |x: f64, from: u32, to: u32| {
            Input::Unseen(Unseen {
                part: part(x),
                from: at(from),
                to: at(to),
                reason: GapReason::Overload,
            })
        };
        for (lost, then, heard) in [
            // Between two looks that are near.
            (
                vec![vec![look(11), unseen(0.0, 8, 11), unseen(0.5, 9, 11)]],
                11,
                vec![unseen(0.0, 8, 11), unseen(0.5, 9, 11)],
            ),
            // Stretch by stretch, and in a gap it is unwatched by that.
            (
                vec![
                    vec![look(11), unseen(0.0, 8, 11)],
                    vec![look(13), unseen(0.0, 11, 13), unseen(0.5, 12, 13)],
                ],
                14,
                vec![gap_of(GapReason::Overload, 10, 14), unseen(0.0, 8, 10)],
            ),
        ] {
            let (to, scene) = bounded(1);
            let mut way = ToScene::default();
            assert_eq!(way.send(&to, work(vec![look(10)])), Sent::Well);
            for inputs in lost {
                assert_eq!(way.send(&to, work(inputs)), Sent::Lost);
            }
            assert!(way.owes());
            assert_eq!(scene.try_recv().unwrap().inputs, [look(10)]);
            assert_eq!(way.send(&to, work(vec![look(then)])), Sent::Well);
            let told = scene.try_recv().unwrap().inputs;
            assert_eq!(told, [&heard[..], &[look(then)]].concat());
            assert!(!way.owes());
        }
        // The same where there is room for it before the next look.
        let (to, scene) = bounded(1);
        let mut way = ToScene::default();
        assert_eq!(way.send(&to, work(vec![look(10)])), Sent::Well);
        let lost = work(vec![look(11), unseen(0.0, 8, 11)]);
        assert_eq!(way.send(&to, lost), Sent::Lost);
        assert_eq!(scene.try_recv().unwrap().inputs, [look(10)]);
        assert_eq!(way.flush(&to), Sent::Well);
        assert_eq!(scene.try_recv().unwrap().inputs, [unseen(0.0, 8, 11)]);
        assert!(!way.owes());
    }

    #[test]
    fn a_look_that_is_lost_between_two_that_are_near_leaves_no_gap() {
        let (to, scene) = bounded(1);
        let mut way = ToScene::default();
        let tenth = |tenth: i64| {
            let Input::Detections(mut seen) = look(0) else {
                unreachable!();
            };
            seen.time = EventTime::from_micros(tenth * 100_000);
            Input::Detections(seen)
        };
        assert_eq!(way.send(&to, work(vec![tenth(0)])), Sent::Well);
        assert_eq!(way.send(&to, work(vec![tenth(4)])), Sent::Lost);
        assert_eq!(scene.try_recv().unwrap().inputs, [tenth(0)]);
        assert_eq!(way.send(&to, work(vec![tenth(8)])), Sent::Well);
        assert_eq!(scene.try_recv().unwrap().inputs, [tenth(8)]);
    }

    #[test]
    fn what_waits_is_bounded_and_what_is_lost_is_told() {
        let (to, _scene) = bounded(1);
        let mut way = ToScene::default();
        assert_eq!(way.send(&to, work(vec![look(0)])), Sent::Well);
        for second in 0..8 {
            assert_eq!(way.send(&to, work(vec![answer(second)])), Sent::Well);
        }
        assert_eq!(way.send(&to, work(vec![answer(9)])), Sent::Lost);
        assert_eq!(way.late.len(), MOST_LATE);
    }

    /// Beyond eight works the oldest went, which may have been the gap: its time was then
    /// watched, as far as anybody knew.
    #[test]
    fn gaps_outlive_any_number_of_answers_and_the_newest_answers_are_kept() {
        let (to, scene) = bounded(1);
        let mut way = ToScene::default();
        way.send(&to, work(vec![look(0)]));
        way.send(&to, work(vec![gap(1), look(1)]));
        for second in 2..12 {
            way.send(&to, work(vec![answer(second)]));
        }
        way.send(&to, work(vec![gap(12), look(12)]));
        let mut heard = Vec::new();
        while let Ok(work) = scene.try_recv() {
            heard.extend(work.inputs);
            assert_eq!(way.flush(&to), Sent::Well);
        }
        let whole = Input::Gap(Gap {
            from: at(0),
            to: at(12),
            reason: GapReason::Overload,
        });
        let mut expected = vec![look(0), whole];
        expected.extend((4..12).map(answer));
        assert_eq!(heard, expected);
    }

    #[test]
    fn a_scene_that_has_ended_is_told_of() {
        let (to, scene) = bounded(1);
        let mut way = ToScene::default();
        drop(scene);
        assert_eq!(way.send(&to, work(vec![answer(1)])), Sent::Gone);
    }
}
