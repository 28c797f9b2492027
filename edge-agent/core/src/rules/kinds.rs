//! Which kind of rule was meant by a word that is none.

use super::CATALOGUE;
use crate::config::{listed, nearest};

/// Most kinds that are offered.
const MOST_OFFERED: usize = 3;
/// A shorter word is part of too many others.
const SHORTEST_PART: usize = 3;

/// That there is no such kind, which was probably meant, and which there are.
pub fn unknown_kind(word: &str) -> String {
    let word: String = word.chars().take(80).collect();
    let known: Vec<&str> = CATALOGUE.iter().map(|entry| entry.kind).collect();
    let hint = match meant(&word).as_slice() {
        [] => String::new(),
        kinds => format!("did you mean {}? ", listed(kinds).replace(", ", " or ")),
    };
    format!(
        "there is no kind of rule `{word}`; {hint}known are {}",
        listed(&known)
    )
}

/// The likeliest kinds: written otherwise, a part of the name, a slip of the
/// pen, or a word of the title.
fn meant(word: &str) -> Vec<&'static str> {
    let word = squeezed(word);
    if word.is_empty() {
        return Vec::new();
    }
    let of = |is_meant: &dyn Fn(&str, &str) -> bool| -> Vec<&'static str> {
        CATALOGUE
            .iter()
            .filter(|entry| is_meant(&squeezed(entry.kind), &squeezed(entry.title.1)))
            .map(|entry| entry.kind)
            .collect()
    };
    let is_long = word.len() >= SHORTEST_PART;
    let mut kinds = of(&|kind, _| kind == word);
    if kinds.is_empty() && is_long {
        kinds = of(&|kind, _| kind.contains(&word) || word.contains(kind));
    }
    if kinds.is_empty() {
        let squeezed: Vec<String> = CATALOGUE.iter().map(|e| squeezed(e.kind)).collect();
        let known: Vec<&str> = squeezed.iter().map(String::as_str).collect();
        kinds = nearest(&word, &known).map_or_else(Vec::new, |near| of(&|kind, _| kind == near));
    }
    if kinds.is_empty() && is_long {
        kinds = of(&|_, title| title.contains(&word));
    }
    kinds.truncate(MOST_OFFERED);
    kinds
}

/// Letters and digits only: `wrong way`, `Wrong-Way` and `wrong_way` are one word.
fn squeezed(word: &str) -> String {
    let letters = word.chars().filter(char::is_ascii_alphanumeric);
    letters.map(|c| c.to_ascii_lowercase()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_people_write_finds_the_kind_that_they_mean() {
        for (word, kinds) in [
            ("wrong way", &["wrong_way"][..]),
            ("Wrong-Way", &["wrong_way"]),
            ("redlight", &["red_light"]),
            ("red_lights", &["red_light"]),
            ("rad_light", &["red_light"]),
            ("uturn", &["illegal_uturn"]),
            ("u-turn", &["illegal_uturn"]),
            ("helmet", &["no_helmet"]),
            ("parking", &["illegal_parking"]),
            ("phone", &["phone_use"]),
            ("seatbelt", &["seat_belt"]),
            ("speed", &["speeding"]),
            ("xyzzyplugh", &[]),
            ("", &[]),
            ("--", &[]),
        ] {
            assert_eq!(meant(word), kinds, "{word}");
        }
        let told = unknown_kind("helmet");
        assert!(told.contains("did you mean `no_helmet`?"), "{told}");
    }
}
