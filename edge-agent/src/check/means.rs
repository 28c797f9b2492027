//! What `[detector]` says besides models: what computes them, and whose are taken.
//!
//! A provider that a loaded model was refused by is told with the model; here stands what
//! no loading shows, or what nobody has loaded.

use std::path::Path;

use edge_inference::{Devices, Provider, ProviderChoice, PublicKey, Runtime, TOLERANCE};

use super::{Finding, Outcome};
use crate::config::{AgentConfig, DetectorConfig};

/// How the models were looked at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Tried {
    /// The detector was loaded, or tried: what it computes on is told.
    Loaded,
    /// Nothing had to be loaded here.
    Nothing,
    /// Nothing was, at a desk that need not have what the box has.
    Offline,
}

/// A finding for each that cannot work or says nothing.
pub(super) fn look(config: &AgentConfig, tried: Tried) -> Vec<Finding> {
    let detector = &config.detector;
    let keys = detector.trusted_places();
    let is_named = detector.trusted_keys.is_some();
    let keys = keys
        .iter()
        .filter_map(|place| trusted(place, is_named, tried))
        .map(|outcome| finding("detector.trusted_keys", outcome));
    let found = tolerance(detector).into_iter();
    found.chain(listed(detector, tried)).chain(keys).collect()
}

fn finding(key: &str, outcome: Outcome) -> Finding {
    Finding {
        part: key.to_owned(),
        outcome,
    }
}

fn listed(detector: &DetectorConfig, tried: Tried) -> Vec<Finding> {
    let settings = detector.settings();
    let ProviderChoice::Listed(listed) = &settings.providers else {
        return Vec::new();
    };
    let mut found = Vec::new();
    if let Devices::One(device) = &settings.options.devices
        && !listed.iter().any(|provider| provider.has_devices())
    {
        let names: Vec<&str> = listed.iter().map(|provider| provider.word()).collect();
        found.push(finding(
            "detector.device",
            Outcome::Failed(format!(
                "device `{device}` says nothing: {} has no devices to choose from; name the provider that it belongs \
                 to with `provider`, or take `device` out",
                names.join(", ")
            )),
        ));
    }
    let twice = listed
        .iter()
        .enumerate()
        .find(|(place, provider)| listed[..*place].contains(provider));
    if let Some((_, provider)) = twice {
        found.push(finding(
            "detector.provider",
            Outcome::Failed(format!("names {provider} twice; take one of them out")),
        ));
    }
    if tried != Tried::Loaded {
        found.extend(absent(detector, listed, tried));
    }
    if tried == Tried::Offline {
        found.extend(untried(detector, listed));
    }
    found
}

/// How much may be off, where that is not the usual.
fn tolerance(detector: &DetectorConfig) -> Option<Finding> {
    let asked = detector.provider_tolerance?;
    let settings = detector.settings();
    let is_processor_alone = matches!(
        &settings.providers,
        ProviderChoice::Listed(listed) if listed.iter().all(|provider| *provider == Provider::Cpu)
    );
    let outcome = if is_processor_alone {
        Outcome::Failed(
            "says nothing: cpu alone may compute, and it is compared with nothing; take it out"
                .to_owned(),
        )
    } else if asked > TOLERANCE {
        Outcome::Noted(format!(
            "an accelerator's numbers may be off by {:.0} % of what they differ by, {:.0} % are usual: that counts \
             for models that bring a self-test, and `edge-agent models evaluate` on that accelerator tells what it costs",
            100.0 * asked,
            100.0 * TOLERANCE
        ))
    } else {
        return None;
    };
    Some(finding("detector.provider_tolerance", outcome))
}

/// Accelerators that the library here may have: whether they compute is known by loading alone.
fn untried(detector: &DetectorConfig, listed: &[Provider]) -> Option<Finding> {
    let runtime = Runtime::load(detector.onnxruntime.as_deref()).ok();
    let there = runtime.map(|runtime| runtime.providers());
    let is_told = |provider: &&Provider| {
        let is_there = there.as_ref().is_none_or(|there| there.contains(provider));
        **provider != Provider::Cpu && is_there
    };
    let names: Vec<&str> = listed.iter().filter(is_told).map(|p| p.word()).collect();
    (!names.is_empty()).then(|| {
        finding(
            "detector.provider",
            Outcome::Noted(format!(
                "not looked at: whether {} computes the models. With --offline nothing is loaded; run `edge-agent \
                 check` on the box without it",
                names.join(", ")
            )),
        )
    })
}

/// Providers that the library on this machine was built without.
fn absent(detector: &DetectorConfig, listed: &[Provider], tried: Tried) -> Option<Finding> {
    // Without a library nothing is known of it, and that is told where it is needed.
    let runtime = Runtime::load(detector.onnxruntime.as_deref()).ok()?;
    let there = runtime.providers();
    let absent: Vec<&Provider> = listed
        .iter()
        .filter(|provider| !there.contains(provider))
        .collect();
    let first = absent.first()?;
    let names: Vec<&str> = absent.iter().map(|provider| provider.word()).collect();
    let told = format!(
        "ONNX Runtime {} at {} was built without {}; {}, or correct `provider`: `edge-agent models bench` tries what \
         there is",
        runtime.version(),
        runtime.path().display(),
        names.join(", "),
        first.obtain()
    );
    // Another of the list may do; and the box may have what a desk has not.
    let is_enough = absent.len() < listed.len() || tried == Tried::Offline;
    Some(finding(
        "detector.provider",
        if is_enough {
            Outcome::Noted(told)
        } else {
            Outcome::Failed(told)
        },
    ))
}

/// What is wrong with a place of trusted keys; the usual one may be missing.
fn trusted(place: &Path, is_named: bool, tried: Tried) -> Option<Outcome> {
    const HARM: &str = "so no bundle of that maker is taken, and whether what is installed is still as it was signed is not looked at";
    let shown = place.display();
    if !place.try_exists().unwrap_or(true) {
        let told = format!(
            "{shown} is not there, {HARM}; put the maker's `.pub` file there (`edge-agent models keygen` makes a pair \
             of keys), or correct `trusted_keys`"
        );
        return is_named.then_some(if tried == Tried::Offline {
            Outcome::Noted(told)
        } else {
            Outcome::Failed(told)
        });
    }
    match PublicKey::trusted(&[place.to_owned()]) {
        Err(error) => Some(Outcome::Failed(format!(
            "{error}, {HARM}; get the `.pub` file from its maker again and see that the account of the agent can read \
             it, or take it away"
        ))),
        Ok(keys) if keys.is_empty() && is_named => Some(Outcome::Noted(format!(
            "there is no key (`.pub`) in {shown}, so no bundle is taken; put the maker's there"
        ))),
        Ok(_) => None,
    }
}
