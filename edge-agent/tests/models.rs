//! Models at work in the real program: on trial, killed, given up, in the shadow.

#![allow(clippy::unwrap_used)] // also in what the tests share

mod support;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use sha2::Digest as _;
use support::{Camera, Process, binary, eventually, free_port, installed, repository, start_agent};

/// A field that ONNX Runtime keeps and nobody reads (`metadata_props`): the same
/// network with another hash.
const ANOTHER_HASH: &[u8] = &[0x72, 0x06, 0x0a, 0x01, b'k', 0x12, 0x01, b'v'];

/// A folder of models: `good`, and `new` with other bytes of the same network.
struct Roadside {
    dir: tempfile::TempDir,
}

impl Roadside {
    fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let whole = fs::read(installed("models/centernet-mb3-512/centernet_mb3_512.onnx")).unwrap();
        let this = Self { dir };
        this.add("good", &whole);
        this.add("new", &[&whole[..], ANOTHER_HASH].concat());
        this
    }

    fn path(&self) -> &Path {
        self.dir.path()
    }

    fn models(&self) -> PathBuf {
        self.path().join("models")
    }

    fn add(&self, name: &str, network: &[u8]) {
        let catalogue = repository().join("models/catalog/centernet-mb3-512/model.toml");
        let manifest: String = fs::read_to_string(catalogue)
            .unwrap()
            .lines()
            .map(|line| match line.split(" = ").next() {
                Some("id") => format!("id = \"{name}\"\n"),
                Some("sha256") => format!("sha256 = \"{}\"\n", digest(network)),
                Some("size_bytes") => format!("size_bytes = {}\n", network.len()),
                _ => format!("{line}\n"),
            })
            .collect();
        let folder = self.models().join(name);
        fs::create_dir_all(&folder).unwrap();
        fs::write(folder.join("model.toml"), manifest).unwrap();
        fs::write(folder.join("centernet_mb3_512.onnx"), network).unwrap();
    }

    fn digest(&self, name: &str) -> String {
        digest(&fs::read(self.models().join(name).join("centernet_mb3_512.onnx")).unwrap())
    }

    /// As if `good` had worked here for a year.
    fn good_is_proven(&self) {
        let text = format!(
            "attempts = 0\nfailed = []\n[proven]\nmodel = \"good\"\nsha256 = \"{}\"\n",
            self.digest("good")
        );
        fs::write(self.models().join("trial.toml"), text).unwrap();
    }

    fn trials(&self) -> toml::Table {
        let text = fs::read_to_string(self.models().join("trial.toml")).unwrap_or_default();
        text.parse().unwrap()
    }

    fn config(&self, camera: &str, detector: &str) -> (PathBuf, u16) {
        let metrics = free_port();
        let file = self.path().join("box.toml");
        let text = format!(
            "[box]\nsite = \"test\"\nid = \"box-1\"\n[store]\ndir = \"store\"\n\
             [metrics]\nlisten = \"127.0.0.1:{metrics}\"\n\
             [[camera]]\nid = \"campus\"\nname = \"campus\"\nsource = {{ rtsp = \"{camera}\" }}\n\
             [detector]\nmodels_dirs = [\"models\"]\n{detector}"
        );
        fs::write(&file, text).unwrap();
        (file, metrics)
    }
}

fn digest(content: &[u8]) -> String {
    protocol::Digest(sha2::Sha256::digest(content).into()).to_string()
}

fn metrics(port: u16) -> String {
    page(port, "metrics")
}

fn page(port: u16, name: &str) -> String {
    let address = format!("http://127.0.0.1:{port}/{name}");
    eventually(name, || {
        ureq::get(&address)
            .call()
            .ok()?
            .body_mut()
            .read_to_string()
            .ok()
    })
}

/// Starts the agent on its own and waits until the model is at work.
fn started(config: &Path, dir: &Path, log: &str) -> Process {
    let mut command = Command::new(binary("edge-agent"));
    command.arg("run").arg(config);
    let mut agent = Process::start(command, dir.join(log));
    eventually("the agent to watch", || {
        assert!(agent.is_running(), "it ended:\n{}", agent.log_text());
        agent.log_text().contains("watching").then_some(())
    });
    agent
}

