//! Bytes from a file or an http(s) address.

use std::fs::File;
use std::io::{self, Read};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

const CONNECT: Duration = Duration::from_secs(15);
/// A server that sends nothing for so long will not send the rest.
const SILENCE: Duration = Duration::from_secs(30);
/// Over so long a server must have sent [`LEAST`].
const WINDOW: Duration = Duration::from_mins(1);
/// 1 KiB/s, bytes: a tenth of what the slowest mobile network gives. A model of 10 MB takes three hours.
const LEAST: u64 = 60 * 1024;

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

/// A server that ends with an error where it sends so little that the end will not be seen.
struct Paced<R> {
    source: R,
    window: Duration,
    /// For how long it was waited for since it last had sent enough, and how much came.
    waited: Duration,
    came: u64,
}

impl<R> Paced<R> {
    fn new(source: R, window: Duration) -> Self {
        Self {
            source,
            window,
            waited: Duration::ZERO,
            came: 0,
        }
    }

    /// Only what is spent waiting counts: our own disk may be slower than the server.
    fn note(&mut self, waited: Duration, came: usize) -> io::Result<()> {
        self.waited += waited;
        self.came += came as u64;
        if self.came >= LEAST {
            (self.waited, self.came) = (Duration::ZERO, 0);
        } else if self.waited >= self.window {
            let words = format!(
                "only {} bytes came within {} s; over so slow a line download the file elsewhere and give its path",
                self.came,
                self.waited.as_secs()
            );
            return Err(io::Error::new(io::ErrorKind::TimedOut, words));
        }
        Ok(())
    }
}

impl<R: Read> Read for Paced<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let began = Instant::now();
        let came = self.source.read(buffer)?;
        // What is whole is not too late.
        if came > 0 {
            self.note(began.elapsed(), came)?;
        }
        Ok(came)
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
        return Ok((Box::new(Paced::new(body.into_reader(), WINDOW)), length));
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
    use super::*;

    /// A byte each 29 s held an installation for ever.
    #[test]
    fn a_server_that_sends_next_to_nothing_is_given_up() {
        let mut slow = Paced::new(io::repeat(0), WINDOW);
        let second = Duration::from_secs(1);
        slow.note(29 * second, 1).unwrap();
        slow.note(29 * second, 1).unwrap();
        let error = slow.note(29 * second, 1).unwrap_err();
        let said = error.to_string();
        assert!(said.contains("only 3 bytes came within 87 s"), "{said}");
        // A line of 1.1 KiB/s, that is silent for 29 s now and then.
        let mut steady = Paced::new(io::repeat(0), WINDOW);
        for _ in 0..10_000 {
            steady.note(29 * second, 29 * 1_126).unwrap();
        }
    }

    #[test]
    fn reading_from_such_a_server_ends() {
        struct Drip(u8);
        impl Read for Drip {
            fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
                buffer[..1].copy_from_slice(&[self.0]);
                Ok(1)
            }
        }
        let mut slow = Paced::new(Drip(7), Duration::ZERO);
        let ended = io::copy(&mut slow, &mut io::sink()).unwrap_err();
        assert_eq!(ended.kind(), io::ErrorKind::TimedOut);
        // What is whole before the time is over is not touched.
        let mut quick = Paced::new(&b"all of it"[..], WINDOW);
        let mut all = Vec::new();
        quick.read_to_end(&mut all).unwrap();
        assert_eq!(all, b"all of it");
    }

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
