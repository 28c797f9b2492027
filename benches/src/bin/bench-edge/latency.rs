//! How old a happening is when the centre hears of it: from the capture of the
//! picture that decided the event (RTP time by the camera's RTCP clock) until the
//! event arrives at an MQTT client behind a broker.
//!
//! How long a rule has to watch before it may accuse is not in it; the sub-second
//! jitter buffer, decoding, waiting for the detector, the detector, the rules, the
//! durable outbox and the broker are. Camera, broker and centre share the machine
//! and its clock.

use std::time::Duration;

use crate::agent::{Agent, Watching};
use crate::cameras::Cameras;
use crate::centre::Centre;
use crate::setting::Setting;
use crate::table::{Row, Spread};

/// Everybody who comes into a quarter of the picture: events are many, and each is decided by one picture.
const RULES: &str = r#"
[[camera.zone]]
id = "north-west"
points = [[0.0, 0.0], [0.5, 0.0], [0.5, 0.5], [0.0, 0.5]]
[[camera.zone]]
id = "north-east"
points = [[0.5, 0.0], [1.0, 0.0], [1.0, 0.5], [0.5, 0.5]]
[[camera.zone]]
id = "south-west"
points = [[0.0, 0.5], [0.5, 0.5], [0.5, 1.0], [0.0, 1.0]]
[[camera.zone]]
id = "south-east"
points = [[0.5, 0.5], [1.0, 0.5], [1.0, 1.0], [0.5, 1.0]]
[[camera.rule]]
id = "north-west"
kind = "intrusion"
zone = "north-west"
min_duration_s = 0.0
[[camera.rule]]
id = "north-east"
kind = "intrusion"
zone = "north-east"
min_duration_s = 0.0
[[camera.rule]]
id = "south-west"
kind = "intrusion"
zone = "south-west"
min_duration_s = 0.0
[[camera.rule]]
id = "south-east"
kind = "intrusion"
zone = "south-east"
min_duration_s = 0.0
"#;

/// Streams at once.
pub(crate) const STREAMS: [usize; 3] = [1, 4, 8];

pub(crate) fn measure(setting: &Setting) -> anyhow::Result<Vec<Row>> {
    if !Centre::is_possible() {
        let why = "mosquitto is not installed; run `deploy/setup test`";
        return Ok(vec![Row::skipped("latency", why)]);
    }
    let clip = Setting::calm_rate_clip(&setting.root)?;
    let mut rows = Vec::new();
    for streams in STREAMS {
        setting
            .progress
            .step(&format!("latency: {streams} streams"));
        rows.extend(with_streams(setting, &clip, streams)?);
    }
    Ok(rows)
}

fn with_streams(
    setting: &Setting,
    clip: &std::path::Path,
    streams: usize,
) -> anyhow::Result<Vec<Row>> {
    let farm = Cameras::start(setting, clip, streams)?;
    let centre = Centre::start(setting.folder.path())?;
    let watching = Watching {
        analysed_fps: Some(5.0),
        detect: "",
        rules: RULES,
    };
    let agent = Agent::start(setting, &farm.urls, watching, Some(&centre))?;
    // The first pictures come before the first report of the cameras' clocks.
    std::thread::sleep(Duration::from_secs(5));
    centre.arrivals();
    let time = Duration::from_secs(match (setting.is_quick, streams) {
        (true, _) => 20,
        (false, 1) => 80,
        (false, _) => 60,
    });
    let done = agent.over(time)?;
    agent.program.stop()?;
    let arrivals = centre.arrivals();
    let mut latency = Spread::default();
    for arrival in arrivals.iter().filter(|arrival| arrival.is_camera_time) {
        latency.add(arrival.latency_s * 1000.0);
    }
    let note = format!(
        "{} events ({} without the camera's time left out) of {} streams, 1080p10, 5 looks/s asked; {:.1} looks/s done, {:.1} % dropped; {:.2} cores",
        latency.len(),
        arrivals.len() - latency.len(),
        streams,
        done.inferred / time.as_secs_f64(),
        100.0 * done.dropped / (done.inferred + done.dropped).max(1.0),
        done.cpu_s / time.as_secs_f64(),
    );
    let row = |name: &str, share: f64| {
        let what = format!("{streams} streams: capture → event at the centre, {name}");
        Row::new("latency", what, latency.quantile(share), "ms")
    };
    Ok(vec![
        row("p50", 0.5).note(note),
        row("p95", 0.95),
        row("p99", 0.99),
    ])
}
