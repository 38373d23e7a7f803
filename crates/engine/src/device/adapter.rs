//! The graphics adapter: which one there is, whether it is real hardware, and a device on it.

use inkling_core::protocol::EngineKind;

#[cfg(target_family = "wasm")]
pub use browser::{largest_buffer, open};
#[cfg(target_family = "wasm")]
pub use inkling_adapter::{Found, find};
#[cfg(not(target_family = "wasm"))]
pub use native::{Found, find, largest_buffer, open};

/// What it is called in reports.
pub const KIND: EngineKind = if cfg!(target_family = "wasm") { EngineKind::WebGpu } else { EngineKind::Gpu };

/// GPU commands that are submitted together. Measured: larger values gain nothing, smaller ones cost submissions.
const TASKS_MAX: usize = 64;

#[cfg(not(target_family = "wasm"))]
mod native {
    use burn::tensor::Device;
    use burn::tensor::wgpu::wgpu;

    use super::TASKS_MAX;
    use inkling_adapter::is_software;

    /// An adapter that can compute.
    pub struct Found {
        pub name: String,
        /// It is a program that imitates a graphics card.
        pub software: bool,
        largest_buffer: u64,
    }

    /// The largest array it can bind, in bytes.
    pub fn largest_buffer(found: &Found) -> u64 {
        found.largest_buffer
    }

    /// Opens the adapter that [`find`] found: burn asks for it by the same preference.
    ///
    /// # Errors
    /// Why it would not open.
    pub async fn open(_: &Found) -> Result<Device, String> {
        let opened = Device::wgpu_options().tasks_max(TASKS_MAX).init_async().await;
        opened.map_err(|error| format!("the graphics card would not open ({error})"))
    }

    /// The adapter that the graphics API prefers. One that is a program counts as none unless it is allowed.
    ///
    /// # Errors
    /// When there is none.
    pub async fn find(allow_software: bool) -> Result<Found, String> {
        let options = wgpu::RequestAdapterOptions {
            power_preference: wgpu::PowerPreference::HighPerformance,
            ..Default::default()
        };
        let instance = wgpu::Instance::default();
        let adapter = instance.request_adapter(&options).await.map_err(|_| "this machine has no graphics card")?;
        let info = adapter.get_info();
        let software = info.device_type == wgpu::DeviceType::Cpu || is_software(&info.name);
        if software && !allow_software {
            return Err(format!("the only adapter, {}, is a program and not a graphics card", info.name));
        }
        let limits = adapter.limits();
        let largest_buffer = limits.max_buffer_size.min(limits.max_storage_buffer_binding_size);
        Ok(Found { name: format!("{} ({:?})", info.name, info.backend), software, largest_buffer })
    }
}

#[cfg(target_family = "wasm")]
mod browser;
