//! Converts pen strokes to a 28×28 input image, prepared as MNIST was: the ink is scaled to fit into 20×20 pixels with
//! its aspect ratio kept, anti-aliased, and shifted by whole pixels until its centre of mass is in the middle. It never
//! runs a network.
//!
//! After scaling the pen is as wide as MNIST's, however large the drawing was. Coverage is counted on an 8×8 grid in
//! every pixel, so overlapping strokes join without seams.

use serde::{Deserialize, Serialize};

use crate::spec::{IMAGE_PIXELS, IMAGE_SIDE};

/// Side of the box into which the ink is scaled, in pixels.
const BOX: usize = 20;
/// Grid points per pixel, in each direction: the bits of a byte.
const GRID: usize = 8;
/// Grid points in the box, in each direction.
const FINE: usize = BOX * GRID;

/// Width of the pen after scaling, in pixels: the median of MNIST's. Measured along the middle lines of its first
/// 100 training images of each digit: mean 2.45, median 2.39, standard deviation 0.56.
pub const PEN_WIDTH: f32 = 2.4;

/// A position of the pen. The unit is arbitrary; x grows to the right and y downwards.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Point {
    /// Horizontal coordinate.
    pub x: f32,
    /// Vertical coordinate.
    pub y: f32,
}

/// The positions of the pen from touching the paper to leaving it.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Stroke {
    /// The positions, in order.
    pub points: Vec<Point>,
}

/// The image of some strokes: 784 bytes, row by row; 0 is paper, 255 is ink. `None` where there is no ink.
///
/// Points that are not finite are ignored. A single point is a dot as wide as the pen.
pub fn prepare(strokes: &[Stroke]) -> Option<[u8; IMAGE_PIXELS]> {
    render(strokes, PEN_WIDTH)
}

/// Like [`prepare`], with another pen width after scaling, in pixels. The width is clamped to 0.5 to 10; a width that
/// is not finite counts as [`PEN_WIDTH`].
pub fn render(strokes: &[Stroke], pen_width: f32) -> Option<[u8; IMAGE_PIXELS]> {
    let radius = f64::from(if pen_width.is_finite() { pen_width.clamp(0.5, 10.0) } else { PEN_WIDTH }) / 2.0;
    let fit = Fit::of(strokes, radius)?;
    let mut bitmap = Bitmap::new();
    for stroke in strokes {
        bitmap.draw(stroke, fit, radius * GRID as f64);
    }
    Some(centred(&bitmap.coverage()))
}

/// A position in double precision, of a stroke or on the grid.
#[derive(Clone, Copy)]
struct Position {
    x: f64,
    y: f64,
}

/// The finite points of a stroke.
fn finite(stroke: &Stroke) -> impl Iterator<Item = Position> {
    let points = stroke.points.iter().filter(|point| point.x.is_finite() && point.y.is_finite());
    points.map(|point| Position { x: point.x.into(), y: point.y.into() })
}

/// Maps stroke coordinates to grid coordinates so that the ink touches the edges of the box.
#[derive(Clone, Copy)]
struct Fit {
    left: f64,
    top: f64,
    /// Grid points per unit of the strokes.
    scale: f64,
    /// Radius of the pen, in grid points.
    margin: f64,
}

impl Fit {
    /// `None` where no point is finite.
    fn of(strokes: &[Stroke], radius: f64) -> Option<Self> {
        let mut positions = strokes.iter().flat_map(finite);
        let first = positions.next()?;
        let (low, high) = positions.fold((first, first), |(low, high), position| {
            let low = Position { x: low.x.min(position.x), y: low.y.min(position.y) };
            (low, Position { x: high.x.max(position.x), y: high.y.max(position.y) })
        });
        let extent = (high.x - low.x).max(high.y - low.y);
        let available = BOX as f64 - 2.0 * radius;
        // A dot has no extent: any scale keeps it a dot.
        let scale = if extent > 0.0 { available / extent } else { 1.0 };
        Some(Self { left: low.x, top: low.y, scale: scale * GRID as f64, margin: radius * GRID as f64 })
    }

    fn to_grid(self, position: Position) -> Position {
        let x = (position.x - self.left) * self.scale + self.margin;
        Position { x, y: (position.y - self.top) * self.scale + self.margin }
    }
}

/// The grid of the box as a bitmap: each row has one byte per pixel, with one bit per grid point.
struct Bitmap {
    rows: [[u8; BOX]; FINE],
}

impl Bitmap {
    fn new() -> Self {
        Self { rows: [[0; BOX]; FINE] }
    }

    /// Draws one stroke, with round ends and joints.
    fn draw(&mut self, stroke: &Stroke, fit: Fit, radius: f64) {
        // A quarter of a pixel. Skipping points nearer than this moves no edge by a tenth of the grid spacing.
        const SHORTEST: f64 = 2.0;
        let mut positions = finite(stroke).map(|position| fit.to_grid(position));
        let Some(mut last) = positions.next() else { return };
        self.disc(last, radius);
        let mut skipped = None;
        for position in positions {
            let (dx, dy) = (position.x - last.x, position.y - last.y);
            if dx * dx + dy * dy < SHORTEST * SHORTEST {
                skipped = Some(position);
                continue;
            }
            self.line(last, position, radius);
            (last, skipped) = (position, None);
        }
        if let Some(end) = skipped {
            self.line(last, end, radius);
        }
    }

