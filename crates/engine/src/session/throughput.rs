//! The throughput of a training run, as a moving average. Never reads a clock: the caller measures.

use std::collections::VecDeque;

/// Images per second, averaged over the last seconds of work.
pub struct Throughput {
    window_secs: f64,
    /// Number of images and seconds of each measurement in the window.
    samples: VecDeque<(usize, f64)>,
    n_images: usize,
    secs: f64,
}

impl Throughput {
    /// An average over the last `window_secs` seconds of work.
    pub fn over(window_secs: f64) -> Self {
        Self { window_secs, samples: VecDeque::new(), n_images: 0, secs: 0.0 }
    }

    /// Adds a measurement: `n_images` images took `secs` seconds.
    pub fn add(&mut self, n_images: usize, secs: f64) {
        self.samples.push_back((n_images, secs));
        self.n_images += n_images;
        self.secs += secs;
        while self.samples.len() > 1 && self.secs > self.window_secs {
            if let Some((n_images, secs)) = self.samples.pop_front() {
                self.n_images -= n_images;
                self.secs -= secs;
            }
        }
    }

    /// Images per second; 0 before the first measurement.
    pub fn images_per_second(&self) -> f64 {
        if self.secs > 0.0 { self.n_images as f64 / self.secs } else { 0.0 }
    }
}
