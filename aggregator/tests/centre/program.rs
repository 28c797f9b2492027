//! The program on the command line: what it says, and how it ends.

use std::process::{Command, Output};

use crate::support::{Process, eventually};

fn run(arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_aggregator"))
        .args(arguments)
        .output()
        .unwrap()
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

#[test]
fn help_teaches_by_example() {
    let help = run(&["--help"]);
    assert!(help.status.success());
    let said = text(&help.stdout);
    for part in ["Examples:", "aggregator run", "--broker", "Exit codes"] {
        assert!(said.contains(part), "{part} is missing in:\n{said}");
    }
    let said = text(&run(&["run", "--help"]).stdout);
    for flag in [
        "--config",
        "--data-dir",
        "--http",
        "--mqtt",
        "--broker",
        "--ready-file",
    ] {
        assert!(said.contains(flag), "{flag} is missing in:\n{said}");
    }
}

#[test]
fn a_wrong_configuration_ends_with_2_and_a_place() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("centre.toml");
    std::fs::write(&file, "[http]\nlistn = \"127.0.0.1:0\"\n").unwrap();
    let file = file.to_str().unwrap();
    for command in ["run", "check"] {
        let ended = run(&[command, "--config", file]);
        let said = text(&ended.stderr);
        assert_eq!(ended.status.code(), Some(2), "{said}");
        assert!(said.contains("line 2"), "{said}");
        assert!(said.contains("listn"), "{said}");
    }
    let said = run(&["run", "--broker", "http://x"]);
    assert_eq!(said.status.code(), Some(2));
    assert!(text(&said.stderr).contains("mqtt://"));
    assert_eq!(run(&["run", "--http", "here"]).status.code(), Some(2));
    let good = run(&["check", "--broker", "mqtts://broker"]);
    assert!(good.status.success());
    assert!(text(&good.stdout).contains("broker mqtts://broker"));
}

#[test]
fn check_looks_at_what_the_configuration_names() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("centre.toml");
    let text = format!(
        "data_dir = \"{0}\"\n[http]\nlisten = \"0.0.0.0:8800\"\n\
         evidence_token_file = \"/nowhere/token\"\n\
         [mqtt.tls]\ncert_file = \"{0}\"\nkey_file = \"{0}\"\n\
         [inbox]\ndead_letters = 0\n",
        file.display()
    );
    std::fs::write(&file, text).unwrap();
    let ended = run(&["check", "--config", file.to_str().unwrap()]);
    let said = text_of(&ended);
    assert_eq!(ended.status.code(), Some(2), "{said}");
    for part in [
        "data_dir: ",
        "is no folder",
        "/nowhere/token",
        "mqtt.tls: ",
        "inbox.dead_letters",
    ] {
        assert!(said.contains(part), "{part} is missing in: {said}");
    }
    let data = folder.path().join("data");
    let data = data.to_str().unwrap();
    let ended = run(&["check", "--data-dir", data, "--http", "0.0.0.0:8800"]);
    let said = text_of(&ended);
    assert!(ended.status.success(), "{said}");
    assert!(
        said.contains("warning: the API listens on 0.0.0.0:8800"),
        "{said}"
    );
    assert!(!std::path::Path::new(data).exists(), "it only looked");
}

#[test]
fn check_says_every_way_in() {
    let folder = tempfile::tempdir().unwrap();
    let own = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
    let (certificate, key) = (folder.path().join("c.pem"), folder.path().join("k.pem"));
    std::fs::write(&certificate, own.cert.pem()).unwrap();
    std::fs::write(&key, own.signing_key.serialize_pem()).unwrap();
    let pair = format!(
        "cert_file = \"{}\"\nkey_file = \"{}\"\n",
        certificate.display(),
        key.display()
    );
    let authority = format!("client_ca_file = \"{}\"\n", certificate.display());
    let file = folder.path().join("centre.toml");
    for (tls, asked) in [(pair.clone(), "without"), (pair + &authority, "with")] {
        let door = "[uploads]\nlisten = \"127.0.0.1:8443\"\n[uploads.tls]\n";
        std::fs::write(&file, format!("{door}{tls}")).unwrap();
        let ended = run(&["check", "--config", file.to_str().unwrap()]);
        let said = text(&ended.stdout);
        assert!(ended.status.success(), "{}", text_of(&ended));
        let expected = format!(
            "front door on 127.0.0.1:1883, evidence by HTTPS on 127.0.0.1:8443, {asked} certificates of boxes"
        );
        assert!(said.contains(&expected), "{said}");
    }
}

