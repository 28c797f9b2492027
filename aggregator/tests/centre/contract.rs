//! The description of the API against the API: what is answered is described.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Value, json};

use crate::announced;
use crate::support::{Answer, Line, Running, a_box};

/// By status, the media types that a body may have.
type Documented = BTreeMap<String, BTreeSet<String>>;

fn documented(description: &Value, method: &str, path: &str) -> Documented {
    let operation = &description["paths"][path][method.to_lowercase()];
    operation["responses"]
        .as_object()
        .unwrap_or_else(|| panic!("{method} {path} is not described"))
        .iter()
        .map(|(status, response)| {
            let response = match response["$ref"].as_str() {
                Some(reference) => description.pointer(&reference[1..]).unwrap(),
                None => response,
            };
            let kinds = response["content"].as_object();
            let kinds = kinds.into_iter().flatten().map(|(kind, _)| kind.clone());
            (status.clone(), kinds.collect())
        })
        .collect()
}

const FILE: &str = "/api/v1/evidence/{sha256}";
const ALERT: &str = "/api/v1/alerts/{id}";
const BUNDLE: &str = "/api/v1/alerts/{id}/bundle";
const ACKNOWLEDGE: &str = "/api/v1/alerts/{id}/acknowledge";
const RESOLVE: &str = "/api/v1/alerts/{id}/resolve";
const LOCK: &str = "/api/v1/alerts/{id}/lock";
const UNLOCK: &str = "/api/v1/alerts/{id}/unlock";

/// What was asked, under which template, what has to come, and what came.
type Case = (&'static str, &'static str, u16, Answer);

fn reads(centre: &Running, id: &str) -> Vec<Case> {
    let api = centre.api();
    let elsewhere = [("host", "evil.example")];
    let mut cases = vec![
        ("GET", "/api/v1/alerts", 200, api.get("/api/v1/alerts")),
        (
            "GET",
            "/api/v1/alerts",
            400,
            api.get("/api/v1/alerts?state=asleep"),
        ),
        ("GET", ALERT, 200, api.get(&format!("/api/v1/alerts/{id}"))),
        ("GET", ALERT, 404, api.get("/api/v1/alerts/one")),
        ("GET", ALERT, 400, api.get("/api/v1/alerts/%FF")),
        ("GET", BUNDLE, 404, api.get("/api/v1/alerts/one/bundle")),
        ("GET", BUNDLE, 400, api.get("/api/v1/alerts/%FF/bundle")),
        // An alert of a box that signs no cases.
        (
            "GET",
            BUNDLE,
            404,
            api.get(&format!("/api/v1/alerts/{id}/bundle")),
        ),
        (
            "GET",
            "/api/v1/stream",
            400,
            api.get("/api/v1/stream?after=x"),
        ),
        ("GET", "/healthz", 200, api.get("/healthz")),
        ("GET", "/readyz", 200, api.get("/readyz")),
        ("GET", "/metrics", 200, api.get("/metrics")),
    ];
    for path in ["/api/v1/cameras", "/api/v1/kinds", "/api/v1/dead-letters"] {
        cases.push(("GET", path, 200, api.get(path)));
    }
    for path in [
        "/api/v1/alerts",
        "/api/v1/cameras",
        "/api/v1/kinds",
        "/api/v1/dead-letters",
        "/api/v1/stream",
    ] {
        cases.push(("GET", path, 403, api.get_with(path, &elsewhere)));
    }
    cases
}

fn decisions(centre: &Running, id: &str) -> Vec<Case> {
    let api = centre.api();
    let good = json!({"actor": "An", "reason": "confirmed"});
    let kind = ("content-type", "application/json");
    let why = json!({"actor": "An", "reason": "a court asked"});
    let mut cases = Vec::new();
    for (template, body) in [
        (ACKNOWLEDGE, json!({"actor": "An"})),
        (RESOLVE, good),
        (LOCK, why.clone()),
        (UNLOCK, why),
    ] {
        let path = template.replace("{id}", id);
        let nowhere = template.replace("{id}", "00000000-0000-0000-0000-000000000000");
        let large = json!({"actor": "An", "note": "x".repeat(70 * 1024)});
        for (status, answer) in [
            (400, api.post(&path, &json!({}))),
            (
                403,
                api.post_with(&path, &[kind, ("origin", "http://evil.example")], &body),
            ),
            (404, api.post(&nowhere, &body)),
            (
                412,
                api.post_with(&path, &[kind, ("if-match", "\"0\"")], &body),
            ),
            (413, api.post(&path, &large)),
            (
                415,
                api.post_with(&path, &[("content-type", "text/plain")], &body),
            ),
            (200, api.post(&path, &body)),
            (409, api.post(&path, &body)),
        ] {
            cases.push(("POST", template, status, answer));
        }
    }
    cases
}

