//! Evidence to the centre: `PUT /api/v1/evidence/<sha256>`, one file at a time
//! per thread, apart from the events so that a clip never delays one.
//!
//! A larger file goes on where an upload of it broke off, where the centre knows
//! how: it is asked first how much it has. Pieces go at the pace that is allowed,
//! and wait while events wait for the line.
//!
//! A file leaves the queue when the centre has it (200, 201, 204) or will
//! never take it (too large; or it says three times that the hash differs
//! while ours is right). Anything else is tried again later, the least tried
//! first, so one file that upsets the centre does not block the others.

use std::collections::{BTreeMap, BTreeSet};
use std::io::ErrorKind;
use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use protocol::Digest;
use ureq::{Agent, SendBody};

use crate::backoff::Backoff;
use crate::clock;
use crate::outbox::{Outbox, OutboxError, Upload};
use crate::pacer::{Paced, Pacer};
use crate::settings::UplinkSettings;
use crate::trust::{Trust, is_of_old_tls};
use crate::uplink::Shared;

/// Refusals of a file that is sound here before it is given up.
const REFUSALS: u32 = 3;
/// Files looked at when choosing the next.
const CHOICE: usize = 64;
/// Files from this length on are asked for first: a round trip costs less than
/// sending them again.
const RESUMED: usize = 64 * 1024;
/// How long the body of an upload may take.
const BODY: Duration = Duration::from_mins(10);
/// How often expired copies are looked for.
const EXPIRY: Duration = Duration::from_mins(1);

/// Uploads from one outbox; shared by its threads.
pub(crate) struct Uploader {
    shared: Arc<Shared>,
    agent: Agent,
    base: String,
    pacer: Pacer,
    desk: Mutex<Desk>,
}

struct Desk {
    in_hand: BTreeSet<Digest>,
    attempts: BTreeMap<Digest, u32>,
    refusals: BTreeMap<Digest, u32>,
    backoff: Backoff,
    not_before: Instant,
    expired_at: Option<Instant>,
}

impl Desk {
    /// There will be no other attempt at it.
    fn settled(&mut self, digest: &Digest) {
        self.attempts.remove(digest);
        self.refusals.remove(digest);
    }

    /// Nothing waits: what was tried and then given up for want of room is of no interest any more.
    fn forget_all(&mut self) {
        self.attempts.clear();
        self.refusals.clear();
    }
}

/// What the centre said to one file.
#[derive(Debug, PartialEq, Eq)]
enum Answer {
    Has,
    HashDiffers(u16),
    Never(u16),
    NotNow(String),
}

impl Uploader {
    pub(crate) fn new(shared: Arc<Shared>, base: String, trust: Option<&Trust>) -> Self {
        let pace = shared.settings.pace;
        let limit = shared.settings.evidence_kbit_s;
        Self {
            // At a low rate a clip takes its time, and an older centre wants it whole.
            agent: agent(
                trust,
                pace.connect,
                if limit.is_some() { BODY * 6 } else { BODY },
            ),
            base,
            pacer: Pacer::new(limit),
            desk: Mutex::new(Desk {
                in_hand: BTreeSet::new(),
                attempts: BTreeMap::new(),
                refusals: BTreeMap::new(),
                backoff: Backoff::new(pace.upload_shortest, pace.upload_longest),
                not_before: Instant::now(),
                expired_at: None,
            }),
            shared,
        }
    }

    /// Uploads until the uplink stops.
    pub(crate) fn run(&self) {
        while !self.shared.is_stopping() {
            self.expire();
            let worked = match self.take() {
                Ok(Some(upload)) => {
                    let result = self.upload(&upload);
                    self.desk().in_hand.remove(&upload.digest);
                    result.map(|()| true)
                }
                Ok(None) => Ok(false),
                Err(error) => Err(error),
            };
            match worked {
                Ok(true) => {}
                Ok(false) => self.shared.outbox.wait_for_file(Duration::from_millis(250)),
                Err(error) => {
                    self.shared.note_upload(Some(error.to_string()));
                    self.shared.outbox.wait_for_file(Duration::from_secs(1));
                }
            }
        }
    }

