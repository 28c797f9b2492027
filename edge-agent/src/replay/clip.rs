//! A clip from its first picture to its last, in the order of a box at work.
//!
//! Of each picture the scene learns what it would learn there: what its health is, what was
//! missed before it, what its lamps show, who is in it. The models wait for nobody, and nothing
//! passes them by.

use std::collections::BTreeMap;
use std::path::Path;

use case_bundle::aside;
use case_bundle::files::said;
use edge_core::{Input, Scene};
use edge_inference::Detector;
use edge_video::stream::pace::Pace;
use edge_video::{ClipInfo, ClipPicture, ClipReader, Frame};
use motion_gate::{Found, Reason, Verdict};
use protocol::EventTime;
use protocol::units::Seconds;

use super::evidence::Cases;
use super::outage::Outage;
use super::progress::Progress;
use super::second_looks::SecondLooks;
use super::shadow::Shadow;
use super::sights::Sights;
use super::sink::Sink;
use super::{Pass, ReplayRequest};
use crate::annotate::Annotator;
use crate::between_looks::BetweenLooks;
use crate::config::{AgentConfig, CameraConfig, DetectConfig};
use crate::live::StopFlag;
use crate::perception::Parts;
use crate::picture_gate::{self, PictureGate};
use crate::picture_watch::PictureWatch;
use crate::scene_setup::{self, DetectorIdentity};
use crate::{models_command, perception};

/// Replays a clip until its end, or until it is told to stop.
pub(super) fn replay_clip(
    request: &ReplayRequest,
    config: &AgentConfig,
    camera: &CameraConfig,
    sink: &mut Sink,
    stop: &StopFlag,
) -> anyhow::Result<Pass> {
    let mut replay = ClipReplay::begin(request, config, camera, sink)?;
    let mut scene: Option<Scene> = None;
    let mut is_whole = true;
    while let Some(picture) = replay.clip.next_picture()? {
        if stop.is_set() {
            is_whole = false;
            break;
        }
        let is_sound = matches!(picture, ClipPicture::Sound(_));
        let frame = picture.into_frame();
        let scene = if let Some(scene) = &mut scene {
            scene
        } else {
            scene.insert(replay.scene(frame.aspect)?)
        };
        replay.ended = Some(frame.time);
        if is_sound {
            replay.take(scene, &frame)?;
        } else {
            replay.miss(scene, &frame)?;
        }
    }
    replay.end(scene.as_mut(), is_whole)
}

/// A replay under way: whatever looks at the clip, and how far it has come.
struct ClipReplay<'a> {
    request: &'a ReplayRequest,
    config: &'a AgentConfig,
    camera: &'a CameraConfig,
    sink: &'a mut Sink,
    clip: ClipReader,
    detector: Detector,
    identity: DetectorIdentity,
    second: SecondLooks,
    shadow: Option<Shadow>,
    /// Why there is no shadow, where one is configured.
    uncompared: Option<String>,
    progress: Progress,
    annotator: Option<Annotator>,
    watch: PictureWatch,
    gate: PictureGate,
    parts: Parts,
    sights: Sights,
    between: BetweenLooks,
    outage: Outage,
    /// The last picture, and the last that was sound.
    ended: Option<EventTime>,
    last: Option<EventTime>,
    frames: u64,
    rested: u64,
    followed: u64,
    reasons: BTreeMap<Reason, u64>,
}

