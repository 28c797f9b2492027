//! A live stream and the faults of cameras, against a real RTSP server on loopback.

#![allow(clippy::unwrap_used)] // a test may panic; its steps live in plain functions

use std::net::{SocketAddr, TcpListener};
use std::path::Path;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use edge_video::{Frame, LossReason, Notice, RtspSettings, Transport, probe};
use protocol::TimeQuality;
use rtsp_camera::{Camera, CameraSettings, Clip, ClipCodec, Mount, Script, TestPattern};
use support::{PATIENCE, Reader, clip, gate, serve, settings};

mod support;

fn host_now() -> f64 {
    SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap()
        .as_secs_f64()
}

#[test]
fn each_codec_over_each_transport_gives_frames_in_order() {
    let codecs = [
        ("a", ClipCodec::H264, "H.264"),
        ("b", ClipCodec::H265, "H.265"),
        ("c", ClipCodec::Mjpeg, "MJPEG"),
    ];
    let mounts = codecs.map(|(name, codec, _)| {
        Mount::new(
            name,
            clip(TestPattern {
                codec,
                ..TestPattern::default()
            }),
        )
    });
    let camera = serve(mounts.into());
    for (name, _, said) in codecs {
        for transport in [Transport::Tcp, Transport::Udp, Transport::Auto] {
            let reader = Reader::start(RtspSettings {
                transport,
                ..settings(&camera.url(name))
            });
            assert_eq!(
                reader.connected(),
                (said.to_owned(), (320, 240)),
                "{transport:?}"
            );
            let mut last: Option<Frame> = None;
            for _ in 0..8 {
                let frame = reader.frame();
                assert_eq!((frame.width, frame.height), (320, 240));
                assert!((host_now() - frame.time.as_micros() as f64 / 1e6).abs() < 2.0);
                if let Some(last) = last {
                    assert!(frame.number > last.number);
                    assert!(frame.time > last.time);
                }
                last = Some(frame);
            }
            reader.stream.stop();
        }
    }
}

#[test]
fn the_loop_of_a_clip_has_no_seam_in_time() {
    let camera = gate(TestPattern {
        pictures: 10,
        ..TestPattern::default()
    });
    let reader = Reader::start(settings(&camera.url("gate")));
    let mut last: Option<Frame> = None;
    let mut compared = 0;
    while compared < 30 {
        let frame = reader.frame();
        // Neighbours only: a frame missed by a busy machine says nothing.
        if let Some(last) = last.filter(|last| last.number + 1 == frame.number) {
            let interval = frame.time.since(last.time).0;
            assert!(
                (0.035..0.045).contains(&interval),
                "{interval} s after {}",
                last.number
            );
            compared += 1;
        }
        last = Some(frame);
    }
}

#[test]
fn every_received_frame_is_accounted_for() {
    let camera = gate(TestPattern::default());
    let reader = Reader::start(RtspSettings {
        analysed_fps: Some(10.0),
        ..settings(&camera.url("gate"))
    });
    reader.connected();
    // Nobody takes: the newest overwrites the one before.
    reader.counts("overwritten", |c| c.dropped_overwritten >= 5);
    reader.frame();
    let counters = reader.counts("75 frames", |c| c.received >= 75);
    let waiting = counters.received
        - counters.analysed
        - counters.dropped_overwritten
        - counters.dropped_rate
        - counters.dropped_corrupt
        - counters.dropped_undated;
    // One waits in the slot, one may be on its way there.
    assert!(waiting <= 2, "{counters:?}");
    assert_eq!(counters.analysed, 1);
    // 10 of 25 are kept.
    let kept = counters.received - counters.dropped_rate;
    let share = kept as f64 / counters.received as f64;
    assert!((0.36..0.46).contains(&share), "{share}: {counters:?}");
}

#[test]
fn a_port_without_listener_is_refused_until_the_camera_returns() {
    let camera = gate(TestPattern::default());
    let (address, url) = (camera.address(), camera.url("gate"));
    camera.stop();
    let reader = Reader::start(settings(&url));
    let (reason, message, retry_in) = reader.lost();
    assert_eq!(reason, LossReason::Refused, "{message}");
    assert!(message.starts_with("camera gate: "), "{message}");
    assert!(message.contains(&address.to_string()), "{message}");
    assert!(retry_in <= Duration::from_millis(63), "{retry_in:?}");
    let _camera = again(address, clip(TestPattern::default()));
    reader.connected();
    assert!(reader.stream.counters().reconnects > 0);
}

