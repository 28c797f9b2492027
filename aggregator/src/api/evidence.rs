//! Evidence in and out, by SHA-256.

use std::ops::Range;

use axum::body::Body;
use axum::extract::rejection::PathRejection;
use axum::extract::{Path, Request, State};
use axum::http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use protocol::Digest;
use sha2::{Digest as _, Sha256};

use super::Api;
use super::problem::Problem;
use crate::clock;
use crate::evidence::{EvidenceError, MEDIA_TYPES, Piece};
use crate::store::EvidenceFile;

/// Stores a file, once. Repeating it does no harm. With `Content-Range` it goes
/// on with an upload that broke off, from where `Upload-Offset` of a HEAD says, or
/// from before that.
#[utoipa::path(
    put, path = "/api/v1/evidence/{sha256}", tag = "evidence", operation_id = "storeEvidence",
    params(
        ("sha256" = String, Path, description = "SHA-256 of the body, 64 hex digits"),
        ("Authorization" = Option<String>, Header, description = "`Bearer <token>`, where the centre asks for one"),
        ("Content-Range" = Option<String>, Header, description = "`bytes FIRST-LAST/LENGTH`, when the body is a piece of the file that goes on where `Upload-Offset` says"),
    ),
    request_body(content = Vec<u8>, description = "The file itself, with its media type", content_type = "image/jpeg"),
    responses(
        (status = 200, description = "It was here already; `ETag` is its hash"),
        (status = 201, description = "It is stored; `ETag` is its hash, and an answer without it is not the centre's"),
        (status = 202, description = "The piece is kept; `Upload-Offset` says how much is here"),
        (status = 400, description = "The address is no SHA-256, or the upload broke off", body = Problem, content_type = "application/problem+json"),
        (status = 401, description = "The token is missing or wrong", body = Problem, content_type = "application/problem+json"),
        (status = 408, description = "The body came too slowly", body = Problem, content_type = "application/problem+json"),
        (status = 409, description = "The piece begins behind the end of what is here; `Upload-Offset` says where that is", body = Problem, content_type = "application/problem+json"),
        (status = 413, description = "It is too large", body = Problem, content_type = "application/problem+json"),
        (status = 415, description = "Its media type is not taken", body = Problem, content_type = "application/problem+json"),
        (status = 422, description = "The body has another SHA-256", body = Problem, content_type = "application/problem+json"),
        (status = 503, description = "As many files are being stored as the centre stores at a time", body = Problem, content_type = "application/problem+json"),
    )
)]
pub(super) async fn put(
    State(api): State<Api>,
    name: Result<Path<String>, PathRejection>,
    request: Request,
) -> Result<Response, Problem> {
    authorise(&api, request.headers())?;
    let sha256 = digest(name)?;
    let media_type = media_type(request.headers())?;
    let piece = request.headers().get(header::CONTENT_RANGE).map(piece);
    if let Some(file) = api.store.file(sha256).await?
        && is_here(&api, &file).await?
    {
        return Ok(named(sha256, StatusCode::OK));
    }
    let piece = match piece.transpose()? {
        Some(piece) => Some(piece),
        None => whole(request.headers()),
    };
    // In a task of its own: a sender that hangs up while its file is made safe must
    // not undo that. Its body ends by itself.
    let body = request.into_body();
    tokio::spawn(take(api, sha256, media_type, piece, body))
        .await
        .map_err(|error| Problem::ended(&error))?
}

