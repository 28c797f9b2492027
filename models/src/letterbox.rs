//! From a decoded picture to a network's input in one pass, and back.
//!
//! Scaling, colour conversion, normalising and padding happen together, row by
//! row of the *output*: two source rows are blended into a row buffer, the
//! columns that are needed are picked and blended from it, and the colours go
//! straight into the tensor. Nothing of the size of a picture is stored on the
//! way, nothing is allocated, and each loop runs over plain slices so that the
//! compiler turns it into vector instructions.
//!
//! Bilinear with pixel centres, as OpenCV's `INTER_LINEAR`, because the networks
//! were trained on that. Chroma is taken to lie in the middle of its four
//! pixels; the quarter pixel by which MPEG-2 video differs is not visible to a
//! detector.

mod colours;

mod sampling;

use protocol::{NormBox, Point};

use crate::manifest::{Fit, Input, Layout};
use crate::picture::{self, I420View, PictureError};

use colours::{Channel, Colours};
use sampling::{Taps, sample};

/// The plan for pictures of one size into one network's input.
#[derive(Clone, Debug)]
pub struct Letterbox {
    picture: (u32, u32),
    width: usize,
    height: usize,
    layout: Layout,
    /// Where in the input the picture lies.
    content: Content,
    /// Red, green and blue: where they go and how they are normalised.
    channels: [Channel; 3],
    luma: Taps,
    chroma: Taps,
    rows: Rows,
}

/// A rectangle of the input, in pixels.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Content {
    x: usize,
    y: usize,
    width: usize,
    height: usize,
}

/// Room for one row at each step of the pass.
#[derive(Clone, Debug)]
struct Rows {
    /// Two source rows blended, times 256; one element longer than the plane is wide.
    blended_luma: Vec<u16>,
    blended_chroma: Vec<u16>,
    y: Vec<i32>,
    u: Vec<i32>,
    v: Vec<i32>,
}

impl Letterbox {
    /// Plans for pictures of `width` × `height` pixels.
    pub fn new(width: u32, height: u32, input: &Input) -> Result<Self, PictureError> {
        picture::check_size(width, height)?;
        let (input_width, input_height) = (input.width as usize, input.height as usize);
        let content = place(width as usize, height as usize, input);
        let (chroma_width, chroma_height) =
            (width.div_ceil(2) as usize, height.div_ceil(2) as usize);
        let (width_scale, height_scale) = (
            f64::from(width) / content.width as f64,
            f64::from(height) / content.height as f64,
        );
        let taps = |plane_width: usize, plane_height: usize, subsampling: f64| Taps {
            columns: sampling::columns(content.width, plane_width, width_scale / subsampling),
            rows: sampling::rows(content.height, plane_height, height_scale / subsampling),
        };
        Ok(Self {
            picture: (width, height),
            width: input_width,
            height: input_height,
            layout: input.layout,
            content,
            channels: colours::channels(input),
            luma: taps(width as usize, height as usize, 1.0),
            chroma: taps(chroma_width, chroma_height, 2.0),
            rows: Rows {
                blended_luma: vec![0; width as usize + 1],
                blended_chroma: vec![0; chroma_width + 1],
                y: vec![0; content.width],
                u: vec![0; content.width],
                v: vec![0; content.width],
            },
        })
    }

    /// Whether the plan is for pictures of this size.
    pub fn fits(&self, picture: &I420View<'_>) -> bool {
        self.picture == (picture.width, picture.height)
    }

    /// Writes every number of the input tensor, padding included.
    ///
    /// `tensor` is contiguous in the layout of the manifest and
    /// [`Input::len`] long.
    pub fn fill(&mut self, picture: &I420View<'_>, tensor: &mut [f32]) -> Result<(), PictureError> {
        if !self.fits(picture) {
            return Err(PictureError::Planned {
                planned_width: self.picture.0,
                planned_height: self.picture.1,
                width: picture.width,
                height: picture.height,
            });
        }
        picture.check()?;
        let needed = 3 * self.width * self.height;
        if tensor.len() != needed {
            return Err(PictureError::Buffer {
                found: tensor.len(),
                needed,
            });
        }

        self.pad(tensor);
        let colours = Colours::new(picture.matrix, picture.range);
        for row in 0..self.content.height {
            self.sample_row(picture, row);
            self.write_row(&colours, row, tensor);
        }
        Ok(())
    }

    /// From a rectangle in the input's pixels (left, top, right, bottom) to
    /// fractions of the picture.
    ///
    /// `None` for a rectangle that is not one or that lies outside the picture.
    /// Edges are held within one picture's size of the picture: further out no
    /// network knows anything.
    pub fn to_picture(&self, edges: [f32; 4]) -> Option<NormBox> {
        let [left, top, right, bottom] = edges.map(f64::from);
        if ![left, top, right, bottom].iter().all(|v| v.is_finite()) {
            return None;
        }
        let (content_width, content_height) =
            (self.content.width as f64, self.content.height as f64);
        let horizontal = |x: f64| ((x - self.content.x as f64) / content_width).clamp(-1.0, 2.0);
        let vertical = |y: f64| ((y - self.content.y as f64) / content_height).clamp(-1.0, 2.0);
        let (x, y) = (horizontal(left), vertical(top));
        let bounds = NormBox {
            x,
            y,
            width: horizontal(right) - x,
            height: vertical(bottom) - y,
        };
        let touches =
            bounds.x < 1.0 && bounds.y < 1.0 && bounds.right() > 0.0 && bounds.bottom() > 0.0;
        (bounds.width > 0.0 && bounds.height > 0.0 && touches).then_some(bounds)
    }

