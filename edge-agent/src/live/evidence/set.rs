//! The set of files that proves one event.

mod decoded;
mod looks;

use case_bundle::manifest::ActorPlaces;
use edge_video::encoded::cut::{Cut, Shortfall};
use edge_video::encoded::{AccessUnit, mp4};
use protocol::event::{FrameTime, Words};
use protocol::evidence::{EvidenceRole, Missing, Span};
use protocol::plate::PlateView;
use protocol::{Digest, Event, EventTime, EvidenceItem, TimeQuality};

use super::Maker;
use super::ahead::Ahead;
use super::held::Held;
use super::pending::{Old, Pending, Taken};
use super::picture::{Choice, NEARLY_S, PLATE_S, Pictures, Stream, nearest};
use crate::case::Case;
use crate::explain::sentences::{Language, Teller};
use crate::stills::{self, Canvas};
use decoded::{Shown, decoded};

/// A picture nearer than this to the wanted instant is that one, s.
const SAME_S: f64 = 0.001;
/// How far off a picture is, is told in seconds from here on, s.
const OLD_S: f64 = 0.5;

/// Whose pictures the evidence of an event is made of.
struct Source<'a> {
    event: &'a Event,
    /// What the clip should show.
    asked: Span,
    /// Why not all has been waited for.
    hurry: Option<Words>,
    cut: Cut,
    /// The same of the stream that was looked at, where that is another one.
    looked: Option<Cut>,
    /// Key pictures of moments from before the cut.
    album: &'a [Old],
    /// The main stream's, while another one is looked at.
    is_main: bool,
    /// Where the pictures are from, where that must be said.
    notes: Vec<Words>,
}

/// What is there, and what is not.
#[derive(Default)]
pub(super) struct Set {
    items: Vec<EvidenceItem>,
    /// The moments that stills are wished for, and not there yet.
    owed: Vec<FrameTime>,
    /// Where the event's road users are in stills.
    places: ActorPlaces,
    missing: Vec<Missing>,
}

/// A file to be stored.
struct File<'a> {
    bytes: &'a [u8],
    role: EvidenceRole,
    captured: EventTime,
    until: Option<EventTime>,
    asked: Option<Span>,
    notes: &'a [Words],
    /// The moment that is shown as wished when this is stored.
    shows: Option<FrameTime>,
}

impl<'a> File<'a> {
    fn picture(
        jpeg: &'a [u8],
        role: EvidenceRole,
        captured: EventTime,
        notes: &'a [Words],
    ) -> Self {
        Self {
            bytes: jpeg,
            role,
            captured,
            until: None,
            asked: None,
            notes,
            shows: None,
        }
    }
}

/// What the files of an event show, and the picture of each, if that is there.
struct Sights<'a> {
    /// The frames that the rule named.
    moments: Vec<(FrameTime, Option<Choice<'a>>)>,
    /// Where the plate is to be seen, the best first.
    plates: Vec<PlateView>,
    /// The one of which there is a picture.
    plate: Option<(PlateView, Choice<'a>)>,
    looks: Vec<looks::Chosen<'a>>,
}

impl<'a> Sights<'a> {
    fn choices(&self) -> impl Iterator<Item = Choice<'a>> {
        let moments = self.moments.iter().filter_map(|(_, choice)| *choice);
        let looks = self.looks.iter().filter_map(|look| look.choice);
        let plate = self.plate.map(|(_, choice)| choice);
        moments.chain(plate).chain(looks)
    }
}

impl Source<'_> {
    fn pictures(&self) -> Pictures<'_> {
        Pictures {
            cut: &self.cut,
            looked: self.looked.as_ref(),
            album: self.album,
        }
    }
}

impl Maker {
    /// Makes the evidence of what `pending` has taken, and the case of all.
    /// `hurry`: why not all has been waited for.
    pub(super) fn make(&self, pending: &Pending, hurry: Option<Words>, ahead: &mut Ahead) {
        let set = self.files(pending, hurry, ahead);
        let wish = &pending.wish;
        self.publisher.case(Case {
            event: &wish.event,
            items: set.items,
            places: set.places,
            missing: set.missing,
            clock: wish.clock,
        });
    }

