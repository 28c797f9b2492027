//! Opening a checked file on the first provider that really computes it, and computes right.
//!
//! The processor is believed. Anything else is shown an empty picture, and then what the
//! processor is shown as well ([`likeness`](super::likeness)); who computed the last of these is
//! read from the runtime's own profile. What does not work is passed over with its reason.

use models::{Letterbox, Manifest, heads};
use ort::session::Session;

use super::loss::Origin;
use super::{Answered, Reader, likeness, looks, tensors};
use crate::engines::Engines;
use crate::error::DetectorError;
use crate::graph;
use crate::outside::{self, NotWhole};
use crate::provider::{Placement, Provider, ProviderChoice};
use crate::session::{self, DetectorSettings, Refusal};

use looks::{Numbers, Shown};

/// A network on the provider that computes it.
pub(crate) struct Opened {
    pub(crate) session: Session,
    pub(crate) reader: Reader,
    pub(crate) provider: Provider,
    /// Its place in the list.
    pub(crate) place: usize,
    /// Who computed; none where nobody can say, and the settings allow that.
    pub(crate) placement: Option<Placement>,
    /// Of those that come before it.
    pub(crate) refusals: Vec<Refusal>,
}

/// Opens a file from the place in the list of providers on that `origin` names; `refusals` are
/// of those before it.
pub(crate) fn open_from(
    origin: &Origin,
    manifest: &Manifest,
    refusals: Vec<Refusal>,
) -> Result<Opened, DetectorError> {
    let bytes = origin.read(manifest)?;
    look_through(origin, manifest, &bytes)?;
    let settings = &origin.settings;
    let candidates = settings.providers.candidates();
    let last = candidates.len().saturating_sub(1);
    let mut refused = Refused {
        settings,
        list: refusals,
    };
    let mut trial = Trial {
        origin,
        manifest,
        network: &bytes,
        processor: None,
    };
    for (place, provider) in candidates.iter().copied().enumerate().skip(origin.place) {
        if let Some(left) = settings.left.iter().find(|left| left.provider == provider) {
            refused.add(place, provider, left.reason.clone());
            continue;
        }
        match trial.on(provider) {
            Ok(proven) => {
                return Ok(Opened {
                    session: proven.session,
                    reader: proven.reader,
                    placement: proven.placement,
                    provider,
                    place,
                    refusals: refused.list,
                });
            }
            Err(Unfit::Fails(reason) | Unfit::Refused(reason)) => {
                refused.add(place, provider, reason);
            }
            // Another provider computes with other numbers; where none is left it is the file.
            Err(Unfit::File(error)) if error.is_nonsense() && place < last => {
                refused.add(place, provider, error.to_string());
            }
            Err(Unfit::File(error)) => return Err(error),
        }
    }
    Err(DetectorError::NoProvider {
        model: manifest.id.clone(),
        refusals: refused.list,
    })
}

/// Refuses what no provider is to see.
fn look_through(origin: &Origin, manifest: &Manifest, bytes: &[u8]) -> Result<(), DetectorError> {
    outside::look(bytes).map_err(|fault| {
        let (model, file) = (manifest.id.clone(), origin.file.clone());
        match fault {
            NotWhole::Outside(_) => DetectorError::Outside { model, file, fault },
            NotWhole::Form(what) => DetectorError::NotLoaded {
                model,
                file,
                message: what.to_owned(),
            },
        }
    })?;
    if let Some(output) = manifest.head.logits()
        && graph::ends_in_probabilities(bytes, output)
    {
        return Err(DetectorError::Output {
            model: manifest.id.clone(),
            source: heads::probabilities_already(manifest),
        });
    }
    Ok(())
}

/// Why a provider does not do.
enum Unfit {
    /// It does not start, or does not compute: its engines may be to blame.
    Fails(String),
    /// It computes elsewhere than it should, or wrong, or nobody can say.
    Refused(String),
    /// The file does not fit its manifest, or cannot be read.
    File(DetectorError),
}

impl From<DetectorError> for Unfit {
    fn from(error: DetectorError) -> Self {
        Self::File(error)
    }
}

struct Proven {
    session: Session,
    reader: Reader,
    placement: Option<Placement>,
}

