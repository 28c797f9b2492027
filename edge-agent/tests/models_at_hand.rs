//! Commands about models as people type them: broken off, given an address with a
//! password, or something that is no model. `closed_pipes` pipes them into `head`.

#![allow(clippy::unwrap_used)] // a test that cannot go on says where it stands

#[allow(dead_code)] // other tests use more of it
#[path = "../inference/tests/support/onnx.rs"]
mod onnx;
#[allow(dead_code)] // other tests use more of it
#[path = "../inference/tests/support/small.rs"]
mod small;
mod support;

use std::fs;
use std::io::{Read as _, Write as _};
use std::net::TcpListener;
use std::path::Path;
use std::process::{Command, Output};

use onnx::{Element, Network};
use sha2::Digest as _;
use small::Small;
use support::{Process, binary, eventually, free_port, installed, street};

/// A folder of models with the real detector in it, as one's own.
fn models() -> tempfile::TempDir {
    let dir = tempfile::tempdir().unwrap();
    let folder = dir.path().join("mine");
    fs::create_dir(&folder).unwrap();
    let network = installed("models/centernet-mb3-512/centernet_mb3_512.onnx");
    fs::copy(network, folder.join("centernet_mb3_512.onnx")).unwrap();
    let catalogue = support::repository().join("models/catalog/centernet-mb3-512/model.toml");
    let manifest = fs::read_to_string(catalogue).unwrap();
    let manifest = manifest.replacen("centernet-mb3-512", "mine", 1);
    fs::write(folder.join("model.toml"), manifest).unwrap();
    dir
}

fn command(models: &Path, words: &[&str]) -> Command {
    let mut command = Command::new(binary("edge-agent"));
    command.args(["models", "--models-dir"]).arg(models);
    command.args(words);
    command
}

fn run(models: &Path, words: &[&str]) -> (Option<i32>, String) {
    let Output {
        status,
        stdout,
        stderr,
    } = command(models, words).output().unwrap();
    let said = String::from_utf8(stdout).unwrap() + &String::from_utf8(stderr).unwrap();
    (status.code(), said)
}

/// Runs until `begun`, then tells it to stop; its exit code and what it said.
fn broken_off(mut command: Command, signal: &str, begun: impl Fn(&str) -> bool) -> (i32, String) {
    let log = tempfile::tempdir().unwrap();
    command.env("TMPDIR", log.path());
    let process = Process::start(command, log.path().join("log"));
    let pid = process.id().to_string();
    eventually("it to begin", || begun(&process.log_text()).then_some(()));
    let told = Command::new("kill").args([signal, &pid]).status().unwrap();
    assert!(told.success());
    let code = process.end().unwrap();
    (code, fs::read_to_string(log.path().join("log")).unwrap())
}

/// An address of which the bytes come one at a time; who sends them ends when nobody takes them any more.
fn slow_address() -> (String, std::thread::JoinHandle<()>) {
    let server = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = format!("http://{}/x.onnx", server.local_addr().unwrap());
    let sender = std::thread::spawn(move || {
        let (mut stream, _) = server.accept().unwrap();
        let mut asked = [0; 1024];
        let _ = stream.read(&mut asked).unwrap();
        let head = "HTTP/1.1 200 OK\r\nContent-Length: 1000000\r\n\r\n";
        stream.write_all(head.as_bytes()).unwrap();
        while stream.write_all(&[8]).is_ok() {
            std::thread::sleep(std::time::Duration::from_millis(20));
        }
    });
    (address, sender)
}

#[test]
fn a_download_that_is_broken_off_ends_at_once_and_leaves_nothing() {
    let models = models();
    let network = models.path().join("mine/centernet_mb3_512.onnx");
    fs::remove_file(&network).unwrap();
    let (address, sender) = slow_address();
    let folder = models.path().join("mine");
    let parts = || {
        let names = fs::read_dir(&folder).unwrap();
        let files = names.map(|entry| entry.unwrap().path());
        let is_part = |file: &std::path::PathBuf| file.extension().is_some_and(|end| end == "part");
        files.filter(is_part).count()
    };
    let install = command(models.path(), &["install", "mine", "--from", &address]);
    let (code, said) = broken_off(install, "-INT", |_| parts() == 1);
    assert_eq!(code, 130, "{said}");
    assert!(said.contains("broken off"), "{said}");
    sender.join().unwrap();
    assert_eq!(parts(), 0);
    assert!(!network.exists());
}

