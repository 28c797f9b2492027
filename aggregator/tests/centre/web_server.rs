//! A real nginx between a box's uploader and the centre, as `deploy/nginx/` sets it up.

use std::fs;
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use edge_uplink::{DiskBudget, Outbox, Pace, Uplink, UplinkSettings};
use protocol::evidence::EvidenceRole;
use protocol::{Digest, EventTime};
use rcgen::{
    BasicConstraints, CertificateParams, CertifiedIssuer, DnType, IsCa, KeyPair, date_time_ymd,
};

use crate::support::{Running, eventually};

/// The configuration that is shipped.
const SHIPPED: &str = include_str!("../../../deploy/nginx/ngatu.conf");
const LIMIT: &str = "client_max_body_size 64m;";

struct Nginx {
    folder: tempfile::TempDir,
    port: u16,
    centre: SocketAddr,
    child: Option<Child>,
    authority: CertifiedIssuer<'static, KeyPair>,
}

impl Nginx {
    /// As shipped, with some of its lines in another form.
    fn before(centre: &Running, changes: &[(&str, &str)]) -> Self {
        let mut params = CertificateParams::new(Vec::new()).unwrap();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params
            .distinguished_name
            .push(DnType::CommonName, "test authority");
        let authority = CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap();
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join("ca.pem"), authority.pem()).unwrap();
        let mut nginx = Self {
            folder,
            port: free_port(),
            centre: centre.http,
            child: None,
            authority,
        };
        nginx.issue("server", "localhost", 2100);
        nginx.issue("box", "hanoi/b1", 2100);
        nginx.configure(changes);
        nginx.run();
        nginx
    }

    fn file(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// Writes `<name>.pem` and `<name>.key`, valid until the end of a year.
    fn issue(&self, name: &str, host: &str, until: i32) {
        let key = KeyPair::generate().unwrap();
        let mut params = CertificateParams::new(vec![host.to_owned()]).unwrap();
        params.not_before = date_time_ymd(2001, 1, 1);
        params.not_after = date_time_ymd(until, 12, 31);
        let certificate = params.signed_by(&key, &self.authority).unwrap();
        fs::write(self.file(&format!("{name}.pem")), certificate.pem()).unwrap();
        fs::write(self.file(&format!("{name}.key")), key.serialize_pem()).unwrap();
    }

    fn configure(&self, changes: &[(&str, &str)]) {
        let own = self.folder.path().display().to_string();
        let places = [
            (
                "listen 8443 ssl;",
                format!("listen 127.0.0.1:{} ssl;", self.port),
            ),
            ("/etc/nginx/ngatu/", format!("{own}/")),
            ("http://127.0.0.1:8800;", format!("http://{};", self.centre)),
        ];
        let mut ours = SHIPPED.to_owned();
        let places = places.iter().map(|(from, to)| (*from, to.as_str()));
        for (from, to) in places.chain(changes.iter().copied()) {
            assert!(
                ours.contains(from),
                "{from} is not in deploy/nginx/ngatu.conf"
            );
            ours = ours.replace(from, to);
        }
        fs::write(self.file("ngatu.conf"), ours).unwrap();
        // Debian's main file in short, with this folder's places instead of the system's.
        let places = ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"];
        let places = places.map(|kind| format!("{kind}_temp_path {own}/{kind};\n"));
        let main = format!(
            "daemon off;\nworker_processes 1;\npid {own}/nginx.pid;\n\
             error_log {own}/error.log;\nevents {{}}\nhttp {{\n\
             log_format ours '$request_method $status $http_content_range';\n\
             access_log {own}/access.log ours;\n{}include {own}/ngatu.conf;\n}}\n",
            places.concat()
        );
        fs::write(self.file("nginx.conf"), main).unwrap();
    }

    fn command(&self) -> Command {
        let places = ["/usr/sbin/nginx", "/usr/local/sbin/nginx"];
        let found = places.into_iter().find(|path| Path::new(path).exists());
        let mut command = Command::new(found.unwrap_or("nginx"));
        command
            .arg("-e")
            .arg(self.file("error.log"))
            .arg("-p")
            .arg(self.folder.path())
            .arg("-c")
            .arg(self.file("nginx.conf"))
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null());
        command
    }

    fn run(&mut self) {
        let started = self.command().spawn();
        let mut child =
            started.expect("nginx starts; `deploy/setup test` brings it (apt-get install nginx)");
        eventually("nginx listens", || {
            let ended = child.try_wait().unwrap();
            assert!(ended.is_none(), "{ended:?}: {}", self.said());
            TcpStream::connect(("127.0.0.1", self.port)).ok()
        });
        self.child = Some(child);
    }

    fn said(&self) -> String {
        fs::read_to_string(self.file("error.log")).unwrap_or_default()
    }

    /// With another configuration, as an operator changes it under load.
    fn reload(&self, changes: &[(&str, &str)]) {
        self.configure(changes);
        let told = self.command().args(["-s", "reload"]).status().unwrap();
        assert!(told.success(), "{}", self.said());
    }

    /// At once, in the middle of whatever it does.
    fn stop(&mut self) {
        if let Some(mut child) = self.child.take() {
            // The master takes its workers with it, as `kill -9` would not.
            let told = self.command().args(["-s", "stop"]).status();
            assert!(told.is_ok_and(|told| told.success()) || std::thread::panicking());
            child.wait().unwrap();
        }
    }

    /// Method, status and `Content-Range` of each request that ended.
    fn requests(&self) -> Vec<String> {
        let log = fs::read_to_string(self.file("access.log")).unwrap_or_default();
        log.lines().map(str::to_owned).collect()
    }
}

