//! Numbers about the detector, the models that take second looks, and the one in its shadow.

use std::sync::Arc;

use prometheus_client::encoding::DescriptorEncoder;
use prometheus_client::metrics::counter::ConstCounter;
use prometheus_client::metrics::gauge::ConstGauge;

use super::{Sample, one, write};
use crate::live::model_state::{Fares, ModelState};
use crate::live::shadow::Shadow;

pub(super) fn detector(encoder: &mut DescriptorEncoder<'_>, info: &ModelState) -> std::fmt::Result {
    let fares = info.fares();
    let status = &fares.status;
    let labels = vec![
        ("model", info.model.clone()),
        ("sha256", info.sha256.clone()),
        ("provider", fares.provider.to_owned()),
        ("placement", status.placement.clone()),
    ];
    let help = "1; the model at work, what computes it, and whether that was proved";
    write(
        encoder,
        "edge_detector",
        help,
        &[(labels, 1.0)],
        ConstGauge::new,
    )?;
    for (name, help, value) in [
        (
            "edge_detector_providers_refused",
            "Providers that come first by configuration and do not work",
            status.refused.len() as u64,
        ),
        (
            "edge_detector_instead",
            "1 while the last good model works instead of the wanted one",
            u64::from(info.is_instead),
        ),
    ] {
        write(encoder, name, help, &one(value), ConstGauge::new)?;
    }
    for (name, help, value) in [
        (
            "edge_detector_losses",
            "Times that a provider was lost at work, and the model loaded anew",
            status.losses,
        ),
        (
            "edge_detector_failures",
            "Looks on which the model failed",
            status.failures,
        ),
        (
            "edge_detector_broken_answers",
            "Answers of the model that are no numbers, and were passed over",
            status.broken,
        ),
    ] {
        write(encoder, name, help, &one(value), ConstCounter::new)?;
    }
    Ok(())
}

/// Of each model that looks beside the detector.
pub(super) fn second<'a>(
    encoder: &mut DescriptorEncoder<'_>,
    models: impl Iterator<Item = &'a Arc<ModelState>>,
) -> std::fmt::Result {
    let all: Vec<(&ModelState, Fares)> = models.map(|model| (&**model, model.fares())).collect();
    let samples = |value: fn(&Fares) -> u64| -> Vec<Sample> {
        let sample = |(model, fares): &(&ModelState, Fares)| {
            let (name, job) = (model.model.clone(), model.job.as_str().to_owned());
            (vec![("model", name), ("job", job)], value(fares) as f64)
        };
        all.iter().map(sample).collect()
    };
    let at_work = all.iter().map(|(model, fares)| {
        let labels = vec![
            ("model", model.model.clone()),
            ("job", model.job.as_str().to_owned()),
            ("sha256", model.sha256.clone()),
            ("provider", fares.provider.to_owned()),
            ("placement", fares.status.placement.clone()),
        ];
        // One that was left out is known here, and is not at work.
        (labels, f64::from(u8::from(!fares.provider.is_empty())))
    });
    let instead = all.iter().map(|(model, _)| {
        let labels = vec![
            ("model", model.model.clone()),
            ("job", model.job.as_str().to_owned()),
        ];
        (labels, f64::from(u8::from(model.is_instead)))
    });
    let instead = instead.collect();
    for (name, help, samples) in [
        (
            "edge_second_model",
            "1; a model that looks beside the detector, what for, and what computes it; 0 where it was left out",
            at_work.collect(),
        ),
        (
            "edge_second_model_providers_refused",
            "Providers that come first by configuration and do not work for the model",
            samples(|fares| fares.status.refused.len() as u64),
        ),
        (
            "edge_second_model_instead",
            "1 while the last good version works instead of the wanted one, or none",
            instead,
        ),
    ] {
        write(encoder, name, help, &samples, ConstGauge::new)?;
    }
    for (name, help, samples) in [
        (
            "edge_second_model_looks",
            "Looks that the model took",
            samples(|fares| fares.looks),
        ),
        (
            "edge_second_model_failures",
            "Looks on which the model failed",
            samples(|fares| fares.status.failures),
        ),
        (
            "edge_second_model_broken_answers",
            "Answers of the model that are no numbers, and were passed over",
            samples(|fares| fares.status.broken),
        ),
        (
            "edge_second_model_losses",
            "Times that a provider was lost at work, and the model loaded anew",
            samples(|fares| fares.status.losses),
        ),
    ] {
        write(encoder, name, help, &samples, ConstCounter::new)?;
    }
    Ok(())
}

pub(super) fn shadow(
    encoder: &mut DescriptorEncoder<'_>,
    shadow: &Arc<Shadow>,
) -> std::fmt::Result {
    let counters = shadow.counters();
    let agreement = &counters.agreement;
    for (name, help, value) in [
        (
            "edge_shadow_pictures",
            "Pictures that the shadow model saw as well",
            agreement.pictures,
        ),
        (
            "edge_shadow_skipped",
            "Pictures that the shadow model had no time for",
            counters.skipped,
        ),
        (
            "edge_shadow_failures",
            "Pictures that the shadow model failed on",
            counters.failed,
        ),
    ] {
        let sample = [(vec![("model", shadow.model.clone())], value as f64)];
        write(encoder, name, help, &sample, ConstCounter::new)?;
    }
    let samples: Vec<Sample> = agreement
        .classes
        .iter()
        .flat_map(|(class, counts)| {
            [
                ("matched", counts.matched),
                ("class_differs", counts.class_differs),
                ("only_current", counts.only_current),
                ("only_shadow", counts.only_other),
            ]
            .map(|(outcome, count)| {
                let labels = vec![
                    ("model", shadow.model.clone()),
                    ("class", class.to_string()),
                    ("outcome", outcome.to_owned()),
                ];
                (labels, count as f64)
            })
        })
        .collect();
    let help =
        "Things that the current model, the shadow model or both believe in, by class and outcome";
    write(
        encoder,
        "edge_shadow_things",
        help,
        &samples,
        ConstCounter::new,
    )
}