/// It was written down after the file had its name: an agent that was started in between, or after a kill
/// there, detected with what had just come in.
#[test]
fn who_detects_is_written_down_before_one_of_a_better_rank_comes_in() {
    let models = models();
    let network = fs::read(models.path().join("mine/centernet_mb3_512.onnx")).unwrap();
    let sha256 = protocol::Digest(sha2::Sha256::digest(&network).into());
    let proven = format!("[proven]\nmodel = \"mine\"\nsha256 = \"{sha256}\"\n");
    fs::write(models.path().join("trial.toml"), proven).unwrap();
    let choice = || fs::read_to_string(models.path().join("use.toml")).unwrap_or_default();
    for (model, is_better) in [("fastestdet", false), ("yolox-nano", true)] {
        let (address, sender) = slow_address();
        let folder = models.path().join(model);
        let has_begun = || fs::read_dir(&folder).is_ok_and(|mut files| files.next().is_some());
        let install = command(models.path(), &["install", model, "--from", &address]);
        let (code, said) = broken_off(install, "-INT", |_| has_begun());
        assert_eq!(code, 130, "{said}");
        assert_eq!(choice().contains("model = \"mine\""), is_better, "{model}");
        sender.join().unwrap();
    }
}

#[test]
fn a_measurement_that_is_broken_off_ends_at_the_next_look() {
    let models = models();
    let minutes = [
        "bench",
        "--model",
        "mine",
        "--threads",
        "1",
        "--seconds",
        "600",
    ];
    let provider = ["--provider", "cpu"];
    let bench = command(models.path(), &[&minutes[..], &provider].concat());
    let (code, said) = broken_off(bench, "-TERM", |said| said.contains("cpu: sound"));
    assert_eq!(code, 130, "{said}");

    let pictures = tempfile::tempdir().unwrap();
    let picture = support::repository().join("docs/screen.jpg");
    let at = |id: u32| pictures.path().join(format!("{id}.jpg"));
    fs::copy(picture, at(1)).unwrap();
    (2..10_000).for_each(|id| fs::hard_link(at(1), at(id)).unwrap());
    let images = (1..10_000)
        .map(|id| format!("{{\"id\":{id},\"file_name\":\"{id}.jpg\",\"width\":64,\"height\":64}}"));
    let images: Vec<String> = images.collect();
    let annotations = (1..10_000).map(|id| {
        let category = 1 + id % 2;
        format!("{{\"image_id\":{id},\"category_id\":{category},\"bbox\":[1,1,60,60]}}")
    });
    let annotations: Vec<String> = annotations.collect();
    let labels = format!(
        "{{\"images\":[{}],\"categories\":[{{\"id\":1,\"name\":\"unicorn\"}},{{\"id\":2,\"name\":\"person\"}}],\
         \"annotations\":[{}]}}",
        images.join(","),
        annotations.join(",")
    );
    let file = pictures.path().join("labels.json");
    fs::write(&file, labels).unwrap();
    add_classifier(models.path());
    let (labels, pictures) = (file.to_str().unwrap(), pictures.path().to_str().unwrap());
    let at = ["--alone", "--labels", labels, "--pictures", pictures];
    for model in ["mine", "light"] {
        let evaluate = command(models.path(), &[&["evaluate", model], &at[..]].concat());
        let (code, said) = broken_off(evaluate, "-INT", |said| said.contains("unicorn"));
        assert_eq!(code, 130, "{model}: {said}");
        // At the next picture, and not because somebody's patience was at its end.
        assert!(said.contains("broken off; nothing came"), "{model}: {said}");
        assert!(!said.contains("did not end"), "{model}: {said}");
    }
}

/// A classifier of what is bright, as `light`.
fn add_classifier(models: &Path) {
    let folder = models.join("light");
    fs::create_dir(&folder).unwrap();
    let bytes = Small::default().file();
    small::write(&folder, &bytes);
    let manifest = models::Manifest {
        id: "light".parse().unwrap(),
        ..small::of_file(Small::classifier(), &bytes)
    };
    let manifest = toml::to_string(&manifest).unwrap();
    fs::write(folder.join("model.toml"), manifest).unwrap();
}

#[test]
fn what_opens_an_address_is_not_told() {
    let models = models();
    let address = format!(
        "http://user:hunter2@127.0.0.1:{}/x.tar?token=hunter3",
        free_port()
    );
    for words in [
        &["install", "mine", "--from", &address][..],
        &["install", &address],
    ] {
        let (code, said) = run(models.path(), words);
        assert_eq!(code, Some(1), "{said}");
        assert!(said.contains("http://…@127.0.0.1:"), "{said}");
        assert!(!said.contains("hunter"), "{said}");
    }
}

