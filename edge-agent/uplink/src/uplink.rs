//! Carries an outbox to the centre, for as long as it takes.
//!
//! One thread keeps a connection to the broker and makes a new one, with
//! back-off and jitter, whenever it ends; two more upload evidence. None of
//! them is needed for an event to be safe, so nothing here can fail the agent:
//! what goes wrong is a [`UplinkStatus`] with words that say what to do.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use protocol::event::Words;
use protocol::status::{BoxStatus, CameraStatus};
use protocol::{CameraId, EventTime, topic};
use rustls::ClientConfig;
use tokio::sync::Notify;
use uuid::Uuid;

use crate::backoff::Backoff;
use crate::connection::{self, FailureKind, Hello, Version};
use crate::link::{self, Exchange};
use crate::outbox::{Outbox, OutboxStatus};
use crate::settings::{Broker, UplinkError, UplinkSettings, without_user_info};
use crate::signals::{self, Signals};
use crate::trust::Trust;
use crate::upload::Uploader;
use crate::{clock, envelope};

/// Uploads at a time: one slow clip must not hold up every still.
const UPLOADERS: usize = 2;
/// A broker that refuses us is not asked more often than this.
const REFUSED_SHORTEST: Duration = Duration::from_secs(5);

/// How the uplink is doing, for metrics and health pages.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct UplinkStatus {
    /// Whether the broker has us.
    pub connected: bool,
    /// MQTT version of the last connection.
    pub mqtt: Option<&'static str>,
    /// Since when it is connected.
    pub since: Option<EventTime>,
    /// What last went wrong with broker or receipts, and what to do; `None` once receipts come again.
    pub last_error: Option<String>,
    /// What last went wrong with uploads, and what to do; `None` once one works again.
    pub last_upload_error: Option<String>,
    /// Messages that the centre has not receipted.
    pub waiting: u64,
    /// Everything up to this sequence is at the centre, as far as this process was told.
    pub receipted_through: u64,
    /// Files not yet at the centre.
    pub uploads_waiting: u64,
    /// Files uploaded since the start.
    pub uploads_done: u64,
    /// Failed attempts to upload since the start.
    pub uploads_failed: u64,
    /// Connections made since the start.
    pub connections: u64,
    /// Connections that failed or ended since the start.
    pub failures: u64,
    /// Connections given up by the watchdog since the start.
    pub watchdog: u64,
    /// Messages sent since the start, resends included.
    pub sent: u64,
    /// Messages sent more than once within a connection.
    pub resent: u64,
    /// Times that receipts were overdue and sending began again from the lowest.
    pub rewinds: u64,
    /// Receipts received since the start.
    pub receipts: u64,
    /// Of those, for another outbox.
    pub stranger_receipts: u64,
    /// Receipts from the broker that could not be read.
    pub unreadable: u64,
    /// Messages sent with less in them because the broker takes no larger ones.
    pub shortened: u64,
    /// Messages that were larger than the broker takes in any form, and not sent.
    pub too_large: u64,
    /// Signal messages that nobody took in time.
    pub signals_dropped: u64,
    /// Signal messages that their reader refused ([`Signals::count_refused`]).
    pub signals_refused: u64,
    /// Retained signal messages refused for having no time of their own ([`Signals::count_undated`]).
    pub signals_undated: u64,
    /// The outbox's own numbers.
    pub outbox: OutboxStatus,
}

#[derive(Default)]
pub(crate) struct Counters {
    pub(crate) connections: AtomicU64,
    pub(crate) failures: AtomicU64,
    pub(crate) watchdog: AtomicU64,
    pub(crate) sent: AtomicU64,
    pub(crate) resent: AtomicU64,
    pub(crate) rewinds: AtomicU64,
    pub(crate) receipts: AtomicU64,
    pub(crate) receipted_through: AtomicU64,
    pub(crate) stranger_receipts: AtomicU64,
    pub(crate) unreadable: AtomicU64,
    pub(crate) shortened: AtomicU64,
    pub(crate) too_large: AtomicU64,
    /// Highest sequence counted in one of these two, so that a resend counts once.
    limited_through: AtomicU64,
    pub(crate) uploads_done: AtomicU64,
    pub(crate) uploads_failed: AtomicU64,
}

