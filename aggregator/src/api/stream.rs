//! Changes as they happen, as server-sent events.
//!
//! One task reads what was committed and says it to every browser; a browser
//! that comes late, comes back or falls behind catches up from the database by
//! the change number it saw last. So nothing is lost, however long it was away,
//! and a thousand browsers cost one query per change.

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use axum::extract::State;
use axum::http::HeaderMap;
use axum::response::sse::{Event, KeepAlive, Sse};
use axum::response::{IntoResponse, Response};
use futures_util::Stream;
use serde::Serialize;
use tokio::sync::broadcast;
use tokio::task::JoinHandle;
use utoipa::ToSchema;

use super::Api;
use super::problem::Problem;
use super::view::{AlertSummary, BoxView, CameraView};
use crate::stopping::Stopping;
use crate::store::{Change, Store, StoreError};

/// Changes read at a time.
const BATCH: u32 = 500;
/// Changes that a slow browser may be behind before it reads the database again.
const BACKLOG: usize = 2048;
/// A comment this often tells both ends that the line lives.
const HEARTBEAT: Duration = Duration::from_secs(10);

/// One change, written once for everybody.
#[derive(Debug)]
struct Item {
    number: i64,
    event: &'static str,
    data: String,
}

/// What the stream says: `event:` is `event`, `data:` is `data`.
#[derive(Debug, Serialize, ToSchema)]
#[serde(tag = "event", content = "data", rename_all = "snake_case")]
pub(super) enum StreamEvent {
    /// Said first: where the stream stands.
    Ready(Ready),
    /// An alert, as it is now.
    Alert(Box<AlertSummary>),
    /// A camera, as it is now.
    Camera(Box<CameraView>),
    /// A box, as it is now.
    Box(Box<BoxView>),
}

/// Where the stream stands.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Ready {
    /// Number of the newest change.
    change: i64,
    /// Whether nothing is missing before what follows; if not, load the lists again.
    resumed: bool,
}

impl StreamEvent {
    /// What stands after `event:`.
    fn name(&self) -> &'static str {
        match self {
            Self::Ready(_) => "ready",
            Self::Alert(_) => "alert",
            Self::Camera(_) => "camera",
            Self::Box(_) => "box",
        }
    }

    /// What stands after `data:`.
    fn data(&self) -> Result<String, serde_json::Error> {
        match self {
            Self::Ready(ready) => serde_json::to_string(ready),
            Self::Alert(alert) => serde_json::to_string(alert),
            Self::Camera(camera) => serde_json::to_string(camera),
            Self::Box(view) => serde_json::to_string(view),
        }
    }
}

impl From<Change> for StreamEvent {
    fn from(change: Change) -> Self {
        match change {
            Change::Alert(row) => Self::Alert(Box::new((*row).into())),
            Change::Camera(row) => Self::Camera(Box::new((*row).into())),
            Change::Box(row) => Self::Box(Box::new((*row).into())),
        }
    }
}

impl Item {
    fn of(change: Change) -> Result<Self, serde_json::Error> {
        let number = change.number();
        let event = StreamEvent::from(change);
        Ok(Self {
            number,
            event: event.name(),
            data: event.data()?,
        })
    }
}

fn items(changes: Vec<Change>) -> Vec<Arc<Item>> {
    changes
        .into_iter()
        .filter_map(|change| match Item::of(change) {
            Ok(item) => Some(Arc::new(item)),
            Err(error) => {
                tracing::error!(%error, "a change could not be written for the stream");
                None
            }
        })
        .collect()
}

/// Where every browser hears the same news; clones share it.
#[derive(Clone, Debug)]
pub struct Newsroom(broadcast::Sender<Arc<Item>>);

impl Newsroom {
    /// Starts telling what is committed from now on, until `stopping` turns
    /// true; the task that tells it, to be watched.
    pub fn open(store: Store, mut stopping: Stopping) -> (Self, JoinHandle<()>) {
        let (news, _) = broadcast::channel(BACKLOG);
        let room = Self(news.clone());
        let mut commits = store.watch_changes();
        let mut last = *commits.borrow();
        let telling = tokio::spawn(async move {
            loop {
                tokio::select! {
                    () = stopping.said() => return,
                    newer = commits.wait_for(|number| *number > last) => if newer.is_err() {
                        return;
                    },
                }
                // Taken before the database is read: what is committed in between
                // has a higher number and must not be skipped.
                let newest = *commits.borrow_and_update();
                match store.changes(last, BATCH).await {
                    Ok(changes) => {
                        let is_all = changes.len() < BATCH as usize;
                        last = changes.last().map_or(last, Change::number);
                        if is_all {
                            // Numbers may be given out and not used.
                            last = last.max(newest);
                        }
                        for item in items(changes) {
                            // Nobody listening is no error.
                            let _nobody = news.send(item).is_err();
                        }
                    }
                    Err(error) => {
                        tracing::error!(%error, "the stream cannot read the database; trying again");
                        tokio::time::sleep(Duration::from_secs(1)).await;
                    }
                }
            }
        });
        (room, telling)
    }
}

/// One browser's place in the stream.
struct Reader {
    api: Api,
    news: broadcast::Receiver<Arc<Item>>,
    last: i64,
    waiting: std::collections::VecDeque<Arc<Item>>,
    /// Whether the database may have more than `waiting`.
    is_behind: bool,
    /// Said first: where the stream stands.
    greeting: Option<Event>,
    _counted: Counted,
}

