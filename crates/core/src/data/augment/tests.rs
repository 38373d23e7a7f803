//! Augmentation of dots, blocks and irregular images.

use rand::SeedableRng;
use rand_pcg::Pcg64Mcg;

use super::*;

/// The image augmented with these strengths and this seed.
fn augmented(strengths: &str, seed: u64, image: &[u8]) -> Vec<f32> {
    let mut augmented = vec![f32::NAN; IMAGE_PIXELS];
    Augmentation::draw(&strengths.parse().unwrap(), &mut Pcg64Mcg::seed_from_u64(seed)).apply(image, &mut augmented);
    augmented
}

/// The image transformed by this affine map.
fn mapped(shift: [f32; 2], matrix: [[f32; 2]; 2], image: &[u8]) -> Vec<f32> {
    let (map, padded) = (AffineMap { shift, matrix }, PaddedImage::new(image));
    let mut augmented = vec![f32::NAN; IMAGE_PIXELS];
    for (y, row) in augmented.as_chunks_mut().0.iter_mut().enumerate() {
        padded.sample(&map.source_row(y), row);
    }
    augmented
}

/// A random number generator for which every [`uniform`] number is the largest.
struct MaxRng;

impl rand::TryRng for MaxRng {
    type Error = std::convert::Infallible;
    fn try_next_u32(&mut self) -> Result<u32, Self::Error> {
        Ok(i32::MAX as u32)
    }
    fn try_next_u64(&mut self) -> Result<u64, Self::Error> {
        Ok(u64::MAX)
    }
    fn try_fill_bytes(&mut self, _: &mut [u8]) -> Result<(), Self::Error> {
        unreachable!("augmentation draws single numbers")
    }
}

/// The image augmented with the strengths in full.
fn augmented_fully(strengths: &str, image: &[u8]) -> Vec<f32> {
    let mut augmented = vec![f32::NAN; IMAGE_PIXELS];
    Augmentation::draw(&strengths.parse().unwrap(), &mut MaxRng).apply(image, &mut augmented);
    augmented
}

/// An image without symmetry.
fn irregular() -> Vec<u8> {
    (0..IMAGE_PIXELS).map(|index| (index * index % 251) as u8).collect()
}

/// An image with one inked pixel.
fn dot(x: usize, y: usize) -> Vec<u8> {
    let mut image = vec![0; IMAGE_PIXELS];
    image[y * IMAGE_SIDE + x] = 255;
    image
}

/// The centre of mass of an image, x and y, and its total ink.
fn centroid(image: &[f32]) -> (f32, f32, f32) {
    let ink: f32 = image.iter().sum();
    let mean = |coordinate: fn(usize) -> usize| {
        image.iter().enumerate().map(|(index, value)| coordinate(index) as f32 * value).sum::<f32>() / ink
    };
    (mean(|index| index % IMAGE_SIDE), mean(|index| index / IMAGE_SIDE), ink)
}

#[track_caller]
fn assert_ink_at(image: &[f32], x: f32, y: f32) {
    let found = centroid(image);
    assert!((found.0 - x).abs() < 0.1 && (found.1 - y).abs() < 0.1, "{found:?}, expected {x}, {y}");
}

const IDENTITY: [[f32; 2]; 2] = [[1.0, 0.0], [0.0, 1.0]];

#[test]
fn strength_zero_leaves_the_image_unchanged() {
    let image = irregular();
    let original: Vec<f32> = image.iter().map(|&pixel| f32::from(pixel) / 255.0).collect();
    let mut none = vec![f32::NAN; IMAGE_PIXELS];
    Augmentation::none().apply(&image, &mut none);
    for unchanged in [augmented("none", 1, &image), none] {
        assert!(unchanged.iter().zip(&original).all(|(value, original)| (value - original).abs() < 1e-6));
    }
}

#[test]
fn a_whole_shift_moves_pixels_and_adds_paper() {
    let image = irregular();
    let shifted = mapped([3.0, -2.0], IDENTITY, &image);
    for (index, value) in shifted.iter().enumerate() {
        let (x, y) = (index % IMAGE_SIDE, index / IMAGE_SIDE + 2);
        let inside = x >= 3 && y < IMAGE_SIDE;
        let expected = if inside { f32::from(image[y * IMAGE_SIDE + x - 3]) / 255.0 } else { 0.0 };
        assert!((value - expected).abs() < 1e-5, "{index}: {value}, expected {expected}");
    }
}

#[test]
fn a_fractional_shift_interpolates_between_pixels() {
    let shifted = mapped([0.5, 0.0], IDENTITY, &dot(27, 9));
    assert_eq!((shifted[9 * IMAGE_SIDE + 27], shifted.iter().sum::<f32>()), (0.5, 0.5));
    let shifted = mapped([0.25, -0.5], IDENTITY, &dot(10, 9));
    let pixel = |x: usize, y: usize| shifted[y * IMAGE_SIDE + x];
    assert_eq!([pixel(10, 8), pixel(11, 8), pixel(10, 9), pixel(11, 9)], [0.375, 0.125, 0.375, 0.125]);
}

#[test]
fn every_kind_of_augmentation_moves_a_dot_as_documented() {
    // The centre is at 13.5, 13.5. Right and down are positive, and a rotation turns right towards down.
    assert_ink_at(&augmented_fully("shift=3", &dot(10, 12)), 13.0, 15.0);
    assert_ink_at(&augmented_fully("rotate=45", &dot(20, 20)), 13.5, 13.5 + 6.5 * 2.0_f32.sqrt());
    assert_ink_at(&augmented_fully("scale=0.4", &dot(16, 8)), 13.5 + 2.5 * 1.4, 13.5 - 5.5 * 1.4);
    assert_ink_at(&augmented_fully("shear=0.5", &dot(13, 5)), 13.0 - 8.5 * 0.5, 5.0);
    // Equal control points result in a constant field.
    let shift = 3.0_f32.sqrt() * 315.0 / 151.0;
    assert_ink_at(&augmented_fully("elastic=1", &dot(15, 15)), 15.0 - shift, 15.0 - shift);
}

