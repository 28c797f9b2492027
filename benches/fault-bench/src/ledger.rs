//! What the source produced, and whether it is at the centre: all of it, once,
//! without a gap, with bundles that verify.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::File;
use std::io::{BufRead as _, BufReader, Seek as _, SeekFrom};
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::Context as _;
use protocol::{Digest, EventId};
use rusqlite::{Connection, OpenFlags, params};
use serde_json::Value;
use uuid::Uuid;

use crate::cases::Cases;
use crate::programs::wait_for;

/// A revision of an event.
pub(crate) type Told = (EventId, u32);

/// The agent's own word of what it stored, read from its log as it grows.
pub(crate) struct Ledger {
    log: PathBuf,
    read: u64,
    pub(crate) produced: BTreeSet<Told>,
    /// The same in the order in which they were stored.
    in_order: Vec<Told>,
    /// Those that were found at the centre since it last forgot something.
    arrived: BTreeSet<Told>,
    pub(crate) cases: Cases,
    /// Events that a start ended, since the agent was killed while they went on; it
    /// does not say with which revision.
    ended: BTreeSet<EventId>,
}

/// What a look at the centre found.
#[derive(Clone, Debug, Default)]
pub(crate) struct Finding {
    pub(crate) lost: Vec<Told>,
    pub(crate) gaps: u64,
    pub(crate) bundles: Vec<String>,
}

impl Finding {
    pub(crate) fn is_clean(&self) -> bool {
        self.lost.is_empty() && self.gaps == 0 && self.bundles.is_empty()
    }
}

impl Ledger {
    pub(crate) fn new(log: PathBuf, cases: Cases) -> Self {
        Self {
            log,
            read: 0,
            produced: BTreeSet::new(),
            in_order: Vec::new(),
            arrived: BTreeSet::new(),
            cases,
            ended: BTreeSet::new(),
        }
    }

    /// Reads on in the agent's log; how many revisions it has told in all.
    pub(crate) fn refresh(&mut self) -> anyhow::Result<usize> {
        let Ok(mut file) = File::open(&self.log) else {
            return Ok(0);
        };
        file.seek(SeekFrom::Start(self.read))?;
        let mut lines = BufReader::new(file);
        let mut line = String::new();
        while lines.read_line(&mut line)? > 0 && line.ends_with('\n') {
            self.read += line.len() as u64;
            if let Some(told) = told(&line) {
                self.add(told);
            }
            self.ended.extend(ended(&line));
            line.clear();
        }
        Ok(self.produced.len())
    }

    /// Something was stored at the box otherwise than by its agent.
    pub(crate) fn add(&mut self, told: Told) {
        if self.produced.insert(told) {
            self.in_order.push(told);
        }
    }

    /// The centre was given an older memory: everything is looked for again.
    pub(crate) fn doubt(&mut self, store: &Path, centre: &Path) {
        self.arrived.clear();
        self.cases.doubt(store, centre);
    }

    /// Whether all events that were produced until now are at the centre.
    pub(crate) fn has_arrived(&self, centre: &Path) -> anyhow::Result<bool> {
        let arrived: BTreeSet<Told> = arrivals(centre)?.into_iter().collect();
        Ok(self.produced.is_subset(&arrived))
    }

    /// Waits for that.
    pub(crate) fn await_arrival(&self, centre: &Path, patience: Duration) -> anyhow::Result<()> {
        wait_for("events", patience, || {
            self.has_arrived(centre).ok()?.then_some(())
        })
    }

