//! How fast events go through the outbox, over lines of several lengths, to the
//! centre's front door and through a mosquitto.

use std::net::SocketAddr;
use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::Context as _;
use edge_uplink::{DiskBudget, Outbox, Uplink, UplinkSettings};
use protocol::units::Seconds;
use protocol::{BoxId, Envelope, Event, EventId, EventTime, Phase, SiteId};

use crate::programs::{Binaries, Process, command, free_address, listening, wait_for};
use crate::proxy::Proxy;
use crate::walkers::BoxConfig;

/// An event as a rule makes it, some 3 kB.
const SAMPLE: &str =
    include_str!("../../../protocol/tests/wire/v1/event-stopped-vehicle-1-start.json");
/// Messages of a day without a network: one event every ten seconds, begun and ended.
const DAY: u64 = 17_280;
/// Messages per measurement.
const COUNT: u64 = 3000;
/// Longest wait for anything.
const PATIENCE: Duration = Duration::from_mins(10);

/// Prints a table.
pub(crate) fn measure(binaries: &Binaries) -> anyhow::Result<()> {
    println!(
        "| by | round trip | events | append, events/s | drain after an outage, events/s | sustained (append while sending), events/s | bytes written per event, to disk | bytes of its message |"
    );
    println!("|---|---|---|---|---|---|---|---|");
    for has_broker in [false, true] {
        for one_way in [0, 25, 100] {
            row(binaries, has_broker, one_way, COUNT)?;
        }
        row(binaries, has_broker, 0, DAY)?;
    }
    Ok(())
}

fn row(binaries: &Binaries, has_broker: bool, one_way_ms: u64, count: u64) -> anyhow::Result<()> {
    let dir = tempfile::tempdir()?;
    let (_broker, _centre, mqtt) = if has_broker {
        let (broker, centre, mqtt) = centre_behind(binaries, dir.path())?;
        (Some(broker), centre, mqtt)
    } else {
        let (centre, _, mqtt) = centre_on(binaries, dir.path())?;
        (None, centre, mqtt)
    };
    let line = Proxy::before(mqtt)?;
    line.delay(Duration::from_millis(one_way_ms));
    let sample = Sample::read()?;
    let outbox = Outbox::open(&dir.path().join("store"), DiskBudget::default())?;

    // Without a network: what the disk takes.
    let (written, begun) = (bytes_written(), Instant::now());
    for number in 0..count {
        sample.append(&outbox, number)?;
    }
    let appended = count as f64 / begun.elapsed().as_secs_f64();
    let bytes = written
        .zip(bytes_written())
        .map(|(before, after)| after - before);

    // The network is back.
    let begun = Instant::now();
    let uplink = Uplink::start(sample.settings(&line), outbox.clone())?;
    let all = |outbox: &Outbox| (outbox.waiting() == 0).then_some(());
    wait_for("the drain", PATIENCE, || all(&outbox))?;
    let drained = count as f64 / begun.elapsed().as_secs_f64();

    // Appended and sent at once.
    let more = count.min(COUNT);
    let begun = Instant::now();
    for number in count..count + more {
        sample.append(&outbox, number)?;
    }
    wait_for("the rest", PATIENCE, || all(&outbox))?;
    let sustained = more as f64 / begun.elapsed().as_secs_f64();
    drop(uplink);
    let bytes = bytes.map_or_else(|| "?".to_owned(), |bytes| (bytes / count).to_string());
    println!(
        "| {} | {} ms | {count} | {appended:.0} | {drained:.0} | {sustained:.0} | {bytes} | {} |",
        if has_broker {
            "mosquitto"
        } else {
            "front door"
        },
        2 * one_way_ms,
        SAMPLE.len()
    );
    Ok(())
}

/// A centre in `dir`, where it listens for HTTP, and its front door.
pub(crate) fn centre_on(
    binaries: &Binaries,
    dir: &Path,
) -> anyhow::Result<(Process, SocketAddr, SocketAddr)> {
    let (http, mqtt) = (free_address()?, free_address()?);
    let mut command = command(&binaries.centre);
    command.args(["run", "--data-dir"]).arg(dir.join("data"));
    command.args(["--http", &http.to_string(), "--mqtt", &mqtt.to_string()]);
    let centre = listening(command, &dir.join("centre.log"), http)?;
    Ok((centre, http, mqtt))
}

/// A mosquitto and a centre behind it, and where the broker listens.
fn centre_behind(
    binaries: &Binaries,
    dir: &Path,
) -> anyhow::Result<(Process, Process, SocketAddr)> {
    let (http, mqtt) = (free_address()?, free_address()?);
    let broker = binaries.start_broker(dir, mqtt)?;
    let mut command = command(&binaries.centre);
    command.args(["run", "--data-dir"]).arg(dir.join("data"));
    command.args(["--http", &http.to_string()]);
    command.args(["--broker", &format!("mqtt://{mqtt}")]);
    let centre = listening(command, &dir.join("centre.log"), http)?;
    Ok((broker, centre, mqtt))
}

/// The event that is sent over and over, each time as another one.
pub(crate) struct Sample(Event);

impl Sample {
    pub(crate) fn read() -> anyhow::Result<Self> {
        let event: Envelope<Event> = serde_json::from_str(SAMPLE)?;
        Ok(Self(event.data))
    }

    pub(crate) fn onset(&self) -> EventTime {
        self.0.onset
    }

    /// Its box, towards the centre at the other end of `line`.
    pub(crate) fn settings(&self, line: &Proxy) -> UplinkSettings {
        let url = format!("mqtt://{}", line.address);
        UplinkSettings::new(url, self.0.site.clone(), self.0.box_id.clone())
    }

    /// Stores it as happening number `number`.
    pub(crate) fn append(&self, outbox: &Outbox, number: u64) -> anyhow::Result<()> {
        let event = self.event(number);
        outbox.append_event(&event, event.onset).context("append")?;
        Ok(())
    }

    /// Happening number `number`.
    fn event(&self, number: u64) -> Event {
        let sample = &self.0;
        let onset: EventTime = sample.onset + Seconds(number as f64);
        let mut event = sample.clone();
        let whose = (&sample.site, &sample.box_id, &sample.camera);
        event.id = EventId::derive(whose, &sample.rule, &number, onset);
        event.onset = onset;
        event
    }

    /// Stores it as one of the box of these tests that is over, and of which there
    /// are no pictures; its id. Its two revisions and that word are three messages.
    pub(crate) fn append_whole(&self, outbox: &Outbox, number: u64) -> anyhow::Result<EventId> {
        let mut event = self.event(number);
        event.site = SiteId::new(BoxConfig::SITE)?;
        event.box_id = BoxId::new(BoxConfig::ID)?;
        let whose = (&event.site, &event.box_id, &event.camera);
        event.id = EventId::derive(whose, &event.rule, &number, event.onset);
        outbox.append_event(&event, event.onset).context("append")?;
        event.revision = 2;
        event.phase = Phase::End;
        event.ended = Some(event.onset + Seconds(60.0));
        outbox.append_event(&event, event.onset).context("append")?;
        let whose = (&event.site, &event.box_id, &event.camera);
        outbox
            .give_up_evidence(whose, event.id, event.onset)
            .context("append")?;
        Ok(event.id)
    }
}

/// What this process has had written to disks; `None` where the kernel does not say.
fn bytes_written() -> Option<u64> {
    let text = std::fs::read_to_string("/proc/self/io").ok()?;
    let line = text
        .lines()
        .find_map(|line| line.strip_prefix("write_bytes: "))?;
    line.trim().parse().ok()
}
