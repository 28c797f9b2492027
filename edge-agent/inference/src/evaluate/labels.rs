//! Labelled pictures: COCO's JSON and MOTChallenge's text.

use std::collections::{BTreeMap, BTreeSet};

use protocol::ObjectClass;
use serde::Deserialize;

use super::average_precision::{Rectangle, Truth};

/// A label file that cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum LabelError {
    /// Neither of the two formats.
    #[error(
        "it is neither COCO (a JSON object with images, annotations, categories) nor MOTChallenge (lines of frame,id,left,top,width,height,…): {0}"
    )]
    Format(String),
    /// A number that cannot be.
    #[error("annotation {at}: {message}")]
    Value {
        /// Which, from 1: annotation or line.
        at: usize,
        /// What is wrong.
        message: String,
    },
    /// A picture of no size. What is seen in it would be scaled to nothing, and nothing be right.
    #[error(
        "image {id} is 0 pixels wide or high; write its `width` and `height`, or leave both out, so that the picture's \
         own count"
    )]
    Size {
        /// The image's number.
        id: u64,
    },
    /// One number for two images or two categories, or one picture by two numbers.
    #[error(
        "{what} {id} is there twice: two files were put together, and which of them an annotation means nobody can \
         tell; number those of one anew, or give the files one by one"
    )]
    Twice {
        /// Of what.
        what: &'static str,
        /// The number, or the name.
        id: String,
    },
}

/// A picture and what is on it.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct LabelledPicture {
    /// Its number in the file.
    pub id: u64,
    /// Its file, relative to the folder of pictures; none when pictures are frames of a clip.
    pub file: Option<String>,
    /// Whether somebody said that it was taken at night.
    pub is_night: Option<bool>,
    /// What is on it, in pixels of the size that the labels were made for.
    pub labels: Vec<(ObjectClass, Truth)>,
    /// The same of categories that this program has no word for, each with its name.
    pub without_word: Vec<(String, Truth)>,
    /// The camera and the day that it is of, as `aggregator labels` says.
    pub taken: Option<(String, String)>,
    /// That size, where the file tells it. A picture of another size is scaled to it.
    pub size: Option<(u32, u32)>,
}

/// All that a label file says.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct LabelSet {
    /// By id.
    pub pictures: Vec<LabelledPicture>,
    /// Classes that somebody looked for, labels or not.
    pub classes: Vec<ObjectClass>,
    /// Categories of the file that this program has no word for, with their number of labels.
    pub passed_over: BTreeMap<String, usize>,
    /// Pictures that say `complete: false`, as `aggregator labels` writes them until
    /// a person has labelled everything. They are not among `pictures`: what is
    /// unlabelled in them would count as wrong.
    pub incomplete: usize,
}

/// So much of a line that is no label is shown, characters.
const SHOWN: usize = 80;

/// Words of labelling tools for our classes, besides our own.
const OTHER_WORDS: [(&str, ObjectClass); 25] = [
    ("pedestrian", ObjectClass::Person),
    ("people", ObjectClass::Person),
    ("rider", ObjectClass::Person),
    ("bike", ObjectClass::Bicycle),
    ("cyclist", ObjectClass::Bicycle),
    ("motorbike", ObjectClass::Motorcycle),
    ("motor", ObjectClass::Motorcycle),
    ("scooter", ObjectClass::Motorcycle),
    ("lorry", ObjectClass::Truck),
    ("coach", ObjectClass::Bus),
    ("bird", ObjectClass::Animal),
    ("cat", ObjectClass::Animal),
    ("dog", ObjectClass::Animal),
    ("horse", ObjectClass::Animal),
    ("sheep", ObjectClass::Animal),
    ("cow", ObjectClass::Animal),
    ("elephant", ObjectClass::Animal),
    ("bear", ObjectClass::Animal),
    ("zebra", ObjectClass::Animal),
    ("giraffe", ObjectClass::Animal),
    ("cell_phone", ObjectClass::Phone),
    ("license_plate", ObjectClass::Plate),
    ("licence_plate", ObjectClass::Plate),
    ("number_plate", ObjectClass::Plate),
    ("seatbelt", ObjectClass::SeatBelt),
];

