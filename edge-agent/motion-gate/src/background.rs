//! What each cell shows when nobody is there.
//!
//! One running Gaussian per cell (Wren et al. 1997, "Pfinder"): mean and variance
//! with exponential forgetting, begun as Welford's plain mean and variance. A mixture
//! (Stauffer and Grimson 1999) was rejected: on a busy road the vehicles become one
//! of its modes, and what the gate does not see nobody looks at.
//!
//! A cell that shows something else for some seconds, always the same, has a new
//! background: a vehicle has stopped there, or has left. Whoever stopped is the
//! tracker's business; here it only must not be taken for motion any more.

use crate::blobs::around;
use crate::light::Light;
use crate::small::SmallPicture;

/// The mean follows within this, s. Faster than dusk, slower than a queue.
const MEAN_OVER_S: f32 = 10.0;
/// The noise is that of this long, s.
const NOISE_OVER_S: f32 = 30.0;
/// What moves is learnt as noise this much slower: leaves and flags make a cell dull.
const RESTLESS_OVER_S: f32 = 120.0;
/// A cell is never duller than this deviation, luma: a road full of vehicles all
/// day must not make its cells blind for them.
const DULLEST: f32 = 5.0;
/// No camera is quieter than this deviation of a cell, luma: rounding, and the
/// step that a codec makes at each key picture.
const LEAST_NOISE: f32 = 0.9;
/// This many deviations off is something else.
const DEVIATIONS: f32 = 4.0;
/// What is too far off and no thing (a streak of rain) counts so much more as noise:
/// an expectile (Newey and Powell 1987). What comes in more than about one
/// picture of a hundred is then within the noise.
const TOO_FAR_WEIGHT: f32 = 8.0;
/// What a change of light makes of a cell is known up to this part.
const LIGHT_DOUBT: f32 = 0.25;
/// A shift beyond this is seen at the edges of things, cells.
const SWAYS: f32 = 0.05;
/// Cells that are compared side by side.
pub(crate) const LANES: usize = 8;
/// Marks that are looked at in one go.
const BLOCK: usize = 64;
/// What shows the same, within the noise, for so long is the new background, s.
const ABSORB_S: f32 = 4.0;

#[derive(Clone, Debug, Default)]
pub(crate) struct Background {
    columns: usize,
    rows: usize,
    pub(crate) mean: Vec<f32>,
    variance: Vec<f32>,
    /// What the cell shows instead …
    instead: Vec<f32>,
    /// … and for how long, s.
    same_s: Vec<f32>,
    /// Pictures in a row that it was learnt from since it was begun.
    learnt: u32,
}

impl Background {
    /// Whether it is of pictures of this size.
    pub(crate) fn fits(&self, picture: &SmallPicture) -> bool {
        (self.columns, self.rows) == picture.size()
    }

    /// Forgets everything and begins with this picture.
    pub(crate) fn begin(&mut self, picture: &SmallPicture) {
        (self.columns, self.rows) = picture.size();
        self.mean.clone_from(&picture.luma);
        self.variance.clear();
        self.variance.resize(picture.luma.len(), 0.0);
        for unknown in [&mut self.instead, &mut self.same_s] {
            unknown.clear();
            unknown.resize(picture.luma.len(), 0.0);
        }
        self.learnt = 1;
    }

    /// Pictures that it was learnt from since it was begun.
    pub(crate) fn learnt(&self) -> u32 {
        self.learnt
    }

    /// Takes a picture in without judging it: plain mean and variance (Welford 1962).
    pub(crate) fn learn(&mut self, picture: &SmallPicture) {
        self.learnt = self.learnt.saturating_add(1);
        let part = 1.0 / self.learnt as f32;
        for ((mean, variance), now) in self.cells().zip(&picture.luma) {
            let off = now - *mean;
            *mean += off * part;
            *variance += (off * (now - *mean) - *variance) * part;
        }
        // What passed meanwhile is not the noise of the place.
        for variance in &mut self.variance {
            *variance = variance.min(DULLEST * DULLEST);
        }
    }

