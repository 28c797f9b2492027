//! The set of files that proves one event.

use std::collections::BTreeSet;

use case_bundle::manifest::ActorPlaces;
use edge_video::Frame;
use edge_video::encoded::ring::{Cut, Shortfall};
use edge_video::encoded::{AccessUnit, Stills, decode_at, mp4};
use protocol::event::{FrameTime, Words};
use protocol::evidence::{EvidenceRole, Missing, Span};
use protocol::units::Seconds;
use protocol::{Event, EventTime, EvidenceItem, NormBox, TimeQuality};

use super::Maker;
use super::pending::{Old, Pending, Taken};
use crate::explain::sentences::{Language, Teller};
use crate::stills::{self, Canvas};

/// A picture further than this from the wanted instant is another one, s.
const NEAR_S: f64 = 0.5;
/// In a picture nearer than this a road user is where he was seen, s.
const NEARLY_S: f64 = 0.1;
/// A picture nearer than this to the wanted instant is that one, s.
const SAME_S: f64 = 0.001;

/// Whose pictures the evidence of an event is made of.
struct Source<'a> {
    event: &'a Event,
    /// What the clip should show.
    asked: Span,
    /// Why not all has been waited for.
    hurry: Option<Words>,
    cut: Cut,
    /// Key pictures of moments from before the cut.
    album: &'a [Old],
    /// The main stream's, while another one is looked at.
    is_main: bool,
    /// Where the pictures are from, where that must be said.
    notes: Vec<Words>,
}

/// What is there, and what is not.
#[derive(Default)]
struct Set {
    items: Vec<EvidenceItem>,
    /// Where the event's road users are in stills.
    places: ActorPlaces,
    missing: Vec<Missing>,
}

impl Maker {
    /// Makes the evidence of what `pending` has taken, and the case of all.
    /// `hurry`: why not all has been waited for.
    pub(super) fn make(&self, pending: &Pending, hurry: Option<Words>) {
        let source = Source {
            hurry,
            ..self.source(pending)
        };
        let mut set = Set {
            items: pending.wish.early.clone(),
            ..Set::default()
        };
        self.clip(pending, &source, &mut set);
        self.stills(pending, &source, &mut set);
        let wish = &pending.wish;
        let publisher = &self.publisher;
        let files = (set.items, set.places);
        publisher.case(&wish.event, files, set.missing, wish.clock);
    }