    /// Waits until everything that was produced is at the centre and complete.
    pub(crate) fn settle(&mut self, centre: &Path, patience: Duration) -> Finding {
        let mut finding = Finding::default();
        // What it is asked for is fixed now; the source goes on meanwhile.
        let wanted: Vec<Told> = self.produced.difference(&self.arrived).copied().collect();
        // So are the cases, once all events are there: of a busy source there is
        // always one whose files are under way.
        let mut cases: Option<BTreeSet<Digest>> = None;
        let settled = wait_for("everything", patience, || {
            let (seen, wrong) = match self.look(centre, &wanted) {
                Ok(seen) => seen,
                Err(error) => {
                    finding = Finding {
                        bundles: vec![format!("{error:#}")],
                        ..Finding::default()
                    };
                    return None;
                }
            };
            finding = seen;
            if cases.is_none() && finding.is_clean() {
                cases = Some(wrong.keys().copied().collect());
            }
            finding.bundles = wrong
                .into_iter()
                .filter(|(digest, _)| cases.as_ref().is_none_or(|cases| cases.contains(digest)))
                .map(|(_, what)| what)
                .collect();
            finding.is_clean().then_some(())
        });
        if settled.is_ok() {
            self.arrived.extend(wanted);
        }
        finding
    }

    /// What is wrong with the events, and with which cases.
    fn look(
        &mut self,
        centre: &Path,
        wanted: &[Told],
    ) -> anyhow::Result<(Finding, BTreeMap<Digest, String>)> {
        let database = open(&centre.join("centre.db"))?;
        let mut finding = Finding::default();
        let mut is_here = database.prepare(
            "SELECT EXISTS (SELECT 1 FROM alert_bodies WHERE alert = ?1 AND revision = ?2)",
        )?;
        for (id, revision) in wanted {
            let id_bytes = id.0.as_bytes().as_slice();
            if !is_here.query_row(params![id_bytes, revision], |row| row.get(0))? {
                finding.lost.push((*id, *revision));
            }
        }
        // A gap that nobody fills: something after it has come and is not receipted.
        // What is under way fills it, so it is one only when it stays.
        finding.gaps = database
            .query_row(
                "SELECT count(*) FROM (SELECT outbox FROM outbox_ahead WHERE outbox =
                    (SELECT outbox FROM outboxes ORDER BY received_at DESC LIMIT 1) GROUP BY outbox)",
                [],
                |row| row.get::<_, i64>(0),
            )?
            .unsigned_abs();
        let wrong = self.cases.look(&database, centre)?;
        Ok((finding, wrong))
    }

    /// What was found wrong is told once, not again in every later round.
    pub(crate) fn give_up(&mut self, finding: &Finding) {
        self.arrived.extend(finding.lost.iter().copied());
    }

    /// How many revisions are at the centre of which the box has not told. It was
    /// never killed, and goes on while it is asked: what it told of meanwhile counts.
    pub(crate) fn never_produced(&mut self, centre: &Path) -> anyhow::Result<usize> {
        let arrived = arrivals(centre)?;
        let is_unknown = |ledger: &Self| arrived.iter().any(|told| !ledger.produced.contains(told));
        // It tells of an event once it is stored, and the centre may be as quick.
        let told = wait_for("the box's word of all", Duration::from_mins(5), || {
            self.refresh().ok()?;
            (!is_unknown(self)).then_some(())
        });
        if told.is_ok() {
            return Ok(0);
        }
        let produced = &self.produced;
        let unknown = arrived.iter().filter(|told| !produced.contains(told));
        Ok(unknown.count())
    }

    /// How many revisions are at the centre.
    pub(crate) fn count(centre: &Path) -> anyhow::Result<usize> {
        let database = open(&centre.join("centre.db"))?;
        let count = database.query_row("SELECT count(*) FROM alert_bodies", [], |row| {
            row.get::<_, i64>(0)
        })?;
        Ok(usize::try_from(count)?)
    }

    /// Alerts that do not show their last revision, in whatever order they came.
    pub(crate) fn behind(centre: &Path) -> anyhow::Result<u64> {
        let database = open(&centre.join("centre.db"))?;
        let count: i64 = database.query_row(
            "SELECT count(*) FROM alerts WHERE revision <>
                (SELECT max(revision) FROM alert_bodies WHERE alert = alerts.id)",
            [],
            |row| row.get(0),
        )?;
        Ok(count.unsigned_abs())
    }

    /// Revisions that came after one that was stored later: behind a broker, what
    /// passed it before the centre was back is sent again.
    pub(crate) fn out_of_order(&self, centre: &Path) -> anyhow::Result<usize> {
        let places: BTreeMap<Told, usize> = self.in_order.iter().copied().zip(0..).collect();
        let mut furthest = 0;
        let mut count = 0;
        for told in arrivals(centre)? {
            // What was stored after the last look at the log has no place yet.
            let Some(place) = places.get(&told) else {
                continue;
            };
            count += usize::from(*place < furthest);
            furthest = furthest.max(*place);
        }
        Ok(count)
    }

    /// What is at the centre although the box never stored it. The box has told of
    /// all that it stored, but for what it stored in the instant of a kill; of that,
    /// it still holds the most (`keep_receipted_h`), and forgets on a full disk what
    /// the centre has. So of known events one revision per kill may be unknown.
    pub(crate) fn strangers(
        &self,
        store: &Path,
        centre: &Path,
        kills: usize,
    ) -> anyhow::Result<Vec<Told>> {
        // To read it SQLite needs room beside it, and its disk may be full.
        let copy = tempfile::tempdir()?;
        for name in ["outbox.db", "outbox.db-wal"] {
            if store.join(name).exists() {
                std::fs::copy(store.join(name), copy.path().join(name))?;
            }
        }
        let outbox = open(&copy.path().join("outbox.db"))?;
        let mut stored = self.produced.clone();
        let mut select = outbox.prepare("SELECT envelope FROM outbox")?;
        for row in select.query_map([], |row| row.get::<_, String>(0))? {
            let envelope: Value = serde_json::from_str(&row?)?;
            let data = &envelope["data"];
            let revision = data["revision"]
                .as_u64()
                .and_then(|r| u32::try_from(r).ok());
            let id = data["id"].as_str().and_then(|id| id.parse().ok());
            stored.extend(id.zip(revision));
        }
        let events: BTreeSet<EventId> = stored.iter().map(|(id, _)| *id).collect();
        let (mut strangers, mut untold) = (Vec::new(), Vec::new());
        for told in arrivals(centre)? {
            if !events.contains(&told.0) {
                strangers.push(told);
            } else if !stored.contains(&told) && !self.ended.contains(&told.0) {
                untold.push(told);
            }
        }
        if untold.len() > kills {
            strangers.append(&mut untold);
        }
        Ok(strangers)
    }
}

