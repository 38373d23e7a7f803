//! Tests the driver in a real Chromium, on a page that only these tests use and the static server serves.
//! `cargo xtask test browser` runs them; a plain `cargo test` does not.

use std::fs;
use std::time::Duration;

use browser_driver::server::StaticServer;
use browser_driver::{self as browser, Browser, Page, Viewport};

const PAGE: &str = r#"<!doctype html><meta name="viewport" content="width=device-width"><link rel="icon" href="data:,">
    <style>body { height: 3000px; margin: 20px } canvas { touch-action: none; background: silver }</style>
    <button data-testid="count" onclick="this.dataset.n = 1 + Number(this.dataset.n ?? 0)">press</button>
    <button data-testid="off" disabled>off</button>
    <button data-testid="shy" onpointermove="this.style.position = 'fixed'; this.style.top = '60%'"
        onclick="this.dataset.clicked = true">press if you can</button>
    <input data-testid="field">
    <canvas data-testid="pad" width="200" height="200"></canvas>
    <script>
        const pad = document.querySelector("canvas"), events = [];
        for (const name of ["pointerdown", "pointermove", "pointerup", "pointercancel"])
            pad.addEventListener(name, (event) => events.push(`${name} ${event.pointerType}`));
        document.addEventListener("keydown", (event) => events.push((event.ctrlKey ? "Control+" : "") + event.key));
        new Worker("worker.js").onmessage = (event) => document.body.dataset.worker = event.data;
    </script>"#;
const WORKER: &str = r#"
    globalThis.memory = new WebAssembly.Memory({ initial: 2 });
    fetch("data/x").then((answer) => { console.error("the worker complains"); postMessage(answer.status); });"#;
const LIMIT: Duration = Duration::from_secs(20);

/// An open page, and the browser, server and folder that it needs.
struct Visit {
    page: Page,
    url: String,
    _browser: Browser,
    _server: StaticServer,
    _folder: tempfile::TempDir,
}

impl Visit {
    fn begin() -> Self {
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join("index.html"), PAGE).unwrap();
        fs::write(folder.path().join("worker.js"), WORKER).unwrap();
        let server = StaticServer::start(folder.path(), "/below/").unwrap();
        let mut browser = Browser::launch(&browser::find().unwrap(), &[]).unwrap();
        let mut page = browser.page().unwrap();
        let url = server.url().to_owned();
        page.navigate(&url).unwrap();
        Self { page, url, _browser: browser, _server: server, _folder: folder }
    }
}

#[test]
fn clicks_keys_and_strokes_reach_the_page() {
    let mut visit = Visit::begin();
    let page = &mut visit.page;
    page.click("count").unwrap();
    page.click("count").unwrap();
    assert_eq!(page.attribute("count", "data-n").unwrap().as_deref(), Some("2"));
    assert!(page.click("off").unwrap_err().to_string().contains("disabled"));
    assert!(page.click("none").is_err());
    page.fill("field", "12").unwrap();
    assert_eq!(page.evaluate("document.querySelector('input').value").unwrap(), "12");

    page.stroke("pad", &[(0.2, 0.2), (0.5, 0.5), (0.8, 0.8)]).unwrap();
    page.pen_stroke("pad", &[(0.2, 0.2), (0.8, 0.8)]).unwrap();
    page.touch_stroke("pad", &[(0.5, 0.8), (0.5, 0.5), (0.5, 0.2)]).unwrap();
    let events = page.evaluate("events.join()").unwrap().as_str().unwrap().to_owned();
    for pointer in ["mouse", "pen", "touch"] {
        assert!(events.contains(&format!("pointerdown {pointer},pointermove {pointer}")), "{events}");
        assert!(events.contains(&format!("pointerup {pointer}")), "{events}");
    }
    page.press("Control+z").unwrap();
    page.press("Enter").unwrap();
    assert!(page.evaluate("events.join()").unwrap().as_str().unwrap().ends_with("Control+z,Enter"));
}

/// An element that moves away from the pointer is clicked where it comes to rest, and nothing else is clicked
/// meanwhile.
#[test]
fn a_click_follows_a_moving_element() {
    let mut visit = Visit::begin();
    let page = &mut visit.page;
    page.evaluate("document.body.onclick = ({ target }) => events.push(target.dataset.testid)").unwrap();
    page.click("shy").unwrap();
    assert_eq!(page.attribute("shy", "data-clicked").unwrap().as_deref(), Some("true"));
    assert_eq!(page.evaluate("events.join()").unwrap(), "shy");
}

