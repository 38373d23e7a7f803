//! Gzipped bytes of the built site: what moves until the pad can be drawn on, and each worker.

use std::collections::BTreeMap;
use std::fs;
use std::io::Write;
use std::path::Path;

use anyhow::{Context, Result};
use flate2::Compression;
use flate2::write::GzEncoder;

use super::figure::Figure;

/// The page, every worker, and the weights that the pad reads with first.
///
/// # Errors
/// When the site cannot be read.
pub fn measure(site: &Path) -> Result<Vec<Figure>> {
    let mut groups: BTreeMap<String, (usize, usize)> = BTreeMap::new();
    for entry in fs::read_dir(site).with_context(|| format!("{} is no site", site.display()))? {
        let path = entry?.path();
        if path.is_file() {
            let bytes = fs::read(&path)?;
            let (packed, plain) = groups.entry(group(&path)).or_default();
            (*packed, *plain) = (*packed + gzipped(&bytes)?, *plain + bytes.len());
        }
    }
    let mut figures: Vec<_> = groups.iter().map(|(name, bytes)| figure(name, *bytes)).collect();
    let weights = site.join("weights/compact.safetensors");
    if let Ok(bytes) = fs::read(weights) {
        figures.push(figure("weights of compact", (gzipped(&bytes)?, bytes.len())));
    }
    Ok(figures)
}

fn figure(name: &str, (packed, plain): (usize, usize)) -> Figure {
    let limit = match name {
        "page" => "limit 700 KB",
        "worker_gpu" => "limit 3 MB",
        name if name.starts_with("worker") => "limit 1 MB",
        _ => "",
    };
    let how = format!("gzip -6; {} KB plain", plain / 1000);
    Figure::new(format!("bytes: {name}"), how, "KB").with(vec![packed as f64 / 1000.0]).beside(limit)
}

/// Each worker by its name; everything else is the page, which needs it all before it can be drawn on.
fn group(path: &Path) -> String {
    let name = path.file_stem().and_then(|stem| stem.to_str()).unwrap_or_default();
    let name = name.trim_end_matches("_loader").trim_end_matches("_bg");
    if name.starts_with("worker") { name.into() } else { "page".into() }
}

fn gzipped(bytes: &[u8]) -> Result<usize> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::new(6));
    encoder.write_all(bytes)?;
    Ok(encoder.finish()?.len())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_are_counted_with_what_loads_them() {
        let groups = ["index.html", "app-4123_bg.wasm", "worker.js", "worker_gpu_loader.js", "worker_gpu_bg.wasm"];
        let groups = groups.map(|name| group(Path::new(name)));
        assert_eq!(groups, ["page", "page", "worker", "worker_gpu", "worker_gpu"]);
    }

    #[test]
    fn a_site_is_weighed() {
        let site = tempfile::tempdir().unwrap();
        fs::write(site.path().join("index.html"), vec![b'a'; 100_000]).unwrap();
        fs::write(site.path().join("worker.js"), "x").unwrap();
        let figures = measure(site.path()).unwrap();
        assert_eq!(
            figures.iter().map(|figure| figure.what.as_str()).collect::<Vec<_>>(),
            ["bytes: page", "bytes: worker"]
        );
        assert!(figures[0].median().unwrap() < 1.0 && figures[0].how.contains("100 KB"), "{figures:?}");
    }
}
