//! What a user would run instead, on the same clips with the same model: CPU time for a stream.
//!
//! Two programs of `benches/peers`: OpenCV with supervision's ByteTrack, and a
//! reconstruction of Frigate's detection loop (its head says what it is and is not). Each is run
//! tuned to one thread with the same looks a second, and as its libraries come.
//! Ours runs as it comes in both cases: one thread and the gate are its defaults.
//! Starting, loading the model and what is learnt beforehand count for nobody.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use anyhow::Context as _;
use edge_inference::TELLS_NOBODY;
use serde_json::Value;

use crate::agent::{Agent, Watching};
use crate::cameras::Cameras;
use crate::events::{Comparison, Told};
use crate::process::run;
use crate::setting::Setting;
use crate::table::{Bar, Row, Spread};
use crate::whole::{Replayed, replay_config};

/// What a box that is full would be given at a quiet road.
const THIN: &str = r#"idle = "keyframes", idle_after_s = 3.0"#;
/// At least so many times less than each of them.
const BAR: Bar = Bar::AtLeast(3.0);
/// Looks a second of everybody.
const LOOKS: &str = "5";
/// The zone of the rules, for us and for them.
const ZONE: &str = "0.2,0.2,0.8,0.2,0.8,0.9,0.2,0.9";
/// As in `benches/peers/rules.py`.
const RULES: &str = r#"
[[camera.zone]]
id = "zone"
points = [[0.2, 0.2], [0.8, 0.2], [0.8, 0.9], [0.2, 0.9]]
[[camera.rule]]
id = "entered"
kind = "intrusion"
zone = "zone"
min_duration_s = 1.0
classes = ["person"]
[[camera.rule]]
id = "dwell"
kind = "loitering"
zone = "zone"
min_dwell_s = 6.0
"#;

/// Another program.
struct Peer {
    name: &'static str,
    script: &'static str,
    /// Pixels of the pictures that its boxes lie in.
    size: [f64; 2],
    is_tuned: bool,
    /// 0: each picture.
    looks: &'static str,
}

const PEERS: [Peer; 5] = [
    Peer {
        name: "OpenCV + ByteTrack, one thread",
        script: "opencv_supervision.py",
        size: [1920.0, 1080.0],
        is_tuned: true,
        looks: LOOKS,
    },
    Peer {
        name: "OpenCV + ByteTrack, defaults",
        script: "opencv_supervision.py",
        size: [1920.0, 1080.0],
        is_tuned: false,
        looks: LOOKS,
    },
    Peer {
        name: "OpenCV + ByteTrack, defaults, each picture",
        script: "opencv_supervision.py",
        size: [1920.0, 1080.0],
        is_tuned: false,
        looks: "0",
    },
    Peer {
        name: "Frigate's loop (reconstructed), one thread",
        script: "frigate_loop.py",
        size: [1280.0, 720.0],
        is_tuned: true,
        looks: LOOKS,
    },
    Peer {
        name: "Frigate's loop (reconstructed), defaults",
        script: "frigate_loop.py",
        size: [1280.0, 720.0],
        is_tuned: false,
        looks: LOOKS,
    },
];

/// The Python of the peers, that set-up brings.
fn python(root: &Path) -> PathBuf {
    root.join(".local/bench-venv/bin/python")
}

/// Steps of the progress bar.
pub(crate) fn steps(setting: &Setting) -> u64 {
    3 * u64::from(rounds(setting))
}

/// They are slow, and the differences are large.
fn rounds(setting: &Setting) -> u32 {
    setting.rounds.min(3)
}

pub(crate) fn measure(setting: &Setting) -> anyhow::Result<Vec<Row>> {
    if !python(&setting.root).exists() {
        let why = "their Python is not installed; run `deploy/setup bench`";
        return Ok(vec![Row::skipped("peers", why)]);
    }
    let seconds = if setting.is_quick { 12 } else { 30 };
    let busy = setting.beginning(&setting.clip, 25 * seconds)?;
    let quiet = Setting::quiet_clip(&setting.root)?;
    let quiet = setting.beginning(&quiet, 25 * seconds * 2)?;
    let mut rows = on_clip(setting, "busy", &busy)?;
    rows.extend(on_clip(setting, "quiet", &quiet)?);
    rows.push(by_key_pictures(setting)?);
    Ok(rows)
}

