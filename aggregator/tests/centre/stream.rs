//! The stream: what a browser hears, and what it hears after it was away.

use std::io::{BufRead, BufReader};

use serde_json::{Value, json};

use crate::support::{DEADLINE, Line, Running, a_box};

/// A browser on the stream.
struct Browser(BufReader<ureq::BodyReader<'static>>);

#[derive(Debug)]
struct News {
    id: i64,
    event: String,
    data: Value,
}

impl Browser {
    fn open(centre: &Running, last: Option<i64>) -> Self {
        let agent: ureq::Agent = ureq::Agent::config_builder()
            .timeout_recv_body(Some(DEADLINE))
            .build()
            .into();
        let mut request = agent.get(format!("http://{}/api/v1/stream", centre.http));
        if let Some(last) = last {
            request = request.header("last-event-id", last.to_string());
        }
        let response = request.call().unwrap();
        assert_eq!(response.headers()["content-type"], "text/event-stream");
        Self(BufReader::new(response.into_body().into_reader()))
    }

    fn hear(&mut self) -> News {
        let (mut id, mut event, mut data) = (None, None, None);
        loop {
            let mut line = String::new();
            assert!(self.0.read_line(&mut line).unwrap() > 0, "the stream ended");
            let line = line.trim_end();
            if let Some(text) = line.strip_prefix("id: ") {
                id = Some(text.parse().unwrap());
            } else if let Some(text) = line.strip_prefix("event: ") {
                event = Some(text.to_owned());
            } else if let Some(text) = line.strip_prefix("data: ") {
                data = Some(serde_json::from_str(text).unwrap());
            } else if line.is_empty()
                && let (Some(id), Some(event), Some(data)) = (id, event.take(), data.take())
            {
                return News { id, event, data };
            }
        }
    }
}

#[test]
fn a_browser_hears_alerts_boxes_and_decisions_as_they_happen() {
    let centre = Running::start();
    let speaker = a_box("b1", 1);
    let mut browser = Browser::open(&centre, None);
    assert_eq!(browser.hear().event, "ready");
    let mut line = Line::connected(centre.mqtt, "box", None);
    line.publish(&speaker.state_topic(), 1, speaker.status(true));
    let news = browser.hear();
    assert_eq!(
        (news.event.as_str(), &news.data["online"]),
        ("box", &json!(true))
    );
    line.publish(&speaker.event_topic(), 2, speaker.letter(1, 1));
    let raised = browser.hear();
    assert_eq!(raised.event, "alert");
    assert_eq!(raised.data["state"], "new");
    assert_eq!(raised.data["change"], raised.id);
    let listed = &centre.api().alerts()[0];
    assert_eq!(
        &raised.data, listed,
        "the same on the stream and in the list"
    );
    let path = format!("/api/v1/alerts/{}/acknowledge", speaker.event(1).id);
    centre.api().post(&path, &json!({"actor": "An"}));
    let decided = browser.hear();
    assert_eq!(decided.data["state"], "acknowledged");
    assert!(decided.id > raised.id);
    assert_eq!(centre.api().metric("aggregator_stream_clients"), 1.0);
}

#[test]
fn a_browser_that_was_away_gets_everything_it_missed_once_and_in_order() {
    let centre = Running::start();
    let speaker = a_box("b1", 1);
    let mut line = Line::connected(centre.mqtt, "box", None);
    let mut deliver = |from: u64, to: u64| {
        for n in from..=to {
            line.publish(&speaker.event_topic(), 1, speaker.letter(n, n));
            line.acknowledged(1);
        }
    };
    deliver(1, 3);
    let mut browser = Browser::open(&centre, Some(0));
    let ready = browser.hear();
    assert_eq!(ready.data, json!({"change": 3, "resumed": true}));
    assert_eq!(browser.hear().id, 1);
    let last = browser.hear().id;
    drop(browser);
    // More than one read of the database, and more while it reads.
    deliver(4, 600);
    let mut browser = Browser::open(&centre, Some(last));
    assert_eq!(browser.hear().id, last, "ready repeats where it stood");
    deliver(601, 650);
    let heard: Vec<i64> = (0..648).map(|_| browser.hear().id).collect();
    assert_eq!(heard, (3..=650).collect::<Vec<_>>());
}

#[test]
fn a_number_of_another_centre_is_told_apart() {
    let centre = Running::start();
    let ready = Browser::open(&centre, Some(1_000_000)).hear();
    assert_eq!(ready.data, json!({"change": 0, "resumed": false}));
    let answer = centre
        .api()
        .get_with("/api/v1/stream", &[("last-event-id", "latest")]);
    assert_eq!(answer.status, 400);
}

#[test]
fn streams_end_when_the_centre_stops() {
    let mut centre = Running::start();
    let mut browser = Browser::open(&centre, None);
    browser.hear();
    centre.stop();
    let mut rest = String::new();
    while browser.0.read_line(&mut rest).is_ok_and(|count| count > 0) {}
    assert!(!rest.contains("alert"), "{rest}");
}
