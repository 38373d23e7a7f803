//! The graphics adapter: which one there is, whether it is real hardware, and a device on it.

#[cfg(feature = "gpu")]
use crate::protocol::EngineKind;

#[cfg(target_family = "wasm")]
pub use browser::find;
#[cfg(all(feature = "gpu", target_family = "wasm"))]
pub use browser::open;
#[cfg(not(target_family = "wasm"))]
pub use native::{find, open};

/// What it is called in reports.
#[cfg(all(feature = "gpu", target_family = "wasm"))]
pub const KIND: EngineKind = EngineKind::WebGpu;
#[cfg(all(feature = "gpu", not(target_family = "wasm")))]
pub const KIND: EngineKind = EngineKind::Gpu;

/// GPU commands that are submitted together. Measured: larger values gain nothing, smaller ones cost submissions.
#[cfg(feature = "gpu")]
const TASKS_MAX: usize = 64;

/// An adapter that can compute.
pub struct Found {
    pub name: String,
    /// It is a program that imitates a graphics card.
    pub software: bool,
    /// The largest array it can bind, in bytes.
    #[cfg(feature = "gpu")]
    pub largest_buffer: u64,
    /// The browser's own object.
    #[cfg(all(feature = "gpu", target_family = "wasm"))]
    adapter: wasm_bindgen::JsValue,
}

/// Names under which software adapters are known: Chrome's, Mesa's two, Windows's.
fn is_software(name: &str) -> bool {
    let name = name.to_lowercase();
    ["swiftshader", "llvmpipe", "lavapipe", "basic render"].iter().any(|known| name.contains(known))
}

#[cfg(not(target_family = "wasm"))]
mod native {
    use burn::tensor::Device;
    use burn::tensor::wgpu::wgpu;

    use super::{Found, TASKS_MAX, is_software};

    /// Opens the adapter that [`find`] found: burn asks for it by the same preference.
    ///
    /// # Errors
    /// Why it would not open.
    pub async fn open(_: &Found) -> Result<Device, String> {
        let opened = Device::wgpu_options().tasks_max(TASKS_MAX).init_async().await;
        opened.map_err(|error| format!("the graphics card would not open ({error})"))
    }

    /// The adapter that the graphics API prefers.
    ///
    /// # Errors
    /// When there is none.
    pub async fn find() -> Result<Found, String> {
        let options = wgpu::RequestAdapterOptions {
            power_preference: wgpu::PowerPreference::HighPerformance,
            ..Default::default()
        };
        let instance = wgpu::Instance::default();
        let adapter = instance.request_adapter(&options).await.map_err(|_| "this machine has no graphics card")?;
        let info = adapter.get_info();
        let software = info.device_type == wgpu::DeviceType::Cpu || is_software(&info.name);
        let limits = adapter.limits();
        let largest_buffer = limits.max_buffer_size.min(limits.max_storage_buffer_binding_size);
        Ok(Found { name: format!("{} ({:?})", info.name, info.backend), software, largest_buffer })
    }
}

#[cfg(target_family = "wasm")]
mod browser;

#[cfg(test)]
mod tests {
    use super::is_software;

    #[test]
    fn programs_that_imitate_a_card_are_known() {
        assert!(is_software("google swiftshader"));
        assert!(is_software("llvmpipe (LLVM 15.0.6, 256 bits)"));
        assert!(!is_software("nvidia ampere"));
    }
}
