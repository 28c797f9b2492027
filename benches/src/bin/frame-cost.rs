//! Promise 4, measured: is the box as fast as its parts?
//!
//! In one run, on one clip, as CPU time (user + system) per frame:
//! (a) decoding alone, (b) inference alone on frames already decoded, (c) the
//! whole agent (`edge-agent replay`: decode, inference, tracking, rules, JSON).
//! Each stage is a process of its own, so that one's threads and caches do not
//! flatter another; the stages take turns over several rounds and the least
//! figure of each counts, because noise only ever adds.
//!
//! Start-up is left out of all three alike: (a) and (c) are the difference to a
//! run over one frame, and (b) is timed after the model is loaded.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context as _, bail};
use clap::{Parser, Subcommand};
use edge_inference::{Detector, DetectorSettings, ModelStore, Runtime};
use edge_video::{ClipReader, Frame};
use models::{ColourMatrix, ColourRange, I420View};
use nix::sys::resource::{UsageWho, getrusage};
use protocol::EventTime;

/// Compares the CPU time of the whole agent with decoding and inference alone.
#[derive(Parser)]
struct Cli {
    /// The clip to use.
    #[arg(long, default_value = ".local/clips/vtest.mp4")]
    clip: PathBuf,
    /// Frames of it.
    #[arg(long, default_value_t = 200)]
    frames: u64,
    /// Rounds; the least figure of each stage counts.
    #[arg(long, default_value_t = 3)]
    rounds: u32,
    /// Model, else the best one installed.
    #[arg(long)]
    model: Option<protocol::id::ModelId>,
    /// The agent's binary, else the one beside this program.
    #[arg(long)]
    agent: Option<PathBuf>,
    #[command(subcommand)]
    stage: Option<Stage>,
}

/// What a child process of the bench does.
#[derive(Clone, Copy, Subcommand)]
enum Stage {
    /// (a)
    #[command(hide = true)]
    Decode,
    /// (b): prints its own CPU time without decoding.
    #[command(hide = true)]
    Infer,
}

fn main() -> anyhow::Result<()> {
    let cli = Cli::parse();
    match cli.stage {
        Some(Stage::Decode) => {
            edge_video::init()?;
            println!("{}", frames(&cli)?.count());
            Ok(())
        }
        Some(Stage::Infer) => infer(&cli),
        None => compare(&cli),
    }
}

/// The clip's first frames, in order.
fn frames(cli: &Cli) -> anyhow::Result<impl Iterator<Item = Frame>> {
    let mut clip = ClipReader::open(&cli.clip, EventTime::EPOCH)?;
    let limit = usize::try_from(cli.frames).unwrap_or(usize::MAX);
    Ok(std::iter::from_fn(move || clip.next_frame().ok().flatten()).take(limit))
}

fn infer(cli: &Cli) -> anyhow::Result<()> {
    edge_video::init()?;
    // Few frames again and again: holding a whole clip would measure the memory.
    let mut few: Vec<Frame> = Vec::new();
    for frame in frames(cli)? {
        if frame.number % 8 == 0 && few.len() < 24 {
            few.push(frame);
        }
    }
    let runtime = Runtime::load(None)?;
    let store = ModelStore::open(ModelStore::default_dirs())?;
    let (manifest, file) = match &cli.model {
        Some(model) => store.find(model)?,
        None => store.best_detector()?,
    };
    let settings = DetectorSettings::default();
    let mut detector = Detector::load(&runtime, manifest, &file, &settings)?;
    let before = cpu_seconds(UsageWho::RUSAGE_SELF)?;
    let mut seen = 0;
    for turn in 0..cli.frames {
        let frame = &few[usize::try_from(turn)? % few.len()];
        seen += detector.detect(&view(frame))?.len();
    }
    let spent = cpu_seconds(UsageWho::RUSAGE_SELF)? - before;
    println!("{spent} {seen} {}", detector.manifest().id);
    Ok(())
}

fn view(frame: &Frame) -> I420View<'_> {
    I420View {
        width: frame.width,
        height: frame.height,
        y: frame.y(),
        y_stride: frame.y_stride(),
        u: frame.u(),
        u_stride: frame.u_stride(),
        v: frame.v(),
        v_stride: frame.v_stride(),
        matrix: if frame.is_bt709() {
            ColourMatrix::Bt709
        } else {
            ColourMatrix::Bt601
        },
        range: if frame.is_full_range() {
            ColourRange::Full
        } else {
            ColourRange::Limited
        },
    }
}

fn cpu_seconds(who: UsageWho) -> anyhow::Result<f64> {
    let usage = getrusage(who)?;
    let seconds = |t: nix::sys::time::TimeVal| t.tv_sec() as f64 + t.tv_usec() as f64 / 1e6;
    Ok(seconds(usage.user_time()) + seconds(usage.system_time()))
}