/// Stores what comes, and has the database know of it.
async fn take(
    api: Api,
    sha256: Digest,
    media_type: String,
    piece: Option<Piece>,
    body: Body,
) -> Result<Response, Problem> {
    // Also for a file without its row, or a row without its file: after this
    // both are there, and the bytes are the ones of the name.
    let body = body.into_data_stream();
    let stored = match piece {
        None => api.evidence.put(sha256, body).await?,
        Some(piece) => match api.evidence.put_piece(sha256, piece, body).await {
            Ok(Some(stored)) => stored,
            Ok(None) => return Ok(at_offset(&api, sha256, StatusCode::ACCEPTED)),
            Err(error @ EvidenceError::Misplaced { .. }) => {
                return Ok(at_offset(&api, sha256, Problem::from(error)));
            }
            Err(error) => return Err(error.into()),
        },
    };
    let length = stored.length;
    api.store
        .file_stored(EvidenceFile {
            sha256,
            length,
            media_type,
            stored_at: clock::now(),
        })
        .await?;
    drop(stored);
    api.metrics.evidence_files.inc();
    api.metrics.evidence_bytes.inc_by(length);
    Ok(named(sha256, StatusCode::CREATED))
}

/// An answer that says of which file it is, which no proxy in between can guess.
fn named(sha256: Digest, status: StatusCode) -> Response {
    let tag = format!("\"{sha256}\"");
    (status, [(header::ETAG, tag)]).into_response()
}

/// How much of a file that is not whole is here.
const UPLOAD_OFFSET: HeaderName = HeaderName::from_static("upload-offset");

/// That pieces need not end the file; earlier centres took only the whole rest.
const UPLOAD_PIECES: HeaderName = HeaderName::from_static("upload-pieces");

/// An answer that says how much of the file is here.
fn at_offset(api: &Api, sha256: Digest, answer: impl IntoResponse) -> Response {
    let mut response = answer.into_response();
    let offset = HeaderValue::from(api.evidence.offset(sha256));
    let headers = response.headers_mut();
    headers.insert(UPLOAD_OFFSET, offset);
    headers.insert(UPLOAD_PIECES, HeaderValue::from_static("any"));
    response
}

/// Reads `Content-Range: bytes FIRST-LAST/LENGTH`.
fn piece(range: &HeaderValue) -> Result<Piece, Problem> {
    let read = || {
        let range = range.to_str().ok()?.strip_prefix("bytes ")?;
        let (place, whole) = range.split_once('/')?;
        let (first, last) = place.split_once('-')?;
        let (from, last) = (first.parse::<u64>().ok()?, last.parse::<u64>().ok()?);
        let whole = whole.parse::<u64>().ok()?;
        let end = last.checked_add(1)?;
        (from < end && end <= whole).then_some(Piece { from, end, whole })
    };
    read().ok_or_else(|| {
        Problem::bad_request(
            "Content-Range is `bytes FIRST-LAST/LENGTH`, with FIRST at most LAST, and LAST below LENGTH",
        )
    })
}

/// A body without a range that says how long it is: the file in one piece.
fn whole(headers: &HeaderMap) -> Option<Piece> {
    let length = headers.get(header::CONTENT_LENGTH)?;
    let whole: u64 = length.to_str().ok()?.parse().ok()?;
    (whole > 0).then_some(Piece {
        from: 0,
        end: whole,
        whole,
    })
}

/// Whether a file is here.
#[utoipa::path(
    head, path = "/api/v1/evidence/{sha256}", tag = "evidence", operation_id = "probeEvidence",
    params(("sha256" = String, Path, description = "64 hex digits")),
    responses(
        (status = 200, description = "It is, whole"),
        (status = 400, description = "The address is no SHA-256"),
        (status = 404, description = "It is not; `Upload-Offset` says how much of it is, `Upload-Pieces: any` that any piece is taken"),
    )
)]
pub(super) async fn head(
    State(api): State<Api>,
    name: Result<Path<String>, PathRejection>,
) -> Result<Response, Problem> {
    let sha256 = digest(name)?;
    let file = match find(&api, sha256).await {
        Ok(file) => file,
        // Also one that retention has removed: whoever asks wants to send it.
        Err(problem) if problem.is_not_here() => {
            let absent = absent(sha256);
            return Ok(at_offset(&api, sha256, absent));
        }
        Err(problem) => return Err(problem),
    };
    let mut response = StatusCode::OK.into_response();
    describe(response.headers_mut(), &file, file.length);
    Ok(response)
}

