//! From measurements to three lines of configuration, with the reason.
//!
//! A box has cores for decoders and one detector for all cameras. So a setting
//! is good that looks at many pictures a second without taking more processor
//! time for each than it must: a second thread that shortens a look by a tenth
//! and doubles its cost takes the core from the next camera's decoder.

use std::fmt;
use std::path::{Path, PathBuf};

use protocol::id::ModelId;
use serde::Serialize;

use super::bench::{Figures, Line};

/// How much more processor time than the cheapest setting a faster one may take.
const DEARER: f64 = 1.25;
/// How much faster than one thread of the processor anything else must be:
/// measurements of a busy box scatter by a tenth, and another provider or a
/// second thread brings memory, start-up time and drivers of its own.
const WORTH_IT: f64 = 1.2;
/// A look that takes so much longer than half of them, once in twenty, is not the model's
/// doing: something else had the box.
const UNCALM: f64 = 1.5;
/// Looks per second and camera at which rules work well.
const LOOKS_PER_CAMERA: f64 = 5.0;
/// Where engines are kept unless configured otherwise: below the state folder of the systemd unit.
const ENGINES: &str = "/var/lib/ngatu/engines";
/// Share of the time that the detector may be busy: pictures come in bunches.
const BUSY: f64 = 0.7;

/// What to write into the configuration, and why.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub(super) struct Advice {
    model: ModelId,
    provider: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    device: Option<String>,
    /// Where what it compiles is to be kept, where that takes long.
    #[serde(skip_serializing_if = "Option::is_none")]
    engine_cache: Option<PathBuf>,
    threads: usize,
    /// Cameras that it can look at five times a second.
    cameras: u32,
    reason: String,
}

impl fmt::Display for Advice {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { model, reason, .. } = self;
        write!(
            f,
            "Recommended: {reason}\n\n[detector]\nmodel = \"{model}\""
        )?;
        match self.provider.as_str() {
            "cpu" => write!(f, "\nprovider = \"cpu\"")?,
            // A box whose device fails watches on, slower.
            provider => write!(f, "\nprovider = [\"{provider}\", \"cpu\"]")?,
        }
        if let Some(device) = &self.device {
            write!(f, "\ndevice = \"{device}\"")?;
        }
        if let Some(cache) = &self.engine_cache {
            write!(f, "\nengine_cache = \"{}\"", cache.display())?;
        }
        write!(f, "\nthreads = {}", self.threads)
    }
}

impl Advice {
    /// With the configured folder of engines, or the usual one, where a first start takes minutes.
    pub(super) fn with_engines_in(self, configured: Option<&Path>) -> Self {
        let cache = configured.unwrap_or(Path::new(ENGINES));
        Self {
            engine_cache: (self.provider == "tensorrt").then(|| cache.to_owned()),
            ..self
        }
    }
}

/// The best setting of the best detector of road users that serves a camera at all.
pub(super) fn recommend(lines: &[Line], cores: usize) -> Option<Advice> {
    let detectors = lines.iter().filter(|line| line.sees_road_users);
    let mut ranks: Vec<(u32, &ModelId)> = detectors.map(|line| (line.rank, &line.model)).collect();
    ranks.sort_unstable();
    ranks.dedup();
    let mut advices = ranks
        .into_iter()
        .filter_map(|(_, model)| of_model(lines, model, cores));
    let first = advices.next()?;
    if first.cameras >= 1 {
        return Some(first);
    }
    // The preferred model is too slow for this box: the first that is not.
    advices.find(|advice| advice.cameras >= 1).or(Some(first))
}

