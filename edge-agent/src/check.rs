//! `edge-agent check CONFIG`: everything that would go wrong tonight, found now.
//!
//! Text first, all faults at once with key and line; then every part is tried
//! for real, each within a time limit, and each failure says what to do.

mod beside;
mod cameras;
mod cascades;
mod clips;
mod detector;
mod feeds;
mod given_up;
mod means;
mod never;
mod record;
mod signals;
mod store;

use std::io::IsTerminal as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

use case_bundle::files::said;
use case_bundle::say;
use edge_inference::{Candidate, Detector, ModelStore, Provider};
use edge_uplink::UplinkError;
use protocol::CameraId;

use crate::config::{
    AgentConfig, CameraConfig, ConfigFaults, SourceConfig, UplinkConfig, redacted,
};
use crate::{models_command, uplink_settings};

/// What was tried, and how it went.
#[derive(Debug)]
pub struct Finding {
    /// Which part: `camera gate-1`, `model`, `uplink` …
    pub part: String,
    /// How it went.
    pub outcome: Outcome,
}

/// How a part is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// Good, and what it is.
    Good(String),
    /// It works, but somebody should know this.
    Noted(String),
    /// What is wrong and what to do.
    Failed(String),
}

impl Outcome {
    fn of<E: std::fmt::Display>(result: Result<impl Into<String>, E>) -> Self {
        match result {
            Ok(detail) => Self::Good(detail.into()),
            Err(error) => Self::Failed(error.to_string()),
        }
    }
}

/// How far to go.
#[derive(Clone, Debug)]
pub struct CheckScope {
    /// Only read the file and which models are installed; try nothing.
    pub offline: bool,
    /// Only this camera.
    pub camera: Option<CameraId>,
    /// Longest wait for each part.
    pub timeout: Duration,
}

/// Checks; `Err` when the file itself is faulty.
pub fn check(file: &Path, scope: &CheckScope) -> Result<Vec<Finding>, ConfigFaults> {
    let config = AgentConfig::load(file)?;
    let cameras: Vec<&CameraConfig> = config
        .cameras
        .iter()
        .filter(|camera| {
            scope
                .camera
                .as_ref()
                .is_none_or(|wanted| camera.id == *wanted)
        })
        .collect();
    if let (Some(wanted), true) = (&scope.camera, cameras.is_empty()) {
        return Err(ConfigFaults::whole_file(
            file,
            format!("there is no camera `{wanted}` in it"),
        ));
    }
    let mut findings = vec![Finding {
        part: "configuration".to_owned(),
        outcome: match config.cameras.len() {
            0 => Outcome::Failed("there is no [[camera]]; add one".to_owned()),
            cameras => Outcome::Good(format!("{cameras} camera(s)")),
        },
    }];
    if scope.offline {
        findings.extend(
            cameras
                .iter()
                .map(|camera| cameras::text_only(&config, camera)),
        );
        findings.extend(decoders(&cameras));
        findings.extend(detector::look(&config));
        findings.extend(means::look(&config, means::Tried::Offline));
        findings.extend(named_files(&config));
        findings.extend(fed(&config, &cameras));
        findings.extend(cascades::look(&config, &cameras, None));
        findings.extend(clips::look(&cameras));
        findings.extend(never::look(&cameras));
        findings.extend(in_the_clear(&config));
        return Ok(findings);
    }
    findings.push(store::look(&config.store));
    findings.extend(record::look(&config.record));
    findings.extend(decoders(&cameras));
    let needs_detector = cameras
        .iter()
        .any(|c| matches!(c.source, SourceConfig::Rtsp(_)));
    let mut detector = None;
    if needs_detector {
        let loaded = models_command::try_detector(&config.detector);
        let store = models_command::store(&config.detector).ok();
        let store = store.as_ref();
        // It may load and see what it must, and not be taken all the same.
        let replaced = store.and_then(|store| models_command::stand_in(&config.detector, store));
        findings.push(Finding {
            part: "model".to_owned(),
            outcome: match (&loaded, &replaced) {
                (_, Some(by)) => given_up::replaced(by),
                (Ok(loaded), None) => in_use_on(loaded, store),
                (Err(error), None) => Outcome::Failed(said::whole(error.chain())),
            },
        });
        findings.extend(failed_here(&config, replaced.is_some()));
        findings.extend(beside::shadow(&config));
        findings.extend(trials_not_kept(&config));
        detector = loaded.ok();
    }
    let tried = if needs_detector {
        means::Tried::Loaded
    } else {
        means::Tried::Nothing
    };
    findings.extend(means::look(&config, tried));
    findings.extend(fed(&config, &cameras));
    let tried = beside::Tried::new(&config.detector);
    findings.extend(cascades::look(&config, &cameras, Some(tried)));
    findings.extend(clips::look(&cameras));
    findings.extend(never::look(&cameras));
    findings.extend(cameras::look(
        &config,
        &cameras,
        detector.as_mut(),
        scope.timeout,
    ));
    findings.extend(uplink(&config, scope.timeout));
    findings.extend(in_the_clear(&config));
    Ok(findings)
}

