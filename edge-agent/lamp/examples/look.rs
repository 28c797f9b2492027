//! Tries a lamp region by hand on frames from standard input:
//!
//! ```sh
//! ffmpeg -i CLIP -f rawvideo -pix_fmt yuv420p - |
//!   cargo run -p edge-lamp --example look -- 1280 720 0.62,0.10,0.02,0.08 [horizontal|vertical] [red,amber,green]
//! ```
//!
//! Prints each look and each change of what edge-core makes of them, as if
//! there were 25 frames a second.

use std::io::Read as _;

use edge_core::signals::SignalBoard;
use edge_core::{Lamp, LampColour, LampLayout, SignalGroup, StaleAfter};
use models::{ColourMatrix, ColourRange, I420View};
use protocol::id::SignalGroupId;
use protocol::signal::{SignalReading, SignalSource};
use protocol::units::Seconds;
use protocol::{EventTime, NormBox, SignalState};

fn main() {
    if let Err(error) = run() {
        eprintln!("{error}");
        std::process::exit(1);
    }
}

fn run() -> Result<(), Box<dyn std::error::Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [width, height, region, rest @ ..] = arguments.as_slice() else {
        return Err("give WIDTH HEIGHT LEFT,TOP,WIDTH,HEIGHT".into());
    };
    let (width, height): (u32, u32) = (width.parse()?, height.parse()?);
    let numbers: Vec<f64> = region
        .split(',')
        .map(str::parse)
        .collect::<Result<_, _>>()?;
    let numbers: [f64; 4] = numbers.try_into().map_err(|_| "a region is four numbers")?;
    let colours = [LampColour::Red, LampColour::Amber, LampColour::Green];
    let lamp = Lamp {
        region: NormBox::from(numbers),
        layout: if rest.iter().any(|word| word == "horizontal") {
            LampLayout::Horizontal
        } else {
            LampLayout::Vertical
        },
        lamps: match rest
            .iter()
            .find(|word| word.contains("red") || word.contains("green"))
        {
            None => colours.to_vec(),
            Some(words) => words
                .split(',')
                .filter_map(|word| colours.into_iter().find(|colour| colour.as_str() == word))
                .collect(),
        },
    };
    let group: SignalGroupId = "lamp".parse()?;
    let mut board = SignalBoard::new(&[SignalGroup {
        group: group.clone(),
        lamp: Some(lamp.clone()),
        mqtt: None,
        recorded: false,
        stale_after: StaleAfter {
            lamp: Seconds(1.5),
            controller: Seconds(1.0),
        },
        min_confidence: 0.6,
        majority_window_s: Seconds(1.0),
    }]);
    let (w, h) = (width as usize, height as usize);
    let (luma, chroma) = (w * h, w.div_ceil(2) * h.div_ceil(2));
    let mut frame = vec![0_u8; luma + 2 * chroma];
    let mut input = std::io::stdin().lock();
    let mut said = SignalState::Unknown;
    let mut time = EventTime::EPOCH;
    while input.read_exact(&mut frame).is_ok() {
        let picture = I420View {
            width,
            height,
            y: &frame[..luma],
            y_stride: w,
            u: &frame[luma..luma + chroma],
            u_stride: w.div_ceil(2),
            v: &frame[luma + chroma..],
            v_stride: w.div_ceil(2),
            matrix: if height >= 720 {
                ColourMatrix::Bt709
            } else {
                ColourMatrix::Bt601
            },
            range: ColourRange::Limited,
        };
        let look = edge_lamp::read(&picture, &lamp);
        board.read(&SignalReading {
            group: group.clone(),
            state: look.state,
            time,
            confidence: look.confidence,
            source: SignalSource::Lamp,
        });
        let seconds = time.since(EventTime::EPOCH).0;
        println!(
            "{seconds:.2} {} {:.2}",
            look.state.as_str(),
            look.confidence
        );
        let shown = board.at(&group, time).state;
        if shown != said {
            println!("{seconds:.2} now {}", shown.as_str());
            said = shown;
        }
        time = time + Seconds(0.04);
    }
    Ok(())
}
