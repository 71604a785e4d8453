//! How rows lie in a batch, for layer and group norm forward and backward: a row is a group of an example's channels.

/// The numbers of a launch over rows: channel `c` of element `i` of row `r` is `(r % groups) * channels_per_group + i / plane`.
pub trait RowShape {
    /// Rows of each model, groups of an example, channels of a group, pixels of a channel.
    fn numbers(&self) -> [usize; 4];

    /// Elements of a row.
    fn row_len(&self) -> usize {
        let [_, _, channels_per_group, plane] = self.numbers();
        channels_per_group * plane
    }

    /// The first channel of a row of any model, among its model's.
    fn first_channel(&self, row: usize) -> usize {
        let [rows, groups, channels_per_group, _] = self.numbers();
        row % rows % groups * channels_per_group
    }
}
