//! Models that take second looks, in and out of a box: bundles with a self-test of their
//! own, versions, and what becomes of one that fails or ends the program.

#![allow(clippy::unwrap_used)] // a test that cannot go on says where it stands

#[allow(dead_code)] // other tests use more of it
#[path = "../inference/tests/support/onnx.rs"]
mod onnx;
#[allow(dead_code)] // other tests use more of it
#[path = "../inference/tests/support/small.rs"]
mod small;
mod support;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use edge_inference::{SELF_TEST, bundle};
use models::{Colour, Manifest};
use serde_json::Value;
use small::Small;
use support::{Camera, binary, eventually, free_port, start_agent};

/// A box, and a maker of models.
struct Bench {
    dir: tempfile::TempDir,
}

impl Bench {
    fn new() -> Self {
        let this = Self {
            dir: tempfile::tempdir().unwrap(),
        };
        this.make("roads", &Small::default().manifest());
        this
    }

    fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    fn file(&self, name: &str) -> String {
        self.path(name).to_str().unwrap().to_owned()
    }

    /// A network with this manifest among the maker's models.
    fn make(&self, name: &str, manifest: &Manifest) {
        let folder = self.path("maker").join(name);
        fs::create_dir_all(&folder).unwrap();
        let bytes = Small::default().file();
        small::write(&folder, &bytes);
        let manifest = Manifest {
            id: name.parse().unwrap(),
            ..small::of_file(manifest.clone(), &bytes)
        };
        fs::write(
            folder.join("model.toml"),
            toml::to_string(&manifest).unwrap(),
        )
        .unwrap();
    }

    /// Reddish.
    fn pictures(&self) -> String {
        let folder = self.path("pictures");
        fs::create_dir_all(&folder).unwrap();
        picture(&folder.join("red.png"), "0xc83c14");
        folder.to_str().unwrap().to_owned()
    }

    fn models(&self, folder: &str, arguments: &[&str]) -> Output {
        let folder = self.file(folder);
        let mut command = Command::new(binary("edge-agent"));
        command.args(["--log", "error", "models", "--models-dir", &folder]);
        command.args(arguments).output().unwrap()
    }

    /// What it prints; it must succeed.
    fn done(&self, folder: &str, arguments: &[&str]) -> String {
        let output = self.models(folder, arguments);
        assert!(output.status.success(), "{arguments:?}: {output:?}");
        String::from_utf8(output.stdout).unwrap()
    }

    /// A bundle of the maker's `model` as version `number` of `flames`, with a self-test.
    fn bundle(&self, model: &str, number: &str) -> String {
        let (out, pictures) = (self.file(&format!("{number}.tar")), self.pictures());
        let rest = ["--version", number, "--pictures", &pictures, "--out", &out];
        let said = self.done(
            "maker",
            &[&["bundle", model, "--rename", "flames"], &rest[..]].concat(),
        );
        assert!(
            said.contains("self-test: 1 word(s) in 1 picture(s)"),
            "{said}"
        );
        out
    }

    /// Version 1 of `flames` is a good one. Version 2 sees something else than its maker
    /// saw: colours were swapped on the way.
    fn with_two_versions(&self) {
        let flames = flames();
        self.make("flames", &flames);
        self.done(
            "box",
            &["install", &self.bundle("flames", "1"), "--allow-unsigned"],
        );
        let verified = self.done("box", &["verify", "flames", "--self-test"]);
        assert!(verified.contains("self-test passed"), "{verified}");
        // What is in a good bundle, with another manifest around the same network and pictures.
        let second = self.bundle("flames", "2");
        self.done(
            "scratch",
            &["install", &second, "--allow-unsigned", "--no-use"],
        );
        let version = self.path("scratch/flames/versions/2");
        let mut swapped = flames.clone();
        swapped.input.colour = Colour::Bgr;
        swapped.id = "flames".parse().unwrap();
        let swapped = small::of_file(swapped, &Small::default().file());
        let read = |name: &str| (name.to_owned(), fs::read(version.join(name)).unwrap());
        let manifest = toml::to_string(&swapped).unwrap().into_bytes();
        let files = [
            (bundle::MANIFEST.to_owned(), manifest),
            read("small.onnx"),
            read(SELF_TEST),
            read("selftest/001.png"),
        ];
        let bad = self.path("bad.tar");
        let out = fs::File::create(&bad).unwrap();
        bundle::pack(&swapped.id, 2, &files, None, out).unwrap();
        let bad = bad.to_str().unwrap();
        self.done("box", &["install", bad, "--allow-unsigned", "--no-use"]);
    }

