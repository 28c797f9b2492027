//! Evidence: stored by hash, joined by event, whichever comes first.

use protocol::event::Words;
use protocol::evidence::{EvidenceItem, EvidenceRole, Missing};

use crate::announced::{digest, file, manifest_of, path};
use crate::support::{Line, Running, a_box, eventually};

const JPEG: [(&str, &str); 1] = [("content-type", "image/jpeg")];

#[test]
fn file_manifest_and_event_meet_in_any_order() {
    // 0 = event, 1 = manifest, 2 = file.
    for order in [
        [0, 1, 2],
        [0, 2, 1],
        [1, 0, 2],
        [1, 2, 0],
        [2, 0, 1],
        [2, 1, 0],
    ] {
        let centre = Running::start();
        let speaker = a_box("b1", 1);
        let event = speaker.event(1);
        let picture = b"a picture".to_vec();
        let manifest = manifest_of(event.id, [file(EvidenceRole::StillAnnotated, &picture)]);
        let mut line = Line::connected(centre.mqtt, "box", None);
        for (place, what) in (1..).zip(order) {
            match what {
                0 => line.publish(&speaker.event_topic(), 1, speaker.letter_of(&event, place)),
                1 => line.publish(
                    &speaker.event_topic(),
                    1,
                    speaker.manifest(&manifest, place),
                ),
                _ => {
                    assert_eq!(
                        centre.api().put(&path(&picture), &JPEG, &picture).status,
                        201
                    );
                    continue;
                }
            }
            line.acknowledged(1);
        }
        let alert = centre
            .api()
            .get(&format!("/api/v1/alerts/{}", event.id))
            .json();
        assert_eq!(alert["still_url"], path(&picture).as_str(), "{order:?}");
        assert_eq!(alert["still_clean_url"], serde_json::Value::Null);
        assert_eq!(alert["evidence"][0]["role"], "still_annotated");
        assert_eq!(alert["evidence"][0]["available"], true);
        assert_eq!(centre.api().get(&path(&picture)).body, picture);
    }
}

#[test]
fn a_picture_that_has_not_arrived_is_announced_but_not_shown() {
    let centre = Running::start();
    let speaker = a_box("b1", 1);
    let event = speaker.event(1);
    let manifest = manifest_of(event.id, [file(EvidenceRole::StillClean, b"later")]);
    let mut line = Line::connected(centre.mqtt, "box", None);
    line.publish(&speaker.event_topic(), 1, speaker.letter_of(&event, 1));
    line.publish(&speaker.event_topic(), 2, speaker.manifest(&manifest, 2));
    line.acknowledged(2);
    let alert = || {
        centre
            .api()
            .get(&format!("/api/v1/alerts/{}", event.id))
            .json()
    };
    let before = alert();
    assert_eq!(before["still_clean_url"], serde_json::Value::Null);
    assert_eq!(before["evidence"][0]["available"], false);
    centre.api().put(&path(b"later"), &JPEG, b"later");
    let after = alert();
    assert_eq!(after["still_clean_url"], path(b"later").as_str());
    assert!(
        after["change"].as_i64() > before["change"].as_i64(),
        "the screen must hear of it"
    );
}

/// By a manifest without items, as a box sends it that has given a file up.
#[test]
fn what_will_never_come_is_said_at_the_alert() {
    let centre = Running::start();
    let speaker = a_box("b1", 1);
    let event = speaker.event(1);
    let clip = EvidenceItem {
        media_type: "video/mp4".to_owned(),
        ..file(EvidenceRole::Clip, b"given up")
    };
    let mut manifest = manifest_of(event.id, [clip]);
    let mut line = Line::connected(centre.mqtt, "box", None);
    line.publish(&speaker.event_topic(), 1, speaker.letter_of(&event, 1));
    line.publish(&speaker.event_topic(), 2, speaker.manifest(&manifest, 2));
    manifest.items.clear();
    manifest.missing.push(Missing {
        role: EvidenceRole::Clip,
        at: None,
        reason: Words::new("thiếu chỗ", "want of room"),
    });
    let gone = String::from_utf8(speaker.manifest(&manifest, 3)).unwrap();
    let gone = gone.replacen(".evidence", ".evidence-gone", 1);
    line.publish(&speaker.event_topic(), 3, gone);
    line.acknowledged(3);
    let path = format!("/api/v1/alerts/{}", event.id);
    let alert = centre.api().get(&path).json();
    assert_eq!(alert["evidence"][0]["available"], false);
    assert_eq!(alert["missing"][0]["role"], "clip");
    assert_eq!(alert["missing"][0]["reason"]["en"], "want of room");
}

