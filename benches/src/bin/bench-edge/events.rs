//! Whether two programs told the same happenings.

use serde_json::Value;

/// An event of any program: what, when it began, and where.
#[derive(Clone, Debug)]
pub(crate) struct Told {
    pub(crate) kind: String,
    /// From the clip's start. s.
    pub(crate) onset_s: f64,
    /// When it was told, from the clip's start. s.
    pub(crate) decided_s: f64,
    /// Where the road user had stood until then and stood then, oldest first, as fractions of the picture.
    /// Ours a point each [`STEP_S`] or little more, and last where it was decided; of others that alone.
    pub(crate) way: Vec<[f64; 2]>,
}

/// Two onsets of one happening are at most so far apart. s.
const SAME_WITHIN_S: f64 = 2.0;
/// And so far apart in the picture at one instant.
const SAME_PLACE: f64 = 0.15;
/// Time between two points of a published path: at least this, and at most [`LONGEST_STEP_S`], since it is made of whole pictures. s.
const STEP_S: f64 = 0.2;
const LONGEST_STEP_S: f64 = 0.25;

impl Told {
    /// Our first publications, as `edge-agent replay` prints them.
    pub(crate) fn of_ours(event: &Value) -> Option<Self> {
        if event["revision"] != 1 {
            return None;
        }
        let second = |time: &Value| {
            let time: protocol::EventTime = serde_json::from_value(time.clone()).ok()?;
            Some(time.since(protocol::EventTime::EPOCH).0)
        };
        let actor: protocol::event::Actor =
            serde_json::from_value(event["actors"][0].clone()).ok()?;
        let bounds = actor.bounds;
        let mut way: Vec<[f64; 2]> = actor.path.iter().map(|point| [point.x, point.y]).collect();
        way.push([bounds.x + bounds.width / 2.0, bounds.y + bounds.height]);
        Some(Self {
            kind: event["kind"].as_str()?.to_owned(),
            onset_s: second(&event["onset"])?,
            decided_s: second(&event["decided"]["time"])?,
            way,
        })
    }

    /// A line of `benches/peers/rules.py`, in pixels of a picture of this size.
    pub(crate) fn of_peer(event: &Value, [width, height]: [f64; 2]) -> Option<Self> {
        let corner = |at: usize| event["box"][at].as_f64();
        Some(Self {
            kind: event["kind"].as_str()?.to_owned(),
            onset_s: event["onset_s"].as_f64()?,
            decided_s: event["decided_s"].as_f64()?,
            way: vec![[
                f64::midpoint(corner(0)?, corner(2)?) / width,
                corner(3)? / height,
            ]],
        })
    }

    fn is(&self, other: &Self) -> bool {
        self.kind == other.kind
            && (self.onset_s - other.onset_s).abs() <= SAME_WITHIN_S
            && self.apart(other) <= SAME_PLACE
    }

    /// How far apart the two were when the first of them was told: a car crosses a seventh of the picture in a
    /// fifth of a second, so places of different instants tell nothing.
    fn apart(&self, other: &Self) -> f64 {
        let (earlier, later) = if self.decided_s <= other.decided_s {
            (self, other)
        } else {
            (other, self)
        };
        let Some(&place) = earlier.way.last() else {
            return f64::INFINITY;
        };
        let then = later.around(later.decided_s - earlier.decided_s);
        let alone = then.iter().map(|&point| distance(place, point));
        let between = then
            .windows(2)
            .map(|leg| distance(place, nearest_of_leg(place, leg[0], leg[1])));
        alone.chain(between).fold(f64::INFINITY, f64::min)
    }

    /// The part of the way on which it was `ago_s` before it was told. When a point was taken is known to a
    /// step, so at least the leg before and the leg after belong to it. Who came later than that: the first point.
    fn around(&self, ago_s: f64) -> &[[f64; 2]] {
        let last = self.way.len().saturating_sub(1);
        if ago_s < 1e-6 {
            return &self.way[last..];
        }
        let (fewest, most) = (ago_s / LONGEST_STEP_S - 1.0, ago_s / STEP_S + 1.0);
        #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)] // steps of a few seconds
        let steps = |count: f64| count.clamp(0.0, 1e6) as usize;
        let from = last.saturating_sub(steps(most.ceil()));
        let to = last.saturating_sub(steps(fewest.floor())).max(from);
        self.way.get(from..=to).unwrap_or_default()
    }
}

fn distance(a: [f64; 2], b: [f64; 2]) -> f64 {
    (a[0] - b[0]).hypot(a[1] - b[1])
}

/// The point of the leg from `a` to `b` that is nearest to `place`.
fn nearest_of_leg(place: [f64; 2], a: [f64; 2], b: [f64; 2]) -> [f64; 2] {
    let (x, y) = (b[0] - a[0], b[1] - a[1]);
    let length = x * x + y * y;
    if length <= 0.0 {
        return a;
    }
    let share = (((place[0] - a[0]) * x + (place[1] - a[1]) * y) / length).clamp(0.0, 1.0);
    [a[0] + share * x, a[1] + share * y]
}

/// What two programs agree and differ in.
#[derive(Debug)]
pub(crate) struct Comparison {
    pub(crate) same: usize,
    pub(crate) only_first: Vec<Told>,
    pub(crate) only_second: Vec<Told>,
}

