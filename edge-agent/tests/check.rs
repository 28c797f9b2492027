//! A configuration that is faulty, or that cannot work here, is told before the night in which it
//! would: all at once where the file is read, part by part where the parts are tried.

#![allow(clippy::unwrap_used)] // a test that cannot go on says where it stands
#![allow(clippy::needless_raw_string_hashes)] // expect-test writes them

mod support;

use expect_test::{Expect, expect};
use support::{BOX, agent, recording, write};

/// `check --offline` of `text` must fail with exactly these lines.
fn faults(text: &str, expected: &Expect) {
    let dir = tempfile::tempdir().unwrap();
    let file = write(dir.path(), "box.toml", text);
    let (code, stdout, stderr) = agent(&["check", "--offline", file.to_str().unwrap()]);
    assert_eq!(code, Some(2), "{stdout}{stderr}");
    expected.assert_eq(&stderr.replace(&format!("{}/", dir.path().display()), ""));
}

#[test]
fn all_faults_of_a_configuration_come_at_once_with_key_and_line() {
    faults(
        &format!(
            r#"{BOX}
[uplink]
url = "http://wrong"
evidence_url = "ftp://wrong"
colour = "blue"

[[camera]]
id = "gate"
source = {{ rtsp = "http://camera" }}
analysed_fps = -1.0

[[camera.zone]]
id = "road"
points = [[0.0, 0.0], [1.0, 1.0]]

[[camera.rule]]
id = "r1"
kind = "loitering"
zone = "rode"
min_dwel_s = 3.0

[[camera]]
id = "gate"
source = {{ rtsp = "rtsp://127.0.0.1/x" }}
"#
        ),
        &expect![[r#"
            box.toml:6: uplink.url: `http://wrong` is not mqtt://HOST:PORT or mqtts://HOST:PORT
            box.toml:7: uplink.evidence_url: `ftp://wrong` is not http://HOST:PORT or https://HOST:PORT
            box.toml:8: uplink.colour: no such key here; correct its name or take it out
            box.toml:12: camera[0].source.rtsp: `http://camera` is not rtsp://HOST[:PORT]/PATH
            box.toml:13: camera[0].analysed_fps: frames per second are more than 0 and at most 120
            box.toml:17: camera[0].zone[0].points: has 2; a zone needs at least 3 points (for a line use [[line]])
            box.toml:22: camera[0].rule[0].zone: there is no zone `rode`, and no other; add one
            box.toml:23: camera[0].rule[0].min_dwel_s: is not a key here; did you mean `min_dwell_s`?
            box.toml:26: camera[1].id: camera[0] is called `gate` as well; ids are unique
        "#]],
    );
}

#[test]
fn a_file_that_is_not_toml_says_where() {
    faults(
        "[box]\nsite = \n",
        &expect![[r#"
        box.toml:2: not TOML: string values must be quoted, expected literal string
    "#]],
    );
}

#[test]
fn missing_sections_are_asked_for() {
    faults(
        "[store]\ndir = 7\n",
        &expect![[r#"
        box.toml: box: the section [box] with `site` and `id` is missing
        box.toml:2: store.dir: invalid type: integer `7`, expected path string
    "#]],
    );
}

#[test]
fn calibrations_and_addresses_that_cannot_be_meant_are_refused() {
    faults(
        &format!(
            r#"{BOX}
[uplink]
url = "mqtt://me:hunter2@centre"
evidence_url = "https://centre?token=hunter2"

[[camera]]
id = "gate"
source = {{ rtsp = "rtsp://root:hun/ter2@gate/x", password = 12345 }}
[camera.calibration]
image_to_ground = [[1, 0, 0], [0, 1, 0], [0, 0, 1]]

[[camera]]
id = "yard"
source = {{ rtsp = "http://root:hunter2@yard/x" }}
"#
        ),
        &expect![[r#"
            box.toml:6: uplink.url: user and password do not belong into the address, which is written to logs; give them as `user` and `password_file`
            box.toml:7: uplink.evidence_url: a password or token does not belong into the address, which is written to logs; write https://HOST:PORT and give the token as `evidence_token_file`
            box.toml:11: camera[0].source.password: a password is text in quotes; better, give `password_file`
            box.toml:12: camera[0].calibration.residual_m: is missing; how far, in metres, does `image_to_ground` put surveyed points from where they are (root mean square)?
            box.toml:17: camera[1].source.rtsp: `http://yard/x` is not rtsp://HOST[:PORT]/PATH
        "#]],
    );
}

/// `check --offline` of one camera with these keys: its line and those below.
fn offline(camera: &str) -> String {
    let dir = tempfile::tempdir().unwrap();
    let text = format!(
        "{BOX}\n[[camera]]\nid = \"c\"\nsource = {{ rtsp = \"rtsp://127.0.0.1/x\" }}\n{camera}"
    );
    let file = write(dir.path(), "box.toml", &text);
    let (_, stdout, stderr) = agent(&["check", "--offline", file.to_str().unwrap()]);
    assert!(stderr.is_empty(), "{stderr}");
    stdout.replace(&format!("{}/", dir.path().display()), "")
}

#[test]
fn a_survey_that_proves_nothing_is_told_with_its_line() {
    let points = |fifth: &str, [x, y]: [usize; 2]| {
        let ground = [[0, 0], [6, 0], [6, 12], [0, 12]].map(|p| format!("[{}, {}]", p[x], p[y]));
        format!(
            "[camera.calibration]\npoints = [\n{{ image = [0.2, 0.9], ground = {} }},\n\
             {{ image = [0.8, 0.9], ground = {} }},\n{{ image = [0.8, 0.3], ground = {} }},\n\
             {{ image = [0.2, 0.3], ground = {} }},\n{fifth}]\n",
            ground[0], ground[1], ground[2], ground[3]
        )
    };
    let fifth = "{ image = [0.5, 0.6], ground = [3, 6] },\n";
    expect![[r#"
        ok      configuration: 1 camera(s)
        ok      camera c: calibrated within 0.00 m, 0 rule(s)
    "#]]
    .assert_eq(&offline(&points(fifth, [0, 1])));
    expect![[r#"
        ok      configuration: 1 camera(s)
        note    camera c: calibrated within 0.00 m, 0 rule(s)
                box.toml:9: camera[0].calibration.points: four points fit exactly, also when one was measured wrongly; survey a fifth
    "#]]
    .assert_eq(&offline(&points("", [0, 1])));
    let mirrored = offline(&points("", [1, 0]));
    assert!(
        mirrored.contains(
            "FAILED  camera c: box.toml:9: camera[0].calibration.points: the ground is mirrored"
        ),
        "{mirrored}"
    );
    let in_a_line = offline(&points("", [0, 0]));
    assert!(
        in_a_line.contains("FAILED  camera c: box.toml:9: camera[0].calibration.points: "),
        "{in_a_line}"
    );
}

#[test]
fn check_says_of_each_part_what_to_do() {
    let dir = tempfile::tempdir().unwrap();
    let port = support::free_port();
    let config = write(
        dir.path(),
        "box.toml",
        &format!(
            r#"{BOX}
[store]
dir = "store"
[uplink]
url = "mqtt://127.0.0.1:{port}"
evidence_url = "http://127.0.0.1:{port}"
[[camera]]
id = "refuses"
source = {{ rtsp = "rtsp://127.0.0.1:{port}/x" }}
[[camera]]
id = "no-file"
source = {{ recording = "nowhere.jsonl" }}
[[camera]]
id = "two"
source = {{ rtsp = "rtsp://127.0.0.1:{port}/main", detect_rtsp = "rtsp://127.0.0.1:{port}/sub" }}
"#
        ),
    );
    let (code, stdout, stderr) = agent(&["check", "--timeout", "5", config.to_str().unwrap()]);
    assert_eq!(code, Some(1), "{stdout}{stderr}");
    let looked_at = "camera two: the stream that is looked at (`detect_rtsp`): 127.0.0.1";
    for part in ["camera refuses", "camera no-file", looked_at, "uplink"] {
        let line = stdout
            .lines()
            .find(|line| line.contains(part))
            .unwrap_or_default();
        assert!(line.starts_with("FAILED"), "{part}: {stdout}");
    }
    assert!(stdout.contains("ok      model"), "{stdout}");
    assert!(stdout.contains("5 of 8 parts need attention"), "{stdout}");
}

#[test]
fn cameras_that_hang_are_reported_within_the_time_limit_all_at_once() {
    let dir = tempfile::tempdir().unwrap();
    // Accepts, and never says a word.
    let deaf = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = deaf.local_addr().unwrap();
    let cameras: Vec<String> = (0..16)
        .map(|number| {
            format!(
                "[[camera]]\nid = \"deaf-{number}\"\nsource = {{ rtsp = \"rtsp://{address}/x\" }}\n"
            )
        })
        .collect();
    let text = format!("{BOX}[store]\ndir = \"store\"\n{}", cameras.concat());
    let config = write(dir.path(), "box.toml", &text);
    let started = std::time::Instant::now();
    let (code, stdout, _) = agent(&["check", "--timeout", "3", config.to_str().unwrap()]);
    assert_eq!(code, Some(1));
    for number in 0..16 {
        assert!(
            stdout.contains(&format!("FAILED  camera deaf-{number}: no picture from")),
            "{stdout}"
        );
    }
    // One after the other they would take 48.
    assert!(
        started.elapsed() < std::time::Duration::from_secs(40),
        "{:?}",
        started.elapsed()
    );
}

#[test]
fn a_check_beside_the_running_agent_is_content_and_before_it_leaves_no_trace() {
    let dir = tempfile::tempdir().unwrap();
    write(dir.path(), "clip.jsonl", &recording(3));
    let config = write(
        dir.path(),
        "box.toml",
        &format!(
            "{BOX}[store]\ndir = \"store\"\nbudget_mib = 1\n[[camera]]\nid = \"c\"\n\
             source = {{ recording = \"clip.jsonl\", loop = true }}\n"
        ),
    );
    let check = || agent(&["check", config.to_str().unwrap()]);
    let (code, stdout, stderr) = check();
    assert_eq!(code, Some(0), "{stdout}{stderr}");
    assert!(
        stdout.contains("empty, can be written")
            && stdout.contains("ok      camera c: recording of 3 inputs")
            && stdout.contains("note    uplink: there is no [uplink]"),
        "{stdout}"
    );
    let store = dir.path().join("store");
    assert!(!store.exists(), "check has made {}", store.display());

    let running = support::start_agent(dir.path(), &config);
    support::eventually("the agent to watch", || {
        running.log_text().contains("\"watching\"").then_some(())
    });
    let (code, stdout, stderr) = check();
    assert_eq!(code, Some(0), "{stdout}{stderr}");
    assert!(
        stdout.contains("in use by the edge-agent that runs here"),
        "{stdout}"
    );
    assert_eq!(running.terminate(), Some(0));
    let (_, stdout, _) = check();
    assert!(
        stdout.contains("message(s) waiting for the centre"),
        "{stdout}"
    );
}

#[test]
fn a_decoder_that_is_not_there_is_noted_before_the_camera_is_lost() {
    let dir = tempfile::tempdir().unwrap();
    for (decoder, noted) in [
        ("nvdek", "there is no decoder `nvdek` on this machine"),
        (
            "vt",
            "there is no decoder of the family `vt` on this machine",
        ),
        ("avdec_h264", ""),
        ("software", ""),
        ("auto", ""),
    ] {
        let config = dir.path().join("box.toml");
        let text = format!(
            "[box]\nsite = 's'\nid = 'b'\n[store]\ndir = 'store'\n[[camera]]\nid = 'gate'\n\
             source = {{ rtsp = 'rtsp://127.0.0.1/x', decoder = '{decoder}' }}\n"
        );
        std::fs::write(&config, text).unwrap();
        let (_, said, errors) = agent(&["check", "--offline", config.to_str().unwrap()]);
        let is_noted = said.contains("there is no decoder ");
        assert_eq!(is_noted, !noted.is_empty(), "{decoder}: {said}{errors}");
        assert!(said.contains(noted), "{decoder}: {said}{errors}");
        if is_noted {
            assert!(said.contains("`software` ("), "{decoder}: {said}");
        }
    }
}

#[test]
fn offline_names_models_that_cannot_serve_and_files_that_are_not_there() {
    let dir = tempfile::tempdir().unwrap();
    let text = format!(
        "{BOX}[store]\nsigning_key_file = 'box.pem'\n\
         [uplink]\nurl = 'mqtts://centre'\nevidence_url = 'https://centre'\nca_file = 'ca.pem'\n\
         [detector]\nmodel = 'nosuch'\n[detector.shadow]\nmodel = 'ppocr-v4-rec@2'\n\
         [detector.plates]\nread = 'yolox-nano'\n\
         [[camera]]\nid = 'c'\nsource = {{ rtsp = 'rtsp://127.0.0.1/x' }}\n"
    );
    let file = write(dir.path(), "box.toml", &text);
    let (code, stdout, stderr) = agent(&["check", "--offline", file.to_str().unwrap()]);
    assert_eq!(code, Some(1), "{stdout}{stderr}");
    let said = stdout.replace(&format!("{}/", dir.path().display()), "");
    let about = |part: &str| {
        said.lines()
            .find(|line| line.contains(part))
            .map(str::trim_end)
    };
    for (part, expected) in [
        (
            "detector.model",
            "FAILED  detector.model: there is no model nosuch here; `edge-agent models list` names those that there are",
        ),
        (
            "detector.shadow.model",
            "FAILED  detector.shadow.model: ppocr-v4-rec is for reading lines, and detecting road users is wanted here; \
             `edge-agent models list` says what each is for",
        ),
        (
            "detector.plates.read",
            "FAILED  detector.plates.read: yolox-nano is for detecting road users, and reading lines is wanted here; \
             `edge-agent models list` says what each is for",
        ),
        (
            "store.signing_key_file",
            "note    store.signing_key_file: box.pem is not on this machine; without it the box does not start: \
             put it there before",
        ),
        (
            "uplink.ca_file",
            "note    uplink.ca_file: ca.pem is not on this machine; without it the box does not start: put it there before",
        ),
    ] {
        assert_eq!(about(part), Some(expected), "{said}");
    }
}

#[test]
fn brokers_without_a_host_or_with_no_port_are_refused_when_the_file_is_read() {
    for address in [
        "mqtt://",
        "mqtt://broker:99999",
        "mqtts://[::1]",
        "mqtt://a b",
    ] {
        let dir = tempfile::tempdir().unwrap();
        let text = format!(
            "{BOX}[uplink]\nurl = '{address}'\nevidence_url = 'http://centre'\n\
             [[camera]]\nid = 'c'\nsource = {{ rtsp = 'rtsp://127.0.0.1/x' }}\n"
        );
        let file = write(dir.path(), "box.toml", &text);
        let (code, _, stderr) = agent(&["check", "--offline", file.to_str().unwrap()]);
        assert_eq!(code, Some(2), "{address}: {stderr}");
        assert!(
            stderr.contains("box.toml:5: uplink.url: "),
            "{address}: {stderr}"
        );
    }
}

/// What `check --offline` says of a box with these tables, and its exit code.
fn said_offline(tables: &str) -> (Option<i32>, String) {
    let dir = tempfile::tempdir().unwrap();
    let file = write(dir.path(), "box.toml", &format!("{BOX}{tables}"));
    let (code, stdout, _) = agent(&["check", "--offline", file.to_str().unwrap()]);
    (code, stdout)
}

/// `check && run` must not put a box up that can never see anything.
#[test]
fn what_can_never_watch_fails_before_the_box_is_put_up() {
    let (code, said) = said_offline("");
    assert_eq!(code, Some(1), "{said}");
    assert!(said.contains("there is no [[camera]]; add one"), "{said}");

    let camera = "[[camera]]\nid = \"c\"\nsource = { rtsp = \"rtsp://127.0.0.1/x\" }\n";
    let (code, said) = said_offline(camera);
    assert_eq!(code, Some(0), "{said}");
    for (fps, expected, part) in [
        (
            "0.2",
            Some(1),
            "FAILED  camera c analysed_fps: with 0.2 looks a second no rule ever watches",
        ),
        (
            "1",
            Some(0),
            "note    camera c analysed_fps: 1 looks a second are too few",
        ),
        ("2", Some(0), "ok      camera c"),
    ] {
        let (code, said) = said_offline(&format!("{camera}analysed_fps = {fps}\n"));
        assert_eq!(code, expected, "{fps}: {said}");
        assert!(said.contains(part), "{fps}: {said}");
    }

    // A road at the left, of which the detector is shown this.
    for (roi, expected, part) in [
        (
            "[[0.5, 0.0], [1.0, 1.0]]",
            Some(1),
            "FAILED  camera c detect.roi: the detector is shown nothing of zone `road`, so nobody is ever seen there",
        ),
        (
            "[[0.2, 0.0], [1.0, 1.0]]",
            Some(0),
            "note    camera c detect.roi: zone `road`, line `stop` reach beyond it",
        ),
        ("[[0.0, 0.0], [0.6, 1.0]]", Some(0), "ok      camera c"),
    ] {
        let (code, said) = said_offline(&format!(
            "{camera}detect = {{ roi = {roi} }}\n\
             [[camera.zone]]\nid = \"road\"\npoints = [[0.0, 0.3], [0.4, 0.3], [0.4, 1.0], [0.0, 1.0]]\n\
             [[camera.line]]\nid = \"stop\"\nfrom = [0.1, 0.6]\nto = [0.55, 0.6]\ntowards = [0.3, 0.9]\n"
        ));
        assert_eq!(code, expected, "{roi}: {said}");
        assert!(said.contains(part), "{roi}: {said}");
        let is_content = !said.contains("detect.roi");
        assert_eq!(is_content, part.starts_with("ok"), "{roi}: {said}");
    }

    let plates = |looks: &str| {
        let cascade = "[[camera.cascade]]\nid = \"p\"\ngives = \"plate_text\"\non = \"car\"\n";
        said_offline(&format!("{camera}{cascade}{looks}")).1
    };
    let told = "takes 2 looks at a plate at most, and 3 must agree on it";
    let said = plates("looks = 1\n");
    assert!(said.contains(told), "{said}");
    let said = plates("looks = 2\nmost_looks = 3\n");
    assert!(!said.contains("must agree"), "{said}");
}

#[test]
fn addresses_at_which_nobody_can_be_are_refused_when_the_file_is_read() {
    faults(
        &format!(
            r#"{BOX}
[[camera]]
id = "a"
source = {{ rtsp = "rtsp://[::1" }}

[[camera]]
id = "b"
source = {{ rtsp = "rtsp://127.0.0.1/x", detect_rtsp = "rtsp://127.0.0.1:99999/x" }}
"#
        ),
        &expect![[r#"
            box.toml:7: camera[0].source.rtsp: `rtsp://[::1` has a [ without a ]; an IPv6 address is written [fe80::1]
            box.toml:11: camera[1].source.detect_rtsp: `rtsp://127.0.0.1:99999/x` has a port that is none; ports are 1 to 65535
        "#]],
    );
}

#[test]
fn a_folder_of_models_that_is_not_there_is_told_and_not_made() {
    let dir = tempfile::tempdir().unwrap();
    let typo = dir.path().join("modles");
    let text = format!(
        "{BOX}[store]\ndir = \"store\"\n[detector]\nmodels_dirs = [{typo:?}]\n\
         [[camera]]\nid = \"c\"\nsource = {{ rtsp = \"rtsp://127.0.0.1:1/x\" }}\n"
    );
    let file = write(dir.path(), "box.toml", &text);
    let (code, stdout, stderr) = agent(&["check", file.to_str().unwrap()]);
    assert_eq!(code, Some(1), "{stdout}{stderr}");
    let told = format!(
        "there is no folder {}; correct detector.models_dirs",
        typo.display()
    );
    assert!(stdout.contains(&told), "{stdout}");
    assert!(!typo.exists());
}

/// What computes, and whose models are taken: each line, and whether it fails.
#[test]
#[allow(clippy::too_many_lines)] // one case after the other
fn providers_devices_and_keys_that_are_of_no_use_are_told() {
    let dir = tempfile::tempdir().unwrap();
    write(dir.path(), "bad.pub", "not a key");
    std::fs::create_dir(dir.path().join("empty")).unwrap();
    let key = edge_inference::SecretKey::generate().unwrap().public();
    write(dir.path(), "good.pub", &key.text());
    write(dir.path(), "still.jsonl", &recording(3));
    let recorded =
        "[[camera]]\nid = \"c\"\nsource = { recording = \"still.jsonl\" }\nsimulated = true\n";
    let said = |detector: &str, more: &[&str]| {
        let text = format!("{BOX}[store]\ndir = \"store\"\n[detector]\n{detector}\n{recorded}");
        let file = write(dir.path(), "box.toml", &text);
        let (code, stdout, stderr) = agent(&[&["check"], more, &[file.to_str().unwrap()]].concat());
        (
            code,
            format!("{stdout}{stderr}").replace(&format!("{}/", dir.path().display()), ""),
        )
    };
    let (failed, fine) = (Some(1), Some(0));
    // Online, offline, and what is told of it.
    for (detector, online, offline, told) in [
        (r#"provider = "cpu""#, fine, fine, None),
        (r#"provider = "auto""#, fine, fine, None),
        (
            "provider = \"cpu\"\ndevice = \"GPU\"",
            failed,
            failed,
            Some(
                "detector.device: device `GPU` says nothing: cpu has no devices to choose from; name the provider",
            ),
        ),
        (
            "provider = \"cpu\"\nprovider_tolerance = 0.5",
            failed,
            failed,
            Some("detector.provider_tolerance: says nothing: cpu alone may compute"),
        ),
        (
            "provider = [\"cuda\", \"cpu\"]\nprovider_tolerance = 0.5",
            fine,
            fine,
            Some("detector.provider_tolerance: an accelerator's numbers may be off by 50 %"),
        ),
        (
            "provider = [\"cuda\", \"cpu\"]\ndevice = { cuda = \"1\" }",
            fine,
            fine,
            Some("was built without cuda; install"),
        ),
        (
            r#"provider = ["cpu", "cpu"]"#,
            failed,
            failed,
            Some("detector.provider: names cpu twice; take one"),
        ),
        (
            r#"provider = "cuda""#,
            failed,
            fine,
            Some("was built without cuda; install the GPU build of ONNX Runtime"),
        ),
        (
            r#"provider = ["cuda", "cpu"]"#,
            fine,
            fine,
            Some("was built without cuda; install"),
        ),
        (r#"onnxruntime = "nowhere""#, fine, fine, None),
        (r#"trusted_keys = ["good.pub"]"#, fine, fine, None),
        (
            r#"trusted_keys = ["gone"]"#,
            failed,
            fine,
            Some("detector.trusted_keys: gone is not there, so no bundle of that maker is taken"),
        ),
        (
            r#"trusted_keys = ["bad.pub", "good.pub"]"#,
            failed,
            failed,
            Some(
                "detector.trusted_keys: bad.pub is not in minisign's form: its key is not base64, so no bundle",
            ),
        ),
        (
            r#"trusted_keys = ["empty"]"#,
            fine,
            fine,
            Some("detector.trusted_keys: there is no key (`.pub`) in empty, so no bundle is taken"),
        ),
    ] {
        for (more, code) in [(&["--timeout", "1"][..], online), (&["--offline"], offline)] {
            let (found, said) = said(detector, more);
            assert_eq!(found, code, "{detector} {more:?}: {said}");
            let Some(told) = told else {
                assert!(
                    !said.contains("detector.provider") && !said.contains("detector.trusted"),
                    "{said}"
                );
                continue;
            };
            let line = said.lines().find(|line| line.contains(told));
            let line =
                line.unwrap_or_else(|| panic!("{detector} {more:?}: no `{told}` in\n{said}"));
            assert_eq!(line.starts_with("FAILED"), code == failed, "{line}");
        }
    }
    let (_, at_a_desk) = said("onnxruntime = \"nowhere\"", &["--offline"]);
    assert!(
        at_a_desk.contains("note    detector.onnxruntime: nowhere is not on this machine"),
        "{at_a_desk}"
    );
    // Of a library that is not at this desk nothing is known, and that is no "ok".
    let (code, said) = said(
        "provider = [\"cuda\", \"cpu\"]\nonnxruntime = \"nowhere\"",
        &["--offline"],
    );
    let told = "detector.provider: not looked at: whether cuda computes the models";
    assert_eq!((code, said.contains(told)), (fine, true), "{said}");
}
