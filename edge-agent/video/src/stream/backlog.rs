//! What to do with encoded pictures when decoding cannot keep up.
//!
//! Dropping any one of them spoils all that follow, up to the next key picture.
//! So, once too many wait, all are dropped up to a key picture that finds the
//! queue nearly empty.

/// Whether encoded pictures are being skipped.
#[derive(Clone, Copy, Debug, Default)]
pub struct Backlog {
    is_skipping: bool,
}

/// More than this wait: decoding cannot keep up. Two seconds of most cameras,
/// and more than the burst that many begin with.
const TOO_MANY: u32 = 50;
/// Fewer than this: decoding may go on with a key picture.
const FEW: u32 = 4;

impl Backlog {
    /// Whether to skip the next encoded picture while so many wait.
    pub fn skips(&mut self, waiting: u32, is_key: bool) -> bool {
        if waiting >= TOO_MANY {
            self.is_skipping = true;
        } else if is_key && waiting <= FEW {
            self.is_skipping = false;
        }
        self.is_skipping
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A camera with a key picture every `gop`; the decoder takes one picture
    /// of `of` that come. Returns what is decoded.
    fn decoded(gop: u32, of: u32) -> Vec<u32> {
        let mut backlog = Backlog::default();
        let mut queue = std::collections::VecDeque::new();
        let mut decoded = Vec::new();
        for picture in 0..2_000 {
            let waiting = u32::try_from(queue.len()).unwrap();
            if !backlog.skips(waiting, picture % gop == 0) {
                queue.push_back(picture);
            }
            if picture % of == 0 {
                decoded.extend(queue.pop_front());
            }
            assert!(queue.len() <= TOO_MANY as usize, "the queue grows");
        }
        decoded
    }

    #[test]
    fn a_decoder_that_keeps_up_gets_everything() {
        assert_eq!(decoded(50, 1), (0..2_000).collect::<Vec<_>>());
    }

    #[test]
    fn a_slow_decoder_gets_unbroken_runs_from_key_pictures() {
        for (gop, of) in [(50, 2), (25, 3), (10, 10), (1, 2)] {
            let decoded = decoded(gop, of);
            assert!(decoded.len() > 100, "{gop}, {of}: {}", decoded.len());
            for pair in decoded.windows(2) {
                let is_unbroken = pair[1] == pair[0] + 1;
                assert!(is_unbroken || pair[1] % gop == 0, "{pair:?} of {gop}, {of}");
            }
        }
    }
}
