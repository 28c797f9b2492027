//! The engine: two networks and the room they work in.

use std::collections::BTreeMap;

use edge_inference::{
    DetectorError, DetectorSettings, FreeNetwork, ModelStore, Runtime, StoreError,
};
use models::heads::{self, Alphabet, AlphabetError, Head, TextLine, TextRegion};
use models::{
    Colour, Crop, ElementType, HeadError, Layout, Letterbox, Manifest, ModelId, PictureError,
    PictureView, TensorView,
};
use plates::{Circumstances, Glyph, Grammar, Patch, PlateColour, Reading, Refusal};
use protocol::NormBox;

use crate::assemble::{self, Group, Line};
use crate::ground;
use crate::look::{PlateLook, Row};
use crate::profile;
use crate::quad::Quad;
use crate::rectify::{Source, Ycc};

/// What may be written on a plate, and the marks between.
const SYMBOLS: &str = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZĐabcdefghijklmnopqrstuvwxyz-.·:•,'– ";

/// Networks and sizes.
#[derive(Clone, Debug, PartialEq)]
pub struct ReaderSettings {
    /// Finds writing.
    pub places: ModelId,
    /// Reads a line of it.
    pub lines: ModelId,
    /// Longer side of the picture that the detector of text sees, in pixels; a
    /// multiple of 32.
    pub long_side: u32,
    /// A region is made at most so many times larger to reach it.
    pub most_enlarged: f64,
    /// Regions of text that are read in one look, the surest first.
    pub most_regions: usize,
    /// A row of text lower than this in the picture, in pixels, is not read.
    pub least_row_px: f64,
}

impl Default for ReaderSettings {
    /// PP-OCRv4.
    fn default() -> Self {
        Self {
            places: "ppocr-v4-det".parse().expect("a name of the catalogue"),
            lines: "ppocr-v4-rec".parse().expect("a name of the catalogue"),
            long_side: 640,
            most_enlarged: 3.0,
            most_regions: 12,
            least_row_px: 7.0,
        }
    }
}

/// Where to look.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Region {
    /// A vehicle, or a whole picture.
    Vehicle(NormBox),
    /// A plate that something else found.
    Plate(NormBox),
}

