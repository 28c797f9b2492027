//! `rtsp-camera --mount NAME=CLIP …`: a camera on loopback, for tests and the demo.

use std::io::Write as _;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context as _, bail};
use clap::Parser;
use rtsp_camera::{Camera, CameraSettings, Clip, Mount, Script};

/// Serves clips over RTSP, each looped without a seam, like cameras.
#[derive(Debug, Parser)]
#[command(version)]
struct Arguments {
    /// Where to listen; port 0 takes a free one.
    #[arg(long, value_name = "ADDRESS:PORT", default_value = "127.0.0.1:0")]
    listen: SocketAddr,
    /// A stream and its clip (H.264, H.265 or MJPEG in any container); the same
    /// name again appends a clip to be played next.
    #[arg(long, value_name = "NAME=CLIP", required = true, value_parser = mount)]
    mount: Vec<(String, PathBuf)>,
    /// Ask for this user by digest authentication.
    #[arg(long, requires = "password")]
    user: Option<String>,
    /// Its password; better in the environment, where `ps` does not show it.
    #[arg(
        long,
        env = "RTSP_CAMERA_PASSWORD",
        hide_env_values = true,
        requires = "user"
    )]
    password: Option<String>,
    /// Where to write, when ready, what is also printed.
    #[arg(long, value_name = "FILE")]
    ready_file: Option<PathBuf>,
    /// Seconds between RTCP sender reports.
    #[arg(long, value_name = "SECONDS", default_value = "5", value_parser = seconds)]
    report_interval_s: Duration,
    /// Stop sending after so many seconds, but stay connected.
    #[arg(long, value_name = "SECONDS", value_parser = seconds)]
    stall_after_s: Option<Duration>,
    /// Repeat the same picture after so many seconds.
    #[arg(long, value_name = "SECONDS", value_parser = seconds)]
    freeze_after_s: Option<Duration>,
    /// End the stream after so many seconds.
    #[arg(long, value_name = "SECONDS", value_parser = seconds)]
    end_after_s: Option<Duration>,
    /// Be wrong about the time by so many milliseconds.
    #[arg(
        long,
        value_name = "MS",
        default_value = "0",
        allow_negative_numbers = true
    )]
    clock_error_ms: i64,
    /// Hang up on everybody who connects.
    #[arg(long)]
    refuse: bool,
}

fn mount(text: &str) -> Result<(String, PathBuf), String> {
    match text.split_once('=') {
        Some((name, clip)) if !name.is_empty() && !clip.is_empty() => {
            Ok((name.to_owned(), clip.into()))
        }
        _ => Err("write NAME=CLIP".to_owned()),
    }
}

fn seconds(text: &str) -> Result<Duration, String> {
    text.parse()
        .ok()
        .and_then(|s| Duration::try_from_secs_f64(s).ok())
        .ok_or_else(|| "write seconds, for example 2.5".to_owned())
}

fn main() -> std::process::ExitCode {
    match run() {
        Ok(()) => std::process::ExitCode::SUCCESS,
        Err(error) => {
            // One line: what failed, on which clip, what to do.
            eprintln!("rtsp-camera: {error:#}");
            std::process::ExitCode::FAILURE
        }
    }
}

fn run() -> anyhow::Result<()> {
    tracing_subscriber::fmt()
        .with_writer(std::io::stderr)
        .with_env_filter(
            tracing_subscriber::EnvFilter::try_from_default_env().unwrap_or_else(|_| "info".into()),
        )
        .init();
    let arguments = Arguments::parse();
    // Signals first: a Ctrl-C during a long load must end the program as well.
    let (send, wait) = std::sync::mpsc::channel();
    ctrlc::set_handler(move || {
        if send.send(()).is_err() {
            std::process::exit(0);
        }
    })
    .context("no signal handler")?;

    let camera = Camera::start(CameraSettings {
        listen: arguments.listen,
        login: arguments.user.clone().zip(arguments.password.clone()),
        report_interval: arguments.report_interval_s,
        mounts: mounts(&arguments)?,
    })?;
    camera.refuse(arguments.refuse);
    for name in camera.urls().keys() {
        if let Some(behaviour) = camera.behaviour(name) {
            behaviour.clock_error_ms(arguments.clock_error_ms);
        }
    }
    let ready = serde_json::json!({
        "listen": camera.address().to_string(),
        "mounts": camera.urls(),
    });
    if let Some(file) = &arguments.ready_file {
        write_whole(file, &ready.to_string())?;
    }
    writeln!(std::io::stdout(), "{ready}").context("printing the address")?;

    wait.recv().context("waiting for a signal")?;
    if let Some(file) = &arguments.ready_file {
        // It would name a port that nobody listens on.
        if let Err(error) = std::fs::remove_file(file) {
            tracing::warn!(file = %file.display(), %error, "ready file not removed");
        }
    }
    camera.stop();
    Ok(())
}

fn mounts(arguments: &Arguments) -> anyhow::Result<Vec<Mount>> {
    let script = Script {
        stall_after: arguments.stall_after_s,
        freeze_after: arguments.freeze_after_s,
        end_after: arguments.end_after_s,
        ..Script::default()
    };
    let mut loaded: Vec<(&Path, Clip)> = Vec::new();
    let mut mounts: Vec<Mount> = Vec::new();
    for (name, path) in &arguments.mount {
        // The same clip on several mounts is in memory once.
        let known = loaded.iter().find(|(known, _)| known == path);
        let clip = if let Some((_, clip)) = known {
            clip.clone()
        } else {
            let clip = Clip::load(path)?;
            loaded.push((path, clip.clone()));
            clip
        };
        match mounts.iter_mut().find(|mount| mount.name == *name) {
            Some(mount) => mount.playlist.push(clip),
            None => mounts.push(Mount {
                name: name.clone(),
                playlist: vec![clip],
                script,
            }),
        }
    }
    if mounts.is_empty() {
        bail!("nothing to serve; name a clip with --mount NAME=CLIP");
    }
    Ok(mounts)
}

/// Whoever waits for the file must never read half of it.
fn write_whole(file: &Path, text: &str) -> anyhow::Result<()> {
    let mut draft = file.as_os_str().to_owned();
    draft.push(".part");
    std::fs::write(&draft, text)
        .and_then(|()| std::fs::rename(&draft, file))
        .with_context(|| format!("writing {}", file.display()))
}
