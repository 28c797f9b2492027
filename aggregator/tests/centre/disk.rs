//! A full disk under the database: nothing is promised, nothing is lost, and
//! it goes on by itself when there is room again.

use std::path::Path;
use std::process::Command;

use serde_json::json;

use crate::support::{Line, Process, a_box, eventually};

/// Largest size of a file that the process may write; none for as it likes.
///
/// Writing beyond fails like a full disk does, without being root and without
/// filling one.
fn limit(centre: &Process, bytes: Option<u64>) {
    let size = bytes.map_or("unlimited".to_owned(), |bytes| bytes.to_string());
    let done = Command::new("prlimit")
        .args(["--pid", &centre.child.id().to_string()])
        .arg(format!("--fsize={size}:unlimited"))
        .status()
        .unwrap();
    assert!(done.success());
}

/// A centre that survives a limit on its files: the signal would end the
/// process, and a full disk sends none.
fn on_a_limited_disk(folder: &Path) -> Process {
    let mut command = Command::new("sh");
    command.args([
        "-c",
        "trap '' XFSZ; exec \"$0\" \"$@\"",
        env!("CARGO_BIN_EXE_aggregator"),
    ]);
    Process::by(command, folder, &["--mqtt", "127.0.0.1:0"])
}

#[test]
fn a_full_disk_gives_no_acknowledgement_and_recovers() {
    let folder = tempfile::tempdir().unwrap();
    let centre = on_a_limited_disk(folder.path());
    let api = centre.api();
    let speaker = a_box("b1", 1);
    let mut line = Line::connected(centre.mqtt.unwrap(), "box", None);
    line.subscribe(&speaker.receipt_topic());
    line.publish(&speaker.event_topic(), 1, speaker.letter(1, 1));
    line.acknowledged(1);
    assert_eq!(api.get("/readyz").status, 200);

    let log = std::fs::metadata(folder.path().join("data/centre.db-wal")).unwrap();
    limit(&centre, Some(log.len()));
    for n in 2..=50_u16 {
        line.publish(
            &speaker.event_topic(),
            n,
            speaker.letter(n.into(), n.into()),
        );
    }
    let readiness = eventually("it says that it is not ready", || {
        let answer = api.get("/readyz");
        (answer.status == 503).then(|| answer.json())
    });
    let reason = readiness["reasons"][0].as_str().unwrap();
    assert!(reason.starts_with("cannot commit: "), "{reason}");
    assert!(api.metric("aggregator_commits_failed_total") >= 1.0);
    let path = format!("/api/v1/alerts/{}/acknowledge", speaker.event(1).id);
    let refused = api.post(&path, &json!({"actor": "An"}));
    assert_eq!(refused.status, 503, "people are told at once");
    assert_eq!(api.alerts().len(), 1, "reading goes on");
    for _ in 0..5 {
        let heard = line.hear_now();
        let is_promise = heard.as_ref().is_some_and(|heard| {
            !matches!(heard, crate::support::Heard::Packet(
                rumqttc::v5::mqttbytes::v5::Packet::Publish(publish),
            ) if String::from_utf8_lossy(&publish.payload).contains("\"through\":1,"))
        });
        assert!(!is_promise, "nothing may be promised now: {heard:?}");
    }

    limit(&centre, None);
    line.acknowledged(50);
    assert_eq!(api.alerts().len(), 50);
    assert_eq!(api.get("/readyz").status, 200);
    assert_eq!(api.post(&path, &json!({"actor": "An"})).status, 200);
}

#[test]
fn a_full_disk_does_not_keep_it_from_stopping() {
    let folder = tempfile::tempdir().unwrap();
    let mut centre = on_a_limited_disk(folder.path());
    let speaker = a_box("b1", 1);
    let mut line = Line::connected(centre.mqtt.unwrap(), "box", None);
    let log = std::fs::metadata(folder.path().join("data/centre.db-wal")).unwrap();
    limit(&centre, Some(log.len()));
    line.publish(&speaker.event_topic(), 1, speaker.letter(1, 1));
    eventually("it fails", || {
        (centre.api().get("/readyz").status == 503).then_some(())
    });
    centre.signal("TERM");
    eventually("the end", || centre.child.try_wait().unwrap());
    // The box was promised nothing and brings it again.
    let centre = Process::start(folder.path(), &["--mqtt", "127.0.0.1:0"]);
    assert_eq!(centre.api().alerts().len(), 0);
    let mut line = Line::connected(centre.mqtt.unwrap(), "box", None);
    line.publish(&speaker.event_topic(), 1, speaker.letter(1, 1));
    line.acknowledged(1);
    assert_eq!(centre.api().alerts().len(), 1);
}
