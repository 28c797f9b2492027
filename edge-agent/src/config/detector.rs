//! `[detector]`: which model looks, on what it computes, and who may supply models.

use std::collections::BTreeMap;
use std::ops::RangeInclusive;
use std::path::{Path, PathBuf};
use std::time::Duration;

use edge_inference::{
    DetectorSettings, Devices, HEALTHY_AFTER, Provider, ProviderChoice, ProviderOptions, TOLERANCE,
    TOLERANCES,
};
use plate_reader::ReaderSettings;
use protocol::id::ModelId;
use serde::Deserialize;

use super::ConfigFault;

/// Where keys of trusted makers of models lie, unless configured otherwise.
const TRUSTED_KEYS: &str = "/etc/ngatu/model-keys";

/// Threads of one inference. Beyond, no processor that a box has gains anything.
pub const THREADS: RangeInclusive<usize> = 1..=64;

/// `[detector]`
#[derive(Clone, Debug, Default, Deserialize)]
pub struct DetectorConfig {
    /// A model of `edge-agent models list`; left out, what `models use` chose, else the best one installed.
    pub model: Option<ModelId>,
    /// Threads of one inference. One per core is rarely faster than one.
    pub threads: Option<usize>,
    /// The ONNX Runtime library, where it is not in one of the usual places.
    pub onnxruntime: Option<PathBuf>,
    /// Folders of installed models, instead of the usual ones.
    #[serde(default)]
    pub models_dirs: Vec<PathBuf>,
    /// What computes: `auto`, one of `edge-agent models bench`, or several in order.
    #[serde(default)]
    pub provider: ProviderWords,
    /// Which device of the provider: `1` (CUDA), `GPU.0`, `NPU` (OpenVINO); or of each its own.
    pub device: Option<DeviceWords>,
    /// Take an accelerator also where ONNX Runtime's own record of what it computes cannot
    /// be had. It may then compute on the processor without a word.
    #[serde(default)]
    pub allow_unproven_provider: bool,
    /// How far an accelerator's numbers may be from the processor's, as a share of what numbers of
    /// one kind differ by. More than the usual 0.25 counts for models that bring a self-test.
    pub provider_tolerance: Option<f64>,
    /// Folder in which TensorRT's and OpenVINO's compiled engines are kept, by network.
    pub engine_cache: Option<PathBuf>,
    /// Keys, or folders of keys, of those whose bundles are taken.
    pub trusted_keys: Option<Vec<PathBuf>>,
    /// Use only models that one of these keys has signed, and those of the catalogue.
    #[serde(default)]
    pub only_signed: bool,
    /// How long a new model must work before it is trusted. Minutes.
    pub trial_min: Option<f64>,
    /// A second model that looks at some of the same pictures, for comparison only.
    pub shadow: Option<ShadowConfig>,
    /// Which models read number plates.
    #[serde(default)]
    pub plates: PlatesConfig,
    /// Pictures that are computed at once, as `[inference]` says; 0 counts as 1.
    #[serde(skip)]
    pub batch: usize,
}

/// `[detector.shadow]`
#[derive(Clone, Debug, Deserialize)]
pub struct ShadowConfig {
    /// A model of `edge-agent models list`, or `MODEL@VERSION`.
    pub model: String,
    /// It looks at every so many'th of the detector's pictures.
    #[serde(default = "default_every")]
    pub every: u32,
}

/// `[detector.plates]`
#[derive(Clone, Debug, Default, Deserialize)]
pub struct PlatesConfig {
    /// Finds writing in the picture of a vehicle.
    pub find: Option<ModelId>,
    /// Reads a line of it.
    pub read: Option<ModelId>,
}

impl PlatesConfig {
    /// The reader's settings with these models.
    pub fn settings(&self) -> ReaderSettings {
        let usual = ReaderSettings::default();
        ReaderSettings {
            places: self.find.clone().unwrap_or(usual.places),
            lines: self.read.clone().unwrap_or(usual.lines),
            ..usual
        }
    }
}

