//! Errors as RFC 9457 problem details.

use axum::Json;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde::Serialize;
use utoipa::ToSchema;

use crate::evidence::EvidenceError;
use crate::store::{DecisionError, StoreError};

/// What went wrong, for a program (`type`, `status`) and for a person (`title`, `detail`).
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct Problem {
    /// What sort of problem; stays the same for ever.
    #[serde(rename = "type")]
    #[schema(example = "urn:ngatu:problem:wrong-state")]
    pub kind: String,
    /// The sort in words.
    #[schema(example = "the alert's state does not allow this")]
    pub title: String,
    /// HTTP status.
    #[schema(example = 409)]
    pub status: u16,
    /// This time, and what to do.
    pub detail: String,
}

impl Problem {
    fn new(status: StatusCode, word: &str, title: &str, detail: impl Into<String>) -> Self {
        Self {
            kind: format!("urn:ngatu:problem:{word}"),
            title: title.to_owned(),
            status: status.as_u16(),
            detail: detail.into(),
        }
    }

    /// The request is not understood.
    pub fn bad_request(detail: impl Into<String>) -> Self {
        Self::new(
            StatusCode::BAD_REQUEST,
            "bad-request",
            "the request is not understood",
            detail,
        )
    }

    /// Whether there is no such thing, or none any more.
    pub fn is_not_here(&self) -> bool {
        [StatusCode::NOT_FOUND, StatusCode::GONE].contains(
            &StatusCode::from_u16(self.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR),
        )
    }

    /// There was such a thing.
    pub fn gone(detail: impl Into<String>) -> Self {
        Self::new(
            StatusCode::GONE,
            "gone",
            "its time was over and it was removed",
            detail,
        )
    }

    /// There is no such thing.
    pub fn not_found(detail: impl Into<String>) -> Self {
        Self::new(
            StatusCode::NOT_FOUND,
            "not-found",
            "there is no such thing",
            detail,
        )
    }

    /// The caller may not do this.
    pub fn forbidden(detail: impl Into<String>) -> Self {
        Self::new(
            StatusCode::FORBIDDEN,
            "forbidden",
            "this is not allowed from there",
            detail,
        )
    }

    /// The caller must say who they are.
    pub fn unauthorised(detail: impl Into<String>) -> Self {
        Self::new(
            StatusCode::UNAUTHORIZED,
            "unauthorised",
            "a token is needed",
            detail,
        )
    }

    /// The task that was to do it ended: the centre is stopping, or has a fault.
    pub fn ended(error: &tokio::task::JoinError) -> Self {
        tracing::error!(%error, "a request was not carried out");
        Self::new(
            StatusCode::SERVICE_UNAVAILABLE,
            "unavailable",
            "the centre cannot do this now",
            "the centre is stopping, or its log says more",
        )
    }

    /// This media type is not taken here.
    pub fn unsupported_media_type(detail: impl Into<String>) -> Self {
        Self::new(
            StatusCode::UNSUPPORTED_MEDIA_TYPE,
            "unsupported-media-type",
            "this type of content is not taken here",
            detail,
        )
    }

    /// The body is larger than is taken here.
    pub fn too_large(detail: impl Into<String>) -> Self {
        Self::new(
            StatusCode::PAYLOAD_TOO_LARGE,
            "too-large",
            "the body is too large",
            detail,
        )
    }

    /// The method does not exist at this address.
    pub fn method_not_allowed(detail: impl Into<String>) -> Self {
        Self::new(
            StatusCode::METHOD_NOT_ALLOWED,
            "method-not-allowed",
            "this address does not know that method",
            detail,
        )
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let status = StatusCode::from_u16(self.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        let mut response = (status, Json(self)).into_response();
        let headers = response.headers_mut();
        headers.insert(
            header::CONTENT_TYPE,
            HeaderValue::from_static("application/problem+json"),
        );
        headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
        if status == StatusCode::SERVICE_UNAVAILABLE {
            headers.insert(header::RETRY_AFTER, HeaderValue::from_static("5"));
        }
        response
    }
}

impl From<StoreError> for Problem {
    fn from(error: StoreError) -> Self {
        tracing::error!(%error, "a request could not be answered");
        Self::new(
            StatusCode::SERVICE_UNAVAILABLE,
            "unavailable",
            "the centre cannot do this now",
            error.to_string(),
        )
    }
}

impl From<DecisionError> for Problem {
    fn from(error: DecisionError) -> Self {
        let detail = error.to_string();
        match error {
            DecisionError::NotFound(_) => Self::not_found(detail),
            DecisionError::WrongState { .. } => Self::new(
                StatusCode::CONFLICT,
                "wrong-state",
                "the alert's state does not allow this",
                detail,
            ),
            DecisionError::Lock(_) => Self::new(
                StatusCode::CONFLICT,
                "wrong-lock",
                "the evidence is locked already, or not locked",
                detail,
            ),
            DecisionError::Changed { .. } => Self::new(
                StatusCode::PRECONDITION_FAILED,
                "changed",
                "the alert has changed since you saw it",
                detail,
            ),
            DecisionError::Store(error) => error.into(),
        }
    }
}

impl From<EvidenceError> for Problem {
    fn from(error: EvidenceError) -> Self {
        let detail = error.to_string();
        match error {
            EvidenceError::TooLarge(_) => Self::too_large(detail),
            EvidenceError::WrongHash { .. } => Self::new(
                StatusCode::UNPROCESSABLE_ENTITY,
                "wrong-hash",
                "the bytes are not those of the address",
                detail,
            ),
            EvidenceError::BrokenOff(_) => Self::bad_request(detail),
            EvidenceError::Stalled(_) => Self::new(
                StatusCode::REQUEST_TIMEOUT,
                "stalled",
                "the request came too slowly",
                detail,
            ),
            EvidenceError::Misplaced { .. } => Self::new(
                StatusCode::CONFLICT,
                "misplaced",
                "the piece begins behind the end of what is here",
                detail,
            ),
            EvidenceError::Busy => Self::new(
                StatusCode::SERVICE_UNAVAILABLE,
                "unavailable",
                "the centre cannot do this now",
                detail,
            ),
            EvidenceError::Store(error) => {
                tracing::error!(%error, "the evidence store failed");
                Self::new(
                    StatusCode::SERVICE_UNAVAILABLE,
                    "unavailable",
                    "the centre cannot do this now",
                    detail,
                )
            }
        }
    }
}
