//! Damaged IDX files: each kind of defect is its own error with its offset, and no image is returned.

use std::io::Write;

use flate2::Compression;
use flate2::write::GzEncoder;
use inkling_core::data::Split;
use inkling_core::data::idx::{self, IdxError, MAX_BYTES, Part};

const N_IMAGES: usize = 3;

/// A valid image file: three images, each of one shade.
fn image_file() -> Vec<u8> {
    let mut file = header(&[N_IMAGES as u32, 28, 28]);
    for shade in [0, 100, 255] {
        file.extend([shade; 784]);
    }
    file
}

/// A valid label file.
fn label_file() -> Vec<u8> {
    [header(&[N_IMAGES as u32]), vec![7, 0, 9]].concat()
}

fn header(sizes: &[u32]) -> Vec<u8> {
    let mut bytes = vec![0, 0, 8, sizes.len() as u8];
    bytes.extend(sizes.iter().flat_map(|size| size.to_be_bytes()));
    bytes
}

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::default());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

/// The file with some bytes replaced at an offset.
fn with(mut file: Vec<u8>, offset: usize, bytes: &[u8]) -> Vec<u8> {
    file[offset..][..bytes.len()].copy_from_slice(bytes);
    file
}

#[track_caller]
fn check_images(file: &[u8], expected: IdxError) {
    assert_eq!(idx::images(file), Err(expected.clone()));
    assert_eq!(idx::images(&gzip(file)), Err(expected.clone()), "gzipped");
    assert_eq!(Split::from_idx(file, &label_file()), Err(expected));
}

#[track_caller]
fn check_labels(file: &[u8], expected: IdxError) {
    assert_eq!(idx::labels(file), Err(expected.clone()));
    assert_eq!(idx::labels(&gzip(file)), Err(expected.clone()), "gzipped");
    assert_eq!(Split::from_idx(&image_file(), file), Err(expected));
}

#[test]
fn a_valid_pair_is_parsed_gzipped_or_not() {
    let plain = Split::from_idx(&image_file(), &label_file()).unwrap();
    assert_eq!(plain.labels, [7, 0, 9]);
    assert_eq!((plain.len(), plain.image(1)), (N_IMAGES, &[100; 784][..]));
    assert_eq!(Split::from_idx(&gzip(&image_file()), &gzip(&label_file())), Ok(plain));
}

#[test]
fn a_wrong_magic() {
    let part = Part::Images;
    let png = with(image_file(), 0, b"\x89PNG");
    check_images(&png, IdxError::Magic { part, offset: 0, expected: 0, found: 0x8950 });
    let floats = with(image_file(), 2, &[0x0d]);
    check_images(&floats, IdxError::ElementType { part, offset: 2, expected: 8, found: 0x0d });
}

#[test]
fn swapped_files() {
    check_images(&label_file(), IdxError::Rank { part: Part::Images, offset: 3, expected: 3, found: 1 });
    check_labels(&image_file(), IdxError::Rank { part: Part::Labels, offset: 3, expected: 1, found: 3 });
}

#[test]
fn a_wrong_count() {
    let part = Part::Images;
    let more = with(image_file(), 4, &4_u32.to_be_bytes());
    check_images(&more, IdxError::Count { part, offset: 4, expected: 3, found: 4 });
    let fewer = with(image_file(), 4, &2_u32.to_be_bytes());
    check_images(&fewer, IdxError::Count { part, offset: 4, expected: 3, found: 2 });
    check_images(&header(&[0, 28, 28]), IdxError::Empty { part, offset: 4, expected: 1, found: 0 });
    check_labels(&header(&[0]), IdxError::Empty { part: Part::Labels, offset: 4, expected: 1, found: 0 });
}

#[test]
fn a_truncated_file() {
    let whole = image_file();
    let cut = |part, length, expected| IdxError::Truncated { part, offset: length, expected, found: length };
    check_images(&whole[..whole.len() - 1], cut(Part::Images, whole.len() - 1, whole.len()));
    for length in [0, 1, 3, 4, 15] {
        check_images(&whole[..length], cut(Part::Images, length, 16));
    }
    check_images(&whole[..16], cut(Part::Images, 16, whole.len()));
    check_labels(&label_file()[..10], cut(Part::Labels, 10, 11));
    check_labels(&label_file()[..7], cut(Part::Labels, 7, 8));
}