/// What the threads of one uplink share.
pub(crate) struct Shared {
    pub(crate) settings: UplinkSettings,
    pub(crate) outbox: Outbox,
    pub(crate) counters: Counters,
    told: Mutex<Told>,
    cameras: Mutex<BTreeMap<CameraId, (u64, CameraStatus)>>,
    pub(crate) signals: signals::Outlet,
    nudge: Notify,
    stopping: AtomicBool,
    /// Whether the broker has not acknowledged an event for a second.
    line_is_slow: AtomicBool,
    /// Until when a stop may wait for receipts.
    drain_until: Mutex<Option<Instant>>,
}

#[derive(Default)]
struct Told {
    connected_since: Option<EventTime>,
    mqtt: Option<&'static str>,
    last_error: Option<String>,
    last_upload_error: Option<String>,
    /// What the program itself said is wrong with the box.
    reported: Option<Words>,
    /// The broker's limit and the largest packet that was above it.
    limited: Option<(usize, usize)>,
}

impl Shared {
    fn told(&self) -> MutexGuard<'_, Told> {
        self.told.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Remembers what went wrong; logs it when it is new.
    pub(crate) fn note(&self, error: String) {
        let mut told = self.told();
        if told.last_error.as_ref() != Some(&error) {
            tracing::warn!(broker = %self.settings.url, "{error}");
            told.last_error = Some(error);
        }
    }

    /// The same for uploads; `None` when one worked.
    pub(crate) fn note_upload(&self, error: Option<String>) {
        let error = error.map(|error| self.settings.redacted(&error));
        let mut told = self.told();
        if told.last_upload_error != error {
            if let Some(error) = &error {
                let centre = without_user_info(&self.settings.evidence_url);
                tracing::warn!(centre, "{error}");
            } else {
                tracing::info!("no upload of evidence fails any more");
            }
            told.last_upload_error = error;
        }
    }

    pub(crate) fn connected(&self, since: EventTime, largest: usize) {
        let mut told = self.told();
        // Somebody raised the limit.
        told.limited = told.limited.filter(|(_, needed)| *needed > largest);
        tracing::info!(broker = %self.settings.url, mqtt = told.mqtt, "connected");
        told.connected_since = Some(since);
        told.last_error = None;
        self.counters.connections.fetch_add(1, Ordering::Relaxed);
    }

    /// Receipts come: whatever was wrong no longer is.
    pub(crate) fn receipts_came(&self) {
        self.told().last_error = None;
    }

    /// A message went out with less in it; whether that is new.
    pub(crate) fn shortened(&self, sequence: u64, needed: usize, largest: usize) -> bool {
        let is_new = self.limited(sequence, needed, largest);
        if is_new {
            self.counters.shortened.fetch_add(1, Ordering::Relaxed);
            tracing::warn!(broker = %self.settings.url, sequence, bytes = needed, limit = largest, "a message is larger than the broker takes and was sent with less in it; raise the broker's limit (mosquitto: `max_packet_size`)");
        }
        is_new
    }

    /// A message could not go out in any form.
    pub(crate) fn too_large(&self, sequence: u64, needed: usize, largest: usize) {
        if self.limited(sequence, needed, largest) {
            self.counters.too_large.fetch_add(1, Ordering::Relaxed);
            tracing::error!(broker = %self.settings.url, sequence, bytes = needed, limit = largest, "a message is larger than the broker takes in any form and is not sent; raise the broker's limit (mosquitto: `max_packet_size`)");
        }
    }

