//! What an inference costs, as measured.

/// How much a new measurement counts.
const PART: f64 = 0.2;

/// The time of one model's batches, by their size.
#[derive(Clone, Debug)]
pub(crate) struct Pace {
    /// µs for a batch of so many, from one; `None`: never tried.
    took: Vec<Option<f64>>,
}

impl Pace {
    pub(crate) fn new(most: usize) -> Self {
        Self {
            took: vec![None; most.max(1)],
        }
    }

    /// The largest batch that the model takes.
    pub(crate) fn most(&self) -> usize {
        self.took.len()
    }

    pub(crate) fn measured(&mut self, size: usize, us: i64) {
        if let Some(slot) = size.checked_sub(1).and_then(|at| self.took.get_mut(at)) {
            let us = us.max(0) as f64;
            *slot = Some(slot.map_or(us, |old| old + (us - old) * PART));
        }
    }

    /// How long a batch of so many should take, µs; nothing is known before the
    /// first one, and then it is tried.
    pub(crate) fn expected(&self, size: usize) -> f64 {
        let mut known = self.took.iter().take(size).enumerate().rev();
        // Never tried at this size: as if each picture cost as much as in the
        // nearest smaller batch. More than it will be, so the bound is kept.
        known
            .find_map(|(at, took)| Some(took.as_ref()? * size as f64 / (at + 1) as f64))
            .unwrap_or(0.0)
    }
}