fn files(centre: &Running) -> Vec<Case> {
    let api = centre.api();
    let token = ("authorization", "Bearer s3cret");
    let jpeg = [("content-type", "image/jpeg"), token];
    let html = [("content-type", "text/html"), token];
    let foreign = [jpeg[0], token, ("origin", "http://evil.example")];
    let (file, path) = (b"a picture".as_slice(), announced::path(b"a picture"));
    let wrong = "/api/v1/evidence/12";
    let large = vec![0; 2 * 1024 * 1024];
    let (other, of_large) = (announced::path(b"other"), announced::path(&large));
    // A file where a folder has to be: the store is in disorder.
    let broken = announced::path(b"broken");
    let folder = centre.folder.path().join("evidence");
    std::fs::write(folder.join(&broken[17..19]), "").unwrap();
    vec![
        ("PUT", FILE, 401, api.put(&path, &jpeg[..1], file)),
        ("PUT", FILE, 403, api.put(&path, &foreign, file)),
        ("PUT", FILE, 400, api.put(wrong, &jpeg, file)),
        ("PUT", FILE, 415, api.put(&path, &html, file)),
        ("PUT", FILE, 422, api.put(&other, &jpeg, file)),
        ("PUT", FILE, 413, api.put(&of_large, &jpeg, &large)),
        ("PUT", FILE, 503, api.put(&broken, &jpeg, b"broken")),
        ("HEAD", FILE, 404, api.head(&path)),
        ("HEAD", FILE, 400, api.head(wrong)),
        ("PUT", FILE, 201, api.put(&path, &jpeg, file)),
        ("PUT", FILE, 200, api.put(&path, &jpeg, file)),
        ("HEAD", FILE, 200, api.head(&path)),
        ("GET", FILE, 200, api.get(&path)),
        (
            "GET",
            FILE,
            206,
            api.get_with(&path, &[("range", "bytes=0-1")]),
        ),
        (
            "GET",
            FILE,
            416,
            api.get_with(&path, &[("range", "bytes=99-")]),
        ),
        (
            "GET",
            FILE,
            304,
            api.get_with(&path, &[("if-none-match", &format!("\"{}\"", &path[17..]))]),
        ),
        ("GET", FILE, 404, api.get(&other)),
        ("GET", FILE, 400, api.get(wrong)),
    ]
}

#[test]
fn every_answer_is_one_that_the_description_names() {
    let secrets = tempfile::tempdir().unwrap();
    let token = secrets.path().join("token");
    std::fs::write(&token, "s3cret\n").unwrap();
    let centre = Running::with(|config| {
        config.http.evidence_token_file = Some(token);
        config.http.max_evidence_mb = 1;
    });
    let speaker = a_box("b1", 1);
    let mut line = Line::connected(centre.mqtt, "box", None);
    line.publish(&speaker.event_topic(), 1, speaker.letter(1, 1));
    line.acknowledged(1);
    let id = speaker.event(1).id.to_string();
    let description = centre.api().get("/api/openapi.json").json();
    let cases = reads(&centre, &id)
        .into_iter()
        .chain(decisions(&centre, &id))
        .chain(files(&centre));
    for (method, path, status, answer) in cases {
        let what = format!("{method} {path} → {}", answer.status);
        let said = String::from_utf8_lossy(&answer.body);
        assert_eq!(answer.status, status, "{what}: {said:.300}");
        let documented = documented(&description, method, path);
        let kinds = documented
            .get(&answer.status.to_string())
            .unwrap_or_else(|| panic!("{what} is not described"));
        if answer.body.is_empty() || method == "HEAD" {
            continue;
        }
        let kind = answer.header("content-type");
        let kind = kind.split(';').next().unwrap_or_default();
        assert!(kinds.contains(kind), "{what}: {kind} is not in {kinds:?}");
        if status >= 400 {
            assert_eq!(answer.json()["status"], status, "{what}");
        }
    }
}

#[test]
fn what_is_listed_and_streamed_is_described_with_its_fields() {
    let description = aggregator::api::openapi().to_json().unwrap();
    let description: Value = serde_json::from_str(&description).unwrap();
    let schemas = &description["components"]["schemas"];
    for (name, field) in [
        ("CameraStatus", "frames_analysed"),
        ("BoxStatus", "outbox_waiting"),
        ("Ready", "resumed"),
    ] {
        assert!(
            schemas[name]["properties"][field].is_object(),
            "{name}.{field}"
        );
    }
    for name in ["CameraView", "BoxView"] {
        let view = schemas[name].to_string();
        assert!(view.contains("Status\""), "{name}: {view}");
    }
    let stream = &description["paths"]["/api/v1/stream"]["get"]["responses"]["200"];
    let stream = &stream["content"]["text/event-stream"]["schema"]["$ref"];
    assert_eq!(stream, "#/components/schemas/StreamEvent");
    let body = &description["paths"][FILE]["put"]["requestBody"]["content"];
    for kind in aggregator::evidence::MEDIA_TYPES {
        assert!(body[kind].is_object(), "{kind} in {body}");
    }
}
