//! Plates of those who are followed: what the looks at each vehicle say
//! together, and the events that wait for it.
//!
//! A plate never holds an event up. An event carries what is known of the plate
//! when it is raised; it is told again, in a further revision, when the plate is
//! first stated, when what was stated turns out otherwise, and once when there is
//! a last word: the vehicle is gone and no answer about it can come any more
//! ([`MOST_LATE_S`] after it was last seen), or it was waited for [`MOST_WAIT_S`].
//!
//! Who was out of sight for more than [`BREAK_S`] may be another when it is seen again:
//! a car that parks where another has left. Its looks are counted anew, and what was
//! told of events before stands.
//!
//! Rules know nothing of this, so revisions are counted here: a rule's own
//! second revision comes after the plate's.

use std::collections::{BTreeMap, BTreeSet};

use ::plates::{
    Ballot, Candidate, Carrier, Cause, Circumstances, Grammar, PlateColour, Quorum, Reading,
    Unstated,
};
use protocol::event::{FrameTime, Phase, SecondModel, Words};
use protocol::plate::{NumberPlate, PlateCharacter, PlateCorrection, PlateView};
use protocol::units::rounded;
use protocol::{Event, EventId, EventTime, ObjectClass, TrackId};

use crate::input::Output;
use crate::marks::Mark;
use crate::second_look::{CascadeUse, MOST_LATE_S, PlateText, SecondLook};
use crate::tracker::Track;

/// Neighbouring pictures make the same mistake, so looks closer than this are one, s.
const APART_S: f64 = 0.2;
/// Who was out of sight for longer may be another, s.
const BREAK_S: f64 = 1.0;
/// For a plate that is not stated an event waits so long for its last word, s of the scene.
pub(crate) const MOST_WAIT_S: f64 = 10.0;
/// Looks that vote for one track; they were chosen, so there are few.
const MOST_LOOKS: usize = 64;
/// Kinds of corrections that are told of a track.
const MOST_CORRECTIONS: usize = 32;
/// Events that wait for a plate at once, or are revised for one.
const MOST_CASES: usize = 256;

/// The plates of a scene.
#[derive(Clone, Debug, Default)]
pub(crate) struct PlateBoard {
    /// Where the camera reads plates.
    reads: Option<Reads>,
    files: BTreeMap<TrackId, File>,
    cases: BTreeMap<EventId, Case>,
    /// Tracks that were looked at by the input at hand.
    news: BTreeSet<TrackId>,
    /// When those who may have a plate were last in sight.
    sightings: BTreeMap<TrackId, Sighting>,
    /// What was known until the input at hand of those who came back in it.
    closing: BTreeMap<TrackId, File>,
}

#[derive(Clone, Copy, Debug)]
struct Sighting {
    at: FrameTime,
    /// Whether somebody looked since and did not see it, or nobody looked.
    was_missed: bool,
}

#[derive(Clone, Debug)]
struct Reads {
    grammar: Grammar,
    on: Vec<ObjectClass>,
}

/// What is known of one track's plate.
#[derive(Clone, Debug, Default)]
struct File {
    ballot: Ballot,
    /// Looks at frames before this are of whoever was here then, µs.
    since: Option<i64>,
    /// When it was looked at, µs.
    looks: BTreeSet<i64>,
    /// The models of those looks.
    by: BTreeSet<SecondModel>,
    /// Looks that showed a plate on which nothing could be read.
    unreadable: u64,
    /// Looks whose plate might have been somebody else's.
    ambiguous: u64,
    corrections: BTreeMap<(usize, char, char, &'static str), u64>,
    /// What looks said of its ground, as long as they agree.
    colour: Option<PlateColour>,
    do_colours_differ: bool,
    /// Of each text the look with the surest characters: a sharp look at a neighbour
    /// shows the neighbour's plate.
    best: BTreeMap<String, (f64, PlateView)>,
}

/// An event whose actors have plates.
#[derive(Clone, Debug)]
struct Case {
    /// As it was published last.
    event: Event,
    /// Revisions that were published for a plate.
    added: u32,
    /// Actors whose plate may still change.
    waits: BTreeMap<TrackId, Wait>,
    /// Actors who were out of sight since: what is read now may be another's plate.
    closed: BTreeSet<TrackId>,
}

/// What an event was told of a plate that may still change.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Wait {
    /// It waits for the last word.
    Open,
    /// It was waited for long enough, and said so. It may be stated all the same.
    Told,
}

