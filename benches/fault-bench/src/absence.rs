//! Absences that are longer than a bench has time for, with the clock moved on by
//! hand: a day without a broker while thousands of events wait, and a box that is
//! suspended and wakes to connections that are only half there.
//!
//! Each ends with a source that is over: only then is there an instant in which
//! everything is at the centre, on a machine of whatever speed.

use std::time::{Duration, Instant};

use anyhow::{Context as _, bail};

use crate::debts::Debts;
use crate::ledger::{Finding, Ledger};
use crate::programs::{Binaries, wait_for};
use crate::proxy::Proxy;
use crate::stage::{BoxDisk, Setting, Stage};
use crate::walkers::Walkers;

/// Longest wait for a day's events.
const PATIENCE: Duration = Duration::from_hours(1);
/// Steps of the clock; the centre holds nothing against an hour.
const HOURS: i64 = 24;
/// Minutes of the box's sleep.
const SLEEP_MIN: i64 = 50;
/// Those whom the box sees during the day: some come at once, and then it is over.
const DAY: Walkers = Walkers {
    every_ms: 1500,
    rush: 60,
    length_s: 25,
    quiet_s: 15,
    repeats: false,
};
/// Those around the box's sleep.
const EVENING: Walkers = Walkers {
    every_ms: 1500,
    rush: 0,
    length_s: 3600,
    quiet_s: 0,
    repeats: true,
};

/// Plays both, with a broker and without, side by side, and prints a table; whether
/// nothing is wrong. `waiting` events and those of the walkers wait for the broker
/// at the end of the day.
pub(crate) fn play(binaries: &Binaries, waiting: u64, keep: bool) -> bool {
    println!(
        "| absence | by | messages waited | events lost | twice or never produced | alerts not at their last revision | of the revisions, came late | gaps | bundles not sound | from the first to the last of them, s (messages/s) | all there after, s |"
    );
    println!("|---|---|---|---|---|---|---|---|---|---|---|");
    let outcomes = [true, false].map(|has_broker| {
        let binaries = binaries.clone();
        std::thread::spawn(move || {
            let kind = if has_broker {
                "mosquitto"
            } else {
                "front door"
            };
            let outcome = on_a_stage(&binaries, kind, has_broker, (waiting, keep));
            if let Err(error) = &outcome {
                eprintln!("{kind}: {error:#}");
            }
            matches!(outcome, Ok(true))
        })
    });
    // Both to their end.
    let outcomes = outcomes.map(|outcome| outcome.join().unwrap_or(false));
    outcomes.iter().all(|is_clean| *is_clean)
}

fn on_a_stage(
    binaries: &Binaries,
    kind: &str,
    has_broker: bool,
    (waiting, keep): (u64, bool),
) -> anyhow::Result<bool> {
    let setting = Setting {
        name: kind.to_owned(),
        has_broker,
        box_disk: BoxDisk::Shared,
        shares_clock: true,
        walkers: EVENING,
        ..Setting::default()
    };
    let mut stage = Stage::set(setting, binaries)?;
    if !stage.has_clock {
        bail!("libfaketime is not installed; run `apt-get install faketime`");
    }
    let outcome = absences(&mut stage, waiting);
    if keep && !matches!(outcome, Ok(true)) {
        eprintln!("{kind} is kept in {}", stage.keep().display());
    }
    outcome
}

fn absences(stage: &mut Stage, waiting: u64) -> anyhow::Result<bool> {
    stage.await_more(4)?;
    stage.lines[0].close(true);
    if let Some(broker) = &mut stage.broker {
        broker.kill();
    }
    stage.end_agent()?;
    stage.ledger.refresh()?;
    stage.store_happenings(waiting)?;
    stage.change_walkers_of_ended(DAY)?;
    for hour in 1..=HOURS {
        stage.step_clock(hour * 3600)?;
        // So that it sees one or the other of these hours.
        std::thread::sleep(Duration::from_millis(300));
    }
    stage.await_source_end()?;
    let waited = stage.debts()?.messages;
    if waited < 3 * waiting {
        bail!("only {waited} messages wait for the broker");
    }
    if stage.broker.is_some() {
        stage.start_broker()?;
        // What passes the broker while nobody listens there comes a second time, later.
        stage.await_centre()?;
    }
    let (data, revisions) = (stage.data(), stage.ledger.produced.len());
    let before = Ledger::count(&data)?;
    let until = |more: usize| {
        wait_for("the day's events", PATIENCE, || {
            (Ledger::count(&data).ok()? >= more).then_some(())
        })
    };
    let begun = Instant::now();
    stage.lines[0].close(false);
    // How soon it tries again is not what is measured.
    until(before + 1)?;
    let first = Instant::now();
    until(revisions)?;
    let drained = first.elapsed().as_secs_f64();
    stage.await_debts("all that the box owes", Debts::is_none)?;
    let told = Told {
        what: "broker gone for a day",
        waited,
        drained,
        took: begun.elapsed().as_secs_f64(),
    };
    let is_day_clean = look(stage, &told)?;

    // Awake again; who comes now comes for long enough.
    stage.kill_agent();
    stage.change_walkers_of_ended(EVENING)?;
    stage.await_more(4)?;
    // Asleep; the peers gave its connections up, and it will not hear of that.
    stage.agent.signal("STOP")?;
    stage.lines.iter().for_each(Proxy::leave_half_open);
    stage.step_clock(HOURS * 3600 + SLEEP_MIN * 60)?;
    let before = stage.ledger.refresh()?;
    let begun = Instant::now();
    stage.agent.signal("CONT")?;
    stage.await_more(8)?;
    let waited = stage.ledger.refresh()? - before;
    // It finds out by itself that nobody hears it.
    stage.ledger.await_arrival(&data, PATIENCE)?;
    let drained = begun.elapsed().as_secs_f64();
    stage.change_walkers(Walkers::NOBODY)?;
    stage.await_debts("all that the box owes", Debts::is_none)?;
    stage.ledger.refresh()?;
    let told = Told {
        what: "box suspended for 50 minutes, lines half open",
        waited: waited as u64,
        drained,
        took: begun.elapsed().as_secs_f64(),
    };
    Ok(is_day_clean && look(stage, &told)?)
}

/// A line of the table.
struct Told {
    what: &'static str,
    waited: u64,
    drained: f64,
    took: f64,
}

/// Looks at the centre once, since nothing is under way, and prints the line.
fn look(stage: &mut Stage, told: &Told) -> anyhow::Result<bool> {
    let data = stage.data();
    stage.all_run().context(told.what)?;
    let finding = stage.ledger.settle(&data, PATIENCE);
    let strangers = stage.ledger.never_produced(&data)?;
    let behind = Ledger::behind(&data)?;
    let late = stage.ledger.out_of_order(&data)?;
    let Finding {
        lost,
        gaps,
        bundles,
    } = &finding;
    println!(
        "| {} | {} | {} | {} | {strangers} | {behind} | {late} | {gaps} | {} | {:.1} ({:.0}) | {:.1} |",
        told.what,
        stage.name,
        told.waited,
        lost.len(),
        bundles.len(),
        told.drained,
        told.waited as f64 / told.drained.max(0.001),
        told.took
    );
    for bundle in bundles {
        eprintln!("{}, {}: {bundle}", stage.name, told.what);
    }
    // Behind a broker a centre that was away for a moment hears some later.
    let is_in_order = late == 0 || stage.broker.is_some();
    Ok(finding.is_clean() && strangers == 0 && behind == 0 && is_in_order)
}
