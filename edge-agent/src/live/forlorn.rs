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
