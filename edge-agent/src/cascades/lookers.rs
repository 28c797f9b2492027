//! Those who take second looks, each loaded once for all cameras: networks, and the
//! reader of plates. What they say of a part of a picture is an [`Answer`]; what a scene
//! learns of that is its question's affair.

use std::collections::BTreeMap;
use std::sync::Arc;

use anyhow::{Context as _, bail};
use edge_core::Input;
use edge_inference::{
    Answered, AtWork, AtWorkMark, Candidate, DetectorError, FreeNetwork, Look, Network, SecondTrial,
};
use edge_video::Frame;
use models::heads;
use models::{Manifest, PictureView};
use plate_reader::{PlateLook, PlateReader, ReaderError, Region};
use plates::Circumstances;
use protocol::event::SecondModel;
use protocol::{NormBox, ObjectClass};

use super::{Fares, Wish};
use crate::config::{CascadeConfig, DetectorConfig, Looker};
use crate::live::{Job, ModelState};
use crate::models_command::{self, Begun};

/// What takes second looks.
pub(crate) enum Taker {
    /// A detector or a classifier.
    Network(Box<Network>),
    /// The reader of number plates.
    Plates(Box<PlateReader>),
}

/// A part of a picture that is looked at.
pub(crate) struct Part<'p> {
    pub(crate) view: &'p PictureView<'p>,
    pub(crate) bounds: NormBox,
    /// Of what class is who is in it.
    pub(crate) class: Option<ObjectClass>,
}

/// What is said of one look.
pub(crate) enum Answer {
    Network(Result<Answered, DetectorError>),
    Plates(Result<heads::Answers<PlateLook>, ReaderError>),
}

impl Answer {
    /// Why there is none.
    pub(crate) fn failure(&self) -> Option<&dyn std::fmt::Display> {
        match self {
            Self::Network(answer) => answer.as_ref().err().map(|error| error as _),
            Self::Plates(answer) => answer.as_ref().err().map(|error| error as _),
        }
    }

    /// How many of its numbers were none.
    pub(crate) fn broken(&self) -> usize {
        match self {
            Self::Network(Ok(answer)) => answer.broken(),
            Self::Plates(Ok(answer)) => answer.broken,
            Self::Network(Err(_)) | Self::Plates(Err(_)) => 0,
        }
    }
}

impl Taker {
    /// How many looks it takes at once.
    pub(crate) fn batch(&self) -> usize {
        match self {
            Self::Network(network) => network.batch(),
            Self::Plates(_) => 1,
        }
    }

    /// Why nothing computes it any more in this process, see [`Network::forlorn`].
    pub(crate) fn forlorn(&self) -> Option<String> {
        match self {
            Self::Network(network) => network.forlorn(),
            Self::Plates(reader) => reader.networks().into_iter().find_map(FreeNetwork::forlorn),
        }
    }

    /// Looks at each; one answer per part, in their order.
    pub(crate) fn look(&mut self, parts: &[Part<'_>]) -> Vec<Answer> {
        match self {
            Self::Network(network) => {
                let parts = parts.iter();
                let looks: Vec<Look<'_>> = parts
                    .map(|part| Look::part(part.view, &part.bounds))
                    .collect();
                let answers = network.answer_batch(&looks);
                answers.into_iter().map(Answer::Network).collect()
            }
            Self::Plates(reader) => {
                let read = |part: &Part<'_>| {
                    let known = Circumstances {
                        vehicle: part.class,
                        colour: None,
                    };
                    let region = Region::Vehicle(part.bounds);
                    Answer::Plates(reader.read(part.view, region, known))
                };
                parts.iter().map(read).collect()
            }
        }
    }

    /// Tells how it fared with these looks.
    pub(crate) fn tell(&self, answers: &[Answer], state: &ModelState) {
        for answer in answers {
            if answer.failure().is_some() {
                state.count_failure();
            } else {
                state.count_look();
            }
            if state.count_broken(answer.broken()) {
                tracing::warn!(
                    model = state.model,
                    "the model gives answers to second looks that are no numbers; they are passed over and \
                     counted: if it goes on, run `edge-agent models verify`"
                );
            }
        }
        match self {
            Self::Network(network) => state.note(network),
            Self::Plates(reader) => state.note_plates(reader),
        }
    }

    /// The network's manifest; the reader of plates has its own.
    fn manifest(&self) -> Option<&Manifest> {
        match self {
            Self::Network(network) => Some(network.manifest()),
            Self::Plates(_) => None,
        }
    }
}

/// Those who take the second looks of all cameras, each once.
#[derive(Default)]
pub(crate) struct Lookers {
    names: Vec<Looker>,
    pub(crate) takers: Vec<Taker>,
    /// How each of them fares.
    fares: Vec<Fares>,
    /// Of each the networks, as recordings and events name them.
    made_of: Vec<Arc<[SecondModel]>>,
    /// Of each the trials of its networks.
    pub(crate) trials: Vec<Vec<SecondTrial>>,
    /// Where is noted who is at work; none in a replay, where nobody is on trial.
    at_work: Option<AtWork>,
}

