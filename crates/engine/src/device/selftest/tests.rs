//! Kernels that are right are accepted, however they add up; kernels broken on purpose are refused, each by itself.

use burn::tensor::Device;
use inkling_core::spec::ModelId;
use pollster::block_on;

use super::{Question, Subject, singles};
use crate::network::single::{Given, Outcome, Single, Sums};

/// Fewer than in earnest: the plain loops below are slow.
const N_IMAGES: usize = 3;

async fn compare(single: &Single, subject: &impl Subject) -> Result<(), String> {
    Question::of(single.clone()).await?.ask(subject).await
}

/// Which of a kernel's three jobs.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Job {
    Forward,
    Weights,
    Input,
}

/// What is wrong with a kernel.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Flaw {
    None,
    TapLeftOut,
    StrideOff,
    WrongSign,
    Zeros,
    StaleFilter,
    ReadsOutside,
    HalfPrecision,
}

const FLAWS: [Flaw; 7] = [
    Flaw::TapLeftOut,
    Flaw::StrideOff,
    Flaw::WrongSign,
    Flaw::Zeros,
    Flaw::StaleFilter,
    Flaw::ReadsOutside,
    Flaw::HalfPrecision,
];

/// An engine that does one job of sums of products by plain loops, with a flaw; the rest is the CPU engine's.
struct Plain {
    job: Job,
    flaw: Flaw,
}

impl Subject for Plain {
    async fn run(&self, single: &Single, given: &Given) -> Result<Outcome, String> {
        let mut outcome = Device::flex().run(single, given).await?;
        let Some(sums) = single.sums() else { return Ok(outcome) };
        let loops = Loops { single, sums, flaw: self.flaw };
        let gradient = loops.before_rectifier(given);
        match self.job {
            Job::Forward => {
                outcome.output = self.spoilt(outcome.output, sums.conv.filters, loops.forward(given));
            }
            Job::Weights => {
                let fresh = loops.weights(&given.input, &gradient);
                outcome.gradients[0] = self.spoilt(std::mem::take(&mut outcome.gradients[0]), 1, fresh);
            }
            Job::Input => {
                let fresh =
                    |before| self.spoilt(before, single.input().channels, loops.input(&given.arrays[0], &gradient));
                outcome.input_gradient = outcome.input_gradient.map(fresh);
            }
        }
        Ok(outcome)
    }
}

impl Plain {
    /// What the loops came to, or what a flaw of the writing makes of it.
    fn spoilt(&self, right: Vec<f32>, planes: usize, fresh: Vec<f32>) -> Vec<f32> {
        match self.flaw {
            Flaw::WrongSign => fresh.into_iter().map(|x| -x).collect(),
            Flaw::Zeros => vec![0.0; fresh.len()],
            // The last plane of the last image, or the last numbers of an array, are those of another time.
            Flaw::StaleFilter => {
                let n_stale = (fresh.len() / N_IMAGES / planes.max(8)).max(1);
                let (kept, old) = (&fresh[..fresh.len() - n_stale], &fresh[..n_stale]);
                [kept, old].concat()
            }
            _ => {
                debug_assert_eq!(right.len(), fresh.len());
                fresh
            }
        }
    }
}

/// Convolution by plain loops over rows `[n, channels, height, width]`; a dense layer is one of 1×1.
struct Loops<'a> {
    single: &'a Single,
    sums: Sums,
    flaw: Flaw,
}