/// The class that a labelling tool's word means.
pub fn class_of(word: &str) -> Option<ObjectClass> {
    let word = word.trim().to_lowercase().replace([' ', '-'], "_");
    let own: ObjectClass = serde_json::from_value(serde_json::Value::String(word.clone())).ok()?;
    if own.as_str() == word && own != ObjectClass::Other {
        return Some(own);
    }
    OTHER_WORDS
        .iter()
        .find(|(other, _)| *other == word)
        .map(|(_, class)| *class)
}

impl LabelSet {
    /// Reads either format.
    pub fn parse(text: &str) -> Result<Self, LabelError> {
        // Editors on Windows begin a file with the mark of its byte order.
        let text = text.strip_prefix('\u{feff}').unwrap_or(text);
        match text.trim_start().chars().next() {
            Some('{') => Self::of_coco(text),
            Some('[') => Err(LabelError::Format(
                "it is a JSON list, as BDD100K's own labels and COCO's results are; convert it first"
                    .to_owned(),
            )),
            _ => Self::of_mot(text),
        }
    }

    fn of_coco(text: &str) -> Result<Self, LabelError> {
        let file: Coco =
            serde_json::from_str(text).map_err(|error| LabelError::Format(error.to_string()))?;
        once("image", file.images.iter().map(|image| image.id))?;
        // By two numbers each half would say of the other's labels that nobody is there.
        once("picture", file.images.iter().map(|image| &image.file_name))?;
        once(
            "category",
            file.categories.iter().map(|category| category.id),
        )?;
        let mut images = file.images.iter();
        if let Some(image) = images.find(|image| [image.width, image.height].contains(&Some(0))) {
            return Err(LabelError::Size { id: image.id });
        }
        let classes: BTreeMap<u64, Option<ObjectClass>> = file
            .categories
            .iter()
            .map(|category| (category.id, class_of(&category.name)))
            .collect();
        let (images, incomplete): (Vec<_>, Vec<_>) = file
            .images
            .into_iter()
            .partition(|image| image.complete.unwrap_or(true));
        let incomplete: BTreeSet<u64> = incomplete.into_iter().map(|image| image.id).collect();
        let mut pictures: BTreeMap<u64, LabelledPicture> = images
            .into_iter()
            .map(|image| {
                let picture = LabelledPicture {
                    id: image.id,
                    is_night: image.is_night(),
                    taken: image.taken(),
                    file: Some(image.file_name),
                    size: image.width.zip(image.height),
                    ..LabelledPicture::default()
                };
                (picture.id, picture)
            })
            .collect();
        let mut passed_over = BTreeMap::new();
        for (index, annotation) in file.annotations.iter().enumerate() {
            let refuse = |message: String| LabelError::Value {
                at: index + 1,
                message,
            };
            let [x, y, width, height] = annotation.bbox;
            if ![x, y, width, height].iter().all(|v| v.is_finite()) || width < 0.0 || height < 0.0 {
                return Err(refuse(format!(
                    "bbox {:?} is not [left, top, width, height] in pixels",
                    annotation.bbox
                )));
            }
            let class = classes.get(&annotation.category_id).ok_or_else(|| {
                refuse(format!("there is no category {}", annotation.category_id))
            })?;
            if incomplete.contains(&annotation.image_id) {
                continue;
            }
            let picture = pictures
                .get_mut(&annotation.image_id)
                .ok_or_else(|| refuse(format!("there is no image {}", annotation.image_id)))?;
            let bounds = Rectangle {
                x,
                y,
                width,
                height,
            };
            let truth = Truth {
                bounds,
                area: annotation.area.unwrap_or_else(|| bounds.area()),
                is_crowd: annotation.need_not_be_found(),
            };
            let Some(class) = class else {
                let category = file
                    .categories
                    .iter()
                    .find(|c| c.id == annotation.category_id);
                let name = category.map_or_else(String::new, |c| c.name.clone());
                *passed_over.entry(name.clone()).or_default() += 1;
                picture.without_word.push((name, truth));
                continue;
            };
            picture.labels.push((*class, truth));
        }
        let mut looked_for: Vec<_> = classes.into_values().flatten().collect();
        looked_for.sort_unstable();
        looked_for.dedup();
        Ok(Self {
            pictures: pictures.into_values().collect(),
            classes: looked_for,
            passed_over,
            incomplete: incomplete.len(),
        })
    }