impl Reader {
    async fn next(&mut self) -> Option<Event> {
        if let Some(greeting) = self.greeting.take() {
            return Some(greeting);
        }
        let mut stopping = self.api.stopping.clone();
        loop {
            if let Some(item) = self.waiting.pop_front() {
                if item.number <= self.last {
                    continue;
                }
                self.last = item.number;
                return Some(
                    Event::default()
                        .id(item.number.to_string())
                        .event(item.event)
                        .data(&item.data),
                );
            }
            if self.is_behind {
                match self.catch_up().await {
                    Ok(()) => continue,
                    Err(error) => {
                        // The browser comes back by itself, with its number.
                        tracing::warn!(%error, "a stream ends because the database cannot be read");
                        return None;
                    }
                }
            }
            tokio::select! {
                () = stopping.said() => return None,
                heard = self.news.recv() => match heard {
                    Ok(item) => self.waiting.push_back(item),
                    Err(broadcast::error::RecvError::Lagged(_)) => self.is_behind = true,
                    Err(broadcast::error::RecvError::Closed) => return None,
                },
            }
        }
    }

    async fn catch_up(&mut self) -> Result<(), StoreError> {
        let changes = self.api.store.changes(self.last, BATCH).await?;
        self.is_behind = changes.len() == BATCH as usize;
        self.waiting.extend(items(changes));
        Ok(())
    }
}

/// Changes from now on, or after `Last-Event-ID` (or `?after=`).
///
/// `event:` is `alert`, `camera` or `box`, `data:` the thing as it is now, `id:`
/// the number of the change. Of a thing that changed twice while nobody listened
/// only the last is told. The first event is `ready`: `resumed` is false when
/// the number is not one of this centre, and lists should be loaded again.
#[utoipa::path(
    get, path = "/api/v1/stream", tag = "stream", operation_id = "stream",
    params(
        ("Last-Event-ID" = Option<i64>, Header, description = "The last change number that was seen"),
        ("after" = Option<i64>, Query, description = "The same, for callers that cannot set headers"),
    ),
    responses(
        (status = 200, description = "Events without end", content_type = "text/event-stream", body = StreamEvent),
        (status = 400, description = "The number is none", body = Problem, content_type = "application/problem+json"),
    )
)]
pub(super) async fn stream(
    State(api): State<Api>,
    query: axum::extract::RawQuery,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let after = seen(&headers, query.0.as_deref())?;
    // Listening begins before the database is read, so nothing falls between.
    let news = api.newsroom.0.subscribe();
    let newest = *api.store.watch_changes().borrow();
    let known = after.filter(|after| (0..=newest).contains(after));
    let ready = StreamEvent::Ready(Ready {
        change: newest,
        resumed: after.is_none() || known.is_some(),
    });
    let greeting = Event::default()
        .id(known.unwrap_or(newest).to_string())
        .event(ready.name())
        .data(ready.data().unwrap_or_default());
    let reader = Reader {
        news,
        last: known.unwrap_or(newest),
        waiting: std::collections::VecDeque::new(),
        is_behind: known.is_some(),
        greeting: Some(greeting),
        _counted: Counted::new(&api),
        api,
    };
    let mut response = Sse::new(told(reader))
        .keep_alive(KeepAlive::new().interval(HEARTBEAT).text("heartbeat"))
        .into_response();
    // Some proxies collect an answer before they pass it on.
    response.headers_mut().insert(
        "x-accel-buffering",
        axum::http::HeaderValue::from_static("no"),
    );
    Ok(response)
}

fn told(reader: Reader) -> impl Stream<Item = Result<Event, Infallible>> {
    futures_util::stream::unfold(reader, async |mut reader| {
        let event = reader.next().await?;
        Some((Ok(event), reader))
    })
}

/// The change number that the caller saw last.
fn seen(headers: &HeaderMap, query: Option<&str>) -> Result<Option<i64>, Problem> {
    let by_header = headers
        .get("last-event-id")
        .and_then(|value| value.to_str().ok());
    let by_query = query
        .into_iter()
        .flat_map(|query| query.split('&'))
        .find_map(|pair| pair.strip_prefix("after="));
    by_header
        .or(by_query)
        .filter(|text| !text.is_empty())
        .map(|text| {
            text.parse().map_err(|_| {
                Problem::bad_request(format!(
                    "`{text:.40}` is not a change number; take the `id:` of an earlier event"
                ))
            })
        })
        .transpose()
}

/// Keeps the gauge of browsers right however a stream ends.
struct Counted(Arc<crate::metrics::Metrics>);

impl Counted {
    fn new(api: &Api) -> Self {
        api.metrics.stream_clients.inc();
        Self(Arc::clone(&api.metrics))
    }
}

impl Drop for Counted {
    fn drop(&mut self) {
        self.0.stream_clients.dec();
    }
}

#[cfg(test)]
mod tests {
    use serde_json::Value;
    use utoipa::PartialSchema;

    use super::{Ready, StreamEvent};

    #[test]
    fn events_are_described_by_the_names_that_are_sent() {
        let ready = StreamEvent::Ready(Ready {
            change: 7,
            resumed: true,
        });
        let written = serde_json::to_value(&ready).unwrap();
        assert_eq!(written["event"], ready.name());
        let data: Value = serde_json::from_str(&ready.data().unwrap()).unwrap();
        assert_eq!(written["data"], data);

        let schema = serde_json::to_value(StreamEvent::schema()).unwrap();
        let names: Vec<&Value> = schema["oneOf"]
            .as_array()
            .unwrap()
            .iter()
            .map(|one| &one["properties"]["event"]["enum"][0])
            .collect();
        assert_eq!(names, ["ready", "alert", "camera", "box"]);
    }
}
