//! Which batches give the same bits as one picture alone.
//!
//! On the processor the runtime chooses its kernels, and with them the order in
//! which it adds, by the *shape* of what it computes, never by the values. So it
//! is enough to try each size once: when noise gives the same bits in a batch as
//! alone, whatever stands beside it, then so does every picture. A size that does
//! not is not used, because what is found in a picture must not depend on how busy
//! the other cameras are.
//!
//! An accelerator promises no such thing: it may choose by timing, once, or add in
//! whatever order its parts are done, each time. The first the trial finds out, since
//! the choice is made when the shape is first met; the second it finds out only if it
//! happens meanwhile. So there each size is tried several times, with other noise
//! each time, and so is a picture alone; that is evidence, and no proof.

use super::tensors::{self, Tensor};
use super::{DetectorError, Letterbox, Network};
use crate::provider::Provider;

/// How often each size is tried on what is not the processor.
const ROUNDS: usize = 5;
/// So many batches in a row that fail, of pictures that do not, are no chance.
const FAILED_BATCHES: u32 = 3;

impl Network {
    /// Finds the largest batch, up to `wanted`, all of whose sizes give the bits
    /// of one picture alone; makes room for it.
    pub(super) fn prove_batches(&mut self, wanted: usize) {
        if wanted <= 1 {
            return;
        }
        if !tensors::has_open_batch(&self.session) {
            let reason = "the file takes one picture at a time; export it with an open batch axis";
            self.batch_limit = Some(reason.to_owned());
            return;
        }
        let input = self.manifest().input.clone();
        self.input = Tensor::new(&input, wanted);
        let plan: Letterbox = self.letterboxes[0].clone();
        self.letterboxes.resize(wanted, plan);
        let (proven, limit) = self.largest_proven(wanted);
        if let Some(reason) = &limit {
            tracing::warn!(
                model = %self.manifest().id, provider = %self.provider, batch = proven,
                "batches of {} are not used: {reason}", proven + 1
            );
        }
        (self.batch, self.batch_limit) = (proven, limit);
        self.input = Tensor::new(&input, proven);
        self.letterboxes.truncate(proven);
    }

    /// A batch of `size` failed, and each of its pictures was computed alone.
    ///
    /// A neighbour may have taken an accelerator's memory for good. Each such batch is computed
    /// twice, so after some in a row only half as many are put into one, until the network is
    /// loaded anew.
    pub(super) fn failed_together(&mut self, size: usize, error: &DetectorError) {
        self.failed_batches += 1;
        if self.failed_batches < FAILED_BATCHES || size > self.batch {
            return;
        }
        self.failed_batches = 0;
        self.batch = (size / 2).max(1);
        let reason = format!(
            "{FAILED_BATCHES} batches of {size} in a row failed on {}, though their pictures could be computed one by one: {error}",
            self.provider
        );
        tracing::warn!(
            model = %self.manifest().id, provider = %self.provider, batch = self.batch,
            "smaller batches from now on: {reason}"
        );
        self.batch_limit = Some(reason);
    }

    fn largest_proven(&mut self, wanted: usize) -> (usize, Option<String>) {
        let rounds = if self.provider == Provider::Cpu {
            1
        } else {
            ROUNDS
        };
        let mut proven = (wanted, None);
        for round in 0..rounds {
            // What one round has refused the next need not try.
            let (size, limit) = self.largest_in_round(proven.0, round * wanted);
            if limit.is_some() {
                proven = (size, limit);
            }
        }
        proven
    }

    /// The same of one round, of pictures from the `first` on.
    fn largest_in_round(&mut self, wanted: usize, first: usize) -> (usize, Option<String>) {
        let mut alone = Vec::with_capacity(wanted);
        for picture in 0..wanted {
            self.noise_in(0, first + picture);
            match self.bits(1) {
                Ok(bits) => alone.extend(bits),
                Err(error) => return (1, Some(error.to_string())),
            }
        }
        for size in 2..=wanted {
            // Another picture in each place than at the last size.
            let shown = |place: usize| (place + size) % wanted;
            for place in 0..size {
                self.noise_in(place, first + shown(place));
            }
            let together = match self.bits(size) {
                Ok(together) => together,
                Err(error) => return (size - 1, Some(error.to_string())),
            };
            let is_same = |place: usize| together[place] == alone[shown(place)];
            if !(0..size).all(is_same) {
                let reason = "the provider computes other bits in a batch than alone, and what is \
                              found must not depend on other cameras";
                return (size - 1, Some(reason.to_owned()));
            }
        }
        (wanted, None)
    }

    fn noise_in(&mut self, place: usize, picture: usize) {
        let seed = u32::try_from(picture).unwrap_or(u32::MAX).wrapping_add(1);
        self.input
            .fill_with_noise(place, &self.reader.manifest.input, seed);
    }

    /// All numbers that the head would read, place by place, as they lie in memory.
    fn bits(&mut self, size: usize) -> Result<Vec<Vec<u32>>, DetectorError> {
        let places = self.compute(size, |_, _, outputs| {
            let numbers = outputs.iter().flat_map(|output| output.data);
            Ok(numbers.map(|number| number.to_bits()).collect())
        })?;
        places.into_iter().collect()
    }
}