/// Which model, on what; and which providers come first but do not work.
fn in_use_on(detector: &Detector, store: Option<&ModelStore>) -> Outcome {
    let manifest = detector.manifest();
    let version = store.and_then(|store| store.version_of(&manifest.id));
    let version = version.map_or_else(String::new, |version| format!("@{version}"));
    let mut text = format!(
        "{}{version} ({}) on {}",
        manifest.id,
        manifest.licence,
        detector.provider()
    );
    // Of the processor there is nothing to tell.
    if detector.provider() != Provider::Cpu.name() {
        text = match detector.placement() {
            Some(placement) => format!("{text}: {placement}"),
            None => format!(
                "{text}, unproven: what it computes could not be looked at, and `allow_unproven_provider` takes its \
                 word for it"
            ),
        };
    }
    if detector.refusals().is_empty() && detector.placement().is_some() {
        return Outcome::Good(text);
    }
    for refusal in detector.refusals() {
        text = format!("{text}\nnot on {refusal}");
    }
    Outcome::Noted(text)
}

/// Decoders that are named and are not here; the box may have what this machine has not.
fn decoders(cameras: &[&CameraConfig]) -> Vec<Finding> {
    let named = |camera: &&CameraConfig| {
        let SourceConfig::Rtsp(source) = &camera.source else {
            return None;
        };
        Some(Finding {
            part: format!("camera {}", camera.id),
            outcome: Outcome::Noted(source.decoder.missing()?),
        })
    };
    if edge_video::init().is_err() {
        // Who has no GStreamer is told so where a camera is asked.
        return Vec::new();
    }
    cameras.iter().filter_map(named).collect()
}

/// Files that the box will need. The desk at which its configuration is written may not have them.
fn named_files(config: &AgentConfig) -> Vec<Finding> {
    let uplink = config.uplink.as_ref();
    let of_uplink =
        |file: fn(&UplinkConfig) -> &Option<PathBuf>| uplink.and_then(|u| file(u).as_deref());
    let library = config.detector.onnxruntime.as_deref();
    let library = library
        .map(|file| ("detector.onnxruntime", file))
        .into_iter();
    [
        (
            "store.signing_key_file",
            config.store.signing_key_file.as_deref(),
        ),
        ("uplink.ca_file", of_uplink(|uplink| &uplink.ca_file)),
        ("uplink.cert_file", of_uplink(|uplink| &uplink.cert_file)),
        ("uplink.key_file", of_uplink(|uplink| &uplink.key_file)),
        (
            "uplink.evidence_token_file",
            of_uplink(|uplink| &uplink.evidence_token_file),
        ),
    ]
    .into_iter()
    .filter_map(|(key, file)| Some((key, file?)))
    .filter(|(_, file)| !file.is_file())
    // The library may be named by its folder.
    .chain(library.filter(|(_, file)| !file.exists()))
    .map(|(key, file)| Finding {
        part: key.to_owned(),
        outcome: Outcome::Noted(format!(
            "{} is not on this machine; without it the box does not start: put it there before",
            file.display()
        )),
    })
    .collect()
}

/// Models that were given up on this box, but for those that are told with their jobs.
fn failed_here(config: &AgentConfig, is_detector_told: bool) -> Vec<Finding> {
    let Ok(store) = models_command::store(&config.detector) else {
        return Vec::new();
    };
    let left = store.trials().on.failed.into_iter().map(|left| Finding {
        part: format!("provider {}", left.ground.provider),
        outcome: Outcome::Noted(match &left.model {
            None => format!(
                "{} was left on {}: {}; mend its driver, then `edge-agent models forgive MODEL` has it tried again",
                left.ground, left.at, left.reason
            ),
            Some(model) => format!(
                "{} was left for {model} on {}: {}; others compute on it. `edge-agent models forgive {model}` has it \
                 tried again",
                left.ground, left.at, left.reason
            ),
        }),
    });
    let detector = models_command::in_use(&config.detector, &store).filter(|_| is_detector_told);
    let shadow = config.detector.shadow.as_ref().map(|it| it.model.clone());
    let named = detector.map(String::from).into_iter().chain(shadow);
    let told: Vec<Candidate> = named
        .filter_map(|name| Some(given_up::of(&store, &name)?.candidate))
        .collect();
    let failed = store.failed_here().into_iter();
    failed
        .filter(|failed| !told.contains(&failed.candidate))
        .map(|failed| Finding {
            part: format!("model {}", failed.candidate),
            outcome: Outcome::Noted(given_up::in_words(&failed)),
        })
        .chain(left)
        .collect()
}

