//! Matrix products on the CPU: a safe face on the `gemm-f32` crate, and their pieces for several threads.

use super::threads;
use std::sync::atomic::{AtomicPtr, Ordering::Relaxed};

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

    /// The same memory with rows and columns exchanged.
    fn turned(self) -> Layout {
        let Layout { rows, columns, row_stride, column_stride } = self;
        Layout { rows: columns, columns: rows, row_stride: column_stride, column_stride: row_stride }
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
        MatRef { data: self.data, layout: self.layout.turned() }
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

/// Which side of a product is that of a layer's outputs. A thread that always takes the same of them finds their weights
/// in its own cache, where it left them in the step before.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outputs {
    /// The rows: a layer's weights or their gradient.
    Rows,
    /// The columns: what a layer gives.
    Columns,
    /// Neither of them.
    Neither,
}

/// `c = a * b + beta * c`, on several threads where that pays (see [`threads::available`]); with `beta` 0 what `c` held is
/// not read. The order of additions, and with it every bit of the result, does not depend on the number of threads.
pub fn gemm(a: MatRef, b: MatRef, beta: f32, c: MatMut, outputs: Outputs) {
    let (m, n, k) = (c.layout.rows, c.layout.columns, a.layout.columns);
    assert!(
        a.layout.rows == m && b.layout.columns == n && b.layout.rows == k,
        "shapes of a product: {:?} * {:?} = {:?}",
        a.layout,
        b.layout,
        c.layout
    );
    let work = 2.0 * m as f64 * n as f64 * k as f64;
    let [rows, columns] = if work < threads::WORTH_FLOPS { [m, n] } else { pieces([m, n, k], outputs) };
    let (rows, columns) = (rows.max(1), columns.max(1));
    // One side of the two is whole. Their number is known, so that a single piece calls nobody.
    let pieces_of_row = n.div_ceil(columns);
    let places = (0..m.div_ceil(rows) * pieces_of_row)
        .map(|index| (index / pieces_of_row * rows, index % pieces_of_row * columns));
    let depths = depths(k);
    let start = AtomicPtr::new(c.data.as_mut_ptr());
    let multiply = gemm_f32::gemm::f32::get_gemm_fn();
    threads::for_each(places, |(row, column)| {
        let (rows, columns) = (rows.min(m - row), columns.min(n - column));
        for first in (0..k.max(1)).step_by(depths) {
            let (depth, beta) = (depths.min(k - first), if first == 0 { beta } else { 1.0 });
            let left = a.data.as_ptr().wrapping_add(row * a.layout.row_stride + first * a.layout.column_stride);
            let right = b.data.as_ptr().wrapping_add(column * b.layout.column_stride + first * b.layout.row_stride);
            let (left, right) = ((rows, left, a.layout), (columns, right, b.layout));
            // The library takes results whose columns are contiguous; the rows of c = a * b are those of c' = b' * a'.
            let turn = |(len, start, layout): (usize, *const f32, Layout)| (len, start, layout.turned());
            let turned = c.layout.column_stride < c.layout.row_stride;
            let [(rows, left, l), (columns, right, r)] = if turned { [turn(right), turn(left)] } else { [left, right] };
            let out = if turned { c.layout.turned() } else { c.layout };
            // SAFETY: `Layout::checked` held every element (row < rows, column < columns) of the three matrices against
            // their slices, and the assertion above makes m, n and k their extents, of which this piece is a part (where
            // k is 0, nothing of `a` and `b` is read); slices of at most isize::MAX bytes make the casts exact. `c` is
            // borrowed mutably, so it overlaps neither `a` nor `b`. It comes from `row_major`, so no two of its elements
            // share a place, and no two threads' pieces have one in common.
            unsafe {
                multiply(
                    rows,
                    columns,
                    depth,
                    start.load(Relaxed).add(row * c.layout.row_stride + column * c.layout.column_stride),
                    out.column_stride as isize,
                    out.row_stride as isize,
                    beta != 0.0,
                    left,
                    l.column_stride as isize,
                    l.row_stride as isize,
                    right,
                    r.column_stride as isize,
                    r.row_stride as isize,
                    beta,
                    1.0,
                    false,
                    false,
                    false,
                    gemm_common::Parallelism::None,
                );
            }
        }
    });
}

/// Length of the parts of the sums that the library is given one after the other. Where it would cut them by itself depends
/// on the other sides of a piece.
fn depths(k: usize) -> usize {
    const MAX_DEPTH: usize = 512;
    k.div_ceil(k.div_ceil(MAX_DEPTH).max(1)).max(1)
}

