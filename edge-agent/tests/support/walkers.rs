//! People who step onto the road one after the other: a recording of our own, so that
//! events come steadily and cheaply.

use std::fmt::Write as _;
use std::path::Path;

/// The camera that has the recording for its source, and the rule that they break.
pub const CAMERA: &str = r#"
[[camera]]
id = "walkers"
source = { recording = "walkers.inputs.jsonl", loop = true }
simulated = true
[[camera.zone]]
id = "road"
points = [[0.0, 0.0], [1.0, 0.0], [1.0, 1.0], [0.0, 1.0]]
[[camera.rule]]
id = "people-on-road"
kind = "pedestrian_on_carriageway"
zone = "road"
min_duration_s = 1.0
"#;

/// Who comes when, in ten frames a second.
pub struct Walkers {
    /// Length of the recording.
    pub seconds: u32,
    /// From one to the next, s. Each is there for 3.5.
    pub every_s: f64,
    /// Of the picture.
    pub aspect: f64,
    /// Of what class each is, by his number.
    pub class: fn(u32) -> &'static str,
    /// Whether one comes at this time, s.
    pub is_busy: fn(f64) -> bool,
}

impl Walkers {
    /// Pedestrians, all the time.
    pub fn all_the_time(seconds: u32, every_s: f64) -> Self {
        Self {
            seconds,
            every_s,
            aspect: 1.7778,
            class: |_| "person",
            is_busy: |_| true,
        }
    }

    /// Writes the recording beside the configuration.
    pub fn write(&self, dir: &Path) {
        let Self {
            seconds,
            every_s,
            aspect,
            ..
        } = *self;
        let starts: Vec<(u32, f64)> = (0..u32::MAX)
            .map(|walker| (walker, f64::from(walker) * every_s))
            .take_while(|(_, start)| *start < f64::from(seconds))
            .filter(|(_, start)| (self.is_busy)(*start))
            .collect();
        let mut text = String::new();
        for frame in 0..seconds * 10 {
            let time = f64::from(frame) / 10.0;
            let walkers: Vec<String> = starts
                .iter()
                .filter_map(|(walker, start)| {
                    let age = time - start;
                    let lane = f64::from(walker % 10);
                    (0.0..3.5).contains(&age).then(|| {
                        format!(
                            r#"{{"class":"{}","score":0.9,"box":[{:.5},{:.5},0.02,0.08]}}"#,
                            (self.class)(*walker),
                            0.05 + lane * 0.09,
                            0.2 + age * 0.12
                        )
                    })
                })
                .collect();
            writeln!(
                text,
                r#"{{"detections":{{"frame":{frame},"time":"1970-01-01T00:{:02}:{:09.6}Z","time_quality":"media","aspect":{aspect},"items":[{}]}}}}"#,
                frame / 600,
                time % 60.0,
                walkers.join(",")
            )
            .unwrap();
        }
        std::fs::write(dir.join("walkers.inputs.jsonl"), text).unwrap();
    }
}
