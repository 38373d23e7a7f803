//! Strokes of a pen to the 28×28 image a network reads, prepared as MNIST was: the ink fitted into 20×20 with
//! its aspect kept, anti-aliased, and moved by whole pixels until its mass is centred. Pure geometry.
//!
//! The pen is as wide after fitting as MNIST's was, however large the person drew. Coverage is counted on an
//! 8×8 grid in every pixel, so overlapping strokes join without seams.

use serde::{Deserialize, Serialize};

/// Side of the image, in pixels.
const SIDE: usize = 28;
/// Pixels of the image.
const PIXELS: usize = SIDE * SIDE;
/// Side of the box that the ink is fitted into, in pixels.
const BOX: usize = 20;
/// Grid lines in a pixel, each way: the bits of a byte.
const GRID: usize = 8;
/// Grid lines in the box, each way.
const FINE: usize = BOX * GRID;

/// Width of the pen after fitting, in pixels: the median of MNIST's. Measured along the middle lines of its first
/// 100 training images of each digit: mean 2.45, median 2.39, standard deviation 0.56.
pub const PEN_WIDTH: f32 = 2.4;

/// Where the pen was. Any unit; x grows to the right and y downwards.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Point {
    pub x: f32,
    pub y: f32,
}

/// The points of a pen between touching the paper and leaving it.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Stroke {
    pub points: Vec<Point>,
}

/// The image of some strokes: 784 bytes, row by row, 0 is paper and 255 is ink; `None` where there is no ink.
///
/// Points that are not finite are left out. A single point is a dot as wide as the pen.
pub fn prepare(strokes: &[Stroke]) -> Option<[u8; PIXELS]> {
    render(strokes, PEN_WIDTH)
}

/// Like [`prepare`], with a pen of another width after fitting, in pixels (0.5 to 10).
pub fn render(strokes: &[Stroke], pen_width: f32) -> Option<[u8; PIXELS]> {
    let radius = f64::from(if pen_width.is_finite() { pen_width.clamp(0.5, 10.0) } else { PEN_WIDTH }) / 2.0;
    let fit = Fit::of(strokes, radius)?;
    let mut sheet = Sheet::new();
    for stroke in strokes {
        sheet.draw(stroke, fit, radius * GRID as f64);
    }
    Some(centred(&sheet.coverage()))
}

/// A place in the grid.
#[derive(Clone, Copy)]
struct Place {
    x: f64,
    y: f64,
}

/// The finite points of a stroke.
fn finite(stroke: &Stroke) -> impl Iterator<Item = Place> {
    let points = stroke.points.iter().filter(|point| point.x.is_finite() && point.y.is_finite());
    points.map(|point| Place { x: point.x.into(), y: point.y.into() })
}

/// Maps strokes into the grid such that their ink touches the edges of the box.
#[derive(Clone, Copy)]
struct Fit {
    left: f64,
    top: f64,
    scale: f64,
    margin: f64,
}

impl Fit {
    /// `None` where no point is finite.
    fn of(strokes: &[Stroke], radius: f64) -> Option<Self> {
        let mut places = strokes.iter().flat_map(finite);
        let first = places.next()?;
        let (low, high) = places.fold((first, first), |(low, high), place| {
            let low = Place { x: low.x.min(place.x), y: low.y.min(place.y) };
            (low, Place { x: high.x.max(place.x), y: high.y.max(place.y) })
        });
        let extent = (high.x - low.x).max(high.y - low.y);
        let room = BOX as f64 - 2.0 * radius;
        // A dot has no extent: any scale keeps it a dot.
        let scale = if extent > 0.0 { room / extent } else { 1.0 };
        Some(Self { left: low.x, top: low.y, scale: scale * GRID as f64, margin: radius * GRID as f64 })
    }

    fn place(self, place: Place) -> Place {
        let x = (place.x - self.left) * self.scale + self.margin;
        Place { x, y: (place.y - self.top) * self.scale + self.margin }
    }
}

/// The grid of the box: a row has one byte a pixel, with a bit for each grid line.
struct Sheet {
    rows: [[u8; BOX]; FINE],
}

impl Sheet {
    fn new() -> Self {
        Self { rows: [[0; BOX]; FINE] }
    }

    /// Draws one stroke, with round ends and joints.
    fn draw(&mut self, stroke: &Stroke, fit: Fit, radius: f64) {
        // A quarter of a pixel: leaving out points nearer than this moves no edge by a tenth of a grid line.
        const SHORTEST: f64 = 2.0;
        let mut places = finite(stroke).map(|place| fit.place(place));
        let Some(mut last) = places.next() else { return };
        self.disc(last, radius);
        let mut skipped = None;
        for place in places {
            let (dx, dy) = (place.x - last.x, place.y - last.y);
            if dx * dx + dy * dy < SHORTEST * SHORTEST {
                skipped = Some(place);
                continue;
            }
            self.line(last, place, radius);
            (last, skipped) = (place, None);
        }
        if let Some(end) = skipped {
            self.line(last, end, radius);
        }
    }

