//! What computes: ONNX Runtime's execution providers, by name, asked and proved.
//!
//! A provider is three things that are easily taken for one: it is in the
//! library, it starts on this machine, and it really computes the network's
//! nodes. The runtime itself treats only the first two as errors, and those only
//! when asked to; a network that it cannot place on the accelerator it runs on
//! the processor without a word. So here a provider that is named must start
//! (`Provider::dispatch`), and [`Placement`] reads from the runtime's own
//! profile which provider computed which node.

mod onnx;
pub(crate) mod protobuf;

pub mod placement;

pub mod probe;

use std::collections::BTreeMap;
use std::fmt;
use std::path::{Path, PathBuf};
use std::str::FromStr;

use ort::ep::{self, ExecutionProvider as _, ExecutionProviderDispatch};

pub use placement::Placement;
pub use probe::{Probe, probe};

/// What OpenVINO computes on where no device is named.
const OPENVINO_DEVICE: &str = "CPU";
/// ROCm's own provider was taken out of ONNX Runtime after 1.22, and this program needs a later one.
const NO_ROCM: &str = "`rocm` is in no ONNX Runtime that this program can load (it ended with 1.22); AMD's graphics \
     processors compute by MIGraphX: write `migraphx`";

/// A way to compute, as written in configuration.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Provider {
    /// NVIDIA TensorRT: an engine made for one graphics processor; the first start takes minutes.
    TensorRt,
    /// NVIDIA CUDA.
    Cuda,
    /// AMD MIGraphX.
    MiGraphX,
    /// Qualcomm's neural processors.
    Qnn,
    /// Rockchip's neural processors.
    Rknpu,
    /// Intel's processors, graphics and neural processors.
    OpenVino,
    /// The processor. Always there.
    Cpu,
}

impl Provider {
    /// All, in the order in which `auto` tries them: what was made for one chip
    /// before what is general, the processor last.
    ///
    /// `auto` passes over OpenVINO on a processor: it was no faster than the
    /// runtime itself there, took four times as long to load, and 80 MiB more.
    pub const ALL: [Self; 7] = [
        Self::TensorRt,
        Self::Cuda,
        Self::MiGraphX,
        Self::Qnn,
        Self::Rknpu,
        Self::OpenVino,
        Self::Cpu,
    ];