fn again(address: SocketAddr, clip: Clip) -> Camera {
    Camera::start(CameraSettings {
        listen: address,
        ..CameraSettings::loopback(vec![Mount::new("gate", clip)])
    })
    .unwrap()
}

#[test]
fn a_camera_that_dies_and_returns_goes_on_counting() {
    for transport in [Transport::Tcp, Transport::Udp] {
        let camera = gate(TestPattern::default());
        let address = camera.address();
        let reader = Reader::start(RtspSettings {
            transport,
            ..settings(&camera.url("gate"))
        });
        reader.connected();
        let before = reader.frame();
        camera.stop();
        let (reason, message, _) = reader.lost();
        assert!(
            [LossReason::Closed, LossReason::Silent].contains(&reason),
            "{reason:?} {message}"
        );
        let _camera = again(address, clip(TestPattern::default()));
        reader.connected();
        reader.stream.take_newest();
        let after = reader.frame();
        assert!(after.number > before.number);
        assert!(after.time > before.time);
        assert!(after.connection > before.connection);
    }
}

#[test]
fn a_wrong_path_is_not_found_and_not_tried_in_a_hurry() {
    let camera = gate(TestPattern::default());
    let reader = Reader::start(RtspSettings {
        retry_refused: Duration::from_secs(40),
        ..settings(&camera.url("gatte"))
    });
    let (reason, message, retry_in) = reader.lost();
    assert_eq!(reason, LossReason::NotFound, "{message}");
    assert!(retry_in >= Duration::from_secs(30), "{retry_in:?}");
    // A long wait must not hold a shutdown.
    let began = Instant::now();
    reader.stream.stop();
    assert!(
        began.elapsed() < Duration::from_secs(2),
        "{:?}",
        began.elapsed()
    );
}

#[test]
fn a_wrong_password_is_told_and_the_right_one_lets_in() {
    edge_video::init().unwrap();
    let camera = Camera::start(CameraSettings {
        login: Some(("viewer".into(), "r!ght p@ss".into())),
        ..CameraSettings::loopback(vec![Mount::new("gate", clip(TestPattern::default()))])
    })
    .unwrap();
    for (user, password) in [(None, None), (Some("viewer"), Some("wr0ng-one"))] {
        let reader = Reader::start(RtspSettings {
            user: user.map(str::to_owned),
            password: password.map(str::to_owned),
            ..settings(&camera.url("gate"))
        });
        let (reason, message, _) = reader.lost();
        assert_eq!(reason, LossReason::Unauthorised, "{message}");
        assert!(!message.contains("wr0ng-one"), "{message}");
    }
    let reader = Reader::start(RtspSettings {
        user: Some("viewer".into()),
        password: Some("r!ght p@ss".into()),
        ..settings(&camera.url("gate"))
    });
    reader.connected();
}

#[test]
fn a_server_that_says_nothing_times_out_and_does_not_hold_a_stop() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("rtsp://{}/gate", listener.local_addr().unwrap());
    let reader = Reader::start(RtspSettings {
        connect_within: Duration::from_secs(1),
        ..settings(&url)
    });
    let (reason, message, _) = reader.lost();
    assert_eq!(reason, LossReason::TimedOut, "{message}");
    // In the middle of the next attempt.
    reader.wait_for("Connecting", |n| {
        matches!(n, Notice::Connecting { .. }).then_some(())
    });
    let began = Instant::now();
    reader.stream.stop();
    assert!(
        began.elapsed() < Duration::from_secs(3),
        "{:?}",
        began.elapsed()
    );
}

#[test]
fn a_camera_that_hangs_up_on_everybody_is_tried_again() {
    let camera = gate(TestPattern::default());
    camera.refuse(true);
    let reader = Reader::start(settings(&camera.url("gate")));
    let (reason, message, _) = reader.lost();
    assert!(
        [LossReason::Failed, LossReason::Closed].contains(&reason),
        "{reason:?} {message}"
    );
    camera.refuse(false);
    reader.connected();
}

