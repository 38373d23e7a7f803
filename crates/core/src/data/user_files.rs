//! User data sets: two or four IDX files, assigned to their roles by content and by name. It never opens a file.
//!
//! The header of a file says whether it holds images or labels. Of two pairs, the names say which one is for training
//! (`train` against `t10k` or `test`); where they do not, the larger pair is.

#[cfg(test)]
mod tests;

use super::idx::{self, IdxError, PREFIX};
use super::{Dataset, Split};
use crate::spec::{DatasetId, IMAGE_PIXELS};

/// The rank of a label file.
const RANK_OF_LABELS: u8 = 1;

/// Why files are not a data set. Each message names the file and a remedy.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum UserFilesError {
    /// Fewer than two files.
    #[error("{found} of the files came where images and their labels are needed; drop two or four IDX files together")]
    TooFew {
        /// Number of files.
        found: usize,
    },
    /// More than four files.
    #[error(
        "{found} files were given, but at most four can be used; drop the images and labels to train on and to test on"
    )]
    TooMany {
        /// Number of files.
        found: usize,
    },
    /// A file without an IDX header.
    #[error("{name} is not an IDX file; drop files whose names end in -ubyte or -ubyte.gz, and nothing else")]
    NotIdx {
        /// Name of the file.
        name: String,
    },
    /// A damaged IDX file.
    #[error("{name}: {error}")]
    Idx {
        /// Name of the file.
        name: String,
        /// The defect.
        error: IdxError,
    },
    /// An image file without a label file.
    #[error("{name} holds images, but there are no labels for them; drop its label file too")]
    NoLabels {
        /// Name of the image file.
        name: String,
    },
    /// A label file without an image file.
    #[error("{name} holds labels, but there are no images for them; drop its image file too")]
    NoImages {
        /// Name of the label file.
        name: String,
    },
    /// A pair with different numbers of images and labels.
    #[error("{images} holds {n_images} images, but {labels} holds {n_labels} labels; drop files that belong together")]
    Disagree {
        /// Name of the image file.
        images: String,
        /// Number of images.
        n_images: usize,
        /// Name of the label file.
        labels: String,
        /// Number of labels.
        n_labels: usize,
    },
    /// Two pairs of the same size whose names do not say which labels belong to which images.
    #[error(
        "{first} and {second} hold equally many images, and their names do not say which labels belong to which; name the files train-… and t10k-…"
    )]
    Ambiguous {
        /// Name of one image file.
        first: String,
        /// Name of the other image file.
        second: String,
    },
    /// A single pair with too few images for a test split.
    #[error(
        "{name} holds {found} images, too few to keep a tenth for the test; drop a second pair of files to test on"
    )]
    TooFewImages {
        /// Name of the image file.
        name: String,
        /// Number of images.
        found: usize,
    },
}

/// Builds a data set from two or four files, given by name and bytes, gzipped or not, in any order. Of a single pair a
/// tenth becomes the test split, always the same tenth.
///
/// # Errors
/// The first problem found, with the name of the file.
pub fn dataset(files: &[(String, Vec<u8>)]) -> Result<Dataset, UserFilesError> {
    match files.len() {
        found @ 0..2 => return Err(UserFilesError::TooFew { found }),
        found @ 5.. => return Err(UserFilesError::TooMany { found }),
        _ => {}
    }
    let (mut images, mut labels) = (Vec::new(), Vec::new());
    for (name, bytes) in files {
        let (holds, file) = read(name, bytes)?;
        if holds == Holds::Images { images.push(file) } else { labels.push(file) }
    }
    let (train, test) = match (images.len(), labels.len()) {
        (1, 1) => single(images.remove(0), labels.remove(0))?,
        (2, 2) => two([images.remove(0), images.remove(0)], [labels.remove(0), labels.remove(0)])?,
        (n_images, n_labels) if n_images > n_labels => {
            return Err(UserFilesError::NoLabels { name: unpaired(images, &labels) });
        }
        _ => return Err(UserFilesError::NoImages { name: unpaired(labels, &images) }),
    };
    Ok(Dataset { id: DatasetId::UserFiles, train, validation: None, test })
}

/// What a file holds, by its header.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Holds {
    Images,
    Labels,
}

/// What a file is for, by its name.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Purpose {
    Training,
    Testing,
}

impl Purpose {
    /// `None` for a name that says neither purpose, or both.
    fn of(name: &str) -> Option<Self> {
        let name = name.to_lowercase();
        match (name.contains("train"), name.contains("t10k") || name.contains("test")) {
            (true, false) => Some(Self::Training),
            (false, true) => Some(Self::Testing),
            _ => None,
        }
    }
}

/// A parsed file.
struct File {
    name: String,
    /// The elements after the header.
    bytes: Vec<u8>,
    /// Number of images or labels.
    count: usize,
}

impl File {
    fn purpose(&self) -> Option<Purpose> {
        Purpose::of(&self.name)
    }
}

