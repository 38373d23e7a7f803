//! One op by itself, on a card.

use std::rc::Rc;

use burn::tensor::{Device, ExecutionError, Tensor, Transaction};
use inkling_shaders::Array;

use super::tape::{Kept, Tape};
use super::{Card, Dropped, Flow, Machine};
use crate::network::plan::Cursor;
use crate::network::single::{Given, Outcome, Single};

/// Runs an op in training mode, forward and back, and reads all of it in one transfer.
///
/// # Errors
/// When the device has failed.
pub async fn run_single(single: &Single, given: &Given, device: &Device) -> Result<Outcome, ExecutionError> {
    let Single { n, at, input: shape, .. } = *single;
    let machine = Rc::new(Machine { ops: single.ops.clone() });
    let card = Card::on(device);
    let upload = |numbers: &[f32]| card.gpu.upload(numbers);
    // An array before its own gives the input a gradient.
    let before = (!single.first).then(|| upload(&[0.0]));
    let cursor = Cursor { parameter: before.iter().count(), statistic: 0 };
    let parameters: Vec<Array> = before.into_iter().chain(given.arrays.iter().map(|array| upload(array))).collect();
    let x = upload(&images_innermost(&given.input, n));
    let flow = Flow { card: &card, n, shape, x, parameters: &parameters, cursor };
    let dropped = single.dropout.map(|dropout| {
        let [first, second] = dropout.key;
        Dropped { dropout, key: card.gpu.upload_words(&[first, second, dropout.first_image]) }
    });
    let (output, kept) = flow.forward_train(single.op(), dropped);
    let values = match &given.output {
        Some(output) => [flow.x.clone(), upload(&images_innermost(output, n))],
        None => [flow.x.clone(), output.clone()],
    };
    let statistics = if let Kept::Statistics(statistics) = &kept { statistics.to_vec() } else { vec![] };
    let tape = Tape {
        machine,
        n,
        // What lies before the op is not asked for.
        values: std::iter::repeat_n(values[0].clone(), at).chain(values).collect(),
        kept: std::iter::repeat_with(|| Kept::Nothing).take(at).chain([kept]).collect(),
        card: Card::on(device),
        parameters: parameters.clone(),
    };
    let gradient = upload(&images_innermost(&given.gradient, n));
    let (gradients, before) = tape.back(at, single.op(), shape, gradient, cursor);
    let before = before.filter(|_| !single.first);
    let (n_statistics, n_gradients) = (statistics.len(), gradients.len());
    let all = std::iter::once(output).chain(statistics).chain(gradients).chain(before);
    let register = |t: Transaction, tensor: Tensor<1>| t.register(tensor);
    let read = all.map(|array| card.tensor(array)).fold(Transaction::default(), register).execute_async().await?;
    let mut read = read.iter().map(|data| data.iter::<f32>().collect::<Vec<f32>>());
    let output = read.next().map(|output| rows(&output, n)).unwrap_or_default();
    let statistics = read.by_ref().take(n_statistics).collect();
    let gradients = read.by_ref().take(n_gradients).collect();
    Ok(Outcome { output, statistics, gradients, input_gradient: read.next().map(|before| rows(&before, n)) })
}

/// `[n, numbers]` as `[numbers, n]`.
fn images_innermost(rows: &[f32], n: usize) -> Vec<f32> {
    transposed(rows, n)
}

/// `[numbers, n]` as `[n, numbers]`.
fn rows(values: &[f32], n: usize) -> Vec<f32> {
    transposed(values, values.len() / n.max(1))
}

fn transposed(values: &[f32], n_rows: usize) -> Vec<f32> {
    let columns = values.len() / n_rows.max(1);
    (0..values.len()).map(|at| values[at % n_rows * columns + at / n_rows]).collect()
}
