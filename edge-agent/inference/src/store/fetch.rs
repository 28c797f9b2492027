//! Bytes from a file or an http(s) address.

use std::fs::File;
use std::io::{self, Read};
use std::path::Path;
use std::time::Duration;

const CONNECT: Duration = Duration::from_secs(15);
/// A server that sends nothing for so long will not send the rest.
const SILENCE: Duration = Duration::from_secs(30);

/// Why there are no bytes, and what to do.
pub(super) struct Fault {
    pub(super) message: String,
    pub(super) next: String,
}

/// The bytes, and how many there will be if the source says so.
pub(super) fn open(from: &str) -> Result<(Box<dyn Read>, Option<u64>), Fault> {
    let is_address = ["http://", "https://"]
        .iter()
        .any(|scheme| from.starts_with(scheme));
    if is_address {
        let agent = ureq::Agent::config_builder()
            .timeout_connect(Some(CONNECT))
            .timeout_recv_response(Some(SILENCE))
            .timeout_per_read(Some(SILENCE))
            .user_agent(concat!("ngatu-edge-agent/", env!("CARGO_PKG_VERSION")))
            .build()
            .new_agent();
        let response = agent.get(from).call().map_err(|error| Fault {
            message: error.to_string(),
            next: "check the address and the network, or download the file elsewhere and give its path".to_owned(),
        })?;
        let body = response.into_body();
        let length = body.content_length();
        return Ok((Box::new(body.into_reader()), length));
    }
    let next = "check the path; a download is given as http:// or https://";
    let fault = |message: String| Fault {
        message,
        next: next.to_owned(),
    };
    let path = Path::new(from);
    if path.is_dir() {
        return Err(fault("it is a folder; name the file in it".to_owned()));
    }
    let failed = |error: io::Error| fault(error.to_string());
    let file = File::open(path).map_err(failed)?;
    let length = file.metadata().map_err(failed)?.len();
    Ok((Box::new(file), Some(length)))
}
