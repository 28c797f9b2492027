//! The whole agent, live: its configuration, its counters, its CPU time.

use std::fmt::Write as _;
use std::process::Command;
use std::time::Duration;

use anyhow::Context as _;

use crate::centre::Centre;
use crate::process::{Program, free_port};
use crate::setting::{Model, Setting};

/// A running `edge-agent run`.
pub(crate) struct Agent {
    pub(crate) program: Program,
    metrics: String,
}

/// How cameras are watched.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Watching<'a> {
    /// Looks a second; all pictures when absent.
    pub(crate) analysed_fps: Option<f64>,
    /// Keys of `[camera.detect]`, as TOML; nothing: as it comes.
    pub(crate) detect: &'a str,
    /// Zones and rules of each camera, as TOML.
    pub(crate) rules: &'a str,
}

/// How often rules over the whole picture tell something on the clip of the bench.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Telling {
    /// Now and then, as on a road: cars pass seldom.
    Seldom,
    /// An event with two stills for nearly everybody who walks by.
    Often,
}

impl Telling {
    /// Zone and rules, as TOML: the usual work of a camera.
    pub(crate) fn rules(self) -> String {
        let last = match self {
            Self::Seldom => {
                "id = \"cars\"\nkind = \"intrusion\"\nclasses = [\"car\", \"truck\", \"bus\"]\n"
            }
            Self::Often => "id = \"people\"\nkind = \"pedestrian_on_carriageway\"\n",
        };
        format!("{EVERYWHERE}[[camera.rule]]\nzone = \"all\"\n{last}")
    }
}

const EVERYWHERE: &str = r#"
[[camera.zone]]
id = "all"
points = [[0.0, 0.0], [1.0, 0.0], [1.0, 1.0], [0.0, 1.0]]
[[camera.rule]]
id = "loitering"
kind = "loitering"
zone = "all"
min_dwell_s = 25.0
[[camera.rule]]
id = "standing"
kind = "stopped_vehicle"
zone = "all"
min_dwell_s = 25.0
"#;

/// What a box has done so far.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Counters {
    /// User and system time. s.
    pub(crate) cpu_s: f64,
    /// Pictures decoded.
    pub(crate) decoded: f64,
    /// Pictures that the detector looked at.
    pub(crate) inferred: f64,
    /// Pictures worth a look that got none: overtaken by newer ones, or nobody had time.
    pub(crate) dropped: f64,
    pub(crate) events: f64,
    pub(crate) reconnects: f64,
}

impl std::ops::Sub for Counters {
    type Output = Self;

    fn sub(self, other: Self) -> Self {
        Self {
            cpu_s: self.cpu_s - other.cpu_s,
            decoded: self.decoded - other.decoded,
            inferred: self.inferred - other.inferred,
            dropped: self.dropped - other.dropped,
            events: self.events - other.events,
            reconnects: self.reconnects - other.reconnects,
        }
    }
}

/// The head of every configuration: which model.
pub(crate) fn detector_keys(model: &Model) -> String {
    format!(
        "[detector]\nmodel = \"{}\"\nmodels_dirs = [\"{}\"]\n",
        model.id,
        model.folder.display()
    )
}

impl Agent {
    /// Watches all of `urls`; waits until each has been looked at.
    pub(crate) fn start(
        setting: &Setting,
        urls: &[String],
        watching: Watching<'_>,
        centre: Option<&Centre>,
    ) -> anyhow::Result<Self> {
        let folder = setting.folder.path();
        let store = tempfile::Builder::new()
            .prefix("store-")
            .tempdir_in(folder)?
            .keep();
        let port = free_port()?;
        let mut config = format!(
            "[box]\nsite = \"bench\"\nid = \"box\"\n[store]\ndir = \"{}\"\n\
             [metrics]\nlisten = \"127.0.0.1:{port}\"\n{}",
            store.display(),
            detector_keys(&setting.model)
        );
        if let Some(centre) = centre {
            // Nobody takes stills here: they are drawn, stored and announced all the same.
            write!(
                config,
                "[uplink]\nurl = \"{}\"\nevidence_url = \"http://127.0.0.1:9\"\n",
                centre.url()
            )?;
        }
        for (number, url) in urls.iter().enumerate() {
            let fps = watching
                .analysed_fps
                .map_or_else(String::new, |fps| format!("analysed_fps = {fps:?}\n"));
            write!(
                config,
                "[[camera]]\nid = \"c{number}\"\nsource = {{ rtsp = \"{url}\" }}\n{fps}\
                 detect = {{ {} }}\n{}",
                watching.detect, watching.rules
            )?;
        }
        let file = folder.join("live.toml");
        std::fs::write(&file, config)?;
        let mut command = Command::new(&setting.agent);
        command.current_dir(&setting.root);
        // As the unit has it.
        command.env("MALLOC_ARENA_MAX", "2");
        command.args(["--log", "warn", "run"]).arg(&file);
        let program = Program::start(command, folder.join("agent.log"))?;
        let mut agent = Self {
            program,
            metrics: format!("http://127.0.0.1:{port}/metrics"),
        };
        let (cameras, url) = (urls.len(), agent.metrics.clone());
        agent.program.until("a look at each camera", || {
            let text = fetch(&url).ok()?;
            let looked_at = values(&text, "edge_frames_analysed_total")
                .filter(|value| *value > 0.0)
                .count();
            (looked_at == cameras).then_some(())
        })?;
        Ok(agent)
    }

    /// What it has done so far.
    pub(crate) fn counters(&self) -> anyhow::Result<Counters> {
        let text = fetch(&self.metrics)?;
        let cpu_s = self.program.cpu_s()?;
        let sum = |name: &str| values(&text, name).sum::<f64>();
        Ok(Counters {
            cpu_s,
            decoded: sum("edge_frames_received_total"),
            inferred: sum("edge_inference_jobs_total"),
            dropped: sum("edge_inference_jobs_dropped_total")
                + lines(&text, "edge_frames_dropped_total")
                    // What `analysed_fps` leaves out is not missed.
                    .filter(|line| !line.contains("reason=\"rate\""))
                    .filter_map(value)
                    .sum::<f64>(),
            events: sum("edge_events_total"),
            reconnects: sum("edge_reconnects_total"),
        })
    }

    /// What it does within `time`.
    pub(crate) fn over(&self, time: Duration) -> anyhow::Result<Counters> {
        let before = self.counters()?;
        std::thread::sleep(time);
        Ok(self.counters()? - before)
    }
}

fn fetch(url: &str) -> anyhow::Result<String> {
    ureq::get(url)
        .call()
        .and_then(|mut answer| answer.body_mut().read_to_string())
        .with_context(|| format!("GET {url}"))
}

fn lines<'a>(text: &'a str, name: &'a str) -> impl Iterator<Item = &'a str> {
    text.lines().filter(move |line| line.starts_with(name))
}

/// The values of all samples of a metric.
fn values<'a>(text: &'a str, name: &'a str) -> impl Iterator<Item = f64> + 'a {
    lines(text, name).filter_map(value)
}

fn value(line: &str) -> Option<f64> {
    line.rsplit_once(' ')?.1.parse().ok()
}
