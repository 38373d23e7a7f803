//! Checks the properties of MNIST's images (size, centre, pen width) on strokes of many kinds.

use super::*;

fn stroke(points: &[(f32, f32)]) -> Stroke {
    Stroke { points: points.iter().map(|&(x, y)| Point { x, y }).collect() }
}

/// A digit whose centre of mass is far from the middle of its box.
fn seven() -> Vec<Stroke> {
    vec![stroke(&[(0.0, 3.0), (40.0, 0.0), (15.0, 61.0)]), stroke(&[(12.0, 30.0), (38.0, 27.0)])]
}

fn moved(strokes: &[Stroke], scale: f32, right: f32, down: f32) -> Vec<Stroke> {
    let place = |point: &Point| Point { x: point.x * scale + right, y: point.y * scale + down };
    strokes.iter().map(|stroke| Stroke { points: stroke.points.iter().map(place).collect() }).collect()
}

/// Width and height of the inked area, in pixels.
fn extent(image: &[u8; IMAGE_PIXELS]) -> (usize, usize) {
    let length = |index: fn(usize) -> usize| {
        let inked = || (0..IMAGE_PIXELS).filter(|&pixel| image[pixel] > 0).map(index);
        inked().max().unwrap() - inked().min().unwrap() + 1
    };
    (length(|pixel| pixel % IMAGE_SIDE), length(|pixel| pixel / IMAGE_SIDE))
}

fn centre(image: &[u8; IMAGE_PIXELS]) -> (f64, f64) {
    let sum = |weight: fn(usize) -> usize| -> f64 {
        image.iter().enumerate().map(|(pixel, &ink)| weight(pixel) as f64 * f64::from(ink)).sum()
    };
    let mass = sum(|_| 1);
    (sum(|pixel| pixel % IMAGE_SIDE) / mass, sum(|pixel| pixel / IMAGE_SIDE) / mass)
}

fn mass(image: &[u8; IMAGE_PIXELS]) -> f64 {
    image.iter().map(|&ink| f64::from(ink) / 255.0).sum()
}

#[test]
fn strokes_without_ink_have_no_image() {
    assert_eq!(prepare(&[]), None);
    assert_eq!(prepare(&[Stroke::default()]), None);
    assert_eq!(prepare(&[stroke(&[(f32::NAN, 1.0), (1.0, f32::INFINITY)])]), None);
}

#[test]
fn ink_fills_the_box_and_is_centred() {
    for strokes in
        [seven(), vec![stroke(&[(0.0, 0.0), (9.0, 1.0), (9.5, 4.0)])], vec![stroke(&[(5.0, 0.0), (5.0, 9.0)])]]
    {
        let image = prepare(&strokes).unwrap();
        let (width, height) = extent(&image);
        assert_eq!(width.max(height), BOX);
        let (x, y) = centre(&image);
        assert!((x - 14.0).abs() <= 0.5 && (y - 14.0).abs() <= 0.5, "{x} {y}");
    }
}

#[test]
fn size_and_position_of_a_drawing_do_not_matter() {
    let image = prepare(&seven()).unwrap();
    for (scale, right, down) in [(1.0, 300.0, -200.0), (0.25, 0.0, 0.0), (64.0, -4096.0, 0.0), (0.5, 7.0, 1000.0)] {
        assert_eq!(prepare(&moved(&seven(), scale, right, down)).unwrap(), image, "{scale} {right} {down}");
    }
}

#[test]
fn a_line_has_the_area_of_its_pen() {
    let radius = f64::from(PEN_WIDTH) / 2.0;
    let length = BOX as f64 - 2.0 * radius;
    let area = length * 2.0 * radius + std::f64::consts::PI * radius * radius;
    for end in [(0.0, 80.0), (80.0, 0.0)] {
        let image = prepare(&[stroke(&[(0.0, 0.0), end])]).unwrap();
        assert!((mass(&image) / area - 1.0).abs() < 0.03, "{} {area}", mass(&image));
    }
    let slanted = prepare(&[stroke(&[(0.0, 0.0), (80.0, 80.0)])]).unwrap();
    let area = area + (2_f64.sqrt() - 1.0) * length * 2.0 * radius;
    assert!((mass(&slanted) / area - 1.0).abs() < 0.02, "{} {area}", mass(&slanted));
}

