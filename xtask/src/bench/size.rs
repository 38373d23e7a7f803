//! Gzipped size of the built site: everything that is transferred until the pad is usable, and each worker. It never
//! opens the site in a browser.

use std::collections::BTreeMap;
use std::fs;
use std::io::Write;
use std::path::Path;

use anyhow::{Context, Result};
use flate2::Compression;
use flate2::write::GzEncoder;

use super::figure::Measurement;

/// Measures the page, every worker, and the weights of the pad's first predictions.
///
/// # Errors
/// When the site cannot be read.
pub fn measure(site: &Path) -> Result<Vec<Measurement>> {
    let mut groups: BTreeMap<String, (usize, usize)> = BTreeMap::new();
    for entry in fs::read_dir(site).with_context(|| format!("{} is no site", site.display()))? {
        let path = entry?.path();
        if path.is_file() {
            let bytes = fs::read(&path)?;
            let (packed, plain) = groups.entry(group(&path)).or_default();
            (*packed, *plain) = (*packed + gzipped(&bytes)?, *plain + bytes.len());
        }
    }
    let mut measurements: Vec<_> = groups.iter().map(|(name, bytes)| measurement(name, *bytes)).collect();
    let weights = site.join("weights/compact.safetensors");
    if let Ok(bytes) = fs::read(weights) {
        measurements.push(measurement("weights of compact", (gzipped(&bytes)?, bytes.len())));
    }
    Ok(measurements)
}

fn measurement(name: &str, (packed, plain): (usize, usize)) -> Measurement {
    let limit = match name {
        "page" => "limit 700 KB",
        "worker_gpu" => "limit 3 MB",
        name if name.starts_with("worker") => "limit 1 MB",
        _ => "",
    };
    let how = format!("gzip -6; {} KB plain", plain / 1000);
    Measurement::new(format!("bytes: {name}"), how, "KB").with(vec![packed as f64 / 1000.0]).beside(limit)
}

/// The group of a file: the worker's name for a worker's files; `page` for everything else, which the page needs before
/// its pad is usable.
fn group(path: &Path) -> String {
    let name = path.file_stem().and_then(|stem| stem.to_str()).unwrap_or_default();
    let name = name.trim_end_matches("_loader").trim_end_matches("_bg");
    if name.starts_with("worker") { name.into() } else { "page".into() }
}

/// Number of bytes after gzip -6.
fn gzipped(bytes: &[u8]) -> Result<usize> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::new(6));
    encoder.write_all(bytes)?;
    Ok(encoder.finish()?.len())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_are_grouped_by_worker() {
        let groups = ["index.html", "app-4123_bg.wasm", "worker.js", "worker_gpu_loader.js", "worker_gpu_bg.wasm"];
        let groups = groups.map(|name| group(Path::new(name)));
        assert_eq!(groups, ["page", "page", "worker", "worker_gpu", "worker_gpu"]);
    }

    #[test]
    fn the_files_of_a_site_are_measured() {
        let site = tempfile::tempdir().unwrap();
        fs::write(site.path().join("index.html"), vec![b'a'; 100_000]).unwrap();
        fs::write(site.path().join("worker.js"), "x").unwrap();
        let measurements = measure(site.path()).unwrap();
        assert_eq!(
            measurements.iter().map(|measurement| measurement.what.as_str()).collect::<Vec<_>>(),
            ["bytes: page", "bytes: worker"]
        );
        assert!(measurements[0].median().unwrap() < 1.0 && measurements[0].how.contains("100 KB"), "{measurements:?}");
    }
}