    /// The word in configuration and on the command line.
    pub const fn word(self) -> &'static str {
        match self {
            Self::TensorRt => "tensorrt",
            Self::Cuda => "cuda",
            Self::MiGraphX => "migraphx",
            Self::Qnn => "qnn",
            Self::Rknpu => "rknpu",
            Self::OpenVino => "openvino",
            Self::Cpu => "cpu",
        }
    }

    /// ONNX Runtime's own name, which stands in its profile and its logs.
    pub const fn name(self) -> &'static str {
        match self {
            Self::TensorRt => ep::TensorRT::NAME,
            Self::Cuda => ep::CUDA::NAME,
            Self::MiGraphX => ep::MIGraphX::NAME,
            Self::Qnn => ep::QNN::NAME,
            Self::Rknpu => ep::RKNPU::NAME,
            Self::OpenVino => ep::OpenVINO::NAME,
            Self::Cpu => ep::CPU::NAME,
        }
    }

    /// Whether the loaded library was built with it. That says nothing of drivers.
    pub(crate) fn is_in_library(self) -> bool {
        #[cfg(test)]
        if crate::session::pretended::is_one(self) {
            return true;
        }
        match self {
            Self::TensorRt => ep::TensorRT::is_available(),
            Self::Cuda => ep::CUDA::is_available(),
            Self::MiGraphX => ep::MIGraphX::is_available(),
            Self::Qnn => ep::QNN::is_available(),
            Self::Rknpu => ep::RKNPU::is_available(),
            Self::OpenVino => ep::OpenVINO::is_available(),
            Self::Cpu => Ok(true),
        }
        .unwrap_or(false)
    }

    /// Whether a device of it can be chosen.
    pub const fn has_devices(self) -> bool {
        !matches!(self, Self::Rknpu | Self::Cpu)
    }

    /// What to install where the library does not have it.
    pub const fn obtain(self) -> &'static str {
        match self {
            Self::TensorRt | Self::Cuda => {
                "install the GPU build of ONNX Runtime (PyPI onnxruntime-gpu), NVIDIA's driver, CUDA and cuDNN (for tensorrt also TensorRT), and name its folder with `onnxruntime` under [detector]"
            }
            Self::MiGraphX => {
                "install AMD's build of ONNX Runtime (onnxruntime-migraphx) with AMD's driver and libraries (ROCm), and name its folder with `onnxruntime` under [detector]"
            }
            Self::Qnn => {
                "install the QNN build of ONNX Runtime (PyPI onnxruntime-qnn), and name its folder with `onnxruntime` under [detector]"
            }
            Self::Rknpu => {
                "ONNX Runtime must be built with --use_rknpu for the board; name its folder with `onnxruntime` under [detector]"
            }
            Self::OpenVino => {
                "install Intel's build of ONNX Runtime (PyPI onnxruntime-openvino), and name its folder with `onnxruntime` under [detector]"
            }
            Self::Cpu => "every build has it",
        }
    }

    /// Whether what it compiles can be kept on the disk (`engine_cache`).
    pub(crate) const fn keeps_engines(self) -> bool {
        matches!(self, Self::TensorRt | Self::OpenVino)
    }

    /// For a session that keeps its engines there; a provider that does not start is an error
    /// and no log line.
    pub(crate) fn dispatch(
        self,
        threads: usize,
        options: &ProviderOptions,
        engines: Option<&Path>,
    ) -> ExecutionProviderDispatch {
        let number = options.device_number(self);
        match self {
            Self::TensorRt => {
                let mut ep = ep::TensorRT::default().with_device_id(number);
                if let Some(engines) = engines {
                    let engines = engines.display().to_string();
                    ep = ep
                        .with_engine_cache(true)
                        .with_engine_cache_path(&engines)
                        .with_timing_cache(true)
                        .with_timing_cache_path(engines);
                }
                ep.build()
            }
            Self::Cuda => cuda(options).build(),
            Self::MiGraphX => ep::MIGraphX::default().with_device_id(number).build(),
            Self::Qnn => match options.devices.of(self) {
                // The backend is a library of Qualcomm's: HTP is the neural processor.
                Some(device) => ep::QNN::default().with_backend_path(device),
                None => ep::QNN::default().with_backend_path("libQnnHtp.so"),
            }
            .build(),
            Self::Rknpu => ep::RKNPU::default().build(),
            Self::OpenVino => {
                let device = options.devices.of(self).unwrap_or(OPENVINO_DEVICE);
                let mut ep = ep::OpenVINO::default().with_device_type(device);
                if device == "CPU" {
                    ep = ep.with_num_threads(threads);
                }
                if let Some(engines) = engines {
                    ep = ep.with_cache_dir(engines.display());
                }
                ep.build()
            }
            Self::Cpu => ep::CPU::default().with_arena_allocator(true).build(),
        }
        .error_on_failure()
    }
}

impl fmt::Display for Provider {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.word())
    }
}

impl FromStr for Provider {
    type Err = String;

    fn from_str(word: &str) -> Result<Self, String> {
        if word == "rocm" {
            return Err(NO_ROCM.to_owned());
        }
        Self::ALL
            .into_iter()
            .find(|provider| provider.word() == word)
            .ok_or_else(|| {
                let words: Vec<_> = Self::ALL.iter().map(|p| p.word()).collect();
                format!(
                    "`{word}` is no provider; there are auto, {}",
                    words.join(", ")
                )
            })
    }
}

/// Which providers may compute, first wish first.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum ProviderChoice {
    /// The first that the library has and that really computes; the processor if none.
    #[default]
    Auto,
    /// These and no others, in this order. The processor counts only if named.
    Listed(Vec<Provider>),
}

