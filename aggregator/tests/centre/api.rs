//! The REST API: what it says, what it refuses, what it remembers.

use expect_test::expect;
use protocol::event::Place;
use protocol::{EventTime, Phase, Severity};
use serde_json::{Value, json};

use crate::support::{Line, Running, a_box, noon};

/// Delivers letters, one after another, each committed before the next.
fn deliver(centre: &Running, letters: &[Vec<u8>]) {
    let speaker = a_box("b1", 1);
    let mut line = Line::connected(centre.mqtt, "box", None);
    for letter in letters {
        line.publish(&speaker.event_topic(), 1, letter.clone());
        line.acknowledged(1);
    }
}

/// JSON without what differs from run to run.
fn stable(mut value: Value) -> String {
    fn scrub(value: &mut Value) {
        match value {
            Value::Object(fields) => {
                for key in ["received_at", "at"] {
                    if fields.contains_key(key) {
                        fields.insert(key.to_owned(), json!("…"));
                    }
                }
                fields.values_mut().for_each(scrub);
            }
            Value::Array(items) => items.iter_mut().for_each(scrub),
            _ => {}
        }
    }
    scrub(&mut value);
    serde_json::to_string_pretty(&value).unwrap()
}

#[test]
#[allow(clippy::too_many_lines)] // most of them are the snapshot
fn an_alert_lives_from_new_to_resolved() {
    let centre = Running::start();
    let speaker = a_box("b1", 1);
    let mut event = speaker.event(1);
    event.place = Some(Place {
        name: "Ngã tư Sở".to_owned(),
        latitude: Some(21.0),
        longitude: Some(105.8),
    });
    deliver(&centre, &[speaker.letter_of(&event, 1)]);
    let api = centre.api();
    let path = format!("/api/v1/alerts/{}", event.id);
    let conflict = |answer: crate::support::Answer| {
        assert_eq!(answer.header("content-type"), "application/problem+json");
        (
            answer.status,
            answer.json()["type"].as_str().unwrap().to_owned(),
        )
    };
    let wrong_state = (409, "urn:ngatu:problem:wrong-state".to_owned());

    let resolve = json!({"actor": "An", "reason": "confirmed"});
    assert_eq!(
        conflict(api.post(&format!("{path}/resolve"), &resolve)),
        wrong_state,
        "nobody has taken it on"
    );
    let taken = api.post(
        &format!("{path}/acknowledge"),
        &json!({"actor": " An ", "note": "đang xem"}),
    );
    assert_eq!(taken.status, 200);
    assert_eq!(taken.json()["state"], "acknowledged");
    assert_eq!(
        conflict(api.post(&format!("{path}/acknowledge"), &json!({"actor": "Bình"}))),
        wrong_state,
        "An was first"
    );

    // The machine goes on talking meanwhile; people's state stays theirs.
    let mut ended = event.clone();
    (ended.revision, ended.phase) = (2, Phase::End);
    ended.ended = Some(noon());
    deliver(&centre, &[speaker.letter_of(&ended, 2)]);

    let seen = [("content-type", "application/json"), ("if-match", "\"1\"")];
    let stale = api.post_with(&format!("{path}/resolve"), &seen, &resolve);
    assert_eq!(
        conflict(stale),
        (412, "urn:ngatu:problem:changed".to_owned())
    );
    let done = api.post(&format!("{path}/resolve"), &resolve);
    assert_eq!(done.status, 200);
    assert_eq!(done.header("etag"), "\"4\"");
    expect![[r#"
        {
          "box": "b1",
          "camera": "c1",
          "camera_name": "c1",
          "change": 4,
          "clock": null,
          "decided_at": "2026-01-02T05:00:01.000000Z",
          "ended_at": "2026-01-02T05:00:00.000000Z",
          "event": {
            "actors": [],
            "box": "b1",
            "camera": "c1",
            "decided": {
              "frame": 1,
              "time": "2026-01-02T05:00:01.000000Z"
            },
            "ended": "2026-01-02T05:00:00.000000Z",
            "explanation": [],
            "facts": {
              "run_s": 1.5
            },
            "id": "2b32fe1e-91cd-50e6-93f3-268fa0f9a95d",
            "kind": "red_light",
            "onset": "2026-01-02T05:00:01.000000Z",
            "phase": "end",
            "place": {
              "latitude": 21.0,
              "longitude": 105.8,
              "name": "Ngã tư Sở"
            },
            "provenance": {
              "agent": ""
            },
            "revision": 2,
            "rule": "red",
            "severity": "major",
            "site": "hanoi",
            "time_quality": "rtcp",
            "title": {
              "en": "Red light",
              "vi": "Vượt đèn đỏ"
            }
          },
          "evidence": [],
          "evidence_complete": false,
          "history": [
            {
              "action": "raised",
              "actor": "hanoi/b1",
              "at": "…",
              "from": null,
              "note": null,
              "reason": null,
              "to": "raised"
            },
            {
              "action": "acknowledge",
              "actor": "An",
              "at": "…",
              "from": "new",
              "note": "đang xem",
              "reason": null,
              "to": "acknowledged"
            },
            {
              "action": "cleared",
              "actor": "hanoi/b1",
              "at": "…",
              "from": "raised",
              "note": null,
              "reason": null,
              "to": "cleared"
            },
            {
              "action": "resolve",
              "actor": "An",
              "at": "…",
              "from": "acknowledged",
              "note": null,
              "reason": "confirmed",
              "to": "resolved"
            }
          ],
          "id": "2b32fe1e-91cd-50e6-93f3-268fa0f9a95d",
          "kind": "red_light",
          "lock": null,
          "machine": "cleared",
          "missing": [],
          "occurred_at": "2026-01-02T05:00:01.000000Z",
          "place": {
            "latitude": 21.0,
            "longitude": 105.8,
            "name": "Ngã tư Sở"
          },
          "received_at": "…",
          "revision": 2,
          "severity": "major",
          "simulated": false,
          "site": "hanoi",
          "state": "resolved",
          "still_clean_url": null,
          "still_url": null,
          "title": {
            "en": "Red light",
            "vi": "Vượt đèn đỏ"
          },
          "zone": null
        }"#]]
    .assert_eq(&stable(done.json()));
    assert_eq!(
        conflict(api.post(&format!("{path}/resolve"), &resolve)),
        wrong_state,
        "it is done"
    );
}

#[test]
fn what_a_person_sends_is_checked() {
    let centre = Running::start();
    let speaker = a_box("b1", 1);
    deliver(&centre, &[speaker.letter(1, 1)]);
    let api = centre.api();
    let id = speaker.event(1).id;
    let cases = [
        ("acknowledge", json!({}), 400, "actor"),
        ("acknowledge", json!({"actor": "  "}), 400, "who decides"),
        (
            "acknowledge",
            json!({"actor": "An", "mood": 1}),
            400,
            "mood",
        ),
        ("acknowledge", json!({"actor": "A\nB"}), 400, "one line"),
        (
            "acknowledge",
            json!({"actor": "An", "note": "x".repeat(2001)}),
            400,
            "2000",
        ),
        ("resolve", json!({"actor": "An"}), 400, "reason"),
        (
            "resolve",
            json!({"actor": "An", "reason": "bored"}),
            400,
            "false_alarm",
        ),
    ];
    for (verb, body, status, said) in cases {
        let answer = api.post(&format!("/api/v1/alerts/{id}/{verb}"), &body);
        let problem = answer.json();
        assert_eq!(answer.status, status, "{body}: {problem}");
        assert!(
            problem["detail"].as_str().unwrap().contains(said),
            "{body}: {problem}"
        );
    }
    let nowhere = "/api/v1/alerts/00000000-0000-0000-0000-000000000000";
    assert_eq!(api.get(nowhere).status, 404);
    assert_eq!(api.get("/api/v1/alerts/one").status, 404);
    assert_eq!(api.get("/api/v1/nothing").status, 404);
    assert_eq!(api.post("/api/v1/alerts", &json!({})).status, 405);
    let wrong_type = api.post_with(
        &format!("/api/v1/alerts/{id}/acknowledge"),
        &[("content-type", "text/plain")],
        &json!({"actor": "An"}),
    );
    assert_eq!(wrong_type.status, 415, "a form of a foreign page ends here");
    let foreign = [
        ("content-type", "application/json"),
        ("origin", "http://evil.example"),
    ];
    let body = json!({"actor": "An"});
    let path = format!("/api/v1/alerts/{id}/acknowledge");
    assert_eq!(api.post_with(&path, &foreign, &body).status, 403);
    let rebound = api.get_with("/api/v1/alerts", &[("host", "evil.example")]);
    assert_eq!(rebound.status, 403);
    assert_eq!(api.alerts()[0]["state"], "new", "nothing has happened");
}

#[test]
fn lists_are_filtered_and_paged_newest_first() {
    let centre = Running::start();
    let speaker = a_box("b1", 1);
    let letters: Vec<Vec<u8>> = (1..=25)
        .map(|n| {
            let mut event = speaker.event(n);
            if n % 5 == 0 {
                "wrong_way".clone_into(&mut event.kind.0);
                event.severity = Severity::Critical;
            }
            event.simulated = n == 25;
            // Several at the same instant: the id decides, and no page may lose one.
            event.onset =
                EventTime::from_micros(noon().as_micros() + i64::try_from(n / 4).unwrap());
            speaker.letter_of(&event, n)
        })
        .collect();
    deliver(&centre, &letters);
    let api = centre.api();
    let (mut seen, mut cursor) = (Vec::new(), String::new());
    loop {
        let page = api.get(&format!("/api/v1/alerts?limit=4{cursor}")).json();
        let items = page["items"].as_array().unwrap();
        assert!(items.len() <= 4);
        seen.extend(items.iter().map(|item| {
            let text = |key: &str| item[key].as_str().unwrap().to_owned();
            (text("occurred_at"), text("id"))
        }));
        match page["next"].as_str() {
            Some(next) => cursor = format!("&cursor={next}"),
            None => break,
        }
    }
    assert_eq!(seen.len(), 25);
    assert!(
        seen.windows(2).all(|pair| pair[0] > pair[1]),
        "newest first, each once: {seen:#?}"
    );
    for (query, count) in [
        ("kind=wrong_way", 5),
        ("kind=wrong_way,red_light", 25),
        ("kind=unheard_of", 0),
        ("severity=critical", 5),
        ("state=new", 25),
        ("state=acknowledged,resolved", 0),
        ("camera=c1&box=b1&site=hanoi", 25),
        ("camera=c2", 0),
        ("simulated=true", 1),
        ("simulated=false", 24),
        ("occurred_after=2026-01-02T12:00:00.000005%2B07:00", 6),
        ("occurred_before=2026-01-02T05:00:00.000001Z", 3),
        (
            "occurred_at=2026-01-02T05:00:00.000001Z..2026-01-02T05:00:00.000002Z",
            4,
        ),
    ] {
        let page = api.get(&format!("/api/v1/alerts?limit=200&{query}")).json();
        assert_eq!(page["items"].as_array().unwrap().len(), count, "{query}");
    }
    let kinds = api.get("/api/v1/kinds").json();
    assert_eq!(
        kinds["items"],
        json!([
            {"kind": "red_light", "count": 20, "states": {"new": 20}},
            {"kind": "wrong_way", "count": 5, "states": {"new": 5}},
        ])
    );
}

#[test]
fn every_answer_carries_the_security_headers_and_the_page_is_there() {
    let centre = Running::start();
    let api = centre.api();
    for path in [
        "/",
        "/alerts/1",
        "/api/v1/alerts",
        "/healthz",
        "/nothing.js",
    ] {
        let answer = api.get(path);
        let policy = answer.header("content-security-policy");
        assert!(policy.contains("default-src 'self'"), "{path}: {policy}");
        assert!(policy.contains("img-src 'self' data: blob:"), "{path}");
        assert_eq!(answer.header("x-content-type-options"), "nosniff", "{path}");
    }
    let page = api.get("/");
    assert_eq!(page.status, 200);
    assert_eq!(page.header("content-type"), "text/html; charset=utf-8");
    assert_eq!(page.header("cache-control"), "no-cache");
    let again = api.get_with("/", &[("if-none-match", page.header("etag"))]);
    assert_eq!((again.status, again.body.len()), (304, 0));
    assert_eq!(api.get("/alerts/1").body, page.body, "a view of the screen");
    assert_eq!(
        api.get("/nothing.js").status,
        404,
        "a missing file is missing"
    );
}

#[test]
fn the_description_is_whole_and_names_what_is_served() {
    let centre = Running::start();
    let served = centre.api().get("/api/openapi.json").json();
    let printed: Value =
        serde_json::from_str(&aggregator::api::openapi().to_json().unwrap()).unwrap();
    assert_eq!(served, printed, "the same by HTTP and by the command line");
    assert!(served["openapi"].as_str().unwrap().starts_with("3.1"));

    let mut operations = Vec::new();
    let mut ids = std::collections::BTreeSet::new();
    for (path, methods) in served["paths"].as_object().unwrap() {
        for (method, operation) in methods.as_object().unwrap() {
            operations.push(format!("{} {path}", method.to_uppercase()));
            let id = operation["operationId"].as_str().unwrap();
            assert!(ids.insert(id.to_owned()), "{id} is there twice");
            for name in path.split('{').skip(1).map(|part| part.split('}').next()) {
                let is_described = operation["parameters"]
                    .as_array()
                    .unwrap()
                    .iter()
                    .any(|p| p["in"] == "path" && p["name"].as_str() == name);
                assert!(is_described, "{path}: {name:?}");
            }
        }
    }
    operations.sort();
    expect![[r"
        GET /api/v1/alerts
        GET /api/v1/alerts/{id}
        GET /api/v1/alerts/{id}/bundle
        GET /api/v1/cameras
        GET /api/v1/dead-letters
        GET /api/v1/evidence/{sha256}
        GET /api/v1/kinds
        GET /api/v1/stream
        GET /healthz
        GET /metrics
        GET /readyz
        HEAD /api/v1/evidence/{sha256}
        POST /api/v1/alerts/{id}/acknowledge
        POST /api/v1/alerts/{id}/lock
        POST /api/v1/alerts/{id}/resolve
        POST /api/v1/alerts/{id}/unlock
        PUT /api/v1/evidence/{sha256}"]]
    .assert_eq(&operations.join("\n"));

    let mut found = Vec::new();
    references(&served, &mut found);
    assert!(!found.is_empty());
    for reference in found {
        let target = served.pointer(reference.strip_prefix('#').unwrap());
        assert!(target.is_some(), "{reference} leads nowhere");
    }
}

/// Every `$ref` in a document.
fn references(value: &Value, found: &mut Vec<String>) {
    match value {
        Value::Object(fields) => {
            found.extend(
                fields
                    .get("$ref")
                    .and_then(Value::as_str)
                    .map(str::to_owned),
            );
            fields.values().for_each(|value| references(value, found));
        }
        Value::Array(items) => items.iter().for_each(|value| references(value, found)),
        _ => {}
    }
}
