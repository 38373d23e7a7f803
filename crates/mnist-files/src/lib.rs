//! MNIST and other IDX files on disk: looked for, downloaded where there is a network, checked before use.
//! Never decides what is trained on, and never leaves half a file under its final name.

use std::fs;
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};
use std::time::Duration;

use flate2::Compression;
use flate2::write::GzEncoder;
use inkling_core::data::csv::CsvError;
use inkling_core::data::idx::{self, IdxError};
use inkling_core::data::mnist::{self, MnistError, MnistFile};
use inkling_core::data::{Dataset, Split, synthetic};
use inkling_core::spec::DatasetId;

/// Names a folder that holds MNIST and is looked into first.
pub const MNIST_DIR: &str = "MNIST_DIR";

/// Where a host is given up: long enough for a satellite, short enough to sit through.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(8);
/// Silence in the middle of a file after which a host is given up.
const READ_TIMEOUT: Duration = Duration::from_secs(20);

/// What is going on, for whoever waits.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Note {
    /// A folder does not hold MNIST; the next place is tried.
    PassedOver { folder: PathBuf, why: String },
    /// All four files lie here, and were checked.
    Found { folder: PathBuf },
    /// Bytes of a file that have come. `total` is 0 when the host does not say.
    Downloading { name: &'static str, done: u64, total: u64 },
    /// A host did not deliver; the next one is tried.
    HostFailed { url: String, why: String },
}

/// Why there are no images.
#[derive(Debug, thiserror::Error)]
pub enum FilesError {
    #[error(
        "{folder} has no file called {name}, gzipped or not; put the four IDX files there",
        folder = folder.display()
    )]
    Missing { folder: PathBuf, name: String },
    #[error("{path} could not be read ({error}); check that it exists and is yours to read", path = path.display())]
    Read { path: PathBuf, error: io::Error },
    #[error(
        "{path} could not be written ({error}); check the free space and the rights of the folder",
        path = path.display()
    )]
    Write { path: PathBuf, error: io::Error },
    #[error("{path}: {error}", path = path.display())]
    Idx { path: PathBuf, error: IdxError },
    #[error("{path}: {error}", path = path.display())]
    Csv { path: PathBuf, error: CsvError },
    #[error("{path}: {error}", path = path.display())]
    Mnist { path: PathBuf, error: MnistError },
    #[error("dropped files exist on the page only; name the folder that holds them, such as ./fashion")]
    Dropped,
    #[error(
        "no host has {name}: {why}; connect to the internet, set {MNIST_DIR} to a folder that holds MNIST, or use the built-in data set with --dataset synthetic"
    )]
    Download { name: &'static str, why: String },
}

/// A folder that holds all four files of MNIST, checked: `$MNIST_DIR`, else `cache`, else `cache` after a download.
///
/// # Errors
/// When neither folder holds MNIST and it cannot be downloaded into `cache`.
pub fn mnist_folder(cache: &Path, on: &mut dyn FnMut(Note)) -> Result<PathBuf, FilesError> {
    Places::of_this_machine(cache).find(on).map(|(folder, _)| folder)
}

/// The images of a data set. MNIST is looked for as [`mnist_folder`] does.
///
/// # Errors
/// When MNIST cannot be had, or a folder's files are not right.
pub fn load(id: &DatasetId, cache: &Path, on: &mut dyn FnMut(Note)) -> Result<Dataset, FilesError> {
    match id {
        DatasetId::Synthetic => Ok(synthetic::dataset(synthetic::SEED)),
        DatasetId::Dropped => Err(FilesError::Dropped),
        DatasetId::Folder(folder) => load_folder(Path::new(folder)),
        DatasetId::Mnist => {
            let (folder, files) = Places::of_this_machine(cache).find(on)?;
            mnist::dataset(&files).map_err(|error| FilesError::Mnist { path: folder, error })
        }
    }
}

