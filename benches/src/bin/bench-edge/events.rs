//! Whether two programs told the same happenings.

use serde_json::Value;

/// An event of any program: what, when it began, and where.
#[derive(Clone, Debug)]
pub(crate) struct Told {
    pub(crate) kind: String,
    /// From the clip's start. s.
    pub(crate) onset_s: f64,
    /// Where the person was when it was decided, as fractions of the picture.
    pub(crate) at: [f64; 2],
}

/// Two onsets of one happening are at most so far apart. s.
const SAME_WITHIN_S: f64 = 2.0;
/// And so far apart in the picture, which people cross in tens of seconds.
const SAME_PLACE: f64 = 0.15;

impl Told {
    /// Our first publications, as `edge-agent replay` prints them.
    pub(crate) fn of_ours(event: &Value) -> Option<Self> {
        if event["revision"] != 1 {
            return None;
        }
        let onset: protocol::EventTime = serde_json::from_value(event["onset"].clone()).ok()?;
        let bounds: protocol::NormBox =
            serde_json::from_value(event["actors"][0]["box"].clone()).ok()?;
        Some(Self {
            kind: event["kind"].as_str()?.to_owned(),
            onset_s: onset.since(protocol::EventTime::EPOCH).0,
            at: [bounds.x + bounds.width / 2.0, bounds.y + bounds.height],
        })
    }

    /// A line of `benches/peers/rules.py`, in pixels of a picture of this size.
    pub(crate) fn of_peer(event: &Value, [width, height]: [f64; 2]) -> Option<Self> {
        let corner = |at: usize| event["box"][at].as_f64();
        Some(Self {
            kind: event["kind"].as_str()?.to_owned(),
            onset_s: event["onset_s"].as_f64()?,
            at: [
                f64::midpoint(corner(0)?, corner(2)?) / width,
                corner(3)? / height,
            ],
        })
    }

    fn is(&self, other: &Self) -> bool {
        self.kind == other.kind
            && (self.onset_s - other.onset_s).abs() <= SAME_WITHIN_S
            && (self.at[0] - other.at[0]).hypot(self.at[1] - other.at[1]) <= SAME_PLACE
    }
}

/// What two programs agree and differ in.
#[derive(Debug)]
pub(crate) struct Comparison {
    pub(crate) same: usize,
    pub(crate) only_first: Vec<Told>,
    pub(crate) only_second: Vec<Told>,
}

impl Comparison {
    /// Each event of one is the same as at most one of the other, the nearest in time first.
    pub(crate) fn of(first: &[Told], second: &[Told]) -> Self {
        let mut left: Vec<Told> = second.to_vec();
        let mut only_first = Vec::new();
        for told in first {
            let away = |other: &Told| (other.onset_s - told.onset_s).abs();
            let nearest = left
                .iter()
                .enumerate()
                .filter(|(_, other)| told.is(other))
                .min_by(|a, b| away(a.1).total_cmp(&away(b.1)))
                .map(|(at, _)| at);
            match nearest {
                Some(at) => drop(left.swap_remove(at)),
                None => only_first.push(told.clone()),
            }
        }
        Self {
            same: first.len() - only_first.len(),
            only_first,
            only_second: left,
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
            at: [x, 0.5],
        }
    }

    #[test]
    fn events_of_both_programs_are_read() {
        let ours = serde_json::json!({
            "revision": 1, "kind": "intrusion", "onset": "1970-01-01T00:00:01.500000Z",
            "actors": [{ "box": [0.4, 0.3, 0.2, 0.4] }],
        });
        let theirs = serde_json::json!({
            "kind": "intrusion", "onset_s": 1.5, "box": [768.0, 324.0, 1152.0, 756.0],
        });
        let (ours, theirs) = (
            Told::of_ours(&ours).unwrap(),
            Told::of_peer(&theirs, [1920.0, 1080.0]).unwrap(),
        );
        assert!(ours.is(&theirs), "{ours:?} {theirs:?}");
        assert!((ours.at[0] - 0.5).hypot(ours.at[1] - 0.7) < 1e-9);
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
