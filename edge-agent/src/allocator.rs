//! What glibc's allocator is to do, which it reads from the environment before a program begins.
//!
//! GStreamer, libav and ONNX Runtime allocate with it as well as we do. Whoever starts the agent
//! need not know: it begins anew with what it lacks (docs/design/memory.md).

use std::ffi::{OsStr, OsString};
use std::os::unix::process::CommandExt as _;
use std::path::Path;
use std::process::Command;

const ARENAS: &str = "MALLOC_ARENA_MAX";
const TUNABLES: &str = "GLIBC_TUNABLES";
/// Where Linux says who gets huge pages: all, who asks, or nobody.
const HUGE_PAGES: &str = "/sys/kernel/mm/transparent_hugepage/enabled";

/// What is lacking in an environment.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Lacking(Vec<(&'static str, OsString)>);

impl Lacking {
    /// What somebody has chosen stays as it is. `huge_pages`: what the kernel says.
    fn of(arenas: Option<&OsStr>, tunables: Option<&OsStr>, huge_pages: &str) -> Self {
        let mut lacking = Vec::new();
        if arenas.is_none() {
            lacking.push((ARENAS, OsString::from("2")));
        }
        let tunables = tunables.unwrap_or_default();
        let is_chosen = tunables.to_string_lossy().contains("glibc.malloc.hugetlb");
        // Where all have them, nobody need ask; where nobody has, asking is in vain.
        if huge_pages.contains("[madvise]") && !is_chosen {
            let mut all = tunables.to_owned();
            if !all.is_empty() {
                all.push(":");
            }
            all.push("glibc.malloc.hugetlb=1");
            lacking.push((TUNABLES, all));
        }
        Self(lacking)
    }
}

/// Begins this program anew, as the same process, where the allocator's settings are lacking.
/// Returns where none is lacking, or why it could not.
///
/// To be called before anything else is done.
pub fn settle() -> std::io::Result<()> {
    let huge_pages = std::fs::read_to_string(Path::new(HUGE_PAGES)).unwrap_or_default();
    let (arenas, tunables) = (std::env::var_os(ARENAS), std::env::var_os(TUNABLES));
    let lacking = Lacking::of(arenas.as_deref(), tunables.as_deref(), &huge_pages);
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

    #[test]
    fn what_is_lacking_is_added_and_what_was_chosen_stays() {
        const ASKED: &str = "always [madvise] never";
        let hugetlb = "glibc.malloc.hugetlb=1";
        for (arenas, tunables, huge_pages, lacking) in [
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
            let found = Lacking::of(arenas.map(OsStr::new), tunables.map(OsStr::new), huge_pages);
            let lacking = lacking.into_iter().map(|(name, it)| (name, it.into()));
            let case = format!("{arenas:?} {tunables:?} {huge_pages}");
            assert_eq!(found, Lacking(lacking.collect()), "{case}");
        }
    }

    #[test]
    fn an_environment_that_was_completed_lacks_nothing() {
        let Lacking(added) = Lacking::of(None, None, "[madvise]");
        let of = |name| {
            let found = added.iter().find(|(added, _)| *added == name);
            found.map(|(_, value)| value.as_os_str())
        };
        let again = Lacking::of(of(ARENAS), of(TUNABLES), "[madvise]");
        assert_eq!(again, Lacking::default());
    }
}