impl Drop for Nginx {
    fn drop(&mut self) {
        self.stop();
    }
}

/// A port that was free a moment ago; nginx cannot choose one itself.
fn free_port() -> u16 {
    let free = TcpListener::bind("127.0.0.1:0").unwrap();
    free.local_addr().unwrap().port()
}

/// A box that has one clip and no broker.
struct Sender {
    _folder: tempfile::TempDir,
    outbox: Outbox,
    clip: Digest,
    bytes: Vec<u8>,
}

impl Sender {
    fn with_clip(length: usize) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let outbox = Outbox::open(folder.path(), DiskBudget::new(1 << 30)).unwrap();
        let bytes: Vec<u8> = (0..length)
            .map(|n| (n / 999 + n % 251).to_le_bytes()[0])
            .collect();
        let at = EventTime::from_micros(1);
        let clip = outbox.put_evidence(&bytes, EvidenceRole::Clip, "video/mp4", at);
        Self {
            _folder: folder,
            clip: clip.unwrap().sha256,
            outbox,
            bytes,
        }
    }

    fn uplink(&self, nginx: &Nginx, kbit_s: Option<u32>) -> Uplink {
        let (site, box_id) = ("hanoi".parse().unwrap(), "b1".parse().unwrap());
        let mut settings = UplinkSettings::new("mqtt://127.0.0.1:9", site, box_id);
        settings.evidence_url = format!("https://localhost:{}", nginx.port);
        settings.evidence_kbit_s = kbit_s;
        settings.ca_file = Some(nginx.file("ca.pem"));
        settings.cert_file = Some(nginx.file("box.pem"));
        settings.key_file = Some(nginx.file("box.key"));
        settings.pace = Pace {
            upload_shortest: Duration::from_millis(10),
            upload_longest: Duration::from_millis(100),
            ..Pace::default()
        };
        Uplink::start(settings, self.outbox.clone()).unwrap()
    }

    /// Waits until the box says this of its uploads; nothing is given up meanwhile.
    fn says(&self, uplink: &Uplink, words: &str) {
        eventually(words, || {
            let said = uplink.status().last_upload_error.unwrap_or_default();
            said.contains(words).then_some(())
        });
        let status = self.outbox.status();
        assert_eq!((status.evidence_waiting, status.evidence_refused), (1, 0));
    }

    fn arrives(&self, uplink: &Uplink, centre: &Running) {
        eventually("the clip is uploaded", || {
            (uplink.status().uploads_done == 1).then_some(())
        });
        let there = centre.api().get(&format!("/api/v1/evidence/{}", self.clip));
        assert_eq!((there.status, there.body == self.bytes), (200, true));
    }
}

