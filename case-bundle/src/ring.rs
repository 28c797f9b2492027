//! The keys that a box has had, each vouched for by the one before, and what a
//! verifier trusts.

use std::collections::BTreeSet;

use protocol::{BoxId, EventTime, SiteId};
use serde::{Deserialize, Serialize};

use crate::canonical::{bytes_of, from_hex, hex};
use crate::key::{BoxKey, KeyId, PublicKey};

/// `schema` of a ring.
pub const RING_SCHEMA: &str = "vn.ngatu.keys.v1";
/// `schema` of a statement in it; also keeps a signed statement from ever being
/// taken for a signed case.
const STATEMENT_SCHEMA: &str = "vn.ngatu.key.v1";
/// Most bytes of a ring: some hundred rotations.
pub const MAX_RING_BYTES: usize = 256 * 1024;

/// Every key of a box, oldest first. A file that may be published.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct KeyRing {
    schema: String,
    keys: Vec<Vouched>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Vouched {
    statement: Statement,
    /// By the key before; of the first key, by itself.
    signature: String,
    /// By the new key: nobody can adopt a key that he does not hold.
    possession: String,
}

/// "From then on this box signs with this key."
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Statement {
    schema: String,
    site: SiteId,
    #[serde(rename = "box")]
    box_id: BoxId,
    number: u64,
    public: PublicKey,
    from: EventTime,
    previous: Option<KeyId>,
}

/// Why a ring cannot be believed or changed.
#[derive(Clone, Debug, thiserror::Error, PartialEq, Eq)]
pub enum RingError {
    /// Not a ring of this version.
    #[error("this is no key list of this version ({0}); `edge-agent keys export` writes one")]
    Unreadable(String),
    /// A link is broken.
    #[error(
        "key {number} of the list is not vouched for by the key before it; get the list from the box again"
    )]
    NotVouched {
        /// Counted from 1.
        number: u64,
    },
    /// The key at hand is not the last of the ring.
    #[error(
        "the key {found} is not the box's present key {present}; use the file that goes with the list"
    )]
    NotPresent {
        /// The key at hand.
        found: KeyId,
        /// The last of the ring.
        present: KeyId,
    },
    /// The new key was in use before.
    #[error("the key {0} was this box's key before; a new one is needed")]
    Used(KeyId),
    /// A clock that is wrong now, or was when the present key began.
    #[error(
        "the present key holds office since {from}, and the new one would begin before that, at {now}; set the clock \
         of this box (`timedatectl`), or give the time with --at. If {from} is what is wrong, keys change after it only"
    )]
    NotAfter {
        /// When the present key began.
        from: EventTime,
        /// When the new one would.
        now: EventTime,
    },
}

/// One key, and when it was the box's.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeyPeriod {
    /// The key.
    pub public: PublicKey,
    /// Its number, from 1.
    pub number: u64,
    /// Since when it signs.
    pub from: EventTime,
    /// Until when; absent for the present key.
    pub to: Option<EventTime>,
}

impl KeyRing {
    /// The first key of a box.
    pub fn begin((site, box_id): (&SiteId, &BoxId), key: &BoxKey, from: EventTime) -> Self {
        let statement = Statement {
            schema: STATEMENT_SCHEMA.to_owned(),
            site: site.clone(),
            box_id: box_id.clone(),
            number: 1,
            public: key.public(),
            from,
            previous: None,
        };
        Self {
            schema: RING_SCHEMA.to_owned(),
            keys: vec![vouch(statement, key, key)],
        }
    }

    /// Passes the office from `old`, the present key, to `new`. A wrong `now`
    /// cannot be mended afterwards: cases that were signed after it with the old
    /// key, or before it with the new one, will not verify.
    pub fn rotate(&mut self, old: &BoxKey, new: &BoxKey, now: EventTime) -> Result<(), RingError> {
        let last = self.last()?;
        let (present, id) = (last.public.id(), new.public().id());
        if old.public().id() != present {
            return Err(RingError::NotPresent {
                found: old.public().id(),
                present,
            });
        }
        if self.keys.iter().any(|key| key.statement.public.id() == id) {
            return Err(RingError::Used(id));
        }
        // Two keys never hold office at once.
        if now <= last.from {
            let from = last.from;
            return Err(RingError::NotAfter { from, now });
        }
        let statement = Statement {
            number: last.number + 1,
            public: new.public(),
            from: now,
            previous: Some(present),
            ..last.clone()
        };
        self.keys.push(vouch(statement, old, new));
        Ok(())
    }