    /// Goes on from `a`, where there is a disc, to `b`: inks everything within `radius` of the line between.
    fn line(&mut self, a: Place, b: Place, radius: f64) {
        self.disc(b, radius);
        let (dx, dy) = (b.x - a.x, b.y - a.y);
        let length = (dx * dx + dy * dy).sqrt();
        if length == 0.0 {
            return;
        }
        let (dx, dy) = (dx / length, dy / length);
        // The rectangle between the discs: where two slabs cross.
        let (along, across) = (Slab::new(dx, dy, 0.0, length), Slab::new(-dy, dx, -radius, radius));
        let reach = radius * dx.abs();
        for row in line_from(a.y.min(b.y) - reach)..line_from(a.y.max(b.y) + reach) {
            let y = row as f64 + 0.5 - a.y;
            let (one, other) = (along.at(y), across.at(y));
            self.ink(row, line_from(a.x + one.0.max(other.0)), line_from(a.x + one.1.min(other.1)));
        }
    }

    fn disc(&mut self, middle: Place, radius: f64) {
        for row in line_from(middle.y - radius)..line_from(middle.y + radius) {
            let y = row as f64 + 0.5 - middle.y;
            let half = (radius * radius - y * y).max(0.0).sqrt();
            self.ink(row, line_from(middle.x - half), line_from(middle.x + half));
        }
    }

    /// Sets the bits from `first` up to `end` of one row.
    fn ink(&mut self, row: usize, first: usize, end: usize) {
        if first >= end {
            return;
        }
        let (first_byte, last_byte) = (first / GRID, (end - 1) / GRID);
        let head = 0xff_u8 << (first % GRID);
        let tail = 0xff_u8 >> (GRID - 1 - (end - 1) % GRID);
        let row = &mut self.rows[row];
        if first_byte == last_byte {
            row[first_byte] |= head & tail;
            return;
        }
        row[first_byte] |= head;
        row[first_byte + 1..last_byte].fill(0xff);
        row[last_byte] |= tail;
    }

    /// Grid points inked in each pixel, 0 to 64.
    fn coverage(&self) -> [[u8; BOX]; BOX] {
        let mut counts = [[0; BOX]; BOX];
        for (row, bytes) in self.rows.iter().enumerate() {
            for (count, byte) in counts[row / GRID].iter_mut().zip(bytes) {
                *count += byte.count_ones() as u8;
            }
        }
        counts
    }
}

/// The first grid line whose middle is at or beyond a coordinate, kept inside the grid.
fn line_from(coordinate: f64) -> usize {
    // Casting drops the fraction, as `floor` would, and is faster.
    ((coordinate + 0.5).max(0.0) as usize).min(FINE)
}

/// Everything between two parallel lines: `low <= x_part * x + y_part * y <= high`.
struct Slab {
    /// One over `x_part`; infinite for a level slab.
    inverse: f64,
    y_part: f64,
    low: f64,
    high: f64,
}

impl Slab {
    fn new(x_part: f64, y_part: f64, low: f64, high: f64) -> Self {
        Self { inverse: 1.0 / x_part, y_part, low, high }
    }

    /// The x at which the row at height `y` enters and leaves the slab.
    fn at(&self, y: f64) -> (f64, f64) {
        let (a, b) = (self.low - self.y_part * y, self.high - self.y_part * y);
        // A row along a level slab is wholly inside or outside it; on its edge, zero times infinity would be no number.
        if self.inverse.is_infinite() {
            return if a <= 0.0 && b >= 0.0 { (f64::NEG_INFINITY, f64::INFINITY) } else { (0.0, 0.0) };
        }
        let (a, b) = (a * self.inverse, b * self.inverse);
        (a.min(b), a.max(b))
    }
}

/// Moves coverage by whole pixels until its mass is as near to the middle as that can be without losing ink.
fn centred(counts: &[[u8; BOX]; BOX]) -> [u8; PIXELS] {
    let (mut columns, mut rows) = (Mass::default(), Mass::default());
    for (y, row) in counts.iter().enumerate() {
        for (x, &count) in row.iter().enumerate() {
            columns.add(x, count);
            rows.add(y, count);
        }
    }
    let (right, down) = (columns.shift(), rows.shift());
    let mut image = [0; PIXELS];
    for (y, row) in counts[..rows.extent].iter().enumerate() {
        let to = &mut image[(y + down) * SIDE + right..][..columns.extent];
        for (pixel, &count) in to.iter_mut().zip(row) {
            *pixel = (u16::from(count) * 255 / (GRID * GRID) as u16) as u8;
        }
    }
    image
}

/// The ink along one direction.
#[derive(Default)]
struct Mass {
    total: usize,
    moment: usize,
    /// The first pixel behind all ink.
    extent: usize,
}

impl Mass {
    fn add(&mut self, pixel: usize, count: u8) {
        let count = usize::from(count);
        self.total += count;
        self.moment += count * pixel;
        if count > 0 {
            self.extent = self.extent.max(pixel + 1);
        }
    }

    /// Whole pixels that bring the centre of mass nearest to pixel 14, where MNIST has it.
    fn shift(&self) -> usize {
        // Twice the distance, so that adding one whole mass rounds to the nearest.
        let twice = (SIDE * self.total).saturating_sub(2 * self.moment);
        ((twice + self.total) / (2 * self.total).max(1)).min(SIDE - self.extent)
    }
}

#[cfg(test)]
mod tests;
