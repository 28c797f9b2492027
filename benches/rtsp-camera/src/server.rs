//! The RTSP server around the mounts.

use std::collections::BTreeMap;
use std::net::{IpAddr, SocketAddr};
use std::ops::ControlFlow;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{self, RecvTimeoutError};
use std::thread::JoinHandle;
use std::time::Duration;

use anyhow::{Context as _, bail, ensure};
use gstreamer as gst;
use gstreamer::glib;
use gstreamer::prelude::*;
use gstreamer_app as gst_app;
use gstreamer_rtsp as gst_rtsp;
use gstreamer_rtsp_server as gst_server;
use gstreamer_rtsp_server::prelude::*;

use crate::behaviour::{Behaviour, Script};
use crate::clip::Clip;
use crate::feeder::Feeder;
use crate::reports;

/// One stream address.
#[derive(Clone, Debug)]
pub struct Mount {
    /// The path in the URL, without a slash.
    pub name: String,
    /// Played one after the other, then again from the first. All of one codec;
    /// sizes may differ (then the picture changes in mid-stream).
    pub playlist: Vec<Clip>,
    /// What goes wrong by itself.
    pub script: Script,
}

impl Mount {
    /// A mount that loops one clip and behaves.
    pub fn new(name: &str, clip: Clip) -> Self {
        Self {
            name: name.to_owned(),
            playlist: vec![clip],
            script: Script::default(),
        }
    }
}

/// How to serve.
#[derive(Clone, Debug)]
pub struct CameraSettings {
    /// Where to listen; port 0 takes a free one.
    pub listen: SocketAddr,
    /// User and password, asked for by digest authentication.
    pub login: Option<(String, String)>,
    /// Time between RTCP sender reports. Real cameras take about 5 s.
    pub report_interval: Duration,
    /// What to serve.
    pub mounts: Vec<Mount>,
}

impl CameraSettings {
    /// Loopback, a free port, no password, reports twice a second.
    pub fn loopback(mounts: Vec<Mount>) -> Self {
        Self {
            listen: SocketAddr::from(([127, 0, 0, 1], 0)),
            login: None,
            report_interval: Duration::from_millis(500),
            mounts,
        }
    }
}

/// A running camera; dropping it closes every connection and frees the port.
#[derive(Debug)]
pub struct Camera {
    address: SocketAddr,
    server: gst_server::RTSPServer,
    context: glib::MainContext,
    main_loop: glib::MainLoop,
    thread: Option<JoinHandle<()>>,
    behaviours: BTreeMap<String, Arc<Behaviour>>,
    factories: BTreeMap<String, gst_server::RTSPMediaFactory>,
    is_refusing: Arc<AtomicBool>,
}

/// The role that a client has once its password was right.
const VIEWER: &str = "viewer";

