//! `models bench`: what each installed model costs on each provider of this box.
//!
//! Every case runs in a process of its own: memory is then the case's own, and a
//! provider that brings its process down is a line in the table.

mod place;

use std::io::Read as _;
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context as _, bail};
use case_bundle::files::said;
use case_bundle::{aside, say};
use clap::Args;
use edge_inference::{
    DetectorSettings, Devices, Installed, Look, ModelStore, Network, Provider, ProviderChoice,
    ProviderOptions, Runtime, probe, sees_road_users,
};
use indicatif::{ProgressBar, ProgressStyle};
use models::{ColourMatrix, ColourRange, I420View, Manifest, Task};
use protocol::id::ModelId;
use serde::{Deserialize, Serialize};

use super::recommend::{self, Advice};
use super::{listing, store};
use crate::config::{DetectorConfig, THREADS};
use crate::live::StopFlag;

use place::Place;

/// Shown below `--help`.
pub(crate) const HELP: &str = "\
Each case looks at a picture of 1280×720 over and over, as the agent does: letterbox, network, decoding of its
answer; the first looks do not count. A model that brings a self-test passes it first, or is not measured: quick and wrong is no figure. Models for second looks (classifiers, text) are measured as well; only a detector of road users is recommended. Times are of one look, in a batch of several of all of them; \"per s\" and cpu are per picture; cpu is processor time, which is what other cameras' decoders lack. Measure
on an idle box: a busy one shows in p95 and p99.

  edge-agent models bench --config box.toml
  edge-agent models bench --model yolox-nano --threads 1,2,4 --json
  edge-agent models bench --model my-model --threads 1 --batch 1,2,4,8

Exit codes: 0 measured, 1 nothing could be measured, or not what was named, 2 faulty command line, 130 broken off (Ctrl-C, SIGTERM).";

/// Looks before the clock starts: caches, arenas, lazy set-up.
const WARM_UP: usize = 5;
const LEAST_LOOKS: usize = 20;
const MOST_LOOKS: usize = 2000;
const PICTURE: (u32, u32) = (1280, 720);

/// Refuses what cannot be measured.
fn check(args: &BenchArgs) -> anyhow::Result<()> {
    if !(args.seconds > 0.0 && args.seconds <= 3600.0) {
        bail!("--seconds is more than 0 and at most 3600");
    }
    if args.batch.iter().any(|size| !(1..=32).contains(size)) {
        bail!("--batch is 1 to 32 pictures");
    }
    Ok(())
}

/// The installed models; of some that are `named`, those.
fn installed(store: &ModelStore, named: &[ModelId]) -> anyhow::Result<Vec<Manifest>> {
    let models: Vec<Manifest> = store
        .list()
        .into_iter()
        .filter(|model| matches!(model.state, Installed::Installed(_)))
        .filter(|model| named.is_empty() || named.contains(&model.manifest.id))
        .map(|model| model.manifest)
        .collect();
    let is_here = |id: &&ModelId| models.iter().any(|model| model.id == **id);
    if let Some(absent) = named.iter().find(|id| !is_here(id)) {
        bail!("{absent} is not installed, or is damaged; see `edge-agent models list`");
    }
    if models.is_empty() {
        bail!("no model is installed; see `edge-agent models list`");
    }
    Ok(models)
}

/// `models bench`
#[derive(Debug, Args)]
pub struct BenchArgs {
    /// Only these models.
    #[arg(long, value_name = "MODEL")]
    model: Vec<ModelId>,
    /// Only these providers, also such as the library was built without.
    #[arg(long, value_name = "PROVIDER")]
    provider: Vec<Provider>,
    /// Threads to try; left out, 1, 2 and one per core.
    #[arg(long, value_delimiter = ',', value_name = "N,N", value_parser = thread_count)]
    threads: Vec<usize>,
    /// Batches to try; more than 1 is for `[inference] batch`.
    #[arg(long, value_delimiter = ',', default_value = "1", value_name = "N,N")]
    batch: Vec<usize>,
    /// How long each case is measured. s.
    #[arg(long, default_value_t = 3.0, value_name = "S")]
    seconds: f64,
    /// Longest wait for a case; an engine for TensorRT takes minutes. s.
    #[arg(long, default_value_t = 900, value_name = "S")]
    timeout: u64,
    /// As JSON, for programs.
    #[arg(long)]
    json: bool,
    /// One case, in this very process.
    #[arg(long, hide = true)]
    case: Option<String>,
}

