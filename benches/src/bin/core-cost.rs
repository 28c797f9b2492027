//! What the brain of the box costs: CPU time of `edge-core` per frame, and its memory over millions of them.
//!
//! A busy junction is made up: road users drive in lanes through a calibrated
//! picture, jitter like a detector's boxes, and flap (vanish, change score and
//! class). Zones and rules are those of a well-equipped camera. `cost` prints
//! the CPU time of [`Scene::handle`] per frame next to a floor taken in the same
//! run: one canonical sort of the same detections, which no tracker can do
//! without. `memory` runs on and on and prints how much memory the process
//! holds, which must not grow.

use std::fmt::Write as _;

use anyhow::{Context as _, bail};
use clap::{Parser, Subcommand};
use edge_core::{Calibration, Identity, Input, Output, Scene, SceneConfig};
use nix::sys::resource::{UsageWho, getrusage};
use protocol::event::Provenance;
use protocol::id::SignalGroupId;
use protocol::signal::SignalSource;
use protocol::units::Seconds;
use protocol::{
    BoxId, CameraId, Detection, Detections, EventTime, NormBox, ObjectClass, SignalReading,
    SignalState, SiteId, TimeQuality,
};

/// CPU time per frame and memory of the core: tracking, calibration, signals, rules.
#[derive(Parser)]
#[command(
    after_help = "Examples:\n  core-cost cost\n  core-cost memory --frames 10000000 --users 12"
)]
struct Cli {
    /// Road users in sight.
    #[arg(long, default_value_t = 60, global = true)]
    users: usize,
    /// Zones.
    #[arg(long, default_value_t = 20, global = true)]
    zones: usize,
    /// Rules.
    #[arg(long, default_value_t = 15, global = true)]
    rules: usize,
    /// Pictures a second.
    #[arg(long, default_value_t = 12.0, global = true)]
    fps: f64,
    #[command(subcommand)]
    what: What,
}

#[derive(Subcommand)]
enum What {
    /// Prints µs of CPU per frame, the least of several rounds.
    Cost {
        /// Frames in a round.
        #[arg(long, default_value_t = 5000)]
        frames: u64,
        /// Rounds; the least counts, because noise only adds.
        #[arg(long, default_value_t = 5)]
        rounds: u32,
    },
    /// Prints the resident memory as frames go by.
    Memory {
        /// Frames.
        #[arg(long, default_value_t = 10_000_000)]
        frames: u64,
    },
}

fn main() -> anyhow::Result<()> {
    let cli = Cli::parse();
    match cli.what {
        What::Cost { frames, rounds } => cost(&cli, frames, rounds),
        What::Memory { frames } => memory(&cli, frames),
    }
}

fn cost(cli: &Cli, frames: u64, rounds: u32) -> anyhow::Result<()> {
    let mut best: Option<(f64, f64)> = None;
    let mut events = 0;
    for round in 0..rounds {
        let mut scene = scene(cli)?;
        let mut traffic = Traffic::new(cli, u64::from(round));
        let mut out = Vec::new();
        // Until every table has its size and the road is full.
        for _ in 0..200 {
            for input in traffic.next_inputs() {
                scene.handle(input, &mut out);
            }
        }
        out.clear();
        let made: Vec<Vec<Input>> = (0..frames).map(|_| traffic.next_inputs()).collect();
        let sorted = made.clone();
        let begin = cpu_us()?;
        for inputs in sorted {
            for input in inputs {
                if let Input::Detections(detections) = input {
                    std::hint::black_box(detections.canonical());
                }
            }
        }
        let floor = cpu_us()? - begin;
        let begin = cpu_us()?;
        for inputs in made {
            for input in inputs {
                scene.handle(input, &mut out);
            }
            events += out
                .drain(..)
                .filter(|output| matches!(output, Output::Event(_)))
                .count();
        }
        let whole = cpu_us()? - begin;
        let per_frame = |us: f64| us / frames as f64;
        let (whole, floor) = (per_frame(whole), per_frame(floor));
        best = Some(best.map_or((whole, floor), |(w, f)| (whole.min(w), floor.min(f))));
    }
    let (whole, floor) = best.context("no rounds; write --rounds 1 or more")?;
    println!(
        "{} road users, {} zones, {} rules: {whole:.1} µs of CPU a frame; canonical order alone {floor:.1} µs; ratio {:.1}; {events} event revisions in {rounds} rounds of {frames} frames",
        cli.users,
        cli.zones,
        cli.rules,
        whole / floor
    );
    Ok(())
}

