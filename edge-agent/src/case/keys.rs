//! The box's keys on the disk: `keys/` in the store.
//!
//! `box-ed25519.pem` is the private key (PKCS#8, mode 0600), made on the first
//! start, or the operator's own by `store.signing_key_file`. `keys.json` is the
//! list of all public keys that the box has had, each vouched for by the one
//! before. There is no key that another box has, too, and none is ever made
//! where one was lost: that would look like a forgery later.

use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{self, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};

use anyhow::{Context as _, bail};
use case_bundle::ring::KeyPeriod;
use case_bundle::verify::CLOCK_TOLERANCE;
use case_bundle::{BoxKey, KeyRing};
use edge_uplink::Outbox;
use protocol::EventTime;
use protocol::units::Seconds;

use super::export;
use crate::config::{AgentConfig, BoxIdentity};

const FOLDER: &str = "keys";
const KEY: &str = "box-ed25519.pem";
const NEXT: &str = "box-ed25519.next.pem";
const RING: &str = "keys.json";

/// No right clock shows less to this program: 1 November 2026, before it was written, µs.
const BEFORE_THIS_PROGRAM: EventTime = EventTime::from_micros(1_793_491_200_000_000);
/// How far a clock may be corrected backwards while a box runs, as time servers do.
const CORRECTION: Seconds = Seconds(60.0);
/// How long a box that changes keys has usually been off at most.
const USUALLY_OFF: Seconds = Seconds(30.0 * 86_400.0);

/// A time that the operator gives instead of the box's clock.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Vouched {
    /// When the new key takes over.
    pub at: EventTime,
    /// Also where cases, made or to come, will not verify then.
    pub although_cases_will_not_verify: bool,
}

/// Where a box's keys are.
#[derive(Debug)]
pub struct KeyStore {
    store: PathBuf,
    folder: PathBuf,
    configured: Option<PathBuf>,
    owner: BoxIdentity,
}

impl KeyStore {
    /// Of the box that this configuration describes.
    pub fn of(config: &AgentConfig) -> Self {
        Self {
            store: config.store.dir.clone(),
            folder: config.store.dir.join(FOLDER),
            configured: config.store.signing_key_file.clone(),
            owner: config.identity.clone(),
        }
    }

    /// Of the same box, with a key of its owner's and the list in another folder: for
    /// cases that are made elsewhere.
    pub fn apart(config: &AgentConfig, store: &Path, key: &Path) -> Self {
        Self {
            store: store.to_owned(),
            folder: store.join(FOLDER),
            configured: Some(key.to_owned()),
            owner: config.identity.clone(),
        }
    }

    /// The present key and the list; both are made when the box has none yet.
    pub fn open(&self, now: EventTime) -> anyhow::Result<(BoxKey, KeyRing)> {
        self.finish_rotation()?;
        let ring = self.ring()?;
        let file = self.key_file();
        let key = if file.exists() {
            read_private(&file)?
        } else if ring.is_some() {
            bail!(
                "{}: the box's signing key is gone, and the list of its keys is there; restore the key from a \
                 backup, or move {} away to let the box begin anew with a key that nobody knows yet",
                file.display(),
                self.folder.join(RING).display()
            );
        } else if self.configured.is_some() {
            bail!(
                "{}: there is no such file; make the key with `openssl genpkey -algorithm ed25519 -out FILE`, \
                 or remove store.signing_key_file and the box makes its own",
                file.display()
            );
        } else {
            let key = fresh_key()?;
            self.make_folder()?;
            create_private(&file, &key)?;
            tracing::info!(file = %file.display(), key = %key.public().id(), "the box's signing key was made; give `edge-agent keys export` to whoever verifies");
            key
        };
        let Some(ring) = ring else {
            let ring = KeyRing::begin((&self.owner.site, &self.owner.id), &key, now);
            self.make_folder()?;
            self.write_ring(&ring)?;
            return Ok((key, ring));
        };
        if ring.owner() != Some((&self.owner.site, &self.owner.id)) {
            bail!(
                "{}: these keys are of another box; a box that is given a new name begins with new keys, \
                 move the folder away and keep it for the old cases",
                self.folder.display()
            );
        }
        if ring.present() != Some(key.public()) {
            bail!(
                "{}: this is the key {}, and the box signs with another one by {}; to change keys use \
                 `edge-agent keys rotate`, so that old cases stay verifiable",
                file.display(),
                key.public().id(),
                self.folder.join(RING).display()
            );
        }
        Ok((key, ring))
    }

