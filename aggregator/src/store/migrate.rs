//! The shape of the database, by version.
//!
//! Versions only go up. A database of a later version is refused rather than
//! guessed at: an older program must not write into a newer shape.

use rusqlite::Connection;

use super::StoreError;

/// Every step, in order; the version is how many were taken. Never edit a
/// published one: add the next.
const STEPS: &[&str] = &[
    include_str!("migrations/0001_first.sql"),
    include_str!("migrations/0002_set_aside.sql"),
    include_str!("migrations/0003_retention.sql"),
    include_str!("migrations/0004_locks_told.sql"),
];

/// Marks a file as ours (`PRAGMA application_id`): "NGTU".
const APPLICATION_ID: i32 = 0x4e47_5455;

/// Brings the database to the current shape.
pub(super) fn migrate(connection: &mut Connection) -> Result<(), StoreError> {
    let pragma = |name: &str| -> rusqlite::Result<i32> {
        connection.query_row(&format!("PRAGMA {name}"), [], |row| row.get(0))
    };
    let (version, application) = (pragma("user_version")?, pragma("application_id")?);
    let tables: i64 =
        connection.query_row("SELECT count(*) FROM sqlite_schema", [], |row| row.get(0))?;
    if application != APPLICATION_ID && (tables > 0 || application != 0) {
        return Err(StoreError::NotOurs);
    }
    let version = usize::try_from(version).unwrap_or(usize::MAX);
    if version > STEPS.len() {
        return Err(StoreError::Newer {
            found: version,
            known: STEPS.len(),
        });
    }
    for (index, step) in STEPS.iter().enumerate().skip(version) {
        let transaction = connection.transaction()?;
        transaction.execute_batch(step)?;
        transaction.pragma_update(None, "application_id", APPLICATION_ID)?;
        transaction.pragma_update(
            None,
            "user_version",
            i64::try_from(index + 1).unwrap_or(i64::MAX),
        )?;
        transaction.commit()?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_new_database_gets_every_step_and_an_old_one_only_what_is_missing() {
        let mut connection = Connection::open_in_memory().unwrap();
        migrate(&mut connection).unwrap();
        connection
            .execute("UPDATE change_counter SET value = 7", [])
            .unwrap();
        migrate(&mut connection).unwrap();
        let value: i64 = connection
            .query_row("SELECT value FROM change_counter", [], |row| row.get(0))
            .unwrap();
        assert_eq!(value, 7, "the second run must not start over");
    }

    #[test]
    fn what_a_database_of_the_first_version_holds_is_still_there_after_every_step() {
        let mut connection = Connection::open_in_memory().unwrap();
        connection.execute_batch(STEPS[0]).unwrap();
        connection
            .pragma_update(None, "application_id", APPLICATION_ID)
            .unwrap();
        connection.pragma_update(None, "user_version", 1).unwrap();
        connection
            .execute_batch(
                "INSERT INTO dead_letters VALUES (1, 0, 't', 's', 'b', 'not_json', '', 2, x'7b')",
            )
            .unwrap();
        migrate(&mut connection).unwrap();
        let count = |table: &str| -> i64 {
            let query = format!("SELECT count(*) FROM {table}");
            connection.query_row(&query, [], |row| row.get(0)).unwrap()
        };
        assert_eq!((count("dead_letters"), count("set_aside")), (1, 0));
        let version: i64 = connection
            .query_row("PRAGMA user_version", [], |row| row.get(0))
            .unwrap();
        assert_eq!(usize::try_from(version).unwrap(), STEPS.len());
    }

    #[test]
    fn a_database_of_a_later_version_or_of_another_program_is_refused() {
        let mut later = Connection::open_in_memory().unwrap();
        migrate(&mut later).unwrap();
        later.pragma_update(None, "user_version", 99).unwrap();
        let error = migrate(&mut later).unwrap_err().to_string();
        assert!(error.contains("version 99"), "{error}");

        let mut foreign = Connection::open_in_memory().unwrap();
        foreign.execute_batch("CREATE TABLE songs (name)").unwrap();
        assert!(matches!(migrate(&mut foreign), Err(StoreError::NotOurs)));
    }
}
