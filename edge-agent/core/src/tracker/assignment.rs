//! Who is who: the best one-to-one assignment of rows to columns.
//!
//! The Hungarian method as successive shortest augmenting paths with
//! potentials (Jonker and Volgenant), O(rows² · columns), for rectangular
//! matrices and without allocation once its buffers have grown.
//!
//! A pair may be impossible. Minimising `gain ≤ 0` with 0 for "left alone"
//! makes leaving a pair out exactly as good as its limit, so a poor pair never
//! pushes good pairs apart only to be thrown away afterwards.

/// Buffers for solving, kept from frame to frame.
#[derive(Clone, Debug, Default)]
pub(super) struct Assignment {
    cost: Vec<f64>,
    rows: usize,
    columns: usize,
    row_potential: Vec<f64>,
    column_potential: Vec<f64>,
    /// Which row holds a column; 0 for none (rows and columns count from 1 here).
    holder: Vec<usize>,
    previous: Vec<usize>,
    least: Vec<f64>,
    done: Vec<bool>,
    pairs: Vec<(usize, usize)>,
}

impl Assignment {
    /// Starts a new matrix in which no pair is possible.
    pub(super) fn reset(&mut self, rows: usize, columns: usize) {
        self.rows = rows;
        self.columns = columns;
        self.cost.clear();
        self.cost.resize(rows * columns, 0.0);
    }

    /// Says that a pair is possible and how good it is, more being better.
    /// A gain of 0 or less changes nothing.
    pub(super) fn allow(&mut self, row: usize, column: usize, gain: f64) {
        if gain > 0.0 {
            self.cost[row * self.columns + column] = -gain;
        }
    }

    /// The pairs of greatest total gain, by row.
    pub(super) fn solve(&mut self) -> &[(usize, usize)] {
        self.pairs.clear();
        // Every row must find a column, so the longer side plays the columns.
        let turned = self.rows > self.columns;
        let (n, m) = if turned {
            (self.columns, self.rows)
        } else {
            (self.rows, self.columns)
        };
        if n == 0 {
            return &self.pairs;
        }
        for (buffer, length) in [
            (&mut self.row_potential, n + 1),
            (&mut self.column_potential, m + 1),
        ] {
            buffer.clear();
            buffer.resize(length, 0.0);
        }
        for buffer in [&mut self.holder, &mut self.previous] {
            buffer.clear();
            buffer.resize(m + 1, 0);
        }
        for row in 1..=n {
            self.augment(row, m, turned);
        }
        for column in 1..=m {
            let row = self.holder[column];
            if row == 0 {
                continue;
            }
            let (row, column) = if turned {
                (column - 1, row - 1)
            } else {
                (row - 1, column - 1)
            };
            if self.cost[row * self.columns + column] < 0.0 {
                self.pairs.push((row, column));
            }
        }
        self.pairs.sort_unstable();
        &self.pairs
    }

    /// Gives `row` a column by the cheapest chain of exchanges (Dijkstra on reduced costs).
    fn augment(&mut self, row: usize, m: usize, turned: bool) {
        self.least.clear();
        self.least.resize(m + 1, f64::INFINITY);
        self.done.clear();
        self.done.resize(m + 1, false);
        self.holder[0] = row;
        let mut column = 0;
        while self.holder[column] != 0 || column == 0 {
            self.done[column] = true;
            let from = self.holder[column];
            let mut step = f64::INFINITY;
            let mut next = 0;
            for j in 1..=m {
                if self.done[j] {
                    continue;
                }
                let cost = if turned {
                    self.cost[(j - 1) * self.columns + from - 1]
                } else {
                    self.cost[(from - 1) * self.columns + j - 1]
                };
                let reduced = cost - self.row_potential[from] - self.column_potential[j];
                if reduced < self.least[j] {
                    self.least[j] = reduced;
                    self.previous[j] = column;
                }
                if self.least[j] < step {
                    step = self.least[j];
                    next = j;
                }
            }
            for j in 0..=m {
                if self.done[j] {
                    self.row_potential[self.holder[j]] += step;
                    self.column_potential[j] -= step;
                } else {
                    self.least[j] -= step;
                }
            }
            column = next;
        }
        while column != 0 {
            let before = self.previous[column];
            self.holder[column] = self.holder[before];
            column = before;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn best_by_trying_all(gains: &[Vec<f64>], row: usize, taken: &mut Vec<bool>) -> f64 {
        let Some(list) = gains.get(row) else {
            return 0.0;
        };
        let mut best = best_by_trying_all(gains, row + 1, taken);
        for (column, gain) in list.iter().enumerate() {
            if *gain > 0.0 && !taken[column] {
                taken[column] = true;
                best = best.max(gain + best_by_trying_all(gains, row + 1, taken));
                taken[column] = false;
            }
        }
        best
    }

    fn solved(gains: &[Vec<f64>], columns: usize) -> Vec<(usize, usize)> {
        let mut assignment = Assignment::default();
        assignment.reset(gains.len(), columns);
        for (row, list) in gains.iter().enumerate() {
            for (column, gain) in list.iter().enumerate() {
                assignment.allow(row, column, *gain);
            }
        }
        assignment.solve().to_vec()
    }

    #[test]
    fn the_greedy_choice_is_given_up_for_a_better_whole() {
        // Taking 0.9 first would leave row 1 with nothing.
        let gains = vec![vec![0.9, 0.8], vec![0.85, 0.0]];
        assert_eq!(solved(&gains, 2), [(0, 1), (1, 0)]);
    }

    #[test]
    fn nobody_is_forced_into_an_impossible_pair() {
        assert_eq!(solved(&[vec![0.0, 0.0], vec![0.0, 0.3]], 2), [(1, 1)]);
        assert_eq!(solved(&[], 3), []);
        assert_eq!(solved(&[vec![], vec![]], 0), []);
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(512))]
        #[test]
        fn the_total_equals_that_of_trying_all(
            (columns, gains) in (0_usize..6, 0_usize..6).prop_flat_map(|(columns, rows)| {
                let gain = prop_oneof![Just(0.0), 0.0..1.0_f64, Just(0.5)];
                (Just(columns), prop::collection::vec(prop::collection::vec(gain, columns), rows))
            })
        ) {
            let pairs = solved(&gains, columns);
            let total: f64 = pairs.iter().map(|&(r, c)| gains[r][c]).sum();
            let best = best_by_trying_all(&gains, 0, &mut vec![false; columns]);
            prop_assert!((total - best).abs() < 1e-9, "{} {}", total, best);
            for (index, (row, column)) in pairs.iter().enumerate() {
                for (other_row, other_column) in &pairs[index + 1..] {
                    prop_assert!(row != other_row && column != other_column);
                }
            }
        }
    }
}