    /// The main stream, if it shows what was decided, by the same clock; else the one
    /// that was looked at.
    fn source<'a>(&self, pending: &'a Pending) -> Source<'a> {
        let asked = pending.asked(&self.clip);
        let event = &pending.wish.event;
        let decided = event.decided.time;
        let origin = self.publisher.origin.clone();
        let from = |cut, taken: &'a Taken, is_main, note: Option<Words>| Source {
            album: taken.album(),
            event,
            asked,
            hurry: None,
            cut,
            is_main,
            notes: origin.into_iter().chain(note).collect(),
        };
        let main = pending.main.cut(&asked, decided);
        if self.rings.detect.is_none() {
            return from(main, &pending.main, false, None);
        }
        let detect = pending.detect.cut(&asked, decided);
        let shows = |cut: &Cut| {
            cut.span()
                .is_some_and(|(from, to)| (from..=to).contains(&decided))
        };
        let note = match shape_fault(&main, &detect) {
            None if !shows(&detect) => return from(main, &pending.main, true, None),
            None if !shows(&main) => Words::new(
                "từ luồng phụ, vì luồng chính bị mất",
                "of the sub-stream, because the main stream was lost",
            ),
            None if is_one_clock(&main, &detect, decided) => {
                return from(main, &pending.main, true, None);
            }
            None => Words::new(
                "từ luồng phụ, vì lúc đó giờ của luồng chính theo một đồng hồ khác",
                "of the sub-stream, because the main stream was timed by another clock then",
            ),
            Some(fault) => fault,
        };
        from(detect, &pending.detect, false, Some(note))
    }

    fn clip(&self, pending: &Pending, source: &Source<'_>, set: &mut Set) {
        let event = source.event;
        let missing = |reason: Words| Missing {
            role: EvidenceRole::Clip,
            at: None,
            reason,
        };
        let Some((from, to)) = source.cut.span() else {
            self.publisher.state.count_clip("none");
            return set.missing.push(missing(shortfall(Shortfall::Nothing)));
        };
        let file = match mp4::write(&source.cut.units) {
            Ok(file) => file,
            Err(error) => {
                tracing::error!(camera = %event.camera, id = %event.id, %error, "event has no clip");
                self.publisher.state.count_clip("failed");
                let vi = format!("không tạo được đoạn phim: {error}");
                return set.missing.push(missing(Words::new(vi, error.to_string())));
            }
        };
        let mut notes = source.notes.clone();
        let is_short = !source.cut.shortfalls.is_empty();
        // What was not waited for did not break off.
        let is_fault = |it: &Shortfall| source.hurry.is_none() || *it != Shortfall::BrokeOff;
        let shortfalls = source.cut.shortfalls.iter().copied();
        notes.extend(shortfalls.filter(is_fault).map(shortfall));
        if is_short {
            notes.extend(source.hurry.clone());
        }
        if pending.is_cut_off(&source.asked, &self.clip) {
            notes.push(cut_off(self.clip.longest_s));
        }
        let outcome = if is_short { "short" } else { "whole" };
        self.publisher.state.count_clip(outcome);
        let stored = self.publisher.put(event, &file, EvidenceRole::Clip, from);
        match stored {
            Ok(item) => set.items.push(EvidenceItem {
                until: Some(to),
                asked: is_short.then_some(source.asked),
                note: joined(&notes),
                ..item
            }),
            Err(reason) => set.missing.push(missing(reason)),
        }
    }

    fn stills(&self, pending: &Pending, source: &Source<'_>, set: &mut Set) {
        let wish = &pending.wish;
        let decided = wish.event.decided.time;
        // What was looked at has been drawn already, when it was decided.
        let wanted = wish.at.iter().filter(|at| {
            let is_drawn = !wish.early.is_empty() && at.time == decided;
            let is_spare = |(old, unit): &Old| old.time == at.time && unit.is_none();
            (source.is_main || !is_drawn) && !source.album.iter().any(is_spare)
        });
        let wanted: Vec<FrameTime> = wanted.copied().collect();
        let plate = self.plate(&wish.event, &source.cut);
        let old = |time: EventTime| {
            let found = source.album.iter().find(|(at, _)| at.time == time);
            found.and_then(|(_, unit)| unit.as_ref())
        };
        let near = |time: EventTime| nearest(&source.cut, time).or_else(|| old(time));
        let mut numbers: BTreeSet<u64> = wanted
            .iter()
            .filter_map(|at| near(at.time))
            .map(|unit| unit.number)
            .collect();
        numbers.extend(
            plate
                .and_then(|(at, _)| near(at.time))
                .map(|unit| unit.number),
        );
        let old = source.album.iter().filter_map(|(_, unit)| unit.as_ref());
        let units: Vec<AccessUnit> = old.chain(&source.cut.units).cloned().collect();
        let pictures = decode_at(&units, &numbers, Seconds(NEAR_S)).unwrap_or_else(|error| {
            tracing::error!(camera = %wish.event.camera, id = %wish.event.id, "{error}");
            Stills::default()
        });
        let picture = |time: EventTime| {
            let number = near(time).ok_or_else(gone)?.number;
            match pictures.found.get(&number) {
                Some(frame) => Ok((frame, (frame.number != number).then(stand_in))),
                None if pictures.damaged.contains(&number) => Err(damaged()),
                None => Err(gone()),
            }
        };
        for at in wanted {
            let fault = picture(at.time)
                .and_then(|(frame, note)| self.still(at, frame, (source, note), set));
            if let Err(reason) = fault {
                set.missing.push(Missing {
                    role: EvidenceRole::StillAnnotated,
                    at: Some(at.time),
                    reason,
                });
            }
        }
        let Some((at, bounds)) = plate else {
            return;
        };
        let of_then = picture(at.time).and_then(|(frame, note)| {
            // In a picture of another moment something else is in that place.
            let is_of_then = frame.time.since(at.time).0.abs() <= NEARLY_S;
            is_of_then
                .then_some(frame)
                .ok_or(note.map_or_else(gone, |_| damaged()))
        });
        match of_then {
            Ok(frame) => self.plate_crop(&wish.event, frame, &bounds, set),
            Err(reason) => set.missing.push(Missing {
                role: EvidenceRole::PlateCrop,
                at: Some(at.time),
                reason,
            }),
        }
    }

    /// Draws the event as it was at `at` on a picture of then, with a note of what
    /// that picture is.
    fn still(
        &self,
        at: FrameTime,
        frame: &Frame,
        (source, note): (&Source<'_>, Option<Words>),
        set: &mut Set,
    ) -> Result<(), Words> {
        let event = source.event;
        let off = frame.time.since(at.time).0;
        let is_old = off.abs() > NEAR_S;
        let moment = if is_old {
            self.trail().moment_between(event, frame.time)
        } else {
            self.trail().moment(event, at, frame.time)
        };
        let teller = Teller {
            language: Language::Vi,
            utc_offset_min: self.publisher.scene.utc_offset_min,
        };
        let scene = &self.publisher.scene;
        let drawn = stills::draw(event, Some(&moment), scene, &Canvas::Frame(frame), &teller)
            .map_err(|error| {
                tracing::error!(camera = %event.camera, id = %event.id, %error, "still not drawn");
                Words::new(format!("không vẽ được ảnh: {error}"), error.to_string())
            })?;
        let mut notes = source.notes.clone();
        let is_stand_in = note.is_some();
        notes.extend(note);
        if is_old && !is_stand_in {
            notes.push(Words::new(
                format!("ảnh được giữ lại gần nhất, lệch {off:+.0} s với thời điểm cần thiết"),
                format!("the nearest picture that was kept, {off:+.0} s from the moment that is asked for"),
            ));
        } else if off.abs() > SAME_S {
            let (vi, en) = (
                "lệch với hình đã phân tích",
                "from the picture that was looked at",
            );
            notes.push(Words::new(
                format!("{:.0} ms {vi}", off * 1000.0),
                format!("{:.0} ms {en}", off * 1000.0),
            ));
        }
        // Elsewhere in a picture of another moment, so not written down for it.
        let is_of_then = off.abs() <= NEARLY_S;
        for still in drawn {
            let item = self
                .publisher
                .put(event, &still.jpeg, still.role, frame.time)?;
            if is_of_then {
                let own = moment.actors.iter().map(|actor| actor.bounds);
                set.places.insert(item.sha256, own.collect());
            }
            set.items.push(EvidenceItem {
                note: joined(&notes),
                ..item
            });
        }
        Ok(())
    }

    /// Where the plate is to be seen: in the look that showed it best to the vote
    /// that the event states, so that crop and words are of one plate; without
    /// one, where the detector saw it largest.
    fn plate(&self, event: &Event, cut: &Cut) -> Option<(FrameTime, NormBox)> {
        let span = cut.span()?;
        let actor = event.actors.first()?;
        let read = actor.plate.as_ref().and_then(|plate| plate.best);
        let read = read.filter(|view| (span.0..=span.1).contains(&view.at.time));
        read.map(|view| (view.at, view.bounds))
            .or_else(|| self.trail().best_plate(actor.track, span))
    }

    fn plate_crop(&self, event: &Event, frame: &Frame, bounds: &NormBox, set: &mut Set) {
        let stored = stills::crop(frame, bounds)
            .map_err(|error| Words::new(format!("không cắt được: {error}"), error.to_string()))
            .and_then(|jpeg| {
                let role = EvidenceRole::PlateCrop;
                self.publisher.put(event, &jpeg, role, frame.time)
            });
        match stored {
            Ok(item) => set.items.push(item),
            Err(reason) => set.missing.push(Missing {
                role: EvidenceRole::PlateCrop,
                at: Some(frame.time),
                reason,
            }),
        }
    }
}