/// A look at the plate of somebody in a frame, by some models.
pub(crate) struct PlateLook<'a> {
    pub(crate) at: FrameTime,
    pub(crate) track: TrackId,
    pub(crate) class: ObjectClass,
    pub(crate) plates: &'a [PlateText],
    pub(crate) by: &'a [SecondModel],
}

impl<'a> PlateLook<'a> {
    /// What `look` has read at `one`.
    pub(crate) fn of(look: &'a SecondLook, plates: &'a [PlateText], one: &Carrier) -> Self {
        Self {
            at: look.at,
            track: one.id,
            class: one.class,
            plates,
            by: &look.by,
        }
    }
}

/// Who is there now.
#[derive(Clone, Copy)]
pub(crate) struct Present<'a> {
    pub(crate) followed: &'a [Track],
    /// The frame that was looked at last.
    pub(crate) seen: Option<FrameTime>,
    pub(crate) clock: Option<EventTime>,
}

impl PlateBoard {
    pub(crate) fn of(cascades: &[CascadeUse]) -> Self {
        let readers = cascades.iter().filter(|cascade| cascade.reads_plates);
        let on: Vec<ObjectClass> = readers.flat_map(|cascade| cascade.on.clone()).collect();
        Self {
            reads: (!on.is_empty()).then(|| Reads {
                grammar: Grammar::vietnam(),
                on,
            }),
            ..Self::default()
        }
    }

    /// Takes a look at the plate of somebody in a frame of `carriers`. Returns the plate as a
    /// mark, where it is certainly theirs.
    pub(crate) fn hear(
        &mut self,
        look: &PlateLook<'_>,
        carriers: &[Carrier],
        aspect: f64,
    ) -> Option<Mark> {
        let PlateLook {
            at,
            track,
            class,
            plates,
            by,
        } = *look;
        let reads = self.reads.as_ref()?;
        let carrier = |plate: &PlateText| ::plates::carrier(&plate.bounds, carriers, aspect);
        let own: Vec<&PlateText> = plates.iter().filter(|p| carrier(p) == Ok(track)).collect();
        let readings = own.iter().filter_map(|plate| {
            let known = Circumstances {
                vehicle: Some(class),
                colour: plate.colour.map(PlateColour::from),
            };
            let reading = ::plates::read(&reads.grammar, &plate.rows(), known).ok()?;
            Some((*plate, reading))
        });
        let mut readings: Vec<(&PlateText, Reading)> = readings.collect();
        // What is written on a lorry fits no plate. Where several do, nobody knows which it is.
        let read = if readings.len() == 1 {
            readings.pop()
        } else {
            None
        };
        let shown = read
            .as_ref()
            .map_or_else(|| own.first().copied(), |(plate, _)| Some(*plate));
        let mark = shown.map(|plate| Mark {
            class: ObjectClass::Plate,
            score: plate.score,
            bounds: plate.bounds,
            is_believed: true,
            bearer: Some(track),
            person: None,
            body: None,
            is_second: true,
            is_label: false,
            shown: None,
        });
        let file = self.files.entry(track).or_default();
        let now = at.time.as_micros();
        #[allow(clippy::cast_possible_truncation)] // a fifth of a second
        let apart = (APART_S * 1e6) as i64;
        let near = now.saturating_sub(apart - 1)..now.saturating_add(apart);
        let is_near = file.looks.range(near).next().is_some();
        let is_before = file.since.is_some_and(|since| now < since);
        if is_near || is_before || file.looks.len() >= MOST_LOOKS {
            return mark;
        }
        file.looks.insert(now);
        file.by.extend(by.iter().cloned());
        self.news.insert(track);
        let Some((plate, reading)) = read else {
            let is_ambiguous = readings.len() > 1 || (own.is_empty() && !plates.is_empty());
            file.ambiguous += u64::from(is_ambiguous);
            file.unreadable += u64::from(!is_ambiguous && !own.is_empty());
            file.ballot.add_refused();
            return mark;
        };
        file.note_colour(plate.colour.map(PlateColour::from));
        file.ballot.add(&reads.grammar, &reading);
        if let Some(best) = reading.best() {
            file.note(at, plate, best);
        }
        mark
    }

