//! How a command ends: its exit code, and what is said of why.

use std::path::Path;
use std::process::ExitCode;

use case_bundle::aside;
use case_bundle::files::said;
use protocol::CameraId;

use crate::config::AgentConfig;
use crate::live::Ending;
use crate::models_command::NeverHad;
use crate::recording::RecordingError;
use crate::replay;

/// Exit code when the command did not do its job.
pub(super) const FAILED: u8 = 1;
/// Exit code when the configuration or the command line is faulty.
pub(super) const FAULTY: u8 = 2;
/// Exit code when what computes was lost, and this process cannot have it again: to be started anew.
pub(super) const FORLORN: u8 = 4;
/// Exit code when somebody stopped the command before its end, as shells have it for Ctrl-C.
pub(super) const STOPPED: u8 = 130;

/// The command line cannot be meant.
pub(super) fn faulty(error: &anyhow::Error) -> ExitCode {
    aside!("error: {}", said::whole(error.chain()));
    ExitCode::from(FAULTY)
}

/// Ends here when the configuration is faulty or has no such camera.
pub(super) fn refused(config: &Path, camera: Option<&CameraId>) -> Option<ExitCode> {
    let config = match AgentConfig::load(config) {
        Ok(config) => config,
        Err(faults) => {
            aside!("{faults}");
            return Some(ExitCode::from(FAULTY));
        }
    };
    camera?;
    let chosen = replay::choose_camera(&config, camera);
    chosen.err().map(|error| faulty(&error.into()))
}

/// Done, or why not.
pub(super) fn finish(result: anyhow::Result<()>) -> ExitCode {
    match result {
        Ok(()) => ExitCode::SUCCESS,
        // The command line does not say which of several cameras is meant.
        Err(error) if is_about_the_camera(&error) => faulty(&error),
        Err(error) => {
            aside!("error: {}", said::whole(error.chain()));
            ExitCode::from(code_of(&error))
        }
    }
}

fn code_of(error: &anyhow::Error) -> u8 {
    match error.downcast_ref() {
        Some(Ending::Forlorn(_)) => FORLORN,
        // It is known only where the models are, and a fault of the configuration all the same.
        None if error.is::<NeverHad>() => FAULTY,
        Some(Ending::Fault(_)) | None => FAILED,
    }
}

fn is_about_the_camera(error: &anyhow::Error) -> bool {
    error.chain().any(|cause| {
        cause.is::<replay::WhichCamera>()
            || matches!(
                cause.downcast_ref::<RecordingError>(),
                Some(RecordingError::Which { .. })
            )
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// So that who reads the unit's journal tells a dead device from a fault of this program.
    #[test]
    fn a_program_that_ends_for_want_of_its_device_has_an_exit_code_of_its_own() {
        let of = |ending: Ending| code_of(&ending.into());
        assert_eq!(
            of(Ending::Forlorn("an illegal memory access".to_owned())),
            FORLORN
        );
        assert_eq!(of(Ending::Fault("a scene has ended".to_owned())), FAILED);
        assert_eq!(code_of(&anyhow::anyhow!("no camera")), FAILED);
    }
}
