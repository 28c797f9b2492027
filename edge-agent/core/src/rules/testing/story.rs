//! A story's lines, read.

use protocol::signal::SignalSource;
use protocol::{SignalState, TimeQuality};

use super::body::Body;
use crate::health::Condition;
use crate::input::GapReason;

#[derive(Debug, Default)]
pub(super) struct Story {
    pub(super) bodies: Vec<Body>,
    pub(super) signals: Vec<(f64, Option<SignalState>)>,
    pub(super) gaps: Vec<(f64, f64, GapReason)>,
    pub(super) frozen: Vec<(f64, f64)>,
    pub(super) lost: Vec<(f64, f64)>,
    pub(super) health: Vec<(f64, Condition)>,
    pub(super) clocks: Vec<(f64, TimeQuality)>,
    pub(super) source: Option<SignalSource>,
    pub(super) answer_s: Option<f64>,
    /// Looks are taken at the main stream, whose pictures are so much later.
    pub(super) main_s: Option<f64>,
    pub(super) length: f64,
}

pub(super) fn read(story: &str) -> Story {
    let mut read = Story::default();
    for line in story.lines().map(str::trim).filter(|line| !line.is_empty()) {
        let words: Vec<&str> = line.split_whitespace().collect();
        let t: f64 = words[0].parse().unwrap();
        read.length = read.length.max(t);
        match (words[1], words[2]) {
            ("signal", state) => read
                .signals
                .push((t, (state != "silent").then(|| word(state)))),
            (what @ ("gap" | "steps"), until) => {
                let until: f64 = until.parse().unwrap();
                read.length = read.length.max(until);
                let reason = if what == "gap" {
                    GapReason::StreamLost
                } else {
                    GapReason::ClockStep
                };
                read.gaps.push((t, until, reason));
            }
            ("frozen", until) => read.frozen.push((t, until.parse().unwrap())),
            ("lost", until) => {
                let until: f64 = until.parse().unwrap();
                read.length = read.length.max(until);
                read.lost.push((t, until));
            }
            ("health", condition) => read.health.push((t, word(condition))),
            ("clock", quality) => read.clocks.push((t, word(quality))),
            ("source", source) => read.source = Some(word(source)),
            ("answers", after_s) => read.answer_s = Some(after_s.parse().unwrap()),
            ("main", later_s) => read.main_s = Some(later_s.parse().unwrap()),
            (name, what) => {
                let (class, id) = name.split_once('#').unwrap();
                let known = read.bodies.iter().position(|body| body.name == name);
                let index = known.unwrap_or_else(|| {
                    read.bodies.push(Body {
                        name: name.to_owned(),
                        class: word(class),
                        way: Vec::new(),
                        ids: vec![(t, id.parse().unwrap())],
                        marks: Vec::new(),
                        sizes: Vec::new(),
                        looks: Vec::new(),
                        is_unseen: false,
                    });
                    read.bodies.len() - 1
                });
                let body = &mut read.bodies[index];
                match what {
                    "at" => {
                        let (x, y) = words[3].split_once(',').unwrap();
                        body.way
                            .push((t, (x.parse().unwrap(), y.parse().unwrap()), true));
                    }
                    "hides" => {
                        let place = body.way[body.way.len() - 1].1;
                        body.way.push((t, place, false));
                    }
                    "shows" => {
                        let score = words.get(4).map_or(0.9, |score| score.parse().unwrap());
                        let side = if words.get(5) == Some(&"passenger") {
                            -1.0
                        } else {
                            1.0
                        };
                        body.marks.push((word(words[3]), t, score, side));
                    }
                    "unseen" => body.is_unseen = true,
                    "looked" => {
                        let score = words.get(4).map_or(0.9, |score| score.parse().unwrap());
                        body.looks.push((t, words[3].to_owned(), score));
                    }
                    "lacks" => body.marks.push((word(words[3]), t, 0.0, 1.0)),
                    "size" => {
                        let (width, height) = words[3].split_once(',').unwrap();
                        let size = (width.parse().unwrap(), height.parse().unwrap());
                        body.sizes.push((t, size));
                    }
                    "is" => body
                        .ids
                        .push((t, words[3].trim_start_matches('#').parse().unwrap())),
                    other => panic!("`{other}` is no word of this language"),
                }
            }
        }
    }
    read
}

/// A value by its word on the wire.
pub(super) fn word<T: serde::de::DeserializeOwned>(word: &str) -> T {
    serde_json::from_value(word.to_owned().into()).unwrap()
}