    /// Puts plates on the events that were said from `said` on, and appends
    /// revisions of those whose plate has news. There will be no other look at whoever is
    /// not followed any more, but answers to earlier ones may be on their way.
    pub(crate) fn attend(&mut self, present: Present<'_>, said: usize, out: &mut Vec<Output>) {
        if self.reads.is_none() {
            return;
        }
        let Present {
            followed,
            seen,
            clock,
        } = present;
        self.note_sightings(followed, seen);
        let is_followed = |track: &TrackId| {
            let found = followed.binary_search_by(|known| known.id.cmp(track));
            found.is_ok()
        };
        // A clock that was set back, or that ended, has forgotten their frames.
        let may_be_answered_for = |sighting: &Sighting| {
            let passed = clock.map(|now| now.since(sighting.at.time).0);
            passed.is_some_and(|passed| (0.0..=MOST_LATE_S).contains(&passed))
        };
        let awaited: BTreeSet<TrackId> = (self.sightings.iter())
            .filter(|(track, last)| !is_followed(track) && may_be_answered_for(last))
            .map(|(track, _)| *track)
            .collect();
        let is_gone = |track: &TrackId| !is_followed(track) && !awaited.contains(track);
        for output in out.iter_mut().skip(said) {
            if let Output::Event(event) = output {
                self.put_on(event, is_gone);
            }
        }
        let mut cases = std::mem::take(&mut self.cases);
        cases.retain(|_, case| {
            let revision = self.bring_up_to_date(case, clock, is_gone);
            out.extend(revision.map(Output::Event));
            !case.waits.is_empty() || !case.is_over()
        });
        self.cases = cases;
        self.news.clear();
        self.closing.clear();
        self.files.retain(|track, _| !is_gone(track));
        self.sightings.retain(|track, _| !is_gone(track));
    }

    /// Nobody looked for a while.
    pub(crate) fn note_gap(&mut self) {
        for sighting in self.sightings.values_mut() {
            sighting.was_missed = true;
        }
    }

    /// Begins anew with those who come back.
    fn note_sightings(&mut self, followed: &[Track], seen: Option<FrameTime>) {
        let Some(reads) = &self.reads else { return };
        for track in followed {
            if !reads.on.contains(&track.class()) && !self.files.contains_key(&track.id) {
                continue;
            }
            let now = Sighting {
                at: track.seen,
                was_missed: seen.is_some_and(|frame| frame != track.seen),
            };
            let last = self.sightings.entry(track.id).or_insert(now);
            if track.seen == last.at {
                last.was_missed |= now.was_missed;
                continue;
            }
            let is_back = last.was_missed && track.seen.time.since(last.at.time).0 > BREAK_S;
            *last = now;
            if is_back {
                let anew = File {
                    since: Some(track.seen.time.as_micros()),
                    ..File::default()
                };
                let before = self.files.insert(track.id, anew).unwrap_or_default();
                self.closing.insert(track.id, before);
            }
        }
    }

    /// What is known of a track, for an event that was told before.
    fn file_of_known(&self, track: TrackId) -> Option<&File> {
        self.closing.get(&track).or_else(|| self.files.get(&track))
    }

    pub(crate) fn remembered(&self) -> usize {
        self.files.len() + self.cases.len()
    }

    /// The plate of one of whom this is known; `None` where nobody reads plates of its class.
    fn plate(&self, file: Option<&File>, class: ObjectClass) -> Option<NumberPlate> {
        let reads = self.reads.as_ref()?;
        let unseen = File::default();
        (reads.on.contains(&class)).then(|| file.unwrap_or(&unseen).plate(&reads.grammar, class))
    }

    /// A rule has published an event.
    fn put_on(&mut self, event: &mut Event, is_gone: impl Fn(&TrackId) -> bool) {
        let known = self.cases.remove(&event.id);
        let added = known.as_ref().map_or(0, |case| case.added);
        event.revision = event.revision.saturating_add(added);
        let mut waits = BTreeMap::new();
        let was_closed = known.as_ref().map(|case| case.closed.clone());
        let was_closed = was_closed.unwrap_or_default();
        let mut closed = was_closed.clone();
        let has_room = self.cases.len() < MOST_CASES;
        if let Some(known) = &known {
            (event.provenance).add_second(&known.event.provenance.second);
        }
        for actor in &mut event.actors {
            let last = known.as_ref().and_then(|case| case.plate(actor.track));
            if last.is_some() && self.closing.contains_key(&actor.track) {
                closed.insert(actor.track);
            }
            let is_gone = is_gone(&actor.track) || closed.contains(&actor.track);
            actor.plate = match last {
                // Its track is gone, and what was read with it.
                Some(last)
                    if was_closed.contains(&actor.track)
                        || (is_gone && !self.files.contains_key(&actor.track)) =>
                {
                    Some(last.clone())
                }
                known => {
                    let file = match known {
                        Some(_) => self.file_of_known(actor.track),
                        None => self.files.get(&actor.track),
                    };
                    let plate = self.plate(file, actor.class);
                    if plate.is_some() {
                        (event.provenance).add_second(file.iter().flat_map(|file| &file.by));
                    }
                    plate
                }
            };
            if let Some(plate) = &mut actor.plate {
                let waited = known.as_ref().and_then(|case| case.waits.get(&actor.track));
                let is_told = waited.is_some_and(|wait| *wait == Wait::Told);
                plate.is_final |= is_gone || is_told || !has_room;
                if !closed.contains(&actor.track) && (!plate.is_final || is_told) {
                    let wait = if is_told { Wait::Told } else { Wait::Open };
                    waits.insert(actor.track, wait);
                }
            }
        }
        tell_in_facts(event);
        let case = Case {
            event: event.clone(),
            added,
            waits,
            closed,
        };
        // Of one that goes on it is remembered what was read, and how many revisions there were.
        let is_needed = !case.waits.is_empty() || !case.is_over();
        if has_room && is_needed {
            self.cases.insert(event.id, case);
        }
    }

