//! The constructors of a program in a browser.

/// Runs the constructors that fill CubeCL's registries. Must be called before a card is opened; further calls do
/// nothing.
///
/// On other platforms the system runs constructors before `main`. In a browser nothing does, and unless the program
/// calls them itself, the linker makes every call from JavaScript run all of them again: that took half of each
/// training step.
pub fn run_constructors() {
    unsafe extern "C" {
        fn __wasm_call_ctors();
    }
    static ONCE: std::sync::Once = std::sync::Once::new();
    // SAFETY: the linker generates this function. It takes and returns nothing, and runs once.
    ONCE.call_once(|| unsafe { __wasm_call_ctors() });
}