    /// Reads a ring and checks every link of it.
    pub fn parse(text: &[u8]) -> Result<Self, RingError> {
        if text.len() > MAX_RING_BYTES {
            return Err(RingError::Unreadable(format!("{} bytes", text.len())));
        }
        let ring: Self =
            serde_json::from_slice(text).map_err(|e| RingError::Unreadable(e.to_string()))?;
        if ring.schema != RING_SCHEMA {
            return Err(RingError::Unreadable(
                ring.schema.chars().take(40).collect(),
            ));
        }
        // One form, as of a case: what is not looked at cannot be slipped in.
        if ring.to_json() != text {
            return Err(RingError::Unreadable("it was written anew".to_owned()));
        }
        ring.last()?;
        let mut before: Option<&Statement> = None;
        for (number, vouched) in (1..).zip(&ring.keys) {
            let Vouched {
                statement,
                signature,
                possession,
            } = vouched;
            let signer = before.map_or(statement.public, |before| before.public);
            let follows = before.is_none_or(|before| {
                statement.from > before.from
                    && statement.site == before.site
                    && statement.box_id == before.box_id
            });
            let is_vouched = statement.schema == STATEMENT_SCHEMA
                && statement.number == number
                && statement.previous == before.map(|before| before.public.id())
                && follows
                && is_signed(statement, signature, signer)
                && is_signed(statement, possession, statement.public);
            if !is_vouched {
                return Err(RingError::NotVouched { number });
            }
            before = Some(statement);
        }
        Ok(ring)
    }

    /// As a file.
    pub fn to_json(&self) -> Vec<u8> {
        bytes_of(self).unwrap_or_default()
    }

    /// Whose keys these are.
    pub fn owner(&self) -> Option<(&SiteId, &BoxId)> {
        let last = &self.keys.last()?.statement;
        Some((&last.site, &last.box_id))
    }

    /// The key that signs now.
    pub fn present(&self) -> Option<PublicKey> {
        self.keys.last().map(|key| key.statement.public)
    }

    /// Every key with its time.
    pub fn periods(&self) -> Vec<KeyPeriod> {
        let ends = self.keys.iter().skip(1).map(|key| Some(key.statement.from));
        self.keys
            .iter()
            .zip(ends.chain([None]))
            .map(|(key, to)| KeyPeriod {
                public: key.statement.public,
                number: key.statement.number,
                from: key.statement.from,
                to,
            })
            .collect()
    }

    fn last(&self) -> Result<&Statement, RingError> {
        let last = self.keys.last().map(|key| &key.statement);
        last.ok_or_else(|| RingError::Unreadable("it is empty".to_owned()))
    }
}

fn vouch(statement: Statement, by: &BoxKey, new: &BoxKey) -> Vouched {
    let bytes = bytes_of(&statement).unwrap_or_default();
    Vouched {
        statement,
        signature: hex(&by.sign(&bytes)),
        possession: hex(&new.sign(&bytes)),
    }
}

fn is_signed(statement: &Statement, signature: &str, by: PublicKey) -> bool {
    match (bytes_of(statement), from_hex(signature)) {
        (Ok(bytes), Some(signature)) => by.has_signed(&bytes, &signature),
        _ => false,
    }
}

/// A key that a verifier was given, and what is known of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TrustedKey {
    /// The key.
    pub public: PublicKey,
    /// Whose it is: none of a bare public key, more than one when lists contradict each other.
    pub owners: BTreeSet<(SiteId, BoxId)>,
    /// Since when it signs; unbounded for a box's first key, whose clock may
    /// not have been set yet.
    pub from: Option<EventTime>,
    /// Until when.
    pub to: Option<EventTime>,
}

/// The keys that a verifier was given.
#[derive(Clone, Debug, Default)]
pub struct Trust {
    keys: Vec<TrustedKey>,
}

impl Trust {
    /// Trusts a bare public key.
    pub fn add_key(&mut self, public: PublicKey) {
        self.keys.push(TrustedKey {
            public,
            owners: BTreeSet::new(),
            from: None,
            to: None,
        });
    }

    /// Trusts every key of a ring, each in its time.
    pub fn add_ring(&mut self, ring: &KeyRing) {
        let owner = ring.owner().map(|(site, id)| (site.clone(), id.clone()));
        let owners: BTreeSet<_> = owner.into_iter().collect();
        for period in ring.periods() {
            self.keys.push(TrustedKey {
                public: period.public,
                owners: owners.clone(),
                from: (period.number > 1).then_some(period.from),
                to: period.to,
            });
        }
    }