    /// Steepness across and down at a cell, luma per cell; 0 at the edge of the picture.
    pub(crate) fn gradient(&self, row: usize, column: usize) -> (f32, f32) {
        if column == 0 || row == 0 || column + 1 >= self.columns || row + 1 >= self.rows {
            return (0.0, 0.0);
        }
        let cell = row * self.columns + column;
        let half = |ahead: usize, behind: usize| (self.mean[ahead] - self.mean[behind]) / 2.0;
        (
            half(cell + 1, cell - 1),
            half(cell + self.columns, cell - self.columns),
        )
    }

    /// Marks the cells that show something else than they should in this light;
    /// returns how many.
    pub(crate) fn compare(
        &self,
        picture: &SmallPicture,
        light: &Light,
        marks: &mut [bool],
    ) -> usize {
        // What would be brighter than the picture can be is as bright as it gets.
        let (darkest, brightest) = range(&picture.luma);
        let far = |mean: f32, variance: f32, gradient, now: f32| {
            let expected = light.expected(mean, gradient).clamp(darkest, brightest);
            // A camera's response is not quite linear: white lines answer otherwise
            // than asphalt, by some part of what changed.
            let doubt = square(LIGHT_DOUBT * (expected - mean));
            let limit = too_far(variance * light.gain.max(1.0) + doubt);
            (square(now - expected) > limit, limit)
        };
        let known = self.mean.iter().zip(&self.variance);
        let cells = marks.iter_mut().zip(known.zip(&picture.luma));
        if light.shift.0.abs().max(light.shift.1.abs()) > SWAYS {
            for (cell, (mark, ((mean, variance), now))) in cells.enumerate() {
                let gradient = self.gradient(cell / self.columns, cell % self.columns);
                let (is_far, limit) = far(*mean, *variance, gradient, *now);
                // At a sharp edge a shift is not linear: there everything is right that
                // is shown next to it (Elgammal et al. 2000, displacement of pixels).
                *mark = is_far && !self.is_next_to(cell, *now, light, limit);
            }
        } else {
            // The usual case has no branch: several cells are compared at once.
            for (mark, ((mean, variance), now)) in cells {
                *mark = far(*mean, *variance, (0.0, 0.0), *now).0;
            }
        }
        // Bytes of blocks that cannot run over, so that these are added side by side as well.
        let blocks = marks.chunks(BLOCK);
        blocks
            .map(|block| usize::from(block.iter().map(|mark| u8::from(*mark)).sum::<u8>()))
            .sum()
    }

    /// Whether `now` is within what the cells around are, in this light.
    fn is_next_to(&self, cell: usize, now: f32, light: &Light, limit: f32) -> bool {
        let (column, row) = (cell % self.columns, cell / self.columns);
        if column == 0 || row == 0 || column + 1 == self.columns || row + 1 == self.rows {
            // What comes in over the edge of a swaying picture was never seen before.
            return true;
        }
        let around = around(cell, 1, self.columns, self.rows)
            .map(|near| light.gain * self.mean[near] + light.offset);
        let (least, most) = around.fold((f32::MAX, f32::MIN), |(least, most), value| {
            (least.min(value), most.max(value))
        });
        square(now - now.clamp(least, most)) <= limit
    }

    /// How much brighter or darker this light makes a cell, on average, luma.
    pub(crate) fn brightened(&self, light: &Light) -> f32 {
        let change = |mean: &f32| ((light.gain - 1.0) * mean + light.offset).abs();
        self.mean.iter().map(change).sum::<f32>() / self.mean.len().max(1) as f32
    }

    /// The exposure changed for good: so does what every cell shows. The cells that
    /// are not marked show already how.
    pub(crate) fn relight(&mut self, light: &Light, picture: &SmallPicture, marks: &[bool]) {
        let shown = picture.luma.iter().zip(marks);
        for ((mean, variance), (now, is_other)) in self.cells().zip(shown) {
            *mean = (light.gain * *mean + light.offset).clamp(0.0, 255.0);
            if !is_other {
                *mean = f32::midpoint(*mean, *now);
            }
            *variance *= light.gain * light.gain;
        }
        for instead in &mut self.instead {
            *instead = light.gain * *instead + light.offset;
        }
    }

