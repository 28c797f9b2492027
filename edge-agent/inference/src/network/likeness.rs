//! Whether an accelerator computes a network as the processor does.
//!
//! A driver or an engine may compute a convolution wrong and finite: boxes are displaced then,
//! scores are off, and nothing is an error. So before a network works on anything but the
//! processor it is shown noise, strokes, and what the model's self-test shows, on both, and the
//! numbers that its head reads are compared. It is done each time that it is loaded: what changes is the
//! driver, and nobody is told of that.
//!
//! Half precision is no fault. It moves each number by hundredths of what the numbers of one kind
//! differ by; what computes wrong moves them by as much as they differ. So each channel (a class,
//! an edge of boxes) is judged by its own spread. A network that chooses its answers itself gives
//! nearly equal ones in another order, so of such only which numbers there are is compared.

use std::path::Path;

use models::heads::Head;
use models::{ColourMatrix, ColourRange, I420View, Letterbox, Manifest};

use super::looks::{Numbers, Shown};
use crate::session::TOLERANCE;
use crate::still::Still;
use crate::store::SelfTest;

/// Strokes in the picture that looks like writing.
const STROKES: u32 = 80;
/// Pictures of the self-test that are shown, at most.
const TEST_PICTURES: usize = 2;
/// Of what is nearly alike everywhere, the spread counts as this share of its size …
const LEAST_SHARE: f64 = 0.1;
/// … and as no less than this: a quarter of it decides nothing, be it of a probability, a box
/// in fractions of the picture or a logit.
const LEAST_SPREAD: f64 = 0.002;
/// Where a channel has fewer numbers, the whole output counts as one.
const LEAST_NUMBERS: usize = 16;

/// How far a channel's numbers may be from the processor's, as a share of their spread, where
/// `asked` is configured. More than the usual is believed only of a model that brings a self-test:
/// that then says whether it still sees as it must.
pub(super) fn borne(asked: f64, file: &Path) -> f64 {
    if asked <= TOLERANCE {
        return asked;
    }
    let folder = file.parent().unwrap_or(Path::new("."));
    let has_test = SelfTest::open(folder).is_ok_and(|test| test.is_some());
    if has_test { asked } else { TOLERANCE }
}

/// What both are shown: noise, strokes, and pictures of the self-test beside the model's file.
/// Of noise a network that finds writing says nothing at all, right or wrong.
pub(super) fn shown(manifest: &Manifest, file: &Path) -> Vec<Shown> {
    let noise = std::iter::once(Shown::noise(manifest, 1)).chain(strokes(manifest));
    let folder = file.parent().unwrap_or(Path::new("."));
    // One that cannot be read is found out, and said, when it is run.
    let test = SelfTest::open(folder).ok().flatten().unwrap_or_default();
    let pictures = test.picture.iter().take(TEST_PICTURES);
    let pictures = pictures.filter_map(|picture| {
        let still = Still::open(&folder.join(&picture.file)).ok()?;
        picture_of(manifest, &still.view())
    });
    noise.chain(pictures).collect()
}

/// Dark strokes on a light ground, across and down, as in writing.
fn strokes(manifest: &Manifest) -> Option<Shown> {
    let (width, height) = (manifest.input.width, manifest.input.height);
    let mut state = 0x2545_f491_u32;
    let mut below = |limit: u32| {
        // Xorshift (Marsaglia 2003): the same strokes each time.
        state ^= state << 13;
        state ^= state >> 17;
        state ^= state << 5;
        (state >> 8) % limit.max(1)
    };
    let mut luma = vec![230; width as usize * height as usize];
    for _ in 0..STROKES {
        let (left, top, length) = (below(width), below(height), 6 + below(14));
        let (across, down) = if below(2) == 0 {
            (length, 3)
        } else {
            (3, length)
        };
        for row in top..height.min(top + down) {
            let begin = (row * width + left) as usize;
            let end = (row * width + width.min(left + across)) as usize;
            luma[begin..end].fill(20);
        }
    }
    let half = width.div_ceil(2) as usize;
    let chroma = vec![128; half * height.div_ceil(2) as usize];
    let picture = I420View {
        width,
        height,
        y: &luma,
        y_stride: width as usize,
        u: &chroma,
        u_stride: half,
        v: &chroma,
        v_stride: half,
        matrix: ColourMatrix::Bt601,
        range: ColourRange::Full,
    };
    picture_of(manifest, &picture)
}

fn picture_of(manifest: &Manifest, picture: &I420View<'_>) -> Option<Shown> {
    let mut letterbox = Letterbox::new(picture.width, picture.height, &manifest.input).ok()?;
    Shown::picture(manifest, &mut letterbox, picture).ok()
}

