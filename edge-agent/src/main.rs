//! `edge-agent`: see `edge-agent --help`.

#![warn(clippy::print_stdout, clippy::print_stderr)] // as in the library

use std::process::ExitCode;

use case_bundle::aside;
use case_bundle::files::said;
use clap::Parser as _;
use edge_agent::cli::Cli;
use edge_agent::environment;
use edge_agent::live::StopFlag;

fn main() -> ExitCode {
    let cli = Cli::parse();
    let settled = environment::settle(cli.work());
    if let Err(error) = cli.start_logging() {
        aside!("error: {}", said::whole(error.chain()));
        return ExitCode::from(2);
    }
    if let Err(error) = settled {
        // It is slower and larger so, and right all the same; whom the runtime tells is said where it is loaded.
        tracing::warn!("the environment is left as it is: {error}");
    }
    // Several crates speak TLS; they all take the process-wide provider.
    if rustls::crypto::ring::default_provider()
        .install_default()
        .is_err()
    {
        tracing::debug!("TLS provider was already chosen");
    }
    let stop = StopFlag::default();
    let flag = stop.clone();
    let mut asked = false;
    let handler = move || {
        if std::mem::replace(&mut asked, true) {
            // Asked twice: somebody is in a hurry, and the outbox survives anything.
            std::process::exit(130);
        }
        flag.set();
    };
    if let Err(error) = ctrlc::set_handler(handler) {
        aside!("error: cannot listen for Ctrl-C and SIGTERM: {error}");
        return ExitCode::FAILURE;
    }
    cli.execute(&stop)
}
