//! What changed since a change number.
//!
//! Every alert, camera and box carries the number of its last change, so the
//! log needs no table of its own, never grows, and never forgets: whoever was
//! away a year gets each thing once, as it is now. What it was in between is
//! in the alert's history.

use rusqlite::Connection;

use super::query;
use super::rows::{AlertRow, BoxRow, CameraRow};

/// One thing as it is after its last change.
#[derive(Clone, Debug)]
pub enum Change {
    /// An alert.
    Alert(Box<AlertRow>),
    /// A camera.
    Camera(Box<CameraRow>),
    /// A box.
    Box(Box<BoxRow>),
}

impl Change {
    /// The number of the change.
    pub fn number(&self) -> i64 {
        match self {
            Self::Alert(row) => row.change,
            Self::Camera(row) => row.change,
            Self::Box(row) => row.change,
        }
    }
}

pub(super) fn after(
    connection: &Connection,
    after: i64,
    limit: u32,
) -> rusqlite::Result<Vec<Change>> {
    let (alerts, cameras, boxes) = query::changed(connection, after, limit)?;
    let mut changes: Vec<Change> = alerts
        .into_iter()
        .map(|row| Change::Alert(Box::new(row)))
        .chain(cameras.into_iter().map(|row| Change::Camera(Box::new(row))))
        .chain(boxes.into_iter().map(|row| Change::Box(Box::new(row))))
        .collect();
    changes.sort_by_key(Change::number);
    // Each list was cut at the limit, so only the first `limit` of all are
    // certain to have nothing missing among them.
    changes.truncate(limit as usize);
    Ok(changes)
}
