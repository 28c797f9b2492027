//! Delivery from one end to the other with real parts: a real mosquitto, real
//! processes that are killed, a centre that receipts as the real one does.

#![allow(clippy::unwrap_used)] // this is how a test fails

mod broker;
mod centre;
mod evidence;
mod kill;
mod mqtt;
mod probe;
mod receipts;
mod samples;
mod secrets;
mod tls;

use std::path::Path;
use std::time::{Duration, Instant};

use edge_uplink::{DiskBudget, Outbox, Pace, Uplink, UplinkSettings};

/// Patience that makes a test quick.
fn hasty() -> Pace {
    Pace {
        reconnect_shortest: Duration::from_millis(20),
        reconnect_longest: Duration::from_millis(200),
        connect: Duration::from_secs(2),
        acknowledgement: Duration::from_secs(2),
        receipt: Duration::from_millis(700),
        upload_shortest: Duration::from_millis(10),
        upload_longest: Duration::from_millis(100),
        ..Pace::default()
    }
}

fn settings(url: &str) -> UplinkSettings {
    let mut settings = UplinkSettings::new(url, samples::site(), samples::box_id());
    settings.pace = hasty();
    settings.version = String::from("1.2.3");
    settings
}

/// Sends nothing twice and gives no connection up, however busy the machine is.
fn patient(url: &str) -> UplinkSettings {
    let mut settings = settings(url);
    settings.pace.receipt = Duration::from_mins(10);
    settings.pace.acknowledgement = Duration::from_mins(10);
    settings
}

fn open(dir: &Path) -> Outbox {
    Outbox::open(dir, DiskBudget::new(1 << 30)).unwrap()
}

fn start(settings: UplinkSettings, outbox: &Outbox) -> Uplink {
    Uplink::start(settings, outbox.clone()).unwrap()
}

fn append(outbox: &Outbox, numbers: std::ops::RangeInclusive<u64>) {
    for number in numbers {
        outbox
            .append_event(&samples::event(number), samples::at(number))
            .unwrap();
    }
}

/// Only an upper bound: a machine may be busy.
const DEADLINE: Duration = Duration::from_mins(3);

/// Waits for a condition; `what` says what did not come true in time.
#[track_caller]
fn until(what: &str, mut is_true: impl FnMut() -> bool) {
    let deadline = Instant::now() + DEADLINE;
    while !is_true() {
        assert!(Instant::now() < deadline, "not within {DEADLINE:?}: {what}");
        std::thread::sleep(Duration::from_millis(10));
    }
}
