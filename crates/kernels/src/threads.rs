//! Tasks that do not touch each other, on every core where there are threads.

/// Does `task` for each of `0..n`, in any order, and returns when all are done.
pub fn each(n: usize, task: impl Fn(usize) + Sync + Send) {
    #[cfg(feature = "threads")]
    {
        use rayon::prelude::*;
        (0..n).into_par_iter().for_each(task);
    }
    #[cfg(not(feature = "threads"))]
    (0..n).for_each(task);
}

/// How many tasks run at once.
pub fn count() -> usize {
    #[cfg(feature = "threads")]
    return rayon::current_num_threads();
    #[cfg(not(feature = "threads"))]
    1
}

/// A slice of which tasks write different parts.
#[derive(Clone, Copy)]
pub struct Shared<'a> {
    start: *mut f32,
    len: usize,
    borrowed: std::marker::PhantomData<&'a mut [f32]>,
}

// SAFETY: the parts that tasks ask for do not overlap; `part` says so.
unsafe impl Send for Shared<'_> {}
// SAFETY: as above.
unsafe impl Sync for Shared<'_> {}

impl<'a> Shared<'a> {
    pub fn new(slice: &'a mut [f32]) -> Self {
        Self { start: slice.as_mut_ptr(), len: slice.len(), borrowed: std::marker::PhantomData }
    }

    /// Where the element `at` lies.
    ///
    /// # Panics
    /// When `at..at + len` is not within the slice.
    pub fn at(self, at: usize, len: usize) -> *mut f32 {
        assert!(at + len <= self.len, "{at} + {len} is beyond {}", self.len);
        // SAFETY: within the slice, as was just checked.
        unsafe { self.start.add(at) }
    }

    /// A part of the slice.
    ///
    /// # Safety
    /// No other task uses any of it at the same time.
    #[allow(clippy::mut_from_ref)]
    pub unsafe fn part(&self, at: usize, len: usize) -> &'a mut [f32] {
        // SAFETY: within the slice, and nobody else's, as the caller promises.
        unsafe { std::slice::from_raw_parts_mut(self.at(at, len), len) }
    }
}
