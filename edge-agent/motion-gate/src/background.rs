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
/// What shows the same, within the noise, for so long is the new background, s.
const ABSORB_S: f32 = 4.0;

#[derive(Clone, Debug, Default)]
pub(crate) struct Background {
    columns: usize,
    rows: usize,
    pub(crate) mean: Vec<f32>,
    variance: Vec<f32>,
    /// What the cell shows instead, and for how long, s.
    instead: Vec<(f32, f32)>,
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
        self.instead.clear();
        self.instead.resize(picture.luma.len(), (0.0, 0.0));
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

    /// Steepness across and down, luma per cell; 0 at the edge of the picture.
    pub(crate) fn gradient(&self, cell: usize) -> (f32, f32) {
        let (column, row) = (cell % self.columns, cell / self.columns);
        if column == 0 || row == 0 || column + 1 >= self.columns || row + 1 >= self.rows {
            return (0.0, 0.0);
        }
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
        let (darkest, brightest) = picture
            .luma
            .iter()
            .fold((255.0_f32, 0.0_f32), |(low, high), v| {
                (low.min(*v), high.max(*v))
            });
        let sways = light.shift.0.abs().max(light.shift.1.abs()) > SWAYS;
        let mut count = 0;
        for (cell, mark) in marks.iter_mut().enumerate() {
            let gradient = if sways {
                self.gradient(cell)
            } else {
                (0.0, 0.0)
            };
            let expected = light
                .expected(self.mean[cell], gradient)
                .clamp(darkest, brightest);
            let now = picture.luma[cell];
            // A camera's response is not quite linear: white lines answer otherwise
            // than asphalt, by some part of what changed.
            let doubt = square(LIGHT_DOUBT * (expected - self.mean[cell]));
            let limit = too_far(self.variance[cell] * light.gain.max(1.0) + doubt);
            *mark = square(now - expected) > limit
                // At a sharp edge a shift is not linear: there everything is right that
                // is shown next to it (Elgammal et al. 2000, displacement of pixels).
                && !(sways && self.is_next_to(cell, now, light, limit));
            count += usize::from(*mark);
        }
        count
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
        for (instead, _) in &mut self.instead {
            *instead = light.gain * *instead + light.offset;
        }
    }

    /// For how long the cell has shown the same that is not the background, s; 0 when
    /// it has just begun to.
    pub(crate) fn same_s(&self, cell: usize) -> f32 {
        self.instead[cell].1
    }

    /// Learns from a picture in which the cells of `moves` show what moves.
    pub(crate) fn follow(&mut self, picture: &SmallPicture, moves: &[bool], passed_s: f32) {
        let part = |over: f32| (passed_s / over).clamp(0.0, 1.0);
        let (mean_part, noise_part, restless_part) =
            (part(MEAN_OVER_S), part(NOISE_OVER_S), part(RESTLESS_OVER_S));
        let cells = self.mean.iter_mut().zip(&mut self.variance);
        let shown = picture.luma.iter().zip(moves);
        for (((mean, variance), instead), (now, moves)) in cells.zip(&mut self.instead).zip(shown) {
            let off = now - *mean;
            let limit = too_far(*variance);
            // A single flash must not make a cell dull.
            let far = square(off).min(DEVIATIONS * DEVIATIONS * DULLEST * DULLEST);
            if *moves {
                *variance += (far - *variance) * restless_part;
                if square(now - instead.0) <= limit {
                    instead.0 += (now - instead.0) * part(ABSORB_S);
                    instead.1 += passed_s;
                } else {
                    *instead = (*now, 0.0);
                }
                if instead.1 >= ABSORB_S {
                    *mean = instead.0;
                    instead.1 = 0.0;
                }
            } else {
                *mean += off * mean_part;
                let weight = if far > limit { TOO_FAR_WEIGHT } else { 1.0 };
                *variance += (far - *variance) * (noise_part * weight).min(1.0);
                instead.1 = 0.0;
            }
            *variance = variance.min(DULLEST * DULLEST);
        }
    }

    fn cells(&mut self) -> impl Iterator<Item = (&mut f32, &mut f32)> {
        self.mean.iter_mut().zip(&mut self.variance)
    }
}

/// The square of a difference from which on it is something else, for this variance.
fn too_far(variance: f32) -> f32 {
    DEVIATIONS * DEVIATIONS * (variance + square(LEAST_NOISE))
}

fn square(value: f32) -> f32 {
    value * value
}
