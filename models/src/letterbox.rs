//! From a decoded picture to a network's input in one pass, and back.
//!
//! Scaling, colour conversion, normalising and padding happen together, row by
//! row of the *output*: two source rows are blended into a row buffer, the
//! columns that are needed are picked and blended from it, and the colours go
//! straight into the tensor. Nothing of the size of a picture is stored on the
//! way, nothing is allocated, and each loop runs over plain slices so that the
//! compiler turns it into vector instructions.
//!
//! A plan is for pictures of one size, for all of them or for a crop: a region
//! of interest, a tile, a vehicle, one row of its plate. Boxes that are found in
//! it map back to the whole picture.
//!
//! Bilinear with pixel centres, as OpenCV's `INTER_LINEAR`, because the networks
//! were trained on that; [`Shrink::Area`] averages instead where the picture is
//! made smaller. Chroma is taken to lie in the middle of its four pixels; the
//! quarter pixel by which MPEG-2 video differs is not visible to a detector.
//! Beyond a crop's edge the edge goes on, as if the crop were a picture of its own.

mod colours;

mod sampling;

mod taps;

use protocol::{NormBox, Point};

use crate::manifest::{Fit, Input, Layout, Shrink};
use crate::picture::{self, Crop, PictureError, PictureView};

pub use colours::Element;

use colours::{Channel, Colours};
use sampling::{Plane, pick};
use taps::{Axis, Columns, Rows};

/// The plan for pictures of one size into one network's input.
#[derive(Clone, Debug)]
pub struct Letterbox {
    picture: (u32, u32),
    crop: Crop,
    input: Target,
    /// Where in the input the crop lies.
    content: Content,
    luma: Taps,
    chroma: Taps,
    room: Room,
}

/// What the network wants.
#[derive(Clone, Debug)]
struct Target {
    width: usize,
    height: usize,
    layout: Layout,
    fit: Fit,
    shrink: Shrink,
    /// What is written; see [`ElementType`](crate::ElementType).
    element: crate::manifest::ElementType,
    /// Red, green and blue: where they go and how they are normalised.
    channels: [Channel; 3],
}

/// Where the samples of one kind of plane come from.
#[derive(Clone, Debug, Default)]
struct Taps {
    columns: Columns,
    rows: Rows,
    /// First pixel and number of pixels of a row that may be read.
    span: (usize, usize),
}

impl Taps {
    fn plan(&mut self, across: &Axis, down: &Axis, shrink: Shrink) {
        self.columns.plan(across, shrink);
        self.rows.plan(down, shrink);
        self.span = (across.first, across.length);
    }

    /// A plane in which `step` numbers lie from one pixel to the next.
    fn plane<'a>(&self, bytes: &'a [u8], stride: usize, step: usize) -> Plane<'a> {
        Plane {
            bytes,
            stride,
            first: step * self.span.0,
            length: step * self.span.1,
        }
    }
}

/// A rectangle of the input, in pixels.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Content {
    x: usize,
    y: usize,
    width: usize,
    height: usize,
}

/// What of an input around a picture is written already.
///
/// Cameras keep their size, so what surrounds their pictures stays as it is: a megabyte of numbers
/// for a wide picture in a square of 416, which a look need not write again.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Padding(Option<Content>);

/// Room for one row at each step of the pass.
#[derive(Clone, Debug, Default)]
struct Room {
    /// Source rows blended, times 256, and a pixel beyond the edge.
    blended: Vec<u16>,
    y: Vec<i32>,
    u: Vec<i32>,
    v: Vec<i32>,
}

impl Letterbox {
    /// Plans for whole pictures of `width` × `height` pixels.
    pub fn new(width: u32, height: u32, input: &Input) -> Result<Self, PictureError> {
        Self::of_crop((width, height), Crop::whole(width, height), input)
    }