/// CPU seconds of a child, and what it printed.
fn child(command: &mut Command) -> anyhow::Result<(f64, String)> {
    let before = cpu_seconds(UsageWho::RUSAGE_CHILDREN)?;
    let output = command
        .stderr(Stdio::inherit())
        .output()
        .with_context(|| format!("cannot start {command:?}"))?;
    if !output.status.success() {
        bail!("{command:?} failed: {}", output.status);
    }
    let spent = cpu_seconds(UsageWho::RUSAGE_CHILDREN)? - before;
    Ok((
        spent,
        String::from_utf8_lossy(&output.stdout).trim().to_owned(),
    ))
}

/// Least CPU seconds of each stage so far.
struct Floors {
    decode: f64,
    decode_start: f64,
    infer: f64,
    whole: f64,
    whole_start: f64,
}

fn compare(cli: &Cli) -> anyhow::Result<()> {
    let own = std::env::current_exe()?;
    let agent = cli
        .agent
        .clone()
        .unwrap_or_else(|| own.with_file_name("edge-agent"));
    if !agent.exists() {
        bail!(
            "{} is not built; run `cargo build --release -p edge-agent`",
            agent.display()
        );
    }
    let folder = std::env::temp_dir().join(format!("frame-cost-{}", std::process::id()));
    std::fs::create_dir_all(&folder)?;
    let result = rounds(cli, &own, &agent, &folder);
    std::fs::remove_dir_all(&folder)?;
    result
}

fn rounds(cli: &Cli, own: &Path, agent: &Path, folder: &Path) -> anyhow::Result<()> {
    let clip = shortened(cli, folder, cli.frames)?;
    let one = shortened(cli, folder, 1)?;
    let config = folder.join("camera.toml");
    let model = cli
        .model
        .as_ref()
        .map(|id| format!("model = \"{id}\"\n"))
        .unwrap_or_default();
    std::fs::write(&config, format!("{CONFIG}\n[detector]\n{model}"))?;
    let most = f64::INFINITY;
    let mut least = Floors {
        decode: most,
        decode_start: most,
        infer: most,
        whole: most,
        whole_start: most,
    };
    let mut model = String::new();
    for round in 1..=cli.rounds {
        let stage = |name: &str, clip: &Path| {
            let mut command = Command::new(own);
            command
                .arg("--clip")
                .arg(clip)
                .args(["--frames", &cli.frames.to_string()]);
            if let Some(model) = &cli.model {
                command.args(["--model", model.as_str()]);
            }
            child(command.arg(name))
        };
        let whole = |clip: &Path| {
            let mut command = Command::new(agent);
            command.args(["--log", "error", "replay"]).arg(clip);
            child(command.arg("--config").arg(&config).arg("--quiet"))
        };
        least.decode = least.decode.min(stage("decode", &clip)?.0);
        least.decode_start = least.decode_start.min(stage("decode", &one)?.0);
        let (_, printed) = stage("infer", &clip)?;
        let mut words = printed.split(' ');
        let spent: f64 = words
            .next()
            .unwrap_or_default()
            .parse()
            .context("stage infer")?;
        least.infer = least.infer.min(spent);
        words.next_back().unwrap_or_default().clone_into(&mut model);
        least.whole = least.whole.min(whole(&clip)?.0);
        least.whole_start = least.whole_start.min(whole(&one)?.0);
        eprintln!("round {round} of {}", cli.rounds);
    }
    // The one-frame run is start-up plus one frame.
    let beyond_start = |all: f64, one: f64| (all - one) * 1000.0 / (cli.frames - 1).max(1) as f64;
    let a = beyond_start(least.decode, least.decode_start);
    let b = least.infer * 1000.0 / cli.frames as f64;
    let c = beyond_start(least.whole, least.whole_start);
    println!(
        "clip {}, {} frames, model {model}, CPU ms per frame, least of {} rounds",
        cli.clip.display(),
        cli.frames,
        cli.rounds
    );
    println!("(a) decode alone      {a:8.3}");
    println!("(b) inference alone   {b:8.3}");
    println!("(c) the whole agent   {c:8.3}");
    println!("c / (a + b)           {:8.3}", c / (a + b));
    Ok(())
}

/// The clip's first `frames`, so that every stage reads the same ones.
fn shortened(cli: &Cli, folder: &Path, frames: u64) -> anyhow::Result<PathBuf> {
    let path = folder.join(format!("{frames}.mp4"));
    let mut command = Command::new("ffmpeg");
    command
        .args(["-v", "error", "-nostdin", "-y", "-i"])
        .arg(&cli.clip);
    command
        .args(["-frames:v", &frames.to_string(), "-c", "copy", "-an"])
        .arg(&path);
    child(&mut command)?;
    Ok(path)
}

/// Two rules over the whole picture, so that the whole agent has its usual work.
const CONFIG: &str = r#"
[box]
site = "bench"
id = "box"
[[camera]]
id = "clip"
source = { rtsp = "rtsp://127.0.0.1/unused" }
[[camera.zone]]
id = "all"
points = [[0.0, 0.0], [1.0, 0.0], [1.0, 1.0], [0.0, 1.0]]
[[camera.rule]]
id = "loitering"
kind = "loitering"
zone = "all"
min_dwell_s = 30.0
[[camera.rule]]
id = "pedestrians"
kind = "pedestrian_on_carriageway"
zone = "all"
"#;
