// Multiplies a tile in registers and hands each sum to the including shader's `finish(row, column, sum)`.
fn compute_tile(first_row: u32, first_column: u32, depth: u32, thread: u32) {
    multiply_tile(first_row, first_column, depth, thread);
    // unroll
    for (var i = 0u; i < THREAD_M; i++) {
        let row = first_row + (thread / THREADS_N) * THREAD_M + i;
        // unroll
        for (var j = 0u; j < THREAD_N; j++) {
            let column = first_column + thread % THREADS_N + j * THREADS_N;
            finish(row, column, sums[i * THREAD_N + j]);
        }
    }
}
