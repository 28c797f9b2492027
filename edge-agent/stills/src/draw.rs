//! An overlay on a picture: what is drawn in which order, and how it looks.
//!
//! Ground first, then where road users were, then where they are, then words.
//! Sizes follow the picture's shorter side, so a still of a sub-stream looks
//! like one of the main stream. Every coloured line lies on a wider dark one:
//! it must show on snow, on asphalt and at night.

use protocol::Point;

use crate::canvas::{Canvas, Paint};
use crate::clip::{self, Area, Spot, to_pixels};
use crate::labels::Placer;
use crate::overlay::{Emphasis, Overlay, OverlayBox};
use crate::text::{TextLine, Weight};

pub(crate) const INK: [u8; 3] = [24, 20, 18];
pub(crate) const PAPER: [u8; 3] = [250, 250, 250];
const AMBER: [u8; 3] = [7, 181, 242];

/// Longest path drawn: the newest points; older ones have faded anyway.
const MAX_PATH: usize = 600;

/// Size of everything: 1 where the shorter side has 720 pixels.
pub(crate) fn unit(width: u32, height: u32) -> f64 {
    (f64::from(width.min(height)) / 720.0).clamp(0.4, 6.0)
}

/// Height of a line of text, in pixels.
pub(crate) fn text_height(unit: f64) -> f64 {
    (22.0 * unit).max(13.0)
}

/// Draws on `bgr`, which holds `width` × `height` pixels.
pub(crate) fn draw(
    width: u32,
    height: u32,
    bgr: &mut [u8],
    overlay: &Overlay,
) -> opencv::Result<()> {
    let unit = unit(width, height);
    let canvas = Canvas::new(width, height, bgr);
    let placer = Placer::new(canvas.area);
    let mut artist = Artist {
        canvas,
        placer,
        unit,
        text: text_height(unit),
        words: Vec::new(),
    };
    for (corners, label, emphasis) in &overlay.zones {
        artist.zone(corners, label, *emphasis)?;
    }
    for (points, label) in &overlay.grid {
        artist.grid_line(points, label)?;
    }
    for (from, to, label, emphasis) in &overlay.lines {
        artist.line([*from, *to], label, *emphasis)?;
    }
    for (path, emphasis) in &overlay.paths {
        artist.path(path, *emphasis)?;
    }
    // The accused last: nobody's box may cover it.
    let mut boxes: Vec<&OverlayBox> = overlay.boxes.iter().collect();
    boxes.sort_by_key(|user| user.emphasis == Emphasis::Accused);
    for user in boxes {
        artist.road_user(user)?;
    }
    artist.caption(&overlay.caption);
    if let Some(banner) = &overlay.banner {
        artist.banner(banner)?;
    }
    artist.labels();
    Ok(())
}

/// A label waiting for its place until everything it should keep off is known.
struct Word {
    line: TextLine,
    wishes: Vec<Spot>,
    style: LabelStyle,
    rank: u8,
}

/// How a label looks.
#[derive(Clone, Copy)]
enum LabelStyle {
    /// Dark letters on the emphasis' colour: road users.
    Plate([u8; 3]),
    /// Letters of the emphasis' colour on a dark veil: ground.
    Veil([u8; 3]),
}

struct Artist<'a> {
    canvas: Canvas<'a>,
    placer: Placer,
    /// 1 at 720 lines.
    unit: f64,
    /// Height of a line of text, in pixels.
    text: f64,
    words: Vec<Word>,
}

