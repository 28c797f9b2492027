//! `--check`: measured speeds beside true ones.

use std::path::Path;

use anyhow::{Context as _, bail};
use serde::Deserialize;

use super::Faulty;

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

/// Most runs that are compared.
const MOST_RUNS: usize = 10_000;
/// Nothing on a road is faster, km/h.
const MOST_KMH: f64 = 400.0;

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
    .map_err(|error| Faulty(format!("{}: holds no runs: {error:#}", path.display())))?;
    for (index, run) in runs.iter().enumerate() {
        let is_speed = |kmh: f64| (0.0..=MOST_KMH).contains(&kmh);
        for (key, end) in [("low_kmh", run.low_kmh), ("high_kmh", run.high_kmh)] {
            if let Some(kmh) = end
                && !(0.0..=MOST_KMH).contains(&kmh)
            {
                bail!(
                    "{}: run {}: {key} is {kmh}; speeds are in km/h, from 0 to {MOST_KMH}",
                    path.display(),
                    index + 1
                );
            }
        }
        if let (Some(low), Some(high)) = (run.low_kmh, run.high_kmh)
            && low > high
        {
            bail!(
                "{}: run {}: its interval begins at {low} and ends at {high}; low_kmh is the smaller one",
                path.display(),
                index + 1
            );
        }
        if !(run.true_kmh > 0.0 && is_speed(run.true_kmh) && is_speed(run.measured_kmh)) {
            bail!(
                "{}: run {}: speeds are in km/h, from 0 to {MOST_KMH}",
                path.display(),
                index + 1
            );
        }
    }
    if runs.len() > MOST_RUNS {
        bail!(
            "{}: has {} runs, and {MOST_RUNS} are the most; give the latest",
            path.display(),
            runs.len()
        );
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

/// CSV as people and Excel write it: with or without a byte order mark, with
/// commas, or with `;` or tabs and then decimal commas as well.
fn from_csv(text: &str) -> anyhow::Result<Vec<Run>> {
    let mut lines = text
        .trim_start_matches('\u{feff}')
        .lines()
        .map(str::trim)
        .enumerate()
        .filter(|(_, line)| {
            let is_empty = line
                .chars()
                .all(|c| matches!(c, ',' | ';' | '"' | ' ' | '\t'));
            !is_empty && !line.starts_with('#') && !line.starts_with("sep=")
        });
    let (_, head) = lines
        .next()
        .with_context(|| format!("the first line is `{COLUMNS}`"))?;
    let separator = [';', '\t']
        .into_iter()
        .find(|separator| head.contains(*separator))
        .unwrap_or(',');
    let split = |line: &str| -> Vec<String> {
        line.split(separator)
            .map(|cell| cell.trim().trim_matches('"').trim().to_owned())
            .collect()
    };
    let names: Vec<String> = split(head).iter().map(|n| n.to_lowercase()).collect();
    let column = |name: &str| names.iter().position(|known| known == name);
    let (Some(truth), Some(measured)) = (column("true_kmh"), column("measured_kmh")) else {
        bail!("the first line names the columns: `{COLUMNS}`; the last two may be left out");
    };
    let (low, high) = (column("low_kmh"), column("high_kmh"));
    lines
        .map(|(index, line)| {
            let cells = split(line);
            if cells.len() > names.len() {
                bail!(
                    "line {}: has {} values for {} columns; where commas are decimal, separate columns with `;`",
                    index + 1,
                    cells.len(),
                    names.len()
                );
            }
            let number = |column: usize| {
                let cell = cells.get(column).map_or("", String::as_str);
                let plain = if separator == ',' {
                    cell.to_owned()
                } else {
                    cell.replace(',', ".")
                };
                plain.parse::<f64>().with_context(|| {
                    format!(
                        "line {}: `{cell}` in column `{}` is no number",
                        index + 1,
                        names[column]
                    )
                })
            };
            // A run without an event has no interval.
            let optional = |column: Option<usize>| {
                column
                    .filter(|at| cells.get(*at).is_some_and(|cell| !cell.is_empty()))
                    .map(number)
                    .transpose()
            };
            Ok(Run {
                true_kmh: number(truth)?,
                measured_kmh: number(measured)?,
                low_kmh: optional(low)?,
                high_kmh: optional(high)?,
            })
        })
        .collect()
}

/// What runs prove.
pub(super) struct Proof {
    /// Error statistics.
    pub text: String,
    /// Why the box must not accuse anybody yet, the gravest reason first.
    pub faults: Vec<String>,
}

/// A bias smaller than this is no fault even when it is beyond chance: the
/// truth of a GPS logger is no better.
const LEAST_BIAS_KMH: f64 = 0.5;
const LEAST_BIAS_PART: f64 = 0.01;
/// Coverage that an honest box would show more rarely than this is a fault.
const LEAST_CHANCE: f64 = 0.05;

/// Error statistics, and what they mean.
pub(super) fn report(runs: &[Run]) -> Proof {
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
    let chance = student(runs.len() - 1);
    let mut text = format!(
        "{} runs: mean error {bias:+.2} km/h, mean absolute error {mean_absolute:.2} km/h, spread {spread:.2} km/h, worst {most:.2} km/h\n\
         measured = {scale:.4} × true (± {:.4})",
        runs.len(),
        chance * scale_sigma
    );
    let mut faults = accusations(runs);
    let too = |much: f64| if much > 0.0 { "too high" } else { "too low" };
    let off = scale - 1.0;
    let advice = "measure the gate with a tape, write its `length_m`, and look at the surveyed points nearest to its lines";
    if off.abs() > chance * scale_sigma && off.abs() > LEAST_BIAS_PART {
        faults.push(format!(
            "speeds are {:.1} % {}, beyond chance: {advice}",
            off.abs() * 100.0,
            too(off)
        ));
    } else if bias.abs() > chance * spread / count.sqrt() && bias.abs() > LEAST_BIAS_KMH {
        faults.push(format!(
            "speeds are {:.2} km/h {} on average, beyond chance: {advice}",
            bias.abs(),
            too(bias)
        ));
    }
    let with_interval: Vec<(f64, f64, f64)> = runs
        .iter()
        .filter_map(|run| Some((run.true_kmh, run.low_kmh?, run.high_kmh?)))
        .collect();
    if with_interval.is_empty() {
        text.push_str(
            "\nnote: without low_kmh and high_kmh nothing is proved about the intervals, by which people are accused",
        );
    } else {
        let (covered, of) = (
            with_interval
                .iter()
                .filter(|(t, low, high)| low <= t && t <= high)
                .count(),
            with_interval.len(),
        );
        let line = format!(
            "\nintervals hold the truth in {covered} of {of} runs (95 % are promised); lower end above the truth: {}",
            runs.iter().filter(|run| run.accuses()).count()
        );
        text.push_str(&line);
        let chance = at_most(covered, of, 0.95);
        if chance < LEAST_CHANCE {
            faults.push(format!(
                "intervals are too narrow: {covered} of {of} hold the truth, which honest ones would show once in {:.0} such proofs; \
                 raise click_sigma_px and ground_sigma_m to what the survey is really good for, and calibrate again",
                (1.0 / chance).min(1e6)
            ));
        }
    }
    if mean_absolute > 1.5 {
        text.push_str(
            "\nnote: the errors scatter: lengthen the gate, bring it nearer to the camera, or raise the frames per second",
        );
    } else if faults.is_empty() {
        text.push_str(
            "\ngood: the mean absolute error is within 1.5 km/h, and there is no bias beyond chance",
        );
    }
    Proof { text, faults }
}

impl Run {
    /// Whether somebody would be accused of more than was driven.
    fn accuses(&self) -> bool {
        self.low_kmh.is_some_and(|low| low > self.true_kmh)
    }
}

/// The fault that accuses innocent people.
fn accusations(runs: &[Run]) -> Vec<String> {
    let accused: Vec<String> = runs
        .iter()
        .enumerate()
        .filter(|(_, run)| run.accuses())
        .map(|(index, run)| {
            let low = run.low_kmh.unwrap_or_default();
            format!("run {} ({} km/h, lower end {low})", index + 1, run.true_kmh)
        })
        .collect();
    if accused.is_empty() {
        return Vec::new();
    }
    let first = accused.len().min(3);
    vec![format!(
        "people would be accused of more than they drove: the lower end is above the truth in {} of {} runs: {}{}; \
         fine nobody by this camera until it is calibrated again",
        accused.len(),
        runs.len(),
        accused[..first].join(", "),
        if accused.len() > first { ", …" } else { "" }
    )]
}

/// Student's t, two-sided 95 %, to a per cent (Cornish–Fisher beyond the table).
fn student(freedom: usize) -> f64 {
    const FEW: [f64; 5] = [12.71, 4.30, 3.18, 2.78, 2.57];
    let n = freedom.max(1) as f64;
    FEW.get(freedom.max(1) - 1)
        .copied()
        .unwrap_or(1.96 + 2.37 / n + 2.82 / (n * n))
}

/// The chance that at most `hits` of `of` succeed, each with `part`.
fn at_most(hits: usize, of: usize, part: f64) -> f64 {
    let (p, q) = (part.ln(), (1.0 - part).ln());
    let mut ways = 0.0_f64;
    let mut chance = 0.0;
    for k in 0..=hits.min(of) {
        if k > 0 {
            ways += ((of - k + 1) as f64 / k as f64).ln();
        }
        chance += (ways + k as f64 * p + (of - k) as f64 * q).exp();
    }
    chance.min(1.0)
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
        let proof = report(&scaled);
        let told = format!("{}\n{}", proof.text, proof.faults.join("\n"));
        assert!(proof.faults[0].contains("accused"), "{told}");
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
        assert!(
            report(&good).text.contains("good: "),
            "{}",
            report(&good).text
        );
        let scatter = [
            run(30.0, 33.0),
            run(50.0, 46.5),
            run(70.0, 71.0),
            run(60.0, 57.9),
        ];
        assert!(
            report(&scatter).text.contains("scatter"),
            "{}",
            report(&scatter).text
        );
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

    #[test]
    fn csv_may_come_from_excel() {
        let text = "\u{feff}true_kmh;Measured_kmh;low_kmh;high_kmh\r\n50,5;49,5;48,0;51,2\r\n60;61;;\r\n;;;\r\n";
        let runs = from_csv(text).unwrap();
        assert_eq!(runs.len(), 2);
        assert_eq!((runs[0].true_kmh, runs[0].high_kmh), (50.5, Some(51.2)));
        assert_eq!(runs[1].low_kmh, None);
        let mixed = from_csv("true_kmh,measured_kmh\n50,5,49,5\n").unwrap_err();
        assert!(format!("{mixed:#}").contains("separate columns with `;`"));
    }

    #[test]
    fn chances_are_those_of_the_tables() {
        assert!((at_most(8, 10, 0.95) - 0.0861).abs() < 1e-3);
        assert!((at_most(10, 10, 0.95) - 1.0).abs() < 1e-9);
        assert!((student(9) - 2.262).abs() < 0.01, "{}", student(9));
        assert!((student(30) - 2.042).abs() < 0.01, "{}", student(30));
    }
}
