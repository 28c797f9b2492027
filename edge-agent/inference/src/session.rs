//! A network in the runtime, on the first provider that really computes it.

use std::ops::RangeInclusive;
use std::path::PathBuf;
use std::sync::atomic::{AtomicU64, Ordering};

use ort::session::Session;
use ort::session::builder::GraphOptimizationLevel;

use crate::engines::Engines;
use crate::graph;
use crate::provider::{Placement, Provider, ProviderChoice, ProviderOptions};
use crate::runtime::{Runtime, log};
use crate::store::FailedGround;

/// How far an accelerator's numbers may be from the processor's, unless it is said otherwise, as a
/// share of what numbers of one kind differ by.
///
/// Measured with a detector and with the two networks of the plate reader, the channel that is
/// furthest off: in half precision 0.05; with the filters of one layer in another's place 0.6 and
/// more, at least 0.85 for the worse of two pictures. `bfloat16` comes to 0.5.
pub const TOLERANCE: f64 = 0.25;
/// What may be asked for instead. What says the same whatever it is shown is off by 1.
pub const TOLERANCES: RangeInclusive<f64> = 0.01..=0.8;

/// How a network is run.
#[derive(Clone, Debug, PartialEq)]
pub struct DetectorSettings {
    /// Threads that work on one picture; 0 counts as 1.
    pub threads: usize,
    /// What may compute.
    pub providers: ProviderChoice,
    /// What the provider is told.
    pub options: ProviderOptions,
    /// Most pictures that are computed at once; 0 counts as 1. A file that takes
    /// one at a time, or a provider that would compute other bits, is given fewer.
    pub batch: usize,
    /// Take an accelerator also where the runtime does not tell what it computes.
    pub allow_unproven: bool,
    /// How far an accelerator's numbers may be from the processor's, see [`TOLERANCE`]; more than
    /// that counts for models that bring a self-test only.
    pub tolerance: f64,
    /// Providers that are not tried, though they may compute, and why.
    pub left: Vec<Refusal>,
}

impl Default for DetectorSettings {
    fn default() -> Self {
        Self {
            threads: 1,
            providers: ProviderChoice::default(),
            options: ProviderOptions::default(),
            batch: 1,
            allow_unproven: false,
            tolerance: TOLERANCE,
            left: Vec::new(),
        }
    }
}

impl DetectorSettings {
    /// The same without what was left on this box.
    #[must_use]
    pub fn leaving(&self, left: &[FailedGround]) -> Self {
        Self {
            left: left.iter().filter_map(FailedGround::refusal).collect(),
            ..self.clone()
        }
    }

    /// The same where this provider is not tried either; none where no other is left to ask, or it is
    /// the processor, which is believed.
    #[must_use]
    pub fn passing_over(&self, provider: Provider, reason: &str) -> Option<Self> {
        let mut settings = self.clone();
        settings.left.push(Refusal {
            provider,
            reason: reason.to_owned(),
        });
        let is_left = |other: &Provider| settings.left.iter().any(|left| left.provider == *other);
        let has_other = !settings.providers.candidates().iter().all(is_left);
        (provider != Provider::Cpu && has_other).then_some(settings)
    }

    /// Which provider is tried after the one at this place of the list; what was left on this box is not.
    pub(crate) fn next_after(&self, place: usize) -> Option<Provider> {
        let is_tried =
            |provider: &Provider| self.left.iter().all(|left| left.provider != *provider);
        let candidates = self.providers.candidates().into_iter();
        candidates.skip(place + 1).find(is_tried)
    }
}

/// A provider that was asked for and does not do the work, and why.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refusal {
    /// Which.
    pub provider: Provider,
    /// Why, and what to do.
    pub reason: String,
}

impl std::fmt::Display for Refusal {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}: {}", self.provider, self.reason)
    }
}

/// A session that still writes down which provider computes what.
pub(crate) struct Profiled {
    pub(crate) session: Session,
    provider: Provider,
    /// How many of the network's nodes are sums of products; 0 where nobody counted.
    computing: u64,
}

/// Names profiles apart within the process.
static PROFILES: AtomicU64 = AtomicU64::new(0);