/// What a process is to measure.
#[derive(Clone, Debug, Serialize, Deserialize)]
struct Case {
    model: Option<ModelId>,
    provider: String,
    threads: usize,
    batch: usize,
    seconds: f64,
    onnxruntime: PathBuf,
    device: Option<String>,
    engine_cache: Option<PathBuf>,
    /// How far an accelerator's numbers may be off.
    tolerance: f64,
}

/// What it measured.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct Figures {
    /// Loading the file and making it ready. ms.
    pub(super) load_ms: f64,
    /// Half of the looks took at most so long. ms.
    pub(super) p50_ms: f64,
    pub(super) p95_ms: f64,
    pub(super) p99_ms: f64,
    /// Pictures per second, one batch after the other.
    pub(super) per_second: f64,
    /// Processor time of a picture. ms.
    pub(super) cpu_ms: f64,
    /// Memory that model and runtime took. MiB.
    pub(super) memory_mib: f64,
    /// Who computed what.
    pub(super) placement: String,
    looks: usize,
}

/// A line of the table.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub(super) struct Line {
    pub(super) model: ModelId,
    pub(super) provider: String,
    /// Which of the provider's devices, where it has several kinds.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) device: Option<String>,
    pub(super) threads: usize,
    /// Pictures computed at once.
    pub(super) batch: usize,
    /// Place in the order of preference.
    pub(super) rank: u32,
    /// What the model does.
    pub(super) task: Task,
    /// Whether a box can watch with it.
    pub(super) sees_road_users: bool,
    #[serde(flatten)]
    pub(super) figures: Option<Figures>,
    /// Median of the processor with one thread over this one's: above 1 is faster.
    pub(super) speed_up: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) failure: Option<String>,
}

impl Line {
    /// What computed, as people say it: `openvino GPU`.
    pub(super) fn place(&self) -> String {
        match &self.device {
            Some(device) => format!("{} {device}", self.provider),
            None => self.provider.clone(),
        }
    }
}

/// `models bench`
pub(super) fn bench(
    config: &DetectorConfig,
    args: &BenchArgs,
    stop: &StopFlag,
) -> anyhow::Result<()> {
    if let Some(case) = &args.case {
        let case: Case = serde_json::from_str(case).context("--case")?;
        return measure_here(config, &case);
    }
    check(args)?;
    let runtime = Runtime::load(config.onnxruntime.as_deref())?;
    let settings = config.settings();
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    let threads = thread_counts(&args.threads, cores);
    let providers = if args.provider.is_empty() {
        runtime.providers()
    } else {
        args.provider.clone()
    };
    let store = store(config)?;
    let models = installed(&store, &args.model)?;
    let case = |model: Option<&ModelId>, place: &Place, threads, batch| Case {
        model: model.cloned(),
        provider: place.provider.word().to_owned(),
        threads,
        batch,
        seconds: args.seconds,
        onnxruntime: runtime.path().to_owned(),
        device: place.device.clone(),
        engine_cache: settings.options.engine_cache.clone(),
        tolerance: settings.tolerance,
    };
    let patience = Duration::from_secs(args.timeout);
    let folders: Vec<PathBuf> = store.folders().to_vec();
    let mut sound = Vec::new();
    let places = providers
        .iter()
        .flat_map(|provider| Place::of(*provider, settings.options.devices.of(*provider)));
    for place in places {
        let tried =
            in_process_of_its_own::<String>(&case(None, &place, 1, 1), &folders, (patience, stop));
        go_on(stop)?;
        match tried {
            Ok(proof) => {
                aside!("{place}: {proof}");
                sound.push(place);
            }
            Err(reason) => aside!("{place}: cannot be used. {reason}"),
        }
    }
    let with_sizes = |count| args.batch.iter().map(move |size| (count, *size));
    let mut cases = Vec::new();
    for model in &models {
        for place in &sound {
            let counts = place.threads_of(&threads);
            let tried = counts.iter().flat_map(|count| with_sizes(*count));
            cases.extend(tried.map(|tried| (model, place, tried)));
        }
    }
    let bar = ProgressBar::new(cases.len() as u64);
    bar.set_style(ProgressStyle::with_template("{bar:40} {pos}/{len} {msg}")?);
    let mut lines = Vec::new();
    for (model, place, (count, batch)) in cases {
        bar.set_message(format!("{} on {place}, {count} thread(s)", model.id));
        let measured = in_process_of_its_own::<Figures>(
            &case(Some(&model.id), place, count, batch),
            &folders,
            (patience, stop),
        );
        go_on(stop)?;
        let (figures, failure) = match measured {
            Ok(figures) => (Some(figures), None),
            Err(reason) => (None, Some(reason)),
        };
        lines.push(Line {
            model: model.id.clone(),
            provider: place.provider.word().to_owned(),
            device: place.device.clone(),
            threads: count,
            batch,
            rank: model.rank,
            task: model.task,
            sees_road_users: sees_road_users(model),
            figures,
            speed_up: None,
            failure,
        });
        bar.inc(1);
    }
    bar.finish_and_clear();
    compare_with_processor(&mut lines);
    let cache = settings.options.engine_cache.as_deref();
    let advice = recommend::recommend(&lines, cores).map(|advice| advice.with_engines_in(cache));
    print(
        &lines,
        (&runtime.version(), cores),
        advice.as_ref(),
        args.json,
    )?;
    // Who named it wants to know: a table without it is no answer.
    let is_sound = |named: &&Provider| sound.iter().any(|place| place.provider == **named);
    let named = args.provider.iter().find(|named| !is_sound(named));
    if let Some(named) = named {
        bail!("{named} was asked for and cannot be used; the reason is above");
    }
    Ok(())
}

