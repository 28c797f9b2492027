//! Promise 4: is the box as fast as its parts? c / (a + b) for the replay and for the live path.
//!
//! (a) is decoding alone, (b) inference alone, (c) the whole agent. Live, frames
//! are dropped when there is no time for them, so (c) is compared with the price
//! of what was really done: pictures decoded × a + pictures looked at × b.
//! The stages take turns, and each round gives a ratio of its own: what other
//! programs take from the machine falls on all stages of a round alike.

use std::path::Path;
use std::process::Command;
use std::time::Duration;

use anyhow::Context as _;

use crate::agent::{Agent, Telling, Watching, detector_keys};
use crate::cameras::Cameras;
use crate::centre::Centre;
use crate::events::Told;
use crate::process::{OnOneProcessor, run};
use crate::setting::{Model, Setting};
use crate::table::{Bar, Row, Spread};

const BAR: Bar = Bar::AtMost(1.05);

/// `edge-agent replay`, with everything as it comes.
pub(crate) fn replay(setting: &Setting) -> anyhow::Result<Vec<Row>> {
    let pictures = if setting.is_quick { 150 } else { 400 };
    let clip = setting.beginning(&setting.clip, pictures)?;
    let one = setting.beginning(&setting.clip, 1)?;
    let config = setting.folder.path().join("replay.toml");
    std::fs::write(
        &config,
        replay_config(&setting.model, &Telling::Seldom.rules()),
    )?;
    let source = [clip.to_string_lossy().into_owned()];
    let (mut a, mut b, mut c) = (Spread::default(), Spread::default(), Spread::default());
    let (mut ratio, mut together) = (Spread::default(), Together::default());
    let mut share = 1.0;
    let _pinned = OnOneProcessor::begin()?;
    for round in 1..=setting.rounds {
        setting
            .progress
            .step(&format!("replay: round {round} of {}", setting.rounds));
        // The first pictures of the clip are the warm-up.
        let decode = setting.decoding_alone(&source, pictures - 20)?.ms();
        let infer = setting.inference_alone(&clip, pictures, None)?.ms();
        let both = setting.together(&source, pictures - 20, None, (decode, infer))?;
        let (all, first) = (
            Replayed::run(setting, &clip, &config, &[])?,
            Replayed::run(setting, &one, &config, &[])?,
        );
        // The run over one picture is start-up, one picture and one look.
        let beyond = (pictures - 1) as f64;
        let looks = (all.looked_at - first.looked_at) as f64;
        let whole = (all.cpu_s - first.cpu_s) * 1000.0;
        share = looks / beyond;
        a.add(decode);
        b.add(infer);
        c.add(whole / beyond);
        let over_alone = whole / (beyond * decode + looks * infer);
        ratio.add(over_alone);
        together.add(both, over_alone);
    }
    let what = "one clip";
    let seen = format!("{:.0} % of the pictures looked at", 100.0 * share);
    let mut rows = vec![
        Row::of("replay", format!("{what}: (a) decoding alone"), &a, "ms"),
        Row::of("replay", format!("{what}: (b) inference alone"), &b, "ms"),
        Row::of(
            "replay",
            format!("{what}: (c) the whole agent, for a picture"),
            &c,
            "ms",
        ),
        Row::of(
            "replay",
            format!("{what}: c / (decoded × a + looked at × b)"),
            &ratio,
            "",
        )
        .bar(BAR)
        .note(seen),
    ];
    rows.extend(together.rows("replay", what));
    Ok(rows)
}

/// What the parts cost by turns in one process and nothing beside, and how much more the agent costs.
#[derive(Default)]
struct Together {
    over_alone: Spread,
    agent: Spread,
}

impl Together {
    /// A round: both over the parts alone, and the agent over the parts alone.
    fn add(&mut self, both: f64, agent: f64) {
        self.over_alone.add(both);
        self.agent.add(agent / both);
    }

    fn rows(&self, part: &'static str, what: &str) -> [Row; 2] {
        [
            Row::of(
                part,
                format!("{what}: both in one process without the agent, over each alone"),
                &self.over_alone,
                "",
            ),
            Row::of(
                part,
                format!("{what}: (c) over both in one process: the agent's own"),
                &self.agent,
                "",
            ),
        ]
    }
}

