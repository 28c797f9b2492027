//! What a scene has said, in a few lines that a test can hold against what it should say.

use std::fmt::Write;

use protocol::event::Phase;
use protocol::{Event, EventTime};

use crate::input::Output;
use crate::near_miss::NearMiss;

pub(crate) fn events(out: &[Output]) -> impl Iterator<Item = &Event> {
    out.iter().filter_map(|output| match output {
        Output::Event(event) => Some(event),
        Output::Evidence(_) | Output::NearMiss(_) | Output::Coverage(_) | Output::Speed(_) => None,
    })
}

/// What nearly was an event.
pub(crate) fn near_misses(out: &[Output]) -> Vec<&NearMiss> {
    let misses = out.iter().filter_map(|output| match output {
        Output::NearMiss(miss) => Some(miss),
        _ => None,
    });
    misses.collect()
}

/// Every event in a few lines.
pub(crate) fn told(out: &[Output]) -> String {
    let seconds = |time: EventTime| time.since(EventTime::EPOCH).0;
    let mut text = String::new();
    for output in out {
        match output {
            Output::Event(event) => {
                let phase = match event.phase {
                    Phase::Start => "starts",
                    Phase::Update => "goes on",
                    Phase::End => "is over",
                };
                let actors = event.actors.iter();
                let actors = actors.map(|actor| format!("{}#{}", actor.class, actor.track.rank));
                let actors: Vec<String> = actors.collect();
                let who = if actors.is_empty() {
                    "nobody in particular".to_owned()
                } else {
                    actors.join(" and ")
                };
                write!(
                    text,
                    "{} {phase} (revision {}): {who} since {:.1}",
                    event.kind,
                    event.revision,
                    seconds(event.onset)
                )
                .unwrap();
                if let Some(ended) = event.ended {
                    write!(text, " until {:.1}", seconds(ended)).unwrap();
                }
                for plate in event.actors.iter().filter_map(|actor| actor.plate.as_ref()) {
                    let reason = plate.reason.as_ref().map_or("stated", |reason| &reason.en);
                    let last = if plate.is_final { ", finally" } else { "" };
                    write!(text, " plate `{}` ({reason}{last})", plate.display).unwrap();
                }
                if event.phase == Phase::Start {
                    writeln!(text, ", decided at {:.1}", seconds(event.decided.time)).unwrap();
                    for p in &event.explanation {
                        assert!(p.holds, "an event lists what holds: {p:?}");
                        let json = |v| serde_json::to_string(v).unwrap();
                        let (value, threshold) = (json(&p.value), json(&p.threshold));
                        let comparison = serde_json::to_value(p.comparison).unwrap();
                        let comparison = comparison.as_str().unwrap();
                        let line = format!(
                            "    {}: {value} {comparison} {threshold} {} [{:.1} to {:.1}]",
                            p.name,
                            p.unit,
                            seconds(p.first.time),
                            seconds(p.last.time)
                        );
                        writeln!(text, "{}", line.replace("  [", " [")).unwrap();
                    }
                } else {
                    let facts: Vec<String> = event
                        .facts
                        .iter()
                        .filter(|(key, _)| {
                            ["dwell_s", "hidden_s", "end_reason"].contains(&key.as_str())
                        })
                        .map(|(key, value)| {
                            format!("{key} {}", serde_json::to_string(value).unwrap())
                        })
                        .collect();
                    writeln!(text, ", {}", facts.join(", ")).unwrap();
                }
            }
            Output::Speed(measured) => {
                let (low, high) = (measured.low_kmh, measured.high_kmh);
                let track = &measured.track;
                writeln!(
                    text,
                    "speed of {}#{}: {:.1} km/h ({low:.1} to {high:.1})",
                    measured.class, track.rank, measured.speed_kmh
                )
                .unwrap();
            }
            Output::Evidence(wish) => {
                let at: Vec<String> = wish
                    .at
                    .iter()
                    .map(|frame| format!("{:.1}", seconds(frame.time)))
                    .collect();
                writeln!(text, "    pictures of {}", at.join(", ")).unwrap();
            }
            Output::NearMiss(_) | Output::Coverage(_) => {}
        }
    }
    text
}
