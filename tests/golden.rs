//! The five published networks against Keras, from the files that `tests/golden/make.py` made once with Keras itself. Our kernels
//! and burn's operations both answer; in a browser `tests/golden/page.rs` asks the same of both engines.
#![cfg(feature = "native")]

#[cfg(feature = "gpu")]
#[path = "golden/bending.rs"]
mod bending;
#[path = "golden/compare.rs"]
mod compare;
#[cfg(feature = "gpu")]
#[path = "golden/dropping.rs"]
mod dropping;
#[cfg(feature = "gpu")]
#[path = "golden/recording.rs"]
mod recording;
#[cfg(feature = "gpu")]
#[path = "golden/tiling.rs"]
mod tiling;

use burn::tensor::Device;
use compare::{Golden, TOLERANCE, Way, check, relative};
#[cfg(feature = "gpu")]
use inkling::engine::{self, Engine};
use inkling::network::DropoutKey;
#[cfg(feature = "gpu")]
use inkling::protocol::EngineRequest;
use inkling::spec::ModelId;
#[cfg(feature = "gpu")]
use inkling::spec::{EngineChoice, OptimizerId, Recipe};
use inkling::train::{Trainer, read_metrics};
use inkling::zoo;
use pollster::block_on;

/// All but `sprint`, which is ours: Keras knows nothing of it.
const PUBLISHED: [ModelId; 5] = [ModelId::Compact, ModelId::Strided, ModelId::Leaky, ModelId::Classic, ModelId::Wide];

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

/// There the kernels and burn's operations hold one another.
#[test]
fn sprint_computes_alike_both_ways() {
    let device = Device::flex();
    let batch = compare::batch(ModelId::Sprint, &device);
    let [ours, burns] = [false, true].map(|by_burn| {
        let trainer = Trainer::new(ModelId::Sprint, 3, &device);
        let trainer = if by_burn { trainer.by_burn() } else { trainer };
        let backward = trainer.backward(&batch, DropoutKey::of(1, 1));
        let loss = block_on(read_metrics(vec![backward.tally])).unwrap()[0].0.loss;
        let arrays = backward.gradients.into_iter().chain(backward.statistics);
        let arrays: Vec<Vec<f64>> = arrays.map(|array| array.into_data().iter::<f64>().collect()).collect();
        (loss, arrays)
    });
    assert!((ours.0 - burns.0).abs() < TOLERANCE * burns.0, "{} and {}", ours.0, burns.0);
    assert_eq!(ours.1.len(), burns.1.len());
    for (number, (ours, burns)) in ours.1.iter().zip(&burns.1).enumerate() {
        let apart = relative(ours, burns);
        assert!(apart < TOLERANCE, "array {number}: {apart:e}");
    }
}

/// Only where there is a card, real or not: `cargo xtask test card`.
#[cfg(feature = "gpu")]
#[test]
#[ignore = "needs a graphics card"]
fn all_are_keras_s_on_a_graphics_card() {
    // One test for all of it: a card can be opened once.
    let request = EngineRequest::new(EngineChoice::Gpu, ModelId::Compact);
    let engine = block_on(engine::open(request, |_| ())).unwrap();
    passes_its_self_test_with_every_network(&engine);
    let device = engine.device;
    assert_eq!(block_on(bending::check(&device)), Ok(()));
    assert_eq!(block_on(dropping::check(&device)), Ok(()));
    assert_eq!(block_on(tiling::check(&device)), Ok(()));
    for tiles in [false, true] {
        inkling_shaders::Gpu::choose_tiles(tiles);
        assert_eq!(block_on(recording::check(&device)), Ok(()), "tiles: {tiles}");
        for model in PUBLISHED {
            let way = Way { device: device.clone(), by_burn: false };
            assert_eq!(block_on(check(model, &way)), Ok(()), "{model}, tiles: {tiles}");
        }
    }
}

/// The command line would use it.
#[cfg(feature = "gpu")]
fn passes_its_self_test_with_every_network(engine: &Engine) {
    // What was tested is not tested again: another optimizer makes it another recipe.
    for (tiles, optimizer) in [(false, OptimizerId::Adam), (true, OptimizerId::Sgd)] {
        inkling_shaders::Gpu::choose_tiles(tiles);
        for model in ModelId::ALL {
            let recipe = Recipe { optimizer, ..Recipe::of(*model) };
            assert_eq!(block_on(engine.prepare(*model, &recipe, |_| ())), Ok(()), "{model}, tiles: {tiles}");
        }
    }
}

#[test]
fn layer_tables_are_keras_s() {
    for model in PUBLISHED {
        let (golden, summary) = (Golden::of(model), zoo::summary(model));
        let published: Vec<(String, Vec<usize>, usize)> =
            serde_json::from_value(golden.0["summary"]["layers"].clone()).unwrap();
        let ours: Vec<_> =
            summary.layers.iter().map(|r| (r.kind.to_owned(), r.output_shape.clone(), r.parameters)).collect();
        let squeezed = published.into_iter().map(|(kind, shape, count)| (kind, squeeze(shape), count));
        assert_eq!(ours, squeezed.collect::<Vec<_>>(), "{model}");
        let totals = ["total", "trainable", "non_trainable"].map(|key| golden.0["summary"][key].as_u64().unwrap());
        assert_eq!([summary.total, summary.trainable, summary.non_trainable].map(|n| n as u64), totals, "{model}");
        assert_eq!(summary.total, zoo::published(model).parameters, "{model}");
    }
}

/// A single pixel is shown by its channels alone.
fn squeeze(shape: Vec<usize>) -> Vec<usize> {
    if let [1, 1, channels] = shape[..] { vec![channels] } else { shape }
}
