//! Augments training images: shift, rotation, scaling, shear, and elastic displacement by a smooth random field.
//! One pass over the output with bilinear sampling; outside the image is paper. It never uses labels, files or tensors.
//!
//! Apart from the random generator it uses only sums, products and quotients of `f32`, so the same seed augments the
//! same way on every platform.

use rand::Rng;

use crate::spec::{Augment, IMAGE_PIXELS, IMAGE_SIDE};

/// The centre of an image, in pixels from the centre of its first pixel.
const CENTRE: f32 = (IMAGE_SIDE - 1) as f32 / 2.0;

/// One random augmentation: an affine map, and an elastic field where that is switched on.
#[derive(Clone, Debug, PartialEq)]
pub struct Augmentation {
    map: AffineMap,
    field: Option<Box<ElasticField>>,
}

impl Augmentation {
    /// Draws a random augmentation with these strengths; see [`Augment`] for their meaning.
    pub fn draw(strengths: &Augment, random: &mut impl Rng) -> Self {
        let map = AffineMap::draw(strengths, random);
        let field = (strengths.elastic > 0.0).then(|| Box::new(ElasticField::draw(strengths.elastic, random)));
        Self { map, field }
    }

    /// The augmentation that leaves an image unchanged.
    pub const fn none() -> Self {
        Self { map: AffineMap { shift: [0.0; 2], matrix: [[1.0, 0.0], [0.0, 1.0]] }, field: None }
    }

    /// Augments an image of 784 bytes and writes it to `augmented` as 784 values from 0 to 1.
    ///
    /// # Panics
    /// When `image` or `augmented` does not have 784 elements.
    pub fn apply(&self, image: &[u8], augmented: &mut [f32]) {
        assert_eq!((image.len(), augmented.len()), (IMAGE_PIXELS, IMAGE_PIXELS), "an image has 784 pixels");
        let padded = PaddedImage::new(image);
        for (y, row) in augmented.as_chunks_mut().0.iter_mut().enumerate() {
            let mut source = self.map.source_row(y);
            if let Some(field) = &self.field {
                field.displace(y, &mut source);
            }
            padded.sample(&source, row);
        }
    }

    /// The augmentation as a sequence of numbers, for kernels on a graphics card: the shift to the right and down in
    /// pixels (2 numbers); the matrix from the augmented image back to the source image, row by row (4 numbers); with
    /// elastic augmentation also the displacements of the 7² control points, first to the right, then down (98
    /// numbers).
    pub fn numbers(&self) -> impl Iterator<Item = f32> {
        let AffineMap { shift, matrix } = &self.map;
        let field = self.field.iter().flat_map(|field| field.controls.as_flattened().as_flattened());
        shift.iter().chain(matrix.as_flattened()).chain(field).copied()
    }
}

/// A uniform random number between -1 and 1.
fn uniform(random: &mut impl Rng) -> f32 {
    // The divisor is a power of two: only the conversion rounds.
    random.next_u32().cast_signed() as f32 / 2_147_483_648.0
}

/// Coordinates in the source image of the pixels of one output row.
struct SourceRow {
    x: [f32; IMAGE_SIDE],
    y: [f32; IMAGE_SIDE],
}

/// An affine map about the centre, from the augmented image back to the source image.
#[derive(Clone, Copy, Debug, PartialEq)]
struct AffineMap {
    /// Shift of the augmented image, in pixels to the right and down.
    shift: [f32; 2],
    /// Rows of the inverse of rotation · shear · scaling.
    matrix: [[f32; 2]; 2],
}

impl AffineMap {
    /// Draws the same random numbers at every strength, so that changing one strength leaves the others' effect as it
    /// was.
    fn draw(strengths: &Augment, random: &mut impl Rng) -> Self {
        let mut within = |strength: f32| strength * uniform(random);
        let shift = [within(strengths.shift), within(strengths.shift)];
        let (sin, cos) = sin_cos(within(strengths.rotate).to_radians());
        let (width, height) = (1.0 + within(strengths.scale), 1.0 + within(strengths.scale));
        let shear = within(strengths.shear);
        let matrix = [[(cos + shear * sin) / width, (sin - shear * cos) / width], [-sin / height, cos / height]];
        Self { shift, matrix }
    }

    fn source_row(&self, y: usize) -> SourceRow {
        let [[xx, xy], [yx, yy]] = self.matrix;
        let left = -CENTRE - self.shift[0];
        let down = y as f32 - CENTRE - self.shift[1];
        let (x, y) = (xy * down + CENTRE, yy * down + CENTRE);
        let linear = |slope: f32, start: f32| std::array::from_fn(|x| slope * (x as f32 + left) + start);
        SourceRow { x: linear(xx, x), y: linear(yx, y) }
    }
}

/// Sine and cosine by their Taylor series, because the standard library's results depend on the platform. Exact to the
/// last digit or two for the 45° that [`Augment`] allows.
fn sin_cos(angle: f32) -> (f32, f32) {
    let square = angle * angle;
    let series = |factors: [f32; 5]| factors.iter().rev().fold(1.0, |sum, factor| 1.0 - square / factor * sum);
    (angle * series([6.0, 20.0, 42.0, 72.0, 110.0]), series([2.0, 12.0, 30.0, 56.0, 90.0]))
}

/// Pixels between two control points of the elastic field.
const CELL: usize = 7;
/// Control points along a side: one for each of the four cells of a row of 28 pixels, and three more that the spline
/// needs at the borders.
const N_CONTROLS: usize = IMAGE_SIDE / CELL + 3;
/// Number of control points that affect a pixel, along one side.
const REACH: usize = 4;

