//! What is written in a line.

use edge_inference::FreeNetwork;
use models::heads::{self, Alphabet, Head, TextLine};
use models::{Colour, HeadError, Manifest, ModelId, TensorView};

use crate::quad::Quad;
use crate::rectify::Source;
use crate::settings::ReaderError;

/// What may be written on a plate, and the marks between.
const SYMBOLS: &str = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZĐabcdefghijklmnopqrstuvwxyz-.·:•,'– ";

/// Widths of a batch of lines are multiples of this, in pixels: few shapes keep the
/// runtime's memory small.
const WIDTH_STEP: u32 = 64;
/// Beyond this a line is squeezed.
const MOST_WIDTH: u32 = 512;

/// The recogniser.
#[derive(Debug)]
pub(crate) struct LineReader {
    network: FreeNetwork,
    alphabet: Alphabet,
    /// Its width is set anew for each batch.
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

    /// Reads pieces, one line each, in one batch.
    pub(crate) fn read(
        &mut self,
        source: &Source<'_>,
        pieces: &[Quad],
    ) -> Result<Vec<TextLine>, ReaderError> {
        if pieces.is_empty() {
            return Ok(Vec::new());
        }
        let widths: Vec<usize> = pieces.iter().map(|quad| self.width_of(quad)).collect();
        let widest = widths.iter().copied().max().unwrap_or(0);
        let input = &mut self.manifest.input;
        input.width = u32::try_from(widest)
            .unwrap_or(MOST_WIDTH)
            .next_multiple_of(WIDTH_STEP)
            .max(self.network.manifest().input.width);
        let (width, height) = (input.width as usize, input.height as usize);
        let plane = width * height;
        let tensor = &mut self.tensor;
        tensor.clear();
        // The mean of the padding, as the manifest has it, is 0 after normalising.
        tensor.resize(pieces.len() * 3 * plane, 0.0);
        let places = match input.colour {
            Colour::Rgb => [0, 1, 2],
            Colour::Bgr => [2, 1, 0],
        };
        let lines = tensor.chunks_exact_mut(3 * plane);
        for ((quad, wide), line) in pieces.iter().zip(widths).zip(lines) {
            for (place, channel) in line.chunks_exact_mut(plane).enumerate() {
                channel.fill((input.pad[place] - input.mean[place]) / input.std[place]);
            }
            source.each(quad, (wide, height), |x, y, point| {
                for (value, place) in source.rgb(point).into_iter().zip(places) {
                    line[place * plane + y * width + x] =
                        (value - input.mean[place]) / input.std[place];
                }
            });
        }
        let shape = [pieces.len(), 3, height, width];
        let (manifest, alphabet) = (&self.manifest, &self.alphabet);
        Ok(self.network.run(shape, tensor, |outputs| {
            each_of_batch(outputs, pieces.len(), |outputs| {
                heads::text(manifest, alphabet, outputs)
            })
        })?)
    }
}

/// Reads each of a batch as if it were alone.
fn each_of_batch<T>(
    outputs: &[TensorView<'_>],
    count: usize,
    mut read: impl FnMut(&[TensorView<'_>]) -> Result<T, HeadError>,
) -> Result<Vec<T>, HeadError> {
    let mut found = Vec::with_capacity(count);
    for number in 0..count {
        let shapes: Vec<Vec<i64>> = outputs
            .iter()
            .map(|output| {
                let rest = output.shape.iter().skip(1).copied();
                std::iter::once(1).chain(rest).collect()
            })
            .collect();
        let views: Vec<TensorView<'_>> = outputs
            .iter()
            .zip(&shapes)
            .map(|(output, shape)| {
                let length = output.data.len() / count;
                TensorView {
                    name: output.name,
                    shape,
                    data: &output.data[number * length..(number + 1) * length],
                }
            })
            .collect();
        found.push(read(&views)?);
    }
    Ok(found)
}
