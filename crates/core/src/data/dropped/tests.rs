//! Dropped files, right and wrong ones.

use std::io::Write;

use flate2::{Compression, write::GzEncoder};

use super::*;

/// Images that are all ink of one shade.
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

/// Images and the shade and label of the first, of both parts.
fn parts(files: &[(String, Vec<u8>)]) -> [(usize, u8, u8); 2] {
    let dataset = dataset(files).unwrap();
    assert_eq!((dataset.id, dataset.validation), (DatasetId::Dropped, None));
    [dataset.train, dataset.test].map(|split| (split.len(), split.images[0], split.labels[0]))
}

fn refusal(files: &[(String, Vec<u8>)]) -> String {
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
fn four_files_are_told_apart_in_any_order_gzipped_or_not() {
    for turn in 0..4 {
        let mut files = fashion();
        files.rotate_left(turn);
        assert_eq!(parts(&files), [(30, 1, 2), (20, 3, 4)]);
        files.swap(0, 3);
        let packed: Vec<_> = files.into_iter().map(gzipped).collect();
        assert_eq!(parts(&packed), [(30, 1, 2), (20, 3, 4)]);
    }
}

#[test]
fn names_decide_before_counts() {
    let files = [images("TEST_x", 30, 3), labels("a", 20, 2), images("b", 20, 1), labels("c", 30, 4)];
    assert_eq!(parts(&files), [(20, 1, 2), (30, 3, 4)]);
    let same = [images("test-x", 20, 3), labels("train-y", 20, 2), labels("test-y", 20, 4), images("train-x", 20, 1)];
    assert_eq!(parts(&same), [(20, 1, 2), (20, 3, 4)]);
}

#[test]
fn without_telling_names_the_larger_pair_trains() {
    let files = [images("a", 20, 3), labels("b", 30, 2), images("c", 30, 1), labels("d", 20, 4)];
    assert_eq!(parts(&files), [(30, 1, 2), (20, 3, 4)]);
}

#[test]
fn of_a_single_pair_a_tenth_is_kept_for_the_test() {
    assert_eq!(parts(&[labels("y", 30, 2), images("x", 30, 1)]), [(27, 1, 2), (3, 1, 2)]);
    let few = refusal(&[labels("y", 3, 2), images("x", 3, 1)]);
    assert!(few.starts_with("x holds 3 images, too few"), "{few}");
}

#[test]
fn the_number_of_files_is_told() {
    assert_eq!(dataset(&[]), Err(DroppedError::TooFew { found: 0 }));
    assert_eq!(dataset(&fashion()[..1]), Err(DroppedError::TooFew { found: 1 }));
    let five = [fashion(), fashion()[..1].to_vec()].concat();
    assert_eq!(dataset(&five), Err(DroppedError::TooMany { found: 5 }));
}

#[test]
fn what_is_no_idx_file_is_named() {
    for bytes in [b"PK\x03\x04 zip".to_vec(), vec![], vec![0, 0]] {
        let mut files = fashion();
        files[2] = ("readme.txt".into(), bytes);
        assert_eq!(dataset(&files), Err(DroppedError::NotIdx { name: "readme.txt".into() }));
    }
}

#[test]
fn files_that_lack_their_others_are_named() {
    let named = |kept: &[usize]| refusal(&kept.iter().map(|&index| fashion()[index].clone()).collect::<Vec<_>>());
    assert!(named(&[0, 2]).starts_with("train-images-idx3-ubyte holds images, but there are no labels"));
    assert!(named(&[0, 1, 2]).starts_with("t10k-images-idx3-ubyte holds images, but there are no labels"));
    assert!(named(&[3, 0, 1]).starts_with("t10k-labels-idx1-ubyte holds labels, but there are no images"));
    assert!(named(&[1, 3]).ends_with("drop its image file too"));
}

#[test]
fn counts_that_disagree_are_told_with_both_names() {
    let mut files = fashion();
    files[3] = labels("t10k-labels", 19, 4);
    let told = "t10k-images-idx3-ubyte holds 20 images, but t10k-labels holds 19 labels";
    assert!(refusal(&files).starts_with(told), "{}", refusal(&files));
    let crossed =
        [images("train-x", 30, 1), labels("train-y", 20, 1), images("test-x", 20, 1), labels("test-y", 30, 1)];
    assert!(refusal(&crossed).starts_with("train-x holds 30 images, but train-y holds 20 labels"));
    let single = refusal(&[images("x", 30, 1), labels("y", 29, 1)]);
    assert!(single.starts_with("x holds 30 images, but y holds 29 labels"), "{single}");
}

#[test]
fn equal_counts_and_silent_names_are_not_guessed_at() {
    let files = [images("a", 20, 1), images("b", 20, 2), labels("c", 20, 1), labels("d", 20, 2)];
    assert!(refusal(&files).starts_with("a and b hold as many images"));
}

#[test]
fn what_is_wrong_within_a_file_is_told_with_its_name() {
    let mut files = fashion();
    files[1] = labels("train-labels", 30, 10);
    assert!(refusal(&files).starts_with("train-labels: label 0 at offset 8 is 10, expected at most 9"));
    files[1].1.truncate(12);
    assert!(refusal(&files).starts_with("train-labels: the label file ends at offset 12"));
    let mut files = fashion();
    files[0].1[7 + 4] = 32;
    assert!(refusal(&files).contains("resize them to 28×28"), "{}", refusal(&files));
    let mut damaged = gzipped(images("train-images", 30, 1));
    damaged.1.truncate(20);
    assert!(refusal(&[damaged, labels("y", 30, 1)]).starts_with("train-images.gz: the gzip data is damaged"));
}