/// One `edge-agent replay`.
pub(crate) struct Replayed {
    /// User and system time. s.
    pub(crate) cpu_s: f64,
    /// First publications of events.
    pub(crate) events: Vec<Told>,
    /// Pictures that the detector looked at.
    pub(crate) looked_at: u64,
}

impl Replayed {
    pub(crate) fn run(
        setting: &Setting,
        clip: &Path,
        config: &Path,
        more: &[&str],
    ) -> anyhow::Result<Self> {
        let mut command = Command::new(&setting.agent);
        command.current_dir(&setting.root);
        command.args(["--log", "error", "replay"]).arg(clip);
        command.arg("--config").arg(config).args(more);
        let done = run(&mut command)?;
        let lines = done.printed.lines().map(serde_json::from_str);
        let events: Vec<serde_json::Value> = lines
            .collect::<Result<_, _>>()
            .context("events of a replay")?;
        Ok(Self {
            cpu_s: done.cpu_s,
            events: events.iter().filter_map(Told::of_ours).collect(),
            looked_at: looked_at(&done.complained).context("how many pictures were looked at")?,
        })
    }
}

/// From `12 event(s) in 300 frames, 40 of them looked at`.
fn looked_at(text: &str) -> Option<u64> {
    let line = text.lines().find(|line| line.contains(" event(s) in "))?;
    let rest = line.split_once(" event(s) in ")?.1;
    let (all, rest) = rest.split_once(" frames")?;
    let looked_at = rest
        .strip_prefix(", ")
        .and_then(|rest| rest.split_once(" of them looked at"));
    looked_at.map_or(all, |(count, _)| count).parse().ok()
}

/// A box with one camera, for `edge-agent replay`.
pub(crate) fn replay_config(model: &Model, rules: &str) -> String {
    format!(
        "[box]\nsite = \"bench\"\nid = \"box\"\n{}\
         [[camera]]\nid = \"c0\"\nsource = {{ rtsp = \"rtsp://127.0.0.1/unused\" }}\n{rules}",
        detector_keys(model)
    )
}

/// `edge-agent run` on cameras over RTSP.
pub(crate) fn live(setting: &Setting) -> anyhow::Result<Vec<Row>> {
    let mut rows = Vec::new();
    // A camera alone may be looked at often; four are what a small box watches.
    for (cameras, looks) in [(1, 10.0), (4, 5.0)] {
        rows.extend(with_cameras(setting, cameras, looks)?);
    }
    rows.push(price_of_events(setting)?);
    Ok(rows)
}

/// What an event with its two stills of 1080p, its signature and its way to the centre costs: the
/// same camera with and without many of them.
fn price_of_events(setting: &Setting) -> anyhow::Result<Row> {
    let time = Duration::from_secs(if setting.is_quick { 15 } else { 40 });
    let farm = Cameras::start(setting, &setting.clip, 1)?;
    let centre = Centre::is_possible()
        .then(|| Centre::start(setting.folder.path()))
        .transpose()?;
    let mut price = Spread::default();
    let mut events = 0.0;
    for round in 1..=setting.rounds.min(3) {
        setting
            .progress
            .step(&format!("live, events: round {round}"));
        let mut costs = Vec::new();
        for telling in [Telling::Seldom, Telling::Often] {
            let rules = telling.rules();
            let watching = Watching {
                analysed_fps: Some(5.0),
                detect: "",
                rules: &rules,
            };
            let agent = Agent::start(setting, &farm.urls, watching, centre.as_ref())?;
            std::thread::sleep(Duration::from_secs(2));
            costs.push(agent.over(time)?);
            agent.program.stop()?;
        }
        // Each decoded picture costs the same with and without events, looks are as many.
        let (few, many) = (costs[0], costs[1]);
        let more = many.events - few.events;
        let expected = few.cpu_s * many.decoded / few.decoded.max(1.0);
        price.add((many.cpu_s - expected) * 1000.0 / more.max(1.0));
        events += more;
    }
    drop(centre);
    farm.program.stop()?;
    Ok(
        Row::of("live", "an event with two stills of 1080p", &price, "ms")
            .note(format!("{events:.0} events more than without")),
    )
}