#[test]
fn another_camera_cannot_add_pictures_to_an_alert() {
    let centre = Running::start();
    let (accuser, other) = (a_box("b1", 1), a_box("b2", 2));
    let event = accuser.event(1);
    let manifest = manifest_of(event.id, [file(EvidenceRole::StillClean, b"forged")]);
    // Before and after the event it is about.
    let mut line = Line::connected(centre.mqtt, "other", None);
    line.publish(&other.event_topic(), 1, other.manifest(&manifest, 1));
    line.acknowledged(1);
    let mut honest = Line::connected(centre.mqtt, "honest", None);
    honest.publish(&accuser.event_topic(), 1, accuser.letter_of(&event, 1));
    honest.acknowledged(1);
    let mut again = manifest.clone();
    again.items[0].role = EvidenceRole::StillAnnotated;
    let letter = String::from_utf8(other.manifest(&again, 2)).unwrap();
    let letter = letter.replacen(".evidence", ".evidence.2", 1);
    line.publish(&other.event_topic(), 2, letter);
    line.acknowledged(2);
    let alert = centre
        .api()
        .get(&format!("/api/v1/alerts/{}", event.id))
        .json();
    assert_eq!(alert["evidence"], serde_json::json!([]));
}

#[test]
fn storing_is_safe_to_repeat_and_faults_are_named() {
    let centre = Running::with(|config| config.http.max_evidence_mb = 1);
    let api = centre.api();
    let bytes = b"bytes".to_vec();
    assert_eq!(api.head(&path(&bytes)).status, 404);
    assert_eq!(api.put(&path(&bytes), &JPEG, &bytes).status, 201);
    assert_eq!(api.put(&path(&bytes), &JPEG, &bytes).status, 200);
    let head = api.head(&path(&bytes));
    assert_eq!((head.status, head.header("content-length")), (200, "5"));
    assert_eq!(head.header("content-type"), "image/jpeg");
    let large = vec![0; 2 * 1024 * 1024];
    let html = [("content-type", "text/html")];
    for (answer, status, word) in [
        (api.put(&path(b"other"), &JPEG, &bytes), 422, "wrong-hash"),
        (
            api.put("/api/v1/evidence/12", &JPEG, &bytes),
            400,
            "bad-request",
        ),
        (
            api.put(&path(b"page"), &html, b"page"),
            415,
            "unsupported-media-type",
        ),
        (api.put(&path(&large), &JPEG, &large), 413, "too-large"),
        (api.get(&path(b"other")), 404, "not-found"),
    ] {
        let problem = answer.json();
        assert_eq!(answer.status, status, "{problem}");
        assert_eq!(problem["type"], format!("urn:ngatu:problem:{word}"));
    }
    let left = walk(&centre.folder.path().join("evidence"));
    assert_eq!(left, 1, "refused uploads leave nothing behind");
    let part = api.get_with(&path(&bytes), &[("range", "bytes=1-3")]);
    assert_eq!((part.status, part.body.as_slice()), (206, &b"yte"[..]));
    assert_eq!(part.header("content-range"), "bytes 1-3/5");
    let none = api.get_with(&path(&bytes), &[("range", "bytes=9-")]);
    assert_eq!(
        (none.status, none.header("content-range")),
        (416, "bytes */5")
    );
}

fn walk(folder: &std::path::Path) -> usize {
    std::fs::read_dir(folder)
        .unwrap()
        .map(|entry| {
            let path = entry.unwrap().path();
            if path.is_dir() { walk(&path) } else { 1 }
        })
        .sum()
}

