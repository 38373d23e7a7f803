//! Images of one's own in a real browser.

use crate::visit::{PATIENTLY, SOON, Visit};

/// Images of one's own: 40 noisy ones with labels, as a pair of IDX files. A tenth of them is kept to test on.
#[test]
fn own_images_are_trained_on() {
    let mut visit = Visit::new("engine=cpu&model=compact&epochs=1&batch=12");
    visit.wait_for_state("ready", PATIENTLY);
    visit.page.wait_for("document.querySelector(\"[data-testid='own-images']\") && [1]", SOON).unwrap();
    give(&mut visit, 40);
    let chosen = "document.querySelector(\"[data-testid='dataset']\").value === 'dropped'";
    visit.page.wait_for(chosen, SOON).unwrap();
    visit.page.click("start").unwrap();
    visit.wait_for_state("finished", PATIENTLY);
    assert_eq!(visit.attribute("dataset-report", "data-dataset"), "dropped");
    assert_eq!(visit.n_steps(), 3, "36 images in batches of 12");
    visit.assert_clean();
}

#[test]
fn files_that_are_no_images_are_refused_and_nothing_is_lost() {
    let mut visit = Visit::new("engine=cpu&model=compact&epochs=1&batch=12&dataset=mnist");
    visit.wait_for_state("ready", PATIENTLY);
    visit.page.wait_for("document.querySelector(\"[data-testid='own-images']\") && [1]", SOON).unwrap();
    // Labels for 40 images beside 39 of them.
    give(&mut visit, 39);
    visit.page.wait_for("document.querySelector(\"[data-testid='error']\")?.innerText", SOON).unwrap();
    let told = visit.page.text("error").unwrap();
    assert!(told.contains("39") && told.contains("40"), "{told}");
    let kept = "document.querySelector(\"[data-testid='dataset']\").value";
    assert_eq!(visit.page.evaluate(kept).unwrap(), "mnist");
}

/// Hands the page two IDX files: labels of 40 images, and so many images.
fn give(visit: &mut Visit, n_images: usize) {
    let script = format!(
        "(() => {{
            const header = (magic, ...sizes) => [magic, ...sizes].flatMap((n) => [n >>> 24, n >>> 16 & 255, n >>> 8 & 255, n & 255]);
            const pixels = Array.from({{ length: {n_images} * 784 }}, (_, i) => (i * 2654435761 >>> 24));
            const images = new Uint8Array([...header(2051, {n_images}, 28, 28), ...pixels]);
            const labels = new Uint8Array([...header(2049, 40), ...Array.from({{ length: 40 }}, (_, i) => i % 10)]);
            const files = new DataTransfer();
            files.items.add(new File([images], 'own-images-idx3-ubyte'));
            files.items.add(new File([labels], 'own-labels-idx1-ubyte'));
            const input = document.querySelector(\"[data-testid='own-images']\");
            input.files = files.files;
            input.dispatchEvent(new Event('change', {{ bubbles: true }}));
        }})()"
    );
    visit.page.evaluate(&script).unwrap();
}
