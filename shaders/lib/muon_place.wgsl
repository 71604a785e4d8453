// Where element `i` of a model's weight of `rows` x `columns` lies in matrix (models, short side, long side). The including shader
// has those two in params, and grid.wgsl.
fn place(i: u32, model: u32) -> u32 {
    let at = row_by_row(i, params.columns);
    let turned = at.x * params.rows + at.y;
    return model * params.rows * params.columns + select(i, turned, params.rows > params.columns);
}
