//! `edge-agent calibrate`.

use std::path::PathBuf;
use std::process::ExitCode;

use clap::Args;
use protocol::CameraId;

use super::exit::{faulty, finish};
use crate::calibrate::{self, CalibrateRequest};
use crate::config::ConfigFaults;

/// Shown below `calibrate --help`.
pub(super) const HELP: &str = "\
A survey is a text file. Take a still of the stream that is analysed, find six or more points on
the road that you can walk to (ends of dashes, corners of zebra bars, manholes), over the whole
stretch to be measured, near and far, on both sides. Note their pixels, and their places on the
road by tape (metres in any frame, east before north) or GPS:

  picture = [1920, 1080]            # of the still, in pixels
  click_sigma_px = 2                # what a click is good for
  ground_sigma_m = 0.05             # what the tape is good for; 1.5 for a map
  [[point]]
  name = \"zebra, left\"
  image = [412, 871]
  ground = [0.0, 0.0]               # or latlon = [21.028511, 105.854212]

The height of the camera, where measured, is a good cross-check: camera_height_m = 6.5

Nobody can walk there? Known distances will do, four or more, along and across, near and far:

  [[distance]]
  name = \"lane\"
  from = [640, 900]
  to = [1130, 905]
  metres = 3.5                      # sigma_m = 0.05

A wide angle bends straight kerbs. Then give the lens, in pixels, as OpenCV prints it:

  lens = { fx = 1180, fy = 1182, cx = 955, cy = 542, k1 = -0.31, k2 = 0.09 }

Runs for --check: CSV with true_kmh,measured_kmh,low_kmh,high_kmh, or [[run]] in TOML.

  edge-agent calibrate gate.survey.toml --still gate.jpg --grid gate.grid.jpg --config box.toml
  edge-agent calibrate --check runs.csv";

#[derive(Debug, Args)]
pub(super) struct CalibrateArgs {
    /// The survey.
    #[arg(required_unless_present = "check")]
    survey: Option<PathBuf>,
    /// Write the calibration here; else beside the survey, as NAME.calibration.toml.
    #[arg(long, value_name = "FILE", requires = "survey")]
    out: Option<PathBuf>,
    /// A still of the camera (JPEG, PNG) to draw a metre grid on.
    #[arg(long, value_name = "PICTURE", requires = "grid", requires = "survey")]
    still: Option<PathBuf>,
    /// Where the still with its grid goes (JPEG).
    #[arg(long, value_name = "OUT.jpg", requires = "still")]
    grid: Option<PathBuf>,
    /// Say what is to be expected at the zones and gates of this configuration.
    #[arg(long, requires = "survey")]
    config: Option<PathBuf>,
    /// Which of its cameras; needed when there are several.
    #[arg(long, requires = "config")]
    camera: Option<CameraId>,
    /// Compare measured speeds with true ones (CSV or TOML).
    #[arg(long, value_name = "RUNS")]
    check: Option<PathBuf>,
}

impl CalibrateArgs {
    pub(super) fn execute(self) -> ExitCode {
        let done = calibrate::calibrate(&CalibrateRequest {
            survey: self.survey,
            out: self.out,
            still: self.still,
            grid: self.grid,
            config: self.config,
            camera: self.camera,
            check: self.check,
        });
        match done {
            Err(error) if error.is::<calibrate::Faulty>() || error.is::<ConfigFaults>() => {
                faulty(&error)
            }
            done => finish(done),
        }
    }
}
