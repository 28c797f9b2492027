//! What was measured: rows with their bars, as a table for people and as JSON.

use comfy_table::{ContentArrangement, Table, presets};
use serde::Serialize;

/// What a figure is to keep to.
#[derive(Clone, Copy, Debug, Serialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Bar {
    /// No more than this.
    AtMost(f64),
    /// No less than this.
    AtLeast(f64),
}

impl Bar {
    fn holds(self, figure: f64) -> bool {
        match self {
            Self::AtMost(limit) => figure <= limit,
            Self::AtLeast(limit) => figure >= limit,
        }
    }

    fn words(self) -> String {
        match self {
            Self::AtMost(limit) => format!("≤ {limit}"),
            Self::AtLeast(limit) => format!("≥ {limit}"),
        }
    }
}

/// One line of the table.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Row {
    /// Which part of the bench measured it.
    pub(crate) part: &'static str,
    /// What was measured, on what.
    pub(crate) what: String,
    /// The figure; absent where it could not be measured.
    pub(crate) figure: Option<f64>,
    /// Its unit; empty for a ratio.
    pub(crate) unit: &'static str,
    /// Least and greatest over the rounds.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) spread: Option<[f64; 2]>,
    /// What it is to keep to; none for figures that only inform.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) bar: Option<Bar>,
    /// What one has to know to read it.
    pub(crate) note: String,
}

impl Row {
    /// A figure that informs.
    pub(crate) fn new(
        part: &'static str,
        what: impl Into<String>,
        figure: f64,
        unit: &'static str,
    ) -> Self {
        Self {
            part,
            what: what.into(),
            figure: figure.is_finite().then_some(figure),
            unit,
            spread: None,
            bar: None,
            note: String::new(),
        }
    }

    /// The median of `spread`, with its ends.
    pub(crate) fn of(
        part: &'static str,
        what: impl Into<String>,
        spread: &Spread,
        unit: &'static str,
    ) -> Self {
        let ends = [spread.least(), spread.most()];
        Self {
            spread: (ends[0] < ends[1]).then_some(ends),
            ..Self::new(part, what, spread.median(), unit)
        }
    }

    /// What could not be measured, and why.
    pub(crate) fn skipped(part: &'static str, why: impl Into<String>) -> Self {
        Self {
            note: why.into(),
            ..Self::new(part, "not measured", f64::NAN, "")
        }
    }

    pub(crate) fn bar(self, bar: Bar) -> Self {
        Self {
            bar: Some(bar),
            ..self
        }
    }

    pub(crate) fn note(self, note: impl Into<String>) -> Self {
        Self {
            note: note.into(),
            ..self
        }
    }

    /// Whether `--strict` lets it pass. What was not measured has kept no bar.
    pub(crate) fn is_kept(&self) -> bool {
        self.figure.is_some() && self.verdict() != "MISS"
    }

    /// `PASS`, `MISS`, nothing for a figure without a bar.
    pub(crate) fn verdict(&self) -> &'static str {
        match (self.bar, self.figure) {
            (Some(bar), Some(figure)) if bar.holds(figure) => "PASS",
            (Some(_), Some(_)) => "MISS",
            (None, Some(_)) => "",
            (_, None) => "–",
        }
    }
}

/// The same figure over several rounds.
#[derive(Clone, Debug, Default)]
pub(crate) struct Spread(Vec<f64>);

impl Spread {
    pub(crate) fn add(&mut self, figure: f64) {
        self.0.push(figure);
    }

    /// The smallest of them: noise of other programs only ever adds.
    pub(crate) fn least(&self) -> f64 {
        self.0.iter().copied().fold(f64::INFINITY, f64::min)
    }

    pub(crate) fn most(&self) -> f64 {
        self.0.iter().copied().fold(f64::NEG_INFINITY, f64::max)
    }

    pub(crate) fn median(&self) -> f64 {
        self.quantile(0.5)
    }

    /// By the nearest rank, between two of them at the middle.
    pub(crate) fn quantile(&self, share: f64) -> f64 {
        let mut sorted = self.0.clone();
        sorted.sort_by(f64::total_cmp);
        let Some(last) = sorted.len().checked_sub(1) else {
            return f64::NAN;
        };
        let at = share * last as f64;
        #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)] // within the list
        let (below, above) = (at.floor() as usize, at.ceil() as usize);
        sorted[below] + (sorted[above] - sorted[below]) * (at - at.floor())
    }

    pub(crate) fn len(&self) -> usize {
        self.0.len()
    }
}

/// The table for people.
pub(crate) fn printed(rows: &[Row]) -> String {
    let mut table = Table::new();
    table
        .load_style(presets::UTF8_FULL_CONDENSED)
        .set_content_arrangement(ContentArrangement::Dynamic)
        .set_header(["part", "what", "figure", "least … most", "bar", "", "note"]);
    for row in rows {
        let number = |figure: f64| match figure.abs() {
            size if size >= 100.0 => format!("{figure:.0}"),
            size if size >= 10.0 => format!("{figure:.1}"),
            _ => format!("{figure:.3}"),
        };
        let figure = row.figure.map_or_else(
            || "–".to_owned(),
            |figure| format!("{} {}", number(figure), row.unit),
        );
        let spread = row.spread.map_or_else(String::new, |[least, most]| {
            format!("{} … {}", number(least), number(most))
        });
        table.add_row([
            row.part.to_owned(),
            row.what.clone(),
            figure,
            spread,
            row.bar.map_or_else(String::new, Bar::words),
            row.verdict().to_owned(),
            row.note.clone(),
        ]);
    }
    table.to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quantiles_lie_between_the_figures() {
        let mut spread = Spread::default();
        assert!(spread.median().is_nan());
        for figure in [4.0, 1.0, 3.0, 2.0] {
            spread.add(figure);
        }
        assert_eq!(spread.median(), 2.5);
        assert_eq!((spread.quantile(0.0), spread.quantile(1.0)), (1.0, 4.0));
        assert_eq!((spread.least(), spread.most()), (1.0, 4.0));
    }

    #[test]
    fn a_figure_that_is_not_there_passes_no_bar() {
        for (figure, bar, verdict) in [
            (1.05, Bar::AtMost(1.05), "PASS"),
            (1.06, Bar::AtMost(1.05), "MISS"),
            (2.9, Bar::AtLeast(3.0), "MISS"),
            (f64::NAN, Bar::AtLeast(3.0), "–"),
        ] {
            let row = Row::new("x", "y", figure, "").bar(bar);
            assert_eq!(row.verdict(), verdict);
            assert_eq!(row.is_kept(), verdict == "PASS");
        }
        assert!(Row::new("x", "y", 1.0, "").is_kept());
        assert!(!Row::skipped("x", "the camera did not start").is_kept());
    }
}
