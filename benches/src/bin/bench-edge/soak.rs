//! A day with flapping cameras, without waiting for it: does the agent hold more and more?
//!
//! Time cannot be made faster for GStreamer, but what happens in a day can be made to happen
//! more densely. Of 20 cameras 5 % are one; one that loses its stream every minute makes 1440
//! connections a day. Here 16 small cameras end their streams every five seconds, which is as soon as
//! the agent takes a connection for a good one and begins its back-off anew, beside four steady
//! ones, until so many connections were made. Each goes all the way: pipeline, decoder, first
//! pictures, health, gap, status, events. What is *not* simulated is the number of pictures of a day
//! (`core-cost memory` shows ten million of them through one scene) and whatever only a clock brings about.
//!
//! The agent's environment is that of its unit: two arenas of glibc (`docs/design/memory.md`). Resident
//! anonymous memory is read every second, from when the rings are full, and the albums of key pictures with
//! them, which reach as far back here: ten minutes of them, as they come, would be filling all the time that is
//! measured and look like a leak. Pages of files are the kernel's to take back and do not count.
//!
//! Two such days are simulated. The heap goes on settling through the first one and longer: what is live in it does not
//! grow (`benches/RESULTS.md`, *Soak*), but pieces of all sizes find their places between each other. So the
//! bar is on the second day; the first is told without one, its first third left out. Readings are averaged in twelve blocks,
//! which are far enough apart to be noise without memory, and a straight line goes through them.

use std::time::{Duration, Instant};

use crate::agent::{Agent, Telling, Watching};
use crate::cameras::Cameras;
use crate::setting::Setting;
use crate::table::{Bar, Row};
use crate::trend::Trend;

/// Connections of one camera that is lost once a minute, in a day.
const OF_A_DAY: f64 = 1440.0;
const FLAPPING: usize = 16;
const STEADY: usize = 4;
const BLOCKS: usize = 12;
/// After so long all rings and albums are full, which keep 30 s each.
const RINGS_FULL: Duration = Duration::from_secs(45);

/// Key pictures as long as clips: what is full when the measurement begins.
const ALBUM: &str = "[camera.clip]\nalbum_s = 30.0\n";

/// Steps of the progress bar.
pub(crate) const STEPS: u64 = 1;

pub(crate) fn measure(setting: &Setting) -> anyhow::Result<Vec<Row>> {
    let wanted = if setting.is_quick { 300.0 } else { OF_A_DAY };
    setting.progress.step(&format!(
        "soak: twice {wanted} lost connections of {FLAPPING} cameras"
    ));
    let clip = Setting::small_clip(&setting.root)?;
    let flapping = Cameras::with(
        setting,
        "flapping",
        &clip,
        FLAPPING,
        &["--end-after-s", "5.2"],
    )?;
    let steady = Cameras::start(setting, &clip, STEADY)?;
    let urls: Vec<String> = flapping.urls.iter().chain(&steady.urls).cloned().collect();
    let rules = format!("{}{ALBUM}", Telling::Seldom.rules());
    let watching = Watching {
        analysed_fps: Some(2.0),
        detect: "",
        rules: &rules,
    };
    let agent = Agent::start(setting, &urls, watching, None)?;
    std::thread::sleep(RINGS_FULL);
    let begun = Instant::now();
    // Ten times what it takes on a machine that keeps up.
    let patience = Duration::from_secs_f64(10.0 * 6.0 * 2.0 * wanted / FLAPPING as f64);
    let mut readings = Vec::new();
    let (mut threads, mut connections) = (Vec::new(), 0.0);
    let before = agent.counters()?;
    while connections < 2.0 * wanted && begun.elapsed() < patience {
        std::thread::sleep(Duration::from_secs(1));
        let held = agent.program.memory()?;
        connections = (agent.counters()? - before).reconnects;
        readings.push((connections, held.anonymous_mib));
        threads.push(held.threads);
    }
    let took = begun.elapsed().as_secs_f64();
    agent.program.stop()?;
    let split = readings.partition_point(|reading| reading.0 < wanted);
    let (settling, settled) = readings.split_at(split);
    let first = Growth::of(&settling[settling.len() / 3..]);
    let second = Growth::of(settled);
    let late = threads.split_off(threads.len() / 2);
    let note = format!(
        "{second}; {connections:.0} lost connections of both days in {took:.0} s; at most {} threads in the first half, {} in the second",
        threads.iter().max().copied().unwrap_or_default(),
        late.iter().max().copied().unwrap_or_default(),
    );
    let beyond = Row::new(
        "soak",
        "growth that is beyond noise (95 %)",
        (second.of_a_day - second.within).max(0.0),
        "MiB",
    );
    Ok(vec![
        Row::new(
            "soak",
            "growth of anonymous memory in a simulated day, while the heap settles",
            first.of_a_day,
            "MiB",
        )
        .note(first.to_string()),
        Row::new("soak", "the same in the day after", second.of_a_day, "MiB").note(note),
        if setting.is_quick {
            beyond.note("a quick run ends while heaps and pools still warm up")
        } else {
            beyond.bar(Bar::AtMost(0.0))
        },
    ])
}

/// How memory grew over some readings. MiB.
#[derive(Clone, Copy, Debug)]
struct Growth {
    /// Slope for [`OF_A_DAY`] connections.
    of_a_day: f64,
    /// Its 95 % interval.
    within: f64,
    /// What is held in the first block, and in the last.
    ends: [f64; 2],
}

impl std::fmt::Display for Growth {
    fn fmt(&self, to: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let [first, last] = self.ends;
        write!(
            to,
            "± {:.2} (95 %), from {first:.1} MiB to {last:.1}",
            self.within
        )
    }
}

impl Growth {
    /// Of readings: connections so far, and MiB.
    fn of(readings: &[(f64, f64)]) -> Self {
        let size = (readings.len() / BLOCKS).max(1);
        let blocks: Vec<(f64, f64)> = readings
            .chunks(size)
            .filter(|block| block.len() == size)
            .map(|block| {
                let mean = |of: fn(&(f64, f64)) -> f64| {
                    block.iter().map(of).sum::<f64>() / block.len() as f64
                };
                (mean(|reading| reading.0), mean(|reading| reading.1))
            })
            .collect();
        let trend = Trend::through(&blocks);
        let end = |block: Option<&(f64, f64)>| block.map_or(f64::NAN, |block| block.1);
        Self {
            of_a_day: trend.slope * OF_A_DAY,
            within: trend.slope_within * OF_A_DAY,
            ends: [end(blocks.first()), end(blocks.last())],
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_leak_of_ten_kibibytes_a_connection_is_beyond_noise() {
        let readings = |leak_mib: f64| -> Vec<(f64, f64)> {
            let mut random = fastrand::Rng::with_seed(3);
            (0..360)
                .map(|n| {
                    let connections = f64::from(n) * 4.0;
                    (
                        connections,
                        90.0 + 3.0 * random.f64() + leak_mib * connections,
                    )
                })
                .collect()
        };
        let leak = Growth::of(&readings(10.0 / 1024.0));
        assert!(leak.of_a_day - leak.within > 5.0, "{leak:?}");
        let none = Growth::of(&readings(0.0));
        assert!(none.of_a_day.abs() < none.within.max(1.0), "{none:?}");
    }
}
