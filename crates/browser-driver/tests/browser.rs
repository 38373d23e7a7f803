//! The driver against a page of its own, served by the static server, in a real Chromium.
//! Run by `cargo xtask test browser`; a plain `cargo test` leaves it out.

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

/// A page that is open, and what must live as long as it.
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
fn a_person_can_press_type_and_draw() {
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

/// What moves away under the pointer is pressed where it comes to rest, and nothing else is pressed meanwhile.
#[test]
fn a_press_follows_what_it_is_for() {
    let mut visit = Visit::begin();
    let page = &mut visit.page;
    page.evaluate("document.body.onclick = ({ target }) => events.push(target.dataset.testid)").unwrap();
    page.click("shy").unwrap();
    assert_eq!(page.attribute("shy", "data-clicked").unwrap().as_deref(), Some("true"));
    assert_eq!(page.evaluate("events.join()").unwrap(), "shy");
}

#[test]
fn the_page_and_its_worker_are_watched() {
    let mut visit = Visit::begin();
    let (page, url) = (&mut visit.page, &visit.url);
    page.wait_for("document.body.dataset.worker === '404'", LIMIT).unwrap();
    let asked = |page: &Page, name: &str| page.requests().iter().any(|request| *request == format!("{url}{name}"));
    assert!(asked(page, "") && asked(page, "worker.js") && asked(page, "data/x"), "{:?}", page.requests());
    assert!(page.errors().iter().any(|error| error.contains("the worker complains")), "{:?}", page.errors());

    page.evaluate("setTimeout(() => { const began = performance.now(); while (performance.now() < began + 120); }), 0")
        .unwrap();
    page.wait_for("__longTasks.some((ms) => ms > 100)", LIMIT).unwrap();
    assert!(page.long_tasks_ms().unwrap().iter().any(|ms| *ms > 100.0));
    assert!(page.evaluate("nothing.at.all").unwrap_err().to_string().contains("nothing is not defined"));
}

#[test]
fn what_page_and_worker_hold_is_told() {
    let mut visit = Visit::begin();
    let page = &mut visit.page;
    page.wait_for("document.body.dataset.worker", LIMIT).unwrap();
    assert_eq!(page.workers().unwrap().len(), 1);
    let [tab, worker] = page.held().unwrap()[..] else { panic!("not a tab and a worker") };
    assert!(tab.heap > 0 && worker.heap > 0, "{tab:?} {worker:?}");
    // Two pages of WebAssembly's memory.
    assert_eq!((tab.wasm, worker.wasm, worker.gpu_buffers), (0, 2 * 65536, 0));
    page.navigate("about:blank").unwrap();
    assert!(page.workers().unwrap().is_empty());
}

#[test]
fn a_script_runs_before_those_of_the_page() {
    let mut visit = Visit::begin();
    let (page, url) = (&mut visit.page, visit.url.clone());
    page.run_first("globalThis.first = typeof events").unwrap();
    page.navigate(&url).unwrap();
    assert_eq!(page.evaluate("[first, typeof events].join()").unwrap(), "undefined,object");
    page.flick("pad", &[(0.2, 0.2), (0.5, 0.5), (0.8, 0.8)]).unwrap();
    let drawn = "events.filter((event) => event.includes('pen')).join()";
    let moved = page.evaluate(drawn).unwrap().as_str().unwrap().to_owned();
    assert!(moved.ends_with("pointerdown pen,pointermove pen,pointerup pen"), "{moved}");
}

#[test]
fn conditions_are_awaited_across_a_reload_and_not_for_ever() {
    let mut visit = Visit::begin();
    let page = &mut visit.page;
    page.evaluate("setTimeout(() => location.assign('?again'), 100), 0").unwrap();
    assert_eq!(page.wait_for("location.search === '?again' && 7", LIMIT).unwrap(), 7);
    let told = page.wait_for("document.querySelector('#none').id", Duration::from_millis(200)).unwrap_err().to_string();
    assert!(told.contains("did not hold") && told.contains("TypeError"), "{told}");
}

#[test]
fn a_phone_in_the_dark_is_pictured() {
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
