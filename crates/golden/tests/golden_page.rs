//! Four of the five networks against Keras in a real browser, on both engines: see `tests/golden/page.rs`.

use std::path::PathBuf;
use std::time::Duration;

use browser_driver::Browser;
use browser_driver::server::StaticServer;

/// The software adapter computes 64 images in all, and compiles some fifty shaders on two cores.
const PATIENTLY: Duration = Duration::from_secs(400);

#[test]
fn networks_are_keras_s_in_a_browser() {
    let server = StaticServer::start(&told("INKLING_GOLDEN"), "/").unwrap();
    let mut browser = Browser::launch(&told("INKLING_CHROME"), &[]).unwrap();
    let mut page = browser.page().unwrap();
    page.navigate(server.url()).unwrap();
    let answered = "document.body && document.body.dataset.result !== undefined && [document.body.dataset.result]";
    let answer = page.wait_for(answered, PATIENTLY).unwrap();
    assert_eq!(answer[0], "", "what is not Keras's");
}

fn told(name: &str) -> PathBuf {
    let value = std::env::var_os(name);
    value.unwrap_or_else(|| panic!("{name} is not set: run this test with `cargo xtask test browser`")).into()
}