#[test]
fn an_upload_that_breaks_off_leaves_nothing_and_can_be_repeated() {
    use std::io::Write;
    let centre = Running::start();
    let bytes = vec![7; 3 * 1024 * 1024];
    let mut socket = std::net::TcpStream::connect(centre.http).unwrap();
    let head = format!(
        "PUT {} HTTP/1.1\r\nHost: {}\r\nContent-Type: image/jpeg\r\nContent-Length: {}\r\n\r\n",
        path(&bytes),
        centre.http,
        bytes.len()
    );
    socket.write_all(head.as_bytes()).unwrap();
    socket.write_all(&bytes[..2 * 1024 * 1024]).unwrap();
    drop(socket);
    let folder = centre.folder.path().join("evidence");
    eventually("the half is gone", || (walk(&folder) == 0).then_some(()));
    assert_eq!(centre.api().put(&path(&bytes), &JPEG, &bytes).status, 201);
}

#[test]
fn an_upload_that_broke_off_goes_on_where_it_ended() {
    use std::io::Write;
    let centre = Running::start();
    let api = centre.api();
    let bytes: Vec<u8> = (0..3_000_000_u32).map(|n| (n % 251) as u8).collect();
    let path = path(&bytes);
    let offset = || -> usize { api.head(&path).header("upload-offset").parse().unwrap() };
    let rest = |from: usize, body: &[u8]| {
        let range = format!("bytes {from}-{}/{}", bytes.len() - 1, bytes.len());
        let headers = [("content-type", "image/jpeg"), ("content-range", &range)];
        api.put(&path, &headers, body)
    };
    assert_eq!(offset(), 0);
    let mut socket = std::net::TcpStream::connect(centre.http).unwrap();
    let head = format!(
        "PUT {path} HTTP/1.1\r\nHost: {}\r\nContent-Type: image/jpeg\r\nContent-Length: 3000000\r\nContent-Range: bytes 0-2999999/3000000\r\n\r\n",
        centre.http,
    );
    socket.write_all(head.as_bytes()).unwrap();
    socket.write_all(&bytes[..2_000_000]).unwrap();
    drop(socket);
    eventually("what came is kept", || (offset() > 0).then_some(()));
    // Somebody who believes that more is here is told how much it is.
    let last = bytes.len() - 1;
    let misplaced = rest(last, &bytes[last..]);
    assert_eq!(misplaced.status, 409);
    let here: usize = misplaced.header("upload-offset").parse().unwrap();
    assert!(here <= 2_000_000);
    assert_eq!(rest(here, &bytes[here..]).status, 201);
    assert_eq!(api.get(&path).body, bytes);
    assert_eq!(walk(&centre.folder.path().join("evidence.parts")), 0);
    assert_eq!(rest(0, &bytes).status, 200, "it is here already");
}

/// Of a line that died under it a centre knows nothing for a while, and the box
/// that comes anew must not wait for that.
#[test]
fn who_comes_anew_takes_the_place_of_an_upload_that_hangs() {
    use std::io::Write;
    let centre = Running::start();
    let api = centre.api();
    let bytes: Vec<u8> = (0..300_000_u32).map(|n| (n % 241) as u8).collect();
    let path = path(&bytes);
    let mut hanging = std::net::TcpStream::connect(centre.http).unwrap();
    let head = format!(
        "PUT {path} HTTP/1.1\r\nHost: {}\r\nContent-Type: image/jpeg\r\nContent-Length: 300000\r\nContent-Range: bytes 0-299999/300000\r\n\r\n",
        centre.http,
    );
    hanging.write_all(head.as_bytes()).unwrap();
    hanging.write_all(&bytes[..200_000]).unwrap();
    let offset = || -> usize { api.head(&path).header("upload-offset").parse().unwrap() };
    let stored = eventually("the place of the other one", || {
        let from = offset();
        let (end, whole) = ((from + 100_000).min(bytes.len()), bytes.len());
        let range = format!("bytes {from}-{}/{whole}", end - 1);
        let headers = [("content-type", "image/jpeg"), ("content-range", &range)];
        match api.put(&path, &headers, &bytes[from..end]).status {
            201 => Some(true),
            // The other one was still writing when the offset was asked for.
            202 | 409 => None,
            status => panic!("{status}"),
        }
    });
    assert!(stored);
    assert_eq!(api.get(&path).body, bytes);
    drop(hanging);
}