#[test]
fn nothing_of_a_strangers_file_moves_the_cursor() {
    let models = models();
    let file = models.path().join("x.onnx");
    fs::write(&file, "\u{1b}[2J\u{7}\r\n".repeat(200)).unwrap();
    let manifest = models.path().join("mine/model.toml");
    let text = fs::read_to_string(&manifest).unwrap();
    let lines = text.lines().map(|line| match line.split(" = ").next() {
        Some("title") => "title = \"\\u001b[2J\"\n".to_owned(),
        _ => format!("{line}\n"),
    });
    fs::write(&manifest, lines.collect::<String>()).unwrap();
    for words in [&["install", file.to_str().unwrap()][..], &["list"]] {
        let (_, said) = run(models.path(), words);
        let obeyed = |c: char| c.is_control() && c != '\n';
        assert!(!said.contains(obeyed), "{said:?}");
    }
    let (_, said) = run(models.path(), &["install", file.to_str().unwrap()]);
    assert!(
        said.contains("not a whole tar file. A bundle is made"),
        "{said}"
    );
}

#[test]
fn a_model_that_lies_damaged_keeps_its_row_and_is_told_once() {
    let models = models();
    let (_, said) = run(models.path(), &["list", "mine"]);
    assert!(said.contains("mine: in use, "), "{said}");
    fs::write(models.path().join("use.toml"), "model = \"mine\"\n").unwrap();
    fs::write(models.path().join("mine/model.toml"), "x").unwrap();
    let (code, said) = run(models.path(), &["list"]);
    assert_eq!(code, Some(0), "{said}");
    assert!(said.contains("mine: chosen, but DAMAGED\n"), "{said}");
    assert!(!said.contains("warning:"), "{said}");
    let json = command(models.path(), &["list", "mine", "--json"]);
    let json = { json }.output().unwrap().stdout;
    let listed: serde_json::Value = serde_json::from_slice(&json).unwrap();
    assert_eq!(listed[0]["state"], "damaged", "{listed}");
    assert_eq!(listed[0]["is_wanted"], true, "{listed}");
}

#[test]
fn paths_and_commands_of_the_list_can_be_copied() {
    let models = models();
    let (_, said) = run(models.path(), &["list"]);
    let path = models.path().join("mine/centernet_mb3_512.onnx");
    assert!(
        said.contains(&format!("mine: in use, {}\n", path.display())),
        "{said}"
    );
    for line in said.lines().filter(|line| line.contains("models install")) {
        assert!(!line.contains(['│', '┆']), "{line}");
    }
    assert!(
        said.contains("edge-agent models install picodet-s-416 --from "),
        "{said}"
    );
}

/// What judges here stood in a file that nobody could name: there was no command that told it.
#[test]
fn a_model_is_shown_with_its_manifest_also_where_it_is_only_known() {
    let models = models();
    let folder = models.path().join("mine");
    let (code, said) = run(models.path(), &["show", "mine"]);
    assert_eq!(code, Some(0), "{said}");
    let network = folder.join("centernet_mb3_512.onnx");
    let manifest = folder.join("model.toml");
    for told in [
        format!("mine: in use, {}\n", network.display()).as_str(),
        "\n  for         detecting road users\n",
        "\n  head        centernet\n",
        "\n  input       512×512 pixels, float32\n",
        "\n  classes     person, ",
        format!("\n  manifest    {}\n", manifest.display()).as_str(),
        "\n  self-test   none: what it sees is not checked\n",
    ] {
        assert!(said.contains(told), "{told}: {said}");
    }

    // One's own may begin with it.
    let shown = command(models.path(), &["show", "mine", "--manifest"]).output();
    let shown = String::from_utf8(shown.unwrap().stdout).unwrap();
    let read = |text: &str| models::Manifest::parse(text).unwrap();
    assert_eq!(read(&shown), read(&fs::read_to_string(manifest).unwrap()));

    let known = command(models.path(), &["show", "yolox-nano", "--json"]).output();
    let known: serde_json::Value = serde_json::from_slice(&known.unwrap().stdout).unwrap();
    assert_eq!(known["state"], "missing", "{known}");
    assert_eq!(known["manifest"]["head"]["kind"], "yolox", "{known}");
    let detail = known["detail"].as_str().unwrap();
    assert!(detail.contains("models install yolox-nano"), "{detail}");
    for absent in ["file", "version", "manifest_file", "self_test"] {
        assert_eq!(known.get(absent), None, "{known}");
    }
    for (name, why) in [
        ("nosuch", "there is no model called nosuch"),
        ("mine@7", "model mine has no version 7 here; there are none"),
        ("mine@x", "`x` is no version"),
    ] {
        let (code, said) = run(models.path(), &["show", name]);
        assert_eq!(code, Some(1), "{said}");
        assert!(said.contains(why), "{said}");
    }
}