    /// The list, where there is one. Makes nothing.
    pub fn ring(&self) -> anyhow::Result<Option<KeyRing>> {
        let path = self.folder.join(RING);
        match fs::read(&path) {
            Ok(text) => {
                let ring = KeyRing::parse(&text);
                Ok(Some(ring.with_context(|| path.display().to_string())?))
            }
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error).with_context(|| path.display().to_string()),
        }
    }

    /// Passes from the present key to a new one, or to that in `to`; the list after it.
    ///
    /// An agent that runs would go on with the old key, so none may. `at` is the
    /// time that the operator vouches for; without it the box's clock must agree
    /// with what the box did last. Neither may make cases that do not verify.
    pub fn rotate(
        &self,
        to: Option<&Path>,
        at: Option<Vouched>,
        now: EventTime,
    ) -> anyhow::Result<KeyRing> {
        let held = Outbox::is_in(&self.store)
            .then(|| Outbox::open(&self.store, edge_uplink::DiskBudget::default()))
            .transpose()
            .context("stop the agent first; it would go on signing with the old key")?;
        if self.ring()?.is_none() {
            bail!(
                "the box has no key yet that could be changed; the first start of the agent makes it"
            );
        }
        let newest = held.as_ref().map(Outbox::newest_time).transpose()?;
        let newest = newest.flatten();
        let from = match at {
            Some(vouched) => self.vouched(vouched, newest, now)?,
            None => believed(now, newest)?,
        };
        let (old, mut ring) = self.open(from)?;
        if self.configured.is_some() && to.is_none() {
            bail!(
                "the key comes from store.signing_key_file; make the new one with `openssl genpkey -algorithm \
                 ed25519 -out NEW.pem`, and give it with --to NEW.pem"
            );
        }
        let new = to.map_or_else(fresh_key, read_private)?;
        ring.rotate(&old, &new, from)?;
        if self.configured.is_some() {
            self.write_ring(&ring)?;
            return Ok(ring);
        }
        // First the new key, then the list that names it, then its place: a
        // crash in between is finished or undone at the next start.
        let next = self.folder.join(NEXT);
        create_private(&next, &new)?;
        self.write_ring(&ring)?;
        self.finish_rotation()?;
        Ok(ring)
    }

    /// The operator's time, unless cases of the old key or of the new one would be lost
    /// by it, or it is said that they may.
    fn vouched(
        &self,
        vouched: Vouched,
        newest: Option<EventTime>,
        now: EventTime,
    ) -> anyhow::Result<EventTime> {
        let at = vouched.at;
        if vouched.although_cases_will_not_verify {
            return Ok(at);
        }
        let way_out = "see that the date is right; if it is, and these cases may be lost, add \
                       --although-cases-will-not-verify";
        let sealed = export::sealed(&self.store)?;
        let is_lost = |time: &EventTime| *time > at + CLOCK_TOLERANCE;
        let lost = sealed.iter().filter(|time| is_lost(time)).count();
        let newest = newest.max(sealed.into_iter().max());
        if let Some(newest) = newest.filter(is_lost) {
            bail!(
                "--at {at}: this box has signed or heard of the centre at {newest}, and cases that the old key \
                 signed more than a day after {at} will not verify any more, {lost} of those that the box holds; \
                 {way_out}"
            );
        }
        // A clock that was never set says nothing against a later time.
        let latest = Some(now).filter(|now| *now >= BEFORE_THIS_PROGRAM);
        if let Some(latest) = latest.map(|now| newest.map_or(now, |newest| newest.max(now)))
            && at > latest + CLOCK_TOLERANCE
        {
            bail!(
                "--at {at}: this box has it {latest}, and cases that the new key signs until a day before {at} \
                 will not verify; {way_out}"
            );
        }
        Ok(at)
    }

    fn finish_rotation(&self) -> anyhow::Result<()> {
        let next = self.folder.join(NEXT);
        if !next.exists() {
            return Ok(());
        }
        let key = read_private(&next)?;
        let named = || next.display().to_string();
        if self.ring()?.and_then(|ring| ring.present()) == Some(key.public()) {
            fs::rename(&next, self.folder.join(KEY)).with_context(named)?;
        } else {
            fs::remove_file(&next).with_context(named)?;
        }
        sync_folder(&self.folder).with_context(named)
    }

    fn key_file(&self) -> PathBuf {
        let own = || self.folder.join(KEY);
        self.configured.clone().unwrap_or_else(own)
    }

    fn make_folder(&self) -> anyhow::Result<()> {
        let made = DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(&self.folder)
            .and_then(|()| sync_folder(&self.store));
        made.with_context(|| {
            format!(
                "{}: the folder for keys cannot be made",
                self.folder.display()
            )
        })
    }

    fn write_ring(&self, ring: &KeyRing) -> anyhow::Result<()> {
        let path = self.folder.join(RING);
        let part = self.folder.join(".keys.json.part");
        let written = (|| {
            let mut file = File::create(&part)?;
            file.write_all(&ring.to_json())?;
            file.sync_all()?;
            fs::rename(&part, &path)?;
            sync_folder(&self.folder)
        })();
        written.with_context(|| format!("{}: cannot be written", path.display()))
    }
}

