//! Where a broker is.

use std::fmt;

/// A broker's address.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Address {
    /// Name or IP address.
    pub host: String,
    /// TCP port.
    pub port: u16,
    /// Whether the connection is TLS.
    pub is_tls: bool,
}

impl Address {
    /// Reads `mqtt://HOST[:PORT]` or `mqtts://HOST[:PORT]`; the fault says what to write.
    pub fn parse(url: &str) -> Result<Self, String> {
        let fault = |why: &str| {
            format!(
                "broker address `{url:.100}`: {why}; write mqtt://HOST:PORT or mqtts://HOST:PORT"
            )
        };
        let (is_tls, rest) = if let Some(rest) = url.strip_prefix("mqtt://") {
            (false, rest)
        } else if let Some(rest) = url.strip_prefix("mqtts://") {
            (true, rest)
        } else {
            return Err(fault("it must begin with mqtt:// or mqtts://"));
        };
        let rest = rest.strip_suffix('/').unwrap_or(rest);
        if rest.contains('@') {
            return Err(fault(
                "user and password do not belong in it, where every log shows them; \
                 use broker.user and broker.password_file",
            ));
        }
        let (host, port) = match rest.strip_prefix('[') {
            Some(bracketed) => {
                let (host, after) = bracketed
                    .split_once(']')
                    .ok_or_else(|| fault("a bracket is open"))?;
                (host, after.strip_prefix(':'))
            }
            None => match rest.split_once(':') {
                Some((host, port)) => (host, Some(port)),
                None => (rest, None),
            },
        };
        let port = match port {
            Some(port) => port.parse().map_err(|_| fault("the port is no number"))?,
            None if is_tls => 8883,
            None => 1883,
        };
        if host.is_empty() || host.contains(['/', '?', '#', ' ']) {
            return Err(fault("the host is missing or strange"));
        }
        Ok(Self {
            host: host.to_owned(),
            port,
            is_tls,
        })
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let scheme = if self.is_tls { "mqtts" } else { "mqtt" };
        if self.host.contains(':') {
            write!(f, "{scheme}://[{}]:{}", self.host, self.port)
        } else {
            write!(f, "{scheme}://{}:{}", self.host, self.port)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_read_back() {
        for (url, text) in [
            ("mqtt://broker", "mqtt://broker:1883"),
            ("mqtts://broker/", "mqtts://broker:8883"),
            ("mqtt://10.0.0.1:2883", "mqtt://10.0.0.1:2883"),
            ("mqtts://[::1]:8884", "mqtts://[::1]:8884"),
        ] {
            assert_eq!(Address::parse(url).unwrap().to_string(), text);
        }
    }

    #[test]
    fn what_is_no_address_says_what_to_write() {
        for url in [
            "broker",
            "http://broker",
            "mqtt://",
            "mqtt://b:port",
            "mqtt://u:p@b",
            "mqtt://b/path",
            "mqtt://[::1",
        ] {
            let fault = Address::parse(url).unwrap_err();
            assert!(fault.contains("write mqtt://HOST:PORT"), "{fault}");
        }
    }
}
