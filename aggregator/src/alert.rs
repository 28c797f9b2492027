//! The life cycle of an alert: what people may do with it.
//!
//! What the machine says ([`MachineState`]) and what people decided
//! ([`State`]) are kept apart: an event that is over is still to be looked at,
//! and a resolved alert stays resolved when the box sends another number.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

macro_rules! words {
    ($(#[$doc:meta])* $name:ident { $($(#[$variant_doc:meta])* $variant:ident = $word:literal),+ $(,)? }) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, ToSchema)]
        #[serde(rename_all = "snake_case")]
        pub enum $name { $($(#[$variant_doc])* $variant),+ }

        impl $name {
            /// Every value, in order.
            pub const ALL: &[Self] = &[$(Self::$variant),+];

            /// The word as written in the database and in JSON.
            pub const fn as_str(self) -> &'static str {
                match self { $(Self::$variant => $word),+ }
            }

            /// Reads the word.
            pub fn parse(word: &str) -> Option<Self> {
                Self::ALL.iter().copied().find(|value| value.as_str() == word)
            }
        }
    };
}

words!(
    /// What people decided.
    State {
        /// Nobody has looked.
        New = "new",
        /// Somebody is on it.
        Acknowledged = "acknowledged",
        /// It is dealt with; the reason says how.
        Resolved = "resolved",
    }
);

words!(
    /// What the machine says.
    MachineState {
        /// It has begun.
        Raised = "raised",
        /// It goes on; numbers changed.
        Updated = "updated",
        /// It is over.
        Cleared = "cleared",
    }
);

words!(
    /// Why an alert was resolved; without one nothing can be learnt from it.
    Resolution {
        /// It happened as the machine said.
        Confirmed = "confirmed",
        /// It did not.
        FalseAlarm = "false_alarm",
        /// The evidence does not show it either way.
        Unverifiable = "unverifiable",
        /// The same happening is another alert.
        Duplicate = "duplicate",
        /// Somebody was trying the system.
        Test = "test",
    }
);

/// What a person wants to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Action {
    /// Take it on.
    Acknowledge,
    /// Be done with it.
    Resolve(Resolution),
    /// Keep its evidence, whatever its age.
    Lock,
    /// Let retention have it again.
    Unlock,
}

impl Action {
    /// The word in the history.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Acknowledge => "acknowledge",
            Self::Resolve(_) => "resolve",
            Self::Lock => "lock",
            Self::Unlock => "unlock",
        }
    }

    /// Where the action leads from `state`; `None` where it is not allowed.
    ///
    /// `new` → `acknowledged` → `resolved`, and no way back: somebody must have
    /// taken an alert on before it can be put away.
    pub const fn from(self, state: State) -> Option<State> {
        match (self, state) {
            (Self::Acknowledge, State::New) => Some(State::Acknowledged),
            (Self::Resolve(_), State::Acknowledged) => Some(State::Resolved),
            // A lock is about the evidence, not about who works on the alert.
            (Self::Lock | Self::Unlock, state) => Some(state),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_alert_is_acknowledged_then_resolved_and_nothing_else() {
        let resolve = Action::Resolve(Resolution::Confirmed);
        for (action, state, next) in [
            (Action::Acknowledge, State::New, Some(State::Acknowledged)),
            (Action::Acknowledge, State::Acknowledged, None),
            (Action::Acknowledge, State::Resolved, None),
            (resolve, State::New, None),
            (resolve, State::Acknowledged, Some(State::Resolved)),
            (resolve, State::Resolved, None),
            (Action::Lock, State::New, Some(State::New)),
            (Action::Unlock, State::Resolved, Some(State::Resolved)),
        ] {
            assert_eq!(action.from(state), next, "{action:?} in {state:?}");
        }
    }

    #[test]
    fn words_are_the_same_in_the_database_and_in_json() {
        for state in State::ALL {
            assert_eq!(serde_json::to_value(state).unwrap(), state.as_str());
            assert_eq!(State::parse(state.as_str()), Some(*state));
        }
        for reason in Resolution::ALL {
            assert_eq!(serde_json::to_value(reason).unwrap(), reason.as_str());
        }
        assert_eq!(State::parse("closed"), None);
    }
}
