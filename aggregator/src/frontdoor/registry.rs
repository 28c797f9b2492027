//! Who is connected, by client id, so that a second connection of the same
//! client ends the first (MQTT 5 § 3.1.4): a box whose line died comes back
//! long before the centre's side of the old connection notices.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::sync::oneshot;

/// How long a newcomer waits for the old connection to be wound up.
const PATIENCE: Duration = Duration::from_secs(5);

/// A proven box cannot throw out another by taking its client id.
type Key = (Option<crate::store::Whose>, String);

#[derive(Debug, Default)]
pub(super) struct Registry {
    entries: Mutex<Entries>,
}

#[derive(Debug, Default)]
struct Entries {
    last: u64,
    by_client: HashMap<Key, Entry>,
}

#[derive(Debug)]
struct Entry {
    serial: u64,
    leave: oneshot::Sender<()>,
    gone: oneshot::Receiver<()>,
}

/// A place in the registry, given up when dropped.
#[derive(Debug)]
pub(super) struct Presence {
    registry: Arc<Registry>,
    key: Key,
    serial: u64,
    /// Dropped with the rest: the successor's `gone` then ends.
    _gone: oneshot::Sender<()>,
}

impl Registry {
    /// Takes the place of `key`, after its holder, if any, has been wound up.
    /// The receiver ends when somebody else takes it.
    pub(super) async fn enter(
        self: &Arc<Self>,
        key: Key,
    ) -> (Presence, oneshot::Receiver<()>, bool) {
        let (leave, left) = oneshot::channel();
        let (present, gone) = oneshot::channel();
        let (serial, former) = {
            let mut entries = self.entries.lock().unwrap_or_else(PoisonError::into_inner);
            entries.last += 1;
            let serial = entries.last;
            let entry = Entry {
                serial,
                leave,
                gone,
            };
            (serial, entries.by_client.insert(key.clone(), entry))
        };
        let presence = Presence {
            registry: Arc::clone(self),
            key,
            serial,
            _gone: present,
        };
        let took_over = former.is_some();
        if let Some(former) = former {
            let _already_leaving = former.leave.send(()).is_err();
            // Its will must be carried out before this one's "online".
            let _ended = tokio::time::timeout(PATIENCE, former.gone).await.is_ok();
        }
        (presence, left, took_over)
    }
}

impl Presence {
    /// Tells connections apart that had the same client id.
    pub(super) fn serial(&self) -> u64 {
        self.serial
    }
}

impl Drop for Presence {
    fn drop(&mut self) {
        let mut entries = self
            .registry
            .entries
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        if entries
            .by_client
            .get(&self.key)
            .is_some_and(|entry| entry.serial == self.serial)
        {
            entries.by_client.remove(&self.key);
        }
    }
}
