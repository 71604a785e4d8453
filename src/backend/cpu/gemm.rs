//! Matrix products on the CPU: a safe face on the `gemm` crate.

use super::threads;

/// A matrix inside a slice; either stride may be the small one, so a transposed matrix is no copy.
#[derive(Debug, Clone, Copy)]
pub struct MatRef<'a> {
    data: &'a [f32],
    layout: Layout,
}

/// A matrix inside a slice, to write.
#[derive(Debug)]
pub struct MatMut<'a> {
    data: &'a mut [f32],
    layout: Layout,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Layout {
    rows: usize,
    columns: usize,
    row_stride: usize,
    column_stride: usize,
}

impl Layout {
    /// Panics unless every element lies in a slice of `len` elements: the only check between a wrong shape and memory
    /// that is not ours.
    fn checked(self, len: usize) -> Layout {
        if self.rows > 0 && self.columns > 0 {
            let last = |count: usize, stride: usize| (count - 1).checked_mul(stride);
            let end = last(self.rows, self.row_stride)
                .and_then(|r| r.checked_add(last(self.columns, self.column_stride)?))
                .filter(|&end| end < len);
            assert!(end.is_some() && len <= isize::MAX as usize / 4, "{self:?} does not fit in {len} elements");
        }
        self
    }
}

impl<'a> MatRef<'a> {
    /// `rows` x `columns`, each row contiguous.
    pub fn row_major(data: &'a [f32], rows: usize, columns: usize) -> MatRef<'a> {
        let layout = Layout { rows, columns, row_stride: columns, column_stride: 1 };
        MatRef { data, layout: layout.checked(data.len()) }
    }

    /// The same memory with rows and columns exchanged.
    pub fn transposed(self) -> MatRef<'a> {
        let Layout { rows, columns, row_stride, column_stride } = self.layout;
        let layout = Layout { rows: columns, columns: rows, row_stride: column_stride, column_stride: row_stride };
        MatRef { data: self.data, layout }
    }
}

impl<'a> MatMut<'a> {
    /// `rows` x `columns`, each row contiguous.
    pub fn row_major(data: &'a mut [f32], rows: usize, columns: usize) -> MatMut<'a> {
        let layout = Layout { rows, columns, row_stride: columns, column_stride: 1 };
        let layout = layout.checked(data.len());
        MatMut { data, layout }
    }
}

/// `c = a * b + beta * c`; with `beta` 0 what `c` held is not read. The same machine gives the same bits whenever it has
/// the same number of threads at hand.
pub fn gemm(a: MatRef, b: MatRef, beta: f32, c: MatMut) {
    let (m, n, k) = (c.layout.rows, c.layout.columns, a.layout.columns);
    assert!(
        a.layout.rows == m && b.layout.columns == n && b.layout.rows == k,
        "shapes of a product: {:?} * {:?} = {:?}",
        a.layout,
        b.layout,
        c.layout
    );
    let work = 2.0 * m as f64 * n as f64 * k as f64;
    let parallelism = match threads::available() {
        threads if threads > 1 && work >= threads::WORTH_FLOPS => gemm::Parallelism::Rayon(threads),
        _ => gemm::Parallelism::None,
    };
    let stride = |stride: usize| stride as isize;
    // SAFETY: `Layout::checked` held every element (row < rows, column < columns) of the three matrices against their
    // slices, and the assertion above makes m, n and k their extents; slices of at most isize::MAX bytes make the casts
    // exact. `c` is borrowed mutably, so it overlaps neither `a` nor `b`. It comes from `row_major`, so no two of its
    // elements share a place.
    unsafe {
        gemm::gemm(
            m,
            n,
            k,
            c.data.as_mut_ptr(),
            stride(c.layout.column_stride),
            stride(c.layout.row_stride),
            beta != 0.0,
            a.data.as_ptr(),
            stride(a.layout.column_stride),
            stride(a.layout.row_stride),
            b.data.as_ptr(),
            stride(b.layout.column_stride),
            stride(b.layout.row_stride),
            beta,
            1.0,
            false,
            false,
            false,
            parallelism,
        );
    }
}
