//! Real programs under every fault that can be made: what the source produced
//! arrives at the centre, once, without a gap, with bundles that verify.
//!
//! Reading order: [`programs`] → [`proxy`] → [`walkers`] → [`stage`] → [`ledger`] → [`cases`] → [`faults`] →
//! [`rounds`] → [`board`]; [`debts`] counts at the box; [`absence`] moves the clock, [`footage`] steps it; [`rates`] and
//! [`priority`] measure.

mod absence;
mod board;
mod cases;
mod debts;
mod faults;
mod footage;
mod ledger;
mod priority;
mod programs;
mod proxy;
mod rates;
mod rounds;
mod stage;
mod walkers;

use std::path::PathBuf;
use std::process::ExitCode;
use std::time::{Duration, Instant};

use clap::Parser;

use board::Board;
use programs::Binaries;
use rounds::Plan;
use stage::BoxDisk;

/// Break real agents, brokers and centres in every way, and count what is lost.
///
/// Each round makes one fault, mends it, and waits until every event that the
/// agent stored is at the centre. Half of the installations use a mosquitto,
/// half the centre's own front door. A round in which a program was not there, or
/// in which nothing happened, is void: it counts as wrong, and the next one has a
/// new installation. Exit code 1: something was lost, came twice, left a gap, did
/// not verify or was void; the seed that was printed repeats it.
#[derive(Parser)]
#[command(after_help = "\
Examples:
  fault-bench --rounds 40                  what `make test` runs
  fault-bench --rounds 500 --parallel 6 --quota    the long run
  fault-bench --only 'kill -9 of the agent' --rounds 20
  fault-bench --absence 5000               a day without a broker, and a suspended box
  fault-bench --footage                    clips and stills around a step of the clock
  fault-bench --priority 4                 events while 4 MiB clips fill a thin line
  fault-bench --rates                      events per second, drain, bytes per event")]
#[allow(clippy::struct_excessive_bools)] // they are switches
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
    /// Give every fourth box a btrfs with a quota, which is used up in some rounds. Needs
    /// root, loop devices and btrfs-progs; the table says when there are none.
    #[arg(long)]
    quota: bool,
    /// Keep the folders of installations in which something went wrong.
    #[arg(long)]
    keep: bool,
    /// Instead: take the broker away for a day (of a clock that is moved on) while so
    /// many events and more wait, then suspend the box.
    #[arg(long, value_name = "EVENTS")]
    absence: Option<u64>,
    /// Instead: step the clock of a box whose camera sees people, and look at clips and
    /// stills. Needs `rtsp-camera` beside the other programs, and a detector.
    #[arg(long)]
    footage: bool,
    /// Instead: how long events take while evidence of so many mebibytes a file wants
    /// all of a thin line.
    #[arg(long, value_name = "MIB")]
    priority: Option<usize>,
    /// Instead: how fast events go through the outbox.
    #[arg(long)]
    rates: bool,
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
    if let Some(mib) = cli.priority {
        return priority::measure(&binaries, mib);
    }
    if cli.footage {
        return footage::play(&binaries, cli.keep);
    }
    if let Some(waiting) = cli.absence {
        return Ok(absence::play(&binaries, waiting, cli.keep));
    }
    let seed = cli.seed.unwrap_or_else(|| fastrand::u64(..));
    eprintln!(
        "seed {seed}; `--seed {seed} --rounds {} --parallel {}` repeats this",
        cli.rounds, cli.parallel
    );
    let board = Board::default();
    let begun = Instant::now();
    let no_quota = cli.quota.then(BoxDisk::lacks_quota).flatten();
    if let Some(why) = &no_quota {
        eprintln!("{}: not run, since {why}", faults::QUOTA);
        board.not_run(faults::QUOTA, why);
    }
    let plan = Plan {
        has_quota: cli.quota && no_quota.is_none(),
        seed,
        rounds: cli.rounds,
        parallel: cli.parallel,
        only: &cli.only,
        until: begun + Duration::from_secs(cli.minutes * 60),
        keep: cli.keep,
        binaries: &binaries,
        board: &board,
    };
    std::thread::scope(|scope| {
        for number in 0..cli.parallel.max(1) {
            scope.spawn(move || rounds::play(plan, number));
        }
    });
    Ok(board.report(seed, begun.elapsed()))
}