/// Loads a network onto `provider`; the message says what failed and what to do.
pub(crate) fn open(
    runtime: &Runtime,
    network: &[u8],
    provider: Provider,
    settings: &DetectorSettings,
) -> Result<Profiled, String> {
    if !provider.is_in_library() {
        return Err(format!(
            "ONNX Runtime {} at {} was built without it; {}",
            runtime.version(),
            runtime.path().display(),
            provider.obtain()
        ));
    }
    if let Some(fault) = settings.options.fault(provider) {
        return Err(fault);
    }
    let engines = Engines::of(&settings.options, provider, network);
    if let Some(engines) = &engines {
        engines.make()?;
    }
    let threads = settings.threads.max(1);
    let engines = engines.as_ref().map(Engines::path);
    #[cfg(test)]
    let pretended = pretended::network(provider, network, engines).transpose()?;
    #[cfg(test)]
    let (network, computes, engines) = match &pretended {
        Some(network) => (&network[..], Provider::Cpu, None),
        None => (network, provider, engines),
    };
    #[cfg(not(test))]
    let computes = provider;
    let built = || -> ort::Result<Session> {
        let mut builder = Session::builder(runtime.environment())?
            .with_optimization_level(GraphOptimizationLevel::All)?
            .with_intra_threads(threads)?
            .with_inter_threads(1)?
            // A waiting thread that spins takes the core from the next camera's decoder.
            .with_intra_op_spinning(false)?
            // Its own form may name files beside itself as well, and is not looked through.
            .with_config_entry("session.load_model_format", "ONNX")?
            .with_execution_providers([computes.dispatch(threads, &settings.options, engines)])?;
        // The processor needs no proof: the runtime has nothing to fall back to.
        if computes != Provider::Cpu {
            let number = PROFILES.fetch_add(1, Ordering::Relaxed);
            let name = format!("ngatu-profile-{}-{number}", std::process::id());
            builder = builder.with_profiling(std::env::temp_dir().join(name))?;
        }
        builder.commit_from_memory(network)
    };
    let fallen_back = fallen_back();
    let built = built().map(|session| Profiled {
        session,
        provider,
        computing: match computes {
            Provider::Cpu => 0,
            _ => graph::computing_nodes(network),
        },
    });
    if let Some(reason) = fallen_back.said() {
        // A profile that nobody ends stays behind as a file.
        drop(built.map(Profiled::end));
        return Err(reason);
    }
    built.map_err(|error| match provider {
        Provider::Cpu => one_line(error.message()),
        _ => format!(
            "does not start: {}; check its driver and libraries ({})",
            one_line(error.message()),
            provider.obtain()
        ),
    })
}

impl Profiled {
    /// To be called after some inferences: who computed the last of them. The first says
    /// little: a device finds its fastest way then. `None` where the runtime could not write
    /// its profile down.
    pub(crate) fn end(mut self) -> (Session, Option<Placement>) {
        #[cfg(test)]
        let is_known = self.provider == Provider::Cpu || pretended::is_one(self.provider);
        #[cfg(not(test))]
        let is_known = self.provider == Provider::Cpu;
        if is_known {
            return (self.session, Some(Placement::whole(self.provider)));
        }
        let placement = self.session.end_profiling().ok().and_then(|file| {
            let file = PathBuf::from(file);
            let text = std::fs::read_to_string(&file).ok();
            if let Err(error) = std::fs::remove_file(&file) {
                tracing::debug!(file = %file.display(), %error, "a profile stays behind");
            }
            Placement::of_profile(&text?)
        });
        let computing = self.computing;
        let placement = placement.map(|placement| placement.of_network_with(computing));
        (self.session, placement)
    }
}

/// Listens whether OpenVINO says that it computes on the processor what its device cannot.
/// The runtime's record does not tell: the provider is OpenVINO all the same.
pub(crate) fn fallen_back() -> FallenBack {
    FallenBack(log::times_fallen_back())
}

/// See [`fallen_back`].
pub(crate) struct FallenBack(u64);

impl FallenBack {
    /// Why it is no device's work, if that was said meanwhile.
    pub(crate) fn said(&self) -> Option<String> {
        (log::times_fallen_back() != self.0).then(|| {
            "it starts, but OpenVINO cannot compile the network for its device and computes it on the \
             processor; take another model, a newer driver, another `device`, or `provider = \"cpu\"`"
                .to_owned()
        })
    }
}