fn agent(arguments: &[&str]) -> Output {
    Command::new(binary("edge-agent"))
        .args(arguments)
        .output()
        .unwrap()
}

#[test]
fn a_new_model_whose_process_is_killed_three_times_gives_way_to_the_last_good_one() {
    let here = Roadside::new();
    here.good_is_proven();
    // Nobody listens there: the camera is lost, the model is at work.
    let camera = format!("rtsp://127.0.0.1:{}/none", free_port());
    let (config, port) = here.config(&camera, "model = \"new\"\n");
    for attempt in 1..=3 {
        let mut agent = started(&config, here.path(), &format!("{attempt}.log"));
        assert_eq!(here.trials()["attempts"].as_integer(), Some(attempt));
        assert!(metrics(port).contains("model=\"new\""));
        agent.kill();
    }
    let agent = started(&config, here.path(), "4.log");
    let log = agent.log_text();
    assert!(log.contains("given up: the program ended 3 times"), "{log}");
    let text = metrics(port);
    assert!(
        text.contains("model=\"good\"") && text.contains("edge_detector_instead{} 1.0"),
        "{text}"
    );
    assert!(text.contains("provider=\"CPUExecutionProvider\""), "{text}");
    assert_eq!(agent.terminate(), Some(0));

    let models = here.models();
    let models = models.to_str().unwrap();
    let journal = agent_text(&["models", "--models-dir", models, "journal", "--json"]);
    let actions: Vec<&str> = journal
        .lines()
        .map(|line| {
            if line.contains("\"failed\"") {
                "failed"
            } else {
                "returned"
            }
        })
        .collect();
    assert_eq!(actions, ["failed", "returned"], "{journal}");
    let list = agent_text(&["models", "--models-dir", models, "list", "--json"]);
    assert!(list.contains("failed here on"), "{list}");
    assert!(list.contains("\"state\": \"failed\""), "{list}");

    // The operator insists; a stop on purpose is then no failed start.
    agent_text(&["models", "--models-dir", models, "use", "new"]);
    for again in 0..4 {
        let agent = started(&config, here.path(), &format!("again-{again}.log"));
        assert_eq!(agent.terminate(), Some(0));
        let trials = here.trials();
        assert_eq!(trials["attempts"].as_integer(), Some(0), "{trials:?}");
    }
}

/// Who mistyped a name had a line in the log, and another model that judged.
#[test]
fn a_model_that_this_box_never_had_is_a_fault_of_the_configuration() {
    let here = Roadside::new();
    here.good_is_proven();
    for (model, why) in [
        ("nosuch", "there is no model called nosuch; known are "),
        // The catalogue knows it, and nobody has installed it.
        ("yolox-nano", "model yolox-nano is not installed"),
    ] {
        let (config, _) = here.config("rtsp://127.0.0.1:1/none", &format!("model = \"{model}\"\n"));
        let mut command = Command::new(binary("edge-agent"));
        command.arg("run").arg(config);
        let log = here.path().join(format!("{model}.log"));
        let code = Process::start(command, log.clone()).end();
        let log = fs::read_to_string(log).unwrap();
        assert_eq!(code, Some(2), "{log}");
        let told =
            format!("error: detector.model: nothing here shows that this box ever had `{model}`");
        assert!(log.contains(&told) && log.contains(why), "{log}");
        assert!(!log.contains("watching"), "{log}");
    }
}

