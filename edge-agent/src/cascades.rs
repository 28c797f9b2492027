//! Second looks: what a camera's cascades want to see of a frame, and what its
//! scene learns of the answers. The same for a box that watches and for a replay.

mod fares;
mod told;
mod unanswered;

use std::collections::{BTreeMap, VecDeque};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Weak};

use anyhow::{Context as _, bail};
use crossbeam_channel::{Receiver, Sender, bounded};
use edge_cascade::sharpness::{Luma, sharpness};
use edge_cascade::{Candidate, Chooser, Passed};
use edge_core::second_look::Label;
use edge_core::{Found, Input, Scene, SecondLook, Unanswered};
use edge_inference::{Answered, AtWork, AtWorkMark, DetectorError, Look, Network, SecondTrial};
use edge_video::Frame;
use models::heads;
use models::{Crop, Manifest, PictureView};
use plate_reader::{PlateLook, PlateReader, ReaderError, Region};
use plates::Circumstances;
use protocol::event::FrameTime;
use protocol::id::CascadeId;
use protocol::{Detection, EventTime, NormBox, ObjectClass, TrackId};

use crate::config::{CascadeConfig, DetectorConfig, Looker};
use crate::live::{Job, ModelState};
use crate::models_command::{self, Begun};

pub(crate) use fares::Fares;
use told::plate_text;
use unanswered::Row;

/// Frames of a camera that wait for answers about road users, at most: each holds a
/// buffer of its decoder.
const MOST_FRAMES: usize = 4;
/// And about the whole picture, besides: plates that wait hold up no look for fire.
const MOST_PICTURES: usize = 2;
/// Looks that were given up and that the chooser has not heard of yet.
const MOST_GIVEN_UP: usize = 256;

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
    Plates(Result<Vec<PlateLook>, ReaderError>),
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
            // The reader refuses such a row itself.
            Self::Network(Err(_)) | Self::Plates(_) => 0,
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
    /// Of each the trials of its networks.
    pub(crate) trials: Vec<Vec<SecondTrial>>,
    /// Where is noted who is at work; none in a replay, where nobody is on trial.
    at_work: Option<AtWork>,
}

/// By which number a model is known, and from which score on it is believed.
#[derive(Clone, Default)]
pub(crate) struct LookerIndex(Vec<(Looker, f64)>);

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
            let (taker, trials) = load(config, &cascade.looker, self.at_work.as_ref())
                .with_context(|| format!("cascade `{}`", cascade.id))?;
            self.trials.push(trials);
            self.names.push(cascade.looker.clone());
            self.takers.push(taker);
            self.fares.push(Fares::default());
            self.takers.len() - 1
        };
        let manifest = self.takers[number].manifest();
        if let Some(fault) = manifest.and_then(|manifest| misfit(cascade, manifest)) {
            bail!("cascade `{}`: {fault}", cascade.id);
        }
        Ok(())
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
            state.with_instead(trials.iter().find_map(|trial| trial.instead.as_deref()))
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
        let believed = |taker: &Taker| taker.manifest().map_or(0.0, |m| m.thresholds.high);
        let thresholds = self.takers.iter().map(believed);
        LookerIndex(self.names.iter().cloned().zip(thresholds).collect())
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
                inputs.extend(wish.question.learnt(answer));
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
        let mut numbers: Vec<usize> = used.map(|(number, _)| number).collect();
        numbers.sort_unstable();
        numbers.dedup();
        numbers
    }

    fn of(&self, cascade: &CascadeConfig) -> Option<(usize, f64)> {
        let number = self
            .0
            .iter()
            .position(|(name, _)| *name == cascade.looker)?;
        Some((number, self.0[number].1))
    }
}

