//! What the motion gate saves, and whether it hides anything: each clip with and without it.
//!
//! What a pace saves (`analysed_fps`) stands in rows of its own, over a run that looks at every
//! picture. It is no merit of the gate, and no bar is kept by it: on traffic that never stops the
//! gate cannot rest, and fewer looks tell other events.

use std::path::{Path, PathBuf};

use crate::events::Comparison;
use crate::setting::{Model, Setting};
use crate::table::{Bar, Row, Spread};
use crate::whole::{Replayed, replay_config};

const LOOKS: &str = "analysed_fps = 10.0\n";
/// Looks a second at which gate and pace are measured together. The first is that of the example
/// configuration (`deploy/example/box.toml`); without `analysed_fps` each picture is looked at.
const PACES: [f64; 3] = [10.0, 5.0, 3.0];
/// Of the pictures that the gate lets through every n-th is looked at, where everybody is
/// followed between looks: as `deploy/example/box.toml` has it.
const LOOK_EVERY: u32 = 4;
/// Rules that see whatever moves or stays.
const RULES: &str = r#"
[[camera.zone]]
id = "all"
points = [[0.0, 0.0], [1.0, 0.0], [1.0, 1.0], [0.0, 1.0]]
[[camera.rule]]
id = "pedestrians"
kind = "pedestrian_on_carriageway"
zone = "all"
[[camera.rule]]
id = "loitering"
kind = "loitering"
zone = "all"
min_dwell_s = 6.0
[[camera.rule]]
id = "stopped"
kind = "stopped_vehicle"
zone = "all"
min_dwell_s = 6.0
[[camera.rule]]
id = "intrusion"
kind = "intrusion"
zone = "all"
"#;

/// Real clips beside the repository where they are there, the generated quiet one always.
fn clips(setting: &Setting) -> anyhow::Result<Vec<PathBuf>> {
    let beside = setting.root.join("../shared/data/clips");
    let mut clips: Vec<PathBuf> = std::fs::read_dir(beside)
        .into_iter()
        .flatten()
        .filter_map(|entry| Some(entry.ok()?.path()))
        .filter(|path| path.extension().is_some_and(|extension| extension == "mp4"))
        .collect();
    clips.sort();
    if setting.is_quick {
        clips.truncate(1);
    }
    clips.push(Setting::quiet_clip(&setting.root)?);
    Ok(clips)
}

pub(crate) fn steps(setting: &Setting) -> u64 {
    let nights = nightly(setting).map_or(1, |models| models.len() as u64);
    clips(setting).map_or(1, |clips| clips.len() as u64) + nights * u64::from(setting.rounds.min(3))
}

pub(crate) fn measure(setting: &Setting) -> anyhow::Result<Vec<Row>> {
    let config = setting.folder.path().join("gate.toml");
    std::fs::write(&config, replay_config(&setting.model, RULES))?;
    let following = setting.folder.path().join("following.toml");
    let detect = format!("detect = {{ look_every = {LOOK_EVERY} }}\n{RULES}");
    std::fs::write(&following, replay_config(&setting.model, &detect))?;
    let mut rows = Vec::new();
    for clip in clips(setting)? {
        rows.extend(of_clip(setting, &clip, &config, &following)?);
    }
    for model in nightly(setting)? {
        rows.push(night(setting, &model)?);
    }
    Ok(rows)
}

