//! What the scene is told where the pictures of a clip are damaged or change their size:
//! what a box at work tells its scenes of a camera that sends such.
//!
//! A damaged picture by itself is one that was not looked at; a second of them is a gap, and so is
//! one in which pictures are missing. So many damaged ones
//! that the stream is blamed are a loss of it, until they are good again. Live, the same is
//! done by `live::inference` and `live::scene_thread::outage`, with what else a stream can do.

use edge_core::{Condition, Gap, GapReason, Health, Input};
use edge_scheduler::HOLE_US;
use edge_video::Lack;
use protocol::EventTime;
use protocol::units::Seconds;

use crate::live::TICK_BEHIND_S;
use crate::perception;

/// A box tells its scenes so often that time passes. s.
const TICK_EVERY_S: f64 = 1.0;
/// How often a loss that lasts is told. s.
const TOLD_EVERY_S: f64 = 10.0;

/// What was not seen of a clip.
#[derive(Debug, Default)]
pub(super) struct Outage {
    /// The last picture that the scene saw.
    last: Option<EventTime>,
    /// The last picture that was not damaged, whether or not it was worth a look.
    sound: Option<EventTime>,
    /// For how long others had not been there to be looked at by then.
    lack: Lack,
    /// Whether damaged ones came since.
    is_damaged: bool,
    /// Since when there was none up to the one that is looked at now, and why.
    missed: Option<(EventTime, GapReason)>,
    /// Longer than this without a look is a gap.
    longest_hole: Seconds,
    ticked: Option<EventTime>,
    lost: Option<Loss>,
    size: Option<(u32, u32)>,
    /// What the picture is good for, as far as is known.
    picture: Health,
}

/// The stream is blamed.
#[derive(Clone, Copy, Debug)]
struct Loss {
    /// What the scene does not know of yet.
    from: EventTime,
    told: EventTime,
}

impl Outage {
    /// Rules bear to see nothing for `longest_hole`.
    pub(super) fn new(longest_hole: Seconds) -> Self {
        Self {
            longest_hole,
            ..Self::default()
        }
    }

    /// The watch over the picture has said this.
    pub(super) fn note(&mut self, picture: Health) {
        self.picture = picture;
    }

    /// A picture of this time is damaged; `is_lost`: so many are that the stream is blamed.
    pub(super) fn missed(&mut self, time: EventTime, is_lost: bool) -> Vec<Input> {
        self.is_damaged = true;
        let mut told = Vec::new();
        if is_lost && self.lost.is_none() {
            let since = self.last.unwrap_or(time);
            self.lost = Some(Loss {
                from: since,
                told: time,
            });
            told.push(Input::Health(Health {
                time,
                since,
                condition: Condition::Corrupt,
                ..Health::default()
            }));
        }
        let behind = time + Seconds(-TICK_BEHIND_S);
        let is_due = |ticked: EventTime| time.since(ticked).0 >= TICK_EVERY_S;
        if self.last.is_some_and(|last| behind > last) && self.ticked.is_none_or(is_due) {
            self.ticked = Some(time);
            told.push(Input::Tick(behind));
        }
        told.extend(self.tell(behind, TOLD_EVERY_S, time));
        told
    }

    /// Accounts until `to` for a loss that lasts, where that was not told for `every` (s).
    fn tell(&mut self, to: EventTime, every: f64, now: EventTime) -> Option<Input> {
        let lost = self.lost.as_mut()?;
        let from = self.last.map_or(lost.from, |last| lost.from.max(last));
        if to <= from || now.since(lost.told).0 < every {
            return None;
        }
        *lost = Loss {
            from: to,
            told: now,
        };
        Some(gap(from, to, GapReason::Corrupt))
    }

    /// A picture of this time is not damaged; for so long in all others had not been there before
    /// it. Of a road that rests, which is not `is_awake`, nothing was missed before it.
    pub(super) fn sound(&mut self, time: EventTime, lack: Lack, is_awake: bool) {
        self.is_damaged = false;
        let lack = lack.since(std::mem::replace(&mut self.lack, lack));
        let before = self.sound.replace(time);
        self.missed = before.filter(|_| is_awake).and_then(|before| {
            let why = perception::lacked(lack, time.since(before))?;
            Some((before, why))
        });
    }

    /// A picture of this time and size is seen next: what is told before it.
    pub(super) fn seen(&mut self, time: EventTime, size: (u32, u32), is_lost: bool) -> Vec<Input> {
        let last = self.last.replace(time);
        let is_resized = self.size.replace(size).is_some_and(|before| before != size);
        let resized = last.filter(|_| is_resized).map(|from| {
            let reason = GapReason::PictureChanged;
            Input::Gap(Gap {
                from,
                to: time,
                reason,
            })
        });
        let missed = self.missed.take().and_then(|(from, why)| {
            let from = last.map_or(from, |last| from.max(last));
            // As the scheduler of a box has it: a little after a rest is too much together with that.
            let is_hole = last.is_some_and(|last| time.since(last).0 * 1e6 > HOLE_US as f64);
            (is_hole || time.since(from).0 > self.longest_hole.0).then(|| gap(from, time, why))
        });
        let mut told = self.went_on(time, last, is_lost);
        if told.is_empty() {
            told.extend(missed);
        }
        told.extend(resized);
        told
    }

