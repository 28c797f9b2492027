//! What the motion gate saves, and whether it hides anything: each clip with and without it.

use std::path::PathBuf;

use crate::events::Comparison;
use crate::setting::Setting;
use crate::table::{Bar, Row, Spread};
use crate::whole::{Replayed, replay_config};

const LOOKS: &str = "analysed_fps = 10.0\n";
/// Rules that see whatever moves or stays.
const RULES: &str = r#"
analysed_fps = 10.0
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
    clips(setting).map_or(1, |clips| clips.len() as u64) + u64::from(setting.rounds.min(3))
}

pub(crate) fn measure(setting: &Setting) -> anyhow::Result<Vec<Row>> {
    let config = setting.folder.path().join("gate.toml");
    std::fs::write(&config, replay_config(setting, RULES))?;
    let mut rows = Vec::new();
    for clip in clips(setting)? {
        let name = clip.file_stem().unwrap_or_default().to_string_lossy();
        setting.progress.step(&format!("gate: {name}"));
        let gated = Replayed::run(setting, &clip, &config, &[])?;
        let all = Replayed::run(setting, &clip, &config, &["--no-gate"])?;
        let compared = Comparison::of(&gated.events, &all.events);
        let share = gated.looked_at as f64 / all.looked_at.max(1) as f64;
        rows.push(
            Row::new(
                "gate",
                format!("{name}: inferences with / without"),
                share,
                "",
            )
            .bar(Bar::AtMost(0.3))
            .note(format!(
                "{} of {}; {} events the same; only with the gate: {}; only without: {}",
                gated.looked_at,
                all.looked_at,
                compared.same,
                Comparison::listed(&compared.only_first),
                Comparison::listed(&compared.only_second),
            )),
        );
    }
    rows.push(night(setting)?);
    Ok(rows)
}

/// CPU time beyond decoding of a road at night where nothing happens, as a share of a core. Of the
/// clip's first ten seconds nothing counts: start, loading, and the gate learning its camera.
fn night(setting: &Setting) -> anyhow::Result<Row> {
    let config = setting.folder.path().join("night.toml");
    std::fs::write(&config, replay_config(setting, LOOKS))?;
    let clip = Setting::night_clip(&setting.root)?;
    let beginning = setting.beginning(&clip, 100)?;
    let source = [clip.to_string_lossy().into_owned()];
    let mut share = Spread::default();
    for round in 1..=setting.rounds.min(3) {
        setting
            .progress
            .step(&format!("gate, night: round {round}"));
        let decode = setting.decoding_alone(&source, 560)?.ms() / 1000.0;
        let whole = Replayed::run(setting, &clip, &config, &[])?.cpu_s
            - Replayed::run(setting, &beginning, &config, &[])?.cpu_s;
        // 500 pictures in 50 seconds.
        share.add(100.0 * (whole - 500.0 * decode) / 50.0);
    }
    Ok(Row::of(
        "gate",
        "idle night, 1080p10: CPU beyond decoding",
        &share,
        "% of a core",
    )
    .bar(Bar::AtMost(2.0)))
}
