//! User data sets: valid files, and each kind of error.

use std::io::Write;

use flate2::{Compression, write::GzEncoder};

use super::*;

/// An image file whose pixels all have the same value.
fn images(name: &str, n_images: usize, shade: u8) -> (String, Vec<u8>) {
    let sizes = [n_images as u32, 28, 28].map(u32::to_be_bytes).concat();
    (name.into(), [vec![0, 0, 8, 3], sizes, vec![shade; n_images * IMAGE_PIXELS]].concat())
}

fn labels(name: &str, n_labels: usize, label: u8) -> (String, Vec<u8>) {
    (name.into(), [vec![0, 0, 8, 1], (n_labels as u32).to_be_bytes().to_vec(), vec![label; n_labels]].concat())
}

fn gzipped((name, bytes): (String, Vec<u8>)) -> (String, Vec<u8>) {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
    encoder.write_all(&bytes).unwrap();
    (format!("{name}.gz"), encoder.finish().unwrap())
}

/// For the training and the test split: the number of images, and the shade and label of the first one.
fn splits(files: &[(String, Vec<u8>)]) -> [(usize, u8, u8); 2] {
    let dataset = dataset(files).unwrap();
    assert_eq!((dataset.id, dataset.validation), (DatasetId::UserFiles, None));
    [dataset.train, dataset.test].map(|split| (split.len(), split.images[0], split.labels[0]))
}

fn error(files: &[(String, Vec<u8>)]) -> String {
    dataset(files).unwrap_err().to_string()
}

fn fashion() -> Vec<(String, Vec<u8>)> {
    vec![
        images("train-images-idx3-ubyte", 30, 1),
        labels("train-labels-idx1-ubyte", 30, 2),
        images("t10k-images-idx3-ubyte", 20, 3),
        labels("t10k-labels-idx1-ubyte", 20, 4),
    ]
}

#[test]
fn four_files_are_recognised_in_any_order_gzipped_or_not() {
    for turn in 0..4 {
        let mut files = fashion();
        files.rotate_left(turn);
        assert_eq!(splits(&files), [(30, 1, 2), (20, 3, 4)]);
        files.swap(0, 3);
        let packed: Vec<_> = files.into_iter().map(gzipped).collect();
        assert_eq!(splits(&packed), [(30, 1, 2), (20, 3, 4)]);
    }
}

#[test]
fn names_take_precedence_over_counts() {
    let files = [images("TEST_x", 30, 3), labels("a", 20, 2), images("b", 20, 1), labels("c", 30, 4)];
    assert_eq!(splits(&files), [(20, 1, 2), (30, 3, 4)]);
    let same = [images("test-x", 20, 3), labels("train-y", 20, 2), labels("test-y", 20, 4), images("train-x", 20, 1)];
    assert_eq!(splits(&same), [(20, 1, 2), (20, 3, 4)]);
}

#[test]
fn without_clear_names_the_larger_pair_is_for_training() {
    let files = [images("a", 20, 3), labels("b", 30, 2), images("c", 30, 1), labels("d", 20, 4)];
    assert_eq!(splits(&files), [(30, 1, 2), (20, 3, 4)]);
}

#[test]
fn a_tenth_of_a_single_pair_becomes_the_test_split() {
    assert_eq!(splits(&[labels("y", 30, 2), images("x", 30, 1)]), [(27, 1, 2), (3, 1, 2)]);
    let few = error(&[labels("y", 3, 2), images("x", 3, 1)]);
    assert!(few.starts_with("x holds 3 images, too few"), "{few}");
}

#[test]
fn too_few_and_too_many_files_are_refused() {
    assert_eq!(dataset(&[]), Err(UserFilesError::TooFew { found: 0 }));
    assert_eq!(dataset(&fashion()[..1]), Err(UserFilesError::TooFew { found: 1 }));
    let five = [fashion(), fashion()[..1].to_vec()].concat();
    assert_eq!(dataset(&five), Err(UserFilesError::TooMany { found: 5 }));
}

#[test]
fn a_file_that_is_not_idx_is_named() {
    for bytes in [b"PK\x03\x04 zip".to_vec(), vec![], vec![0, 0]] {
        let mut files = fashion();
        files[2] = ("readme.txt".into(), bytes);
        assert_eq!(dataset(&files), Err(UserFilesError::NotIdx { name: "readme.txt".into() }));
    }
}

#[test]
fn files_without_a_partner_are_named() {
    let error_of = |given: &[usize]| error(&given.iter().map(|&index| fashion()[index].clone()).collect::<Vec<_>>());
    assert!(error_of(&[0, 2]).starts_with("train-images-idx3-ubyte holds images, but there are no labels"));
    assert!(error_of(&[0, 1, 2]).starts_with("t10k-images-idx3-ubyte holds images, but there are no labels"));
    assert!(error_of(&[3, 0, 1]).starts_with("t10k-labels-idx1-ubyte holds labels, but there are no images"));
    assert!(error_of(&[1, 3]).ends_with("drop its image file too"));
}

#[test]
fn an_error_about_counts_names_both_files() {
    let mut files = fashion();
    files[3] = labels("t10k-labels", 19, 4);
    let expected = "t10k-images-idx3-ubyte holds 20 images, but t10k-labels holds 19 labels";
    assert!(error(&files).starts_with(expected), "{}", error(&files));
    let crossed =
        [images("train-x", 30, 1), labels("train-y", 20, 1), images("test-x", 20, 1), labels("test-y", 30, 1)];
    assert!(error(&crossed).starts_with("train-x holds 30 images, but train-y holds 20 labels"));
    let single = error(&[images("x", 30, 1), labels("y", 29, 1)]);
    assert!(single.starts_with("x holds 30 images, but y holds 29 labels"), "{single}");
}

#[test]
fn equal_counts_without_clear_names_are_ambiguous() {
    let files = [images("a", 20, 1), images("b", 20, 2), labels("c", 20, 1), labels("d", 20, 2)];
    assert!(error(&files).starts_with("a and b hold equally many images"));
}

#[test]
fn an_error_within_a_file_names_the_file() {
    let mut files = fashion();
    files[1] = labels("train-labels", 30, 10);
    assert!(error(&files).starts_with("train-labels: label 0 at offset 8 is 10, expected at most 9"));
    files[1].1.truncate(12);
    assert!(error(&files).starts_with("train-labels: the label file ends at offset 12"));
    let mut files = fashion();
    files[0].1[7 + 4] = 32;
    assert!(error(&files).contains("resize them to 28×28"), "{}", error(&files));
    let mut damaged = gzipped(images("train-images", 30, 1));
    damaged.1.truncate(20);
    assert!(error(&[damaged, labels("y", 30, 1)]).starts_with("train-images.gz: the gzip data is damaged"));
}
