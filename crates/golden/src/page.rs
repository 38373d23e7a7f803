//! A page that compares networks with Keras in a browser, on both engines, and sets the attribute `data-result` of its
//! body: empty if everything agrees, otherwise the first difference. It never shows anything.

use std::panic;

use burn::tensor::Device;
use inkling_core::spec::ModelId;
use inkling_golden::compare::{ComputeConfig, check};
use inkling_golden::on_gpu::{augmentation, dropout, elementwise, recorded_steps, tiles};
use wasm_bindgen_futures::spawn_local;

/// The networks that a software adapter computes within seconds.
const MODELS: [ModelId; 4] = [ModelId::Compact, ModelId::Strided, ModelId::Leaky, ModelId::Classic];

/// Starts all comparisons; their result is in `data-result` when they end, also after a panic.
pub fn start() {
    panic::set_hook(Box::new(|info| set_result(&format!("broke down: {info}"))));
    spawn_local(async {
        set_result(&check_all().await.err().unwrap_or_default());
    });
}

async fn check_all() -> Result<(), String> {
    inkling_shaders::run_constructors();
    let card = Device::wgpu_options().init_async().await.map_err(|error| error.to_string())?;
    for (engine, device) in [("cpu", Device::flex()), ("webgpu", card)] {
        augmentation::check(&device).await.map_err(|what| format!("on {engine} {what}"))?;
        dropout::check(&device).await.map_err(|what| format!("dropout on {engine}: {what}"))?;
        elementwise::check(&device).await.map_err(|what| format!("on {engine} {what}"))?;
        tiles::check(&device).await.map_err(|what| format!("on {engine} {what}"))?;
        recorded_steps::check(&device).await.map_err(|what| format!("on {engine} {what}"))?;
        let way = ComputeConfig { device, backend: None };
        for model in MODELS {
            check(model, &way).await.map_err(|what| format!("{model} on {engine}: {what}"))?;
        }
    }
    Ok(())
}

fn set_result(result: &str) {
    let body = web_sys::window().and_then(|window| window.document()).and_then(|document| document.body());
    if let Some(body) = body {
        // Fails only for invalid attribute names.
        let _ = body.set_attribute("data-result", result);
    }
}
