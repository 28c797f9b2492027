//! Addresses of the configuration, and the credentials that people write into them.
//!
//! A camera's manual says `rtsp://admin:PASSWORD@10.0.0.3/live`, so that is what
//! is typed. The password leaves the address where the file is read; after that
//! no log line, error or digest can carry it further. What cannot be taken out,
//! because the camera wants it in the path, is covered by [`redacted`].

/// Keys after which cameras want something secret in the path or the query.
const SECRET_KEYS: [&str; 9] = [
    "password", "passwd", "passwort", "pass", "pwd", "token", "secret", "auth", "key",
];

/// What stands for something that is not shown.
const HIDDEN: &str = "…";

/// `address` as it may be shown: without user and password, and without what
/// follows `password=` and the like in its path or query.
///
/// Works on anything that was typed where an address belongs. In doubt it hides
/// too much: everything before the last `@` goes, whatever that is.
pub fn redacted(address: &str) -> String {
    let (scheme, rest) = split_scheme(address);
    let mut text = scheme.to_owned();
    let rest = match rest.rsplit_once('@') {
        Some((_, host)) => {
            text.push_str(HIDDEN);
            text.push('@');
            host
        }
        None => rest,
    };
    let mut is_secret = false;
    // A `/` ends nothing: it may be part of the secret, as in base64.
    for part in rest.split_inclusive(['?', '&', ';', '#', '=']) {
        let (word, end) = match part.char_indices().next_back() {
            Some((at, last)) if "?&;#=".contains(last) => part.split_at(at),
            _ => (part, ""),
        };
        text.push_str(if is_secret { HIDDEN } else { word });
        text.push_str(end);
        // A secret ends where the next key begins, not at a `=` within it.
        is_secret = end == "=" && (is_secret || is_secret_key(word));
    }
    text
}

/// `a_user=x_password`: cameras also join keys by `_`, so the end decides.
fn is_secret_key(word: &str) -> bool {
    let word = word.to_ascii_lowercase();
    SECRET_KEYS.iter().any(|key| word.ends_with(key))
}

/// The scheme with its `://`, empty when there is none, and the rest.
fn split_scheme(address: &str) -> (&str, &str) {
    let is_scheme = |text: &str| {
        !text.is_empty() && text.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'+')
    };
    match address.find("://") {
        Some(at) if is_scheme(&address[..at]) => address.split_at(at + 3),
        _ => ("", address),
    }
}

/// Why nobody can be reached at `address`, of which user and password are taken out.
pub(super) fn unreachable(address: &str) -> Option<&'static str> {
    let (_, rest) = split_scheme(address);
    let host = rest.split(['/', '?', '#']).next().unwrap_or_default();
    let (name, port) = if let Some(rest) = host.strip_prefix('[') {
        let Some((name, port)) = rest.split_once(']') else {
            return Some("has a [ without a ]; an IPv6 address is written [fe80::1]");
        };
        // A link's own addresses name the link: `fe80::1%eth0`.
        let number = name.split('%').next().unwrap_or_default();
        if number.parse::<std::net::Ipv6Addr>().is_err() {
            return Some("has no IPv6 address in its brackets");
        }
        match port.strip_prefix(':') {
            None if !port.is_empty() => return Some("has more behind ] than a port"),
            port => (name, port),
        }
    } else {
        match host.split_once(':') {
            Some((_, port)) if port.contains(':') => {
                return Some(
                    "has more than one : in its host; an IPv6 address stands in brackets, [fe80::1]",
                );
            }
            Some((name, port)) => (name, Some(port)),
            None => (host, None),
        }
    };
    if name.is_empty() {
        return Some("names no host");
    }
    if name.contains(|c: char| c.is_whitespace() || c.is_control()) {
        return Some("has a blank in its host");
    }
    let is_port = |port: &str| {
        port.bytes().all(|byte| byte.is_ascii_digit()) && port.parse::<u16>().is_ok_and(|n| n > 0)
    };
    match port {
        Some(port) if !is_port(port) => Some("has a port that is none; ports are 1 to 65535"),
        _ => None,
    }
}

/// User and password that stood in an address.
#[derive(PartialEq, Eq)]
pub(super) struct UserInfo {
    pub(super) user: String,
    pub(super) password: Option<String>,
}

/// Takes user and password out of `address`, percent-decoded; `Err` says why not.
///
/// Exactly one `@` can be there, the one behind them: with more it is a guess
/// where the password ends, and a wrong guess prints the rest of it.
pub(super) fn take_user_info(address: &mut String) -> Result<Option<UserInfo>, &'static str> {
    let (scheme, rest) = split_scheme(address);
    let Some((info, host)) = rest.split_once('@') else {
        return Ok(None);
    };
    if host.contains('@') || info.contains(['/', '?', '#']) {
        return Err(
            "has an @, / or ? that is not in its place; give user and password as `user` and \
             `password_file` beside it, and write an @ in the path as %40",
        );
    }
    let (user, password) = match info.split_once(':') {
        Some((user, password)) => (user, Some(password)),
        None => (info, None),
    };
    let decode = |text| {
        decoded(text).ok_or(
            "has a % in its user or password that is not followed by two hexadecimal digits; give \
             them as `user` and `password_file` beside it",
        )
    };
    let info = UserInfo {
        user: decode(user)?,
        password: password.map(decode).transpose()?,
    };
    *address = format!("{scheme}{host}");
    Ok(Some(info))
}