    /// The key of this name, with all that its sources say of it and the
    /// narrowest time: neither a bare copy of a key nor a list from before its
    /// retirement may lift its limits.
    pub fn find(&self, id: KeyId) -> Option<TrustedKey> {
        let mut named = self.keys.iter().filter(|key| key.public.id() == id);
        let first = named.next()?.clone();
        Some(named.fold(first, |known, also| TrustedKey {
            public: known.public,
            owners: known.owners.union(&also.owners).cloned().collect(),
            // No beginning is before every beginning.
            from: known.from.max(also.from),
            to: known.to.into_iter().chain(also.to).min(),
        }))
    }

    /// Their names.
    pub fn ids(&self) -> Vec<KeyId> {
        let mut ids: Vec<KeyId> = self.keys.iter().map(|key| key.public.id()).collect();
        ids.sort_unstable();
        ids.dedup();
        ids
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(second: i64) -> EventTime {
        EventTime::from_micros(second * 1_000_000)
    }

    fn key(seed: u8) -> BoxKey {
        BoxKey::from_seed(&[seed; 32])
    }

    fn ring() -> KeyRing {
        let owner = (SiteId::new("hanoi").unwrap(), BoxId::new("box-1").unwrap());
        let mut ring = KeyRing::begin((&owner.0, &owner.1), &key(1), at(0));
        ring.rotate(&key(1), &key(2), at(100)).unwrap();
        ring
    }

    #[test]
    fn rotation_keeps_the_old_key_in_its_time() {
        let ring = KeyRing::parse(&ring().to_json()).unwrap();
        let periods: Vec<_> = ring
            .periods()
            .into_iter()
            .map(|p| (p.number, p.from, p.to))
            .collect();
        assert_eq!(periods, [(1, at(0), Some(at(100))), (2, at(100), None)]);
        assert_eq!(ring.present(), Some(key(2).public()));
    }

    #[test]
    fn only_the_present_key_can_pass_the_office_on_and_to_no_old_key() {
        let mut ring = ring();
        assert_eq!(
            ring.rotate(&key(1), &key(3), at(200)),
            Err(RingError::NotPresent {
                found: key(1).public().id(),
                present: key(2).public().id()
            })
        );
        assert_eq!(
            ring.rotate(&key(2), &key(1), at(200)),
            Err(RingError::Used(key(1).public().id()))
        );
    }

    /// It was taken, and the old key's office ended a microsecond after it had
    /// begun: no case of it verified any more.
    #[test]
    fn a_clock_from_before_the_present_key_changes_no_keys() {
        let mut ring = ring();
        let before = ring.clone();
        for now in [at(50), at(100)] {
            let from = at(100);
            let refused = Err(RingError::NotAfter { from, now });
            assert_eq!(ring.rotate(&key(2), &key(3), now), refused);
            assert_eq!(ring, before);
        }
    }

    #[test]
    fn a_ring_with_any_bit_changed_is_not_believed() {
        let whole = ring();
        let text = whole.to_json();
        for bit in 0..text.len() * 8 {
            let mut changed = text.clone();
            changed[bit / 8] ^= 1 << (bit % 8);
            if let Ok(read) = KeyRing::parse(&changed) {
                panic!("bit {bit} was not seen: {read:?}");
            }
        }
    }

    #[test]
    fn a_bare_copy_of_a_key_does_not_lift_its_limits() {
        let mut trust = Trust::default();
        trust.add_key(key(1).public());
        trust.add_ring(&ring());
        let found = trust.find(key(1).public().id()).unwrap();
        assert_eq!(found.to, Some(at(100)));
        assert_eq!(trust.ids().len(), 2);
    }

    /// An export from before a rotation lay beside the new one and came first
    /// by its name: the retired key held office for ever.
    #[test]
    fn an_old_list_does_not_lift_the_end_of_a_retired_key() {
        let (site, id) = (SiteId::new("hanoi").unwrap(), BoxId::new("box-1").unwrap());
        let before = KeyRing::begin((&site, &id), &key(1), at(0));
        for lists in [[&before, &ring()], [&ring(), &before]] {
            let mut trust = Trust::default();
            for list in lists {
                trust.add_ring(list);
            }
            let found = trust.find(key(1).public().id()).unwrap();
            assert_eq!((found.from, found.to), (None, Some(at(100))));
            assert_eq!(found.owners.len(), 1);
            assert_eq!(
                trust.find(key(2).public().id()).unwrap().from,
                Some(at(100))
            );
        }
    }
}
