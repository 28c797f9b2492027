//! Clips and stills of a box whose clock is stepped while its camera sees people:
//! each event has them, whole, and their signed times are by one clock.
//!
//! Which clock an event goes by is seen from its onset: before and after the step
//! are an hour apart, and the bench takes minutes.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use anyhow::{Context as _, bail};
use case_bundle::CaseManifest;
use case_bundle::manifest::CaseMedia;
use protocol::EventTime;
use protocol::evidence::EvidenceRole;

use crate::cases::stored;
use crate::debts::Debts;
use crate::programs::{Binaries, Process, command, wait_for};
use crate::stage::{BoxDisk, Setting, Stage};

/// Longest wait for anything.
const PATIENCE: Duration = Duration::from_mins(15);
/// A second less than what the centre holds against a clock.
const STEP_S: i64 = 3599;
/// How far a signed time may be off, microseconds.
const TOLERANCE_US: i64 = 1_000_000;
/// Events with the clock as it was, and after the step.
const EVENTS: usize = 3;

/// Steps the clock of two boxes, one to and one fro, and prints a table; whether
/// nothing is wrong.
pub(crate) fn play(binaries: &Binaries, keep: bool) -> anyhow::Result<bool> {
    println!(
        "| clock stepped by, s | events before, after | with clip and stills, sound | events lost | cases not sound | signed times not right |"
    );
    println!("|---|---|---|---|---|---|");
    let mut is_clean = true;
    for step in [STEP_S, -STEP_S] {
        is_clean &= step_by(binaries, step, keep)?;
    }
    Ok(is_clean)
}

fn step_by(binaries: &Binaries, step: i64, keep: bool) -> anyhow::Result<bool> {
    let dir = tempfile::tempdir()?;
    let (_camera, url) = start_camera(binaries, dir.path())?;
    let setting = Setting {
        name: format!("step of {step} s"),
        box_disk: BoxDisk::Shared,
        cameras: Some(camera(&url, RULE)),
        ..Setting::default()
    };
    let begun = now_us()?;
    let mut stage = Stage::set(setting, binaries)?;
    if !stage.has_clock {
        bail!("libfaketime is not installed; run `apt-get install faketime`");
    }
    stage.await_more(EVENTS)?;
    // In the middle of an event whose clip is still being taken.
    stage.step_clock(step)?;
    stage.await_more(2 * EVENTS)?;
    stage.end_agent()?;
    // One that accuses nobody sends what is left.
    stage.watch(&camera(&url, ""))?;
    stage.await_debts("all that the box owes", Debts::is_none)?;
    stage.ledger.refresh()?;
    let data = stage.data();
    let finding = stage.ledger.settle(&data, PATIENCE);
    let reality = Reality {
        begun,
        ended: now_us()?,
        step: step * 1_000_000,
    };
    let (mut counts, mut wrong) = (BTreeMap::<i64, usize>::new(), Vec::new());
    let cases: Vec<CaseManifest> = stage.ledger.cases.manifests().cloned().collect();
    for case in &cases {
        match reality.judge(case, &data) {
            Ok(offset) => *counts.entry(offset).or_default() += 1,
            Err(what) => wrong.push(format!("{}: {what:#}", case.event.id)),
        }
    }
    let count = |offset| counts.get(&offset).copied().unwrap_or(0);
    let (before, after) = (count(0), count(reality.step));
    println!(
        "| {step:+} | {before}, {after} | {} of {} | {} | {} | {} |",
        before + after,
        cases.len() + finding.bundles.len(),
        finding.lost.len(),
        finding.bundles.len(),
        wrong.len()
    );
    for what in finding.bundles.iter().chain(&wrong) {
        eprintln!("step of {step} s: {what}");
    }
    let is_clean = finding.is_clean() && wrong.is_empty() && before > 0 && after > 0;
    if keep && !is_clean {
        eprintln!("kept in {}", stage.keep().display());
    }
    Ok(is_clean)
}

/// When it really was, microseconds since 1970.
struct Reality {
    begun: i64,
    ended: i64,
    step: i64,
}

