//! The filters of a list of alerts, read from the address and checked.
//!
//! A filter that is misspelt must not silently show everything: unknown keys,
//! unknown states and impossible times are refused by name.

use protocol::event::Severity;
use protocol::{BoxId, CameraId, EventId, EventTime, SiteId};
use utoipa::IntoParams;

use super::problem::Problem;
use crate::alert::State;
use crate::store::{AlertFilter, Cursor};

/// Rows on a page when nothing is said.
const PAGE: u32 = 50;
/// Most rows on a page.
const PAGE_MOST: u32 = 200;
/// Most words in one list.
const WORDS_MOST: usize = 50;

/// The filters, for the description of the API.
#[derive(Debug, IntoParams)]
#[into_params(parameter_in = Query)]
#[allow(dead_code)] // read by the macro, not by the program
pub(super) struct AlertQuery {
    /// Kinds, separated by commas.
    #[param(example = "red_light,wrong_way")]
    kind: Option<String>,
    /// Camera ids, separated by commas.
    camera: Option<String>,
    /// Box ids, separated by commas.
    #[param(rename = "box")]
    box_id: Option<String>,
    /// Site ids, separated by commas.
    site: Option<String>,
    /// `new`, `acknowledged`, `resolved`, separated by commas.
    #[param(example = "new,acknowledged")]
    state: Option<String>,
    /// `info`, `minor`, `major`, `critical`, separated by commas.
    severity: Option<String>,
    /// `AFTER..BEFORE`, RFC 3339; either side may be left out.
    #[param(example = "2026-11-22T00:00:00+07:00..")]
    occurred_at: Option<String>,
    /// At this instant or later, RFC 3339.
    occurred_after: Option<String>,
    /// Before this instant, RFC 3339.
    occurred_before: Option<String>,
    /// `true` for only, `false` for no alerts of simulated cameras.
    simulated: Option<bool>,
    /// Rows on the page, 1 to 200; 50 when left out.
    limit: Option<u32>,
    /// `next` of the page before.
    cursor: Option<String>,
}

const KEYS: &str = "kind, camera, box, site, state, severity, occurred_at, occurred_after, \
                    occurred_before, simulated, limit, cursor";

/// Reads the filters.
pub(super) fn parse(pairs: &[(String, String)]) -> Result<AlertFilter, Problem> {
    let mut filter = AlertFilter {
        limit: PAGE,
        ..AlertFilter::default()
    };
    let mut seen: Vec<&str> = Vec::new();
    for (key, value) in pairs {
        if seen.contains(&key.as_str()) {
            return Err(fault(
                key,
                value,
                "is given twice; separate words by commas",
            ));
        }
        seen.push(key);
        match key.as_str() {
            "kind" => filter.kinds = words(key, value, |word| Some(word.to_owned()))?,
            "camera" => filter.cameras = words(key, value, |word| id(CameraId::new(word)))?,
            "box" => filter.boxes = words(key, value, |word| id(BoxId::new(word)))?,
            "site" => filter.sites = words(key, value, |word| id(SiteId::new(word)))?,
            "state" => filter.states = words(key, value, State::parse)?,
            "severity" => filter.severities = words(key, value, severity)?,
            "occurred_at" => {
                let (from, until) = value
                    .split_once("..")
                    .ok_or_else(|| fault(key, value, "must be AFTER..BEFORE"))?;
                if !from.is_empty() {
                    filter.occurred_from = Some(time(key, from)?);
                }
                if !until.is_empty() {
                    filter.occurred_until = Some(time(key, until)?);
                }
            }
            "occurred_after" => filter.occurred_from = Some(time(key, value)?),
            "occurred_before" => filter.occurred_until = Some(time(key, value)?),
            "simulated" => {
                filter.simulated = Some(
                    value
                        .parse()
                        .map_err(|_| fault(key, value, "must be true or false"))?,
                );
            }
            "limit" => {
                filter.limit = value
                    .parse()
                    .ok()
                    .filter(|limit| (1..=PAGE_MOST).contains(limit))
                    .ok_or_else(|| fault(key, value, "must be 1 to 200"))?;
            }
            "cursor" => {
                filter.after = Some(cursor(value).ok_or_else(|| {
                    fault(key, value, "is not one; take `next` of the page before")
                })?);
            }
            unknown => {
                let detail = format!("unknown filter `{unknown:.50}`; there are {KEYS}");
                return Err(Problem::bad_request(detail));
            }
        }
    }
    if seen.contains(&"occurred_at")
        && (seen.contains(&"occurred_after") || seen.contains(&"occurred_before"))
    {
        return Err(Problem::bad_request(
            "`occurred_at` says the same as `occurred_after` and `occurred_before`; use one way",
        ));
    }
    Ok(filter)
}

fn fault(key: &str, value: &str, why: &str) -> Problem {
    Problem::bad_request(format!("`{key}={value:.100}` {why}"))
}

