//! A static file server on the loopback interface, for tests: serves a folder under a sub-path, as GitHub Pages would.
//! It never serves anything outside the folder, and never writes.
//!
//! Every connection has its own thread and is closed after its response. A server that shares a few threads among open
//! connections can leave one unanswered when a page opens several at once, and a test then waits for minutes.

use std::fs::{self, File};
use std::io::{self, BufRead, BufReader, Cursor, Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::path::{Component, Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{self, JoinHandle};

use anyhow::{Context, Result};

/// A running server. It serves until it is dropped.
pub struct StaticServer {
    address: SocketAddr,
    /// Set to stop the listening thread.
    stopped: Arc<AtomicBool>,
    listening: Option<JoinHandle<()>>,
    url: String,
}

/// The served folder, its path on the server, and deviations for tests.
#[derive(Clone)]
struct Site {
    folder: PathBuf,
    /// The path below which the folder is served; begins and ends with a slash.
    prefix: String,
    /// A folder of the site whose files are answered with "not found".
    missing: Option<PathBuf>,
    /// A script that every worker's loader runs before its own first statement.
    in_workers: Option<String>,
}

impl StaticServer {
    /// Serves `folder` at `http://127.0.0.1:<any free port><prefix>`; the prefix begins and ends with a slash.
    ///
    /// # Errors
    /// When no port is free.
    pub fn start(folder: &Path, prefix: &str) -> Result<Self> {
        Self::serve(Site::new(folder, prefix))
    }

    /// As [`StaticServer::start`], but answers "not found" for all files in the folder `missing`, relative to the site.
    ///
    /// # Errors
    /// When no port is free.
    pub fn start_without(folder: &Path, prefix: &str, missing: &str) -> Result<Self> {
        Self::serve(Site { missing: Some(missing.into()), ..Site::new(folder, prefix) })
    }

    /// As [`StaticServer::start`], but every worker runs `script` before anything else: a test can thereby replace
    /// parts of the browser that the worker sees.
    ///
    /// # Errors
    /// When no port is free.
    pub fn start_with_worker_script(folder: &Path, prefix: &str, script: &str) -> Result<Self> {
        Self::serve(Site { in_workers: Some(script.into()), ..Site::new(folder, prefix) })
    }

    fn serve(site: Site) -> Result<Self> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).context("no port is free")?;
        let address = listener.local_addr()?;
        let url = format!("http://{address}{}", site.prefix);
        let stopped = Arc::new(AtomicBool::new(false));
        let stop = Arc::clone(&stopped);
        let listening = thread::spawn(move || {
            for stream in listener.incoming().take_while(|_| !stop.load(Ordering::Acquire)).flatten() {
                let site = site.clone();
                // Errors mean that the client disconnected; it needs no answer.
                thread::spawn(move || site.answer(&stream).unwrap_or_default());
            }
        });
        Ok(Self { address, stopped, listening: Some(listening), url })
    }

    /// The address of the site's root; ends with a slash.
    pub fn url(&self) -> &str {
        &self.url
    }
}

impl Drop for StaticServer {
    fn drop(&mut self) {
        self.stopped.store(true, Ordering::Release);
        // One more connection wakes the listening thread, so that it sees the flag.
        drop(TcpStream::connect(self.address));
        self.listening.take().map(JoinHandle::join);
    }
}

impl Site {
    fn new(folder: &Path, prefix: &str) -> Self {
        Self { folder: folder.to_owned(), prefix: prefix.to_owned(), missing: None, in_workers: None }
    }

    /// The content of a worker's loader, with the additional script before it; `None` if this file gets no script.
    fn loader(&self, path: &Path) -> Option<String> {
        let script = self.in_workers.as_ref().filter(|_| path.to_string_lossy().ends_with("_loader.js"))?;
        // A module's imports run before all of its other statements, so the script must be the first import.
        let script =
            format!("data:text/javascript,{}", script.bytes().map(|b| format!("%{b:02X}")).collect::<String>());
        Some(format!("import '{script}';\n{}", fs::read_to_string(path).ok()?))
    }

    /// Reads a request and answers it.
    fn answer(&self, stream: &TcpStream) -> io::Result<()> {
        let Some(path) = requested(stream)? else { return Ok(()) };
        let found = self.path_of(&path).and_then(|path| Some((self.content(&path).ok()?, mime(&path))));
        let Some(((mut content, len), mime)) = found else {
            return reply(stream, "404 Not Found", "text/plain", 9, &mut "not found".as_bytes());
        };
        reply(stream, "200 OK", mime, len, &mut content)
    }

    /// A reader of a file's content, and its length in bytes.
    fn content(&self, path: &Path) -> io::Result<(Box<dyn Read>, u64)> {
        if let Some(loader) = self.loader(path) {
            let len = loader.len() as u64;
            return Ok((Box::new(Cursor::new(loader)), len));
        }
        let file = File::open(path)?;
        let len = file.metadata()?.len();
        Ok((Box::new(file), len))
    }

    /// The file of the site that a request names; `None` if there is none.
    fn path_of(&self, request: &str) -> Option<PathBuf> {
        let path = request.split(['?', '#']).next()?.strip_prefix(&self.prefix)?;
        // No file of the site has a name with these characters; they could lead outside the folder.
        if path.contains(['%', '\\', ':']) {
            return None;
        }
        let name = if path.is_empty() || path.ends_with('/') { format!("{path}index.html") } else { path.to_owned() };
        let inside = Path::new(&name).components().all(|part| matches!(part, Component::Normal(_)));
        let hidden = self.missing.as_ref().is_some_and(|missing| Path::new(&name).starts_with(missing));
        let file = self.folder.join(&name);
        (inside && !hidden && file.is_file()).then_some(file)
    }
}