/// Why a provider that computed `placement` is not what was asked for. Without a
/// placement nothing is proved: the runtime falls back without a word, and that it
/// was quick or slow would be no proof either.
pub(crate) fn fallback(
    provider: Provider,
    placement: Option<&Placement>,
    allow_unproven: bool,
) -> Option<String> {
    let Some(placement) = placement else {
        let why = format!(
            "whether it computes could not be looked at: the runtime's profile could not be written to {} or read",
            std::env::temp_dir().display()
        );
        let next = "give the agent's account a folder for temporary files that it can write (`TMPDIR`) and start again";
        return unproven(provider, &why, next, allow_unproven);
    };
    (!placement.is_done_by(provider)).then(|| {
        format!(
            "it starts, but the runtime silently computes the network elsewhere ({placement}); \
             the network has operators that {provider} does not know, or its driver is too old: \
             take another model or `provider = \"cpu\"`"
        )
    })
}

/// Why a provider is not taken of which something is not proved.
pub(crate) fn unproven(
    provider: Provider,
    why: &str,
    next: &str,
    allow_unproven: bool,
) -> Option<String> {
    if allow_unproven {
        tracing::warn!(%provider, "{why}; it is taken all the same, by `allow_unproven_provider`");
        return None;
    }
    Some(format!(
        "it starts, but {why}; {next}, or take its word for it with `allow_unproven_provider = true` under [detector]"
    ))
}

/// The runtime's messages run over several lines, and some begin with the place in its own sources.
pub(crate) fn one_line(message: &str) -> String {
    let line = message.split_whitespace().collect::<Vec<_>>().join(" ");
    let said = without_place(&line).unwrap_or(&line);
    said.trim_end_matches('.').to_owned()
}

/// What follows `/onnxruntime_src/…/model.cc:256 onnxruntime::Model::Model(…)`.
fn without_place(line: &str) -> Option<&str> {
    let (place, rest) = line.split_once(' ')?;
    let (file, number) = place.rsplit_once(':')?;
    let is_source = [".cc", ".cpp", ".h"].iter().any(|end| file.ends_with(end));
    if !is_source || number.parse::<u32>().is_err() {
        return None;
    }
    let mut depth = 0_u32;
    for (at, sign) in rest.char_indices() {
        match sign {
            '(' => depth += 1,
            ')' => depth = depth.saturating_sub(1),
            _ => continue,
        }
        // Types, lambdas and `operator()` have pairs of their own, with no space behind them.
        if depth == 0
            && let Some(said) = rest[at + 1..].strip_prefix(' ')
        {
            return Some(said.strip_prefix("const ").unwrap_or(said));
        }
    }
    None
}

/// Providers that tests have in the place of hardware: the processor computes another network.
#[cfg(test)]
pub(crate) mod pretended {
    use std::cell::RefCell;
    use std::path::Path;

    use super::Provider;

    /// What a provider computes where it is asked for this network, with its engines there; or
    /// why it does not start.
    type Pretence = Box<dyn Fn(&[u8], Option<&Path>) -> Result<Vec<u8>, String>>;

    thread_local! {
        static THERE: RefCell<Vec<(Provider, Pretence)>> = const { RefCell::new(Vec::new()) };
    }

    /// From now on this thread has such a provider.
    pub(crate) fn have(
        provider: Provider,
        pretence: impl Fn(&[u8], Option<&Path>) -> Result<Vec<u8>, String> + 'static,
    ) {
        THERE.with_borrow_mut(|there| {
            there.retain(|(other, _)| *other != provider);
            there.push((provider, Box::new(pretence)));
        });
    }

    pub(crate) fn is_one(provider: Provider) -> bool {
        THERE.with_borrow(|there| there.iter().any(|(one, _)| *one == provider))
    }

