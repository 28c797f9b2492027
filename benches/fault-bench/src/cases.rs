//! The signed cases at the centre: each is asked for as a clerk asks for it, and
//! must be sound as it is handed over.

use std::collections::{BTreeMap, BTreeSet};
use std::io::{Cursor, Read};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::Context as _;
use case_bundle::files::BundleShelf;
use case_bundle::manifest::CaseMedia;
use case_bundle::{CaseManifest, Fault, MediaSource, Report, Sealed, Trust, verify, verify_chain};
use edge_uplink::Outbox;
use protocol::{Digest, EventId};
use rusqlite::Connection;
use uuid::Uuid;

/// Longest wait for one answer; whoever gets none asks again.
const ANSWER: Duration = Duration::from_mins(2);

/// What is known of the cases of an installation.
pub(crate) struct Cases {
    trust: Trust,
    desk: Desk,
    /// Every manifest that the centre ever knew, and of which event it is. A centre
    /// that forgets one again is not excused by that.
    known: BTreeMap<Digest, EventId>,
    /// Sound ones.
    verified: BTreeMap<Digest, Report>,
    /// Those with files that nobody has any more, for a reason.
    excused: BTreeSet<Digest>,
}

impl Cases {
    pub(crate) fn new(trust: Trust, http: SocketAddr) -> Self {
        Self {
            trust,
            desk: Desk::at(http),
            known: BTreeMap::new(),
            verified: BTreeMap::new(),
            excused: BTreeSet::new(),
        }
    }

    /// Verifies the cases that were not yet; what is wrong with which.
    pub(crate) fn look(
        &mut self,
        database: &Connection,
        centre: &Path,
    ) -> anyhow::Result<BTreeMap<Digest, String>> {
        let here = announced(database)?;
        self.known.extend(&here);
        let mut wrong = BTreeMap::new();
        for (digest, event) in &self.known {
            if self.verified.contains_key(digest) || self.excused.contains(digest) {
                continue;
            }
            let looked = if here.contains_key(digest) {
                self.judge(digest, *event, centre)
            } else {
                Err("the centre knows nothing of it any more".to_owned())
            };
            match looked {
                Ok(report) => {
                    self.verified.insert(*digest, report);
                }
                Err(what) => {
                    wrong.insert(*digest, format!("case {digest} of {event}: {what}"));
                }
            }
        }
        Ok(wrong)
    }

    fn judge(&self, digest: &Digest, event: EventId, centre: &Path) -> Result<Report, String> {
        let handed_over = self.desk.case_of(event, &self.trust)?;
        if !handed_over.is_sound() {
            return Err(format!("handed over with {:?}", handed_over.faults));
        }
        if handed_over.digest == *digest {
            return Ok(handed_over);
        }
        // An event whose case was sealed again has an older one, which stays, since
        // the chain goes through it; but nobody is given it.
        let stored = self.stored_case(digest, centre)?;
        if stored.is_sound() {
            Ok(stored)
        } else {
            Err(format!("{:?}", stored.faults))
        }
    }

    /// As it is in the centre's folder.
    fn stored_case(&self, digest: &Digest, centre: &Path) -> Result<Report, String> {
        let file = std::fs::read(stored(centre, digest))
            .map_err(|error| format!("its manifest is not here: {error}"))?;
        Ok(verify(&file, &self.trust, &mut Shelf::of(&file, centre)))
    }

    /// The centre was given an older memory: everything is asked for again, but for
    /// cases of which neither it nor the box has all files.
    pub(crate) fn doubt(&mut self, store: &Path, centre: &Path) {
        // One that is nowhere any more was sound, and stays a link of the chain.
        self.verified
            .retain(|digest, _| !is_held(digest, [store, centre]));
    }

    /// Gives up cases with files that are neither at the box nor at the centre; how many.
    pub(crate) fn excuse_gone(&mut self, store: &Path, centre: &Path) -> usize {
        self.excuse(|_, digest| !is_held(digest, [store, centre]))
    }

    /// Gives up cases with files that the centre has not got; how many. Whatever is
    /// here of them must be sound.
    pub(crate) fn excuse_missing(&mut self, centre: &Path) -> usize {
        self.excuse(|cases, digest| {
            cases.stored_case(digest, centre).map_or(true, |report| {
                let mut faults = report.faults.iter();
                faults.all(|fault| matches!(fault, Fault::FileUnreadable { .. }))
            })
        })
    }

    fn excuse(&mut self, is_excused: impl Fn(&Self, &Digest) -> bool) -> usize {
        let open = self
            .known
            .keys()
            .filter(|digest| !self.verified.contains_key(digest) && !self.excused.contains(digest));
        let excused: Vec<Digest> = open
            .filter(|digest| is_excused(self, digest))
            .copied()
            .collect();
        self.excused.extend(&excused);
        excused.len()
    }