/// Where no folder of models can be written nothing protects the box from a new model.
fn trials_not_kept(config: &AgentConfig) -> Option<Finding> {
    // Asked of a folder that is not there, the store would make it: as whoever runs `check`.
    let dirs = &config.detector.models_dirs;
    if !dirs.is_empty() && !dirs.iter().any(|dir| dir.is_dir()) {
        let named: Vec<String> = dirs.iter().map(|dir| dir.display().to_string()).collect();
        return Some(Finding {
            part: "models folder".to_owned(),
            outcome: Outcome::Failed(format!(
                "there is no folder {}; correct detector.models_dirs, or make it",
                named.join(" and none ")
            )),
        });
    }
    let error = models_command::store(&config.detector)
        .ok()?
        .cannot_keep_trials()?;
    Some(Finding {
        part: "models folder".to_owned(),
        outcome: Outcome::Noted(format!(
            "cannot be written by this account: {error}. New models are then not on trial: one that ends the \
             program is started again and again, and the journal of models is not kept. Give the folder to the \
             account of the agent (`chown`), and run `check` as that account"
        )),
    })
}

/// Rules that whoever sees for their camera does not feed.
fn fed(config: &AgentConfig, cameras: &[&CameraConfig]) -> Vec<Finding> {
    let models = models_command::store(&config.detector).map_or_else(|_| Vec::new(), |s| s.list());
    cameras
        .iter()
        .filter(|camera| {
            let mut rules = camera.scene.rules.iter();
            rules.any(|rule| !rule.needs.is_empty() || !rule.about.is_empty())
        })
        .filter_map(|camera| {
            let eyes = feeds::Eyes::of(camera, &config.detector)?;
            let second: Vec<_> = camera
                .cascades
                .iter()
                .flat_map(|c| c.gives.clone())
                .collect();
            let unfed = feeds::unfed(&camera.scene, &eyes, &models, &second);
            (!unfed.is_empty()).then(|| Finding {
                part: format!("camera {} rules", camera.id),
                outcome: Outcome::Noted(unfed.join("\n")),
            })
        })
        .collect()
}

fn uplink(config: &AgentConfig, timeout: Duration) -> Vec<Finding> {
    let Some(uplink) = &config.uplink else {
        let note = "there is no [uplink]; events stay on this box until there is one";
        return vec![Finding {
            part: "uplink".to_owned(),
            outcome: Outcome::Noted(note.to_owned()),
        }];
    };
    let (broker, evidence) = (
        format!("uplink {}", redacted(&uplink.url)),
        format!("evidence {}", redacted(&uplink.evidence_url)),
    );
    let probed = uplink_settings::settings(config)
        .map_err(|error| said::whole(error.chain()))
        .and_then(|settings| settings.ok_or_else(|| "there is no [uplink]".to_owned()))
        .and_then(|settings| edge_uplink::probe(&settings, timeout).map_err(reason_of));
    match probed {
        Ok(report) => vec![
            Finding {
                part: broker,
                outcome: Outcome::of(
                    report
                        .broker
                        .map(|version| format!("MQTT {version}"))
                        .map_err(reason_of),
                ),
            },
            Finding {
                part: evidence,
                outcome: Outcome::of(
                    report
                        .evidence
                        .map(|()| "takes evidence")
                        .map_err(reason_of),
                ),
            },
        ],
        Err(reason) => vec![Finding {
            part: broker,
            outcome: Outcome::Failed(reason),
        }],
    }
}

/// What others on the way could read.
fn in_the_clear(config: &AgentConfig) -> Option<Finding> {
    let told = config.uplink.as_ref()?.in_the_clear();
    (!told.is_empty()).then(|| Finding {
        part: "uplink".to_owned(),
        outcome: Outcome::Noted(told.join("\n")),
    })
}

/// The error without the address that the finding already names.
fn reason_of(error: UplinkError) -> String {
    match error {
        UplinkError::Broker { reason, .. } | UplinkError::Evidence { reason, .. } => reason,
        error => error.to_string(),
    }
}

/// Prints findings for people; true when all is well.
pub fn print(findings: &[Finding]) -> bool {
    let colours = std::io::stdout().is_terminal() && std::env::var_os("NO_COLOR").is_none();
    let paint = |code: &str, text: &str| {
        if colours {
            format!("\x1b[{code}m{text}\x1b[0m")
        } else {
            text.to_owned()
        }
    };
    for finding in findings {
        let (word, detail) = match &finding.outcome {
            Outcome::Good(detail) => (paint("32", "ok    "), detail),
            Outcome::Noted(detail) => (paint("33", "note  "), detail),
            Outcome::Failed(reason) => (paint("31", "FAILED"), reason),
        };
        // More lines stand under the first.
        let detail = detail.replace('\n', "\n        ");
        let line = said::printable(&format!("  {}: {detail}\n", finding.part));
        said::text(&format!("{word}{line}"));
    }
    let failed = findings
        .iter()
        .filter(|finding| matches!(finding.outcome, Outcome::Failed(_)))
        .count();
    if failed > 0 {
        say!("{failed} of {} parts need attention", findings.len());
    }
    failed == 0
}