    fn went_on(&mut self, time: EventTime, last: Option<EventTime>, is_lost: bool) -> Vec<Input> {
        match &mut self.lost {
            Some(loss) if !is_lost => {
                let from = last.map_or(loss.from, |last| loss.from.max(last));
                self.lost = None;
                let picture = Health {
                    time,
                    since: self.picture.since.min(time),
                    ..self.picture
                };
                let over = gap(from.min(time), time, GapReason::Corrupt);
                vec![over, Input::Health(picture)]
            }
            // A good picture among bad ones: nothing was seen since what was told of them.
            Some(loss) if last.is_none_or(|last| loss.from > last) => {
                let from = loss.from.min(time);
                *loss = Loss {
                    from: time,
                    told: time,
                };
                vec![gap(from, time, GapReason::Corrupt)]
            }
            _ => Vec::new(),
        }
    }

    /// The clip ended with a picture of this time.
    pub(super) fn end(&mut self, time: EventTime) -> Option<Input> {
        if self.lost.is_some() {
            return self.tell(time, 0.0, time);
        }
        // No good one comes after these, before which they would be told.
        let since = self.sound.max(self.last).filter(|_| self.is_damaged)?;
        let is_long = time.since(since).0 > self.longest_hole.0;
        is_long.then(|| gap(since, time, GapReason::Corrupt))
    }
}

fn gap(from: EventTime, to: EventTime, reason: GapReason) -> Input {
    Input::Gap(Gap { from, to, reason })
}

#[cfg(test)]
mod tests {
    use super::*;

    const SIZE: (u32, u32) = (640, 360);

    fn at(tenth: i64) -> EventTime {
        EventTime::from_micros(tenth * 100_000)
    }

    /// What was told, times in tenths of a second.
    fn words(told: Vec<Input>) -> Vec<String> {
        let tenth = |time: EventTime| time.as_micros() / 100_000;
        let word = |input| match input {
            Input::Gap(gap) if gap.reason == GapReason::PictureChanged => {
                format!("resized {}..{}", tenth(gap.from), tenth(gap.to))
            }
            Input::Gap(gap) if gap.reason == GapReason::NoPicture => {
                format!("missing {}..{}", tenth(gap.from), tenth(gap.to))
            }
            Input::Gap(gap) => format!("gap {}..{}", tenth(gap.from), tenth(gap.to)),
            Input::Health(health) => format!(
                "{:?} at {} since {}",
                health.condition,
                tenth(health.time),
                tenth(health.since)
            ),
            Input::Tick(time) => format!("tick {}", tenth(time)),
            other => panic!("{other:?}"),
        };
        told.into_iter().map(word).collect()
    }

    #[test]
    fn a_stream_that_is_blamed_is_lost_since_the_last_picture_that_was_seen() {
        let mut outage = Outage::new(Seconds(1.0));
        assert_eq!(words(outage.seen(at(0), SIZE, false)), [""; 0]);
        // Not blamed yet: pictures that were not looked at.
        assert_eq!(words(outage.missed(at(1), false)), [""; 0]);
        assert_eq!(words(outage.missed(at(2), true)), ["Corrupt at 2 since 0"]);
        assert_eq!(words(outage.missed(at(3), true)), [""; 0]);
        // A good one of those that must be good for a second; then it is over.
        assert_eq!(words(outage.seen(at(4), SIZE, true)), [""; 0]);
        assert_eq!(
            words(outage.seen(at(14), SIZE, false)),
            ["gap 4..14", "Well at 14 since 0"]
        );
        assert_eq!(words(outage.seen(at(15), SIZE, false)), [""; 0]);
    }

    #[test]
    fn a_loss_that_lasts_is_told_while_it_lasts() {
        let mut outage = Outage::new(Seconds(1.0));
        outage.seen(at(0), SIZE, false);
        let mut told = Vec::new();
        for tenth in 1..=200 {
            told.extend(words(outage.missed(at(tenth), true)));
        }
        told.extend(
            outage
                .end(at(200))
                .map(|input| words(vec![input]).remove(0)),
        );
        let gaps: Vec<_> = told.iter().filter(|it| it.starts_with("gap")).collect();
        assert_eq!(gaps, ["gap 0..51", "gap 51..200"], "{told:?}");
        assert_eq!(
            told.iter().filter(|it| it.starts_with("tick")).count(),
            15,
            "{told:?}"
        );
    }

    #[test]
    fn a_change_of_size_parts_what_was_seen() {
        let mut outage = Outage::new(Seconds(1.0));
        assert_eq!(words(outage.seen(at(0), SIZE, false)), [""; 0]);
        assert_eq!(
            words(outage.seen(at(1), (320, 240), false)),
            ["resized 0..1"]
        );
        assert_eq!(words(outage.seen(at(2), (320, 240), false)), [""; 0]);
    }

