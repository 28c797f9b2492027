//! Which lines of writing are one plate.
//!
//! A plate is one region of text, one that falls into two rows, or up to four
//! regions that lie beside and below each other: detectors of text part rows,
//! and now and then cut one at its dot. All such groups are read by the grammar;
//! those that are plates take their regions, the best first. One that is a plate
//! also with a further region goes with it, but then the look is in doubt: the
//! region may be a bolt or the last digit. What remains and has digits is a look
//! that was refused.

use plates::{Patch, Reading, Refusal, Rows};

use crate::quad::Quad;

/// Rows of a plate differ in height by less than this factor.
const MOST_UNLIKE: f64 = 2.0;
/// Least cosine between the directions of two rows.
const PARALLEL: f64 = 0.94;
/// Regions of one plate: each row cut in two.
const MOST_REGIONS: usize = 4;
/// Groups that are read in one look; a picture full of writing has more.
const MOST_GROUPS: usize = 400;
/// A refused group must have at least so many digits to be called a plate's.
const LEAST_DIGITS: usize = 3;

/// A line of writing.
#[derive(Clone, Debug)]
pub(crate) struct Line {
    pub(crate) quad: Quad,
    pub(crate) patch: Patch,
}

/// A region of text and how it may be read.
#[derive(Clone, Debug)]
pub(crate) struct Region {
    /// As one line.
    pub(crate) whole: Line,
    /// As two rows, where there is a gap.
    pub(crate) halves: Option<[Line; 2]>,
}

/// Lines that are a plate, or might have been one.
#[derive(Clone, Debug)]
pub(crate) struct Group {
    /// From the top, and from the left.
    pub(crate) lines: Vec<Line>,
    /// The lines joined, as they were read; none: they cannot be.
    pub(crate) rows: Option<Rows>,
    pub(crate) reading: Result<Reading, Refusal>,
    regions: Vec<usize>,
}

/// All plates among the regions, the best first, then what was refused.
pub(crate) fn plates(
    regions: &[Region],
    aspect: f64,
    mut read: impl FnMut(&Rows, &[Line]) -> Result<Reading, Refusal>,
) -> Vec<Group> {
    let mut groups: Vec<Group> = Vec::new();
    let mut add = |regions: Vec<usize>, lines: Vec<Line>| {
        if groups.len() >= MOST_GROUPS {
            return;
        }
        let lines = in_order(lines);
        let patches: Vec<Patch> = lines.iter().map(|line| line.patch.clone()).collect();
        let joined = Rows::join(&patches, aspect);
        let reading =
            (joined.as_ref().map_err(|refusal| *refusal)).and_then(|rows| read(rows, &lines));
        groups.push(Group {
            lines,
            rows: joined.ok(),
            reading,
            regions,
        });
    };
    for (number, region) in regions.iter().enumerate() {
        add(vec![number], vec![region.whole.clone()]);
        if let Some(halves) = &region.halves {
            add(vec![number], halves.to_vec());
        }
    }
    for members in connected(regions) {
        let lines = members.iter().map(|r| regions[*r].whole.clone()).collect();
        add(members, lines);
    }
    chosen(groups)
}

/// From the top, and from the left.
fn in_order(mut lines: Vec<Line>) -> Vec<Line> {
    let Some(along) = lines.first().and_then(|line| line.quad.along()) else {
        return lines;
    };
    let half = lines
        .iter()
        .map(|line| line.quad.height())
        .fold(f64::INFINITY, f64::min)
        / 2.0;
    let place = |line: &Line| {
        let [x, y] = line.quad.centre();
        (y * along[0] - x * along[1], x * along[0] + y * along[1])
    };
    lines.sort_by(|a, b| place(a).0.total_cmp(&place(b).0));
    // Those beside each other, from the left.
    lines
        .chunk_by_mut(|a, b| place(b).0 - place(a).0 < half)
        .for_each(|row| row.sort_by(|a, b| place(a).1.total_cmp(&place(b).1)));
    lines
}

/// Groups of two and more regions, each of which touches another.
fn connected(regions: &[Region]) -> Vec<Vec<usize>> {
    let touches = |a: usize, b: usize| touch(&regions[a].whole.quad, &regions[b].whole.quad);
    let mut found: Vec<Vec<usize>> = Vec::new();
    let mut last: Vec<Vec<usize>> = (0..regions.len()).map(|number| vec![number]).collect();
    for _ in 1..MOST_REGIONS {
        let mut next: Vec<Vec<usize>> = Vec::new();
        for group in &last {
            for other in 0..regions.len() {
                if group.contains(&other) || !group.iter().any(|member| touches(*member, other)) {
                    continue;
                }
                let mut grown = group.clone();
                grown.push(other);
                grown.sort_unstable();
                if !next.contains(&grown) && found.len() + next.len() < MOST_GROUPS {
                    next.push(grown);
                }
            }
        }
        found.extend(next.iter().cloned());
        last = next;
    }
    found
}

