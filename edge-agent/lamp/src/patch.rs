//! A lamp region as numbers, whatever the picture's size, matrix and range.

use edge_core::{Lamp, LampLayout};
use models::{ColourMatrix, ColourRange, PictureView, PlaneView};

/// Smallest lamp region that is read, in pixels of either side.
const SMALLEST_REGION_PX: usize = 6;
/// Samples along either side at most: a region of any size costs the same.
const MOST_SAMPLES: usize = 96;
/// A channel above this has clipped: the others go on rising, and red turns yellow.
const CLIPPED: f64 = 0.97;

/// One sample. Red, green and blue from 0 to 1.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Sample {
    /// The brightest channel: unlike luma it treats all lamps alike.
    pub(crate) value: f64,
    /// The mean of the channels: it still falls off where the brightest has clipped.
    pub(crate) grey: f64,
    /// Colour as a vector: its direction is the hue, its length the chroma.
    pub(crate) chroma: [f64; 2],
    pub(crate) is_clipped: bool,
}

/// The region, in rows across the direction in which the lamps follow each other.
pub(crate) struct Patch {
    pub(crate) rows: Vec<Vec<Sample>>,
    /// How bright what surrounds the lamps is.
    pub(crate) housing: f64,
    /// The same in grey.
    pub(crate) grey_housing: f64,
    /// How much bright and dark parts differ, beyond what noise does.
    pub(crate) structure: f64,
}

impl Patch {
    pub(crate) fn of(picture: &PictureView<'_>, lamp: &Lamp) -> Option<Self> {
        picture.check().ok()?;
        let region = lamp.region;
        let (left, width) = span(region.x, region.right(), picture.width())?;
        let (top, height) = span(region.y, region.bottom(), picture.height())?;
        let colours = Colours::of(picture);
        let columns = steps(left, width);
        let lines = steps(top, height);
        let at = |x: usize, y: usize| colours.sample(x, y);
        let rows: Vec<Vec<Sample>> = match lamp.layout {
            LampLayout::Vertical => lines
                .map(|y| columns.clone().map(|x| at(x, y)).collect())
                .collect(),
            LampLayout::Horizontal => columns
                .map(|x| lines.clone().map(|y| at(x, y)).collect())
                .collect(),
        };
        let sorted = |of: fn(&Sample) -> f64| {
            let mut values: Vec<f64> = rows.iter().flatten().map(of).collect();
            values.sort_by(f64::total_cmp);
            values
        };
        let (values, greys) = (sorted(|s| s.value), sorted(|s| s.grey));
        // Lamps leave the corners of their housing dark, also of a tight region.
        let housing = values[values.len() / 10];
        let mut plain = smoothed(&rows);
        plain.sort_by(f64::total_cmp);
        let tenth = plain.len() / 10;
        let structure = plain[plain.len() - 1 - tenth] - plain[tenth];
        let grey_housing = greys[greys.len() / 10];
        Some(Self {
            rows,
            housing,
            grey_housing,
            structure,
        })
    }
}

/// Each sample's value as the mean of itself and its neighbours, so that grain evens out.
fn smoothed(rows: &[Vec<Sample>]) -> Vec<f64> {
    let around = |at: usize, end: usize| at.saturating_sub(1)..(at + 2).min(end);
    let mut values = Vec::new();
    for row in 0..rows.len() {
        for column in 0..rows[row].len() {
            let window = rows[around(row, rows.len())]
                .iter()
                .flat_map(|row| &row[around(column, row.len())]);
            let (sum, count) = window.fold((0.0, 0.0), |(sum, count), sample| {
                (sum + sample.value, count + 1.0)
            });
            values.push(sum / count);
        }
    }
    values
}

/// Where a side of the region begins and how long it is, in whole pixels within the picture.
#[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)] // clamped to the picture
fn span(from: f64, to: f64, length: u32) -> Option<(usize, usize)> {
    let scale = f64::from(length);
    let from = (from * scale).round().clamp(0.0, scale) as usize;
    let to = (to * scale).round().clamp(0.0, scale) as usize;
    let long = to.saturating_sub(from);
    (long >= SMALLEST_REGION_PX).then_some((from, long))
}

fn steps(from: usize, length: usize) -> impl Iterator<Item = usize> + Clone {
    (from..from + length).step_by(length.div_ceil(MOST_SAMPLES))
}

/// From bytes to red, green and blue.
struct Colours<'p> {
    y: PlaneView<'p>,
    u: PlaneView<'p>,
    v: PlaneView<'p>,
    black: f64,
    luma: f64,
    chroma: f64,
    red: f64,
    green: [f64; 2],
    blue: f64,
}

impl<'p> Colours<'p> {
    fn of(picture: &PictureView<'p>) -> Self {
        let (matrix, range) = picture.coding();
        let (black, luma, chroma) = match range {
            ColourRange::Limited => (16.0, 219.0, 224.0),
            ColourRange::Full => (0.0, 255.0, 255.0),
        };
        // Rec. ITU-R BT.601 and BT.709: the weights of red and blue in luma.
        let (kr, kb) = match matrix {
            ColourMatrix::Bt601 => (0.299, 0.114),
            ColourMatrix::Bt709 => (0.2126, 0.0722),
        };
        let kg = 1.0 - kr - kb;
        let [u, v] = picture.chroma();
        Self {
            y: picture.luma(),
            u,
            v,
            black,
            luma,
            chroma,
            red: 2.0 * (1.0 - kr),
            green: [2.0 * (1.0 - kb) * kb / kg, 2.0 * (1.0 - kr) * kr / kg],
            blue: 2.0 * (1.0 - kb),
        }
    }

    fn sample(&self, x: usize, y: usize) -> Sample {
        let luma = f64::from(self.y.at(x, y));
        let cb = f64::from(self.u.at(x / 2, y / 2));
        let cr = f64::from(self.v.at(x / 2, y / 2));
        let (luma, cb, cr) = (
            (luma - self.black) / self.luma,
            (cb - 128.0) / self.chroma,
            (cr - 128.0) / self.chroma,
        );
        let channel = |value: f64| value.clamp(0.0, 1.0);
        let red = channel(luma + self.red * cr);
        let green = channel(luma - self.green[0] * cb - self.green[1] * cr);
        let blue = channel(luma + self.blue * cb);
        let value = red.max(green).max(blue);
        Sample {
            value,
            grey: (red + green + blue) / 3.0,
            chroma: [
                red - f64::midpoint(green, blue),
                0.75_f64.sqrt() * (green - blue),
            ],
            is_clipped: value >= CLIPPED,
        }
    }
}
