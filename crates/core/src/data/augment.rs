//! Bends training images: shifted, turned, stretched, slanted, and crumpled by a smooth random field.
//! One pass over the output with bilinear sampling; paper outside. Never looks at labels, files or tensors.
//!
//! Sums, products and quotients of `f32` are all that follows from a seed, so every platform bends alike.

use rand::Rng;

use crate::spec::{Augment, IMAGE_PIXELS, IMAGE_SIDE};

/// The centre of an image, in pixels from the middle of its first.
const CENTRE: f32 = (IMAGE_SIDE - 1) as f32 / 2.0;

/// One way to bend an image, drawn by chance.
#[derive(Clone, Debug, PartialEq)]
pub struct Bend {
    map: Map,
    field: Option<Box<Field>>,
}

impl Bend {
    /// Draws one of these strengths; see [`Augment`] for what each means.
    pub fn draw(strengths: &Augment, random: &mut impl Rng) -> Self {
        let map = Map::draw(strengths, random);
        let field = (strengths.elastic > 0.0).then(|| Box::new(Field::draw(strengths.elastic, random)));
        Self { map, field }
    }

    /// Leaves an image as it is.
    pub const fn none() -> Self {
        Self { map: Map { shift: [0.0; 2], matrix: [[1.0, 0.0], [0.0, 1.0]] }, field: None }
    }

    /// Writes an image of 784 bytes, bent, as 784 values from 0 to 1.
    ///
    /// # Panics
    /// When `image` or `bent` is not 784 long.
    pub fn apply(&self, image: &[u8], bent: &mut [f32]) {
        assert_eq!((image.len(), bent.len()), (IMAGE_PIXELS, IMAGE_PIXELS), "an image has 784 pixels");
        let sheet = Sheet::new(image);
        for (y, row) in bent.as_chunks_mut().0.iter_mut().enumerate() {
            let mut from = self.map.row(y);
            if let Some(field) = &self.field {
                field.displace(y, &mut from);
            }
            sheet.sample(&from, row);
        }
    }

    /// The bend as a row of numbers, for others who bend: the shift to the right and down in pixels, the matrix from the
    /// bent image back to the one it was, row by row, and with elastic bending the displacements of the 7² control points,
    /// those to the right and then those down.
    pub fn numbers(&self) -> impl Iterator<Item = f32> {
        let Map { shift, matrix } = &self.map;
        let field = self.field.iter().flat_map(|field| field.controls.as_flattened().as_flattened());
        shift.iter().chain(matrix.as_flattened()).chain(field).copied()
    }
}

/// Evenly between -1 and 1.
fn even(random: &mut impl Rng) -> f32 {
    // A power of two: only the conversion rounds.
    random.next_u32().cast_signed() as f32 / 2_147_483_648.0
}

/// Where the pixels of one row come from: coordinates in the image as it was.
struct Row {
    x: [f32; IMAGE_SIDE],
    y: [f32; IMAGE_SIDE],
}

/// An affine map about the centre, from the bent image back to the one it was.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Map {
    /// Pixels to the right and down by which the bent image moved.
    shift: [f32; 2],
    /// Rows of the inverse of turn · slant · stretch.
    matrix: [[f32; 2]; 2],
}

impl Map {
    /// The same draws at every strength: to change one kind of bending leaves the others as they were.
    fn draw(strengths: &Augment, random: &mut impl Rng) -> Self {
        let mut within = |strength: f32| strength * even(random);
        let shift = [within(strengths.shift), within(strengths.shift)];
        let (sin, cos) = sin_cos(within(strengths.rotate).to_radians());
        let (width, height) = (1.0 + within(strengths.scale), 1.0 + within(strengths.scale));
        let slant = within(strengths.shear);
        let matrix = [[(cos + slant * sin) / width, (sin - slant * cos) / width], [-sin / height, cos / height]];
        Self { shift, matrix }
    }

    fn row(&self, y: usize) -> Row {
        let [[xx, xy], [yx, yy]] = self.matrix;
        let left = -CENTRE - self.shift[0];
        let down = y as f32 - CENTRE - self.shift[1];
        let (x, y) = (xy * down + CENTRE, yy * down + CENTRE);
        let along = |slope: f32, start: f32| std::array::from_fn(|x| slope * (x as f32 + left) + start);
        Row { x: along(xx, x), y: along(yx, y) }
    }
}

/// Sine and cosine by their series, which the standard library leaves to the platform: right to the last digit or
/// two for the 45° that [`Augment`] allows.
fn sin_cos(angle: f32) -> (f32, f32) {
    let square = angle * angle;
    let series = |factors: [f32; 5]| factors.iter().rev().fold(1.0, |sum, factor| 1.0 - square / factor * sum);
    (angle * series([6.0, 20.0, 42.0, 72.0, 110.0]), series([2.0, 12.0, 30.0, 56.0, 90.0]))
}

/// Pixels between two control points of the elastic field.
const CELL: usize = 7;
/// Control points along a side: the four cells of a row of 28, and one point before and two behind them.
const N_CONTROLS: usize = IMAGE_SIDE / CELL + 3;
/// Control points that a pixel feels, along one side.
const REACH: usize = 4;

/// An elastic field like that of Simard, Steinkraus and Platt (2003), who smooth even noise for each pixel by a
/// Gaussian of 4 pixels. Here the noise is on control points 7 pixels apart, and cubic B-splines smooth it: their
/// shape is nearly a Gaussian of 7 · √⅓ = 4.04 pixels, and the work a tenth.
#[derive(Clone, Debug, PartialEq)]
struct Field {
    /// Displacements in pixels, to the right and down.
    controls: [[[f32; N_CONTROLS]; N_CONTROLS]; 2],
}

