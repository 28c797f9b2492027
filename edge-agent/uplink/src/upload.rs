//! Evidence to the centre: `PUT /api/v1/evidence/<sha256>`, one file at a time
//! per thread, apart from the events so that a clip never delays one.
//!
//! A larger file goes in pieces, and goes on where an upload of it broke off, where
//! the centre knows how: it is asked first how much it has, before the file is read. Bytes go at the pace
//! that is allowed, and wait while events wait for the line.
//!
//! A file leaves the queue when the centre has it or will never take it (too
//! large; or it says three times that the hash differs while ours is right), and
//! only the centre itself can say either ([`crate::answer`]). Anything else is
//! tried again later, the least tried first; a file that is not taken itself
//! waits longer each time, so it holds up no other.

use std::collections::{BTreeMap, BTreeSet};
use std::io::ErrorKind;
use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use protocol::Digest;
use ureq::{Agent, SendBody, http};

use crate::answer::{self, Answer};
use crate::backoff::Backoff;
use crate::clock;
use crate::outbox::{Outbox, OutboxError, Upload};
use crate::pacer::{Paced, Pacer};
use crate::stride::{Stride, patience, patience_with};
use crate::trust::Trust;
use crate::uplink::Shared;

/// Refusals of a file that is sound here before it is given up.
const REFUSALS: u32 = 3;
/// Files from this length on are asked for first: a round trip costs less than
/// sending them again.
const RESUMED: u64 = 64 * 1024;
/// Times that the centre may say in a row that it has another part of a file.
const MISPLACED: u32 = 3;
/// How long the body of an upload may take.
const BODY: Duration = Duration::from_mins(10);
/// A file that is not taken itself waits at most so many times the longest delay.
const PATIENCE: u32 = 30;
/// How long to wait for a new file before looking again.
const PAUSE: Duration = Duration::from_millis(250);
/// How often expired copies are looked for.
const EXPIRY: Duration = Duration::from_mins(1);

/// Uploads from one outbox; shared by its threads.
pub(crate) struct Uploader {
    shared: Arc<Shared>,
    agent: Agent,
    base: String,
    pacer: Pacer,
    stride: Stride,
    desk: Mutex<Desk>,
}

struct Desk {
    in_hand: BTreeSet<Digest>,
    tried: BTreeMap<Digest, Tried>,
    backoff: Backoff,
    not_before: Instant,
    expired_at: Option<Instant>,
}

/// What came of one file so far.
struct Tried {
    attempts: u32,
    /// How often the centre said that its hash differs.
    refusals: u32,
    /// How much of it the centre was seen to have.
    reached: Option<usize>,
    /// Its own, where it is the file that is not taken.
    backoff: Backoff,
    not_before: Instant,
}

impl Desk {
    /// How often it was tried; `None` while somebody has it in hand or it is put off.
    fn attempts(&self, digest: &Digest) -> Option<u32> {
        let Some(tried) = self.tried.get(digest) else {
            return (!self.in_hand.contains(digest)).then_some(0);
        };
        let is_free = !self.in_hand.contains(digest) && tried.not_before <= Instant::now();
        is_free.then_some(tried.attempts)
    }
}

/// What the centre said to a piece of a file.
enum Step {
    /// Nothing more is to be sent.
    Over(Answer),
    /// So much of the file is there.
    Taken(usize),
    /// Another part of it is there: it is asked again.
    Misplaced,
}

