//! Real programs under every fault that can be made: what the source produced
//! arrives at the centre, once, without a gap, with bundles that verify.
//!
//! Reading order: [`programs`] → [`proxy`] → [`stage`] → [`ledger`] → [`faults`] → [`rates`].

mod faults;
mod ledger;
mod programs;
mod proxy;
mod rates;
mod stage;

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use anyhow::Context as _;
use clap::Parser;
use fastrand::Rng;

use faults::Fault;
use programs::Binaries;
use stage::Stage;

/// How long everything may take to arrive after a fault is mended.
const PATIENCE: Duration = Duration::from_secs(150);

/// Break real agents, brokers and centres in every way, and count what is lost.
///
/// Each round makes one fault, mends it, and waits until every event that the
/// agent stored is at the centre. Half of the installations use a mosquitto,
/// half the centre's own front door. Exit code 1: something was lost, came
/// twice, left a gap or did not verify; the seed that was printed repeats it.
#[derive(Parser)]
#[command(after_help = "\
Examples:
  fault-bench --rounds 40                  what `make test` runs
  fault-bench --rounds 500 --parallel 6    the long run
  fault-bench --only 'kill -9 of the agent' --rounds 20
  fault-bench --rates                      events per second, drain, bytes per event")]
struct Cli {
    /// Rounds in all.
    #[arg(long, default_value_t = 40)]
    rounds: u64,
    /// Repeats the choice and the timing of faults; random when left out.
    #[arg(long)]
    seed: Option<u64>,
    /// Installations side by side.
    #[arg(long, default_value_t = 4)]
    parallel: u64,
    /// Only faults whose name contains this.
    #[arg(long, default_value = "")]
    only: String,
    /// Begin no round after so many minutes.
    #[arg(long, default_value_t = 600)]
    minutes: u64,
    /// Folder of edge-agent and aggregator; beside this program when left out.
    #[arg(long)]
    programs: Option<PathBuf>,
    /// Keep the folders of installations in which something went wrong.
    #[arg(long)]
    keep: bool,
    /// Measure instead of breaking.
    #[arg(long)]
    rates: bool,
}

/// What became of the rounds of one fault.
#[derive(Default)]
struct Tally {
    rounds: u64,
    lost: u64,
    duplicated: u64,
    gaps: u64,
    bundles: u64,
    failed: u64,
    settled_s: f64,
}

#[derive(Default)]
struct Board {
    tallies: BTreeMap<&'static str, Tally>,
    events: u64,
    bundles: u64,
    excused: u64,
}

fn main() -> ExitCode {
    let cli = Cli::parse();
    match run(&cli) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::from(2)
        }
    }
}

fn run(cli: &Cli) -> anyhow::Result<bool> {
    let binaries = Binaries::find(cli.programs.as_deref())?;
    if cli.rates {
        rates::measure(&binaries)?;
        return Ok(true);
    }
    let seed = cli.seed.unwrap_or_else(|| fastrand::u64(..));
    eprintln!(
        "seed {seed}; `--seed {seed} --rounds {} --parallel {}` repeats this",
        cli.rounds, cli.parallel
    );
    let board = Mutex::new(Board::default());
    let begun = Instant::now();
    let until = begun + Duration::from_secs(cli.minutes * 60);
    std::thread::scope(|scope| {
        for number in 0..cli.parallel.max(1) {
            let (board, binaries) = (&board, &binaries);
            scope.spawn(move || {
                if let Err(error) = play(cli, (seed, number), until, binaries, board) {
                    eprintln!("installation {number}, seed {seed}: {error:#}");
                    note(board, "installation", |tally| tally.failed += 1);
                }
            });
        }
    });
    let board = board.into_inner().unwrap_or_else(PoisonError::into_inner);
    Ok(report(&board, seed, begun.elapsed()))
}

fn note(board: &Mutex<Board>, name: &'static str, change: impl FnOnce(&mut Tally)) {
    let mut board = board.lock().unwrap_or_else(PoisonError::into_inner);
    change(board.tallies.entry(name).or_default());
}

