//! Which box a client speaks for.
//!
//! - A **client certificate** proves it: its common name is `<site>/<box>`, as
//!   in the access list of a mosquitto (`pattern … ngatu/v1/%u/…`), so that one
//!   certificate opens both; `<site>.<box>` where a `/` is not wanted.
//! - So does a **user name** of that form with the password that the
//!   configuration has for it.
//! - Where neither is configured nothing is proven, and a client id would
//!   prove no more than a topic does: the connection is then bound to the first
//!   box that it names (in its will, a subscription or a publication) and may
//!   speak for no other. That is for one machine and for a closed network; the
//!   program warns when such a door is open to others.

use protocol::topic::{PREFIX, Upward};
use protocol::{BoxId, SiteId};
use sha2::{Digest as _, Sha256};

use super::codec::{Connect, Refusal};
use crate::config::Passwords;
use crate::inbox::box_named_by;
use crate::store::Whose;

/// Reads `<site>/<box>` or `<site>.<box>`; neither sign can be in an id.
pub fn parse_name(name: &str) -> Option<Whose> {
    let (site, box_id) = name.split_once(['/', '.'])?;
    Some((SiteId::new(site).ok()?, BoxId::new(box_id).ok()?))
}

/// For which box a connection may speak.
#[derive(Debug, Default)]
pub(super) struct Identity {
    whose: Option<Whose>,
}

impl Identity {
    /// Decides by what the client brought: the common name of its verified
    /// certificate, or its user name and password.
    pub(super) fn establish(
        common_name: Option<&str>,
        connect: &Connect,
        passwords: &Passwords,
    ) -> Result<Self, Refusal> {
        if let Some(name) = common_name {
            let whose = parse_name(name).ok_or(Refusal::NotAuthorised)?;
            return Ok(Self { whose: Some(whose) });
        }
        if passwords.is_empty() {
            return Ok(Self::default());
        }
        let user = connect.user.as_deref().ok_or(Refusal::BadCredentials)?;
        let given = Sha256::digest(connect.password.as_bytes());
        // Hashes are compared, so how long it takes tells nothing of the password.
        match passwords.get(user) {
            Some(expected) if expected.0 == given[..] => {
                let whose = parse_name(user).ok_or(Refusal::NotAuthorised)?;
                Ok(Self { whose: Some(whose) })
            }
            _ => Err(Refusal::BadCredentials),
        }
    }

    /// The box, once it is known.
    pub(super) fn whose(&self) -> Option<&Whose> {
        self.whose.as_ref()
    }

    /// Whether the client may speak for the box; binds one that is not bound yet.
    fn claim(&mut self, whose: &Whose) -> bool {
        self.whose.get_or_insert_with(|| whose.clone()) == whose
    }

    /// Whether the client may publish on `topic`: on anything in its own branch,
    /// also what this version does not know. A newer box must not be thrown out
    /// for a word that an older centre has never heard; the inbox sets it aside.
    pub(super) fn may_publish(&mut self, topic: &str) -> Result<(), Refusal> {
        let whose = box_named_by(topic).ok_or(Refusal::TopicInvalid)?;
        if self.claim(&whose) {
            Ok(())
        } else {
            Err(Refusal::NotAuthorised)
        }
    }

    /// Whether the client may have `topic` as that of its last will.
    pub(super) fn may_will(&mut self, topic: &str) -> Result<(), Refusal> {
        match Upward::parse(topic) {
            Some(Upward::BoxState(..)) => self.may_publish(topic),
            _ => Err(Refusal::TopicInvalid),
        }
    }

