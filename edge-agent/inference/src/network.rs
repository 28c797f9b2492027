//! One model at work: pictures, or parts of pictures, in; its head's answers out.
//!
//! One session per network and one network per worker thread, because a
//! session's `run` is exclusive. One thread inside by default, without spinning:
//! a box has more cameras than cores, and a second thread made a picture of
//! 320 × 320 cost 38 ms of processor time instead of 34 (with spinning: 70).
//!
//! Buffers live as long as the network: the input tensor for the largest batch,
//! and a letterbox for each place in it.

mod batches;
mod likeness;
mod looks;
pub(crate) mod loss;
pub(crate) mod open;
pub(crate) mod tensors;

use std::path::Path;
use std::time::Instant;

use models::heads::{
    self, Alphabet, Answer, Answers, Face, Head, HeadError, Label, TextLine, TextRegion,
};
use models::{Crop, I420View, Letterbox, Manifest, PictureError, PictureView, TensorView};
use ort::session::Session;
use protocol::{Detection, NormBox};

use crate::error::DetectorError;
use crate::provider::{Placement, Provider};
use crate::runtime::Runtime;
use crate::session::{DetectorSettings, Refusal, one_line};
use crate::store::Examinee;

use loss::{Origin, Standing};
use tensors::{Outputs, Tensor};

/// A picture, or a part of one, that a network is to look at.
#[derive(Clone, Copy, Debug)]
pub struct Look<'a> {
    picture: PictureView<'a>,
    crop: Crop,
}

impl<'a> Look<'a> {
    /// At all of a picture.
    pub fn whole(picture: impl Into<PictureView<'a>>) -> Self {
        let picture = picture.into();
        Self {
            crop: Crop::whole(picture.width(), picture.height()),
            picture,
        }
    }

    /// At these pixels of it. A crop that does not lie in the picture is an error when it is looked at.
    pub fn crop(picture: impl Into<PictureView<'a>>, crop: Crop) -> Self {
        Self {
            picture: picture.into(),
            crop,
        }
    }

    /// At the pixels of it that a box touches (fractions of the picture). A box
    /// that lies outside, or is none, is an error when it is looked at.
    pub fn part(picture: impl Into<PictureView<'a>>, bounds: &NormBox) -> Self {
        let picture = picture.into();
        let crop = Crop::around(bounds, picture.width(), picture.height());
        Self::crop(picture, crop.unwrap_or(Crop::whole(0, 0)))
    }
}

/// What a network answers, by its head; places in fractions of the whole picture.
#[derive(Clone, Debug, PartialEq)]
pub enum Answered {
    /// Boxes with a class.
    Detections(Answers<Detection>),
    /// Faces with their points.
    Faces(Answers<Face>),
    /// Classes of what was looked at.
    Labels(Answers<Label>),
    /// Places where something is written.
    TextRegions(Answers<TextRegion>),
    /// What is written.
    Text(TextLine),
}

impl Answered {
    /// How many of its numbers were none, see [`Answers::broken`].
    pub const fn broken(&self) -> usize {
        match self {
            Self::Detections(answers) => answers.broken,
            Self::Faces(answers) => answers.broken,
            Self::Labels(answers) => answers.broken,
            Self::TextRegions(answers) => answers.broken,
            Self::Text(line) => line.broken,
        }
    }
}

/// A model ready to look.
#[derive(Debug)]
pub struct Network {
    reader: Reader,
    session: Session,
    /// The input, written anew for each look; room for the largest batch.
    input: Tensor,
    /// The plan for each place in a batch.
    letterboxes: Vec<Letterbox>,
    outputs: Outputs,
    batch: usize,
    batch_limit: Option<String>,
    /// Batches in a row that failed although each of their pictures was computed alone.
    failed_batches: u32,
    provider: Provider,
    placement: Option<Placement>,
    standing: Standing,
}

/// How the network's numbers are read.
#[derive(Debug)]
pub(crate) struct Reader {
    manifest: Manifest,
    /// The symbols of a head that reads text.
    alphabet: Option<Alphabet>,
}