impl Field {
    /// What the spline leaves of the controls' standard deviation: in each direction the root of the mean sum of
    /// its squared weights, 151/315; in both together 151/315.
    const REMAINING: f32 = 151.0 / 315.0;
    /// Standard deviation of [`even`]: √⅓.
    const EVEN: f32 = 0.577_350_26;

    /// A field whose displacements have, over many fields, a standard deviation of `elastic` pixels.
    fn draw(elastic: f32, random: &mut impl Rng) -> Self {
        let strength = elastic / (Self::REMAINING * Self::EVEN);
        let mut controls = [[[0.0; N_CONTROLS]; N_CONTROLS]; 2];
        controls.as_flattened_mut().as_flattened_mut().fill_with(|| strength * even(random));
        Self { controls }
    }

    fn displace(&self, y: usize, from: &mut Row) {
        let [right, down] = &self.controls;
        displace(&blend(right, y), &mut from.x);
        displace(&blend(down, y), &mut from.y);
    }
}

/// The control points as they are at one row of pixels.
fn blend(controls: &[[f32; N_CONTROLS]; N_CONTROLS], y: usize) -> [f32; N_CONTROLS] {
    let mut blended = [0.0; N_CONTROLS];
    for (row, weight) in controls[y / CELL..].iter().zip(WEIGHTS[y % CELL]) {
        for (sum, control) in blended.iter_mut().zip(row) {
            *sum += weight * control;
        }
    }
    blended
}

/// Moves a row of coordinates by its blended control points.
fn displace(controls: &[f32; N_CONTROLS], from: &mut [f32; IMAGE_SIDE]) {
    for (cell, pixels) in from.as_chunks_mut::<CELL>().0.iter_mut().enumerate() {
        for (pixel, [a, b, c, d]) in pixels.iter_mut().zip(&WEIGHTS) {
            *pixel += a * controls[cell] + b * controls[cell + 1] + c * controls[cell + 2] + d * controls[cell + 3];
        }
    }
}

/// The weight of each control point for each pixel of a cell.
const WEIGHTS: [[f32; REACH]; CELL] = weights();

/// The uniform cubic B-spline at the middle of each pixel.
const fn weights() -> [[f32; REACH]; CELL] {
    let mut weights = [[0.0; REACH]; CELL];
    let mut pixel = 0;
    while pixel < CELL {
        let t = (pixel as f32 + 0.5) / CELL as f32;
        let rest = 1.0 - t;
        weights[pixel] = [
            rest * rest * rest / 6.0,
            (3.0 * t * t * t - 6.0 * t * t + 4.0) / 6.0,
            (3.0 * rest * rest * rest - 6.0 * rest * rest + 4.0) / 6.0,
            t * t * t / 6.0,
        ];
        pixel += 1;
    }
    weights
}

/// An image on a margin of paper, so that sampling needs no test for its edges.
struct Sheet {
    /// Rows of [`Sheet::SIDE`] values, 0 to 1; the image begins one in and one down.
    values: [f32; Self::SIDE * Self::SIDE],
}

impl Sheet {
    /// 28 pixels, one of paper before and two behind, and a round number for a stride.
    const SIDE: usize = 32;

    fn new(image: &[u8]) -> Self {
        let mut values = [0.0; Self::SIDE * Self::SIDE];
        let rows = values.chunks_exact_mut(Self::SIDE).skip(1).zip(image.chunks_exact(IMAGE_SIDE));
        for (row, pixels) in rows {
            for (value, &pixel) in row[1..].iter_mut().zip(pixels) {
                *value = f32::from(pixel) * (1.0 / 255.0);
            }
        }
        Self { values }
    }

    /// Bilinear between the four nearest pixels.
    fn sample(&self, from: &Row, row: &mut [f32; IMAGE_SIDE]) {
        let (mut at, mut right, mut down) = ([0; IMAGE_SIDE], [0.0; IMAGE_SIDE], [0.0; IMAGE_SIDE]);
        for i in 0..IMAGE_SIDE {
            let (column, line);
            (column, right[i]) = step(from.x[i]);
            (line, down[i]) = step(from.y[i]);
            at[i] = line * Self::SIDE as u32 + column;
        }
        for (i, value) in row.iter_mut().enumerate() {
            let near = &self.values[at[i] as usize..][..Self::SIDE + 2];
            let upper = near[0] + (near[1] - near[0]) * right[i];
            let lower = near[Self::SIDE] + (near[Self::SIDE + 1] - near[Self::SIDE]) * right[i];
            *value = upper + (lower - upper) * down[i];
        }
    }
}

/// A coordinate of an image in whole steps on its [`Sheet`] and the rest of a step, 0 to 1.
/// All paper is as good as the paper next to the image, and what is not a number is paper.
fn step(at: f32) -> (u32, f32) {
    /// So large that an `f32` has no binary places left: a sum with it is rounded, and its last bits are the whole
    /// number. Processors do this to four numbers at once, which they do not with `as`.
    const WHOLE: f32 = 12_582_912.0;
    // One pixel of margin, and half a step back, so that rounding rounds down.
    let (first, last) = (-0.5, IMAGE_SIDE as f32 + 0.5);
    let back = at + 0.5;
    // Not `max` and `min`, which WebAssembly has no instruction for, nor `clamp`, which keeps what is not a number.
    let back = if back > first { back } else { first };
    let back = if back < last { back } else { last };
    let rounded = back + WHOLE;
    (rounded.to_bits() - WHOLE.to_bits(), back + 0.5 - (rounded - WHOLE))
}

#[cfg(test)]
mod tests;
