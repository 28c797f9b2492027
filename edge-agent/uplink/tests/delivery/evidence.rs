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
    /// What came of a file, when the server knows how to go on with one.
    pub(crate) parts: Option<BTreeMap<String, Vec<u8>>>,
    /// Uploads that break off in the middle.
    pub(crate) break_off: u32,
    /// Bytes of bodies that came.
    pub(crate) bytes: usize,
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
    let name = path.rsplit('/').next().unwrap_or("").to_owned();
    let mut body = vec![0; length];
    let breaks_off = {
        let mut shelf = shelf.lock().unwrap();
        let breaks_off = method == "PUT" && shelf.break_off > 0;
        shelf.break_off -= u32::from(breaks_off);
        breaks_off
    };
    if breaks_off {
        body.truncate(length / 2);
    }
    reader.read_exact(&mut body)?;
    let mut shelf = shelf.lock().unwrap();
    shelf.bytes += body.len();
    if let Some(range) = headers.get("content-range") {
        let from = range.strip_prefix("bytes ").and_then(|r| r.split_once('-'));
        let part = shelf
            .parts
            .as_mut()
            .unwrap()
            .entry(name.clone())
            .or_default();
        assert_eq!(from.unwrap().0, part.len().to_string());
        part.append(&mut body);
        body.clone_from(part);
    }
    if breaks_off {
        return Ok(());
    }
    let status = shelf.answer(&method, &path, &headers, body);
    let offset = match (&shelf.parts, status) {
        (Some(parts), 404) => {
            let here = parts.get(&name).map_or(0, Vec::len);
            format!("Upload-Offset: {here}\r\n")
        }
        _ => String::new(),
    };
    drop(shelf);
    write!(
        client,
        "HTTP/1.1 {status} X\r\n{offset}Content-Length: 0\r\nConnection: close\r\n\r\n"
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

/// `None`: a centre that does not know how to go on with a file.
#[test]
fn an_upload_that_broke_off_goes_on_where_it_ended_when_the_centre_knows_how() {
    let clip: Vec<u8> = (0..400_000_u32).map(|n| (n % 251) as u8).collect();
    for (parts, bytes) in [(Some(BTreeMap::new()), 400_000), (None, 700_000)] {
        let server = Server::start();
        server.with(|shelf| (shelf.parts, shelf.break_off) = (parts, 2));
        let dir = tempfile::tempdir().unwrap();
        let outbox = open(dir.path());
        let digest = put(&outbox, &clip);
        let uplink = uploading(&server, &outbox);
        until("it is uploaded", || uplink.status().uploads_done == 1);
        server.with(|shelf| {
            assert_eq!(shelf.stored[&digest.to_string()].1, clip);
            // Half, half of the rest, the rest; or half, half, all.
            let most = if shelf.parts.is_some() {
                400_000
            } else {
                800_000
            };
            assert!(
                (bytes..=most).contains(&shelf.bytes),
                "{} bytes",
                shelf.bytes
            );
        });
    }
}

#[test]
fn evidence_keeps_to_its_rate_and_a_file_that_is_there_is_not_sent() {
    let server = Server::start();
    let dir = tempfile::tempdir().unwrap();
    let outbox = open(dir.path());
    let there: Vec<u8> = vec![3; 200_000];
    let known = Digest(Sha256::digest(&there).into()).to_string();
    server.with(|shelf| shelf.stored.insert(known, (String::new(), there.clone())));
    put(&outbox, &there);
    for n in 0..5_u8 {
        put(&outbox, &vec![n; 40_000]);
    }
    let mut settings = settings("mqtt://127.0.0.1:9");
    settings.evidence_url = server.url();
    settings.evidence_kbit_s = Some(800); // 100,000 bytes a second
    let begun = std::time::Instant::now();
    let uplink = start(settings, &outbox);
    until("all is there", || uplink.status().uploads_done == 6);
    let took = begun.elapsed().as_secs_f64();
    assert!(took > 1.8, "200,000 bytes took {took:.1} s");
    assert_eq!(server.with(|shelf| shelf.bytes), 200_000);
}
