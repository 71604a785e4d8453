//! Changes that no comparison of results can notice, each with the reason.

/// Changes to a line.
pub struct Unnoticed {
    /// The line, without its indentation.
    pub line: &'static str,
    /// The lines before and behind it; empty where that does not matter.
    pub around: [&'static str; 2],
    /// What is changed; a number tells later places in the line from the first.
    pub rules: &'static [&'static str],
    /// Why the results stay the same.
    pub reason: &'static str,
}

impl Unnoticed {
    /// Whether the outcome depends on which thread is first, so that the change may be noticed by chance.
    pub fn is_race(&self) -> bool {
        self.reason == OWNER || self.reason == NOT_READ
    }
}

const fn unnoticed(line: &'static str, rules: &'static [&'static str], reason: &'static str) -> Unnoticed {
    Unnoticed { line, around: ["", ""], rules, reason }
}

/// Of several such lines, the one with these lines around it.
const fn among(
    around: [&'static str; 2],
    line: &'static str,
    rules: &'static [&'static str],
    reason: &'static str,
) -> Unnoticed {
    Unnoticed { line, around, rules, reason }
}

const LESS: &str = "`<` to `<=`";
const LESS_1: &str = "`<` to `<=` 1";
const MORE: &str = "`>` to `>=`";
const AT_LEAST: &str = "`>=` to `>`";
const OR: &str = "`&&` to `||`";
const GUARD: &str = "guard dropped";
const DROPPED: &str = "statement dropped";
const ONE: &str = "`0.0` to `1.0`";
const FIRST: &str = "`0u` to `1u`";
const LONGER: &str = "`min(` to `max(`";
const SECOND: &str = "`1u` to `2u`";
const PRODUCT: &str = "`*` to `+`";

const MINUS: &str = "`+` to `-`";
const SLOT_0: &str = "the slot is the first, at 0";
const ROOT: &str =
    "the root is whole already where the device's square root is exact; the two lines mend one that is off by 1";
const NO_CHANGE: &str = "without the change its strength is 0, which changes nothing";
const NO_AREA: &str = "a rectangle without an area covers no pixel";

const MEETING: &str = "where two formulas meet they agree";
const ZEROED: &str = "private variables start at 0";
const PADDING: &str = "one more turn, of the padding behind the tile: 0 where bounds are checked";
const OUTSIDE: &str = "what is computed outside the matrix is not stored; the guard keeps reads inside the buffer";
const OTHER_FACTOR: &str = "past the edge the other factor is 0";
const UNUSED: &str = "what is taken there is not used";
const EMPTY: &str = "one more round, of nothing";
const OWNER: &str = "a race: its owner writes the place again, later where threads and workgroups run in order";
const NOT_READ: &str = "a race: adds up what is not read again, after its readers where threads run in order";
const CLAMP: &str = "what is read from behind the edge is not used; the device keeps reads inside the buffer";
const SHORT_LAST: &str = "only the last of the four groups may be short; what is stored behind another comes again";
const NO_FIFTH_WEIGHT: &str = "a fifth element is none of the tile's, or the fourth once more";
const NO_FIFTH: &str = "a fifth row of a block of four is not stored";
const DATA: &str = "no index leads behind the data set; the guard keeps reads inside the buffer";

/// All of them.
pub const UNNOTICED: &[Unnoticed] = &[
    unnoticed("weight_sums[sums + BATCH_WEIGHT] = of_batch;", &[MINUS], SLOT_0),
    unnoticed("var loss = weight_sums[sums + BATCH_WEIGHT] * scalars[s + STEP_LOSS];", &[MINUS], SLOT_0),
    unnoticed("var weight = weight_sums[sums + BATCH_WEIGHT];", &[MINUS], SLOT_0),
    unnoticed(
        "row_loss[model_row] *= weight * rows_per_weight(rows, weight_sums[sums + BATCH_WEIGHT]);",
        &[MINUS],
        SLOT_0,
    ),
    unnoticed("if root * root > number {", &[PRODUCT, MORE, GUARD], ROOT),
    unnoticed("root -= 1u;", &["`-=` to `+=`", SECOND, DROPPED], ROOT),
    unnoticed("if (root + 1u) * (root + 1u) <= number {", &[SECOND, "`1u` to `2u` 1"], ROOT),
    unnoticed("root += 1u;", &["`+=` to `-=`", SECOND, DROPPED], ROOT),
    unnoticed("if BRIGHTNESS == 1u {", &[GUARD], NO_CHANGE),
    among(["}", "let mean = workgroup_sum(own, thread) / f32(plane);"], "if CONTRAST == 1u {", &[GUARD], NO_CHANGE),
    unnoticed("if params.erase_high == 0u || (combine(key, ERASE) & 1u) == 0u {", &[FIRST], NO_AREA),
    unnoticed("return vec4(0u);", &[FIRST], NO_AREA),
    // lib/matmul_staging.wgsl and lib/matmul_registers.wgsl, and what includes them
    unnoticed("for (var first_k = 0u; first_k < depth; first_k += TILE_K) {", &[LESS], EMPTY),
    unnoticed("for (var i = 0u; i < THREAD_M * THREAD_N; i++) {", &[LESS, PRODUCT, FIRST], ZEROED),
    unnoticed("sums[i] = 0.0;", &[DROPPED], ZEROED),
    unnoticed("for (var k = 0u; k < TILE_K; k++) {", &[LESS], PADDING),
    unnoticed("row_sum = 0.0;", &[DROPPED], ZEROED),
    unnoticed("if ROW_SUMS == 1u && thread < TILE_M {", &[LESS, OR, GUARD], "what is summed too much is not stored"),
    unnoticed(
        "if ROW_SUMS == 1u && tile.x == 0u && thread < TILE_M && first_row + thread < params.outputs {",
        &[LESS],
        OWNER,
    ),
    among(["}", ""], "return 0.0;", &[ONE], OTHER_FACTOR),
    unnoticed("if row < params.rows && k < params.inputs {", &[LESS], OUTSIDE),
    unnoticed("if row < params.rows && k < params.outputs {", &[LESS], OUTSIDE),
    unnoticed("if row < params.outputs && k < split_end {", &[LESS], OUTSIDE),
    unnoticed("if column < params.outputs && k < params.inputs {", &[LESS], OUTSIDE),
    unnoticed("if column < params.inputs && k < params.outputs {", &[LESS], OUTSIDE),
    unnoticed("if column < params.inputs && k < split_end {", &[LESS], OUTSIDE),
    unnoticed("compute_tile(first_row, tile.x * TILE_N, end - first, thread);", &["`-` to `+`"], EMPTY),
    unnoticed("let more = first_k + TILE_K < depth;", &[LESS], "a tile is fetched that nobody uses"),
    unnoticed("if more {", &[GUARD], "a tile is fetched that nobody uses"),
    unnoticed("if STAGES == 1u {", &[GUARD], "one barrier more"),
    among(
        ["", "let row = first_row + (thread / THREADS_N) * THREAD_M + i;"],
        "for (var i = 0u; i < THREAD_M; i++) {",
        &[LESS],
        OWNER,
    ),
    among(
        ["", "let column = first_column + thread % THREADS_N + j * THREADS_N;"],
        "for (var j = 0u; j < THREAD_N; j++) {",
        &[LESS],
        OWNER,
    ),
    unnoticed("if ACTIVATION != LINEAR {", &[GUARD], "the derivative of a linear layer is 1"),
    among(["if image >= params.batch || channel >= params.channels {", ""], "return 0.0;", &[ONE], OTHER_FACTOR),
    unnoticed("if filter_ >= params.filters || k >= split_depth {", &[AT_LEAST], OUTSIDE),
    unnoticed("if channel >= params.channels || k >= split_depth {", &[AT_LEAST], OUTSIDE),
    unnoticed(
        "if ROW_SUMS == 1u && tile.x == 0u && thread < TILE_M && first_row + thread < params.filters {",
        &[LESS],
        OWNER,
    ),
    // lib/math.wgsl and lib/activation.wgsl
    unnoticed(
        "const EXP_MAX: f32 = 88.37;",
        &["another value"],
        "nothing asks for the exponential of a large number yet",
    ),
    unnoticed("let clamped = select(low, EXP_MAX, low > EXP_MAX);", &[MORE], MEETING),
    unnoticed("let low = select(x, EXP_MIN, x < EXP_MIN);", &[LESS], MEETING),
    unnoticed("let y = select((1.0 + parts.x) * parts.y, 0.0, x < EXP_MIN);", &[LESS], MEETING),
    unnoticed("let large = x > 1.0;", &[MORE], MEETING),
    unnoticed("let t = select(abs(x), 14.0, abs(x) > 14.0);", &[MORE], MEETING),
    unnoticed("if SMOOTHED == 1u {", &[GUARD], "without smoothing it adds 0"),
    unnoticed(
        "return select(0.5 * size * size, params.delta * (size - 0.5 * params.delta), size > params.delta);",
        &[MORE],
        MEETING,
    ),
    unnoticed("return select(pair, pair.yx, x < 0.0);", &[LESS], MEETING),
    unnoticed(
        "return select(select(x, 6.0, x >= 6.0 && !is_nan(x)), 0.0, x <= 0.0 && !is_nan(x));",
        &[AT_LEAST],
        MEETING,
    ),
    unnoticed("case ELU: { return select(saved + 1.0, 1.0, saved > 0.0); }", &[MORE], MEETING),
    among(["let e = exp_of(-abs(x));", "let d = 2.0 + e * (2.0 + e);"], "if x < 0.0 {", &[LESS], MEETING),
    unnoticed(
        "return select(x * (1.0 + series), select(large, -large, x < 0.0), abs(x) > 0.64);",
        &[LESS, MORE],
        MEETING,
    ),
    unnoticed("return vec2(select(1.0 - tail, tail, x < 0.0), bell * 0.3989423);", &[LESS], MEETING),
    // lib/reduce.wgsl and lib/rows.wgsl
    unnoticed("if thread < stride {", &[LESS, GUARD], NOT_READ),
    unnoticed("if thread % LANES < stride {", &[LESS, GUARD, "`%` to `/`"], NOT_READ),
    unnoticed("if LANES == 1u {", &["`1u` to `2u`"], "a reduction over one thread changes nothing"),
    unnoticed("return Largest(0.0, INVALID);", &[ONE], "an invalid row's largest value goes into NaN only"),
    unnoticed(
        "let second = a.column == NONE || b.value > a.value || (b.value == a.value && b.column < a.column);",
        &[LESS],
        "no column meets itself",
    ),
    // losses
    unnoticed("own_loss += select(-z * t, z * (1.0 - t), z > 0.0) + log1p_of(exp_of(-abs(z)));", &[MORE], MEETING),
    unnoticed("var first_target = 0u;", &[FIRST], UNUSED),
    among(["", "first_target = indices[model_row] * params.outputs;"], "if real {", &[GUARD], UNUSED),
    unnoticed("if real && first_target + j < arrayLength(&targets) {", &[LESS], DATA),
    unnoticed("if example < arrayLength(&labels) {", &[LESS, GUARD], DATA),
    unnoticed("if label < columns {", &[LESS, GUARD], UNUSED),
    unnoticed("var gap = 0.0;", &[ONE], UNUSED),
    unnoticed("if row < rows {", &[LESS, GUARD], UNUSED),
    unnoticed(
        "output[i] = select(input[i] * params.scale, 0.0, combine(key, place) < params.threshold);",
        &[LESS],
        "one hash in four billion equals the threshold",
    ),
    // convolution and pooling
    unnoticed("let own = select(0u, index, inside);", &[FIRST], UNUSED),
    unnoticed("let own = select(0u, tap, real);", &[FIRST], UNUSED),
    unnoticed("let plane = model * params.planes + select(0u, plane_of_model, inside);", &[FIRST], UNUSED),
    unnoticed("if better || (tied && lane_places[l] < largest) {", &[LESS], "a pixel is no other than itself"),
    among(
        ["", "largest = window_maximum(start, y, x);"],
        "if LANES == 1u {",
        &["`==` to `!=`", GUARD, "`1u` to `2u`"],
        "one lane or several find the same pixel",
    ),
    unnoticed("if channel < params.channels && filter_ < params.filters {", &[LESS], OUTSIDE),
    unnoticed("if filter_ < params.filters && k < taps {", &[LESS], OUTSIDE),
    unnoticed("if image >= params.batch || filter_ >= params.filters {", &[AT_LEAST], OUTSIDE),
    unnoticed("if image >= params.batch || channel >= params.channels {", &[AT_LEAST], OUTSIDE),
    unnoticed("if filter_ < params.filters && column < params.channels {", &[LESS, LESS_1, OR, GUARD], OUTSIDE),
    unnoticed("if tap < taps && column < params.filters {", &[LESS, LESS_1, OR, GUARD], OUTSIDE),
    unnoticed("if pixel < end && column < params.filters {", &[LESS, LESS_1, OR, GUARD], OUTSIDE),
    unnoticed("for (var i = 0u; i < PIXELS * VECTORS; i++) {", &[LESS, PRODUCT, FIRST], ZEROED),
    unnoticed("sums[i] = vec4<f32>(0.0);", &[DROPPED], ZEROED),
    among(["", "totals[v] = vec4<f32>(0.0);"], "for (var v = 0u; v < VECTORS; v++) {", &[LESS, FIRST], ZEROED),
    unnoticed("totals[v] = vec4<f32>(0.0);", &[DROPPED], ZEROED),
    unnoticed("for (var first_tap = 0u; first_tap < taps; first_tap += TAPS) {", &[LESS], EMPTY),
    unnoticed("for (var first = first_row * params.output_width; first < end; first += PIXELS) {", &[LESS], EMPTY),
    unnoticed("let pixel = min(first_pixel + p * THREADS, params.batch * area - 1u);", &["`-` to `+`"], UNUSED),
    among(["", "let column = first_column + v;"], "for (var v = 0u; v < COLUMNS; v++) {", &[LESS], OWNER),
    among(["", "let pixel = first_pixel + p * THREADS;"], "for (var p = 0u; p < PIXELS; p++) {", &[LESS], OWNER),
    unnoticed("if thread == 0u && tap < kernel_area {", &[FIRST, "`==` to `!=`"], "every thread has the sum"),
    unnoticed(
        "if thread == 0u && BIAS == 1u && tap == kernel_area {",
        &[FIRST, "`==` to `!=`"],
        "every thread has the sum",
    ),
    unnoticed("if STRIDED == 1u {", &[GUARD], "a stride of 1 divides everything"),
    among(["", "for (var s = lane; s < params.count; s += LANES) {"], "if i < params.len {", &[LESS, GUARD], UNUSED),
    among(
        ["var velocity = old.velocity;", ""],
        "if WITH_MOMENTUM == 1u {",
        &[GUARD],
        "without momentum the old velocity is 0",
    ),
    among(["", "old.velocity = velocity[i];"], "if WITH_MOMENTUM == 1u {", &[GUARD], UNUSED),
    unnoticed("var old = SgdElement(parameters[i], 0.0);", &[ONE], UNUSED),
    // norms
    unnoticed("var shift = 0.0;", &[ONE], UNUSED),
    among(["var shift = 0.0;", "shift = input[first];"], "if row < params.rows {", &[LESS, GUARD], UNUSED),
    among(
        ["var shift = 0.0;", "shift = input[element_of(group.z, 0u, channel)];"],
        "if channel < params.channels {",
        &[LESS, GUARD],
        UNUSED,
    ),
    unnoticed("var mean = 0.0;", &[ONE], UNUSED),
    unnoticed("var inverse = 0.0;", &[ONE], UNUSED),
    among(
        ["var inverse = 0.0;", "let place = group.z * 2u * params.rows + row;"],
        "if row < params.rows {",
        &[LESS, GUARD],
        UNUSED,
    ),
    unnoticed(
        "let end = select(first, min(first + params.split_items, items), channel < params.channels);",
        &[LESS],
        OUTSIDE,
    ),
    unnoticed("let end = first + select(0u, count, channel < params.channels);", &[LESS, FIRST], OUTSIDE),
    unnoticed(
        "if lane == 0u && channel < params.channels {",
        &[FIRST, "`==` to `!=`"],
        "all lanes of a channel have the sum",
    ),
    // fused steps
    among(["fn load_state(at: vec4<u32>, model: u32) {", ""], "if WITH_MOMENTUM == 1u {", &[GUARD], UNUSED),
    among(["}", "if at[i] != NONE {"], "for (var i = 0u; i < 4u; i++) {", &[LESS], NO_FIFTH_WEIGHT),
    among(["var next: array<AdamElement, 4>;", ""], "for (var i = 0u; i < 4u; i++) {", &[LESS], NO_FIFTH_WEIGHT),
    among(["var next: array<SgdElement, 4>;", ""], "for (var i = 0u; i < 4u; i++) {", &[LESS], NO_FIFTH_WEIGHT),
    unnoticed("if at[i] != NONE {", &[GUARD], OUTSIDE),
    among(["", "if first_row + thread < real_rows {"], "var row = 0u;", &[FIRST], "a row that is not real is cleared"),
    among(["", "if thread < BLOCK {"], "var example = 0u;", &[FIRST], "a row that is not real is cleared"),
    unnoticed("for (var first = 0u; first < blocks(); first += TILE_BLOCKS) {", &[LESS], EMPTY),
    unnoticed("if first + TILE_BLOCKS < blocks() {", &[LESS, GUARD], UNUSED),
    unnoticed(
        "let own = select(at, vec4(tile.model * params.parameter_stride), at == vec4(NONE));",
        &[PRODUCT],
        UNUSED,
    ),
    among(
        ["fn fetch(tile: Tile, first: u32, thread: u32) {", ""],
        "if thread < TILE_BLOCKS * TILE_OUTPUTS {",
        &[LESS, GUARD],
        UNUSED,
    ),
    unnoticed(
        "let at = min(block, blocks() - 1u) * l.inputs + min(input, l.inputs - 1u);",
        &["`-` to `+`", "`-` to `+` 1"],
        CLAMP,
    ),
    unnoticed(
        "let at = min(block, blocks() - 1u) * l.outputs + min(output, l.outputs - 1u);",
        &["`-` to `+`", "`-` to `+` 1"],
        CLAMP,
    ),
    unnoticed("let inside = (block < blocks()) & (output < l.outputs);", &[LESS_1], OUTSIDE),
    unnoticed("if thread < 16u {", &[LESS, GUARD], NOT_READ),
    unnoticed(
        "let all = sum_of_sixteen(1u, 0u, 1u);",
        &[SECOND],
        "there is no third half: the device takes the second",
    ),
    among(
        ["var d = lane;", "let low = four_weights(starts, d, lanes);"],
        "for (; d + 7u * lanes < depth; d += 8u * lanes) {",
        &[PRODUCT],
        "behind a layer's inputs are its outputs, which are 0 until all sums are there",
    ),
    unnoticed("for (; d + 7u * lanes < depth; d += 8u * lanes) {", &[LESS], "what remains is as much as a whole round"),
    among(
        ["fn backward(l: Layer, before: Layer, thread: u32) {", ""],
        "for (var first = 0u; first < l.inputs; first += THREADS) {",
        &[LESS],
        EMPTY,
    ),
    unnoticed("for (var first = 0u; first < l.outputs; first += per_thread * THREADS) {", &[LESS], EMPTY),
    among(
        ["", "result[row] = activation_gradient(y[row], kind);"],
        "for (var row = 0u; row < BLOCK; row++) {",
        &[LESS],
        NO_FIFTH,
    ),
    unnoticed("for (var word = thread; word < params.row_words; word += THREADS) {", &[LESS], OUTSIDE),
    unnoticed("if d < depth {", &[LESS, GUARD], "past the depth the other factor is 0"),
    unnoticed("if lane < lanes {", &[LESS, GUARD], UNUSED),
    unnoticed("if per_thread > 1u {", &[MORE, GUARD, SECOND], "one output a thread: the three others are not stored"),
    unnoticed("if group < groups {", &[LESS, GUARD], UNUSED),
    unnoticed(
        "if thread % LANES == 0u && row < BLOCK {",
        &[FIRST, "`==` to `!=`"],
        "all lanes of a row have the same result",
    ),
    unnoticed(
        "if first_row + thread < real_rows {",
        &[LESS, GUARD],
        "a row that is not real is cleared, whatever its example",
    ),
    among(["", "var label = OUTPUTS;"], "if thread < BLOCK {", &[LESS, GUARD], OUTSIDE),
    unnoticed("let real = row < BLOCK && first_row + row < real_rows;", &[LESS], NO_FIFTH),
    unnoticed("let label = block_labels[min(row, BLOCK - 1u)];", &["`-` to `+`"], UNUSED),
    unnoticed(
        "let per_thread = select(1u, 4u, l.inputs * l.outputs >= WIDE);",
        &[AT_LEAST, PRODUCT, SECOND],
        "both ways give the same",
    ),
    unnoticed(
        "let own = min(vec4(group) + vec4(0u, 1u, 2u, 3u) * groups, vec4(outputs - 1u)) + vec4(first);",
        &["`-` to `+`"],
        CLAMP,
    ),
    unnoticed(
        "store_outputs(l, first + groups, min(groups, outputs - min(groups, outputs)), lanes, sums[1], thread);",
        &["`-` to `+`", LONGER],
        SHORT_LAST,
    ),
    unnoticed(
        "store_outputs(l, first + 2u * groups, min(groups, outputs - min(2u * groups, outputs)), lanes, sums[2], thread);",
        &["`-` to `+`", "`*` to `+` 1", LONGER],
        SHORT_LAST,
    ),
    unnoticed("let low = four_weights_until(starts, d, lanes, depth - 1u);", &["`-` to `+`"], OTHER_FACTOR),
    unnoticed(
        "let high = four_weights_until(starts, d + 4u * lanes, lanes, depth - 1u);",
        &["`-` to `+`"],
        OTHER_FACTOR,
    ),
    unnoticed("partials[thread] = vec4<f32>(0.0);", &[ONE, DROPPED], UNUSED),
    unnoticed("return select(vec4<f32>(0.0), values[min(at, end - 1u)], at < end);", &["`-` to `+`"], CLAMP),
    // the rest
    unnoticed(
        "return min(1.0, hyper[model * HYPER + CLIP_NORM] / (sqrt(squares) + 1e-6));",
        &["`+` to `-` 1"],
        "PyTorch's 1e-6 beside norms around 1 is less than the tolerance",
    ),
    unnoticed("if thread != 0u {", &[FIRST], "another thread does the same"),
    unnoticed("if thread == 0u {", &[FIRST, "`==` to `!=`", GUARD], "every thread has the sum"),
    unnoticed("if WEIGHTS_ONLY == 1u || WITH_L2 == 1u {", &[GUARD], "both are asked for again inside"),
    unnoticed("if word == 0u {", &[GUARD], "all threads of a row have the same index"),
    unnoticed("var bits = 0u;", &[FIRST], UNUSED),
];