#[test]
fn trailing_bytes() {
    let file = [image_file(), vec![0; 5]].concat();
    check_images(&file, IdxError::Trailing { part: Part::Images, offset: 2368, expected: 2368, found: 2373 });
    let file = [label_file(), vec![1]].concat();
    check_labels(&file, IdxError::Trailing { part: Part::Labels, offset: 11, expected: 11, found: 12 });
}

#[test]
fn images_and_labels_that_disagree() {
    let two_labels = [header(&[2]), vec![1, 2]].concat();
    assert_eq!(idx::labels(&two_labels), Ok(vec![1, 2]));
    let read = Split::from_idx(&image_file(), &two_labels);
    assert_eq!(read, Err(IdxError::Disagree { offset: 4, expected: 3, found: 2 }));
}

#[test]
fn a_label_over_nine() {
    let file = with(label_file(), 9, &[10]);
    check_labels(&file, IdxError::Label { index: 1, offset: 9, expected: 9, found: 10 });
}

#[test]
fn dimensions_that_overflow() {
    let part = Part::Images;
    for sizes in [[u32::MAX; 3], [u32::MAX, 28, 28], [684_785, 28, 28]] {
        let found = sizes.iter().map(|&size| u128::from(size)).product();
        let file = [header(&sizes), vec![0; 784]].concat();
        check_images(&file, IdxError::Overflow { part, offset: 4, expected: MAX_BYTES, found });
    }
    let found = u32::MAX.into();
    check_labels(
        &header(&[u32::MAX]),
        IdxError::Overflow { part: Part::Labels, offset: 4, expected: MAX_BYTES, found },
    );
}

#[test]
fn images_of_another_size() {
    let wide = [header(&[1, 28, 32]), vec![0; 28 * 32]].concat();
    check_images(&wide, IdxError::Side { offset: 12, expected: 28, found: 32 });
    let low = [header(&[1, 0, 28]), vec![]].concat();
    check_images(&low, IdxError::Side { offset: 8, expected: 28, found: 0 });
}

#[test]
fn damaged_gzip_data() {
    let packed = gzip(&image_file());
    for damaged in [&packed[..packed.len() - 1], &packed[..12], &packed[..2]] {
        assert!(matches!(idx::images(damaged), Err(IdxError::Gzip { .. })), "{} bytes", damaged.len());
    }
    let wrong_checksum = with(packed.clone(), packed.len() - 8, &[0; 4]);
    assert!(matches!(idx::images(&wrong_checksum), Err(IdxError::Gzip { .. })));
    let appended = [packed, b"more".to_vec()].concat();
    assert!(matches!(idx::images(&appended), Err(IdxError::Gzip { .. })));
}

#[test]
fn no_prefix_and_no_flipped_bit_panics() {
    for file in [image_file(), label_file(), gzip(&image_file()), gzip(&label_file())] {
        for length in 0..file.len() {
            assert!(idx::images(&file[..length]).is_err());
            assert!(idx::labels(&file[..length]).is_err());
        }
        for bit in 0..file.len().min(64) * 8 {
            let mut flipped = file.clone();
            flipped[bit / 8] ^= 1 << (bit % 8);
            // The result does not matter; it must not panic.
            let _ = (idx::images(&flipped), idx::labels(&flipped));
        }
    }
}

#[test]
fn messages_name_the_defect_and_a_remedy() {
    let message = idx::images(&label_file()).unwrap_err().to_string();
    assert!(message.contains("image file") && message.contains("offset 3") && message.contains("swapped"), "{message}");
    let message = idx::labels(&with(label_file(), 8, &[12])).unwrap_err().to_string();
    assert!(message.starts_with("label 0 at offset 8 is 12, expected at most 9"), "{message}");
}
