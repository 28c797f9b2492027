//! What a still costs: milliseconds for each step, median of many.
//!
//! `cargo run -p edge-stills --example still_cost -- [FRAME.yuv WIDTH HEIGHT [OUT.jpg]]`
//!
//! Without a frame it makes one of 1920×1080 with some texture, because a flat
//! picture would flatter the encoder. FRAME.yuv is one raw I420 picture
//! without padding; OUT.jpg shows what was drawn.

use std::error::Error;
use std::time::Instant;

use edge_stills::{Emphasis, Overlay, OverlayBox, Picture, YuvPlanes};
use protocol::{NormBox, Point};

fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let (frame, width, height) = match arguments.as_slice() {
        [] => (textured(1920, 1080), 1920, 1080),
        [file, width, height, ..] => (std::fs::read(file)?, width.parse()?, height.parse()?),
        _ => return Err("give FRAME.yuv WIDTH HEIGHT [OUT.jpg], or nothing".into()),
    };
    let planes = planes(&frame, width, height)?;
    let overlay = overlay();

    let mut picture = Picture::from_yuv(&planes)?;
    let from = median(|| {
        picture = Picture::from_yuv(&planes)?;
        Ok(())
    })?;
    let clean = picture.clone();
    let copy = median(|| {
        picture.clone_from(&clean);
        Ok(())
    })?;
    let draw = median(|| {
        picture.clone_from(&clean);
        Ok(picture.draw(&overlay)?)
    })? - copy;
    let mut bytes = Vec::new();
    let jpeg = median(|| {
        bytes = picture.jpeg(85)?;
        Ok(())
    })?;
    println!(
        "{width}x{height}: from_yuv {from:.1} ms, draw {draw:.1} ms, jpeg(85) {jpeg:.1} ms, {} KiB",
        bytes.len() / 1024
    );
    if let Some(out) = arguments.get(3) {
        std::fs::write(out, bytes)?;
    }
    Ok(())
}

fn median(mut step: impl FnMut() -> Result<(), Box<dyn Error>>) -> Result<f64, Box<dyn Error>> {
    let mut times = Vec::new();
    for _ in 0..31 {
        let start = Instant::now();
        step()?;
        times.push(start.elapsed().as_secs_f64() * 1e3);
    }
    times.sort_by(f64::total_cmp);
    Ok(times[times.len() / 2])
}

fn planes(frame: &[u8], width: u32, height: u32) -> Result<YuvPlanes<'_>, Box<dyn Error>> {
    let luma = width as usize * height as usize;
    let half = width.div_ceil(2) as usize;
    let chroma = half * height.div_ceil(2) as usize;
    let (Some(y), Some(u), Some(v)) = (
        frame.get(..luma),
        frame.get(luma..luma + chroma),
        frame.get(luma + chroma..luma + 2 * chroma),
    ) else {
        return Err(format!(
            "the frame has {} bytes, {width}x{height} needs {}",
            frame.len(),
            luma + 2 * chroma
        )
        .into());
    };
    Ok(YuvPlanes {
        width,
        height,
        y,
        y_stride: width as usize,
        u,
        u_stride: half,
        v,
        v_stride: half,
        chroma_step: 1,
        bt709: height >= 720,
        full_range: false,
    })
}

/// Blocks and noise, about as hard to encode as a street.
fn textured(width: usize, height: usize) -> Vec<u8> {
    let mut state = 1_u32;
    (0..width * height * 3 / 2)
        .map(|at| {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            let block = (at % width / 24 * 37 + at / width / 24 * 91) % 120;
            u8::try_from(60 + block).unwrap_or(u8::MAX) + (state >> 29) as u8
        })
        .collect()
}

fn overlay() -> Overlay {
    let points = |points: &[[f64; 2]]| points.iter().copied().map(Point::from).collect::<Vec<_>>();
    let user = |bounds: [f64; 4], label: &str, emphasis| OverlayBox {
        bounds: NormBox::from(bounds),
        label: label.into(),
        emphasis,
    };
    let mut overlay = Overlay {
        zones: vec![
            (
                points(&[[0.05, 0.62], [0.46, 0.5], [0.52, 0.86], [0.02, 0.97]]),
                "Làn rẽ trái".into(),
                Emphasis::Zone,
            ),
            (
                points(&[[0.6, 0.4], [0.86, 0.38], [0.99, 0.7], [0.64, 0.72]]),
                "Vạch đi bộ".into(),
                Emphasis::Accused,
            ),
        ],
        boxes: vec![
            user(
                [0.30, 0.44, 0.09, 0.26],
                "xe máy · 38 ± 4 km/h",
                Emphasis::Accused,
            ),
            user([0.52, 0.42, 0.07, 0.20], "xe máy", Emphasis::Context),
            user([0.66, 0.40, 0.12, 0.22], "ô tô con", Emphasis::Context),
            user([0.80, 0.36, 0.05, 0.16], "người đi bộ", Emphasis::Context),
        ],
        paths: vec![
            (
                (0..60)
                    .map(|n| {
                        let t = f64::from(n) / 59.0;
                        Point {
                            x: 0.95 - 0.605 * t,
                            y: 0.35 + 0.35 * t * t,
                        }
                    })
                    .collect(),
                Emphasis::Accused,
            ),
            (
                (0..40)
                    .map(|n| {
                        let t = f64::from(n) / 39.0;
                        Point {
                            x: 0.2 + 0.355 * t,
                            y: 0.9 - 0.28 * t,
                        }
                    })
                    .collect(),
                Emphasis::Context,
            ),
        ],
        caption: vec![
            "Đi ngược chiều (wrong_way)".into(),
            "Ngã tư Nguyễn Huệ – Đặng Thùy Trâm · camera c1".into(),
            "2026-11-22 08:15:30.480 +07:00 · bánh sau vượt vạch 0,62 s".into(),
        ],
        banner: Some("MÔ PHỎNG · SIMULATION".into()),
        ..Overlay::default()
    };
    overlay.add_line(
        [Point { x: 0.1, y: 0.55 }, Point { x: 0.62, y: 0.47 }],
        Point { x: 0.3, y: 0.1 },
        "Vạch dừng".into(),
        Emphasis::Zone,
    );
    overlay
}
