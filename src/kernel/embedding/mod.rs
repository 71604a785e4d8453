//! Rows of a table, picked by numbers: what an embedding looks up, and how the gradient finds its way back.

pub mod backward_weight;
pub mod forward;