/// From where a file goes on.
#[derive(Clone, Copy)]
struct Resumed {
    offset: usize,
    /// All of it came, and was not stored: with its last byte once more it is.
    is_complete: bool,
    /// The centre takes pieces that do not end the file.
    by_piece: bool,
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
            stride: Stride::new(),
            desk: Mutex::new(Desk {
                in_hand: BTreeSet::new(),
                tried: BTreeMap::new(),
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
                Ok(false) => self.shared.outbox.wait_for_file(self.pause()),
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
        let outbox = &self.shared.outbox;
        loop {
            let next = outbox.next_upload(|digest| self.desk().attempts(digest))?;
            let Some(next) = next else { break };
            // The other thread may have been faster.
            if self.desk().in_hand.insert(next.digest) {
                return Ok(Some(next));
            }
        }
        if outbox.next_upload(|_| Some(0))?.is_none() {
            // What could not be uploaded was given up since: nothing fails any more.
            self.shared.note_upload(None);
            self.desk().tried.clear();
        }
        Ok(None)
    }

    /// How long to wait when there is nothing to do.
    fn pause(&self) -> Duration {
        let until = self.desk().not_before;
        let left = until.saturating_duration_since(Instant::now());
        if left.is_zero() {
            PAUSE
        } else {
            left.min(PAUSE)
        }
    }

    fn upload(&self, upload: &Upload) -> Result<(), OutboxError> {
        let outbox: &Outbox = &self.shared.outbox;
        let digest = &upload.digest;
        // By the row: a copy that is there still is not read for that.
        let mut resumed = None;
        if upload.length >= RESUMED || upload.was_there {
            match self.ask(digest, upload.length) {
                Ok(here) => resumed = here,
                Err(answer) => return self.answered(upload, answer),
            }
        }
        if upload.was_there {
            outbox.mark_lost_there(digest)?;
        }
        let bytes = match outbox.read_file(digest) {
            Ok(Some(bytes)) => bytes,
            Ok(None) => {
                tracing::warn!(file = %digest, "evidence is gone from the disk; not uploaded");
                self.desk().tried.remove(digest);
                return outbox.forget(digest);
            }
            Err(e) if e.kind() == ErrorKind::InvalidData => {
                tracing::error!(file = %digest, "evidence on the disk no longer has the hash of its name; not uploaded, check the disk");
                self.desk().tried.remove(digest);
                return outbox.mark_refused(digest);
            }
            Err(error) => {
                self.failed(digest, format!("{digest}: {error}; check the disk"));
                return Ok(());
            }
        };
        let answer = self.put(upload, &bytes, resumed);
        self.answered(upload, answer)
    }

    /// Does what the centre's answer to a file asks for.
    fn answered(&self, upload: &Upload, answer: Answer) -> Result<(), OutboxError> {
        let outbox: &Outbox = &self.shared.outbox;
        let digest = &upload.digest;
        match answer {
            Answer::Has { already } => {
                outbox.mark_uploaded(digest, already)?;
                self.succeeded(digest);
            }
            Answer::HashDiffers => {
                let refusals = self.refused(digest);
                if refusals < REFUSALS {
                    self.put_off(digest, format!("the centre says that {digest} has another hash, as if it had been damaged on the way; trying again"));
                } else {
                    tracing::error!(file = %digest, "the centre keeps refusing evidence that is sound here; given up until the next start, look for a proxy that changes uploads");
                    outbox.mark_refused(digest)?;
                    self.desk().tried.remove(digest);
                }
            }
            Answer::TooLarge => {
                tracing::error!(file = %digest, bytes = upload.length, "the centre does not take evidence of this size; given up until the next start, raise its `http.max_evidence_mb` or shorten the clips");
                outbox.mark_refused(digest)?;
                self.desk().tried.remove(digest);
            }
            // Whatever broke off because of that is no failure.
            Answer::NotThis(_) | Answer::NotNow(_) if self.shared.is_stopping() => {}
            Answer::NotThis(reason) => self.put_off(digest, reason),
            Answer::NotNow(reason) => self.failed(digest, reason),
        }
        Ok(())
    }

    fn put(&self, upload: &Upload, bytes: &[u8], mut resumed: Option<Resumed>) -> Answer {
        for again in 0..MISPLACED {
            if again > 0 {
                match self.ask(&upload.digest, upload.length) {
                    Ok(here) => resumed = here,
                    Err(answer) => return answer,
                }
            }
            loop {
                if let Some(Resumed { offset, .. }) = resumed {
                    self.reached(&upload.digest, offset);
                }
                match (self.send(upload, bytes, resumed), resumed) {
                    (Step::Over(answer), _) => return answer,
                    (Step::Taken(here), Some(before)) if here > before.offset => {
                        resumed = Some(Resumed {
                            offset: here,
                            ..before
                        });
                    }
                    // A centre from before that wants it whole, and is asked no more.
                    (Step::Misplaced, Some(before)) if before.is_complete => resumed = None,
                    (Step::Taken(_) | Step::Misplaced, _) => break,
                }
                if self.shared.is_stopping() {
                    return Answer::NotNow("stopped".to_owned());
                }
            }
        }
        Answer::NotThis("the centre has another part of the file; asking again".to_owned())
    }

    /// Asks how much of a file the centre has; `None` when it does not say, as an
    /// older centre, which wants the whole file. An answer when nothing is to be sent,
    /// also where something else than a centre answers: a clip costs its owner money.
    fn ask(&self, digest: &Digest, length: u64) -> Result<Option<Resumed>, Answer> {
        let mut request = self.agent.head(self.url(digest));
        if let Some(bearer) = answer::bearer(&self.shared.settings) {
            request = request.header("Authorization", bearer);
        }
        let response = request.call().map_err(|error| unreachable(&error))?;
        if answer::has(&response, digest, length) {
            return Err(Answer::Has { already: true });
        }
        let headers = response.headers();
        match response.status().as_u16() {
            // Without a length, as behind a proxy that packs: at a PUT the centre looks itself.
            200 if answer::names(headers, digest) => Ok(None),
            status @ 200..=299 => Err(Answer::NotNow(answer::impostor(status))),
            404 | 410 if answer::is_problem(headers) => Ok(offset(headers, length)),
            status => Err(Answer::NotNow(answer::advice(status))),
        }
    }

    /// Sends a file, or what comes next of it.
    fn send(&self, upload: &Upload, bytes: &[u8], resumed: Option<Resumed>) -> Step {
        let digest = &upload.digest;
        let from = resumed.map_or(0, |resumed| resumed.offset);
        let mut rest = &bytes[from..];
        let least = answer_within(self.shared.settings.pace.connect);
        let patience = if resumed.is_some_and(|resumed| resumed.by_piece) {
            rest = &rest[..rest.len().min(self.stride.bytes())];
            patience(least)
        } else {
            patience_with(rest.len(), least)
        };
        let mut request = self
            .agent
            .put(self.url(digest))
            .config()
            .timeout_recv_response(Some(patience))
            .build()
            .content_type(&upload.media_type)
            .header("Content-Length", rest.len().to_string());
        if resumed.is_some() {
            let to = (from + rest.len()).saturating_sub(1);
            let range = format!("bytes {from}-{to}/{}", bytes.len());
            request = request.header("Content-Range", range);
        }
        if let Some(bearer) = answer::bearer(&self.shared.settings) {
            request = request.header("Authorization", bearer);
        }
        let mut body = Paced {
            rest,
            pacer: &self.pacer,
            must_yield: || self.shared.events_wait_for_the_line(),
        };
        let begun = Instant::now();
        let mut response = match request.send(SendBody::from_reader(&mut body)) {
            Ok(response) => response,
            Err(error) => {
                self.stride.failed();
                return Step::Over(unreachable(&error));
            }
        };
        let status = response.status().as_u16();
        // Whoever refuses a body need not have read it.
        if matches!(status, 201 | 202) {
            self.stride.answered(rest.len(), begun.elapsed());
        }
        match status {
            202 if resumed.is_some() => match offset(response.headers(), upload.length) {
                Some(resumed) => Step::Taken(resumed.offset),
                None => Step::Misplaced,
            },
            // Somebody else went on with it meanwhile.
            409 if resumed.is_some() => Step::Misplaced,
            200 | 201 | 204 if answer::names(response.headers(), digest) => {
                Step::Over(Answer::Has { already: false })
            }
            // An older centre does not say which file it took; asked, it does.
            200 | 201 | 204 => Step::Over(match self.ask(digest, upload.length) {
                Err(Answer::Has { .. }) => Answer::Has { already: false },
                Err(answer) => answer,
                Ok(_) => Answer::NotNow(answer::impostor(status)),
            }),
            _ => Step::Over(answer::refusal(&mut response)),
        }
    }

    fn url(&self, digest: &Digest) -> String {
        format!("{}/{digest}", self.base)
    }

    fn succeeded(&self, digest: &Digest) {
        let mut desk = self.desk();
        desk.backoff.reset();
        desk.not_before = Instant::now();
        desk.tried.remove(digest);
        drop(desk);
        self.shared
            .counters
            .uploads_done
            .fetch_add(1, Ordering::Relaxed);
        self.shared.note_upload(None);
    }

    /// It may be the line or the centre: every file waits, longer each time.
    fn failed(&self, digest: &Digest, reason: String) {
        let mut desk = self.desk();
        self.tried(&mut desk, digest).attempts += 1;
        let delay = desk.backoff.next();
        desk.not_before = Instant::now() + delay;
        drop(desk);
        self.note_failure(reason);
    }

    /// It is this file that is not taken: it waits, longer each time, and the next
    /// one has its turn.
    fn put_off(&self, digest: &Digest, reason: String) {
        let mut desk = self.desk();
        let tried = self.tried(&mut desk, digest);
        tried.attempts += 1;
        tried.not_before = Instant::now() + tried.backoff.next();
        desk.not_before = Instant::now() + self.shared.settings.pace.upload_shortest;
        drop(desk);
        self.note_failure(reason);
    }

    /// The centre has so much of a file: an attempt that brought it further did not fail.
    fn reached(&self, digest: &Digest, offset: usize) {
        let mut desk = self.desk();
        let tried = self.tried(&mut desk, digest);
        let before = tried.reached.replace(offset);
        if before.is_some_and(|before| before < offset) {
            tried.attempts = 0;
            desk.backoff.reset();
        }
    }

    fn note_failure(&self, reason: String) {
        self.shared
            .counters
            .uploads_failed
            .fetch_add(1, Ordering::Relaxed);
        self.shared.note_upload(Some(reason));
    }

    /// How often the centre has found another hash.
    fn refused(&self, digest: &Digest) -> u32 {
        let mut desk = self.desk();
        let tried = self.tried(&mut desk, digest);
        tried.refusals += 1;
        tried.refusals
    }

    fn tried<'a>(&self, desk: &'a mut Desk, digest: &Digest) -> &'a mut Tried {
        let pace = self.shared.settings.pace;
        desk.tried.entry(*digest).or_insert_with(|| Tried {
            attempts: 0,
            refusals: 0,
            reached: None,
            backoff: Backoff::new(pace.upload_shortest, pace.upload_longest * PATIENCE),
            not_before: Instant::now(),
        })
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
    Answer::NotNow(answer::explain(error))
}

