//! A model that nothing computes any more in this process: told once each time, since it is asked
//! after every look, and who is told ends the program or writes a line.

/// Whether it was told already.
#[derive(Debug, Default)]
pub(super) struct Forlorn {
    was_told: bool,
}

impl Forlorn {
    /// Why it is so, where it was not so when this was asked last.
    pub(super) fn newly(&mut self, why: Option<String>) -> Option<String> {
        let was_told = std::mem::replace(&mut self.was_told, why.is_some());
        why.filter(|_| !was_told)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::live::scene_thread::{OnPanic, Whose};
    use crate::live::{Ending, StopFlag};

    /// How many looks were taken of a hundred, in each life of the program, until it ended for want
    /// of a device that is lost from the third look on.
    fn lives(looks_until_lost: usize, lives: usize) -> Vec<(usize, bool)> {
        let dir = tempfile::tempdir().unwrap();
        let live = |_| {
            let stop = StopFlag::default();
            let lost = OnPanic::new(Whose::SecondModel, None, dir.path(), &stop);
            let mut forlorn = Forlorn::default();
            let mut looks = 0;
            while looks < 100 && !stop.is_set() {
                looks += 1;
                let why = (looks > looks_until_lost).then(|| "an illegal memory access".to_owned());
                if let Some(why) = forlorn.newly(why) {
                    lost.give_way(why);
                }
            }
            (looks, matches!(stop.fault(), Some(Ending::Forlorn(_))))
        };
        (0..lives).map(live).collect()
    }

    #[test]
    fn a_device_that_never_comes_back_ends_three_lives_and_the_fourth_goes_on_without() {
        assert_eq!(
            lives(2, 5),
            [(3, true), (3, true), (3, true), (100, false), (100, false)]
        );
        assert_eq!(lives(100, 1), [(100, false)]);
    }

    /// Told at each look it would be three ends within a second, and nothing would be left to try.
    #[test]
    fn it_is_told_once_each_time_that_it_is_lost() {
        let mut forlorn = Forlorn::default();
        let told = [false, true, true, false, true, true].map(|is_lost| {
            let why = is_lost.then(|| "lost".to_owned());
            forlorn.newly(why).is_some()
        });
        assert_eq!(told, [false, true, false, false, true, false]);
    }
}