/// A box at the roadside must not go blind for a file, and must not look well either: `/healthz` said
/// `ok` while another model judged than the one that was asked for.
#[test]
fn a_box_that_lost_its_model_watches_on_with_the_last_good_one_and_says_so() {
    let here = Roadside::new();
    here.good_is_proven();
    let camera = Camera::start(here.path(), &installed("clips/vtest.mp4"), "127.0.0.1:0");
    let (config, port) = here.config(&camera.url, "model = \"new\"\n");
    let agent = started(&config, here.path(), "whole.log");
    assert_eq!(agent.terminate(), Some(0));
    let folder = here.models().join("new");
    for (lost, why) in [
        (
            folder.join("centernet_mb3_512.onnx"),
            "model new is not installed",
        ),
        (folder.join("model.toml"), "there is no model called new"),
    ] {
        fs::remove_file(lost).unwrap();
        let agent = start_agent(here.path(), &config);
        let told = format!("campus: degraded: not the wanted model is at work: {why}");
        eventually(&told, || {
            page(port, "healthz").contains(&told).then_some(())
        });
        let text = metrics(port);
        for line in [
            "edge_detector_instead{} 1.0",
            "edge_camera_watching{camera=\"campus\"} 0.0",
        ] {
            assert!(text.contains(line), "{line}: {text}");
        }
        assert!(text.contains("edge_detector{model=\"good\""), "{text}");
        assert_eq!(agent.terminate(), Some(0));
    }
}

fn agent_text(arguments: &[&str]) -> String {
    let output = agent(arguments);
    let text = String::from_utf8(output.stdout).unwrap();
    assert!(
        output.status.success(),
        "{text}{}",
        String::from_utf8_lossy(&output.stderr)
    );
    text
}

#[test]
fn a_model_that_works_is_proven_and_its_shadow_is_compared_and_raises_nothing() {
    let here = Roadside::new();
    let camera = Camera::start(here.path(), &installed("clips/vtest.mp4"), "127.0.0.1:0");
    let (config, port) = here.config(
        &camera.url,
        "model = \"new\"\ntrial_min = 0.02\n[detector.shadow]\nmodel = \"good\"\nevery = 2\n",
    );
    let agent = start_agent(here.path(), &config);
    eventually("the model to be proven", || {
        let proven = here
            .trials()
            .get("proven")?
            .get("sha256")?
            .as_str()?
            .to_owned();
        (proven == here.digest("new")).then_some(())
    });
    let of = |text: &str, line: &str| -> Option<f64> {
        let line = text.lines().find(|l| l.starts_with(line))?;
        line.rsplit(' ').next()?.parse().ok()
    };
    let text = eventually("people seen by both", || {
        let text = metrics(port);
        let line = "edge_shadow_things_total{model=\"good\",class=\"person\",outcome=\"matched\"}";
        (of(&text, line)? > 5.0).then_some(text)
    });
    // The same network: they can only agree.
    assert!(
        of(&text, "edge_shadow_pictures_total").unwrap() > 0.0,
        "{text}"
    );
    for outcome in ["class_differs", "only_current", "only_shadow"] {
        let line = format!(
            "edge_shadow_things_total{{model=\"good\",class=\"person\",outcome=\"{outcome}\"}}"
        );
        assert_eq!(of(&text, &line), Some(0.0), "{text}");
    }
    let looked = of(&text, "edge_frames_analysed_total").unwrap();
    assert!(
        of(&text, "edge_shadow_pictures_total").unwrap() <= looked / 2.0 + 2.0,
        "{text}"
    );
    let log = here.path().join("agent.log");
    assert_eq!(agent.terminate(), Some(0));
    let log = fs::read_to_string(log).unwrap();
    assert!(log.contains("shadow model compared"), "{log}");
}

