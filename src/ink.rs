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
/// Side of the whole grid.
const FINE: usize = SIDE * GRID;

/// Width of the pen after fitting, in pixels.
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

/// The grid: a row is 28 bytes, one a pixel, with a bit for each grid line.
struct Sheet {
    rows: [[u8; SIDE]; FINE],
}

impl Sheet {
    fn new() -> Self {
        Self { rows: [[0; SIDE]; FINE] }
    }

    /// Draws one stroke, with round ends and joints.
    fn draw(&mut self, stroke: &Stroke, fit: Fit, radius: f64) {
        // Steps shorter than this change less than one bit in eight.
        const SHORTEST: f64 = 1.0;
        let mut places = finite(stroke).map(|place| fit.place(place));
        let Some(mut last) = places.next() else { return };
        self.line(last, last, radius);
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

    /// Inks everything within `radius` of the line from `a` to `b`.
    fn line(&mut self, a: Place, b: Place, radius: f64) {
        let first = row_from(a.y.min(b.y) - radius);
        let end = row_from(a.y.max(b.y) + radius);
        let edge = Edge::new(a, b, radius);
        for row in first..end {
            let y = row as f64 + 0.5;
            if let Some((left, right)) = edge.span(y) {
                self.ink(row, row_from(left), row_from(right));
            }
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
    fn coverage(&self) -> [u8; PIXELS] {
        let mut counts = [0; PIXELS];
        for (row, bytes) in self.rows.iter().enumerate() {
            let pixels = &mut counts[row / GRID * SIDE..][..SIDE];
            for (count, byte) in pixels.iter_mut().zip(bytes) {
                *count += byte.count_ones() as u8;
            }
        }
        counts
    }
}

/// The first grid line whose middle is at or beyond a coordinate, kept inside the grid.
fn row_from(coordinate: f64) -> usize {
    // Casts saturate, and the coordinate is never NaN.
    ((coordinate + 0.5).floor().max(0.0) as usize).min(FINE)
}

/// A line with its thickness, asked row by row.
struct Edge {
    a: Place,
    b: Place,
    radius: f64,
    /// Half the thickness, across the line.
    across: Place,
}

impl Edge {
    fn new(a: Place, b: Place, radius: f64) -> Self {
        let (dx, dy) = (b.x - a.x, b.y - a.y);
        let length = (dx * dx + dy * dy).sqrt();
        let unit = if length > 0.0 { radius / length } else { 0.0 };
        Self { a, b, radius, across: Place { x: -dy * unit, y: dx * unit } }
    }

    /// Where the row at height `y` enters and leaves the ink. The ink is convex, so that is one span.
    fn span(&self, y: f64) -> Option<(f64, f64)> {
        let mut span = (f64::INFINITY, f64::NEG_INFINITY);
        let mut widen = |left: f64, right: f64| span = (span.0.min(left), span.1.max(right));
        for end in [self.a, self.b] {
            let rest = self.radius * self.radius - (y - end.y) * (y - end.y);
            if rest >= 0.0 {
                let half = rest.sqrt();
                widen(end.x - half, end.x + half);
            }
        }
        for side in [1.0, -1.0] {
            let (ax, ay) = (self.a.x + side * self.across.x, self.a.y + side * self.across.y);
            let (bx, by) = (self.b.x + side * self.across.x, self.b.y + side * self.across.y);
            let t = (y - ay) / (by - ay);
            if (0.0..=1.0).contains(&t) {
                let x = ax + t * (bx - ax);
                widen(x, x);
            }
        }
        (span.0 <= span.1).then_some(span)
    }
}

/// Moves coverage by whole pixels until its mass is as near to the middle as that can be without losing ink.
fn centred(counts: &[u8; PIXELS]) -> [u8; PIXELS] {
    let (mut columns, mut rows) = (Mass::default(), Mass::default());
    for (index, &count) in counts.iter().enumerate() {
        columns.add(index % SIDE, count);
        rows.add(index / SIDE, count);
    }
    let (right, down) = (columns.shift(), rows.shift());
    let mut image = [0; PIXELS];
    for row in 0..rows.extent {
        let from = &counts[row * SIDE..][..columns.extent];
        let to = &mut image[(row + down) * SIDE + right..][..columns.extent];
        for (pixel, &count) in to.iter_mut().zip(from) {
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
