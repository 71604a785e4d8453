// One workgroup's tile of a matrix product, C[row, column] = sum over k of A[row, k] * B[k, column].
//
// The including shader defines `a_at(row, k)` and `b_at(k, column)`, which return 0 outside their matrices. Tiles of A
// and B are staged through workgroup memory; every thread keeps THREAD_M x THREAD_N sums in registers.
const TILE_M = 32u;
const TILE_N = 32u;
const TILE_K = 16u;
const THREAD_M = 2u;
const THREAD_N = 2u;
// 1: consecutive threads load consecutive k (rows of A, columns of B are contiguous in memory); 0: the other way round.
const A_K_CONTIGUOUS = 1u;
const B_K_CONTIGUOUS = 1u;
// 1: also sum the rows of A, into `row_sum` of the threads below TILE_M.
const ROW_SUMS = 0u;

const THREADS_M = TILE_M / THREAD_M;
const THREADS_N = TILE_N / THREAD_N;
const THREADS = THREADS_M * THREADS_N;

var<workgroup> tile_a: array<f32, TILE_K * TILE_M>;
var<workgroup> tile_b: array<f32, TILE_K * TILE_N>;
var<private> sums: array<f32, THREAD_M * THREAD_N>;
var<private> row_sum: f32;

fn load_tiles(first_row: u32, first_column: u32, first_k: u32, thread: u32) {
    for (var i = thread; i < TILE_M * TILE_K; i += THREADS) {
        let m = select(i % TILE_M, i / TILE_K, A_K_CONTIGUOUS == 1u);
        let k = select(i / TILE_M, i % TILE_K, A_K_CONTIGUOUS == 1u);
        tile_a[k * TILE_M + m] = a_at(first_row + m, first_k + k);
    }
    for (var i = thread; i < TILE_N * TILE_K; i += THREADS) {
        let n = select(i % TILE_N, i / TILE_K, B_K_CONTIGUOUS == 1u);
        let k = select(i / TILE_N, i % TILE_K, B_K_CONTIGUOUS == 1u);
        tile_b[k * TILE_N + n] = b_at(first_k + k, first_column + n);
    }
}

// Leaves the tile in `sums`: thread (tm, tn) = (thread / THREADS_N, thread % THREADS_N) holds rows tm * THREAD_M + i and
// columns tn + j * THREADS_N. Contains barriers: call it in uniform control flow.
fn multiply_tile(first_row: u32, first_column: u32, depth: u32, thread: u32) {
    let tm = thread / THREADS_N;
    let tn = thread % THREADS_N;
    for (var i = 0u; i < THREAD_M * THREAD_N; i++) {
        sums[i] = 0.0;
    }
    row_sum = 0.0;
    for (var first_k = 0u; first_k < depth; first_k += TILE_K) {
        load_tiles(first_row, first_column, first_k, thread);
        workgroupBarrier();
        for (var k = 0u; k < TILE_K; k++) {
            for (var i = 0u; i < THREAD_M; i++) {
                let a = tile_a[k * TILE_M + tm * THREAD_M + i];
                for (var j = 0u; j < THREAD_N; j++) {
                    sums[i * THREAD_N + j] += a * tile_b[k * TILE_N + tn + j * THREADS_N];
                }
            }
        }
        if ROW_SUMS == 1u && thread < TILE_M {
            for (var k = 0u; k < TILE_K; k++) {
                row_sum += tile_a[k * TILE_M + thread];
            }
        }
        workgroupBarrier();
    }
}
