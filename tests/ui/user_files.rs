//! Browser tests of the user data set.

use crate::visit::{LONG_TIMEOUT, SHORT_TIMEOUT, Visit};

/// A user data set: 40 noisy images with labels, as a pair of IDX files. A tenth of them becomes the test set.
#[test]
fn a_user_data_set_is_trained_on() {
    let mut visit = Visit::new("engine=cpu&model=compact&epochs=1&batch=12");
    visit.wait_for_state("ready", LONG_TIMEOUT);
    visit.page.wait_for("document.querySelector(\"[data-testid='own-images']\") && [1]", SHORT_TIMEOUT).unwrap();
    add_files(&mut visit, 40);
    let chosen = "document.querySelector(\"[data-testid='dataset']\").value === 'dropped'";
    visit.page.wait_for(chosen, SHORT_TIMEOUT).unwrap();
    visit.page.click("start").unwrap();
    visit.wait_for_state("finished", LONG_TIMEOUT);
    assert_eq!(visit.attribute("dataset-report", "data-dataset"), "dropped");
    assert_eq!(visit.n_steps(), 3, "36 images in batches of 12");
    visit.assert_clean();
}

#[test]
fn invalid_files_are_rejected_and_the_data_set_stays() {
    let mut visit = Visit::new("engine=cpu&model=compact&epochs=1&batch=12&dataset=mnist");
    visit.wait_for_state("ready", LONG_TIMEOUT);
    visit.page.wait_for("document.querySelector(\"[data-testid='own-images']\") && [1]", SHORT_TIMEOUT).unwrap();
    // Labels for 40 images beside 39 of them.
    add_files(&mut visit, 39);
    visit.page.wait_for("document.querySelector(\"[data-testid='error']\")?.innerText", SHORT_TIMEOUT).unwrap();
    let message = visit.page.text("error").unwrap();
    assert!(message.contains("39") && message.contains("40"), "{message}");
    let data_set = "document.querySelector(\"[data-testid='dataset']\").value";
    assert_eq!(visit.page.evaluate(data_set).unwrap(), "mnist");
}

/// Adds two IDX files to the page: the labels of 40 images, and `n_images` images.
fn add_files(visit: &mut Visit, n_images: usize) {
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