/// How `found` differs from what the processor answered to the same, if it is more than
/// precision explains.
pub(super) fn difference(
    head: &Head,
    expected: &[Numbers],
    found: &[Numbers],
    tolerance: f64,
) -> Result<(), String> {
    for right in expected {
        let name = &right.name;
        // Numbers of classes, in an order of the network's own.
        if head.may_be_whole(name) && right.is_whole {
            continue;
        }
        let Some(answer) = found.iter().find(|answer| answer.name == *name) else {
            return Err(format!("output `{name}` is missing"));
        };
        if answer.shape != right.shape || answer.data.len() != right.data.len() {
            let (found, expected) = (&answer.shape, &right.shape);
            return Err(format!(
                "output `{name}` is {found:?}, and the processor's {expected:?}"
            ));
        }
        let worst = of_channels(right, answer, head.chooses());
        // Not "greater": of what is no number nothing is known.
        if worst.is_nan() || worst > tolerance {
            return Err(format!(
                "in output `{name}` numbers of one kind are off the processor's by {:.0} % of what they differ by \
                 among themselves, and {:.0} % are borne",
                100.0 * worst,
                100.0 * tolerance
            ));
        }
    }
    Ok(())
}

/// Of the channel that is furthest off, by how much.
fn of_channels(right: &Numbers, found: &Numbers, is_set: bool) -> f64 {
    let channels = Channels::of(&right.shape, right.data.len());
    let mut worst = 0.0_f64;
    for channel in 0..channels.count {
        let numbers = |data: &[f32]| -> Vec<f64> {
            let mut numbers: Vec<f64> = channels.of_one(channel, data).map(f64::from).collect();
            if is_set {
                numbers.sort_by(f64::total_cmp);
            }
            numbers
        };
        let off = off_by(&numbers(&right.data), &numbers(&found.data));
        if off.is_nan() {
            return off;
        }
        worst = worst.max(off);
    }
    worst
}

/// Root of the mean square of the differences, as a share of the spread of what is right.
fn off_by(right: &[f64], found: &[f64]) -> f64 {
    // What is no number on the processor either is no fault of the other's.
    let pairs: Vec<(f64, f64)> = (right.iter().zip(found))
        .filter(|(right, found)| right.is_finite() || found.is_finite())
        .map(|(right, found)| (*right, *found))
        .collect();
    let count = pairs.len().max(1) as f64;
    let mean = pairs.iter().map(|(right, _)| right).sum::<f64>() / count;
    let root = |of: &dyn Fn(&(f64, f64)) -> f64| (pairs.iter().map(of).sum::<f64>() / count).sqrt();
    let spread = root(&|(right, _)| (right - mean).powi(2));
    let size = root(&|(right, _)| right.powi(2));
    let scale = spread.max(LEAST_SHARE * size).max(LEAST_SPREAD);
    let off = root(&|(right, found)| (right - found).powi(2)) / scale;
    if off.is_finite() { off } else { f64::NAN }
}

/// Which numbers of an output are of one kind.
struct Channels {
    count: usize,
    /// Numbers of one channel that follow each other.
    inner: usize,
}

impl Channels {
    /// Without the batch: of two dimensions the shorter one has the kinds, of three (a grid of
    /// places) the first, or the last where the first two are the grid's sides.
    fn of(shape: &[i64], length: usize) -> Self {
        let sides: Vec<usize> = (shape.iter().skip(1))
            .map(|side| usize::try_from(*side).unwrap_or(0))
            .collect();
        let first = |count: usize| Self {
            count,
            inner: length / count.max(1),
        };
        let last = |count: usize| Self { count, inner: 1 };
        let found = match *sides {
            [rows, columns] if rows <= columns => first(rows),
            [_, columns] => last(columns),
            [one, other, kinds] if one == other => last(kinds),
            [kinds, _, _] => first(kinds),
            _ => first(1),
        };
        let is_sound = found.count > 0 && length.is_multiple_of(found.count);
        // A few numbers have no spread to speak of.
        if is_sound && length / found.count >= LEAST_NUMBERS {
            found
        } else {
            first(1)
        }
    }