fn thread_count(text: &str) -> Result<usize, String> {
    let (least, most) = (THREADS.start(), THREADS.end());
    text.parse()
        .ok()
        .filter(|count| THREADS.contains(count))
        .ok_or_else(|| format!("threads are from {least} to {most}"))
}

/// The threads to try.
fn thread_counts(asked: &[usize], cores: usize) -> Vec<usize> {
    let mut counts = asked.to_vec();
    if counts.is_empty() {
        counts = vec![1, 2, cores];
        counts.retain(|count| *count <= cores);
    }
    counts.sort_unstable();
    counts.dedup();
    counts
}

fn print(
    lines: &[Line],
    (onnxruntime, cores): (&str, usize),
    advice: Option<&Advice>,
    json: bool,
) -> anyhow::Result<()> {
    let is_any = lines.iter().any(|line| line.figures.is_some());
    if json {
        let whole = serde_json::json!({
            "onnxruntime": onnxruntime, "cores": cores, "cases": lines, "recommendation": advice,
        });
        said::json(&serde_json::to_string_pretty(&whole)?);
    } else {
        say!("{}", as_table(lines));
        match advice {
            Some(advice) => say!("{advice}"),
            None if is_any => {
                say!("no detector of road users was measured, so none is recommended");
            }
            None => say!("nothing can be recommended: no case could be measured"),
        }
    }
    if !is_any {
        bail!("no model runs here; the reasons are above");
    }
    Ok(())
}

fn compare_with_processor(lines: &mut [Line]) {
    let base: Vec<(ModelId, f64)> = lines
        .iter()
        .filter(|line| line.provider == "cpu" && line.threads == 1 && line.batch == 1)
        .filter_map(|line| Some((line.model.clone(), line.figures.as_ref()?.p50_ms)))
        .collect();
    for line in lines {
        let of = base.iter().find(|(model, _)| *model == line.model);
        let figures = line.figures.as_ref();
        line.speed_up = of
            .zip(figures)
            .map(|((_, base), figures)| base * line.batch as f64 / figures.p50_ms);
    }
}

