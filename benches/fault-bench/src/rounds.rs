//! The rounds of one installation: one fault each, made, mended and looked into.

use std::time::{Duration, Instant};

use anyhow::Context as _;
use fastrand::Rng;

use crate::board::{AT_THE_END, Board};
use crate::debts::Debts;
use crate::faults::{self, Fault};
use crate::programs::Binaries;
use crate::stage::{BoxDisk, Setting, Stage};
use crate::walkers::Walkers;

/// How long everything may take to arrive after a fault is mended.
const PATIENCE: Duration = Duration::from_mins(5);

/// Before files are looked for; what is under way is still somewhere.
const SOON: Duration = Duration::from_secs(20);

/// Which rounds are played.
#[derive(Clone, Copy)]
pub(crate) struct Plan<'a> {
    pub(crate) seed: u64,
    pub(crate) rounds: u64,
    /// Installations side by side.
    pub(crate) parallel: u64,
    /// Only faults whose name contains this.
    pub(crate) only: &'a str,
    /// No round begins later.
    pub(crate) until: Instant,
    /// Every fourth box is on a btrfs with a quota.
    pub(crate) has_quota: bool,
    /// Keeps the folders of installations in which something went wrong.
    pub(crate) keep: bool,
    pub(crate) binaries: &'a Binaries,
    pub(crate) board: &'a Board,
}

/// An installation, and what is known of it.
struct Installation {
    stage: Stage,
    excused: usize,
    is_clean: bool,
}

/// Plays the rounds of installation `number`.
pub(crate) fn play(plan: Plan<'_>, number: u64) {
    let mut installation: Option<Installation> = None;
    let step = usize::try_from(plan.parallel.max(1)).unwrap_or(usize::MAX);
    for round in (number..plan.rounds).step_by(step) {
        if Instant::now() >= plan.until {
            break;
        }
        let (mut here, is_new) = match installation.take() {
            Some(here) => (here, false),
            None => match set(plan, number, round) {
                Ok(stage) => {
                    let (excused, is_clean) = (0, true);
                    let here = Installation {
                        stage,
                        excused,
                        is_clean,
                    };
                    (here, true)
                }
                Err(error) => {
                    eprintln!("installation {number}, round {round}: {error:#}");
                    plan.board.note("no installation", |tally| tally.void += 1);
                    continue;
                }
            },
        };
        let mut rng = Rng::with_seed(plan.seed ^ (round + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15));
        let Some(fault) = choose(&here.stage, &mut rng, plan.only) else {
            plan.board
                .note("no possible fault", |tally| tally.void += 1);
            installation = Some(here);
            continue;
        };
        let name = here.stage.name.clone();
        let told = |error: &anyhow::Error, what: &str| {
            eprintln!(
                "{name}, round {round}, {}, seed {}: {what}{error:#}",
                fault.name, plan.seed
            );
        };
        match here.round(fault, &mut rng, plan) {
            Ok(None) => {}
            Ok(Some(error)) => told(&error, ""),
            Err(error) => {
                // Whatever is counted of it would pass for lack of anything to see:
                // the next round has an installation that works.
                told(&error, "shows nothing: ");
                plan.board.note(fault.name, |tally| tally.void += 1);
                here.is_clean = false;
                here.put_away(plan.keep);
                if is_new {
                    // Two of this kind in a row may be the machine's fault.
                    std::thread::sleep(Duration::from_secs(1));
                }
                continue;
            }
        }
        installation = Some(here);
    }
    if let Some(here) = installation {
        let name = here.stage.name.clone();
        if let Err(error) = here.finish(plan) {
            eprintln!("{name}, at the end, seed {}: {error:#}", plan.seed);
            plan.board.note(AT_THE_END, |tally| tally.void += 1);
        }
    }
}

fn set(plan: Plan<'_>, number: u64, round: u64) -> anyhow::Result<Stage> {
    let (has_broker, kind) = if number.is_multiple_of(2) {
        (true, "mosquitto")
    } else {
        (false, "front door")
    };
    let name = format!("{kind} {number} from round {round} on");
    let box_disk = if plan.has_quota && number % 4 == 3 {
        BoxDisk::Quota
    } else {
        BoxDisk::Small
    };
    let setting = Setting {
        name,
        has_broker,
        box_disk,
        may_mount_centre: number < 2,
        ..Setting::default()
    };
    Stage::set(setting, plan.binaries).context("setting the stage")
}