    /// A box that watches `source` with `roads`, and for fire with `flames`.
    fn config(&self, source: &str) -> (PathBuf, u16) {
        let roads = self.path("box/roads");
        if !roads.exists() {
            fs::create_dir_all(&roads).unwrap();
            for file in ["model.toml", "small.onnx"] {
                fs::copy(self.path("maker/roads").join(file), roads.join(file)).unwrap();
            }
        }
        let port = free_port();
        let text = format!(
            "[box]\nsite = 's'\nid = 'b'\n[store]\ndir = 'store'\n[metrics]\nlisten = '127.0.0.1:{port}'\n\
             [detector]\nmodel = 'roads'\nmodels_dirs = ['box']\ntrial_min = 0.001\n\
             [[camera]]\nid = 'c'\nsource = {{ rtsp = '{source}' }}\nhealth = {{ watch = false }}\n\
             detect = {{ gate = false }}\n\
             [[camera.rule]]\nid = 'flames'\nkind = 'fire'\n\
             [[camera.cascade]]\nid = 'flames'\nmodel = 'flames'\ngives = 'fire'\nevery_s = 0.5\n"
        );
        let file = self.path("box.toml");
        fs::write(&file, text).unwrap();
        (file, port)
    }

    fn ledger(&self) -> toml::Table {
        let text = fs::read_to_string(self.path("box/trial.toml")).unwrap_or_default();
        text.parse().unwrap()
    }

    fn current(&self) -> Option<u64> {
        let list: Value = serde_json::from_str(&self.done("box", &["list", "--json"])).unwrap();
        let models = list.as_array().unwrap();
        let flames = models.iter().find(|model| model["model"] == "flames")?;
        let versions = flames["versions"].as_array()?;
        versions.iter().find(|v| v["is_current"] == true)?["version"].as_u64()
    }
}

/// A classifier of which red is fire.
fn flames() -> Manifest {
    let text = toml::to_string(&Small::classifier()).unwrap();
    Manifest::parse(&text.replace("person", "fire")).unwrap()
}

fn picture(file: &Path, colour: &str) {
    let mut command = Command::new("ffmpeg");
    command.args(["-v", "error", "-nostdin", "-y", "-f", "lavfi"]);
    command.args(["-i", &format!("color=c={colour}:s=64x64"), "-frames:v", "1"]);
    assert!(command.arg(file).status().unwrap().success());
}

/// Ten seconds of grey, over and over.
fn camera(dir: &Path) -> Camera {
    let clip = dir.join("grey.mp4");
    let mut command = Command::new("ffmpeg");
    let source = "color=c=gray:s=320x240:r=10:d=10,noise=alls=6:allf=t";
    command.args(["-v", "error", "-nostdin", "-y", "-f", "lavfi", "-i", source]);
    command.args("-pix_fmt yuv420p -c:v libx264 -bf 0 -g 10 -preset ultrafast".split(' '));
    command.args(["-x264-params", "sliced-threads=0:scenecut=0"]);
    assert!(command.arg(&clip).status().unwrap().success());
    Camera::start(dir, &clip, "127.0.0.1:0")
}

fn metrics(port: u16) -> Option<String> {
    let mut answer = ureq::get(format!("http://127.0.0.1:{port}/metrics"))
        .call()
        .ok()?;
    answer.body_mut().read_to_string().ok()
}