#[test]
fn scaling_enlarges_a_block_about_the_centre() {
    let inside = |index: usize| (8..20).contains(&(index % 28)) && (8..20).contains(&(index / 28));
    let block: Vec<u8> = (0..IMAGE_PIXELS).map(|index| if inside(index) { 255 } else { 0 }).collect();
    let (x, y, ink) = centroid(&augmented_fully("scale=0.5", &block));
    assert!((x - 13.5).abs() < 1e-3 && (y - 13.5).abs() < 1e-3, "{x}, {y}");
    assert!((ink - 324.0).abs() < 2.0, "{ink}: a block of 12 by 12 becomes one of 18 by 18");
}

#[test]
fn the_seed_determines_the_augmentation() {
    let image = irregular();
    for strengths in ["shift=2", "rotate=10", "scale=0.1", "shear=0.1", "elastic=1"] {
        assert_eq!(augmented(strengths, 5, &image), augmented(strengths, 5, &image));
        assert_ne!(augmented(strengths, 5, &image), augmented(strengths, 6, &image), "{strengths}");
    }
}

#[test]
fn augmentation_is_the_same_on_every_platform() {
    // FNV-1a over the bits of the values; a WebAssembly build computes the same hash.
    let image = augmented("shift=2,rotate=10,scale=0.1,shear=0.1,elastic=1", 1, &irregular());
    let bytes = image.iter().flat_map(|value| value.to_bits().to_le_bytes());
    let hash = bytes
        .fold(0xcbf2_9ce4_8422_2325, |hash: u64, byte| (hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3));
    assert_eq!(hash, 17_275_309_772_227_738_432);
}

#[test]
fn values_stay_between_zero_and_one() {
    let ink = vec![255; IMAGE_PIXELS];
    for seed in 0..200 {
        let image = augmented("shift=8,rotate=45,scale=0.5,shear=0.6,elastic=4", seed, &ink);
        assert!(image.iter().all(|value| (0.0..=1.0).contains(value)), "{seed}");
    }
}

#[test]
fn strengths_out_of_bounds_result_in_paper() {
    let strengths = Augment { shift: f32::MAX, scale: 1.0, elastic: f32::INFINITY, ..Augment::default() };
    let mut augmented = vec![f32::NAN; IMAGE_PIXELS];
    Augmentation::draw(&strengths, &mut Pcg64Mcg::seed_from_u64(1)).apply(&[255; IMAGE_PIXELS], &mut augmented);
    assert!(augmented.iter().all(|&value| value == 0.0));
}

#[test]
fn random_numbers_are_uniform_between_minus_one_and_one() {
    let mut random = Pcg64Mcg::seed_from_u64(3);
    let draws: Vec<f32> = (0..20_000).map(|_| uniform(&mut random)).collect();
    let mean = draws.iter().sum::<f32>() / draws.len() as f32;
    let square = draws.iter().map(|draw| draw * draw).sum::<f32>() / draws.len() as f32;
    let deviation = ElasticField::UNIFORM_DEVIATION;
    assert!(mean.abs() < 0.02 && (square.sqrt() - deviation).abs() < 0.01, "{mean}, {square}");
    assert!(draws.iter().all(|draw| (-1.0..=1.0).contains(draw)));
    assert!(draws.iter().any(|&draw| draw < -0.99) && draws.iter().any(|&draw| draw > 0.99));
}

#[test]
fn the_elastic_field_has_the_given_strength_and_is_smooth() {
    let mut random = Pcg64Mcg::seed_from_u64(4);
    let (mut sum, mut square, mut steps, mut n) = (0.0, 0.0, 0.0, 0.0);
    for _ in 0..500 {
        let field = ElasticField::draw(1.5, &mut random);
        for y in 0..IMAGE_SIDE {
            let mut row = SourceRow { x: [0.0; IMAGE_SIDE], y: [0.0; IMAGE_SIDE] };
            field.displace(y, &mut row);
            for displacements in [row.x, row.y] {
                sum += displacements.iter().sum::<f32>();
                square += displacements.iter().map(|pixels| pixels * pixels).sum::<f32>();
                steps += displacements.windows(2).map(|pair| (pair[1] - pair[0]).powi(2)).sum::<f32>();
                n += IMAGE_SIDE as f32;
            }
        }
    }
    assert!((sum / n).abs() < 0.05, "{}", sum / n);
    let deviation = (square / n).sqrt();
    assert!((deviation - 1.5).abs() < 0.05, "{deviation}");
    // Noise smoothed by a Gaussian of s pixels changes from pixel to pixel by 1/(s·√2) of its standard deviation.
    let smoothness = deviation / (steps / n).sqrt() / 2.0_f32.sqrt();
    assert!((3.0..5.0).contains(&smoothness), "{smoothness}");
}

#[test]
fn the_series_match_sine_and_cosine() {
    for degrees in -45..=45 {
        let angle = (degrees as f32).to_radians();
        let (sin, cos) = sin_cos(angle);
        assert!((sin - angle.sin()).abs() < 2e-7 && (cos - angle.cos()).abs() < 2e-7, "{degrees}");
    }
}

#[test]
#[should_panic(expected = "784 pixels")]
fn a_slice_of_another_length_is_refused() {
    augmented("shift=1", 1, &[0; 783]);
}
