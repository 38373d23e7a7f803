//! Finding and downloading, tested with a minimal local web server and files of a few bytes.

use std::io::{BufRead, BufReader, Write};
use std::net::{TcpListener, TcpStream};
use std::thread;

use super::*;

/// Four test files in place of MNIST's, with the contents `a`, `b`, `c` and `d`.
const FILES: [MnistFile; 4] = [
    file("one", "one.gz", "ca978112ca1bbdcafac231b39a23dc4da786eff8147c4e72b9807785afee48bb"),
    file("two", "two.gz", "3e23e8160039594a33894f6564e1b1348bbd7a0088d42c4acb73eeaed59c009d"),
    file("three", "three.gz", "2e7d2c03a9507ae265ecf5b5356885a53393a2029d241394997265a1a25aefc6"),
    file("four", "four.gz", "18ac3e7343f016890c510e93f935261169d9e3f565436429830faf0934f4f8e4"),
];

const fn file(name: &'static str, packed_name: &'static str, sha256: &'static str) -> MnistFile {
    MnistFile { name, packed_name, n_bytes: 1, sha256 }
}

/// The status and body with which a server answers a path.
type Answer = fn(&str) -> (u16, Vec<u8>);

/// Answers with the gzipped test file of this path.
fn valid(path: &str) -> (u16, Vec<u8>) {
    let index = FILES.iter().position(|file| path.ends_with(file.packed_name));
    index.map_or((404, Vec::new()), |index| (200, gzip(&[b'a' + index as u8])))
}

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::default());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

/// Starts a server, which runs until the test ends. Returns its base URL.
fn server(answer: Answer) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    thread::spawn(move || listener.incoming().flatten().for_each(|stream| serve(stream, answer)));
    format!("http://{address}/mnist/")
}

fn serve(mut stream: TcpStream, answer: Answer) {
    let mut lines = BufReader::new(stream.try_clone().unwrap()).lines().map_while(Result::ok);
    let Some(request) = lines.next() else { return };
    lines.take_while(|line| !line.is_empty()).for_each(drop);
    let (status, body) = answer(request.split(' ').nth(1).unwrap());
    let head = format!("HTTP/1.1 {status} X\r\nContent-Length: {}\r\nConnection: close\r\n\r\n", body.len());
    // One of the tests closes the connection early.
    let _ = stream.write_all(&[head.as_bytes(), &body].concat());
}

/// A URL that refuses connections, because its listener is closed.
fn closed_port() -> String {
    let address = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    format!("http://{address}/")
}

fn sources<'a>(configured: Option<&Path>, cache: &'a Path, hosts: Vec<String>) -> Sources<'a> {
    Sources { configured: configured.map(Into::into), cache, hosts, files: FILES }
}

/// The sorted names of the files in a folder.
fn names(folder: &Path) -> Vec<String> {
    let names = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap());
    let mut names: Vec<_> = names.collect();
    names.sort();
    names
}

#[test]
fn files_are_downloaded_once_and_then_found() {
    let folder = tempfile::tempdir().unwrap();
    let cache = folder.path().join("data/mnist");
    let mut notes = Vec::new();
    let (found, files) = sources(None, &cache, vec![server(valid)]).find(&mut |note| notes.push(note)).unwrap();
    assert_eq!((found, files), (cache.clone(), [b"a", b"b", b"c", b"d"].map(|bytes| bytes.to_vec())));
    assert_eq!(names(&cache), ["four.gz", "one.gz", "three.gz", "two.gz"]);
    assert!(
        notes.iter().any(|note| matches!(note, Note::Downloading { name: "one", done: 21, total: 21 })),
        "{notes:?}"
    );

    let mut notes = Vec::new();
    sources(None, &cache, vec![closed_port()]).find(&mut |note| notes.push(note)).unwrap();
    assert_eq!(notes, [Note::Found { folder: cache }]);
}

#[test]
fn the_next_host_is_tried() {
    let cache = tempfile::tempdir().unwrap();
    let wrong = server(|path| (200, gzip(path.as_bytes())));
    let missing = server(|_| (404, Vec::new()));
    let mut failed = Vec::new();
    let mut on = |note| {
        if let Note::HostFailed { url, why } = note {
            failed.push((url, why))
        }
    };
    sources(None, cache.path(), vec![closed_port(), missing, wrong, server(valid)]).find(&mut on).unwrap();
    assert_eq!(failed.len(), 12, "{failed:?}");
    assert!(failed[1].0.ends_with("/mnist/one.gz") && failed[1].1.contains("404"), "{failed:?}");
    assert!(failed[2].1.contains("expected 1"), "{failed:?}");
}

