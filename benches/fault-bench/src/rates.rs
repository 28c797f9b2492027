//! How fast events go through the outbox, over lines of several lengths.

use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::Context as _;
use edge_uplink::{DiskBudget, Outbox, Uplink, UplinkSettings};
use protocol::units::Seconds;
use protocol::{Envelope, Event, EventId, EventTime};

use crate::programs::{Binaries, command, free_address, listening, wait_for};
use crate::proxy::Proxy;

/// An event as a rule makes it, some 3 kB.
const SAMPLE: &str =
    include_str!("../../../protocol/tests/wire/v1/event-stopped-vehicle-1-start.json");
/// Messages of a day without a network: one event every ten seconds, begun and ended.
const DAY: u64 = 17_280;
/// Messages per measurement.
const COUNT: u64 = 3000;

/// Prints a table.
pub(crate) fn measure(binaries: &Binaries) -> anyhow::Result<()> {
    println!(
        "| round trip | events | append, events/s | drain after an outage, events/s | sustained (append while sending), events/s | bytes written per event |"
    );
    println!("|---|---|---|---|---|---|");
    for one_way in [0, 25, 100] {
        row(binaries, one_way, COUNT)?;
    }
    row(binaries, 0, DAY)
}

fn row(binaries: &Binaries, one_way_ms: u64, count: u64) -> anyhow::Result<()> {
    let dir = tempfile::tempdir()?;
    let (http, mqtt) = (free_address()?, free_address()?);
    let mut command = command(&binaries.centre);
    command
        .args(["run", "--data-dir"])
        .arg(dir.path().join("data"));
    command.args(["--http", &http.to_string(), "--mqtt", &mqtt.to_string()]);
    let _centre = listening(command, &dir.path().join("centre.log"), http)?;
    let line = Proxy::before(mqtt)?;
    line.delay(Duration::from_millis(one_way_ms));
    let event: Envelope<Event> = serde_json::from_str(SAMPLE)?;
    let event = event.data;
    let outbox = Outbox::open(&dir.path().join("store"), DiskBudget::default())?;
    let settings = || {
        let url = format!("mqtt://{}", line.address);
        UplinkSettings::new(url, event.site.clone(), event.box_id.clone())
    };

    // Without a network: what the disk takes.
    let (written, begun) = (bytes_written(), Instant::now());
    append(&outbox, &event, 0..count)?;
    let appended = count as f64 / begun.elapsed().as_secs_f64();
    let bytes = written
        .zip(bytes_written())
        .map(|(before, after)| after - before);

    // The network is back.
    let begun = Instant::now();
    let uplink = Uplink::start(settings(), outbox.clone())?;
    let all = |outbox: &Outbox| (outbox.waiting() == 0).then_some(());
    wait_for("the drain", Duration::from_mins(10), || all(&outbox))?;
    let drained = count as f64 / begun.elapsed().as_secs_f64();

    // Appended and sent at once.
    let more = count.min(COUNT);
    let begun = Instant::now();
    append(&outbox, &event, count..count + more)?;
    wait_for("the rest", Duration::from_mins(10), || all(&outbox))?;
    let sustained = more as f64 / begun.elapsed().as_secs_f64();
    drop(uplink);
    let bytes = bytes.map_or_else(|| "?".to_owned(), |bytes| (bytes / count).to_string());
    println!(
        "| {} ms | {count} | {appended:.0} | {drained:.0} | {sustained:.0} | {bytes} |",
        2 * one_way_ms
    );
    Ok(())
}

fn append(outbox: &Outbox, sample: &Event, numbers: std::ops::Range<u64>) -> anyhow::Result<()> {
    let now = sample.onset;
    for number in numbers {
        let onset: EventTime = now + Seconds(number as f64);
        let mut event = sample.clone();
        let whose = (&sample.site, &sample.box_id, &sample.camera);
        event.id = EventId::derive(whose, &sample.rule, &number, onset);
        outbox.append_event(&event, onset).context("append")?;
    }
    Ok(())
}

/// What this process has had written to disks; `None` where the kernel does not say.
fn bytes_written() -> Option<u64> {
    let text = std::fs::read_to_string(Path::new("/proc/self/io")).ok()?;
    let line = text
        .lines()
        .find_map(|line| line.strip_prefix("write_bytes: "))?;
    line.trim().parse().ok()
}
