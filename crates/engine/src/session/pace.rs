//! How fast a run is going.

use std::collections::VecDeque;

/// Images a second over the last seconds of work.
pub struct Pace {
    window_secs: f64,
    steps: VecDeque<(usize, f64)>,
    n_images: usize,
    secs: f64,
}

impl Pace {
    /// Over the last so many seconds.
    pub fn over(window_secs: f64) -> Self {
        Self { window_secs, steps: VecDeque::new(), n_images: 0, secs: 0.0 }
    }

    /// Takes in so many images, and the seconds they took.
    pub fn add(&mut self, n_images: usize, secs: f64) {
        self.steps.push_back((n_images, secs));
        self.n_images += n_images;
        self.secs += secs;
        while self.steps.len() > 1 && self.secs > self.window_secs {
            if let Some((n_images, secs)) = self.steps.pop_front() {
                self.n_images -= n_images;
                self.secs -= secs;
            }
        }
    }

    /// 0 before there are any.
    pub fn images_per_second(&self) -> f64 {
        if self.secs > 0.0 { self.n_images as f64 / self.secs } else { 0.0 }
    }
}