/// The images of a folder: Kaggle's `train.csv`, or four IDX files named as MNIST's are and gzipped or not.
///
/// Of `train.csv`, which has no test images with labels, a tenth is kept for validation and test, dealt by a seed of
/// its own so that every run sees the same.
///
/// # Errors
/// The first file that is missing or not right.
pub fn load_folder(folder: &Path) -> Result<Dataset, FilesError> {
    let csv = folder.join("train.csv");
    if csv.exists() {
        return load_csv(folder, csv);
    }
    let [train_images, train_labels, test_images, test_labels] = &mnist::FILES;
    Ok(Dataset {
        id: DatasetId::Folder(folder.display().to_string()),
        train: load_split(folder, train_images, train_labels)?,
        validation: None,
        test: load_split(folder, test_images, test_labels)?,
    })
}

fn load_csv(folder: &Path, path: PathBuf) -> Result<Dataset, FilesError> {
    let file = fs::File::open(&path).map_err(|error| FilesError::Read { path: path.clone(), error })?;
    let labelled = Split::from_csv(io::BufReader::new(file)).map_err(|error| FilesError::Csv { path, error })?;
    let (train, test) = labelled.parted();
    Ok(Dataset { id: DatasetId::Folder(folder.display().to_string()), train, validation: None, test })
}

fn load_split(folder: &Path, images: &MnistFile, labels: &MnistFile) -> Result<Split, FilesError> {
    let (path, images) = read(folder, images)?;
    let (_, labels) = read(folder, labels)?;
    Split::from_idx(&images, &labels).map_err(|error| FilesError::Idx { path, error })
}

/// The four unpacked files of MNIST, in the order of [`mnist::FILES`].
type Unpacked = [Vec<u8>; 4];

/// Where MNIST may be.
struct Places<'a> {
    /// A folder that somebody named.
    named: Option<PathBuf>,
    cache: &'a Path,
    /// Base URLs, tried in this order.
    hosts: Vec<String>,
    files: [MnistFile; 4],
}

impl<'a> Places<'a> {
    fn of_this_machine(cache: &'a Path) -> Self {
        let named = std::env::var_os(MNIST_DIR).filter(|folder| !folder.is_empty()).map(PathBuf::from);
        Self { named, cache, hosts: mnist::HOSTS.map(String::from).to_vec(), files: mnist::FILES }
    }

    /// The first folder with four right files.
    fn find(&self, on: &mut dyn FnMut(Note)) -> Result<(PathBuf, Unpacked), FilesError> {
        for folder in self.named.as_deref().into_iter().chain([self.cache]) {
            match self.unpack(folder) {
                Ok(files) => {
                    on(Note::Found { folder: folder.into() });
                    return Ok((folder.into(), files));
                }
                Err(error) => on(Note::PassedOver { folder: folder.into(), why: error.to_string() }),
            }
        }
        self.download(on)?;
        Ok((self.cache.into(), self.unpack(self.cache)?))
    }

    fn unpack(&self, folder: &Path) -> Result<Unpacked, FilesError> {
        let mut unpacked = Unpacked::default();
        for (bytes, file) in unpacked.iter_mut().zip(&self.files) {
            *bytes = unpack(folder, file)?;
        }
        Ok(unpacked)
    }

    /// Brings every file that the cache lacks.
    fn download(&self, on: &mut dyn FnMut(Note)) -> Result<(), FilesError> {
        fs::create_dir_all(self.cache).map_err(|error| FilesError::Write { path: self.cache.into(), error })?;
        let agent = agent();
        for file in self.files.iter().filter(|file| unpack(self.cache, file).is_err()) {
            let bytes = self.fetch(&agent, file, on)?;
            store(self.cache, file, &bytes)?;
        }
        Ok(())
    }