#[test]
fn who_exported_anew_is_told_to_describe_the_new_file() {
    let models = models();
    let network = models.path().join("mine/centernet_mb3_512.onnx");
    let manifest = models.path().join("mine/model.toml");
    let mut bytes = fs::read(&network).unwrap();
    bytes[100] ^= 1;
    fs::write(&network, &bytes).unwrap();
    let exported = models.path().join("exported.onnx");
    fs::write(&exported, &bytes).unwrap();
    let words = format!("`size_bytes` (`stat -c %s`) into {}", manifest.display());
    let from = exported.to_str().unwrap();
    for command in [
        &["verify", "mine"][..],
        &["install", "mine", "--from", from],
    ] {
        let (code, said) = run(models.path(), command);
        assert_eq!(code, Some(1), "{said}");
        assert!(said.contains(&words), "{said}");
    }
    fs::remove_file(&network).unwrap();
    let (_, said) = run(models.path(), &["verify", "mine"]);
    assert!(
        said.contains("for `mine/centernet_mb3_512.onnx`)"),
        "{said}"
    );
}

#[test]
fn refusals_say_what_is_the_matter_and_not_something_else() {
    let models = models();
    let at = |name: &str| models.path().join(name).to_str().unwrap().to_owned();
    let [there, nowhere, no_tar, tar] = ["maker", "nodir/maker", "nodir/x.tar", "x.tar"].map(at);
    let (code, said) = run(models.path(), &["keygen", &there]);
    assert_eq!(code, Some(0), "{said}");
    fs::write(&tar, "").unwrap();
    let no_folder = "cannot be made: there is no such folder";
    let bundle = ["bundle", "mine", "--version"];
    for (words, code, told) in [
        (
            vec!["keygen", &there],
            1,
            "maker.key is there already, and a key is not written over",
        ),
        (vec!["keygen", &nowhere], 1, no_folder),
        (
            [&bundle[..], &["1", "--out", &no_tar]].concat(),
            1,
            no_folder,
        ),
        (
            [&bundle[..], &["1", "--out", &tar]].concat(),
            1,
            "x.tar is there already, and a bundle",
        ),
        (
            [&bundle[..], &["0", "--out", &no_tar]].concat(),
            2,
            "0 is not in 1..=4294967295",
        ),
        (
            vec!["install", &tar, "--key", &nowhere],
            1,
            "there is no such file or folder",
        ),
        (
            vec!["verify", "--key", &at("mine")],
            1,
            "there is no key (`.pub`) in it",
        ),
    ] {
        let (found, said) = run(models.path(), &words);
        assert_eq!(found, Some(code), "{words:?}: {said}");
        assert!(said.contains(told), "{words:?}: {said}");
    }
    let (code, said) = run(
        models.path(),
        &["verify", "mine", "--key", &format!("{there}.pub")],
    );
    assert_eq!(code, Some(0), "{said}");
}

