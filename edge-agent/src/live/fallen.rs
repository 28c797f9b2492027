//! Threads of other crates that have ended while the box watches. They hold no
//! [`OnPanic`], so the thread that looks asks for them each time round.

use std::cell::Cell;

use super::scene_thread::OnPanic;

/// What has to go on for as long as the box watches.
#[derive(Default)]
pub(super) struct Fallen<'a>(Vec<Watched<'a>>);

struct Watched<'a> {
    has_ended: Box<dyn Fn() -> bool + 'a>,
    on_panic: OnPanic,
    is_told: Cell<bool>,
}

impl<'a> Fallen<'a> {
    pub(super) fn watch(&mut self, on_panic: OnPanic, has_ended: impl Fn() -> bool + 'a) {
        self.0.push(Watched {
            has_ended: Box::new(has_ended),
            on_panic,
            is_told: Cell::new(false),
        });
    }

    /// Acts on each that has ended, once.
    pub(super) fn look(&self) {
        for watched in &self.0 {
            if !watched.is_told.get() && (watched.has_ended)() {
                watched.is_told.set(true);
                watched.on_panic.act();
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::StopFlag;
    use super::super::scene_thread::Whose;
    use super::*;

    #[test]
    fn a_thread_of_another_crate_that_has_ended_ends_the_program_once() {
        let dir = tempfile::tempdir().unwrap();
        let stop = StopFlag::default();
        let has_ended = Cell::new(false);
        let mut fallen = Fallen::default();
        let on_panic = OnPanic::new(Whose::Uplink, None, dir.path(), &stop);
        fallen.watch(on_panic, || has_ended.get());
        fallen.look();
        assert!(!stop.is_set());
        has_ended.set(true);
        fallen.look();
        let fault = stop.fault().unwrap().to_string();
        assert!(fault.contains("delivers to the centre"), "{fault}");
        // Counted once, however often it is looked at.
        let counted = || std::fs::read_to_string(dir.path().join("scene-panics")).unwrap();
        let before = counted();
        fallen.look();
        assert_eq!(counted(), before);
    }
}
