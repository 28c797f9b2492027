//! Connections for reading: opened when first needed, kept, and lent out.

use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};

use rusqlite::Connection;
use tokio::sync::Semaphore;

use super::{StoreError, open_reader};

/// Reads at a time; more wait their turn instead of filling the machine.
const AT_ONCE: usize = 8;

pub(super) struct Readers {
    path: PathBuf,
    idle: Mutex<Vec<Connection>>,
    turns: Arc<Semaphore>,
}

impl Readers {
    pub(super) fn new(path: PathBuf) -> Self {
        Self {
            path,
            idle: Mutex::new(Vec::new()),
            turns: Arc::new(Semaphore::new(AT_ONCE)),
        }
    }

    /// Runs `query` on a thread that may block. All of it sees one state of the database.
    pub(super) async fn read<T: Send + 'static>(
        self: &Arc<Self>,
        query: impl FnOnce(&Connection) -> rusqlite::Result<T> + Send + 'static,
    ) -> Result<T, StoreError> {
        let turn = Arc::clone(&self.turns)
            .acquire_owned()
            .await
            .map_err(|_| StoreError::Closed)?;
        let readers = Arc::clone(self);
        tokio::task::spawn_blocking(move || {
            let lent = readers
                .idle
                .lock()
                .unwrap_or_else(PoisonError::into_inner)
                .pop();
            let mut connection = lent.map_or_else(|| open_reader(&readers.path), Ok)?;
            let transaction = connection.transaction()?;
            let answer = query(&transaction)?;
            transaction.commit()?;
            readers
                .idle
                .lock()
                .unwrap_or_else(PoisonError::into_inner)
                .push(connection);
            drop(turn);
            Ok(answer)
        })
        .await
        .map_err(|_| StoreError::Closed)?
    }
}
