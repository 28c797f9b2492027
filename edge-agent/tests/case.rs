//! A case stands by itself: what a box signed is verified offline by either
//! program, from either store, and no `kill -9` tears its camera's chain.

#![allow(clippy::unwrap_used)] // a test that cannot go on says where it stands

mod support;

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::Value;
use support::walkers::{self, Walkers};
use support::{
    Centre, agent, binary, box_with_centre, eventually, start_agent, stored_events, write,
};

/// Kills in this test.
const ROUNDS: usize = 4;

/// The walkers are of a recording.
const ALLOWED: &str = "--allow-recordings";

fn write_config(dir: &Path, centre: &Centre) -> PathBuf {
    // One walker every two seconds.
    Walkers::all_the_time(60, 2.0).write(dir);
    let (mqtt, http) = (centre.mqtt.as_deref().unwrap(), &centre.http);
    let text = box_with_centre(mqtt, http) + walkers::CAMERA;
    write(dir, "box.toml", &text)
}

fn centre_program(arguments: &[&str]) -> (Option<i32>, String, String) {
    let output = Command::new(binary("aggregator"))
        .args(arguments)
        .output()
        .unwrap();
    (
        output.status.code(),
        String::from_utf8_lossy(&output.stdout).into_owned(),
        String::from_utf8_lossy(&output.stderr).into_owned(),
    )
}

/// Evidence of an alert, once all that was announced is there.
fn evidence(centre: &Centre, id: &str) -> Option<Vec<Value>> {
    let alert = centre.try_get(&format!("/api/v1/alerts/{id}")).ok()?;
    let items = alert["evidence"].as_array()?.clone();
    let has_case = items.iter().any(|item| item["role"] == "case_manifest");
    let is_whole = items.iter().all(|item| item["available"] == true);
    (has_case && is_whole).then_some(items)
}

fn text(path: &Path) -> &str {
    path.to_str().unwrap()
}

