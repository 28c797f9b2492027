//! Who speaks for each box behind a broker.
//!
//! A broker does not say who is connected, so this goes by what is heard: each
//! outbox is an agent. While one is heard, another with the same box id is
//! refused: its messages are not taken, so it keeps them, and it is told why. A
//! box whose disk was replaced has a new outbox, too; it is taken once the old
//! one has said goodbye, or its last will has come, or it has been silent for
//! [`ALIVE`]. One that has had to give way and is heard
//! again while the other lives proves that there are two, and is refused until
//! the other has been silent for [`QUIET`].

use std::collections::{BTreeMap, VecDeque};
use std::time::{Duration, Instant};

use uuid::Uuid;

use crate::store::Whose;

/// An outbox that was heard within this time has an agent that lives.
pub(super) const ALIVE: Duration = Duration::from_secs(30);
/// After so long a silence one that had given way may come back.
pub(super) const QUIET: Duration = Duration::from_mins(10);
/// How often a refused agent is told.
const TELL: Duration = Duration::from_secs(10);
/// Outboxes remembered of a box.
const RETIRED: usize = 16;

/// Who was heard.
#[derive(Debug, Default)]
pub(super) struct Callers {
    boxes: BTreeMap<Whose, Caller>,
}

#[derive(Debug)]
struct Caller {
    outbox: Uuid,
    /// Which start of the agent, once it has said so.
    run: Option<Uuid>,
    heard: Instant,
    /// It said goodbye, or the broker says that its connection ended.
    is_gone: bool,
    retired: VecDeque<Uuid>,
    told: Option<Instant>,
}

/// What to do with a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    /// Take it.
    Take,
    /// Refuse it, because the agent with this outbox speaks for the box; whether
    /// it is time to tell.
    Refuse { speaks: Uuid, tell: bool },
}

impl Callers {
    /// A message of `outbox` came from the box; a state also says from which
    /// start of the agent.
    pub(super) fn hear(
        &mut self,
        whose: &Whose,
        outbox: Uuid,
        run: Option<Uuid>,
        now: Instant,
    ) -> Verdict {
        let Some(caller) = self.boxes.get_mut(whose) else {
            let caller = Caller {
                outbox,
                run,
                heard: now,
                is_gone: false,
                retired: VecDeque::new(),
                told: None,
            };
            self.boxes.insert(whose.clone(), caller);
            return Verdict::Take;
        };
        // One start may change its outbox, when the disk damaged it.
        if caller.outbox == outbox || run.is_some() && caller.run == run {
            caller.outbox = outbox;
            caller.run = run.or(caller.run);
            (caller.heard, caller.is_gone) = (now, false);
            return Verdict::Take;
        }
        let silence = now.duration_since(caller.heard);
        let needed = if caller.retired.contains(&outbox) {
            QUIET
        } else if caller.is_gone {
            Duration::ZERO
        } else {
            ALIVE
        };
        if silence < needed {
            let tell = caller
                .told
                .is_none_or(|told| now.duration_since(told) >= TELL);
            if tell {
                caller.told = Some(now);
            }
            let speaks = caller.outbox;
            return Verdict::Refuse { speaks, tell };
        }
        caller.retired.retain(|retired| *retired != outbox);
        caller.retired.push_back(caller.outbox);
        if caller.retired.len() > RETIRED {
            caller.retired.pop_front();
        }
        (caller.outbox, caller.run) = (outbox, run);
        (caller.heard, caller.is_gone, caller.told) = (now, false, None);
        Verdict::Take
    }

    /// The agent with this outbox is there no more; an earlier start of it says
    /// nothing of a later one.
    pub(super) fn leave(&mut self, whose: &Whose, outbox: Uuid, run: Uuid) {
        if let Some(caller) = self.boxes.get_mut(whose)
            && caller.outbox == outbox
            && caller.run.is_none_or(|known| known == run)
        {
            caller.is_gone = true;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use protocol::{BoxId, SiteId};

    #[test]
    fn of_two_agents_the_one_that_is_heard_keeps_the_name() {
        let whose = (SiteId::new("s").unwrap(), BoxId::new("b").unwrap());
        let mut callers = Callers::default();
        let begin = Instant::now();
        let mut hear = |outbox: u128, second: u64| {
            let now = begin + Duration::from_secs(second);
            match callers.hear(&whose, Uuid::from_u128(outbox), None, now) {
                Verdict::Take => "taken".to_owned(),
                Verdict::Refuse { speaks, tell } => {
                    let told = if tell { ", told" } else { "" };
                    format!("refused for {}{told}", speaks.as_u128())
                }
            }
        };
        for (outbox, second, expected) in [
            (1, 0, "taken"),
            (2, 5, "refused for 1, told"),
            (2, 6, "refused for 1"),
            (1, 20, "taken"),
            (2, 49, "refused for 1, told"),
            // A replaced disk: the old outbox is heard no more.
            (2, 50, "taken"),
            // It is heard again, so there are two.
            (1, 100, "refused for 2, told"),
            (2, 200, "taken"),
            (1, 799, "refused for 2, told"),
            (1, 800, "taken"),
            (2, 801, "refused for 1, told"),
        ] {
            assert_eq!(hear(outbox, second), expected, "{outbox} at {second} s");
        }
    }

    /// A disk was replaced, or a damaged outbox: nobody need wait for one that is gone.
    #[test]
    fn after_a_goodbye_another_outbox_is_taken_at_once_and_only_then() {
        let whose = (SiteId::new("s").unwrap(), BoxId::new("b").unwrap());
        let (begin, id) = (Instant::now(), Uuid::from_u128);
        let at = |second| begin + Duration::from_secs(second);
        let mut callers = Callers::default();
        let is_taken = |callers: &mut Callers, outbox, second| {
            let run = Some(id(10 * outbox));
            callers.hear(&whose, id(outbox), run, at(second)) == Verdict::Take
        };
        assert!(is_taken(&mut callers, 1, 0));
        // The last will of an earlier start of it, and of somebody else.
        callers.leave(&whose, id(1), id(9));
        callers.leave(&whose, id(2), id(20));
        assert!(!is_taken(&mut callers, 2, 1));
        // It came back after its goodbye.
        callers.leave(&whose, id(1), id(10));
        assert!(is_taken(&mut callers, 1, 2));
        assert!(!is_taken(&mut callers, 2, 3));
        callers.leave(&whose, id(1), id(10));
        assert!(is_taken(&mut callers, 2, 4));
        // The first is there all the same, so there are two, and they do not take turns.
        callers.leave(&whose, id(2), id(20));
        assert!(!is_taken(&mut callers, 1, 5));
        assert!(is_taken(&mut callers, 2, 6));
    }

    #[test]
    fn an_agent_whose_outbox_was_damaged_goes_on_with_another() {
        let whose = (SiteId::new("s").unwrap(), BoxId::new("b").unwrap());
        let mut callers = Callers::default();
        let (run, now) = (Some(Uuid::from_u128(7)), Instant::now());
        for (outbox, run) in [(1, run), (2, run), (2, None)] {
            let verdict = callers.hear(&whose, Uuid::from_u128(outbox), run, now);
            assert_eq!(verdict, Verdict::Take, "{outbox}");
        }
    }
}