#[test]
fn a_stream_that_stalls_is_silent_and_tried_again() {
    for transport in [Transport::Tcp, Transport::Udp] {
        let camera = serve(vec![Mount {
            script: Script {
                stall_after: Some(Duration::from_millis(500)),
                ..Script::default()
            },
            ..Mount::new("gate", clip(TestPattern::default()))
        }]);
        let reader = Reader::start(RtspSettings {
            transport,
            silent_after: Duration::from_secs(1),
            ..settings(&camera.url("gate"))
        });
        reader.connected();
        let (reason, message, _) = reader.lost();
        assert_eq!(reason, LossReason::Silent, "{message}");
        reader.connected();
    }
}

#[test]
fn a_stream_that_ends_is_closed_and_tried_again() {
    let camera = gate(TestPattern::default());
    let reader = Reader::start(settings(&camera.url("gate")));
    reader.connected();
    let behaviour = camera.behaviour("gate").unwrap();
    behaviour.end(true);
    let (reason, message, _) = reader.lost();
    assert_eq!(reason, LossReason::Closed, "{message}");
    behaviour.end(false);
    reader.connected();
}

#[test]
fn a_frozen_picture_is_told_and_so_is_its_thaw() {
    let camera = gate(TestPattern::default());
    let reader = Reader::start(settings(&camera.url("gate")));
    reader.connected();
    let behaviour = camera.behaviour("gate").unwrap();
    behaviour.freeze(true);
    let since = reader.wait_for("Frozen", |notice| match notice {
        Notice::Frozen { since } => Some(*since),
        _ => None,
    });
    // It is not a loss: frames go on.
    reader.stream.take_newest();
    let still = reader.frame().time.since(since).0;
    assert!((1.0..10.0).contains(&still), "still for {still} s");
    behaviour.freeze(false);
    reader.wait_for("Thawed", |n| (*n == Notice::Thawed).then_some(()));
    assert_eq!(reader.stream.counters().reconnects, 0);
}

#[test]
fn a_change_of_size_in_mid_stream_is_told_and_followed() {
    let small = TestPattern {
        pictures: 25,
        ..TestPattern::default()
    };
    let large = TestPattern {
        width: 640,
        height: 360,
        ..small
    };
    for codec in [ClipCodec::H264, ClipCodec::H265, ClipCodec::Mjpeg] {
        let camera = serve(vec![Mount {
            playlist: vec![
                clip(TestPattern { codec, ..small }),
                clip(TestPattern { codec, ..large }),
            ],
            ..Mount::new("gate", clip(TestPattern { codec, ..small }))
        }]);
        let reader = Reader::start(settings(&camera.url("gate")));
        assert_eq!(reader.connected().1, (320, 240));
        for expected in [(640, 360), (320, 240)] {
            let size = reader.wait_for("PictureChanged", |notice| match notice {
                Notice::PictureChanged { width, height } => Some((*width, *height)),
                _ => None,
            });
            assert_eq!(size, expected, "{codec:?}");
        }
        assert_eq!(reader.stream.counters().reconnects, 0, "{codec:?}");
    }
}

/// What an operator does to a camera in use. The session goes on and was told of the
/// old codec, whose depayloader, parser and decoder make nothing of the new one: the stream
/// is lost, and who asks anew is told the truth.
#[test]
fn a_change_of_codec_inside_a_session_loses_the_stream_and_finds_the_new_codec() {
    let small = TestPattern::default();
    let large = TestPattern {
        width: 640,
        height: 360,
        ..small
    };
    for (old, new, told, transport) in [
        (ClipCodec::H264, ClipCodec::H265, "H.265", Transport::Tcp),
        (ClipCodec::H265, ClipCodec::H264, "H.264", Transport::Udp),
    ] {
        let camera = gate(TestPattern {
            codec: old,
            ..small
        });
        let reader = Reader::start(RtspSettings {
            transport,
            ..settings(&camera.url("gate"))
        });
        assert_eq!(reader.connected().1, (320, 240));
        let before = reader.frame();
        camera.retune(
            "gate",
            clip(TestPattern {
                codec: new,
                ..large
            }),
        );
        // Which layer stumbles first is a matter of the bytes.
        reader.lost();
        // A try that the camera's own session outlives may be silent once more.
        assert_eq!(reader.connected(), (told.to_owned(), (640, 360)), "{old:?}");
        let size = reader.wait_for("PictureChanged", |notice| match notice {
            Notice::PictureChanged { width, height } => Some((*width, *height)),
            _ => None,
        });
        assert_eq!(size, (640, 360));
        // Nothing of the new stream was shown as a picture of the old one.
        reader.stream.take_newest();
        let after = reader.frame();
        assert_eq!((after.width, after.height), (640, 360));
        assert!(after.number > before.number && after.time > before.time);
    }
}