/// Whether two lines may stand on one plate: alike in height and direction, and
/// beside or below each other without room for a third.
fn touch(a: &Quad, b: &Quad) -> bool {
    let (Some(along), Some(other)) = (a.along(), b.along()) else {
        return false;
    };
    let (high, low) = (a.height().max(b.height()), a.height().min(b.height()));
    let is_alike = high <= MOST_UNLIKE * low;
    let is_parallel = along[0] * other[0] + along[1] * other[1] >= PARALLEL;
    let (from, to) = (a.centre(), b.centre());
    let way = [to[0] - from[0], to[1] - from[1]];
    let right = (way[0] * along[0] + way[1] * along[1]).abs();
    let down = (way[1] * along[0] - way[0] * along[1]).abs();
    let mean = f64::midpoint(high, low);
    let is_beside = down < mean / 2.0 && right - f64::midpoint(a.width(), b.width()) < 1.5 * mean;
    let is_below = down < 1.8 * mean && right < a.width().max(b.width()) / 2.0;
    is_alike && is_parallel && (is_beside || is_below)
}

/// Of groups that share regions only the best.
fn chosen(groups: Vec<Group>) -> Vec<Group> {
    let mut ranked: Vec<(f64, Group)> = wholes(groups)
        .into_iter()
        .filter_map(|group| Some((worth(&group)?, group)))
        .collect();
    // Stable: equals stay in the order in which they were made.
    ranked.sort_by(|a, b| b.0.total_cmp(&a.0));
    let mut taken: Vec<usize> = Vec::new();
    let mut found = Vec::new();
    for (_, group) in ranked {
        if group.regions.iter().any(|region| taken.contains(region)) {
            continue;
        }
        taken.extend(&group.regions);
        found.push(group);
    }
    found
}

/// Without the plates that are part of another plate, which is in doubt then.
fn wholes(groups: Vec<Group>) -> Vec<Group> {
    let plates = groups.iter().filter(|group| group.reading.is_ok());
    let regions: Vec<Vec<usize>> = plates.map(|group| group.regions.clone()).collect();
    let is_part = |part: &[usize], whole: &[usize]| {
        part.len() < whole.len() && part.iter().all(|region| whole.contains(region))
    };
    let mut kept = Vec::new();
    for mut group in groups {
        if let (Ok(reading), Some(rows)) = (&mut group.reading, &mut group.rows) {
            if regions.iter().any(|whole| is_part(&group.regions, whole)) {
                continue;
            }
            let is_doubtful = regions.iter().any(|part| is_part(part, &group.regions));
            reading.is_doubtful |= is_doubtful;
            rows.is_doubtful |= is_doubtful;
        }
        kept.push(group);
    }
    kept
}

/// What speaks for a group: that it is a plate, that it is one without doubt,
/// how sure its characters are, and how few were corrected. None for writing
/// that nobody would take for a plate.
fn worth(group: &Group) -> Option<f64> {
    if let Ok(reading) = &group.reading {
        let best = reading.best()?;
        let total: f64 = best.symbols.iter().map(|symbol| symbol.confidence).sum();
        let mean = total / best.symbols.len().max(1) as f64;
        let is_decided = f64::from(u8::from(reading.decided().is_some()));
        return Some(10.0 + is_decided + mean - 0.2 * best.corrections.len() as f64);
    }
    let glyphs = || group.lines.iter().flat_map(|line| &line.patch.glyphs);
    let digits = glyphs()
        .filter(|glyph| glyph.symbol.is_ascii_digit())
        .count();
    // More digits are more of the plate, until they are of several.
    let fault = if group.reading == Err(Refusal::TooManyRows) {
        6.0
    } else {
        0.0
    };
    (digits >= LEAST_DIGITS)
        .then(|| digits.min(8) as f64 - fault - group.regions.len() as f64 / 10.0)
}

#[cfg(test)]
mod tests {
    use edge_core::second_look::PlateText;
    use plates::{Circumstances, Glyph, Grammar};

    use super::*;

    const SIZE: (u32, u32) = (400, 200);

    /// A line with its left, top, width and height in pixels.
    fn line(text: &str, [x, y, width, height]: [f64; 4]) -> Line {
        let quad = Quad([
            [x, y],
            [x + width, y],
            [x + width, y + height],
            [x, y + height],
        ]);
        let glyph = |symbol| Glyph {
            symbol,
            confidence: 0.95,
            runner_up: None,
        };
        Line {
            quad,
            patch: Patch {
                glyphs: text.chars().map(glyph).collect(),
                is_doubtful: false,
                corners: quad.points(SIZE),
            },
        }
    }