#[test]
fn a_part_with_wrong_bytes_in_it_is_begun_anew() {
    let centre = Running::start();
    let api = centre.api();
    let path = path(b"0123456789");
    let with = |range| [("content-type", "image/jpeg"), ("content-range", range)];
    for (range, body, status) in [
        ("bytes 0-9/10", &b"01234wrong"[..], 422),
        ("bytes 5-9/10", b"56789", 409),
        ("bytes 0-10/10", b"01234567890", 400),
        ("bytes 5-4/10", b"", 400),
        ("bytes 0-2/10", b"012", 202),
        ("bytes 3-5/10", b"345", 202),
        // What is said again takes the place of what is here.
        ("bytes 3-5/10", b"345", 202),
        ("bytes 6-9/10", b"wxyz", 422),
        ("bytes 0-9/99999999999", b"0123456789", 413),
        ("0-9/10", b"0123456789", 400),
        ("bytes 0-9/10", b"0123456789", 201),
    ] {
        let answer = api.put(&path, &with(range), body);
        assert_eq!(answer.status, status, "{range}");
    }
}

#[test]
fn an_upload_needs_the_token_where_there_is_one() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("token");
    std::fs::write(&file, "s3cret\n").unwrap();
    let centre = Running::with(|config| config.http.evidence_token_file = Some(file));
    let put = |authorization: &str| {
        let headers = [
            ("content-type", "image/jpeg"),
            ("authorization", authorization),
        ];
        centre.api().put(&path(b"x"), &headers, b"x").status
    };
    assert_eq!(put("Bearer wrong"), 401);
    assert_eq!(put("s3cret"), 401);
    assert_eq!(centre.api().put(&path(b"x"), &JPEG, b"x").status, 401);
    assert_eq!(put("Bearer s3cret"), 201);
}

/// Where a file is on disk.
fn stored(centre: &Running, bytes: &[u8]) -> std::path::PathBuf {
    let name = digest(bytes).to_string();
    let folder = centre.folder.path().join("evidence");
    folder.join(&name[..2]).join(&name[2..])
}

#[test]
fn a_stored_file_that_is_gone_or_cut_short_is_not_here_and_is_taken_again() {
    let centre = Running::start();
    let api = centre.api();
    let bytes = b"a picture".to_vec();
    let path = path(&bytes);
    let file = stored(&centre, &bytes);
    let damages = [
        ("gone", None),
        ("cut short", Some("a pic")),
        ("empty", Some("")),
    ];
    assert_eq!(api.put(&path, &JPEG, &bytes).status, 201);
    for (how, left) in damages {
        match left {
            None => std::fs::remove_file(&file).unwrap(),
            Some(left) => std::fs::write(&file, left).unwrap(),
        }
        assert_eq!(api.head(&path).status, 404, "{how}");
        let missing = api.get(&path);
        assert_eq!(missing.status, 404, "{how}");
        assert_eq!(missing.json()["type"], "urn:ngatu:problem:not-found");
        assert_eq!(api.put(&path, &JPEG, &bytes).status, 201, "{how}");
        assert_eq!(api.put(&path, &JPEG, &bytes).status, 200, "{how}");
        assert_eq!(api.head(&path).status, 200, "{how}");
        assert_eq!(api.get(&path).body, bytes, "{how}");
    }
}

/// Begins a request and stops talking in the middle.
fn stalled(centre: &Running, text: &str) -> std::net::TcpStream {
    use std::io::Write;
    let mut socket = std::net::TcpStream::connect(centre.http).unwrap();
    socket
        .set_read_timeout(Some(crate::support::DEADLINE))
        .unwrap();
    socket.write_all(text.as_bytes()).unwrap();
    socket
}

/// Everything that comes until the other side hangs up.
fn rest(mut socket: std::net::TcpStream) -> String {
    use std::io::Read;
    let mut answer = Vec::new();
    // A reset after the answer is an end as well.
    drop(socket.read_to_end(&mut answer));
    String::from_utf8_lossy(&answer).into_owned()
}