#[test]
fn every_case_verifies_and_the_chain_has_no_gap_and_no_fork_after_kills() {
    let dir = tempfile::tempdir().unwrap();
    let centre = Centre::start(dir.path(), None);
    let config = write_config(dir.path(), &centre);
    let config = text(&config);
    let mut running = start_agent(dir.path(), Path::new(config));
    for round in 0..ROUNDS {
        let before = stored_events(dir.path()).len();
        eventually("more events", || {
            (stored_events(dir.path()).len() > before + 1).then_some(())
        });
        std::thread::sleep(std::time::Duration::from_millis(130 * round as u64));
        running.kill();
        running = start_agent(dir.path(), Path::new(config));
    }
    let before = stored_events(dir.path()).len();
    eventually("more events", || {
        (stored_events(dir.path()).len() > before + 1).then_some(())
    });
    // While the agent runs, a case can be taken from the box.
    let ids: BTreeSet<String> = stored_events(dir.path()).into_iter().collect();
    // One that has stills: who was killed at the very event has none to show.
    let (first, folder) = eventually("a case with stills on the box", || {
        ids.iter().find_map(|id| {
            let folder = dir.path().join(format!("case-{id}"));
            let (code, ..) = agent(&["bundle", id, "--config", config, "--out", text(&folder)]);
            let has_still = || {
                let files = fs::read_dir(&folder).into_iter().flatten().flatten();
                let mut names = files.map(|file| file.path());
                names.any(|path| path.extension().is_some_and(|suffix| suffix == "jpg"))
            };
            (code == Some(0) && has_still()).then(|| (id.clone(), folder.clone()))
        })
    });
    assert_eq!(running.terminate(), Some(0));
    let running = start_agent(dir.path(), Path::new(config));
    for id in &ids {
        eventually("the whole case at the centre", || evidence(&centre, id));
    }
    drop(running);

    let keys = dir.path().join("public");
    let (code, ..) = agent(&["keys", "export", config, "--out", text(&keys)]);
    assert_eq!(code, Some(0));
    let keys = text(&keys);

    // From the box, by either program: whole, and of a camera that plays a recording: no camera has seen it.
    let (code, told, _) = agent(&["verify", text(&folder), "--keys", keys]);
    assert_eq!(code, Some(4), "{told}");
    assert!(told.contains("OF A RECORDING, UNCHANGED"), "{told}");
    let verify = ["verify", "--keys", keys, ALLOWED];
    let more = [text(&folder), "--lang", "vi"];
    let (code, told, _) = centre_program(&[&verify[..], &more].concat());
    assert_eq!(code, Some(0), "{told}");
    assert!(told.contains("TỪ BẢN GHI, KHÔNG BỊ SỬA"), "{told}");

    // From the centre: every alert's, in the order of the chain. Alerts that an
    // agent stored and was killed before it said so count as well.
    let mut cases: Vec<(u64, PathBuf)> = Vec::new();
    for alert in centre.alerts() {
        let id = alert["id"].as_str().unwrap();
        eventually("the whole case at the centre", || evidence(&centre, id));
        let path = dir.path().join(format!("{id}.tar"));
        fs::write(
            &path,
            centre.get_bytes(&format!("/api/v1/alerts/{id}/bundle")),
        )
        .unwrap();
        let more = [text(&path), "--event", id, "--json"];
        let (code, told, _) = centre_program(&[&verify[..], &more].concat());
        assert_eq!(code, Some(0), "{told}");
        let told: Value = serde_json::from_str(&told).unwrap();
        let number = told["bundles"][0]["chain"]["number"].as_u64().unwrap();
        cases.push((number, path));
    }
    cases.sort();
    let numbers: Vec<u64> = cases.iter().map(|(number, _)| *number).collect();
    let expected: Vec<u64> = (1..=cases.len() as u64).collect();
    assert_eq!(numbers, expected, "no gap, no fork");
    let mut chain = [&verify[..], &["--chain"]].concat();
    chain.extend(cases.iter().map(|(_, path)| text(path)));
    let (code, told, _) = agent(&chain);
    assert_eq!(code, Some(0), "{told}");
    // One taken out shows.
    chain.remove(5 + cases.len() / 2);
    let (code, told, _) = agent(&chain);
    assert_eq!(code, Some(1), "{told}");
    assert!(told.contains("are missing"), "{told}");

    // With the program, from the data folder, while the centre runs.
    let zip = dir.path().join("case.zip");
    let data = dir.path().join("data");
    let (code, _, told) =
        centre_program(&["bundle", &first, "--data", text(&data), "--out", text(&zip)]);
    assert_eq!(code, Some(0), "{told}");
    let more = [text(&zip), "--event", &first];
    let (code, told, _) = agent(&[&verify[..], &more].concat());
    assert_eq!(code, Some(0), "{told}");
    tampering_is_named(&folder, keys);
}

/// What is done to a bundle afterwards is named, and the exit code says so.
fn tampering_is_named(folder: &Path, keys: &str) {
    let case = folder.join("case.json");
    let whole = fs::read(&case).unwrap();
    let verify = |more: &[&str]| {
        let mut arguments = vec!["verify", text(folder)];
        arguments.extend_from_slice(more);
        let (code, told, error) = agent(&arguments);
        (code, told + &error)
    };
    let changed = String::from_utf8(whole.clone()).unwrap().replacen(
        "pedestrian_on_carriageway",
        "red_light",
        1,
    );
    fs::write(&case, changed).unwrap();
    let (code, told) = verify(&["--keys", keys]);
    assert_eq!(code, Some(1), "{told}");
    assert!(told.contains("field /event/"), "{told}");
    fs::write(&case, &whole).unwrap();

    let still = fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .find(|path| path.extension().is_some_and(|suffix| suffix == "jpg"))
        .unwrap();
    let name = still.file_name().unwrap().to_str().unwrap();
    let mut bytes = fs::read(&still).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    fs::write(&still, &bytes).unwrap();
    let (code, told) = verify(&["--keys", keys]);
    assert_eq!(code, Some(1), "{told}");
    assert!(told.contains(&format!("file {name} was changed")), "{told}");
    fs::remove_file(&still).unwrap();
    std::os::unix::fs::symlink("/etc/passwd", &still).unwrap();
    let (code, told) = verify(&["--keys", keys]);
    assert_eq!(code, Some(1), "{told}");
    assert!(told.contains("not a file"), "{told}");

    let (code, told) = verify(&[]);
    assert_eq!(code, Some(2), "{told}");
    let (code, told) = verify(&["--key", "/nowhere.pem"]);
    assert_eq!(code, Some(2), "{told}");
}