/// Rows and columns of the pieces that a product of `m` x `n` results, each a sum of `k`, is cut into: along the side of
/// the outputs where it is long enough and waiting for the longest piece costs less than fetching weights that lie in
/// another core's cache; else along the longer side.
fn pieces([m, n, k]: [usize; 3], outputs: Outputs) -> [usize; 2] {
    let threads = threads::available();
    let (rows, columns) = (piece(m, n, 8), piece(n, m, 16));
    let pays = |outputs: usize, piece: usize, batch: usize| {
        let waiting = (piece * threads).saturating_sub(outputs) * batch;
        outputs >= MIN_OUTPUTS * threads && waiting <= FETCHED_WEIGHT * outputs * threads
    };
    let by_rows = match outputs {
        Outputs::Rows if pays(m, rows, k) => true,
        Outputs::Columns if pays(n, columns, m) => false,
        _ => m > n,
    };
    if by_rows { [rows, n] } else { [m, columns] }
}

/// Length of the pieces of a side. None is so small that the library (`gemm-f32` 0.19) sums it in another order than the whole:
/// it has other ways for one row or column, and for results of at most 256 elements.
fn piece(len: usize, other: usize, unit: usize) -> usize {
    let small = |len: usize| len == 1 || other == 1 || len * other <= 256;
    let mut piece = threads::piece(len, unit);
    while piece < len && (small(piece) || (!len.is_multiple_of(piece) && small(len % piece))) {
        piece += unit;
    }
    piece
}

/// Outputs that are worth a thread.
const MIN_OUTPUTS: usize = 16;
/// Multiplications that take as long as fetching a weight from another core's cache does.
const FETCHED_WEIGHT: usize = 24;

#[cfg(test)]
mod tests {
    use super::*;

    fn matrix(rows: usize, columns: usize) -> Vec<f32> {
        (0..rows * columns).map(|i| (i * 37 % 101) as f32 / 50.0 - 1.0).collect()
    }

    #[test]
    fn products_of_matrices_and_transposed_ones() {
        for [m, n, k] in [[1, 1, 1], [3, 5, 7], [64, 10, 33], [17, 1, 129], [1, 40, 2], [130, 131, 300]] {
            let (a, b, c) = (matrix(m, k), matrix(k, n), matrix(m, n));
            let transpose = |x: &[f32], rows: usize, columns: usize| -> Vec<f32> {
                (0..rows * columns).map(|i| x[i % rows * columns + i / rows]).collect()
            };
            let (at, bt) = (transpose(&a, m, k), transpose(&b, k, n));
            let plain = [MatRef::row_major(&a, m, k), MatRef::row_major(&b, k, n)];
            let other = [MatRef::row_major(&at, k, m).transposed(), MatRef::row_major(&bt, n, k).transposed()];
            for (a_view, b_view) in [(plain[0], plain[1]), (plain[0], other[1]), (other[0], plain[1])] {
                for beta in [0.0, 0.5] {
                    let mut result = if beta == 0.0 { vec![f32::NAN; m * n] } else { c.clone() };
                    gemm(a_view, b_view, beta, MatMut::row_major(&mut result, m, n), Outputs::Neither);
                    for (i, x) in result.iter().enumerate() {
                        let sum: f32 = (0..k).map(|l| a[i / n * k + l] * b[l * n + i % n]).sum();
                        let want = sum + beta * c[i];
                        assert!((x - want).abs() < 1e-4, "{m}x{n}x{k} beta {beta}: {x}, not {want}");
                    }
                }
            }
        }
    }

    #[test]
    fn the_number_of_threads_changes_no_bit() {
        let shapes = [
            [300, 260, 700],
            [50, 64, 784],
            [64, 40, 784],
            [40, 784, 64],
            [100, 10, 784],
            [32, 10, 784],
            [33, 28, 784],
            [1000, 17, 1501],
            [17, 33, 1031],
            [9, 17, 2000],
            [700, 1, 900],
            [1, 700, 900],
        ];
        for [m, n, k] in shapes {
            let (a, b) = (matrix(m, k), matrix(n, k));
            let product = |outputs| {
                let mut c = vec![0.0; m * n];
                let b = MatRef::row_major(&b, n, k).transposed();
                gemm(MatRef::row_major(&a, m, k), b, 0.0, MatMut::row_major(&mut c, m, n), outputs);
                c
            };
            let alone = product(Outputs::Neither);
            for count in [2, 3, 4, 5, 8, 16] {
                let team: &'static threads::Threads = Box::leak(Box::new(threads::Threads::new(count)));
                for outputs in [Outputs::Rows, Outputs::Columns, Outputs::Neither] {
                    assert_eq!(team.lead(|| product(outputs)), alone, "{m}x{n}x{k}, {outputs:?}, {count} threads");
                }
            }
        }
    }

    #[test]
    #[should_panic = "does not fit"]
    fn a_matrix_larger_than_its_slice_is_refused() {
        MatRef::row_major(&[0.0; 5], 2, 3);
    }

    #[test]
    #[should_panic = "shapes of a product"]
    fn shapes_that_do_not_match_are_refused() {
        let (a, mut c) = ([0.0; 6], [0.0; 4]);
        gemm(
            MatRef::row_major(&a, 2, 3),
            MatRef::row_major(&a, 2, 3),
            0.0,
            MatMut::row_major(&mut c, 2, 2),
            Outputs::Neither,
        );
    }
}