/// Waits until a number in the metrics is at least so large.
fn reach(port: u16, name: &str, least: f64) {
    eventually(name, || {
        let text = metrics(port)?;
        let line = text.lines().find(|line| line.starts_with(name))?;
        let value: f64 = line.rsplit(' ').next()?.parse().ok()?;
        (value >= least).then_some(())
    });
}

const UNWATCHED: &str =
    "edge_rule_unwatched_seconds_total{camera=\"c\",rule=\"flames\",reason=\"no_model\"}";
const LOOKED: &str = "edge_frames_analysed_total{camera=\"c\"}";

#[test]
fn a_classifier_comes_in_a_bundle_with_a_self_test_becomes_current_and_is_rolled_back() {
    let bench = Bench::new();
    bench.with_two_versions();
    assert_eq!(bench.current(), Some(1));
    // What it sees on this box is not what its maker saw.
    let refused = bench.models("box", &["use", "flames@2"]);
    let said = String::from_utf8_lossy(&refused.stderr).into_owned();
    assert_eq!(refused.status.code(), Some(1), "{said}");
    for words in [
        "does not become current",
        "class 2 is said instead of class 0",
    ] {
        assert!(said.contains(words), "{said}");
    }
    assert_eq!(bench.current(), Some(1));
    let third = bench.bundle("flames", "3");
    let said = bench.done("box", &["install", &third, "--allow-unsigned"]);
    for words in [
        "self-test passed on CPUExecutionProvider",
        "it does not become the detector: name it in a cascade",
    ] {
        assert!(said.contains(words), "{said}");
    }
    assert!(!bench.path("box/use.toml").exists());
    assert_eq!(bench.current(), Some(3));
    // The way back leads past version 2, which was never at work.
    bench.done("box", &["rollback", "flames"]);
    assert_eq!(bench.current(), Some(1));
}

/// `check` looked at the model's current version, and all was well; the box then watched
/// without the cascade.
#[test]
fn check_looks_for_the_version_that_is_named() {
    let bench = Bench::new();
    bench.with_two_versions();
    let (config, _) = bench.config("rtsp://127.0.0.1/none");
    let text = fs::read_to_string(&config).unwrap();
    let check = |model: &str| {
        let named = text.replace("model = 'flames'", &format!("model = '{model}'"));
        let shadow = "[detector.shadow]\nmodel = 'roads@9'\n[[camera]]";
        fs::write(&config, named.replacen("[[camera]]", shadow, 1)).unwrap();
        support::agent(&["check", "--offline", config.to_str().unwrap()]).1
    };
    let told = check("flames@2");
    assert!(
        told.contains("flames@2 looks at the whole picture"),
        "{told}"
    );
    assert!(!told.contains("flames has no version"), "{told}");
    let told = check("flames@9");
    for (part, words) in [
        (
            "camera c cascade flames",
            "flames has no version 9 here; there are 1, 2",
        ),
        (
            "detector.shadow.model",
            "roads has no version 9 here; there are none",
        ),
    ] {
        let line = told.lines().find(|line| line.contains(part));
        let line = line.unwrap_or_else(|| panic!("no {part} in\n{told}"));
        assert!(line.contains(words), "{told}");
    }
}

