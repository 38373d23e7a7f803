//! Brings a person's own images in: chosen in a field, or dropped anywhere on the page.

use leptos::ev;
use leptos::prelude::*;
use leptos::task::spawn_local;
use wasm_bindgen::JsCast;
use wasm_bindgen_futures::JsFuture;
use web_sys::{DragEvent, FileList, HtmlInputElement};

use crate::link::state::Page;
use crate::model::user_files::Files;

/// More than this, all together, is no set of small images, and too much for a tab.
const MAX_BYTES: f64 = (1u32 << 29) as f64;

/// Chooses the files of a data set.
#[component]
pub fn OwnImages(page: Page) -> impl IntoView {
    let choose = move |event: ev::Event| {
        let Some(input) = event.target().and_then(|target| target.dyn_into::<HtmlInputElement>().ok()) else { return };
        bring(page, input.files());
    };
    // Emptied first, so that the same files can be chosen again.
    let empty = |event: ev::MouseEvent| {
        if let Some(input) = event.target().and_then(|target| target.dyn_into::<HtmlInputElement>().ok()) {
            input.set_value("");
        }
    };
    view! {
        <div class="field field-wide">
            <label class="field-label" for="own-images">"Own images…"</label>
            <input class="field-input field-files" id="own-images" data-testid="own-images" type="file" multiple=true
                aria-describedby="own-images-hint" on:click=empty on:change=choose />
            <p class="field-hint" id="own-images-hint">
                "Two or four IDX files such as Fashion-MNIST’s, gzipped or not: images of 28×28 and labels from 0 to 9. "
                "Or drop them anywhere on the page."
            </p>
        </div>
    }
    .into_any()
}

/// Takes files that are dropped on the page, and shows that it would while they are held over it.
#[component]
pub fn DropZone(page: Page) -> impl IntoView {
    let held = RwSignal::new(false);
    let over = window_event_listener(ev::dragover, move |event| {
        if holds_files(&event) {
            event.prevent_default();
            held.set(true);
        }
    });
    let leave = window_event_listener(ev::dragleave, move |event| {
        // From one element to the next there is a related one; out of the window there is none.
        if event.related_target().is_none() {
            held.set(false);
        }
    });
    let drop = window_event_listener(ev::drop, move |event| {
        if holds_files(&event) {
            event.prevent_default();
            bring(page, event.data_transfer().and_then(|data| data.files()));
        }
        held.set(false);
    });
    on_cleanup(move || [over, leave, drop].into_iter().for_each(|listener| listener.remove()));
    view! {
        <Show when=move || held.get()>
            <div class="drop-zone" data-testid="drop-zone" aria-hidden="true">
                <p class="drop-zone-text">"Drop IDX files to learn from them"</p>
            </div>
        </Show>
    }
    .into_any()
}

/// Texts and links are dragged too: those are the browser's business.
fn holds_files(event: &DragEvent) -> bool {
    event
        .data_transfer()
        .is_some_and(|data| data.types().iter().any(|kind| kind.as_string().as_deref() == Some("Files")))
}

/// Reads files and hands them to the page; says what is wrong with those that cannot be read.
fn bring(page: Page, list: Option<FileList>) {
    let files: Vec<_> = list.into_iter().flat_map(|list| (0..list.length()).filter_map(move |i| list.get(i))).collect();
    if files.is_empty() {
        return;
    }
    if files.iter().map(|file| file.size()).sum::<f64>() > MAX_BYTES {
        page.complain("These files are too large for a tab. Bring IDX files of 28×28 images, at most 512 MB together.");
        return;
    }
    spawn_local(async move {
        match read(&files).await {
            Ok(files) => page.offer(files),
            Err(name) => page.complain(&format!(
                "{name} could not be read. Bring the files themselves, not their folder, and leave them where they are."
            )),
        }
    });
}

/// The bytes of files, or the name of the first one that has none.
async fn read(files: &[web_sys::File]) -> Result<Files, String> {
    let mut read = Files::new();
    for file in files {
        let buffer = JsFuture::from(file.array_buffer()).await.map_err(|_| file.name())?;
        read.push((file.name(), js_sys::Uint8Array::new(&buffer).to_vec()));
    }
    Ok(read)
}
