//! The four files of MNIST: names, sizes, checksums and download hosts. It never downloads or opens one.

use sha2::{Digest, Sha256};

use super::idx::{self, IdxError};
use super::{Dataset, Split};
use crate::spec::{DatasetId, IMAGE_PIXELS};

/// Base URLs from which the gzipped files can be downloaded; append [`MnistFile::packed_name`].
pub const HOSTS: [&str; 2] =
    ["https://ossci-datasets.s3.amazonaws.com/mnist/", "https://storage.googleapis.com/cvdf-datasets/mnist/"];

/// One of the four files of LeCun, Cortes and Burges.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MnistFile {
    /// The name of the unpacked file.
    pub name: &'static str,
    /// The name of the gzipped file, on disk and on every host.
    pub packed_name: &'static str,
    /// Length of the unpacked file, in bytes.
    pub n_bytes: usize,
    /// SHA-256 of the unpacked bytes, in lowercase hexadecimal digits.
    pub sha256: &'static str,
}

/// Number of training images.
pub const N_TRAIN: usize = 60_000;
/// Number of test images.
pub const N_TEST: usize = 10_000;

/// Training images, training labels, test images, test labels, in this order.
pub const FILES: [MnistFile; 4] = [
    MnistFile {
        name: "train-images-idx3-ubyte",
        packed_name: "train-images-idx3-ubyte.gz",
        n_bytes: 16 + N_TRAIN * IMAGE_PIXELS,
        sha256: "ba891046e6505d7aadcbbe25680a0738ad16aec93bde7f9b65e87a2fc25776db",
    },
    MnistFile {
        name: "train-labels-idx1-ubyte",
        packed_name: "train-labels-idx1-ubyte.gz",
        n_bytes: 8 + N_TRAIN,
        sha256: "65a50cbbf4e906d70832878ad85ccda5333a97f0f4c3dd2ef09a8a9eef7101c5",
    },
    MnistFile {
        name: "t10k-images-idx3-ubyte",
        packed_name: "t10k-images-idx3-ubyte.gz",
        n_bytes: 16 + N_TEST * IMAGE_PIXELS,
        sha256: "0fa7898d509279e482958e8ce81c8e77db3f2f8254e26661ceb7762c4d494ce7",
    },
    MnistFile {
        name: "t10k-labels-idx1-ubyte",
        packed_name: "t10k-labels-idx1-ubyte.gz",
        n_bytes: 8 + N_TEST,
        sha256: "ff7bcfd416de33731a308c3f266cc351222c34898ecbeaf847f06e48f7ec33f2",
    },
];

/// Why a file is not the MNIST file that its name says.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum MnistError {
    /// The unpacked file has another length.
    #[error("{name} is {found} bytes long when unpacked, expected {expected}; download it again")]
    Length {
        /// Name of the unpacked file.
        name: &'static str,
        /// Expected length, in bytes.
        expected: usize,
        /// Actual length, in bytes.
        found: usize,
    },
    /// The unpacked file has another SHA-256.
    #[error("{name} has the SHA-256 {found}, expected {expected}; it is not the original file: download it again")]
    Checksum {
        /// Name of the unpacked file.
        name: &'static str,
        /// Expected SHA-256, in hexadecimal.
        expected: &'static str,
        /// Actual SHA-256, in hexadecimal.
        found: String,
    },
    /// The file does not unpack or parse.
    #[error("{name}: {error}")]
    Idx {
        /// Name of the unpacked file.
        name: &'static str,
        /// The error in the file.
        error: IdxError,
    },
}

/// Checks unpacked bytes against the length and SHA-256 of the original file.
///
/// # Errors
/// [`MnistError::Length`] or [`MnistError::Checksum`].
pub fn verify(file: &MnistFile, unpacked: &[u8]) -> Result<(), MnistError> {
    let name = file.name;
    if unpacked.len() != file.n_bytes {
        return Err(MnistError::Length { name, expected: file.n_bytes, found: unpacked.len() });
    }
    let found: String = Sha256::digest(unpacked).iter().map(|byte| format!("{byte:02x}")).collect();
    if found != file.sha256 {
        return Err(MnistError::Checksum { name, expected: file.sha256, found });
    }
    Ok(())
}

/// Unpacks one of the files, gzipped or not, and checks it with [`verify`].
///
/// # Errors
/// When the gzip data is damaged, or the content is not that of the original file.
pub fn unpack(file: &MnistFile, bytes: &[u8]) -> Result<Vec<u8>, MnistError> {
    let unpacked = idx::unpack(bytes).map_err(|error| MnistError::Idx { name: file.name, error })?;
    verify(file, &unpacked)?;
    Ok(unpacked.into_owned())
}

/// Builds the data set from the four unpacked files, in the order of [`FILES`].
///
/// # Errors
/// When a file does not parse. A file that passed [`verify`] always parses.
pub fn dataset(unpacked: &[Vec<u8>; 4]) -> Result<Dataset, MnistError> {
    let [train_images, train_labels, test_images, test_labels] = unpacked;
    let split = |images, labels, file: &MnistFile| {
        Split::from_idx(images, labels).map_err(|error| MnistError::Idx { name: file.name, error })
    };
    Ok(Dataset {
        id: DatasetId::Mnist,
        train: split(train_images, train_labels, &FILES[0])?,
        validation: None,
        test: split(test_images, test_labels, &FILES[2])?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const ABC: MnistFile = MnistFile {
        name: "abc",
        packed_name: "abc.gz",
        n_bytes: 3,
        // The first test vector of FIPS 180-2.
        sha256: "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad",
    };

    #[test]
    fn the_original_bytes_pass() {
        assert_eq!(verify(&ABC, b"abc"), Ok(()));
    }

    #[test]
    fn wrong_bytes_are_refused() {
        assert_eq!(verify(&ABC, b"ab"), Err(MnistError::Length { name: "abc", expected: 3, found: 2 }));
        assert!(matches!(verify(&ABC, b"abd"), Err(MnistError::Checksum { name: "abc", .. })));
    }

    #[test]
    fn sizes_match_the_image_counts_of_mnist() {
        assert_eq!(FILES.map(|file| file.n_bytes), [47_040_016, 60_008, 7_840_016, 10_008]);
        assert!(FILES.iter().all(|file| file.sha256.len() == 64 && file.packed_name == format!("{}.gz", file.name)));
    }
}
