//! For how long there was no whole picture to be looked at.
//!
//! Lengths, and not how often: three pictures that are lost in a second are no reason why
//! nobody looked for all of it. And what was wanted less often than it came lacks only where a
//! picture that was wanted came clearly later than that.

/// For how long there was none, in all.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Lack {
    /// Pictures came, and were not whole (µs).
    pub damaged_us: u64,
    /// Pictures were missing, though nobody left them out (µs).
    pub missing_us: u64,
}

impl Lack {
    /// So much more than `before`.
    #[must_use]
    pub const fn since(self, before: Self) -> Self {
        Self {
            damaged_us: self.damaged_us.saturating_sub(before.damaged_us),
            missing_us: self.missing_us.saturating_sub(before.missing_us),
        }
    }

    /// Both together.
    #[must_use]
    pub const fn and(self, other: Self) -> Self {
        Self {
            damaged_us: self.damaged_us.saturating_add(other.damaged_us),
            missing_us: self.missing_us.saturating_add(other.missing_us),
        }
    }
}

/// Follows the pictures of a stream, over all its connections.
#[derive(Debug, Default)]
pub(crate) struct LackWatch {
    /// Up to the last picture that was good to be looked at.
    total: Lack,
    /// Since then.
    pending: Lack,
    /// Media time of that picture (µs).
    last: Option<i64>,
    /// The same of the last whose pixels were looked at for garbage.
    judged: Option<i64>,
}

impl LackWatch {
    /// A new connection: what was not seen before it is its own outage.
    pub(crate) fn restart(&mut self) {
        *self = Self {
            total: self.total,
            ..Self::default()
        };
    }

    /// Pictures were missing for so long (µs).
    pub(crate) fn missing(&mut self, us: i64) {
        self.pending.missing_us = self.pending.missing_us.saturating_add(length(us));
    }

    /// The decoder says of a picture that it is not whole; so much time is its own (µs).
    pub(crate) fn damaged(&mut self, us: i64) {
        self.pending.damaged_us = self.pending.damaged_us.saturating_add(length(us));
    }

    /// The picture of this media time is garbage. Whoever wants few pictures has not looked at
    /// those between it and the one before.
    pub(crate) fn garbage(&mut self, media: i64) {
        let before = self.judged.replace(media).unwrap_or(media);
        self.damaged(media.saturating_sub(before));
    }

    /// The picture of this media time is good to be looked at; what was lacking until then, in all.
    /// One is wanted each `wanted_us`.
    pub(crate) fn sound(&mut self, media: i64, wanted_us: i64) -> Lack {
        self.judged = Some(media);
        let before = self.last.replace(media).unwrap_or(media);
        let passed = media.saturating_sub(before);
        let pending = std::mem::take(&mut self.pending);
        if passed.saturating_mul(2) > wanted_us.saturating_mul(3) {
            // Garbage may have been counted as damaged before.
            let damaged_us = pending.damaged_us.min(length(passed));
            let missing_us = pending.missing_us.min(length(passed) - damaged_us);
            self.total = self.total.and(Lack {
                damaged_us,
                missing_us,
            });
        }
        self.total
    }
}

/// What is set back is no time.
fn length(us: i64) -> u64 {
    u64::try_from(us).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn lack(damaged_us: u64, missing_us: u64) -> Lack {
        Lack {
            damaged_us,
            missing_us,
        }
    }

    #[test]
    fn what_was_not_whole_and_what_was_missing_is_known_by_its_length() {
        let mut watch = LackWatch::default();
        assert_eq!(watch.sound(0, 0), lack(0, 0));
        watch.damaged(40_000);
        watch.damaged(40_000);
        assert_eq!(watch.sound(120_000, 0), lack(80_000, 0));
        watch.missing(500_000);
        assert_eq!(watch.sound(660_000, 0), lack(80_000, 500_000));
        assert_eq!(watch.sound(700_000, 0), lack(80_000, 500_000));
        // Of five a second only that one was looked at, and the decoder had said so of one.
        watch.damaged(40_000);
        watch.garbage(900_000);
        assert_eq!(watch.sound(1_100_000, 0), lack(320_000, 500_000));
        let since = watch.total.since(lack(80_000, 500_000));
        assert_eq!(since, lack(240_000, 0));
    }

    /// What lacked was held to be the reason why nobody looked for all of that time.
    #[test]
    fn pictures_that_come_as_often_as_they_are_wanted_lack_nothing() {
        for (passed, missing_us) in [(1_100_000, 0), (1_220_000, 0), (1_700_000, 120_000)] {
            let mut watch = LackWatch::default();
            watch.sound(0, 1_100_000);
            watch.missing(120_000);
            let told = watch.sound(passed, 1_100_000);
            assert_eq!(told, lack(0, missing_us), "{passed}");
        }
    }

    #[test]
    fn what_is_between_two_connections_is_not_lacking_in_the_stream() {
        let mut watch = LackWatch::default();
        watch.sound(0, 0);
        watch.missing(1_000_000);
        watch.sound(1_040_000, 0);
        watch.damaged(40_000);
        watch.restart();
        assert_eq!(watch.sound(9_000_000, 0), lack(0, 1_000_000));
        // Set back, as of a stream that begins anew.
        watch.damaged(40_000);
        assert_eq!(watch.sound(0, 0), lack(0, 1_000_000));
    }
}
