//! `replay --evidence DIR`: the signed case of each event of a clip, as the box would
//! have made it live, by the same code.
//!
//! The file's encoded pictures fill a ring as a camera's do, a little ahead of what
//! is looked at, and go out of it as they would on the box. Cases are made in a store
//! of their own and then written out, one folder each.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::{Context as _, bail};
use edge_core::{EvidenceRequest, Input, Scene};
use edge_uplink::{DiskBudget, Outbox};
use edge_video::encoded::Ring;
use edge_video::{EncodedClip, EncodedPicture, Frame};
use protocol::event::{FrameTime, Words};
use protocol::{Event, EventTime, NormBox, TimeQuality};

use super::ReplayRequest;
use crate::case::keys::{self, KeyStore};
use crate::case::{Signer, export, hash_of};
use crate::config::{AgentConfig, CameraConfig};
use crate::draft;
use crate::live::evidence::{Bench, Desk, Proof, Rings, SharedTrail, clip_ended, trail};
use crate::live::{CameraState, Publisher};
use crate::scene_setup::DetectorIdentity;

/// Encoded pictures come so much before what is looked at (µs): longer than a file's
/// order of decoding differs from that of showing.
const AHEAD_US: i64 = 1_000_000;
/// Where cases are made, until they are written out.
const STORE: &str = "store";
/// Public keys, for who verifies.
const KEYS: &str = "keys";
/// Evidence of a replay is limited by the disk alone.
const NO_BUDGET: u64 = 1 << 60;

/// The cases of one replay.
pub(super) struct Cases {
    folder: PathBuf,
    part: PathBuf,
    keys: KeyStore,
    publisher: Publisher,
    trail: SharedTrail,
    film: Option<Film>,
    /// The clip's first picture, by its own clock (µs), and its time.
    begin: Option<(i64, EventTime)>,
}

/// What is kept of the clip.
struct Film {
    clip: EncodedClip,
    ring: Arc<Ring>,
    desk: Desk,
    bench: Bench,
    /// Read and not yet due.
    next: Option<EncodedPicture>,
}

/// What was looked at.
pub(super) struct Looked {
    at: FrameTime,
    /// Where plates were in it.
    plates: Vec<NormBox>,
}

impl Cases {
    /// Prepares a folder. It may not be there yet, so that two replays never mix.
    pub(super) fn create(
        folder: &Path,
        request: &ReplayRequest,
        config: &AgentConfig,
        camera: &CameraConfig,
        detector: &DetectorIdentity,
    ) -> anyhow::Result<Self> {
        let part = draft::part_of(folder);
        for taken in [folder, &part] {
            if fs::symlink_metadata(taken).is_ok() {
                bail!(
                    "--evidence {}: is there already; name another folder, or remove it",
                    taken.display()
                );
            }
        }
        let path = request.source.path();
        let film = camera.clip.limits().map(|limits| {
            let clip = EncodedClip::open(path)?;
            let ring = Arc::new(Ring::new(limits));
            if !clip.parameters().is_empty() {
                ring.describe(clip.codec(), clip.parameters());
            }
            Ok::<_, edge_video::ClipError>((clip, ring))
        });
        let film = film.transpose()?;
        let origin = origin(path)?;
        let store = part.join(STORE);
        let keys = match &request.signing_key {
            Some(key) => KeyStore::apart(config, &store, key),
            None => KeyStore::of(config),
        };
        let made = fs::create_dir_all(&store);
        made.with_context(|| format!("--evidence {}: cannot be made", part.display()))?;
        let signer = Signer::with(&keys)
            // Nothing of ours is in it yet.
            .inspect_err(|_| drop(fs::remove_dir_all(&part)))
            .context(
                "--evidence is signed with the box's key, unless --signing-key gives another",
            )?;
        let outbox = Outbox::open(&store, DiskBudget::new(NO_BUDGET))?;
        let state = Arc::new(CameraState::new(config, camera, Some(detector)));
        let scene = camera.scene.clone();
        let publisher = Publisher::of_clip(scene, outbox, state, signer, origin);
        let trail = SharedTrail::new(&camera.clip);
        let film = film.map(|(clip, ring)| {
            let rings = Rings::one(&ring);
            let (desk, bench) = Desk::by_hand(camera.clip, rings, publisher.clone(), &trail);
            Film {
                clip,
                ring,
                desk,
                bench,
                next: None,
            }
        });
        Ok(Self {
            folder: folder.to_owned(),
            part,
            keys,
            publisher,
            trail,
            film,
            begin: None,
        })
    }

