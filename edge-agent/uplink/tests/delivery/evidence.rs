//! Evidence over real HTTP, to a server that can be made to fail.

use std::collections::BTreeMap;
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::Duration;

use edge_uplink::{DiskBudget, Outbox, Uplink};
use protocol::Digest;
use protocol::evidence::EvidenceRole;
use sha2::{Digest as _, Sha256};

use crate::samples::at;
use crate::{open, settings, start, until};

#[derive(Default)]
pub(crate) struct Shelf {
    pub(crate) stored: BTreeMap<String, (String, Vec<u8>)>,
    /// Answer to everything, when set.
    pub(crate) answer_all: Option<u16>,
    /// Answer to a file, by its first byte.
    pub(crate) answer_to: BTreeMap<u8, u16>,
    pub(crate) puts: u32,
    pub(crate) token: Option<String>,
}

/// The centre's evidence end point, and no more.
pub(crate) struct Server {
    pub(crate) shelf: Arc<Mutex<Shelf>>,
    pub(crate) port: u16,
    thread: Option<JoinHandle<()>>,
}

impl Server {
    pub(crate) fn start() -> Self {
        let listener = TcpListener::bind(("127.0.0.1", 0)).unwrap();
        let port = listener.local_addr().unwrap().port();
        let shelf = Arc::new(Mutex::new(Shelf::default()));
        let thread = std::thread::spawn({
            let shelf = Arc::clone(&shelf);
            move || {
                for client in listener.incoming() {
                    let Ok(client) = client else { return };
                    if Arc::strong_count(&shelf) == 1 {
                        return;
                    }
                    // One request per connection; a client that hangs up is its own business.
                    drop(serve(client, &shelf));
                }
            }
        });
        Self {
            shelf,
            port,
            thread: Some(thread),
        }
    }

    pub(crate) fn url(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }

    fn with<T>(&self, look: impl FnOnce(&mut Shelf) -> T) -> T {
        look(&mut self.shelf.lock().unwrap())
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // The thread ends at the next connection, when it is alone with the shelf.
        self.shelf = Arc::default();
        drop(TcpStream::connect(("127.0.0.1", self.port)));
        if let Some(thread) = self.thread.take() {
            assert!(thread.join().is_ok() || std::thread::panicking());
        }
    }
}

fn serve(mut client: TcpStream, shelf: &Mutex<Shelf>) -> std::io::Result<()> {
    client.set_read_timeout(Some(Duration::from_secs(5)))?;
    let mut reader = BufReader::new(client.try_clone()?);
    let mut line = String::new();
    reader.read_line(&mut line)?;
    let mut words = line.split(' ');
    let (method, path) = (
        words.next().unwrap_or("").to_owned(),
        words.next().unwrap_or("").to_owned(),
    );
    let mut headers = BTreeMap::new();
    loop {
        let mut line = String::new();
        reader.read_line(&mut line)?;
        let Some((name, value)) = line.trim().split_once(": ") else {
            break;
        };
        headers.insert(name.to_ascii_lowercase(), value.to_owned());
    }
    let length = headers
        .get("content-length")
        .and_then(|l| l.parse().ok())
        .unwrap_or(0);
    let mut body = vec![0; length];
    reader.read_exact(&mut body)?;
    let status = shelf.lock().unwrap().answer(&method, &path, &headers, body);
    write!(
        client,
        "HTTP/1.1 {status} X\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"
    )
}

impl Shelf {
    fn answer(
        &mut self,
        method: &str,
        path: &str,
        headers: &BTreeMap<String, String>,
        body: Vec<u8>,
    ) -> u16 {
        let Some(name) = path.strip_prefix("/api/v1/evidence/") else {
            return 404;
        };
        if let Some(status) = self.answer_all {
            return status;
        }
        if self.token.is_some()
            && headers.get("authorization")
                != self.token.as_ref().map(|t| format!("Bearer {t}")).as_ref()
        {
            return 401;
        }
        if method == "HEAD" {
            return if self.stored.contains_key(name) {
                200
            } else {
                404
            };
        }
        self.puts += 1;
        if let Some(status) = body.first().and_then(|first| self.answer_to.get(first)) {
            return *status;
        }
        if Digest(Sha256::digest(&body).into()).to_string() != name {
            return 422;
        }
        let media_type = headers.get("content-type").cloned().unwrap_or_default();
        match self.stored.insert(name.to_owned(), (media_type, body)) {
            None => 201,
            Some(_) => 200,
        }
    }
}

fn put(outbox: &Outbox, bytes: &[u8]) -> Digest {
    outbox
        .put_evidence(bytes, EvidenceRole::StillClean, "image/jpeg", at(1))
        .unwrap()
        .sha256
}

/// No broker is needed to upload, and none is there.
fn uploading(server: &Server, outbox: &Outbox) -> Uplink {
    let mut settings = settings("mqtt://127.0.0.1:9");
    settings.evidence_url = server.url();
    start(settings, outbox)
}

#[test]
fn files_arrive_under_their_hash_with_their_media_type() {
    let server = Server::start();
    server.with(|shelf| shelf.token = Some("let me in".to_owned()));
    let dir = tempfile::tempdir().unwrap();
    let outbox = Outbox::open(
        dir.path(),
        DiskBudget {
            keep_uploaded: Duration::ZERO,
            ..DiskBudget::new(1 << 30)
        },
    )
    .unwrap();
    let early = put(&outbox, b"an early still");
    let mut settings = settings("mqtt://127.0.0.1:9");
    settings.evidence_url = server.url();
    settings.evidence_token = Some("let me in".to_owned());
    let uplink = start(settings, &outbox);
    let late = put(&outbox, &vec![7; 2 << 20]);
    until("both are uploaded", || uplink.status().uploads_done == 2);
    assert_eq!(uplink.status().uploads_waiting, 0);
    server.with(|shelf| {
        assert_eq!(
            shelf.stored[&early.to_string()],
            ("image/jpeg".to_owned(), b"an early still".to_vec())
        );
        assert_eq!(shelf.stored[&late.to_string()].1.len(), 2 << 20);
    });
}

