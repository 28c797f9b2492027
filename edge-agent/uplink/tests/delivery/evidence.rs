//! Evidence over real HTTP, to a server that can be made to fail.

use std::collections::BTreeMap;
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::Duration;

use edge_uplink::{DiskBudget, Outbox, Uplink};
use protocol::evidence::EvidenceRole;
use protocol::{Digest, Receipt};
use sha2::{Digest as _, Sha256};

use crate::samples::at;
use crate::{open, settings, start, until};

#[derive(Default)]
pub(crate) struct Shelf {
    pub(crate) stored: BTreeMap<String, (String, Vec<u8>)>,
    /// What a proxy answers to everything, when set.
    pub(crate) answer_all: Option<u16>,
    /// Answer to a file, by its first byte.
    pub(crate) answer_to: BTreeMap<u8, u16>,
    /// What a proxy answers to a file, by its first byte.
    pub(crate) proxy_to: BTreeMap<u8, u16>,
    /// It is from before an upload's answer named the file, and before a part could be finished.
    pub(crate) is_old: bool,
    pub(crate) puts: u32,
    pub(crate) token: Option<String>,
    /// What came of a file, when the server knows how to go on with one.
    pub(crate) parts: Option<BTreeMap<String, Vec<u8>>>,
    /// Uploads that break off in the middle.
    pub(crate) break_off: u32,
    /// Bytes of bodies that came.
    pub(crate) bytes: usize,
    /// The centre takes pieces that do not end a file.
    pub(crate) takes_pieces: bool,
    /// How long the line holds each body back.
    pub(crate) holds: Duration,
    /// Lengths of the bodies of PUTs.
    pub(crate) bodies: Vec<usize>,
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
    if method == "PUT" {
        let holds = shelf.lock().unwrap().holds;
        std::thread::sleep(holds);
    }
    let mut shelf = shelf.lock().unwrap();
    shelf.bytes += body.len();
    if method == "PUT" {
        shelf.bodies.push(body.len());
    }
    let mut is_whole = true;
    if let Some(range) = headers.get("content-range") {
        let whole = range.rsplit_once('/').unwrap().1;
        let from = range.strip_prefix("bytes ").and_then(|r| r.split_once('-'));
        let from: usize = from.unwrap().0.parse().unwrap();
        let is_old = shelf.is_old;
        let parts = shelf.parts.as_mut().unwrap();
        let part = parts.entry(name.clone()).or_default();
        if is_old && from < part.len() {
            return reply(&mut client, 409, "", "");
        }
        assert!(from <= part.len());
        part.truncate(from);
        part.append(&mut body);
        body.clone_from(part);
        is_whole = whole == body.len().to_string();
    }
    if breaks_off {
        return Ok(());
    }
    let (status, word) = if is_whole {
        shelf.answer(&method, &path, &headers, body)
    } else {
        assert!(shelf.takes_pieces);
        (202, None)
    };
    let mut more = Vec::new();
    if let (Some(parts), 202 | 404) = (&shelf.parts, status) {
        let here = parts.get(&name).map_or(0, Vec::len);
        more.push(format!("Upload-Offset: {here}\r\n"));
        if shelf.takes_pieces {
            more.push("Upload-Pieces: any\r\n".to_owned());
        }
    }
    if shelf.answer_all.is_none()
        && matches!(status, 200 | 201)
        && (method == "HEAD" || !shelf.is_old)
    {
        more.push(format!("ETag: \"{name}\"\r\n"));
    }
    if let (Some((_, bytes)), "HEAD") = (shelf.stored.get(&name), &*method) {
        more.push(format!("Content-Length: {}\r\n", bytes.len()));
    }
    drop(shelf);
    let mut problem = String::new();
    if let Some(word) = word {
        more.push("Content-Type: application/problem+json\r\n".to_owned());
        // In the answer to a HEAD there is no body.
        if method != "HEAD" {
            problem = format!("{{\"type\":\"urn:ngatu:problem:{word}\",\"status\":{status}}}");
        }
    }
    reply(&mut client, status, &more.concat(), &problem)
}

fn reply(client: &mut TcpStream, status: u16, more: &str, body: &str) -> std::io::Result<()> {
    let length = if more.contains("Content-Length") {
        String::new()
    } else {
        format!("Content-Length: {}\r\n", body.len())
    };
    write!(
        client,
        "HTTP/1.1 {status} X\r\n{more}{length}Connection: close\r\n\r\n{body}"
    )
}