    /// A further revision of an event, if there is anything new.
    fn bring_up_to_date(
        &self,
        case: &mut Case,
        clock: Option<EventTime>,
        is_gone: impl Fn(&TrackId) -> bool,
    ) -> Option<Event> {
        let decided = case.event.decided.time;
        let is_overdue = clock.is_some_and(|now| now.since(decided).0 > MOST_WAIT_S);
        let mut is_news = false;
        for actor in &mut case.event.actors {
            let Some(wait) = case.waits.get_mut(&actor.track) else {
                continue;
            };
            let is_gone = is_gone(&actor.track) || self.closing.contains_key(&actor.track);
            let is_last = is_gone || (is_overdue && *wait == Wait::Open);
            if !is_last && !self.news.contains(&actor.track) {
                continue;
            }
            let file = self.file_of_known(actor.track);
            let mut now = self.plate(file, actor.class);
            let last = actor.plate.as_ref();
            if let Some(now) = &mut now {
                now.is_final = is_last || *wait == Wait::Told;
                let was_stated = last.and_then(NumberPlate::stated);
                let is_other = now.stated() != was_stated;
                // Of a plate that is stated already the last word is no news; of
                // one that is not, it is told once.
                let is_last_word =
                    is_last && !now.is_stated && last.is_none_or(|last| !last.is_final);
                if is_other || is_last_word {
                    is_news = true;
                    actor.plate = Some(now.clone());
                    (case.event.provenance).add_second(file.iter().flat_map(|file| &file.by));
                }
            }
            if is_gone {
                case.waits.remove(&actor.track);
            } else if is_last {
                *wait = Wait::Told;
            }
        }
        let actors = case.event.actors.iter().map(|actor| actor.track);
        let closed = actors.filter(|track| self.closing.contains_key(track));
        case.closed.extend(closed);
        if !is_news {
            return None;
        }
        let event = &mut case.event;
        case.added = case.added.saturating_add(1);
        event.revision = event.revision.saturating_add(1);
        if event.phase == Phase::Start {
            event.phase = Phase::Update;
        }
        tell_in_facts(event);
        Some(event.clone())
    }
}

impl Case {
    fn is_over(&self) -> bool {
        self.event.phase == Phase::End || self.event.ended.is_some()
    }

    fn plate(&self, track: TrackId) -> Option<&NumberPlate> {
        let actor = self
            .event
            .actors
            .iter()
            .find(|actor| actor.track == track)?;
        actor.plate.as_ref()
    }
}

/// The plate of the first actor, who is the one that the event is about, for whoever
/// reads facts only. Where that one has none there is none: another actor may be the
/// victim.
fn tell_in_facts(event: &mut Event) {
    event.facts.remove("plate");
    event.facts.remove("plate_reading");
    let first = event.actors.first();
    let Some(plate) = first.and_then(|actor| actor.plate.as_ref()) else {
        return;
    };
    let told = match &plate.reason {
        None if plate.may_be_cut => "stated; a character may be missing, count them".to_owned(),
        None => "stated".to_owned(),
        Some(reason) => reason.en.clone(),
    };
    let text = plate.display.clone();
    if !text.is_empty() {
        event.facts.insert("plate".to_owned(), text.into());
    }
    event.facts.insert("plate_reading".to_owned(), told.into());
}

impl File {
    fn note_colour(&mut self, told: Option<PlateColour>) {
        self.do_colours_differ |= told.is_some() && self.colour.is_some() && told != self.colour;
        self.colour = self.colour.or(told).filter(|_| !self.do_colours_differ);
    }

