//! What bending does to dots, blocks and scribbles.

use rand::SeedableRng;
use rand_pcg::Pcg64Mcg;

use super::*;

fn bend(strengths: &str, seed: u64, image: &[u8]) -> Vec<f32> {
    let mut bent = vec![f32::NAN; IMAGE_PIXELS];
    Bend::draw(&strengths.parse().unwrap(), &mut Pcg64Mcg::seed_from_u64(seed)).apply(image, &mut bent);
    bent
}

/// Bent by one map, without chance.
fn mapped(shift: [f32; 2], matrix: [[f32; 2]; 2], image: &[u8]) -> Vec<f32> {
    let (map, sheet) = (Map { shift, matrix }, Sheet::new(image));
    let mut bent = vec![f32::NAN; IMAGE_PIXELS];
    for (y, row) in bent.as_chunks_mut().0.iter_mut().enumerate() {
        sheet.sample(&map.row(y), row);
    }
    bent
}

/// A random number generator at its end: every [`even`] draw is the greatest.
struct Most;

impl rand::TryRng for Most {
    type Error = std::convert::Infallible;
    fn try_next_u32(&mut self) -> Result<u32, Self::Error> {
        Ok(i32::MAX as u32)
    }
    fn try_next_u64(&mut self) -> Result<u64, Self::Error> {
        Ok(u64::MAX)
    }
    fn try_fill_bytes(&mut self, _: &mut [u8]) -> Result<(), Self::Error> {
        unreachable!("bending draws numbers")
    }
}

/// Bent by the strengths in full.
fn most(strengths: &str, image: &[u8]) -> Vec<f32> {
    let mut bent = vec![f32::NAN; IMAGE_PIXELS];
    Bend::draw(&strengths.parse().unwrap(), &mut Most).apply(image, &mut bent);
    bent
}

/// Something with no symmetry.
fn scribble() -> Vec<u8> {
    (0..IMAGE_PIXELS).map(|at| (at * at % 251) as u8).collect()
}

fn dot(x: usize, y: usize) -> Vec<u8> {
    let mut image = vec![0; IMAGE_PIXELS];
    image[y * IMAGE_SIDE + x] = 255;
    image
}

/// Where the ink of an image is on average, and how much there is.
fn centroid(bent: &[f32]) -> (f32, f32, f32) {
    let ink: f32 = bent.iter().sum();
    let mean = |coordinate: fn(usize) -> usize| {
        bent.iter().enumerate().map(|(at, value)| coordinate(at) as f32 * value).sum::<f32>() / ink
    };
    (mean(|at| at % IMAGE_SIDE), mean(|at| at / IMAGE_SIDE), ink)
}

#[track_caller]
fn assert_ink_at(bent: &[f32], x: f32, y: f32) {
    let found = centroid(bent);
    assert!((found.0 - x).abs() < 0.1 && (found.1 - y).abs() < 0.1, "{found:?}, expected {x}, {y}");
}

const IDENTITY: [[f32; 2]; 2] = [[1.0, 0.0], [0.0, 1.0]];

#[test]
fn no_strength_is_the_image_itself() {
    let image = scribble();
    let itself: Vec<f32> = image.iter().map(|&pixel| f32::from(pixel) / 255.0).collect();
    let mut none = vec![f32::NAN; IMAGE_PIXELS];
    Bend::none().apply(&image, &mut none);
    for bent in [bend("none", 1, &image), none] {
        assert!(bent.iter().zip(&itself).all(|(bent, itself)| (bent - itself).abs() < 1e-6));
    }
}

#[test]
fn a_whole_shift_moves_pixels_and_brings_in_paper() {
    let image = scribble();
    let bent = mapped([3.0, -2.0], IDENTITY, &image);
    for (at, value) in bent.iter().enumerate() {
        let (x, y) = (at % IMAGE_SIDE, at / IMAGE_SIDE + 2);
        let inside = x >= 3 && y < IMAGE_SIDE;
        let expected = if inside { f32::from(image[y * IMAGE_SIDE + x - 3]) / 255.0 } else { 0.0 };
        assert!((value - expected).abs() < 1e-5, "{at}: {value}, expected {expected}");
    }
}

#[test]
fn half_a_shift_is_halfway_between_pixels() {
    let bent = mapped([0.5, 0.0], IDENTITY, &dot(27, 9));
    assert_eq!((bent[9 * IMAGE_SIDE + 27], bent.iter().sum::<f32>()), (0.5, 0.5));
    let bent = mapped([0.25, -0.5], IDENTITY, &dot(10, 9));
    let quarter = |x: usize, y: usize| bent[y * IMAGE_SIDE + x];
    assert_eq!([quarter(10, 8), quarter(11, 8), quarter(10, 9), quarter(11, 9)], [0.375, 0.125, 0.375, 0.125]);
}

#[test]
fn every_strength_bends_its_own_way() {
    // The centre is at 13.5, 13.5. Right and down are positive, a turn goes from right to down.
    assert_ink_at(&most("shift=3", &dot(10, 12)), 13.0, 15.0);
    assert_ink_at(&most("rotate=45", &dot(20, 20)), 13.5, 13.5 + 6.5 * 2.0_f32.sqrt());
    assert_ink_at(&most("scale=0.4", &dot(16, 8)), 13.5 + 2.5 * 1.4, 13.5 - 5.5 * 1.4);
    assert_ink_at(&most("shear=0.5", &dot(13, 5)), 13.0 - 8.5 * 0.5, 5.0);
    // Even control points are an even field.
    let shift = 3.0_f32.sqrt() * 315.0 / 151.0;
    assert_ink_at(&most("elastic=1", &dot(15, 15)), 15.0 - shift, 15.0 - shift);
}

