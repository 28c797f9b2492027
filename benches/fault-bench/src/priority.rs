//! How long an event takes to the centre while evidence wants all of a thin line.

use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::Context as _;
use edge_uplink::{DiskBudget, Outbox, Uplink};
use protocol::evidence::EvidenceRole;

use crate::programs::{Binaries, wait_for};
use crate::proxy::{Link, Proxy};
use crate::rates::{Sample, centre_on};

/// The line, bytes per second and direction: half a megabit, a bad 4G cell.
const LINE: f64 = 64_000.0;
/// Longest wait for anything. Only an upper bound: uploads that were held until the
/// last event was there are tried again after two minutes at the latest.
const PATIENCE: Duration = Duration::from_mins(15);
/// Events, one after the other.
const EVENTS: u64 = 5;

/// Prints a table; whether the events came through while evidence was under way. The
/// evidence has `mib` mebibytes a file, and half of it at most passes before the last
/// event is there: an event that waits for evidence waits in vain, on a machine of
/// whatever speed.
pub(crate) fn measure(binaries: &Binaries, mib: usize) -> anyhow::Result<bool> {
    println!(
        "| evidence under way | limit, kbit/s | event at the centre after, s (mean, longest of {EVENTS}) | evidence there after, s | bytes sent for a byte of it | before it |"
    );
    println!("|---|---|---|---|---|---|");
    let mut is_before = true;
    for (files, limit) in [(0, None), (2, None), (2, Some(384))] {
        is_before &= row(binaries, (files, mib << 20), limit)?;
    }
    Ok(is_before)
}

fn row(
    binaries: &Binaries,
    (files, bytes): (usize, usize),
    limit: Option<u32>,
) -> anyhow::Result<bool> {
    let dir = tempfile::tempdir()?;
    let (_centre, http, mqtt) = centre_on(binaries, dir.path())?;
    let link = Link::new(LINE);
    let (events, evidence) = (
        Proxy::over(Some(&link), mqtt)?,
        Proxy::over(Some(&link), http)?,
    );
    let sample = Sample::read()?;
    let outbox = Outbox::open(&dir.path().join("store"), DiskBudget::default())?;
    for file in 0..files {
        put(&outbox, &sample, file, bytes)?;
    }
    let mut settings = sample.settings(&events);
    settings.evidence_url = format!("http://{}", evidence.address);
    settings.evidence_kbit_s = limit;
    let begun = Instant::now();
    let uplink = Uplink::start(settings, outbox.clone())?;
    wait_for("the connection", PATIENCE, || {
        uplink.status().connected.then_some(())
    })?;
    if files > 0 {
        let half = (files * bytes / 2) as u64;
        evidence.hold_after(half);
        let evidence = dir.path().join("data/evidence.parts");
        wait_for("the evidence to be under way", PATIENCE, || {
            holds_bytes(&evidence).then_some(())
        })?;
    }
    let mut times = Vec::new();
    let mut is_before = true;
    for number in 0..EVENTS {
        let happened = Instant::now();
        sample.append(&outbox, number)?;
        wait_for("an event", PATIENCE, || {
            (outbox.waiting() == 0).then_some(())
        })?;
        times.push(happened.elapsed().as_secs_f64());
        is_before &= uplink.status().uploads_done == 0;
    }
    evidence.hold_after(0);
    wait_for("the evidence", PATIENCE, || {
        (uplink.status().uploads_done == files as u64).then_some(())
    })
    .with_context(|| format!("uploads; {:?}", uplink.status().last_upload_error))?;
    let mean = times.iter().sum::<f64>() / times.len() as f64;
    let longest = times.iter().copied().fold(0.0, f64::max);
    println!(
        "| {files} files of {} MiB | {} | {mean:.2}, {longest:.2} | {:.1} | {:.2} | {} |",
        bytes >> 20,
        limit.map_or_else(|| "none".to_owned(), |limit| limit.to_string()),
        begun.elapsed().as_secs_f64(),
        evidence.passed() as f64 / (files * bytes).max(1) as f64,
        if is_before { "yes" } else { "no" }
    );
    Ok(is_before)
}

/// A file that does not become shorter on its way.
fn put(outbox: &Outbox, sample: &Sample, number: usize, bytes: usize) -> anyhow::Result<()> {
    let mut random = fastrand::Rng::with_seed(number as u64);
    let noise: Vec<u8> = (0..bytes).map(|_| random.u8(..)).collect();
    outbox.put_evidence(&noise, EvidenceRole::Clip, "video/mp4", sample.onset())?;
    Ok(())
}

fn holds_bytes(folder: &Path) -> bool {
    let files = std::fs::read_dir(folder).into_iter().flatten();
    files
        .filter_map(Result::ok)
        .any(|file| file.metadata().is_ok_and(|file| file.len() > 0))
}
