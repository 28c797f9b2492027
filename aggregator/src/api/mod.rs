//! The REST API, the stream, the operator's screen and the probes.
//!
//! Errors are RFC 9457 problem details that say what to do. Everything is
//! described in `/api/openapi.json`, made from the handlers themselves.

mod alerts;
mod bundle;
mod description;
mod evidence;
mod filter;
mod fleet;
mod guard;
mod leftover;
mod probes;
mod problem;
mod schema;
mod screen;
mod server;
mod signed_case;
mod stream;
pub mod view;

use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::extract::DefaultBodyLimit;
use axum::middleware::{from_fn, from_fn_with_state};
use protocol::Digest;
use tower_http::compression::CompressionLayer;
use tower_http::compression::predicate::{NotForContentType, Predicate, SizeAbove};
use utoipa::OpenApi;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::evidence::Evidence;
use crate::health::Health;
use crate::metrics::Metrics;
use crate::stopping::Stopping;
use crate::store::Store;

pub use problem::Problem;
pub use server::{Entrance, ServerSettings, serve};
pub use stream::Newsroom;

/// Largest body of a request other than an upload of evidence, in bytes.
const BODY: usize = 64 * 1024;

/// What the handlers work with; clones share it.
#[derive(Clone)]
pub struct Api {
    /// The database.
    pub store: Store,
    /// The files.
    pub evidence: Evidence,
    /// The counters.
    pub metrics: Arc<Metrics>,
    /// Whether all is well.
    pub health: Health,
    /// The stream's source.
    pub newsroom: Newsroom,
    /// SHA-256 of the token that an upload of evidence needs; `None` for none.
    pub evidence_token: Option<Digest>,
    /// Names under which browsers may come; addresses and `localhost` always may.
    pub hosts: Arc<[String]>,
    /// How long a caller may be silent in the middle of a request.
    pub idle: Duration,
    /// Turns true when the program is about to end.
    pub stopping: Stopping,
}

#[derive(OpenApi)]
#[openapi(
    info(
        title = "Ngã Tư: the centre",
        description = "Alerts from roadside boxes, their evidence, and what people decided.\n\n\
            Errors are RFC 9457 problem details (`application/problem+json`)."
    ),
    tags(
        (name = "alerts", description = "What happened, and what was decided"),
        (name = "evidence", description = "Pictures and clips, by SHA-256"),
        (name = "fleet", description = "Cameras, boxes and what they could not deliver"),
        (name = "stream", description = "Changes as they happen"),
        (name = "probes", description = "For the machine that watches this one"),
    )
)]
struct Description;

fn routes() -> OpenApiRouter<Api> {
    OpenApiRouter::with_openapi(Description::openapi())
        .routes(routes!(alerts::list))
        .routes(routes!(alerts::detail))
        .routes(routes!(alerts::acknowledge))
        .routes(routes!(alerts::resolve))
        .routes(routes!(alerts::lock))
        .routes(routes!(alerts::unlock))
        .routes(routes!(bundle::export))
        .routes(routes!(fleet::kinds))
        .routes(routes!(fleet::cameras))
        .routes(routes!(fleet::dead_letters))
        .routes(routes!(stream::stream))
        .routes(routes!(evidence::put, evidence::get, evidence::head))
        .routes(routes!(probes::healthz))
        .routes(routes!(probes::readyz))
        .routes(routes!(probes::metrics))
}

/// The description of the API, OpenAPI 3.1.
pub fn openapi() -> utoipa::openapi::OpenApi {
    description::complete(routes().into_openapi())
}

/// What boxes need to put evidence, and nothing that a person sees.
pub fn uploads(api: Api) -> Router {
    Router::new()
        .route(
            "/api/v1/evidence/{sha256}",
            axum::routing::put(evidence::put).head(evidence::head),
        )
        .layer(from_fn_with_state(api.clone(), guard::check))
        .layer(from_fn(guard::headers))
        .layer(from_fn_with_state(api.clone(), leftover::heard_out))
        .with_state(api)
}

/// Everything that is served over HTTP.
pub fn router(api: Api) -> Router {
    let (router, description) = routes().split_for_parts();
    let description = description::complete(description);
    // A stream must not wait in a compressor; pictures do not get smaller.
    let compressible = SizeAbove::new(1024)
        .and(NotForContentType::SSE)
        .and(NotForContentType::IMAGES)
        .and(NotForContentType::const_new("video/"))
        .and(NotForContentType::const_new("application/octet-stream"))
        .and(NotForContentType::const_new("application/x-tar"));
    router
        .route(
            "/api/openapi.json",
            axum::routing::get(async move || axum::Json(description)),
        )
        .fallback(screen::page)
        .method_not_allowed_fallback(screen::wrong_method)
        .layer(DefaultBodyLimit::max(BODY))
        .layer(from_fn_with_state(api.clone(), guard::patience))
        .layer(
            CompressionLayer::new()
                .gzip(true)
                .compress_when(compressible),
        )
        .layer(from_fn_with_state(api.clone(), guard::check))
        .layer(from_fn(guard::headers))
        .layer(from_fn_with_state(api.clone(), leftover::heard_out))
        .with_state(api)
}