#[test]
fn uploads_that_stall_lose_their_place() {
    let centre = Running::with(|config| config.http.idle_s = 0.5);
    let begun = |n: u8| {
        let text = format!(
            "PUT {} HTTP/1.1\r\nHost: {}\r\nContent-Type: image/jpeg\r\n\
             Connection: close\r\nContent-Length: 100000\r\n\r\nthe beginning",
            path(&[n]),
            centre.http
        );
        stalled(&centre, &text)
    };
    // One more than there are places.
    let sockets: Vec<_> = (0..33).map(begun).collect();
    for socket in sockets {
        let answer = rest(socket);
        assert!(
            answer.starts_with("HTTP/1.1 408 ") || answer.starts_with("HTTP/1.1 503 "),
            "{answer}"
        );
    }
    let bytes = b"of a box that works";
    assert_eq!(centre.api().put(&path(bytes), &JPEG, bytes).status, 201);
    let left = walk(&centre.folder.path().join("evidence"));
    assert_eq!(left, 1, "what stalled leaves nothing behind");
}

/// One place, and more slow lines than there once were places: each of them is taken
/// in, and a fast one between them. The slow ones held every place until they were
/// through, and what came meanwhile was refused after it had been sent.
#[test]
fn slow_lines_hold_up_no_upload() {
    use std::io::Write;
    let centre = Running::with(|config| {
        config.http.idle_s = 3600.0;
        config.http.max_uploads = 1;
    });
    let bytes = |n: u8| vec![n; 20_000];
    let begun = |n: u8| {
        // In a piece, or whole.
        let range = if n.is_multiple_of(2) {
            "Content-Range: bytes 0-19999/20000\r\n"
        } else {
            ""
        };
        let head = format!(
            "PUT {} HTTP/1.1\r\nHost: {}\r\nContent-Type: image/jpeg\r\n{range}\
             Connection: close\r\nContent-Length: 20000\r\n\r\n",
            path(&bytes(n)),
            centre.http
        );
        let mut socket = stalled(&centre, &head);
        socket.write_all(&bytes(n)[..12_000]).unwrap();
        socket
    };
    let slow: Vec<_> = (0..40).map(begun).collect();
    let api = centre.api();
    eventually("the beginning of each is here", || {
        let offset = |n| {
            api.head(&path(&bytes(n)))
                .header("upload-offset")
                .to_owned()
        };
        (0..40).all(|n| offset(n) != "0").then_some(())
    });
    assert_eq!(api.put(&path(b"fast"), &JPEG, b"fast").status, 201);
    for (n, mut socket) in (0..).zip(slow) {
        socket.write_all(&bytes(n)[12_000..]).unwrap();
        let answer = rest(socket);
        assert!(answer.starts_with("HTTP/1.1 201 "), "{n}: {answer}");
    }
}

#[test]
fn a_slow_upload_that_moves_is_taken() {
    use std::io::Write;
    let centre = Running::with(|config| config.http.idle_s = 1.0);
    let bytes = vec![5; 40 * 1024];
    let head = format!(
        "PUT {} HTTP/1.1\r\nHost: {}\r\nContent-Type: image/jpeg\r\n\
         Connection: close\r\nContent-Length: {}\r\n\r\n",
        path(&bytes),
        centre.http,
        bytes.len()
    );
    let mut socket = stalled(&centre, &head);
    // Longer in all than the idle time, never as long without a piece.
    for piece in bytes.chunks(8 * 1024) {
        std::thread::sleep(std::time::Duration::from_millis(300));
        socket.write_all(piece).unwrap();
    }
    let answer = rest(socket);
    assert!(answer.starts_with("HTTP/1.1 201 "), "{answer}");
}

/// A sender that does not look at the answer before it is through, as most
/// clients, would otherwise see a broken pipe and send the same for ever.
#[test]
fn a_refusal_is_heard_by_one_who_is_still_sending() {
    use std::io::{Read, Write};
    let centre = Running::with(|config| config.http.max_evidence_mb = 1);
    let bytes = vec![5; 16 * 1024 * 1024];
    for (refused, media_type) in [("413", "image/jpeg"), ("415", "text/html")] {
        let head = format!(
            "PUT {} HTTP/1.1\r\nHost: {}\r\nContent-Type: {media_type}\r\n\
             Content-Length: {}\r\n\r\n",
            path(&bytes),
            centre.http,
            bytes.len()
        );
        let mut socket = stalled(&centre, &head);
        socket.write_all(&bytes[..2 * 1024 * 1024]).unwrap();
        // The refusal is there, and with it all that the centre had to say.
        let mut answer = [0; 12];
        socket.read_exact(&mut answer).unwrap();
        assert_eq!(answer, *format!("HTTP/1.1 {refused}").as_bytes());
        socket.write_all(&bytes[2 * 1024 * 1024..]).unwrap();
        // The line is as good as before.
        let next = format!(
            "GET /healthz HTTP/1.1\r\nHost: {}\r\nConnection: close\r\n\r\n",
            centre.http
        );
        socket.write_all(next.as_bytes()).unwrap();
        assert!(rest(socket).contains("HTTP/1.1 200 "), "{refused}");
    }
}

