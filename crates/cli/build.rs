//! Tells the program which build it is.

fn main() {
    inkling_build_id::emit();
}