    pub(super) fn network(
        provider: Provider,
        network: &[u8],
        engines: Option<&Path>,
    ) -> Option<Result<Vec<u8>, String>> {
        THERE.with_borrow(|there| {
            let (_, pretence) = there.iter().find(|(one, _)| *one == provider)?;
            Some(pretence(network, engines))
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_what_the_runtime_says_its_place_in_its_sources_is_left_out() {
        for (told, said) in [
            (
                "/onnxruntime_src/onnxruntime/core/graph/model.cc:256 onnxruntime::Model::Model(onnx::ModelProto&&, \
                 const onnxruntime::ModelOptions&) Unsupported model IR version: 99, max supported IR version: 13",
                "Unsupported model IR version: 99, max supported IR version: 13",
            ),
            (
                "/src/core/x.h:46 void a::check(const std::unordered_map<std::string, int>&, bool) const is too new.\n",
                "is too new",
            ),
            (
                "/src/x.cc:4 auto a::b(int)::<lambda()>::operator()() const nothing is there",
                "nothing is there",
            ),
            (
                "Fatal error:\n com.acme:Slice(-1) is no op",
                "Fatal error: com.acme:Slice(-1) is no op",
            ),
            (
                "/src/x.cc:4 without an end (",
                "/src/x.cc:4 without an end (",
            ),
            ("model.onnx: 7 is wrong", "model.onnx: 7 is wrong"),
        ] {
            assert_eq!(one_line(told), said);
        }
    }

    #[test]
    fn an_accelerator_is_believed_only_with_proof_unless_it_is_told_otherwise() {
        let node = |name: &str, micros: u32| {
            format!(
                "{{\"cat\":\"Node\",\"name\":\"n_kernel_time\",\"dur\":{micros},\"args\":{{\"provider\":\"{name}\"}}}}"
            )
        };
        let (cuda, cpu) = (Provider::Cuda.name(), Provider::Cpu.name());
        let all = Placement::of_profile(&format!("[{}]", node(cuda, 9)));
        let little = Placement::of_profile(&format!("[{},{}]", node(cuda, 1), node(cpu, 9)));
        let (unproven, elsewhere) = ("`allow_unproven_provider = true`", "silently computes");
        for (placement, allow_unproven, said) in [
            (&all, false, None),
            (&all, true, None),
            (&little, false, Some(elsewhere)),
            // To be believed without proof is not to be believed against it.
            (&little, true, Some(elsewhere)),
            (&None, false, Some(unproven)),
            (&None, true, None),
        ] {
            let found = fallback(Provider::Cuda, placement.as_ref(), allow_unproven);
            match (found, said) {
                (Some(reason), Some(words)) => assert!(reason.contains(words), "{reason}"),
                (found, said) => assert_eq!(found.as_deref(), said, "{placement:?}"),
            }
        }
    }

    #[test]
    fn the_rest_of_the_list_is_asked_where_an_accelerator_is_in_doubt_and_the_processor_is_not() {
        use Provider::{Cpu, Cuda, TensorRt};
        let listed = |providers: &[Provider]| DetectorSettings {
            providers: ProviderChoice::Listed(providers.to_vec()),
            ..DetectorSettings::default()
        };
        let left = |settings: Option<DetectorSettings>| -> Option<Vec<Provider>> {
            let left = settings?.left.into_iter();
            Some(left.map(|left| left.provider).collect())
        };
        let all = listed(&[TensorRt, Cuda, Cpu]);
        let first = all.passing_over(TensorRt, "off").unwrap();
        assert_eq!(left(Some(first.clone())), Some(vec![TensorRt]));
        let second = first.passing_over(Cuda, "off").unwrap();
        assert_eq!(left(second.passing_over(Cpu, "off")), None);
        assert_eq!(left(Some(second)), Some(vec![TensorRt, Cuda]));
        assert_eq!(left(listed(&[Cuda]).passing_over(Cuda, "off")), None);
        assert_eq!(left(listed(&[Cpu, Cuda]).passing_over(Cpu, "off")), None);
    }

    /// "cuda is tried next" was said where cuda had been left, and was passed over.
    #[test]
    fn what_is_tried_next_is_never_what_was_left_on_this_box() {
        use Provider::{Cpu, Cuda, TensorRt};
        let settings = |left: &[Provider]| DetectorSettings {
            providers: ProviderChoice::Listed(vec![TensorRt, Cuda, Cpu]),
            left: (left.iter())
                .map(|provider| Refusal {
                    provider: *provider,
                    reason: "it ended the program".to_owned(),
                })
                .collect(),
            ..DetectorSettings::default()
        };
        for (left, place, next) in [
            (&[][..], 0, Some(Cuda)),
            (&[Cuda], 0, Some(Cpu)),
            (&[TensorRt], 0, Some(Cuda)),
            (&[Cuda, Cpu], 0, None),
            (&[], 2, None),
        ] {
            assert_eq!(settings(left).next_after(place), next, "{left:?} {place}");
        }
    }
}
