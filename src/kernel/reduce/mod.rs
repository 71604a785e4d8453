//! Sums over long ranges in a fixed order.

pub mod sum_partials;
pub mod sum_squares;