/// Recorded clips are where two models are compared, and a replay did not even say that it
/// passes the second one over.
#[test]
fn a_replay_compares_the_shadow_as_a_box_does_and_its_events_stay_the_same() {
    const RULE: &str = "[[camera.zone]]\nid = \"yard\"\npoints = [[0.0, 0.0], [1.0, 0.0], [1.0, 1.0], [0.0, 1.0]]\n\
                        [[camera.rule]]\nid = \"people\"\nkind = \"intrusion\"\nzone = \"yard\"\n";
    let here = Roadside::new();
    let clip = installed("clips/vtest.mp4");
    let file = here.path().join("agreement.jsonl");
    let replay = |shadow: &str, more: &[&str]| {
        let detector = format!("model = \"new\"\n{shadow}");
        let (config, _) = here.config("rtsp://127.0.0.1/none", &detector);
        let text = fs::read_to_string(&config).unwrap();
        fs::write(
            &config,
            text.replace("[detector]\n", &format!("{RULE}[detector]\n")),
        )
        .unwrap();
        let words = ["replay", clip.to_str().unwrap(), "--analysed-fps", "2"];
        let config = ["--config", config.to_str().unwrap()];
        let output = agent(&[&words[..], &config, more].concat());
        let told = String::from_utf8(output.stderr).unwrap();
        (output.status.code(), output.stdout, told)
    };
    let (code, alone, told) = replay("", &[]);
    assert_eq!((code, told.contains("shadow")), (Some(0), false), "{told}");
    assert!(!alone.is_empty(), "{told}");

    let shadow = "[detector.shadow]\nmodel = \"good\"\nevery = 4\n";
    let to = ["--shadow", file.to_str().unwrap()];
    let (code, beside, told) = replay(shadow, &to);
    assert_eq!(code, Some(0), "{told}");
    assert!(alone == beside, "the shadow changes events: {told}");
    // The same network: they can only agree.
    assert!(
        told.contains("shadow model good: it agrees with the detector in 100.0 % of "),
        "{told}"
    );
    let lines = fs::read_to_string(&file).unwrap();
    let people = lines
        .lines()
        .find(|line| line.contains("\"person\""))
        .unwrap();
    let people: serde_json::Value = serde_json::from_str(people).unwrap();
    assert!(people["matched"].as_u64() > Some(20), "{people}");
    for outcome in ["class_differs", "only_current", "only_shadow"] {
        assert_eq!(people[outcome], 0, "{people}");
    }
    // One of four of a hundred and sixty looks, as if by lot.
    let pictures = people["pictures"].as_u64().unwrap();
    assert!((20..=60).contains(&pictures), "{people}");

    let none = "[detector.shadow]\nmodel = \"nobody\"\n";
    let (code, without, told) = replay(none, &[]);
    assert_eq!((code, alone == without), (Some(0), true), "{told}");
    assert!(
        told.contains("warning: no model is compared in the shadow: "),
        "{told}"
    );
    let (code, _, told) = replay(none, &to);
    assert_eq!((code, told.contains("--shadow")), (Some(1), true), "{told}");
    let (code, _, told) = replay("", &to);
    assert_eq!(
        (code, told.contains("[detector.shadow]")),
        (Some(1), true),
        "{told}"
    );
}

