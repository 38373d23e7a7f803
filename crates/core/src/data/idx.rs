//! Parses IDX files, the format of MNIST, gzipped or not: bytes to images and labels. It never opens a file and never
//! panics on damaged bytes; every defect is an [`IdxError`].
//!
//! An IDX file is a header of big-endian numbers (two zero bytes, the element type, the rank, one 32-bit size per
//! dimension), then the elements.

mod error;

use std::borrow::Cow;
use std::io::Read;

pub use error::{IdxError, Part};
use flate2::read::MultiGzDecoder;

use super::Split;
use crate::spec::{IMAGE_PIXELS, IMAGE_SIDE, N_CLASSES};

/// Largest size of an unpacked file, in bytes: more than twice the largest MNIST-like set of digits (EMNIST, 240,000
/// images), and small enough for the memory of a browser tab.
pub const MAX_BYTES: usize = 1 << 29;

/// The first two bytes of a gzipped file.
const GZIP_MAGIC: [u8; 2] = [0x1f, 0x8b];
/// The element type of MNIST: unsigned bytes.
const UNSIGNED_BYTE: u8 = 0x08;
/// Number of header bytes before the sizes: two zeros, the element type, the rank.
pub(super) const PREFIX: usize = 4;

impl Split {
    /// Parses a pair of IDX files, each gzipped or not.
    ///
    /// # Errors
    /// The first defect of either file, or [`IdxError::Disagree`].
    pub fn from_idx(image_file: &[u8], label_file: &[u8]) -> Result<Self, IdxError> {
        let (images, labels) = (images(image_file)?, labels(label_file)?);
        let n_images = images.len() / IMAGE_PIXELS;
        if n_images != labels.len() {
            return Err(IdxError::Disagree { offset: PREFIX, expected: n_images, found: labels.len() });
        }
        Ok(Self { images, labels })
    }
}

/// The pixels of an image file, gzipped or not: 784 bytes per image, row by row, at least one image.
///
/// # Errors
/// The first defect of the file. Images that are not 28×28 are refused.
pub fn images(file: &[u8]) -> Result<Vec<u8>, IdxError> {
    elements(Part::Images, unpack(file)?)
}

/// The labels of a label file, gzipped or not: one byte each, 0 to 9, at least one label.
///
/// # Errors
/// The first defect of the file; [`IdxError::Label`] for the first label above 9.
pub fn labels(file: &[u8]) -> Result<Vec<u8>, IdxError> {
    let labels = elements(Part::Labels, unpack(file)?)?;
    let highest = (N_CLASSES - 1) as u8;
    match labels.iter().position(|&label| label > highest) {
        None => Ok(labels),
        Some(index) => {
            let offset = header_bytes(Part::Labels) + index;
            Err(IdxError::Label { index, offset, expected: highest, found: labels[index] })
        }
    }
}

/// Whether a file is gzipped, by its first two bytes.
pub fn is_packed(file: &[u8]) -> bool {
    file.starts_with(&GZIP_MAGIC)
}

/// The unpacked bytes of a file: the content of a gzip stream, or the bytes themselves when they are not gzipped.
///
/// # Errors
/// [`IdxError::Gzip`] for a damaged stream, [`IdxError::TooLarge`] for one that unpacks to more than [`MAX_BYTES`].
pub fn unpack(file: &[u8]) -> Result<Cow<'_, [u8]>, IdxError> {
    unpack_within(file, MAX_BYTES)
}

fn unpack_within(file: &[u8], max_bytes: usize) -> Result<Cow<'_, [u8]>, IdxError> {
    if !is_packed(file) {
        return Ok(Cow::Borrowed(file));
    }
    let mut unpacked = Vec::with_capacity(declared_bytes(file).min(max_bytes));
    let read = MultiGzDecoder::new(file).take(max_bytes as u64 + 1).read_to_end(&mut unpacked);
    if unpacked.len() > max_bytes {
        return Err(IdxError::TooLarge { offset: max_bytes, expected: max_bytes });
    }
    match read {
        Ok(_) => Ok(Cow::Owned(unpacked)),
        Err(error) => {
            let offset = unpacked.len();
            Err(IdxError::Gzip { offset, expected: "a whole gzip stream", found: error.to_string() })
        }
    }
}

/// The unpacked size that the last four bytes of a gzip file declare, limited to what deflate can reach.
fn declared_bytes(file: &[u8]) -> usize {
    /// Highest compression ratio of deflate.
    const HIGHEST_RATIO: usize = 1032;
    let declared = file.last_chunk().map_or(0, |&bytes| u32::from_le_bytes(bytes) as usize);
    declared.min(file.len().saturating_mul(HIGHEST_RATIO))
}