    /// Plans for a crop of pictures of `picture` (width, height) pixels.
    pub fn of_crop(picture: (u32, u32), crop: Crop, input: &Input) -> Result<Self, PictureError> {
        let target = Target {
            width: input.width as usize,
            height: input.height as usize,
            layout: input.layout,
            fit: input.fit,
            shrink: input.shrink,
            element: input.element.written(),
            channels: colours::channels(input),
        };
        let mut plan = Self {
            picture,
            crop,
            content: target.place(crop.width as usize, crop.height as usize),
            input: target,
            luma: Taps::default(),
            chroma: Taps::default(),
            room: Room::default(),
        };
        plan.aim(picture, crop)?;
        Ok(plan)
    }

    /// Plans anew for another crop or another size, in the room that it has: for
    /// crops that differ each time. After an error the plan is what it was.
    pub fn aim(&mut self, picture: (u32, u32), crop: Crop) -> Result<(), PictureError> {
        picture::check_size(picture.0, picture.1)?;
        crop.check(picture.0, picture.1)?;
        let [x, y, width, height] =
            [crop.x, crop.y, crop.width, crop.height].map(|pixels| pixels as usize);
        let (content, shrink) = (self.input.place(width, height), self.input.shrink);
        self.luma.plan(
            &Axis::luma(x, width, content.width),
            &Axis::luma(y, height, content.height),
            shrink,
        );
        self.chroma.plan(
            &Axis::chroma(x, width, content.width),
            &Axis::chroma(y, height, content.height),
            shrink,
        );
        // Room for either form of chroma, so that filling never allocates.
        let longest = (width + 1).max(2 * self.chroma.span.1 + 2);
        if self.room.blended.len() < longest {
            self.room.blended.resize(longest, 0);
        }
        for row in [&mut self.room.y, &mut self.room.u, &mut self.room.v] {
            row.resize(content.width, 0);
        }
        (self.picture, self.crop, self.content) = (picture, crop, content);
        Ok(())
    }