impl Camera {
    /// Starts serving; the address is bound when this returns.
    pub fn start(settings: CameraSettings) -> anyhow::Result<Self> {
        gst::init().context("GStreamer does not start; is it installed?")?;
        ensure!(
            !settings.mounts.is_empty(),
            "a camera needs a mount; name one with --mount NAME=CLIP"
        );
        let server = gst_server::RTSPServer::new();
        server.set_address(&settings.listen.ip().to_string());
        server.set_service(&settings.listen.port().to_string());
        // No thread of its own for clients: all is read, and hung up, in the camera's.
        if let Some(pool) = server.thread_pool() {
            pool.set_max_threads(0);
        }
        if let Some((user, password)) = &settings.login {
            server.set_auth(Some(&digest_only(user, password)));
        }

        let is_refusing = Arc::new(AtomicBool::new(false));
        // A context and a thread of its own: many cameras live in one process.
        let context = glib::MainContext::new();
        hang_up_when(&is_refusing, &server, &context);

        let points = server.mount_points().context("a server has mount points")?;
        let (mut behaviours, mut factories) = (BTreeMap::new(), BTreeMap::new());
        for mount in settings.mounts {
            let name = mount.name.clone();
            ensure!(
                !name.is_empty()
                    && name
                        .bytes()
                        .all(|b| b.is_ascii_alphanumeric() || b"-_.".contains(&b)),
                "mount `{name}`: use letters, digits, `-`, `_` and `.` only"
            );
            let behaviour = Arc::new(Behaviour::default());
            if behaviours
                .insert(name.clone(), Arc::clone(&behaviour))
                .is_some()
            {
                bail!("mount `{name}` is there twice; name each once");
            }
            let factory = factory(mount, settings.report_interval, &behaviour)?;
            if settings.login.is_some() {
                factory.add_role_from_structure(
                    &gst::Structure::builder(VIEWER)
                        .field("media.factory.access", true)
                        .field("media.factory.construct", true)
                        .build(),
                );
            }
            points.add_factory(&format!("/{name}"), factory.clone());
            factories.insert(name, factory);
        }

        let source = server
            .attach(Some(&context))
            .with_context(|| format!("cannot listen on {}; is the port taken?", settings.listen))?;
        let port = u16::try_from(server.bound_port()).context("a bound port is a port number")?;
        let main_loop = glib::MainLoop::new(Some(&context), false);
        let thread = std::thread::Builder::new()
            .name("rtsp-camera".to_owned())
            .spawn({
                let main_loop = main_loop.clone();
                let context = context.clone();
                let pool = server.session_pool();
                move || {
                    // UDP clients that vanished are found by their session's time-out only.
                    let sweep = glib::timeout_source_new_seconds(
                        2,
                        None,
                        glib::Priority::DEFAULT,
                        move || {
                            if let Some(pool) = &pool {
                                pool.cleanup();
                            }
                            glib::ControlFlow::Continue
                        },
                    );
                    sweep.attach(Some(&context));
                    main_loop.run();
                    sweep.destroy();
                    // Removing the source closes the listening socket.
                    if let Some(listener) = context.find_source_by_id(&source) {
                        listener.destroy();
                    }
                }
            })?;
        Ok(Self {
            address: SocketAddr::new(settings.listen.ip(), port),
            server,
            context,
            main_loop,
            thread: Some(thread),
            behaviours,
            factories,
            is_refusing,
        })
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// The URL of a mount, without user and password.
    pub fn url(&self, mount: &str) -> String {
        let host = match self.address.ip() {
            IpAddr::V4(ip) => ip.to_string(),
            IpAddr::V6(ip) => format!("[{ip}]"),
        };
        format!("rtsp://{host}:{}/{mount}", self.address.port())
    }

    /// Mounts with their URLs, by name.
    pub fn urls(&self) -> BTreeMap<String, String> {
        self.behaviours
            .keys()
            .map(|name| (name.clone(), self.url(name)))
            .collect()
    }

    /// The faults of a mount, to be switched while it runs.
    pub fn behaviour(&self, mount: &str) -> Option<&Arc<Behaviour>> {
        self.behaviours.get(mount)
    }

    /// Somebody changes the encoder's settings: from now on `mount` sends `clip`, at once
    /// also in the sessions that there are, whatever they were told. Who asks
    /// anew is told the truth.
    pub fn retune(&self, mount: &str, clip: Clip) {
        if let (Some(factory), Some(behaviour)) =
            (self.factories.get(mount), self.behaviours.get(mount))
        {
            factory.set_launch(clip.codec.launch());
            behaviour.retune(clip);
        }
    }

    /// Hangs up on every new connection, or stops doing so.
    pub fn refuse(&self, on: bool) {
        self.is_refusing.store(on, Ordering::Relaxed);
    }

    /// Hangs up on everybody who is connected.
    pub fn disconnect_all(&self) {
        let (done, is_done) = mpsc::channel();
        self.in_its_thread(move |server| {
            hang_up_on_all(server);
            // Who asked has not waited, if its own thread ended.
            done.send(()).ok();
        });
        while is_done.recv_timeout(Duration::from_millis(100)) == Err(RecvTimeoutError::Timeout) {
            if self.thread.as_ref().is_none_or(JoinHandle::is_finished) {
                return;
            }
        }
    }

    /// Runs `work` where connections are read from. A connection that another thread closes
    /// is still polled there: it is read without a socket, again and again, a warning each time.
    fn in_its_thread(&self, work: impl FnOnce(&gst_server::RTSPServer) + Send + 'static) {
        let server = self.server.clone();
        let mut work = Some(work);
        glib::idle_source_new(None, glib::Priority::DEFAULT, move || {
            if let Some(work) = work.take() {
                work(&server);
            }
            glib::ControlFlow::Break
        })
        .attach(Some(&self.context));
    }

    /// Closes every connection, frees the port and waits until all is gone.
    pub fn stop(self) {}
}

impl Drop for Camera {
    fn drop(&mut self) {
        // First no new clients, then none of the old. The quit comes from within the loop,
        // too: before the loop runs it would be forgotten.
        self.is_refusing.store(true, Ordering::Relaxed);
        let main_loop = self.main_loop.clone();
        self.in_its_thread(move |server| {
            hang_up_on_all(server);
            main_loop.quit();
        });
        if let Some(thread) = self.thread.take()
            && thread.join().is_err()
        {
            tracing::error!("the camera's thread panicked");
        }
    }
}

fn hang_up_on_all(server: &gst_server::RTSPServer) {
    server.client_filter(Some(&mut |_, _| gst_server::RTSPFilterResult::Remove));
}

fn hang_up_when(
    is_refusing: &Arc<AtomicBool>,
    server: &gst_server::RTSPServer,
    context: &glib::MainContext,
) {
    let is_refusing = Arc::clone(is_refusing);
    let context = context.clone();
    server.connect_client_connected(move |server, client| {
        if !is_refusing.load(Ordering::Relaxed) {
            return;
        }
        // Later: while this runs the client is not yet attached to its socket.
        let (server, client) = (server.downgrade(), client.downgrade());
        glib::idle_source_new(None, glib::Priority::DEFAULT, move || {
            if let (Some(server), Some(client)) = (server.upgrade(), client.upgrade()) {
                server.client_filter(Some(&mut |_, other| {
                    if *other == client {
                        gst_server::RTSPFilterResult::Remove
                    } else {
                        gst_server::RTSPFilterResult::Keep
                    }
                }));
            }
            glib::ControlFlow::Break
        })
        .attach(Some(&context));
    });
}

fn digest_only(user: &str, password: &str) -> gst_server::RTSPAuth {
    let auth = gst_server::RTSPAuth::new();
    auth.set_supported_methods(gst_rtsp::RTSPAuthMethod::Digest);
    let token = gst_server::RTSPToken::builder()
        .field("media.factory.role", VIEWER)
        .build();
    auth.add_digest(user, password, &token);
    auth
}

fn factory(
    mount: Mount,
    report_interval: Duration,
    behaviour: &Arc<Behaviour>,
) -> anyhow::Result<gst_server::RTSPMediaFactory> {
    let name = mount.name;
    let codec = match mount.playlist.as_slice() {
        [] => bail!("mount `{name}` has no clip"),
        [first, rest @ ..] => {
            ensure!(
                rest.iter().all(|clip| clip.codec == first.codec),
                "mount `{name}`: clips of different codecs; a stream has one"
            );
            first.codec
        }
    };
    let factory = gst_server::RTSPMediaFactory::new();
    factory.set_launch(codec.launch());
    let playlist: Arc<[Clip]> = mount.playlist.into();
    let behaviour = Arc::clone(behaviour);
    factory.connect_media_configure(move |_, media| {
        let reports_of = Arc::clone(&behaviour);
        media.connect_prepared(move |media| reports::arrange(media, report_interval, &reports_of));

        let pipeline = media.element();
        let payloader = pipeline
            .downcast_ref::<gst::Bin>()
            .and_then(|bin| bin.by_name("pay0"));
        if let Some(payloader) = payloader {
            if let Some((timestamp, sequence)) = mount.script.rtp_begins {
                payloader.set_property("timestamp-offset", timestamp);
                payloader.set_property("seqnum-offset", i32::from(sequence));
            }
            hurt_packets(&payloader, &behaviour);
        }
        let Some(source) = pipeline
            .downcast::<gst::Bin>()
            .ok()
            .and_then(|bin| bin.by_name("source"))
            .and_then(|source| source.downcast::<gst_app::AppSrc>().ok())
        else {
            tracing::error!(mount = name, "the mount's pipeline has no source");
            return;
        };
        source.set_is_live(true);
        source.set_format(gst::Format::Time);
        let first = behaviour.retuned();
        let first = first.as_ref().unwrap_or(&playlist[0]);
        source.set_caps(Some(&first.caps));
        // Until the client plays, the stream is blocked: wait, do not hoard.
        source.set_block(true);
        let is_over = Arc::new(AtomicBool::new(false));
        let over = Arc::clone(&is_over);
        media.connect_unprepared(move |_| over.store(true, Ordering::Relaxed));
        let feeder = Feeder {
            source,
            codec: first.codec,
            playlist: Arc::clone(&playlist),
            script: mount.script,
            behaviour: Arc::clone(&behaviour),
            is_over,
        };
        let spawned = std::thread::Builder::new()
            .name(format!("feed-{name}"))
            .spawn(move || feeder.run());
        if let Err(error) = spawned {
            tracing::error!(mount = name, %error, "no thread for a client");
        }
    });
    Ok(factory)
}

/// Rewrites the RTP timestamps of what the payloader sends, and loses some of it, as the
/// behaviour asks.
fn hurt_packets(payloader: &gst::Element, behaviour: &Arc<Behaviour>) {
    let Some(pad) = payloader.static_pad("src") else {
        return;
    };
    let behaviour = Arc::clone(behaviour);
    // Whether the packet is sent.
    let hurt = move |buffer: &mut gst::BufferRef| {
        if behaviour.loses_packet() {
            return false;
        }
        let ticks = behaviour.rtp_shift();
        if ticks == 0 {
            return true;
        }
        // RFC 3550 § 5.1: the second word of the header.
        if let Ok(mut bytes) = buffer.map_writable()
            && let Some(time) = bytes.first_chunk_mut::<8>()
        {
            let [_, _, _, _, time @ ..] = time;
            *time = u32::from_be_bytes(*time).wrapping_add(ticks).to_be_bytes();
        }
        true
    };
    pad.add_probe(
        gst::PadProbeType::BUFFER | gst::PadProbeType::BUFFER_LIST,
        move |_, info| {
            let is_sent = match &mut info.data {
                Some(gst::PadProbeData::Buffer(buffer)) => hurt(buffer.make_mut()),
                Some(gst::PadProbeData::BufferList(list)) => {
                    let list = list.make_mut();
                    list.foreach_mut(|mut buffer, _| {
                        let is_sent = hurt(buffer.make_mut());
                        ControlFlow::Continue(is_sent.then_some(buffer))
                    });
                    !list.is_empty()
                }
                _ => true,
            };
            if is_sent {
                gst::PadProbeReturn::Ok
            } else {
                gst::PadProbeReturn::Drop
            }
        },
    );
}
