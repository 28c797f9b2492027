//! Do these cases of a camera follow each other, none removed, none put between?

use std::collections::BTreeMap;

use protocol::Digest;
use protocol::event::Words;
use serde::Serialize;
use uuid::Uuid;

use crate::fault::Fault;
use crate::verify::Report;

/// What is no fault, but must be known.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(tag = "note", rename_all = "snake_case")]
pub enum Note {
    /// Cases before the first are not here; nothing is said of them.
    BeginsLater {
        /// Number of the first.
        number: u64,
    },
    /// The box began anew: what followed the case before, if anything did,
    /// cannot be told.
    NewChain {
        /// Number of the last case of the chain before.
        after: u64,
    },
}

impl Note {
    /// In a sentence.
    pub fn words(&self) -> Words {
        match self {
            Self::BeginsLater { number } => Words::new(
                format!("Chuỗi bắt đầu từ vụ việc số {number}; các vụ trước không được kiểm tra"),
                format!(
                    "the chain begins with case number {number}; those before it are not examined"
                ),
            ),
            Self::NewChain { after } => Words::new(
                format!(
                    "Sau vụ việc số {after} thiết bị bắt đầu chuỗi mới (thay ổ đĩa?); vụ việc nào đó có thể thiếu ở đây"
                ),
                format!(
                    "after case number {after} the box began a new chain (a new disk?); whether cases are missing here cannot be told"
                ),
            ),
        }
    }
}

/// What is wrong between the bundles, each with the index of the bundle that shows it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ChainReport {
    /// Faults.
    pub faults: Vec<(usize, Fault)>,
    /// Notes.
    pub notes: Vec<(usize, Note)>,
}

/// Checks that the bundles, in the order given, are consecutive cases of one
/// camera. Says nothing of a bundle whose manifest could not be read: its own
/// report does, and the gap that it leaves is told.
pub fn verify_chain(reports: &[Report]) -> ChainReport {
    let mut found = ChainReport::default();
    let mut camera: Option<String> = None;
    let mut last: Option<(Uuid, u64, Digest)> = None;
    let mut seen: BTreeMap<(Uuid, u64), Digest> = BTreeMap::new();
    for (index, report) in reports.iter().enumerate() {
        let Some(manifest) = &report.manifest else {
            continue;
        };
        let (event, link) = (&manifest.event, manifest.chain);
        let own = format!("{}/{}/{}", event.site, event.box_id, event.camera);
        let expected = camera.get_or_insert_with(|| own.clone());
        if *expected != own {
            let expected = expected.clone();
            let fault = Fault::AnotherCamera {
                expected,
                found: own,
            };
            found.faults.push((index, fault));
            continue;
        }
        let number = link.number;
        if let Some(before) = seen.insert((link.id, number), report.digest) {
            let fault = if before == report.digest {
                Fault::Replayed { number }
            } else {
                Fault::Forked { number }
            };
            found.faults.push((index, fault));
            continue;
        }
        let begun = seen.keys().filter(|(id, _)| *id == link.id).count() > 1;
        match last {
            None if number > 1 => found.notes.push((index, Note::BeginsLater { number })),
            Some((id, after, _)) if id != link.id => {
                // Back to a chain that another has followed, or into its middle.
                if begun {
                    let fault = Fault::Swapped {
                        after,
                        found: number,
                    };
                    found.faults.push((index, fault));
                } else if number > 1 {
                    let fault = Fault::Gap {
                        after: 0,
                        found: number,
                    };
                    found.faults.push((index, fault));
                } else {
                    found.notes.push((index, Note::NewChain { after }));
                }
            }
            Some((_, after, _)) if number < after => {
                let fault = Fault::Swapped {
                    after,
                    found: number,
                };
                found.faults.push((index, fault));
            }
            Some((_, after, _)) if number - after > 1 => {
                let fault = Fault::Gap {
                    after,
                    found: number,
                };
                found.faults.push((index, fault));
            }
            Some((_, _, digest)) if link.previous != Some(digest) => {
                found.faults.push((index, Fault::NotTheNext { number }));
            }
            _ => {}
        }
        last = Some((link.id, number, report.digest));
    }
    found
}

#[cfg(test)]
mod tests;
