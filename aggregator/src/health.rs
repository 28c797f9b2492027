//! Whether the centre can do its work, and if not, why.

use std::sync::{Arc, Mutex, PoisonError};

/// What `/readyz` tells; clones share it.
#[derive(Clone, Debug, Default)]
pub struct Health(Arc<Mutex<Troubles>>);

#[derive(Debug, Default)]
struct Troubles {
    store: Option<String>,
    broker: Option<String>,
    part: Option<String>,
    stopping: bool,
}

impl Health {
    fn troubles(&self) -> std::sync::MutexGuard<'_, Troubles> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The database did not commit; `true` when that is news.
    pub fn store_failed(&self, why: &str) -> bool {
        self.troubles()
            .store
            .replace(format!("cannot commit: {why}"))
            .is_none()
    }

    /// The database committed.
    pub fn store_works(&self) {
        if self.troubles().store.take().is_some() {
            tracing::info!("commits work again");
        }
    }

    /// The broker cannot be used; `true` when that is news.
    pub fn broker_lost(&self, why: String) -> bool {
        let mut troubles = self.troubles();
        let is_news = troubles.broker.as_ref() != Some(&why);
        troubles.broker = Some(why);
        is_news
    }

    /// The broker can be used.
    pub fn broker_works(&self) {
        self.troubles().broker = None;
    }

    /// A part of the program has ended that should not have; it does not come
    /// back without a restart.
    pub fn part_ended(&self, why: String) {
        self.troubles().part.get_or_insert(why);
    }

    /// The program is about to end.
    pub fn stopping(&self) {
        self.troubles().stopping = true;
    }

    /// Everything that is wrong; empty when ready.
    pub fn reasons(&self) -> Vec<String> {
        let troubles = self.troubles();
        let mut reasons: Vec<String> = [&troubles.part, &troubles.store, &troubles.broker]
            .into_iter()
            .flatten()
            .cloned()
            .collect();
        if troubles.stopping {
            reasons.push("shutting down".to_owned());
        }
        reasons
    }
}
