//! Compares the five published networks with Keras, by the files that `keras/make.py` wrote once with Keras itself.
//! Both our kernels and burn's operations are compared, on the CPU; in a browser, `src/page.rs` compares both engines.

mod burn_reference;

use std::rc::Rc;

use burn::tensor::Device;
use burn_reference::BurnReference;
use inkling_core::models;
use inkling_core::spec::ModelId;
use inkling_engine::network::{Backend, DropoutKey};
use inkling_engine::train::{Trainer, read_metrics};
use inkling_golden::PUBLISHED;
use inkling_golden::compare::{self, ComputeConfig, Golden, TOLERANCE, check, relative};
use pollster::block_on;

/// Compares a model by our kernels, or by burn's operations.
fn assert_matches_keras(model: ModelId, by_burn: bool) {
    let backend = by_burn.then(|| BurnReference::of(model) as Rc<dyn Backend>);
    let way = ComputeConfig { device: Device::flex(), backend };
    assert_eq!(block_on(check(model, &way)), Ok(()), "{model}, by burn: {by_burn}");
}

#[test]
fn compact_matches_keras() {
    assert_matches_keras(ModelId::Compact, false);
    assert_matches_keras(ModelId::Compact, true);
}

#[test]
fn strided_matches_keras() {
    assert_matches_keras(ModelId::Strided, false);
    assert_matches_keras(ModelId::Strided, true);
}

#[test]
fn leaky_matches_keras() {
    assert_matches_keras(ModelId::Leaky, false);
    assert_matches_keras(ModelId::Leaky, true);
}

#[test]
fn classic_matches_keras() {
    assert_matches_keras(ModelId::Classic, false);
    assert_matches_keras(ModelId::Classic, true);
}

#[test]
fn wide_matches_keras() {
    assert_matches_keras(ModelId::Wide, false);
    // burn's operations would take minutes here in this profile; the other four networks compare them with Keras.
}

/// Keras has no files for `sprint`, so our kernels are compared with burn's operations.
#[test]
fn sprint_matches_burn() {
    let device = Device::flex();
    let batch = compare::batch(ModelId::Sprint, &device);
    let [ours, reference] = [false, true].map(|uses_burn_reference| {
        let trainer = Trainer::new(ModelId::Sprint, 3, &device);
        let trainer =
            if uses_burn_reference { trainer.with_backend(BurnReference::of(ModelId::Sprint)) } else { trainer };
        let backward = trainer.backward(&batch, DropoutKey::of(1, 1));
        let loss = block_on(read_metrics(vec![backward.batch_metrics])).unwrap()[0].0.loss;
        let arrays = backward.gradients.into_iter().chain(backward.statistics);
        let arrays: Vec<Vec<f64>> = arrays.map(|array| array.into_data().iter::<f64>().collect()).collect();
        (loss, arrays)
    });
    assert!((ours.0 - reference.0).abs() < TOLERANCE * reference.0, "{} and {}", ours.0, reference.0);
    assert_eq!(ours.1.len(), reference.1.len());
    for (index, (ours, reference)) in ours.1.iter().zip(&reference.1).enumerate() {
        let error = relative(ours, reference);
        assert!(error < TOLERANCE, "array {index}: {error:e}");
    }
}

#[test]
fn layer_tables_match_keras() {
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

/// Our layer tables show the shape of a single pixel by its channels alone; Keras shows `[1, 1, channels]`.
fn squeeze(shape: Vec<usize>) -> Vec<usize> {
    if let [1, 1, channels] = shape[..] { vec![channels] } else { shape }
}
