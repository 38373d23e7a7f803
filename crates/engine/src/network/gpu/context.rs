//! Tensors of burn's graphics backend as arrays of our shaders, without copies.

use burn::backend::Wgpu;
use burn::backend::wgpu::CubeTensor;
use burn::tensor::{DType, Shape, Tensor};
use inkling_shaders::{Array, Device, Gpu};

/// The graphics card that a tensor is stored on.
pub struct GpuContext {
    /// Its command queue.
    pub gpu: Gpu,
    device: Device,
}

impl GpuContext {
    /// The context of a device.
    ///
    /// # Panics
    /// When the device is of another kind.
    pub fn on(device: &burn::tensor::Device) -> Self {
        Self::of(Tensor::<1>::from_data([0.0], device)).0
    }

    /// The context of a tensor, and the tensor as an array.
    ///
    /// # Panics
    /// When the tensor is stored on another kind of device.
    pub fn of<const D: usize>(tensor: Tensor<D>) -> (Self, Array) {
        let primitive = primitive(tensor);
        let array = Array::new(primitive.handle.clone(), primitive.meta.shape().num_elements());
        (Self { gpu: Gpu::new(primitive.client), device: primitive.device }, array)
    }

    /// An array as a flat tensor of burn.
    pub fn tensor(&self, array: Array) -> Tensor<1> {
        let (client, handle) = (self.gpu.client().clone(), array.handle().clone());
        let shape = Shape::new([array.len()]);
        let primitive = CubeTensor::new_contiguous(client, self.device.clone(), shape, handle, DType::F32);
        Tensor::from_primitive::<Wgpu>(primitive)
    }
}

/// The tensors as arrays.
pub fn arrays(tensors: &[Tensor<1>]) -> Vec<Array> {
    tensors.iter().map(|tensor| GpuContext::of(tensor.clone()).1).collect()
}

fn primitive<const D: usize>(tensor: Tensor<D>) -> CubeTensor {
    let primitive =
        tensor.try_into_primitive::<Wgpu>().expect("a graphics engine has tensors of the wgpu backend only");
    debug_assert!(primitive.is_contiguous(), "flat arrays and uploaded images lie in order");
    primitive
}
