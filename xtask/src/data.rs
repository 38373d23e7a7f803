//! MNIST for the site and for `cargo xtask data`: found or downloaded by `inkling_mnist_files`, with messages about the
//! progress, and gzipped for the page. It never decodes images.

use std::fs::{self, File};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use flate2::Compression;
use flate2::write::GzEncoder;
use inkling_core::data::mnist::{FILES, MnistFile};
use inkling_mnist_files::{Note, mnist_folder};

use crate::{report, root};

/// The cache of downloaded files, relative to the root folder. Git ignores it.
const CACHE: &str = "data/mnist";

/// `cargo xtask data`: provides MNIST and prints its folder.
///
/// # Errors
/// When MNIST is neither on this machine nor can be downloaded.
pub fn show() -> Result<()> {
    let folder = ensure_mnist()?;
    report(format!("MNIST is in {}: 60,000 training and 10,000 test images", folder.display()));
    Ok(())
}

/// Finds or downloads MNIST, and returns a folder with its four checked files, gzipped or not.
///
/// # Errors
/// When MNIST is neither on this machine nor can be downloaded.
pub fn ensure_mnist() -> Result<PathBuf> {
    let mut reporter = NoteReporter::default();
    let folder = mnist_folder(&root().join(CACHE), &mut |note| reporter.report(&note));
    Ok(folder?)
}

/// A folder with the four files gzipped, for the site. `None`, with a message why, if MNIST is not available. Gzipped
/// copies are written to `spare` if needed.
///
/// # Errors
/// When the files cannot be gzipped.
pub fn for_site(spare: &Path) -> Result<Option<PathBuf>> {
    match ensure_mnist() {
        Ok(folder) => packed(folder, spare).map(Some),
        Err(error) => {
            report(format!("The site goes without MNIST and trains on its own synthetic digits: {error:#}"));
            Ok(None)
        }
    }
}

/// Copies the four gzipped files to the folder `to`, which is created if needed.
///
/// # Errors
/// When a file cannot be read or written.
pub fn copy(from: &Path, to: &Path) -> Result<()> {
    fs::create_dir_all(to).with_context(|| format!("cannot make {}", to.display()))?;
    for file in &FILES {
        let (source, copy) = (from.join(file.packed_name), to.join(file.packed_name));
        // Not fs::copy, which also copies permissions: the original may be read-only.
        let copied = fs::read(&source).and_then(|bytes| fs::write(copy, bytes));
        copied.with_context(|| format!("cannot copy {}", source.display()))?;
    }
    Ok(())
}

/// Returns the folder itself if its files are gzipped, otherwise `spare` after writing gzipped copies there.
fn packed(folder: PathBuf, spare: &Path) -> Result<PathBuf> {
    if FILES.iter().all(|file| folder.join(file.packed_name).is_file()) {
        return Ok(folder);
    }
    fs::create_dir_all(spare).with_context(|| format!("cannot make {}", spare.display()))?;
    for file in &FILES {
        pack(file, &folder, spare).with_context(|| format!("cannot pack {}", file.name))?;
    }
    Ok(spare.to_owned())
}

/// Writes one gzipped file. All sources are checked to be the canonical file, so an existing copy is not written again.
fn pack(file: &MnistFile, folder: &Path, spare: &Path) -> io::Result<()> {
    let (from, to) = (folder.join(file.packed_name), spare.join(file.packed_name));
    if to.is_file() {
        return Ok(());
    }
    if from.is_file() {
        return fs::copy(from, to).map(drop);
    }
    // Under another name first, so that a partial file is never taken for a complete one.
    let partial = to.with_extension("part");
    let mut encoder = GzEncoder::new(File::create(&partial)?, Compression::best());
    io::copy(&mut File::open(folder.join(file.name))?, &mut encoder)?;
    encoder.finish()?.flush()?;
    fs::rename(partial, to)
}

/// Prints messages about the progress, one line per file.
#[derive(Default)]
struct NoteReporter {
    /// The file that was last reported.
    downloading: Option<&'static str>,
}

impl NoteReporter {
    fn report(&mut self, note: &Note) {
        match note {
            Note::Found { folder } => report(format!("MNIST: found in {} and checked", folder.display())),
            Note::PassedOver { folder, why } => report(format!("MNIST: not in {} ({why})", folder.display())),
            Note::HostFailed { url, why } => report(format!("MNIST: {url} does not deliver ({why})")),
            Note::Downloading { name, total, .. } if self.downloading != Some(name) => {
                self.downloading = Some(name);
                report(format!("MNIST: downloading {name}{}", megabytes(*total)));
            }
            Note::Downloading { .. } => {}
        }
    }
}

/// The end of a message: a size in MB, or nothing if it is not known.
fn megabytes(n_bytes: u64) -> String {
    if n_bytes == 0 { String::new() } else { format!(", {:.1} MB", n_bytes as f64 / 1e6) }
}

#[cfg(test)]
mod tests {
    use std::io::Read;

    use flate2::read::GzDecoder;

    use super::*;

    #[test]
    fn plain_files_are_gzipped_once() {
        let (plain, spare) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        for file in &FILES {
            fs::write(plain.path().join(file.name), file.name).unwrap();
        }
        let folder = packed(plain.path().to_owned(), spare.path()).unwrap();
        assert_eq!(folder, spare.path());
        let mut text = String::new();
        let file = File::open(folder.join(FILES[0].packed_name)).unwrap();
        GzDecoder::new(file).read_to_string(&mut text).unwrap();
        assert_eq!(text, FILES[0].name);
        assert_eq!(packed(folder.clone(), plain.path()).unwrap(), folder);
    }

    #[test]
    fn copies_are_written_to_a_new_folder() {
        let (from, to) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        for file in &FILES {
            fs::write(from.path().join(file.packed_name), "x").unwrap();
        }
        let site = to.path().join("data/mnist");
        copy(from.path(), &site).unwrap();
        assert_eq!(fs::read_dir(&site).unwrap().count(), FILES.len());
    }

    #[test]
    fn sizes_are_shown_in_megabytes() {
        assert_eq!(megabytes(9_912_422), ", 9.9 MB");
        assert_eq!(megabytes(0), "");
    }
}
