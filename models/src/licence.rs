//! Which licences a model may have.
//!
//! A network's weights are somebody's work. A box at the roadside is a product
//! that is handed on, so weights under a copyleft licence would bind whoever
//! hands it on, and weights under none may not be handed on at all. Both are
//! refused here, at the manifest, before anybody builds on them.

/// What a licence expression means for us.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// Use and hand on, with notice.
    Permissive,
    /// GPL and its family: never.
    Copyleft,
    /// Not on the list: only when the operator of the box takes it on himself.
    Unlisted,
}

/// SPDX identifiers that need no further thought.
pub const PERMISSIVE: &[&str] = &[
    "0BSD",
    "Apache-2.0",
    "BSD-2-Clause",
    "BSD-3-Clause",
    "BSL-1.0",
    "CC-BY-4.0",
    "CC0-1.0",
    "ISC",
    "MIT",
    "MIT-0",
    "Unlicense",
    "Zlib",
];

const COPYLEFT: &[&str] = &["AGPL", "GPL", "LGPL", "SSPL", "EUPL", "OSL", "CC-BY-SA"];

/// Judges an SPDX licence expression without parentheses: `MIT`,
/// `MIT OR Apache-2.0`, `BSD-3-Clause AND CC-BY-4.0`.
///
/// With `OR` the kindest side counts, because the choice is ours; with `AND`
/// the strictest.
pub fn judge(expression: &str) -> Verdict {
    expression
        .split(" OR ")
        .map(|side| {
            side.split(" AND ")
                .map(judge_one)
                .max_by_key(|verdict| strictness(*verdict))
                .unwrap_or(Verdict::Unlisted)
        })
        .min_by_key(|verdict| strictness(*verdict))
        .unwrap_or(Verdict::Unlisted)
}

fn strictness(verdict: Verdict) -> u8 {
    match verdict {
        Verdict::Permissive => 0,
        Verdict::Unlisted => 1,
        Verdict::Copyleft => 2,
    }
}

fn judge_one(identifier: &str) -> Verdict {
    let identifier = identifier.trim();
    // People write "gplv3" and "AGPL-3.0" alike; a permissive one must be exact.
    let upper = identifier.to_ascii_uppercase();
    if PERMISSIVE.contains(&identifier) {
        Verdict::Permissive
    } else if COPYLEFT.iter().any(|family| upper.starts_with(family)) {
        Verdict::Copyleft
    } else {
        Verdict::Unlisted
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn expressions_are_judged_by_the_side_we_may_choose() {
        for (expression, verdict) in [
            ("Apache-2.0", Verdict::Permissive),
            ("MIT OR Apache-2.0", Verdict::Permissive),
            ("AGPL-3.0-only OR MIT", Verdict::Permissive),
            ("AGPL-3.0-or-later", Verdict::Copyleft),
            ("agpl-3.0", Verdict::Copyleft),
            ("GPLv2", Verdict::Copyleft),
            ("MIT AND LGPL-3.0-only", Verdict::Copyleft),
            ("CC-BY-NC-4.0", Verdict::Unlisted),
            ("LicenseRef-ours", Verdict::Unlisted),
            ("MIT AND LicenseRef-ours", Verdict::Unlisted),
            ("mitt", Verdict::Unlisted),
            ("unknown", Verdict::Unlisted),
            ("", Verdict::Unlisted),
        ] {
            assert_eq!(judge(expression), verdict, "{expression:?}");
        }
    }
}
