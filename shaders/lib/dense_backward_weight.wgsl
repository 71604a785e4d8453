// gradient[o, i] = sum over r of output_gradient[r, o] * input[r, i], and the bias gradient, sum over r of
// output_gradient[r, o], at gradient[bias_offset + o].
//
// output_gradient (models, rows, outputs), input (models, rows, inputs), gradient: the layer's part of the gradients, the
// parameters of model z starting at z * parameter_stride. Split s sums only the rows from s * split_rows on, into what
// starts split_stride * s further on; sum_partials.wgsl then adds the splits. Grid: linear over the tiles (see rastered) of
// all splits, those of a split below those of the one before; z over models. The including shader includes a way to multiply
// tiles.
struct Params {
    rows: u32,
    inputs: u32,
    outputs: u32,
    parameter_stride: u32,
    bias_offset: u32,
    input_stride: u32,
    split_rows: u32,
    split_stride: u32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> output_gradient: array<Taken>;
@group(0) @binding(2) var<storage, read> input: array<Taken>;
@group(0) @binding(3) var<storage, read_write> gradient: array<f32>;

var<private> model: u32;
// The split's rows: from split_first up to split_end.
var<private> split_first: u32;
var<private> split_end: u32;
// Where its sums start.
var<private> base: u32;

fn a_at(row: u32, depth: u32) -> Taken {
    let k = split_first + depth;
    if row < params.outputs && k < split_end {
        return output_gradient[((model * params.rows + k) * params.outputs + row) / WIDTH];
    }
    return Taken();
}

fn b_at(depth: u32, column: u32) -> Taken {
    let k = split_first + depth;
    if column < params.inputs && k < split_end {
        return input[(model * params.input_stride + k * params.inputs + column) / WIDTH];
    }
    return Taken();
}

fn finish(row: u32, column: u32, sum: f32) {
    if row < params.outputs && column < params.inputs {
        gradient[base + row * params.inputs + column] = sum;
    }
}

@compute @workgroup_size(THREADS)
fn main(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(num_workgroups) groups: vec3<u32>,
    @builtin(local_invocation_index) thread: u32,
) {
    model = group.z;
    let row_tiles = pieces(params.outputs, TILE_M);
    let splits = pieces(params.rows, params.split_rows);
    let tiles = vec2(pieces(params.inputs, TILE_N), row_tiles * splits);
    let tile = rastered(linear_group(group, groups), tiles);
    let split = tile.y / row_tiles;
    // Browsers see no private variable as uniform, so branches around barriers are on values that never were in one.
    let first = min(split * params.split_rows, params.rows);
    // Behind the last split there is nothing to sum, and no place for the sum.
    if first == params.rows {
        return;
    }
    let end = min(first + params.split_rows, params.rows);
    split_first = first;
    split_end = end;
    base = model * params.parameter_stride + split * params.split_stride;
    let first_row = (tile.y % row_tiles) * TILE_M;
    compute_tile(first_row, tile.x * TILE_N, end - first, thread);
    if ROW_SUMS == 1u && tile.x == 0u && thread < TILE_M && first_row + thread < params.outputs {
        gradient[base + params.bias_offset + first_row + thread] = row_sum;
    }
}
