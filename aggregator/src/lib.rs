//! The centre: inbox, store, alert life cycle, API and the operator's screen.
//!
//! One straight line, each step a named type:
//! `PUBLISH` → [`inbox::judge`] → [`inbox::Letter`] → [`store::Job`] → commit →
//! PUBACK and receipt → change number → SSE → operator's screen.
//!
//! Reading order: [`inbox`] (what a message is, and what is refused) →
//! [`alert`] (what people may do with it) → [`store`] (what is remembered) →
//! [`frontdoor`] and [`broker`] (how messages come) → [`evidence`] and [`retention`] → [`api`] →
//! [`labels`] (what is learnt from decisions) → [`config`] → [`centre`] (which starts and stops the parts).

pub mod alert;
pub mod api;
pub mod broker;
pub mod case;
pub mod centre;
pub mod clock;
pub mod config;
pub mod evidence;
pub mod frontdoor;
pub mod health;
pub mod inbox;
pub mod labels;
pub mod metrics;
pub mod retention;
pub mod stopping;
pub mod store;
pub mod tls;