/// By which number and name models are known, and from which score on they are believed.
#[derive(Clone, Default)]
pub(crate) struct LookerIndex(Vec<Indexed>);

#[derive(Clone)]
struct Indexed {
    name: Looker,
    believed_from: f64,
    made_of: Arc<[SecondModel]>,
}

/// Who looks for a cascade.
pub(super) struct Found {
    /// By the count of those who look, from 0.
    pub(super) number: usize,
    /// From which score on it is believed.
    pub(super) believed_from: f64,
    /// Of which networks it is made.
    pub(super) made_of: Arc<[SecondModel]>,
}

impl Lookers {
    /// Of a box that watches: who is new here is on trial.
    pub(crate) fn on_trial(at_work: AtWork) -> Self {
        Self {
            at_work: Some(at_work),
            ..Self::default()
        }
    }

    /// Loads what `cascades` name, for a replay.
    pub(crate) fn load<'c>(
        config: &DetectorConfig,
        cascades: impl IntoIterator<Item = &'c CascadeConfig>,
    ) -> anyhow::Result<Self> {
        let mut lookers = Self::default();
        for cascade in cascades {
            lookers.take_on(config, cascade)?;
        }
        Ok(lookers)
    }

    /// Loads what `cascade` names, where it is not loaded yet.
    pub(crate) fn take_on(
        &mut self,
        config: &DetectorConfig,
        cascade: &CascadeConfig,
    ) -> anyhow::Result<()> {
        let known = (self.names.iter()).position(|name| *name == cascade.looker);
        let number = if let Some(number) = known {
            number
        } else {
            let begun = load(config, &cascade.looker, self.at_work.as_ref())
                .with_context(|| format!("cascade `{}`", cascade.id))?;
            self.trials.push(begun.trials);
            self.made_of
                .push(begun.made_of.iter().map(second_model).collect());
            self.names.push(cascade.looker.clone());
            self.takers.push(begun.model);
            self.fares.push(Fares::default());
            self.takers.len() - 1
        };
        let manifest = self.takers[number].manifest();
        if let Some(fault) = manifest.and_then(|manifest| misfit(cascade, manifest)) {
            bail!("cascade `{}`: {fault}", cascade.id);
        }
        Ok(())
    }

    /// Whether it is loaded.
    pub(crate) fn has(&self, looker: &Looker) -> bool {
        self.names.contains(looker)
    }

    /// How each of them fares, in their order.
    pub(crate) fn states(&self) -> Vec<Arc<ModelState>> {
        let state = |((name, taker), trials): ((&Looker, &Taker), &Vec<SecondTrial>)| {
            let state = match taker {
                Taker::Network(network) => {
                    let begun = trials.first().map(|trial| trial.candidate.to_string());
                    let name = begun.unwrap_or_else(|| name_of(name).to_owned());
                    ModelState::of_network(name, Job::Cascade, network)
                }
                Taker::Plates(reader) => ModelState::of_plates(name_of(name).to_owned(), reader),
            };
            let instead = (trials.iter())
                .find_map(|trial| Some((trial.instead.as_deref()?, &trial.candidate)));
            state.with_instead(instead)
        };
        let each = self.names.iter().zip(&self.takers).zip(&self.trials);
        each.map(state).map(Arc::new).collect()
    }

    /// Where is noted who is at work.
    pub(crate) fn at_work(&self) -> Option<&AtWork> {
        self.at_work.as_ref()
    }

    /// Words for who is at work, of each of them.
    pub(crate) fn marks(&self) -> Vec<AtWorkMark> {
        let mark = |trials: &Vec<SecondTrial>| {
            AtWorkMark::looking(trials.iter().map(|trial| &trial.candidate))
        };
        self.trials.iter().map(mark).collect()
    }

    pub(crate) fn index(&self) -> LookerIndex {
        let indexed =
            |((name, taker), made_of): ((&Looker, &Taker), &Arc<[SecondModel]>)| Indexed {
                name: name.clone(),
                believed_from: taker.manifest().map_or(0.0, |m| m.thresholds.high),
                made_of: Arc::clone(made_of),
            };
        let each = self.names.iter().zip(&self.takers).zip(&self.made_of);
        LookerIndex(each.map(indexed).collect())
    }

    /// Takes all looks that are wanted of a frame, and tells what the scene learns. A
    /// look on which a model fails is not taken, as it would not be live.
    pub(crate) fn look(&mut self, frame: &Frame, wishes: Vec<Wish>) -> Vec<Input> {
        let view = frame.view();
        let mut inputs = Vec::new();
        let mut by_model: BTreeMap<usize, Vec<Wish>> = BTreeMap::new();
        for wish in wishes {
            by_model.entry(wish.model).or_default().push(wish);
        }
        for (model, wishes) in by_model {
            let fares = self.fares.get_mut(model);
            let Some((taker, fares)) = self.takers.get_mut(model).zip(fares) else {
                continue;
            };
            let part = |wish: &Wish| Part {
                view: &view,
                bounds: wish.part,
                class: wish.class,
            };
            let parts: Vec<Part<'_>> = wishes.iter().map(part).collect();
            for (wish, answer) in wishes.into_iter().zip(taker.look(&parts)) {
                fares.note(&answer);
                if let Some(learnt) = wish.question.learnt(answer) {
                    learnt.pledge.keep();
                    inputs.push(learnt.input);
                }
            }
        }
        inputs
    }

    /// What speaks against what they said.
    pub(crate) fn doubts(&self) -> Vec<String> {
        let each = self.names.iter().zip(&self.fares);
        each.flat_map(|(name, fares)| fares.doubts(name_of(name)))
            .collect()
    }
}

