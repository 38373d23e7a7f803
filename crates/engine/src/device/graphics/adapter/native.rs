//! The adapter of the system's graphics API.

use burn::tensor::Device;
use burn::tensor::wgpu::wgpu;
use inkling_gpu_adapter::is_software;

use super::TASKS_MAX;

/// An adapter that can compute.
pub struct FoundAdapter {
    /// Its name and the graphics API, for reports.
    pub name: String,
    /// It is a software adapter, not a graphics card.
    pub software: bool,
    /// In bytes.
    largest_buffer: u64,
}

/// The largest array that the adapter can bind, in bytes.
pub fn largest_buffer(found: &FoundAdapter) -> u64 {
    found.largest_buffer
}

/// Opens a device on the adapter that [`find`] found: burn requests an adapter with the same preference.
///
/// # Errors
/// When the device cannot be opened; the message says why.
pub async fn open(_: &FoundAdapter) -> Result<Device, String> {
    let opened = Device::wgpu_options().tasks_max(TASKS_MAX).init_async().await;
    opened.map_err(|error| format!("the graphics card would not open ({error})"))
}

/// The high-performance adapter of the graphics API. A software adapter counts only if `allow_software`.
///
/// # Errors
/// When there is no adapter, or only a software adapter that is not allowed.
pub async fn find(allow_software: bool) -> Result<FoundAdapter, String> {
    let options =
        wgpu::RequestAdapterOptions { power_preference: wgpu::PowerPreference::HighPerformance, ..Default::default() };
    let instance = wgpu::Instance::default();
    let adapter = instance.request_adapter(&options).await.map_err(|_| "this machine has no graphics card")?;
    let info = adapter.get_info();
    let software = info.device_type == wgpu::DeviceType::Cpu || is_software(&info.name);
    if software && !allow_software {
        return Err(format!("the only adapter, {}, is a program and not a graphics card", info.name));
    }
    let limits = adapter.limits();
    let largest_buffer = limits.max_buffer_size.min(limits.max_storage_buffer_binding_size);
    Ok(FoundAdapter { name: format!("{} ({:?})", info.name, info.backend), software, largest_buffer })
}