impl<'a> ClipReplay<'a> {
    /// Opens the clip and loads the models.
    fn begin(
        request: &'a ReplayRequest,
        config: &'a AgentConfig,
        camera: &'a CameraConfig,
        sink: &'a mut Sink,
    ) -> anyhow::Result<Self> {
        let path = request.source.path();
        edge_video::init()?;
        let mut clip = ClipReader::open(path, request.start)?;
        let info = clip.info().clone();
        let detector = models_command::load_detector(&config.detector)?;
        let identity = DetectorIdentity::of(detector.manifest());
        let second = SecondLooks::load(config, camera)?;
        let (shadow, uncompared) = match Shadow::load(&config.detector, &detector) {
            Ok(shadow) => (shadow, None),
            Err(error) if request.shadow.is_some() => return Err(error.context("--shadow")),
            // As on a box: no event rests on it.
            Err(error) => (None, Some(said::whole(error.chain()))),
        };
        // A model that cannot begin has ended the replay before.
        sink.begin(&identity, Some(&camera.cascade_ids()))?;
        if let Some(folder) = &request.evidence {
            sink.cases = Some(Cases::create(folder, request, config, camera, &identity)?);
        }
        if !request.quiet {
            let model = format!("{} ({})", identity.model, detector.provider());
            say_what_is_played(path, &info, &model);
        }
        let progress = Progress::new(request.quiet, info.frames_estimate);
        clip.set_pace(Pace::new(request.analysed_fps.or(camera.analysed_fps)));
        let annotator = request.annotate.as_deref();
        let annotator = annotator
            .map(|path| Annotator::create(path, &info))
            .transpose()?;
        // As the scheduler of a box has it.
        let longest_hole_us = config.inference.settings().longest_hole_us();
        Ok(Self {
            request,
            config,
            camera,
            sink,
            clip,
            detector,
            identity,
            second,
            shadow,
            uncompared,
            progress,
            annotator,
            watch: PictureWatch::new(&camera.health),
            gate: PictureGate::new(&DetectConfig {
                gate: camera.detect.gate && !request.no_gate,
                ..camera.detect
            }),
            parts: Parts::new(&camera.detect),
            sights: Sights::default(),
            between: BetweenLooks::new(&camera.detect),
            outage: Outage::new(Seconds(longest_hole_us as f64 / 1e6)),
            ended: None,
            last: None,
            frames: 0,
            rested: 0,
            followed: 0,
            reasons: BTreeMap::new(),
        })
    }

    /// The scene of pictures of this shape.
    fn scene(&self, aspect: f64) -> anyhow::Result<Scene> {
        let identity = &self.config.identity;
        let mut scene = scene_setup::scene(identity, self.camera, Some(&self.identity), aspect)?;
        self.sink.prepare(&mut scene);
        Ok(scene)
    }

    /// Whether so many pictures are damaged that the stream is blamed.
    fn is_lost(&self) -> bool {
        self.clip.garbage().is_some()
    }

    /// This picture is damaged: nobody looks at it.
    fn miss(&mut self, scene: &mut Scene, frame: &Frame) -> anyhow::Result<()> {
        let is_lost = self.is_lost();
        let told = self.outage.missed(frame.time, is_lost);
        self.sink.handle_all(scene, told)
    }

    /// This picture is sound: its health, then whoever is in it, then what is made of that.
    fn take(&mut self, scene: &mut Scene, frame: &Frame) -> anyhow::Result<()> {
        self.sink.roll(frame, self.clip.shown())?;
        if let Some(health) = self.watch.look(frame) {
            self.outage.note(health);
            self.sink
                .handle(scene, Input::Health(health), Some(frame))?;
        }
        self.show(scene, frame)?;
        self.sink.prove();
        self.last = Some(frame.time);
        self.frames += 1;
        if let Some(annotator) = &mut self.annotator {
            annotator.frame(frame, scene)?;
        }
        let played = frame.time.since(self.request.start);
        self.progress
            .frame(self.frames, played.0, self.sink.summary.total());
        Ok(())
    }

    /// Lets the scene know who is in a picture: without a look where that is known, by a look
    /// where the gate wants one, and else not at all.
    fn show(&mut self, scene: &mut Scene, frame: &Frame) -> anyhow::Result<()> {
        let verdict = self.gate.judge(frame, scene.attention());
        let is_awake = match verdict {
            Some(Verdict::Rest | Verdict::Empty | Verdict::Look(Reason::Heartbeat)) => false,
            Some(Verdict::Look(_)) | None => true,
        };
        self.outage.sound(frame.time, frame.lack, is_awake);
        let believed_from = self.detector.manifest().thresholds.high;
        if verdict == Some(Verdict::Empty) {
            let nobody = perception::followed(frame, believed_from, &[]);
            self.tell_known(scene, frame, nobody)?;
            self.gate.told(frame.time);
            self.rested += 1;
            return Ok(());
        }
        if is_awake && let Some(found) = self.between.follow(frame, believed_from) {
            let followed = perception::followed(frame, believed_from, found);
            self.tell_known(scene, frame, followed)?;
            self.followed += 1;
            return Ok(());
        }
        if let Some(Verdict::Look(reason)) = verdict {
            *self.reasons.entry(reason).or_default() += 1;
        }
        if verdict.is_none_or(Verdict::is_look) {
            return self.look(scene, frame);
        }
        self.read_lamps(scene, frame)?;
        self.rested += 1;
        Ok(())
    }

