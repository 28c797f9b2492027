//! Pictures that no camera sends: the faults of decoders that do not say so.
//!
//! A decoder that has lost its way gives green pictures (all planes zero), grey
//! ones (the middle of each plane), pictures without colour planes, or pictures
//! whose lower part is one row of blocks over and over. Each is looked for in
//! about a thousand samples, so that the look costs nothing next to decoding.
//!
//! Dropping a true picture is the worse mistake, so this is conservative:
//!
//! * Infra-red pictures have the same chroma everywhere, but the neutral one.
//! * Night is black, glare is white, and a recorder without a signal is blue: a
//!   flat lower part counts only when it is the exact middle of luma.
//! * Black bars and masks stand always: a lower part that repeats, and chroma
//!   that is constant, count only when they were not so in the last good picture.
//!   After [`ACCEPTED_AFTER`] what stays is what the camera shows.
//! * A lower part that equals the picture before is how encoders send what does
//!   not move; it cannot be told from a decoder that got stuck there.
//!
//! What is damaged but colourful passes here. Of that the decoder itself must tell,
//! see `decoder/said.rs`.

use protocol::EventTime;
use serde::Serialize;

/// What is wrong with a picture.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Garbage {
    /// Chroma is zero, which no colour is: in all of it, or in whole rows.
    Green,
    /// Most of it is the exact middle of all three planes: references are missing.
    Grey,
    /// Chroma is one and the same strong colour, whatever luma shows.
    Chroma,
    /// The lower part is one row of blocks again and again.
    Torn,
}

impl Garbage {
    /// The word, as a metric's label.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Green => "green",
            Self::Grey => "grey",
            Self::Chroma => "chroma",
            Self::Torn => "torn",
        }
    }

    /// What such pictures are, for people.
    pub const fn words(self) -> &'static str {
        match self {
            Self::Green => "green pictures",
            Self::Grey => "grey pictures",
            Self::Chroma => "pictures in one colour",
            Self::Torn => "pictures torn in their lower part",
        }
    }
}

/// One plane of a picture.
#[derive(Clone, Copy, Debug)]
pub struct Plane<'a> {
    /// Rows of `stride` bytes.
    pub bytes: &'a [u8],
    /// Bytes from one row to the next.
    pub stride: usize,
    /// Bytes from one sample to the next: 2 where blue and red lie by turns.
    pub step: usize,
    /// Samples across.
    pub width: usize,
    /// Samples down.
    pub height: usize,
}

impl Plane<'_> {
    fn at(&self, x: usize, y: usize) -> u8 {
        // A plane shorter than it says is black there.
        self.bytes
            .get(y * self.stride + x * self.step)
            .copied()
            .unwrap_or_default()
    }

    /// Columns to look at.
    fn columns(&self) -> impl Iterator<Item = usize> + Clone + use<> {
        every(self.width, GRID)
    }

    /// Rows to look at.
    fn rows(&self) -> impl Iterator<Item = usize> + Clone + use<> {
        every(self.height, GRID)
    }
}

/// About `count` of `length` places, in the middle of equal parts.
fn every(length: usize, count: usize) -> impl Iterator<Item = usize> + Clone {
    let count = count.min(length);
    (0..count).map(move |n| (2 * n + 1) * length / (2 * count))
}

/// Luma and both differences of colour.
#[derive(Clone, Copy, Debug)]
pub struct Planes<'a> {
    /// Luma.
    pub y: Plane<'a>,
    /// Blue difference.
    pub u: Plane<'a>,
    /// Red difference.
    pub v: Plane<'a>,
}

/// Rows and columns that are looked at.
const GRID: usize = 32;
/// Rows of zero chroma that make a picture green: one in sixteen.
const GREEN_ROWS: usize = GRID / 16;
/// Part of exact grey that makes a picture grey, in percent.
const GREY_PERCENT: usize = 60;
/// Exact middle of a plane.
const MIDDLE: u8 = 128;
/// Chroma so far from neutral is a colour, levels.
const STRONG: u8 = 16;
/// Luma that spans so much shows something, levels.
const SPAN: u8 = 24;
/// Rows of a macroblock.
const BLOCK: usize = 16;
/// Fewer repeated rows are no tear: three rows of blocks.
const LEAST_TORN: usize = 3 * BLOCK;
/// What looks torn for so long is what the camera shows, s.
pub const ACCEPTED_AFTER: f64 = 10.0;

/// What a picture is like.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Look {
    size: (usize, usize),
    /// Chroma is the same everywhere.
    is_one_colour: bool,
    /// So many rows from below repeat the sixteenth above them.
    repeated: usize,
}

