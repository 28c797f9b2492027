//! What a browser may do here, and from where.
//!
//! Two attacks on a server in a control room: a page elsewhere that makes an
//! officer's browser post a decision (CSRF), and a name elsewhere that is
//! pointed at this address so that the foreign page counts as ours (DNS
//! rebinding). Against the first, the `Origin` of whatever changes something
//! must be this host; against the second, the `Host` must be an address,
//! `localhost`, or a name from the configuration.

use std::net::IpAddr;

use axum::body::Body;
use axum::extract::{Request, State};
use axum::http::{HeaderMap, HeaderName, HeaderValue, Method, Uri, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use tower_http::timeout::TimeoutBody;

use super::Api;
use super::problem::Problem;

/// Sent with every answer.
const HEADERS: [(&str, &str); 7] = [
    (
        "content-security-policy",
        "default-src 'self'; img-src 'self' data: blob:; media-src 'self' blob:; \
         worker-src 'self' blob:; object-src 'none'; base-uri 'none'; form-action 'self'; \
         frame-ancestors 'none'",
    ),
    ("x-content-type-options", "nosniff"),
    ("x-frame-options", "DENY"),
    ("referrer-policy", "no-referrer"),
    ("cross-origin-opener-policy", "same-origin"),
    ("cross-origin-resource-policy", "same-origin"),
    (
        "permissions-policy",
        "camera=(), microphone=(), geolocation=(), payment=()",
    ),
];

/// Adds the security headers.
pub(super) async fn headers(request: Request, next: Next) -> Response {
    let mut response = next.run(request).await;
    for (name, value) in HEADERS {
        response.headers_mut().insert(
            HeaderName::from_static(name),
            HeaderValue::from_static(value),
        );
    }
    response
}

/// Refuses what comes from elsewhere.
pub(super) async fn check(State(api): State<Api>, request: Request, next: Next) -> Response {
    match judge(
        request.method(),
        request.uri(),
        request.headers(),
        &api.hosts,
    ) {
        Ok(()) => next.run(request).await,
        Err(detail) => {
            tracing::warn!(path = request.uri().path(), detail, "a request was refused");
            Problem::forbidden(detail).into_response()
        }
    }
}

/// Gives up on a small body that stops coming. Evidence has its own rule, by pace.
pub(super) async fn patience(State(api): State<Api>, request: Request, next: Next) -> Response {
    let request = if request.method() == Method::POST {
        request.map(|body| Body::new(TimeoutBody::new(api.idle, Box::pin(body))))
    } else {
        request
    };
    next.run(request).await
}

fn judge(method: &Method, uri: &Uri, headers: &HeaderMap, hosts: &[String]) -> Result<(), String> {
    let path = uri.path();
    // Probes come by whatever name the network has for us, boxes with a token;
    // neither carries a person's authority.
    let is_for_machines = !path.starts_with("/api/") || path.starts_with("/api/v1/evidence/");
    let host = uri
        .authority()
        .map(axum::http::uri::Authority::as_str)
        .or_else(|| {
            headers
                .get(header::HOST)
                .and_then(|host| host.to_str().ok())
        })
        .unwrap_or_default();
    if !is_for_machines && !is_known(host, hosts) {
        return Err(format!(
            "this centre is not known as `{host:.100}`; add the name to `http.hosts` in the \
             configuration, or use the address"
        ));
    }
    if matches!(*method, Method::GET | Method::HEAD | Method::OPTIONS) {
        return Ok(());
    }
    let text = |name: HeaderName| headers.get(name).and_then(|value| value.to_str().ok());
    if let Some(origin) = text(header::ORIGIN) {
        let from = origin.split_once("://").map_or(origin, |(_, from)| from);
        if !from.eq_ignore_ascii_case(host) {
            return Err(format!(
                "a page of `{origin:.100}` may not change anything here; open the centre's own page"
            ));
        }
    }
    if matches!(
        text(HeaderName::from_static("sec-fetch-site")),
        Some("cross-site" | "same-site")
    ) {
        return Err(
            "a page of another site may not change anything here; open the centre's own page"
                .to_owned(),
        );
    }
    Ok(())
}

/// Whether a browser may come by this name: an address cannot be rebound.
fn is_known(host: &str, hosts: &[String]) -> bool {
    let name = match host.strip_prefix('[') {
        Some(rest) => rest.split(']').next().unwrap_or(rest),
        None => host.rsplit_once(':').map_or(host, |(name, _)| name),
    };
    name.parse::<IpAddr>().is_ok()
        || name.eq_ignore_ascii_case("localhost")
        || hosts.iter().any(|known| known.eq_ignore_ascii_case(name))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn verdict(method: &Method, path: &str, pairs: &[(&'static str, &str)]) -> Result<(), String> {
        let mut headers = HeaderMap::new();
        for (name, value) in pairs {
            headers.insert(*name, value.parse().unwrap());
        }
        judge(
            method,
            &path.parse().unwrap(),
            &headers,
            &["centre.hanoi.vn".to_owned()],
        )
    }

    #[test]
    fn a_foreign_page_cannot_decide() {
        let path = "/api/v1/alerts/x/acknowledge";
        let post = |pairs: &[(&'static str, &str)]| verdict(&Method::POST, path, pairs).is_ok();
        assert!(post(&[("host", "127.0.0.1:8080")]));
        assert!(post(&[
            ("host", "127.0.0.1:8080"),
            ("origin", "http://127.0.0.1:8080"),
            ("sec-fetch-site", "same-origin"),
        ]));
        assert!(!post(&[
            ("host", "127.0.0.1:8080"),
            ("origin", "http://evil.example"),
        ]));
        assert!(!post(&[
            ("host", "127.0.0.1:8080"),
            ("origin", "http://127.0.0.1:9999"),
        ]));
        assert!(!post(&[("host", "127.0.0.1:8080"), ("origin", "null")]));
        assert!(!post(&[
            ("host", "127.0.0.1:8080"),
            ("sec-fetch-site", "cross-site"),
        ]));
    }

    #[test]
    fn a_rebound_name_reads_nothing() {
        let get = |path: &str, host: &str| verdict(&Method::GET, path, &[("host", host)]).is_ok();
        for host in [
            "localhost:8080",
            "10.0.0.7",
            "[::1]:8080",
            "centre.hanoi.vn",
            "CENTRE.hanoi.vn:443",
        ] {
            assert!(get("/api/v1/alerts", host), "{host}");
        }
        for host in [
            "evil.example",
            "evil.example:8080",
            "",
            "centre.hanoi.vn.evil",
        ] {
            assert!(!get("/api/v1/alerts", host), "{host}");
        }
        assert!(get("/readyz", "aggregator:8080"), "probes come by any name");
    }
}
