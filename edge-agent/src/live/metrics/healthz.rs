//! What `/healthz` says: that all is well, or which cameras are not, and why.

use protocol::status::{CameraHealth, CameraStatus};

/// `ok`, or a line for each camera that is not watched well: `north: lost: 192.0.2.10:554 refuses …`.
pub(super) fn told(cameras: impl Iterator<Item = CameraStatus>) -> String {
    let unwell: String = cameras
        .filter(|camera| camera.health != CameraHealth::Watching)
        .map(|camera| line(&camera))
        .collect();
    if unwell.is_empty() {
        "ok\n".to_owned()
    } else {
        unwell
    }
}

fn line(camera: &CameraStatus) -> String {
    let health = match camera.health {
        CameraHealth::Connecting => "connecting",
        CameraHealth::Watching => "watching",
        CameraHealth::Degraded => "degraded",
        CameraHealth::Lost => "lost",
        CameraHealth::Stopped => "stopped",
        CameraHealth::Unknown => "unknown",
    };
    let id = &camera.camera;
    match &camera.reason {
        // Whoever reads this reads lines.
        Some(reason) => {
            let why: Vec<&str> = reason.en.lines().collect();
            format!("{id}: {health}: {}\n", why.join(" "))
        }
        None => format!("{id}: {health}\n"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn camera(id: &str, health: &str, reason: Option<&str>) -> CameraStatus {
        let mut status = serde_json::json!({
            "site": "hanoi", "box": "box-01", "camera": id, "name": "A camera", "health": health,
            "since": "2026-11-28T06:00:00Z", "at": "2026-11-28T06:00:00Z", "retries": 0,
            "frames_received": 0, "frames_analysed": 0, "frames_dropped": 0, "analysed_fps": 0.0,
        });
        if let Some(reason) = reason {
            status["reason"] = serde_json::json!({ "vi": "…", "en": reason });
        }
        serde_json::from_value(status).unwrap()
    }

    /// The documentation and the alert rule sent people here for the reason, and it said `c: Lost`.
    #[test]
    fn who_asks_is_told_which_camera_is_not_well_and_why() {
        let well = camera("well", "watching", None);
        let cameras = [
            well.clone(),
            camera(
                "north",
                "lost",
                Some("192.0.2.10:554 refuses the connection;\ncheck the port"),
            ),
            camera("south", "connecting", None),
            camera(
                "east",
                "degraded",
                Some("the stream itself gives green pictures"),
            ),
        ];
        assert_eq!(
            told(cameras.into_iter()),
            "north: lost: 192.0.2.10:554 refuses the connection; check the port\n\
             south: connecting\n\
             east: degraded: the stream itself gives green pictures\n"
        );
        assert_eq!(told([well].into_iter()), "ok\n");
        assert_eq!(told([].into_iter()), "ok\n");
    }
}