    /// `frame` is looked at next; `shown` is its place in the clip (µs).
    pub(super) fn show(&mut self, frame: &Frame, shown: Option<i64>) -> anyhow::Result<()> {
        let (begin, start) = *self
            .begin
            .get_or_insert((shown.unwrap_or_default(), frame.time));
        let Some(film) = &mut self.film else {
            return Ok(());
        };
        let now = shown.unwrap_or_else(|| begin + frame.time.as_micros() - start.as_micros());
        film.roll(now + AHEAD_US, |media| {
            EventTime::from_micros(start.as_micros() + media - begin)
        })?;
        if let Some((width, height)) = film.ring.size()
            && (width, height) != (frame.width, frame.height)
        {
            bail!(
                "--evidence: pictures are {width}×{height} in the file and {}×{} decoded, so places would not \
                 fit; write the clip anew (`ffmpeg -i IN -c:v libx264 -bf 0 OUT.mp4`)",
                frame.width,
                frame.height
            );
        }
        if let Some(shown) = shown {
            film.ring.stamp(shown, frame.time, frame.time_quality);
        }
        Ok(())
    }

    /// What an input shows, before the scene takes it.
    pub(super) fn looked(input: &Input) -> Option<Looked> {
        match input {
            Input::Detections(seen) => {
                let (frame, time) = (seen.frame, seen.time);
                Some(Looked {
                    at: FrameTime { frame, time },
                    plates: trail::plates(seen),
                })
            }
            _ => None,
        }
    }

    /// What `scene` has made of it.
    pub(super) fn note(&self, looked: Looked, scene: &Scene) {
        self.trail.lock().note(looked.at, looked.plates, scene);
    }

    /// An event was told.
    pub(super) fn event(&self, event: &Event) {
        self.publisher.event(event);
        if let Some(film) = &self.film {
            film.desk.told(event);
        }
    }

    /// Evidence of it is asked for; `frame` decided it, if a picture did.
    pub(super) fn prove(
        &self,
        scene: &Scene,
        event: &Event,
        request: EvidenceRequest,
        frame: Option<&Frame>,
    ) {
        let proof = Proof {
            publisher: &self.publisher,
            trail: &self.trail,
            desk: self.film.as_ref().map(|film| &film.desk),
            scene,
            aspect: frame.map_or(16.0 / 9.0, |frame| frame.aspect),
        };
        proof.of(event, request, frame);
    }

    /// Makes what can be made by now.
    pub(super) fn go_on(&mut self) {
        if let Some(film) = &mut self.film {
            film.bench.step();
        }
    }

    /// Makes the rest, and writes all cases out; under the folder's name if the replay
    /// `is_whole`. The folder, and how many there are.
    pub(super) fn finish(self, is_whole: bool) -> anyhow::Result<(PathBuf, usize)> {
        let store = self.part.join(STORE);
        if let Some(film) = self.film {
            film.bench.finish(&clip_ended());
        }
        drop(self.publisher);
        let folders = export::export_all(&store, &self.part)?;
        if let Some(ring) = self.keys.ring()? {
            keys::export(&ring, &self.part.join(KEYS))?;
        }
        let named = || self.part.display().to_string();
        fs::remove_dir_all(&store).with_context(named)?;
        if !is_whole {
            return Ok((self.part, folders.len()));
        }
        fs::rename(&self.part, &self.folder).with_context(named)?;
        Ok((self.folder, folders.len()))
    }
}

impl Film {
    /// Puts into the ring what is decoded up to `until` (µs, the clip's clock).
    fn roll(&mut self, until: i64, time: impl Fn(i64) -> EventTime) -> anyhow::Result<()> {
        loop {
            let next = match self.next.take() {
                Some(next) => Some(next),
                None => self.clip.next_picture()?,
            };
            let Some(next) = next else {
                self.ring.end();
                return Ok(());
            };
            if next.decoded.or(next.media).is_some_and(|at| at > until) {
                self.next = Some(next);
                return Ok(());
            }
            let stamp = (time(next.media.unwrap_or_default()), TimeQuality::Media);
            self.ring
                .push(self.clip.codec(), &next.bytes, next.media, stamp);
        }
    }
}

/// What must be said of each picture: it is of a file, and of which.
fn origin(path: &Path) -> anyhow::Result<Words> {
    let digest = hash_of(path).with_context(|| path.display().to_string())?;
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    Ok(Words::new(
        format!("từ tệp ghi hình {name} (SHA-256 {digest}), không phải trực tiếp từ camera"),
        format!("of the recorded clip {name} (SHA-256 {digest}), not from the camera itself"),
    ))
}

#[cfg(test)]
mod tests;
