//! `aggregator`: the centre as a program.

// `println!` panics where its reader has gone: `case_bundle::say!` and `aside!` do not.
#![warn(clippy::print_stdout, clippy::print_stderr)]

use std::io::IsTerminal as _;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::ExitCode;

use aggregator::centre::Centre;
use aggregator::config::{Broker, Config, ConfigError};
use aggregator::labels::{self, Wanted};
use aggregator::{api, case};
use case_bundle::files::{VerifyArgs, said};
use case_bundle::{aside, say};
use clap::{Args, Parser, Subcommand, ValueEnum};
use protocol::EventId;
use tokio::signal::unix::{SignalKind, signal};
use tracing_subscriber::EnvFilter;

/// The centre of Ngã Tư: takes in what roadside boxes see, and shows it to people.
#[derive(Parser)]
#[command(version, arg_required_else_help = true, after_help = EXAMPLES)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

const EXAMPLES: &str = "\
Examples:
  aggregator run
      API and screen on http://127.0.0.1:8800, boxes on mqtt://127.0.0.1:1883,
      data in ./ngatu-centre
  aggregator run --broker mqtt://broker.example:1883
      the same behind an MQTT broker; the front door stays closed
  aggregator check --config centre.toml
      say what is wrong with a configuration, without starting anything
  aggregator bundle ID --data ngatu-centre --out case.zip
  aggregator verify case.zip --key box.pem
      hand a case over, and examine one: 0 sound, 1 not sound, 2 wrong command line
  aggregator labels --data ngatu-centre --out labels
      what people decided as labelled pictures, to train a detector with
  aggregator openapi > openapi.json
      the description of the API

Exit codes: 0 stopped as asked, 1 could not start or go on, 2 wrong command line
or configuration.";

#[derive(Subcommand)]
enum Command {
    /// Run the centre until SIGINT (Ctrl-C) or SIGTERM
    #[command(long_about = RUN)]
    Run(Run),
    /// Say what is wrong with a configuration and the files that it names, and start nothing
    Check(Settings),
    /// Say whether a case is what its box signed, whole and unchanged
    Verify(VerifyArgs),
    /// Write the signed case of an alert, to hand it over
    Bundle(Bundle),
    /// Write what people decided as labelled pictures (COCO), to train a detector with
    #[command(after_help = LABELS)]
    Labels(Labels),
    /// Print the description of the API (OpenAPI 3.1, JSON)
    Openapi,
}

const LABELS: &str = "\
  aggregator labels --data ngatu-centre --out labels
  aggregator labels --data ngatu-centre --out labels --kind red_light --kind wrong_way

Writes labels/train.json, labels/val.json (COCO) and the clean stills as
labels/pictures/<SHA-256>.jpg. A confirmed event's road users are labels; those of
a false alarm are regions to ignore; nothing else in a picture is labelled, and
every picture says so (`complete`: false). A person completes them before they are
trained with: docs/finetune.md.

Run it again to add what is new, to finish a run that was cut short, and to let go
of what the centre has deleted. The centre may run meanwhile. The pictures show
people and plates: keep them as you keep the evidence.

Exit codes: 0 written, 1 failed, or a still is damaged (it is named, the rest is
written), 2 wrong command line.";

const RUN: &str = "\
Run the centre until SIGINT (Ctrl-C) or SIGTERM.

Boxes reach it in one of two ways:
  - the front door (--mqtt), an MQTT 5 and 3.1.1 server of its own: nothing to
    install, and a message is acknowledged only once it is on disk;
  - an MQTT broker (--broker), which boxes use as well.

Evidence is removed when its time is over: clips, stills and plates after 366 days,
all but the signed case of what was dismissed after 30, signed cases after 732
([retention] of the configuration, 0 for ever); never of an alert that is locked.
`aggregator verify` says of such a file when and why it was removed.

On the first signal it lets nobody in, answers what it has been sent, commits
it, closes the database and ends; on the second it ends at once (nothing that
was acknowledged is lost even then).";

#[derive(Args)]
struct Run {
    #[command(flatten)]
    settings: Settings,
    /// Write {"http":"ADDR","mqtt":"ADDR"|null,"uploads":"ADDR"|null} to this file once it serves
    #[arg(long, value_name = "FILE")]
    ready_file: Option<PathBuf>,
    /// How to write the log
    #[arg(long, value_enum, default_value_t = LogFormat::Text)]
    log_format: LogFormat,
}

