//! Tensors of burn's CPU backend as slices of floats, without copies.

use burn::backend::Flex;
use burn::backend::flex::FlexTensor;
use burn::tensor::{Device, Tensor, TensorData};

/// The tensor itself, whose `storage` is a slice.
///
/// # Panics
/// When the tensor is stored on another device.
pub fn of<const D: usize>(tensor: Tensor<D>) -> FlexTensor {
    let primitive = tensor.try_into_primitive::<Flex>().expect("the CPU engine has tensors of the flex backend only");
    if primitive.is_contiguous() && primitive.layout().start_offset() == 0 {
        primitive
    } else {
        primitive.to_contiguous()
    }
}

/// Back to a tensor of burn.
pub fn tensor<const D: usize>(primitive: FlexTensor) -> Tensor<D> {
    Tensor::from_primitive::<Flex>(primitive)
}

/// A flat tensor of these numbers.
pub fn flat(values: Vec<f32>) -> Tensor<1> {
    let n = values.len();
    Tensor::from_data(TensorData::new(values, [n]), &Device::flex())
}

/// Appends the numbers of tensors to `row`.
pub fn append<'a>(tensors: impl IntoIterator<Item = &'a Tensor<1>>, row: &mut Vec<f32>) {
    tensors.into_iter().for_each(|tensor| row.extend_from_slice(of(tensor.clone()).storage()));
}

/// A row of numbers as flat tensors of these sizes.
pub fn split(numbers: &[f32], sizes: impl Iterator<Item = usize>) -> Vec<Tensor<1>> {
    let mut rest = numbers;
    let mut next = |size| {
        let (these, others) = rest.split_at(size);
        rest = others;
        flat(these.to_vec())
    };
    sizes.map(&mut next).collect()
}