    /// The checked bytes of one file, from the first host that has them.
    fn fetch(&self, agent: &ureq::Agent, file: &MnistFile, on: &mut dyn FnMut(Note)) -> Result<Vec<u8>, FilesError> {
        let mut reasons = Vec::new();
        for host in &self.hosts {
            let url = format!("{host}{}", file.packed_name);
            let fetched = get(agent, &url, file, on).and_then(|bytes| match mnist::unpack(file, &bytes) {
                Ok(_) => Ok(bytes),
                Err(error) => Err(error.to_string()),
            });
            match fetched {
                Ok(bytes) => return Ok(bytes),
                Err(why) => {
                    reasons.push(format!("{url}: {why}"));
                    on(Note::HostFailed { url, why });
                }
            }
        }
        Err(FilesError::Download { name: file.name, why: reasons.join("; ") })
    }
}

fn agent() -> ureq::Agent {
    let config = ureq::Agent::config_builder()
        .timeout_connect(Some(CONNECT_TIMEOUT))
        .timeout_resolve(Some(CONNECT_TIMEOUT))
        .timeout_recv_response(Some(READ_TIMEOUT))
        .timeout_per_read(Some(READ_TIMEOUT));
    config.build().into()
}

/// The body behind a URL, or why there is none.
fn get(agent: &ureq::Agent, url: &str, file: &MnistFile, on: &mut dyn FnMut(Note)) -> Result<Vec<u8>, String> {
    let mut response = agent.get(url).call().map_err(|error| error.to_string())?;
    let total = response.body().content_length().unwrap_or(0);
    // Gzip grows what it cannot shrink by less than this.
    let limit = file.n_bytes + file.n_bytes / 100 + 1024;
    let mut reader = response.body_mut().with_config().limit(limit as u64).reader();
    let (mut bytes, mut chunk) = (Vec::new(), vec![0; 1 << 16]);
    loop {
        on(Note::Downloading { name: file.name, done: bytes.len() as u64, total });
        match reader.read(&mut chunk).map_err(|error| error.to_string())? {
            0 => return Ok(bytes),
            n_read => bytes.extend_from_slice(&chunk[..n_read]),
        }
    }
}

/// Writes a checked file, gzipped: under a temporary name first, so that nobody ever reads half of it.
fn store(folder: &Path, file: &MnistFile, bytes: &[u8]) -> Result<(), FilesError> {
    let temporary = folder.join(format!("{}.{}.part", file.packed_name, std::process::id()));
    let path = folder.join(file.packed_name);
    let written = write(&temporary, bytes).and_then(|()| fs::rename(&temporary, &path));
    written.map_err(|error| {
        // The first error is the one to report; a file that cannot be removed is only litter.
        let _ = fs::remove_file(&temporary);
        FilesError::Write { path, error }
    })
}

/// A host, or something on the way, may have unpacked the file already.
fn write(path: &Path, bytes: &[u8]) -> io::Result<()> {
    if idx::is_packed(bytes) {
        return fs::write(path, bytes);
    }
    let mut encoder = GzEncoder::new(fs::File::create(path)?, Compression::default());
    encoder.write_all(bytes)?;
    encoder.finish().map(drop)
}

/// One file of MNIST, unpacked and checked.
fn unpack(folder: &Path, file: &MnistFile) -> Result<Vec<u8>, FilesError> {
    let (path, bytes) = read(folder, file)?;
    mnist::unpack(file, &bytes).map_err(|error| FilesError::Mnist { path, error })
}

/// The bytes of a file as they lie on disk, and where: gzipped, plain, or plain with a dot before `idx`.
fn read(folder: &Path, file: &MnistFile) -> Result<(PathBuf, Vec<u8>), FilesError> {
    let dotted = file.name.replace("-idx", ".idx");
    for name in [file.packed_name, file.name, &dotted, &format!("{dotted}.gz")] {
        let path = folder.join(name);
        match fs::read(&path) {
            Ok(bytes) => return Ok((path, bytes)),
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) => return Err(FilesError::Read { path, error }),
        }
    }
    Err(FilesError::Missing { folder: folder.into(), name: file.name.into() })
}

#[cfg(test)]
mod tests;
