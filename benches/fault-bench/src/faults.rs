//! The faults, each made and mended again.

mod backups;
mod disks;

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use anyhow::bail;
use fastrand::Rng;
use protocol::topic::ALL_EVENTS;
use rumqttc::v5::mqttbytes::QoS;
use rumqttc::v5::mqttbytes::v5::Packet;
use rumqttc::v5::{Client, Event, MqttOptions};

use crate::programs::wait_for;
use crate::stage::{BoxDisk, Stage};

/// How a fault is made.
type Make = fn(&mut Stage, &mut Rng) -> anyhow::Result<()>;

/// A fault.
#[derive(Clone, Copy)]
pub(crate) struct Fault {
    pub(crate) name: &'static str,
    /// How often it is chosen.
    pub(crate) weight: u32,
    needs: Needs,
    pub(crate) make: Make,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Needs {
    Nothing,
    Broker,
    BoxDisk,
    BoxQuota,
    CentreDisk,
    Clock,
}

impl Fault {
    pub(crate) fn is_possible(&self, stage: &Stage) -> bool {
        match self.needs {
            Needs::Nothing => true,
            Needs::Broker => stage.broker.is_some(),
            Needs::BoxDisk => stage.box_disk == BoxDisk::Small,
            Needs::BoxQuota => stage.box_disk == BoxDisk::Quota,
            Needs::CentreDisk => stage.has_centre_disk,
            Needs::Clock => stage.has_clock,
        }
    }
}

/// A program takes its time to start, and to end, on a busy machine.
const BUSY: Duration = Duration::from_mins(5);

const DELETED: &str = "evidence folder deleted by hand";
const BOX_FULL: &str = "disk of the box full";
/// Only where it is asked for by name: a damage that the agent finds by reading alone
/// keeps it from delivering until it is started again, so that a round takes long.
pub(crate) const DAMAGED_AND_FULL: &str = "outbox file damaged under the agent on a full disk";
/// Only where a btrfs can be made, so the table says when it could not.
pub(crate) const QUOTA: &str = "quota of the box used up (btrfs)";

/// Faults that may cost files, never events: those that somebody deleted, and
/// those that were given up for events in the published order.
pub(crate) const COST_FILES: [&str; 4] = [DELETED, BOX_FULL, DAMAGED_AND_FULL, QUOTA];

const fn fault(name: &'static str, weight: u32, needs: Needs, make: Make) -> Fault {
    Fault {
        name,
        weight,
        needs,
        make,
    }
}

/// Every fault there is.
pub(crate) const ALL: [Fault; 25] = [
    fault("kill -9 of the agent", 6, Needs::Nothing, kill_agent),
    fault(
        "kill -9 of the agent after a durable step",
        10,
        Needs::Nothing,
        kill_agent_after_a_step,
    ),
    fault("kill -9 of the centre", 6, Needs::Nothing, kill_centre),
    fault(
        "kill -9 of the centre after a durable step",
        8,
        Needs::Nothing,
        kill_centre_after_a_step,
    ),
    fault("kill -9 of the broker", 5, Needs::Broker, kill_broker),
    fault("kill -9 of all at once", 4, Needs::Nothing, kill_all),
    fault("connections cut", 4, Needs::Nothing, |stage, _| {
        each_line(stage, crate::proxy::Proxy::cut)
    }),
    fault("connections reset", 4, Needs::Nothing, |stage, _| {
        each_line(stage, crate::proxy::Proxy::reset)
    }),
    fault("line stalled", 3, Needs::Nothing, stall),
    fault("connections half open", 2, Needs::Nothing, half_open),
    fault("line delayed by 200 ms", 2, Needs::Nothing, delay),
    fault("slow reader", 2, Needs::Nothing, slow_reader),
    fault("box suspended", 2, Needs::Nothing, suspend),
    fault("no way in for some seconds", 3, Needs::Nothing, away),
    fault("broker frozen", 2, Needs::Broker, freeze_broker),
    fault("messages doubled and reordered", 4, Needs::Broker, double),
    fault(BOX_FULL, 5, Needs::BoxDisk, |stage, rng| {
        disks::fill(stage, rng, "store")
    }),
    fault(
        "disk of the centre full",
        4,
        Needs::CentreDisk,
        |stage, rng| disks::fill(stage, rng, "data"),
    ),
    fault(
        "disk of the box read-only at the start",
        3,
        Needs::BoxDisk,
        disks::read_only,
    ),
    fault(
        "outbox file damaged in the middle",
        4,
        Needs::Nothing,
        disks::damage,
    ),
    fault(
        DAMAGED_AND_FULL,
        2,
        Needs::BoxDisk,
        disks::damage_on_a_full_disk,
    ),
    fault(QUOTA, 4, Needs::BoxQuota, disks::fill_quota),
    fault(DELETED, 3, Needs::Nothing, disks::delete_evidence),
    fault("clock stepped by an hour", 4, Needs::Clock, step_clock),
    fault(
        "second agent with the same id",
        2,
        Needs::Nothing,
        second_agent,
    ),
];

/// Chosen apart, because everything is looked for again after them.
pub(crate) const RESTORED: [Fault; 2] = [
    fault(
        "centre restored from a backup of its database",
        3,
        Needs::Nothing,
        backups::restore,
    ),
    fault(
        "centre restored whole, and no event after it",
        3,
        Needs::Nothing,
        backups::restore_whole,
    ),
];

fn pause(rng: &mut Rng, most_ms: u64) {
    std::thread::sleep(Duration::from_millis(rng.u64(0..=most_ms)));
}

fn kill_agent(stage: &mut Stage, rng: &mut Rng) -> anyhow::Result<()> {
    pause(rng, 900);
    stage.kill_agent();
    pause(rng, 200);
    stage.start_agent()
}

/// Waits until something durable has just happened, and kills at once.
fn kill_agent_after_a_step(stage: &mut Stage, rng: &mut Rng) -> anyhow::Result<()> {
    let (store, data, log) = (stage.file("store"), stage.data(), stage.file("agent.log"));
    let step = rng.u32(0..4);
    let look = move || match step {
        // An event was appended, or a receipt taken: the log of the database grew.
        0 => length(&store.join("outbox.db-wal")),
        // A signed case became a file.
        1 => count(&store.join("evidence")),
        // A file was uploaded.
        2 => count(&data.join("evidence")),
        // The agent has said that an event is stored.
        _ => length(&log),
    };
    after_a_change(look)?;
    std::thread::sleep(Duration::from_micros(rng.u64(0..3000)));
    stage.kill_agent();
    stage.start_agent()
}

fn kill_centre(stage: &mut Stage, rng: &mut Rng) -> anyhow::Result<()> {
    pause(rng, 900);
    stage.centre.kill();
    pause(rng, 500);
    stage.start_centre()
}

fn kill_centre_after_a_step(stage: &mut Stage, rng: &mut Rng) -> anyhow::Result<()> {
    let data = stage.data();
    let is_commit = rng.bool();
    let look = move || {
        if is_commit {
            length(&data.join("centre.db-wal"))
        } else {
            count(&data.join("evidence"))
        }
    };
    after_a_change(look)?;
    std::thread::sleep(Duration::from_micros(rng.u64(0..3000)));
    stage.centre.kill();
    stage.start_centre()
}

fn after_a_change(mut look: impl FnMut() -> u64) -> anyhow::Result<()> {
    let before = look();
    // Closely, so that the kill comes while the step is fresh.
    let slice = || {
        let until = Instant::now() + Duration::from_millis(100);
        while Instant::now() < until {
            if look() != before {
                return Some(());
            }
            std::thread::sleep(Duration::from_micros(500));
        }
        None
    };
    wait_for("a durable step", Duration::from_mins(3), slice)
}

/// Length and time of a file: a log that is begun anew has the same length.
fn length(file: &Path) -> u64 {
    let Ok(found) = std::fs::metadata(file) else {
        return 0;
    };
    let changed = found.modified().ok().and_then(|at| at.elapsed().ok());
    found.len()
        ^ changed.map_or(0, |_| {
            use std::os::unix::fs::MetadataExt as _;
            found.mtime_nsec().cast_unsigned() << 20
        })
}

fn files(folder: &Path) -> Vec<PathBuf> {
    let entries = |folder: &Path| -> Vec<PathBuf> {
        std::fs::read_dir(folder)
            .into_iter()
            .flatten()
            .filter_map(|entry| entry.ok().map(|entry| entry.path()))
            .collect()
    };
    entries(folder)
        .iter()
        .flat_map(|folder| entries(folder))
        .collect()
}

fn count(folder: &Path) -> u64 {
    files(folder).len() as u64
}

fn kill_broker(stage: &mut Stage, rng: &mut Rng) -> anyhow::Result<()> {
    pause(rng, 600);
    if let Some(broker) = &mut stage.broker {
        broker.kill();
    }
    pause(rng, 1500);
    stage.start_broker()
}

fn kill_all(stage: &mut Stage, rng: &mut Rng) -> anyhow::Result<()> {
    pause(rng, 900);
    stage.kill_agent();
    stage.centre.kill();
    if let Some(broker) = &mut stage.broker {
        broker.kill();
        stage.start_broker()?;
    }
    // In either order.
    if rng.bool() {
        stage.start_agent()?;
        stage.start_centre()
    } else {
        stage.start_centre()?;
        stage.start_agent()
    }
}

#[allow(clippy::unnecessary_wraps)] // a fault, and others can fail
fn each_line(stage: &Stage, act: fn(&crate::proxy::Proxy)) -> anyhow::Result<()> {
    stage.lines.iter().for_each(act);
    Ok(())
}

#[allow(clippy::unnecessary_wraps)] // a fault, and others can fail
fn stall(stage: &mut Stage, rng: &mut Rng) -> anyhow::Result<()> {
    stage.lines.iter().for_each(|line| line.stall(true));
    pause(rng, 5000);
    stage.lines.iter().for_each(|line| line.stall(false));
    Ok(())
}

#[allow(clippy::unnecessary_wraps)] // a fault, and others can fail
fn half_open(stage: &mut Stage, rng: &mut Rng) -> anyhow::Result<()> {
    let line = rng.usize(..stage.lines.len());
    stage.lines[line].leave_half_open();
    Ok(())
}

fn delay(stage: &mut Stage, _: &mut Rng) -> anyhow::Result<()> {
    let set = |stage: &Stage, ms| {
        let lines = stage.lines.iter();
        lines.for_each(|line| line.delay(Duration::from_millis(ms)));
    };
    set(stage, 200);
    let more = stage.await_more(15);
    set(stage, 0);
    more
}

fn slow_reader(stage: &mut Stage, _: &mut Rng) -> anyhow::Result<()> {
    // On the centre's side where there is a broker: it then holds the messages back.
    let line = stage.lines.len() - 1;
    stage.lines[line].throttle(2_000);
    let more = stage.await_more(15);
    stage.lines[line].throttle(0);
    more
}

fn away(stage: &mut Stage, _: &mut Rng) -> anyhow::Result<()> {
    stage.lines[0].close(true);
    let more = stage.await_more(20);
    stage.lines[0].close(false);
    more
}

/// As a machine that sleeps: its connections die while it knows of nothing, and
/// when it wakes its clock has moved on.
fn suspend(stage: &mut Stage, rng: &mut Rng) -> anyhow::Result<()> {
    stage.agent.signal("STOP")?;
    pause(rng, 30_000);
    match rng.u8(0..3) {
        0 => {}
        1 => each_line(stage, crate::proxy::Proxy::cut)?,
        _ => each_line(stage, crate::proxy::Proxy::leave_half_open)?,
    }
    if stage.has_clock {
        stage.step_clock(rng.i64(60..3600))?;
    }
    stage.agent.signal("CONT")?;
    let more = stage.await_more(10);
    stage.step_clock(0)?;
    more
}

fn freeze_broker(stage: &mut Stage, rng: &mut Rng) -> anyhow::Result<()> {
    if let Some(broker) = &stage.broker {
        broker.signal("STOP")?;
        pause(rng, 5000);
        broker.signal("CONT")?;
    }
    Ok(())
}

/// Everything that passes the broker passes it again, twice, in another order.
fn double(stage: &mut Stage, rng: &mut Rng) -> anyhow::Result<()> {
    let at = stage.broker_address();
    let mut options = MqttOptions::new("echo", at.ip().to_string(), at.port());
    options.set_max_packet_size(Some(1 << 20));
    let (client, mut connection) = Client::new(options, 1000);
    client.subscribe(ALL_EVENTS, QoS::AtLeastOnce)?;
    let mut heard = Vec::new();
    let mut known = BTreeSet::new();
    let until = Instant::now() + Duration::from_secs(20);
    while heard.len() < 12 && Instant::now() < until {
        if let Ok(Ok(Event::Incoming(Packet::Publish(publish)))) =
            connection.recv_timeout(Duration::from_millis(500))
            && known.insert(publish.payload.clone())
        {
            heard.push(publish);
        }
    }
    let mut twice: Vec<_> = heard.iter().chain(&heard).collect();
    rng.shuffle(&mut twice);
    let sent = twice.len();
    for publish in twice {
        let topic = String::from_utf8_lossy(&publish.topic).into_owned();
        client.publish(topic, QoS::AtLeastOnce, false, publish.payload.clone())?;
    }
    let mut acknowledged = 0;
    while acknowledged < sent {
        match connection.recv_timeout(Duration::from_mins(1)) {
            Ok(Ok(Event::Incoming(Packet::PubAck(_)))) => acknowledged += 1,
            Ok(Ok(_)) => {}
            Ok(Err(error)) => bail!("the echo lost the broker: {error}"),
            Err(_) => bail!("the broker took {acknowledged} of {sent} echoes"),
        }
    }
    Ok(())
}

fn step_clock(stage: &mut Stage, rng: &mut Rng) -> anyhow::Result<()> {
    // A second less than the centre's tolerance of an hour.
    let seconds = if rng.bool() { 3599 } else { -3599 };
    stage.step_clock(seconds)?;
    let more = stage.await_more(10);
    stage.step_clock(0)?;
    more
}

fn second_agent(stage: &mut Stage, _: &mut Rng) -> anyhow::Result<()> {
    stage.await_more(2)?;
    let mut second = stage.start_second()?;
    let said = |name: &str, words: &str| {
        std::fs::read_to_string(stage.file(name)).is_ok_and(|log| log.contains(words))
    };
    let both = wait_for("the refusal of a second agent at both ends", BUSY, || {
        (said("second.log", "give each box its own `box` id") && said("centre.log", "second_agent"))
            .then_some(())
    });
    second.kill();
    for leftover in ["second", "second.log"] {
        let path = stage.file(leftover);
        if path.is_dir() {
            std::fs::remove_dir_all(path)?;
        } else if path.exists() {
            std::fs::remove_file(path)?;
        }
    }
    both
}
