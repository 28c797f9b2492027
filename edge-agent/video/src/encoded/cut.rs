//! A clip's pictures out of those that were taken for it, and what they lack.
//!
//! Refused here: a clip over a break of the stream, and one that begins with a
//! picture that cannot be decoded.

use protocol::EventTime;
use protocol::units::Seconds;

use super::unit::AccessUnit;

/// Why a clip is shorter than was asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Shortfall {
    /// No picture was received in all that time.
    Nothing,
    /// The ring did not reach back so far.
    BeganLate,
    /// The stream was lost, or changed, before the wished-for end.
    BrokeOff,
    /// Whoever keeps pictures for the clip took no more of them. [`cut`] cannot
    /// know that, and says [`Shortfall::BrokeOff`].
    TooLarge,
    /// The stream was lost, or changed, after the wished-for beginning.
    CameLate,
}

/// Pictures of one unbroken run.
#[derive(Clone, Debug, Default)]
pub struct Cut {
    /// In the order in which they were sent; the first is a key picture.
    pub units: Vec<AccessUnit>,
    /// What is wrong with it, if anything.
    pub shortfalls: Vec<Shortfall>,
}

impl Cut {
    /// From the first picture to the last.
    pub fn span(&self) -> Option<(EventTime, EventTime)> {
        let times = || self.units.iter().map(|unit| unit.time);
        Some((times().min()?, times().max()?))
    }
}

/// A clip may lack so much at either end without being called short: a picture
/// at one frame per second.
const SLACK: Seconds = Seconds(1.0);

/// Cuts `from` to `to` out of pictures of one stream, around `at`.
///
/// Only the run counts that shows `at`: pictures over a break would be a clip
/// with a hole in it that looks whole.
pub fn cut(units: &[AccessUnit], from: EventTime, to: EventTime, at: EventTime) -> Cut {
    let away = |unit: &AccessUnit| unit.time.since(at).0.abs();
    let Some(run) = units
        .iter()
        .min_by(|a, b| away(a).total_cmp(&away(b)))
        .map(|unit| unit.run)
    else {
        return Cut {
            units: Vec::new(),
            shortfalls: vec![Shortfall::Nothing],
        };
    };
    let of_run = |unit: &&AccessUnit| unit.run == run;
    let whole: Vec<&AccessUnit> = units.iter().filter(of_run).collect();
    let begin = whole
        .iter()
        .rposition(|unit| unit.is_key && unit.time <= from)
        .or_else(|| whole.iter().position(|unit| unit.is_key));
    let Some(begin) = begin else {
        return Cut {
            units: Vec::new(),
            shortfalls: vec![Shortfall::Nothing],
        };
    };
    // To the picture after the end, so that the end is in it.
    let end = whole[begin..]
        .iter()
        .position(|unit| unit.time >= to)
        .map_or(whole.len(), |after| begin + after + 1);
    // And those that are shown before it but were sent after it.
    let last_shown = whole[begin..end].iter().map(|unit| unit.media).max();
    let reordered = whole[end..]
        .iter()
        .take_while(|unit| Some(unit.media) < last_shown)
        .count();
    let end = end + reordered;
    let taken: Vec<AccessUnit> = whole[begin..end].iter().map(|u| (*u).clone()).collect();
    let mut cut = Cut {
        units: taken,
        shortfalls: Vec::new(),
    };
    let Some((first, last)) = cut.span() else {
        cut.shortfalls.push(Shortfall::Nothing);
        return cut;
    };
    if first.since(from) > SLACK {
        let is_broken = units.first().is_some_and(|unit| unit.run < run);
        cut.shortfalls.push(if is_broken {
            Shortfall::CameLate
        } else {
            Shortfall::BeganLate
        });
    }
    if to.since(last) > SLACK {
        cut.shortfalls.push(Shortfall::BrokeOff);
    }
    cut
}