impl Comparison {
    /// Each event of one is the same as at most one of the other; of all pairs that may be the same, the
    /// nearest in time and place are taken first, since people wait side by side.
    pub(crate) fn of(first: &[Told], second: &[Told]) -> Self {
        let away = |one: &Told, other: &Told| {
            (one.onset_s - other.onset_s).abs() / SAME_WITHIN_S + one.apart(other) / SAME_PLACE
        };
        let mut pairs: Vec<(f64, usize, usize)> = first
            .iter()
            .enumerate()
            .flat_map(|(at, one)| {
                let others = second.iter().enumerate();
                let same = others.filter(move |(_, other)| one.is(other));
                same.map(move |(place, other)| (away(one, other), at, place))
            })
            .collect();
        pairs.sort_by(|a, b| a.0.total_cmp(&b.0));
        let (mut is_first, mut is_second) = (vec![true; first.len()], vec![true; second.len()]);
        let mut same = 0;
        for (_, at, place) in pairs {
            if is_first[at] && is_second[place] {
                (is_first[at], is_second[place]) = (false, false);
                same += 1;
            }
        }
        let rest = |told: &[Told], is_alone: &[bool]| -> Vec<Told> {
            let alone = told.iter().zip(is_alone).filter(|(_, is_alone)| **is_alone);
            alone.map(|(told, _)| told.clone()).collect()
        };
        Self {
            same,
            only_first: rest(first, &is_first),
            only_second: rest(second, &is_second),
        }
    }

    /// Kinds and instants of those that only one told.
    pub(crate) fn listed(told: &[Told]) -> String {
        let mut told: Vec<_> = told.iter().collect();
        told.sort_by(|a, b| a.onset_s.total_cmp(&b.onset_s));
        let words: Vec<String> = told
            .iter()
            .map(|told| format!("{} {:.1}", told.kind, told.onset_s))
            .collect();
        if words.is_empty() {
            "none".to_owned()
        } else {
            words.join(", ")
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(kind: &str, onset_s: f64, x: f64) -> Told {
        Told {
            kind: kind.to_owned(),
            onset_s,
            decided_s: onset_s + 1.0,
            way: vec![[x, 0.5]],
        }
    }

    /// A car that drives from right to left, three quarters of the picture a second.
    fn driven(onset_s: f64, speed: f64) -> Told {
        let decided_s = onset_s + 1.0;
        let place = |time: f64| [1.0 - speed * (time - 10.0), 0.5];
        Told {
            kind: "intrusion".to_owned(),
            onset_s,
            decided_s,
            way: (0..=5)
                .map(|step| place(onset_s + 0.2 * f64::from(step)))
                .collect(),
        }
    }

    #[test]
    fn events_of_both_programs_are_read() {
        let ours = serde_json::json!({
            "revision": 1, "kind": "intrusion", "onset": "1970-01-01T00:00:01.500000Z",
            "decided": { "frame": 62, "time": "1970-01-01T00:00:02.500000Z" },
            "actors": [{
                "track": "t1.0", "class": "person", "score": 0.5, "box": [0.4, 0.3, 0.2, 0.4],
                "path": [[0.3, 0.7], [0.4, 0.7]],
            }],
        });
        let theirs = serde_json::json!({
            "kind": "intrusion", "onset_s": 1.5, "decided_s": 2.5, "box": [768.0, 324.0, 1152.0, 756.0],
        });
        let (ours, theirs) = (
            Told::of_ours(&ours).unwrap(),
            Told::of_peer(&theirs, [1920.0, 1080.0]).unwrap(),
        );
        assert!(ours.is(&theirs), "{ours:?} {theirs:?}");
        assert_eq!(ours.way.len(), 3);
        assert!(distance(ours.way[2], [0.5, 0.7]) < 1e-9);
        assert!((ours.decided_s - 2.5).abs() < 1e-9);
    }

    #[test]
    fn who_is_told_later_is_compared_where_he_was_when_the_other_was_told() {
        let (early, late) = (driven(10.0, 0.75), driven(10.3, 0.75));
        assert!(distance(early.way[5], late.way[5]) > SAME_PLACE);
        assert!(early.is(&late) && late.is(&early));
        // Behind it by half a picture, in the same lane.
        let mut behind = driven(10.3, 0.75);
        behind.way.iter_mut().for_each(|place| place[0] += 0.5);
        assert!(!early.is(&behind) && !behind.is(&early));
        // Who stands does not move, whenever he is told.
        assert!(driven(10.0, 0.0).is(&driven(11.9, 0.0)));
        assert!(!driven(10.0, 0.0).is(&driven(12.1, 0.0)));
    }

    /// Two wait side by side; each is himself, in whichever order they are told.
    #[test]
    fn of_neighbours_each_is_matched_with_himself() {
        let (left, right) = (
            |at| told("intrusion", at, 0.4),
            |at| told("intrusion", at, 0.5),
        );
        for theirs in [[left(1.2), right(1.0)], [right(1.0), left(1.2)]] {
            let compared = Comparison::of(&[left(1.0), right(1.1)], &theirs);
            assert_eq!(compared.same, 2, "{compared:?}");
        }
        // He on the left could be either, and she on the right only herself.
        let compared = Comparison::of(
            &[left(1.0), right(1.0)],
            &[told("intrusion", 1.0, 0.54), left(1.0)],
        );
        assert_eq!(compared.same, 2, "{compared:?}");
    }

    #[test]
    fn an_event_is_matched_once_and_the_nearest_wins() {
        let ours = [told("intrusion", 1.0, 0.1), told("loitering", 1.0, 0.1)];
        let theirs = [
            told("intrusion", 2.5, 0.1),
            told("intrusion", 1.2, 0.1),
            told("intrusion", 1.0, 0.9),
        ];
        let compared = Comparison::of(&ours, &theirs);
        assert_eq!(compared.same, 1);
        assert_eq!(Comparison::listed(&compared.only_first), "loitering 1.0");
        assert_eq!(
            Comparison::listed(&compared.only_second),
            "intrusion 1.0, intrusion 2.5"
        );
    }
}