    fn limited(&self, sequence: u64, needed: usize, largest: usize) -> bool {
        let mut told = self.told();
        let needed = told.limited.map_or(needed, |(_, most)| most.max(needed));
        told.limited = Some((largest, needed));
        self.counters
            .limited_through
            .fetch_max(sequence, Ordering::Relaxed)
            < sequence
    }

    /// What somebody must mend, worst first.
    fn trouble(&self) -> Option<Words> {
        if let Some(trouble) = self.outbox.trouble() {
            return Some(trouble);
        }
        let told = self.told();
        if let Some(reported) = &told.reported {
            return Some(reported.clone());
        }
        if let Some((largest, needed)) = told.limited {
            return Some(Words::new(
                format!(
                    "Máy chủ MQTT chỉ nhận gói tối đa {largest} byte, có tin cần {needed}: tin bị rút gọn; hãy tăng giới hạn (mosquitto: `max_packet_size`)"
                ),
                format!(
                    "the broker takes packets of at most {largest} bytes and a message needs {needed}: messages arrive incomplete; raise its limit (mosquitto: `max_packet_size`)"
                ),
            ));
        }
        told.last_upload_error.as_ref().map(|error| {
            Words::new(
                format!("Không gửi được bằng chứng: {error}"),
                format!("evidence cannot be uploaded: {error}"),
            )
        })
    }

    pub(crate) fn box_status(&self, online: bool, since: EventTime) -> BoxStatus {
        BoxStatus {
            site: self.settings.site.clone(),
            box_id: self.settings.box_id.clone(),
            online,
            version: self.settings.version.clone(),
            at: since,
            outbox_waiting: self.outbox.waiting(),
            trouble: self.trouble(),
            outbox: self.outbox.position().ok(),
        }
    }

    /// Statuses newer than those sent in this connection.
    pub(crate) fn newer_statuses(
        &self,
        sent: &BTreeMap<CameraId, u64>,
    ) -> Vec<(CameraId, u64, CameraStatus)> {
        self.cameras
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .iter()
            .filter(|(camera, (version, _))| sent.get(camera) != Some(version))
            .map(|(camera, (version, status))| (camera.clone(), *version, status.clone()))
            .collect()
    }

    pub(crate) async fn nudged(&self) {
        self.nudge.notified().await;
    }

    /// Notes whether events are slow to get through, so that evidence makes way.
    pub(crate) fn set_slow(&self, is_slow: bool) {
        self.line_is_slow.store(is_slow, Ordering::Relaxed);
    }

    /// Whether evidence has to make way.
    pub(crate) fn events_wait_for_the_line(&self) -> bool {
        self.line_is_slow.load(Ordering::Relaxed) && !self.is_stopping()
    }

    pub(crate) fn is_stopping(&self) -> bool {
        self.stopping.load(Ordering::SeqCst)
    }

