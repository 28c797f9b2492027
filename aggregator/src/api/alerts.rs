//! Alerts: lists, details, decisions.

use axum::Json;
use axum::extract::rejection::{JsonRejection, PathRejection, QueryRejection};
use axum::extract::{Path, Query, State};
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use protocol::EventId;

use super::filter::{self, AlertQuery};
use super::problem::Problem;
use super::signed_case::signed_case;
use super::view::{Acknowledge, AlertPage, AlertView, ClockView, Lock, Resolve};
use super::{Api, BODY};
use crate::alert::Action;
use crate::store::Decision;

/// Alerts that fit the filters, newest first.
#[utoipa::path(
    get, path = "/api/v1/alerts", tag = "alerts", operation_id = "listAlerts",
    params(AlertQuery),
    responses(
        (status = 200, description = "A page of alerts", body = AlertPage),
        (status = 400, description = "A filter is not understood", body = Problem, content_type = "application/problem+json"),
    )
)]
pub(super) async fn list(
    State(api): State<Api>,
    pairs: Result<Query<Vec<(String, String)>>, QueryRejection>,
) -> Result<Json<AlertPage>, Problem> {
    let Query(pairs) = pairs.map_err(|error| Problem::bad_request(error.body_text()))?;
    let page = api.store.alerts(filter::parse(&pairs)?).await?;
    Ok(Json(AlertPage {
        items: page.items.into_iter().map(Into::into).collect(),
        next: page.next.map(filter::cursor_text),
    }))
}

/// One alert with its explanation, evidence and history.
#[utoipa::path(
    get, path = "/api/v1/alerts/{id}", tag = "alerts", operation_id = "readAlert",
    params(("id" = String, Path, description = "The alert's id")),
    responses(
        (status = 200, description = "The alert; its `ETag` is its change number", body = AlertView),
        (status = 400, description = "The id is not text", body = Problem, content_type = "application/problem+json"),
        (status = 404, description = "No such alert", body = Problem, content_type = "application/problem+json"),
    )
)]
pub(super) async fn detail(
    State(api): State<Api>,
    id: Result<Path<String>, PathRejection>,
) -> Result<Response, Problem> {
    show(&api, alert_id(id)?).await
}

/// Takes an alert on.
///
/// With `If-Match: "<change>"` only if nothing has changed since.
#[utoipa::path(
    post, path = "/api/v1/alerts/{id}/acknowledge", tag = "alerts", operation_id = "acknowledgeAlert",
    params(
        ("id" = String, Path, description = "The alert's id"),
        ("If-Match" = Option<String>, Header, description = "The change number that was seen, quoted"),
    ),
    request_body = Acknowledge,
    responses(
        (status = 200, description = "The alert as it is now", body = AlertView),
        (status = 400, description = "The body is not understood", body = Problem, content_type = "application/problem+json"),
        (status = 404, description = "No such alert", body = Problem, content_type = "application/problem+json"),
        (status = 409, description = "It is not new", body = Problem, content_type = "application/problem+json"),
        (status = 412, description = "It has changed since", body = Problem, content_type = "application/problem+json"),
    )
)]
pub(super) async fn acknowledge(
    State(api): State<Api>,
    id: Result<Path<String>, PathRejection>,
    headers: HeaderMap,
    body: Result<Json<Acknowledge>, JsonRejection>,
) -> Result<Response, Problem> {
    let Json(body) = body.map_err(|error| unreadable(&error))?;
    let decision = decision(id, &headers, Action::Acknowledge, &body.actor, body.note)?;
    decide(&api, decision).await
}

/// Is done with an alert, for a reason.
///
/// With `If-Match: "<change>"` only if nothing has changed since.
#[utoipa::path(
    post, path = "/api/v1/alerts/{id}/resolve", tag = "alerts", operation_id = "resolveAlert",
    params(
        ("id" = String, Path, description = "The alert's id"),
        ("If-Match" = Option<String>, Header, description = "The change number that was seen, quoted"),
    ),
    request_body = Resolve,
    responses(
        (status = 200, description = "The alert as it is now", body = AlertView),
        (status = 400, description = "The body is not understood", body = Problem, content_type = "application/problem+json"),
        (status = 404, description = "No such alert", body = Problem, content_type = "application/problem+json"),
        (status = 409, description = "It is not acknowledged", body = Problem, content_type = "application/problem+json"),
        (status = 412, description = "It has changed since", body = Problem, content_type = "application/problem+json"),
    )
)]
pub(super) async fn resolve(
    State(api): State<Api>,
    id: Result<Path<String>, PathRejection>,
    headers: HeaderMap,
    body: Result<Json<Resolve>, JsonRejection>,
) -> Result<Response, Problem> {
    let Json(body) = body.map_err(|error| unreadable(&error))?;
    let action = Action::Resolve(body.reason);
    let decision = decision(id, &headers, action, &body.actor, body.note)?;
    decide(&api, decision).await
}

/// Locks an alert's evidence: no retention period removes any of it until
/// somebody releases the lock. Its box is told.
///
/// With `If-Match: "<change>"` only if nothing has changed since.
#[utoipa::path(
    post, path = "/api/v1/alerts/{id}/lock", tag = "alerts", operation_id = "lockEvidence",
    params(
        ("id" = String, Path, description = "The alert's id"),
        ("If-Match" = Option<String>, Header, description = "The change number that was seen, quoted"),
    ),
    request_body = Lock,
    responses(
        (status = 200, description = "The alert as it is now", body = AlertView),
        (status = 400, description = "The body is not understood", body = Problem, content_type = "application/problem+json"),
        (status = 404, description = "No such alert", body = Problem, content_type = "application/problem+json"),
        (status = 409, description = "Its evidence is locked already", body = Problem, content_type = "application/problem+json"),
        (status = 412, description = "It has changed since", body = Problem, content_type = "application/problem+json"),
    )
)]
pub(super) async fn lock(
    State(api): State<Api>,
    id: Result<Path<String>, PathRejection>,
    headers: HeaderMap,
    body: Result<Json<Lock>, JsonRejection>,
) -> Result<Response, Problem> {
    set_lock(&api, id, &headers, Action::Lock, body).await
}