impl Artist<'_> {
    fn pixels(&self, points: &[Point]) -> Option<Vec<Spot>> {
        points
            .iter()
            .map(|point| to_pixels(*point, &self.canvas.area))
            .collect()
    }

    /// A line of `thickness` with its dark bed.
    fn lay(
        &mut self,
        spots: &[Spot],
        closed: bool,
        thickness: f64,
        bgr: [u8; 3],
    ) -> opencv::Result<()> {
        let bed = Paint::new(INK, 0.5);
        self.canvas
            .stroke(spots, closed, thickness + 2.0 * self.unit.max(1.0), bed)?;
        self.canvas
            .stroke(spots, closed, thickness, Paint::new(bgr, 1.0))
    }

    fn zone(&mut self, corners: &[Point], label: &str, emphasis: Emphasis) -> opencv::Result<()> {
        let Some(spots) = self.pixels(corners).filter(|spots| spots.len() > 2) else {
            return Ok(());
        };
        let bgr = emphasis.bgr();
        let opacity = if emphasis == Emphasis::Accused {
            0.24
        } else {
            0.14
        };
        self.canvas.fill(&spots, Paint::new(bgr, opacity))?;
        self.lay(&spots, true, 1.6 * self.unit, bgr)?;

        let seen = clip::polygon(&spots, &self.canvas.area);
        let line = self.word(label);
        let size = self.plate(&line);
        let middle = Area::around(&seen).map_or(0.0, |area| f64::midpoint(area.left, area.right));
        let mut wishes: Vec<Spot> = seen
            .iter()
            .flat_map(|spot| {
                // Towards the inside, first below the corner, then above it.
                let x = if spot.x <= middle {
                    spot.x
                } else {
                    spot.x - size[0]
                };
                [
                    Spot { x, y: spot.y },
                    Spot {
                        x,
                        y: spot.y - size[1],
                    },
                ]
            })
            .collect();
        wishes.sort_by(|a, b| a.y.total_cmp(&b.y));
        self.say(line, wishes, LabelStyle::Veil(bgr), 3);
        Ok(())
    }

    fn line(&mut self, ends: [Point; 2], label: &str, emphasis: Emphasis) -> opencv::Result<()> {
        let Some(ends) = self.pixels(&ends) else {
            return Ok(());
        };
        let Some((from, to)) = clip::segment(ends[0], ends[1], &self.canvas.area) else {
            return Ok(());
        };
        let bgr = emphasis.bgr();
        self.lay(&ends, false, 3.0 * self.unit, bgr)?;

        let length = (to.x - from.x).hypot(to.y - from.y);
        let middle = Spot {
            x: f64::midpoint(from.x, to.x),
            y: f64::midpoint(from.y, to.y),
        };
        if length >= 1.0 {
            let along = Spot {
                x: (to.x - from.x) / length,
                y: (to.y - from.y) / length,
            };
            self.arrow(
                middle,
                along,
                (0.3 * length).clamp(16.0 * self.unit, 54.0 * self.unit),
                bgr,
            )?;
        }
        let line = self.word(label);
        let size = self.plate(&line);
        let gap = 4.0 * self.unit;
        let wishes = [from, to, middle]
            .iter()
            .flat_map(|at| {
                let x = at.x - size[0] / 2.0;
                [
                    Spot {
                        x,
                        y: at.y - size[1] - gap,
                    },
                    Spot { x, y: at.y + gap },
                ]
            })
            .collect();
        self.say(line, wishes, LabelStyle::Veil(bgr), 2);
        Ok(())
    }

    fn grid_line(&mut self, points: &[Point], label: &str) -> opencv::Result<()> {
        let Some(spots) = self.pixels(points).filter(|spots| spots.len() > 1) else {
            return Ok(());
        };
        let bgr = Emphasis::Zone.bgr();
        let bed = Paint::new(INK, 0.35);
        self.canvas.stroke(&spots, false, 2.0 * self.unit, bed)?;
        let thin = Paint::new(bgr, 0.8);
        self.canvas
            .stroke(&spots, false, self.unit.max(0.8), thin)?;
        let area = self.canvas.area;
        let seen = |spot: &&Spot| {
            (area.left..area.right).contains(&spot.x) && (area.top..area.bottom).contains(&spot.y)
        };
        let wishes: Vec<Spot> = spots.iter().filter(seen).copied().collect();
        let line = self.word(label);
        self.say(line, wishes, LabelStyle::Veil(bgr), 4);
        Ok(())
    }

    /// From `start`, `length` pixels to the right of the direction `along`.
    fn arrow(&mut self, start: Spot, along: Spot, length: f64, bgr: [u8; 3]) -> opencv::Result<()> {
        // In a picture y grows downwards, so this is a turn to the right.
        let out = Spot {
            x: -along.y,
            y: along.x,
        };
        let at = |forward: f64, aside: f64| Spot {
            x: start.x + out.x * forward + along.x * aside,
            y: start.y + out.y * forward + along.y * aside,
        };
        let head = (0.42 * length).min(16.0 * self.unit);
        self.lay(
            &[at(0.0, 0.0), at(length - head, 0.0)],
            false,
            3.0 * self.unit,
            bgr,
        )?;
        let tip = |grow: f64| {
            [
                at(length + grow * 1.6, 0.0),
                at(length - head - grow, head * 0.6 + grow),
                at(length - head - grow, -head * 0.6 - grow),
            ]
        };
        self.canvas
            .fill(&tip(self.unit.max(1.0)), Paint::new(INK, 0.5))?;
        self.canvas.fill(&tip(0.0), Paint::new(bgr, 1.0))?;
        // A label on the arrow would hide which way the rule looks.
        if let Some(head) = Area::around(&tip(self.unit)) {
            self.placer.take(head);
        }
        Ok(())
    }

    fn path(&mut self, path: &[Point], emphasis: Emphasis) -> opencv::Result<()> {
        let recent = &path[path.len().saturating_sub(MAX_PATH)..];
        let spots: Vec<Spot> = recent
            .iter()
            .filter_map(|point| to_pixels(*point, &self.canvas.area))
            .collect();
        let thickness = self.unit
            * if emphasis == Emphasis::Accused {
                3.2
            } else {
                2.0
            };
        let bed = Paint::new(INK, 0.45);
        let paint = Paint::new(emphasis.bgr(), 1.0);
        self.canvas
            .stroke_fading(&spots, thickness + 2.0 * self.unit.max(1.0), bed)?;
        self.canvas.stroke_fading(&spots, thickness, paint)?;
        if let Some(newest) = spots.last() {
            for (radius, paint) in [(1.3, bed), (1.0, paint)] {
                self.canvas
                    .fill(&disc(*newest, radius * 1.9 * thickness), paint)?;
            }
        }
        Ok(())
    }

    fn road_user(&mut self, user: &OverlayBox) -> opencv::Result<()> {
        let b = &user.bounds;
        let ends = [
            Point { x: b.x, y: b.y },
            Point {
                x: b.right(),
                y: b.bottom(),
            },
        ];
        let Some([from, to]) = self
            .pixels(&ends)
            .and_then(|ends| <[Spot; 2]>::try_from(ends).ok())
        else {
            return Ok(());
        };
        // To the middles of pixels, where an upright line is crisp.
        let [from, to] = [from, to].map(|at| Spot {
            x: at.x.floor() + 0.5,
            y: at.y.floor() + 0.5,
        });
        let Some(area) = Area::around(&[from, to]) else {
            return Ok(());
        };
        let accused = user.emphasis == Emphasis::Accused;
        let bgr = user.emphasis.bgr();
        let thickness = self.unit * if accused { 3.4 } else { 1.6 };
        self.lay(&area.corners(), true, thickness, bgr)?;
        // A label without its box would name something else.
        if self.canvas.area.grown(thickness).shared(&area.grown(1.0)) == 0.0 {
            return Ok(());
        }
        self.placer.take(area);

        let line = self.word(&user.label);
        let [width, height] = self.plate(&line);
        let half = thickness / 2.0;
        let (left, right) = (area.left - half, area.right + half);
        let (above, below) = (area.top - half - height, area.bottom + half);
        let wishes = [
            (left, above),
            (left, below),
            (right - width, above),
            (right - width, below),
            (right, area.top),
            (left - width, area.top),
        ];
        let wishes = wishes.map(|(x, y)| Spot { x, y }).to_vec();
        self.say(line, wishes, LabelStyle::Plate(bgr), u8::from(!accused));
        Ok(())
    }

    /// A label as a line of text, at most 45 % of the picture's width.
    fn word(&self, label: &str) -> TextLine {
        let room = 0.45 * self.canvas.area.width();
        TextLine::new(label, Weight::Bold, 0.86 * self.text, room)
    }

    fn pad(&self) -> [f64; 2] {
        [0.3 * self.text, 0.08 * self.text]
    }

    /// Width and height of a label with its edges.
    fn plate(&self, line: &TextLine) -> [f64; 2] {
        let [x, y] = self.pad();
        [line.width + 2.0 * x, line.height + 2.0 * y]
    }

    fn say(&mut self, line: TextLine, wishes: Vec<Spot>, style: LabelStyle, rank: u8) {
        if !line.is_empty() {
            self.words.push(Word {
                line,
                wishes,
                style,
                rank,
            });
        }
    }

    /// Places and writes the labels, the most important first; those are written last, on top.
    fn labels(&mut self) {
        let mut words = std::mem::take(&mut self.words);
        words.sort_by_key(|word| word.rank);
        let placed: Vec<_> = words
            .into_iter()
            .filter_map(|word| {
                let [width, height] = self.plate(&word.line);
                let area = self.placer.place(width, height, &word.wishes)?;
                Some((word, area))
            })
            .collect();
        let [x, y] = self.pad();
        for (word, area) in placed.into_iter().rev() {
            let (plate, letters) = match word.style {
                LabelStyle::Plate(bgr) => (Paint::new(bgr, 0.94), INK),
                LabelStyle::Veil(bgr) => {
                    // Vermilion alone is too dark to read on a veil.
                    let light = bgr.map(|channel| channel + (255 - channel) / 3);
                    (Paint::new(INK, 0.66), light)
                }
            };
            self.canvas.fill_area(&area, plate);
            self.canvas
                .write(&word.line, area.left + x, area.top + y, letters);
        }
    }

    fn caption(&mut self, caption: &[String]) {
        let picture = self.canvas.area;
        let [x, y] = [0.55 * self.text, 0.4 * self.text];
        let lines: Vec<TextLine> = caption
            .iter()
            .enumerate()
            .map(|(nth, text)| {
                let weight = if nth == 0 {
                    Weight::Bold
                } else {
                    Weight::Regular
                };
                TextLine::new(text, weight, self.text, picture.width() - 2.0 * x)
            })
            .filter(|line| !line.is_empty())
            .collect();
        // More than half of the picture would hide what it describes.
        let step = 1.12 * self.text;
        #[allow(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "a count of lines, at least one"
        )]
        let fit = ((picture.height() / 2.0 / step) as usize)
            .max(1)
            .min(lines.len());
        let Some(lines) = lines.get(..fit).filter(|lines| !lines.is_empty()) else {
            return;
        };
        let widest = lines.iter().map(|line| line.width).fold(0.0, f64::max);
        let height = fit as f64 * step + 2.0 * y;
        let panel = Area::new(0.0, picture.bottom - height, widest + 2.0 * x, height);
        self.placer.take(panel);
        self.canvas.fill_area(&panel, Paint::new(INK, 0.72));
        for (nth, line) in lines.iter().enumerate() {
            let top = panel.top + y + nth as f64 * step;
            self.canvas.write(line, x, top, PAPER);
        }
    }

    /// An amber band with a hazard strip below it, across the whole picture.
    fn banner(&mut self, banner: &str) -> opencv::Result<()> {
        let picture = self.canvas.area;
        let line = TextLine::new(
            banner,
            Weight::Bold,
            1.15 * self.text,
            0.96 * picture.width(),
        );
        let band = Area::new(0.0, 0.0, picture.width(), line.height + 0.5 * self.text);
        let strip = Area::new(0.0, band.bottom, picture.width(), 0.4 * self.text);
        self.placer
            .take(Area::new(0.0, 0.0, picture.width(), strip.bottom));
        let amber = Paint::new(AMBER, 1.0);
        self.canvas.fill_area(&band, amber);
        self.canvas.fill_area(&strip, Paint::new(INK, 1.0));
        let step = 2.4 * strip.height();
        let mut x = -step;
        while x < strip.right {
            let corner = |x: f64, y: f64| Spot { x, y };
            let slope = strip.height();
            self.canvas.fill(
                &[
                    corner(x + slope, strip.top),
                    corner(x + slope + step / 2.0, strip.top),
                    corner(x + step / 2.0, strip.bottom),
                    corner(x, strip.bottom),
                ],
                amber,
            )?;
            x += step;
        }
        let left = (picture.width() - line.width) / 2.0;
        self.canvas.write(&line, left, 0.25 * self.text, INK);
        Ok(())
    }
}

/// A circle as a polygon fine enough for its few pixels.
fn disc(middle: Spot, radius: f64) -> Vec<Spot> {
    (0..24)
        .map(|nth| {
            let (sin, cos) = (f64::from(nth) * std::f64::consts::TAU / 24.0).sin_cos();
            Spot {
                x: middle.x + radius * cos,
                y: middle.y + radius * sin,
            }
        })
        .collect()
}