    /// Keeps how a look was read: what was corrected, and whether it is the best.
    fn note(&mut self, at: FrameTime, plate: &PlateText, read: &Candidate) {
        let surest = read.symbols.iter().map(|symbol| symbol.confidence);
        let sureness = surest.fold(1.0, f64::min);
        let best = self.best.get(&read.text);
        if best.is_none_or(|(best, _)| sureness > *best) {
            let bounds = plate.bounds;
            let view = PlateView { at, bounds };
            self.best.insert(read.text.clone(), (sureness, view));
        }
        for change in &read.corrections {
            let cause = match change.cause {
                Cause::Confusable => "confusable",
                Cause::RunnerUp => "runner_up",
                Cause::Stroke => "stroke",
            };
            let key = (change.position, change.read, change.taken, cause);
            if self.corrections.len() < MOST_CORRECTIONS || self.corrections.contains_key(&key) {
                *self.corrections.entry(key).or_default() += 1;
            }
        }
    }

    fn plate(&self, grammar: &Grammar, class: ObjectClass) -> NumberPlate {
        let known = Circumstances {
            vehicle: Some(class),
            colour: self.colour,
        };
        let verdict = self.ballot.verdict(grammar, known, Quorum::default());
        let characters = verdict.places.iter().map(|place| PlateCharacter {
            symbol: place.symbol.unwrap_or('?'),
            leading: place.leading,
            confidence: rounded(place.confidence, 3),
            share: rounded(place.share, 3),
            looks: place.looks,
        });
        let corrections = self.corrections.iter();
        let corrections =
            corrections.map(|((position, read, taken, cause), looks)| PlateCorrection {
                position: *position as u64,
                read: *read,
                taken: *taken,
                cause: (*cause).to_owned(),
                looks: *looks,
            });
        NumberPlate {
            is_stated: verdict.unstated.is_none(),
            is_final: false,
            characters: characters.collect(),
            looks: verdict.looks,
            of: verdict.of,
            corrections: corrections.collect(),
            may_be_cut: verdict.may_be_cut,
            reason: verdict.unstated.as_ref().map(|why| self.reason(why)),
            best: self.best_look(&verdict.text),
            text: verdict.text,
            display: verdict.display,
        }
    }

    /// The surest of the looks that read a text, `?` for any character; the first of equals.
    fn best_look(&self, text: &str) -> Option<PlateView> {
        let is_it = |read: &str| {
            let mut pairs = text.chars().zip(read.chars());
            text.chars().count() == read.chars().count() && pairs.all(|(a, b)| a == '?' || a == b)
        };
        let looks = self.best.iter().filter(|(read, _)| is_it(read));
        let best = looks.reduce(|best, other| if other.1.0 > best.1.0 { other } else { best });
        best.map(|(_, (_, view))| *view)
    }

    fn reason(&self, why: &Unstated) -> Words {
        match why {
            Unstated::NoReading if self.looks.is_empty() => Words::new(
                "chưa có hình nào của xe đủ rõ để đọc biển số, hoặc kết quả đến quá muộn",
                "no picture of it was good enough for a look at its plate, or the answer came too late",
            ),
            Unstated::NoReading => {
                let (looks, unreadable, ambiguous) =
                    (self.looks.len(), self.unreadable, self.ambiguous);
                Words::new(
                    format!(
                        "{looks} lần nhìn không đọc được biển số: {unreadable} lần không đọc \
                         được chữ, {ambiguous} lần không rõ là biển số của xe nào"
                    ),
                    format!(
                        "{looks} looks read no plate: {unreadable} showed one that fits no plate, \
                         {ambiguous} one that may be another vehicle's"
                    ),
                )
            }
            Unstated::TooFewLooks { have, need } => Words::new(
                format!("mới đọc được biển số {have} lần, cần {need} lần"),
                why.to_string(),
            ),
            Unstated::LengthsDisagree => Words::new(
                "các lần nhìn không thống nhất về số ký tự của biển số",
                why.to_string(),
            ),
            Unstated::SymbolsDisagree(open) => Words::new(
                format!("các lần nhìn không thống nhất hoặc không chắc về {open} ký tự"),
                why.to_string(),
            ),
            Unstated::Doubtful { have, need } => Words::new(
                format!(
                    "chỉ {have} lần nhìn đọc ra biển số này mà không có biển số nào khác gần giống, \
                     cần {need} lần"
                ),
                why.to_string(),
            ),
            Unstated::NoPlate => Words::new(
                "chuỗi ký tự đọc được không phải là biển số của loại xe này",
                why.to_string(),
            ),
            Unstated::UnverifiedForm => {
                Words::new("biển số dạng này phải do người xem xét", why.to_string())
            }
        }
    }
}

#[cfg(test)]
mod tests;