/// Watches one stream for garbage.
#[derive(Clone, Debug, Default)]
pub struct GarbageWatch {
    /// The last good picture, and when it was.
    good: Option<(EventTime, Look)>,
}

impl GarbageWatch {
    /// Looks at a picture; says what is wrong with it.
    pub fn look(&mut self, time: EventTime, planes: Planes<'_>) -> Option<Garbage> {
        if planes.y.width < BLOCK || planes.y.height < 2 * LEAST_TORN {
            return None;
        }
        if let Some(garbage) = impossible(planes) {
            return Some(garbage);
        }
        let look = Look {
            size: (planes.y.width, planes.y.height),
            is_one_colour: is_one_strong_colour(planes),
            repeated: repeated_rows(planes.y),
        };
        let age = |good: EventTime| time.since(good).0;
        let garbage = match &self.good {
            Some((at, good)) if good.size == look.size && age(*at) <= ACCEPTED_AFTER => {
                improbable(look, *good)
            }
            _ => None,
        };
        if garbage.is_none() {
            self.good = Some((time, look));
        }
        garbage
    }
}

/// What no picture of the world can be.
fn impossible(planes: Planes<'_>) -> Option<Garbage> {
    let Planes { y, u, v } = planes;
    let (mut green_rows, mut grey, mut all) = (0, 0, 0);
    let (mut u_is_zero, mut v_is_zero) = (true, true);
    for row in u.rows() {
        let mut is_green = true;
        for column in u.columns() {
            let (blue, red) = (u.at(column, row), v.at(column, row));
            u_is_zero &= blue == 0;
            v_is_zero &= red == 0;
            is_green &= blue == 0 && red == 0;
            let is_middle = blue == MIDDLE && red == MIDDLE;
            grey += usize::from(is_middle && y.at(2 * column, 2 * row) == MIDDLE);
            all += 1;
        }
        green_rows += usize::from(is_green);
    }
    if u_is_zero || v_is_zero || green_rows >= GREEN_ROWS {
        Some(Garbage::Green)
    } else if grey * 100 >= all * GREY_PERCENT {
        Some(Garbage::Grey)
    } else {
        None
    }
}

/// What the scene a moment ago speaks against.
fn improbable(now: Look, good: Look) -> Option<Garbage> {
    if now.is_one_colour && !good.is_one_colour {
        return Some(Garbage::Chroma);
    }
    let least = LEAST_TORN.max(now.size.1 / 8);
    // As much of the picture as that had a content of its own before.
    let is_new = now.repeated >= good.repeated + LEAST_TORN;
    (now.repeated >= least && is_new).then_some(Garbage::Torn)
}

fn is_one_strong_colour(planes: Planes<'_>) -> bool {
    let Planes { y, u, v } = planes;
    let colour = (u.at(0, 0), v.at(0, 0));
    let is_strong = colour.0.abs_diff(MIDDLE) > STRONG || colour.1.abs_diff(MIDDLE) > STRONG;
    let is_one = || {
        u.rows()
            .flat_map(|row| u.columns().map(move |column| (column, row)))
            .all(|(column, row)| (u.at(column, row), v.at(column, row)) == colour)
    };
    is_strong && is_one() && {
        let luma = y
            .rows()
            .flat_map(|row| y.columns().map(move |column| y.at(column, row)));
        span(luma) >= SPAN
    }
}

/// How many rows, counted from below, equal the row sixteen above them. None where
/// they show nothing at all, or where all of the picture is like that.
fn repeated_rows(y: Plane<'_>) -> usize {
    let same = |row: usize| {
        y.columns()
            .all(|column| y.at(column, row) == y.at(column, row - BLOCK))
    };
    let rows = (BLOCK..y.height).rev().take_while(|row| same(*row)).count();
    if rows < LEAST_TORN || rows + 2 * BLOCK > y.height {
        return 0;
    }
    let block = (y.height - BLOCK..y.height)
        .step_by(3)
        .flat_map(|row| y.columns().map(move |column| y.at(column, row)));
    let span = span(block);
    let is_torn = span >= SPAN || (span == 0 && y.at(0, y.height - 1) == MIDDLE);
    if is_torn { rows } else { 0 }
}

fn span(samples: impl Iterator<Item = u8>) -> u8 {
    let (least, most) = samples.fold((u8::MAX, 0), |(least, most), sample| {
        (least.min(sample), most.max(sample))
    });
    most.saturating_sub(least)
}

#[cfg(test)]
mod tests {
    use super::*;

    const W: usize = 320;
    const H: usize = 240;

    struct Picture {
        y: Vec<u8>,
        u: Vec<u8>,
        v: Vec<u8>,
    }

