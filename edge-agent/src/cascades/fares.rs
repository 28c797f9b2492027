//! How a model fares that takes second looks: how many, and on how many it failed.

use super::Answer;

/// Second looks of one model.
#[derive(Clone, Debug, Default)]
pub(crate) struct Fares {
    /// Looks that it took.
    pub(crate) looks: u64,
    /// Of them those on which it failed.
    pub(crate) failures: u64,
    /// Answers that were no numbers, and were passed over.
    pub(crate) broken: u64,
    /// Why it failed first.
    first: Option<String>,
}

impl Fares {
    /// Takes an answer into account.
    pub(crate) fn note(&mut self, answer: &Answer) {
        self.looks += 1;
        self.broken += answer.broken() as u64;
        if let Some(error) = answer.failure() {
            self.failures += 1;
            self.first.get_or_insert_with(|| error.to_string());
        }
    }

    /// What speaks against what it said, as a sentence each.
    pub(crate) fn doubts(&self, name: &str) -> Vec<String> {
        let mut doubts = Vec::new();
        if let Some(error) = &self.first {
            doubts.push(format!(
                "{name} failed on {} of {} second looks, which count as not taken; first: {error}",
                self.failures, self.looks
            ));
        }
        if self.broken > 0 {
            doubts.push(format!(
                "{} answers of {name} to second looks were no numbers and were passed over",
                self.broken
            ));
        }
        doubts
    }
}