    /// Who is in the picture is known without a look: `told` says it.
    fn tell_known(&mut self, scene: &mut Scene, frame: &Frame, told: Input) -> anyhow::Result<()> {
        self.tell_missed(scene, frame)?;
        self.read_lamps(scene, frame)?;
        self.sink.handle(scene, told, Some(frame))
    }

    /// The detector looks at the picture, then the shadow and the cascades.
    fn look(&mut self, scene: &mut Scene, frame: &Frame) -> anyhow::Result<()> {
        let believed_from = self.detector.manifest().thresholds.high;
        let seen = perception::look(&mut self.detector, frame, scene.config(), &mut self.parts);
        if let (Some(shadow), Ok(shown)) = (&mut self.shadow, &seen) {
            shadow.show(&self.camera.id, frame, &shown.whole);
        }
        let broken = seen.as_ref().map_or(0, |shown| shown.broken);
        let glance = || perception::glance(frame, scene.config());
        let (told, is_seen) = self.sights.told(frame, seen, glance);
        if is_seen {
            self.tell_missed(scene, frame)?;
        } else {
            self.between.forget();
        }
        let mut found = Found::Unknown;
        for input in told {
            if let Input::Detections(seen) = &input {
                self.between.looked(frame, believed_from, &seen.items);
                found = picture_gate::found(&seen.items, broken, believed_from);
            }
            self.sink.handle(scene, input, is_seen.then_some(frame))?;
        }
        if is_seen {
            self.second.take(frame, scene, self.sink)?;
        }
        self.gate.looked(frame.time, found);
        Ok(())
    }

    /// What was missed before a picture that the scene sees next.
    fn tell_missed(&mut self, scene: &mut Scene, frame: &Frame) -> anyhow::Result<()> {
        let is_lost = self.is_lost();
        let size = (frame.width, frame.height);
        let told = self.outage.seen(frame.time, size, is_lost);
        self.sink.handle_all(scene, told)
    }

    fn read_lamps(&mut self, scene: &mut Scene, frame: &Frame) -> anyhow::Result<()> {
        let read = perception::glance(frame, scene.config());
        self.sink.handle_all(scene, read)
    }

    /// No picture follows: ends the scene, and says what came of the clip.
    fn end(mut self, scene: Option<&mut Scene>, is_whole: bool) -> anyhow::Result<Pass> {
        if let (Some(scene), Some(last)) = (scene, self.last) {
            if let Some(input) = self.outage.end(self.ended.unwrap_or(last)) {
                self.sink.handle(scene, input, None)?;
            }
            self.sink.handle(scene, Input::End(last), None)?;
        }
        if let Some(annotator) = self.annotator {
            annotator.finish()?;
        }
        self.progress.finish();
        let path = self.request.source.path().display();
        let mut warnings = self.clip.warnings().to_vec();
        let damaged = self.clip.damage().map(|damage| format!("{path}: {damage}"));
        let unread = self.clip.unread().map(|unread| format!("{path}: {unread}"));
        warnings.extend(self.sights.doubts()?);
        warnings.extend(self.second.doubts());
        let uncompared = self.uncompared;
        warnings.extend(uncompared.map(|why| format!("no model is compared in the shadow: {why}")));
        let shadow = self.shadow.map(|shadow| {
            let (compared, doubts) = shadow.end();
            warnings.extend(doubts);
            compared
        });
        if let (Some(lines), Some(compared)) = (&mut self.sink.files.shadow, &shadow) {
            compared.write(lines)?;
        }
        if self.frames == 0 && is_whole {
            warnings.push(format!("{path} gave no pictures at all"));
        }
        Ok(Pass {
            frames: self.frames,
            rested: self.rested,
            followed: self.followed,
            reasons: self.reasons,
            shadow,
            warnings,
            damage: damaged.into_iter().chain(unread).collect(),
            is_whole,
        })
    }
}

fn say_what_is_played(path: &Path, info: &ClipInfo, model: &str) {
    aside!(
        "{}: {}×{}, {} in {}; model {model}",
        path.display(),
        info.width,
        info.height,
        info.codec,
        info.container,
    );
}