fn id<T: Into<String>, E>(parsed: Result<T, E>) -> Option<String> {
    parsed.ok().map(Into::into)
}

fn severity(word: &str) -> Option<String> {
    let known: Option<Severity> =
        serde_json::from_value(serde_json::Value::String(word.to_owned())).ok();
    known.map(|_| word.to_owned())
}

fn words<T>(key: &str, value: &str, parse: impl Fn(&str) -> Option<T>) -> Result<Vec<T>, Problem> {
    let words: Vec<&str> = value.split(',').filter(|word| !word.is_empty()).collect();
    if words.is_empty() {
        return Err(fault(
            key,
            value,
            "names nothing; leave it out to ask for all",
        ));
    }
    if words.len() > WORDS_MOST {
        return Err(fault(key, value, "has too many words, at most 50"));
    }
    words
        .into_iter()
        .map(|word| {
            parse(word)
                .ok_or_else(|| fault(key, value, &format!("has an unknown word `{word:.50}`")))
        })
        .collect()
}

fn time(key: &str, value: &str) -> Result<EventTime, Problem> {
    value.parse().map_err(|error| {
        // A `+` that was not escaped arrives as a space; say so, everybody does it once.
        let hint = if value.contains(' ') {
            " (write `+` as %2B in an address)"
        } else {
            ""
        };
        Problem::bad_request(format!("`{key}`: {error}{hint}"))
    })
}

/// The text of a cursor; `<µs>_<uuid>`, but callers must not look inside.
pub(super) fn cursor_text(cursor: Cursor) -> String {
    format!("{}_{}", cursor.occurred_at.as_micros(), cursor.id)
}

fn cursor(text: &str) -> Option<Cursor> {
    let (micros, id) = text.split_once('_')?;
    Some(Cursor {
        occurred_at: EventTime::from_micros(micros.parse().ok()?),
        id: id.parse::<EventId>().ok()?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn read(query: &[(&str, &str)]) -> Result<AlertFilter, String> {
        let pairs: Vec<_> = query
            .iter()
            .map(|(key, value)| ((*key).to_owned(), (*value).to_owned()))
            .collect();
        parse(&pairs).map_err(|problem| problem.detail)
    }

    #[test]
    fn every_filter_is_read() {
        let filter = read(&[
            ("kind", "red_light,wrong_way"),
            ("state", "new"),
            ("severity", "major,critical"),
            ("occurred_at", "2026-11-22T08:00:00+07:00.."),
            ("simulated", "false"),
            ("limit", "7"),
        ])
        .unwrap();
        assert_eq!(filter.kinds, ["red_light", "wrong_way"]);
        assert_eq!(filter.states, [State::New]);
        assert_eq!(filter.severities, ["major", "critical"]);
        let from = filter.occurred_from.map(|from| from.to_string());
        assert_eq!(from.as_deref(), Some("2026-11-22T01:00:00.000000Z"));
        assert_eq!(filter.occurred_until, None);
        assert_eq!(filter.simulated, Some(false));
        assert_eq!(filter.limit, 7);
    }

    #[test]
    fn a_mistake_is_named_and_never_shows_everything() {
        for (key, value, said) in [
            ("sate", "new", "unknown filter `sate`"),
            ("state", "open", "unknown word `open`"),
            ("state", "", "names nothing"),
            ("severity", "bad", "unknown word `bad`"),
            ("camera", "../etc", "unknown word `../etc`"),
            ("limit", "0", "must be 1 to 200"),
            ("limit", "many", "must be 1 to 200"),
            ("simulated", "no", "must be true or false"),
            ("occurred_after", "yesterday", "`yesterday` is not a time"),
            ("occurred_after", "2026-11-22T08:00:00 07:00", "%2B"),
            ("occurred_at", "2026-11-22T08:00:00Z", "AFTER..BEFORE"),
            ("cursor", "1", "take `next`"),
        ] {
            let error = read(&[(key, value)]).unwrap_err();
            assert!(error.contains(said), "{key}={value}: {error}");
        }
        let twice = read(&[("kind", "a"), ("kind", "b")]).unwrap_err();
        assert!(twice.contains("given twice"), "{twice}");
    }

    proptest! {
        #[test]
        fn a_cursor_reads_back(micros in -1_000_000_000_i64..4_000_000_000_000_000, id: u128) {
            let cursor = Cursor {
                occurred_at: EventTime::from_micros(micros),
                id: EventId(uuid::Uuid::from_u128(id)),
            };
            prop_assert_eq!(super::cursor(&cursor_text(cursor)), Some(cursor));
        }

        #[test]
        fn no_text_is_too_strange(key in "[a-z_]{1,16}", value in ".{0,40}") {
            let _read = parse(&[(key, value)]).is_ok();
        }
    }
}
