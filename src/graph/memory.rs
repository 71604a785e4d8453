//! Memory for a graph's values: values that are never alive together share a buffer.

use super::{Graph, ValueId};

/// Which buffer each value lives in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Assignment {
    /// Buffer of each value, by its index.
    pub buffer_of: Vec<usize>,
    /// Scalars that each buffer must hold for one model.
    pub lens: Vec<usize>,
}

/// Assigns buffers for batches of so many rows, greedily in the order of the values' first use: the smallest free buffer that is large enough, else the
/// largest free one, grown, else a new one. Values in `kept` have a buffer of their own, so that they can be read after
/// the program. A value is alive from the node that writes it to the last that reads it, both included, so that no node
/// reads and writes one buffer.
pub fn assign(graph: &Graph, kept: &[ValueId], rows: usize) -> Assignment {
    let lifetimes = lifetimes(graph);
    let mut order: Vec<usize> = (0..graph.values.len()).collect();
    order.sort_by_key(|&v| lifetimes[v].0);
    let mut assignment = Assignment { buffer_of: vec![0; graph.values.len()], lens: Vec::new() };
    let mut free_after: Vec<usize> = Vec::new();
    for value in order {
        let (first, last) = lifetimes[value];
        let len = graph.values[value].elements(rows);
        let own = kept.contains(&ValueId(value));
        let free = (0..free_after.len()).filter(|&b| free_after[b] < first && !own);
        let best = free.min_by_key(|&b| {
            let have = assignment.lens[b];
            if have >= len { (0, have) } else { (1, usize::MAX - have) }
        });
        let buffer = best.unwrap_or_else(|| {
            free_after.push(0);
            assignment.lens.push(0);
            free_after.len() - 1
        });
        assignment.lens[buffer] = assignment.lens[buffer].max(len);
        free_after[buffer] = if own { usize::MAX } else { last };
        assignment.buffer_of[value] = buffer;
    }
    assignment
}

/// First and last node that touch each value.
fn lifetimes(graph: &Graph) -> Vec<(usize, usize)> {
    let mut lifetimes = vec![(usize::MAX, 0); graph.values.len()];
    for (at, node) in graph.nodes.iter().enumerate() {
        for value in node.reads.iter().chain(&node.writes) {
            let (first, last) = &mut lifetimes[value.0];
            *first = (*first).min(at);
            *last = at;
        }
    }
    lifetimes
}
