//! What each cascade does, and whether its model can.

use edge_cascade::Crop;
use edge_core::SceneConfig;
use edge_inference::{Installed, ModelState, ModelStore};

use super::beside::Tried;
use super::{Finding, Outcome, given_up};
use crate::cascades::misfit;
use crate::config::{
    AgentConfig, CameraConfig, CascadeConfig, Looker, PlatesConfig, RtspConfig, SourceConfig,
    named_version,
};
use crate::models_command;
use models::{Manifest, heads};
use plate_reader::Half;

/// One finding for each cascade of each camera. Who looks is loaded where `tried` is given.
pub(super) fn look(
    config: &AgentConfig,
    cameras: &[&CameraConfig],
    mut tried: Option<Tried<'_>>,
) -> Vec<Finding> {
    if cameras.iter().all(|camera| camera.cascades.is_empty()) {
        return Vec::new();
    }
    let store = models_command::store(&config.detector).ok();
    let models = store.as_ref().map(ModelStore::list).unwrap_or_default();
    let here = (store.as_ref(), models.as_slice());
    let mut findings = Vec::new();
    for camera in cameras {
        for cascade in &camera.cascades {
            let mut outcome = judge(cascade, &camera.scene, &config.detector.plates, here);
            if !matches!(outcome, Outcome::Failed(_)) {
                let (words, plates) = (in_words(cascade), &config.detector.plates);
                let left = store
                    .as_ref()
                    .and_then(|store| given_up::of_looker(store, &cascade.looker, plates));
                if let Some(left) = left {
                    outcome = Outcome::Failed(format!("{words}, but {left}"));
                } else if let Some(fault) = tried.as_mut().and_then(|t| t.fault(&cascade.looker)) {
                    outcome = Outcome::Failed(format!("{words}, but it does not start: {fault}"));
                }
            }
            findings.push(Finding {
                part: format!("camera {} cascade {}", camera.id, cascade.id),
                outcome,
            });
        }
        if let SourceConfig::Rtsp(RtspConfig {
            detect_rtsp: Some(_),
            ..
        }) = &camera.source
            && !camera.cascades.is_empty()
        {
            let told = if camera.clip.make {
                "second looks at road users are taken at `rtsp`, which is decoded in software while somebody is \
                 worth one; give both streams the same shape, the same clock and at least ten pictures a second"
            } else {
                "without clips only the stream of `detect_rtsp` is there, and second looks are taken at it: in a \
                 small picture plates and helmets are a few pixels high; set `clip = { make = true }` where they matter"
            };
            findings.push(Finding {
                part: format!("camera {} cascades", camera.id),
                outcome: Outcome::Noted(told.to_owned()),
            });
        }
        if !camera.cascade_doubts.is_empty() {
            findings.push(Finding {
                part: format!("camera {} cascades", camera.id),
                outcome: Outcome::Noted(camera.cascade_doubts.join("\n")),
            });
        }
    }
    findings
}

fn judge(
    cascade: &CascadeConfig,
    scene: &SceneConfig,
    plates: &PlatesConfig,
    (store, models): (Option<&ModelStore>, &[ModelState]),
) -> Outcome {
    let words = in_words(cascade);
    let name = match &cascade.looker {
        Looker::Model(name) => name,
        Looker::Plates => return reader(words, plates, models),
    };
    let (id, version) = match named_version(name) {
        Ok(named) => named,
        Err(error) => return Outcome::Failed(format!("{words}, but: {error}")),
    };
    // Where a version is named that very one counts, whichever is the current one.
    let of_version = version.zip(store);
    let of_version = of_version.map(|(version, store)| store.candidate_at(&id, Some(version)));
    let known = models.iter().find(|known| known.manifest.id == id);
    let (manifest, absent) = match (&of_version, known) {
        (Some(Ok((_, manifest, _))), _) => (manifest, None),
        (Some(Err(error)), _) => return Outcome::Failed(format!("{words}, but: {error}")),
        (None, Some(known)) => (&known.manifest, absent(known)),
        (None, None) => {
            let mut undescribed = store.into_iter().flat_map(ModelStore::undescribed);
            if let Some((_, fault)) = undescribed.find(|(model, _)| **model == id) {
                return Outcome::Failed(format!("{words}, but {fault}"));
            }
            return Outcome::Failed(format!(
                "{words}, but there is no model {name}; `edge-agent models list` names those that there are, \
                 docs/heads.md how to add your own"
            ));
        }
    };
    if let Some(fault) = misfit(cascade, manifest) {
        return Outcome::Failed(format!("{words}, but {fault}"));
    }
    if let Some(why) = absent {
        return Outcome::Failed(format!("{words}, but {why}"));
    }
    let uses = |class: &protocol::ObjectClass| {
        let mut rules = scene.rules.iter();
        rules.any(|rule| rule.needs.contains(class))
    };
    let classes = &manifest.classes;
    let also: Vec<&str> = (cascade.heard().iter())
        .filter(|class| !cascade.gives.contains(class))
        .filter(|class| classes.named().any(|(_, named)| named == **class))
        .map(|class| class.as_str())
        .collect();
    if let Some(doubt) = untold(cascade, manifest) {
        return Outcome::Noted(format!("{words}, but {doubt}"));
    }
    if cascade.gives.iter().any(uses) {
        if also.is_empty() {
            return Outcome::Good(words);
        }
        Outcome::Noted(format!(
            "{words}; what it says of {} is heard as well, because it speaks for the road user: write it into \
             `gives`",
            also.join(", ")
        ))
    } else {
        Outcome::Noted(format!(
            "{words}; no rule of the camera needs what it gives, so it works in vain"
        ))
    }
}

