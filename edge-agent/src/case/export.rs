//! Takes a case from the box's store, also while the agent runs: the files are
//! there, whole, and nothing else is touched.

use std::fs;
use std::io::Read as _;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, bail};
use case_bundle::Sealed;
use case_bundle::files::write_bundle;
use case_bundle::manifest::{CaseManifest, MAX_CASE_BYTES, is_plain_name};
use case_bundle::sealed::SEALED_HEAD;
use edge_uplink::Outbox;
use protocol::EventTime;

/// Writes the case of the event whose id begins with `event` to `out`.
pub fn export(store: &Path, event: &str, out: &Path) -> anyhow::Result<CaseManifest> {
    let mut found = cases(store)?;
    found.retain(|(manifest, _)| manifest.event.id.to_string().starts_with(event));
    // A box whose outbox was restored may hold two of one event.
    found.sort_by_key(|(manifest, _)| manifest.sealed);
    let Some((manifest, case)) = found.pop() else {
        bail!(
            "{}: there is no case of event {event}; the box keeps delivered ones for store.keep_evidence_h only, \
             ask the centre: `aggregator bundle ID --out case.zip`, with the whole id",
            store.display()
        );
    };
    if found
        .iter()
        .any(|(other, _)| other.event.id != manifest.event.id)
    {
        bail!("several events begin with {event}; give more of the id");
    }
    write(store, &manifest, &case, out)?;
    Ok(manifest)
}

/// Writes every case of a store to a folder of its own in `out`, named by its number in
/// the chain, what happened and the event's id; the folders, in the chain's order.
pub fn export_all(store: &Path, out: &Path) -> anyhow::Result<Vec<PathBuf>> {
    let mut found = cases(store)?;
    found.sort_by_key(|(manifest, _)| (manifest.event.camera.clone(), manifest.chain.number));
    let mut folders = Vec::new();
    for (manifest, case) in found {
        let id = manifest.event.id.to_string();
        let short = id.get(..8).unwrap_or(&id);
        let kind = &manifest.event.kind;
        let folder = out.join(format!("{:04}-{kind}-{short}", manifest.chain.number));
        write(store, &manifest, &case, &folder)?;
        folders.push(folder);
    }
    Ok(folders)
}

/// When the cases of a store were signed.
pub(super) fn sealed(store: &Path) -> anyhow::Result<Vec<EventTime>> {
    let sealed = |(manifest, _): (CaseManifest, Vec<u8>)| manifest.sealed;
    Ok(cases(store)?.into_iter().map(sealed).collect())
}

fn write(store: &Path, manifest: &CaseManifest, case: &[u8], out: &Path) -> anyhow::Result<()> {
    let event = manifest.event.id;
    let mut media = Vec::new();
    for item in &manifest.media {
        if !is_plain_name(&item.name) {
            bail!(
                "the case names a file `{}`, which is not allowed",
                item.name.escape_debug()
            );
        }
        let path = Outbox::evidence_path(store, &item.sha256);
        if !path.exists() {
            bail!(
                "the box does not hold {} of this case any more; ask the centre: `aggregator bundle {event} --out case.zip`",
                item.name
            );
        }
        media.push((item.name.clone(), path));
    }
    write_bundle(out, case, &media)?;
    Ok(())
}

/// Every sealed manifest in the store.
fn cases(store: &Path) -> anyhow::Result<Vec<(CaseManifest, Vec<u8>)>> {
    let folder = store.join("evidence");
    let mut found = Vec::new();
    if !folder.exists() {
        return Ok(found);
    }
    let list = |path: &Path| {
        fs::read_dir(path).with_context(|| format!("{}: cannot be listed", path.display()))
    };
    for part in list(&folder)? {
        let part = part?;
        if !part.file_type()?.is_dir() {
            continue;
        }
        for file in list(&part.path())? {
            // It may be gone by now: the agent makes room.
            let Ok(mut file) = fs::File::open(file?.path()) else {
                continue;
            };
            let mut head = [0; SEALED_HEAD.len()];
            if file.read_exact(&mut head).is_err() || head != SEALED_HEAD {
                continue;
            }
            let mut bytes = head.to_vec();
            file.take(MAX_CASE_BYTES as u64).read_to_end(&mut bytes)?;
            let manifest = Sealed::open(&bytes)
                .ok()
                .and_then(|sealed| serde_json::from_slice(sealed.manifest).ok());
            if let Some(manifest) = manifest {
                found.push((manifest, bytes));
            }
        }
    }
    Ok(found)
}