    /// Makes the files, and stores them.
    pub(super) fn files(&self, pending: &Pending, hurry: Option<Words>, ahead: &mut Ahead) -> Set {
        let source = Source {
            hurry,
            ..self.source(pending)
        };
        let mut set = Set {
            items: pending.wish.early.clone(),
            owed: pending.wish.at.clone(),
            ..Set::default()
        };
        self.clip(pending, &source, &mut set);
        self.stills(pending, &source, (&mut set, ahead));
        set
    }

    /// The pictures that files will be made of, as far as that is known by now.
    pub(super) fn pictures(&self, pending: &Pending) -> Vec<AccessUnit> {
        let source = self.source(pending);
        let sights = self.sights(pending, &source);
        sights.choices().map(|choice| choice.unit.clone()).collect()
    }

    /// Stores a file of the set. Should the agent be killed right after, its next run
    /// knows of it.
    fn put(&self, event: &Event, file: &File<'_>, set: &mut Set) -> Result<Digest, Words> {
        let item = EvidenceItem {
            until: file.until,
            asked: file.asked,
            note: joined(file.notes),
            ..self.publisher.item(file.bytes, file.role, file.captured)
        };
        let held = Held {
            items: set.items.clone(),
            next: vec![item.clone()],
            at: Some(set.owed.clone()),
            shown: file.shows,
        };
        self.publisher.hold(event, &held);
        self.publisher
            .put(event, file.bytes, file.role, file.captured)?;
        let digest = item.sha256;
        set.items.push(item);
        set.owed.retain(|at| Some(*at) != file.shows);
        Ok(digest)
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
            looked: None,
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
            None if !shows(&main) && shows(&detect) => Words::new(
                "từ luồng phụ, vì luồng chính bị mất",
                "of the sub-stream, because the main stream was lost",
            ),
            None if !shows(&detect) || is_one_clock(&main, &detect, decided) => {
                let looked = Some(detect);
                return Source {
                    looked,
                    ..from(main, &pending.main, true, None)
                };
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
        let file = File {
            bytes: &file,
            role: EvidenceRole::Clip,
            captured: from,
            until: Some(to),
            asked: is_short.then_some(source.asked),
            notes: &notes,
            shows: None,
        };
        if let Err(reason) = self.put(event, &file, set) {
            set.missing.push(missing(reason));
        }
    }

    /// Which pictures show what there is to show.
    fn sights<'a>(&self, pending: &Pending, source: &'a Source<'_>) -> Sights<'a> {
        let wish = &pending.wish;
        let event = &wish.event;
        let pictures = source.pictures();
        // What was looked at has been drawn already, when it was decided.
        let is_drawn = |at: &FrameTime| !wish.early.is_empty() && at.time == event.decided.time;
        let is_wanted = |at: &&FrameTime| source.is_main || !is_drawn(at);
        let moments = wish.at.iter().filter(is_wanted);
        let moments = moments.map(|at| (*at, pictures.of_moment(at.time)));
        let plates = self.plates(event, &source.cut);
        let plate = plates.iter().find_map(|seen| {
            let choice = pictures.of_plate(seen.at.time)?;
            Some((*seen, choice))
        });
        Sights {
            moments: moments.collect(),
            plate,
            looks: looks::choices(source),
            plates,
        }
    }

    fn stills(&self, pending: &Pending, source: &Source<'_>, (set, ahead): (&mut Set, &mut Ahead)) {
        let sights = self.sights(pending, source);
        let chosen: Vec<Choice<'_>> = sights.choices().collect();
        let decoded = decoded(source.event, &source.pictures(), &chosen, ahead);
        let Sights {
            moments,
            plates,
            plate,
            looks,
        } = sights;
        for (at, choice) in moments {
            let is_spare = |old: &Old| old.at.time == at.time && old.unit.is_none();
            let fault = match choice {
                Some(choice) => decoded
                    .of(choice)
                    .and_then(|picture| self.still(at, picture, source, set)),
                None if source.album.iter().any(is_spare) => Err(spare()),
                None => Err(gone()),
            };
            if let Err(reason) = fault {
                set.missing.push(Missing {
                    role: EvidenceRole::StillAnnotated,
                    at: Some(at.time),
                    reason,
                });
            }
        }
        self.look_crops(&looks, &decoded, source, set);
        let crop = match plate {
            Some((seen, choice)) => {
                let crop = decoded
                    .of(choice)
                    .and_then(|picture| self.plate_crop(seen, picture, source, set));
                crop.map_err(|reason| (seen.at, reason))
            }
            None => plates
                .first()
                .map_or(Ok(()), |seen| Err((seen.at, no_look()))),
        };
        if let Err((at, reason)) = crop {
            set.missing.push(Missing {
                role: EvidenceRole::PlateCrop,
                at: Some(at.time),
                reason,
            });
        }
    }

    /// Draws the event as it was at `at` on a picture of then.
    fn still(
        &self,
        at: FrameTime,
        picture: Shown<'_>,
        source: &Source<'_>,
        set: &mut Set,
    ) -> Result<(), Words> {
        let (event, frame) = (source.event, picture.frame);
        let off = frame.time.since(at.time).0;
        // Elsewhere in a picture of another moment: a wrong box accuses.
        let is_of_then = off.abs() <= NEARLY_S;
        let moment = if is_of_then {
            self.trail().moment(event, at, frame.time)
        } else {
            self.trail().moment_between(event, frame.time)
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
        let notes = notes_of(source, picture, off);
        for still in drawn {
            let is_last = still.role == EvidenceRole::StillAnnotated;
            let file = File {
                shows: is_last.then_some(at),
                ..File::picture(&still.jpeg, still.role, frame.time, &notes)
            };
            let digest = self.put(event, &file, set)?;
            if is_of_then {
                let own = moment.actors.iter().map(|actor| actor.bounds);
                set.places.insert(digest, own.collect());
            }
        }
        Ok(())
    }

    /// Where the plate is to be seen: in the look that showed it best to the vote
    /// that the event states, so that crop and words are of one plate; else where the
    /// detector saw it largest.
    fn plates(&self, event: &Event, cut: &Cut) -> Vec<PlateView> {
        let Some(actor) = event.actors.first() else {
            return Vec::new();
        };
        let read = actor.plate.as_ref().and_then(|plate| plate.best);
        let seen = cut
            .span()
            .and_then(|span| self.trail().best_plate(actor.track, span));
        read.into_iter().chain(seen).collect()
    }

    fn plate_crop(
        &self,
        plate: PlateView,
        picture: Shown<'_>,
        source: &Source<'_>,
        set: &mut Set,
    ) -> Result<(), Words> {
        let frame = picture.frame;
        let off = frame.time.since(plate.at.time).0;
        // What stands in for a damaged picture shows something else in that place.
        if off.abs() > PLATE_S {
            return Err(damaged());
        }
        let jpeg = stills::crop(frame, &plate.bounds)
            .map_err(|error| Words::new(format!("không cắt được: {error}"), error.to_string()))?;
        let notes = notes_of(source, picture, off);
        let file = File::picture(&jpeg, EvidenceRole::PlateCrop, frame.time, &notes);
        self.put(source.event, &file, set).map(|_| ())
    }
}

/// What must be known of a picture that shows a moment `off` seconds from it.
fn notes_of(source: &Source<'_>, picture: Shown<'_>, off: f64) -> Vec<Words> {
    let mut notes = source.notes.clone();
    if picture.is_stand_in {
        notes.push(stand_in());
    }
    if picture.stream == Stream::Looked {
        notes.push(Words::new(
            "từ luồng phụ, vì luồng chính không có hình đúng lúc đó",
            "of the sub-stream, because the main stream has no picture of just then",
        ));
    } else if source.looked.is_some() && picture.frame.time_quality == TimeQuality::Arrival {
        notes.push(Words::new(
            "camera không báo giờ của hình: hình luồng chính và kết quả phân tích luồng phụ có thể lệch nhau \
             vài phần mười giây",
            "the camera tells no times of its pictures: this one, of the main stream, and what was seen in the \
             sub-stream may be some tenths of a second apart",
        ));
    }
    if off.abs() > OLD_S && !picture.is_stand_in {
        notes.push(Words::new(
            format!("ảnh được giữ lại gần nhất, lệch {off:+.0} s với thời điểm cần thiết"),
            format!(
                "the nearest picture that was kept, {off:+.0} s from the moment that is asked for"
            ),
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
    notes
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

/// A key picture stands for one moment only.
fn spare() -> Words {
    Words::new(
        "hình gần nhất còn giữ đã dùng cho thời điểm kế tiếp",
        "the nearest picture that was kept shows the moment after it",
    )
}

/// Another picture's part at that place may be another's plate.
fn no_look() -> Words {
    Words::new(
        "không còn hình của đúng lúc thấy biển số",
        "no picture of just the moment at which it was seen was kept",
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