/// A classifier that learnt of half a rider what a helmet is would be asked about whole ones.
#[test]
fn parts_that_a_cascade_would_not_show_are_neither_cut_nor_measured() {
    let models = models();
    add_classifier(models.path());
    let street = street();
    let at = |name: &str| street.path().join(name).to_str().unwrap().to_owned();
    // Whole; two at the picture's edge; one behind a car, and the car; one who is far away.
    let labels = r#"{
        "images": [{"id": 1, "file_name": "1.jpg", "width": 768, "height": 576}],
        "categories": [{"id": 1, "name": "person"}, {"id": 3, "name": "car"}],
        "annotations": [
            {"image_id": 1, "category_id": 1, "bbox": [499, 158, 31, 75]},
            {"image_id": 1, "category_id": 1, "bbox": [300, 0, 60, 150]},
            {"image_id": 1, "category_id": 1, "bbox": [720, 300, 48, 150]},
            {"image_id": 1, "category_id": 1, "bbox": [120, 300, 50, 120]},
            {"image_id": 1, "category_id": 3, "bbox": [100, 340, 160, 120]},
            {"image_id": 1, "category_id": 1, "bbox": [600, 100, 10, 25]}]}"#;
    let file = at("whole.json");
    fs::write(&file, labels).unwrap();
    let (pictures, out) = (at("."), at("crops"));
    let of = [
        "--labels",
        &file,
        "--pictures",
        &pictures,
        "--crop",
        "whole",
    ];
    let cut = [&["crops", "--out", &out][..], &of].concat();
    let (code, said) = run(models.path(), &cut);
    assert_eq!(code, Some(0), "{said}");
    let measure = [&["evaluate", "light", "--alone"][..], &of].concat();
    let (measured, telling) = run(models.path(), &measure);
    assert_eq!(measured, Some(0), "{telling}");
    for told in [
        "1 part(s) are lower than 48 pixels",
        "2 part(s) are cut off by the picture's edge",
        "1 part(s) are behind somebody nearer",
        ": 2 crops",
    ] {
        assert!(said.contains(told), "{told}: {said}");
        assert!(telling.contains(told), "{told}: {telling}");
    }
    for cut in ["person/day/1-0.png", "car/day/1-4.png"] {
        assert!(street.path().join("crops").join(cut).is_file(), "{cut}");
    }
}

#[test]
fn crops_that_are_cut_are_what_a_cascades_classifier_is_measured_on() {
    let models = models();
    add_classifier(models.path());
    let street = street();
    let at = |name: &str| street.path().join(name).to_str().unwrap().to_owned();
    let (labels, pictures, out) = (at("labels.json"), at("."), at("crops"));
    let of = ["--labels", &labels, "--pictures", &pictures];
    let cut = [
        "--crop",
        "riders",
        "--margin",
        "0.1",
        "--min-height-px",
        "30",
    ];
    let to = ["crops", "--out", &out];
    let (code, said) = run(models.path(), &[&to[..], &of, &cut].concat());
    assert_eq!(code, Some(0), "{said}");
    for told in [
        "for 1 label(s) of `Cannot tell` this program has no word",
        "1 picture(s) say `complete: false`",
        "1 part(s) are lower than 30 pixels",
        "crops: 4 crops",
    ] {
        assert!(said.contains(told), "{told}: {said}");
    }
    let index = fs::read_to_string(street.path().join("crops/crops.json")).unwrap();
    let index: serde_json::Value = serde_json::from_str(&index).unwrap();
    assert_eq!(index["crop"], "riders");
    let crops = index["crops"].as_array().unwrap();
    let files: Vec<&str> = crops.iter().map(|c| c["file"].as_str().unwrap()).collect();
    let expected = [
        "person/day/1-0.png",
        "car/day/1-1.png",
        "cannot_tell/day/1-3.png",
        "car/night/2-0.png",
    ];
    assert_eq!(files, expected);
    // From the hips up, a tenth of it added on each side, and every pixel that this touches.
    assert_eq!(crops[1]["pixels"], serde_json::json!([253, 207, 50, 70]));
    assert_eq!(
        crops[1]["bbox"],
        serde_json::json!([257.5, 213.2, 41.0, 95.5])
    );
    assert_eq!(crops[0]["camera"], "a/b/c");
    assert_eq!(crops[0]["day"], "2026-01-02");
    assert_eq!(crops[3].get("day"), None);
    for crop in crops {
        let file = street
            .path()
            .join("crops")
            .join(crop["file"].as_str().unwrap());
        let picture = street.path().join(crop["picture"].as_str().unwrap());
        let hash = protocol::Digest(sha2::Sha256::digest(fs::read(&picture).unwrap()).into());
        assert_eq!(crop["picture_sha256"], serde_json::json!(hash));
        let pixels: Vec<u32> = serde_json::from_value(crop["pixels"].clone()).unwrap();
        assert_same_pixels(&picture, &pixels, &file);
    }

    // A classifier says of the files what it says of the boxes.
    let measured = |words: &[&str]| -> serde_json::Value {
        let json = [&["evaluate", "light", "--alone", "--json"], words].concat();
        let output = command(models.path(), &json).output().unwrap();
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{said}");
        let text = String::from_utf8(output.stdout).unwrap();
        let all: serde_json::Value = serde_json::from_str(&text).unwrap();
        serde_json::json!([all[0]["by_night"], all[0]["classes"]])
    };
    fs::remove_dir_all(street.path().join("crops/cannot_tell")).unwrap();
    let of_boxes = measured(&[&of[..], &cut].concat());
    assert_eq!(of_boxes[0], 1);
    assert_eq!(measured(&["--pictures", &out]), of_boxes);
}