fn text_of(ended: &Output) -> String {
    text(&ended.stderr)
}

#[test]
fn what_stands_in_the_way_of_starting_is_named() {
    let folder = tempfile::tempdir().unwrap();
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    let data = folder.path().join("data");
    let data = data.to_str().unwrap();
    let ended = run(&["run", "--data-dir", data, "--http", &address]);
    let said = text(&ended.stderr);
    assert_eq!(ended.status.code(), Some(1), "{said}");
    assert!(said.contains(&address) && said.contains("--http"), "{said}");

    let file = folder.path().join("file");
    std::fs::write(&file, "").unwrap();
    let ended = run(&[
        "run",
        "--data-dir",
        file.to_str().unwrap(),
        "--http",
        "127.0.0.1:0",
        "--mqtt",
        "127.0.0.1:0",
    ]);
    let said = text(&ended.stderr);
    assert_eq!(ended.status.code(), Some(1), "{said}");
    assert!(said.contains("--data-dir"), "{said}");
    assert!(said.contains("is a file"), "{said}");
}

#[test]
fn a_database_that_is_none_is_named_and_left_alone() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("centre.db");
    let letter = "Dear diary, ".repeat(1000);
    std::fs::write(&file, &letter).unwrap();
    let folder = folder.path().to_str().unwrap();
    let ended = run(&[
        "run",
        "--data-dir",
        folder,
        "--http",
        "127.0.0.1:0",
        "--mqtt",
        "127.0.0.1:0",
    ]);
    let said = text(&ended.stderr);
    assert_eq!(ended.status.code(), Some(1), "{said}");
    assert!(
        said.contains("centre.db is not the centre's database"),
        "{said}"
    );
    assert!(said.contains("move it away"), "{said}");
    assert!(!said.contains("disk space"), "{said}");
    assert_eq!(std::fs::read_to_string(&file).unwrap(), letter);
}

#[test]
fn a_data_folder_has_one_centre_at_a_time() {
    let folder = tempfile::tempdir().unwrap();
    let mut first = Process::start(folder.path(), &["--mqtt", "127.0.0.1:0"]);
    let data = folder.path().join("data");
    let data = data.to_str().unwrap();
    let second = [
        "run",
        "--data-dir",
        data,
        "--http",
        "127.0.0.1:0",
        "--mqtt",
        "127.0.0.1:0",
    ];
    let ended = run(&second);
    let said = text(&ended.stderr);
    assert_eq!(ended.status.code(), Some(1), "{said}");
    assert!(said.contains("another aggregator runs on"), "{said}");
    assert!(said.contains(data) && said.contains("--data-dir"), "{said}");
    // A centre that was killed leaves nothing that somebody would have to remove.
    first.kill();
    let next = Process::start(folder.path(), &["--mqtt", "127.0.0.1:0"]);
    assert_eq!(next.api().get("/readyz").status, 200);
}

#[test]
fn a_signal_ends_it_in_order() {
    for signal in ["TERM", "INT"] {
        let folder = tempfile::tempdir().unwrap();
        let mut centre = Process::start(folder.path(), &["--mqtt", "127.0.0.1:0"]);
        centre.signal(signal);
        let status = eventually("the end", || centre.child.try_wait().unwrap());
        assert_eq!(status.code(), Some(0), "{signal}");
        assert!(
            !folder.path().join("ready.json").exists(),
            "nobody is there any more"
        );
        let journal = folder.path().join("data/centre.db-wal");
        assert!(!journal.exists(), "the database was closed");
    }
}

#[test]
fn the_log_can_be_for_machines() {
    let folder = tempfile::tempdir().unwrap();
    let more = ["--mqtt", "127.0.0.1:0", "--log-format", "json"];
    let centre = Process::start(folder.path(), &more);
    let log = std::fs::read_to_string(&centre.log).unwrap();
    let first: serde_json::Value = serde_json::from_str(log.lines().next().unwrap()).unwrap();
    assert_eq!(first["fields"]["message"], "the centre serves");
}

#[test]
fn the_description_of_the_api_can_be_printed() {
    let printed = run(&["openapi"]);
    let description: serde_json::Value = serde_json::from_slice(&printed.stdout).unwrap();
    assert!(description["paths"]["/api/v1/alerts"]["get"].is_object());
}