#[test]
fn partly_covered_pixels_are_grey() {
    let row_of_a_line = |width| {
        let image = render(&[stroke(&[(0.0, 0.0), (0.0, 5.0)])], width).unwrap();
        image[14 * IMAGE_SIDE..][..IMAGE_SIDE].iter().copied().filter(|&ink| ink > 0).collect::<Vec<u8>>()
    };
    assert_eq!(row_of_a_line(3.0), [255, 255, 255]);
    // The line begins at a pixel's edge and ends in the middle of the third pixel.
    assert_eq!(row_of_a_line(2.5), [255, 255, 127]);
}

#[test]
fn a_single_point_is_a_dot_in_the_middle() {
    for position in [(0.0, 0.0), (-1e30, 1e-30), (f32::MAX, f32::MIN)] {
        let image = prepare(&[stroke(&[position])]).unwrap();
        assert_eq!(image, prepare(&[stroke(&[position; 5])]).unwrap());
        let radius = f64::from(PEN_WIDTH) / 2.0;
        assert!((mass(&image) - std::f64::consts::PI * radius * radius).abs() < 0.2);
        assert!(image[14 * IMAGE_SIDE + 14] > 200);
    }
}

#[test]
fn points_that_are_not_finite_are_ignored() {
    let finite = prepare(&[stroke(&[(0.0, 0.0), (3.0, 9.0)])]);
    let mixed = [(0.0, 0.0), (f32::NAN, 4.0), (f32::INFINITY, 4.0), (2.0, f32::NEG_INFINITY), (3.0, 9.0)];
    assert_eq!(prepare(&[stroke(&mixed), Stroke::default()]), finite);
}

#[test]
fn drawings_of_any_magnitude_are_scaled() {
    let wide = prepare(&[stroke(&[(f32::MIN, f32::MIN), (f32::MAX, f32::MAX)])]).unwrap();
    let tiny = f32::from_bits(1);
    assert_eq!(prepare(&[stroke(&[(0.0, 0.0), (tiny, tiny)])]).unwrap(), wide);
    assert_eq!(extent(&wide), (BOX, BOX));
}

#[test]
fn a_pen_of_any_width_stays_in_the_box() {
    for width in [f32::NAN, f32::INFINITY, -1.0, 0.0, 0.1, 1.0, 4.0, 10.0, 100.0] {
        let (columns, rows) = extent(&render(&seven(), width).unwrap());
        assert!(columns <= BOX && rows == BOX, "{width}: {columns} × {rows}");
    }
}

#[test]
fn ink_at_one_end_stays_on_the_image() {
    // Nearly all the mass is at the top of a long thin line.
    let mut blot = vec![stroke(&[(0.0, 0.0), (0.0, 100.0)])];
    blot.extend((0..30).map(|row| stroke(&[(0.0, row as f32), (60.0, row as f32)])));
    let image = prepare(&blot).unwrap();
    let whole = render(&moved(&blot, 3.0, 0.0, 0.0), PEN_WIDTH).unwrap();
    assert_eq!((extent(&image).1, image), (BOX, whole));
}

#[test]
fn ten_thousand_points_render_like_two_hundred() {
    let circle = |n: usize| {
        let angle = |index: usize| index as f32 / (n - 1) as f32 * std::f32::consts::TAU;
        let points: Vec<_> = (0..n).map(|index| (angle(index).cos() * 100.0, angle(index).sin() * 70.0)).collect();
        prepare(&[stroke(&points)]).unwrap()
    };
    let (few, many) = (circle(200), circle(10_000));
    let difference: u32 = few.iter().zip(&many).map(|(&a, &b)| u32::from(a.abs_diff(b))).sum();
    assert!(difference < 255 * 2, "{difference}");
}