#[test]
#[allow(clippy::too_many_lines)] // the life of a box's versions, in order
fn bundles_are_made_signed_installed_used_and_rolled_back_on_the_command_line() {
    let here = Roadside::new();
    let file = |name: &str| here.path().join(name).to_str().unwrap().to_owned();
    let (maker, models) = (file("maker"), file("models"));
    let on = |models: &str, arguments: &[&str]| {
        agent(
            &[
                &["--log", "error", "models", "--models-dir", models],
                arguments,
            ]
            .concat(),
        )
    };
    assert!(agent(&["models", "keygen", &maker]).status.success());
    assert!(
        !agent(&["models", "keygen", &maker]).status.success(),
        "a key was written over"
    );
    let key = file("maker.key");
    for (model, version) in [("good", "1"), ("new", "2")] {
        let out = file(&format!("{version}.tar"));
        let made = on(
            &models,
            &[
                "bundle",
                model,
                "--rename",
                "street",
                "--version",
                version,
                "--sign",
                &key,
                "--out",
                &out,
            ],
        );
        assert!(made.status.success(), "{made:?}");
    }
    let elsewhere = file("box");
    let (first, second, public) = (file("1.tar"), file("2.tar"), file("maker.pub"));
    let refused = on(&elsewhere, &["install", &second]);
    assert_eq!(refused.status.code(), Some(1));
    assert!(
        String::from_utf8_lossy(&refused.stderr).contains("not trusted here"),
        "{refused:?}"
    );
    for bundle in [&first, &second] {
        let taken = on(&elsewhere, &["install", bundle, "--key", &public]);
        assert!(taken.status.success(), "{taken:?}");
    }
    let current = || {
        let list = on(&elsewhere, &["list", "--json"]).stdout;
        let list: serde_json::Value = serde_json::from_slice(&list).unwrap();
        let street = list
            .as_array()
            .unwrap()
            .iter()
            .find(|m| m["model"] == "street")
            .unwrap();
        let versions = street["versions"].as_array().unwrap().clone();
        let current = versions.iter().find(|v| v["is_current"] == true).unwrap();
        current["version"].as_u64().unwrap()
    };
    assert_eq!(current(), 2);
    let shown = |name: &str| {
        let shown = on(&elsewhere, &["show", name, "--json", "--key", &public]).stdout;
        serde_json::from_slice::<serde_json::Value>(&shown).unwrap()
    };
    for (name, version, state, of) in [
        ("street", 2, "in_use", "new"),
        ("street@2", 2, "in_use", "new"),
        ("street@1", 1, "kept", "good"),
    ] {
        let shown = shown(name);
        assert_eq!(shown["version"], version, "{shown}");
        assert_eq!(shown["state"], state, "{shown}");
        assert_eq!(shown["manifest"]["sha256"], here.digest(of), "{shown}");
        let place = format!("street/versions/{version}/");
        for file in ["file", "manifest_file"] {
            assert!(shown[file].as_str().unwrap().contains(&place), "{shown}");
        }
        for version in shown["versions"].as_array().unwrap() {
            assert!(version["signed_by"].is_string(), "{shown}");
        }
    }
    let old = on(&elsewhere, &["install", &first, "--key", &public]);
    assert_eq!(old.status.code(), Some(1));
    assert!(
        String::from_utf8_lossy(&old.stderr).contains("--allow-downgrade"),
        "{old:?}"
    );
    assert!(on(&elsewhere, &["rollback"]).status.success());
    assert_eq!(current(), 1);
    let none = on(&elsewhere, &["rollback"]);
    assert!(
        String::from_utf8_lossy(&none.stderr).contains("oldest good version"),
        "{none:?}"
    );
    // Where other detectors are, one of them is the way back from a detector's first version.
    assert!(
        on(&models, &["install", &first, "--key", &public])
            .status
            .success()
    );
    let none = on(&models, &["rollback", "street"]);
    assert!(
        String::from_utf8_lossy(&none.stderr).contains("`edge-agent models use "),
        "{none:?}"
    );
    assert!(on(&elsewhere, &["use", "street@2"]).status.success());
    assert_eq!(current(), 2);
    let absent = on(&elsewhere, &["use", "street@9"]);
    assert!(
        String::from_utf8_lossy(&absent.stderr).contains("there are 1, 2"),
        "{absent:?}"
    );
    let verified = on(&elsewhere, &["verify", "--self-test", "--key", &public]);
    assert!(verified.status.success(), "{verified:?}");
    fs::write(
        Path::new(&elsewhere).join("street/versions/1/centernet_mb3_512.onnx"),
        "x",
    )
    .unwrap();
    let verified = on(&elsewhere, &["verify"]);
    assert_eq!(verified.status.code(), Some(1), "{verified:?}");
}

/// It was said that the model has no versions here.
#[test]
fn the_way_back_leads_from_a_version_that_lies_damaged_as_well() {
    let here = Roadside::new();
    let file = |name: &str| here.path().join(name).to_str().unwrap().to_owned();
    let run = |models: &str, arguments: &[&str]| {
        let command = ["--log", "error", "models", "--models-dir", models];
        agent(&[&command[..], arguments].concat())
    };
    let (maker, models, public) = (file("models"), file("box"), file("maker.pub"));
    assert!(run(&maker, &["keygen", &file("maker")]).status.success());
    for version in ["1", "2"] {
        let (key, out) = (file("maker.key"), file(&format!("street-{version}.tar")));
        let words = ["bundle", "good", "--rename", "street", "--version", version];
        let made = run(
            &maker,
            &[&words[..], &["--sign", &key, "--out", &out]].concat(),
        );
        assert!(made.status.success(), "{made:?}");
        let taken = run(&models, &["install", &out, "--key", &public]);
        assert!(taken.status.success(), "{taken:?}");
    }
    // Nothing can be read of it any more; its pointer says which it is.
    let street = Path::new(&models).join("street");
    fs::write(street.join("versions/2/bundle.toml"), "x").unwrap();
    let back = run(&models, &["rollback", "street"]);
    let said = String::from_utf8_lossy(&back.stdout);
    assert!(said.contains("from version 2 back to 1"), "{back:?}");
    assert_eq!(fs::read_to_string(street.join("current")).unwrap(), "1");
    fs::write(street.join("current"), "one").unwrap();
    let lost = run(&models, &["rollback", "street"]);
    let said = String::from_utf8_lossy(&lost.stderr);
    assert!(
        said.contains("which version of street is current") && said.contains("one of 1"),
        "{said}"
    );
}

