//! What the gate says of raw luma frames on standard input, and what it costs.
//!
//! ```text
//! ffmpeg -v error -i clip.mp4 -vf fps=10 -pix_fmt gray -f rawvideo - \
//!     | cargo run --release -p motion-gate --example gate -- 1920 1080 10 [each]
//! ```
//! Nobody looks at the pictures here: it is as if each look found nobody, so the scene never keeps it
//! awake, and a road that is still is empty. With `each`, a line is written for every picture. What it
//! costs is told in parts, medians, beside a floor: the luma plane copied once.

use std::collections::BTreeMap;
use std::io::{Read as _, Write as _};
#[allow(clippy::disallowed_types)] // measures what the pure crate costs
use std::time::Instant;

use edge_core::Attention;
use motion_gate::{Found, Gate, Settings, SmallPicture, Verdict};
use protocol::EventTime;
use protocol::units::Seconds;

fn main() -> std::io::Result<()> {
    let words: Vec<String> = std::env::args().skip(1).collect();
    let numbers: Vec<f64> = words.iter().filter_map(|word| word.parse().ok()).collect();
    let &[width, height, fps] = numbers.as_slice() else {
        eprintln!("usage: gate WIDTH HEIGHT FPS [each]");
        std::process::exit(2);
    };
    let tells_each = words.iter().any(|word| word == "each");
    #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)] // sizes of pictures
    let (width, height) = (width as usize, height as usize);
    let (mut input, mut out) = (std::io::stdin().lock(), std::io::stdout().lock());
    let mut frame = vec![0; width * height];
    let mut small = SmallPicture::default();
    let mut gate = Gate::new(Settings::default());
    let mut verdicts: BTreeMap<&str, u32> = BTreeMap::new();
    let (mut pictures, mut looks) = (0_u32, 0_u32);
    let mut copy = vec![0; width * height];
    let mut parts = [const { Vec::new() }; 3];
    while input.read_exact(&mut frame).is_ok() {
        let at = EventTime::EPOCH + Seconds(f64::from(pictures) / fps);
        #[allow(clippy::disallowed_types)]
        let clock = Instant::now;
        let begun = clock();
        small.read(&frame, width, width, height);
        let made = clock();
        let verdict = gate.judge(&small, at, Attention::Nobody);
        let judged = clock();
        copy.copy_from_slice(std::hint::black_box(&frame));
        std::hint::black_box(&copy);
        let copied = clock();
        for (part, took) in parts
            .iter_mut()
            .zip([copied - judged, made - begun, judged - made])
        {
            part.push(took.as_secs_f64() * 1e6);
        }
        let word = match verdict {
            Verdict::Look(reason) => {
                gate.looked(at, Found::Nobody);
                looks += 1;
                reason.as_str()
            }
            Verdict::Empty => {
                gate.told(at);
                "empty"
            }
            Verdict::Rest => "rest",
        };
        *verdicts.entry(word).or_default() += 1;
        pictures += 1;
        if tells_each {
            writeln!(out, "{at} {word} {:?}", gate.regions())?;
        }
    }
    let [floor, read, judge] = parts.map(|mut part: Vec<f64>| {
        part.sort_by(f64::total_cmp);
        part.get(part.len() / 2).copied().unwrap_or(f64::NAN)
    });
    writeln!(
        out,
        "{looks} of {pictures} pictures looked at: {verdicts:?}; learnt anew {} times",
        gate.relearnt(),
    )?;
    writeln!(
        out,
        "a copy of the luma {floor:.0} µs; made small {read:.0} µs ({:.2} copies), judged {judge:.0} µs ({:.2})",
        read / floor,
        judge / floor,
    )
}
