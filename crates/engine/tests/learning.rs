//! Training works: the loss falls, the accuracy rises, the same seed results in the same losses, and weights files
//! restore weights.

use burn::tensor::Device;
use inkling_core::data::{Split, synthetic};
use inkling_core::spec::{Metrics, ModelId};
use inkling_engine::batch::{self, Batch};
use inkling_engine::network::{Array, DropoutKey, WeightsError};
use inkling_engine::train::weights_file::{self, WeightsFileError};
use inkling_engine::train::{Trainer, WeightsFile, read_metrics};
use pollster::block_on;

fn digits(first: usize, n: usize) -> Split {
    synthetic::split(synthetic::SEED, first, n)
}

fn batch_of(split: &Split, indices: &[usize]) -> Batch {
    Batch::gather(split, indices, &Device::flex())
}

/// Trains on the split and returns the loss of each step.
fn train(trainer: &mut Trainer, split: &Split, epochs: usize, seed: u64) -> Vec<f64> {
    let mut pending = vec![];
    for epoch in 1..=epochs {
        for (step, indices) in batch::epoch_order(seed, epoch, split.len()).chunks(16).enumerate() {
            let key = DropoutKey::of(seed, epoch << 16 | step);
            pending.push(trainer.step(&batch_of(split, indices), 0.002, key));
        }
    }
    block_on(read_metrics(pending)).unwrap().into_iter().map(|(metrics, _)| metrics.loss).collect()
}

fn evaluate(trainer: &Trainer, split: &Split) -> Metrics {
    let all: Vec<_> = (0..split.len()).collect();
    block_on(read_metrics(vec![trainer.evaluate(&batch_of(split, &all))])).unwrap()[0].0
}

#[test]
fn the_loss_falls_and_the_accuracy_rises() {
    let (training, test) = (digits(0, 1600), digits(20_000, 300));
    let mut trainer = Trainer::new(ModelId::Compact, 1, &Device::flex());
    // 600 steps: with Keras's momentum the running statistics need a few hundred steps to be accurate.
    let losses = train(&mut trainer, &training, 6, 1);
    let mean = |losses: &[f64]| losses.iter().sum::<f64>() / losses.len() as f64;
    assert!(mean(&losses[580..]) < 0.3 * mean(&losses[..5]), "{losses:?}");
    let metrics = evaluate(&trainer, &test);
    assert!(metrics.accuracy > 0.85 && metrics.loss < 0.6, "{metrics:?}");
}

/// With Keras's running statistics unchanged, of which three quarters are still initial values after 30 steps, the
/// network would guess.
#[test]
fn the_network_classifies_after_thirty_steps() {
    let split = digits(0, 480);
    let mut trainer = Trainer::new(ModelId::Compact, 4, &Device::flex());
    train(&mut trainer, &split, 1, 4);
    assert!(evaluate(&trainer, &split).accuracy > 0.5, "{:?}", evaluate(&trainer, &split));
}

#[test]
fn the_same_seed_results_in_the_same_losses() {
    let losses = |seed| train(&mut Trainer::new(ModelId::Compact, seed, &Device::flex()), &digits(0, 128), 1, seed);
    assert_eq!(losses(5), losses(5));
    assert_ne!(losses(5), losses(6));
}

#[test]
fn evaluation_changes_no_weights_and_does_not_depend_on_the_batch() {
    let split = digits(0, 40);
    let mut trainer = Trainer::new(ModelId::Compact, 2, &Device::flex());
    train(&mut trainer, &split, 1, 2);
    let one_batch = evaluate(&trainer, &split);
    let loss_sum: f64 = (0..40)
        .map(|i| block_on(read_metrics(vec![trainer.evaluate(&batch_of(&split, &[i]))])).unwrap()[0].0.loss)
        .sum();
    assert!((one_batch.loss - loss_sum / 40.0).abs() < 1e-4, "{} and {}", one_batch.loss, loss_sum / 40.0);
    assert_eq!(evaluate(&trainer, &split), one_batch);
}

#[test]
fn a_checkpoint_restores_the_weights() {
    let split = digits(0, 64);
    let device = Device::flex();
    let mut trainer = Trainer::new(ModelId::Compact, 3, &device);
    train(&mut trainer, &split, 1, 3);
    let bytes = weights_file::save(ModelId::Compact, &block_on(trainer.network().arrays()).unwrap(), None);
    let WeightsFile { model, arrays, .. } = weights_file::load(&bytes).unwrap();
    let restored = Trainer::from_arrays(model, &arrays, &device).unwrap();
    assert_eq!(evaluate(&restored, &split), evaluate(&trainer, &split));
    let (expected, prediction) = (trainer.predict(split.image(0)), restored.predict(split.image(0)));
    assert_eq!(block_on(expected).unwrap(), block_on(prediction).unwrap());
}

#[test]
fn wrong_weights_are_refused_by_name() {
    let device = Device::flex();
    let arrays = || block_on(Trainer::new(ModelId::Compact, 1, &device).network().arrays()).unwrap();
    let refused = |arrays: &[Array]| Trainer::from_arrays(ModelId::Compact, arrays, &device).err().unwrap();

    let mut missing = arrays();
    let name = missing.remove(3).name;
    assert_eq!(refused(&missing), WeightsError::Missing { name });

    let mut renamed = arrays();
    renamed[0].name = "dense_1.kernel".into();
    assert_eq!(refused(&renamed), WeightsError::Surplus { name: "dense_1.kernel".into() });

    let mut reshaped = arrays();
    reshaped[0].shape = vec![16, 9];
    assert!(refused(&reshaped).to_string().contains("conv2d_1.kernel"));

    let mut broken = arrays();
    broken[0].values[5] = f32::NAN;
    assert_eq!(refused(&broken), WeightsError::NotFinite { name: "conv2d_1.kernel".into() });
}

#[test]
fn damaged_files_are_refused() {
    let arrays = block_on(Trainer::new(ModelId::Compact, 1, &Device::flex()).network().arrays()).unwrap();
    let whole = weights_file::save(ModelId::Compact, &arrays, None);
    for damaged in [&whole[..whole.len() - 1], &whole[..40], &whole[..3], b"not weights at all", b""] {
        assert!(matches!(weights_file::load(damaged), Err(WeightsFileError::Header(_))), "{} bytes", damaged.len());
    }
    let mut huge_header = whole.clone();
    huge_header[7] = 0x7f;
    assert!(matches!(weights_file::load(&huge_header), Err(WeightsFileError::Header(_))));
}