    /// The next file that nobody uploads yet, the least tried first.
    fn take(&self) -> Result<Option<Upload>, OutboxError> {
        if self.desk().not_before > Instant::now() {
            return Ok(None);
        }
        let waiting = self.shared.outbox.uploads(CHOICE)?;
        if waiting.is_empty() {
            // What could not be uploaded was given up since: nothing fails any more.
            self.shared.note_upload(None);
        }
        let mut desk = self.desk();
        if waiting.is_empty() {
            desk.forget_all();
        }
        let next = waiting
            .into_iter()
            .filter(|upload| !desk.in_hand.contains(&upload.digest))
            .min_by_key(|upload| desk.attempts.get(&upload.digest).copied().unwrap_or(0));
        if let Some(upload) = &next {
            desk.in_hand.insert(upload.digest);
        }
        Ok(next)
    }

    fn upload(&self, upload: &Upload) -> Result<(), OutboxError> {
        let outbox: &Outbox = &self.shared.outbox;
        let digest = &upload.digest;
        let bytes = match outbox.read_file(digest) {
            Ok(Some(bytes)) => bytes,
            Ok(None) => {
                tracing::warn!(file = %digest, "evidence is gone from the disk; not uploaded");
                self.desk().settled(digest);
                return outbox.forget(digest);
            }
            Err(e) if e.kind() == ErrorKind::InvalidData => {
                tracing::error!(file = %digest, "evidence on the disk no longer has the hash of its name; not uploaded, check the disk");
                self.desk().settled(digest);
                return outbox.mark_refused(digest);
            }
            Err(error) => {
                self.failed(digest, format!("{digest}: {error}; check the disk"));
                return Ok(());
            }
        };
        match self.put(digest, &upload.media_type, &bytes) {
            Answer::Has => {
                outbox.mark_uploaded(digest)?;
                self.succeeded(digest);
            }
            Answer::HashDiffers(status) => {
                let refusals = {
                    let mut desk = self.desk();
                    let refusals = desk.refusals.entry(*digest).or_default();
                    *refusals += 1;
                    *refusals
                };
                if refusals < REFUSALS {
                    self.failed(digest, format!("the centre says {status} to {digest}, as if it had been damaged on the way; trying again"));
                } else {
                    tracing::error!(file = %digest, status, "the centre keeps refusing evidence that is sound here; given up, look for a proxy that changes uploads");
                    outbox.mark_refused(digest)?;
                    self.desk().settled(digest);
                }
            }
            Answer::Never(status) => {
                tracing::error!(file = %digest, status, bytes = bytes.len(), "the centre does not take evidence of this size; given up, raise its limit or shorten the clips");
                outbox.mark_refused(digest)?;
                self.desk().settled(digest);
            }
            Answer::NotNow(reason) => self.failed(digest, reason),
        }
        Ok(())
    }

    fn put(&self, digest: &Digest, media_type: &str, bytes: &[u8]) -> Answer {
        let url = format!("{}/{digest}", self.base);
        let mut from = None;
        if bytes.len() >= RESUMED {
            match self.agent.head(&url).call() {
                Ok(response) if response.status() == 200 => return Answer::Has,
                // An older centre says nothing of it and wants the whole file.
                Ok(response) => from = offset(response.headers(), bytes.len()),
                Err(error) => return unreachable(&error),
            }
        }
        let rest = &bytes[from.unwrap_or(0)..];
        let mut request = self
            .agent
            .put(&url)
            .content_type(media_type)
            .header("Content-Length", rest.len().to_string());
        if let Some(from) = from {
            let (last, whole) = (bytes.len() - 1, bytes.len());
            request = request.header("Content-Range", format!("bytes {from}-{last}/{whole}"));
        }
        if let Some(bearer) = bearer(&self.shared.settings) {
            request = request.header("Authorization", bearer);
        }
        let mut body = Paced {
            rest,
            pacer: &self.pacer,
            must_yield: || self.shared.events_wait_for_the_line(),
        };
        match request.send(SendBody::from_reader(&mut body)) {
            // Somebody else went on with it meanwhile: it is asked again.
            Ok(response) if from.is_some() && response.status() == 409 => {
                Answer::NotNow("the centre has another part of the file; asking again".to_owned())
            }
            Ok(response) => answer(response.status().as_u16()),
            Err(error) => unreachable(&error),
        }
    }

    fn succeeded(&self, digest: &Digest) {
        let mut desk = self.desk();
        desk.backoff.reset();
        desk.not_before = Instant::now();
        desk.settled(digest);
        drop(desk);
        self.shared
            .counters
            .uploads_done
            .fetch_add(1, Ordering::Relaxed);
        self.shared.note_upload(None);
    }