/// The picture of an instant.
fn nearest(cut: &Cut, time: EventTime) -> Option<&AccessUnit> {
    let away = |unit: &&AccessUnit| unit.time.since(time).0.abs();
    let units = cut.units.iter();
    let nearest = units.min_by(|a, b| away(a).total_cmp(&away(b)))?;
    (away(&nearest) <= NEAR_S).then_some(nearest)
}

/// Whether what two streams show at an instant is one moment. By two clocks they may be
/// a second apart: the box would be around the next vehicle.
fn is_one_clock(main: &Cut, detect: &Cut, at: EventTime) -> bool {
    let quality = |cut: &Cut| nearest(cut, at).map(|unit| unit.time_quality);
    let (main, detect) = (quality(main), quality(detect));
    main == detect && main != Some(TimeQuality::Unknown)
}

/// What keeps the main stream from showing what was decided on the other one:
/// places are fractions of the picture, and mean the same only in pictures of
/// one shape.
fn shape_fault(main: &Cut, detect: &Cut) -> Option<Words> {
    let shape = |cut: &Cut| {
        let format = &cut.units.first()?.format;
        Some((format.width, format.height))
    };
    let (main, detect) = (shape(main)?, shape(detect)?);
    (!is_same_shape(main, detect)).then(|| other_shape(main, detect))
}

