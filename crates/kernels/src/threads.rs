//! Independent tasks on all cores with the feature `threads`, and on the calling thread without it. Starts no threads
//! of its own: they are rayon's.

/// Calls `task` with each of `0..n`, in any order and possibly in parallel. Returns when all calls have returned.
pub fn each(n: usize, task: impl Fn(usize) + Sync + Send) {
    #[cfg(feature = "threads")]
    {
        use rayon::prelude::*;
        (0..n).into_par_iter().for_each(task);
    }
    #[cfg(not(feature = "threads"))]
    (0..n).for_each(task);
}

/// Number of tasks that run at once: rayon's number of threads with the feature `threads`, 1 without it.
pub fn count() -> usize {
    #[cfg(feature = "threads")]
    return rayon::current_num_threads();
    #[cfg(not(feature = "threads"))]
    1
}

/// A mutable slice of which parallel tasks write disjoint parts.
#[derive(Clone, Copy)]
pub struct Shared<'a> {
    start: *mut f32,
    len: usize,
    borrowed: std::marker::PhantomData<&'a mut [f32]>,
}

// SAFETY: it is a slice of numbers, and `part` and the users of `at` vouch that tasks on different threads use parts that
// do not overlap.
unsafe impl Send for Shared<'_> {}
// SAFETY: as above. Nothing behind a shared reference changes without such a part.
unsafe impl Sync for Shared<'_> {}

impl<'a> Shared<'a> {
    /// Shares `slice` among tasks for as long as it is borrowed.
    pub fn new(slice: &'a mut [f32]) -> Self {
        Self { start: slice.as_mut_ptr(), len: slice.len(), borrowed: std::marker::PhantomData }
    }

    /// Pointer to the element at index `at`, from which `len` elements are in bounds.
    ///
    /// # Panics
    /// If `at..at + len` is not within the slice.
    pub fn at(self, at: usize, len: usize) -> *mut f32 {
        assert!(at <= self.len && len <= self.len - at, "{at} + {len} is beyond {}", self.len);
        // SAFETY: the assertion above checked that this is within the slice or at its end.
        unsafe { self.start.add(at) }
    }

    /// The elements `at..at + len`, mutable.
    ///
    /// # Panics
    /// If `at..at + len` is not within the slice.
    ///
    /// # Safety
    /// No other task uses any of these elements at the same time.
    #[allow(clippy::mut_from_ref)]
    pub unsafe fn part(&self, at: usize, len: usize) -> &'a mut [f32] {
        // SAFETY: `at` checks the bounds; the caller guarantees that no other task uses these elements.
        unsafe { std::slice::from_raw_parts_mut(self.at(at, len), len) }
    }
}