impl Shelf {
    /// A status, and the type of the centre's own problem.
    fn answer(
        &mut self,
        method: &str,
        path: &str,
        headers: &BTreeMap<String, String>,
        body: Vec<u8>,
    ) -> (u16, Option<&'static str>) {
        let Some(name) = path.strip_prefix("/api/v1/evidence/") else {
            return (404, None);
        };
        if let Some(status) = self.answer_all {
            return (status, None);
        }
        if self.token.is_some()
            && headers.get("authorization")
                != self.token.as_ref().map(|t| format!("Bearer {t}")).as_ref()
        {
            return (401, Some("unauthorised"));
        }
        if method == "HEAD" {
            let is_here = self.stored.contains_key(name);
            return if is_here {
                (200, None)
            } else {
                (404, Some("not-found"))
            };
        }
        self.puts += 1;
        let first = body.first().unwrap_or(&0);
        if let Some(status) = self.proxy_to.get(first) {
            return (*status, None);
        }
        match self.answer_to.get(first) {
            Some(413) => return (413, Some("too-large")),
            Some(422) => return (422, Some("wrong-hash")),
            Some(status) => return (*status, Some("unavailable")),
            None => {}
        }
        if Digest(Sha256::digest(&body).into()).to_string() != name {
            return (422, Some("wrong-hash"));
        }
        let media_type = headers.get("content-type").cloned().unwrap_or_default();
        match self.stored.insert(name.to_owned(), (media_type, body)) {
            None => (201, None),
            Some(_) => (200, None),
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

/// A thin line holds every body back for seconds. A whole file would be given up
/// while it is still under way, and sent again and again.
#[test]
fn over_a_thin_line_a_file_goes_in_pieces_and_no_byte_goes_twice() {
    let clip: Vec<u8> = (0..400_000_u32).map(|n| (n % 251) as u8).collect();
    let server = Server::start();
    server.with(|shelf| {
        shelf.parts = Some(BTreeMap::new());
        shelf.takes_pieces = true;
        // As long as a piece is to take: the next one is not larger.
        shelf.holds = Duration::from_secs(4);
    });
    let dir = tempfile::tempdir().unwrap();
    let outbox = open(dir.path());
    let digest = put(&outbox, &clip);
    let uplink = uploading(&server, &outbox);
    until("it is uploaded", || uplink.status().uploads_done == 1);
    server.with(|shelf| {
        assert_eq!(shelf.stored[&digest.to_string()].1, clip);
        assert_eq!(shelf.bytes, clip.len());
        assert_eq!(shelf.bodies.iter().max(), Some(&65_536));
    });
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

/// A captive portal, a page that says that the data is used up, a proxy without a route.
#[test]
fn a_yes_of_something_else_than_the_centre_is_not_believed() {
    for status in [200, 201, 204] {
        let server = Server::start();
        server.with(|shelf| shelf.answer_all = Some(status));
        let dir = tempfile::tempdir().unwrap();
        let outbox = open(dir.path());
        put(&outbox, b"small");
        put(&outbox, &vec![7; 100_000]);
        let uplink = uploading(&server, &outbox);
        until("each was tried", || uplink.status().uploads_failed >= 4);
        let error = uplink.status().last_upload_error.unwrap();
        assert!(error.contains("something other than the centre"), "{error}");
        assert_eq!(uplink.status().uploads_waiting, 2);
        server.with(|shelf| shelf.answer_all = None);
        until("both arrive", || uplink.status().uploads_waiting == 0);
        assert_eq!(server.with(|shelf| shelf.stored.len()), 2);
    }
}

/// A web server that wants https, or that knows nothing of evidence. A whole clip was
/// once sent to it again and again, over a line that is paid by the megabyte.
#[test]
fn who_is_not_the_centre_gets_no_clip() {
    for status in [301, 302, 307, 404, 405, 410] {
        let server = Server::start();
        server.with(|shelf| shelf.answer_all = Some(status));
        let dir = tempfile::tempdir().unwrap();
        let outbox = open(dir.path());
        put(&outbox, &vec![7; 100_000]);
        let uplink = uploading(&server, &outbox);
        until("it was tried", || uplink.status().uploads_failed >= 3);
        let error = uplink.status().last_upload_error.unwrap();
        assert!(error.contains("evidence_url"), "{status}: {error}");
        assert_eq!(server.with(|shelf| shelf.bytes), 0, "{status}");
        server.with(|shelf| shelf.answer_all = None);
        until("it arrives", || uplink.status().uploads_waiting == 0);
    }
}

/// After a restart of the centre: what it still has costs a question and no more, also
/// where the copy cannot be read any more; the rest is sent.
#[test]
fn a_copy_that_the_centre_still_has_is_not_read_for_that() {
    let server = Server::start();
    let dir = tempfile::tempdir().unwrap();
    let outbox = Outbox::open(
        dir.path(),
        DiskBudget {
            ask_within: Duration::ZERO,
            ..DiskBudget::new(1 << 30)
        },
    )
    .unwrap();
    let files = [b"there", b"gone!"].map(|bytes| put(&outbox, bytes).to_string());
    let uplink = uploading(&server, &outbox);
    until("both are uploaded", || uplink.status().uploads_done == 2);
    for name in &files {
        let file = dir.path().join("evidence").join(&name[..2]).join(name);
        let bytes = server.with(|shelf| shelf.stored[name].1.clone());
        if name == &files[0] {
            // Of the same length: only who reads it finds out.
            std::fs::write(file, vec![0; bytes.len()]).unwrap();
        } else {
            server.with(|shelf| shelf.stored.remove(name));
        }
    }
    let opened_anew = Receipt {
        outbox: outbox.id(),
        through: 0,
        at: at(1),
        refused_for: None,
        opening: Some(uuid::Uuid::from_u128(7)),
    };
    outbox.take_receipt(&opened_anew).unwrap();
    until("both were asked for", || uplink.status().uploads_done == 4);
    assert_eq!(uplink.status().outbox.evidence_refused, 0);
    server.with(|shelf| {
        assert!(shelf.stored.contains_key(&files[1]));
        assert_eq!(shelf.puts, 3);
    });
}

#[test]
fn an_older_centre_that_does_not_say_which_file_it_took_is_asked() {
    let server = Server::start();
    server.with(|shelf| shelf.is_old = true);
    let dir = tempfile::tempdir().unwrap();
    let outbox = open(dir.path());
    put(&outbox, b"small");
    put(&outbox, &vec![7; 100_000]);
    let uplink = uploading(&server, &outbox);
    until("both arrive", || uplink.status().uploads_waiting == 0);
    assert_eq!(uplink.status().uploads_failed, 0);
}

/// nginx takes 1 MB unless it is told otherwise, and answers 400 to a
/// certificate that has run out. More such files than are looked at at a time.
#[test]
fn what_a_proxy_refuses_is_kept_and_holds_up_no_newer_file() {
    let server = Server::start();
    server.with(|shelf| shelf.proxy_to = BTreeMap::from([(1, 413), (2, 400), (3, 422), (4, 409)]));
    let dir = tempfile::tempdir().unwrap();
    let outbox = open(dir.path());
    for n in 0..80_u8 {
        put(&outbox, &[1 + n % 4, n]);
    }
    put(&outbox, b"a newer one");
    let uplink = uploading(&server, &outbox);
    until("the newer one arrives", || {
        uplink.status().uploads_done == 1
    });
    until("each has failed more than three times", || {
        uplink.status().uploads_failed > 240
    });
    let error = uplink.status().last_upload_error.unwrap();
    assert!(
        error.contains("proxy") || error.contains("another part"),
        "{error}"
    );
    assert_eq!(uplink.status().outbox.evidence_refused, 0);
    assert_eq!(uplink.status().uploads_waiting, 80);
    server.with(|shelf| shelf.proxy_to.clear());
    until("all arrive", || uplink.status().uploads_waiting == 0);
    assert_eq!(server.with(|shelf| shelf.stored.len()), 81);
}

#[test]
fn what_the_centre_refused_is_offered_again_at_the_next_start() {
    let server = Server::start();
    server.with(|shelf| shelf.answer_to = BTreeMap::from([(1, 413)]));
    let dir = tempfile::tempdir().unwrap();
    let outbox = open(dir.path());
    put(&outbox, &[1; 100]);
    let uplink = uploading(&server, &outbox);
    until("it is given up", || {
        uplink.status().outbox.evidence_refused == 1
    });
    drop((uplink, outbox));
    server.with(|shelf| shelf.answer_to.clear());
    let outbox = open(dir.path());
    let uplink = uploading(&server, &outbox);
    until("it arrives", || uplink.status().uploads_done == 1);
    assert_eq!(uplink.status().outbox.evidence_refused, 0);
}

/// As after a kill of the centre between the last byte and the rename. An older
/// centre cannot finish it by a piece, and is sent the whole.
#[test]
fn a_part_that_is_complete_is_finished() {
    let clip = vec![7_u8; 400_000];
    let digest = Digest(Sha256::digest(&clip).into());
    for (is_old, bytes) in [(false, 1), (true, 400_001)] {
        let server = Server::start();
        server.with(|shelf| {
            shelf.is_old = is_old;
            shelf.parts = Some(BTreeMap::from([(digest.to_string(), clip.clone())]));
        });
        let dir = tempfile::tempdir().unwrap();
        let outbox = open(dir.path());
        put(&outbox, &clip);
        let uplink = uploading(&server, &outbox);
        until("it is uploaded", || uplink.status().uploads_done == 1);
        server.with(|shelf| assert_eq!(shelf.bytes, bytes));
        assert_eq!(uplink.status().uploads_failed, 0);
    }
}
