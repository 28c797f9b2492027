//! What libraries read from the environment before a program begins: what glibc's allocator is to do,
//! and that ONNX Runtime is to tell nobody.
//!
//! GStreamer, libav and ONNX Runtime allocate with glibc as well as we do (docs/design/memory.md). And
//! ONNX Runtime as its makers build it for Linux tells them of each start, with the program's path and an
//! id of the machine that it keeps on the disk, before anybody can call it and forbid that. Whoever starts
//! the agent need not know: it begins anew with what it lacks.

use std::ffi::{OsStr, OsString};
use std::os::unix::process::CommandExt as _;
use std::path::Path;
use std::process::Command;

use edge_inference::TELLS_NOBODY;

const ARENAS: &str = "MALLOC_ARENA_MAX";
const TUNABLES: &str = "GLIBC_TUNABLES";
/// Where Linux says who gets huge pages: all, who asks, or nobody.
const HUGE_PAGES: &str = "/sys/kernel/mm/transparent_hugepage/enabled";

/// What a command does, as far as its environment matters.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Work {
    /// Loads no model.
    Words,
    /// Loads models, and is over soon.
    Models,
    /// Looks at many pictures: what the allocator does counts.
    Pictures,
}

/// What an environment has of it.
#[derive(Clone, Copy, Debug, Default)]
struct Found<'a> {
    tells_nobody: Option<&'a OsStr>,
    arenas: Option<&'a OsStr>,
    tunables: Option<&'a OsStr>,
    /// What the kernel says.
    huge_pages: &'a str,
}

/// What is lacking in an environment.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Lacking(Vec<(&'static str, OsString)>);

impl Lacking {
    /// What somebody has chosen stays as it is.
    fn of(work: Work, found: &Found<'_>) -> Self {
        let mut lacking = Vec::new();
        if work != Work::Words && found.tells_nobody.is_none() {
            lacking.push((TELLS_NOBODY, OsString::from("1")));
        }
        if work == Work::Pictures {
            lacking.extend(Self::of_allocator(found));
        }
        Self(lacking)
    }

    fn of_allocator(found: &Found<'_>) -> Vec<(&'static str, OsString)> {
        let mut lacking = Vec::new();
        if found.arenas.is_none() {
            lacking.push((ARENAS, OsString::from("2")));
        }
        let tunables = found.tunables.unwrap_or_default();
        let is_chosen = tunables.to_string_lossy().contains("glibc.malloc.hugetlb");
        // Where all have them, nobody need ask; where nobody has, asking is in vain.
        if found.huge_pages.contains("[madvise]") && !is_chosen {
            let mut all = tunables.to_owned();
            if !all.is_empty() {
                all.push(":");
            }
            all.push("glibc.malloc.hugetlb=1");
            lacking.push((TUNABLES, all));
        }
        lacking
    }
}

/// Begins this program anew, as the same process, where settings are lacking for its `work`.
/// Returns where none is lacking, or why it could not.
///
/// To be called before anything else is done.
pub fn settle(work: Work) -> std::io::Result<()> {
    let huge_pages = std::fs::read_to_string(Path::new(HUGE_PAGES)).unwrap_or_default();
    let [tells_nobody, arenas, tunables] = [TELLS_NOBODY, ARENAS, TUNABLES].map(std::env::var_os);
    let found = Found {
        tells_nobody: tells_nobody.as_deref(),
        arenas: arenas.as_deref(),
        tunables: tunables.as_deref(),
        huge_pages: &huge_pages,
    };
    let lacking = Lacking::of(work, &found);
    if lacking == Lacking::default() {
        return Ok(());
    }
    let mut words = std::env::args_os();
    let mut anew = Command::new(std::env::current_exe()?);
    anew.arg0(words.next().unwrap_or_default());
    Err(anew.args(words).envs(lacking.0).exec())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lacking(work: Work, found: &Found<'_>) -> Vec<(&'static str, String)> {
        let Lacking(lacking) = Lacking::of(work, found);
        let in_words = |(name, value): (_, OsString)| (name, value.into_string().unwrap());
        lacking.into_iter().map(in_words).collect()
    }

    #[test]
    fn what_is_lacking_is_added_and_what_was_chosen_stays() {
        const ASKED: &str = "always [madvise] never";
        let hugetlb = "glibc.malloc.hugetlb=1";
        for (arenas, tunables, huge_pages, expected) in [
            (None, None, ASKED, vec![(ARENAS, "2"), (TUNABLES, hugetlb)]),
            (Some("2"), None, ASKED, vec![(TUNABLES, hugetlb)]),
            (Some("8"), Some(hugetlb), ASKED, vec![]),
            (Some("2"), Some("glibc.malloc.hugetlb=0"), ASKED, vec![]),
            (
                Some("2"),
                Some("glibc.malloc.check=1"),
                ASKED,
                vec![(TUNABLES, "glibc.malloc.check=1:glibc.malloc.hugetlb=1")],
            ),
            (None, None, "[always] madvise never", vec![(ARENAS, "2")]),
            (Some("2"), None, "always madvise [never]", vec![]),
            // No Linux, or none that says so.
            (Some("2"), None, "", vec![]),
        ] {
            let found = Found {
                tells_nobody: Some(OsStr::new("1")),
                arenas: arenas.map(OsStr::new),
                tunables: tunables.map(OsStr::new),
                huge_pages,
            };
            let expected: Vec<_> = (expected.into_iter())
                .map(|(name, value)| (name, value.to_owned()))
                .collect();
            assert_eq!(lacking(Work::Pictures, &found), expected, "{found:?}");
            // Others allocate little.
            for work in [Work::Models, Work::Words] {
                assert!(lacking(work, &found).is_empty(), "{found:?}");
            }
        }
    }

    /// Each start told the makers of ONNX Runtime which program had started, and on what machine.
    #[test]
    fn nobody_is_told_of_a_start_whatever_loads_models() {
        let told = vec![(TELLS_NOBODY, "1".to_owned())];
        for (work, chosen, expected) in [
            (Work::Words, None, vec![]),
            (Work::Models, None, told.clone()),
            (Work::Pictures, None, told),
            (Work::Models, Some("0"), vec![]),
            (Work::Pictures, Some("1"), vec![]),
        ] {
            let found = Found {
                tells_nobody: chosen.map(OsStr::new),
                arenas: Some(OsStr::new("2")),
                ..Found::default()
            };
            assert_eq!(lacking(work, &found), expected, "{work:?} {chosen:?}");
        }
    }

    #[test]
    fn an_environment_that_was_completed_lacks_nothing() {
        let huge_pages = "[madvise]";
        let none = Found {
            huge_pages,
            ..Found::default()
        };
        let Lacking(added) = Lacking::of(Work::Pictures, &none);
        let of = |name| {
            let found = added.iter().find(|(added, _)| *added == name);
            found.map(|(_, value)| value.as_os_str())
        };
        let again = Found {
            tells_nobody: of(TELLS_NOBODY),
            arenas: of(ARENAS),
            tunables: of(TUNABLES),
            huge_pages,
        };
        assert_eq!(Lacking::of(Work::Pictures, &again), Lacking::default());
    }
}
