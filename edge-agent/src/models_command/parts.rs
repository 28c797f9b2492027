//! Which part of a labelled road user a cascade would show its model, and when it would show none.
//!
//! Parts are cut and refused by `edge-cascade`, as they are live, so that a model is trained and
//! measured with what it will see. What labels do not say (who rides on what, how clear a picture
//! is, which end is seen) is not asked for.

use case_bundle::aside;
use clap::Args;
use edge_cascade::{Crop, is_covered_by};
use edge_core::marks::is_mark;
use edge_inference::evaluate::average_precision::{Rectangle, Truth};
use edge_inference::evaluate::labels::{LabelledPicture, class_of};
use protocol::{NormBox, ObjectClass};

/// Which part of a road user a cascade shows.
#[derive(Clone, Debug, Args)]
pub(super) struct CropArgs {
    /// Show the parts that a cascade with this `crop` cuts out of the labelled boxes:
    /// `whole`, `upper`, `lower`, `windscreen`, `driver`, `riders`.
    #[arg(long, value_name = "PART", value_parser = crop_of)]
    pub(super) crop: Option<Crop>,
    /// As the cascade's `margin`.
    #[arg(long, default_value_t = 0.05, value_name = "PART")]
    pub(super) margin: f64,
    /// As the cascade's `min_height_px`: lower parts are not looked at.
    #[arg(long, default_value_t = 48.0, value_name = "PIXELS")]
    pub(super) min_height_px: f64,
    /// Where road users and marks have boxes of their own: which are the road users, as the
    /// cascade's `on`; of `--crop riders` the persons who ride.
    #[arg(long, value_name = "CLASS", value_delimiter = ',', value_parser = on_of)]
    pub(super) on: Vec<ObjectClass>,
}

fn crop_of(word: &str) -> Result<Crop, String> {
    let words = Crop::ALL.map(|(word, _)| word).join(", ");
    Crop::of_word(word).ok_or_else(|| format!("is one of {words}"))
}

fn on_of(word: &str) -> Result<ObjectClass, String> {
    class_of(word).ok_or_else(|| "is no class; write for example person,motorcycle".to_owned())
}

impl CropArgs {
    /// Whether a detector is to be shown parts.
    pub(super) const fn is_given(&self) -> bool {
        self.crop.is_some()
    }

    /// Which part is shown.
    pub(super) fn part_shown(&self) -> Crop {
        self.crop.unwrap_or(Crop::Whole)
    }

    /// The part of a road user that a cascade would show in a picture of this height, among others.
    pub(super) fn shown(
        &self,
        user: User,
        others: &Users,
        height: u32,
    ) -> Result<NormBox, Unshown> {
        // Who rides is labelled by itself, so each box is a rider.
        let (crop, rider) = (self.part_shown(), [user.bounds]);
        let parts = crop.parts(&user.bounds, &rider, self.margin);
        let part = (parts.first())
            .filter(|part| part.height * f64::from(height) >= self.min_height_px)
            .ok_or(Unshown::Small)?;
        if !crop.is_whole(&user.bounds, &rider) {
            return Err(Unshown::Cut);
        }
        let is_covered = others.0.iter().any(|other| {
            !self.may_ride_together(user, *other)
                && is_covered_by(&other.bounds, &user.bounds, part)
        });
        if is_covered {
            return Err(Unshown::Covered);
        }
        Ok(*part)
    }

    /// Whether two may be rider and machine or two riders of one, who do not cover each other.
    /// Labels do not say who rides with whom.
    fn may_ride_together(&self, one: User, other: User) -> bool {
        let may_ride = |user: User| match user.class {
            Some(class) => matches!(
                class,
                ObjectClass::Person | ObjectClass::Bicycle | ObjectClass::Motorcycle
            ),
            None => !matches!(self.part_shown(), Crop::Windscreen | Crop::Driver),
        };
        may_ride(one) && may_ride(other)
    }

    /// What of a picture its cascade's detector would be shown.
    pub(super) fn parts_of(
        &self,
        picture: &LabelledPicture,
        size: (u32, u32),
        passed_over: &mut PassedOver,
    ) -> Vec<NormBox> {
        let users = Users::beside_marks(picture, size);
        let is_asked = |user: &&User| {
            self.on.is_empty() || user.class.is_some_and(|class| self.on.contains(&class))
        };
        let mut parts = Vec::new();
        for user in users.0.iter().filter(is_asked) {
            match self.shown(*user, &users, size.1) {
                Ok(part) => parts.push(part),
                Err(why) => passed_over.count(why),
            }
        }
        parts
    }
}

