//! The centre: inbox, store, alert life cycle, API and the operator's screen.