impl Loops<'_> {
    /// Calls `each` with the places of the output, the input and the weight of every product.
    fn products(&self, mut each: impl FnMut(usize, usize, usize)) {
        let (input, output, conv) = (self.single.input(), self.single.output(), self.sums.conv);
        let (channels, height, width) = (input.channels, input.height, input.width);
        let [rows, columns] = [conv.output_side(height), conv.output_side(width)];
        debug_assert_eq!(output.size(), conv.filters * rows * columns);
        let [top, left] = [conv.pads(height).0, conv.pads(width).0];
        let stride = conv.stride + usize::from(self.flaw == Flaw::StrideOff);
        for image in 0..self.single.n {
            for filter in 0..conv.filters {
                for (row, column) in (0..rows * columns).map(|at| (at / columns, at % columns)) {
                    let to = ((image * conv.filters + filter) * rows + row) * columns + column;
                    for channel in 0..channels {
                        for (y, x) in (0..conv.kernel * conv.kernel).map(|tap| (tap / conv.kernel, tap % conv.kernel)) {
                            if self.flaw == Flaw::TapLeftOut && (y, x) == (conv.kernel - 1, 0) {
                                continue;
                            }
                            let (at_row, at_column) = (row * stride + y, column * stride + x);
                            let inside =
                                (top..top + height).contains(&at_row) && (left..left + width).contains(&at_column);
                            let plane = (image * channels + channel) * height * width;
                            let from = if inside {
                                plane + (at_row - top) * width + at_column - left
                            } else if self.flaw == Flaw::ReadsOutside {
                                plane + (at_row * width + at_column) % (height * width)
                            } else {
                                continue;
                            };
                            let weight = ((filter * channels + channel) * conv.kernel + y) * conv.kernel + x;
                            each(to, from, weight);
                        }
                    }
                }
            }
        }
    }

    fn add(&self, sum: &mut f32, product: f32) {
        *sum += product;
        if self.flaw == Flaw::HalfPrecision {
            *sum = half(*sum);
        }
    }

    fn forward(&self, given: &Given) -> Vec<f32> {
        let filters = self.sums.conv.filters;
        let mut y = vec![0.0; given.gradient.len()];
        self.products(|to, from, weight| self.add(&mut y[to], given.input[from] * given.arrays[0][weight]));
        let per_filter = y.len() / self.single.n / filters;
        let bias = |at: usize| given.arrays.get(1).map_or(0.0, |bias| bias[at / per_filter % filters]);
        let finished = |(at, sum): (usize, f32)| {
            let sum = sum + bias(at);
            if sum > 0.0 { sum } else { sum * self.sums.slope }
        };
        y.into_iter().enumerate().map(finished).collect()
    }

    fn before_rectifier(&self, given: &Given) -> Vec<f32> {
        let output = given.output.as_ref().unwrap_or(&given.gradient);
        let back = |(g, y): (&f32, &f32)| if *y > 0.0 { *g } else { g * self.sums.slope_back };
        given.gradient.iter().zip(output).map(back).collect()
    }

    fn weights(&self, input: &[f32], gradient: &[f32]) -> Vec<f32> {
        let mut weights = vec![0.0; self.single.slots[0].size()];
        self.products(|to, from, weight| self.add(&mut weights[weight], input[from] * gradient[to]));
        weights
    }

    fn input(&self, weights: &[f32], gradient: &[f32]) -> Vec<f32> {
        let mut before = vec![0.0; self.single.n * self.single.input().size()];
        self.products(|to, from, weight| self.add(&mut before[from], weights[weight] * gradient[to]));
        before
    }
}

/// The nearest number of half precision.
fn half(x: f32) -> f32 {
    if x.abs() < 2.0_f32.powi(-14) {
        return (x * 2.0_f32.powi(24)).round() / 2.0_f32.powi(24);
    }
    let bits = x.to_bits();
    f32::from_bits((bits + 0xFFF + (bits >> 13 & 1)) & !0x1FFF)
}

const JOBS: [Job; 3] = [Job::Forward, Job::Weights, Job::Input];

#[test]
fn right_kernels_are_accepted_however_they_add_up() {
    for &model in ModelId::ALL {
        for single in singles(model, N_IMAGES) {
            for job in JOBS {
                let right = Plain { job, flaw: Flaw::None };
                assert_eq!(block_on(compare(&single, &right)), Ok(()), "{model}: {job:?} of {}", single.name);
            }
        }
    }
}

#[test]
fn broken_kernels_are_refused() {
    for model in [ModelId::Sprint, ModelId::Strided, ModelId::Classic] {
        for single in singles(model, N_IMAGES) {
            let Some(sums) = single.sums() else { continue };
            for (job, flaw) in JOBS.into_iter().flat_map(|job| FLAWS.map(|flaw| (job, flaw))) {
                let has_none = match flaw {
                    Flaw::TapLeftOut => sums.conv.kernel == 1,
                    Flaw::StrideOff => single.output().height == 1,
                    Flaw::ReadsOutside => sums.conv.pads(single.input().height) == (0, 0),
                    _ => false,
                };
                // A network's first arrays need no gradient of the input.
                if has_none || (job == Job::Input && single.first) {
                    continue;
                }
                let refused = block_on(compare(&single, &Plain { job, flaw })).err();
                let told = refused.unwrap_or_else(|| panic!("{flaw:?} in {job:?} of {} of {model}", single.name));
                assert!(told.contains(&single.name) && told.contains("was expected"), "{told}");
            }
        }
    }
}

/// What differs in an op without sums is found too.
#[test]
fn a_number_that_is_none_is_refused() {
    struct Broken;
    impl Subject for Broken {
        async fn run(&self, single: &Single, given: &Given) -> Result<Outcome, String> {
            let mut outcome = Device::flex().run(single, given).await?;
            outcome.output[5] = f32::NAN;
            Ok(outcome)
        }
    }
    for single in singles(ModelId::Strided, N_IMAGES) {
        let told = block_on(compare(&single, &Broken)).unwrap_err();
        assert!(told.contains("number 5: NaN"), "{told}");
    }
}

/// The whole of it, on an engine that is certainly right.
#[test]
fn the_cpu_engine_passes() {
    for model in [ModelId::Sprint, ModelId::Compact] {
        let recipe = inkling_core::spec::Recipe::of(model);
        let cpu = Device::flex();
        let questions = block_on(super::questions(model, &cpu)).unwrap();
        assert_eq!(block_on(super::check(model, &recipe, questions, &cpu, |_, _| ())), Ok(()));
    }
}