/// Reads the head of a request and returns its path; `None` if it is not a GET request.
fn requested(stream: &TcpStream) -> io::Result<Option<String>> {
    /// Limit in bytes, more than any browser sends.
    const LONGEST_HEAD: u64 = 64 << 10;
    let mut lines = BufReader::new(stream.take(LONGEST_HEAD)).lines();
    let Some(first) = lines.next().transpose()? else { return Ok(None) };
    // The whole head must be read: closing a connection with unread bytes resets it.
    for line in lines {
        if line?.is_empty() {
            break;
        }
    }
    Ok(first.strip_prefix("GET ").and_then(|rest| rest.split(' ').next()).map(str::to_owned))
}

fn reply(mut stream: &TcpStream, status: &str, mime: &str, len: u64, content: &mut dyn Read) -> io::Result<()> {
    let head =
        format!("HTTP/1.1 {status}\r\nContent-Type: {mime}\r\nContent-Length: {len}\r\nConnection: close\r\n\r\n");
    stream.write_all(head.as_bytes())?;
    io::copy(content, &mut stream).map(drop)
}

/// The MIME type of a file, by its extension. Browsers reject scripts, WebAssembly and styles of another type.
fn mime(path: &Path) -> &'static str {
    match path.extension().and_then(|extension| extension.to_str()).unwrap_or_default() {
        "html" => "text/html; charset=utf-8",
        "js" | "mjs" => "text/javascript",
        "wasm" => "application/wasm",
        "css" => "text/css",
        "json" | "webmanifest" => "application/json",
        "svg" => "image/svg+xml",
        "png" => "image/png",
        "ico" => "image/x-icon",
        "woff2" => "font/woff2",
        "gz" => "application/gzip",
        "txt" | "md" => "text/plain; charset=utf-8",
        _ => "application/octet-stream",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn site() -> (tempfile::TempDir, Site) {
        let outer = tempfile::tempdir().unwrap();
        let folder = outer.path().join("site");
        fs::create_dir_all(folder.join("data")).unwrap();
        fs::write(outer.path().join("secret.txt"), "secret").unwrap();
        fs::write(folder.join("index.html"), "<p>hello").unwrap();
        fs::write(folder.join("data/a.gz"), "a").unwrap();
        let site = Site { folder, prefix: "/inkling/".to_owned(), missing: None, in_workers: None };
        (outer, site)
    }

    #[test]
    fn files_of_the_site_are_found() {
        let (_outer, site) = site();
        assert_eq!(site.path_of("/inkling/"), Some(site.folder.join("index.html")));
        assert_eq!(site.path_of("/inkling/?engine=cpu#top"), Some(site.folder.join("index.html")));
        assert_eq!(site.path_of("/inkling/data/a.gz"), Some(site.folder.join("data/a.gz")));
    }

    #[test]
    fn no_other_files_are_found() {
        let (_outer, site) = site();
        for request in [
            "/",
            "/index.html",
            "/inkling/none",
            "/inkling/data",
            "/inkling/../secret.txt",
            "/inkling/%2e%2e/secret.txt",
            "/inkling/data/../../secret.txt",
            "/inkling/..\\secret.txt",
            "/inkling//etc/passwd",
        ] {
            assert_eq!(site.path_of(request), None, "{request}");
        }
    }

    #[test]
    fn a_folder_can_be_hidden() {
        let (_outer, site) = site();
        let site = Site { missing: Some("data".into()), ..site };
        assert_eq!(site.path_of("/inkling/data/a.gz"), None);
        assert!(site.path_of("/inkling/").is_some());
    }

    #[test]
    fn mime_types_are_those_that_browsers_require() {
        assert_eq!(mime(Path::new("app_bg.wasm")), "application/wasm");
        assert_eq!(mime(Path::new("worker_loader.js")), "text/javascript");
        assert_eq!(mime(Path::new("train-images-idx3-ubyte.gz")), "application/gzip");
        assert_eq!(mime(Path::new("LICENSE")), "application/octet-stream");
    }

    #[test]
    fn concurrent_connections_are_answered_over_http() {
        let (_outer, site) = site();
        let server = StaticServer::start(&site.folder, "/inkling/").unwrap();
        let get = |stream: &mut TcpStream, path: &str| {
            stream.write_all(format!("GET {path} HTTP/1.1\r\nHost: here\r\n\r\n").as_bytes()).unwrap();
            let mut answer = String::new();
            stream.read_to_string(&mut answer).unwrap();
            answer
        };
        // Many connections are open at once, and the first one sends its request last.
        let mut streams: Vec<_> = (0..20).map(|_| TcpStream::connect(server.address).unwrap()).collect();
        for stream in streams.iter_mut().rev() {
            let answer = get(stream, "/inkling/?a=b");
            assert!(answer.starts_with("HTTP/1.1 200") && answer.ends_with("<p>hello"), "{answer}");
            assert!(answer.contains("text/html"));
        }
        let answer = get(&mut TcpStream::connect(server.address).unwrap(), "/inkling/none");
        assert!(answer.starts_with("HTTP/1.1 404"), "{answer}");
    }
}
