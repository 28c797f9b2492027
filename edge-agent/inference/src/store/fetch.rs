//! Bytes from a file or an http(s) address.

use std::fs::File;
use std::io::{self, Read};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

const CONNECT: Duration = Duration::from_secs(15);
/// A server that sends nothing for so long will not send the rest.
const SILENCE: Duration = Duration::from_secs(30);

/// Why there are no bytes, and what to do.
pub(super) struct Fault {
    pub(super) message: String,
    pub(super) next: String,
}

/// `from` as it may be shown. Of an address neither user and password nor any value
/// behind a `?`: stores for large files sign their addresses there, by names of their own.
pub(super) fn shown(from: &str) -> String {
    let Some((scheme, rest)) = address(from) else {
        return from.to_owned();
    };
    let (place, query) = rest.split_at(rest.find(['?', '#']).unwrap_or(rest.len()));
    let host = place.split('/').next().unwrap_or_default();
    // A password may have a `/` in it, and a path an `@`.
    let is_port =
        |port: &str| port.bytes().all(|byte| byte.is_ascii_digit()) || port.ends_with(']');
    let has_user =
        host.contains('@') || !host.rsplit_once(':').is_none_or(|(_, port)| is_port(port));
    let place = match place.rsplit_once('@') {
        Some((_, host)) if has_user => format!("…@{host}"),
        _ => place.to_owned(),
    };
    let query = query
        .get(..1)
        .map_or_else(String::new, |mark| format!("{mark}…"));
    format!("{scheme}{place}{query}")
}

fn address(from: &str) -> Option<(&'static str, &str)> {
    let schemes = ["http://", "https://"].into_iter();
    let mut split = schemes.filter_map(|scheme| Some((scheme, from.strip_prefix(scheme)?)));
    split.next()
}

/// A source that ends with an error once the flag is set.
struct Until<R> {
    source: R,
    stop: Arc<AtomicBool>,
}

impl<R: Read> Read for Until<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if self.stop.load(Ordering::Relaxed) {
            return Err(io::Error::other("it was broken off"));
        }
        self.source.read(buffer)
    }
}

/// The bytes, and how many there will be if the source says so. They end with an error
/// once `stop` is set.
pub(super) fn open(
    from: &str,
    stop: &Arc<AtomicBool>,
) -> Result<(Box<dyn Read>, Option<u64>), Fault> {
    let (source, length) = open_source(from)?;
    let stop = Arc::clone(stop);
    Ok((Box::new(Until { source, stop }), length))
}

fn open_source(from: &str) -> Result<(Box<dyn Read>, Option<u64>), Fault> {
    if address(from).is_some() {
        let agent = ureq::Agent::config_builder()
            .timeout_connect(Some(CONNECT))
            .timeout_recv_response(Some(SILENCE))
            .timeout_per_read(Some(SILENCE))
            .user_agent(concat!("ngatu-edge-agent/", env!("CARGO_PKG_VERSION")))
            .build()
            .new_agent();
        let response = agent.get(from).call().map_err(|error| Fault {
            message: match error {
                // It quotes the address.
                ureq::Error::BadUri(_) => "this is no http(s) address".to_owned(),
                error => error.to_string(),
            },
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

#[cfg(test)]
mod tests {
    use super::shown;

    #[test]
    fn addresses_are_shown_without_what_opens_them() {
        for (from, expected) in [
            ("models/x@2.onnx?", "models/x@2.onnx?"),
            ("https://host/a/b.onnx", "https://host/a/b.onnx"),
            (
                "https://host:8443/npm/pkg@1.0/x",
                "https://host:8443/npm/pkg@1.0/x",
            ),
            ("http://user:secret@host/x?token=abc", "http://…@host/x?…"),
            ("http://user:se/cr@et@host/x", "http://…@host/x"),
            ("http://token@host", "http://…@host"),
            (
                "https://host/x?X-Amz-Signature=abc&b=@c",
                "https://host/x?…",
            ),
            ("https://[::1]:80/x#abc", "https://[::1]:80/x#…"),
        ] {
            assert_eq!(shown(from), expected);
        }
    }
}
