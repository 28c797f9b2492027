//! The operator's screen, compiled into the program.
//!
//! Files with a hash in their name never change and are kept by the browser
//! for good; the page itself is asked for every time, by its ETag. An address
//! that is no file and no API is a view of the screen, which finds its way.

use axum::body::Body;
use axum::http::{HeaderMap, HeaderValue, Method, StatusCode, Uri, header};
use axum::response::{IntoResponse, Response};
use protocol::Digest;
use rust_embed::{EmbeddedFile, RustEmbed};

use super::problem::Problem;

#[derive(RustEmbed)]
#[folder = "web/dist"]
struct Screen;

/// Serves a file of the screen, or its page.
pub(super) async fn page(method: Method, uri: Uri, headers: HeaderMap) -> Response {
    let path = uri.path().trim_start_matches('/');
    if path == "api" || path.starts_with("api/") {
        let detail = format!("nothing is served at `/{path:.200}`; see /api/openapi.json");
        return Problem::not_found(detail).into_response();
    }
    if method != Method::GET && method != Method::HEAD {
        return wrong_method(method).await.into_response();
    }
    if let Some(file) = Screen::get(path) {
        return send(path, &file, &headers);
    }
    // A missing script must not be answered with a page: the browser would
    // complain of its syntax and hide the cause.
    let is_file = path
        .rsplit('/')
        .next()
        .is_some_and(|name| name.contains('.'));
    match Screen::get("index.html") {
        Some(index) if !is_file => send("index.html", &index, &headers),
        _ => Problem::not_found(format!("no file `/{path:.200}`")).into_response(),
    }
}

/// For an address that exists and a method that does not.
pub(super) async fn wrong_method(method: Method) -> Problem {
    Problem::method_not_allowed(format!(
        "{method} does nothing here; see /api/openapi.json for what does"
    ))
}

fn send(path: &str, file: &EmbeddedFile, headers: &HeaderMap) -> Response {
    let etag = format!("\"{}\"", Digest(file.metadata.sha256_hash()));
    let cache = if is_hashed(path) {
        "public, max-age=31536000, immutable"
    } else {
        "no-cache"
    };
    let is_known = headers
        .get(header::IF_NONE_MATCH)
        .and_then(|value| value.to_str().ok())
        .is_some_and(|known| known.split(',').any(|one| one.trim() == etag));
    let mut response = if is_known {
        StatusCode::NOT_MODIFIED.into_response()
    } else {
        let mut response = Body::from(file.data.clone().into_owned()).into_response();
        let kind = file.metadata.mimetype();
        let kind = if kind.starts_with("text/") {
            format!("{kind}; charset=utf-8")
        } else {
            kind.to_owned()
        };
        if let Ok(kind) = HeaderValue::try_from(kind) {
            response.headers_mut().insert(header::CONTENT_TYPE, kind);
        }
        response
    };
    let headers = response.headers_mut();
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static(cache));
    if let Ok(etag) = HeaderValue::try_from(etag) {
        headers.insert(header::ETAG, etag);
    }
    response
}

/// Whether the bundler put a hash into the name: `app-4RJQ5XKZ.js`.
fn is_hashed(path: &str) -> bool {
    let name = path.rsplit('/').next().unwrap_or(path);
    let stem = name.split('.').next().unwrap_or(name);
    stem.rsplit_once('-').is_some_and(|(_, hash)| {
        hash.len() >= 8
            && hash.chars().all(|c| c.is_ascii_alphanumeric() || c == '_')
            && hash
                .chars()
                .any(|c| c.is_ascii_digit() || c.is_ascii_uppercase())
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_names_with_a_hash_are_kept_for_good() {
        for (path, hashed) in [
            ("assets/app-4RJQ5XKZ.js", true),
            ("assets/inter-vietnamese-BlZ2aP3x.woff2", true),
            ("index.html", false),
            ("favicon.svg", false),
            ("inter-vietnamese.woff2", false),
            ("service-worker.js", false),
        ] {
            assert_eq!(is_hashed(path), hashed, "{path}");
        }
    }
}