#[test]
fn connections_are_limited_and_silent_ones_are_closed() {
    let centre = Running::with(|config| {
        config.http.max_connections = 2;
        config.http.idle_s = 0.5;
    });
    let half = "GET /healthz HTTP/1.1\r\nHost: x\r\n";
    let silent = [stalled(&centre, half), stalled(&centre, "")];
    // Taken at once or turned away, but never kept.
    let third = rest(stalled(
        &centre,
        &format!("{half}Connection: close\r\n\r\n"),
    ));
    assert!(!third.contains("200 OK"), "there were two places: {third}");
    for socket in silent {
        let answer = rest(socket);
        assert!(!answer.contains("200"), "{answer}");
    }
    eventually("a place", || {
        let text = format!("{half}Connection: close\r\n\r\n");
        rest(stalled(&centre, &text))
            .contains("200 OK")
            .then_some(())
    });
    assert!(centre.api().metric("aggregator_http_refused_total") >= 1.0);
}

#[test]
fn a_decision_that_stops_coming_is_given_up() {
    let centre = Running::with(|config| config.http.idle_s = 0.5);
    let text = format!(
        "POST /api/v1/alerts/00000000-0000-0000-0000-000000000000/acknowledge HTTP/1.1\r\n\
         Host: {}\r\nContent-Type: application/json\r\nConnection: close\r\n\
         Content-Length: 20\r\n\r\n{{\"actor\"",
        centre.http
    );
    let answer = rest(stalled(&centre, &text));
    assert!(answer.starts_with("HTTP/1.1 400 "), "{answer}");
}

/// As a kill between the last byte and the rename leaves it. The sender says its
/// last byte again; one that believes in less than is here replaces what it sends.
#[test]
fn a_part_that_is_complete_is_finished_by_its_last_byte() {
    let centre = Running::start();
    let api = centre.api();
    let bytes = b"0123456789".to_vec();
    let path = path(&bytes);
    let parts = centre.folder.path().join("evidence.parts");
    let part = parts.join(digest(&bytes).to_string());
    for (left, from) in [
        ("0123456789", 9),
        ("0123456789", 4),
        ("01234wrong", 5),
        ("012", 3),
    ] {
        std::fs::write(&part, left).unwrap();
        assert_eq!(
            api.head(&path).header("upload-offset"),
            left.len().to_string()
        );
        let range = format!("bytes {from}-9/10");
        let headers = [("content-type", "image/jpeg"), ("content-range", &range)];
        assert_eq!(
            api.put(&path, &headers, &bytes[from..]).status,
            201,
            "{left} {from}"
        );
        assert_eq!(api.get(&path).body, bytes);
        assert_eq!(walk(&parts), 0);
        std::fs::remove_file(stored(&centre, &bytes)).unwrap();
    }
    std::fs::write(&part, "0123").unwrap();
    assert_eq!(
        api.put(&path, &JPEG, &bytes).status,
        201,
        "also when it is sent whole"
    );
    assert_eq!(walk(&parts), 0);
}

#[test]
fn who_stored_a_file_is_told_which() {
    let centre = Running::start();
    let (bytes, name) = (b"a picture", digest(b"a picture"));
    for status in [201, 200] {
        let answer = centre.api().put(&path(bytes), &JPEG, bytes);
        assert_eq!(answer.status, status);
        assert_eq!(answer.header("etag"), format!("\"{name}\""));
    }
    let head = centre.api().head(&path(bytes));
    assert_eq!(head.header("etag"), format!("\"{name}\""));
    assert_eq!(head.header("content-length"), bytes.len().to_string());
}
