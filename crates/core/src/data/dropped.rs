//! Images that a person brings: two or four IDX files, told apart by content and by name. Never touches a file.
//!
//! Which file holds images and which holds labels is in their headers. Which of two pairs trains is in their names
//! (`train` against `t10k` or `test`), else in their counts: the larger pair trains.

#[cfg(test)]
mod tests;

use super::idx::{self, IdxError};
use super::{Dataset, Split};
use crate::spec::{DatasetId, IMAGE_PIXELS};

/// Bytes of a header that tell what a file holds: two zeros, the element type, the rank.
const PREFIX: usize = 4;
/// The rank of a file of labels.
const RANK_OF_LABELS: u8 = 1;

/// Why files cannot be learned from: which one, and what to do.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum DroppedError {
    #[error("{found} of the files came where images and their labels are needed; drop two or four IDX files together")]
    TooFew { found: usize },
    #[error("{found} files came where at most four can be used; drop images and labels to train on and to test on")]
    TooMany { found: usize },
    #[error("{name} is not an IDX file; drop files whose names end in -ubyte or -ubyte.gz, and nothing else")]
    NotIdx { name: String },
    #[error("{name}: {error}")]
    Idx { name: String, error: IdxError },
    #[error("{name} holds images, but there are no labels for them; drop its label file too")]
    NoLabels { name: String },
    #[error("{name} holds labels, but there are no images for them; drop its image file too")]
    NoImages { name: String },
    #[error("{images} holds {n_images} images, but {labels} holds {n_labels} labels; drop files that belong together")]
    Disagree { images: String, n_images: usize, labels: String, n_labels: usize },
    #[error(
        "{first} and {second} hold as many images, and their names do not tell which labels are whose; name the files train-… and t10k-…"
    )]
    Ambiguous { first: String, second: String },
    #[error(
        "{name} holds {found} images, too few to keep a tenth for the test; drop a second pair of files to test on"
    )]
    TooFewImages { name: String, found: usize },
}

/// The images and labels of two or four files, by name and bytes, gzipped or not, in any order. Of a single pair a
/// tenth is kept for the test, always the same.
///
/// # Errors
/// The first thing that is wrong, with the name of the file.
pub fn dataset(files: &[(String, Vec<u8>)]) -> Result<Dataset, DroppedError> {
    match files.len() {
        found @ 0..2 => return Err(DroppedError::TooFew { found }),
        found @ 5.. => return Err(DroppedError::TooMany { found }),
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
            return Err(DroppedError::NoLabels { name: lonely(images, &labels) });
        }
        _ => return Err(DroppedError::NoImages { name: lonely(labels, &images) }),
    };
    Ok(Dataset { id: DatasetId::Dropped, train, validation: None, test })
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Holds {
    Images,
    Labels,
}

/// What the name of a file says it is for.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Purpose {
    Training,
    Testing,
}

impl Purpose {
    /// Nothing is told by a name that says neither, or both.
    fn of(name: &str) -> Option<Self> {
        let name = name.to_lowercase();
        match (name.contains("train"), name.contains("t10k") || name.contains("test")) {
            (true, false) => Some(Self::Training),
            (false, true) => Some(Self::Testing),
            _ => None,
        }
    }
}

/// A file that was read.
struct File {
    name: String,
    /// The elements after the header.
    bytes: Vec<u8>,
    /// Images, or labels.
    count: usize,
}

impl File {
    fn purpose(&self) -> Option<Purpose> {
        Purpose::of(&self.name)
    }
}

fn read(name: &str, packed: &[u8]) -> Result<(Holds, File), DroppedError> {
    let named = |error| DroppedError::Idx { name: name.into(), error };
    let unpacked = idx::unpack(packed).map_err(named)?;
    let Some(&[0, 0, _, rank]) = unpacked.first_chunk::<PREFIX>() else {
        return Err(DroppedError::NotIdx { name: name.into() });
    };
    let file = |bytes: Vec<u8>, size: usize| File { name: name.into(), count: bytes.len() / size, bytes };
    if rank == RANK_OF_LABELS {
        Ok((Holds::Labels, file(idx::labels(&unpacked).map_err(named)?, 1)))
    } else {
        Ok((Holds::Images, file(idx::images(&unpacked).map_err(named)?, IMAGE_PIXELS)))
    }
}