/// A box that decodes key pictures alone while nothing happens, beside Frigate's loop tuned to one
/// thread, which decodes all: the quiet minute with a key picture each second. A replay reads all
/// pictures, so ours is live, and receives by RTSP, which the other, who reads the file, need not.
fn by_key_pictures(setting: &Setting) -> anyhow::Result<Row> {
    let clip = Setting::quiet_clip_of_short_groups(&setting.root)?;
    let farm = Cameras::start(setting, &clip, 1)?;
    let watching = Watching {
        analysed_fps: Some(LOOKS.parse()?),
        detect: THIN,
        rules: RULES,
    };
    let frigate = PEERS.iter().find(|peer| peer.script == "frigate_loop.py");
    let frigate = frigate.context("Frigate's loop is among the peers")?;
    let (mut ratio, mut note) = (Spread::default(), String::new());
    for round in 1..=rounds(setting) {
        let of = rounds(setting);
        setting
            .progress
            .step(&format!("peers, by key pictures: round {round} of {of}"));
        let agent = Agent::start(setting, &farm.urls, watching, None)?;
        // The clip in a loop: any minute has all of it, and whatever was learnt at the start is behind.
        std::thread::sleep(Duration::from_secs(5));
        let ours = agent.over(Duration::from_mins(1))?;
        agent.program.stop()?;
        let theirs = frigate.run(setting, &clip)?;
        ratio.add(theirs.cpu_s / ours.cpu_s);
        note = format!(
            "ours {:.2} s, {:.0} pictures decoded, {:.0} inferences, {:.0} events; theirs {:.2} s, {} inferences, {} events",
            ours.cpu_s,
            ours.decoded,
            ours.inferred,
            ours.events,
            theirs.cpu_s,
            theirs.inferences,
            theirs.events.len(),
        );
    }
    farm.program.stop()?;
    let what = format!(
        "quiet, live with {THIN}: {} / ours, receiving included",
        frigate.name
    );
    Ok(Row::of("peers", what, &ratio, "").bar(BAR).note(note))
}

fn on_clip(setting: &Setting, name: &str, clip: &Path) -> anyhow::Result<Vec<Row>> {
    let config = setting.folder.path().join("peers.toml");
    let paced = format!("analysed_fps = {LOOKS}.0\n{RULES}");
    std::fs::write(&config, replay_config(&setting.model, &paced))?;
    let one = setting.beginning(clip, 1)?;
    let mut ours = Spread::default();
    let mut theirs: Vec<(Spread, Spread)> = PEERS.iter().map(|_| Default::default()).collect();
    let (mut our_events, mut our_looks) = (Vec::new(), 0);
    let mut their_events = vec![Vec::new(); PEERS.len()];
    let mut their_inferences = vec![0; PEERS.len()];
    for round in 1..=rounds(setting) {
        setting.progress.step(&format!(
            "peers, {name} clip: round {round} of {}",
            rounds(setting)
        ));
        let all = Replayed::run(setting, clip, &config, &[])?;
        let cpu_s = all.cpu_s - Replayed::run(setting, &one, &config, &[])?.cpu_s;
        ours.add(cpu_s);
        (our_events, our_looks) = (all.events, all.looked_at);
        for (at, peer) in PEERS.iter().enumerate() {
            let done = peer.run(setting, clip)?;
            theirs[at].0.add(done.cpu_s);
            theirs[at].1.add(done.cpu_s / cpu_s);
            their_events[at] = done.events;
            their_inferences[at] = done.inferences;
        }
    }
    let mut rows = vec![
        Row::of("peers", format!("{name}: ours"), &ours, "s").note(format!(
            "{our_looks} inferences, {} events",
            our_events.len()
        )),
    ];
    for (at, peer) in PEERS.iter().enumerate() {
        let compared = Comparison::of(&our_events, &their_events[at]);
        let (spent, ratio) = &theirs[at];
        rows.push(
            Row::of("peers", format!("{name}: {} / ours", peer.name), ratio, "")
                .bar(BAR)
                .note(format!(
                    "{:.2} s, {} inferences; {} events the same; only ours: {}; only theirs: {}",
                    spent.median(),
                    their_inferences[at],
                    compared.same,
                    Comparison::listed(&compared.only_first),
                    Comparison::listed(&compared.only_second),
                )),
        );
    }
    Ok(rows)
}

fn lines(text: &str) -> anyhow::Result<Vec<Value>> {
    text.lines()
        .map(|line| serde_json::from_str(line).with_context(|| format!("a line of JSON: {line}")))
        .collect()
}

/// What a peer did.
struct Done {
    cpu_s: f64,
    events: Vec<Told>,
    inferences: u64,
}

impl Peer {
    fn run(&self, setting: &Setting, clip: &Path) -> anyhow::Result<Done> {
        let out = setting.folder.path().join("peer.jsonl");
        let mut command = Command::new(python(&setting.root));
        command.env_remove("PYTHONPATH");
        command.env(TELLS_NOBODY, "1");
        command.arg(setting.root.join("benches/peers").join(self.script));
        command.arg(clip).arg(&setting.model.file).arg(&out);
        command.args(["--zone", ZONE, "--looks", self.looks]);
        if self.is_tuned {
            command.arg("--tuned");
        }
        let done = run(&mut command)?;
        let summary: Value = serde_json::from_str(done.printed.lines().last().unwrap_or_default())
            .with_context(|| format!("what {} printed", self.script))?;
        let before = summary["setup_cpu_s"].as_f64().context("setup_cpu_s")?;
        let events = lines(&std::fs::read_to_string(&out)?)?;
        Ok(Done {
            cpu_s: done.cpu_s - before,
            events: events
                .iter()
                .filter_map(|event| Told::of_peer(event, self.size))
                .collect(),
            inferences: summary["inferences"].as_u64().unwrap_or_default(),
        })
    }
}
