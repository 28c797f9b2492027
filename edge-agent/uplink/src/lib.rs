//! Outbox, evidence store and uplink: nothing that happened is forgotten
//! before the centre has it.
//!
//! An [`Outbox`] is a folder: a SQLite file with the messages that the centre
//! has not receipted and a tree of evidence files named by their SHA-256. An
//! append has reached the disk when it returns; a row leaves only on the
//! centre's [`protocol::Receipt`]. An [`Uplink`] carries the rows to a broker
//! and the evidence to the centre, for as long as it takes.
//!
//! A broker is transport only: its acknowledgement empties nothing here,
//! because every broker measured lost acknowledged messages in some fault
//! (`docs/design/delivery.md`). Telemetry is never stored: a status message
//! that could not be sent is replaced by the next one.
//!
//! Reading order: [`budget`] → [`outbox`] → [`envelope`] → [`settings`] →
//! `window` → [`mod@uplink`] → [`signals`] → [`mod@probe`].

pub mod budget;
mod clock;
mod database;
pub mod envelope;
mod evidence;
mod kept;
mod ledger;
mod locks;
pub mod outbox;

mod answer;
mod backoff;
mod connection;
mod link;
mod pacer;
pub mod probe;
pub mod settings;
mod shorten;
pub mod signals;
mod stride;
mod trust;
pub mod uplink;
mod upload;
mod window;

pub use budget::DiskBudget;
pub use ledger::EvidenceDue;
pub use outbox::{CaseDraft, Outbox, OutboxError, OutboxStatus};
pub use probe::{ProbeReport, probe};
pub use settings::{Pace, UplinkError, UplinkSettings, check_broker_address};
pub use signals::{SignalMessage, SignalNotice, Signals};
pub use uplink::{Uplink, UplinkStatus};
