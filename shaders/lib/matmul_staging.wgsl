// One workgroup's tile of a matrix product, C[row, column] = sum over k of A[row, k] * B[k, column].
//
// The including shader defines `a_at(row, k)` and `b_at(k, column)`, which return 0 outside their matrices. Tiles of A
// and B are staged through workgroup memory, the next ones already on their way in registers; every thread keeps
// THREAD_M x THREAD_N sums in registers.
const TILE_M = 32u;
const TILE_N = 32u;
const TILE_K = 16u;
const THREAD_M = 2u;
const THREAD_N = 2u;
// Elements of a tile of A, and of B, that each thread loads.
const LOADS_A = 2u;
const LOADS_B = 2u;
// 1: the loops marked below are written out: compilers then keep the arrays in registers and overlap loads with sums.
const UNROLL = 0u;
// 1: consecutive threads load consecutive k (rows of A, columns of B are contiguous in memory); 0: the other way round.
const A_K_CONTIGUOUS = 1u;
const B_K_CONTIGUOUS = 1u;
// 1: also sum the rows of A, into `row_sum` of the threads below TILE_M.
const ROW_SUMS = 0u;

const THREADS_M = TILE_M / THREAD_M;
const THREADS_N = TILE_N / THREAD_N;
const THREADS = THREADS_M * THREADS_N;

var<workgroup> tile_a: array<Staged, TILE_K * TILE_M>;
var<workgroup> tile_b: array<Staged, TILE_K * TILE_N>;
var<private> next_a: array<f32, LOADS_A>;
var<private> next_b: array<f32, LOADS_B>;
var<private> sums: array<f32, THREAD_M * THREAD_N>;
var<private> row_sum: f32;

fn fetch_tiles(first_row: u32, first_column: u32, first_k: u32, thread: u32) {
    // unroll
    for (var l = 0u; l < LOADS_A; l++) {
        let i = thread + l * THREADS;
        let m = select(i % TILE_M, i / TILE_K, A_K_CONTIGUOUS == 1u);
        let k = select(i / TILE_M, i % TILE_K, A_K_CONTIGUOUS == 1u);
        next_a[l] = a_at(first_row + m, first_k + k);
    }
    // unroll
    for (var l = 0u; l < LOADS_B; l++) {
        let i = thread + l * THREADS;
        let n = select(i % TILE_N, i / TILE_K, B_K_CONTIGUOUS == 1u);
        let k = select(i / TILE_N, i % TILE_K, B_K_CONTIGUOUS == 1u);
        next_b[l] = b_at(first_k + k, first_column + n);
    }
}

fn stage_tiles(thread: u32) {
    // unroll
    for (var l = 0u; l < LOADS_A; l++) {
        let i = thread + l * THREADS;
        let m = select(i % TILE_M, i / TILE_K, A_K_CONTIGUOUS == 1u);
        let k = select(i / TILE_M, i % TILE_K, A_K_CONTIGUOUS == 1u);
        tile_a[k * TILE_M + m] = Staged(next_a[l]);
    }
    // unroll
    for (var l = 0u; l < LOADS_B; l++) {
        let i = thread + l * THREADS;
        let n = select(i % TILE_N, i / TILE_K, B_K_CONTIGUOUS == 1u);
        let k = select(i / TILE_N, i % TILE_K, B_K_CONTIGUOUS == 1u);
        tile_b[k * TILE_N + n] = Staged(next_b[l]);
    }
}

// The tile that a workgroup takes, as (column, row): workgroups that run at one time share a block of tiles eight rows
// high, so that what they load is found in the cache more often than along a single long row.
fn rastered(group: vec3<u32>, groups: vec3<u32>) -> vec2<u32> {
    let linear = group.y * groups.x + group.x;
    let band = linear / (8u * groups.x);
    let height = min(groups.y - 8u * band, 8u);
    let inside = linear - 8u * band * groups.x;
    return vec2(inside / height, 8u * band + inside % height);
}