/// An elastic displacement field like that of Simard, Steinkraus and Platt (2003), who smooth uniform noise at every
/// pixel by a Gaussian of 4 pixels. Here the noise is on control points 7 pixels apart, and cubic B-splines smooth it:
/// their shape is nearly a Gaussian of 7 · √⅓ = 4.04 pixels, for a tenth of the work.
#[derive(Clone, Debug, PartialEq)]
struct ElasticField {
    /// Displacements of the control points in pixels, to the right and down.
    controls: [[[f32; N_CONTROLS]; N_CONTROLS]; 2],
}

impl ElasticField {
    /// Factor of the spline on the standard deviation of the control points. In each direction it is the square root of
    /// the mean sum of the squared weights, which is 151/315; in both together 151/315.
    const REMAINING: f32 = 151.0 / 315.0;
    /// Standard deviation of [`uniform`]: √⅓.
    const UNIFORM_DEVIATION: f32 = 0.577_350_26;

    /// Draws a field whose displacements have, over many fields, a standard deviation of `elastic` pixels.
    fn draw(elastic: f32, random: &mut impl Rng) -> Self {
        let strength = elastic / (Self::REMAINING * Self::UNIFORM_DEVIATION);
        let mut controls = [[[0.0; N_CONTROLS]; N_CONTROLS]; 2];
        controls.as_flattened_mut().as_flattened_mut().fill_with(|| strength * uniform(random));
        Self { controls }
    }

    /// Adds the displacements at row `y`.
    fn displace(&self, y: usize, source: &mut SourceRow) {
        let [right, down] = &self.controls;
        displace(&blend(right, y), &mut source.x);
        displace(&blend(down, y), &mut source.y);
    }
}

/// The control points interpolated vertically at one row of pixels.
fn blend(controls: &[[f32; N_CONTROLS]; N_CONTROLS], y: usize) -> [f32; N_CONTROLS] {
    let mut blended = [0.0; N_CONTROLS];
    for (row, weight) in controls[y / CELL..].iter().zip(WEIGHTS[y % CELL]) {
        for (sum, control) in blended.iter_mut().zip(row) {
            *sum += weight * control;
        }
    }
    blended
}

/// Displaces a row of coordinates by its control points.
fn displace(controls: &[f32; N_CONTROLS], coordinates: &mut [f32; IMAGE_SIDE]) {
    for (cell, pixels) in coordinates.as_chunks_mut::<CELL>().0.iter_mut().enumerate() {
        for (pixel, [a, b, c, d]) in pixels.iter_mut().zip(&WEIGHTS) {
            *pixel += a * controls[cell] + b * controls[cell + 1] + c * controls[cell + 2] + d * controls[cell + 3];
        }
    }
}

/// The weights of the four control points for each pixel of a cell.
const WEIGHTS: [[f32; REACH]; CELL] = weights();

/// The uniform cubic B-spline, evaluated at the middle of each pixel.
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

/// An image with a margin of paper, so that sampling needs no test for the edges.
struct PaddedImage {
    /// Rows of [`PaddedImage::SIDE`] values, 0 to 1. The image starts at row 1, column 1.
    values: [f32; Self::SIDE * Self::SIDE],
}

impl PaddedImage {
    /// 28 pixels, one of paper before and two after, rounded up to a power of two.
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

    /// Samples one row at the source coordinates, bilinearly between the four nearest pixels.
    fn sample(&self, source: &SourceRow, row: &mut [f32; IMAGE_SIDE]) {
        let (mut index, mut right, mut down) = ([0; IMAGE_SIDE], [0.0; IMAGE_SIDE], [0.0; IMAGE_SIDE]);
        for i in 0..IMAGE_SIDE {
            let (column, line);
            (column, right[i]) = split_coordinate(source.x[i]);
            (line, down[i]) = split_coordinate(source.y[i]);
            index[i] = line * Self::SIDE as u32 + column;
        }
        for (i, value) in row.iter_mut().enumerate() {
            let near = &self.values[index[i] as usize..][..Self::SIDE + 2];
            let upper = near[0] + (near[1] - near[0]) * right[i];
            let lower = near[Self::SIDE] + (near[Self::SIDE + 1] - near[Self::SIDE]) * right[i];
            *value = upper + (lower - upper) * down[i];
        }
    }
}

/// Splits an image coordinate into a row or column of the [`PaddedImage`] and a fraction, 0 to 1. Coordinates outside
/// the image, and NaN, are clamped to the paper next to the image.
fn split_coordinate(coordinate: f32) -> (u32, f32) {
    /// So large that an `f32` has no fraction bits left: adding it rounds, and the last bits of the sum are the
    /// integer. Compilers vectorise this to four numbers at once, but not a cast with `as`.
    const ROUNDING: f32 = 12_582_912.0;
    // The margin adds 1 pixel; adding only 0.5 here makes rounding to nearest round down.
    let (first, last) = (-0.5, IMAGE_SIDE as f32 + 0.5);
    let shifted = coordinate + 0.5;
    // `max` and `min` have no WebAssembly instruction with their NaN semantics, and `clamp` keeps a NaN.
    let shifted = if shifted > first { shifted } else { first };
    let shifted = if shifted < last { shifted } else { last };
    let rounded = shifted + ROUNDING;
    (rounded.to_bits() - ROUNDING.to_bits(), shifted + 0.5 - (rounded - ROUNDING))
}

#[cfg(test)]
mod tests;