fn as_table(lines: &[Line]) -> comfy_table::Table {
    let mut table = listing::table(vec![
        "model",
        "provider",
        "threads",
        "batch",
        "p50 ms/batch",
        "p95",
        "p99",
        "per s",
        "cpu ms",
        "speed-up",
        "load ms",
        "MiB",
    ]);
    for line in lines {
        let mut row = vec![
            line.model.to_string(),
            line.place(),
            line.threads.to_string(),
            line.batch.to_string(),
        ];
        match (&line.figures, &line.failure) {
            (Some(figures), _) => {
                row.extend(
                    [
                        figures.p50_ms,
                        figures.p95_ms,
                        figures.p99_ms,
                        figures.per_second,
                        figures.cpu_ms,
                    ]
                    .map(|value| format!("{value:.1}")),
                );
                row.push(
                    line.speed_up
                        .map_or("-".to_owned(), |ratio| format!("{ratio:.2}×")),
                );
                row.push(format!("{:.0}", figures.load_ms));
                row.push(format!("{:.0}", figures.memory_mib));
            }
            (None, reason) => row.push(reason.clone().unwrap_or_default()),
        }
        table.add_row(row);
    }
    table
}

/// Runs this program again for one case; what it says on its last line.
fn in_process_of_its_own<T: serde::de::DeserializeOwned>(
    case: &Case,
    folders: &[PathBuf],
    (patience, stop): (Duration, &StopFlag),
) -> Result<T, String> {
    let text = |error: &dyn std::fmt::Display| error.to_string();
    let program = std::env::current_exe().map_err(|e| text(&e))?;
    let mut command = Command::new(program);
    command.args(["--log", "error", "models"]);
    for folder in folders {
        command.arg("--models-dir").arg(folder);
    }
    let case = serde_json::to_string(case).map_err(|e| text(&e))?;
    let mut child = command
        .args(["bench", "--case", &case])
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .map_err(|e| text(&e))?;
    let began = Instant::now();
    // What it says fits into the pipe's buffer, so it never waits for us.
    let status = loop {
        match child.try_wait().map_err(|e| text(&e))? {
            Some(status) => break status,
            None if began.elapsed() > patience || stop.is_set() => {
                drop(child.kill());
                drop(child.wait());
                return Err(format!("no answer within {} s", patience.as_secs()));
            }
            None => std::thread::sleep(Duration::from_millis(20)),
        }
    };
    let mut said = String::new();
    if let Some(mut out) = child.stdout.take() {
        out.read_to_string(&mut said).map_err(|e| text(&e))?;
    }
    let last = said.lines().last().unwrap_or_default();
    match serde_json::from_str::<Result<T, String>>(last) {
        Ok(result) => result,
        Err(_) => Err(format!(
            "the process ended without an answer ({status}); this provider is not safe to use here"
        )),
    }
}

fn go_on(stop: &StopFlag) -> anyhow::Result<()> {
    if stop.is_set() {
        bail!("broken off");
    }
    Ok(())
}

/// Measures one case and says the outcome as one line.
fn measure_here(config: &DetectorConfig, case: &Case) -> anyhow::Result<()> {
    let line = match &case.model {
        Some(model) => serde_json::to_string(
            &measure(config, case, model).map_err(|e| said::whole(e.chain())),
        )?,
        None => serde_json::to_string(&try_provider(case).map_err(|e| said::whole(e.chain())))?,
    };
    said::json(&line);
    Ok(())
}

fn try_provider(case: &Case) -> anyhow::Result<String> {
    let runtime = Runtime::load(Some(&case.onnxruntime))?;
    let provider: Provider = case.provider.parse().map_err(anyhow::Error::msg)?;
    let proof = probe(&runtime, provider, &settings(case, provider))
        .outcome
        .map_err(anyhow::Error::msg)?;
    let placement = proof.placement.map_or_else(
        || "the runtime does not say where".to_owned(),
        |placement| placement.to_string(),
    );
    Ok(format!(
        "sound: a convolution differs from the processor's by {:.4} % ({placement}), start {} ms",
        100.0 * proof.difference,
        proof.start.as_millis()
    ))
}

fn settings(case: &Case, provider: Provider) -> DetectorSettings {
    DetectorSettings {
        threads: case.threads,
        providers: ProviderChoice::Listed(vec![provider]),
        options: ProviderOptions {
            devices: case.device.clone().map_or(Devices::First, Devices::One),
            engine_cache: case.engine_cache.clone(),
            ..ProviderOptions::default()
        },
        batch: case.batch,
        tolerance: case.tolerance,
        ..DetectorSettings::default()
    }
}

