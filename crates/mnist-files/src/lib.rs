//! MNIST, IDX folders and Kaggle's CSV on disk: finds the files, downloads MNIST where it is missing, and checks it
//! before use. It never chooses the data set, and never leaves an incomplete file under its final name.

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

/// The environment variable that names a folder with MNIST, which is searched first.
pub const MNIST_DIR: &str = "MNIST_DIR";

/// Timeout for resolving and connecting to a host: long enough for a satellite link, short enough to wait for.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(8);
/// Timeout for a response and for each read: a host that sends nothing for this long is given up.
const READ_TIMEOUT: Duration = Duration::from_secs(20);

/// Progress of finding and downloading MNIST.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Note {
    /// A folder does not hold valid MNIST files; the next source is tried.
    PassedOver {
        /// The folder.
        folder: PathBuf,
        /// The error, as a sentence.
        why: String,
    },
    /// A folder holds all four files, and they passed the check.
    Found {
        /// The folder.
        folder: PathBuf,
    },
    /// Progress of a download.
    Downloading {
        /// Name of the unpacked file.
        name: &'static str,
        /// Bytes received so far.
        done: u64,
        /// Bytes in all; 0 when the host does not say.
        total: u64,
    },
    /// A download failed or was not the original file; the next host is tried.
    HostFailed {
        /// The full URL.
        url: String,
        /// The error, as a sentence.
        why: String,
    },
}

/// Why a data set could not be loaded.
#[derive(Debug, thiserror::Error)]
pub enum FilesError {
    /// A folder lacks a file.
    #[error(
        "{folder} has no file called {name}, gzipped or not; put the four IDX files there",
        folder = folder.display()
    )]
    Missing {
        /// The folder.
        folder: PathBuf,
        /// Name of the unpacked file.
        name: String,
    },
    /// A file could not be opened or read.
    #[error(
        "{path} could not be read ({error}); check that it exists and that you are allowed to read it",
        path = path.display()
    )]
    Read {
        /// The file.
        path: PathBuf,
        /// The error of the operating system.
        error: io::Error,
    },
    /// A file or folder could not be written.
    #[error(
        "{path} could not be written ({error}); check the free space and the permissions of the folder",
        path = path.display()
    )]
    Write {
        /// The file or folder.
        path: PathBuf,
        /// The error of the operating system.
        error: io::Error,
    },
    /// A defect of an IDX file.
    #[error("{path}: {error}", path = path.display())]
    Idx {
        /// The image file of the pair.
        path: PathBuf,
        /// The defect.
        error: IdxError,
    },
    /// A defect of Kaggle's `train.csv`.
    #[error("{path}: {error}", path = path.display())]
    Csv {
        /// The file.
        path: PathBuf,
        /// The defect.
        error: CsvError,
    },
    /// A file is not the original MNIST file.
    #[error("{path}: {error}", path = path.display())]
    Mnist {
        /// The file, or its folder.
        path: PathBuf,
        /// The difference.
        error: MnistError,
    },
    /// [`DatasetId::UserFiles`] exists only in the page.
    #[error("the data set \"dropped\" exists only on the page; name the folder of the files, such as ./fashion")]
    UserFiles,
    /// No host could deliver a file.
    #[error(
        "{name} could not be downloaded: {why}; connect to the internet, set {MNIST_DIR} to a folder that holds MNIST, or use the built-in data set with --dataset synthetic"
    )]
    Download {
        /// Name of the unpacked file.
        name: &'static str,
        /// The errors of all hosts.
        why: String,
    },
}

/// Finds a folder that holds all four files of MNIST and checks them: `$MNIST_DIR`, otherwise `cache`, otherwise
/// `cache` after a download. `on` is called with the progress.
///
/// # Errors
/// When neither folder holds MNIST and it cannot be downloaded into `cache`.
pub fn mnist_folder(cache: &Path, on: &mut dyn FnMut(Note)) -> Result<PathBuf, FilesError> {
    Sources::from_environment(cache).find(on).map(|(folder, _)| folder)
}

/// Loads a data set. MNIST is found as by [`mnist_folder`].
///
/// # Errors
/// When MNIST is not available, a folder's files are missing or not valid, or the data set is [`DatasetId::UserFiles`].
pub fn load(id: &DatasetId, cache: &Path, on: &mut dyn FnMut(Note)) -> Result<Dataset, FilesError> {
    match id {
        DatasetId::Synthetic => Ok(synthetic::dataset(synthetic::SEED)),
        DatasetId::UserFiles => Err(FilesError::UserFiles),
        DatasetId::Folder(folder) => load_folder(Path::new(folder)),
        DatasetId::Mnist => {
            let (folder, files) = Sources::from_environment(cache).find(on)?;
            mnist::dataset(&files).map_err(|error| FilesError::Mnist { path: folder, error })
        }
    }
}

