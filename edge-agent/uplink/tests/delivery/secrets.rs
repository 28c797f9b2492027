//! What is written into an address by mistake must not reach a log.

use std::io::Write;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use edge_uplink::probe;
use protocol::evidence::EvidenceRole;

use crate::broker::free_port;
use crate::evidence::Server;
use crate::samples::at;
use crate::{open, settings, start, until};

/// Everything that any test of this process logs.
#[derive(Clone, Default)]
struct Log(Arc<Mutex<Vec<u8>>>);

impl Write for Log {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().unwrap().write(bytes)
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

#[test]
fn user_info_in_the_evidence_address_reaches_neither_log_nor_status_nor_check() {
    let log = Log::default();
    let writer = log.clone();
    tracing_subscriber::fmt()
        .with_max_level(tracing_subscriber::filter::LevelFilter::TRACE)
        .with_writer(move || writer.clone())
        .init();
    let server = Server::start();
    let addresses = [
        format!("http://me:hunter2@127.0.0.1:{}", free_port()),
        server.url().replace("http://", "http://me:hunter2@") + "/nothing/here",
        "http://me:hunter2@127.0.0.1:99999".to_owned(),
        "http://me:hunter2 @127.0.0.1".to_owned(),
        "http://me:hunter2@".to_owned(),
    ];
    for address in addresses {
        let dir = tempfile::tempdir().unwrap();
        let outbox = open(dir.path());
        outbox
            .put_evidence(b"still", EvidenceRole::StillClean, "image/jpeg", at(1))
            .unwrap();
        let mut settings = settings("mqtt://127.0.0.1:9");
        settings.evidence_url = address;
        let report = probe(&settings, Duration::from_secs(2)).unwrap();
        let fault = report.evidence.map_err(|e| e.to_string());
        // An address that exists answers 404 to the check, as one that lacks the file does.
        assert!(!format!("{fault:?}").contains("hunter2"), "{fault:?}");

        let uplink = start(settings.clone(), &outbox);
        until("an upload failed", || uplink.status().uploads_failed >= 1);
        until("it is told", || uplink.status().last_upload_error.is_some());
        let status = format!("{:?} {settings:?}", uplink.status());
        assert!(!status.contains("hunter2"), "{status}");
    }
    let log = String::from_utf8(log.0.lock().unwrap().clone()).unwrap();
    assert!(log.contains("http://…@127.0.0.1"), "it logs the address");
    let line = log.lines().find(|line| line.contains("hunter2"));
    assert_eq!(line, None);
}