/// The gate alone at ten looks a second, which has the bar; then what it saves of every
/// picture, and gate and pace together.
fn of_clip(
    setting: &Setting,
    clip: &Path,
    config: &Path,
    following: &Path,
) -> anyhow::Result<Vec<Row>> {
    let name = clip.file_stem().unwrap_or_default().to_string_lossy();
    setting.progress.step(&format!("gate: {name}"));
    let run = |config: &Path, fps: Option<f64>, is_gated: bool| {
        let mut arguments = Vec::new();
        let fps = fps.map(|fps| fps.to_string());
        if let Some(fps) = &fps {
            arguments.extend(["--analysed-fps", fps.as_str()]);
        }
        if !is_gated {
            arguments.push("--no-gate");
        }
        Replayed::run(setting, clip, config, &arguments)
    };
    let [first, slower @ ..] = PACES;
    let gated = run(config, Some(first), true)?;
    let what = format!("{name}: the gate alone, {first} looks/s: inferences with / without");
    let unpaced = run(config, Some(first), false)?;
    let alone = compared(what, &gated, "with the gate", &unpaced);
    let mut rows = vec![alone.bar(Bar::AtMost(0.3))];

    let all = run(config, None, false)?;
    for (fps, what, whole) in [
        (Some(first), format!("{first} looks/s"), &unpaced),
        (None, "every picture".to_owned(), &all),
    ] {
        let what = format!(
            "{name}: gate and following, each {LOOK_EVERY}th of {what}: inferences with / without"
        );
        let followed = run(following, fps, true)?;
        let saved = whole.cpu_s / followed.cpu_s;
        let row = compared(what, &followed, "followed", whole).bar(Bar::AtMost(0.3));
        let note = format!("{}; CPU without / with {saved:.2}", row.note);
        rows.push(row.note(note));
    }
    let mut row = |what: String, fewer: &Replayed| {
        let what = format!("{name}: {what}: inferences over those of every picture");
        rows.push(compared(what, fewer, "so", &all));
    };
    row(
        "the gate alone, no pace".to_owned(),
        &run(config, None, true)?,
    );
    row(format!("gate and pace of {first} looks/s"), &gated);
    for pace in slower {
        let paced = run(config, Some(pace), true)?;
        row(format!("gate and pace of {pace} looks/s"), &paced);
    }
    Ok(rows)
}

/// Inferences of `fewer` over those of `all`, and which events differ.
fn compared(what: String, fewer: &Replayed, so: &str, all: &Replayed) -> Row {
    let events = Comparison::of(&fewer.events, &all.events);
    let share = fewer.looked_at as f64 / all.looked_at.max(1) as f64;
    Row::new("gate", what, share, "").note(format!(
        "{} of {}; {} events the same; only {so}: {}; only without: {}",
        fewer.looked_at,
        all.looked_at,
        events.same,
        Comparison::listed(&events.only_first),
        Comparison::listed(&events.only_second),
    ))
}

/// The model that everything is measured with, and the one that set-up installs.
fn nightly(setting: &Setting) -> anyhow::Result<Vec<Model>> {
    let mut models = vec![setting.model.clone(), Model::installed()?];
    models.dedup_by(|one, other| one.id == other.id);
    Ok(models)
}

/// CPU time beyond decoding of a road at night where nothing happens, as a share of a core. Of the
/// clip's first ten seconds nothing counts: start, loading, and the gate learning its camera.
fn night(setting: &Setting, model: &Model) -> anyhow::Result<Row> {
    let config = setting.folder.path().join("night.toml");
    std::fs::write(&config, replay_config(model, LOOKS))?;
    let clip = Setting::night_clip(&setting.root)?;
    let beginning = setting.beginning(&clip, 100)?;
    let source = [clip.to_string_lossy().into_owned()];
    let mut share = Spread::default();
    for round in 1..=setting.rounds.min(3) {
        setting
            .progress
            .step(&format!("gate, night: {}, round {round}", model.id));
        let decode = setting.decoding_alone(&source, 560)?.ms() / 1000.0;
        let whole = Replayed::run(setting, &clip, &config, &[])?.cpu_s
            - Replayed::run(setting, &beginning, &config, &[])?.cpu_s;
        // 500 pictures in 50 seconds.
        share.add(100.0 * (whole - 500.0 * decode) / 50.0);
    }
    Ok(Row::of(
        "gate",
        format!("idle night, 1080p10, {}: CPU beyond decoding", model.id),
        &share,
        "% of a core",
    )
    .bar(Bar::AtMost(2.0)))
}
