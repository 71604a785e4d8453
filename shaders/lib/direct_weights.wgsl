// Weights of TAPS taps x COLUMNS filters (or channels) in workgroup memory, four filters to a vector, for the direct
// convolutions: their threads own pixels, so all of them read the same weight at the same time.
//
// The including shader defines `weight_at(tap, column)`, which returns 0 outside the weights.
const TAPS = 64u;
const COLUMNS = 8u;
const THREADS = 64u;

const VECTORS = COLUMNS / 4u;

var<workgroup> staged: array<vec4<f32>, TAPS * VECTORS>;

// Contains no barrier; the caller puts one before and one after.
fn stage_weights(first_tap: u32, first_column: u32, thread: u32) {
    for (var i = thread; i < TAPS * VECTORS; i += THREADS) {
        // Consecutive threads load consecutive taps, which lie side by side in memory.
        let tap = first_tap + i % TAPS;
        let vector = i / TAPS;
        let column = first_column + vector * 4u;
        staged[(i % TAPS) * VECTORS + vector] = vec4<f32>(
            weight_at(tap, column),
            weight_at(tap, column + 1u),
            weight_at(tap, column + 2u),
            weight_at(tap, column + 3u),
        );
    }
}
