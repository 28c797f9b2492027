//! What `edge-agent check` says about broker and centre.

use std::net::TcpListener;
use std::time::{Duration, Instant};

use edge_uplink::probe;

use crate::broker::{Mosquitto, free_port};
use crate::evidence::Server;
use crate::settings;

const TIMEOUT: Duration = Duration::from_secs(2);

#[test]
fn a_working_broker_and_centre_have_no_faults() {
    let (broker, server) = (Mosquitto::start(), Server::start());
    let mut settings = settings(&broker.url());
    settings.evidence_url = server.url();
    let report = probe(&settings, TIMEOUT).unwrap();
    assert_eq!(report.faults().count(), 0, "{report:?}");
    assert_eq!(report.broker.unwrap(), "5");
}

#[test]
fn both_faults_are_told_at_once() {
    let mut settings = settings(&format!("mqtt://127.0.0.1:{}", free_port()));
    settings.evidence_url = format!("http://127.0.0.1:{}", free_port());
    let report = probe(&settings, TIMEOUT).unwrap();
    let faults: Vec<String> = report.faults().map(ToString::to_string).collect();
    assert_eq!(faults.len(), 2, "{faults:?}");
    assert!(
        faults[0].contains("check that the broker runs"),
        "{}",
        faults[0]
    );
    assert!(
        faults[1].contains("check that the centre runs"),
        "{}",
        faults[1]
    );
}

#[test]
fn a_broker_that_never_answers_costs_no_more_than_the_time_limit() {
    let silent = TcpListener::bind(("127.0.0.1", 0)).unwrap();
    let port = silent.local_addr().unwrap().port();
    let begun = Instant::now();
    let report = probe(
        &settings(&format!("mqtt://127.0.0.1:{port}")),
        Duration::from_millis(300),
    )
    .unwrap();
    assert!(
        begun.elapsed() < Duration::from_secs(3),
        "{:?}",
        begun.elapsed()
    );
    let fault = report.broker.unwrap_err().to_string();
    assert!(fault.contains("no answer within"), "{fault}");
}

#[test]
fn nobody_without_a_login_is_told_what_to_correct() {
    let broker = Mosquitto::with("allow_anonymous false\n");
    let report = probe(&settings(&broker.url()), TIMEOUT).unwrap();
    let fault = report.broker.unwrap_err().to_string();
    assert!(fault.contains("may not connect"), "{fault}");
}

#[test]
fn a_wrong_evidence_token_is_found() {
    let (broker, server) = (Mosquitto::start(), Server::start());
    server.shelf.lock().unwrap().token = Some("right".to_owned());
    let mut settings = settings(&broker.url());
    settings.evidence_url = server.url();
    settings.evidence_token = Some("wrong".to_owned());
    let fault = probe(&settings, TIMEOUT)
        .unwrap()
        .evidence
        .unwrap_err()
        .to_string();
    assert!(fault.contains("correct `evidence_token`"), "{fault}");
    assert!(
        !fault.contains("wrong"),
        "the token is not repeated: {fault}"
    );
}

/// Nobody has the file that is asked for; a web server's own 404 is no centre's either.
#[test]
fn who_answers_in_the_place_of_the_centre_is_found() {
    let (broker, server) = (Mosquitto::start(), Server::start());
    let mut settings = settings(&broker.url());
    settings.evidence_url = server.url();
    for (status, said) in [
        (200, "something other than the centre"),
        (301, "sends uploads elsewhere"),
        (404, "nothing takes evidence at this address"),
    ] {
        server.shelf.lock().unwrap().answer_all = Some(status);
        let report = probe(&settings, TIMEOUT).unwrap();
        let fault = report.evidence.unwrap_err().to_string();
        assert!(fault.contains(said), "{status}: {fault}");
    }
}

#[test]
fn settings_that_cannot_work_are_an_error() {
    let mut settings = settings("broker.example:1883");
    assert!(
        probe(&settings, TIMEOUT)
            .unwrap_err()
            .to_string()
            .contains("mqtt://HOST")
    );
    settings.url = "mqtts://broker.example".to_owned();
    settings.ca_file = Some("/nonexistent/ca.pem".into());
    let error = probe(&settings, TIMEOUT).unwrap_err().to_string();
    assert!(error.contains("/nonexistent/ca.pem"), "{error}");
}