    fn drain_until(&self) -> Option<Instant> {
        *self
            .drain_until
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether a stop was asked for.
    pub(crate) fn is_draining(&self) -> bool {
        self.drain_until().is_some()
    }

    /// Whether a stop was asked for and there is nothing left to wait for, or no time.
    pub(crate) fn is_drained(&self, nothing_under_way: bool) -> bool {
        let Some(until) = self.drain_until() else {
            return false;
        };
        let nothing_left = nothing_under_way
            && self.outbox.waiting() == 0
            && (self.settings.evidence_url.is_empty()
                || self.outbox.status().evidence_waiting == 0);
        nothing_left || Instant::now() >= until
    }

    fn stop_at(&self, until: Instant) {
        *self
            .drain_until
            .lock()
            .unwrap_or_else(PoisonError::into_inner) = Some(until);
        self.nudge.notify_one();
    }

    fn stop_now(&self) {
        self.stop_at(Instant::now());
        self.stopping.store(true, Ordering::SeqCst);
        self.outbox.wake_uploaders();
    }
}

/// See the [module](self).
pub struct Uplink {
    shared: Arc<Shared>,
    signals: Signals,
    threads: Vec<JoinHandle<()>>,
}

impl Uplink {
    /// Starts the threads. A broker that is not there is not an error; wrong
    /// settings and unreadable files are.
    pub fn start(settings: UplinkSettings, outbox: Outbox) -> Result<Self, UplinkError> {
        let broker = settings.broker()?;
        let evidence = settings.evidence_base()?;
        let trust = Trust::needed(&settings, &broker)?;
        let tls = Trust::for_broker(trust.as_ref(), &broker)?;
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .max_blocking_threads(4)
            .thread_name("uplink-disk")
            .build()
            .map_err(UplinkError::Start)?;
        let (outlet, signals) = signals::channel();
        let shared = Arc::new(Shared {
            settings,
            outbox,
            counters: Counters::default(),
            told: Mutex::default(),
            cameras: Mutex::default(),
            signals: outlet,
            nudge: Notify::new(),
            stopping: AtomicBool::new(false),
            line_is_slow: AtomicBool::new(false),
            drain_until: Mutex::new(None),
        });
        let mut uplink = Self {
            shared: Arc::clone(&shared),
            signals,
            threads: Vec::new(),
        };
        let mqtt = Arc::clone(&shared);
        uplink.spawn("uplink", move || {
            runtime.block_on(keep_connected(&mqtt, &broker, tls));
            runtime.shutdown_timeout(Duration::from_secs(1));
        })?;
        if let Some(base) = evidence {
            let uploader = Arc::new(Uploader::new(shared, base, trust.as_ref()));
            for number in 0..UPLOADERS {
                let uploader = Arc::clone(&uploader);
                uplink.spawn(&format!("evidence-{number}"), move || uploader.run())?;
            }
        }
        Ok(uplink)
    }

    fn spawn(
        &mut self,
        name: &str,
        work: impl FnOnce() + Send + 'static,
    ) -> Result<(), UplinkError> {
        let thread = std::thread::Builder::new()
            .name(name.to_owned())
            .spawn(work)
            .map_err(UplinkError::Start)?;
        self.threads.push(thread);
        Ok(())
    }

    /// Publishes a camera's status, retained. The latest is kept and published
    /// again after a reconnection; one that could not be sent is replaced.
    pub fn publish_camera_status(&self, status: CameraStatus) {
        let mut cameras = self
            .shared
            .cameras
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        let version = cameras.get(&status.camera).map_or(1, |(v, _)| v + 1);
        cameras.insert(status.camera.clone(), (version, status));
        drop(cameras);
        self.shared.nudge.notify_one();
    }

    /// Messages on [`UplinkSettings::signal_topics`], and when they can no longer come.
    pub fn signals(&self) -> &Signals {
        &self.signals
    }

    /// Says in the box's status what its operator must mend, until the program ends.
    pub fn report(&self, trouble: Words) {
        self.shared.told().reported = Some(trouble);
        self.shared.nudge.notify_one();
    }

    /// How it is doing.
    pub fn status(&self) -> UplinkStatus {
        let outbox = self.shared.outbox.status();
        let told = self.shared.told();
        let counters = &self.shared.counters;
        let signals = self.shared.signals.counts();
        let count = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        UplinkStatus {
            connected: told.connected_since.is_some(),
            mqtt: told.mqtt,
            since: told.connected_since,
            last_error: told.last_error.clone(),
            last_upload_error: told.last_upload_error.clone(),
            waiting: outbox.waiting + outbox.in_memory,
            receipted_through: count(&counters.receipted_through),
            uploads_waiting: outbox.evidence_waiting,
            uploads_done: count(&counters.uploads_done),
            uploads_failed: count(&counters.uploads_failed),
            connections: count(&counters.connections),
            failures: count(&counters.failures),
            watchdog: count(&counters.watchdog),
            sent: count(&counters.sent),
            resent: count(&counters.resent),
            rewinds: count(&counters.rewinds),
            receipts: count(&counters.receipts),
            stranger_receipts: count(&counters.stranger_receipts),
            unreadable: count(&counters.unreadable),
            shortened: count(&counters.shortened),
            too_large: count(&counters.too_large),
            signals_dropped: signals.dropped,
            signals_refused: signals.refused,
            signals_undated: signals.undated,
            outbox,
        }
    }