/// The event that a line of the agent's log says was ended at a start.
fn ended(line: &str) -> Option<EventId> {
    let line: Value = serde_json::from_str(line).ok()?;
    let fields = &line["fields"];
    let is_ended = fields["message"].as_str()?.ends_with("it is ended here");
    is_ended.then(|| fields["id"].as_str()?.parse().ok())?
}

/// The revision that a line of the agent's log says is stored, or waits in memory.
fn told(line: &str) -> Option<Told> {
    let line: Value = serde_json::from_str(line).ok()?;
    let fields = &line["fields"];
    let is_told = match fields["message"].as_str()? {
        "event" => true,
        "event is not on disk yet" => fields["error"].as_str()?.contains("waits in memory"),
        _ => false,
    };
    let id = fields["id"].as_str()?.parse().ok()?;
    // A line without a revision is of the first.
    let revision = fields["revision"].as_u64().unwrap_or(1);
    is_told.then_some((id, u32::try_from(revision).ok()?))
}

/// The revisions at the centre, in the order in which they came.
fn arrivals(centre: &Path) -> anyhow::Result<Vec<Told>> {
    let database = open(&centre.join("centre.db"))?;
    let mut select = database.prepare("SELECT alert, revision FROM alert_bodies ORDER BY rowid")?;
    let rows = select.query_map([], |row| {
        let id = Uuid::from_bytes(row.get(0)?);
        Ok((EventId(id), row.get(1)?))
    })?;
    Ok(rows.collect::<Result<_, _>>()?)
}

/// A database, to be read.
pub(crate) fn open(file: &Path) -> anyhow::Result<Connection> {
    let connection = Connection::open_with_flags(file, OpenFlags::SQLITE_OPEN_READ_ONLY)
        .with_context(|| file.display().to_string())?;
    connection.pragma_update(None, "busy_timeout", 5000)?;
    Ok(connection)
}
