//! Carries out what a person decided, inside a transaction.
//!
//! There is one writer, so reading the state and changing it cannot be
//! interleaved with another person's decision: of two officers who acknowledge
//! the same alert, one succeeds and the other is told.

use rusqlite::{OptionalExtension, Transaction, params};

use super::apply::{Numbers, touch};
use super::{Decision, DecisionError, StoreError, Whose, locks, retention};
use crate::alert::{Action, State};

/// Carries it out; whose box is to be told of a lock.
pub(super) fn decide(
    tx: &Transaction<'_>,
    decision: &Decision,
    now: i64,
    numbers: &mut Numbers,
) -> Result<Option<Whose>, DecisionError> {
    let id = decision.alert.0.as_bytes().as_slice();
    let (state, change) = tx
        .prepare_cached("SELECT state, change FROM alerts WHERE id = ?1")
        .and_then(|mut statement| {
            statement
                .query_row([id], |row| {
                    Ok((row.get::<_, String>(0)?, row.get::<_, i64>(1)?))
                })
                .optional()
        })
        .map_err(StoreError::from)?
        .ok_or(DecisionError::NotFound(decision.alert))?;
    if let Some(seen) = decision.seen
        && seen != change
    {
        return Err(DecisionError::Changed { seen, now: change });
    }
    let state = State::parse(&state).unwrap_or(State::New);
    let next = decision
        .action
        .from(state)
        .ok_or(DecisionError::WrongState {
            action: decision.action.as_str(),
            state,
        })?;
    let told = locks::decide(tx, decision, now)?;
    write(tx, decision, (state, next), now, numbers).map_err(StoreError::from)?;
    Ok(told)
}

fn write(
    tx: &Transaction<'_>,
    decision: &Decision,
    (state, next): (State, State),
    now: i64,
    numbers: &mut Numbers,
) -> rusqlite::Result<()> {
    let id = decision.alert.0.as_bytes().as_slice();
    let reason = match decision.action {
        Action::Acknowledge | Action::Lock | Action::Unlock => None,
        Action::Resolve(reason) => Some(reason.as_str()),
    };
    tx.prepare_cached("UPDATE alerts SET state = ?2 WHERE id = ?1")?
        .execute(params![id, next.as_str()])?;
    touch(tx, decision.alert, numbers)?;
    retention::unsort(tx, decision.alert)?;
    tx.prepare_cached(
        "INSERT INTO alert_history (alert, at, actor, action, from_state, to_state, reason, note)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)",
    )?
    .execute(params![
        id,
        now,
        decision.actor,
        decision.action.as_str(),
        state.as_str(),
        next.as_str(),
        reason,
        decision.note,
    ])?;
    Ok(())
}