/// The name of a file that none of the others goes with; there are more of its kind than of the others.
fn lonely(files: Vec<File>, others: &[File]) -> String {
    let alone = |file: &&File| others.iter().all(|other| !go_together(file, other));
    let name = files.iter().find(alone).or(files.last()).map(|file| file.name.clone());
    name.unwrap_or_default()
}

/// As many of each, and their names do not contradict.
fn go_together(one: &File, other: &File) -> bool {
    one.count == other.count && !contradict(one, other)
}

fn contradict(one: &File, other: &File) -> bool {
    one.purpose().zip(other.purpose()).is_some_and(|(one, other)| one != other)
}

/// Images with their labels.
struct Pair {
    images: File,
    labels: File,
}

impl Pair {
    fn check(self) -> Result<Self, DroppedError> {
        let (n_images, n_labels) = (self.images.count, self.labels.count);
        if n_images == n_labels {
            return Ok(self);
        }
        Err(DroppedError::Disagree { images: self.images.name, n_images, labels: self.labels.name, n_labels })
    }

    fn purpose(&self) -> Option<Purpose> {
        self.images.purpose().or(self.labels.purpose())
    }

    fn split(self) -> Split {
        Split { images: self.images.bytes, labels: self.labels.bytes }
    }
}

/// To train on and to be tested on, of one pair.
fn single(images: File, labels: File) -> Result<(Split, Split), DroppedError> {
    let pair = Pair { images, labels }.check()?;
    let (name, found) = (pair.images.name.clone(), pair.images.count);
    let (train, test) = pair.split().parted();
    if test.is_empty() { Err(DroppedError::TooFewImages { name, found }) } else { Ok((train, test)) }
}

/// To train on and to be tested on, each of a pair of its own.
fn two(images: [File; 2], labels: [File; 2]) -> Result<(Split, Split), DroppedError> {
    let [first, second] = pairs(images, labels)?;
    let (first, second) = (first.check()?, second.check()?);
    let second_trains = match (first.purpose(), second.purpose()) {
        (Some(one), Some(other)) if one == other => second.images.count > first.images.count,
        (Some(purpose), _) => purpose == Purpose::Testing,
        (None, Some(purpose)) => purpose == Purpose::Training,
        (None, None) => second.images.count > first.images.count,
    };
    let (train, test) = if second_trains { (second, first) } else { (first, second) };
    Ok((train.split(), test.split()))
}

/// Each image file with its labels, as counts and names allow. Where they allow neither way, the pairs that were most
/// likely meant, so that their counts can be complained about.
fn pairs(images: [File; 2], labels: [File; 2]) -> Result<[Pair; 2], DroppedError> {
    let crossed = match (fit(&images, &labels, 0), fit(&images, &labels, 1)) {
        (true, true) => {
            let [first, second] = images.map(|file| file.name);
            return Err(DroppedError::Ambiguous { first, second });
        }
        (false, false) => likely_crossed(&images, &labels),
        (_, crossed) => crossed,
    };
    let ([first, second], [mut these, mut those]) = (images, labels);
    if crossed {
        std::mem::swap(&mut these, &mut those);
    }
    Ok([Pair { images: first, labels: these }, Pair { images: second, labels: those }])
}

/// Whether both image files go with the labels in the same place, or with those in the other one (`crossed` is 1).
fn fit(images: &[File; 2], labels: &[File; 2], crossed: usize) -> bool {
    (0..2).all(|index| go_together(&images[index], &labels[index ^ crossed]))
}

/// By name where names tell, else the larger with the larger.
fn likely_crossed(images: &[File; 2], labels: &[File; 2]) -> bool {
    let against = |crossed: usize| (0..2).any(|index| contradict(&images[index], &labels[index ^ crossed]));
    match (against(0), against(1)) {
        (false, false) | (true, true) => (images[0].count > images[1].count) != (labels[0].count > labels[1].count),
        (straight_is_wrong, _) => straight_is_wrong,
    }
}
