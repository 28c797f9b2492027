//! What the letterbox costs per picture, for benches/RESULTS.md.
//!
//! ```text
//! cargo run --release -p models --example letterbox_cost
//! ```

#![allow(clippy::disallowed_types)] // a measurement has a clock; the crate itself does not
#![allow(clippy::cast_possible_truncation)] // a byte of a pattern

use std::time::Instant;

use models::{ColourMatrix, ColourRange, I420View, Letterbox};

fn main() {
    for manifest in models::catalogue().into_iter().flatten() {
        for (width, height) in [(768_u32, 576_u32), (1280, 720), (1920, 1080)] {
            let (y_stride, chroma_stride) = (width as usize, width.div_ceil(2) as usize);
            let y: Vec<u8> = (0..y_stride * height as usize)
                .map(|i| (i * 31 % 251) as u8)
                .collect();
            let picture = I420View {
                width,
                height,
                y: &y,
                y_stride,
                u: &y,
                u_stride: chroma_stride,
                v: &y,
                v_stride: chroma_stride,
                matrix: ColourMatrix::Bt601,
                range: ColourRange::Limited,
            };
            let mut letterbox =
                Letterbox::new(width, height, &manifest.input).expect("a picture has a size");
            let mut tensor = vec![0.0; manifest.input.len()];
            // The best of many: what the code costs, not what else the machine did.
            let best = (0..200)
                .map(|_| {
                    let started = Instant::now();
                    letterbox
                        .fill(&picture, &mut tensor)
                        .expect("the picture is whole");
                    std::hint::black_box(&mut tensor);
                    started.elapsed()
                })
                .min()
                .unwrap_or_default();
            println!(
                "{width}×{height} → {}×{} ({}): {:.3} ms",
                manifest.input.width,
                manifest.input.height,
                manifest.id,
                best.as_secs_f64() * 1000.0
            );
        }
    }
}