/// A file, whole or one range of bytes of it.
#[utoipa::path(
    get, path = "/api/v1/evidence/{sha256}", tag = "evidence", operation_id = "readEvidence",
    params(
        ("sha256" = String, Path, description = "64 hex digits"),
        ("Range" = Option<String>, Header, description = "`bytes=FIRST-LAST`"),
    ),
    responses(
        (status = 200, description = "The file, with the media type that it was stored with"),
        (status = 206, description = "The part that was asked for"),
        (status = 304, description = "The caller has it"),
        (status = 400, description = "The address is no SHA-256", body = Problem, content_type = "application/problem+json"),
        (status = 404, description = "It is not here (yet)", body = Problem, content_type = "application/problem+json"),
        (status = 410, description = "Retention has removed it", body = Problem, content_type = "application/problem+json"),
        (status = 416, description = "There is no such part"),
    )
)]
pub(super) async fn get(
    State(api): State<Api>,
    name: Result<Path<String>, PathRejection>,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let file = find(&api, digest(name)?).await?;
    let etag = format!("\"{}\"", file.sha256);
    if headers
        .get(header::IF_NONE_MATCH)
        .is_some_and(|known| known.as_bytes() == etag.as_bytes())
    {
        return Ok(StatusCode::NOT_MODIFIED.into_response());
    }
    let asked = headers
        .get(header::RANGE)
        .and_then(|range| range.to_str().ok())
        .map_or(Part::Whole, |range| part(range, file.length));
    let range = match asked {
        Part::Whole => None,
        Part::Range(range) => Some(range),
        Part::Missing => {
            let whole = format!("bytes */{}", file.length);
            let headers = [(header::CONTENT_RANGE, whole)];
            return Ok((StatusCode::RANGE_NOT_SATISFIABLE, headers).into_response());
        }
    };
    let length = range.as_ref().map_or(file.length, |r| r.end - r.start);
    let stream = api
        .evidence
        .get(file.sha256, range.clone())
        .await?
        .ok_or_else(|| absent(file.sha256))?;
    let mut response = Body::from_stream(stream).into_response();
    describe(response.headers_mut(), &file, length);
    if let Some(range) = range {
        *response.status_mut() = StatusCode::PARTIAL_CONTENT;
        let part = format!("bytes {}-{}/{}", range.start, range.end - 1, file.length);
        if let Ok(part) = HeaderValue::try_from(part) {
            response.headers_mut().insert(header::CONTENT_RANGE, part);
        }
    }
    Ok(response)
}

pub(super) async fn find(api: &Api, sha256: Digest) -> Result<EvidenceFile, Problem> {
    match api.store.file(sha256).await? {
        Some(file) if is_here(api, &file).await? => Ok(file),
        _ => match api.store.removed(sha256).await? {
            Some(removed) => Err(Problem::gone(crate::evidence::removal(sha256, &removed))),
            None => Err(absent(sha256)),
        },
    }
}

/// Whether the file that the database knows is really there, whole. Somebody
/// may have removed it, or restored the database without the folder: its box
/// must not be told to forget what nobody has.
async fn is_here(api: &Api, file: &EvidenceFile) -> Result<bool, Problem> {
    let found = api.evidence.length(file.sha256).await?;
    let is_here = found == Some(file.length);
    if !is_here {
        tracing::warn!(
            sha256 = %file.sha256,
            expected = file.length,
            found,
            "a stored file of evidence is missing or damaged; it is taken again if its box sends it"
        );
    }
    Ok(is_here)
}

fn absent(sha256: Digest) -> Problem {
    Problem::not_found(format!(
        "file {sha256} is not here; its box may still be uploading it, unless the alert says that it will not come"
    ))
}

/// Which part of a file is asked for.
#[derive(Debug, PartialEq, Eq)]
enum Part {
    /// All of it; also for what we do not do: several ranges, other units.
    Whole,
    /// These bytes, the end exclusive.
    Range(Range<u64>),
    /// One that the file does not have.
    Missing,
}

