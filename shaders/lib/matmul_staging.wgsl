// One workgroup's tile of a matrix product, C[row, column] = sum over k of A[row, k] * B[k, column].
//
// The including shader defines `a_at(row, k)` and `b_at(k, column)`, which return the WIDTH elements from there on that lie next
// to each other in memory, or zeros outside their matrices. Tiles of A and B are staged through workgroup memory, the next
// ones already on their way in registers. What multiplies them defines THREADS, the type Staged, and `place_a(part, m, k,
// taken)` and `place_b(part, k, n, taken)`, which put elements into a part of the workgroup memory.
// include: grid.wgsl
const TILE_M = 32u;
const TILE_N = 32u;
const TILE_K = 16u;
// Elements that a thread loads at a time: 1 or 4, which makes vectors of the types below.
const WIDTH = 1u;
// Times that each thread loads from A, and from B, for a tile.
const LOADS_A = 2u;
const LOADS_B = 2u;
// 1: the loops marked below are written out: compilers then keep the arrays in registers and overlap loads with sums.
const UNROLL = 0u;
// 1: consecutive threads load consecutive k (rows of A, columns of B are contiguous in memory); 0: the other way round.
const A_K_CONTIGUOUS = 1u;
const B_K_CONTIGUOUS = 1u;
// 1: also sum the rows of A, into `row_sum` of the threads below TILE_M.
const ROW_SUMS = 0u;
// Parts of the workgroup memory. 2: one is filled while the other is multiplied, which saves a barrier for each tile.
const STAGES = 1u;

alias Taken = f32; // WIDTH of them
alias Placed = Staged; // WIDTH of them

var<private> next_a: array<Taken, LOADS_A>;
var<private> next_b: array<Taken, LOADS_B>;
var<private> row_sum: f32;

// The place (x, y) in its tile of a thread's load, where the tile is `width` wide along x, the contiguous direction.
fn place_of(load: u32, width: u32, thread: u32) -> vec2<u32> {
    let first = (thread + load * THREADS) * WIDTH;
    return vec2(first % width, first / width);
}

fn place_in_a(load: u32, thread: u32) -> vec2<u32> {
    if A_K_CONTIGUOUS == 1u {
        return place_of(load, TILE_K, thread).yx;
    }
    return place_of(load, TILE_M, thread);
}

fn place_in_b(load: u32, thread: u32) -> vec2<u32> {
    if B_K_CONTIGUOUS == 1u {
        return place_of(load, TILE_K, thread);
    }
    return place_of(load, TILE_N, thread).yx;
}

fn fetch_tiles(first_row: u32, first_column: u32, first_k: u32, thread: u32) {
    // unroll
    for (var l = 0u; l < LOADS_A; l++) {
        let place = place_in_a(l, thread);
        next_a[l] = a_at(first_row + place.x, first_k + place.y);
    }
    // unroll
    for (var l = 0u; l < LOADS_B; l++) {
        let place = place_in_b(l, thread);
        next_b[l] = b_at(first_k + place.x, first_column + place.y);
    }
}

fn stage_tiles(part: u32, thread: u32) {
    // unroll
    for (var l = 0u; l < LOADS_A; l++) {
        let place = place_in_a(l, thread);
        place_a(part, place.x, place.y, next_a[l]);
    }
    // unroll
    for (var l = 0u; l < LOADS_B; l++) {
        let place = place_in_b(l, thread);
        place_b(part, place.x, place.y, next_b[l]);
    }
}

// The tile with a number, as (column, row) among `tiles` columns and rows: workgroups that run at one time share a block of
// tiles eight rows high, so that what they load is found in the cache more often than along a single long row. A number past
// the end is a tile below the last row or right of the last column.
fn rastered(number: u32, tiles: vec2<u32>) -> vec2<u32> {
    let band = number / (8u * tiles.x);
    let height = clamp(tiles.y - 8u * band, 1u, 8u);
    let inside = number - 8u * band * tiles.x;
    return vec2(inside / height, 8u * band + inside % height);
}