    /// `frame,id,left,top,width,height,counts,class,visibility` in pixels from 1.
    ///
    /// Older files (2015) have a place on the ground where the class is now; all
    /// that they label are people. In newer ones people on vehicles, standing
    /// still, behind glass or in mirrors need not be found, but may be.
    fn of_mot(text: &str) -> Result<Self, LabelError> {
        let mut rows = Vec::new();
        for (index, line) in text.lines().enumerate() {
            if line.trim().is_empty() {
                continue;
            }
            let numbers: Option<Vec<f64>> = line
                .split(',')
                .map(|field| field.trim().parse().ok().filter(|v: &f64| v.is_finite()))
                .collect();
            let numbers = numbers
                .filter(|numbers| numbers.len() >= 6)
                .ok_or_else(|| {
                    // Of another format one line may be the whole file.
                    let begins: String = line.trim().chars().take(SHOWN).collect();
                    let begins = begins.escape_debug();
                    LabelError::Format(format!("line {} is `{begins}`", index + 1))
                })?;
            if numbers[0] < 0.0 || numbers[4] < 0.0 || numbers[5] < 0.0 {
                return Err(LabelError::Value {
                    at: index + 1,
                    message: "frame, width and height cannot be negative".to_owned(),
                });
            }
            rows.push(numbers);
        }
        if rows.is_empty() {
            return Err(LabelError::Format("it is empty".to_owned()));
        }
        let has_classes = rows.iter().all(|row| {
            let class = row.get(7).copied().unwrap_or(-1.0);
            row.len() >= 9 && (1.0..=13.0).contains(&class) && class.fract() == 0.0
        });
        let mut pictures: BTreeMap<u64, LabelledPicture> = BTreeMap::new();
        for row in &rows {
            #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)] // checked above
            let id = row[0] as u64;
            let picture = pictures.entry(id).or_insert_with(|| LabelledPicture {
                id,
                ..LabelledPicture::default()
            });
            let counts = row.get(6).is_none_or(|flag| *flag != 0.0);
            #[allow(clippy::cast_possible_truncation)] // a small whole number
            let is_crowd = match row
                .get(7)
                .filter(|_| has_classes)
                .map(|class| *class as i64)
            {
                None | Some(1) => !counts,
                Some(2 | 7 | 8 | 12) => true,
                // Cars and things are labelled only where they hide somebody.
                Some(_) => continue,
            };
            let bounds = Rectangle {
                x: row[2] - 1.0,
                y: row[3] - 1.0,
                width: row[4],
                height: row[5],
            };
            let truth = Truth {
                bounds,
                area: bounds.area(),
                is_crowd,
            };
            picture.labels.push((ObjectClass::Person, truth));
        }
        Ok(Self {
            pictures: pictures.into_values().collect(),
            classes: vec![ObjectClass::Person],
            passed_over: BTreeMap::new(),
            incomplete: 0,
        })
    }
}

/// Refuses numbers that are there twice: the later would take the place of the earlier without a word.
fn once<T: Ord + ToString>(
    what: &'static str,
    ids: impl Iterator<Item = T>,
) -> Result<(), LabelError> {
    let mut seen = BTreeSet::new();
    for id in ids {
        if let Some(id) = seen.replace(id) {
            let id = id.to_string();
            return Err(LabelError::Twice { what, id });
        }
    }
    Ok(())
}

#[derive(Deserialize)]
struct Coco {
    images: Vec<CocoImage>,
    annotations: Vec<CocoAnnotation>,
    categories: Vec<CocoCategory>,
}

#[derive(Deserialize)]
struct CocoImage {
    id: u64,
    file_name: String,
    width: Option<u32>,
    height: Option<u32>,
    complete: Option<bool>,
    /// Of others' files these may be anything.
    camera: Option<serde_json::Value>,
    day: Option<serde_json::Value>,
    /// Ours, and that of BDD100K and its converters.
    night: Option<bool>,
    timeofday: Option<String>,
    time_of_day: Option<String>,
}

impl CocoImage {
    fn taken(&self) -> Option<(String, String)> {
        let (camera, day) = self.camera.as_ref().zip(self.day.as_ref())?;
        Some((camera.as_str()?.to_owned(), day.as_str()?.to_owned()))
    }

    fn is_night(&self) -> Option<bool> {
        let word = self.timeofday.as_deref().or(self.time_of_day.as_deref());
        self.night.or_else(|| match word? {
            "night" => Some(true),
            "daytime" | "day" | "dawn/dusk" => Some(false),
            _ => None,
        })
    }
}