/// A labelled road user.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct User {
    /// `None` where its category says only what is true of it.
    pub(super) class: Option<ObjectClass>,
    /// In fractions of the picture.
    pub(super) bounds: NormBox,
}

impl User {
    /// In a box with this category.
    pub(super) fn new(category: Option<ObjectClass>, bounds: NormBox) -> Self {
        let class = category.filter(|class| !is_mark(*class));
        Self { class, bounds }
    }
}

/// The road users of a picture, as far as they are labelled one by one.
pub(super) struct Users(Vec<User>);

impl Users {
    /// Where each box is a road user's, and its category may be an answer: `no_helmet`, `cannot_tell`.
    pub(super) fn by_answers(picture: &LabelledPicture, size: (u32, u32)) -> Self {
        let known = picture.labels.iter();
        let known = known.map(|(class, truth)| (Some(*class), truth));
        let others = picture.without_word.iter().map(|(_, truth)| (None, truth));
        Self::of(known.chain(others), picture, size)
    }

    /// Where marks have boxes of their own.
    pub(super) fn beside_marks(picture: &LabelledPicture, size: (u32, u32)) -> Self {
        let users = picture.labels.iter().filter(|(class, _)| !is_mark(*class));
        Self::of(
            users.map(|(class, truth)| (Some(*class), truth)),
            picture,
            size,
        )
    }

    fn of<'l>(
        boxes: impl Iterator<Item = (Option<ObjectClass>, &'l Truth)>,
        picture: &LabelledPicture,
        size: (u32, u32),
    ) -> Self {
        let boxes = boxes.filter(|(_, truth)| !truth.is_crowd);
        let user = |(category, truth): (_, &Truth)| {
            User::new(category, in_fractions(picture, &truth.bounds, size))
        };
        Self(boxes.map(user).collect())
    }
}

/// Why a cascade would not show a part.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Unshown {
    /// It has too few pixels.
    Small,
    /// What it is to show may go on beyond the picture's edge.
    Cut,
    /// Somebody nearer stands before it.
    Covered,
}

/// How many parts a cascade would not show.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct PassedOver {
    pub(super) small: usize,
    pub(super) cut: usize,
    pub(super) covered: usize,
}

impl PassedOver {
    pub(super) fn count(&mut self, why: Unshown) {
        *match why {
            Unshown::Small => &mut self.small,
            Unshown::Cut => &mut self.cut,
            Unshown::Covered => &mut self.covered,
        } += 1;
    }

    /// What is to be said of them.
    pub(super) fn words(&self, min_height_px: f64) -> Vec<String> {
        let low = format!("are lower than {min_height_px} pixels (--min-height-px)");
        let whys = [
            (self.small, low.as_str()),
            (self.cut, "are cut off by the picture's edge"),
            (self.covered, "are behind somebody nearer"),
        ];
        let whys = whys.into_iter().filter(|(count, _)| *count > 0);
        whys.map(|(count, why)| format!("{count} part(s) {why}"))
            .collect()
    }

    /// Says so.
    pub(super) fn tell(&self, min_height_px: f64) {
        for words in self.words(min_height_px) {
            aside!("note: {words}, and are passed over, as live");
        }
    }
}

/// A box of the labels in fractions of the picture.
pub(super) fn in_fractions(
    picture: &LabelledPicture,
    bounds: &Rectangle,
    size: (u32, u32),
) -> NormBox {
    let (width, height) = picture.size.unwrap_or(size);
    let (width, height) = (f64::from(width.max(1)), f64::from(height.max(1)));
    NormBox {
        x: bounds.x / width,
        y: bounds.y / height,
        width: bounds.width / width,
        height: bounds.height / height,
    }
}

/// Whether the middle of a mark lies in a part.
pub(super) fn is_middle_in(part: &NormBox, mark: &NormBox) -> bool {
    let middle = mark.centre();
    (part.x..=part.right()).contains(&middle.x) && (part.y..=part.bottom()).contains(&middle.y)
}