/// Loads the images of a folder: Kaggle's `train.csv`, or four IDX files with MNIST's names, gzipped or not.
///
/// Kaggle's test images have no labels. A tenth of the images of `train.csv` is therefore used for validation and test,
/// split with a fixed seed so that every run sees the same split.
///
/// # Errors
/// The first file that is missing or not valid.
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
    let (train, test) = labelled.split_for_validation();
    Ok(Dataset { id: DatasetId::Folder(folder.display().to_string()), train, validation: None, test })
}

fn load_split(folder: &Path, images: &MnistFile, labels: &MnistFile) -> Result<Split, FilesError> {
    let (path, images) = read(folder, images)?;
    let (_, labels) = read(folder, labels)?;
    Split::from_idx(&images, &labels).map_err(|error| FilesError::Idx { path, error })
}

/// The bytes of the four unpacked files of MNIST, in the order of [`mnist::FILES`].
type Unpacked = [Vec<u8>; 4];

/// The places where MNIST is searched.
struct Sources<'a> {
    /// The folder that [`MNIST_DIR`] names.
    configured: Option<PathBuf>,
    /// The folder for downloads.
    cache: &'a Path,
    /// Base URLs, tried in this order.
    hosts: Vec<String>,
    files: [MnistFile; 4],
}

impl<'a> Sources<'a> {
    fn from_environment(cache: &'a Path) -> Self {
        let configured = std::env::var_os(MNIST_DIR).filter(|folder| !folder.is_empty()).map(PathBuf::from);
        Self { configured, cache, hosts: mnist::HOSTS.map(String::from).to_vec(), files: mnist::FILES }
    }

    /// The first folder with four valid files, after a download if necessary, and their unpacked bytes.
    fn find(&self, on: &mut dyn FnMut(Note)) -> Result<(PathBuf, Unpacked), FilesError> {
        for folder in self.configured.as_deref().into_iter().chain([self.cache]) {
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

    /// Downloads every file that is missing or damaged in the cache.
    fn download(&self, on: &mut dyn FnMut(Note)) -> Result<(), FilesError> {
        fs::create_dir_all(self.cache).map_err(|error| FilesError::Write { path: self.cache.into(), error })?;
        let agent = agent();
        for file in self.files.iter().filter(|file| unpack(self.cache, file).is_err()) {
            let bytes = self.fetch(&agent, file, on)?;
            store(self.cache, file, &bytes)?;
        }
        Ok(())
    }

    /// Downloads one file from the first host that delivers the original. Returns the bytes as received.
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

/// Downloads a URL.
fn get(agent: &ureq::Agent, url: &str, file: &MnistFile, on: &mut dyn FnMut(Note)) -> Result<Vec<u8>, String> {
    let mut response = agent.get(url).call().map_err(|error| error.to_string())?;
    let total = response.body().content_length().unwrap_or(0);
    // Gzip grows data that it cannot compress by less than this.
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

/// Writes a checked file, gzipped. It is written under a temporary name and then renamed, so that an incomplete file is
/// never read.
fn store(folder: &Path, file: &MnistFile, bytes: &[u8]) -> Result<(), FilesError> {
    let temporary = folder.join(format!("{}.{}.part", file.packed_name, std::process::id()));
    let path = folder.join(file.packed_name);
    let written = write(&temporary, bytes).and_then(|()| fs::rename(&temporary, &path));
    written.map_err(|error| {
        // The first error is the one to report. If removing fails too, only a temporary file is left over.
        let _ = fs::remove_file(&temporary);
        FilesError::Write { path, error }
    })
}

/// Writes bytes gzipped. A host or proxy may have unpacked the file; then it is compressed again.
fn write(path: &Path, bytes: &[u8]) -> io::Result<()> {
    if idx::is_packed(bytes) {
        return fs::write(path, bytes);
    }
    let mut encoder = GzEncoder::new(fs::File::create(path)?, Compression::default());
    encoder.write_all(bytes)?;
    encoder.finish().map(drop)
}

/// Reads, unpacks and checks one file of MNIST.
fn unpack(folder: &Path, file: &MnistFile) -> Result<Vec<u8>, FilesError> {
    let (path, bytes) = read(folder, file)?;
    mnist::unpack(file, &bytes).map_err(|error| FilesError::Mnist { path, error })
}

/// Reads a file as it is stored, and returns its path too. Tries the gzipped and the plain name, then both with a dot
/// instead of the hyphen before `idx`.
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