#[test]
fn a_stretch_keeps_what_it_shows_in_shape() {
    let block: Vec<u8> = (0..IMAGE_PIXELS)
        .map(|at| if (8..20).contains(&(at % 28)) && (8..20).contains(&(at / 28)) { 255 } else { 0 })
        .collect();
    let (x, y, ink) = centroid(&most("scale=0.5", &block));
    assert!((x - 13.5).abs() < 1e-3 && (y - 13.5).abs() < 1e-3, "{x}, {y}");
    assert!((ink - 324.0).abs() < 2.0, "{ink}: a block of 12 by 12 becomes one of 18 by 18");
}

#[test]
fn a_seed_decides_and_another_decides_otherwise() {
    let image = scribble();
    for strengths in ["shift=2", "rotate=10", "scale=0.1", "shear=0.1", "elastic=1"] {
        assert_eq!(bend(strengths, 5, &image), bend(strengths, 5, &image));
        assert_ne!(bend(strengths, 5, &image), bend(strengths, 6, &image), "{strengths}");
    }
}

#[test]
fn every_platform_bends_alike() {
    // FNV-1a over the values' bits; a WebAssembly build gives the same number.
    let bent = bend("shift=2,rotate=10,scale=0.1,shear=0.1,elastic=1", 1, &scribble());
    let bytes = bent.iter().flat_map(|value| value.to_bits().to_le_bytes());
    let hash = bytes
        .fold(0xcbf2_9ce4_8422_2325, |hash: u64, byte| (hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3));
    assert_eq!(hash, 17_275_309_772_227_738_432);
}

#[test]
fn ink_stays_within_black_and_white() {
    let white = vec![255; IMAGE_PIXELS];
    for seed in 0..200 {
        let bent = bend("shift=8,rotate=45,scale=0.5,shear=0.6,elastic=4", seed, &white);
        assert!(bent.iter().all(|value| (0.0..=1.0).contains(value)), "{seed}");
    }
}

#[test]
fn strengths_beyond_all_bounds_leave_paper_not_panic() {
    let wild = Augment { shift: f32::MAX, scale: 1.0, elastic: f32::INFINITY, ..Augment::default() };
    let mut bent = vec![f32::NAN; IMAGE_PIXELS];
    Bend::draw(&wild, &mut Pcg64Mcg::seed_from_u64(1)).apply(&[255; IMAGE_PIXELS], &mut bent);
    assert!(bent.iter().all(|&value| value == 0.0));
}

#[test]
fn draws_are_even_and_reach_both_ends() {
    let mut random = Pcg64Mcg::seed_from_u64(3);
    let draws: Vec<f32> = (0..20_000).map(|_| even(&mut random)).collect();
    let mean = draws.iter().sum::<f32>() / draws.len() as f32;
    let square = draws.iter().map(|draw| draw * draw).sum::<f32>() / draws.len() as f32;
    assert!(mean.abs() < 0.02 && (square.sqrt() - Field::EVEN).abs() < 0.01, "{mean}, {square}");
    assert!(draws.iter().all(|draw| (-1.0..=1.0).contains(draw)));
    assert!(draws.iter().any(|&draw| draw < -0.99) && draws.iter().any(|&draw| draw > 0.99));
}

#[test]
fn the_elastic_field_is_as_strong_as_asked_and_smooth() {
    let mut random = Pcg64Mcg::seed_from_u64(4);
    let (mut sum, mut square, mut steps, mut n) = (0.0, 0.0, 0.0, 0.0);
    for _ in 0..500 {
        let field = Field::draw(1.5, &mut random);
        for y in 0..IMAGE_SIDE {
            let mut row = Row { x: [0.0; IMAGE_SIDE], y: [0.0; IMAGE_SIDE] };
            field.displace(y, &mut row);
            for displaced in [row.x, row.y] {
                sum += displaced.iter().sum::<f32>();
                square += displaced.iter().map(|pixels| pixels * pixels).sum::<f32>();
                steps += displaced.windows(2).map(|pair| (pair[1] - pair[0]).powi(2)).sum::<f32>();
                n += IMAGE_SIDE as f32;
            }
        }
    }
    assert!((sum / n).abs() < 0.05, "{}", sum / n);
    let deviation = (square / n).sqrt();
    assert!((deviation - 1.5).abs() < 0.05, "{deviation}");
    // Noise smoothed by a Gaussian of s pixels changes by 1/(s·√2) of its deviation from pixel to pixel.
    let smoothness = deviation / (steps / n).sqrt() / 2.0_f32.sqrt();
    assert!((3.0..5.0).contains(&smoothness), "{smoothness}");
}

#[test]
fn the_series_are_sine_and_cosine() {
    for degrees in -45..=45 {
        let angle = (degrees as f32).to_radians();
        let (sin, cos) = sin_cos(angle);
        assert!((sin - angle.sin()).abs() < 2e-7 && (cos - angle.cos()).abs() < 2e-7, "{degrees}");
    }
}

#[test]
#[should_panic(expected = "784 pixels")]
fn a_slice_of_another_length_is_refused() {
    bend("shift=1", 1, &[0; 783]);
}