impl ProviderChoice {
    /// What is to be tried, in order.
    pub(crate) fn candidates(&self) -> Vec<Provider> {
        match self {
            Self::Auto => Provider::ALL
                .into_iter()
                .filter(|p| *p != Provider::OpenVino && p.is_in_library())
                .collect(),
            Self::Listed(providers) => providers.clone(),
        }
    }
}

/// Which device computes: a number for graphics processors (`1`), OpenVINO's word (`CPU`, `GPU`,
/// `GPU.1`, `NPU`), QNN's backend library.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Devices {
    /// The first of each provider.
    #[default]
    First,
    /// This, of whatever provider.
    One(String),
    /// These, each of its provider; of any other the first.
    Each(BTreeMap<Provider, String>),
}

impl Devices {
    /// The one that is named for `provider`, if it has any to choose from.
    pub fn of(&self, provider: Provider) -> Option<&str> {
        let named = match self {
            Self::First => None,
            Self::One(device) => Some(device),
            Self::Each(devices) => devices.get(&provider),
        };
        named.filter(|_| provider.has_devices()).map(String::as_str)
    }
}

/// What a provider is told besides the network.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ProviderOptions {
    /// On which device each computes.
    pub devices: Devices,
    /// Folder in which engines made for this device are kept, those of each network in
    /// one of their own, so that only the first start takes minutes (TensorRT, OpenVINO).
    pub engine_cache: Option<PathBuf>,
    /// Whether the network's input is of another size from look to look.
    pub many_sizes: bool,
}

impl ProviderOptions {
    fn device_number(&self, provider: Provider) -> i32 {
        self.devices
            .of(provider)
            .and_then(|device| device.parse().ok())
            .unwrap_or(0)
    }

    /// The device's word, where it leaves to OpenVINO what computes and the processor may be it:
    /// then nobody, not even the runtime's record, can say who did.
    pub(crate) fn undecided(&self, provider: Provider) -> Option<&str> {
        let device = self.devices.of(provider)?;
        let (kind, listed) = device.split_once(':').unwrap_or((device, ""));
        let is_composite = ["AUTO", "HETERO", "MULTI"].contains(&kind);
        let may_be_processor = listed.is_empty() || listed.split(',').any(|one| one == "CPU");
        (provider == Provider::OpenVino && is_composite && may_be_processor).then_some(device)
    }

    /// What is wrong with the device for `provider`, if anything.
    pub fn fault(&self, provider: Provider) -> Option<String> {
        let device = self.devices.of(provider)?;
        match provider {
            Provider::TensorRt | Provider::Cuda | Provider::MiGraphX => {
                match device.parse::<u16>() {
                    Ok(_) => None,
                    Err(_) => Some(format!(
                        "device `{device}` is no number; {provider} counts its devices from 0"
                    )),
                }
            }
            Provider::OpenVino => {
                let is_word = device.split([':', ',']).all(|part| {
                    let kind = part.split('.').next().unwrap_or_default();
                    ["CPU", "GPU", "NPU", "AUTO", "HETERO", "MULTI"].contains(&kind)
                });
                (!is_word).then(|| {
                    format!(
                        "device `{device}` is not one of OpenVINO's; write CPU, GPU, GPU.1, NPU or HETERO:NPU,GPU"
                    )
                })
            }
            Provider::Qnn | Provider::Rknpu | Provider::Cpu => None,
        }
    }
}