#[cfg(test)]
mod tests {
    use edge_inference::evaluate::LabelSet;

    use super::*;

    /// A picture of a thousand pixels each way with these boxes, and what is shown of each.
    #[track_caller]
    fn check(crop: Crop, boxes: &[(&str, [i32; 4])], expected: &[Option<Unshown>]) {
        let categories = ["person", "motorcycle", "car", "no_helmet", "phone"];
        let number = |name: &str| {
            (categories.iter())
                .position(|known| *known == name)
                .unwrap()
        };
        let categories: Vec<String> = (categories.iter().enumerate())
            .map(|(number, name)| format!(r#"{{"id": {number}, "name": "{name}"}}"#))
            .collect();
        let boxes: Vec<String> = (boxes.iter())
            .map(|(name, bbox)| {
                let category = number(name);
                format!(r#"{{"image_id": 1, "category_id": {category}, "bbox": {bbox:?}}}"#)
            })
            .collect();
        let labels = LabelSet::parse(&format!(
            r#"{{"images": [{{"id": 1, "file_name": "a.png", "width": 1000, "height": 1000}}],
                "categories": [{}], "annotations": [{}]}}"#,
            categories.join(", "),
            boxes.join(", ")
        ));
        let labels = labels.unwrap();
        let args = CropArgs {
            crop: Some(crop),
            margin: 0.0,
            min_height_px: 48.0,
            on: Vec::new(),
        };
        let users = Users::by_answers(&labels.pictures[0], (1000, 1000));
        let shown = users.0.iter();
        let shown: Vec<Option<Unshown>> = shown
            .map(|user| args.shown(*user, &users, 1000).err())
            .collect();
        assert_eq!(shown, expected, "{crop:?} of {boxes:?}");
    }

    #[test]
    fn what_may_go_on_beyond_the_edge_and_what_is_small_is_not_shown() {
        let boxes = [
            ("person", [100, 100, 60, 200]),
            // Whose head may be beyond the upper edge, or who is half in the picture.
            ("person", [200, 0, 60, 200]),
            ("person", [940, 400, 60, 200]),
            ("person", [300, 995, 60, 5]),
        ];
        let expected = [
            None,
            Some(Unshown::Cut),
            Some(Unshown::Cut),
            Some(Unshown::Small),
        ];
        check(Crop::Whole, &boxes, &expected);
        check(Crop::Riders, &boxes, &expected);
    }

    #[test]
    fn who_is_behind_somebody_nearer_is_not_shown() {
        let behind_a_car = [
            ("person", [100, 300, 60, 200]),
            ("car", [80, 400, 300, 200]),
        ];
        check(Crop::Whole, &behind_a_car, &[Some(Unshown::Covered), None]);
        // What the car hides is not what is shown.
        check(Crop::Upper, &behind_a_car, &[None, None]);
        // Who stands before it hides a seventh of it at the most.
        let before_a_corner = [
            ("person", [100, 450, 40, 200]),
            ("car", [80, 400, 300, 200]),
        ];
        check(Crop::Lower, &before_a_corner, &[None, None]);
        let before_the_wheel = [
            ("person", [250, 420, 100, 200]),
            ("car", [80, 400, 300, 200]),
        ];
        let of_both = [None, Some(Unshown::Covered)];
        check(Crop::Whole, &before_the_wheel, &of_both);
    }

    /// A passenger is half behind the driver, and live that is no reason: they are one road user.
    #[test]
    fn who_may_ride_with_somebody_is_shown_behind_him() {
        let ride = [
            ("person", [100, 300, 60, 200]),
            ("person", [120, 310, 60, 210]),
            ("motorcycle", [90, 400, 120, 140]),
        ];
        check(Crop::Riders, &ride, &[None, None, None]);
        // Boxes are of riders, and say what they have on their heads.
        let answers = [
            ("no_helmet", [100, 300, 60, 200]),
            ("no_helmet", [120, 310, 60, 210]),
        ];
        check(Crop::Riders, &answers, &[None, None]);
        // Of a windscreen they are vehicles.
        let vehicles = [
            ("phone", [100, 300, 200, 200]),
            ("no_helmet", [150, 310, 200, 210]),
        ];
        check(Crop::Driver, &vehicles, &[Some(Unshown::Covered), None]);
    }
}
