// A tile of a matrix product of operands rounded to f16, summed in f32 by matrix units: a subgroup multiplies matrices of
// MATRIX x MATRIX together. Subgroups share the tile, two beside each other; each has FRAGMENTS_M x FRAGMENTS_N of its
// matrices.
enable f16;
enable wgpu_cooperative_matrix;

const MATRIX = 8u;
// Threads of a subgroup, a multiple of MATRIX.
const SUBGROUP = 8u;
const SUBGROUPS = 4u;
const FRAGMENTS_M = 2u;
const FRAGMENTS_N = 2u;

alias Staged = f16;
// The constant MATRIX takes the place of the 8.
alias MatrixA = coop_mat8x8<f16, A>;
alias MatrixB = coop_mat8x8<f16, B>;
alias MatrixC = coop_mat8x8<f32, C>;

// include: matmul_staging.wgsl

const THREADS = SUBGROUPS * SUBGROUP;
const ELEMENTS = MATRIX * MATRIX;
// A tile lies in workgroup memory as its matrix lies in the buffer, so that vectors stay vectors. The lines are 16 bytes
// longer than the tile: matrix units want multiples of that, and lines of a matrix should meet different memory banks.
const PITCH_A = select(TILE_M, TILE_K, A_K_CONTIGUOUS == 1u) + 8u;
const PITCH_B = select(TILE_N, TILE_K, B_K_CONTIGUOUS == 1u) + 8u;
const LINES_A = select(TILE_K, TILE_M, A_K_CONTIGUOUS == 1u);
const LINES_B = select(TILE_K, TILE_N, B_K_CONTIGUOUS == 1u);

var<workgroup> tile_a: array<array<Placed, LINES_A * PITCH_A / WIDTH>, STAGES>;
var<workgroup> tile_b: array<array<Placed, LINES_B * PITCH_B / WIDTH>, STAGES>;
// One matrix of each subgroup on its way from the matrix units to the threads.
var<workgroup> handed: array<f32, SUBGROUPS * ELEMENTS>;

fn at_a(m: u32, k: u32) -> u32 {
    return select(k * PITCH_A + m, m * PITCH_A + k, A_K_CONTIGUOUS == 1u);
}

fn at_b(k: u32, n: u32) -> u32 {
    return select(k * PITCH_B + n, n * PITCH_B + k, B_K_CONTIGUOUS == 1u);
}

fn place_a(part: u32, m: u32, k: u32, taken: Taken) {
    tile_a[part][at_a(m, k) / WIDTH] = Placed(taken);
}

fn place_b(part: u32, k: u32, n: u32, taken: Taken) {
    tile_b[part][at_b(k, n) / WIDTH] = Placed(taken);
}

// Multiplies a tile and hands each sum to the including shader's `finish(row, column, sum)`. Contains barriers: call it in
// uniform control flow.
fn compute_tile(first_row: u32, first_column: u32, depth: u32, thread: u32) {
    let subgroup = thread / SUBGROUP;
    let lane = thread % SUBGROUP;
    let top = (subgroup / 2u) * FRAGMENTS_M * MATRIX;
    let left = (subgroup % 2u) * FRAGMENTS_N * MATRIX;
    let pitch_a = PITCH_A / WIDTH;
    let pitch_b = PITCH_B / WIDTH;
    let pitch_c = MATRIX;
    let patch_start = subgroup * ELEMENTS;
    var fragments: array<MatrixC, FRAGMENTS_M * FRAGMENTS_N>;
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
        for (var k = 0u; k < TILE_K; k += MATRIX) {
            var b: array<MatrixB, FRAGMENTS_N>;
            // unroll
            for (var j = 0u; j < FRAGMENTS_N; j++) {
                let start = at_b(k, left + j * MATRIX) / WIDTH;
                if B_K_CONTIGUOUS == 1u {
                    b[j] = coopLoad<MatrixB>(&tile_b[part][start], pitch_b);
                } else {
                    b[j] = coopLoadT<MatrixB>(&tile_b[part][start], pitch_b);
                }
            }
            // unroll
            for (var i = 0u; i < FRAGMENTS_M; i++) {
                let start = at_a(top + i * MATRIX, k) / WIDTH;
                var a: MatrixA;
                if A_K_CONTIGUOUS == 1u {
                    a = coopLoadT<MatrixA>(&tile_a[part][start], pitch_a);
                } else {
                    a = coopLoad<MatrixA>(&tile_a[part][start], pitch_a);
                }
                // unroll
                for (var j = 0u; j < FRAGMENTS_N; j++) {
                    fragments[i * FRAGMENTS_N + j] = coopMultiplyAdd(a, b[j], fragments[i * FRAGMENTS_N + j]);
                }
            }
        }
        if ROW_SUMS == 1u && thread < TILE_M {
            for (var k = 0u; k < TILE_K; k++) {
                let at = at_a(thread, k);
                row_sum += vec4<f32>(Taken(tile_a[part][at / WIDTH]))[at % WIDTH];
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
    // unroll
    for (var i = 0u; i < FRAGMENTS_M; i++) {
        // unroll
        for (var j = 0u; j < FRAGMENTS_N; j++) {
            let fragment = fragments[i * FRAGMENTS_N + j];
            coopStoreT(fragment, &handed[patch_start], pitch_c);
            workgroupBarrier();
            let row = first_row + top + i * MATRIX;
            let column = first_column + left + j * MATRIX;
            for (var e = lane; e < ELEMENTS; e += SUBGROUP) {
                finish(row + e / MATRIX, column + e % MATRIX, handed[patch_start + e]);
            }
            workgroupBarrier();
        }
    }
}