    /// In all, in tenths of a second.
    fn lack(damaged: u64, missing: u64) -> Lack {
        Lack {
            damaged_us: damaged * 100_000,
            missing_us: missing * 100_000,
        }
    }

    #[test]
    fn a_second_of_damaged_pictures_is_a_gap_where_somebody_moved() {
        for (damaged, is_awake, expected) in [
            (1..9_i64, true, vec![]),
            (1..11, true, vec!["gap 0..11"]),
            (1..11, false, vec![]),
        ] {
            let mut outage = Outage::new(Seconds(1.0));
            outage.sound(at(0), lack(0, 0), true);
            outage.seen(at(0), SIZE, false);
            let next = damaged.end;
            let lost = lack(next.unsigned_abs() - 1, 0);
            for tenth in damaged {
                assert_eq!(words(outage.missed(at(tenth), false)), [""; 0]);
            }
            outage.sound(at(next), lost, is_awake);
            assert_eq!(words(outage.seen(at(next), SIZE, false)), expected);
            outage.sound(at(next + 20), lost, true);
            assert_eq!(words(outage.seen(at(next + 20), SIZE, false)), [""; 0]);
        }
    }

    /// Between one second and two they were watched, as far as anybody knew.
    #[test]
    fn a_second_of_missing_pictures_is_a_gap_where_somebody_moved() {
        for (back, damaged, is_awake, expected) in [
            (9_i64, false, true, vec![]),
            (12, false, true, vec!["missing 0..12"]),
            (12, true, true, vec!["gap 0..12"]),
            (12, false, false, vec![]),
            (35, false, true, vec!["missing 0..35"]),
        ] {
            let mut outage = Outage::new(Seconds(1.0));
            outage.sound(at(0), lack(0, 3), true);
            outage.seen(at(0), SIZE, false);
            let mut lost = lack(0, back.unsigned_abs() + 2);
            if damaged {
                outage.missed(at(1), false);
                lost = lack(1, back.unsigned_abs() + 1);
            }
            outage.sound(at(back), lost, is_awake);
            assert_eq!(words(outage.seen(at(back), SIZE, false)), expected);
            outage.sound(at(back + 15), lost, true);
            assert_eq!(words(outage.seen(at(back + 15), SIZE, false)), [""; 0]);
        }
    }

    /// All of it was a hole of nobody's making, in a replay alone: rules had watched the rest.
    #[test]
    fn a_moment_of_missing_pictures_after_a_rest_is_a_gap_where_both_are_more_than_rules_bear() {
        for (back, expected) in [(19_i64, vec![]), (21, vec!["missing 14..21"])] {
            let mut outage = Outage::new(Seconds(1.0));
            outage.sound(at(0), lack(0, 0), true);
            outage.seen(at(0), SIZE, false);
            // It rests until something moves.
            outage.sound(at(14), lack(0, 0), false);
            outage.sound(at(back), lack(0, back.unsigned_abs() - 15), true);
            assert_eq!(words(outage.seen(at(back), SIZE, false)), expected);
        }
    }

    /// A camera of which a picture is asked for each 1.1 s was not watched wherever one of the
    /// many between two of these was lost.
    #[test]
    fn a_moment_of_missing_pictures_is_no_gap_of_all_the_time_between_two_looks() {
        for (lost, expected) in [
            (lack(0, 1), vec![]),
            (lack(1, 0), vec![]),
            (lack(0, 6), vec!["missing 0..11"]),
        ] {
            let mut outage = Outage::new(Seconds(1.0));
            outage.sound(at(0), lack(0, 0), true);
            outage.seen(at(0), SIZE, false);
            outage.sound(at(11), lost, true);
            assert_eq!(words(outage.seen(at(11), SIZE, false)), expected);
        }
    }

    /// Of what refers to a picture that is damaged no stream is blamed, and where no good one came
    /// after it, nothing was told of it.
    #[test]
    fn a_clip_that_ends_damaged_was_not_watched_to_its_end() {
        for (end, is_blamed, expected) in [
            (5, false, None),
            (300, false, Some("gap 2..300")),
            (300, true, Some("gap 153..300")),
        ] {
            let mut outage = Outage::new(Seconds(1.0));
            outage.sound(at(0), lack(0, 0), true);
            outage.seen(at(0), SIZE, false);
            // The road rests: it was not looked at, and nothing was missed.
            outage.sound(at(2), lack(0, 0), false);
            for tenth in 3..=end {
                outage.missed(at(tenth), is_blamed);
            }
            let told = outage.end(at(end)).map(|told| words(vec![told]).remove(0));
            assert_eq!(told.as_deref(), expected, "{end}");
        }
    }

    #[test]
    fn a_clip_that_ends_with_good_pictures_was_watched_to_its_end() {
        let mut outage = Outage::new(Seconds(1.0));
        outage.sound(at(0), lack(0, 0), true);
        outage.seen(at(0), SIZE, false);
        for tenth in 1..20 {
            outage.missed(at(tenth), false);
        }
        outage.sound(at(20), lack(19, 0), true);
        assert_eq!(words(outage.seen(at(20), SIZE, false)), ["gap 0..20"]);
        assert_eq!(outage.end(at(40)), None);
    }
}