    fn failed(&self, digest: &Digest, reason: String) {
        let mut desk = self.desk();
        *desk.attempts.entry(*digest).or_default() += 1;
        let delay = desk.backoff.next();
        desk.not_before = Instant::now() + delay;
        drop(desk);
        self.shared
            .counters
            .uploads_failed
            .fetch_add(1, Ordering::Relaxed);
        self.shared.note_upload(Some(reason));
    }

    fn expire(&self) {
        let mut desk = self.desk();
        if desk.expired_at.is_some_and(|at| at.elapsed() < EXPIRY) {
            return;
        }
        let elapsed = desk.expired_at.map(|at| at.elapsed());
        desk.expired_at = Some(Instant::now());
        drop(desk);
        match self.shared.outbox.expire(clock::now(), elapsed) {
            Ok(0) => {}
            Ok(files) => tracing::debug!(files, "copies of uploaded evidence deleted"),
            Err(error) => tracing::warn!(%error, "cannot delete copies of uploaded evidence"),
        }
    }

    fn desk(&self) -> MutexGuard<'_, Desk> {
        self.desk.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn unreachable(error: &ureq::Error) -> Answer {
    Answer::NotNow(explain(error))
}

/// What to do about a request that got no answer.
pub(crate) fn explain(error: &ureq::Error) -> String {
    let handshake = match error {
        ureq::Error::Rustls(error) => Some(error),
        ureq::Error::Io(error) => error.get_ref().and_then(|inner| inner.downcast_ref()),
        _ => None,
    };
    if handshake.is_some_and(is_of_old_tls) {
        return format!(
            "{error}; the centre's web server does not take TLS 1.3, which is all that this box speaks: allow it there (nginx: `ssl_protocols TLSv1.3`)"
        );
    }
    format!("{error}; check that the centre runs and can be reached")
}

/// From where the centre wants the file; `None` when it does not say, or more
/// than there is.
fn offset(headers: &ureq::http::HeaderMap, length: usize) -> Option<usize> {
    let offset = headers.get("upload-offset")?.to_str().ok()?;
    offset.parse().ok().filter(|offset| *offset < length)
}

fn answer(status: u16) -> Answer {
    match status {
        200 | 201 | 204 => Answer::Has,
        400 | 409 | 422 => Answer::HashDiffers(status),
        413 => Answer::Never(status),
        _ => Answer::NotNow(advice(status)),
    }
}

/// What an unexpected status means to the operator.
pub(crate) fn advice(status: u16) -> String {
    match status {
        401 | 403 => format!("the centre refuses the token ({status}); correct `evidence_token`"),
        404 | 405 => {
            format!("nothing takes evidence at this address ({status}); correct `evidence_url`")
        }
        429 => "the centre is busy (429); trying again".to_owned(),
        500..=599 => format!("the centre failed ({status}); trying again, see its log"),
        _ => format!("the centre answered {status}; check `evidence_url`"),
    }
}

pub(crate) fn bearer(settings: &UplinkSettings) -> Option<String> {
    let token = settings.evidence_token.as_ref()?;
    Some(format!("Bearer {token}"))
}

/// An HTTP client that follows no redirect with a token in its hand.
pub(crate) fn agent(trust: Option<&Trust>, connect: Duration, body: Duration) -> Agent {
    let mut config = Agent::config_builder()
        .http_status_as_error(false)
        .max_redirects(0)
        .timeout_resolve(Some(connect))
        .timeout_connect(Some(connect))
        .timeout_send_body(Some(body))
        .timeout_recv_response(Some(connect.max(Duration::from_secs(1)) * 3))
        .timeout_recv_body(Some(connect))
        .max_idle_age(Duration::from_secs(10));
    if let Some(trust) = trust {
        config = config.tls_config(trust.for_https());
    }
    config.build().new_agent()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_final_answer_takes_a_file_from_the_queue() {
        for status in [200, 201, 204] {
            assert_eq!(answer(status), Answer::Has);
        }
        for status in [400, 409, 422] {
            assert_eq!(answer(status), Answer::HashDiffers(status));
        }
        assert_eq!(answer(413), Answer::Never(413));
        for status in [301, 401, 403, 404, 408, 429, 500, 502, 503, 507] {
            assert!(matches!(answer(status), Answer::NotNow(_)), "{status}");
        }
    }
}