#[test]
fn requests_errors_and_long_tasks_are_recorded() {
    let mut visit = Visit::begin();
    let (page, url) = (&mut visit.page, &visit.url);
    page.wait_for("document.body.dataset.worker === '404'", LIMIT).unwrap();
    let requested = |page: &Page, name: &str| page.requests().iter().any(|request| *request == format!("{url}{name}"));
    assert!(requested(page, "") && requested(page, "worker.js") && requested(page, "data/x"), "{:?}", page.requests());
    assert!(page.errors().iter().any(|error| error.contains("the worker complains")), "{:?}", page.errors());

    page.evaluate("setTimeout(() => { const began = performance.now(); while (performance.now() < began + 120); }), 0")
        .unwrap();
    page.wait_for("__longTasks.some((ms) => ms > 100)", LIMIT).unwrap();
    assert!(page.long_tasks_ms().unwrap().iter().any(|ms| *ms > 100.0));
    assert!(page.evaluate("nothing.at.all").unwrap_err().to_string().contains("nothing is not defined"));
}

#[test]
fn memory_of_page_and_worker_is_measured() {
    let mut visit = Visit::begin();
    let page = &mut visit.page;
    page.wait_for("document.body.dataset.worker", LIMIT).unwrap();
    assert_eq!(page.workers().unwrap().len(), 1);
    let [tab, worker] = page.held().unwrap()[..] else { panic!("not a tab and a worker") };
    assert!(tab.heap > 0 && worker.heap > 0, "{tab:?} {worker:?}");
    // Two pages of WebAssembly memory have 64 KiB each.
    assert_eq!((tab.wasm, worker.wasm, worker.gpu_buffers), (0, 2 * 65536, 0));
    page.navigate("about:blank").unwrap();
    assert!(page.workers().unwrap().is_empty());
}

#[test]
fn a_registered_script_runs_before_those_of_the_page() {
    let mut visit = Visit::begin();
    let (page, url) = (&mut visit.page, visit.url.clone());
    page.add_init_script("globalThis.first = typeof events").unwrap();
    page.navigate(&url).unwrap();
    assert_eq!(page.evaluate("[first, typeof events].join()").unwrap(), "undefined,object");
    page.stroke_with_late_lift("pad", &[(0.2, 0.2), (0.5, 0.5), (0.8, 0.8)]).unwrap();
    let pen_events = "events.filter((event) => event.includes('pen')).join()";
    let pen_events = page.evaluate(pen_events).unwrap().as_str().unwrap().to_owned();
    assert!(pen_events.ends_with("pointerdown pen,pointermove pen,pointerup pen"), "{pen_events}");
}

#[test]
fn conditions_are_awaited_across_a_reload_until_a_limit() {
    let mut visit = Visit::begin();
    let page = &mut visit.page;
    page.evaluate("setTimeout(() => location.assign('?again'), 100), 0").unwrap();
    assert_eq!(page.wait_for("location.search === '?again' && 7", LIMIT).unwrap(), 7);
    let error =
        page.wait_for("document.querySelector('#none').id", Duration::from_millis(200)).unwrap_err().to_string();
    assert!(error.contains("did not hold") && error.contains("TypeError"), "{error}");
}

#[test]
fn a_phone_with_dark_colours_is_emulated() {
    let mut visit = Visit::begin();
    let page = &mut visit.page;
    page.set_viewport(Viewport { width: 360, height: 640, scale: 2.0, mobile: true }).unwrap();
    page.prefer(true, true).unwrap();
    let preferred = "matchMedia('(prefers-color-scheme: dark) and (prefers-reduced-motion)').matches";
    assert_eq!(page.evaluate(preferred).unwrap(), true);
    assert_eq!(page.evaluate("innerWidth").unwrap(), 360);
    // The width and the height of a PNG are its bytes 16 to 23.
    let side = |png: &[u8], at: usize| u32::from_be_bytes(png[at..at + 4].try_into().unwrap());
    let size = |png: &[u8]| (side(png, 16), side(png, 20));
    assert_eq!(size(&page.screenshot(false).unwrap()), (720, 1280));
    assert!(size(&page.screenshot(true).unwrap()).1 > 6000);
}