fn memory(cli: &Cli, frames: u64) -> anyhow::Result<()> {
    let mut scene = scene(cli)?;
    let mut traffic = Traffic::new(cli, 1);
    let mut out = Vec::new();
    let step = (frames / 20).max(1);
    let mut first = None;
    println!("frames\tresident_kib\tremembered");
    for frame in 1..=frames {
        for input in traffic.next_inputs() {
            scene.handle(input, &mut out);
        }
        out.clear();
        if frame % step == 0 {
            let resident = resident_kib()?;
            println!("{frame}\t{resident}\t{}", scene.remembered());
            // The first twentieth fills the tables.
            let first = *first.get_or_insert(resident);
            if resident > first + first / 10 + 1024 {
                bail!(
                    "memory grows: {first} KiB after {step} frames, {resident} KiB after {frame}"
                );
            }
        }
    }
    Ok(())
}

fn cpu_us() -> anyhow::Result<f64> {
    let usage = getrusage(UsageWho::RUSAGE_SELF).context("cannot read the CPU time")?;
    let us = |t: nix::sys::time::TimeVal| t.tv_sec() as f64 * 1e6 + t.tv_usec() as f64;
    Ok(us(usage.user_time()) + us(usage.system_time()))
}

fn resident_kib() -> anyhow::Result<u64> {
    let status = std::fs::read_to_string("/proc/self/status").context("cannot read memory")?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    line.and_then(|text| text.trim().trim_end_matches("kB").trim().parse().ok())
        .context("the system does not say how much memory is resident")
}

/// What a well-equipped junction watches for; `ZONE` is another zone each time.
const KINDS: [(&str, &str); 15] = [
    ("red_light", "line = \"stop\"\nsignal = \"north\""),
    ("stopped_vehicle", "zone = \"ZONE\"\nmin_dwell_s = 15.0"),
    (
        "wrong_way",
        "zone = \"ZONE\"\ndirection = [[0.5, 0.9], [0.5, 0.3]]",
    ),
    ("pedestrian_on_carriageway", "zone = \"ZONE\""),
    ("loitering", "zone = \"ZONE\"\nmin_dwell_s = 60.0"),
    ("stop_line", "line = \"stop\"\nsignal = \"north\""),
    (
        "speeding",
        "entry_line = \"stop\"\nexit_line = \"exit\"\nlimit_kmh = 50.0",
    ),
    ("wrong_lane", "zone = \"ZONE\"\nclasses = [\"motorcycle\"]"),
    ("illegal_parking", "zone = \"ZONE\""),
    ("congestion", "zone = \"ZONE\""),
    ("crowd", "zone = \"ZONE\""),
    ("crash", "zone = \"ZONE\""),
    ("no_helmet", ""),
    ("solid_line", "lines = [\"exit\"]"),
    (
        "custom",
        "zone = \"ZONE\"\nwhen = \"class == 'truck' && speed_kmh > 30.0 && (hour >= 22 || hour < 5)\"\nfor_s = 1.0",
    ),
];

/// The rules of a well-equipped camera, as many as asked for.
fn scene(cli: &Cli) -> anyhow::Result<Scene> {
    let mut text = String::from(
        r#"
        [[signal]]
        group = "north"
        recorded = true
        stale_after_s = 5.0
        [[line]]
        id = "stop"
        from = [0.05, 0.6]
        to = [0.95, 0.6]
        towards = [0.5, 0.5]
        [[line]]
        id = "exit"
        from = [0.05, 0.45]
        to = [0.95, 0.45]
        towards = [0.5, 0.4]
        "#,
    );
    for zone in 0..cli.zones {
        let (column, row) = ((zone % 5) as f64, (zone / 5) as f64);
        let (x, y) = (0.02 + 0.19 * column, 0.3 + 0.15 * (row % 4.0));
        writeln!(
            text,
            "[[zone]]\nid = \"z{zone}\"\npoints = [[{x:.3}, {y:.3}], [{:.3}, {y:.3}], [{:.3}, {:.3}], [{x:.3}, {:.3}]]",
            x + 0.18,
            x + 0.18,
            y + 0.14,
            y + 0.14
        )?;
    }
    for rule in 0..cli.rules {
        let zone = format!("z{}", rule % cli.zones.max(1));
        let (kind, keys) = KINDS[rule % KINDS.len()];
        let keys = keys.replace("ZONE", &zone);
        writeln!(
            text,
            "[[rule]]\nid = \"r{rule}\"\nkind = \"{kind}\"\n{keys}"
        )?;
    }
    let table: toml::Table = text.parse().context("the bench's own scene")?;
    let (config, faults) = SceneConfig::from_table(&table);
    if let Some(fault) = faults.first() {
        bail!("the bench's own scene: {fault}");
    }
    let name = |name: &str| name.to_owned();
    let identity = Identity {
        site: SiteId::new(name("bench"))?,
        box_id: BoxId::new(name("bench"))?,
        camera: CameraId::new(name("bench"))?,
        place: None,
        simulated: true,
        provenance: Provenance::default(),
    };
    // A pole of 8 m that looks along the road, horizon at 0.2 of the picture.
    let calibration: Calibration = toml::from_str(
        "image_to_ground = [[8.0, 0.0, -4.0], [0.0, 0.0, 8.0], [0.0, 1.0, -0.2]]\nresidual_m = 0.1\npoints = 6",
    )?;
    Scene::new(identity, config, Some(calibration))
        .map_err(|faults| anyhow::anyhow!("the bench's own scene: {faults:?}"))
}