fn default_every() -> u32 {
    10
}

/// `provider = "auto"`, `"cpu"` or `["openvino", "cpu"]`.
#[derive(Clone, Debug, Deserialize)]
#[serde(
    untagged,
    expecting = "provider is \"auto\", a provider's name, or a list of names in order"
)]
pub enum ProviderWords {
    /// One word.
    One(String),
    /// Several, in order.
    Several(Vec<String>),
}

impl Default for ProviderWords {
    fn default() -> Self {
        Self::One("auto".to_owned())
    }
}

impl ProviderWords {
    fn choice(&self) -> Result<ProviderChoice, String> {
        let words = match self {
            Self::One(word) if word == "auto" => return Ok(ProviderChoice::Auto),
            Self::One(word) => std::slice::from_ref(word),
            Self::Several(words) => words,
        };
        let providers: Vec<Provider> = words
            .iter()
            .map(|word| word.parse())
            .collect::<Result<_, _>>()?;
        if providers.is_empty() {
            return Err("the list is empty; name a provider, or write \"auto\"".to_owned());
        }
        Ok(ProviderChoice::Listed(providers))
    }
}

/// `device = "GPU"`, or `device = { openvino = "GPU", cuda = "1" }`.
#[derive(Clone, Debug, Deserialize)]
#[serde(
    untagged,
    expecting = "device is a device's name in quotes, or a table of them by provider: { openvino = \"GPU\", cuda = \"1\" }"
)]
pub enum DeviceWords {
    /// Of whatever provider.
    One(String),
    /// By provider.
    Each(BTreeMap<String, String>),
}

impl DeviceWords {
    /// Words that are no provider are left out.
    fn devices(&self) -> Devices {
        match self {
            Self::One(device) => Devices::One(device.clone()),
            Self::Each(words) => {
                let each = words.iter();
                let each =
                    each.filter_map(|(word, device)| Some((word.parse().ok()?, device.clone())));
                Devices::Each(each.collect())
            }
        }
    }

    /// What is wrong with it, where `choice` may compute; and under which key.
    fn faults(&self, choice: &ProviderChoice) -> Vec<(String, String)> {
        let options = ProviderOptions {
            devices: self.devices(),
            ..ProviderOptions::default()
        };
        let words = match self {
            Self::Each(words) => words,
            Self::One(_) => {
                let faults = match choice {
                    ProviderChoice::Listed(listed) => {
                        let faults = listed.iter().filter_map(|p| options.fault(*p));
                        let more = if listed.len() > 1 {
                            "; for a list of several kinds name each one's: device = { openvino = \"GPU\", cuda = \"1\" }"
                        } else {
                            ""
                        };
                        faults.map(|fault| fault + more).collect()
                    }
                    ProviderChoice::Auto => {
                        vec!["a device belongs to a provider; name the provider as well".to_owned()]
                    }
                };
                return faults
                    .into_iter()
                    .map(|fault| ("detector.device".to_owned(), fault))
                    .collect();
            }
        };
        let fault = |word: &String| -> Option<String> {
            let provider: Provider = match word.parse() {
                Ok(provider) => provider,
                Err(message) => return Some(message),
            };
            let is_tried = match choice {
                ProviderChoice::Listed(listed) => listed.contains(&provider),
                ProviderChoice::Auto => provider != Provider::OpenVino,
            };
            if !provider.has_devices() {
                return Some(format!(
                    "{provider} has no devices to choose from; take it out"
                ));
            }
            if !is_tried {
                return Some(format!(
                    "{provider} is not tried, so its device says nothing; add it to `provider`, or take it out"
                ));
            }
            options.fault(provider)
        };
        words
            .keys()
            .filter_map(|word| Some((format!("detector.device.{word}"), fault(word)?)))
            .collect()
    }
}