#[derive(Deserialize)]
struct CocoAnnotation {
    image_id: u64,
    category_id: u64,
    bbox: [f64; 4],
    area: Option<f64>,
    iscrowd: Option<u8>,
    /// Of others' files this may be anything.
    attributes: Option<serde_json::Value>,
}

impl CocoAnnotation {
    /// COCO's word for it, or the box `ignore` that a person ticked.
    ///
    /// CVAT writes `iscrowd` for masks alone. A rectangle's is 0, and a tick at `is_crowd` is lost on the way out;
    /// one of another name travels in `attributes`.
    fn need_not_be_found(&self) -> bool {
        let ticked = (self.attributes.as_ref()).and_then(|all| all.get("ignore"));
        let is_ticked = ticked.is_some_and(|tick| match tick {
            serde_json::Value::Bool(is_on) => *is_on,
            serde_json::Value::Number(number) => number.as_u64() == Some(1),
            serde_json::Value::String(word) => matches!(word.as_str(), "true" | "True" | "1"),
            _ => false,
        });
        is_ticked || self.iscrowd.unwrap_or(0) != 0
    }
}

#[derive(Deserialize)]
struct CocoCategory {
    id: u64,
    name: String,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn coco_is_read_with_classes_in_our_words() {
        let text = r#"{
            "images": [
                {"id": 2, "file_name": "b.jpg", "width": 640, "height": 480, "timeofday": "night",
                 "camera": 3, "day": null},
                {"id": 1, "file_name": "a.jpg", "camera": "a/b/c", "day": "2026-01-02"}],
            "categories": [
                {"id": 4, "name": "Motorbike"}, {"id": 10, "name": "traffic light"},
                {"id": 62, "name": "chair"}, {"id": 1, "name": "person"}, {"id": 3, "name": "other"}],
            "annotations": [
                {"image_id": 2, "category_id": 4, "bbox": [1, 2, 30, 40], "area": 900, "iscrowd": 0},
                {"image_id": 2, "category_id": 62, "bbox": [1, 2, 30, 40]},
                {"image_id": 1, "category_id": 10, "bbox": [1, 2, 3, 4], "iscrowd": 1}]}"#;
        let set = LabelSet::parse(text).unwrap();
        let [a, b] = &set.pictures[..] else {
            panic!("{set:?}")
        };
        assert_eq!((a.file.as_deref(), a.is_night), (Some("a.jpg"), None));
        assert_eq!((b.size, b.is_night), (Some((640, 480)), Some(true)));
        let (class, truth) = b.labels[0];
        assert_eq!((class, truth.area), (ObjectClass::Motorcycle, 900.0));
        let (class, truth) = a.labels[0];
        assert_eq!(
            (class, truth.area, truth.is_crowd),
            (ObjectClass::TrafficLight, 12.0, true)
        );
        assert_eq!(set.passed_over, BTreeMap::from([("chair".to_owned(), 1)]));
        let (name, truth) = &b.without_word[0];
        assert_eq!((name.as_str(), truth.area), ("chair", 1200.0));
        assert_eq!(a.taken, Some(("a/b/c".to_owned(), "2026-01-02".to_owned())));
        assert_eq!(b.taken, None);
        assert!(!set.classes.contains(&ObjectClass::Other));
    }

    /// It was taken for MOTChallenge's text, and all of it was told as its first line.
    #[test]
    fn a_byte_order_mark_is_passed_over_and_a_long_line_is_not_told_whole() {
        let coco = r#"{"images":[{"id":1,"file_name":"a"}],"categories":[],"annotations":[]}"#;
        let marked = LabelSet::parse(&format!("\u{feff}{coco}")).unwrap();
        assert_eq!(marked, LabelSet::parse(coco).unwrap());
        let mot = "1,9,499,158,31.03,75.17\n";
        let marked = LabelSet::parse(&format!("\u{feff}{mot}")).unwrap();
        assert_eq!(marked, LabelSet::parse(mot).unwrap());
        let message = LabelSet::parse(&"x".repeat(1_000_000)).unwrap_err();
        assert!(message.to_string().len() < 500, "{message}");
    }

    #[test]
    fn pictures_that_nobody_completed_are_not_measured_with() {
        let text = r#"{
            "images": [{"id": 1, "file_name": "a", "complete": false},
                       {"id": 2, "file_name": "b", "complete": true}],
            "categories": [{"id": 1, "name": "person"}],
            "annotations": [{"image_id": 1, "category_id": 1, "bbox": [1, 2, 3, 4]}]}"#;
        let set = LabelSet::parse(text).unwrap();
        let files: Vec<_> = set.pictures.iter().map(|p| p.file.as_deref()).collect();
        assert_eq!((files, set.incomplete), (vec![Some("b")], 1));
    }

    #[test]
    fn what_a_person_ticked_need_not_be_found_however_the_tool_says_it() {
        for (said, expected) in [
            (r#""iscrowd": 1"#, true),
            (
                r#""iscrowd": 0, "attributes": {"ignore": true, "occluded": false}"#,
                true,
            ),
            (r#""iscrowd": 0, "attributes": {"ignore": "true"}"#, true),
            (r#""attributes": {"ignore": 1}"#, true),
            (r#""attributes": {"ignore": false}"#, false),
            (
                r#""attributes": {"ignore": "false", "is_crowd": null}"#,
                false,
            ),
            (r#""attributes": []"#, false),
            (r#""attributes": null"#, false),
        ] {
            let text = format!(
                r#"{{"images": [{{"id": 1, "file_name": "a"}}], "categories": [{{"id": 1, "name": "person"}}],
                "annotations": [{{"image_id": 1, "category_id": 1, "bbox": [1, 2, 3, 4], {said}}}]}}"#
            );
            let set = LabelSet::parse(&text).unwrap();
            assert_eq!(set.pictures[0].labels[0].1.is_crowd, expected, "{said}");
        }
    }

    #[test]
    fn mot_of_both_ages_is_read() {
        let old = "1,9,499,158,31.03,75.17,1,-4.1554,-7.3591,0\n1,10,1,1,2,2,0,1,2,3\n";
        let set = LabelSet::parse(old).unwrap();
        let labels = &set.pictures[0].labels;
        assert_eq!(labels.len(), 2);
        assert_eq!(labels[0].1.bounds.x, 498.0);
        assert!(labels[1].1.is_crowd);

        let new = "1,1,10,10,5,5,1,1,0.9\n1,2,10,10,5,5,0,8,1\n1,3,10,10,5,5,0,3,1\n2,1,10,10,5,5,1,1,0\n";
        let set = LabelSet::parse(new).unwrap();
        let crowds: Vec<bool> = set.pictures[0]
            .labels
            .iter()
            .map(|l| l.1.is_crowd)
            .collect();
        assert_eq!(crowds, [false, true]);
        assert_eq!(set.pictures[1].id, 2);
    }

    #[test]
    fn what_is_no_label_file_says_where() {
        for (text, words) in [
            ("", "it is empty"),
            ("{}", "missing field `images`"),
            ("1,2,3\n", "line 1 is `1,2,3`"),
            ("1,1,1,1,NaN,1,1\n", "line 1"),
            ("1,1,1,1,-5,1,1\n", "cannot be negative"),
            (
                r#"{"images":[],"categories":[],"annotations":[{"image_id":1,"category_id":1,"bbox":[0,0,1,1]}]}"#,
                "there is no category 1",
            ),
            (
                r#"[{"name":"a.jpg","labels":[]}]"#,
                "it is a JSON list, as BDD100K's own labels",
            ),
            (
                r#"{"images":[{"id":7,"file_name":"a","width":0,"height":480}],"categories":[],"annotations":[]}"#,
                "image 7 is 0 pixels wide or high",
            ),
            // Two tasks of a labelling tool, put together: heads of one were cut out of the other's pictures.
            (
                r#"{"images":[{"id":1,"file_name":"a"},{"id":1,"file_name":"b","complete":false}],"categories":[],"annotations":[]}"#,
                "image 1 is there twice",
            ),
            (
                r#"{"images":[{"id":1,"file_name":"a"},{"id":2,"file_name":"a"}],"categories":[],"annotations":[]}"#,
                "picture a is there twice",
            ),
            (
                r#"{"images":[],"categories":[{"id":1,"name":"helmet"},{"id":1,"name":"no_helmet"}],"annotations":[]}"#,
                "category 1 is there twice",
            ),
            (
                r#"{"images":[{"id":1,"file_name":"a"}],"categories":[{"id":1,"name":"car"}],"annotations":[{"image_id":1,"category_id":1,"bbox":[0,0,-1,1]}]}"#,
                "is not [left, top, width, height]",
            ),
        ] {
            let message = LabelSet::parse(text).unwrap_err().to_string();
            assert!(message.contains(words), "{text}: {message}");
        }
    }
}
