//! What the watch says of raw luma frames on standard input, for tuning by hand.
//!
//! ```text
//! ffmpeg -v error -i clip.mp4 -vf fps=2,scale=640:360 -pix_fmt gray -f rawvideo - \
//!     | cargo run --release -p picture-health --example watch -- 640 360 2
//! ```
//! With a fourth argument, every frame is shown so many times, so that a clip of
//! some seconds is long enough to learn from.

use std::io::{Read as _, Write as _};

use picture_health::{Settings, Thumbnail, Watch};
use protocol::EventTime;
use protocol::units::Seconds;

fn main() -> std::io::Result<()> {
    let numbers: Vec<f64> = std::env::args()
        .skip(1)
        .filter_map(|word| word.parse().ok())
        .collect();
    let (&[width, height, fps], repeat) = (match numbers.as_slice() {
        [size @ .., repeat] if size.len() == 3 => (size, *repeat),
        size => (size, 1.0),
    }) else {
        eprintln!("usage: watch WIDTH HEIGHT FPS [REPEAT]");
        std::process::exit(2);
    };
    #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)] // sizes of pictures
    let (width, height, repeat) = (width as usize, height as usize, repeat as u32);
    let mut watch = Watch::new(Settings::default());
    let (mut input, mut out) = (std::io::stdin().lock(), std::io::stdout().lock());
    let mut frame = vec![0; width * height];
    let mut looks = 0_u32;
    while input.read_exact(&mut frame).is_ok() {
        let Some(thumbnail) = Thumbnail::of(&frame, width, width, height) else {
            eprintln!("a picture must be at least as large as a thumbnail, 160 × 90");
            std::process::exit(2);
        };
        for _ in 0..repeat {
            let at = EventTime::EPOCH + Seconds(f64::from(looks) / fps);
            looks += 1;
            if let Some(health) = watch.look(&thumbnail, at) {
                writeln!(
                    out,
                    "{}: {} since {}, value {:?}, threshold {:?}",
                    health.time,
                    health.condition.as_str(),
                    health.since,
                    health.value,
                    health.threshold
                )?;
            }
        }
    }
    writeln!(out, "{looks} looks, at last {}", watch.condition().as_str())
}