impl DetectorConfig {
    /// Relative paths start at the configuration's folder; words and numbers are in their ranges.
    pub(super) fn checked(mut self, folder: &Path, faults: &mut Vec<ConfigFault>) -> Self {
        self.onnxruntime = self.onnxruntime.map(|path| folder.join(path));
        self.engine_cache = self.engine_cache.map(|path| folder.join(path));
        for dir in self
            .models_dirs
            .iter_mut()
            .chain(self.trusted_keys.iter_mut().flatten())
        {
            *dir = folder.join(&dir);
        }
        let mut refuse = |path: &str, message: String| {
            faults.push(ConfigFault {
                line: None,
                path: path.to_owned(),
                message,
            });
        };
        match self.provider.choice() {
            Ok(choice) => {
                for (key, fault) in self.device.iter().flat_map(|words| words.faults(&choice)) {
                    refuse(&key, fault);
                }
            }
            Err(message) => refuse("detector.provider", message),
        }
        if let Some(asked) = self.provider_tolerance
            && !TOLERANCES.contains(&asked)
        {
            let (least, most) = (TOLERANCES.start(), TOLERANCES.end());
            refuse(
                "detector.provider_tolerance",
                format!(
                    "{asked} is not from {least} to {most}; {TOLERANCE} is usual, half precision needs 0.05, and what \
                     says the same whatever it is shown is off by 1"
                ),
            );
            self.provider_tolerance = None;
        }
        if let Some(threads) = self.threads
            && !THREADS.contains(&threads)
        {
            let (least, most) = (THREADS.start(), THREADS.end());
            refuse(
                "detector.threads",
                format!(
                    "{threads} is not from {least} to {most}; `edge-agent models bench` measures what is best"
                ),
            );
            self.threads = None;
        }
        if self
            .trial_min
            .is_some_and(|minutes| !(minutes > 0.0 && minutes <= 10_080.0))
        {
            refuse(
                "detector.trial_min",
                "is more than 0 and at most 10080 minutes".to_owned(),
            );
            self.trial_min = None;
        }
        if let Some(shadow) = &mut self.shadow {
            if shadow.every == 0 {
                let message = "is at least 1; 10 costs a tenth of the detector's time again";
                refuse("detector.shadow.every", message.to_owned());
                shadow.every = default_every();
            }
            if let Err(message) = named_version(&shadow.model) {
                refuse("detector.shadow.model", message);
            }
        }
        self
    }

    fn options(&self) -> ProviderOptions {
        ProviderOptions {
            devices: (self.device.as_ref()).map_or(Devices::First, DeviceWords::devices),
            engine_cache: self.engine_cache.clone(),
            ..ProviderOptions::default()
        }
    }

    /// How models are run.
    pub fn settings(&self) -> DetectorSettings {
        DetectorSettings {
            threads: self.threads.unwrap_or(1),
            providers: self.provider.choice().unwrap_or_default(),
            options: self.options(),
            batch: self.batch.max(1),
            allow_unproven: self.allow_unproven_provider,
            tolerance: self.provider_tolerance.unwrap_or(TOLERANCE),
            left: Vec::new(),
        }
    }

    /// Whose bundles are taken.
    pub fn trusted_places(&self) -> Vec<PathBuf> {
        self.trusted_keys
            .clone()
            .unwrap_or_else(|| vec![PathBuf::from(TRUSTED_KEYS)])
    }

    /// How long a new model must work before it is trusted.
    pub fn trial(&self) -> Duration {
        self.trial_min.map_or(HEALTHY_AFTER, |minutes| {
            Duration::from_secs_f64(minutes * 60.0)
        })
    }
}

/// `MODEL` or `MODEL@VERSION`.
pub fn named_version(text: &str) -> Result<(ModelId, Option<u64>), String> {
    let (model, version) = match text.split_once('@') {
        None => (text, None),
        Some((model, version)) => {
            let number = version.parse().map_err(|_| {
                format!("`{version}` is no version; write MODEL@7, or MODEL for the current one")
            })?;
            (model, Some(number))
        }
    };
    let model = model
        .parse()
        .map_err(|error| format!("`{model}`: {error}"))?;
    Ok((model, version))
}
