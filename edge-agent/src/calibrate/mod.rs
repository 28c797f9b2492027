//! `calibrate`: a technician's survey becomes a calibration file.
//!
//! The survey is a small text file: points that were clicked in a still and
//! measured on the road, or distances that are known. Out of it comes one file
//! with the homography, its covariance, what every point says against it, and
//! what positions and speeds will be good for; and a still with a metre grid,
//! which shows a mistake at a glance. A survey from which no trustworthy plane
//! follows is refused with the reason and what to do. `--check` compares with
//! runs whose speed is known. The guide is `docs/calibration.md`.

mod blunder;
mod file;
mod grid;
mod judge;
mod outlook;
mod runs;
mod survey;

use std::path::{Path, PathBuf};

use anyhow::{Context as _, bail};
use case_bundle::say;
use edge_core::calibration::{Camera, Fitted, Ground, fit_distances, fit_points};
use protocol::CameraId;

use crate::config::AgentConfig;
pub use file::{CalibrationFile, Expected, Residual};
pub use survey::{Geometry, Survey};

/// What is to be done.
#[derive(Clone, Debug)]
pub struct CalibrateRequest {
    /// The survey, or, with `check`, also a calibration file.
    pub survey: Option<PathBuf>,
    /// Where the calibration goes; beside the survey when not given.
    pub out: Option<PathBuf>,
    /// A picture of the camera, to draw on.
    pub still: Option<PathBuf>,
    /// Where the picture with its grid goes.
    pub grid: Option<PathBuf>,
    /// A configuration whose zones and gates are to be judged.
    pub config: Option<PathBuf>,
    /// Which of its cameras.
    pub camera: Option<CameraId>,
    /// Measured runs.
    pub check: Option<PathBuf>,
}

/// A file or a command line that cannot be understood, in contrast to a survey
/// that was understood and is not good enough.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub struct Faulty(pub String);

/// Does it; what is to be read goes to standard output.
pub fn calibrate(request: &CalibrateRequest) -> anyhow::Result<()> {
    // Everything is read before anything is written.
    let runs = request.check.as_deref().map(runs::read).transpose()?;
    if let Some(survey) = &request.survey {
        from_survey(survey, request)?;
    }
    if let (Some(runs), Some(file)) = (runs, &request.check) {
        let proof = runs::report(&runs);
        for fault in &proof.faults {
            say!("FAULT: {fault}");
        }
        say!("{}", proof.text);
        if let Some(gravest) = proof.faults.first() {
            bail!("{}: the proof fails: {gravest}", file.display());
        }
    }
    Ok(())
}

fn from_survey(path: &Path, request: &CalibrateRequest) -> anyhow::Result<()> {
    let survey = Survey::load(path)?;
    let out = request
        .out
        .clone()
        .unwrap_or_else(|| path.with_extension("calibration.toml"));
    check_outputs(path, &out, request)?;
    let config = request
        .config
        .as_deref()
        .map(AgentConfig::load)
        .transpose()?;
    let camera = config
        .as_ref()
        .map(|config| one_camera(config, request.camera.as_ref()))
        .transpose()?;
    let fitted = fit(&survey)?;
    let outlook = outlook::Outlook::of(&survey, &fitted)?;
    let mut objections = judge::objections(&survey, &fitted)?;
    if objections.is_empty() {
        objections.extend(outlook.objection(&survey, &fitted)?);
    }
    if !objections.is_empty() {
        let list: Vec<String> = objections.iter().map(|o| format!("  - {o}")).collect();
        bail!(
            "{}: no calibration was written:\n{}",
            path.display(),
            list.join("\n")
        );
    }
    // A survey that is of no use is told before a still that is not there.
    let still = request
        .still
        .as_deref()
        .map(|still| grid::Still::read(still, &survey))
        .transpose()?;
    let mut file = CalibrationFile::new(&survey, &fitted);
    file.expected.push(outlook.expected());
    if let Some(camera) = camera {
        file.expected.extend(judge::expectations(
            &fitted.calibration,
            camera,
            survey.aspect(),
        )?);
    }
    let told = describe(&survey, &fitted, &file)?;
    let told = outlook
        .note()
        .map_or_else(|| told.clone(), |note| format!("{told}\n{note}"));
    // The calibration last: a previous one stays when anything before it fails.
    if let (Some(still), Some(grid)) = (still, &request.grid) {
        still.draw(grid, &survey, &fitted.calibration)?;
    }
    file.write(&out)?;
    say!("{told}");
    say!("written: {}", out.display());
    say!(
        "next: below the camera's [[camera]] and above its zones, lines and rules write \
         `calibration = {{ file = \"{0}\" }}`,\n      or after them `[camera.calibration]` and `file = \"{0}\"`; then run `edge-agent check`",
        out.file_name()
            .map_or_else(String::new, |name| name.to_string_lossy().into_owned())
    );
    if let Some(grid) = &request.grid {
        say!(
            "grid: {}; lanes must follow it, and kerbs meet it where they were measured",
            grid.display()
        );
    }
    Ok(())
}