/// That a file has the luma of these pixels of a picture, left, top, width, height.
fn assert_same_pixels(picture: &Path, pixels: &[u32], file: &Path) {
    let (whole, part) = (
        edge_inference::Still::open(picture),
        edge_inference::Still::open(file),
    );
    let (whole, part) = (whole.unwrap(), part.unwrap());
    let (whole, part) = (whole.view(), part.view());
    let sides: Vec<usize> = pixels.iter().map(|side| *side as usize).collect();
    assert_eq!((part.width, part.height), (pixels[2], pixels[3]));
    for row in 0..sides[3] {
        let at = (sides[1] + row) * whole.y_stride + sides[0];
        let there = &whole.y[at..][..sides[2]];
        assert_eq!(
            &part.y[row * part.y_stride..][..sides[2]],
            there,
            "row {row} of {}",
            file.display()
        );
    }
}

/// By this name it was promised.
#[test]
fn bench_models_is_models_bench() {
    let models = models();
    let mut command = Command::new(binary("edge-agent"));
    command
        .args(["bench-models", "--models-dir"])
        .arg(models.path());
    command.args([
        "--provider",
        "cpu",
        "--threads",
        "1",
        "--seconds",
        "0.1",
        "--json",
    ]);
    let output = command.output().unwrap();
    let told: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(told["cases"][0]["model"], "mine", "{told}");
    assert_eq!(output.status.code(), Some(0));
}

/// PicoDet warned of each of its 279 weights whenever it was loaded, and what mattered was lost among them.
#[test]
fn weights_among_the_inputs_are_not_worth_a_warning_each_and_other_warnings_are_told() {
    let models = tempfile::tempdir().unwrap();
    let folder = models.path().join("paddle");
    fs::create_dir(&folder).unwrap();
    let mut more = Network::default();
    // A weight of the network, which is an input as well, and one that nothing needs.
    more.input("white", Element::F32, &[1]);
    more.floats("idle weight", &[1], &[1.0]);
    let bytes = more.added_to(&Small::default().file());
    small::write(&folder, &bytes);
    let manifest = models::Manifest {
        id: "paddle".parse().unwrap(),
        ..small::of_file(Small::default().manifest(), &bytes)
    };
    let manifest = toml::to_string(&manifest).unwrap();
    fs::write(folder.join("model.toml"), manifest).unwrap();
    let picture = support::repository().join("docs/screen.jpg");
    fs::copy(picture, models.path().join("1.jpg")).unwrap();
    let labels = models.path().join("labels.json");
    let text = "{\"images\":[{\"id\":1,\"file_name\":\"1.jpg\",\"width\":64,\"height\":64}],\
                \"categories\":[{\"id\":1,\"name\":\"person\"}],\
                \"annotations\":[{\"image_id\":1,\"category_id\":1,\"bbox\":[1,1,60,60]}]}";
    fs::write(&labels, text).unwrap();
    let (labels, pictures) = (labels.to_str().unwrap(), models.path().to_str().unwrap());
    let words = ["evaluate", "paddle", "--alone", "--labels", labels];
    let words = [&words[..], &["--pictures", pictures]].concat();
    let (code, said) = run(models.path(), &words);
    assert_eq!(code, Some(0), "{said}");
    assert!(!said.contains("appears in graph inputs"), "{said}");
    let is_warning = |line: &&str| line.contains("WARN") && line.contains("idle weight");
    assert!(said.lines().any(|line| is_warning(&line)), "{said}");
    // Whoever asks for all hears it.
    let mut command = Command::new(binary("edge-agent"));
    command.args(["--log", "ort=trace", "models", "--models-dir"]);
    let output = command.arg(models.path()).args(&words).output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(said.contains("white appears in graph inputs"), "{said}");
}

#[test]
fn the_help_names_models_that_there_are() {
    let (code, help) = run(Path::new("."), &["install", "--help"]);
    assert_eq!(code, Some(0), "{help}");
    let told = help.lines().filter(|line| line.contains(" --from "));
    let named: Vec<&str> = told
        .filter_map(|line| line.split("models install ").nth(1)?.split(' ').next())
        .collect();
    assert!(named.len() >= 2, "{help}");
    for model in named {
        let manifest = format!("models/catalog/{model}/model.toml");
        assert!(support::repository().join(manifest).is_file(), "{model}");
    }
}
