//! Every kernel refuses what would have it read or write out of bounds: sizes that contradict each other, and slices of
//! other lengths. Computes nothing that is compared.

use inkling_kernels::{self as kernels, AdadeltaStep, AdamStep, MomentumStep, RmsPropStep};
use inkling_kernels::{BatchNorm, BlockedLayout, Conv2d, Conv2dSizes, Dense, Dropout, FusedRectifier, Isa, SizeError};

/// Sizes of a convolution of 8×8 pixels with "same" padding.
const SIZES: Conv2dSizes = Conv2dSizes {
    channels: 2,
    filters: 3,
    input: [8; 2],
    output: [8; 2],
    kernel: 3,
    stride: 1,
    before: [1; 2],
    after: [1; 2],
};

#[test]
fn sizes_that_would_read_out_of_bounds_are_refused() {
    let new = |sizes| Conv2d::new(Isa::best(), 4, sizes).map(drop);
    assert_eq!(new(SIZES), Ok(()));
    let beyond = [
        Conv2dSizes { output: [9, 8], ..SIZES },
        Conv2dSizes { output: [8, 9], ..SIZES },
        Conv2dSizes { kernel: 4, ..SIZES },
        Conv2dSizes { stride: 2, ..SIZES },
        Conv2dSizes { after: [0, 1], ..SIZES },
    ];
    beyond.into_iter().for_each(|sizes| assert_eq!(new(sizes), Err(SizeError::WindowBeyondInput(sizes))));
    let zero = [
        Conv2dSizes { channels: 0, ..SIZES },
        Conv2dSizes { stride: 0, ..SIZES },
        Conv2dSizes { output: [0, 8], ..SIZES },
    ];
    zero.into_iter().for_each(|sizes| assert_eq!(new(sizes), Err(SizeError::Zero(sizes))));
    let too_large = [
        Conv2dSizes { before: [usize::MAX, 1], ..SIZES },
        Conv2dSizes { output: [1, 1 << 40], stride: 1 << 40, ..SIZES },
        Conv2dSizes { channels: usize::MAX, ..SIZES },
        Conv2dSizes { channels: 1 << 30, ..SIZES },
    ];
    too_large.into_iter().for_each(|sizes| assert_eq!(new(sizes), Err(SizeError::TooLarge(sizes))));
}

/// Asserts that `call` panics when any of its `n` slices has one number too many or too few, and only then.
/// `call(resize)` passes `resize(i, len)` numbers to the slice with index `i`, whose right length is `len`.
fn assert_refuses_other_lengths(what: &str, n: usize, call: impl Fn(&dyn Fn(usize, usize) -> Vec<f32>)) {
    let panics = |wrong: usize, len: fn(usize) -> usize| {
        let resize = move |at: usize, right: usize| vec![0.0; if at == wrong { len(right) } else { right }];
        let call = std::panic::AssertUnwindSafe(|| call(&resize));
        std::panic::catch_unwind(call).is_err()
    };
    assert!(!panics(n, |len| len), "{what} refuses right lengths");
    for wrong in 0..n {
        assert!(panics(wrong, |len| len + 1) && panics(wrong, |len| len - 1), "{what} takes slice {wrong} as it is");
    }
}

#[test]
fn products_check_the_lengths_of_their_slices() {
    let conv = Conv2d::new(Isa::best(), 4, SIZES).unwrap();
    let (input, padded, output) = (conv.input_layout().len(), conv.padded_layout().len(), conv.output_layout().len());
    let weights = 3 * 2 * 9;
    assert_refuses_other_lengths("padding", 2, |of| conv.pad(&of(0, input), &mut of(1, padded)));
    assert_refuses_other_lengths("forward", 4, |of| {
        conv.forward(&of(0, padded), &of(1, weights), Some(&of(2, 3)), 1.0, &mut of(3, output))
    });
    assert_refuses_other_lengths("input gradient", 3, |of| {
        conv.input_gradient(&of(0, output), &of(1, weights), &mut of(2, input))
    });
    assert_refuses_other_lengths("weights' gradient", 3, |of| {
        conv.weights_gradient(&of(0, padded), &of(1, output), &mut of(2, weights))
    });

    let dense = Dense::new(Isa::best(), 5, 7, 6);
    let (input, output, weights) = (dense.input().len(), dense.output().len(), 7 * 6);
    assert_refuses_other_lengths("dense", 3, |of| dense.forward(&of(0, input), &of(1, weights), &mut of(2, output)));
    assert_refuses_other_lengths("dense, input", 3, |of| {
        dense.input_gradient(&of(0, output), &of(1, weights), &mut of(2, input))
    });
    assert_refuses_other_lengths("dense, weights", 3, |of| {
        dense.weights_gradient(&of(0, input), &of(1, output), &mut of(2, weights))
    });
}