/// One network, tried on one provider after the other.
struct Trial<'a> {
    origin: &'a Origin,
    manifest: &'a Manifest,
    network: &'a [u8],
    /// What the processor answers, or why it cannot; once it was asked.
    processor: Option<Result<Processor, String>>,
}

/// What the processor makes of the network.
struct Processor {
    /// Whether its head can read what it says of an empty picture.
    is_read: bool,
    answers: Vec<(Shown, Vec<Numbers>)>,
}

impl Trial<'_> {
    fn on(&mut self, provider: Provider) -> Result<Proven, Unfit> {
        let first = self.once(provider);
        let Err(Unfit::Fails(reason)) = &first else {
            return first;
        };
        let engines = Engines::of(&self.origin.settings.options, provider, self.network);
        let Some(engines) = engines.filter(|_| provider.is_in_library()) else {
            return first;
        };
        let Some(aside) = engines.set_aside() else {
            return first;
        };
        tracing::warn!(
            model = %self.manifest.id, %provider, folder = %engines.path().display(),
            "it fails with the engines that are kept for it, which may be cut: {reason}; they are set aside and it \
             is tried once more, and new ones may take minutes"
        );
        let again = self.once(provider);
        match &again {
            // It was not their fault: they are still good when that is mended.
            Err(Unfit::Fails(_)) => aside.put_back(),
            _ => aside.forget(),
        }
        again
    }

    fn once(&mut self, provider: Provider) -> Result<Proven, Unfit> {
        let (origin, manifest) = (self.origin, self.manifest);
        let settings = &origin.settings;
        let fallen_back = session::fallen_back();
        let opened = session::open(&origin.runtime, self.network, provider, settings);
        let mut opened = opened.map_err(|message| match provider {
            // The plainest of all cannot read it: then it is the file.
            Provider::Cpu => Unfit::File(unread(origin, manifest, self.network, message)),
            _ => Unfit::Fails(message),
        })?;
        let looked = self.look(provider, &mut opened.session);
        // Before anything else: a profile that nobody ends stays behind as a file.
        let (session, placement) = opened.end();
        let reader = looked?;
        if let Some(reason) = fallen_back.said() {
            return Err(Unfit::Refused(reason));
        }
        let (placement, doubt) = if let Some(device) = settings.options.undecided(provider) {
            let why = format!(
                "with `device = \"{device}\"` OpenVINO chooses what computes, the processor as well, and nobody can say which"
            );
            let next = "name the device itself, for example `GPU` or `NPU`";
            let doubt = session::unproven(provider, &why, next, settings.allow_unproven);
            (None, doubt)
        } else {
            let doubt = session::fallback(provider, placement.as_ref(), settings.allow_unproven);
            (placement, doubt)
        };
        match doubt {
            Some(reason) => Err(Unfit::Refused(reason)),
            None => Ok(Proven {
                session,
                reader,
                placement,
            }),
        }
    }

    /// Shows it an empty picture, and whatever is not the processor more.
    fn look(&mut self, provider: Provider, session: &mut Session) -> Result<Reader, Unfit> {
        let manifest = self.manifest;
        let input = &manifest.input;
        tensors::check_input(manifest, session)?;
        let reader = Reader::of(manifest, session)?;
        let letterbox =
            Letterbox::new(input.width, input.height, input).map_err(DetectorError::from)?;
        let looked = looks::look(manifest, session, &Shown::black(manifest));
        let looked = looked.map_err(|error| failed(provider, error))?;
        let answered = looked.read(&reader, &letterbox);
        if provider == Provider::Cpu {
            answered?;
        } else {
            self.compare(provider, session, answered)?;
        }
        Ok(reader)
    }

    /// Shows a provider what the processor has been shown; `answered` is what its head made of
    /// an empty picture.
    fn compare(
        &mut self,
        provider: Provider,
        session: &mut Session,
        answered: Result<Answered, DetectorError>,
    ) -> Result<(), Unfit> {
        let manifest = self.manifest;
        let allow_unproven = self.origin.settings.allow_unproven;
        let asked = self.origin.settings.tolerance;
        let borne = likeness::borne(asked, &self.origin.file);
        let processor = match self.processor() {
            Ok(processor) => processor,
            Err(why) => {
                answered?;
                let why = format!(
                    "whether it computes right is not known, because the processor cannot compute the network: {why}"
                );
                let next = "take an export that the processor computes as well";
                if let Some(reason) = session::unproven(provider, &why, next, allow_unproven) {
                    return Err(Unfit::Refused(reason));
                }
                // Who computes is not told by the first look.
                let warm = looks::look(manifest, session, &Shown::black(manifest));
                return warm.map(drop).map_err(|error| failed(provider, error));
            }
        };
        match answered {
            Err(error) if processor.is_read => return Err(computes_wrong(&error)),
            answered => drop(answered?),
        }
        let untested = if asked > borne {
            ". More, as `provider_tolerance` says, only of a model that brings a self-test"
        } else {
            ""
        };
        for (shown, expected) in &processor.answers {
            let looked = looks::look(manifest, session, shown);
            let looked = looked.map_err(|error| failed(provider, error))?;
            likeness::difference(&manifest.head, expected, &looked.outputs, borne)
                .map_err(|why| computes_wrong(&format!("{why}{untested}")))?;
        }
        Ok(())
    }

    /// Asks the processor, the first time.
    fn processor(&mut self) -> Result<&Processor, &str> {
        let (origin, manifest, network) = (self.origin, self.manifest, self.network);
        let asked = self
            .processor
            .get_or_insert_with(|| Processor::ask(origin, manifest, network));
        asked.as_ref().map_err(String::as_str)
    }
}

