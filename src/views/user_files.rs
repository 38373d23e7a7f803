//! Adds user files: chosen in a form field, or dropped anywhere on the page. It never interprets their content.

use leptos::ev;
use leptos::prelude::*;
use leptos::task::spawn_local;
use wasm_bindgen::JsCast;
use wasm_bindgen_futures::JsFuture;
use web_sys::{DragEvent, FileList, HtmlInputElement};

use crate::link::state::Page;
use crate::model::user_files::Files;

/// Largest total size in bytes, checked before anything is read. MNIST unpacked has 55 MB; EMNIST's largest split, ten
/// times as many images, fits too as long as it is gzipped.
const MAX_BYTES: f64 = 128e6;

/// The field that chooses the files of a user data set.
#[component]
pub fn UserFilesField(page: Page) -> impl IntoView {
    let choose = move |event: ev::Event| {
        let Some(input) = event.target().and_then(|target| target.dyn_into::<HtmlInputElement>().ok()) else { return };
        add_files(page, input.files());
    };
    // Clears the field first, so that the same files can be chosen again.
    let clear = |event: ev::MouseEvent| {
        if let Some(input) = event.target().and_then(|target| target.dyn_into::<HtmlInputElement>().ok()) {
            input.set_value("");
        }
    };
    view! {
        <div class="field field-wide">
            <label class="field-label" for="own-images">"Your own images…"</label>
            <input class="field-input field-files" id="own-images" data-testid="own-images" type="file" multiple=true
                aria-describedby="own-images-hint" on:click=clear on:change=choose />
            <p class="field-hint" id="own-images-hint">
                "Two or four IDX files such as Fashion-MNIST’s, gzipped or not: images of 28×28 and labels from 0 to 9. "
                "Or drop them anywhere on the page."
            </p>
        </div>
    }
    .into_any()
}

/// Accepts files that are dropped on the page, and shows a hint while they are dragged over it.
#[component]
pub fn DropZone(page: Page) -> impl IntoView {
    let is_dragging = RwSignal::new(false);
    let over = window_event_listener(ev::dragover, move |event| {
        if holds_files(&event) {
            event.prevent_default();
            is_dragging.set(true);
        }
    });
    let leave = window_event_listener(ev::dragleave, move |event| {
        // A move to another element has a related target. Leaving the window has none.
        if event.related_target().is_none() {
            is_dragging.set(false);
        }
    });
    let drop = window_event_listener(ev::drop, move |event| {
        if holds_files(&event) {
            event.prevent_default();
            add_files(page, event.data_transfer().and_then(|data| data.files()));
        }
        is_dragging.set(false);
    });
    on_cleanup(move || [over, leave, drop].into_iter().for_each(|listener| listener.remove()));
    view! {
        <Show when=move || is_dragging.get()>
            <div class="drop-zone" data-testid="drop-zone" aria-hidden="true">
                <p class="drop-zone-text">"Drop IDX files to train on them"</p>
            </div>
        </Show>
    }
    .into_any()
}

/// Whether a drag carries files. Text and links are dragged too, and are left to the browser.
fn holds_files(event: &DragEvent) -> bool {
    event
        .data_transfer()
        .is_some_and(|data| data.types().iter().any(|kind| kind.as_string().as_deref() == Some("Files")))
}

/// Reads the files and submits them to the page, or shows a message about the problem.
fn add_files(page: Page, list: Option<FileList>) {
    let files: Vec<_> = list.into_iter().flat_map(|list| (0..list.length()).filter_map(move |i| list.get(i))).collect();
    if files.is_empty() {
        return;
    }
    if files.iter().map(|file| file.size()).sum::<f64>() > MAX_BYTES {
        page.add_message(
            "These files are too large for a tab. Choose IDX files of 28×28 images, at most 128 MB together; gzipped \
             ones are a fifth of the size.",
        );
        return;
    }
    spawn_local(async move {
        match read(&files).await {
            Ok(files) => page.add_user_files(files),
            Err(name) => page.add_message(&format!(
                "{name} could not be read. Choose the files themselves, not their folder, and do not move them."
            )),
        }
    });
}

/// Reads the bytes of all files. The error is the name of the first file that could not be read.
async fn read(files: &[web_sys::File]) -> Result<Files, String> {
    let mut read = Files::new();
    for file in files {
        let buffer = JsFuture::from(file.array_buffer()).await.map_err(|_| file.name())?;
        read.push((file.name(), js_sys::Uint8Array::new(&buffer).to_vec()));
    }
    Ok(read)
}
