//! The models that this program knows by name, compiled in.
//!
//! Only their manifests: the files themselves are fetched or converted on the
//! machine that needs them, see each manifest's `obtain`.

use crate::manifest::{Manifest, ManifestError};

/// `(folder, text of model.toml)`, by folder name.
static FILES: &[(&str, &str)] = include!(concat!(env!("OUT_DIR"), "/catalogue.rs"));

/// A manifest of the catalogue that cannot be used.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
#[error("model {model} of the catalogue: {fault}")]
pub struct CatalogueError {
    /// Its folder under `models/catalog/`.
    pub model: String,
    /// What is wrong with it.
    pub fault: ManifestError,
}

/// Name and text of every manifest of the catalogue, by name.
pub fn catalogue_texts() -> &'static [(&'static str, &'static str)] {
    FILES
}

/// Every manifest of the catalogue, by name.
pub fn catalogue() -> Vec<Result<Manifest, CatalogueError>> {
    FILES
        .iter()
        .map(|(folder, text)| {
            Manifest::parse(text)
                .and_then(|manifest| manifest.expect_folder(folder))
                .map_err(|fault| CatalogueError {
                    model: (*folder).to_owned(),
                    fault,
                })
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::licence::{Verdict, judge};
    use std::collections::BTreeSet;

    fn manifests() -> Vec<Manifest> {
        catalogue()
            .into_iter()
            .map(|m| m.expect("a good manifest"))
            .collect()
    }

    #[test]
    fn every_manifest_is_sound_and_permissively_licensed() {
        let manifests = manifests();
        assert!(manifests.len() >= 5);
        for manifest in &manifests {
            assert_eq!(
                judge(&manifest.licence),
                Verdict::Permissive,
                "{}",
                manifest.id
            );
            assert!(manifest.size_bytes.is_some(), "{}", manifest.id);
        }
    }

    /// What COCO calls a cell phone was never seen in a driver's hand here, and dark cars are taken
    /// for one; docs/cascades.md tells to train a model of one's own.
    #[test]
    fn detectors_of_road_users_say_nothing_of_helmets_phones_belts_and_fire() {
        use protocol::ObjectClass as C;
        for manifest in manifests() {
            for (_, class) in manifest.classes.named() {
                let is_of_cascades = matches!(
                    class,
                    C::Helmet
                        | C::NoHelmet
                        | C::Phone
                        | C::SeatBelt
                        | C::NoSeatBelt
                        | C::Fire
                        | C::Smoke
                );
                assert!(!is_of_cascades, "{} lists {}", manifest.id, class.as_str());
            }
        }
    }

    #[test]
    fn ranks_leave_no_choice_open_and_the_preferred_detector_is_first() {
        let manifests = manifests();
        let ranks: BTreeSet<_> = manifests.iter().map(|m| m.rank).collect();
        assert_eq!(ranks.len(), manifests.len());
        let first = manifests.iter().min_by_key(|m| m.rank).unwrap();
        assert_eq!(first.id.as_str(), "yolox-nano");
    }
}