    fn of_one<'d>(&self, channel: usize, data: &'d [f32]) -> impl Iterator<Item = f32> + 'd {
        let step = self.count * self.inner;
        let inner = self.inner;
        let blocks = data.chunks(step.max(1));
        blocks.flat_map(move |block| {
            let begin = (channel * inner).min(block.len());
            let end = (begin + inner).min(block.len());
            block[begin..end].iter().copied()
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn numbers(shape: &[i64], data: Vec<f32>) -> Numbers {
        Numbers {
            name: "out".to_owned(),
            shape: shape.to_vec(),
            is_whole: false,
            data,
        }
    }

    fn noise(seed: u32) -> impl Iterator<Item = f32> {
        let mut state = seed | 1;
        std::iter::from_fn(move || {
            state ^= state << 13;
            state ^= state >> 17;
            state ^= state << 5;
            Some((state >> 8) as f32 / (1 << 24) as f32 - 0.5)
        })
    }

    /// Boxes in pixels, and a probability that is next to nothing on noise.
    fn detector() -> Numbers {
        let rows = noise(7).take(4 * 500).collect::<Vec<_>>();
        let rows = rows.chunks_exact(4).flat_map(|row| {
            [
                200.0 + 400.0 * row[0],
                200.0 + 400.0 * row[1],
                30.0 * row[2],
                0.0002 + 0.0002 * row[3],
            ]
        });
        numbers(&[1, 500, 4], rows.collect())
    }

    fn changed(of: &Numbers, change: impl Fn(usize, f32) -> f32) -> Numbers {
        let data = of.data.iter().enumerate();
        let data = data.map(|(place, number)| change(place, *number));
        numbers(&of.shape, data.collect())
    }

    #[test]
    fn precision_is_no_difference_and_what_is_off_is() {
        let right = detector();
        let off = |found: &Numbers| of_channels(&right, found, false);
        assert_eq!(off(&right), 0.0);
        // Half precision: eleven bits, and some are lost on the way.
        let halved = changed(&right, |_, number| number * (1.0 + 0.01));
        assert!(off(&halved) < TOLERANCE / 4.0, "{}", off(&halved));
        // Widths alone, a hundredth of what the places differ by.
        let widths = changed(
            &right,
            |place, number| {
                if place % 4 == 2 { number + 5.0 } else { number }
            },
        );
        assert!(off(&widths) > TOLERANCE, "{}", off(&widths));
        // Nothing in the picture becomes something.
        let seen = changed(
            &right,
            |place, number| {
                if place % 4 == 3 { number + 0.4 } else { number }
            },
        );
        assert!(off(&seen) > TOLERANCE, "{}", off(&seen));
        // A probability of a five-thousandth that is nothing at all is the same.
        let nothing = changed(
            &right,
            |place, number| if place % 4 == 3 { 0.0 } else { number },
        );
        assert!(off(&nothing) < TOLERANCE, "{}", off(&nothing));
        let other = numbers(&right.shape, noise(9).take(2000).collect());
        assert!(off(&other) > TOLERANCE, "{}", off(&other));
        let broken = changed(
            &right,
            |place, number| if place == 77 { f32::NAN } else { number },
        );
        assert!(off(&broken).is_nan());
    }

    #[test]
    fn what_the_processor_has_no_number_for_is_asked_of_nobody() {
        let right = changed(&detector(), |place, number| {
            if place == 77 { f32::INFINITY } else { number }
        });
        assert_eq!(of_channels(&right, &right, false), 0.0);
        let finite = changed(
            &right,
            |place, number| if place == 77 { 0.0 } else { number },
        );
        assert!(of_channels(&right, &finite, false).is_nan());
    }

    #[test]
    fn answers_that_a_network_chooses_may_come_in_another_order() {
        let right = detector();
        let mut rows: Vec<[f32; 4]> = right.data.as_chunks().0.to_vec();
        rows.reverse();
        let turned = numbers(&right.shape, rows.concat());
        assert!(of_channels(&right, &turned, false) > TOLERANCE);
        assert_eq!(of_channels(&right, &turned, true), 0.0);
        let other = changed(&turned, |_, number| number * 2.0);
        assert!(of_channels(&right, &other, true) > TOLERANCE);
    }

    #[test]
    fn numbers_of_one_kind_are_found_in_every_form() {
        let channels_of = |shape: &[i64]| -> Vec<Vec<f32>> {
            let data: Vec<f32> = (0..32_u8).map(f32::from).collect();
            let channels = Channels::of(shape, data.len());
            (0..channels.count)
                .map(|channel| channels.of_one(channel, &data).collect())
                .collect()
        };
        let all: Vec<f32> = (0..32_u8).map(f32::from).collect();
        let halves = [all[..16].to_vec(), all[16..].to_vec()];
        let by_turns = [0, 1]
            .map(|first| -> Vec<f32> { all.iter().skip(first).step_by(2).copied().collect() });
        for shape in [&[1, 2, 16][..], &[1, 2, 8, 2]] {
            assert_eq!(channels_of(shape), halves, "{shape:?}");
        }
        for shape in [&[1, 16, 2][..], &[1, 4, 4, 2]] {
            assert_eq!(channels_of(shape), by_turns, "{shape:?}");
        }
        // Too few of one kind, or a form that nobody knows.
        for shape in [
            &[][..],
            &[1],
            &[1, 32],
            &[1, 4, 8],
            &[1, 32, 1, 1],
            &[1, 0, 4],
            &[1, 7, 99],
        ] {
            assert_eq!(channels_of(shape), std::slice::from_ref(&all), "{shape:?}");
        }
    }
}