/// `text` with each `%41` replaced by its byte; `None` when that is not text.
fn decoded(text: &str) -> Option<String> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.bytes();
    while let Some(byte) = rest.next() {
        let byte = if byte == b'%' {
            let mut digit = || char::from(rest.next()?).to_digit(16);
            u8::try_from(digit()? * 16 + digit()?).ok()?
        } else {
            byte
        };
        bytes.push(byte);
    }
    String::from_utf8(bytes).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_is_shown_without_what_is_secret_in_it() {
        for (typed, shown) in [
            ("rtsp://10.0.0.3:554/live", "rtsp://10.0.0.3:554/live"),
            (
                "rtsp://root:hunter2@10.0.0.3/live",
                "rtsp://…@10.0.0.3/live",
            ),
            (
                "rtsp://root:hun/ter2@10.0.0.3/live",
                "rtsp://…@10.0.0.3/live",
            ),
            (
                "rtsp://root:hun@ter2@10.0.0.3/live",
                "rtsp://…@10.0.0.3/live",
            ),
            (
                "rtsp://root:h?nter2@10.0.0.3/live",
                "rtsp://…@10.0.0.3/live",
            ),
            ("root:hunter2@10.0.0.3", "…@10.0.0.3"),
            ("root:hunter2://x@10.0.0.3", "…@10.0.0.3"),
            ("http:/root:hunter2@10.0.0.3", "…@10.0.0.3"),
            (
                "rtsp://c/cam?channel=1&subtype=0",
                "rtsp://c/cam?channel=1&subtype=0",
            ),
            (
                "rtsp://c/user=admin&password=hunter2&channel=1",
                "rtsp://c/user=admin&password=…&channel=1",
            ),
            (
                "rtsp://c/user=admin_password=hunter2_channel=1_stream=0.sdp?real_stream",
                "rtsp://c/user=admin_password=…=…=…?real_stream",
            ),
            ("rtsp://c/?PWD=hunter2=&x=1", "rtsp://c/?PWD=…=…&x=1"),
            (
                "https://c/x?access_token=h/unter2",
                "https://c/x?access_token=…",
            ),
            ("", ""),
            ("@", "…@"),
        ] {
            assert_eq!(redacted(typed), shown, "{typed}");
            assert!(!redacted(typed).contains("unter2"), "{typed}");
        }
    }

    #[test]
    fn an_address_at_which_nobody_can_be_is_told() {
        for good in [
            "rtsp://10.0.0.3/x",
            "rtsp://cam_1.local:554",
            "rtsp://[::1]:8554/x",
            "rtsp://[fe80::1%eth0]/x?a=b:c",
        ] {
            assert_eq!(unreachable(good), None, "{good}");
        }
        for (bad, part) in [
            ("rtsp://[::1", "without a ]"),
            ("rtsp://[::g]/x", "no IPv6 address"),
            ("rtsp://[::1]8554/x", "behind ]"),
            ("rtsp://fe80::1/x", "in brackets"),
            ("rtsp://127.0.0.1:99999/x", "1 to 65535"),
            ("rtsp://127.0.0.1:0/x", "1 to 65535"),
            ("rtsp://127.0.0.1:/x", "1 to 65535"),
            ("rtsp://127.0.0.1:+5/x", "1 to 65535"),
            ("rtsp:///x", "names no host"),
            ("rtsp://:554/x", "names no host"),
            ("rtsp://my cam/x", "a blank"),
        ] {
            let told = unreachable(bad).unwrap_or_else(|| panic!("{bad}"));
            assert!(told.contains(part), "{bad}: {told}");
        }
    }

    #[test]
    fn user_and_password_leave_the_address() {
        for (typed, address, user, password) in [
            (
                "rtsp://root:hunter2@c:554/x?y=1",
                "rtsp://c:554/x?y=1",
                "root",
                Some("hunter2"),
            ),
            (
                "rtsps://a%40b:p%2Fw%3A%25@c/x",
                "rtsps://c/x",
                "a@b",
                Some("p/w:%"),
            ),
            ("rtsp://root:a:b@c", "rtsp://c", "root", Some("a:b")),
            ("rtsp://root:@c/x", "rtsp://c/x", "root", Some("")),
            ("rtsp://root@c/x", "rtsp://c/x", "root", None),
        ] {
            let mut left = typed.to_owned();
            let info = take_user_info(&mut left).unwrap().unwrap();
            assert_eq!(
                (left.as_str(), info.user.as_str(), info.password.as_deref()),
                (address, user, password),
                "{typed}"
            );
        }
        let mut plain = "rtsp://c:554/x".to_owned();
        assert!(take_user_info(&mut plain).unwrap().is_none());
        assert_eq!(plain, "rtsp://c:554/x");
    }

    #[test]
    fn an_address_whose_password_has_no_clear_end_is_refused() {
        for typed in [
            "rtsp://root:a/b@c/x",
            "rtsp://root:a@b@c/x",
            "rtsp://root:a@c/x@y",
            "rtsp://c/x@y",
            "rtsp://root:a?b@c/x",
            "rtsp://root:a%zz@c/x",
            "rtsp://root:a%f@c/x",
            "rtsp://root:a%ff@c/x",
        ] {
            let mut left = typed.to_owned();
            assert!(take_user_info(&mut left).is_err(), "{typed}");
            assert_eq!(left, typed);
        }
    }
}
