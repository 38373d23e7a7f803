//! What is wrong with an IDX file: which file of the pair, at which offset, and what to do. Parses nothing.

use std::fmt;

/// One file of an image-label pair.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Part {
    /// The image file.
    Images,
    /// The label file.
    Labels,
}

impl Part {
    /// Number of dimensions of such a file.
    pub(super) fn rank(self) -> u8 {
        match self {
            Self::Images => 3,
            Self::Labels => 1,
        }
    }
}

impl fmt::Display for Part {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Images => "image file",
            Self::Labels => "label file",
        })
    }
}

/// A defect of an IDX file. Offsets count unpacked bytes from the start of the file.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum IdxError {
    /// The first two bytes are not zeros.
    #[error(
        "the {part} is not an IDX file: at offset {offset} expected {expected:#06x}, found {found:#06x}; choose a file whose name ends in -ubyte or -ubyte.gz"
    )]
    Magic {
        /// The file.
        part: Part,
        /// Offset of the two bytes.
        offset: usize,
        /// Expected value: 0.
        expected: u16,
        /// The two bytes, as a big-endian number.
        found: u16,
    },
    /// The elements are not unsigned bytes.
    #[error(
        "the {part} holds elements of type {found:#04x} at offset {offset}, expected {expected:#04x} (unsigned bytes); convert it to bytes"
    )]
    ElementType {
        /// The file.
        part: Part,
        /// Offset of the element type.
        offset: usize,
        /// The code of unsigned bytes.
        expected: u8,
        /// The code in the header.
        found: u8,
    },
    /// Wrong number of dimensions.
    #[error(
        "the {part} has {found} dimensions at offset {offset}, expected {expected}; perhaps image and label file are swapped"
    )]
    Rank {
        /// The file.
        part: Part,
        /// Offset of the rank.
        offset: usize,
        /// Expected number of dimensions.
        expected: u8,
        /// Number of dimensions in the header.
        found: u8,
    },
    /// The header declares no images or labels.
    #[error("the {part} declares no elements at offset {offset}, expected at least {expected}; choose another file")]
    Empty {
        /// The file.
        part: Part,
        /// Offset of the first size.
        offset: usize,
        /// Smallest valid number of images or labels.
        expected: usize,
        /// Number of images or labels in the header.
        found: usize,
    },
    /// The header declares more than [`MAX_BYTES`](super::MAX_BYTES).
    #[error(
        "the {part} declares {found} bytes of elements at offset {offset}, expected at most {expected}; its header is damaged: download it again"
    )]
    Overflow {
        /// The file.
        part: Part,
        /// Offset of the first size.
        offset: usize,
        /// [`MAX_BYTES`](super::MAX_BYTES).
        expected: usize,
        /// Number of bytes that the sizes declare.
        found: u128,
    },
    /// The images are not 28×28.
    #[error(
        "the images are {found} pixels along the dimension at offset {offset}, expected {expected}; resize them to 28×28"
    )]
    Side {
        /// Offset of the size.
        offset: usize,
        /// Expected height or width, in pixels.
        expected: usize,
        /// Height or width in the header, in pixels.
        found: usize,
    },
    /// The file holds whole images, but not as many as its header declares.
    #[error(
        "the {part} declares {found} images at offset {offset}, but {expected} whole images follow; download it again or correct its header"
    )]
    Count {
        /// The file.
        part: Part,
        /// Offset of the number of images.
        offset: usize,
        /// Number of images in the file.
        expected: usize,
        /// Number of images in the header.
        found: usize,
    },
    /// The file ends too early.
    #[error(
        "the {part} ends at offset {offset}: expected {expected} bytes, found {found}; it is truncated: download it again"
    )]
    Truncated {
        /// The file.
        part: Part,
        /// Offset of the end of the file.
        offset: usize,
        /// Expected length, in bytes.
        expected: usize,
        /// Actual length, in bytes.
        found: usize,
    },
    /// Bytes follow the last element.
    #[error(
        "the {part} should end at offset {offset}: expected {expected} bytes, found {found}; something was appended: download it again"
    )]
    Trailing {
        /// The file.
        part: Part,
        /// Offset of the first extra byte.
        offset: usize,
        /// Expected length, in bytes.
        expected: usize,
        /// Actual length, in bytes.
        found: usize,
    },
    /// A label above 9.
    #[error("label {index} at offset {offset} is {found}, expected at most {expected}; labels must be 0 to 9")]
    Label {
        /// Index of the label, from 0.
        index: usize,
        /// Offset of the label.
        offset: usize,
        /// Largest valid label.
        expected: u8,
        /// The label.
        found: u8,
    },
    /// The two files hold different numbers of images and labels.
    #[error(
        "there are {expected} images but {found} labels (counted at offset {offset} of both files); choose two files that belong together"
    )]
    Disagree {
        /// Offset of the number of images or labels in either file.
        offset: usize,
        /// Number of images.
        expected: usize,
        /// Number of labels.
        found: usize,
    },
    /// The gzip stream is damaged.
    #[error(
        "the gzip data is damaged after {offset} unpacked bytes: expected {expected}, found: {found}; download the file again"
    )]
    Gzip {
        /// Number of bytes unpacked before the damage.
        offset: usize,
        /// What was expected, in words.
        expected: &'static str,
        /// The error of the decoder.
        found: String,
    },
    /// The gzip stream unpacks to more than [`MAX_BYTES`](super::MAX_BYTES).
    #[error(
        "the gzip data unpacks beyond offset {offset}: expected at most {expected} bytes, found more; it is not an MNIST-like file"
    )]
    TooLarge {
        /// Offset of the first byte too many.
        offset: usize,
        /// Largest size, in bytes.
        expected: usize,
    },
}