    /// Whether the plan is for pictures of this size.
    pub fn fits<'a>(&self, picture: impl Into<PictureView<'a>>) -> bool {
        let picture = picture.into();
        self.picture == (picture.width(), picture.height())
    }

    /// The part of the picture that goes in.
    pub const fn crop(&self) -> Crop {
        self.crop
    }

    /// Writes every number of the input tensor, padding included. Allocates nothing.
    ///
    /// `tensor` is contiguous in the layout of the manifest and
    /// [`Input::len`] long; its element is that of the manifest.
    pub fn fill<'a, E: Element>(
        &mut self,
        picture: impl Into<PictureView<'a>>,
        tensor: &mut [E],
    ) -> Result<(), PictureError> {
        self.fill_within(picture, tensor, &mut Padding::default())
    }

    /// The same into a tensor of which `padding` is known. It belongs to that tensor: whoever writes
    /// there by other means begins with [`Padding::default`] again.
    pub fn fill_within<'a, E: Element>(
        &mut self,
        picture: impl Into<PictureView<'a>>,
        tensor: &mut [E],
        padding: &mut Padding,
    ) -> Result<(), PictureError> {
        let picture = picture.into();
        if !self.fits_size(&picture) {
            return Err(PictureError::Planned {
                planned_width: self.picture.0,
                planned_height: self.picture.1,
                width: picture.width(),
                height: picture.height(),
            });
        }
        picture.check()?;
        if self.input.element != E::TYPE {
            return Err(PictureError::Element {
                found: E::TYPE,
                needed: self.input.element,
            });
        }
        let needed = 3 * self.input.width * self.input.height;
        if tensor.len() != needed {
            return Err(PictureError::Buffer {
                found: tensor.len(),
                needed,
            });
        }

        let around = Padding(Some(self.content));
        if *padding != around {
            self.pad(tensor);
            *padding = around;
        }
        let (matrix, range) = picture.coding();
        let colours = Colours::new(matrix, range);
        for row in 0..self.content.height {
            self.sample_row(&picture, row);
            self.write_row(&colours, row, tensor);
        }
        Ok(())
    }

    fn fits_size(&self, picture: &PictureView<'_>) -> bool {
        self.picture == (picture.width(), picture.height())
    }

    /// From a rectangle in the input's pixels (left, top, right, bottom) to
    /// fractions of the whole picture.
    ///
    /// `None` for a rectangle that is not one or that lies outside what goes in.
    /// Edges are held within one crop's size of the crop: further out no
    /// network knows anything.
    pub fn to_picture(&self, edges: [f32; 4]) -> Option<NormBox> {
        if !edges.iter().all(|v| v.is_finite()) {
            return None;
        }
        let [left, top, right, bottom] = edges;
        let (from, to) = (self.in_crop([left, top]), self.in_crop([right, bottom]));
        // By the far edge as a box knows it, so that rounding cannot make one that does not touch.
        let touches = |axis: usize| from[axis] < 1.0 && from[axis] + (to[axis] - from[axis]) > 0.0;
        let touches = touches(0) && touches(1);
        let (from, to) = (self.crop_to_picture(from), self.crop_to_picture(to));
        let bounds = NormBox {
            x: from.x,
            y: from.y,
            width: to.x - from.x,
            height: to.y - from.y,
        };
        (bounds.width > 0.0 && bounds.height > 0.0 && touches).then_some(bounds)
    }

    /// The part of a box (fractions of the whole picture) that lies within what goes in.
    pub(crate) fn seen_part(&self, bounds: &NormBox) -> NormBox {
        let [left, top, width, height] = self.crop_span();
        let across = |x: f64| x.clamp(left, left + width);
        let down = |y: f64| y.clamp(top, top + height);
        let (x, y) = (across(bounds.x), down(bounds.y));
        NormBox {
            x,
            y,
            width: across(bounds.right()) - x,
            height: down(bounds.bottom()) - y,
        }
    }

    /// From a point in the input's pixels to fractions of the whole picture, held
    /// within one crop's size of the crop.
    pub fn point_to_picture(&self, point: [f32; 2]) -> Point {
        self.crop_to_picture(self.in_crop(point))
    }

    /// From the input's pixels to fractions of the crop.
    fn in_crop(&self, [x, y]: [f32; 2]) -> [f64; 2] {
        let Content {
            x: left,
            y: top,
            width,
            height,
        } = self.content;
        [
            ((f64::from(x) - left as f64) / width as f64).clamp(-1.0, 2.0),
            ((f64::from(y) - top as f64) / height as f64).clamp(-1.0, 2.0),
        ]
    }

    /// Left, top, width and height of the crop in fractions of the picture; 0, 0,
    /// 1 and 1 exactly for all of it.
    fn crop_span(&self) -> [f64; 4] {
        let (width, height) = (f64::from(self.picture.0), f64::from(self.picture.1));
        [
            f64::from(self.crop.x) / width,
            f64::from(self.crop.y) / height,
            f64::from(self.crop.width) / width,
            f64::from(self.crop.height) / height,
        ]
    }

    fn crop_to_picture(&self, [x, y]: [f64; 2]) -> Point {
        let [left, top, width, height] = self.crop_span();
        Point {
            x: left + x * width,
            y: top + y * height,
        }
    }

    /// From fractions of the whole picture to the input's pixels (left, top, right, bottom).
    #[allow(clippy::cast_possible_truncation)] // f64 → f32 is what the tensor holds
    pub fn to_input(&self, bounds: &NormBox) -> [f32; 4] {
        let [left, top, width, height] = self.crop_span();
        let Content {
            x: content_x,
            y: content_y,
            width: content_width,
            height: content_height,
        } = self.content;
        let horizontal =
            |x: f64| ((x - left) / width * content_width as f64 + content_x as f64) as f32;
        let vertical =
            |y: f64| ((y - top) / height * content_height as f64 + content_y as f64) as f32;
        [
            horizontal(bounds.x),
            vertical(bounds.y),
            horizontal(bounds.right()),
            vertical(bounds.bottom()),
        ]
    }

    /// Fills what the picture does not cover.
    fn pad<E: Element>(&self, tensor: &mut [E]) {
        let Content {
            x,
            y,
            width,
            height,
        } = self.content;
        if width == self.input.width && height == self.input.height {
            return;
        }
        match self.input.layout {
            Layout::Nchw => {
                let plane_length = self.input.width * self.input.height;
                for channel in &self.input.channels {
                    let plane = &mut tensor[channel.place * plane_length..][..plane_length];
                    for (row, line) in plane.chunks_exact_mut(self.input.width).enumerate() {
                        if (y..y + height).contains(&row) {
                            line[..x].fill(E::nearest(channel.pad));
                            line[x + width..].fill(E::nearest(channel.pad));
                        } else {
                            line.fill(E::nearest(channel.pad));
                        }
                    }
                }
            }
            Layout::Nhwc => {
                let mut pixel = [E::nearest(0.0); 3];
                for channel in &self.input.channels {
                    pixel[channel.place] = E::nearest(channel.pad);
                }
                for (row, line) in tensor.chunks_exact_mut(3 * self.input.width).enumerate() {
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

    /// Samples all planes for one row of the content.
    fn sample_row(&mut self, picture: &PictureView<'_>, row: usize) {
        let Room { blended, y, u, v } = &mut self.room;
        let (luma, chroma) = (&self.luma, &self.chroma);
        let (bytes, stride) = match picture {
            PictureView::I420(picture) => (picture.y, picture.y_stride),
            PictureView::Nv12(picture) => (picture.y, picture.y_stride),
        };
        luma.plane(bytes, stride, 1)
            .blend(&luma.rows, row, 1, blended);
        pick::<1>(&luma.columns, blended, 0, y);
        match picture {
            PictureView::I420(picture) => {
                for (bytes, stride, out) in [
                    (picture.u, picture.u_stride, u),
                    (picture.v, picture.v_stride, v),
                ] {
                    chroma
                        .plane(bytes, stride, 1)
                        .blend(&chroma.rows, row, 1, blended);
                    pick::<1>(&chroma.columns, blended, 0, out);
                }
            }
            PictureView::Nv12(picture) => {
                chroma
                    .plane(picture.uv, picture.uv_stride, 2)
                    .blend(&chroma.rows, row, 2, blended);
                pick::<2>(&chroma.columns, blended, 0, u);
                pick::<2>(&chroma.columns, blended, 1, v);
            }
        }
    }

    /// Converts the sampled row and writes it where it belongs.
    fn write_row<E: Element>(&self, colours: &Colours, row: usize, tensor: &mut [E]) {
        let Content { x, y, width, .. } = self.content;
        let start = (y + row) * self.input.width + x;
        let samples = (&self.room.y[..], &self.room.u[..], &self.room.v[..]);
        match self.input.layout {
            Layout::Nchw => {
                let (first, rest) = tensor.split_at_mut(self.input.width * self.input.height);
                let (second, third) = rest.split_at_mut(self.input.width * self.input.height);
                let mut planes =
                    [first, second, third].map(|plane| &mut plane[start..start + width]);
                // Red, green, blue for RGB; blue, green, red for BGR.
                if self.input.channels[0].place == 2 {
                    planes.reverse();
                }
                let [red, green, blue] = planes;
                colours.write_planes(samples, self.input.channels, (red, green, blue));
            }
            Layout::Nhwc => {
                let pixels = tensor[3 * start..3 * (start + width)]
                    .as_chunks_mut::<3>()
                    .0;
                colours.write_pixels(samples, self.input.channels, pixels);
            }
        }
    }
}

impl Target {
    /// Where a picture of this size lies in the input.
    fn place(&self, width: usize, height: usize) -> Content {
        let (full_width, full_height) = (self.width, self.height);
        if self.fit == Fit::Stretch {
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
            (full_width, (height * full_width / width.max(1)).max(1))
        } else {
            ((width * full_height / height.max(1)).max(1), full_height)
        };
        let (x, y) = match self.fit {
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
}