/// From where the centre wants the file; `None` when it does not say.
fn offset(headers: &http::HeaderMap, length: u64) -> Option<Resumed> {
    let length = usize::try_from(length).unwrap_or(usize::MAX);
    let here: usize = headers.get("upload-offset")?.to_str().ok()?.parse().ok()?;
    Some(Resumed {
        offset: here.min(length.saturating_sub(1)),
        is_complete: here >= length,
        by_piece: headers.contains_key("upload-pieces"),
    })
}

/// How long the answer to a request without a body may take.
fn answer_within(connect: Duration) -> Duration {
    connect.max(Duration::from_secs(1)) * 3
}

/// An HTTP client that follows no redirect with a token in its hand.
pub(crate) fn agent(trust: Option<&Trust>, connect: Duration, body: Duration) -> Agent {
    let mut config = Agent::config_builder()
        .http_status_as_error(false)
        .max_redirects(0)
        .timeout_resolve(Some(connect))
        .timeout_connect(Some(connect))
        .timeout_send_body(Some(body))
        .timeout_recv_response(Some(answer_within(connect)))
        .timeout_recv_body(Some(connect))
        .max_idle_age(Duration::from_secs(10));
    if let Some(trust) = trust {
        config = config.tls_config(trust.for_https());
    }
    config.build().new_agent()
}
