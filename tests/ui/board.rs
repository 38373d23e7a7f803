//! Browser tests of the scoreboard.

use crate::visit::{LONG_TIMEOUT, SHORT_TIMEOUT, Visit};

#[test]
fn the_scoreboard_shows_recorded_runs_and_copies_their_settings() {
    let mut visit = Visit::new("engine=cpu&dataset=synthetic&epochs=3&seed=9");
    visit.wait_for_state("ready", LONG_TIMEOUT);
    visit.page.wait_for("document.querySelector(\"[data-testid='scoreboard']\") && [1]", SHORT_TIMEOUT).unwrap();
    visit.page.click("scoreboard").unwrap();
    let rows = "(() => {
        const rows = [...document.querySelectorAll(\"[data-testid='board-row']\")];
        return rows.length && rows.map((row) => [row.dataset.model, Number(row.dataset.value), Number(row.dataset.published ?? 0)]);
    })()";
    let rows: Vec<(String, f64, f64)> =
        serde_json::from_value(visit.page.wait_for(rows, SHORT_TIMEOUT).unwrap()).unwrap();
    let names: Vec<_> = rows.iter().map(|(name, ..)| name.as_str()).take(6).collect();
    assert_eq!(names, ["compact", "strided", "leaky", "classic", "wide", "sprint"]);
    assert!(rows.iter().all(|(_, ours, published)| ours > published && *ours < 1.0), "{rows:?}");

    visit.page.click("repeat").unwrap();
    let address = visit.page.evaluate("location.search").unwrap();
    let address = address.as_str().unwrap();
    assert!(address.contains("engine=cpu&dataset=mnist&model=compact&split=published&epochs=20"), "{address}");
    assert!(!address.contains("seed=9"), "{address}");
    assert_eq!(visit.page.evaluate("document.activeElement.dataset.testid").unwrap(), "start");
    assert_eq!(visit.attribute("status", "data-state"), "ready");
    visit.assert_clean();
}

#[test]
fn missing_records_are_reported() {
    let mut visit = Visit::without("records.postcard", "engine=cpu");
    visit.wait_for_state("ready", LONG_TIMEOUT);
    visit.page.wait_for("document.querySelector(\"[data-testid='scoreboard']\") && [1]", SHORT_TIMEOUT).unwrap();
    visit.page.click("scoreboard").unwrap();
    let alert = "document.querySelector('.scoreboard [role=alert]')?.innerText";
    let message = visit.page.wait_for(alert, SHORT_TIMEOUT).unwrap();
    assert!(message.as_str().unwrap().contains("404") && message.as_str().unwrap().contains("Reload"), "{message}");
}
