//! Real programs for the tests: camera, agent, broker, centre, each a process
//! of its own on loopback that dies with its handle.

#![allow(dead_code)] // every test file takes its own part of this
#![allow(clippy::unwrap_used, missing_docs, unreachable_pub)]

pub mod walkers;

use std::fs::File;
use std::io::{BufRead as _, BufReader, Read as _};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use protocol::EventTime;
use serde_json::Value;

/// The box of configurations that are about something else.
pub const BOX: &str = "[box]\nsite = \"test\"\nid = \"box-1\"\n";

/// The box that keeps its store beside its configuration and tells a centre.
pub fn box_with_centre(mqtt: &str, http: &str) -> String {
    format!(
        "{BOX}[store]\ndir = \"store\"\n[uplink]\nurl = \"{mqtt}\"\nevidence_url = \"{http}\"\n"
    )
}

/// Nearly all that the clip `vtest` shows.
pub const ROAD: &str = r#"
[[camera.zone]]
id = "road"
points = [[0.02, 0.02], [0.98, 0.02], [0.98, 0.98], [0.02, 0.98]]
"#;

/// The rule that the people on it break.
pub const PEOPLE_ON_ROAD: &str = r#"
[[camera.rule]]
id = "people-on-road"
kind = "pedestrian_on_carriageway"
zone = "road"
"#;

/// A recording of `seconds` in which nothing is seen.
pub fn recording(seconds: u64) -> String {
    let lines: Vec<String> = (0..seconds)
        .map(|second| {
            format!(
                "{{\"detections\":{{\"frame\":{second},\"time\":\"2026-01-01T00:00:{second:02}Z\",\
                 \"time_quality\":\"media\",\"aspect\":1.5,\"items\":[]}}}}\n"
            )
        })
        .collect();
    lines.concat()
}

/// Writes a file of a test.
pub fn write(dir: &Path, name: &str, text: &str) -> PathBuf {
    let path = dir.join(name);
    std::fs::write(&path, text).unwrap();
    path
}

/// Longest wait for anything; generous, because CI has two busy cores.
pub const PATIENCE: Duration = Duration::from_secs(90);

/// Waits until `probe` gives something, or fails saying for what.
pub fn eventually<T>(what: &str, mut probe: impl FnMut() -> Option<T>) -> T {
    let deadline = Instant::now() + PATIENCE;
    loop {
        if let Some(found) = probe() {
            return found;
        }
        assert!(
            Instant::now() < deadline,
            "waited {PATIENCE:?} in vain for {what}"
        );
        std::thread::sleep(Duration::from_millis(50));
    }
}

/// The repository.
pub fn repository() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .parent()
        .unwrap()
        .to_owned()
}

/// What set-up has installed.
pub fn installed(part: &str) -> PathBuf {
    let path = repository().join(".local").join(part);
    assert!(
        path.exists(),
        "{} is not there; run `make setup` first",
        path.display()
    );
    path
}

/// Third-party test data, where there is any.
pub fn shared(part: &str) -> Option<PathBuf> {
    let path = repository().parent()?.join("shared").join(part);
    path.exists().then_some(path)
}

/// Two real pictures of a street, and labels: people by what is on their heads, and one who is too far.
pub fn street() -> tempfile::TempDir {
    let dir = tempfile::tempdir().unwrap();
    let clip = installed("clips/vtest.mp4");
    let frames = dir.path().join("%d.jpg");
    let status = Command::new("ffmpeg")
        .args(["-v", "error", "-i", clip.to_str().unwrap()])
        .args(["-frames:v", "2", "-q:v", "2", frames.to_str().unwrap()])
        .status();
    let status = status.expect("ffmpeg is not installed; run `make setup` first");
    assert!(status.success());
    let labels = r#"{
        "images": [
            {"id": 1, "file_name": "1.jpg", "width": 768, "height": 576, "camera": "a/b/c", "day": "2026-01-02"},
            {"id": 2, "file_name": "2.jpg", "width": 768, "height": 576, "night": true},
            {"id": 3, "file_name": "3.jpg", "width": 768, "height": 576, "complete": false}],
        "categories": [{"id": 1, "name": "person"}, {"id": 3, "name": "car"}, {"id": 9, "name": "Cannot tell"}],
        "annotations": [
            {"image_id": 1, "category_id": 1, "bbox": [499, 158, 31, 75]},
            {"image_id": 1, "category_id": 3, "bbox": [257.5, 213.2, 41, 95.5]},
            {"image_id": 1, "category_id": 9, "bbox": [641, 222, 37, 90]},
            {"image_id": 1, "category_id": 1, "bbox": [10, 10, 20, 30]},
            {"image_id": 1, "category_id": 1, "bbox": [300, 300, 60, 90], "iscrowd": 1},
            {"image_id": 2, "category_id": 3, "bbox": [690, 480, 68, 76]}]}"#;
    std::fs::write(dir.path().join("labels.json"), labels).unwrap();
    dir
}

