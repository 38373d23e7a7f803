//! Requests a WebGPU adapter from the browser, with a timeout. A request that throws, returns nothing or never settles
//! is an error, and the caller computes on the CPU instead; it never stops the page or its worker.
//!
//! It accesses plain JavaScript properties, because web-sys's WebGPU bindings are unstable and wgpu's adapter has
//! neither vendor nor architecture.

#[cfg(target_family = "wasm")]
mod browser;
#[cfg(target_family = "wasm")]
pub use browser::{FoundAdapter, ask, find, get, gpu};

/// Whether a name is that of a known software adapter: Chrome's SwiftShader, Mesa's llvmpipe and lavapipe, or Windows's
/// Basic Render Driver.
pub fn is_software(name: &str) -> bool {
    let name = name.to_lowercase();
    ["swiftshader", "llvmpipe", "lavapipe", "basic render"].iter().any(|known| name.contains(known))
}

/// A readable name for an adapter, from what the browser reports: `nvidia` and `ampere` become NVIDIA Ampere. A
/// description that names the vendor, such as NVIDIA H200, is used as it is.
pub fn adapter_name(vendor: &str, architecture: &str, description: &str) -> String {
    let capitalised = |name: &str| -> String {
        match name {
            "nvidia" | "amd" | "arm" | "rdna" | "gcn" | "cdna" => name.to_uppercase(),
            name => name.chars().take(1).flat_map(char::to_uppercase).chain(name.chars().skip(1)).collect(),
        }
    };
    let words = |text: &str| text.split(['-', ' ']).map(capitalised).collect::<Vec<_>>().join(" ");
    let names_vendor = description.to_lowercase().contains(&vendor.to_lowercase());
    let name = if !description.is_empty() && names_vendor {
        description.to_owned()
    } else {
        format!("{} {} {description}", words(vendor), words(architecture))
    };
    let name = name.split_whitespace().collect::<Vec<_>>().join(" ");
    if name.is_empty() { "unnamed".into() } else { name }
}

#[cfg(test)]
mod tests {
    use super::{adapter_name, is_software};

    #[test]
    fn adapter_names_are_readable() {
        assert_eq!(adapter_name("nvidia", "ampere", ""), "NVIDIA Ampere");
        assert_eq!(adapter_name("amd", "rdna-3", ""), "AMD RDNA 3");
        assert_eq!(adapter_name("intel", "gen-12lp", ""), "Intel Gen 12lp");
        assert_eq!(adapter_name("apple", "", ""), "Apple");
        assert_eq!(adapter_name("nvidia", "", "NVIDIA H200"), "NVIDIA H200");
        assert_eq!(adapter_name("", "", "Some card"), "Some card");
        assert_eq!(adapter_name("", "", ""), "unnamed");
    }

    #[test]
    fn software_adapters_are_recognised() {
        assert!(is_software("google swiftshader"));
        assert!(is_software("llvmpipe (LLVM 15.0.6, 256 bits)"));
        assert!(!is_software("nvidia ampere"));
    }
}
