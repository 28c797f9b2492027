//! A mosquitto of our own, on a port of its own, that dies with the test.

use std::fmt::Write as _;
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use crate::until;

pub(crate) struct Mosquitto {
    dir: tempfile::TempDir,
    pub(crate) port: u16,
    child: Option<Child>,
}

impl Mosquitto {
    /// Lets everybody in.
    pub(crate) fn start() -> Self {
        Self::with("allow_anonymous true\n")
    }

    /// With further lines of configuration; `DIR` in them is its folder.
    pub(crate) fn with(lines: &str) -> Self {
        let mut broker = Self::prepare(lines);
        broker.run();
        broker
    }

    /// Not running yet.
    pub(crate) fn prepare(lines: &str) -> Self {
        let broker = Self {
            dir: tempfile::tempdir().unwrap(),
            port: free_port(),
            child: None,
        };
        broker.reconfigure(lines);
        broker
    }

    /// With other lines from its next start on.
    pub(crate) fn reconfigure(&self, lines: &str) {
        let (dir, port) = (self.dir.path(), self.port);
        let mut config = format!("listener {port} 127.0.0.1\npersistence false\n");
        // Started as root it would become a user who may not read our files.
        writeln!(config, "user root").unwrap();
        config.push_str(&lines.replace("DIR", &dir.display().to_string()));
        std::fs::write(dir.join("mosquitto.conf"), config).unwrap();
    }

    /// From its next start on it knows nothing newer than TLS 1.2, like one from
    /// before 2018.
    pub(crate) fn forget_tls13(&self) {
        let text = "openssl_conf = all\n[all]\nssl_conf = ssl\n[ssl]\nsystem_default = old\n\
                    [old]\nMaxProtocol = TLSv1.2\n";
        std::fs::write(self.file("openssl.cnf"), text).unwrap();
    }

    pub(crate) fn file(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    pub(crate) fn url(&self) -> String {
        format!("mqtt://127.0.0.1:{}", self.port)
    }

    pub(crate) fn run(&mut self) {
        let program = ["/usr/sbin/mosquitto", "/usr/local/sbin/mosquitto"]
            .into_iter()
            .find(|path| Path::new(path).exists())
            .unwrap_or("mosquitto");
        let mut command = Command::new(program);
        if self.file("openssl.cnf").exists() {
            command.env("OPENSSL_CONF", self.file("openssl.cnf"));
        }
        let child = command
            .arg("-c")
            .arg(self.file("mosquitto.conf"))
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .expect("mosquitto starts; install it with `apt-get install mosquitto`");
        self.child = Some(child);
        let port = self.port;
        until("mosquitto listens", || {
            TcpStream::connect(("127.0.0.1", port)).is_ok()
        });
    }

    /// `kill -9`.
    pub(crate) fn kill(&mut self) {
        if let Some(mut child) = self.child.take() {
            child.kill().unwrap();
            child.wait().unwrap();
        }
    }

    /// `STOP`: connections stay open and nothing moves. `CONT` ends it.
    pub(crate) fn signal(&self, name: &str) {
        let pid = self.child.as_ref().expect("it runs").id().to_string();
        let status = Command::new("kill")
            .args([&format!("-{name}"), &pid])
            .status();
        assert!(status.unwrap().success());
    }
}

impl Drop for Mosquitto {
    fn drop(&mut self) {
        self.kill();
    }
}

/// A port that was free a moment ago; mosquitto cannot choose one itself.
pub(crate) fn free_port() -> u16 {
    TcpListener::bind(("127.0.0.1", 0))
        .and_then(|listener| listener.local_addr())
        .unwrap()
        .port()
}

/// A broker that speaks MQTT 3.1.1 and nothing newer (aedes, on Node.js).
pub(crate) struct OldBroker {
    pub(crate) port: u16,
    child: Option<Child>,
}

impl OldBroker {
    pub(crate) fn start() -> Self {
        let port = free_port();
        let mut broker = Self { port, child: None };
        broker.run();
        broker
    }

    pub(crate) fn url(&self) -> String {
        format!("mqtt://127.0.0.1:{}", self.port)
    }

    pub(crate) fn run(&mut self) {
        let source = Path::new(env!("CARGO_MANIFEST_DIR"));
        let local = source.join("../../.local");
        let modules = local.join("old-broker/node_modules");
        assert!(
            modules.join("aedes").is_dir(),
            "`deploy/setup test` brings the old broker"
        );
        let own = local.join("node/bin/node");
        let node = if own.exists() { own } else { "node".into() };
        let child = Command::new(node)
            .arg(source.join("tests/old-broker/broker.cjs"))
            .arg(self.port.to_string())
            .env("NODE_PATH", modules)
            .stdout(Stdio::null())
            .spawn()
            .expect("Node.js starts; `deploy/setup test` brings it");
        self.child = Some(child);
        let port = self.port;
        until("the old broker listens", || {
            TcpStream::connect(("127.0.0.1", port)).is_ok()
        });
    }

    /// `kill -9`; it forgets what it has kept.
    pub(crate) fn kill(&mut self) {
        if let Some(mut child) = self.child.take() {
            child.kill().unwrap();
            child.wait().unwrap();
        }
    }
}

impl Drop for OldBroker {
    fn drop(&mut self) {
        self.kill();
    }
}
