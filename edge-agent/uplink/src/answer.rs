//! What an answer over HTTP says of a file, and whether it is the centre that says so.
//!
//! Between a box and its centre stand proxies, captive portals and pages that
//! say that the month's data is used up. Any of them may answer 200 to what it
//! does not know, or 400 and 413 for reasons of its own. So nothing is final
//! that does not bear the centre's mark: that it has a file, by the file's hash
//! in `ETag`; that it will never take one, by the type of its problem
//! (RFC 9457). Everything else is tried again.

use protocol::Digest;
use ureq::http::{HeaderMap, Response};
use ureq::{Body, http};

use crate::settings::UplinkSettings;
use crate::trust::is_of_old_tls;

/// What the centre said to one file.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Answer {
    /// It has it.
    Has {
        /// It had it before it was sent.
        already: bool,
    },
    /// What came has another hash.
    HashDiffers,
    /// It is larger than the centre ever takes.
    TooLarge,
    /// Something about this one file; another one may well be taken.
    NotThis(String),
    /// Nothing is taken now.
    NotNow(String),
}

/// How a problem of the centre is typed; the same for ever.
const PROBLEM: &str = "urn:ngatu:problem:";
/// How much of a refusal is read to find its type.
const PROBLEM_BYTES: u64 = 64 * 1024;

/// Whether the answer names this very file, as only somebody does who has it.
/// A proxy that packs on the way makes the tag a weak one.
pub(crate) fn names(headers: &HeaderMap, digest: &Digest) -> bool {
    let tag = headers
        .get(http::header::ETAG)
        .and_then(|tag| tag.to_str().ok());
    tag.is_some_and(|tag| {
        let tag = tag.strip_prefix("W/").unwrap_or(tag);
        tag.strip_prefix('"').and_then(|tag| tag.strip_suffix('"')) == Some(&digest.to_string())
    })
}

/// Whether the answer to a HEAD says that this file is there, all of it.
pub(crate) fn has(response: &Response<Body>, digest: &Digest, length: u64) -> bool {
    let said = response.headers().get(http::header::CONTENT_LENGTH);
    let said = said.and_then(|length| length.to_str().ok()?.parse().ok());
    response.status() == 200 && names(response.headers(), digest) && said == Some(length)
}

/// Reads a refusal, any answer to a PUT but 200, 201 and 204.
pub(crate) fn refusal(response: &mut Response<Body>) -> Answer {
    let status = response.status().as_u16();
    let problem = problem(response);
    match (status, problem.as_deref()) {
        (_, Some("wrong-hash")) => Answer::HashDiffers,
        (_, Some("too-large")) => Answer::TooLarge,
        (202 | 409, _) => Answer::NotThis(format!(
            "the centre has another part of the file ({status}); asking again"
        )),
        (413, _) => Answer::NotThis(
            "a proxy before the centre does not take files of this size (413); raise its limit to the centre's `http.max_evidence_mb` (nginx: `client_max_body_size`)"
                .to_owned(),
        ),
        (400, None) => Answer::NotThis(advice(400)),
        (400 | 415 | 422, _) => Answer::NotThis(format!(
            "the centre does not understand the upload ({status}); compare the versions of agent and centre, and look for a proxy that changes uploads"
        )),
        _ => Answer::NotNow(advice(status)),
    }
}

/// Whether it is a problem as the centre tells them, also one without its body as in the
/// answer to a HEAD.
pub(crate) fn is_problem(headers: &HeaderMap) -> bool {
    let said = headers.get(http::header::CONTENT_TYPE);
    said.and_then(|said| said.to_str().ok())
        .is_some_and(|said| said.starts_with("application/problem+json"))
}