fn quality_becomes(reader: &Reader, quality: TimeQuality) {
    reader.wait_for("TimeQualityChanged", |notice| {
        (*notice == Notice::TimeQualityChanged(quality)).then_some(())
    });
}

/// Over both transports at once: each waits for reports.
fn over_both_transports(test: impl Fn(Transport) + Sync) {
    std::thread::scope(|scope| {
        for transport in [Transport::Tcp, Transport::Udp] {
            let test = &test;
            scope.spawn(move || test(transport));
        }
    });
}

#[test]
fn sender_reports_set_the_time_unless_the_camera_lies() {
    over_both_transports(|transport| {
        let camera = gate(TestPattern::default());
        let behaviour = camera.behaviour("gate").unwrap();
        let reader = Reader::start(RtspSettings {
            transport,
            ..settings(&camera.url("gate"))
        });
        quality_becomes(&reader, TimeQuality::Rtcp);
        reader.stream.take_newest();
        let frame = reader.frame();
        assert_eq!(frame.time_quality, TimeQuality::Rtcp);
        let age = host_now() - frame.time.as_micros() as f64 / 1e6;
        assert!((-0.1..2.0).contains(&age), "{age} s old");

        // An hour ahead: a wrong zone. Then the truth again.
        behaviour.clock_error_ms(3_600_000);
        quality_becomes(&reader, TimeQuality::Arrival);
        let frame = reader.frame();
        let age = host_now() - frame.time.as_micros() as f64 / 1e6;
        assert!((-0.1..2.0).contains(&age), "{age} s old");
        behaviour.clock_error_ms(0);
        quality_becomes(&reader, TimeQuality::Rtcp);
    });
}

/// A clip with two B pictures between its references, as recorders make them.
fn clip_with_b_pictures() -> Clip {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("clip.mp4");
    let output = std::process::Command::new("ffmpeg")
        .args(["-v", "error", "-nostdin", "-f", "lavfi"])
        .args(["-i", "testsrc2=size=320x240:rate=25:duration=4"])
        .args(["-c:v", "libx264", "-preset", "veryfast", "-g", "25"])
        .args(["-pix_fmt", "yuv420p", "-bf", "2", "-b_strategy", "0"])
        .arg(&path)
        .output()
        .expect("ffmpeg is not installed; run `make setup` first");
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{said}");
    Clip::load(&path).unwrap()
}

#[test]
fn b_pictures_keep_to_one_clock_and_to_their_intervals() {
    let clip = clip_with_b_pictures();
    over_both_transports(|transport| {
        let camera = serve(vec![Mount::new("gate", clip.clone())]);
        let reader = Reader::start(RtspSettings {
            transport,
            ..settings(&camera.url("gate"))
        });
        let mut last: Option<Frame> = None;
        let mut after_report = 0;
        let deadline = Instant::now() + PATIENCE;
        while after_report < 100 {
            assert!(Instant::now() < deadline, "RTCP only {after_report} times");
            let frame = reader.frame();
            // Neighbours only: a frame missed by a busy machine says nothing.
            if let Some(last) = last.filter(|last| last.number + 1 == frame.number) {
                let interval = frame.time.since(last.time).0;
                assert!((0.035..0.045).contains(&interval), "{interval} s");
            }
            after_report += usize::from(frame.time_quality == TimeQuality::Rtcp);
            last = Some(frame);
        }
        let qualities: Vec<_> = reader
            .stream
            .notices()
            .try_iter()
            .filter_map(|notice| match notice {
                Notice::TimeQualityChanged(quality) => Some(quality),
                _ => None,
            })
            .collect();
        assert_eq!(
            qualities,
            [TimeQuality::Arrival, TimeQuality::Rtcp],
            "{transport:?}"
        );
    });
}

