//! What ONNX Runtime says, in the program's log.
//!
//! All of it, at its own level, but for one warning that nobody can act on: PicoDet and its like,
//! as Paddle exports them, list each weight among the network's inputs as well, and the runtime warns
//! of each when such a file is loaded. These were 279 lines around the one that mattered.

use std::cell::Cell;

use ort::logging::LogLevel;

/// Where `ort` says it by itself.
const TARGET: &str = "ort::logging";
/// A weight that could be given anew with each picture, and never is. Nothing is wrong with what
/// comes out; what it costs is measured by `edge-agent models bench`.
const WEIGHT_AMONG_INPUTS: &str =
    "appears in graph inputs and will not be treated as constant value/weight";

/// OpenVINO's word when its device cannot compile a network, and nothing else tells it.
const FALLS_BACK: &str = "Falling back to OV CPU";

thread_local! {
    /// How often it was said. A network is compiled on the thread that opens it.
    static FALLEN_BACK: Cell<u64> = const { Cell::new(0) };
}

/// How often OpenVINO has said on this thread that it computes on the processor instead of
/// its device.
pub(crate) fn times_fallen_back() -> u64 {
    FALLEN_BACK.get()
}

/// Takes a message of the runtime.
pub(super) fn hear(level: LogLevel, _category: &str, id: &str, location: &str, message: &str) {
    if message.contains(FALLS_BACK) {
        FALLEN_BACK.set(FALLEN_BACK.get() + 1);
    }
    let span = tracing::trace_span!(target: TARGET, "ort", id, location);
    match heard_as(level, message) {
        LogLevel::Verbose => tracing::trace!(target: TARGET, parent: &span, "{message}"),
        LogLevel::Info => tracing::info!(target: TARGET, parent: &span, "{message}"),
        LogLevel::Warning => tracing::warn!(target: TARGET, parent: &span, "{message}"),
        LogLevel::Error => tracing::error!(target: TARGET, parent: &span, "{message}"),
        LogLevel::Fatal => tracing::error!(target: TARGET, parent: &span, "(FATAL): {message}"),
    }
}

/// How loud a message is to be.
fn heard_as(level: LogLevel, message: &str) -> LogLevel {
    if level == LogLevel::Warning && message.contains(WEIGHT_AMONG_INPUTS) {
        LogLevel::Verbose
    } else {
        level
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn openvino_that_goes_to_the_processor_is_heard() {
        let before = times_fallen_back();
        let say = |message| hear(LogLevel::Warning, "", "", "", message);
        say("Model compilation failed at OV NPU.Falling back to OV CPU for execution");
        assert_eq!(times_fallen_back(), before + 1);
        say("all is well");
        assert_eq!(times_fallen_back(), before + 1);
    }

    #[test]
    fn the_one_warning_that_is_said_of_each_weight_is_quiet_and_no_other() {
        let weight = "Initializer conv2d_46.w_0 appears in graph inputs and will not be treated as constant \
                      value/weight. This may prevent some of the graph optimizations, like const folding.";
        for (level, message, expected) in [
            (LogLevel::Warning, weight, LogLevel::Verbose),
            (LogLevel::Error, weight, LogLevel::Error),
            (
                LogLevel::Warning,
                "Initializer conv2d_46.w_0 is not used by any node",
                LogLevel::Warning,
            ),
            (LogLevel::Info, "all is well", LogLevel::Info),
        ] {
            assert_eq!(heard_as(level, message), expected, "{message}");
        }
    }
}
