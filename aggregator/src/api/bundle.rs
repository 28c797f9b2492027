//! The signed case of an alert and its files, for whoever verifies them elsewhere.

use std::pin::Pin;

use axum::body::Body;
use axum::extract::rejection::PathRejection;
use axum::extract::{Path, State};
use axum::http::header;
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use case_bundle::manifest::CASE_FILE;
use case_bundle::removal::REMOVED_FILE;
use futures_util::{Stream, StreamExt, TryStreamExt, stream};
use protocol::EventId;

use super::Api;
use super::problem::Problem;
use super::signed_case::{refused, signed_case};
use super::{alerts, evidence};
use crate::case::{self, CaseError};

/// A tar is made of blocks (POSIX.1-2017, pax, ustar interchange format).
const BLOCK: usize = 512;

type Part = Pin<Box<dyn Stream<Item = Result<Bytes, std::io::Error>> + Send>>;

/// The signed case of an alert: `case.json` and its media, as a tar.
///
/// `aggregator verify` and `edge-agent verify` examine it offline with the box's
/// public key.
#[utoipa::path(
    get, path = "/api/v1/alerts/{id}/bundle", tag = "alerts", operation_id = "exportCase",
    params(("id" = String, Path, description = "The alert's id")),
    responses(
        (status = 200, description = "The bundle", content_type = "application/x-tar"),
        (status = 400, description = "The id is not text", body = Problem, content_type = "application/problem+json"),
        (status = 404, description = "No such alert, or its case is not here (yet)", body = Problem, content_type = "application/problem+json"),
    )
)]
pub(super) async fn export(
    State(api): State<Api>,
    id: Result<Path<String>, PathRejection>,
) -> Result<Response, Problem> {
    let id = alerts::alert_id(id)?;
    let detail = api.store.alert(id).await?;
    let detail = detail.ok_or_else(|| refused(&CaseError::NoAlert(id)))?;
    let (manifest, case) = signed_case(&api, &detail)
        .await?
        .map_err(|refusal| refused(&refusal))?;
    let mut length = file_blocks(case.len() as u64);
    let mut parts = vec![
        once(header_of(CASE_FILE, case.len() as u64)),
        once(case.clone()),
        once(padding(case.len() as u64)),
    ];
    let removed = case::removals(&manifest, &detail.evidence);
    if !removed.is_empty() {
        let list = serde_json::to_vec_pretty(&removed)
            .map_err(|error| Problem::bad_request(error.to_string()))?;
        let bytes = list.len() as u64;
        length += file_blocks(bytes);
        parts.push(once(header_of(REMOVED_FILE, bytes)));
        parts.push(once(list.into()));
        parts.push(once(padding(bytes)));
    }
    for item in &manifest.media {
        if removed.iter().any(|gone| gone.sha256 == item.sha256) {
            continue;
        }
        // Its own length, not the announced one: an archive that is sound in
        // itself lets the verifier say which file is wrong.
        let file = evidence::find(&api, item.sha256).await?;
        let bytes = api.evidence.get(item.sha256, None).await?;
        let bytes = bytes.ok_or_else(|| refused(&CaseError::NoFile(item.sha256)))?;
        parts.push(once(header_of(&item.name, file.length)));
        parts.push(Box::pin(bytes.map_err(std::io::Error::other)));
        parts.push(once(padding(file.length)));
        length += file_blocks(file.length);
    }
    parts.push(once(Bytes::from(vec![0; 2 * BLOCK])));
    length += 2 * BLOCK as u64;
    let headers = [
        (header::CONTENT_TYPE, "application/x-tar".to_owned()),
        (header::CONTENT_LENGTH, length.to_string()),
        (header::CONTENT_DISPOSITION, attachment(id)),
    ];
    let body = Body::from_stream(stream::iter(parts).flatten());
    Ok((headers, body).into_response())
}

fn attachment(id: EventId) -> String {
    format!("attachment; filename=\"case-{id}.tar\"")
}

fn once(bytes: Bytes) -> Part {
    Box::pin(stream::once(std::future::ready(Ok(bytes))))
}

fn header_of(name: &str, length: u64) -> Bytes {
    let mut header = tar::Header::new_ustar();
    // A plain name of at most 64 bytes fits the field of 100.
    if header.set_path(name).is_err() {
        tracing::error!(name, "a name does not fit a tar");
    }
    header.set_size(length);
    header.set_mode(0o644);
    header.set_cksum();
    Bytes::copy_from_slice(header.as_bytes())
}

fn padding(length: u64) -> Bytes {
    let over = usize::try_from(length % BLOCK as u64).unwrap_or(0);
    Bytes::from(vec![0; (BLOCK - over) % BLOCK])
}

/// Header, content and padding.
fn file_blocks(length: u64) -> u64 {
    BLOCK as u64 + length.next_multiple_of(BLOCK as u64)
}
