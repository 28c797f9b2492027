//! Outbox, evidence store and uplink: nothing that happened is forgotten before the centre has it.
