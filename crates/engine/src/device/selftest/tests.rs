//! The self-test accepts correct kernels, whatever their order of summation, and rejects each of several kernels that
//! are broken on purpose.

use burn::tensor::Device;
use inkling_core::spec::ModelId;
use pollster::block_on;

use super::{Subject, TestCase, singles};
use crate::network::single_op::{Given, Outcome, Single, Sums};

/// Fewer images than in the real self-test, because the plain loops below are slow.
const N_IMAGES: usize = 3;

async fn compare(single: &Single, subject: &impl Subject) -> Result<(), String> {
    TestCase::of(single.clone()).await?.check(subject).await
}

/// One of the three computations of an op.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Job {
    Forward,
    Weights,
    Input,
}

/// A fault that a kernel is given on purpose.
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

/// An engine that computes one job of an op by plain loops with a flaw, and everything else on the CPU engine.
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
                outcome.output = self.written(outcome.output, sums.conv.filters, loops.forward(given));
            }
            Job::Weights => {
                let computed = loops.weights(&given.input, &gradient);
                outcome.gradients[0] = self.written(std::mem::take(&mut outcome.gradients[0]), 1, computed);
            }
            Job::Input => {
                let written =
                    |correct| self.written(correct, single.input().channels, loops.input(&given.arrays[0], &gradient));
                outcome.input_gradient = outcome.input_gradient.map(written);
            }
        }
        Ok(outcome)
    }
}

impl Plain {
    /// The numbers that the loops computed, changed if the flaw is one of writing results. `planes` is the number of
    /// planes per image; `correct` are the numbers of the CPU engine, for their count.
    fn written(&self, correct: Vec<f32>, planes: usize, computed: Vec<f32>) -> Vec<f32> {
        match self.flaw {
            Flaw::WrongSign => computed.into_iter().map(|x| -x).collect(),
            Flaw::Zeros => vec![0.0; computed.len()],
            // The last plane of the last image, or the last numbers of an array, are stale.
            Flaw::StaleFilter => {
                let n_stale = (computed.len() / N_IMAGES / planes.max(8)).max(1);
                let (fresh, stale) = (&computed[..computed.len() - n_stale], &computed[..n_stale]);
                [fresh, stale].concat()
            }
            _ => {
                debug_assert_eq!(correct.len(), computed.len());
                computed
            }
        }
    }
}

/// Convolution by plain loops over arrays `[n, channels, height, width]`; a dense layer is a convolution of 1×1.
struct Loops<'a> {
    single: &'a Single,
    sums: Sums,
    flaw: Flaw,
}

impl Loops<'_> {
    /// Calls `each` with the indices of the output, the input and the weight of every product.
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
        let rectified = |(at, sum): (usize, f32)| {
            let sum = sum + bias(at);
            if sum > 0.0 { sum } else { sum * self.sums.slope }
        };
        y.into_iter().enumerate().map(rectified).collect()
    }

    /// The gradient of the output, propagated backward through the op's rectifier.
    fn before_rectifier(&self, given: &Given) -> Vec<f32> {
        let output = given.output.as_ref().unwrap_or(&given.gradient);
        let backward = |(g, y): (&f32, &f32)| if *y > 0.0 { *g } else { g * self.sums.slope_back };
        given.gradient.iter().zip(output).map(backward).collect()
    }

    fn weights(&self, input: &[f32], gradient: &[f32]) -> Vec<f32> {
        let mut weights = vec![0.0; self.single.slots[0].size()];
        self.products(|to, from, weight| self.add(&mut weights[weight], input[from] * gradient[to]));
        weights
    }

    fn input(&self, weights: &[f32], gradient: &[f32]) -> Vec<f32> {
        let mut input_gradient = vec![0.0; self.single.n * self.single.input().size()];
        self.products(|to, from, weight| self.add(&mut input_gradient[from], weights[weight] * gradient[to]));
        input_gradient
    }
}

/// Rounds to half precision.
fn half(x: f32) -> f32 {
    if x.abs() < 2.0_f32.powi(-14) {
        return (x * 2.0_f32.powi(24)).round() / 2.0_f32.powi(24);
    }
    let bits = x.to_bits();
    f32::from_bits((bits + 0xFFF + (bits >> 13 & 1)) & !0x1FFF)
}

const JOBS: [Job; 3] = [Job::Forward, Job::Weights, Job::Input];

#[test]
fn correct_kernels_are_accepted_in_any_order_of_summation() {
    for &model in ModelId::ALL {
        for single in singles(model, N_IMAGES) {
            for job in JOBS {
                let correct = Plain { job, flaw: Flaw::None };
                assert_eq!(block_on(compare(&single, &correct)), Ok(()), "{model}: {job:?} of {}", single.name);
            }
        }
    }
}

#[test]
fn broken_kernels_are_rejected() {
    for model in [ModelId::Sprint, ModelId::Strided, ModelId::Classic] {
        for single in singles(model, N_IMAGES) {
            let Some(sums) = single.sums() else { continue };
            for (job, flaw) in JOBS.into_iter().flat_map(|job| FLAWS.map(|flaw| (job, flaw))) {
                let without_effect = match flaw {
                    Flaw::TapLeftOut => sums.conv.kernel == 1,
                    Flaw::StrideOff => single.output().height == 1,
                    Flaw::ReadsOutside => sums.conv.pads(single.input().height) == (0, 0),
                    _ => false,
                };
                // The network's first op computes no gradient of its input.
                if without_effect || (job == Job::Input && single.first) {
                    continue;
                }
                let error = block_on(compare(&single, &Plain { job, flaw })).err();
                let error = error.unwrap_or_else(|| panic!("{flaw:?} in {job:?} of {} of {model}", single.name));
                assert!(error.contains(&single.name) && error.contains("was expected"), "{error}");
            }
        }
    }
}

/// NaN is found in every op, also in those without sums.
#[test]
fn nan_is_rejected() {
    struct Broken;
    impl Subject for Broken {
        async fn run(&self, single: &Single, given: &Given) -> Result<Outcome, String> {
            let mut outcome = Device::flex().run(single, given).await?;
            outcome.output[5] = f32::NAN;
            Ok(outcome)
        }
    }
    for single in singles(ModelId::Strided, N_IMAGES) {
        let error = block_on(compare(&single, &Broken)).unwrap_err();
        assert!(error.contains("number 5: NaN"), "{error}");
    }
}

/// The whole self-test on the CPU engine, whose results are the expected ones.
#[test]
fn the_cpu_engine_passes() {
    for model in [ModelId::Sprint, ModelId::Compact] {
        let recipe = inkling_core::spec::Recipe::of(model);
        let cpu = Device::flex();
        let test_cases = block_on(super::test_cases(model, &cpu)).unwrap();
        assert_eq!(block_on(super::check(model, &recipe, test_cases, &cpu, |_, _| ())), Ok(()));
    }
}