/// What a classifier is shown too much for: it does not say where in that it is, and rules do not
/// count what may be somebody else's.
fn untold(cascade: &CascadeConfig, manifest: &Manifest) -> Option<String> {
    use protocol::ObjectClass::{Helmet, NoHelmet, NoSeatBelt, Person, Phone, SeatBelt};
    if !matches!(manifest.head.answer(), heads::Answer::Labels) {
        return None;
    }
    let looks = &cascade.looks;
    let gives = |class| cascade.gives.contains(&class);
    let is_driver = looks.crop == Crop::Driver && looks.margin <= MOST_MARGIN_OF_DRIVER;
    let is_chest = looks.on == [Person] && looks.crop == Crop::Upper && looks.margin <= 0.01;
    if (gives(SeatBelt) || gives(NoSeatBelt)) && !is_driver {
        return Some(
            "a classifier does not say whose belt: its word counts only where it is shown one seat, with \
             `crop = \"driver\"` and a `margin` of at most 0.2"
                .to_owned(),
        );
    }
    let shows_heads = !looks.on.is_empty() && looks.crop != Crop::Lower;
    if (gives(Helmet) || gives(NoHelmet)) && !shows_heads {
        return Some(
            "a classifier does not say where a head is: its word counts only where what it is shown begins at \
             the crown, with `crop = \"riders\"`, or with `on = \"person\"` and `crop = \"upper\"`"
                .to_owned(),
        );
    }
    (gives(Phone) && !is_driver && !is_chest).then(|| {
        "a classifier does not say whose hand, or whether the phone is in its holder: its word counts only \
         with `crop = \"driver\"` and a `margin` of at most 0.2 for cars, or with `on = \"person\"`, \
         `crop = \"upper\"`, `margin = 0.0` for riders"
            .to_owned()
    })
}

/// More would reach beyond the middle of the windscreen by more than a tenth of the vehicle.
const MOST_MARGIN_OF_DRIVER: f64 = 0.2;

/// Whether both networks of the reader of plates are here.
fn reader(words: String, plates: &PlatesConfig, models: &[ModelState]) -> Outcome {
    let settings = plates.settings();
    let halves = [
        (Half::Places, &settings.places),
        (Half::Lines, &settings.lines),
    ];
    let faults = halves.into_iter().filter_map(|(half, id)| {
        let Some(model) = models.iter().find(|known| known.manifest.id == *id) else {
            return Some(format!(
                "there is no model {id}; correct its name under [detector.plates]"
            ));
        };
        if let Some(why) = absent(model) {
            return Some(why);
        }
        let misfit = half.misfit(&model.manifest)?;
        Some(misfit.to_string())
    });
    let faults: Vec<String> = faults.collect();
    if faults.is_empty() {
        Outcome::Good(words)
    } else {
        Outcome::Failed(format!("{words}, but {}", faults.join("\n")))
    }
}

/// Why a model cannot be loaded, if it is not here or not as it should be.
fn absent(model: &ModelState) -> Option<String> {
    let id = &model.manifest.id;
    match &model.state {
        Installed::Installed(_) => None,
        Installed::Missing => Some(format!(
            "{id} is not installed. {}",
            model.manifest.obtain.trim()
        )),
        Installed::Refused(why) => Some(why.clone()),
    }
}

/// What it does.
fn in_words(cascade: &CascadeConfig) -> String {
    let list = |classes: &[protocol::ObjectClass]| {
        let words: Vec<&str> = classes.iter().map(|class| class.as_str()).collect();
        words.join(", ")
    };
    let looks = &cascade.looks;
    let gives = list(&cascade.gives);
    let name = match &cascade.looker {
        Looker::Model(name) => name,
        Looker::Plates => {
            return format!(
                "reads the plate of each {} up to {} times, when at least {} pixels high",
                list(&looks.on),
                looks.most,
                looks.min_height_px
            );
        }
    };
    if looks.on.is_empty() {
        return format!(
            "{name} looks at the whole picture every {} s for {gives}",
            looks.apart_s
        );
    }
    format!(
        "{name} looks at each {} ({}) up to {} times for {gives}, when at least {} pixels high",
        list(&looks.on),
        looks.crop.as_str(),
        looks.most,
        looks.min_height_px
    )
}
