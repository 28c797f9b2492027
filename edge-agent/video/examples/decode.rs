//! Decodes a clip, or a folder of pictures, and says what it found: the first
//! thing to run on a clip that behaves oddly.

#![allow(clippy::print_stdout)] // that is its purpose

use std::path::Path;
use std::time::Instant;

use edge_video::ClipReader;
use protocol::EventTime;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    edge_video::init()?;
    for path in std::env::args().skip(1) {
        let path = Path::new(&path);
        let began = Instant::now();
        let reader = if path.is_dir() {
            ClipReader::open_folder(path, 25.0, EventTime::EPOCH)
        } else {
            ClipReader::open(path, EventTime::EPOCH)
        };
        let mut reader = match reader {
            Ok(reader) => reader,
            Err(error) => {
                println!("{error}");
                continue;
            }
        };
        println!("{}: {:?}", path.display(), reader.info());
        let (mut frames, mut last) = (0, EventTime::EPOCH);
        while let Some(frame) = reader.next_frame()? {
            frames += 1;
            last = frame.time;
        }
        println!(
            "  {frames} frames, the last at {:.3} s, {:.0} frames/s; damage: {:?}, warnings: {:?}",
            last.since(EventTime::EPOCH).0,
            f64::from(frames) / began.elapsed().as_secs_f64(),
            reader.damage(),
            reader.warnings()
        );
    }
    Ok(())
}