    /// Inks everything within `radius` of the line from `a` to `b`. The disc at `a` must be there already.
    fn line(&mut self, a: Position, b: Position, radius: f64) {
        self.disc(b, radius);
        let (dx, dy) = (b.x - a.x, b.y - a.y);
        let length = (dx * dx + dy * dy).sqrt();
        if length == 0.0 {
            return;
        }
        let (dx, dy) = (dx / length, dy / length);
        // The rectangle between the discs is the intersection of two slabs.
        let (lengthwise, crosswise) = (Slab::new(dx, dy, 0.0, length), Slab::new(-dy, dx, -radius, radius));
        let reach = radius * dx.abs();
        for row in grid_index(a.y.min(b.y) - reach)..grid_index(a.y.max(b.y) + reach) {
            let y = row as f64 + 0.5 - a.y;
            let (one, other) = (lengthwise.at(y), crosswise.at(y));
            self.ink(row, grid_index(a.x + one.0.max(other.0)), grid_index(a.x + one.1.min(other.1)));
        }
    }

    /// Inks everything within `radius` of `centre`.
    fn disc(&mut self, centre: Position, radius: f64) {
        for row in grid_index(centre.y - radius)..grid_index(centre.y + radius) {
            let y = row as f64 + 0.5 - centre.y;
            let half = (radius * radius - y * y).max(0.0).sqrt();
            self.ink(row, grid_index(centre.x - half), grid_index(centre.x + half));
        }
    }

    /// Sets the bits from `first` up to, but not including, `end` of one row.
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

    /// Number of inked grid points in each pixel, 0 to 64.
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

/// The index of the first grid point whose middle is at or beyond a coordinate, clamped to the grid.
fn grid_index(coordinate: f64) -> usize {
    // A cast drops the fraction as `floor` would, and is faster.
    ((coordinate + 0.5).max(0.0) as usize).min(FINE)
}

/// The area between two parallel lines: `low <= x_part * x + y_part * y <= high`.
struct Slab {
    /// `1 / x_part`; infinite for a horizontal slab.
    inverse: f64,
    y_part: f64,
    low: f64,
    high: f64,
}

impl Slab {
    fn new(x_part: f64, y_part: f64, low: f64, high: f64) -> Self {
        Self { inverse: 1.0 / x_part, y_part, low, high }
    }

    /// The x coordinates at which the row at height `y` enters and leaves the slab.
    fn at(&self, y: f64) -> (f64, f64) {
        let (a, b) = (self.low - self.y_part * y, self.high - self.y_part * y);
        // A row is wholly inside or outside a horizontal slab. On its edge, zero times infinity would be NaN.
        if self.inverse.is_infinite() {
            return if a <= 0.0 && b >= 0.0 { (f64::NEG_INFINITY, f64::INFINITY) } else { (0.0, 0.0) };
        }
        let (a, b) = (a * self.inverse, b * self.inverse);
        (a.min(b), a.max(b))
    }
}

/// Shifts the coverage by whole pixels until its centre of mass is as near to the middle as possible without losing
/// ink, and scales it to 0 to 255.
fn centred(counts: &[[u8; BOX]; BOX]) -> [u8; IMAGE_PIXELS] {
    let (mut columns, mut rows) = (Mass::default(), Mass::default());
    for (y, row) in counts.iter().enumerate() {
        for (x, &count) in row.iter().enumerate() {
            columns.add(x, count);
            rows.add(y, count);
        }
    }
    let (right, down) = (columns.shift(), rows.shift());
    let mut image = [0; IMAGE_PIXELS];
    for (y, row) in counts[..rows.extent].iter().enumerate() {
        let to = &mut image[(y + down) * IMAGE_SIDE + right..][..columns.extent];
        for (pixel, &count) in to.iter_mut().zip(row) {
            *pixel = (u16::from(count) * 255 / (GRID * GRID) as u16) as u8;
        }
    }
    image
}

/// The distribution of the ink in one direction.
#[derive(Default)]
struct Mass {
    /// Sum of the counts.
    total: usize,
    /// Sum of count times pixel index.
    moment: usize,
    /// Index of the first pixel after all ink.
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

    /// The shift, in whole pixels, that brings the centre of mass nearest to pixel 14, where MNIST has it.
    fn shift(&self) -> usize {
        // Twice the distance, so that adding the total mass once rounds to the nearest integer.
        let twice = (IMAGE_SIDE * self.total).saturating_sub(2 * self.moment);
        ((twice + self.total) / (2 * self.total).max(1)).min(IMAGE_SIDE - self.extent)
    }
}

#[cfg(test)]
mod tests;