    /// Whether the cases that are here follow each other; `excused` were deleted by hand.
    pub(crate) fn chain_faults(&self, excused: usize) -> Vec<String> {
        // By number: the clock that they were sealed by was stepped.
        let mut reports: Vec<Report> = self.verified.values().cloned().collect();
        reports.sort_by_key(|report| {
            let manifest = report.manifest.as_ref();
            manifest.map(|manifest| (manifest.chain.id, manifest.chain.number))
        });
        let faults = verify_chain(&reports).faults;
        if faults.len() <= 2 * excused {
            return Vec::new();
        }
        faults
            .iter()
            .map(|(at, fault)| format!("case {at}: {fault:?}"))
            .collect()
    }

    /// What the sound ones say.
    pub(crate) fn manifests(&self) -> impl Iterator<Item = &CaseManifest> {
        let reports = self.verified.values();
        reports.filter_map(|report| report.manifest.as_ref())
    }

    /// How many are sound.
    pub(crate) fn sound(&self) -> usize {
        self.verified.len()
    }
}

/// The manifests that the centre has been told of.
fn announced(database: &Connection) -> anyhow::Result<BTreeMap<Digest, EventId>> {
    let mut select = database
        .prepare("SELECT sha256, alert FROM evidence_items WHERE role = 'case_manifest'")?;
    let rows = select.query_map([], |row| {
        let alert = Uuid::from_bytes(row.get(1)?);
        Ok((Digest(row.get::<_, [u8; 32]>(0)?), EventId(alert)))
    })?;
    Ok(rows.collect::<Result<_, _>>()?)
}

/// Whether every file of a case is at the box or at the centre.
fn is_held(digest: &Digest, [store, centre]: [&Path; 2]) -> bool {
    let places = |digest: &Digest| [Outbox::evidence_path(store, digest), stored(centre, digest)];
    let is_somewhere = |digest: &Digest| places(digest).iter().any(|place| place.exists());
    let file = places(digest)
        .iter()
        .find_map(|place| std::fs::read(place).ok());
    let media = file.as_deref().and_then(media_of);
    media.is_some_and(|media| media.iter().all(|item| is_somewhere(&item.sha256)))
}

/// What a sealed manifest names.
fn media_of(file: &[u8]) -> Option<Vec<CaseMedia>> {
    let sealed = Sealed::open(file).ok()?;
    let manifest = serde_json::from_slice::<CaseManifest>(sealed.manifest).ok()?;
    Some(manifest.media)
}

/// Where the centre has a file.
pub(crate) fn stored(centre: &Path, digest: &Digest) -> PathBuf {
    let name = digest.to_string();
    centre.join("evidence").join(&name[..2]).join(&name[2..])
}

/// Where the centre answers.
struct Desk {
    client: ureq::Agent,
    http: SocketAddr,
}

impl Desk {
    fn at(http: SocketAddr) -> Self {
        let config = ureq::Agent::config_builder()
            .timeout_global(Some(ANSWER))
            .build();
        Self {
            client: config.into(),
            http,
        }
    }

    /// The case of an event as it is handed over, verified.
    fn case_of(&self, event: EventId, trust: &Trust) -> Result<Report, String> {
        let url = format!("http://{}/api/v1/alerts/{event}/bundle", self.http);
        let ask = || -> anyhow::Result<Report> {
            let answer = self.client.get(&url).call()?;
            let mut archive = tempfile::NamedTempFile::new()?;
            std::io::copy(&mut answer.into_body().into_reader(), &mut archive)?;
            let mut bundle = BundleShelf::open(archive.path())?;
            let file = bundle.case()?.context("it has no manifest")?;
            let mut report = verify(&file, trust, &mut bundle);
            report.expect_event(event);
            Ok(report)
        };
        ask().map_err(|error| format!("not handed over: {error:#}"))
    }
}

/// The files of a case in the centre's store.
struct Shelf(BTreeMap<String, PathBuf>);

impl Shelf {
    fn of(file: &[u8], centre: &Path) -> Self {
        let media = media_of(file).into_iter().flatten();
        Self(
            media
                .map(|item| (item.name, stored(centre, &item.sha256)))
                .collect(),
        )
    }
}

impl MediaSource for Shelf {
    fn names(&mut self) -> Result<Vec<String>, String> {
        Ok(self.0.keys().cloned().collect())
    }

    fn open<'a>(&'a mut self, name: &str) -> std::io::Result<Option<Box<dyn Read + 'a>>> {
        let Some(path) = self.0.get(name) else {
            return Ok(None);
        };
        Ok(Some(Box::new(Cursor::new(std::fs::read(path)?))))
    }
}
