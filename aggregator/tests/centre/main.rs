//! The centre as boxes and people meet it: real sockets, real files, real
//! processes. Ports are free ones, folders are temporary, and nothing waits
//! for a time but for a condition.

// Helpers of tests panic like tests do; `allow-unwrap-in-tests` does not see them.
#![allow(clippy::unwrap_used)]

mod announced;
mod api;
mod broker;
mod certificates;
mod contract;
mod disk;
mod evidence;
mod frontdoor;
mod kill;
mod labels;
mod program;
mod retention;
mod second_chance;
mod store;
mod stream;
mod support;
mod throughput;
mod web_server;
