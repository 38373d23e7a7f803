//! The five networks against Keras, from the files that `tests/golden/make.py` made once with Keras itself. Our kernels
//! and burn's operations both answer; in a browser `tests/golden/page.rs` asks the same of both engines.
#![cfg(feature = "native")]

#[path = "golden/compare.rs"]
mod compare;

use burn::tensor::Device;
use compare::{Golden, Way, check};
use inkling::spec::ModelId;
use inkling::zoo;
use pollster::block_on;

fn is_keras_s(model: ModelId, by_burn: bool) {
    let way = Way { device: Device::flex(), by_burn };
    assert_eq!(block_on(check(model, &way)), Ok(()), "{model}, {way:?}");
}

#[test]
fn compact_is_keras_s() {
    is_keras_s(ModelId::Compact, false);
    is_keras_s(ModelId::Compact, true);
}

#[test]
fn strided_is_keras_s() {
    is_keras_s(ModelId::Strided, false);
    is_keras_s(ModelId::Strided, true);
}

#[test]
fn leaky_is_keras_s() {
    is_keras_s(ModelId::Leaky, false);
    is_keras_s(ModelId::Leaky, true);
}

#[test]
fn classic_is_keras_s() {
    is_keras_s(ModelId::Classic, false);
    is_keras_s(ModelId::Classic, true);
}

#[test]
fn wide_is_keras_s() {
    is_keras_s(ModelId::Wide, false);
    // burn's own way needs minutes in this profile; the other four hold it.
}

/// Only where there is a card, real or not: `cargo test --features gpu --test golden -- --ignored`.
#[cfg(feature = "gpu")]
#[test]
#[ignore = "needs a graphics card"]
fn all_are_keras_s_on_a_graphics_card() {
    let device = block_on(Device::wgpu_options().init_async()).expect("this machine has a graphics card");
    for model in ModelId::ALL {
        let way = Way { device: device.clone(), by_burn: false };
        assert_eq!(block_on(check(*model, &way)), Ok(()), "{model}");
    }
}

#[test]
fn layer_tables_are_keras_s() {
    for model in ModelId::ALL {
        let (golden, summary) = (Golden::of(*model), zoo::summary(*model));
        let published: Vec<(String, Vec<usize>, usize)> =
            serde_json::from_value(golden.0["summary"]["layers"].clone()).unwrap();
        let ours: Vec<_> =
            summary.layers.iter().map(|r| (r.kind.to_owned(), r.output_shape.clone(), r.parameters)).collect();
        let squeezed = published.into_iter().map(|(kind, shape, count)| (kind, squeeze(shape), count));
        assert_eq!(ours, squeezed.collect::<Vec<_>>(), "{model}");
        let totals = ["total", "trainable", "non_trainable"].map(|key| golden.0["summary"][key].as_u64().unwrap());
        assert_eq!([summary.total, summary.trainable, summary.non_trainable].map(|n| n as u64), totals, "{model}");
        assert_eq!(summary.total, zoo::published(*model).parameters, "{model}");
    }
}

/// A single pixel is shown by its channels alone.
fn squeeze(shape: Vec<usize>) -> Vec<usize> {
    if let [1, 1, channels] = shape[..] { vec![channels] } else { shape }
}
