// The number of a workgroup among all of its model. A grid has a limit along each side, so workgroups are launched in lines
// (linear_grid in src/ir/dispatch.rs): mostly one. The last line may run past the end: callers guard.
fn linear_group(group: vec3<u32>, groups: vec3<u32>) -> u32 {
    return group.y * groups.x + group.x;
}

// Pieces of `size` that cover `length`.
fn pieces(length: u32, size: u32) -> u32 {
    return (length + size - 1u) / size;
}

// The place (column, row) that a number has in a table of so many columns.
fn row_by_row(number: u32, columns: u32) -> vec2<u32> {
    return vec2(number % columns, number / columns);
}
