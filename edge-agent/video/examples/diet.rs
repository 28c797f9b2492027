//! What it costs to watch a camera whole, without the pictures that nobody refers
//! to, and by its key pictures only: CPU time of this process, per second of each.
//!
//! `diet rtsp://HOST:PORT/PATH [SECONDS]`

#![allow(clippy::print_stdout)] // that is its purpose

use std::time::{Duration, Instant};

use edge_video::{CameraStream, Diet, RtspSettings};

fn main() {
    let mut arguments = std::env::args().skip(1);
    let Some(url) = arguments.next() else {
        println!("usage: diet rtsp://HOST:PORT/PATH [SECONDS]");
        return;
    };
    let seconds = arguments.next().and_then(|s| s.parse().ok()).unwrap_or(20);
    if let Err(error) = edge_video::init() {
        println!("{error}");
        return;
    }
    println!(
        "{:<34} {:>9} {:>9} {:>9}",
        "", "CPU ms/s", "decoded", "left out"
    );
    for (name, fps, diet) in [
        ("all pictures", None, Diet::All),
        ("5 wanted: unreferenced left out", Some(5.0), Diet::All),
        ("idle: key pictures", None, Diet::KeyFrames),
    ] {
        let (wake, woken) = crossbeam_channel::bounded(1);
        let settings = RtspSettings {
            analysed_fps: fps,
            ..RtspSettings::new(&url)
        };
        let stream = CameraStream::start("camera", settings, wake);
        stream.set_diet(diet);
        let watch = |seconds: u64| {
            let end = Instant::now() + Duration::from_secs(seconds);
            while Instant::now() < end {
                woken.recv_timeout(Duration::from_millis(100)).ok();
                stream.take_newest();
            }
        };
        // Connecting, and learning how far apart key pictures are.
        watch(6);
        let (before, counters) = (cpu_ms(), stream.counters());
        watch(seconds);
        let (spent, now) = (cpu_ms() - before, stream.counters());
        let left_out = |c: &edge_video::StreamCounters| c.left_out_idle + c.left_out_unreferenced;
        println!(
            "{name:<34} {:>9.1} {:>9} {:>9}",
            spent / seconds as f64,
            now.received - counters.received,
            left_out(&now) - left_out(&counters)
        );
        stream.stop();
    }
}

/// User and system time of this process so far.
fn cpu_ms() -> f64 {
    let stat = std::fs::read_to_string("/proc/self/stat").unwrap_or_default();
    let after_name = stat.rsplit(')').next().unwrap_or_default();
    let fields: Vec<&str> = after_name.split_whitespace().collect();
    let ticks = |at: usize| fields.get(at).and_then(|f| f.parse::<f64>().ok());
    // Fields 14 and 15 of proc(5), in hundredths of a second.
    10.0 * (ticks(11).unwrap_or_default() + ticks(12).unwrap_or_default())
}