/// The rounds of one installation.
fn play(
    cli: &Cli,
    (seed, number): (u64, u64),
    until: Instant,
    binaries: &Binaries,
    board: &Mutex<Board>,
) -> anyhow::Result<()> {
    let (has_broker, kind) = if number.is_multiple_of(2) {
        (true, "mosquitto")
    } else {
        (false, "front door")
    };
    let name = format!("{kind} {number}");
    let mut stage =
        Stage::set(&name, binaries, has_broker, number < 2).context("setting the stage")?;
    let (mut excused, mut is_clean) = (0, true);
    for round in (number..cli.rounds).step_by(usize::try_from(cli.parallel.max(1))?) {
        if Instant::now() >= until {
            break;
        }
        let mut rng = Rng::with_seed(seed ^ (round + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15));
        let Some(fault) = choose(&stage, &mut rng, &cli.only) else {
            continue;
        };
        let made = stage
            .await_more(2)
            .and_then(|()| (fault.make)(&mut stage, &mut rng));
        if let Err(error) = &made {
            eprintln!(
                "{}, round {round}, {}, seed {seed}: {error:#}",
                stage.name, fault.name
            );
        }
        let mended = Instant::now();
        // One that was produced after the fault must arrive, too.
        if let Err(error) = stage.await_more(1) {
            eprintln!(
                "{}, round {round}, {}, seed {seed}: {error:#}",
                stage.name, fault.name
            );
        }
        let data = stage.data();
        let mut finding = stage.ledger.settle(&data, PATIENCE);
        if faults::COST_FILES.contains(&fault.name) && !finding.bundles.is_empty() {
            // Gone before they were uploaded: nobody has them.
            excused += stage.ledger.excuse_missing(&data)?;
            finding.bundles.clear();
        }
        if !finding.is_clean() {
            eprintln!(
                "{}, round {round}, {}, seed {seed}: lost {:?}, duplicated {}, gaps {}, bundles {:?}",
                stage.name,
                fault.name,
                finding.lost,
                finding.duplicated,
                finding.gaps,
                finding.bundles
            );
        }
        is_clean &= finding.is_clean() && made.is_ok();
        note(board, fault.name, |tally| {
            tally.rounds += 1;
            tally.failed += u64::from(made.is_err());
            tally.lost += finding.lost.len() as u64;
            tally.duplicated += finding.duplicated;
            tally.gaps += finding.gaps;
            tally.bundles += finding.bundles.len() as u64;
            tally.settled_s += mended.elapsed().as_secs_f64();
        });
        stage.ledger.give_up(&finding);
    }
    finish(stage, (seed, excused, is_clean), cli.keep, board)
}

fn choose(stage: &Stage, rng: &mut Rng, only: &str) -> Option<Fault> {
    let possible: Vec<Fault> = faults::ALL
        .into_iter()
        .chain([faults::RESTORED])
        .filter(|fault| fault.is_possible(stage) && fault.name.contains(only))
        .collect();
    let total: u32 = possible.iter().map(|fault| fault.weight).sum();
    let mut drawn = rng.u32(0..total.max(1));
    possible.into_iter().find(|fault| {
        let is_it = drawn < fault.weight;
        drawn = drawn.saturating_sub(fault.weight);
        is_it
    })
}

/// Nothing is at the centre that the box never stored, and the chain has no gap.
fn finish(
    mut stage: Stage,
    (seed, excused, mut is_clean): (u64, usize, bool),
    keep: bool,
    board: &Mutex<Board>,
) -> anyhow::Result<()> {
    // It works, so it has heard of signals.
    stage.await_more(1)?;
    let code = stage.agent.terminate()?;
    stage.ledger.refresh()?;
    let (store, data) = (stage.file("store"), stage.data());
    let strangers = stage.ledger.strangers(&store, &data)?;
    let chain = stage.ledger.chain_faults(excused);
    if code != Some(0) || !strangers.is_empty() || !chain.is_empty() {
        is_clean = false;
        eprintln!(
            "{}, at the end, seed {seed}: the agent ended with {code:?}; never stored at the box: {strangers:?}; chain: {chain:?}",
            stage.name
        );
    }
    note(board, "at the end of an installation", |tally| {
        tally.rounds += 1;
        tally.duplicated += strangers.len() as u64;
        tally.bundles += chain.len() as u64;
        tally.failed += u64::from(code != Some(0));
    });
    {
        let mut board = board.lock().unwrap_or_else(PoisonError::into_inner);
        board.events += stage.ledger.produced.len() as u64;
        board.bundles += stage.ledger.bundles() as u64;
        board.excused += excused as u64;
    }
    if keep && !is_clean {
        eprintln!(
            "{} is kept in {}",
            stage.name.clone(),
            stage.keep().display()
        );
    }
    Ok(())
}

/// Prints the table; whether nothing is wrong.
fn report(board: &Board, seed: u64, took: Duration) -> bool {
    println!(
        "| fault | rounds | lost | twice | gaps | bundles not sound | not as expected | all there after, mean s |"
    );
    println!("|---|---|---|---|---|---|---|---|");
    let mut rounds = 0;
    let mut is_clean = !board.tallies.is_empty();
    for (name, tally) in &board.tallies {
        let Tally {
            lost,
            duplicated,
            gaps,
            bundles,
            failed,
            ..
        } = tally;
        println!(
            "| {name} | {} | {lost} | {duplicated} | {gaps} | {bundles} | {failed} | {:.1} |",
            tally.rounds,
            tally.settled_s / tally.rounds.max(1) as f64
        );
        if tally.settled_s > 0.0 {
            rounds += tally.rounds;
        }
        is_clean &= lost + duplicated + gaps + bundles + failed == 0;
    }
    println!(
        "\n{rounds} rounds in {:.0} s, seed {seed}: {} revisions of events, {} bundles verified, {} cases with files that were deleted by hand or given up on a full disk",
        took.as_secs_f64(),
        board.events,
        board.bundles,
        board.excused
    );
    is_clean
}