fn of_model(lines: &[Line], model: &ModelId, cores: usize) -> Option<Advice> {
    let measured: Vec<(&Line, &Figures)> = lines
        .iter()
        // A batch shares a box's time otherwise; it is for `[inference]`, and to be chosen by hand.
        .filter(|line| line.model == *model && line.batch == 1)
        .filter_map(|line| Some((line, line.figures.as_ref()?)))
        .collect();
    let cheapest = measured
        .iter()
        .map(|(_, f)| f.cpu_ms)
        .min_by(f64::total_cmp)?;
    let mut possible: Vec<_> = measured
        .iter()
        .filter(|(_, figures)| figures.cpu_ms <= cheapest * DEARER)
        .collect();
    // The plainest first; one that is less plain must be clearly faster than all before it,
    // or a measurement that happened to come out well decides.
    possible.sort_by_key(|(line, _)| (line.provider != "cpu", line.threads));
    let (line, figures) = possible.into_iter().reduce(|best, next| {
        let is_faster = next.1.per_second > best.1.per_second * WORTH_IT;
        if is_faster { next } else { best }
    })?;
    let possible = figures.per_second * BUSY / LOOKS_PER_CAMERA;
    #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)] // small and positive
    let cameras = possible.floor() as u32;
    let fastest = measured
        .iter()
        .max_by(|(_, a), (_, b)| a.per_second.total_cmp(&b.per_second))?;
    let is_clear = fastest.1.per_second > figures.per_second * WORTH_IT;
    let against = if is_clear {
        format!(
            "{} with {} thread(s) is {:.2} times as fast but takes {:.1} times the processor time",
            fastest.0.place(),
            fastest.0.threads,
            fastest.1.per_second / figures.per_second,
            fastest.1.cpu_ms / figures.cpu_ms
        )
    } else {
        "no other setting is clearly faster".to_owned()
    };
    let is_uncalm = |figures: &Figures| figures.p95_ms > UNCALM * figures.p50_ms;
    let doubt = if measured.iter().any(|(_, figures)| is_uncalm(figures)) {
        ". The box was busy with something else while this was measured (see p95): measure again"
    } else {
        ""
    };
    Some(Advice {
        model: model.clone(),
        provider: line.provider.clone(),
        device: line.device.clone(),
        engine_cache: None,
        threads: line.threads,
        cameras,
        reason: format!(
            "{model} on {} with {} thread(s): {:.0} pictures a second, {:.1} ms of processor time each of {cores} core(s), \
             enough for {cameras} camera(s) at {LOOKS_PER_CAMERA:.0} looks a second with reserve; {against}{doubt}",
            line.place(),
            line.threads,
            figures.per_second,
            figures.cpu_ms
        ),
    })
}

#[cfg(test)]
mod tests {
    use models::Task;

    use super::*;

    #[allow(clippy::too_many_arguments)] // a row of a table
    fn line(
        model: &str,
        rank: u32,
        provider: &str,
        threads: usize,
        per_second: f64,
        cpu_ms: f64,
    ) -> Line {
        let figures = serde_json::json!({
            "load_ms": 100.0, "p50_ms": 1e3 / per_second, "p95_ms": 1e3 / per_second,
            "p99_ms": 1e3 / per_second, "per_second": per_second, "cpu_ms": cpu_ms,
            "memory_mib": 50.0, "placement": "", "looks": 100,
        });
        Line {
            model: model.parse().unwrap(),
            provider: provider.to_owned(),
            device: None,
            threads,
            batch: 1,
            rank,
            task: Task::Detection,
            sees_road_users: true,
            figures: Some(serde_json::from_value(figures).unwrap()),
            speed_up: None,
            failure: None,
        }
    }

