//! Images a second that burn trains one of Inkling's networks at on this machine's graphics card, by burn's own modules,
//! operations, automatic differentiation and optimizer: prints one number. Called by `cargo xtask bench card --burn`.
//!
//!     burn-pace MODEL BATCH N_STEPS

mod network;

use std::process::ExitCode;
use std::time::Instant;

use burn::nn::loss::{CrossEntropyLoss, CrossEntropyLossConfig};
use burn::optim::{AdamConfig, GradientsParams, ModuleOptimizer};
use burn::tensor::{Device, DeviceKind, Distribution, Int, Tensor};
use inkling_core::spec::{IMAGE_SIDE, ModelId, N_CLASSES};

use crate::network::Network;

/// Noise, on the card. Fewer than MNIST's 60,000 images: the array must fit into the 128 MiB that every adapter binds.
const N_IMAGES: usize = 16_384;

/// Steps before the clock starts: autotune measures its candidates in them.
const N_WARM_UP: usize = 20;

const LEARNING_RATE: f64 = 1e-3;

fn main() -> ExitCode {
    let Some((model, batch, n_steps)) = arguments() else {
        eprintln!("Usage: burn-pace MODEL BATCH N_STEPS, such as: burn-pace compact 128 200");
        return ExitCode::from(2);
    };
    println!("{}", Training::new(model, batch).images_per_second(n_steps));
    ExitCode::SUCCESS
}

fn arguments() -> Option<(ModelId, usize, usize)> {
    let mut arguments = std::env::args().skip(1);
    let model: ModelId = arguments.next()?.parse().ok()?;
    let mut count = || arguments.next()?.parse().ok().filter(|n| *n > 0);
    Some((model, count()?, count()?))
}

struct Training {
    network: Network,
    optimizer: ModuleOptimizer,
    loss: CrossEntropyLoss,
    /// `[N_IMAGES, 1, 28, 28]`
    images: Tensor<4>,
    /// `[N_IMAGES]`
    labels: Tensor<1, Int>,
    batch: usize,
    device: Device,
}

impl Training {
    fn new(model: ModelId, batch: usize) -> Self {
        let device = Device::wgpu(DeviceKind::DefaultDevice).autodiff();
        Self {
            network: Network::new(model, &device),
            optimizer: AdamConfig::new().with_epsilon(1e-7).init(),
            loss: CrossEntropyLossConfig::new().init(&device),
            images: Tensor::random([N_IMAGES, 1, IMAGE_SIDE, IMAGE_SIDE], Distribution::Uniform(0.0, 1.0), &device),
            labels: indices(N_IMAGES, N_CLASSES, &device),
            batch,
            device,
        }
    }

    fn images_per_second(mut self, n_steps: usize) -> f64 {
        for _ in 0..N_WARM_UP {
            self = self.step();
        }
        self.wait();
        let began = Instant::now();
        for _ in 0..n_steps {
            self = self.step();
        }
        self.wait();
        (n_steps * self.batch) as f64 / began.elapsed().as_secs_f64()
    }

    fn step(mut self) -> Self {
        let picked = indices(self.batch, N_IMAGES, &self.device);
        let images = self.images.clone().select(0, picked.clone());
        let labels = self.labels.clone().select(0, picked);
        let loss = self.loss.forward(self.network.forward(images), labels);
        let gradients = GradientsParams::from_grads(loss.backward(), &self.network);
        let network = self.optimizer.step(LEARNING_RATE, self.network, gradients);
        Self { network, ..self }
    }

    fn wait(&self) {
        self.device.sync().expect("a card that is lost ends the measurement");
    }
}

/// `[n]` numbers from 0 to below `end`.
fn indices(n: usize, end: usize, device: &Device) -> Tensor<1, Int> {
    Tensor::random([n], Distribution::Uniform(0.0, end as f64), device)
}
