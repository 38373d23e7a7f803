//! The five published networks against Keras, from the files that `tests/golden/make.py` made once with Keras itself. Our kernels
//! and burn's operations both answer; in a browser `src/page.rs` asks the same of both engines.
use burn::tensor::Device;
use inkling_core::models;
use inkling_core::spec::ModelId;
use inkling_engine::network::DropoutKey;
use inkling_engine::train::{Trainer, read_metrics};
use inkling_golden::PUBLISHED;
use inkling_golden::compare::{self, Golden, TOLERANCE, Way, check, relative};
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

#[test]
fn layer_tables_are_keras_s() {
    for model in PUBLISHED {
        let (golden, summary) = (Golden::of(model), models::summary(model));
        let published: Vec<(String, Vec<usize>, usize)> =
            serde_json::from_value(golden.0["summary"]["layers"].clone()).unwrap();
        let ours: Vec<_> =
            summary.layers.iter().map(|r| (r.kind.to_owned(), r.output_shape.clone(), r.parameters)).collect();
        let squeezed = published.into_iter().map(|(kind, shape, count)| (kind, squeeze(shape), count));
        assert_eq!(ours, squeezed.collect::<Vec<_>>(), "{model}");
        let totals = ["total", "trainable", "non_trainable"].map(|key| golden.0["summary"][key].as_u64().unwrap());
        assert_eq!([summary.total, summary.trainable, summary.non_trainable].map(|n| n as u64), totals, "{model}");
        assert_eq!(summary.total, models::published(model).parameters, "{model}");
    }
}

/// A single pixel is shown by its channels alone.
fn squeeze(shape: Vec<usize>) -> Vec<usize> {
    if let [1, 1, channels] = shape[..] { vec![channels] } else { shape }
}
