// A tile of a matrix product whose sums each thread keeps in registers.
const THREAD_M = 2u;
const THREAD_N = 2u;

// include: matmul_staging.wgsl

const THREADS_M = TILE_M / THREAD_M;
const THREADS_N = TILE_N / THREAD_N;
const THREADS = THREADS_M * THREADS_N;
// Elements between the rows of a tile: not a power of two, so that threads which store along k meet different memory banks.
const PITCH_A = TILE_M + 4u;
const PITCH_B = TILE_N + 4u;

var<workgroup> tile_a: array<array<Staged, TILE_K * PITCH_A>, STAGES>;
var<workgroup> tile_b: array<array<Staged, TILE_K * PITCH_B>, STAGES>;
var<private> sums: array<f32, THREAD_M * THREAD_N>;

fn place_a(part: u32, m: u32, k: u32, taken: Taken) {
    // unroll
    for (var e = 0u; e < WIDTH; e++) {
        let at = select(k * PITCH_A + m + e, (k + e) * PITCH_A + m, A_K_CONTIGUOUS == 1u);
        tile_a[part][at] = Staged(vec4<f32>(taken)[e]);
    }
}

fn place_b(part: u32, k: u32, n: u32, taken: Taken) {
    // unroll
    for (var e = 0u; e < WIDTH; e++) {
        let at = select(k * PITCH_B + n + e, (k + e) * PITCH_B + n, B_K_CONTIGUOUS == 1u);
        tile_b[part][at] = Staged(vec4<f32>(taken)[e]);
    }
}

// Leaves the tile in `sums`: the thread's element (i, j) is that of row thread / THREADS_N * THREAD_M + i and column
// thread % THREADS_N + j * THREADS_N of the tile. Contains barriers: call it in uniform control flow.
fn multiply_tile(first_row: u32, first_column: u32, depth: u32, thread: u32) {
    let tm = thread / THREADS_N;
    let tn = thread % THREADS_N;
    // unroll
    for (var i = 0u; i < THREAD_M * THREAD_N; i++) {
        sums[i] = 0.0;
    }
    row_sum = 0.0;
    fetch_tiles(first_row, first_column, 0u, thread);
    stage_tiles(0u, thread);
    workgroupBarrier();
    for (var first_k = 0u; first_k < depth; first_k += TILE_K) {
        let part = first_k / TILE_K % STAGES;
        let more = first_k + TILE_K < depth;
        if more {
            fetch_tiles(first_row, first_column, first_k + TILE_K, thread);
        }
        // unroll
        for (var k = 0u; k < TILE_K; k++) {
            // unroll
            for (var i = 0u; i < THREAD_M; i++) {
                let a = f32(tile_a[part][k * PITCH_A + tm * THREAD_M + i]);
                // unroll
                for (var j = 0u; j < THREAD_N; j++) {
                    sums[i * THREAD_N + j] += a * f32(tile_b[part][k * PITCH_B + tn + j * THREADS_N]);
                }
            }
        }
        if ROW_SUMS == 1u && thread < TILE_M {
            for (var k = 0u; k < TILE_K; k++) {
                row_sum += f32(tile_a[part][k * PITCH_A + thread]);
            }
        }
        if STAGES == 1u {
            workgroupBarrier();
        }
        if more {
            stage_tiles(STAGES - 1u - part, thread);
        }
        workgroupBarrier();
    }
}
