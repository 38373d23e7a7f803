//! Compares four of the five published networks with Keras in a real browser, on both engines: see `src/page.rs`.
//! `cargo xtask test browser` runs it.

use std::path::PathBuf;
use std::time::Duration;

use browser_driver::Browser;
use browser_driver::server::StaticServer;

/// Timeout: the software adapter computes 64 images in all, and compiles about fifty shaders on two cores.
const TIMEOUT: Duration = Duration::from_secs(400);

#[test]
fn networks_match_keras_in_a_browser() {
    let server = StaticServer::start(&path_from_env("INKLING_GOLDEN"), "/").unwrap();
    let mut browser = Browser::launch(&path_from_env("INKLING_CHROME"), &[]).unwrap();
    let mut page = browser.page().unwrap();
    page.navigate(server.url()).unwrap();
    let finished = "document.body && document.body.dataset.result !== undefined && [document.body.dataset.result]";
    let result = page.wait_for(finished, TIMEOUT).unwrap();
    assert_eq!(result[0], "", "what is not Keras's");
}

fn path_from_env(name: &str) -> PathBuf {
    let value = std::env::var_os(name);
    value.unwrap_or_else(|| panic!("{name} is not set: run this test with `cargo xtask test browser`")).into()
}
