//! From sampled Y′CbCr to the network's normalised colours.

use super::taps::SAMPLE_UNIT;
use crate::manifest::{Colour, ElementType, Input};
use crate::picture::{ColourMatrix, ColourRange};

/// A number of an input tensor.
pub trait Element: Copy + sealed::Sealed {
    /// What the manifest calls it.
    const TYPE: ElementType;

    /// The nearest to a normalised pixel.
    fn nearest(value: f32) -> Self;
}

mod sealed {
    /// No other crate has numbers that a tensor could hold.
    pub trait Sealed {}
    impl Sealed for f32 {}
    impl Sealed for u8 {}
}

impl Element for f32 {
    const TYPE: ElementType = ElementType::F32;

    #[inline]
    fn nearest(value: f32) -> Self {
        value
    }
}

impl Element for u8 {
    const TYPE: ElementType = ElementType::U8;

    #[inline]
    #[allow(clippy::cast_possible_truncation)] // the low byte is what is wanted
    fn nearest(value: f32) -> Self {
        // From 2²³ on floats are whole numbers, so the sum is rounded to one, and
        // its low byte is it. A cast would saturate and look for NaN, which
        // does not vectorise.
        (value.clamp(0.0, 255.0) + 8_388_608.0).to_bits() as Self
    }
}

/// tensor value = pixel · `scale` + `offset`
#[derive(Clone, Copy, Debug)]
pub(super) struct Channel {
    pub(super) place: usize,
    pub(super) scale: f32,
    pub(super) offset: f32,
    pub(super) pad: f32,
}

pub(super) fn channels(input: &Input) -> [Channel; 3] {
    let places = match input.colour {
        Colour::Rgb => [0, 1, 2],
        Colour::Bgr => [2, 1, 0],
    };
    places.map(|place| {
        let (mean, std) = (input.mean[place], input.std[place]);
        Channel {
            place,
            scale: 1.0 / std,
            offset: -mean / std,
            pad: (input.pad[place] - mean) / std,
        }
    })
}

/// Y′CbCr → R′G′B′ (ITU-R BT.601-7 § 2.5, BT.709-6 § 3), pixels 0 to 255.
pub(super) struct Colours {
    black: f32,
    luma: f32,
    red_v: f32,
    green_u: f32,
    green_v: f32,
    blue_u: f32,
}

impl Colours {
    #[allow(clippy::cast_possible_truncation)] // coefficients near 1
    pub(super) fn new(matrix: ColourMatrix, range: ColourRange) -> Self {
        let (red, blue) = match matrix {
            ColourMatrix::Bt601 => (0.299, 0.114),
            ColourMatrix::Bt709 => (0.2126, 0.0722),
        };
        let green = 1.0 - red - blue;
        let (black, luma, chroma) = match range {
            ColourRange::Limited => (16.0, 255.0 / 219.0, 255.0 / 224.0),
            ColourRange::Full => (0.0, 1.0, 1.0),
        };
        let (red_v, blue_u): (f64, f64) = (2.0 * (1.0 - red), 2.0 * (1.0 - blue));
        Self {
            black,
            luma: luma as f32,
            red_v: (red_v * chroma) as f32,
            green_u: (-blue / green * blue_u * chroma) as f32,
            green_v: (-red / green * red_v * chroma) as f32,
            blue_u: (blue_u * chroma) as f32,
        }
    }

    #[inline(always)]
    #[allow(clippy::inline_always)] // the loops around it vectorise only with it inside
    fn convert(&self, y: i32, u: i32, v: i32) -> [f32; 3] {
        let [y, u, v] = [y, u, v].map(|sample| sample as f32 * SAMPLE_UNIT);
        let (y, u, v) = ((y - self.black) * self.luma, u - 128.0, v - 128.0);
        [
            y + self.red_v * v,
            y + self.green_u * u + self.green_v * v,
            y + self.blue_u * u,
        ]
        .map(|value| value.clamp(0.0, 255.0))
    }

    pub(super) fn write_planes<E: Element>(
        &self,
        (luma, cb, cr): (&[i32], &[i32], &[i32]),
        channels: [Channel; 3],
        (red, green, blue): (&mut [E], &mut [E], &mut [E]),
    ) {
        // Equal lengths, said once, take the bounds checks out of the loop.
        let length = luma.len();
        let (cb, cr) = (&cb[..length], &cr[..length]);
        let (red, green, blue) = (
            &mut red[..length],
            &mut green[..length],
            &mut blue[..length],
        );
        for i in 0..length {
            let colour = self.convert(luma[i], cb[i], cr[i]);
            red[i] = E::nearest(colour[0] * channels[0].scale + channels[0].offset);
            green[i] = E::nearest(colour[1] * channels[1].scale + channels[1].offset);
            blue[i] = E::nearest(colour[2] * channels[2].scale + channels[2].offset);
        }
    }

    pub(super) fn write_pixels<E: Element>(
        &self,
        (luma, cb, cr): (&[i32], &[i32], &[i32]),
        channels: [Channel; 3],
        pixels: &mut [[E; 3]],
    ) {
        for (((pixel, y), u), v) in pixels.iter_mut().zip(luma).zip(cb).zip(cr) {
            let colour = self.convert(*y, *u, *v);
            for (channel, value) in channels.iter().zip(colour) {
                pixel[channel.place] = E::nearest(value * channel.scale + channel.offset);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::Element;

    #[test]
    fn bytes_are_rounded_to_the_nearest() {
        for (value, byte) in [
            (-1.0, 0),
            (0.0, 0),
            (0.49, 0),
            (0.51, 1),
            (127.4, 127),
            (127.6, 128),
            (254.6, 255),
            (300.0, 255),
        ] {
            assert_eq!(u8::nearest(value), byte, "{value}");
        }
    }
}