#[test]
fn a_provider_that_is_not_there_is_named_with_what_to_do() {
    let here = Roadside::new();
    let camera = format!("rtsp://127.0.0.1:{}/none", free_port());
    let check = |detector: &str| {
        let (config, _) = here.config(&camera, &format!("model = \"good\"\n{detector}"));
        let output = agent(&["check", config.to_str().unwrap(), "--timeout", "1"]);
        String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned()
    };
    let text = check("provider = [\"rknpu\", \"cpu\"]\n");
    assert!(
        text.contains("model: good (MIT) on CPUExecutionProvider")
            && text.contains("not on rknpu: "),
        "{text}"
    );
    let text = check("provider = \"rknpu\"\n");
    assert!(
        text.contains("nothing computes it. rknpu: ONNX Runtime"),
        "{text}"
    );
    assert_eq!(text.matches("model good").count(), 1, "{text}");
    // Where there is no other provider none is promised.
    assert!(text.contains("; there is no other to try"), "{text}");
    let text = check("provider = [\"rknpu\", \"cpu\"]\n");
    assert!(text.contains("; cpu is tried next"), "{text}");
    for (detector, words) in [
        (
            "provider = \"gpu\"\n",
            "`gpu` is no provider; there are auto, tensorrt",
        ),
        ("provider = []\n", "the list is empty"),
        (
            "provider = 3\n",
            "provider is \"auto\", a provider's name, or a list",
        ),
        (
            "provider = \"cuda\"\ndevice = \"GPU\"\n",
            "cuda counts its devices from 0",
        ),
        ("device = \"1\"\n", "name the provider as well"),
        (
            "provider = [\"openvino\", \"cuda\"]\ndevice = \"GPU\"\n",
            "; for a list of several kinds name each one's: device = { openvino",
        ),
        (
            "provider = [\"openvino\", \"cpu\"]\ndevice = { cuda = \"1\" }\n",
            "detector.device.cuda: cuda is not tried, so its device says nothing",
        ),
        (
            "provider = [\"cuda\", \"cpu\"]\ndevice = { cpu = \"0\" }\n",
            "cpu has no devices to choose from",
        ),
        (
            "provider = \"cuda\"\ndevice = { cuda = \"GPU\" }\n",
            "cuda counts its devices from 0",
        ),
        ("device = { gpu = \"1\" }\n", "`gpu` is no provider"),
        ("device = 3\n", "device is a device's name in quotes"),
        ("provider_tolerance = 0.9\n", "0.9 is not from 0.01 to 0.8"),
        ("provider_tolerance = nan\n", "is not from 0.01 to 0.8"),
        ("trial_min = 0\n", "is more than 0"),
        ("threads = 0\n", "0 is not from 1 to 64"),
        ("threads = 100000\n", "100000 is not from 1 to 64"),
        (
            "[detector.shadow]\nmodel = \"good@x\"\n",
            "`x` is no version",
        ),
        (
            "[detector.shadow]\nmodel = \"good\"\nevery = 0\n",
            "is at least 1",
        ),
    ] {
        let text = check(detector);
        assert!(
            text.contains(words) && text.contains("box.toml:"),
            "{detector}: {text}"
        );
    }
}