/// Road users that come and go.
struct Traffic {
    random: fastrand::Rng,
    users: Vec<User>,
    frame: u64,
    fps: f64,
}

struct User {
    class: ObjectClass,
    x: f64,
    y: f64,
    dx: f64,
    dy: f64,
    hidden: u32,
}

impl Traffic {
    fn new(cli: &Cli, seed: u64) -> Self {
        let mut random = fastrand::Rng::with_seed(seed);
        let users = (0..cli.users).map(|_| User::new(&mut random)).collect();
        Self {
            random,
            users,
            frame: 0,
            fps: cli.fps,
        }
    }

    /// The signal and the detections of the next frame.
    fn next_inputs(&mut self) -> Vec<Input> {
        self.frame += 1;
        let seconds = self.frame as f64 / self.fps;
        let time = EventTime::EPOCH + Seconds(seconds);
        let mut items = Vec::with_capacity(self.users.len());
        for user in &mut self.users {
            let dt = 1.0 / self.fps;
            user.x += user.dx * dt;
            user.y += user.dy * dt;
            if !(0.0..=1.0).contains(&user.x) || !(0.28..=0.98).contains(&user.y) {
                *user = User::new(&mut self.random);
            }
            // One look in a hundred is missed, sometimes for several frames.
            if user.hidden == 0 && self.random.f64() < 0.01 {
                user.hidden = self.random.u32(1..6);
            }
            if user.hidden > 0 {
                user.hidden -= 1;
                continue;
            }
            let height = 0.35 * (user.y - 0.2);
            let mut jitter = || (self.random.f64() - 0.5) * 0.06 * height;
            let (jx, jy) = (jitter(), jitter());
            let class = match (user.class, self.random.f64() < 0.01) {
                (ObjectClass::Car, true) => ObjectClass::Truck,
                (class, _) => class,
            };
            let width = if class == ObjectClass::Person {
                0.25
            } else {
                0.8
            } * height;
            items.push(Detection {
                class,
                score: 0.35 + 0.6 * self.random.f64(),
                bounds: NormBox {
                    x: user.x - width / 2.0 + jx,
                    y: user.y - height + jy,
                    width,
                    height,
                },
            });
        }
        let state = if (seconds / 60.0).fract() < 0.5 {
            SignalState::Red
        } else {
            SignalState::Green
        };
        let mut inputs = Vec::with_capacity(2);
        if let Ok(group) = SignalGroupId::new("north") {
            inputs.push(Input::Signal(SignalReading {
                group,
                state,
                time,
                confidence: 1.0,
                source: SignalSource::Recording,
            }));
        }
        inputs.push(Input::Detections(Detections {
            frame: self.frame,
            time,
            time_quality: TimeQuality::Media,
            aspect: 16.0 / 9.0,
            believed_from: 0.45,
            camera_motion: None,
            is_followed: false,
            items,
        }));
        inputs
    }
}

impl User {
    fn new(random: &mut fastrand::Rng) -> Self {
        let class = match random.u32(0..10) {
            0..=3 => ObjectClass::Motorcycle,
            4..=6 => ObjectClass::Car,
            7 => ObjectClass::Bus,
            _ => ObjectClass::Person,
        };
        let pace = if class == ObjectClass::Person {
            0.02
        } else {
            0.15
        };
        // One in ten stands.
        let moving = if random.u32(0..10) == 0 { 0.0 } else { 1.0 };
        Self {
            class,
            x: random.f64(),
            y: 0.3 + 0.65 * random.f64(),
            dx: (random.f64() - 0.5) * pace * moving,
            dy: (random.f64() - 0.5) * pace * moving,
            hidden: 0,
        }
    }
}