/// The clock, if it agrees with the newest time that the box has written down.
///
/// From a wrong time on, the old key's cases or the new key's do not verify, and
/// that can never be mended: the old key is gone, and the list is signed.
fn believed(now: EventTime, newest: Option<EventTime>) -> anyhow::Result<EventTime> {
    let way_out = "set the clock (`timedatectl`) and try again, or give the right time with --at 2026-11-26T08:00:00Z";
    let Some(newest) = newest.filter(|newest| *newest >= BEFORE_THIS_PROGRAM) else {
        bail!(
            "this box has nothing by which its clock ({now}) can be judged, and a key that changes at a wrong \
             time makes cases that never verify; {way_out}"
        );
    };
    if now < newest - CORRECTION {
        bail!(
            "the clock of this box says {now}, and it has signed or heard of the centre at {newest}: cases from \
             after {now} would not verify any more; {way_out}"
        );
    }
    if now > newest + USUALLY_OFF {
        bail!(
            "the clock of this box says {now}, and the last that it did was at {newest}: if the clock is ahead, \
             new cases will not verify until then; {way_out}"
        );
    }
    Ok(now)
}

fn fresh_key() -> anyhow::Result<BoxKey> {
    let mut seed = [0; 32];
    getrandom::fill(&mut seed).map_err(|error| {
        anyhow::anyhow!("the system gives no random numbers for a key: {error}")
    })?;
    Ok(BoxKey::from_seed(&seed))
}

/// Reads a private key, if nobody else can.
fn read_private(path: &Path) -> anyhow::Result<BoxKey> {
    let named = || path.display().to_string();
    let mode = fs::metadata(path).with_context(named)?.permissions().mode();
    if mode & 0o077 != 0 {
        bail!(
            "{}: others can read this private key (mode {:03o}), so whoever could may have signed with it; run \
             `chmod 600 {}`, and `edge-agent keys rotate` if anybody else has an account on this box",
            path.display(),
            mode & 0o777,
            path.display()
        );
    }
    let text = fs::read_to_string(path).with_context(named)?;
    BoxKey::from_pem(&text).with_context(named)
}

/// Writes a private key, readable by its owner only from the first byte on,
/// whole or not at all, and never over another one.
fn create_private(path: &Path, key: &BoxKey) -> anyhow::Result<()> {
    let part = path.with_extension("part");
    let folder = path.parent().unwrap_or(Path::new("."));
    let written = (|| {
        match fs::remove_file(&part) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => {}
        }
        let mut file = OpenOptions::new()
            .write(true)
            .create_new(true)
            .mode(0o600)
            .open(&part)?;
        file.write_all(key.to_pem().as_bytes())?;
        file.sync_all()?;
        // A link, because a rename would replace what is there.
        fs::hard_link(&part, path)?;
        fs::remove_file(&part)?;
        sync_folder(folder)
    })();
    written.with_context(|| format!("{}: the key cannot be written", path.display()))
}

fn sync_folder(folder: &Path) -> io::Result<()> {
    File::open(folder)?.sync_all()
}

/// What `keys show` prints.
pub fn table(ring: &KeyRing) -> String {
    let row = |period: &KeyPeriod| {
        let to = period
            .to
            .map_or_else(|| "now".to_owned(), |to| to.to_string());
        let (number, id, from) = (period.number, period.public.id(), period.from);
        format!("{number}  {id}  {from}  {to}\n")
    };
    ring.periods().iter().map(row).collect::<Vec<_>>().concat()
}

/// Writes what verifiers need into `out`: the list, and each public key as PEM.
pub fn export(ring: &KeyRing, out: &Path) -> anyhow::Result<Vec<PathBuf>> {
    fs::create_dir_all(out).with_context(|| out.display().to_string())?;
    let name = ring
        .owner()
        .map_or_else(|| "box".to_owned(), |(site, id)| format!("{site}.{id}"));
    let mut written = Vec::new();
    let list = (out.join(format!("{name}.keys.json")), ring.to_json());
    let keys = ring.periods().into_iter().map(|period| {
        let file = format!("{name}.{}.pem", period.public.id());
        (out.join(file), period.public.to_pem().into_bytes())
    });
    for (path, bytes) in [list].into_iter().chain(keys) {
        fs::write(&path, bytes).with_context(|| path.display().to_string())?;
        written.push(path);
    }
    Ok(written)
}

#[cfg(test)]
mod tests;
