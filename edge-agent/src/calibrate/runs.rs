//! `--check`: measured speeds beside true ones.

use std::path::Path;

use anyhow::{Context as _, bail};
use serde::Deserialize;

/// A run whose speed is known: a car with GPS, a laser, a stop watch over a long way.
#[derive(Clone, Copy, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
#[allow(clippy::struct_field_names)] // keys carry their unit
pub(super) struct Run {
    /// What it really was.
    pub true_kmh: f64,
    /// What the box said.
    pub measured_kmh: f64,
    /// Lower end of its interval.
    pub low_kmh: Option<f64>,
    /// Upper end.
    pub high_kmh: Option<f64>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Runs {
    run: Vec<Run>,
}

const COLUMNS: &str = "true_kmh,measured_kmh,low_kmh,high_kmh";

/// Reads runs from TOML (`[[run]]`) or CSV.
pub(super) fn read(path: &Path) -> anyhow::Result<Vec<Run>> {
    let text = std::fs::read_to_string(path)
        .with_context(|| format!("{}: cannot be read", path.display()))?;
    let is_toml = path
        .extension()
        .is_some_and(|extension| extension == "toml");
    let runs = if is_toml {
        toml::from_str::<Runs>(&text)
            .map(|runs| runs.run)
            .map_err(anyhow::Error::from)
    } else {
        from_csv(&text)
    }
    .with_context(|| format!("{}: holds no runs", path.display()))?;
    for (index, run) in runs.iter().enumerate() {
        let is_speed = |kmh: f64| (0.0..=400.0).contains(&kmh);
        if !(run.true_kmh > 0.0 && is_speed(run.true_kmh) && is_speed(run.measured_kmh)) {
            bail!(
                "{}: run {}: speeds are in km/h, from 0 to 400",
                path.display(),
                index + 1
            );
        }
    }
    if runs.len() < 3 {
        bail!(
            "{}: has {} runs; fewer than three prove nothing",
            path.display(),
            runs.len()
        );
    }
    Ok(runs)
}

fn from_csv(text: &str) -> anyhow::Result<Vec<Run>> {
    let mut lines = text.lines().enumerate().filter(|(_, line)| {
        let line = line.trim();
        !line.is_empty() && !line.starts_with('#')
    });
    let (_, head) = lines
        .next()
        .with_context(|| format!("the first line is `{COLUMNS}`"))?;
    let names: Vec<&str> = head.split(',').map(str::trim).collect();
    let column = |name: &str| names.iter().position(|known| *known == name);
    let (Some(truth), Some(measured)) = (column("true_kmh"), column("measured_kmh")) else {
        bail!("the first line names the columns: `{COLUMNS}`; the last two may be left out");
    };
    let (low, high) = (column("low_kmh"), column("high_kmh"));
    lines
        .map(|(index, line)| {
            let cells: Vec<&str> = line.split(',').map(str::trim).collect();
            let number = |column: usize| {
                let cell = cells.get(column).copied().unwrap_or_default();
                cell.parse::<f64>().with_context(|| {
                    format!(
                        "line {}: `{cell}` in column `{}` is no number",
                        index + 1,
                        names[column]
                    )
                })
            };
            Ok(Run {
                true_kmh: number(truth)?,
                measured_kmh: number(measured)?,
                low_kmh: low.map(number).transpose()?,
                high_kmh: high.map(number).transpose()?,
            })
        })
        .collect()
}

/// Error statistics, and what they mean.
pub(super) fn report(runs: &[Run]) -> String {
    let count = runs.len() as f64;
    let errors: Vec<f64> = runs
        .iter()
        .map(|run| run.measured_kmh - run.true_kmh)
        .collect();
    let bias = errors.iter().sum::<f64>() / count;
    let mean_absolute = errors.iter().map(|e| e.abs()).sum::<f64>() / count;
    let spread = (errors.iter().map(|e| (e - bias).powi(2)).sum::<f64>() / (count - 1.0)).sqrt();
    let most = errors.iter().fold(0.0_f64, |most, e| most.max(e.abs()));
    let squares: f64 = runs.iter().map(|run| run.true_kmh.powi(2)).sum();
    let scale = runs
        .iter()
        .map(|run| run.true_kmh * run.measured_kmh)
        .sum::<f64>()
        / squares;
    let left: f64 = runs
        .iter()
        .map(|run| (run.measured_kmh - scale * run.true_kmh).powi(2))
        .sum();
    let scale_sigma = (left / (count - 1.0) / squares).sqrt();
    let mut text = format!(
        "{} runs: mean error {bias:+.2} km/h, mean absolute error {mean_absolute:.2} km/h, spread {spread:.2} km/h, worst {most:.2} km/h\n\
         measured = {scale:.4} × true (± {:.4})",
        runs.len(),
        2.0 * scale_sigma
    );
    let with_interval: Vec<(f64, f64, f64)> = runs
        .iter()
        .filter_map(|run| Some((run.true_kmh, run.low_kmh?, run.high_kmh?)))
        .collect();
    if !with_interval.is_empty() {
        let covered = with_interval
            .iter()
            .filter(|(t, low, high)| low <= t && t <= high)
            .count();
        let accused = with_interval.iter().filter(|(t, low, _)| low > t).count();
        let line = format!(
            "\nintervals hold the truth in {covered} of {} runs (95 % are promised); lower end above the truth: {accused}",
            with_interval.len()
        );
        text.push_str(&line);
    }
    let off = (scale - 1.0).abs();
    let advice = if off > 2.0 * scale_sigma && off > 0.01 {
        let word = if scale > 1.0 { "too high" } else { "too low" };
        format!(
            "speeds are {:.1} % {word}, beyond chance: measure the gate with a tape, write its `length_m`, and \
             look at the surveyed points nearest to its lines",
            off * 100.0
        )
    } else if mean_absolute > 1.5 {
        "the errors scatter: lengthen the gate, bring it nearer to the camera, or raise the frames per second".to_owned()
    } else {
        "good: the mean absolute error is within 1.5 km/h, and there is no scale error beyond chance".to_owned()
    };
    text + "\n" + &advice
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_scale_error_is_told_from_scatter() {
        let run = |true_kmh: f64, measured_kmh: f64| Run {
            true_kmh,
            measured_kmh,
            low_kmh: Some(measured_kmh - 1.0),
            high_kmh: Some(measured_kmh + 1.0),
        };
        let scaled = [
            run(30.0, 31.0),
            run(50.0, 51.4),
            run(70.0, 72.2),
            run(60.0, 61.7),
        ];
        let told = report(&scaled);
        assert!(told.contains("3.0 % too high"), "{told}");
        assert!(
            told.contains("in 1 of 4 runs") && told.contains("above the truth: 3"),
            "{told}"
        );
        let good = [
            run(30.0, 30.4),
            run(50.0, 49.7),
            run(70.0, 70.1),
            run(60.0, 59.9),
        ];
        assert!(report(&good).contains("good: "), "{}", report(&good));
        let scatter = [
            run(30.0, 33.0),
            run(50.0, 46.5),
            run(70.0, 71.0),
            run(60.0, 57.9),
        ];
        assert!(report(&scatter).contains("scatter"), "{}", report(&scatter));
    }

    #[test]
    fn csv_says_which_line_is_wrong() {
        let told = |text| format!("{:#}", from_csv(text).unwrap_err());
        assert!(told("").contains(COLUMNS));
        assert!(told("a,b\n1,2").contains(COLUMNS));
        assert!(told("true_kmh,measured_kmh\n50,49\n50,fast").contains("line 3: `fast`"));
        let runs = from_csv("# GPS\nmeasured_kmh, true_kmh\n49.5, 50\n").unwrap();
        assert_eq!((runs[0].true_kmh, runs[0].low_kmh), (50.0, None));
    }
}
