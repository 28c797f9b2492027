//! What is written in a line.

use edge_inference::{DetectorError, FreeNetwork};
use models::heads::{self, Alphabet, Head, TextLine};
use models::{Colour, HeadError, Manifest, ModelId};

use crate::quad::Quad;
use crate::rectify::Source;
use crate::settings::ReaderError;

/// What may be written on a plate, and the marks between.
const SYMBOLS: &str = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZĐabcdefghijklmnopqrstuvwxyz-.·:•,'– ";

/// Widths of lines are padded to multiples of this, in pixels: few shapes keep the
/// runtime's memory small.
const WIDTH_STEP: u32 = 64;
/// Beyond this a line is squeezed.
const MOST_WIDTH: u32 = 512;

/// The recogniser.
#[derive(Debug)]
pub(crate) struct LineReader {
    network: FreeNetwork,
    alphabet: Alphabet,
    /// Its width is set anew for each line.
    manifest: Manifest,
    tensor: Vec<f32>,
}

impl LineReader {
    /// What computes.
    pub(crate) const fn network(&self) -> &FreeNetwork {
        &self.network
    }

    /// With the symbols that a plate may bear.
    pub(crate) fn new(network: FreeNetwork, model: &ModelId) -> Result<Self, ReaderError> {
        let Head::Ctc(head) = &network.manifest().head else {
            unreachable!("who loaded it asked for one that reads lines")
        };
        let metadata = head.metadata_key().and_then(|key| network.metadata(key));
        let alphabet = head
            .alphabet(metadata.as_deref())
            .map_err(|source| ReaderError::Alphabet {
                model: model.clone(),
                source,
            })?
            .only(|symbol| !symbol.is_empty() && symbol.chars().all(|c| SYMBOLS.contains(c)));
        Ok(Self {
            manifest: network.manifest().clone(),
            network,
            alphabet,
            tensor: Vec::new(),
        })
    }

    /// Height of what it sees, in pixels.
    pub(crate) fn height(&self) -> usize {
        self.manifest.input.height as usize
    }

    /// How wide a piece is in what it sees, in pixels.
    #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)] // clamped
    pub(crate) fn width_of(&self, quad: &Quad) -> usize {
        let width = self.height() as f64 * quad.width() / quad.height().max(1e-9);
        width.round().clamp(8.0, f64::from(MOST_WIDTH)) as usize
    }

    /// Reads pieces, one line each, each by itself: what else is in the picture must
    /// not change what a row says. In one batch they would be padded to the widest,
    /// and some providers compute a batch of two in another way than one of one.
    ///
    /// A row whose numbers are none is refused and told as [broken](TextLine::broken);
    /// where all are refused the network is blind, and the look fails.
    pub(crate) fn read(
        &mut self,
        source: &Source<'_>,
        pieces: &[Quad],
    ) -> Result<Vec<TextLine>, ReaderError> {
        let mut lines = Vec::with_capacity(pieces.len());
        let (mut refused, mut reason) = (0, None);
        for quad in pieces {
            match self.read_one(source, quad) {
                Ok(line) => lines.push(line),
                Err(error) => {
                    let Some(broken) = broken(&error) else {
                        return Err(error.into());
                    };
                    lines.push(TextLine {
                        broken,
                        ..TextLine::default()
                    });
                    refused += 1;
                    reason = Some(error);
                }
            }
        }
        match reason {
            Some(error) if refused == pieces.len() => Err(error.into()),
            _ => Ok(lines),
        }
    }

    fn read_one(&mut self, source: &Source<'_>, quad: &Quad) -> Result<TextLine, DetectorError> {
        let wide = self.width_of(quad);
        let input = &mut self.manifest.input;
        input.width = u32::try_from(wide)
            .unwrap_or(MOST_WIDTH)
            .next_multiple_of(WIDTH_STEP)
            .max(self.network.manifest().input.width);
        let (width, height) = (input.width as usize, input.height as usize);
        let plane = width * height;
        let tensor = &mut self.tensor;
        tensor.clear();
        tensor.resize(3 * plane, 0.0);
        let places = match input.colour {
            Colour::Rgb => [0, 1, 2],
            Colour::Bgr => [2, 1, 0],
        };
        for (place, channel) in tensor.chunks_exact_mut(plane).enumerate() {
            channel.fill((input.pad[place] - input.mean[place]) / input.std[place]);
        }
        source.each(quad, (wide, height), |x, y, point| {
            for (value, place) in source.rgb(point).into_iter().zip(places) {
                tensor[place * plane + y * width + x] =
                    (value - input.mean[place]) / input.std[place];
            }
        });
        let (manifest, alphabet) = (&self.manifest, &self.alphabet);
        self.network.run(manifest.input.shape(), tensor, |outputs| {
            heads::text(manifest, alphabet, outputs)
        })
    }
}

/// How many numbers of a row were none, where it was refused for that.
fn broken(error: &DetectorError) -> Option<usize> {
    match error {
        DetectorError::Output { source, .. } => match source {
            HeadError::NoNumbers { count, .. } => Some(*count),
            HeadError::NoProbabilities { .. } => Some(1),
            _ => None,
        },
        _ => None,
    }
}

#[cfg(test)]
mod tests;