    /// From a point in the input's pixels to fractions of the picture, held
    /// within one picture's size of the picture.
    pub fn point_to_picture(&self, [x, y]: [f32; 2]) -> Point {
        let (width, height) = (self.content.width as f64, self.content.height as f64);
        Point {
            x: ((f64::from(x) - self.content.x as f64) / width).clamp(-1.0, 2.0),
            y: ((f64::from(y) - self.content.y as f64) / height).clamp(-1.0, 2.0),
        }
    }

    /// From fractions of the picture to the input's pixels (left, top, right, bottom).
    #[allow(clippy::cast_possible_truncation)] // f64 → f32 is what the tensor holds
    pub fn to_input(&self, bounds: &NormBox) -> [f32; 4] {
        let (content_width, content_height) =
            (self.content.width as f64, self.content.height as f64);
        let horizontal = |x: f64| (x * content_width + self.content.x as f64) as f32;
        let vertical = |y: f64| (y * content_height + self.content.y as f64) as f32;
        [
            horizontal(bounds.x),
            vertical(bounds.y),
            horizontal(bounds.right()),
            vertical(bounds.bottom()),
        ]
    }

    /// Fills what the picture does not cover.
    fn pad(&self, tensor: &mut [f32]) {
        let Content {
            x,
            y,
            width,
            height,
        } = self.content;
        if width == self.width && height == self.height {
            return;
        }
        match self.layout {
            Layout::Nchw => {
                let plane_length = self.width * self.height;
                for channel in &self.channels {
                    let plane = &mut tensor[channel.place * plane_length..][..plane_length];
                    for (row, line) in plane.chunks_exact_mut(self.width).enumerate() {
                        if (y..y + height).contains(&row) {
                            line[..x].fill(channel.pad);
                            line[x + width..].fill(channel.pad);
                        } else {
                            line.fill(channel.pad);
                        }
                    }
                }
            }
            Layout::Nhwc => {
                let mut pixel = [0.0; 3];
                for channel in &self.channels {
                    pixel[channel.place] = channel.pad;
                }
                for (row, line) in tensor.chunks_exact_mut(3 * self.width).enumerate() {
                    let (before, rest) = line.split_at_mut(3 * x);
                    let (inside, after) = rest.split_at_mut(3 * width);
                    let covered = (y..y + height).contains(&row);
                    for part in [Some(before), Some(after), (!covered).then_some(inside)]
                        .into_iter()
                        .flatten()
                    {
                        part.as_chunks_mut::<3>().0.fill(pixel);
                    }
                }
            }
        }
    }

    /// Samples all three planes for one row of the content.
    fn sample_row(&mut self, picture: &I420View<'_>, row: usize) {
        let Rows {
            blended_luma,
            blended_chroma,
            y,
            u,
            v,
        } = &mut self.rows;
        sample(
            picture.y,
            picture.y_stride,
            &self.luma,
            row,
            blended_luma,
            y,
        );
        sample(
            picture.u,
            picture.u_stride,
            &self.chroma,
            row,
            blended_chroma,
            u,
        );
        sample(
            picture.v,
            picture.v_stride,
            &self.chroma,
            row,
            blended_chroma,
            v,
        );
    }

    /// Converts the sampled row and writes it where it belongs.
    fn write_row(&self, colours: &Colours, row: usize, tensor: &mut [f32]) {
        let Content { x, y, width, .. } = self.content;
        let start = (y + row) * self.width + x;
        let samples = (&self.rows.y[..], &self.rows.u[..], &self.rows.v[..]);
        match self.layout {
            Layout::Nchw => {
                let (first, rest) = tensor.split_at_mut(self.width * self.height);
                let (second, third) = rest.split_at_mut(self.width * self.height);
                let mut planes =
                    [first, second, third].map(|plane| &mut plane[start..start + width]);
                // Red, green, blue for RGB; blue, green, red for BGR.
                if self.channels[0].place == 2 {
                    planes.reverse();
                }
                let [red, green, blue] = planes;
                colours.write_planes(samples, self.channels, (red, green, blue));
            }
            Layout::Nhwc => {
                let pixels = tensor[3 * start..3 * (start + width)]
                    .as_chunks_mut::<3>()
                    .0;
                colours.write_pixels(samples, self.channels, pixels);
            }
        }
    }
}

/// Where the picture lies in the input.
fn place(width: usize, height: usize, input: &Input) -> Content {
    let (full_width, full_height) = (input.width as usize, input.height as usize);
    if input.fit == Fit::Stretch {
        return Content {
            x: 0,
            y: 0,
            width: full_width,
            height: full_height,
        };
    }
    // The tighter side fills the input. Whole numbers: 1920×1080 into 416 is
    // 416×234 on every machine. Rounded down, as the networks' authors do.
    let (content_width, content_height) = if full_width * height <= full_height * width {
        (full_width, (height * full_width / width).max(1))
    } else {
        ((width * full_height / height).max(1), full_height)
    };
    let (x, y) = match input.fit {
        Fit::LetterboxCentred => (
            (full_width - content_width) / 2,
            (full_height - content_height) / 2,
        ),
        Fit::LetterboxTopLeft | Fit::Stretch => (0, 0),
    };
    Content {
        x,
        y,
        width: content_width,
        height: content_height,
    }
}
