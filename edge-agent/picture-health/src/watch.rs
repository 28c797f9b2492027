//! From looks to a condition, slowly.

use std::collections::VecDeque;

use edge_core::{Condition, Health};
use protocol::EventTime;
use protocol::units::rounded;

use crate::features::{CELLS, Features};
use crate::memory::{GOOD_FOR_S, Memory};
use crate::reference::{LEARN_S, LIGHTS, Reference, light};
use crate::shift;
use crate::thumbnail::{HEIGHT, Thumbnail};

/// When a picture is not well. The defaults are for fixed cameras over roads.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Settings {
    /// Most looks of this long must agree before a condition is said, s. A view
    /// that nothing is recognised in must last twice as long.
    pub onset_s: f64,
    /// Most looks of this long must be well before the picture is, s.
    pub clear_s: f64,
    /// Dark: nine tenths of the picture are no brighter than this, of 255.
    pub dark_luma: f64,
    /// Blocked: this part of the places that usually show something shows nothing.
    pub blocked_share: f64,
    /// Defocused: sharpness fell to this part of the usual one.
    pub defocused_ratio: f64,
    /// Moved: the picture is shifted by this, picture heights.
    pub moved_shift: f64,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            onset_s: 20.0,
            clear_s: 10.0,
            dark_luma: 36.0,
            blocked_share: 0.7,
            defocused_ratio: 0.25,
            moved_shift: 0.03,
        }
    }
}

/// Looks closer to each other are not taken, s.
const LOOK_EVERY_S: f64 = 0.5;
/// Features are averaged over this, s.
const OVER_S: f32 = 4.0;
/// Looks farther apart are not one story, s.
const HOLE_S: f64 = 10.0;
/// Part of the looks that must agree.
const MOST: f64 = 0.8;
/// Part of the span that must be covered by looks.
const COVERED: f64 = 0.8;
/// By how much a condition's threshold must be undershot to be over.
const SLACK: f64 = 0.75;

/// A cell that shows something is steeper than noise by this, luma per point.
const STRUCTURE: f32 = 2.0;
/// And shows nothing any more below this part of it.
const FLAT: f32 = 0.25;
/// A cell darker than this shows nothing because it is dark, of 255.
const BLACK: f32 = 32.0;
/// With fewer structured cells than this part, there is nothing to judge by.
const LEAST_STRUCTURE: f32 = 0.15;
/// Cells as bright relative to each other as usual, by correlation.
const SEEN_THROUGH: f32 = 0.8;
/// Without a reference, a picture is blocked where this part of it is flat.
const ALL_FLAT: f32 = 0.97;
/// And flat is what is steeper than noise by less than this, luma per point.
const BLANK: f32 = 0.8;

/// A shift is one where edges agree this well …
const RECOGNISED: f32 = 0.45;
/// … and by so much better than without.
const BETTER: f32 = 0.12;
/// Shifts that differ more are not the same, points of the thumbnail.
const SAME_SHIFT: f32 = 2.0;
/// Nothing is recognised below this part of what usually agrees …
const STRANGE: f32 = 0.35;
/// … where usually at least this agrees.
const USUAL: f32 = 0.4;

/// What one look says.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Verdict {
    condition: Condition,
    value: f64,
    threshold: f64,
    /// Where the picture moved to, points; for nothing recognised, none.
    shift: Option<(f32, f32)>,
}

#[derive(Clone, Copy, Debug)]
struct Look {
    at: EventTime,
    verdict: Option<Verdict>,
}

/// Watches one camera's picture.
#[derive(Clone, Debug)]
pub struct Watch {
    settings: Settings,
    references: [Option<Reference>; LIGHTS],
    /// The light in which the picture was last well and known.
    known_light: Option<usize>,
    recent: Option<(EventTime, Features)>,
    looks: VecDeque<Look>,
    condition: Condition,
    /// Until when an earlier run has learnt, until the first look.
    remembered: Option<EventTime>,
}

impl Watch {
    /// Knows nothing of its camera yet.
    pub fn new(settings: Settings) -> Self {
        Self {
            settings,
            references: [const { None }; LIGHTS],
            known_light: None,
            recent: None,
            looks: VecDeque::new(),
            condition: Condition::Well,
            remembered: None,
        }
    }

    /// Knows its camera from an earlier run: one that was turned in between is
    /// noticed. A memory of more than 30 days is not used.
    ///
    /// # Errors
    ///
    /// What is wrong with the memory, if it was damaged.
    pub fn remembering(settings: Settings, memory: &Memory) -> Result<Self, String> {
        Ok(Self {
            references: memory.references()?,
            known_light: memory.known_light,
            remembered: Some(memory.until),
            ..Self::new(settings)
        })
    }

    /// What is known of the camera, to be kept for the next run; nothing before
    /// the first look.
    pub fn memory(&self) -> Option<Memory> {
        let (until, _) = self.recent.as_ref()?;
        Some(Memory::of(&self.references, self.known_light, *until))
    }

    /// What was said last.
    pub fn condition(&self) -> Condition {
        self.condition
    }