impl Reality {
    /// By how much the case's clock is off, once all it says is right by it.
    fn judge(&self, case: &CaseManifest, data: &Path) -> anyhow::Result<i64> {
        let is_real = |time: EventTime, offset: i64| {
            let real = time.as_micros() - offset;
            (self.begun - TOLERANCE_US..=self.ended + TOLERANCE_US).contains(&real)
        };
        let event = &case.event;
        let offset = [0, self.step]
            .into_iter()
            .find(|offset| is_real(event.onset, *offset))
            .with_context(|| format!("its onset {} is by neither clock", event.onset))?;
        let of = |role: EvidenceRole| -> Vec<&CaseMedia> {
            case.media.iter().filter(|item| item.role == role).collect()
        };
        let (clips, clean, drawn) = (
            of(EvidenceRole::Clip),
            of(EvidenceRole::StillClean),
            of(EvidenceRole::StillAnnotated),
        );
        if clips.len() != 1 || clean.is_empty() || drawn.is_empty() {
            bail!(
                "it has {} clips, {} clean and {} annotated stills; missing: {:?}",
                clips.len(),
                clean.len(),
                drawn.len(),
                case.missing
            );
        }
        for item in &case.media {
            for time in [Some(item.captured), item.until].into_iter().flatten() {
                if !is_real(time, offset) {
                    bail!(
                        "{} is of {time}, by another clock than its event",
                        item.name
                    );
                }
            }
        }
        let clip = clips[0];
        let until = clip.until.context("its clip has no end")?;
        let span = until.as_micros() - clip.captured.as_micros();
        let shown = length_us(&stored(data, &clip.sha256))?;
        if (span - shown).abs() > TOLERANCE_US {
            bail!("its clip is of {span} µs by what is signed, and shows {shown} µs");
        }
        let (onset, decided) = (event.onset.as_micros(), event.decided.time.as_micros());
        if clip.captured.as_micros() > onset + TOLERANCE_US
            || until.as_micros() < decided - TOLERANCE_US
        {
            bail!(
                "its clip is from {} to {until}, and it from {} to {} ({:?})",
                clip.captured,
                event.onset,
                event.decided.time,
                clip.note
            );
        }
        Ok(offset)
    }
}

/// How long a clip is by its own pictures.
fn length_us(clip: &Path) -> anyhow::Result<i64> {
    let output = Command::new("ffprobe")
        .args(["-v", "error", "-select_streams", "v:0"])
        .args(["-show_entries", "packet=pts_time", "-of", "csv=p=0"])
        .arg(clip)
        .output()
        .context("ffprobe cannot be run; run `apt-get install ffmpeg`")?;
    let text = String::from_utf8_lossy(&output.stdout);
    let times: Vec<f64> = text
        .lines()
        .filter_map(|line| line.trim_end_matches(',').parse().ok())
        .collect();
    let first = times.iter().copied().fold(f64::INFINITY, f64::min);
    let last = times.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    if times.len() < 2 {
        bail!(
            "ffprobe finds {} pictures in {}",
            times.len(),
            clip.display()
        );
    }
    let shown = Duration::try_from_secs_f64(last - first)?;
    Ok(i64::try_from(shown.as_micros())?)
}

fn now_us() -> anyhow::Result<i64> {
    let now = SystemTime::now().duration_since(UNIX_EPOCH)?;
    Ok(i64::try_from(now.as_micros())?)
}

const RULE: &str = r#"
[[camera.rule]]
id = "people-on-road"
kind = "pedestrian_on_carriageway"
zone = "road"
"#;

/// The box's configuration of a camera that sees people.
fn camera(url: &str, rules: &str) -> String {
    format!(
        r#"
[[camera]]
id = "campus"
source = {{ rtsp = "{url}" }}
analysed_fps = 5.0
[[camera.zone]]
id = "road"
points = [[0.02, 0.02], [0.98, 0.02], [0.98, 0.98], [0.02, 0.98]]
{rules}
"#
    )
}

/// A real camera that shows a clip over and over, and its address.
fn start_camera(binaries: &Binaries, dir: &Path) -> anyhow::Result<(Process, String)> {
    let program = binaries.agent.with_file_name("rtsp-camera");
    let clips = std::env::var_os("NGATU_CLIPS").map(PathBuf::from).context(
        "set NGATU_CLIPS, NGATU_MODELS and NGATU_ONNXRUNTIME; `make setup` says where they are",
    )?;
    let ready = dir.join("camera.json");
    let mut command = command(&program);
    command.args(["--listen", "127.0.0.1:0", "--mount"]);
    command.arg(format!("clip={}", clips.join("vtest.mp4").display()));
    command.arg("--ready-file").arg(&ready);
    let process = Process::start(&mut command, &dir.join("camera.log"))?;
    let url = wait_for("the camera", PATIENCE, || {
        let ready: serde_json::Value = serde_json::from_slice(&std::fs::read(&ready).ok()?).ok()?;
        Some(ready["mounts"]["clip"].as_str()?.to_owned())
    })?;
    Ok((process, url))
}
