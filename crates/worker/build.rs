//! Sets `INKLING_BUILD`, the name of the build, for this crate's programs.

fn main() {
    inkling_build_id::emit();
}