/// Who takes looks, in messages and metrics.
fn name_of(looker: &Looker) -> &str {
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
            let (network, trials) = models_command::begin_network(config, name, at_work)?;
            tracing::info!(
                model = %network.manifest().id, provider = network.provider(), "takes second looks"
            );
            (Taker::Network(Box::new(network)), trials)
        }
        Looker::Plates => {
            let (reader, trials) = models_command::begin_plates(config, at_work)?;
            tracing::info!("plates are read");
            (Taker::Plates(Box::new(reader)), trials)
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
    let given: Vec<ObjectClass> = manifest.classes.named().map(|(_, class)| class).collect();
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

/// The cascades of one camera at work.
pub(crate) struct Cascades {
    list: Vec<Cascade>,
    /// Frames that wait for answers about road users, and those about the whole picture.
    under_way: VecDeque<Weak<()>>,
    pictures_under_way: VecDeque<Weak<()>>,
    given_up: (Sender<Promise>, Receiver<Promise>),
    /// Frames in which nothing was chosen, because too many wait for answers.
    held_up: u64,
    /// Of which time the scene is to hear that looks were not answered.
    unanswered: Vec<Unanswered>,
}

struct Cascade {
    id: CascadeId,
    gives: Vec<ObjectClass>,
    /// By the count of those who look, from 0.
    model: usize,
    /// As the model's manifest says.
    believed_from: f64,
    chooser: Chooser,
    /// Looks on which the model failed.
    failed: Arc<AtomicU64>,
    /// Looks that were not answered since the last that was.
    row: Row,
    /// Looks for which there was no room on the way.
    refused: u64,
}

/// What a look was chosen for.
type Promise = (usize, Option<TrackId>, EventTime);

/// A look that a cascade wants.
pub(crate) struct Wish {
    /// By which model, from 0.
    pub(crate) model: usize,
    /// At which part of the frame.
    pub(crate) part: NormBox,
    /// Of what class is who is in it.
    pub(crate) class: Option<ObjectClass>,
    /// What is asked.
    pub(crate) question: Question,
}

/// What is to be known of a part of a frame. Dropped without an answer, the
/// look counts as not taken.
pub(crate) struct Question {
    at: FrameTime,
    track: Option<TrackId>,
    cascade: CascadeId,
    bounds: NormBox,
    gives: Vec<ObjectClass>,
    believed_from: f64,
    failed: Arc<AtomicU64>,
    promise: Option<Promise>,
    given_up: Sender<Promise>,
    /// The frame waits for as long as this lives.
    _under_way: Arc<()>,
}

impl Cascades {
    /// Of a camera. `None`: it has none.
    pub(crate) fn new(configs: &[CascadeConfig], lookers: &LookerIndex) -> Option<Self> {
        let cascade = |config: &CascadeConfig| {
            let (model, believed_from) = lookers.of(config)?;
            Some(Cascade {
                id: config.id.clone(),
                gives: config.gives.clone(),
                model,
                believed_from,
                chooser: Chooser::new(config.looks.clone()),
                failed: Arc::default(),
                row: Row::default(),
                refused: 0,
            })
        };
        let list: Vec<Cascade> = configs.iter().filter_map(cascade).collect();
        (!list.is_empty()).then(|| Self {
            list,
            under_way: VecDeque::new(),
            pictures_under_way: VecDeque::new(),
            given_up: bounded(MOST_GIVEN_UP),
            held_up: 0,
            unanswered: Vec::new(),
        })
    }

    /// Which looks to take in a frame that the scene has just seen.
    pub(crate) fn choose(&mut self, frame: &Frame, scene: &Scene) -> Vec<Wish> {
        for (cascade, track, at) in self.given_up.1.try_iter() {
            if let Some(cascade) = self.list.get_mut(cascade) {
                cascade.chooser.not_taken(track, at);
                let failures = cascade.failed.load(Ordering::Relaxed);
                let stretch = cascade.row.given_up(&cascade.id, at, failures);
                self.unanswered.extend(stretch);
            }
        }
        for waiting in [&mut self.under_way, &mut self.pictures_under_way] {
            waiting.retain(|frame| frame.strong_count() > 0);
        }
        let has_room = self.under_way.len() < MOST_FRAMES;
        let has_room_for_pictures = self.pictures_under_way.len() < MOST_PICTURES;
        let is_held_up = |cascade: &Cascade| {
            let is_of_the_picture = cascade.chooser.looks().on.is_empty();
            !(if is_of_the_picture {
                has_room_for_pictures
            } else {
                has_room
            })
        };
        self.held_up += u64::from(self.list.iter().any(is_held_up));
        if self.list.iter().all(is_held_up) {
            return Vec::new();
        }
        let candidates: Vec<Candidate> = scene
            .tracks()
            .map(|track| Candidate {
                id: track.id,
                class: track.class,
                bounds: track.bounds,
                is_seen: track.is_seen,
                mount: track.mount,
                comes: track.comes,
            })
            .collect();
        let size = (f64::from(frame.width), f64::from(frame.height));
        let at = FrameTime {
            frame: frame.number,
            time: frame.time,
        };
        let (token, picture_token) = (Arc::new(()), Arc::new(()));
        let mut wishes = Vec::new();
        for (number, cascade) in self.list.iter_mut().enumerate() {
            if is_held_up(cascade) {
                continue;
            }
            let clear = |part: &NormBox| clearness(frame, part);
            let chosen = cascade.chooser.choose(frame.time, size, &candidates, clear);
            for choice in chosen {
                for (track, part) in choice.parts {
                    let who = candidates.iter().find(|c| Some(c.id) == track);
                    wishes.push(Wish {
                        model: cascade.model,
                        part,
                        class: who.map(|candidate| candidate.class),
                        question: Question {
                            at,
                            track,
                            cascade: cascade.id.clone(),
                            bounds: part,
                            gives: cascade.gives.clone(),
                            believed_from: cascade.believed_from,
                            failed: Arc::clone(&cascade.failed),
                            promise: Some((number, choice.track, frame.time)),
                            given_up: self.given_up.0.clone(),
                            _under_way: Arc::clone(if track.is_some() {
                                &token
                            } else {
                                &picture_token
                            }),
                        },
                    });
                }
            }
        }
        for (waiting, token) in [
            (&mut self.under_way, token),
            (&mut self.pictures_under_way, picture_token),
        ] {
            if Arc::strong_count(&token) > 1 {
                waiting.push_back(Arc::downgrade(&token));
            }
        }
        wishes
    }

    /// The scene has heard an answer of a cascade.
    pub(crate) fn answered(&mut self, cascade: &CascadeId) {
        if let Some(known) = self.list.iter_mut().find(|known| known.id == *cascade) {
            known.row.answered();
        }
    }

    /// Of which time the scene is to hear that looks were not answered; told once.
    pub(crate) fn take_unanswered(&mut self) -> Vec<Unanswered> {
        std::mem::take(&mut self.unanswered)
    }

    /// There was no room for a look on the way to the models.
    pub(crate) fn refuse(&mut self, cascade: &CascadeId) {
        if let Some(known) = self.list.iter_mut().find(|known| known.id == *cascade) {
            known.refused += 1;
        }
    }

    /// Why nobody was looked at, by cascade, and how often nothing was chosen
    /// because answers were waited for.
    pub(crate) fn passed(&self) -> (BTreeMap<CascadeId, Passed>, u64) {
        let of = |cascade: &Cascade| {
            let mut passed = cascade.chooser.passed();
            passed.busy += cascade.refused;
            (cascade.id.clone(), passed)
        };
        (self.list.iter().map(of).collect(), self.held_up)
    }
}

impl Question {
    /// Whose it is.
    pub(crate) const fn cascade(&self) -> &CascadeId {
        &self.cascade
    }

    /// Whether it is about the whole picture, and nobody in it.
    pub(crate) const fn is_of_the_picture(&self) -> bool {
        self.track.is_none()
    }

    /// What the scene learns of an answer, or of a failure: nothing.
    pub(crate) fn learnt(self, answer: Answer) -> Option<Input> {
        let error: &dyn std::fmt::Display = match &answer {
            Answer::Network(Err(error)) => error,
            Answer::Plates(Err(error)) => error,
            Answer::Network(Ok(_)) | Answer::Plates(Ok(_)) => {
                return match answer {
                    Answer::Network(answer) => self.answered(answer.ok()?),
                    Answer::Plates(answer) => Some(self.read(&answer.ok()?)),
                };
            }
        };
        // A model that fails does so on every look.
        if self.failed.fetch_add(1, Ordering::Relaxed) == 0 {
            tracing::error!(cascade = %self.cascade, frame = self.at.frame, %error, "a second look failed");
        }
        None
    }

    fn read(self, plates: &[PlateLook]) -> Input {
        self.found(Found::Plates(plates.iter().map(plate_text).collect()))
    }

    fn answered(self, answer: Answered) -> Option<Input> {
        let believed_from = self.believed_from;
        let gives = |class: ObjectClass| self.gives.contains(&class);
        let marks = |found: Vec<Detection>| Found::Marks {
            believed_from,
            items: found.into_iter().filter(|item| gives(item.class)).collect(),
        };
        let found = match answer {
            Answered::Detections(seen) => marks(seen.found),
            Answered::Faces(seen) => {
                let face = |face: heads::Face| Detection {
                    class: face.class,
                    score: face.score,
                    bounds: face.bounds,
                };
                marks(seen.found.into_iter().map(face).collect())
            }
            Answered::Labels(seen) => {
                let label = |label: heads::Label| {
                    let class = label.class.filter(|class| gives(*class))?;
                    let score = label.score;
                    Some(Label { class, score })
                };
                Found::Labels {
                    believed_from,
                    labels: seen.found.into_iter().filter_map(label).collect(),
                }
            }
            // Such networks are refused when the box starts.
            Answered::TextRegions(_) | Answered::Text(_) => return None,
        };
        Some(self.found(found))
    }

    fn found(mut self, found: Found) -> Input {
        self.promise = None;
        let look = SecondLook {
            at: self.at,
            track: self.track,
            cascade: self.cascade.clone(),
            bounds: self.bounds,
            found,
        };
        Input::SecondLook(look.canonical())
    }
}

impl Drop for Question {
    fn drop(&mut self) {
        if let Some(promise) = self.promise.take() {
            // Full: the chooser has looks enough to take again.
            self.given_up.try_send(promise).ok();
        }
    }
}

/// How clear a part of a frame is.
fn clearness(frame: &Frame, part: &NormBox) -> f64 {
    let Some(crop) = Crop::around(part, frame.width, frame.height) else {
        return 0.0;
    };
    let (x, y) = (crop.x as usize, crop.y as usize);
    let stride = frame.y_stride();
    let bytes = frame.y().get(y * stride + x..).unwrap_or_default();
    sharpness(Luma {
        bytes,
        stride,
        width: crop.width as usize,
        height: crop.height as usize,
    })
}
