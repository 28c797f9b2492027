//! What a client gets from the camera, over real sockets.

#![allow(clippy::unwrap_used)] // a test may panic; its steps live in plain functions

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use rtsp_camera::{Camera, CameraSettings, Clip, ClipCodec, Mount, TestPattern};

const PATIENCE: Duration = Duration::from_secs(10);

fn clip(folder: &std::path::Path, name: &str, pattern: TestPattern) -> Clip {
    let path = folder.join(name);
    pattern.write(&path).unwrap();
    Clip::load(&path).unwrap()
}

/// The status line and body of one DESCRIBE.
fn describe(address: SocketAddr, mount: &str) -> String {
    let mut stream = TcpStream::connect(address).unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    write!(
        stream,
        "DESCRIBE rtsp://{address}/{mount} RTSP/1.0\r\nCSeq: 1\r\nAccept: application/sdp\r\n\r\n"
    )
    .unwrap();
    let mut reader = BufReader::new(stream);
    let mut text = String::new();
    let mut length = 0;
    loop {
        let mut line = String::new();
        if reader.read_line(&mut line).unwrap() == 0 || line == "\r\n" {
            break;
        }
        if let Some(value) = line.strip_prefix("Content-Length:") {
            length = value.trim().parse().unwrap();
        }
        text += &line;
    }
    let mut body = vec![0; length];
    reader.read_exact(&mut body).unwrap();
    text + std::str::from_utf8(&body).unwrap()
}

#[test]
fn each_codec_is_described_and_an_unknown_mount_is_not_found() {
    let folder = tempfile::tempdir().unwrap();
    let mounts = [
        ("a", ClipCodec::H264, "a.mp4"),
        ("b", ClipCodec::H265, "b.mkv"),
        ("c", ClipCodec::Mjpeg, "c.avi"),
    ]
    .map(|(name, codec, file)| {
        let pattern = TestPattern {
            codec,
            pictures: 25,
            ..TestPattern::default()
        };
        let clip = clip(folder.path(), file, pattern);
        assert_eq!(clip.codec(), codec);
        assert_eq!(clip.pictures(), 25);
        assert_eq!(clip.length(), Duration::from_secs(1), "{name}");
        Mount::new(name, clip)
    });
    let camera = Camera::start(CameraSettings::loopback(mounts.into())).unwrap();
    for (mount, wanted) in [
        ("a", "H264/90000"),
        ("b", "H265/90000"),
        ("c", "m=video 0 RTP/AVP 26"),
        ("d", "404 Not Found"),
    ] {
        let answer = describe(camera.address(), mount);
        assert!(answer.contains(wanted), "{mount}: {answer}");
    }
}

#[test]
fn without_the_password_it_asks_for_a_digest() {
    let folder = tempfile::tempdir().unwrap();
    let clip = clip(folder.path(), "a.mp4", TestPattern::default());
    let camera = Camera::start(CameraSettings {
        login: Some(("viewer".into(), "right".into())),
        ..CameraSettings::loopback(vec![Mount::new("gate", clip)])
    })
    .unwrap();
    let answer = describe(camera.address(), "gate");
    assert!(answer.contains("401 Unauthorized"), "{answer}");
    assert!(answer.contains("WWW-Authenticate: Digest"), "{answer}");
}

#[test]
fn a_stopped_camera_frees_its_port_and_a_refusing_one_hangs_up() {
    let folder = tempfile::tempdir().unwrap();
    let clip = clip(folder.path(), "a.mp4", TestPattern::default());
    let settings = CameraSettings::loopback(vec![Mount::new("gate", clip)]);
    let camera = Camera::start(settings.clone()).unwrap();
    let address = camera.address();
    camera.stop();
    assert!(TcpStream::connect(address).is_err(), "still listening");

    let camera = Camera::start(CameraSettings {
        listen: address,
        ..settings
    })
    .unwrap();
    camera.refuse(true);
    let mut stream = TcpStream::connect(camera.address()).unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    let answer = stream.read(&mut [0; 16]);
    assert!(matches!(answer, Ok(0) | Err(_)), "answered {answer:?}");
}

#[test]
fn files_that_no_camera_sends_are_refused_by_name() {
    let folder = tempfile::tempdir().unwrap();
    let text = folder.path().join("notes.mp4");
    std::fs::write(&text, "not a clip at all, just a few words\n").unwrap();
    let missing = folder.path().join("missing.mp4");
    for (path, wanted) in [(&text, "cannot be read"), (&missing, "no such file")] {
        let error = format!("{:#}", Clip::load(path).unwrap_err());
        assert!(error.contains(wanted), "{error}");
        assert!(error.contains(&*path.to_string_lossy()), "{error}");
    }
}

#[test]
fn the_program_says_when_it_is_ready_and_stops_on_a_signal() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a.mp4");
    TestPattern::default().write(&path).unwrap();
    let ready = folder.path().join("ready.json");
    let mut child = Command::new(env!("CARGO_BIN_EXE_rtsp-camera"))
        .arg("--mount")
        .arg(format!("gate={}", path.display()))
        .arg("--ready-file")
        .arg(&ready)
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut line = String::new();
    BufReader::new(child.stdout.take().unwrap())
        .read_line(&mut line)
        .unwrap();
    let said: serde_json::Value = serde_json::from_str(&line).unwrap();
    assert_eq!(std::fs::read_to_string(&ready).unwrap(), line.trim());
    let address: SocketAddr = said["listen"].as_str().unwrap().parse().unwrap();
    assert_eq!(
        said["mounts"]["gate"],
        format!("rtsp://{address}/gate").as_str()
    );
    assert!(describe(address, "gate").contains("200 OK"));

    let signal = Command::new("kill")
        .args(["-TERM", &child.id().to_string()])
        .status()
        .unwrap();
    assert!(signal.success());
    let deadline = Instant::now() + PATIENCE;
    let status = loop {
        if let Some(status) = child.try_wait().unwrap() {
            break status;
        }
        if Instant::now() > deadline {
            child.kill().unwrap();
            child.wait().unwrap();
            panic!("did not stop on a signal");
        }
        std::thread::yield_now();
    };
    assert!(status.success(), "{status}");
    assert!(!ready.exists(), "the ready file was left behind");
}
