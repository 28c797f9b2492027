//! Cameras, boxes, kinds, and what could not be taken in.

use std::collections::BTreeMap;

use axum::Json;
use axum::extract::State;

use super::Api;
use super::problem::Problem;
use super::view::{Cameras, DeadLetterView, DeadLetters, KindView, Kinds};

/// How many dead letters are shown.
const SHOWN: u32 = 200;

/// Every camera and box that ever spoke, as it is now.
#[utoipa::path(
    get, path = "/api/v1/cameras", tag = "fleet", operation_id = "listCameras",
    responses((status = 200, description = "Cameras and boxes", body = Cameras))
)]
pub(super) async fn cameras(State(api): State<Api>) -> Result<Json<Cameras>, Problem> {
    let (cameras, boxes) = (api.store.cameras().await?, api.store.boxes().await?);
    Ok(Json(Cameras {
        items: cameras.into_iter().map(Into::into).collect(),
        boxes: boxes.into_iter().map(Into::into).collect(),
    }))
}

/// How many alerts there are of each kind in each state.
#[utoipa::path(
    get, path = "/api/v1/kinds", tag = "alerts", operation_id = "countKinds",
    responses((status = 200, description = "Every kind that ever came", body = Kinds))
)]
pub(super) async fn kinds(State(api): State<Api>) -> Result<Json<Kinds>, Problem> {
    let mut kinds: BTreeMap<String, BTreeMap<String, u64>> = BTreeMap::new();
    for row in api.store.kinds().await? {
        kinds
            .entry(row.kind)
            .or_default()
            .insert(row.state.as_str().to_owned(), row.count);
    }
    let items = kinds
        .into_iter()
        .map(|(kind, states)| KindView {
            kind,
            count: states.values().sum(),
            states,
        })
        .collect();
    Ok(Json(Kinds { items }))
}

/// The newest messages that could not be taken in, with the reason.
#[utoipa::path(
    get, path = "/api/v1/dead-letters", tag = "fleet", operation_id = "listDeadLetters",
    responses((status = 200, description = "At most 200, newest first", body = DeadLetters))
)]
pub(super) async fn dead_letters(State(api): State<Api>) -> Result<Json<DeadLetters>, Problem> {
    let rows = api.store.dead_letters(SHOWN).await?;
    let items = rows
        .into_iter()
        .map(|row| DeadLetterView {
            received_at: row.received_at,
            topic: row.topic,
            reason: row.reason,
            detail: row.detail,
            length: row.length,
            head: String::from_utf8_lossy(&row.head).into_owned(),
        })
        .collect();
    Ok(Json(DeadLetters { items }))
}