    fn region(text: &str, place: [f64; 4]) -> Region {
        Region {
            whole: line(text, place),
            halves: None,
        }
    }

    /// What is found: plates as they are, refusals in brackets. Every plate is
    /// the one that a scene makes of it when it is told.
    fn found(regions: &[Region]) -> Vec<String> {
        let grammar = Grammar::vietnam();
        let read = |rows: &Rows| plates::read(&grammar, rows, Circumstances::default());
        let groups = plates(regions, 2.0, |rows, _| read(rows));
        for group in groups.iter().filter(|group| group.reading.is_ok()) {
            let bounds = [0.1, 0.1, 0.2, 0.1].into();
            let told = PlateText::of(bounds, 0.9, group.rows.as_ref().unwrap(), None);
            let line = serde_json::to_string(&told).unwrap();
            let heard: PlateText = serde_json::from_str(&line).unwrap();
            assert_eq!(read(&heard.rows()), group.reading, "{line}");
        }
        let found = groups.iter().map(|group| match &group.reading {
            Ok(reading) if reading.is_doubtful => {
                assert_eq!(reading.decided(), None);
                format!("{}?", reading.best().unwrap().text)
            }
            Ok(reading) => reading.best().unwrap().text.clone(),
            Err(refusal) => format!("({refusal})"),
        });
        found.collect()
    }

    #[test]
    fn rows_below_and_pieces_beside_each_other_are_one_plate() {
        let upper = || region("29-B1", [110.0, 50.0, 60.0, 30.0]);
        for lower in [
            vec![region("123.45", [100.0, 85.0, 80.0, 30.0])],
            vec![
                region("123.", [100.0, 85.0, 45.0, 30.0]),
                region("45", [150.0, 85.0, 30.0, 30.0]),
            ],
        ] {
            // Whatever comes first.
            let mut regions = lower;
            regions.push(upper());
            assert_eq!(found(&regions), ["29B112345"]);
            regions.reverse();
            assert_eq!(found(&regions), ["29B112345"]);
        }
    }

    /// The first two of these pieces are plates of other people.
    #[test]
    fn a_plate_that_is_another_without_a_piece_is_in_doubt() {
        let cut = |upper: &str, lower: [&str; 2]| {
            found(&[
                region(upper, [110.0, 50.0, 60.0, 30.0]),
                region(lower[0], [100.0, 85.0, 55.0, 30.0]),
                region(lower[1], [157.0, 85.0, 20.0, 30.0]),
            ])
        };
        assert_eq!(cut("30A", ["123.4", "5"]), ["30A12345?"]);
        assert_eq!(cut("29B1", ["1234", "5"]), ["29B112345?"]);
        let one_row = [
            region("30A-123", [80.0, 60.0, 80.0, 30.0]),
            region(".45", [165.0, 60.0, 30.0, 30.0]),
        ];
        assert_eq!(found(&one_row), ["30A12345"]);
    }

    #[test]
    fn a_sticker_above_and_a_phone_number_below_are_no_part_of_it() {
        let regions = [
            region("HONG PHU", [100.0, 20.0, 70.0, 25.0]),
            region("30A-123.45", [80.0, 60.0, 130.0, 30.0]),
            region("0912345678", [80.0, 140.0, 130.0, 25.0]),
        ];
        let expected = [
            "30A12345",
            "(the characters fit no plate, corrected ones neither)",
        ];
        assert_eq!(found(&regions), expected);
    }

    #[test]
    fn plates_of_two_vehicles_are_not_mixed() {
        let regions = [
            region("29-B1", [20.0, 50.0, 60.0, 30.0]),
            region("30-K2", [220.0, 50.0, 60.0, 30.0]),
            region("678.90", [210.0, 85.0, 80.0, 30.0]),
            region("123.45", [10.0, 85.0, 80.0, 30.0]),
        ];
        let mut plates = found(&regions);
        plates.sort();
        assert_eq!(plates, ["29B112345", "30K267890"]);
    }

    #[test]
    fn a_region_of_both_rows_is_read_in_halves() {
        let place = [100.0, 50.0, 80.0, 60.0];
        let both = Region {
            whole: line("2B1", place),
            halves: Some([
                line("29-B1", [100.0, 50.0, 80.0, 28.0]),
                line("123.45", [100.0, 82.0, 80.0, 28.0]),
            ]),
        };
        assert_eq!(found(&[both]), ["29B112345"]);
    }

    #[test]
    fn writing_without_digits_is_no_plate_and_no_refused_one() {
        assert_eq!(found(&[region("TAXI", [0.0, 0.0, 90.0, 30.0])]), [""; 0]);
        assert_eq!(found(&[]), [""; 0]);
    }
}