/// Why there is no reader, or no look.
#[derive(Debug, thiserror::Error)]
pub enum ReaderError {
    /// A network is not here.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// A network does not load or does not run.
    #[error(transparent)]
    Network(#[from] DetectorError),
    /// A network that does something else.
    #[error("model {model} {does}; plates need one that {needed}: correct its name under [plates]")]
    Kind {
        /// Which.
        model: ModelId,
        /// What it does.
        does: String,
        /// What is needed.
        needed: &'static str,
    },
    /// Its symbols are not what the manifest says.
    #[error("model {model}: {source}")]
    Alphabet {
        /// Which.
        model: ModelId,
        /// What is wrong.
        source: AlphabetError,
    },
    /// The picture cannot be read.
    #[error(transparent)]
    Picture(#[from] PictureError),
}

/// Reads plates. One per thread.
#[derive(Debug)]
pub struct PlateReader {
    places: FreeNetwork,
    lines: FreeNetwork,
    alphabet: Alphabet,
    grammar: Grammar,
    settings: ReaderSettings,
    /// The detector's manifest and letterbox at each size that was needed.
    sizes: BTreeMap<(u32, u32), (Manifest, Letterbox)>,
    /// The recogniser's manifest, its width set anew for each batch.
    line_manifest: Manifest,
    room: Room,
}

/// Buffers that are used again.
#[derive(Debug, Default)]
struct Room {
    tensor: Vec<f32>,
    luma: Vec<f32>,
    points: Vec<Ycc>,
}

/// Height and least width of a piece when its rows are looked for, in pixels.
const PROFILE_HEIGHT: usize = 64;
/// Regions longer than this, beside their height, are one row: the longest of
/// two rows is 12 : 6, a few more for letters that hang askew.
const LONGEST_OF_TWO: f64 = 2.6;
/// Widths of a batch of lines are multiples of this, in pixels: few shapes keep the
/// runtime's memory small.
const WIDTH_STEP: u32 = 64;
/// Beyond this a line is squeezed.
const MOST_WIDTH: u32 = 512;
/// Rows nearer to the edge of what is seen than this part of their height may lack
/// a character: what parts two characters of a plate is no wider, and the rim of
/// a whole plate is not much narrower.
const CUT: f64 = 0.1;
/// How much of its surroundings a region is given.
const MARGIN_OF_VEHICLE: f64 = 0.03;
const MARGIN_OF_PLATE: f64 = 0.25;

impl PlateReader {
    /// Loads both networks from the store.
    pub fn load(
        runtime: &Runtime,
        store: &ModelStore,
        networks: &DetectorSettings,
        settings: ReaderSettings,
    ) -> Result<Self, ReaderError> {
        let load = |model: &ModelId, needed, is_right: fn(&Head) -> bool| {
            let (manifest, file) = store.find(model)?;
            let input = &manifest.input;
            if !is_right(&manifest.head)
                || !input.dynamic
                || input.layout != Layout::Nchw
                || input.element != ElementType::F32
            {
                let does = format!(
                    "is of kind `{}`{}",
                    manifest.head.kind(),
                    if input.dynamic {
                        ""
                    } else {
                        " and of one size"
                    }
                );
                return Err(ReaderError::Kind {
                    model: model.clone(),
                    does,
                    needed,
                });
            }
            Ok(FreeNetwork::load(runtime, manifest, &file, networks)?)
        };
        let places = load(
            &settings.places,
            "finds text in pictures of any size",
            |head| matches!(head, Head::TextRegions(_)),
        )?;
        let lines = load(
            &settings.lines,
            "reads lines of text of any width",
            |head| matches!(head, Head::Ctc(_)),
        )?;
        let Head::Ctc(head) = &lines.manifest().head else {
            unreachable!("checked above")
        };
        let metadata = head.metadata_key().and_then(|key| lines.metadata(key));
        let alphabet = head
            .alphabet(metadata.as_deref())
            .map_err(|source| ReaderError::Alphabet {
                model: settings.lines.clone(),
                source,
            })?
            .only(|symbol| !symbol.is_empty() && symbol.chars().all(|c| SYMBOLS.contains(c)));
        Ok(Self {
            line_manifest: lines.manifest().clone(),
            places,
            lines,
            alphabet,
            grammar: Grammar::vietnam(),
            settings,
            sizes: BTreeMap::new(),
            room: Room::default(),
        })
    }

    /// The grammar that looks are read by; votes need the same.
    pub fn grammar(&self) -> &Grammar {
        &self.grammar
    }

    /// All plates in a region, the surest first, then what looks like one and was refused.
    ///
    /// `known` is what the caller knows: the vehicle's class. A colour given
    /// there comes before the one that is measured.
    pub fn read<'p>(
        &mut self,
        picture: impl Into<PictureView<'p>>,
        region: Region,
        known: Circumstances,
    ) -> Result<Vec<PlateLook>, ReaderError> {
        let picture = picture.into();
        picture.check()?;
        let size = (picture.width(), picture.height());
        let (bounds, margin) = match region {
            Region::Vehicle(bounds) => (bounds, MARGIN_OF_VEHICLE),
            Region::Plate(bounds) => (bounds, MARGIN_OF_PLATE),
        };
        let Some(crop) = Crop::around(&grown(&bounds, margin), size.0, size.1) else {
            return Ok(Vec::new());
        };
        let source = Source::new(&picture);
        let mut quads: Vec<Quad> = self
            .find(&picture, crop)?
            .iter()
            .map(|region| Quad::of(&region.corners, size))
            .filter(|quad| quad.height() >= self.settings.least_row_px)
            .take(self.settings.most_regions)
            .collect();
        if let (Region::Plate(bounds), true) = (region, quads.is_empty()) {
            quads.push(Quad::upright(&bounds, size));
        }
        let regions = self.recognise(&source, &quads, size)?;
        let aspect = f64::from(size.0) / f64::from(size.1);
        let chroma_around = chroma(&source, &Quad::upright(&bounds, size));
        let mut colours: Vec<(Quad, Option<PlateColour>)> = Vec::new();
        let grammar = &self.grammar;
        let points = &mut self.room.points;
        let edges = [
            [crop.x, crop.y].map(f64::from),
            [crop.x + crop.width, crop.y + crop.height].map(f64::from),
        ];
        let groups = assemble::plates(&regions, aspect, |rows, lines| {
            let is_cut = |line: &Line| {
                let margin = CUT * line.quad.height();
                line.quad.reaches_edge(edges[0], edges[1], margin)
            };
            if lines.iter().any(is_cut) {
                return Err(Refusal::Cut);
            }
            let quads: Vec<Quad> = lines.iter().map(|line| line.quad).collect();
            let measured = Quad::around(&quads).and_then(|whole| {
                if let Some((_, colour)) = colours.iter().find(|(quad, _)| *quad == whole) {
                    return *colour;
                }
                let colour = colour(&source, &whole, chroma_around, points);
                colours.push((whole, colour));
                colour
            });
            let known = Circumstances {
                colour: known.colour.or(measured),
                ..known
            };
            let reading = plates::read(grammar, rows, known)?;
            if known.colour.is_none() && is_only_red(grammar, &reading) {
                return Err(Refusal::NotOnThisVehicle);
            }
            Ok(reading)
        });
        Ok(groups
            .into_iter()
            .filter_map(|group| self.look(&source, group, size, &colours))
            .collect())
    }

    /// Writing in a crop, the surest first.
    fn find(
        &mut self,
        picture: &PictureView<'_>,
        crop: Crop,
    ) -> Result<Vec<TextRegion>, ReaderError> {
        let size = self.input_size(crop);
        let whole = (picture.width(), picture.height());
        let (manifest, letterbox) = match self.sizes.entry(size) {
            std::collections::btree_map::Entry::Occupied(entry) => entry.into_mut(),
            std::collections::btree_map::Entry::Vacant(entry) => {
                let mut manifest = self.places.manifest().clone();
                (manifest.input.width, manifest.input.height) = size;
                let letterbox = Letterbox::of_crop(whole, crop, &manifest.input)?;
                entry.insert((manifest, letterbox))
            }
        };
        letterbox.aim(whole, crop)?;
        let tensor = &mut self.room.tensor;
        tensor.clear();
        tensor.resize(manifest.input.len(), 0.0);
        letterbox.fill(*picture, &mut tensor[..])?;
        let found = self.places.run(manifest.input.shape(), tensor, |outputs| {
            heads::text_regions(manifest, letterbox, outputs)
        })?;
        Ok(found.found)
    }

    /// What the detector's input must be for a crop: its longer side as set, unless
    /// that would blow the crop up; the shorter one as needed.
    #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)] // sizes of pictures
    fn input_size(&self, crop: Crop) -> (u32, u32) {
        let longer = f64::from(crop.width.max(crop.height));
        let scale = (f64::from(self.settings.long_side) / longer).min(self.settings.most_enlarged);
        let side = |pixels: u32| {
            let wanted = (f64::from(pixels) * scale / 32.0).ceil() as u32 * 32;
            wanted.clamp(64, self.settings.long_side.max(64).next_multiple_of(32))
        };
        (side(crop.width), side(crop.height))
    }

    /// Reads every piece as one line, and as two rows where it has a gap.
    fn recognise(
        &mut self,
        source: &Source<'_>,
        quads: &[Quad],
        size: (u32, u32),
    ) -> Result<Vec<assemble::Region>, ReaderError> {
        let mut pieces: Vec<Quad> = quads.to_vec();
        let mut halves: Vec<Option<usize>> = Vec::with_capacity(quads.len());
        for quad in quads {
            let gap = self.gap(source, quad);
            halves.push(gap.map(|_| pieces.len()));
            if let Some((upper, lower)) = gap {
                pieces.push(quad.part(0.0, upper));
                pieces.push(quad.part(lower, 1.0));
            }
        }
        let texts = self.lines(source, &pieces)?;
        let line = |number: usize| Line {
            quad: pieces[number],
            patch: Patch {
                glyphs: Glyph::of_line(&texts[number]),
                corners: pieces[number].points(size),
            },
        };
        Ok(halves
            .iter()
            .enumerate()
            .map(|(number, first)| assemble::Region {
                whole: line(number),
                halves: first.map(|first| [line(first), line(first + 1)]),
            })
            .collect())
    }

    /// The gap between two rows of a piece.
    fn gap(&mut self, source: &Source<'_>, quad: &Quad) -> Option<(f64, f64)> {
        let ratio = quad.width() / quad.height();
        if !(ratio > 0.0 && ratio < LONGEST_OF_TWO) {
            return None;
        }
        #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)] // below 64 · 2.6
        let width = (PROFILE_HEIGHT as f64 * ratio).ceil() as usize;
        source.luma(quad, (width, PROFILE_HEIGHT), &mut self.room.luma);
        profile::gap(&self.room.luma, width)
    }

    /// Reads pieces, one line each, in one batch.
    fn lines(
        &mut self,
        source: &Source<'_>,
        pieces: &[Quad],
    ) -> Result<Vec<TextLine>, ReaderError> {
        if pieces.is_empty() {
            return Ok(Vec::new());
        }
        let height = self.line_manifest.input.height;
        #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)] // clamped
        let width_of = |quad: &Quad| {
            let width = f64::from(height) * quad.width() / quad.height().max(1e-9);
            width.round().clamp(8.0, f64::from(MOST_WIDTH)) as usize
        };
        let widest = pieces.iter().map(width_of).max().unwrap_or(0);
        let input = &mut self.line_manifest.input;
        input.width = u32::try_from(widest)
            .unwrap_or(MOST_WIDTH)
            .next_multiple_of(WIDTH_STEP)
            .max(self.lines.manifest().input.width);
        let (width, height) = (input.width as usize, height as usize);
        let plane = width * height;
        let tensor = &mut self.room.tensor;
        tensor.clear();
        // The mean of the padding, as the manifest has it, is 0 after normalising.
        tensor.resize(pieces.len() * 3 * plane, 0.0);
        let places = match input.colour {
            Colour::Rgb => [0, 1, 2],
            Colour::Bgr => [2, 1, 0],
        };
        for (quad, line) in pieces.iter().zip(tensor.chunks_exact_mut(3 * plane)) {
            for (place, channel) in line.chunks_exact_mut(plane).enumerate() {
                channel.fill((input.pad[place] - input.mean[place]) / input.std[place]);
            }
            source.each(quad, (width_of(quad), height), |x, y, point| {
                for (value, place) in source.rgb(point).into_iter().zip(places) {
                    line[place * plane + y * width + x] =
                        (value - input.mean[place]) / input.std[place];
                }
            });
        }
        let shape = [pieces.len(), 3, height, width];
        let (manifest, alphabet) = (&self.line_manifest, &self.alphabet);
        Ok(self.lines.run(shape, tensor, |outputs| {
            each_of_batch(outputs, pieces.len(), |outputs| {
                heads::text(manifest, alphabet, outputs)
            })
        })?)
    }

    fn look(
        &mut self,
        source: &Source<'_>,
        group: Group,
        size: (u32, u32),
        colours: &[(Quad, Option<PlateColour>)],
    ) -> Option<PlateLook> {
        let quads: Vec<Quad> = group.lines.iter().map(|line| line.quad).collect();
        let whole = Quad::around(&quads)?;
        let heights: f64 = quads.iter().map(Quad::height).sum();
        let colour = colours.iter().find(|(quad, _)| *quad == whole);
        let sharpness = self.sharpness(source, &quads);
        Some(PlateLook {
            corners: whole.points(size),
            bounds: whole.bounds(size),
            rows: group
                .lines
                .into_iter()
                .map(|line| Row {
                    corners: line.patch.corners,
                    glyphs: line.patch.glyphs,
                })
                .collect(),
            reading: group.reading,
            colour: colour.and_then(|(_, colour)| *colour),
            row_height_px: heights / quads.len() as f64,
            sharpness,
        })
    }

    /// The steepest twentieth of edges beside the contrast, the mean of all rows.
    fn sharpness(&mut self, source: &Source<'_>, rows: &[Quad]) -> f64 {
        let height = self.line_manifest.input.height as usize;
        let luma = &mut self.room.luma;
        let mut sum = 0.0;
        for quad in rows {
            #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)] // clamped
            let width = (height as f64 * quad.width() / quad.height().max(1e-9))
                .clamp(8.0, f64::from(MOST_WIDTH)) as usize;
            source.luma(quad, (width, height), luma);
            let mut steps: Vec<f32> = luma
                .chunks_exact(width)
                .flat_map(|row| row.windows(2).map(|pair| (pair[1] - pair[0]).abs()))
                .collect();
            let steep = at_share(&mut steps, 0.95);
            let contrast = at_share(luma, 0.95) - at_share(luma, 0.05);
            sum += f64::from(steep / contrast.max(1.0)).clamp(0.0, 1.0);
        }
        sum / rows.len().max(1) as f64
    }
}

/// Whether only the army has such a plate. Two letters and four digits are also
/// what remains of `67-FB 2113` without its first two, so red must have been seen.
fn is_only_red(grammar: &Grammar, reading: &Reading) -> bool {
    let forms = reading.best().map_or(&[][..], |best| &best.forms);
    let is_red = |form: &usize| grammar.forms()[*form].colours == [PlateColour::Red];
    !forms.is_empty() && forms.iter().all(is_red)
}

/// The value below which a share of all lies.
#[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)] // a place in the list
fn at_share(values: &mut [f32], share: f64) -> f32 {
    if values.is_empty() {
        return 0.0;
    }
    let place = ((values.len() - 1) as f64 * share) as usize;
    *values.select_nth_unstable_by(place, f32::total_cmp).1
}

/// Mean amount of chroma in a piece.
fn chroma(source: &Source<'_>, quad: &Quad) -> f32 {
    let (mut sum, mut count) = (0.0, 0_u16);
    source.each(quad, (24, 24), |_, _, [_, u, v]| {
        sum += u.hypot(v);
        count += 1;
    });
    sum / f32::from(count.max(1))
}

/// The ground's colour of a plate.
fn colour(
    source: &Source<'_>,
    whole: &Quad,
    chroma_around: f32,
    points: &mut Vec<Ycc>,
) -> Option<PlateColour> {
    points.clear();
    source.each(whole, (48, 32), |_, _, point| points.push(point));
    ground::colour(ground::Seen {
        plate: points,
        chroma_around,
    })
}

/// A box grown on every side by a part of its size.
fn grown(bounds: &NormBox, by: f64) -> NormBox {
    NormBox {
        x: bounds.x - by * bounds.width,
        y: bounds.y - by * bounds.height,
        width: bounds.width * (1.0 + 2.0 * by),
        height: bounds.height * (1.0 + 2.0 * by),
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