/// What two streams of different shapes mean, and what to do.
pub(crate) fn other_shape(main: (u32, u32), detect: (u32, u32)) -> Words {
    let ((a, b), (c, d)) = (main, detect);
    Words::new(
        format!(
            "Bằng chứng lấy từ luồng phụ {c}×{d}, vì luồng chính {a}×{b} có tỷ lệ khác; đặt cùng \
             tỷ lệ trên máy ảnh"
        ),
        format!(
            "evidence is of the sub-stream ({c}×{d}), because the main stream ({a}×{b}) has another \
             shape, so places would not fit; give both the same shape at the camera"
        ),
    )
}

/// Whether pictures of these sizes have one shape, up to what encoders crop.
pub(crate) fn is_same_shape(a: (u32, u32), b: (u32, u32)) -> bool {
    let aspect = |(width, height): (u32, u32)| f64::from(width) / f64::from(height.max(1));
    (aspect(a) / aspect(b) - 1.0).abs() <= 0.02
}

fn joined(notes: &[Words]) -> Option<Words> {
    let all = |word: fn(&Words) -> &str| {
        let words: Vec<&str> = notes.iter().map(word).collect();
        words.join("; ")
    };
    (!notes.is_empty()).then(|| Words::new(all(|w| &w.vi), all(|w| &w.en)))
}

fn gone() -> Words {
    Words::new(
        "không còn hình của lúc đó",
        "the picture of then was not kept, or could not be decoded",
    )
}

/// Of a picture that is shown instead of a damaged one.
fn stand_in() -> Words {
    Words::new(
        "hình đúng lúc đó bị hỏng; đây là hình nguyên vẹn gần nhất",
        "the picture of that moment is damaged; this is the nearest one that is whole",
    )
}

fn damaged() -> Words {
    Words::new(
        "hình của lúc đó bị hỏng trên đường truyền, và không có hình nguyên vẹn nào gần đó",
        "the picture of then was damaged on its way from the camera, and none near it is whole",
    )
}

fn cut_off(longest_s: f64) -> Words {
    Words::new(
        format!("sự kiện còn tiếp diễn; đoạn phim dài nhất {longest_s} s"),
        format!("the event goes on; a clip is {longest_s} s long at most"),
    )
}

fn shortfall(shortfall: Shortfall) -> Words {
    let (vi, en) = match shortfall {
        Shortfall::Nothing => (
            "camera không gửi hình trong lúc đó",
            "the camera sent no pictures then",
        ),
        Shortfall::BeganLate => (
            "bắt đầu muộn: hình trước đó không còn trong bộ nhớ",
            "begins late: what came before was not kept any more",
        ),
        Shortfall::CameLate => (
            "bắt đầu muộn: luồng hình bị ngắt hoặc đổi định dạng trước đó",
            "begins late: the stream was lost or changed before",
        ),
        Shortfall::BrokeOff => (
            "kết thúc sớm: luồng hình bị ngắt hoặc đổi định dạng",
            "ends early: the stream was lost or changed",
        ),
        Shortfall::TooLarge => (
            "kết thúc sớm: đoạn phim đã đạt dung lượng lớn nhất cho phép trên thiết bị; hình sau đó không được giữ",
            "ends early: it is as large as this box lets a clip be (clip.largest_mb, twice clip.ring_mb); the pictures after it were not kept",
        ),
    };
    Words::new(vi, en)
}