#[derive(Args)]
struct Bundle {
    /// The alert's id
    alert: EventId,
    /// The centre's data folder; the centre may run meanwhile
    #[arg(
        long,
        visible_alias = "data-dir",
        value_name = "DIR",
        default_value = "ngatu-centre"
    )]
    data: PathBuf,
    /// A folder to make, or a file that ends in .zip or .tar
    #[arg(long, value_name = "DIR|FILE")]
    out: PathBuf,
}

#[derive(Args)]
struct Labels {
    /// The centre's data folder; the centre may run meanwhile
    #[arg(
        long,
        visible_alias = "data-dir",
        value_name = "DIR",
        default_value = "ngatu-centre"
    )]
    data: PathBuf,
    /// A new folder, or one of an earlier run
    #[arg(long, value_name = "DIR")]
    out: PathBuf,
    /// Only this kind of event; may be given more than once
    #[arg(long = "kind", value_name = "KIND")]
    kinds: Vec<String>,
    /// Only this camera; may be given more than once
    #[arg(long = "camera", value_name = "SITE/BOX/CAMERA")]
    cameras: Vec<String>,
    /// About this part of each camera's days is kept apart to measure with
    #[arg(long, value_name = "PART", default_value_t = 0.2, value_parser = part)]
    hold_out: f64,
    /// Local time ahead of UTC, minutes; a day begins at local noon, so that a night is whole
    #[arg(long, value_name = "MINUTES", default_value_t = 420, allow_negative_numbers = true,
          value_parser = clap::value_parser!(i32).range(-14 * 60..=14 * 60))]
    utc_offset_min: i32,
}

fn part(text: &str) -> Result<f64, String> {
    text.parse()
        .ok()
        .filter(|part| (0.0..=1.0).contains(part))
        .ok_or_else(|| "write a part between 0 and 1, as 0.2".to_owned())
}

#[derive(Args)]
struct Settings {
    /// Configuration (TOML); the flags below overrule it
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// Folder of the database and the evidence [default: ngatu-centre]
    #[arg(long, visible_alias = "data", value_name = "DIR")]
    data_dir: Option<PathBuf>,
    /// Address of the API and the screen; port 0 takes a free one [default: 127.0.0.1:8800]
    #[arg(long, value_name = "ADDR")]
    http: Option<SocketAddr>,
    /// Address of the front door [default: 127.0.0.1:1883, none with --broker]
    #[arg(long, value_name = "ADDR")]
    mqtt: Option<SocketAddr>,
    /// Broker to take messages from: mqtt://HOST:PORT or mqtts://HOST:PORT
    #[arg(long, value_name = "URL")]
    broker: Option<String>,
}

impl Settings {
    /// The file's settings with the flags over them, not yet checked.
    fn read(self) -> Result<Config, ConfigError> {
        let mut config = match &self.config {
            Some(file) => Config::read(file)?,
            None => Config::default(),
        };
        if let Some(data_dir) = self.data_dir {
            config.data_dir = data_dir;
        }
        if let Some(http) = self.http {
            config.http.listen = http;
        }
        if let Some(mqtt) = self.mqtt {
            config.mqtt.get_or_insert_default().listen = mqtt;
        }
        if let Some(url) = self.broker {
            match &mut config.broker {
                Some(broker) => broker.url = url,
                none => *none = Some(Broker::at(url)),
            }
        }
        Ok(config)
    }
}

#[derive(Clone, Copy, ValueEnum)]
enum LogFormat {
    /// For people
    Text,
    /// One JSON object per line, for machines
    Json,
}

fn main() -> ExitCode {
    match Cli::parse().command {
        Command::Run(run) => run_centre(run),
        Command::Check(settings) => match settings.read().and_then(|config| {
            config.check_machine()?;
            Ok(config)
        }) {
            Ok(config) => {
                for warning in config.warnings() {
                    aside!("aggregator: warning: {warning}");
                }
                say!(
                    "the configuration is in order: data in {}, http on {}, {}",
                    config.data_dir.display(),
                    config.http.listen,
                    ways_in(&config),
                );
                ExitCode::SUCCESS
            }
            Err(error) => fail(2, &error),
        },
        Command::Verify(args) => ExitCode::from(args.run()),
        Command::Bundle(args) => match case::export(&args.data, args.alert, &args.out) {
            Ok(case) => {
                say!(
                    "{}: case number {} of camera {}/{}/{}, {} files, key {}",
                    args.out.display(),
                    case.chain.number,
                    case.event.site,
                    case.event.box_id,
                    case.event.camera,
                    case.media.len(),
                    case.key
                );
                ExitCode::SUCCESS
            }
            Err(error) => fail(1, &error),
        },
        Command::Labels(args) => export_labels(args),
        Command::Openapi => match api::openapi().to_pretty_json() {
            Ok(text) => {
                said::json(&text);
                ExitCode::SUCCESS
            }
            Err(error) => fail(1, &error),
        },
    }
}