fn choose(stage: &Stage, rng: &mut Rng, only: &str) -> Option<Fault> {
    let possible: Vec<Fault> = faults::ALL
        .into_iter()
        .chain(faults::RESTORED)
        .filter(|fault| fault.is_possible(stage) && fault.name.contains(only))
        .filter(|fault| fault.name != faults::DAMAGED_AND_FULL || !only.is_empty())
        .collect();
    let total: u32 = possible.iter().map(|fault| fault.weight).sum();
    let mut drawn = rng.u32(0..total.max(1));
    possible.into_iter().find(|fault| {
        let is_it = drawn < fault.weight;
        drawn = drawn.saturating_sub(fault.weight);
        is_it
    })
}

impl Installation {
    /// One fault. An error: the round shows nothing. Something else that was not
    /// as it should be is given back.
    fn round(
        &mut self,
        fault: Fault,
        rng: &mut Rng,
        plan: Plan<'_>,
    ) -> anyhow::Result<Option<anyhow::Error>> {
        let stage = &mut self.stage;
        stage.all_run().context("before it")?;
        stage.await_more(2).context("before it")?;
        let made = (fault.make)(stage, rng);
        let mended = Instant::now();
        stage.all_run().context("after it")?;
        // One that was produced after the fault must arrive, too.
        stage.await_more(1).context("after it")?;
        let data = stage.data();
        let may_cost_files = faults::COST_FILES.contains(&fault.name);
        if may_cost_files && !stage.ledger.settle(&data, SOON).is_clean() {
            // There is no use in waiting for files that nobody has.
            let store = stage.file("store");
            self.excused += stage.ledger.cases.excuse_gone(&store, &data);
        }
        let mut finding = stage.ledger.settle(&data, PATIENCE);
        if may_cost_files && !finding.bundles.is_empty() {
            // Gone before they were uploaded: nobody has them.
            self.excused += stage.ledger.cases.excuse_missing(&data);
            finding.bundles.clear();
        }
        if !finding.is_clean() {
            eprintln!(
                "{}, {}, seed {}: lost {:?}, gaps {}, bundles {:?}",
                stage.name, fault.name, plan.seed, finding.lost, finding.gaps, finding.bundles
            );
        }
        self.is_clean &= finding.is_clean() && made.is_ok();
        plan.board.note(fault.name, |tally| {
            tally.rounds += 1;
            tally.failed += u64::from(made.is_err());
            tally.lost += finding.lost.len() as u64;
            tally.gaps += finding.gaps;
            tally.bundles += finding.bundles.len() as u64;
            tally.settled_s += mended.elapsed().as_secs_f64();
        });
        stage.ledger.give_up(&finding);
        Ok(made.err())
    }

    /// Once the source is over and the box owes nothing: everything is at the centre,
    /// nothing that the box never stored, and the chain has no gap.
    fn finish(mut self, plan: Plan<'_>) -> anyhow::Result<()> {
        let stage = &mut self.stage;
        // It works, so it has heard of signals.
        stage.await_more(1)?;
        let ended = stage.change_walkers(Walkers::NOBODY);
        stage.await_debts("all that the box owes", Debts::is_none)?;
        stage.ledger.refresh()?;
        let (store, data) = (stage.file("store"), stage.data());
        let finding = stage.ledger.settle(&data, PATIENCE);
        stage.kill_agent();
        let strangers = stage.ledger.strangers(&store, &data, stage.kills)?;
        let chain = stage.ledger.cases.chain_faults(self.excused);
        if ended.is_err() || !strangers.is_empty() || !chain.is_empty() || !finding.is_clean() {
            self.is_clean = false;
            eprintln!(
                "{}, at the end, seed {}: {ended:?}; {finding:?}; never stored at the box: {strangers:?}; chain: {chain:?}",
                stage.name, plan.seed
            );
        }
        plan.board.note(AT_THE_END, |tally| {
            tally.rounds += 1;
            tally.lost += finding.lost.len() as u64;
            tally.gaps += finding.gaps;
            tally.strangers += strangers.len() as u64;
            tally.bundles += (finding.bundles.len() + chain.len()) as u64;
            tally.failed += u64::from(ended.is_err());
        });
        let ledger = &stage.ledger;
        let (events, bundles) = (ledger.produced.len(), ledger.cases.sound());
        plan.board.produced(events, bundles, self.excused);
        self.put_away(plan.keep);
        Ok(())
    }

    fn put_away(self, keep: bool) {
        if keep && !self.is_clean {
            let name = self.stage.name.clone();
            eprintln!("{name} is kept in {}", self.stage.keep().display());
        }
    }
}