fn measure(config: &DetectorConfig, case: &Case, model: &ModelId) -> anyhow::Result<Figures> {
    let runtime = Runtime::load(Some(&case.onnxruntime))?;
    let provider: Provider = case.provider.parse().map_err(anyhow::Error::msg)?;
    let settings = settings(case, provider);
    let store = store(config)?;
    let (manifest, file) = store.find(model)?;
    let plane = noise(PICTURE.0 as usize * PICTURE.1 as usize);
    let picture = view(&plane);
    let before = memory_kib("VmRSS")?;
    let began = Instant::now();
    let mut network = Network::load(&runtime, manifest, &file, &settings)?;
    let load = began.elapsed();
    if let Some(candidate) = store.candidate_of(model) {
        super::self_test(&mut network, &file, &candidate)?;
    }
    if let Some(reason) = network.batch_limit() {
        bail!("no batch of {}: {reason}", case.batch);
    }
    let looks = vec![Look::whole(&picture); case.batch];
    let losses = network.losses();
    let mut look = || -> anyhow::Result<()> {
        for answer in network.answer_batch(&looks) {
            answer?;
        }
        Ok(())
    };
    for _ in 0..WARM_UP {
        look()?;
    }
    let mut times = Vec::new();
    let (began, cpu_began) = (Instant::now(), cpu_time()?);
    while times.len() < LEAST_LOOKS
        || (began.elapsed().as_secs_f64() < case.seconds && times.len() < MOST_LOOKS)
    {
        let began = Instant::now();
        look()?;
        times.push(began.elapsed().as_secs_f64() * 1e3);
    }
    let (wall, cpu) = (began.elapsed(), cpu_time()?.saturating_sub(cpu_began));
    if network.computes_on() != provider || network.losses() != losses {
        bail!("{provider} was lost while it was measured");
    }
    times.sort_by(f64::total_cmp);
    let at = |share: f64| {
        #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)] // within the list
        let index = ((times.len() - 1) as f64 * share).round() as usize;
        times[index]
    };
    let looks = times.len();
    let pictures = (looks * case.batch) as f64;
    Ok(Figures {
        load_ms: load.as_secs_f64() * 1e3,
        p50_ms: at(0.5),
        p95_ms: at(0.95),
        p99_ms: at(0.99),
        per_second: pictures / wall.as_secs_f64(),
        cpu_ms: cpu.as_secs_f64() * 1e3 / pictures,
        memory_mib: memory_kib("VmHWM")?.saturating_sub(before) as f64 / 1024.0,
        placement: network
            .placement()
            .map_or_else(String::new, ToString::to_string),
        looks,
    })
}

/// The same noise every time: nothing in it is skipped or folded.
fn noise(length: usize) -> Vec<u8> {
    let mut state = 0x2545_f491_u32;
    (0..length)
        .map(|_| {
            // xorshift32 (Marsaglia 2003)
            state ^= state << 13;
            state ^= state >> 17;
            state ^= state << 5;
            state.to_le_bytes()[1]
        })
        .collect()
}

fn view(plane: &[u8]) -> I420View<'_> {
    let (width, height) = PICTURE;
    let half = width as usize / 2;
    I420View {
        width,
        height,
        y: plane,
        y_stride: width as usize,
        u: plane,
        u_stride: half,
        v: plane,
        v_stride: half,
        matrix: ColourMatrix::Bt709,
        range: ColourRange::Limited,
    }
}

/// Processor time of this process, all threads.
fn cpu_time() -> anyhow::Result<Duration> {
    use nix::sys::resource::{UsageWho, getrusage};
    let usage = getrusage(UsageWho::RUSAGE_SELF)?;
    let part = |time: nix::sys::time::TimeVal| {
        let micros = time.tv_sec() * 1_000_000 + time.tv_usec();
        Duration::from_micros(u64::try_from(micros).unwrap_or(0))
    };
    Ok(part(usage.user_time()) + part(usage.system_time()))
}

/// A line of /proc/self/status.
fn memory_kib(key: &str) -> anyhow::Result<u64> {
    let status = std::fs::read_to_string("/proc/self/status")?;
    status
        .lines()
        .find_map(|line| line.strip_prefix(key)?.strip_prefix(':'))
        .and_then(|rest| rest.trim().trim_end_matches(" kB").parse().ok())
        .with_context(|| format!("/proc/self/status has no {key}"))
}
