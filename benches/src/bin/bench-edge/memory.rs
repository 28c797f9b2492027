//! What a camera more costs in memory: the slope over 1, 2, 4 and 8 cameras.

use std::time::Duration;

use crate::agent::{Agent, Telling, Watching};
use crate::cameras::Cameras;
use crate::setting::Setting;
use crate::table::Row;
use crate::trend::Trend;

/// Cameras at once.
pub(crate) const CAMERAS: [usize; 4] = [1, 2, 4, 8];

pub(crate) fn measure(setting: &Setting) -> anyhow::Result<Vec<Row>> {
    let clip = Setting::calm_rate_clip(&setting.root)?;
    let rules = Telling::Seldom.rules();
    let watching = Watching {
        analysed_fps: Some(2.0),
        detect: "",
        rules: &rules,
    };
    let settle = Duration::from_secs(if setting.is_quick { 6 } else { 20 });
    let (mut rss, mut pss) = (Vec::new(), Vec::new());
    let mut threads = Vec::new();
    for cameras in CAMERAS {
        setting.progress.step(&format!("memory: {cameras} cameras"));
        let farm = Cameras::start(setting, &clip, cameras)?;
        let agent = Agent::start(setting, &farm.urls, watching, None)?;
        std::thread::sleep(settle);
        let held = agent.program.memory()?;
        agent.program.stop()?;
        farm.program.stop()?;
        rss.push((cameras as f64, held.rss_mib));
        pss.push((cameras as f64, held.pss_mib));
        threads.push(held.threads);
    }
    let (resident, proportional) = (Trend::through(&rss), Trend::through(&pss));
    let figures: Vec<String> = rss.iter().map(|(_, mib)| format!("{mib:.0}")).collect();
    Ok(vec![
        Row::new(
            "memory",
            "a 1080p camera more (PSS)",
            proportional.slope,
            "MiB",
        )
        .note(format!(
            "± {:.1}; {:.0} MiB without cameras",
            proportional.slope_within, proportional.at_zero
        )),
        Row::new("memory", "a 1080p camera more (RSS)", resident.slope, "MiB").note(format!(
            "RSS with {CAMERAS:?} cameras: {} MiB; threads {threads:?}",
            figures.join(", ")
        )),
    ])
}
