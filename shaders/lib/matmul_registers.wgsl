// A tile of a matrix product whose sums each thread keeps in registers.

// include: matmul_staging.wgsl

// Leaves the tile in `sums`: the thread's element (i, j) is that of row own_row and column own_column of the tile. Contains
// barriers: call it in uniform control flow.
fn multiply_tile(first_row: u32, first_column: u32, depth: u32, thread: u32) {
    let tm = thread / THREADS_N;
    let tn = thread % THREADS_N;
    // unroll
    for (var i = 0u; i < THREAD_M * THREAD_N; i++) {
        sums[i] = 0.0;
    }
    row_sum = 0.0;
    fetch_tiles(first_row, first_column, 0u, thread);
    for (var first_k = 0u; first_k < depth; first_k += TILE_K) {
        stage_tiles(thread);
        workgroupBarrier();
        if first_k + TILE_K < depth {
            fetch_tiles(first_row, first_column, first_k + TILE_K, thread);
        }
        // unroll
        for (var k = 0u; k < TILE_K; k++) {
            // unroll
            for (var i = 0u; i < THREAD_M; i++) {
                let a = f32(tile_a[k * TILE_M + tm * THREAD_M + i]);
                // unroll
                for (var j = 0u; j < THREAD_N; j++) {
                    sums[i * THREAD_N + j] += a * f32(tile_b[k * TILE_N + tn + j * THREADS_N]);
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
}

// The row, in the tile, of a thread's sums (i, j) for any j.
fn own_row(thread: u32, i: u32) -> u32 {
    return (thread / THREADS_N) * THREAD_M + i;
}

// The column of its sums (i, j) for any i.
fn own_column(thread: u32, j: u32) -> u32 {
    return thread % THREADS_N + j * THREADS_N;
}