/// Releases the lock on an alert's evidence; the retention periods begin anew.
///
/// With `If-Match: "<change>"` only if nothing has changed since.
#[utoipa::path(
    post, path = "/api/v1/alerts/{id}/unlock", tag = "alerts", operation_id = "unlockEvidence",
    params(
        ("id" = String, Path, description = "The alert's id"),
        ("If-Match" = Option<String>, Header, description = "The change number that was seen, quoted"),
    ),
    request_body = Lock,
    responses(
        (status = 200, description = "The alert as it is now", body = AlertView),
        (status = 400, description = "The body is not understood", body = Problem, content_type = "application/problem+json"),
        (status = 404, description = "No such alert", body = Problem, content_type = "application/problem+json"),
        (status = 409, description = "Its evidence is not locked", body = Problem, content_type = "application/problem+json"),
        (status = 412, description = "It has changed since", body = Problem, content_type = "application/problem+json"),
    )
)]
pub(super) async fn unlock(
    State(api): State<Api>,
    id: Result<Path<String>, PathRejection>,
    headers: HeaderMap,
    body: Result<Json<Lock>, JsonRejection>,
) -> Result<Response, Problem> {
    set_lock(&api, id, &headers, Action::Unlock, body).await
}

async fn set_lock(
    api: &Api,
    id: Result<Path<String>, PathRejection>,
    headers: &HeaderMap,
    action: Action,
    body: Result<Json<Lock>, JsonRejection>,
) -> Result<Response, Problem> {
    let Json(body) = body.map_err(|error| unreadable(&error))?;
    let decision = decision(id, headers, action, &body.actor, Some(body.reason))?;
    if decision.note.is_none() {
        return Err(Problem::bad_request(
            "`reason` must say why, in 1 to 2000 characters",
        ));
    }
    decide(api, decision).await
}

async fn decide(api: &Api, decision: Decision) -> Result<Response, Problem> {
    let id = decision.alert;
    tracing::info!(alert = %id, actor = decision.actor, action = decision.action.as_str(), "decision");
    api.store.decide(decision).await?;
    show(api, id).await
}

async fn show(api: &Api, id: EventId) -> Result<Response, Problem> {
    let detail = api.store.alert(id).await?.ok_or_else(|| {
        Problem::not_found(format!(
            "no alert {id}; it may never have reached this centre"
        ))
    })?;
    let etag = format!("\"{}\"", detail.row.change);
    // A case that cannot be read is the business of whoever exports it.
    let clock = match signed_case(api, &detail).await {
        Ok(Ok((case, _))) => Some(ClockView {
            quality: case.clock.quality,
            uncertainty_s: case.clock.uncertainty_s,
        }),
        _ => None,
    };
    let mut view = AlertView::try_from(detail).map_err(|error| {
        // It was read on the way in, so the database has changed under us.
        Problem::not_found(format!("the event of alert {id} cannot be read: {error}"))
    })?;
    view.clock = clock;
    let mut response = Json(view).into_response();
    if let Ok(etag) = HeaderValue::try_from(etag) {
        response.headers_mut().insert(header::ETAG, etag);
    }
    Ok(response)
}

pub(super) fn alert_id(id: Result<Path<String>, PathRejection>) -> Result<EventId, Problem> {
    let Path(id) = id.map_err(|error| Problem::bad_request(error.body_text()))?;
    id.parse().map_err(|_| {
        Problem::not_found(format!(
            "`{id:.80}` is not the id of an alert, which is a UUID"
        ))
    })
}

/// Checks what a person sent.
fn decision(
    id: Result<Path<String>, PathRejection>,
    headers: &HeaderMap,
    action: Action,
    actor: &str,
    note: Option<String>,
) -> Result<Decision, Problem> {
    let actor = actor.trim().to_owned();
    if actor.is_empty() || actor.chars().count() > 100 || actor.contains(char::is_control) {
        return Err(Problem::bad_request(
            "`actor` must say who decides, in 1 to 100 characters on one line",
        ));
    }
    let note = note
        .map(|note| note.trim().to_owned())
        .filter(|note| !note.is_empty());
    if note
        .as_ref()
        .is_some_and(|note| note.chars().count() > 2000)
    {
        return Err(Problem::bad_request("`note` has at most 2000 characters"));
    }
    let seen = headers
        .get(header::IF_MATCH)
        .map(|value| {
            value
                .to_str()
                .ok()
                .and_then(|text| text.trim_matches('"').parse().ok())
                .ok_or_else(|| {
                    Problem::bad_request("`If-Match` must be the alert's change number in quotes")
                })
        })
        .transpose()?;
    Ok(Decision {
        alert: alert_id(id)?,
        action,
        actor,
        note,
        seen,
    })
}

fn unreadable(error: &JsonRejection) -> Problem {
    match error {
        JsonRejection::MissingJsonContentType(_) => {
            Problem::unsupported_media_type("send `Content-Type: application/json`")
        }
        JsonRejection::BytesRejection(error) if error.status() == StatusCode::PAYLOAD_TOO_LARGE => {
            Problem::too_large(format!(
                "a decision has at most {BODY} bytes; shorten the note"
            ))
        }
        other => Problem::bad_request(other.body_text()),
    }
}