    /// Whether the next look, at this time, would be taken: a thumbnail costs something.
    pub fn wants(&self, at: EventTime) -> bool {
        self.recent
            .as_ref()
            .is_none_or(|(last, _)| !(0.0..LOOK_EVERY_S).contains(&at.since(*last).0))
    }

    /// Takes a look; says when the condition changed.
    pub fn look(&mut self, thumbnail: &Thumbnail, at: EventTime) -> Option<Health> {
        if !self.wants(at) {
            return None;
        }
        if let Some(until) = self.remembered.take()
            && !(0.0..GOOD_FOR_S).contains(&at.since(until).0)
        {
            self.references = [const { None }; LIGHTS];
            self.known_light = None;
        }
        let now = Features::of(thumbnail);
        let passed = self.recent.as_ref().map(|(last, _)| at.since(*last).0);
        let passed = passed.filter(|passed| (0.0..=HOLE_S).contains(passed));
        let before = self.recent.take();
        let recent = if let (Some(passed), Some((_, mut features))) = (passed, before) {
            features.approach(&now, (passed as f32 / OVER_S).min(1.0));
            features
        } else {
            // After a hole nothing is known of the time between.
            self.looks.clear();
            now
        };
        let verdict = self.judge(&recent, thumbnail.aspect);
        self.looks.push_back(Look { at, verdict });
        let span = 2.0 * self.settings.onset_s.max(self.settings.clear_s);
        while self
            .looks
            .front()
            .is_some_and(|look| at.since(look.at).0 > span)
        {
            self.looks.pop_front();
        }
        if verdict.is_none() && self.condition.is_well() {
            let passed = passed.unwrap_or(0.0) as f32;
            self.learn(&recent, passed);
        }
        self.recent = Some((at, recent));
        self.decide(at)
    }

    fn learn(&mut self, features: &Features, passed: f32) {
        let light = light(features);
        let reference = self.references[light].get_or_insert_with(|| Reference::new(features));
        reference.learn(features, passed);
        if reference.learnt_s >= LEARN_S {
            self.known_light = Some(light);
        }
    }

    /// The reference of a kind of light, if it has been learnt.
    fn known(&self, light: usize) -> Option<&Reference> {
        self.references[light]
            .as_ref()
            .filter(|reference| reference.learnt_s >= LEARN_S)
    }

    /// The threshold at which a condition begins, or at which it is over.
    fn threshold(&self, of: Condition, begins: f64, rises: bool) -> f64 {
        match (self.condition == of, rises) {
            (false, _) => begins,
            (true, true) => begins * SLACK,
            (true, false) => begins / SLACK,
        }
    }

    /// What is wrong with the picture of the last seconds.
    fn judge(&self, recent: &Features, aspect: f32) -> Option<Verdict> {
        // In this order, because each makes the following look true.
        let own = self.known(light(recent));
        // A picture that is not well may be of another brightness than the
        // road ever is: then it is held against how the road last was.
        let last = self.known_light.and_then(|light| self.known(light));
        self.dark(recent)
            .or_else(|| self.blocked(recent, last))
            .or_else(|| self.defocused(recent, own))
            .or_else(|| self.moved(recent, own, last, aspect))
    }

    fn dark(&self, recent: &Features) -> Option<Verdict> {
        let most = self.threshold(Condition::Dark, self.settings.dark_luma, false);
        let value = f64::from(recent.bright);
        (value <= most).then_some(Verdict {
            condition: Condition::Dark,
            value,
            threshold: most,
            shift: None,
        })
    }

    fn blocked(&self, recent: &Features, reference: Option<&Reference>) -> Option<Verdict> {
        let least = self.threshold(Condition::Blocked, self.settings.blocked_share, true);
        let verdict = |share: f32, least: f64| {
            (f64::from(share) >= least).then_some(Verdict {
                condition: Condition::Blocked,
                value: f64::from(share),
                threshold: least,
                shift: None,
            })
        };
        // Noise makes every cell steep; the flattest cells say how much.
        let noise = recent.flattest();
        let Some(reference) = reference else {
            let is_blank = |cell: &&f32| **cell < noise + BLANK;
            let blank = recent.cells.iter().filter(is_blank).count();
            return verdict(blank as f32 / CELLS as f32, f64::from(ALL_FLAT));
        };
        let usual_noise = reference.features.flattest();
        let (mut structured, mut flat) = (0.0_f32, 0.0_f32);
        for (index, usual) in reference.features.cells.iter().enumerate() {
            let usual = usual - usual_noise;
            // What went dark is not covered; when all does, the picture is dark.
            if usual >= STRUCTURE && recent.cell_luma[index] >= BLACK {
                structured += 1.0;
                let is_flat = recent.cells[index] - noise < FLAT * usual;
                flat += f32::from(u8::from(is_flat));
            }
        }
        // Light and dark where they always are: seen through a blur, not covered.
        let usual = &reference.features.cell_luma;
        let is_seen_through = shift::correlation_of(usual, &recent.cell_luma) >= SEEN_THROUGH;
        if is_seen_through || structured < LEAST_STRUCTURE * CELLS as f32 {
            return None;
        }
        verdict(flat / structured, least)
    }

