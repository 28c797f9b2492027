//! A network whose input differs from look to look: several crops at once, or
//! lines of several widths.
//!
//! What goes in is filled by the caller, and what comes out is read by the
//! caller with a head of `models`; here is only what lies between. For
//! pictures and parts of them there are [`Network`](crate::Network) and [`Detector`](crate::Detector).

use std::path::Path;
use std::time::Instant;

use models::{HeadError, I420View, Letterbox, Manifest, TensorView};
use ort::session::Session;
use ort::value::TensorRef;

use crate::error::DetectorError;
use crate::network::loss::{self, Origin, Standing};
use crate::network::open::open_from;
use crate::network::tensors::Outputs;
use crate::network::{Answered, Reader};
use crate::provider::{Placement, Provider};
use crate::runtime::Runtime;
use crate::session::{DetectorSettings, Refusal, one_line};
use crate::store::Examinee;

/// A model ready to be given tensors.
#[derive(Debug)]
pub struct FreeNetwork {
    manifest: Manifest,
    session: Session,
    outputs: Outputs,
    provider: Provider,
    placement: Option<Placement>,
    standing: Standing,
}

impl FreeNetwork {
    /// Loads a model, runs it once on zeros and reads what it says with its own head, so
    /// that a file that does not fit its manifest is found out now.
    #[allow(clippy::needless_pass_by_value)] // who loads a model has done with its manifest
    pub fn load(
        runtime: &Runtime,
        manifest: Manifest,
        file: &Path,
        settings: &DetectorSettings,
    ) -> Result<Self, DetectorError> {
        let origin = if manifest.input.dynamic {
            Origin::new(runtime, file, &settings.for_many_sizes())
        } else {
            Origin::new(runtime, file, settings)
        };
        Self::open(&manifest, origin, Vec::new())
    }

    fn open(
        manifest: &Manifest,
        mut origin: Origin,
        refusals: Vec<Refusal>,
    ) -> Result<Self, DetectorError> {
        let opened = open_from(&origin, manifest, refusals)?;
        origin.place = opened.place;
        Ok(Self {
            manifest: manifest.clone(),
            session: opened.session,
            outputs: Outputs::of(manifest),
            provider: opened.provider,
            placement: opened.placement,
            standing: Standing::new(origin, opened.refusals),
        })
    }

    /// What the model is.
    pub fn manifest(&self) -> &Manifest {
        &self.manifest
    }

    /// What computes: the name of ONNX Runtime's execution provider.
    pub fn provider(&self) -> &'static str {
        self.provider.name()
    }

    /// The same, as configurations name it.
    pub fn computes_on(&self) -> Provider {
        self.provider
    }

    /// Who computed at the first run; none where the runtime did not say, and the
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

    /// Why nothing computes it any more in this process; see [`Network::forlorn`](crate::Network::forlorn).
    pub fn forlorn(&self) -> Option<String> {
        self.standing.forlorn(Instant::now())
    }

    /// The text under a key of the file's own metadata.
    pub fn metadata(&self, key: &str) -> Option<String> {
        self.session.metadata().ok()?.custom(key)
    }

    /// Runs the network on `tensor`, whose numbers lie in the order of `shape`
    /// (batch first), and lets `read` read the outputs that the head names.
    pub fn run<T>(
        &mut self,
        shape: [usize; 4],
        tensor: &[f32],
        read: impl FnOnce(&[TensorView<'_>]) -> Result<T, HeadError>,
    ) -> Result<T, DetectorError> {
        let (outputs, session) = (&mut self.outputs, &mut self.session);
        let outcome = run(&self.manifest, outputs, session, (shape, tensor), read);
        if let Some(lost) = self
            .standing
            .note(outcome.as_ref().map(|_| ()), self.provider)
        {
            let before = self.provider;
            let anew = Self::open(&self.manifest, lost.origin, lost.refusals);
            let told = anew.as_ref().map(|anew| anew.provider);
            loss::tell(&self.manifest.id, before, told, &lost.reason);
            match anew {
                Ok(anew) => {
                    let standing = anew.standing.with_losses_of(&self.standing);
                    *self = Self { standing, ..anew };
                }
                Err(error) => self.standing.not_loaded_anew(&error, Instant::now()),
            }
        }
        outcome
    }
}

impl DetectorSettings {
    /// The same for a network whose input is of another size from look to look.
    ///
    /// TensorRT is left out: for each size that it has not had it makes an engine first, which
    /// takes from seconds to minutes, on the thread that looks for all cameras. CUDA is told to
    /// choose its ways to compute without measuring them.
    #[must_use]
    pub fn for_many_sizes(&self) -> Self {
        let mut settings = self.clone();
        settings.options.many_sizes = true;
        let is_it = |left: &Refusal| left.provider == Provider::TensorRt;
        if !settings.left.iter().any(is_it) {
            settings.left.push(Refusal {
                provider: Provider::TensorRt,
                reason: "it would stop all cameras to make an engine for each new size of what this network looks at; \
                         name another behind it, `provider = [\"tensorrt\", \"cuda\", \"cpu\"]`"
                    .to_owned(),
            });
        }
        settings
    }
}

impl Examinee for FreeNetwork {
    fn manifest(&self) -> &Manifest {
        self.manifest()
    }

    fn provider(&self) -> &'static str {
        self.provider()
    }

    /// In an input of the size that the manifest names.
    fn answer(&mut self, picture: &I420View<'_>) -> Result<Answered, DetectorError> {
        let reader = Reader::of(&self.manifest, &self.session)?;
        let input = &self.manifest.input;
        let mut letterbox = Letterbox::new(picture.width, picture.height, input)?;
        let mut tensor = vec![0.0; input.len()];
        letterbox.fill(picture, &mut tensor[..])?;
        self.run(input.shape(), &tensor, |outputs| {
            reader.answered(&letterbox, outputs)
        })
    }
}

fn run<T>(
    manifest: &Manifest,
    outputs: &mut Outputs,
    session: &mut Session,
    (shape, tensor): ([usize; 4], &[f32]),
    read: impl FnOnce(&[TensorView<'_>]) -> Result<T, HeadError>,
) -> Result<T, DetectorError> {
    let failed = |error: ort::Error| DetectorError::Inference {
        model: manifest.id.clone(),
        message: one_line(error.message()),
    };
    let input = TensorRef::from_array_view((shape, tensor)).map_err(failed)?;
    let values = session
        .run(ort::inputs![manifest.input.tensor.as_str() => input])
        .map_err(failed)?;
    let given = outputs.read(&values, 1).map_err(failed)?;
    read(&given.of(0)).map_err(|source| DetectorError::Output {
        model: manifest.id.clone(),
        // With the names that the file has, and not only those that were asked for.
        source: match source {
            HeadError::Missing { head, wanted, .. } => HeadError::Missing {
                head,
                wanted,
                found: given.names(),
            },
            other => other,
        },
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::provider::ProviderChoice;

    #[test]
    fn with_many_sizes_tensorrt_is_left_to_the_next_of_the_list() {
        let settings = DetectorSettings {
            providers: ProviderChoice::Listed(vec![Provider::TensorRt, Provider::Cpu]),
            ..DetectorSettings::default()
        };
        // Told twice it is once.
        let settings = settings.for_many_sizes().for_many_sizes();
        assert!(settings.options.many_sizes);
        let left: Vec<Provider> = settings.left.iter().map(|left| left.provider).collect();
        assert_eq!(left, [Provider::TensorRt]);
    }
}