/// The type of the centre's problem, without what all have in common.
fn problem(response: &mut Response<Body>) -> Option<String> {
    #[derive(serde::Deserialize)]
    struct Problem {
        r#type: String,
    }
    if !is_problem(response.headers()) {
        return None;
    }
    let body = response.body_mut().with_config().limit(PROBLEM_BYTES);
    let problem: Problem = serde_json::from_slice(&body.read_to_vec().ok()?).ok()?;
    Some(problem.r#type.strip_prefix(PROBLEM)?.to_owned())
}

/// What to do when somebody says yes who does not know the file.
pub(crate) fn impostor(status: u16) -> String {
    format!(
        "something other than the centre answers ({status}, without the file's `ETag`): a login page, a used-up SIM card or a proxy without a route; correct `evidence_url` or the proxy. The files stay here"
    )
}

/// What an unexpected status means to the operator.
pub(crate) fn advice(status: u16) -> String {
    match status {
        400 => "something before the centre does not understand the upload (400); look at the proxy's log, and at the validity of this box's certificate if the proxy asks for one".to_owned(),
        401 | 403 => format!("the centre refuses the token ({status}); correct `evidence_token`"),
        300..=399 => format!(
            "this address sends uploads elsewhere ({status}); correct `evidence_url`: `https` where the web server wants it, host and port"
        ),
        404 | 405 => {
            format!("nothing takes evidence at this address ({status}); correct `evidence_url`")
        }
        429 => "the centre is busy (429); trying again".to_owned(),
        500..=599 => format!("the centre failed ({status}); trying again, see its log"),
        _ => format!("the centre answered {status}; check `evidence_url`"),
    }
}

/// What to do about a request that got no answer.
pub(crate) fn explain(error: &ureq::Error) -> String {
    let handshake = match error {
        ureq::Error::Rustls(error) => Some(error),
        ureq::Error::Io(error) => error.get_ref().and_then(|inner| inner.downcast_ref()),
        _ => None,
    };
    if handshake.is_some_and(is_of_old_tls) {
        return format!(
            "{error}; the centre's web server does not take TLS 1.3, which is all that this box speaks: allow it there (nginx: `ssl_protocols TLSv1.3`)"
        );
    }
    format!("{error}; check that the centre runs and can be reached")
}

pub(crate) fn bearer(settings: &UplinkSettings) -> Option<String> {
    let token = settings.evidence_token.as_ref()?;
    Some(format!("Bearer {token}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn response(status: u16, headers: &[(&str, &str)], body: &str) -> Response<Body> {
        let mut response = Response::builder().status(status);
        for (name, value) in headers {
            response = response.header(*name, *value);
        }
        response.body(Body::builder().data(body)).unwrap()
    }

    #[test]
    fn a_file_is_there_only_by_its_hash_and_length() {
        let digest = Digest([7; 32]);
        let (strong, weak) = (format!("\"{digest}\""), format!("W/\"{digest}\""));
        let other = format!("\"{}\"", Digest([8; 32]));
        for (status, tag, length, expected) in [
            (200, Some(&strong), Some("10"), true),
            (200, Some(&weak), Some("10"), true),
            (200, Some(&strong), Some("9"), false),
            (200, Some(&strong), None, false),
            (200, Some(&other), Some("10"), false),
            (200, None, Some("10"), false),
            (204, Some(&strong), Some("10"), false),
        ] {
            let tag = tag.map(|tag| ("etag", tag.as_str()));
            let length = length.map(|length| ("content-length", length));
            let headers: Vec<_> = tag.into_iter().chain(length).collect();
            let response = response(status, &headers, "");
            assert_eq!(
                has(&response, &digest, 10),
                expected,
                "{status} {headers:?}"
            );
        }
    }

    #[test]
    fn only_the_centres_own_word_is_final() {
        let own = [("content-type", "application/problem+json; charset=utf-8")];
        let page = [("content-type", "text/html")];
        let said = |word: &str| format!("{{\"type\":\"urn:ngatu:problem:{word}\",\"status\":1}}");
        assert_eq!(
            refusal(&mut response(422, &own, &said("wrong-hash"))),
            Answer::HashDiffers
        );
        assert_eq!(
            refusal(&mut response(413, &own, &said("too-large"))),
            Answer::TooLarge
        );
        for (status, headers, body) in [
            (
                413,
                &page,
                "<h1>413 Request Entity Too Large</h1>".to_owned(),
            ),
            (413, &page, said("too-large")),
            (413, &own, "{\"type\":\"about:blank\"}".to_owned()),
            (400, &page, "The SSL certificate error".to_owned()),
            (400, &own, said("bad-request")),
            (409, &own, said("misplaced")),
            (202, &page, String::new()),
            (415, &own, said("unsupported-media-type")),
            (422, &page, String::new()),
        ] {
            let answer = refusal(&mut response(status, headers, &body));
            assert!(
                matches!(answer, Answer::NotThis(_)),
                "{status} {body}: {answer:?}"
            );
        }
        for status in [301, 401, 403, 404, 408, 429, 500, 502, 503, 507] {
            let answer = refusal(&mut response(status, &page, ""));
            assert!(matches!(answer, Answer::NotNow(_)), "{status}");
        }
    }
}
