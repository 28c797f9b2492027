//! Which picture of which camera the detector looks at next.
//!
//! Many cameras share one device. Each offers [`Job`]s; [`Scheduler::pick`] says
//! which of them are done next, in one batch where the model takes batches.
//! Pure: the time is passed in, there are no threads, the same calls give the
//! same choices. It never sees a pixel, so it cannot change what is found in a
//! picture: only *whether* a picture is looked at depends on the load.
//!
//! **Order.** Always the newest picture of a camera, never a queue of old ones.
//! First come cameras that were not looked at for as long as rules can bear
//! ([`Settings::floor_us`], for sleeping ones [`Plan::heartbeat_us`]), the
//! longest-waiting relative to its limit first. Then, as far as there is time,
//! [`Kind`] by kind, and within a kind whoever is most behind its own target.
//!
//! **What is dropped under overload**, first to last: heartbeats of sleeping
//! cameras down to their limit, second looks, tiles, awake cameras down to the
//! floor rate. Then all cameras alike, in rotation. Never all of one camera, and
//! tiles and second looks that wait always have a twentieth of the time each.
//!
//! **What nobody watched** is said: [`Chosen::unwatched`] is the stretch of
//! media time of which too little was seen for a rule to judge by.
//!
//! Reading order: [`Job`] → [`Scheduler`] → `pace` (what an inference costs).

mod job;
mod pace;
mod scheduler;

pub use job::{Job, Kind, Region};
pub use scheduler::{Chosen, Counters, HOLE_US, Plan, Scheduler, Settings};

#[cfg(test)]
mod tests;
