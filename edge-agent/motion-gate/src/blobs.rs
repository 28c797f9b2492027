//! From cells that differ to things that move.
//!
//! Cells that touch are one thing. A thing counts when it is as large as the
//! farthest walker, and is there again in the next pictures, near where it was:
//! a streak of rain, an insect and a damaged block of the codec are not.

use protocol::NormBox;

use crate::background::marked;

/// A thing has at least so many cells: a walker of 4 × 1½ cells fills more.
const LEAST_CELLS: usize = 3;
/// A thing of this many cells is no rain and need not be waited for.
const LARGE_CELLS: usize = 40;
/// A smaller one must be there for so long, s.
const PERSIST_S: f32 = 0.25;
/// Pictures farther apart show a small thing in two places: it is believed at once, s.
const SPARSE_S: f32 = 0.3;
/// How far a small thing gets from one picture to the next, cells.
const REACH: usize = 2;
/// What shows the same for so long stands, s: the ground that a vehicle left, or a
/// white line in a new exposure. Who walks brings cells that are younger.
const STANDS_S: f32 = 1.0;
/// Regions that are told at most; more are one.
const MOST_REGIONS: usize = 16;

/// Finds things in marked cells, and remembers how long they were there.
#[derive(Clone, Debug, Default)]
pub(crate) struct Blobs {
    columns: usize,
    /// How long something was in each cell, s; negative: nothing.
    ages: Vec<f32>,
    next: Vec<f32>,
    seen: Vec<bool>,
    stack: Vec<usize>,
    /// The cells of the thing at hand.
    cells: Vec<usize>,
    /// The marked cells of the picture.
    todo: Vec<usize>,
    regions: Vec<NormBox>,
}

impl Blobs {
    pub(crate) fn begin(&mut self, (columns, rows): (usize, usize)) {
        self.columns = columns;
        for ages in [&mut self.ages, &mut self.next] {
            ages.clear();
            ages.resize(columns * rows, -1.0);
        }
        self.regions.clear();
    }

    /// Where things move, in the last picture, fractions of it.
    pub(crate) fn regions(&self) -> &[NormBox] {
        &self.regions
    }

    /// Nothing differs.
    pub(crate) fn clear(&mut self) {
        self.ages.fill(-1.0);
        self.regions.clear();
    }

    /// Unmarks the cells that belong to no thing. `same_s` is for how long each cell
    /// has shown the same. True when something moves.
    pub(crate) fn find(
        &mut self,
        marks: &mut [bool],
        same_s: impl Fn(usize) -> f32,
        passed_s: f32,
    ) -> bool {
        self.regions.clear();
        self.next.fill(-1.0);
        self.seen.clear();
        self.seen.resize(marks.len(), false);
        // Things unmark their cells only after they were seen.
        self.todo.clear();
        self.todo.extend(marked(marks));
        for next in 0..self.todo.len() {
            let first = self.todo[next];
            if self.seen[first] {
                continue;
            }
            self.flood(first, marks);
            let size = self.cells.len();
            let age = if size < LEAST_CELLS {
                -1.0
            } else {
                self.age(marks, passed_s)
            };
            let is_thing = size >= LARGE_CELLS
                || size >= LEAST_CELLS && (age >= PERSIST_S || passed_s >= SPARSE_S);
            for index in 0..size {
                let cell = self.cells[index];
                marks[cell] = is_thing;
                self.next[cell] = age;
            }
            if is_thing && self.changes(marks.len(), &same_s) {
                self.tell(marks.len());
            }
        }
        std::mem::swap(&mut self.ages, &mut self.next);
        !self.regions.is_empty()
    }

    /// Collects the cells that touch `first`, corners included.
    fn flood(&mut self, first: usize, marks: &[bool]) {
        let columns = self.columns;
        let rows = marks.len() / columns;
        self.cells.clear();
        self.stack.push(first);
        self.seen[first] = true;
        while let Some(cell) = self.stack.pop() {
            self.cells.push(cell);
            let (column, row) = (cell % columns, cell / columns);
            let (left, right) = (column.saturating_sub(1), (column + 1).min(columns - 1));
            for row in row.saturating_sub(1)..=(row + 1).min(rows - 1) {
                for near in (left..=right).map(|column| row * columns + column) {
                    if marks[near] && !self.seen[near] {
                        self.seen[near] = true;
                        self.stack.push(near);
                    }
                }
            }
        }
    }

    /// Whether two cells of the thing at hand that touch have changed lately: one
    /// alone is noise.
    fn changes(&self, count: usize, same_s: &impl Fn(usize) -> f32) -> bool {
        let (columns, rows) = (self.columns, count / self.columns);
        let is_fresh = |cell: usize| self.next[cell] >= 0.0 && same_s(cell) < STANDS_S;
        self.cells.iter().any(|cell| {
            let mut near = around(*cell, 1, columns, rows).filter(|near| near != cell);
            is_fresh(*cell) && near.any(is_fresh)
        })
    }

    /// How long the thing at hand was there: the longest of what was near.
    fn age(&self, marks: &[bool], passed_s: f32) -> f32 {
        let columns = self.columns;
        let rows = self.ages.len() / columns;
        let mut before = -1.0_f32;
        for cell in &self.cells {
            let (column, row) = (cell % columns, cell / columns);
            let right = (column + REACH).min(columns - 1);
            // What is near the cell to the left, which then is of the same thing, is done there.
            let left = if column > 0 && marks[cell - 1] {
                right
            } else {
                column.saturating_sub(REACH)
            };
            for row in row.saturating_sub(REACH)..=(row + REACH).min(rows - 1) {
                let near = &self.ages[row * columns..][left..=right];
                for age in near {
                    before = if *age > before { *age } else { before };
                }
            }
        }
        if before < 0.0 { 0.0 } else { before + passed_s }
    }

    fn tell(&mut self, count: usize) {
        let (columns, rows) = (self.columns, count / self.columns);
        let bounds = |of: fn(usize, usize) -> usize| {
            let places = self.cells.iter().map(move |cell| of(*cell, columns));
            (places.clone().min().unwrap_or(0), places.max().unwrap_or(0))
        };
        let (left, right) = bounds(|cell, columns| cell % columns);
        let (top, bottom) = bounds(|cell, columns| cell / columns);
        let region = NormBox {
            x: left as f64 / columns as f64,
            y: top as f64 / rows as f64,
            width: (right + 1 - left) as f64 / columns as f64,
            height: (bottom + 1 - top) as f64 / rows as f64,
        };
        let is_full = self.regions.len() >= MOST_REGIONS;
        match self.regions.last_mut() {
            Some(last) if is_full => *last = union(last, &region),
            _ => self.regions.push(region),
        }
    }
}

fn union(a: &NormBox, b: &NormBox) -> NormBox {
    let (x, y) = (a.x.min(b.x), a.y.min(b.y));
    NormBox {
        x,
        y,
        width: a.right().max(b.right()) - x,
        height: a.bottom().max(b.bottom()) - y,
    }
}

/// The cells within `reach` of a cell, itself included.
pub(crate) fn around(
    cell: usize,
    reach: usize,
    columns: usize,
    rows: usize,
) -> impl Iterator<Item = usize> {
    let (column, row) = (cell % columns, cell / columns);
    let across = column.saturating_sub(reach)..=(column + reach).min(columns - 1);
    let down = row.saturating_sub(reach)..=(row + reach).min(rows - 1);
    down.flat_map(move |row| across.clone().map(move |column| row * columns + column))
}