    impl Picture {
        /// A street with noise; `neutral` as by infra-red.
        fn street(seed: u64, neutral: bool) -> Self {
            let mut random = fastrand::Rng::with_seed(seed);
            let y = (0..W * H).map(|at| u8::try_from(at / W).unwrap() / 2 + random.u8(40..60));
            let y = y.collect();
            let mut chroma = || {
                (0..W * H / 4)
                    .map(|_| if neutral { 128 } else { random.u8(110..140) })
                    .collect()
            };
            let (u, v) = (chroma(), chroma());
            Self { y, u, v }
        }

        fn planes(&self) -> Planes<'_> {
            let plane = |bytes, width, height| Plane {
                bytes,
                stride: width,
                step: 1,
                width,
                height,
            };
            Planes {
                y: plane(&self.y, W, H),
                u: plane(&self.u, W / 2, H / 2),
                v: plane(&self.v, W / 2, H / 2),
            }
        }

        /// Fills the rows from `row` on.
        fn fill_below(mut self, row: usize, y: u8, u: u8, v: u8) -> Self {
            self.y[row * W..].fill(y);
            self.u[row / 2 * W / 2..].fill(u);
            self.v[row / 2 * W / 2..].fill(v);
            self
        }

        fn chroma(mut self, u: u8, v: u8) -> Self {
            self.u.fill(u);
            self.v.fill(v);
            self
        }

        /// The rows of blocks below are that one.
        fn repeating(mut self, block: usize) -> Self {
            let from = block * BLOCK * W;
            let row = self.y[from..from + BLOCK * W].to_vec();
            for (at, byte) in self.y.iter_mut().enumerate().skip(from) {
                *byte = row[(at - from) % row.len()];
            }
            self
        }
    }

    /// What is said of pictures, one a second after a good street.
    fn said(pictures: impl IntoIterator<Item = Picture>) -> Vec<Option<Garbage>> {
        let mut watch = GarbageWatch::default();
        let at = |second: usize| EventTime::from_micros(i64::try_from(second).unwrap() * 1_000_000);
        assert_eq!(watch.look(at(0), Picture::street(0, false).planes()), None);
        pictures
            .into_iter()
            .enumerate()
            .map(|(n, picture)| watch.look(at(n + 1), picture.planes()))
            .collect()
    }

    fn day() -> Picture {
        Picture::street(1, false)
    }

    #[test]
    fn what_decoders_do_wrong_is_garbage() {
        for (picture, expected) in [
            (day().fill_below(0, 0, 0, 0), Garbage::Green),
            (day().chroma(0, 0), Garbage::Green),
            (day().chroma(0, 128), Garbage::Green),
            (day().fill_below(H - 32, 0, 0, 0), Garbage::Green),
            (day().fill_below(0, 128, 128, 128), Garbage::Grey),
            (day().fill_below(64, 128, 128, 128), Garbage::Grey),
            (day().fill_below(H - 64, 128, 128, 128), Garbage::Torn),
            (day().chroma(80, 200), Garbage::Chroma),
            (day().repeating(8), Garbage::Torn),
        ] {
            assert_eq!(said([picture]), [Some(expected)]);
        }
    }

    #[test]
    fn what_cameras_show_is_not() {
        let night = || Picture::street(2, true);
        let pictures = [
            day(),
            night(),
            // Black and clipped, wholly or below; glare; a recorder without a signal.
            night().fill_below(0, 16, 128, 128),
            night().fill_below(H / 2, 16, 128, 128),
            night().fill_below(H / 2, 235, 128, 128),
            day().fill_below(0, 41, 240, 110),
            day().fill_below(H / 2, 41, 240, 110),
            // Sodium light and a strong noise filter.
            day().chroma(116, 140),
            // Too little to say.
            day().fill_below(H - 16, 128, 128, 128),
            day().repeating(14),
        ];
        assert_eq!(said(pictures), [None; 10]);
    }

    #[test]
    fn what_stays_is_what_the_camera_shows() {
        let found = said((0..15).map(|_| day().repeating(8)));
        assert_eq!(found[..10], [Some(Garbage::Torn); 10]);
        assert_eq!(found[10..], [None; 5]);
        // Green is never a picture.
        let found = said((0..15).map(|_| day().chroma(0, 0)));
        assert_eq!(found, [Some(Garbage::Green); 15]);
    }

    #[test]
    fn planes_shorter_than_they_say_do_no_harm() {
        let short = Plane {
            bytes: &[7; 40],
            stride: 0,
            step: 1,
            width: 400,
            height: 300,
        };
        let planes = Planes {
            y: short,
            u: short,
            v: short,
        };
        assert_eq!(GarbageWatch::default().look(EventTime::EPOCH, planes), None);
    }
}