/// A binary of this workspace.
pub fn binary(name: &str) -> PathBuf {
    if name == "edge-agent" {
        return PathBuf::from(env!("CARGO_BIN_EXE_edge-agent"));
    }
    let path = Path::new(env!("CARGO_BIN_EXE_edge-agent")).with_file_name(name);
    assert!(
        path.exists(),
        "{name} is not built; run `cargo build --workspace` first"
    );
    path
}

/// A process that is killed when it goes out of scope.
pub struct Process {
    child: Child,
    log: PathBuf,
}

impl Process {
    pub fn start(mut command: Command, log: PathBuf) -> Self {
        let file = File::options()
            .create(true)
            .append(true)
            .open(&log)
            .unwrap();
        let child = command
            .stdin(Stdio::null())
            .stdout(file.try_clone().unwrap())
            .stderr(file)
            .spawn()
            .unwrap_or_else(|error| panic!("{command:?}: {error}"));
        Self { child, log }
    }

    /// kill -9, as a power cut would.
    pub fn kill(&mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }

    /// SIGTERM, and the exit code.
    pub fn terminate(self) -> Option<i32> {
        let pid = self.child.id().to_string();
        let told = Command::new("kill").args(["-TERM", &pid]).status();
        assert!(told.unwrap().success());
        self.end()
    }