impl Processor {
    fn ask(origin: &Origin, manifest: &Manifest, network: &[u8]) -> Result<Self, String> {
        let text = |error: DetectorError| error.to_string();
        let input = &manifest.input;
        let opened = session::open(&origin.runtime, network, Provider::Cpu, &origin.settings)?;
        let mut session = opened.session;
        let reader = Reader::of(manifest, &session).map_err(text)?;
        let letterbox =
            Letterbox::new(input.width, input.height, input).map_err(|error| error.to_string())?;
        let black = looks::look(manifest, &mut session, &Shown::black(manifest)).map_err(text)?;
        let mut answers = Vec::new();
        for shown in likeness::shown(manifest, &origin.file) {
            let looked = looks::look(manifest, &mut session, &shown).map_err(text)?;
            answers.push((shown, looked.outputs));
        }
        Ok(Self {
            is_read: black.read(&reader, &letterbox).is_ok(),
            answers,
        })
    }
}

/// A file that the runtime does not read: no network, or one with what this runtime does not know.
fn unread(origin: &Origin, manifest: &Manifest, network: &[u8], message: String) -> DetectorError {
    let (model, file) = (manifest.id.clone(), origin.file.clone());
    if graph::has_nodes(network) {
        DetectorError::NotTaken {
            model,
            file,
            runtime: origin.runtime.version(),
            message,
        }
    } else {
        DetectorError::NotLoaded {
            model,
            file,
            message,
        }
    }
}

/// A look on which the runtime failed is the provider's fault, where it is not the processor.
fn failed(provider: Provider, error: DetectorError) -> Unfit {
    match error {
        DetectorError::Inference { message, .. } if provider != Provider::Cpu => {
            Unfit::Fails(message)
        }
        error => Unfit::File(error),
    }
}

fn computes_wrong(why: &dyn std::fmt::Display) -> Unfit {
    Unfit::Refused(format!(
        "it computes wrong, and the processor does not: {why}; update its driver and libraries, and do not use it \
         until `edge-agent check` finds it sound"
    ))
}

/// Those of the candidates that do not work.
struct Refused<'a> {
    settings: &'a DetectorSettings,
    list: Vec<Refusal>,
}

impl Refused<'_> {
    /// Notes that `provider`, the candidate at this place, does not work. It is worth a warning only where
    /// it was asked for by name, or the library was made for it.
    fn add(&mut self, place: usize, provider: Provider, reason: String) {
        let refusal = Refusal { provider, reason };
        let then = match self.settings.next_after(place) {
            Some(next) => format!("{next} is tried next"),
            None => "there is no other to try".to_owned(),
        };
        match self.settings.providers {
            ProviderChoice::Listed(_) => tracing::warn!("{refusal}; {then}"),
            ProviderChoice::Auto => tracing::info!("{refusal}; {then}"),
        }
        self.list.push(refusal);
    }
}

#[cfg(test)]
mod tests;