/// Number of bytes before the first element.
fn header_bytes(part: Part) -> usize {
    PREFIX + 4 * part.rank() as usize
}

/// Checks the header and returns the elements after it.
fn elements(part: Part, file: Cow<'_, [u8]>) -> Result<Vec<u8>, IdxError> {
    check_prefix(part, &file)?;
    check_length(part, &file)?;
    let mut bytes = file.into_owned();
    bytes.drain(..header_bytes(part));
    Ok(bytes)
}

fn check_prefix(part: Part, file: &[u8]) -> Result<(), IdxError> {
    let &[first, second, element, rank] =
        file.first_chunk().ok_or_else(|| truncated(part, header_bytes(part), file))?;
    let zeros = u16::from_be_bytes([first, second]);
    if zeros != 0 {
        return Err(IdxError::Magic { part, offset: 0, expected: 0, found: zeros });
    }
    if element != UNSIGNED_BYTE {
        return Err(IdxError::ElementType { part, offset: 2, expected: UNSIGNED_BYTE, found: element });
    }
    if rank != part.rank() {
        return Err(IdxError::Rank { part, offset: 3, expected: part.rank(), found: rank });
    }
    Ok(())
}

/// Checks that the sizes are within [`MAX_BYTES`], are those of 28×28 images, and match the length of the file.
fn check_length(part: Part, file: &[u8]) -> Result<(), IdxError> {
    let header = file.get(PREFIX..header_bytes(part)).ok_or_else(|| truncated(part, header_bytes(part), file))?;
    let sizes: Vec<usize> = header.as_chunks().0.iter().map(|&size| u32::from_be_bytes(size) as usize).collect();
    // The product of three 32-bit sizes always fits into 128 bits.
    let n_bytes: u128 = sizes.iter().map(|&size| size as u128).product();
    if n_bytes > MAX_BYTES as u128 {
        return Err(IdxError::Overflow { part, offset: PREFIX, expected: MAX_BYTES, found: n_bytes });
    }
    for (index, &side) in sizes.iter().enumerate().skip(1) {
        if side != IMAGE_SIDE {
            return Err(IdxError::Side { offset: PREFIX + 4 * index, expected: IMAGE_SIDE, found: side });
        }
    }
    if sizes[0] == 0 {
        return Err(IdxError::Empty { part, offset: PREFIX, expected: 1, found: 0 });
    }
    check_end(part, file, sizes[0], n_bytes as usize)
}

fn check_end(part: Part, file: &[u8], count: usize, n_bytes: usize) -> Result<(), IdxError> {
    let payload = file.len() - header_bytes(part);
    if payload == n_bytes {
        return Ok(());
    }
    // A whole number of images, but another than declared: the header is wrong, not the end of the file.
    if part == Part::Images && payload > 0 && payload.is_multiple_of(IMAGE_PIXELS) {
        let expected = payload / IMAGE_PIXELS;
        return Err(IdxError::Count { part, offset: PREFIX, expected, found: count });
    }
    let expected = header_bytes(part) + n_bytes;
    if payload < n_bytes {
        return Err(truncated(part, expected, file));
    }
    Err(IdxError::Trailing { part, offset: expected, expected, found: file.len() })
}

fn truncated(part: Part, expected: usize, file: &[u8]) -> IdxError {
    IdxError::Truncated { part, offset: file.len(), expected, found: file.len() }
}

#[cfg(test)]
mod tests {
    use super::*;
    use flate2::{Compression, write::GzEncoder};
    use std::io::Write;

    fn gzip(bytes: &[u8]) -> Vec<u8> {
        let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
        encoder.write_all(bytes).unwrap();
        encoder.finish().unwrap()
    }

    #[test]
    fn a_gzip_bomb_is_stopped_at_the_limit() {
        let bomb = gzip(&vec![0; 10_000_000]);
        assert!(bomb.len() < 100_000);
        let error = unpack_within(&bomb, 1 << 20).unwrap_err();
        assert_eq!(error, IdxError::TooLarge { offset: 1 << 20, expected: 1 << 20 });
        assert_eq!(unpack_within(&bomb, 10_000_000).unwrap().len(), 10_000_000);
    }

    #[test]
    fn a_wrong_gzip_trailer_reserves_no_memory() {
        let mut packed = gzip(b"few");
        let last = packed.len() - 4;
        packed[last..].copy_from_slice(&[0xff; 4]);
        assert!(declared_bytes(&packed) < 100_000);
        assert!(matches!(unpack(&packed), Err(IdxError::Gzip { .. })));
    }

    #[test]
    fn members_of_a_gzip_file_are_concatenated() {
        let packed = [gzip(b"one "), gzip(b"two")].concat();
        assert_eq!(unpack(&packed).unwrap().as_ref(), b"one two");
    }
}