    /// For how long the cell has shown the same that is not the background, s; 0 when
    /// it has just begun to.
    pub(crate) fn same_s(&self, cell: usize) -> f32 {
        self.same_s[cell]
    }

    /// Learns from a picture in which the cells of `moves` show what moves.
    pub(crate) fn follow(&mut self, picture: &SmallPicture, moves: &[bool], passed_s: f32) {
        let part = |over: f32| (passed_s / over).clamp(0.0, 1.0);
        let (mean_part, noise_part, restless_part) =
            (part(MEAN_OVER_S), part(NOISE_OVER_S), part(RESTLESS_OVER_S));
        let far_part = (noise_part * TOO_FAR_WEIGHT).min(1.0);
        for cell in marked(moves) {
            let now = picture.luma[cell];
            let (instead, same_s) = (&mut self.instead[cell], &mut self.same_s[cell]);
            if square(now - *instead) <= too_far(self.variance[cell]) {
                *instead += (now - *instead) * part(ABSORB_S);
                *same_s += passed_s;
            } else {
                (*instead, *same_s) = (now, 0.0);
            }
        }
        // Of all cells, without a branch: several at once.
        let known = self.mean.iter_mut().zip(&mut self.variance);
        for ((mean, variance), (now, moves)) in known.zip(picture.luma.iter().zip(moves)) {
            let off = now - *mean;
            // A single flash must not make a cell dull.
            let far = square(off).min(DEVIATIONS * DEVIATIONS * DULLEST * DULLEST);
            let is_too_far = far > too_far(*variance);
            let calm_part = if is_too_far { far_part } else { noise_part };
            let (off_part, part) = if *moves {
                (0.0, restless_part)
            } else {
                (mean_part, calm_part)
            };
            *mean += off * off_part;
            *variance = (*variance + (far - *variance) * part).min(DULLEST * DULLEST);
        }
        for (same_s, moves) in self.same_s.iter_mut().zip(moves) {
            *same_s = if *moves { *same_s } else { 0.0 };
        }
        for cell in marked(moves) {
            if self.same_s[cell] >= ABSORB_S {
                self.mean[cell] = self.instead[cell];
                self.same_s[cell] = 0.0;
            }
        }
    }

    fn cells(&mut self) -> impl Iterator<Item = (&mut f32, &mut f32)> {
        self.mean.iter_mut().zip(&mut self.variance)
    }
}

/// The cells that are marked, in order. Most pictures have few: blocks without any are passed over.
pub(crate) fn marked(marks: &[bool]) -> impl Iterator<Item = usize> {
    let blocks = marks.chunks(BLOCK).enumerate();
    let some = blocks.filter(|(_, block)| block.iter().fold(false, |any, mark| any | mark));
    some.flat_map(|(n, block)| {
        let cells = block.iter().enumerate();
        cells.filter_map(move |(at, mark)| mark.then_some(n * BLOCK + at))
    })
}

/// Darkest and brightest of the cells.
fn range(luma: &[f32]) -> (f32, f32) {
    let (whole, rest) = luma.as_chunks::<LANES>();
    let (mut darkest, mut brightest) = ([255.0_f32; LANES], [0.0_f32; LANES]);
    for cells in whole {
        for ((low, high), now) in darkest.iter_mut().zip(&mut brightest).zip(cells) {
            (*low, *high) = (low.min(*now), high.max(*now));
        }
    }
    let low = |low: f32, now: &f32| low.min(*now);
    let high = |high: f32, now: &f32| high.max(*now);
    (
        darkest.iter().chain(rest).fold(255.0, low),
        brightest.iter().chain(rest).fold(0.0, high),
    )
}

/// The square of a difference from which on it is something else, for this variance.
fn too_far(variance: f32) -> f32 {
    DEVIATIONS * DEVIATIONS * (variance + square(LEAST_NOISE))
}

fn square(value: f32) -> f32 {
    value * value
}