/// nginx takes 1 MB of a body unless it is told otherwise. Evidence goes in pieces
/// of that at most; where even these are too large, the box says what to change.
#[test]
fn a_clip_larger_than_nginx_takes_goes_in_pieces_or_is_kept_until_the_limit_is_raised() {
    let centre = Running::start();
    for limit in ["", "client_max_body_size 10k;"] {
        let nginx = Nginx::before(&centre, &[(LIMIT, limit)]);
        let sender = Sender::with_clip((3 << 20) + limit.len());
        let uplink = sender.uplink(&nginx, None);
        if !limit.is_empty() {
            sender.says(&uplink, "`client_max_body_size`");
            nginx.reload(&[]);
        }
        sender.arrives(&uplink, &centre);
    }
}

/// nginx answers 400 itself, at a door whose handshake it has let through.
#[test]
fn evidence_waits_while_the_certificate_of_the_box_is_expired_or_a_strangers() {
    let centre = Running::start();
    let nginx = Nginx::before(&centre, &[]);
    let sender = Sender::with_clip(100_000);
    let elsewhere = Nginx::before(&centre, &[]);
    let expired = || nginx.issue("box", "hanoi/b1", 2020);
    let strangers = || {
        for file in ["box.pem", "box.key"] {
            fs::copy(elsewhere.file(file), nginx.file(file)).unwrap();
        }
    };
    for spoil in [&expired as &dyn Fn(), &strangers] {
        spoil();
        let uplink = sender.uplink(&nginx, None);
        sender.says(&uplink, "the validity of this box's certificate");
        eventually("it is tried again", || {
            (uplink.status().uploads_failed >= 5).then_some(())
        });
        sender.says(&uplink, "the validity of this box's certificate");
    }
    nginx.issue("box", "hanoi/b1", 2100);
    sender.arrives(&sender.uplink(&nginx, None), &centre);
}

/// A page in the place of the route is not the centre, whatever its status.
#[test]
fn a_page_of_nginx_is_not_taken_for_the_centre() {
    let centre = Running::start();
    let without_route = ("location /api/v1/evidence/ {", "location /elsewhere/ {");
    for (page, words) in [
        (
            "return 200 'Welcome to nginx!';",
            "something other than the centre",
        ),
        ("return 204;", "something other than the centre"),
        ("return 404;", "correct `evidence_url`"),
    ] {
        // Small ones are sent without being asked for first.
        for length in [100, 100_000] {
            let nginx = Nginx::before(&centre, &[without_route, ("return 404;", page)]);
            let sender = Sender::with_clip(length + page.len());
            let uplink = sender.uplink(&nginx, None);
            sender.says(&uplink, words);
            nginx.reload(&[]);
            sender.arrives(&uplink, &centre);
        }
    }
}

/// Whether nginx passes a body on as it comes or gathers it first: what the centre
/// has of a file is not sent again.
#[test]
fn an_upload_that_nginx_broke_off_goes_on_where_it_ended() {
    for buffering in ["off", "on"] {
        let centre = Running::start();
        let set = format!("proxy_request_buffering {buffering};");
        let changes = [("proxy_request_buffering off;", set.as_str())];
        let mut nginx = Nginx::before(&centre, &changes);
        let sender = Sender::with_clip(1 << 20);
        // More than a minute for the whole, so that it is broken off in the middle.
        let uplink = sender.uplink(&nginx, Some(100));
        eventually("the centre has a piece", || {
            let taken = nginx.requests();
            let mut taken = taken.iter();
            taken.any(|line| line.starts_with("PUT 202")).then_some(())
        });
        nginx.stop();
        uplink.stop(Duration::ZERO);
        let before = nginx.requests().len();
        nginx.run();
        let uplink = sender.uplink(&nginx, None);
        sender.arrives(&uplink, &centre);
        let after = nginx.requests().split_off(before);
        let first = after.iter().find(|line| line.starts_with("PUT"));
        let first = first.unwrap_or_else(|| panic!("{after:?}"));
        assert!(!first.contains("bytes 0-"), "{buffering}: {after:?}");
        assert!(first.contains(" bytes "), "{buffering}: {after:?}");
    }
}

/// What the centre itself refuses is told through nginx, and final.
#[test]
fn the_centres_own_refusal_comes_through() {
    let centre = Running::with(|config| config.http.max_evidence_mb = 1);
    let nginx = Nginx::before(&centre, &[]);
    let sender = Sender::with_clip(2 << 20);
    let _uplink = sender.uplink(&nginx, None);
    eventually("it is given up", || {
        (sender.outbox.status().evidence_refused == 1).then_some(())
    });
}