#[test]
fn a_camera_clock_that_is_set_is_a_step() {
    let camera = gate(TestPattern::default());
    let behaviour = camera.behaviour("gate").unwrap();
    let reader = Reader::start(RtspSettings {
        max_clock_difference: Duration::from_secs(20),
        ..settings(&camera.url("gate"))
    });
    quality_becomes(&reader, TimeQuality::Rtcp);
    for error in [8_000_i64, 0] {
        let before = reader.frame().clock_steps;
        behaviour.clock_error_ms(error);
        let step = reader.wait_for("ClockStep", |notice| match notice {
            Notice::ClockStep { from, to } => Some(to.since(*from).0),
            _ => None,
        });
        let expected = if error == 0 { -8.0 } else { 8.0 };
        assert!((step - expected).abs() < 1.5, "{step} s");
        // Told by each picture after it, whichever of them is looked at.
        reader.stream.take_newest();
        assert_ne!(reader.frame().clock_steps, before);
    }
}

#[test]
fn damaged_pictures_are_counted_and_the_stream_goes_on() {
    for codec in [ClipCodec::H264, ClipCodec::H265] {
        let camera = gate(TestPattern {
            codec,
            ..TestPattern::default()
        });
        let reader = Reader::start(settings(&camera.url("gate")));
        reader.connected();
        assert_eq!(reader.stream.counters().decode_errors, 0, "{codec:?}");
        let behaviour = camera.behaviour("gate").unwrap();
        behaviour.corrupt_every(3);
        reader.counts("damaged", |c| c.decode_errors >= 10);
        // Whole again after the next key picture, without a new connection.
        behaviour.corrupt_every(0);
        reader.stream.take_newest();
        let number = reader.frame().number;
        while reader.frame().number < number + 30 {}
        assert_eq!(reader.stream.counters().reconnects, 0, "{codec:?}");
    }
}

#[test]
fn an_address_that_is_none_is_told_at_once() {
    let reader = Reader::start(settings("http://10.0.0.3/live"));
    let (reason, message, _) = reader.lost();
    assert_eq!(reason, LossReason::BadAddress);
    assert!(message.contains("rtsp://"), "{message}");
}

#[test]
fn a_probe_tells_what_a_camera_shows_or_what_to_do() {
    let camera = gate(TestPattern::default());
    let shown = probe("gate", &settings(&camera.url("gate")), PATIENCE).unwrap();
    assert_eq!(
        (
            shown.codec.as_str(),
            shown.frame.width,
            shown.frame.height,
            shown.frame.y().len() >= 320 * 240
        ),
        ("H.264", 320, 240, true)
    );
    assert!(shown.first_picture_after <= PATIENCE);
    let (reason, _) = probe("gate", &settings(&camera.url("other")), PATIENCE).unwrap_err();
    assert_eq!(reason, LossReason::NotFound);
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("rtsp://{}/gate", listener.local_addr().unwrap());
    let (reason, message) = probe("gate", &settings(&url), Duration::from_millis(300)).unwrap_err();
    assert_eq!(reason, LossReason::TimedOut, "{message}");
}

/// Real recordings as cameras, where a checkout has them beside it.
#[test]
fn a_recorded_street_clip_streams_like_a_camera() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../../../shared/data/clips/thanglm_nguoc_chieu.mp4");
    if !path.exists() {
        return;
    }
    let camera = serve(vec![Mount::new("gate", Clip::load(&path).unwrap())]);
    let reader = Reader::start(settings(&camera.url("gate")));
    assert_eq!(reader.connected().1, (1568, 778));
    let counters = reader.counts("50 frames", |c| c.received >= 50);
    assert_eq!(counters.decode_errors, 0, "{counters:?}");
}