fn cuda(options: &ProviderOptions) -> ep::CUDA {
    let ep = ep::CUDA::default().with_device_id(options.device_number(Provider::Cuda));
    if !options.many_sizes {
        return ep;
    }
    // By default it measures every way to compute each convolution anew with each new size,
    // and takes twice the memory each time that it needs more.
    ep.with_conv_algorithm_search(ep::cuda::ConvAlgorithmSearch::Heuristic)
        .with_arena_extend_strategy(ep::ArenaExtendStrategy::SameAsRequested)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// No such device is here: what the provider would be told.
    #[test]
    fn with_many_sizes_cuda_does_not_measure_each_anew() {
        let told = |many_sizes| {
            let options = ProviderOptions {
                devices: Devices::One("1".to_owned()),
                many_sizes,
                ..ProviderOptions::default()
            };
            format!("{:?}", cuda(&options))
        };
        let of_one = told(false);
        assert!(of_one.contains("device_id") && !of_one.contains("HEURISTIC"));
        let of_many = told(true);
        let words = ["device_id", "HEURISTIC", "kSameAsRequested"];
        assert!(words.iter().all(|word| of_many.contains(word)), "{of_many}");
    }

    #[test]
    fn every_provider_has_a_word_of_its_own_that_leads_back_to_it() {
        for provider in Provider::ALL {
            assert_eq!(provider.word().parse(), Ok(provider));
            assert!(provider.name().ends_with("ExecutionProvider"), "{provider}");
        }
        let message = "gpu".parse::<Provider>().unwrap_err();
        assert!(message.contains("auto, tensorrt, cuda"), "{message}");
    }

    #[test]
    fn who_writes_rocm_is_sent_to_what_there_is_for_the_same_hardware() {
        let message = "rocm".parse::<Provider>().unwrap_err();
        assert!(message.contains("write `migraphx`"), "{message}");
    }

    /// One device for a list of two kinds was refused for one of them, so such a list had none.
    #[test]
    fn each_provider_of_a_list_has_its_own_device() {
        let each = [(Provider::Cuda, "1"), (Provider::OpenVino, "GPU.1")];
        let each = each.map(|(provider, device)| (provider, device.to_owned()));
        let options = ProviderOptions {
            devices: Devices::Each(each.into()),
            ..ProviderOptions::default()
        };
        let told = |provider| options.devices.of(provider);
        assert_eq!(told(Provider::Cuda), Some("1"));
        assert_eq!(told(Provider::OpenVino), Some("GPU.1"));
        assert_eq!(
            (told(Provider::TensorRt), told(Provider::Cpu)),
            (None, None)
        );
        assert_eq!(options.device_number(Provider::Cuda), 1);
        assert_eq!(options.device_number(Provider::TensorRt), 0);
        assert!(
            Provider::ALL
                .iter()
                .all(|provider| options.fault(*provider).is_none())
        );
        // The processor has none, whatever is said of all.
        let one = Devices::One("GPU.1".to_owned());
        assert_eq!(
            (one.of(Provider::OpenVino), one.of(Provider::Cpu)),
            (Some("GPU.1"), None)
        );
    }

    #[test]
    fn a_device_that_leaves_it_to_openvino_who_computes_proves_nothing() {
        for (provider, device, is_undecided) in [
            (Provider::OpenVino, "CPU", false),
            (Provider::OpenVino, "NPU", false),
            (Provider::OpenVino, "AUTO", true),
            (Provider::OpenVino, "AUTO:GPU", false),
            (Provider::OpenVino, "HETERO:NPU,CPU", true),
            (Provider::OpenVino, "HETERO:NPU,GPU", false),
            // What another provider makes of the word is its affair.
            (Provider::Qnn, "AUTO", false),
        ] {
            let options = ProviderOptions {
                devices: Devices::One(device.to_owned()),
                ..ProviderOptions::default()
            };
            let found = options.undecided(provider).is_some();
            assert_eq!(found, is_undecided, "{provider} {device}");
        }
        assert_eq!(
            ProviderOptions::default().undecided(Provider::OpenVino),
            None
        );
    }

    #[test]
    fn a_device_that_the_provider_cannot_have_is_a_fault() {
        for (provider, device, is_fault) in [
            (Provider::Cuda, "1", false),
            (Provider::Cuda, "GPU", true),
            (Provider::TensorRt, "-1", true),
            (Provider::OpenVino, "GPU.1", false),
            (Provider::OpenVino, "HETERO:NPU,GPU", false),
            (Provider::OpenVino, "gpu", true),
            (Provider::OpenVino, "1", true),
            (Provider::Qnn, "libQnnGpu.so", false),
        ] {
            let options = ProviderOptions {
                devices: Devices::One(device.to_owned()),
                ..ProviderOptions::default()
            };
            assert_eq!(
                options.fault(provider).is_some(),
                is_fault,
                "{provider} {device}"
            );
        }
    }
}