/// The version in between had only been put beside the others, and nobody had ever looked with it.
#[test]
fn the_way_back_leads_to_a_version_that_was_in_use() {
    let here = Roadside::new();
    let file = |name: &str| here.path().join(name).to_str().unwrap().to_owned();
    let (maker, models, public) = (file("models"), file("box"), file("maker.pub"));
    let run = |models: &str, arguments: &[&str]| {
        let command = ["--log", "error", "models", "--models-dir", models];
        let done = agent(&[&command[..], arguments].concat());
        assert!(done.status.success(), "{arguments:?}: {done:?}");
        String::from_utf8(done.stdout).unwrap()
    };
    run(&maker, &["keygen", &file("maker")]);
    for (version, more) in [("1", &[][..]), ("2", &["--no-use"]), ("3", &[])] {
        let (key, out) = (file("maker.key"), file(&format!("street-{version}.tar")));
        let words = ["bundle", "good", "--rename", "street", "--version", version];
        run(
            &maker,
            &[&words[..], &["--sign", &key, "--out", &out]].concat(),
        );
        run(
            &models,
            &[&["install", &out, "--key", &public][..], more].concat(),
        );
    }
    let said = run(&models, &["rollback", "street"]);
    assert!(said.contains("from version 3 back to 1"), "{said}");
    // Where it lay here all the while and nobody can tell, the one before it.
    fs::remove_file(Path::new(&models).join("journal.jsonl")).unwrap();
    run(&models, &["use", "street@3"]);
    let said = run(&models, &["rollback", "street"]);
    assert!(said.contains("from version 3 back to 2"), "{said}");
}

/// A second model for a cascade, which sees road users as well, comes in and goes back.
#[test]
fn what_is_installed_or_rolled_back_never_changes_who_detects() {
    let here = Roadside::new();
    let file = |name: &str| here.path().join(name).to_str().unwrap().to_owned();
    let (models, public) = (file("box"), file("maker.pub"));
    let run = |models: &str, arguments: &[&str]| {
        let command = ["--log", "error", "models", "--models-dir", models];
        let done = agent(&[&command[..], arguments].concat());
        assert!(done.status.success(), "{arguments:?}: {done:?}");
        String::from_utf8(done.stdout).unwrap()
    };
    assert!(
        agent(&["models", "keygen", &file("maker")])
            .status
            .success()
    );
    let bundle = |model: &str, as_what: &str, version: &str| {
        let (key, out) = (file("maker.key"), file(&format!("{as_what}-{version}.tar")));
        let words = ["bundle", model, "--rename", as_what, "--version", version];
        let rest = ["--sign", &key, "--out", &out];
        run(&file("models"), &[&words[..], &rest].concat());
        out
    };
    let install = |bundle: &str| run(&models, &["install", bundle, "--key", &public]);
    let in_use = || {
        let list: serde_json::Value =
            serde_json::from_str(&run(&models, &["list", "--json"])).unwrap();
        let listed = list.as_array().unwrap().iter();
        let mut used = listed.filter(|model| model["state"] == "in_use");
        used.next().unwrap()["model"].as_str().unwrap().to_owned()
    };
    let (street, first, second) = (
        bundle("good", "street", "1"),
        bundle("new", "a-helmets", "1"),
        bundle("good", "a-helmets", "2"),
    );
    // The first that comes is taken.
    install(&street);
    assert_eq!(in_use(), "street");
    // By rank and name the other would come first, chosen or not.
    for is_chosen in [true, false] {
        if !is_chosen {
            fs::remove_file(Path::new(&models).join("use.toml")).unwrap();
            fs::remove_dir_all(Path::new(&models).join("a-helmets")).unwrap();
            // Which remembers that its second version was here.
            fs::remove_file(Path::new(&models).join("journal.jsonl")).unwrap();
        }
        let said = install(&first);
        assert!(said.contains("street goes on as the detector"), "{said}");
        assert_eq!(in_use(), "street");
        install(&second);
        assert_eq!(in_use(), "street");
        run(&models, &["rollback", "a-helmets"]);
        assert_eq!(in_use(), "street");
    }
    run(&models, &["use", "a-helmets@2"]);
    assert_eq!(in_use(), "a-helmets");
    // Its own versions come and go without a word more.
    run(&models, &["rollback"]);
    assert_eq!(in_use(), "a-helmets");
    run(&models, &["use", "street"]);
    assert_eq!(in_use(), "street");
}