#[test]
fn a_version_that_fails_its_self_test_is_not_at_work_and_the_last_good_one_is() {
    let bench = Bench::new();
    bench.with_two_versions();
    let camera = camera(bench.dir.path());
    let (config, port) = bench.config(&camera.url);
    let second =
        |what: &str, version| format!("edge_second_model{what}{{model=\"flames@{version}\"");

    // Nothing has proven itself: the rule does not watch, everything else does.
    bench.done("box", &["use", "flames@2", "--no-self-test"]);
    let running = start_agent(bench.dir.path(), &config);
    reach(port, UNWATCHED, 1.0);
    reach(port, LOOKED, 1.0);
    // Who watches over boxes is told, and not only who looks at the camera.
    reach(port, "edge_second_model_instead{model=\"flames\"", 1.0);
    let said = "its self-test fails on CPUExecutionProvider";
    eventually(said, || running.log_text().contains(said).then_some(()));
    assert_eq!(running.terminate(), Some(0));
    assert_eq!(
        bench.ledger()["failed"][0]["model"].as_str(),
        Some("flames")
    );
    let (_, checked, _) = support::agent(&["check", config.to_str().unwrap(), "--timeout", "30"]);
    assert!(
        checked.contains("model flames@2: was given up on"),
        "{checked}"
    );

    // Version 1 proves itself by looking …
    bench.done("box", &["use", "flames@1"]);
    let running = start_agent(bench.dir.path(), &config);
    reach(port, &second("_looks_total", 1), 2.0);
    eventually("the version to be proven", || {
        let ledger = bench.ledger();
        let proven = ledger.get("second")?.get("flames")?.get("proven")?;
        (proven.get("version")?.as_integer() == Some(1)).then_some(())
    });
    assert_eq!(running.terminate(), Some(0));

    // Where the ledger cannot be written nobody is watched over; that is said.
    let lock = bench.path("box/.lock");
    fs::remove_file(&lock).unwrap();
    fs::create_dir(&lock).unwrap();
    let (_, checked, _) = support::agent(&["check", config.to_str().unwrap(), "--timeout", "30"]);
    assert!(
        checked.contains("New models are then not on trial"),
        "{checked}"
    );
    fs::remove_dir(&lock).unwrap();

    // … and is what the box goes back to.
    bench.done("box", &["use", "flames@2", "--no-self-test"]);
    let running = start_agent(bench.dir.path(), &config);
    reach(port, &second("_instead", 1), 1.0);
    reach(port, &second("_looks_total", 1), 2.0);
    let told = metrics(port).unwrap();
    assert!(
        told.contains("edge_detector_instead{} 0.0"),
        "{told}\n{}",
        running.log_text()
    );
    assert_eq!(running.terminate(), Some(0));
}

/// What a program that was killed leaves behind when a model was looking.
#[test]
fn a_model_that_ended_the_program_three_times_is_left_out_and_the_detector_is_not_blamed() {
    let bench = Bench::new();
    bench.make("flames", &flames());
    bench.done(
        "box",
        &["install", &bench.bundle("flames", "1"), "--allow-unsigned"],
    );
    let camera = camera(bench.dir.path());
    let (config, port) = bench.config(&camera.url);
    let sha256 = |file: &str| {
        let manifest = fs::read_to_string(bench.path(file)).unwrap();
        Manifest::parse(&manifest).unwrap().sha256
    };
    let (roads, flames) = (
        sha256("box/roads/model.toml"),
        sha256("box/flames/versions/1/model.toml"),
    );
    let ledger = format!(
        "attempts = 2\nfailed = []\n[trial]\nmodel = 'roads'\nsha256 = '{roads}'\n\
         [second.flames]\nattempts = 2\n[second.flames.trial]\nmodel = 'flames'\nversion = 1\nsha256 = '{flames}'\n"
    );
    fs::write(bench.path("box/trial.toml"), ledger).unwrap();
    let at_work = format!(
        "{{\"doing\":\"looking\",\"who\":[{{\"model\":\"flames\",\"version\":1,\"sha256\":\"{flames}\"}}]}}\n"
    );
    fs::write(bench.path("box/at-work.0"), at_work).unwrap();

    let running = start_agent(bench.dir.path(), &config);
    reach(port, UNWATCHED, 1.0);
    reach(port, LOOKED, 1.0);
    let said = "the program ended 3 times while the model was at work";
    eventually(said, || running.log_text().contains(said).then_some(()));
    // The start that ended with the other's look is not one of the detector's failures.
    eventually("the detector to be proven", || {
        let proven = bench
            .ledger()
            .get("proven")?
            .get("model")?
            .as_str()?
            .to_owned();
        (proven == "roads").then_some(())
    });
    assert_eq!(running.terminate(), Some(0));
    let journal = bench.done("box", &["journal", "--json"]);
    let failed = journal.lines().filter(|line| line.contains("\"failed\""));
    let failed: Vec<&str> = failed.collect();
    assert_eq!(failed.len(), 1, "{journal}");
    assert!(failed[0].contains("flames"), "{journal}");
}
