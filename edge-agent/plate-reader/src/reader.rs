//! The engine: two networks and the room they work in.

use edge_inference::{DetectorSettings, FreeNetwork, ModelStore, Runtime};
use models::heads::Answers;
use models::{Crop, PictureView};
use plates::{Circumstances, Glyph, Grammar, Patch, PlateColour, Reading, Refusal};
use protocol::NormBox;

use crate::appearance;
use crate::assemble::{self, Group, Line};
use crate::finder::TextFinder;
use crate::line_reader::LineReader;
use crate::look::{Piece, PlateLook};
use crate::profile;
use crate::quad::Quad;
use crate::rectify::{Source, Ycc};
use crate::settings::{Half, ReaderError, ReaderSettings};

/// Where to look.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Region {
    /// A vehicle, or a whole picture.
    Vehicle(NormBox),
    /// A plate that something else found.
    Plate(NormBox),
}

/// Reads plates. One per thread.
#[derive(Debug)]
pub struct PlateReader {
    finder: TextFinder,
    lines: LineReader,
    grammar: Grammar,
    settings: ReaderSettings,
    room: Room,
}

/// Buffers that are used again.
#[derive(Debug, Default)]
struct Room {
    luma: Vec<f32>,
    points: Vec<Ycc>,
}

/// Height and least width of a piece when its rows are looked for, in pixels.
const PROFILE_HEIGHT: usize = 64;
/// Regions longer than this, beside their height, are one row: the longest of
/// two rows is 12 : 6, a few more for letters that hang askew.
const LONGEST_OF_TWO: f64 = 2.6;
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
        let load = |half: Half, model| {
            let (manifest, file) = store.find(model)?;
            half.load(runtime, manifest, &file, networks)
        };
        let places = load(Half::Places, &settings.places)?;
        let lines = load(Half::Lines, &settings.lines)?;
        Self::of(places, lines, settings)
    }

    /// Of two networks that [`Half::load`] has loaded.
    pub fn of(
        places: FreeNetwork,
        lines: FreeNetwork,
        settings: ReaderSettings,
    ) -> Result<Self, ReaderError> {
        let halves = [(Half::Places, &places), (Half::Lines, &lines)];
        for (half, network) in halves {
            if let Some(misfit) = half.misfit(network.manifest()) {
                return Err(misfit);
            }
        }
        Ok(Self {
            finder: TextFinder::new(places, &settings),
            lines: LineReader::new(lines, &settings.lines)?,
            grammar: Grammar::vietnam(),
            settings,
            room: Room::default(),
        })
    }

    /// What computes: the detector of text, and the reader of lines.
    pub fn networks(&self) -> [&FreeNetwork; 2] {
        [self.finder.network(), self.lines.network()]
    }

    /// The grammar that looks are read by; votes need the same.
    pub fn grammar(&self) -> &Grammar {
        &self.grammar
    }

    /// All plates in a region, the surest first, then what looks like one and was refused.
    ///
    /// `known` is what the caller knows: the vehicle's class. A colour given
    /// there comes before the one that is measured.
    ///
    /// Beside them stands how many numbers of both networks were none. A row that
    /// has such numbers says nothing, and since nobody knows what it would have said,
    /// no plate of that look is without doubt.
    pub fn read<'p>(
        &mut self,
        picture: impl Into<PictureView<'p>>,
        region: Region,
        known: Circumstances,
    ) -> Result<Answers<PlateLook>, ReaderError> {
        let picture = picture.into();
        picture.check()?;
        let size = (picture.width(), picture.height());
        let (bounds, margin) = match region {
            Region::Vehicle(bounds) => (bounds, MARGIN_OF_VEHICLE),
            Region::Plate(bounds) => (bounds, MARGIN_OF_PLATE),
        };
        let Some(crop) = Crop::around(&grown(&bounds, margin), size.0, size.1) else {
            return Ok(Answers {
                found: Vec::new(),
                broken: 0,
            });
        };
        let source = Source::new(&picture);
        let written = self.finder.find(&picture, crop)?;
        let mut quads: Vec<Quad> = written
            .found
            .iter()
            .map(|region| Quad::of(&region.corners, size))
            .filter(|quad| quad.height() >= self.settings.least_row_px)
            .take(self.settings.most_regions)
            .collect();
        if let (Region::Plate(bounds), true) = (region, quads.is_empty()) {
            quads.push(Quad::upright(&bounds, size));
        }
        let read = self.recognise(&source, &quads, size)?;
        let (regions, broken) = (read.found, written.broken + read.broken);
        let aspect = f64::from(size.0) / f64::from(size.1);
        let chroma_around = appearance::chroma(&source, &Quad::upright(&bounds, size));
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
                let colour = appearance::colour(&source, &whole, chroma_around, points);
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
        let looks = groups
            .into_iter()
            .filter_map(|group| self.look(&source, group, size, &colours));
        Ok(Answers {
            found: looks.collect(),
            broken,
        })
    }

    /// Reads every piece as one line, and as two rows where it has a gap.
    fn recognise(
        &mut self,
        source: &Source<'_>,
        quads: &[Quad],
        size: (u32, u32),
    ) -> Result<Answers<assemble::Region>, ReaderError> {
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
        let texts = self.lines.read(source, &pieces)?;
        let broken = texts.iter().map(|text| text.broken).sum();
        let line = |number: usize| Line {
            quad: pieces[number],
            patch: Patch {
                glyphs: Glyph::of_line(&texts[number]),
                is_doubtful: broken > 0 || plates::may_have_more(&texts[number]),
                corners: pieces[number].points(size),
            },
        };
        let regions = halves
            .iter()
            .enumerate()
            .map(|(number, first)| assemble::Region {
                whole: line(number),
                halves: first.map(|first| [line(first), line(first + 1)]),
            });
        Ok(Answers {
            found: regions.collect(),
            broken,
        })
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
        let sharpness = appearance::sharpness(source, &quads, &self.lines, &mut self.room.luma);
        Some(PlateLook {
            corners: whole.points(size),
            bounds: whole.bounds(size),
            pieces: group
                .lines
                .into_iter()
                .map(|line| Piece {
                    corners: line.patch.corners,
                    glyphs: line.patch.glyphs,
                })
                .collect(),
            rows: group.rows,
            reading: group.reading,
            colour: colour.and_then(|(_, colour)| *colour),
            row_height_px: heights / quads.len() as f64,
            sharpness,
        })
    }
}

/// Whether only the army has such a plate. Two letters and four digits are also
/// what remains of `67-FB 2113` without its first two, so red must have been seen.
fn is_only_red(grammar: &Grammar, reading: &Reading) -> bool {
    let forms = reading.best().map_or(&[][..], |best| &best.forms);
    let is_red = |form: &usize| grammar.forms()[*form].colours == [PlateColour::Red];
    !forms.is_empty() && forms.iter().all(is_red)
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