    /// Whether the client may subscribe to `filter`: its own `down/…` only.
    pub(super) fn may_subscribe(&mut self, filter: &str) -> bool {
        let Some(rest) = filter
            .strip_prefix(PREFIX)
            .and_then(|rest| rest.strip_prefix('/'))
        else {
            return false;
        };
        let levels: Vec<&str> = rest.split('/').collect();
        let [site, box_id, "down", "receipt" | "locks" | "#" | "+"] = levels.as_slice() else {
            return false;
        };
        match (SiteId::new(*site), BoxId::new(*box_id)) {
            (Ok(site), Ok(box_id)) => self.claim(&(site, box_id)),
            _ => false,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn connect(user: Option<&str>, password: &str) -> Connect {
        Connect {
            client_id: "any".to_owned(),
            keep_alive: 0,
            user: user.map(str::to_owned),
            password: password.to_owned(),
            will: None,
        }
    }

    fn passwords() -> Passwords {
        let digest = protocol::Digest(Sha256::digest(b"secret").into());
        Passwords::from([("hanoi.b1".to_owned(), digest)])
    }

    #[test]
    fn a_proven_box_speaks_only_for_itself() {
        let by_certificate =
            Identity::establish(Some("hanoi.b1"), &connect(None, ""), &Passwords::new());
        let by_other_sign =
            Identity::establish(Some("hanoi/b1"), &connect(None, ""), &Passwords::new());
        let by_password =
            Identity::establish(None, &connect(Some("hanoi.b1"), "secret"), &passwords());
        for identity in [by_certificate, by_other_sign, by_password] {
            let mut identity = identity.unwrap();
            assert_eq!(identity.may_publish("ngatu/v1/hanoi/b1/c1/event"), Ok(()));
            assert_eq!(
                identity.may_publish("ngatu/v1/hanoi/b2/c1/event"),
                Err(Refusal::NotAuthorised)
            );
            assert_eq!(identity.may_publish("weather"), Err(Refusal::TopicInvalid));
            for unknown in ["ngatu/v1/hanoi/b1/c1/telemetry", "ngatu/v1/hanoi/b1/a/b/c"] {
                assert_eq!(identity.may_publish(unknown), Ok(()), "{unknown}");
            }
            assert_eq!(
                identity.may_publish("ngatu/v1/hanoi/b2/c1/telemetry"),
                Err(Refusal::NotAuthorised)
            );
            assert!(identity.may_subscribe("ngatu/v1/hanoi/b1/down/#"));
            assert!(identity.may_subscribe("ngatu/v1/hanoi/b1/down/receipt"));
            assert!(identity.may_subscribe("ngatu/v1/hanoi/b1/down/locks"));
            for foreign in [
                "ngatu/v1/hanoi/b2/down/#",
                "ngatu/v1/hanoi/b1/#",
                "ngatu/v1/+/b1/down/#",
                "ngatu/v1/hanoi/b1/c1/event",
                "#",
                "$share/g/ngatu/v1/hanoi/b1/down/#",
            ] {
                assert!(!identity.may_subscribe(foreign), "{foreign}");
            }
            assert_eq!(identity.may_will("ngatu/v1/hanoi/b1/-/state"), Ok(()));
            assert_eq!(
                identity.may_will("ngatu/v1/hanoi/b1/c1/event"),
                Err(Refusal::TopicInvalid)
            );
        }
    }

    #[test]
    fn wrong_proofs_are_refused() {
        let refused = |name: Option<&str>, user: Option<&str>, password: &str| {
            Identity::establish(name, &connect(user, password), &passwords()).unwrap_err()
        };
        assert_eq!(refused(Some("somebody"), None, ""), Refusal::NotAuthorised);
        assert_eq!(refused(None, None, ""), Refusal::BadCredentials);
        assert_eq!(
            refused(None, Some("hanoi.b1"), "guess"),
            Refusal::BadCredentials
        );
        assert_eq!(
            refused(None, Some("hanoi.b2"), "secret"),
            Refusal::BadCredentials
        );
    }

    #[test]
    fn an_unproven_client_is_bound_to_the_first_box_it_names() {
        let mut identity =
            Identity::establish(None, &connect(None, ""), &Passwords::new()).unwrap();
        assert_eq!(identity.whose(), None);
        assert_eq!(identity.may_publish("ngatu/v1/hanoi/b1/c1/event"), Ok(()));
        assert!(!identity.may_subscribe("ngatu/v1/hanoi/b2/down/#"));
        assert_eq!(
            identity.may_publish("ngatu/v1/hanoi/b2/c1/event"),
            Err(Refusal::NotAuthorised)
        );
    }
}
