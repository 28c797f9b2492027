//! What the handlers do not say of themselves, because it is not theirs: the
//! answers of the layers around them, and the list of media types.

use utoipa::openapi::path::Operation;
use utoipa::openapi::{
    Components, Content, OpenApi, Ref, RefOr, Response, ResponseBuilder, Schema,
};

use crate::evidence::MEDIA_TYPES;

/// Under this address the guard asks for no known host.
const EVIDENCE: &str = "/api/v1/evidence/";

/// Answers that several addresses share: status, name among the components, meaning.
const SHARED: [(&str, &str, &str); 4] = [
    (
        "403",
        "Forbidden",
        "The centre is not known by this name, or a page of elsewhere asks",
    ),
    ("413", "TooLarge", "The body is too large"),
    (
        "415",
        "UnsupportedMediaType",
        "The body is not `application/json`",
    ),
    (
        "503",
        "Unavailable",
        "The database or the evidence store cannot be used now; `Retry-After` says when to try again",
    ),
];

/// Which of [`SHARED`] an operation can give.
fn shared(method: &str, path: &str) -> Vec<&'static str> {
    let is_api = path.starts_with("/api/");
    let is_guarded = is_api && (!path.starts_with(EVIDENCE) || method == "PUT");
    // The stream ends where the database fails, and never begins with it.
    let asks_the_store = (is_api && path != "/api/v1/stream") || path == "/metrics";
    let mut statuses = Vec::new();
    if is_guarded {
        statuses.push("403");
    }
    if method == "POST" {
        statuses.extend(["413", "415"]);
    }
    if asks_the_store {
        statuses.push("503");
    }
    statuses
}

/// Adds all of it.
pub(super) fn complete(mut api: OpenApi) -> OpenApi {
    let components = api.components.get_or_insert_with(Components::new);
    for (_, name, meaning) in SHARED {
        let problem = Content::new(Some(Ref::from_schema_name("Problem")));
        let response = ResponseBuilder::new()
            .description(meaning)
            .content("application/problem+json", problem)
            .build();
        components
            .responses
            .insert(name.to_owned(), RefOr::T(response));
    }
    for (path, item) in &mut api.paths.paths {
        let operations = [
            ("GET", &mut item.get),
            ("HEAD", &mut item.head),
            ("PUT", &mut item.put),
            ("POST", &mut item.post),
        ];
        for (method, operation) in operations {
            if let Some(operation) = operation {
                share(operation, method, path);
                if path.starts_with(EVIDENCE) {
                    name_media_types(operation, method);
                }
            }
        }
    }
    api
}

fn share(operation: &mut Operation, method: &str, path: &str) {
    let possible = shared(method, path);
    for (status, name, meaning) in SHARED {
        if possible.contains(&status) {
            let response = if method == "HEAD" {
                RefOr::T(Response::new(meaning))
            } else {
                RefOr::Ref(Ref::from_response_name(name))
            };
            operation
                .responses
                .responses
                .entry(status.to_owned())
                .or_insert(response);
        }
    }
}

/// Says which media types a file can have, from the list that is enforced.
fn name_media_types(operation: &mut Operation, method: &str) {
    // Bytes, which in OpenAPI 3.1 is content without a schema.
    let files = || {
        MEDIA_TYPES.map(|kind| {
            (
                kind.to_owned(),
                RefOr::T(Content::new(None::<RefOr<Schema>>)),
            )
        })
    };
    if let Some(RefOr::T(body)) = &mut operation.request_body {
        body.content.clear();
        body.content.extend(files());
    }
    if method == "GET" {
        for status in ["200", "206"] {
            if let Some(RefOr::T(response)) = operation.responses.responses.get_mut(status) {
                response.content.clear();
                response.content.extend(files());
            }
        }
    }
}