/// Nothing that was given may be written over.
fn check_outputs(survey: &Path, out: &Path, request: &CalibrateRequest) -> anyhow::Result<()> {
    if request.still.is_some() != request.grid.is_some() {
        bail!(Faulty(
            "--still and --grid belong together: the picture, and where it goes with its grid"
                .to_owned()
        ));
    }
    let given = [
        (Some(survey), "survey"),
        (request.still.as_deref(), "still"),
        (request.config.as_deref(), "configuration"),
        (request.check.as_deref(), "runs"),
    ];
    for (written, option) in [(Some(out), "--out"), (request.grid.as_deref(), "--grid")] {
        for (read, what) in given {
            if written.is_some() && written == read {
                bail!(Faulty(format!(
                    "{}: would write over the {what}; give another {option}",
                    out.display()
                )));
            }
        }
    }
    if request.grid.as_deref() == Some(out) {
        bail!(Faulty(format!(
            "{}: is given for the calibration and for the grid; give another --grid",
            out.display()
        )));
    }
    Ok(())
}

/// Fits a survey of either kind.
fn fit(survey: &Survey) -> anyhow::Result<Fitted> {
    let (aspect, lens) = (survey.aspect(), survey.lens);
    match &survey.geometry {
        Geometry::Points(points) => {
            let places: Vec<_> = points.iter().map(|p| p.place).collect();
            judge::check_points(survey, &places)
                .with_context(|| format!("{}: no calibration follows", survey.file.display()))?;
            fit_points(&places, aspect, lens, survey.sigmas())
        }
        Geometry::Distances(distances) => {
            let known: Vec<_> = distances.iter().map(|d| d.known).collect();
            fit_distances(&known, aspect, lens, survey.sigmas())
        }
    }
    .with_context(|| format!("{}: no calibration follows", survey.file.display()))
}

/// The camera that is meant.
fn one_camera<'c>(
    config: &'c AgentConfig,
    wanted: Option<&CameraId>,
) -> anyhow::Result<&'c crate::config::CameraConfig> {
    let list = || {
        let names: Vec<String> = config
            .cameras
            .iter()
            .map(|c| format!("`{}`", c.id))
            .collect();
        names.join(", ")
    };
    let mut cameras = config
        .cameras
        .iter()
        .filter(|camera| wanted.is_none_or(|wanted| camera.id == *wanted));
    match (cameras.next(), cameras.next()) {
        (Some(camera), None) => Ok(camera),
        (None, _) if config.cameras.is_empty() => {
            bail!(Faulty(format!(
                "{}: there is no [[camera]]; add one",
                config.file.display()
            )))
        }
        (None, _) => bail!(Faulty(format!(
            "{}: has no camera `{}`; --camera is one of {}",
            config.file.display(),
            wanted.map(ToString::to_string).unwrap_or_default(),
            list()
        ))),
        (Some(_), Some(_)) => bail!(Faulty(format!(
            "{}: has several cameras; say which with --camera: {}",
            config.file.display(),
            list()
        ))),
    }
}

/// What a technician reads on the spot.
fn describe(survey: &Survey, fitted: &Fitted, file: &CalibrationFile) -> anyhow::Result<String> {
    use std::fmt::Write as _;
    let mut text = String::new();
    let calibration = &fitted.calibration;
    writeln!(
        text,
        "residual {:.3} m over {} {}",
        calibration.residual_m.0,
        calibration.points,
        survey.what()
    )?;
    for residual in &file.residual {
        writeln!(
            text,
            "  {:<20} off by {:>6.3} m, {:.1} times what was to be expected",
            residual.name, residual.metres, residual.sigmas
        )?;
    }
    match fitted.misfit {
        None => writeln!(
            text,
            "note: four points fit exactly, also when one was measured wrongly; survey a fifth"
        )?,
        Some(misfit) if misfit > 2.0 => writeln!(
            text,
            "note: the points fit {:.1} times worse than click and tape are said to be; intervals are wider for it",
            misfit.sqrt()
        )?,
        Some(_) => {}
    }
    let ground = Ground::new(calibration)?;
    match Camera::of(&ground, survey.aspect()) {
        Some(camera) => writeln!(
            text,
            "camera: {:.1} m above the road, focal length {:.0} pixels; {}",
            camera.height_m,
            camera.focal * f64::from(survey.picture[1]),
            survey.camera_height_m.map_or_else(
                || "does that look right? (measured, write it into the survey as camera_height_m)"
                    .to_owned(),
                |known| format!("camera_height_m is {known}"),
            )
        )?,
        None => writeln!(
            text,
            "camera: its height does not follow from these points (it looks straight down, or they are poor); \
             speeds will have wider intervals"
        )?,
    }
    for expected in &file.expected {
        writeln!(text, "  {:<20} {}", expected.place, expected.words)?;
    }
    Ok(text.trim_end().to_owned())
}
