//! Checks that a graphics card copies and transposes numbers without changing any, infinite ones neither: the metrics of
//! a recorded step are copied, and an infinite loss must arrive as one. The native test and the page share it.

use burn::tensor::Device;
use inkling_engine::network::GpuContext;
use inkling_shaders::{Array, copy, transpose};

/// Rows and columns of the transposed matrix: together neither a multiple of a workgroup nor of what an invocation
/// copies.
const SIDES: [usize; 2] = [7, 43];

/// Compares copies and a transposition with the numbers themselves. Always `Ok` on the CPU, which has no shaders to
/// compare.
///
/// # Errors
/// When a number differs, and which one; or when the device fails.
pub async fn check(device: &Device) -> Result<(), String> {
    if *device == Device::flex() {
        return Ok(());
    }
    let context = GpuContext::on(device);
    let [rows, columns] = SIDES;
    let mut numbers: Vec<f32> = (0..rows * columns).map(|i| i as f32 - 0.5).collect();
    numbers[..3].copy_from_slice(&[f32::INFINITY, f32::NEG_INFINITY, f32::MAX]);
    let array = context.gpu.upload(&numbers);
    let transposed: Vec<f32> = (0..numbers.len()).map(|at| numbers[at % rows * columns + at / rows]).collect();
    same("copied", &context, copy(&context.gpu, &array), &numbers).await?;
    same("transposed", &context, transpose(&context.gpu, &array, columns), &transposed).await
}

async fn same(what: &str, context: &GpuContext, array: Array, expected: &[f32]) -> Result<(), String> {
    let data = context.tensor(array).into_data_async().await.map_err(|error| error.to_string())?;
    let numbers: Vec<f32> = data.iter().collect();
    match (0..expected.len()).find(|at| numbers.get(*at) != Some(&expected[*at])) {
        Some(at) => Err(format!("number {at}, {}, is {what} as {:?}", expected[at], numbers.get(at))),
        None => Ok(()),
    }
}