fn with_cameras(setting: &Setting, count: usize, looks: f64) -> anyhow::Result<Vec<Row>> {
    let seconds = if setting.is_quick { 10 } else { 24 };
    let farm = Cameras::start(setting, &setting.clip, count)?;
    let centre = Centre::is_possible()
        .then(|| Centre::start(setting.folder.path()))
        .transpose()?;
    let rules = Telling::Seldom.rules();
    let watching = Watching {
        analysed_fps: Some(looks),
        detect: "",
        rules: &rules,
    };
    let mut figures = Live::default();
    let (mut dropped, mut events) = (0.0, 0.0);
    let source = [setting.clip.to_string_lossy().into_owned()];
    for round in 1..=setting.rounds {
        setting.progress.step(&format!(
            "live, {count} camera{}: round {round} of {}",
            if count == 1 { "" } else { "s" },
            setting.rounds
        ));
        let decode = setting.decoding_alone(&source, 400)?.ms();
        let receive = setting.decoding_alone(&farm.urls, 25 * seconds / 2)?.ms();
        let infer = setting
            .inference_alone(&setting.clip, 120, Some(looks * count as f64))?
            .ms();
        let both = setting.together(
            &farm.urls,
            25 * seconds / 2 * count as u64,
            Some(looks * count as f64),
            (receive, infer),
        )?;
        let agent = Agent::start(setting, &farm.urls, watching, centre.as_ref())?;
        // Until caches, pools and the first stills are there.
        std::thread::sleep(Duration::from_secs(2));
        let done = agent.over(Duration::from_secs(seconds))?;
        agent.program.stop()?;
        for (spread, figure) in figures.parts.iter_mut().zip([
            decode,
            receive,
            infer,
            done.cpu_s * 1000.0 / done.decoded.max(1.0),
        ]) {
            spread.add(figure);
        }
        let priced = |a: f64| (done.decoded * a + done.inferred * infer) / 1000.0;
        figures.over_decoded.add(done.cpu_s / priced(decode));
        figures.over_received.add(done.cpu_s / priced(receive));
        figures.together.add(both, done.cpu_s / priced(receive));
        dropped += done.dropped / (done.inferred + done.dropped).max(1.0);
        events += done.events;
    }
    drop(centre);
    farm.program.stop()?;
    let what = format!(
        "{count} camera{}, {looks} looks/s each",
        if count == 1 { "" } else { "s" }
    );
    let rounds = f64::from(setting.rounds);
    let dropped = format!(
        "{:.1} % of the looks dropped, {:.0} events with stills",
        100.0 * dropped / rounds,
        events
    );
    Ok(figures.rows(&what, &dropped))
}

/// What the rounds with cameras gave.
#[derive(Default)]
struct Live {
    /// Decoding, receiving and inference alone, and the agent. ms.
    parts: [Spread; 4],
    over_received: Spread,
    over_decoded: Spread,
    together: Together,
}

impl Live {
    fn rows(&self, what: &str, dropped: &str) -> Vec<Row> {
        let part = "live";
        let [decode, receive, infer, whole] = &self.parts;
        let mut rows = vec![
            Row::of(
                part,
                format!("{what}: (a) decoding a file alone"),
                decode,
                "ms",
            ),
            Row::of(
                part,
                format!("{what}: (a') receiving by RTSP and decoding alone"),
                receive,
                "ms",
            ),
            Row::of(
                part,
                format!("{what}: (b) inference alone, at the same pace"),
                infer,
                "ms",
            ),
            Row::of(
                part,
                format!("{what}: (c) the whole agent, for a decoded picture"),
                whole,
                "ms",
            ),
            Row::of(
                part,
                format!("{what}: c / (decoded × a' + looked at × b)"),
                &self.over_received,
                "",
            )
            .bar(BAR)
            .note(dropped),
            Row::of(
                part,
                format!("{what}: the same with a, as if receiving cost nothing"),
                &self.over_decoded,
                "",
            )
            .bar(BAR),
        ];
        rows.extend(self.together.rows(part, what));
        rows
    }
}

#[cfg(test)]
mod tests {
    use super::looked_at;

    #[test]
    fn the_looks_are_read_off_the_summary() {
        for (text, looks) in [
            (
                "x\n12 event(s) in 300 frames, 40 of them looked at",
                Some(40),
            ),
            (
                "1 event(s) in 300 frames, 75 of them looked at, everybody followed through 225",
                Some(75),
            ),
            ("0 event(s) in 300 frames", Some(300)),
            ("error", None),
        ] {
            assert_eq!(looked_at(text), looks, "{text}");
        }
    }
}