impl Network {
    /// Loads a model and looks once at an empty picture, so that a file that
    /// does not fit its manifest is found out now and not at the first car.
    #[allow(clippy::needless_pass_by_value)] // who loads a model has done with its manifest
    pub fn load(
        runtime: &Runtime,
        manifest: Manifest,
        file: &Path,
        settings: &DetectorSettings,
    ) -> Result<Self, DetectorError> {
        let origin = Origin::new(runtime, file, settings);
        Self::open(&manifest, origin, Vec::new())
    }

    /// On the first provider that works, from the place in the list on that
    /// `origin` names; `refusals` are of those before it.
    fn open(
        manifest: &Manifest,
        mut origin: Origin,
        refusals: Vec<Refusal>,
    ) -> Result<Self, DetectorError> {
        let opened = open::open_from(&origin, manifest, refusals)?;
        let (input, batch) = (&manifest.input, origin.settings.batch);
        origin.place = opened.place;
        let mut network = Self {
            reader: opened.reader,
            input: Tensor::new(input, 1),
            letterboxes: vec![Letterbox::new(input.width, input.height, input)?],
            outputs: Outputs::of(manifest),
            batch: 1,
            batch_limit: None,
            failed_batches: 0,
            provider: opened.provider,
            placement: opened.placement,
            session: opened.session,
            standing: Standing::new(origin, opened.refusals),
        };
        network.prove_batches(batch);
        Ok(network)
    }

