//! A page that compares networks with Keras in a browser, on both engines, and says so in its `data-result`: empty where all
//! is well, else what is not.

use std::panic;

use burn::tensor::Device;
use inkling_core::spec::ModelId;
use inkling_golden::compare::{Way, check};
use inkling_golden::{bending, dropping, recording, tiling};
use wasm_bindgen_futures::spawn_local;

/// Those that a software adapter does in seconds.
const MODELS: [ModelId; 4] = [ModelId::Compact, ModelId::Strided, ModelId::Leaky, ModelId::Classic];

pub fn start() {
    panic::set_hook(Box::new(|info| say(&format!("broke down: {info}"))));
    spawn_local(async {
        say(&all().await.err().unwrap_or_default());
    });
}

async fn all() -> Result<(), String> {
    inkling_shaders::construct();
    let card = Device::wgpu_options().init_async().await.map_err(|error| error.to_string())?;
    for (engine, device) in [("cpu", Device::flex()), ("webgpu", card)] {
        bending::check(&device).await.map_err(|what| format!("on {engine} {what}"))?;
        dropping::check(&device).await.map_err(|what| format!("dropout on {engine}: {what}"))?;
        tiling::check(&device).await.map_err(|what| format!("on {engine} {what}"))?;
        recording::check(&device).await.map_err(|what| format!("on {engine} {what}"))?;
        let way = Way { device, by_burn: false };
        for model in MODELS {
            check(model, &way).await.map_err(|what| format!("{model} on {engine}: {what}"))?;
        }
    }
    Ok(())
}

fn say(result: &str) {
    let body = web_sys::window().and_then(|window| window.document()).and_then(|document| document.body());
    if let Some(body) = body {
        // Fails for names that are no attributes; this is one.
        let _ = body.set_attribute("data-result", result);
    }
}