fn export_labels(args: Labels) -> ExitCode {
    let wanted = Wanted {
        kinds: args.kinds,
        cameras: args.cameras,
        hold_out: args.hold_out,
        utc_offset_min: args.utc_offset_min,
    };
    let report = match labels::export(&args.data, &wanted, &args.out) {
        Ok(report) => report,
        Err(error) => return fail(1, &error),
    };
    say!("{}: {report}", args.out.display());
    if report.train.pictures > 0 && report.val.pictures == 0 && wanted.hold_out > 0.0 {
        aside!(
            "aggregator: no day of a camera is kept apart to measure with; gather more days, or raise --hold-out"
        );
    }
    if report.val.pictures > 0 && report.train.pictures == 0 && wanted.hold_out < 1.0 {
        aside!(
            "aggregator: every day of a camera is kept apart and none is left to train with; gather more days, or \
             lower --hold-out"
        );
    }
    for (alert, file, message) in &report.faults {
        aside!("aggregator: still {file} of alert {alert}: {message}; restore it from a backup");
    }
    ExitCode::from(u8::from(!report.faults.is_empty()))
}

fn ways_in(config: &Config) -> String {
    let door = config
        .front_door()
        .map(|door| format!("front door on {}", door.listen));
    let broker = config
        .broker
        .as_ref()
        .map(|broker| format!("broker {}", broker.url));
    let uploads = config.uploads.as_ref().map(|uploads| {
        let asked = match uploads.tls.client_ca_file {
            Some(_) => "with certificates of boxes",
            None => "without certificates of boxes",
        };
        format!("evidence by HTTPS on {}, {asked}", uploads.listen)
    });
    [door, broker, uploads]
        .into_iter()
        .flatten()
        .collect::<Vec<_>>()
        .join(", ")
}

fn fail(code: u8, error: &dyn std::fmt::Display) -> ExitCode {
    aside!("aggregator: {error}");
    ExitCode::from(code)
}

fn run_centre(run: Run) -> ExitCode {
    let config = match run.settings.read().and_then(|config| {
        config.check()?;
        Ok(config)
    }) {
        Ok(config) => config,
        Err(error) => return fail(2, &error),
    };
    log(run.log_format);
    let runtime = match tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
    {
        Ok(runtime) => runtime,
        Err(error) => return fail(1, &error),
    };
    let code = runtime.block_on(serve(config, run.ready_file));
    // A thread that still waits for a name server must not hold us up.
    runtime.shutdown_background();
    code
}

fn log(format: LogFormat) {
    // RUST_LOG as everywhere; what we say at `info` an operator may care about.
    let filter =
        EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new("info,rumqttc=error"));
    let log = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(std::io::stderr)
        .with_ansi(std::io::stderr().is_terminal())
        .with_target(false);
    match format {
        LogFormat::Text => log.init(),
        LogFormat::Json => log.json().init(),
    }
}

async fn serve(config: Config, ready_file: Option<PathBuf>) -> ExitCode {
    let signals = (
        signal(SignalKind::interrupt()),
        signal(SignalKind::terminate()),
    );
    let (Ok(mut interrupt), Ok(mut terminate)) = signals else {
        return fail(1, &"cannot listen for signals");
    };
    let mut centre = match Centre::start(&config).await {
        Ok(centre) => centre,
        Err(error) => return fail(1, &error),
    };
    tracing::info!(
        http = %format!("http://{}", centre.http),
        mqtt = centre.mqtt.map(|mqtt| mqtt.to_string()),
        data_dir = %config.data_dir.display(),
        "the centre serves"
    );
    if let Some(file) = &ready_file
        && let Err(error) = centre.write_ready_file(file)
    {
        centre.stop().await;
        return fail(1, &error);
    }
    let asked = tokio::select! {
        _ = interrupt.recv() => ExitCode::SUCCESS,
        _ = terminate.recv() => ExitCode::SUCCESS,
        ended = centre.part_ended() => {
            tracing::error!("{ended}. Please report it");
            ExitCode::FAILURE
        }
    };
    tracing::info!("stopping; a second signal ends at once");
    let code = tokio::select! {
        () = centre.stop() => asked,
        _ = interrupt.recv() => fail(1, &"ended at once"),
        _ = terminate.recv() => fail(1, &"ended at once"),
    };
    if let Some(file) = ready_file
        && let Err(error) = std::fs::remove_file(&file)
    {
        tracing::debug!(file = %file.display(), %error, "the ready file is gone already");
    }
    tracing::info!("stopped");
    code
}
