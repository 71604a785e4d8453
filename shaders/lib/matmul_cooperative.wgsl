// A tile of a matrix product of operands rounded to f16, summed in f32 by matrix units: a subgroup multiplies matrices of
// MATRIX x MATRIX together. Four subgroups share the tile, two by two; each has FRAGMENTS x FRAGMENTS of its matrices.
enable f16;
enable wgpu_cooperative_matrix;

const MATRIX = 8u;
// Threads of a subgroup, a multiple of MATRIX.
const SUBGROUP = 8u;
const FRAGMENTS = 2u;
// Elements of a matrix that each thread of a subgroup takes.
const SHARE = 8u;

alias Staged = f16;
// The constant MATRIX takes the place of the 8.
alias MatrixA = coop_mat8x8<f16, A>;
alias MatrixB = coop_mat8x8<f16, B>;
alias MatrixC = coop_mat8x8<f32, C>;

// include: matmul_staging.wgsl

const SIDE = FRAGMENTS * MATRIX;
const ELEMENTS = MATRIX * MATRIX;
// Rows of a matrix that a subgroup takes at a time.
const ROUND = SUBGROUP / MATRIX;

// One matrix of each subgroup on its way from the matrix units to the threads.
var<workgroup> handed: array<f32, 4u * ELEMENTS>;

// Leaves the tile in `sums`: the thread's element (i, j) is that of row own_row and column own_column of the tile. Contains
// barriers: call it in uniform control flow.
fn multiply_tile(first_row: u32, first_column: u32, depth: u32, thread: u32) {
    let subgroup = thread / SUBGROUP;
    let lane = thread % SUBGROUP;
    let top = (subgroup / 2u) * SIDE;
    let left = (subgroup % 2u) * SIDE;
    let stride_a = TILE_M;
    let stride_b = TILE_N;
    let stride_c = MATRIX;
    let patch_start = subgroup * ELEMENTS;
    var fragments: array<MatrixC, FRAGMENTS * FRAGMENTS>;
    row_sum = 0.0;
    fetch_tiles(first_row, first_column, 0u, thread);
    for (var first_k = 0u; first_k < depth; first_k += TILE_K) {
        stage_tiles(thread);
        workgroupBarrier();
        if first_k + TILE_K < depth {
            fetch_tiles(first_row, first_column, first_k + TILE_K, thread);
        }
        for (var k = 0u; k < TILE_K; k += MATRIX) {
            var b: array<MatrixB, FRAGMENTS>;
            // unroll
            for (var j = 0u; j < FRAGMENTS; j++) {
                let start = k * TILE_N + left + j * MATRIX;
                b[j] = coopLoadT<MatrixB>(&tile_b[start], stride_b);
            }
            // unroll
            for (var i = 0u; i < FRAGMENTS; i++) {
                let start = k * TILE_M + top + i * MATRIX;
                let a = coopLoad<MatrixA>(&tile_a[start], stride_a);
                // unroll
                for (var j = 0u; j < FRAGMENTS; j++) {
                    fragments[i * FRAGMENTS + j] = coopMultiplyAdd(a, b[j], fragments[i * FRAGMENTS + j]);
                }
            }
        }
        if ROW_SUMS == 1u && thread < TILE_M {
            for (var k = 0u; k < TILE_K; k++) {
                row_sum += f32(tile_a[k * TILE_M + thread]);
            }
        }
        workgroupBarrier();
    }
    // unroll
    for (var i = 0u; i < FRAGMENTS; i++) {
        // unroll
        for (var j = 0u; j < FRAGMENTS; j++) {
            let fragment = fragments[i * FRAGMENTS + j];
            coopStoreT(fragment, &handed[patch_start], stride_c);
            workgroupBarrier();
            // unroll
            for (var e = 0u; e < SHARE; e++) {
                sums[(i * SHARE + e) * THREAD_N + j] = handed[patch_start + e * SUBGROUP + lane];
            }
            workgroupBarrier();
        }
    }
}

// The row, in the tile, of a thread's sums (i, j) for any j.
fn own_row(thread: u32, i: u32) -> u32 {
    let top = (thread / SUBGROUP / 2u) * SIDE;
    return top + (i / SHARE) * MATRIX + (i % SHARE) * ROUND + thread % SUBGROUP / MATRIX;
}

// The column of its sums (i, j) for any i.
fn own_column(thread: u32, j: u32) -> u32 {
    let left = (thread / SUBGROUP % 2u) * SIDE;
    return left + j * MATRIX + thread % MATRIX;
}