    fn defocused(&self, recent: &Features, reference: Option<&Reference>) -> Option<Verdict> {
        let usual = &reference?.features;
        let most = self.threshold(Condition::Defocused, self.settings.defocused_ratio, false);
        // A picture that lost contrast has lost detail by that alone, and glare
        // adds contrast without detail: both ratios must have fallen.
        let plain = recent.detail / usual.detail.max(1e-3);
        let of_contrast = |f: &Features| f.detail / (f.contrast * f.contrast).max(1.0);
        let relative = of_contrast(recent) / of_contrast(usual).max(1e-6);
        let value = f64::from(plain.max(relative));
        (value <= most).then_some(Verdict {
            condition: Condition::Defocused,
            value,
            threshold: most,
            shift: None,
        })
    }

    fn moved(
        &self,
        recent: &Features,
        own: Option<&Reference>,
        last: Option<&Reference>,
        aspect: f32,
    ) -> Option<Verdict> {
        let reference = own.or(last)?;
        let threshold = self.threshold(Condition::Moved, self.settings.moved_shift, true);
        let edges = &reference.features.edges;
        let unmoved = shift::agreement(edges, &recent.edges);
        // As well as usual: not worth a search.
        if self.condition.is_well() && unmoved >= 0.9 * reference.agreement && unmoved > RECOGNISED
        {
            return None;
        }
        let found = shift::find(edges, &recent.edges);
        // Points are as high as the picture is high / 90, and as wide as it is wide / 160.
        let across = found.x / crate::thumbnail::WIDTH as f32 * aspect;
        let down = found.y / HEIGHT as f32;
        let length = f64::from((across * across + down * down).sqrt());
        if found.agreement >= RECOGNISED {
            let is_better = found.agreement >= unmoved + BETTER || !self.condition.is_well();
            return (is_better && length >= threshold).then_some(Verdict {
                condition: Condition::Moved,
                value: length,
                threshold,
                shift: Some((found.x, found.y)),
            });
        }
        // A view in which nothing is recognised, in a light in which it always was.
        let is_strange = own.is_some_and(|own| {
            let most = if self.condition.is_well() {
                STRANGE * own.agreement
            } else {
                RECOGNISED
            };
            own.agreement >= USUAL && found.agreement < most
        });
        is_strange.then_some(Verdict {
            condition: Condition::Moved,
            value: f64::INFINITY,
            threshold,
            shift: None,
        })
    }

    /// Whether the looks of the last seconds say something else than was said.
    fn decide(&mut self, now: EventTime) -> Option<Health> {
        let Some(candidate) = self.looks.back()?.verdict else {
            return self.recover(now);
        };
        if candidate.condition == self.condition {
            return None;
        }
        let is_strange = candidate.condition == Condition::Moved && candidate.shift.is_none();
        let onset_s = self.settings.onset_s * if is_strange { 2.0 } else { 1.0 };
        let agrees = |look: &Look| {
            look.verdict
                .is_some_and(|verdict| same(&verdict, &candidate))
        };
        let since = self.agreed(now, onset_s, agrees)?;
        self.condition = candidate.condition;
        let is_measured = candidate.value.is_finite();
        Some(Health {
            time: now,
            since,
            condition: candidate.condition,
            value: is_measured.then(|| rounded(candidate.value, 3)),
            threshold: is_measured.then(|| rounded(candidate.threshold, 3)),
        })
    }

    fn recover(&mut self, now: EventTime) -> Option<Health> {
        if self.condition.is_well() {
            return None;
        }
        let since = self.agreed(now, self.settings.clear_s, |look| look.verdict.is_none())?;
        self.condition = Condition::Well;
        Some(Health {
            time: now,
            since,
            ..Health::default()
        })
    }

    /// Since when most looks agree, if they do for long enough.
    fn agreed(
        &self,
        now: EventTime,
        for_s: f64,
        agrees: impl Fn(&Look) -> bool,
    ) -> Option<EventTime> {
        let within = |look: &&Look| now.since(look.at).0 <= for_s;
        let looks = || self.looks.iter().filter(within);
        let (all, agreeing) = (looks().count(), looks().filter(|look| agrees(look)).count());
        let covered = now.since(looks().next()?.at).0;
        let is_enough = covered >= COVERED * for_s && agreeing as f64 >= MOST * all as f64;
        is_enough.then(|| looks().find(|look| agrees(look)).map(|look| look.at))?
    }
}

/// Whether two looks say the same. A camera that sways is not a camera that moved.
fn same(one: &Verdict, other: &Verdict) -> bool {
    let is_near = match (one.shift, other.shift) {
        (Some(a), Some(b)) => (a.0 - b.0).abs().max((a.1 - b.1).abs()) <= SAME_SHIFT,
        (None, None) => true,
        // While features are still being averaged, nothing may be recognised.
        _ => one.condition != Condition::Moved,
    };
    one.condition == other.condition && is_near
}
