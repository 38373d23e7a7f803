//! A panic of the page itself: shown in the document without the page's views, which may be broken by it. It never
//! recovers.

use std::panic::{self, PanicHookInfo};

use gloo::utils::document;

/// Shows every panic of the page to the user, and logs it to the console for developers.
pub fn install() {
    panic::set_hook(Box::new(|info| {
        console_error_panic_hook::hook(info);
        show(info);
    }));
}

fn show(info: &PanicHookInfo) {
    let (Some(body), Ok(notice)) = (document().body(), document().create_element("div")) else { return };
    let reason = info.payload_as_str().unwrap_or("the reason is in the console");
    notice.set_text_content(Some(&format!("This page has stopped working: {reason}. Reload it to start again.")));
    // These names and values are valid, and the body accepts an element.
    for (name, value) in [("class", "error-banner"), ("role", "alert"), ("data-testid", "error")] {
        let _ = notice.set_attribute(name, value);
    }
    let _ = body.insert_before(&notice, body.first_child().as_ref());
}
