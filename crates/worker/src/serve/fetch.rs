//! Images and weights for the worker: MNIST and pretrained weights from beside the page, or synthetic digits drawn
//! here. It never requests anything from another host.

use futures_util::future::try_join_all;
use inkling_core::data::{Dataset, Split, mnist, synthetic};
use inkling_core::protocol::{Fault, Phase, Progress};
use inkling_core::spec::{DatasetId, ModelId};
use js_sys::{Reflect, Uint8Array};
use wasm_bindgen::{JsCast, JsValue};
use wasm_bindgen_futures::JsFuture;
use web_sys::{ReadableStreamDefaultReader, Response};

use super::{scope, yield_now};

/// The site's folder of MNIST's four gzipped files, relative to the worker's script.
const MNIST_FOLDER: &str = "./data/mnist/";
/// Synthetic digits drawn between two progress reports.
const DRAWN_AT_ONCE: usize = 1000;

/// Models whose weights are stored beside the page.
const PRETRAINED: [ModelId; 3] = [ModelId::Compact, ModelId::Strided, ModelId::Leaky];

/// Fetches the weights of a model that the site ships; `None` if it ships none or they cannot be fetched.
pub async fn pretrained(model: ModelId) -> Option<Vec<u8>> {
    if !PRETRAINED.contains(&model) {
        return None;
    }
    let response = request(format!("./weights/{model}.safetensors")).await.ok()?;
    read(&response, |_| {}).await.ok()
}

/// Loads a data set, and returns with it a message for the user when it is not the requested one. `on_progress`
/// receives the progress.
///
/// # Errors
/// When a file is damaged, or the data set is not available in a browser.
pub async fn dataset(id: &DatasetId, on_progress: impl Fn(Progress)) -> Result<(Dataset, Option<String>), Fault> {
    match id {
        DatasetId::Synthetic => Ok((draw(on_progress).await, None)),
        // The session holds the user's files itself and asks for them only when it has none.
        DatasetId::UserFiles => {
            Err(Fault::new("No files were dropped yet", "Drop them on the page, then start again."))
        }
        DatasetId::Folder(path) => {
            let what = format!("The folder {path} cannot be read from a browser");
            Err(Fault::new(what, "Choose the data set \"mnist\" or \"synthetic\"."))
        }
        DatasetId::Mnist => match files(&on_progress).await {
            Ok(files) => unpack(files, on_progress).await.map(|dataset| (dataset, None)),
            Err(why) => {
                let fallback =
                    format!("MNIST is not to be had here ({why}); these are Inkling's own synthetic digits.");
                Ok((draw(on_progress).await, Some(fallback)))
            }
        },
    }
}

/// Draws the synthetic data set, in pieces between which requests are handled.
async fn draw(on_progress: impl Fn(Progress)) -> Dataset {
    let train = draw_split(0, synthetic::N_TRAIN, &on_progress).await;
    let test = draw_split(synthetic::N_TRAIN, synthetic::N_TEST, &on_progress).await;
    Dataset { id: DatasetId::Synthetic, train, validation: None, test }
}

async fn draw_split(first_index: usize, n_images: usize, on_progress: &impl Fn(Progress)) -> Split {
    let total = (synthetic::N_TRAIN + synthetic::N_TEST) as u64;
    let mut split = Split::default();
    for first in (first_index..first_index + n_images).step_by(DRAWN_AT_ONCE) {
        on_progress(Progress { phase: Phase::Data, done: first as u64, total });
        let n_drawn = DRAWN_AT_ONCE.min(first_index + n_images - first);
        split.append(synthetic::split(synthetic::SEED, first, n_drawn));
        yield_now().await;
    }
    split
}

/// Unpacks and checks MNIST's four gzipped files, between which requests are handled. Progress is counted in unpacked
/// bytes.
async fn unpack(files: [Vec<u8>; 4], on_progress: impl Fn(Progress)) -> Result<Dataset, Fault> {
    let total = mnist::FILES.iter().map(|file| file.n_bytes as u64).sum();
    let mut done = 0;
    let damaged = |error: mnist::MnistError| {
        Fault::new(format!("MNIST beside this page is damaged: {error}"), "Choose \"synthetic\", or tell the host.")
    };
    let mut unpacked: [Vec<u8>; 4] = Default::default();
    for ((file, packed), slot) in mnist::FILES.iter().zip(&files).zip(&mut unpacked) {
        on_progress(Progress { phase: Phase::Unpack, done, total });
        *slot = mnist::unpack(file, packed).map_err(damaged)?;
        done += slot.len() as u64;
        yield_now().await;
    }
    mnist::dataset(&unpacked).map_err(damaged)
}

/// Fetches the four gzipped files, as the site serves them.
async fn files(on_progress: &impl Fn(Progress)) -> Result<[Vec<u8>; 4], String> {
    // All requests are sent before the first response is awaited.
    let requests = mnist::FILES.map(|file| request(format!("{MNIST_FOLDER}{}", file.packed_name)));
    let responses = try_join_all(requests).await?;
    let total: u64 = responses.iter().map(length).sum();
    let mut files: [Vec<u8>; 4] = Default::default();
    let mut n_before = 0_u64;
    for (slot, response) in files.iter_mut().zip(&responses) {
        let on_bytes = |n_bytes: u64| {
            let done = n_before + n_bytes;
            on_progress(Progress { phase: Phase::Fetch, done, total: total.max(done) });
        };
        *slot = read(response, on_bytes).await?;
        n_before += slot.len() as u64;
    }
    Ok(files)
}

/// Fetches a file beside the worker's script. Errors are reasons in words, also for a response that is not a success.
async fn request(name: String) -> Result<Response, String> {
    let promise = scope().fetch_with_str(&name);
    let response = JsFuture::from(promise).await.map_err(|_| format!("{name} could not be fetched"))?;
    let response: Response = response.unchecked_into();
    if response.ok() { Ok(response) } else { Err(format!("{name}: HTTP {}", response.status())) }
}

/// The response's `content-length` in bytes, 0 without that header.
fn length(response: &Response) -> u64 {
    response.headers().get("content-length").ok().flatten().and_then(|text| text.parse().ok()).unwrap_or(0)
}

/// Reads the body of a response. `on_bytes` receives the number of bytes so far, after every chunk.
async fn read(response: &Response, on_bytes: impl Fn(u64)) -> Result<Vec<u8>, String> {
    let cut = |_: JsValue| "the connection was cut".to_owned();
    let body = response.body().ok_or("the host sent nothing")?;
    let reader: ReadableStreamDefaultReader = body.get_reader().unchecked_into();
    let mut bytes = Vec::new();
    loop {
        let chunk = JsFuture::from(reader.read()).await.map_err(cut)?;
        let value = Reflect::get(&chunk, &"value".into()).map_err(cut)?;
        if value.is_undefined() {
            return Ok(bytes);
        }
        bytes.extend(Uint8Array::new(&value).to_vec());
        on_bytes(bytes.len() as u64);
    }
}