    /// Whether one of its threads has ended by itself, which only a fault of ours can do:
    /// then something is not delivered any more.
    pub fn has_lost_a_thread(&self) -> bool {
        self.threads.iter().any(JoinHandle::is_finished)
    }

    /// Waits at most `drain` until the centre has everything, says goodbye and ends.
    /// What is left stays in the outbox for the next start.
    pub fn stop(mut self, drain: Duration) {
        let until = Instant::now() + drain;
        self.shared.stop_at(until);
        // Without a connection the MQTT thread waits for one until the time is up.
        if let Some(mqtt) = (!self.threads.is_empty()).then(|| self.threads.remove(0)) {
            join(mqtt);
        }
        // `drop` stops the uploads.
    }
}

impl Drop for Uplink {
    fn drop(&mut self) {
        self.shared.stop_now();
        for thread in self.threads.drain(..) {
            // An upload in progress cannot be called back; it ends with its
            // time-out, and half an upload does no harm at the centre.
            let deadline = Instant::now() + Duration::from_secs(2);
            while !thread.is_finished() && Instant::now() < deadline {
                std::thread::sleep(Duration::from_millis(10));
            }
            if thread.is_finished() {
                join(thread);
            }
        }
    }
}

fn join(thread: JoinHandle<()>) {
    let name = thread.thread().name().unwrap_or_default().to_owned();
    if thread.join().is_err() {
        tracing::error!(
            thread = name,
            "a thread of the uplink panicked; please report this"
        );
    }
}

/// Connects, and connects again, until stopped.
async fn keep_connected(shared: &Arc<Shared>, broker: &Broker, tls: Option<Arc<ClientConfig>>) {
    let pace = shared.settings.pace;
    let mut backoff = Backoff::new(pace.reconnect_shortest, pace.reconnect_longest);
    let mut version = Version::V5;
    let mut knows_5 = false;
    let relief = tokio::spawn(write_what_waits(Arc::clone(shared)));
    loop {
        shared.told().mqtt = Some(version.as_str());
        let exchange = Exchange::new();
        let failure = {
            let (client, mut events) = connection::open(
                version,
                Hello {
                    settings: &shared.settings,
                    broker,
                    tls: tls.clone(),
                    client_id: client_id(&shared.settings, shared.outbox.id()),
                    will: last_will(shared),
                },
            );
            tokio::select! {
                failure = link::receive(&mut events, &exchange, shared) => failure,
                failure = link::send(&client, &exchange, shared) => failure,
                () = give_up_when_stopped(shared, &exchange) => connection::Failure::passing("stopped"),
            }
        };
        shared.told().connected_since = None;
        shared.set_slow(false);
        if exchange.is_connected() {
            shared.signals.broker_lost();
        }
        if shared
            .drain_until()
            .is_some_and(|until| Instant::now() >= until)
            || shared.is_stopping()
        {
            break;
        }
        if shared.drain_until().is_some() && exchange.is_connected() && shared.outbox.waiting() == 0
        {
            break;
        }
        shared.counters.failures.fetch_add(1, Ordering::Relaxed);
        shared.note(failure.reason);
        // Who is thrown out by a namesake and comes back at once only throws it
        // out in turn: that wait grows.
        let had_us = exchange.is_connected() && failure.kind != FailureKind::TakenOver;
        knows_5 |= exchange.is_connected() && version == Version::V5;
        version = version_after(version, exchange.is_connected(), failure.kind, knows_5);
        let mut delay = if had_us {
            backoff.anew()
        } else {
            backoff.next()
        };
        if matches!(failure.kind, FailureKind::Refused | FailureKind::TakenOver) {
            delay = delay.max(REFUSED_SHORTEST.min(pace.reconnect_longest));
        }
        tokio::select! {
            () = tokio::time::sleep(delay) => {}
            () = give_up_when_stopped(shared, &exchange) => break,
        }
    }
    relief.abort();
}

/// What to speak next. 5 first after every connection, or one bad night of a network
/// would leave half of the boxes with 3.1.1; then for one try the other. A broker that
/// was heard to speak 5 is not thought old because nothing comes.
fn version_after(
    version: Version,
    was_connected: bool,
    failure: FailureKind,
    knows_5: bool,
) -> Version {
    let is_perhaps_old = match (version, failure) {
        _ if was_connected => false,
        // Whoever refuses our name or password in 3.1.1 speaks it.
        (Version::V5, FailureKind::PerhapsVersion)
        | (Version::V311, FailureKind::Refused | FailureKind::TakenOver) => true,
        (Version::V5, FailureKind::NoAnswer) => !knows_5,
        _ => false,
    };
    if is_perhaps_old {
        Version::V311
    } else {
        Version::V5
    }
}

/// Ends when a stop was asked for and, without a connection, its time is up.
async fn give_up_when_stopped(shared: &Shared, exchange: &Exchange) {
    loop {
        let is_over = shared.drain_until().is_some_and(|until| {
            // A connection gets a moment more for its goodbye.
            let grace = if exchange.is_connected() { 3 } else { 0 };
            Instant::now() >= until + Duration::from_secs(grace)
        });
        if is_over {
            return;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

/// Writes events that wait in memory as soon as the disk takes them.
async fn write_what_waits(shared: Arc<Shared>) {
    loop {
        tokio::time::sleep(Duration::from_secs(1)).await;
        let outbox = shared.outbox.clone();
        if let Err(error) = tokio::task::spawn_blocking(move || outbox.retry_in_memory()).await {
            tracing::error!(%error, "the disk worker failed");
        }
    }
}

/// As whom the outbox comes to a broker. With the outbox in it, so that two
/// boxes that were given the same id do not throw each other out in turns: both
/// are heard, and the centre refuses the second one.
pub(crate) fn client_id(settings: &UplinkSettings, outbox: Uuid) -> String {
    let outbox = outbox.simple().to_string();
    format!("ngatu-{}-{}-{:.8}", settings.site, settings.box_id, outbox)
}

fn last_will(shared: &Shared) -> Option<(String, Vec<u8>)> {
    let now = clock::now();
    let mut status = shared.box_status(false, now);
    // Whatever ails the box now need not when it vanishes.
    status.trouble = None;
    let payload = serde_json::to_vec(&envelope::of_box_status(&status, now)).ok()?;
    Some((topic::box_state(&status.site, &status.box_id), payload))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// An old broker is found by one try in two; one that knows 5 is never left for
    /// 3.1.1, however its network fails.
    #[test]
    fn a_network_that_fails_does_not_make_a_broker_old() {
        use FailureKind::{NoAnswer, Passing, PerhapsVersion, Refused};
        use Version::{V5, V311};
        for (version, was_connected, failure, knows_5, next) in [
            (V5, false, PerhapsVersion, false, V311),
            (V311, false, PerhapsVersion, false, V5),
            (V311, false, Passing, false, V5),
            (V311, false, Refused, false, V311),
            (V311, true, PerhapsVersion, false, V5),
            (V5, false, Passing, false, V5),
            (V5, true, PerhapsVersion, true, V5),
            (V5, false, NoAnswer, true, V5),
            (V5, false, NoAnswer, false, V311),
            (V311, false, NoAnswer, false, V5),
            (V5, false, PerhapsVersion, true, V311),
        ] {
            assert_eq!(
                version_after(version, was_connected, failure, knows_5),
                next
            );
        }
    }
}