#[test]
fn kernels_of_layouts_check_the_lengths_of_their_slices() {
    let layout = BlockedLayout::blocked(Isa::best(), 5, 3, 16);
    let (len, rows) = (layout.len(), 5 * 3 * 16);
    let norm = BatchNorm { layout, epsilon: 1e-3, rectified: FusedRectifier::Neither };
    assert_refuses_other_lengths("normalisation", 6, |of| {
        norm.forward(&of(0, len), [&of(1, 3), &of(2, 3)], &mut of(3, len), [&mut of(4, 3), &mut of(5, 3)])
    });
    assert_refuses_other_lengths("evaluation", 5, |of| {
        norm.evaluate(&mut of(0, len), [&of(1, 3), &of(2, 3)], [&of(3, 3), &of(4, 3)]);
    });
    assert_refuses_other_lengths("normalisation, backward", 8, |of| {
        let (x, y, gamma, mean, variance) = (of(0, len), of(1, len), of(2, 3), of(3, 3), of(4, 3));
        let into = [&mut of(6, 3)[..], &mut of(7, 3)];
        norm.backward([&x, &y], &gamma, [&mean, &variance], &mut of(5, len), into)
    });
    assert_refuses_other_lengths("pooling", 2, |of| kernels::max_pool(&layout, 4, &of(0, len), &mut of(1, len / 4)));
    assert_refuses_other_lengths("pooling, backward", 3, |of| {
        kernels::max_pool_backward(&layout, 4, &of(0, len), &of(1, len / 4), &mut of(2, len))
    });
    assert_refuses_other_lengths("bias", 2, |of| kernels::add_bias(&layout, &mut of(0, len), &of(1, 3), 0.0));
    assert_refuses_other_lengths("sums", 2, |of| kernels::sum_channels(&layout, &of(0, len), &mut of(1, 3)));
    let dropout = Dropout { key: [1, 2], layer: 0, first_image: 0, limit: 9, scale: 1.0 };
    assert_refuses_other_lengths("dropout", 1, |of| dropout.apply(&layout, &mut of(0, len)));
    assert_refuses_other_lengths("rectifier", 2, |of| {
        kernels::rectify_backward(Isa::best(), &of(0, len), &mut of(1, len), 0.0)
    });
    assert_refuses_other_lengths("scatter", 2, |of| layout.scatter(&of(0, rows), &mut of(1, len)));
    assert_refuses_other_lengths("gather", 2, |of| layout.gather(&of(0, len), &mut of(1, rows)));
    assert_refuses_other_lengths("flatten", 2, |of| {
        assert_eq!(layout.flatten(&of(0, len), &mut of(1, len)).channels(), 48)
    });
    assert_refuses_other_lengths("unflatten", 2, |of| layout.unflatten(&of(0, len), &mut of(1, len)));
}

#[test]
fn optimizers_check_the_lengths_of_their_slices() {
    let (isa, learning_rate, rho, epsilon, l2_penalty) = (Isa::best(), 0.1, 0.9, 1e-7, 0.0);
    let adam = AdamStep { learning_rate, beta_1: 0.9, beta_2: 0.999, epsilon, weight_decay: 0.0, l2_penalty };
    assert_refuses_other_lengths("Adam", 4, |of| {
        kernels::adam(isa, &of(0, 19), [&mut of(1, 19), &mut of(2, 19), &mut of(3, 19)], adam)
    });
    let momentum = MomentumStep { learning_rate, momentum: 0.9, l2_penalty };
    assert_refuses_other_lengths("momentum", 3, |of| {
        kernels::momentum(isa, &of(0, 19), [&mut of(1, 19), &mut of(2, 19)], momentum)
    });
    let rms_prop = RmsPropStep { learning_rate, rho, epsilon, l2_penalty };
    assert_refuses_other_lengths("RMSprop", 3, |of| {
        kernels::rms_prop(isa, &of(0, 19), [&mut of(1, 19), &mut of(2, 19)], rms_prop)
    });
    let adadelta = AdadeltaStep { learning_rate, rho, epsilon, l2_penalty };
    assert_refuses_other_lengths("Adadelta", 4, |of| {
        kernels::adadelta(isa, &of(0, 19), [&mut of(1, 19), &mut of(2, 19), &mut of(3, 19)], adadelta)
    });
}

#[test]
#[should_panic = "cannot be flattened"]
fn flat_layouts_are_not_flattened() {
    let flat = BlockedLayout::flat(Isa::best(), 40, 16);
    flat.unflatten(&vec![0.0; flat.len()], &mut vec![0.0; flat.len()]);
}

#[test]
#[should_panic = "fits in memory"]
fn layouts_do_not_overflow() {
    BlockedLayout::blocked(Isa::best(), 1, usize::MAX / 4, 5);
}

#[test]
#[should_panic = "do not fit in memory"]
fn weights_do_not_overflow() {
    Dense::new(Isa::best(), 0, usize::MAX / 2, 3);
}
