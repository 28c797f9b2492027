//! Bundles from their making to the box, with all that a box says of its versions.

use std::fs;
use std::path::Path;
use std::process::Command;

use crate::roadside::{Roadside, agent};
use crate::support::binary;

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
    // ONNX Runtime's makers would be told of this start, and know the machine by a file in the home folder.
    let home = here.path().join("home");
    fs::create_dir(&home).unwrap();
    let one = ["models", "--models-dir", &elsewhere, "verify", "street@1"];
    let verified = Command::new(binary("edge-agent"))
        .args(["--log", "error"])
        .args([&one[..], &["--self-test", "--key", &public]].concat())
        .env_remove(edge_inference::TELLS_NOBODY)
        .env_remove("XDG_CACHE_HOME")
        .env("HOME", &home)
        .output();
    assert_eq!(fs::read_dir(&home).unwrap().count(), 0);
    let said = String::from_utf8(verified.unwrap().stdout).unwrap();
    assert!(said.starts_with("ok      street@1  signed with "), "{said}");
    assert!(
        said.ends_with("; loads; it brings no self-test\n"),
        "{said}"
    );
    fs::write(
        Path::new(&elsewhere).join("street/versions/1/centernet_mb3_512.onnx"),
        "x",
    )
    .unwrap();
    let verified = on(&elsewhere, &["verify"]);
    assert_eq!(verified.status.code(), Some(1), "{verified:?}");
}
