// Kernels that reduce over the columns of a matrix. LANES threads share a row: 1 for short rows, where a thread keeps all
// to itself, or a whole workgroup for long ones. The threads of a row must call these functions together; they contain
// barriers, so call them in uniform control flow.
// include: nan.wgsl
const THREADS = 64u;
const LANES = 1u;
const ROWS = THREADS / LANES;

// The lowest f32. Rounded up in its last digit, as it is often written, the decimal lies beyond f32, and browsers refuse it.
const LOWEST: f32 = -3.4028234e38;
// Columns that are none: no value seen yet, and a value that is NaN or +infinite.
const NONE: u32 = 0xfffffffeu;
const INVALID: u32 = 0xffffffffu;

var<workgroup> row_values: array<f32, THREADS>;
var<workgroup> row_columns: array<u32, THREADS>;

// The largest value so far and its column, the first of equals.
struct Largest {
    value: f32,
    column: u32,
}

fn is_invalid(value: f32) -> bool {
    return bitcast<u32>(value) == 0x7f800000u || is_nan(value);
}

// NaN; made from a value that no compiler knows, since WGSL has no constant NaN.
fn not_a_number(seed: u32) -> f32 {
    return bitcast<f32>(seed | 0x7fc00000u);
}

fn larger(a: Largest, b: Largest) -> Largest {
    if a.column == INVALID || b.column == INVALID {
        return Largest(0.0, INVALID);
    }
    let second = a.column == NONE || b.value > a.value || (b.value == a.value && b.column < a.column);
    if second && b.column != NONE {
        return b;
    }
    return a;
}

// A further value, of a column behind those seen.
fn see(seen: Largest, value: f32, column: u32) -> Largest {
    return larger(seen, Largest(value, select(column, INVALID, is_invalid(value))));
}

// The row's largest value, from each thread's.
fn row_largest(own: Largest, thread: u32) -> Largest {
    if LANES == 1u {
        return own;
    }
    var largest = own;
    for (var stride = LANES / 2u; stride > 0u; stride /= 2u) {
        workgroupBarrier();
        row_values[thread] = largest.value;
        row_columns[thread] = largest.column;
        workgroupBarrier();
        if thread % LANES < stride {
            largest = larger(largest, Largest(row_values[thread + stride], row_columns[thread + stride]));
        }
    }
    workgroupBarrier();
    row_values[thread] = largest.value;
    row_columns[thread] = largest.column;
    workgroupBarrier();
    let first = thread / LANES * LANES;
    return Largest(row_values[first], row_columns[first]);
}

// The sum of the row's threads' values, in a fixed order.
fn row_sum(own: f32, thread: u32) -> f32 {
    if LANES == 1u {
        return own;
    }
    workgroupBarrier();
    row_values[thread] = own;
    for (var stride = LANES / 2u; stride > 0u; stride /= 2u) {
        workgroupBarrier();
        if thread % LANES < stride {
            row_values[thread] += row_values[thread + stride];
        }
    }
    workgroupBarrier();
    return row_values[thread / LANES * LANES];
}