#[test]
fn an_outage_is_waited_out() {
    let server = Server::start();
    server.with(|shelf| shelf.answer_all = Some(503));
    let dir = tempfile::tempdir().unwrap();
    let outbox = open(dir.path());
    for n in 0..5 {
        put(&outbox, &[n; 100]);
    }
    let uplink = uploading(&server, &outbox);
    until("several attempts failed", || {
        uplink.status().uploads_failed >= 4
    });
    let error = uplink.status().last_upload_error.unwrap();
    assert!(error.contains("503"), "{error}");
    assert_eq!(uplink.status().uploads_waiting, 5);
    server.with(|shelf| shelf.answer_all = None);
    until("all are uploaded", || uplink.status().uploads_waiting == 0);
    assert_eq!(server.with(|shelf| shelf.stored.len()), 5);
    until("and nothing is wrong any more", || {
        uplink.status().last_upload_error.is_none()
    });
}

#[test]
fn a_centre_that_is_not_there_is_named() {
    let dir = tempfile::tempdir().unwrap();
    let outbox = open(dir.path());
    put(&outbox, b"still");
    let mut settings = settings("mqtt://127.0.0.1:9");
    settings.evidence_url = format!("http://127.0.0.1:{}", crate::broker::free_port());
    let uplink = start(settings, &outbox);
    until("the failure is known", || {
        uplink.status().uploads_failed >= 2
    });
    let error = uplink.status().last_upload_error.unwrap();
    assert!(error.contains("check that the centre runs"), "{error}");
    assert_eq!(uplink.status().uploads_waiting, 1);
}

#[test]
fn a_file_that_the_centre_never_takes_does_not_hold_up_the_others() {
    let server = Server::start();
    server.with(|shelf| shelf.answer_to = BTreeMap::from([(1, 422), (2, 413), (3, 500)]));
    let dir = tempfile::tempdir().unwrap();
    let outbox = open(dir.path());
    for n in 1..=8 {
        put(&outbox, &[n; 100]);
    }
    let uplink = uploading(&server, &outbox);
    until("the good ones arrive", || {
        server.with(|shelf| shelf.stored.len()) == 5
    });
    until("two are given up", || {
        uplink.status().outbox.evidence_refused == 2
    });
    assert_eq!(uplink.status().uploads_waiting, 1, "500 may pass");
    server.with(|shelf| shelf.answer_to.clear());
    until("and it passes", || uplink.status().uploads_waiting == 0);
}

#[test]
fn a_refused_token_waits_for_the_operator_and_says_so() {
    let server = Server::start();
    server.with(|shelf| shelf.token = Some("secret".to_owned()));
    let dir = tempfile::tempdir().unwrap();
    let outbox = open(dir.path());
    put(&outbox, b"still");
    let uplink = uploading(&server, &outbox);
    until("the refusal is known", || {
        uplink
            .status()
            .last_upload_error
            .unwrap_or_default()
            .contains("correct `evidence_token`")
    });
    assert_eq!(uplink.status().uploads_waiting, 1);
}

#[test]
fn a_file_that_is_gone_is_counted_and_holds_nothing_up() {
    let server = Server::start();
    let dir = tempfile::tempdir().unwrap();
    let outbox = open(dir.path());
    let name = put(&outbox, b"gone").to_string();
    std::fs::remove_file(dir.path().join("evidence").join(&name[..2]).join(&name)).unwrap();
    put(&outbox, b"there");
    let uplink = uploading(&server, &outbox);
    until("the other one arrives", || {
        uplink.status().uploads_done == 1
    });
    until("the queue is empty", || {
        uplink.status().uploads_waiting == 0
    });
    assert_eq!(uplink.status().outbox.evidence_missing, 1);
}

#[test]
fn an_upload_error_is_over_when_nothing_is_left_to_upload() {
    let server = Server::start();
    server.with(|shelf| shelf.answer_to = BTreeMap::from([(1, 422)]));
    let dir = tempfile::tempdir().unwrap();
    let outbox = open(dir.path());
    put(&outbox, &[1; 100]);
    let uplink = uploading(&server, &outbox);
    until("it is told", || uplink.status().last_upload_error.is_some());
    until("it is given up", || {
        uplink.status().outbox.evidence_refused == 1
    });
    until("it is over", || uplink.status().last_upload_error.is_none());
}

#[test]
fn a_file_that_rotted_on_the_disk_is_not_uploaded() {
    let server = Server::start();
    let dir = tempfile::tempdir().unwrap();
    let outbox = open(dir.path());
    let name = put(&outbox, b"what was seen").to_string();
    std::fs::write(
        dir.path().join("evidence").join(&name[..2]).join(&name),
        b"what was not",
    )
    .unwrap();
    put(&outbox, b"sound");
    let uplink = uploading(&server, &outbox);
    until("the sound one arrives", || {
        server.with(|shelf| shelf.stored.len()) == 1
    });
    until("the other is given up", || {
        uplink.status().outbox.evidence_refused == 1
    });
    assert_eq!(server.with(|shelf| shelf.puts), 1);
}
