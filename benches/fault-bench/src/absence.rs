//! Absences that are longer than a bench has time for, with the clock moved on by
//! hand: a day without a broker while thousands of events wait, and a box that is
//! suspended and wakes to connections that are only half there.

use std::time::{Duration, Instant};

use anyhow::{Context as _, bail};

use crate::ledger::Ledger;
use crate::programs::Binaries;
use crate::proxy::Proxy;
use crate::stage::{Setting, Stage};
use crate::walkers::Walkers;

/// Longest wait for a day's events and their evidence.
const PATIENCE: Duration = Duration::from_mins(30);
/// Steps of the clock; the centre holds nothing against an hour.
const HOURS: usize = 24;
/// Minutes of the box's sleep.
const SLEEP_MIN: i64 = 50;

/// Plays both, with a broker and without, and prints a table; whether nothing is
/// wrong. `waiting` revisions of events wait for the broker at the end of the day.
pub(crate) fn play(binaries: &Binaries, waiting: usize, keep: bool) -> anyhow::Result<bool> {
    println!(
        "| absence | by | waited | lost | twice or never produced | alerts not at their last revision | of the revisions, came late | gaps | bundles not sound | all there after, s |"
    );
    println!("|---|---|---|---|---|---|---|---|---|---|");
    let mut is_clean = true;
    for has_broker in [true, false] {
        let kind = if has_broker {
            "mosquitto"
        } else {
            "front door"
        };
        let setting = Setting {
            name: kind.to_owned(),
            has_broker,
            shares_clock: true,
            // Those of the day as fast as any machine can, and few after it: of a
            // source that is faster than the uploads there would be no end.
            walkers: Walkers {
                every_ms: 1500,
                // A step of the clock costs those who are in sight.
                rush: u32::try_from(waiting)? * 6 / 10 + 600,
                minutes: 59,
            },
            ..Setting::default()
        };
        let mut stage = Stage::set(setting, binaries)?;
        if !stage.has_clock {
            bail!("libfaketime is not installed; run `apt-get install faketime`");
        }
        let outcome = absences(&mut stage, waiting);
        is_clean &= matches!(outcome, Ok(true));
        if let Err(error) = &outcome {
            eprintln!("{kind}: {error:#}");
        }
        if keep && !matches!(outcome, Ok(true)) {
            eprintln!("{kind} is kept in {}", stage.keep().display());
        }
    }
    Ok(is_clean)
}

fn absences(stage: &mut Stage, waiting: usize) -> anyhow::Result<bool> {
    stage.await_more(20)?;
    let before = stage.ledger.refresh()?;
    stage.lines[0].close(true);
    if let Some(broker) = &mut stage.broker {
        broker.kill();
    }
    for hour in 1..=HOURS {
        stage.step_clock(i64::try_from(hour)? * 3600)?;
        stage.await_more(waiting.div_ceil(HOURS))?;
    }
    let waited = stage.ledger.refresh()? - before;
    if stage.broker.is_some() {
        stage.start_broker()?;
    }
    stage.lines[0].close(false);
    let is_day_clean = settle(stage, "broker gone for a day", waited)?;

    // Asleep; the peers gave its connections up, and it will not hear of that.
    stage.agent.signal("STOP")?;
    stage.lines.iter().for_each(Proxy::leave_half_open);
    stage.step_clock(24 * 3600 + SLEEP_MIN * 60)?;
    let before = stage.ledger.refresh()?;
    stage.agent.signal("CONT")?;
    stage.await_more(8)?;
    let waited = stage.ledger.refresh()? - before;
    let is_sleep_clean = settle(
        stage,
        "box suspended for 50 minutes, lines half open",
        waited,
    )?;

    let code = stage.agent.terminate()?;
    if code != Some(0) {
        bail!("the agent ended with {code:?}");
    }
    Ok(is_day_clean && is_sleep_clean)
}

/// Waits until everything is at the centre, and prints the line of the table.
fn settle(stage: &mut Stage, what: &str, waited: usize) -> anyhow::Result<bool> {
    let data = stage.data();
    let begun = Instant::now();
    let finding = stage.ledger.settle(&data, PATIENCE);
    let took = begun.elapsed().as_secs_f64();
    stage.all_run().context(what.to_owned())?;
    let strangers = stage.ledger.never_produced(&data)?;
    let behind = Ledger::behind(&data)?;
    let late = stage.ledger.out_of_order(&data)?;
    let lost = finding.lost.len();
    println!(
        "| {what} | {} | {waited} | {lost} | {strangers} | {behind} | {late} | {} | {} | {took:.1} |",
        stage.name,
        finding.gaps,
        finding.bundles.len()
    );
    for bundle in &finding.bundles {
        eprintln!("{}, {what}: {bundle}", stage.name);
    }
    Ok(finding.is_clean() && strangers == 0 && behind == 0)
}