    /// Waits until it ends; the exit code.
    pub fn end(mut self) -> Option<i32> {
        let deadline = Instant::now() + PATIENCE;
        loop {
            if let Some(status) = self.child.try_wait().unwrap() {
                return status.code();
            }
            assert!(
                Instant::now() < deadline,
                "does not stop; log:\n{}",
                self.log_text()
            );
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    /// The system's number for it.
    pub fn id(&self) -> u32 {
        self.child.id()
    }

    pub fn is_running(&mut self) -> bool {
        self.child.try_wait().unwrap().is_none()
    }

    pub fn log_text(&self) -> String {
        std::fs::read_to_string(&self.log).unwrap_or_default()
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // It may have ended already; either way it is gone after this.
        let _killed = self.child.kill();
        let _waited = self.child.wait();
        if std::thread::panicking() {
            let text = self.log_text();
            let tail: Vec<&str> = text.lines().rev().take(40).collect();
            eprintln!("--- end of {} ---", self.log.display());
            for line in tail.into_iter().rev() {
                eprintln!("{line}");
            }
        }
    }
}

/// A port that is free now; the program under test binds it right after.
pub fn free_port() -> u16 {
    std::net::TcpListener::bind("127.0.0.1:0")
        .unwrap()
        .local_addr()
        .unwrap()
        .port()
}

/// The centre.
pub struct Centre {
    pub process: Process,
    pub http: String,
    pub mqtt: Option<String>,
}

impl Centre {
    /// Starts with data in `dir`; through `broker` when given.
    pub fn start(dir: &Path, broker: Option<&str>) -> Self {
        Self::start_at(dir, broker, "127.0.0.1:0", "127.0.0.1:0")
    }

    pub fn start_at(dir: &Path, broker: Option<&str>, http: &str, mqtt: &str) -> Self {
        let ready = dir.join("ready.json");
        if ready.exists() {
            std::fs::remove_file(&ready).unwrap();
        }
        let mut command = Command::new(binary("aggregator"));
        command.arg("run").arg("--data-dir").arg(dir.join("data"));
        command
            .args(["--http", http])
            .arg("--ready-file")
            .arg(&ready);
        match broker {
            Some(url) => command.args(["--broker", url]),
            None => command.args(["--mqtt", mqtt]),
        };
        let mut process = Process::start(command, dir.join("centre.log"));
        let ready: Value = eventually("the centre to be ready", || {
            assert!(
                process.is_running(),
                "the centre ended:\n{}",
                process.log_text()
            );
            serde_json::from_slice(&std::fs::read(&ready).ok()?).ok()
        });
        Self {
            process,
            http: format!("http://{}", ready["http"].as_str().unwrap()),
            mqtt: ready["mqtt"]
                .as_str()
                .map(|address| format!("mqtt://{address}")),
        }
    }

    pub fn get(&self, path: &str) -> Value {
        self.try_get(path)
            .unwrap_or_else(|error| panic!("GET {path}: {error}"))
    }

    pub fn try_get(&self, path: &str) -> Result<Value, ureq::Error> {
        ureq::get(format!("{}{path}", self.http))
            .call()?
            .body_mut()
            .read_json()
    }

    pub fn get_bytes(&self, path: &str) -> Vec<u8> {
        let mut answer = ureq::get(format!("{}{path}", self.http)).call().unwrap();
        answer.body_mut().read_to_vec().unwrap()
    }

    pub fn post(&self, path: &str, body: &Value) -> Value {
        let mut answer = ureq::post(format!("{}{path}", self.http))
            .send_json(body)
            .unwrap();
        answer.body_mut().read_json().unwrap()
    }

    /// All alerts, page after page.
    pub fn alerts(&self) -> Vec<Value> {
        let mut alerts = Vec::new();
        let mut path = "/api/v1/alerts?limit=200".to_owned();
        loop {
            let page = self.get(&path);
            alerts.extend(page["items"].as_array().unwrap().iter().cloned());
            match page["next"].as_str() {
                Some(cursor) => path = format!("/api/v1/alerts?limit=200&cursor={cursor}"),
                None => return alerts,
            }
        }
    }
}

/// A camera that loops a clip.
pub struct Camera {
    pub process: Process,
    pub url: String,
}

impl Camera {
    pub fn start(dir: &Path, clip: &Path, listen: &str) -> Self {
        Self::start_with(dir, clip, listen, &[])
    }

    /// With more arguments, for one that misbehaves.
    pub fn start_with(dir: &Path, clip: &Path, listen: &str, more: &[&str]) -> Self {
        let ready = dir.join("camera.json");
        if ready.exists() {
            std::fs::remove_file(&ready).unwrap();
        }
        let mut command = Command::new(binary("rtsp-camera"));
        command.args(["--listen", listen]);
        command
            .arg("--mount")
            .arg(format!("clip={}", clip.display()));
        command.arg("--ready-file").arg(&ready).args(more);
        let mut process = Process::start(command, dir.join("camera.log"));
        let ready: Value = eventually("the camera to be ready", || {
            assert!(
                process.is_running(),
                "the camera ended:\n{}",
                process.log_text()
            );
            serde_json::from_slice(&std::fs::read(&ready).ok()?).ok()
        });
        Self {
            process,
            url: ready["mounts"]["clip"].as_str().unwrap().to_owned(),
        }
    }
}

/// A real mosquitto on loopback, without persistence: it forgets everything
/// when killed, so nothing may depend on it.
pub struct Mosquitto {
    pub process: Process,
    pub url: String,
    config: PathBuf,
    dir: PathBuf,
    port: u16,
}

impl Mosquitto {
    pub fn start(dir: &Path) -> Self {
        let port = free_port();
        let config = dir.join("mosquitto.conf");
        let text = format!("listener {port} 127.0.0.1\nallow_anonymous true\nuser root\n");
        std::fs::write(&config, text).unwrap();
        let process = Self::spawn(&config, dir, port);
        Self {
            process,
            url: format!("mqtt://127.0.0.1:{port}"),
            config,
            dir: dir.to_owned(),
            port,
        }
    }

    fn spawn(config: &Path, dir: &Path, port: u16) -> Process {
        let program = ["/usr/sbin/mosquitto", "/usr/local/sbin/mosquitto"]
            .into_iter()
            .find(|path| Path::new(path).exists())
            .expect("mosquitto is not installed; run `make setup` first");
        let mut command = Command::new(program);
        command.arg("-c").arg(config);
        let process = Process::start(command, dir.join("mosquitto.log"));
        eventually("mosquitto to listen", || {
            std::net::TcpStream::connect(("127.0.0.1", port)).ok()
        });
        process
    }

    /// kill -9 and a new one in its place.
    pub fn kill_and_restart(&mut self) {
        self.process.kill();
        self.process = Self::spawn(&self.config, &self.dir, self.port);
    }
}

/// The agent, with its log as JSON lines.
pub fn start_agent(dir: &Path, config: &Path) -> Process {
    let mut command = Command::new(binary("edge-agent"));
    command.args(["--log-format", "json", "run"]).arg(config);
    command.current_dir(repository());
    Process::start(command, dir.join("agent.log"))
}

/// Ids of the events that the agent says it has stored, in order, without doubles.
pub fn stored_events(dir: &Path) -> Vec<String> {
    let Ok(file) = File::open(dir.join("agent.log")) else {
        return Vec::new();
    };
    let mut ids = Vec::new();
    for line in BufReader::new(file).lines() {
        let Ok(line) = serde_json::from_str::<Value>(&line.unwrap_or_default()) else {
            continue;
        };
        let fields = &line["fields"];
        if fields["message"] == "event" {
            let id = fields["id"].as_str().unwrap().to_owned();
            if !ids.contains(&id) {
                ids.push(id);
            }
        }
    }
    ids
}

/// Runs the agent to its end: exit code, standard output, standard error.
pub fn agent(arguments: &[&str]) -> (Option<i32>, String, String) {
    let output = Command::new(binary("edge-agent"))
        .args(arguments)
        .current_dir(repository())
        .stdin(Stdio::null())
        .output()
        .unwrap();
    (
        output.status.code(),
        String::from_utf8_lossy(&output.stdout).into_owned(),
        String::from_utf8_lossy(&output.stderr).into_owned(),
    )
}

/// The envelopes of all events that were made durable, in their order.
pub fn published(dir: &Path) -> Vec<String> {
    let path = std::fs::read_dir(dir.join("store"))
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .find(|path| path.extension().is_some_and(|e| e == "db" || e == "sqlite"))
        .unwrap();
    let database = rusqlite::Connection::open(path).unwrap();
    let mut rows = database
        .prepare("SELECT envelope FROM outbox ORDER BY sequence")
        .unwrap();
    let envelopes = rows.query_map([], |row| row.get(0)).unwrap();
    envelopes
        .map(Result::unwrap)
        .filter(|text: &String| {
            serde_json::from_str::<Value>(text).unwrap()["data"]["rule"].is_string()
        })
        // What the next start says of a killed one is no scene's word.
        .filter(|text| !text.contains("agent_restarted"))
        .collect()
}

/// Replays recorded inputs: the events, and what was said beside.
pub fn replay(inputs: &Path, config: &Path, more: &[&str]) -> (Vec<String>, String) {
    let mut arguments = vec!["replay", "--inputs", inputs.to_str().unwrap()];
    arguments.extend(["--config", config.to_str().unwrap()]);
    arguments.extend(more);
    let (code, stdout, stderr) = agent(&arguments);
    assert_eq!(code, Some(0), "{stderr}");
    (stdout.lines().map(str::to_owned).collect(), stderr)
}

/// Every published event is the replay's, byte for byte and in its order; which
/// of the replay's were not published.
pub fn assert_same(published: &[String], replayed: &[String]) -> Vec<String> {
    let mut unpublished = Vec::new();
    let mut rest = replayed.iter();
    for envelope in published {
        loop {
            let line = rest
                .next()
                .unwrap_or_else(|| panic!("published and not replayed: {envelope}"));
            if envelope.contains(&format!(":{line}")) {
                break;
            }
            unpublished.push(line.clone());
        }
    }
    unpublished.extend(rest.cloned());
    unpublished
}

/// Of each picture that the scene was shown: its time in s, and whether it was followed.
pub fn pictures(recording: &str) -> Vec<(f64, bool)> {
    let of_line = |line: &str| {
        let line: Value = serde_json::from_str(line).ok()?;
        let detections = line.get("detections")?;
        let time = detections["time"].as_str()?;
        let time: EventTime = serde_json::from_value(time.into()).ok()?;
        let since = time.since(EventTime::EPOCH).0;
        Some((since, detections["followed"] == true))
    };
    recording.lines().filter_map(of_line).collect()
}

/// The first file that the agent in `dir` recorded of a camera, and what is in it.
pub fn recorded(dir: &Path, camera: &str) -> (PathBuf, String) {
    let mut segments = std::fs::read_dir(dir.join("record").join(camera)).unwrap();
    let recording = segments.next().unwrap().unwrap().path();
    let mut text = String::new();
    let file = std::fs::File::open(&recording).unwrap();
    flate2::read::MultiGzDecoder::new(file)
        .read_to_string(&mut text)
        .unwrap();
    (recording, text)
}
