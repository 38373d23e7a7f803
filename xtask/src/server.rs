//! A static file server on the loopback interface, for tests: serves a folder under a sub-path, as GitHub Pages would.
//! Nothing outside the folder can be reached, and nothing is ever written.

use std::fs::{self, File};
use std::path::{Component, Path, PathBuf};
use std::sync::Arc;
use std::thread::{self, JoinHandle};

use anyhow::{Result, anyhow};
use tiny_http::{Header, Request, Response, Server};

/// Requests answered at the same time: a page asks for its wasm, its worker's and the data at once.
const N_THREADS: usize = 4;

/// Serves until it is dropped.
pub struct StaticServer {
    server: Arc<Server>,
    threads: Vec<JoinHandle<()>>,
    url: String,
}

/// What is served, and where.
#[derive(Clone)]
struct Site {
    folder: PathBuf,
    /// Begins and ends with a slash.
    prefix: String,
    /// A folder of the site that is said not to exist.
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

    /// The same, but answers "not found" for everything in one folder of the site, given relative to it.
    ///
    /// # Errors
    /// When no port is free.
    pub fn start_without(folder: &Path, prefix: &str, missing: &str) -> Result<Self> {
        Self::serve(Site { missing: Some(missing.into()), ..Site::new(folder, prefix) })
    }

    /// The same as [`StaticServer::start`], but every worker runs this script before anything else: so a worker meets a
    /// browser that is none.
    ///
    /// # Errors
    /// When no port is free.
    pub fn start_with_worker_script(folder: &Path, prefix: &str, script: &str) -> Result<Self> {
        Self::serve(Site { in_workers: Some(script.into()), ..Site::new(folder, prefix) })
    }

    fn serve(site: Site) -> Result<Self> {
        let server = Server::http("127.0.0.1:0").map_err(|error| anyhow!("no port is free: {error}"))?;
        let port = server.server_addr().to_ip().map(|address| address.port()).unwrap_or_default();
        let url = format!("http://127.0.0.1:{port}{}", site.prefix);
        let server = Arc::new(server);
        let answer_all = |_| {
            let (server, site) = (Arc::clone(&server), site.clone());
            thread::spawn(move || server.incoming_requests().for_each(|request| site.answer(request)))
        };
        let threads = (0..N_THREADS).map(answer_all).collect();
        Ok(Self { server, threads, url })
    }

    /// The address of the site's first page; ends with a slash.
    pub fn url(&self) -> &str {
        &self.url
    }
}

impl Drop for StaticServer {
    fn drop(&mut self) {
        // Each call wakes one thread, which then ends.
        self.threads.iter().for_each(|_| self.server.unblock());
        self.threads.drain(..).for_each(|thread| drop(thread.join()));
    }
}

impl Site {
    fn new(folder: &Path, prefix: &str) -> Self {
        Self { folder: folder.to_owned(), prefix: prefix.to_owned(), missing: None, in_workers: None }
    }

    /// A worker's loader with the script before it.
    fn loader(&self, path: &Path) -> Option<String> {
        let script = self.in_workers.as_ref().filter(|_| path.to_string_lossy().ends_with("_loader.js"))?;
        // Imports of a module run before everything else of it, wherever they stand: a script of its own comes first.
        let script =
            format!("data:text/javascript,{}", script.bytes().map(|b| format!("%{b:02X}")).collect::<String>());
        Some(format!("import '{script}';\n{}", fs::read_to_string(path).ok()?))
    }

    fn answer(&self, request: Request) {
        let path = self.path_of(request.url());
        let loader = path.as_deref().and_then(|path| self.loader(path));
        let found = path.and_then(|path| Some((File::open(&path).ok()?, mime(&path))));
        // A visitor that went away needs no answer.
        let _ = match found {
            Some((_, mime)) if loader.is_some() => {
                let loader = Response::from_string(loader.unwrap_or_default());
                request.respond(loader.with_header(content_type(mime)))
            }
            Some((file, mime)) => request.respond(Response::from_file(file).with_header(content_type(mime))),
            None => request.respond(Response::from_string("not found").with_status_code(404)),
        };
    }

    /// The file for a request, if it can be one of the site's.
    fn path_of(&self, request: &str) -> Option<PathBuf> {
        let path = request.split(['?', '#']).next()?.strip_prefix(&self.prefix)?;
        // Names in the site are plain: whatever is escaped, or climbs, is none of them.
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

fn content_type(mime: &str) -> Header {
    Header::from_bytes("Content-Type", mime).expect("our own MIME types are plain ASCII")
}

/// The MIME type that browsers insist on.
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
    use std::fs;
    use std::io::{Read, Write};
    use std::net::TcpStream;

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
    fn nothing_else_is() {
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
    fn a_folder_can_be_left_out() {
        let (_outer, site) = site();
        let site = Site { missing: Some("data".into()), ..site };
        assert_eq!(site.path_of("/inkling/data/a.gz"), None);
        assert!(site.path_of("/inkling/").is_some());
    }

    #[test]
    fn types_are_those_that_browsers_insist_on() {
        assert_eq!(mime(Path::new("app_bg.wasm")), "application/wasm");
        assert_eq!(mime(Path::new("worker_loader.js")), "text/javascript");
        assert_eq!(mime(Path::new("train-images-idx3-ubyte.gz")), "application/gzip");
        assert_eq!(mime(Path::new("LICENSE")), "application/octet-stream");
    }

    #[test]
    fn it_answers_over_http() {
        let (_outer, site) = site();
        let server = StaticServer::start(&site.folder, "/inkling/").unwrap();
        let host = server.url().strip_prefix("http://").unwrap().split('/').next().unwrap().to_owned();
        let mut stream = TcpStream::connect(host).unwrap();
        stream.write_all(b"GET /inkling/ HTTP/1.1\r\nHost: here\r\nConnection: close\r\n\r\n").unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        assert!(answer.starts_with("HTTP/1.1 200") && answer.ends_with("<p>hello"), "{answer}");
        assert!(answer.contains("text/html"));
    }
}