    /// Looks at each, and answers as the head does; one answer per look, in
    /// their order. A look that fails is no reason for another to fail.
    pub fn answer_batch(&mut self, looks: &[Look<'_>]) -> Vec<Result<Answered, DetectorError>> {
        self.look_with(looks, Reader::answered)
    }

    /// Looks at each and lets `read` read what the network says: its own head by
    /// another function of [`models::heads`].
    pub fn look<T>(
        &mut self,
        looks: &[Look<'_>],
        read: impl Fn(&Manifest, &Letterbox, &[TensorView<'_>]) -> Result<T, HeadError>,
    ) -> Vec<Result<T, DetectorError>> {
        self.look_with(looks, |reader, letterbox, outputs| {
            read(&reader.manifest, letterbox, outputs)
        })
    }

    /// What the model is.
    pub fn manifest(&self) -> &Manifest {
        &self.reader.manifest
    }

    /// How many looks it computes at once; more are taken one batch after the
    /// other. Every size up to this one has been shown to give the same bits.
    pub fn batch(&self) -> usize {
        self.batch
    }

    /// Why it is not as many as [`DetectorSettings::batch`] asks for.
    pub fn batch_limit(&self) -> Option<&str> {
        self.batch_limit.as_deref()
    }

    /// What computes: the name of ONNX Runtime's execution provider.
    pub fn provider(&self) -> &'static str {
        self.provider.name()
    }

    /// The same, as configurations name it.
    pub fn computes_on(&self) -> Provider {
        self.provider
    }

    /// Who computed the first picture; none where the runtime did not say, and the
    /// settings allow that.
    pub fn placement(&self) -> Option<&Placement> {
        self.placement.as_ref()
    }

    /// Providers that come before this one by configuration and do not work, with the reason.
    pub fn refusals(&self) -> &[Refusal] {
        &self.standing.refusals
    }

    /// How often the provider was lost at work, and the network loaded anew, on
    /// the next provider of the list if there is one.
    pub fn losses(&self) -> u64 {
        self.standing.losses()
    }

    /// Why nothing computes it any more in this process, and nothing has for a good while: a
    /// provider was lost, no other takes its place, and each attempt to load the network anew
    /// has failed. A process that begins anew may have the device again.
    pub fn forlorn(&self) -> Option<String> {
        self.standing.forlorn(Instant::now())
    }

    #[cfg(test)]
    pub(crate) fn forlorn_at(&self, now: Instant) -> Option<String> {
        self.standing.forlorn(now)
    }

    /// Refuses a head that has no boxes.
    pub(crate) fn expect_boxes(&self) -> Result<(), DetectorError> {
        let head = &self.manifest().head;
        let reads = head.answer();
        if matches!(reads, Answer::Detections | Answer::Faces) {
            return Ok(());
        }
        let source = HeadError::Kind {
            head: head.kind(),
            reads,
            asked: Answer::Detections,
        };
        Err(self.reader.misfit(source, String::new))
    }

    fn look_with<T>(
        &mut self,
        looks: &[Look<'_>],
        read: impl Fn(&Reader, &Letterbox, &[TensorView<'_>]) -> Result<T, HeadError>,
    ) -> Vec<Result<T, DetectorError>> {
        let mut answers: Vec<Option<Result<T, DetectorError>>> = Vec::with_capacity(looks.len());
        // Which look lies in which place of the batch.
        let mut placed = Vec::with_capacity(self.batch);
        let mut rest = looks.iter().enumerate();
        loop {
            placed.clear();
            while placed.len() < self.batch
                && let Some((number, look)) = rest.next()
            {
                // Those that cannot be read are no reason not to compute the others.
                let filled = self.fill(placed.len(), look);
                answers.push(filled.err().map(|error| Err(error.into())));
                if answers[number].is_none() {
                    placed.push(number);
                }
            }
            if placed.is_empty() {
                break;
            }
            let outcome = self.compute(placed.len(), &read);
            self.note(&outcome, placed.len());
            match outcome {
                Ok(seen) => {
                    if placed.len() > 1 {
                        self.failed_batches = 0;
                    }
                    for (number, answer) in placed.iter().zip(seen) {
                        answers[*number] = Some(answer);
                    }
                }
                // One of them may be what the network fails on; the others are not to suffer.
                Err(error) if placed.len() > 1 => {
                    for number in &placed {
                        answers[*number] = Some(self.look_alone(&looks[*number], &read));
                    }
                    if placed
                        .iter()
                        .all(|number| matches!(answers[*number], Some(Ok(_))))
                    {
                        self.failed_together(placed.len(), &error);
                    }
                }
                Err(error) => answers[placed[0]] = Some(Err(error)),
            }
        }
        let answers = answers.into_iter();
        answers
            .map(|answer| answer.expect("every look was computed or refused"))
            .collect()
    }

    /// Notes how a run of `size` pictures went. One of several that fails is tried
    /// again alone before anybody is blamed.
    fn note<T>(
        &mut self,
        outcome: &Result<Vec<Result<T, DetectorError>>, DetectorError>,
        size: usize,
    ) {
        let outcome = match outcome {
            Err(_) if size > 1 => return,
            Err(error) => Err(error),
            // Nothing at all was what it must be: that is no picture's fault.
            Ok(answers) => match answers.first() {
                Some(Err(first)) if answers.iter().all(is_nonsense) => Err(first),
                _ => Ok(()),
            },
        };
        let Some(lost) = self.standing.note(outcome, self.provider) else {
            return;
        };
        let (model, before) = (self.manifest().id.clone(), self.provider);
        let anew = Self::open(&self.reader.manifest, lost.origin, lost.refusals);
        let told = anew.as_ref().map(|anew| anew.provider);
        loss::tell(&model, before, told, &lost.reason);
        match anew {
            Ok(anew) => {
                let standing = anew.standing.with_losses_of(&self.standing);
                *self = Self { standing, ..anew };
            }
            Err(error) => self.standing.not_loaded_anew(&error, Instant::now()),
        }
    }

    fn look_alone<T>(
        &mut self,
        look: &Look<'_>,
        read: impl Fn(&Reader, &Letterbox, &[TensorView<'_>]) -> Result<T, HeadError>,
    ) -> Result<T, DetectorError> {
        self.fill(0, look)?;
        let outcome = self.compute(1, read);
        self.note(&outcome, 1);
        let mut seen = outcome?;
        seen.pop().expect("one answer for one picture")
    }

    /// Writes one look into its place in the input.
    fn fill(&mut self, place: usize, look: &Look<'_>) -> Result<(), PictureError> {
        let letterbox = &mut self.letterboxes[place];
        if !letterbox.fits(look.picture) || letterbox.crop() != look.crop {
            let size = (look.picture.width(), look.picture.height());
            letterbox.aim(size, look.crop)?;
        }
        self.input.fill(place, letterbox, look.picture)
    }

    /// Runs the network on the first `size` places of its input, and reads what
    /// it says of each.
    fn compute<T>(
        &mut self,
        size: usize,
        read: impl Fn(&Reader, &Letterbox, &[TensorView<'_>]) -> Result<T, HeadError>,
    ) -> Result<Vec<Result<T, DetectorError>>, DetectorError> {
        let Self {
            reader,
            session,
            input,
            letterboxes,
            outputs,
            ..
        } = self;
        let manifest = &reader.manifest;
        let failed = |error: ort::Error| DetectorError::Inference {
            model: manifest.id.clone(),
            message: one_line(error.message()),
        };
        let input = input.view(&manifest.input, size).map_err(failed)?;
        let values = session
            .run(ort::inputs![manifest.input.tensor.as_str() => input])
            .map_err(failed)?;
        let given = outputs.read(&values, size).map_err(failed)?;
        let answers = letterboxes.iter().take(size).enumerate();
        let answers = answers.map(|(place, letterbox)| {
            read(reader, letterbox, &given.of(place))
                .map_err(|source| reader.misfit(source, || given.names()))
        });
        Ok(answers.collect())
    }
}

impl Examinee for Network {
    fn manifest(&self) -> &Manifest {
        self.manifest()
    }

    fn provider(&self) -> &'static str {
        self.provider()
    }

    fn answer(&mut self, picture: &I420View<'_>) -> Result<Answered, DetectorError> {
        let mut answers = self.answer_batch(&[Look::whole(picture)]);
        answers.pop().expect("one answer for each look")
    }
}

impl Reader {
    pub(crate) fn of(manifest: &Manifest, session: &Session) -> Result<Self, DetectorError> {
        Ok(Self {
            manifest: manifest.clone(),
            alphabet: alphabet(manifest, session)?,
        })
    }

    /// What the head says of outputs; `names` are those that the file has, and not only those
    /// that were asked for.
    fn misfit(&self, source: HeadError, names: impl FnOnce() -> String) -> DetectorError {
        let source = match source {
            HeadError::Missing { head, wanted, .. } => HeadError::Missing {
                head,
                wanted,
                found: names(),
            },
            other => other,
        };
        DetectorError::Output {
            model: self.manifest.id.clone(),
            source,
        }
    }

    /// What the head makes of the outputs.
    pub(crate) fn answered(
        &self,
        letterbox: &Letterbox,
        outputs: &[TensorView<'_>],
    ) -> Result<Answered, HeadError> {
        let manifest = &self.manifest;
        Ok(match (manifest.head.answer(), &self.alphabet) {
            (Answer::Faces, _) => Answered::Faces(heads::faces(manifest, letterbox, outputs)?),
            (Answer::Labels, _) => Answered::Labels(heads::labels(manifest, outputs)?),
            (Answer::TextRegions, _) => {
                Answered::TextRegions(heads::text_regions(manifest, letterbox, outputs)?)
            }
            (Answer::Text, Some(alphabet)) => {
                Answered::Text(heads::text(manifest, alphabet, outputs)?)
            }
            // A head of text always has its alphabet; without one this is its error.
            (Answer::Detections | Answer::Text, _) => {
                Answered::Detections(heads::detections(manifest, letterbox, outputs)?)
            }
        })
    }
}

fn is_nonsense<T>(answer: &Result<T, DetectorError>) -> bool {
    answer.as_ref().is_err_and(DetectorError::is_nonsense)
}

/// The symbols of a head that reads text, from where its manifest says they are.
fn alphabet(manifest: &Manifest, session: &Session) -> Result<Option<Alphabet>, DetectorError> {
    let Head::Ctc(head) = &manifest.head else {
        return Ok(None);
    };
    let metadata = head
        .metadata_key()
        .and_then(|key| session.metadata().ok()?.custom(key));
    head.alphabet(metadata.as_deref())
        .map(Some)
        .map_err(|source| DetectorError::Alphabet {
            model: manifest.id.clone(),
            source,
        })
}