#[test]
fn a_failed_download_leaves_no_file() {
    let cache = tempfile::tempdir().unwrap();
    let wrong = server(|_| (200, b"z".to_vec()));
    let error = sources(None, cache.path(), vec![closed_port(), wrong]).find(&mut drop).unwrap_err();
    let message = error.to_string();
    assert!(matches!(error, FilesError::Download { name: "one", .. }), "{message}");
    assert!(message.contains(MNIST_DIR) && message.contains("--dataset synthetic"), "{message}");
    assert_eq!(names(cache.path()), [""; 0]);
}

#[test]
fn a_file_received_unpacked_is_stored_gzipped() {
    let cache = tempfile::tempdir().unwrap();
    let plain = server(|path| (200, idx::unpack(&valid(path).1).unwrap().into_owned()));
    let (_, files) = sources(None, cache.path(), vec![plain]).find(&mut drop).unwrap();
    assert_eq!(files[3], b"d");
    assert!(idx::is_packed(&fs::read(cache.path().join("four.gz")).unwrap()));
}

#[test]
fn a_body_larger_than_the_file_is_refused() {
    let cache = tempfile::tempdir().unwrap();
    let endless = server(|_| (200, vec![0; 1 << 22]));
    let mut most_bytes = 0;
    let mut on = |note| {
        if let Note::Downloading { done, .. } = note {
            most_bytes = most_bytes.max(done)
        }
    };
    assert!(sources(None, cache.path(), vec![endless]).find(&mut on).is_err());
    assert!(most_bytes < 1 << 20, "{most_bytes}");
}

#[test]
fn the_configured_folder_comes_first_unless_it_is_damaged() {
    let (configured, cache) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    for (file, byte) in FILES.iter().zip(b"abcd") {
        fs::write(configured.path().join(file.name), [*byte]).unwrap();
    }
    let find = |on: &mut dyn FnMut(Note)| sources(Some(configured.path()), cache.path(), vec![server(valid)]).find(on);
    assert_eq!(find(&mut drop).unwrap().0, configured.path());

    fs::write(configured.path().join("two"), b"x").unwrap();
    let mut notes = Vec::new();
    assert_eq!(find(&mut |note| notes.push(note)).unwrap().0, cache.path());
    let damaged = configured.path();
    assert!(matches!(&notes[0], Note::PassedOver { folder, why } if folder == damaged && why.contains("SHA-256")));
}

#[test]
fn damaged_files_in_the_cache_are_downloaded_again() {
    let cache = tempfile::tempdir().unwrap();
    fs::write(cache.path().join("one.gz"), b"a").unwrap();
    fs::write(cache.path().join("two.gz"), gzip(b"x")).unwrap();
    let (_, files) = sources(None, cache.path(), vec![server(valid)]).find(&mut drop).unwrap();
    assert_eq!(files[1], b"b");
}

#[test]
fn idx_files_are_found_under_each_spelling() {
    let folder = tempfile::tempdir().unwrap();
    let images = [&[0, 0, 8, 3, 0, 0, 0, 1, 0, 0, 0, 28, 0, 0, 0, 28][..], &[9; 784]].concat();
    let labels = [0, 0, 8, 1, 0, 0, 0, 1, 4];
    let put = |name: &str, bytes: &[u8]| fs::write(folder.path().join(name), bytes).unwrap();
    put("train-images-idx3-ubyte.gz", &gzip(&images));
    put("train-labels-idx1-ubyte", &labels);
    put("t10k-images.idx3-ubyte", &images);
    let error = load_folder(folder.path()).unwrap_err();
    assert!(error.to_string().contains("t10k-labels-idx1-ubyte"), "{error}");

    put("t10k-labels.idx1-ubyte.gz", &gzip(&labels));
    let dataset = load_folder(folder.path()).unwrap();
    assert_eq!(dataset.id, DatasetId::Folder(folder.path().display().to_string()));
    assert_eq!((&dataset.train.labels[..], &dataset.train), (&[4][..], &dataset.test));

    put("t10k-labels.idx1-ubyte.gz", b"gone");
    assert!(matches!(load_folder(folder.path()), Err(FilesError::Idx { .. })));
}
