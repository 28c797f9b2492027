//! A box for tests: its configuration, and a camera that is a recording of
//! pedestrians.

/// A box with nothing of note but its cameras.
pub(crate) struct BoxConfig<'a> {
    /// Folder of its outbox, from the configuration's own.
    pub(crate) store: &'a str,
    /// Broker or front door, `mqtt://…`.
    pub(crate) mqtt: &'a str,
    /// The centre, `http://…`.
    pub(crate) http: &'a str,
    /// Its cameras, as in the configuration.
    pub(crate) cameras: &'a str,
}

impl BoxConfig<'_> {
    /// Its site.
    pub(crate) const SITE: &'static str = "bench";
    /// The box.
    pub(crate) const ID: &'static str = "box-1";

    /// The configuration.
    pub(crate) fn text(&self) -> String {
        let (site, id) = (Self::SITE, Self::ID);
        let Self {
            store,
            mqtt,
            http,
            cameras,
        } = self;
        format!(
            "[box]\nsite = \"{site}\"\nid = \"{id}\"\n[store]\ndir = \"{store}\"\nask_within_min = 0\n\
             [uplink]\nurl = \"{mqtt}\"\nevidence_url = \"{http}\"\n{cameras}"
        )
    }
}

/// Pedestrians that step onto the road and are gone after three and a half
/// seconds: a recording of our own, so that events come steadily and cheaply. They
/// walk side by side, so that none hides another.
#[derive(Clone, Copy)]
pub(crate) struct Walkers {
    /// One comes so often.
    pub(crate) every_ms: u32,
    /// So many come first, one every [`Self::RUSH_MS`].
    pub(crate) rush: u32,
    /// How long until it begins anew, or ends, seconds; at most an hour.
    pub(crate) length_s: u32,
    /// Nobody comes in so many seconds at its end.
    pub(crate) quiet_s: u32,
    /// Whether it begins anew.
    pub(crate) repeats: bool,
}

impl Default for Walkers {
    fn default() -> Self {
        Self {
            every_ms: 400,
            rush: 0,
            length_s: 120,
            quiet_s: 0,
            repeats: true,
        }
    }
}

impl Walkers {
    const RUSH_MS: u32 = 40;

    /// Name of the recording beside the configuration.
    pub(crate) const FILE: &str = "walkers.inputs.jsonl";

    /// Nobody comes.
    pub(crate) const NOBODY: Self = Self {
        every_ms: 1000,
        rush: 0,
        length_s: 60,
        quiet_s: 60,
        repeats: true,
    };

    /// What the agent says at the end of one that does not begin anew.
    pub(crate) const ENDED: &str = "recording has ended";

    /// The camera that has it for its source.
    pub(crate) fn camera(self) -> String {
        let Self { repeats, .. } = self;
        format!(
            r#"
[[camera]]
id = "walkers"
source = {{ recording = "walkers.inputs.jsonl", loop = {repeats} }}
simulated = true
[[camera.zone]]
id = "road"
points = [[0.0, 0.0], [1.0, 0.0], [1.0, 1.0], [0.0, 1.0]]
[[camera.rule]]
id = "people-on-road"
kind = "pedestrian_on_carriageway"
zone = "road"
min_duration_s = 1.0
"#
        )
    }

    /// When the walkers come, seconds, in order.
    fn times(self) -> Vec<f64> {
        let rushed = (0..self.rush).map(|walker| walker * Self::RUSH_MS);
        let last = self.length_s.saturating_sub(self.quiet_s) * 1000;
        let later = (self.rush * Self::RUSH_MS..last).step_by(self.every_ms as usize);
        let times = rushed.chain(later).filter(|ms| *ms < last);
        times.map(|ms| f64::from(ms) / 1000.0).collect()
    }

    /// What to write into the file.
    pub(crate) fn recording(self) -> String {
        let times = self.times();
        let mut lines = Vec::new();
        let (mut first, mut next) = (0, 0);
        for frame in 0..self.length_s * 10 {
            let time = f64::from(frame) / 10.0;
            while times.get(next).is_some_and(|came| *came <= time) {
                next += 1;
            }
            while first < next && time - times[first] >= 3.5 {
                first += 1;
            }
            let walkers: Vec<String> = (first..next)
                .map(|walker| {
                    let age = time - times[walker];
                    let x = 0.02 + (walker % 30) as f64 * 0.032;
                    let y = 0.2 + age * 0.12;
                    format!(r#"{{"class":"person","score":0.9,"box":[{x:.5},{y:.5},0.02,0.08]}}"#)
                })
                .collect();
            lines.push(format!(
                r#"{{"detections":{{"frame":{frame},"time":"1970-01-01T00:{:02}:{:09.6}Z","time_quality":"media","aspect":1.7778,"items":[{}]}}}}"#,
                frame / 600,
                time % 60.0,
                walkers.join(",")
            ));
        }
        lines.join("\n") + "\n"
    }
}
