//! Who is connected, by client id, so that a second connection of the same
//! client ends the first (MQTT 5 § 3.1.4): a box whose line died comes back
//! long before the centre's side of the old connection notices. And by box, so
//! that the last will of an old connection says nothing of a box that has come
//! back under another client id. And by agent: while one is here, a second one
//! with the same box id and another outbox is refused, and so is one that comes
//! back after another start of it has come; two copies of one disk would
//! otherwise take turns, and each get receipts for what the other has sent.

use std::collections::{BTreeMap, BTreeSet, HashMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::oneshot;
use uuid::Uuid;

use super::codec::Refusal;
use crate::store::Whose;

/// How long a newcomer waits for the old connection to be wound up.
const PATIENCE: Duration = Duration::from_secs(5);

/// Starts of agents that are remembered of a box.
const RETIRED: usize = 16;

/// Which agent a client is, as its last will says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Agent {
    pub(super) outbox: Uuid,
    pub(super) run: Uuid,
}

/// The agents that speak for a box.
#[derive(Debug, Default)]
struct Agents {
    /// Of the connections that there are, by serial.
    here: BTreeMap<u64, Agent>,
    /// Starts that were followed by another.
    retired: VecDeque<Uuid>,
}

impl Agents {
    /// Whether the newcomer is a second one.
    fn refuses(&self, newcomer: Agent) -> bool {
        !self.here.is_empty()
            && (self.retired.contains(&newcomer.run)
                || self.here.values().any(|agent| {
                    // One start may change its outbox, when the disk damaged it.
                    agent.outbox != newcomer.outbox && agent.run != newcomer.run
                }))
    }

    fn enter(&mut self, serial: u64, newcomer: Agent) {
        for agent in self.here.values() {
            if agent.run != newcomer.run && !self.retired.contains(&agent.run) {
                self.retired.push_back(agent.run);
            }
        }
        while self.retired.len() > RETIRED {
            self.retired.pop_front();
        }
        self.here.insert(serial, newcomer);
    }
}

/// A proven box cannot throw out another by taking its client id.
type Key = (Option<Whose>, String);

#[derive(Debug, Default)]
pub(super) struct Registry {
    entries: Mutex<Entries>,
}

#[derive(Debug, Default)]
struct Entries {
    last: u64,
    by_client: HashMap<Key, Entry>,
    /// The connections of each box, by serial.
    by_box: BTreeMap<Whose, BTreeSet<u64>>,
    /// The agents of each box that is here.
    agents: BTreeMap<Whose, Agents>,
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
    /// Which box it speaks for, once that is known.
    whose: Option<Whose>,
    /// Dropped with the rest: the successor's `gone` then ends.
    _gone: oneshot::Sender<()>,
}

impl Registry {
    fn entries(&self) -> MutexGuard<'_, Entries> {
        self.entries.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes the place of `key`, after its holder, if any, has been wound up.
    /// The receiver ends when somebody else takes it. `whose` is the box, where
    /// the client has named it already.
    pub(super) async fn enter(
        self: &Arc<Self>,
        key: Key,
        whose: Option<&Whose>,
        agent: Option<Agent>,
    ) -> Result<(Presence, oneshot::Receiver<()>, bool), Refusal> {
        let (leave, left) = oneshot::channel();
        let (present, gone) = oneshot::channel();
        let (serial, former) = {
            let mut entries = self.entries();
            entries.last += 1;
            let serial = entries.last;
            if let (Some(whose), Some(agent)) = (whose, agent) {
                let agents = entries.agents.entry(whose.clone()).or_default();
                if agents.refuses(agent) {
                    return Err(Refusal::SecondAgent);
                }
                agents.enter(serial, agent);
            }
            let entry = Entry {
                serial,
                leave,
                gone,
            };
            (serial, entries.by_client.insert(key.clone(), entry))
        };
        let mut presence = Presence {
            registry: Arc::clone(self),
            key,
            serial,
            whose: None,
            _gone: present,
        };
        presence.speaks_for(whose);
        let took_over = former.is_some();
        if let Some(former) = former {
            let _already_leaving = former.leave.send(()).is_err();
            // Its will must be settled before this one's "online".
            let _ended = tokio::time::timeout(PATIENCE, former.gone).await.is_ok();
        }
        Ok((presence, left, took_over))
    }
}

impl Presence {
    /// Tells connections apart that had the same client id.
    pub(super) fn serial(&self) -> u64 {
        self.serial
    }

    /// Notes which box the connection speaks for, as soon as that is known.
    pub(super) fn speaks_for(&mut self, whose: Option<&Whose>) {
        if let (None, Some(whose)) = (&self.whose, whose) {
            let mut entries = self.registry.entries();
            let connections = entries.by_box.entry(whose.clone()).or_default();
            connections.insert(self.serial);
            drop(entries);
            self.whose = Some(whose.clone());
        }
    }

    /// Whether the box has come again since, by another connection.
    pub(super) fn has_successor(&self) -> bool {
        let entries = self.registry.entries();
        self.whose
            .as_ref()
            .and_then(|whose| entries.by_box.get(whose)?.last())
            .is_some_and(|newest| *newest > self.serial)
    }
}

impl Drop for Presence {
    fn drop(&mut self) {
        let mut entries = self.registry.entries();
        if let Some(whose) = &self.whose
            && let Some(agents) = entries.agents.get_mut(whose)
        {
            agents.here.remove(&self.serial);
            if agents.here.is_empty() {
                entries.agents.remove(whose);
            }
        }
        if let Some(whose) = &self.whose
            && let Some(connections) = entries.by_box.get_mut(whose)
        {
            connections.remove(&self.serial);
            if connections.is_empty() {
                entries.by_box.remove(whose);
            }
        }
        if entries
            .by_client
            .get(&self.key)
            .is_some_and(|entry| entry.serial == self.serial)
        {
            entries.by_client.remove(&self.key);
        }
    }
}