fn read(name: &str, packed: &[u8]) -> Result<(Holds, File), UserFilesError> {
    let with_name = |error| UserFilesError::Idx { name: name.into(), error };
    let unpacked = idx::unpack(packed).map_err(with_name)?;
    let Some(&[0, 0, _, rank]) = unpacked.first_chunk::<PREFIX>() else {
        return Err(UserFilesError::NotIdx { name: name.into() });
    };
    let file = |bytes: Vec<u8>, size: usize| File { name: name.into(), count: bytes.len() / size, bytes };
    if rank == RANK_OF_LABELS {
        Ok((Holds::Labels, file(idx::labels(&unpacked).map_err(with_name)?, 1)))
    } else {
        Ok((Holds::Images, file(idx::images(&unpacked).map_err(with_name)?, IMAGE_PIXELS)))
    }
}

/// The name of a file without a partner among `others`, the files of the other kind, of which there are fewer.
fn unpaired(files: Vec<File>, others: &[File]) -> String {
    let has_no_partner = |file: &&File| others.iter().all(|other| !match_each_other(file, other));
    let name = files.iter().find(has_no_partner).or(files.last()).map(|file| file.name.clone());
    name.unwrap_or_default()
}

/// Whether an image file and a label file can be a pair: equal counts and no contradiction in their names.
fn match_each_other(one: &File, other: &File) -> bool {
    one.count == other.count && !contradict(one, other)
}

/// Whether one name says training and the other says test.
fn contradict(one: &File, other: &File) -> bool {
    one.purpose().zip(other.purpose()).is_some_and(|(one, other)| one != other)
}

/// An image file with its label file.
struct Pair {
    images: File,
    labels: File,
}

impl Pair {
    fn check(self) -> Result<Self, UserFilesError> {
        let (n_images, n_labels) = (self.images.count, self.labels.count);
        if n_images == n_labels {
            return Ok(self);
        }
        Err(UserFilesError::Disagree { images: self.images.name, n_images, labels: self.labels.name, n_labels })
    }

    fn purpose(&self) -> Option<Purpose> {
        self.images.purpose().or(self.labels.purpose())
    }

    fn split(self) -> Split {
        Split { images: self.images.bytes, labels: self.labels.bytes }
    }
}

/// The training and test splits of a single pair.
fn single(images: File, labels: File) -> Result<(Split, Split), UserFilesError> {
    let pair = Pair { images, labels }.check()?;
    let (name, found) = (pair.images.name.clone(), pair.images.count);
    let (train, test) = pair.split().split_for_validation();
    if test.is_empty() { Err(UserFilesError::TooFewImages { name, found }) } else { Ok((train, test)) }
}

/// The training and test splits of two pairs.
fn two(images: [File; 2], labels: [File; 2]) -> Result<(Split, Split), UserFilesError> {
    let [first, second] = pairs(images, labels)?;
    let (first, second) = (first.check()?, second.check()?);
    let second_is_training = match (first.purpose(), second.purpose()) {
        (Some(one), Some(other)) if one == other => second.images.count > first.images.count,
        (Some(purpose), _) => purpose == Purpose::Testing,
        (None, Some(purpose)) => purpose == Purpose::Training,
        (None, None) => second.images.count > first.images.count,
    };
    let (train, test) = if second_is_training { (second, first) } else { (first, second) };
    Ok((train.split(), test.split()))
}

/// Pairs each image file with its label file, by counts and names. Where neither pairing matches, returns the more
/// likely one, so that the error can name its counts.
fn pairs(images: [File; 2], labels: [File; 2]) -> Result<[Pair; 2], UserFilesError> {
    let crossed = match (is_valid(&images, &labels, 0), is_valid(&images, &labels, 1)) {
        (true, true) => {
            let [first, second] = images.map(|file| file.name);
            return Err(UserFilesError::Ambiguous { first, second });
        }
        (false, false) => likely_crossed(&images, &labels),
        (_, crossed) => crossed,
    };
    let ([first, second], [mut first_labels, mut second_labels]) = (images, labels);
    if crossed {
        std::mem::swap(&mut first_labels, &mut second_labels);
    }
    Ok([Pair { images: first, labels: first_labels }, Pair { images: second, labels: second_labels }])
}

/// Whether both image files match the label files at the same index (`crossed` is 0) or at the other index (1).
fn is_valid(images: &[File; 2], labels: &[File; 2], crossed: usize) -> bool {
    (0..2).all(|index| match_each_other(&images[index], &labels[index ^ crossed]))
}

/// Whether the crossed pairing is more likely: by names where they decide, otherwise the larger files form one pair.
fn likely_crossed(images: &[File; 2], labels: &[File; 2]) -> bool {
    let contradicts = |crossed: usize| (0..2).any(|index| contradict(&images[index], &labels[index ^ crossed]));
    match (contradicts(0), contradicts(1)) {
        (false, false) | (true, true) => (images[0].count > images[1].count) != (labels[0].count > labels[1].count),
        (straight_contradicts, _) => straight_contradicts,
    }
}