/// Reads a `Range` header.
fn part(range: &str, length: u64) -> Part {
    let Some((first, last)) = range
        .strip_prefix("bytes=")
        .and_then(|range| range.split_once('-'))
    else {
        return Part::Whole;
    };
    let range = match (first.parse::<u64>().ok(), last.parse::<u64>().ok()) {
        (Some(first), None) if last.is_empty() => first..length,
        (Some(first), Some(last)) => first..last.saturating_add(1).min(length),
        (None, Some(count)) if first.is_empty() => length.saturating_sub(count)..length,
        _ => return Part::Whole,
    };
    if range.is_empty() {
        Part::Missing
    } else {
        Part::Range(range)
    }
}

/// What a browser must know of a file. The content never changes, so it may be kept.
fn describe(headers: &mut HeaderMap, file: &EvidenceFile, length: u64) {
    let mut set = |name, value: &str| {
        if let Ok(value) = HeaderValue::try_from(value) {
            headers.insert(name, value);
        }
    };
    set(header::CONTENT_TYPE, &file.media_type);
    set(header::CONTENT_LENGTH, &length.to_string());
    set(header::ETAG, &format!("\"{}\"", file.sha256));
    set(header::ACCEPT_RANGES, "bytes");
    set(
        header::CACHE_CONTROL,
        "private, max-age=31536000, immutable",
    );
    if file.media_type == "application/octet-stream" {
        set(header::CONTENT_DISPOSITION, "attachment");
    }
}

fn digest(name: Result<Path<String>, PathRejection>) -> Result<Digest, Problem> {
    let Path(name) = name.map_err(|error| Problem::bad_request(error.body_text()))?;
    name.parse()
        .map_err(|error: protocol::evidence::NotADigest| Problem::bad_request(error.to_string()))
}

fn media_type(headers: &HeaderMap) -> Result<String, Problem> {
    let said = headers
        .get(header::CONTENT_TYPE)
        .and_then(|value| value.to_str().ok())
        .unwrap_or("application/octet-stream");
    let bare = said.split(';').next().unwrap_or(said).trim();
    MEDIA_TYPES
        .iter()
        .find(|known| known.eq_ignore_ascii_case(bare))
        .map(|known| (*known).to_owned())
        .ok_or_else(|| {
            Problem::unsupported_media_type(format!(
                "`{bare:.60}` is not stored here; there are {}",
                MEDIA_TYPES.join(", ")
            ))
        })
}

fn authorise(api: &Api, headers: &HeaderMap) -> Result<(), Problem> {
    let Some(expected) = api.evidence_token else {
        return Ok(());
    };
    let given = headers
        .get(header::AUTHORIZATION)
        .and_then(|value| value.to_str().ok())
        .and_then(|value| value.strip_prefix("Bearer "))
        .unwrap_or_default();
    // Hashes are compared, so how long it takes tells nothing of the token.
    if Sha256::digest(given.as_bytes())[..] == expected.0 {
        Ok(())
    } else {
        Err(Problem::unauthorised(
            "send `Authorization: Bearer <token>` with the token of this centre's \
             `http.evidence_token_file`",
        ))
    }
}

#[cfg(test)]
mod tests {
    use super::{Part, part};

    #[test]
    fn one_range_is_understood_and_others_are_ignored() {
        for (text, expected) in [
            ("bytes=0-9", Part::Range(0..10)),
            ("bytes=90-", Part::Range(90..100)),
            ("bytes=90-1000", Part::Range(90..100)),
            ("bytes=-10", Part::Range(90..100)),
            ("bytes=100-", Part::Missing),
            ("bytes=9-3", Part::Missing),
            ("bytes=0-1,5-6", Part::Whole),
            ("lines=1-2", Part::Whole),
            ("bytes=a-b", Part::Whole),
        ] {
            assert_eq!(part(text, 100), expected, "{text}");
        }
    }
}
