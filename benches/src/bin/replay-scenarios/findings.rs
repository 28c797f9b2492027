//! What the scene said, as the scorer wants it.

use std::collections::BTreeMap;

use edge_core::Output;
use protocol::event::{Phase, Value as Fact};
use protocol::{Event, EventTime, NormBox};
use serde_json::{Value, json};

use crate::setup::Setup;
use crate::words;

/// The scorer's two files, line by line, and how many of each kind there were.
#[derive(Debug, Default)]
pub(crate) struct Findings {
    pub(crate) events: Vec<Value>,
    pub(crate) speeds: Vec<Value>,
    /// What nearly was an event, as the core tells it.
    pub(crate) near_misses: Vec<Value>,
    pub(crate) counts: BTreeMap<String, u64>,
}

impl Findings {
    /// Takes what a scene said.
    pub(crate) fn take(&mut self, output: &Output, setup: &Setup, image: [f64; 2]) {
        match output {
            Output::Event(event) if event.phase == Phase::Start => {
                self.events.push(line(event, setup, image));
                let kind = words::scorers_kind(&event.kind.0).to_owned();
                *self.counts.entry(kind).or_default() += 1;
            }
            Output::NearMiss(miss) => self.near_misses.extend(serde_json::to_value(miss)),
            other => self.speeds.extend(measured(other, setup, image)),
        }
    }
}

/// A speed that was measured, legal or not.
fn measured(output: &Output, setup: &Setup, image: [f64; 2]) -> Option<Value> {
    let output = serde_json::to_value(output).ok()?;
    let speed = output.get("speed")?;
    let time: EventTime = serde_json::from_value(speed.get("at")?.get("time")?.clone()).ok()?;
    let bounds: NormBox = serde_json::from_value(speed.get("bounds")?.clone()).ok()?;
    let subject = setup.subjects.get(speed.get("rule")?.as_str()?)?;
    let mut line = json!({
        "zone": subject.zone,
        "t": seconds(time),
        "box": pixels(&bounds, image),
    });
    for key in ["speed_kmh", "low_kmh", "high_kmh", "looks", "track"] {
        if let Some(value) = speed.get(key) {
            line[key] = value.clone();
        }
    }
    Some(line)
}

fn line(event: &Event, setup: &Setup, image: [f64; 2]) -> Value {
    let mut line = json!({
        "type": words::scorers_kind(&event.kind.0),
        "t": seconds(event.decided.time),
    });
    if let Some(actor) = event.actors.first() {
        line["box"] = pixels(&actor.bounds, image);
        line["track"] = actor.track.to_string().into();
    }
    let subject = setup.subjects.get(event.rule.as_str());
    if let Some(zone) = subject.and_then(|subject| subject.zone.as_ref()) {
        line["zone"] = zone.as_str().into();
    }
    if let Some(leg) = subject.and_then(|subject| subject.leg.as_ref()) {
        line["leg"] = leg.as_str().into();
    }
    if let Some(Fact::Number(speed)) = event.facts.get("speed_kmh") {
        line["speed_kmh"] = (*speed).into();
    }
    line["onset"] = seconds(event.onset).into();
    line["facts"] = json!(event.facts);
    let tracks = event.actors.iter().map(|actor| actor.track.to_string());
    line["tracks"] = json!(tracks.collect::<Vec<String>>());
    line
}

fn seconds(time: EventTime) -> f64 {
    (time.since(EventTime::EPOCH).0 * 1e3).round() / 1e3
}

fn pixels(bounds: &NormBox, [width, height]: [f64; 2]) -> Value {
    let pixel = |v: f64, size: f64| (v * size * 100.0).round() / 100.0;
    json!([
        pixel(bounds.x, width),
        pixel(bounds.y, height),
        pixel(bounds.width, width),
        pixel(bounds.height, height)
    ])
}