impl LookerIndex {
    /// Whose turn it may be for these cascades, by the count of those who look, from 0.
    pub(crate) fn used_by(&self, cascades: &[CascadeConfig]) -> Vec<usize> {
        let used = cascades.iter().filter_map(|cascade| self.of(cascade));
        let mut numbers: Vec<usize> = used.map(|found| found.number).collect();
        numbers.sort_unstable();
        numbers.dedup();
        numbers
    }

    /// Who looks for a cascade.
    pub(super) fn of(&self, cascade: &CascadeConfig) -> Option<Found> {
        let mut each = self.0.iter().enumerate();
        let (number, found) = each.find(|(_, known)| known.name == cascade.looker)?;
        Some(Found {
            number,
            believed_from: found.believed_from,
            made_of: Arc::clone(&found.made_of),
        })
    }
}

#[cfg(test)]
impl LookerIndex {
    /// As if each of these cascades had a model of its own.
    pub(crate) fn made_up(cascades: &[CascadeConfig]) -> Self {
        let indexed = cascades.iter().map(|cascade| Indexed {
            name: cascade.looker.clone(),
            believed_from: 0.5,
            made_of: Arc::new([]),
        });
        Self(indexed.collect())
    }
}

/// As recordings and events name it.
fn second_model(candidate: &Candidate) -> SecondModel {
    SecondModel {
        model: candidate.model.clone(),
        version: candidate.version,
        model_digest: candidate.sha256,
        manifest_digest: candidate.manifest,
    }
}

/// Who takes looks, in messages and metrics.
/// Its name in statuses and metrics.
pub(crate) fn name_of(looker: &Looker) -> &str {
    match looker {
        Looker::Model(name) => name,
        Looker::Plates => "plates",
    }
}

fn load(
    config: &DetectorConfig,
    looker: &Looker,
    at_work: Option<&AtWork>,
) -> anyhow::Result<Begun<Taker>> {
    Ok(match looker {
        Looker::Model(name) => {
            let begun = models_command::begin_network(config, name, at_work)?;
            let network = &begun.model;
            tracing::info!(
                model = %network.manifest().id, provider = network.provider(), "takes second looks"
            );
            begun.map(|network| Taker::Network(Box::new(network)))
        }
        Looker::Plates => {
            let begun = models_command::begin_plates(config, at_work)?;
            tracing::info!("plates are read");
            begun.map(|reader| Taker::Plates(Box::new(reader)))
        }
    })
}

/// Why a model cannot give what a cascade is to give.
pub(crate) fn misfit(cascade: &CascadeConfig, manifest: &Manifest) -> Option<String> {
    let head = &manifest.head;
    if !matches!(
        head.answer(),
        heads::Answer::Detections | heads::Answer::Faces | heads::Answer::Labels
    ) {
        return Some(format!(
            "model {} is of kind `{}`; a cascade needs a detector or a classifier, see docs/heads.md",
            manifest.id,
            head.kind()
        ));
    }
    let mut given: Vec<ObjectClass> = manifest.classes.named().map(|(_, class)| class).collect();
    // Several of its numbers may be one word here.
    given.sort_unstable();
    given.dedup();
    let missing: Vec<&str> = cascade
        .gives
        .iter()
        .filter(|class| !given.contains(class))
        .map(|class| class.as_str())
        .collect();
    (!missing.is_empty()).then(|| {
        format!(
            "model {} does not give {}; its manifest lists {}: correct `gives` or `[classes]`",
            manifest.id,
            missing.join(", "),
            given
                .iter()
                .map(|class| class.as_str())
                .collect::<Vec<_>>()
                .join(", ")
        )
    })
}