    /// Alone in the configuration, an accelerator that fails leaves the box blind.
    #[test]
    fn what_is_recommended_ends_with_the_processor_and_names_its_device() {
        let said = |line: Line, cache| {
            let advice = recommend(&[line], 4).unwrap();
            advice.with_engines_in(cache).to_string()
        };
        let cpu = said(line("a", 1, "cpu", 2, 30.0, 33.0), None);
        assert!(cpu.ends_with("\nprovider = \"cpu\"\nthreads = 2"), "{cpu}");
        let graphics = Line {
            device: Some("GPU".to_owned()),
            ..line("a", 1, "openvino", 1, 200.0, 2.0)
        };
        let graphics = said(graphics, Some(Path::new("/engines")));
        let expected = "\nprovider = [\"openvino\", \"cpu\"]\ndevice = \"GPU\"\nthreads = 1";
        assert!(graphics.ends_with(expected), "{graphics}");
        assert!(
            graphics.contains("a on openvino GPU with 1 thread(s)"),
            "{graphics}"
        );
        let tensorrt = || line("a", 1, "tensorrt", 1, 200.0, 2.0);
        for (cache, folder) in [(None, ENGINES), (Some(Path::new("/engines")), "/engines")] {
            let said = said(tensorrt(), cache);
            let expected =
                format!("\nprovider = [\"tensorrt\", \"cpu\"]\nengine_cache = \"{folder}\"\n");
            assert!(said.contains(&expected), "{said}");
        }
    }

    #[test]
    fn a_busy_box_is_called_one() {
        let mut busy = line("a", 1, "cpu", 1, 30.0, 33.0);
        let said = |line: &Line| recommend(std::slice::from_ref(line), 4).unwrap().reason;
        assert!(!said(&busy).contains("measure again"));
        busy.figures.as_mut().unwrap().p95_ms = 60.0;
        assert!(said(&busy).contains("measure again"), "{}", said(&busy));
    }

    #[test]
    fn the_fastest_setting_that_does_not_waste_is_recommended() {
        let best = |lines: &[Line]| {
            recommend(lines, 4).map(|a| (a.model.to_string(), a.provider, a.threads, a.cameras))
        };
        let of = |model: &str, provider: &str, threads, cameras| {
            Some((model.to_owned(), provider.to_owned(), threads, cameras))
        };
        assert_eq!(best(&[]), None);
        // Two threads: a tenth faster for nearly twice the cost.
        let cpu = [
            line("a", 1, "cpu", 1, 30.0, 33.0),
            line("a", 1, "cpu", 2, 33.0, 60.0),
        ];
        assert_eq!(best(&cpu), of("a", "cpu", 1, 4));
        // A hair faster, and as cheap: not worth another library.
        let with_openvino = [cpu[0].clone(), line("a", 1, "openvino", 1, 34.0, 32.0)];
        assert_eq!(best(&with_openvino), of("a", "cpu", 1, 4));
        // What is left to chance among those decides nothing: two measurements of the same.
        for (first, second) in [(40.0, 41.0), (41.0, 40.0)] {
            let lines = [
                line("a", 1, "openvino", 1, first, 30.0),
                line("a", 1, "cpu", 2, second, 30.0),
                line("a", 1, "cpu", 1, 30.0, 30.0),
            ];
            assert_eq!(best(&lines), of("a", "cpu", 2, 5));
        }
        // An accelerator costs the processor next to nothing.
        let with_gpu = [
            cpu[0].clone(),
            cpu[1].clone(),
            line("a", 1, "cuda", 1, 200.0, 2.0),
        ];
        assert_eq!(best(&with_gpu), of("a", "cuda", 1, 28));
        // The preferred model cannot serve a single camera.
        let slow = [
            line("a", 1, "cpu", 1, 4.0, 250.0),
            line("b", 2, "cpu", 1, 40.0, 25.0),
        ];
        assert_eq!(best(&slow), of("b", "cpu", 1, 5));
        let all_slow = [line("a", 1, "cpu", 1, 4.0, 250.0)];
        assert_eq!(best(&all_slow), of("a", "cpu", 1, 0));
        // What is fast and comes first, but sees faces or helmets, is no detector of a box.
        let helmets = Line {
            sees_road_users: false,
            ..line("helmets", 0, "cpu", 1, 400.0, 2.5)
        };
        assert_eq!(best(std::slice::from_ref(&helmets)), None);
        assert_eq!(best(&[helmets, cpu[0].clone()]), of("a", "cpu", 1, 4));
    }
}
